/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_PREEMPT_H
#define KERNEL_CORE_PREEMPT_H

/*
 * Switching preemption off and on. The count lives in the HAL's per-CPU area together with the
 * (inverted) need-resched bit, so that leaving the outermost section is one decrement whose zero flag
 * says "call the scheduler" (hal/percpu.h).
 *
 * Any context. Sections nest. A section must not sleep.
 */
#include <hal/cpu.h>
#include <hal/percpu.h>
#include <lib/compiler.h>

/*
 * [I] Set by sched_init(): reschedules the calling thread, which is preemptible and has interrupts on.
 * NULL before there is a scheduler.
 */
extern void (*preempt_schedule_hook)(void);

/* Out of line half of preempt_enable(): does nothing while interrupts are off. */
void preempt_schedule(void);

static __always_inline void preempt_disable(void)
{
	hal_preempt_inc();
	barrier();
}

static __always_inline void preempt_enable(void)
{
	barrier();
	if (unlikely(hal_preempt_dec_and_test()))
		preempt_schedule();
}

/* For code that will call schedule() itself. */
static __always_inline void preempt_enable_no_resched(void)
{
	barrier();
	hal_preempt_dec();
}

/* In an interrupt handler? */
static __always_inline bool in_irq(void)
{
	return (hal_preempt_count() & HAL_PREEMPT_IRQ_MASK) != 0;
}

/* Is sleeping forbidden by an interrupt, a spinlock, RCU or preempt_disable()? Does not look at the interrupt flag. */
static __always_inline bool in_atomic(void)
{
	return (hal_preempt_count() & (HAL_PREEMPT_IRQ_MASK | HAL_PREEMPT_MASK)) != 0;
}

#if HALCYON_DEBUG
/*
 * Reports when the caller may not sleep: interrupts off, in an interrupt, under a spinlock, in an RCU read section or
 * with preemption off, or when it has begun to wait for something (its state is no longer runnable), which the sleep
 * would lose. Silent until there is a scheduler.
 */
void might_sleep_at(const char *file, int line);
#define might_sleep() might_sleep_at(__FILE__, __LINE__)
/* The same for the scheduler, which is called by those who wait. */
void might_schedule_at(const char *file, int line);
#define might_schedule() might_schedule_at(__FILE__, __LINE__)
/*
 * The caller is about to touch user memory, which may fault and then sleeps and takes locks from LOCK_RANK_SPACE on.
 * Nothing is checked where the thread has said that it wants no page brought in (hal_pagefault_disable).
 */
void might_fault_at(const char *file, int line);
#define might_fault() might_fault_at(__FILE__, __LINE__)
/* [I] Set by sched: the running thread has left the runnable state. */
extern bool (*might_sleep_state_hook)(void);
#else
#define might_sleep() ((void)0)
#define might_schedule() ((void)0)
#define might_fault() ((void)0)
#endif

#endif
