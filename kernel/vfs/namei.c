/* SPDX-License-Identifier: MIT */
/*
 * Changes of names: mkdir, mknod, symlink, link, unlink, rmdir, rename. Each looks up the
 * parent, takes write access to the mount, locks the directory, looks up the last
 * component under that lock, checks, and lets the file system do it.
 *
 * rename: between two directories rename_mutex keeps the tree's shape, so that "is an
 * ancestor of" can be answered; directories are locked ancestor first.
 */
#include "internal.h"

#include <abi/linux/capability.h>
#include <abi/linux/fcntl.h>

/* ---- entering names ---- */

struct dentry *path_create_start(int dfd, const struct pathname *pn, u32 flags, struct path *dir)
{
	struct path_parent parent;
	struct dentry *d;
	int err, rofs;

	err = path_lookup_parent(dfd, pn, flags & ~(u32)LOOKUP_DIRECTORY, &parent);
	if (err)
		return ERR_PTR(err);
	*dir = parent.path;
	if (parent.type != LAST_NORM) {
		err = -EEXIST;
		goto put_dir;
	}
	rofs = mount_get_write(dir->mnt);
	rwsem_write_lock(&dir->dentry->inode->lock);
	d = dentry_lookup_locked(dir->dentry, &parent.last);
	err = IS_ERR(d) ? (int)PTR_ERR(d) : 0;
	if (!err && dentry_is_positive(d))
		err = -EEXIST;
	else if (!err && parent.trailing_slash && !(flags & LOOKUP_DIRECTORY))
		err = -ENOENT;
	else if (!err)
		err = rofs;
	if (!err)
		return d;
	rwsem_write_unlock(&dir->dentry->inode->lock);
	if (!IS_ERR(d))
		dentry_put(d);
	if (!rofs)
		mount_put_write(dir->mnt);
put_dir:
	path_put(dir);
	return ERR_PTR(err);
}

void path_create_end(struct path *dir, struct dentry *d)
{
	rwsem_write_unlock(&dir->dentry->inode->lock);
	dentry_put(d);
	mount_put_write(dir->mnt);
	path_put(dir);
}

int vfs_mkdir_at(int dfd, const struct pathname *pn, u32 mode)
{
	struct path dir;
	struct dentry *d = path_create_start(dfd, pn, LOOKUP_DIRECTORY, &dir);
	struct inode *inode;
	int err;

	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	inode = dir.dentry->inode;
	err = may_create(inode, d);
	if (!err)
		err = inode->ops->mkdir ?
			inode->ops->mkdir(inode, d, S_IFDIR | (mode & (0777 | S_ISVTX) & ~current_umask())) :
			-EPERM;
	path_create_end(&dir, d);
	return err;
}

static int mknod_allowed(u32 mode)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static int mknod_in(struct inode *dir, struct dentry *d, u32 mode, devnum_t dev)
{
	u32 type = mode & S_IFMT;
	int err = may_create(dir, d);

	if (err)
		return err;
	if (type == 0 || type == S_IFREG)
		return dir->ops->create ? dir->ops->create(dir, d, S_IFREG | (mode & 07777)) : -EACCES;
	if ((type == S_IFCHR || type == S_IFBLK) && !capable(CAP_MKNOD))
		return -EPERM;
	return dir->ops->mknod ? dir->ops->mknod(dir, d, mode, dev) : -EPERM;
}

int vfs_mknod_at(int dfd, const struct pathname *pn, u32 mode, devnum_t dev)
{
	struct path dir;
	struct dentry *d;
	int err = mknod_allowed(mode);

	if (err)
		return err;
	d = path_create_start(dfd, pn, 0, &dir);
	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	mode = (mode & S_IFMT) | (mode & 07777 & ~current_umask());
	err = mknod_in(dir.dentry->inode, d, mode, dev);
	path_create_end(&dir, d);
	return err;
}

int vfs_symlink_at(const char *target, int dfd, const struct pathname *pn)
{
	struct path dir;
	struct dentry *d = path_create_start(dfd, pn, 0, &dir);
	struct inode *inode;
	int err;

	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	inode = dir.dentry->inode;
	err = may_create(inode, d);
	if (!err)
		err = inode->ops->symlink ? inode->ops->symlink(inode, d, target, strlen(target)) : -EPERM;
	path_create_end(&dir, d);
	return err;
}

static int link_in(struct dentry *old, struct inode *dir, struct dentry *d)
{
	struct inode *inode = old->inode;
	int err = may_create(dir, d);

	if (err)
		return err;
	if (dir->sb != inode->sb)
		return -EXDEV;
	if (!dir->ops->link || S_ISDIR(inode->mode))
		return -EPERM;
	rwsem_write_lock(&inode->lock);
	if (inode->nlink == 0 && !(inode->flags & INODE_LINKABLE))
		err = -ENOENT;
	else
		err = dir->ops->link(old, dir, d);
	if (!err)
		inode->flags &= ~INODE_LINKABLE;
	rwsem_write_unlock(&inode->lock);
	return err;
}

int vfs_link_at(int olddfd, const struct pathname *oldpn, int newdfd, const struct pathname *pn,
		u32 at_flags)
{
	u32 flags = at_flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0;
	struct path old, dir;
	struct dentry *d;
	int err;

	if (at_flags & AT_EMPTY_PATH) {
		if (!oldpn->len && !capable(CAP_DAC_READ_SEARCH))
			return -ENOENT;
		flags |= LOOKUP_EMPTY;
	}
	err = path_lookup(olddfd, oldpn, flags, &old);
	if (err)
		return err;
	d = path_create_start(newdfd, pn, 0, &dir);
	if (IS_ERR(d)) {
		path_put(&old);
		return (int)PTR_ERR(d);
	}
	err = old.mnt == dir.mnt ? link_in(old.dentry, dir.dentry->inode, d) : -EXDEV;
	path_create_end(&dir, d);
	path_put(&old);
	return err;
}

/* ---- removing names ---- */

/*
 * Finds what shall go: parent locked, victim positive, mount writable. Undo with path_create_end. no_name: what to say of a
 * last component that is none.
 */
static struct dentry *remove_start(int dfd, const struct pathname *pn, const int *no_name, struct path_parent *parent)
{
	struct path *dir = &parent->path;
	struct dentry *d;
	int err = path_lookup_parent(dfd, pn, 0, parent);

	if (err)
		return ERR_PTR(err);
	err = parent->type == LAST_NORM ? mount_get_write(dir->mnt) : no_name[parent->type];
	if (err)
		goto put_dir;
	rwsem_write_lock(&dir->dentry->inode->lock);
	d = dentry_lookup_locked(dir->dentry, &parent->last);
	if (!IS_ERR(d) && dentry_is_positive(d))
		return d;
	rwsem_write_unlock(&dir->dentry->inode->lock);
	mount_put_write(dir->mnt);
	err = IS_ERR(d) ? (int)PTR_ERR(d) : -ENOENT;
	if (!IS_ERR(d))
		dentry_put(d);
put_dir:
	path_put(dir);
	return ERR_PTR(err);
}

static bool is_busy(const struct dentry *d)
{
	return READ_ONCE(d->flags) & DENTRY_MOUNTED;
}

static int remove_in(struct inode *dir, struct dentry *d, bool is_dir)
{
	int (*op)(struct inode *dir, struct dentry *d) = is_dir ? dir->ops->rmdir : dir->ops->unlink;
	struct inode *inode = d->inode;
	int err = may_delete(dir, d, is_dir);

	if (err)
		return err;
	if (!op)
		return -EPERM;
	if (is_dir)
		rwsem_write_lock_nested(&inode->lock);
	else
		rwsem_write_lock(&inode->lock);
	err = is_busy(d) ? -EBUSY : op(dir, d);
	if (!err && is_dir)
		inode->flags |= INODE_DEAD;
	rwsem_write_unlock(&inode->lock);
	if (!err)
		dentry_delete(d);
	return err;
}

int vfs_unlink_at(int dfd, const struct pathname *pn)
{
	static const int no_name[] = { [LAST_DOT] = -EISDIR, [LAST_DOTDOT] = -EISDIR, [LAST_ROOT] = -EISDIR };
	struct path_parent parent;
	struct dentry *d = remove_start(dfd, pn, no_name, &parent);
	int err;

	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	if (parent.trailing_slash)
		err = dentry_is_dir(d) ? -EISDIR : -ENOTDIR;
	else
		err = remove_in(parent.path.dentry->inode, d, false);
	path_create_end(&parent.path, d);
	return err;
}

int vfs_rmdir_at(int dfd, const struct pathname *pn)
{
	static const int no_name[] = { [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY, [LAST_ROOT] = -EBUSY };
	struct path_parent parent;
	struct dentry *d = remove_start(dfd, pn, no_name, &parent);
	int err;

	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	err = remove_in(parent.path.dentry->inode, d, true);
	path_create_end(&parent.path, d);
	return err;
}

/* ---- rename ---- */

/*
 * Locks both directories. Returns the child of one of them that leads to the other, if one is
 * above the other: moving that one below itself, or over it, cannot work.
 */
static struct dentry *lock_directories(struct dentry *a, struct dentry *b)
{
	struct dentry *top, *below, *p;

	if (a == b) {
		rwsem_write_lock(&a->inode->lock);
		return NULL;
	}
	mutex_lock(&rename_mutex);
	top = dentry_is_ancestor(b, a) ? b : a;
	below = top == a ? b : a;
	rwsem_write_lock(&top->inode->lock);
	rwsem_write_lock_nested(&below->inode->lock);
	if (!dentry_is_ancestor(top, below))
		return NULL;
	for (p = below; p->parent != top; p = p->parent)
		;
	return p;
}

static void unlock_directories(struct dentry *a, struct dentry *b)
{
	rwsem_write_unlock(&a->inode->lock);
	if (a != b) {
		rwsem_write_unlock(&b->inode->lock);
		mutex_unlock(&rename_mutex);
	}
}

static int rename_allowed(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			  struct dentry *new, u32 flags)
{
	bool is_dir = dentry_is_dir(old), exchange = flags & RENAME_EXCHANGE;
	int err = may_delete(old_dir, old, is_dir);

	if (err)
		return err;
	if (dentry_is_negative(new))
		err = may_create(new_dir, new);
	else
		err = may_delete(new_dir, new, exchange ? dentry_is_dir(new) : is_dir);
	if (err)
		return err;
	if (!old_dir->ops->rename)
		return -EPERM;
	/* A directory that changes its parent has its ".." written. */
	if (old_dir == new_dir)
		return 0;
	if (is_dir)
		err = inode_permission(old->inode, MAY_WRITE);
	if (!err && exchange && dentry_is_dir(new))
		err = inode_permission(new->inode, MAY_WRITE);
	return err;
}

/* Victim directories first, then other inodes by address: the order of ranks. */
static void lock_victims(struct inode *a, struct inode *b)
{
	bool a_dir = S_ISDIR(a->mode), b_dir = b && S_ISDIR(b->mode);

	if (b_dir)
		rwsem_write_lock_nested(&b->lock);
	inode_lock_two(a_dir ? NULL : a, b_dir ? NULL : b);
}

static void unlock_victims(struct inode *a, struct inode *b)
{
	if (!S_ISDIR(a->mode))
		rwsem_write_unlock(&a->lock);
	if (b)
		rwsem_write_unlock(&b->lock);
}

static int rename_in(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
		     struct dentry *new, u32 flags)
{
	struct inode *source = old->inode, *target = new->inode;
	bool exchange = flags & RENAME_EXCHANGE;
	int err;

	/* rename(2): two names of one file stay. */
	if (source == target)
		return 0;
	err = rename_allowed(old_dir, old, new_dir, new, flags);
	if (err)
		return err;
	lock_victims(source, target);
	if (is_busy(old) || is_busy(new))
		err = -EBUSY;
	else
		err = old_dir->ops->rename(old_dir, old, new_dir, new, flags);
	if (!err && target && !exchange && S_ISDIR(target->mode))
		target->flags |= INODE_DEAD;
	unlock_victims(source, target);
	if (err)
		return err;
	if (target && !exchange)
		dentry_delete(new);
	dentry_move(old, new, exchange);
	return 0;
}

/* Both names looked up below locked directories: checks that need names, then the rename. */
static int rename_locked(struct path_parent *from, struct path_parent *to, struct dentry *trap,
			 u32 flags)
{
	struct dentry *old, *new;
	bool exchange = flags & RENAME_EXCHANGE;
	int err;

	old = dentry_lookup_locked(from->path.dentry, &from->last);
	if (IS_ERR(old))
		return (int)PTR_ERR(old);
	err = -ENOENT;
	if (dentry_is_negative(old))
		goto put_old;
	new = dentry_lookup_locked(to->path.dentry, &to->last);
	err = (int)PTR_ERR_OR_ZERO(new);
	if (err)
		goto put_old;
	err = -EEXIST;
	if ((flags & RENAME_NOREPLACE) && dentry_is_positive(new))
		goto put_new;
	err = -ENOENT;
	if (exchange && dentry_is_negative(new))
		goto put_new;
	err = -ENOTDIR;
	if (exchange && !dentry_is_dir(new) && to->trailing_slash)
		goto put_new;
	if (!dentry_is_dir(old) && (from->trailing_slash || (!exchange && to->trailing_slash)))
		goto put_new;
	err = -EINVAL;
	if (old == trap)
		goto put_new;
	err = exchange ? -EINVAL : -ENOTEMPTY;
	if (new == trap)
		goto put_new;
	err = rename_in(from->path.dentry->inode, old, to->path.dentry->inode, new, flags);
put_new:
	dentry_put(new);
put_old:
	dentry_put(old);
	return err;
}

int vfs_rename_at(int olddfd, const struct pathname *oldpn, int newdfd, const struct pathname *pn,
		  u32 flags)
{
	struct path_parent from, to;
	struct dentry *trap;
	int err;

	if ((flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
	    ((flags & RENAME_NOREPLACE) && (flags & RENAME_EXCHANGE)))
		return -EINVAL;
	err = path_lookup_parent(olddfd, oldpn, 0, &from);
	if (err)
		return err;
	err = path_lookup_parent(newdfd, pn, 0, &to);
	if (err)
		goto put_from;
	err = -EXDEV;
	if (from.path.mnt != to.path.mnt)
		goto put_to;
	err = -EBUSY;
	if (from.type != LAST_NORM)
		goto put_to;
	if (flags & RENAME_NOREPLACE)
		err = -EEXIST;
	if (to.type != LAST_NORM)
		goto put_to;
	err = mount_get_write(from.path.mnt);
	if (err)
		goto put_to;
	trap = lock_directories(from.path.dentry, to.path.dentry);
	err = rename_locked(&from, &to, trap, flags);
	unlock_directories(from.path.dentry, to.path.dentry);
	mount_put_write(from.path.mnt);
put_to:
	path_put(&to.path);
put_from:
	path_put(&from.path);
	return err;
}

ssize_t vfs_readlink(const struct path *path, char *buf, size_t size)
{
	struct inode *inode = path->dentry->inode;
	struct path jump = { NULL, NULL };
	void *heap = NULL;
	const char *text;
	size_t n;

	if (!S_ISLNK(inode->mode) || !inode->ops->get_link)
		return -EINVAL;
	inode_touch_atime(inode, path->mnt);
	if (inode->ops->readlink)
		return inode->ops->readlink(path->dentry, buf, size);
	text = inode->ops->get_link(path->dentry, inode, true, &heap, &jump);
	if (IS_ERR(text))
		return PTR_ERR(text);
	if (!text) {
		path_put(&jump);
		return -EINVAL;
	}
	n = MIN(strlen(text), size);
	memcpy(buf, text, n);
	kfree(heap);
	return (ssize_t)n;
}
