/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_PID_H
#define KERNEL_TASK_PID_H

/*
 * A struct pid is a number in use: as a thread (tid), as a process (tgid), as
 * a process group or as a session. The number goes back to the allocator when
 * none of the four uses is left; the memory lives as long as references do.
 * So a tty or a file owner that keeps a struct pid can never reach a stranger
 * that got the number later.
 *
 * Look-up by number is one two-level table read under RCU and writes nothing.
 */
#include <kernel/core/rcu.h>
#include <kernel/sched/wait.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct task;
struct process;

#define PID_MAX_MIN	32768	/* pid_max never below; Linux: PID_MAX_DEFAULT */
#define PID_RESERVED	300	/* after the first wrap numbers below are not handed out */

/*
 * Keys: [I] immutable, [a] atomic, [r] RCU for readers and task_tree_lock for
 * writers, [t] task_tree_lock.
 */
struct pid {
	int nr;				/* [I] */
	refcount_t ref;			/* [a] */
	struct task *task;		/* [r] the thread with this tid */
	struct process *process;	/* [r] the process with this tgid */
	struct list_head pgrp_members;	/* [t] process.pgrp_node */
	struct list_head session_members; /* [t] process.session_node */
	struct waitq exit_waitq;	/* pidfd pollers: woken when the process can be waited for */
	struct rcu_head rcu;
};

/* At boot, after mm. Panics without memory. */
void pid_init(void);

/*
 * A new number with one reference, not visible to look-ups until
 * pid_attach_*. *out is set on success. -EAGAIN when all numbers are in use,
 * -ENOMEM. wanted 0: the next free one in cyclic order; else exactly that
 * one (-EEXIST).
 */
int __must_check pid_alloc(int wanted, struct pid **out);
/* Gives back a number that was never attached. */
void pid_free_unused(struct pid *pid);

static inline struct pid *pid_get(struct pid *pid)
{
	if (pid)
		refcount_get(&pid->ref);
	return pid;
}

void pid_put(struct pid *pid);

/* Under rcu_read_lock(); the result is valid until the unlock. */
struct pid *pid_find_rcu(int nr);
/* With a reference, or NULL. */
struct pid *pid_find_get(int nr);
/* For debug commands: the task of that number, under no lock and from a table that may be damaged. False: none. */
bool pid_peek(int nr, struct task **out);
/* The first used number >= nr, with a reference, or NULL: walks /proc. */
struct pid *pid_next_get(int nr);

/* With a reference to what is found, or NULL. Any context. */
struct task *task_by_tid(int tid);
struct process *process_by_pid(int nr);

/*
 * The table's side of attach and detach, task_tree_lock held. Detaching the
 * last use frees the number.
 */
void pid_publish_locked(struct pid *pid);
void pid_release_if_unused_locked(struct pid *pid);

static inline int pid_nr(const struct pid *pid)
{
	return pid ? pid->nr : 0;
}

int pid_max(void);
/* The number handed out last (/proc/loadavg's last field). */
int pid_last(void);

#endif
