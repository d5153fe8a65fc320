/* SPDX-License-Identifier: MIT */
#ifndef ARCH_PERCPU_H
#define ARCH_PERCPU_H

/*
 * x86-64: the area lies at the kernel's GS base. All accessors are single instructions with a GS
 * prefix, so an interrupt or a migration between two of them can tear nothing.
 */
#include <lib/compiler.h>

struct hal_percpu {
	struct hal_percpu *self;	/* gs:0 */
	u64 percpu_offset;		/* gs:8 */
	struct thread *current;		/* gs:16 */
	u32 preempt_count;		/* gs:24 */
	u32 cpu;			/* gs:28 */
	u64 kernel_sp;			/* gs:32 */
	u64 stack_canary;		/* gs:40, -mstack-protector-guard-reg=gs */

	/* x86 only, for hal/x86_64 alone. */
	u64 user_sp;			/* gs:48, scratch of the syscall entry */
	struct thread *fpu_owner;	/* gs:56, whose vector state the registers hold, or NULL */
	void *active_space;		/* gs:64, struct hal_space that CR3 names, or NULL */
	u64 active_root;		/* gs:72, what CR3 holds */
	void *tss;			/* gs:80, struct x86_tss */
	u32 apic_id;			/* gs:88 */
	u32 online;			/* gs:92 [a] */
	u64 nmi_count;			/* gs:96 */
	u64 timer_count;		/* gs:104 */
	u64 spurious_count;		/* gs:112 */
	u64 apic_error_count;		/* gs:120 */

	/* hal/tlb.h, hal/ipi.h. */
	u64 tlb_gen;
	u32 tlb_lazy;
	u32 kick_pending;		/* [a] ipi.c */
	u64 resched_count;
	u64 call_count;
	u64 tlb_count;
	/* Entry code that shields the kernel (entry_hard.asm): where in this CPU's entry area it leaves. */
	u64 entry_data;			/* struct x86_entry_data of this CPU, 0: no page-table isolation */
	u64 entry_sp;			/* top of the stack that a trap of user mode begins on */
	u64 entry_sysret, entry_iret;	/* code of the entry area that goes on to user mode */
	u64 spec_ctrl;			/* what IA32_SPEC_CTRL holds in user mode (mitigate_cpu.c) */
};

_Static_assert(offsetof(struct hal_percpu, current) == 16, "asm constant below");
_Static_assert(offsetof(struct hal_percpu, preempt_count) == 24, "asm constant below");
_Static_assert(offsetof(struct hal_percpu, stack_canary) == 40, "the compiler's ABI");

static __always_inline struct hal_percpu *hal_percpu(void)
{
	struct hal_percpu *p;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(p));
	return p;
}

static __always_inline u32 hal_cpu_id(void)
{
	u32 cpu;

	__asm__ volatile("movl %%gs:28, %0" : "=r"(cpu));
	return cpu;
}

/* Not volatile: within one function current never changes, whatever CPU it runs on. */
static __always_inline struct thread *hal_current(void)
{
	struct thread *t;

	__asm__("movq %%gs:16, %0" : "=r"(t));
	return t;
}

static __always_inline u64 hal_percpu_offset(void)
{
	u64 offset;

	__asm__ volatile("movq %%gs:8, %0" : "=r"(offset));
	return offset;
}

static __always_inline void hal_preempt_inc(void)
{
	__asm__ volatile("incl %%gs:24" : : : "memory", "cc");
}

static __always_inline void hal_preempt_dec(void)
{
	__asm__ volatile("decl %%gs:24" : : : "memory", "cc");
}

static __always_inline bool hal_preempt_dec_and_test(void)
{
	bool zero;

	__asm__ volatile("decl %%gs:24" : "=@ccz"(zero) : : "memory");
	return zero;
}

static __always_inline u32 hal_preempt_count_raw(void)
{
	u32 count;

	__asm__ volatile("movl %%gs:24, %0" : "=r"(count));
	return count;
}

static __always_inline u32 hal_preempt_count(void)
{
	return hal_preempt_count_raw() & 0x7fffffffu;
}

static __always_inline bool hal_preempt_wanted(void)
{
	return hal_preempt_count_raw() == 0;
}

static __always_inline bool hal_preempt_need_resched(void)
{
	return !(hal_preempt_count_raw() & 0x80000000u);
}

static __always_inline void hal_preempt_set_need_resched(void)
{
	__asm__ volatile("andl $0x7fffffff, %%gs:24" : : : "memory", "cc");
}

static __always_inline void hal_preempt_clear_need_resched(void)
{
	__asm__ volatile("orl $0x80000000, %%gs:24" : : : "memory", "cc");
}

static __always_inline void hal_irq_depth_inc(void)
{
	__asm__ volatile("addl $0x10000, %%gs:24" : : : "memory", "cc");
}

static __always_inline void hal_irq_depth_dec(void)
{
	__asm__ volatile("subl $0x10000, %%gs:24" : : : "memory", "cc");
}

/* Out of line: sets kernel_sp, the TSS and the canary too. */
void hal_set_current(struct thread *t);

#endif
