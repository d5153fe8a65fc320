/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PROC_PIDFD_H
#define KERNEL_PROC_PIDFD_H

/* The process number behind a descriptor that clone made with CLONE_PIDFD; -EBADF. */
int pidfd_number(int fd);

#endif
