/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping and the interval timer: clock_gettime(2), nanosleep(2), setitimer(2). */
#include <abi/linux/time.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <kernel/signal/signal.h>
#include <kernel/syscall/syscall.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/vm/uaccess.h>
#include <gen/syscall_protos.h>

/* ---- reading ----------------------------------------------------------------------------------- */

/*
 * A negative clock id names another process's or thread's CPU time: the id's complement in the upper bits, bit 2
 * for a thread, and which time in the lower two (clock_getcpuclockid(3)).
 */
#define CPU_CLOCK_PID(id) (~((id) >> 3))
#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_KIND 3
enum { CPU_CLOCK_PROF, CPU_CLOCK_VIRT, CPU_CLOCK_SCHED };

static u64 thread_time(const struct task *t, int kind)
{
	u64 user, kernel;

	thread_cputime(&t->thread, &user, &kernel);
	return kind == CPU_CLOCK_VIRT ? user : user + kernel;
}

static u64 process_time(struct process *p, int kind)
{
	struct process_usage u;

	process_usage_sum(p, &u);
	return kind == CPU_CLOCK_VIRT ? u.utime_ns : u.utime_ns + u.stime_ns;
}

static int cpu_clock_ns(int id, u64 *ns)
{
	int nr = CPU_CLOCK_PID(id), kind = id & CPU_CLOCK_KIND;
	struct task *t;
	int err = 0;

	if (kind == CPU_CLOCK_KIND)
		return -EINVAL;
	t = nr ? task_by_tid(nr) : task_get(current_task());
	if (!t)
		return -EINVAL;
	if (id & CPU_CLOCK_THREAD) {
		if (t->process != current_process())
			err = -EINVAL;
		else
			*ns = thread_time(t, kind);
	} else if (nr && t->pid != t->process->pid) {
		err = -EINVAL;
	} else {
		*ns = process_time(t->process, kind);
	}
	task_put(t);
	return err;
}

static int clock_read(int id, u64 *ns)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = clock_real_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_mono_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = process_time(current_process(), CPU_CLOCK_SCHED);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = thread_time(current_task(), CPU_CLOCK_SCHED);
		return 0;
	default:
		return id < 0 ? cpu_clock_ns(id, ns) : -EINVAL;
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

long sys_clock_getres(int clock, uptr_t ts)
{
	bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
	u64 ns;
	int err = clock_read(clock, &ns);

	if (err)
		return err;
	return uptr_is_null(ts) ? 0 : put_timespec(coarse ? 4000000 : 1, ts);
}

long sys_clock_settime(int clock, uptr_t ts)
{
	struct timespec t;

	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	if (copy_from_user(&t, ts, sizeof(t)))
		return -EFAULT;
	if (!clock_timespec_valid(&t))
		return -EINVAL;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	return clock_set_real_ns(clock_timespec_to_ns(&t));
}

long sys_gettimeofday(uptr_t tv, uptr_t tz)
{
	u64 us = clock_real_ns() / 1000;
	s64 out[2] = { (s64)(us / 1000000), (s64)(us % 1000000) };
	s32 zone[2] = { 0, 0 };

	if (!uptr_is_null(tv) && copy_to_user(tv, out, sizeof(out)))
		return -EFAULT;
	if (!uptr_is_null(tz) && copy_to_user(tz, zone, sizeof(zone)))
		return -EFAULT;
	return 0;
}

long sys_settimeofday(uptr_t tv, uptr_t tz)
{
	s64 in[2];
	s32 zone[2];

	if (!uptr_is_null(tv) && copy_from_user(in, tv, sizeof(in)))
		return -EFAULT;
	if (!uptr_is_null(tz) && copy_from_user(zone, tz, sizeof(zone)))
		return -EFAULT;
	if (!uptr_is_null(tv) && (in[0] < 0 || in[1] < 0 || in[1] >= 1000000))
		return -EINVAL;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	if (!uptr_is_null(tz) && (zone[0] > 15 * 60 || zone[0] < -15 * 60))
		return -EINVAL;
	return uptr_is_null(tv) ? 0 : clock_set_real_ns((u64)in[0] * NSEC_PER_SEC + (u64)in[1] * 1000);
}

long sys_time(uptr_t t)
{
	u64 now = clock_real_ns() / NSEC_PER_SEC;

	if (!uptr_is_null(t) && put_user_u64(now, t))
		return -EFAULT;
	return (long)now;
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

/* Absolute on the wall clock: looks again at least once a second, as somebody may set it. */
static long sleep_absolute(int clock, u64 target)
{
	for (;;) {
		u64 now, mono = clock_mono_ns();
		int err = clock_read(clock, &now);

		if (err || now >= target)
			return err;
		if (clock == CLOCK_REALTIME || clock == CLOCK_TAI)
			err = sleep_until(mono + MIN(target - now, (u64)NSEC_PER_SEC));
		else
			err = sleep_until(saturating_add(mono, target - now));
		if (err)
			return -ERESTARTNOHAND;
	}
}

long sys_nanosleep(uptr_t req, uptr_t rem)
{
	struct timespec ts;

	if (copy_from_user(&ts, req, sizeof(ts)))
		return -EFAULT;
	return clock_timespec_valid(&ts) ? sleep_relative(&ts, rem) : -EINVAL;
}

long sys_clock_nanosleep(int clock, int flags, uptr_t req, uptr_t rem)
{
	struct timespec ts;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		break;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID ? -EOPNOTSUPP : -EINVAL;
	}
	if (copy_from_user(&ts, req, sizeof(ts)))
		return -EFAULT;
	if (!clock_timespec_valid(&ts))
		return -EINVAL;
	if (flags & TIMER_ABSTIME)
		return sleep_absolute(clock, clock_timespec_to_ns(&ts));
	return sleep_relative(&ts, rem);
}

/* ---- the interval timer ------------------------------------------------------------------------ */

/*
 * ITIMER_REAL of one process. It is allocated when it is first set and lives as long as the process: the
 * timer's function runs without any reference, so process teardown cancels it first (itimer_exit).
 */
struct itimer {
	struct timer timer;
	struct process *process; /* [I] */
	u64 interval_ns; /* [siglock] 0: once */
	u64 deadline_ns; /* [siglock] 0: off */
};

static void itimer_fire(struct timer *timer)
{
	struct itimer *it = container_of(timer, struct itimer, timer);
	struct process *p = it->process;
	u64 next = 0;

	spin_lock(&p->siglock);
	if (it->deadline_ns && clock_mono_ns() >= it->deadline_ns) {
		if (it->interval_ns) {
			u64 late = clock_mono_ns() - it->deadline_ns;

			next = it->deadline_ns + (late / it->interval_ns + 1) * it->interval_ns;
		}
		it->deadline_ns = next;
		if (next)
			timer_arm(&it->timer, next);
	}
	spin_unlock(&p->siglock);
	(void)signal_send_process(p, SIGALRM, true);
}

static struct itimer *itimer_get(struct process *p)
{
	struct itimer *fresh;
	irqflags_t flags;

	if (READ_ONCE(p->itimers))
		return p->itimers;
	fresh = kzalloc(sizeof(*fresh), 0);
	if (!fresh)
		return NULL;
	timer_init(&fresh->timer, itimer_fire);
	fresh->process = p;
	flags = spin_lock_irqsave(&p->siglock);
	if (!p->itimers) {
		p->itimers = fresh;
		fresh = NULL;
	}
	spin_unlock_irqrestore(&p->siglock, flags);
	kfree(fresh);
	return p->itimers;
}

/* The process is going: its last thread exits. */
static void itimer_exit(struct process *p)
{
	struct itimer *it = p->itimers;

	if (!it)
		return;
	p->itimers = NULL;
	timer_cancel_sync(&it->timer);
	kfree(it);
}

/* Time left and interval, then sets both. */
static void itimer_swap(struct itimer *it, u64 value_ns, u64 interval_ns, u64 old[2], bool set)
{
	struct process *p = it->process;
	irqflags_t flags = spin_lock_irqsave(&p->siglock);
	u64 now = clock_mono_ns();

	old[0] = !it->deadline_ns ? 0 : it->deadline_ns > now ? it->deadline_ns - now : 1000;
	old[1] = it->interval_ns;
	if (set) {
		it->interval_ns = interval_ns;
		it->deadline_ns = value_ns ? saturating_add(now, value_ns) : 0;
		timer_cancel(&it->timer);
		if (it->deadline_ns)
			timer_arm(&it->timer, it->deadline_ns);
	}
	spin_unlock_irqrestore(&p->siglock, flags);
}

static int put_itimerval(const u64 old[2], uptr_t out)
{
	s64 v[4] = { (s64)(old[1] / NSEC_PER_SEC), (s64)(old[1] % NSEC_PER_SEC / 1000), (s64)(old[0] / NSEC_PER_SEC),
		     (s64)(old[0] % NSEC_PER_SEC / 1000) };

	return copy_to_user(out, v, sizeof(v));
}

/* Is it a timer that there is? The other two count CPU time. */
static long itimer_which(int which)
{
	return which == ITIMER_REAL ? 0 : -EINVAL;
}

long sys_getitimer(int which, uptr_t value)
{
	struct itimer *it = current_process()->itimers;
	u64 old[2] = { 0, 0 };
	long err = itimer_which(which);

	if (err)
		return err;
	if (it)
		itimer_swap(it, 0, 0, old, false);
	return put_itimerval(old, value);
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

long sys_setitimer(int which, uptr_t value, uptr_t old_value)
{
	s64 v[4] = { 0, 0, 0, 0 }; /* interval, then value */
	struct itimer *it;
	u64 old[2];
	long err = itimer_which(which);

	if (err)
		return err;
	if (!uptr_is_null(value) && copy_from_user(v, value, sizeof(v)))
		return -EFAULT;
	if (!timeval_valid(v) || !timeval_valid(v + 2))
		return -EINVAL;
	it = itimer_get(current_process());
	if (!it)
		return -ENOMEM;
	itimer_swap(it, timeval_ns(v + 2), timeval_ns(v), old, true);
	return uptr_is_null(old_value) ? 0 : put_itimerval(old, old_value);
}

long sys_alarm(unsigned seconds)
{
	struct itimer *it = itimer_get(current_process());
	u64 old[2], left;

	if (!it)
		return 0; /* alarm(2) has no errors */
	itimer_swap(it, (u64)seconds * NSEC_PER_SEC, 0, old, true);
	left = (old[0] + NSEC_PER_SEC / 2) / NSEC_PER_SEC; /* rounded, but never a running timer as 0 */
	return (long)(old[0] && !left ? 1 : left);
}

void syscall_time_init(void)
{
	process_itimer_exit_hook = itimer_exit;
}
