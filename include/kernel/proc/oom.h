/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_OOM_H
#define KERNEL_PROC_OOM_H

#include <lib/compiler.h>

/*
 * Memory for a user page could not be had, even after the caches have shrunk: ends the process that holds most
 * (unless one is on its way out already) and waits a little for its memory. Thread context, no lock held, may sleep. The
 * caller then looks for a signal of its own and tries again.
 */
void oom_make_room(void);
/* Ends the process that holds most, whether memory is short or not: SysRq. Thread context. */
void oom_kill_one(void);

struct process;
/* How likely p is chosen, as /proc/PID/oom_score tells it: 0 never, 666 with no memory and nothing asked for. May sleep. */
int oom_score(struct process *p);

#endif
