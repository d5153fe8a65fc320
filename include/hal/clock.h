/* SPDX-License-Identifier: MIT */
#ifndef HAL_CLOCK_H
#define HAL_CLOCK_H

/*
 * Time: one monotonic clock for all CPUs and a one-shot timer per CPU.
 *
 *	u64 hal_cycles(void)		inline: the raw counter, any context
 *	u64 hal_clock_ns(void)		inline: nanoseconds since the kernel was entered; 0 until
 *					hal_late_init has calibrated it. Monotonic, any context.
 */
#include <lib/compiler.h>
#include <arch/clock.h>

/*
 * Interrupts this CPU at or soon after that time, through upcall_timer(); a time that is past fires at
 * once. Replaces what was armed before. Far deadlines may fire early: the receiver looks at the clock.
 * After hal_late_init, interrupts or preemption off.
 */
void hal_timer_arm(u64 deadline_ns);
void hal_timer_stop(void);

/* Busy waiting, for hardware; works from hal_early_init on (roughly, before calibration). Any context. */
void hal_delay_ns(u64 ns);

/* UTC seconds since 1970 at the moment when hal_clock_ns() was 0; 0 if no clock of the machine told. */
u64 hal_wallclock_seconds_at_boot(void);

/* Counter frequency in Hz, and what it was measured against ("CPUID", "HPET", "PM timer", "PIT"). */
u64 hal_clock_hz(void);
const char *hal_clock_source(void);

/* For the vDSO: ns = ((cycles - base) * mult) >> 32, 128-bit product. */
void hal_clock_params(u64 *base, u64 *mult);

#endif
