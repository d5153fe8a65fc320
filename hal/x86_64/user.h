/* SPDX-License-Identifier: MIT */
#ifndef X86_USER_H
#define X86_USER_H

/*
 * Single user accesses, many under one opening of the SMAP window: signal frames are written and read
 * this way, field by field, without a copy in between.
 *
 *	if (!hal_user_range_ok(...))
 *		return -EFAULT;
 *	x86_user_open();
 *	x86_user_put64(base, offset, value, fault);
 *	...
 *	x86_user_close();
 *	return 0;
 * fault:
 *	x86_user_close();
 *	return -EFAULT;
 *
 * The range is checked before; open holds the LFENCE that keeps a CPU which guessed that check wrong from
 * reading kernel memory (CVE-2017-5753). Each access has its entry in .ex_table (uaccess.asm says how): a page
 * that cannot be brought in leads to the label. Nothing may be called while the window is open.
 */
#include "x86.h"

static __always_inline void x86_user_open(void)
{
	if (likely(x86_smap))
		__asm__ volatile("stac" : : : "memory", "cc");
	__asm__ volatile("lfence" : : : "memory");
}

/* After another range check inside the window. */
static __always_inline void x86_user_barrier(void)
{
	__asm__ volatile("lfence" : : : "memory");
}

static __always_inline void x86_user_close(void)
{
	if (likely(x86_smap))
		__asm__ volatile("clac" : : : "memory", "cc");
}

/* The instruction at label 1 goes on at the C label `fault` when it faults. */
#define X86_EX_FAULT				\
	".pushsection .ex_table, \"a\"\n"	\
	".balign 4\n"				\
	".long 1b - .\n"			\
	".long %l[fault] - .\n"			\
	".popsection\n"

/* base: u64, a user address; offset: a constant. The label must be called fault. */
#define x86_user_put64(base, offset, v)								\
	__asm__ goto("1:	movq	%0, %c1(%2)\n" X86_EX_FAULT				\
		     : : "er"((u64)(v)), "i"(offset), "r"((u64)(base)) : "memory" : fault)

#define x86_user_put32(base, offset, v)								\
	__asm__ goto("1:	movl	%0, %c1(%2)\n" X86_EX_FAULT				\
		     : : "er"((u32)(v)), "i"(offset), "r"((u64)(base)) : "memory" : fault)

#define x86_user_get64(base, offset, v)								\
	__asm__ goto("1:	movq	%c1(%2), %0\n" X86_EX_FAULT				\
		     : "=r"(v) : "i"(offset), "r"((u64)(base)) : "memory" : fault)

#define x86_user_get32(base, offset, v)								\
	__asm__ goto("1:	movl	%c1(%2), %0\n" X86_EX_FAULT				\
		     : "=r"(v) : "i"(offset), "r"((u64)(base)) : "memory" : fault)

#endif
