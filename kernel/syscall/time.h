/* SPDX-License-Identifier: MIT */
#ifndef SYSCALL_TIME_H
#define SYSCALL_TIME_H

/* Between the files of time's calls. */
#include <lib/compiler.h>

/* time.c: any clock's time in ns; 0 or -EINVAL. */
int clock_read(int id, u64 *ns);

#endif
