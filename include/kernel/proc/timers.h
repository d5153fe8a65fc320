/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_TIMERS_H
#define KERNEL_PROC_TIMERS_H

/*
 * What a process has of timers: setitimer(2)'s three, and who sleeps until its CPU clock shows a time. Its CPU time is looked
 * at by the tick: kernel/proc/cpu_timer.c.
 */
#include <kernel/core/spinlock.h>
#include <kernel/sched/timer.h>
#include <lib/list.h>

struct process;

/* A clock id that names CPU time: clock_getcpuclockid(3). The id's complement in the upper bits, and in the lower ... */
#define CPU_CLOCK_PID(id) (~((id) >> 3))
#define CPU_CLOCK_THREAD 4	/* ... a thread's, not a process's ... */
#define CPU_CLOCK_KIND 3	/* ... and which */
enum cpu_clock_kind { CPU_CLOCK_PROF, CPU_CLOCK_VIRT, CPU_CLOCK_SCHED, CPU_CLOCK_KINDS };
#define CPU_CLOCK_ID(pid, which) ((int)(~(u32)(pid) << 3 | (which)))

/* One of ITIMER_VIRTUAL and ITIMER_PROF. */
struct cpu_itimer {
	u64 expires_ns;			/* [siglock] CPU time; 0: off */
	u64 interval_ns;		/* [siglock] 0: once */
};

struct process_timers {
	struct process *process;	/* [I] whose: this goes when it goes */
	struct timer real;		/* ITIMER_REAL */
	u64 real_deadline_ns;		/* [siglock] monotonic; 0: off */
	u64 real_interval_ns;		/* [siglock] */
	bool real_fired;		/* [siglock] and waits with its next interval until the signal is taken */
	struct cpu_itimer cpu[2];	/* [siglock] CPU_CLOCK_PROF, CPU_CLOCK_VIRT */
	struct list_head waits;		/* [siglock] of struct cpu_wait */
};

/* Made when it is first needed; NULL: no memory. Thread context. */
struct process_timers *process_timers_get(struct process *p);

/* The tick has to look at this process: a timer or limit on its CPU time was set. siglock held. */
void cpu_timers_poke_locked(struct process *p);
/* The same without the lock. */
void cpu_timers_poke(struct process *p);

/* By a negative clock id, or those of the caller. -EINVAL: no such clock. */
int __must_check cpu_clock_read(int id, u64 *ns);
/*
 * Sleeps until the clock shows until_ns. 0, -ERESTARTSYS, -ENOMEM, -EINVAL (no such clock, or the caller's own, which stands
 * still while it sleeps).
 */
int __must_check cpu_clock_sleep(int id, u64 until_ns);

/* setitimer(2), getitimer(2): old[0] is the time left, old[1] the interval. ns. -EINVAL: no such timer; -ENOMEM. */
int __must_check itimer_get(int which, u64 old[2]);
int __must_check itimer_set(int which, u64 value_ns, u64 interval_ns, u64 old[2]);

void cpu_timers_init(void);
void itimers_init(void);

#endif
