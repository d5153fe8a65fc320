/* SPDX-License-Identifier: MIT */
/*
 * Wake-ups.
 *
 * Under the lock of the run queue that the thread slept on, exactly one waker sees the sleeping state and ends it. If
 * the thread goes on where it was, it is put on that queue under the same hold. If not it is in transit: its state is
 * WAKING, it is on no queue, its waker holds no lock and has interrupts off. Whoever wants to change such a thread waits
 * (thread_lock): its parameters and affinity stand still, and the place that was chosen stays a right one.
 *
 * A runnable thread that moves to another queue is in transit too (`moving`), but keeps its state and counts as being on a
 * queue: it may have been preempted between the write of its state and schedule(), and would lose its stop or its death. A
 * waker that comes meanwhile waits for the end of the move.
 *
 * Hand-off. A thread that wakes another one and sleeps at once (a pipe's or a futex's ping-pong) hands the CPU over: to
 * wake an idle CPU for the other one would cost two interrupts and gain nothing. Nobody says beforehand that he will
 * sleep at once; it is foretold from what the thread did before. schedule() sees how long ago it woke somebody, and
 * after two times in a row the next one that it wakes stays on this CPU, if nothing else waits there. A wrong guess costs
 * the woken thread at most a tick: the tick asks an idle CPU to pull it (balance.c), and the guess is forgotten.
 * Rejected: a flag for "synchronous" given by pipes and sockets, as Linux has it: their authors know no better.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/assert.h>

#include "queue.h"

#define HANDOFF_SURE 2u

#if HALCYON_DEBUG
void (*sched_test_hook)(enum sched_test_point point, struct thread *t, struct runqueue *rq);
#endif

struct runqueue *thread_lock(const struct thread *t, irqflags_t *flags)
{
	for (;;) {
		struct runqueue *rq;
		bool transit;

		*flags = hal_irq_save();
		rq = rq_of(READ_ONCE(t->cpu));
		spin_lock(&rq->lock);
		/* These first: whoever ends the transit writes `cpu` before them. */
		transit = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == THREAD_WAKING ||
			  __atomic_load_n(&t->moving, __ATOMIC_ACQUIRE);
		if (likely(rq->cpu == READ_ONCE(t->cpu) && !transit))
			return rq;
		spin_unlock_irqrestore(&rq->lock, *flags);
		hal_cpu_relax();
	}
}

/*
 * Does `t` come first among those of its level? Its bucket is coarse, and the calendar may be past it already: behind hundreds of
 * others of the bucket the credit of a sleeper would be worth nothing.
 */
static inline bool comes_first(const struct runqueue *rq, const struct thread *t, u32 level)
{
	const struct list_head *head = &rq->level[level];

	return level >= SCHED_LEVEL_FAIR && !list_empty(head) &&
	       t->vdeadline < list_first_entry(head, struct thread, run_node)->vdeadline;
}

/*
 * A remote queue learns that somebody came by an interrupt when it shall run at once, or when its CPU has no tick that
 * would ever see it.
 */
void sched_activate(struct runqueue *rq, struct thread *t, u64 from_vclock, u64 now)
{
	u32 level;

	if (unlikely(t->cpu != rq->cpu)) {
		t->migrations++;
		t->arrived_ns = now;
		WRITE_ONCE(t->cpu, rq->cpu);
	}
	t->on_rq = 1;
	if (likely(!thread_is_realtime(t)))
		rq->load += t->sp.weight;
	else if (!t->moving)
		t->rt_from_ns = t->sum_exec_ns;
	if (unlikely(rq->tick_mode == TICK_SLOW)) {
		thread_charge(rq, rq->current, now);
		fair_catch_up(rq, rq->current);
	}
	fair_place(rq, t, from_vclock);
	t->queued_ns = now;
	level = level_of(rq, t);
	rq_insert(rq, t, level, comes_first(rq, t, level));
	if (should_preempt(rq, t) || unlikely(rq->tick_mode == TICK_SLOW))
		sched_kick_cpu(rq->cpu);
}

void sched_place(struct thread *t, u32 cpu, u64 from_vclock, u64 now)
{
	sched_test_point(SCHED_TEST_TRANSIT, t, NULL);
	for (;;) {
		struct runqueue *rq = rq_of(cpu);

		spin_lock(&rq->lock);
		if (likely(rq->online && cpumask_test(&t->affinity, cpu))) {
			sched_activate(rq, t, from_vclock, now);
			if (t->moving)
				__atomic_store_n(&t->moving, 0, __ATOMIC_RELEASE);
			else
				thread_set_state(t, THREAD_RUNNABLE);
			spin_unlock_no_resched(&rq->lock);
			return;
		}
		spin_unlock_no_resched(&rq->lock); /* it has gone offline meanwhile */
		cpu = sched_choose_cpu(t, false);
	}
}

/* The waker's part of the hand-off. True: it is likely to sleep at once. */
static bool foretell_handoff(u64 now)
{
	struct thread *me = current_thread();

	if (in_irq())
		return false;
	me->woke_ns = now;
	return me->handoff >= HANDOFF_SURE;
}

/* [rq->lock] `t` sleeps; it is on `rq`'s books. On a machine with several CPUs it may go elsewhere. */
static noinline void wake_somewhere(struct runqueue *rq, struct thread *t, u64 now)
{
	struct runqueue *here = rq_here();
	u32 cpu = sched_choose_cpu(t, foretell_handoff(now));
	u64 vclock = rq->vclock;

	here->wakes_elsewhere += cpu != here->cpu;
	if (cpu == rq->cpu) {
		sched_activate(rq, t, vclock, now);
		thread_set_state(t, THREAD_RUNNABLE);
		spin_unlock_no_resched(&rq->lock);
		return;
	}
	thread_set_state(t, THREAD_WAKING);
	spin_unlock_no_resched(&rq->lock);
	sched_place(t, cpu, vclock, now);
}

/*
 * Interrupts off. Locks the queue on whose books `t` is; nobody else can end its sleep, or move it, as long as that is held. A
 * thread between two queues is on neither's: it may come to the other one, run and sleep there while this lock is held. As
 * in thread_lock() `cpu` is read last, and *state is what was read before it, but waking is no reason to wait: it is no sleep.
 */
static inline struct runqueue *lock_sleeper(const struct thread *t, u32 *state)
{
	for (;;) {
		struct runqueue *rq = rq_of(READ_ONCE(t->cpu));
		u8 moving;

		spin_lock(&rq->lock);
		*state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
		moving = __atomic_load_n(&t->moving, __ATOMIC_ACQUIRE);
		if (likely(rq->cpu == READ_ONCE(t->cpu) && !moving)) {
			sched_test_point(SCHED_TEST_WAKE, t, rq);
			return rq;
		}
		spin_unlock_no_resched(&rq->lock);
		hal_cpu_relax();
	}
}

/*
 * [rq->lock] The thread has not left its CPU yet, and now need not. It goes on running meanwhile, and may have given up its wait
 * by itself, or have come to its end: only the state that was seen is ended. False: it is in none of mask any more.
 */
static noinline bool wake_running(struct thread *t, u32 state, u32 mask)
{
	while (state & mask)
		if (try_cmpxchg(&t->state, &state, (u32)THREAD_RUNNABLE))
			return true;
	return false;
}

/* The state was seen to be one of mask, behind a barrier. */
static noinline bool wake_seen(struct thread *t, u32 mask)
{
	irqflags_t flags = hal_irq_save();
	u32 state;
	struct runqueue *rq = lock_sleeper(t, &state);
	u64 now;

	if (unlikely(!(state & mask) || t->on_rq)) {
		bool woken = wake_running(t, state, mask);

		spin_unlock_irqrestore(&rq->lock, flags);
		return woken;
	}
	now = hal_clock_ns();
	rq_here()->wakes++;
	if (sched_many) {
		preempt_disable();	/* until interrupts are back: then a wanted switch happens */
		wake_somewhere(rq, t, now);
		hal_irq_restore(flags);
		preempt_enable();
		return true;
	}
	sched_activate(rq, t, rq->vclock, now);
	thread_set_state(t, THREAD_RUNNABLE);
	spin_unlock_irqrestore(&rq->lock, flags);
	return true;
}

bool thread_wake_state(struct thread *t, u32 mask)
{
	smp_mb(); /* the waker's condition is visible before the state is read */
	return READ_ONCE(t->state) & mask ? wake_seen(t, mask) : false;
}

/*
 * Others may know the thread already, and change its parameters or affinity under the lock of the queue that it was born to: it
 * goes into transit under that lock, too. Its place among others is its maker's, who may have come to another CPU, and to
 * another virtual clock, since thread_init().
 */
void thread_start(struct thread *t)
{
	struct runqueue *born;
	irqflags_t flags;
	u64 vclock;

	ASSERT(!t->on_rq);
	preempt_disable();
	flags = hal_irq_save();
	born = rq_of(t->cpu);
	spin_lock(&born->lock);
	thread_set_state(t, THREAD_WAKING);
	WRITE_ONCE(t->cpu, hal_cpu_id());
	spin_unlock_no_resched(&born->lock);
	t->vruntime = current_thread()->vruntime;
	vclock = rq_here()->vclock;
	sched_place(t, sched_choose_cpu_new(t), vclock, hal_clock_ns());
	hal_irq_restore(flags);
	preempt_enable();
}

void thread_signal_kick(struct thread *t, bool fatal)
{
	u32 mask;

	if (fatal)
		WRITE_ONCE(t->fatal, 1);
	__atomic_fetch_or(&t->hal.work, HAL_WORK_SIGNAL, __ATOMIC_SEQ_CST); /* the barrier of the wake-up, too */
	mask = THREAD_INTERRUPTIBLE | (fatal ? THREAD_KILLABLE : 0);
	if ((READ_ONCE(t->state) & mask) && wake_seen(t, mask))
		return;
	if (t != current_thread() && READ_ONCE(t->cpu) != hal_cpu_id())
		sched_kick_cpu(READ_ONCE(t->cpu)); /* it may be in user mode there */
}
