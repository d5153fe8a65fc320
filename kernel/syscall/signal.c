// SPDX-License-Identifier: MIT
/* Signals: sigaction(2), sigprocmask(2), kill(2) and their families. */
#include <abi/linux/time.h>
#include <hal/signal.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

#define SIGSET_BYTES 8

long sys_rt_sigaction(int sig, uptr_t act, uptr_t old, size_t size)
{
	struct sigaction new, was;
	bool set = !uptr_is_null(act), get = !uptr_is_null(old);
	int err;

	if (size != SIGSET_BYTES)
		return -EINVAL;
	if (set && copy_from_user(&new, act, sizeof(new)))
		return -EFAULT;
	err = signal_action(sig, set ? &new : NULL, get ? &was : NULL);
	if (!err && get)
		err = copy_to_user(old, &was, sizeof(was));
	return err;
}

long sys_rt_sigprocmask(int how, uptr_t set, uptr_t old, size_t size)
{
	sigset64_t was = current_task()->blocked, new;

	if (size != SIGSET_BYTES)
		return -EINVAL;
	might_fault();
	if (!uptr_is_null(set)) {
		if (hal_user_load_u64(set, &new))
			return -EFAULT;
		if (how == SIG_BLOCK)
			new |= was;
		else if (how == SIG_UNBLOCK)
			new = was & ~new;
		else if (how != SIG_SETMASK)
			return -EINVAL;
		signal_set_blocked(new);
	}
	return uptr_is_null(old) ? 0 : hal_user_store_u64(old, was);
}

long sys_rt_sigpending(uptr_t set, size_t size)
{
	struct task *t = current_task();
	sigset64_t pending;
	irqflags_t f;

	if (size > SIGSET_BYTES)
		return -EINVAL;
	f = spin_lock_irqsave(&t->process->siglock);
	pending = (t->pending.set | t->process->pending.set) & t->blocked;
	spin_unlock_irqrestore(&t->process->siglock, f);
	return copy_to_user(set, &pending, size);
}

/* Sleeps until a signal is there that will be acted upon. */
static long wait_for_signal(const char *why)
{
	struct task *t = current_task();

	while (!signal_pending()) {
		thread_set_state(&t->thread, THREAD_INTERRUPTIBLE);
		(void)thread_sleep_until(WAIT_FOREVER, THREAD_INTERRUPTIBLE, why);
	}
	return -ERESTARTNOHAND;
}

long sys_pause(void)
{
	return wait_for_signal("pause");
}

long sys_rt_sigsuspend(uptr_t set, size_t size)
{
	struct task *t = current_task();
	sigset64_t new;

	if (size != SIGSET_BYTES)
		return -EINVAL;
	might_fault();
	if (hal_user_load_u64(set, &new))
		return -EFAULT;
	t->saved_mask = t->blocked;
	signal_set_blocked(new);
	(void)wait_for_signal("sigsuspend");
	t->flags |= TASK_RESTORE_MASK;
	return -ERESTARTNOHAND;
}

long sys_rt_sigtimedwait(uptr_t user_set, uptr_t user_info, uptr_t timeout, size_t size)
{
	struct timespec ts;
	u64 deadline = WAIT_FOREVER;
	sigset64_t set;
	siginfo_t info;
	int sig;

	if (size != SIGSET_BYTES)
		return -EINVAL;
	if (copy_from_user(&set, user_set, sizeof(set)))
		return -EFAULT;
	if (!uptr_is_null(timeout)) {
		if (copy_from_user(&ts, timeout, sizeof(ts)))
			return -EFAULT;
		if (!clock_timespec_valid(&ts))
			return -EINVAL;
		deadline = clock_timespec_to_ns(&ts);
		if (deadline)
			deadline += clock_mono_ns();
	}
	sig = signal_wait(set, &info, deadline);
	if (sig > 0 && !uptr_is_null(user_info)) {
		siginfo_pad(&info);
		if (copy_to_user(user_info, &info, sizeof(info)))
			return -EFAULT;
	}
	return sig;
}

long sys_kill(int pid, int sig)
{
	return signal_kill(pid, sig);
}

long sys_tkill(int tid, int sig)
{
	return tid <= 0 ? -EINVAL : signal_kill_thread(0, tid, sig, NULL);
}

long sys_tgkill(int tgid, int tid, int sig)
{
	return tgid <= 0 || tid <= 0 ? -EINVAL : signal_kill_thread(tgid, tid, sig, NULL);
}

/* Does Linux know what stands in a siginfo with this code (sigaction(2))? The codes of the kernel's own, by signal. */
static bool siginfo_layout_known(int sig, int code)
{
	static const u8 codes[] = {
		[SIGILL] = 11, [SIGFPE] = 15, [SIGSEGV] = 9, [SIGBUS] = 5, [SIGTRAP] = 6, [SIGCHLD] = 6, [SIGSYS] = 2,
	};
	const int poll_codes = 6, dethread = -7, asyncnl = -60;

	if (code == SI_KERNEL || code == asyncnl || (code >= dethread && code <= SI_USER))
		return true;
	if (code < 0)
		return false;
	return code <= poll_codes || (sig > 0 && sig < (int)ARRAY_SIZE(codes) && code <= codes[sig]);
}

/* What is behind the used part is dropped, unless it may mean something that is not known here. */
static int copy_siginfo(siginfo_t *info, uptr_t user, int sig)
{
	const u8 *rest = (const u8 *)info + SIGINFO_USED_BYTES;

	if (copy_from_user(info, user, sizeof(*info)))
		return -EFAULT;
	info->si_signo = sig;
	if (likely(siginfo_layout_known(sig, info->si_code)))
		return 0;
	for (size_t i = 0; i < sizeof(*info) - SIGINFO_USED_BYTES; i++)
		if (rest[i])
			return -E2BIG;
	return 0;
}

/* Only to itself may a thread send what looks as if the kernel or tkill had made it. */
static bool siginfo_may_be_sent(const siginfo_t *info, int to)
{
	return (info->si_code < 0 && info->si_code != SI_TKILL) || current_task()->pid->nr == to;
}

long sys_rt_sigqueueinfo(int pid, int sig, uptr_t user)
{
	siginfo_t info;
	int err = copy_siginfo(&info, user, sig);

	if (err)
		return err;
	return siginfo_may_be_sent(&info, pid) ? signal_queue(pid, sig, &info) : -EPERM;
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, uptr_t user)
{
	siginfo_t info;
	int err = copy_siginfo(&info, user, sig);

	if (err)
		return err;
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	return siginfo_may_be_sent(&info, tid) ? signal_kill_thread(tgid, tid, sig, &info) : -EPERM;
}

long sys_sigaltstack(uptr_t ss, uptr_t old)
{
	u64 sp = hal_regs_sp(hal_task_regs(current_thread()));
	bool set = !uptr_is_null(ss), get = !uptr_is_null(old);
	stack_t new, was;
	int err;

	if (set && copy_from_user(&new, ss, sizeof(new)))
		return -EFAULT;
	err = signal_altstack(set ? &new : NULL, get ? &was : NULL, sp);
	if (!err && get)
		err = copy_to_user(old, &was, sizeof(was));
	return err;
}

long sys_rt_sigreturn(void)
{
	struct task *t = current_task();
	struct hal_regs *regs = hal_task_regs(&t->thread);
	struct hal_sigreturn frame;
	stack_t alt;

	if (hal_signal_frame_return(regs, &frame)) {
		signal_force(SIGSEGV);
		return 0;
	}
	signal_set_blocked(frame.mask);
	/* The rule is that it is what was put into the frame. Linux ignores a stack that cannot be installed. */
	if (unlikely(frame.alt_sp != t->altstack.ss_sp.addr || frame.alt_size != t->altstack.ss_size ||
		     frame.alt_flags != (frame.alt_size ? (u32)t->altstack.ss_flags : SS_DISABLE))) {
		alt.ss_sp = uptr(frame.alt_sp);
		alt.ss_size = frame.alt_size;
		alt.ss_flags = (s32)frame.alt_flags;
		(void)signal_altstack(&alt, NULL, hal_regs_sp(regs));
	}
	t->restart.fn = NULL;
	return (long)hal_regs_ret(regs);
}

/* A syscall that a stop or an ignored signal interrupted goes on with what it left in the task. */
long sys_restart_syscall(void)
{
	struct restart_block *rb = &current_task()->restart;

	return rb->fn ? rb->fn(rb) : -EINTR;
}
