// SPDX-License-Identifier: MIT
/*
 * Process groups and sessions.
 *
 * Membership is two list nodes in struct process, on the lists of the group's
 * and the session's struct pid, all under task_tree_lock. Being a member keeps
 * the number in use; when the last member leaves and no task has it, it is
 * free (pid_release_if_unused_locked).
 *
 * A group is orphaned when no member has a parent that is in another group of
 * the same session (POSIX 3.264): nobody could continue it after a stop.
 */
#include <kernel/core/assert.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/session.h>
#include <kernel/task/task.h>
#include <lib/errno.h>

struct session_tty_ops session_tty_ops;

void session_set_pgrp_locked(struct process *p, struct pid *pgrp)
{
	struct pid *old = p->pgrp;

	if (old == pgrp)
		return;
	if (old)
		list_del(&p->pgrp_node);
	rcu_assign_pointer(p->pgrp, pgrp);
	if (pgrp)
		list_add_tail(&p->pgrp_node, &pgrp->pgrp_members);
	if (old)
		pid_release_if_unused_locked(old);
}

void session_set_sid_locked(struct process *p, struct pid *session)
{
	struct pid *old = p->session;

	if (old == session)
		return;
	if (old)
		list_del(&p->session_node);
	rcu_assign_pointer(p->session, session);
	if (session)
		list_add_tail(&p->session_node, &session->session_members);
	if (old)
		pid_release_if_unused_locked(old);
}

/* task_tree_lock held: nobody forks into the new session with the old terminal. */
static struct tty *session_detach_tty_locked(struct process *p)
{
	struct tty *tty;

	spin_lock(&p->siglock);
	tty = p->tty;
	p->tty = NULL;
	spin_unlock(&p->siglock);
	return tty;
}

int session_setsid(void)
{
	struct process *p = current_process();
	struct tty *tty = NULL;
	irqflags_t f;
	int err = -EPERM;

	f = spin_lock_irqsave(&task_tree_lock);
	/* A group of this number may outlive our having been its leader. */
	if (p->session_leader || !list_empty(&p->pid->pgrp_members))
		goto unlock;
	p->session_leader = true;
	session_set_sid_locked(p, p->pid);
	session_set_pgrp_locked(p, p->pid);
	tty = session_detach_tty_locked(p);
	err = p->pid->nr;
unlock:
	spin_unlock_irqrestore(&task_tree_lock, f);
	if (tty && session_tty_ops.put)
		session_tty_ops.put(tty);
	return err;
}

/* May `self` move `p` at all? setpgid(2)'s errors, in Linux's order. */
static int session_check_target(const struct process *self, const struct process *p)
{
	if (p->parent == self) {
		if (p->session != self->session)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	} else if (p != self) {
		return -ESRCH;
	}
	return p->session_leader ? -EPERM : 0;
}

static int session_setpgid_locked(struct process *self, int pid, int pgid)
{
	struct pid *target = pid_find_rcu(pid);
	struct pid *pgrp = target;
	struct process *p;
	int err;

	if (!target || !target->task)
		return -ESRCH;
	p = target->process;
	if (!p)
		return -EINVAL;		/* a thread that leads nothing */
	err = session_check_target(self, p);
	if (err)
		return err;
	if (pgid != pid) {
		pgrp = pid_find_rcu(pgid);
		if (!pgrp || list_empty(&pgrp->pgrp_members))
			return -EPERM;
		if (list_first_entry(&pgrp->pgrp_members, struct process, pgrp_node)->session !=
		    self->session)
			return -EPERM;
	}
	session_set_pgrp_locked(p, pgrp);
	return 0;
}

int session_setpgid(int pid, int pgid)
{
	struct process *self = current_process();
	irqflags_t f;
	int err;

	if (!pid)
		pid = self->pid->nr;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	f = spin_lock_irqsave(&task_tree_lock);
	err = session_setpgid_locked(self, pid, pgid);
	spin_unlock_irqrestore(&task_tree_lock, f);
	return err;
}

/* The number of one of a process's ids; pid may be any thread's, 0 is the caller. */
static int session_get(int pid, bool session)
{
	struct pid *found, *id = NULL;
	struct task *t;

	rcu_read_lock();
	if (pid) {
		found = pid_find_rcu(pid);
		t = found ? rcu_dereference(found->task) : NULL;
	} else {
		t = current_task();
	}
	if (t)
		id = session ? rcu_dereference(t->process->session) :
			       rcu_dereference(t->process->pgrp);
	pid = id ? id->nr : -ESRCH;
	rcu_read_unlock();
	return pid;
}

int session_getpgid(int pid)
{
	return session_get(pid, false);
}

int session_getsid(int pid)
{
	return session_get(pid, true);
}

struct pid *session_current_pgrp_get(void)
{
	struct process *p = current_process();
	struct pid *id;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	id = pid_get(p->pgrp);
	spin_unlock_irqrestore(&task_tree_lock, f);
	return id;
}

struct pid *session_current_sid_get(void)
{
	struct process *p = current_process();
	struct pid *id;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	id = pid_get(p->session);
	spin_unlock_irqrestore(&task_tree_lock, f);
	return id;
}

bool session_current_is_leader(void)
{
	return current_process()->session_leader;
}

static bool process_is_dead_locked(const struct process *p)
{
	return p->leader->exit_state != TASK_ALIVE && p->nr_threads <= 1;
}

bool session_pgrp_orphaned_locked(struct pid *pgrp, struct process *ignored)
{
	struct process *p;

	list_for_each_entry(p, &pgrp->pgrp_members, pgrp_node) {
		if (p == ignored || process_is_dead_locked(p) || !p->parent ||
		    p->parent == process_init_task)
			continue;
		if (p->parent->pgrp != pgrp && p->parent->session == p->session)
			return false;
	}
	return true;
}

bool session_pgrp_has_stopped_locked(struct pid *pgrp)
{
	struct process *p;

	list_for_each_entry(p, &pgrp->pgrp_members, pgrp_node)
		if (READ_ONCE(p->sigflags) & PROCESS_STOPPED)
			return true;
	return false;
}

bool session_pgrp_is_orphaned(struct pid *pgrp)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	bool orphaned = session_pgrp_orphaned_locked(pgrp, NULL);

	spin_unlock_irqrestore(&task_tree_lock, f);
	return orphaned;
}

bool session_current_pgrp_is_orphaned(void)
{
	struct process *p = current_process();
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	bool orphaned = session_pgrp_orphaned_locked(p->pgrp, NULL);

	spin_unlock_irqrestore(&task_tree_lock, f);
	return orphaned;
}

bool session_has_pgrp(struct pid *session, struct pid *pgrp)
{
	struct process *p;
	bool found = false;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	list_for_each_entry(p, &pgrp->pgrp_members, pgrp_node)
		if (p->session == session) {
			found = true;
			break;
		}
	spin_unlock_irqrestore(&task_tree_lock, f);
	return found;
}
