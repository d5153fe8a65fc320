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
#include <kernel/vfs/permission.h>
#include <kernel/vfs/types.h>
#include <lib/errno.h>
#include <lib/string.h>

/* namehash.c: words of a path, hashed while they are scanned. */
void name_hash_init(void);
/* `s` may be read up to 7 bytes past the component. Stores its length. */
u32 name_hash_component(const char *s, u32 *len);
u32 name_hash_bytes(const char *s, u32 len);

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
	u32 mount_seq;			/* at the start (rcu) */
	u32 root_seq;			/* of root.dentry (rcu) */
	u32 flags;			/* LOOKUP_* */
	bool rcu;
	bool trailing;			/* the last component had a slash behind it */
	bool jumped;			/* a magic link or '/' moved us */
	bool root_counted;
	enum last_type last_type;
	struct qname last;
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
/* Takes the path's references over on success; frees the file on failure. */
int file_open_finish(struct file *file, const struct path *path, u32 flags);
struct file *file_alloc(u32 flags);
void file_free(struct file *file);

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
