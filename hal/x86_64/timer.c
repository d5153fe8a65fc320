/* SPDX-License-Identifier: MIT */
/*
 * The one-shot timer of each CPU: its local APIC's.
 *
 * The TSC deadline where the CPU has it and the clock is the TSC; else a count at the frequency that clock.c measured
 * on the boot CPU (the APICs' timers of all CPUs have one input clock, SDM vol. 3A 11.5.4). A deadline is a value of
 * the TSC: when the clock is another counter the two drift apart, so the timer then counts, too. The mode is a
 * property of the machine that may change once, from deadline to count, under the feet of the CPUs: each CPU brings
 * its own entry of the vector table into the mode that holds before it arms.
 *
 * A shot may come early (far counts are cut, clocks drift): the receiver looks at the clock.
 */
#include <hal/clock.h>
#include "apic.h"
#include "x86.h"

static u64 count_mult;		/* [I] timer ticks per ns, 32.32 fixed point; 0: no timer */

enum timer_mode { TIMER_UNSET, TIMER_COUNT, TIMER_DEADLINE };
static u8 timer_mode[HAL_MAX_CPUS];	/* only that CPU's: what its vector table entry says */

u32 x86_apic_timer_count(void)
{
	return x86_apic_read(APIC_TIMER_NOW);
}

/* For calibration: counts down from there, silently. */
void x86_apic_timer_start_raw(u32 count)
{
	x86_apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | X86_VEC_TIMER);
	x86_apic_write(APIC_TIMER_INIT, count);
}

static enum timer_mode wanted_mode(void)
{
	return x86_has(X86_F_TSC_DEADLINE) && READ_ONCE(x86_clock.mult) ? TIMER_DEADLINE : TIMER_COUNT;
}

static noinline void set_mode(enum timer_mode mode)
{
	x86_apic_write(APIC_TIMER_INIT, 0);
	x86_apic_write(APIC_LVT_TIMER, (mode == TIMER_DEADLINE ? APIC_LVT_DEADLINE : 0) | X86_VEC_TIMER);
	/* The mode change must be seen before the first deadline (SDM vol. 3A 11.5.4.1). */
	if (mode == TIMER_DEADLINE)
		__asm__ volatile("mfence" : : : "memory");
	timer_mode[hal_cpu_id()] = (u8)mode;
}

void x86_timer_init_cpu(void)
{
	x86_apic_write(APIC_TIMER_DIV, APIC_DIVIDE_BY_1);
	set_mode(wanted_mode());
}

void x86_apic_timer_calibrated(u64 hz)
{
	count_mult = x86_mul_div(hz, 1ull << 32, NSEC_PER_SEC);
	x86_timer_init_cpu();
}

/* ns -> cycles: the inverse of the clock's multiplication, rounded up so that it never fires early. */
static u64 deadline_cycles(u64 ns)
{
	u64 mult = READ_ONCE(x86_clock.mult);

	return mult ? x86_clock.base + x86_mul_div(ns, 1ull << 32, mult) + 1 : 1; /* 1: at once, and the next one counts */
}

void hal_timer_arm(u64 deadline_ns)
{
	enum timer_mode mode = wanted_mode();
	u64 now, count;

	if (unlikely(timer_mode[hal_cpu_id()] != mode))
		set_mode(mode);
	if (mode == TIMER_DEADLINE) {
		x86_wrmsr(X86_MSR_TSC_DEADLINE, deadline_ns >= ~0ull >> 8 ? ~0ull : deadline_cycles(deadline_ns));
		return;
	}
	now = hal_clock_ns();
	count = deadline_ns > now ? (u64)(((x86_u128)(deadline_ns - now) * count_mult) >> 32) + 1 : 1;
	x86_apic_write(APIC_TIMER_INIT, count > 0xffffffffu ? 0xffffffffu : (u32)count);
}

void hal_timer_stop(void)
{
	if (timer_mode[hal_cpu_id()] == TIMER_DEADLINE)
		x86_wrmsr(X86_MSR_TSC_DEADLINE, 0);
	else
		x86_apic_write(APIC_TIMER_INIT, 0);
}
