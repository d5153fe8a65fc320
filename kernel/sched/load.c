/*
 * Load averages, as getloadavg(3) knows them: the number of runnable threads, smoothed exponentially over
 * 1, 5 and 15 minutes, sampled every 5 s by whichever CPU ticks first. A machine that idles has no ticks, one whose CPUs
 * each run a single thread has one each second; so periods that passed without any had no runnable thread, and are made up
 * for when the next tick or reader comes.
 */
#include "internal.h"

#include <hal/clock.h>
#include <hal/cpu.h>

#define LOAD_PERIOD_NS 5000000000ull
#define LOAD_SHIFT 11u
#define LOAD_ONE (1ull << LOAD_SHIFT)
/* 2048 * exp(-5 s / 1, 5, 15 min) */
static const u64 load_decay[3] = { 1884, 2014, 2037 };

static struct spinlock load_lock = SPINLOCK_INIT("load", LOCK_RANK_LEAF);
static u64 load_avg[3]; /* [load_lock] */
static u64 load_next_ns = LOAD_PERIOD_NS; /* [load_lock] read racily first */

static u64 runnable_now(void)
{
	u64 n = 0;
	u32 cpu;

	cpumask_for_each(cpu, &sched_online) {
		const struct runqueue *rq = rq_of(cpu);

		n += READ_ONCE(rq->queued) + (READ_ONCE(rq->current) != rq->idle);
	}
	return n;
}

/* [load_lock] one period with `active` runnable threads */
static void load_step(u64 active)
{
	for (u32 i = 0; i < 3; i++) {
		u64 sum = load_avg[i] * load_decay[i] + active * LOAD_ONE * (LOAD_ONE - load_decay[i]);

		if (active * LOAD_ONE >= load_avg[i])
			sum += LOAD_ONE - 1; /* round towards where it goes */
		load_avg[i] = sum >> LOAD_SHIFT;
	}
}

#define LOAD_MAX_CATCH_UP 1000 /* 83 minutes: every average is 0 by then */

static void load_catch_up(u64 now_ns)
{
	u64 missed = (now_ns - load_next_ns) / LOAD_PERIOD_NS;

	load_next_ns += (missed + 1) * LOAD_PERIOD_NS;
	for (u64 i = MIN(missed, (u64)LOAD_MAX_CATCH_UP); i > 0; i--)
		load_step(0);
	load_step(runnable_now());
}

void sched_load_tick(u64 now_ns)
{
	irqflags_t flags;

	if (now_ns < READ_ONCE(load_next_ns))
		return;
	flags = spin_lock_irqsave(&load_lock);
	if (now_ns >= load_next_ns)
		load_catch_up(now_ns);
	spin_unlock_irqrestore(&load_lock, flags);
}

void sched_loadavg(u64 out[3])
{
	irqflags_t flags;

	sched_load_tick(hal_clock_ns());
	flags = spin_lock_irqsave(&load_lock);
	for (u32 i = 0; i < 3; i++)
		out[i] = load_avg[i];
	spin_unlock_irqrestore(&load_lock, flags);
}
