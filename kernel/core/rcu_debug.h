/* SPDX-License-Identifier: MIT */
#ifndef CORE_RCU_DEBUG_H
#define CORE_RCU_DEBUG_H

/* Between rcu.c and rcu_debug.c: what the debug kernel adds. */
#include <kernel/core/cpumask.h>

#if HALCYON_DEBUG

/* This CPU says that it has no reader. */
void rcu_debug_quiescent(void);
/* [rcu.lock] The period `gp` is of that age and waits for those CPUs. True: report it, without the lock. */
bool rcu_debug_stalled(u64 gp, u64 age_ns, const struct cpumask *waiting);
/* After the one above, same CPU, interrupts still off. */
void rcu_debug_report_stall(void);

#else

static inline void rcu_debug_quiescent(void)
{
}

static inline bool rcu_debug_stalled(u64 gp, u64 age_ns, const struct cpumask *waiting)
{
	(void)gp, (void)age_ns, (void)waiting;
	return false;
}

static inline void rcu_debug_report_stall(void)
{
}

#endif
#endif
