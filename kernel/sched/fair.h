/* SPDX-License-Identifier: MIT */
/*
 * The fair class.
 *
 * A thread's vruntime grows by the time it runs, divided by its weight (nice 0: as the clock). Its deadline is where
 * vruntime will be at the end of its 10 ms slice, so a heavy thread has a near deadline and a light one a far one.
 * The thread with the earliest deadline (to the bucket) runs. As vruntime is exact, shares are exact in the long run; the
 * bucket's width bounds the error at any moment. Nobody starves: while others run, the calendar's base passes every
 * bucket.
 *
 * A thread that comes, from sleep or from another CPU, keeps its place relative to the queue's virtual clock, but for
 * at most half a slice of credit: sleepers are prompt and cannot hoard.
 *
 * The virtual clock is the furthest vruntime that was picked. A thread that runs alone is never picked again, so the
 * tick brings the clock up to it (fair_catch_up); otherwise one who joins it would have the CPU for as long as the other
 * has had it.
 */
#pragma once

#include "internal.h"

#define SCHED_WAKE_GRANULARITY_NS 2000000ull /* of virtual time */

static inline u64 to_virtual(const struct thread *t, u64 ns)
{
	return likely(t->sp.weight == SCHED_WEIGHT_NICE0) ? ns : ns * SCHED_WEIGHT_NICE0 / t->sp.weight;
}

/* The bucket of a deadline, as its distance from the calendar's first. */
static inline u32 fair_distance(const struct runqueue *rq, u64 vdeadline)
{
	s64 distance = (s64)((vdeadline >> SCHED_BUCKET_SHIFT) - rq->base_bucket);

	if (distance < 0)
		return 0;
	return (u32)MIN(distance, (s64)SCHED_BUCKETS - 1);
}

static inline void slice_renew(struct thread *t)
{
	t->slice_left_ns = READ_ONCE(sched_rr_slice_ns);
	t->vdeadline = t->vruntime + to_virtual(t, SCHED_SLICE_NS);
}

/* Has the thread, which runs, had its slice? (SCHED_FIFO: there is none.) */
static inline bool slice_is_over(const struct thread *t)
{
	if (likely(t->level >= SCHED_LEVEL_FAIR))
		return t->vruntime >= t->vdeadline;
	return !t->slice_left_ns && t->sp.policy == SCHED_RR;
}

/* Charges `t`, which runs on `rq`, for the time since it was last charged. */
static inline void thread_charge(struct runqueue *rq, struct thread *t, u64 now)
{
	u64 ran = now - t->run_start_ns;

	if (unlikely((s64)ran <= 0))
		return;
	t->run_start_ns = now;
	t->sum_exec_ns += ran;
	if (likely(t->level >= SCHED_LEVEL_FAIR)) {
		t->vruntime += to_virtual(t, ran);
	} else {
		t->slice_left_ns -= MIN(ran, t->slice_left_ns);
		rq->rt_time_ns += ran;
	}
}

/* A thread comes to this queue from sleep or from another queue, whose virtual clock was from_vclock. */
static inline void fair_place(struct runqueue *rq, struct thread *t, u64 from_vclock)
{
	s64 lag = (s64)(t->vruntime - from_vclock);
	s64 floor = -(s64)(SCHED_SLICE_NS / 2);

	if (lag < floor)
		lag = floor;
	if (unlikely((s64)rq->vclock + lag < 0))
		lag = 0;
	t->vruntime = rq->vclock + (u64)lag;
	slice_renew(t);
}

/* The running thread, just charged, has the CPU for itself: see above. */
static inline void fair_catch_up(struct runqueue *rq, const struct thread *running)
{
	if (!thread_is_realtime(running) && running->vruntime > rq->vclock)
		rq->vclock = running->vruntime;
}

static inline bool fair_preempts(const struct thread *running, const struct thread *t)
{
	if (unlikely(t->sp.policy == SCHED_BATCH || t->sp.policy == SCHED_IDLE))
		return t->sp.policy == SCHED_BATCH && running->sp.policy == SCHED_IDLE;
	if (unlikely(running->sp.policy == SCHED_IDLE))
		return true;
	return t->vdeadline + SCHED_WAKE_GRANULARITY_NS < running->vdeadline;
}
