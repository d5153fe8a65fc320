/* SPDX-License-Identifier: MIT */
/*
 * Debug commands of tasks: `ps`, `task`, `bt`. Under no lock, by peeks (kernel/core/command.h): the table of numbers is
 * walked, not the lists, so that one damaged list hides nobody.
 *
 * A thread that runs has its registers in the CPU: after a panic those of the panic stand for it, and another CPU's are
 * told as unknown.
 */
#include <hal/cpu.h>
#include <hal/mem.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/command.h>
#include <kernel/core/percpu.h>
#include <kernel/task/command.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/string.h>

#define WHY_MAX 32u

/* ---- finding ----------------------------------------------------------------------------------- */

bool task_is_user_thread(const struct thread *t)
{
	u32 flags;

	return COMMAND_LOAD(flags, &t->flags) && flags & THREAD_USER;
}

struct thread *task_command_thread(struct command_io *io, const char *word)
{
	struct task *task = NULL;
	u64 number;

	if (!word)
		return current_thread();
	if (!command_number(io, word, &number))
		return NULL;
	if (number >= HAL_USER_END)
		return (struct thread *)(uintptr_t)number;
	if (number < (u64)pid_max() && pid_peek((int)number, &task) && task)
		return &task->thread;
	command_printf(io, "no task %llu\n", (unsigned long long)number);
	return NULL;
}

struct task *task_command_find(struct command_io *io, const char *word)
{
	struct thread *t = task_command_thread(io, word);

	if (t && task_is_user_thread(t))
		return thread_task(t);
	if (t)
		command_printf(io, "a kernel thread: it has none of this\n");
	return NULL;
}

struct vm_space *task_command_space(const struct task *t)
{
	struct process *p;
	struct vm_space *s;

	return COMMAND_LOAD(p, &t->process) && COMMAND_LOAD(s, &p->space) ? s : NULL;
}

static int pid_number(struct pid *const *at)
{
	struct pid *pid;
	int nr;

	return COMMAND_LOAD(pid, at) && pid && COMMAND_LOAD(nr, &pid->nr) ? nr : 0;
}

/* ---- ps ---------------------------------------------------------------------------------------- */

static const char *state_name(u32 state)
{
	switch (state) {
	case THREAD_RUNNABLE:
		return "ready";
	case THREAD_INTERRUPTIBLE:
		return "sleep";
	case THREAD_UNINTERRUPTIBLE:
		return "wait";
	case THREAD_KILLABLE:
		return "killable";
	case THREAD_STOPPED:
		return "stopped";
	case THREAD_TRACED:
		return "traced";
	case THREAD_WAKING:
		return "waking";
	case THREAD_DEAD:
		return "dead";
	default:
		return "?";
	}
}

/* One line; numbers 0 for a kernel thread. False: the budget is used up. */
static bool thread_line(struct command_io *io, const struct thread *t, int tid, int pid, int ppid)
{
	char name[THREAD_NAME_BYTES + 1], why[WHY_MAX] = "";
	const char *reason = NULL;
	u32 state, cpu;
	u64 ns;

	if (!COMMAND_LOAD(state, &t->state) || !COMMAND_LOAD(cpu, &t->cpu) || !COMMAND_LOAD(ns, &t->sum_exec_ns))
		return command_printf(io, "%6d thread %p is not readable\n", tid, (const void *)t);
	command_peek_string(name, sizeof(name), t->name);
	if (COMMAND_LOAD(reason, &t->wait_why) && reason)
		command_peek_string(why, sizeof(why), reason);
	return command_printf(io, "%6d %6d %6d %-8s %3u %8llu %p %-15s %s\n", tid, pid, ppid,
			      t == current_thread() ? "running" : state_name(state), cpu,
			      (unsigned long long)(ns / (u64)NSEC_PER_MSEC), (const void *)t, name, why);
}

static bool task_line(struct command_io *io, const struct task *t)
{
	struct process *p = NULL, *parent = NULL;
	bool whole = COMMAND_LOAD(p, &t->process) && COMMAND_LOAD(parent, &p->parent);

	return thread_line(io, &t->thread, pid_number(&t->pid), whole ? pid_number(&p->pid) : 0,
			   whole && parent ? pid_number(&parent->pid) : 0);
}

/* Calls fn for each user thread; the same for the kernel's. */
static void each_task(struct command_io *io, bool (*fn)(struct command_io *io, const struct task *t))
{
	struct task *t;

	for (int nr = 1; nr < pid_max(); nr++)
		if (pid_peek(nr, &t) && t && !fn(io, t))
			return;
}

static void each_kthread(struct command_io *io, bool (*fn)(struct command_io *io, const struct thread *t))
{
	struct command_list l;

	for (command_list_begin(&l, io, kthread_list_head()); command_list_next(&l);)
		if (!fn(io, list_entry(l.node, struct thread, all_node)))
			return;
}

static bool kthread_line(struct command_io *io, const struct thread *t)
{
	return thread_line(io, t, 0, 0, 0);
}

static void command_ps(struct command_io *io, int argc, char **argv)
{
	(void)argc, (void)argv;
	command_printf(io, "%6s %6s %6s %-8s %3s %8s %-16s %-15s %s\n", "tid", "pid", "ppid", "state", "cpu", "ms", "thread",
		       "name", "waits for");
	each_task(io, task_line);
	each_kthread(io, kthread_line);
}
DEBUG_COMMAND(ps, "", "all tasks and kernel threads", command_ps);

/* ---- task -------------------------------------------------------------------------------------- */

static void show_user_regs(struct command_io *io, const struct thread *t)
{
	struct hal_thread hal;
	struct hal_regs regs;

	if (!COMMAND_LOAD(hal, &t->hal) || !COMMAND_LOAD(regs, hal_thread_regs(&hal)) || !hal_regs_user_mode(&regs))
		return;
	command_printf(io, " user mode: ip %016llx sp %016llx", (unsigned long long)hal_regs_ip(&regs),
		       (unsigned long long)hal_regs_sp(&regs));
	if (hal_regs_syscall_nr(&regs) < 0) {
		command_printf(io, "\n");
		return;
	}
	command_printf(io, ", in system call %ld(", hal_regs_syscall_nr(&regs));
	for (unsigned int i = 0; i < 6; i++)
		command_printf(io, "%s%llx", i ? ", " : "", (unsigned long long)hal_regs_arg(&regs, i));
	command_printf(io, ")\n");
}

static void show_process(struct command_io *io, const struct task *t)
{
	struct process *p;
	const struct cred *cred;
	sigset64_t own = 0, shared = 0, blocked = 0;
	u32 uid = 0, euid = 0;
	int threads = 0;
	u32 flags = 0;
	u8 exit_state = 0;

	if (!COMMAND_LOAD(p, &t->process) || !COMMAND_LOAD(threads, &p->nr_threads)) {
		command_printf(io, " its process is not readable\n");
		return;
	}
	if (COMMAND_LOAD(cred, &t->cred) && (!COMMAND_LOAD(uid, &cred->uid) || !COMMAND_LOAD(euid, &cred->euid)))
		command_printf(io, " its credentials are not readable\n");
	(void)COMMAND_LOAD(own, &t->pending.set);
	(void)COMMAND_LOAD(shared, &p->pending.set);
	(void)COMMAND_LOAD(blocked, &t->blocked);
	(void)COMMAND_LOAD(flags, &t->flags);
	(void)COMMAND_LOAD(exit_state, &t->exit_state);
	command_printf(io, " process %p pid %d, group %d, session %d, %d threads, uid %u, euid %u\n", (void *)p,
		       pid_number(&p->pid), pid_number(&p->pgrp), pid_number(&p->session), threads, uid, euid);
	command_printf(io, " signals: pending %llx, of the process %llx, blocked %llx; flags %x%s\n", (unsigned long long)own,
		       (unsigned long long)shared, (unsigned long long)blocked, flags,
		       exit_state == TASK_ALIVE ? "" : exit_state == TASK_ZOMBIE ? ", zombie" : ", dead");
}

static void command_task(struct command_io *io, int argc, char **argv)
{
	struct thread *t = task_command_thread(io, argc > 1 ? argv[1] : NULL);
	struct hal_thread hal;

	if (!t)
		return;
	if (!COMMAND_LOAD(hal, &t->hal)) {
		command_printf(io, "the thread %p is not readable\n", (void *)t);
		return;
	}
	if (!task_is_user_thread(t)) {
		kthread_line(io, t);
	} else {
		task_line(io, thread_task(t));
		show_process(io, thread_task(t));
		show_user_regs(io, t);
	}
	command_printf(io, " kernel stack %016llx to %016llx, work %x\n", (unsigned long long)hal.stack_base,
		       (unsigned long long)(hal.stack_base + hal.stack_size), hal.work);
}
DEBUG_COMMAND(task, "[pid|thread]", "one thread in detail; the current one", command_task);

/* ---- bt ---------------------------------------------------------------------------------------- */

static void show_backtrace(struct command_io *io, const struct thread *t)
{
	struct hal_thread hal;
	struct thread *other = NULL;
	u32 cpu = 0;

	if (!t || t == current_thread()) {
		backtrace_emit(panic_registers(), io->emit);
		return;
	}
	if (!COMMAND_LOAD(hal, &t->hal) || !COMMAND_LOAD(cpu, &t->cpu)) {
		command_printf(io, " the thread %p is not readable\n", (const void *)t);
		return;
	}
	if (cpu < HAL_MAX_CPUS && cpu != hal_cpu_id() && hal_percpu_of(cpu) && COMMAND_LOAD(other, &hal_percpu_of(cpu)->current) &&
	    other == t)
		command_printf(io, " runs on cpu %u: this is where it was switched away from last\n", cpu);
	backtrace_emit_thread(t, io->emit);
}

static bool bt_task(struct command_io *io, const struct task *t)
{
	if (!task_line(io, t))
		return false;
	show_backtrace(io, &t->thread);
	return io->budget != 0;
}

static bool bt_kthread(struct command_io *io, const struct thread *t)
{
	if (!kthread_line(io, t))
		return false;
	show_backtrace(io, t);
	return io->budget != 0;
}

static void command_bt(struct command_io *io, int argc, char **argv)
{
	struct thread *t;

	if (argc < 2) {
		show_backtrace(io, NULL);
	} else if (strcmp(argv[1], "all") == 0) {
		each_task(io, bt_task);
		each_kthread(io, bt_kthread);
	} else {
		t = task_command_thread(io, argv[1]);
		if (t)
			show_backtrace(io, t);
	}
}
DEBUG_COMMAND(bt, "[pid|thread|all]", "backtrace: of the panic, of a thread, of all", command_bt);
