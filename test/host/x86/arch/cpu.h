/* SPDX-License-Identifier: MIT */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

/* hal/x86_64's names on the made-up machine of test/host/x86/fake.h: the interrupt flag is a word of the fake CPU. */
#include <lib/types.h>

typedef u64 irqflags_t; /* 1: on */

irqflags_t hal_irq_save(void);
void hal_irq_restore(irqflags_t f);
void hal_irq_enable(void);
void hal_irq_disable(void);
bool hal_irq_enabled(void);
/* With interrupts on the other CPUs take what is pending; with interrupts off nothing could ever change: fails. */
void hal_cpu_relax(void);
void hal_cpu_idle(void);

static inline bool hal_irqflags_enabled(irqflags_t f)
{
	return f != 0;
}

#endif
