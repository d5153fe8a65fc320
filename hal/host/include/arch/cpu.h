/* SPDX-License-Identifier: MIT */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

/*
 * A CPU is a fibre, and its interrupt flag a word. Whatever changes the flag, and every pause, is a place where
 * the host may go on with another CPU: that is how CPUs interleave here.
 */
#include <lib/types.h>

typedef u64 irqflags_t;		/* 1: on */

irqflags_t hal_irq_save(void);
void hal_irq_restore(irqflags_t f);
void hal_irq_enable(void);
void hal_irq_disable(void);
bool hal_irq_enabled(void);
void hal_cpu_relax(void);
void hal_cpu_idle(void);

static inline bool hal_irqflags_enabled(irqflags_t f)
{
	return f != 0;
}

#endif
