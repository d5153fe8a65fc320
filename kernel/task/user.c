// SPDX-License-Identifier: MIT
/*
 * The table of users, one entry a real uid in use. Entries are found and made
 * under user_lock; the last put takes them out under it, so a look-up never
 * meets a dying one.
 */
#include <kernel/core/spinlock.h>
#include <kernel/mm/slab.h>
#include <kernel/task/user.h>
#include <lib/hash.h>

#define USER_HASH_BITS 7

static struct spinlock user_lock = SPINLOCK_INIT("user", LOCK_RANK_CRED);
static struct hlist_head user_table[1 << USER_HASH_BITS];

struct user user_root = {
	.uid = 0,
	.ref = REFCOUNT_INIT(1),
};

static struct hlist_head *user_bucket(u32 uid)
{
	return &user_table[hash_bits(uid, USER_HASH_BITS)];
}

void user_init(void)
{
	hlist_add_head(&user_root.hash, user_bucket(0));
}

static struct user *user_find_locked(u32 uid)
{
	struct user *u;

	hlist_for_each_entry(u, user_bucket(uid), hash)
		if (u->uid == uid)
			return user_get(u);
	return NULL;
}

struct user *user_find_or_create(u32 uid)
{
	struct user *u, *new;
	irqflags_t f = spin_lock_irqsave(&user_lock);

	u = user_find_locked(uid);
	spin_unlock_irqrestore(&user_lock, f);
	if (u)
		return u;
	new = kzalloc(sizeof(*new), 0);
	if (!new)
		return NULL;
	new->uid = uid;
	refcount_init(&new->ref, 1);
	f = spin_lock_irqsave(&user_lock);
	u = user_find_locked(uid);
	if (!u)
		hlist_add_head(&new->hash, user_bucket(uid));
	spin_unlock_irqrestore(&user_lock, f);
	if (u) {
		kfree(new);
		return u;
	}
	return new;
}

void user_put(struct user *u)
{
	irqflags_t f;
	int n = refcount_read(&u->ref);

	/* Only the step from 1 to 0 needs the lock. */
	while (n > 1)
		if (atomic_try_cmpxchg(&u->ref.n, &n, n - 1))
			return;
	f = spin_lock_irqsave(&user_lock);
	if (!refcount_put_and_test(&u->ref)) {
		spin_unlock_irqrestore(&user_lock, f);
		return;
	}
	hlist_del_init(&u->hash);
	spin_unlock_irqrestore(&user_lock, f);
	kfree(u);
}
