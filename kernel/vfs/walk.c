/* SPDX-License-Identifier: MIT */
/*
 * The path walk.
 *
 * One piece of code in two modes. Under RCU (w->rcu) nothing is counted: each
 * step reads the child's seq and then checks the parent's, so a chain of steps is
 * as good as if it had happened at one moment; mounts are validated by mount_seq. When a step cannot
 * be made so (not cached, must sleep, changed meanwhile), the walk takes
 * references on where it stands and goes on with those, if it is in no symlink; else it
 * returns -ECHILD and is done again with references from the start, which cannot fail that way.
 *
 * A symlink's text is walked in place: what remains behind it is pushed on a
 * stack, unless nothing remains. Text needs its inode alive: RCU does that, or a reference in
 * w->held until the walk ends.
 *
 * The plain stretches of an RCU walk are run through by walk_rcu.c.
 *
 * What was rejected: converting a walk in the middle of nested symlinks (many
 * counters to legitimise, seldom needed).
 */
#include "internal.h"

#include <abi/linux/limits.h>
#include <kernel/core/rcu.h>

/* ---- start and end ---- */

/* Root and, if asked for, working directory, consistent with each other; where the walk starts. */
static inline void read_context(struct walk *w, bool use_cwd)
{
	const struct fs_context *fs = fs_context_current();
	const struct path *from = use_cwd ? &fs->cwd : &fs->root;
	u32 seq;

	do {
		seq = seqcount_read_begin(&fs->seq);
		w->root.mnt = READ_ONCE(fs->root.mnt);
		w->root.dentry = READ_ONCE(fs->root.dentry);
		w->path.mnt = READ_ONCE(from->mnt);
		w->path.dentry = READ_ONCE(from->dentry);
	} while (seqcount_read_retry(&fs->seq, seq));
}

/* With references instead: under the context's lock. */
static void get_context(struct walk *w, struct path *cwd, bool need_cwd)
{
	struct fs_context *fs = fs_context_current();

	spin_lock(&fs->lock);
	w->root = fs->root;
	path_get(&w->root);
	if (need_cwd) {
		*cwd = fs->cwd;
		path_get(cwd);
	}
	spin_unlock(&fs->lock);
	w->root_counted = true;
}

static int stand_on(struct walk *w, const struct path *p)
{
	w->path = *p;
	if (w->rcu)
		w->seq = seqcount_read_begin(&p->dentry->seq);
	w->inode = READ_ONCE(p->dentry->inode);
	/* Only under RCU can it have died since it was looked at. */
	return likely(w->inode) ? 0 : -ECHILD;
}

static int start_at_fd(struct walk *w, int dfd, const char *name)
{
	struct fdref f = fd_get_raw(dfd);
	int err;

	if (!f.file)
		return -EBADF;
	if (*name && !dentry_is_dir(f.file->path.dentry)) {
		err = -ENOTDIR;
		goto keep;
	}
	if (!w->rcu)
		path_get(&f.file->path);
	err = stand_on(w, &f.file->path);
keep:
	if (w->rcu && f.counted)
		w->start = f.file;
	else
		fd_put(f);
	return err;
}

/*
 * A directory that is moved out of the scope while the walk stands in it or below takes ".." out with it, where the root is not met
 * any more. So such a walk goes up only as long as nothing at all has moved since it began: else "try again", openat2(2).
 */
static noinline void watch_moves(struct walk *w)
{
	w->rename_seq = seqcount_read_begin(&rename_seq);
	w->mount_seq = seqcount_read_begin(&mount_seq);
}

static noinline int check_moves(const struct walk *w)
{
	return seqcount_read_retry(&rename_seq, w->rename_seq) || seqcount_read_retry(&mount_seq, w->mount_seq) ? -EAGAIN : 0;
}

/* Where a scoped walk starts is its root. */
static noinline void enter_scope(struct walk *w)
{
	if (!w->rcu) {
		path_put(&w->root);
		path_get(&w->path);
	}
	w->root = w->path;
}

static noinline int walk_start_counted(struct walk *w, int dfd, const char *name, bool absolute)
{
	bool use_cwd = !absolute && dfd == AT_FDCWD;
	struct path cwd = { NULL, NULL };

	w->path = (struct path){ NULL, NULL };
	get_context(w, &cwd, use_cwd);
	if (absolute) {
		path_get(&w->root);
		return stand_on(w, &w->root);
	}
	return use_cwd ? stand_on(w, &cwd) : start_at_fd(w, dfd, name);
}

int walk_start(struct walk *w, int dfd, const char *name, u32 flags, bool rcu)
{
	bool absolute = *name == '/' && !(flags & LOOKUP_IN_ROOT);
	int err;

	w->flags = flags;
	w->rcu = rcu;
	w->trailing = w->jumped = w->root_counted = false;
	w->links = w->depth = w->nr_held = 0;
	w->start = NULL;
	w->last_type = LAST_ROOT;
	if (unlikely(absolute && (flags & LOOKUP_BENEATH))) {
		w->path = (struct path){ NULL, NULL };
		return -EXDEV;
	}
	if (unlikely(flags & LOOKUP_SCOPED))
		watch_moves(w);
	if (unlikely(!rcu)) {
		err = walk_start_counted(w, dfd, name, absolute);
	} else {
		w->mount_seq = seqcount_read_begin(&mount_seq);
		read_context(w, !absolute && dfd == AT_FDCWD);
		err = likely(absolute || dfd == AT_FDCWD) ? stand_on(w, &w->path) : start_at_fd(w, dfd, name);
	}
	if (!err && unlikely(flags & LOOKUP_SCOPED))
		enter_scope(w);
	return err;
}

static void release_held(struct walk *w)
{
	while (w->nr_held) {
		w->nr_held--;
		kfree(w->held[w->nr_held].heap);
		dentry_put(w->held[w->nr_held].dentry);
	}
}

static noinline void put_start(struct walk *w)
{
	file_put(w->start);
	w->start = NULL;
}

/* The read section is over. */
static inline void leave_section(struct walk *w)
{
	rcu_read_unlock();
	if (unlikely(w->start))
		put_start(w);
}

void walk_end(struct walk *w, bool keep)
{
	if (w->rcu) {
		w->rcu = false;
		leave_section(w);
		return;
	}
	if (unlikely(w->nr_held))
		release_held(w);
	if (w->root_counted)
		path_put(&w->root);
	if (!keep && w->path.dentry)
		path_put(&w->path);
}

int walk_leave_rcu(struct walk *w)
{
	struct path *p = &w->path;
	bool drop = false;

	if (!w->rcu)
		return 0;
	w->rcu = false;
	if (unlikely(!mount_get_rcu(p->mnt, w->mount_seq, &drop)))
		goto failed;
	if (unlikely(!dentry_get_rcu(p->dentry))) {
		drop = true;
		goto failed;
	}
	leave_section(w);
	if (likely(!seqcount_read_retry(&p->dentry->seq, w->seq)))
		return 0;
	path_put(p);
	p->dentry = NULL;
	return -ECHILD;
failed:
	leave_section(w);
	if (drop)
		mount_put(p->mnt);
	p->dentry = NULL;
	return -ECHILD;
}

/* Symlinks followed under RCU keep no text alive: then only the walk with references can go on. */
int walk_unlazy(struct walk *w)
{
	struct path root;
	int err;

	if (w->depth || w->links)
		return -ECHILD;
	root = w->root;
	err = walk_leave_rcu(w);
	if (err)
		return err;
	if (w->flags & LOOKUP_SCOPED)
		return -ECHILD;
	/* The root may have changed since: then all of the walk is void. */
	get_context(w, NULL, false);
	return path_equal(&root, &w->root) ? 0 : -ECHILD;
}

/* ---- one step ---- */

static int may_search(struct walk *w)
{
	struct inode *inode = w->inode;
	int err;

	/* Searchable for everybody: no need to know who asks. */
	if (likely(!(inode->flags & INODE_PERMISSION))) {
		if (likely((READ_ONCE(inode->mode) & 0111) == 0111))
			return 0;
		return inode_permission_generic(inode, MAY_EXEC);
	}
	err = inode->ops->permission(inode, MAY_EXEC, !w->rcu);
	if (err == -EAGAIN && w->rcu) {
		err = walk_unlazy(w);
		if (!err)
			err = inode->ops->permission(inode, MAY_EXEC, true);
	}
	return err;
}

static int check_xdev(const struct walk *w, const struct mount *m)
{
	return (w->flags & LOOKUP_NO_XDEV) && m != w->path.mnt ? -EXDEV : 0;
}

int walk_cross_mounts(struct path *p, u32 flags, struct mount *start)
{
	while (unlikely(READ_ONCE(p->dentry->flags) & DENTRY_MOUNTED)) {
		struct mount *child = mount_lookup_get(p->mnt, p->dentry);

		if (!child)
			break;
		if (p->mnt != start)
			mount_put(p->mnt);
		dentry_put(p->dentry);
		p->mnt = child;
		p->dentry = dentry_get(child->root);
		if (flags & LOOKUP_NO_XDEV)
			return -EXDEV;
	}
	return 0;
}

static int dotdot_rcu(struct walk *w)
{
	struct mount *m = w->path.mnt;
	struct dentry *d = w->path.dentry, *parent;
	u32 seq = w->seq;
	int err;

	while (d == m->root && !(d == w->root.dentry && m == w->root.mnt)) {
		struct mount *up = READ_ONCE(m->parent);
		struct dentry *at = READ_ONCE(m->mountpoint);

		if (up == m)
			break;
		seq = seqcount_read_begin(&at->seq);
		if (seqcount_read_retry(&mount_seq, w->mount_seq))
			return -ECHILD;
		m = up;
		d = at;
	}
	if (!(d == w->root.dentry && m == w->root.mnt)) {
		u32 parent_seq;

		parent = READ_ONCE(d->parent);
		parent_seq = seqcount_read_begin(&parent->seq);
		if (seqcount_read_retry(&d->seq, seq))
			return -ECHILD;
		d = parent;
		seq = parent_seq;
	} else if (w->flags & LOOKUP_BENEATH) {
		return -EXDEV;
	}
	err = walk_cross_mounts_rcu(w, &m, &d, &seq);
	if (!err)
		err = check_xdev(w, m);
	if (err)
		return err;
	w->path = (struct path){ m, d };
	w->seq = seq;
	w->inode = READ_ONCE(d->inode);
	if (!w->inode || seqcount_read_retry(&d->seq, seq))
		return -ECHILD;
	return 0;
}

/* A reference on d's parent. */
static struct dentry *parent_get(struct dentry *d)
{
	struct dentry *p;
	bool ok;

	do {
		rcu_read_lock();
		p = READ_ONCE(d->parent);
		ok = dentry_get_rcu(p);
		rcu_read_unlock();
		if (ok && p != READ_ONCE(d->parent)) {
			dentry_put(p);
			ok = false;
		}
	} while (!ok);
	return p;
}

/* The place that a mount is mounted on, with references; false at the top of the tree. */
static bool mountpoint_get(struct mount *m, struct path *out)
{
	bool got, drop;
	u32 seq;

	do {
		rcu_read_lock();
		seq = seqcount_read_begin(&mount_seq);
		out->mnt = READ_ONCE(m->parent);
		out->dentry = READ_ONCE(m->mountpoint);
		if (out->mnt == m) {
			rcu_read_unlock();
			return false;
		}
		got = mount_get_rcu(out->mnt, seq, &drop);
		if (got && !dentry_get_rcu(out->dentry)) {
			got = false;
			drop = true;
		}
		rcu_read_unlock();
		if (drop)
			mount_put(out->mnt);
	} while (!got);
	return true;
}

static int dotdot_ref(struct walk *w)
{
	struct mount *start = w->path.mnt;
	struct path p = w->path, up;
	int err;

	path_get(&p);
	while (p.dentry == p.mnt->root && !path_equal(&p, &w->root)) {
		if (!mountpoint_get(p.mnt, &up))
			break;
		path_put(&p);
		p = up;
	}
	if (!path_equal(&p, &w->root)) {
		struct dentry *parent = parent_get(p.dentry);

		dentry_put(p.dentry);
		p.dentry = parent;
	} else if (w->flags & LOOKUP_BENEATH) {
		path_put(&p);
		return -EXDEV;
	}
	err = walk_cross_mounts(&p, w->flags, NULL);
	if (!err && (w->flags & LOOKUP_NO_XDEV) && p.mnt != start)
		err = -EXDEV;
	if (err) {
		path_put(&p);
		return err;
	}
	path_put(&w->path);
	w->path = p;
	w->inode = p.dentry->inode;
	return 0;
}

struct dentry *lookup_one(struct dentry *parent, struct inode *dir, const struct qname *name)
{
	struct dentry *d = dentry_find(parent, name);

	if (d && (d->flags & DENTRY_REVALIDATE) && d->ops->revalidate(d, true) == 0) {
		dentry_invalidate(d);
		dentry_put(d);
		d = NULL;
	}
	if (d)
		return d;
	rwsem_write_lock(&dir->lock);
	d = dentry_lookup_locked(parent, name);
	rwsem_write_unlock(&dir->lock);
	return d;
}

static int step_ref(struct walk *w, const struct qname *name, bool follow)
{
	struct path p = { w->path.mnt, NULL };
	int err;

	p.dentry = lookup_one(w->path.dentry, w->inode, name);
	if (IS_ERR(p.dentry))
		return (int)PTR_ERR(p.dentry);
	if (dentry_is_negative(p.dentry)) {
		dentry_put(p.dentry);
		return -ENOENT;
	}
	if (unlikely(dentry_is_symlink(p.dentry)) && follow) {
		struct dentry *link = p.dentry;

		err = walk_follow(w, link, link->inode);
		dentry_put(link);
		return err;
	}
	err = walk_cross_mounts(&p, w->flags, w->path.mnt);
	dentry_put(w->path.dentry);
	if (p.mnt != w->path.mnt)
		mount_put(w->path.mnt);
	w->path = p;
	w->inode = p.dentry->inode;
	return err;
}

static int step_rcu(struct walk *w, const struct qname *name, bool follow)
{
	struct mount *m = w->path.mnt;
	struct dentry *d;
	struct inode *inode;
	u32 seq, flags;
	int err;

	d = dentry_find_rcu(w->path.dentry, name, &seq);
	if (unlikely(seqcount_read_retry(&w->path.dentry->seq, w->seq)))
		return -ECHILD;
	if (unlikely(!d))
		goto slow;
	flags = READ_ONCE(d->flags);
	if (unlikely(flags & DENTRY_REVALIDATE) && d->ops->revalidate(d, false) != 1)
		goto slow;
	inode = READ_ONCE(d->inode);
	if (unlikely(seqcount_read_retry(&d->seq, seq)))
		return -ECHILD;
	if (!inode)
		return -ENOENT;
	if (unlikely((flags & DENTRY_TYPE) == DENTRY_SYMLINK) && follow)
		return walk_follow(w, d, inode);
	if (unlikely(flags & DENTRY_MOUNTED)) {
		err = walk_cross_mounts_rcu(w, &m, &d, &seq);
		if (err)
			return err;
		inode = READ_ONCE(d->inode);
		if (!inode || seqcount_read_retry(&d->seq, seq))
			return -ECHILD;
	}
	w->path.mnt = m;
	w->path.dentry = d;
	w->seq = seq;
	w->inode = inode;
	return 0;
slow:
	err = walk_unlazy(w);
	return err ? err : step_ref(w, name, follow);
}

/* 0: moved; 1: met a symlink whose text is in w->link; or -errno. */
static int step(struct walk *w, const struct qname *name, enum last_type type, bool follow)
{
	int err;

	if (likely(type == LAST_NORM))
		return w->rcu ? step_rcu(w, name, follow) : step_ref(w, name, follow);
	if (type != LAST_DOTDOT)
		return 0;
	err = w->rcu ? dotdot_rcu(w) : dotdot_ref(w);
	return !err && unlikely(w->flags & LOOKUP_SCOPED) ? check_moves(w) : err;
}

/* ---- symlinks ---- */

static int jump_to_root(struct walk *w)
{
	if (w->flags & LOOKUP_BENEATH)
		return -EXDEV;
	if ((w->flags & LOOKUP_NO_XDEV) && w->root.mnt != w->path.mnt)
		return -EXDEV;
	if (!w->rcu) {
		path_get(&w->root);
		path_put(&w->path);
	}
	w->jumped = true;
	return stand_on(w, &w->root);
}

static int jump_to(struct walk *w, struct path *to)
{
	if (w->flags & (LOOKUP_NO_MAGICLINKS | LOOKUP_SCOPED)) {
		path_put(to);
		return w->flags & LOOKUP_NO_MAGICLINKS ? -ELOOP : -EXDEV;
	}
	if ((w->flags & LOOKUP_NO_XDEV) && to->mnt != w->path.mnt) {
		path_put(to);
		return -EXDEV;
	}
	path_put(&w->path);
	w->path = *to;
	w->inode = to->dentry->inode;
	w->jumped = true;
	return 0;
}

int walk_follow(struct walk *w, struct dentry *d, struct inode *inode)
{
	struct path jump = { NULL, NULL };
	void *heap = NULL;
	const char *text;
	u32 held;

	if (++w->links > MAX_SYMLINKS || (w->flags & LOOKUP_NO_SYMLINKS) ||
	    (READ_ONCE(w->path.mnt->flags) & MOUNT_NOSYMFOLLOW))
		return -ELOOP;
	if (!inode->ops->get_link)
		return -EINVAL;
	text = inode->ops->get_link(d, inode, !w->rcu, &heap, &jump);
	if (IS_ERR(text))
		return w->rcu && PTR_ERR(text) == -EAGAIN ? -ECHILD : (int)PTR_ERR(text);
	inode_touch_atime(inode, w->path.mnt);
	if (!w->rcu) {
		held = w->nr_held++;
		w->held[held].dentry = dentry_get(d);
		w->held[held].heap = heap;
	}
	if (!text)
		return jump_to(w, &jump);
	if (!*text)
		return -ENOENT;
	w->link = text;
	return 1;
}

/* ---- many steps ---- */

static inline const char *skip_slashes(const char *s)
{
	while (*s == '/')
		s++;
	return s;
}

static inline enum last_type type_of(const char *s, u32 len)
{
	if (unlikely(s[0] == '.')) {
		if (len == 1)
			return LAST_DOT;
		if (len == 2 && s[1] == '.')
			return LAST_DOTDOT;
	}
	return LAST_NORM;
}

int walk_parent(struct walk *w, const char *s)
{
	int err;

	s = skip_slashes(s);
	if (!*s) {
		w->last_type = LAST_ROOT;
		return 0;
	}
	if (likely(w->rcu)) {
		s = walk_run_rcu(w, s);
		if (likely(!s))
			return 0;
	}
	for (;;) {
		const char *after;

		err = may_search(w);
		if (unlikely(err))
			return err;
		w->last.str = s;
		w->last.hash = name_hash_component(s, &w->last.len);
		w->last_type = type_of(s, w->last.len);
		if (unlikely(w->last.len > NAME_MAX))
			return -ENAMETOOLONG;
		s += w->last.len;
		after = skip_slashes(s);
		w->trailing = after != s;
		s = after;
		if (!*s) {
			if (likely(!w->depth))
				return 0;
			s = w->rest[--w->depth];
		}
		err = step(w, &w->last, w->last_type, true);
		if (unlikely(err == 1)) {
			w->rest[w->depth++] = s;
			s = w->link;
			if (*s == '/') {
				err = jump_to_root(w);
				if (err)
					return err;
				s = skip_slashes(s);
				if (!*s)
					s = w->rest[--w->depth];
			}
		} else if (unlikely(err)) {
			return err;
		}
		if (unlikely(!S_ISDIR(w->inode->mode)))
			return -ENOTDIR;
	}
}

int walk_link_parent(struct walk *w)
{
	const char *s = w->link;
	bool trailing = w->trailing;
	int err;

	if (*s == '/') {
		err = jump_to_root(w);
		if (err)
			return err;
	}
	err = walk_parent(w, s);
	/* "link/": what it leads to must be a directory. */
	w->trailing |= trailing;
	return err;
}

int walk_last(struct walk *w)
{
	if (likely(w->rcu && w->last_type == LAST_NORM) && walk_last_rcu(w))
		return 0;
	for (;;) {
		bool follow = (w->flags & LOOKUP_FOLLOW) || w->trailing;
		int err = 0;

		if (w->last_type != LAST_ROOT)
			err = step(w, &w->last, w->last_type, follow);
		if (likely(!err))
			break;
		if (err != 1)
			return err;
		err = walk_link_parent(w);
		if (err)
			return err;
	}
	if (((w->flags & LOOKUP_DIRECTORY) || w->trailing) && !S_ISDIR(w->inode->mode))
		return -ENOTDIR;
	return 0;
}

/* ---- the look-ups ---- */

static int lookup_mode(struct walk *w, int dfd, const char *name, u32 flags, bool rcu)
{
	int err;

	if (rcu)
		rcu_read_lock();
	err = walk_start(w, dfd, name, flags, rcu);
	if (unlikely(err))
		return err;
	if (likely(rcu) && likely(walk_all_rcu(w, &name)))
		return 0;
	if (name)
		err = walk_parent(w, name);
	if (!err && !(flags & LOOKUP_PARENT))
		err = walk_last(w);
	return err;
}

int path_lookup(int dfd, const struct pathname *pn, u32 flags, struct path *out)
{
	struct walk w;
	int err;

	err = lookup_mode(&w, dfd, pn->str, flags, true);
	if (likely(!err && w.rcu)) {
		err = walk_leave_rcu(&w);
		if (likely(!err)) {
			*out = w.path;
			return 0;
		}
	} else {
		walk_end(&w, !err);
	}
	if (unlikely(err == -ECHILD)) {
		err = lookup_mode(&w, dfd, pn->str, flags, false);
		walk_end(&w, !err);
	}
	if (!err)
		*out = w.path;
	return err;
}

int path_lookup_parent(int dfd, const struct pathname *pn, u32 flags, struct path_parent *out)
{
	struct walk w;
	int err;

	flags |= LOOKUP_PARENT;
	err = lookup_mode(&w, dfd, pn->str, flags, true);
	if (!err && w.rcu) {
		err = walk_leave_rcu(&w);
	} else {
		walk_end(&w, !err);
	}
	if (err == -ECHILD) {
		err = lookup_mode(&w, dfd, pn->str, flags, false);
		walk_end(&w, !err);
	}
	if (err)
		return err;
	out->path = w.path;
	out->last = w.last;
	out->type = w.last_type;
	out->trailing_slash = w.trailing;
	return 0;
}

int path_stat(int dfd, const struct pathname *pn, u32 flags, struct kstat *st)
{
	struct walk w;
	struct path path;
	int err;

	err = lookup_mode(&w, dfd, pn->str, flags, true);
	if (likely(!err && w.rcu && !(w.inode->flags & INODE_GETATTR))) {
		inode_getattr_generic(&w.path, w.inode, st);
		if (seqcount_read_retry(&w.path.dentry->seq, w.seq))
			err = -ECHILD;
		walk_end(&w, false);
		if (likely(!err))
			return 0;
	} else if (err && err != -ECHILD) {
		walk_end(&w, false);
		return err;
	} else {
		walk_end(&w, false);
	}
	err = path_lookup(dfd, pn, flags, &path);
	if (err)
		return err;
	err = vfs_getattr(&path, st);
	path_put(&path);
	return err;
}

int path_lookup_user(int dfd, uptr_t name, u32 flags, struct path *out)
{
	struct pathname pn;
	int err = pathname_from_user(&pn, name, flags);

	if (err)
		return err;
	err = path_lookup(dfd, &pn, flags, out);
	pathname_release(&pn);
	return err;
}

int path_lookup_kernel(const char *name, u32 flags, struct path *out)
{
	struct pathname pn;
	int err = pathname_from_kernel(&pn, name);

	if (err)
		return err;
	err = path_lookup(AT_FDCWD, &pn, flags, out);
	pathname_release(&pn);
	return err;
}
