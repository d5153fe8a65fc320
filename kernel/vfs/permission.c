/* SPDX-License-Identifier: MIT */
/* Permission checks: path_resolution(7), capabilities(7), unlink(2) on sticky directories. */
#include "internal.h"

#include <abi/linux/capability.h>

bool inode_capable(const struct inode *inode, int cap)
{
	(void)inode;	/* One user namespace: every id is known. */
	return capable(cap);
}

bool inode_owner_or_capable(const struct inode *inode)
{
	return current_fsuid() == inode->uid || capable(CAP_FOWNER);
}

/* Mode bits alone. */
static bool mode_allows(const struct inode *inode, u32 mask)
{
	u32 mode = READ_ONCE(inode->mode);
	const struct cred *cred = current_cred();

	mask &= MAY_READ | MAY_WRITE | MAY_EXEC;
	if (cred->fsuid == inode->uid)
		mode >>= 6;
	else if ((mask & (mode ^ (mode >> 3))) && cred_in_group(cred, inode->gid))
		mode >>= 3;
	return !(mask & ~mode);
}

int inode_permission_generic(struct inode *inode, u32 mask)
{
	u32 mode = READ_ONCE(inode->mode);

	if (mode_allows(inode, mask))
		return 0;
	if (S_ISDIR(mode)) {
		if (!(mask & MAY_WRITE) && inode_capable(inode, CAP_DAC_READ_SEARCH))
			return 0;
		return inode_capable(inode, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if ((mask & (MAY_READ | MAY_WRITE | MAY_EXEC)) == MAY_READ &&
	    inode_capable(inode, CAP_DAC_READ_SEARCH))
		return 0;
	/* Nobody executes what is executable for none. */
	if ((!(mask & MAY_EXEC) || (mode & 0111)) && inode_capable(inode, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_permission(struct inode *inode, u32 mask)
{
	if (mask & MAY_WRITE) {
		u32 type = inode->mode & S_IFMT;

		if ((READ_ONCE(inode->sb->flags) & SB_RDONLY) &&
		    (type == S_IFREG || type == S_IFDIR || type == S_IFLNK))
			return -EROFS;
	}
	if (unlikely(inode->flags & INODE_PERMISSION))
		return inode->ops->permission(inode, mask, true);
	return inode_permission_generic(inode, mask);
}

int path_permission(const struct path *path, u32 mask)
{
	return inode_permission(path->dentry->inode, mask);
}

int may_create(struct inode *dir, struct dentry *child)
{
	if (dentry_is_positive(child))
		return -EEXIST;
	if (dir->flags & INODE_DEAD)
		return -ENOENT;
	return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

/* In a sticky directory only the owners of file and directory may remove. */
static bool sticky_forbids(const struct inode *dir, const struct inode *inode)
{
	u32 fsuid;

	if (!(dir->mode & S_ISVTX))
		return false;
	fsuid = current_fsuid();
	return fsuid != inode->uid && fsuid != dir->uid && !inode_capable(inode, CAP_FOWNER);
}

int may_delete(struct inode *dir, struct dentry *victim, bool isdir)
{
	int err;

	if (dentry_is_negative(victim))
		return -ENOENT;
	err = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (err)
		return err;
	if (sticky_forbids(dir, victim->inode))
		return -EPERM;
	if (isdir) {
		if (!dentry_is_dir(victim))
			return -ENOTDIR;
		if (dentry_is_root(victim))
			return -EBUSY;
	} else if (dentry_is_dir(victim)) {
		return -EISDIR;
	}
	return dir->flags & INODE_DEAD ? -ENOENT : 0;
}
