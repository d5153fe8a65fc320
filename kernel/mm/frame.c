/* SPDX-License-Identifier: MIT */
/*
 * The frame table, built lazily.
 *
 * The table is a virtual array of struct page at HAL_FRAME_TABLE_BASE, indexed by frame number. A machine with much
 * RAM would spend boot time and memory on entries that nobody needs yet, so RAM starts as a list of unbuilt ranges,
 * which count as free, and is taken into the allocator one section (16 MiB) at a time: when the free lists run
 * low, frame_grow() picks a section, maps frames of its own RAM as its piece of the table, zeroes them (type
 * PAGE_RESERVED) and gives the rest of its RAM to the buddy. So the cost of memory is paid when it is first
 * used, and boot does not depend on how much there is.
 *
 * Invariants: a section is built wholly or not at all; all entries of a built section can be read; RAM that comes
 * later (mm_free_range) goes straight to the buddy when its section is built and to the ranges when not. A frame
 * that is in no range when its section is built stays PAGE_RESERVED.
 *
 * Which section: of the wanted zone (above 4 GiB first, to keep what old devices can reach), whole sections before
 * pieces, in ascending order. With several nodes: of the wanted node.
 *
 * KASAN: the section's piece of the direct map gets its shadow with the table (kasan_shadow.c), from the same RAM.
 *
 * Boot: before there is any section, mm_init() takes frames directly from the ranges (boot_take). Those never get
 * back.
 *
 * Locks: grow_lock (LOCK_RANK_FRAME_GROW), then the zone's. Any context.
 */
#define LOG_TAG "mm"
#include <hal/pt.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "internal.h"
#include "kasan.h"

#define RANGES_MAX 256u

/* [start, end) of frames. */
struct ram_range {
	u64 start;
	u64 end;
};

static struct spinlock grow_lock = SPINLOCK_INIT("frame table", LOCK_RANK_FRAME_GROW);

/* Key: [g] grow_lock. */
static struct ram_range ranges[RANGES_MAX];	/* [g] unbuilt, sorted, apart */
static u32 range_count;				/* [g] */
static u64 unbuilt_pages;			/* [g] their sum, read racily */
static u64 total_pages;				/* [g] ever given, read racily */
static u64 table_pages;				/* [g] */
static u64 machine_pages;			/* [I] after boot */
static u64 *section_map;			/* bit: built; set with a release */
static u64 section_count;			/* [I] after mm_init */
static bool mm_ready;				/* [I] */
static struct ram_range given[RANGES_MAX];	/* [I] after mm_init: the ranges as they came, for the sizes of nodes */
static u32 given_count;				/* [I] */
static u64 node_total[HAL_MAX_NODES];		/* [g] pages, read racily */
static u64 nodes_built;				/* [g] bit: the node has nothing unbuilt. Read racily */

bool pfn_valid(u64 pfn)
{
	u64 section = pfn >> SECTION_ORDER;

	return section < section_count && atomic_test_bit((u32)section, section_map);
}

u64 frame_unbuilt_pages(void)
{
	return READ_ONCE(unbuilt_pages);
}

u64 frame_total_pages(void)
{
	return READ_ONCE(total_pages);
}

u64 frame_pfn_end(void)
{
	return section_count << SECTION_ORDER;
}

u64 frame_table_pages(void)
{
	return READ_ONCE(table_pages);
}

/* ---- ranges [g] -------------------------------------------------------------------------------- */

static void range_delete(u32 i)
{
	range_count--;
	for (; i < range_count; i++)
		ranges[i] = ranges[i + 1];
}

/* Sorted insertion; neighbours that touch become one. False: the list is full. */
static bool range_insert(u64 start, u64 end)
{
	u32 i = 0;

	while (i < range_count && ranges[i].end < start)
		i++;
	if (i < range_count && ranges[i].start <= end) {
		ranges[i].start = MIN(ranges[i].start, start);
		ranges[i].end = MAX(ranges[i].end, end);
		if (i + 1 < range_count && ranges[i].end == ranges[i + 1].start) {
			ranges[i].end = ranges[i + 1].end;
			range_delete(i + 1);
		}
		return true;
	}
	if (range_count == RANGES_MAX)
		return false;
	for (u32 j = range_count++; j > i; j--)
		ranges[j] = ranges[j - 1];
	ranges[i] = (struct ram_range){ start, end };
	return true;
}

/* Cuts [start, end), which may lie anywhere, out of range i. False: no room to split, nothing was changed. */
static bool range_cut(u32 i, u64 start, u64 end)
{
	struct ram_range *r = &ranges[i];

	if (start <= r->start && end >= r->end) {
		range_delete(i);
	} else if (start <= r->start) {
		r->start = end;
	} else if (end >= r->end) {
		r->end = start;
	} else {
		u64 rest = r->end;

		if (range_count == RANGES_MAX)
			return false;
		r->end = start;
		for (u32 j = range_count++; j > i + 1; j--)
			ranges[j] = ranges[j - 1];
		ranges[i + 1] = (struct ram_range){ end, rest };
	}
	return true;
}

void mm_boot_add_ram(paddr_t base, u64 bytes)
{
	u64 start = ALIGN_UP(base, PAGE_SIZE) >> PAGE_SHIFT, end = (base + bytes) >> PAGE_SHIFT;

	if (start >= end)
		return;
	if (!range_insert(start, end)) {
		log_warn("memory map too fragmented: %llu KiB at %#llx stay unused",
			 (unsigned long long)(end - start) * 4, (unsigned long long)base);
		return;
	}
	total_pages += end - start;
	unbuilt_pages += end - start;
}

void mm_boot_set_total(u64 bytes)
{
	machine_pages = bytes >> PAGE_SHIFT;
}

u64 frame_machine_pages(void)
{
	return MAX(machine_pages, frame_total_pages());
}

/* ---- building a section [g] -------------------------------------------------------------------- */

/* RAM of the section that is in the ranges. */
static u64 section_ram(u64 section)
{
	u64 first = section << SECTION_ORDER, end = first + SECTION_PAGES, sum = 0;

	for (u32 i = 0; i < range_count; i++) {
		u64 a = MAX(ranges[i].start, first), b = MIN(ranges[i].end, end);

		if (a < b)
			sum += b - a;
	}
	return sum;
}

/* Does a piece of that many pages pay for its part of the table? */
static bool section_worth(u64 pages)
{
	return pages >= 2 * SECTION_TABLE_PAGES;
}

/* The first whole section of a range in the zone, else the first piece that is worth it. */
static bool pick_section(u32 zone, u64 *out)
{
	bool found = false;

	for (u32 i = 0; i < range_count; i++) {
		u64 section = ALIGN_UP(ranges[i].start, SECTION_PAGES) >> SECTION_ORDER;

		if (pfn_zone(ranges[i].start) != zone)
			continue;
		if ((section + 1) << SECTION_ORDER <= ranges[i].end) {
			*out = section;
			return true;
		}
		section = ranges[i].start >> SECTION_ORDER;
		if (!found && !section_worth(section_ram(section)))
			section++;	/* the head is too small; what about the rest? */
		if (!found && section << SECTION_ORDER < ranges[i].end && section_worth(section_ram(section))) {
			*out = section;
			found = true;
		}
	}
	return found;
}

/* The same for one node, section by section: its first whole one, else the first piece that is worth it. */
static bool pick_section_of_node(u32 zone, u32 node, u64 *out)
{
	bool found = false;

	for (u32 i = 0; i < range_count; i++) {
		u64 last = (ranges[i].end - 1) >> SECTION_ORDER;

		for (u64 section = ranges[i].start >> SECTION_ORDER; section <= last; section++) {
			u64 first = section << SECTION_ORDER;

			if (mm_section_node[section] != node || pfn_zone(first) != zone)
				continue;
			if (first >= ranges[i].start && first + SECTION_PAGES <= ranges[i].end) {
				*out = section;
				return true;
			}
			if (!found && section_worth(section_ram(section))) {
				*out = section;
				found = true;
			}
		}
	}
	return found;
}

static bool pick(u32 zone, u32 node, u64 *out)
{
	if (!mm_numa || node == NO_NODE)
		return pick_section(zone, out);
	if (nodes_built & (1ull << node))
		return false;
	return pick_section_of_node(zone, node, out);
}

/* Frames for the table and for page tables: from the section that is being built, or, when that has none left,
 * from the free lists. */
static u64 donor_section;

static bool take_frame(paddr_t *out)
{
	u64 first = donor_section << SECTION_ORDER, end = first + SECTION_PAGES;
	struct page *page;

	for (u32 i = 0; i < range_count; i++) {
		u64 pfn = MAX(ranges[i].start, first);

		if (pfn >= MIN(ranges[i].end, end) || !range_cut(i, pfn, pfn + 1))
			continue;
		unbuilt_pages--;
		*out = pfn << PAGE_SHIFT;
		return true;
	}
	page = buddy_take_one();
	if (!page)
		return false;
	*out = page_to_phys(page);
	return true;
}

/* Counts as the frame table's, be it for its entries or for the page tables that map them. */
static bool take_zeroed_frame(paddr_t *out)
{
	if (!take_frame(out))
		return false;
	table_pages++;
	hal_zero_page(hal_phys_to_virt(*out));
	return true;
}

/* Maps the section's piece of the table. A failure leaves it partly mapped, to be continued by the next attempt. */
static int section_map_table(u64 section)
{
	vaddr_t va = (vaddr_t)(uintptr_t)pfn_to_page(section << SECTION_ORDER);

	for (u64 i = 0; i < SECTION_TABLE_PAGES; i++, va += PAGE_SIZE) {
		paddr_t pa;

		if (pt_kernel_phys(va, &pa, NULL))
			continue;
		if (!take_zeroed_frame(&pa) || pt_map_frame_table(va, pa, take_zeroed_frame))
			return -ENOMEM;
	}
	return 0;
}

#if HALCYON_KASAN
#define SHADOW_PAGES (SECTION_PAGES >> HAL_SHADOW_SHIFT)	/* one large page */

/* A block of the section for the whole of its shadow, aligned to its size. */
static bool take_shadow_block(u64 section, paddr_t *out)
{
	u64 first = section << SECTION_ORDER, end = first + SECTION_PAGES;

	for (u32 i = 0; i < range_count; i++) {
		u64 a = ALIGN_UP(MAX(ranges[i].start, first), SHADOW_PAGES), b = a + SHADOW_PAGES;

		if (b > MIN(ranges[i].end, end) || !range_cut(i, a, b))
			continue;
		unbuilt_pages -= SHADOW_PAGES;
		table_pages += SHADOW_PAGES;
		*out = a << PAGE_SHIFT;
		return true;
	}
	return false;
}

/* The direct map's shadow for frames that the allocator is about to get. */
static int shadow_for_span(u64 pfn, u64 end)
{
	return kasan_shadow_make((vaddr_t)(uintptr_t)hal_phys_to_virt(pfn << PAGE_SHIFT), (end - pfn) << PAGE_SHIFT,
				 take_zeroed_frame);
}

/* Page by page where the section is in pieces: only what has RAM of ours. */
static int section_map_shadow(u64 section)
{
	u64 first = section << SECTION_ORDER, end = first + SECTION_PAGES;
	paddr_t block;
	int err = 0;

	if (take_shadow_block(section, &block))
		return kasan_shadow_make_large((vaddr_t)(uintptr_t)hal_phys_to_virt(first << PAGE_SHIFT), block,
					       take_zeroed_frame);
	for (u32 i = 0; i < range_count && !err; i++) {
		u64 a = MAX(ranges[i].start, first), b = MIN(ranges[i].end, end);

		if (a < b)
			err = shadow_for_span(a, b);
	}
	return err;
}

static void shadow_free_span(u64 pfn, u64 end)
{
	kasan_poison(hal_phys_to_virt(pfn << PAGE_SHIFT), (end - pfn) << PAGE_SHIFT, KASAN_FREE_PAGE);
}
#else
static inline int shadow_for_span(u64 pfn, u64 end)
{
	(void)pfn, (void)end;
	return 0;
}

static inline int section_map_shadow(u64 section)
{
	(void)section;
	return 0;
}

static inline void shadow_free_span(u64 pfn, u64 end)
{
	(void)pfn, (void)end;
}
#endif

static void section_release_ram(u64 section)
{
	u64 first = section << SECTION_ORDER, end = first + SECTION_PAGES;

	for (u32 i = 0; i < range_count; i++) {
		u64 a = MAX(ranges[i].start, first), b = MIN(ranges[i].end, end);

		if (a >= b || !range_cut(i, a, b))
			continue;
		unbuilt_pages -= b - a;
		shadow_free_span(a, b);
		buddy_add_span(a, b);
		i = (u32)-1;
	}
}

static bool section_build(u64 section)
{
	donor_section = section;
	if (section_map_shadow(section))
		return false;
	if (section_map_table(section))
		return false;
	atomic_set_bit((u32)section, section_map);
	section_release_ram(section);
	return true;
}

bool frame_grow(u32 zone, u32 node)
{
	bool grown = false;
	irqflags_t f;
	u64 section;

	if (!frame_unbuilt_pages() || (node != NO_NODE && (READ_ONCE(nodes_built) & (1ull << node))))
		return false;
	f = spin_lock_irqsave(&grow_lock);
	if (pick(zone, node, &section) || (zone == ZONE_HIGH && pick(ZONE_LOW, node, &section)))
		grown = section_build(section);
	else if (zone == ZONE_HIGH && node != NO_NODE && mm_numa)
		WRITE_ONCE(nodes_built, nodes_built | (1ull << node));
	spin_unlock_irqrestore(&grow_lock, f);
	return grown;
}

/* ---- nodes ------------------------------------------------------------------------------------- */

/* The pages of [pfn, end) in each node's sum. */
static void count_node_pages(u64 pfn, u64 end)
{
	while (pfn < end) {
		u64 stop = MIN(end, ALIGN_DOWN(pfn, SECTION_PAGES) + SECTION_PAGES);

		node_total[pfn_node(pfn)] += stop - pfn;
		pfn = stop;
	}
}

void frame_numa_init(void)
{
	memset(node_total, 0, sizeof(node_total));
	for (u32 i = 0; i < given_count; i++)
		count_node_pages(given[i].start, given[i].end);
}

u64 frame_node_total(u32 node)
{
	return READ_ONCE(node_total[node]);
}

u64 frame_node_unbuilt(u32 node)
{
	irqflags_t f = spin_lock_irqsave(&grow_lock);
	u64 sum = 0;

	for (u32 i = 0; i < range_count; i++) {
		for (u64 pfn = ranges[i].start; pfn < ranges[i].end;) {
			u64 stop = MIN(ranges[i].end, ALIGN_DOWN(pfn, SECTION_PAGES) + SECTION_PAGES);

			if (pfn_node(pfn) == node)
				sum += stop - pfn;
			pfn = stop;
		}
	}
	spin_unlock_irqrestore(&grow_lock, f);
	return sum;
}

/* ---- memory that comes later ------------------------------------------------------------------- */

void mm_free_range(paddr_t base, u64 bytes)
{
	u64 pfn = ALIGN_UP(base, PAGE_SIZE) >> PAGE_SHIFT, end = (base + bytes) >> PAGE_SHIFT;
	irqflags_t f;

	ASSERT(mm_ready);
	f = spin_lock_irqsave(&grow_lock);
	end = MIN(end, section_count << SECTION_ORDER);
	while (pfn < end) {
		u64 stop = MIN(end, ALIGN_DOWN(pfn, SECTION_PAGES) + SECTION_PAGES);

		count_node_pages(pfn, stop);
		WRITE_ONCE(nodes_built, 0);
		if (pfn_valid(pfn)) {
			donor_section = pfn >> SECTION_ORDER;
			if (!shadow_for_span(pfn, stop)) {
				total_pages += stop - pfn;
				shadow_free_span(pfn, stop);
				buddy_add_span(pfn, stop);
			}
		} else if (range_insert(pfn, stop)) {
			total_pages += stop - pfn;
			unbuilt_pages += stop - pfn;
		}
		pfn = stop;
	}
	spin_unlock_irqrestore(&grow_lock, f);
}

/* ---- boot -------------------------------------------------------------------------------------- */

/* Frames in a row from the first range that has them, zeroed. Boot only. */
static paddr_t boot_take(u64 pages)
{
	for (u32 i = 0; i < range_count; i++) {
		u64 pfn = ranges[i].start;

		if (ranges[i].end - pfn < pages)
			continue;
		(void)range_cut(i, pfn, pfn + pages);
		unbuilt_pages -= pages;
		for (u64 p = 0; p < pages; p++)
			hal_zero_page(hal_phys_to_virt((pfn + p) << PAGE_SHIFT));
		return pfn << PAGE_SHIFT;
	}
	panic("no memory to start with: %u ranges", range_count);
}

/* Tables below the root for [start, end): top-level entries must not change once processes copy them. */
static void boot_fill_root(hal_pte_t *root, vaddr_t start, vaddr_t end)
{
	unsigned int level = HAL_PT_LEVELS - 1;

	for (unsigned int i = hal_pt_index(start, level); i <= hal_pt_index(end - 1, level); i++)
		if (hal_pte_is_none(root[i]))
			root[i] = hal_pte_table(boot_take(1), false);
}

#if HALCYON_KASAN
/* The same for the shadow of [start, end): there the HAL's shared tables get copies. */
static void boot_fill_shadow(hal_pte_t *root, vaddr_t start, vaddr_t end)
{
	unsigned int level = HAL_PT_LEVELS - 1;
	unsigned int last = hal_pt_index((vaddr_t)(uintptr_t)hal_shadow_of(end - 1), level);

	for (unsigned int i = hal_pt_index((vaddr_t)(uintptr_t)hal_shadow_of(start), level); i <= last; i++) {
		paddr_t shared = hal_pte_paddr(root[i], 0), pa;

		if (shared != hal_shadow_zero(level))
			continue;
		pa = boot_take(1);
		hal_copy_page(hal_phys_to_virt(pa), hal_phys_to_virt(shared));
		root[i] = hal_pte_table(pa, false);
	}
}
#else
static inline void boot_fill_shadow(hal_pte_t *root, vaddr_t start, vaddr_t end)
{
	(void)root, (void)start, (void)end;
}
#endif

/*
 * The kernel's own root. The lower tables of the direct map and of the image stay the loader's; the user half, with
 * the identity page of the jump, is left behind.
 */
static void boot_make_root(void)
{
	const hal_pte_t *old = hal_phys_to_virt(hal_pt_root_current());
	paddr_t pa = boot_take(1);
	hal_pte_t *root;

	/* The HAL tells the roots of a pair by their place. This one has no other, but must not look like a second. */
	while (!IS_ALIGNED(pa, PAGE_SIZE << hal_pt_root_order()))
		pa = boot_take(1);
	root = hal_phys_to_virt(pa);
	for (unsigned int i = HAL_PT_KERNEL_FIRST; i < HAL_PT_ENTRIES; i++)
		root[i] = old[i];
	boot_fill_root(root, HAL_FRAME_TABLE_BASE, (vaddr_t)(uintptr_t)pfn_to_page(section_count << SECTION_ORDER));
	boot_fill_root(root, HAL_KMAP_BASE, HAL_KMAP_BASE + 2 * (1ull << hal_pt_shift(HAL_PT_LEVELS - 1)));
	boot_fill_root(root, HAL_ENTRY_BASE, HAL_ENTRY_END);
	boot_fill_shadow(root, hal_direct_map_base, hal_direct_map_base + hal_direct_map_length);
	boot_fill_shadow(root, HAL_KMAP_BASE, HAL_KMAP_BASE + 2 * (1ull << hal_pt_shift(HAL_PT_LEVELS - 1)));
	hal_pt_kernel_template_init(pa);
	pt_set_kernel_root(pa);
	hal_space_activate(pa, NULL);
}

void mm_init(void)
{
	u64 bits = ALIGN_UP(hal_direct_map_length >> PAGE_SHIFT, SECTION_PAGES) >> SECTION_ORDER;

	VERIFY(range_count && ranges[range_count - 1].end <= bits << SECTION_ORDER);
	section_count = bits;
	memcpy(given, ranges, sizeof(given));
	given_count = range_count;
	section_map = hal_phys_to_virt(boot_take(DIV_ROUND_UP(BITMAP_WORDS(bits) * 8 + bits, PAGE_SIZE)));
	node_boot((u8 *)(section_map + BITMAP_WORDS(bits)));
	boot_make_root();
	buddy_init();
	reclaim_init();
	mm_ready = true;
	frame_numa_init();
	if (!frame_grow(ZONE_HIGH, NO_NODE))
		panic("no section of memory can be built");
	stack_depot_init();
	log_info("%llu KiB of memory in %u ranges", (unsigned long long)total_pages * 4, range_count);
}

/* ---- what the HAL asks for --------------------------------------------------------------------- */

int upcall_page_frame_alloc(paddr_t *out)
{
	struct page *page = page_alloc(0, MM_KERNEL);

	if (!page)
		return -ENOMEM;
	*out = page_to_phys(page);
	return 0;
}

int upcall_page_frame_alloc_low(paddr_t *out)
{
	struct page *page = page_alloc(0, MM_KERNEL | MM_DMA32);

	if (!page)
		return -ENOMEM;
	*out = page_to_phys(page);
	return 0;
}

void upcall_page_frame_free(paddr_t frame)
{
	page_put(phys_to_page(frame));
}
