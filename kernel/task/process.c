// SPDX-License-Identifier: MIT
/* Processes: memory, membership of threads, accounting, limits. */
#include <kernel/core/assert.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>
#include <lib/errno.h>
#include <lib/string.h>

struct process *process_init_task;
void (*process_itimer_exit_hook)(struct process *p);
bool (*process_space_get_hook)(struct vm_space *space);

static struct kmem_cache *process_cache;

void process_init(void)
{
	process_cache = kmem_cache_create("process", sizeof(struct process), 64, NULL, 0);
	if (!process_cache)
		panic("no memory for processes");
}

struct process *process_alloc(void)
{
	struct process *p = kmem_cache_alloc(process_cache, 0);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	spin_init(&p->siglock, "siglock", LOCK_RANK_SIGHAND);
	spin_init(&p->rlim_lock, "rlimit", LOCK_RANK_LEAF);
	refcount_init(&p->ref, 1);
	list_init(&p->threads);
	sigpending_init(&p->pending);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->pgrp_node);
	list_init(&p->session_node);
	waitq_init(&p->child_wait);
	p->dumpable = DUMPABLE_USER;
	return p;
}

static void process_free_rcu(struct rcu_head *head)
{
	struct process *p = container_of(head, struct process, rcu);

	kfree(p->timers);
	kmem_cache_free(process_cache, p);
}

void process_put(struct process *p)
{
	if (!refcount_put_and_test(&p->ref))
		return;
	pid_put(p->pid);
	call_rcu(&p->rcu, process_free_rcu);
}

struct process *current_process(void)
{
	return current_task()->process;
}

struct vm_space *process_space_get(struct process *p)
{
	struct vm_space *space;
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	space = p->space;
	if (space && !process_space_get_hook(space))
		space = NULL;
	spin_unlock_irqrestore(&p->siglock, f);
	return space;
}

void process_attach_task_locked(struct process *p, struct task *t)
{
	t->thread.group = p;
	list_add_tail_rcu(&t->thread_node, &p->threads);
	p->nr_threads++;
}

void process_detach_task_locked(struct task *t)
{
	list_del_rcu(&t->thread_node);
	t->process->nr_threads--;
}

void process_usage_add(struct process_usage *to, const struct process_usage *from)
{
	to->utime_ns += from->utime_ns;
	to->stime_ns += from->stime_ns;
	to->min_flt += from->min_flt;
	to->maj_flt += from->maj_flt;
	to->nvcsw += from->nvcsw;
	to->nivcsw += from->nivcsw;
	to->inblock += from->inblock;
	to->oublock += from->oublock;
	to->maxrss_kib = MAX(to->maxrss_kib, from->maxrss_kib);
}

void task_usage(struct task *t, struct process_usage *out)
{
	memset(out, 0, sizeof(*out));
	thread_cputime(&t->thread, &out->utime_ns, &out->stime_ns);
	out->min_flt = READ_ONCE(t->min_flt);
	out->maj_flt = READ_ONCE(t->maj_flt);
	out->nvcsw = READ_ONCE(t->thread.switches_voluntary);
	out->nivcsw = READ_ONCE(t->thread.switches_involuntary);
}

void process_usage_sum_locked(struct process *p, struct process_usage *out)
{
	struct process_usage one;
	struct task *t;

	*out = p->dead_threads;
	list_for_each_entry(t, &p->threads, thread_node) {
		task_usage(t, &one);
		process_usage_add(out, &one);
	}
}

void process_usage_sum(struct process *p, struct process_usage *out)
{
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	process_usage_sum_locked(p, out);
	spin_unlock_irqrestore(&p->siglock, f);
}

/* Linux's INIT_RLIMITS; NPROC and SIGPENDING are half of what RAM allows. */
void rlimit_init_defaults(struct process *p)
{
	u64 half = (u64)task_max() / 2;
	unsigned int i;

	for (i = 0; i < RLIM_NLIMITS; i++)
		p->rlim[i] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
	p->rlim[RLIMIT_STACK].rlim_cur = _STK_LIM;
	p->rlim[RLIMIT_CORE].rlim_cur = 0;
	p->rlim[RLIMIT_NPROC] = (struct rlimit64){ half, half };
	p->rlim[RLIMIT_NOFILE] = (struct rlimit64){ 1024, 4096 };
	p->rlim[RLIMIT_MEMLOCK] = (struct rlimit64){ MLOCK_LIMIT, MLOCK_LIMIT };
	p->rlim[RLIMIT_SIGPENDING] = (struct rlimit64){ half, half };
	p->rlim[RLIMIT_MSGQUEUE] = (struct rlimit64){ 819200, 819200 };
	p->rlim[RLIMIT_NICE] = (struct rlimit64){ 0, 0 };
	p->rlim[RLIMIT_RTPRIO] = (struct rlimit64){ 0, 0 };
}

u64 rlimit_current(unsigned int which)
{
	struct task *t = task_current_or_null();

	return t ? rlimit_get(t->process, which) : RLIM64_INFINITY;
}

int rlimit_do(struct process *p, unsigned int which, const struct rlimit64 *new,
	      struct rlimit64 *old)
{
	struct rlimit64 *lim;
	irqflags_t f;
	bool privileged;
	int err = 0;

	if (which >= RLIM_NLIMITS)
		return -EINVAL;
	which = (unsigned int)index_nospec(which, RLIM_NLIMITS);
	if (new && new->rlim_cur > new->rlim_max)
		return -EINVAL;
	/* Linux: /proc/sys/fs/nr_open bounds the hard limit of descriptors. */
	if (new && which == RLIMIT_NOFILE && new->rlim_max > RLIMIT_NOFILE_CEILING)
		return -EPERM;
	privileged = new && capable(CAP_SYS_RESOURCE);
	lim = &p->rlim[which];
	f = spin_lock_irqsave(&p->rlim_lock);
	if (old)
		*old = *lim;
	if (new && new->rlim_max > lim->rlim_max && !privileged)
		err = -EPERM;
	else if (new)
		*lim = *new;
	spin_unlock_irqrestore(&p->rlim_lock, f);
	if (new && !err && which == RLIMIT_CPU) { /* the tick looks at it: under siglock, as a look that is just made ends with it */
		f = spin_lock_irqsave(&p->siglock);
		WRITE_ONCE(p->cpu_check_ns, 0);
		spin_unlock_irqrestore(&p->siglock, f);
	}
	return err;
}
