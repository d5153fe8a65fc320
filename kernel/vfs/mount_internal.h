/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_MOUNT_INTERNAL_H
#define KERNEL_VFS_MOUNT_INTERNAL_H

/* Between mount.c (the tree) and mount_ops.c (what mount(2) makes of it). namespace_mutex held. */
#include <kernel/vfs/mount.h>

extern struct list_head mount_list;

/* The next one would be more than there may be: ENOSPC. */
bool mount_too_many(void);
struct mount *mount_alloc(struct super_block *sb, struct dentry *root, const char *source, u32 flags);
void mount_attach(struct mount *m, struct mount *parent, struct dentry *at);
void mount_detach(struct mount *m, struct path *held);
int mount_detach_idle(struct mount *m, int users, struct path *held);
void mount_detach_tree(struct mount *top);
void mount_list_del(struct mount *m);
int mount_set_flags(struct mount *m, u32 flags);
void mounts_changed(void);

#endif
