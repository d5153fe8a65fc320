/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: two zones of buddy lists in each node, and a list of single pages per CPU in front of them.
 *
 * Zones: below and above 4 GiB, because some devices reach only the lower one. Ordinary requests take from the
 * upper zone first. A block of order n is aligned to its size; its buddy is the block whose frame number differs in
 * bit n. Blocks never cross a section of the frame table, so the entry of a buddy can always be read.
 *
 * Nodes (node.c): memory near to the asking CPU first, then as far as it must. A node's own unbuilt sections come before
 * another node's free pages. A CPU's list holds near pages, unless there were none: a far page that is freed goes back to
 * its zone at once. A machine with one node pays one OR instruction for all that.
 *
 * Per-CPU lists: an array used as a stack, so that the page freed last, which is in the cache, is used first. Filled
 * and emptied in batches under the zone's lock. Interrupts off while it is touched: any context may allocate.
 *
 * When the free lists are below the reserve: first more sections are built (frame.c); then callers that may sleep
 * reclaim, then ask all CPUs for what they keep, and at last the OOM killer. The kernel's MM_NOWAIT may use the reserve.
 *
 * Debug kernel: freed pages are filled with a pattern, which is looked at when they are allocated. PAGE_F_POISONED says
 * which free pages have it; memory that was never allocated has not. Under KASAN a free page may not be touched at all.
 */
#define LOG_TAG "mm"
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/smpcall.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/reclaim.h>
#include <lib/string.h>
#include "internal.h"
#include "kasan.h"
#include "leak_stamp.h"

#define PCP_MAX		96u	/* pages a CPU keeps */
#define PCP_BATCH	32u
#define RECLAIM_TRIES	8u
#define OOM_TRIES	16u

/* Keys: [z] lock. */
struct zone {
	struct spinlock lock;
	struct list_head free[PAGE_MAX_ORDER + 1];	/* [z] page.node of heads */
	u64 blocks[PAGE_MAX_ORDER + 1];			/* [z] lengths of these lists */
	u64 free_pages;					/* [z] read racily */
	struct mm_numa_stats stats;			/* [z] read racily */
};

static struct zone zones[HAL_MAX_NODES][ZONE_COUNT];

/* [own CPU, interrupts off] */
struct page_cache {
	u32 count;
	u32 node;	/* [I] this CPU's */
	struct page *pages[PCP_MAX];
};
static DEFINE_PER_CPU(struct page_cache, page_caches);
DEFINE_PER_CPU(struct mm_counts, mm_counts);

bool (*mm_fail_hook)(size_t bytes, u32 flags);

static inline struct zone *page_zone(const struct page *page)
{
	u64 pfn = page_to_pfn(page);

	return &zones[pfn_node(pfn)][pfn_zone(pfn)];
}

/* ---- debug ------------------------------------------------------------------------------------- */

#if HALCYON_DEBUG
#define PAGE_POISON 0x6b

/* Before the pages of a block become free. */
static void debug_poison(struct page *page, u32 order)
{
#if HALCYON_KASAN
	u32 stack = stack_depot_save();
#endif
	kasan_unpoison(page_address(page), PAGE_SIZE << order);	/* slabs leave red zones behind */
	memset(page_address(page), PAGE_POISON, PAGE_SIZE << order);
	for (u64 i = 0; i < 1ull << order; i++) {
		page[i].flags = PAGE_F_POISONED;
#if HALCYON_KASAN
		page[i].free_stack = stack;
#endif
	}
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
}

static void debug_check_poison(const struct page *page)
{
	const u8 *bad = page->flags & PAGE_F_POISONED ? memchr_inv(page_address(page), PAGE_POISON, PAGE_SIZE) : NULL;

	if (unlikely(bad))
		panic("free page %#llx was written to at offset %llu (value %#x)",
		      (unsigned long long)page_to_phys(page),
		      (unsigned long long)(bad - (const u8 *)page_address(page)), *bad);
}

/* When the pages of a block have become the caller's. */
static void debug_take(struct page *page, u32 order)
{
	kasan_unpoison(page_address(page), PAGE_SIZE << order);
	for (u64 i = 0; i < 1ull << order; i++) {
		debug_check_poison(&page[i]);
		page[i].flags = 0;
	}
#if HALCYON_KASAN
	page->alloc_stack = stack_depot_save();
#endif
}

static void debug_check_free(const struct page *page)
{
	if (unlikely(page->type == PAGE_FREE || page->type == PAGE_CACHED))
		panic("page %#llx is freed twice", (unsigned long long)page_to_phys(page));
	if (unlikely(page->type == PAGE_RESERVED || page->type == PAGE_TAIL))
		panic("page %#llx of type %u cannot be freed", (unsigned long long)page_to_phys(page), page->type);
	if (unlikely(page_ref_count(page) > 1 || page_pin_count(page)))
		panic("page %#llx is freed with %d references and %d pins", (unsigned long long)page_to_phys(page),
		      page_ref_count(page), page_pin_count(page));
}
#else
static inline void debug_poison(struct page *page, u32 order)
{
	(void)page, (void)order;
}

static inline void debug_take(struct page *page, u32 order)
{
	(void)page, (void)order;
}

static inline void debug_check_free(const struct page *page)
{
	(void)page;
}
#endif

/* ---- zone lists [z] ---------------------------------------------------------------------------- */

static void zone_link(struct zone *z, struct page *page, u32 order)
{
	page->type = PAGE_FREE;
	page->order = (u8)order;
	list_add_head(&page->node, &z->free[order]);
	z->blocks[order]++;
}

static void zone_unlink(struct zone *z, struct page *page, u32 order)
{
	list_del(&page->node);
	page->type = PAGE_RESERVED;
	z->blocks[order]--;
}

static struct page *zone_take(struct zone *z, u32 order)
{
	struct page *page;
	u32 o = order;

	while (o <= PAGE_MAX_ORDER && list_empty(&z->free[o]))
		o++;
	if (o > PAGE_MAX_ORDER)
		return NULL;
	page = list_first_entry(&z->free[o], struct page, node);
	zone_unlink(z, page, o);
	while (o > order) {
		o--;
		zone_link(z, page + (1ull << o), o);
	}
	WRITE_ONCE(z->free_pages, z->free_pages - (1ull << order));
	return page;
}

static void zone_give(struct zone *z, struct page *page, u32 order)
{
	u64 pfn = page_to_pfn(page);

	WRITE_ONCE(z->free_pages, z->free_pages + (1ull << order));
	for (; order < PAGE_MAX_ORDER; order++) {
		struct page *buddy = pfn_to_page(pfn ^ (1ull << order));

		if (buddy->type != PAGE_FREE || buddy->order != order)
			break;
		zone_unlink(z, buddy, order);
		pfn &= ~(1ull << order);
	}
	zone_link(z, pfn_to_page(pfn), order);
}

void buddy_free(struct page *page, u32 order)
{
	struct zone *z = page_zone(page);
	irqflags_t f = spin_lock_irqsave(&z->lock);

	zone_give(z, page, order);
	spin_unlock_irqrestore(&z->lock, f);
}

/* The largest aligned blocks that fit. */
void buddy_add_span(u64 pfn, u64 end)
{
	while (pfn < end) {
		u32 order = pfn ? MIN(ctz64(pfn), PAGE_MAX_ORDER) : PAGE_MAX_ORDER;

		while (pfn + (1ull << order) > end)
			order--;
		buddy_free(pfn_to_page(pfn), order);
		pfn += 1ull << order;
	}
}

struct page *buddy_take_one(void)
{
	struct page *page = NULL;

	for (u32 i = 0; i < mm_nodes * ZONE_COUNT && !page; i++) {
		struct zone *z = &zones[i / ZONE_COUNT][i % ZONE_COUNT];
		irqflags_t f = spin_lock_irqsave(&z->lock);

		page = zone_take(z, 0);
		spin_unlock_irqrestore(&z->lock, f);
	}
	if (page)
		debug_take(page, 0);
	return page;
}

u64 buddy_node_free(u32 node)
{
	return READ_ONCE(zones[node][ZONE_LOW].free_pages) + READ_ONCE(zones[node][ZONE_HIGH].free_pages);
}

u64 buddy_free_pages(void)
{
	u64 sum = buddy_node_free(0);

	for (u32 node = 1; node < mm_nodes; node++)
		sum += buddy_node_free(node);
	return sum;
}

void buddy_rehome(void)
{
	for (u32 i = 0; i < ZONE_COUNT; i++) {
		struct zone *from = &zones[0][i];

		for (u32 order = 0; order <= PAGE_MAX_ORDER; order++) {
			struct page *page, *next;

			list_for_each_entry_safe(page, next, &from->free[order], node) {
				struct zone *to = page_zone(page);

				if (to == from)
					continue;
				zone_unlink(from, page, order);
				from->free_pages -= 1ull << order;
				zone_link(to, page, order);
				to->free_pages += 1ull << order;
			}
		}
	}
}

/* ---- slow paths -------------------------------------------------------------------------------- */

u64 mm_reserve_pages(void)
{
	return CLAMP(frame_total_pages() / 256, 64ull, 4096ull);
}

/* Not for a program's memory, which would eat it up. */
static bool may_use_reserve(u32 flags)
{
	return (flags & (MM_NOWAIT | MM_USER)) == MM_NOWAIT;
}

/* May so many pages be taken without going below what is kept for those who cannot wait? */
static bool reserve_allows(u32 order, u32 flags)
{
	return may_use_reserve(flags) || buddy_free_pages() >= mm_reserve_pages() + (1ull << order);
}

/* [z] numastat's counts: who wanted it, who gave it. The one of the node that had nothing is not exact under contention. */
static void count_take(struct zone *z, u32 node, struct node_pick pick, u64 pages)
{
	if (node == pick.near) {
		z->stats.hit += pages;
	} else {
		z->stats.miss += pages;
		WRITE_ONCE(zones[pick.near][ZONE_LOW].stats.foreign, zones[pick.near][ZONE_LOW].stats.foreign + pages);
	}
	if (node == node_here())
		z->stats.local += pages;
	else
		z->stats.other += pages;
}

static struct page *node_take(u32 node, struct node_pick pick, u32 order, u32 flags)
{
	struct page *page = NULL;
	irqflags_t f;

	for (u32 i = flags & MM_DMA32 ? ZONE_LOW : ZONE_HIGH; !page; i--) {
		struct zone *z = &zones[node][i];

		if (READ_ONCE(z->free_pages) >= 1ull << order) {
			f = spin_lock_irqsave(&z->lock);
			page = zone_take(z, order);
			if (page)
				count_take(z, node, pick, 1ull << order);
			spin_unlock_irqrestore(&z->lock, f);
		}
		if (i == ZONE_LOW)
			break;
	}
	return page;
}

/* The nearest allowed node that has a block, where need be after it has grown. */
static noinline struct page *nodes_take(struct node_pick pick, u32 order, u32 flags)
{
	for (u32 k = 0; k < mm_nodes; k++) {
		u32 node = node_order(pick.near, k);

		if (!(pick.allowed & (1ull << node)))
			continue;
		do {
			struct page *page = node_take(node, pick, order, flags);

			if (page)
				return page;
		} while (frame_grow(flags & MM_DMA32 ? ZONE_LOW : ZONE_HIGH, node));
	}
	return NULL;
}

static struct page *zones_take(struct node_pick pick, u32 order, u32 flags)
{
	return mm_numa ? nodes_take(pick, order, flags) : node_take(0, pick, order, flags);
}

/*
 * Reclaim takes what this CPU keeps: lists of pages, stacks, magazines. With many CPUs most of that is with the others. One
 * thread at a time asks them; who comes meanwhile looks again at what it gets.
 */
static void drain_everywhere(void)
{
	static u32 draining; /* [a] */
	u32 idle = 0;

	if (!try_cmpxchg(&draining, &idle, 1u))
		return;
	mm_drain();
	smp_store_release(&draining, 0u);
}

/* Nothing is there at once: more sections, reclaim, what other CPUs keep, the OOM killer. */
static noinline struct page *take_slow(struct node_pick pick, u32 order, u32 flags)
{
	u32 zone = flags & MM_DMA32 ? ZONE_LOW : ZONE_HIGH, reclaims = 0, kills = 0;
	bool drained = false;
	struct page *page;

	for (;;) {
		if (reserve_allows(order, flags)) {
			page = zones_take(pick, order, flags);
			if (page)
				return page;
		}
		if (frame_grow(zone, NO_NODE))
			continue;
		if (flags & MM_NOWAIT)
			return may_use_reserve(flags) ? zones_take(pick, order, flags) : NULL;
		might_sleep();
		if (reclaims++ < RECLAIM_TRIES && mm_reclaim(MAX(1ull << order, (u64)PCP_BATCH)))
			continue;
		if (!drained) {
			drained = true;
			drain_everywhere();
			continue;
		}
		if ((flags & MM_NO_OOM) || kills++ >= OOM_TRIES || !mm_oom_hook || !mm_oom_hook(order, flags))
			return NULL;
		reclaims = 0;
	}
}

/* Interrupts off. A batch of one node's pages into this CPU's list. */
static void cache_fill_from(struct page_cache *c, u32 node)
{
	struct node_pick pick = { c->node, ALL_NODES };

	for (u32 i = ZONE_COUNT; i-- > 0 && !c->count;) {
		struct zone *z = &zones[node][i];
		struct page *page;

		if (!READ_ONCE(z->free_pages))
			continue;
		spin_lock(&z->lock);
		while (c->count < PCP_BATCH && (page = zone_take(z, 0))) {
			page->type = PAGE_CACHED;
			c->pages[c->count++] = page;
		}
		count_take(z, node, pick, c->count);
		spin_unlock_no_resched(&z->lock);
	}
}

/* Interrupts off. Takes a batch from the zones into this CPU's list; returns one of them, or NULL. */
static struct page *cache_refill(struct page_cache *c)
{
	if (!reserve_allows(0, MM_KERNEL))
		return NULL;
	for (u32 k = 0; k < mm_nodes && !c->count; k++) {
		u32 node = node_order(c->node, k);

		cache_fill_from(c, node);
		if (!c->count && mm_numa && frame_grow(ZONE_HIGH, node))
			cache_fill_from(c, node);
	}
	return c->count ? c->pages[--c->count] : NULL;
}

/* Interrupts off. The n pages that were freed longest ago go back. */
static noinline void cache_flush(struct page_cache *c, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct page *page = c->pages[i];
		struct zone *z = page_zone(page);

		spin_lock(&z->lock);
		zone_give(z, page, 0);
		spin_unlock_no_resched(&z->lock);
	}
	c->count -= n;
	memmove(c->pages, c->pages + n, c->count * sizeof(c->pages[0]));
}

/* ---- the interface ----------------------------------------------------------------------------- */

static inline void page_prepare(struct page *page, u32 order, u32 flags)
{
	page->flags = 0;
	page->type = flags & MM_USER ? PAGE_USER : PAGE_KERNEL;
	page->order = (u8)order;
	page->object = NULL;
	atomic_store_release(&page->refcount, 1);
}

static noinline struct page *alloc_block(struct node_pick pick, u32 order, u32 flags)
{
	struct page *page;

	if (unlikely(order > PAGE_MAX_ORDER))
		return NULL;
	page = reserve_allows(order, flags) ? zones_take(pick, order, flags) : NULL;
	if (!page)
		page = take_slow(pick, order, flags);
	if (!page)
		return NULL;
	debug_take(page, order);
	page_prepare(page, order, flags);
	for (u64 i = 1; i < 1ull << order; i++) {
		page[i].type = PAGE_TAIL;
		page[i].head = page;
	}
	if (flags & MM_USER)
		mm_count(user, (s64)(1ull << order));
	if (flags & MM_ZERO)
		for (u64 i = 0; i < 1ull << order; i++)
			hal_zero_page(page_address(page + i));
	return page;
}

static __always_inline struct page *alloc_page_or_block(u32 order, u32 flags)
{
	struct page_cache *c;
	struct page *page;
	irqflags_t f;

	if (!(flags & MM_NOWAIT))
		might_sleep();
	if (mm_should_fail(PAGE_SIZE << order, flags))
		return NULL;
	if (unlikely(order || (flags & MM_DMA32)))
		return alloc_block((struct node_pick){ node_here(), ALL_NODES }, order, flags);
	f = hal_irq_save();
	c = this_cpu_ptr(&page_caches);
	if (likely(c->count))
		page = c->pages[--c->count];
	else
		page = cache_refill(c);
	if (likely(page) && (flags & MM_USER))
		this_cpu_ptr(&mm_counts)->user++;
	hal_irq_restore(f);
	if (unlikely(!page))
		return alloc_block((struct node_pick){ node_here(), ALL_NODES }, 0, flags);
	debug_take(page, 0);
	page_prepare(page, 0, flags);
	if (flags & MM_ZERO)
		hal_zero_page(page_address(page));
	return page;
}

struct page *page_alloc(u32 order, u32 flags)
{
	struct page *page = alloc_page_or_block(order, flags);

	if (likely(page))
		leak_stamp_page(page, _RET_IP_);
	return page;
}

struct page *page_alloc_node(u32 node, u64 allowed, u32 order, u32 flags)
{
	struct page *page;

	if (!(flags & MM_NOWAIT))
		might_sleep();
	if (mm_should_fail(PAGE_SIZE << order, flags))
		return NULL;
	page = alloc_block((struct node_pick){ node, allowed }, order, flags);
	if (likely(page))
		leak_stamp_page(page, _RET_IP_);
	return page;
}

u32 page_alloc_many(struct page **out, u32 n, u32 flags)
{
	u32 i;

	for (i = 0; i < n; i++) {
		out[i] = page_alloc(0, flags);
		if (!out[i])
			break;
	}
	return i;
}

static noinline void free_block(struct page *page)
{
	u32 order = page->order;

	if (page->type == PAGE_USER)
		mm_count(user, -(s64)(1ull << order));
	for (u64 i = 0; i < 1ull << order; i++)
		page[i].type = PAGE_RESERVED;
	buddy_free(page, order);
}

/* A single page that is not this CPU's node's goes home. False: it is near. */
static noinline bool free_far(struct page *page)
{
	if (pfn_node(page_to_pfn(page)) == node_here())
		return false;
	free_block(page);
	return true;
}

void page_free(struct page *page)
{
	struct page_cache *c;
	irqflags_t f;

	debug_check_free(page);
	lock_dep_assert_freed(page_address(page), PAGE_SIZE << page->order);
	atomic_store_relaxed(&page->refcount, 0);
	debug_poison(page, page->order);
	if (unlikely(page->order | mm_numa)) {
		if (page->order) {
			free_block(page);
			return;
		}
		if (free_far(page))
			return;
	}
	f = hal_irq_save();
	c = this_cpu_ptr(&page_caches);
	if (page->type == PAGE_USER)
		this_cpu_ptr(&mm_counts)->user--;
	page->type = PAGE_CACHED;
	if (unlikely(c->count == PCP_MAX))
		cache_flush(c, PCP_BATCH);
	c->pages[c->count++] = page;
	hal_irq_restore(f);
}

void page_split(struct page *head)
{
	u32 order = head->order;
	u8 type = head->type;

	ASSERT(page_ref_count(head) == 1 && type != PAGE_TAIL);
	head->order = 0;
	for (u64 i = 1; i < 1ull << order; i++) {
		head[i].type = type;
		head[i].order = 0;
		head[i].flags = 0;
		head[i].object = NULL;
		leak_stamp_copy(&head[i], head);
		atomic_store_release(&head[i].refcount, 1);
	}
}

/* ---- counts ------------------------------------------------------------------------------------ */

void page_cache_drain(void)
{
	irqflags_t f = hal_irq_save();
	struct page_cache *c = this_cpu_ptr(&page_caches);

	cache_flush(c, c->count);
	hal_irq_restore(f);
}

u64 page_cache_count(void)
{
	u64 sum = 0;
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			sum += READ_ONCE(per_cpu_ptr(&page_caches, cpu)->count);
	return sum;
}

u64 mm_free_pages(void)
{
	return buddy_free_pages() + frame_unbuilt_pages();
}

void mm_buddy_counts(u32 node, u32 zone, u64 counts[PAGE_MAX_ORDER + 1])
{
	for (u32 i = 0; i <= PAGE_MAX_ORDER; i++)
		counts[i] = READ_ONCE(zones[node][zone].blocks[i]);
}

void buddy_count_interleaved(u32 node)
{
	u64 *count = &zones[node][ZONE_LOW].stats.interleaved;

	WRITE_ONCE(*count, READ_ONCE(*count) + 1);
}

void mm_numa_stats(u32 node, struct mm_numa_stats *out)
{
	*out = (struct mm_numa_stats){ 0 };
	for (u32 i = 0; i < ZONE_COUNT; i++) {
		const struct mm_numa_stats *s = &zones[node][i].stats;

		out->hit += READ_ONCE(s->hit);
		out->miss += READ_ONCE(s->miss);
		out->foreign += READ_ONCE(s->foreign);
		out->local += READ_ONCE(s->local);
		out->other += READ_ONCE(s->other);
		out->interleaved += READ_ONCE(s->interleaved);
	}
}

void mm_stats(struct mm_stats *out)
{
	struct mm_counts sum = { 0 };
	u32 cpu;

	for_each_possible_cpu(cpu) {
		const struct mm_counts *c = per_cpu_ptr(&mm_counts, cpu);

		if (!percpu_ready(cpu))
			continue;
		sum.user += READ_ONCE(c->user);
		sum.slab += READ_ONCE(c->slab);
		sum.slab_reclaimable += READ_ONCE(c->slab_reclaimable);
		sum.magazines += READ_ONCE(c->magazines);
		sum.tables += READ_ONCE(c->tables);
		sum.stacks += READ_ONCE(c->stacks);
		sum.vmalloc += READ_ONCE(c->vmalloc);
	}
	*out = (struct mm_stats){
		.total = frame_machine_pages(), .managed = frame_total_pages(), .cached = page_cache_count(),
		.unbuilt = frame_unbuilt_pages(),
		.frame_table = frame_table_pages(), .slab = (u64)sum.slab,
		.slab_reclaimable = (u64)sum.slab_reclaimable, .magazines = (u64)sum.magazines, .tables = (u64)sum.tables,
		.stacks = (u64)sum.stacks, .vmalloc = (u64)sum.vmalloc, .user = (u64)sum.user,
	};
	out->free = buddy_free_pages() + out->cached + out->unbuilt;
}

static void *percpu_pages(size_t bytes)
{
	u32 order = 0;
	struct page *page;

	while (PAGE_SIZE << order < bytes)
		order++;
	page = page_alloc(order, MM_ZERO);
	if (!page)
		return NULL;
	leak_ignore_page(page); /* nobody gives a CPU's area back */
	return page_address(page);
}

void buddy_init_node(u32 node)
{
	for (u32 i = 0; i < ZONE_COUNT; i++) {
		spin_init(&zones[node][i].lock, "zone", LOCK_RANK_ZONE);
		for (u32 o = 0; o <= PAGE_MAX_ORDER; o++)
			list_init(&zones[node][i].free[o]);
	}
}

void buddy_init(void)
{
	buddy_init_node(0);
	percpu_alloc_hook = percpu_pages;
}

/* ---- CPUs that come and go --------------------------------------------------------------------- */

u32 node_here(void)
{
	return READ_ONCE(per_cpu_ptr(&page_caches, hal_cpu_id())->node);
}

void buddy_set_cpu_node(u32 cpu, u32 node)
{
	per_cpu_ptr(&page_caches, cpu)->node = node;
}

static int pages_prepare(u32 cpu)
{
	buddy_set_cpu_node(cpu, hal_numa_node_of_cpu(cpu));
	return 0;
}

/* What the CPU kept goes home. */
static void pages_dead(u32 cpu)
{
	struct page_cache *c = per_cpu_ptr(&page_caches, cpu);
	irqflags_t f;

	kstack_drain_gone(cpu);
	f = hal_irq_save();
	cache_flush(c, c->count);
	hal_irq_restore(f);
}

const struct cpuhp_step pages_cpuhp = { .name = "page lists", .prepare = pages_prepare, .dead = pages_dead };

/* Only a CPU itself may empty its caches. Interrupt context there: slabs, stacks and pages are freed in interrupts too. */
static void drain_here(void *arg)
{
	(void)arg;
	slab_drain();
	kstack_drain_cpu();
	page_cache_drain();
}

static void drain_pages_here(void *arg)
{
	(void)arg;
	page_cache_drain();
}

void mm_drain(void)
{
	kmap_purge();
	smp_call_all(drain_here, NULL, true);
	(void)kstack_trim(~0ull);
	smp_call_all(drain_pages_here, NULL, true); /* the stacks' pages, wherever this thread was meanwhile */
}
