// SPDX-License-Identifier: MIT
/*
 * /proc/PID/stat and the small files beside it. Formats are Linux 6.1's to the
 * blank (proc(5)): ps, top, kill and pidof take them apart by columns.
 */
#include <abi/linux/sched.h>
#include <abi/linux/time.h>
#include <kernel/proc/oom.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/session.h>
#include <kernel/task/task.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "internal.h"

#define NSEC_PER_TICK	(NSEC_PER_SEC / USER_HZ)
/* Bits of the `flags` column that programs know. */
#define PF_EXITING	0x00000004U
#define PF_FORKNOEXEC	0x00000040U
#define PF_SUPERPRIV	0x00000100U
#define PF_RANDOMIZE	0x00400000U
#define STAT_SIGNALS	0x7fffffffULL	/* the old columns have only the first 31 */
#define OOM_SCORE_ADJ_MIN (-1000)
#define OOM_SCORE_ADJ_MAX 1000

char proc_state_letter(struct task *t)
{
	u32 state = READ_ONCE(t->thread.state);

	if (t->exit_state == TASK_ZOMBIE)
		return 'Z';
	if (t->exit_state == TASK_DEAD || state == THREAD_DEAD)
		return 'X';
	if (state & THREAD_STOPPED)
		return 'T';
	if (state & THREAD_TRACED)
		return 't';
	if (state & THREAD_INTERRUPTIBLE)
		return 'S';
	return state & (THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE) ? 'D' : 'R';
}

/* Where the process stands; taken at one moment. */
struct stat_place {
	int ppid, pgrp, session, tty_nr, tpgid, threads;
};

static void stat_place_get(struct process *p, struct stat_place *out)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	out->ppid = p->parent ? p->parent->pid->nr : 0;
	out->pgrp = p->pgrp ? p->pgrp->nr : -1;
	out->session = p->session ? p->session->nr : -1;
	out->threads = p->nr_threads;
	spin_unlock_irqrestore(&task_tree_lock, f);
	out->tty_nr = 0;
	out->tpgid = -1;
	f = spin_lock_irqsave(&p->siglock);
	if (p->tty && session_tty_ops.describe)
		session_tty_ops.describe(p->tty, &out->tty_nr, &out->tpgid);
	spin_unlock_irqrestore(&p->siglock, f);
}

static u32 stat_flags(struct task *t)
{
	u32 flags = 0;

	if (t->flags & TASK_EXITING)
		flags |= PF_EXITING;
	if (t->flags & TASK_FORKNOEXEC)
		flags |= PF_FORKNOEXEC;
	if (t->flags & TASK_SUPERPRIV)
		flags |= PF_SUPERPRIV;
	if (vm_randomize_wanted(t->personality))
		flags |= PF_RANDOMIZE;
	return flags;
}

static void stat_times_show(struct seq *s, struct task *t, const struct stat_place *place)
{
	struct process *p = t->process;
	const struct sched_param_state *sp = &t->thread.sp;
	bool realtime = sp->policy == SCHED_FIFO || sp->policy == SCHED_RR;
	struct process_usage u, c = p->children_usage;

	if (p->leader == t)
		process_usage_sum(p, &u);
	else
		task_usage(t, &u);
	seq_printf(s, " %llu %llu %llu %llu", (unsigned long long)u.min_flt, (unsigned long long)c.min_flt,
		   (unsigned long long)u.maj_flt, (unsigned long long)c.maj_flt);
	seq_printf(s, " %llu %llu %lld %lld", (unsigned long long)(u.utime_ns / NSEC_PER_TICK),
		   (unsigned long long)(u.stime_ns / NSEC_PER_TICK), (long long)(c.utime_ns / NSEC_PER_TICK),
		   (long long)(c.stime_ns / NSEC_PER_TICK));
	seq_printf(s, " %d %d %d 0 %llu", realtime ? -1 - sp->rt_priority : 20 + sp->nice, sp->nice,
		   place->threads, (unsigned long long)(t->start_ns / NSEC_PER_TICK));
}

static void stat_signals_show(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	sigset64_t ignored = 0, caught = 0;
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	if (p->sighand) {
		ignored = p->sighand->ignored;
		caught = p->sighand->caught;
	}
	spin_unlock_irqrestore(&p->siglock, f);
	seq_printf(s, " %llu %llu %llu %llu", (unsigned long long)(t->pending.set & STAT_SIGNALS),
		   (unsigned long long)(t->blocked & STAT_SIGNALS), (unsigned long long)(ignored & STAT_SIGNALS),
		   (unsigned long long)(caught & STAT_SIGNALS));
}

/* Addresses are nobody's business who may not trace the process: then 1, or 0. */
static int stat_show(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	struct vm_space *v = process_space_get(p);
	bool may = !proc_may_access_hook || proc_may_access_hook(t);
	struct stat_place place;
	char comm[TASK_COMM_LEN];

	stat_place_get(p, &place);
	task_get_comm(t, comm);
	seq_printf(s, "%d (", t->pid->nr);
	seq_escape(s, comm, "\n\\");
	seq_printf(s, ") %c %d %d %d %d %d %u", proc_state_letter(t), place.ppid, place.pgrp, place.session,
		   place.tty_nr, place.tpgid, stat_flags(t));
	stat_times_show(s, t, &place);
	seq_printf(s, " %llu %llu %llu", v ? (unsigned long long)(v->total_pages * VM_PAGE_SIZE) : 0,
		   v ? (unsigned long long)vm_space_rss(v) : 0,
		   (unsigned long long)rlimit_get(p, RLIMIT_RSS));
	seq_printf(s, " %llu %llu %llu 0 0", v ? (unsigned long long)(may ? v->start_code : 1) : 0,
		   v ? (unsigned long long)(may ? v->end_code : 1) : 0,
		   v && may ? (unsigned long long)v->start_stack : 0);
	stat_signals_show(s, t);
	seq_printf(s, " %d 0 0 %d %u %d %u 0 0 0", may && t->thread.state != THREAD_RUNNABLE, p->leader == t ? p->exit_signal : -1,
		   t->thread.cpu, t->thread.sp.rt_priority, t->thread.sp.policy);
	if (v && may)
		seq_printf(s, " %llu %llu %llu %llu %llu %llu %llu", (unsigned long long)v->start_data,
			   (unsigned long long)v->end_data, (unsigned long long)v->start_brk,
			   (unsigned long long)v->arg_start, (unsigned long long)v->arg_end,
			   (unsigned long long)v->env_start, (unsigned long long)v->env_end);
	else
		seq_puts(s, " 0 0 0 0 0 0 0");
	seq_printf(s, " %d\n", may ? t->exit_code : 0);
	if (v)
		vm_space_put(v);
	return 0;
}

static int comm_show(struct seq *s, struct task *t)
{
	char comm[TASK_COMM_LEN];

	task_get_comm(t, comm);
	seq_printf(s, "%s\n", comm);
	return 0;
}

/* A process may rename its own threads. */
static int comm_store(struct task *t, const char *text, size_t len)
{
	char comm[TASK_COMM_LEN];

	if (t->process != current_process())
		return -EINVAL;
	len = MIN(len, sizeof(comm) - 1);
	memcpy(comm, text, len);
	comm[len] = '\0';
	task_set_comm(t, comm);
	return 0;
}

static int wchan_show(struct seq *s, struct task *t)
{
	const char *why = READ_ONCE(t->thread.wait_why);

	if (t->exit_state != TASK_ALIVE || t->thread.state == THREAD_RUNNABLE || !why)
		seq_putc(s, '0');
	else
		seq_puts(s, why);
	return 0;
}

static int personality_show(struct seq *s, struct task *t)
{
	seq_printf(s, "%08x\n", t->personality);
	return 0;
}

static int oom_score_adj_show(struct seq *s, struct task *t)
{
	seq_printf(s, "%d\n", READ_ONCE(t->process->oom_score_adj));
	return 0;
}

/* Lower than it ever was only with CAP_SYS_RESOURCE: proc(5). */
static int oom_score_adj_store(struct task *t, const char *text, size_t len)
{
	struct process *p = t->process;
	const char *end;
	s64 v;
	int err = parse_s64(text, 0, &v, &end);

	(void)len;
	while (!err && isspace(*end))
		end++;
	if (err || *end || v < OOM_SCORE_ADJ_MIN || v > OOM_SCORE_ADJ_MAX)
		return -EINVAL;
	if (v < p->oom_score_adj_min && !capable(CAP_SYS_RESOURCE))
		return -EACCES;
	WRITE_ONCE(p->oom_score_adj, (short)v);
	if (capable(CAP_SYS_RESOURCE))
		p->oom_score_adj_min = (short)v;
	return 0;
}

static int oom_score_show(struct seq *s, struct task *t)
{
	seq_printf(s, "%d\n", oom_score(t->process));
	return 0;
}

/* proc(5): of another process only with CAP_SYS_NICE. */
static bool may_slack(const struct task *t)
{
	return t == task_current_or_null() || capable(CAP_SYS_NICE);
}

static int timerslack_show(struct seq *s, struct task *t)
{
	if (!may_slack(t))
		return -EPERM;
	seq_printf(s, "%llu\n", (unsigned long long)READ_ONCE(t->thread.slack_ns));
	return 0;
}

static int timerslack_store(struct task *t, const char *text, size_t len)
{
	const char *end;
	u64 ns;
	int err = parse_u64(text, 0, &ns, &end);

	(void)len;
	while (!err && isspace(*end))
		end++;
	if (err || *end)
		return -EINVAL;
	if (!may_slack(t))
		return -EPERM;
	WRITE_ONCE(t->thread.slack_ns, ns ? ns : t->default_timer_slack_ns);
	return 0;
}

static int children_show(struct seq *s, struct task *t)
{
	struct process *p = t->process, *c;
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	list_for_each_entry(c, &p->children, sibling)
		if (c->parent_task == t)
			seq_printf(s, "%d ", c->pid->nr);
	spin_unlock_irqrestore(&task_tree_lock, f);
	return 0;
}

static int exe_link(struct task *t, struct path *out)
{
	struct process *p = t->process;
	struct file *exe;
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	exe = p->exe ? file_get(p->exe) : NULL;
	spin_unlock_irqrestore(&p->siglock, f);
	if (!exe)
		return -ENOENT;
	*out = exe->path;
	path_get(out);
	file_put(exe);
	return 0;
}

int proc_files_init(void)
{
	int err = proc_pid_register("stat", 0444, PROC_PID_ANY, stat_show);

	if (!err)
		err = proc_pid_register_rw("comm", 0644, PROC_PID_ANY, comm_show, comm_store);
	if (!err)
		err = proc_pid_register("wchan", 0444, PROC_PID_ANY, wchan_show);
	if (!err)
		err = proc_pid_register("personality", 0400, PROC_PID_READ, personality_show);
	if (!err)
		err = proc_pid_register_rw("oom_score_adj", 0644, PROC_PID_ANY, oom_score_adj_show,
					   oom_score_adj_store);
	if (!err)
		err = proc_pid_register("oom_score", 0444, PROC_PID_ANY, oom_score_show);
	if (!err)
		err = proc_pid_register_rw("timerslack_ns", 0666, PROC_PID_ANY, timerslack_show, timerslack_store);
	if (!err)
		err = sched_files_init();
	if (!err)
		err = proc_pid_register("children", 0444, PROC_PID_ANY, children_show);
	if (!err)
		err = proc_pid_register_link("exe", exe_link);
	return err;
}
