/* SPDX-License-Identifier: MIT */
#ifndef HAL_CLOCK_H
#define HAL_CLOCK_H

/*
 * Time: one monotonic clock for all CPUs and a one-shot timer per CPU.
 *
 *	u64 hal_cycles(void)		inline: the raw counter, any context
 *	u64 hal_clock_ns(void)		inline: nanoseconds since the kernel was entered; 0 until
 *					hal_late_init has calibrated it. Monotonic, any context, NMI too.
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

/* Frequency of hal_cycles() in Hz, and what it was measured against ("CPUID", "HPET", "PM timer", "PIT"). */
u64 hal_clock_hz(void);
const char *hal_clock_source(void);

/*
 * ns = ((cycles - base) * mult) >> 32, 128-bit product: what hal_cycles() means, for time stamps, and for the vDSO while
 * hal_clock_user_readable() says that the clock is read from that counter, which user programs can read too.
 */
void hal_clock_params(u64 *base, u64 *mult);
bool hal_clock_user_readable(void);

/*
 * Counters that the clock may be read from, by Linux's names ("tsc", "hpet", "acpi_pm"): the i-th of those that work, best
 * first, NULL past the last; the one in use; and another one, with time going on from where it is, never back: 0, -EINVAL.
 * A change is made by upcall_clock_change(). Any context but NMI.
 */
const char *hal_clock_source_name(u32 i);
const char *hal_clock_source_current(void);
int __must_check hal_clock_source_select(const char *name);

/* tsc=reliable: nobody doubts the TSC. Before other CPUs start. And its opposite: another counter, for this reason. */
void hal_clock_trust(void);
void hal_clock_distrust(const char *why);

/* The clock must be looked at at least so often, by any CPU, as its counter wraps; 0: it does not. */
u64 hal_clock_half_turn_ns(void);

/* Is the counter one that must be watched; and one look, every few seconds, by one caller at a time, interrupts off. */
bool hal_clock_wants_check(void);
void hal_clock_check(void);

#if HALCYON_DEBUG
/*
 * For the self tests: CPU number cpu (0: none) reads a time stamp counter that is off by so many cycles while counters are compared;
 * the watch finds the HPET ahead by so many ns more at each look; and all is forgiven, the TSC is the clock again.
 */
void hal_clock_test_warp(u32 cpu, s64 cycles);
void hal_clock_test_drift(u64 ns);
void hal_clock_test_forgive(void);
#endif

#endif
