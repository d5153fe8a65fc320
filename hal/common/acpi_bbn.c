/* SPDX-License-Identifier: MIT */
/*
 * Root buses of PCI without an AML interpreter.
 *
 * A machine with several host bridges names the bus that each one begins with in its object _BBN (ACPI 6.5 §6.5.5). Where
 * that is a constant it reads (§20.2.2, §20.2.3)
 *
 *   NameOp(08) "_BBN" and ZeroOp(00), OneOp(01), or a byte, word or dword behind 0a, 0b, 0c
 *
 * Only that form is taken; a method that computes the number is not. What is found is a hint: who enumerates looks whether
 * anybody answers on that bus. Numbers of other segments' bridges are in the list too, and do no harm for that reason.
 */
#include <lib/string.h>

#include "acpi_internal.h"

#define AML_NAME_OP 0x08

static bool read_constant(const struct acpi_view *v, u32 pos, u32 *value)
{
	u8 op = field8(v, pos);
	u32 bytes = op == 0x0a ? 1 : op == 0x0b ? 2 : op == 0x0c ? 4 : 0;

	if (pos >= v->len || (op > 1 && !bytes) || bytes >= v->len - pos)
		return false;
	*value = bytes ? (u32)acpi_field(v, pos + 1, bytes) : op;
	return true;
}

static void add_root(struct acpi_info *info, u32 bus)
{
	if (bus > 255)
		return;
	for (u32 i = 0; i < info->nr_root_buses; i++)
		if (info->root_buses[i] == bus)
			return;
	if (info->nr_root_buses < ACPI_MAX_ROOT_BUSES)
		info->root_buses[info->nr_root_buses++] = (u8)bus;
}

void acpi_find_root_buses(const struct acpi_view *v, struct acpi_info *info)
{
	u32 bus;

	for (u32 i = ACPI_HEADER_BYTES + 1; i + 4 < v->len; i++)
		if (v->data[i] == '_' && v->data[i - 1] == AML_NAME_OP && !memcmp(v->data + i, "_BBN", 4) &&
		    read_constant(v, i + 4, &bus))
			add_root(info, bus);
}
