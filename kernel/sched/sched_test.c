/* SPDX-License-Identifier: MIT */
/*
 * Self tests of threads, waiting, locks, timers and work. Each thread that a test makes is gone when it ends.
 */
#include <abi/linux/sched.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/core/selftest.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <kernel/sched/work.h>

#define MS ((u64)NSEC_PER_MSEC)
#define PATIENCE_NS (10 * (u64)NSEC_PER_SEC) /* for what must come: the host may be busy */
#define FAR_NS (3600 * (u64)NSEC_PER_SEC)

/* A thread with a place to report to. */
struct worker {
	struct completion done;
	struct completion go;
	u64 value;
	u64 end_ns;
	void *shared;
};

static void worker_init(struct worker *w, void *shared)
{
	completion_init(&w->done);
	completion_init(&w->go);
	w->value = 0;
	w->end_ns = 0;
	w->shared = shared;
}

static void spin_for(u64 ns)
{
	u64 end = hal_clock_ns() + ns;

	while (hal_clock_ns() < end)
		hal_cpu_relax();
}

static void sleep_ns(u64 ns)
{
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	(void)thread_sleep_until(clock_mono_ns() + ns, THREAD_UNINTERRUPTIBLE, "selftest");
}

/* ---- timers ------------------------------------------------------------------------------------ */

struct timer_probe {
	struct timer timer;
	u64 fired_ns;
	u32 count;
};

static void probe_fire(struct timer *t)
{
	struct timer_probe *p = container_of(t, struct timer_probe, timer);

	p->fired_ns = hal_clock_ns();
	WRITE_ONCE(p->count, p->count + 1);
}

/* It is to fire soon, but the CPU may be one that the host has taken away. */
static bool probe_fired(const struct timer_probe *p)
{
	for (u64 end = hal_clock_ns() + PATIENCE_NS; !READ_ONCE(p->count) && hal_clock_ns() < end;)
		sleep_ns(1 * MS);
	return READ_ONCE(p->count) != 0;
}

SELFTEST(timer, fires_in_order_and_not_early)
{
	static const u64 delay[4] = { 3 * MS, 1 * MS, 4 * MS, 2 * MS };
	struct timer_probe p[4] = { 0 };
	irqflags_t f = hal_irq_save(); /* one CPU's, and all armed before the first fires, however long the host takes it away */
	u64 start = hal_clock_ns();

	for (u32 i = 0; i < 4; i++) {
		timer_init(&p[i].timer, probe_fire);
		timer_arm(&p[i].timer, start + delay[i]);
	}
	hal_irq_restore(f);
	for (u32 i = 0; i < 4; i++) {
		EXPECT(probe_fired(&p[i]));
		EXPECT_EQ(READ_ONCE(p[i].count), 1);
		EXPECT(p[i].fired_ns >= start + delay[i]);
	}
	EXPECT(p[1].fired_ns <= p[3].fired_ns && p[3].fired_ns <= p[0].fired_ns && p[0].fired_ns <= p[2].fired_ns);
}

SELFTEST(timer, cancelled_never_fires)
{
	struct timer_probe p = { 0 };

	irqflags_t f;

	timer_init(&p.timer, probe_fire);
	f = hal_irq_save(); /* it cannot fire before it is cancelled */
	timer_arm(&p.timer, hal_clock_ns() + 2 * MS);
	EXPECT(timer_cancel(&p.timer));
	hal_irq_restore(f);
	EXPECT(!timer_cancel_sync(&p.timer));
	timer_arm(&p.timer, hal_clock_ns() + FAR_NS);
	EXPECT(timer_cancel_sync(&p.timer));
	sleep_ns(4 * MS);
	EXPECT_EQ(p.count, 0);
}

SELFTEST(timer, rearm_moves_the_deadline)
{
	struct timer_probe p = { 0 };
	u64 start = hal_clock_ns();

	timer_init(&p.timer, probe_fire);
	timer_arm(&p.timer, start + FAR_NS);
	timer_arm(&p.timer, start + 1 * MS);
	EXPECT(probe_fired(&p));
	sleep_ns(4 * MS);
	EXPECT_EQ(READ_ONCE(p.count), 1);
}

/* ---- waiting ----------------------------------------------------------------------------------- */

SELFTEST(wait, deadline_without_event)
{
	struct waitq q;
	u64 deadline = clock_mono_ns() + 3 * MS;

	waitq_init(&q);
	EXPECT_EQ(WAIT_EVENT_TIMEOUT(&q, false, "selftest", deadline), -ETIMEDOUT);
	EXPECT(clock_mono_ns() >= deadline);
	EXPECT(list_empty(&q.head));
	EXPECT_EQ(WAIT_EVENT_TIMEOUT(&q, true, "selftest", deadline), 0); /* what is true beats what is late */
}

static void ping_main(void *arg)
{
	struct worker *w = arg;
	struct worker *partner = w->shared;

	for (u32 i = 0; i < 1000; i++) {
		wait_for_completion(&w->go, "selftest");
		w->value++;
		complete(&partner->go);
	}
	complete(&w->done);
}

SELFTEST(wait, ping_pong_loses_no_wakeup)
{
	struct worker a, b;

	worker_init(&a, &b);
	worker_init(&b, &a);
	REQUIRE(kthread_run(ping_main, &a, "ping"));
	REQUIRE(kthread_run(ping_main, &b, "pong"));
	complete(&a.go);
	wait_for_completion(&a.done, "selftest");
	wait_for_completion(&b.done, "selftest");
	EXPECT_EQ(a.value, 1000);
	EXPECT_EQ(b.value, 1000);
}

struct queue_probe {
	struct waitq q;
	u32 tickets; /* [a] */
	struct completion done;
};

static bool take_ticket(struct queue_probe *p)
{
	u32 n = READ_ONCE(p->tickets);

	while (n)
		if (__atomic_compare_exchange_n(&p->tickets, &n, n - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

static void queue_main(void *arg)
{
	struct queue_probe *p = arg;

	WAIT_EVENT_COMMON(&p->q, take_ticket(p), "selftest", THREAD_UNINTERRUPTIBLE, WAIT_EXCLUSIVE, WAIT_FOREVER);
	complete(&p->done);
}

SELFTEST(wait, exclusive_wakes_one_each)
{
	struct queue_probe p = { .tickets = 0 };

	waitq_init(&p.q);
	completion_init(&p.done);
	for (u32 i = 0; i < 8; i++)
		REQUIRE(kthread_run(queue_main, &p, "queue"));
	for (u32 i = 0; i < 8; i++) {
		__atomic_fetch_add(&p.tickets, 1, __ATOMIC_SEQ_CST);
		waitq_wake_one(&p.q);
		wait_for_completion(&p.done, "selftest");
	}
	EXPECT_EQ(p.tickets, 0);
	EXPECT(list_empty(&p.q.head));
}

/* ---- locks ------------------------------------------------------------------------------------- */

struct counter {
	struct mutex mutex;
	struct rwsem sem;
	u64 value; /* [mutex] or [sem] */
	u64 mirror;
};

static void mutex_main(void *arg)
{
	struct worker *w = arg;
	struct counter *c = w->shared;

	for (u32 i = 0; i < 200; i++) {
		mutex_lock(&c->mutex);
		u64 v = c->value;

		if (i % 16 == 0)
			schedule(); /* with the lock held: the others queue up */
		c->value = v + 1;
		mutex_unlock(&c->mutex);
	}
	complete(&w->done);
}

SELFTEST(mutex, excludes)
{
	struct counter c = { .value = 0 };
	struct worker w[4];

	mutex_init(&c.mutex, "selftest", LOCK_RANK_SLEEP_LEAF);
	for (u32 i = 0; i < 4; i++) {
		worker_init(&w[i], &c);
		REQUIRE(kthread_run(mutex_main, &w[i], "mutex"));
	}
	for (u32 i = 0; i < 4; i++)
		wait_for_completion(&w[i].done, "selftest");
	EXPECT_EQ(c.value, 800);
	EXPECT_EQ(c.mutex.owner, 0);
	REQUIRE(mutex_trylock(&c.mutex));
	EXPECT(mutex_is_mine(&c.mutex));
	mutex_unlock(&c.mutex);
}

static void rwsem_main(void *arg)
{
	struct worker *w = arg;
	struct counter *c = w->shared;

	for (u32 i = 0; i < 200; i++) {
		if (i % 4 == 0) {
			rwsem_write_lock(&c->sem);
			c->value++;
			if (i % 16 == 0)
				schedule();
			c->mirror++;
			rwsem_write_unlock(&c->sem);
		} else {
			rwsem_read_lock(&c->sem);
			if (c->value != c->mirror)
				w->value++;
			if (i % 16 == 1)
				schedule();
			if (c->value != c->mirror)
				w->value++;
			rwsem_read_unlock(&c->sem);
		}
	}
	complete(&w->done);
}

SELFTEST(rwsem, readers_never_see_half_a_write)
{
	struct counter c = { .value = 0 };
	struct worker w[6];

	rwsem_init(&c.sem, "selftest", LOCK_RANK_SLEEP_LEAF);
	for (u32 i = 0; i < 6; i++) {
		worker_init(&w[i], &c);
		REQUIRE(kthread_run(rwsem_main, &w[i], "rwsem"));
	}
	for (u32 i = 0; i < 6; i++) {
		wait_for_completion(&w[i].done, "selftest");
		EXPECT_EQ(w[i].value, 0);
	}
	EXPECT_EQ(c.value, 300);
	EXPECT_EQ(c.sem.count, 0);
	rwsem_write_lock(&c.sem);
	EXPECT(!rwsem_read_trylock(&c.sem));
	rwsem_downgrade(&c.sem);
	REQUIRE(rwsem_read_trylock(&c.sem));
	EXPECT(!rwsem_write_trylock(&c.sem));
	rwsem_read_unlock(&c.sem);
	rwsem_read_unlock(&c.sem);
	EXPECT(!rwsem_is_locked(&c.sem));
}

/* ---- scheduling -------------------------------------------------------------------------------- */

static void spin_main(void *arg)
{
	struct worker *w = arg;

	while (!READ_ONCE(*(bool *)w->shared))
		hal_cpu_relax();
	w->value = current_thread()->sum_exec_ns;
	w->end_ns = hal_clock_ns();
	complete(&w->done);
}

/* Two loops that never sleep share one CPU with us, and we still get to run: the kernel is preemptible. */
SELFTEST(sched, busy_kernel_threads_are_preempted)
{
	u64 end = hal_clock_ns() + PATIENCE_NS;
	struct thread *t[2];
	struct worker w[2];
	bool stop = false;

	for (u32 i = 0; i < 2; i++) {
		worker_init(&w[i], &stop);
		t[i] = kthread_run(spin_main, &w[i], "spin");
		REQUIRE(t[i]);
	}
	do
		sleep_ns(20 * MS);
	while ((READ_ONCE(t[0]->sum_exec_ns) <= 20 * MS || READ_ONCE(t[1]->sum_exec_ns) <= 20 * MS) && hal_clock_ns() < end);
	EXPECT(hal_clock_ns() < end);
	WRITE_ONCE(stop, true);
	wait_for_completion(&w[0].done, "selftest");
	wait_for_completion(&w[1].done, "selftest");
	EXPECT(w[0].value > 20 * MS && w[1].value > 20 * MS);
}

/* One step of nice is a quarter more or less, rounded, with 1024 at nice 0 (sched(7)). */
SELFTEST(sched, weights_of_nice)
{
	EXPECT_EQ(sched_nice_weight(0), 1024);
	EXPECT_EQ(sched_nice_weight(-20), 88761);
	EXPECT_EQ(sched_nice_weight(5), 335);
	EXPECT_EQ(sched_nice_weight(19), 15);
	for (int nice = -20; nice < 19; nice++) {
		u64 heavy = sched_nice_weight(nice) * 100ull, light = sched_nice_weight(nice + 1);

		EXPECT(heavy >= light * 120 && heavy <= light * 128);
	}
}

/* Threads that shall compete are on the last CPU, however many there are. */
static void go_to_last_cpu(void)
{
	struct cpumask one;
	u32 cpu = hal_cpu_count() - 1;

	while (!hal_cpu_online(cpu))
		cpu--;
	cpumask_clear(&one);
	cpumask_set(&one, cpu);
	EXPECT_EQ(sched_set_affinity(current_thread(), &one), 0);
	schedule();
}

static void weighted_main(void *arg)
{
	struct worker *w = arg;

	go_to_last_cpu();
	sched_set_nice(current_thread(), w->value ? 5 : 0);
	spin_main(w);
}

/*
 * Nice 5 weighs 335 where nice 0 weighs 1024. A host that takes the CPU away is charged to whoever runs, which then waits for as much
 * longer: the longer it goes on, the nearer they come.
 */
SELFTEST(sched, nice_is_a_weight)
{
	u64 end = hal_clock_ns() + PATIENCE_NS, heavy, light, from[2];
	struct thread *t[2];
	struct worker w[2];
	bool stop = false;

	for (u32 i = 0; i < 2; i++) {
		worker_init(&w[i], &stop);
		w[i].value = i;
		t[i] = kthread_run(weighted_main, &w[i], "weighted");
		REQUIRE(t[i]);
	}
	sleep_ns(20 * MS);
	for (u32 i = 0; i < 2; i++)
		from[i] = READ_ONCE(t[i]->sum_exec_ns);
	do {
		sleep_ns(50 * MS);
		heavy = READ_ONCE(t[0]->sum_exec_ns) - from[0];
		light = READ_ONCE(t[1]->sum_exec_ns) - from[1];
	} while ((light < 30 * MS || heavy * 10 < light * 26 || heavy * 10 > light * 35) && hal_clock_ns() < end);
	EXPECT(hal_clock_ns() < end);
	WRITE_ONCE(stop, true);
	wait_for_completion(&w[0].done, "selftest");
	wait_for_completion(&w[1].done, "selftest");
}

static void fifo_main(void *arg)
{
	struct worker *w = arg;

	go_to_last_cpu();
	(void)sched_set_params(current_thread(), SCHED_FIFO, 50, 0, false);
	complete(&w->done);
	wait_for_completion(&w->go, "selftest");
	w->end_ns = hal_clock_ns();
	complete(&w->done);
}

SELFTEST(sched, realtime_runs_before_its_waker_goes_on)
{
	struct cpumask all = current_thread()->affinity;
	struct thread *t;
	struct worker w;

	worker_init(&w, NULL);
	t = kthread_run(fifo_main, &w, "fifo");
	REQUIRE(t);
	wait_for_completion(&w.done, "selftest");
	completion_init(&w.done);
	go_to_last_cpu();
	while (READ_ONCE(t->state) != THREAD_UNINTERRUPTIBLE || READ_ONCE(t->on_rq))
		sched_relax();
	complete(&w.go); /* preempted here */
	EXPECT(w.end_ns != 0 && w.end_ns <= hal_clock_ns());
	wait_for_completion(&w.done, "selftest");
	EXPECT_EQ(sched_set_affinity(current_thread(), &all), 0);
}

static void stoppable_main(void *arg)
{
	struct worker *w = arg;

	while (!kthread_should_stop()) {
		w->value++;
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		thread_set_state(current_thread(), THREAD_RUNNABLE);
	}
}

SELFTEST(sched, kthread_stop_waits_for_the_end)
{
	struct worker w;
	struct thread *t;

	worker_init(&w, NULL);
	t = kthread_run(stoppable_main, &w, "stoppable");
	REQUIRE(t);
	for (u32 i = 0; i < 5000 && !READ_ONCE(w.value); i++)
		sleep_ns(1 * MS);
	kthread_stop(t);
	EXPECT(w.value >= 1);
}

SELFTEST(sched, affinity_without_an_online_cpu_is_refused)
{
	struct cpumask none;

	cpumask_clear(&none);
	EXPECT_EQ(sched_set_affinity(current_thread(), &none), -EINVAL);
}

/* What somebody else does between a look at a thread's parameters and their change is not undone by that. */
SELFTEST(sched, change_names_what_was_seen)
{
	struct thread *me = current_thread();
	struct sched_param_state before, seen, wanted;

	sched_get_params(me, &before);
	seen = wanted = before;
	wanted.nice = 1;
	sched_set_nice(me, 3);
	EXPECT_EQ(sched_change_params(me, &seen, &wanted), -EAGAIN);
	sched_get_params(me, &seen);
	EXPECT_EQ(seen.nice, 3);
	EXPECT_EQ(sched_change_params(me, &seen, &wanted), 0);
	sched_get_params(me, &seen);
	EXPECT(seen.nice == 1 && seen.policy == before.policy);
	EXPECT_EQ(sched_change_params(me, &seen, &before), 0);
}

/* ---- work and RCU ------------------------------------------------------------------------------ */

struct work_probe {
	struct work work;
	u32 runs;
};

static void probe_work(struct work *w)
{
	container_of(w, struct work_probe, work)->runs++;
}

SELFTEST(work, runs_once_per_queueing)
{
	struct work_probe p = { .runs = 0 };

	work_init(&p.work, probe_work);
	for (u32 i = 1; i <= 20; i++) {
		EXPECT(work_queue(&system_work, &p.work));
		workq_flush(&system_work);
		EXPECT_EQ(p.runs, i);
	}
}

static void rcu_reader(void *arg)
{
	struct worker *w = arg;

	rcu_read_lock();
	complete(&w->go);
	spin_for(5 * MS);
	w->end_ns = hal_clock_ns();
	rcu_read_unlock();
	complete(&w->done);
}

/* A grace period ends only after a reader that was there when it began. */
SELFTEST(rcu, synchronize_waits_for_readers)
{
	struct worker w;

	for (u32 i = 0; i < 5; i++) {
		worker_init(&w, NULL);
		REQUIRE(kthread_run(rcu_reader, &w, "reader"));
		wait_for_completion(&w.go, "selftest");
		synchronize_rcu();
		EXPECT(w.end_ns && hal_clock_ns() >= w.end_ns);
		wait_for_completion(&w.done, "selftest");
	}
}
