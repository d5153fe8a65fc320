/* SPDX-License-Identifier: MIT */
#ifndef MM_SLAB_PRIVATE_H
#define MM_SLAB_PRIVATE_H

/* Between slab.c, slab_debug.c and kmalloc.c. */
#include <kernel/core/spinlock.h>
#include "internal.h"

#define KMEM_MAX_CACHES	160u
#define MAGAZINE_MAX	30u	/* objects; the magazine is 256 bytes */

/* Keys: [I] after creation, [l] lock, [L] list lock. */
struct kmem_cache {
	u32 id;			/* [I] index of its magazines */
	u32 object_size;	/* [I] bytes asked for */
	u32 stride;		/* [I] bytes from one object to the next in a slab */
	u32 offset;		/* [I] from a slot's start to the object: the debug kernel's red zone */
	u32 link;		/* [I] from the object to the free list's pointer */
	u16 per_slab;		/* [I] */
	u8 order;		/* [I] pages of a slab */
	u8 magazine;		/* [I] objects that a CPU keeps */
	u32 flags;		/* [I] SLAB_* */
	const char *name;	/* [I] */
	void (*ctor)(void *obj);	/* [I] */
	struct spinlock lock;
	struct list_head partial;	/* [l] slabs with free objects, page.node */
	u32 empty;		/* [l] of these: wholly free */
	u64 slabs;		/* [l] */
	u64 out;		/* [l] objects out of slabs: in use or in magazines */
	struct list_head node;	/* [L] */
};

/* slab.c, for kmalloc.c */
void slab_free_object(struct kmem_cache *c, struct page *slab, void *obj, vaddr_t place);
/* Past the checks and the quarantine: the object may be given out again. Any context. */
void slab_put_object(struct kmem_cache *c, void *obj);
void *slab_alloc_object(struct kmem_cache *c, u32 flags, vaddr_t place);
/* The object that an address lies in. */
void *slab_object_of(const struct page *slab, const void *p);
void kmalloc_init(void);
/* The i-th cache, NULL past the last one: for leak.c and commands. Any context. */
struct kmem_cache *slab_cache_nth(u32 i);

static inline void *slab_slot(const struct page *slab, u32 i)
{
	const struct kmem_cache *c = slab->slab.cache;

	return (u8 *)page_address(slab) + (u64)i * c->stride + c->offset;
}

/* slab.c, for slab_command.c: looked at under no lock. */
const struct list_head *slab_cache_list(void);
/* Objects of the cache with that number in the magazines of all CPUs. */
u64 slab_in_magazines(u32 cache_id);

/* slab_debug.c: red zones, poison, states. Nothing in the release kernel. */
#if HALCYON_DEBUG
/* Room around an object: sets offset, link and stride for an object of `size` bytes. */
void slab_debug_layout(struct kmem_cache *c, u32 size, u32 align);
void slab_debug_new(struct kmem_cache *c, void *obj);
/* All objects of it were made. */
void slab_debug_new_slab(struct page *slab);
void slab_debug_alloc(struct kmem_cache *c, void *obj, vaddr_t place);
/* Of the object only the first `size` bytes were asked for: what follows is red zone. Undone by a size of object_size. */
void slab_debug_size(struct kmem_cache *c, void *obj, size_t size);
#if HALCYON_KASAN
/* Backtraces of the last allocation and the last free (stackdepot.c). Returns whether it is allocated. */
bool slab_debug_stacks(const struct kmem_cache *c, void *obj, u32 *alloc, u32 *freed);
#endif
void slab_debug_free(struct kmem_cache *c, const struct page *slab, void *obj, vaddr_t place);
/* Writes to the log which objects are in use, and who allocated them. */
void slab_debug_leaks(struct kmem_cache *c, const struct page *slab);
/* For leak.c. Is the object allocated, when (leak_epoch()) and by whom? */
bool slab_debug_in_use(struct kmem_cache *c, void *obj, u32 *epoch, vaddr_t *place);
void slab_debug_ignore(struct kmem_cache *c, void *obj);
#else
static inline void slab_debug_new(struct kmem_cache *c, void *obj)
{
	(void)c, (void)obj;
}

static inline void slab_debug_new_slab(struct page *slab)
{
	(void)slab;
}

static inline void slab_debug_size(struct kmem_cache *c, void *obj, size_t size)
{
	(void)c, (void)obj, (void)size;
}

static inline void slab_debug_alloc(struct kmem_cache *c, void *obj, vaddr_t place)
{
	(void)c, (void)obj, (void)place;
}

static inline void slab_debug_free(struct kmem_cache *c, const struct page *slab, void *obj, vaddr_t place)
{
	(void)c, (void)slab, (void)obj, (void)place;
}
#endif

#endif
