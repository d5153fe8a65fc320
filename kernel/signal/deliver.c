// SPDX-License-Identifier: MIT
/*
 * Delivery: on the way back to user mode a thread takes its signals, one after
 * another, and acts: it ends, stops, or enters a handler.
 *
 * System calls. A call that a signal interrupted has returned one of the
 * ERESTART codes. Whether it is restarted depends on what happens to the
 * signal (signal(7)): no handler runs: restart, all of them; a handler runs:
 * ERESTARTNOINTR always, ERESTARTSYS when SA_RESTART, the others give EINTR.
 * A call with a time-out restarts through restart_syscall(2), which knows the
 * time that is left.
 *
 * Group stop. The first thread that takes a stop signal marks all threads
 * (JOBCTL_STOP_PENDING) and counts them; each stops when it comes here, and the
 * last one tells the parent. SIGCONT, in send.c, undoes all of it at once; the
 * news for the parent are left in the CLD bits for the first thread that wakes.
 */
#include <abi/linux/unistd.h>
#include <abi/linux/wait.h>
#include <hal/signal.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/session.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "internal.h"

void (*signal_exit_hook)(int status) __noreturn;

bool signal_participate_stop_locked(struct task *t)
{
	struct process *p = t->process;
	bool counted = t->jobctl & JOBCTL_STOP_CONSUME;

	signal_clear_stop_pending_locked(t, JOBCTL_STOP_PENDING);
	if (!counted)
		return false;
	if (p->group_stop_count > 0)
		p->group_stop_count--;
	if (p->group_stop_count || (p->sigflags & PROCESS_STOPPED))
		return false;
	p->sigflags = (p->sigflags & ~(PROCESS_CLD_MASK | PROCESS_CONTINUED)) | PROCESS_STOPPED;
	return true;
}

static void signal_start_group_stop(struct task *self, int sig)
{
	struct process *p = self->process;
	struct task *t;

	if (!(p->sigflags & PROCESS_STOPPED))
		p->group_exit_code = sig;
	p->group_stop_count = 0;
	for_each_thread(p, t) {
		if (t != self && (READ_ONCE(t->thread.state) & THREAD_STOPPED))
			continue;
		if (t->flags & TASK_EXITING || (t->pending.set & SIGMASK(SIGKILL)))
			continue;
		t->jobctl = (t->jobctl & ~JOBCTL_STOP_SIGMASK) | (u32)sig | JOBCTL_STOP_PENDING |
			    JOBCTL_STOP_CONSUME;
		p->group_stop_count++;
		if (t != self)
			thread_signal_kick(&t->thread, false);
	}
}

bool signal_stop_locked(struct task *t, int sig, irqflags_t f)
{
	struct process *p = t->process;
	bool last;

	if (!(t->jobctl & JOBCTL_STOP_PENDING)) {
		if (!(t->jobctl & JOBCTL_STOP_DEQUEUED) || (p->sigflags & PROCESS_GROUP_EXIT) ||
		    p->group_exec)
			return false;	/* SIGCONT or SIGKILL was faster */
		signal_start_group_stop(t, sig);
	}
	last = signal_participate_stop_locked(t);
	thread_set_state(&t->thread, THREAD_STOPPED);
	spin_unlock_irqrestore(&p->siglock, f);
	if (last)
		signal_notify_parent_stop(t, CLD_STOPPED);
	t->thread.wait_why = "stopped";
	schedule();
	t->thread.wait_why = NULL;
	return true;
}

/* The process ends as if by sig; the frame's registers are for the log only. */
static void __noreturn signal_die(struct task *t, int sig, struct hal_regs *regs)
{
	char name[THREAD_NAME_BYTES];

	if (SIGMASK(sig) & SIG_CORE_MASK)
		log_debug("%s[%d]: signal %d, ip %llx sp %llx", thread_name_text(&t->thread, name), t->pid->nr, sig,
			  (unsigned long long)hal_regs_ip(regs), (unsigned long long)hal_regs_sp(regs));
	signal_exit_hook(sig);
}

enum signal_step { STEP_HANDLER, STEP_AGAIN, STEP_DIE, STEP_RELOCK };

/* One dequeued signal whose action is the default. siglock held; released with STEP_RELOCK. */
static enum signal_step signal_default_action(struct task *t, int sig, irqflags_t f)
{
	struct process *p = t->process;
	sigset64_t bit = SIGMASK(sig);
	irqflags_t g;

	if (bit & SIG_IGNORE_MASK)
		return STEP_AGAIN;
	if ((p->sigflags & PROCESS_UNKILLABLE) && !(bit & SIG_KERNEL_ONLY_MASK))
		return STEP_AGAIN;
	if (!(bit & SIG_STOP_MASK))
		return STEP_DIE;
	if (sig == SIGSTOP)
		return signal_stop_locked(t, sig, f) ? STEP_RELOCK : STEP_AGAIN;
	/* The tree is looked at without siglock, which is inside its lock. */
	spin_unlock_irqrestore(&p->siglock, f);
	if (session_current_pgrp_is_orphaned())
		return STEP_RELOCK;
	g = spin_lock_irqsave(&p->siglock);
	if (signal_stop_locked(t, sig, g))
		return STEP_RELOCK;
	spin_unlock_irqrestore(&p->siglock, g);
	return STEP_RELOCK;
}

/* The parent learns of a stop or a continuation that somebody left to us. siglock held; true: released. */
static bool signal_tell_parent_locked(struct task *t, irqflags_t f)
{
	struct process *p = t->process;
	int why;

	if (!(p->sigflags & PROCESS_CLD_MASK))
		return false;
	why = p->sigflags & PROCESS_CLD_CONTINUED ? CLD_CONTINUED : CLD_STOPPED;
	p->sigflags &= ~PROCESS_CLD_MASK;
	spin_unlock_irqrestore(&p->siglock, f);
	signal_notify_parent_stop(t, why);
	return true;
}

/*
 * The next signal with a handler, with its action and siginfo; 0 when there is
 * none. Ends or stops the process where that is the action.
 */
static int signal_get(struct task *t, struct sigaction *act, siginfo_t *info, struct hal_regs *regs)
{
	struct process *p = t->process;
	irqflags_t f;
	int sig;

relock:
	f = spin_lock_irqsave(&p->siglock);
	if (signal_tell_parent_locked(t, f))
		goto relock;
	for (;;) {
		if ((p->sigflags & PROCESS_GROUP_EXIT) || p->group_exec) {
			sig = SIGKILL;
			break;
		}
		if ((t->jobctl & JOBCTL_STOP_PENDING) && signal_stop_locked(t, 0, f))
			goto relock;
		sig = 0;
		if (unlikely(t->pending.set & ~t->blocked & SIG_SYNCHRONOUS_MASK))
			sig = signal_dequeue_fault_locked(t, info);
		if (!sig)
			sig = signal_dequeue_locked(t, t->blocked, info);
		if (!sig) {
			spin_unlock_irqrestore(&p->siglock, f);
			return 0;
		}
		if (sighand_take(p->sighand, sig, act)) {
			spin_unlock_irqrestore(&p->siglock, f);
			return sig;
		}
		if (act->sa_handler.addr == SIG_IGN)
			continue;
		switch (signal_default_action(t, sig, f)) {
		case STEP_RELOCK:
			goto relock;
		case STEP_DIE:
			goto die;
		default:
			continue;
		}
	}
die:
	spin_unlock_irqrestore(&p->siglock, f);
	signal_die(t, sig, regs);
}

/* A handler will run: does the interrupted call fail or start again? */
static void signal_fix_syscall(struct hal_regs *regs, const struct sigaction *act)
{
	if (hal_regs_syscall_nr(regs) == -1)
		return;
	switch (-(long)hal_regs_ret(regs)) {
	case ERESTART_RESTARTBLOCK:
	case ERESTARTNOHAND:
		hal_regs_set_ret(regs, (u64)-EINTR);
		break;
	case ERESTARTSYS:
		if (!(act->sa_flags & SA_RESTART)) {
			hal_regs_set_ret(regs, (u64)-EINTR);
			break;
		}
		fallthrough;
	case ERESTARTNOINTR:
		hal_regs_restart_syscall(regs);
		break;
	default:
		break;
	}
}

static void signal_restart_syscall(struct hal_regs *regs)
{
	if (hal_regs_syscall_nr(regs) == -1)
		return;
	switch (-(long)hal_regs_ret(regs)) {
	case ERESTARTNOHAND:
	case ERESTARTSYS:
	case ERESTARTNOINTR:
		hal_regs_restart_syscall(regs);
		break;
	case ERESTART_RESTARTBLOCK:
		hal_regs_restart_syscall_nr(regs, __NR_restart_syscall);
		break;
	default:
		break;
	}
}

static void signal_enter_handler(struct task *t, struct hal_regs *regs, int sig,
				 const struct sigaction *act, const siginfo_t *info)
{
	struct hal_signal s = {
		.sig = sig,
		.handler = act->sa_handler.addr,
		.sa_flags = act->sa_flags,
		.restorer = act->sa_restorer.addr,
		.siginfo = info,
		.mask = t->flags & TASK_RESTORE_MASK ? t->saved_mask : t->blocked,
		.alt_sp = t->altstack.ss_sp.addr,
		.alt_size = t->altstack.ss_size,
		.alt_flags = (u32)t->altstack.ss_flags,
	};
	sigset64_t mask;

	signal_fix_syscall(regs, act);
	if (hal_signal_frame_setup(regs, &s)) {
		signal_force_sigsegv(sig);
		return;
	}
	t->flags &= ~TASK_RESTORE_MASK;
	if ((u32)t->altstack.ss_flags & SS_AUTODISARM) {
		t->altstack.ss_sp = UPTR_NULL;
		t->altstack.ss_size = 0;
		t->altstack.ss_flags = SS_DISABLE;
	}
	mask = t->blocked | act->sa_mask;
	if (!(act->sa_flags & SA_NODEFER))
		mask |= SIGMASK(sig);
	signal_set_blocked(mask);
}

void signal_deliver(struct hal_regs *regs)
{
	struct task *t = current_task();
	struct sigaction act;
	siginfo_t info;
	int sig = signal_get(t, &act, &info, regs);

	if (sig) {
		signal_enter_handler(t, regs, sig, &act, &info);
		return;
	}
	signal_restart_syscall(regs);
	signal_restore_user_mask(false);
}
