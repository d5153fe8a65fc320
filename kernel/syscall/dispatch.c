/* SPDX-License-Identifier: MIT */
/*
 * What surrounds the dispatch table: calls that are not there, and the slow path.
 *
 * The fast path is in the HAL's entry code: it indexes syscall_table itself. It comes here when the number is
 * out of range or the thread has a trace bit in its work word, which follows from task/watch.h: the call is then
 * traced, counted or recorded around the very same function.
 */
#define LOG_TAG "syscall"
#include <hal/clock.h>
#include <hal/regs.h>
#include <hal/thread.h>
#include <hal/upcall.h>
#include <kernel/core/log.h>
#include <kernel/core/record.h>
#include <kernel/sched/sched.h>
#include <kernel/syscall/syscall.h>
#include <kernel/task/pid.h>
#include <kernel/task/task.h>
#include <kernel/task/watch.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>
#include "trace.h"

long sys_not_there(void)
{
	const struct task *me = current_task();
	long nr = hal_regs_syscall_nr(hal_task_regs(&me->thread));
	char name[THREAD_NAME_BYTES];

	log_ratelimited(LOG_INFO, "%s[%d]: system call %ld is not there", thread_name_text(&me->thread, name),
			pid_nr(me->pid), nr);
	return -ENOSYS;
}

long syscall_make(struct hal_regs *regs, u64 nr)
{
	if (nr >= syscall_table_size)
		return sys_not_there();
	nr = index_nospec(nr, syscall_table_size);
	return syscall_table[nr](hal_regs_arg(regs, 0), hal_regs_arg(regs, 1), hal_regs_arg(regs, 2),
				 hal_regs_arg(regs, 3), hal_regs_arg(regs, 4), hal_regs_arg(regs, 5));
}

/* A call of a thread that somebody looks at. */
static long syscall_watched(struct hal_regs *regs, u64 nr)
{
	const struct task *me = current_task();
	bool count = (watch_of(me) & WATCH_COUNT) && nr < syscall_table_size;
	u64 begin = 0;
	long result;

	record(RECORD_SYSCALL, nr, hal_regs_arg(regs, 0));
	if (count) {
		stats_enter(nr);
		begin = hal_clock_ns();
	}
	result = trace_wants(me, nr) ? trace_call(regs, nr) : syscall_make(regs, nr);
	if (count)
		stats_leave(nr, hal_clock_ns() - begin, result);
	record(RECORD_RESULT, nr, (u64)result);
	return result;
}

long upcall_syscall_slow(struct hal_regs *regs)
{
	u64 nr = (u32)hal_regs_syscall_nr(regs);

	sched_check_user_entry();
	if (unlikely(watch_of(current_task()) & WATCH_REASONS))
		return syscall_watched(regs, nr);
	return syscall_make(regs, nr);
}
