/* SPDX-License-Identifier: MIT */
/*
 * The EFI system table (UEFI 2.10 §4.3): runtime services, where they live, configuration tables.
 *
 * Theory. Runtime services will be called with the kernel's rights, so no address is taken that does not lie in a region
 * which firmware's own memory map calls runtime: tables in any of them, entry points in one that may be executed. A
 * service whose pointer is elsewhere is treated as absent.
 *
 * Rights. The memory map knows code and data regions only, and a code region holds a whole PE image, its data included;
 * so it must be writable and executable, unless the memory attributes table (§4.6.4) says it page by page. It is
 * believed for pages inside of runtime regions, and refines them.
 */
#include <lib/crc32.h>
#include <lib/fls.h>
#include <lib/string.h>

#include <hal/efi_tables.h>

#define EFI_MEMORY_WB	   BIT(3)
#define EFI_MEMORY_XP	   BIT(14)
#define EFI_MEMORY_RO	   BIT(17)
#define EFI_MEMORY_RUNTIME (1ull << 63)
#define EFI_RUNTIME_CODE   5u
#define EFI_RUNTIME_DATA   6u

#define LOW_HALF_END	   (1ull << 47)
#define EFI_PAGE_BYTES	   4096ull
#define HEADER_BYTES	   24
#define TABLE_MAX_BYTES	   4096
#define SYSTEM_SIGNATURE   0x5453595320494249ull	/* "IBI SYST" */
#define RUNTIME_SIGNATURE  0x56524553544e5552ull	/* "RUNTSERV" */
#define SYSTEM_BYTES	   120
#define CONFIG_MAX	   256u
#define CONFIG_BYTES	   24u
#define ATTRIBUTES_HEADER  16
#define ATTRIBUTES_MAX	   1024u
#define DESCRIPTOR_BYTES   40u

struct guid {
	u8 bytes[16];
};

/* In memory order: the first three fields of a GUID are little-endian. */
static const struct guid acpi20_guid = { { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c,
					   0x88, 0x81 } };
static const struct guid acpi_guid = { { 0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f,
					 0xc1, 0x4d } };
static const struct guid smbios_guid = { { 0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f,
					   0xc1, 0x4d } };
static const struct guid smbios3_guid = { { 0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a, 0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20,
					    0xe3, 0x94 } };
static const struct guid attributes_guid = { { 0x1d, 0x91, 0xfa, 0xdc, 0xeb, 0x26, 0x9f, 0x46, 0xa2, 0x20, 0x38, 0xb7, 0xdc,
					       0x46, 0x12, 0x20 } };

static void report(const struct acpi_access *a, const char *what, const char *table, paddr_t paddr)
{
	if (a->report)
		a->report(a->ctx, what, table, paddr);
}

static const u8 *map(const struct acpi_access *a, paddr_t paddr, u64 bytes)
{
	return paddr ? a->map(a->ctx, paddr, bytes) : NULL;
}

static void unmap(const struct acpi_access *a, const void *p, u64 bytes)
{
	if (a->unmap && p)
		a->unmap(a->ctx, p, bytes);
}

static bool add_region(struct efi_info *info, paddr_t base, u64 bytes, u32 rights)
{
	if (!bytes || (base | bytes) % EFI_PAGE_BYTES || base >= LOW_HALF_END || bytes > LOW_HALF_END - base ||
	    info->nr_regions == EFI_MAX_REGIONS)
		return false;
	info->regions[info->nr_regions++] = (struct efi_region){ base, bytes, rights };
	return true;
}

static void read_regions(const struct efi_source *src, const struct acpi_access *a, struct efi_info *info)
{
	for (u32 i = 0; i < src->region_count; i++) {
		const struct bootinfo_region *r = &src->regions[i];
		u32 rights = EFI_RIGHT_WRITE;

		if (!(r->attributes & EFI_MEMORY_RUNTIME))
			continue;
		if (r->type == BOOT_MEM_RUNTIME_CODE)
			rights |= EFI_RIGHT_EXEC;
		else if (r->type != BOOT_MEM_RUNTIME_DATA && !(r->attributes & EFI_MEMORY_WB))
			rights |= EFI_RIGHT_DEVICE;
		if (!add_region(info, r->base, r->length, rights))
			report(a, "runtime region left out", "EFI map", r->base);
	}
}

/* Does one region with all of these rights hold [paddr, paddr + bytes)? */
static bool lies_in(const struct efi_info *info, paddr_t paddr, u64 bytes, u32 rights, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		const struct efi_region *r = &info->regions[i];

		if (paddr >= r->base && paddr - r->base < r->bytes && bytes <= r->bytes - (paddr - r->base) &&
		    (r->rights & rights) == rights)
			return true;
	}
	return false;
}

/* A table with EFI's header, mapped whole, or NULL after a report; its length in *bytes. */
static const u8 *open_table(const struct acpi_access *a, const struct efi_info *info, paddr_t paddr, u64 signature,
			    const char *name, u32 *bytes)
{
	const u8 *h;
	u64 got;

	if (!lies_in(info, paddr, HEADER_BYTES, 0, info->nr_regions)) {
		report(a, "not in a runtime region", name, paddr);
		return NULL;
	}
	h = map(a, paddr, HEADER_BYTES);
	if (!h) {
		report(a, "cannot be read", name, paddr);
		return NULL;
	}
	got = get_le64(h);
	*bytes = get_le32(h + 12);
	unmap(a, h, HEADER_BYTES);
	if (got != signature || *bytes < HEADER_BYTES || *bytes > TABLE_MAX_BYTES ||
	    !lies_in(info, paddr, *bytes, 0, info->nr_regions)) {
		report(a, "signature or length is wrong", name, paddr);
		return NULL;
	}
	h = map(a, paddr, *bytes);
	if (!h)
		report(a, "cannot be read", name, paddr);
	return h;
}

static u64 pointer_at(const u8 *table, u32 bytes, u32 offset)
{
	return offset + 8 <= bytes ? get_le64(table + offset) : 0;
}

static void read_services(const struct acpi_access *a, struct efi_info *info)
{
	/* UEFI 2.10 §4.5.1; the numbers are offsets in EFI_RUNTIME_SERVICES. */
	static const u8 offsets[HAL_EFI_SERVICES] = {
		[HAL_EFI_GET_TIME] = 24, [HAL_EFI_SET_TIME] = 32, [HAL_EFI_GET_VARIABLE] = 72, [HAL_EFI_NEXT_VARIABLE] = 80,
		[HAL_EFI_SET_VARIABLE] = 88, [HAL_EFI_RESET] = 104,
	};
	u32 bytes;
	const u8 *t = open_table(a, info, info->tables.runtime, RUNTIME_SIGNATURE, "RUNTSERV", &bytes);

	if (!t)
		return;
	for (u32 i = 0; i < HAL_EFI_SERVICES; i++) {
		u64 entry = pointer_at(t, bytes, offsets[i]);

		if (entry && lies_in(info, entry, 1, EFI_RIGHT_EXEC, info->nr_regions)) {
			info->services[i] = entry;
			info->usable = true;
		} else if (entry) {
			report(a, "service is not in runtime code", "RUNTSERV", entry);
		}
	}
	unmap(a, t, bytes);
}

/* Is every page of it in a region of the memory map (the first `known` regions)? */
static bool refines(const struct efi_info *info, paddr_t base, u64 bytes, u32 known)
{
	return bytes && lies_in(info, base, bytes, 0, known);
}

static void read_attributes(const struct acpi_access *a, paddr_t paddr, struct efi_info *info)
{
	const u8 *h = map(a, paddr, ATTRIBUTES_HEADER), *t;
	u32 known = info->nr_regions, count, step;
	u64 bytes;

	if (!h)
		return;
	count = get_le32(h + 4);
	step = get_le32(h + 8);
	unmap(a, h, ATTRIBUTES_HEADER);
	bytes = ATTRIBUTES_HEADER + (u64)count * step;
	t = count <= ATTRIBUTES_MAX && step >= DESCRIPTOR_BYTES && step <= TABLE_MAX_BYTES ? map(a, paddr, bytes) : NULL;
	if (!t) {
		report(a, "is not possible, left out", "EFI attributes", paddr);
		return;
	}
	for (u32 i = 0; i < count; i++) {
		const u8 *d = t + ATTRIBUTES_HEADER + (u64)i * step;
		u64 base = get_le64(d + 8), pages = get_le64(d + 24), attributes = get_le64(d + 32);
		u32 type = get_le32(d), rights = 0;

		if (!(attributes & EFI_MEMORY_RO))
			rights |= EFI_RIGHT_WRITE;
		if (!(attributes & EFI_MEMORY_XP))
			rights |= EFI_RIGHT_EXEC;
		if ((type != EFI_RUNTIME_CODE && type != EFI_RUNTIME_DATA) || pages > LOW_HALF_END / EFI_PAGE_BYTES ||
		    !refines(info, base, pages * EFI_PAGE_BYTES, known) || !add_region(info, base, pages * EFI_PAGE_BYTES, rights))
			report(a, "entry is not of a runtime region, left out", "EFI attributes", base);
		else
			info->tables.attributes = true;
	}
	unmap(a, t, bytes);
}

static void read_config(const struct acpi_access *a, struct efi_info *info, paddr_t *attributes)
{
	struct hal_efi_tables *tables = &info->tables;
	u64 bytes = (u64)tables->nr_config * CONFIG_BYTES;
	const u8 *t = tables->nr_config <= CONFIG_MAX ? map(a, tables->config, bytes) : NULL;

	if (!t) {
		if (tables->nr_config)
			report(a, "cannot be read", "EFI configuration", tables->config);
		tables->nr_config = 0;
		return;
	}
	for (u32 i = 0; i < tables->nr_config; i++) {
		const u8 *e = t + i * CONFIG_BYTES;
		u64 at = get_le64(e + 16);

		if (!memcmp(e, &acpi20_guid, 16))
			tables->acpi20 = at;
		else if (!memcmp(e, &acpi_guid, 16))
			tables->acpi = at;
		else if (!memcmp(e, &smbios_guid, 16))
			tables->smbios = at;
		else if (!memcmp(e, &smbios3_guid, 16))
			tables->smbios3 = at;
		else if (!memcmp(e, &attributes_guid, 16))
			*attributes = at;
	}
	unmap(a, t, bytes);
}

void efi_parse(const struct efi_source *src, const struct acpi_access *a, struct efi_info *info)
{
	paddr_t attributes = 0;
	const u8 *t;
	u32 bytes;

	memset(info, 0, sizeof(*info));
	if (!src->system_table)
		return;
	read_regions(src, a, info);
	t = open_table(a, info, src->system_table, SYSTEM_SIGNATURE, "IBI SYST", &bytes);
	if (!t)
		return;
	info->tables.system_table = src->system_table;
	info->tables.vendor = pointer_at(t, bytes, 24);
	info->tables.runtime = pointer_at(t, bytes, 88);
	info->tables.nr_config = (u32)pointer_at(t, bytes, 104);
	info->tables.config = pointer_at(t, bytes, 112);
	unmap(a, t, bytes);
	if (bytes < SYSTEM_BYTES)
		info->tables.nr_config = 0;
	read_config(a, info, &attributes);
	read_services(a, info);
	if (attributes)
		read_attributes(a, attributes, info);
	info->tables.regions = info->nr_regions;
}

/* Days from 1970-01-01 of a date of the civil calendar. */
static u64 civil_days(u32 y, u32 m, u32 d)
{
	u64 era, of_era;

	/* A year that begins in March has its leap day at its end. */
	y -= m <= 2;
	era = y / 400;
	of_era = (y % 400) * 365 + y % 400 / 4 - y % 400 / 100 + (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + of_era - 719468;
}

u64 hal_efi_time_seconds(const struct hal_efi_time *t)
{
	s64 s;

	if (t->year < 1970 || t->year > 9999 || t->month < 1 || t->month > 12 || t->day < 1 || t->day > 31 || t->hour > 23 ||
	    t->minute > 59 || t->second > 59)
		return 0;
	s = (s64)(civil_days(t->year, t->month, t->day) * 86400 + t->hour * 3600u + t->minute * 60u + t->second);
	if (t->timezone >= -1440 && t->timezone <= 1440)
		s += t->timezone * 60;
	return s > 0 ? (u64)s : 0;
}
