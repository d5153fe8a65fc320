/* SPDX-License-Identifier: MIT */
#ifndef HAL_MITIGATE_H
#define HAL_MITIGATE_H

/*
 * What the CPU's speculation is known to leak, as userland sees it. Fixed at boot; any context unless said.
 */
#include <lib/compiler.h>
#include <lib/types.h>

struct hal_thread;

/* The i-th bug of this machine's CPUs by Linux's name in /proc/cpuinfo; NULL past the last. */
const char *hal_cpu_bug_name(u32 i);

/* The i-th file of /sys/devices/system/cpu/vulnerabilities (NULL past the last), and what it says, without a line feed. */
const char *hal_vulnerability_name(u32 i);
void hal_vulnerability_text(u32 i, char *buf, size_t n);

/*
 * prctl(2) PR_GET_SPECULATION_CTRL and PR_SET_SPECULATION_CTRL: `which` and `ctrl` are PR_SPEC_*. The set one is for the
 * calling thread alone. Thread context. Results and errors are Linux's: ENODEV, ENXIO, EPERM, ERANGE.
 */
long hal_spec_get(const struct hal_thread *t, u64 which);
long hal_spec_set(u64 which, u64 ctrl);

#endif
