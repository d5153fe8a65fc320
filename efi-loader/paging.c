/* SPDX-License-Identifier: MIT */
/*
 * Building the first page tables (SDM vol. 3A §4.5).
 *
 * The direct map uses pages as large as a stretch of RAM allows and never a page that reaches beyond
 * RAM: a large page over a hole would let the CPU read device registers speculatively. The kernel image
 * is mapped in 4 KiB pages with final permissions, and its read-only parts are read-only in the direct
 * map too, so that no alias is writable.
 *
 * Intermediate entries grant everything; the leaf decides. Memory is write-back throughout (PAT entry
 * 0, which no firmware changes).
 */
#include "paging.h"

#define PTE_PRESENT	(1ull << 0)
#define PTE_WRITE	(1ull << 1)
#define PTE_LARGE	(1ull << 7)
#define PTE_NX		(1ull << 63)
#define PTE_ADDRESS	0x000ffffffffff000ull

#define ENTRIES		512u

/* Bytes that one entry of a table of this level spans: level 1 is 4 KiB. */
static uint64_t level_bytes(unsigned level)
{
	return PAGE_BYTES << 9 * (level - 1);
}

static unsigned level_index(uint64_t virt, unsigned level)
{
	return (unsigned)(virt / level_bytes(level)) % ENTRIES;
}

static bool is_canonical(uint64_t virt)
{
	return (uint64_t)((int64_t)(virt << 16) >> 16) == virt;
}

static uint64_t *table_at(const struct paging *p, uint64_t phys)
{
	return (uint64_t *)(void *)(p->pages + (phys - p->phys));
}

static uint64_t alloc_table(struct paging *p)
{
	uint64_t phys = p->phys + p->used * PAGE_BYTES;

	if (p->used == p->capacity)
		return 0;
	p->used++;
	mem_zero(table_at(p, phys), PAGE_BYTES);
	return phys;
}

static uint64_t leaf_bits(unsigned flags)
{
	return PTE_PRESENT | (flags & PAGING_WRITE ? PTE_WRITE : 0) | (flags & PAGING_EXECUTE ? 0 : PTE_NX);
}

/* Replace a large page by a table of 512 smaller ones with the same meaning. */
static int split_entry(struct paging *p, uint64_t *entry, unsigned level)
{
	uint64_t table = alloc_table(p), old = *entry;
	uint64_t *small;

	if (!table)
		return -1;
	small = table_at(p, table);
	for (unsigned i = 0; i < ENTRIES; i++) {
		small[i] = old + i * level_bytes(level - 1);
		if (level == 2)
			small[i] &= ~PTE_LARGE;
	}
	*entry = table | PTE_PRESENT | PTE_WRITE;
	return 0;
}

/*
 * The entry of `virt` in the table of `level`, making tables (and splitting large pages) on the way.
 * NULL when the arena is full.
 */
static uint64_t *walk(struct paging *p, uint64_t virt, unsigned level)
{
	uint64_t table = p->root;

	for (unsigned at = 4; at > level; at--) {
		uint64_t *entry = &table_at(p, table)[level_index(virt, at)];

		if (*entry & PTE_LARGE && split_entry(p, entry, at))
			return NULL;
		if (!(*entry & PTE_PRESENT)) {
			uint64_t fresh = alloc_table(p);

			if (!fresh)
				return NULL;
			*entry = fresh | PTE_PRESENT | PTE_WRITE;
		}
		table = *entry & PTE_ADDRESS;
	}
	return &table_at(p, table)[level_index(virt, level)];
}

/*
 * The root is the first of two frames that make 8 KiB: the kernel's entry code tells by that bit of CR3 its own roots from those
 * of programs when page tables are isolated.
 */
int paging_init(struct paging *p, void *pages, uint64_t phys, unsigned capacity, bool has_1g)
{
	*p = (struct paging){ .pages = pages, .phys = phys, .capacity = capacity, .has_1g = has_1g };
	p->root = alloc_table(p);
	if (p->root & PAGE_BYTES)
		p->root = alloc_table(p);
	return p->root ? 0 : -1;
}

/* The largest page that fits both addresses and the length. */
static unsigned page_level(const struct paging *p, uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t largest)
{
	for (unsigned level = p->has_1g ? 3 : 2; level > 1; level--) {
		uint64_t size = level_bytes(level);

		if (size <= largest && size <= bytes && !((virt | phys) & (size - 1)))
			return level;
	}
	return 1;
}

int paging_map(struct paging *p, uint64_t virt, uint64_t phys, uint64_t bytes, unsigned flags, uint64_t largest)
{
	while (bytes) {
		unsigned level = page_level(p, virt, phys, bytes, largest);
		uint64_t *entry = is_canonical(virt) && !(phys & ~PTE_ADDRESS) ? walk(p, virt, level) : NULL;

		if (!entry || *entry)
			return -1;
		*entry = phys | leaf_bits(flags) | (level > 1 ? PTE_LARGE : 0);
		virt += level_bytes(level);
		phys += level_bytes(level);
		bytes -= level_bytes(level);
	}
	return 0;
}

/* The level of the page that maps `virt`, or 0. */
static unsigned mapped_level(const struct paging *p, uint64_t virt, uint64_t *entry)
{
	uint64_t table = p->root;

	for (unsigned level = 4; level > 0; level--) {
		*entry = table_at(p, table)[level_index(virt, level)];
		if (!(*entry & PTE_PRESENT))
			return 0;
		if (level == 1 || *entry & PTE_LARGE)
			return level;
		table = *entry & PTE_ADDRESS;
	}
	return 0;
}

int paging_protect(struct paging *p, uint64_t virt, uint64_t bytes, unsigned flags)
{
	while (bytes) {
		uint64_t old, *entry;
		unsigned level = mapped_level(p, virt, &old);

		while (level > 1 && (virt & (level_bytes(level) - 1) || bytes < level_bytes(level)))
			level--;
		if (!level)
			return -1;
		entry = walk(p, virt, level);
		if (!entry)
			return -1;
		*entry = (*entry & (PTE_ADDRESS | PTE_LARGE)) | leaf_bits(flags);
		virt += level_bytes(level);
		bytes -= level_bytes(level);
	}
	return 0;
}

int paging_lookup(const struct paging *p, uint64_t virt, uint64_t *phys, unsigned *flags)
{
	uint64_t entry;
	unsigned level = is_canonical(virt) ? mapped_level(p, virt, &entry) : 0;

	if (!level)
		return -1;
	*phys = (entry & PTE_ADDRESS & ~(level_bytes(level) - 1)) | (virt & (level_bytes(level) - 1));
	*flags = (entry & PTE_WRITE ? PAGING_WRITE : 0) | (entry & PTE_NX ? 0 : PAGING_EXECUTE);
	return 0;
}

uint64_t paging_direct_map_bytes(const struct bootinfo_region *regions, unsigned count)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < count; i++)
		if (memmap_in_direct_map(&regions[i]) && regions[i].base + regions[i].length > end)
			end = regions[i].base + regions[i].length;
	return round_up(end, GIB);
}

unsigned paging_pages_for(const struct paging_plan *plan, bool has_1g)
{
	uint64_t direct = paging_direct_map_bytes(plan->regions, plan->region_count);
	/* The top, the identity page, the kernel's tables; each edge of RAM breaks a 1 GiB and a 2 MiB page. */
	uint64_t pages = 16 + plan->kernel_bytes / (2 * MIB) + 3 + 4ull * plan->region_count;

	/* Read-only parts of the kernel in the direct map: two edges each. */
	pages += 4ull * plan->segment_count + plan->kernel_bytes / (2 * MIB);
	pages += direct / (512 * GIB) + 2;
	if (!has_1g)
		pages += direct / GIB;
	return (unsigned)pages;
}

static int map_direct(struct paging *p, const struct paging_plan *plan)
{
	for (unsigned i = 0; i < plan->region_count; i++) {
		uint64_t base = plan->regions[i].base, end = base + plan->regions[i].length;

		if (!memmap_in_direct_map(&plan->regions[i]))
			continue;
		/* Neighbours of different types are one stretch of RAM here. */
		while (i + 1 < plan->region_count && memmap_in_direct_map(&plan->regions[i + 1]) &&
		       plan->regions[i + 1].base == end)
			end += plan->regions[++i].length;
		if (paging_map(p, plan->direct_map_virt + base, base, end - base, PAGING_WRITE, GIB))
			return -1;
	}
	return 0;
}

static int map_kernel(struct paging *p, const struct paging_plan *plan)
{
	for (unsigned i = 0; i < plan->segment_count; i++) {
		const struct paging_segment *s = &plan->segments[i];
		uint64_t phys = plan->kernel_phys + s->offset;

		if (paging_map(p, plan->kernel_virt + s->offset, phys, s->bytes, s->flags, PAGE_BYTES))
			return -1;
		if (!(s->flags & PAGING_WRITE) && paging_protect(p, plan->direct_map_virt + phys, s->bytes, 0))
			return -1;
	}
	return 0;
}

int paging_build(struct paging *p, const struct paging_plan *plan, struct load_error *error)
{
	if (map_direct(p, plan))
		return load_refuse(error, "the direct map cannot be built", "page tables", p->used);
	if (map_kernel(p, plan))
		return load_refuse(error, "the kernel image cannot be mapped", "page tables", p->used);
	if (paging_map(p, plan->identity_page, plan->identity_page, PAGE_BYTES, PAGING_EXECUTE, PAGE_BYTES))
		return load_refuse(error, "the jump page cannot be mapped", "address", plan->identity_page);
	return 0;
}
