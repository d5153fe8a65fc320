/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_RECLAIM_H
#define KERNEL_MM_RECLAIM_H

/*
 * Memory pressure. When page_alloc() finds nothing and may sleep, it asks the shrinkers in the order of their
 * cost, tries again, and at last calls the OOM hook.
 */
#include <lib/compiler.h>
#include <lib/list.h>

struct mm_shrinker {
	const char *name;		/* [I] */
	/* Roughly how many pages could go. No lock held; must not sleep for long. */
	u64 (*count)(struct mm_shrinker *s);
	/*
	 * Frees about nr pages and returns how many did go. The caller may hold any sleeping lock (an allocation
	 * happens anywhere): use try-locks for everything. Allocations inside must be MM_NOWAIT.
	 */
	u64 (*scan)(struct mm_shrinker *s, u64 nr);
	u32 cost;			/* [I] 0 cheapest (caches of free things) .. 100 (clean file pages) */
	struct list_head node;		/* [reclaim lock] by cost */
};

/* Never undone. Thread context or boot. */
void mm_shrinker_register(struct mm_shrinker *s);

/* Frees about nr pages; returns how many. Thread context. Does nothing when called from a shrinker. */
u64 mm_reclaim(u64 nr);

/*
 * [I] The OOM killer: called with the order wanted after reclaim found nothing. True: something is being
 * killed, or memory came free: try again. False: the allocation fails. Thread context.
 */
extern bool (*mm_oom_hook)(u32 order, u32 flags);

/* Pages below which ordinary allocations reclaim first; MM_NOWAIT may go lower. */
u64 mm_reserve_pages(void);

#endif
