// SPDX-License-Identifier: MIT
/*
 * Sending.
 *
 * A signal is first prepared: SIGCONT takes away pending stops and continues
 * everybody, a stop signal takes away a pending SIGCONT, both whether or not
 * the signal itself is then ignored (POSIX 2.4.1). Then it is dropped when the
 * receiver would ignore it and does not block it, else queued, and a thread
 * that can take it is chosen and told. A signal whose default action ends the
 * process, and which nobody catches, starts the end at once, by a SIGKILL for
 * every thread: SIGKILL wins over everything from then on.
 *
 * PID 1 (PROCESS_UNKILLABLE) gets no signal that it has not asked for, except
 * faults of its own.
 */
#include <kernel/core/assert.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "internal.h"

void (*signal_notify_hook)(struct process *p, int sig);
void (*signal_alarm_hook)(struct process *p);

/* Would sig do nothing to a process in this state, if nobody blocked it? */
static bool signal_action_ignores(struct process *p, int sig, bool forced)
{
	sigset64_t bit = SIGMASK(sig);
	bool defaulted = sighand_is_default(p->sighand, sig);

	if (p == process_init_task && (bit & SIG_KERNEL_ONLY_MASK))
		return true;
	if ((p->sigflags & PROCESS_UNKILLABLE) && defaulted &&
	    !(forced && (bit & SIG_KERNEL_ONLY_MASK)))
		return true;
	return (p->sighand->ignored & bit) || (defaulted && (bit & SIG_IGNORE_MASK));
}

bool signal_ignored_by(struct process *p, struct task *t, int sig)
{
	if ((t->blocked | t->real_blocked) & SIGMASK(sig))
		return false;
	return signal_action_ignores(p, sig, false);
}

void signal_clear_stop_pending_locked(struct task *t, u32 mask)
{
	if (mask & JOBCTL_STOP_PENDING)
		mask |= JOBCTL_STOP_CONSUME | JOBCTL_STOP_DEQUEUED | JOBCTL_STOP_SIGMASK;
	t->jobctl &= ~mask;
}

static void signal_set_stop_flags(struct process *p, u32 flags)
{
	p->sigflags = (p->sigflags & ~(PROCESS_CLD_MASK | PROCESS_STOPPED | PROCESS_CONTINUED)) | flags;
}

/* SIGCONT: no stop is pending any more, and whoever is stopped runs. */
static void signal_prepare_continue(struct process *p)
{
	u32 tell = 0;
	struct task *t;

	sigpending_flush_mask(&p->pending, SIG_STOP_MASK);
	for_each_thread(p, t) {
		sigpending_flush_mask(&t->pending, SIG_STOP_MASK);
		signal_clear_stop_pending_locked(t, JOBCTL_STOP_PENDING);
		thread_wake_state(&t->thread, THREAD_STOPPED);
	}
	/* The continued thread tells the parent: see signal_deliver(). */
	if (p->sigflags & PROCESS_STOPPED)
		tell = PROCESS_CLD_CONTINUED;
	else if (p->group_stop_count)
		tell = PROCESS_CLD_STOPPED;
	if (!tell)
		return;
	signal_set_stop_flags(p, tell | PROCESS_CONTINUED);
	p->group_stop_count = 0;
	p->group_exit_code = 0;
}

/* False: nothing is to be queued. */
static bool signal_prepare(struct task *t, int sig, bool forced)
{
	struct process *p = t->process;

	if (p->sigflags & PROCESS_GROUP_EXIT)
		return false;
	if (SIGMASK(sig) & SIG_STOP_MASK)
		signal_flush_mask_locked(p, SIGMASK(SIGCONT));
	else if (sig == SIGCONT)
		signal_prepare_continue(p);
	if ((t->blocked | t->real_blocked) & SIGMASK(sig))
		return true;
	return !signal_action_ignores(p, sig, forced);
}

static void signal_kick(struct task *t, bool fatal)
{
	/* The caller is awake; unless it is about to sleep, and this is an interrupt on its CPU. */
	if (!fatal && &t->thread == current_thread() && READ_ONCE(t->thread.state) == THREAD_RUNNABLE) {
		hal_work_set(&t->thread.hal, HAL_WORK_SIGNAL);
		return;
	}
	thread_signal_kick(&t->thread, fatal);
	if (fatal)
		thread_wake_state(&t->thread, THREAD_STOPPED | THREAD_TRACED);
}

static inline bool signal_wanted_by(struct task *t, int sig)
{
	if ((t->blocked & SIGMASK(sig)) || (t->flags & TASK_EXITING))
		return false;
	if (sig == SIGKILL)
		return true;
	if (READ_ONCE(t->thread.state) & (THREAD_STOPPED | THREAD_TRACED))
		return false;
	return &t->thread == current_thread() || !thread_interrupted(&t->thread);
}

/* Who shall take a signal that was queued for t, or for its whole process. */
static struct task *signal_choose(struct task *t, int sig, bool shared)
{
	struct process *p = t->process;
	struct task *other;

	if (signal_wanted_by(t, sig))
		return t;
	if (!shared || p->nr_threads <= 1)
		return NULL;
	/* Go on behind the one that was chosen last, so that the load spreads. */
	other = p->sig_target ? p->sig_target : t;
	for (int n = p->nr_threads; n > 0; n--) {
		if (signal_wanted_by(other, sig)) {
			p->sig_target = other;
			return other;
		}
		other = list_is_last(&other->thread_node, &p->threads) ?
			list_first_entry(&p->threads, struct task, thread_node) :
			list_next_entry(other, thread_node);
	}
	return NULL;
}

/* Does sig end the process, as far as its action says? Stops and ignored ones do not. */
static bool signal_is_fatal(struct process *p, int sig)
{
	sigset64_t bit = SIGMASK(sig);

	return !(bit & (SIG_STOP_MASK | SIG_IGNORE_MASK)) && sighand_is_default(p->sighand, sig);
}

static void signal_start_group_exit(struct process *p, int sig)
{
	struct task *t;

	p->sigflags = PROCESS_GROUP_EXIT | (p->sigflags & PROCESS_UNKILLABLE);
	p->group_exit_code = sig;
	p->group_stop_count = 0;
	for_each_thread(p, t) {
		signal_clear_stop_pending_locked(t, JOBCTL_STOP_PENDING);
		t->pending.set |= SIGMASK(SIGKILL);
		signal_kick(t, true);
	}
}

void signal_end_process(struct process *p, int sig)
{
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	if (p->sighand && !(p->sigflags & PROCESS_GROUP_EXIT))
		signal_start_group_exit(p, sig);
	spin_unlock_irqrestore(&p->siglock, f);
}

static void signal_complete(struct task *t, int sig, bool shared)
{
	struct process *p = t->process;
	struct task *chosen = signal_choose(t, sig, shared);

	if (!chosen)
		return;
	/* Signals that dump core go the long way, so that the dump can say which it was. */
	if (signal_is_fatal(p, sig) && !(p->sigflags & PROCESS_GROUP_EXIT) &&
	    !(chosen->real_blocked & SIGMASK(sig)) && !(SIGMASK(sig) & SIG_CORE_MASK)) {
		signal_start_group_exit(p, sig);
		return;
	}
	signal_kick(chosen, sig == SIGKILL);
}

static void sigqueue_fill(struct sigqueue *q, int sig, enum signal_source src, const siginfo_t *info)
{
	if (src == SIGNAL_FROM_INFO)
		siginfo_copy(&q->info, info);
	else if (src == SIGNAL_FROM_KERNEL)
		siginfo_init_kernel(sigqueue_info(q), sig);
	else
		siginfo_init_user(sigqueue_info(q), sig);
}

int signal_send_locked(struct task *t, bool shared, int sig, enum signal_source src,
		       const siginfo_t *info)
{
	struct process *p = t->process;
	struct sigpending *to = shared ? &p->pending : &t->pending;
	struct sigqueue *q;
	bool override;

	if (!p->sighand || !signal_prepare(t, sig, src == SIGNAL_FROM_KERNEL))
		return 0;
	/* A standard signal that is pending already stays as it is. */
	if (sig < SIGRTMIN && (to->set & SIGMASK(sig)))
		return 0;
	if (sig != SIGKILL) {
		override = sig < SIGRTMIN && (src != SIGNAL_FROM_INFO || info->si_code >= 0);
		q = sigqueue_alloc(t, override);
		if (q) {
			sigqueue_fill(q, sig, src, info);
			list_add_tail(&q->node, &to->queue);
		} else if (src == SIGNAL_FROM_INFO && sig >= SIGRTMIN && info->si_code != SI_USER) {
			return -EAGAIN;
		}
	}
	if (signal_notify_hook)
		signal_notify_hook(p, sig);
	to->set |= SIGMASK(sig);
	smp_mb();	/* before the look at masks: see signal_set_blocked_alone() */
	signal_complete(t, sig, shared);
	return 0;
}

/* To the process: the leader stands for it, or any thread when it has been replaced. */
static int signal_to_process(struct process *p, int sig, enum signal_source src, const siginfo_t *info)
{
	irqflags_t f;
	int err = -ESRCH;

	if (!signal_valid(sig))
		return sig ? -EINVAL : 0;
	f = spin_lock_irqsave(&p->siglock);
	if (!list_empty(&p->threads))
		err = signal_send_locked(list_first_entry(&p->threads, struct task, thread_node), true, sig,
					 src, info);
	spin_unlock_irqrestore(&p->siglock, f);
	return err;
}

static int signal_to_task(struct task *t, int sig, enum signal_source src, const siginfo_t *info)
{
	struct process *p = t->process;
	irqflags_t f;
	int err;

	if (!signal_valid(sig))
		return sig ? -EINVAL : 0;
	f = spin_lock_irqsave(&p->siglock);
	err = t->exit_state == TASK_DEAD ? -ESRCH : signal_send_locked(t, false, sig, src, info);
	spin_unlock_irqrestore(&p->siglock, f);
	return err;
}

int signal_send_process(struct process *p, int sig, bool priv)
{
	return signal_to_process(p, sig, priv ? SIGNAL_FROM_KERNEL : SIGNAL_FROM_USER, NULL);
}

int signal_send_task(struct task *t, int sig, bool priv)
{
	return signal_to_task(t, sig, priv ? SIGNAL_FROM_KERNEL : SIGNAL_FROM_USER, NULL);
}

int signal_send_info_process(struct process *p, int sig, const siginfo_t *info)
{
	return signal_to_process(p, sig, SIGNAL_FROM_INFO, info);
}

int signal_send_info_task(struct task *t, int sig, const siginfo_t *info)
{
	return signal_to_task(t, sig, SIGNAL_FROM_INFO, info);
}

int signal_send_pgrp_locked(struct pid *pgrp, int sig, bool priv)
{
	struct process *p;
	int err = -ESRCH;

	list_for_each_entry(p, &pgrp->pgrp_members, pgrp_node)
		if (!signal_send_process(p, sig, priv))
			err = 0;
	return err;
}

int signal_send_pgrp(struct pid *pgrp, int sig, bool priv)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	int err = signal_send_pgrp_locked(pgrp, sig, priv);

	spin_unlock_irqrestore(&task_tree_lock, f);
	return err;
}

int signal_send_session(struct pid *session, int sig, bool priv)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	struct process *p;
	int err = -ESRCH;

	list_for_each_entry(p, &session->session_members, session_node)
		if (!signal_send_process(p, sig, priv))
			err = 0;
	spin_unlock_irqrestore(&task_tree_lock, f);
	return err;
}

void signal_send_current(int sig)
{
	struct task *t = task_current_or_null();

	if (t)
		(void)signal_send_task(t, sig, false);
}

int signal_zap_other_threads_locked(struct process *p)
{
	struct task *self = current_task(), *t;
	int n = 0;

	p->group_stop_count = 0;
	for_each_thread(p, t) {
		if (t == self)
			continue;
		signal_clear_stop_pending_locked(t, JOBCTL_STOP_PENDING);
		n++;
		if (t->exit_state != TASK_ALIVE)
			continue;
		t->pending.set |= SIGMASK(SIGKILL);
		signal_kick(t, true);
	}
	return n;
}

/* Threads that could take what is pending for the process are told, one by one, until all of it has a taker. */
void signal_retarget_locked(struct process *p, struct task *leaving)
{
	sigset64_t left = p->pending.set & ~leaving->blocked;
	struct task *t;

	for_each_thread(p, t) {
		if (!left)
			return;
		if (t == leaving || (t->flags & TASK_EXITING) || !(left & ~t->blocked))
			continue;
		left &= t->blocked;
		if (!thread_interrupted(&t->thread))
			signal_kick(t, false);
	}
}
