/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler's own files share. Not for other layers. The theory is in docs/scheduling.md; each file opens
 * with its part of it.
 *
 *	queue.h, queue.c	levels and the bitmap: insert, remove, pick
 *	fair.h		the fair class: virtual time, slices, charging
 *	switch.c	schedule(), yield, the idle loop
 *	wake.c		wake-ups: who, where, and whether somebody makes room
 *	balance.c	threads that move: placement, idle pull, periodic balance, affinity, real-time push and pull
 *	tick.c		the tick, when it stops, and what it accounts
 *	params.c	sched_setscheduler(2) and friends
 *	hotplug.c	run queues that come and go; the topology
 *	idle.c, cpuhp.c	the idle threads, and the order in which CPUs come and go
 *	load.c		load averages
 */
#pragma once

#include <abi/linux/sched.h>
#include <hal/vdso.h>
#include <kernel/core/percpu.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>

#define SCHED_LEVELS 256u
#define SCHED_LEVEL_FAIR 128u /* first level of the calendar */
#define SCHED_LEVEL_IDLE 256u /* running_level of a CPU that idles */
#define SCHED_BUCKETS 128u /* of the calendar, a power of two */
#define SCHED_BUCKET_SHIFT 23u /* a bucket is 8.4 ms of virtual time */
#define SCHED_TICK_NS 4000000ull /* 4 ms */
#define SCHED_SLOW_TICK_NS 1000000000ull /* of a CPU whose only thread stays in user mode */
#define SCHED_WEIGHT_NICE0 1024u
#define SCHED_WEIGHT_IDLE 3u

enum tick_mode {
	TICK_OFF, /* the CPU idles */
	TICK_ON,
	TICK_SLOW, /* one thread runs alone, and was in user mode for two ticks */
};

/* What sched_finish_switch() has to do besides letting go of the lock; rq->after. */
#define AFTER_DEAD 1u /* the thread that left is dead */
#define AFTER_MOVE 2u /* it is runnable and must go on elsewhere */
#define AFTER_REALTIME 4u /* a real-time thread left: others may wait for a place like this one */

/*
 * The legend of thread.h holds: [q] the run queue's lock, [I] fixed, [a] atomic; [own] only its CPU, interrupts off.
 * What others read without the lock are hints.
 */
struct runqueue {
	struct spinlock lock; /* rank LOCK_RANK_RUNQUEUE, irqs off */
	u32 cpu; /* [I] */
	u32 queued; /* [q] threads in `level`; a hint for others */
	u32 running_level; /* [q] of `current`; a hint for others */
	struct thread *current; /* [q] others compare it, and do not follow it */
	struct thread *idle; /* [I] */
	u64 bitmap[SCHED_LEVELS / 64]; /* [q] levels that are not empty */
	u64 vclock; /* [q] virtual time: the furthest vruntime that was picked; never goes back */
	u64 base_bucket; /* [q] absolute number of the calendar's first bucket */
	struct list_head *first; /* [q] that bucket: calendar_level(0) of `level` */
	u64 load; /* [q] weights of the fair threads that run or wait here; a hint for others */
	u8 tick_mode; /* [q] enum tick_mode */
	u8 after; /* [q] AFTER_*, from leaving to finishing the switch */
	bool evict; /* [q] the running thread may have to leave this CPU */
	bool online; /* [q] threads may be put here */
	bool throttled; /* [q] real-time threads have had their share of this period */
	u64 switches; /* [q] */
	struct timer tick; /* [own] */
	struct hal_regs *irq_regs; /* [own] what the innermost interrupt interrupted */

	u64 idle_since_ns; /* [q] */
	u64 idle_ns; /* [q] */
	u64 irq_start_ns; /* [own] of the outermost interrupt */
	u64 irq_ns, irq_idle_ns; /* [own] spent in interrupts, and of that while idle */
	u64 online_ns; /* [q] when it came, moved on by the time that it was away */
	u64 offline_since_ns; /* [q] 0: it is online, or has never been */
	u64 user_ns, nice_ns, system_ns; /* [q] what the ticks found, adding up to the time that was not idle */
	u64 slow_since_ns; /* [q] TICK_SLOW: since when */

	u64 rt_period_ns; /* [q] when the period of the real-time limit began */
	u64 rt_time_ns; /* [q] what real-time threads used of it */

	u64 balance_next_ns; /* [own] */
	u64 kick_next_ns; /* [own] when an idle CPU may be asked again to pull from here */
	u32 kick_backoff; /* [own] */
	u32 uneven; /* [own] looks in a row that found a CPU with less to do */
	u64 passed_ns; /* [a] when a thread was last passed on from here, or to here; a hint */
	/* For /proc/schedstat. */
	u64 yields; /* [own] */
	u64 idles; /* [q] switches to the idle thread */
	u64 wakes, wakes_elsewhere; /* [own] by this CPU; of those, threads that went to another one */
	u64 run_delay_ns; /* [q] that threads waited here before they ran */
	u64 pulled; /* [own] threads that came by balancing */

	/* Topology; see hotplug.c. Written under its lock, before threads are put here. */
	bool placed; /* the rest is true */
	u32 llc_id, core_id; /* which last cache, which core: unique in the machine */
	struct runqueue *llc; /* [a] the one of those that share the last cache which has their masks */
	struct runqueue *llc_next; /* [a] a ring of the `llc`s */
	struct runqueue *smt_next; /* [a] a ring of those that share the core */
	struct cpumask llc_cpus; /* [a] of an `llc` */
	struct cpumask llc_idle; /* [a] of an `llc`: hints, see rq_is_idle() */

	struct list_head level[SCHED_LEVELS]; /* [q] */
};

DECLARE_PER_CPU(struct runqueue, sched_runqueue);

/* [I] once the CPU was prepared; NULL before. */
extern struct runqueue *sched_rqs[MAX_CPUS];
extern bool sched_many; /* [a] there is more than one run queue; never false again */
extern struct cpumask sched_online; /* [a] whose run queue is online */

static inline struct runqueue *rq_of(u32 cpu)
{
	return sched_rqs[cpu];
}

static inline struct runqueue *rq_here(void)
{
	return this_cpu_ptr(&sched_runqueue);
}

static inline bool rq_is_idle(const struct runqueue *rq)
{
	return READ_ONCE(rq->running_level) == SCHED_LEVEL_IDLE && !READ_ONCE(rq->queued);
}

static inline bool thread_is_realtime(const struct thread *t)
{
	return t->sp.policy == SCHED_FIFO || t->sp.policy == SCHED_RR;
}

/* timer.c */
void timer_init_cpu(u32 cpu);
/* clock.c, debug kernel only: the TSC is watched so often (0: as usual); the page that programs read, NULL: there is none */
void clock_test_watch(u64 period_ns);
const struct hal_vvar *clock_test_page(void);
/* The wall clock is wrong by so much within each write section, until `more` is false: no reader, and they must have ended, sees it. */
void clock_test_half_writes(u64 by_ns, bool (*more)(void));
struct timer *timer_first_here(void); /* for tests: who is due next on this CPU. Preemption off; debug kernel only */

/* switch.c: the second half of every switch, on the stack of the thread that came, with the queue's lock held */
void sched_finish_switch(struct thread *prev);
void schedule_preempted(void); /* the thread is still runnable, whatever state it is about to sleep in */

/*
 * wake.c. thread_lock() locks the queue that `t` belongs to, and waits for a moment when it belongs to one.
 * sched_activate() puts a thread that is on no queue on `rq`, which is locked; its state is the caller's. sched_place() does
 * that for a thread in transit (THREAD_WAKING or `moving`), preferably on `cpu`, and ends the transit; interrupts off,
 * nothing held.
 */
struct runqueue *thread_lock(const struct thread *t, irqflags_t *flags);
void sched_activate(struct runqueue *rq, struct thread *t, u64 from_vclock, u64 now);
void sched_place(struct thread *t, u32 cpu, u64 from_vclock, u64 now);

/* balance.c */
u32 sched_choose_cpu(struct thread *t, bool sync);
u32 sched_choose_cpu_new(struct thread *t);
void sched_detach(struct runqueue *rq, struct thread *t); /* [rq->lock] a queued thread goes into transit */
bool sched_pull_idle(struct runqueue *rq); /* irqs off: looks for work elsewhere; true when some came */
void sched_balance_tick(struct runqueue *rq, u64 now);
void sched_balance_realtime(struct runqueue *rq, u64 now);
void sched_change_affinity(struct thread *t, const struct cpumask *mask); /* some CPU of the mask is online */
void sched_evacuate(struct runqueue *rq); /* all that is queued goes elsewhere */

/* tick.c */
void tick_start(struct runqueue *rq, u64 now); /* [rq->lock] this CPU's, from any mode */
void tick_stop(struct runqueue *rq); /* [rq->lock] the CPU begins to idle */
void tick_init(struct runqueue *rq);

/*
 * Moments that only a test can make long enough for another CPU to get in between (debug kernel): the lock that lock_sleeper() has
 * found, held; and a thread in transit, nothing held. Interrupts off.
 */
enum sched_test_point { SCHED_TEST_WAKE, SCHED_TEST_TRANSIT };
#if HALCYON_DEBUG
/* [a] NULL: nobody wants to know. */
extern void (*sched_test_hook)(enum sched_test_point point, struct thread *t, struct runqueue *rq);

static inline void sched_test_point(enum sched_test_point point, const struct thread *t, struct runqueue *rq)
{
	void (*hook)(enum sched_test_point point, struct thread *t, struct runqueue *rq) = READ_ONCE(sched_test_hook);

	if (unlikely(hook))
		hook(point, (struct thread *)t, rq);
}
#else
static inline void sched_test_point(enum sched_test_point point, const struct thread *t, const struct runqueue *rq)
{
	(void)point, (void)t, (void)rq;
}
#endif

/* hotplug.c: this CPU's queue, the first time it comes; interrupts off */
void rq_init_here(struct thread *idle);
/* switch.c */
void sched_hooks_init(void);

/* load.c */
void sched_load_tick(u64 now_ns);
