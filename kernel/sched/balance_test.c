/* SPDX-License-Identifier: MIT */
/*
 * Self tests of moves that nobody asks for, and of turns: who waits behind another one comes to a CPU that does less important
 * things, or gets this one in the end. On two CPUs or more.
 *
 * What one way of moving does, another one often makes good a little later: an idle CPU takes whatever it finds whenever something
 * wakes it. So each test leaves one way only: CPUs are kept busy, masks name two CPUs, and where a tick moves, the test is that
 * tick, with interrupts off, and counts what it has done. Such a moment may be spoiled by what the other CPUs do just then: it is
 * tried again. Nothing is measured in time; patience is for slow hosts.
 */
#include <abi/linux/sched.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/selftest.h>
#include <kernel/sched/completion.h>
#include <lib/string.h>

#include "queue.h"

#if HALCYON_DEBUG

#define PATIENCE_NS (10 * (u64)NSEC_PER_SEC)
#define AHEAD_NS (5 * (u64)NSEC_PER_SEC)
#define FAR_NS (3600 * (u64)NSEC_PER_SEC) /* a slice that does not end meanwhile */
#define CROWD 4u
#define TURNS 3u
#define WAKES 20u

/* A thread that sleeps until it is told to go, says where it is, loops if it shall, and sleeps again. */
struct player {
	struct thread *thread;
	struct completion go, done, gone;
	bool loops;	/* until it is stopped */
	bool gives_up;	/* or until patience is at its end */
	bool gave_up;	/* it was */
	bool quit;	/* [a] */
	bool stop;	/* [a] */
	u32 cpu;	/* [a] where it went on last */
	u64 count;	/* [a] it runs */
	struct player *other;	/* it loops until it has seen TURNS turns of this one */
};

static struct player players[CROWD + 2];
static u32 nr_players;
static struct cpumask mask_before, two;
static u64 runtime_before;

static void keep_on(struct thread *t, u32 cpu)
{
	struct cpumask one;

	cpumask_clear(&one);
	cpumask_set(&one, cpu);
	EXPECT_EQ(sched_set_affinity(t, &one), 0);
}

static void loop(struct player *p)
{
	u64 end = hal_clock_ns() + PATIENCE_NS, seen = 0, now;
	u32 turns = 0;

	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE) && turns < TURNS && !p->gave_up) {
		__atomic_fetch_add(&p->count, 1, __ATOMIC_RELAXED);
		now = p->other ? READ_ONCE(p->other->count) : seen;
		turns += now != seen;
		seen = now;
		p->gave_up = p->gives_up && hal_clock_ns() >= end;
		hal_cpu_relax();
	}
}

static void player_main(void *arg)
{
	struct player *p = arg;

	for (;;) {
		wait_for_completion(&p->go, "selftest");
		if (__atomic_load_n(&p->quit, __ATOMIC_ACQUIRE))
			break;
		WRITE_ONCE(p->cpu, READ_ONCE(current_thread()->cpu));
		if (p->loops)
			loop(p);
		complete(&p->done);
	}
	complete(&p->gone);
}

static void until_asleep(const struct player *p)
{
	while (READ_ONCE(p->thread->state) != THREAD_UNINTERRUPTIBLE || READ_ONCE(p->thread->on_rq))
		sched_relax();
}

/* One more, asleep; it will go on on that CPU. NULL: there is no memory. */
static struct player *player(u32 cpu, u32 priority, bool loops)
{
	struct player *p = &players[nr_players];

	memset(p, 0, sizeof(*p));
	p->loops = loops;
	p->gives_up = priority != 0;
	p->cpu = MAX_CPUS;
	completion_init(&p->go);
	completion_init(&p->done);
	completion_init(&p->gone);
	p->thread = kthread_run(player_main, p, "player");
	if (!EXPECT(p->thread))
		return NULL;
	nr_players++;
	until_asleep(p);
	keep_on(p->thread, cpu);
	if (priority)
		(void)sched_set_params(p->thread, SCHED_FIFO, (int)priority, 0, false);
	return p;
}

/* The test itself stays on CPU 0. False: it is skipped. */
static bool begin(void)
{
	nr_players = 0;
	if (hal_cpu_count() < 2 || !hal_cpu_online(1)) {
		selftest_skip("one CPU");
		return false;
	}
	cpumask_clear(&two);
	cpumask_set(&two, 0);
	cpumask_set(&two, 1);
	runtime_before = sched_rt_runtime_ns;
	WRITE_ONCE(sched_rt_runtime_ns, ~0ull); /* what is real-time keeps its CPU */
	mask_before = current_thread()->affinity;
	keep_on(current_thread(), 0);
	schedule();
	return true;
}

/* Nobody comes to CPU 0 before the test sleeps. */
static void hold_cpu0(void)
{
	(void)sched_set_params(current_thread(), SCHED_FIFO, 90, 0, false);
}

static void end(void)
{
	for (u32 i = 0; i < nr_players; i++) {
		__atomic_store_n(&players[i].quit, true, __ATOMIC_RELEASE);
		__atomic_store_n(&players[i].stop, true, __ATOMIC_RELEASE);
		complete(&players[i].go);
	}
	for (u32 i = 0; i < nr_players; i++)
		wait_for_completion(&players[i].gone, "selftest");
	(void)sched_set_params(current_thread(), SCHED_NORMAL, 0, 0, false);
	(void)sched_set_affinity(current_thread(), &mask_before);
	WRITE_ONCE(sched_rt_runtime_ns, runtime_before);
}

/* It sleeps, and loops from now on. */
static void until_it_runs(struct player *p)
{
	WRITE_ONCE(p->count, 0);
	__atomic_store_n(&p->stop, false, __ATOMIC_RELEASE);
	complete(&p->go);
	while (!READ_ONCE(p->count))
		sched_relax();
}

/* ---- real-time -------------------------------------------------------------------------------------- */

/* A more important one takes the CPU: who waits behind it goes to where a fair thread runs. */
SELFTEST(balance, realtime_is_pushed_away)
{
	struct player *fair, *hog, *moves;

	if (!begin())
		return;
	fair = player(1, 0, true);
	hog = player(0, 50, true);
	moves = player(0, 10, false);
	if (fair && hog && moves) {
		until_it_runs(fair);
		hold_cpu0();
		complete(&hog->go);
		complete(&moves->go);
		EXPECT_EQ(sched_set_affinity(moves->thread, &two), 0);
		wait_for_completion(&moves->done, "selftest"); /* CPU 0 is the hog's, until it sees its end */
		__atomic_store_n(&hog->stop, true, __ATOMIC_RELEASE);
		wait_for_completion(&hog->done, "selftest");
		EXPECT(!hog->gave_up);
		EXPECT_EQ(moves->cpu, 1);
	}
	end();
}

/* A real-time thread leaves its CPU to a fair one: what waits elsewhere, and is more important, comes. */
SELFTEST(balance, realtime_comes_to_where_one_left)
{
	struct player *fair, *hog, *moves;

	if (!begin())
		return;
	fair = player(0, 0, true);
	hog = player(1, 50, true);
	moves = player(1, 10, false);
	if (fair && hog && moves) {
		until_it_runs(hog);
		hold_cpu0();
		complete(&fair->go);
		complete(&moves->go);
		EXPECT_EQ(sched_set_affinity(moves->thread, &two), 0);
		wait_for_completion(&moves->done, "selftest"); /* it is here that the test leaves CPU 0 */
		__atomic_store_n(&hog->stop, true, __ATOMIC_RELEASE);
		wait_for_completion(&hog->done, "selftest");
		EXPECT(!hog->gave_up);
		EXPECT_EQ(moves->cpu, 0);
	}
	end();
}

/* SCHED_RR: one sees the other get on, again and again, between turns of its own on the same CPU. */
SELFTEST(balance, turns_of_the_same_priority_end)
{
	u64 slice = sched_rr_slice_ns;
	struct player *p[2];

	if (!begin())
		return;
	WRITE_ONCE(sched_rr_slice_ns, 5 * (u64)NSEC_PER_MSEC);
	p[0] = player(1, 10, true);
	p[1] = player(1, 10, true);
	if (p[0] && p[1]) {
		p[0]->other = p[1];
		for (u32 i = 0; i < 2; i++)
			(void)sched_set_params(p[i]->thread, SCHED_RR, 10, 0, false);
		for (u32 i = 0; i < 2; i++)
			complete(&p[i]->go);
		wait_for_completion(&p[0]->done, "selftest");
		__atomic_store_n(&p[1]->stop, true, __ATOMIC_RELEASE);
		wait_for_completion(&p[1]->done, "selftest");
		EXPECT(!p[0]->gave_up && !p[1]->gave_up);
	}
	WRITE_ONCE(sched_rr_slice_ns, slice);
	end();
}

/* ---- the mask ----------------------------------------------------------------------------------------- */

/* The mask changes while it sleeps, and the CPU that it slept on, idle by then, is not in it any more. */
SELFTEST(balance, wakes_where_its_mask_allows)
{
	struct player *p;

	if (!begin())
		return;
	p = player(0, 0, false);
	for (u32 i = 0; p && i < WAKES; i++) {
		until_asleep(p);
		keep_on(p->thread, i % 2);
		if (i % 4 >= 2)
			current_thread()->handoff = 3; /* the waker seems about to sleep: it would be put here */
		complete(&p->go);
		wait_for_completion(&p->done, "selftest");
		EXPECT_EQ(p->cpu, i % 2);
	}
	end();
}

/* ---- the tick's part ---------------------------------------------------------------------------------- */

/* Fair threads that wait on `cpu`, where something real-time runs, and may run on the other one as well from now on. Interrupts off. */
static void crowd_may_move(void)
{
	for (u32 i = nr_players - CROWD; i < nr_players; i++)
		EXPECT_EQ(sched_set_affinity(players[i].thread, &two), 0);
}

static bool crowd_make(u32 cpu)
{
	for (u32 i = 0; i < CROWD; i++)
		if (!player(cpu, 0, false))
			return false;
	return true;
}

static void crowd_asleep(u32 cpu)
{
	for (u32 i = nr_players - CROWD; i < nr_players; i++) {
		until_asleep(&players[i]);
		keep_on(players[i].thread, cpu);
	}
}

static void crowd_go(void)
{
	for (u32 i = nr_players - CROWD; i < nr_players; i++)
		complete(&players[i].go);
}

static void crowd_wait(void)
{
	for (u32 i = nr_players - CROWD; i < nr_players; i++)
		wait_for_completion(&players[i].done, "selftest");
}

/* Somebody came to CPU 1 by the tick that had this very time. */
static bool one_came_at(u64 now)
{
	for (u32 i = nr_players - CROWD; i < nr_players; i++)
		if (READ_ONCE(players[i].thread->cpu) == 1 && READ_ONCE(players[i].thread->arrived_ns) == now)
			return true;
	return false;
}

/* How many this CPU's balancing takes from CPU 1. */
static u64 tick_that_pulls(void)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here();
	u64 before = rq->pulled;

	crowd_may_move();
	rq->balance_next_ns = 0;
	sched_balance_tick(rq, hal_clock_ns());
	before = rq->pulled - before;
	hal_irq_restore(flags);
	return before;
}

SELFTEST(balance, a_busy_cpu_takes_from_a_busier_one)
{
	u64 until = hal_clock_ns() + PATIENCE_NS, pulled = 0;
	struct player *hog;

	if (!begin())
		return;
	hog = player(1, 50, true);
	if (hog && crowd_make(1)) {
		do {
			crowd_asleep(1);
			until_asleep(hog);
			until_it_runs(hog);
			crowd_go();
			pulled = tick_that_pulls();
			__atomic_store_n(&hog->stop, true, __ATOMIC_RELEASE);
			wait_for_completion(&hog->done, "selftest");
			crowd_wait();
		} while (!pulled && hal_clock_ns() < until);
		EXPECT(pulled);
	}
	end();
}

/* True: CPU 1, alone and without a tick as it seems, was given one of the crowd. */
static bool tick_that_pushes(const struct player *alone)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here(), *slow = rq_of(1);
	bool is_alone, given;
	u64 now;

	crowd_may_move();
	spin_lock(&slow->lock);
	is_alone = slow->current == alone->thread && !slow->queued && slow->tick_mode == TICK_ON;
	if (is_alone) { /* until its next tick */
		slow->slow_since_ns = hal_clock_ns();
		slow->tick_mode = TICK_SLOW;
	}
	spin_unlock_no_resched(&slow->lock);
	rq->balance_next_ns = 0;
	rq->uneven = 0; /* or somebody might be passed on */
	now = hal_clock_ns();
	sched_balance_tick(rq, now);
	given = one_came_at(now);
	hal_irq_restore(flags);
	return given;
}

SELFTEST(balance, a_cpu_without_tick_is_given_one)
{
	u64 until = hal_clock_ns() + PATIENCE_NS;
	struct player *alone;
	bool given = false;

	if (!begin())
		return;
	alone = player(1, 0, true);
	if (alone && crowd_make(0)) {
		until_it_runs(alone);
		do {
			crowd_asleep(0);
			hold_cpu0();
			crowd_go();
			given = tick_that_pushes(alone);
			crowd_wait();
			(void)sched_set_params(current_thread(), SCHED_NORMAL, 0, 0, false);
		} while (!given && hal_clock_ns() < until);
		EXPECT(given);
	}
	end();
}

/* True: an idle CPU was asked to take the one that waits here. */
static bool tick_that_asks(struct player *p)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here();
	u64 now = hal_clock_ns();
	struct cpumask all;
	bool asked;

	cpumask_fill(&all);
	EXPECT_EQ(sched_set_affinity(p->thread, &all), 0);
	rq->kick_next_ns = 0;
	rq->kick_backoff = 0;
	sched_balance_tick(rq, now);
	asked = rq->kick_next_ns > now;
	hal_irq_restore(flags);
	return asked;
}

SELFTEST(balance, an_idle_cpu_is_asked)
{
	u64 until = hal_clock_ns() + PATIENCE_NS;
	struct player *p;
	bool asked = false;

	if (!begin())
		return;
	p = player(0, 0, false);
	while (p && !asked && hal_clock_ns() < until) {
		until_asleep(p);
		keep_on(p->thread, 0);
		p->cpu = 0;
		hold_cpu0();
		complete(&p->go);
		asked = tick_that_asks(p);
		while (asked && !READ_ONCE(p->cpu) && hal_clock_ns() < until)
			hal_cpu_relax();
		wait_for_completion(&p->done, "selftest");
		(void)sched_set_params(current_thread(), SCHED_NORMAL, 0, 0, false);
	}
	EXPECT(asked && p->cpu != 0);
	end();
}

/* ---- who comes to one that was alone ------------------------------------------------------------------ */

/* [rq->lock] As if `t`, which runs here, had been alone for so long. What its virtual time is. 0: it is not alone. */
static u64 run_ahead(struct runqueue *rq, struct thread *t)
{
	if (rq->cpu != 1 || rq->current != t || rq->queued)
		return 0;
	t->vruntime = MAX(t->vruntime, rq->vclock) + AHEAD_NS;
	t->vdeadline = t->vruntime + FAR_NS;
	return t->vruntime;
}

/* Each tick brings the queue's virtual clock up to it. False: something else came to that CPU, and did so. */
static bool tick_brings_the_clock(struct thread *t, u64 until, bool *brought)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);
	u64 ahead = run_ahead(rq, t), switches = rq->switches;

	spin_unlock_irqrestore(&rq->lock, flags);
	while (ahead && !*brought && hal_clock_ns() < until) {
		rq = thread_lock(t, &flags);
		if (rq->switches != switches)
			ahead = 0;
		else
			*brought = rq->vclock >= ahead;
		spin_unlock_irqrestore(&rq->lock, flags);
		hal_cpu_relax();
	}
	return ahead != 0;
}

SELFTEST(balance, alone_is_not_ahead_of_who_comes)
{
	u64 until = hal_clock_ns() + PATIENCE_NS;
	struct player *alone;
	bool brought = false;

	if (!begin())
		return;
	alone = player(1, 0, true);
	if (alone) {
		until_it_runs(alone);
		while (!tick_brings_the_clock(alone->thread, until, &brought) && hal_clock_ns() < until)
			sched_relax();
		EXPECT(brought);
	}
	end();
}

/* Without a tick, the wake-up does it. False: nothing could be tried. */
static bool join_without_tick(struct thread *alone, struct thread *joins, s64 *behind)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(joins, &flags);
	bool ready = READ_ONCE(joins->state) == THREAD_UNINTERRUPTIBLE && !joins->on_rq && run_ahead(rq, alone);

	if (ready) {
		u64 now = hal_clock_ns();

		rq->slow_since_ns = now;
		rq->tick_mode = TICK_SLOW;
		sched_activate(rq, joins, rq->vclock, now);
		thread_set_state(joins, THREAD_RUNNABLE);
		*behind = (s64)(alone->vruntime - joins->vruntime);
	}
	spin_unlock_irqrestore(&rq->lock, flags);
	return ready;
}

SELFTEST(balance, alone_without_tick_is_not_ahead)
{
	u64 until = hal_clock_ns() + PATIENCE_NS;
	struct player *alone, *joins;
	s64 behind = (s64)AHEAD_NS;
	bool tried = false;

	if (!begin())
		return;
	alone = player(1, 0, true);
	joins = player(1, 0, false);
	if (alone && joins) {
		complete(&joins->go); /* it sleeps on CPU 1 from now on */
		wait_for_completion(&joins->done, "selftest");
		until_it_runs(alone);
		while (!tried && hal_clock_ns() < until) {
			until_asleep(joins);
			tried = join_without_tick(alone->thread, joins->thread, &behind);
		}
		EXPECT(tried && behind < (s64)NSEC_PER_SEC);
	}
	end();
}

/* ---- who makes room ------------------------------------------------------------------------------------ */

/* Would one with the nearest deadline have the CPU of another at once? As on Linux: SCHED_IDLE makes room for all others. */
static bool preempts(u32 policy, u32 running_policy)
{
	static struct thread running, comes;

	running.sp.policy = running_policy;
	running.vdeadline = NSEC_PER_SEC;
	comes.sp.policy = policy;
	return fair_preempts(&running, &comes);
}

SELFTEST(balance, batch_and_idle_preempt_no_others)
{
	EXPECT(preempts(SCHED_NORMAL, SCHED_NORMAL));
	EXPECT(preempts(SCHED_NORMAL, SCHED_BATCH));
	EXPECT(preempts(SCHED_NORMAL, SCHED_IDLE));
	EXPECT(!preempts(SCHED_BATCH, SCHED_NORMAL));
	EXPECT(!preempts(SCHED_BATCH, SCHED_BATCH));
	EXPECT(preempts(SCHED_BATCH, SCHED_IDLE));
	EXPECT(!preempts(SCHED_IDLE, SCHED_NORMAL));
	EXPECT(!preempts(SCHED_IDLE, SCHED_BATCH));
	EXPECT(!preempts(SCHED_IDLE, SCHED_IDLE));
}

#endif
