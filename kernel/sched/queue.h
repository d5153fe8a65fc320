/* SPDX-License-Identifier: MIT */
/*
 * The queue itself: 256 lists and a bitmap.
 *
 * Levels 0 to 98 are the real-time priorities 99 to 1; levels 128 to 255 are the calendar of the fair class
 * (fair.h), a ring of buckets that begins at base_bucket. The thread that runs next is the first of the lowest
 * level that is not empty, where "lowest" begins at the base among the buckets. The running thread is on no list.
 *
 * Inline, because a switch between two threads costs little more than this. All functions: [rq->lock].
 */
#pragma once

#include "fair.h"
#include "realtime.h"

/* A bucket of the calendar by its distance from the base. */
static inline u32 calendar_level(const struct runqueue *rq, u32 distance)
{
	return SCHED_LEVEL_FAIR + (u32)((rq->base_bucket + distance) % SCHED_BUCKETS);
}

static inline u32 level_of(const struct runqueue *rq, const struct thread *t)
{
	if (unlikely(thread_is_realtime(t)))
		return 99u - (u32)t->sp.rt_priority;
	return calendar_level(rq, fair_distance(rq, t->vdeadline));
}

static inline void rq_insert(struct runqueue *rq, struct thread *t, u32 level, bool at_head)
{
	if (at_head)
		list_add_head(&t->run_node, &rq->level[level]);
	else
		list_add_tail(&t->run_node, &rq->level[level]);
	t->level = level;
	t->queued = 1;
	rq->bitmap[level / 64] |= BIT(level % 64);
	WRITE_ONCE(rq->queued, rq->queued + 1);
}

static inline void rq_remove(struct runqueue *rq, struct thread *t)
{
	list_unlink(&t->run_node);
	t->queued = 0;
	if (list_empty(&rq->level[t->level]))
		rq->bitmap[t->level / 64] &= ~BIT(t->level % 64);
	WRITE_ONCE(rq->queued, rq->queued - 1);
}

/* How far from the base the first calendar bucket is that holds somebody; SCHED_BUCKETS: none does. */
static inline u32 calendar_first(const struct runqueue *rq)
{
	u32 at = (u32)rq->base_bucket % SCHED_BUCKETS, word = at / 64, shift = at % 64;
	u64 bits = rq->bitmap[2 + word] >> shift;

	if (likely(bits))
		return (u32)__builtin_ctzll(bits);
	bits = rq->bitmap[3 - word];
	if (bits)
		return 64 - shift + (u32)__builtin_ctzll(bits);
	bits = rq->bitmap[2 + word]; /* only those before the base are left */
	return bits ? 128 - shift + (u32)__builtin_ctzll(bits) : SCHED_BUCKETS;
}

static inline bool rq_has_fair(const struct runqueue *rq)
{
	return rq->bitmap[2] | rq->bitmap[3];
}

/* The first real-time level; 128 when there is none that may run now. */
static inline u32 realtime_first(const struct runqueue *rq)
{
	if (unlikely(rq->throttled && rq_has_fair(rq)))
		return SCHED_LEVEL_FAIR;
	return rq->bitmap[0] ? (u32)__builtin_ctzll(rq->bitmap[0]) : 64u + (u32)__builtin_ctzll(rq->bitmap[1]);
}

/* [rq->lock] The calendar begins at the bucket of `t`, which runs next. */
static inline void calendar_advance(struct runqueue *rq, const struct thread *t, u32 distance)
{
	rq->first = &rq->level[calendar_level(rq, distance)];
	rq->base_bucket += distance;
	if (t->vruntime > rq->vclock)
		rq->vclock = t->vruntime;
}

/*
 * A slice of SCHED_IDLE is longer in virtual time than the calendar (10 ms * 1024 / 3), so that such a thread stands in its last
 * bucket although its deadline lies behind it. When that bucket's turn comes and others wait, it is put in again. Each time the
 * calendar has moved on by nearly its length: that is done four times a slice, at most.
 */
#define SCHED_WEIGHT_FAR 9u /* 10 ms * 1024 / 9 is more than 128 buckets */
bool rq_put_off(struct runqueue *rq, struct thread *t, u32 distance); /* queue.c */

/* Takes out who runs next; the idle thread if nobody waits. */
static inline struct thread *rq_pick(struct runqueue *rq)
{
	struct thread *t;
	u32 level, first;

	if (unlikely(rq->bitmap[0] | rq->bitmap[1])) {
		level = realtime_first(rq);
		if (level < SCHED_LEVEL_FAIR) {
			t = list_first_entry(&rq->level[level], struct thread, run_node);
			rq_remove(rq, t);
			return t;
		}
	}
	do {
		first = calendar_first(rq);
		if (first == SCHED_BUCKETS)
			return rq->idle;
		t = list_first_entry(&rq->level[calendar_level(rq, first)], struct thread, run_node);
		rq_remove(rq, t);
	} while (unlikely(t->sp.weight <= SCHED_WEIGHT_FAR) && rq_put_off(rq, t, first));
	calendar_advance(rq, t, first);
	return t;
}

/* Would `t`, which has just come, run now rather than the one that does? */
static inline bool should_preempt(const struct runqueue *rq, const struct thread *t)
{
	const struct thread *running = rq->current;

	if (running == rq->idle)
		return true;
	if (unlikely(thread_is_realtime(t)))
		return realtime_preempts(rq, running, t);
	return !thread_is_realtime(running) && fair_preempts(running, t);
}
