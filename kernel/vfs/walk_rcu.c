/* SPDX-License-Identifier: MIT */
/*
 * The common walk, in one loop without a call: plain names in directories that everybody may search.
 *
 * walk.c can do all of this and much more, one step at a time through struct walk. Most paths are made of names that
 * are in the cache, lead to directories, and have no mode bits or hooks to ask; here the place stays in registers
 * while they last. Whatever is not plain ends the run: the walk then stands in front of that
 * component, and walk.c looks at it as if nothing had happened, so nothing here has to know an errno.
 *
 * The chain of proofs is walk.c's: a child's seq is read, then its parent, name, flags and inode, then the child's seq
 * and the parent's again. So the child had that name in that directory, and led there, at a moment at which the
 * directory was still where the walk had found it. Before the bytes of a name are compared, pointer and length are
 * known to belong together, as the bytes may be memory that RCU keeps.
 */
#include "internal.h"

#include <abi/linux/limits.h>
#include <kernel/core/rcu.h>

int walk_cross_mounts_rcu(const struct walk *w, struct mount **m, struct dentry **d, u32 *seq)
{
	while (unlikely(READ_ONCE((*d)->flags) & DENTRY_MOUNTED)) {
		struct mount *child = mount_lookup_rcu(*m, *d);

		if (seqcount_read_retry(&mount_seq, w->mount_seq))
			return -ECHILD;
		if (!child)
			return 0;
		if (w->flags & LOOKUP_NO_XDEV)
			return -EXDEV;
		*m = child;
		*d = child->root;
		*seq = seqcount_read_begin(&(*d)->seq);
	}
	return 0;
}

/* The child of that name, with the seq under which it was so; NULL: not here now, or it is being changed. */
static __always_inline struct dentry *find_child(const struct dentry *parent, const char *name, u32 len, u32 hash,
						 u32 *seqp)
{
	struct dentry *d;

	hlist_for_each_entry_rcu(d, &dentry_table[dentry_bucket(parent, hash)], hash_node) {
		const char *text;
		u32 seq;

		if (READ_ONCE(d->name.hash) != hash)
			continue;
		seq = seqcount_read_raw(&d->seq);
		if (READ_ONCE(d->parent) != parent || READ_ONCE(d->name.len) != len)
			continue;
		text = READ_ONCE(d->name.str);
		if (unlikely((seq & 1) || seqcount_read_retry(&d->seq, seq)))
			return NULL;
		if (unlikely(!names_equal(text, name, len)))
			continue;
		*seqp = seq;
		return d;
	}
	return NULL;
}

static inline bool searchable_by_all(const struct inode *inode)
{
	return !(inode->flags & INODE_PERMISSION) && (READ_ONCE(inode->mode) & 0111) == 0111;
}

static __always_inline const char *run(struct walk *w, const char *s)
{
	struct mount *m = w->path.mnt;
	struct dentry *d = w->path.dentry;
	struct inode *inode = w->inode;
	u32 seq = w->seq;

	for (;;) {
		u32 len, hash, child_seq, flags;
		struct inode *child_inode;
		struct mount *child_mount = m;
		struct dentry *child;
		const char *after;

		if (unlikely(*s == '.' || !searchable_by_all(inode)))
			break;
		hash = name_hash_component(s, &len);
		if (unlikely(len > NAME_MAX))
			break;
		for (after = s + len; *after == '/'; after++)
			;
		if (!*after) {
			if (unlikely(w->depth))
				break;
			w->last = (struct qname){ s, len, hash };
			w->last_type = LAST_NORM;
			w->trailing = after != s + len;
			s = NULL;
			break;
		}
		child = find_child(d, s, len, hash, &child_seq);
		if (unlikely(!child))
			break;
		flags = READ_ONCE(child->flags);
		child_inode = READ_ONCE(child->inode);
		if (unlikely((flags & (DENTRY_TYPE | DENTRY_UNHASHED | DENTRY_REVALIDATE)) != DENTRY_DIR || !child_inode ||
			     seqcount_read_retry(&child->seq, child_seq) || seqcount_read_retry(&d->seq, seq)))
			break;
		if (unlikely(flags & DENTRY_MOUNTED)) {
			if (walk_cross_mounts_rcu(w, &child_mount, &child, &child_seq))
				break;
			child_inode = READ_ONCE(child->inode);
			if (!child_inode || seqcount_read_retry(&child->seq, child_seq) || !S_ISDIR(child_inode->mode))
				break;
		}
		m = child_mount;
		d = child;
		inode = child_inode;
		seq = child_seq;
		s = after;
	}
	w->path = (struct path){ m, d };
	w->inode = inode;
	w->seq = seq;
	return s;
}

static __always_inline bool last(struct walk *w)
{
	struct inode *inode;
	struct dentry *d;
	u32 seq, flags;

	if (unlikely(w->trailing || (w->flags & LOOKUP_DIRECTORY)))
		return false;
	d = find_child(w->path.dentry, w->last.str, w->last.len, w->last.hash, &seq);
	if (unlikely(!d))
		return false;
	flags = READ_ONCE(d->flags);
	inode = READ_ONCE(d->inode);
	if (unlikely(!inode || (flags & (DENTRY_UNHASHED | DENTRY_REVALIDATE | DENTRY_MOUNTED)) ||
		     (flags & DENTRY_TYPE) == DENTRY_SYMLINK || seqcount_read_retry(&d->seq, seq) ||
		     seqcount_read_retry(&w->path.dentry->seq, w->seq)))
		return false;
	w->path.dentry = d;
	w->inode = inode;
	w->seq = seq;
	return true;
}

const char *walk_run_rcu(struct walk *w, const char *s)
{
	return run(w, s);
}

bool walk_last_rcu(struct walk *w)
{
	return last(w);
}

bool walk_all_rcu(struct walk *w, const char **name)
{
	const char *s = *name;

	while (*s == '/')
		s++;
	if (unlikely(!*s))
		return false;
	*name = s = run(w, s);
	return likely(!s) && !(w->flags & LOOKUP_PARENT) && last(w);
}
