/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_SPINLOCK_H
#define KERNEL_CORE_SPINLOCK_H

/*
 * Spinlocks: FIFO ticket locks that switch preemption off.
 *
 * The word holds two 16-bit tickets: the one being served (low) and the next to hand out (high). Taking
 * the lock is one fetch-and-add; the lock is ours when both were equal. 16 bits suffice for 65535
 * waiting CPUs.
 *
 * Locks of rank LOCK_RANK_IRQ_FIRST and inner are taken with interrupts off: spin_lock_irqsave(), or
 * spin_lock() where interrupts are known to be off. Holding a lock, a thread must not sleep, nor touch
 * user memory except by no-fault copies.
 *
 * Debug kernel: checks rank, recursion and owner, knows who holds the lock and where it was taken, and
 * after a long spin reports both parties.
 */
#include <kernel/core/lockdep.h>
#include <kernel/core/preempt.h>
#include <lib/atomic.h>

struct spinlock {
	u32 tickets;			/* [a] next << 16 | serving */
#if HALCYON_DEBUG
	u8 rank;			/* [I] */
	u8 class;			/* [a] lockstat.h's number; 0: not looked up yet */
	u16 cpu;			/* [holder] */
	const char *name;		/* [I] */
	vaddr_t place;			/* [holder] where it was taken; 0: free */
	struct thread *thread;		/* [holder] */
#endif
};

#define SPIN_TICKET_ONE 0x10000u

#if HALCYON_DEBUG
#define SPINLOCK_INIT(name_, rank_) { .tickets = 0, .rank = (rank_), .name = (name_) }
#else
#define SPINLOCK_INIT(name_, rank_) { .tickets = 0 }
#endif

/* name: a literal. rank: enum lock_rank. */
static inline void spin_init(struct spinlock *l, const char *name, u32 rank)
{
	(void)name, (void)rank;
	l->tickets = 0;
#if HALCYON_DEBUG
	l->rank = (u8)rank;
	l->class = 0;
	l->cpu = 0;
	l->name = name;
	l->place = 0;
	l->thread = NULL;
#endif
}

/* Somebody holds it. Racy: for reports and assertions. */
static inline bool spin_is_locked(const struct spinlock *l)
{
	u32 t = __atomic_load_n(&l->tickets, __ATOMIC_RELAXED);

	return (u16)t != t >> 16;
}

/* Others wait for it. Racy. */
static inline bool spin_is_contended(const struct spinlock *l)
{
	u32 t = __atomic_load_n(&l->tickets, __ATOMIC_RELAXED);

	return (u16)((t >> 16) - (u16)t) > 1;
}

#if HALCYON_DEBUG

/* A spin of this length is worth a report; self tests shorten it. */
#define SPIN_REPORT_NS 1000000000ull
extern u64 spin_report_ns;

void spin_lock(struct spinlock *l);
/* Equal rank may be held: the caller keeps an order of its own among them, named where it calls. */
void spin_lock_nested(struct spinlock *l);
bool __must_check spin_trylock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
/* Releases, but leaves preemption off: for the scheduler. */
void spin_unlock_no_resched(struct spinlock *l);
/* Reports unless this CPU holds it. */
void spin_assert_held(const struct spinlock *l);

#else

/* Waits for the ticket. */
void spin_lock_slow(struct spinlock *l, u32 ticket);

static __always_inline void spin_lock(struct spinlock *l)
{
	u32 old;

	preempt_disable();
	old = __atomic_fetch_add(&l->tickets, SPIN_TICKET_ONE, __ATOMIC_ACQUIRE);
	if (unlikely((u16)old != (u16)(old >> 16)))
		spin_lock_slow(l, old >> 16);
}

static __always_inline void spin_lock_nested(struct spinlock *l)
{
	spin_lock(l);
}

static __always_inline bool __must_check spin_trylock(struct spinlock *l)
{
	u32 old = __atomic_load_n(&l->tickets, __ATOMIC_RELAXED);

	if ((u16)old != (u16)(old >> 16))
		return false;
	preempt_disable();
	if (likely(__atomic_compare_exchange_n(&l->tickets, &old, old + SPIN_TICKET_ONE, false,
					       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		return true;
	preempt_enable();
	return false;
}

/* Only the holder writes the low half. */
static __always_inline void spin_release(struct spinlock *l)
{
	u16 *serving = (u16 *)&l->tickets;

	__atomic_store_n(serving, (u16)(__atomic_load_n(serving, __ATOMIC_RELAXED) + 1), __ATOMIC_RELEASE);
}

static __always_inline void spin_unlock(struct spinlock *l)
{
	spin_release(l);
	preempt_enable();
}

static __always_inline void spin_unlock_no_resched(struct spinlock *l)
{
	spin_release(l);
	preempt_enable_no_resched();
}

static __always_inline void spin_assert_held(const struct spinlock *l)
{
	(void)l;
}

#endif

/*
 * The run queue's lock is taken by the thread that leaves and released by the one that comes. The CPU is the
 * same, which is all that the debug kernel looks at; these two mark the places.
 */
static __always_inline void lock_handoff_out(struct spinlock *l)
{
	spin_assert_held(l);
}

static __always_inline void lock_handoff_in(struct spinlock *l)
{
	spin_assert_held(l);
}

static __always_inline irqflags_t __must_check spin_lock_irqsave(struct spinlock *l)
{
	irqflags_t f = hal_irq_save();

	spin_lock(l);
	return f;
}

/* Interrupts come back before preemption, so that a wanted reschedule happens here. */
static __always_inline void spin_unlock_irqrestore(struct spinlock *l, irqflags_t f)
{
#if HALCYON_DEBUG
	preempt_disable();
	spin_unlock(l);
#else
	spin_release(l);
#endif
	hal_irq_restore(f);
	preempt_enable();
}

/* Interrupts are known to be on. */
static __always_inline void spin_lock_irq(struct spinlock *l)
{
	hal_irq_disable();
	spin_lock(l);
}

static __always_inline void spin_unlock_irq(struct spinlock *l)
{
#if HALCYON_DEBUG
	preempt_disable();
	spin_unlock(l);
#else
	spin_release(l);
#endif
	hal_irq_enable();
	preempt_enable();
}

#endif
