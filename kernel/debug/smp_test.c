/* SPDX-License-Identifier: MIT */
/*
 * Tests of what CPUs ask of each other: calls, TLB shootdown, stopping; and of RCU on many CPUs. On one CPU most of them
 * are skipped. The torture tests go on for selftest.seconds= with one thread bound to each CPU.
 */
#define LOG_TAG "test"
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/uaccess.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/percpu_counter.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/core/spinlock.h>
#include <kernel/core/tlb.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/page.h>
#include <kernel/mm/pt.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define MS ((u64)NSEC_PER_MSEC)
#define PATIENCE_NS (5000 * MS)

static bool many_cpus(void)
{
	if (hal_cpu_online_count() > 1)
		return true;
	selftest_skip("one CPU");
	return false;
}

static u32 another_cpu(void)
{
	u32 cpu, me = hal_cpu_id(), found = me;

	for_each_online_cpu(cpu)
		if (cpu != me)
			found = cpu;
	return found;
}

struct bound {
	void (*fn)(void *arg);
	void *arg;
	u32 cpu;
	struct completion there;
};

static void bound_main(void *arg)
{
	struct bound *b = arg;
	void (*fn)(void *arg) = b->fn;
	void *fn_arg = b->arg;
	struct cpumask mask;

	cpumask_clear(&mask);
	cpumask_set(&mask, b->cpu);
	EXPECT_EQ(sched_set_affinity(current_thread(), &mask), 0);
	complete(&b->there);
	fn(fn_arg);
}

/* A thread that is on that CPU when this returns. */
static bool run_on(u32 cpu, void (*fn)(void *arg), void *arg, const char *name)
{
	struct bound b = { .fn = fn, .arg = arg, .cpu = cpu };

	completion_init(&b.there);
	if (!kthread_run(bound_main, &b, name))
		return false;
	wait_for_completion(&b.there, "selftest");
	return true;
}

/* ---- a thread on each CPU ------------------------------------------------------------------------ */

struct team {
	void (*fn)(struct team *team, u32 number);
	u64 end_ns;
	atomic_t next;		/* numbers handed out */
	atomic_t left;
	struct completion gone;
	void *arg;
};

static bool team_goes_on(const struct team *t)
{
	return hal_clock_ns() < t->end_ns;
}

static void team_main(void *arg)
{
	struct team *t = arg;

	t->fn(t, (u32)atomic_fetch_inc(&t->next));
	if (atomic_dec_and_test(&t->left))
		complete(&t->gone);
}

/* Runs fn on all online CPUs, each in a thread of its own, until the time is over. */
static void team_run(void (*fn)(struct team *team, u32 number), void *arg)
{
	struct team t = { .fn = fn, .arg = arg, .left = ATOMIC_INIT(1),
			  .end_ns = hal_clock_ns() + selftest_seconds() * (u64)NSEC_PER_SEC };
	u32 cpu;

	completion_init(&t.gone);
	for_each_online_cpu(cpu) {
		atomic_inc(&t.left);
		if (!EXPECT(run_on(cpu, team_main, &t, "team")))
			atomic_dec(&t.left);
	}
	if (!atomic_dec_and_test(&t.left))
		wait_for_completion(&t.gone, "selftest");
}

/* ---- calls --------------------------------------------------------------------------------------- */

static void note_cpu(void *arg)
{
	u32 *where = arg;

	if (hal_irq_enabled())
		WRITE_ONCE(*where, ~0u);
	else
		WRITE_ONCE(*where, hal_cpu_id());
}

SELFTEST(smp, call_one)
{
	u32 cpu, where;

	for_each_online_cpu(cpu) {
		where = MAX_CPUS;
		EXPECT_EQ(smp_call_one(cpu, note_cpu, &where, true), 0);
		EXPECT_EQ(where, cpu);
	}
	EXPECT_EQ(smp_call_one(MAX_CPUS - 1, note_cpu, &where, true), (u64)(s64)-ENXIO);
	EXPECT_EQ(smp_call_one(MAX_CPUS + 5, note_cpu, &where, true), (u64)(s64)-ENXIO);
}

static void count_call(void *arg)
{
	atomic_inc(arg);
}

SELFTEST(smp, call_many)
{
	atomic_t count = ATOMIC_INIT(0);
	struct cpumask mask;

	smp_call_all(count_call, &count, true);
	EXPECT_EQ(atomic_load(&count), hal_cpu_online_count());
	cpumask_clear(&mask);
	smp_call_many(&mask, count_call, &count, true);
	EXPECT_EQ(atomic_load(&count), hal_cpu_online_count());
	cpumask_set(&mask, another_cpu());
	cpumask_set(&mask, MAX_CPUS - 1);	/* not there: left out */
	smp_call_many(&mask, count_call, &count, true);
	EXPECT_EQ(atomic_load(&count), hal_cpu_online_count() + 1);
}

DEFINE_PERCPU_COUNTER(counted);

static void count_a_hundred(void *arg)
{
	for (u32 i = 0; i < 100; i++)
		percpu_counter_add(&counted, *(s64 *)arg);
}

SELFTEST(smp, counters_of_all_cpus)
{
	s64 cpus = hal_cpu_online_count(), one = 1, less = -3, before = percpu_counter_sum(&counted), far;

	smp_call_all(count_a_hundred, &one, true);
	EXPECT_EQ(percpu_counter_sum(&counted) - before, 100 * cpus);
	far = percpu_counter_sum(&counted) - percpu_counter_read(&counted);
	EXPECT(far > -PERCPU_COUNTER_BATCH * cpus && far < PERCPU_COUNTER_BATCH * cpus);
	EXPECT(percpu_counter_read(&counted) != before);
	smp_call_all(count_a_hundred, &less, true);
	EXPECT_EQ(percpu_counter_sum(&counted) - before, -200 * cpus);
}

SELFTEST(smp, call_async)
{
	static struct smp_async call;
	static atomic_t count;
	irqflags_t f;
	u32 cpu;
	int err;

	atomic_store(&count, 0);
	for_each_online_cpu(cpu) {
		f = hal_irq_save();
		err = smp_call_async(cpu, &call, count_call, &count);
		hal_irq_restore(f);
		EXPECT_EQ(err, 0);
		for (u64 end = hal_clock_ns() + PATIENCE_NS; READ_ONCE(call.busy) && hal_clock_ns() < end;)
			hal_cpu_relax();
		EXPECT_EQ(call.busy, 0);
	}
	smp_call_all(note_cpu, &cpu, true);	/* what began before has ended */
	EXPECT_EQ(atomic_load(&count), hal_cpu_online_count());
	EXPECT_EQ(smp_call_async(MAX_CPUS - 1, &call, count_call, &count), (u64)(s64)-ENXIO);
	EXPECT_EQ(call.busy, 0);
}

SELFTEST(smp, waiting_with_interrupts_off)
{
	irqflags_t f;
	u32 where;

	if (!many_cpus())
		return;
	preempt_disable();
	report_capture_begin();
	f = hal_irq_save();
	(void)smp_call_one(another_cpu(), note_cpu, &where, true);
	hal_irq_restore(f);
	EXPECT_REPORT("other CPUs are waited for with interrupts off");
	EXPECT_REPORTS(1);
	report_capture_end();
	preempt_enable();
}

SELFTEST(smp, lock_with_interrupts_off)
{
	struct spinlock l;
	irqflags_t f;

	if (!many_cpus())
		return;
	spin_init(&l, "test outer", LOCK_RANK_OBJECT);
	report_capture_begin();
	f = hal_irq_save();
	spin_lock(&l);
	spin_unlock(&l);
	hal_irq_restore(f);
	EXPECT_REPORT("spinlock \"test outer\" taken with interrupts off at selftest_smp_lock_with");
	EXPECT_REPORT("its holder may wait for this CPU");
	EXPECT_REPORTS(1);
	report_capture_end();
}

struct deaf {
	u32 cpu;
	u32 begun, end;
	struct completion gone;
};

static noinline void deaf_stands(struct deaf *d)
{
	irqflags_t f = hal_irq_save();

	WRITE_ONCE(d->begun, 1);
	for (u64 end = hal_clock_ns() + PATIENCE_NS; !READ_ONCE(d->end) && hal_clock_ns() < end;) {
		if (report_capture_has("to answer a call") && report_capture_has("deaf_stands+"))
			break;
		hal_cpu_relax();
	}
	hal_irq_restore(f);
}

static void deaf_main(void *arg)
{
	struct deaf *d = arg;

	deaf_stands(d);
	complete(&d->gone);
}

SELFTEST(smp, who_does_not_answer_is_named)
{
	struct deaf d = { 0 };
	u32 where = MAX_CPUS;

	if (!many_cpus())
		return;
	preempt_disable();
	d.cpu = another_cpu();
	preempt_enable();
	completion_init(&d.gone);
	report_capture_begin();
	WRITE_ONCE(xcall_report_ns, 20 * MS);
	REQUIRE(run_on(d.cpu, deaf_main, &d, "deaf"));
	while (!READ_ONCE(d.begun))
		sched_yield_self();
	EXPECT_EQ(smp_call_one(d.cpu, note_cpu, &where, true), 0);
	WRITE_ONCE(xcall_report_ns, XCALL_REPORT_NS);
	WRITE_ONCE(d.end, 1);
	EXPECT_EQ(where, d.cpu);
	EXPECT_REPORT("to answer a call");
	EXPECT_REPORT("deaf_stands+");
	report_capture_end();
	wait_for_completion(&d.gone, "selftest");
}

/* All of them call all others, one, and asynchronously, at the same time. */
struct storm {
	atomic64_t asked, ran;
};

static void storm_ran(void *arg)
{
	atomic64_inc(&((struct storm *)arg)->ran);
}

static void storm_fn(struct team *t, u32 number)
{
	struct storm *s = t->arg;
	struct smp_async async = { 0 };
	u32 round = number, cpu;

	for (; team_goes_on(t); round++) {
		preempt_disable();
		if (round % 3 == 0) {
			atomic64_add(&s->asked, hal_cpu_online_count());
			smp_call_all(storm_ran, s, round & 1);
		} else if (round % 3 == 1) {
			cpu = round / 3 % hal_cpu_count();
			if (smp_call_one(cpu, storm_ran, s, true) == 0)
				atomic64_inc(&s->asked);
		} else {
			cpu = round / 3 % hal_cpu_count();
			if (smp_call_async(cpu, &async, storm_ran, s) == 0)
				atomic64_inc(&s->asked);
		}
		preempt_enable();
		sched_relax();
	}
	while (smp_load_acquire(&async.busy))
		sched_yield_self();
}

SELFTEST(torture_smp, calls)
{
	struct storm s = { 0 };
	u64 end;

	team_run(storm_fn, &s);
	smp_call_all(note_cpu, &(u32){ 0 }, true);
	for (end = hal_clock_ns() + PATIENCE_NS;
	     atomic64_load(&s.ran) != atomic64_load(&s.asked) && hal_clock_ns() < end;)
		hal_cpu_relax();
	EXPECT_EQ(atomic64_load(&s.ran), atomic64_load(&s.asked));
	EXPECT(atomic64_load(&s.ran) > 100);
}

/* ---- shootdown of kernel addresses ----------------------------------------------------------------- */

/*
 * One page of kernel addresses, under which the team's first changes the frame. Whoever reads it finds a number
 * that is not smaller than what was published before he read. A frame that was taken away is poisoned at once.
 */
struct remap {
	u64 *window;
	u64 published;
	u32 stale;
};

#define POISON 0x6b6b6b6b6b6b6b6bull

static void remap_write(struct team *t, struct remap *r)
{
	vaddr_t va = (vaddr_t)(uintptr_t)r->window;
	struct page *old = NULL, *page;

	for (u64 n = 1; team_goes_on(t); n++) {
		page = page_alloc(0, MM_KERNEL);
		if (!page)
			continue;
		*(u64 *)page_address(page) = n;
		pt_unmap_kernel(va, PAGE_SIZE);
		if (old) {
			*(u64 *)page_address(old) = POISON;
			page_put(old);
		}
		EXPECT_EQ(pt_map_kernel(va, page_to_phys(page), PAGE_SIZE, HAL_PT_READ | HAL_PT_WRITE), 0);
		smp_store_release(&r->published, n);
		old = page;
		sched_relax();
	}
	pt_unmap_kernel(va, PAGE_SIZE);
	if (old)
		page_put(old);
}

static void remap_read(struct team *t, struct remap *r)
{
	u64 least, found;

	while (team_goes_on(t)) {
		least = smp_load_acquire(&r->published);
		if (hal_kernel_load_u64((vaddr_t)(uintptr_t)r->window, &found) && (found < least || found == POISON))
			__atomic_fetch_add(&r->stale, 1, __ATOMIC_RELAXED);
		sched_relax();
	}
}

static void remap_fn(struct team *t, u32 number)
{
	if (number == 0)
		remap_write(t, t->arg);
	else
		remap_read(t, t->arg);
}

SELFTEST(torture_smp, kernel_shootdown)
{
	struct remap r = { 0 };
	void *area;

	if (!many_cpus())
		return;
	area = vmalloc(PAGE_SIZE, 0);
	REQUIRE(area);
	r.window = (u64 *)((u8 *)area + PAGE_SIZE);	/* the page behind it, which is never mapped */
	team_run(remap_fn, &r);
	EXPECT_EQ(r.stale, 0);
	EXPECT(r.published > 10);
	vfree(area);
}

/* ---- RCU -------------------------------------------------------------------------------------------- */

#define RCU_ALIVE	0x416c697665ull
#define RCU_DEAD	0x44656164ull

struct rcu_thing {
	struct rcu_head rcu;
	u64 state;
	atomic_t *live;
};

struct rcu_torture {
	struct rcu_thing *at[4];	/* [r] */
	atomic_t live;
	u32 wrong;
	atomic64_t reads, writes;
};

static void thing_free(struct rcu_head *head)
{
	struct rcu_thing *thing = container_of(head, struct rcu_thing, rcu);

	WRITE_ONCE(thing->state, RCU_DEAD);
	atomic_dec(thing->live);
	kfree(thing);
}

static void thing_replace(struct rcu_torture *r, u32 slot, bool empty)
{
	struct rcu_thing *thing = empty ? NULL : kmalloc(sizeof(*thing), MM_KERNEL), *old;

	if (thing) {
		thing->state = RCU_ALIVE;
		thing->live = &r->live;
		atomic_inc(&r->live);
	}
	old = __atomic_exchange_n(&r->at[slot], thing, __ATOMIC_SEQ_CST);
	if (old)
		call_rcu(&old->rcu, thing_free);
	atomic64_inc_relaxed(&r->writes);
}

/* Every few rounds the section is long, and now and then interrupts are off in it. */
static void thing_read(struct rcu_torture *r, u32 round)
{
	struct rcu_thing *thing;
	irqflags_t f = 0;

	rcu_read_lock();
	if (round % 16 == 3)
		f = hal_irq_save();
	thing = rcu_dereference(r->at[round % ARRAY_SIZE(r->at)]);
	for (u32 i = 0; thing && i < (round % 64 ? 3u : 300u); i++) {
		if (READ_ONCE(thing->state) != RCU_ALIVE)
			__atomic_fetch_add(&r->wrong, 1, __ATOMIC_RELAXED);
		hal_cpu_relax();
	}
	if (round % 16 == 3)
		hal_irq_restore(f);
	rcu_read_unlock();
	atomic64_inc_relaxed(&r->reads);
}

static void rcu_fn(struct team *t, u32 number)
{
	struct rcu_torture *r = t->arg;

	for (u32 round = number; team_goes_on(t); round++) {
		thing_read(r, round);
		if (round % 8 == number % 8)
			thing_replace(r, round / 8 % ARRAY_SIZE(r->at), round % 5 == 0);
		if (round % 512 == 100)
			synchronize_rcu();
		sched_relax();
	}
}

SELFTEST(torture_rcu, readers_and_writers)
{
	struct rcu_torture r = { 0 };
	struct rcu_stats before, after;

	rcu_stats(&before);
	team_run(rcu_fn, &r);
	for (u32 i = 0; i < ARRAY_SIZE(r.at); i++)
		thing_replace(&r, i, true);
	rcu_barrier();
	rcu_stats(&after);
	EXPECT_EQ(r.wrong, 0);
	EXPECT_EQ(atomic_load(&r.live), 0);
	EXPECT(after.grace_periods - before.grace_periods > 3);
	EXPECT(atomic64_load(&r.reads) > 1000);
	log_debug("%llu reads, %llu writes, %llu grace periods", (unsigned long long)atomic64_load(&r.reads),
		  (unsigned long long)atomic64_load(&r.writes), (unsigned long long)(after.grace_periods - before.grace_periods));
}

#define SPUN_PERIODS 5u

/*
 * A CPU that runs a thread for long, without a system call or a switch, still lets grace periods end: the others spin until one
 * thread has seen some, and give up when it is long past all patience.
 */
struct spun_through {
	u64 end_ns;
	u32 periods; /* [a] */
	bool over; /* [a] */
};

static void spin_fn(struct team *t, u32 number)
{
	struct spun_through *s = t->arg;

	while (number && !__atomic_load_n(&s->over, __ATOMIC_ACQUIRE) && hal_clock_ns() < s->end_ns)
		hal_cpu_relax();
	if (number)
		return;
	while (hal_clock_ns() < s->end_ns && (team_goes_on(t) || s->periods < SPUN_PERIODS)) {
		synchronize_rcu();
		if (hal_clock_ns() < s->end_ns)
			WRITE_ONCE(s->periods, s->periods + 1);
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

SELFTEST(torture_rcu, grace_periods_while_all_spin)
{
	struct spun_through s = { .end_ns = hal_clock_ns() + selftest_seconds() * (u64)NSEC_PER_SEC + 2 * PATIENCE_NS };

	if (!many_cpus())
		return;
	team_run(spin_fn, &s);
	log_debug("%u grace periods", s.periods);
	EXPECT(s.periods >= SPUN_PERIODS);
}

/* ---- deaths: on 4 CPUs (ring_selftest.py) -------------------------------------------------------------- */

static noinline void busy_with_interrupts_off(u32 *there)
{
	hal_irq_disable();
	__atomic_fetch_add(there, 1, __ATOMIC_RELEASE);
	for (;;)
		hal_cpu_relax();
}

struct busy {
	u32 go, there; /* [a] */
};

/* All at once: a CPU that stands there holds up who makes the next thread, and flushes for its stack. */
static void busy_main(void *arg)
{
	struct busy *b = arg;

	while (!READ_ONCE(b->go))
		sched_yield_self();
	busy_with_interrupts_off(&b->there);
}

/* Those that stand with interrupts off are stopped too, and say where they are. */
DEATHTEST(smp_stops_all, "told to die ... the other CPUs: ... was stopped ... busy_with_interrupts_off+ ... last log lines")
{
	static struct busy b;
	struct cpumask here;
	u32 cpu, me = hal_cpu_id(), others = hal_cpu_online_count() - 1;
	u64 end;

	cpumask_clear(&here);
	cpumask_set(&here, me);
	VERIFY(sched_set_affinity(current_thread(), &here) == 0);
	for_each_online_cpu(cpu)
		if (cpu != me)
			VERIFY(run_on(cpu, busy_main, &b, "busy"));
	WRITE_ONCE(b.go, 1);
	for (end = hal_clock_ns() + PATIENCE_NS; READ_ONCE(b.there) != others && hal_clock_ns() < end;)
		hal_cpu_relax();
	panic("told to die");
}

static void die_together(void *arg)
{
	atomic_t *there = arg;

	bool last = atomic_inc_return(there) == (int)hal_cpu_online_count();

	while (!last && !panic_active())
		hal_cpu_relax();
	panic("cpu %u dies with the others", hal_cpu_id());
}

/*
 * One report, and in it where the others were: in their own panic, of which they left the reason, or (the NMI was faster)
 * right before it.
 */
DEATHTEST(smp_all_panic, "dies with the others ... the other CPUs: ... die_together+ ... end of panic report: cpu ")
{
	static atomic_t there;

	smp_call_all(die_together, &there, false);
}

#endif
