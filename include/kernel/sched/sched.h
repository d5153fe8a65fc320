/*
 * The scheduler's entry points. See docs/scheduling.md for the theory.
 */
#pragma once

#include <kernel/sched/thread.h>

struct cpuhp_step;
struct hal_regs;

/* Hooks that higher layers set before the first user thread starts. */
extern void (*sched_space_switch_hook)(struct thread *prev, struct thread *next); /* run queue lock held, irqs off */

/*
 * Boot, once per CPU, interrupts off: makes the calling context `idle`, this CPU's idle thread, and
 * sets up its run queue and timers. Before it nothing may sleep or be woken.
 */
void sched_adopt_idle(struct thread *idle);
/* The same for the boot CPU, whose idle thread is static. */
void sched_init(void);
/* What the boot context becomes in the end. */
void sched_idle_loop(void) __noreturn;

/* This CPU's current thread shall make room: before user mode, or at the next preemption point. */
void sched_set_need_resched(void);
/* The same for any CPU, with an interrupt if it is another one. Any context. */
void sched_kick_cpu(u32 cpu);
/* What the innermost interrupt of this CPU interrupted; NULL outside of interrupts. */
const struct hal_regs *sched_irq_regs(void);
/* Who runs on that CPU, racily: to name it. */
const struct thread *sched_running_on(u32 cpu);

/*
 * For who spins instead of sleeping: are there other CPUs, and is that thread on one right now? It is only compared, and
 * may be gone. *where remembers the CPU from call to call; MAX_CPUS at first.
 */
bool sched_has_other_cpus(void);
bool sched_is_running(const struct thread *t, u32 *where);

/* Gives up the CPU. When the caller's state is not RUNNABLE it leaves the run queue. irqs on, no spinlock. */
void schedule(void);
/* sched_yield(2): goes behind the others of its level. Returns 0. */
long sched_yield_self(void);
/* Exit work for HAL_WORK_RESCHED. */
void sched_exit_work(void);
/* True when another thread should run here soon: long loops call sched_relax(). */
static inline bool sched_need_resched(void)
{
	return hal_preempt_need_resched();
}
/* A point in a long kernel loop at which a waiting thread may run. May sleep. */
static inline void sched_relax(void)
{
	if (sched_need_resched() && !in_atomic())
		schedule();
}

/* sched_setscheduler(2) and friends on a thread; parameters already validated. */
int sched_set_params(struct thread *t, u32 policy, int rt_priority, int nice, bool reset_on_fork);
void sched_set_nice(struct thread *t, int nice);
/*
 * The same, if t still has what the caller saw (policy, priority, nice value, reset on fork) when it decided that the change
 * is allowed; else -EAGAIN, and nothing has changed.
 */
int __must_check sched_change_params(struct thread *t, const struct sched_param_state *seen, const struct sched_param_state *wanted);
int sched_set_affinity(struct thread *t, const struct cpumask *mask); /* -EINVAL: no online CPU in it */
u32 sched_nice_weight(int nice);
void sched_get_params(const struct thread *t, struct sched_param_state *out);
#define SCHED_SLICE_NS 10000000ull /* 10 ms, of the fair class */
#define SCHED_RR_SLICE_NS 100000000ull /* 100 ms, as Linux's; the default of the next */
extern u64 sched_rr_slice_ns; /* [a] of SCHED_RR: sched_rr_timeslice_ms */
u64 sched_slice_ns(const struct sched_param_state *sp); /* what sched_rr_get_interval(2) tells; 0: no end */
/* The real-time limit, sched(7): [a]. runtime ~0: none. */
extern u64 sched_rt_period_ns, sched_rt_runtime_ns;

/*
 * The thread comes from user mode and its HAL_WORK_ENTRY is set: the tick of this CPU may have been stopped for it. From
 * system calls (slow path), faults and traps. Any context but interrupts.
 */
void sched_user_entry(void);
static inline void sched_check_user_entry(void)
{
	if (unlikely(hal_work_get(&current_thread()->hal) & HAL_WORK_ENTRY))
		sched_user_entry();
}
extern bool sched_tick_may_stop; /* [I] after boot: nohz= */

struct sched_stats {
	u64 switches; /* context switches since boot */
	u64 idle_ns, user_ns, nice_ns, system_ns, irq_ns;
	u32 runnable; /* threads running or queued */
	u64 busy_ns; /* not idle */
	u64 run_delay_ns; /* that threads waited there before they ran */
	u64 yields, idles; /* calls of sched_yield(2); switches to the idle thread */
	u64 wakes, wakes_elsewhere; /* wake-ups by this CPU, and those of them that put the thread on another one */
	u64 pulled; /* threads that came from other CPUs by balancing */
};
/* Zeroes for a CPU that has never been online. */
void sched_stats_cpu(u32 cpu, struct sched_stats *out);
/* Load averages over 1, 5, 15 minutes, in 1/2048 (Linux's FSHIFT 11). */
void sched_loadavg(u64 out[3]);

/* Its part in CPUs that come and go. */
extern const struct cpuhp_step idle_cpuhp; /* the idle thread */
extern const struct cpuhp_step sched_cpuhp; /* its run queue; after all others that need no threads */
