/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_FS_CONTEXT_H
#define KERNEL_VFS_FS_CONTEXT_H

/*
 * Where a task stands: root, working directory, umask. Shared by threads
 * (CLONE_FS). Path walk copies root and cwd between two reads of seq and writes nothing.
 *
 * Keys: [a] atomic, [l] lock for writing, seq for reading, [list] the list's own lock (fs_context.c).
 */
#include <kernel/core/seqlock.h>
#include <kernel/core/spinlock.h>
#include <kernel/vfs/path.h>
#include <lib/list.h>

struct fs_context {
	struct seqcount seq;
	u32 umask;			/* [a] */
	struct path root;		/* [l] */
	struct path cwd;		/* [l] */
	atomic_t ref;			/* [a] tasks */
	struct spinlock lock;
	u32 in_exec;			/* [l] threads in execve that counted the users: clone(CLONE_FS) is refused meanwhile */
	struct list_head all_node;	/* [list] */
};

/* What kernel threads have, and PID 1 copies: / and umask 022 (set after mount_init_root). */
extern struct fs_context fs_context_init_data;

static inline struct fs_context *fs_context_get(struct fs_context *fs)
{
	atomic_inc(&fs->ref);
	return fs;
}

void fs_context_put(struct fs_context *fs);
/* fork without CLONE_FS. NULL without memory. */
struct fs_context *fs_context_copy(struct fs_context *fs);
/* unshare, exec: the caller gets one of its own. */
int __must_check fs_context_unshare_current(void);
/* The running thread's, or fs_context_init_data. */
struct fs_context *fs_context_current(void);
/* With references. */
void fs_context_root(struct fs_context *fs, struct path *out);
void fs_context_cwd(struct fs_context *fs, struct path *out);
/* Take references themselves. */
void fs_context_set_root(struct fs_context *fs, const struct path *path);
void fs_context_set_cwd(struct fs_context *fs, const struct path *path);
/* pivot_root: everybody at `from` moves to `to`. */
void fs_context_replace_all(const struct path *from, const struct path *to);
/* A task's context with a reference, or NULL. */
struct fs_context *task_fs_get(struct task *t);

static inline u32 current_umask(void)
{
	return READ_ONCE(fs_context_current()->umask);
}

#endif
