// SPDX-License-Identifier: MIT
/*
 * Numbers of threads, processes, groups and sessions.
 *
 * A bitmap says which numbers are taken, a two-level table leads from a number
 * to its struct pid. Both are changed under pid_lock. The table's leaves (512
 * pointers, one page) are made when the first number in them is used and stay,
 * so that a look-up is two loads under RCU and needs no lock, and walking all
 * processes in numeric order (/proc) is a walk over the bitmap.
 *
 * Numbers are handed out in cyclic order, as on Linux: one that was just freed
 * comes back last, so that a stale number rarely hits a stranger.
 *
 * References: the table holds one while the number is in use (it has a task, a
 * process, or members of a group or session). The table's reference is dropped
 * under task_tree_lock by pid_release_if_unused_locked().
 */
#define LOG_TAG "pid"
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/spinlock.h>
#include <kernel/mm/leak.h>
#include <kernel/mm/slab.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>

#define PID_LEAF_SLOTS	512
#define PID_MAX_LIMIT	(4 * 1024 * 1024)	/* Linux's on 64 bit */
#define PID_PER_CPU	1024			/* pid_max grows with CPUs as on Linux */

typedef struct pid *pid_slot_t;

static struct spinlock pid_lock = SPINLOCK_INIT("pid", LOCK_RANK_PID);
static u64 *pid_bitmap;				/* [pid_lock] */
static pid_slot_t **pid_leaves;			/* [r] a leaf never goes away */
static int pid_limit;				/* [I] pid_max */
static int pid_newest;				/* [pid_lock] */
static struct kmem_cache *pid_cache;

int pid_max(void)
{
	return pid_limit;
}

int pid_last(void)
{
	return READ_ONCE(pid_newest);
}

void pid_init(void)
{
	int wanted = (int)hal_cpu_count() * PID_PER_CPU;

	pid_limit = CLAMP(wanted, PID_MAX_MIN, PID_MAX_LIMIT);
	pid_bitmap = kzalloc((size_t)pid_limit / 8, 0);
	pid_leaves = kcalloc((size_t)pid_limit / PID_LEAF_SLOTS, sizeof(*pid_leaves), 0);
	pid_cache = kmem_cache_create("pid", sizeof(struct pid), 0, NULL, 0);
	if (!pid_bitmap || !pid_leaves || !pid_cache)
		panic("no memory for the table of process numbers");
	bitmap_set_bit(pid_bitmap, 0);
}

static pid_slot_t *pid_slot(int nr)
{
	pid_slot_t *leaf = smp_load_acquire(&pid_leaves[nr / PID_LEAF_SLOTS]);

	return leaf ? &leaf[nr % PID_LEAF_SLOTS] : NULL;
}

/* Makes sure that the leaf of nr is there. May sleep. */
static int pid_leaf_create(int nr)
{
	pid_slot_t *leaf, *none = NULL;
	pid_slot_t **at = &pid_leaves[nr / PID_LEAF_SLOTS];

	if (smp_load_acquire(at))
		return 0;
	leaf = kcalloc(PID_LEAF_SLOTS, sizeof(*leaf), 0);
	if (!leaf)
		return -ENOMEM;
	if (try_cmpxchg(at, &none, leaf))
		mm_leak_ignore(leaf);
	else
		kfree(leaf);
	return 0;
}

/* The next number in cyclic order, marked as used. */
static int pid_take_next(void)
{
	size_t max = (size_t)pid_limit;
	size_t nr;
	irqflags_t f = spin_lock_irqsave(&pid_lock);

	nr = bitmap_find_next_zero(pid_bitmap, max, (size_t)pid_newest + 1);
	if (nr >= max)
		nr = bitmap_find_next_zero(pid_bitmap, max, PID_RESERVED);
	if (nr < max) {
		bitmap_set_bit(pid_bitmap, nr);
		pid_newest = (int)nr;
	}
	spin_unlock_irqrestore(&pid_lock, f);
	return nr < max ? (int)nr : -EAGAIN;
}

static int pid_take(int nr)
{
	irqflags_t f;
	bool taken;

	if (nr < 1 || nr >= pid_limit)
		return -EINVAL;
	f = spin_lock_irqsave(&pid_lock);
	taken = bitmap_test(pid_bitmap, (size_t)nr);
	if (!taken)
		bitmap_set_bit(pid_bitmap, (size_t)nr);
	spin_unlock_irqrestore(&pid_lock, f);
	return taken ? -EEXIST : nr;
}

static void pid_give_back(int nr)
{
	irqflags_t f = spin_lock_irqsave(&pid_lock);

	bitmap_clear_bit(pid_bitmap, (size_t)nr);
	spin_unlock_irqrestore(&pid_lock, f);
}

int pid_alloc(int wanted, struct pid **out)
{
	struct pid *pid = kmem_cache_alloc(pid_cache, 0);
	int nr, err;

	if (!pid)
		return -ENOMEM;
	nr = wanted ? pid_take(wanted) : pid_take_next();
	if (nr < 0) {
		err = nr;
		goto free_pid;
	}
	err = pid_leaf_create(nr);
	if (err)
		goto give_back;
	pid->nr = nr;
	refcount_init(&pid->ref, 1);
	pid->task = NULL;
	pid->process = NULL;
	list_init(&pid->pgrp_members);
	list_init(&pid->session_members);
	waitq_init(&pid->exit_waitq);
	*out = pid;
	return 0;

give_back:
	pid_give_back(nr);
free_pid:
	kmem_cache_free(pid_cache, pid);
	return err;
}

void pid_free_unused(struct pid *pid)
{
	pid_give_back(pid->nr);
	kmem_cache_free(pid_cache, pid);
}

static void pid_free_rcu(struct rcu_head *head)
{
	kmem_cache_free(pid_cache, container_of(head, struct pid, rcu));
}

void pid_put(struct pid *pid)
{
	if (pid && refcount_put_and_test(&pid->ref))
		call_rcu(&pid->rcu, pid_free_rcu);
}

void pid_publish_locked(struct pid *pid)
{
	smp_store_release(pid_slot(pid->nr), pid);
}

void pid_release_if_unused_locked(struct pid *pid)
{
	/* Number 0, the kernel's own group and session, is in no table. */
	if (!pid->nr || pid->task || pid->process || !list_empty(&pid->pgrp_members) ||
	    !list_empty(&pid->session_members))
		return;
	smp_store_release(pid_slot(pid->nr), NULL);
	pid_give_back(pid->nr);
	pid_put(pid);
}

struct pid *pid_find_rcu(int nr)
{
	pid_slot_t *slot;

	if (nr < 1 || nr >= pid_limit)
		return NULL;
	slot = pid_slot((int)index_nospec((u64)nr, (u64)pid_limit));
	return slot ? smp_load_acquire(slot) : NULL;
}

bool pid_peek(int nr, struct task **out)
{
	pid_slot_t *leaf;
	struct pid *pid;

	*out = NULL;
	if (!pid_leaves || nr < 0 || nr >= pid_limit || !COMMAND_LOAD(leaf, &pid_leaves[nr / PID_LEAF_SLOTS]) || !leaf)
		return false;
	return COMMAND_LOAD(pid, &leaf[nr % PID_LEAF_SLOTS]) && pid && COMMAND_LOAD(*out, &pid->task);
}

struct pid *pid_find_get(int nr)
{
	struct pid *pid;

	rcu_read_lock();
	pid = pid_find_rcu(nr);
	if (pid && !refcount_get_not_zero(&pid->ref))
		pid = NULL;
	rcu_read_unlock();
	return pid;
}

/*
 * Reads the bitmap without the lock: a number that comes or goes meanwhile may
 * or may not be seen, which is all that a directory listing promises.
 */
struct pid *pid_next_get(int nr)
{
	size_t max = (size_t)pid_limit;
	size_t at = nr < 1 ? 1 : (size_t)nr;

	for (; at < max; at++) {
		struct pid *pid;

		at = bitmap_find_next(pid_bitmap, max, at);
		if (at >= max)
			break;
		pid = pid_find_get((int)at);
		if (pid)
			return pid;
	}
	return NULL;
}

struct task *task_by_tid(int tid)
{
	struct task *t = NULL;
	struct pid *pid;

	rcu_read_lock();
	pid = pid_find_rcu(tid);
	if (pid)
		t = rcu_dereference(pid->task);
	if (t && !task_get_not_zero(t))
		t = NULL;
	rcu_read_unlock();
	return t;
}

struct process *process_by_pid(int nr)
{
	struct process *p = NULL;
	struct pid *pid;

	rcu_read_lock();
	pid = pid_find_rcu(nr);
	if (pid)
		p = rcu_dereference(pid->process);
	if (p && !process_get_not_zero(p))
		p = NULL;
	rcu_read_unlock();
	return p;
}

struct process *process_next_get(int nr)
{
	struct pid *pid;
	struct process *p;

	while ((pid = pid_next_get(nr))) {
		nr = pid->nr;
		pid_put(pid);
		p = process_by_pid(nr);
		if (p)
			return p;
		nr++;
	}
	return NULL;
}
