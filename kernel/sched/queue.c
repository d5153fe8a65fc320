/* SPDX-License-Identifier: MIT */
/* What of the queue is too rare to be inline: queue.h. */
#include "queue.h"

/* [rq->lock] `t` was taken out of the calendar's bucket `distance`, which comes next. True: it was put in again, further behind. */
bool rq_put_off(struct runqueue *rq, struct thread *t, u32 distance)
{
	s64 early = (s64)((t->vdeadline >> SCHED_BUCKET_SHIFT) - rq->base_bucket - distance);

	if (early <= 0 || !rq_has_fair(rq))
		return false;
	rq->first = &rq->level[calendar_level(rq, distance)];
	rq->base_bucket += distance;
	rq_insert(rq, t, calendar_level(rq, (u32)MIN(early, (s64)SCHED_BUCKETS - 1)), false);
	return true;
}
