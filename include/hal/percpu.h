/* SPDX-License-Identifier: MIT */
#ifndef HAL_PERCPU_H
#define HAL_PERCPU_H

/*
 * What every CPU has of its own, and the few words of it that the kernel reads all the time.
 *
 * struct hal_percpu is the machine's (arch/percpu.h). These members are the contract:
 *
 *	struct hal_percpu *self		[I] its own address
 *	u64 percpu_offset		[I] add it to the address of a DEFINE_PER_CPU variable
 *	struct thread *current		[own] changed by hal_switch() and hal_set_current() only
 *	u32 preempt_count		[own] see below
 *	u32 cpu				[I] index, 0 .. hal_cpu_count() - 1; 0 is the boot CPU
 *	u64 kernel_sp			[own] top of current's kernel stack
 *	u64 stack_canary		[own] current's canary; its place is the compiler's ABI
 *
 * [own]: only that CPU touches it; single instructions, so safe in any context.
 *
 * preempt_count. Bits 0-15 count preempt_disable(), bits 16-23 the depth of interrupts. Bit 31 is the
 * need-resched bit turned round: it is *set* while nobody wants this CPU to reschedule. So "count is
 * zero and a reschedule is wanted" is one compare with 0, and leaving a critical section is one
 * decrement whose zero flag says whether to call the scheduler. It starts as PREEMPT_NO_RESCHED | 1:
 * the boot code is not preemptible until the scheduler says so.
 */
#include <lib/types.h>

struct thread;

#define HAL_MAX_CPUS		512

#define HAL_PREEMPT_MASK	0x0000ffffu
#define HAL_PREEMPT_IRQ_ONE	0x00010000u
#define HAL_PREEMPT_IRQ_MASK	0x00ff0000u
#define PREEMPT_NO_RESCHED	0x80000000u

#include <arch/percpu.h>

/*
 * Inline, any context. A result that depends on the CPU is stable only while preemption is off.
 *
 *	struct hal_percpu *hal_percpu(void)
 *	u32 hal_cpu_id(void)
 *	struct thread *hal_current(void)	NULL before the boot thread was set; always stable
 *	void hal_set_current(struct thread *t)	boot only: adopts the running context as thread t
 *	u64 hal_percpu_offset(void)
 *
 *	void hal_preempt_inc(void)
 *	bool hal_preempt_dec_and_test(void)	true: the count is 0 and a reschedule is wanted
 *	void hal_preempt_dec(void)
 *	u32 hal_preempt_count(void)		without the need-resched bit
 *	void hal_preempt_set_need_resched(void) / hal_preempt_clear_need_resched(void)
 *	bool hal_preempt_need_resched(void)
 *	bool hal_preempt_wanted(void)		count 0 and reschedule wanted
 *	void hal_irq_depth_inc(void) / hal_irq_depth_dec(void)	bits 16-23
 */

/* The offset of another CPU's variables. cpu < hal_cpu_count(). Any context. */
u64 hal_percpu_offset_of(u32 cpu);

/* Sets it, once per CPU, before anything uses that CPU's variables. Boot only. CPU 0 starts with 0. */
void hal_percpu_set_offset(u32 cpu, u64 offset);

/* Another CPU's area; NULL while that CPU has none. Any context. */
struct hal_percpu *hal_percpu_of(u32 cpu);

#endif
