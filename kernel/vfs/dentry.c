/* SPDX-License-Identifier: MIT */
/*
 * The dentry cache: allocation, hash, look-up, life and death.
 *
 * Look-up under RCU. A chain is walked with plain loads. Before the bytes of a
 * candidate's name are compared, its seq is read, then parent, hash, length and
 * pointer, then seq again: so length and pointer belong together, and what is
 * read is memory that RCU keeps. The bytes themselves may still change (a rename
 * writes inline names in place), which the caller's own check of seq finds.
 *
 * A rename may carry a reader from one chain to another, and make it miss a name
 * that is there: look-ups with references retry on rename_seq; those under RCU
 * count a miss as "ask again with references".
 *
 * Life. refs counts users and children. It goes from 1 to 0 without a lock when
 * the dentry is already on the LRU and marked referenced, else under dentry->lock, where
 * it is decided whether it stays. 0 -> DENTRY_REFS_DEAD happens only there and in the
 * shrinker, by compare-and-swap, against readers that take it from 0 to 1.
 *
 * Without the lock the flags are read before the count falls, and in between somebody may find the dentry, unhash it and
 * drop his reference: the count is 1 again and falls to 0, and nobody would free what nobody can find. So they are read once
 * more when it has fallen. Either that read sees the mark, or who unhashes does so after it, with a reference of his own
 * whose put sees it.
 *
 * Locks, outer to inner: directory's inode.lock, rename_lock, dentry.lock,
 * bucket lock, sb.lru_lock. No two dentry locks are ever held together.
 */
#include "internal.h"

#include <kernel/core/percpu_counter.h>
#include <kernel/mm/page.h>
#include <lib/fls.h>
#include <lib/hash.h>

#define DENTRY_REFS_DEAD (-1000000)
#define BUCKET_LOCKS 256

/* A name too long for the dentry. Shared by two dentries after a rename. */
struct long_name {
	refcount_t ref;
	struct rcu_head rcu;
	char text[];
};

struct kmem_cache *dentry_cache;
struct mutex rename_mutex;
struct seqcount rename_seq;

struct hlist_head *dentry_table;
u32 dentry_table_shift;
static struct spinlock bucket_locks[BUCKET_LOCKS];
static struct spinlock rename_lock;	/* writers of rename_seq */
DEFINE_PERCPU_COUNTER(nr_dentries);
static u64 lru_max;			/* [I] unused names that a superblock may keep */

static inline struct spinlock *bucket_lock(u32 bucket)
{
	return &bucket_locks[bucket % BUCKET_LOCKS];
}

static inline void flags_set(struct dentry *d, u32 bits)
{
	__atomic_fetch_or(&d->flags, bits, __ATOMIC_SEQ_CST);
}

static inline void flags_clear(struct dentry *d, u32 bits)
{
	__atomic_fetch_and(&d->flags, ~bits, __ATOMIC_SEQ_CST);
}

static struct long_name *long_name_of(const struct dentry *d)
{
	return d->name.str == d->inline_name ? NULL :
		container_of((const char (*)[])d->name.str, struct long_name, text);
}

static void long_name_free(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct long_name, rcu));
}

static void long_name_put(struct long_name *n)
{
	if (n && refcount_put_and_test(&n->ref))
		call_rcu(&n->rcu, long_name_free);
}

void dentry_hash_name(const struct dentry *parent, struct qname *name)
{
	(void)parent;
	name->hash = name_hash_bytes(name->str, name->len);
}

/* ---- allocation ---- */

static struct dentry *alloc_bare(struct super_block *sb)
{
	struct dentry *d = kmem_cache_alloc(dentry_cache, 0);

	if (!d)
		return NULL;
	hlist_node_init(&d->hash_node);
	d->inode = NULL;
	d->flags = DENTRY_UNHASHED;
	seqcount_init(&d->seq);
	atomic_store_relaxed(&d->refs, 1);
	spin_init(&d->lock, "dentry", LOCK_RANK_DENTRY);
	d->sb = sb;
	d->ops = sb->d_ops;
	list_init(&d->children);
	list_init(&d->sibling);
	list_init(&d->lru);
	d->cookie = 0;
	d->next_cookie = 3;
	d->private = NULL;
	if (d->ops && d->ops->revalidate)
		d->flags |= DENTRY_REVALIDATE;
	percpu_counter_add(&nr_dentries, 1);
	return d;
}

static void free_bare(struct dentry *d)
{
	percpu_counter_add(&nr_dentries, -1);
	kmem_cache_free(dentry_cache, d);
}

struct dentry *dentry_alloc(struct dentry *parent, const struct qname *name)
{
	struct dentry *d = alloc_bare(parent->sb);
	char *text;

	if (!d)
		return NULL;
	text = d->inline_name;
	if (name->len >= DENTRY_INLINE_NAME) {
		struct long_name *n = kmalloc(sizeof(*n) + name->len + 1 + NAME_SLACK, 0);

		if (!n) {
			free_bare(d);
			return NULL;
		}
		refcount_init(&n->ref, 1);
		text = n->text;
	}
	memcpy(text, name->str, name->len);
	text[name->len] = '\0';
	d->name = (struct qname){ text, name->len, name->hash };
	d->parent = dentry_get(parent);
	return d;
}

static u32 type_of(const struct inode *inode)
{
	if (S_ISDIR(inode->mode))
		return DENTRY_DIR;
	return S_ISLNK(inode->mode) ? DENTRY_SYMLINK : DENTRY_FILE;
}

static struct dentry *alloc_top(struct super_block *sb, struct inode *inode, u32 flags)
{
	struct dentry *d = alloc_bare(sb);

	if (!d)
		return NULL;
	memcpy(d->inline_name, "/", 2);
	d->name = (struct qname){ d->inline_name, 1, 0 };
	d->parent = d;
	d->inode = inode;
	d->flags |= flags | type_of(inode);
	return d;
}

struct dentry *dentry_alloc_root(struct inode *inode)
{
	struct dentry *d = alloc_top(inode->sb, inode, DENTRY_ROOT);

	if (!d)
		inode_put(inode);
	return d;
}

struct dentry *dentry_alloc_nameless(struct super_block *sb, struct inode *inode,
				     const struct dentry_ops *ops, void *private)
{
	struct dentry *d = alloc_top(sb, inode, DENTRY_ROOT | DENTRY_NAMELESS | DENTRY_NOCACHE);

	if (!d)
		return NULL;
	d->ops = ops;
	d->private = private;
	return d;
}

/* ---- the hash ---- */

static void hash_insert(struct dentry *d)
{
	u32 b = dentry_bucket(d->parent, d->name.hash);

	flags_clear(d, DENTRY_UNHASHED);
	spin_lock(bucket_lock(b));
	hlist_add_head_rcu(&d->hash_node, &dentry_table[b]);
	spin_unlock(bucket_lock(b));
}

static void hash_remove(struct dentry *d)
{
	u32 b;

	if (d->flags & DENTRY_UNHASHED)
		return;
	b = dentry_bucket(d->parent, d->name.hash);
	spin_lock(bucket_lock(b));
	hlist_del_init_rcu(&d->hash_node);
	spin_unlock(bucket_lock(b));
	flags_set(d, DENTRY_UNHASHED);
}

void dentry_hash(struct dentry *d)
{
	hash_insert(d);
}

void dentry_unhash(struct dentry *d)
{
	spin_lock(&d->lock);
	if (!(d->flags & DENTRY_UNHASHED)) {
		seqcount_write_begin(&d->seq);
		hash_remove(d);
		seqcount_write_end(&d->seq);
	}
	spin_unlock(&d->lock);
}

struct dentry *dentry_find_rcu(const struct dentry *parent, const struct qname *name, u32 *seqp)
{
	struct dentry *d;

	hlist_for_each_entry_rcu(d, &dentry_table[dentry_bucket(parent, name->hash)], hash_node) {
		const char *text;
		u32 seq;

		if (READ_ONCE(d->name.hash) != name->hash || READ_ONCE(d->parent) != parent)
			continue;
		do {
			seq = seqcount_read_begin(&d->seq);
			text = READ_ONCE(d->name.str);
			if (READ_ONCE(d->name.len) != name->len)
				text = NULL;
		} while (seqcount_read_retry(&d->seq, seq));
		if (!text || d->parent != parent || dentry_is_unhashed(d))
			continue;
		if (name->len && !names_equal(text, name->str, name->len))
			continue;
		*seqp = seq;
		return d;
	}
	return NULL;
}

struct dentry *dentry_find(struct dentry *parent, const struct qname *name)
{
	struct dentry *d;
	u32 seq, moves;

	for (;;) {
		rcu_read_lock();
		moves = seqcount_read_begin(&rename_seq);
		d = dentry_find_rcu(parent, name, &seq);
		if (d && !dentry_get_rcu(d)) {
			/* It is dying: soon it is not there at all. */
			rcu_read_unlock();
			hal_cpu_relax();
			continue;
		}
		rcu_read_unlock();
		if (!d) {
			if (seqcount_read_retry(&rename_seq, moves))
				continue;
			return NULL;
		}
		if (!seqcount_read_retry(&d->seq, seq))
			return d;
		dentry_put(d);
	}
}

struct dentry *dentry_lookup_locked(struct dentry *parent, const struct qname *name)
{
	struct inode *dir = parent->inode;
	struct dentry *d = dentry_find(parent, name);
	int err = 0;

	if (d && (d->flags & DENTRY_REVALIDATE) && d->ops->revalidate(d, true) == 0) {
		dentry_invalidate(d);
		dentry_put(d);
		d = NULL;
	}
	if (d)
		return d;
	if (dir->flags & INODE_DEAD)
		return ERR_PTR(-ENOENT);
	d = dentry_alloc(parent, name);
	if (!d)
		return ERR_PTR(-ENOMEM);
	/* Where directories live in the cache, what is not cached is not there. */
	if (!(d->sb->flags & SB_PINNED_DENTRIES))
		err = dir->ops->lookup(dir, d);
	if (err) {
		dentry_put(d);
		return ERR_PTR(err);
	}
	hash_insert(d);
	return d;
}

/* ---- references ---- */

bool dentry_get_rcu(struct dentry *d)
{
	int v = atomic_load_relaxed(&d->refs);

	do {
		if (v < 0)
			return false;
	} while (!atomic_try_cmpxchg(&d->refs, &v, v + 1));
	return true;
}

static void free_rcu(struct rcu_head *rcu)
{
	struct dentry *d = container_of(rcu, struct dentry, rcu);

	free_bare(d);
}

static void lru_add(struct dentry *d)
{
	struct super_block *sb = d->sb;

	spin_lock(&sb->lru_lock);
	if (!(d->flags & DENTRY_LRU)) {
		list_add_tail(&d->lru, &sb->lru);
		sb->lru_count++;
		flags_set(d, DENTRY_LRU);
	}
	spin_unlock(&sb->lru_lock);
	flags_set(d, DENTRY_REFERENCED);
}

static void lru_del_locked(struct dentry *d)
{
	if (!(d->flags & DENTRY_LRU))
		return;
	list_del_init(&d->lru);
	d->sb->lru_count--;
	flags_clear(d, DENTRY_LRU);
}

/*
 * The dentry's count is dead and its lock held: takes it apart and lets it go.
 * Returns the parent, whose reference is now the caller's to drop, or NULL.
 */
static struct dentry *kill_locked(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;
	struct inode *inode = d->inode;
	struct long_name *name = long_name_of(d);

	flags_set(d, DENTRY_DEAD);
	seqcount_write_begin(&d->seq);
	hash_remove(d);
	WRITE_ONCE(d->inode, NULL);
	flags_clear(d, DENTRY_TYPE);
	seqcount_write_end(&d->seq);
	spin_lock(&d->sb->lru_lock);
	lru_del_locked(d);
	spin_unlock(&d->sb->lru_lock);
	spin_unlock(&d->lock);
	if (d->ops && d->ops->release)
		d->ops->release(d);
	if (inode)
		inode_put(inode);
	long_name_put(name);
	call_rcu(&d->rcu, free_rcu);
	return parent;
}

/* Drops the last reference if it is the last. Returns a parent to go on with. */
static struct dentry *put_slow(struct dentry *d)
{
	bool keep;

	spin_lock(&d->lock);
	if (!atomic_dec_and_test(&d->refs)) {
		spin_unlock(&d->lock);
		return NULL;
	}
	keep = !(d->flags & (DENTRY_UNHASHED | DENTRY_NOCACHE)) &&
	       !(d->ops && d->ops->unused && d->ops->unused(d));
	if (keep) {
		lru_add(d);
		if (unlikely(READ_ONCE(d->sb->lru_count) > lru_max))
			dentry_trim_later(lru_max / 4);
		spin_unlock(&d->lock);
		return NULL;
	}
	if (atomic_cmpxchg(&d->refs, 0, DENTRY_REFS_DEAD) != 0) {
		/* A walker came in the meantime: its put decides. */
		spin_unlock(&d->lock);
		return NULL;
	}
	return kill_locked(d);
}

static inline bool stays_unused(const struct dentry *d)
{
	const u32 idle = DENTRY_LRU | DENTRY_REFERENCED;

	return (READ_ONCE(d->flags) & (idle | DENTRY_UNHASHED | DENTRY_NOCACHE)) == idle;
}

bool dentry_put_to_lru(struct dentry *d)
{
	int one = 1;
	bool gone;

	rcu_read_lock();
	gone = atomic_try_cmpxchg(&d->refs, &one, 0);
	if (gone && unlikely(!stays_unused(d)) && dentry_get_rcu(d))
		gone = false;
	rcu_read_unlock();
	return gone;
}

void dentry_put(struct dentry *d)
{
	might_sleep();
	while (d) {
		int v = atomic_load_relaxed(&d->refs);

		ASSERT(v > 0);
		while (v > 1) {
			if (atomic_try_cmpxchg(&d->refs, &v, v - 1))
				return;
		}
		if (!stays_unused(d))
			d = put_slow(d);
		else if (dentry_put_to_lru(d))
			return;
	}
}

/* ---- contents ---- */

static void attach_inode(struct dentry *d, struct inode *inode)
{
	ASSERT(!d->inode);
	spin_lock(&d->lock);
	seqcount_write_begin(&d->seq);
	WRITE_ONCE(d->inode, inode);
	flags_set(d, type_of(inode));
	seqcount_write_end(&d->seq);
	spin_unlock(&d->lock);
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
	attach_inode(d, inode);
}

static void child_add(struct dentry *d)
{
	struct dentry *parent = d->parent;

	d->cookie = parent->next_cookie++;
	list_add_head(&d->sibling, &parent->children);
}

void dentry_instantiate_pinned(struct dentry *d, struct inode *inode)
{
	dentry_get(d);
	flags_set(d, DENTRY_PINNED);
	child_add(d);
	attach_inode(d, inode);
}

void dentry_delete(struct dentry *d)
{
	dentry_unhash(d);
	if (d->flags & DENTRY_PINNED) {
		list_del_init(&d->sibling);
		flags_clear(d, DENTRY_PINNED);
		dentry_put(d);
	}
}

bool dentry_has_children(struct dentry *d)
{
	return !list_empty(&d->children);
}

void dentry_invalidate(struct dentry *d)
{
	dentry_unhash(d);
	if (READ_ONCE(d->flags) & DENTRY_MOUNTED)
		mount_detach_dentry(d);
}

/* ---- moving ---- */

static void swap_names(struct dentry *a, struct dentry *b)
{
	char text[DENTRY_INLINE_NAME];
	struct qname an = a->name, bn = b->name;
	bool a_inline = an.str == a->inline_name, b_inline = bn.str == b->inline_name;

	memcpy(text, a->inline_name, sizeof(text));
	memcpy(a->inline_name, b->inline_name, sizeof(text));
	memcpy(b->inline_name, text, sizeof(text));
	a->name = (struct qname){ b_inline ? a->inline_name : bn.str, bn.len, bn.hash };
	b->name = (struct qname){ a_inline ? b->inline_name : an.str, an.len, an.hash };
}

/* d gets target's name; target keeps it, to be shown as "(deleted)". Returns what d had. */
static struct long_name *copy_name(struct dentry *d, struct dentry *target)
{
	struct long_name *old = long_name_of(d), *new = long_name_of(target);

	if (new)
		refcount_get(&new->ref);
	else
		memcpy(d->inline_name, target->inline_name, DENTRY_INLINE_NAME);
	d->name = (struct qname){ new ? new->text : d->inline_name, target->name.len,
				  target->name.hash };
	return old;
}

static void child_move(struct dentry *d)
{
	if (!(d->flags & DENTRY_PINNED))
		return;
	list_del_init(&d->sibling);
	child_add(d);
}

void dentry_move(struct dentry *d, struct dentry *target, bool exchange)
{
	struct dentry *old_parent = d->parent, *new_parent = target->parent;
	struct long_name *stale = NULL;

	spin_lock(&rename_lock);
	seqcount_write_begin(&rename_seq);
	seqcount_write_begin(&d->seq);
	seqcount_write_begin(&target->seq);
	hash_remove(d);
	hash_remove(target);
	if (exchange) {
		swap_names(d, target);
		WRITE_ONCE(target->parent, old_parent);
	} else {
		stale = copy_name(d, target);
		if (old_parent != new_parent)
			dentry_get(new_parent);
	}
	WRITE_ONCE(d->parent, new_parent);
	if (exchange) {
		child_move(target);
		hash_insert(target);
	}
	child_move(d);
	hash_insert(d);
	seqcount_write_end(&target->seq);
	seqcount_write_end(&d->seq);
	seqcount_write_end(&rename_seq);
	spin_unlock(&rename_lock);
	long_name_put(stale);
	if (!exchange && old_parent != new_parent)
		dentry_put(old_parent);
}

bool dentry_is_ancestor(const struct dentry *a, const struct dentry *d)
{
	bool found;
	u32 moves;

	rcu_read_lock();
	do {
		const struct dentry *p = d;

		moves = seqcount_read_begin(&rename_seq);
		while (p != a && READ_ONCE(p->parent) != p)
			p = READ_ONCE(p->parent);
		found = p == a;
	} while (seqcount_read_retry(&rename_seq, moves));
	rcu_read_unlock();
	return found;
}

/* ---- shrinking ---- */

/* The oldest unused dentry of sb, its count dead and its lock held; NULL when there is none. */
static struct dentry *pick_victim(struct super_block *sb, bool all)
{
	struct dentry *d;
	u64 tries;

	spin_lock(&sb->lru_lock);
	for (tries = sb->lru_count * 2; tries && !list_empty(&sb->lru); tries--) {
		d = list_first_entry(&sb->lru, struct dentry, lru);
		list_move_tail(&d->lru, &sb->lru);
		/* In use: it stays on the list, since its last put will not look. */
		if (atomic_load_relaxed(&d->refs) != 0)
			continue;
		if (!all && (d->flags & DENTRY_REFERENCED)) {
			flags_clear(d, DENTRY_REFERENCED);
			continue;
		}
		/* dentry.lock is the outer one: only try. */
		if (!spin_trylock(&d->lock))
			continue;
		if (atomic_cmpxchg(&d->refs, 0, DENTRY_REFS_DEAD) == 0) {
			spin_unlock(&sb->lru_lock);
			return d;
		}
		spin_unlock(&d->lock);
	}
	spin_unlock(&sb->lru_lock);
	return NULL;
}

static u64 shrink_sb(struct super_block *sb, u64 nr, bool all)
{
	u64 done = 0;
	struct dentry *d;

	while (done < nr && (d = pick_victim(sb, all))) {
		dentry_put(kill_locked(d));
		done++;
	}
	return done;
}

struct shrink_run {
	u64 left, done;
};

static void shrink_one(struct super_block *sb, void *arg)
{
	struct shrink_run *run = arg;
	u64 n;

	if (!run->left)
		return;
	n = shrink_sb(sb, run->left, false);
	run->left -= MIN(n, run->left);
	run->done += n;
}

u64 dentry_shrink(struct super_block *sb, u64 nr)
{
	struct shrink_run run = { nr, 0 };

	if (sb)
		return shrink_sb(sb, nr, false);
	super_for_each(shrink_one, &run);
	return run.done;
}

u64 dentry_shrink_all(struct super_block *sb)
{
	while (shrink_sb(sb, UINT64_MAX, true))
		;
	return READ_ONCE(sb->lru_count);
}

u64 dentry_count(void)
{
	return (u64)percpu_counter_sum(&nr_dentries);
}

void dentry_cache_init(void)
{
	struct mm_stats stats;
	u64 buckets;

	mm_stats(&stats);
	buckets = CLAMP(roundup_pow2(stats.total / 16), 1024ULL, 1ULL << 20);
	dentry_table = vmalloc(buckets * sizeof(*dentry_table), MM_ZERO);
	dentry_cache = kmem_cache_create("dentry", sizeof(struct dentry), 64, NULL, 0);
	if (!dentry_table || !dentry_cache)
		panic("no memory for the dentry cache");
	lru_max = buckets * 2;
	dentry_table_shift = 32 - ilog2(buckets);
	for (u32 i = 0; i < BUCKET_LOCKS; i++)
		spin_init(&bucket_locks[i], "dentry hash", LOCK_RANK_DENTRY_HASH);
	spin_init(&rename_lock, "rename", LOCK_RANK_RENAME_SPIN);
	mutex_init(&rename_mutex, "rename", LOCK_RANK_RENAME);
	seqcount_init(&rename_seq);
	name_hash_init();
}
