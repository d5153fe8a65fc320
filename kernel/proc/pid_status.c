// SPDX-License-Identifier: MIT
/* /proc/PID/status and /proc/PID/limits, in Linux 6.1's format (proc(5)). */
#include <abi/linux/prctl.h>
#include <hal/cpu.h>
#include <hal/mitigate.h>
#include <kernel/core/cpumask_text.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/mm/slab.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/space.h>

#include <lib/errno.h>
#include "internal.h"

static const char *state_name(char letter)
{
	switch (letter) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 't':
		return "t (tracing stop)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "X (dead)";
	}
}

static void status_identity(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	struct fs_context *fs = task_fs_get(t);
	char comm[TASK_COMM_LEN];
	irqflags_t f;
	int ppid;

	task_get_comm(t, comm);
	seq_puts(s, "Name:\t");
	seq_escape(s, comm, "\n\\");
	seq_putc(s, '\n');
	if (fs) {
		seq_printf(s, "Umask:\t%#04o\n", READ_ONCE(fs->umask));
		fs_context_put(fs);
	}
	f = spin_lock_irqsave(&task_tree_lock);
	ppid = p->parent ? p->parent->pid->nr : 0;
	spin_unlock_irqrestore(&task_tree_lock, f);
	seq_printf(s, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		   state_name(proc_state_letter(t)), p->pid->nr, t->pid->nr, ppid);
}

static void status_cred(struct seq *s, struct task *t, const struct cred *c)
{
	struct process *p = t->process;
	struct files *files = task_files_get(t);
	u32 i;

	seq_printf(s, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid,
		   c->gid, c->egid, c->sgid, c->fsgid);
	seq_printf(s, "FDSize:\t%u\nGroups:\t", files ? files_table_size(files) : 0);
	if (files)
		files_put(files);
	for (i = 0; i < c->groups->count; i++)
		seq_printf(s, i ? " %u" : "%u", c->groups->gid[i]);
	seq_printf(s, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid->nr, t->pid->nr,
		   pid_nr(READ_ONCE(p->pgrp)), pid_nr(READ_ONCE(p->session)));
}

static void status_pages(struct seq *s, const char *name, u64 pages)
{
	seq_printf(s, "%s:\t%8llu kB\n", name, (unsigned long long)pages * 4);
}

static void status_memory(struct seq *s, struct vm_space *v)
{
	u64 anon = (u64)atomic64_load_relaxed(&v->rss_anon), file = (u64)atomic64_load_relaxed(&v->rss_file);
	u64 shmem = (u64)atomic64_load_relaxed(&v->rss_shmem), rss = anon + file + shmem;
	u64 text = (ALIGN_UP(v->end_code, VM_PAGE_SIZE) - ALIGN_DOWN(v->start_code, VM_PAGE_SIZE)) / VM_PAGE_SIZE;

	text = MIN(text, v->exec_pages);
	status_pages(s, "VmPeak", MAX(v->peak_total, v->total_pages));
	status_pages(s, "VmSize", v->total_pages);
	status_pages(s, "VmLck", v->locked_pages);
	status_pages(s, "VmPin", 0);
	status_pages(s, "VmHWM", MAX(v->peak_rss, rss));
	status_pages(s, "VmRSS", rss);
	status_pages(s, "RssAnon", anon);
	status_pages(s, "RssFile", file);
	status_pages(s, "RssShmem", shmem);
	status_pages(s, "VmData", v->data_pages);
	status_pages(s, "VmStk", v->stack_pages);
	status_pages(s, "VmExe", text);
	status_pages(s, "VmLib", v->exec_pages - text);
	status_pages(s, "VmPTE", (u64)atomic64_load_relaxed(&v->table_pages));
	status_pages(s, "VmSwap", 0);
	status_pages(s, "HugetlbPages", 0);
	seq_puts(s, "CoreDumping:\t0\nTHP_enabled:\t0\n");
}

static void status_set(struct seq *s, const char *name, u64 set)
{
	seq_printf(s, "%s:\t%016llx\n", name, (unsigned long long)set);
}

static void status_signals(struct seq *s, struct task *t, const struct cred *c)
{
	struct process *p = t->process;
	sigset64_t own, shared, blocked, ignored = 0, caught = 0;
	int threads;
	irqflags_t f = spin_lock_irqsave(&p->siglock);

	own = t->pending.set;
	shared = p->pending.set;
	blocked = t->blocked;
	threads = p->nr_threads;
	if (p->sighand) {
		ignored = p->sighand->ignored;
		caught = p->sighand->caught;
	}
	spin_unlock_irqrestore(&p->siglock, f);
	seq_printf(s, "Threads:\t%d\nSigQ:\t%lld/%llu\n", threads,
		   (long long)atomic64_load_relaxed(&c->user->sigpending),
		   (unsigned long long)rlimit_get(p, RLIMIT_SIGPENDING));
	status_set(s, "SigPnd", own);
	status_set(s, "ShdPnd", shared);
	status_set(s, "SigBlk", blocked);
	status_set(s, "SigIgn", ignored);
	status_set(s, "SigCgt", caught);
}

/* What prctl(2) would answer, in words. */
static void status_speculation(struct seq *s, struct task *t)
{
	static const struct {
		long state;
		const char *ssb, *ib;
	} words[] = {
		{ PR_SPEC_NOT_AFFECTED, "not vulnerable", "not affected" },
		{ PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE, "thread force mitigated", "conditional force disabled" },
		{ PR_SPEC_PRCTL | PR_SPEC_DISABLE, "thread mitigated", "conditional disabled" },
		{ PR_SPEC_PRCTL | PR_SPEC_ENABLE, "thread vulnerable", "conditional enabled" },
		{ PR_SPEC_DISABLE, "globally mitigated", "always disabled" },
		{ PR_SPEC_ENABLE, "vulnerable", "always enabled" },
	};
	long ssb = hal_spec_get(&t->thread.hal, PR_SPEC_STORE_BYPASS), ib = hal_spec_get(&t->thread.hal, PR_SPEC_INDIRECT_BRANCH);
	const char *ssb_text = "vulnerable", *ib_text = "unknown";

	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		if (words[i].state == ssb)
			ssb_text = words[i].ssb;
		if (words[i].state == ib)
			ib_text = words[i].ib;
	}
	seq_printf(s, "Speculation_Store_Bypass:\t%s\nSpeculationIndirectBranch:\t%s\n", ssb_text, ib_text);
}

static void status_capabilities(struct seq *s, struct task *t, const struct cred *c)
{
	status_set(s, "CapInh", c->cap_inheritable);
	status_set(s, "CapPrm", c->cap_permitted);
	status_set(s, "CapEff", c->cap_effective);
	status_set(s, "CapBnd", c->cap_bounding);
	status_set(s, "CapAmb", c->cap_ambient);
	seq_printf(s, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", t->no_new_privs);
	status_speculation(s, t);
}

/* All nodes, there being no cpusets: libnuma(3) counts here how many a mask has, and which of them it may use. */
static void show_mems_allowed(struct seq *s)
{
	u32 nodes = mm_node_count();

	seq_puts(s, "Mems_allowed:\t");
	for (u32 word = NODEMASK_BITS / 32; word-- > 0;) {
		u32 bits = nodes >= (word + 1) * 32 ? ~0u : nodes > word * 32 ? (1u << (nodes - word * 32)) - 1 : 0;

		seq_printf(s, word ? "%08x," : "%08x\n", bits);
	}
	seq_puts(s, "Mems_allowed_list:\t0");
	if (nodes > 1)
		seq_printf(s, "-%u", nodes - 1);
	seq_putc(s, '\n');
}

static int status_cpus(struct seq *s, struct task *t)
{
	const struct cpumask *m = &t->thread.affinity;
	char *text = kmalloc(CPULIST_TEXT_BYTES, 0);

	if (!text)
		return -ENOMEM;
	cpumask_format(text, CPULIST_TEXT_BYTES, m, hal_cpu_count());
	seq_printf(s, "Cpus_allowed:\t%s\n", text);
	cpumask_format_list(text, CPULIST_TEXT_BYTES, m, hal_cpu_count());
	seq_printf(s, "Cpus_allowed_list:\t%s\n", text);
	show_mems_allowed(s);
	kfree(text);
	return 0;
}

static int status_show(struct seq *s, struct task *t)
{
	const struct cred *c = task_cred_get(t);
	struct vm_space *v = process_space_get(t->process);
	int err;

	status_identity(s, t);
	status_cred(s, t, c);
	if (v) {
		status_memory(s, v);
		vm_space_put(v);
	}
	status_signals(s, t, c);
	status_capabilities(s, t, c);
	err = status_cpus(s, t);
	seq_printf(s, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
		   (unsigned long long)t->thread.switches_voluntary,
		   (unsigned long long)t->thread.switches_involuntary);
	cred_put(c);
	return err;
}

static const struct {
	const char *name, *unit;
} limit_names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = { "Max cpu time", "seconds" },
	[RLIMIT_FSIZE] = { "Max file size", "bytes" },
	[RLIMIT_DATA] = { "Max data size", "bytes" },
	[RLIMIT_STACK] = { "Max stack size", "bytes" },
	[RLIMIT_CORE] = { "Max core file size", "bytes" },
	[RLIMIT_RSS] = { "Max resident set", "bytes" },
	[RLIMIT_NPROC] = { "Max processes", "processes" },
	[RLIMIT_NOFILE] = { "Max open files", "files" },
	[RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
	[RLIMIT_AS] = { "Max address space", "bytes" },
	[RLIMIT_LOCKS] = { "Max file locks", "locks" },
	[RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
	[RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
	[RLIMIT_NICE] = { "Max nice priority", NULL },
	[RLIMIT_RTPRIO] = { "Max realtime priority", NULL },
	[RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
};

static void limit_value(struct seq *s, u64 v)
{
	if (v == RLIM64_INFINITY)
		seq_printf(s, "%-20s ", "unlimited");
	else
		seq_printf(s, "%-20llu ", (unsigned long long)v);
}

static int limits_show(struct seq *s, struct task *t)
{
	struct process *p = t->process;
	struct rlimit64 lim;
	irqflags_t f;
	unsigned int i;

	seq_puts(s, "Limit                     Soft Limit           Hard Limit           Units     \n");
	for (i = 0; i < RLIM_NLIMITS; i++) {
		f = spin_lock_irqsave(&p->rlim_lock);
		lim = p->rlim[i];
		spin_unlock_irqrestore(&p->rlim_lock, f);
		seq_printf(s, "%-25s ", limit_names[i].name);
		limit_value(s, lim.rlim_cur);
		limit_value(s, lim.rlim_max);
		if (limit_names[i].unit)
			seq_printf(s, "%-10s", limit_names[i].unit);
		seq_putc(s, '\n');
	}
	return 0;
}

static int show_number(struct seq *s, void *arg)
{
	int (*get)(void) = (int (*)(void))(uintptr_t)arg;

	seq_printf(s, "%d\n", get());
	return 0;
}

int proc_status_init(void)
{
	int err = proc_pid_register("status", 0444, PROC_PID_ANY, status_show);

	if (!err)
		err = proc_pid_register("limits", 0444, PROC_PID_ANY, limits_show);
	if (!err)
		err = proc_register("sys/kernel/pid_max", 0444, show_number, (void *)(uintptr_t)pid_max);
	if (!err)
		err = proc_register("sys/kernel/threads-max", 0444, show_number, (void *)(uintptr_t)task_max);
	return err;
}
