/* SPDX-License-Identifier: MIT */
#ifndef HAL_COMMON_ACPI_INTERNAL_H
#define HAL_COMMON_ACPI_INTERNAL_H

/* Between acpi.c, which opens tables, and acpi_tables.c and acpi_s5.c, which read them. */

#include <hal/acpi.h>

#define ACPI_HEADER_BYTES 36

/* An open table: mapped whole, length and checksum good. */
struct acpi_view {
	const u8 *data;
	u32 len;
	paddr_t paddr;
	char signature[5];
};

/* signature NULL: any. 0, or -EINVAL after a report. */
int __must_check acpi_open(const struct acpi_access *a, paddr_t paddr, const char *signature,
			   struct acpi_view *v);
void acpi_close(const struct acpi_access *a, struct acpi_view *v);
void acpi_report(const struct acpi_access *a, const char *what, const char *table,
		 paddr_t paddr);

/* 1 to 8 bytes at the offset, little-endian; 0 when the table does not reach there. */
u64 acpi_field(const struct acpi_view *v, u32 offset, u32 bytes);
/* A generic address structure (ACPI 6.5 §5.2.3.2). */
struct acpi_reg acpi_field_reg(const struct acpi_view *v, u32 offset);

static inline u8 field8(const struct acpi_view *v, u32 offset)
{
	return (u8)acpi_field(v, offset, 1);
}

static inline u16 field16(const struct acpi_view *v, u32 offset)
{
	return (u16)acpi_field(v, offset, 2);
}

static inline u32 field32(const struct acpi_view *v, u32 offset)
{
	return (u32)acpi_field(v, offset, 4);
}

static inline u64 field64(const struct acpi_view *v, u32 offset)
{
	return acpi_field(v, offset, 8);
}

/* Reads MADT, FADT, HPET, SPCR, MCFG, SRAT, SLIT and \_S5 of the tables that are listed. */
void acpi_read_tables(const struct acpi_access *a, struct acpi_info *info);
/* acpi_numa.c: where processors and memory are. Each leaves *info as it was when the table is of no use. */
void acpi_read_srat(const struct acpi_access *a, const struct acpi_view *v, struct acpi_info *info);
void acpi_read_slit(const struct acpi_access *a, const struct acpi_view *v, struct acpi_info *info);
/* Looks for \_S5 in one DSDT or SSDT. True when found. */
bool acpi_find_s5(const struct acpi_view *v, u8 *type_a, u8 *type_b);
/* Adds the buses of the host bridges of one DSDT or SSDT. */
void acpi_find_root_buses(const struct acpi_view *v, struct acpi_info *info);

#endif
