/* SPDX-License-Identifier: MIT */
/*
 * The page tables that the kernel starts on: 4 levels, built in an arena.
 */
#ifndef LOADER_PAGING_H
#define LOADER_PAGING_H

#include <boot/bootinfo.h>

#include "memmap.h"

#define PAGING_WRITE	1u
#define PAGING_EXECUTE	2u

/*
 * Tables lie in an arena of zeroed pages: `pages` is where the builder reaches it, `phys` where the CPU
 * does (the same under firmware, different on the host).
 */
struct paging {
	uint8_t *pages;
	uint64_t phys;
	unsigned used;		/* pages */
	unsigned capacity;	/* pages */
	bool has_1g;		/* CPUID 80000001h EDX bit 26 */
	uint64_t root;		/* physical address of the top table */
};

/* Begin in an empty arena. Returns 0, or -1 when not even the top table fits. */
int paging_init(struct paging *paging, void *pages, uint64_t phys, unsigned capacity, bool has_1g);

/*
 * Map [virt, virt + bytes) to [phys, ...), all page-aligned, with the largest pages up to `largest`
 * (4 KiB, 2 MiB or 1 GiB). Returns 0, or -1 when the arena is full, an address is not canonical, or
 * something is mapped there already.
 */
int paging_map(struct paging *paging, uint64_t virt, uint64_t phys, uint64_t bytes, unsigned flags, uint64_t largest);

/*
 * Change the permissions of a mapped range, splitting larger pages at its edges. Returns 0, or -1 when
 * the arena is full or part of the range is not mapped.
 */
int paging_protect(struct paging *paging, uint64_t virt, uint64_t bytes, unsigned flags);

/* What the tables say about an address: 0 and *phys, *flags, or -1 when it is not mapped. */
int paging_lookup(const struct paging *paging, uint64_t virt, uint64_t *phys, unsigned *flags);

/* One piece of the kernel image with its final permissions. */
struct paging_segment {
	uint64_t offset;	/* bytes from the start of the image, page-aligned */
	uint64_t bytes;		/* whole pages */
	unsigned flags;		/* PAGING_* */
};

/* All that the first address space holds; see <boot/bootinfo.h>. */
struct paging_plan {
	const struct bootinfo_region *regions;
	unsigned region_count;
	uint64_t direct_map_virt;
	uint64_t kernel_virt;
	uint64_t kernel_phys;
	uint64_t kernel_bytes;
	const struct paging_segment *segments;
	unsigned segment_count;
	uint64_t identity_page;
};

/* Pages of arena that surely do for the plan. */
unsigned paging_pages_for(const struct paging_plan *plan, bool has_1g);

/* Build it all. Returns 0, or -1 with the reason. */
int paging_build(struct paging *paging, const struct paging_plan *plan, struct load_error *error);

/* End of the highest memory in the direct map, rounded up to 1 GiB. */
uint64_t paging_direct_map_bytes(const struct bootinfo_region *regions, unsigned count);

#endif /* LOADER_PAGING_H */
