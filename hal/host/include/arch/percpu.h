/* SPDX-License-Identifier: MIT */
#ifndef ARCH_PERCPU_H
#define ARCH_PERCPU_H

/* The CPU whose fibre runs is found through one pointer, which the fibre switch changes. */
#include <lib/compiler.h>

struct hal_percpu {
	struct hal_percpu *self;
	u64 percpu_offset;
	struct thread *current;
	u32 preempt_count;
	u32 cpu;
	u64 kernel_sp;
	u64 stack_canary;
	bool irqs_on;
	bool online;
	u64 timer_deadline;	/* 0: not armed */

	void *active_space;	/* hal/tlb.h */
	u64 tlb_gen;
	u32 tlb_lazy;
	u32 ipis;		/* [a] HOST_IPI_* under way */
	u64 resched_count;
	u64 call_count;
	u64 tlb_count;
	u64 flushed_all;	/* what the CPU's TLB was told, counted (mmu.c) */
	u64 flushed_pages;
	u64 flushed_kernel;
};

extern struct hal_percpu *volatile host_cpu;

/* A place where another CPU may go on. */
void host_maybe_switch(void);

static inline struct hal_percpu *hal_percpu(void)
{
	return host_cpu;
}

static inline u32 hal_cpu_id(void)
{
	return host_cpu->cpu;
}

static inline struct thread *hal_current(void)
{
	return host_cpu->current;
}

static inline u64 hal_percpu_offset(void)
{
	return host_cpu->percpu_offset;
}

static inline void hal_preempt_inc(void)
{
	host_cpu->preempt_count++;
}

static inline void hal_preempt_dec(void)
{
	host_cpu->preempt_count--;
	host_maybe_switch();
}

static inline bool hal_preempt_dec_and_test(void)
{
	bool zero = --host_cpu->preempt_count == 0;

	host_maybe_switch();
	return zero;
}

static inline u32 hal_preempt_count(void)
{
	return host_cpu->preempt_count & 0x7fffffffu;
}

static inline bool hal_preempt_wanted(void)
{
	return host_cpu->preempt_count == 0;
}

static inline bool hal_preempt_need_resched(void)
{
	return !(host_cpu->preempt_count & 0x80000000u);
}

static inline void hal_preempt_set_need_resched(void)
{
	host_cpu->preempt_count &= 0x7fffffffu;
}

static inline void hal_preempt_clear_need_resched(void)
{
	host_cpu->preempt_count |= 0x80000000u;
}

static inline void hal_irq_depth_inc(void)
{
	host_cpu->preempt_count += 0x10000u;
}

static inline void hal_irq_depth_dec(void)
{
	host_cpu->preempt_count -= 0x10000u;
}

void hal_set_current(struct thread *t);

#endif
