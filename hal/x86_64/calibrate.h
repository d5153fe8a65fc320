/* SPDX-License-Identifier: MIT */
#ifndef X86_CALIBRATE_H
#define X86_CALIBRATE_H

/* The arithmetic of calibration, apart from the machine: the host tests hand in counters of their own. */
#include <lib/compiler.h>

/* A counter of known frequency, and the two that are to be measured. All count up, apic down. */
struct calibrate_io {
	u64 (*reference)(void *ctx);
	u64 (*tsc)(void *ctx);
	u32 (*apic)(void *ctx);
	void *ctx;
	u64 reference_hz;
	u64 reference_mask;	/* the counter wraps there: 2^n - 1 */
};

struct calibration {
	u64 tsc_hz;
	u64 apic_hz;
};

#define CALIBRATE_WINDOWS	3
#define CALIBRATE_WINDOW_PER_S	1000	/* 1 ms each */

/*
 * Measures in windows, takes the smallest of CALIBRATE_WINDOWS good ones (whatever disturbs a window, an
 * SMI or a busy host, makes the measured counter look faster). 0; -EIO when the reference stands still
 * or the results make no sense.
 */
int calibrate(const struct calibrate_io *io, struct calibration *out);

/* CPUID 15h and 16h (SDM vol. 2A CPUID): the TSC's frequency from the leaves' registers; 0: they do not say. */
u64 calibrate_cpuid(u32 max_leaf, u32 a15, u32 b15, u32 c15, u32 base_mhz);

/* hz -> ns per tick in 32.32 fixed point. */
u64 calibrate_mult(u64 hz);

#endif
