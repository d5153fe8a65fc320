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
	void (*kernel_fn)(void *arg);	/* PID 1: a task that starts in the kernel */
	void *kernel_arg;
};

/*
 * Makes a task from the running one and starts it. Returns its tid or
 * -EINVAL, -EAGAIN, -ENOMEM, -EPERM, … as clone(2).
 */
long proc_fork(const struct fork_args *args);

/*
 * An open descriptor of a process, for CLONE_PIDFD and pidfd_open: makes the
 * file and reserves the number; hook of the fs layer. NULL: not there.
 */
struct pid;
struct proc_pidfd_ops {
	int (*create)(struct pid *pid, u32 flags, void **file_out);	/* fd or -errno */
	void (*install)(int fd, void *file);
	void (*abort)(int fd, void *file);
};
extern const struct proc_pidfd_ops *proc_pidfd_ops;

#endif
