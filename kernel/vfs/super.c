/* SPDX-License-Identifier: MIT */
/* Types of file systems and superblocks. */
#include "internal.h"

#include <kernel/core/rcu.h>
#include <kernel/vfs/seq.h>
#include <kernel/vfs/vfs.h>

#include "mount_internal.h"

static struct spinlock types_lock;
static LIST_HEAD(types);
static struct rwsem supers_lock;	/* the list; readers walk it and may sleep */
static LIST_HEAD(supers);
static u64 anon_minors[16];		/* [types_lock] minors of device 0 in use */

int fs_type_register(struct file_system_type *type)
{
	int err = 0;

	if (fs_type_find(type->name))
		return -EBUSY;
	spin_lock(&types_lock);
	list_add_tail_rcu(&type->node, &types);
	spin_unlock(&types_lock);
	return err;
}

const struct file_system_type *fs_type_find(const char *name)
{
	struct file_system_type *type, *found = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(type, &types, node) {
		if (strcmp(type->name, name) == 0) {
			found = type;	/* types are never unregistered */
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

void fs_types_show(struct seq *s)
{
	struct file_system_type *type;

	rcu_read_lock();
	list_for_each_entry_rcu(type, &types, node)
		if (!(type->flags & FS_HIDDEN))
			seq_printf(s, "%s\t%s\n", type->flags & FS_NODEV ? "nodev" : "", type->name);
	rcu_read_unlock();
}

/* st_dev of file systems without a device is 0:N, as on Linux. */
devnum_t super_dev_alloc(void)
{
	u32 minor = 0;

	spin_lock(&types_lock);
	for (u32 i = 1; i < ARRAY_SIZE(anon_minors) * 64; i++) {
		if (!(anon_minors[i / 64] & BIT(i % 64))) {
			anon_minors[i / 64] |= BIT(i % 64);
			minor = i;
			break;
		}
	}
	spin_unlock(&types_lock);
	return MKDEV(0, minor);
}

static void super_dev_free(devnum_t dev)
{
	u32 i = DEV_MINOR(dev);

	if (DEV_MAJOR(dev) || !i)
		return;
	spin_lock(&types_lock);
	anon_minors[i / 64] &= ~BIT(i % 64);
	spin_unlock(&types_lock);
}

struct super_block *super_alloc(const struct file_system_type *type, const struct super_ops *ops,
				u64 magic, u32 flags)
{
	struct super_block *sb = kzalloc(sizeof(*sb), 0);

	if (!sb)
		return NULL;
	sb->ops = ops;
	sb->type = type;
	sb->flags = flags;
	sb->blocksize = 4096;
	sb->magic = magic;
	sb->max_bytes = INT64_MAX;
	sb->dev = super_dev_alloc();
	refcount_init(&sb->active, 1);
	spin_init(&sb->lru_lock, "dentry lru", LOCK_RANK_DENTRY_LRU);
	list_init(&sb->lru);
	strlcpy(sb->id, type->name, sizeof(sb->id));
	rwsem_write_lock(&supers_lock);
	list_add_tail(&sb->node, &supers);
	rwsem_write_unlock(&supers_lock);
	return sb;
}

void super_get(struct super_block *sb)
{
	refcount_get(&sb->active);
}

/* Entries of a tree that lives in the cache are let go, deepest first. */
static void unpin_tree(struct dentry *root)
{
	struct dentry *at = root;

	while (at != root || !list_empty(&at->children)) {
		struct dentry *parent;

		if (!list_empty(&at->children)) {
			at = list_first_entry(&at->children, struct dentry, sibling);
			continue;
		}
		parent = at->parent;
		dentry_delete(at);
		at = parent;
	}
}

#if HALCYON_DEBUG
struct end_run {
	bool (*is_later)(const void *object);
};

/* Leaves first; `at` may go only after what lies below it. */
static void empty_one(struct super_block *sb, void *arg)
{
	const struct end_run *run = arg;
	struct dentry *at = sb->root;
	bool down = true;

	if (!at)
		return;
	dentry_shrink_all(sb);
	for (;;) {
		struct dentry *parent = at->parent, *next;

		if (down && !list_empty(&at->children)) {
			at = list_first_entry(&at->children, struct dentry, sibling);
			continue;
		}
		if (at == sb->root)
			break;
		next = list_is_last(&at->sibling, &parent->children) ? NULL : list_next_entry(at, sibling);
		if (run->is_later(at) && list_empty(&at->children))
			dentry_delete(at);
		down = next != NULL;
		at = next ? next : parent;
	}
	dentry_shrink_all(sb);
}

static void forget_one(struct super_block *sb, void *arg)
{
	(void)arg;
	dentry_shrink_all(sb);
}

void vfs_forget_names(void)
{
	super_for_each(forget_one, NULL);
}

void vfs_end(bool (*is_later)(const void *object))
{
	struct end_run run = { is_later };

	mutex_lock(&namespace_mutex);
	while (!list_empty(&mount_root->children)) {
		struct mount *m = list_first_entry(&mount_root->children, struct mount, child_node);

		mount_detach_tree(m);
		mount_put(m);
	}
	mutex_unlock(&namespace_mutex);
	super_for_each(empty_one, &run);
}
#endif

static void free_rcu(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct super_block, rcu));
}

void super_put(struct super_block *sb)
{
	might_sleep();
	if (!refcount_put_and_test(&sb->active))
		return;
	rwsem_write_lock(&supers_lock);
	list_del(&sb->node);
	rwsem_write_unlock(&supers_lock);
	if (sb->ops && sb->ops->sync)
		sb->ops->sync(sb, true);
	if (sb->root) {
		unpin_tree(sb->root);
		dentry_shrink_all(sb);
		dentry_unhash(sb->root);
		dentry_put(sb->root);
	}
	if (atomic64_load_relaxed(&sb->nr_inodes) != 0)
		log_err("%s: %lld inodes are busy after the last umount", sb->id,
			(long long)atomic64_load_relaxed(&sb->nr_inodes));
	if (sb->ops && sb->ops->put_super)
		sb->ops->put_super(sb);
	super_dev_free(sb->dev);
	/* Path walks may still look at it. */
	call_rcu(&sb->rcu, free_rcu);
}

void super_for_each(void (*fn)(struct super_block *sb, void *arg), void *arg)
{
	struct super_block *sb;

	rwsem_read_lock(&supers_lock);
	list_for_each_entry(sb, &supers, node)
		fn(sb, arg);
	rwsem_read_unlock(&supers_lock);
}

void super_init(void)
{
	spin_init(&types_lock, "fs types", LOCK_RANK_SUPER);
	rwsem_init(&supers_lock, "superblocks", LOCK_RANK_SUPER_LIST);
}
