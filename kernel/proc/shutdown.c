/* SPDX-License-Identifier: MIT */
/*
 * The end of all processes, for the check at power-off (kernel/debug/leaks.c): nothing of this runs in a kernel that
 * just stops.
 *
 * From proc_ending on nobody forks, and PID 1 may end. First all others get a SIGKILL; the dead are taken out of
 * the tree here, as PID 1 may be the one that waits in reboot(2). When it has no child left it follows.
 */
#include <abi/linux/signal.h>
#include <kernel/proc/exit.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>

#include "internal.h"

#if HALCYON_DEBUG

#define LOOK_AGAIN_NS (NSEC_PER_MSEC)

bool proc_ending;	/* [a] */

static void end_nap(void)
{
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	(void)thread_sleep_until(clock_mono_ns() + LOOK_AGAIN_NS, THREAD_UNINTERRUPTIBLE, "processes to end");
}

static void kill_others(void)
{
	struct process *p;
	int nr = 2;

	while ((p = process_next_get(nr))) {
		nr = p->pid->nr + 1;
		if (p != process_init_task)
			signal_end_process(p, SIGKILL);
		process_put(p);
	}
}

/* True when PID 1 has no child any more. */
static bool reap_children(void)
{
	struct process *c, *next;
	bool none;
	LIST_HEAD(dead);
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	list_for_each_entry_safe(c, next, &process_init_task->children, sibling)
		if (process_is_zombie_locked(c))
			process_reap_locked(c, &dead);
	none = list_empty(&process_init_task->children);
	spin_unlock_irqrestore(&task_tree_lock, f);
	process_reap_finish(&dead);
	return none;
}

static bool reap_init(void)
{
	bool zombie;
	LIST_HEAD(dead);
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	zombie = process_is_zombie_locked(process_init_task);
	if (zombie)
		process_reap_locked(process_init_task, &dead);
	spin_unlock_irqrestore(&task_tree_lock, f);
	process_reap_finish(&dead);
	return zombie;
}

int proc_end_all(u64 patience_ns)
{
	u64 deadline = clock_mono_ns() + patience_ns;
	bool done = false;

	WRITE_ONCE(proc_ending, true);
	while (!done && clock_mono_ns() < deadline) {
		kill_others();
		done = reap_children() && task_count() <= process_init_task->nr_threads;
		if (!done)
			end_nap();
	}
	if (done)
		signal_end_process(process_init_task, SIGKILL);
	for (done = false; !done && clock_mono_ns() < deadline;) {
		done = reap_init();
		if (!done)
			end_nap();
	}
	while (task_count() && clock_mono_ns() < deadline)
		end_nap();
	return task_count();
}

#endif
