/* SPDX-License-Identifier: MIT */
/* SRAT, SLIT and MCFG of many shapes, and the nodes that are made of them. */
#include <lib/crc32.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>

#include <hal/numa_map.h>
#include "acpi_tables.h"

static struct acpi_memory mem;
static struct acpi_info info;
static struct numa_map map;

enum { RSDP = 0, XSDT = 0x100, SRAT = 0x1000, SLIT = 0x8000, MCFG = 0xe000 };

static u32 srat_end;

static void put(u32 at, u64 v, u32 bytes)
{
	memcpy(mem.data + at, &v, bytes);
}

static void seal(u32 at)
{
	mem.data[at + 9] = 0;
	mem.data[at + 9] = (u8)-checksum8(mem.data + at, get_le32(mem.data + at + 4));
}

static void table(u32 at, const char *signature, u32 len, u8 revision)
{
	memset(mem.data + at, 0, len);
	memcpy(mem.data + at, signature, 4);
	put(at + 4, len, 4);
	put(at + 8, revision, 1);
	seal(at);
}

static void empty_machine(void)
{
	static const u32 at[] = { SRAT, SLIT, MCFG };

	memset(&mem, 0, sizeof(mem));
	mem.n = ACPI_MEMORY_BYTES;
	memcpy(mem.data, "RSD PTR ", 8);
	put(RSDP + 15, 2, 1);
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, ACPI_BASE + XSDT, 8);
	mem.data[RSDP + 8] = (u8)-checksum8(mem.data, 20);
	mem.data[RSDP + 32] = (u8)-checksum8(mem.data, 36);
	table(XSDT, "XSDT", 36 + 8 * 3, 1);
	for (u32 i = 0; i < 3; i++)
		put(XSDT + 36 + 8 * i, ACPI_BASE + at[i], 8);
	seal(XSDT);
	table(SRAT, "SRAT", 48, 3);
	srat_end = SRAT + 48;
	table(SLIT, "SLIT", 44, 1);
	table(MCFG, "MCFG", 44, 1);
}

static void srat_entry(u8 type, u8 len)
{
	put(srat_end, type, 1);
	put(srat_end + 1, len, 1);
	srat_end += len;
	put(SRAT + 4, srat_end - SRAT, 4);
}

static void cpu(u32 apic_id, u32 domain, u32 flags)
{
	put(srat_end + 2, domain & 0xff, 1);
	put(srat_end + 3, apic_id, 1);
	put(srat_end + 4, flags, 4);
	put(srat_end + 9, domain >> 8, 3);
	srat_entry(0, 16);
}

static void x2apic(u32 apic_id, u32 domain, u32 flags)
{
	put(srat_end + 4, domain, 4);
	put(srat_end + 8, apic_id, 4);
	put(srat_end + 12, flags, 4);
	srat_entry(2, 24);
}

static void memory(u64 base, u64 bytes, u32 domain, u32 flags)
{
	put(srat_end + 2, domain, 4);
	put(srat_end + 8, base, 8);
	put(srat_end + 16, bytes, 8);
	put(srat_end + 28, flags, 4);
	srat_entry(1, 40);
}

/* n domains: 10 on the diagonal, `far` elsewhere. */
static void slit(u64 n, u8 far)
{
	table(SLIT, "SLIT", (u32)(44 + n * n), 1);
	put(SLIT + 36, n, 8);
	for (u32 i = 0; i < n * n; i++)
		mem.data[SLIT + 44 + i] = i / n == i % n ? 10 : far;
	seal(SLIT);
}

static void parse(void)
{
	struct acpi_access access = { memory_map, memory_unmap, memory_report, &mem };

	seal(SRAT);
	mem.reports = 0;
	EXPECT_EQ(acpi_parse(ACPI_BASE, &access, &info), 0);
	EXPECT_EQ(mem.mapped, 0);
	numa_build(&info, &map);
}

#define EMPTY_SLIT_REPORT 1	/* an empty SLIT is no table */

TEST(two_nodes)
{
	empty_machine();
	cpu(0, 0, 1);
	cpu(1, 7, 1);
	x2apic(0x100, 7, 1);
	memory(0, 0xa0000, 0, 1);
	memory(0x100000, GIB - 0x100000, 0, 1);
	memory(GIB, GIB, 7, 1);
	slit(8, 21);
	parse();
	EXPECT_EQ(mem.reports, 0);
	EXPECT(info.has_srat && info.nr_cpu_affinity == 3 && info.nr_memory_affinity == 3);
	EXPECT_EQ(map.nodes, 2);
	EXPECT(map.domain_of[0] == 0 && map.domain_of[1] == 7);
	EXPECT_EQ(map.nr_ranges, 3);
	EXPECT(map.ranges[2].base == GIB && map.ranges[2].node == 1);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 1), 1);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 0x100), 1);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 99), 0);
	EXPECT_EQ(numa_node_of_domain(&map, 7), 1);
	EXPECT_EQ(numa_node_of_domain(&map, 1), -1);	/* nobody's: a device there is near to no node */
	EXPECT(map.distance[0][0] == 10 && map.distance[0][1] == 21 && map.distance[1][0] == 21);
}

/* A row says how far it is from that domain to the others; ways there and back need not be equal. */
TEST(distances_have_a_direction)
{
	static const u8 far[9] = { 10, 21, 31, 22, 10, 41, 32, 42, 10 };

	empty_machine();
	for (u32 i = 0; i < 3; i++) {
		cpu(i, i, 1);
		memory(i * GIB, GIB, i, 1);
	}
	slit(3, 20);
	memcpy(mem.data + SLIT + 44, far, sizeof(far));
	seal(SLIT);
	parse();
	EXPECT_EQ(map.nodes, 3);
	for (u32 a = 0; a < 3; a++)
		for (u32 b = 0; b < 3; b++)
			EXPECT_EQ(map.distance[a][b], far[a * 3 + b]);
}

TEST(no_numa)
{
	empty_machine();
	parse();
	EXPECT(map.nodes == 1 && map.nr_ranges == 0 && map.distance[0][0] == 10);
	empty_machine();
	cpu(0, 3, 1);			/* all in one domain */
	cpu(1, 3, 1);
	memory(0, GIB, 3, 1);
	parse();
	EXPECT(map.nodes == 1 && map.nr_ranges == 0);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 1), 0);
	EXPECT_EQ(numa_node_of_domain(&map, 3), -1);	/* of one node nothing is said */
	empty_machine();
	cpu(0, 3, 1);			/* two domains, but no word about memory */
	cpu(1, 4, 1);
	parse();
	EXPECT(map.nodes == 1);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 1), 0);
}

TEST(disabled_and_doubled_entries)
{
	empty_machine();
	cpu(0, 0, 1);
	cpu(0, 1, 1);			/* again, elsewhere: reported */
	cpu(0, 0, 1);			/* again, the same */
	cpu(2, 1, 0);			/* disabled */
	cpu(255, 1, 1);			/* broadcast */
	x2apic(UINT32_MAX, 1, 1);
	x2apic(3, 1, 0);
	memory(0, GIB, 0, 0);		/* disabled */
	memory(0, GIB, 0, 1);
	memory(GIB, 0, 1, 1);		/* empty */
	memory(GIB, GIB, 1, 5);		/* non-volatile */
	memory(GIB, GIB, 1, 3);		/* hot-plug */
	memory(2 * GIB - MIB, GIB, 2, 1);	/* overlaps another domain's */
	memory(UINT64_MAX - 4096, 2 * MIB, 2, 1);	/* wraps */
	memory(GIB / 2, GIB / 2, 0, 1);	/* inside its own domain's: fine */
	parse();
	EXPECT_EQ(mem.reports, 3 + EMPTY_SLIT_REPORT);
	EXPECT_EQ(info.nr_cpu_affinity, 1);
	EXPECT_EQ(info.nr_memory_affinity, 3);
	EXPECT(info.memory_affinity[1].hotplug && !info.memory_affinity[0].hotplug);
	EXPECT_EQ(map.nodes, 2);
	EXPECT(map.nr_ranges == 2 && map.ranges[0].bytes == GIB && map.ranges[1].base == GIB);
}

TEST(old_revision_has_narrow_domains)
{
	empty_machine();
	cpu(0, 0xabcd00, 1);
	cpu(1, 0xabcd01, 1);
	memory(0, GIB, 0x55555500, 1);
	memory(GIB, GIB, 0x55555501, 1);
	put(SRAT + 8, 1, 1);
	parse();
	EXPECT(map.nodes == 2 && info.cpu_affinity[1].domain == 1 && info.memory_affinity[1].domain == 1);
	put(SRAT + 8, 2, 1);
	parse();
	EXPECT_EQ(map.nodes, 4);
	EXPECT(info.cpu_affinity[1].domain == 0xabcd01 && info.memory_affinity[1].domain == 0x55555501);
}

TEST(srat_bad_entries)
{
	empty_machine();
	cpu(0, 0, 1);
	srat_entry(1, 39);		/* short */
	srat_entry(200, 8);		/* unknown */
	srat_entry(5, 16);		/* generic initiator: not ours */
	cpu(1, 1, 1);
	parse();
	EXPECT(mem.reports == 1 + EMPTY_SLIT_REPORT && info.nr_cpu_affinity == 2);
	put(srat_end, 0, 2);		/* length 0 would never end */
	put(SRAT + 4, srat_end + 2 - SRAT, 4);
	parse();
	EXPECT(mem.reports == 2 + EMPTY_SLIT_REPORT && info.nr_cpu_affinity == 2);
	put(srat_end + 1, 200, 1);	/* past the end */
	parse();
	EXPECT(mem.reports == 2 + EMPTY_SLIT_REPORT && info.nr_cpu_affinity == 2);
	put(SRAT + 4, 47, 4);
	parse();
	EXPECT(!info.has_srat && map.nodes == 1);
}

TEST(slit_shapes)
{
	empty_machine();
	cpu(0, 0, 1);
	memory(0, GIB, 0, 1);
	memory(GIB, GIB, 1, 1);
	slit(2, 10);			/* another node cannot be as near as the own */
	parse();
	EXPECT(mem.reports == 1 && info.slit_domains == 0 && map.distance[0][1] == HAL_NODE_REMOTE);
	slit(2, 40);
	mem.data[SLIT + 44 + 3] = 11;	/* the own node is at 10 */
	seal(SLIT);
	parse();
	EXPECT(mem.reports == 1 && info.slit_domains == 0);
	slit(2, 255);			/* unreachable */
	parse();
	EXPECT(mem.reports == 0 && map.distance[0][1] == 255 && map.distance[1][1] == 10);
	slit(64, 30);
	parse();
	EXPECT(mem.reports == 0 && info.slit_domains == 64 && map.distance[1][0] == 30);
	slit(65, 30);
	parse();
	EXPECT(mem.reports == 1 && info.slit_domains == 0);
	slit(2, 30);
	put(SLIT + 36, 3, 8);		/* more than it has */
	seal(SLIT);
	parse();
	EXPECT(mem.reports == 1 && info.slit_domains == 0);
	slit(1, 30);			/* domain 1 is beyond it */
	parse();
	EXPECT(mem.reports == 0 && map.distance[0][1] == HAL_NODE_REMOTE && map.distance[1][1] == 10);
	slit(2, 30);
	put(SLIT + 36, 1ull << 32 | 2, 8);	/* whose square wraps */
	seal(SLIT);
	parse();
	EXPECT(mem.reports == 1 && info.slit_domains == 0);
}

TEST(too_many)
{
	empty_machine();
	for (u32 i = 0; i < 100; i++)
		cpu(i, i, 1);
	for (u32 i = 0; i < ACPI_MAX_MEMORY + 2; i++)
		memory((u64)i * GIB, GIB, i % 100, 1);
	parse();
	EXPECT_EQ(info.nr_memory_affinity, ACPI_MAX_MEMORY);
	EXPECT_EQ(mem.reports, 2 + EMPTY_SLIT_REPORT);
	EXPECT(map.nodes == HAL_MAX_NODES && map.nodes_dropped == 100 - HAL_MAX_NODES + 100 - HAL_MAX_NODES);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 63), 63);
	EXPECT_EQ(numa_node_of_apic(&info, &map, 64), 0);
	for (u32 i = 1; i < map.nr_ranges; i++)
		EXPECT(map.ranges[i - 1].base + map.ranges[i - 1].bytes <= map.ranges[i].base);
}

/* Ranges come in any order and are sorted; touching ones of a node become one. */
TEST(range_order)
{
	empty_machine();
	memory(3 * GIB, GIB, 1, 1);
	memory(GIB, GIB, 0, 1);
	memory(2 * GIB, GIB, 1, 1);
	memory(0, GIB, 0, 1);
	parse();
	EXPECT_EQ(map.nr_ranges, 2);
	EXPECT(map.ranges[0].base == 0 && map.ranges[0].bytes == 2 * GIB && map.ranges[0].node == 1);
	EXPECT(map.ranges[1].base == 2 * GIB && map.ranges[1].bytes == 2 * GIB && map.ranges[1].node == 0);
}

static void segment(u32 i, u64 base, u16 number, u8 first, u8 last)
{
	put(MCFG + 44 + 16 * i, base, 8);
	put(MCFG + 44 + 16 * i + 8, number, 2);
	put(MCFG + 44 + 16 * i + 10, first, 1);
	put(MCFG + 44 + 16 * i + 11, last, 1);
	put(MCFG + 4, 44 + 16 * (i + 1), 4);
	seal(MCFG);
}

TEST(mcfg_windows)
{
	empty_machine();
	slit(1, 0);
	segment(0, 0xb0000000, 0, 0, 127);
	segment(1, 0xb0000000, 0, 128, 255);	/* the same base, other buses: one window in two pieces */
	segment(2, 0xb0000000, 1, 0, 0);	/* another segment's registers there */
	segment(3, 0xd0000000, 0, 255, 255);	/* a bus twice */
	segment(4, 0xe0000000, 2, 5, 4);	/* ends before it begins */
	segment(5, 0xe0000001, 2, 0, 4);	/* not aligned */
	segment(6, 0, 2, 0, 4);
	segment(7, UINT64_MAX & ~0xfffffull, 2, 0, 4);
	segment(8, 0x1000000000, 3, 0, 255);
	parse();
	EXPECT_EQ(info.nr_segments, 3);
	EXPECT_EQ(mem.reports, 6);
	EXPECT(info.segments[2].segment == 3 && info.segments[2].paddr == 0x1000000000);
}
