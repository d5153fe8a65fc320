/* SPDX-License-Identifier: MIT */
/*
 * core and mm as a Linux program (hal/host). First the kernel's own self tests of these layers run on one CPU; then
 * four CPUs share the page allocator, the slab, RCU and a lock, and ask each other for flushes and calls, interleaved at
 * random but repeatably.
 */
#include <hal/pt.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/random.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/core/spinlock.h>
#include <kernel/core/symbols.h>
#include <kernel/core/tlb.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>
#undef EXPECT
#undef EXPECT_EQ
#include "framework.h"
#include "host.h"

#define ARENA_FIRST	(16 * MIB)
#define ARENA_BYTES	(64 * MIB)
#define NODE_BORDER (ARENA_FIRST + ARENA_BYTES / 4)
#define CPUS		4u

/* What the linker and tools/ksyms.py give the real kernel. */
extern const u32 __ksyms_count;
extern const u32 __ksyms_offsets[1], __ksyms_names[1];
extern const char __ksyms_strings[1];
extern const char __kernel_start[1], __text_start[1], __text_end[1];
const u32 __ksyms_count = 0;
const u32 __ksyms_offsets[1], __ksyms_names[1];
const char __ksyms_strings[1], __kernel_start[1], __text_start[1], __text_end[1];

/* A quiescent state wherever the scheduler would pass: the CPU's loop, and "preemption". */
static void pass_scheduler(void)
{
	irqflags_t f = hal_irq_save();

	hal_preempt_clear_need_resched();
	rcu_quiescent();
	rcu_poll();
	hal_irq_restore(f);
	if (!in_atomic())
		rcu_run_callbacks();
}

static void boot(void)
{
	static const char cmdline[] = "selftest=all panic=halt";
	static bool done;

	if (done)
		return;
	done = true;
	host_machine_init(ARENA_FIRST, ARENA_BYTES);
	log_init();
	cmdline_init(cmdline, sizeof(cmdline) - 1);
	log_setup();
	panic_setup();
	symbols_init();
	mm_boot_add_ram(ARENA_FIRST + PAGE_SIZE, ARENA_BYTES / 2 - PAGE_SIZE);
	mm_boot_add_ram(ARENA_FIRST + ARENA_BYTES / 2 + 5 * PAGE_SIZE, ARENA_BYTES / 4);
	mm_init();
	slab_init();
	kmap_init();
	rcu_init();
	random_init("seed", 4);
	host_nodes_split(NODE_BORDER, ARENA_FIRST + ARENA_BYTES);
	mm_numa_init();
	hal_set_current((struct thread *)&done);	/* somebody runs; nobody looks inside */
	preempt_schedule_hook = pass_scheduler;
	preempt_enable_no_resched();
	hal_irq_enable();
	for (u32 i = 1; i < CPUS; i++) {
		u32 cpu = host_cpu_add();

		VERIFY(percpu_area_create(cpu) == 0);
		VERIFY(pages_cpuhp.prepare(cpu) == 0);
		rcu_init_cpu(cpu);
	}
}

TEST(the_kernels_own_tests)
{
	boot();
	EXPECT_EQ(selftest_run("log,cmdline,random,locks,rcu,slab,kmap,reclaim,pt.walks_and_prunes,"
			       "pt.kernel_half_is_shared,buddy"), 0);
	if (test_failed())
		host_console_show();
}

/* Near memory first; the other node when that is used up, unless it is not allowed; far pages go home when freed. */
TEST(near_memory_comes_first)
{
	struct mm_node_stats nodes[2];
	struct mm_numa_stats told[2];
	struct mm_stats all;
	struct page *page, *list = NULL;
	u64 taken = 0, far = 0, left;

	boot();
	EXPECT_EQ(mm_node_count(), 2);
	EXPECT_EQ(mm_nodes_with_memory(), 3);
	mm_stats(&all);
	for (u32 i = 0; i < 2; i++)
		mm_node_stats(i, &nodes[i]);
	EXPECT(nodes[0].total && nodes[1].total);
	EXPECT_EQ(nodes[0].total + nodes[1].total, all.managed);
	for (u32 order = 0; order <= PAGE_MAX_ORDER; order++) {
		page = page_alloc(order, MM_KERNEL);
		EXPECT(page && mm_node_of_page(page) == 0);
		page_put(page);
		page = page_alloc_node(1, ~0ull, order, MM_KERNEL);
		EXPECT(page && mm_node_of_page(page) == 1);
		page_put(page);
	}
	while ((page = page_alloc_node(1, 2, 0, MM_KERNEL | MM_NO_OOM))) {
		EXPECT_EQ(mm_node_of_page(page), 1);
		page->object = (void *)list;
		list = page;
		taken++;
	}
	mm_node_stats(1, &nodes[1]);
	left = nodes[1].free;	/* pieces too small for a frame table of their own */
	EXPECT(left < 32 && taken > nodes[1].total / 2);
	page = page_alloc_node(1, 3, 0, MM_KERNEL);	/* the other one may help */
	EXPECT(page && mm_node_of_page(page) == 0);
	page_put(page);
	for (; list; list = page, far++) {
		page = (void *)list->object;
		page_put(list);
	}
	mm_node_stats(1, &nodes[1]);
	EXPECT_EQ(nodes[1].free, left + far);
	for (u32 i = 0; i < 2; i++)
		mm_numa_stats(i, &told[i]);
	EXPECT(told[1].hit >= taken && told[1].other >= taken && told[1].foreign == 1 && told[0].miss == 1);
}

TEST(later_memory_is_taken)
{
	struct mm_stats before, after;
	struct page *page;
	u64 bytes = ARENA_BYTES / 4 - 16 * PAGE_SIZE;

	boot();
	mm_stats(&before);
	mm_free_range(ARENA_FIRST + ARENA_BYTES - bytes + 100, bytes - 100);
	mm_stats(&after);
	EXPECT_EQ(after.free, before.free + bytes / PAGE_SIZE - 1);
	EXPECT_EQ(after.managed, before.managed + bytes / PAGE_SIZE - 1);
	page = page_alloc(PAGE_MAX_ORDER, MM_NOWAIT);
	EXPECT(page);
	if (page)
		page_put(page);
}

/* ---- four CPUs --------------------------------------------------------------------------------- */

static struct spinlock shared_lock;
static u64 shared_counter;
static struct kmem_cache *shared_cache;
static u32 finished;

struct item {
	struct rcu_head rcu;
	u64 value, twin;	/* equal while the item lives */
};
static struct item *published;

static void item_free(struct rcu_head *head)
{
	struct item *i = container_of(head, struct item, rcu);

	i->value = 1;
	i->twin = 2;
	kmem_cache_free(shared_cache, i);
}

static void cpu_publish(u64 n)
{
	struct item *fresh = kmem_cache_alloc(shared_cache, MM_NOWAIT), *old;
	irqflags_t f;

	if (!fresh)
		return;
	fresh->value = fresh->twin = n;
	f = spin_lock_irqsave(&shared_lock);
	old = rcu_dereference_protected(published);
	rcu_assign_pointer(published, fresh);
	shared_counter++;
	spin_unlock_irqrestore(&shared_lock, f);
	if (old)
		call_rcu(&old->rcu, item_free);
}

static void cpu_read(void)
{
	const struct item *i;
	u64 value;

	rcu_read_lock();
	i = rcu_dereference(published);
	if (i) {
		value = i->value;
		hal_cpu_relax();
		EXPECT_EQ(i->value, value);
		EXPECT_EQ(i->twin, value);
	}
	rcu_read_unlock();
}

static void cpu_pages(u64 n)
{
	struct page *pages[5];
	u32 got = 0;

	for (; got < ARRAY_SIZE(pages); got++) {
		pages[got] = page_alloc(n % 7 == got ? 2 : 0, MM_NOWAIT);
		if (!pages[got])
			break;
		*(u64 *)page_address(pages[got]) = n << 8 | got;
	}
	host_maybe_switch();
	while (got > 0) {
		got--;
		EXPECT_EQ(*(u64 *)page_address(pages[got]), n << 8 | got);
		page_put(pages[got]);
	}
}

static void cpu_objects(u64 n)
{
	u64 *objects[8];

	for (u32 i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(24 + (n * 13 + i * 200) % 1500, MM_NOWAIT);
		if (objects[i])
			objects[i][0] = n + i;
	}
	hal_cpu_relax();
	for (u32 i = 0; i < ARRAY_SIZE(objects); i++) {
		EXPECT(!objects[i] || objects[i][0] == n + i);
		kfree(objects[i]);
	}
}

static void cpu_work(void *arg)
{
	u64 me = (u64)(uintptr_t)arg;

	for (u64 round = 0; round < 400; round++) {
		u64 n = me << 32 | round;

		cpu_publish(n);
		cpu_read();
		cpu_pages(n);
		cpu_objects(n);
		pass_scheduler();
	}
	finished++;
}

static u64 settled(void)
{
	struct mm_stats s;

	for (u32 i = 0; i < 10; i++) {
		rcu_expedite();
		host_time_advance(3000000);
		pass_scheduler();
		host_run_all();
	}
	mm_drain();
	mm_stats(&s);
	return s.free + s.frame_table + s.magazines + s.tables;
}

/* A CPU gives back what it keeps, and stays in idle for grace periods to pass. */
static void cpu_drain(void *arg)
{
	(void)arg;
	for (u32 i = 0; i < 20; i++) {
		pass_scheduler();
		hal_cpu_relax();
	}
	mm_drain();
	hal_irq_disable();
	rcu_idle_enter();
}

static void cpu_wake(void *arg)
{
	(void)arg;
	rcu_idle_exit();
}

static void on_others(void (*fn)(void *), bool with_number)
{
	for (u32 i = 1; i < CPUS; i++)
		host_cpu_start(i, fn, (void *)(uintptr_t)(with_number ? i : 0));
}

TEST(four_cpus_share_everything)
{
	struct kmem_cache_stats stats;
	u64 before;

	boot();
	spin_init(&shared_lock, "shared", LOCK_RANK_FUTEX);
	shared_cache = kmem_cache_create("item", sizeof(struct item), 0, NULL, 0);
	EXPECT(shared_cache);
	on_others(cpu_drain, false);
	host_run_all();
	before = settled();
	on_others(cpu_wake, false);
	host_run_all();
	host_set_interleave(7, 1234567);
	on_others(cpu_work, true);
	cpu_work(NULL);
	host_run_all();
	host_set_interleave(0, 0);
	EXPECT_EQ(finished, CPUS);
	EXPECT_EQ(shared_counter, CPUS * 400);
	if (published)
		call_rcu(&published->rcu, item_free);
	published = NULL;
	on_others(cpu_drain, false);
	host_run_all();
	EXPECT_EQ(settled(), before);
	kmem_cache_stats(shared_cache, &stats);
	EXPECT_EQ(stats.objects, 0);
	kmem_cache_destroy(shared_cache);
}

/* ---- the queue of a spinlock ------------------------------------------------------------------- */

static struct spinlock queue_lock;
static u32 queue_order[CPUS], queue_count;

static void queue_wait(void *arg)
{
	irqflags_t f;

	(void)arg;
	f = spin_lock_irqsave(&queue_lock);
	queue_order[queue_count++] = hal_cpu_id();
	hal_cpu_relax();	/* with the lock held: nobody else may come in */
	EXPECT_EQ(queue_order[queue_count - 1], hal_cpu_id());
	spin_unlock_irqrestore(&queue_lock, f);
}

/* First come, first served, and the word is what it was. */
TEST(a_spinlock_serves_in_order)
{
	irqflags_t f;

	boot();
	spin_init(&queue_lock, "queue", LOCK_RANK_FUTEX);
	for (u32 round = 0; round < 50; round++) {
		queue_count = 0;
		f = spin_lock_irqsave(&queue_lock);
		for (u32 i = CPUS - 1; i > 0; i--) {
			host_cpu_start(i, queue_wait, NULL);
			for (u32 n = 0; n < 4 * CPUS; n++)
				hal_cpu_relax();	/* it comes to wait before the next one does */
		}
		EXPECT_EQ(queue_count, 0);
		EXPECT(!spin_trylock(&queue_lock));
		spin_unlock_irqrestore(&queue_lock, f);
		EXPECT(!spin_trylock(&queue_lock));	/* it is free, but others wait for it */
		host_run_all();
		EXPECT_EQ(queue_count, CPUS - 1);
		for (u32 i = 0; i < queue_count; i++)
			EXPECT_EQ(queue_order[i], CPUS - 1 - i);
		EXPECT_EQ(queue_lock.word, 0);
	}
}

/* ---- what CPUs ask of each other ----------------------------------------------------------------- */

#define FLUSH_PAGES	8u
#define FLUSH_ROUNDS	2000u
#define FLUSH_BASE	0x1000000ull

/*
 * A page table of numbers, and for each CPU a TLB that forgets when, and only when, the HAL was told to flush or left the
 * space. A number that was published is what everybody finds from then on, or a later one.
 */
static struct {
	struct hal_space space;
	u64 table[FLUSH_PAGES], published[FLUSH_PAGES];
	struct {
		u64 number[FLUSH_PAGES];
		u64 told;
	} tlb[CPUS];
	u64 lookups, hits;
} flush;

static u64 flush_look(u32 page)
{
	struct hal_percpu *pc = hal_percpu();
	u64 told = pc->flushed_all + pc->flushed_pages, *entry = &flush.tlb[pc->cpu].number[page];

	if (flush.tlb[pc->cpu].told != told) {
		memset(flush.tlb[pc->cpu].number, 0, sizeof(flush.tlb[pc->cpu].number));
		flush.tlb[pc->cpu].told = told;
	}
	flush.lookups++;
	flush.hits += *entry != 0;
	if (!*entry)
		*entry = flush.table[page];
	return *entry;
}

static void flush_change(u64 n, u32 page)
{
	vaddr_t va = FLUSH_BASE + page * PAGE_SIZE;
	u64 number;

	preempt_disable();
	number = ++flush.table[page];
	preempt_enable();
	if (n % 5 == 0)
		tlb_flush_space(&flush.space, 0, ~0ull, TLB_TABLES);
	else
		tlb_flush_space(&flush.space, va, va + PAGE_SIZE, TLB_PAGES);
	if (flush.published[page] < number)
		flush.published[page] = number;
}

/* A kernel thread runs for a while, and then one of the space's again. */
static void flush_be_lazy(u64 n)
{
	preempt_disable();
	hal_space_set_lazy();
	for (u64 i = 0; i < n % 5; i++)
		hal_cpu_relax();
	hal_space_resume(hal_pt_root_current(), &flush.space);
	preempt_enable();
}

/* A program's thread works on its space: flushes that it asks for itself, and those that it misses. */
static void flush_be_quiet(u64 n, u32 page)
{
	preempt_disable();
	hal_space_set_quiet();
	preempt_enable();
	for (u64 i = 0; i < n % 3; i++)
		host_maybe_switch();
	if (n % 2)
		flush_change(n, page);
	preempt_disable();
	if (!hal_space_end_quiet())
		hal_space_resume(hal_pt_root_current(), &flush.space);
	preempt_enable();
}

/* With interrupts off this CPU does not answer: nothing may be published that it has not heard of. */
static void flush_be_deaf(u32 page)
{
	irqflags_t f = hal_irq_save();

	for (u32 i = 0; i < 3; i++) {
		u64 least = flush.published[page];

		EXPECT(flush_look(page) >= least);
		hal_cpu_relax();
	}
	hal_irq_restore(f);
}

static void flush_work(void *arg)
{
	u64 me = (u64)(uintptr_t)arg;

	preempt_disable();
	hal_space_activate(hal_pt_root_current(), &flush.space);
	preempt_enable();
	for (u64 n = me; n < FLUSH_ROUNDS; n++) {
		u32 page = (u32)(n * 5 % FLUSH_PAGES);
		u64 least = flush.published[page];

		EXPECT(flush_look(page) >= least);
		(void)flush_look((page + 1) % FLUSH_PAGES);
		if (n % 31 == me)
			flush_change(n, page);
		if (n % 37 == me)
			flush_be_lazy(n);
		if (n % 29 == me)
			flush_be_quiet(n, page);
		if (n % 17 == me)
			flush_be_deaf(page);
		host_maybe_switch();
	}
	preempt_disable();
	hal_space_activate(hal_pt_root_current(), NULL);
	preempt_enable();
}

static struct tlb_stats flush_stats(void)
{
	struct tlb_stats sum = { 0 }, one;

	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		tlb_stats(cpu, &one);
		sum.sent += one.sent;
		sum.coalesced += one.coalesced;
		sum.lazy += one.lazy;
		sum.quiet += one.quiet;
		sum.avoided += one.avoided;
		sum.caught_up += one.caught_up;
		sum.dropped += one.dropped;
		sum.pages += one.pages;
		sum.hangs += one.hangs;
	}
	return sum;
}

TEST(flushes_reach_who_runs_the_space)
{
	struct tlb_stats before, after;

	boot();
	memset(&flush, 0, sizeof(flush));
	hal_space_init(&flush.space);
	before = flush_stats();
	host_set_interleave(5, 424242);
	on_others(flush_work, true);
	flush_work(NULL);
	host_run_all();
	host_set_interleave(0, 0);
	after = flush_stats();
	EXPECT(after.sent > before.sent && after.pages > before.pages && after.lazy > before.lazy);
	EXPECT(after.quiet > before.quiet);
	EXPECT(after.caught_up > before.caught_up && after.dropped > before.dropped && after.avoided > before.avoided);
	EXPECT(after.coalesced > before.coalesced);
	EXPECT_EQ(after.hangs, before.hangs);
	EXPECT(flush.hits > 100);	/* the model would see a stale entry */
	EXPECT_EQ(flush.space.cpus[0], 0);
}

static u64 calls_asked, calls_ran;

static void call_ran(void *arg)
{
	(void)arg;
	EXPECT(!hal_irq_enabled());
	calls_ran++;
}

static void call_work(void *arg)
{
	static struct smp_async async[CPUS];
	u64 me = (u64)(uintptr_t)arg;
	u32 online;

	for (u64 n = 0; n < 300; n++) {
		u32 cpu = (u32)((n + me) % CPUS);

		preempt_disable();
		online = hal_cpu_online_count();
		if (n % 3 == 0 && online == CPUS) {
			calls_asked += CPUS;
			smp_call_all(call_ran, NULL, n & 1);
		} else if (n % 3 == 1) {
			calls_asked += smp_call_one(cpu, call_ran, NULL, true) == 0;
		} else {
			calls_asked += smp_call_async(cpu, &async[me], call_ran, NULL) == 0;
		}
		preempt_enable();
	}
	/* Nobody goes offline before all have asked. */
	finished++;
	while (finished < CPUS)
		hal_cpu_relax();
	while (async[me].busy)
		hal_cpu_relax();
}

TEST(calls_reach_everybody)
{
	struct smp_call_stats stats;
	u64 coalesced = 0;

	boot();
	finished = 0;
	host_set_interleave(5, 777);
	on_others(call_work, true);
	call_work(NULL);
	host_run_all();
	host_set_interleave(0, 0);
	EXPECT_EQ(calls_ran, calls_asked);
	EXPECT(calls_ran > 1000);
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		smp_call_stats(cpu, &stats);
		coalesced += stats.coalesced;
		EXPECT_EQ(stats.hangs, 0);
	}
	EXPECT(coalesced > 0);
	/* They are gone: nobody waits for them. */
	EXPECT_EQ(smp_call_one(1, call_ran, NULL, true), (u64)(s64)-ENXIO);
	smp_call_all(call_ran, NULL, true);
	EXPECT_EQ(calls_ran, calls_asked + 1);
}

/* A CPU that goes while it is asked: the request is taken back, or it was answered. */
static void leaver(void *arg)
{
	hal_irq_disable();
	smpcall_cpuhp.starting(hal_cpu_id());
	tlb_cpuhp.starting(hal_cpu_id());
	for (u64 i = (u64)(uintptr_t)arg * 3; i > 0; i--)
		hal_cpu_relax();
	/* It ends, and is offline, with interrupts off: what is posted now is never taken. */
}

TEST(who_leaves_is_not_waited_for)
{
	static struct smp_async async;
	u64 before;

	boot();
	for (u32 round = 0; round < 20; round++) {
		on_others(leaver, true);
		before = calls_ran;
		EXPECT_EQ(smp_call_async(2, &async, call_ran, NULL), 0);
		smp_call_all(call_ran, NULL, true);
		EXPECT_EQ(calls_ran, before + 1);
		tlb_flush_kernel(0, ~0ull);
		host_run_all();
		EXPECT_EQ(async.busy, 0);	/* thrown away, as the CPU began anew after it */
		EXPECT_EQ(smp_call_async(2, &async, call_ran, NULL), (u64)(s64)-ENXIO);
	}
}

/* ---- deaths ------------------------------------------------------------------------------------ */

extern const struct selftest *const __selftests_start[], *const __selftests_end[];

static void run_death(void *arg)
{
	might_sleep();	/* arms the check, as the first thread does */
	((const struct selftest *)arg)->fn();
}

/* Those that need no trap of a machine. */
static bool dies_without_traps(const char *name)
{
	static const char *const prefixes[] = { "assert", "verify", "lock_", "unlock_", "sleep_", "refcount_", "panic_",
						"page_", "slab_" };

	for (u32 i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (host_strstr(name, prefixes[i]) == name)
			return true;
	return false;
}

TEST(deaths_are_reported)
{
	char reason[400];
	u32 count = 0;

	boot();
	for (const struct selftest *const *t = __selftests_start; t < __selftests_end; t++) {
		if (!(*t)->expect || !dies_without_traps((*t)->name))
			continue;
		count++;
		if (!host_catch_panic(run_death, (void *)(uintptr_t)*t, reason, sizeof(reason)) ||
		    !host_strstr(reason, (*t)->expect))
			test_fail(__FILE__, __LINE__, "%s: wants \"%s\", got \"%s\"", (*t)->name, (*t)->expect, reason);
	}
	EXPECT(count >= 12);
}
