/* SPDX-License-Identifier: MIT */
/*
 * Kernel mappings: vmalloc and device memory.
 *
 * Addresses come from a window as large as one top-level entry of the page table, from a cursor that moves upwards and
 * starts again at the bottom when it reaches the end; then gaps are searched. Each area is followed by
 * a page that is never mapped. Areas stand in a tree by address.
 *
 * Page tables of the kernel half are never taken out, so mapping needs no lock: who owns the addresses
 * writes the entries. Lock: `lock` (LOCK_RANK_KMAP) for the tree.
 *
 * vfree() does not flush. Nobody may use the memory any more, so nobody can tell whether a CPU still knows the old
 * translation, as long as neither the addresses nor the pages are given to somebody else. Both stay with the area, which
 * waits on a list; kmap_purge() flushes once for all that wait there, on all CPUs, and then gives everything back. It is
 * called a millisecond after the first area came (kernel/sched/purge.c), when many pages wait, and by reclaim.
 */
#define LOG_TAG "mm"
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/mm/kmap.h>
#include <lib/errno.h>
#include <lib/rbtree.h>
#include "internal.h"
#include "kasan.h"

#define WINDOW_BYTES	(1ull << hal_pt_shift(HAL_PT_LEVELS - 1))
#define WINDOW_START	(HAL_KMAP_BASE + WINDOW_BYTES)	/* behind the stacks' */
#define WINDOW_END	(WINDOW_START + WINDOW_BYTES)

/*
 * What an area takes of the window: its pages, one that is never mapped, and with KASAN whole pages of shadow, which
 * come and go with the area.
 */
#if HALCYON_KASAN
#define AREA_ALIGN	(PAGE_SIZE << HAL_SHADOW_SHIFT)
#else
#define AREA_ALIGN	PAGE_SIZE
#endif

static u64 area_span(u64 size)
{
	return ALIGN_UP(size + PAGE_SIZE, AREA_ALIGN);
}

enum kmap_kind { KMAP_VMALLOC, KMAP_MMIO, KMAP_FREED };

struct kmap_area {
	struct rb_node node;	/* [l] */
	vaddr_t start;		/* [I] page-aligned */
	u64 size;		/* [I] whole pages, without the guard */
	paddr_t phys;		/* [I] KMAP_MMIO */
	enum kmap_kind kind;	/* [l] KMAP_FREED: waits for the flush */
	struct kmap_area *next;	/* [l] that waits too */
	struct list_head pages;	/* [own] of vfree(), then of kmap_purge() */
};

#define PURGE_PAGES 1024u	/* so many at most wait */

static struct {
	struct spinlock lock;
	struct rb_root areas;	/* [l] */
	vaddr_t cursor;		/* [l] */
	struct kmap_area *freed;	/* [l] */
	u64 freed_pages;		/* [l] */
} kmap = { .lock = SPINLOCK_INIT("kmap", LOCK_RANK_KMAP) };

static struct kmap_area *area_of(const struct rb_node *n)
{
	return rb_entry(n, struct kmap_area, node);
}

static bool area_before(const struct rb_node *a, const struct rb_node *b)
{
	return area_of(a)->start < area_of(b)->start;
}

static int area_compare(const void *key, const struct rb_node *n)
{
	vaddr_t va = *(const vaddr_t *)key;

	return va < area_of(n)->start ? -1 : va > area_of(n)->start;
}

/* [l] The lowest gap of that many bytes; 0 when there is none. */
static vaddr_t find_gap(u64 bytes)
{
	vaddr_t at = WINDOW_START;

	for (struct rb_node *n = rb_first(&kmap.areas); n; n = rb_next(n)) {
		const struct kmap_area *a = area_of(n);

		if (a->start - at >= bytes)
			return at;
		at = a->start + area_span(a->size);
	}
	return WINDOW_END - at >= bytes ? at : 0;
}

/* Is nothing in [start, start + bytes)? [l] */
static bool is_free(vaddr_t start, u64 bytes)
{
	struct rb_node *n = rb_find_ge(&kmap.areas, &start, area_compare);

	return !n || area_of(n)->start - start >= bytes;
}

/* An address range for size bytes (whole pages), in the tree. NULL: no memory or no room. */
static struct kmap_area *area_create(u64 size, enum kmap_kind kind, paddr_t phys)
{
	struct kmap_area *a = kmalloc(sizeof(*a), MM_KERNEL);
	u64 bytes = area_span(size);
	irqflags_t f;

	if (!a)
		return NULL;
	*a = (struct kmap_area){ .size = size, .kind = kind, .phys = phys };
	f = spin_lock_irqsave(&kmap.lock);
	if (bytes < WINDOW_BYTES) {
		a->start = kmap.cursor;
		if (WINDOW_END - a->start < bytes || !is_free(a->start, bytes))
			a->start = find_gap(bytes);
	}
	if (a->start) {
		kmap.cursor = a->start + bytes;
		rb_insert(&kmap.areas, &a->node, area_before);
	}
	spin_unlock_irqrestore(&kmap.lock, f);
	if (a->start)
		return a;
	kfree(a);
	return NULL;
}

static void area_destroy(struct kmap_area *a)
{
	irqflags_t f = spin_lock_irqsave(&kmap.lock);

	rb_erase(&kmap.areas, &a->node);
	spin_unlock_irqrestore(&kmap.lock, f);
	kfree(a);
}

static struct kmap_area *area_find(vaddr_t start)
{
	irqflags_t f = spin_lock_irqsave(&kmap.lock);
	struct rb_node *n = rb_find(&kmap.areas, &start, area_compare);

	spin_unlock_irqrestore(&kmap.lock, f);
	return n ? area_of(n) : NULL;
}

/* ---- device memory ----------------------------------------------------------------------------- */

void *kmap_mmio(paddr_t pa, size_t size, u32 attr)
{
	u64 offset = pa & ~PAGE_MASK, bytes;
	struct kmap_area *a;

	if (!size || size > WINDOW_BYTES || add_overflow(pa, (u64)size, &bytes) || bytes > 1ull << 52)
		return NULL;
	bytes = offset + size;
	bytes = ALIGN_UP(bytes, PAGE_SIZE);
	a = area_create(bytes, KMAP_MMIO, pa - offset);
	if (!a)
		return NULL;
	if (pt_map_kernel(a->start, pa - offset, bytes, HAL_PT_READ | HAL_PT_WRITE | attr)) {
		area_destroy(a);
		return NULL;
	}
	return (void *)(a->start + offset);
}

void kmap_unmap(void *p)
{
	struct kmap_area *a = area_find((vaddr_t)(uintptr_t)p & PAGE_MASK);

	VERIFY(a && a->kind == KMAP_MMIO);
	pt_unmap_kernel(a->start, a->size);
	area_destroy(a);
}

void *upcall_mmio_map(paddr_t base, size_t bytes)
{
	return kmap_mmio(base, bytes, HAL_PT_DEVICE);
}

/* ---- vmalloc ----------------------------------------------------------------------------------- */

static int collect_page(hal_pte_t *p, vaddr_t va, unsigned int level, struct page *table, void *arg)
{
	struct page *page = phys_to_page(hal_pte_paddr(hal_pte_read(p), level));

	(void)va, (void)table;
	ASSERT(level == 0);
	list_add_tail(&page->node, arg);
	return 0;
}

/* Takes out the first `size` bytes, and remembers the pages behind them. */
static void area_clear(struct kmap_area *a, u64 size)
{
	list_init(&a->pages);
	if (!size)
		return;
	(void)pt_for_range(pt_kernel_root(), a->start, a->start + size, collect_page, &a->pages);
	pt_clear_kernel(a->start, size);
}

static void area_free_pages(struct kmap_area *a)
{
	struct page *page, *next;
	s64 n = 0;

	list_for_each_entry_safe(page, next, &a->pages, node) {
		page_put(page);
		n++;
	}
	mm_count(vmalloc, -n);
}

#if HALCYON_KASAN
/* What was asked for may be touched, and nothing behind it. 0 or -ENOMEM. */
static int shadow_create(const struct kmap_area *a, size_t asked)
{
	if (kasan_shadow_make(a->start, area_span(a->size), NULL))
		return -ENOMEM;
	kasan_poison((void *)a->start, area_span(a->size), KASAN_VMALLOC);
	kasan_unpoison((void *)a->start, asked);
	return 0;
}

static void shadow_destroy(const struct kmap_area *a)
{
	kasan_shadow_release(a->start, area_span(a->size));
}
#else
static inline int shadow_create(const struct kmap_area *a, size_t asked)
{
	(void)a, (void)asked;
	return 0;
}

static inline void shadow_destroy(const struct kmap_area *a)
{
	(void)a;
}
#endif

void (*kmap_purge_later_hook)(void);

void kmap_purge(void)
{
	irqflags_t f = spin_lock_irqsave(&kmap.lock);
	struct kmap_area *first = kmap.freed, *a, *next;
	vaddr_t start = ~0ull, end = 0;

	kmap.freed = NULL;
	kmap.freed_pages = 0;
	spin_unlock_irqrestore(&kmap.lock, f);
	if (!first)
		return;
	for (a = first; a; a = a->next) {
		start = MIN(start, a->start);
		end = MAX(end, a->start + a->size);
		if (a != first)
			tlb_count_deferred();
	}
	tlb_flush_kernel(start, end);
	for (a = first; a; a = next) {
		next = a->next;
		shadow_destroy(a);
		area_free_pages(a);
		area_destroy(a);
	}
}

/* Its entries are gone. */
static void area_retire(struct kmap_area *a)
{
	irqflags_t f = spin_lock_irqsave(&kmap.lock);
	bool alone = !kmap.freed, many;

	a->kind = KMAP_FREED;
	a->next = kmap.freed;
	kmap.freed = a;
	kmap.freed_pages += a->size >> PAGE_SHIFT;
	many = kmap.freed_pages > PURGE_PAGES;
	spin_unlock_irqrestore(&kmap.lock, f);
	if (many || !kmap_purge_later_hook)
		kmap_purge();
	else if (alone)
		kmap_purge_later_hook();
}

void *vmalloc(size_t size, u32 flags)
{
	size_t asked = size;
	struct kmap_area *a;
	u64 done;

	if (!size || ALIGN_UP((u64)size, PAGE_SIZE) < size)
		return NULL;
	size = ALIGN_UP((u64)size, PAGE_SIZE);
	if (size >> PAGE_SHIFT > frame_machine_pages())
		return NULL;
	a = area_create(size, KMAP_VMALLOC, 0);
	if (!a)
		return NULL;
	for (done = 0; done < size; done += PAGE_SIZE) {
		struct page *page = page_alloc(0, flags & ~MM_USER);

		if (!page)
			goto undo;
		if (pt_map_kernel(a->start + done, page_to_phys(page), PAGE_SIZE, HAL_PT_READ | HAL_PT_WRITE)) {
			page_put(page);
			goto undo;
		}
		mm_count(vmalloc, 1);
	}
	if (!shadow_create(a, asked))
		return (void *)a->start;
undo:
	area_clear(a, done);
	area_retire(a);
	return NULL;
}

void vfree(void *p)
{
	struct kmap_area *a;

	if (!p)
		return;
	a = area_find((vaddr_t)(uintptr_t)p);
	VERIFY(a && a->kind == KMAP_VMALLOC);
	kasan_poison(p, a->size, KASAN_VMALLOC);
	area_clear(a, a->size);
	area_retire(a);
}

bool is_vmalloc(const void *p)
{
	vaddr_t va = (vaddr_t)(uintptr_t)p;

	return va >= WINDOW_START && va < WINDOW_END;
}

struct page *vmalloc_to_page(const void *p)
{
	paddr_t pa;

	return is_vmalloc(p) && pt_kernel_phys((vaddr_t)(uintptr_t)p, &pa, NULL) ? phys_to_page(pa) : NULL;
}

void *kvmalloc(size_t size, u32 flags)
{
	void *p = size <= 2 * PAGE_SIZE ? kmalloc(size, flags) : NULL;

	return p ? p : vmalloc(size, flags);
}

void kvfree(void *p)
{
	if (is_vmalloc(p))
		vfree(p);
	else
		kfree(p);
}

bool kmap_info_nth(u32 i, struct kmap_info *out)
{
	irqflags_t f = spin_lock_irqsave(&kmap.lock);
	struct rb_node *n = rb_first(&kmap.areas);

	while (n && i--)
		n = rb_next(n);
	if (n) {
		const struct kmap_area *a = area_of(n);

		*out = (struct kmap_info){ .start = a->start, .size = a->size, .phys = a->phys,
					   .kind = a->kind == KMAP_MMIO ? "mmio" : a->kind == KMAP_FREED ? "freed" : "vmalloc" };
	}
	spin_unlock_irqrestore(&kmap.lock, f);
	return n != NULL;
}

void kmap_init(void)
{
	kmap.cursor = WINDOW_START;
	kstack_init();
}
