/* SPDX-License-Identifier: MIT */
/*
 * Root, working directory and umask of tasks.
 *
 * chroot, chdir and pivot_root write under the context's lock, within its seq, and put
 * the old place's references only after that.
 *
 * pivot_root moves everybody who stands at the old root, so it must find everybody. It does not look for them among the
 * tasks, which come and go meanwhile: a context that fork has copied and that no task in the table has yet would be missed, and so
 * would be a thread behind one that ends. All contexts are in one list; a copy is made and entered under the list's lock.
 * So a context is in the list when pivot_root comes by, or is copied from one that it has been to. Whether somebody stands
 * there, and his move, are one step under his context's lock: a chdir() at the same time comes before it or after it.
 *
 * Locks: all_lock, then one context's lock.
 */
#include "internal.h"

#include <kernel/task/process.h>

static struct spinlock all_lock = SPINLOCK_INIT("fs contexts", LOCK_RANK_FS_CONTEXTS);
static LIST_HEAD(all_contexts); /* [all_lock] but fs_context_init_data */

struct fs_context fs_context_init_data = {
	.umask = 022,
	.ref = ATOMIC_INIT(1),
	.lock = SPINLOCK_INIT("fs context", LOCK_RANK_FS_CONTEXT),
};

struct fs_context *fs_context_current(void)
{
	struct task *task = task_current_or_null();

	return task && likely(task->fs) ? task->fs : &fs_context_init_data;
}

void fs_context_put(struct fs_context *fs)
{
	might_sleep();
	if (!atomic_dec_and_test(&fs->ref))
		return;
	spin_lock(&all_lock);
	list_del(&fs->all_node);
	spin_unlock(&all_lock);
	path_put(&fs->root);
	path_put(&fs->cwd);
	kfree(fs);
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *fs = kzalloc(sizeof(*fs), 0);

	if (!fs)
		return NULL;
	atomic_store(&fs->ref, 1);
	seqcount_init(&fs->seq);
	spin_init(&fs->lock, "fs context", LOCK_RANK_FS_CONTEXT);
	spin_lock(&all_lock);
	spin_lock(&from->lock);
	fs->umask = from->umask;
	fs->root = from->root;
	fs->cwd = from->cwd;
	path_get(&fs->root);
	path_get(&fs->cwd);
	spin_unlock(&from->lock);
	list_add_tail(&fs->all_node, &all_contexts);
	spin_unlock(&all_lock);
	return fs;
}

int fs_context_unshare_current(void)
{
	struct task *task = current_task();
	struct fs_context *old = task->fs, *new;

	if (atomic_load(&old->ref) == 1)
		return 0;
	new = fs_context_copy(old);
	if (!new)
		return -ENOMEM;
	spin_lock(&task->lock);
	task->fs = new;
	spin_unlock(&task->lock);
	fs_context_put(old);
	return 0;
}

void fs_context_root(struct fs_context *fs, struct path *out)
{
	spin_lock(&fs->lock);
	*out = fs->root;
	path_get(out);
	spin_unlock(&fs->lock);
}

void fs_context_cwd(struct fs_context *fs, struct path *out)
{
	spin_lock(&fs->lock);
	*out = fs->cwd;
	path_get(out);
	spin_unlock(&fs->lock);
}

static void replace(struct fs_context *fs, struct path *field, const struct path *with)
{
	struct path old;

	path_get(with);
	spin_lock(&fs->lock);
	seqcount_write_begin(&fs->seq);
	old = *field;
	*field = *with;
	seqcount_write_end(&fs->seq);
	spin_unlock(&fs->lock);
	if (old.mnt)
		path_put(&old);
}

void fs_context_set_root(struct fs_context *fs, const struct path *path)
{
	replace(fs, &fs->root, path);
}

void fs_context_set_cwd(struct fs_context *fs, const struct path *path)
{
	replace(fs, &fs->cwd, path);
}

struct fs_context *task_fs_get(struct task *t)
{
	struct fs_context *fs;

	spin_lock(&t->lock);
	fs = t->fs;
	if (fs)
		fs_context_get(fs);
	spin_unlock(&t->lock);
	return fs;
}

/* How many references on `from` the caller has to drop: they are `to`'s now. */
static int move_if_there(struct fs_context *fs, const struct path *from, const struct path *to)
{
	bool root, cwd;

	spin_lock(&fs->lock);
	seqcount_write_begin(&fs->seq);
	root = path_equal(&fs->root, from);
	cwd = path_equal(&fs->cwd, from);
	if (root)
		fs->root = *to;
	if (cwd)
		fs->cwd = *to;
	for (int i = 0; i < root + cwd; i++)
		path_get(to);
	seqcount_write_end(&fs->seq);
	spin_unlock(&fs->lock);
	return root + cwd;
}

void fs_context_replace_all(const struct path *from, const struct path *to)
{
	struct fs_context *fs;
	u64 drop = 0;

	spin_lock(&all_lock);
	list_for_each_entry(fs, &all_contexts, all_node)
		drop += (u64)move_if_there(fs, from, to);
	spin_unlock(&all_lock);
	drop += (u64)move_if_there(&fs_context_init_data, from, to);
	while (drop--)
		path_put(from);
}
