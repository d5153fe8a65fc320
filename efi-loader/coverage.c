/* SPDX-License-Identifier: MIT */
/*
 * COVERAGE=1: the loader's counters leave the machine before the kernel is entered, and before the loader stops
 * with an error (lib/gcov.h). Port output works before and after ExitBootServices.
 */
#include "loader.h"
#include <lib/gcov.h>

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
	__asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)GCOV_PORT));
}

void coverage_dump(void)
{
	gcov_emit_all(__gcov_info_start, __gcov_info_end, coverage_byte);
}

#endif
