/* SPDX-License-Identifier: MIT */
/*
 * Threads that move: where a thread is put, and what is taken from where.
 *
 * Placement of one that wakes: where it was when that CPU idles; else on an idle CPU that shares the last cache with where it
 * was, then with its waker, of a core that idles as a whole if there is one; then on any idle CPU; else where it was, unless
 * much more waits there than here. A new thread prefers idle CPUs in the same order, seen from its maker, and then the
 * one with the least load. A real-time thread goes where the least important thing runs.
 *
 * Moving what is runnable:
 *	- a CPU that would idle pulls one thread from the CPU with the longest queue, near ones first;
 *	- a busy one looks each few ticks for one with more load (sum of weights) and takes half of the difference;
 *	- a busy CPU at whose tick something waits while another CPU idles asks that one to pull: idle CPUs have no tick;
 *	- what cannot be divided, three loops on two CPUs, is passed round: see pass_round();
 *	- nor, but for one each second, has one whose only thread stays in user mode: a CPU that has more brings it a thread;
 *	- when a real-time thread leaves a CPU, one that waits elsewhere comes, and one that waits here may go.
 *
 * One lock at a time: a thread that moves is taken off its queue and is in transit (wake.c) until it is on the next.
 * What is read of other queues without their lock are hints; the decision is made again under it.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <lib/errno.h>

#include "queue.h"

#define BALANCE_MIN_NS 16000000ull
#define BALANCE_PER_CPU_NS 1000000ull /* looking at n CPUs costs n cache lines */
#define BALANCE_MOST 8u /* threads that move at once */
#define SCAN_MOST 32u /* threads that are looked at under a lock */
#define KICK_BACKOFF_MOST 6u
#define UNEVEN_LOOKS 3u /* before a thread is passed on: what wakes for a moment is no imbalance */

/* ---- placement --------------------------------------------------------------------------------- */

static bool may_run_on(const struct thread *t, const struct runqueue *rq)
{
	return READ_ONCE(rq->online) && cpumask_test(&t->affinity, rq->cpu);
}

static bool core_idles(const struct runqueue *rq)
{
	for (const struct runqueue *s = READ_ONCE(rq->smt_next); s != rq; s = READ_ONCE(s->smt_next))
		if (!rq_is_idle(s))
			return false;
	return true;
}

/* An idle CPU among those that share one last cache; MAX_CPUS: none. */
static u32 idle_in_llc(const struct runqueue *llc, const struct cpumask *allowed)
{
	u32 found = MAX_CPUS;

	for (u32 i = 0; i < MAX_CPUS / 64; i++) {
		u64 bits = READ_ONCE(llc->llc_idle.bits[i]) & allowed->bits[i];

		for (; bits; bits &= bits - 1) {
			const struct runqueue *rq = rq_of(i * 64 + (u32)__builtin_ctzll(bits));

			if (!rq_is_idle(rq) || !READ_ONCE(rq->online))
				continue;
			if (core_idles(rq))
				return rq->cpu;
			if (found == MAX_CPUS)
				found = rq->cpu;
		}
	}
	return found;
}

static u32 idle_anywhere(const struct runqueue *from, const struct cpumask *allowed)
{
	const struct runqueue *llc = from;

	do {
		u32 cpu = idle_in_llc(llc, allowed);

		if (cpu != MAX_CPUS)
			return cpu;
		llc = READ_ONCE(llc->llc_next);
	} while (llc != from);
	return MAX_CPUS;
}

/* What a thread of weight zero would find: load, and that of the one that runs. MAX_CPUS: none is allowed. */
static u32 least_loaded(const struct thread *t)
{
	u32 best = MAX_CPUS, cpu;
	u64 least = ~0ull;

	cpumask_for_each(cpu, &sched_online) {
		const struct runqueue *rq = rq_of(cpu);
		u64 load = READ_ONCE(rq->load) + (READ_ONCE(rq->running_level) < SCHED_LEVEL_FAIR ? SCHED_WEIGHT_NICE0 : 0);

		if (!cpumask_test(&t->affinity, cpu) || load >= least)
			continue;
		least = load;
		best = cpu;
	}
	return best;
}

/*
 * None of the CPUs that it may run on is there: its affinity is broken, as on Linux (cpuset(7): all CPUs). The thread is
 * in transit or asleep under its queue's lock.
 */
static noinline u32 break_affinity(struct thread *t)
{
	char name[THREAD_NAME_BYTES];

	if (t->flags & THREAD_USER)
		log_info("%s [%u] may no longer run on chosen CPUs only: none of them is online", thread_name_text(t, name),
			 t->id);
	cpumask_fill(&t->affinity);
	return least_loaded(t);
}

/* The CPU on which the least important thing runs, if that is less important than `t`. */
static u32 choose_realtime(struct thread *t, u32 otherwise)
{
	u32 level = 99u - (u32)t->sp.rt_priority, best = MAX_CPUS, best_level = level, cpu;

	cpumask_for_each(cpu, &sched_online) {
		u32 running = READ_ONCE(rq_of(cpu)->running_level);

		if (!cpumask_test(&t->affinity, cpu))
			continue;
		if (running >= SCHED_LEVEL_FAIR && running < SCHED_LEVELS)
			running = SCHED_LEVEL_FAIR; /* no difference among the fair */
		if (running > best_level || (running == best_level && best != MAX_CPUS && cpu == t->cpu)) {
			best_level = running;
			best = cpu;
		}
	}
	return best != MAX_CPUS ? best : otherwise;
}

/* Nobody idles. */
static u32 choose_busy(struct thread *t, const struct runqueue *prev, const struct runqueue *here)
{
	u32 cpu;

	if (may_run_on(t, prev)) {
		if (READ_ONCE(prev->queued) > READ_ONCE(here->queued) + 1 && may_run_on(t, here))
			return here->cpu;
		return prev->cpu;
	}
	cpu = least_loaded(t);
	return cpu != MAX_CPUS ? cpu : break_affinity(t);
}

/* Interrupts off. `sync`: the waker is about to sleep. */
u32 sched_choose_cpu(struct thread *t, bool sync)
{
	const struct runqueue *prev = rq_of(t->cpu), *here = rq_here();
	u32 cpu;

	if (unlikely(thread_is_realtime(t)))
		return choose_realtime(t, choose_busy(t, prev, here));
	if (sync && !here->queued && may_run_on(t, here) && !thread_is_realtime(here->current))
		return here->cpu;
	if (may_run_on(t, prev) && rq_is_idle(prev))
		return prev->cpu;
	cpu = idle_in_llc(READ_ONCE(prev->llc), &t->affinity);
	if (cpu == MAX_CPUS)
		cpu = idle_anywhere(READ_ONCE(here->llc), &t->affinity);
	return cpu != MAX_CPUS ? cpu : choose_busy(t, prev, here);
}

/* For a thread that has not run yet. */
u32 sched_choose_cpu_new(struct thread *t)
{
	const struct runqueue *here = rq_here();
	u32 cpu;

	if (!sched_many && cpumask_test(&t->affinity, here->cpu))
		return here->cpu;
	if (thread_is_realtime(t))
		return choose_realtime(t, choose_busy(t, here, here));
	cpu = idle_anywhere(READ_ONCE(here->llc), &t->affinity);
	if (cpu == MAX_CPUS)
		cpu = least_loaded(t);
	return cpu != MAX_CPUS ? cpu : break_affinity(t);
}

bool sched_has_other_cpus(void)
{
	return sched_many;
}

bool sched_is_running(const struct thread *t, u32 *where)
{
	u32 cpu = *where;

	if (cpu < MAX_CPUS && READ_ONCE(rq_of(cpu)->current) == t)
		return true;
	cpumask_for_each(cpu, &sched_online) {
		if (READ_ONCE(rq_of(cpu)->current) == t) {
			*where = cpu;
			return true;
		}
	}
	return false;
}

/* ---- taking a thread away ---------------------------------------------------------------------- */

void sched_detach(struct runqueue *rq, struct thread *t)
{
	rq_remove(rq, t);
	if (!thread_is_realtime(t))
		rq->load -= t->sp.weight;
	t->moving = 1;
}

/* [from->lock] The first in this level that may run on `cpu` and weighs no more than `most`. */
static struct thread *movable_in(struct runqueue *from, u32 level, u32 cpu, u64 most, u32 *scan)
{
	struct thread *t;

	list_for_each_entry(t, &from->level[level], run_node) {
		if (*scan == 0)
			return NULL;
		--*scan;
		if (t->sp.weight <= most && cpumask_test(&t->affinity, cpu))
			return t;
	}
	return NULL;
}

/* [from->lock] A queued thread for `cpu` from the levels [first, end), in the order of the bitmap. */
static struct thread *movable(struct runqueue *from, u32 first, u32 end, u32 cpu, u64 most)
{
	u32 scan = SCAN_MOST;

	for (u32 i = first / 64; i < DIV_ROUND_UP(end, 64u); i++) {
		for (u64 bits = from->bitmap[i]; bits; bits &= bits - 1) {
			u32 level = i * 64 + (u32)__builtin_ctzll(bits);
			struct thread *t = level < end ? movable_in(from, level, cpu, most, &scan) : NULL;

			if (t || !scan)
				return t;
		}
	}
	return NULL;
}

/* Interrupts off. Moves one thread from the levels [first, end) of `from` to the queue `to`. */
static bool move_one(struct runqueue *from, struct runqueue *to, u32 first, u32 end, u64 most, u64 *weight, u64 now)
{
	struct thread *t;
	u64 vclock;

	spin_lock(&from->lock);
	t = movable(from, first, end, to->cpu, most);
	if (t) {
		sched_detach(from, t);
		*weight = t->sp.weight;
	}
	vclock = from->vclock;
	spin_unlock_no_resched(&from->lock);
	if (t)
		sched_place(t, to->cpu, vclock, now);
	return t != NULL;
}

/* The same, to this CPU's queue. */
static bool pull_one(struct runqueue *from, struct runqueue *to, u32 first, u32 end, u64 most, u64 *weight, u64 now)
{
	if (!move_one(from, to, first, end, most, weight, now))
		return false;
	to->pulled++;
	return true;
}

/* The longest queue among those that share `llc`, but for `self`; NULL: nobody waits there. */
static struct runqueue *longest_queue(const struct runqueue *llc, const struct runqueue *self)
{
	struct runqueue *best = NULL;
	u32 most = 0, cpu;

	cpumask_for_each(cpu, &llc->llc_cpus) {
		struct runqueue *rq = rq_of(cpu);
		u32 queued = READ_ONCE(rq->queued);

		if (queued > most && rq != self) {
			most = queued;
			best = rq;
		}
	}
	return best;
}

bool sched_pull_idle(struct runqueue *rq)
{
	const struct runqueue *first = READ_ONCE(rq->llc), *llc = first;
	u64 weight;

	if (unlikely(!READ_ONCE(rq->online)))
		return false;
	do {
		struct runqueue *from = longest_queue(llc, rq);

		if (from && pull_one(from, rq, 0, SCHED_LEVELS, ~0ull, &weight, hal_clock_ns()))
			return true;
		llc = READ_ONCE(llc->llc_next);
	} while (llc != first);
	return false;
}

/* ---- the tick's part --------------------------------------------------------------------------- */

/* Load of another CPU as it counts here. A far one must have a quarter more: what moves there leaves its cache behind. */
static u64 load_from(const struct runqueue *rq, const struct runqueue *self)
{
	u64 load = READ_ONCE(rq->load);

	return rq->llc == self->llc ? load : load - load / 4;
}

/* The CPU with the most load of those where somebody waits. */
static struct runqueue *busiest(const struct runqueue *self)
{
	struct runqueue *best = NULL;
	u64 most = READ_ONCE(self->load);
	u32 cpu;

	cpumask_for_each(cpu, &sched_online) {
		struct runqueue *rq = rq_of(cpu);
		u64 load = load_from(rq, self);

		if (rq != self && READ_ONCE(rq->queued) && load > most) {
			most = load;
			best = rq;
		}
	}
	return best;
}

static void balance(struct runqueue *rq, u64 now)
{
	struct runqueue *from = busiest(rq);
	u64 weight = 0, theirs, ours;

	for (u32 i = 0; from && i < BALANCE_MOST; i++) {
		theirs = READ_ONCE(from->load);
		ours = READ_ONCE(rq->load);
		if (theirs <= ours ||
		    !pull_one(from, rq, SCHED_LEVEL_FAIR, SCHED_LEVELS, (theirs - ours) / 2, &weight, now))
			return;
	}
}

/* Somebody waits here: a CPU that has less, and no tick that would tell it so, gets one of them. */
static void push_to_slow(struct runqueue *rq, u64 now)
{
	struct runqueue *to = NULL;
	u64 least = READ_ONCE(rq->load), weight, ours;
	u32 cpu;

	if (!READ_ONCE(rq->queued))
		return;
	cpumask_for_each(cpu, &sched_online) {
		struct runqueue *other = rq_of(cpu);

		if (other != rq && READ_ONCE(other->tick_mode) == TICK_SLOW && READ_ONCE(other->load) < least) {
			least = READ_ONCE(other->load);
			to = other;
		}
	}
	ours = to ? load_from(rq, to) : 0;
	if (ours > least)
		(void)move_one(rq, to, SCHED_LEVEL_FAIR, SCHED_LEVELS, (ours - least) / 2, &weight, now);
}

/* Of the CPUs with the least load, the one where nobody was passed to or from for longest. */
static struct runqueue *least_disturbed(const struct runqueue *rq)
{
	u64 least = READ_ONCE(rq->load);
	struct runqueue *best = NULL;
	u32 cpu;

	cpumask_for_each(cpu, &sched_online) {
		struct runqueue *other = rq_of(cpu);
		u64 load = READ_ONCE(other->load);

		if (other == rq || load > least || READ_ONCE(other->running_level) < SCHED_LEVEL_FAIR)
			continue;
		if (load < least || (best && READ_ONCE(other->passed_ns) < READ_ONCE(best->passed_ns)))
			best = other;
		least = load;
	}
	return best;
}

/*
 * [rq->lock] Who has been here for longest, of those that may run on `cpu` and weigh at most `most`. NULL: nobody who waits; if it
 * is the running thread, it waits soon.
 */
static struct thread *longest_here(const struct runqueue *rq, u32 cpu, u64 most)
{
	struct thread *running = rq->current, *best = NULL, *t;
	u32 scan = SCAN_MOST;

	if (running != rq->idle && !thread_is_realtime(running) && running->sp.weight <= most &&
	    cpumask_test(&running->affinity, cpu))
		best = running;
	for (u32 level = SCHED_LEVEL_FAIR; level < SCHED_LEVELS; level++) {
		list_for_each_entry(t, &rq->level[level], run_node) {
			if (!scan--)
				return best != running ? best : NULL;
			if (t->sp.weight <= most && cpumask_test(&t->affinity, cpu) &&
			    (!best || t->arrived_ns <= best->arrived_ns))
				best = t;
		}
	}
	return best != running ? best : NULL;
}

/*
 * Three loops on two CPUs: whatever is moved, one CPU has two of them. To be fair, that must be another one each time: after some
 * looks that found it so, the thread that has been here longest goes to the CPU that has been left in peace longest. Both
 * orders together give each thread its turn at sharing a CPU, and at having one for itself.
 */
static void pass_round(struct runqueue *rq, u64 now)
{
	struct runqueue *to = READ_ONCE(rq->queued) ? least_disturbed(rq) : NULL;
	struct thread *t;
	u64 vclock, gap;

	rq->uneven = to ? rq->uneven + 1 : 0;
	if (rq->uneven < UNEVEN_LOOKS)
		return;
	spin_lock(&rq->lock);
	gap = rq->load - MIN(rq->load, READ_ONCE(to->load));
	t = longest_here(rq, to->cpu, gap);
	if (t)
		sched_detach(rq, t);
	vclock = rq->vclock;
	spin_unlock_no_resched(&rq->lock);
	if (!t)
		return;
	rq->uneven = 0;
	WRITE_ONCE(rq->passed_ns, now);
	WRITE_ONCE(to->passed_ns, now);
	sched_place(t, to->cpu, vclock, now);
}

/* Somebody waits here: does anybody idle who could take him? Asked less and less often while it helps nothing. */
static void kick_idle(struct runqueue *rq, u64 now)
{
	u32 cpu;

	if (!READ_ONCE(rq->queued)) {
		rq->kick_backoff = 0;
		return;
	}
	current_thread()->handoff = 0; /* whom it woke waits for it */
	if (now < rq->kick_next_ns)
		return;
	cpu = idle_anywhere(READ_ONCE(rq->llc), &sched_online);
	if (cpu == MAX_CPUS)
		return;
	rq->kick_next_ns = now + (SCHED_TICK_NS << rq->kick_backoff);
	if (rq->kick_backoff < KICK_BACKOFF_MOST)
		rq->kick_backoff++;
	hal_cpu_kick(cpu);
}

/* In this CPU's tick, interrupts off, no lock held. */
void sched_balance_tick(struct runqueue *rq, u64 now)
{
	kick_idle(rq, now);
	if (now < rq->balance_next_ns || unlikely(!READ_ONCE(rq->online)))
		return;
	rq->balance_next_ns = now + MAX(BALANCE_MIN_NS, BALANCE_PER_CPU_NS * hal_cpu_count());
	balance(rq, now);
	push_to_slow(rq, now);
	pass_round(rq, now);
}

/* ---- real-time --------------------------------------------------------------------------------- */

/* The CPU where the most important real-time thread waits, if that is more important than what runs on `rq`. */
static struct runqueue *realtime_waits(const struct runqueue *rq)
{
	struct runqueue *best = NULL;
	u32 best_level = MIN(READ_ONCE(rq->running_level), SCHED_LEVEL_FAIR), cpu;

	cpumask_for_each(cpu, &sched_online) {
		struct runqueue *other = rq_of(cpu);
		u64 lo = READ_ONCE(other->bitmap[0]), hi = READ_ONCE(other->bitmap[1]);
		u32 level = lo ? (u32)__builtin_ctzll(lo) : hi ? 64u + (u32)__builtin_ctzll(hi) : SCHED_LEVEL_FAIR;

		if (other != rq && level < best_level) {
			best_level = level;
			best = other;
		}
	}
	return best;
}

/* One that waits here goes to a CPU that does less important things. */
static bool push_realtime(struct runqueue *rq, u64 now)
{
	struct thread *t = NULL;
	u32 cpu = MAX_CPUS;
	u64 vclock;

	if (!(READ_ONCE(rq->bitmap[0]) | READ_ONCE(rq->bitmap[1])))
		return false;
	spin_lock(&rq->lock);
	if (rq->bitmap[0] | rq->bitmap[1]) {
		u32 level = rq->bitmap[0] ? (u32)__builtin_ctzll(rq->bitmap[0]) : 64u + (u32)__builtin_ctzll(rq->bitmap[1]);

		t = list_first_entry(&rq->level[level], struct thread, run_node);
		cpu = choose_realtime(t, MAX_CPUS);
	}
	if (cpu != MAX_CPUS && cpu != rq->cpu)
		sched_detach(rq, t);
	else
		t = NULL;
	vclock = rq->vclock;
	spin_unlock_no_resched(&rq->lock);
	if (!t)
		return false;
	sched_place(t, cpu, vclock, now);
	return true;
}

/* A real-time thread has left this CPU, or was made to. Interrupts off, no lock held. */
void sched_balance_realtime(struct runqueue *rq, u64 now)
{
	struct runqueue *from;
	u64 weight;

	if (push_realtime(rq, now) || rq->throttled || !READ_ONCE(rq->online))
		return;
	from = realtime_waits(rq);
	if (from)
		(void)pull_one(from, rq, 0, MIN(rq->running_level, SCHED_LEVEL_FAIR), ~0ull, &weight, now);
}

/* ---- affinity ---------------------------------------------------------------------------------- */

void sched_change_affinity(struct thread *t, const struct cpumask *mask)
{
	irqflags_t flags;
	struct runqueue *rq = thread_lock(t, &flags);
	u64 vclock, now;

	t->affinity = *mask;
	if (cpumask_test(mask, rq->cpu) || !t->on_rq) {
		spin_unlock_irqrestore(&rq->lock, flags);
		return;
	}
	if (!t->queued) { /* it runs: it leaves when it passes schedule() */
		rq->evict = true;
		sched_kick_cpu(rq->cpu);
		spin_unlock_irqrestore(&rq->lock, flags);
		return;
	}
	now = hal_clock_ns();
	vclock = rq->vclock;
	sched_detach(rq, t);
	preempt_disable();
	spin_unlock(&rq->lock);
	sched_place(t, sched_choose_cpu(t, false), vclock, now);
	hal_irq_restore(flags);
	preempt_enable();
}

int sched_set_affinity(struct thread *t, const struct cpumask *mask)
{
	if ((t->flags & THREAD_BOUND) || !cpumask_intersects(mask, &sched_online))
		return -EINVAL;
	sched_change_affinity(t, mask);
	return 0;
}

/* Interrupts on. The queue takes nobody any more. */
void sched_evacuate(struct runqueue *rq)
{
	for (;;) {
		irqflags_t flags;
		struct thread *t;
		u64 vclock;

		preempt_disable();
		flags = spin_lock_irqsave(&rq->lock);
		t = rq->queued ? rq_pick(rq) : NULL;
		if (t) {
			if (!thread_is_realtime(t))
				rq->load -= t->sp.weight;
			t->moving = 1;
		}
		vclock = rq->vclock;
		spin_unlock_no_resched(&rq->lock);
		if (t)
			sched_place(t, sched_choose_cpu(t, false), vclock, hal_clock_ns());
		hal_irq_restore(flags);
		preempt_enable();
		if (!t)
			return;
	}
}
