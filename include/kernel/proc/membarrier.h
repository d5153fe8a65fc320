/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_MEMBARRIER_H
#define KERNEL_PROC_MEMBARRIER_H

/* membarrier(2), for the calling thread's address space. Thread context, may sleep. A mask, 0, -EINVAL or -EPERM. */
long membarrier(int cmd, unsigned int flags, int cpu);

#endif
