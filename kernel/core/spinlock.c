/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks: waiting, and everything that the debug kernel adds.
 *
 * The queue (Mellor-Crummey and Scott, in the form that fits a word: the word names the last one). Each waiter spins on a node
 * of its own CPU until the one before it says that it is first; only the first one looks at the lock itself, so a release
 * moves one cache line to one CPU, and who came first gets it first. A CPU can wait for one lock in a thread, and for
 * others in interrupts on top of that, hence a few nodes.
 *
 * No queue in virtual machines. A queue is served in order, so when the host has taken the CPU of the next one away, the lock
 * stands idle for as long as that lasts, and with more virtual CPUs than real ones that is most of the time: four on
 * two took minutes for what takes one a second. There the waiters read the word and race for it.
 *
 * Rejected: tickets, which do the same as the queue but make all waiters read one line, and cannot be given back, so that
 * the same code could not serve virtual machines.
 *
 * In the debug kernel the functions are out of line, so that their return address is the place that the
 * reports name. The order is checked before the wait: a deadlock is reported instead of entered.
 */
#define LOG_TAG "lock"
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/spinlock.h>
#include "lockdep.h"

/* Rounds between two looks at the clock. */
#define SPIN_ROUNDS	(1u << 10)

/* A thread, an interrupt, one that came on top of it, and one more: deeper ones race without a node. */
#define SPIN_NODES	4u
#define NODE_SHIFT	2u	/* a tail is (cpu + 1) << NODE_SHIFT | index of its node */

/* [own] but for next and ready, which the neighbours in the queue write. */
struct spin_node {
	struct spin_node *next;	/* [a] */
	u32 ready;		/* [a] first in the queue */
};

struct spin_nodes {
	struct spin_node node[SPIN_NODES];
	u32 depth;		/* [own] in use; an interrupt leaves it as it was */
};
static DEFINE_PER_CPU(struct spin_nodes, spin_nodes);
static_assert(((MAX_CPUS + 1) << NODE_SHIFT) <= 0xffffu, "a tail is 16 bits");

/* What a waiter does between two looks; the debug kernel counts, and reports. */
struct spin_waiter;
static void spin_pause(struct spin_waiter *w);

static struct spin_node *node_of(u16 tail)
{
	return &per_cpu_ptr(&spin_nodes, (tail >> NODE_SHIFT) - 1u)->node[tail % SPIN_NODES];
}

static void wait_racing(struct spinlock *l, struct spin_waiter *w)
{
	do {
		while (__atomic_load_n(&l->word, __ATOMIC_RELAXED))
			spin_pause(w);
	} while (!spin_take_free(l));
}

/* Preemption off. */
static void wait_queued(struct spinlock *l, struct spin_waiter *w)
{
	struct spin_nodes *mine = this_cpu_ptr(&spin_nodes);
	u32 index = mine->depth++, word;
	u16 tail = (u16)((hal_cpu_id() + 1) << NODE_SHIFT | index), before;
	struct spin_node *node = &mine->node[index], *next;

	barrier(); /* an interrupt from here on takes the next node */
	node->next = NULL;
	node->ready = 0;
	before = __atomic_exchange_n((u16 *)&l->word + 1, tail, __ATOMIC_ACQ_REL);
	if (before) {
		__atomic_store_n(&node_of(before)->next, node, __ATOMIC_RELEASE);
		while (!__atomic_load_n(&node->ready, __ATOMIC_ACQUIRE))
			spin_pause(w);
	}
	/* First: while there is a tail nobody else takes the lock. */
	while (__atomic_load_n((u8 *)&l->word, __ATOMIC_ACQUIRE))
		spin_pause(w);
	word = (u32)tail << SPIN_TAIL_SHIFT;
	if (!__atomic_compare_exchange_n(&l->word, &word, SPIN_LOCKED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		__atomic_store_n((u8 *)&l->word, SPIN_LOCKED, __ATOMIC_RELAXED);
		while (!(next = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE)))
			spin_pause(w);	/* it is in the word, and about to say so here */
		__atomic_store_n(&next->ready, 1, __ATOMIC_RELEASE);
	}
	barrier();
	mine->depth--;
}

static void spin_wait_for(struct spinlock *l, struct spin_waiter *w)
{
	if (hal_cpu_is_virtual() || this_cpu(spin_nodes).depth >= SPIN_NODES)
		wait_racing(l, w);
	else
		wait_queued(l, w);
}

#if !HALCYON_DEBUG

static inline void spin_pause(struct spin_waiter *w)
{
	(void)w;
	hal_cpu_relax();
}

void spin_lock_slow(struct spinlock *l)
{
	spin_wait_for(l, NULL);
}

#else

u64 spin_report_ns = SPIN_REPORT_NS;

/* Where the holder is: on its CPU, which is asked, or (a bug of another kind) asleep with the lock. */
static void report_holder(const struct spinlock *l, const struct thread *holder, u32 cpu)
{
	char name[64] = "no thread";

	if (holder && lock_dep_name_hook)
		lock_dep_name_hook(holder, name, sizeof(name));
	log_printf(LOG_ERR, "  holder: %s", name);
	if (cpu != hal_cpu_id())
		backtrace_print_cpu(LOG_ERR, cpu);
	else if (holder && holder != hal_current())
		backtrace_print_thread(LOG_ERR, holder);
}

static void spin_report(struct spinlock *l, vaddr_t place, u64 waited_ns)
{
	const struct thread *holder = READ_ONCE(l->thread);
	u32 cpu = READ_ONCE(l->cpu);
	char name[64] = "no thread";

	if (lock_dep_name_hook && hal_current())
		lock_dep_name_hook(hal_current(), name, sizeof(name));
	log_err("cpu %u spins for %llu ms on \"%s\" (%p) at %pS; cpu %u holds it, taken at %pS", hal_cpu_id(),
		(unsigned long long)(waited_ns / (u64)NSEC_PER_MSEC), l->name, (void *)l, (void *)place, cpu,
		(void *)READ_ONCE(l->place));
	log_printf(LOG_ERR, "  waiter: %s", name);
	backtrace_print(LOG_ERR);
	report_holder(l, holder, cpu);
}

struct spin_waiter {
	struct spinlock *lock;
	vaddr_t place;
	u64 start_ns;
	u32 rounds;
	bool reported;
};

static void spin_pause(struct spin_waiter *w)
{
	u64 waited;

	hal_cpu_relax();
	if (++w->rounds % SPIN_ROUNDS || w->reported)
		return;
	waited = hal_clock_ns() - w->start_ns;
	if (waited < READ_ONCE(spin_report_ns) || panic_active())
		return;
	w->reported = true;
	spin_report(w->lock, w->place, waited);
}

/* Returns how many hal_cycles() it took, at least 1. */
static u64 spin_wait(struct spinlock *l, vaddr_t place)
{
	struct spin_waiter w = { .lock = l, .place = place, .start_ns = hal_clock_ns() };
	u64 cycles = hal_cycles();

	spin_wait_for(l, &w);
	return MAX(hal_cycles() - cycles, 1ull);
}

static void spin_note_taken(struct spinlock *l, vaddr_t place, u64 wait)
{
	l->cpu = (u16)hal_cpu_id();
	l->thread = hal_current();
	WRITE_ONCE(l->place, place);
	lockdep_spin_push(l, place, wait);
}

static void spin_lock_at(struct spinlock *l, bool nested, vaddr_t place)
{
	irqflags_t f;
	u64 wait = 0;

	preempt_disable();
	f = hal_irq_save();
	lockdep_spin_check(l, nested, hal_irqflags_enabled(f), place);
	if (unlikely(!spin_take_free(l))) {
		hal_irq_restore(f);
		wait = spin_wait(l, place);
		f = hal_irq_save();
	}
	spin_note_taken(l, place, wait);
	hal_irq_restore(f);
}

void spin_lock(struct spinlock *l)
{
	spin_lock_at(l, false, _RET_IP_);
}

void spin_lock_nested(struct spinlock *l)
{
	spin_lock_at(l, true, _RET_IP_);
}

bool spin_trylock(struct spinlock *l)
{
	irqflags_t f;
	bool taken;

	if (__atomic_load_n(&l->word, __ATOMIC_RELAXED))
		return false;
	preempt_disable();
	f = hal_irq_save();
	lockdep_spin_check_context(l, hal_irqflags_enabled(f), _RET_IP_);
	taken = spin_take_free(l);
	if (taken)
		spin_note_taken(l, _RET_IP_, 0);
	hal_irq_restore(f);
	if (!taken)
		preempt_enable();
	return taken;
}

static void spin_release(struct spinlock *l)
{
	irqflags_t f;

	spin_assert_held(l);
	f = hal_irq_save();
	lockdep_spin_pop(l);
	WRITE_ONCE(l->place, 0);
	l->thread = NULL;
	spin_clear(l);
	hal_irq_restore(f);
}

void spin_unlock(struct spinlock *l)
{
	spin_release(l);
	preempt_enable();
}

void spin_unlock_no_resched(struct spinlock *l)
{
	spin_release(l);
	preempt_enable_no_resched();
}

void spin_assert_held(const struct spinlock *l)
{
	if (likely(spin_is_locked(l) && l->cpu == hal_cpu_id()) || panic_active())
		return;
	report_bug("spinlock \"%s\" is not held here: held %d, cpu %u, taken at %pS", l->name, spin_is_locked(l), l->cpu,
		   (void *)l->place);
}

#endif
