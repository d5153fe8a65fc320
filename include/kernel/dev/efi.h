/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_EFI_H
#define KERNEL_DEV_EFI_H

/* UEFI runtime services for the kernel proper. */
#include <hal/efi.h>

/* /sys/firmware/efi, where the machine has EFI tables. Boot. */
void efi_init(void);

/* hal_efi_call() for threads, one at a time: never -EBUSY. May sleep. */
int __must_check efi_call(enum hal_efi_service service, const u64 *args, u32 n, u64 *status);

/* Firmware's clock in seconds since 1970, UTC. 0, or -ENODEV, -EIO. May sleep. */
int __must_check efi_get_seconds(u64 *out);

#endif
