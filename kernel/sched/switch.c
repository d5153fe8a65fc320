/* SPDX-License-Identifier: MIT */
/*
 * The switch: schedule(), preemption, yield, and the idle loop.
 *
 * A run queue's lock guards everything of the threads that are on it, and is held across the switch: the thread
 * that comes releases it (sched_finish_switch). When the lock is free, a thread that is not on the queue has
 * therefore left its CPU for good, and may be woken on any other.
 *
 * What cannot be done under that lock, because it needs another queue's, is noted in rq->after and done when the
 * switch is finished: a thread that must go elsewhere, real-time threads that may come here. A CPU without
 * anything to do looks for work of others in its idle loop, not in schedule(), for the same reason: to let go of the
 * lock there would let somebody wake the thread that still stands on its stack.
 *
 * Switches arm no hardware and read the clock once.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/record.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#include "queue.h"

DEFINE_PER_CPU(struct runqueue, sched_runqueue);

void (*sched_space_switch_hook)(struct thread *prev, struct thread *next);

/* Asks the current thread of this CPU to make room: at the next chance in the kernel, or before user mode. */
void sched_set_need_resched(void)
{
	hal_preempt_set_need_resched();
	hal_work_set(&current_thread()->hal, HAL_WORK_RESCHED);
}

void sched_kick_cpu(u32 cpu)
{
	if (cpu == hal_cpu_id())
		sched_set_need_resched();
	else
		hal_cpu_kick(cpu);
}

const struct thread *sched_running_on(u32 cpu)
{
	return rq_of(cpu) ? READ_ONCE(rq_of(cpu)->current) : NULL;
}

/* ---- leaving and coming ------------------------------------------------------------------------ */

/* Puts a runnable thread that just ran back into the queue. */
static inline void rq_put_back(struct runqueue *rq, struct thread *t, enum switch_reason reason)
{
	bool realtime = thread_is_realtime(t);
	bool expired = !t->slice_left_ns && t->sp.policy != SCHED_FIFO;
	u32 level;

	if (expired)
		slice_renew(t);
	level = level_of(rq, t);
	if (reason == SWITCH_YIELD && !realtime) /* behind who would run next, however far that is */
		level = calendar_later(rq, level, rq_first_level(rq));
	rq_insert(rq, t, level, realtime && !expired && reason != SWITCH_YIELD);
}

static bool wait_is_over(const struct thread *t)
{
	u32 state = READ_ONCE(t->state);

	return (state == THREAD_INTERRUPTIBLE && thread_interrupted(t)) || (state == THREAD_KILLABLE && t->fatal);
}

#define HANDOFF_NS 50000ull /* who sleeps that soon after it woke somebody, did little between */
#define HANDOFF_MOST 3u

/* Did it sleep at once after it woke somebody? wake.c foretells the next time from it. */
static noinline void handoff_learn(struct thread *t, u64 now)
{
	if (now - t->woke_ns >= HANDOFF_NS)
		t->handoff = 0;
	else if (t->handoff < HANDOFF_MOST)
		t->handoff++;
	t->woke_ns = 0;
}

/* The thread's wait begins: it is on no queue any more. */
static inline void leave_to_sleep(struct runqueue *rq, struct thread *t, u64 now)
{
	t->on_rq = 0;
	t->switches_voluntary++;
	if (likely(!thread_is_realtime(t)))
		rq->load -= t->sp.weight;
	if (unlikely(t->woke_ns))
		handoff_learn(t, now);
}

/* rq->evict is set. True: the thread must leave, and is in transit. */
static noinline bool leave_for_good(struct runqueue *rq, struct thread *t)
{
	if (rq->online) {
		rq->evict = false;
		if (cpumask_test(&t->affinity, rq->cpu))
			return false;
	}
	t->on_rq = 0;
	if (!thread_is_realtime(t))
		rq->load -= t->sp.weight;
	thread_set_state(t, THREAD_WAKING);
	rq->after |= AFTER_MOVE;
	return true;
}

/* Takes the thread that is about to leave the CPU off the queue or puts it back. False: it goes on. */
static inline bool leave_cpu(struct runqueue *rq, struct thread *prev, enum switch_reason reason, u64 now)
{
	if (prev == rq->idle)
		return true;
	if (unlikely(thread_is_realtime(prev)))
		rq->after |= AFTER_REALTIME;
	if (reason == SWITCH_BLOCK && READ_ONCE(prev->state) != THREAD_RUNNABLE) {
		if (!wait_is_over(prev)) {
			if (unlikely(prev->state == THREAD_DEAD))
				rq->after |= AFTER_DEAD;
			leave_to_sleep(rq, prev, now);
			return true;
		}
		thread_set_state(prev, THREAD_RUNNABLE);
	}
	if (unlikely(rq->evict) && leave_for_good(rq, prev))
		return true;
	if (!rq->queued && prev->slice_left_ns)
		return false;
	prev->queued_ns = now;
	rq_put_back(rq, prev, reason);
	return true;
}

/* Prev or next is the idle thread. */
static noinline void switch_idle(struct runqueue *rq, struct thread *next, u64 now)
{
	if (next == rq->idle) {
		rq->idle_since_ns = now;
		rq->idles++;
		if (sched_many)
			cpumask_atomic_set(&rq->llc->llc_idle, rq->cpu);
		if (!rcu_needs_tick())
			tick_stop(rq);
		return;
	}
	rq->idle_ns += now - rq->idle_since_ns;
	if (sched_many)
		cpumask_atomic_unset(&rq->llc->llc_idle, rq->cpu);
}

static inline void switch_to(struct runqueue *rq, struct thread *prev, struct thread *next, u64 now)
{
	if (unlikely(prev == rq->idle || next == rq->idle))
		switch_idle(rq, next, now);
	if (unlikely(rq->tick_mode != TICK_ON && next != rq->idle))
		tick_start(rq, now);
	rq->switches++;
	record_switch(prev->on_rq ? THREAD_RUNNABLE : prev->state, next->id, next->name);
	WRITE_ONCE(rq->current, next);
	WRITE_ONCE(rq->running_level, next->level);
	next->run_start_ns = now;
	if (next != rq->idle) {
		u64 waited = now - next->queued_ns;

		next->run_delay_ns += waited;
		rq->run_delay_ns += waited;
	}
	if (unlikely(next->switch_work))
		hal_work_set(&next->hal, next->switch_work);
	if (sched_space_switch_hook)
		sched_space_switch_hook(prev, next);
	lock_handoff_out(&rq->lock);
	prev = hal_switch(prev, next);
	sched_finish_switch(prev);
}

/* The lock is free again, interrupts still off. */
static noinline void finish_after(struct runqueue *rq, struct thread *prev, u32 after, u64 vclock)
{
	u64 now = hal_clock_ns();

	if (after & AFTER_DEAD) {
		prev->release(prev);
	} else if (after & AFTER_MOVE) {
		prev->queued_ns = now;
		sched_place(prev, sched_choose_cpu(prev, false), vclock, now);
	}
	if ((after & AFTER_REALTIME) && sched_many)
		sched_balance_realtime(rq, now);
}

/*
 * Runs on the stack of the thread that came, with the lock of its CPU's queue held by the one that left. Once the lock is
 * free, a sleeping prev may be woken, run and die elsewhere; it is ours only where rq->after says so.
 */
void sched_finish_switch(struct thread *prev)
{
	struct runqueue *rq = rq_here();
	u32 after = rq->after;

	lock_handoff_in(&rq->lock);
	if (likely(!after)) {
		spin_unlock_no_resched(&rq->lock);
		return;
	}
	rq->after = 0;
	spin_unlock_no_resched(&rq->lock);
	finish_after(rq, prev, after, rq->vclock);
}

/* Nobody comes: the thread goes on. */
static noinline void stay_here(struct runqueue *rq, u64 now)
{
	rq->after = 0;
	if (rq->tick_mode == TICK_SLOW && rq->queued)
		tick_start(rq, now);
}

void schedule_common(enum switch_reason reason)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here();
	struct thread *prev = current_thread(), *next;
	u64 now;

	spin_lock(&rq->lock);
	rcu_quiescent(); /* also when the thread goes on: a grace period may have asked for this very passage */
	hal_preempt_clear_need_resched();
	if (hal_work_get(&prev->hal) & HAL_WORK_RESCHED)
		hal_work_clear(&prev->hal, HAL_WORK_RESCHED);
	now = hal_clock_ns();
	if (prev != rq->idle)
		thread_charge(rq, prev, now);
	if (leave_cpu(rq, prev, reason, now)) {
		next = rq_pick(rq);
		if (next != prev) {
			if (prev->on_rq && prev != rq->idle)
				prev->switches_involuntary++;
			switch_to(rq, prev, next, now);
			hal_irq_restore(flags);
			return;
		}
	}
	stay_here(rq, now);
	spin_unlock_no_resched(&rq->lock);
	hal_irq_restore(flags);
}

void schedule(void)
{
	might_schedule();
	do {
		schedule_common(SWITCH_BLOCK);
	} while (unlikely(sched_need_resched()));
}

/* preempt_enable() reached zero with a reschedule wanted. */
static void preempt_now(void)
{
	do {
		schedule_common(SWITCH_PREEMPT);
	} while (unlikely(sched_need_resched()));
}

void sched_exit_work(void)
{
	schedule();
}

void sched_yield_self(void)
{
	struct runqueue *rq = rq_here(); /* another CPU's a moment later, maybe: whoever asks to wait does not mind which */

	rq->yields++;
	if (READ_ONCE(rq->queued))
		schedule_common(SWITCH_YIELD);
}

/* ---- boot and idle ----------------------------------------------------------------------------- */

static struct lock_held_stack *thread_held_locks(void)
{
	return &current_thread()->held;
}

/* For reports: t may be dead, and its name anything. */
static void describe_thread(const struct thread *t, char *buf, size_t n)
{
	snprintf(buf, n, "%.*s%s", THREAD_NAME_BYTES - 1, t->name, t->flags & THREAD_USER ? "" : " (kernel)");
}

static void describe_current(char *buf, size_t n)
{
	if (current_thread())
		describe_thread(current_thread(), buf, n);
	else
		strscpy(buf, "none", n);
}

#if HALCYON_DEBUG
static bool current_waits(void)
{
	return current_thread() && READ_ONCE(current_thread()->state) != THREAD_RUNNABLE;
}
#endif

void sched_hooks_init(void)
{
	preempt_schedule_hook = preempt_now;
	rcu_kick_hook = sched_kick_cpu;
	lock_dep_thread_hook = thread_held_locks;
	lock_dep_name_hook = describe_thread;
	panic_thread_hook = describe_current;
#if HALCYON_DEBUG
	might_sleep_state_hook = current_waits;
#endif
}

/* Interrupts off. Nothing to do here: is there something elsewhere? Otherwise halt until an interrupt. */
static void idle_once(struct runqueue *rq)
{
	if (sched_need_resched() || READ_ONCE(rq->queued))
		return;
	if (sched_many) {
		if (unlikely(cpuhp_should_die()))
			cpuhp_play_dead();
		if (sched_pull_idle(rq))
			return;
	}
	log_poll(); /* who wrote to the log where it could wake nobody relied on a tick */
	rcu_idle_enter();
	if (!sched_need_resched() && !READ_ONCE(rq->queued))
		hal_cpu_idle();
	rcu_idle_exit();
}

/* Not preemptible: an interrupt must not switch away between rcu_idle_enter() and rcu_idle_exit(). */
void sched_idle_loop(void)
{
	preempt_disable();
	for (;;) {
		irqflags_t flags = hal_irq_save();

		idle_once(rq_here());
		hal_irq_restore(flags);
		preempt_enable_no_resched();
		schedule();
		preempt_disable();
	}
}
