/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the firmware's memory map. What comes out is sorted, page-aligned, without overlaps; no
 * byte that the firmware calls anything but plain memory is free; and page tables can be built for it.
 */
#include "framework.h"

#include "paging.h"

#define REGIONS	512u
#define DIRECT	0xffff800000000000ull

const char fuzz_corpus[] = "loader_memmap";
const unsigned int fuzz_rounds = 30000;

static struct bootinfo_region regions[REGIONS];
static uint64_t edges[REGIONS];

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

static void check_order(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct bootinfo_region *r = &regions[i];

		check(r->length && !(r->base % PAGE_BYTES) && !(r->length % PAGE_BYTES));
		check(r->type >= BOOT_MEM_USABLE && r->type <= BOOT_MEM_RESERVED);
		check(r->base + r->length > r->base);
		if (i)
			check(regions[i - 1].base + regions[i - 1].length <= r->base);
		if (r->type <= BOOT_MEM_BOOT_SERVICES)
			check(r->base >= MEMMAP_LOW_END);
	}
}

/* Free regions must not touch a descriptor of another kind: loader, boot services, conventional. */
static void check_honour(const u8 *raw, u64 bytes, u64 step, unsigned count)
{
	for (u64 at = 0; at + step <= bytes; at += step) {
		struct bootinfo_efi_descriptor d;

		host_memmove(&d, raw + at, sizeof(d));
		if ((d.type >= 1 && d.type <= 4) || d.type == 7 || d.physical_start >= 1ull << 52 || !d.number_of_pages)
			continue;
		for (unsigned i = 0; i < count; i++)
			if (regions[i].type <= BOOT_MEM_BOOT_SERVICES)
				check(d.physical_start >= regions[i].base + regions[i].length ||
				      (d.physical_start < regions[i].base &&
				       (regions[i].base - d.physical_start + PAGE_BYTES - 1) / PAGE_BYTES >=
					       d.number_of_pages));
	}
}

static void check_tables(unsigned count)
{
	static const struct paging_segment segment = { 0, 0x2000, PAGING_EXECUTE };
	struct paging_plan plan = {
		.regions = regions, .region_count = count, .direct_map_virt = DIRECT,
		.kernel_virt = 0xffffffff80000000ull, .kernel_bytes = 0x2000, .segments = &segment, .segment_count = 1,
	};
	unsigned pages;
	struct load_error error;
	struct paging tables;
	u8 *arena;

	for (unsigned i = 0; i < count && !plan.kernel_phys; i++)
		if (regions[i].type == BOOT_MEM_USABLE && memmap_in_direct_map(&regions[i]) && regions[i].length >= 0x2000)
			plan.kernel_phys = plan.identity_page = regions[i].base;
	if (!plan.kernel_phys || plan.identity_page >> 47 || paging_direct_map_bytes(regions, count) > 1024 * GIB)
		return;
	pages = paging_pages_for(&plan, true);
	arena = host_alloc(pages * PAGE_BYTES);
	check(!paging_init(&tables, arena, 1ull << 40, pages, true) && !paging_build(&tables, &plan, &error));
	host_free(arena);
}

void fuzz_one(const u8 *data, size_t n)
{
	u64 step = n ? 40 + data[0] % 32 : 40;
	struct memmap_overlay overlay = { 0x400000, 0x3000, BOOT_MEM_KERNEL };
	struct memmap_source s;
	int count;

	if (!n)
		return;
	s = (struct memmap_source){ data + 1, (n - 1) / step * step, step, &overlay, 1 };
	count = memmap_normalise(&s, regions, REGIONS, edges, REGIONS);
	if (count < 0)
		return;
	check_order((unsigned)count);
	check_honour(data + 1, s.raw_bytes, step, (unsigned)count);
	check_tables((unsigned)count);
}
