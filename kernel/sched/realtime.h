/* SPDX-License-Identifier: MIT */
/*
 * The real-time classes, SCHED_FIFO and SCHED_RR: strict priorities, a list each.
 *
 * Their limit (sched(7), "Limiting the CPU usage of real-time processes"): in each period, 1 s, they get at most sched_rt_runtime_us,
 * 0.95 s, of a CPU as long as a fair thread waits there. So a SCHED_FIFO loop cannot lock the machine out. The tick watches it
 * (tick.c): a throttled queue passes over its real-time levels while its calendar holds somebody. Unlike on Linux the CPU
 * does not idle meanwhile.
 */
#pragma once

#include "internal.h"

static inline bool realtime_preempts(const struct runqueue *rq, const struct thread *running, const struct thread *t)
{
	if (!thread_is_realtime(running))
		return !rq->throttled;
	return t->sp.rt_priority > running->sp.rt_priority;
}

/* A new period, or the end of this one's share. [rq->lock], `running` was charged. True: somebody else comes now. */
static inline bool realtime_limit(struct runqueue *rq, const struct thread *running, u64 now)
{
	u64 runtime = READ_ONCE(sched_rt_runtime_ns);

	if (now - rq->rt_period_ns >= READ_ONCE(sched_rt_period_ns)) {
		bool was = rq->throttled;

		rq->rt_period_ns = now;
		rq->rt_time_ns = 0;
		rq->throttled = false;
		return was && (rq->bitmap[0] | rq->bitmap[1]);
	}
	rq->throttled = rq->rt_time_ns >= runtime;
	return rq->throttled && thread_is_realtime(running) && (rq->bitmap[2] | rq->bitmap[3]);
}
