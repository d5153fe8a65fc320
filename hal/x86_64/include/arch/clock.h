/* SPDX-License-Identifier: MIT */
#ifndef ARCH_CLOCK_H
#define ARCH_CLOCK_H

#include <lib/compiler.h>

/*
 * The TSC as a clock. [a] mult is ns per tick in 32.32 fixed point; 0: time is not read from the TSC (before calibration,
 * or another counter was chosen). base changes only while mult is 0.
 */
struct x86_clock {
	u64 base;
	u64 mult;
};
extern struct x86_clock x86_clock;

__extension__ typedef unsigned __int128 x86_u128;

/*
 * LFENCE holds RDTSC back until what came before is done: otherwise two CPUs that hand a lock over
 * could see time go backwards (SDM vol. 2B, RDTSC).
 */
static __always_inline u64 hal_cycles(void)
{
	u64 lo, hi; /* RDTSC clears the upper halves */

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return hi << 32 | lo;
}

/* The clock where it is not the TSC: 0 before calibration. */
u64 x86_clock_slow_ns(void);

static __always_inline u64 hal_clock_ns(void)
{
	u64 mult = READ_ONCE(x86_clock.mult);

	if (unlikely(!mult))
		return x86_clock_slow_ns();
	return (u64)(((x86_u128)(hal_cycles() - READ_ONCE(x86_clock.base)) * mult) >> 32);
}

#endif
