/* SPDX-License-Identifier: MIT */
#ifndef ARCH_REGS_H
#define ARCH_REGS_H

#include <lib/compiler.h>

/*
 * In the order in which the entry code pushes and Linux's struct pt_regs has them (ptrace and core
 * files rely on it). A user frame ends at the top of its thread's kernel stack.
 */
struct hal_regs {
	u64 r15;
	u64 r14;
	u64 r13;
	u64 r12;
	u64 rbp;
	u64 rbx;
	u64 r11;
	u64 r10;
	u64 r9;
	u64 r8;
	u64 rax;
	u64 rcx;
	u64 rdx;
	u64 rsi;
	u64 rdi;
	u64 orig_rax;		/* the syscall's number, or all ones */
	u64 rip;
	u64 cs;
	u64 rflags;
	u64 rsp;
	u64 ss;
};

_Static_assert(sizeof(struct hal_regs) == 168, "entry.asm, and Linux's pt_regs");

static inline u64 hal_regs_ip(const struct hal_regs *r)
{
	return r->rip;
}

static inline u64 hal_regs_sp(const struct hal_regs *r)
{
	return r->rsp;
}

static inline u64 hal_regs_flags(const struct hal_regs *r)
{
	return r->rflags;
}

static inline u64 hal_regs_fp(const struct hal_regs *r)
{
	return r->rbp;
}

static inline void hal_regs_set_ip(struct hal_regs *r, u64 ip)
{
	r->rip = ip;
}

static inline void hal_regs_set_sp(struct hal_regs *r, u64 sp)
{
	r->rsp = sp;
}

static inline u64 hal_regs_ret(const struct hal_regs *r)
{
	return r->rax;
}

static inline void hal_regs_set_ret(struct hal_regs *r, u64 v)
{
	r->rax = v;
}

/* The kernel looks at EAX alone, as Linux does: the upper half of RAX is ignored. */
static inline long hal_regs_syscall_nr(const struct hal_regs *r)
{
	return (s32)r->orig_rax;
}

static inline void hal_regs_set_syscall_nr(struct hal_regs *r, long nr)
{
	r->orig_rax = (u64)nr;
}

static inline u64 hal_regs_arg(const struct hal_regs *r, unsigned int n)
{
	switch (n) {
	case 0: return r->rdi;
	case 1: return r->rsi;
	case 2: return r->rdx;
	case 3: return r->r10;
	case 4: return r->r8;
	case 5: return r->r9;
	default: return 0;
	}
}

static inline bool hal_regs_user_mode(const struct hal_regs *r)
{
	return (r->cs & 3) != 0;
}

static inline bool hal_regs_irqs_on(const struct hal_regs *r)
{
	return (r->rflags & 0x200) != 0;
}

/* SYSCALL is two bytes long. */
static inline void hal_regs_restart_syscall(struct hal_regs *r)
{
	r->rax = r->orig_rax;
	r->rip -= 2;
}

static inline void hal_regs_restart_syscall_nr(struct hal_regs *r, long nr)
{
	r->rax = (u64)nr;
	r->rip -= 2;
}

/* What upcall_kernel_trap() calls a page fault. */
#define HAL_VECTOR_PAGE_FAULT 14u

/* The caller's registers, for a report that no trap started. */
static __always_inline void hal_regs_capture(struct hal_regs *r)
{
	__asm__ volatile("movq %%r15, 0(%0)\n\tmovq %%r14, 8(%0)\n\tmovq %%r13, 16(%0)\n\tmovq %%r12, 24(%0)\n\t"
			 "movq %%rbp, 32(%0)\n\tmovq %%rbx, 40(%0)\n\tmovq %%r11, 48(%0)\n\tmovq %%r10, 56(%0)\n\t"
			 "movq %%r9, 64(%0)\n\tmovq %%r8, 72(%0)\n\tmovq %%rax, 80(%0)\n\tmovq %%rcx, 88(%0)\n\t"
			 "movq %%rdx, 96(%0)\n\tmovq %%rsi, 104(%0)\n\tmovq %%rdi, 112(%0)\n\t"
			 "movq $-1, 120(%0)\n\tmovq %%rsp, 152(%0)\n\tmovw %%cs, 136(%0)\n\tmovw %%ss, 160(%0)\n\t"
			 "pushfq\n\tpopq 144(%0)\n\tleaq 0f(%%rip), %%rax\n0:\tmovq %%rax, 128(%0)"
			 : : "D"(r) : "rax", "memory");
	r->cs &= 0xffff;
	r->ss &= 0xffff;
}

#endif
