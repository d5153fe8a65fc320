/*
 * What the scheduler's own files share. Not for other layers.
 */
#pragma once

#include <kernel/core/percpu.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>

#define SCHED_LEVELS 256u
#define SCHED_LEVEL_FAIR 128u /* first level of the calendar */
#define SCHED_BUCKETS 128u /* of the calendar, a power of two */
#define SCHED_BUCKET_NS 8000000ull /* of virtual time */
#define SCHED_TICK_NS 4000000ull /* 4 ms */
#define SCHED_WEIGHT_NICE0 1024u

/* The legend of thread.h holds: [q] the run queue's lock, [I] fixed, [a] atomic. */
struct runqueue {
	struct spinlock lock; /* rank LOCK_RANK_RUNQUEUE, irqs off */
	u32 cpu; /* [I] */
	u32 queued; /* [q] threads in `level`; read racily as a hint */
	u64 bitmap[SCHED_LEVELS / 64]; /* [q] levels that are not empty */
	struct list_head level[SCHED_LEVELS]; /* [q] */
	struct thread *current; /* [q] read racily by others as a hint */
	struct thread *idle; /* [I] */
	u64 vclock; /* [q] virtual time: the furthest vruntime that was picked; never goes back */
	u64 base_bucket; /* [q] absolute number of the calendar's first bucket */
	struct timer tick; /* this CPU only */
	bool tick_on; /* [q] */
	u64 switches; /* [q] */
	u64 idle_since_ns; /* [q] 0 while busy */
	u64 idle_ns; /* [q] */
	u64 ticks_user, ticks_kernel; /* this CPU's tick only */
	struct hal_regs *irq_regs; /* this CPU only: what the innermost interrupt interrupted */
};

DECLARE_PER_CPU(struct runqueue, sched_runqueue);

/* timer.c */
void timer_init_cpu(u32 cpu);
/* sched.c: a new thread's first step, under its run queue's lock */
void sched_finish_switch(struct thread *prev);
/* load.c */
void sched_load_tick(u64 now_ns);
