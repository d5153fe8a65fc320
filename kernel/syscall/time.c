/* SPDX-License-Identifier: MIT */
/* Clocks and sleeping: clock_gettime(2), clock_settime(2), settimeofday(2), nanosleep(2), clock_nanosleep(2). */
#include <abi/linux/time.h>
#include <kernel/proc/timers.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/signal.h>
#include <kernel/syscall/syscall.h>
#include <kernel/task/cred.h>
#include <kernel/vm/uaccess.h>
#include <gen/syscall_protos.h>

#include "time.h"

#define TICK_NS			4000000		/* resolution of what the tick tells */
#define ZONE_MAX_MINUTES	(15 * 60)

/* ---- reading ----------------------------------------------------------------------------------- */

static bool is_cpu_clock(int id)
{
	return id < 0 || id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID;
}

int clock_read(int id, u64 *ns)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		*ns = clock_real_ns();
		return 0;
	case CLOCK_TAI:
		*ns = clock_tai_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_mono_ns();
		return 0;
	case CLOCK_REALTIME_COARSE:
		*ns = clock_real_ns() & ~(CLOCK_COARSE_NS - 1);
		return 0;
	case CLOCK_MONOTONIC_COARSE:
		*ns = clock_mono_ns() & ~(CLOCK_COARSE_NS - 1);
		return 0;
	default:
		return is_cpu_clock(id) ? cpu_clock_read(id, ns) : -EINVAL;
	}
}

static int put_timespec(u64 ns, uptr_t out)
{
	struct timespec ts;

	clock_ns_to_timespec(ns, &ts);
	return copy_to_user(out, &ts, sizeof(ts));
}

long sys_clock_gettime(int clock, uptr_t ts)
{
	u64 ns;
	int err = clock_read(clock, &ns);

	return err ? err : put_timespec(ns, ts);
}

static u64 clock_resolution(int clock)
{
	if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		return TICK_NS;
	return clock < 0 && (clock & CPU_CLOCK_KIND) != CPU_CLOCK_SCHED ? TICK_NS : 1;
}

long sys_clock_getres(int clock, uptr_t ts)
{
	u64 ns;
	int err = clock_read(clock, &ns);

	if (err)
		return err;
	return uptr_is_null(ts) ? 0 : put_timespec(clock_resolution(clock), ts);
}

long sys_gettimeofday(uptr_t tv, uptr_t tz)
{
	u64 us = clock_real_ns() / 1000;
	s64 out[2] = { (s64)(us / 1000000), (s64)(us % 1000000) };
	s32 zone[2];

	clock_zone(&zone[0], &zone[1]);
	if (!uptr_is_null(tv) && copy_to_user(tv, out, sizeof(out)))
		return -EFAULT;
	if (!uptr_is_null(tz) && copy_to_user(tz, zone, sizeof(zone)))
		return -EFAULT;
	return 0;
}

long sys_time(uptr_t t)
{
	u64 now = clock_real_ns() / NSEC_PER_SEC;

	if (!uptr_is_null(t) && put_user_u64(now, t))
		return -EFAULT;
	return (long)now;
}

/* ---- setting ----------------------------------------------------------------------------------- */

/* Checks in Linux's order: the value, the right to, the rest. */
static int set_wall_clock(const struct timespec *t)
{
	if (!clock_timespec_valid(t) || t->tv_sec > CLOCK_SET_MAX_S)
		return -EINVAL;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	return clock_set_real_ns(clock_timespec_to_ns(t));
}

long sys_clock_settime(int clock, uptr_t ts)
{
	struct timespec t;
	u64 ns;

	if (clock != CLOCK_REALTIME && clock >= 0)
		return -EINVAL;
	if (copy_from_user(&t, ts, sizeof(t)))
		return -EFAULT;
	if (clock < 0) { /* CPU clocks can only be asked whether they are there */
		int err = clock_read(clock, &ns);

		return err ? err : -EPERM;
	}
	return set_wall_clock(&t);
}

/*
 * The time zone is kept for gettimeofday(2). The first call that sets it alone also means that the hardware's clock runs in
 * local time: the wall clock is moved by as much, once; settimeofday(2).
 */
static int set_zone(const s32 zone[2], bool alone)
{
	static bool set_before;	/* [a] */
	bool first = !__atomic_exchange_n(&set_before, true, __ATOMIC_RELAXED);

	clock_set_zone(zone[0], zone[1]);
	if (first && alone && zone[0])
		return clock_step_real_ns((s64)zone[0] * 60 * (s64)NSEC_PER_SEC);
	return 0;
}

long sys_settimeofday(uptr_t tv, uptr_t tz)
{
	bool has_time = !uptr_is_null(tv), has_zone = !uptr_is_null(tz);
	struct timespec t = { 0, 0 };
	s64 in[2];
	s32 zone[2];
	int err = 0;

	if (has_time) {
		if (copy_from_user(in, tv, sizeof(in)))
			return -EFAULT;
		if (in[1] < 0 || in[1] > 1000000)
			return -EINVAL;
		t = (struct timespec){ in[0], in[1] * 1000 };
	}
	if (has_zone && copy_from_user(zone, tz, sizeof(zone)))
		return -EFAULT;
	if (has_time && (!clock_timespec_valid(&t) || t.tv_sec > CLOCK_SET_MAX_S))
		return -EINVAL;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	if (has_zone && (zone[0] > ZONE_MAX_MINUTES || zone[0] < -ZONE_MAX_MINUTES))
		return -EINVAL;
	if (has_zone)
		err = set_zone(zone, !has_time);
	return has_time ? set_wall_clock(&t) : err;
}

/* ---- sleeping ---------------------------------------------------------------------------------- */

static u64 saturating_add(u64 a, u64 b)
{
	return a + b < a ? WAIT_FOREVER - 1 : a + b;
}

/* Sleeps until the monotonic deadline. 0 or -ERESTARTSYS. */
static int sleep_until(u64 deadline)
{
	struct thread *me = current_thread();
	int err;

	do {
		thread_set_state(me, THREAD_INTERRUPTIBLE);
		err = thread_sleep_until(deadline, THREAD_INTERRUPTIBLE, "nanosleep");
	} while (!err && clock_mono_ns() < deadline);
	return err == -ETIMEDOUT ? 0 : err;
}

static long nanosleep_go_on(struct restart_block *rb)
{
	int err = sleep_until(rb->deadline_ns);
	u64 now;

	if (!err)
		return 0;
	now = clock_mono_ns();
	if (!uptr_is_null(rb->uaddr) && put_timespec(rb->deadline_ns > now ? rb->deadline_ns - now : 0, rb->uaddr))
		return -EFAULT;
	return restart_block_set(nanosleep_go_on);
}

/* A relative sleep is not moved by a change of the wall clock, whatever its clock: clock_nanosleep(2). */
static long sleep_relative(const struct timespec *ts, uptr_t rem)
{
	struct restart_block *rb = &current_task()->restart;

	rb->deadline_ns = saturating_add(clock_mono_ns(), clock_timespec_to_ns(ts));
	rb->uaddr = rem;
	return nanosleep_go_on(rb);
}

struct real_sleeper {
	struct clock_listener listener;
	struct thread *thread;
};

static void wake_real_sleeper(struct clock_listener *l, bool set)
{
	(void)set;
	thread_wake(container_of(l, struct real_sleeper, listener)->thread);
}

/* Until a time of the wall clock (or TAI), which may be set meanwhile: then we are woken and look again. */
static long sleep_until_real(int clock, u64 target)
{
	struct real_sleeper s = { { LIST_HEAD_INIT(s.listener.node), wake_real_sleeper }, current_thread() };
	u64 now, deadline;
	int err = 0;

	clock_listen(&s.listener);
	for (;;) {
		thread_set_state(s.thread, THREAD_INTERRUPTIBLE);
		(void)clock_read(clock, &now);
		if (now >= target || (err && err != -ETIMEDOUT))
			break;
		deadline = clock_real_deadline(saturating_add(clock_real_ns(), target - now));
		err = thread_sleep_until(deadline, THREAD_INTERRUPTIBLE, "nanosleep");
	}
	thread_set_state(s.thread, THREAD_RUNNABLE);
	clock_unlisten(&s.listener);
	return now >= target ? 0 : -ERESTARTNOHAND;
}

static long sleep_absolute(int clock, u64 target)
{
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI)
		return sleep_until_real(clock, target);
	return sleep_until(target) ? -ERESTARTNOHAND : 0;
}

/* ---- on a CPU clock ---- */

static long cpu_sleep_go_on(struct restart_block *rb)
{
	int err = cpu_clock_sleep(rb->clock, rb->deadline_ns);
	u64 now;

	if (err != -ERESTARTSYS)
		return err;
	if (!uptr_is_null(rb->uaddr)) {
		err = cpu_clock_read(rb->clock, &now);
		if (err || put_timespec(rb->deadline_ns > now ? rb->deadline_ns - now : 0, rb->uaddr))
			return err ? err : -EFAULT;
	}
	return restart_block_set(cpu_sleep_go_on);
}

static long sleep_on_cpu_clock(int clock, bool absolute, u64 ns, uptr_t rem)
{
	struct restart_block *rb = &current_task()->restart;
	u64 now;
	int err;

	if (absolute) {
		err = cpu_clock_sleep(clock, ns);
		return err == -ERESTARTSYS ? -ERESTARTNOHAND : err;
	}
	err = cpu_clock_read(clock, &now);
	if (err)
		return err;
	rb->clock = clock;
	rb->deadline_ns = saturating_add(now, ns);
	rb->uaddr = rem;
	return cpu_sleep_go_on(rb);
}

long sys_nanosleep(uptr_t req, uptr_t rem)
{
	struct timespec ts;

	if (copy_from_user(&ts, req, sizeof(ts)))
		return -EFAULT;
	return clock_timespec_valid(&ts) ? sleep_relative(&ts, rem) : -EINVAL;
}

/* 0, or what a clock says that one cannot sleep by. */
static int may_sleep_on(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
	case CLOCK_PROCESS_CPUTIME_ID:
		return 0;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_THREAD_CPUTIME_ID:
		return -EOPNOTSUPP;
	default:
		if (clock >= 0)
			return -EINVAL;
		return (clock & 7) == CPU_CLOCK_KIND ? -EOPNOTSUPP : 0;	/* a clock device: none can be slept on */
	}
}

long sys_clock_nanosleep(int clock, int flags, uptr_t req, uptr_t rem)
{
	bool absolute = flags & TIMER_ABSTIME, alarm = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
	struct timespec ts;
	int err = may_sleep_on(clock);

	if (err)
		return err;
	if (copy_from_user(&ts, req, sizeof(ts)))
		return -EFAULT;
	if (!clock_timespec_valid(&ts))
		return -EINVAL;
	if (alarm && flags & ~TIMER_ABSTIME) /* the others do not look at what they do not know */
		return -EINVAL;
	if (alarm && !capable(CAP_WAKE_ALARM))
		return -EPERM;
	if (is_cpu_clock(clock))
		return sleep_on_cpu_clock(clock, absolute, clock_timespec_to_ns(&ts), absolute ? uptr(0) : rem);
	return absolute ? sleep_absolute(clock, clock_timespec_to_ns(&ts)) : sleep_relative(&ts, rem);
}
