/* SPDX-License-Identifier: MIT */
/*
 * Where freed slab objects wait, poisoned, before they are given out again: the longer, the better the chance that who
 * still uses one is caught.
 *
 * Each CPU has a ring of objects, oldest first, bounded in number and in bytes. What is over the bound goes home, a few
 * at a time, so that a free costs about one object's way home. A ring is touched by its CPU with interrupts off; the
 * slab's lock is taken inside. mm_drain(), reclaim and the end of a cache empty it.
 */
#include <kernel/core/percpu.h>
#include "kasan.h"
#include "leak_stamp.h"
#include "slab.h"

#if HALCYON_KASAN

#define RING_OBJECTS	4096u
#define RING_BYTES	(2u * MIB)
#define RING_BATCH	8u

/* [own CPU, interrupts off] */
struct ring {
	void **objects;		/* NULL: never used */
	u32 first;
	u32 count;
	u64 bytes;
};
static DEFINE_PER_CPU(struct ring, rings);

static struct page *slab_of(const void *obj)
{
	return page_head(virt_to_page(obj));
}

static void *ring_pop(struct ring *r)
{
	void *obj = r->objects[r->first];

	r->first = (r->first + 1) % RING_OBJECTS;
	r->count--;
	r->bytes -= slab_of(obj)->slab.cache->stride;
	return obj;
}

static void ring_push(struct ring *r, void *obj)
{
	r->objects[(r->first + r->count) % RING_OBJECTS] = obj;
	r->count++;
	r->bytes += slab_of(obj)->slab.cache->stride;
}

static void go_home(void *obj)
{
	slab_put_object(slab_of(obj)->slab.cache, obj);
}

/* Without memory for a ring there is no quarantine. */
static bool ring_ready(struct ring *r)
{
	u32 order = 0;
	struct page *page;

	if (likely(r->objects))
		return true;
	while (PAGE_SIZE << order < RING_OBJECTS * sizeof(void *))
		order++;
	page = page_alloc(order, MM_NOWAIT | MM_NOFAIL_INJECT);
	if (!page)
		return false;
	leak_ignore_page(page);
	kasan_count_kept(1ull << order);
	r->objects = page_address(page);
	return true;
}

void quarantine_put(struct kmem_cache *c, void *obj)
{
	irqflags_t f = hal_irq_save();
	struct ring *r = this_cpu_ptr(&rings);

	if (!ring_ready(r)) {
		slab_put_object(c, obj);
	} else {
		for (u32 i = 0; i < RING_BATCH && r->count && (r->count == RING_OBJECTS || r->bytes > RING_BYTES); i++)
			go_home(ring_pop(r));
		ring_push(r, obj);
	}
	hal_irq_restore(f);
}

/* Interrupts off. Objects of other caches go round once and are in the same order again. */
static void ring_drain(struct ring *r, const struct kmem_cache *c)
{
	for (u32 n = r->count; n; n--) {
		void *obj = ring_pop(r);

		if (!c || slab_of(obj)->slab.cache == c)
			go_home(obj);
		else
			ring_push(r, obj);
	}
}

void quarantine_drain(const struct kmem_cache *c, bool every_cpu)
{
	irqflags_t f = hal_irq_save();
	u32 cpu;

	if (every_cpu) {
		for_each_possible_cpu(cpu)
			if (percpu_ready(cpu))
				ring_drain(per_cpu_ptr(&rings, cpu), c);
	} else {
		ring_drain(this_cpu_ptr(&rings), c);
	}
	hal_irq_restore(f);
}

/* Of a CPU that is gone. */
void quarantine_drain_cpu(u32 cpu)
{
	irqflags_t f = hal_irq_save();

	ring_drain(per_cpu_ptr(&rings, cpu), NULL);
	hal_irq_restore(f);
}

void quarantine_stats(u64 *objects, u64 *bytes)
{
	irqflags_t f = hal_irq_save();
	const struct ring *r = this_cpu_ptr(&rings);

	*objects = r->count;
	*bytes = r->bytes;
	hal_irq_restore(f);
}

#endif
