/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEBUG_FAILSLAB_H
#define KERNEL_DEBUG_FAILSLAB_H

/*
 * Allocations that fail on purpose, as Linux's Documentation/fault-injection describes, in debug and check kernels:
 *
 *	failslab=INTERVAL,PROBABILITY,SPACE,TIMES[,KEY=VALUE...]	command line: from PID 1's exec on
 *	/proc/halcyon/failslab		KEY=VALUE, several with blanks or commas
 *	/proc/PID/make-it-fail		1: subject to task-filter; children inherit it
 *	/proc/PID/fail-nth		N: the N-th allocation of this task fails; reads 0 when it did
 *
 * Slabs, kmalloc and pages are all subject. Keys: probability (percent), interval, times (-1: no limit), space (bytes
 * that succeed first), verbose (0, 1 a line, 2 a backtrace), task-filter, ignore-gfp-wait (Y: only allocations that may not
 * sleep; Linux's default, not ours), stacktrace-depth, require-start, require-end, reject-start, reject-end; and our
 * own caller=SYMBOL and reject-caller=SYMBOL, which set these ranges, min-bytes, max-bytes, and seed.
 */
#include <lib/compiler.h>
#include <lib/types.h>

/* 0, or -EINVAL at the first word that is not understood: those before it count. Thread context. */
int failslab_configure(const char *text, size_t len);

#endif
