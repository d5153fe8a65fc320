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

/* A spin of this length is worth a report. */
#define SPIN_REPORT_NS	1000000000ull
/* Rounds between two looks at the clock. */
#define SPIN_ROUNDS	(1u << 16)

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

static void spin_report(struct spinlock *l, vaddr_t place)
{
	log_err("cpu %u spins on \"%s\" (%p) at %pS; cpu %u holds it, taken at %pS by thread %p", hal_cpu_id(),
		l->name, (void *)l, (void *)place, READ_ONCE(l->cpu), (void *)READ_ONCE(l->place),
		(void *)READ_ONCE(l->thread));
	backtrace_print(LOG_ERR);
}

static void spin_wait(struct spinlock *l, u16 ticket, vaddr_t place)
{
	u64 start = hal_clock_ns();
	bool reported = false;

	for (u32 round = 1; spin_serving(l) != ticket; round++) {
		hal_cpu_relax();
		if (round % SPIN_ROUNDS || reported || hal_clock_ns() - start < SPIN_REPORT_NS)
			continue;
		reported = true;
		spin_report(l, place);
	}
}

static void spin_note_taken(struct spinlock *l, vaddr_t place)
{
	l->cpu = (u16)hal_cpu_id();
	l->thread = hal_current();
	WRITE_ONCE(l->place, place);
	lockdep_spin_push(l, place);
}

static void spin_lock_at(struct spinlock *l, bool nested, vaddr_t place)
{
	u32 old;

	preempt_disable();
	lockdep_spin_check(l, nested, place);
	old = __atomic_fetch_add(&l->tickets, SPIN_TICKET_ONE, __ATOMIC_ACQUIRE);
	if (unlikely((u16)old != (u16)(old >> 16)))
		spin_wait(l, (u16)(old >> 16), place);
	spin_note_taken(l, place);
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

	if ((u16)old != (u16)(old >> 16))
		return false;
	preempt_disable();
	if (__atomic_compare_exchange_n(&l->tickets, &old, old + SPIN_TICKET_ONE, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED)) {
		spin_note_taken(l, _RET_IP_);
		return true;
	}
	preempt_enable();
	return false;
}

static void spin_release(struct spinlock *l)
{
	u16 *serving = (u16 *)&l->tickets;

	spin_assert_held(l);
	lockdep_spin_pop(l);
	WRITE_ONCE(l->place, 0);
	l->thread = NULL;
	__atomic_store_n(serving, (u16)(*serving + 1), __ATOMIC_RELEASE);
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
	panic("spinlock \"%s\" is not held here: held %d, cpu %u, taken at %pS", l->name, spin_is_locked(l), l->cpu,
	      (void *)l->place);
}

#endif
