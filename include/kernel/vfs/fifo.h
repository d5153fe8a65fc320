/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_FIFO_H
#define KERNEL_VFS_FIFO_H

/*
 * Named pipes are pipes: kernel/ipc/pipe.c registers here what opens one.
 *
 * ipc's `open` sets file->ops to its own operations after fifo(7)'s rules: a reader waits for
 * a writer and the other way round unless O_NONBLOCK (writer: -ENXIO), O_RDWR never waits. The buffer hangs
 * on inode->pipe under inode->slock, made by the first open and freed by the last release (drop it there; `free` is called
 * should an inode die with one).
 */
#include <kernel/vfs/file.h>

struct fifo_ops {
	int (*open)(struct inode *inode, struct file *file);
	void (*free)(struct pipe *pipe);
};

void fifo_register(const struct fifo_ops *ops);
extern const struct file_ops fifo_fops;	/* of fifo inodes: open only */
void fifo_free_pipe(struct inode *inode);

/*
 * For pipe(2): a nameless inode on the internal "pipefs" with mode S_IFIFO | 0600, its dentry shown as
 * "pipe:[ino]"; *path gets references. 0 or -ENOMEM, -ENFILE.
 */
int __must_check pipefs_make(struct path *path);
/* A file on it: references of its own. ERR_PTR. flags: O_RDONLY or O_WRONLY, O_NONBLOCK, O_DIRECT. */
struct file *pipefs_open(const struct path *path, u32 flags, const struct file_ops *ops, void *private);

#endif
