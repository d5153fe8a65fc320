/* SPDX-License-Identifier: MIT */
/*
 * The interval timers of a process: setitimer(2), and alarm(2), which is ITIMER_REAL.
 *
 * ITIMER_REAL is a kernel timer; the other two count the process's CPU time and are looked at by the tick (cpu_timer.c). All
 * state is under the siglock.
 *
 * ITIMER_REAL with an interval goes on when its SIGALRM is taken, as on Linux: at most one signal waits, and a program that asks
 * for one each microsecond is interrupted as often as it takes them, not the CPU as often as it could fire. As on Linux, too,
 * an interval timer whose signal is thrown away (SIG_IGN) stands still.
 *
 * It is allocated when it is first needed and lives as long as the process's structure, so
 * whoever holds the process may look at it; the kernel timer, which holds nothing, is stopped when the last thread exits.
 */
#include <abi/linux/time.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/timers.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/signal.h>
#include <kernel/task/process.h>
#include <lib/errno.h>

#define ABOUT_TO_FIRE_NS ((u64)NSEC_PER_USEC) /* what is left of a timer that is due, but not yet fired: never 0 */
#define CPU_TICK_NS 4000000ull /* how exact the CPU timers are: one never fires too early */

static void real_fire(struct timer *timer)
{
	struct process_timers *tm = container_of(timer, struct process_timers, real);
	struct process *p = tm->process;
	bool due;

	spin_lock(&p->siglock);
	due = tm->real_deadline_ns && !tm->real_fired && clock_mono_ns() >= tm->real_deadline_ns;
	if (due && tm->real_interval_ns)
		tm->real_fired = true;
	else if (due)
		tm->real_deadline_ns = 0;
	spin_unlock(&p->siglock);
	if (due) /* else it was set anew while this waited for the lock */
		(void)signal_send_process(p, SIGALRM, true);
}

/* siglock held. The process's SIGALRM was taken. */
static void real_go_on_locked(struct process *p)
{
	struct process_timers *tm = p->timers;
	u64 now = clock_mono_ns(), late;

	if (!tm || !tm->real_fired)
		return;
	tm->real_fired = false;
	late = now > tm->real_deadline_ns ? now - tm->real_deadline_ns : 0;
	tm->real_deadline_ns += (late / tm->real_interval_ns + 1) * tm->real_interval_ns;
	timer_arm(&tm->real, tm->real_deadline_ns);
}

struct process_timers *process_timers_get(struct process *p)
{
	struct process_timers *tm = smp_load_acquire(&p->timers), *fresh;
	irqflags_t flags;

	if (tm)
		return tm;
	fresh = kzalloc(sizeof(*fresh), 0);
	if (!fresh)
		return NULL;
	fresh->process = p;
	timer_init(&fresh->real, real_fire);
	list_init(&fresh->waits);
	flags = spin_lock_irqsave(&p->siglock);
	tm = p->timers;
	if (!tm)
		smp_store_release(&p->timers, fresh);
	spin_unlock_irqrestore(&p->siglock, flags);
	if (!tm)
		return fresh;
	kfree(fresh);
	return tm;
}

/* The last thread of the process exits: nobody sets a timer any more. Sleepers on its clock wait for a signal now. */
static void timers_exit(struct process *p)
{
	struct process_timers *tm = p->timers;
	irqflags_t flags;

	if (!tm)
		return;
	flags = spin_lock_irqsave(&p->siglock);
	tm->real_deadline_ns = tm->real_interval_ns = 0;
	tm->real_fired = false;
	tm->cpu[0].expires_ns = tm->cpu[1].expires_ns = 0;
	while (!list_empty(&tm->waits))
		list_del_init(tm->waits.next);
	spin_unlock_irqrestore(&p->siglock, flags);
	timer_cancel_sync(&tm->real);
}

/* ---- reading and setting; siglock held --------------------------------------------------------- */

static void real_get_locked(struct process_timers *tm, u64 old[2])
{
	u64 now = clock_mono_ns(), at = tm->real_deadline_ns;

	old[0] = !at || tm->real_fired ? 0 : at > now ? at - now : ABOUT_TO_FIRE_NS;
	old[1] = tm->real_interval_ns;
}

static void real_set_locked(struct process_timers *tm, u64 value_ns, u64 interval_ns)
{
	u64 now = clock_mono_ns();

	tm->real_interval_ns = value_ns ? interval_ns : 0; /* unlike the others' */
	tm->real_fired = false;
	tm->real_deadline_ns = !value_ns ? 0 : value_ns > INT64_MAX - now ? INT64_MAX : now + value_ns;
	timer_cancel(&tm->real);
	if (value_ns)
		timer_arm(&tm->real, tm->real_deadline_ns);
}

static u64 cpu_now_locked(struct process *p, int kind)
{
	struct process_usage u;

	process_usage_sum_locked(p, &u);
	return kind == CPU_CLOCK_VIRT ? u.utime_ns : u.utime_ns + u.stime_ns;
}

static void cpu_get_locked(const struct cpu_itimer *it, u64 now, u64 old[2])
{
	old[0] = !it->expires_ns ? 0 : it->expires_ns > now ? it->expires_ns - now : CPU_TICK_NS;
	old[1] = it->interval_ns;
}

static void cpu_set_locked(struct process *p, struct cpu_itimer *it, u64 now, u64 value_ns, u64 interval_ns)
{
	it->interval_ns = interval_ns;
	it->expires_ns = !value_ns ? 0 : value_ns > INT64_MAX - now ? INT64_MAX : now + value_ns + CPU_TICK_NS;
	if (it->expires_ns)
		cpu_timers_poke_locked(p);
}

/* ---- the calls --------------------------------------------------------------------------------- */

static int cpu_kind(int which)
{
	return which == ITIMER_VIRTUAL ? CPU_CLOCK_VIRT : CPU_CLOCK_PROF;
}

static bool which_valid(int which)
{
	return which == ITIMER_REAL || which == ITIMER_VIRTUAL || which == ITIMER_PROF;
}

/* set NULL: only look. */
static void itimer_swap(struct process_timers *tm, int which, const u64 *set, u64 old[2])
{
	struct process *p = tm->process;
	irqflags_t flags = spin_lock_irqsave(&p->siglock);

	if (which == ITIMER_REAL) {
		real_get_locked(tm, old);
		if (set)
			real_set_locked(tm, set[0], set[1]);
	} else {
		struct cpu_itimer *it = &tm->cpu[cpu_kind(which)];
		u64 now = cpu_now_locked(p, cpu_kind(which));

		cpu_get_locked(it, now, old);
		if (set)
			cpu_set_locked(p, it, now, set[0], set[1]);
	}
	spin_unlock_irqrestore(&p->siglock, flags);
}

int itimer_get(int which, u64 old[2])
{
	struct process_timers *tm = smp_load_acquire(&current_process()->timers);

	if (!which_valid(which))
		return -EINVAL;
	old[0] = old[1] = 0;
	if (tm)
		itimer_swap(tm, which, NULL, old);
	return 0;
}

int itimer_set(int which, u64 value_ns, u64 interval_ns, u64 old[2])
{
	const u64 set[2] = { value_ns, interval_ns };
	struct process_timers *tm;

	if (!which_valid(which))
		return -EINVAL;
	tm = process_timers_get(current_process());
	if (!tm)
		return -ENOMEM;
	itimer_swap(tm, which, set, old);
	return 0;
}

void itimers_init(void)
{
	process_itimer_exit_hook = timers_exit;
	signal_alarm_hook = real_go_on_locked;
}
