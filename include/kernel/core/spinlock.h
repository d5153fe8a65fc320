/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_SPINLOCK_H
#define KERNEL_CORE_SPINLOCK_H

/*
 * Spinlocks, which switch preemption off.
 *
 * The word is 0 when the lock is free and nobody waits: taking it then is one compare-and-exchange to SPIN_LOCKED. Its low
 * byte says that it is held, and only the holder clears it; the high half names the last CPU of the queue of those who
 * wait (spinlock.c), while there is one nobody else gets in between. On a CPU that may be taken away from us at any
 * moment (a virtual machine's) there is no queue: who sees the lock free first takes it.
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
	u32 word;			/* [a] SPIN_LOCKED | last in the queue << SPIN_TAIL_SHIFT */
#if HALCYON_DEBUG
	u8 rank;			/* [I] */
	u8 class;			/* [a] lockstat.h's number; 0: not looked up yet */
	u16 cpu;			/* [holder] */
	const char *name;		/* [I] */
	vaddr_t place;			/* [holder] where it was taken; 0: free */
	struct thread *thread;		/* [holder] */
#endif
};

#define SPIN_LOCKED	1u
#define SPIN_TAIL_SHIFT	16u

#if HALCYON_DEBUG
#define SPINLOCK_INIT(name_, rank_) { .word = 0, .rank = (rank_), .name = (name_) }
#else
#define SPINLOCK_INIT(name_, rank_) { .word = 0 }
#endif

/* name: a literal. rank: enum lock_rank. */
static inline void spin_init(struct spinlock *l, const char *name, u32 rank)
{
	(void)name, (void)rank;
	l->word = 0;
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
	return __atomic_load_n(&l->word, __ATOMIC_RELAXED) & SPIN_LOCKED;
}

/* [a] One step: the lock was free and is ours now. */
static __always_inline bool spin_take_free(struct spinlock *l)
{
	u32 old = 0;

	return __atomic_compare_exchange_n(&l->word, &old, SPIN_LOCKED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* The holder alone. */
static __always_inline void spin_clear(struct spinlock *l)
{
	__atomic_store_n((u8 *)&l->word, 0, __ATOMIC_RELEASE);
}

#if HALCYON_DEBUG

/* A spin of this length is worth a report: longer than a busy host takes a virtual CPU away from a lock's holder. Self tests shorten it. */
#define SPIN_REPORT_NS 10000000000ull
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

/* Waits. Preemption off. */
void spin_lock_slow(struct spinlock *l);

static __always_inline void spin_lock(struct spinlock *l)
{
	preempt_disable();
	if (unlikely(!spin_take_free(l)))
		spin_lock_slow(l);
}

static __always_inline void spin_lock_nested(struct spinlock *l)
{
	spin_lock(l);
}

static __always_inline bool __must_check spin_trylock(struct spinlock *l)
{
	if (__atomic_load_n(&l->word, __ATOMIC_RELAXED))
		return false;
	preempt_disable();
	if (likely(spin_take_free(l)))
		return true;
	preempt_enable();
	return false;
}

static __always_inline void spin_release(struct spinlock *l)
{
	spin_clear(l);
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
