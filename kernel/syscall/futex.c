// SPDX-License-Identifier: MIT
/* futex(2) and the robust list's place. */
#include <abi/linux/futex.h>
#include <abi/linux/time.h>
#include <kernel/ipc/futex.h>
#include <kernel/sched/clock.h>
#include <kernel/task/pid.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

static bool futex_takes_time(int cmd)
{
	return cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_LOCK_PI ||
	       cmd == FUTEX_LOCK_PI2 || cmd == FUTEX_WAIT_REQUEUE_PI;
}

/* The fourth argument is a time for those that wait and a number for the others. */
static noinline long futex_any(uptr_t uaddr, int op, unsigned val, uptr_t timeout, uptr_t uaddr2, unsigned val3)
{
	struct timespec ts;
	u64 ns = 0;
	bool timed = futex_takes_time(op & FUTEX_CMD_MASK) && !uptr_is_null(timeout);

	if (timed) {
		if (copy_from_user(&ts, timeout, sizeof(ts)))
			return -EFAULT;
		if (!clock_timespec_valid(&ts))
			return -EINVAL;
		ns = clock_timespec_to_ns(&ts);
	}
	return futex_do(uaddr, op, val, timed, ns, (u32)timeout.addr, uaddr2, val3);
}

long sys_futex(uptr_t uaddr, int op, unsigned val, uptr_t timeout, uptr_t uaddr2, unsigned val3)
{
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	int plain = op & ~FUTEX_PRIVATE_FLAG;

	if (plain == FUTEX_WAKE)
		return futex_wake_plain(uaddr, shared, val);
	if (plain == FUTEX_WAIT && uptr_is_null(timeout))
		return futex_wait_plain(uaddr, shared, val);
	return futex_any(uaddr, op, val, timeout, uaddr2, val3);
}

long sys_set_robust_list(u64 head, size_t len)
{
	if (len != sizeof(struct robust_list_head))
		return -EINVAL;
	current_task()->robust_list = uptr(head);
	return 0;
}

long sys_get_robust_list(int pid, uptr_t head, uptr_t len)
{
	struct task *t = pid ? task_by_tid(pid) : task_get(current_task());
	u64 list;

	if (!t)
		return -ESRCH;
	if (proc_may_access_hook && !proc_may_access_hook(t)) {
		task_put(t);
		return -EPERM;
	}
	list = t->robust_list.addr;
	task_put(t);
	if (put_user_u64(sizeof(struct robust_list_head), len))
		return -EFAULT;
	return put_user_u64(list, head);
}
