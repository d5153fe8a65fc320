/*
 * The scheduler.
 *
 * Each CPU has a run queue of 256 levels with a bitmap; the thread that runs is the first of the lowest
 * level that is not empty. Levels 0 to 98 are the real-time priorities 99 to 1 (SCHED_FIFO, SCHED_RR).
 * Levels 128 to 255 are a calendar for the fair class: a ring of buckets, each 8 ms of virtual time
 * wide, in which a thread stands by its virtual deadline.
 *
 * The fair class. A thread's vruntime grows by the time it runs, divided by its weight (nice 0: as the
 * clock). Its deadline is where vruntime will be at the end of its 10 ms slice, so a heavy thread has a
 * near deadline and a light one a far one. The thread with the earliest deadline (to the bucket) runs. As
 * vruntime is exact, shares are exact in the long run; the bucket's width bounds the error at any moment.
 * Nobody starves: while others run, the calendar's base passes every bucket. A thread that wakes up gets
 * at most half a slice of credit for its sleep, so that sleepers are prompt and cannot hoard.
 *
 * Locks. A run queue's lock guards everything of the threads that are on it, and is held across the
 * switch: the thread that comes releases it (sched_finish_switch). When the lock is free, a thread
 * that is not on the queue has therefore left its CPU for good, and may be woken on any other.
 *
 * The tick (4 ms) runs only while a CPU is busy. It charges the current thread, samples user and
 * kernel time, ends slices and reports RCU quiescence. Switches arm no hardware.
 *
 * Tried and rejected: a tree ordered by deadline (log n and a cache line per level for what a bitmap does
 * in four instructions); re-arming the slice's end at every switch (a device access per switch).
 */
#include "internal.h"

#include <abi/linux/sched.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/watchdog.h>
#include <kernel/core/record.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/printf.h>
#include <lib/string.h>

DEFINE_PER_CPU(struct runqueue, sched_runqueue);

void (*sched_space_switch_hook)(struct thread *prev, struct thread *next);

/* Each step of nice is 25 % of weight, anchored at 1024: Linux's contract with users. */
static const u32 sched_weights[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
	3906,  3121,  2501,  1991,  1586,  1277,  1024,	 820,	655,   526,   423,  335,  272,	215,
	172,   137,   110,   87,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};
#define SCHED_WEIGHT_IDLE 3u

u32 sched_nice_weight(int nice)
{
	return sched_weights[CLAMP(nice, -20, 19) + 20];
}

static inline struct runqueue *rq_of(u32 cpu)
{
	return per_cpu_ptr(&sched_runqueue, cpu);
}

static inline bool thread_is_realtime(const struct thread *t)
{
	return t->sp.policy == SCHED_FIFO || t->sp.policy == SCHED_RR;
}

static inline u64 to_virtual(const struct thread *t, u64 ns)
{
	return t->sp.weight == SCHED_WEIGHT_NICE0 ? ns : ns * SCHED_WEIGHT_NICE0 / t->sp.weight;
}

/* ---- the queue --------------------------------------------------------------------------------- */

static u32 fair_level(struct runqueue *rq, u64 vdeadline)
{
	u64 bucket = vdeadline / SCHED_BUCKET_NS;

	bucket = CLAMP(bucket, rq->base_bucket, rq->base_bucket + SCHED_BUCKETS - 1);
	return SCHED_LEVEL_FAIR + (u32)(bucket % SCHED_BUCKETS);
}

static inline u32 level_of(struct runqueue *rq, const struct thread *t)
{
	return thread_is_realtime(t) ? 99u - (u32)t->sp.rt_priority : fair_level(rq, t->vdeadline);
}

static void rq_insert(struct runqueue *rq, struct thread *t, u32 level, bool at_head)
{
	if (at_head)
		list_add_head(&t->run_node, &rq->level[level]);
	else
		list_add_tail(&t->run_node, &rq->level[level]);
	t->level = level;
	t->queued = 1;
	rq->bitmap[level / 64] |= BIT(level % 64);
	WRITE_ONCE(rq->queued, rq->queued + 1);
}

static void rq_remove(struct runqueue *rq, struct thread *t)
{
	list_del(&t->run_node);
	t->queued = 0;
	if (list_empty(&rq->level[t->level]))
		rq->bitmap[t->level / 64] &= ~BIT(t->level % 64);
	WRITE_ONCE(rq->queued, rq->queued - 1);
}

/* The first calendar bucket that holds somebody, counted from the base; SCHED_BUCKETS: none. */
static u32 calendar_first(const struct runqueue *rq)
{
	u32 at = (u32)(rq->base_bucket % SCHED_BUCKETS);
	u64 lo = rq->bitmap[2], hi = rq->bitmap[3];

	if (!(lo | hi))
		return SCHED_BUCKETS;
	if ((at < 64 ? lo : hi) >> (at % 64) & 1)
		return 0;
	if (at >= 64) { /* rotate by 64, then by the rest */
		u64 swap = lo;

		lo = hi;
		hi = swap;
		at -= 64;
	}
	if (at) {
		u64 low = lo >> at | hi << (64 - at);

		hi = hi >> at | lo << (64 - at);
		lo = low;
	}
	return lo ? (u32)__builtin_ctzll(lo) : 64u + (u32)__builtin_ctzll(hi);
}

/* The level that runs next, or SCHED_LEVELS. */
static u32 rq_first_level(const struct runqueue *rq)
{
	u32 first;

	if (rq->bitmap[0])
		return (u32)__builtin_ctzll(rq->bitmap[0]);
	if (rq->bitmap[1])
		return 64u + (u32)__builtin_ctzll(rq->bitmap[1]);
	first = calendar_first(rq);
	if (first == SCHED_BUCKETS)
		return SCHED_LEVELS;
	return SCHED_LEVEL_FAIR + (u32)((rq->base_bucket + first) % SCHED_BUCKETS);
}

static struct thread *rq_pick(struct runqueue *rq)
{
	u32 level = rq_first_level(rq);
	struct thread *t;

	if (level == SCHED_LEVELS)
		return rq->idle;
	t = list_first_entry(&rq->level[level], struct thread, run_node);
	rq_remove(rq, t);
	if (level >= SCHED_LEVEL_FAIR) {
		rq->base_bucket += (level - SCHED_LEVEL_FAIR - rq->base_bucket) % SCHED_BUCKETS;
		if (t->vruntime > rq->vclock)
			rq->vclock = t->vruntime;
	}
	return t;
}

static void slice_renew(struct thread *t)
{
	t->slice_left_ns = SCHED_SLICE_NS;
	t->vdeadline = t->vruntime + to_virtual(t, SCHED_SLICE_NS);
}

/* Charges `t`, which runs, for the time since it was last charged. */
static void thread_charge(struct thread *t, u64 now)
{
	u64 ran = now - t->run_start_ns;

	if ((s64)ran <= 0)
		return;
	t->run_start_ns = now;
	t->sum_exec_ns += ran;
	t->slice_left_ns -= MIN(ran, t->slice_left_ns);
	if (!thread_is_realtime(t))
		t->vruntime += to_virtual(t, ran);
}

enum switch_reason {
	SWITCH_BLOCK, /* the thread called schedule(); whether it sleeps is in its state */
	SWITCH_PREEMPT, /* it is still runnable, whatever state it is about to sleep in */
	SWITCH_YIELD, /* it lets the others go first */
};

/* The later one of two calendar levels; a level outside the calendar loses. */
static u32 calendar_later(const struct runqueue *rq, u32 a, u32 b)
{
	u64 from_a = (a - SCHED_LEVEL_FAIR - rq->base_bucket) % SCHED_BUCKETS;
	u64 from_b = (b - SCHED_LEVEL_FAIR - rq->base_bucket) % SCHED_BUCKETS;

	if (b < SCHED_LEVEL_FAIR || b >= SCHED_LEVELS)
		return a;
	return from_b > from_a ? b : a;
}

static void thread_charge_if_running(struct runqueue *rq, struct thread *t)
{
	if (rq->current == t && t != rq->idle)
		thread_charge(t, hal_clock_ns());
}

/* Puts a runnable thread that just ran back into the queue. */
static void rq_put_back(struct runqueue *rq, struct thread *t, enum switch_reason reason)
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

/* A thread comes to this queue from sleep or from another queue, whose virtual clock was from_vclock. */
static void place_woken(struct runqueue *rq, struct thread *t, u64 from_vclock)
{
	s64 lag = (s64)(t->vruntime - from_vclock);
	s64 floor = -(s64)(SCHED_SLICE_NS / 2);

	if (lag < floor)
		lag = floor;
	if ((s64)rq->vclock + lag < 0)
		lag = 0;
	t->vruntime = rq->vclock + (u64)lag;
	slice_renew(t);
}

/* ---- preemption -------------------------------------------------------------------------------- */

#define SCHED_WAKE_GRANULARITY_NS 2000000ull /* of virtual time */

static bool should_preempt(struct runqueue *rq, const struct thread *t)
{
	const struct thread *running = rq->current;

	if (running == rq->idle)
		return true;
	if (thread_is_realtime(t))
		return !thread_is_realtime(running) || t->sp.rt_priority > running->sp.rt_priority;
	if (thread_is_realtime(running) || t->sp.policy == SCHED_BATCH || t->sp.policy == SCHED_IDLE)
		return false;
	if (running->sp.policy == SCHED_IDLE)
		return true;
	return t->vdeadline + SCHED_WAKE_GRANULARITY_NS < running->vdeadline;
}

/* Asks the current thread of this CPU to make room: at the next chance in the kernel, or before user mode. */
void sched_set_need_resched(void)
{
	hal_preempt_set_need_resched();
	hal_work_set(&current_thread()->hal, HAL_WORK_RESCHED);
}

/* The same for another CPU. */
void sched_kick_cpu(u32 cpu)
{
	if (cpu == hal_cpu_id())
		sched_set_need_resched();
	else
		hal_cpu_kick(cpu);
}

static void rq_resched(struct runqueue *rq)
{
	sched_kick_cpu(rq->cpu);
}

/* ---- wake-up ----------------------------------------------------------------------------------- */

/* Where a waking thread runs: where it was when that CPU idles, else on an idle one, else where it was. */
static u32 choose_cpu(const struct thread *t)
{
	u32 last = t->cpu, cpu;

	if (hal_cpu_count() == 1)	/* it is in every mask that could be set */
		return last;
	if (cpumask_test(&t->affinity, last) && hal_cpu_online(last)) {
		struct runqueue *rq = rq_of(last);

		if (READ_ONCE(rq->current) == rq->idle)
			return last;
	} else {
		last = MAX_CPUS;
	}
	for_each_online_cpu(cpu) {
		if (!cpumask_test(&t->affinity, cpu))
			continue;
		if (last == MAX_CPUS)
			last = cpu;
		if (READ_ONCE(rq_of(cpu)->current) == rq_of(cpu)->idle)
			return cpu;
	}
	VERIFY(last != MAX_CPUS);
	return last;
}

static void rq_activate(struct runqueue *rq, struct thread *t, u64 from_vclock)
{
	t->cpu = rq->cpu;
	t->on_rq = 1;
	thread_set_state(t, THREAD_RUNNABLE);
	place_woken(rq, t, from_vclock);
	rq_insert(rq, t, level_of(rq, t), false);
	if (should_preempt(rq, t))
		rq_resched(rq);
}

/* Locks the queue that `t` belongs to. */
static struct runqueue *thread_lock(const struct thread *t, irqflags_t *flags)
{
	for (;;) {
		struct runqueue *rq = rq_of(READ_ONCE(t->cpu));

		*flags = spin_lock_irqsave(&rq->lock);
		if (likely(rq->cpu == READ_ONCE(t->cpu)))
			return rq;
		spin_unlock_irqrestore(&rq->lock, *flags);
	}
}

/* The state was seen to be one of mask, behind a barrier. */
static noinline bool wake_seen(struct thread *t, u32 mask)
{
	struct runqueue *rq;
	irqflags_t flags;
	u64 vclock;
	u32 cpu;

	rq = thread_lock(t, &flags);
	if (!(READ_ONCE(t->state) & mask)) {
		spin_unlock_irqrestore(&rq->lock, flags);
		return false;
	}
	if (t->on_rq) { /* it has not left its CPU yet, and now need not */
		thread_set_state(t, THREAD_RUNNABLE);
		spin_unlock_irqrestore(&rq->lock, flags);
		return true;
	}
	cpu = choose_cpu(t);
	vclock = rq->vclock;
	if (cpu != rq->cpu) {
		thread_set_state(t, THREAD_WAKING);
		spin_unlock_irqrestore(&rq->lock, flags);
		rq = rq_of(cpu);
		flags = spin_lock_irqsave(&rq->lock);
	}
	rq_activate(rq, t, vclock);
	spin_unlock_irqrestore(&rq->lock, flags);
	return true;
}

bool thread_wake_state(struct thread *t, u32 mask)
{
	smp_mb(); /* the waker's condition is visible before the state is read */
	return READ_ONCE(t->state) & mask ? wake_seen(t, mask) : false;
}

void thread_start(struct thread *t)
{
	struct runqueue *rq;
	irqflags_t flags;
	u64 parent_vclock;

	ASSERT(!t->on_rq);
	t->cpu = hal_cpu_id();
	parent_vclock = rq_of(t->cpu)->vclock;
	rq = rq_of(choose_cpu(t));
	flags = spin_lock_irqsave(&rq->lock);
	rq_activate(rq, t, parent_vclock);
	spin_unlock_irqrestore(&rq->lock, flags);
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

/* ---- the switch -------------------------------------------------------------------------------- */

static void tick_set(struct runqueue *rq, bool on, u64 now)
{
	if (rq->tick_on == on)
		return;
	rq->tick_on = on;
	if (on)
		timer_arm(&rq->tick, now + SCHED_TICK_NS);
	else
		timer_cancel(&rq->tick);
}

/* The CPU starts or ends idling. */
static void idle_account(struct runqueue *rq, struct thread *prev, struct thread *next, u64 now)
{
	if (next == rq->idle)
		rq->idle_since_ns = now;
	else if (prev == rq->idle)
		rq->idle_ns += now - rq->idle_since_ns;
}

static bool wait_is_over(const struct thread *t)
{
	u32 state = READ_ONCE(t->state);

	return (state == THREAD_INTERRUPTIBLE && thread_interrupted(t)) || (state == THREAD_KILLABLE && t->fatal);
}

/* Takes the thread that is about to leave the CPU off the queue or puts it back. False: it goes on. */
static bool leave_cpu(struct runqueue *rq, struct thread *prev, enum switch_reason reason)
{
	if (prev == rq->idle)
		return true;
	if (reason != SWITCH_PREEMPT && READ_ONCE(prev->state) != THREAD_RUNNABLE) {
		if (!wait_is_over(prev)) {
			prev->on_rq = 0;
			prev->switches_voluntary++;
			return true;
		}
		thread_set_state(prev, THREAD_RUNNABLE);
	}
	if (unlikely(!cpumask_test(&prev->affinity, rq->cpu))) { /* goes on elsewhere: sched_finish_switch() */
		prev->on_rq = 0;
		thread_set_state(prev, THREAD_WAKING);
		return true;
	}
	if (!rq->queued && prev->slice_left_ns)
		return false;
	rq_put_back(rq, prev, reason);
	return true;
}

static void switch_to(struct runqueue *rq, struct thread *prev, struct thread *next, u64 now)
{
	tick_set(rq, next != rq->idle || rcu_needs_tick(), now);
	idle_account(rq, prev, next, now);
	rq->switches++;
	record_switch(prev->on_rq ? THREAD_RUNNABLE : prev->state, next->id, next->name);
	WRITE_ONCE(rq->current, next);
	next->run_start_ns = now;
	if (next->switch_work)
		hal_work_set(&next->hal, next->switch_work);
	if (sched_space_switch_hook)
		sched_space_switch_hook(prev, next);
	lock_handoff_out(&rq->lock);
	prev = hal_switch(prev, next);
	sched_finish_switch(prev);
}

/* A runnable thread that may not stay on this CPU, and has left it. */
static void migrate_off(struct thread *t, u64 vclock)
{
	struct runqueue *to = rq_of(choose_cpu(t));

	spin_lock(&to->lock);
	rq_activate(to, t, vclock);
	spin_unlock_no_resched(&to->lock);
}

/* Runs on the stack of the thread that came, with the lock of its CPU's queue held by the one that left. */
void sched_finish_switch(struct thread *prev)
{
	struct runqueue *rq = this_cpu_ptr(&sched_runqueue);
	u32 state = prev->on_rq ? THREAD_RUNNABLE : READ_ONCE(prev->state);
	u64 vclock = rq->vclock;

	lock_handoff_in(&rq->lock);
	/* Once the lock is free a sleeping prev may be woken, run and die elsewhere; DEAD and WAKING are ours. */
	spin_unlock_no_resched(&rq->lock);
	if (unlikely(state == THREAD_DEAD))
		prev->release(prev);
	else if (unlikely(state == THREAD_WAKING))
		migrate_off(prev, vclock);
}

static void schedule_common(enum switch_reason reason)
{
	irqflags_t flags = hal_irq_save();
	struct runqueue *rq = this_cpu_ptr(&sched_runqueue);
	struct thread *prev = current_thread(), *next;
	u64 now;

	spin_lock(&rq->lock);
	rcu_quiescent(); /* also when the thread goes on: a grace period may have asked for this very passage */
	hal_preempt_clear_need_resched();
	if (hal_work_get(&prev->hal) & HAL_WORK_RESCHED)
		hal_work_clear(&prev->hal, HAL_WORK_RESCHED);
	now = hal_clock_ns();
	if (prev != rq->idle)
		thread_charge(prev, now);
	if (leave_cpu(rq, prev, reason)) {
		next = rq_pick(rq);
		if (next != prev) {
			if (prev->on_rq && prev != rq->idle)
				prev->switches_involuntary++;
			switch_to(rq, prev, next, now);
			hal_irq_restore(flags);
			return;
		}
	}
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
	if (READ_ONCE(this_cpu_ptr(&sched_runqueue)->queued))
		schedule_common(SWITCH_YIELD);
}

/* ---- interrupts and the tick ------------------------------------------------------------------- */

/* The innermost interrupt's registers are kept so that the tick knows whom it interrupted. */
void upcall_irq_enter(struct hal_regs *regs, u32 vector)
{
	record_extra(RECORD_IRQ, hal_regs_user_mode(regs), vector, hal_regs_ip(regs));
	hal_irq_depth_inc();
	rcu_irq_enter();
	lock_dep_irq_enter();
	this_cpu_ptr(&sched_runqueue)->irq_regs = regs;
}

const struct hal_regs *sched_irq_regs(void)
{
	return in_irq() ? this_cpu_ptr(&sched_runqueue)->irq_regs : NULL;
}

const struct thread *sched_running_on(u32 cpu)
{
	return READ_ONCE(rq_of(cpu)->current);
}

void upcall_irq_exit(struct hal_regs *regs)
{
	lock_dep_irq_exit();
	hal_irq_depth_dec();
	rcu_irq_exit();
	if (!hal_regs_user_mode(regs) && hal_preempt_wanted())
		schedule_common(SWITCH_PREEMPT);
}

static void sched_tick(struct timer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, tick);
	struct thread *running = current_thread();
	bool user = hal_regs_user_mode(rq->irq_regs);
	u64 now = hal_clock_ns();

	if (user) {
		running->sampled_user_ns += SCHED_TICK_NS;
		rq->ticks_user++;
		rcu_quiescent();
	} else {
		running->sampled_kernel_ns += SCHED_TICK_NS;
		rq->ticks_kernel++;
	}
	spin_lock(&rq->lock);
	if (running != rq->idle) {
		thread_charge(running, now);
		if (!running->slice_left_ns && rq->queued && running->sp.policy != SCHED_FIFO)
			sched_set_need_resched();
	}
	if (running == rq->idle && !rcu_needs_tick())
		tick_set(rq, false, now);
	else
		timer_arm(&rq->tick, now + SCHED_TICK_NS);
	spin_unlock_no_resched(&rq->lock);
	sched_load_tick(now);
	watchdog_tick();
	rcu_poll();
	log_poll();
}

/* ---- boot and idle ----------------------------------------------------------------------------- */

static void rq_init(struct runqueue *rq, u32 cpu)
{
	spin_init(&rq->lock, "runqueue", LOCK_RANK_RUNQUEUE);
	rq->cpu = cpu;
	for (u32 i = 0; i < SCHED_LEVELS; i++)
		list_init(&rq->level[i]);
	timer_init(&rq->tick, sched_tick);
	timer_init_cpu(cpu);
}

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

void sched_adopt_idle(struct thread *idle)
{
	u32 cpu = hal_cpu_id();
	struct runqueue *rq = rq_of(cpu);

	rq_init(rq, cpu);
	idle->cpu = cpu;
	idle->flags = THREAD_IDLE;
	idle->on_rq = 1;
	idle->sp.weight = SCHED_WEIGHT_NICE0;
	cpumask_set(&idle->affinity, cpu);
	rq->idle = rq->current = idle;
	rq->idle_since_ns = hal_clock_ns();
	preempt_schedule_hook = preempt_now;
	rcu_kick_hook = sched_kick_cpu;
	lock_dep_thread_hook = thread_held_locks;
	lock_dep_name_hook = describe_thread;
	panic_thread_hook = describe_current;
#if HALCYON_DEBUG
	might_sleep_state_hook = current_waits;
#endif
}

/* Not preemptible: an interrupt must not switch away between rcu_idle_enter() and rcu_idle_exit(). */
void sched_idle_loop(void)
{
	preempt_disable();
	for (;;) {
		irqflags_t flags = hal_irq_save();

		rcu_idle_enter();
		if (!sched_need_resched() && !READ_ONCE(this_cpu_ptr(&sched_runqueue)->queued))
			hal_cpu_idle();
		rcu_idle_exit();
		hal_irq_restore(flags);
		preempt_enable_no_resched();
		schedule();
		preempt_disable();
	}
}

/* ---- parameters -------------------------------------------------------------------------------- */

/* Changes a thread's parameters under its queue's lock, and requeues it if it waits there. */
static void rq_reposition(struct runqueue *rq, struct thread *t)
{
	slice_renew(t);
	if (t->queued) {
		rq_remove(rq, t);
		rq_insert(rq, t, level_of(rq, t), false);
		if (should_preempt(rq, t))
			rq_resched(rq);
	} else if (t->on_rq && rq->queued) {
		rq_resched(rq); /* it runs: others may come first now */
	}
}

int sched_set_params(struct thread *t, u32 policy, int rt_priority, int nice, bool reset_on_fork)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);

	thread_charge_if_running(rq, t);
	t->sp.policy = policy;
	t->sp.rt_priority = rt_priority;
	t->sp.nice = nice;
	t->sp.weight = policy == SCHED_IDLE ? SCHED_WEIGHT_IDLE : sched_nice_weight(nice);
	t->sp.reset_on_fork = reset_on_fork;
	rq_reposition(rq, t);
	spin_unlock_irqrestore(&rq->lock, flags);
	return 0;
}

void sched_set_nice(struct thread *t, int nice)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);

	thread_charge_if_running(rq, t);
	t->sp.nice = nice;
	if (t->sp.policy != SCHED_IDLE)
		t->sp.weight = sched_nice_weight(nice);
	rq_reposition(rq, t);
	spin_unlock_irqrestore(&rq->lock, flags);
}

int sched_set_affinity(struct thread *t, const struct cpumask *mask)
{
	irqflags_t flags;
	struct runqueue *rq;
	u32 cpu;
	bool any = false;

	for_each_online_cpu(cpu)
		any |= cpumask_test(mask, cpu);
	if (!any)
		return -EINVAL;
	rq = thread_lock(t, &flags);
	t->affinity = *mask;
	if (!cpumask_test(mask, t->cpu) && t->queued) {
		u64 vclock = rq->vclock;

		rq_remove(rq, t);
		t->on_rq = 0;
		thread_set_state(t, THREAD_WAKING);
		spin_unlock_no_resched(&rq->lock);
		migrate_off(t, vclock);
		hal_irq_restore(flags);
		return 0;
	}
	if (!cpumask_test(mask, t->cpu) && t->on_rq)
		rq_resched(rq); /* leave_cpu() moves it */
	spin_unlock_irqrestore(&rq->lock, flags);
	return 0;
}

u64 thread_runtime(const struct thread *t)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);
	u64 sum = t->sum_exec_ns, now = hal_clock_ns();

	if (rq->current == t && now > t->run_start_ns)
		sum += now - t->run_start_ns;
	spin_unlock_irqrestore(&rq->lock, flags);
	return sum;
}

void sched_stats_cpu(u32 cpu, struct sched_stats *out)
{
	struct runqueue *rq = rq_of(cpu);
	irqflags_t flags = spin_lock_irqsave(&rq->lock);

	out->switches = rq->switches;
	out->idle_ns = rq->idle_ns + (rq->current == rq->idle ? hal_clock_ns() - rq->idle_since_ns : 0);
	out->user_ns = rq->ticks_user * SCHED_TICK_NS;
	out->system_ns = rq->ticks_kernel * SCHED_TICK_NS;
	out->irq_ns = 0;
	out->runnable = rq->queued + (rq->current != rq->idle);
	spin_unlock_irqrestore(&rq->lock, flags);
}
