/* SPDX-License-Identifier: MIT */
/*
 * CPU time: the clocks that show it, and what happens when it reaches a value: ITIMER_VIRTUAL and ITIMER_PROF, sleepers
 * (clock_nanosleep(2) on a CPU clock), RLIMIT_CPU, RLIMIT_RTTIME.
 *
 * CPU time passes only where a thread of the process runs, and there the tick comes by: so the tick looks, 4 ms exact as on
 * Linux, and a process that sleeps costs nothing. A look adds up all threads under the siglock. It is not made at each
 * tick: n CPUs cannot use up the time that is left before 1/n of it has passed (process.cpu_check_ns). While there is
 * something to look for the tick is not slowed down for a thread that is alone on its CPU. One that was alone already
 * when another thread of the process sets a timer is looked at with the slow tick, a second later at most.
 *
 * What fires is collected under the siglock and sent after it.
 */
#include <abi/linux/resource.h>
#include <abi/linux/time.h>
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/timers.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/errno.h>

#define NEVER (~0ull)

struct cpu_wait {
	struct list_head node;		/* [target's siglock] in its waits */
	struct thread *sleeper;		/* [I] */
	struct task *thread;		/* [I] whose clock; NULL: the process's */
	int kind;			/* [I] */
	u64 until_ns;			/* [I] */
	bool done;			/* [a] */
};

/* ---- the clocks -------------------------------------------------------------------------------- */

static u64 thread_time(const struct task *t, int kind)
{
	u64 user, kernel;

	thread_cputime(&t->thread, &user, &kernel);
	return kind == CPU_CLOCK_VIRT ? user : user + kernel;
}

static u64 usage_time(const struct process_usage *u, int kind)
{
	return kind == CPU_CLOCK_VIRT ? u->utime_ns : u->utime_ns + u->stime_ns;
}

static u64 process_time(struct process *p, int kind)
{
	struct process_usage u;

	process_usage_sum(p, &u);
	return usage_time(&u, kind);
}

/* The task that a clock id names, with a reference; NULL: none that may be asked. */
static struct task *clock_task(int id)
{
	int nr = CPU_CLOCK_PID(id);
	struct task *t;

	if ((id & CPU_CLOCK_KIND) >= CPU_CLOCK_KINDS)
		return NULL;
	if (!nr)
		return task_get(current_task());
	t = task_by_tid(nr);
	if (!t)
		return NULL;
	if (id & CPU_CLOCK_THREAD ? t->process == current_process() : t == current_task() || t->pid == t->process->pid)
		return t;
	task_put(t);
	return NULL;
}

static int plain_id(int id)
{
	if (id == CLOCK_PROCESS_CPUTIME_ID)
		return CPU_CLOCK_ID(0, CPU_CLOCK_SCHED);
	if (id == CLOCK_THREAD_CPUTIME_ID)
		return CPU_CLOCK_ID(0, CPU_CLOCK_SCHED | CPU_CLOCK_THREAD);
	return id;
}

int cpu_clock_read(int id, u64 *ns)
{
	int plain = plain_id(id);
	struct task *t = clock_task(plain);

	if (!t)
		return -EINVAL;
	*ns = plain & CPU_CLOCK_THREAD ? thread_time(t, plain & CPU_CLOCK_KIND) :
	      process_time(t->process, plain & CPU_CLOCK_KIND);
	task_put(t);
	return 0;
}

/* ---- the look ---------------------------------------------------------------------------------- */

/* What one look found. */
struct findings {
	u64 left_ns;			/* CPU time until something is due */
	bool prof, virt, xcpu, kill;
};

static void found(struct findings *f, u64 due_ns, u64 now_ns)
{
	f->left_ns = MIN(f->left_ns, due_ns > now_ns ? due_ns - now_ns : 0);
}

/* True: it fires. */
static bool look_at_itimer(struct cpu_itimer *it, u64 now_ns, struct findings *f)
{
	bool fires = it->expires_ns && now_ns >= it->expires_ns;

	if (fires)
		it->expires_ns = it->interval_ns ? it->expires_ns + it->interval_ns : 0;
	if (it->expires_ns)
		found(f, it->expires_ns, now_ns);
	return fires;
}

static void look_at_waits(struct process_timers *tm, const struct process_usage *u, struct findings *f)
{
	struct cpu_wait *w, *next;

	list_for_each_entry_safe(w, next, &tm->waits, node) {
		u64 now = w->thread ? thread_time(w->thread, w->kind) : usage_time(u, w->kind);

		if (now < w->until_ns) {
			found(f, w->until_ns, now);
			continue;
		}
		list_del_init(&w->node);
		WRITE_ONCE(w->done, true);
		thread_wake(w->sleeper);
	}
}

static u64 limit_ns(u64 seconds)
{
	return seconds > NEVER / NSEC_PER_SEC ? NEVER : seconds * NSEC_PER_SEC;
}

/* RLIMIT_CPU: SIGKILL at the hard limit; SIGXCPU at the soft one, and again each second. */
static void look_at_limit(struct process *p, u64 now_ns, struct findings *f)
{
	struct rlimit64 *lim = &p->rlim[RLIMIT_CPU];
	u64 soft = READ_ONCE(lim->rlim_cur), hard = READ_ONCE(lim->rlim_max);

	if (soft == RLIM64_INFINITY)
		return;
	if (hard != RLIM64_INFINITY && now_ns >= limit_ns(hard)) {
		f->kill = true;
		return;
	}
	if (now_ns >= limit_ns(soft)) {
		f->xcpu = true;
		spin_lock(&p->rlim_lock);
		if (lim->rlim_cur == soft)
			WRITE_ONCE(lim->rlim_cur, ++soft);
		spin_unlock(&p->rlim_lock);
	}
	found(f, limit_ns(soft), now_ns);
}

/*
 * RLIMIT_RTTIME: what a real-time thread may use between two sleeps, in microseconds (sched(7)). SIGKILL and SIGXCPU as with
 * RLIMIT_CPU. True: there is such a limit. The tick charges the thread later: it is seen one tick late, at most.
 */
static bool look_at_rttime(struct process *p, const struct thread *t)
{
	struct rlimit64 *lim = &p->rlim[RLIMIT_RTTIME];
	u64 soft = READ_ONCE(lim->rlim_cur), hard = READ_ONCE(lim->rlim_max);
	u64 used = (READ_ONCE(t->sum_exec_ns) - READ_ONCE(t->rt_from_ns)) / NSEC_PER_USEC;
	irqflags_t flags;

	if (soft == RLIM64_INFINITY)
		return false;
	if (hard != RLIM64_INFINITY && used >= hard) {
		(void)signal_send_process(p, SIGKILL, true);
	} else if (used >= soft) {
		flags = spin_lock_irqsave(&p->rlim_lock);
		if (lim->rlim_cur == soft)
			WRITE_ONCE(lim->rlim_cur, soft + USEC_PER_SEC);
		spin_unlock_irqrestore(&p->rlim_lock, flags);
		(void)signal_send_process(p, SIGXCPU, true);
	}
	return true;
}

static bool look(struct process *p)
{
	struct findings f = { .left_ns = NEVER };
	struct process_usage u;
	irqflags_t flags = spin_lock_irqsave(&p->siglock);
	struct process_timers *tm = p->timers;

	process_usage_sum_locked(p, &u);
	if (tm) {
		f.prof = look_at_itimer(&tm->cpu[CPU_CLOCK_PROF], usage_time(&u, CPU_CLOCK_PROF), &f);
		f.virt = look_at_itimer(&tm->cpu[CPU_CLOCK_VIRT], usage_time(&u, CPU_CLOCK_VIRT), &f);
		look_at_waits(tm, &u, &f);
	}
	look_at_limit(p, usage_time(&u, CPU_CLOCK_PROF), &f);
	WRITE_ONCE(p->cpu_check_ns, f.left_ns == NEVER ? NEVER : clock_mono_ns() + f.left_ns / hal_cpu_online_count());
	spin_unlock_irqrestore(&p->siglock, flags);
	if (f.virt)
		(void)signal_send_process(p, SIGVTALRM, true);
	if (f.prof)
		(void)signal_send_process(p, SIGPROF, true);
	if (f.xcpu)
		(void)signal_send_process(p, SIGXCPU, true);
	if (f.kill)
		(void)signal_send_process(p, SIGKILL, true);
	return f.left_ns != NEVER;
}

/* The tick of a user thread. The running task holds its process. */
static bool cpu_timers_tick(struct thread *t)
{
	struct process *p = thread_task(t)->process;
	u64 check = READ_ONCE(p->cpu_check_ns);
	bool limited = unlikely(t->sp.rt_priority) && look_at_rttime(p, t);

	if (likely(check == NEVER))
		return limited;
	return clock_mono_ns() < check || look(p) || limited;
}

void cpu_timers_poke_locked(struct process *p)
{
	spin_assert_held(&p->siglock);
	WRITE_ONCE(p->cpu_check_ns, 0);
}

void cpu_timers_poke(struct process *p)
{
	irqflags_t flags = spin_lock_irqsave(&p->siglock);

	cpu_timers_poke_locked(p);
	spin_unlock_irqrestore(&p->siglock, flags);
}

/* ---- sleeping ---------------------------------------------------------------------------------- */

static int sleep_until_done(struct cpu_wait *w)
{
	int err = 0;

	for (;;) {
		thread_set_state(w->sleeper, THREAD_INTERRUPTIBLE);
		if (READ_ONCE(w->done) || err)
			break;
		err = wait_sleep("clock_nanosleep", THREAD_INTERRUPTIBLE, WAIT_FOREVER);
	}
	thread_set_state(w->sleeper, THREAD_RUNNABLE);
	return READ_ONCE(w->done) ? 0 : err;
}

static int sleep_on(struct task *target, bool thread, int kind, u64 until_ns)
{
	struct process *p = target->process;
	struct process_timers *tm = process_timers_get(p);
	struct cpu_wait w = { .node = LIST_HEAD_INIT(w.node), .sleeper = current_thread(), .thread = thread ? target : NULL,
			      .kind = kind, .until_ns = until_ns };
	irqflags_t flags;
	int err;

	if (!tm)
		return -ENOMEM;
	if ((thread ? thread_time(target, kind) : process_time(p, kind)) >= until_ns)
		return 0;
	flags = spin_lock_irqsave(&p->siglock);
	list_add_tail(&w.node, &tm->waits);
	cpu_timers_poke_locked(p);
	spin_unlock_irqrestore(&p->siglock, flags);
	err = sleep_until_done(&w);
	flags = spin_lock_irqsave(&p->siglock);
	list_del_init(&w.node);
	spin_unlock_irqrestore(&p->siglock, flags);
	return err;
}

int cpu_clock_sleep(int id, u64 until_ns)
{
	int plain = plain_id(id), err = -EINVAL;
	bool thread = plain & CPU_CLOCK_THREAD;
	struct task *t = clock_task(plain);

	if (!t)
		return -EINVAL;
	if (!thread || t != current_task())
		err = sleep_on(t, thread, plain & CPU_CLOCK_KIND, until_ns);
	task_put(t);
	return err;
}

void cpu_timers_init(void)
{
	tick_cpu_timer_hook = cpu_timers_tick;
}
