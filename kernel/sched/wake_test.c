/* SPDX-License-Identifier: MIT */
/*
 * Self tests of moments that two CPUs share for a few instructions only: a waker that has found the queue of its sleeper, while the
 * sleeper gives up its wait by itself or moves; and a thread that is started while somebody changes it. The scheduler stops
 * at sched_test_point() for as long as the other side needs. On two CPUs or more.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/selftest.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/completion.h>
#include <lib/string.h>

#include "internal.h"

#if HALCYON_DEBUG

#define LONG_NS	(20 * (u64)NSEC_PER_MSEC)	/* long enough for another CPU, should it be free to do what it must not do */
#define AHEAD_NS (5 * (u64)NSEC_PER_SEC)

static struct {
	struct thread *thread;	/* [a] the hook is for this one */
	u32 ready;		/* [a] it is where the test wants it */
	u32 seen;		/* [a] the waker has locked a queue for it */
	u32 moves;		/* [a] it is in transit */
	u32 over;		/* [a] it may go on */
	u32 state;		/* what it found its state to be */
	u32 wrong_lock;		/* [a] the waker's queue was not the thread's */
	s64 ahead_ns;		/* of its maker's virtual clock */
	struct completion done;
} race;

static void race_begin(void)
{
	memset(&race, 0, sizeof(race));
	completion_init(&race.done);
}

/* False: it did not become true in time. */
static bool await(const u32 *word, u64 ns)
{
	u64 end = hal_clock_ns() + ns;

	while (!smp_load_acquire(word))
		if (hal_clock_ns() >= end)
			return false;
		else
			hal_cpu_relax();
	return true;
}

static void await_long(const u32 *word)
{
	while (!await(word, LONG_NS))
		;
}

static bool bind(struct thread *t, u32 cpu)
{
	struct cpumask one;

	cpumask_clear(&one);
	cpumask_set(&one, cpu);
	return sched_set_affinity(t, &one) == 0;
}

/* The test itself stays on CPU 0. False: it is skipped. */
static bool two_cpus(struct cpumask *before)
{
	*before = current_thread()->affinity;
	if (hal_cpu_count() >= 2 && hal_cpu_online(1) && bind(current_thread(), 0))
		return true;
	selftest_skip("one CPU");
	return false;
}

/* ---- the sleeper changes its mind ------------------------------------------------------------------- */

static void hold_waker(enum sched_test_point point, struct thread *t, struct runqueue *rq)
{
	(void)rq;
	if (point != SCHED_TEST_WAKE || t != READ_ONCE(race.thread) || xchg(&race.seen, 1u))
		return;
	await_long(&race.over);
}

/* Begins to wait, does not after all, and comes to its end, which here is to stop: one that is dead could tell nothing. */
static void fickle_main(void *arg)
{
	irqflags_t flags = hal_irq_save();	/* the waker holds this CPU's queue: its tick would wait for that */

	(void)arg;
	thread_set_state(current_thread(), THREAD_INTERRUPTIBLE);
	smp_store_release(&race.ready, 1u);
	await_long(&race.seen);
	thread_set_state(current_thread(), THREAD_RUNNABLE);
	thread_set_state(current_thread(), THREAD_TRACED);
	smp_store_release(&race.over, 1u);
	hal_irq_restore(flags);
	await_long(&race.moves);
	race.state = xchg(&current_thread()->state, (u32)THREAD_RUNNABLE);
	complete(&race.done);
}

/* A thread that ends on its own would else be made runnable when it is dead: "dead thread runs". */
SELFTEST(wake, ends_no_other_state_than_it_saw)
{
	struct cpumask before;

	if (!two_cpus(&before))
		return;
	race_begin();
	race.thread = kthread_run_on(1, fickle_main, NULL, "fickle");
	REQUIRE(race.thread);
	await_long(&race.ready);
	WRITE_ONCE(sched_test_hook, hold_waker);
	EXPECT(!thread_wake(race.thread));
	WRITE_ONCE(sched_test_hook, NULL);
	smp_store_release(&race.moves, 1u); /* the waker is done with it */
	wait_for_completion(&race.done, "selftest");
	EXPECT_EQ(race.state, THREAD_TRACED);
	(void)sched_set_affinity(current_thread(), &before);
}

/* ---- the sleeper moves ------------------------------------------------------------------------------- */

static void hold_both(enum sched_test_point point, struct thread *t, struct runqueue *rq)
{
	u64 end = hal_clock_ns() + LONG_NS;

	if (t != READ_ONCE(race.thread))
		return;
	if (point == SCHED_TEST_TRANSIT) {
		smp_store_release(&race.moves, 1u);
		(void)await(&race.seen, LONG_NS);
		return;
	}
	smp_store_release(&race.seen, 1u);
	while (hal_clock_ns() < end && READ_ONCE(t->cpu) == rq->cpu)
		hal_cpu_relax();
	if (READ_ONCE(t->cpu) != rq->cpu)
		smp_store_release(&race.wrong_lock, 1u);
}

/* About to sleep, and busy until then: it is preempted in that state, and moved. */
static void moved_main(void *arg)
{
	(void)arg;
	thread_set_state(current_thread(), THREAD_INTERRUPTIBLE);
	smp_store_release(&race.ready, 1u);
	await_long(&race.over);
	thread_set_state(current_thread(), THREAD_RUNNABLE);
	complete(&race.done);
}

SELFTEST(wake, holds_the_queue_of_a_thread_that_moves)
{
	struct cpumask before;
	struct thread *t;

	if (!two_cpus(&before))
		return;
	race_begin();
	t = kthread_run(moved_main, NULL, "moved");
	REQUIRE(t);
	EXPECT(bind(t, 1));
	await_long(&race.ready);
	while (READ_ONCE(t->cpu) != 1 || sched_running_on(1) != t)
		hal_cpu_relax();
	WRITE_ONCE(race.thread, t);
	WRITE_ONCE(sched_test_hook, hold_both);
	EXPECT(bind(t, 0));
	await_long(&race.moves);
	EXPECT(thread_wake(t));
	WRITE_ONCE(sched_test_hook, NULL);
	EXPECT_EQ(race.wrong_lock, 0);
	smp_store_release(&race.over, 1u);
	wait_for_completion(&race.done, "selftest");
	(void)sched_set_affinity(current_thread(), &before);
}

/* ---- threads that are born --------------------------------------------------------------------------- */

struct newborn {
	struct thread thread;
	struct completion gone;
};

static void newborn_release(struct thread *t)
{
	struct newborn *n = container_of(t, struct newborn, thread);

	thread_fini(t);
	complete(&n->gone);
}

static void newborn_main(void *arg)
{
	(void)arg;
	thread_exit_self();
}

static struct newborn *newborn_make(void)
{
	struct newborn *n = kzalloc(sizeof(*n), 0);

	if (!n)
		return NULL;
	if (thread_init(&n->thread, 0, "newborn", newborn_release)) {
		kfree(n);
		return NULL;
	}
	completion_init(&n->gone);
	cpumask_fill(&n->thread.affinity);
	hal_thread_init_kernel(&n->thread.hal, n->thread.hal.stack_base, n->thread.hal.stack_size, newborn_main, NULL);
	return n;
}

/* This CPU's virtual clock, and what runs by it, are set ahead of CPU 1's. */
static void run_ahead(void)
{
	struct thread *me = current_thread();
	struct runqueue *rq;
	irqflags_t flags;
	s64 by;

	rq = thread_lock(me, &flags);
	by = (s64)(READ_ONCE(rq_of(1)->vclock) - rq->vclock);
	by = (s64)AHEAD_NS + MAX(by, 0ll);
	rq->vclock += (u64)by;
	me->vruntime += (u64)by;
	me->vdeadline += (u64)by;
	spin_unlock_irqrestore(&rq->lock, flags);
}

/* On the maker's CPU: how far ahead of its virtual clock the thread is put. */
static void look_ahead(enum sched_test_point point, struct thread *t, struct runqueue *rq)
{
	(void)rq;
	if (point == SCHED_TEST_TRANSIT && t == READ_ONCE(race.thread))
		race.ahead_ns = (s64)(t->vruntime - rq_here()->vclock);
}

/* The maker comes to another CPU, and so to another virtual clock, before it starts what it has made. */
SELFTEST(wake, a_new_thread_keeps_its_makers_place)
{
	struct cpumask before;
	struct newborn *n;

	if (!two_cpus(&before))
		return;
	race_begin();
	run_ahead();
	n = newborn_make();
	REQUIRE(n);
	EXPECT(bind(current_thread(), 1));
	race.ahead_ns = (s64)AHEAD_NS;
	WRITE_ONCE(race.thread, &n->thread);
	WRITE_ONCE(sched_test_hook, look_ahead);
	thread_start(&n->thread);
	WRITE_ONCE(sched_test_hook, NULL);
	wait_for_completion(&n->gone, "selftest");
	EXPECT(race.ahead_ns < (s64)NSEC_PER_SEC);
	kfree(n);
	(void)sched_set_affinity(current_thread(), &before);
}

static void changer_main(void *arg)
{
	struct newborn *n = arg;
	struct runqueue *rq;
	irqflags_t flags;
	u64 end;

	await_long(&race.seen);
	rq = thread_lock(&n->thread, &flags);
	end = hal_clock_ns() + LONG_NS;
	smp_store_release(&race.ready, 1u);
	while (hal_clock_ns() < end && READ_ONCE(n->thread.state) == THREAD_UNINTERRUPTIBLE)
		hal_cpu_relax();
	race.state = READ_ONCE(n->thread.state);
	spin_unlock_irqrestore(&rq->lock, flags);
	complete(&race.done);
}

/* Interrupts off, as the other one takes this CPU's queue, and its tick would wait for that. */
static void start_meanwhile(struct newborn *n)
{
	irqflags_t flags = hal_irq_save();

	smp_store_release(&race.seen, 1u);
	await_long(&race.ready);
	thread_start(&n->thread);
	hal_irq_restore(flags);
}

/* Who finds it by its number before it has been started changes it under a lock: it stands still meanwhile. */
SELFTEST(wake, a_new_thread_is_changed_before_it_starts)
{
	struct cpumask before;
	struct newborn *n;

	if (!two_cpus(&before))
		return;
	race_begin();
	n = newborn_make();
	REQUIRE(n);
	if (EXPECT(kthread_run_on(1, changer_main, n, "changer"))) {
		start_meanwhile(n);
		wait_for_completion(&race.done, "selftest");
		EXPECT_EQ(race.state, THREAD_UNINTERRUPTIBLE);
	} else {
		thread_start(&n->thread);
	}
	wait_for_completion(&n->gone, "selftest");
	kfree(n);
	(void)sched_set_affinity(current_thread(), &before);
}

#endif
