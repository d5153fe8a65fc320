/* SPDX-License-Identifier: MIT */
/*
 * COVERAGE=1: the counters leave the machine at its end, through QEMU's debug port (lib/gcov.h).
 *
 * A machine ends in several ways (power-off, reset, QEMU's exit, halt after a panic), some of which fall through
 * to others: the first to come writes, once. It runs in panics: no lock, nothing allocated.
 */
#include <lib/gcov.h>
#include "x86.h"

#if HALCYON_COVERAGE

extern struct gcov_info *const __gcov_info_start[], *const __gcov_info_end[];

/* gcc refers to it to say which counters are in use; libgcov would call it. */
void __gcov_merge_add(long long *counters, unsigned int n);
void __gcov_merge_add(long long *counters, unsigned int n)
{
	(void)counters, (void)n;
}

static void coverage_byte(unsigned char c)
{
	x86_outb(GCOV_PORT, c);
}

void x86_coverage_dump(void)
{
	static u32 done;	/* [a] */

	if (!__atomic_exchange_n(&done, 1u, __ATOMIC_RELAXED))
		gcov_emit_all(__gcov_info_start, __gcov_info_end, coverage_byte);
}

#endif
