/* SPDX-License-Identifier: MIT */
/*
 * ioprio_set(2), ioprio_get(2): the priority of a thread's disk requests. It is kept, checked, inherited and shown as on Linux;
 * there is no block device yet whose queue could go by it. Unlike there, CLONE_IO copies it as fork does.
 */
#include <abi/linux/ioprio.h>
#include <abi/linux/sched.h>
#include <kernel/sched/sched.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/task.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

#include "who.h"

_Static_assert(IOPRIO_WHO_PROCESS - 1 == WHO_THREAD && IOPRIO_WHO_PGRP - 1 == WHO_GROUP && IOPRIO_WHO_USER - 1 == WHO_USER,
	       "in the same order");

struct ioprio_walk {
	int prio;	/* set: the new one */
	long result;	/* -ESRCH: nobody yet */
};

static int ioprio_class(int prio)
{
	return (prio >> IOPRIO_CLASS_SHIFT) & IOPRIO_CLASS_MASK;
}

static int ioprio_value(int class, int data)
{
	return class << IOPRIO_CLASS_SHIFT | data;
}

static long check_value(int prio)
{
	int level = prio & (IOPRIO_NR_LEVELS - 1);

	switch (ioprio_class(prio)) {
	case IOPRIO_CLASS_RT:
		return capable(CAP_SYS_ADMIN) || capable(CAP_SYS_NICE) ? 0 : -EPERM;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return level ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static bool may_set(struct task *t)
{
	const struct cred *mine = current_cred(), *its = task_cred_get(t);
	bool same = its->uid == mine->euid || its->uid == mine->uid;

	cred_put(its);
	return same || capable(CAP_SYS_NICE);
}

static bool set_one(struct task *t, void *arg)
{
	struct ioprio_walk *w = arg;

	if (!may_set(t)) {
		w->result = -EPERM;
	} else if (READ_ONCE(t->flags) & TASK_EXITING) {
		w->result = -ESRCH;
	} else {
		WRITE_ONCE(t->ioprio, (u16)w->prio);
		w->result = 0;
	}
	return !w->result;
}

static bool get_one(struct task *t, void *arg)
{
	struct ioprio_walk *w = arg;

	w->result = READ_ONCE(t->ioprio);
	return false;
}

/* What a thread that has asked for nothing gets follows its class and its nice value: ioprio_set(2), "NOTES". */
static int effective(struct task *t)
{
	int prio = READ_ONCE(t->ioprio), class = IOPRIO_CLASS_BE;
	struct sched_param_state sp;

	if (ioprio_class(prio) != IOPRIO_CLASS_NONE)
		return prio;
	sched_get_params(&t->thread, &sp);
	if (sp.policy == SCHED_IDLE)
		class = IOPRIO_CLASS_IDLE;
	else if (sp.policy == SCHED_FIFO || sp.policy == SCHED_RR)
		class = IOPRIO_CLASS_RT;
	return ioprio_value(class, (sp.nice + 20) / 5);
}

/* The highest priority is the lowest number. */
static bool get_best(struct task *t, void *arg)
{
	struct ioprio_walk *w = arg;
	long prio = effective(t);

	if (w->result == -ESRCH || prio < w->result)
		w->result = prio;
	return true;
}

static bool is_which(int which)
{
	return which >= IOPRIO_WHO_PROCESS && which <= IOPRIO_WHO_USER;
}

long sys_ioprio_set(int which, int who, int ioprio)
{
	struct ioprio_walk w = { .prio = ioprio, .result = -ESRCH };
	long err = check_value(ioprio);

	if (err)
		return err;
	if (!is_which(which))
		return -EINVAL;
	/* User 0 is root here, and the caller in ioprio_get(): so it is on Linux. */
	who_each(which == IOPRIO_WHO_USER ? WHO_UID : (enum who_kind)(which - 1), who, set_one, &w);
	return w.result;
}

long sys_ioprio_get(int which, int who)
{
	struct ioprio_walk w = { .result = -ESRCH };

	if (!is_which(which))
		return -EINVAL;
	who_each((enum who_kind)(which - 1), who, which == IOPRIO_WHO_PROCESS ? get_one : get_best, &w);
	return w.result;
}
