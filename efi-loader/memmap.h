/* SPDX-License-Identifier: MIT */
/*
 * From the firmware's memory map to the kernel's: sorted, page-aligned, without overlaps.
 */
#ifndef LOADER_MEMMAP_H
#define LOADER_MEMMAP_H

#include <boot/bootinfo.h>

#include "text.h"

#define MEMMAP_DESCRIPTORS_MAX	4096u
#define MEMMAP_OVERLAYS_MAX	8u
#define MEMMAP_LOW_END		MIB

/* What the loader itself put into memory: [base, base + length), whole pages. */
struct memmap_overlay {
	uint64_t base;
	uint64_t length;
	uint32_t type;		/* enum boot_mem_type */
};

struct memmap_source {
	const void *raw;		/* the map as GetMemoryMap gave it */
	uint64_t raw_bytes;
	uint64_t descriptor_bytes;	/* step by this */
	const struct memmap_overlay *overlays;
	unsigned overlay_count;
};

/* Regions that `descriptors` and `overlays` can become at most: each edge may begin one. */
#define MEMMAP_REGIONS_FOR(descriptors, overlays)	(2u * ((descriptors) + (overlays)) + 2u)
/* Edges that the normalisation needs room for. */
#define MEMMAP_EDGES_FOR(descriptors, overlays)		MEMMAP_REGIONS_FOR(descriptors, overlays)

/*
 * Normalise. `regions` has room for `capacity` of them, `edges` for `edge_capacity` scratch values.
 * Returns the number of regions, or -1 when the map is not one (descriptor size, no RAM) or the room
 * does not do. Allocates nothing and prints nothing: it runs after ExitBootServices.
 */
int memmap_normalise(const struct memmap_source *source, struct bootinfo_region *regions, unsigned capacity,
		     uint64_t *edges, unsigned edge_capacity);

/* Whether the direct map holds memory of this region. */
bool memmap_in_direct_map(const struct bootinfo_region *region);

/* Bytes of RAM that the kernel can use in the end: usable, loader and boot services. */
uint64_t memmap_free_bytes(const struct bootinfo_region *regions, unsigned count);

#endif /* LOADER_MEMMAP_H */
