/* SPDX-License-Identifier: MIT */
/*
 * Memory pressure: asks the caches of the kernel to give memory back, the cheapest first.
 *
 * An allocation inside of a shrinker must not come here again. Each reclaiming thread notes itself in one of a few
 * slots; who is in a slot already gets 0. When all slots are taken enough is being done.
 */
#define LOG_TAG "mm"
#include <kernel/core/spinlock.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/reclaim.h>
#include "internal.h"

#define RECLAIMERS 64u	/* so many threads at once: with fewer, allocations on many CPUs would fail for want of a slot */

bool (*mm_oom_hook)(u32 order, u32 flags);

static struct spinlock reclaim_lock = SPINLOCK_INIT("reclaim", LOCK_RANK_RECLAIM);
static LIST_HEAD(shrinkers);			/* [l] reclaim_lock to add; only ever grows: walked without */
static struct thread *reclaimers[RECLAIMERS];	/* [a] */

void mm_shrinker_register(struct mm_shrinker *s)
{
	irqflags_t f = spin_lock_irqsave(&reclaim_lock);
	struct mm_shrinker *at;
	struct list_head *before = &shrinkers;

	list_for_each_entry(at, &shrinkers, node) {
		if (at->cost > s->cost) {
			before = &at->node;
			break;
		}
	}
	list_add_tail_rcu(&s->node, before);
	spin_unlock_irqrestore(&reclaim_lock, f);
}

/* A slot for the calling thread; NULL when it has one already or all are taken. */
static struct thread **reclaim_enter(void)
{
	struct thread *me = hal_current();

	for (u32 i = 0; i < RECLAIMERS; i++)
		if (READ_ONCE(reclaimers[i]) == me)
			return NULL;
	for (u32 i = 0; i < RECLAIMERS; i++)
		if (cmpxchg(&reclaimers[i], (struct thread *)NULL, me) == NULL)
			return &reclaimers[i];
	return NULL;
}

u64 mm_reclaim(u64 nr)
{
	struct thread **slot = hal_current() ? reclaim_enter() : NULL;
	struct mm_shrinker *s;
	u64 freed = 0;

	if (!slot)
		return 0;
	list_for_each_entry_rcu(s, &shrinkers, node) {
		if (freed >= nr)
			break;
		if (s->count(s))
			freed += s->scan(s, nr - freed);
	}
	WRITE_ONCE(*slot, NULL);
	return freed;
}

/* mm's own: free stacks, free slabs. */
static u64 own_count(struct mm_shrinker *s)
{
	(void)s;
	return 1;
}

static u64 own_scan(struct mm_shrinker *s, u64 nr)
{
	u64 before = buddy_free_pages();

	(void)s;
	kmap_purge();
	(void)kstack_trim(nr);
	slab_drain();
	page_cache_drain();
	return buddy_free_pages() > before ? buddy_free_pages() - before : 0;
}

static struct mm_shrinker own_shrinker = { .name = "mm", .count = own_count, .scan = own_scan };

void reclaim_init(void)
{
	mm_shrinker_register(&own_shrinker);
}
