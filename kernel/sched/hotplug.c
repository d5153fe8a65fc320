/* SPDX-License-Identifier: MIT */
/*
 * Run queues that come and go, and the topology that placement uses.
 *
 * A queue lies in its CPU's per-CPU area and stays for ever once it was made. `online` says whether threads may be put
 * there; it changes under the queue's lock, and whoever puts a thread there looks at it under that lock.
 *
 * Going offline: the queue takes nobody any more, what waits there goes elsewhere, the thread that runs is asked to leave
 * (evict), and the step ends when the idle thread runs. Kernel threads that belong to the CPU (kthread_run_on) should be
 * asleep by then; one that is not, or wakes meanwhile, loses its affinity as any other thread does.
 *
 * Topology. CPUs that share their last cache have one of them as `llc`, whose queue holds the two masks for all; the llcs
 * form a ring, and so do the threads of a core. Both only grow, under topology_lock, while readers walk them without one.
 */
#define LOG_TAG "sched"
#include <abi/linux/sched.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/topology.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/cpuhp.h>
#include <kernel/sched/wait.h>
#include <lib/string.h>

#include "queue.h"

struct runqueue *sched_rqs[MAX_CPUS];
bool sched_many;
struct cpumask sched_online;

static struct spinlock topology_lock = SPINLOCK_INIT("topology", LOCK_RANK_LEAF);

/* ---- topology ---------------------------------------------------------------------------------- */

/* [topology_lock] */
static void ring_join(struct runqueue **mine, struct runqueue *self, struct runqueue **theirs)
{
	WRITE_ONCE(*mine, *theirs);
	smp_wmb();
	WRITE_ONCE(*theirs, self);
}

/* [topology_lock] The queue stands for a cache of its own until it finds others. */
static void topology_alone(struct runqueue *rq)
{
	rq->llc = rq->llc_next = rq->smt_next = rq;
	cpumask_atomic_set(&rq->llc_cpus, rq->cpu);
}

/* [topology_lock] */
static void topology_join(struct runqueue *rq)
{
	struct runqueue *core = NULL, *llc = NULL, *any = NULL;

	for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
		struct runqueue *other = rq_of(cpu);

		if (!other || other == rq || !other->placed)
			continue;
		any = other->llc;
		if (other->llc_id == rq->llc_id)
			llc = other->llc;
		if (other->llc_id == rq->llc_id && other->core_id == rq->core_id)
			core = other;
	}
	if (core)
		ring_join(&rq->smt_next, rq, &core->smt_next);
	if (llc) {
		cpumask_atomic_set(&llc->llc_cpus, rq->cpu);
		WRITE_ONCE(rq->llc, llc);
	} else if (any) {
		ring_join(&rq->llc_next, rq, &any->llc_next);
	}
}

/* Once for each CPU, when the HAL knows where it is and no thread was ever put there. */
static void topology_place(struct runqueue *rq)
{
	struct hal_topology t;
	irqflags_t flags;

	hal_cpu_topology(rq->cpu, &t);
	flags = spin_lock_irqsave(&topology_lock);
	if (!rq->placed) {
		rq->llc_id = t.llc_id;
		rq->core_id = t.package << 20 | (t.die & 0xfu) << 16 | (t.core & 0xffffu);
		topology_join(rq);
		rq->placed = true;
	}
	spin_unlock_irqrestore(&topology_lock, flags);
}

/* ---- coming ------------------------------------------------------------------------------------ */

void rq_init_here(struct thread *idle)
{
	u32 cpu = hal_cpu_id();
	struct runqueue *rq = rq_here();

	spin_init(&rq->lock, "runqueue", LOCK_RANK_RUNQUEUE);
	rq->cpu = cpu;
	for (u32 i = 0; i < SCHED_LEVELS; i++)
		list_init(&rq->level[i]);
	rq->first = &rq->level[calendar_level(rq, 0)];
	rq->idle = rq->current = idle;
	rq->running_level = SCHED_LEVEL_IDLE;
	rq->online_ns = rq->idle_since_ns = hal_clock_ns();
	tick_init(rq);
	topology_alone(rq);
	__atomic_store_n(&sched_rqs[cpu], rq, __ATOMIC_RELEASE);
}

/* [rq->lock] */
static void set_online(struct runqueue *rq, bool online)
{
	u64 now = hal_clock_ns();

	rq->online = online;
	rq->evict = !online;
	if (online) {
		cpumask_atomic_set(&sched_online, rq->cpu);
		if (rq->current == rq->idle)
			cpumask_atomic_set(&rq->llc->llc_idle, rq->cpu);
		if (rq->offline_since_ns) { /* what passed meanwhile was nobody's time */
			rq->online_ns += now - rq->offline_since_ns;
			rq->idle_since_ns = MAX(rq->idle_since_ns, now);
			rq->offline_since_ns = 0;
		}
	} else {
		cpumask_atomic_unset(&sched_online, rq->cpu);
	}
}

void sched_adopt_idle(struct thread *idle)
{
	u32 cpu = hal_cpu_id();

	idle->cpu = cpu;
	idle->flags = THREAD_IDLE;
	idle->on_rq = 1;
	idle->level = SCHED_LEVEL_IDLE;
	idle->sp.weight = SCHED_WEIGHT_NICE0;
	idle->state = THREAD_RUNNABLE;
	spin_init(&idle->time_lock, "thread time", LOCK_RANK_LEAF);
	cpumask_set(&idle->affinity, cpu);
	if (!rq_of(cpu)) {
		timer_init_cpu(cpu);
		rq_init_here(idle);
	}
	if (cpu == 0) {
		char nohz[8] = "";

		(void)cmdline_find("nohz", nohz, sizeof(nohz));
		sched_tick_may_stop = strcmp(nohz, "off") != 0;
		sched_hooks_init();
		rq_here()->online = true;
		cpumask_atomic_set(&sched_online, 0);
	}
}

static int sched_cpu_online(u32 cpu)
{
	struct runqueue *rq = rq_of(cpu);
	irqflags_t flags;

	topology_place(rq_of(0));
	topology_place(rq);
	WRITE_ONCE(sched_many, true);
	flags = spin_lock_irqsave(&rq->lock);
	set_online(rq, true);
	spin_unlock_irqrestore(&rq->lock, flags);
	return 0;
}

/* ---- going ------------------------------------------------------------------------------------- */

#define LEAVE_POLL_NS 1000000ull

static bool is_empty(struct runqueue *rq)
{
	irqflags_t flags = spin_lock_irqsave(&rq->lock);
	bool empty = rq->current == rq->idle && !rq->queued && !rq->after;

	spin_unlock_irqrestore(&rq->lock, flags);
	return empty;
}

static int sched_cpu_offline(u32 cpu)
{
	struct runqueue *rq = rq_of(cpu);
	irqflags_t flags = spin_lock_irqsave(&rq->lock);

	set_online(rq, false);
	spin_unlock_irqrestore(&rq->lock, flags);
	sched_evacuate(rq);
	while (!is_empty(rq)) { /* a thread that runs in the kernel leaves at its next preemption point */
		sched_kick_cpu(cpu);
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		(void)thread_sleep_until(hal_clock_ns() + LEAVE_POLL_NS, THREAD_UNINTERRUPTIBLE, "cpu offline");
	}
	return 0;
}

/* By its idle thread, interrupts off for good. */
static void sched_cpu_dying(u32 cpu)
{
	struct runqueue *rq = rq_of(cpu);
	u64 now = hal_clock_ns();

	spin_lock(&rq->lock);
	VERIFY(!rq->queued && rq->current == rq->idle);
	tick_stop(rq);
	rq->idle_ns += now - rq->idle_since_ns;
	rq->idle_since_ns = rq->offline_since_ns = now;
	cpumask_atomic_unset(&rq->llc->llc_idle, cpu);
	spin_unlock_no_resched(&rq->lock);
}

const struct cpuhp_step sched_cpuhp = {
	.name = "scheduler", .online = sched_cpu_online, .offline = sched_cpu_offline, .dying = sched_cpu_dying,
};
