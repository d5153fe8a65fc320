/* SPDX-License-Identifier: MIT */
/*
 * Root buses of PCI without an AML interpreter.
 *
 * A machine with several host bridges names the bus that each one begins with in its object _BBN (ACPI 6.5 §6.5.5). Where
 * that is a constant it reads (§20.2.2, §20.2.3)
 *
 *   NameOp(08) "_BBN" and ZeroOp(00), OneOp(01), or a byte, word or dword behind 0a, 0b, 0c
 *
 * Only that form is taken; a method that computes the number is not. The host bridge's device, the innermost package
 *
 *   DeviceOp(5b 82) PkgLength NameSeg objects
 *
 * around it, may name its proximity domain as _PXM (§6.2.14) in the same way. What is found is a hint: who enumerates looks whether
 * anybody answers on that bus. Numbers of other segments' bridges are in the list too, and do no harm for that reason.
 */
#include <lib/string.h>

#include "acpi_internal.h"

#define AML_NAME_OP	0x08
#define AML_EXT_OP	0x5b
#define AML_DEVICE_OP	0x82
#define DEVICE_HEAD_MAX	4096u /* so far before it _BBN's device is looked for */

static bool read_constant(const struct acpi_view *v, u32 pos, u32 *value)
{
	u8 op = field8(v, pos);
	u32 bytes = op == 0x0a ? 1 : op == 0x0b ? 2 : op == 0x0c ? 4 : 0;

	if (pos >= v->len || (op > 1 && !bytes) || bytes >= v->len - pos)
		return false;
	*value = bytes ? (u32)acpi_field(v, pos + 1, bytes) : op;
	return true;
}

/* A declaration of that name at pos, with a constant. */
static bool read_name(const struct acpi_view *v, u32 pos, const char *name, u32 *value)
{
	return field8(v, pos) == AML_NAME_OP && pos + 5 < v->len && !memcmp(v->data + pos + 1, name, 4) &&
	       read_constant(v, pos + 5, value);
}

/* Where the package ends whose length stands at pos (§20.2.4): its upper two bits count the bytes that follow. */
static u32 package_end(const struct acpi_view *v, u32 pos)
{
	u8 lead = field8(v, pos);
	u32 more = lead >> 6, bytes = lead & 0x3f;

	if (more) {
		bytes &= 15;
		for (u32 i = 0; i < more; i++)
			bytes |= (u32)field8(v, pos + 1 + i) << (4 + 8 * i);
	}
	return bytes <= v->len - pos ? pos + bytes : pos;
}

/* _PXM of the innermost device around pos. */
static void find_domain(const struct acpi_view *v, u32 pos, struct acpi_root_bus *root)
{
	u32 low = pos - MIN(pos - ACPI_HEADER_BYTES, DEVICE_HEAD_MAX), end = 0, at = pos;

	while (at-- > low)
		if (v->data[at] == AML_EXT_OP && v->data[at + 1] == AML_DEVICE_OP && (end = package_end(v, at + 2)) > pos)
			break;
	for (; at >= low && at < end && !root->has_domain; at++)
		root->has_domain = read_name(v, at, "_PXM", &root->domain);
}

static void add_root(struct acpi_info *info, const struct acpi_view *v, u32 pos, u32 bus)
{
	if (bus > 255)
		return;
	for (u32 i = 0; i < info->nr_root_buses; i++)
		if (info->root_buses[i].bus == bus)
			return;
	if (info->nr_root_buses == ACPI_MAX_ROOT_BUSES)
		return;
	info->root_buses[info->nr_root_buses] = (struct acpi_root_bus){ .bus = (u8)bus };
	find_domain(v, pos, &info->root_buses[info->nr_root_buses++]);
}

void acpi_find_root_buses(const struct acpi_view *v, struct acpi_info *info)
{
	u32 bus;

	for (u32 i = ACPI_HEADER_BYTES; i + 5 < v->len; i++)
		if (v->data[i] == AML_NAME_OP && read_name(v, i, "_BBN", &bus))
			add_root(info, v, i, bus);
}
