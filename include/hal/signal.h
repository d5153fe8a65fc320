/* SPDX-License-Identifier: MIT */
#ifndef HAL_SIGNAL_H
#define HAL_SIGNAL_H

/*
 * The frame that a signal handler sees on its stack, exactly Linux's, and the way back. Which signal
 * is delivered and what the mask becomes is the signal layer's business.
 */
#include <lib/compiler.h>
#include <hal/regs.h>

/* What goes into a frame. Numbers and flags are Linux's (sigaction(2), sigaltstack(2)). */
struct hal_signal {
	int sig;
	u64 handler;		/* user address */
	u64 sa_flags;		/* SA_* */
	u64 restorer;		/* user address; the frame's return address */
	const void *siginfo;	/* 128 bytes, Linux's siginfo_t */
	u64 mask;		/* uc_sigmask: what sigreturn restores */
	/* the thread's alternate stack as sigaltstack(2) set it */
	u64 alt_sp;
	u64 alt_size;		/* bytes; 0: none */
	u32 alt_flags;		/* SS_AUTODISARM or 0 */
};

/*
 * Builds the frame on the user stack (the alternate one when SA_ONSTACK asks for it) and makes *regs
 * enter the handler: sig in the first argument, siginfo and ucontext in the next two. The vector state
 * is reset for the handler. Exit work only, may fault. 0, or -EFAULT: *regs is unchanged and the
 * caller forces SIGSEGV.
 */
int __must_check hal_signal_frame_setup(struct hal_regs *regs, const struct hal_signal *s);

/*
 * rt_sigreturn: takes registers and vector state from the frame at the user stack pointer; *mask and
 * *alt_* become what the frame holds. Nothing of a hostile frame can hurt the kernel. Sets
 * HAL_WORK_FRAME and makes the frame no syscall's; the syscall function returns hal_regs_ret(regs).
 * Process context, may fault. 0, or -EFAULT: force SIGSEGV.
 */
struct hal_sigreturn {
	u64 mask;
	u64 alt_sp;
	u64 alt_size;
	u32 alt_flags;
};
int __must_check hal_signal_frame_return(struct hal_regs *regs, struct hal_sigreturn *out);

/* Is sp on that alternate stack (sas_ss_flags of Linux)? */
static inline bool hal_signal_on_stack(u64 sp, u64 alt_sp, u64 alt_size)
{
	return sp > alt_sp && sp - alt_sp <= alt_size;
}

/* AT_MINSIGSTKSZ: the most that a frame takes, in bytes. */
u64 hal_minsigstksz(void);

#endif
