/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_DENTRY_H
#define KERNEL_VFS_DENTRY_H

/*
 * The dentry cache: names that have been looked up, with what they lead to.
 *
 * A dentry is in a hash table by (parent, name); names are hashed under a secret
 * key drawn at boot, salted with the parent. A dentry without an
 * inode is a negative one: the name is known not to exist.
 *
 * Readers walk under RCU: they read parent, name and inode between two reads
 * of `seq`, which every change of them bumps, and write nothing. Who wants to
 * keep the result takes a reference with dentry_get_rcu() and checks seq again.
 * The other changes are serialised by the directory's inode.lock (creation,
 * removal), by rename_mutex (moves between directories) and, for the fields, by
 * the dentry's own lock.
 *
 * References: one for each user and one for each child. A dentry without
 * references stays in the cache, on its superblock's LRU, until the shrinker or
 * umount takes it, unless it is unhashed or its file system says not to keep it.
 *
 * Keys: [I] immutable, [a] atomic, [d] lock and seq, [p] the parent's lock,
 * [h] hash bucket's lock, [u] sb.lru_lock.
 */
#include <kernel/core/rcu.h>
#include <kernel/core/seqlock.h>
#include <kernel/core/spinlock.h>
#include <kernel/vfs/inode.h>
#include <kernel/vfs/types.h>
#include <lib/list.h>

#define DENTRY_INLINE_NAME 40

/* dentry.flags [d], read without a lock */
#define DENTRY_MOUNTED	0x0001U		/* something is mounted here in some mount */
#define DENTRY_DEAD	0x0002U		/* killed: no new references */
#define DENTRY_UNHASHED	0x0004U		/* not found by look-up */
#define DENTRY_LRU	0x0008U		/* on the LRU list [u] */
#define DENTRY_REFERENCED 0x0010U	/* used since the shrinker came by [a] */
#define DENTRY_PINNED	0x0020U		/* holds a reference for the file system: tmpfs's entries */
#define DENTRY_NOCACHE	0x0040U		/* dies with the last reference */
#define DENTRY_REVALIDATE 0x0080U	/* ops->revalidate must be asked [I] */
#define DENTRY_ROOT	0x0100U		/* root of a tree, or nameless [I] */
#define DENTRY_NAMELESS	0x0200U		/* pipe:[1], memfd and the like: ops->name tells [I] */
/* What kind of inode, so that path walk need not look there. */
#define DENTRY_TYPE	0x7000U
#define DENTRY_NEGATIVE	0x0000U
#define DENTRY_DIR	0x1000U
#define DENTRY_SYMLINK	0x2000U
#define DENTRY_FILE	0x3000U

struct dentry_ops {
	/* 1: still right; 0: throw it away; -ECHILD: ask again outside RCU. */
	int (*revalidate)(struct dentry *dentry, bool may_sleep);
	/* True: do not keep it without references. Under dentry->lock. */
	bool (*unused)(const struct dentry *dentry);
	/* Text for /proc/PID/fd of a nameless one. Returns the length. */
	int (*name)(struct dentry *dentry, char *buf, size_t size);
	void (*release)(struct dentry *dentry);
};

struct dentry {
	/* What a look-up reads, in one cache line. */
	struct hlist_node hash_node;	/* [h] */
	struct dentry *parent;		/* [d] a root's is itself */
	struct qname name;		/* [d] */
	struct inode *inode;		/* [d] NULL: negative */
	u32 flags;
	struct seqcount seq;			/* [d] */
	char inline_name[DENTRY_INLINE_NAME]; /* [d] NUL-terminated */

	atomic_t refs;			/* [a]; 0 to -1 only under lock: dead */
	struct spinlock lock;
	struct super_block *sb;		/* [I] */
	const struct dentry_ops *ops;	/* [I] */
	struct list_head children;	/* [d] pinned children, newest first */
	struct list_head sibling;	/* [p] */
	u64 cookie;			/* [p] position of a pinned child in its directory, from 3 */
	u64 next_cookie;		/* [d] of the directory's next child */
	struct list_head lru;		/* [u] */
	void *private;			/* [I] of the file system */
	struct rcu_head rcu;
};

static inline bool dentry_is_negative(const struct dentry *d)
{
	return (READ_ONCE(d->flags) & DENTRY_TYPE) == DENTRY_NEGATIVE;
}

static inline bool dentry_is_positive(const struct dentry *d)
{
	return !dentry_is_negative(d);
}

static inline bool dentry_is_dir(const struct dentry *d)
{
	return (READ_ONCE(d->flags) & DENTRY_TYPE) == DENTRY_DIR;
}

static inline bool dentry_is_symlink(const struct dentry *d)
{
	return (READ_ONCE(d->flags) & DENTRY_TYPE) == DENTRY_SYMLINK;
}

static inline bool dentry_is_root(const struct dentry *d)
{
	return d->parent == d;
}

static inline bool dentry_is_unhashed(const struct dentry *d)
{
	return READ_ONCE(d->flags) & DENTRY_UNHASHED;
}

/* The caller holds a reference already. */
static inline struct dentry *dentry_get(struct dentry *d)
{
	atomic_inc(&d->refs);
	return d;
}

/* Under RCU: false when it is dying. */
bool __must_check dentry_get_rcu(struct dentry *d);
/* May sleep. NULL is fine. */
void dentry_put(struct dentry *d);

/* Fills name->hash. */
void dentry_hash_name(const struct dentry *parent, struct qname *name);

/* An unhashed negative dentry with one reference, holding one on the parent. NULL without memory. */
struct dentry *dentry_alloc(struct dentry *parent, const struct qname *name);
/* A root with its inode (reference consumed, also on failure). */
struct dentry *dentry_alloc_root(struct inode *inode);
/* A dentry without a name, for pipes, memfds, anonymous files. inode's reference is consumed on success only. */
struct dentry *dentry_alloc_nameless(struct super_block *sb, struct inode *inode,
				     const struct dentry_ops *ops, void *private);
/* Make it found. The directory's lock is held for writing. */
void dentry_hash(struct dentry *d);
/* Turns a negative dentry into a positive one; consumes a reference on the inode. */
void dentry_instantiate(struct dentry *d, struct inode *inode);
/* The same for a file system whose directories are the dentry cache: also pinned and listed in its parent. */
void dentry_instantiate_pinned(struct dentry *d, struct inode *inode);
/* The name is gone: unpins, unhashes or makes negative. The directory's lock is held for writing. */
void dentry_delete(struct dentry *d);
/* Not found any more. */
void dentry_unhash(struct dentry *d);
/* Throw away everything unused below, unhash, and unmount what is mounted on it. */
void dentry_invalidate(struct dentry *d);
/* `d` takes target's parent and name (target is unhashed), or both swap. Directories' locks and, between them, rename_mutex held. */
void dentry_move(struct dentry *d, struct dentry *target, bool exchange);
/* Has a directory in the dentry cache entries? Its lock is held. */
bool dentry_has_children(struct dentry *d);
/* Is `a` an ancestor of (or equal to) `d`? rename_mutex held, or the answer may be old. */
bool dentry_is_ancestor(const struct dentry *a, const struct dentry *d);

/* Cached look-up with a reference; NULL when not cached. */
struct dentry *dentry_find(struct dentry *parent, const struct qname *name);
/* Under RCU; *seq is the child's sequence at the time of the match. */
struct dentry *dentry_find_rcu(const struct dentry *parent, const struct qname *name, u32 *seq);
/* Looks up in a directory whose inode.lock is held, asking the file system if need be. */
struct dentry *dentry_lookup_locked(struct dentry *parent, const struct qname *name);

/* Children below `parent`, taken while its inode.lock is held (shared is enough): see dir_emit helpers in fs_util.h. */

/* Drop up to nr unused dentries of sb (NULL: of all); returns how many went. */
u64 dentry_shrink(struct super_block *sb, u64 nr);
/* umount: every unused dentry of sb goes; returns how many stay. */
u64 dentry_shrink_all(struct super_block *sb);
u64 dentry_count(void);

/* Serialises moves between directories, and answers to "is it an ancestor". Outermost but the mount lock. */
extern struct mutex rename_mutex;
/* Bumped by every dentry_move: for walks up the tree and misses in the hash. */
extern struct seqcount rename_seq;

void dentry_cache_init(void);

#endif
