/* SPDX-License-Identifier: MIT */
/* Policies, priorities and nice values of threads: sched(7). Who may do it is the caller's question. */
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <lib/errno.h>

#include "queue.h"

u64 sched_rt_period_ns = 1000000000ull;
u64 sched_rt_runtime_ns = 950000000ull;
u64 sched_rr_slice_ns = SCHED_RR_SLICE_NS;

/* Each step of nice is 25 % of weight, anchored at 1024: Linux's contract with users. */
static const u32 sched_weights[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
	3906,  3121,  2501,  1991,  1586,  1277,  1024,	 820,	655,   526,   423,  335,  272,	215,
	172,   137,   110,   87,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};

u32 sched_nice_weight(int nice)
{
	return sched_weights[CLAMP(nice, -20, 19) + 20];
}

/* [rq->lock] The thread has other parameters than when it was put where it is. */
static void rq_reposition(struct runqueue *rq, struct thread *t)
{
	slice_renew(t);
	if (t->queued) {
		rq_remove(rq, t);
		rq_insert(rq, t, level_of(rq, t), false);
		if (should_preempt(rq, t))
			sched_kick_cpu(rq->cpu);
	} else if (t->on_rq) { /* it runs: others may come first now, here or from elsewhere */
		t->level = level_of(rq, t);
		WRITE_ONCE(rq->running_level, t->level);
		if (rq->queued || sched_many)
			sched_kick_cpu(rq->cpu);
	}
}

/* [rq->lock] */
static void change_locked(struct runqueue *rq, struct thread *t, const struct sched_param_state *sp)
{
	if (rq->current == t)
		thread_charge(rq, t, hal_clock_ns());
	if (t->on_rq && !thread_is_realtime(t))
		rq->load -= t->sp.weight;
	if (!t->sp.rt_priority)
		t->rt_from_ns = t->sum_exec_ns;
	t->sp = *sp;
	t->sp.weight = sp->policy == SCHED_IDLE ? SCHED_WEIGHT_IDLE : sched_nice_weight(sp->nice);
	if (t->on_rq && !thread_is_realtime(t))
		rq->load += t->sp.weight;
	rq_reposition(rq, t);
}

static bool same_params(const struct sched_param_state *a, const struct sched_param_state *b)
{
	return a->policy == b->policy && a->rt_priority == b->rt_priority && a->nice == b->nice &&
	       a->reset_on_fork == b->reset_on_fork;
}

int sched_change_params(struct thread *t, const struct sched_param_state *seen, const struct sched_param_state *wanted)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);
	bool same = same_params(&t->sp, seen);

	if (same)
		change_locked(rq, t, wanted);
	spin_unlock_irqrestore(&rq->lock, flags);
	return same ? 0 : -EAGAIN;
}

int sched_set_params(struct thread *t, u32 policy, int rt_priority, int nice, bool reset_on_fork)
{
	struct sched_param_state sp = {
		.policy = policy, .rt_priority = rt_priority, .nice = nice, .reset_on_fork = reset_on_fork,
	};
	struct runqueue *rq;
	irqflags_t flags;

	rq = thread_lock(t, &flags);
	change_locked(rq, t, &sp);
	spin_unlock_irqrestore(&rq->lock, flags);
	return 0;
}

void sched_set_nice(struct thread *t, int nice)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);
	struct sched_param_state sp = t->sp;

	sp.nice = nice;
	change_locked(rq, t, &sp);
	spin_unlock_irqrestore(&rq->lock, flags);
}

void sched_get_params(const struct thread *t, struct sched_param_state *out)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);

	*out = t->sp;
	spin_unlock_irqrestore(&rq->lock, flags);
}

u64 sched_slice_ns(const struct sched_param_state *sp)
{
	switch (sp->policy) {
	case SCHED_FIFO:
		return 0;
	case SCHED_RR:
		return READ_ONCE(sched_rr_slice_ns);
	default:
		return SCHED_SLICE_NS;
	}
}
