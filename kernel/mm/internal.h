/* SPDX-License-Identifier: MIT */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

/* What the files of mm share. Not for other layers. */
#include <hal/numa.h>
#include <kernel/core/percpu.h>
#include <kernel/mm/page.h>
#include <kernel/mm/pt.h>
#include <kernel/mm/slab.h>

/* A section: what the frame table is built by. Blocks of the buddy never cross one. */
#define SECTION_ORDER	12u
#define SECTION_PAGES	(1ull << SECTION_ORDER)		/* 16 MiB */
#define SECTION_TABLE_PAGES (SECTION_PAGES * sizeof(struct page) / PAGE_SIZE)

#define MM_LOW_PFN_END	(4ull * GIB >> PAGE_SHIFT)	/* where zone 0 ends */
enum { ZONE_LOW, ZONE_HIGH, ZONE_COUNT };

static inline u32 pfn_zone(u64 pfn)
{
	return pfn < MM_LOW_PFN_END ? ZONE_LOW : ZONE_HIGH;
}

/*
 * Near and far memory (node.c). A section belongs to one node. As long as mm_numa (page.h) is 0 there is one, and nobody looks at
 * the table; it is set once, at boot, when one CPU runs.
 */
#define NO_NODE		(~0u)
extern u32 mm_nodes;		/* [I] after boot: how many, at least 1 */
extern u8 *mm_section_node;	/* [I] after boot */

static inline u32 pfn_node(u64 pfn)
{
	return mm_numa ? mm_section_node[pfn >> SECTION_ORDER] : 0;
}

/* Where to take memory: from `near` first, then as far as it must, but only from these nodes. */
struct node_pick {
	u32 near;
	u64 allowed;
};
#define ALL_NODES (~0ull)

/* The k-th nearest node from there; k 0 is itself. */
u32 node_order(u32 near, u32 k);
/* The node of the CPU that runs this. Any context; a hint. */
u32 node_here(void);
void node_boot(u8 *section_node);
/* The zones' locks, in numa_init: free blocks of built sections go to the node that they are of. */
void buddy_rehome(void);
/* RAM of that node that the allocator was given, and what of it is free, in pages. Racy. */
u64 frame_node_unbuilt(u32 node);
u64 frame_node_total(u32 node);
u64 buddy_node_free(u32 node);
/* numastat's interleave_hit; not exact when several CPUs count at once. */
void buddy_count_interleaved(u32 node);
/* Counts what frame.c was given before the nodes were known. */
void frame_numa_init(void);

/* Pages by use, counted per CPU and summed for statistics. [own CPU, interrupts off] */
struct mm_counts {
	s64 user;
	s64 slab;
	s64 slab_reclaimable;
	s64 magazines;
	s64 tables;
	s64 stacks;
	s64 vmalloc;
};
DECLARE_PER_CPU(struct mm_counts, mm_counts);

#define mm_count(field, n) do {							\
		irqflags_t count_flags_ = hal_irq_save();			\
		this_cpu(mm_counts).field += (n);				\
		hal_irq_restore(count_flags_);					\
	} while (0)

/* frame.c. Builds another section, of that zone or a lower one, of that node or (NO_NODE) any. False: there is none. Any context. */
bool frame_grow(u32 zone, u32 node);
u64 frame_unbuilt_pages(void);
u64 frame_total_pages(void);
u64 frame_machine_pages(void);
u64 frame_table_pages(void);
/* Frame numbers end here, built or not. */
u64 frame_pfn_end(void);

/* buddy.c */
void buddy_init(void);
void buddy_init_node(u32 node);
void buddy_set_cpu_node(u32 cpu, u32 node);
/* Gives [pfn, end), whose frames have table entries, to the free lists. */
void buddy_add_span(u64 pfn, u64 end);
/* One free frame for frame.c's own use, or NULL. No growth, no reclaim. */
struct page *buddy_take_one(void);
void buddy_free(struct page *page, u32 order);
/* Sum of all zones. */
u64 buddy_free_pages(void);
/* This CPU's list back to the zones. */
void page_cache_drain(void);
u64 page_cache_count(void);

/* pt.c. Maps one frame of the frame table; `table_page` gives zeroed tables. 0 or -ENOMEM. */
int pt_map_frame_table(vaddr_t va, paddr_t pa, bool (*table_page)(paddr_t *out));
void pt_set_kernel_root(paddr_t root);

/* reclaim.c */
void reclaim_init(void);

/* kstack.c */
void kstack_init(void);
/* Unmaps up to n cached stacks; returns pages freed. Thread context. */
u64 kstack_trim(u64 n);
void kstack_drain_cpu(void); /* this CPU's free stacks go on the global list. Any context */
void kstack_drain_gone(u32 cpu); /* the same of a CPU that is offline */

#endif
