/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: fcntl_locking(2) of processes and of open files (OFD), and flock(2).
 *
 * An inode that was ever locked has a context: two lists under one spinlock, and a queue
 * for those who wait. Whoever is refused waits for any change and tries again.
 * Record locks are owned by the descriptor table, OFD and flock locks by the open file.
 *
 * Deadlock among record locks: each waiter notes whose lock it waits for; before
 * it waits it follows these notes, at most DEADLOCK_HOPS of them (as Linux: OFD and flock
 * waiters are not looked at, fcntl(2)).
 *
 * Decode, then commit: what a change of ranges can need (the new lock and the second half of
 * one that is split) is allocated before the lock is taken.
 *
 * Keys: [c] context's lock, [w] waiters_lock.
 */
#include "internal.h"

#include <kernel/mm/leak.h>
#include <kernel/sched/wait.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/vfs/locks.h>
#include <kernel/vfs/seq.h>

#define DEADLOCK_HOPS 10
#define OFFSET_MAX INT64_MAX

struct range_lock {
	struct list_head node;		/* [c] posix list by start */
	const void *owner;		/* [I] struct files or struct file */
	int pid;			/* [I] -1 for OFD */
	s16 type;			/* [c] F_RDLCK, F_WRLCK */
	s64 start, end;			/* [c] inclusive */
};

struct lock_context {
	struct spinlock lock;
	struct list_head posix;		/* [c] record and OFD locks */
	struct list_head flock;		/* [c] */
	struct waitq wait;
	u32 changes;			/* [a] counts removals and downgrades */
};

struct lock_waiter {
	struct list_head node;		/* [w] */
	const void *owner, *blocker;
};

static struct spinlock waiters_lock;
static LIST_HEAD(waiters);

static struct lock_context *context_of(struct inode *inode)
{
	struct lock_context *c = smp_load_acquire(&inode->locks), *none = NULL;

	if (c)
		return c;
	c = kzalloc(sizeof(*c), 0);
	if (!c)
		return NULL;
	spin_init(&c->lock, "file locks", LOCK_RANK_INODE);
	list_init(&c->posix);
	list_init(&c->flock);
	waitq_init(&c->wait);
	if (!try_cmpxchg(&inode->locks, &none, c)) {
		kfree(c);
		return none;
	}
	mm_leak_ignore(c); /* as old as its inode gets: one of /proc or of the root stays for ever */
	return c;
}

void locks_free_context(struct inode *inode)
{
	kfree(inode->locks);
	inode->locks = NULL;
}

static void changed(struct lock_context *c)
{
	__atomic_fetch_add(&c->changes, 1, __ATOMIC_SEQ_CST);
	waitq_wake_all(&c->wait);
}

static bool overlaps(const struct range_lock *l, s64 start, s64 end)
{
	return l->start <= end && l->end >= start;
}

/* The first lock of another owner that forbids this. Context locked. */
static struct range_lock *find_conflict(struct lock_context *c, const void *owner, int type,
					s64 start, s64 end)
{
	struct range_lock *l;

	list_for_each_entry(l, &c->posix, node)
		if (l->owner != owner && overlaps(l, start, end) &&
		    (type == F_WRLCK || l->type == F_WRLCK))
			return l;
	return NULL;
}

static void insert_sorted(struct lock_context *c, struct range_lock *new)
{
	struct range_lock *l;

	list_for_each_entry(l, &c->posix, node) {
		if (l->start > new->start) {
			list_add_tail(&new->node, &l->node);
			return;
		}
	}
	list_add_tail(&new->node, &c->posix);
}

/* Neighbours of one owner and type become one lock; what is left over goes on `dead`. */
static void merge(struct lock_context *c, struct range_lock *new, struct list_head *dead)
{
	struct range_lock *l, *next;

	list_for_each_entry_safe(l, next, &c->posix, node) {
		if (l == new || l->owner != new->owner || l->type != new->type)
			continue;
		if ((new->start > 0 && l->end < new->start - 1) ||
		    (new->end < OFFSET_MAX && l->start > new->end + 1))
			continue;
		new->start = MIN(new->start, l->start);
		new->end = MAX(new->end, l->end);
		list_del(&l->node);
		list_add_tail(&l->node, dead);
	}
	/* Its start may have moved: keep the order. */
	list_del(&new->node);
	insert_sorted(c, new);
}

/*
 * Cuts [start, end] out of the owner's locks. `split` is used if one is cut in
 * two; returns whether it was.
 */
static bool cut(struct lock_context *c, const void *owner, s64 start, s64 end,
		struct range_lock *split, struct list_head *dead)
{
	struct range_lock *l, *next;
	bool used = false;

	list_for_each_entry_safe(l, next, &c->posix, node) {
		if (l->owner != owner || !overlaps(l, start, end))
			continue;
		if (l->start < start && l->end > end) {
			*split = *l;
			split->start = end + 1;
			l->end = start - 1;
			insert_sorted(c, split);
			used = true;
			break;
		}
		if (l->start < start) {
			l->end = start - 1;
		} else if (l->end > end) {
			l->start = end + 1;
			list_del(&l->node);
			insert_sorted(c, l);
		} else {
			list_del(&l->node);
			list_add_tail(&l->node, dead);
		}
	}
	return used;
}

static void free_list(struct list_head *dead)
{
	struct range_lock *l, *next;

	list_for_each_entry_safe(l, next, dead, node)
		kfree(l);
}

/* 0, -EAGAIN (with whose lock is in the way in *blocker), -ENOLCK. */
static int try_range(struct lock_context *c, const struct range_lock *want, const void **blocker)
{
	struct range_lock *new = kmalloc(sizeof(*new), 0), *split = kmalloc(sizeof(*split), 0), *l;
	bool used_new = false, used_split = false;
	LIST_HEAD(dead);
	int err = 0;

	if (!new || !split) {
		kfree(new);
		kfree(split);
		return -ENOLCK;
	}
	spin_lock(&c->lock);
	l = want->type == F_UNLCK ? NULL :
		find_conflict(c, want->owner, want->type, want->start, want->end);
	if (l) {
		*blocker = l->owner;
		err = -EAGAIN;
	} else {
		used_split = cut(c, want->owner, want->start, want->end, split, &dead);
		if (want->type != F_UNLCK) {
			*new = *want;
			insert_sorted(c, new);
			merge(c, new, &dead);
			used_new = true;
		}
	}
	spin_unlock(&c->lock);
	if (!used_new)
		kfree(new);
	if (!used_split)
		kfree(split);
	free_list(&dead);
	if (!err)
		changed(c);	/* a downgrade or an unlock may let others go on */
	return err;
}

/* Would owner, waiting for blocker, wait for itself? waiters_lock held. */
static bool would_deadlock(const void *owner, const void *blocker)
{
	for (int hops = 0; hops < DEADLOCK_HOPS; hops++) {
		struct lock_waiter *w;
		const void *next = NULL;

		if (blocker == owner)
			return true;
		list_for_each_entry(w, &waiters, node)
			if (w->owner == blocker)
				next = w->blocker;
		if (!next)
			return false;
		blocker = next;
	}
	return false;
}

static int wait_range(struct lock_context *c, const struct range_lock *want, bool detect)
{
	struct lock_waiter me = { .owner = want->owner };
	int err;

	for (;;) {
		u32 seen = __atomic_load_n(&c->changes, __ATOMIC_SEQ_CST);
		bool dead;

		err = try_range(c, want, &me.blocker);
		if (err != -EAGAIN)
			return err;
		if (detect) {
			spin_lock(&waiters_lock);
			dead = would_deadlock(me.owner, me.blocker);
			if (!dead)
				list_add_tail(&me.node, &waiters);
			spin_unlock(&waiters_lock);
			if (dead)
				return -EDEADLK;
		}
		err = WAIT_EVENT_INTERRUPTIBLE(&c->wait,
			__atomic_load_n(&c->changes, __ATOMIC_SEQ_CST) != seen, "file lock");
		if (detect) {
			spin_lock(&waiters_lock);
			list_del(&me.node);
			spin_unlock(&waiters_lock);
		}
		if (err)
			return err;
	}
}

/* struct flock to a range. -EINVAL, -EOVERFLOW. */
static int decode_range(struct file *file, const struct flock *lk, struct range_lock *out)
{
	s64 base;

	switch (lk->l_whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = file->pos;
		break;
	case SEEK_END:
		base = (s64)inode_size(file->inode);
		break;
	default:
		return -EINVAL;
	}
	if (add_overflow(base, lk->l_start, &base))
		return -EOVERFLOW;
	if (base < 0)
		return -EINVAL;
	out->start = base;
	out->end = OFFSET_MAX;
	if (lk->l_len > 0) {
		if (add_overflow(base, lk->l_len - 1, &out->end))
			return -EOVERFLOW;
	} else if (lk->l_len < 0) {
		if (base + lk->l_len < 0)
			return -EINVAL;
		out->end = base - 1;
		out->start = base + lk->l_len;
	}
	if (lk->l_type != F_RDLCK && lk->l_type != F_WRLCK && lk->l_type != F_UNLCK)
		return -EINVAL;
	out->type = lk->l_type;
	return 0;
}

static int get_lock(struct lock_context *c, const struct range_lock *want, struct flock *lk)
{
	struct range_lock *l;

	if (want->type == F_UNLCK)
		return -EINVAL;
	spin_lock(&c->lock);
	l = find_conflict(c, want->owner, want->type, want->start, want->end);
	if (l) {
		lk->l_type = l->type;
		lk->l_whence = SEEK_SET;
		lk->l_start = l->start;
		lk->l_len = l->end == OFFSET_MAX ? 0 : l->end - l->start + 1;
		lk->l_pid = l->pid;
	} else {
		lk->l_type = F_UNLCK;
	}
	spin_unlock(&c->lock);
	return 0;
}

int locks_fcntl(struct file *file, u32 cmd, struct flock *lk)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	struct range_lock want;
	struct lock_context *c;
	const void *blocker;
	int err;

	if (ofd && lk->l_pid != 0)
		return -EINVAL;
	err = decode_range(file, lk, &want);
	if (err)
		return err;
	want.owner = ofd ? (const void *)file : current_task()->files;
	want.pid = ofd ? -1 : current_process()->pid->nr;
	c = context_of(file->inode);
	if (!c)
		return -ENOLCK;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK)
		return get_lock(c, &want, lk);
	if ((want.type == F_RDLCK && !(file->mode & FMODE_READ)) ||
	    (want.type == F_WRLCK && !(file->mode & FMODE_WRITE)))
		return -EBADF;
	if (ofd)
		file->has_locks = true;
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		return wait_range(c, &want, !ofd);
	return try_range(c, &want, &blocker);
}

static void remove_owner(struct lock_context *c, struct list_head *list, const void *owner)
{
	struct range_lock *l, *next;
	LIST_HEAD(dead);

	spin_lock(&c->lock);
	list_for_each_entry_safe(l, next, list, node) {
		if (l->owner == owner) {
			list_del(&l->node);
			list_add_tail(&l->node, &dead);
		}
	}
	spin_unlock(&c->lock);
	if (list_empty(&dead))
		return;
	free_list(&dead);
	changed(c);
}

void locks_remove_posix(struct file *file, const struct files *owner)
{
	struct lock_context *c = smp_load_acquire(&file->inode->locks);

	if (c)
		remove_owner(c, &c->posix, owner);
}

void locks_remove_file(struct file *file)
{
	struct lock_context *c = smp_load_acquire(&file->inode->locks);

	if (!c)
		return;
	remove_owner(c, &c->posix, file);
	remove_owner(c, &c->flock, file);
}

/* ---- flock(2): one lock a file, on the whole of it ---- */

static int try_flock(struct lock_context *c, struct file *file, int type)
{
	struct range_lock *new = kmalloc(sizeof(*new), 0), *l, *mine = NULL;
	int err = 0;

	if (!new)
		return -ENOLCK;
	*new = (struct range_lock){ .owner = file, .pid = current_process()->pid->nr, .type = (s16)type,
				    .start = 0, .end = OFFSET_MAX };
	spin_lock(&c->lock);
	list_for_each_entry(l, &c->flock, node) {
		if (l->owner == file)
			mine = l;
		else if (type == F_WRLCK || l->type == F_WRLCK)
			err = -EAGAIN;
	}
	if (mine && mine->type == type) {
		err = 0;
	} else if (mine) {
		/* flock(2): a conversion first gives up what there was. */
		list_del(&mine->node);
		if (!err)
			list_add_tail(&new->node, &c->flock);
		else
			kfree(new);
		new = mine;
	} else if (!err) {
		list_add_tail(&new->node, &c->flock);
		new = NULL;
	}
	spin_unlock(&c->lock);
	kfree(new);
	if (mine)
		changed(c);
	return err;
}

int locks_flock(struct file *file, int operation)
{
	struct lock_context *c;
	int op = operation & ~LOCK_NB, type, err;

	if (op != LOCK_UN && !(file->mode & (FMODE_READ | FMODE_WRITE)))
		return -EBADF;
	c = context_of(file->inode);
	if (!c)
		return -ENOLCK;
	if (op == LOCK_UN) {
		remove_owner(c, &c->flock, file);
		return 0;
	}
	type = op == LOCK_SH ? F_RDLCK : F_WRLCK;
	file->has_locks = true;
	for (;;) {
		u32 seen = __atomic_load_n(&c->changes, __ATOMIC_SEQ_CST);

		err = try_flock(c, file, type);
		if (err != -EAGAIN || (operation & LOCK_NB))
			return err;
		err = WAIT_EVENT_INTERRUPTIBLE(&c->wait,
			__atomic_load_n(&c->changes, __ATOMIC_SEQ_CST) != seen, "flock");
		if (err)
			return err;
	}
}

void locks_init(void)
{
	spin_init(&waiters_lock, "lock waiters", LOCK_RANK_INODE);
}
