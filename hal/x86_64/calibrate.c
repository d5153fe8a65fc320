/* SPDX-License-Identifier: MIT */
/*
 * Calibration: the ratio of two counters over a short window. The reading of the pair is what errs, not
 * the counters, so each end of a window is read several times and the tightest pair counts.
 */
#include <lib/errno.h>
#include "calibrate.h"

#define MAX_POLLS	2000000u	/* a reference that stands still: give up after about 2 s */
#define MIN_TSC_HZ	100000000ull
#define MAX_TSC_HZ	20000000000ull
#define MIN_APIC_HZ	1000000ull
#define PAIR_TRIES	4

struct sample {
	u64 ref;
	u64 tsc;
	u32 apic;
};

/* All three at one moment: between two readings of the TSC that are close together. */
static struct sample take(const struct calibrate_io *io)
{
	struct sample best = { 0, 0, 0 };
	u64 best_gap = ~0ull;

	for (int i = 0; i < PAIR_TRIES; i++) {
		u64 before = io->tsc(io->ctx);
		u64 ref = io->reference(io->ctx);
		u64 after = io->tsc(io->ctx);
		u32 apic = io->apic(io->ctx);

		if (after - before < best_gap) {
			best_gap = after - before;
			best = (struct sample){ ref, before + (after - before) / 2, apic };
		}
	}
	return best;
}

static bool window(const struct calibrate_io *io, struct calibration *out)
{
	u64 want = io->reference_hz / CALIBRATE_WINDOW_PER_S, ticks = 0;
	struct sample start = take(io), end;
	u32 polls = 0;

	while (ticks < want) {
		if (polls++ == MAX_POLLS)
			return false;
		ticks = (io->reference(io->ctx) - start.ref) & io->reference_mask;
	}
	end = take(io);
	ticks = (end.ref - start.ref) & io->reference_mask;
	if (!ticks)
		return false;
	/* The products: 20 GHz * 1 ms * 100 MHz is 2e15, far from overflow even for windows of seconds. */
	out->tsc_hz = (end.tsc - start.tsc) * io->reference_hz / ticks;
	out->apic_hz = (u64)(u32)(start.apic - end.apic) * io->reference_hz / ticks;
	return true;
}

int calibrate(const struct calibrate_io *io, struct calibration *out)
{
	struct calibration best = { ~0ull, ~0ull }, one;

	for (int i = 0; i < CALIBRATE_WINDOWS; i++) {
		if (!window(io, &one))
			return -EIO;
		best.tsc_hz = MIN(best.tsc_hz, one.tsc_hz);
		best.apic_hz = MIN(best.apic_hz, one.apic_hz);
	}
	if (best.tsc_hz < MIN_TSC_HZ || best.tsc_hz > MAX_TSC_HZ || best.apic_hz < MIN_APIC_HZ)
		return -EIO;
	*out = best;
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
