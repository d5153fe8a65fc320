/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_WATCHDOG_H
#define KERNEL_CORE_WATCHDOG_H

/*
 * The NMI watchdog of the debug kernel: finds a CPU that is not idle and takes no timer interrupts (kernel/core/nmi.c).
 */
#include <lib/types.h>

#define WATCHDOG_THRESH_SECONDS 10u	/* as Linux's watchdog_thresh */

#if HALCYON_DEBUG

/* From the tick: this CPU takes interrupts. */
void watchdog_tick(void);
/*
 * Reports CPUs that took no interrupt for thresh_ns from now on; 0 stops it. Thread context, one caller at a time.
 * 0, or -ENODEV when the machine has no timer that can send NMIs.
 */
int watchdog_set(u64 thresh_ns);
/* 0: it does not run. */
u64 watchdog_thresh_ns(void);
/* At boot, in thread context: obeys nmi_watchdog=0|panic|nopanic on the command line. */
void watchdog_init(void);

#else

static inline void watchdog_tick(void)
{
}

#endif
#endif
