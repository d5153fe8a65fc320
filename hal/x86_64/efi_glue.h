/* SPDX-License-Identifier: MIT */
#ifndef X86_EFI_GLUE_H
#define X86_EFI_GLUE_H

/* UEFI runtime services inside hal/x86_64: efi.c. */
#include <hal/efi.h>
#include <hal/regs.h>

struct bootinfo;

enum x86_efi_reset { X86_EFI_RESET_COLD = 0, X86_EFI_RESET_WARM = 1, X86_EFI_RESET_OFF = 2 };	/* UEFI 2.10 8.5.1 */

/* Reads the system table: before the memory of boot services is given to the allocator. */
void x86_efi_early(const struct bootinfo *bi);
/* Makes firmware's address space. */
void x86_efi_init(void);
/* A trap in kernel mode: true when it was firmware's, and *regs lead back to the caller. Interrupts off. */
bool x86_efi_trap(struct hal_regs *regs, u32 vector, u64 addr);
/* ResetSystem. Returns when there is none, or when it does nothing. Interrupts off, panics included. */
void x86_efi_reset(enum x86_efi_reset kind);
/* Seconds since 1970 by firmware's clock now, or 0. Boot. */
u64 x86_efi_wallclock(void);

#endif
