/* SPDX-License-Identifier: MIT */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <lib/types.h>

typedef u64 irqflags_t;		/* RFLAGS */

#define ARCH_RFLAGS_IF 0x200ull

static __always_inline irqflags_t hal_irqflags(void)
{
	irqflags_t f;

	__asm__ volatile("pushfq; popq %0" : "=rm"(f) : : "memory");
	return f;
}

static __always_inline void hal_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static __always_inline void hal_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static __always_inline irqflags_t hal_irq_save(void)
{
	irqflags_t f = hal_irqflags();

	hal_irq_disable();
	return f;
}

static __always_inline bool hal_irqflags_enabled(irqflags_t f)
{
	return (f & ARCH_RFLAGS_IF) != 0;
}

static __always_inline void hal_irq_restore(irqflags_t f)
{
	if (hal_irqflags_enabled(f))
		hal_irq_enable();
}

static __always_inline bool hal_irq_enabled(void)
{
	return hal_irqflags_enabled(hal_irqflags());
}

static __always_inline void hal_cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* STI holds interrupts off for one more instruction: nothing can come between it and HLT. */
static __always_inline void hal_cpu_idle(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#endif
