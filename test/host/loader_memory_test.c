/* SPDX-License-Identifier: MIT */
/* The memory map, the first page tables, and where things go at random. */
#include "framework.h"

#include "paging.h"
#include "random.h"

#define WB	8ull	/* EFI_MEMORY_WB */

struct descriptor {
	struct bootinfo_efi_descriptor d;
	uint64_t more;		/* descriptors are longer than version 1's */
};

static struct bootinfo_region regions[64];
static uint64_t edges[64];

static struct descriptor descriptor(uint32_t type, uint64_t start, uint64_t pages)
{
	return (struct descriptor){ .d = { .type = type, .physical_start = start, .number_of_pages = pages,
					   .attribute = WB } };
}

static int normalise(const struct descriptor *map, unsigned count, const struct memmap_overlay *overlays,
		     unsigned overlay_count)
{
	struct memmap_source s = { map, count * sizeof(*map), sizeof(*map), overlays, overlay_count };

	return memmap_normalise(&s, regions, ARRAY_COUNT(regions), edges, ARRAY_COUNT(edges));
}

#define EXPECT_REGION(i, b, l, t)					\
	do {								\
		EXPECT_EQ(regions[i].base, b);				\
		EXPECT_EQ(regions[i].length, l);			\
		EXPECT_EQ(regions[i].type, t);				\
	} while (0)

TEST(map_is_sorted_and_joined)
{
	struct descriptor map[] = {
		descriptor(7, 0x400000, 0x100), descriptor(7, 0x200000, 0x100), descriptor(7, 0x300000, 0x100),
		descriptor(0, 0x800000, 1), descriptor(7, 0x900000, 0),
	};

	EXPECT_EQ(normalise(map, ARRAY_COUNT(map), NULL, 0), 2);
	EXPECT_REGION(0, 0x200000, 0x300000, BOOT_MEM_USABLE);
	EXPECT_REGION(1, 0x800000, 0x1000, BOOT_MEM_RESERVED);
}

TEST(worst_claim_wins)
{
	struct descriptor map[] = {
		descriptor(7, 0x200000, 0x300), descriptor(0, 0x300000, 0x10), descriptor(99, 0x380000, 1),
		descriptor(4, 0x300000, 0x20),
	};

	EXPECT_EQ(normalise(map, ARRAY_COUNT(map), NULL, 0), 6);
	EXPECT_REGION(0, 0x200000, 0x100000, BOOT_MEM_USABLE);
	EXPECT_REGION(1, 0x300000, 0x10000, BOOT_MEM_RESERVED);
	EXPECT_REGION(2, 0x310000, 0x10000, BOOT_MEM_BOOT_SERVICES);
	EXPECT_REGION(3, 0x320000, 0x60000, BOOT_MEM_USABLE);
	EXPECT_REGION(4, 0x380000, 0x1000, BOOT_MEM_RESERVED);
	EXPECT_REGION(5, 0x381000, 0x17f000, BOOT_MEM_USABLE);
}

TEST(overlays_count_on_plain_memory_only)
{
	struct descriptor map[] = { descriptor(2, 0x200000, 0x200), descriptor(5, 0x400000, 0x10) };
	struct memmap_overlay overlays[] = {
		{ 0x300000, 0x100000, BOOT_MEM_KERNEL }, { 0x400000, 0x1000, BOOT_MEM_INITRD },
	};

	EXPECT_EQ(normalise(map, 2, overlays, 2), 3);
	EXPECT_REGION(0, 0x200000, 0x100000, BOOT_MEM_LOADER_RECLAIM);
	EXPECT_REGION(1, 0x300000, 0x100000, BOOT_MEM_KERNEL);
	EXPECT_REGION(2, 0x400000, 0x10000, BOOT_MEM_RUNTIME_CODE);
}

TEST(low_memory_is_left_alone)
{
	struct descriptor map[] = { descriptor(7, 0, 0xa0), descriptor(3, 0xf0000, 0x100), descriptor(9, 0xe0000, 1) };
	struct memmap_overlay trampoline = { 0x9000, 0x1000, BOOT_MEM_TRAMPOLINE };

	EXPECT_EQ(normalise(map, 3, &trampoline, 1), 6);
	EXPECT_REGION(0, 0, 0x9000, BOOT_MEM_LOW);
	EXPECT_REGION(1, 0x9000, 0x1000, BOOT_MEM_TRAMPOLINE);
	EXPECT_REGION(2, 0xa000, 0x96000, BOOT_MEM_LOW);
	EXPECT_REGION(3, 0xe0000, 0x1000, BOOT_MEM_ACPI_RECLAIM);
	EXPECT_REGION(4, 0xf0000, 0x10000, BOOT_MEM_LOW);
	EXPECT_REGION(5, 0x100000, 0xf0000, BOOT_MEM_BOOT_SERVICES);
}

TEST(impossible_maps_are_refused)
{
	struct descriptor map[] = { descriptor(0, 0x200000, 0x100), descriptor(7, ~0ull - 4095, ~0ull) };
	struct memmap_source s = { map, sizeof(map), 8, NULL, 0 };

	EXPECT_EQ(normalise(map, 2, NULL, 0), -1);		/* no RAM */
	EXPECT_EQ(memmap_normalise(&s, regions, 64, edges, 64), -1);
	map[0].d.type = 7;
	EXPECT_EQ(normalise(map, 2, NULL, 0), 1);
	s.descriptor_bytes = sizeof(*map);
	EXPECT_EQ(memmap_normalise(&s, regions, 0, edges, 64), -1);
	EXPECT_EQ(memmap_normalise(&s, regions, 64, edges, 2), -1);
}

TEST(uncached_memory_is_not_in_the_direct_map)
{
	struct bootinfo_region r = { .length = 0x1000, .type = BOOT_MEM_RUNTIME_DATA, .attributes = 1 };

	EXPECT(!memmap_in_direct_map(&r));
	r.attributes = WB;
	EXPECT(memmap_in_direct_map(&r));
	r.type = BOOT_MEM_MMIO;
	EXPECT(!memmap_in_direct_map(&r));
}

/* ---- page tables --------------------------------------------------------------------------------- */

#define ARENA_PHYS	0x5000000ull
#define DIRECT		0xffff900000000000ull
#define KERNEL		0xffffffff80400000ull

static const struct bootinfo_region ram[] = {
	{ .base = 0, .length = 0xa0000, .type = BOOT_MEM_LOW },
	{ .base = 0x100000, .length = 0x7ff00000, .type = BOOT_MEM_USABLE },
	{ .base = 0x80000000, .length = 0x1000, .type = BOOT_MEM_MMIO },
	{ .base = 0x100000000, .length = 0x80000000, .type = BOOT_MEM_USABLE },
	{ .base = 0x180000000, .length = 0x5000, .type = BOOT_MEM_ACPI_NVS },
};

static const struct paging_segment segments[] = {
	{ 0, 0x3000, PAGING_EXECUTE }, { 0x3000, 0x2000, 0 }, { 0x5000, 0x4000, PAGING_WRITE },
};

static const struct paging_plan plan = {
	.regions = ram, .region_count = ARRAY_COUNT(ram), .direct_map_virt = DIRECT, .kernel_virt = KERNEL,
	.kernel_phys = 0x40000000, .kernel_bytes = 0x9000, .segments = segments,
	.segment_count = ARRAY_COUNT(segments), .identity_page = 0x8000,
};

static struct paging tables;

/* "----" unmapped, or r, w, x. */
static const char *access_to(uint64_t virt, uint64_t want_phys)
{
	uint64_t phys;
	unsigned flags;

	if (paging_lookup(&tables, virt, &phys, &flags))
		return "none";
	if (phys != want_phys)
		return "elsewhere";
	return flags == 0 ? "r" : flags == PAGING_WRITE ? "rw" : flags == PAGING_EXECUTE ? "rx" : "rwx";
}

static void check_plan(bool has_1g)
{
	unsigned pages = paging_pages_for(&plan, has_1g);
	uint8_t *arena = host_alloc(pages * PAGE_BYTES);
	struct load_error error;

	EXPECT_EQ(paging_init(&tables, arena, ARENA_PHYS, pages, has_1g), 0);
	EXPECT_EQ(paging_build(&tables, &plan, &error), 0);
	EXPECT_STR(access_to(DIRECT + 0x1234, 0x1234), "rw");
	EXPECT_STR(access_to(DIRECT + 0xa0000, 0), "none");
	EXPECT_STR(access_to(DIRECT + 0x3fffffff, 0x3fffffff), "rw");
	EXPECT_STR(access_to(DIRECT + 0x80000000, 0), "none");
	EXPECT_STR(access_to(DIRECT + 0x17fffffff, 0x17fffffff), "rw");
	EXPECT_STR(access_to(DIRECT + 0x180004fff, 0x180004fff), "rw");
	EXPECT_STR(access_to(DIRECT + 0x180005000, 0), "none");
	EXPECT_STR(access_to(KERNEL, 0x40000000), "rx");
	EXPECT_STR(access_to(KERNEL + 0x4fff, 0x40004fff), "r");
	EXPECT_STR(access_to(KERNEL + 0x5000, 0x40005000), "rw");
	EXPECT_STR(access_to(KERNEL + 0x9000, 0), "none");
	EXPECT_STR(access_to(DIRECT + 0x40000000, 0x40000000), "r");
	EXPECT_STR(access_to(DIRECT + 0x40004fff, 0x40004fff), "r");
	EXPECT_STR(access_to(DIRECT + 0x40005000, 0x40005000), "rw");
	EXPECT_STR(access_to(DIRECT + 0x40200000, 0x40200000), "rw");
	EXPECT_STR(access_to(0x8000, 0x8000), "rx");
	EXPECT_STR(access_to(0x9000, 0), "none");
	host_free(arena);
}

TEST(address_space_with_1g_pages)
{
	check_plan(true);
	EXPECT(tables.used < 20);
}

TEST(address_space_without_1g_pages)
{
	check_plan(false);
}

TEST(a_full_arena_is_an_error)
{
	for (unsigned pages = 1; pages < 12; pages++) {
		uint8_t *arena = host_alloc(pages * PAGE_BYTES);
		struct load_error error;

		EXPECT_EQ(paging_init(&tables, arena, ARENA_PHYS, pages, true), 0);
		EXPECT_EQ(paging_build(&tables, &plan, &error), -1);
		host_free(arena);
	}
	EXPECT_EQ(paging_init(&tables, NULL, ARENA_PHYS, 0, true), -1);
}

TEST(mapping_twice_is_refused)
{
	uint8_t *arena = host_alloc(16 * PAGE_BYTES);

	EXPECT_EQ(paging_init(&tables, arena, ARENA_PHYS, 16, true), 0);
	EXPECT_EQ(paging_map(&tables, DIRECT, 0, GIB, PAGING_WRITE, GIB), 0);
	EXPECT_EQ(paging_map(&tables, DIRECT + 0x1000, 0, 0x1000, PAGING_WRITE, GIB), -1);
	EXPECT_EQ(paging_map(&tables, 0x800000000000ull, 0, 0x1000, PAGING_WRITE, GIB), -1);
	EXPECT_EQ(paging_protect(&tables, DIRECT + GIB, 0x1000, 0), -1);
	EXPECT_STR(access_to(DIRECT + 0x1fffff, 0x1fffff), "rw");
	host_free(arena);
}

/* The bound of paging_pages_for() holds for maps of any shape. */
TEST(arena_bound_holds)
{
	for (unsigned round = 0; round < test_rounds(200); round++) {
		struct bootinfo_region shape[24];
		struct paging_plan any = plan;
		uint64_t base = random_below(64) * PAGE_BYTES;
		unsigned count = (unsigned)random_below(23) + 1, pages;
		bool has_1g = random_below(2);
		struct load_error error;
		uint8_t *arena;

		for (unsigned i = 0; i < count; i++) {
			uint64_t bytes = (1 + random_below(random_below(2) ? 2000000 : 600)) * PAGE_BYTES;

			shape[i] = (struct bootinfo_region){ .base = base, .length = bytes,
							     .type = random_below(4) ? BOOT_MEM_USABLE : BOOT_MEM_MMIO };
			base += bytes + random_below(3) * random_below(600) * PAGE_BYTES;
		}
		shape[0].type = BOOT_MEM_USABLE;
		shape[0].length = 0x50000000;
		for (unsigned i = 1; i < count; i++)
			shape[i].base += 0x50000000;
		any.regions = shape;
		any.region_count = count;
		any.identity_page = 0x7000;
		pages = paging_pages_for(&any, has_1g);
		arena = host_alloc(pages * PAGE_BYTES);
		EXPECT_EQ(paging_init(&tables, arena, ARENA_PHYS, pages, has_1g), 0);
		EXPECT_EQ(paging_build(&tables, &any, &error), 0);
		host_free(arena);
		if (test_failed())
			break;
	}
}

/* ---- randomness ---------------------------------------------------------------------------------- */

TEST(sponge_mixes)
{
	struct sponge a, b;
	uint64_t x[8], y[8];
	unsigned same = 0;

	sponge_init(&a);
	sponge_init(&b);
	sponge_absorb(&a, "x", 1);
	sponge_absorb(&b, "y", 1);
	sponge_squeeze(&a, x, sizeof(x));
	sponge_squeeze(&b, y, sizeof(y));
	for (unsigned i = 0; i < 8; i++)
		same += 64 - (unsigned)__builtin_popcountll(x[i] ^ y[i]);
	EXPECT(same > 200 && same < 312);	/* 512 bits: half of them, give or take five sigma */
	sponge_squeeze(&a, y, sizeof(y));
	EXPECT(!mem_equal(x, y, sizeof(x)));
}

TEST(places_are_legal_and_spread)
{
	struct sponge sponge;
	uint64_t seen = 0;

	sponge_init(&sponge);
	for (unsigned i = 0; i < 1000; i++) {
		struct kaslr k;

		EXPECT_EQ(kaslr_choose(&sponge, 3 * MIB, 8 * GIB, false, &k), 0);
		EXPECT(k.slide % BOOT_KERNEL_SLIDE_ALIGN == 0 && k.slide + 3 * MIB <= BOOT_KERNEL_AREA_BYTES);
		EXPECT(k.direct_map_virt % BOOT_DIRECT_MAP_ALIGN == 0);
		EXPECT(k.direct_map_virt >= BOOT_DIRECT_MAP_FIRST &&
		       k.direct_map_virt + 8 * GIB <= BOOT_DIRECT_MAP_END);
		seen |= 1ull << (k.slide / BOOT_KERNEL_SLIDE_ALIGN) % 64;
	}
	EXPECT(seen == ~0ull);
}

TEST(fixed_places)
{
	struct sponge sponge;
	struct kaslr k;

	sponge_init(&sponge);
	EXPECT_EQ(kaslr_choose(&sponge, MIB, GIB, true, &k), 0);
	EXPECT_EQ(k.slide, 0);
	EXPECT(k.direct_map_virt == BOOT_DIRECT_MAP_FIRST);
	EXPECT_EQ(kaslr_choose(&sponge, 2 * GIB, GIB, true, &k), -1);
	EXPECT_EQ(kaslr_choose(&sponge, MIB, 65 * 1024 * GIB, false, &k), -1);
}
