/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks: waiting for a ticket, and everything that the debug kernel adds.
 *
 * A waiter reads the word until its ticket is served; it writes nothing, so waiting CPUs share the line.
 *
 * In the debug kernel the functions are out of line, so that their return address is the place that the
 * reports name. The order is checked before the wait: a deadlock is reported instead of entered.
 */
#define LOG_TAG "lock"
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/log.h>
#include <kernel/core/spinlock.h>
#include "lockdep.h"

/* Rounds between two looks at the clock. */
#define SPIN_ROUNDS	(1u << 10)

static inline u16 spin_serving(const struct spinlock *l)
{
	return (u16)__atomic_load_n(&l->tickets, __ATOMIC_ACQUIRE);
}

#if !HALCYON_DEBUG

void spin_lock_slow(struct spinlock *l, u32 ticket)
{
	while (spin_serving(l) != (u16)ticket)
		hal_cpu_relax();
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

/* Returns how many hal_cycles() it took, at least 1. */
static u64 spin_wait(struct spinlock *l, u16 ticket, vaddr_t place)
{
	u64 start = hal_clock_ns(), cycles = hal_cycles(), waited;
	bool reported = false;

	for (u32 round = 1; spin_serving(l) != ticket; round++) {
		hal_cpu_relax();
		if (round % SPIN_ROUNDS || reported)
			continue;
		waited = hal_clock_ns() - start;
		if (waited < READ_ONCE(spin_report_ns) || panic_active())
			continue;
		reported = true;
		spin_report(l, place, waited);
	}
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
	u32 old;

	preempt_disable();
	f = hal_irq_save();
	lockdep_spin_check(l, nested, hal_irqflags_enabled(f), place);
	old = __atomic_fetch_add(&l->tickets, SPIN_TICKET_ONE, __ATOMIC_ACQUIRE);
	if (unlikely((u16)old != (u16)(old >> 16))) {
		hal_irq_restore(f);
		wait = spin_wait(l, (u16)(old >> 16), place);
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
	u32 old = __atomic_load_n(&l->tickets, __ATOMIC_RELAXED);
	irqflags_t f;
	bool taken;

	if ((u16)old != (u16)(old >> 16))
		return false;
	preempt_disable();
	f = hal_irq_save();
	lockdep_spin_check_context(l, hal_irqflags_enabled(f), _RET_IP_);
	taken = __atomic_compare_exchange_n(&l->tickets, &old, old + SPIN_TICKET_ONE, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED);
	if (taken)
		spin_note_taken(l, _RET_IP_, 0);
	hal_irq_restore(f);
	if (!taken)
		preempt_enable();
	return taken;
}

static void spin_release(struct spinlock *l)
{
	u16 *serving = (u16 *)&l->tickets;
	irqflags_t f;

	spin_assert_held(l);
	f = hal_irq_save();
	lockdep_spin_pop(l);
	WRITE_ONCE(l->place, 0);
	l->thread = NULL;
	__atomic_store_n(serving, (u16)(*serving + 1), __ATOMIC_RELEASE);
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
