/* SPDX-License-Identifier: MIT */
/*
 * The millisecond after which vfree()'d addresses are flushed everywhere (kernel/mm/kmap.c): a timer, which may not wait for
 * other CPUs, and work, which may. It lies here because mm is below timers and threads.
 */
#include <kernel/mm/kmap.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/timer.h>
#include <kernel/sched/work.h>

#define PURGE_NS (NSEC_PER_MSEC)

static struct timer purge_timer;
static struct work purge_work;

static void purge_fn(struct work *w)
{
	(void)w;
	kmap_purge();
}

static void purge_expired(struct timer *t)
{
	(void)t;
	(void)work_queue(&system_work, &purge_work);
}

/* Any context. */
static void purge_later(void)
{
	timer_arm(&purge_timer, clock_mono_ns() + (u64)PURGE_NS);
}

void sched_purge_init(void)
{
	timer_init(&purge_timer, purge_expired);
	work_init(&purge_work, purge_fn);
	kmap_purge_later_hook = purge_later;
}
