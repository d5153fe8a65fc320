// SPDX-License-Identifier: MIT
/*
 * fork, vfork, clone: one way to make a task.
 *
 * Everything that can fail is done first, on a task that nobody can see: memory,
 * limits, the kernel stack, copies of files, handlers, address space, a number.
 * Then, under task_tree_lock and the parent's siglock, the task appears at
 * once everywhere: in the thread list or the tree, in its group and session, under
 * its number. A signal that came to the parent meanwhile makes the call start
 * over (ERESTARTNOINTR), so that a signal for a whole group never misses the child.
 *
 * References: the task has one for being attached to its number (dropped
 * when it is reaped) and one for running (dropped off its CPU).
 */
#include <abi/linux/signal.h>
#include <hal/clock.h>
#include <hal/thread.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/proc/exit.h>
#include <kernel/proc/fork.h>
#include <kernel/proc/rseq.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/session.h>
#include <kernel/task/watch.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "internal.h"

#define CLONE_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
			  CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

/* One call's state while the child is being made. */
struct fork {
	const struct fork_args *args;
	struct task *self, *t;
	struct process *parent, *p;	/* p: the child's process; the parent's own for a thread */
	struct pid *pid;
	struct completion vfork_done;
	int pidfd;
	struct file *pidfd_file;
};

void proc_task_release(struct thread *thread)
{
	thread_fini(thread);
	task_put(thread_task(thread));
}

/*
 * Namespaces are not there. Linux without them says EINVAL, but asks for
 * the privilege first; CLONE_NEWUSER needs none.
 */
static int fork_check_namespaces(u64 flags)
{
	if (!(flags & CLONE_NAMESPACES))
		return 0;
	if (!(flags & CLONE_NEWUSER) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return -EINVAL;
}

/* The combinations that clone(2) refuses, in the order of Linux's copy_process(). */
static int fork_check_flags(const struct fork_args *a, const struct process *parent)
{
	u64 flags = a->flags;

	if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID) && a->pidfd.addr == a->parent_tid.addr)
		return -EINVAL;
	if ((flags & CLONE_FS) && (flags & (CLONE_NEWNS | CLONE_NEWUSER)))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	if ((flags & CLONE_PARENT) && (READ_ONCE(parent->sigflags) & PROCESS_UNKILLABLE))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && (flags & (CLONE_NEWUSER | CLONE_NEWPID)))
		return -EINVAL;
	if ((flags & CLONE_PIDFD) && (flags & (CLONE_DETACHED | CLONE_THREAD)))
		return -EINVAL;
	return fork_check_namespaces(flags);
}

/* What the child has of its parent's thread by value. */
static void fork_copy_fields(struct task *t, const struct task *self, u64 flags)
{
	t->flags = TASK_FORKNOEXEC;
	t->blocked = self->blocked;
	t->personality = self->personality;
	t->ioprio = READ_ONCE(self->ioprio);
	t->mempolicy = mempolicy_get(self->mempolicy);
	t->interleaved = self->interleaved;
	t->no_new_privs = self->no_new_privs;
	t->thread.slack_ns = self->thread.slack_ns;
	t->default_timer_slack_ns = self->thread.slack_ns;
	/* A thread on the same memory must not use the same alternate stack. */
	if ((flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM)
		t->altstack = self->altstack;
	t->start_ns = hal_clock_ns();
#if HALCYON_DEBUG
	t->make_it_fail = self->make_it_fail;
#endif
}

/* The user's count and the system's. Both are given back by fork_uncount(). */
static int fork_count(struct fork *f)
{
	const struct cred *c = f->self->real_cred;
	s64 n;

	f->t->real_cred = cred_get(c);
	f->t->cred = c;
	n = atomic64_inc_return(&c->user->processes);
	if ((u64)n > rlimit_get(f->parent, RLIMIT_NPROC) && c->user != &user_root &&
	    !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
		goto too_many;
	f->self->flags &= ~TASK_NPROC_EXCEEDED;
	if (!task_count_inc())
		goto too_many;
	return 0;

too_many:
	atomic64_dec(&c->user->processes);
	return -EAGAIN;
}

static void fork_uncount(struct fork *f)
{
	task_count_dec();
	atomic64_dec(&f->t->real_cred->user->processes);
}

static int fork_thread(struct fork *f)
{
	struct thread *th = &f->t->thread;
	struct hal_regs *regs;
	int err = thread_init(th, THREAD_USER, f->self->thread.name, proc_task_release);

	if (err)
		return err;
	err = hal_thread_init_user_copy(&th->hal, th->hal.stack_base, th->hal.stack_size,
					hal_task_regs(&f->self->thread));
	if (err)
		goto fini;
	regs = hal_task_regs(th);
	if (f->args->stack)
		hal_regs_set_sp(regs, f->args->stack);
	if (f->args->flags & CLONE_SETTLS) {
		err = hal_thread_set_tls(&th->hal, f->args->tls);
		if (err)
			goto fini;
	}
	return 0;

fini:
	thread_fini(th);
	return err;
}

static int fork_files(struct fork *f)
{
	struct task *t = f->t, *self = f->self;

	if (f->args->flags & CLONE_FILES) {
		t->files = files_get(self->files);
	} else {
		t->files = files_copy(self->files);
		if (IS_ERR(t->files))
			return (int)PTR_ERR(t->files);
	}
	if (f->args->flags & CLONE_FS) {
		/* execve is computing credentials from how the context is shared: it counts and marks under the same lock. */
		spin_lock(&self->fs->lock);
		if (!self->fs->in_exec)
			t->fs = fs_context_get(self->fs);
		spin_unlock(&self->fs->lock);
		if (t->fs)
			return 0;
		files_put(t->files);
		return -EAGAIN;
	}
	t->fs = fs_context_copy(self->fs);
	if (t->fs)
		return 0;
	files_put(t->files);
	return -ENOMEM;
}

/* What a new process takes over from the old one besides its thread. */
static void fork_inherit(struct process *p, struct process *parent)
{
	irqflags_t f;

	p->exe = NULL;
	p->dumpable = parent->dumpable;
	p->oom_score_adj = parent->oom_score_adj;
	p->oom_score_adj_min = parent->oom_score_adj_min;
	f = spin_lock_irqsave(&parent->rlim_lock);
	memcpy(p->rlim, parent->rlim, sizeof(p->rlim));
	spin_unlock_irqrestore(&parent->rlim_lock, f);
	f = spin_lock_irqsave(&parent->siglock);
	if (parent->exe)
		p->exe = file_get(parent->exe);
	spin_unlock_irqrestore(&parent->siglock, f);
}

static int fork_sighand(struct process *p, struct process *parent, u64 flags)
{
	if (flags & CLONE_SIGHAND) {
		p->sighand = sighand_get(parent->sighand);
		return 0;
	}
	p->sighand = sighand_copy(parent->sighand);
	if (!p->sighand)
		return -ENOMEM;
	if (flags & CLONE_CLEAR_SIGHAND)
		sighand_flush_handlers(p->sighand);
	return 0;
}

static void fork_drop_process(struct process *p)
{
	if (p->exe)
		file_put(p->exe);
	process_put(p);
}

/* The process of the child: the parent's own for a thread, else a new one with its space. */
static int fork_process(struct fork *f)
{
	u64 flags = f->args->flags;
	struct process *p;
	int err;

	if (flags & CLONE_THREAD) {
		f->p = process_get(f->parent);
		return 0;
	}
	p = process_alloc();
	if (!p)
		return -ENOMEM;
	fork_inherit(p, f->parent);
	err = fork_sighand(p, f->parent, flags);
	if (err)
		goto drop;
	if (flags & CLONE_VM) {
		vm_space_get(f->parent->space);
		p->space = f->parent->space;
	} else {
		err = vm_space_fork(f->parent->space, &p->space);
		if (err)
			goto put_sighand;
	}
	f->p = p;
	return 0;

put_sighand:
	sighand_put(p->sighand);
drop:
	fork_drop_process(p);
	return err;
}

static void fork_undo_process(struct fork *f)
{
	struct process *p = f->p;

	if (f->args->flags & CLONE_THREAD) {
		process_put(p);
		return;
	}
	vm_space_put(p->space);
	sighand_put(p->sighand);
	fork_drop_process(p);
}

/* The new process enters the tree. task_tree_lock and the parent's siglock held. */
static void fork_enter_tree(struct fork *f)
{
	struct process *p = f->p, *parent = f->parent;
	u64 flags = f->args->flags;

	p->pid = pid_get(f->pid);
	p->leader = f->t;
	if (flags & CLONE_PARENT) {
		p->parent = parent->parent;
		p->parent_task = parent->parent_task;
		p->parent_exec_id = parent->parent_exec_id;
		p->exit_signal = parent->exit_signal;
	} else {
		p->parent = parent;
		p->parent_task = f->self;
		p->parent_exec_id = parent->exec_id;
		p->exit_signal = f->args->exit_signal;
	}
	p->exec_id = parent->exec_id;
	/* Here, not earlier: prctl(PR_SET_CHILD_SUBREAPER) marks whom it finds in the tree under the same lock. */
	p->has_child_subreaper = p->parent->has_child_subreaper || p->parent->child_subreaper;
	/* Here, not earlier: a hangup takes the terminal from all of the session under the same lock. */
	p->tty = parent->tty;
	if (p->tty && session_tty_ops.get)
		session_tty_ops.get(p->tty);
	list_add_tail(&p->sibling, &p->parent->children);
	session_set_sid_locked(p, parent->session);
	session_set_pgrp_locked(p, parent->pgrp);
	rcu_assign_pointer(f->pid->process, p);
}

/* The point from which the child exists. */
static int fork_commit(struct fork *f)
{
	struct task *t = f->t;
	struct process *p = f->p;
	irqflags_t flags = spin_lock_irqsave(&task_tree_lock);
	int err = 0;

	spin_lock(&f->parent->siglock);
	if (thread_interrupted(&f->self->thread)) {
		err = -ERESTARTNOINTR;
		goto unlock;
	}
	t->process = p;
	t->pid = pid_get(f->pid);
	t->thread.id = (u32)f->pid->nr;
	process_attach_task_locked(p, t);
	watch_attach_locked(t, f->self);
	atomic_inc_relaxed(&p->live_threads);
	atomic_inc_relaxed(&p->space_threads);
	if (!(f->args->flags & CLONE_THREAD))
		fork_enter_tree(f);
	rcu_assign_pointer(f->pid->task, t);
	pid_publish_locked(f->pid);
unlock:
	spin_unlock(&f->parent->siglock);
	spin_unlock_irqrestore(&task_tree_lock, flags);
	return err;
}

/* In the child, before its first instruction: only there its memory is at hand. */
static void fork_store_child_tid(struct task *t)
{
	might_fault();
	/* Linux ignores a bad pointer here too. */
	if (hal_user_store_u32(t->set_child_tid, (u32)t->pid->nr))
		return;
}

static void fork_set_tids(struct fork *f)
{
	const struct fork_args *a = f->args;
	struct task *t = f->t;

	if (a->flags & CLONE_CHILD_SETTID) {
		t->set_child_tid = a->child_tid;
		t->notify = fork_store_child_tid;
		hal_work_set(&t->thread.hal, HAL_WORK_NOTIFY);
	}
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = a->child_tid;
	rseq_inherit(t, current_task(), a->flags & CLONE_VM);
}

static void fork_wait_vfork(struct task *self, struct task *child, struct completion *done)
{
	self->flags |= TASK_VFORKING;
	if (wait_for_completion_killable(done, "vfork")) {
		/* The child completes under this lock: after it, `done` is ours alone. */
		spin_lock(&child->lock);
		child->vfork_done = NULL;
		spin_unlock(&child->lock);
	}
	self->flags &= ~TASK_VFORKING;
	task_put(child);
}

static int fork_build(struct fork *f)
{
	int err = fork_count(f);

	if (err)
		return err;
	err = fork_thread(f);
	if (err)
		goto uncount;
	err = fork_files(f);
	if (err)
		goto drop_thread;
	err = fork_process(f);
	if (err)
		goto drop_files;
	err = pid_alloc(f->args->set_tid, &f->pid);
	if (err)
		goto drop_process;
	if (f->args->flags & CLONE_PIDFD) {
		err = pidfd_prepare(f->pid, &f->pidfd_file);
		if (err < 0)
			goto drop_pid;
		f->pidfd = err;
		err = put_user_u32((u32)f->pidfd, f->args->pidfd);
		if (err)
			goto drop_pidfd;
	}
	fork_set_tids(f);
	err = fork_commit(f);
	if (!err)
		return 0;

drop_pidfd:
	if (f->pidfd_file)
		pidfd_abandon(f->pidfd, f->pidfd_file);
drop_pid:
	pid_free_unused(f->pid);
drop_process:
	fork_undo_process(f);
drop_files:
	fs_context_put(f->t->fs);
	files_put(f->t->files);
drop_thread:
	thread_fini(&f->t->thread);
uncount:
	fork_uncount(f);
	return err;
}

long proc_fork(const struct fork_args *args)
{
	struct task *self = current_task();
	struct fork f = { .args = args, .self = self, .parent = self->process };
	struct task *t;
	bool vfork = args->flags & CLONE_VFORK;
	int nr;
	long err = fork_check_flags(args, f.parent);

	if (err)
		return err;
	if (proc_ending)
		return -EAGAIN;
	if (signal_pending())
		return -ERESTARTNOINTR;
	t = task_alloc();
	if (!t)
		return -ENOMEM;
	f.t = t;
	fork_copy_fields(t, self, args->flags);
	if (vfork) {
		completion_init(&f.vfork_done);
		t->vfork_done = &f.vfork_done;
	}
	err = fork_build(&f);
	if (err) {
		t->process = NULL;
		task_put(t);
		return err;
	}

	/* From here on the child exists; `t` may be gone as soon as it runs. */
	nr = f.pid->nr;
	if (args->flags & CLONE_PARENT_SETTID)
		(void)!put_user_u32((u32)nr, args->parent_tid);
	if (f.pidfd_file)
		fd_install(f.pidfd, f.pidfd_file);
	task_get(t);		/* the one for running */
	if (vfork)
		task_get(t);
	thread_start(&t->thread);
	if (vfork)
		fork_wait_vfork(self, t, &f.vfork_done);
	return nr;
}
