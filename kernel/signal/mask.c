// SPDX-License-Identifier: MIT
/* The caller's own view: masks, what is ignored, waiting for signals. */
#include <hal/signal.h>
#include <hal/uaccess.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/pid.h>
#include <lib/errno.h>


#include "internal.h"

/*
 * Signals that are newly blocked may have been meant for us by a sender that
 * chose us among threads: somebody else has to take them now.
 */
static void signal_set_blocked_locked(struct task *t, sigset64_t set)
{
	struct process *p = t->process;
	sigset64_t newly = set & ~t->blocked;

	if (thread_interrupted(&t->thread) && p->nr_threads > 1 && (p->pending.set & newly)) {
		sigset64_t old = t->blocked;

		t->blocked = ~newly;
		signal_retarget_locked(p, t);
		t->blocked = old;
	}
	WRITE_ONCE(t->blocked, set);
	signal_recalc_locked(t);
}

/*
 * A process with one thread needs no lock: nobody has to take over what is
 * blocked now, and what is unblocked now is looked for after the mask is visible.
 * A sender does it the other way round (signal_complete()): first the pending bit,
 * then our mask. One of the two sees the other's write.
 */
static inline bool signal_set_blocked_alone(struct task *t, sigset64_t set)
{
	struct process *p = t->process;

	if (READ_ONCE(p->nr_threads) > 1 || thread_interrupted(&t->thread))
		return false;
	(void)xchg(&t->blocked, set);	/* a full barrier */
	return !((READ_ONCE(t->pending.set) | READ_ONCE(p->pending.set)) & ~set);
}

static noinline void signal_set_blocked_slow(struct task *t, sigset64_t set)
{
	irqflags_t f = spin_lock_irqsave(&t->process->siglock);

	signal_set_blocked_locked(t, set);
	spin_unlock_irqrestore(&t->process->siglock, f);
}

void signal_set_blocked(sigset64_t set)
{
	struct task *t = current_task();

	set &= ~SIG_KERNEL_ONLY_MASK;
	if (unlikely(t->blocked != set && !signal_set_blocked_alone(t, set)))
		signal_set_blocked_slow(t, set);
}

int signal_set_user_mask(uptr_t user, size_t size)
{
	struct task *t = current_task();
	sigset64_t set;

	if (uptr_is_null(user))
		return 0;
	if (size != sizeof(set))
		return -EINVAL;
	might_fault();
	if (hal_user_load_u64(user, &set))
		return -EFAULT;
	t->flags |= TASK_RESTORE_MASK;
	t->saved_mask = t->blocked;
	signal_set_blocked(set);
	return 0;
}

void signal_restore_user_mask(bool interrupted)
{
	struct task *t = current_task();

	if (interrupted || !(t->flags & TASK_RESTORE_MASK))
		return;
	t->flags &= ~TASK_RESTORE_MASK;
	signal_set_blocked(t->saved_mask);
}

bool signal_fatal_pending(void)
{
	struct task *t = task_current_or_null();

	return t && thread_interrupted(&t->thread) && (READ_ONCE(t->pending.set) & SIGMASK(SIGKILL));
}

bool signal_is_ignored(int sig)
{
	struct task *t = current_task();

	return READ_ONCE(t->process->sighand->ignored) & SIGMASK(sig);
}

bool signal_is_ignored_or_blocked(int sig)
{
	return (current_task()->blocked & SIGMASK(sig)) || signal_is_ignored(sig);
}

int signal_altstack(const stack_t *new, stack_t *old, u64 sp)
{
	struct task *t = current_task();
	stack_t *mine = &t->altstack;
	bool on = !((u32)mine->ss_flags & SS_AUTODISARM) && mine->ss_size &&
		  hal_signal_on_stack(sp, mine->ss_sp.addr, mine->ss_size);
	u32 mode;

	if (old) {
		*old = *mine;
		old->ss_flags = mine->ss_size ? (on ? SS_ONSTACK : 0) : SS_DISABLE;
		old->ss_flags |= (s32)((u32)mine->ss_flags & SS_FLAG_BITS);
	}
	if (!new)
		return 0;
	if (on)
		return -EPERM;
	mode = (u32)new->ss_flags & ~SS_FLAG_BITS;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		*mine = (stack_t){ .ss_flags = new->ss_flags };
		return 0;
	}
	if (new->ss_size < MINSIGSTKSZ)
		return -ENOMEM;
	*mine = *new;
	return 0;
}

int signal_wait(sigset64_t set, siginfo_t *info, u64 deadline_ns)
{
	struct task *t = current_task();
	struct process *p = t->process;
	irqflags_t f;
	int sig, err;

	set &= ~SIG_KERNEL_ONLY_MASK;
	f = spin_lock_irqsave(&p->siglock);
	sig = signal_dequeue_locked(t, ~set, info);
	if (!sig && deadline_ns) {
		/* Open the set, so that senders wake us; real_blocked says that no handler is to run. */
		t->real_blocked = t->blocked;
		t->blocked &= ~set;
		signal_recalc_locked(t);
		thread_set_state(&t->thread, THREAD_INTERRUPTIBLE);
		spin_unlock_irqrestore(&p->siglock, f);
		err = thread_sleep_until(deadline_ns, THREAD_INTERRUPTIBLE, "sigtimedwait");
		f = spin_lock_irqsave(&p->siglock);
		signal_set_blocked_locked(t, t->real_blocked);
		t->real_blocked = 0;
		sig = signal_dequeue_locked(t, ~set, info);
	} else {
		err = -ETIMEDOUT;
	}
	spin_unlock_irqrestore(&p->siglock, f);
	if (sig)
		return sig;
	return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
}
