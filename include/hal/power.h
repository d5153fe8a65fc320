/* SPDX-License-Identifier: MIT */
#ifndef HAL_POWER_H
#define HAL_POWER_H

/*
 * The ends of the machine. Any context, panic included; none returns. Each tries what ACPI describes
 * first and falls back until something works; power-off halts in the end if nothing does.
 */
#include <lib/compiler.h>

__noreturn void hal_reboot(void);
__noreturn void hal_poweroff(void);
__noreturn void hal_halt(void);

/* QEMU's isa-debug-exit: exit status 2 * value + 1. Returns when there is no such device. Any context. */
void hal_qemu_exit(u8 value);

#endif
