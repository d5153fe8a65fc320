/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_WATCH_H
#define KERNEL_TASK_WATCH_H

/*
 * Whose system calls are looked at, and what for.
 *
 * The fast path of a system call tests one bit of the thread's work word, HAL_WORK_TRACE_ENTER, whatever else is
 * going on; a call with the bit set goes to upcall_syscall_slow(). The bit is set exactly when one of the reasons below holds
 * for the thread: its own (task.watch), or everybody's (watch_all). Both change under task_tree_lock, under which
 * threads also come to exist, so that no thread is ever left without its bit.
 */
#include <kernel/task/task.h>

#define WATCH_TRACE	0x01u	/* calls go to the log, decoded (kernel/syscall/trace.c) */
#define WATCH_FOLLOW	0x02u	/* own only: and those of processes that it makes */
#define WATCH_COUNT	0x04u	/* all only: counts and latencies (kernel/syscall/stats.c) */
#define WATCH_RECORD	0x08u	/* all only: the flight recorder wants calls and results */
#define WATCH_REASONS	(WATCH_TRACE | WATCH_COUNT | WATCH_RECORD)

extern u32 watch_all;	/* written under task_tree_lock, read anywhere */

/* The reasons that hold for the thread. */
static inline u32 watch_of(const struct task *t)
{
	return READ_ONCE(t->watch) | READ_ONCE(watch_all);
}

/* task_tree_lock held, `t` is being attached: it gets what is due. from: who makes it, NULL for PID 1. */
void watch_attach_locked(struct task *t, const struct task *from);
/* Everybody's reasons: `clear` go, `set` come. Thread context. */
void watch_change_all(u32 clear, u32 set);
/* One thread's, or those of all threads of its process. Thread context. */
void watch_change_task(struct task *t, bool whole_process, u32 clear, u32 set);

#endif
