/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_SLAB_H
#define KERNEL_MM_SLAB_H

/*
 * Object caches with a magazine per CPU, and kmalloc on top. kernel/mm/slab.c has the theory.
 *
 * Allocation may fail: with MM_KERNEL after reclaim, with MM_NOWAIT at once. Freeing never fails and is
 * allowed in any context. Memory is at least 16-aligned (8 for objects of 8 bytes).
 */
#include <kernel/mm/page.h>

struct kmem_cache;

/* kmem_cache_create() flags */
#define SLAB_TYPESAFE_BY_RCU	0x1u	/* a freed object may be reused at once, but its memory stays
					 * an object of this type for a grace period: readers under
					 * RCU must check identity after taking a reference */
#define SLAB_RECLAIMABLE	0x2u	/* counted as reclaimable: some shrinker empties it */
#define SLAB_PANIC		0x4u	/* boot: panic instead of returning NULL */

/*
 * size in bytes; align 0 means 16 (8 when size is 8), else a power of two up to PAGE_SIZE. ctor, if not
 * NULL, is called once for each object when its slab is made, and objects must be freed in that state.
 * name: a literal. Thread context; NULL when there is no memory.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     void (*ctor)(void *obj), u32 flags);
/* All objects must be free (else it says so and leaks). Thread context. */
void kmem_cache_destroy(struct kmem_cache *c);

/* Context by flags (MM_*). MM_ZERO is not allowed with a ctor. */
void *kmem_cache_alloc(struct kmem_cache *c, u32 flags);
void kmem_cache_free(struct kmem_cache *c, void *obj);
static inline void *kmem_cache_zalloc(struct kmem_cache *c, u32 flags)
{
	return kmem_cache_alloc(c, flags | MM_ZERO);
}
/* Gives free slabs back; returns pages. Thread context. */
u64 kmem_cache_shrink(struct kmem_cache *c);

/* NULL when there is no memory or size is absurd. size 0 gives a pointer that may be freed only. */
void *kmalloc(size_t size, u32 flags);
static inline void *kzalloc(size_t size, u32 flags)
{
	return kmalloc(size, flags | MM_ZERO);
}
/* n * size with an overflow check, zeroed. */
void *kcalloc(size_t n, size_t size, u32 flags);
void *kmalloc_array(size_t n, size_t size, u32 flags);
/* As realloc(3): NULL leaves the old block alone. */
void *krealloc(void *p, size_t size, u32 flags);
/* NULL is allowed. Any context. */
void kfree(const void *p);
/* Clears first: for secrets. */
void kfree_sensitive(void *p);
/* Frees after a grace period; p was made by kmalloc and head lies in it. */
#define kfree_rcu(p, member) kfree_rcu_head(&(p)->member, offsetof(__typeof__(*(p)), member))
void kfree_rcu_head(struct rcu_head *head, size_t offset);
/* Bytes that can be used at p. */
size_t kmalloc_usable(const void *p);
char *kstrdup(const char *s, u32 flags);
/* At most n bytes of s, terminated. */
char *kstrndup(const char *s, size_t n, u32 flags);
void *kmemdup(const void *p, size_t n, u32 flags);

/* Boot, after mm_init(). */
void slab_init(void);
/* Per-CPU magazines of this CPU back into slabs, empty slabs back to the pages. Thread context. */
void slab_drain(void);

struct kmem_cache_stats {
	const char *name;
	u64 objects;		/* in use, or in magazines */
	u64 in_magazines;
	u64 total;		/* that the slabs have room for */
	u64 pages;
	u32 object_size;
	u32 slab_pages;
};
/* The i-th cache (/proc/slabinfo); false past the last one. Any context. */
bool kmem_cache_stats_nth(u32 i, struct kmem_cache_stats *out);
void kmem_cache_stats(struct kmem_cache *c, struct kmem_cache_stats *out);

/*
 * The place where tests make allocations fail: asked for every slab, kmalloc and page allocation that may
 * fail, true means "fail this one". NULL: nobody asks. [a] Any context. The release kernel never asks.
 */
extern bool (*mm_fail_hook)(size_t bytes, u32 flags);

static __always_inline bool mm_should_fail(size_t bytes, u32 flags)
{
#if HALCYON_DEBUG
	bool (*hook)(size_t, u32) = READ_ONCE(mm_fail_hook);

	return unlikely(hook) && !(flags & MM_NOFAIL_INJECT) && hook(bytes, flags);
#else
	(void)bytes, (void)flags;
	return false;
#endif
}

struct cpuhp_step;
/* Its part in CPUs that come and go. */
extern const struct cpuhp_step slab_cpuhp;

#endif
