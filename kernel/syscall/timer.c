/* SPDX-License-Identifier: MIT */
/* Timers that a program sets: setitimer(2), alarm(2), timerfd_create(2). */
#include <abi/linux/time.h>
#include <kernel/ipc/timerfd.h>
#include <kernel/proc/timers.h>
#include <kernel/sched/clock.h>
#include <kernel/syscall/syscall.h>
#include <kernel/vfs/files.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

/* ---- interval timers --------------------------------------------------------------------------- */

static int put_itimerval(const u64 old[2], uptr_t out)
{
	s64 v[4] = { (s64)(old[1] / NSEC_PER_SEC), (s64)(old[1] % NSEC_PER_SEC / 1000), (s64)(old[0] / NSEC_PER_SEC),
		     (s64)(old[0] % NSEC_PER_SEC / 1000) };

	return copy_to_user(out, v, sizeof(v));
}

static bool timeval_valid(const s64 tv[2])
{
	return tv[0] >= 0 && (u64)tv[1] < 1000000;
}

static u64 timeval_ns(const s64 tv[2])
{
	struct timespec ts = { tv[0], tv[1] * 1000 };

	return clock_timespec_to_ns(&ts);
}

long sys_getitimer(int which, uptr_t value)
{
	u64 old[2];
	int err = itimer_get(which, old);

	return err ? err : put_itimerval(old, value);
}

long sys_setitimer(int which, uptr_t value, uptr_t old_value)
{
	s64 v[4] = { 0, 0, 0, 0 }; /* interval, then value */
	u64 old[2];
	int err;

	if (!uptr_is_null(value) && copy_from_user(v, value, sizeof(v)))
		return -EFAULT;
	if (!timeval_valid(v) || !timeval_valid(v + 2))
		return -EINVAL;
	err = itimer_set(which, timeval_ns(v + 2), timeval_ns(v), old);
	if (err)
		return err;
	return uptr_is_null(old_value) ? 0 : put_itimerval(old, old_value);
}

long sys_alarm(unsigned seconds)
{
	u64 old[2], left;

	if (itimer_set(ITIMER_REAL, (u64)seconds * NSEC_PER_SEC, 0, old))
		return 0; /* alarm(2) has no errors */
	left = (old[0] + NSEC_PER_SEC / 2) / NSEC_PER_SEC; /* rounded, but never a running timer as 0 */
	return (long)(old[0] && !left ? 1 : left);
}

/* ---- timer descriptors ------------------------------------------------------------------------- */

long sys_timerfd_create(int clock, int flags)
{
	struct file *file;
	int err;

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	err = timerfd_create_file(clock, (u32)flags, &file);
	if (err)
		return err;
	return fd_install_new(file, (u32)flags);
}

static bool itimerspec_valid(const struct itimerspec *t)
{
	return clock_timespec_valid(&t->it_value) && clock_timespec_valid(&t->it_interval);
}

long sys_timerfd_settime(int fd, int flags, uptr_t new_value, uptr_t old_value)
{
	struct itimerspec new, old;
	struct fdref f;
	int err;

	if (copy_from_user(&new, new_value, sizeof(new)))
		return -EFAULT;
	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !itimerspec_valid(&new))
		return -EINVAL;
	f = fd_get(fd);
	if (!f.file)
		return -EBADF;
	err = timerfd_set(f.file, flags, &new, &old);
	fd_put(f);
	if (err)
		return err;
	return uptr_is_null(old_value) ? 0 : copy_to_user(old_value, &old, sizeof(old));
}

long sys_timerfd_gettime(int fd, uptr_t value)
{
	struct itimerspec now;
	struct fdref f = fd_get(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = timerfd_get(f.file, &now);
	fd_put(f);
	return err ? err : copy_to_user(value, &now, sizeof(now));
}
