/* SPDX-License-Identifier: MIT */
/*
 * Inodes: making them, counting them, letting them go; their times; who writes and who executes.
 *
 * An inode's memory is freed a grace period after its last reference, as path
 * walk reads mode, owner and operations under RCU without taking one.
 */
#include "internal.h"

#include <abi/linux/capability.h>
#include <kernel/sched/clock.h>
#include <kernel/vfs/chrdev.h>
#include <kernel/vfs/fifo.h>
#include <kernel/vfs/locks.h>

struct kmem_cache *inode_cache;

static const struct inode_ops special_inode_ops;

/* Sockets, and what has no operations: open(2) gives ENXIO. */
static int no_open(struct inode *inode, struct file *file)
{
	return -ENXIO;
}

static const struct file_ops no_open_fops = { .open = no_open };

struct fstime fstime_now(void)
{
	struct timespec ts = clock_coarse_real();

	return (struct fstime){ ts.tv_sec, (u64)ts.tv_nsec };
}

static struct inode *alloc_memory(struct super_block *sb)
{
	if (sb->ops && sb->ops->alloc_inode)
		return sb->ops->alloc_inode(sb);
	return kmem_cache_alloc(inode_cache, 0);
}

void inode_free_default(struct inode *inode)
{
	kmem_cache_free(inode_cache, inode);
}

struct inode *inode_alloc(struct super_block *sb, u32 mode)
{
	struct inode *inode = alloc_memory(sb);
	const struct cred *cred = current_cred();

	if (!inode)
		return NULL;
	*inode = (struct inode){
		.mode = mode,
		.uid = cred->fsuid,
		.gid = cred->fsgid,
		.ops = &special_inode_ops,
		.fops = &no_open_fops,
		.sb = sb,
		.free = sb->ops && sb->ops->free_inode ? sb->ops->free_inode : inode_free_default,
		.nlink = 1,
		.ino = (u64)atomic64_inc_return(&sb->next_ino),
	};
	refcount_init(&inode->ref, 1);
	inode->atime = inode->mtime = inode->ctime = inode->btime = fstime_now();
	rwsem_init(&inode->lock, S_ISDIR(mode) ? "directory" : "inode",
		   S_ISDIR(mode) ? LOCK_RANK_INODE_DIR : LOCK_RANK_INODE_RWSEM);
	spin_init(&inode->slock, "inode spin", LOCK_RANK_INODE);
	list_init(&inode->sb_node);
	atomic64_inc_relaxed(&sb->nr_inodes);
	return inode;
}

/* inode(7): files in a set-group-ID directory inherit its group; so do directories, with the bit. */
void inode_init_owner(struct inode *inode, const struct inode *dir, u32 mode)
{
	inode->uid = current_fsuid();
	inode->gid = current_fsgid();
	if (dir && (dir->mode & S_ISGID)) {
		inode->gid = dir->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
			 !in_group(dir->gid) && !capable(CAP_FSETID))
			mode &= ~(u32)S_ISGID;
	}
	inode->mode = mode;
}

void inode_init_special(struct inode *inode, u32 mode, devnum_t rdev)
{
	inode->mode = mode;
	if (S_ISCHR(mode)) {
		inode->fops = &chrdev_fops;
		inode->rdev = rdev;
	} else if (S_ISBLK(mode)) {
		inode->fops = &blkdev_fops;
		inode->rdev = rdev;
	} else if (S_ISFIFO(mode)) {
		inode->fops = &fifo_fops;
	} else {
		inode->fops = &no_open_fops;
	}
}

static void free_rcu(struct rcu_head *rcu)
{
	struct inode *inode = container_of(rcu, struct inode, rcu);

	inode->free(inode);
}

void inode_put(struct inode *inode)
{
	might_sleep();
	if (!inode || !refcount_put_and_test(&inode->ref))
		return;
	if (inode->sb->ops && inode->sb->ops->evict)
		inode->sb->ops->evict(inode);
	if (inode->pipe)
		fifo_free_pipe(inode);
	if (inode->locks)
		locks_free_context(inode);
	/* Before the memory goes: the superblock need not outlive its inodes' grace period. */
	atomic64_dec_relaxed(&inode->sb->nr_inodes);
	call_rcu(&inode->rcu, free_rcu);
}

/* ---- times ---- */

void inode_touch(struct inode *inode, bool mtime, bool ctime)
{
	struct fstime now = fstime_now();

	spin_lock(&inode->slock);
	if (mtime)
		inode->mtime = now;
	if (ctime)
		inode->ctime = now;
	inode->version++;
	spin_unlock(&inode->slock);
}

/* mount(2) MS_RELATIME: only if the file changed since it was last read, or that was a day ago. */
static inline bool atime_is_due(const struct inode *inode, u32 mount_flags, struct fstime now)
{
	if (mount_flags & MOUNT_RELATIME) {
		if (fstime_after(&inode->atime, &inode->mtime) && fstime_after(&inode->atime, &inode->ctime) &&
		    now.sec - inode->atime.sec < 24 * 60 * 60)
			return false;
	}
	return !fstime_equal(&inode->atime, &now);
}

void inode_touch_atime(struct inode *inode, const struct mount *mnt)
{
	u32 flags = READ_ONCE(mnt->flags);
	struct fstime now;

	if ((inode->flags & INODE_NOATIME) || (flags & (MOUNT_NOATIME | MOUNT_READONLY)) ||
	    (inode->sb->flags & SB_RDONLY))
		return;
	if ((flags & MOUNT_NODIRATIME) && S_ISDIR(inode->mode))
		return;
	now = fstime_now();
	if (!atime_is_due(inode, flags, now))
		return;
	spin_lock(&inode->slock);
	inode->atime = now;
	spin_unlock(&inode->slock);
}

void file_update_time(struct file *file)
{
	struct inode *inode = file->inode;
	struct fstime now;

	if (inode->flags & INODE_NOCMTIME)
		return;
	now = fstime_now();
	if (likely(fstime_equal(&inode->mtime, &now) && fstime_equal(&inode->ctime, &now)))
		return;
	spin_lock(&inode->slock);
	inode->mtime = now;
	inode->ctime = now;
	inode->version++;
	spin_unlock(&inode->slock);
}

/* ---- who writes, who executes: one counter, positive or negative ---- */

int inode_get_write(struct inode *inode)
{
	int v = atomic_load_relaxed(&inode->writers);

	do {
		if (v < 0)
			return -ETXTBSY;
	} while (!atomic_try_cmpxchg(&inode->writers, &v, v + 1));
	return 0;
}

void inode_put_write(struct inode *inode)
{
	atomic_dec(&inode->writers);
}

int inode_deny_write(struct inode *inode)
{
	int v = atomic_load_relaxed(&inode->writers);

	do {
		if (v > 0)
			return -ETXTBSY;
	} while (!atomic_try_cmpxchg(&inode->writers, &v, v - 1));
	return 0;
}

void inode_allow_write(struct inode *inode)
{
	atomic_inc(&inode->writers);
}

/* ---- two at once ---- */

void inode_lock_two(struct inode *a, struct inode *b)
{
	if (a == b)
		b = NULL;
	if (!a || (b && (uintptr_t)b < (uintptr_t)a)) {
		struct inode *t = a;

		a = b;
		b = t;
	}
	if (a)
		rwsem_write_lock(&a->lock);
	if (b)
		rwsem_write_lock_nested(&b->lock);
}

void inode_unlock_two(struct inode *a, struct inode *b)
{
	if (a)
		rwsem_write_unlock(&a->lock);
	if (b && b != a)
		rwsem_write_unlock(&b->lock);
}

void inode_cache_init(void)
{
	inode_cache = kmem_cache_create("inode", sizeof(struct inode), 64, NULL, 0);
	if (!inode_cache)
		panic("no memory for the inode cache");
}
