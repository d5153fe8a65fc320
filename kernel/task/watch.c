/* SPDX-License-Identifier: MIT */
/* Whose system calls take the slow path: the theory is in kernel/task/watch.h. */
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/watch.h>

u32 watch_all;

/* task_tree_lock held. */
static void work_bit_update(struct task *t)
{
	if ((t->watch | watch_all) & WATCH_REASONS)
		hal_work_set(&t->thread.hal, HAL_WORK_TRACE_ENTER);
	else
		hal_work_clear(&t->thread.hal, HAL_WORK_TRACE_ENTER);
}

void watch_attach_locked(struct task *t, const struct task *from)
{
	if (from && (from->process == t->process || (from->watch & WATCH_FOLLOW)))
		t->watch = from->watch;
	if (unlikely(t->watch | watch_all))
		work_bit_update(t);
}

/*
 * A process that is made meanwhile saw the new watch_all when it was attached; one that is gone meanwhile does not
 * matter; every other one is met on the way.
 */
void watch_change_all(u32 clear, u32 set)
{
	irqflags_t flags = spin_lock_irqsave(&task_tree_lock);
	struct process *p;
	struct task *t;

	WRITE_ONCE(watch_all, (watch_all & ~clear) | set);
	spin_unlock_irqrestore(&task_tree_lock, flags);
	for (int nr = 1; (p = process_next_get(nr)); nr = p->pid->nr + 1, process_put(p)) {
		flags = spin_lock_irqsave(&task_tree_lock);
		for_each_thread(p, t)
			work_bit_update(t);
		spin_unlock_irqrestore(&task_tree_lock, flags);
	}
}

static void change_locked(struct task *t, u32 clear, u32 set)
{
	WRITE_ONCE(t->watch, (u8)((t->watch & ~clear) | set));
	work_bit_update(t);
}

void watch_change_task(struct task *t, bool whole_process, u32 clear, u32 set)
{
	irqflags_t flags = spin_lock_irqsave(&task_tree_lock);
	struct task *each;

	if (whole_process)
		for_each_thread(t->process, each)
			change_locked(each, clear, set);
	else
		change_locked(t, clear, set);
	spin_unlock_irqrestore(&task_tree_lock, flags);
}
