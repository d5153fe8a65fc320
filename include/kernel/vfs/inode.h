/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_INODE_H
#define KERNEL_VFS_INODE_H

/*
 * Inodes, superblocks and types of file systems.
 *
 * An inode is a file's identity and attributes. It is counted; dentries and
 * open files hold references. When the last one goes, super_ops.evict frees
 * what the file holds and the memory goes back after a grace period, because
 * path walk reads inodes under RCU.
 *
 * Keys: [I] immutable, [a] atomic, [r] RCU for readers, [w] inode.lock held for
 * writing (single words are read without), [s] inode.slock.
 *
 * Lock order: see docs/vfs.md. inode.lock of a directory protects its entries;
 * of a file, its size, times and contents against each other.
 */
#include <abi/linux/stat.h>
#include <abi/linux/statfs.h>
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/mutex.h>
#include <kernel/vfs/types.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct dir_context;
struct file_ops;
struct file_system_type;
struct pipe;
struct seq;

/* What setattr changes: the ATTR_* bits say which fields count. */
#define ATTR_MODE	0x0001U
#define ATTR_UID	0x0002U
#define ATTR_GID	0x0004U
#define ATTR_SIZE	0x0008U
#define ATTR_ATIME	0x0010U
#define ATTR_MTIME	0x0020U
#define ATTR_CTIME	0x0040U
#define ATTR_ATIME_SET	0x0080U		/* to the value given, not to now: needs ownership */
#define ATTR_MTIME_SET	0x0100U
#define ATTR_KILL_SUID	0x0200U
#define ATTR_KILL_SGID	0x0400U
#define ATTR_TOUCH	0x0800U		/* both times to now: write permission is enough */
#define ATTR_TIMES_OWNER 0x1000U	/* times chosen one by one: needs ownership */

struct attr_change {
	u32 valid;
	u32 mode;
	u32 uid, gid;
	u64 size;
	struct fstime atime, mtime, ctime;
	struct file *file;		/* ftruncate's, or NULL */
};

/*
 * What stat reads: everything that statx can tell. The first part has the layout of the ABI's struct stat, and
 * goes to the program as it is.
 */
struct kstat {
	u64 dev;			/* devnum_encode() */
	u64 ino;
	u64 nlink;
	u32 mode, uid, gid;
	u32 zero;
	u64 rdev;			/* devnum_encode() */
	u64 size;
	u64 blksize;
	u64 blocks;			/* of 512 bytes */
	struct fstime atime, mtime, ctime;
	u64 zeros[3];
	/* statx(2) only: filled when the caller has set `extended` */
	bool extended;
	bool has_btime;
	struct fstime btime;
	u64 attributes, attributes_mask; /* STATX_ATTR_* */
	u64 mnt_id;
};

/*
 * What a file system does with its inodes. NULL means: not supported (EPERM
 * or what the call says). The vfs has checked permissions, names, mounts and
 * EEXIST/ENOENT before, and holds for writing: the lock of every directory that
 * changes; for link the source's, for unlink and rmdir the victim's, for rename
 * also a replaced target's.
 */
struct inode_ops {
	/* Attach an inode to `dentry` (dentry_instantiate) or none: negative. dir's lock is held. */
	int (*lookup)(struct inode *dir, struct dentry *dentry);
	int (*create)(struct inode *dir, struct dentry *dentry, u32 mode);
	int (*mkdir)(struct inode *dir, struct dentry *dentry, u32 mode);
	int (*mknod)(struct inode *dir, struct dentry *dentry, u32 mode, devnum_t rdev);
	int (*symlink)(struct inode *dir, struct dentry *dentry, const char *target, size_t len);
	int (*link)(struct dentry *old, struct inode *dir, struct dentry *dentry);
	int (*unlink)(struct inode *dir, struct dentry *dentry);
	int (*rmdir)(struct inode *dir, struct dentry *dentry);
	/* flags: RENAME_NOREPLACE (checked by the vfs), RENAME_EXCHANGE; else -EINVAL. */
	int (*rename)(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
		      struct dentry *new, u32 flags);
	/* A nameless file with nlink 0, for O_TMPFILE. Attaches the inode to `dentry`. */
	int (*tmpfile)(struct inode *dir, struct dentry *dentry, u32 mode);

	/*
	 * A symlink's target. Under RCU (may_sleep false) only what needs no
	 * sleeping, else ERR_PTR(-EAGAIN). The text lives as long as the inode, or
	 * until kfree(*to_free). A magic link returns NULL after it stored a place in *jump, with references.
	 */
	const char *(*get_link)(struct dentry *dentry, struct inode *inode, bool may_sleep,
				void **to_free, struct path *jump);
	/* readlink(2) of a magic link, or NULL: get_link's text. Returns the length. */
	ssize_t (*readlink)(struct dentry *dentry, char *buf, size_t size);

	/* NULL: inode_permission_generic(). may_sleep false: under RCU, -EAGAIN to be asked again. */
	int (*permission)(struct inode *inode, u32 mask, bool may_sleep);
	/* NULL: inode_setattr_simple(). inode's lock held for writing, change checked. */
	int (*setattr)(struct dentry *dentry, struct attr_change *attr);
	/* NULL: inode_getattr_generic(). No lock. */
	int (*getattr)(const struct path *path, struct inode *inode, struct kstat *stat);
};

/* inode.flags */
#define INODE_DEAD	0x0001U		/* directory was removed: nothing can be made in it [w] */
#define INODE_NOATIME	0x0002U		/* times of access are not kept [I] */
#define INODE_NOCMTIME	0x0004U		/* writes change no times (devices keep theirs) [I] */
#define INODE_PRIVATE	0x0008U		/* pipes and such: no path leads here [I] */
#define INODE_GETATTR	0x0010U		/* ops->getattr is set: a shortcut for stat [I] */
#define INODE_PERMISSION 0x0020U	/* ops->permission is set [I] */
#define INODE_LINKABLE	0x0040U		/* O_TMPFILE without O_EXCL: link() may give it a name [w] */

/* F_SEAL_* of fcntl(2), shifted. [w] */
#define INODE_SEAL_SHIFT 8
#define INODE_SEALS	0x1f00U

/* One POSIX or flock lock list per inode, see locks.h. */
struct lock_context;

struct inode {
	u32 mode;			/* [w] */
	u32 uid, gid;			/* [w] */
	u32 flags;
	const struct inode_ops *ops;	/* [I] */
	struct super_block *sb;		/* [I] */
	refcount_t ref;			/* [a] */
	u32 nlink;			/* [w] */
	u64 ino;			/* [I] */
	u64 size;			/* [w] read torn-free without */
	u64 blocks;			/* [s] of 512 bytes */
	struct fstime atime, mtime, ctime, btime; /* [s] */
	devnum_t rdev;			/* [I] of device nodes */
	atomic_t writers;		/* [a] > 0: open for writing; < 0: being executed */
	const struct file_ops *fops;	/* [I] */
	struct vm_object *object;	/* [I] the page cache of a regular file */
	struct rwsem lock;
	struct spinlock slock;
	union {
		void *private;		/* [I] of the file system */
		char *link;		/* [I] symlink's text */
	};
	struct pipe *pipe;		/* [s] a fifo's or pipe's buffer, see fifo.h */
	struct lock_context *locks;	/* [a] set once when the first lock is taken */
	struct list_head sb_node;	/* [sb.inodes_lock] */
	u64 version;			/* [s] counts changes */
	void (*free)(struct inode *inode); /* [I] the superblock may be gone when memory is freed */
	struct rcu_head rcu;
};

/* Read and write the size without tearing; writers hold inode.lock. */
static inline u64 inode_size(const struct inode *inode)
{
	return READ_ONCE(inode->size);
}

static inline void inode_set_size(struct inode *inode, u64 size)
{
	WRITE_ONCE(inode->size, size);
}

struct super_ops {
	/* Memory for an inode embedded in the file system's own, zeroed or not; NULL: the vfs's cache. */
	struct inode *(*alloc_inode)(struct super_block *sb);
	/*
	 * Called a grace period after the last reference; the superblock may be gone. Must end
	 * in inode_free_default() if alloc_inode is NULL.
	 */
	void (*free_inode)(struct inode *inode);
	/* The last reference is gone: free contents (pages, link text). May sleep. NULL: nothing to do. */
	void (*evict)(struct inode *inode);
	int (*statfs)(struct dentry *dentry, struct statfs *buf);
	/* mount -o remount: new SB_* flags and data. */
	int (*remount)(struct super_block *sb, u32 flags, const char *data);
	/* ",size=64k" for /proc/mounts. */
	void (*show_options)(struct seq *s, struct dentry *root);
	int (*sync)(struct super_block *sb, bool wait);
	/* The last mount is gone and all dentries and inodes are: free sb->private. */
	void (*put_super)(struct super_block *sb);
};

/* super_block.flags */
#define SB_RDONLY	0x0001U		/* [a] */
#define SB_NODEV_TREE	0x0002U		/* device nodes on it are never honoured [I] */
#define SB_NOEXEC_TREE	0x0004U		/* nothing on it is ever executed (proc, sysfs) [I] */
#define SB_KERNEL	0x0008U		/* never mounted by name: pipes, anonymous files [I] */
#define SB_SYNCHRONOUS	0x0010U		/* [a] */
#define SB_PINNED_DENTRIES 0x0020U	/* directories live in the dentry cache (tmpfs) [I] */

struct super_block {
	const struct super_ops *ops;	/* [I] */
	const struct file_system_type *type; /* [I] */
	u32 flags;
	u32 blocksize;			/* [I] bytes, a power of two */
	u64 magic;			/* [I] f_type */
	u64 max_bytes;			/* [I] largest file */
	devnum_t dev;			/* [I] st_dev */
	struct dentry *root;		/* [I] */
	void *private;			/* [I] of the file system */
	refcount_t active;		/* [a] mounts */
	atomic64_t next_ino;		/* [a] for file systems that number as they go */
	struct spinlock lru_lock;
	struct list_head lru;		/* [lru_lock] unused dentries, oldest first */
	u64 lru_count;			/* [lru_lock] */
	atomic64_t nr_inodes;		/* [a] in memory, for leak checks */
	const struct dentry_ops *d_ops;	/* [I] or NULL */
	struct list_head node;		/* [superblocks lock] */
	struct rcu_head rcu;
	char id[32];			/* [I] name in messages */
};

/* file_system_type.flags */
#define FS_NODEV	0x0001U		/* needs no block device: "nodev" in /proc/filesystems */
#define FS_SINGLE	0x0002U		/* all mounts show one superblock */
#define FS_HIDDEN	0x0004U		/* kernel-internal */

struct file_system_type {
	const char *name;
	u32 flags;
	/*
	 * Make (or find, FS_SINGLE) a superblock with its root dentry set. `data`:
	 * the mount options, never NULL. Returns it with one active reference taken.
	 */
	int (*mount)(const struct file_system_type *type, u32 sb_flags, const char *source,
		     const char *data, struct super_block **out);
	struct list_head node;		/* [types lock] */
};

int __must_check fs_type_register(struct file_system_type *type);
const struct file_system_type *fs_type_find(const char *name);
void fs_types_show(struct seq *s);

/* A fresh superblock with an anonymous device number (0:N). NULL without memory. */
struct super_block *super_alloc(const struct file_system_type *type, const struct super_ops *ops,
				u64 magic, u32 flags);
void super_get(struct super_block *sb);
/* The last one shuts the file system down: may sleep. */
void super_put(struct super_block *sb);
/* Walk all superblocks (sync). */
void super_for_each(void (*fn)(struct super_block *sb, void *arg), void *arg);

/*
 * A new inode: mode, ids and times set (now, fsuid, fsgid), one reference,
 * nlink 1, number from sb->next_ino. NULL without memory.
 */
struct inode *inode_alloc(struct super_block *sb, u32 mode);
/* Owner and setgid inheritance of a file made in `dir`. */
void inode_init_owner(struct inode *inode, const struct inode *dir, u32 mode);
/* Ops for device nodes, fifos and sockets by mode. */
void inode_init_special(struct inode *inode, u32 mode, devnum_t rdev);

static inline struct inode *inode_get(struct inode *inode)
{
	refcount_get(&inode->ref);
	return inode;
}

/* May sleep when it is the last. */
void inode_put(struct inode *inode);

/* nlink changes; the lock is held for writing. */
static inline void inode_inc_nlink(struct inode *inode)
{
	WRITE_ONCE(inode->nlink, inode->nlink + 1);
}

static inline void inode_drop_nlink(struct inode *inode)
{
	WRITE_ONCE(inode->nlink, inode->nlink - 1);
}

/* ctime (and mtime) become now. */
void inode_touch(struct inode *inode, bool mtime, bool ctime);
/* A read happened: atime by the mount's rules (relatime is the default). Cheap when nothing is due. */
void inode_touch_atime(struct inode *inode, const struct mount *mnt);
/* A write happens: mtime and ctime now. inode.lock held for writing or not needed by the caller. */
void file_update_time(struct file *file);

int inode_getattr_generic(const struct path *path, struct inode *inode, struct kstat *stat);
int vfs_getattr(const struct path *path, struct kstat *stat);
/* Applies a checked change to the inode's fields. */
int inode_setattr_simple(struct dentry *dentry, struct attr_change *attr);
/* Checks by inode(7) and applies; takes inode.lock unless `locked`. */
int vfs_setattr(const struct path *path, struct attr_change *attr);
int vfs_truncate(const struct path *path, u64 size, struct file *file);
int vfs_statfs(const struct path *path, struct statfs *buf);

/* Two inodes' locks for writing, in the order of their addresses; either may be NULL or equal. */
void inode_lock_two(struct inode *a, struct inode *b);
void inode_unlock_two(struct inode *a, struct inode *b);

/* One who wants the file not to be written (exec) or not to be executed (open for writing). 0 or -ETXTBSY. */
int __must_check inode_deny_write(struct inode *inode);
void inode_allow_write(struct inode *inode);
int __must_check inode_get_write(struct inode *inode);
void inode_put_write(struct inode *inode);

void inode_free_default(struct inode *inode);
void inode_cache_init(void);

#endif
