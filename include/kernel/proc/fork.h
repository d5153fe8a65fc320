/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_FORK_H
#define KERNEL_PROC_FORK_H

#include <abi/linux/sched.h>
#include <lib/types.h>

struct hal_regs;
struct task;

/* What clone3(2) takes, checked by proc_fork(). */
struct fork_args {
	u64 flags;
	uptr_t pidfd;
	uptr_t child_tid;
	uptr_t parent_tid;
	int exit_signal;
	u64 stack;		/* the child's initial stack pointer; 0: the parent's */
	u64 tls;
	int set_tid;		/* 0: any */
};

/*
 * Makes a task from the running one and starts it. Returns its tid or
 * -EINVAL, -EAGAIN, -ENOMEM, -EPERM, … as clone(2).
 */
long proc_fork(const struct fork_args *args);

/* Where a dying thread ends up when it is off its CPU: thread.release of every task. */
struct thread;
void proc_task_release(struct thread *thread);

#endif
