// SPDX-License-Identifier: MIT
/*
 * Signals that the running thread causes itself by a fault: they cannot wait.
 * When the thread blocks or ignores such a signal its action becomes the
 * default and the block is lifted, so that the program ends instead of
 * faulting for ever; and PID 1 loses its protection.
 */
#include <kernel/signal/sighand.h>
#include <lib/string.h>

#include "internal.h"

static void signal_force_common(const siginfo_t *info, bool exit)
{
	struct task *t = current_task();
	struct process *p = t->process;
	int sig = info->si_signo;
	sigset64_t bit = SIGMASK(sig);
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	if (((t->blocked | p->sighand->ignored) & bit) || exit) {
		sighand_set_default(p->sighand, sig);
		t->blocked &= ~bit;
	}
	if (!(p->sighand->caught & bit))
		p->sigflags &= ~PROCESS_UNKILLABLE;
	(void)signal_send_locked(t, false, sig, SIGNAL_FROM_INFO, info);
	signal_recalc_locked(t);
	spin_unlock_irqrestore(&p->siglock, f);
}

void signal_force_info(const siginfo_t *info)
{
	signal_force_common(info, false);
}

void signal_force_fault(int sig, int code, u64 addr)
{
	signal_force_trap(sig, code, addr, 0);
}

void signal_force_trap(int sig, int code, u64 addr, int trapno)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = uptr(addr);
	if (trapno)
		info.si_trapno = trapno;
	signal_force_common(&info, false);
}

void signal_force(int sig)
{
	siginfo_t info;

	siginfo_init_kernel(&info, sig);
	signal_force_common(&info, false);
}

void signal_force_fatal(int sig)
{
	siginfo_t info;

	siginfo_init_kernel(&info, sig);
	signal_force_common(&info, true);
}

void signal_force_sigsegv(int sig)
{
	if (sig == SIGSEGV)
		signal_force_fatal(SIGSEGV);
	else
		signal_force(SIGSEGV);
}
