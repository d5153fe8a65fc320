/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_CHRDEV_H
#define KERNEL_VFS_CHRDEV_H

/*
 * Character devices: which driver answers for which numbers. Opening a node looks the number up,
 * makes its operations the file's and calls their open; ENXIO when there is no driver.
 */
#include <kernel/vfs/file.h>

/* Claims `count` minors from `minor` on. Thread context. 0, -EBUSY, -ENOMEM. name: /proc/devices. */
int __must_check chrdev_register(u32 major, u32 minor, u32 count, const char *name,
				 const struct file_ops *ops);
void chrdev_unregister(u32 major, u32 minor, u32 count);

/*
 * Makes (or removes) a node in devtmpfs: "tty1", "input/event0"; parent directories appear. mode with S_IFCHR
 * or S_IFBLK. Before devtmpfs is up it is remembered. Thread context.
 */
int devnode_create(const char *name, u32 mode, devnum_t dev);
void devnode_remove(const char *name);
/* Set by devtmpfs. */
extern int (*devnode_create_hook)(const char *name, u32 mode, devnum_t dev);
extern void (*devnode_remove_hook)(const char *name);

void chrdev_show(struct seq *s);	/* /proc/devices */
extern const struct file_ops chrdev_fops; /* of inodes that are character devices */
extern const struct file_ops blkdev_fops; /* of block devices: open gives ENXIO without the block layer's hook */
extern int (*blkdev_open_hook)(struct inode *inode, struct file *file);

#endif
