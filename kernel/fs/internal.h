/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FS_INTERNAL_H
#define KERNEL_FS_INTERNAL_H

/* What the file systems here share. */
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/task/task.h>
#include <kernel/vfs/dentry.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vfs/inode.h>
#include <kernel/vfs/mount.h>
#include <kernel/vfs/path.h>
#include <kernel/vfs/permission.h>
#include <kernel/vfs/proc.h>
#include <kernel/vfs/seq.h>
#include <lib/errno.h>
#include <lib/string.h>

/* tmpfs.c: limits and looks of one instance; see there. */
int tmpfs_make_super(const struct file_system_type *type, const char *data, bool limited, u64 magic,
		     u32 mode, struct super_block **out);
int tmpfs_mknod(struct inode *dir, struct dentry *dentry, u32 mode, devnum_t rdev);
int tmpfs_mkdir(struct inode *dir, struct dentry *dentry, u32 mode);
int tmpfs_unlink(struct inode *dir, struct dentry *dentry);
/* A regular file without a name (memfd): nlink 0, no seals. NULL without memory or room. */
struct inode *tmpfs_make_nameless(struct super_block *sb, u32 mode);

void tmpfs_init(void);
void memfd_init(void);
void devtmpfs_init(void);
/* A node, whether devtmpfs is mounted or not. */
struct file *devtmpfs_open(const char *name, u32 flags);
void initramfs_init(void);
void procfs_init(void);
void proc_pid_init(void);
void sysfs_init(void);

/* proc_node.c: files, directories and links of registered nodes, for procfs and sysfs. */
struct inode *node_inode(struct super_block *sb, struct proc_node *node);
/* Attaches the inode of dir's child of that name. -ENOENT: there is none. */
int node_lookup_child(struct proc_node *dir, struct super_block *sb, struct dentry *dentry);
/* For the file systems' evict and revalidate (1: right, 0: the node is gone) of any inode of theirs. */
void node_evict(struct inode *inode);
int node_revalidate(const struct inode *inode);
/* Emits the registered children from ctx->pos = base on. */
bool node_emit_children(struct proc_node *dir, struct dir_context *ctx, s64 base);
extern const struct file_ops node_file_fops;
/* A write as one text to store(); the length or -errno. */
ssize_t node_write_text(struct iter *from, int (*store)(void *arg, const char *text, size_t len), void *arg);

/* procfs_pid.c */
int proc_pid_lookup(struct inode *dir, struct dentry *dentry);
int proc_pid_iterate(struct file *file, struct dir_context *ctx);
extern const struct super_ops proc_super_ops;
extern const struct dentry_ops proc_dentry_ops;

#endif
