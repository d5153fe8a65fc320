// SPDX-License-Identifier: MIT
/*
 * Tasks: memory, counting, names. How a task comes and goes is in kernel/proc;
 * see task.h for the life of the structure.
 *
 * How many there may be follows from RAM as on Linux (fork_init): so many that
 * their kernel stacks take an eighth of memory. The limit of processes per
 * user is half of that.
 */
#define LOG_TAG "task"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/mm/page.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>
#include <lib/string.h>

#define TASK_STACK_BYTES	(16 * KIB)
#define TASK_STACK_SHARE	8	/* stacks may take 1/8 of RAM */
#define TASK_MIN		20	/* Linux: MIN_THREADS */
#define TASK_LIMIT		0x3fffffff	/* Linux: FUTEX_TID_MASK */
#define TASK_TIMER_SLACK_NS	50000

struct spinlock task_tree_lock = SPINLOCK_INIT("task_tree", LOCK_RANK_TASK_TREE);

static struct kmem_cache *task_cache;
static int task_limit;			/* [I] */
static atomic_t task_number = ATOMIC_INIT(0);
static atomic64_t task_made = ATOMIC64_INIT(0);

static void task_limit_from_ram(void)
{
	struct mm_stats ms;
	u64 n;

	mm_stats(&ms);
	n = ms.total * 4 * KIB / (TASK_STACK_BYTES * TASK_STACK_SHARE);
	task_limit = (int)CLAMP(n, (u64)TASK_MIN, (u64)TASK_LIMIT);
}

void task_init(void)
{
	task_limit_from_ram();
	task_cache = kmem_cache_create("task", sizeof(struct task), 64, NULL, 0);
	if (!task_cache)
		panic("no memory for tasks");
	process_init();
	pid_init();
	user_init();
	cred_init();
	log_info("at most %d tasks, numbers below %d", task_limit, pid_max());
}

struct task *task_alloc(void)
{
	struct task *t = kmem_cache_alloc(task_cache, 0);

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	refcount_init(&t->ref, 1);
	spin_init(&t->lock, "task", LOCK_RANK_TASK);
	sigpending_init(&t->pending);
	list_init(&t->thread_node);
	t->altstack.ss_flags = SS_DISABLE;
	t->thread.slack_ns = TASK_TIMER_SLACK_NS;
	t->default_timer_slack_ns = TASK_TIMER_SLACK_NS;
	return t;
}

static void task_free_rcu(struct rcu_head *head)
{
	kmem_cache_free(task_cache, container_of(head, struct task, rcu));
}

void task_put(struct task *t)
{
	if (!refcount_put_and_test(&t->ref))
		return;
	if (t->real_cred)
		cred_put(t->real_cred);
	mempolicy_put(t->mempolicy);
	if (t->pid)
		pid_put(t->pid);
	if (t->process)
		process_put(t->process);
	call_rcu(&t->rcu, task_free_rcu);
}

int task_count(void)
{
	return atomic_load_relaxed(&task_number);
}

int task_max(void)
{
	return task_limit;
}

u64 task_forks_total(void)
{
	return (u64)atomic64_load_relaxed(&task_made);
}

bool task_count_inc(void)
{
	if (atomic_inc_return(&task_number) > task_limit) {
		atomic_dec(&task_number);
		return false;
	}
	atomic64_inc_relaxed(&task_made);
	return true;
}

void task_count_dec(void)
{
	atomic_dec(&task_number);
}

void task_set_comm(struct task *t, const char *name)
{
	thread_set_name(&t->thread, name);
}

void task_get_comm(struct task *t, char buf[TASK_COMM_LEN])
{
	int i;

	for (i = 0; i < TASK_COMM_LEN - 1; i++) {
		buf[i] = READ_ONCE(t->thread.name[i]);
		if (!buf[i])
			break;
	}
	buf[i] = '\0';
}

const struct cred *task_cred_get(struct task *t)
{
	const struct cred *c;

	rcu_read_lock();
	do {
		c = rcu_dereference(t->real_cred);
	} while (!refcount_get_not_zero(&((struct cred *)c)->ref));
	rcu_read_unlock();
	return c;
}
