/* SPDX-License-Identifier: MIT */
/* Attributes: reading them (stat), and changing them by the rules of inode(7), chown(2), chmod(2), utimensat(2). */
#include "internal.h"

#include <abi/linux/capability.h>
#include <kernel/vm/object.h>

static noinline void getattr_extended(const struct path *path, const struct inode *inode, struct kstat *st)
{
	st->btime = inode->btime;
	st->has_btime = inode->sb->magic == TMPFS_MAGIC;
	st->attributes = 0;
	st->attributes_mask = STATX_ATTR_AUTOMOUNT | STATX_ATTR_DAX | STATX_ATTR_MOUNT_ROOT;
	if (path->mnt && path->mnt->root == path->dentry)
		st->attributes |= STATX_ATTR_MOUNT_ROOT;
	st->mnt_id = path->mnt ? (u64)path->mnt->id : 0;
}

/* Under RCU the inode may be dying: then what comes out is not used, but must be readable. */
int inode_getattr_generic(const struct path *path, struct inode *inode, struct kstat *st)
{
	const struct vm_object *object = READ_ONCE(inode->object);

	st->dev = devnum_encode(inode->sb->dev);
	st->ino = inode->ino;
	st->nlink = READ_ONCE(inode->nlink);
	st->mode = inode->mode;
	st->uid = inode->uid;
	st->gid = inode->gid;
	st->zero = 0;
	st->rdev = unlikely(inode->rdev) ? devnum_encode(inode->rdev) : 0;
	st->blksize = inode->sb->blocksize;
	st->size = inode_size(inode);
	st->blocks = object ? READ_ONCE(object->nr_pages) * 8 : READ_ONCE(inode->blocks);
	st->atime = inode->atime;
	st->mtime = inode->mtime;
	st->ctime = inode->ctime;
	st->zeros[0] = st->zeros[1] = st->zeros[2] = 0;
	if (st->extended)
		getattr_extended(path, inode, st);
	return 0;
}

int vfs_getattr(const struct path *path, struct kstat *st)
{
	struct inode *inode = path->dentry->inode;

	inode_getattr_generic(path, inode, st);
	return unlikely(inode->flags & INODE_GETATTR) ? inode->ops->getattr(path, inode, st) : 0;
}

int inode_setattr_simple(struct dentry *dentry, struct attr_change *attr)
{
	struct inode *inode = dentry->inode;
	u32 valid = attr->valid;

	spin_lock(&inode->slock);
	if (valid & ATTR_UID)
		inode->uid = attr->uid;
	if (valid & ATTR_GID)
		inode->gid = attr->gid;
	if (valid & ATTR_ATIME)
		inode->atime = attr->atime;
	if (valid & ATTR_MTIME)
		inode->mtime = attr->mtime;
	if (valid & ATTR_CTIME)
		inode->ctime = attr->ctime;
	if (valid & ATTR_MODE) {
		u32 mode = attr->mode;

		/* Only members may give a file the set-group-ID bit. */
		if (!in_group(inode->gid) && !inode_capable(inode, CAP_FSETID))
			mode &= ~(u32)S_ISGID;
		WRITE_ONCE(inode->mode, (inode->mode & S_IFMT) | (mode & ~(u32)S_IFMT));
	}
	inode->version++;
	spin_unlock(&inode->slock);
	return 0;
}

static bool may_chown(const struct inode *inode, u32 uid)
{
	return (current_fsuid() == inode->uid && uid == inode->uid) || capable(CAP_CHOWN);
}

static bool may_chgrp(const struct inode *inode, u32 gid)
{
	return (current_fsuid() == inode->uid && (in_group(gid) || gid == inode->gid)) ||
	       capable(CAP_CHOWN);
}

/* setattr's rights: inode.lock held. */
static int check_change(struct inode *inode, const struct attr_change *attr)
{
	u32 valid = attr->valid;

	if ((valid & ATTR_UID) && !may_chown(inode, attr->uid))
		return -EPERM;
	if ((valid & ATTR_GID) && !may_chgrp(inode, attr->gid))
		return -EPERM;
	if ((valid & ATTR_MODE) && !inode_owner_or_capable(inode))
		return -EPERM;
	if ((valid & (ATTR_ATIME_SET | ATTR_MTIME_SET | ATTR_TIMES_OWNER)) && !inode_owner_or_capable(inode))
		return -EPERM;
	if ((valid & ATTR_TOUCH) && !inode_owner_or_capable(inode))
		return inode_permission(inode, MAY_WRITE);
	return 0;
}

/* ATTR_KILL_* become a change of the mode. */
static void resolve_kill(const struct inode *inode, struct attr_change *attr)
{
	u32 mode = inode->mode, kill = attr->valid & (ATTR_KILL_SUID | ATTR_KILL_SGID);

	attr->valid &= ~kill;
	if ((kill & ATTR_KILL_SUID) && (mode & S_ISUID))
		mode &= ~(u32)S_ISUID;
	if ((kill & ATTR_KILL_SGID) && (mode & S_ISGID) &&
	    ((mode & S_IXGRP) || (!in_group(inode->gid) && !capable(CAP_FSETID))))
		mode &= ~(u32)S_ISGID;
	if (mode != inode->mode) {
		attr->valid |= ATTR_MODE;
		attr->mode = mode;
	}
}

/* notify_change() of Linux. inode.lock held for writing. */
static int change_locked(struct dentry *dentry, struct attr_change *attr)
{
	struct inode *inode = dentry->inode;
	struct fstime now = fstime_now();
	int err = check_change(inode, attr);

	if (err)
		return err;
	resolve_kill(inode, attr);
	if (!attr->valid)
		return 0;
	if (!(attr->valid & ATTR_ATIME_SET))
		attr->atime = now;
	if (!(attr->valid & ATTR_MTIME_SET))
		attr->mtime = now;
	attr->ctime = now;
	if (inode->ops->setattr)
		return inode->ops->setattr(dentry, attr);
	return inode_setattr_simple(dentry, attr);
}

int vfs_setattr(const struct path *path, struct attr_change *attr)
{
	struct inode *inode = path->dentry->inode;
	int err = mount_get_write(path->mnt);

	if (err)
		return err;
	rwsem_write_lock(&inode->lock);
	err = change_locked(path->dentry, attr);
	rwsem_write_unlock(&inode->lock);
	mount_put_write(path->mnt);
	return err;
}

u32 inode_kill_priv_bits(const struct inode *inode)
{
	u32 mode = inode->mode, kill = 0;

	if (likely(!(mode & (S_ISUID | S_ISGID))) || !S_ISREG(mode))
		return 0;
	if (mode & S_ISUID)
		kill |= ATTR_KILL_SUID;
	if ((mode & S_ISGID) && (mode & S_IXGRP))
		kill |= ATTR_KILL_SGID;
	return kill && !capable(CAP_FSETID) ? kill : 0;
}

int file_remove_privs_locked(struct file *file)
{
	u32 kill = inode_kill_priv_bits(file->inode);
	struct attr_change attr;

	if (likely(!kill))
		return 0;
	attr = (struct attr_change){ .valid = kill };
	return change_locked(file->path.dentry, &attr);
}

/* RLIMIT_FSIZE and the file system's limit, for growing. */
static int check_new_size(const struct inode *inode, u64 size)
{
	if (size <= inode_size(inode))
		return 0;
	if (size > rlimit_current(RLIMIT_FSIZE)) {
		if (file_fsize_signal_hook)
			file_fsize_signal_hook();
		return -EFBIG;
	}
	return size > inode->sb->max_bytes ? -EFBIG : 0;
}

int vfs_truncate(const struct path *path, u64 size, struct file *file)
{
	struct inode *inode = path->dentry->inode;
	struct attr_change attr = { .valid = ATTR_SIZE, .size = size, .file = file };
	int err;

	if (file)
		attr.valid |= ATTR_MTIME | ATTR_CTIME;
	attr.valid |= inode_kill_priv_bits(inode);
	err = mount_get_write(path->mnt);
	if (err)
		return err;
	rwsem_write_lock(&inode->lock);
	err = check_new_size(inode, size);
	if (!err)
		err = change_locked(path->dentry, &attr);
	rwsem_write_unlock(&inode->lock);
	mount_put_write(path->mnt);
	return err;
}

int vfs_statfs(const struct path *path, struct statfs *buf)
{
	struct super_block *sb = path->dentry->sb;
	u32 flags = READ_ONCE(path->mnt->flags);
	int err = 0;

	memset(buf, 0, sizeof(*buf));
	buf->f_type = (s64)sb->magic;
	buf->f_bsize = sb->blocksize;
	buf->f_frsize = sb->blocksize;
	buf->f_namelen = 255;
	if (sb->ops && sb->ops->statfs)
		err = sb->ops->statfs(path->dentry, buf);
	buf->f_flags = ST_VALID;
	if ((flags & MOUNT_READONLY) || (sb->flags & SB_RDONLY))
		buf->f_flags |= ST_RDONLY;
	buf->f_flags |= (flags & MOUNT_NOSUID ? ST_NOSUID : 0) | (flags & MOUNT_NODEV ? ST_NODEV : 0) |
			(flags & MOUNT_NOEXEC ? ST_NOEXEC : 0) | (flags & MOUNT_NOATIME ? ST_NOATIME : 0) |
			(flags & MOUNT_NODIRATIME ? ST_NODIRATIME : 0) |
			(flags & MOUNT_RELATIME ? ST_RELATIME : 0) |
			(flags & MOUNT_NOSYMFOLLOW ? ST_NOSYMFOLLOW : 0);
	return err;
}
