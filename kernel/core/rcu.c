/* SPDX-License-Identifier: MIT */
/*
 * RCU: detecting grace periods.
 *
 * A reader runs with preemption off, so a CPU that goes through schedule(), is idle, or was caught in user
 * mode by the tick, has no reader that began before. A grace period starts by noting all CPUs that may have
 * readers (`waiting`) and setting each one's rcu_qs_wanted; the CPU that sees its flag in rcu_quiescent() reports,
 * and the last report ends the period. Outside grace periods a context switch pays one load.
 *
 * Idle CPUs are not woken. rcu_idle_state says RCU_IDLE while a CPU halts; whoever starts a grace period writes
 * the flag, has a full barrier, and then reads the state; the idle CPU writes the state, has a full barrier,
 * and then reads the flag. So at least one of the two sees the other, and the CPU is counted out. An
 * interrupt in idle makes the state RCU_IDLE | RCU_IDLE_IRQ, with a barrier, before its first reader.
 *
 * Callbacks go through three lists per CPU: `next` (queued), `wait` (for the end of grace period number
 * wait_gp) and `done`. Periods are numbered: `started` counts those begun, `completed` those ended; what is queued
 * while period n runs needs period n + 1, because n may have begun before. Callbacks wait in `next` until there
 * are RCU_BATCH, a tick comes, the CPU goes idle or somebody waits (rcu_expedite): a grace period serves many.
 *
 * Waking the callback thread takes locks that are outside of the run queue's, under which rcu_quiescent() runs;
 * so that one only notes it, and rcu_poll() and rcu_idle_enter() do it.
 *
 * A CPU that does not report within RCU_KICK_NS is asked by rcu_kick_hook.
 *
 * Rejected: counting readers (a shared or per-CPU write in each read section), and grace periods by waiting a
 * fixed time (not a proof).
 *
 * Locks: rcu.lock, then one rcu_cpu.lock; both with interrupts off.
 */
#define LOG_TAG "rcu"
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include "rcu_debug.h"

#define RCU_BATCH	128u	/* queued callbacks that start a grace period at once */
#define RCU_PRESSURE	4096u	/* ... that make the CPUs hurry */

struct rcu_list {
	struct rcu_head *first;
	struct rcu_head **last;
	u32 count;
};

/* Key: [c] lock. */
struct rcu_cpu {
	struct spinlock lock;
	struct rcu_list next;		/* [c] */
	struct rcu_list wait;		/* [c] */
	struct rcu_list done;		/* [c] */
	u64 wait_gp;			/* [c] */
	u64 queued;			/* [c] since boot */
	bool ready;			/* [I] initialised */
};

/* Key: [l] lock; [a] atomic. */
static struct rcu_state {
	struct spinlock lock;
	u64 started;			/* [l] */
	u64 completed;			/* [l] read racily */
	u64 needed;			/* [l] the highest period that somebody needs */
	u64 start_ns;			/* [l] of the running one */
	u64 kick_ns;			/* [l] when CPUs were asked last */
	u32 waiting_count;		/* [l] */
	struct cpumask waiting;		/* [l] */
	u32 wake;			/* [a] callbacks may have become ready */
	u64 invoked;			/* the callback thread's */
	u64 kicks;			/* [l] */
} rcu = { .lock = SPINLOCK_INIT("rcu", LOCK_RANK_RCU) };

void (*rcu_kick_hook)(u32 cpu);
void (*rcu_wake_hook)(void);

DEFINE_PER_CPU(u32, rcu_qs_wanted);
DEFINE_PER_CPU(u32, rcu_idle_state);
static DEFINE_PER_CPU(struct rcu_cpu, rcu_cpus);

static void list_init_empty(struct rcu_list *l)
{
	l->first = NULL;
	l->last = &l->first;
	l->count = 0;
}

static void list_append(struct rcu_list *to, struct rcu_list *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	to->count += from->count;
	list_init_empty(from);
}

static bool gp_running(void)
{
	return rcu.started != rcu.completed;
}

/* [rcu.lock] A CPU is quiescent, or was found idle. */
static void gp_count_out(u32 cpu)
{
	if (!cpumask_test(&rcu.waiting, cpu))
		return;
	cpumask_unset(&rcu.waiting, cpu);
	rcu.waiting_count--;
}

/* [rcu.lock] */
static void gp_start(void)
{
	u32 cpu;

	rcu.started++;
	rcu.start_ns = rcu.kick_ns = hal_clock_ns();
	for_each_online_cpu(cpu) {
		cpumask_set(&rcu.waiting, cpu);
		rcu.waiting_count++;
		__atomic_store_n(&per_cpu(rcu_qs_wanted, cpu), 1, __ATOMIC_RELAXED);
	}
	smp_mb();
	for_each_online_cpu(cpu)
		if (__atomic_load_n(&per_cpu(rcu_idle_state, cpu), __ATOMIC_ACQUIRE) == RCU_IDLE)
			gp_count_out(cpu);
}

/* [rcu.lock] Ends the running period if it may end, and starts the next one that is needed. */
static void gp_step(void)
{
	for (;;) {
		if (gp_running()) {
			if (rcu.waiting_count)
				return;
			WRITE_ONCE(rcu.completed, rcu.started);
			__atomic_store_n(&rcu.wake, 1, __ATOMIC_RELEASE);
		}
		if (rcu.needed <= rcu.completed)
			return;
		gp_start();
	}
}

/* [rcu.lock] Moves a CPU's callbacks on. True: some are ready to run. */
static bool cpu_advance(struct rcu_cpu *c)
{
	bool ready;

	spin_lock(&c->lock);
	if (c->wait.first && rcu.completed >= c->wait_gp)
		list_append(&c->done, &c->wait);
	if (!c->wait.first && c->next.first) {
		list_append(&c->wait, &c->next);
		c->wait_gp = rcu.started + 1;
		rcu.needed = MAX(rcu.needed, c->wait_gp);
	}
	ready = c->done.first != NULL;
	spin_unlock(&c->lock);
	return ready;
}

/* Interrupts off. This CPU's callbacks go on, and grace periods with them. True: some are ready. */
static bool rcu_advance_here(void)
{
	struct rcu_cpu *c = this_cpu_ptr(&rcu_cpus);
	bool ready;

	spin_lock(&rcu.lock);
	ready = cpu_advance(c);
	gp_step();
	if (rcu.completed >= READ_ONCE(c->wait_gp))
		ready |= cpu_advance(c);
	gp_step();
	spin_unlock(&rcu.lock);
	return ready;
}

void call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
	irqflags_t f = hal_irq_save();
	struct rcu_cpu *c = this_cpu_ptr(&rcu_cpus);
	u32 count;

	ASSERT(c->ready && fn);
	head->fn = fn;
	head->next = NULL;
	spin_lock(&c->lock);
	*c->next.last = head;
	c->next.last = &head->next;
	count = ++c->next.count;
	c->queued++;
	spin_unlock_no_resched(&c->lock);
	if (unlikely(count % RCU_BATCH == 0))
		(void)rcu_advance_here();
	if (unlikely(count % RCU_PRESSURE == 0))
		rcu_expedite();
	hal_irq_restore(f);
}

static void rcu_wake_thread(void)
{
	if (rcu_wake_hook)
		rcu_wake_hook();
}

/* [rcu.lock] Asks those that have not reported. */
static void gp_kick(u64 now)
{
	u32 cpu;

	rcu.kick_ns = now;
	cpumask_for_each(cpu, &rcu.waiting) {
		rcu.kicks++;
		if (rcu_kick_hook)
			rcu_kick_hook(cpu);
		else if (cpu == hal_cpu_id())
			hal_preempt_set_need_resched();
	}
}

void rcu_expedite(void)
{
	irqflags_t f = hal_irq_save();
	bool ready = rcu_advance_here();

	spin_lock(&rcu.lock);
	if (gp_running())
		gp_kick(hal_clock_ns());
	spin_unlock_no_resched(&rcu.lock);
	if (ready && !in_atomic())
		rcu_wake_thread();
	hal_irq_restore(f);
}

void rcu_report_quiescent(void)
{
	rcu_debug_quiescent();
	spin_lock(&rcu.lock);
	this_cpu(rcu_qs_wanted) = 0;
	gp_count_out(hal_cpu_id());
	gp_step();
	spin_unlock_no_resched(&rcu.lock);
}

static bool cpu_has_callbacks(void)
{
	const struct rcu_cpu *c = this_cpu_ptr(&rcu_cpus);

	return READ_ONCE(c->next.first) || READ_ONCE(c->wait.first);
}

void rcu_poll(void)
{
	bool ready = false, stalled = false;
	u64 now;

	if (cpu_has_callbacks() || READ_ONCE(rcu.wake)) {
		__atomic_store_n(&rcu.wake, 0, __ATOMIC_RELAXED);
		ready = rcu_advance_here() || READ_ONCE(this_cpu_ptr(&rcu_cpus)->done.first);
	}
	if (unlikely(gp_running())) {
		spin_lock(&rcu.lock);
		now = MAX(hal_clock_ns(), rcu.kick_ns); /* another CPU's clock may have been a little ahead */
		if (gp_running() && now - rcu.kick_ns >= RCU_KICK_NS)
			gp_kick(now);
		stalled = gp_running() && rcu_debug_stalled(rcu.started, now - rcu.start_ns, &rcu.waiting);
		spin_unlock_no_resched(&rcu.lock);
	}
	if (unlikely(stalled))
		rcu_debug_report_stall();
	if (ready)
		rcu_wake_thread();
}

bool rcu_needs_tick(void)
{
	return cpu_has_callbacks() || this_cpu(rcu_qs_wanted);
}

static void idle_state_set(u32 state)
{
	__atomic_store_n(&this_cpu(rcu_idle_state), state, __ATOMIC_RELAXED);
	smp_mb();
}

/*
 * A CPU without anything to do pushes its callbacks on at once: it needs no quiescent state but
 * its own idleness for that. When some become ready the thread is woken and the caller does not halt.
 */
void rcu_idle_enter(void)
{
	bool ready = false;

	if (cpu_has_callbacks())
		ready = rcu_advance_here();
	idle_state_set(RCU_IDLE);
	if (this_cpu(rcu_qs_wanted))
		rcu_report_quiescent();
	if (likely(!ready && !READ_ONCE(rcu.wake)))
		return;
	idle_state_set(0);
	__atomic_store_n(&rcu.wake, 0, __ATOMIC_RELAXED);
	rcu_advance_here();
	rcu_wake_thread();
	idle_state_set(RCU_IDLE);
	if (this_cpu(rcu_qs_wanted))
		rcu_report_quiescent();
}

void rcu_idle_exit(void)
{
	idle_state_set(0);
}

void rcu_idle_irq_enter(void)
{
	idle_state_set(RCU_IDLE | RCU_IDLE_IRQ);
}

/* From the idle loop's own interrupts only the outermost one ends here. */
void rcu_idle_irq_exit(void)
{
	if (in_irq())
		return;
	idle_state_set(RCU_IDLE);
	if (this_cpu(rcu_qs_wanted))
		rcu_report_quiescent();
}

static struct rcu_head *take_done(struct rcu_cpu *c)
{
	irqflags_t f = spin_lock_irqsave(&rcu.lock);
	struct rcu_head *head;

	(void)cpu_advance(c);
	gp_step();
	spin_lock(&c->lock);
	head = c->done.first;
	list_init_empty(&c->done);
	spin_unlock(&c->lock);
	spin_unlock_irqrestore(&rcu.lock, f);
	return head;
}

void rcu_run_callbacks(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct rcu_head *head, *next;

		if (!percpu_ready(cpu) || !per_cpu(rcu_cpus, cpu).ready)
			continue;
		for (head = take_done(per_cpu_ptr(&rcu_cpus, cpu)); head; head = next) {
			next = head->next;
			rcu.invoked++;
			head->fn(head);
		}
	}
}

void rcu_init_cpu(u32 cpu)
{
	struct rcu_cpu *c = per_cpu_ptr(&rcu_cpus, cpu);

	spin_init(&c->lock, "rcu cpu", LOCK_RANK_RCU_CPU);
	list_init_empty(&c->next);
	list_init_empty(&c->wait);
	list_init_empty(&c->done);
	c->ready = true;
}

void rcu_init(void)
{
	rcu_init_cpu(0);
}

/* ---- CPUs that come and go --------------------------------------------------------------------- */

static int rcu_prepare(u32 cpu)
{
	if (!per_cpu(rcu_cpus, cpu).ready)
		rcu_init_cpu(cpu);
	return 0;
}

/* It is not online any more: no period that begins from now on waits for it. Those that run shall not, either. */
static void rcu_dying(u32 cpu)
{
	spin_lock(&rcu.lock);
	this_cpu(rcu_qs_wanted) = 0;
	gp_count_out(cpu);
	gp_step();
	spin_unlock_no_resched(&rcu.lock);
}

/* Its callbacks become this CPU's youngest: they wait for one more period, which does no harm. */
static void rcu_dead(u32 cpu)
{
	struct rcu_cpu *from = per_cpu_ptr(&rcu_cpus, cpu), *here;
	struct rcu_list left;
	irqflags_t f = spin_lock_irqsave(&from->lock);

	list_init_empty(&left);
	list_append(&left, &from->done);
	list_append(&left, &from->wait);
	list_append(&left, &from->next);
	spin_unlock_no_resched(&from->lock);
	here = this_cpu_ptr(&rcu_cpus);
	spin_lock(&here->lock);
	list_append(&here->next, &left);
	spin_unlock_irqrestore(&here->lock, f);
}

const struct cpuhp_step rcu_cpuhp = { .name = "rcu", .prepare = rcu_prepare, .dying = rcu_dying, .dead = rcu_dead };

void rcu_stats(struct rcu_stats *out)
{
	u32 cpu;

	*out = (struct rcu_stats){ .grace_periods = READ_ONCE(rcu.completed), .invoked = READ_ONCE(rcu.invoked),
				   .kicks = READ_ONCE(rcu.kicks) };
	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			out->queued += READ_ONCE(per_cpu(rcu_cpus, cpu).queued);
}
