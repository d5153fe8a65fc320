/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: who has to go.
 *
 * The process with the most pages (resident and page tables), moved by oom_score_adj in thousandths of all
 * memory as proc(5) says; -1000 is never chosen, nor is PID 1. While a process that was killed still has its
 * address space nobody else is chosen: its memory is about to come free. If that takes too long (it may
 * be stuck), the next one is.
 *
 * Only faults of user programs get here, with no lock held. Allocations of the kernel itself fail
 * and the system call says ENOMEM: killing from in there could wait for a lock that the caller holds.
 */
#define LOG_TAG "oom"
#include <abi/linux/signal.h>
#include <kernel/core/log.h>
#include <kernel/mm/page.h>
#include <kernel/mm/reclaim.h>
#include <kernel/proc/oom.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vm/space.h>
#include <lib/string.h>

#define OOM_WAIT_NS		(10 * 1000 * 1000ULL)	/* between two looks */
#define OOM_PATIENCE_NS		(2 * 1000 * 1000 * 1000ULL)	/* for one victim */
#define OOM_ADJ_NEVER		(-1000)

static u64 last_kill_ns;	/* [a] */
static u32 choosing;		/* [a] 1: somebody walks the processes */

struct oom_choice {
	struct process *victim;		/* referenced */
	s64 points;
	bool waiting;			/* a killed process still has memory */
};

static s64 oom_points(struct process *p, struct vm_space *s, u64 total_pages)
{
	s64 adj = READ_ONCE(p->oom_score_adj);

	return (s64)(vm_space_rss(s) + (u64)atomic64_load_relaxed(&s->table_pages)) +
	       adj * (s64)(total_pages / 1000);
}

int oom_score(struct process *p)
{
	struct vm_space *s = process_space_get(p);
	struct mm_stats st;
	s64 points;

	if (!s)
		return 0;
	mm_stats(&st);
	points = oom_points(p, s, st.total);
	vm_space_put(s);
	if (READ_ONCE(p->sigflags) & PROCESS_UNKILLABLE || READ_ONCE(p->oom_score_adj) == OOM_ADJ_NEVER)
		return 0;
	return (int)MAX((1000 + points * 1000 / (s64)MAX(st.total, 1ull)) * 2 / 3, 0);
}

static void oom_consider(struct oom_choice *c, struct process *p, u64 total_pages)
{
	struct vm_space *s = process_space_get(p);
	u32 flags = READ_ONCE(p->sigflags);
	s64 points;

	if (!s)
		return;
	points = oom_points(p, s, total_pages);
	vm_space_put(s);
	if (flags & PROCESS_GROUP_EXIT) {
		c->waiting = true;
		return;
	}
	if (flags & PROCESS_UNKILLABLE || READ_ONCE(p->oom_score_adj) == OOM_ADJ_NEVER)
		return;
	if (c->victim && points <= c->points)
		return;
	if (c->victim)
		process_put(c->victim);
	c->victim = process_get(p);
	c->points = points;
}

static void oom_log(struct process *p)
{
	struct vm_space *s = process_space_get(p);
	char name[TASK_COMM_LEN] = "";
	struct task *leader;

	if (!s)
		return;
	rcu_read_lock();	/* exec may exchange the leader meanwhile, and a parent reap it */
	leader = rcu_dereference(p->pid->task);
	if (leader)
		thread_name_text(&leader->thread, name);
	rcu_read_unlock();
	log_err("Out of memory: Killed process %d (%s) total-vm:%llukB, anon-rss:%llukB, file-rss:%llukB, "
		"shmem-rss:%llukB, pgtables:%llukB oom_score_adj:%d", p->pid->nr, name,
		(unsigned long long)s->total_pages * 4,
		(unsigned long long)atomic64_load_relaxed(&s->rss_anon) * 4,
		(unsigned long long)atomic64_load_relaxed(&s->rss_file) * 4,
		(unsigned long long)atomic64_load_relaxed(&s->rss_shmem) * 4,
		(unsigned long long)atomic64_load_relaxed(&s->table_pages) * 4, p->oom_score_adj);
	vm_space_put(s);
}

static void oom_choose(void)
{
	struct oom_choice c = { 0 };
	struct mm_stats st;
	struct process *p;
	int nr = 1;

	mm_stats(&st);
	while ((p = process_next_get(nr))) {
		nr = p->pid->nr + 1;
		oom_consider(&c, p, st.total);
		process_put(p);
	}
	if (c.victim && (!c.waiting || clock_mono_ns() - READ_ONCE(last_kill_ns) > OOM_PATIENCE_NS)) {
		oom_log(c.victim);
		WRITE_ONCE(last_kill_ns, clock_mono_ns());
		(void)signal_send_process(c.victim, SIGKILL, true);
	} else if (!c.victim && !c.waiting) {
		log_ratelimited(LOG_ERR, "Out of memory and no killable processes");
	}
	if (c.victim)
		process_put(c.victim);
}

void oom_kill_one(void)
{
	oom_choose();
}

void oom_make_room(void)
{
	u32 idle = 0;

	/* Memory came free meanwhile, or the allocation failed on purpose (failslab): nobody needs to die. */
	if (mm_free_pages() > 2 * mm_reserve_pages())
		return;
	if (try_cmpxchg(&choosing, &idle, 1U)) {
		oom_choose();
		smp_store_release(&choosing, 0U);
	}
	if (thread_interrupted(current_thread()))
		return;
	thread_set_state(current_thread(), THREAD_KILLABLE);
	(void)thread_sleep_until(clock_mono_ns() + OOM_WAIT_NS, THREAD_KILLABLE, "out of memory");
}
