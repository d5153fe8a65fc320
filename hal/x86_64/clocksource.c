/* SPDX-License-Identifier: MIT */
/*
 * Which counter the clock is read from, and how that changes while everybody reads.
 *
 * The TSC is read inline (arch/clock.h) by x86_clock {base, mult}; mult 0 sends readers here, where the HPET or the PM
 * timer is read. Those wrap, so each has its widest value seen so far, which readers move on.
 *
 * A change never makes time go back: the new counter is read first and is given the time of the old one as it is
 * afterwards, so the clock jumps ahead by what the two readings take. Readers hold no lock and may be NMIs. Slow
 * readers find one of two copies by a sequence number whose writer only touches the other copy, and look again when it
 * has moved. Readers of the TSC load mult, then base; base is only written while mult is 0. A reader that was
 * preempted exactly between the two loads, for as long as the clock was away from the TSC, is off by the drift of that
 * time: some hundred ns a second, and only when somebody chose clocks back and forth.
 */
#include <hal/clock.h>
#include <hal/upcall.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include "calibrate.h"
#include "clocksource.h"
#include "x86.h"

struct x86_clock x86_clock;

static struct clocksource sources[CLOCKSOURCE_COUNT] = {
	[CLOCKSOURCE_TSC] = { .name = "tsc" },
	[CLOCKSOURCE_HPET] = { .name = "hpet" },
	[CLOCKSOURCE_PM] = { .name = "acpi_pm" },
};
static u32 current = CLOCKSOURCE_COUNT; /* [a] */

struct slow_clock {
	struct clocksource *src;
	u64 base_count, base_ns;
};
static struct slow_clock slow[2];	/* [a] the writer's is slow[~slow_seq & 1] */
static u32 slow_seq;			/* [a] */

static u64 scale(u64 ticks, u64 mult)
{
	return (u64)(((x86_u128)ticks * mult) >> 32);
}

static u64 read_wide(struct clocksource *s)
{
	u64 last = READ_ONCE(s->last), raw, wide;

	if (s->mask == ~0ull)
		return s->read();
	barrier(); /* the counter is read after the last value: device reads are not reordered before a load (SDM 3A 8.2.2) */
	raw = s->read();
	wide = calibrate_extend(last, raw, s->mask);
	/* Losing the race means that somebody has moved it at least as far. */
	if (wide != last)
		(void)__atomic_compare_exchange_n(&s->last, &last, wide, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return wide;
}

u64 x86_clock_slow_ns(void)
{
	for (;;) {
		u32 seq = __atomic_load_n(&slow_seq, __ATOMIC_ACQUIRE);
		const struct slow_clock *c = &slow[seq & 1];
		struct clocksource *src = READ_ONCE(c->src);
		u64 count = READ_ONCE(c->base_count), ns = READ_ONCE(c->base_ns);

		if (!src)
			return 0; /* before calibration */
		ns += scale(read_wide(src) - count, src->mult);
		smp_rmb();
		if (likely(READ_ONCE(slow_seq) == seq))
			return ns;
	}
}

void clocksource_add(u32 which, u64 (*read)(void), u64 hz, u64 mask)
{
	struct clocksource *s = &sources[which];

	s->read = read;
	s->hz = hz;
	s->mask = mask;
	s->mult = calibrate_mult(hz);
	s->usable = true;
}

void clocksource_forbid(u32 which)
{
	WRITE_ONCE(sources[which].usable, false);
}

bool clocksource_usable(u32 which)
{
	return which < CLOCKSOURCE_COUNT && READ_ONCE(sources[which].usable);
}

const struct clocksource *clocksource_get(u32 which)
{
	return which < CLOCKSOURCE_COUNT ? &sources[which] : NULL;
}

u32 clocksource_current(void)
{
	return READ_ONCE(current);
}

/* The time by the counter that is current, read here and now. */
static u64 current_ns(void)
{
	struct clocksource *tsc = &sources[CLOCKSOURCE_TSC];

	if (current == CLOCKSOURCE_TSC)
		return scale(tsc->read() - x86_clock.base, tsc->mult);
	return x86_clock_slow_ns();
}

/* The first choice at boot keeps the base: time 0 is the kernel's first C function. */
static void go_to_tsc(struct clocksource *tsc)
{
	if (current != CLOCKSOURCE_COUNT) {
		u64 now = tsc->read();

		x86_clock.base = now - x86_mul_div(current_ns(), 1ull << 32, tsc->mult) - 1;
		smp_wmb();
	}
	WRITE_ONCE(x86_clock.mult, tsc->mult);
}

static void go_to_slow(struct clocksource *src)
{
	struct slow_clock *next = &slow[(slow_seq + 1) & 1];

	WRITE_ONCE(src->last, src->read());
	WRITE_ONCE(next->base_count, src->last);
	WRITE_ONCE(next->base_ns, current_ns());
	WRITE_ONCE(next->src, src);
	__atomic_store_n(&slow_seq, slow_seq + 1, __ATOMIC_RELEASE);
	WRITE_ONCE(x86_clock.mult, 0);
}

int clocksource_select(u32 which)
{
	if (!clocksource_usable(which))
		return -EINVAL;
	if (which == current)
		return 0;
	if (which == CLOCKSOURCE_TSC)
		go_to_tsc(&sources[which]);
	else
		go_to_slow(&sources[which]);
	WRITE_ONCE(current, which);
	return 0;
}

u64 clocksource_half_turn_ns(void)
{
	const struct clocksource *s = clocksource_get(clocksource_current());

	return !s || s->mask == ~0ull ? 0 : scale(s->mask / 2, s->mult);
}
