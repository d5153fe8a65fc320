/* SPDX-License-Identifier: MIT */
#ifndef HAL_IRQ_H
#define HAL_IRQ_H

/*
 * Interrupt lines. An irq number is a global system interrupt (ACPI 6.5 §5.2.13); legacy ISA lines go
 * through hal_irq_isa(), which knows firmware's overrides.
 *
 * Handlers run on the CPU that got the interrupt, interrupts off, not preemptible, and must be short:
 * what is not urgent is handed to a thread. The HAL acknowledges the controller.
 */
#include <lib/compiler.h>

typedef void (*hal_irq_handler_t)(void *arg, u32 irq);

/* flags; by default as firmware says: ISA lines edge and high, others level and low */
#define HAL_IRQ_LEVEL		0x1u
#define HAL_IRQ_EDGE		0x2u
#define HAL_IRQ_ACTIVE_LOW	0x4u
#define HAL_IRQ_ACTIVE_HIGH	0x8u
#define HAL_IRQ_SHARED		0x10u	/* others may share the line; all must say so */

/* The irq number of legacy line 0..15. After hal_late_init. Any context. */
u32 hal_irq_isa(u32 line);

/*
 * Calls handler(arg, irq) on each interrupt of the line from now on. After hal_late_init; may sleep.
 * 0; -EINVAL no such line; -EBUSY taken; -ENOSPC no vector left; -ENOMEM.
 */
int __must_check hal_irq_request(u32 irq, hal_irq_handler_t handler, void *arg, u32 flags,
				 const char *name);

/* Takes it away; when it returns no CPU runs the handler. arg as given to request. May sleep. */
void hal_irq_free(u32 irq, void *arg);

/* A line's delivery, without losing edges that a level line keeps up. Any context. */
void hal_irq_mask(u32 irq);
void hal_irq_unmask(u32 irq);

/* For /proc/interrupts: the i-th line in use; false past the last one. Any context. */
struct hal_irq_stat {
	u32 irq;
	u64 count;
	const char *name;
};
bool hal_irq_stat(u32 i, struct hal_irq_stat *out);

#endif
