/* SPDX-License-Identifier: MIT */
/*
 * Calibration: the ratio of two counters over a short window. The reading of the counters together is what errs, not
 * the counters: an SMI, or a host that gives the virtual CPU's time to another, may lie between any two of the reads. So
 * all reads of one end of a window lie between two readings of the TSC, each end is read several times, and the tightest
 * one counts. How far the two readings of the TSC are apart, against the length of the window, bounds the window's error
 * whatever happened: a window whose bound is wide is not used but followed by a longer one. What lies between the ends
 * does no harm, save to a reference that wraps meanwhile (the PIT does so in 55 ms), or to an APIC timer that runs out:
 * so no window is believed that another one does not confirm.
 *
 * A second reference is read at both ends of the same window, so that a cross-check costs no time. References do lie:
 * an HPET whose period register is wrong, a PM timer that runs at double speed. Whom two of three say, is believed.
 */
#include <lib/errno.h>
#include "calibrate.h"

#define MAX_POLLS	2000000u	/* a reference that stands still: give up after about 2 s */
#define MIN_TSC_HZ	100000000ull
#define MAX_TSC_HZ	20000000000ull
#define MIN_APIC_HZ	1000000ull
#define PAIR_TRIES	4
#define AGREE_PARTS	100		/* 1 % */
#define PPM		1000000ull
#define GOOD_PPM	2000u		/* a window's error that is as small as one needs it: measure no more */
#define USABLE_PPM	10000u		/* and what must do where no window was a good one */
#define MAX_LONGER	5u		/* a window is at most 2^5 of the shortest: 32 ms, in which the PIT does not wrap */

/* A reference, the TSC and the APIC timer at one moment, which was at most gap / 2 ticks of the TSC away from `tsc`. */
struct pair {
	u64 ref;
	u64 tsc;
	u64 gap;
	u32 apic;
};

struct sample {
	struct pair reference, check;
};

/* One window's result, and how far from the truth it may be. */
struct measured {
	struct calibration c;
	u64 error_ppm;
};

/* Between two readings of the TSC that are close together. */
static struct pair take_pair(const struct calibrate_io *io, const struct calibrate_reference *r)
{
	struct pair best = { 0, 0, ~0ull, 0 };

	for (int i = 0; i < PAIR_TRIES; i++) {
		u64 before = io->tsc(io->ctx);
		u64 ref = r->read(io->ctx);
		u32 apic = io->apic(io->ctx);
		u64 gap = io->tsc(io->ctx) - before;

		if (gap < best.gap)
			best = (struct pair){ ref, before + gap / 2, gap, apic };
	}
	return best;
}

static struct sample take(const struct calibrate_io *io)
{
	struct sample s = { { 0, 0, 0, 0 }, { 0, 0, 0, 0 } };

	if (io->check.read)
		s.check = take_pair(io, &io->check);
	s.reference = take_pair(io, &io->reference);
	return s;
}

/* Ticks of the counter between two readings, and what they say of the TSC; 0: it stood still. */
static u64 tsc_hz_by(const struct calibrate_reference *r, const struct pair *start, const struct pair *end)
{
	u64 ticks = (end->ref - start->ref) & r->mask;

	/* The products: 20 GHz * 1 ms * 100 MHz is 2e15, far from overflow even for windows of seconds. */
	return ticks ? (end->tsc - start->tsc) * r->hz / ticks : 0;
}

/* Half of what each end's reading took may be wrong. */
static u64 error_ppm(const struct pair *start, const struct pair *end)
{
	u64 length = end->tsc - start->tsc;

	return length ? (start->gap + end->gap) / 2 * PPM / length : PPM;
}

/* A window of 2^longer of the shortest. */
static bool window(const struct calibrate_io *io, u32 longer, struct measured *out)
{
	const struct calibrate_reference *r = &io->reference;
	u64 want = (r->hz << longer) / CALIBRATE_WINDOW_PER_S, ticks = 0;
	struct sample start = take(io), end;
	u32 polls = 0;

	while (ticks < want) {
		if (polls++ == MAX_POLLS)
			return false;
		ticks = (r->read(io->ctx) - start.reference.ref) & r->mask;
	}
	end = take(io);
	ticks = (end.reference.ref - start.reference.ref) & r->mask;
	if (!ticks)
		return false;
	out->c.tsc_hz = tsc_hz_by(r, &start.reference, &end.reference);
	/* The timer stops at 0: what it says then is less than what passed. */
	out->c.apic_hz = end.reference.apic ? (u64)(start.reference.apic - end.reference.apic) * r->hz / ticks : 0;
	out->c.check_tsc_hz = io->check.read ? tsc_hz_by(&io->check, &start.check, &end.check) : 0;
	out->error_ppm = error_ppm(&start.reference, &end.reference);
	if (io->check.read)
		out->error_ppm = MAX(out->error_ppm, error_ppm(&start.check, &end.check));
	return true;
}

/* The best of the windows that err by at most max_ppm and that another such window confirms. */
static const struct measured *confirmed_window(const struct measured *all, u32 n, u64 max_ppm)
{
	const struct measured *best = NULL;

	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < n; k++)
			if (k != i && MAX(all[i].error_ppm, all[k].error_ppm) <= max_ppm &&
			    calibrate_agrees(all[i].c.tsc_hz, all[k].c.tsc_hz) &&
			    calibrate_agrees(all[i].c.apic_hz, all[k].c.apic_hz) &&
			    (!best || all[i].error_ppm < best->error_ppm))
				best = &all[i];
	return best;
}

int calibrate(const struct calibrate_io *io, struct calibration *out)
{
	struct measured all[CALIBRATE_MAX_WINDOWS];
	const struct measured *best = NULL;
	u32 n = 0, longer = 0;

	while (!best && n < CALIBRATE_MAX_WINDOWS) {
		if (!window(io, longer, &all[n]))
			return -EIO;
		if (all[n++].error_ppm > GOOD_PPM && longer < MAX_LONGER)
			longer++;
		best = confirmed_window(all, n, GOOD_PPM);
	}
	if (!best)
		best = confirmed_window(all, n, USABLE_PPM);
	if (!best || best->c.tsc_hz < MIN_TSC_HZ || best->c.tsc_hz > MAX_TSC_HZ || best->c.apic_hz < MIN_APIC_HZ)
		return -EIO;
	*out = best->c;
	return 0;
}

bool calibrate_agrees(u64 a, u64 b)
{
	u64 near = MIN(a, b), far = MAX(a, b);

	return near && far - near <= near / AGREE_PARTS;
}

u32 calibrate_choose(const struct calibrate_vote *votes, u32 n, bool *confirmed)
{
	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < n; k++)
			if (k != i && calibrate_agrees(votes[i].tsc_hz, votes[k].tsc_hz)) {
				*confirmed = true;
				return i;
			}
	*confirmed = false;
	return 0;
}

u64 calibrate_cpuid(u32 max_leaf, u32 a15, u32 b15, u32 c15, u32 base_mhz)
{
	if (max_leaf < 0x15 || !a15 || !b15)
		return 0;
	if (c15)
		return (u64)c15 * b15 / a15;
	/* No crystal frequency: the base frequency of leaf 16h is the TSC's, to the MHz. */
	return max_leaf >= 0x16 ? (u64)base_mhz * 1000000 : 0;
}

u64 calibrate_mult(u64 hz)
{
	/* 10^9 * 2^32 / hz without 128 bits: the quotient and remainder apart. */
	u64 whole = 1000000000ull / hz, rest = 1000000000ull % hz;

	return (whole << 32) + (rest << 32) / hz;
}

u64 calibrate_extend(u64 last, u64 raw, u64 mask)
{
	u64 ahead = (raw - last) & mask;

	return ahead > mask / 2 ? last : last + ahead;
}
