/* SPDX-License-Identifier: MIT */
/*
 * Root, working directory and umask of tasks.
 *
 * chroot, chdir and pivot_root write under the context's lock, within its seq, and put
 * the old place's references only after that.
 */
#include "internal.h"

#include <kernel/task/pid.h>
#include <kernel/task/process.h>

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
	spin_lock(&from->lock);
	fs->umask = from->umask;
	fs->root = from->root;
	fs->cwd = from->cwd;
	path_get(&fs->root);
	path_get(&fs->cwd);
	spin_unlock(&from->lock);
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

static void move_if_there(struct fs_context *fs, const struct path *from, const struct path *to)
{
	struct path root, cwd;

	fs_context_root(fs, &root);
	fs_context_cwd(fs, &cwd);
	if (path_equal(&root, from))
		fs_context_set_root(fs, to);
	if (path_equal(&cwd, from))
		fs_context_set_cwd(fs, to);
	path_put(&root);
	path_put(&cwd);
}

/* The i-th thread of p with a reference, or NULL. */
static struct task *thread_at(struct process *p, u32 i)
{
	struct task *t, *found = NULL;

	rcu_read_lock();
	for_each_thread_rcu(p, t) {
		if (i-- == 0) {
			if (task_get_not_zero(t))
				found = t;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

void fs_context_replace_all(const struct path *from, const struct path *to)
{
	struct process *p;
	int nr = 1;

	move_if_there(&fs_context_init_data, from, to);
	while ((p = process_next_get(nr))) {
		struct task *t;

		nr = p->pid->nr + 1;
		for (u32 i = 0; (t = thread_at(p, i)); i++) {
			struct fs_context *fs = task_fs_get(t);

			if (fs) {
				move_if_there(fs, from, to);
				fs_context_put(fs);
			}
			task_put(t);
		}
		process_put(p);
	}
}
