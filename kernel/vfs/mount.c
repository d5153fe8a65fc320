/* SPDX-License-Identifier: MIT */
/*
 * The tree of mounts: look-up, attaching, detaching, counts.
 *
 * A mount's count: one for being in the tree, one from each child, and one from
 * each path that somebody holds. It is busy when there are more than the tree's
 * and the caller's.
 *
 * umount against path walks. A walk under RCU that wants to keep a mount
 * increments its count (unless it is zero) and then looks whether mount_seq has changed
 * since the walk began. umount first makes mount_seq odd, then reads the count. Both
 * with full barriers: either umount sees the reference, or the walk sees the change.
 *
 * Locks: namespace_mutex over every change of the tree; mount_lock (spinning) and
 * mount_seq around the fields that walks read.
 */
#include "internal.h"

#include <kernel/core/rcu.h>
#include <kernel/vfs/poll.h>
#include <lib/hash.h>
#include <lib/printf.h>

#include "mount_internal.h"

#define MOUNT_BUCKETS_LOG2 6
#define MOUNTS_MAX 100000		/* Linux's default of fs.mount-max */

struct mutex namespace_mutex;
struct seqcount mount_seq;
struct mount *mount_root;
struct waitq mounts_wait;

static struct spinlock mount_lock;
static struct hlist_head mount_table[1 << MOUNT_BUCKETS_LOG2];
struct list_head mount_list = LIST_HEAD_INIT(mount_list);
static atomic_t event_count;
static atomic_t mount_count;		/* [a] all that have memory */
static u64 ids_used[64];		/* [mount_lock] bitmap of ids below 4096 */
static int ids_beyond = 4096;		/* [mount_lock] */

static struct hlist_head *bucket_of(const struct mount *m, const struct dentry *d)
{
	u64 key = (u64)(uintptr_t)m + ((u64)(uintptr_t)d >> 6);

	return &mount_table[hash_bits(key, MOUNT_BUCKETS_LOG2)];
}

/* ---- look-up ---- */

struct mount *mount_lookup_rcu(const struct mount *m, const struct dentry *d)
{
	struct mount *child;

	hlist_for_each_entry_rcu(child, bucket_of(m, d), hash_node)
		if (READ_ONCE(child->parent) == m && READ_ONCE(child->mountpoint) == d)
			return child;
	return NULL;
}

bool mount_get_rcu(struct mount *m, u32 seq, bool *drop)
{
	*drop = false;
	if (!atomic_inc_not_zero(&m->refs))
		return false;
	smp_mb();
	if (likely(!seqcount_read_retry(&mount_seq, seq)))
		return true;
	*drop = true;
	return false;
}

struct mount *mount_lookup_get(struct mount *m, struct dentry *d)
{
	struct mount *child;
	bool drop, got = true;
	u32 seq;

	do {
		rcu_read_lock();
		seq = seqcount_read_begin(&mount_seq);
		child = mount_lookup_rcu(m, d);
		drop = false;
		if (child)
			got = mount_get_rcu(child, seq, &drop);
		else
			got = !seqcount_read_retry(&mount_seq, seq);
		rcu_read_unlock();
		if (drop)
			mount_put(child);
	} while (!got);
	return child;
}

/* ---- making and freeing ---- */

static int id_alloc(void)
{
	int id = -1;

	spin_lock(&mount_lock);
	for (u32 i = 1; i < ARRAY_SIZE(ids_used) * 64 && id < 0; i++) {
		if (!(ids_used[i / 64] & BIT(i % 64))) {
			ids_used[i / 64] |= BIT(i % 64);
			id = (int)i;
		}
	}
	if (id < 0)
		id = ids_beyond++;
	spin_unlock(&mount_lock);
	return id;
}

static void id_free(int id)
{
	if ((u32)id >= ARRAY_SIZE(ids_used) * 64)
		return;
	spin_lock(&mount_lock);
	ids_used[id / 64] &= ~BIT(id % 64);
	spin_unlock(&mount_lock);
}

/* A bound tree doubles with every rbind of itself: the limit keeps the machine alive. */
bool mount_too_many(void)
{
	return atomic_load(&mount_count) >= MOUNTS_MAX;
}

/* Consumes an active reference on sb; root gets one of its own. */
struct mount *mount_alloc(struct super_block *sb, struct dentry *root, const char *source, u32 flags)
{
	struct mount *m = kzalloc(sizeof(*m), 0);

	if (!m)
		return NULL;
	m->source = kstrdup(source, 0);
	if (!m->source) {
		kfree(m);
		return NULL;
	}
	m->parent = m;
	m->root = dentry_get(root);
	m->mountpoint = root;
	m->sb = sb;
	m->flags = flags;
	atomic_store(&m->refs, 1);
	m->id = id_alloc();
	atomic_inc(&mount_count);
	list_init(&m->children);
	list_init(&m->child_node);
	list_init(&m->list);
	hlist_node_init(&m->hash_node);
	return m;
}

static void mount_free_rcu(struct rcu_head *rcu)
{
	struct mount *m = container_of(rcu, struct mount, rcu);

	kfree(m->source);
	kfree(m);
}

void mount_put(struct mount *m)
{
	might_sleep();
	if (!atomic_dec_and_test(&m->refs))
		return;
	ASSERT(list_empty(&m->children));
	dentry_put(m->root);
	super_put(m->sb);
	id_free(m->id);
	atomic_dec(&mount_count);
	call_rcu(&m->rcu, mount_free_rcu);
}

struct mount *mount_create_internal(const struct file_system_type *type)
{
	struct super_block *sb;
	struct mount *m;

	if (type->mount(type, SB_KERNEL, type->name, "", &sb) != 0)
		return NULL;
	m = mount_alloc(sb, sb->root, type->name, MOUNT_INTERNAL);
	if (!m)
		super_put(sb);
	return m;
}

/* ---- the tree: namespace_mutex held ---- */

void mounts_changed(void)
{
	atomic_inc(&event_count);
	waitq_wake_key(&mounts_wait, ~0U, POLLERR | POLLPRI);
}

u32 mounts_event(void)
{
	return (u32)atomic_load(&event_count);
}

void mount_attach(struct mount *m, struct mount *parent, struct dentry *at)
{
	mount_get(parent);
	dentry_get(at);
	spin_lock(&mount_lock);
	seqcount_write_begin(&mount_seq);
	m->parent = parent;
	m->mountpoint = at;
	m->flags &= ~MOUNT_DETACHED;
	__atomic_fetch_or(&at->flags, DENTRY_MOUNTED, __ATOMIC_SEQ_CST);
	hlist_add_head_rcu(&m->hash_node, bucket_of(parent, at));
	seqcount_write_end(&mount_seq);
	spin_unlock(&mount_lock);
	list_add_tail(&m->child_node, &parent->children);
	if (list_empty(&m->list))
		list_add_tail(&m->list, &mount_list);
}

/* Is anything mounted on d in any mount? */
static bool is_mountpoint(const struct dentry *d)
{
	struct mount *m;

	list_for_each_entry(m, &mount_list, list)
		if (m->mountpoint == d && m->parent != m)
			return true;
	return false;
}

/*
 * Takes m out of its parent. What it held on there comes back in *held for
 * the caller to put after namespace_mutex. m stays counted by "the tree".
 */
static void detach_write_locked(struct mount *m, struct path *held)
{
	*held = (struct path){ m->parent, m->mountpoint };
	hlist_del_init_rcu(&m->hash_node);
	WRITE_ONCE(m->parent, m);
	WRITE_ONCE(m->mountpoint, m->root);
	__atomic_fetch_or(&m->flags, MOUNT_DETACHED, __ATOMIC_SEQ_CST);
}

static void detach_finish(struct mount *m, const struct path *held)
{
	list_del_init(&m->child_node);
	if (!is_mountpoint(held->dentry))
		__atomic_fetch_and(&held->dentry->flags, ~DENTRY_MOUNTED, __ATOMIC_SEQ_CST);
}

void mount_detach(struct mount *m, struct path *held)
{
	spin_lock(&mount_lock);
	seqcount_write_begin(&mount_seq);
	detach_write_locked(m, held);
	seqcount_write_end(&mount_seq);
	spin_unlock(&mount_lock);
	detach_finish(m, held);
}

/* Detaches m if nobody but the tree and `users` holders use it. -EBUSY. */
int mount_detach_idle(struct mount *m, int users, struct path *held)
{
	int err = -EBUSY;

	spin_lock(&mount_lock);
	seqcount_write_begin(&mount_seq);
	smp_mb();
	if (atomic_load(&m->refs) <= 1 + users && list_empty(&m->children)) {
		detach_write_locked(m, held);
		err = 0;
	}
	seqcount_write_end(&mount_seq);
	spin_unlock(&mount_lock);
	if (!err)
		detach_finish(m, held);
	return err;
}

/* MNT_DETACH: m and everything below leave the tree now; they die with their last users. */
void mount_detach_tree(struct mount *top)
{
	struct mount *m = top;

	for (;;) {
		struct path held;
		struct mount *up = m->parent;

		if (!list_empty(&m->children)) {
			m = list_first_entry(&m->children, struct mount, child_node);
			continue;
		}
		list_del_init(&m->list);
		mount_detach(m, &held);
		path_put(&held);
		if (m == top)
			return;		/* the tree's reference is the caller's to put */
		mount_put(m);
		m = up;
	}
}

void mount_list_del(struct mount *m)
{
	list_del_init(&m->list);
}

/* A directory with mounts on it disappeared under them: procfs's dying processes, remote removals. */
void mount_detach_dentry(struct dentry *d)
{
	struct mount *m, *found;

	mutex_lock(&namespace_mutex);
	do {
		found = NULL;
		list_for_each_entry(m, &mount_list, list) {
			if (m->mountpoint == d && m->parent != m) {
				found = m;
				break;
			}
		}
		if (found) {
			mount_detach_tree(found);
			mount_put(found);
		}
	} while (found);
	mutex_unlock(&namespace_mutex);
	mounts_changed();
}

/* ---- writers ---- */

/*
 * remount,ro sets the flag and then looks for writers; writers count themselves and then
 * look at the flag: with full barriers one of the two sees the other.
 */
int mount_get_write(struct mount *m)
{
	atomic_inc(&m->writers);
	if (likely(!(READ_ONCE(m->flags) & MOUNT_READONLY) && !(READ_ONCE(m->sb->flags) & SB_RDONLY)))
		return 0;
	atomic_dec(&m->writers);
	return -EROFS;
}

void mount_put_write(struct mount *m)
{
	atomic_dec(&m->writers);
}

/* New per-mount flags; -EBUSY when somebody writes and it shall be read-only. */
int mount_set_flags(struct mount *m, u32 flags)
{
	u32 old = READ_ONCE(m->flags);
	int err = 0;

	spin_lock(&mount_lock);
	WRITE_ONCE(m->flags, (old & ~MOUNT_USER_FLAGS) | (flags & MOUNT_USER_FLAGS));
	smp_mb();
	if ((flags & MOUNT_READONLY) && !(old & MOUNT_READONLY) && atomic_load(&m->writers) != 0) {
		WRITE_ONCE(m->flags, old);
		err = -EBUSY;
	}
	spin_unlock(&mount_lock);
	return err;
}

/* ---- boot ---- */

void mount_init(void)
{
	mutex_init(&namespace_mutex, "mount namespace", LOCK_RANK_MOUNT_NS);
	spin_init(&mount_lock, "mount", LOCK_RANK_MOUNT);
	seqcount_init(&mount_seq);
	waitq_init(&mounts_wait);
}

int mount_init_root(const char *name)
{
	const struct file_system_type *type = fs_type_find(name);
	struct super_block *sb;
	struct mount *m;
	struct path root;
	int err;

	if (!type)
		return -ENODEV;
	err = type->mount(type, 0, name, "", &sb);
	if (err)
		return err;
	m = mount_alloc(sb, sb->root, name, 0);
	if (!m) {
		super_put(sb);
		return -ENOMEM;
	}
	mutex_lock(&namespace_mutex);
	list_add_tail(&m->list, &mount_list);
	mount_root = m;
	mutex_unlock(&namespace_mutex);
	root = (struct path){ m, m->root };
	fs_context_set_root(&fs_context_init_data, &root);
	fs_context_set_cwd(&fs_context_init_data, &root);
	return 0;
}
