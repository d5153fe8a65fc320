/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as firmware tables. The corpus files are images of pretended physical
 * memory at ACPI_BASE, the RSDP first; fuzz_repair seals checksums again, without
 * which nearly every mutant would stop at the first one.
 */
#include <lib/crc32.h>
#include <lib/fls.h>
#include <lib/string.h>

#include <hal/numa_map.h>
#include "acpi_tables.h"

const char fuzz_corpus[] = "acpi";
const unsigned int fuzz_rounds = 20000;

static struct acpi_memory mem;
static struct acpi_info info;
static struct numa_map map;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

static void seal(u8 *p, size_t n, size_t at)
{
	u32 len;

	if (at > n || n - at < 36)
		return;
	len = get_le32(p + at + 4);
	if (len < 36 || len > n - at)
		return;
	p[at + 9] = (u8)(p[at + 9] - checksum8(p + at, len));
}

void fuzz_repair(u8 *p, size_t n)
{
	static const char *names[] = { "RSDT", "XSDT", "APIC", "FACP", "DSDT", "SSDT", "HPET", "SPCR", "MCFG",
				       "SRAT", "SLIT" };

	for (size_t at = 0; at + 36 <= n; at += 4)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (memcmp(p + at, names[i], 4) == 0)
				seal(p, n, at);
	if (n >= 36) {
		p[8] = (u8)(p[8] - checksum8(p, 20));
		p[32] = (u8)(p[32] - checksum8(p, 36));
	}
}

/* What is made of the SRAT must be sound whatever it said. */
static void check_nodes(void)
{
	numa_build(&info, &map);
	check(map.nodes >= 1 && map.nodes <= HAL_MAX_NODES && map.nr_ranges <= ACPI_MAX_MEMORY);
	for (u32 i = 0; i < map.nr_ranges; i++) {
		const struct numa_range *r = &map.ranges[i];

		check(r->node < map.nodes && r->bytes && r->base + r->bytes >= r->base);
		check(!i || r[-1].base + r[-1].bytes <= r->base);
	}
	for (u32 i = 0; i < map.nodes; i++)
		for (u32 j = 0; j < map.nodes; j++)
			check(i == j ? map.distance[i][j] == HAL_NODE_LOCAL : map.distance[i][j] > HAL_NODE_LOCAL);
	check(numa_node_of_apic(&info, &map, 1) < map.nodes);
}

void fuzz_one(const u8 *data, size_t n)
{
	struct acpi_access access = { memory_map, memory_unmap, memory_report, &mem };
	int err;

	mem.n = MIN(n, (size_t)ACPI_MEMORY_BYTES);
	memcpy(mem.data, data, mem.n);
	err = acpi_parse(ACPI_BASE, &access, &info);
	check(mem.mapped == 0);
	check(info.nr_tables <= ACPI_MAX_TABLES && info.nr_cpus <= ACPI_MAX_CPUS);
	check(info.nr_ioapics <= ACPI_MAX_IOAPICS && info.nr_overrides <= ACPI_MAX_OVERRIDES);
	check(info.nr_nmi_sources <= ACPI_MAX_NMIS && info.nr_lapic_nmis <= ACPI_MAX_NMIS);
	check(info.nr_segments <= ACPI_MAX_SEGMENTS);
	check(info.nr_cpu_affinity <= ACPI_MAX_CPUS && info.nr_memory_affinity <= ACPI_MAX_MEMORY);
	check(info.slit_domains <= ACPI_MAX_DOMAINS);
	check_nodes();
	check(info.s5_type_a <= 7 && info.s5_type_b <= 7);
	check(!err || !info.has_madt);
	for (u32 irq = 0; irq < 256; irq++)
		check(acpi_isa_irq(&info, (u8)irq).polarity != ACPI_POLARITY_BUS);
}
