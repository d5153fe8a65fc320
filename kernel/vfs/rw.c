/* SPDX-License-Identifier: MIT */
/*
 * Reading, writing, seeking: what the syscalls call, and the ready-made operations of
 * files whose contents are the pages of an object.
 *
 * inode.lock serialises writers of a file (O_APPEND is atomic by it); reads take no lock: the
 * object copies page by page and stops at the size.
 */
#include "internal.h"

#include <abi/linux/fcntl.h>
#include <abi/linux/mman.h>
#include <abi/linux/uio.h>
#include <kernel/vfs/rw.h>
#include <kernel/vm/object.h>
#include <kernel/vm/space.h>

/* RWF_* and O_* to IOCB_*. */
static int iocb_flags(const struct file *file, u32 rwf, u32 *out)
{
	u32 flags = 0;

	if (file->flags & O_APPEND)
		flags |= IOCB_APPEND;
	if (file->flags & O_DSYNC)
		flags |= IOCB_DSYNC | (file->flags & __O_SYNC ? IOCB_SYNC : 0);
	if (unlikely(rwf)) {
		if (rwf & ~(u32)RWF_SUPPORTED)
			return -EOPNOTSUPP;
		if ((rwf & RWF_NOWAIT) && !(file->mode & FMODE_NOWAIT))
			return -EOPNOTSUPP;
		flags |= (rwf & RWF_NOWAIT ? IOCB_NOWAIT : 0) | (rwf & RWF_APPEND ? IOCB_APPEND : 0) |
			 (rwf & RWF_DSYNC ? IOCB_DSYNC : 0) |
			 (rwf & RWF_SYNC ? IOCB_DSYNC | IOCB_SYNC : 0) |
			 (rwf & RWF_HIPRI ? IOCB_HIPRI : 0);
	}
	*out = flags;
	return 0;
}

static noinline ssize_t sync_written(struct file *file, const struct kiocb *iocb, ssize_t n)
{
	int err = vfs_fsync(file, !(iocb->flags & IOCB_SYNC));

	return err && err != -EINVAL ? err : n;
}

ssize_t vfs_read_iter(struct file *file, struct iter *to, s64 *pos, u32 rwf)
{
	struct kiocb iocb = { .file = file, .pos = *pos };
	ssize_t n;

	if (unlikely(!(file->mode & FMODE_READ)))
		return -EBADF;
	if (unlikely(!(file->mode & FMODE_CAN_READ)))
		return S_ISDIR(file->inode->mode) ? -EISDIR : -EINVAL;
	if (unlikely(iocb.pos < 0 && !(file->mode & FMODE_STREAM)))
		return -EINVAL;
	n = iocb_flags(file, rwf, &iocb.flags);
	if (n)
		return n;
	n = file->ops->read_iter(&iocb, to);
	*pos = iocb.pos;
	return n;
}

ssize_t vfs_write_iter(struct file *file, struct iter *from, s64 *pos, u32 rwf)
{
	struct kiocb iocb = { .file = file, .pos = *pos };
	ssize_t n;

	if (unlikely(!(file->mode & FMODE_WRITE)))
		return -EBADF;
	if (unlikely(!(file->mode & FMODE_CAN_WRITE)))
		return -EINVAL;
	if (unlikely(iocb.pos < 0 && !(file->mode & FMODE_STREAM)))
		return -EINVAL;
	n = iocb_flags(file, rwf, &iocb.flags);
	if (n)
		return n;
	n = file->ops->write_iter(&iocb, from);
	if (n > 0 && (iocb.flags & IOCB_DSYNC))
		n = sync_written(file, &iocb, n);
	*pos = iocb.pos;
	return n;
}

/* ---- what the inline paths of kernel/vfs/rw.h leave over ---- */

ssize_t vfs_read_refused(const struct file *file, uptr_t buf, size_t count, u32 mode)
{
	if (file->mode & FMODE_PATH)
		return -EBADF;
	if (mode & ~file->mode & FMODE_PREAD)
		return -ESPIPE;
	if (!(file->mode & FMODE_READ))
		return -EBADF;
	if (!hal_user_range_ok(buf, MIN(count, ITER_MAX_COUNT)))
		return -EFAULT;
	return !(file->mode & FMODE_CAN_READ) && S_ISDIR(file->inode->mode) ? -EISDIR : -EINVAL;
}

ssize_t vfs_write_refused(const struct file *file, uptr_t buf, size_t count, u32 mode)
{
	if (file->mode & FMODE_PATH)
		return -EBADF;
	if (mode & ~file->mode & FMODE_PWRITE)
		return -ESPIPE;
	if (!(file->mode & FMODE_WRITE))
		return -EBADF;
	return hal_user_range_ok(buf, MIN(count, ITER_MAX_COUNT)) ? -EINVAL : -EFAULT;
}

ssize_t vfs_write_flagged(struct kiocb *iocb, struct iter *from)
{
	ssize_t n;

	(void)iocb_flags(iocb->file, 0, &iocb->flags);
	n = iocb->file->ops->write_iter(iocb, from);
	return n > 0 && (iocb->flags & IOCB_DSYNC) ? sync_written(iocb->file, iocb, n) : n;
}

ssize_t kernel_read(struct file *file, void *buf, size_t n, s64 *pos)
{
	struct iter it;

	iter_init_kernel(&it, ITER_DEST, buf, MIN(n, (size_t)ITER_MAX_COUNT));
	return vfs_read_iter(file, &it, pos, 0);
}

ssize_t kernel_write(struct file *file, const void *buf, size_t n, s64 *pos)
{
	struct iter it;

	iter_init_kernel(&it, ITER_SOURCE, buf, MIN(n, (size_t)ITER_MAX_COUNT));
	return vfs_write_iter(file, &it, pos, 0);
}

int vfs_fsync(struct file *file, bool datasync)
{
	return file->ops->fsync ? file->ops->fsync(file, datasync) : -EINVAL;
}

int file_fsync_none(struct file *file, bool datasync)
{
	(void)file, (void)datasync;
	return 0;
}

/* fallocate(2): which combinations of flags there are, as Linux 6.1 checks them. */
static int check_fallocate(const struct file *file, u32 mode)
{
	const u32 known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
			  FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;

	if (mode & ~known)
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && (mode & FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_COLLAPSE_RANGE) && (mode & ~(u32)FALLOC_FL_COLLAPSE_RANGE))
		return -EINVAL;
	if ((mode & FALLOC_FL_INSERT_RANGE) && (mode & ~(u32)FALLOC_FL_INSERT_RANGE))
		return -EINVAL;
	if ((mode & FALLOC_FL_UNSHARE_RANGE) &&
	    (mode & ~(u32)(FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE)))
		return -EINVAL;
	return file->mode & FMODE_WRITE ? 0 : -EBADF;
}

int vfs_fallocate(struct file *file, u32 mode, s64 offset, s64 len)
{
	struct inode *inode = file->inode;
	int err;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	err = check_fallocate(file, mode);
	if (err)
		return err;
	if (S_ISFIFO(inode->mode))
		return -ESPIPE;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode) && !S_ISBLK(inode->mode))
		return -ENODEV;
	if ((u64)offset + (u64)len > inode->sb->max_bytes)
		return -EFBIG;
	if (!file->ops->fallocate)
		return -EOPNOTSUPP;
	return file->ops->fallocate(file, mode, (u64)offset, (u64)len);
}

long vfs_ioctl(struct file *file, u32 cmd, u64 arg)
{
	long ret = -ENOTTY;

	if (file->ops->ioctl)
		ret = file->ops->ioctl(file, cmd, arg);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

u32 vfs_poll(struct file *file, struct poll_table *pt)
{
	return file->ops->poll ? file->ops->poll(file, pt) : POLL_ALWAYS;
}

/* ---- seeking ---- */

s64 vfs_llseek(struct file *file, s64 offset, int whence)
{
	if (!(file->mode & FMODE_LSEEK))
		return -ESPIPE;
	return file->ops->llseek(file, offset, whence);
}

s64 file_llseek_size(struct file *file, s64 offset, int whence, u64 max, u64 end)
{
	s64 pos;

	switch (whence) {
	case SEEK_SET:
		pos = offset;
		break;
	case SEEK_CUR:
		if (add_overflow(file->pos, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_END:
		if (add_overflow((s64)end, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_DATA:
		if ((u64)offset >= end)
			return -ENXIO;
		pos = offset;
		break;
	case SEEK_HOLE:
		if ((u64)offset >= end)
			return -ENXIO;
		pos = (s64)end;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0 || (u64)pos > max)
		return -EINVAL;
	if (pos != file->pos) {
		file->pos = pos;
		file->version = 0;
	}
	return pos;
}

s64 file_llseek_generic(struct file *file, s64 offset, int whence)
{
	struct inode *inode = file->inode;

	if ((whence == SEEK_DATA || whence == SEEK_HOLE) && inode->object) {
		s64 pos;

		if (offset < 0)
			return -ENXIO;
		pos = vm_object_seek(inode->object, (u64)offset, whence == SEEK_DATA);
		if (pos < 0)
			return pos;
		offset = pos;
		whence = SEEK_SET;
	}
	return file_llseek_size(file, offset, whence, inode->sb->max_bytes, inode_size(inode));
}

s64 file_llseek_none(struct file *file, s64 offset, int whence)
{
	(void)file, (void)offset, (void)whence;
	return -ESPIPE;
}

s64 file_llseek_noop(struct file *file, s64 offset, int whence)
{
	(void)offset, (void)whence;
	return file->pos;
}

s64 file_llseek_zero(struct file *file, s64 offset, int whence)
{
	(void)offset, (void)whence;
	return file->pos = 0;
}

/* ---- files that are the pages of an object ---- */

ssize_t file_read_object(struct kiocb *iocb, struct iter *to)
{
	struct file *file = iocb->file;
	ssize_t n = 0;

	if (likely(iter_count(to)))
		n = vm_object_read(file->inode->object, to, (u64 *)&iocb->pos);
	if (likely(!(file->flags & O_NOATIME)))
		inode_touch_atime(file->inode, file->path.mnt);
	return n;
}

static __always_inline ssize_t write_checks(struct kiocb *iocb, struct iter *from)
{
	struct inode *inode = iocb->file->inode;
	struct task *task = task_current_or_null();
	u64 limit = task ? rlimit_get(task->process, RLIMIT_FSIZE) : RLIM64_INFINITY, pos, max = inode->sb->max_bytes;
	size_t count = iter_count(from);

	if (!count)
		return 0;
	if (iocb->flags & IOCB_APPEND)
		iocb->pos = (s64)inode_size(inode);
	pos = (u64)iocb->pos;
	if (unlikely(limit < INT64_MAX)) {
		if (pos >= limit) {
			if (file_fsize_signal_hook)
				file_fsize_signal_hook();
			return -EFBIG;
		}
		max = MIN(max, limit);
	}
	if (unlikely(pos >= max))
		return -EFBIG;
	if (unlikely(inode->flags & ((F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_GROW) << INODE_SEAL_SHIFT))) {
		u32 seals = inode->flags >> INODE_SEAL_SHIFT;

		if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			return -EPERM;
		/* Linux goes page by page: what comes before the page that would make the file longer is written. */
		if ((seals & F_SEAL_GROW) && pos + count > inode->size)
			max = MIN(max, ALIGN_DOWN(inode->size, PAGE_SIZE));
		if (pos >= max)
			return -EPERM;
	}
	if (unlikely(count > max - pos)) {
		count = max - pos;
		iter_truncate(from, count);
	}
	return (ssize_t)count;
}

ssize_t file_write_checks(struct kiocb *iocb, struct iter *from)
{
	return write_checks(iocb, from);
}

ssize_t file_write_object(struct kiocb *iocb, struct iter *from)
{
	struct file *file = iocb->file;
	struct inode *inode = file->inode;
	ssize_t n;

	if (likely(!(iocb->flags & IOCB_NOWAIT)))
		rwsem_write_lock(&inode->lock);
	else if (!rwsem_write_trylock(&inode->lock))
		return -EAGAIN;
	n = write_checks(iocb, from);
	if (n <= 0)
		goto unlock;
	if (unlikely(inode->mode & (S_ISUID | S_ISGID))) {
		int err = file_remove_privs_locked(file);

		if (err) {
			n = err;
			goto unlock;
		}
	}
	file_update_time(file);
	n = vm_object_write(inode->object, from, (u64 *)&iocb->pos);
	if (n > 0 && (u64)iocb->pos > inode->size)
		inode_set_size(inode, (u64)iocb->pos);
unlock:
	rwsem_write_unlock(&inode->lock);
	return n;
}

int file_mmap_object(struct file *file, struct vm_map_request *req)
{
	req->object = file->inode->object;
	if (likely(!(file->flags & O_NOATIME)))
		inode_touch_atime(file->inode, file->path.mnt);
	return 0;
}
