/* SPDX-License-Identifier: MIT */
/* Descriptors: open, close, dup, fcntl, ioctl, flock, memfd_create. */
#include <gen/syscall_protos.h>

#include <abi/linux/capability.h>
#include <abi/linux/fcntl.h>
#include <abi/linux/ioctl.h>
#include <abi/linux/mman.h>
#include <kernel/fs/memfd.h>
#include <kernel/signal/signal.h>
#include <kernel/core/rcu.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/locks.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>

/* ---- opening ---- */

static long open_at(int dfd, uptr_t path, u32 flags, u32 mode, u32 lookup)
{
	struct pathname pn;
	struct file *file;
	long err = pathname_from_user(&pn, path, 0);
	int fd;

	if (err)
		return err;
	/* Before anything is made or cut to nothing: without a descriptor nothing of that shall happen. */
	fd = fd_reserve(0, flags);
	file = likely(fd >= 0) ? vfs_open_at(dfd, &pn, flags, mode, lookup) : ERR_PTR(fd);
	pathname_release(&pn);
	if (likely(!IS_ERR(file)))
		fd_install(fd, file);
	else if (fd >= 0)
		fd_unreserve(fd);
	return IS_ERR(file) ? PTR_ERR(file) : fd;
}

long sys_open(uptr_t path, int flags, u32 mode)
{
	return open_at(AT_FDCWD, path, (u32)flags | O_LARGEFILE, mode, 0);
}

long sys_openat(int dfd, uptr_t path, int flags, u32 mode)
{
	return open_at(dfd, path, (u32)flags | O_LARGEFILE, mode, 0);
}

long sys_creat(uptr_t path, u32 mode)
{
	return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode, 0);
}

/* openat2(2) refuses what open(2) ignores. */
static int check_how(const struct open_how *how)
{
	const u64 known = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |
			  O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
			  O_CLOEXEC | O_PATH | __O_TMPFILE;
	const u64 resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |
			    RESOLVE_IN_ROOT | RESOLVE_CACHED;

	if ((how->flags & ~known) || (how->resolve & ~resolve))
		return -EINVAL;
	if ((how->resolve & RESOLVE_BENEATH) && (how->resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how->flags & (O_CREAT | __O_TMPFILE)) {
		if (how->mode & ~07777ULL)
			return -EINVAL;
	} else if (how->mode) {
		return -EINVAL;
	}
	if ((how->flags & O_PATH) && (how->flags & ~(u64)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)))
		return -EINVAL;
	/* The walk cannot promise to stay in the cache: "try again without it", openat2(2). */
	if (how->resolve & RESOLVE_CACHED)
		return -EAGAIN;
	return 0;
}

long sys_openat2(int dfd, uptr_t path, uptr_t user_how, size_t size)
{
	static const struct {
		u32 resolve, lookup;
	} map[] = {
		{ RESOLVE_NO_XDEV, LOOKUP_NO_XDEV },	 { RESOLVE_NO_MAGICLINKS, LOOKUP_NO_MAGICLINKS },
		{ RESOLVE_NO_SYMLINKS, LOOKUP_NO_SYMLINKS }, { RESOLVE_BENEATH, LOOKUP_BENEATH },
		{ RESOLVE_IN_ROOT, LOOKUP_IN_ROOT },
	};
	struct open_how how;
	u32 lookup = 0;
	int err;

	if (size < OPEN_HOW_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&how, sizeof(how), user_how, size);
	if (!err)
		err = check_how(&how);
	if (err)
		return err;
	for (u32 i = 0; i < ARRAY_SIZE(map); i++)
		if (how.resolve & map[i].resolve)
			lookup |= map[i].lookup;
	return open_at(dfd, path, (u32)how.flags | (how.flags & O_PATH ? 0 : O_LARGEFILE), (u32)how.mode,
		       lookup);
}

long sys_close(int fd)
{
	long err = fd_close(fd);

	/* close(2) is never restarted: the descriptor is gone. */
	if (unlikely(err == -ERESTARTSYS || err == -ERESTARTNOINTR || err == -ERESTARTNOHAND ||
		     err == -ERESTART_RESTARTBLOCK))
		err = -EINTR;
	return err;
}

long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return fd_close_range(first, last, flags);
}

/* ---- duplicating ---- */

static long dup_from(int fd, u32 min, u32 flags)
{
	struct file *file = files_lookup_get(current_task()->files, (u32)fd);
	int new;

	if (!file)
		return -EBADF;
	new = fd_reserve(min, flags);
	if (new < 0)
		file_put(file);
	else
		fd_install(new, file);
	return new;
}

long sys_dup(int fd)
{
	return dup_from(fd, 0, 0);
}

long sys_dup2(int old, int new)
{
	if (old == new) {
		struct fdref f = fd_get_raw(old);

		fd_put(f);
		return f.file ? old : -EBADF;
	}
	return fd_dup2(old, new, 0);
}

long sys_dup3(int old, int new, int flags)
{
	if ((flags & ~O_CLOEXEC) || old == new)
		return -EINVAL;
	return fd_dup2(old, new, (u32)flags);
}

/* ---- fcntl ---- */

#define SETFL_MASK ((u32)(O_APPEND | O_NONBLOCK | O_DIRECT | FASYNC | O_NOATIME))

static long set_status_flags(struct file *file, u32 arg)
{
	int err;

	if ((arg & O_NOATIME) && !(file->flags & O_NOATIME) && current_fsuid() != file->inode->uid &&
	    !capable(CAP_FOWNER))
		return -EPERM;
	/* Only pipes (as packets) take it: other files here have nothing to be direct to. */
	if ((arg & O_DIRECT) && !(file->flags & O_DIRECT) && !S_ISFIFO(file->inode->mode))
		return -EINVAL;
	if (file->ops->set_flags) {
		err = file->ops->set_flags(file, (file->flags & ~SETFL_MASK) | (arg & SETFL_MASK));
		if (err)
			return err;
	}
	spin_lock(&file->lock);
	file->flags = (file->flags & ~SETFL_MASK) | (arg & SETFL_MASK);
	spin_unlock(&file->lock);
	return 0;
}

/*
 * The descriptor was closed while its lock was being made: the close may have looked for locks too early,
 * and this one would stay for ever. Linux looks again, too.
 */
static long fcntl_lock_recheck(int fd, struct file *file)
{
	struct fdref now = fd_get(fd);
	bool same = now.file == file;

	if (now.file)
		fd_put(now);
	if (same)
		return 0;
	locks_remove_posix(file, current_task()->files);
	return -EBADF;
}

static long fcntl_lock(int fd, struct file *file, u32 cmd, uptr_t user)
{
	struct flock lk;
	long err;

	if (copy_from_user(&lk, user, sizeof(lk)))
		return -EFAULT;
	err = locks_fcntl(file, cmd, &lk);
	if (!err && (cmd == F_SETLK || cmd == F_SETLKW) && lk.l_type != F_UNLCK)
		err = fcntl_lock_recheck(fd, file);
	if (!err && (cmd == F_GETLK || cmd == F_OFD_GETLK) && copy_to_user(user, &lk, sizeof(lk)))
		return -EFAULT;
	return err;
}

static bool pid_exists(int nr)
{
	bool exists;

	rcu_read_lock();
	exists = pid_find_rcu(nr) != NULL;
	rcu_read_unlock();
	return exists;
}

static long set_owner(struct file *file, int type, int pid)
{
	const struct cred *cred = current_cred();

	if (pid && !pid_exists(pid))
		return -ESRCH;
	spin_lock(&file->lock);
	file->owner.type = type;
	file->owner.pid = pid;
	file->owner.uid = cred->uid;
	file->owner.euid = cred->euid;
	spin_unlock(&file->lock);
	return 0;
}

static long owner_number(const struct file *file)
{
	int nr = file->owner.pid;

	if (!nr || !pid_exists(nr))
		return 0;
	return file->owner.type == F_OWNER_PGRP ? -nr : nr;
}

static long owner_ex(struct file *file, u32 cmd, uptr_t user)
{
	struct f_owner_ex ex;

	if (cmd == F_GETOWN_EX) {
		ex = (struct f_owner_ex){ file->owner.type, file->owner.pid };
		return copy_to_user(user, &ex, sizeof(ex));
	}
	if (copy_from_user(&ex, user, sizeof(ex)))
		return -EFAULT;
	if ((u32)ex.type > F_OWNER_PGRP)
		return -EINVAL;
	return set_owner(file, ex.type, ex.pid);
}

/* What works on O_PATH descriptors too. */
static bool is_descriptor_command(u32 cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD || cmd == F_SETFD || cmd == F_GETFL;
}

static long fcntl_file(int fd, struct file *file, u32 cmd, unsigned long arg)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (arg >= rlimit_current(RLIMIT_NOFILE))
			return -EINVAL;
		return dup_from(fd, (u32)arg, cmd == F_DUPFD_CLOEXEC ? O_CLOEXEC : 0);
	case F_GETFD:
		return fd_get_flags(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return READ_ONCE(file->flags);
	case F_SETFL:
		return set_status_flags(file, (u32)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(fd, file, cmd, uptr(arg));
	case F_SETOWN:
		if ((int)arg == INT32_MIN)
			return -EINVAL;
		return (int)arg < 0 ? set_owner(file, F_OWNER_PGRP, -(int)arg) :
				      set_owner(file, F_OWNER_PID, (int)arg);
	case F_GETOWN:
		return owner_number(file);
	case F_SETOWN_EX:
	case F_GETOWN_EX:
		return owner_ex(file, cmd, uptr(arg));
	case F_GETSIG:
		return file->owner.signum;
	case F_SETSIG:
		if (arg > 64)
			return -EINVAL;
		file->owner.signum = (int)arg;
		return 0;
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		if (!S_ISFIFO(file->inode->mode))
			return -EBADF;
		fallthrough;
	default:
		/* The pipe's size, a memfd's seals. */
		return file->ops->fcntl ? file->ops->fcntl(file, cmd, arg) : -EINVAL;
	}
}

long sys_fcntl(int fd, unsigned cmd, unsigned long arg)
{
	struct fdref f = fd_get_raw(fd);
	long ret = -EBADF;

	if (f.file && (!(f.file->mode & FMODE_PATH) || is_descriptor_command(cmd)))
		ret = fcntl_file(fd, f.file, cmd, arg);
	fd_put(f);
	return ret;
}

/* ---- ioctl ---- */

static long set_flag(struct file *file, u32 flag, uptr_t user)
{
	u32 on;

	if (copy_from_user(&on, user, sizeof(on)))
		return -EFAULT;
	spin_lock(&file->lock);
	file->flags = on ? file->flags | flag : file->flags & ~flag;
	spin_unlock(&file->lock);
	return 0;
}

static long bytes_left(struct file *file, uptr_t user)
{
	s64 left = (s64)inode_size(file->inode) - file->pos;
	s32 n = (s32)left;

	return copy_to_user(user, &n, sizeof(n));
}

static long ioctl_file(int fd, struct file *file, u32 cmd, unsigned long arg)
{
	switch (cmd) {
	case FIOCLEX:
		return fd_set_cloexec(fd, true);
	case FIONCLEX:
		return fd_set_cloexec(fd, false);
	case FIONBIO:
		return set_flag(file, O_NONBLOCK, uptr(arg));
	case FIOASYNC:
		return set_flag(file, FASYNC, uptr(arg));
	case FIONREAD:
		if (S_ISREG(file->inode->mode))
			return bytes_left(file, uptr(arg));
		break;
	default:
		break;
	}
	return vfs_ioctl(file, cmd, arg);
}

long sys_ioctl(int fd, unsigned cmd, unsigned long arg)
{
	struct fdref f = fd_get(fd);
	long ret;

	if (!f.file)
		return -EBADF;
	ret = ioctl_file(fd, f.file, cmd, arg);
	fd_put(f);
	return ret;
}

/* LOCK_MAND was for mandatory locks, which are gone: Linux 6.1 takes it for nothing to do. */
long sys_flock(int fd, unsigned op)
{
	unsigned what = op & ~(unsigned)LOCK_NB;
	struct fdref f;
	long ret;

	if (op & LOCK_MAND)
		return 0;
	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
		return -EINVAL;
	f = fd_get(fd);
	if (!f.file)
		return -EBADF;
	ret = locks_flock(f.file, (int)op);
	fd_put(f);
	return ret;
}

/* ---- memfd_create ---- */

#define MEMFD_NAME_MAX 249	/* NAME_MAX less "memfd:" */

long sys_memfd_create(uptr_t user, unsigned flags)
{
	char name[MEMFD_NAME_MAX + 1];
	struct file *file;
	ssize_t n;

	/* Huge pages for files are not there. */
	if (flags & MFD_HUGETLB)
		return -ENOSYS;
	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	n = strncpy_from_user(name, user, sizeof(name));
	if (n < 0)
		return n;
	if (n >= (ssize_t)sizeof(name))
		return -EINVAL;
	file = memfd_create(name, flags & MFD_ALLOW_SEALING);
	if (IS_ERR(file))
		return PTR_ERR(file);
	return fd_install_new(file, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
}
