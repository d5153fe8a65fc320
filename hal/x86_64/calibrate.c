/* SPDX-License-Identifier: MIT */
/*
 * Calibration: the ratio of two counters over a short window. The reading of the pair is what errs, not
 * the counters, so each end of a window is read several times and the tightest pair counts.
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

/* A reference and the TSC at one moment. */
struct pair {
	u64 ref;
	u64 tsc;
	u32 apic;
};

struct sample {
	struct pair reference, check;
};

/* Between two readings of the TSC that are close together. */
static struct pair take_pair(const struct calibrate_io *io, const struct calibrate_reference *r)
{
	struct pair best = { 0, 0, 0 };
	u64 best_gap = ~0ull;

	for (int i = 0; i < PAIR_TRIES; i++) {
		u64 before = io->tsc(io->ctx);
		u64 ref = r->read(io->ctx);
		u64 after = io->tsc(io->ctx);
		u32 apic = io->apic(io->ctx);

		if (after - before < best_gap) {
			best_gap = after - before;
			best = (struct pair){ ref, before + (after - before) / 2, apic };
		}
	}
	return best;
}

static struct sample take(const struct calibrate_io *io)
{
	struct sample s = { { 0, 0, 0 }, { 0, 0, 0 } };

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

static bool window(const struct calibrate_io *io, struct calibration *out)
{
	const struct calibrate_reference *r = &io->reference;
	u64 want = r->hz / CALIBRATE_WINDOW_PER_S, ticks = 0;
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
	out->tsc_hz = tsc_hz_by(r, &start.reference, &end.reference);
	out->apic_hz = (u64)(u32)(start.reference.apic - end.reference.apic) * r->hz / ticks;
	out->check_tsc_hz = io->check.read ? tsc_hz_by(&io->check, &start.check, &end.check) : 0;
	return true;
}

int calibrate(const struct calibrate_io *io, struct calibration *out)
{
	struct calibration best = { ~0ull, ~0ull, ~0ull }, one;

	for (int i = 0; i < CALIBRATE_WINDOWS; i++) {
		if (!window(io, &one))
			return -EIO;
		best.tsc_hz = MIN(best.tsc_hz, one.tsc_hz);
		best.apic_hz = MIN(best.apic_hz, one.apic_hz);
		best.check_tsc_hz = MIN(best.check_tsc_hz, one.check_tsc_hz);
	}
	if (best.tsc_hz < MIN_TSC_HZ || best.tsc_hz > MAX_TSC_HZ || best.apic_hz < MIN_APIC_HZ)
		return -EIO;
	*out = best;
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
