/* SPDX-License-Identifier: MIT */
/* Names and directories: mkdir ... rename, readlink, getdents, getcwd, chdir, chroot, umask. */
#include <gen/syscall_protos.h>

#include <abi/linux/capability.h>
#include <abi/linux/dirent.h>
#include <abi/linux/fcntl.h>
#include <abi/linux/limits.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vfs/permission.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>

/* ---- making and removing names ---- */

long sys_mkdirat(int dfd, uptr_t path, u32 mode)
{
	struct pathname pn;
	long err = pathname_from_user(&pn, path, 0);

	if (err)
		return err;
	err = vfs_mkdir_at(dfd, &pn, mode);
	pathname_release(&pn);
	return err;
}

long sys_mkdir(uptr_t path, u32 mode)
{
	return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_mknodat(int dfd, uptr_t path, u32 mode, unsigned dev)
{
	struct pathname pn;
	long err = pathname_from_user(&pn, path, 0);

	if (err)
		return err;
	err = vfs_mknod_at(dfd, &pn, mode, devnum_decode(dev));
	pathname_release(&pn);
	return err;
}

long sys_mknod(uptr_t path, u32 mode, unsigned dev)
{
	return sys_mknodat(AT_FDCWD, path, mode, dev);
}

long sys_symlinkat(uptr_t target, int dfd, uptr_t path)
{
	struct pathname text, pn;
	long err = pathname_from_user(&text, target, 0);

	if (err)
		return err;
	err = pathname_from_user(&pn, path, 0);
	if (!err) {
		err = vfs_symlink_at(text.str, dfd, &pn);
		pathname_release(&pn);
	}
	pathname_release(&text);
	return err;
}

long sys_symlink(uptr_t target, uptr_t path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}

long sys_linkat(int olddfd, uptr_t old, int newdfd, uptr_t new, int flags)
{
	struct pathname from, to;
	long err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = pathname_from_user(&from, old, flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	if (err)
		return err;
	err = pathname_from_user(&to, new, 0);
	if (!err) {
		err = vfs_link_at(olddfd, &from, newdfd, &to, (u32)flags);
		pathname_release(&to);
	}
	pathname_release(&from);
	return err;
}

long sys_link(uptr_t old, uptr_t new)
{
	return sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

long sys_unlinkat(int dfd, uptr_t path, int flags)
{
	struct pathname pn;
	long err;

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	err = pathname_from_user(&pn, path, 0);
	if (err)
		return err;
	err = flags & AT_REMOVEDIR ? vfs_rmdir_at(dfd, &pn) : vfs_unlink_at(dfd, &pn);
	pathname_release(&pn);
	return err;
}

long sys_unlink(uptr_t path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(uptr_t path)
{
	return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

long sys_renameat2(int olddfd, uptr_t old, int newdfd, uptr_t new, unsigned flags)
{
	struct pathname from, to;
	long err = pathname_from_user(&from, old, 0);

	if (err)
		return err;
	err = pathname_from_user(&to, new, 0);
	if (!err) {
		err = vfs_rename_at(olddfd, &from, newdfd, &to, flags);
		pathname_release(&to);
	}
	pathname_release(&from);
	return err;
}

long sys_renameat(int olddfd, uptr_t old, int newdfd, uptr_t new)
{
	return sys_renameat2(olddfd, old, newdfd, new, 0);
}

long sys_rename(uptr_t old, uptr_t new)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

/* ---- readlink ---- */

long sys_readlinkat(int dfd, uptr_t name, uptr_t user, int size)
{
	struct pathname pn;
	struct path path;
	char *buf;
	ssize_t n;
	long err;

	if (size <= 0)
		return -EINVAL;
	err = pathname_from_user(&pn, name, LOOKUP_EMPTY);
	if (err)
		return err;
	err = path_lookup(dfd, &pn, LOOKUP_EMPTY, &path);
	/* readlinkat(2): "" means dfd itself, which must be a symlink opened with O_PATH. */
	if (!err && !S_ISLNK(path.dentry->inode->mode)) {
		err = pn.len ? -EINVAL : -ENOENT;
		path_put(&path);
	}
	pathname_release(&pn);
	if (err)
		return err;
	buf = kmalloc(PATH_MAX, 0);
	n = buf ? vfs_readlink(&path, buf, MIN((size_t)size, (size_t)PATH_MAX)) : -ENOMEM;
	if (n > 0 && copy_to_user(user, buf, (size_t)n))
		n = -EFAULT;
	kfree(buf);
	path_put(&path);
	return n;
}

long sys_readlink(uptr_t path, uptr_t buf, int size)
{
	return sys_readlinkat(AT_FDCWD, path, buf, size);
}

/* ---- getdents ---- */

struct dents {
	struct dir_context ctx;
	uptr_t at;			/* where the next record goes */
	size_t left;
	size_t done;
	long err;
	bool old;			/* getdents(2)'s records: the type is the last byte */
};

static bool emit_dent(struct dir_context *ctx, const char *name, size_t len, s64 next, u64 ino, u32 type)
{
	struct dents *d = container_of(ctx, struct dents, ctx);
	const size_t head = offsetof(struct linux_dirent64, d_name);
	size_t size = ALIGN_UP((d->old ? offsetof(struct linux_dirent, d_name) + 2 : head + 1) + len, 8UL);
	u64 record[(sizeof(struct linux_dirent64) + NAME_MAX + 1 + 15) / 8];

	if (size > d->left) {
		d->err = -EINVAL;	/* only if it is the first */
		return false;
	}
	record[size / 8 - 1] = 0;
	if (d->old) {
		struct linux_dirent *e = (struct linux_dirent *)record;

		e->d_ino = ino;
		e->d_off = (u64)next;
		e->d_reclen = (u16)size;
		memcpy(e->d_name, name, len);
		e->d_name[len] = '\0';
		((u8 *)record)[size - 1] = (u8)type;
	} else {
		struct linux_dirent64 *e = (struct linux_dirent64 *)record;

		e->d_ino = ino;
		e->d_off = next;
		e->d_reclen = (u16)size;
		e->d_type = (u8)type;
		memcpy(e->d_name, name, len);
		e->d_name[len] = '\0';
	}
	if (copy_to_user(d->at, record, size)) {
		d->err = -EFAULT;
		return false;
	}
	d->at = uptr_add(d->at, size);
	d->left -= size;
	d->done += size;
	return true;
}

static long getdents(int fd, uptr_t buf, unsigned count, bool old)
{
	struct dents d = { .ctx.emit = emit_dent, .at = buf, .left = count, .old = old };
	struct fdref f = fd_get(fd);
	bool locked;
	long err;

	if (!f.file)
		return -EBADF;
	locked = file_pos_lock(f.file);
	err = vfs_iterate(f.file, &d.ctx);
	file_pos_unlock(f.file, locked);
	fd_put(f);
	if (err)
		return err;
	return d.done ? (long)d.done : d.err;
}

long sys_getdents(int fd, uptr_t buf, unsigned count)
{
	return getdents(fd, buf, count, true);
}

long sys_getdents64(int fd, uptr_t buf, unsigned count)
{
	return getdents(fd, buf, count, false);
}

/* ---- where we are ---- */

long sys_getcwd(uptr_t user, size_t size)
{
	struct fs_context *fs = fs_context_current();
	struct path root, cwd;
	char *buf = kmalloc(PATH_MAX, 0), *start;
	size_t n;
	long err;

	if (!buf)
		return -ENOMEM;
	fs_context_root(fs, &root);
	fs_context_cwd(fs, &cwd);
	err = path_name_cwd(&cwd, &root, buf, PATH_MAX, &start);
	path_put(&cwd);
	path_put(&root);
	if (!err) {
		n = (size_t)(buf + PATH_MAX - start);
		err = n > size ? -ERANGE : copy_to_user(user, start, n) ? -EFAULT : (long)n;
	}
	kfree(buf);
	return err;
}

long sys_chdir(uptr_t name)
{
	struct path path;
	long err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

	if (err)
		return err;
	err = path_permission(&path, MAY_EXEC | MAY_CHDIR);
	if (!err)
		fs_context_set_cwd(fs_context_current(), &path);
	path_put(&path);
	return err;
}

long sys_fchdir(int fd)
{
	struct fdref f = fd_get_raw(fd);
	long err = -ENOTDIR;

	if (!f.file)
		return -EBADF;
	if (dentry_is_dir(f.file->path.dentry)) {
		err = path_permission(&f.file->path, MAY_EXEC | MAY_CHDIR);
		if (!err)
			fs_context_set_cwd(fs_context_current(), &f.file->path);
	}
	fd_put(f);
	return err;
}

long sys_chroot(uptr_t name)
{
	struct path path;
	long err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

	if (err)
		return err;
	err = path_permission(&path, MAY_EXEC | MAY_CHDIR);
	if (!err && !capable(CAP_SYS_CHROOT))
		err = -EPERM;
	if (!err)
		fs_context_set_root(fs_context_current(), &path);
	path_put(&path);
	return err;
}

long sys_umask(int mask)
{
	struct fs_context *fs = fs_context_current();

	return (long)__atomic_exchange_n(&fs->umask, (u32)mask & 0777, __ATOMIC_SEQ_CST);
}
