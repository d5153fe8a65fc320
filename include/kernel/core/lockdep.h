/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_LOCKDEP_H
#define KERNEL_CORE_LOCKDEP_H

/*
 * What the debug kernel knows about held locks. In the release kernel all of it is empty.
 *
 * Two stacks. Spinlocks are noted per CPU: their holder cannot leave the CPU, an interrupt nests
 * strictly inside what it interrupted (and must respect its ranks: it extends that critical section),
 * and the run queue's lock, which one thread takes and the next one releases, needs no special case.
 * Sleeping locks are noted per thread, in a struct lock_held_stack that the scheduler embeds in its
 * threads and finds for us through lockdep_thread_hook.
 *
 * For users of spinlocks there is nothing here but lockdep_held(). Implementers of sleeping locks call
 * lockdep_acquire() before they may wait, lockdep_acquired() when they have the lock, and
 * lockdep_release(). A try-lock calls only the latter two.
 */
#include <kernel/core/lockrank.h>
#include <lib/compiler.h>

struct thread;

/* acquire flags */
#define LOCKDEP_NESTED	0x1u	/* equal rank is fine: the caller keeps an order of its own */
#define LOCKDEP_SHARED	0x2u	/* a read lock; for the report */

#if HALCYON_DEBUG

/* Name and rank of a lock; part of the lock. */
struct lock_class_ref {
	const char *name;	/* [I] a literal */
	u32 rank;		/* [I] enum lock_rank */
};
#define LOCK_CLASS_INIT(name_, rank_) { .name = (name_), .rank = (rank_) }

#define LOCK_HELD_MAX 24

struct lock_held {
	const void *lock;
	const char *name;
	vaddr_t place;		/* where it was taken */
	u32 rank;
	u32 flags;
};

/* [own] only the CPU or thread that it belongs to touches it */
struct lock_held_stack {
	u32 depth;
	struct lock_held held[LOCK_HELD_MAX];
};

static inline void lock_class_init(struct lock_class_ref *c, const char *name, u32 rank)
{
	c->name = name;
	c->rank = rank;
}

/* Checks the order, and that the caller may sleep. place: who asks. */
void lockdep_acquire(const void *lock, const struct lock_class_ref *c, u32 flags, vaddr_t place);
void lockdep_acquired(const void *lock, const struct lock_class_ref *c, u32 flags, vaddr_t place);
/* Panics when the thread does not hold it. */
void lockdep_release(const void *lock, const struct lock_class_ref *c);
/* Does this thread or CPU hold that lock (sleeping or spinning)? */
bool lockdep_held(const void *lock);
/* Panics when the caller holds any lock: return to user mode, thread exit. */
void lockdep_assert_none(const char *where);
/* Writes what this CPU and thread hold to the log at level error. */
void lockdep_print_held(void);

#else

struct lock_class_ref {};
#define LOCK_CLASS_INIT(name_, rank_) {}
struct lock_held_stack {};

static inline void lock_class_init(struct lock_class_ref *c, const char *name, u32 rank)
{
	(void)c, (void)name, (void)rank;
}

static inline void lockdep_acquire(const void *lock, const struct lock_class_ref *c, u32 flags, vaddr_t place)
{
	(void)lock, (void)c, (void)flags, (void)place;
}

static inline void lockdep_acquired(const void *lock, const struct lock_class_ref *c, u32 flags, vaddr_t place)
{
	(void)lock, (void)c, (void)flags, (void)place;
}

static inline void lockdep_release(const void *lock, const struct lock_class_ref *c)
{
	(void)lock, (void)c;
}

/* Unknown in the release kernel: only for assertions. */
static inline bool lockdep_held(const void *lock)
{
	(void)lock;
	return true;
}

static inline void lockdep_assert_none(const char *where)
{
	(void)where;
}

static inline void lockdep_print_held(void)
{
}

#endif

/* [I] Set by sched at boot: the stack of a thread. NULL before. */
extern struct lock_held_stack *(*lockdep_thread_hook)(struct thread *t);

/* The caller's own address: for `place`. */
#define LOCKDEP_CALLER ((vaddr_t)(uintptr_t)__builtin_return_address(0))

#endif
