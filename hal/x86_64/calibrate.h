/* SPDX-License-Identifier: MIT */
#ifndef X86_CALIBRATE_H
#define X86_CALIBRATE_H

/* The arithmetic of calibration, apart from the machine: the host tests hand in counters of their own. */
#include <lib/compiler.h>

/* A counter of known frequency, which counts up and wraps at 2^n. */
struct calibrate_reference {
	u64 (*read)(void *ctx);	/* NULL: there is none */
	u64 hz;
	u64 mask;		/* 2^n - 1 */
};

/* `reference` makes the windows; `check`, if any, is read at the same moments. apic counts down. */
struct calibrate_io {
	struct calibrate_reference reference, check;
	u64 (*tsc)(void *ctx);
	u32 (*apic)(void *ctx);
	void *ctx;
};

struct calibration {
	u64 tsc_hz;
	u64 apic_hz;
	u64 check_tsc_hz;	/* by `check`; 0: no check, or it stood still */
};

#define CALIBRATE_MAX_WINDOWS	10
#define CALIBRATE_WINDOW_PER_S	1000	/* 1 ms each; more where reading takes long */

/*
 * Measures in windows until two good ones agree, at most CALIBRATE_MAX_WINDOWS. 0; -EIO when the reference stands
 * still, no two windows agree, or the results make no sense.
 */
int calibrate(const struct calibrate_io *io, struct calibration *out);

/* What one source says of the TSC's frequency. apic_hz is 0 when it says nothing of that. */
struct calibrate_vote {
	const char *name;
	u64 tsc_hz;
	u64 apic_hz;
};

/* Two measurements of one thing: within 1 %. 0 agrees with nothing. */
bool calibrate_agrees(u64 a, u64 b);

/*
 * The vote to believe: votes stand in order of trust, and the first one that another confirms wins. *confirmed says
 * whether there was one; else the first vote wins alone. n is at least 1.
 */
u32 calibrate_choose(const struct calibrate_vote *votes, u32 n, bool *confirmed);

/* CPUID 15h and 16h (SDM vol. 2A CPUID): the TSC's frequency from the leaves' registers; 0: they do not say. */
u64 calibrate_cpuid(u32 max_leaf, u32 a15, u32 b15, u32 c15, u32 base_mhz);

/* hz -> ns per tick in 32.32 fixed point. */
u64 calibrate_mult(u64 hz);

/*
 * A counter that wraps, made 64 bits wide. `last` is the widest value seen by any CPU, and must be looked at once in
 * half a turn of the counter at least. raw was read after last; a raw value that lies behind it is a glitch (chips
 * are known whose PM timer shows one): time stands still then. Returns the wide value.
 */
u64 calibrate_extend(u64 last, u64 raw, u64 mask);

#endif
