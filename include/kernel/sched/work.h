/*
 * Work queues: the bottom half. Interrupt handlers do what the device needs at once and queue the
 * rest as work, which runs in order in one kernel thread per queue, in thread context with interrupts
 * on: it may sleep. `system_work` is for short items; whoever may block for long makes a queue.
 */
#pragma once

#include <kernel/sched/wait.h>

struct work {
	struct list_head node; /* [workq.lock] */
	void (*fn)(struct work *w); /* [I] */
	bool queued; /* [workq.lock] */
};

struct workq {
	struct spinlock lock; /* rank LOCK_RANK_WORK */
	struct list_head items; /* [lock] */
	struct work *running; /* [lock] */
	struct waitq wait; /* the worker, and flushers */
	struct thread *worker; /* [I] */
	const char *name; /* [I] */
};

extern struct workq system_work;

int workq_init(struct workq *wq, const char *name); /* 0 or -ENOMEM; starts the thread */
void work_init(struct work *w, void (*fn)(struct work *));
bool work_queue(struct workq *wq, struct work *w); /* any context; false when it was queued already */
void workq_flush(struct workq *wq); /* waits until what is queued now has run */
void sched_purge_init(void); /* boot, after it: vfree()'d addresses are flushed a millisecond later */
void sched_work_init(void); /* boot: system_work and the RCU thread */
