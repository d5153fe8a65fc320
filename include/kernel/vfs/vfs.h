/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_VFS_H
#define KERNEL_VFS_VFS_H

/* What main.c calls, in this order. */

/* Caches, hashes, internal file systems. After mm, sched, task, vm. Panics without memory. */
void vfs_init(void);

#endif
