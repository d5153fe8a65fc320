/* SPDX-License-Identifier: MIT */
/*
 * Normalising the memory map.
 *
 * Firmware maps come unsorted, with empty descriptors, with overlaps and with types nobody knows
 * (UEFI 2.10 §7.2.3 forbids some of that; it is seen all the same). The rule is simple and safe: every
 * page gets the type that is worst for us among all descriptors that claim it. What the loader put
 * somewhere (the overlays: kernel, initrd, handoff, trampoline) only counts where the firmware says
 * plain RAM, so a firmware that gave us memory it also calls reserved is believed about the latter.
 *
 * The way: collect the edges of all intervals, sort them, ask for each stretch between two edges which
 * claim is worst, join neighbours. Quadratic in the number of descriptors, which is 100 to 300 on real
 * machines and capped at 4,096; a cleverer sweep would need more memory after ExitBootServices.
 */
#include "memmap.h"

/* Physical addresses have at most 52 bits (SDM vol. 3A §4.1.4). */
#define PHYS_END	(1ull << 52)

#define EFI_MEMORY_WB	(1ull << 3)

/* How bad a type is for us; the worst claim wins. */
static unsigned type_rank(uint32_t type)
{
	static const uint8_t rank[] = {
		[BOOT_MEM_USABLE] = 1, [BOOT_MEM_BOOT_SERVICES] = 2, [BOOT_MEM_LOADER_RECLAIM] = 3,
		[BOOT_MEM_LOW] = 4, [BOOT_MEM_INITRD] = 5, [BOOT_MEM_KERNEL] = 6, [BOOT_MEM_TRAMPOLINE] = 7,
		[BOOT_MEM_ACPI_RECLAIM] = 8, [BOOT_MEM_RUNTIME_CODE] = 9, [BOOT_MEM_RUNTIME_DATA] = 10,
		[BOOT_MEM_ACPI_NVS] = 11, [BOOT_MEM_PERSISTENT] = 12, [BOOT_MEM_MMIO] = 13,
		[BOOT_MEM_UNUSABLE] = 14, [BOOT_MEM_RESERVED] = 15,
	};

	return rank[type];
}

static uint32_t efi_type_to_boot(uint32_t type)
{
	static const uint8_t types[] = {	/* UEFI 2.10 table 7.6 */
		BOOT_MEM_RESERVED, BOOT_MEM_LOADER_RECLAIM, BOOT_MEM_LOADER_RECLAIM, BOOT_MEM_BOOT_SERVICES,
		BOOT_MEM_BOOT_SERVICES, BOOT_MEM_RUNTIME_CODE, BOOT_MEM_RUNTIME_DATA, BOOT_MEM_USABLE,
		BOOT_MEM_UNUSABLE, BOOT_MEM_ACPI_RECLAIM, BOOT_MEM_ACPI_NVS, BOOT_MEM_MMIO, BOOT_MEM_MMIO,
		BOOT_MEM_RESERVED, BOOT_MEM_PERSISTENT,
	};

	return type < ARRAY_COUNT(types) ? types[type] : BOOT_MEM_RESERVED;
}

/* One claim on memory: a descriptor or an overlay, in whole pages. */
struct claim {
	uint64_t start;
	uint64_t end;
	uint32_t type;
	bool overlay;
	uint64_t attributes;
};

static unsigned claim_count(const struct memmap_source *s)
{
	return (unsigned)(s->raw_bytes / s->descriptor_bytes) + s->overlay_count;
}

/* The claim of this number; false when it claims nothing. */
static bool claim_get(const struct memmap_source *s, unsigned index, struct claim *claim)
{
	unsigned descriptors = (unsigned)(s->raw_bytes / s->descriptor_bytes);
	struct bootinfo_efi_descriptor d;
	uint64_t bytes;

	if (index >= descriptors) {
		const struct memmap_overlay *o = &s->overlays[index - descriptors];

		*claim = (struct claim){ o->base, o->base + o->length, o->type, true, 0 };
		return o->length != 0;
	}
	mem_copy(&d, (const uint8_t *)s->raw + (uint64_t)index * s->descriptor_bytes, sizeof(d));
	bytes = d.number_of_pages > PHYS_END / PAGE_BYTES ? PHYS_END : d.number_of_pages * PAGE_BYTES;
	claim->type = efi_type_to_boot(d.type);
	claim->attributes = d.attribute;
	claim->overlay = false;
	claim->start = d.physical_start;
	if (claim->start >= PHYS_END || !bytes)
		return false;
	claim->end = claim->start + bytes > PHYS_END ? PHYS_END : claim->start + bytes;
	/* RAM shrinks to whole pages, everything else grows. */
	if (type_rank(claim->type) <= type_rank(BOOT_MEM_LOADER_RECLAIM)) {
		claim->start = round_up(claim->start, PAGE_BYTES);
		claim->end = round_down(claim->end, PAGE_BYTES);
	} else {
		claim->start = round_down(claim->start, PAGE_BYTES);
		claim->end = round_up(claim->end, PAGE_BYTES);
	}
	return claim->start < claim->end;
}

static void sift_down(uint64_t *heap, unsigned root, unsigned count)
{
	for (unsigned child; (child = 2 * root + 1) < count; root = child) {
		uint64_t swap = heap[root];

		if (child + 1 < count && heap[child + 1] > heap[child])
			child++;
		if (swap >= heap[child])
			return;
		heap[root] = heap[child];
		heap[child] = swap;
	}
}

/* Heap sort: no recursion, no extra memory, no bad case. */
static void sort_edges(uint64_t *edges, unsigned count)
{
	for (unsigned root = count / 2; root-- > 0;)
		sift_down(edges, root, count);
	for (unsigned end = count; end-- > 1;) {
		uint64_t top = edges[0];

		edges[0] = edges[end];
		edges[end] = top;
		sift_down(edges, 0, end);
	}
}

static int collect_edges(const struct memmap_source *s, uint64_t *edges, unsigned capacity)
{
	unsigned n = 0;

	if (capacity < 1)
		return -1;
	edges[n++] = MEMMAP_LOW_END;
	for (unsigned i = 0; i < claim_count(s); i++) {
		struct claim claim;

		if (!claim_get(s, i, &claim))
			continue;
		if (capacity - n < 2)
			return -1;
		edges[n++] = claim.start;
		edges[n++] = claim.end;
	}
	sort_edges(edges, n);
	return (int)n;
}

/*
 * Who wins [start, end)? The worst claim of the firmware; an overlay only above plain RAM. Nothing
 * there: type 0.
 */
static struct bootinfo_region judge(const struct memmap_source *s, uint64_t start, uint64_t end)
{
	struct bootinfo_region region = { .base = start, .length = end - start };
	uint32_t overlay = 0;

	for (unsigned i = 0; i < claim_count(s); i++) {
		struct claim claim;

		if (!claim_get(s, i, &claim) || claim.start > start || claim.end < end)
			continue;
		if (claim.overlay) {
			if (!overlay || type_rank(claim.type) > type_rank(overlay))
				overlay = claim.type;
		} else if (!region.type || type_rank(claim.type) > type_rank(region.type)) {
			region.type = claim.type;
			region.attributes = claim.attributes;
		}
	}
	if (region.type && type_rank(region.type) <= type_rank(BOOT_MEM_LOADER_RECLAIM)) {
		if (overlay)
			region.type = overlay;
		else if (end <= MEMMAP_LOW_END)
			region.type = BOOT_MEM_LOW;
	}
	return region;
}

static bool continues(const struct bootinfo_region *last, const struct bootinfo_region *next)
{
	return last->base + last->length == next->base && last->type == next->type &&
	       last->attributes == next->attributes;
}

int memmap_normalise(const struct memmap_source *source, struct bootinfo_region *regions, unsigned capacity,
		     uint64_t *edges, unsigned edge_capacity)
{
	unsigned count = 0;
	int edge_count;

	if (source->descriptor_bytes < sizeof(struct bootinfo_efi_descriptor) ||
	    source->raw_bytes / source->descriptor_bytes > MEMMAP_DESCRIPTORS_MAX ||
	    source->overlay_count > MEMMAP_OVERLAYS_MAX)
		return -1;
	edge_count = collect_edges(source, edges, edge_capacity);
	for (int i = 0; i + 1 < edge_count; i++) {
		struct bootinfo_region region;

		if (edges[i] == edges[i + 1])
			continue;
		region = judge(source, edges[i], edges[i + 1]);
		if (!region.type)
			continue;
		if (count && continues(&regions[count - 1], &region)) {
			regions[count - 1].length += region.length;
			continue;
		}
		if (count == capacity)
			return -1;
		regions[count++] = region;
	}
	return edge_count < 0 || !memmap_free_bytes(regions, count) ? -1 : (int)count;
}

bool memmap_in_direct_map(const struct bootinfo_region *region)
{
	if (region->type >= BOOT_MEM_PERSISTENT)
		return false;
	/* Memory that cannot be cached write-back is flash or registers under another name. */
	return !region->attributes || region->attributes & EFI_MEMORY_WB;
}

uint64_t memmap_free_bytes(const struct bootinfo_region *regions, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		if (regions[i].type <= BOOT_MEM_BOOT_SERVICES)
			bytes += regions[i].length;
	return bytes;
}
