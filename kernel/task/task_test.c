// SPDX-License-Identifier: MIT
/* Self tests: numbers, groups of credentials, users, limits. */
#include <kernel/core/selftest.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/session.h>
#include <kernel/task/task.h>

static void pid_use(struct pid *pid, struct task *t)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	pid->task = t;
	pid_publish_locked(pid);
	spin_unlock_irqrestore(&task_tree_lock, f);
}

static void pid_leave(struct pid *pid)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	pid->task = NULL;
	pid_release_if_unused_locked(pid);
	spin_unlock_irqrestore(&task_tree_lock, f);
}

SELFTEST(pid, numbers_are_cyclic)
{
	struct pid *a, *b, *c;

	REQUIRE(!pid_alloc(0, &a));
	REQUIRE(!pid_alloc(0, &b));
	EXPECT_EQ(b->nr, a->nr + 1);
	EXPECT_EQ(pid_last(), b->nr);
	pid_free_unused(a);
	/* A freed number does not come back at once. */
	REQUIRE(!pid_alloc(0, &c));
	EXPECT_EQ(c->nr, b->nr + 1);
	pid_free_unused(b);
	pid_free_unused(c);
}

SELFTEST(pid, exact_numbers)
{
	struct pid *a, *b;
	int nr = pid_max() - 1;

	REQUIRE(!pid_alloc(nr, &a));
	EXPECT_EQ(a->nr, nr);
	EXPECT_EQ(pid_alloc(nr, &b), -EEXIST);
	EXPECT_EQ(pid_alloc(pid_max(), &b), -EINVAL);
	EXPECT_EQ(pid_alloc(-1, &b), -EINVAL);
	pid_free_unused(a);
}

SELFTEST(pid, look_up_sees_only_what_is_published)
{
	struct task *t = task_alloc();
	struct task *found;
	struct pid *pid;

	REQUIRE(t);
	REQUIRE(!pid_alloc(0, &pid));
	int nr = pid->nr;

	EXPECT(!task_by_tid(nr));
	pid_use(pid, t);
	found = task_by_tid(nr);
	EXPECT(found == t);
	if (found)
		task_put(found);
	EXPECT(!process_by_pid(nr));
	EXPECT(!task_by_tid(0));
	EXPECT(!task_by_tid(-nr));
	EXPECT(!task_by_tid(0x7fffffff));
	pid_leave(pid);
	EXPECT(!task_by_tid(nr));
	task_put(t);
}

/* A number in use as a group stays taken after its process has gone. */
SELFTEST(pid, group_keeps_the_number)
{
	struct process *p = process_alloc();
	struct pid *pid, *again;
	irqflags_t f;

	REQUIRE(p);
	REQUIRE(!pid_alloc(0, &pid));
	int nr = pid->nr;

	f = spin_lock_irqsave(&task_tree_lock);
	pid_publish_locked(pid);
	session_set_pgrp_locked(p, pid);
	session_set_sid_locked(p, pid);
	pid_release_if_unused_locked(pid);
	spin_unlock_irqrestore(&task_tree_lock, f);
	EXPECT_EQ(pid_alloc(nr, &again), -EEXIST);
	f = spin_lock_irqsave(&task_tree_lock);
	session_set_pgrp_locked(p, NULL);
	EXPECT(pid_find_rcu(nr) == pid);
	session_set_sid_locked(p, NULL);
	EXPECT(!pid_find_rcu(nr));
	spin_unlock_irqrestore(&task_tree_lock, f);
	process_put(p);
}

SELFTEST(cred, groups_are_searched)
{
	static const u32 ids[] = { 500, 7, 100000, 42, 7, 0 };
	struct cred_groups *g = groups_alloc(ARRAY_SIZE(ids));
	struct cred c = { .fsgid = 9, .egid = 10 };

	REQUIRE(g);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		g->gid[i] = ids[i];
	groups_sort(g);
	c.groups = g;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		EXPECT(cred_in_group(&c, ids[i]));
	EXPECT(cred_in_group(&c, 9));
	EXPECT(!cred_in_group(&c, 10));
	EXPECT(cred_in_egroup(&c, 10));
	EXPECT(!cred_in_group(&c, 41) && !cred_in_group(&c, 100001));
	groups_put(g);
}

SELFTEST(user, one_per_uid)
{
	struct user *a = user_find_or_create(4711), *b = user_find_or_create(4711);
	struct user *root = user_find_or_create(0);

	REQUIRE(a && b && root);
	EXPECT(a == b);
	EXPECT(root == &user_root);
	user_put(root);
	user_put(b);
	EXPECT_EQ(refcount_read(&a->ref), 1);
	user_put(a);
}

SELFTEST(rlimit, rules)
{
	struct process *p = process_alloc();
	struct rlimit64 old, new = { 10, 20 };

	REQUIRE(p);
	rlimit_init_defaults(p);
	EXPECT_EQ(rlimit_get(p, RLIMIT_NPROC), (u64)task_max() / 2);
	EXPECT_EQ(rlimit_get(p, RLIMIT_STACK), 8 * MIB);
	EXPECT_EQ(rlimit_get_max(p, RLIMIT_NOFILE), 4096);
	EXPECT_EQ(rlimit_do(p, RLIM_NLIMITS, &new, NULL), -EINVAL);
	EXPECT_EQ(rlimit_do(p, RLIMIT_NOFILE, &new, &old), 0);
	EXPECT_EQ(old.rlim_cur, 1024);
	EXPECT_EQ(rlimit_get(p, RLIMIT_NOFILE), 10);
	new = (struct rlimit64){ 30, 20 };
	EXPECT_EQ(rlimit_do(p, RLIMIT_NOFILE, &new, NULL), -EINVAL);
	process_put(p);
}
