/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_PIDFD_H
#define KERNEL_PROC_PIDFD_H

#include <lib/compiler.h>

struct pid;

/*
 * What stands behind a descriptor that clone made with CLONE_PIDFD, with a reference, and whether it is
 * O_NONBLOCK. NULL: it is none of these. (Not its number: that may be a stranger's when the process is gone.)
 */
struct pid *pidfd_pid_get(int fd, bool *nonblock);

#endif
