/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_MOUNT_H
#define KERNEL_VFS_MOUNT_H

/*
 * Mounts: which file system shows where. There is one namespace.
 *
 * A mount is found by (parent mount, dentry mounted on) in a hash, under RCU
 * and validated by mount_seq, which every change of the tree bumps. The tree
 * changes under namespace_mutex and, for the fields that walkers read, mount_lock.
 *
 * Keys: [I] immutable, [a] atomic, [n] namespace_mutex, [m] mount_lock and mount_seq.
 */
#include <kernel/core/rcu.h>
#include <kernel/core/seqlock.h>
#include <kernel/sched/mutex.h>
#include <kernel/vfs/types.h>
#include <lib/list.h>

/* mount.flags [m], read without a lock */
#define MOUNT_NOSUID		0x01U
#define MOUNT_NODEV		0x02U
#define MOUNT_NOEXEC		0x04U
#define MOUNT_NOATIME		0x08U
#define MOUNT_NODIRATIME	0x10U
#define MOUNT_RELATIME		0x20U
#define MOUNT_READONLY		0x40U
#define MOUNT_NOSYMFOLLOW	0x80U
#define MOUNT_DETACHED		0x100U	/* no longer in the tree */
#define MOUNT_INTERNAL		0x200U	/* never was in it: pipes and such */
#define MOUNT_USER_FLAGS	0xffU

struct mount {
	struct hlist_node hash_node;	/* [m] by (parent, mountpoint) */
	struct mount *parent;		/* [m] itself for the root */
	struct dentry *mountpoint;	/* [m] */
	struct dentry *root;		/* [I] */
	struct super_block *sb;		/* [I] */
	u32 flags;
	atomic_t refs;			/* [a] one for being in the tree, one for each child, path, file */
	atomic_t writers;		/* [a] who is writing right now: remount ro waits for none */
	int id;				/* [I] mnt_id */
	struct list_head children;	/* [n] */
	struct list_head child_node;	/* [n] */
	struct list_head list;		/* [n] all mounts, in order */
	char *source;			/* [I] first field of /proc/mounts */
	struct rcu_head rcu;
};

extern struct mutex namespace_mutex;
extern struct seqcount mount_seq;
/* The root of the tree, [I] after mount_init_root(). */
extern struct mount *mount_root;

static inline struct mount *mount_get(struct mount *m)
{
	atomic_inc(&m->refs);
	return m;
}

/* May sleep. */
void mount_put(struct mount *m);

/* What is mounted on (m, d), topmost not looked for; RCU or mount_lock held. NULL: nothing. */
struct mount *mount_lookup_rcu(const struct mount *m, const struct dentry *d);

/* mount(2), umount2(2) after the paths have been looked up and the caller's right was checked. */
int do_mount(const char *source, const struct path *target, const char *type, u64 flags,
	     const char *data);
int do_umount(const struct path *target, u32 flags);
int do_pivot_root(const struct path *new_root, const struct path *put_old);

/* A mount that is in no tree (pipes, memfd). */
struct mount *mount_create_internal(const struct file_system_type *type);

/* The caller is about to change something below: 0 or -EROFS. Pair with mount_put_write. */
int __must_check mount_get_write(struct mount *m);
void mount_put_write(struct mount *m);

static inline bool mount_is_readonly(const struct mount *m)
{
	return READ_ONCE(m->flags) & MOUNT_READONLY;
}

/* Text for /proc/PID/mounts, mountinfo, mountstats as seen from `root`. */
enum mount_format { MOUNT_FORMAT_MOUNTS, MOUNT_FORMAT_INFO, MOUNT_FORMAT_STATS };
void mounts_show(struct seq *s, const struct path *root, enum mount_format format);
/* Poll on /proc/mounts: bumped when the tree changes. */
extern struct waitq mounts_wait;
u32 mounts_event(void);

/* At boot: caches; then the first mount, of `type`, which becomes / of everybody. */
void mount_init(void);
int mount_init_root(const char *type);

#endif
