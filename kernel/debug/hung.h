/* SPDX-License-Identifier: MIT */
#ifndef DEBUG_HUNG_H
#define DEBUG_HUNG_H

/* Between the hung-task detector, its settings (knobs.c) and its test. Debug kernel only. */
#include <lib/types.h>

/* Key: [a]. */
extern u64 hung_timeout_ns;	/* 0: off */
extern s64 hung_warnings;	/* reports left; -1: no limit */
extern u64 hung_panics;		/* not 0: panic at the first one */

/* The time-out was changed: look now. Any context. */
void hung_task_kick(void);

#endif
