// SPDX-License-Identifier: MIT
/*
 * kill(2) and its relatives: whom a number means, and whether the caller may.
 * Errors are found in Linux's order: nobody there, bad signal, not permitted.
 */
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "internal.h"

/* kill_ok_by_cred of kill(2): the sender's real or effective id equals the target's real or saved one. */
int signal_may_send(struct process *p, int sig)
{
	struct task *self = task_current_or_null(), *leader;
	const struct cred *mine, *theirs;
	bool ok;

	if (!self || p == self->process)
		return 0;
	rcu_read_lock();
	/* p->leader is no more than an address when the process has been reaped, as it may be by now: the number forgets it in time. */
	leader = rcu_dereference(p->pid->task);
	if (!leader) {
		rcu_read_unlock();
		return -ESRCH;
	}
	mine = self->cred;
	theirs = rcu_dereference(leader->real_cred);
	ok = mine->euid == theirs->suid || mine->euid == theirs->uid || mine->uid == theirs->suid ||
	     mine->uid == theirs->uid;
	rcu_read_unlock();
	if (ok || capable(CAP_KILL))
		return 0;
	/* Anybody may continue a process of his session: the shell its set-user-ID children. */
	if (sig == SIGCONT && READ_ONCE(p->session) == READ_ONCE(self->process->session))
		return 0;
	return -EPERM;
}

/* Signal 0 asks only. The siginfo is the caller's when NULL. */
static int signal_kill_process(struct process *p, int sig, const siginfo_t *info)
{
	int err;

	if (sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	/* A siginfo that looks like the kernel's: only a process to itself, which is always allowed. */
	if (!info || info->si_code <= 0) {
		err = signal_may_send(p, sig);
		if (err)
			return err;
	}
	if (!sig)
		return 0;
	return info ? signal_send_info_process(p, sig, info) : signal_send_process(p, sig, false);
}

static int signal_kill_number(int pid, int sig, const siginfo_t *info)
{
	struct task *t = task_by_tid(pid);
	int err;

	if (!t)
		return -ESRCH;
	err = signal_kill_process(t->process, sig, info);
	task_put(t);
	return err;
}

/* task_tree_lock held. One success is success. */
static int signal_kill_pgrp_locked(struct pid *pgrp, int sig)
{
	struct process *p;
	int err = -ESRCH, one;
	bool success = false;

	list_for_each_entry(p, &pgrp->pgrp_members, pgrp_node) {
		one = signal_kill_process(p, sig, NULL);
		success |= !one;
		err = one;
	}
	return success ? 0 : err;
}

static int signal_kill_pgrp(int nr, int sig)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	struct pid *pgrp = nr ? pid_find_rcu(nr) : current_process()->pgrp;
	int err = pgrp ? signal_kill_pgrp_locked(pgrp, sig) : -ESRCH;

	spin_unlock_irqrestore(&task_tree_lock, f);
	return err;
}

/* The tree stands still meanwhile, so that nothing escapes by forking. */
static int signal_kill_all(int sig)
{
	struct process *self = current_process(), *p;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	struct pid *pid;
	int err = -ESRCH, one, nr = 2;
	bool any = false;

	while ((pid = pid_next_get(nr))) {
		nr = pid->nr + 1;
		p = pid->process;
		if (p && p != self) {
			one = signal_kill_process(p, sig, NULL);
			if (!any)
				err = 0;
			any = true;
			if (one != -EPERM)
				err = one;
		}
		pid_put(pid);
	}
	spin_unlock_irqrestore(&task_tree_lock, f);
	return err;
}

static noinline int signal_kill_others(int pid, int sig)
{
	if (pid > 0)
		return signal_kill_number(pid, sig, NULL);
	if (pid == INT32_MIN)
		return -ESRCH;
	return pid == -1 ? signal_kill_all(sig) : signal_kill_pgrp(-pid, sig);
}

/* The caller itself needs no look-up, no reference and no permission: it is here. signal_send_process() checks sig. */
int signal_kill(int pid, int sig)
{
	struct process *self = current_task()->process;

	return pid == self->pid->nr ? signal_send_process(self, sig, false) : signal_kill_others(pid, sig);
}

int signal_queue(int pid, int sig, const siginfo_t *info)
{
	return signal_kill_number(pid, sig, info);
}

static void siginfo_init_tkill(siginfo_t *info, int sig)
{
	siginfo_init_user(info, sig);
	info->si_code = SI_TKILL;
}

static int signal_kill_task(struct task *t, int tgid, int sig, const siginfo_t *info)
{
	siginfo_t own;
	int err;

	if (tgid > 0 && t->process->pid->nr != tgid)
		return -ESRCH;
	if (sig < 0 || sig > SIGRTMAX)
		return -EINVAL;
	err = info && info->si_code > 0 ? 0 : signal_may_send(t->process, sig);
	if (err || !sig)
		return err;
	if (!info) {
		siginfo_init_tkill(&own, sig);
		info = &own;
	}
	err = signal_send_info_task(t, sig, info);
	return err == -ESRCH ? 0 : err;		/* as if it had died just after */
}

int signal_kill_thread(int tgid, int tid, int sig, const siginfo_t *info)
{
	struct task *t = current_task();
	int err;

	if (tid == t->pid->nr)
		return signal_kill_task(t, tgid, sig, info);
	t = task_by_tid(tid);
	if (!t)
		return -ESRCH;
	err = signal_kill_task(t, tgid, sig, info);
	task_put(t);
	return err;
}
