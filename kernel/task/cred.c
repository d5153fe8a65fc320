// SPDX-License-Identifier: MIT
/*
 * Credentials: copies, publication, supplementary groups, capable().
 *
 * A task holds one reference, on real_cred; task.cred is the same pointer
 * except between cred_override() and cred_revert(), where the caller of the
 * former keeps the other set alive. Only the task itself changes the two.
 */
#include <kernel/core/assert.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/errno.h>
#include <lib/sort.h>
#include <lib/string.h>

static struct kmem_cache *cred_cache;

static struct cred_groups groups_none = {
	.ref = REFCOUNT_INIT(1),
};

struct cred cred_root = {
	.ref = REFCOUNT_INIT(1),
	.cap_permitted = CAP_FULL_SET,
	.cap_effective = CAP_FULL_SET,
	.cap_bounding = CAP_FULL_SET,
	.user = &user_root,
	.groups = &groups_none,
};

void cred_init(void)
{
	cred_cache = kmem_cache_create("cred", sizeof(struct cred), 0, NULL, 0);
	if (!cred_cache)
		panic("no memory for credentials");
}

/* The user and the groups go with it, not before: a sender of a signal reads them in a read section. */
static void cred_free_rcu(struct rcu_head *head)
{
	struct cred *dead = container_of(head, struct cred, rcu);

	groups_put(dead->groups);
	user_put(dead->user);
	kmem_cache_free(cred_cache, dead);
}

void cred_put(const struct cred *c)
{
	struct cred *dead = (struct cred *)(uintptr_t)c;

	if (refcount_put_and_test(&dead->ref))
		call_rcu(&dead->rcu, cred_free_rcu);
}

const struct cred *current_cred(void)
{
	struct task *t = task_current_or_null();

	return t ? t->cred : &cred_root;
}

struct cred *cred_prepare(void)
{
	const struct cred *old = current_cred();
	struct cred *new = kmem_cache_alloc(cred_cache, 0);

	if (!new)
		return NULL;
	*new = *old;
	refcount_init(&new->ref, 1);
	user_get(new->user);
	groups_get(new->groups);
	return new;
}

int cred_set_user(struct cred *c)
{
	struct user *u;

	if (c->user->uid == c->uid)
		return 0;
	u = user_find_or_create(c->uid);
	if (!u)
		return -EAGAIN;
	user_put(c->user);
	c->user = u;
	return 0;
}

static bool cred_changes_power(const struct cred *old, const struct cred *new)
{
	return old->euid != new->euid || old->egid != new->egid || old->fsuid != new->fsuid ||
	       old->fsgid != new->fsgid || (new->cap_permitted & ~old->cap_permitted);
}

void cred_commit(struct cred *new)
{
	struct task *t = current_task();
	const struct cred *old = t->real_cred;

	ASSERT(t->cred == old);
	if (cred_changes_power(old, new)) {
		WRITE_ONCE(t->process->dumpable, DUMPABLE_NO);
		WRITE_ONCE(t->pdeath_signal, 0);
	}
	if (new->user != old->user) {
		atomic64_inc(&new->user->processes);
		atomic64_dec(&old->user->processes);
	}
	rcu_assign_pointer(t->real_cred, new);
	rcu_assign_pointer(t->cred, new);
	cred_put(old);
}

const struct cred *cred_override(const struct cred *c)
{
	struct task *t = current_task();
	const struct cred *old = t->cred;

	rcu_assign_pointer(t->cred, c);
	return old;
}

void cred_revert(const struct cred *old)
{
	rcu_assign_pointer(current_task()->cred, old);
}

bool capable(int cap)
{
	struct task *t = task_current_or_null();

	if (!t)
		return true;
	if (!cred_capable(t->cred, cap))
		return false;
	t->flags |= TASK_SUPERPRIV;
	return true;
}

struct cred_groups *groups_alloc(u32 count)
{
	struct cred_groups *g = kmalloc(sizeof(*g) + (size_t)count * sizeof(g->gid[0]), 0);

	if (!g)
		return NULL;
	refcount_init(&g->ref, 1);
	g->count = count;
	return g;
}

static int groups_compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

void groups_sort(struct cred_groups *g)
{
	sort(g->gid, g->count, sizeof(g->gid[0]), groups_compare);
}

void groups_put(struct cred_groups *g)
{
	if (refcount_put_and_test(&g->ref))
		kfree(g);
}

static bool groups_contain(const struct cred_groups *g, u32 gid)
{
	u32 low = 0, high = g->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (g->gid[mid] == gid)
			return true;
		if (g->gid[mid] < gid)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

bool cred_in_group(const struct cred *c, u32 gid)
{
	return c->fsgid == gid || groups_contain(c->groups, gid);
}

bool cred_in_egroup(const struct cred *c, u32 gid)
{
	return c->egid == gid || groups_contain(c->groups, gid);
}

bool in_group(u32 gid)
{
	return cred_in_group(current_cred(), gid);
}
