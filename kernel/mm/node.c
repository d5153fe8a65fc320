/* SPDX-License-Identifier: MIT */
/*
 * Near and far memory: which section of the frame table belongs to which node, and in which order nodes are asked.
 *
 * The HAL knows the nodes only after it has read the ACPI tables, which takes memory. So mm starts with one node, and
 * mm_numa_init() sorts what is there by then: the table of sections is filled, free blocks of the few sections that
 * are built move to their nodes' lists, and from then on a CPU asks its own node first. All that before a second CPU runs;
 * afterwards it never changes, and nothing of it needs a lock.
 *
 * A section (16 MiB) belongs to one node, so that the buddy's blocks do: the node of its first byte that firmware places. The
 * few pages of a boundary that is not a multiple of 16 MiB count for the neighbour. RAM that firmware does not place is node
 * 0's.
 *
 * Order: by distance; nodes that are equally far in the order of their numbers, starting behind the asking one, so that
 * not all of them lean on node 0.
 */
#define LOG_TAG "mm"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <lib/string.h>
#include "internal.h"

#define UNPLACED 0xff

static_assert(HAL_MAX_NODES <= 64, "a mask of nodes is one word");

u8 mm_numa;
u32 mm_nodes = 1;
u8 *mm_section_node;

static u8 orders[HAL_MAX_NODES][HAL_MAX_NODES];	/* [I] after boot */

void node_boot(u8 *section_node)
{
	mm_section_node = section_node;	/* zeroed: all are node 0's */
}

u32 node_order(u32 near, u32 k)
{
	return orders[near][k];
}

u32 mm_node_count(void)
{
	return mm_nodes;
}

u64 mm_nodes_with_memory(void)
{
	u64 mask = 0;

	for (u32 node = 0; node < mm_nodes; node++)
		if (frame_node_total(node))
			mask |= 1ull << node;
	return mask;
}

u32 mm_node_of_page(const struct page *page)
{
	return pfn_node(page_to_pfn(page));
}

u32 mm_node_of_cpu(u32 cpu)
{
	return mm_numa ? hal_numa_node_of_cpu(cpu) : 0;
}

u32 mm_node_distance(u32 a, u32 b)
{
	return mm_numa ? hal_numa_distance(a, b) : HAL_NODE_LOCAL;
}

void mm_node_stats(u32 node, struct mm_node_stats *out)
{
	out->total = frame_node_total(node);
	out->free = MIN(out->total, buddy_node_free(node) + frame_node_unbuilt(node));
}

/* [pfn, end) as far as it is not placed yet. */
static void place(u64 pfn, u64 end, u32 node)
{
	u64 last = MIN(end, frame_pfn_end());

	for (u64 section = pfn >> SECTION_ORDER; section << SECTION_ORDER < last; section++)
		if (mm_section_node[section] == UNPLACED)
			mm_section_node[section] = (u8)node;
}

static void place_all(void)
{
	u64 sections = frame_pfn_end() >> SECTION_ORDER, bytes;
	paddr_t base;
	u32 node;

	memset(mm_section_node, UNPLACED, sections);
	for (u32 i = 0; hal_numa_memory(i, &base, &bytes, &node); i++)
		place(base >> PAGE_SHIFT, (base + bytes) >> PAGE_SHIFT, node);
	for (u64 section = 0; section < sections; section++)
		if (mm_section_node[section] == UNPLACED)
			mm_section_node[section] = 0;
}

/* Insertion sort of a few numbers, once. */
static void sort_order(u32 near)
{
	u8 *order = orders[near];

	for (u32 k = 0; k < mm_nodes; k++) {
		u32 node = (near + k) % mm_nodes, i = k;

		for (; i > 0 && hal_numa_distance(near, order[i - 1]) > hal_numa_distance(near, node); i--)
			order[i] = order[i - 1];
		order[i] = (u8)node;
	}
}

void mm_numa_init(void)
{
	if (hal_numa_nodes() == 1)
		return;
	for (u32 node = 1; node < hal_numa_nodes(); node++)
		buddy_init_node(node);
	place_all();
	mm_nodes = hal_numa_nodes();
	for (u32 node = 0; node < mm_nodes; node++)
		sort_order(node);
	mm_numa = 1;
	buddy_rehome();
	frame_numa_init();
	buddy_set_cpu_node(hal_cpu_id(), hal_numa_node_of_cpu(hal_cpu_id()));
	for (u32 node = 0; node < mm_nodes; node++)
		log_info("node %u: %llu MiB", node, (unsigned long long)(frame_node_total(node) >> (20 - PAGE_SHIFT)));
}
