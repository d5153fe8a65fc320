/* SPDX-License-Identifier: MIT */
#ifndef HAL_EFI_TABLES_H
#define HAL_EFI_TABLES_H

/* What the kernel takes from the EFI system table at boot: plain data, read through an accessor like the ACPI tables. */
#include <boot/bootinfo.h>
#include <hal/acpi.h>
#include <hal/efi.h>

#define EFI_MAX_REGIONS 160

#define EFI_RIGHT_WRITE	 BIT(0)
#define EFI_RIGHT_EXEC	 BIT(1)
#define EFI_RIGHT_DEVICE BIT(2)		/* registers: uncached */

struct efi_region {
	paddr_t base;		/* page-aligned, in the user half; so is the end */
	u64 bytes;
	u32 rights;		/* reading is always one */
};

struct efi_info {
	bool usable;
	struct hal_efi_tables tables;
	u64 services[HAL_EFI_SERVICES];		/* entry points, 0: none */
	struct efi_region regions[EFI_MAX_REGIONS];	/* to be mapped in this order: a later one refines an earlier one */
	u32 nr_regions;
};

struct efi_source {
	paddr_t system_table;			/* 0: not an EFI machine */
	const struct bootinfo_region *regions;
	u32 region_count;
};

/* Fills *info; usable is false, with a report, when the tables are no good. */
void efi_parse(const struct efi_source *src, const struct acpi_access *access, struct efi_info *info);

#endif
