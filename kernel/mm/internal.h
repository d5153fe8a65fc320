/* SPDX-License-Identifier: MIT */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

/* What the files of mm share. Not for other layers. */
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

/* frame.c. Builds another section, of that zone or a lower one. False: everything is built. Any context. */
bool frame_grow(u32 zone);
u64 frame_unbuilt_pages(void);
u64 frame_total_pages(void);
u64 frame_machine_pages(void);
u64 frame_table_pages(void);
/* Frame numbers end here, built or not. */
u64 frame_pfn_end(void);

/* buddy.c */
void buddy_init(void);
/* Gives [pfn, end), whose frames have table entries, to the free lists. */
void buddy_add_span(u64 pfn, u64 end);
/* One free frame for frame.c's own use, or NULL. No growth, no reclaim. */
struct page *buddy_take_one(void);
void buddy_free(struct page *page, u32 order);
/* Sum of both zones. */
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

#endif
