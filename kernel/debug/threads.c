/* SPDX-License-Identifier: MIT */
/* Walking all threads, with locks and without (threads.h). */
#include <kernel/core/command.h>
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/printf.h>
#include "threads.h"

#define KTHREADS_MAX 1000u	/* of a list that may be damaged */

void debug_thread_name(const struct thread *t, char buf[DEBUG_THREAD_NAME_BYTES])
{
	const struct task *task = container_of(t, struct task, thread);
	struct pid *pid = NULL;
	char name[THREAD_NAME_BYTES];
	int nr = -1;

	thread_name_text(t, name);
	if (!(t->flags & THREAD_USER)) {
		snprintf(buf, DEBUG_THREAD_NAME_BYTES, "%s (kernel)", name);
		return;
	}
	if (command_peek(&pid, &task->pid, sizeof(pid)) || command_peek(&nr, &pid->nr, sizeof(nr)))
		nr = -1;
	snprintf(buf, DEBUG_THREAD_NAME_BYTES, "%s:%d", name, nr);
}

void debug_each_thread(void (*fn)(struct thread *t, void *arg), void *arg)
{
	struct process *p;
	struct task *t;
	irqflags_t flags;

	for (int nr = 1; (p = process_next_get(nr)); nr = p->pid->nr + 1, process_put(p)) {
		flags = spin_lock_irqsave(&task_tree_lock);
		for_each_thread(p, t)
			fn(&t->thread, arg);
		spin_unlock_irqrestore(&task_tree_lock, flags);
	}
	kthread_each(fn, arg);
}

/* A thread of a process is found by its number: the table is read under RCU and cannot loop. */
void debug_each_thread_unlocked(bool (*fn)(struct thread *t, void *arg), void *arg)
{
	struct task *task;
	struct pid *pid;
	bool more = true;

	rcu_read_lock();
	for (int nr = 1; more && nr < pid_max(); nr++) {
		pid = pid_find_rcu(nr);
		if (pid && !command_peek(&task, &pid->task, sizeof(task)) && task)
			more = fn(&task->thread, arg);
	}
	if (more)
		kthread_each_unlocked(KTHREADS_MAX, fn, arg);
	rcu_read_unlock();
}
