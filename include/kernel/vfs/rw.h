/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_RW_H
#define KERNEL_VFS_RW_H

/*
 * read(2), write(2), pread(2), pwrite(2): one range of user memory and no flags of the call. Everything that a
 * file operation needs is checked in one test and called; why not, and what O_APPEND and O_DSYNC mean, is found
 * out of line. Inline, because the system calls are nothing else.
 */
#include <kernel/vfs/file.h>

#define VFS_READ_MODE (FMODE_READ | FMODE_CAN_READ)
#define VFS_WRITE_MODE (FMODE_WRITE | FMODE_CAN_WRITE)

/*
 * Why it was not called, which `mode` would have let it: EBADF for O_PATH, ESPIPE, EBADF, EFAULT, EISDIR and EINVAL,
 * in this order.
 */
ssize_t vfs_read_refused(const struct file *file, uptr_t buf, size_t count, u32 mode);
ssize_t vfs_write_refused(const struct file *file, uptr_t buf, size_t count, u32 mode);
/* With the file's O_APPEND and O_DSYNC. */
ssize_t vfs_write_flagged(struct kiocb *iocb, struct iter *from);

static __always_inline ssize_t vfs_read_one(struct kiocb *iocb, uptr_t buf, size_t count, u32 mode)
{
	struct file *file = iocb->file;
	struct iter it;

	if (unlikely((file->mode & mode) != mode || iocb->pos < 0 ||
		     iter_import_range(&it, ITER_DEST, buf, count)))
		return vfs_read_refused(file, buf, count, mode);
	iocb->flags = 0;
	return file->ops->read_iter(iocb, &it);
}

static __always_inline ssize_t vfs_write_one(struct kiocb *iocb, uptr_t buf, size_t count, u32 mode)
{
	struct file *file = iocb->file;
	struct iter it;

	if (unlikely((file->mode & mode) != mode || iocb->pos < 0 ||
		     iter_import_range(&it, ITER_SOURCE, buf, count)))
		return vfs_write_refused(file, buf, count, mode);
	if (unlikely(file->flags & (O_APPEND | O_DSYNC)))
		return vfs_write_flagged(iocb, &it);
	iocb->flags = 0;
	return file->ops->write_iter(iocb, &it);
}

/* At the file's own position, by one at a time where files are so. */
static __always_inline ssize_t vfs_transfer_here(struct file *file, uptr_t buf, size_t count, bool write)
{
	struct kiocb iocb = { .file = file };
	bool locked;
	ssize_t n;

	if (file->mode & FMODE_STREAM)
		return write ? vfs_write_one(&iocb, buf, count, VFS_WRITE_MODE) :
			       vfs_read_one(&iocb, buf, count, VFS_READ_MODE);
	locked = file_pos_lock(file);
	iocb.pos = file->pos;
	n = write ? vfs_write_one(&iocb, buf, count, VFS_WRITE_MODE) :
		    vfs_read_one(&iocb, buf, count, VFS_READ_MODE);
	if (n >= 0)
		file->pos = iocb.pos;
	file_pos_unlock(file, locked);
	return n;
}

/* pos >= 0 */
static __always_inline ssize_t vfs_pread_user(struct file *file, uptr_t buf, size_t count, s64 pos)
{
	struct kiocb iocb = { .file = file, .pos = pos };

	return vfs_read_one(&iocb, buf, count, VFS_READ_MODE | FMODE_PREAD);
}

static __always_inline ssize_t vfs_pwrite_user(struct file *file, uptr_t buf, size_t count, s64 pos)
{
	struct kiocb iocb = { .file = file, .pos = pos };

	return vfs_write_one(&iocb, buf, count, VFS_WRITE_MODE | FMODE_PWRITE);
}

#endif
