/* SPDX-License-Identifier: MIT */
/*
 * The account of what is allocated (mm/leak.h).
 *
 * Every allocation of the debug kernel carries the epoch in which it was made: a counter that each mark steps. A
 * census walks the frame table: a slab's objects are counted to its cache, all other pages by their type. What a
 * census finds above the one at the mark has leaked, and of that kind the allocations with the mark's epoch or
 * a later one are suspects, which are printed. (Counting by epoch alone would accuse a table that was made anew, larger, in
 * place of an old one.)
 *
 * Epoch 0 is left out of the census: page tables of the kernel half, magazines, tables that only grow.
 *
 * The walk takes no lock. A slab that comes or goes meanwhile is seen or not; callers see to it that little else
 * runs. What is read is always the memory of a built frame entry, or of a slab that the entry describes; objects are
 * only looked at through their trail, which lies in the slab.
 */
#define LOG_TAG "leak"
#include <kernel/core/assert.h>
#include <kernel/mm/leak.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "kasan.h"
#include "leak_stamp.h"
#include "slab.h"

#if HALCYON_DEBUG

#define SUSPECTS_MAX	6u	/* printed of each kind */
#define LINE_MAX	160u

enum page_kind { KIND_KERNEL, KIND_USER, KIND_TABLE, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = { "kernel pages", "user pages", "page tables" };

struct census {
	u64 objects[KMEM_MAX_CACHES];
	u64 pages[KIND_COUNT];
};

u32 leak_now = 1;
static struct census marks[LEAK_MARKS];	/* [caller] */
static u32 mark_epoch[LEAK_MARKS];	/* [caller] */
static struct census now;		/* [caller] */

/* What a walk does with each allocation that it meets. */
struct visitor {
	void (*object)(struct visitor *v, struct kmem_cache *c, void *obj, u32 epoch, vaddr_t place);
	void (*page)(struct visitor *v, struct page *page, enum page_kind kind);
	struct census *into;
	/* To print suspects: of this cache, or of this kind when it is NULL. */
	const struct kmem_cache *cache;
	enum page_kind kind;
	u32 since, left;
	void (*emit)(void *arg, const char *line);
	void *arg;
};

static void visit_slab(struct visitor *v, struct page *slab)
{
	struct kmem_cache *c = slab->slab.cache;

	for (u32 i = 0; i < c->per_slab; i++) {
		void *obj = slab_slot(slab, i);
		vaddr_t place;
		u32 epoch;

		if (slab_debug_in_use(c, obj, &epoch, &place) && epoch)
			v->object(v, c, obj, epoch, place);
	}
}

static void visit_page(struct visitor *v, struct page *page)
{
	switch ((enum page_type)page->type) {
	case PAGE_SLAB:
		visit_slab(v, page);
		break;
	case PAGE_KERNEL:
		if (page->leak_epoch)
			v->page(v, page, KIND_KERNEL);
		break;
	case PAGE_USER:
		if (page->leak_epoch)
			v->page(v, page, KIND_USER);
		break;
	case PAGE_TABLE:
		if (page->leak_epoch)
			v->page(v, page, KIND_TABLE);
		break;
	case PAGE_RESERVED:
	case PAGE_FREE:
	case PAGE_CACHED:
	case PAGE_TAIL:
		break;
	}
}

static void visit_all(struct visitor *v)
{
	u64 end = frame_pfn_end();

	for (u64 first = 0; first < end; first += SECTION_PAGES) {
		if (!pfn_valid(first))
			continue;
		for (u64 pfn = first; pfn < first + SECTION_PAGES; pfn++)
			visit_page(v, pfn_to_page(pfn));
	}
}

static void count_object(struct visitor *v, struct kmem_cache *c, void *obj, u32 epoch, vaddr_t place)
{
	(void)obj, (void)epoch, (void)place;
	v->into->objects[c->id]++;
}

static void count_page(struct visitor *v, struct page *page, enum page_kind kind)
{
	v->into->pages[kind] += 1ull << page->order;
}

static void take_census(struct census *c)
{
	struct visitor v = { .object = count_object, .page = count_page, .into = c };

	memset(c, 0, sizeof(*c));
	visit_all(&v);
}

#if HALCYON_KASAN
#define STACK_FRAMES	12u

static void say_stack(struct visitor *v, u32 stack)
{
	vaddr_t frames[STACK_FRAMES];
	u32 n = stack_depot_fetch(stack, frames, STACK_FRAMES);
	char line[LINE_MAX];

	for (u32 i = 0; i < n; i++) {
		scnprintf(line, sizeof(line), "leak:     %pS", (void *)frames[i]);
		v->emit(v->arg, line);
	}
}

static void suspect_object_stack(struct visitor *v, const struct kmem_cache *c, void *obj)
{
	u32 alloc, freed;

	(void)slab_debug_stacks(c, obj, &alloc, &freed);
	say_stack(v, alloc);
}

static void suspect_page_stack(struct visitor *v, const struct page *page)
{
	say_stack(v, page->alloc_stack);
}
#else
static inline void suspect_object_stack(struct visitor *v, const struct kmem_cache *c, void *obj)
{
	(void)v, (void)c, (void)obj;
}

static inline void suspect_page_stack(struct visitor *v, const struct page *page)
{
	(void)v, (void)page;
}
#endif

static void suspect_object(struct visitor *v, struct kmem_cache *c, void *obj, u32 epoch, vaddr_t place)
{
	char line[LINE_MAX];

	if (c != v->cache || epoch < v->since || !v->left)
		return;
	v->left--;
	scnprintf(line, sizeof(line), "leak:   %p, allocated at %pS", obj, (void *)place);
	v->emit(v->arg, line);
	suspect_object_stack(v, c, obj);
}

static void suspect_page(struct visitor *v, struct page *page, enum page_kind kind)
{
	char line[LINE_MAX];

	if (v->cache || kind != v->kind || page->leak_epoch < v->since || !v->left)
		return;
	v->left--;
	scnprintf(line, sizeof(line), "leak:   frame %#llx, order %u, %d references, allocated at %pS",
		  (unsigned long long)page_to_pfn(page), page->order, page_ref_count(page), (void *)page->alloc_place);
	v->emit(v->arg, line);
	suspect_page_stack(v, page);
}

static void report_kind(struct visitor *v, const char *name, u64 was, u64 is)
{
	char line[LINE_MAX];

	scnprintf(line, sizeof(line), "leak: %s: %llu, were %llu", name, (unsigned long long)is, (unsigned long long)was);
	v->emit(v->arg, line);
	v->left = SUSPECTS_MAX;
	visit_all(v);
}

void mm_leak_mark(enum leak_mark m)
{
	take_census(&marks[m]);
	mark_epoch[m] = __atomic_add_fetch(&leak_now, 1, __ATOMIC_SEQ_CST);
}

u32 mm_leak_report(enum leak_mark m, void (*emit)(void *arg, const char *line), void *arg)
{
	struct visitor v = { .object = suspect_object, .page = suspect_page, .since = mark_epoch[m], .emit = emit,
			     .arg = arg };
	u32 grown = 0;

	take_census(&now);
	for (u32 i = 0; (v.cache = slab_cache_nth(i)); i++) {
		if (now.objects[v.cache->id] <= marks[m].objects[v.cache->id])
			continue;
		report_kind(&v, v.cache->name, marks[m].objects[v.cache->id], now.objects[v.cache->id]);
		grown++;
	}
	for (v.kind = 0; v.kind < KIND_COUNT; v.kind++) {
		if (now.pages[v.kind] <= marks[m].pages[v.kind])
			continue;
		report_kind(&v, kind_names[v.kind], marks[m].pages[v.kind], now.pages[v.kind]);
		grown++;
	}
	return grown;
}

bool mm_leak_is_later(enum leak_mark m, const void *p)
{
	struct page *page = page_head(virt_to_page(p));
	vaddr_t place;
	u32 epoch;

	return page->type == PAGE_SLAB &&
	       slab_debug_in_use(page->slab.cache, slab_object_of(page, p), &epoch, &place) && epoch >= mark_epoch[m];
}

void mm_leak_ignore(const void *p)
{
	struct page *page = page_head(virt_to_page(p));

	if (page->type == PAGE_SLAB)
		slab_debug_ignore(page->slab.cache, slab_object_of(page, p));
	else
		leak_ignore_page(page);
}

#endif
