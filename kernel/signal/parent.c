// SPDX-License-Identifier: MIT
/*
 * What a parent is told of its children: SIGCHLD with a CLD_* code, and a
 * wake-up of wait4(2). task_tree_lock keeps the parent where it is, and the thread of it that the child belongs to
 * (process.parent_task): the signal is for the whole process, but that thread is asked first whether it wants it.
 */
#include <abi/linux/wait.h>
#include <kernel/core/assert.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <lib/string.h>

#include "internal.h"

#define NSEC_PER_TICK (NSEC_PER_SEC / 100)	/* si_utime counts in USER_HZ */

static void siginfo_init_child(siginfo_t *info, int sig, struct process *p)
{
	struct process_usage u;

	memset(info, 0, sizeof(*info));
	process_usage_sum(p, &u);
	info->si_signo = sig;
	info->si_pid = p->pid->nr;
	rcu_read_lock();
	info->si_uid = rcu_dereference(p->leader->real_cred)->uid;
	rcu_read_unlock();
	info->si_utime = (s64)(u.utime_ns / NSEC_PER_TICK);
	info->si_stime = (s64)(u.stime_ns / NSEC_PER_TICK);
}

static void siginfo_set_exit(siginfo_t *info, int status)
{
	if (status & 0x7f) {
		info->si_code = status & W_COREDUMP ? CLD_DUMPED : CLD_KILLED;
		info->si_status = status & 0x7f;
	} else {
		info->si_code = CLD_EXITED;
		info->si_status = status >> 8 & 0xff;
	}
}

/*
 * Would a SIGCHLD be dropped anyway? Then nobody need gather what it says. The thread that forked counts: it may have
 * blocked the signal to wait for it. Under siglock: sigtimedwait(2) moves the mask from
 * one word to the other, and it must not be seen in neither.
 */
static bool sigchld_is_dropped(struct process *parent, const struct task *t)
{
	irqflags_t f = spin_lock_irqsave(&parent->siglock);
	bool dropped = !(parent->sighand->caught & SIGMASK(SIGCHLD)) &&
		       !((t->blocked | t->real_blocked) & SIGMASK(SIGCHLD));

	spin_unlock_irqrestore(&parent->siglock, f);
	return dropped;
}

bool signal_notify_parent_exit_locked(struct process *p, int sig)
{
	struct process *parent = p->parent;
	struct sigaction act;
	siginfo_t info;
	bool autoreap = false, send;
	irqflags_t f;

	if (sig != SIGCHLD && p->parent_exec_id != parent->exec_id)
		sig = SIGCHLD;
	send = signal_valid(sig) && !(sig == SIGCHLD && sigchld_is_dropped(parent, p->parent_task));
	if (send) {
		siginfo_init_child(&info, sig, p);
		siginfo_set_exit(&info, p->leader->exit_code);
	}
	f = spin_lock_irqsave(&parent->siglock);
	if (sig == SIGCHLD && (parent->sighand->set & SIGMASK(SIGCHLD))) {
		sighand_action(parent->sighand, SIGCHLD, &act);
		autoreap = act.sa_handler.addr == SIG_IGN || (act.sa_flags & SA_NOCLDWAIT);
		if (act.sa_handler.addr == SIG_IGN)
			send = false;
	}
	if (send && !list_empty(&parent->threads))
		(void)signal_send_locked(p->parent_task, true, sig, SIGNAL_FROM_INFO, &info);
	spin_unlock_irqrestore(&parent->siglock, f);
	waitq_wake_all(&parent->child_wait);
	return autoreap;
}

void signal_notify_parent_stop(struct task *t, int why)
{
	struct process *p = t->process, *parent;
	struct sigaction act;
	siginfo_t info;
	irqflags_t tree = spin_lock_irqsave(&task_tree_lock), f;

	parent = p->parent;
	if (!parent)
		goto unlock;
	siginfo_init_child(&info, SIGCHLD, p);
	info.si_code = why;
	info.si_status = why == CLD_CONTINUED ? SIGCONT : READ_ONCE(p->group_exit_code) & 0x7f;
	f = spin_lock_irqsave(&parent->siglock);
	if (parent->sighand && !list_empty(&parent->threads)) {
		sighand_action(parent->sighand, SIGCHLD, &act);
		if (act.sa_handler.addr != SIG_IGN && !(act.sa_flags & SA_NOCLDSTOP))
			(void)signal_send_locked(p->parent_task, true, SIGCHLD, SIGNAL_FROM_INFO, &info);
	}
	spin_unlock_irqrestore(&parent->siglock, f);
	waitq_wake_all(&parent->child_wait);
unlock:
	spin_unlock_irqrestore(&task_tree_lock, tree);
}
