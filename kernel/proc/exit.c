// SPDX-License-Identifier: MIT
/*
 * How a task ends.
 *
 * In its own context it gives away, one after another, what others may wait
 * for: its share of signals, the user memory (robust futexes, the thread
 * library's tid word, the vfork parent), files, its place in the tree. Then it is
 * a zombie: a number and a status. A thread that is not the leader reaps itself at
 * once. The leader stays until the whole process has ended, then the parent
 * is told, and the parent's wait4(2), or nobody if it ignores SIGCHLD, reaps it.
 *
 * Children of an ending process go to the nearest living ancestor that asked
 * for them (PR_SET_CHILD_SUBREAPER), else to PID 1.
 *
 * Lock order: task_tree_lock, then siglock of one process at a time.
 */
#define LOG_TAG "exit"
#include <abi/linux/signal.h>
#include <abi/linux/wait.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/ipc/futex.h>
#include <kernel/proc/exit.h>
#include <kernel/proc/rseq.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/session.h>
#include <kernel/task/task.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>

#include "internal.h"

static void exit_complete_vfork(struct task *t)
{
	spin_lock(&t->lock);
	if (t->vfork_done) {
		complete(t->vfork_done);
		t->vfork_done = NULL;
	}
	spin_unlock(&t->lock);
}

void exit_release_user_memory(struct task *t)
{
	struct process *p = t->process;
	uptr_t tid = t->clear_child_tid;

	if (!uptr_is_null(t->robust_list))
		futex_exit_robust(t);
	t->robust_list = UPTR_NULL;
	rseq_forget(t);
	/* Nobody is there to see it when the memory has no other user. */
	if (!uptr_is_null(tid) && p->space &&
	    (atomic_load(&p->space_threads) > 1 || refcount_read(&p->space->users) > 1)) {
		might_fault();
		if (!hal_user_store_u32(tid, 0))
			(void)futex_wake_user(tid, 1);
	}
	t->clear_child_tid = UPTR_NULL;
	if (READ_ONCE(t->vfork_done))
		exit_complete_vfork(t);
}

static void exit_signals(struct task *t)
{
	struct process *p = t->process;
	bool tell = false;
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	t->flags |= TASK_EXITING;
	if (!(p->sigflags & PROCESS_GROUP_EXIT) && p->nr_threads > 1) {
		if (hal_work_get(&t->thread.hal) & HAL_WORK_SIGNAL)
			signal_retarget_locked(p, t);
		tell = (t->jobctl & JOBCTL_STOP_PENDING) && signal_participate_stop_locked(t);
	}
	spin_unlock_irqrestore(&p->siglock, f);
	if (tell)
		signal_notify_parent_stop(t, CLD_STOPPED);
}

static void exit_space(struct task *t)
{
	struct process *p = t->process;
	struct vm_space *space = p->space;
	struct file *exe;
	irqflags_t f;
	u64 rss;

	if (!space)
		return;
	exit_release_user_memory(t);
	if (!atomic_dec_and_test(&p->space_threads))
		return;
	rss = MAX(READ_ONCE(space->peak_rss), vm_space_rss(space));
	f = spin_lock_irqsave(&p->siglock);
	p->space = NULL;
	exe = p->exe;
	p->exe = NULL;
	p->dead_threads.maxrss_kib = MAX(p->dead_threads.maxrss_kib, rss * 4);
	spin_unlock_irqrestore(&p->siglock, f);
	vm_space_put(space);
	if (exe)
		file_put(exe);
}

static void exit_files(struct task *t)
{
	struct files *files;
	struct fs_context *fs;

	spin_lock(&t->lock);
	files = t->files;
	fs = t->fs;
	t->files = NULL;
	t->fs = NULL;
	spin_unlock(&t->lock);
	files_put(files);
	fs_context_put(fs);
}

static struct task *exit_find_alive_thread(struct process *p)
{
	struct task *t;

	for_each_thread(p, t)
		if (!(t->flags & TASK_EXITING))
			return t;
	return NULL;
}

static struct task *exit_find_reaper(struct process *p)
{
	struct process *up;
	struct task *t;

	if (p->has_child_subreaper)
		for (up = p->parent; up && up != process_init_task; up = up->parent) {
			if (!up->child_subreaper)
				continue;
			t = exit_find_alive_thread(up);
			if (t)
				return t;
		}
	t = exit_find_alive_thread(process_init_task);
	return t ? t : process_init_task->leader;
}

/* The parent *thread* of c ended: who asked to be told is told (prctl(2), PR_SET_PDEATHSIG). */
static void exit_send_pdeath(struct process *c)
{
	struct task *t;

	for_each_thread(c, t)
		if (t->pdeath_signal)
			(void)signal_send_process(c, t->pdeath_signal, false);
}

/*
 * With p or one of its children gone or moved, is a group orphaned now that has
 * stopped members? Nobody else could continue them (POSIX, _exit()).
 */
static void exit_check_orphans(struct process *p, struct process *old_parent)
{
	struct pid *pgrp = p->pgrp;
	struct process *parent = old_parent ? old_parent : p->parent;

	if (!parent || parent->pgrp == pgrp || parent->session != p->session)
		return;
	if (!session_pgrp_orphaned_locked(pgrp, old_parent ? NULL : p) ||
	    !session_pgrp_has_stopped_locked(pgrp))
		return;
	(void)signal_send_pgrp_locked(pgrp, SIGHUP, true);
	(void)signal_send_pgrp_locked(pgrp, SIGCONT, true);
}

bool process_is_zombie_locked(const struct process *p)
{
	return p->leader->exit_state == TASK_ZOMBIE && p->nr_threads == 1;
}

static void exit_reparent_child(struct process *c, struct process *from, struct task *reaper,
				struct list_head *dead)
{
	c->parent = reaper->process;
	c->parent_task = reaper;
	list_move_tail(&c->sibling, &reaper->process->children);
	exit_send_pdeath(c);
	c->exit_signal = SIGCHLD;
	if (process_is_zombie_locked(c) && signal_notify_parent_exit_locked(c, SIGCHLD)) {
		process_reap_locked(c, dead);
		return;
	}
	exit_check_orphans(c, from);
}

static void exit_reparent(struct task *t, bool group_dead, struct list_head *dead)
{
	struct process *p = t->process, *c, *next;
	struct task *reaper;

	if (list_empty(&p->children))
		return;
	/* PID 1 ends only when the machine does: proc_end_all() takes its children, who can go to nobody else. */
	if (!group_dead || p == process_init_task) {
		reaper = exit_find_alive_thread(p);
		list_for_each_entry(c, &p->children, sibling)
			if (c->parent_task == t) {
				c->parent_task = reaper ? reaper : p->leader;
				exit_send_pdeath(c);
			}
		return;
	}
	reaper = exit_find_reaper(p);
	list_for_each_entry_safe(c, next, &p->children, sibling)
		exit_reparent_child(c, p, reaper, dead);
}

/* A thread that does not lead its group leaves nothing behind. */
static void exit_detach_thread(struct task *t)
{
	struct process *p = t->process;
	struct process_usage u;

	task_usage(t, &u);
	process_usage_add(&p->dead_threads, &u);
	sigpending_flush(&t->pending);
	process_detach_task_locked(t);
	if (p->sig_target == t)
		p->sig_target = NULL;
	t->exit_state = TASK_DEAD;
	rcu_assign_pointer(t->pid->task, NULL);
	pid_release_if_unused_locked(t->pid);
	atomic64_dec(&t->real_cred->user->processes);
	task_count_dec();
}

static void exit_notify(struct task *t, bool group_dead)
{
	struct process *p = t->process;
	bool leader;
	LIST_HEAD(dead);
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	exit_reparent(t, group_dead, &dead);
	if (group_dead)
		exit_check_orphans(p, NULL);
	spin_lock(&p->siglock);
	leader = p->leader == t;
	if (leader)
		t->exit_state = TASK_ZOMBIE;
	else
		exit_detach_thread(t);
	spin_unlock(&p->siglock);
	if (process_is_zombie_locked(p)) {
		waitq_wake_all(&p->pid->exit_waitq);
		if (p->parent && signal_notify_parent_exit_locked(p, p->exit_signal))
			process_reap_locked(p, &dead);
	}
	if (p->group_exec)
		waitq_wake_all(&p->child_wait);
	spin_unlock_irqrestore(&task_tree_lock, f);
	process_reap_finish(&dead);
	if (!leader)
		task_put(t);
}

void process_reap_locked(struct process *p, struct list_head *dead)
{
	struct task *t = p->leader;
	struct pid *pid = p->pid;

	spin_lock(&p->siglock);
	t->exit_state = TASK_DEAD;
	process_detach_task_locked(t);
	sigpending_flush(&t->pending);
	sigpending_flush(&p->pending);
	signal_drop_spare_locked(p);
	spin_unlock(&p->siglock);
	session_set_pgrp_locked(p, NULL);
	session_set_sid_locked(p, NULL);
	rcu_assign_pointer(pid->task, NULL);
	rcu_assign_pointer(pid->process, NULL);
	pid_release_if_unused_locked(pid);
	atomic64_dec(&t->real_cred->user->processes);
	task_count_dec();
	list_move_tail(&p->sibling, dead);
}

void process_reap_finish(struct list_head *dead)
{
	struct process *p, *next;

	list_for_each_entry_safe(p, next, dead, sibling) {
		struct sighand *sh;
		struct tty *tty;
		irqflags_t f;

		list_del(&p->sibling);
		f = spin_lock_irqsave(&p->siglock);
		sh = p->sighand;
		p->sighand = NULL;
		tty = p->tty;
		p->tty = NULL;
		spin_unlock_irqrestore(&p->siglock, f);
		sighand_put(sh);
		if (tty && session_tty_ops.put)
			session_tty_ops.put(tty);
		task_put(p->leader);
	}
}

void proc_exit_task(int status)
{
	struct task *t = current_task();
	struct process *p = t->process;
	bool group_dead;

	exit_signals(t);
	group_dead = atomic_dec_and_test(&p->live_threads);
	if (group_dead && p == process_init_task && !proc_ending) {
		if (p->sigflags & PROCESS_GROUP_EXIT)
			status = p->group_exit_code;
		panic("PID 1 (%s) has ended, status 0x%08x: exit code %d, signal %d", t->thread.name,
		      (unsigned int)status, status >> 8 & 0xff, status & 0x7f);
	}
	if (group_dead && process_itimer_exit_hook)
		process_itimer_exit_hook(p);
	t->exit_code = status;
	exit_space(t);
	exit_files(t);
	if (group_dead && p->session_leader && session_tty_ops.leader_exit)
		session_tty_ops.leader_exit(p);
	exit_notify(t, group_dead);
	thread_exit_self();
}

void proc_exit_group(int status)
{
	struct process *p = current_process();
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	if (p->sigflags & PROCESS_GROUP_EXIT) {
		status = p->group_exit_code;	/* somebody was first */
	} else if (p->group_exec) {
		status = 0;			/* a thread that execve ends */
	} else {
		p->group_exit_code = status;
		p->sigflags = PROCESS_GROUP_EXIT | (p->sigflags & PROCESS_UNKILLABLE);
		if (p->nr_threads > 1)
			(void)signal_zap_other_threads_locked(p);
	}
	spin_unlock_irqrestore(&p->siglock, f);
	proc_exit_task(status);
}
