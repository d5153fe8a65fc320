/* SPDX-License-Identifier: MIT */
/*
 * \_S5 without an AML interpreter.
 *
 * The object is declared as (ACPI 6.5 §20.2)
 *
 *   NameOp(08)  [RootChar(5c)] "_S5_"  PackageOp(12) PkgLength NumElements elements
 *
 * with integer constants as elements: ZeroOp(00), OneOp(01), OnesOp(ff), or a byte,
 * word, dword or qword behind 0a, 0b, 0c, 0e. The first is SLP_TYPa, the second
 * SLP_TYPb, three bits each (§4.8.3.2.1). Only that form is taken; the same four
 * letters in other places (a reference, a string) do not match.
 */
#include <lib/string.h>

#include "acpi_internal.h"

#define AML_NAME_OP    0x08
#define AML_PACKAGE_OP 0x12
#define AML_ROOT_CHAR  0x5c
#define SLP_TYP_MASK   7

/* Reads an integer constant at *pos; -1 if there is none. */
static int read_integer(const struct acpi_view *v, u32 *pos)
{
	u8 op = field8(v, *pos), value = field8(v, *pos + 1);
	u32 bytes;

	if (*pos >= v->len)
		return -1;
	switch (op) {
	case 0x00:
	case 0x01:
		(*pos)++;
		return op;
	case 0xff:
		(*pos)++;
		return SLP_TYP_MASK;
	case 0x0a: bytes = 1; break;
	case 0x0b: bytes = 2; break;
	case 0x0c: bytes = 4; break;
	case 0x0e: bytes = 8; break;
	default:
		return -1;
	}
	if (bytes >= v->len - *pos)
		return -1;
	*pos += 1 + bytes;
	return value & SLP_TYP_MASK;
}

/* pos is behind the name. */
static bool read_package(const struct acpi_view *v, u32 pos, u8 *type_a, u8 *type_b)
{
	int a, b = 0;
	u8 elements;

	if (field8(v, pos++) != AML_PACKAGE_OP)
		return false;
	/* PkgLength: the top two bits of its first byte count the bytes that follow. */
	pos += 1U + (field8(v, pos) >> 6);
	elements = field8(v, pos++);
	if (elements == 0)
		return false;
	a = read_integer(v, &pos);
	if (a >= 0 && elements > 1)
		b = read_integer(v, &pos);
	if (a < 0 || b < 0)
		return false;
	*type_a = (u8)a;
	*type_b = (u8)b;
	return true;
}

bool acpi_find_s5(const struct acpi_view *v, u8 *type_a, u8 *type_b)
{
	for (u32 i = ACPI_HEADER_BYTES + 1; i + 4 <= v->len; i++) {
		u8 before = v->data[i - 1];

		if (v->data[i] != '_' || memcmp(v->data + i, "_S5_", 4) != 0)
			continue;
		if (before == AML_ROOT_CHAR)
			before = v->data[i - 2];
		if (before == AML_NAME_OP && read_package(v, i + 4, type_a, type_b))
			return true;
	}
	return false;
}
