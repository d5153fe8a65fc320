/*
 * Sleeping locks: mutex and reader-writer semaphore.
 *
 * Both are ranked like spinlocks (their ranks are the outer ones) and checked by the debug kernel.
 * A mutex has an owner; only the owner unlocks it. Waiters queue in FIFO order.
 *
 * Waiters of a rwsem do too, readers and writers in one queue; a free one may be taken by a running thread ahead of a waiter
 * that still has to wake up, but a waiter that has woken once and lost is the next, so that nobody starves. New readers do not
 * join those that have it while somebody waits. Read sections do not nest.
 */
#pragma once

#include <kernel/core/lockrank.h>
#include <kernel/sched/wait.h>

struct mutex {
	u64 owner; /* [a] struct thread * | MUTEX_WAITERS; 0 free */
	struct waitq waiters;
	struct lock_class_ref dep; /* [I] name and rank, debug only */
};

void mutex_init(struct mutex *m, const char *name, u32 rank);
void mutex_lock(struct mutex *m);
/* A mutex of the same rank may be held: the caller keeps an order of its own, named where it calls. */
void mutex_lock_nested(struct mutex *m);
/* 0 or -EINTR when a fatal signal came first. */
int __must_check mutex_lock_killable(struct mutex *m);
/* 0 or -ERESTARTSYS when a signal came first. */
int __must_check mutex_lock_interruptible(struct mutex *m);
bool __must_check mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_mine(const struct mutex *m);

struct rwsem {
	u64 count; /* [a] readers, RWSEM_WRITER, RWSEM_WAITERS, RWSEM_HANDOFF */
	struct thread *writer; /* [a] for reports */
	struct waitq waiters;
	struct lock_class_ref dep;
};

void rwsem_init(struct rwsem *s, const char *name, u32 rank);
void rwsem_read_lock(struct rwsem *s);
bool __must_check rwsem_read_trylock(struct rwsem *s);
void rwsem_read_unlock(struct rwsem *s);
void rwsem_write_lock(struct rwsem *s);
/* One of the same rank may be held, in an order that the caller names. */
void rwsem_write_lock_nested(struct rwsem *s);
void rwsem_read_lock_nested(struct rwsem *s);
int __must_check rwsem_write_lock_killable(struct rwsem *s); /* 0 or -EINTR */
bool __must_check rwsem_write_trylock(struct rwsem *s);
void rwsem_write_unlock(struct rwsem *s);
void rwsem_downgrade(struct rwsem *s); /* a held write lock becomes a read lock */
bool rwsem_is_locked(const struct rwsem *s);
