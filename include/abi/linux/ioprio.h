/* SPDX-License-Identifier: MIT */
#ifndef ABI_LINUX_IOPRIO_H
#define ABI_LINUX_IOPRIO_H

/* ioprio_set(2): a class above 13 bits of data, of which the lowest three are the level. */

#define IOPRIO_CLASS_SHIFT	13
#define IOPRIO_CLASS_MASK	0x07
#define IOPRIO_PRIO_MASK	((1UL << IOPRIO_CLASS_SHIFT) - 1)
#define IOPRIO_NR_LEVELS	8

enum {
	IOPRIO_CLASS_NONE,
	IOPRIO_CLASS_RT,
	IOPRIO_CLASS_BE,
	IOPRIO_CLASS_IDLE,
};

enum {
	IOPRIO_WHO_PROCESS = 1,
	IOPRIO_WHO_PGRP,
	IOPRIO_WHO_USER,
};

#endif
