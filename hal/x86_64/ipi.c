/* SPDX-License-Identifier: MIT */
/*
 * Interrupts to other CPUs, and what happens there.
 *
 * A wish to reschedule is a flag: one that is under way serves for all that are made before it is taken. kick_pending says
 * that one is; the receiver clears it first and then looks, so a waker that finds it set knows that its thread will be
 * seen. (Calls and flushes keep the same kind of word themselves: kernel/core/xcall.h.)
 *
 * A flush touches nothing but the TLB, so it runs without what surrounds other handlers: no RCU, no accounting, no
 * reschedule on its way out.
 */
#include <hal/ipi.h>
#include <lib/atomic.h>
#include "x86.h"

static void ipi_send(u32 cpu, u32 vector)
{
	struct hal_percpu *pc = hal_percpu_of(cpu);
	irqflags_t flags;

	if (!pc || !hal_cpu_online(cpu))
		return;
	flags = hal_irq_save();	/* the two halves of an xAPIC command belong together */
	x86_apic_send(pc->apic_id, vector);
	hal_irq_restore(flags);
}

void hal_cpu_kick(u32 cpu)
{
	struct hal_percpu *pc = hal_percpu_of(cpu);

	if (pc && !xchg(&pc->kick_pending, 1u))
		ipi_send(cpu, X86_VEC_KICK);
}

void hal_ipi_call(u32 cpu)
{
	ipi_send(cpu, X86_VEC_CALL);
}

void hal_ipi_tlb(u32 cpu)
{
	ipi_send(cpu, X86_VEC_TLB);
}

/* A panic may have come at any place. */
void hal_ipi_stop(u32 cpu)
{
	struct hal_percpu *pc = hal_percpu_of(cpu);
	irqflags_t flags = hal_irq_save();

	if (pc && hal_cpu_online(cpu))
		x86_apic_send_nested(pc->apic_id, X86_VEC_STOP);
	hal_irq_restore(flags);
}

void hal_ipi_reset(void)
{
	smp_store_release(&hal_percpu()->kick_pending, 0u);
}

/* Interrupts off. True: the vector was one that needs nothing around it, and is done. */
bool x86_ipi_bare(u32 vector)
{
	struct hal_percpu *pc = hal_percpu();

	if (likely(vector == X86_VEC_TLB)) {
		pc->tlb_count++;
		x86_apic_eoi();
		upcall_ipi_tlb();
		return true;
	}
	if (vector == X86_VEC_STOP) {
		x86_apic_eoi();
		upcall_ipi_stop();
		return true;
	}
	return false;
}

/* Interrupt context. True: the vector was one of ours. */
bool x86_ipi_handle(u32 vector)
{
	struct hal_percpu *pc = hal_percpu();

	if (vector == X86_VEC_KICK) {
		pc->resched_count++;
		x86_apic_eoi();
		xchg(&pc->kick_pending, 0u);
		hal_preempt_set_need_resched();
		hal_work_set((struct hal_thread *)hal_current(), HAL_WORK_RESCHED);
		return true;
	}
	if (vector == X86_VEC_CALL) {
		pc->call_count++;
		x86_apic_eoi();
		upcall_ipi_call();
		return true;
	}
	return false;
}
