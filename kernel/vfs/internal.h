/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_INTERNAL_H
#define KERNEL_VFS_INTERNAL_H

/* What the files of kernel/vfs share with each other only. */
#include <kernel/core/assert.h>
#include <kernel/core/lockrank.h>
#include <kernel/core/log.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/task/rlimit.h>
#include <kernel/vfs/dentry.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vfs/inode.h>
#include <kernel/vfs/mount.h>
#include <kernel/vfs/path.h>
#include <hal/mem.h>
#include <kernel/vfs/permission.h>
#include <kernel/vfs/types.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/kasan.h>
#include <lib/string.h>

/* ---- namehash.c: words of a path, hashed while they are scanned ---- */

extern u64 name_hash_key[2];	/* [I] */

void name_hash_init(void);
u32 name_hash_bytes(const char *s, u32 len);

static __always_inline u64 name_hash_word(u64 h, u64 word)
{
	unsigned __int128 product = (unsigned __int128)(h ^ word) * name_hash_key[1];

	return (u64)product ^ (u64)(product >> 64);
}

/* tail: what is left, below eight bytes, with zeros behind it. */
static __always_inline u32 name_hash_finish(u64 h, u64 tail, u32 len)
{
	return (u32)name_hash_word(h, tail | (u64)len << 56);
}

#define NAME_ONES  0x0101010101010101ULL
#define NAME_HIGHS 0x8080808080808080ULL
/* High bit set in (at least) the lowest byte of x that is zero. */
#define NAME_ZERO_BYTES(x) (((x) - NAME_ONES) & ~(x) & NAME_HIGHS)

/*
 * Eight bytes of a name, some of them perhaps behind its end, but never of the next page, which need not be there: then
 * what follows a NUL, or `len` bytes, is made up.
 */
static __no_kasan_inline u64 name_load(const char *s, u32 len)
{
	typedef u64 __attribute__((aligned(1), may_alias)) unaligned_u64;
	u64 word = 0;

	if (likely(((uintptr_t)s & (HAL_PAGE_SIZE - 1)) <= HAL_PAGE_SIZE - 8))
		return *(const unaligned_u64 *)(const void *)s;
	for (u32 i = 0; i < MIN(len, 8u) && s[i]; i++)
		word |= (u64)(u8)s[i] << (8 * i);
	return word;
}

/* A dentry's name: NAME_SLACK bytes behind its end are the dentry's or the long name's own. */
#define NAME_SLACK 7
static __no_kasan_inline u64 name_load_dentry(const char *s)
{
	typedef u64 __attribute__((aligned(1), may_alias)) unaligned_u64;

	return *(const unaligned_u64 *)(const void *)s;
}

/* The component ends at NUL or '/'. Stores its length. */
static __always_inline u32 name_hash_component(const char *s, u32 *len)
{
	u64 h = name_hash_key[0];
	u32 n = 0;

	for (;;) {
		u64 word = name_load(s + n, 8);
		u64 end = NAME_ZERO_BYTES(word) | NAME_ZERO_BYTES(word ^ ('/' * NAME_ONES));

		if (likely(end)) {
			/* Bytes beyond the end are not part of the name: keep what is below the lowest bit. */
			word &= ((end - 1) & ~end) >> 7;
			*len = n += ctz64(end) / 8;
			return name_hash_finish(h, word, n);
		}
		h = name_hash_word(h, word);
		n += 8;
	}
}

/* ---- dentry.c: the hash table of names ---- */

extern struct hlist_head *dentry_table;	/* [I] */
/*
 * The second half of dentry_put() for a dentry that is on the LRU: the last reference goes without the lock. False: it is
 * still the caller's, who looks at the flags again, because they have changed or it is not the last.
 */
bool dentry_put_to_lru(struct dentry *d);
extern u32 dentry_table_shift;		/* [I] 32 - log2(buckets) */

static __always_inline u32 dentry_bucket(const struct dentry *parent, u32 hash)
{
	u32 h = hash + (u32)((u64)(uintptr_t)parent >> 6);

	return (h * 0x9e3779b1U) >> dentry_table_shift;
}

/* a: a dentry's. len > 0. */
static __always_inline bool names_equal(const char *a, const char *b, u32 len)
{
	for (; len > 8; len -= 8, a += 8, b += 8)
		if (get_le64(a) != get_le64(b))
			return false;
	return ((name_load_dentry(a) ^ name_load(b, len)) << (64 - 8 * len)) == 0;
}
static_assert(offsetof(struct dentry, inline_name) + DENTRY_INLINE_NAME + NAME_SLACK <= sizeof(struct dentry), "slack");

/*
 * A walk in progress: see walk.c. Lives on the stack, so only the head is
 * initialised; `rest` and `held` are stacks of `depth` and `nr_held`.
 */
#define WALK_HELD_NONE 0

struct walk {
	struct path path;		/* where we are: with references unless rcu */
	struct inode *inode;		/* of path.dentry */
	struct path root;		/* ditto */
	u32 seq;			/* of path.dentry (rcu) */
	u32 mount_seq;			/* at the start (rcu, scoped) */
	u32 rename_seq;			/* at the start (scoped) */
	u32 flags;			/* LOOKUP_* */
	bool rcu;
	bool trailing;			/* the last component had a slash behind it */
	bool jumped;			/* a magic link or '/' moved us */
	bool root_counted;
	enum last_type last_type;
	struct qname last;
	struct file *start;		/* counted: put when the walk ends, as RCU forbids that in it; or NULL */
	const char *link;		/* text of the symlink that walk_component met */
	u32 links;			/* symlinks followed */
	u32 depth;
	u32 nr_held;
	const char *rest[MAX_SYMLINKS];	/* what remains behind each symlink being walked */
	struct {
		struct dentry *dentry;	/* keeps a link's text alive, or NULL */
		void *heap;		/* what to kfree, or NULL */
	} held[MAX_SYMLINKS];
};

/* Starts at dfd, root or cwd. With rcu under rcu_read_lock(). */
int walk_start(struct walk *w, int dfd, const char *name, u32 flags, bool rcu);
/* Everything but the last component, which is in w->last. */
int walk_parent(struct walk *w, const char *name);
/* The last one, as LOOKUP_FOLLOW and LOOKUP_DIRECTORY say. */
int walk_last(struct walk *w);
/* rcu: turns w->path into references and leaves RCU (also on failure: -ECHILD). */
int walk_leave_rcu(struct walk *w);
/* rcu: goes on with references from w->path, the root included. */
int walk_unlazy(struct walk *w);
/* Gives back everything but, with `keep`, w->path. Leaves RCU when in it. */
void walk_end(struct walk *w, bool keep);
/* walk_rcu.c: the plain components of s, see there. NULL: all but the last, which is in w->last. */
const char *walk_run_rcu(struct walk *w, const char *s);
/* The last one, if it is plain. False: walk_last() has to look. */
bool walk_last_rcu(struct walk *w);
/* All of a plain path. False: go on at *name with walk_parent(), or, where that is NULL, with walk_last(). */
bool walk_all_rcu(struct walk *w, const char **name);
/* What is mounted on (*m, *d), all the way up. -ECHILD, -EXDEV. */
int walk_cross_mounts_rcu(const struct walk *w, struct mount **m, struct dentry **d, u32 *seq);
/* Follows symlink `d` (its parent is w->path): 0 jumped, 1 there is text in w->link. */
int walk_follow(struct walk *w, struct dentry *d, struct inode *inode);
/* Goes on with the text in w->link, to its last component. */
int walk_link_parent(struct walk *w);
/* Ref mode: enter what is mounted on w->path. */
int walk_cross_mounts(struct path *p, u32 flags, struct mount *start);
/* Look one name up below parent with a reference; asks the file system. ERR_PTR(-errno); may be negative. */
struct dentry *lookup_one(struct dentry *parent, struct inode *dir, const struct qname *name);

/* mount.c: takes a reference on what is mounted there; NULL. */
struct mount *mount_lookup_get(struct mount *m, struct dentry *d);
/* Under RCU: a reference if the tree has not changed since `seq`; on failure *drop may have to be put outside RCU. */
bool mount_get_rcu(struct mount *m, u32 seq, bool *drop);
void mount_detach_dentry(struct dentry *d);

/* open.c */
/* Takes the path's references over on success; drops the file on failure. */
int file_open_finish(struct file *file, const struct path *path, u32 flags);
struct file *file_alloc(u32 flags);
void file_drop_unopened(struct file *file);

/* vfs.c: the work queue lets unused names go. Any context. */
void dentry_trim_later(u64 nr);

/* super.c */
void super_init(void);
devnum_t super_dev_alloc(void);

void mount_hash_init(void);
void chrdev_init(void);
void pipefs_init(void);
void proc_registry_init(void);

extern struct kmem_cache *dentry_cache, *inode_cache;

#endif
