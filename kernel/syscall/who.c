/* SPDX-License-Identifier: MIT */
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/session.h>
#include <kernel/task/task.h>

#include "who.h"

/* All threads of a process: task_tree_lock is not held meanwhile, each is visited with a reference. */
static bool visit_process(struct process *p, bool (*visit)(struct task *t, void *arg), void *arg)
{
	struct task *t;
	bool more = true;

	rcu_read_lock();
	for_each_thread_rcu(p, t) {
		if (!task_get_not_zero(t))
			continue;
		more = visit(t, arg);
		task_put(t);
		if (!more)
			break;
	}
	rcu_read_unlock();
	return more;
}

/* Is p in this group, or of this user? Not when it has been reaped meanwhile. */
static bool is_meant(struct process *p, enum who_kind kind, int group, u32 uid)
{
	struct task *leader;
	struct pid *pgrp;
	bool hit = false;

	rcu_read_lock();
	if (kind == WHO_GROUP) {
		pgrp = rcu_dereference(p->pgrp);
		hit = pgrp && pid_nr(pgrp) == group;
	} else {
		leader = rcu_dereference(p->pid->task);
		if (leader && task_get_not_zero(leader)) {
			const struct cred *its = task_cred_get(leader);

			hit = its->uid == uid;
			cred_put(its);
			task_put(leader);
		}
	}
	rcu_read_unlock();
	return hit;
}

static void each_process(enum who_kind kind, int who, bool (*visit)(struct task *t, void *arg), void *arg)
{
	struct pid *mine = session_current_pgrp_get();
	int group = who ? who : pid_nr(mine);
	u32 uid = who || kind == WHO_UID ? (u32)who : current_cred()->uid;
	struct process *p;
	bool more = true;

	pid_put(mine);
	for (int nr = 1; more && (p = process_next_get(nr)); process_put(p)) {
		nr = pid_nr(p->pid) + 1;
		if (is_meant(p, kind, group, uid))
			more = visit_process(p, visit, arg);
	}
}

void who_each(enum who_kind kind, int who, bool (*visit)(struct task *t, void *arg), void *arg)
{
	struct task *t;

	if (kind != WHO_THREAD) {
		each_process(kind, who, visit, arg);
		return;
	}
	t = who ? task_by_tid(who) : task_get(current_task());
	if (t) {
		(void)visit(t, arg);
		task_put(t);
	}
}
