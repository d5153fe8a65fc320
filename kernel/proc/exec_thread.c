// SPDX-License-Identifier: MIT
/*
 * execve(2) in a process with several threads: all others end, and the caller
 * becomes the leader under the process's number, whoever it was before.
 */
#include <kernel/core/assert.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/errno.h>

#include "exec_internal.h"

/* Everybody else is gone; a leader that is not us stays as a zombie. */
static bool exec_is_alone(struct process *p, struct task *t)
{
	bool alone;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	alone = p->leader == t ? p->nr_threads == 1 :
				 p->nr_threads == 2 && p->leader->exit_state == TASK_ZOMBIE;
	spin_unlock_irqrestore(&task_tree_lock, f);
	return alone;
}

/*
 * The caller takes the leader's number, the leader the caller's, and with it
 * it goes. The age of a process is its leader's.
 */
static struct task *exec_take_leadership(struct process *p, struct task *t)
{
	struct task *old = p->leader;
	struct pid *own = t->pid;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	struct process_usage u;

	spin_lock(&p->siglock);
	task_usage(old, &u);
	process_usage_add(&p->dead_threads, &u);
	sigpending_flush(&old->pending);
	process_detach_task_locked(old);
	if (p->sig_target == old)
		p->sig_target = NULL;
	t->start_ns = old->start_ns;
	t->pid = old->pid;
	old->pid = own;
	t->thread.id = (u32)t->pid->nr;
	p->leader = t;
	old->exit_state = TASK_DEAD;
	rcu_assign_pointer(t->pid->task, t);
	rcu_assign_pointer(own->task, NULL);
	pid_release_if_unused_locked(own);
	spin_unlock(&p->siglock);
	atomic64_dec(&old->real_cred->user->processes);
	task_count_dec();
	spin_unlock_irqrestore(&task_tree_lock, f);
	return old;
}

int exec_become_only_thread(struct task *t)
{
	struct process *p = t->process;
	irqflags_t f;
	int err;

	if (READ_ONCE(p->nr_threads) == 1)
		return 0;
	f = spin_lock_irqsave(&p->siglock);
	if ((p->sigflags & PROCESS_GROUP_EXIT) || p->group_exec) {
		spin_unlock_irqrestore(&p->siglock, f);
		return -EAGAIN;
	}
	p->group_exec = t;
	(void)signal_zap_other_threads_locked(p);
	spin_unlock_irqrestore(&p->siglock, f);

	err = WAIT_EVENT_KILLABLE(&p->child_wait, exec_is_alone(p, t), "execve: other threads");
	if (!err && p->leader != t)
		task_put(exec_take_leadership(p, t));
	f = spin_lock_irqsave(&p->siglock);
	p->group_exec = NULL;
	spin_unlock_irqrestore(&p->siglock, f);
	return err ? -EINTR : 0;
}
