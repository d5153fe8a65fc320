/* SPDX-License-Identifier: MIT */
/*
 * What surrounds the dispatch table: calls that are not there, and the slow path.
 *
 * The fast path is in the HAL's entry code: it indexes syscall_table itself. It comes here when the number is
 * out of range or the thread has a trace bit in its work word.
 */
#define LOG_TAG "syscall"
#include <hal/regs.h>
#include <hal/thread.h>
#include <hal/upcall.h>
#include <kernel/core/log.h>
#include <kernel/syscall/syscall.h>
#include <kernel/task/pid.h>
#include <kernel/task/task.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

long sys_not_there(void)
{
	const struct task *me = current_task();
	long nr = hal_regs_syscall_nr(hal_task_regs(&me->thread));

	log_ratelimited(LOG_INFO, "%s[%d]: system call %ld is not there", me->thread.name, pid_nr(me->pid), nr);
	return -ENOSYS;
}

long upcall_syscall_slow(struct hal_regs *regs)
{
	u64 nr = (u64)hal_regs_syscall_nr(regs);

	if (nr >= syscall_table_size)
		return sys_not_there();
	nr = index_nospec(nr, syscall_table_size);
	return syscall_table[nr](hal_regs_arg(regs, 0), hal_regs_arg(regs, 1), hal_regs_arg(regs, 2),
				 hal_regs_arg(regs, 3), hal_regs_arg(regs, 4), hal_regs_arg(regs, 5));
}
