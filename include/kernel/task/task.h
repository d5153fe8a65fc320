/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_TASK_H
#define KERNEL_TASK_TASK_H

/*
 * A task is one thread of a user process: what clone(2) makes. It embeds the
 * scheduler's struct thread; kernel threads are bare struct threads and have
 * no task.
 *
 * Life: made by proc_fork() with two references (running, attached), attached
 * to its pid and process under task_tree_lock; proc_exit_task() makes it a
 * zombie; it is detached by itself, or, if it leads its group, by whoever
 * waits for the process. Memory is freed a grace period after the last
 * reference, so look-ups under RCU may read it and must take references with
 * task_get_not_zero().
 *
 * Keys: [I] immutable, [a] atomic, [o] only the task itself writes, others
 * may read with READ_ONCE, [p] only the task itself, [r] RCU for readers,
 * [s] process.siglock, [t] task_tree_lock, [l] task.lock.
 */
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/thread.h>
#include <kernel/task/sigstate.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct cred;
struct files;
struct mempolicy;
struct fs_context;
struct pid;
struct process;

/* task.jobctl: the pending side of a group stop. */
#define JOBCTL_STOP_SIGMASK	0x0000ffffU
#define JOBCTL_STOP_PENDING	0x00010000U
#define JOBCTL_STOP_CONSUME	0x00020000U	/* counts in process.group_stop_count */
#define JOBCTL_STOP_DEQUEUED	0x00040000U	/* took a stop signal; SIGCONT in between undoes it */

/* task.flags [o] */
#define TASK_EXITING		0x0001U		/* in proc_exit_task() */
#define TASK_FORKNOEXEC		0x0002U		/* forked and has not exec'ed since */
#define TASK_SUPERPRIV		0x0004U		/* used a capability */
#define TASK_NPROC_EXCEEDED	0x0008U		/* setuid went past RLIMIT_NPROC: execve fails */
#define TASK_RESTORE_MASK	0x0010U		/* saved_mask goes back after delivery */
#define TASK_VFORKING		0x0020U		/* waits for its vfork child */

enum task_exit_state {
	TASK_ALIVE,
	TASK_ZOMBIE,		/* waits to be reaped */
	TASK_DEAD,		/* detached */
};

struct task {
	struct thread thread;		/* first: current_task() is a cast */
	struct process *process;	/* [I] holds a reference */
	struct pid *pid;		/* [t] changes only when exec takes the leader's */
	const struct cred *cred;	/* [r] acts as */
	const struct cred *real_cred;	/* [r] is */
	struct files *files;		/* [o] under [l]; others take [l] */
	struct fs_context *fs;		/* [o] under [l]; others take [l] */
	struct spinlock lock;
	u32 flags;			/* [o] */
	refcount_t ref;			/* [a] */

	/* Signals */
	sigset64_t blocked;		/* [o] under [s] */
	sigset64_t real_blocked;	/* [s] the mask while sigtimedwait opens a part of it, else 0 */
	sigset64_t saved_mask;		/* [p] for sigsuspend, ppoll: see TASK_RESTORE_MASK */
	struct sigpending pending;	/* [s] sent to this thread */
	u32 jobctl;			/* [s] */
	stack_t altstack;		/* [p] */
	struct restart_block restart;	/* [p] */

	/* What a thread library asked for */
	uptr_t clear_child_tid;		/* [p] */
	uptr_t set_child_tid;		/* [p] */
	uptr_t robust_list;		/* [o] */
	u64 robust_len;			/* [o] */
	uptr_t rseq;			/* [p] see proc/rseq.h; NULL: none */
	u32 rseq_signature;		/* [p] */

	/* Exit */
	u8 exit_state;			/* [t] enum task_exit_state */
	u8 pdeath_signal;		/* [o] */
	u8 watch;			/* [t] WATCH_*, read anywhere: task/watch.h */
	bool no_new_privs;		/* [o] set once */
	int exit_code;			/* [t] wait status */
	struct completion *vfork_done;	/* [l] whom vfork keeps waiting */
	struct list_head thread_node;	/* [t] and [s]; [r] */

	/* Accounting */
	u64 start_ns;			/* [I] monotonic (boot time for ps) */
	u64 min_flt, maj_flt;		/* [o] */
	u64 default_timer_slack_ns;	/* [I] thread.slack_ns is the one in force */
	u64 ioac_rchar, ioac_wchar;	/* [o] */
	u32 personality;		/* [o] */
	u16 ioprio;			/* [a] ioprio_set(2) */

	/* Memory policy: mm/mempolicy.h */
	struct mempolicy *mempolicy;	/* [o] counted; NULL: near memory */
	struct mempolicy *area_policy;	/* [p] of the area whose object gets a page right now, or NULL */
	u32 interleaved;		/* [p] the node that MPOL_INTERLEAVE took last */

#if HALCYON_DEBUG
	u32 fail_nth;			/* [a] its n-th allocation from here fails; 0: none (debug/failslab.h) */
	bool make_it_fail;		/* [a] subject to failslab's task-filter */
#endif
	void (*notify)(struct task *);	/* [a] run at exit to user on HAL_WORK_NOTIFY */
	struct rcu_head rcu;
};

static inline struct task *thread_task(struct thread *t)
{
	return container_of(t, struct task, thread);
}

/* The running task. Not for kernel threads: see task_current_or_null(). */
static inline struct task *current_task(void)
{
	return thread_task(current_thread());
}

/* NULL in a kernel thread. */
static inline struct task *task_current_or_null(void)
{
	struct thread *t = current_thread();

	return t && (t->flags & THREAD_USER) ? thread_task(t) : NULL;
}

static inline struct task *task_get(struct task *t)
{
	refcount_get(&t->ref);
	return t;
}

static inline bool __must_check task_get_not_zero(struct task *t)
{
	return refcount_get_not_zero(&t->ref);
}

/* Any context. The last one frees after a grace period. */
void task_put(struct task *t);

/* The tree of processes, groups, sessions and thread lists; irq-safe. */
extern struct spinlock task_tree_lock;

/* At boot, after mm and sched: caches, the limits derived from RAM, pids, users, creds. */
void task_init(void);

/* An empty task, nothing but lists and locks initialised, one reference. NULL without memory. */
struct task *task_alloc(void);

/* How many tasks there are, may be, and have ever been made. */
int task_count(void);
int task_max(void);
u64 task_forks_total(void);
/* Takes a place below task_max(): false when there is none. */
bool __must_check task_count_inc(void);
void task_count_dec(void);

/* The task's name (comm), at most 15 bytes and a NUL. */
#define TASK_COMM_LEN 16
void task_set_comm(struct task *t, const char *name);
void task_get_comm(struct task *t, char buf[TASK_COMM_LEN]);

/* Credentials of another task, with a reference. */
const struct cred *task_cred_get(struct task *t);

#endif
