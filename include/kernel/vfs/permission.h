/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_PERMISSION_H
#define KERNEL_VFS_PERMISSION_H

/* Who may do what with an inode: path_resolution(7), capabilities(7). */
#include <kernel/vfs/types.h>

#define MAY_EXEC	1U
#define MAY_WRITE	2U
#define MAY_READ	4U
#define MAY_APPEND	8U
#define MAY_ACCESS	0x10U
#define MAY_OPEN	0x20U
#define MAY_CHDIR	0x40U

/* By the caller's fsuid, fsgid, groups and capabilities, and the read-only state of the fs. 0, -EACCES, -EROFS. */
int __must_check inode_permission(struct inode *inode, u32 mask);
/* Also looks at the mount (ro). */
int __must_check path_permission(const struct path *path, u32 mask);
/* Mode bits and capabilities only. */
int __must_check inode_permission_generic(struct inode *inode, u32 mask);
/* Owner, or CAP_FOWNER. */
bool inode_owner_or_capable(const struct inode *inode);
/* The caller holds `cap` over the inode. */
bool inode_capable(const struct inode *inode, int cap);
/* Entering or removing names in a directory. */
int __must_check may_create(struct inode *dir, struct dentry *child);
int __must_check may_delete(struct inode *dir, struct dentry *victim, bool isdir);

/* ATTR_KILL_* that a write or truncate must apply now (0 mostly). */
u32 inode_kill_priv_bits(const struct inode *inode);
/* Clears set-user-ID and set-group-ID before a write. inode.lock held for writing. */
int __must_check file_remove_privs_locked(struct file *file);

#endif
