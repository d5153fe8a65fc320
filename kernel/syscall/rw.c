/* SPDX-License-Identifier: MIT */
/* read(2) and its family, lseek, sendfile, copy_file_range, fsync, fallocate. */
#include <gen/syscall_protos.h>

#include <abi/linux/fcntl.h>
#include <abi/linux/uio.h>
#include <kernel/core/preempt.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/signal/signal.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/rw.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>

typedef ssize_t (*transfer_t)(struct file *file, struct iter *it, s64 *pos, u32 rwf);

/* Moves at the file's own position. */
static inline ssize_t transfer_here(struct file *file, struct iter *it, transfer_t transfer, u32 rwf)
{
	bool locked;
	ssize_t n;
	s64 pos;

	if (file->mode & FMODE_STREAM) {
		pos = 0;
		return transfer(file, it, &pos, rwf);
	}
	locked = file_pos_lock(file);
	pos = file->pos;
	n = transfer(file, it, &pos, rwf);
	if (n >= 0)
		file->pos = pos;
	file_pos_unlock(file, locked);
	return n;
}

/* The four plain calls. An O_PATH file can neither be read nor written: its mode says so, which is EBADF as well. */
static __always_inline long plain_here(int fd, uptr_t buf, size_t count, bool write)
{
	struct fdref f = fd_get_raw(fd);
	ssize_t n;

	if (unlikely(!f.file))
		return -EBADF;
	n = vfs_transfer_here(f.file, buf, count, write);
	fd_put(f);
	return n;
}

static __always_inline long plain_at(int fd, uptr_t buf, size_t count, loff_t pos, bool write)
{
	struct fdref f;
	ssize_t n;

	if (pos < 0)
		return -EINVAL;
	f = fd_get_raw(fd);
	if (unlikely(!f.file))
		return -EBADF;
	n = write ? vfs_pwrite_user(f.file, buf, count, pos) : vfs_pread_user(f.file, buf, count, pos);
	fd_put(f);
	return n;
}

long sys_read(int fd, uptr_t buf, size_t count)
{
	return plain_here(fd, buf, count, false);
}

long sys_write(int fd, uptr_t buf, size_t count)
{
	return plain_here(fd, buf, count, true);
}

long sys_pread64(int fd, uptr_t buf, size_t count, loff_t pos)
{
	return plain_at(fd, buf, count, pos, false);
}

long sys_pwrite64(int fd, uptr_t buf, size_t count, loff_t pos)
{
	return plain_at(fd, buf, count, pos, true);
}

/*
 * readv and the like. pos NULL: the file's own. As on Linux the vector is looked at before what the file is
 * open for, and no file sees an empty one.
 */
static long vector(int fd, uptr_t iov, unsigned long count, enum iter_dir dir, s64 *pos, u32 rwf)
{
	const u32 positioned = dir == ITER_DEST ? FMODE_PREAD : FMODE_PWRITE;
	const u32 mode = dir == ITER_DEST ? FMODE_READ : FMODE_WRITE;
	transfer_t transfer = dir == ITER_DEST ? vfs_read_iter : vfs_write_iter;
	struct iter_seg fast[ITER_FAST_SEGS], *heap = NULL;
	struct fdref f = fd_get(fd);
	struct iter it;
	ssize_t n;

	if (!f.file)
		return -EBADF;
	if (pos && !(f.file->mode & positioned))
		n = -ESPIPE;
	else
		n = iter_import(&it, dir, iov, count, fast, &heap);
	if (n >= 0 && !(f.file->mode & mode))
		n = -EBADF;
	if (n >= 0 && iter_count(&it))
		n = pos ? transfer(f.file, &it, pos, rwf) : transfer_here(f.file, &it, transfer, rwf);
	iter_import_free(heap);
	fd_put(f);
	return n;
}

long sys_readv(int fd, uptr_t iov, unsigned long count)
{
	return vector(fd, iov, count, ITER_DEST, NULL, 0);
}

long sys_writev(int fd, uptr_t iov, unsigned long count)
{
	return vector(fd, iov, count, ITER_SOURCE, NULL, 0);
}

/* On 64 bits the low half is all of the position. */
long sys_preadv(int fd, uptr_t iov, unsigned long count, unsigned long pos_l, unsigned long pos_h)
{
	s64 pos = (s64)pos_l;

	return pos < 0 ? -EINVAL : vector(fd, iov, count, ITER_DEST, &pos, 0);
}

long sys_pwritev(int fd, uptr_t iov, unsigned long count, unsigned long pos_l, unsigned long pos_h)
{
	s64 pos = (s64)pos_l;

	return pos < 0 ? -EINVAL : vector(fd, iov, count, ITER_SOURCE, &pos, 0);
}

static long vector2(int fd, uptr_t iov, unsigned long count, enum iter_dir dir, s64 pos, int flags)
{
	if (pos == -1)
		return vector(fd, iov, count, dir, NULL, (u32)flags);
	return pos < 0 ? -EINVAL : vector(fd, iov, count, dir, &pos, (u32)flags);
}

long sys_preadv2(int fd, uptr_t iov, unsigned long count, unsigned long pos_l, unsigned long pos_h, int flags)
{
	return vector2(fd, iov, count, ITER_DEST, (s64)pos_l, flags);
}

long sys_pwritev2(int fd, uptr_t iov, unsigned long count, unsigned long pos_l, unsigned long pos_h, int flags)
{
	return vector2(fd, iov, count, ITER_SOURCE, (s64)pos_l, flags);
}

long sys_lseek(int fd, loff_t offset, int whence)
{
	struct fdref f = fd_get(fd);
	bool locked;
	s64 pos;

	if (!f.file)
		return -EBADF;
	if ((u32)whence > SEEK_MAX) {
		pos = -EINVAL;
	} else {
		locked = file_pos_lock(f.file);
		pos = vfs_llseek(f.file, offset, whence);
		file_pos_unlock(f.file, locked);
	}
	fd_put(f);
	return pos;
}

/* ---- from file to file ---- */

#define COPY_BYTES (16 * PAGE_SIZE)

/* Copies through a buffer until max, the end of `in` or an error; both positions move. */
static ssize_t copy_through(struct file *in, s64 *in_pos, struct file *out, s64 *out_pos, size_t max)
{
	size_t size = MIN(max, (size_t)COPY_BYTES), done = 0;
	char *buf = kmalloc(MAX(size, (size_t)1), 0);
	ssize_t n = 0, w = 0;

	if (!buf)
		return -ENOMEM;
	while (done < max) {
		n = kernel_read(in, buf, MIN(size, max - done), in_pos);
		if (n <= 0)
			break;
		for (ssize_t at = 0; at < n; at += w) {
			w = kernel_write(out, buf + at, (size_t)(n - at), out_pos);
			if (w <= 0) {
				/* What was read and not written is still to be read. */
				*in_pos -= n - at;
				done += (size_t)at;
				n = w;
				goto end;
			}
		}
		done += (size_t)n;
		if (signal_fatal_pending()) {
			n = -EINTR;
			break;
		}
	}
end:
	kfree(buf);
	return done ? (ssize_t)done : n;
}

static int check_sendfile(const struct file *in, const struct file *out, bool positioned)
{
	if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
		return -EBADF;
	if (positioned && !(in->mode & FMODE_PREAD))
		return -ESPIPE;
	if (!(in->mode & FMODE_CAN_READ) || !(out->mode & FMODE_CAN_WRITE) || (out->flags & O_APPEND))
		return -EINVAL;
	/* sendfile(2): the source must be something like a file, "which supports mmap(2)-like operations". */
	return S_ISREG(in->inode->mode) ? 0 : -EINVAL;
}

/*
 * As on Linux, nobody's position is locked meanwhile: a pipe that nobody reads may hold this up for ever, and who shares a
 * descriptor must be able to read, seek and die.
 */
static ssize_t sendfile(struct file *in, struct file *out, s64 *offset, size_t count)
{
	s64 in_pos = offset ? *offset : in->pos, out_pos = out->pos;
	ssize_t n = check_sendfile(in, out, offset);

	if (n)
		return n;
	if (in_pos < 0)
		return -EINVAL;
	n = copy_through(in, &in_pos, out, &out_pos, MIN(count, (size_t)ITER_MAX_COUNT));
	if (n > 0) {
		out->pos = out_pos;
		*(offset ? offset : &in->pos) = in_pos;
	}
	return n;
}

long sys_sendfile(int out, int in, uptr_t offset, size_t count)
{
	struct fdref fin, fout;
	s64 pos = 0;
	ssize_t n = -EBADF;

	if (!uptr_is_null(offset) && copy_from_user(&pos, offset, sizeof(pos)))
		return -EFAULT;
	fin = fd_get(in);
	fout = fd_get(out);
	if (fin.file && fout.file)
		n = sendfile(fin.file, fout.file, uptr_is_null(offset) ? NULL : &pos, count);
	fd_put(fout);
	fd_put(fin);
	if (n >= 0 && !uptr_is_null(offset) && copy_to_user(offset, &pos, sizeof(pos)))
		return -EFAULT;
	return n;
}

static int check_copy_range(const struct file *in, s64 in_pos, const struct file *out, s64 out_pos, size_t *len)
{
	const struct inode *a = in->inode, *b = out->inode;
	u64 size;

	if (S_ISDIR(a->mode) || S_ISDIR(b->mode))
		return -EISDIR;
	if (!S_ISREG(a->mode) || !S_ISREG(b->mode))
		return -EINVAL;
	if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE) || (out->flags & O_APPEND))
		return -EBADF;
	/* Since 5.19 a file system may offer to copy from others of its type; tmpfs does not. */
	if (a->sb != b->sb)
		return -EXDEV;
	if (in_pos < 0 || out_pos < 0)
		return -EINVAL;
	if ((u64)in_pos + *len < (u64)in_pos || (u64)out_pos + *len < (u64)out_pos)
		return -EOVERFLOW;
	size = inode_size(a);
	*len = (u64)in_pos >= size ? 0 : MIN(*len, (size_t)(size - (u64)in_pos));
	if (a == b && (u64)out_pos + *len > (u64)in_pos && (u64)out_pos < (u64)in_pos + *len)
		return -EINVAL;
	return 0;
}

static ssize_t copy_range(struct file *in, s64 *in_off, struct file *out, s64 *out_off, size_t len)
{
	s64 in_pos = in_off ? *in_off : in->pos, out_pos = out_off ? *out_off : out->pos;
	ssize_t n = check_copy_range(in, in_pos, out, out_pos, &len);

	if (n || !len)
		return n;
	n = copy_through(in, &in_pos, out, &out_pos, MIN(len, (size_t)ITER_MAX_COUNT));
	if (n <= 0)
		return n;
	*(in_off ? in_off : &in->pos) = in_pos;
	*(out_off ? out_off : &out->pos) = out_pos;
	return n;
}

long sys_copy_file_range(int in, uptr_t off_in, int out, uptr_t off_out, size_t len, unsigned flags)
{
	bool has_in = !uptr_is_null(off_in), has_out = !uptr_is_null(off_out);
	struct fdref fin, fout;
	s64 in_pos = 0, out_pos = 0;
	ssize_t n = -EBADF;

	fin = fd_get(in);
	fout = fd_get(out);
	if (!fin.file || !fout.file)
		goto put;
	n = -EFAULT;
	if ((has_in && copy_from_user(&in_pos, off_in, sizeof(in_pos))) ||
	    (has_out && copy_from_user(&out_pos, off_out, sizeof(out_pos))))
		goto put;
	n = flags ? -EINVAL :
		copy_range(fin.file, has_in ? &in_pos : NULL, fout.file, has_out ? &out_pos : NULL, len);
	if (n > 0 && ((has_in && copy_to_user(off_in, &in_pos, sizeof(in_pos))) ||
		      (has_out && copy_to_user(off_out, &out_pos, sizeof(out_pos)))))
		n = -EFAULT;
put:
	fd_put(fout);
	fd_put(fin);
	return n;
}

/* ---- durability and allocation ---- */

static long sync_fd(int fd, bool datasync)
{
	struct fdref f = fd_get(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = vfs_fsync(f.file, datasync);
	fd_put(f);
	return err;
}

long sys_fsync(int fd)
{
	return sync_fd(fd, false);
}

long sys_fdatasync(int fd)
{
	return sync_fd(fd, true);
}

static void sync_super(struct super_block *sb, void *arg)
{
	if (sb->ops && sb->ops->sync)
		(void)sb->ops->sync(sb, true);
}

long sys_sync(void)
{
	super_for_each(sync_super, NULL);
	return 0;
}

long sys_syncfs(int fd)
{
	struct fdref f = fd_get(fd);

	if (!f.file)
		return -EBADF;
	sync_super(f.file->inode->sb, NULL);
	fd_put(f);
	return 0;
}

long sys_fallocate(int fd, int mode, loff_t offset, loff_t len)
{
	struct fdref f = fd_get(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = vfs_fallocate(f.file, (u32)mode, offset, len);
	fd_put(f);
	return err;
}

/* Advice is checked and then not needed: there is no read-ahead to steer. */
long sys_fadvise64(int fd, loff_t offset, size_t len, int advice)
{
	struct fdref f = fd_get(fd);
	long err = 0;

	if (!f.file)
		return -EBADF;
	if (S_ISFIFO(f.file->inode->mode))
		err = -ESPIPE;
	else if ((s64)len < 0 || (u32)advice > POSIX_FADV_NOREUSE)
		err = -EINVAL;
	fd_put(f);
	return err;
}
