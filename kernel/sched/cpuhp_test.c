/* SPDX-License-Identifier: MIT */
/*
 * CPUs that go and come: what they leave behind is taken over, and those that do not come are left out. The work is done to the last CPU; a
 * machine with one CPU skips it. test/abi/hotplug.c does the same from outside, under load.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/smp.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/percpu.h>
#include <kernel/core/percpu_counter.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <kernel/sched/wait.h>
#include <lib/errno.h>

#if HALCYON_DEBUG

#define MS ((u64)NSEC_PER_MSEC)
#define PATIENCE_NS (10 * (u64)NSEC_PER_SEC)

/* 0: there is none to play with. */
static u32 victim(void)
{
	u32 last = hal_cpu_count() - 1;

	if (last && hal_cpu_online(last))
		return last;
	selftest_skip("no second CPU");
	return 0;
}

DEFINE_PERCPU_COUNTER(left_behind);
#define LEFT 5 /* less than a batch: it stays in the CPU's part */

/* What a thread on the victim leaves there. */
struct estate {
	u32 cpu;
	struct completion done, rcu_done;
	struct rcu_head rcu;
	struct timer timer;
	u32 timer_cpu; /* [a] where it fired, + 1 */
	u64 timer_ns; /* [timer_cpu] when */
	u32 ran_on; /* [a] */
	bool stop; /* [a] */
	u64 rounds; /* [a] */
};

static void estate_rcu(struct rcu_head *head)
{
	complete(&container_of(head, struct estate, rcu)->rcu_done);
}

static void estate_timer(struct timer *t)
{
	struct estate *e = container_of(t, struct estate, timer);

	e->timer_ns = hal_clock_ns();
	__atomic_store_n(&e->timer_cpu, hal_cpu_id() + 1, __ATOMIC_RELEASE);
}

static void bind_here(u32 cpu)
{
	struct cpumask one;

	cpumask_clear(&one);
	cpumask_set(&one, cpu);
	EXPECT_EQ(sched_set_affinity(current_thread(), &one), 0);
	schedule();
}

static void estate_thread(void *arg)
{
	struct estate *e = arg;
	void *p;

	bind_here(e->cpu);
	EXPECT_EQ(hal_cpu_id(), e->cpu);
	p = kmalloc(100, 0); /* its magazine has something now */
	kfree(p);
	preempt_disable();
	timer_init(&e->timer, estate_timer);
	timer_arm(&e->timer, hal_clock_ns() + 250 * MS);
	percpu_counter_add(&left_behind, LEFT);
	call_rcu(&e->rcu, estate_rcu);
	preempt_enable();
	for (u64 end = hal_clock_ns() + 20 * MS; hal_clock_ns() < end;) /* some ticks: the callback goes on to wait for its period */
		hal_cpu_relax();
	complete(&e->done);
	while (!__atomic_load_n(&e->stop, __ATOMIC_ACQUIRE)) { /* it never sleeps: it must be moved while it runs */
		__atomic_fetch_add(&e->rounds, 1, __ATOMIC_RELAXED);
		hal_cpu_relax();
	}
	e->ran_on = hal_cpu_id();
	complete(&e->done);
}

/* A reader on CPU 0, for as long as it takes: what was queued before waits for it, wherever it is meanwhile. */
struct long_reader {
	struct completion inside, done;
	bool let_go; /* [a] */
	u64 end_ns;
};

static void long_reader_main(void *arg)
{
	struct long_reader *r = arg;

	rcu_read_lock();
	complete(&r->inside);
	while (!__atomic_load_n(&r->let_go, __ATOMIC_ACQUIRE) && hal_clock_ns() < r->end_ns)
		hal_cpu_relax();
	rcu_read_unlock();
	complete(&r->done);
}

/* Not with two CPUs: whoever takes one of them away needs the other. */
static bool long_reader_start(struct long_reader *r)
{
	if (hal_cpu_online_count() < 3)
		return false;
	*r = (struct long_reader){ .end_ns = hal_clock_ns() + 500 * MS };
	completion_init(&r->inside);
	completion_init(&r->done);
	if (!EXPECT(kthread_run_on(0, long_reader_main, r, "reader")))
		return false;
	wait_for_completion(&r->inside, "selftest");
	return true;
}

static void long_reader_end(struct long_reader *r)
{
	__atomic_store_n(&r->let_go, true, __ATOMIC_RELEASE);
	wait_for_completion(&r->done, "selftest");
}

SELFTEST(cpuhp, what_a_cpu_leaves_is_taken_over)
{
	struct estate e = { .cpu = victim() };
	s64 counted = percpu_counter_sum(&left_behind);
	u64 before, gone_ns, end;
	static struct long_reader r;
	bool read;

	if (!e.cpu)
		return;
	completion_init(&e.done);
	completion_init(&e.rcu_done);
	rcu_barrier(); /* nothing waits before ours */
	read = long_reader_start(&r);
	REQUIRE(kthread_run(estate_thread, &e, "estate"));
	wait_for_completion(&e.done, "selftest");
	completion_init(&e.done);
	EXPECT_EQ(cpuhp_down(e.cpu), 0);
	EXPECT(!hal_cpu_online(e.cpu));
	EXPECT_EQ(hal_cpu_online_count(), hal_cpu_count() - 1);
	gone_ns = hal_clock_ns();
	if (read)
		long_reader_end(&r);
	before = READ_ONCE(e.rounds);
	for (end = gone_ns + PATIENCE_NS; hal_clock_ns() < end;) {
		if (__atomic_load_n(&e.timer_cpu, __ATOMIC_ACQUIRE) && READ_ONCE(e.rounds) != before)
			break;
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		(void)thread_sleep_until(clock_mono_ns() + 5 * MS, THREAD_UNINTERRUPTIBLE, "selftest");
	}
	EXPECT(READ_ONCE(e.rounds) != before);
	EXPECT(e.timer_cpu);
	EXPECT(e.timer_cpu != e.cpu + 1 || e.timer_ns < gone_ns); /* it took that long to go, on a busy host */
	EXPECT_EQ(percpu_counter_sum(&left_behind) - counted, LEFT);
	wait_for_completion(&e.rcu_done, "selftest");
	synchronize_rcu(); /* no period waits for who is gone */
	__atomic_store_n(&e.stop, true, __ATOMIC_RELEASE);
	wait_for_completion(&e.done, "selftest");
	EXPECT(e.ran_on != e.cpu);
	EXPECT_EQ(cpuhp_down(e.cpu), 0); /* it is so already */
	EXPECT_EQ(cpuhp_up(e.cpu), 0);
	EXPECT_EQ(cpuhp_up(e.cpu), 0);
	EXPECT_EQ(hal_cpu_online_count(), hal_cpu_count());
}

SELFTEST(cpuhp, who_may_not_go)
{
	EXPECT_EQ(cpuhp_down(0), -EBUSY);
	EXPECT_EQ(cpuhp_down(hal_cpu_count()), -EINVAL);
	EXPECT_EQ(cpuhp_up(hal_cpu_count()), -EINVAL);
	EXPECT_EQ(cpuhp_up(0), 0);
}

SELFTEST(cpuhp, a_dead_cpu_is_left_out)
{
	u32 cpu = victim();

	if (!cpu)
		return;
	EXPECT_EQ(cpuhp_down(cpu), 0);
	hal_smp_test = (struct hal_smp_test){ .deaf = cpu, .patience_ns = 20 * MS };
	report_capture_begin();
	EXPECT_EQ(cpuhp_up(cpu), -EIO);
	EXPECT_REPORT("is left out: it did not come");
	report_capture_end();
	EXPECT(!hal_cpu_online(cpu));
	synchronize_rcu();

	hal_smp_test = (struct hal_smp_test){ .poor = cpu };
	report_capture_begin();
	EXPECT_EQ(cpuhp_up(cpu), -EIO);
	EXPECT_REPORT("is left out: a test says so");
	report_capture_end();
	EXPECT(!hal_cpu_online(cpu));

	hal_smp_test = (struct hal_smp_test){ 0 };
	EXPECT_EQ(cpuhp_up(cpu), 0);
	EXPECT(hal_cpu_online(cpu));
}

/* The caller gives up at about the moment in which the CPU comes: whoever is first, both agree. */
SELFTEST(cpuhp, a_late_cpu_stays_away)
{
	u32 cpu = victim(), late = 0;

	if (!cpu)
		return;
	report_capture_begin();
	for (u32 i = 0; i < 12; i++) {
		int err;

		EXPECT_EQ(cpuhp_down(cpu), 0);
		hal_smp_test = (struct hal_smp_test){ .patience_ns = 1 + i % 4 * 100000ull };
		err = cpuhp_up(cpu);
		EXPECT(err == 0 || err == -EIO);
		EXPECT_EQ(hal_cpu_online(cpu), err == 0);
		late += err != 0;
	}
	hal_smp_test = (struct hal_smp_test){ 0 };
	EXPECT_EQ(report_capture_count("is left out: it did not come"), late);
	report_capture_end();
	EXPECT_EQ(cpuhp_up(cpu), 0);
	EXPECT(hal_cpu_online(cpu));
}

/* ---- all that goes on meanwhile ---------------------------------------------------------------- */

struct bystander {
	struct completion done;
	void (*step)(struct bystander *b);
	u32 cpu; /* that comes and goes */
	bool stop; /* [a] */
	u64 steps;
};

static void bystander_main(void *arg)
{
	struct bystander *b = arg;

	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		b->step(b);
		WRITE_ONCE(b->steps, b->steps + 1);
		if (b->steps % 64 == 0)
			sched_relax();
	}
	complete(&b->done);
}

static bool bystander_start(struct bystander *b, void (*step)(struct bystander *b), u32 cpu)
{
	*b = (struct bystander){ .step = step, .cpu = cpu };
	completion_init(&b->done);
	if (!EXPECT(kthread_run(bystander_main, b, "bystander")))
		return false;
	while (!READ_ONCE(b->steps))
		sched_relax();
	return true;
}

static void bystander_stop(struct bystander *b)
{
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	wait_for_completion(&b->done, "selftest");
	EXPECT(b->steps > 0);
}

static void step_barrier(struct bystander *b)
{
	(void)b;
	rcu_barrier();
}

static void step_synchronize(struct bystander *b)
{
	(void)b;
	synchronize_rcu();
}

static void step_nothing(void *arg)
{
	(void)arg;
}

static void step_calls(struct bystander *b)
{
	void *p = vmalloc(PAGE_SIZE, 0);

	(void)smp_call_one(b->cpu, step_nothing, NULL, true);
	smp_call_all(step_nothing, NULL, b->steps % 2);
	vfree(p);
	kmap_purge();
}

static void step_memory(struct bystander *b)
{
	void *p[8];

	for (u32 i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = kmalloc(64u << i, 0);
	for (u32 i = 0; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
	(void)b;
}

static void step_kick(struct bystander *b)
{
	hal_cpu_kick(b->cpu);
}

/* A CPU is kicked before it takes interrupts: nothing is sent, and the wish to reschedule must not count as under way for ever. */
SELFTEST(cpuhp, a_kick_too_early_is_no_loss)
{
	u64 before, end;
	u32 cpu = victim();
	struct bystander b;

	if (!cpu)
		return;
	EXPECT_EQ(cpuhp_down(cpu), 0);
	REQUIRE(bystander_start(&b, step_kick, cpu));
	EXPECT_EQ(cpuhp_up(cpu), 0);
	bystander_stop(&b);
	before = READ_ONCE(hal_percpu_of(cpu)->resched_count);
	hal_cpu_kick(cpu);
	for (end = hal_clock_ns() + PATIENCE_NS; READ_ONCE(hal_percpu_of(cpu)->resched_count) == before && hal_clock_ns() < end;)
		sched_relax();
	EXPECT(READ_ONCE(hal_percpu_of(cpu)->resched_count) != before);
}

/* A CPU comes and goes while others wait for grace periods, ask it, flush, and use their caches of memory. */
SELFTEST(torture_cpuhp, all_goes_on_meanwhile)
{
	static void (*const steps[])(struct bystander *b) = { step_barrier, step_synchronize, step_calls, step_memory };
	static struct bystander all[ARRAY_SIZE(steps)];
	u64 end = hal_clock_ns() + selftest_seconds() * (u64)NSEC_PER_SEC;
	u32 cpu = victim(), rounds = 0;

	if (!cpu)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++)
		REQUIRE(bystander_start(&all[i], steps[i], cpu));
	do {
		EXPECT_EQ(cpuhp_down(cpu), 0);
		EXPECT_EQ(cpuhp_up(cpu), 0);
		rounds++;
	} while (hal_clock_ns() < end);
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++)
		bystander_stop(&all[i]);
	EXPECT(rounds > 1);
	EXPECT_EQ(hal_cpu_online_count(), hal_cpu_count());
}

#endif
