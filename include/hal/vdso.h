/* SPDX-License-Identifier: MIT */
#ifndef HAL_VDSO_H
#define HAL_VDSO_H

/*
 * The vDSO: a small shared object in every program's memory that reads the clock without entering the kernel
 * (vdso(7)), and the page of data it reads, which lies right below it.
 *
 * The object is built from hal/x86_64/vdso and is part of the kernel's image. The data are written by sched/clock.c under
 * a sequence count: odd means a write is going on; a reader that saw a change reads again. User programs see all of it.
 */
#include <lib/compiler.h>

#define HAL_VVAR_CLOCKS	12	/* CLOCK_TAI and below */

/* ns = ((((cycles - base) * mult) >> 32) + offset) & mask */
struct hal_vvar_clock {
	u64 mult;		/* 0: not readable from here, by system call */
	u64 offset;
	u64 mask;		/* the coarse clocks lose their low bits */
	u64 unused;
};

/* One page. [seq] but for seq itself. */
struct hal_vvar {
	u32 seq;
	u64 base;
	struct hal_vvar_clock clock[HAL_VVAR_CLOCKS];
	s32 minutes_west, dst;	/* settimeofday(2)'s time zone */
};

/* The object's file image; *bytes is 0 when this machine has none. Any context. */
const void *hal_vdso_image(size_t *bytes);

#endif
