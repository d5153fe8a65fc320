/* SPDX-License-Identifier: MIT */
/*
 * open(2). Without O_CREAT it is a look-up and a check; with O_CREAT the last component is
 * looked up, and made if it is not there, under the directory's lock, so that O_EXCL
 * has one winner; symlinks met there go on in the same walk.
 */
#include "internal.h"

#include <abi/linux/capability.h>
#include <abi/linux/fcntl.h>
#include <lib/printf.h>

/* What open(2) knows; the rest is ignored, as Linux does. O_CLOEXEC is the descriptor's: a file does not keep it. */
#define OPEN_FLAGS_VALID (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | \
			  O_SYNC | O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | \
			  O_NOFOLLOW | O_NOATIME | O_PATH | __O_TMPFILE)
#define OPEN_FLAGS_PATH (O_DIRECTORY | O_NOFOLLOW | O_PATH)

struct open_request {
	u32 flags;		/* O_* */
	u32 mode;		/* of a new file */
	u32 access;		/* MAY_* */
	u32 lookup;		/* LOOKUP_* */
	bool created;
};

static int decode(struct open_request *rq, u32 flags, u32 mode, u32 lookup)
{
	static const u32 access[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };

	flags &= OPEN_FLAGS_VALID;
	/* The plain way to open what is there. */
	if (likely(!(flags & ~(u32)(O_ACCMODE | O_LARGEFILE | O_NONBLOCK | O_NOCTTY)))) {
		*rq = (struct open_request){
			.flags = flags, .access = access[flags & O_ACCMODE], .lookup = lookup | LOOKUP_FOLLOW,
		};
		return 0;
	}
	if (flags & __O_TMPFILE) {
		if ((flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE || (flags & O_ACCMODE) == O_RDONLY)
			return -EINVAL;
	}
	if (flags & O_PATH)
		flags &= OPEN_FLAGS_PATH;
	if (flags & __O_SYNC)
		flags |= O_DSYNC;
	rq->flags = flags;
	rq->mode = flags & (O_CREAT | __O_TMPFILE) ? S_IFREG | (mode & 07777) : 0;
	rq->access = flags & O_PATH ? 0 : access[flags & O_ACCMODE];
	if (flags & O_TRUNC)
		rq->access |= MAY_WRITE;
	if (flags & O_APPEND)
		rq->access |= MAY_APPEND;
	rq->lookup = lookup;
	if (flags & O_DIRECTORY)
		rq->lookup |= LOOKUP_DIRECTORY;
	/* open(2): O_CREAT | O_EXCL does not follow a symlink. */
	if (!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
		rq->lookup |= LOOKUP_FOLLOW;
	rq->created = false;
	return 0;
}

/* ---- may it be opened so? ---- */

static int check_type(const struct path *path, const struct inode *inode, struct open_request *rq)
{
	switch (inode->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (rq->access & MAY_WRITE)
			return -EISDIR;
		return rq->access & MAY_EXEC ? -EACCES : 0;
	case S_IFBLK:
	case S_IFCHR:
		if ((path->mnt->flags & MOUNT_NODEV) || (inode->sb->flags & SB_NODEV_TREE))
			return -EACCES;
		fallthrough;
	case S_IFIFO:
	case S_IFSOCK:
		if (rq->access & MAY_EXEC)
			return -EACCES;
		rq->flags &= ~(u32)O_TRUNC;
		return 0;
	default:
		if ((rq->access & MAY_EXEC) &&
		    ((path->mnt->flags & MOUNT_NOEXEC) || (inode->sb->flags & SB_NOEXEC_TREE)))
			return -EACCES;
		return 0;
	}
}

static int may_open(const struct path *path, struct open_request *rq)
{
	struct inode *inode = path->dentry->inode;
	int err = check_type(path, inode, rq);

	if (err)
		return err;
	err = inode_permission(inode, MAY_OPEN | (rq->created ? 0 : rq->access));
	if (err)
		return err;
	if ((rq->flags & O_NOATIME) && !inode_owner_or_capable(inode))
		return -EPERM;
	return 0;
}

static int truncate_opened(struct file *file)
{
	int err = inode_get_write(file->inode);

	if (err)
		return err;
	err = vfs_truncate(&file->path, 0, file);
	inode_put_write(file->inode);
	return err;
}

/* Consumes the path's references in any case. */
static struct file *open_place(const struct path *path, struct open_request *rq)
{
	struct file *file;
	bool truncate;
	int err;

	if (rq->flags & O_CREAT) {
		err = -EEXIST;
		if ((rq->flags & O_EXCL) && !rq->created)
			goto put_path;
		err = -EISDIR;
		if (dentry_is_dir(path->dentry))
			goto put_path;
	}
	err = -ENOTDIR;
	if ((rq->lookup & LOOKUP_DIRECTORY) && !dentry_is_dir(path->dentry))
		goto put_path;
	err = rq->flags & O_PATH ? 0 : may_open(path, rq);
	if (err)
		goto put_path;
	truncate = (rq->flags & O_TRUNC) && !rq->created && S_ISREG(path->dentry->inode->mode);
	if (truncate) {
		err = mount_get_write(path->mnt);
		if (err)
			goto put_path;
	}
	file = file_alloc(rq->flags);
	err = (int)PTR_ERR_OR_ZERO(file);
	if (!err)
		err = file_open_finish(file, path, rq->flags);
	if (!err && truncate) {
		err = truncate_opened(file);
		mount_put_write(path->mnt);
		if (err)
			file_put(file);
		return err ? ERR_PTR(err) : file;
	}
	if (truncate)
		mount_put_write(path->mnt);
	if (!err)
		return file;
put_path:
	path_put(path);
	return ERR_PTR(err);
}

/* ---- O_CREAT ---- */

static int create_locked(struct walk *w, struct dentry *d, struct open_request *rq, int rofs)
{
	struct inode *dir = w->inode;
	int err;

	if (dentry_is_positive(d))
		return 0;
	if (rofs)
		return rofs;
	err = may_create(dir, d);
	if (err)
		return err;
	if (!dir->ops->create)
		return -EACCES;
	err = dir->ops->create(dir, d, rq->mode & ~current_umask());
	if (!err)
		rq->created = true;
	return err;
}

/* The last component as a positive dentry with a reference, made if need be. */
static struct dentry *lookup_or_create(struct walk *w, struct open_request *rq)
{
	struct dentry *parent = w->path.dentry, *d;
	int err, rofs;

	d = dentry_find(parent, &w->last);
	if (d && !(d->flags & DENTRY_REVALIDATE) && dentry_is_positive(d))
		return d;
	dentry_put(d);
	rofs = mount_get_write(w->path.mnt);
	rwsem_write_lock(&w->inode->lock);
	d = dentry_lookup_locked(parent, &w->last);
	err = IS_ERR(d) ? (int)PTR_ERR(d) : create_locked(w, d, rq, rofs);
	rwsem_write_unlock(&w->inode->lock);
	if (!rofs)
		mount_put_write(w->path.mnt);
	if (err && !IS_ERR(d))
		dentry_put(d);
	return err ? ERR_PTR(err) : d;
}

/*
 * One look at the last component. 0: w->path is the file; 1: a symlink was met,
 * its last component is next; or -errno.
 */
static int create_step(struct walk *w, struct open_request *rq)
{
	struct path p;
	int err;

	/* ".", "..", "/": directories, which open_place refuses. */
	if (w->last_type != LAST_NORM)
		return walk_last(w);
	if (w->trailing)
		return -EISDIR;
	p.mnt = w->path.mnt;
	p.dentry = lookup_or_create(w, rq);
	if (IS_ERR(p.dentry))
		return (int)PTR_ERR(p.dentry);
	if (dentry_is_symlink(p.dentry) && (w->flags & LOOKUP_FOLLOW)) {
		err = walk_follow(w, p.dentry, p.dentry->inode);
		dentry_put(p.dentry);
		if (err != 1)
			return err;
		err = walk_link_parent(w);
		return err ? err : 1;
	}
	err = walk_cross_mounts(&p, w->flags, w->path.mnt);
	dentry_put(w->path.dentry);
	if (p.mnt != w->path.mnt)
		mount_put(w->path.mnt);
	w->path = p;
	w->inode = p.dentry->inode;
	return err;
}

static int create_walk(struct walk *w, int dfd, const char *name, struct open_request *rq, bool rcu)
{
	int err;

	if (rcu)
		rcu_read_lock();
	err = walk_start(w, dfd, name, rq->lookup, rcu);
	if (!err)
		err = walk_parent(w, name);
	if (!err && w->rcu)
		err = walk_unlazy(w);
	if (err)
		return err;
	do {
		err = create_step(w, rq);
	} while (err == 1);
	return err;
}

static struct file *open_create(int dfd, const struct pathname *pn, struct open_request *rq)
{
	struct walk w;
	int err = create_walk(&w, dfd, pn->str, rq, true);

	walk_end(&w, !err);
	if (err == -ECHILD) {
		err = create_walk(&w, dfd, pn->str, rq, false);
		walk_end(&w, !err);
	}
	return err ? ERR_PTR(err) : open_place(&w.path, rq);
}

/* ---- O_TMPFILE ---- */

static struct file *open_tmpfile(int dfd, const struct pathname *pn, struct open_request *rq)
{
	struct path dir, p;
	struct dentry *d;
	struct inode *inode;
	struct file *file;
	static const struct qname name = { "#", 1, 0 };
	int err = path_lookup(dfd, pn, rq->lookup | LOOKUP_DIRECTORY, &dir);

	if (err)
		return ERR_PTR(err);
	inode = dir.dentry->inode;
	err = mount_get_write(dir.mnt);
	if (err)
		goto put_dir;
	err = inode_permission(inode, MAY_WRITE | MAY_EXEC);
	if (!err && !inode->ops->tmpfile)
		err = -EOPNOTSUPP;
	if (err)
		goto put_write;
	d = dentry_alloc(dir.dentry, &name);
	err = d ? inode->ops->tmpfile(inode, d, rq->mode & ~current_umask()) : -ENOMEM;
	if (err) {
		dentry_put(d);
		goto put_write;
	}
	/* Nobody can find it, but /proc/PID/fd shows it. */
	d->name.len = (u32)snprintf(d->inline_name, sizeof(d->inline_name), "#%llu", (unsigned long long)d->inode->ino);
	if (!(rq->flags & O_EXCL))
		d->inode->flags |= INODE_LINKABLE;
	mount_put_write(dir.mnt);
	p = (struct path){ dir.mnt, d };
	dentry_put(dir.dentry);
	rq->created = true;
	rq->lookup &= ~LOOKUP_DIRECTORY;
	rq->flags &= ~(u32)(O_EXCL);
	file = open_place(&p, rq);
	return file;
put_write:
	mount_put_write(dir.mnt);
put_dir:
	path_put(&dir);
	return ERR_PTR(err);
}

/* ---- entry points ---- */

static struct file *open_plain(int dfd, const struct pathname *pn, struct open_request *rq)
{
	struct path path;
	int err = path_lookup(dfd, pn, rq->lookup, &path);

	return err ? ERR_PTR(err) : open_place(&path, rq);
}

struct file *vfs_open_at(int dfd, const struct pathname *pn, u32 flags, u32 mode, u32 lookup)
{
	struct open_request rq;
	int err = decode(&rq, flags, mode, lookup);

	if (err)
		return ERR_PTR(err);
	if (rq.flags & __O_TMPFILE)
		return open_tmpfile(dfd, pn, &rq);
	return rq.flags & O_CREAT ? open_create(dfd, pn, &rq) : open_plain(dfd, pn, &rq);
}

struct file *file_open_path(const struct path *path, u32 flags)
{
	struct open_request rq;
	int err = decode(&rq, flags & ~(u32)(O_CREAT | __O_TMPFILE), 0, 0);

	if (err)
		return ERR_PTR(err);
	path_get(path);
	return open_place(path, &rq);
}

struct file *kernel_file_open(const char *name, u32 flags, u32 mode)
{
	struct pathname pn;
	struct file *file;
	int err = pathname_from_kernel(&pn, name);

	if (err)
		return ERR_PTR(err);
	file = vfs_open_at(AT_FDCWD, &pn, flags | O_LARGEFILE, mode, 0);
	pathname_release(&pn);
	return file;
}

struct file *kernel_file_open_exec(int dfd, const struct pathname *pn, u32 at_flags)
{
	struct open_request rq;
	struct file *file;
	struct path path;
	int err;

	if (at_flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return ERR_PTR(-EINVAL);
	err = decode(&rq, O_RDONLY | O_LARGEFILE | (at_flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0), 0,
		     at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	if (err)
		return ERR_PTR(err);
	rq.access = MAY_EXEC;
	err = path_lookup(dfd, pn, rq.lookup, &path);
	if (err)
		return ERR_PTR(err);
	file = open_place(&path, &rq);
	if (IS_ERR(file))
		return file;
	/* Only regular files, and not on a mount that says noexec. */
	err = -EACCES;
	if (!S_ISREG(file->inode->mode) || (file->path.mnt->flags & MOUNT_NOEXEC) ||
	    (file->inode->sb->flags & SB_NOEXEC_TREE))
		goto put;
	err = inode_deny_write(file->inode);
	if (err)
		goto put;
	file->mode |= FMODE_EXEC;
	return file;
put:
	file_put(file);
	return ERR_PTR(err);
}
