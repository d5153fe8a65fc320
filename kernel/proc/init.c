// SPDX-License-Identifier: MIT
/*
 * PID 1. It is the only task that is not forked: built by hand, it starts in
 * the kernel, opens the console three times over, executes the first program of a
 * list that works, and enters user mode. Signals that it has no handler for
 * do not reach it, and its end is the end of the system.
 *
 * Its group and session are those of the kernel, number 0, until it calls setsid.
 */
#define LOG_TAG "init"
#include <abi/linux/fcntl.h>
#include <hal/clock.h>
#include <hal/thread.h>
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/fs/fs.h>
#include <kernel/proc/exec.h>
#include <kernel/proc/exit.h>
#include <kernel/proc/fork.h>
#include <kernel/proc/timers.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/session.h>
#include <kernel/task/watch.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>

#include "exec_internal.h"
#include "internal.h"

static struct pid pid_zero = {
	.nr = 0,
	.ref = REFCOUNT_INIT(1),
	.pgrp_members = LIST_HEAD_INIT(pid_zero.pgrp_members),
	.session_members = LIST_HEAD_INIT(pid_zero.session_members),
	.exit_waitq = WAITQ_INIT(pid_zero.exit_waitq),
};

/* What to start; the strings belong to the caller and stay. */
static struct {
	const char *const *paths, *const *args, *const *envp;
} init_request;

static void init_open_console(void)
{
	struct file *console = initramfs_open_console();
	int fd;

	if (IS_ERR(console)) {
		log_warn("cannot open /dev/console: error %ld", PTR_ERR(console));
		return;
	}
	for (fd = 0; fd < 3; fd++)
		if (fd_install_new(file_get(console), O_RDWR) < 0)
			log_warn("no descriptor %d for PID 1", fd);
	file_put(console);
}

static void init_main(void *arg)
{
	struct task *t = current_task();
	const char *const *path;
	const char *argv[INIT_MAX_WORDS + 1] = { NULL };
	size_t n;
	int err;

	(void)arg;
	if (hal_thread_make_user(&t->thread.hal))
		panic("no memory for PID 1");
	init_open_console();
	for (n = 0; init_request.args[n] && n < INIT_MAX_WORDS; n++)
		argv[n] = init_request.args[n];
	for (path = init_request.paths; *path; path++) {
		argv[0] = *path;	/* as Linux: the name that is tried */
		err = exec_kernel(*path, argv, init_request.envp);
		if (!err) {
			log_info("PID 1 is %s", *path);
			hal_enter_user();
		}
		log_err("cannot execute %s as PID 1: error %d", *path, err);
	}
	panic("no program could be started as PID 1");
}

static void init_enter_tree(struct process *p, struct task *t, struct pid *pid)
{
	irqflags_t f = spin_lock_irqsave(&task_tree_lock);

	p->pid = pid_get(pid);
	p->leader = t;
	t->process = p;
	t->pid = pid_get(pid);
	t->thread.id = (u32)pid->nr;
	spin_lock(&p->siglock);
	process_attach_task_locked(p, t);
	watch_attach_locked(t, NULL);
	spin_unlock(&p->siglock);
	session_set_sid_locked(p, &pid_zero);
	session_set_pgrp_locked(p, &pid_zero);
	pid->process = p;
	pid->task = t;
	pid_publish_locked(pid);
	process_init_task = p;
	spin_unlock_irqrestore(&task_tree_lock, f);
}

void proc_start_init(const char *const *paths, const char *const *args, const char *const *envp)
{
	struct task *t = task_alloc();
	struct process *p = process_alloc();
	struct pid *pid;

	init_request.paths = paths;
	init_request.args = args;
	init_request.envp = envp;
	if (!t || !p || pid_alloc(1, &pid) || !task_count_inc())
		panic("no memory for PID 1");
	t->cred = t->real_cred = cred_get(&cred_root);
	atomic64_inc(&user_root.processes);
	t->files = files_create();
	t->fs = fs_context_copy(&fs_context_init_data);
	p->sighand = sighand_create();
	if (!t->files || !t->fs || !p->sighand ||
	    thread_init(&t->thread, THREAD_USER, "init", proc_task_release))
		panic("no memory for PID 1");
	hal_thread_init_kernel(&t->thread.hal, t->thread.hal.stack_base, t->thread.hal.stack_size,
			       init_main, NULL);
	rlimit_init_defaults(p);
	p->sigflags = PROCESS_UNKILLABLE;
	p->exit_signal = SIGCHLD;
	atomic_store(&p->live_threads, 1);
	atomic_store(&p->space_threads, 1);
	t->start_ns = hal_clock_ns();
	init_enter_tree(p, t, pid);
	task_get(t);
	thread_start(&t->thread);
}

/* ptrace(2), PTRACE_MODE_READ_FSCREDS: who may look into a task through /proc. */
static bool proc_may_access(struct task *task)
{
	const struct cred *mine = current_cred(), *theirs;
	bool same;

	if (task_current_or_null() && task->process == current_process())
		return true;
	theirs = task_cred_get(task);
	same = mine->fsuid == theirs->euid && mine->fsuid == theirs->suid && mine->fsuid == theirs->uid &&
	       mine->fsgid == theirs->egid && mine->fsgid == theirs->sgid && mine->fsgid == theirs->gid &&
	       READ_ONCE(task->process->dumpable) == DUMPABLE_USER &&
	       !(theirs->cap_permitted & ~mine->cap_effective);
	cred_put(theirs);
	return same || capable(CAP_SYS_PTRACE);
}

static void proc_send_sigxfsz(void)
{
	signal_send_current(SIGXFSZ);
}

void proc_init(void)
{
	signal_exit_hook = proc_exit_group;
	process_space_get_hook = vm_space_get_not_zero;
	cpu_timers_init();
	itimers_init();
	file_fsize_signal_hook = proc_send_sigxfsz;
	proc_may_access_hook = proc_may_access;
	if (proc_files_init() || proc_status_init())
		panic("no memory for the files of /proc/PID");
}
