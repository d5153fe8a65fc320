/* SPDX-License-Identifier: MIT */
/* RCU's sleeping half: the thread that runs callbacks, and waiting for a grace period. The contract is in rcu_sync.h. */
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/percpu.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/work.h>

#define RCU_NICE (-20)

static struct waitq rcu_waitq = WAITQ_INIT(rcu_waitq);
static bool rcu_ready; /* [a] callbacks whose grace period is over wait for the thread */

static void rcu_wake(void)
{
	WRITE_ONCE(rcu_ready, true);
	waitq_wake_all(&rcu_waitq);
}

/*
 * What waits here is memory. Hundreds of busy threads that all make garbage must not make its collector wait for
 * its turn among them: it comes first, and its work is bounded by theirs.
 */
static void rcu_main(void *arg)
{
	(void)arg;
	sched_set_nice(current_thread(), RCU_NICE);
	for (;;) {
		WAIT_EVENT_IDLE(&rcu_waitq, __atomic_exchange_n(&rcu_ready, false, __ATOMIC_SEQ_CST), "rcu");
		rcu_run_callbacks();
	}
}

struct rcu_sync {
	struct rcu_head head;
	struct completion done;
};

static void rcu_sync_fn(struct rcu_head *head)
{
	complete(&container_of(head, struct rcu_sync, head)->done);
}

void synchronize_rcu(void)
{
	struct rcu_sync s;

	might_sleep();
	completion_init(&s.done);
	call_rcu(&s.head, rcu_sync_fn);
	rcu_expedite();
	wait_for_completion(&s.done, "synchronize_rcu");
}

/* The callbacks of one CPU run in order: one more at the end of each CPU's queue, one after the other. */
void rcu_barrier(void)
{
	struct thread *me = current_thread();
	struct cpumask before = me->affinity, one;
	u32 cpu;

	cpuhp_read_lock(); /* callbacks of a CPU that goes move to another one's end, where this has perhaps been */
	for_each_online_cpu(cpu) {
		cpumask_clear(&one);
		cpumask_set(&one, cpu);
		if (sched_set_affinity(me, &one) == 0)
			synchronize_rcu();
	}
	cpuhp_read_unlock();
	(void)sched_set_affinity(me, &before);
}

/* See selftest.h. */
static void settle(void)
{
	workq_flush(&system_work);
	rcu_barrier();
}

void sched_work_init(void)
{
	workq_boot();
	selftest_settle_hook = settle;
	VERIFY(kthread_run(rcu_main, NULL, "rcu"));
	rcu_wake_hook = rcu_wake;
}
