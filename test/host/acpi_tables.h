/* SPDX-License-Identifier: MIT */
#ifndef TEST_HOST_ACPI_TABLES_H
#define TEST_HOST_ACPI_TABLES_H

/*
 * A pretended physical memory of 64 KiB at ACPI_BASE for the ACPI parser. Every
 * map hands out a copy of exactly the length asked for, so that a read past it is
 * seen; every map must be followed by its unmap.
 */
#include <hal/acpi.h>

#include "framework.h"

#define ACPI_BASE 0x7fe00000ULL
#define ACPI_MEMORY_BYTES 65536

struct acpi_memory {
	u8 data[ACPI_MEMORY_BYTES];
	size_t n;
	int mapped;
	int reports;
};

static inline const void *memory_map(void *ctx, paddr_t paddr, u64 len)
{
	struct acpi_memory *m = ctx;
	u8 *copy;

	if (paddr < ACPI_BASE || paddr - ACPI_BASE > m->n || len > m->n - (paddr - ACPI_BASE))
		return NULL;
	copy = host_alloc(len);
	host_memmove(copy, m->data + (paddr - ACPI_BASE), len);
	m->mapped++;
	return copy;
}

static inline void memory_unmap(void *ctx, const void *p, u64 len)
{
	struct acpi_memory *m = ctx;

	(void)len;
	m->mapped--;
	host_free((void *)(uintptr_t)p);
}

static inline void memory_report(void *ctx, const char *what, const char *table, paddr_t paddr)
{
	struct acpi_memory *m = ctx;

	(void)what;
	(void)table;
	(void)paddr;
	m->reports++;
}

#endif
