// SPDX-License-Identifier: MIT
/*
 * wait4(2) and waitid(2): finding a child whose state changed, and reaping.
 *
 * A scan under task_tree_lock looks at one child (by number) or at all, in the
 * order in which they were made. Whoever changes a child's state wakes the
 * parent's child_wait queue. The rules of who counts (__WCLONE, __WALL,
 * __WNOTHREAD) and when a wait is hopeless (ECHILD) are Linux's.
 */
#include <abi/linux/signal.h>
#include <abi/linux/wait.h>
#include <kernel/core/assert.h>
#include <kernel/proc/exit.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "internal.h"

#define WAIT_FOUND 1

void proc_usage_to_rusage(const struct process_usage *u, struct rusage *to)
{
	memset(to, 0, sizeof(*to));
	to->ru_utime.tv_sec = (s64)(u->utime_ns / NSEC_PER_SEC);
	to->ru_utime.tv_usec = (s64)(u->utime_ns % NSEC_PER_SEC / NSEC_PER_USEC);
	to->ru_stime.tv_sec = (s64)(u->stime_ns / NSEC_PER_SEC);
	to->ru_stime.tv_usec = (s64)(u->stime_ns % NSEC_PER_SEC / NSEC_PER_USEC);
	to->ru_maxrss = (s64)u->maxrss_kib;
	to->ru_minflt = (s64)u->min_flt;
	to->ru_majflt = (s64)u->maj_flt;
	to->ru_inblock = (s64)u->inblock;
	to->ru_oublock = (s64)u->oublock;
	to->ru_nvcsw = (s64)u->nvcsw;
	to->ru_nivcsw = (s64)u->nivcsw;
}

static bool wait_is_eligible(const struct wait_args *w, const struct process *c)
{
	if ((w->options & __WNOTHREAD) && c->parent_task != current_task())
		return false;
	if (w->which == P_PGID && (!c->pgrp || c->pgrp->nr != w->id))
		return false;
	if (w->options & __WALL)
		return true;
	return (c->exit_signal != SIGCHLD) == !!((u32)w->options & __WCLONE);
}

static void wait_fill(struct wait_args *w, struct process *c, int code, int exit_status, int status)
{
	w->pid = c->pid->nr;
	w->code = code;
	w->exit_status = exit_status;
	w->status = status;
	w->uid = rcu_dereference(c->leader->real_cred)->uid;
	if (w->want_usage) {
		struct process_usage u;

		process_usage_sum(c, &u);
		process_usage_add(&u, &c->children_usage);
		proc_usage_to_rusage(&u, &w->usage);
	}
}

/* What the child used, it and its own reaped children, is its parent's from now on. */
static void wait_inherit_usage(struct process *self, struct process *c)
{
	struct process_usage u;

	process_usage_sum(c, &u);
	process_usage_add(&u, &c->children_usage);
	spin_lock(&self->siglock);
	process_usage_add(&self->children_usage, &u);
	spin_unlock(&self->siglock);
}

static int wait_zombie(struct wait_args *w, struct process *self, struct process *c,
		       struct list_head *dead)
{
	int status = c->sigflags & PROCESS_GROUP_EXIT ? c->group_exit_code : c->leader->exit_code;

	if (!(w->options & WEXITED))
		return 0;
	if (status & 0x7f)
		wait_fill(w, c, status & W_COREDUMP ? CLD_DUMPED : CLD_KILLED, status & 0x7f, status);
	else
		wait_fill(w, c, CLD_EXITED, status >> 8 & 0xff, status);
	if (w->options & WNOWAIT)
		return WAIT_FOUND;
	wait_inherit_usage(self, c);
	process_reap_locked(c, dead);
	return WAIT_FOUND;
}

static int wait_stopped(struct wait_args *w, struct process *c)
{
	int sig = 0;

	if (!(w->options & WSTOPPED))
		return 0;
	spin_lock(&c->siglock);
	if (c->sigflags & PROCESS_STOPPED)
		sig = c->group_exit_code;
	if (sig && !(w->options & WNOWAIT))
		c->group_exit_code = 0;		/* reported once */
	spin_unlock(&c->siglock);
	if (!sig)
		return 0;
	wait_fill(w, c, CLD_STOPPED, sig, W_STOPCODE(sig));
	return WAIT_FOUND;
}

static int wait_continued(struct wait_args *w, struct process *c)
{
	bool continued;

	if (!(w->options & WCONTINUED))
		return 0;
	spin_lock(&c->siglock);
	continued = c->sigflags & PROCESS_CONTINUED;
	if (continued && !(w->options & WNOWAIT))
		c->sigflags &= ~PROCESS_CONTINUED;
	spin_unlock(&c->siglock);
	if (!continued)
		return 0;
	wait_fill(w, c, CLD_CONTINUED, SIGCONT, W_CONTINUED);
	return WAIT_FOUND;
}

/* WAIT_FOUND, or 0; *hope when the child may yet report something. */
static int wait_consider(struct wait_args *w, struct process *self, struct process *c, bool *hope,
			 struct list_head *dead)
{
	if (!wait_is_eligible(w, c))
		return 0;
	if (process_is_zombie_locked(c))
		return wait_zombie(w, self, c, dead);
	/* Also when its leader has ended: the other threads can be stopped and continued. */
	*hope = true;
	if (wait_stopped(w, c))
		return WAIT_FOUND;
	return wait_continued(w, c);
}

static int wait_scan_locked(struct wait_args *w, struct process *self, struct list_head *dead)
{
	struct process *c, *next;
	struct pid *pid;
	bool hope = false;

	if (w->which == P_PID || w->which == P_PIDFD) {
		pid = w->which == P_PIDFD ? w->pidfd : pid_find_rcu(w->id);
		c = pid ? pid->process : NULL;
		if (c && c->parent == self && wait_consider(w, self, c, &hope, dead))
			return WAIT_FOUND;
		return hope ? 0 : -ECHILD;
	}
	list_for_each_entry_safe(c, next, &self->children, sibling)
		if (wait_consider(w, self, c, &hope, dead))
			return WAIT_FOUND;
	return hope ? 0 : -ECHILD;
}

static int wait_scan(struct wait_args *w, struct process *self)
{
	LIST_HEAD(dead);
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);
	int found = wait_scan_locked(w, self, &dead);

	spin_unlock_irqrestore(&task_tree_lock, f);
	process_reap_finish(&dead);
	return found;
}

int proc_wait(struct wait_args *w)
{
	struct process *self = current_process();
	int found, err;

	w->pid = 0;
	if (w->options & WNOHANG) {
		found = wait_scan(w, self);
		return found < 0 ? found : 0;
	}
	err = WAIT_EVENT_INTERRUPTIBLE(&self->child_wait, (found = wait_scan(w, self)) != 0, "wait");
	if (err)
		return err;
	return found < 0 ? found : 0;
}
