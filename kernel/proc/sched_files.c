/* SPDX-License-Identifier: MIT */
/*
 * What the scheduler shows of itself: /proc/schedstat, /proc/PID/sched, /proc/PID/schedstat, and the knobs of the real-time
 * classes in /proc/sys/kernel. Formats are Linux's (Documentation/scheduler/sched-stats.rst, version 15; sched(7)).
 * /proc/PID/sched has those lines that mean something here, under Linux's names.
 */
#include <abi/linux/sched.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <lib/string.h>
#include <lib/errno.h>

#include "internal.h"

#define JIFFY_NS 4000000ull /* of Debian's kernel, 250 Hz: the unit of the timestamp */
#define INITIAL_JIFFIES 4294892296ull /* Linux counts from five minutes before the 32-bit wrap */

static int show_schedstat(struct seq *s, void *arg)
{
	struct sched_stats st;
	u32 cpu;

	(void)arg;
	seq_printf(s, "version 15\ntimestamp %llu\n", (unsigned long long)(INITIAL_JIFFIES + clock_mono_ns() / JIFFY_NS));
	for_each_online_cpu(cpu) {
		sched_stats_cpu(cpu, &st);
		seq_printf(s, "cpu%u %llu 0 %llu %llu %llu %llu %llu %llu %llu\n", cpu, (unsigned long long)st.yields,
			   (unsigned long long)st.switches, (unsigned long long)st.idles, (unsigned long long)st.wakes,
			   (unsigned long long)(st.wakes - st.wakes_elsewhere), (unsigned long long)st.busy_ns,
			   (unsigned long long)st.run_delay_ns, (unsigned long long)(st.switches - st.idles));
	}
	return 0;
}

/* Linux prints nanoseconds as milliseconds with six digits behind the point. */
static void show_ms(struct seq *s, const char *name, u64 ns)
{
	seq_printf(s, "%-45s:%14llu.%06llu\n", name, (unsigned long long)(ns / NSEC_PER_MSEC),
		   (unsigned long long)(ns % NSEC_PER_MSEC));
}

static void show_count(struct seq *s, const char *name, u64 n)
{
	seq_printf(s, "%-45s:%21llu\n", name, (unsigned long long)n);
}

/* What Linux calls prio: 0 to 99 real-time, 100 to 139 by nice. */
static int show_prio(const struct sched_param_state *sp)
{
	return sp->rt_priority ? 99 - sp->rt_priority : 120 + sp->nice;
}

static int sched_show(struct seq *s, struct task *t)
{
	const struct thread *th = &t->thread;
	struct sched_param_state sp;
	char comm[TASK_COMM_LEN];

	sched_get_params(th, &sp);
	task_get_comm(t, comm);
	seq_escape(s, comm, "\n\\");
	seq_printf(s, " (%d, #threads: %d)\n", t->pid->nr, (int)READ_ONCE(t->process->nr_threads));
	seq_puts(s, "-------------------------------------------------------------------\n");
	show_ms(s, "se.exec_start", READ_ONCE(th->run_start_ns));
	show_ms(s, "se.vruntime", READ_ONCE(th->vruntime));
	show_ms(s, "se.sum_exec_runtime", thread_runtime(th));
	show_count(s, "se.nr_migrations", READ_ONCE(th->migrations));
	show_count(s, "nr_switches", READ_ONCE(th->switches_voluntary) + READ_ONCE(th->switches_involuntary));
	show_count(s, "nr_voluntary_switches", READ_ONCE(th->switches_voluntary));
	show_count(s, "nr_involuntary_switches", READ_ONCE(th->switches_involuntary));
	show_count(s, "se.load.weight", (u64)sp.weight << 10); /* Linux's fixed point on 64-bit machines */
	show_count(s, "policy", sp.policy);
	show_count(s, "prio", (u64)show_prio(&sp));
	return 0;
}

static int schedstat_show(struct seq *s, struct task *t)
{
	const struct thread *th = &t->thread;

	seq_printf(s, "%llu %llu %llu\n", (unsigned long long)thread_runtime(th), (unsigned long long)READ_ONCE(th->run_delay_ns),
		   (unsigned long long)(READ_ONCE(th->switches_voluntary) + READ_ONCE(th->switches_involuntary) +
					(READ_ONCE(th->state) == THREAD_RUNNABLE)));
	return 0;
}

/* ---- knobs ------------------------------------------------------------------------------------- */

static int show_period(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%llu\n", (unsigned long long)(READ_ONCE(sched_rt_period_ns) / NSEC_PER_USEC));
	return 0;
}

static int show_runtime(struct seq *s, void *arg)
{
	u64 ns = READ_ONCE(sched_rt_runtime_ns);

	(void)arg;
	if (ns == ~0ull)
		seq_puts(s, "-1\n");
	else
		seq_printf(s, "%llu\n", (unsigned long long)(ns / NSEC_PER_USEC));
	return 0;
}

static int show_rr_slice(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%llu\n", (unsigned long long)(READ_ONCE(sched_rr_slice_ns) / NSEC_PER_MSEC));
	return 0;
}

/* One decimal number and nothing but space after it. */
static int parse_int(const char *text, s64 *out)
{
	const char *end;
	int err = parse_s64(text, 0, out, &end);

	while (!err && isspace(*end))
		end++;
	return err || *end || *out != (s32)*out ? -EINVAL : 0;
}

#define PERIOD_MIN_US 1000

static int store_period(void *arg, const char *text, size_t len)
{
	u64 runtime = READ_ONCE(sched_rt_runtime_ns);
	s64 us;

	(void)len, (void)arg;
	if (parse_int(text, &us) || us < PERIOD_MIN_US)
		return -EINVAL;
	if (runtime != ~0ull && runtime > (u64)us * NSEC_PER_USEC)
		return -EINVAL;
	WRITE_ONCE(sched_rt_period_ns, (u64)us * NSEC_PER_USEC);
	return 0;
}

static int store_runtime(void *arg, const char *text, size_t len)
{
	s64 us;

	(void)len, (void)arg;
	if (parse_int(text, &us) || us < -1)
		return -EINVAL;
	if (us >= 0 && (u64)us * NSEC_PER_USEC > READ_ONCE(sched_rt_period_ns))
		return -EINVAL;
	WRITE_ONCE(sched_rt_runtime_ns, us < 0 ? ~0ull : (u64)us * NSEC_PER_USEC);
	return 0;
}

/* Nothing or less brings the default back, as on Linux. */
static int store_rr_slice(void *arg, const char *text, size_t len)
{
	s64 ms;

	(void)len, (void)arg;
	if (parse_int(text, &ms))
		return -EINVAL;
	WRITE_ONCE(sched_rr_slice_ns, ms > 0 ? (u64)ms * NSEC_PER_MSEC : SCHED_RR_SLICE_NS);
	return 0;
}

int sched_files_init(void)
{
	int err = proc_pid_register("schedstat", 0444, PROC_PID_ANY, schedstat_show);

	if (!err)
		err = proc_pid_register("sched", 0444, PROC_PID_ANY, sched_show);
	if (!err)
		err = proc_register("schedstat", 0444, show_schedstat, NULL);
	if (!err)
		err = proc_register_rw("sys/kernel/sched_rt_period_us", 0644, show_period, store_period, NULL);
	if (!err)
		err = proc_register_rw("sys/kernel/sched_rt_runtime_us", 0644, show_runtime, store_runtime, NULL);
	if (!err)
		err = proc_register_rw("sys/kernel/sched_rr_timeslice_ms", 0644, show_rr_slice, store_rr_slice, NULL);
	return err;
}
