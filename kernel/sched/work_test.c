/* SPDX-License-Identifier: MIT */
/*
 * Self tests of the ends of deferred work: cancelling with waiting, and rcu_barrier(). Each thread that a test makes
 * is gone when it ends.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/smpcall.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/work.h>
#include <lib/string.h>

#define PATIENCE_NS (10 * (u64)NSEC_PER_SEC)

struct cancel_probe {
	struct work work;
	struct workq wq;
	struct thread *helper; /* [a] */
	struct completion started, go, inside;
	u32 runs, refused, cancelled; /* [a] */
};

static struct cancel_probe cancel_probe;

static void probe_start(void (*fn)(struct work *))
{
	memset(&cancel_probe, 0, sizeof(cancel_probe));
	work_init(&cancel_probe.work, fn);
	completion_init(&cancel_probe.started);
	completion_init(&cancel_probe.go);
	completion_init(&cancel_probe.inside);
}

/* Has a call come back? It is to, soon; the machine is not to hang when it does not. */
static bool probe_cancelled(struct cancel_probe *p)
{
	u64 end = hal_clock_ns() + PATIENCE_NS;

	while (!__atomic_load_n(&p->cancelled, __ATOMIC_ACQUIRE) && hal_clock_ns() < end)
		synchronize_rcu(); /* sleeps a little */
	return __atomic_load_n(&p->cancelled, __ATOMIC_ACQUIRE);
}

static void probe_again(struct work *w)
{
	struct cancel_probe *p = &cancel_probe;

	complete(&p->started);
	__atomic_fetch_add(&p->runs, 1, __ATOMIC_RELAXED);
	if (!work_queue(&p->wq, w))
		__atomic_fetch_add(&p->refused, 1, __ATOMIC_RELAXED);
}

/* One that queues itself each time it runs is waited for once, and then it is not queued. */
SELFTEST(work, cancel_ends_what_queues_itself)
{
	struct cancel_probe *p = &cancel_probe;
	u32 runs;

	for (u32 i = 0; i < 20; i++) {
		probe_start(probe_again);
		REQUIRE(workq_init(&p->wq, "again", 0) == 0);
		EXPECT(work_queue(&p->wq, &p->work));
		wait_for_completion(&p->started, "selftest");
		(void)work_cancel_sync(&p->work);
		runs = p->runs;
		workq_flush(&p->wq);
		EXPECT_EQ(p->runs, runs);
		EXPECT(p->refused <= 1);
		p->runs = 0; /* and it can be used again */
		EXPECT(work_queue(&p->wq, &p->work));
		(void)work_cancel_sync(&p->work);
		workq_destroy(&p->wq);
	}
}

static void probe_itself(struct work *w)
{
	struct cancel_probe *p = &cancel_probe;

	__atomic_fetch_add(&p->runs, 1, __ATOMIC_RELAXED);
	EXPECT(work_queue(&p->wq, w));
	EXPECT(work_cancel_sync(w)); /* it does not wait for itself */
	__atomic_store_n(&p->cancelled, 1, __ATOMIC_RELEASE);
}

SELFTEST(work, function_cancels_its_own_item)
{
	struct cancel_probe *p = &cancel_probe;

	probe_start(probe_itself);
	REQUIRE(workq_init(&p->wq, "itself", 0) == 0);
	EXPECT(work_queue(&p->wq, &p->work));
	REQUIRE(probe_cancelled(p));
	workq_flush(&p->wq);
	EXPECT_EQ(p->runs, 1);
	workq_destroy(&p->wq);
}

static void canceller(void *arg)
{
	struct cancel_probe *p = arg;

	complete(&p->inside);
	(void)work_cancel_sync(&p->work);
	__atomic_store_n(&p->cancelled, 1, __ATOMIC_RELEASE);
}

/* Ends when somebody waits for it to end. */
static void probe_until_waited_for(struct work *w)
{
	struct cancel_probe *p = &cancel_probe;
	struct thread *helper;

	(void)w;
	complete(&p->started);
	wait_for_completion(&p->inside, "selftest");
	while (!(helper = __atomic_load_n(&p->helper, __ATOMIC_ACQUIRE)) || READ_ONCE(helper->state) == THREAD_RUNNABLE)
		schedule();
}

static void probe_blocks(struct work *w)
{
	(void)w;
	wait_for_completion(&cancel_probe.go, "selftest");
}

/* Who waits for one item does not wait for the one behind it. */
SELFTEST(work, cancel_does_not_wait_for_the_next)
{
	struct cancel_probe *p = &cancel_probe;
	struct work next;

	probe_start(probe_until_waited_for);
	work_init(&next, probe_blocks);
	REQUIRE(workq_init(&p->wq, "next", 0) == 0);
	EXPECT(work_queue(&p->wq, &p->work));
	wait_for_completion(&p->started, "selftest");
	EXPECT(work_queue(&p->wq, &next));
	__atomic_store_n(&p->helper, kthread_run(canceller, p, "canceller"), __ATOMIC_RELEASE);
	REQUIRE(p->helper);
	EXPECT(probe_cancelled(p));
	complete(&p->go);
	workq_destroy(&p->wq);
}

struct barrier_probe {
	struct rcu_head head[MAX_CPUS];
	u32 queued, ran; /* [a] */
	struct completion begun, done;
	bool end; /* [a] */
};

static struct barrier_probe barrier_probe;

static void barrier_ran(struct rcu_head *head)
{
	(void)head;
	__atomic_fetch_add(&barrier_probe.ran, 1, __ATOMIC_RELAXED);
}

static void barrier_queue(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&barrier_probe.queued, 1, __ATOMIC_RELAXED);
	call_rcu(&barrier_probe.head[hal_cpu_id()], barrier_ran);
}

SELFTEST(rcu, barrier_waits_for_all_cpus)
{
	for (u32 i = 0; i < 5; i++) {
		barrier_probe.queued = barrier_probe.ran = 0;
		smp_call_all(barrier_queue, NULL, true);
		rcu_barrier();
		EXPECT_EQ(__atomic_load_n(&barrier_probe.ran, __ATOMIC_RELAXED), barrier_probe.queued);
	}
}

static void barrier_caller(void *arg)
{
	struct barrier_probe *p = arg;

	complete(&p->begun);
	while (!__atomic_load_n(&p->end, __ATOMIC_ACQUIRE))
		rcu_barrier();
	complete(&p->done);
}

/* Where its caller may run is what others say, also while it waits. */
SELFTEST(rcu, barrier_leaves_affinity_alone)
{
	struct barrier_probe *p = &barrier_probe;
	struct cpumask all, one;
	struct thread *t;
	u32 cpu;

	cpumask_clear(&all);
	for_each_online_cpu(cpu)
		cpumask_set(&all, cpu);
	cpumask_clear(&one);
	cpumask_set(&one, 0);
	completion_init(&p->begun);
	completion_init(&p->done);
	p->end = false;
	t = kthread_run(barrier_caller, p, "barrier");
	REQUIRE(t);
	wait_for_completion(&p->begun, "selftest");
	for (u32 i = 0; i < 20; i++) {
		const struct cpumask *wanted = i % 2 ? &all : &one;

		EXPECT_EQ(sched_set_affinity(t, wanted), 0);
		synchronize_rcu(); /* time for the barrier to go on by as much */
		for_each_online_cpu(cpu)
			EXPECT_EQ(cpumask_test(&t->affinity, cpu), cpumask_test(wanted, cpu));
	}
	__atomic_store_n(&p->end, true, __ATOMIC_RELEASE);
	wait_for_completion(&p->done, "selftest");
}
