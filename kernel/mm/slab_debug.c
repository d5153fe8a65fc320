/* SPDX-License-Identifier: MIT */
/*
 * What the debug kernel puts around each slab object, and looks at when it is allocated and freed.
 *
 *	red zone (at least 16 bytes) | object | red zone (8 bytes) | struct trail
 *
 * Of a kmalloc the red zone begins at the very byte behind what was asked for.
 *
 * The trail says whether the object is allocated, by whom, and who freed it last, so that a second free names
 * both. A free object without constructor is filled with a pattern that is looked at on its next allocation: who
 * wrote to it meanwhile used freed memory. Objects in a CPU's magazine are free in this sense.
 */
#define LOG_TAG "slab"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <lib/string.h>
#include "kasan.h"
#include "leak_stamp.h"
#include "slab.h"

#if HALCYON_DEBUG

#define RED_ZONE	0xbb
#define POISON_FREE	0x6b
#define POISON_NEW	0x5a	/* allocated, not written yet */
#define RED_BYTES	8u
#define STATE_FREE	0x66726565u
#define STATE_USED	0x75736564u

struct trail {
	void *link;		/* of the free list */
	u32 state;
	u32 epoch;		/* kernel/mm/leak.c: when it was allocated; 0: not looked at */
	vaddr_t alloc_place;
	vaddr_t free_place;
	u32 used;		/* bytes that were asked for; object_size while free */
	u32 alloc_stack;	/* stackdepot.c */
	u32 free_stack;
	u32 unused;
};

static u32 padded_size(const struct kmem_cache *c)
{
	return (u32)ALIGN_UP(c->object_size, 8u);
}

static struct trail *trail_of(const struct kmem_cache *c, void *obj)
{
	return (struct trail *)((u8 *)obj + padded_size(c) + RED_BYTES);
}

/* The right red zone begins behind what was asked for. */
static void fill_right_zone(const struct kmem_cache *c, void *obj, u32 used)
{
	memset((u8 *)obj + used, RED_ZONE, padded_size(c) + RED_BYTES - used);
	trail_of(c, obj)->used = used;
}

static bool poisoned(const struct kmem_cache *c)
{
	return !c->ctor && !(c->flags & SLAB_TYPESAFE_BY_RCU);
}

void slab_debug_layout(struct kmem_cache *c, u32 size, u32 align)
{
	c->offset = MAX(align, 16u);
	c->link = size + RED_BYTES;
	c->stride = (u32)ALIGN_UP(c->offset + c->link + (u32)sizeof(struct trail), MAX(align, 16u));
}

void slab_debug_new(struct kmem_cache *c, void *obj)
{
	memset((u8 *)obj - c->offset, RED_ZONE, c->offset);
	*trail_of(c, obj) = (struct trail){ .state = STATE_FREE };
	fill_right_zone(c, obj, c->object_size);
	if (poisoned(c))
		memset(obj, POISON_FREE, c->object_size);
}

#if HALCYON_KASAN
/* Objects that were never given out are as poisoned as freed ones, and everything between them is for nobody. */
void slab_debug_new_slab(struct page *slab)
{
	kasan_poison(page_address(slab), PAGE_SIZE << slab->order, KASAN_SLAB_REDZONE);
	for (u32 i = 0; i < slab->slab.total; i++)
		kasan_poison(slab_slot(slab, i), slab->slab.cache->object_size, KASAN_SLAB_FREE);
}

static void shadow_alloc(const struct kmem_cache *c, void *obj, size_t size)
{
	kasan_poison(obj, c->object_size, KASAN_SLAB_REDZONE);
	kasan_unpoison(obj, size);
}

static void shadow_free(const struct kmem_cache *c, void *obj)
{
	if (!(c->flags & SLAB_TYPESAFE_BY_RCU))
		kasan_poison(obj, c->object_size, KASAN_SLAB_FREE);
}

bool slab_debug_stacks(const struct kmem_cache *c, void *obj, u32 *alloc, u32 *freed)
{
	const struct trail *t = trail_of(c, obj);

	*alloc = t->alloc_stack;
	*freed = t->free_stack;
	return t->state == STATE_USED;
}
#else
void slab_debug_new_slab(struct page *slab)
{
	(void)slab;
}

static void shadow_alloc(const struct kmem_cache *c, void *obj, size_t size)
{
	(void)c, (void)obj, (void)size;
}

static void shadow_free(const struct kmem_cache *c, void *obj)
{
	(void)c, (void)obj;
}
#endif

static __noreturn void corrupt(struct kmem_cache *c, void *obj, const char *what, const u8 *bad, vaddr_t place)
{
	const struct trail *t = trail_of(c, obj);

	panic("slab \"%s\": %s of object %p at offset %lld (value %#x), seen at %pS; allocated at %pS, freed at %pS",
	      c->name, what, obj, (long long)(bad - (u8 *)obj), *bad, (void *)place, (void *)t->alloc_place,
	      (void *)t->free_place);
}

static void check_zones(struct kmem_cache *c, void *obj, vaddr_t place)
{
	const u8 *bad = memchr_inv((u8 *)obj - c->offset, RED_ZONE, c->offset);
	u32 used = MIN(trail_of(c, obj)->used, c->object_size);

	if (!bad)
		bad = memchr_inv((u8 *)obj + used, RED_ZONE, padded_size(c) + RED_BYTES - used);
	if (unlikely(bad))
		corrupt(c, obj, "red zone was overwritten", bad, place);
}

void slab_debug_alloc(struct kmem_cache *c, void *obj, vaddr_t place)
{
	struct trail *t = trail_of(c, obj);
	const u8 *bad;

	if (unlikely(t->state != STATE_FREE))
		panic("slab \"%s\": object %p, given out at %pS, is in use (state %#x, allocated at %pS)", c->name, obj,
		      (void *)place, t->state, (void *)t->alloc_place);
	check_zones(c, obj, place);
	if (poisoned(c)) {
		bad = memchr_inv(obj, POISON_FREE, c->object_size);
		if (unlikely(bad))
			corrupt(c, obj, "use after free", bad, place);
		memset(obj, POISON_NEW, c->object_size);
	}
	t->state = STATE_USED;
	t->epoch = leak_epoch();
	t->alloc_place = place;
	t->alloc_stack = stack_depot_save();
	shadow_alloc(c, obj, c->object_size);
}

void slab_debug_size(struct kmem_cache *c, void *obj, size_t size)
{
	fill_right_zone(c, obj, (u32)size);
	shadow_alloc(c, obj, size);
}

void slab_debug_free(struct kmem_cache *c, const struct page *slab, void *obj, vaddr_t place)
{
	struct trail *t = trail_of(c, obj);

	if (unlikely(slab_object_of(slab, obj) != obj))
		panic("slab \"%s\": %p, freed at %pS, is not the start of an object", c->name, obj, (void *)place);
	if (unlikely(t->state == STATE_FREE))
		panic("slab \"%s\": double free of %p at %pS; freed before at %pS, allocated at %pS", c->name, obj,
		      (void *)place, (void *)t->free_place, (void *)t->alloc_place);
	if (unlikely(t->state != STATE_USED))
		corrupt(c, obj, "state was overwritten", (const u8 *)&t->state, place);
	check_zones(c, obj, place);
	if (poisoned(c))
		memset(obj, POISON_FREE, c->object_size);
	fill_right_zone(c, obj, c->object_size);
	shadow_free(c, obj);
	t->free_place = place;
	t->free_stack = stack_depot_save();
	t->state = STATE_FREE;
}

bool slab_debug_in_use(struct kmem_cache *c, void *obj, u32 *epoch, vaddr_t *place)
{
	const struct trail *t = trail_of(c, obj);

	*epoch = t->epoch;
	*place = t->alloc_place;
	return t->state == STATE_USED;
}

void slab_debug_ignore(struct kmem_cache *c, void *obj)
{
	trail_of(c, obj)->epoch = 0;
}

void slab_debug_leaks(struct kmem_cache *c, const struct page *slab)
{
	for (u32 i = 0; i < slab->slab.total; i++) {
		void *obj = slab_slot(slab, i);

		if (trail_of(c, obj)->state == STATE_USED)
			log_warn("cache \"%s\": %p was allocated at %pS", c->name, obj,
				 (void *)trail_of(c, obj)->alloc_place);
	}
}

#endif
