/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_VFS_H
#define KERNEL_VFS_VFS_H

/* What main.c calls, in this order. */

/* Caches, hashes, internal file systems. After mm, sched, task, vm. Panics without memory. */
void vfs_init(void);

#if HALCYON_DEBUG
/*
 * For the leak check at power-off, with no process left: everything is unmounted, and of the trees that live in
 * memory (the root file system, devtmpfs) all entries go for which is_later() says so. Thread context.
 */
void vfs_end(bool (*is_later)(const void *object));
/* Every dentry that nobody uses goes, of all file systems. Thread context. */
void vfs_forget_names(void);
#endif

#endif
