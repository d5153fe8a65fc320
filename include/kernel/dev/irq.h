/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_IRQ_H
#define KERNEL_DEV_IRQ_H

/* /proc/interrupts and /proc/irq, and what interrupts do when CPUs come and go. */
#include <kernel/core/cpuhp.h>

/* Boot, thread context, once; irqs that were requested before appear then. */
void irq_files_init(void);

extern const struct cpuhp_step irq_cpuhp;

#endif
