/* SPDX-License-Identifier: MIT */
/*
 * Names going in (copied once, short ones into the caller's frame) and places coming
 * out as text (for getcwd, /proc and error reports).
 */
#include "internal.h"

#include <abi/linux/limits.h>
#include <kernel/core/rcu.h>
#include <kernel/mm/leak.h>
#include <kernel/vm/uaccess.h>

static struct kmem_cache *names_cache;

static char *heap_buffer(struct pathname *pn)
{
	if (!names_cache) {
		struct kmem_cache *c = kmem_cache_create("names", PATH_MAX + 8, 8, NULL, 0), *none = NULL;

		if (!c)
			return NULL;
		if (try_cmpxchg(&names_cache, &none, c))
			mm_leak_ignore(c);
		else
			kmem_cache_destroy(c);
	}
	pn->heap = kmem_cache_alloc(names_cache, 0);
	return pn->heap;
}

void pathname_release_slow(struct pathname *pn)
{
	kmem_cache_free(names_cache, pn->heap);
}

int pathname_from_user(struct pathname *pn, uptr_t user, u32 flags)
{
	ssize_t n = strncpy_from_user(pn->buf, user, PATHNAME_INLINE);

	pn->heap = NULL;
	pn->str = pn->buf;
	if (unlikely(n < 0))
		return (int)n;
	if (unlikely(n >= PATHNAME_INLINE)) {
		char *buf = heap_buffer(pn);

		if (!buf)
			return -ENOMEM;
		n = strncpy_from_user(buf, user, PATH_MAX);
		pn->str = buf;
		if (n < 0 || n >= PATH_MAX) {
			pathname_release_slow(pn);
			return n < 0 ? (int)n : -ENAMETOOLONG;
		}
	}
	pn->len = (size_t)n;
	if (unlikely(!n) && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	return 0;
}

int pathname_from_kernel(struct pathname *pn, const char *str)
{
	char *buf = pn->buf;

	pn->heap = NULL;
	pn->len = strlen(str);
	if (pn->len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (pn->len >= PATHNAME_INLINE) {
		buf = heap_buffer(pn);
		if (!buf)
			return -ENOMEM;
	}
	memcpy(buf, str, pn->len + 1);
	pn->str = buf;
	return 0;
}

/* ---- text from places ---- */

struct text {
	char *start;		/* grows down */
	char *limit;
};

static bool prepend(struct text *t, const char *s, size_t n)
{
	if ((size_t)(t->start - t->limit) < n)
		return false;
	t->start -= n;
	memcpy(t->start, s, n);
	return true;
}

/* Names are read under RCU and checked by the caller's rename_seq: torn ones are thrown away. */
static bool prepend_name(struct text *t, const struct dentry *d)
{
	u32 seq, len;
	const char *str;

	do {
		seq = seqcount_read_begin(&d->seq);
		str = READ_ONCE(d->name.str);
		len = READ_ONCE(d->name.len);
	} while (seqcount_read_retry(&d->seq, seq));
	return prepend(t, str, len) && prepend(t, "/", 1);
}

enum reach { REACHED_ROOT, REACHED_TOP, NO_ROOM };

/* Under RCU: names from (m, d) up to root, or as far up as it goes. */
static enum reach prepend_path(struct text *t, const struct mount *m, const struct dentry *d,
			       const struct path *root)
{
	while (d != root->dentry || m != root->mnt) {
		if (m && d == m->root) {
			const struct mount *up = READ_ONCE(m->parent);

			if (up == m)
				return REACHED_TOP;
			d = READ_ONCE(m->mountpoint);
			m = up;
			continue;
		}
		if (READ_ONCE(d->parent) == d)
			return REACHED_TOP;
		if (!prepend_name(t, d))
			return NO_ROOM;
		d = READ_ONCE(d->parent);
	}
	return REACHED_ROOT;
}

static enum reach build(struct text *t, const struct path *path, const struct path *root)
{
	char *end = t->start;
	enum reach r;
	u32 moves, mounts;

	rcu_read_lock();
	do {
		t->start = end;
		moves = seqcount_read_begin(&rename_seq);
		mounts = seqcount_read_begin(&mount_seq);
		r = prepend_path(t, path->mnt, path->dentry, root);
	} while (seqcount_read_retry(&rename_seq, moves) || seqcount_read_retry(&mount_seq, mounts));
	rcu_read_unlock();
	return r;
}

static bool is_gone(const struct dentry *d)
{
	return dentry_is_unhashed(d) && !dentry_is_root(d);
}

char *path_name(const struct path *path, const struct path *rootp, char *buf, size_t size)
{
	struct text t = { buf + size, buf };
	struct path root = { NULL, NULL };
	enum reach r;
	char *slash;

	if (path->dentry->flags & DENTRY_NAMELESS) {
		int n = path->dentry->ops->name(path->dentry, buf, size);

		return n < (int)size ? buf : ERR_PTR(-ENAMETOOLONG);
	}
	if (!prepend(&t, "", 1) || (is_gone(path->dentry) && !prepend(&t, " (deleted)", 10)))
		return ERR_PTR(-ENAMETOOLONG);
	slash = t.start;
	if (!rootp)
		fs_context_root(fs_context_current(), &root);
	r = build(&t, path, rootp ? rootp : &root);
	if (!rootp)
		path_put(&root);
	if (r == NO_ROOM || (t.start == slash && !prepend(&t, "/", 1)))
		return ERR_PTR(-ENAMETOOLONG);
	return t.start;
}

int path_name_cwd(const struct path *path, const struct path *root, char *buf, size_t size,
		  char **start)
{
	struct text t = { buf + size, buf };
	char *end;
	enum reach r;

	if (is_gone(path->dentry))
		return -ENOENT;
	if (!prepend(&t, "", 1))
		return -ENAMETOOLONG;
	end = t.start;
	r = build(&t, path, root);
	if (r == NO_ROOM || (t.start == end && !prepend(&t, "/", 1)))
		return -ENAMETOOLONG;
	/* getcwd(2), BUGS of Linux since 2.6.36: outside of the root it says so. */
	if (r == REACHED_TOP && !prepend(&t, "(unreachable)", 13))
		return -ENAMETOOLONG;
	*start = t.start;
	return 0;
}
