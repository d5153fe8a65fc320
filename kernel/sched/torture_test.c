/* SPDX-License-Identifier: MIT */
/*
 * Torture of what the scheduler and its locks promise on many CPUs: wait queues, mutex, rwsem, work queues, migration under
 * changes of affinity. Each test runs for selftest.seconds= and with more threads than CPUs, counts what must add up, and
 * leaves nothing behind. The ring `torture` runs them on 1, 2, 4 and 8 CPUs.
 */
#include <abi/linux/sched.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/core/selftest.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/work.h>

#define TORTURERS 8u

struct torture {
	u64 end_ns;
	struct completion done;
	u32 next; /* [a] number of the next thread */
	u64 faults; /* [a] */
	u64 rounds; /* [a] */
	void *shared;
};

static u32 torture_random(u32 *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static bool torture_goes_on(const struct torture *t)
{
	return hal_clock_ns() < t->end_ns;
}

static void torture_end(struct torture *t, u64 rounds, u64 faults)
{
	__atomic_fetch_add(&t->rounds, rounds, __ATOMIC_RELAXED);
	__atomic_fetch_add(&t->faults, faults, __ATOMIC_RELAXED);
	complete(&t->done);
}

/* n threads run fn(t); waits for all. False: there was no memory for all of them. */
static bool torture_run(struct torture *t, u32 n, void (*fn)(void *), void *shared)
{
	u32 made = 0;

	*t = (struct torture){ .end_ns = hal_clock_ns() + selftest_seconds() * NSEC_PER_SEC, .shared = shared };
	completion_init(&t->done);
	while (made < n && kthread_run(fn, t, "torture"))
		made++;
	for (u32 i = 0; i < made; i++)
		wait_for_completion(&t->done, "torture");
	EXPECT_EQ(t->faults, 0);
	EXPECT(t->rounds > 0);
	return EXPECT_EQ(made, n);
}

/* ---- mutex and rwsem --------------------------------------------------------------------------- */

struct locked_pair {
	struct mutex mutex;
	struct rwsem sem;
	u64 a, b; /* equal whenever the lock is free */
	u32 inside; /* [a] holders */
};

static void mutex_torturer(void *arg)
{
	struct torture *t = arg;
	struct locked_pair *p = t->shared;
	u32 seed = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) + 1;
	u64 rounds = 0, faults = 0;

	while (torture_goes_on(t)) {
		u32 what = torture_random(&seed);

		if (what % 8 == 0) {
			if (!mutex_trylock(&p->mutex))
				continue;
		} else {
			mutex_lock(&p->mutex);
		}
		faults += __atomic_fetch_add(&p->inside, 1, __ATOMIC_RELAXED) != 0;
		p->a++;
		if (what % 32 == 1)
			schedule();
		faults += ++p->b != p->a;
		__atomic_fetch_sub(&p->inside, 1, __ATOMIC_RELAXED);
		mutex_unlock(&p->mutex);
		rounds++;
	}
	torture_end(t, rounds, faults);
}

SELFTEST(torture_mutex, excludes_on_all_cpus)
{
	struct locked_pair p = { .a = 0 };
	struct torture t;

	mutex_init(&p.mutex, "torture", LOCK_RANK_SLEEP_LEAF);
	torture_run(&t, TORTURERS, mutex_torturer, &p);
	EXPECT_EQ(p.a, t.rounds);
	EXPECT_EQ(p.mutex.owner, 0);
}

/*
 * Nobody starves: who waits sleeps once, and once more when he was passed on his way from the queue. However long the others go on,
 * and whatever the machine's CPUs are kept from, more is a fault.
 */
#define RWSEM_MOST_SLEEPS 2u

static u64 rwsem_starved(u64 sleeps_before)
{
	return current_thread()->switches_voluntary - sleeps_before > RWSEM_MOST_SLEEPS;
}

static u64 rwsem_write(struct locked_pair *p, u32 what)
{
	u64 faults, sleeps = current_thread()->switches_voluntary;

	rwsem_write_lock(&p->sem);
	faults = rwsem_starved(sleeps);
	faults += __atomic_fetch_add(&p->inside, 1000, __ATOMIC_RELAXED) != 0;
	p->a++;
	if (what % 32 == 0)
		schedule();
	faults += ++p->b != p->a;
	__atomic_fetch_sub(&p->inside, 1000, __ATOMIC_RELAXED);
	if (what % 3) {
		rwsem_write_unlock(&p->sem);
		return faults;
	}
	rwsem_downgrade(&p->sem);
	faults += p->a != p->b;
	rwsem_read_unlock(&p->sem);
	return faults;
}

static u64 rwsem_read(struct locked_pair *p, u32 what)
{
	u64 faults, sleeps = current_thread()->switches_voluntary;

	rwsem_read_lock(&p->sem);
	faults = rwsem_starved(sleeps);
	faults += __atomic_fetch_add(&p->inside, 1, __ATOMIC_RELAXED) >= 1000;
	faults += p->a != p->b;
	if (what % 32 == 1)
		schedule();
	faults += p->a != p->b;
	__atomic_fetch_sub(&p->inside, 1, __ATOMIC_RELAXED);
	rwsem_read_unlock(&p->sem);
	return faults;
}

static void rwsem_torturer(void *arg)
{
	struct torture *t = arg;
	struct locked_pair *p = t->shared;
	u32 seed = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) + 1;
	u64 rounds = 0, faults = 0;

	for (; torture_goes_on(t); rounds++) {
		u32 what = torture_random(&seed);

		faults += what % 4 == 0 ? rwsem_write(p, what / 4) : rwsem_read(p, what);
	}
	torture_end(t, rounds, faults);
}

SELFTEST(torture_rwsem, writers_are_alone_and_nobody_starves)
{
	struct locked_pair p = { .a = 0 };
	struct torture t;

	rwsem_init(&p.sem, "torture", LOCK_RANK_SLEEP_LEAF);
	torture_run(&t, TORTURERS, rwsem_torturer, &p);
	EXPECT_EQ(p.a, p.b);
	EXPECT_EQ(p.sem.count, 0);
}

/* ---- wait queues ------------------------------------------------------------------------------- */

struct ring_of_waiters {
	struct waitq q[TORTURERS];
	u32 tokens[TORTURERS]; /* [a] */
};

static bool token_take(u32 *token)
{
	u32 n = __atomic_load_n(token, __ATOMIC_ACQUIRE);

	while (n)
		if (__atomic_compare_exchange_n(token, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/*
 * Tokens go round: whoever gets one wakes the next. A wake-up that is lost stops the ring, and its deadline says so. Who stops has
 * known it before he passed his last token on: so the next one, who looks later, stops with that token, and waits for no other.
 */
static void waitq_torturer(void *arg)
{
	struct torture *t = arg;
	struct ring_of_waiters *r = t->shared;
	u32 me = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED), to = (me + 1) % TORTURERS;
	u64 rounds = 0, lost = 0;
	bool last;

	for (;;) {
		u64 deadline = clock_mono_ns() + 20 * (u64)NSEC_PER_SEC;

		if (WAIT_EVENT_TIMEOUT(&r->q[me], token_take(&r->tokens[me]), "torture", deadline)) {
			lost++;
			break;
		}
		last = !torture_goes_on(t);
		__atomic_fetch_add(&r->tokens[to], 1, __ATOMIC_ACQ_REL);
		waitq_wake_one(&r->q[to]);
		if (last)
			break;
		rounds++;
	}
	torture_end(t, rounds, lost);
}

SELFTEST(torture_waitq, no_wakeup_is_lost)
{
	struct ring_of_waiters r;
	struct torture t;

	for (u32 i = 0; i < TORTURERS; i++) {
		waitq_init(&r.q[i]);
		r.tokens[i] = i % 3 == 0;
	}
	torture_run(&t, TORTURERS, waitq_torturer, &r);
}

/* ---- work -------------------------------------------------------------------------------------- */

#define WORKS 4u

struct counted_work {
	struct delayed_work work;
	u32 inside; /* [a] */
	u64 ran, twice; /* [a] */
};

struct work_torture {
	struct workq wq;
	struct counted_work work[WORKS]; /* the first half is never delayed, and cancelled without waiting */
	u64 queued[WORKS], cancelled[WORKS]; /* [a] */
};

static void counted_fn(struct work *w)
{
	struct counted_work *c = container_of(work_delayed(w), struct counted_work, work);

	if (__atomic_fetch_add(&c->inside, 1, __ATOMIC_ACQ_REL))
		__atomic_fetch_add(&c->twice, 1, __ATOMIC_RELAXED);
	if (__atomic_fetch_add(&c->ran, 1, __ATOMIC_RELAXED) % 16 == 0)
		schedule();
	__atomic_fetch_sub(&c->inside, 1, __ATOMIC_ACQ_REL);
}

static void work_once(struct work_torture *wt, u32 i, u32 what)
{
	struct delayed_work *d = &wt->work[i].work;
	bool plain = i < WORKS / 2, queued = false, cancelled = false;

	switch (what % 8) {
	case 0:
		cancelled = plain ? work_cancel(&d->work) : delayed_work_cancel_sync(d);
		break;
	case 1:
		work_flush(&d->work);
		break;
	case 2:
		queued = delayed_work_queue(&wt->wq, d, plain ? 0 : what % 512 * 1000ull);
		break;
	default:
		queued = work_queue(&wt->wq, &d->work);
	}
	__atomic_fetch_add(&wt->queued[i], queued, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wt->cancelled[i], cancelled, __ATOMIC_RELAXED);
}

static void work_torturer(void *arg)
{
	struct torture *t = arg;
	struct work_torture *wt = t->shared;
	u32 seed = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) + 1;
	u64 rounds = 0;

	for (; torture_goes_on(t); rounds++) {
		u32 what = torture_random(&seed);

		work_once(wt, what / 64 % WORKS, what);
	}
	torture_end(t, rounds, 0);
}

/* What was queued has run once or was cancelled, never by two workers at a time. */
SELFTEST(torture_work, runs_once_or_is_cancelled)
{
	static struct work_torture wt;
	struct torture t;

	wt = (struct work_torture){ .queued = { 0 } };
	REQUIRE(workq_init(&wt.wq, "torture", WORKQ_PER_CPU) == 0);
	for (u32 i = 0; i < WORKS; i++)
		delayed_work_init(&wt.work[i].work, counted_fn);
	torture_run(&t, TORTURERS / 2, work_torturer, &wt);
	for (u32 i = 0; i < WORKS; i++)
		wt.cancelled[i] += delayed_work_cancel_sync(&wt.work[i].work);
	workq_flush(&wt.wq);
	for (u32 i = 0; i < WORKS; i++) {
		u64 seen = wt.work[i].ran + wt.cancelled[i];

		EXPECT_EQ(wt.work[i].twice, 0);
		EXPECT_EQ(wt.work[i].work.work.pending, 0);
		EXPECT_EQ(seen, wt.queued[i]);
		EXPECT(wt.work[i].ran > 0);
	}
	workq_destroy(&wt.wq);
}

/* One item that half of the threads queue in one lane and another while the other half takes it out. */
struct contested_work {
	struct workq wq;
	struct work work;
	u64 queued, cancelled, ran; /* [a] */
};

static void contested_fn(struct work *w)
{
	__atomic_fetch_add(&container_of(w, struct contested_work, work)->ran, 1, __ATOMIC_RELAXED);
}

static void contested_torturer(void *arg)
{
	struct torture *t = arg;
	struct contested_work *c = t->shared;
	u32 seed = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) + 1;
	bool queues = seed % 2;
	u64 rounds = 0, done = 0;

	for (; torture_goes_on(t); rounds++)
		done += queues ? work_queue_on(torture_random(&seed) % hal_cpu_count(), &c->wq, &c->work) : work_cancel(&c->work);
	__atomic_fetch_add(queues ? &c->queued : &c->cancelled, done, __ATOMIC_RELAXED);
	torture_end(t, rounds, 0);
}

SELFTEST(torture_work, is_taken_out_of_the_lane_where_it_is)
{
	static struct contested_work c;
	struct torture t;

	c = (struct contested_work){ .queued = 0 };
	work_init(&c.work, contested_fn);
	REQUIRE(workq_init(&c.wq, "contested", WORKQ_PER_CPU) == 0);
	torture_run(&t, 4, contested_torturer, &c);
	workq_flush(&c.wq);
	EXPECT_EQ(c.work.pending, 0);
	EXPECT_EQ(c.ran + c.cancelled, c.queued);
	EXPECT(c.cancelled > 0);
	workq_destroy(&c.wq);
}

/* ---- migration --------------------------------------------------------------------------------- */

/* Sends itself to one CPU after the other and looks where it is; policies change on the way. */
static void migration_torturer(void *arg)
{
	struct torture *t = arg;
	struct thread *me = current_thread();
	u32 seed = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) + 1, here;
	u64 rounds = 0, faults = 0;
	struct cpumask one;

	for (; torture_goes_on(t); rounds++) {
		u32 what = torture_random(&seed), cpu = what / 16 % hal_cpu_count();

		cpumask_clear(&one);
		cpumask_set(&one, cpu);
		if (sched_set_affinity(me, &one)) /* it may be offline */
			continue;
		preempt_disable();
		here = hal_cpu_id();
		preempt_enable();
		faults += here != cpu && hal_cpu_online(cpu);
		if (what % 4 == 0)
			(void)sched_set_params(me, what % 8 ? SCHED_FIFO : SCHED_NORMAL, what % 8 ? 1 + (int)(what % 50) : 0,
					       (int)(what % 20), false);
		if (what % 16 == 3) {
			thread_set_state(me, THREAD_UNINTERRUPTIBLE);
			(void)thread_sleep_until(clock_mono_ns() + what % 1000 * 1000ull, THREAD_UNINTERRUPTIBLE, "torture");
		}
	}
	torture_end(t, rounds, faults);
}

SELFTEST(torture_migration, threads_are_where_they_may_be)
{
	struct torture t;

	torture_run(&t, TORTURERS, migration_torturer, NULL);
}

/* Others move these about, which sleep, run and wait at that moment. */
static void moved_main(void *arg)
{
	struct torture *t = arg;
	u64 rounds = 0;

	for (; !kthread_should_stop(); rounds++) {
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		if (rounds % 2)
			(void)thread_sleep_until(clock_mono_ns() + 100000, THREAD_UNINTERRUPTIBLE, "torture");
		else
			thread_set_state(current_thread(), THREAD_RUNNABLE);
		schedule();
	}
	__atomic_fetch_add(&t->rounds, rounds, __ATOMIC_RELAXED);
}

SELFTEST(torture_migration, threads_are_moved_by_others)
{
	struct torture t = { .end_ns = hal_clock_ns() + selftest_seconds() * NSEC_PER_SEC };
	struct thread *thread[TORTURERS];
	struct cpumask one, all;
	u32 seed = 1, made, n = hal_cpu_count();

	cpumask_fill(&all);
	for (made = 0; made < TORTURERS; made++) {
		thread[made] = kthread_run(moved_main, &t, "moved");
		if (!thread[made])
			break;
	}
	EXPECT_EQ(made, TORTURERS);
	while (made && torture_goes_on(&t)) {
		u32 what = torture_random(&seed);

		cpumask_clear(&one);
		cpumask_set(&one, what / 16 % n);
		(void)sched_set_affinity(thread[what % made], what % 5 ? &one : &all);
	}
	while (made > 0)
		kthread_stop(thread[--made]);
	EXPECT(t.rounds > 0);
}

/* Preempted between the write of its state and schedule(), and moved: it is still about to stop, sleep or die. */
SELFTEST(torture_migration, a_move_keeps_the_state)
{
	static const u32 states[] = { THREAD_STOPPED, THREAD_TRACED, THREAD_UNINTERRUPTIBLE, THREAD_DEAD };
	struct thread *me = current_thread();
	struct cpumask before = me->affinity, one;
	u32 cpu, n = 0;

	for_each_online_cpu(cpu) {
		cpumask_clear(&one);
		cpumask_set(&one, cpu);
		thread_set_state(me, states[n % ARRAY_SIZE(states)]);
		EXPECT_EQ(sched_set_affinity(me, &one), 0);
		EXPECT_EQ(READ_ONCE(me->state), states[n % ARRAY_SIZE(states)]);
		thread_set_state(me, THREAD_RUNNABLE);
		EXPECT_EQ(hal_cpu_id(), cpu);
		n++;
	}
	(void)sched_set_affinity(me, &before);
}

/* A thread that ends by itself as soon as it sees the wish: it may be gone before kthread_stop() comes to wake it. */
static void short_lived_main(void *arg)
{
	(void)arg;
	while (!kthread_should_stop()) {
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		(void)thread_sleep_until(clock_mono_ns() + 20000, THREAD_UNINTERRUPTIBLE, "torture");
	}
}

SELFTEST(torture_migration, threads_stop_by_themselves)
{
	u64 end = hal_clock_ns() + selftest_seconds() * NSEC_PER_SEC / 4;
	u32 stopped = 0;

	for (; hal_clock_ns() < end || !stopped; stopped++) {
		struct thread *t = kthread_run(short_lived_main, NULL, "short");

		REQUIRE(t);
		if (stopped % 2)
			sched_relax();
		kthread_stop(t);
	}
	EXPECT(stopped > 0);
}
