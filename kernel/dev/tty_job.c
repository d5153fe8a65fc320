/* SPDX-License-Identifier: MIT */
/*
 * Job control: controlling terminals, foreground groups, hang-ups (credentials(7), ioctl_tty(2)).
 *
 * Two facts say that a session has a terminal: tty.session on this side and process.tty in each member of
 * the session. A change of both takes task_tree_lock (no process joins or leaves a session meanwhile), then
 * each process's siglock, then tty.lock; each fact alone is read under its own lock.
 */
#include "tty.h"

#include <abi/linux/ioctl.h>
#include <abi/linux/signal.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/session.h>
#include <kernel/vm/uaccess.h>

/* ---- questions --------------------------------------------------------------------------------- */

struct tty *tty_current_get(void)
{
	struct process *p = current_process();
	irqflags_t flags = spin_lock_irqsave(&p->siglock);
	struct tty *tty = p->tty ? tty_get(p->tty) : NULL;

	spin_unlock_irqrestore(&p->siglock, flags);
	return tty;
}

static bool is_my_tty(struct tty *tty)
{
	return READ_ONCE(current_process()->tty) == tty;
}

static struct pid *foreground_get(struct tty *tty)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	struct pid *pgrp = pid_get(tty->pgrp);

	spin_unlock_irqrestore(&tty->lock, flags);
	return pgrp;
}

/* The caller's group is not the foreground group of its controlling terminal. */
static bool in_background(struct tty *tty)
{
	struct pid *foreground, *mine;
	bool background;

	if (!is_my_tty(tty))
		return false;
	foreground = foreground_get(tty);
	mine = session_current_pgrp_get();
	background = foreground && foreground != mine;
	pid_put(mine);
	if (foreground)
		pid_put(foreground);
	return background;
}

int tty_check_background(struct tty *tty, int sig)
{
	struct pid *pgrp;

	if (!in_background(tty))
		return 0;
	if (signal_is_ignored_or_blocked(sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (session_current_pgrp_is_orphaned())
		return -EIO;
	pgrp = session_current_pgrp_get();
	signal_send_pgrp(pgrp, sig, true);
	pid_put(pgrp);
	return -ERESTARTSYS;
}

/* ^C and its kin, SIGWINCH. */
void tty_signal_foreground(struct tty *tty, int sig)
{
	struct pid *pgrp = foreground_get(tty);

	if (pgrp) {
		signal_send_pgrp(pgrp, sig, true);
		pid_put(pgrp);
	}
}

/* ---- gaining and losing ------------------------------------------------------------------------ */

/* task_tree_lock held. Makes `tty` the controlling terminal of the caller, a session leader. */
static void set_controlling_locked(struct tty *tty)
{
	struct process *p = current_process();
	struct pid *old_session, *old_pgrp;

	spin_lock(&p->siglock);
	p->tty = tty_get(tty);
	spin_lock(&tty->lock);
	old_session = tty->session;
	old_pgrp = tty->pgrp;
	tty->session = pid_get(p->session);
	tty->pgrp = pid_get(p->pgrp);
	spin_unlock(&tty->lock);
	spin_unlock(&p->siglock);
	if (old_session)
		pid_put(old_session);
	if (old_pgrp)
		pid_put(old_pgrp);
}

void tty_open_controlling(struct tty *tty, struct file *file)
{
	struct process *p = current_process();
	irqflags_t flags;

	if (!(file->mode & FMODE_READ) || !READ_ONCE(p->session_leader))
		return;
	flags = spin_lock_irqsave(&task_tree_lock);
	if (p->session_leader && !p->tty && !tty->session)
		set_controlling_locked(tty);
	spin_unlock_irqrestore(&task_tree_lock, flags);
}

/* task_tree_lock held. Every process of the session forgets its terminal. */
static void session_forget_tty_locked(struct pid *session)
{
	struct process *p;

	list_for_each_entry(p, &session->session_members, session_node) {
		struct tty *tty;

		spin_lock(&p->siglock);
		tty = p->tty;
		p->tty = NULL;
		spin_unlock(&p->siglock);
		if (tty)
			tty_put(tty);
	}
}

/* task_tree_lock held. Takes the terminal from its session; the caller gets the references of both ids. */
static void detach_session_locked(struct tty *tty, struct pid **session, struct pid **pgrp)
{
	spin_lock(&tty->lock);
	*session = tty->session;
	*pgrp = tty->pgrp;
	tty->session = tty->pgrp = NULL;
	spin_unlock(&tty->lock);
	if (*session)
		session_forget_tty_locked(*session);
}

static void put_ids(struct pid *session, struct pid *pgrp)
{
	if (pgrp)
		pid_put(pgrp);
	if (session)
		pid_put(session);
}

static void mark_files_hung(struct tty *tty)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	struct tty_file *tf;

	list_for_each_entry(tf, &tty->files, node)
		if (!tf->console)
			WRITE_ONCE(tf->hung, true);
	tty->tx_tail = tty->tx_head;
	ldisc_flush_input(tty->ldisc);
	spin_unlock_irqrestore(&tty->lock, flags);
	waitq_wake_key(&tty->read_wait, ~0u, 0);
	waitq_wake_key(&tty->write_wait, ~0u, 0);
}

/*
 * The line is gone, or the session that owned it: opens of before are dead (but for /dev/console's), the
 * leader and the foreground group get SIGHUP and SIGCONT, and the session has no terminal any more.
 */
void tty_hangup(struct tty *tty, bool session_exits)
{
	struct pid *session, *pgrp;
	struct process *leader;
	irqflags_t flags;

	mark_files_hung(tty);
	flags = spin_lock_irqsave(&task_tree_lock);
	detach_session_locked(tty, &session, &pgrp);
	leader = session ? session->process : NULL;
	if (leader && !session_exits) {
		signal_send_process(leader, SIGHUP, true);
		signal_send_process(leader, SIGCONT, true);
	}
	if (pgrp && session_exits) {
		signal_send_pgrp_locked(pgrp, SIGHUP, true);
		signal_send_pgrp_locked(pgrp, SIGCONT, true);
	}
	spin_unlock_irqrestore(&task_tree_lock, flags);
	put_ids(session, pgrp);
}

void tty_vhangup_current(void)
{
	struct tty *tty = tty_current_get();

	if (tty) {
		tty_hangup(tty, false);
		tty_put(tty);
	}
}

/* A session leader exits. */
static void leader_exit(struct process *p)
{
	struct tty *tty;
	irqflags_t flags = spin_lock_irqsave(&p->siglock);

	tty = p->tty ? tty_get(p->tty) : NULL;
	spin_unlock_irqrestore(&p->siglock, flags);
	if (!tty)
		return;
	tty_hangup(tty, true);
	tty_put(tty);
}

/* TIOCNOTTY: a leader frees the terminal for all of its session, anybody else only leaves it. */
static long give_up_tty(struct tty *tty)
{
	struct process *p = current_process();
	struct pid *session = NULL, *pgrp = NULL;
	irqflags_t flags;

	if (!is_my_tty(tty))
		return -ENOTTY;
	flags = spin_lock_irqsave(&task_tree_lock);
	if (p->session_leader) {
		detach_session_locked(tty, &session, &pgrp);
		if (pgrp) {
			signal_send_pgrp_locked(pgrp, SIGHUP, true);
			signal_send_pgrp_locked(pgrp, SIGCONT, true);
		}
	} else {
		spin_lock(&p->siglock);
		if (p->tty == tty) {
			p->tty = NULL;
			tty_put(tty);
		}
		spin_unlock(&p->siglock);
	}
	spin_unlock_irqrestore(&task_tree_lock, flags);
	put_ids(session, pgrp);
	return 0;
}

/* TIOCSCTTY. task_tree_lock held. */
static long take_tty_locked(struct tty_file *tf, u64 force, struct pid **lost_session, struct pid **lost_pgrp)
{
	struct process *p = current_process();
	struct tty *tty = tf->tty;

	if (p->session_leader && tty->session == p->session)
		return 0;
	if (!p->session_leader || p->tty)
		return -EPERM;
	if (tty->session) {
		if (force != 1 || !capable(CAP_SYS_ADMIN))
			return -EPERM;
		detach_session_locked(tty, lost_session, lost_pgrp);
	}
	if (!(tf->file->mode & FMODE_READ) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	set_controlling_locked(tty);
	return 0;
}

static long take_tty(struct tty_file *tf, u64 force)
{
	struct pid *session = NULL, *pgrp = NULL;
	irqflags_t flags = spin_lock_irqsave(&task_tree_lock);
	long result = take_tty_locked(tf, force, &session, &pgrp);

	spin_unlock_irqrestore(&task_tree_lock, flags);
	put_ids(session, pgrp);
	return result;
}

/* ---- foreground groups ------------------------------------------------------------------------- */

static long get_foreground(struct tty *tty, uptr_t out)
{
	struct pid *pgrp;
	int nr;

	if (!is_my_tty(tty))
		return -ENOTTY;
	pgrp = foreground_get(tty);
	nr = pid_nr(pgrp);
	if (pgrp)
		pid_put(pgrp);
	return put_user_s32(nr, out);
}

static long get_session(struct tty *tty, uptr_t out)
{
	irqflags_t flags;
	int nr;

	if (!is_my_tty(tty))
		return -ENOTTY;
	flags = spin_lock_irqsave(&tty->lock);
	nr = tty->session ? pid_nr(tty->session) : -1;
	spin_unlock_irqrestore(&tty->lock, flags);
	return nr < 0 ? -ENOTTY : put_user_s32(nr, out);
}

static bool is_my_session_locked(struct tty *tty)
{
	return is_my_tty(tty) && tty->session == current_process()->session;
}

static long set_foreground(struct tty *tty, uptr_t in)
{
	struct pid *pgrp, *old;
	irqflags_t flags;
	long result;
	s32 nr;

	result = tty_check_background(tty, SIGTTOU);
	if (result == -EIO)
		return -ENOTTY;
	if (result)
		return result;
	if (get_user_s32(&nr, in))
		return -EFAULT;
	if (nr < 0)
		return -EINVAL;
	if (!is_my_tty(tty))
		return -ENOTTY;
	pgrp = pid_find_get(nr);
	if (!pgrp)
		return -ESRCH;
	if (!session_has_pgrp(current_process()->session, pgrp)) {
		pid_put(pgrp);
		return -EPERM;
	}
	flags = spin_lock_irqsave(&tty->lock);
	if (is_my_session_locked(tty)) {
		old = tty->pgrp;
		tty->pgrp = pgrp;
	} else {
		old = pgrp;
		result = -ENOTTY;
	}
	spin_unlock_irqrestore(&tty->lock, flags);
	if (old)
		pid_put(old);
	return result;
}

long tty_job_ioctl(struct tty_file *tf, u32 cmd, u64 arg)
{
	switch (cmd) {
	case TIOCSCTTY:
		return take_tty(tf, arg);
	case TIOCNOTTY:
		return give_up_tty(tf->tty);
	case TIOCGPGRP:
		return get_foreground(tf->tty, uptr(arg));
	case TIOCSPGRP:
		return set_foreground(tf->tty, uptr(arg));
	case TIOCGSID:
		return get_session(tf->tty, uptr(arg));
	case TIOCVHANGUP:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		tty_hangup(tf->tty, false);
		return 0;
	default:
		return -ENOIOCTLCMD;
	}
}

/* ---- the task layer's hooks -------------------------------------------------------------------- */

static void hook_get(struct tty *tty)
{
	tty_get(tty);
}

/* proc(5), /proc/PID/stat: the device as userland encodes it, and the foreground group. */
static void hook_describe(struct tty *tty, int *nr, int *tpgid)
{
	struct pid *pgrp = foreground_get(tty);

	*nr = (int)devnum_encode(tty->dev);
	*tpgid = pgrp ? pid_nr(pgrp) : -1;
	if (pgrp)
		pid_put(pgrp);
}

void tty_job_init(void)
{
	session_tty_ops = (struct session_tty_ops){
		.get = hook_get, .put = tty_put, .leader_exit = leader_exit, .describe = hook_describe
	};
}
