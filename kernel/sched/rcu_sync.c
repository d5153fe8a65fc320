/* SPDX-License-Identifier: MIT */
/* RCU's sleeping half: the thread that runs callbacks, and waiting for a grace period. The contract is in rcu_sync.h. */
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/percpu.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/mutex.h>
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

/* ---- waiting for all callbacks ----------------------------------------------------------------- */

/* One barrier at a time has a callback on each CPU. */
static struct mutex barrier_mutex;
static DEFINE_PER_CPU(struct rcu_head, barrier_heads); /* [barrier_mutex] */
static u32 barrier_left; /* [a] CPUs whose callbacks have not all run, and one for the caller */
static struct completion barrier_done; /* [barrier_mutex] */

static void barrier_drop(void)
{
	if (__atomic_sub_fetch(&barrier_left, 1, __ATOMIC_ACQ_REL) == 0)
		complete(&barrier_done);
}

static void barrier_fn(struct rcu_head *head)
{
	(void)head;
	barrier_drop();
}

/* On each CPU, interrupts off: what is queued here now is in front of this one. */
static void barrier_queue_here(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&barrier_left, 1, __ATOMIC_RELAXED);
	call_rcu(this_cpu_ptr(&barrier_heads), barrier_fn);
	rcu_expedite();
}

/*
 * The callbacks of one CPU run in order: one more goes to the end of each CPU's queue. The CPU is asked to queue it
 * itself: its caller stays where it is, as its affinity is its own and may be changed by others at any time. A CPU that goes
 * afterwards hands its queue on as it is; one that has gone before has handed it to a CPU that is asked.
 */
void rcu_barrier(void)
{
	might_sleep();
	cpuhp_read_lock();
	mutex_lock(&barrier_mutex);
	completion_init(&barrier_done);
	__atomic_store_n(&barrier_left, 1, __ATOMIC_RELAXED);
	smp_call_all(barrier_queue_here, NULL, true);
	barrier_drop();
	wait_for_completion(&barrier_done, "rcu_barrier");
	mutex_unlock(&barrier_mutex);
	cpuhp_read_unlock();
}

/* See selftest.h. */
static void settle(void)
{
	workq_flush(&system_work);
	rcu_barrier();
}

void sched_work_init(void)
{
	mutex_init(&barrier_mutex, "rcu barrier", LOCK_RANK_SLEEP_LEAF);
	workq_boot();
	selftest_settle_hook = settle;
	VERIFY(kthread_run(rcu_main, NULL, "rcu"));
	rcu_wake_hook = rcu_wake;
}
