// SPDX-License-Identifier: MIT
/*
 * Which credentials a program starts with: set-user-ID and set-group-ID bits,
 * and the capability rules of execve(2) in capabilities(7) for files without
 * capabilities of their own:
 *
 *	P'(permitted) = root ? bounding | inheritable : 0, and | P'(ambient)
 *	P'(effective) = euid 0 ? P'(permitted) : P'(ambient)
 *
 * A program that would gain something while somebody else can influence it
 * (shared directories, no_new_privs) starts with no more than the caller has.
 */
#include <abi/linux/personality.h>
#include <abi/linux/stat.h>
#include <kernel/task/cred.h>
#include <kernel/task/task.h>
#include <kernel/vfs/file.h>

#include "exec_internal.h"

/* What a program that gains privileges must not inherit. */
#define PER_CLEAR_ON_SETID (READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO)

static void exec_apply_setid_bits(struct exec_image *img, struct cred *c)
{
	struct inode *inode = img->file->inode;
	u32 mode = READ_ONCE(inode->mode), uid, gid;

	if (!(mode & (S_ISUID | S_ISGID)))
		return;
	if ((img->file->path.mnt->flags & MOUNT_NOSUID) || current_task()->no_new_privs)
		return;
	/* chown(2) takes the bits away when it gives the file to somebody else: never the old bits with the new owner. */
	rwsem_read_lock(&inode->lock);
	mode = inode->mode;
	uid = inode->uid;
	gid = inode->gid;
	rwsem_read_unlock(&inode->lock);
	if (mode & S_ISUID) {
		img->personality &= ~PER_CLEAR_ON_SETID;
		c->euid = uid;
	}
	/* Without execution for the group the bit means mandatory locking. */
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
		img->personality &= ~PER_CLEAR_ON_SETID;
		c->egid = gid;
	}
}

void exec_compute_cred(struct exec_image *img, struct cred *c, u32 unsafe)
{
	const struct cred *old = current_cred();
	bool root_is_special = !(c->securebits & SECBIT_NOROOT);
	bool effective = false, setid, gained;

	exec_apply_setid_bits(img, c);
	c->cap_permitted = 0;
	if (root_is_special && (c->euid == 0 || c->uid == 0))
		c->cap_permitted = old->cap_bounding | old->cap_inheritable;
	if (root_is_special && c->euid == 0)
		effective = true;
	gained = c->cap_permitted & ~old->cap_permitted;
	if (gained)
		img->personality &= ~PER_CLEAR_ON_SETID;
	setid = c->euid != old->uid || c->egid != old->gid;
	if ((setid || gained) && unsafe) {
		if (!capable(CAP_SETUID) || (unsafe & EXEC_UNSAFE_NO_NEW_PRIVS)) {
			c->euid = c->uid;
			c->egid = c->gid;
		}
		c->cap_permitted &= old->cap_permitted;
	}
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	if (setid)
		c->cap_ambient = 0;
	c->cap_permitted |= c->cap_ambient;
	c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
	c->securebits &= ~(u32)SECBIT_KEEP_CAPS;
	img->secure = setid || (c->uid != 0 && (effective || (c->cap_permitted & ~c->cap_ambient)));
}
