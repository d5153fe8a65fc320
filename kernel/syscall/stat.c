/* SPDX-License-Identifier: MIT */
/* Attributes of files: the stat family, statfs, access, chmod, chown, times, truncate. */
#include <gen/syscall_protos.h>

#include <abi/linux/capability.h>
#include <abi/linux/fcntl.h>
#include <abi/linux/stat.h>
#include <abi/linux/statfs.h>
#include <abi/linux/time.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/permission.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>

/* ---- stat ---- */

#define SAME(field, abi) \
	static_assert(offsetof(struct kstat, field) == offsetof(struct stat, abi) && \
		      sizeof(((struct kstat *)0)->field) == sizeof(((struct stat *)0)->abi), "copied out as it is")
#define SAME_TIME(field, abi) \
	static_assert(offsetof(struct kstat, field.sec) == offsetof(struct stat, abi) && \
		      offsetof(struct kstat, field.nsec) == offsetof(struct stat, abi##_nsec), "copied out as it is")
SAME(dev, st_dev);
SAME(ino, st_ino);
SAME(nlink, st_nlink);
SAME(mode, st_mode);
SAME(uid, st_uid);
SAME(gid, st_gid);
SAME(zero, __pad0);
SAME(rdev, st_rdev);
SAME(size, st_size);
SAME(blksize, st_blksize);
SAME(blocks, st_blocks);
SAME_TIME(atime, st_atime);
SAME_TIME(mtime, st_mtime);
SAME_TIME(ctime, st_ctime);
SAME(zeros, __unused);
static_assert(sizeof(struct fstime) == 16, "two words, no hole to leak");

static inline int put_stat(const struct kstat *ks, uptr_t user)
{
	return copy_to_user(user, ks, sizeof(struct stat));
}

static long stat_at(int dfd, uptr_t path, u32 lookup, uptr_t user)
{
	struct pathname pn;
	struct kstat ks;
	int err;

	ks.extended = false;
	err = pathname_from_user(&pn, path, lookup);

	if (err)
		return err;
	err = path_stat(dfd, &pn, lookup, &ks);
	pathname_release(&pn);
	return err ? err : put_stat(&ks, user);
}

long sys_stat(uptr_t path, uptr_t st)
{
	return stat_at(AT_FDCWD, path, LOOKUP_FOLLOW, st);
}

long sys_lstat(uptr_t path, uptr_t st)
{
	return stat_at(AT_FDCWD, path, 0, st);
}

static long stat_fd(int fd, struct kstat *ks)
{
	struct fdref f = fd_get_raw(fd);
	int err;

	if (unlikely(!f.file))
		return -EBADF;
	err = vfs_getattr(&f.file->path, ks);
	fd_put(f);
	return err;
}

long sys_fstat(int fd, uptr_t st)
{
	struct kstat ks;
	long err;

	ks.extended = false;
	err = stat_fd(fd, &ks);
	return err ? err : put_stat(&ks, st);
}

static u32 lookup_of(u32 at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}

/* An empty string with AT_EMPTY_PATH is fstat: worth to find out without a walk. */
static bool is_empty(uptr_t path, u32 at_flags)
{
	u8 c;

	return (at_flags & AT_EMPTY_PATH) && !copy_from_user(&c, path, 1) && !c;
}

long sys_newfstatat(int dfd, uptr_t path, uptr_t st, int flags)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if (dfd >= 0 && is_empty(path, (u32)flags))
		return sys_fstat(dfd, st);
	return stat_at(dfd, path, lookup_of((u32)flags), st);
}

static struct statx_timestamp statx_time(struct fstime t)
{
	return (struct statx_timestamp){ .tv_sec = t.sec, .tv_nsec = (u32)t.nsec };
}

static int put_statx(const struct kstat *ks, u32 mask, uptr_t user)
{
	devnum_t dev = devnum_decode((u32)ks->dev), rdev = devnum_decode((u32)ks->rdev);
	bool btime = ks->has_btime && mask & STATX_BTIME;	/* only who asks for it gets it */
	struct statx sx;

	memset(&sx, 0, sizeof(sx));
	sx.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID | (btime ? STATX_BTIME : 0);
	sx.stx_blksize = (u32)ks->blksize;
	sx.stx_attributes = ks->attributes;
	sx.stx_attributes_mask = ks->attributes_mask;
	sx.stx_nlink = (u32)ks->nlink;
	sx.stx_uid = ks->uid;
	sx.stx_gid = ks->gid;
	sx.stx_mode = (u16)ks->mode;
	sx.stx_ino = ks->ino;
	sx.stx_size = ks->size;
	sx.stx_blocks = ks->blocks;
	sx.stx_atime = statx_time(ks->atime);
	if (btime)
		sx.stx_btime = statx_time(ks->btime);
	sx.stx_ctime = statx_time(ks->ctime);
	sx.stx_mtime = statx_time(ks->mtime);
	sx.stx_rdev_major = DEV_MAJOR(rdev);
	sx.stx_rdev_minor = DEV_MINOR(rdev);
	sx.stx_dev_major = DEV_MAJOR(dev);
	sx.stx_dev_minor = DEV_MINOR(dev);
	sx.stx_mnt_id = ks->mnt_id;
	return copy_to_user(user, &sx, sizeof(sx));
}

long sys_statx(int dfd, uptr_t path, unsigned flags, unsigned mask, uptr_t buf)
{
	struct pathname pn;
	struct kstat ks;
	long err;

	ks.extended = true;
	if (mask & STATX__RESERVED)
		return -EINVAL;
	if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if (dfd >= 0 && is_empty(path, flags)) {
		err = stat_fd(dfd, &ks);
	} else {
		err = pathname_from_user(&pn, path, lookup_of(flags));
		if (err)
			return err;
		err = path_stat(dfd, &pn, lookup_of(flags), &ks);
		pathname_release(&pn);
	}
	return err ? err : put_statx(&ks, mask, buf);
}

/* ---- statfs ---- */

static int put_statfs(const struct path *path, uptr_t user)
{
	struct statfs buf;
	int err = vfs_statfs(path, &buf);

	return err ? err : copy_to_user(user, &buf, sizeof(buf));
}

long sys_statfs(uptr_t name, uptr_t buf)
{
	struct path path;
	long err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	err = put_statfs(&path, buf);
	path_put(&path);
	return err;
}

long sys_fstatfs(int fd, uptr_t buf)
{
	struct fdref f = fd_get_raw(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = put_statfs(&f.file->path, buf);
	fd_put(f);
	return err;
}

/* ---- access(2): with the real ids, and root's capabilities only for a real root ---- */

static struct cred *access_cred(void)
{
	struct cred *cred = cred_prepare();

	if (!cred)
		return NULL;
	cred->fsuid = cred->uid;
	cred->fsgid = cred->gid;
	cred->cap_effective = cred->uid == 0 ? cred->cap_permitted : 0;
	return cred;
}

static int check_access(const struct path *path, int mode)
{
	struct inode *inode = path->dentry->inode;
	int err;

	if ((mode & X_OK) && S_ISREG(inode->mode) &&
	    ((path->mnt->flags & MOUNT_NOEXEC) || (inode->sb->flags & SB_NOEXEC_TREE)))
		return -EACCES;
	err = inode_permission(inode, (u32)mode | MAY_ACCESS);
	if (!err && (mode & W_OK) && mount_is_readonly(path->mnt) &&
	    (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)))
		err = -EROFS;
	return err;
}

long sys_faccessat2(int dfd, uptr_t name, int mode, int flags)
{
	const struct cred *old = NULL, *cur = current_cred();
	struct cred *cred = NULL;
	struct path path;
	long err;

	if ((mode & ~(R_OK | W_OK | X_OK)) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	/* Mostly the ids are the same anyway. */
	if (!(flags & AT_EACCESS) &&
	    (cur->fsuid != cur->uid || cur->fsgid != cur->gid ||
	     cur->cap_effective != (cur->uid == 0 ? cur->cap_permitted : 0))) {
		cred = access_cred();
		if (!cred)
			return -ENOMEM;
		old = cred_override(cred);
	}
	err = path_lookup_user(dfd, name, lookup_of((u32)flags), &path);
	if (!err) {
		err = mode == F_OK ? 0 : check_access(&path, mode);
		path_put(&path);
	}
	if (cred) {
		cred_revert(old);
		cred_put(cred);
	}
	return err;
}

long sys_faccessat(int dfd, uptr_t path, int mode)
{
	return sys_faccessat2(dfd, path, mode, 0);
}

long sys_access(uptr_t path, int mode)
{
	return sys_faccessat2(AT_FDCWD, path, mode, 0);
}

/* ---- chmod ---- */

static long chmod_path(const struct path *path, u32 mode)
{
	struct attr_change attr = { .valid = ATTR_MODE | ATTR_CTIME };

	/* A symlink has no mode to change. */
	if (S_ISLNK(path->dentry->inode->mode))
		return -EOPNOTSUPP;
	attr.mode = mode & 07777;
	return vfs_setattr(path, &attr);
}

long sys_fchmodat(int dfd, uptr_t name, u32 mode)
{
	struct path path;
	long err = path_lookup_user(dfd, name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	err = chmod_path(&path, mode);
	path_put(&path);
	return err;
}

long sys_chmod(uptr_t path, u32 mode)
{
	return sys_fchmodat(AT_FDCWD, path, mode);
}

long sys_fchmod(int fd, u32 mode)
{
	struct fdref f = fd_get(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = chmod_path(&f.file->path, mode);
	fd_put(f);
	return err;
}

/* ---- chown ---- */

static long chown_path(const struct path *path, u32 uid, u32 gid)
{
	struct attr_change attr = { .valid = ATTR_CTIME };

	if (uid != UINT32_MAX) {
		attr.valid |= ATTR_UID;
		attr.uid = uid;
	}
	if (gid != UINT32_MAX) {
		attr.valid |= ATTR_GID;
		attr.gid = gid;
	}
	/* chown(2): executables lose their special bits, whoever calls. */
	if (!S_ISDIR(path->dentry->inode->mode))
		attr.valid |= ATTR_KILL_SUID | ATTR_KILL_SGID;
	return vfs_setattr(path, &attr);
}

long sys_fchownat(int dfd, uptr_t name, u32 uid, u32 gid, int flags)
{
	struct path path;
	long err;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = path_lookup_user(dfd, name, lookup_of((u32)flags), &path);
	if (err)
		return err;
	err = chown_path(&path, uid, gid);
	path_put(&path);
	return err;
}

long sys_chown(uptr_t path, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(uptr_t path, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, u32 uid, u32 gid)
{
	struct fdref f = fd_get(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = chown_path(&f.file->path, uid, gid);
	fd_put(f);
	return err;
}

/* ---- times ---- */

/* times NULL: both now. */
static void times_to_change(const struct timespec *times, struct attr_change *attr)
{
	*attr = (struct attr_change){ .valid = ATTR_ATIME | ATTR_MTIME | ATTR_CTIME };
	if (!times || (times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW)) {
		attr->valid |= ATTR_TOUCH;
		return;
	}
	attr->valid |= ATTR_TIMES_OWNER;
	if (times[0].tv_nsec == UTIME_OMIT) {
		attr->valid &= ~ATTR_ATIME;
	} else if (times[0].tv_nsec != UTIME_NOW) {
		attr->valid |= ATTR_ATIME_SET;
		attr->atime = (struct fstime){ times[0].tv_sec, (u32)times[0].tv_nsec };
	}
	if (times[1].tv_nsec == UTIME_OMIT) {
		attr->valid &= ~ATTR_MTIME;
	} else if (times[1].tv_nsec != UTIME_NOW) {
		attr->valid |= ATTR_MTIME_SET;
		attr->mtime = (struct fstime){ times[1].tv_sec, (u32)times[1].tv_nsec };
	}
}

static bool nsec_valid(s64 nsec)
{
	return nsec == UTIME_NOW || nsec == UTIME_OMIT || (nsec >= 0 && nsec < NSEC_PER_SEC);
}

static long set_times_fd(int fd, const struct timespec *times)
{
	struct attr_change attr;
	struct fdref f = fd_get(fd);
	long err;

	if (!f.file)
		return -EBADF;
	times_to_change(times, &attr);
	err = vfs_setattr(&f.file->path, &attr);
	fd_put(f);
	return err;
}

static long set_times(int dfd, uptr_t name, const struct timespec *times, u32 flags)
{
	struct attr_change attr;
	struct path path;
	long err;

	if (times && !(nsec_valid(times[0].tv_nsec) && nsec_valid(times[1].tv_nsec)))
		return -EINVAL;
	if (uptr_is_null(name) && dfd != AT_FDCWD)
		return flags ? -EINVAL : set_times_fd(dfd, times);
	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = path_lookup_user(dfd, name, lookup_of(flags), &path);
	if (err)
		return err;
	times_to_change(times, &attr);
	err = vfs_setattr(&path, &attr);
	path_put(&path);
	return err;
}

long sys_utimensat(int dfd, uptr_t path, uptr_t user, int flags)
{
	struct timespec times[2];

	if (uptr_is_null(user))
		return set_times(dfd, path, NULL, (u32)flags);
	if (copy_from_user(times, user, sizeof(times)))
		return -EFAULT;
	if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	return set_times(dfd, path, times, (u32)flags);
}

long sys_futimesat(int dfd, uptr_t path, uptr_t user)
{
	struct timeval tv[2];
	struct timespec times[2];

	if (uptr_is_null(user))
		return set_times(dfd, path, NULL, 0);
	if (copy_from_user(tv, user, sizeof(tv)))
		return -EFAULT;
	for (u32 i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= USEC_PER_SEC)
			return -EINVAL;
		times[i] = (struct timespec){ tv[i].tv_sec, tv[i].tv_usec * NSEC_PER_USEC };
	}
	return set_times(dfd, path, times, 0);
}

long sys_utimes(uptr_t path, uptr_t times)
{
	return sys_futimesat(AT_FDCWD, path, times);
}

long sys_utime(uptr_t path, uptr_t user)
{
	struct utimbuf ut;
	struct timespec times[2] = { { 0 } };

	if (uptr_is_null(user))
		return set_times(AT_FDCWD, path, NULL, 0);
	if (copy_from_user(&ut, user, sizeof(ut)))
		return -EFAULT;
	times[0].tv_sec = ut.actime;
	times[1].tv_sec = ut.modtime;
	return set_times(AT_FDCWD, path, times, 0);
}

/* ---- truncate ---- */

static long truncate_path(const struct path *path, u64 length)
{
	struct inode *inode = path->dentry->inode;
	long err;

	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -EINVAL;
	err = mount_get_write(path->mnt);
	if (err)
		return err;
	err = inode_permission(inode, MAY_WRITE);
	if (!err)
		err = inode_get_write(inode);
	if (!err) {
		err = vfs_truncate(path, length, NULL);
		inode_put_write(inode);
	}
	mount_put_write(path->mnt);
	return err;
}

long sys_truncate(uptr_t name, loff_t length)
{
	struct path path;
	long err;

	if (length < 0)
		return -EINVAL;
	err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	err = truncate_path(&path, (u64)length);
	path_put(&path);
	return err;
}

long sys_ftruncate(int fd, loff_t length)
{
	struct fdref f;
	long err;

	if (length < 0)
		return -EINVAL;
	f = fd_get(fd);
	if (!f.file)
		return -EBADF;
	if (!S_ISREG(f.file->inode->mode) || !(f.file->mode & FMODE_WRITE))
		err = -EINVAL;
	else
		err = vfs_truncate(&f.file->path, (u64)length, f.file);
	fd_put(f);
	return err;
}
