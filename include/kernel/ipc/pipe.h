/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_IPC_PIPE_H
#define KERNEL_IPC_PIPE_H

/* Pipes and named pipes: pipe(7), fifo(7). The theory is in kernel/ipc/pipe.c. */
#include <kernel/vfs/file.h>

/* Boot: registers the fifo operations. */
void pipe_init(void);

/*
 * pipe2(2): two files, the reading end first. flags: O_NONBLOCK, O_DIRECT (packets); O_CLOEXEC is the
 * descriptors' business. 0, -ENOMEM, -ENFILE.
 */
int __must_check pipe_create(u32 flags, struct file *out[2]);

#endif
