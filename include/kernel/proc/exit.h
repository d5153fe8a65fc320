/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_EXIT_H
#define KERNEL_PROC_EXIT_H

#include <abi/linux/resource.h>
#include <abi/linux/signal.h>
#include <lib/compiler.h>

struct pid;
struct process;
struct process_usage;

/* Ends the calling thread with a wait status as wait4 reports it (code << 8, or a signal). */
void proc_exit_task(int status) __noreturn;
/* Ends the whole process. */
void proc_exit_group(int status) __noreturn;

#if HALCYON_DEBUG
/*
 * Ends every process, PID 1 at last, and reaps them: the machine is about to go down. Kernel thread. Returns how
 * many tasks are still there after patience_ns. [a] proc_ending: from then on fork fails and PID 1 may end.
 */
int proc_end_all(u64 patience_ns);
extern bool proc_ending;
#else
#define proc_ending false
#endif

/* What proc_wait() looks for and what it found. */
struct wait_args {
	int which;		/* P_ALL, P_PID, P_PGID; P_PIDFD: `pidfd` says who */
	int id;
	struct pid *pidfd;	/* with P_PIDFD */
	int options;		/* WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL … */
	int pid;		/* out: who, 0 with WNOHANG */
	int status;		/* out: for wait4 */
	int code;		/* out: si_code CLD_* */
	int exit_status;	/* out: si_status */
	u32 uid;		/* out */
	bool want_usage;
	struct rusage usage;	/* out when wanted */
};

/* 0 or -ECHILD, -EINTR, -ERESTARTSYS. */
int proc_wait(struct wait_args *args);

void proc_usage_to_rusage(const struct process_usage *from, struct rusage *to);

#endif
