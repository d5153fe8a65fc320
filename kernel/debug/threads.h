/* SPDX-License-Identifier: MIT */
#ifndef DEBUG_THREADS_H
#define DEBUG_THREADS_H

/* All threads of the machine but the idle ones: those of processes, and the kernel's own. */
#include <kernel/sched/thread.h>

/* What a line about a thread begins with: name, and number or "kernel thread". */
#define DEBUG_THREAD_NAME_BYTES 48
void debug_thread_name(const struct thread *t, char buf[DEBUG_THREAD_NAME_BYTES]);

/* Calls fn for each, under a spinlock that keeps the thread alive. Thread context; fn must not sleep. */
void debug_each_thread(void (*fn)(struct thread *t, void *arg), void *arg);
/* The same without a lock, for debug commands: what it finds may be damaged or gone. fn's false ends it. Any context. */
void debug_each_thread_unlocked(bool (*fn)(struct thread *t, void *arg), void *arg);

#endif
