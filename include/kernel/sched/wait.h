/*
 * Wait queues: the only way to block.
 *
 * A waiter links an entry into the queue, sets its state, tests its condition again and sleeps;
 * a waker changes the condition first and then wakes. Both sides take the queue's lock, so that
 * either the waiter sees the condition or the waker sees the waiter. waitq_wake_*() on an empty queue
 * costs one load after a full barrier.
 *
 * An entry has a callback, so that poll, epoll and io_uring can be told without a thread asleep.
 * Callbacks run under the queue's lock with interrupts off: they must not sleep nor take a lock of
 * outer rank.
 */
#pragma once

#include <kernel/core/spinlock.h>
#include <kernel/sched/thread.h>
#include <lib/errno.h>

struct waitq {
	struct spinlock lock; /* rank LOCK_RANK_WAITQ; taken with irqs off */
	struct list_head head; /* entries; exclusive ones at the tail [lock] */
};

#define WAIT_EXCLUSIVE (1u << 0) /* waitq_wake_nr() counts it, and stops */

struct wait_entry {
	struct list_head node; /* [waitq.lock] */
	struct thread *thread; /* [I] who sleeps; NULL when `wake` does something else */
	/* Returns 1 when it woke somebody (counts for exclusive waiters), else 0. `key`: see waitq_wake_key(). */
	int (*wake)(struct wait_entry *e, u32 key);
	u32 flags; /* [I] WAIT_EXCLUSIVE */
};

#define WAITQ_INIT(name_) \
	{ .lock = SPINLOCK_INIT("waitq", LOCK_RANK_WAITQ), .head = LIST_HEAD_INIT((name_).head) }

void waitq_init(struct waitq *q);
static inline bool waitq_active(const struct waitq *q)
{
	smp_mb();
	return !list_empty(&q->head);
}
/* For entries with a callback of their own (poll). Any context. */
void waitq_add(struct waitq *q, struct wait_entry *e);
void waitq_del(struct waitq *q, struct wait_entry *e);

/* Wakes every non-exclusive waiter and up to nr exclusive ones. key: the poll events that came true (0: any). */
void waitq_wake_key(struct waitq *q, u32 nr_exclusive, u32 key);
static inline void waitq_wake_one(struct waitq *q)
{
	if (waitq_active(q))
		waitq_wake_key(q, 1, 0);
}
static inline void waitq_wake_all(struct waitq *q)
{
	if (waitq_active(q))
		waitq_wake_key(q, ~0u, 0);
}

/* The pieces of WAIT_EVENT; use the macros. */
int wait_wake_thread(struct wait_entry *e, u32 key);
void wait_prepare(struct waitq *q, struct wait_entry *e, u32 state);
int wait_sleep(const char *why, u32 state, u64 deadline_ns);
void wait_finish(struct waitq *q, struct wait_entry *e);

#define WAIT_FOREVER (~0ull)

#define WAIT_EVENT_COMMON(q, cond, why, state_, flags_, deadline) \
	({ \
		int wait_result_ = 0; \
		might_sleep(); \
		if (!(cond)) { \
			struct wait_entry wait_entry_ = { .node = LIST_HEAD_INIT(wait_entry_.node), \
							  .thread = current_thread(), \
							  .wake = wait_wake_thread, \
							  .flags = (flags_) }; \
			for (;;) { \
				wait_prepare((q), &wait_entry_, (state_)); \
				if (cond) { \
					wait_result_ = 0; \
					break; \
				} \
				if (wait_result_) \
					break; \
				wait_result_ = wait_sleep((why), (state_), (deadline)); \
			} \
			wait_finish((q), &wait_entry_); \
		} \
		wait_result_; \
	})

/*
 * Sleep until `cond` is true. `why` is a string literal shown in /proc/PID/wchan. Thread context, no
 * spinlock held. `cond` is evaluated with the thread's state already set to sleeping: it must not
 * sleep itself (a spinlock is fine). Results: 0, -ERESTARTSYS (a signal), -ETIMEDOUT (deadline_ns, on
 * the monotonic clock, has passed); `cond` wins when it is true at the same time.
 */
#define WAIT_EVENT(q, cond, why) ((void)WAIT_EVENT_COMMON(q, cond, why, THREAD_UNINTERRUPTIBLE, 0, WAIT_FOREVER))
/* For a kernel thread that waits for work: it has no signals, and may wait for ever without being hung. */
#define WAIT_EVENT_IDLE(q, cond, why) \
	((void)WAIT_EVENT_COMMON(q, cond, why, THREAD_INTERRUPTIBLE, 0, WAIT_FOREVER))
#define WAIT_EVENT_TIMEOUT(q, cond, why, deadline_ns) \
	WAIT_EVENT_COMMON(q, cond, why, THREAD_UNINTERRUPTIBLE, 0, deadline_ns)
#define WAIT_EVENT_INTERRUPTIBLE(q, cond, why) \
	WAIT_EVENT_COMMON(q, cond, why, THREAD_INTERRUPTIBLE, 0, WAIT_FOREVER)
#define WAIT_EVENT_INTERRUPTIBLE_TIMEOUT(q, cond, why, deadline_ns) \
	WAIT_EVENT_COMMON(q, cond, why, THREAD_INTERRUPTIBLE, 0, deadline_ns)
#define WAIT_EVENT_INTERRUPTIBLE_EXCLUSIVE(q, cond, why) \
	WAIT_EVENT_COMMON(q, cond, why, THREAD_INTERRUPTIBLE, WAIT_EXCLUSIVE, WAIT_FOREVER)
#define WAIT_EVENT_KILLABLE(q, cond, why) WAIT_EVENT_COMMON(q, cond, why, THREAD_KILLABLE, 0, WAIT_FOREVER)

/*
 * Sleeps until the deadline, a wake-up or (interruptible) a signal: the caller has no condition but
 * one it tests around this, with the state set by thread_set_state() before. 0, -ETIMEDOUT, -ERESTARTSYS.
 */
int thread_sleep_until(u64 deadline_ns, u32 state, const char *why);
