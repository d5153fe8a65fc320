/* SPDX-License-Identifier: MIT */
#ifndef HAL_POWER_H
#define HAL_POWER_H

/*
 * The ends of the machine. Any context, panic included; none returns. Each has several ways and tries one after the other
 * until something works; each attempt is logged. Power-off halts in the end if nothing does.
 */
#include <lib/compiler.h>
#include <lib/types.h>

/* The ways to reset, in the order in which they are tried. */
enum hal_reset {
	HAL_RESET_ACPI,		/* the FADT's reset register */
	HAL_RESET_EFI,		/* ResetSystem of the runtime services */
	HAL_RESET_KEYBOARD,	/* the 8042's reset line */
	HAL_RESET_PCI,		/* port CF9h of PC chip sets */
	HAL_RESET_TRIPLE,	/* triple fault */
	HAL_RESET_WAYS
};

/* That way first, the others after it; warm: firmware is asked to keep memory. Boot. */
void hal_reset_prefer(enum hal_reset first);
void hal_reset_warm(bool warm);

__noreturn void hal_reboot(void);
__noreturn void hal_poweroff(void);
__noreturn void hal_halt(void);

/* QEMU's isa-debug-exit: exit status 2 * value + 1. Returns when there is no such device. Any context. */
void hal_qemu_exit(u8 value);

#endif
