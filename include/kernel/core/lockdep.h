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
 * Implementers of sleeping locks embed a struct lock_class_ref and call lock_dep_acquire() when they are about to take
 * the lock, lock_dep_waited() when that took a wait, lock_dep_acquire_try() after a successful try-lock (which cannot
 * deadlock, so no order is checked), and lock_dep_release(). `place` is who asked: _RET_IP_.
 *
 * The same book keeps the statistics of lockstat.h.
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
	u16 rank;		/* [I] enum lock_rank */
	u8 class;		/* [a] lockstat.h's number; 0: not looked up yet */
};
#define LOCK_CLASS_INIT(name_, rank_) { .name = (name_), .rank = (rank_) }

#define LOCK_HELD_MAX 24

struct lock_held {
	const void *lock;
	const char *name;
	vaddr_t place;		/* where it was taken */
	u64 since;		/* hal_cycles() when it was ours */
	u32 rank;
	u32 class;
};

/* [own] only the CPU or thread that it belongs to changes it. Zeroed: holds nothing. */
struct lock_held_stack {
	u32 depth;
	struct lock_held held[LOCK_HELD_MAX];
};

static inline void lock_dep_init(struct lock_class_ref *c, const char *name, u32 rank)
{
	c->name = name;
	c->rank = (u16)rank;
	c->class = 0;
}

/* Checks the order and notes the lock. */
void lock_dep_acquire(struct lock_class_ref *c, vaddr_t place);
/* The same, but equal rank is fine: the caller keeps an order of its own, which it names. */
void lock_dep_acquire_nested(struct lock_class_ref *c, vaddr_t place);
void lock_dep_acquire_try(struct lock_class_ref *c, vaddr_t place);
/* The lock that was noted is ours now, after a wait of so many hal_cycles(). */
void lock_dep_waited(struct lock_class_ref *c, u64 cycles);
/* Reports when the thread does not hold it. */
void lock_dep_release(struct lock_class_ref *c);
/* Does the thread hold it? Always true in the release kernel: for assertions only. */
bool lock_dep_held(const struct lock_class_ref *c);
/* Reports when the caller holds any lock: on the way to user mode, at a thread's end. */
void lock_dep_assert_none(const char *where);
/* Reports when the memory, which is being freed, contains a lock that this CPU or thread holds. Any context. */
void lock_dep_assert_freed(const void *p, size_t n);
/* User memory is about to be touched: a fault takes locks from LOCK_RANK_SPACE on. Reports what forbids that. */
void lock_dep_assert_may_fault(const char *file, int line);
/* Around an interrupt: what it took it must have given back. Interrupts off. */
void lock_dep_irq_enter(void);
void lock_dep_irq_exit(void);

/* Writes what this CPU and thread hold, through emit, a line each. Any context. */
void lock_dep_report(void (*emit)(const char *line, size_t n));
/* The spinlocks of a CPU; racy for another one. NULL: no such CPU. */
const struct lock_held_stack *lock_dep_cpu_stack(u32 cpu);
/* Describes entry i of a stack in a line without line feed; 0: there is no such entry. Any context. */
size_t lock_dep_describe(const struct lock_held_stack *s, u32 i, char *buf, size_t n);
/* The innermost spinlock of this CPU in words, or "no spinlock". Preemption off. */
void lock_dep_innermost(char *buf, size_t n);

#else

struct lock_class_ref {};
#define LOCK_CLASS_INIT(name_, rank_) {}
struct lock_held_stack {};

static inline void lock_dep_init(struct lock_class_ref *c, const char *name, u32 rank)
{
	(void)c, (void)name, (void)rank;
}

static inline void lock_dep_acquire(struct lock_class_ref *c, vaddr_t place)
{
	(void)c, (void)place;
}

static inline void lock_dep_acquire_nested(struct lock_class_ref *c, vaddr_t place)
{
	(void)c, (void)place;
}

static inline void lock_dep_acquire_try(struct lock_class_ref *c, vaddr_t place)
{
	(void)c, (void)place;
}

static inline void lock_dep_release(struct lock_class_ref *c)
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

static inline void lock_dep_waited(struct lock_class_ref *c, u64 cycles)
{
	(void)c, (void)cycles;
}

static inline void lock_dep_assert_freed(const void *p, size_t n)
{
	(void)p, (void)n;
}

static inline void lock_dep_irq_enter(void)
{
}

static inline void lock_dep_irq_exit(void)
{
}

static inline void lock_dep_report(void (*emit)(const char *line, size_t n))
{
	(void)emit;
}

#endif

/* [I] Set by sched at boot: the stack of the running thread; may return NULL. */
extern struct lock_held_stack *(*lock_dep_thread_hook)(void);
/* [I] Set by sched: a thread in words; buf is never empty. The thread may be gone: it is only looked at. Any context. */
extern void (*lock_dep_name_hook)(const struct thread *t, char *buf, size_t n);

#endif
