// SPDX-License-Identifier: MIT
/* access.h: checks that hold for the memory they were made for. */
#include <kernel/proc/access.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/wait.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>

#define ACCESS_RETRY_NS	(1000 * 1000ULL)	/* execve is about to be done */

void proc_access_exec_begin(struct process *p)
{
	WRITE_ONCE(p->access_seq, p->access_seq + 1);
	smp_mb();	/* odd before anything changes */
}

void proc_access_exec_end(struct process *p)
{
	smp_store_release(&p->access_seq, p->access_seq + 1);
}

struct vm_space *proc_space_again(struct task *t, u32 seq)
{
	struct vm_space *s = process_space_get(t->process);

	smp_mb();	/* the space before the number */
	if (!s || READ_ONCE(t->process->access_seq) == seq)
		return s;
	vm_space_put(s);
	return NULL;
}

struct vm_space *proc_space_to_show(struct task *t, int *err)
{
	struct vm_space *space = NULL;
	u32 seq;

	*err = proc_space_access(t, &space, &seq);
	if (*err == -ESRCH)
		*err = 0;
	else if (*err == -EPERM)
		*err = -EACCES;
	return space;
}

int proc_space_access(struct task *t, struct vm_space **space, u32 *seq)
{
	struct process *p = t->process;

	for (;;) {
		*seq = smp_load_acquire(&p->access_seq);
		if (!(*seq & 1)) {
			if (p != current_process() && proc_may_access_hook && !proc_may_access_hook(t))
				return -EPERM;
			*space = proc_space_again(t, *seq);
			if (*space)
				return 0;
			if (READ_ONCE(p->access_seq) == *seq)
				return -ESRCH;
		}
		if (thread_interrupted(current_thread()))
			return -EINTR;
		thread_set_state(current_thread(), THREAD_INTERRUPTIBLE);
		(void)thread_sleep_until(clock_mono_ns() + ACCESS_RETRY_NS, THREAD_INTERRUPTIBLE, "exec");
	}
}
