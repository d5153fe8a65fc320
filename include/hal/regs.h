/* SPDX-License-Identifier: MIT */
#ifndef HAL_REGS_H
#define HAL_REGS_H

/*
 * The registers that a trap, interrupt or syscall saved. struct hal_regs is the machine's; portable
 * code uses the accessors (inline, any context; the frame must be its own thread's or that thread must
 * not run):
 *
 *	u64  hal_regs_ip(const struct hal_regs *)	u64 hal_regs_sp(...)	u64 hal_regs_flags(...)
 *	void hal_regs_set_ip(struct hal_regs *, u64)	void hal_regs_set_sp(struct hal_regs *, u64)
 *	u64  hal_regs_ret(...)				the syscall's result
 *	void hal_regs_set_ret(struct hal_regs *, u64)
 *	long hal_regs_syscall_nr(...)			-1: this frame is not (any more) a syscall's
 *	void hal_regs_set_syscall_nr(struct hal_regs *, long)
 *	u64  hal_regs_arg(const struct hal_regs *, unsigned int n)	n-th syscall argument, 0..5
 *	u64  hal_regs_fp(...)				the frame pointer
 *	bool hal_regs_user_mode(...)
 *	bool hal_regs_irqs_on(...)			were interrupts on where it happened
 *	void hal_regs_restart_syscall(struct hal_regs *)	go back onto the syscall instruction with
 *							its number; call from exit work only
 *	void hal_regs_restart_syscall_nr(struct hal_regs *, long nr)	the same with another number
 *	void hal_regs_capture(struct hal_regs *)	the caller's own registers, for reports
 *	HAL_VECTOR_PAGE_FAULT			the vector by which upcall_kernel_trap() gets page faults
 *
 * A syscall function that changes its own frame other than by its return value (execve, rt_sigreturn)
 * must set HAL_WORK_FRAME on its thread, so that the exit path restores all of it; the HAL's own
 * functions that write frames do it. In exit work, frames may be changed freely.
 */
#include <lib/compiler.h>
#include <arch/regs.h>

/*
 * A fresh user frame: everything 0 but the instruction pointer, the stack pointer and the machine's
 * mode and flags. For execve; sets nothing but *regs.
 */
void hal_regs_init_user(struct hal_regs *regs, u64 ip, u64 sp);

#endif
