/* SPDX-License-Identifier: MIT */
#ifndef MM_KASAN_PRIVATE_H
#define MM_KASAN_PRIVATE_H

/* Between kasan*.c, quarantine.c, stackdepot.c and the allocators. Nothing of it in the builds without KASAN. */
#include <hal/shadow.h>
#include <lib/kasan.h>
#include <kernel/mm/page.h>

struct kmem_cache;

#if HALCYON_KASAN

/* ---- kasan_shadow.c: memory for shadows ---- */

/*
 * The shadow of [va, va + bytes) becomes memory that can be written, as far as it is not yet; zeros at first. `frame`
 * gives zeroed frames; NULL: page_alloc(). 0 or -ENOMEM, then some of it may have been made. Context as `frame` asks.
 */
int __must_check kasan_shadow_make(vaddr_t va, u64 bytes, bool (*frame)(paddr_t *out));
/* The same for 16 MiB of the direct map, with one block of 2 MiB of the machine's memory, not yet zeroed. */
int __must_check kasan_shadow_make_large(vaddr_t va, paddr_t block, bool (*frame)(paddr_t *out));
/* Gives the memory back that kasan_shadow_make() took for the range, whole shadow pages of its own. */
void kasan_shadow_release(vaddr_t va, u64 bytes);
/* Pages that shadows take, those of sections not counted. */
u64 kasan_shadow_pages(void);
/* Counts pages that KASAN takes when something is used for the first time, and never gives back. Any context. */
void kasan_count_kept(u64 pages);
u64 kasan_kept_pages(void);

/* ---- kasan_report.c ---- */

/* `bad` is the first byte that may not be touched. Panics, or returns while a self test captures reports. */
void kasan_report(vaddr_t addr, vaddr_t bad, size_t size, bool write, vaddr_t place) __cold;
/* What an address is, as lines. Any context. */
void kasan_describe(vaddr_t addr, void (*emit)(void *arg, const char *line), void *arg);

/* ---- stackdepot.c: backtraces, each kept once ---- */

/* The caller's, as a number; 0 when there is no room, or not yet. Any context. */
u32 stack_depot_save(void);
/* Its return addresses, innermost first; returns how many, 0 for the number 0 and for nonsense. */
u32 stack_depot_fetch(u32 handle, vaddr_t *out, u32 max);
void stack_depot_init(void);

/* ---- kasan.c ---- */
/* Called by name: the asan runtime of a global's descriptor, see there. */
const char *kasan_global_name(vaddr_t addr, vaddr_t *start, u64 *size, const char **file);

/* ---- quarantine.c ---- */

/* Keeps the object for a while; what has been there longest goes home. Any context. */
void quarantine_put(struct kmem_cache *c, void *obj);
/* All objects of the cache, or of all caches (NULL), go home: this CPU's, or every CPU's when nobody uses them. */
void quarantine_drain(const struct kmem_cache *c, bool every_cpu);
void quarantine_drain_cpu(u32 cpu);
/* [own] bytes and objects in this CPU's. */
void quarantine_stats(u64 *objects, u64 *bytes);

#else

static inline u32 stack_depot_save(void)
{
	return 0;
}

static inline void stack_depot_init(void)
{
}

static inline u64 kasan_kept_pages(void)
{
	return 0;
}

static inline void quarantine_drain_cpu(u32 cpu)
{
	(void)cpu;
}

static inline void quarantine_drain(const struct kmem_cache *c, bool every_cpu)
{
	(void)c, (void)every_cpu;
}

#endif
#endif
