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
 * Implementers of sleeping locks embed a struct lock_class_ref and call lock_dep_acquire() when they take the
 * lock, lock_dep_acquire_try() after a successful try-lock (which cannot deadlock, so no order is checked), and
 * lock_dep_release(). `place` is who asked: _RET_IP_.
 */
#include <kernel/core/lockrank.h>
#include <lib/compiler.h>

struct thread;

/* The address that the running function returns to. */
#define _RET_IP_ ((vaddr_t)(uintptr_t)__builtin_return_address(0))

#if HALCYON_DEBUG

/* Name and rank of a lock; part of the lock, and its identity. */
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
};

/* [own] only the CPU or thread that it belongs to touches it. Zeroed: holds nothing. */
struct lock_held_stack {
	u32 depth;
	struct lock_held held[LOCK_HELD_MAX];
};

static inline void lock_dep_init(struct lock_class_ref *c, const char *name, u32 rank)
{
	c->name = name;
	c->rank = rank;
}

/* Checks the order and notes the lock. */
void lock_dep_acquire(const struct lock_class_ref *c, vaddr_t place);
/* The same, but equal rank is fine: the caller keeps an order of its own, which it names. */
void lock_dep_acquire_nested(const struct lock_class_ref *c, vaddr_t place);
void lock_dep_acquire_try(const struct lock_class_ref *c, vaddr_t place);
/* Panics when the thread does not hold it. */
void lock_dep_release(const struct lock_class_ref *c);
/* Does the thread hold it? Always true in the release kernel: for assertions only. */
bool lock_dep_held(const struct lock_class_ref *c);
/* Panics when the caller holds any lock: on the way to user mode, at a thread's end. */
void lock_dep_assert_none(const char *where);
/* Writes what this CPU and thread hold, through emit, a line each. Any context. */
void lock_dep_report(void (*emit)(const char *line, size_t n));

#else

struct lock_class_ref {};
#define LOCK_CLASS_INIT(name_, rank_) {}
struct lock_held_stack {};

static inline void lock_dep_init(struct lock_class_ref *c, const char *name, u32 rank)
{
	(void)c, (void)name, (void)rank;
}

static inline void lock_dep_acquire(const struct lock_class_ref *c, vaddr_t place)
{
	(void)c, (void)place;
}

static inline void lock_dep_acquire_nested(const struct lock_class_ref *c, vaddr_t place)
{
	(void)c, (void)place;
}

static inline void lock_dep_acquire_try(const struct lock_class_ref *c, vaddr_t place)
{
	(void)c, (void)place;
}

static inline void lock_dep_release(const struct lock_class_ref *c)
{
	(void)c;
}

static inline bool lock_dep_held(const struct lock_class_ref *c)
{
	(void)c;
	return true;
}

static inline void lock_dep_assert_none(const char *where)
{
	(void)where;
}

static inline void lock_dep_report(void (*emit)(const char *line, size_t n))
{
	(void)emit;
}

#endif

/* [I] Set by sched at boot: the stack of the running thread; may return NULL. */
extern struct lock_held_stack *(*lock_dep_thread_hook)(void);

#endif
