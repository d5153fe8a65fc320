/* SPDX-License-Identifier: MIT */
/* Self tests of mm: buddy, slab, mappings, page tables; and what must not go unnoticed. */
#define LOG_TAG "test"
#include <hal/cpu.h>
#include <hal/uaccess.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/random.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/pt.h>
#include <kernel/mm/reclaim.h>
#include <kernel/mm/slab.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "kasan.h"

static struct settled {
	struct mm_stats mm;
	u64 kasan;	/* pages that KASAN keeps for ever */
} settled_last;		/* what was counted last */

/*
 * Free pages, and those that were taken on a first use and are kept for ever: by a section, by a cache on a CPU, and with
 * KASAN by a CPU that frees its first object, and for addresses that were never used.
 */
static u64 free_or_kept(void)
{
	struct settled *s = &settled_last;

	mm_stats(&s->mm);
	s->kasan = kasan_kept_pages();
	return s->mm.free + s->mm.frame_table + s->mm.magazines + s->kasan;
}

/*
 * The same with all of mm's caches given back, those of every CPU: what must be equal before and after a test, on
 * whatever CPUs its thread ran. What others are about to give back counts too: a purge under way elsewhere, the slabs that
 * wait for RCU. What those free may be the last of a slab: it is all given back once more.
 */
static u64 settled_free(void)
{
	mm_drain();
	selftest_settle();
	mm_drain();
	return free_or_kept();
}

/* The same where the kernel half may have got page tables, which are never taken out. */
static u64 settled_mapped(void)
{
	u64 free = settled_free();

	return free + pt_page_count();
}

/* ---- pages ------------------------------------------------------------------------------------- */

SELFTEST(buddy, alignment_and_distance)
{
	struct page *pages[PAGE_MAX_ORDER + 1];
	u64 before = settled_free();

	for (u32 o = 0; o <= PAGE_MAX_ORDER; o++) {
		pages[o] = page_alloc(o, MM_KERNEL);
		REQUIRE(pages[o]);
		EXPECT_EQ(page_to_pfn(pages[o]) & ((1ull << o) - 1), 0);
		EXPECT_EQ(page_ref_count(pages[o]), 1);
		EXPECT(virt_to_page(page_address(pages[o])) == pages[o]);
		memset(page_address(pages[o]), (int)o, PAGE_SIZE << o);
	}
	for (u32 o = 0; o <= PAGE_MAX_ORDER; o++) {
		EXPECT(!memchr_inv(page_address(pages[o]), (int)o, PAGE_SIZE << o));
		page_put(pages[o]);
	}
	EXPECT_EQ(settled_free(), before);
}

SELFTEST(buddy, coalesces)
{
	u64 counts[PAGE_MAX_ORDER + 1], after[PAGE_MAX_ORDER + 1];
	struct page *block, *again;
	u64 before = settled_free();

	block = page_alloc(PAGE_MAX_ORDER, MM_KERNEL);
	REQUIRE(block);
	page_split(block);
	/* Free every second page, then the rest: nothing may stay in pieces. */
	mm_buddy_counts(mm_node_of_page(block), page_to_phys(block) < 4 * GIB ? 0 : 1, counts);
	for (u32 start = 0; start < 2; start++)
		for (u64 i = start; i < 1ull << PAGE_MAX_ORDER; i += 2)
			page_put(block + i);
	mm_drain();
	mm_buddy_counts(mm_node_of_page(block), page_to_phys(block) < 4 * GIB ? 0 : 1, after);
	EXPECT(after[PAGE_MAX_ORDER] > counts[PAGE_MAX_ORDER]);
	EXPECT_EQ(settled_free(), before);
	again = page_alloc(PAGE_MAX_ORDER, MM_KERNEL);
	REQUIRE(again);
	page_put(again);
}

SELFTEST(buddy, zeroed_and_typed)
{
	struct page *page = page_alloc(1, MM_ZERO | MM_USER);
	struct mm_stats with, without;

	REQUIRE(page);
	EXPECT(!memchr_inv(page_address(page), 0, 2 * PAGE_SIZE));
	EXPECT_EQ(page->type, PAGE_USER);
	EXPECT_EQ(page[1].type, PAGE_TAIL);
	EXPECT(page_head(page + 1) == page);
	page_get(page + 1);
	EXPECT_EQ(page_ref_count(page), 2);
	page_put(page);
	mm_stats(&with);
	page_put(page + 1);
	mm_stats(&without);
	EXPECT_EQ(with.user, without.user + 2);
	EXPECT(!page_alloc(PAGE_MAX_ORDER + 1, MM_KERNEL));
}

SELFTEST(buddy, dma32)
{
	struct page *page = page_alloc(2, MM_DMA32);

	REQUIRE(page);
	EXPECT(page_to_phys(page) + (PAGE_SIZE << 2) <= 4 * GIB);
	page_put(page);
}

SELFTEST(buddy, pins)
{
	struct page *page = page_alloc(0, MM_KERNEL);

	REQUIRE(page);
	page_pin(page);
	EXPECT_EQ(page_pin_count(page), 1);
	EXPECT_EQ(page_ref_count(page), 2);
	page_unpin(page);
	EXPECT_EQ(page_pin_count(page), 0);
	EXPECT(page_get_not_zero(page));
	page_put(page);
	page_put(page);
}

#define KEPT_PAGES 80u	/* what each CPU's list holds in the test */

/* Interrupt context, or as good as that. */
static void fill_list_here(void *arg)
{
	struct page *pages[KEPT_PAGES];
	u32 n = page_alloc_many(pages, KEPT_PAGES, MM_NOWAIT);

	(void)arg;
	while (n)
		page_put(pages[--n]);
}

/* Takes all that there is for such a request, the largest blocks first. */
static u64 take_all(struct page **chain, u32 flags)
{
	struct page *page;
	u64 taken = 0;

	for (u32 order = PAGE_MAX_ORDER + 1; order-- > 0;) {
		while ((page = page_alloc(order, flags))) {
			page->object = (struct vm_object *)*chain;
			*chain = page;
			taken += 1ull << order;
		}
	}
	return taken;
}

/* Takes all there is, what other CPUs keep and at last the reserve too, and gives it back. */
SELFTEST(buddy, exhaustion_and_return)
{
	struct page *chain = NULL, *page;
	const struct mm_stats *s = &settled_last.mm;
	u64 before, taken;

	(void)mm_reclaim(~0ull);	/* it would come free in the middle */
	before = settled_free();
	if (before > (1ull << 18)) {
		selftest_skip("more than 1 GiB of memory");
		return;
	}
	smp_call_all(fill_list_here, NULL, true);
	taken = take_all(&chain, MM_KERNEL | MM_NO_OOM);
	(void)free_or_kept();
	EXPECT(s->cached < KEPT_PAGES);
	taken += take_all(&chain, MM_NOWAIT | MM_NO_OOM | MM_USER);
	(void)free_or_kept();
	EXPECT(s->free + s->cached + 64 > mm_reserve_pages());	/* that is not for programs */
	taken += take_all(&chain, MM_NOWAIT | MM_NO_OOM);
	EXPECT(taken + free_or_kept() + 64 > before);	/* but for what others do */
	/* Pieces that are not worth a table, and what other CPUs have put aside. */
	EXPECT(s->free >= s->unbuilt && s->free <= s->unbuilt + 64 * (hal_cpu_online_count() - 1));
	EXPECT(!kmalloc(100000, MM_NOWAIT));
	while (chain) {
		page = chain;
		chain = (struct page *)page->object;
		page_put(page);
	}
	EXPECT(taken <= before);
	EXPECT_EQ(settled_free(), before);
}

static uintptr_t fail_stack; /* only what is called on this stack counts and fails: others allocate at the same time */
static u32 fail_countdown;

/* For the one who reads why counts differ: whose pages they are. */
static void say_pages(const char *when, const struct settled *s)
{
	log_printf(LOG_NOTICE, "%s: slab %llu, stacks %llu, vmalloc %llu, tables %llu, user %llu, frames %llu, magazines %llu, kasan %llu",
		   when, (unsigned long long)s->mm.slab, (unsigned long long)s->mm.stacks, (unsigned long long)s->mm.vmalloc,
		   (unsigned long long)s->mm.tables, (unsigned long long)s->mm.user, (unsigned long long)s->mm.frame_table,
		   (unsigned long long)s->mm.magazines, (unsigned long long)s->kasan);
}

/* Threads' stacks are aligned to their size. */
static __always_inline uintptr_t this_stack(void)
{
	return (uintptr_t)__builtin_frame_address(0) / KSTACK_SIZE;
}

static bool fail_one(size_t bytes, u32 flags)
{
	(void)bytes, (void)flags;
	return this_stack() == fail_stack && fail_countdown && --fail_countdown == 0;
}

/* Every allocation inside of a stack's and a mapping's making fails once. */
SELFTEST(buddy, injected_failures_unwind)
{
	u64 before = settled_mapped();
	struct settled was = settled_last;
	bool (*old)(size_t, u32) = mm_fail_hook, done = false;

	fail_stack = this_stack();
	for (u32 nth = 1; nth < 100 && !done; nth++) {
		vaddr_t base = 0;
		void *p = NULL;
		int err;

		mm_drain(); /* nothing is at hand: all must be allocated */
		fail_countdown = nth;
		mm_fail_hook = fail_one;
		err = kmap_stack_alloc(&base);
		if (!err)
			p = vmalloc(5 * PAGE_SIZE, MM_KERNEL);
		mm_fail_hook = old;
		done = !err && p;
		vfree(p);
		if (!err)
			kmap_stack_free(base);
	}
	EXPECT(done);
	if (!EXPECT_EQ(settled_mapped(), before)) {
		say_pages("before", &was);
		say_pages("after", &settled_last);
	}
}

/* A CPU's first free, and addresses never used before, may keep pages for ever; each of these is counted. */
static void free_one_here(void *arg)
{
	(void)arg;
	kfree(kmalloc(200, MM_NOWAIT));
}

#define TABLE_OF_SHADOW (16u * MIB)	/* the addresses whose shadow one table serves */

SELFTEST(buddy, first_uses_are_counted)
{
	u64 before = settled_mapped();

	smp_call_all(free_one_here, NULL, true);
	EXPECT_EQ(settled_mapped(), before);
	for (u32 i = 0; i < 2; i++) {
		void *gap = kmap_mmio(0, TABLE_OF_SHADOW, 0), *p;	/* never touched: the next area lies behind it */

		REQUIRE(gap);
		p = vmalloc(1, MM_KERNEL);
		kmap_unmap(gap);
		REQUIRE(p);
		vfree(p);
	}
	EXPECT_EQ(settled_mapped(), before);
}

/* ---- slab -------------------------------------------------------------------------------------- */

SELFTEST(slab, objects_are_apart)
{
	static u8 *objects[500];
	u64 before = settled_free();
	struct kmem_cache *c = kmem_cache_create("test-72", 72, 0, NULL, 0);
	struct kmem_cache_stats s;

	REQUIRE(c);
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmem_cache_alloc(c, MM_KERNEL);
		REQUIRE(objects[i]);
		EXPECT_EQ((uintptr_t)objects[i] & 15, 0);
		memset(objects[i], (int)(i & 0xff), 72);
	}
	kmem_cache_stats(c, &s);
	EXPECT_EQ(s.objects - s.in_magazines, ARRAY_SIZE(objects));
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++)
		EXPECT(!memchr_inv(objects[i], (int)(i & 0xff), 72));
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++)
		kmem_cache_free(c, objects[(i * 7) % ARRAY_SIZE(objects)]);
	(void)settled_free();
	kmem_cache_stats(c, &s);
	EXPECT_EQ(s.objects, 0);
	EXPECT_EQ(s.pages, 0);
	kmem_cache_destroy(c);
	EXPECT_EQ(settled_free(), before);
}

static u32 ctor_runs;

static void test_ctor(void *obj)
{
	ctor_runs++;
	memset(obj, 0x33, 40);
}

SELFTEST(slab, constructed_once)
{
	struct kmem_cache *c = kmem_cache_create("test-ctor", 40, 64, test_ctor, 0);
	u8 *a, *b;
	u32 runs;

	REQUIRE(c);
	a = kmem_cache_alloc(c, MM_KERNEL);
	REQUIRE(a);
	runs = ctor_runs;
	EXPECT_EQ((uintptr_t)a & 63, 0);
	EXPECT(!memchr_inv(a, 0x33, 40));
	a[0] = 0x44;
	kmem_cache_free(c, a);
	b = kmem_cache_alloc(c, MM_KERNEL);
	EXPECT(HALCYON_KASAN || a == b);	/* else it is in quarantine */
	EXPECT_EQ(b[0], a == b ? 0x44 : 0x33);
	EXPECT_EQ(ctor_runs, runs);
	kmem_cache_free(c, b);
	kmem_cache_destroy(c);
}

SELFTEST(slab, typesafe_memory_stays)
{
	struct kmem_cache *c = kmem_cache_create("test-rcu", 200, 0, NULL, SLAB_TYPESAFE_BY_RCU);
	const volatile struct page *slab;
	u64 *obj;

	REQUIRE(c);
	obj = kmem_cache_alloc(c, MM_ZERO);
	REQUIRE(obj);
	slab = page_head(virt_to_page(obj));
	rcu_read_lock();
	obj[0] = 0x1122334455667788ull;
	kmem_cache_free(c, obj);
	/* Freed, its slab even given up: a reader still finds what it was. */
	slab_drain();
	EXPECT_EQ(READ_ONCE(obj[0]), 0x1122334455667788ull);
	EXPECT_EQ(slab->type, PAGE_SLAB);
	rcu_read_unlock();
	for (u32 i = 0; i < 1000000 && slab->type == PAGE_SLAB; i++) {
		rcu_expedite();
		preempt_disable();
		preempt_enable();
	}
	EXPECT(slab->type != PAGE_SLAB);
	kmem_cache_destroy(c);
}

SELFTEST(slab, kmalloc_sizes)
{
	u64 before = settled_free();

	for (size_t size = 1; size <= 3 * PAGE_SIZE; size += size / 7 + 1) {
		u8 *p = kmalloc(size, MM_ZERO), *q;

		REQUIRE(p);
		EXPECT(kmalloc_usable(p) >= size);
		EXPECT(!memchr_inv(p, 0, size));
		EXPECT_EQ((uintptr_t)p & 15, 0);
		memset(p, 0x7e, size);
		q = krealloc(p, size * 2, MM_KERNEL);
		REQUIRE(q);
		EXPECT(!memchr_inv(q, 0x7e, size));
		kfree(q);
	}
	EXPECT_EQ(settled_free(), before);
	EXPECT(!kmalloc(~0ull, MM_KERNEL));
	EXPECT(!kcalloc(~0ull / 4, 8, MM_KERNEL));
	kfree(kmalloc(0, MM_KERNEL));
	kfree(NULL);
}

SELFTEST(slab, strings)
{
	char *s = kstrdup("halcyon", MM_KERNEL), *t = kstrndup("halcyon", 3, MM_KERNEL);

	REQUIRE(s && t);
	EXPECT(strcmp(s, "halcyon") == 0);
	EXPECT(strcmp(t, "hal") == 0);
	kfree_sensitive(s);
	kfree(t);
}

/* Many objects of random sizes, in random order. */
SELFTEST(slab, torture)
{
	static struct {
		u8 *p;
		size_t n;
		u8 fill;
	} slots[200];
	u64 before = settled_free();

	for (u32 round = 0; round < 20000; round++) {
		u32 i = (u32)random_below(ARRAY_SIZE(slots));

		if (slots[i].p) {
			if (!EXPECT(!memchr_inv(slots[i].p, slots[i].fill, slots[i].n)))
				break;
			kfree(slots[i].p);
			slots[i].p = NULL;
			continue;
		}
		slots[i].n = (size_t)random_below(random_below(8) ? 700 : 20000) + 1;
		slots[i].fill = (u8)round;
		slots[i].p = kmalloc(slots[i].n, MM_KERNEL);
		if (!EXPECT(slots[i].p))
			break;
		memset(slots[i].p, slots[i].fill, slots[i].n);
	}
	for (u32 i = 0; i < ARRAY_SIZE(slots); i++) {
		kfree(slots[i].p);
		slots[i].p = NULL;
	}
	EXPECT_EQ(settled_free(), before);
}

/* ---- kernel mappings --------------------------------------------------------------------------- */

SELFTEST(kmap, stacks)
{
	static vaddr_t stacks[40];
	u64 before = settled_mapped(), value;

	for (u32 i = 0; i < ARRAY_SIZE(stacks); i++) {
		REQUIRE(kmap_stack_alloc(&stacks[i]) == 0);
		EXPECT_EQ(stacks[i] % KSTACK_SIZE, 0);
		memset((void *)stacks[i], (int)i, KSTACK_SIZE);
		EXPECT(kmap_is_guard(stacks[i] - 1));
		EXPECT(kmap_is_guard(stacks[i] - PAGE_SIZE));
		EXPECT(!kmap_is_guard(stacks[i]));
		EXPECT(!hal_kernel_load_u64(stacks[i] - 8, &value));
		EXPECT(!hal_kernel_load_u64(stacks[i] + KSTACK_SIZE, &value));
	}
	for (u32 i = 0; i < ARRAY_SIZE(stacks); i++) {
		EXPECT(!memchr_inv((void *)stacks[i], (int)i, KSTACK_SIZE));
		kmap_stack_free(stacks[i]);
	}
	EXPECT_EQ(settled_mapped(), before);
	EXPECT(!hal_kernel_load_u64(stacks[20], &value));
}

SELFTEST(kmap, vmalloc)
{
	u64 before, value;
	u8 *p, *q;

	p = vmalloc(1, MM_KERNEL);	/* page tables are made once and stay */
	vfree(p);
	before = settled_mapped();
	p = vmalloc(10 * PAGE_SIZE, MM_ZERO);
	q = vmalloc(3 * PAGE_SIZE + 1, MM_KERNEL);
	REQUIRE(p && q);
	EXPECT(is_vmalloc(p) && is_vmalloc(q));
	EXPECT(!memchr_inv(p, 0, 10 * PAGE_SIZE));
	memset(p, 1, 10 * PAGE_SIZE);
	memset(q, 2, 3 * PAGE_SIZE + 1);
	EXPECT(!memchr_inv(p, 1, 10 * PAGE_SIZE));
	EXPECT(vmalloc_to_page(p + PAGE_SIZE) != vmalloc_to_page(p));
	EXPECT_EQ(*(u8 *)page_address(vmalloc_to_page(q + PAGE_SIZE)), 2);
	EXPECT(!hal_kernel_load_u64((vaddr_t)(uintptr_t)p + 10 * PAGE_SIZE, &value));
	vfree(p);
	kmap_purge();
	EXPECT(!hal_kernel_load_u64((vaddr_t)(uintptr_t)p, &value));
	vfree(q);
	EXPECT_EQ(settled_mapped(), before);
	EXPECT(!vmalloc(0, MM_KERNEL));
	EXPECT(!vmalloc(~0ull, MM_KERNEL));
	EXPECT(!vmalloc(1ull << 45, MM_KERNEL));
}

SELFTEST(kmap, mmio)
{
	struct page *page = page_alloc(0, MM_ZERO);
	volatile u8 *p;

	REQUIRE(page);
	p = kmap_mmio(page_to_phys(page) + 100, 50, 0);
	REQUIRE(p);
	EXPECT_EQ((uintptr_t)p & ~PAGE_MASK, 100);
	p[7] = 0x99;
	EXPECT_EQ(((u8 *)page_address(page))[107], 0x99);
	kmap_unmap((void *)(uintptr_t)p);
	page_put(page);
	EXPECT(!kmap_mmio(0x1000, 0, 0));
	EXPECT(!kmap_mmio(~0ull - 10, 100, 0));
}

/* ---- page tables ------------------------------------------------------------------------------- */

struct seen {
	u32 count;
	vaddr_t last;
	bool ascending;
};

static int note_entry(hal_pte_t *p, vaddr_t va, unsigned int level, struct page *table, void *arg)
{
	struct seen *s = arg;

	EXPECT(table == pt_page_of(p));
	EXPECT_EQ(level, 0);
	s->ascending &= !s->count || va > s->last;
	s->last = va;
	s->count++;
	return 0;
}

static int stop_at_once(hal_pte_t *p, vaddr_t va, unsigned int level, struct page *table, void *arg)
{
	(void)p, (void)va, (void)level, (void)table, (void)arg;
	return 77;
}

SELFTEST(pt, walks_and_prunes)
{
	static const vaddr_t addresses[] = { 0x10000, 0x11000, 0x200000, 0x40000000, HAL_USER_END - 2 * PAGE_SIZE };
	u64 before = settled_free();
	struct page *root = pt_root_alloc();
	struct seen s = { .ascending = true };
	LIST_HEAD(freed);
	u32 made = 0;
	paddr_t pa;

	REQUIRE(root);
	pa = page_to_phys(root);
	for (u32 i = 0; i < ARRAY_SIZE(addresses); i++) {
		hal_pte_t *p;

		REQUIRE(pt_walk_create(pa, addresses[i], 0, &p, &made) == 0);
		EXPECT(hal_pte_is_none(hal_pte_read(p)));
		hal_pte_write(p, hal_pte_leaf(0x123000 + (u64)i * PAGE_SIZE, HAL_PT_READ | HAL_PT_USER, 0));
		pt_page_of(p)->pt.live++;
		EXPECT(pt_lookup_leaf(pa, addresses[i]) == p);
	}
	/* Tables: 3 for the first, then 1 + 2 + 3, the second shares all of the first's. */
	EXPECT_EQ(made, 3 + 0 + 1 + 2 + 3);
	EXPECT(!pt_lookup_leaf(pa, 0x80000000));
	EXPECT_EQ(pt_for_range(pa, 0, HAL_USER_END, note_entry, &s), 0);
	EXPECT_EQ(s.count, ARRAY_SIZE(addresses));
	EXPECT(s.ascending);
	s.count = 0;
	EXPECT_EQ(pt_for_range(pa, 0x11000, 0x200000, note_entry, &s), 0);
	EXPECT_EQ(s.count, 1);
	EXPECT_EQ(pt_for_range(pa, 0, HAL_USER_END, stop_at_once, NULL), 77);
	EXPECT_EQ(pt_prune(pa, 0, HAL_USER_END, &freed), 0);
	for (u32 i = 0; i < ARRAY_SIZE(addresses); i++) {
		hal_pte_t *p = pt_lookup_leaf(pa, addresses[i]);

		hal_pte_write(p, hal_pte_none());
		pt_page_of(p)->pt.live--;
	}
	EXPECT_EQ(pt_prune(pa, 0, HAL_USER_END, &freed), made);
	pt_free_list(&freed);
	EXPECT_EQ(root->pt.live, 0);
	pt_root_free(root);
	EXPECT_EQ(settled_free(), before);
}

SELFTEST(pt, kernel_half_is_shared)
{
	struct page *root = pt_root_alloc();
	const hal_pte_t *a, *b;

	REQUIRE(root);
	a = page_address(root);
	b = hal_phys_to_virt(pt_kernel_root());
	for (u32 i = 0; i < HAL_PT_KERNEL_FIRST; i++)
		EXPECT(hal_pte_is_none(hal_pte_read(a + i)));
	EXPECT(memcmp(a + HAL_PT_KERNEL_FIRST, b + HAL_PT_KERNEL_FIRST,
		      (HAL_PT_ENTRIES - HAL_PT_KERNEL_FIRST) * sizeof(*a)) == 0);
	pt_root_free(root);
}

static int note_wx(hal_pte_t *p, vaddr_t va, unsigned int level, struct page *table, void *arg)
{
	hal_pte_t e = hal_pte_read(p);
	u32 *bad = arg;

	(void)table;
	if (hal_pte_present(e) && hal_pte_writable(e) && hal_pte_exec(e) && (*bad)++ < 5)
		log_err("writable and executable: %016llx level %u", (unsigned long long)va, level);
	return 0;
}

/* Nothing in the kernel half may be written and executed. */
SELFTEST(pt, nothing_is_wx)
{
	u32 bad = 0;

	/* KASAN's shadow is left out: its shared tables would be walked as the terabytes that they stand for. */
	EXPECT_EQ(pt_for_range(pt_kernel_root(), 0xffff800000000000ull, HAL_KASAN_BASE, note_wx, &bad), 0);
	EXPECT_EQ(pt_for_range(pt_kernel_root(), HAL_KASAN_END, ~0ull & PAGE_MASK, note_wx, &bad), 0);
	EXPECT_EQ(bad, 0);
}

/* ---- reclaim ----------------------------------------------------------------------------------- */

SELFTEST(reclaim, gives_back_stacks)
{
	vaddr_t stacks[20];
	struct mm_stats with, after;

	for (u32 i = 0; i < ARRAY_SIZE(stacks); i++)
		REQUIRE(kmap_stack_alloc(&stacks[i]) == 0);
	for (u32 i = 0; i < ARRAY_SIZE(stacks); i++)
		kmap_stack_free(stacks[i]);
	mm_stats(&with);
	(void)mm_reclaim(1000);
	mm_stats(&after);
	EXPECT(after.stacks < with.stacks);
}

/* ---- deaths ------------------------------------------------------------------------------------ */

/* A space of the test's own with one user page, which this CPU runs on from now on. */
static volatile u8 *map_user_page(u32 prot)
{
	struct page *page = page_alloc(0, MM_ZERO), *root = pt_root_alloc();
	hal_pte_t *p;

	VERIFY(page && root);
	((u8 *)page_address(page))[0] = 0xc3;	/* ret */
	VERIFY(pt_walk_create(page_to_phys(root), 0x400000, 0, &p, NULL) == 0);
	hal_pte_write(p, hal_pte_leaf(page_to_phys(page), prot | HAL_PT_USER, 0));
	preempt_disable();	/* the scheduler would go back to the space of the next thread */
	hal_space_activate(page_to_phys(root), NULL);
	return (volatile u8 *)0x400000;
}

__no_kasan DEATHTEST(user_read, "access to user memory outside of a copy: read")
{
	(void)*map_user_page(HAL_PT_READ | HAL_PT_WRITE);
}

__no_kasan DEATHTEST(user_write, "access to user memory outside of a copy: write")
{
	*map_user_page(HAL_PT_READ | HAL_PT_WRITE) = 1;
}

DEATHTEST(user_exec, "execution of user memory")
{
	((void (*)(void))(uintptr_t)map_user_page(HAL_PT_READ | HAL_PT_EXEC))();
}

DEATHTEST(page_double_free, "is freed twice")
{
	struct page *page = page_alloc(0, MM_KERNEL);

	VERIFY(page);
	page_free(page);
	page_free(page);
}

__no_kasan DEATHTEST(page_use_after_free, "was written to")
{
	struct page *page = page_alloc(0, MM_KERNEL);

	VERIFY(page);
	page_free(page);
	((volatile u8 *)page_address(page))[123] = 1;
	(void)page_alloc(0, MM_KERNEL);
}

DEATHTEST(slab_double_free, "double free of")
{
	void *p = kmalloc(100, MM_KERNEL);

	kfree(p);
	kfree(p);
}

__no_kasan DEATHTEST(slab_overflow, "red zone was overwritten")
{
	volatile u8 *p = kmalloc(128, MM_KERNEL);

	p[128] = 1;
	kfree((void *)(uintptr_t)p);
}

__no_kasan DEATHTEST(slab_use_after_free, "use after free")
{
	volatile u8 *p = kmalloc(64, MM_KERNEL);

	kfree((void *)(uintptr_t)p);
	p[5] = 1;
	/* Under KASAN it waits in quarantine before it is given out again. */
	for (u32 i = 0; i < 5000; i++)
		kfree(kmalloc(64, MM_KERNEL));
}

DEATHTEST(slab_wrong_cache, "is not from there")
{
	struct kmem_cache *c = kmem_cache_create("test", 64, 0, NULL, 0);
	void *p = kmalloc(64, MM_KERNEL);

	VERIFY(c && p);
	kmem_cache_free(c, p);
}

DEATHTEST(guard_page, "kernel stack overflow")
{
	vaddr_t base;

	VERIFY(kmap_stack_alloc(&base) == 0);
	*(volatile u8 *)(base - 1) = 1;
}
