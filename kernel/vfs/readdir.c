/* SPDX-License-Identifier: MIT */
/*
 * Reading directories.
 *
 * Where a directory lives in the dentry cache, its children are a list, newest first (the
 * order in which Linux's tmpfs lists them), each with a cookie that grows with every name
 * made. Position 0 is ".", 1 is "..", 2 is "from the newest on"; the position behind an entry is its
 * cookie: what follows are the smaller ones. So positions stay good whatever is removed or
 * made in between, and a reader never meets what was made after it began.
 */
#include "internal.h"

#include <abi/linux/dirent.h>
#include <abi/linux/fcntl.h>

#define POS_FIRST 2

bool dir_emit(struct dir_context *ctx, const char *name, size_t len, s64 next, u64 ino, u32 type)
{
	if (!ctx->emit(ctx, name, len, next, ino, type))
		return false;
	ctx->pos = next;
	return true;
}

bool dir_emit_dots(struct file *file, struct dir_context *ctx)
{
	struct dentry *d = file->path.dentry;

	if (ctx->pos == 0 && !dir_emit(ctx, ".", 1, 1, d->inode->ino, DT_DIR))
		return false;
	if (ctx->pos == 1) {
		const struct inode *parent;
		u64 ino;

		rcu_read_lock();
		do {	/* without one: a rename has led away from there, and a rmdir followed it */
			parent = READ_ONCE(READ_ONCE(d->parent)->inode);
		} while (!parent);
		ino = parent->ino;
		rcu_read_unlock();
		if (!dir_emit(ctx, "..", 2, POS_FIRST, ino, DT_DIR))
			return false;
	}
	return true;
}

int dir_iterate_pinned(struct file *file, struct dir_context *ctx)
{
	struct dentry *dir = file->path.dentry, *d;

	if (!dir_emit_dots(file, ctx))
		return 0;
	list_for_each_entry(d, &dir->children, sibling) {
		if (ctx->pos > POS_FIRST && d->cookie >= (u64)ctx->pos)
			continue;
		if (!dir_emit(ctx, d->name.str, d->name.len, (s64)d->cookie, d->inode->ino,
			      dtype_of_mode(d->inode->mode)))
			break;
	}
	return 0;
}

s64 dir_llseek(struct file *file, s64 offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += file->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	return file->pos = offset;
}

int vfs_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *inode = file->inode;
	int err = -ENOENT;

	if (!file->ops->iterate)
		return -ENOTDIR;
	rwsem_read_lock(&inode->lock);
	if (!(inode->flags & INODE_DEAD)) {
		ctx->pos = file->pos;
		err = file->ops->iterate(file, ctx);
		file->pos = ctx->pos;
		if (!(file->flags & O_NOATIME))
			inode_touch_atime(inode, file->path.mnt);
	}
	rwsem_read_unlock(&inode->lock);
	return err;
}
