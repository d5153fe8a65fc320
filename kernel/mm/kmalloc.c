/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: a cache per size class up to 8 KiB, whole pages above.
 *
 * Sizes up to 1 KiB find their class in a table by 16-byte steps; above, few classes are left to search. What a
 * pointer is, its frame entry tells: a slab's page (then its cache), or the head of a block.
 */
#define LOG_TAG "slab"
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/rcu.h>
#include <lib/string.h>
#include "kasan.h"
#include "slab.h"

#define SMALL_MAX	1024u
#define LARGE_FROM	8193u	/* bytes: whole pages from here on */

static const struct {
	u32 size;
	const char *name;
} classes[] = {
	{ 16, "kmalloc-16" },	  { 32, "kmalloc-32" },	    { 48, "kmalloc-48" },     { 64, "kmalloc-64" },
	{ 96, "kmalloc-96" },	  { 128, "kmalloc-128" },   { 192, "kmalloc-192" },   { 256, "kmalloc-256" },
	{ 384, "kmalloc-384" },	  { 512, "kmalloc-512" },   { 768, "kmalloc-768" },   { 1024, "kmalloc-1024" },
	{ 1536, "kmalloc-1536" }, { 2048, "kmalloc-2048" }, { 3072, "kmalloc-3072" }, { 4096, "kmalloc-4096" },
	{ 6144, "kmalloc-6144" }, { 8192, "kmalloc-8192" },
};
#define CLASS_SMALL_END 12u	/* the classes up to SMALL_MAX */

static struct kmem_cache *caches[ARRAY_SIZE(classes)];		/* [I] after slab_init() */
static struct kmem_cache *small_caches[SMALL_MAX / 16 + 1];	/* [I] by (size + 15) / 16 */

/* What kmalloc(0) gives: not NULL, and faults when used. */
static u8 *const zero_size_block = (u8 *)16;

static struct kmem_cache *class_of(size_t size)
{
	u32 i = CLASS_SMALL_END;

	if (likely(size <= SMALL_MAX))
		return small_caches[(size + 15) / 16];
	while (classes[i].size < size)
		i++;
	return caches[i];
}

/* Of so many bytes of pages only the first were asked for. */
static void note_pages_size(void *p, size_t size, size_t room)
{
	kasan_poison(p, room, KASAN_PAGE_REDZONE);
	kasan_unpoison(p, size);
}

static noinline void *alloc_pages(size_t size, u32 flags)
{
	struct page *page;
	u32 order = 0;

	if (size > PAGE_SIZE << PAGE_MAX_ORDER)
		return NULL;
	while (PAGE_SIZE << order < size)
		order++;
	page = page_alloc(order, flags & ~MM_USER);
	if (!page)
		return NULL;
	note_pages_size(page_address(page), size, PAGE_SIZE << order);
	return page_address(page);
}

static __always_inline void *alloc_at(size_t size, u32 flags, vaddr_t place)
{
	if (unlikely(size >= LARGE_FROM))
		return alloc_pages(size, flags);
	if (unlikely(!size))
		return zero_size_block;
#if HALCYON_DEBUG
	struct kmem_cache *c = class_of(size);
	void *p = slab_alloc_object(c, flags, place);

	if (p)
		slab_debug_size(c, p, size);
	return p;
#else
	return slab_alloc_object(class_of(size), flags, place);
#endif
}

void *kmalloc(size_t size, u32 flags)
{
	return alloc_at(size, flags, _RET_IP_);
}

void *kmalloc_array(size_t n, size_t size, u32 flags)
{
	size_t bytes;

	return mul_overflow(n, size, &bytes) ? NULL : alloc_at(bytes, flags, _RET_IP_);
}

void *kcalloc(size_t n, size_t size, u32 flags)
{
	return kmalloc_array(n, size, flags | MM_ZERO);
}

void kfree(const void *p)
{
	void *obj = (void *)(uintptr_t)p;
	struct page *page;

	if (unlikely((uintptr_t)p <= (uintptr_t)zero_size_block))
		return;
	ASSERT(hal_is_direct_map((vaddr_t)(uintptr_t)p));
	page = page_head(virt_to_page(p));
	if (likely(page->type == PAGE_SLAB)) {
		slab_free_object(page->slab.cache, page, obj, _RET_IP_);
		return;
	}
	if (unlikely(page->type != PAGE_KERNEL || p != page_address(page)))
		panic("kfree(%p) from %pS: not from kmalloc (page type %u)", p, (void *)_RET_IP_, page->type);
	page_put(page);
}

static size_t room_at(const void *p)
{
	const struct page *page = page_head(virt_to_page(p));

	return page->type == PAGE_SLAB ? page->slab.cache->object_size : PAGE_SIZE << page->order;
}

/* The block has so many bytes from now on, as far as the detectors are concerned. */
static void note_size(const void *p, size_t size)
{
	struct page *page = page_head(virt_to_page(p));

	if (page->type == PAGE_SLAB)
		slab_debug_size(page->slab.cache, (void *)(uintptr_t)p, size);
	else
		note_pages_size((void *)(uintptr_t)p, size, PAGE_SIZE << page->order);
}

/* Who asks may use all of it. */
size_t kmalloc_usable(const void *p)
{
	size_t room;

	if ((uintptr_t)p <= (uintptr_t)zero_size_block)
		return 0;
	room = room_at(p);
	note_size(p, room);
	return room;
}

void kfree_sensitive(void *p)
{
	if (p)
		memzero_explicit(p, kmalloc_usable(p));
	kfree(p);
}

/* The head lies anywhere in the object: the slab's geometry gives the start. */
static void kfree_rcu_now(struct rcu_head *head)
{
	struct page *page = page_head(virt_to_page(head));

	kfree(page->type == PAGE_SLAB ? slab_object_of(page, head) : page_address(page));
}

void kfree_rcu_head(struct rcu_head *head, size_t offset)
{
	(void)offset;
	call_rcu(head, kfree_rcu_now);
}

void *krealloc(void *p, size_t size, u32 flags)
{
	size_t old = kmalloc_usable(p);
	void *q;

	if (old >= size && p && size) {
		note_size(p, size);
		return p;
	}
	q = alloc_at(size, flags & ~MM_ZERO, _RET_IP_);
	if (!q)
		return NULL;
	if (size)
		memcpy(q, p, MIN(old, size));
	kfree(p);
	return q;
}

void *kmemdup(const void *p, size_t n, u32 flags)
{
	void *q = alloc_at(n, flags, _RET_IP_);

	if (q && n)
		memcpy(q, p, n);
	return q;
}

char *kstrndup(const char *s, size_t n, u32 flags)
{
	size_t len = strnlen(s, n);
	char *q = alloc_at(len + 1, flags, _RET_IP_);

	if (q) {
		memcpy(q, s, len);
		q[len] = '\0';
	}
	return q;
}

char *kstrdup(const char *s, u32 flags)
{
	return kmemdup(s, strlen(s) + 1, flags);
}

void *upcall_alloc(size_t bytes)
{
	return kmalloc(bytes, MM_KERNEL);
}

void upcall_free(void *p)
{
	kfree(p);
}

void kmalloc_init(void)
{
	u32 class = 0;

	for (u32 i = 0; i < ARRAY_SIZE(classes); i++)
		caches[i] = kmem_cache_create(classes[i].name, classes[i].size, 0, NULL, SLAB_PANIC);
	for (u32 i = 0; i < ARRAY_SIZE(small_caches); i++) {
		while (classes[class].size < i * 16)
			class++;
		small_caches[i] = caches[class];
	}
}
