/* SPDX-License-Identifier: MIT */
/*
 * The tick, and what it accounts.
 *
 * Each 4 ms on a busy CPU. It charges the running thread, ends slices, keeps the real-time limit, samples user and
 * kernel time, reports quiescence to RCU, balances. Ticks fall on multiples of 4 ms of the clock (a little apart for each
 * CPU), not 4 ms after a CPU became busy: what runs in short bursts is then sampled as often as its time deserves.
 *
 * When it stops. A CPU that idles has none. A CPU whose only thread stays in user mode has one each second
 * (TICK_SLOW), for the load average, the watchdog and readers of its times. The way there: a tick that finds the
 * thread alone and in user mode sets HAL_WORK_ENTRY; if the next tick finds it still set, the thread has not been in the
 * kernel between (system calls, faults and traps clear it, sched_user_entry()), and the tick slows down. From then on the
 * first way into the kernel, a switch, or somebody who joins the queue brings the tick back and charges the time since as
 * user time, exactly. So the fast path of a system call pays nothing: the bit is one of those that it tests anyhow.
 * A CPU that has RCU callbacks keeps its tick; a grace period asks one without by an interrupt.
 *
 * Time per CPU, /proc/stat. What passed is exact: idle time is measured at the switches, interrupts at their
 * beginnings and ends. The rest is user, nice or system by what the ticks saw: each tick gives all that has passed since the
 * last one and was not idle or in an interrupt to one of the three. (Reading a clock at each system call instead would
 * cost a tenth of a short call.)
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/log.h>
#include <kernel/core/record.h>
#include <kernel/core/watchdog.h>

#include "queue.h"

bool sched_tick_may_stop = true;

/* ---- interrupts -------------------------------------------------------------------------------- */

/* The innermost interrupt's registers are kept so that the tick knows whom it interrupted. */
void upcall_irq_enter(struct hal_regs *regs, u32 vector)
{
	struct runqueue *rq = rq_here();

	record_extra(RECORD_IRQ, hal_regs_user_mode(regs), vector, hal_regs_ip(regs));
	if (!in_irq())
		rq->irq_start_ns = hal_clock_ns();
	hal_irq_depth_inc();
	rcu_irq_enter();
	lock_dep_irq_enter();
	rq->irq_regs = regs;
}

const struct hal_regs *sched_irq_regs(void)
{
	return in_irq() ? rq_here()->irq_regs : NULL;
}

/* The outermost interrupt ends. */
static void irq_account(struct runqueue *rq)
{
	u64 took = hal_clock_ns() - rq->irq_start_ns;

	rq->irq_ns += took;
	if (current_thread() == rq->idle)
		rq->irq_idle_ns += took;
}

void upcall_irq_exit(struct hal_regs *regs)
{
	lock_dep_irq_exit();
	hal_irq_depth_dec();
	if (!in_irq())
		irq_account(rq_here());
	rcu_irq_exit();
	if (!hal_regs_user_mode(regs) && hal_preempt_wanted())
		schedule_preempted();
}

/* ---- on, off, slow ----------------------------------------------------------------------------- */

static u64 next_tick(const struct runqueue *rq, u64 now)
{
	u64 phase = rq->cpu % 64 * (SCHED_TICK_NS / 64);

	return (now - phase) / SCHED_TICK_NS * SCHED_TICK_NS + SCHED_TICK_NS + phase;
}

/* [rq->lock] The thread was in user mode since the tick became slow. */
static void slow_account(struct runqueue *rq, u64 now)
{
	struct thread *t = rq->current;
	u64 ran = now - rq->slow_since_ns;

	rq->slow_since_ns = now;
	t->sampled_user_ns += ran;
	if (t->sp.nice > 0)
		rq->nice_ns += ran;
	else
		rq->user_ns += ran;
}

void tick_start(struct runqueue *rq, u64 now)
{
	if (rq->tick_mode == TICK_SLOW)
		slow_account(rq, now);
	rq->tick_mode = TICK_ON;
	timer_arm(&rq->tick, next_tick(rq, now));
}

void tick_stop(struct runqueue *rq)
{
	if (rq->tick_mode == TICK_SLOW)
		slow_account(rq, hal_clock_ns());
	rq->tick_mode = TICK_OFF;
	timer_cancel(&rq->tick);
}

static void tick_slow(struct runqueue *rq, u64 now)
{
	if (rq->tick_mode == TICK_SLOW)
		slow_account(rq, now);
	rq->tick_mode = TICK_SLOW;
	rq->slow_since_ns = now;
	timer_arm(&rq->tick, now + SCHED_SLOW_TICK_NS);
}

void sched_user_entry(void)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = rq_here();

	hal_work_clear(&current_thread()->hal, HAL_WORK_ENTRY);
	if (READ_ONCE(rq->tick_mode) == TICK_SLOW) {
		spin_lock(&rq->lock);
		if (rq->tick_mode == TICK_SLOW)
			tick_start(rq, hal_clock_ns());
		spin_unlock_no_resched(&rq->lock);
	}
	hal_irq_restore(flags);
}

/* [rq->lock] Is the running thread alone, and seen in user mode for the second time without a visit to the kernel? */
static bool may_slow_down(const struct runqueue *rq, struct thread *running, bool user)
{
	if (!user || rq->queued || rcu_needs_tick() || !sched_tick_may_stop) {
		if (hal_work_get(&running->hal) & HAL_WORK_ENTRY)
			hal_work_clear(&running->hal, HAL_WORK_ENTRY);
		return false;
	}
	if (hal_work_get(&running->hal) & HAL_WORK_ENTRY)
		return true;
	hal_work_set(&running->hal, HAL_WORK_ENTRY);
	return false;
}

/* ---- the tick ---------------------------------------------------------------------------------- */

/* [rq->lock] Time of this CPU that was neither idle nor in interrupts and has not been given to anybody. */
static u64 busy_unaccounted(const struct runqueue *rq, u64 now)
{
	u64 passed = now - rq->online_ns, idle = rq->idle_ns - rq->irq_idle_ns;
	u64 given = rq->user_ns + rq->nice_ns + rq->system_ns + idle + rq->irq_ns;

	if (rq->current == rq->idle && now > rq->idle_since_ns)
		given += now - rq->idle_since_ns;
	return passed > given ? passed - given : 0;
}

/* [rq->lock] What this tick interrupted. */
static void sample(struct runqueue *rq, struct thread *running, bool user, u64 now)
{
	u64 ran = busy_unaccounted(rq, now);

	if (running == rq->idle) {
		rq->system_ns += MIN(ran, SCHED_TICK_NS); /* bursts that no tick met, and what the idle loop itself does */
		return;
	}
	if (user) {
		running->sampled_user_ns += SCHED_TICK_NS;
		if (running->sp.nice > 0)
			rq->nice_ns += ran;
		else
			rq->user_ns += ran;
	} else {
		running->sampled_kernel_ns += SCHED_TICK_NS;
		rq->system_ns += ran;
	}
}

/* [rq->lock] */
static void tick_running(struct runqueue *rq, struct thread *running, bool may_slow, u64 now)
{
	thread_charge(rq, running, now);
	if (!rq->queued)
		fair_catch_up(rq, running);
	else if (slice_is_over(running))
		sched_set_need_resched();
	if (realtime_limit(rq, running, now))
		sched_set_need_resched();
	if (may_slow_down(rq, running, may_slow)) {
		tick_slow(rq, now);
		return;
	}
	if (rq->tick_mode == TICK_SLOW) /* an interrupt came back to the kernel: a fault that has not yet said so */
		slow_account(rq, now);
	rq->tick_mode = TICK_ON;
	timer_arm(&rq->tick, next_tick(rq, now));
}

static void sched_tick(struct timer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, tick);
	struct thread *running = current_thread();
	bool user = hal_regs_user_mode(rq->irq_regs), timed;
	u64 now = hal_clock_ns();

	ASSERT(rq == rq_here()); /* a CPU that goes stops its tick, or another one would have two */
	if (user)
		rcu_quiescent();
	timed = running->flags & THREAD_USER && tick_cpu_timer_hook && tick_cpu_timer_hook(running);
	spin_lock(&rq->lock);
	if (rq->tick_mode != TICK_SLOW)
		sample(rq, running, user, now);
	if (running != rq->idle)
		tick_running(rq, running, user && !timed, now);
	else if (rcu_needs_tick())
		timer_arm(&rq->tick, next_tick(rq, now));
	else
		tick_stop(rq);
	spin_unlock_no_resched(&rq->lock);
	sched_load_tick(now);
	watchdog_tick();
	rcu_poll();
	log_poll();
	if (sched_many && running != rq->idle)
		sched_balance_tick(rq, now);
}

void tick_init(struct runqueue *rq)
{
	timer_init(&rq->tick, sched_tick);
	rq->tick_mode = TICK_OFF;
}

/* ---- what others read -------------------------------------------------------------------------- */

u64 thread_runtime(const struct thread *t)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);
	u64 sum = t->sum_exec_ns, now = hal_clock_ns();

	if (rq->current == t && now > t->run_start_ns)
		sum += now - t->run_start_ns;
	/* Else its division would go by the few samples from before the tick became slow. */
	if (rq->current == t && rq->tick_mode == TICK_SLOW && now > rq->slow_since_ns)
		slow_account(rq, now);
	spin_unlock_irqrestore(&rq->lock, flags);
	return sum;
}

void sched_stats_cpu(u32 cpu, struct sched_stats *out)
{
	struct runqueue *rq = rq_of(cpu);
	irqflags_t flags;
	u64 now;

	*out = (struct sched_stats){ .switches = 0 };
	if (!rq)
		return;
	flags = spin_lock_irqsave(&rq->lock);
	now = hal_clock_ns();
	out->switches = rq->switches;
	out->user_ns = rq->user_ns;
	if (rq->tick_mode == TICK_SLOW && now > rq->slow_since_ns) {
		if (rq->current->sp.nice > 0)
			out->nice_ns = now - rq->slow_since_ns;
		else
			out->user_ns += now - rq->slow_since_ns;
	}
	out->nice_ns += rq->nice_ns;
	out->system_ns = rq->system_ns;
	out->irq_ns = rq->irq_ns;
	out->idle_ns = rq->idle_ns - rq->irq_idle_ns;
	if (!rq->offline_since_ns && rq->current == rq->idle && now > rq->idle_since_ns)
		out->idle_ns += now - rq->idle_since_ns; /* also while the CPU is on its way out: what was shown never goes back */
	out->runnable = rq->queued + (rq->current != rq->idle);
	out->yields = rq->yields;
	out->idles = rq->idles;
	out->wakes = rq->wakes;
	out->wakes_elsewhere = rq->wakes_elsewhere;
	out->run_delay_ns = rq->run_delay_ns;
	out->pulled = rq->pulled;
	out->busy_ns = now - rq->online_ns - rq->idle_ns;
	if (rq->current == rq->idle && now > rq->idle_since_ns)
		out->busy_ns -= MIN(out->busy_ns, now - rq->idle_since_ns);
	spin_unlock_irqrestore(&rq->lock, flags);
}
