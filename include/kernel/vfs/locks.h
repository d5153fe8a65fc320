/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_LOCKS_H
#define KERNEL_VFS_LOCKS_H

/* Advisory locks: fcntl(2) record locks (of processes and of open files) and flock(2). */
#include <abi/linux/fcntl.h>
#include <kernel/vfs/file.h>

struct files;

/* F_GETLK, F_SETLK, F_SETLKW and the F_OFD_ forms; lk is in and out. */
int locks_fcntl(struct file *file, u32 cmd, struct flock *lk);
/* LOCK_SH, LOCK_EX or LOCK_UN, and LOCK_NB or not. */
int locks_flock(struct file *file, int operation);
/* close(2) of any descriptor: the process loses its record locks on the file. */
void locks_remove_posix(struct file *file, const struct files *owner);
/* The last reference on the file went: flock and OFD locks go. */
void locks_remove_file(struct file *file);
/* The inode goes. */
void locks_free_context(struct inode *inode);
void locks_init(void);

#endif
