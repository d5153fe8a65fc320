/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_RLIMIT_H
#define KERNEL_TASK_RLIMIT_H

/* Resource limits, getrlimit(2): sixteen pairs a process, copied by fork. */
#include <kernel/task/process.h>

#define RLIMIT_NOFILE_CEILING (1024 * 1024)	/* fs.nr_open */

/* The soft limit. Read without a lock: one aligned word. */
static inline u64 rlimit_get(const struct process *p, unsigned int which)
{
	return READ_ONCE(p->rlim[which].rlim_cur);
}

static inline u64 rlimit_get_max(const struct process *p, unsigned int which)
{
	return READ_ONCE(p->rlim[which].rlim_max);
}

/* The caller's; RLIM64_INFINITY for kernel threads. */
u64 rlimit_current(unsigned int which);

/* Linux's boot values; NPROC and SIGPENDING follow task_max(). */
void rlimit_init_defaults(struct process *p);

/*
 * prlimit: stores *new if not NULL after *old was filled if not NULL. -EINVAL
 * (which, cur > max), -EPERM (raising max without CAP_SYS_RESOURCE).
 */
int __must_check rlimit_do(struct process *p, unsigned int which, const struct rlimit64 *new,
			   struct rlimit64 *old);

#endif
