/* SPDX-License-Identifier: MIT */
#ifndef HAL_IPI_H
#define HAL_IPI_H

/*
 * Interrupts from CPU to CPU. They carry nothing: sender and receiver agree by memory (kernel/core/smpcall.c and tlb.c).
 *
 * hal_cpu_kick() (hal/cpu.h) is the one that asks for a reschedule; hal_cpu_nmi() (hal/nmi.h) the one that gets through
 * where interrupts are off.
 *
 * Each: any context; the target is an online CPU other than the caller's, or nothing happens. What the caller wrote before
 * is visible to the handler. Two that are sent before the first is taken may arrive as one. Counted at the receiver:
 * struct hal_percpu resched_count, call_count, tlb_count, nmi_count.
 */
#include <lib/types.h>

/* upcall_ipi_call() runs there, in interrupt context (between upcall_irq_enter and upcall_irq_exit). */
void hal_ipi_call(u32 cpu);

/* upcall_ipi_tlb() runs there: interrupts off, but no interrupt context as the kernel counts it. */
void hal_ipi_tlb(u32 cpu);

/* upcall_ipi_stop() runs there, the same way: what is left where hal_cpu_nmi() cannot. */
void hal_ipi_stop(u32 cpu);

/*
 * This CPU forgets what was under way to it: it comes (back) online, and an interrupt that was lost with its earlier life must
 * not be waited for. Interrupts off, before it is online.
 */
void hal_ipi_reset(void);

#endif
