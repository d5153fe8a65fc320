/* SPDX-License-Identifier: MIT */
/*
 * Work queues: the bottom half. Interrupt handlers do what the device needs at once and queue the rest as
 * work, which runs in a kernel thread, in thread context with interrupts on: it may sleep.
 *
 * A queue has one lane, or one for each CPU. A lane is a list and a thread that runs its items in order. Work goes to
 * the lane of the CPU that queues it, so what an interrupt leaves behind finds the cache warm, and CPUs do not share a
 * list. One item is never run by two lanes at a time: queued again while it runs, it follows itself.
 *
 * `system_work` has a lane for each CPU and is for short items. Who may block for long uses `unbound_work`, whose thread
 * runs anywhere, or makes a queue.
 *
 * An item may be freed by its own function, and by who has cancelled it with ..._sync(). That waits for the execution that it
 * finds, and while it does nobody can queue the item, its own function included (work_queue() says false). The item's own
 * function may call it, too: the item is then not queued, and that it still runs is its own business.
 */
#pragma once

#include <kernel/sched/timer.h>
#include <kernel/sched/wait.h>

struct cpuhp_step;
struct work_lane;

struct work {
	struct list_head node; /* [lane->lock] */
	void (*fn)(struct work *w); /* [I] */
	struct work_lane *lane; /* [a] where it was queued last; changed by whoever set `pending` */
	u32 pending; /* [a] WORK_*, work.c: whoever makes it QUEUED puts the item into a lane */
};

struct delayed_work {
	struct work work;
	struct timer timer;
	struct workq *wq; /* [work.pending] */
};

#define WORKQ_PER_CPU 1u

struct workq {
	const char *name; /* [I] */
	u32 flags; /* [I] WORKQ_PER_CPU */
	struct work_lane *one; /* [I] the lane; of CPU 0 when there are more */
	struct work_lane **lanes; /* [I] WORKQ_PER_CPU: by CPU, [a] NULL until it comes */
	struct list_head all_node; /* [workq_list_lock] */
};

extern struct workq system_work, unbound_work;

int __must_check workq_init(struct workq *wq, const char *name, u32 flags); /* 0 or -ENOMEM; starts the threads */
void workq_destroy(struct workq *wq); /* runs what is queued, ends the threads. Nobody queues any more. May sleep */

void work_init(struct work *w, void (*fn)(struct work *));
bool work_queue(struct workq *wq, struct work *w); /* any context; false when it was queued already, or is being cancelled */
bool work_queue_on(u32 cpu, struct workq *wq, struct work *w); /* the same, in that CPU's lane */
bool work_cancel(struct work *w); /* any context; true: it was queued and will not run. It may be running */
bool work_cancel_sync(struct work *w); /* the same; it is not running any more either. Thread context */
void work_flush(struct work *w); /* waits until it has run, if it was queued */
void workq_flush(struct workq *wq); /* waits until what is queued now has run */

void delayed_work_init(struct delayed_work *d, void (*fn)(struct work *));
bool delayed_work_queue(struct workq *wq, struct delayed_work *d, u64 delay_ns); /* any context; false: queued already */
void delayed_work_mod(struct workq *wq, struct delayed_work *d, u64 delay_ns); /* from now, whatever was before. Thread context */
bool delayed_work_cancel_sync(struct delayed_work *d);
static inline struct delayed_work *work_delayed(struct work *w)
{
	return container_of(w, struct delayed_work, work);
}

void workq_boot(void); /* the two queues */
void sched_work_init(void); /* boot: the two queues and the RCU thread */
void sched_purge_init(void); /* boot, after it: vfree()'d addresses are flushed a millisecond later */
extern const struct cpuhp_step work_cpuhp; /* after sched_cpuhp */
