/* SPDX-License-Identifier: MIT */
/* Scheduling: sched(7), nice(2), and where threads may run. */
#include <abi/linux/resource.h>
#include <abi/linux/sched.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/mm/page.h>
#include <kernel/sched/sched.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>
#include <kernel/vm/uaccess.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>

#include "who.h"

long sys_sched_yield(void)
{
	return sched_yield_self();
}

long sys_getcpu(uptr_t cpu, uptr_t node, u64 cache)
{
	u32 here = hal_cpu_id(), near = mm_node_of_cpu(here);

	(void)cache; /* unused since Linux 2.6.24: getcpu(2) */
	if (!uptr_is_null(cpu) && put_user_u32(here, cpu))
		return -EFAULT;
	if (!uptr_is_null(node) && put_user_u32(near, node))
		return -EFAULT;
	return 0;
}

/* A thread by id, 0 for the caller, with a reference. *err: -ESRCH or -EINVAL. */
static struct task *target_get(int tid, long *err)
{
	struct task *t;

	*err = -EINVAL;
	if (tid < 0)
		return NULL;
	t = tid ? task_by_tid(tid) : task_get(current_task());
	*err = -ESRCH;
	return t;
}

/*
 * Rights are looked at first and the change is made after that. What may happen in between:
 *  - The target's parameters change. What was allowed from the old ones may not be from the new ones (root has just made it
 *    nicer, and a nice value that was a sacrifice is now a gain), so sched_change_params() takes what was seen along, and all begins
 *    again if it is not so any more.
 *  - The target executes a set-user-ID program, or its limits change. Neither changes its parameters: what is left is what the
 *    same call leaves that came just before, when it was allowed. Both questions below are asked of one set of credentials,
 *    so that there is such a moment.
 */

/* The caller's effective id is the target's real or effective one. */
static bool owns(const struct cred *its)
{
	const struct cred *mine = current_cred();

	return mine->euid == its->euid || mine->euid == its->uid;
}

/*
 * The target can do nothing that the caller could not do itself: who may send signals to a set-user-ID program
 * that he started shall not slow it down (cap_safe_nice() of Linux).
 */
static bool has_all_of(const struct cred *its)
{
	return !(its->cap_permitted & ~current_cred()->cap_permitted);
}

static bool owns_all_of(struct task *t)
{
	const struct cred *its = task_cred_get(t);
	bool both = owns(its) && has_all_of(its);

	cred_put(its);
	return both;
}

static bool may_nice(struct task *t, int nice)
{
	return (u64)(20 - nice) <= rlimit_get(t->process, RLIMIT_NICE) || capable(CAP_SYS_NICE);
}

/* Only of these is the nice value part of what is set: the others keep theirs until they are one of these again. */
static bool has_nice(u32 policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH;
}

static bool is_realtime(u32 policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

struct sched_change {
	u32 policy;
	u32 rt_priority;
	int nice;
	bool reset_on_fork;
	u64 flags; /* SCHED_FLAG_* of sched_setattr(2) */
	u64 runtime, deadline, period; /* SCHED_DEADLINE */
};

/* Does the change need CAP_SYS_NICE? sched(7), "Privileges and resource limits". */
static bool needs_privilege(struct task *t, const struct sched_param_state *now, const struct sched_change *c)
{
	if (has_nice(c->policy) && c->nice < now->nice && !may_nice(t, c->nice))
		return true;
	if (is_realtime(c->policy)) {
		u64 limit = rlimit_get(t->process, RLIMIT_RTPRIO);

		if (c->policy != now->policy && !limit)
			return true;
		if ((int)c->rt_priority > now->rt_priority && c->rt_priority > limit)
			return true;
	}
	if (c->policy == SCHED_DEADLINE)
		return true;
	if (now->policy == SCHED_IDLE && c->policy != SCHED_IDLE && !may_nice(t, now->nice))
		return true;
	return !owns_all_of(t) || (now->reset_on_fork && !c->reset_on_fork);
}

#define DEADLINE_MIN_NS 1024ull
#define DEADLINE_PERIOD_MIN_NS 100000ull /* Linux's sched_deadline_period_min_us and _max_us */
#define DEADLINE_PERIOD_MAX_NS 4194304000ull

static bool deadline_is_valid(const struct sched_change *c)
{
	u64 period = c->period ? c->period : c->deadline;

	if (!c->deadline || c->runtime < DEADLINE_MIN_NS || (s64)c->deadline < 0 || (s64)c->period < 0)
		return false;
	if (period < c->deadline || c->deadline < c->runtime)
		return false;
	return period >= DEADLINE_PERIOD_MIN_NS && period <= DEADLINE_PERIOD_MAX_NS;
}

/*
 * In Linux's order. SCHED_DEADLINE is known and checked, and then refused as on a machine whose CPUs have no bandwidth left to
 * give (EBUSY, sched(7)): there is no admission control here, and to accept a guarantee that is not kept would be a lie. Utilisation
 * clamps belong to a governor of clock rates, which Linux need not have either: EOPNOTSUPP. EAGAIN: *now is not true any more.
 * With SCHED_FLAG_KEEP_PARAMS the policy, too, is checked and then stays what it is: so does Linux.
 */
static long apply_change(struct task *t, const struct sched_param_state *now, const struct sched_change *c)
{
	bool known = is_realtime(c->policy) || c->policy == SCHED_NORMAL || c->policy == SCHED_BATCH ||
		     c->policy == SCHED_IDLE || c->policy == SCHED_DEADLINE;
	struct sched_param_state wanted;

	if (!known || (c->flags & ~(u64)SCHED_FLAG_ALL) || c->rt_priority > 99)
		return -EINVAL;
	if (is_realtime(c->policy) != (c->rt_priority != 0) || (c->policy == SCHED_DEADLINE && !deadline_is_valid(c)))
		return -EINVAL;
	if (needs_privilege(t, now, c) && !capable(CAP_SYS_NICE))
		return -EPERM;
	if (c->flags & SCHED_FLAG_UTIL_CLAMP)
		return -EOPNOTSUPP;
	if (c->policy == SCHED_DEADLINE)
		return -EBUSY;
	wanted = *now;
	wanted.reset_on_fork = c->reset_on_fork;
	if (!(c->flags & SCHED_FLAG_KEEP_PARAMS)) {
		wanted.policy = c->policy;
		wanted.rt_priority = (int)c->rt_priority;
		if (has_nice(c->policy))
			wanted.nice = c->nice;
	}
	return sched_change_params(&t->thread, now, &wanted);
}

static long set_scheduler(int tid, int policy, uptr_t param, bool keep_policy)
{
	struct sched_change c = { .flags = 0 };
	struct sched_param_state now;
	struct task *t;
	s32 priority;
	long err;

	if (tid < 0 || uptr_is_null(param) || (!keep_policy && policy < 0))
		return -EINVAL;
	if (get_user_s32(&priority, param))
		return -EFAULT;
	t = target_get(tid, &err);
	if (!t)
		return err;
	do {
		sched_get_params(&t->thread, &now);
		c.policy = keep_policy ? now.policy : (u32)policy & ~(u32)SCHED_RESET_ON_FORK;
		c.reset_on_fork = keep_policy ? now.reset_on_fork : (u32)policy & SCHED_RESET_ON_FORK;
		c.rt_priority = (u32)priority;
		c.nice = now.nice;
		err = apply_change(t, &now, &c);
	} while (err == -EAGAIN);
	task_put(t);
	return err;
}

long sys_sched_setscheduler(int pid, int policy, uptr_t param)
{
	return set_scheduler(pid, policy, param, false);
}

long sys_sched_setparam(int pid, uptr_t param)
{
	return set_scheduler(pid, 0, param, true);
}

long sys_sched_getscheduler(int pid)
{
	long result;
	struct task *t = target_get(pid, &result);

	if (!t)
		return result;
	result = (long)(t->thread.sp.policy | (t->thread.sp.reset_on_fork ? SCHED_RESET_ON_FORK : 0));
	task_put(t);
	return result;
}

long sys_sched_getparam(int pid, uptr_t param)
{
	long err;
	struct task *t;
	s32 priority;

	if (uptr_is_null(param))
		return -EINVAL;
	t = target_get(pid, &err);
	if (!t)
		return err;
	priority = t->thread.sp.rt_priority;
	task_put(t);
	return put_user_s32(priority, param);
}

static bool is_policy(int policy)
{
	return policy >= SCHED_NORMAL && policy <= SCHED_DEADLINE && policy != 4;
}

long sys_sched_get_priority_max(int policy)
{
	return !is_policy(policy) ? -EINVAL : is_realtime((u32)policy) ? 99 : 0;
}

long sys_sched_get_priority_min(int policy)
{
	return !is_policy(policy) ? -EINVAL : is_realtime((u32)policy) ? 1 : 0;
}

long sys_sched_rr_get_interval(int pid, uptr_t interval)
{
	long err;
	struct task *t = target_get(pid, &err);
	struct sched_param_state sp;
	s64 ts[2] = { 0, 0 };

	if (!t)
		return err;
	sched_get_params(&t->thread, &sp);
	ts[1] = (s64)sched_slice_ns(&sp);
	task_put(t);
	return copy_to_user(interval, ts, sizeof(ts));
}

/* Copies the attributes in: -E2BIG (with the size we know put back) when there is more than we know. */
static long attr_from_user(struct sched_attr *a, uptr_t from)
{
	u32 size;
	long err;

	if (get_user_u32(&size, from))
		return -EFAULT;
	if (!size)
		size = SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0 || size > 4096)
		err = -E2BIG;
	else
		err = copy_struct_from_user(a, sizeof(*a), from, size);
	if (err == -E2BIG && put_user_u32(sizeof(*a), from))
		return -EFAULT;
	return err;
}

static void change_from_attr(struct sched_change *c, const struct sched_attr *a, const struct sched_param_state *now)
{
	*c = (struct sched_change){
		.policy = a->sched_policy, .reset_on_fork = a->sched_flags & SCHED_FLAG_RESET_ON_FORK,
		.rt_priority = a->sched_priority, .nice = CLAMP(a->sched_nice, -20, 19), .flags = a->sched_flags,
		.runtime = a->sched_runtime, .deadline = a->sched_deadline, .period = a->sched_period,
	};
	if (a->sched_flags & SCHED_FLAG_KEEP_POLICY) {
		c->policy = now->policy;
		c->reset_on_fork = now->reset_on_fork;
	}
	if (a->sched_flags & SCHED_FLAG_KEEP_PARAMS) {
		if (is_realtime(now->policy))
			c->rt_priority = (u32)now->rt_priority;
		else
			c->nice = now->nice;
	}
}

long sys_sched_setattr(int pid, uptr_t attr, unsigned flags)
{
	struct sched_param_state now;
	struct sched_attr a;
	struct sched_change c;
	struct task *t;
	long err;

	if (uptr_is_null(attr) || pid < 0 || flags)
		return -EINVAL;
	err = attr_from_user(&a, attr);
	if (err)
		return err;
	if ((a.sched_flags & SCHED_FLAG_UTIL_CLAMP) && a.size < SCHED_ATTR_SIZE_VER1)
		return -EINVAL;
	if ((s32)a.sched_policy < 0)
		return -EINVAL;
	t = target_get(pid, &err);
	if (!t)
		return err;
	do {
		sched_get_params(&t->thread, &now);
		change_from_attr(&c, &a, &now);
		err = apply_change(t, &now, &c);
	} while (err == -EAGAIN);
	task_put(t);
	return err;
}

long sys_sched_getattr(int pid, uptr_t attr, unsigned size, unsigned flags)
{
	struct sched_attr a = { 0 };
	struct task *t;
	long err;

	if (uptr_is_null(attr) || pid < 0 || size > 4096 || size < SCHED_ATTR_SIZE_VER0 || flags)
		return -EINVAL;
	t = target_get(pid, &err);
	if (!t)
		return err;
	a.size = MIN(size, (unsigned)sizeof(a));
	a.sched_policy = t->thread.sp.policy;
	a.sched_flags = t->thread.sp.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
	if (is_realtime(a.sched_policy))
		a.sched_priority = (u32)t->thread.sp.rt_priority;
	else
		a.sched_nice = t->thread.sp.nice;
	task_put(t);
	return copy_to_user(attr, &a, a.size);
}

/* ---- affinity ---------------------------------------------------------------------------------- */

long sys_sched_setaffinity(int pid, unsigned len, uptr_t mask)
{
	const struct cred *its;
	struct cpumask m;
	struct task *t;
	long err;

	cpumask_clear(&m);
	if (copy_from_user(m.bits, mask, MIN((size_t)len, sizeof(m.bits))))
		return -EFAULT;
	t = target_get(pid, &err);
	if (!t)
		return err == -EINVAL ? -ESRCH : err;
	its = task_cred_get(t);
	err = owns(its) || capable(CAP_SYS_NICE) ? sched_set_affinity(&t->thread, &m) : -EPERM;
	cred_put(its);
	task_put(t);
	return err;
}

/* Returns the bytes that the kernel's mask has, rounded to words: what it wrote. */
long sys_sched_getaffinity(int pid, unsigned len, uptr_t mask)
{
	u32 bytes = ALIGN_UP(DIV_ROUND_UP(hal_cpu_count(), 8u), 8u), cpu;
	struct cpumask m;
	struct task *t;
	long err;

	if (len * 8 < hal_cpu_count() || len % 8)
		return -EINVAL;
	t = target_get(pid, &err);
	if (!t)
		return err == -EINVAL ? -ESRCH : err;
	cpumask_clear(&m);
	for_each_online_cpu(cpu)
		if (cpumask_test(&t->thread.affinity, cpu))
			cpumask_set(&m, cpu);
	task_put(t);
	bytes = MIN(bytes, len);
	return copy_to_user(mask, m.bits, bytes) ? -EFAULT : (long)bytes;
}

/* ---- nice -------------------------------------------------------------------------------------- */

/* What getpriority and setpriority do with each thread they name. */
struct nice_walk {
	bool set;
	int nice;
	long result; /* get: the highest 20 - nice; set: 0 or the last error; -ESRCH: nobody yet */
};

/* 0, -EPERM or -EACCES; -EAGAIN: the thread has changed meanwhile. */
static long nice_set(struct task *t, int nice)
{
	const struct cred *its = task_cred_get(t);
	struct sched_param_state now, wanted;
	long err = 0;

	sched_get_params(&t->thread, &now);
	if (!owns(its) && !capable(CAP_SYS_NICE))
		err = -EPERM;
	else if (nice < now.nice && !may_nice(t, nice))
		err = -EACCES;
	else if (!has_all_of(its) && !capable(CAP_SYS_NICE))
		err = -EPERM;
	cred_put(its);
	if (err)
		return err;
	wanted = now;
	wanted.nice = nice;
	return sched_change_params(&t->thread, &now, &wanted);
}

static bool nice_visit(struct task *t, void *arg)
{
	struct nice_walk *w = arg;
	long err;

	if (!w->set) {
		w->result = MAX(w->result, 20l - t->thread.sp.nice);
		return true;
	}
	do {
		err = nice_set(t, w->nice);
	} while (err == -EAGAIN);
	if (err || w->result == -ESRCH)
		w->result = err;
	return true;
}

_Static_assert((int)PRIO_PROCESS == WHO_THREAD && (int)PRIO_PGRP == WHO_GROUP && (int)PRIO_USER == WHO_USER, "the same numbers");

static long nice_walk(struct nice_walk *w, int which, int who)
{
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	who_each((enum who_kind)which, who, nice_visit, w);
	return w->result;
}

long sys_setpriority(int which, int who, int nice)
{
	struct nice_walk w = { .set = true, .nice = CLAMP(nice, -20, 19), .result = -ESRCH };

	return nice_walk(&w, which, who);
}

long sys_getpriority(int which, int who)
{
	struct nice_walk w = { .result = -ESRCH };

	return nice_walk(&w, which, who);
}
