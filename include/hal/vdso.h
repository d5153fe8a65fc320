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

/* One page. [seq] but for seq itself. */
struct hal_vvar {
	u32 seq;
	u32 readable;		/* bit n: clock n may be read from here; 0: by system call, all of them */
	u64 base, mult;		/* monotonic ns = ((cycles - base) * mult) >> 32; mult 0: not readable */
	u64 offset[HAL_VVAR_CLOCKS];	/* by clock: added to the monotonic time, then ... */
	u64 mask[HAL_VVAR_CLOCKS];	/* ... the coarse clocks lose their low bits */
	s32 minutes_west, dst;	/* settimeofday(2)'s time zone */
};

/* The object's file image; *bytes is 0 when this machine has none. Any context. */
const void *hal_vdso_image(size_t *bytes);

#endif
