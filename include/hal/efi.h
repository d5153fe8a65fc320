/* SPDX-License-Identifier: MIT */
#ifndef HAL_EFI_H
#define HAL_EFI_H

/*
 * UEFI runtime services (UEFI 2.10 chapter 8): time, variables, reset.
 *
 * Firmware runs in an address space of its own, in which the runtime regions are mapped one to one beside the kernel's
 * half, on a stack of its own; SetVirtualAddressMap is not called. It is input from outside: a fault of its code ends
 * the call with -EIO, and no service is called any more.
 */
#include <lib/compiler.h>
#include <lib/types.h>

enum hal_efi_service {
	HAL_EFI_GET_TIME, HAL_EFI_SET_TIME, HAL_EFI_GET_VARIABLE, HAL_EFI_NEXT_VARIABLE, HAL_EFI_SET_VARIABLE,
	HAL_EFI_RESET, HAL_EFI_SERVICES
};

#define HAL_EFI_ARGS_MAX	5u
#define HAL_EFI_ERROR		(1ull << 63)
#define HAL_EFI_BUFFER_TOO_SMALL (HAL_EFI_ERROR | 5)
#define HAL_EFI_NOT_FOUND	(HAL_EFI_ERROR | 14)

/* EFI_TIME (UEFI 2.10 §8.3). */
struct hal_efi_time {
	u16 year;
	u8 month, day, hour, minute, second, pad1;
	u32 nanosecond;
	s16 timezone;		/* minutes: UTC = local + timezone; HAL_EFI_NO_TIMEZONE: not said */
	u8 daylight, pad2;
};
#define HAL_EFI_NO_TIMEZONE 2047
_Static_assert(sizeof(struct hal_efi_time) == 16, "UEFI 2.10 8.3");

/*
 * Calls a service with kernel pointers and numbers as arguments and stores its EFI_STATUS. 0; -ENODEV: there is no such
 * service, or firmware was given up; -EBUSY: another CPU is in firmware, ask again; -EIO: firmware faulted. Any context
 * but NMI; preemption is off meanwhile, interrupts stay as they are; firmware may take milliseconds.
 */
int __must_check hal_efi_call(enum hal_efi_service service, const u64 *args, u32 n, u64 *status);

/* Is there this service, and would it be called? Any context. */
bool hal_efi_has(enum hal_efi_service service);

/* No runtime service from here on: the command line's noefi and efi=noruntime. */
void hal_efi_disable(void);

/* Seconds since 1970 (UTC); 0 when the fields are out of their ranges. */
u64 hal_efi_time_seconds(const struct hal_efi_time *t);

/* What /sys/firmware/efi shows: physical addresses, 0 for what is not there. [I] after hal_late_init(). */
struct hal_efi_tables {
	u64 system_table, runtime, vendor, config;
	u64 acpi20, acpi, smbios, smbios3;
	u32 nr_config;
	u32 regions;		/* mapped for the services */
	bool attributes;	/* firmware said which of its pages are code and which data */
};
const struct hal_efi_tables *hal_efi_tables(void);

#if HALCYON_DEBUG
/* For tests: the next call of any service jumps there instead; and afterwards firmware is taken back. */
void hal_efi_test_break(u64 entry);
void hal_efi_test_repair(void);
#endif

#endif
