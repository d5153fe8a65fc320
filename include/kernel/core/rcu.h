/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_RCU_H
#define KERNEL_CORE_RCU_H

/*
 * Read-copy-update. Readers switch preemption off and nothing more. Writers publish with
 * rcu_assign_pointer(), take things out of sight, and free them in a callback after a grace period:
 * a time in which every CPU has been, once, where no reader can be: in schedule(), idle or user mode.
 * The theory of the detection stands in kernel/core/rcu.c; synchronize_rcu() in sched/rcu_sync.h.
 *
 * What the scheduler must call:
 *	rcu_quiescent()			in every context switch, and from the tick when it
 *					interrupted user mode
 *	rcu_idle_enter(), rcu_idle_exit()	around the halt of the idle loop, interrupts off
 *	rcu_irq_enter(), rcu_irq_exit()	first and last thing in upcall_irq_enter/exit
 *	rcu_poll()			from the tick (any mode); keep a tick while rcu_needs_tick()
 *	rcu_run_callbacks()		in a thread that rcu_wake_hook wakes
 */
#include <kernel/core/preempt.h>
#include <kernel/core/percpu.h>
#include <lib/atomic.h>

/* Part of what is freed by call_rcu(). Two words; usable as soon as it is out of readers' sight. */
struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *head);
};

#if HALCYON_DEBUG

/* With a note of where (kernel/core/rcu_debug.c). */
void rcu_read_lock(void);
void rcu_read_unlock(void);
/* Where this CPU entered its outermost read section; 0: it is in none. Preemption off. */
vaddr_t rcu_reader_place(void);
vaddr_t rcu_reader_place_of(u32 cpu);
/* Reports a look at a pointer of RCU's where a grace period may end. */
void rcu_check_reader(void);

#else

/* Any context but idle. Nests. The section must not sleep. */
static __always_inline void rcu_read_lock(void)
{
	preempt_disable();
}

static __always_inline void rcu_read_unlock(void)
{
	preempt_enable();
}

static __always_inline void rcu_check_reader(void)
{
}

#endif

/* For assertions: no grace period can end here. */
static inline bool rcu_read_held(void)
{
	return in_atomic() || !hal_irq_enabled();
}

#define rcu_dereference(p)	(rcu_check_reader(), __atomic_load_n(&(p), __ATOMIC_CONSUME))
/* Read without a read section, by one who knows why that is right and says so. */
#define rcu_dereference_raw(p)	__atomic_load_n(&(p), __ATOMIC_CONSUME)
/* The writer holds the lock that protects p. */
#define rcu_dereference_protected(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

/*
 * fn(head) runs in a thread after a grace period; it may not sleep for long. Any context, also under
 * any spinlock. Callbacks of one CPU run in the order in which they were queued. Grace periods are
 * started in batches: when enough callbacks wait, at the next tick, or when the CPU goes idle.
 */
void call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *head));
/* Starts the grace period at once and asks all CPUs to pass through it: somebody waits. Any context. */
void rcu_expedite(void);

/* Boot CPU; and for each further one before it starts. */
void rcu_init(void);
void rcu_init_cpu(u32 cpu);

DECLARE_PER_CPU(u32, rcu_qs_wanted);
DECLARE_PER_CPU(u32, rcu_idle_state);

/* Out of line halves of the inline functions below. */
void rcu_report_quiescent(void);
void rcu_idle_irq_enter(void);
void rcu_idle_irq_exit(void);

/* "No reader is active on this CPU here." Interrupts off; takes locks from LOCK_RANK_RCU on. */
static __always_inline void rcu_quiescent(void)
{
	if (unlikely(this_cpu(rcu_qs_wanted)))
		rcu_report_quiescent();
}

/* The idle loop, interrupts off. From enter to exit this CPU is quiescent and may not use RCU. */
void rcu_idle_enter(void);
void rcu_idle_exit(void);

/* rcu_idle_state */
#define RCU_IDLE	1u	/* between rcu_idle_enter() and rcu_idle_exit() */
#define RCU_IDLE_IRQ	2u	/* ... but in an interrupt, which may use RCU */

static __always_inline void rcu_irq_enter(void)
{
	if (unlikely(this_cpu(rcu_idle_state) == RCU_IDLE))
		rcu_idle_irq_enter();
}

/* When the irq depth is back at 0. */
static __always_inline void rcu_irq_exit(void)
{
	if (unlikely(this_cpu(rcu_idle_state) & RCU_IDLE_IRQ))
		rcu_idle_irq_exit();
}

/*
 * From the tick, interrupts off: starts a grace period for callbacks that wait, and after
 * RCU_STALL_ASK_NS asks the CPUs that have not reported through rcu_kick_hook.
 */
void rcu_poll(void);
/* True while this CPU has callbacks that wait or is waited for: do not stop its tick. */
bool rcu_needs_tick(void);
#define RCU_KICK_NS 2000000ull

/*
 * [I] Set by sched: makes that CPU pass through schedule() soon (need-resched and an interrupt). Interrupts off;
 * takes no lock.
 */
extern void (*rcu_kick_hook)(u32 cpu);
/*
 * [I] Set by sched: wakes the thread that calls rcu_run_callbacks(). Called from rcu_poll(), rcu_idle_enter() and
 * rcu_expedite(), never from rcu_quiescent(): that one may hold the run queue's lock. No lock of RCU's held.
 */
extern void (*rcu_wake_hook)(void);

/* Runs all callbacks whose grace period has ended, of all CPUs. Thread context, preemptible, one caller. */
void rcu_run_callbacks(void);

#if HALCYON_DEBUG
/* A grace period of this age is reported, and again at each multiple: Linux's 21 s. Self tests shorten it. */
#define RCU_STALL_NS 21000000000ull
extern u64 rcu_stall_ns;
#endif

struct rcu_stats {
	u64 grace_periods;	/* ended since boot */
	u64 queued;		/* callbacks queued since boot */
	u64 invoked;		/* callbacks run since boot */
	u64 kicks;		/* CPUs asked by rcu_kick_hook */
};
void rcu_stats(struct rcu_stats *out);

struct cpuhp_step;
/* Its part in CPUs that come and go. */
extern const struct cpuhp_step rcu_cpuhp;

#endif
