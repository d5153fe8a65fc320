/* SPDX-License-Identifier: MIT */
#ifndef X86_FPU_H
#define X86_FPU_H

/*
 * The vector state's part of a switch in the common case; fpu.c has the theory.
 */
#include "user.h"

/* The registers of this CPU hold t's state. Interrupts off. */
static __always_inline void x86_fpu_own(struct hal_thread *t)
{
	struct hal_percpu *pc = hal_percpu();

	pc->fpu_owner = (struct thread *)t;
	t->arch.fpu_cpu = pc->cpu;
}

extern u8 x86_fpu_pointers_leak;	/* [I] the CPU has AMD's fxsave_leak */

/*
 * CPUs of AMD before XSAVEERPTR load the x87's last instruction, operand and opcode only when an exception is pending (APM vol. 2
 * 11.4.4.3): the next program would find the last one's addresses there. An FILD of our own overwrites them; FNCLEX and EMMS
 * see to it that it raises nothing. Between the saving of one thread's state and the loading of another's.
 */
static __always_inline void x86_fpu_hide_pointers(void)
{
	static const u32 word;

	__asm__ volatile("fnclex; emms; fildl %0" : : "m"(word));
}

/*
 * Memory of prev := registers, registers := memory of next. HAL_WORK_FPU is clear for both, so the registers are prev's and
 * cannot be next's, and the CPU has XSAVEOPT. False: the CPU refuses next's area, and x86_fpu_load() must be called.
 * Interrupts off.
 */
static __always_inline bool x86_fpu_swap(struct hal_thread *prev, struct hal_thread *next)
{
	u32 features = (u32)x86_xcr0;

	__asm__ volatile("xsaveopt64 (%0)" : : "r"(prev->arch.fpu), "a"(features), "d"(0) : "memory");
	if (unlikely(x86_fpu_pointers_leak))
		x86_fpu_hide_pointers();
	__asm__ goto("1:	xrstor64 (%0)\n" X86_EX_FAULT : : "r"(next->arch.fpu), "a"(features), "d"(0) :
		     "memory" : fault);
	x86_fpu_own(next);
	return true;
fault:
	return false;
}

#endif
