/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_PROCESS_H
#define KERNEL_TASK_PROCESS_H

/*
 * A process is a thread group: what its threads share by definition.
 * (Address space and signal actions may be shared wider, by clone flags, and
 * are objects of their own.) It is in the tree from fork until it is reaped.
 *
 * Keys: [I] immutable, [a] atomic, [r] RCU for readers, [s] siglock (irq-safe),
 * [t] task_tree_lock, [ts] written under both, read under either,
 * [x] written by its own thread in exec or exit while no other runs.
 */
#include <abi/linux/resource.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/wait.h>
#include <kernel/task/sigstate.h>
#include <lib/atomic.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct file;
struct pid;
struct process_timers;
struct sighand;
struct task;
struct tty;
struct vm_space;

/* process.sigflags [s] */
#define PROCESS_STOPPED		0x01U	/* all threads are in the group stop */
#define PROCESS_CONTINUED	0x02U	/* SIGCONT came since: WCONTINUED */
#define PROCESS_GROUP_EXIT	0x04U	/* group_exit_code is the status */
#define PROCESS_CLD_STOPPED	0x10U	/* tell the parent: CLD_STOPPED */
#define PROCESS_CLD_CONTINUED	0x20U
#define PROCESS_CLD_MASK	0x30U
#define PROCESS_UNKILLABLE	0x40U	/* PID 1: signals without a handler do nothing */

/* process.dumpable, PR_SET_DUMPABLE's values */
#define DUMPABLE_NO	0
#define DUMPABLE_USER	1
#define DUMPABLE_ROOT	2

/* Sums over threads that are gone, or over reaped children. */
struct process_usage {
	u64 utime_ns, stime_ns;
	u64 min_flt, maj_flt;
	u64 nvcsw, nivcsw;
	u64 inblock, oublock;
	u64 maxrss_kib;
};

struct process {
	struct spinlock siglock;
	refcount_t ref;			/* [a] */
	struct pid *pid;		/* [I] the tgid; holds a reference */
	struct task *leader;		/* [t] exec replaces it */
	struct list_head threads;	/* [ts] task.thread_node, [r] */
	int nr_threads;			/* [ts] attached, the zombie leader too */
	atomic_t live_threads;		/* [a] not yet in exit */
	atomic_t space_threads;		/* [a] that still need the space; the last one drops it */

	struct vm_space *space;		/* [x] others: process_space_get() */
	struct sighand *sighand;	/* [x]; NULL once exited */
	struct file *exe;		/* [s] */
	struct tty *tty;		/* [s] controlling terminal, shared by the session */

	/* Signals */
	struct sigpending pending;	/* [s] sent to the process */
	struct sigqueue *sigqueue_spare; /* [s] for the next signal; NULL: from the cache */
	struct task *sig_target;	/* [s] who was chosen last */
	u32 sigflags;			/* [s] */
	int group_stop_count;		/* [s] threads that must still stop */
	int group_exit_code;		/* [s] */
	struct task *group_exec;	/* [s] the thread whose exec kills the others */

	/* The tree */
	struct process *parent;		/* [t] [r] */
	struct task *parent_task;	/* [t] the thread that forked us; never dereferenced unlocked */
	struct list_head children;	/* [t] process.sibling */
	struct list_head sibling;	/* [t] */
	struct list_head pgrp_node;	/* [t] */
	struct list_head session_node;	/* [t] */
	struct pid *pgrp;		/* [t] [r] */
	struct pid *session;		/* [t] [r] */
	struct waitq child_wait;	/* wait4 sleeps here */
	int exit_signal;		/* [t] to the parent when the process ends; 0: none */
	bool session_leader;		/* [t] */
	bool child_subreaper;		/* [a] */
	bool has_child_subreaper;	/* [a] an ancestor is one */
	bool did_exec;			/* [t] setpgid: EACCES */
	u32 exec_id;			/* [t] counts execve: see parent_exec_id */
	u32 access_seq;			/* [a] odd while execve exchanges memory and identity: proc/access.h */
	u32 parent_exec_id;		/* [t] the parent's at fork: if it changed, exit_signal becomes SIGCHLD */
	u8 dumpable;			/* [a] DUMPABLE_* */
	short oom_score_adj;		/* [a] */
	short oom_score_adj_min;	/* [a] */

	struct rlimit64 rlim[RLIM_NLIMITS]; /* [l] rlim_lock, single words read unlocked */
	struct spinlock rlim_lock;

	struct process_usage dead_threads; /* [s] */
	struct process_usage children_usage; /* [s] */
	struct process_timers *timers;	/* [s] [r] set once: proc/timers.h; NULL: never had one */
	u64 cpu_check_ns;		/* [a] no look at its CPU time for timers and limits before then; ~0: there are none */
	struct rcu_head rcu;
};

/*
 * [I] Set by the syscall layer: the last thread of the process exits, its timers go. Called in thread context
 * without locks, before nobody can set one any more; stops process.timers.
 */
extern void (*process_itimer_exit_hook)(struct process *p);

extern struct process *process_init_task;	/* PID 1, [I] after it started */

static inline struct process *process_get(struct process *p)
{
	refcount_get(&p->ref);
	return p;
}

static inline bool __must_check process_get_not_zero(struct process *p)
{
	return refcount_get_not_zero(&p->ref);
}

void process_put(struct process *p);

/* Lists, locks and counters; one reference. NULL without memory. */
struct process *process_alloc(void);
void process_init(void);

/* The process of the running task; not for kernel threads. */
struct process *current_process(void);

/*
 * The address space with a reference (drop it with vm_space_put), NULL if
 * the process has none any more. The hook is vm_space_get_not_zero().
 */
struct vm_space *process_space_get(struct process *p);
extern bool (*process_space_get_hook)(struct vm_space *space);

/* User and system time and faults of all threads, dead and alive. */
void process_usage_sum(struct process *p, struct process_usage *out);
/* The same with siglock held. */
void process_usage_sum_locked(struct process *p, struct process_usage *out);
void process_usage_add(struct process_usage *to, const struct process_usage *from);
/* One live thread's share. */
void task_usage(struct task *t, struct process_usage *out);

/* Next or first process with pid >= nr, with a reference, for /proc. */
struct process *process_next_get(int nr);

/* task_tree_lock held. */
#define for_each_thread(p, t) list_for_each_entry(t, &(p)->threads, thread_node)
#define for_each_thread_rcu(p, t) list_for_each_entry_rcu(t, &(p)->threads, thread_node)

/* Tree operations under task_tree_lock and p->siglock (fork, exit). */
void process_attach_task_locked(struct process *p, struct task *t);
void process_detach_task_locked(struct task *t);

#endif
