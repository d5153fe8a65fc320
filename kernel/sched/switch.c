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
#include <hal/tlb.h>
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

/* Puts a runnable thread that just ran back into the queue; a real-time one whose time is not over comes first again. */
static inline void rq_put_back(struct runqueue *rq, struct thread *t, bool yields)
{
	bool expired = slice_is_over(t);

	if (expired)
		slice_renew(t);
	rq_insert(rq, t, level_of(rq, t), t->level < SCHED_LEVEL_FAIR && !expired && !yields);
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
	if (likely(t->level >= SCHED_LEVEL_FAIR))
		rq->load -= t->sp.weight;
	else
		rq->after |= AFTER_REALTIME;
	if (unlikely(t->state == THREAD_DEAD))
		rq->after |= AFTER_DEAD;
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
	if (!thread_is_realtime(t))
		rq->load -= t->sp.weight;
	t->moving = 1;
	rq->after |= AFTER_MOVE;
	return true;
}

/* The CPU begins to idle. */
static noinline void idle_begins(struct runqueue *rq, u64 now)
{
	rq->idle_since_ns = now;
	rq->idles++;
	if (sched_many)
		cpumask_atomic_set(&rq->llc->llc_idle, rq->cpu);
	if (!rcu_needs_tick())
		tick_stop(rq);
}

static noinline void idle_ends(struct runqueue *rq, u64 now)
{
	rq->idle_ns += now - rq->idle_since_ns;
	if (sched_many)
		cpumask_atomic_unset(&rq->llc->llc_idle, rq->cpu);
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
 * On the stack of the thread that came, with the lock of its CPU's queue held by the one that left. Once the lock is
 * free, a sleeping prev may be woken, run and die elsewhere; it is ours only where rq->after says so.
 */
static __always_inline void finish_switch(struct thread *prev)
{
	struct runqueue *rq = rq_here();
	u32 after;

	lock_handoff_in(&rq->lock);
	if (likely(!rq->after)) {
		spin_unlock_no_resched(&rq->lock);
		return;
	}
	after = rq->after;
	rq->after = 0;
	spin_unlock_no_resched(&rq->lock);
	finish_after(rq, prev, after, rq->vclock);
}

void sched_finish_switch(struct thread *prev)
{
	finish_switch(prev);
}

/* [rq->lock] next, which is not the idle thread, has waited for the CPU and gets it. */
static __always_inline void wait_ends(struct runqueue *rq, struct thread *next, u64 now)
{
	u64 waited = now - next->queued_ns;

	next->run_delay_ns += waited;
	rq->run_delay_ns += waited;
	if (unlikely(rq->tick_mode != TICK_ON))
		tick_start(rq, now);
}

/* [rq->lock] As switch_to(), when wait_ends() has been called if it must. */
static __always_inline void leave_to(struct runqueue *rq, struct thread *prev, struct thread *next, u32 state, u64 now)
{
	rq->switches++;
	record_switch(state, next->id, next->name);
	WRITE_ONCE(rq->current, next);
	WRITE_ONCE(rq->running_level, next->level);
	next->run_start_ns = now;
	if (unlikely(next->switch_work))
		hal_work_set(&next->hal, next->switch_work);
	/* Threads of one process run in one address space, and it is that of the one that runs, who may have been quiet (hal/tlb.h). */
	if ((!next->group || next->group != prev->group || unlikely(hal_space_is_lazy())) && sched_space_switch_hook)
		sched_space_switch_hook(prev, next);
	lock_handoff_out(&rq->lock);
	finish_switch(hal_switch(prev, next));
}

/* [rq->lock] next is not prev, which is in `state`. Comes back, with the lock released, when somebody switches to prev. */
static __always_inline void switch_to(struct runqueue *rq, struct thread *prev, struct thread *next, u32 state, u64 now)
{
	if (likely(next != rq->idle))
		wait_ends(rq, next, now);
	leave_to(rq, prev, next, state, now);
}

/* What every passage through the scheduler does first. Interrupts off; the lock is held afterwards. */
static __always_inline u64 pass(struct runqueue *rq, struct thread *prev)
{
	spin_lock(&rq->lock);
	rcu_quiescent(); /* also when the thread goes on: a grace period may have asked for this very passage */
	hal_preempt_clear_need_resched();
	if (unlikely(hal_work_get(&prev->hal) & HAL_WORK_RESCHED))
		hal_work_clear(&prev->hal, HAL_WORK_RESCHED);
	return hal_clock_ns();
}

/* [rq->lock] The thread goes on. */
static noinline void stay_here(struct runqueue *rq, u64 now)
{
	rq->after = 0;
	if (rq->tick_mode == TICK_SLOW && rq->queued)
		tick_start(rq, now);
	spin_unlock_no_resched(&rq->lock);
}

/* [rq->lock] The running thread stays runnable; whoever comes first goes on. */
static __always_inline void requeue(struct runqueue *rq, struct thread *prev, bool yields, u64 now)
{
	struct thread *next;

	if (unlikely(prev->level < SCHED_LEVEL_FAIR))
		rq->after |= AFTER_REALTIME;
	if (unlikely(rq->evict) && leave_for_good(rq, prev)) {
		next = rq_pick(rq);
	} else if (!rq->queued && !slice_is_over(prev)) {
		stay_here(rq, now);
		return;
	} else {
		prev->queued_ns = now;
		rq_put_back(rq, prev, yields);
		next = rq_pick(rq);
	}
	if (unlikely(next == prev)) {
		stay_here(rq, now);
		return;
	}
	prev->switches_involuntary++;
	if (unlikely(next == rq->idle))
		idle_begins(rq, now);
	switch_to(rq, prev, next, THREAD_RUNNABLE, now);
}

/* From the idle thread to whoever waits. */
static noinline void leave_idle(struct runqueue *rq, struct thread *idle, u64 now)
{
	struct thread *next = rq_pick(rq);

	if (next == idle) {
		stay_here(rq, now);
		return;
	}
	idle_ends(rq, now);
	switch_to(rq, idle, next, THREAD_RUNNABLE, now);
}

/* The current thread called schedule(); whether it sleeps is in its state. */
static void schedule_once(void)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here();
	struct thread *prev = current_thread(), *next;
	u64 now = pass(rq, prev);

	if (unlikely(prev == rq->idle)) {
		leave_idle(rq, prev, now);
		hal_irq_restore(flags);
		return;
	}
	thread_charge(rq, prev, now);
	if (READ_ONCE(prev->state) != THREAD_RUNNABLE && unlikely(wait_is_over(prev)))
		thread_set_state(prev, THREAD_RUNNABLE);
	if (READ_ONCE(prev->state) == THREAD_RUNNABLE) {
		requeue(rq, prev, false, now);
	} else {
		leave_to_sleep(rq, prev, now);
		next = rq_pick(rq);
		if (next == rq->idle)
			idle_begins(rq, now);
		switch_to(rq, prev, next, prev->state, now);
	}
	hal_irq_restore(flags);
}

void schedule_preempted(void)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here();
	struct thread *prev = current_thread();
	u64 now = pass(rq, prev);

	if (unlikely(prev == rq->idle)) {
		leave_idle(rq, prev, now);
	} else {
		thread_charge(rq, prev, now);
		requeue(rq, prev, false, now);
	}
	hal_irq_restore(flags);
}

/*
 * [rq->lock] The first fair thread that waits takes the place of `prev`, which goes behind it, however far that is. NULL:
 * nobody waits after all.
 */
static noinline struct thread *trade_places_far(struct runqueue *rq, struct thread *prev)
{
	struct thread *next;
	u32 first, behind;

	if (!rq->queued)
		return NULL;
	first = calendar_first(rq);
	behind = MAX(fair_distance(rq, prev->vdeadline), first);
	next = list_first_entry(&rq->level[calendar_level(rq, first)], struct thread, run_node);
	rq_remove(rq, next);
	rq_insert(rq, prev, calendar_level(rq, behind), false);
	calendar_advance(rq, next, first);
	return next;
}

/* [rq->lock] Both belong into the first bucket, and nobody else is there but him who waits. */
static __always_inline bool are_neighbours(const struct runqueue *rq, const struct thread *prev)
{
	const struct list_head *head = rq->first;

	return head->next == head->prev && head->next != head && prev->vdeadline >> SCHED_BUCKET_SHIFT <= rq->base_bucket;
}

/* [rq->lock] The same for such two: nothing of the queue changes but the list's one node. */
static __always_inline struct thread *trade_places(struct runqueue *rq, struct thread *prev)
{
	struct list_head *head = rq->first;
	struct thread *next = list_first_entry(head, struct thread, run_node);

	head->next = head->prev = &prev->run_node;
	prev->run_node.next = prev->run_node.prev = head;
	prev->level = next->level;
	prev->queued = 1;
	next->queued = 0;
	if (next->vruntime > rq->vclock)
		rq->vclock = next->vruntime;
	return next;
}

/* [rq->lock] A real-time thread yields or waits, or the thread must go: as if its slice were over. */
static noinline long yield_slow(struct runqueue *rq, struct thread *prev, u64 now)
{
	requeue(rq, prev, true, now);
	hal_irq_enable();
	return 0;
}

/* Somebody waits, to the last look. Thread context, interrupts off; they are on afterwards. */
static noinline long schedule_yield(struct runqueue *rq)
{
	struct thread *prev = current_thread(), *next;
	u64 now = pass(rq, prev);

	thread_charge(rq, prev, now);
	if (unlikely(rq->bitmap[0] | rq->bitmap[1] | rq->evict) || unlikely(prev->level < SCHED_LEVEL_FAIR))
		return yield_slow(rq, prev, now);
	if (unlikely(prev->vruntime >= prev->vdeadline))
		slice_renew(prev);
	if (likely(are_neighbours(rq, prev))) {
		next = trade_places(rq, prev);
	} else {
		next = trade_places_far(rq, prev);
		if (!next) {
			stay_here(rq, now);
			hal_irq_enable();
			return 0;
		}
	}
	prev->queued_ns = now;
	prev->switches_involuntary++;
	wait_ends(rq, next, now);
	leave_to(rq, prev, next, THREAD_RUNNABLE, now);
	hal_irq_enable();
	return 0;
}

void schedule(void)
{
	might_schedule();
	do {
		schedule_once();
	} while (unlikely(sched_need_resched()));
}

/* preempt_enable() reached zero with a reschedule wanted. */
static void preempt_now(void)
{
	do {
		schedule_preempted();
	} while (unlikely(sched_need_resched()));
}

void sched_exit_work(void)
{
	schedule();
}

long sched_yield_self(void)
{
	struct runqueue *rq;

	hal_irq_disable();
	rq = rq_here();
	rq->yields++;
	if (READ_ONCE(rq->queued))
		return schedule_yield(rq);
	hal_irq_enable();
	return 0;
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
