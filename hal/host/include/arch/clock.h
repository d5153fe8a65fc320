/* SPDX-License-Identifier: MIT */
#ifndef ARCH_CLOCK_H
#define ARCH_CLOCK_H

/* Virtual time: moves on by a step with each look at it, by more where a CPU waits, and by host_time_advance(). */
#include <lib/types.h>

u64 hal_clock_ns(void);

static inline u64 hal_cycles(void)
{
	return hal_clock_ns();
}

#endif
