/* SPDX-License-Identifier: MIT */
/*
 * Finding the ACPI tables: RSDP, XSDT or RSDT, and the list of what they name.
 * What is inside the tables is read in acpi_tables.c.
 *
 * Theory. Firmware tables are input from outside. A table is opened in two
 * steps: its header is mapped to learn the length, the length is judged, then
 * the whole is mapped and its checksum formed. From then on all reads go through
 * field8/16/32/64(), which give 0 for what lies behind the end of the table: for
 * every field that we use, 0 means "not there", which is also how shorter, older
 * revisions are to be read. So no offset needs a check of its own.
 *
 * The XSDT is preferred (ACPI 6.5 §5.2.8: its addresses override the RSDT's);
 * the RSDT is taken when the XSDT is absent or wrong.
 */
#include <lib/crc32.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>

#include "acpi_internal.h"

#define MAX_TABLE_BYTES (16U << 20)
#define RSDP_BYTES_V0	20
#define RSDP_BYTES_V2	36

void acpi_report(const struct acpi_access *a, const char *what, const char *table, paddr_t paddr)
{
	if (a->report)
		a->report(a->ctx, what, table, paddr);
}

static void unmap(const struct acpi_access *a, const void *p, u64 len)
{
	if (a->unmap && p)
		a->unmap(a->ctx, p, len);
}

u64 acpi_field(const struct acpi_view *v, u32 offset, u32 bytes)
{
	u64 value = 0;

	if (offset > v->len || bytes > v->len - offset)
		return 0;
	memcpy(&value, v->data + offset, bytes);
	return value;
}

struct acpi_reg acpi_field_reg(const struct acpi_view *v, u32 offset)
{
	struct acpi_reg r = {
		.address = field64(v, offset + 4),
		.space = field8(v, offset),
		.bits = field8(v, offset + 1),
	};

	return r;
}

/* A signature as text for the log, whatever bytes it has. */
static void copy_signature(char out[5], const u8 *p)
{
	for (int i = 0; i < 4; i++)
		out[i] = isprint(p[i]) ? (char)p[i] : '?';
	out[4] = 0;
}

int acpi_open(const struct acpi_access *a, paddr_t paddr, const char *signature,
	      struct acpi_view *v)
{
	const u8 *h;
	u32 len;

	memset(v, 0, sizeof(*v));
	if (!paddr || paddr > UINT64_MAX - MAX_TABLE_BYTES) {
		acpi_report(a, "address is not possible", signature, paddr);
		return -EINVAL;
	}
	h = a->map(a->ctx, paddr, ACPI_HEADER_BYTES);
	if (!h) {
		acpi_report(a, "header cannot be read", signature, paddr);
		return -EINVAL;
	}
	copy_signature(v->signature, h);
	len = get_le32(h + 4);
	unmap(a, h, ACPI_HEADER_BYTES);
	if (signature && strcmp(v->signature, signature) != 0) {
		acpi_report(a, "signature is another's", signature, paddr);
		return -EINVAL;
	}
	if (len < ACPI_HEADER_BYTES || len > MAX_TABLE_BYTES) {
		acpi_report(a, "length is not possible", v->signature, paddr);
		return -EINVAL;
	}
	v->data = a->map(a->ctx, paddr, len);
	if (!v->data) {
		acpi_report(a, "table cannot be read", v->signature, paddr);
		return -EINVAL;
	}
	v->len = len;
	v->paddr = paddr;
	if (checksum8(v->data, len) != 0) {
		acpi_report(a, "checksum is wrong", v->signature, paddr);
		acpi_close(a, v);
		return -EINVAL;
	}
	return 0;
}

void acpi_close(const struct acpi_access *a, struct acpi_view *v)
{
	unmap(a, v->data, v->len);
	v->data = NULL;
	v->len = 0;
}

static void add_table(const struct acpi_access *a, struct acpi_info *info, paddr_t paddr)
{
	struct acpi_table *t;
	struct acpi_view v;

	for (u32 i = 0; i < info->nr_tables; i++)
		if (info->tables[i].paddr == paddr)
			return;
	if (info->nr_tables == ACPI_MAX_TABLES) {
		acpi_report(a, "too many tables, left out", NULL, paddr);
		return;
	}
	if (acpi_open(a, paddr, NULL, &v) != 0)
		return;
	t = &info->tables[info->nr_tables++];
	t->paddr = paddr;
	t->len = v.len;
	memcpy(t->signature, v.signature, sizeof(t->signature));
	acpi_close(a, &v);
}

/* Lists what an XSDT (entries of 8 bytes) or RSDT (of 4) names. */
static int read_root(const struct acpi_access *a, struct acpi_info *info, paddr_t paddr,
		     const char *signature, u32 entry)
{
	struct acpi_view v;
	u32 end;

	if (acpi_open(a, paddr, signature, &v) != 0)
		return -EINVAL;
	end = MIN(v.len, ACPI_HEADER_BYTES + ACPI_MAX_ENTRIES * entry);
	if (end < v.len)
		acpi_report(a, "too many entries, the rest is left out", signature, paddr);
	for (u32 off = ACPI_HEADER_BYTES; off + entry <= end; off += entry) {
		paddr_t at = acpi_field(&v, off, entry);

		/* Some firmware leaves empty slots. */
		if (at)
			add_table(a, info, at);
	}
	acpi_close(a, &v);
	return 0;
}

/* Copies the RSDP out: 20 bytes, or 36 of which the rest is zero in revision 0. */
static int read_rsdp(const struct acpi_access *a, paddr_t paddr, u8 out[RSDP_BYTES_V2])
{
	const u8 *p = paddr ? a->map(a->ctx, paddr, RSDP_BYTES_V0) : NULL;
	bool good;
	u8 revision;

	memset(out, 0, RSDP_BYTES_V2);
	if (!p)
		return -ENODEV;
	good = memcmp(p, "RSD PTR ", 8) == 0 && checksum8(p, RSDP_BYTES_V0) == 0;
	revision = p[15];
	memcpy(out, p, RSDP_BYTES_V0);
	unmap(a, p, RSDP_BYTES_V0);
	if (!good)
		return -ENODEV;
	if (revision < 2)
		return 0;
	/* The second checksum covers all. If it is wrong the first half still serves. */
	p = a->map(a->ctx, paddr, RSDP_BYTES_V2);
	if (p && get_le32(p + 20) >= RSDP_BYTES_V2 && checksum8(p, RSDP_BYTES_V2) == 0)
		memcpy(out, p, RSDP_BYTES_V2);
	else
		acpi_report(a, "extended part is wrong, using the RSDT", "RSDP", paddr);
	unmap(a, p, RSDP_BYTES_V2);
	return 0;
}

static void set_defaults(struct acpi_info *info)
{
	memset(info, 0, sizeof(*info));
	info->lapic_paddr = 0xfee00000;
	info->has_8042 = true;
	info->has_vga = true;
	info->has_rtc = true;
	info->has_pic = true;
	info->sci_irq = 9;
}

int acpi_parse(paddr_t rsdp, const struct acpi_access *access, struct acpi_info *info)
{
	u8 p[RSDP_BYTES_V2];
	paddr_t xsdt;
	int err;

	set_defaults(info);
	err = read_rsdp(access, rsdp, p);
	if (err) {
		acpi_report(access, "not found", "RSDP", rsdp);
		return err;
	}
	info->revision = p[15];
	for (int i = 0; i < 6; i++)
		info->oem[i] = isprint(p[9 + i]) ? (char)p[9 + i] : '?';
	xsdt = get_le64(p + 24);
	err = xsdt ? read_root(access, info, xsdt, "XSDT", 8) : -EINVAL;
	if (err)
		err = read_root(access, info, get_le32(p + 16), "RSDT", 4);
	if (err)
		return err;
	acpi_read_tables(access, info);
	return 0;
}

const struct acpi_table *acpi_find_table(const struct acpi_info *info, const char *signature,
					 u32 n)
{
	for (u32 i = 0; i < info->nr_tables; i++)
		if (strcmp(info->tables[i].signature, signature) == 0 && n-- == 0)
			return &info->tables[i];
	return NULL;
}

struct acpi_override acpi_isa_irq(const struct acpi_info *info, u8 irq)
{
	struct acpi_override line = { .gsi = irq, .irq = irq };

	for (u32 i = 0; i < info->nr_overrides; i++)
		if (info->overrides[i].irq == irq)
			line = info->overrides[i];
	if (line.polarity == ACPI_POLARITY_BUS)
		line.polarity = ACPI_ACTIVE_HIGH;
	if (line.trigger == ACPI_TRIGGER_BUS)
		line.trigger = ACPI_EDGE;
	return line;
}
