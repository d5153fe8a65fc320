// SPDX-License-Identifier: MIT
/* fork, exec, exit, wait; numbers, groups and sessions; limits and usage. */
#include <abi/linux/fcntl.h>
#include <abi/linux/personality.h>
#include <abi/linux/sched.h>
#include <abi/linux/signal.h>
#include <abi/linux/time.h>
#include <abi/linux/wait.h>
#include <hal/thread.h>
#include <kernel/proc/exec.h>
#include <kernel/proc/exit.h>
#include <kernel/proc/fork.h>
#include <kernel/proc/pidfd.h>
#include <kernel/sched/clock.h>
#include <kernel/signal/sighand.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/session.h>
#include <kernel/task/task.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>

#define CSIGNAL			0xffULL	/* the exit signal in clone's flags */
#define CLONE_SET_TID_MAX	32	/* MAX_PID_NS_LEVEL */
#define NSEC_PER_TICK		(NSEC_PER_SEC / USER_HZ)

/* ---- making ---- */

long sys_fork(void)
{
	const struct fork_args args = { .exit_signal = SIGCHLD };

	return proc_fork(&args);
}

long sys_vfork(void)
{
	const struct fork_args args = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };

	return proc_fork(&args);
}

long sys_clone(unsigned long flags, u64 stack, uptr_t parent_tid, uptr_t child_tid, u64 tls)
{
	const struct fork_args args = {
		.flags = (u32)flags & ~CSIGNAL,
		.pidfd = parent_tid,
		.parent_tid = parent_tid,
		.child_tid = child_tid,
		.exit_signal = (int)(flags & CSIGNAL),
		.stack = stack,
		.tls = tls,
	};

	return proc_fork(&args);
}

/* A structure that may be longer than the one we know, if the rest is zero: E2BIG. */
static int clone3_copy_args(struct clone_args *out, uptr_t user, size_t size)
{
	size_t known = MIN(size, sizeof(*out));
	u8 rest[64];
	int err;

	if (size > 4096)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	for (size_t at = known; at < size; at += sizeof(rest)) {
		size_t n = MIN(size - at, sizeof(rest));

		if (copy_from_user(rest, uptr_add(user, at), n))
			return -EFAULT;
		if (memchr_inv(rest, 0, n))
			return -E2BIG;
	}
	memset(out, 0, sizeof(*out));
	err = copy_from_user(out, user, known);
	if (err)
		return err;
	if (out->set_tid_size > CLONE_SET_TID_MAX || !out->set_tid != !out->set_tid_size)
		return -EINVAL;
	if ((out->exit_signal & ~CSIGNAL) || out->exit_signal > SIGRTMAX)
		return -EINVAL;
	if ((out->flags & CLONE_INTO_CGROUP) && (out->cgroup > INT32_MAX || size < CLONE_ARGS_SIZE_VER2))
		return -EINVAL;
	return 0;
}

static bool clone3_args_valid(const struct clone_args *a)
{
	if (a->flags & ~(0xffffffffULL | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP))
		return false;
	if (a->flags & (CLONE_DETACHED | (CSIGNAL & ~(u64)CLONE_NEWTIME)))
		return false;
	if ((a->flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) == (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
		return false;
	if ((a->flags & (CLONE_THREAD | CLONE_PARENT)) && a->exit_signal)
		return false;
	if (!a->stack)
		return !a->stack_size;
	return a->stack_size && hal_user_range_ok(uptr(a->stack), a->stack_size);
}

/* Choosing the number: only one level of namespaces here. */
static int clone3_set_tid(const struct clone_args *a, int *tid)
{
	u32 wanted;

	if (!a->set_tid_size)
		return 0;
	if (a->set_tid_size > 1)
		return -EINVAL;
	if (get_user_u32(&wanted, uptr(a->set_tid)))
		return -EFAULT;
	if ((int)wanted < 1 || (int)wanted >= pid_max())
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN) && !capable(CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	*tid = (int)wanted;
	return 0;
}

long sys_clone3(uptr_t user, size_t size)
{
	struct clone_args a;
	struct fork_args args;
	int tid = 0, err = clone3_copy_args(&a, user, size);

	if (err)
		return err;
	if (!clone3_args_valid(&a))
		return -EINVAL;
	err = clone3_set_tid(&a, &tid);
	if (err)
		return err;
	if (a.flags & CLONE_INTO_CGROUP)
		return -EBADF;		/* no descriptor is one of a control group */
	args = (struct fork_args){
		.flags = a.flags,
		.pidfd = uptr(a.pidfd),
		.child_tid = uptr(a.child_tid),
		.parent_tid = uptr(a.parent_tid),
		.exit_signal = (int)a.exit_signal,
		.stack = a.stack ? a.stack + a.stack_size : 0,
		.tls = a.tls,
		.set_tid = tid,
	};
	return proc_fork(&args);
}

long sys_execve(uptr_t path, uptr_t argv, uptr_t envp)
{
	return proc_exec(AT_FDCWD, path, argv, envp, 0);
}

long sys_execveat(int dfd, uptr_t path, uptr_t argv, uptr_t envp, int flags)
{
	return proc_exec(dfd, path, argv, envp, flags);
}

#define UNSHARE_KNOWN (CLONE_THREAD | CLONE_FS | CLONE_NEWNS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES |	\
		       CLONE_SYSVSEM | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUSER |	\
		       CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME)
#define UNSHARE_NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUSER |	\
			    CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME)

/* Namespaces: as Linux without them. The rest: what a process with one thread has already. */
long sys_unshare(unsigned long flags)
{
	struct process *p = current_process();
	int err = 0;

	if (flags & ~(unsigned long)UNSHARE_KNOWN)
		return -EINVAL;
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && READ_ONCE(p->nr_threads) > 1)
		return -EINVAL;
	if ((flags & (CLONE_SIGHAND | CLONE_VM)) && refcount_read(&p->sighand->ref) > 1)
		return -EINVAL;
	if ((flags & CLONE_VM) && refcount_read(&p->space->users) > 1)
		return -EINVAL;
	if (flags & UNSHARE_NAMESPACES)
		return !(flags & CLONE_NEWUSER) && !capable(CAP_SYS_ADMIN) ? -EPERM : -EINVAL;
	if (flags & CLONE_FS)
		err = fs_context_unshare_current();
	if (!err && (flags & CLONE_FILES))
		err = files_unshare_current();
	return err;
}

long sys_setns(int fd, int type)
{
	struct fdref r = fd_get(fd);

	(void)type;
	if (!r.file)
		return -EBADF;
	fd_put(r);
	return -EINVAL;
}

/* ---- ending and waiting ---- */

long sys_exit(int status)
{
	proc_exit_task((status & 0xff) << 8);
}

long sys_exit_group(int status)
{
	proc_exit_group((status & 0xff) << 8);
}

#define WAIT4_OPTIONS ((int)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
#define WAITID_OPTIONS ((int)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | \
			      __WALL))

static int own_pgrp(void)
{
	return session_getpgid(0);
}

long sys_wait4(int pid, uptr_t status, int options, uptr_t usage)
{
	struct wait_args w;
	int err;

	if (options & ~WAIT4_OPTIONS)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	w.which = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	w.id = pid > 0 ? pid : pid == 0 ? own_pgrp() : -pid;
	w.options = options | WEXITED;
	w.want_usage = !uptr_is_null(usage);
	err = proc_wait(&w);
	if (err || !w.pid)
		return err;
	if (!uptr_is_null(status) && put_user_s32(w.status, status))
		return -EFAULT;
	if (w.want_usage && copy_to_user(usage, &w.usage, sizeof(w.usage)))
		return -EFAULT;
	return w.pid;
}

/* *again: who finds nothing is told so by EAGAIN (a descriptor that does not wait). */
static int waitid_target(int type, int id, struct wait_args *w, bool *again)
{
	bool nonblock = false;

	*again = false;
	w->which = type;
	w->id = id;
	switch (type) {
	case P_ALL:
		return 0;
	case P_PID:
		return id <= 0 ? -EINVAL : 0;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		if (!id)
			w->id = own_pgrp();
		return 0;
	case P_PIDFD:
		if (id < 0)
			return -EINVAL;
		w->pidfd = pidfd_pid_get(id, &nonblock);
		if (!w->pidfd)
			return -EBADF;
		*again = nonblock && !(w->options & WNOHANG);
		if (nonblock)
			w->options |= WNOHANG;
		return 0;
	default:
		return -EINVAL;
	}
}

static void siginfo_from_wait(siginfo_t *info, const struct wait_args *w)
{
	memset(info, 0, sizeof(*info));
	if (!w->pid)
		return;
	info->si_signo = SIGCHLD;
	info->si_code = w->code;
	info->si_pid = w->pid;
	info->si_uid = w->uid;
	info->si_status = w->exit_status;
}

/* Linux writes the members it names, not the whole structure. */
#define WAITID_INFO_BYTES (offsetof(siginfo_t, si_status) + sizeof(s32))

long sys_waitid(int type, int id, uptr_t user, int options, uptr_t usage)
{
	struct wait_args w = { .options = options };
	siginfo_t info;
	bool again;
	int err;

	if ((options & ~WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	err = waitid_target(type, id, &w, &again);
	if (err)
		return err;
	w.want_usage = !uptr_is_null(usage);
	err = proc_wait(&w);
	if (type == P_PIDFD)
		pid_put(w.pidfd);
	if (!err && !w.pid && again)
		err = -EAGAIN;
	if (!err && w.pid && w.want_usage && copy_to_user(usage, &w.usage, sizeof(w.usage)))
		return -EFAULT;
	if (uptr_is_null(user))
		return err;
	if (err)
		w.pid = 0;
	siginfo_from_wait(&info, &w);
	if (copy_to_user(user, &info, WAITID_INFO_BYTES))
		return -EFAULT;
	return err;
}

/* ---- who ---- */

long sys_getpid(void)
{
	return current_process()->pid->nr;
}

long sys_gettid(void)
{
	return current_task()->pid->nr;
}

long sys_getppid(void)
{
	struct process *parent;
	long nr;

	rcu_read_lock();
	parent = rcu_dereference(current_process()->parent);
	nr = parent ? parent->pid->nr : 0;
	rcu_read_unlock();
	return nr;
}

long sys_getpgid(int pid)
{
	return session_getpgid(pid);
}

long sys_getpgrp(void)
{
	return session_getpgid(0);
}

long sys_setpgid(int pid, int pgid)
{
	return session_setpgid(pid, pgid);
}

long sys_getsid(int pid)
{
	return session_getsid(pid);
}

long sys_setsid(void)
{
	return session_setsid();
}

long sys_set_tid_address(u64 tid)
{
	struct task *t = current_task();

	t->clear_child_tid = uptr(tid);
	return t->pid->nr;
}

long sys_personality(unsigned persona)
{
	struct task *t = current_task();
	u32 old = t->personality;

	if (persona != 0xffffffffU)
		t->personality = persona;
	return old;
}

/* ---- limits and usage ---- */

static bool prlimit_permitted(struct task *t)
{
	const struct cred *mine = current_cred(), *theirs;
	bool same;

	if (t->process == current_process())
		return true;
	theirs = task_cred_get(t);
	same = mine->uid == theirs->euid && mine->uid == theirs->suid && mine->uid == theirs->uid &&
	       mine->gid == theirs->egid && mine->gid == theirs->sgid && mine->gid == theirs->gid;
	cred_put(theirs);
	return same || capable(CAP_SYS_RESOURCE);
}

long sys_prlimit64(int pid, unsigned which, uptr_t user_new, uptr_t user_old)
{
	struct rlimit64 new, old;
	bool set = !uptr_is_null(user_new), get = !uptr_is_null(user_old);
	struct task *t;
	int err;

	if (set && copy_from_user(&new, user_new, sizeof(new)))
		return -EFAULT;
	t = pid ? task_by_tid(pid) : task_get(current_task());
	if (!t)
		return -ESRCH;
	err = prlimit_permitted(t) ? rlimit_do(t->process, which, set ? &new : NULL, get ? &old : NULL) : -EPERM;
	task_put(t);
	if (!err && get && copy_to_user(user_old, &old, sizeof(old)))
		return -EFAULT;
	return err;
}

long sys_getrlimit(unsigned which, uptr_t lim)
{
	struct rlimit64 old;
	int err = rlimit_do(current_process(), which, NULL, &old);

	return err ? err : copy_to_user(lim, &old, sizeof(old));
}

long sys_setrlimit(unsigned which, uptr_t lim)
{
	struct rlimit64 new;

	if (copy_from_user(&new, lim, sizeof(new)))
		return -EFAULT;
	return rlimit_do(current_process(), which, &new, NULL);
}

static u64 own_maxrss_kib(const struct process *p)
{
	return MAX(p->dead_threads.maxrss_kib, MAX(p->space->peak_rss, vm_space_rss(p->space)) * 4);
}

long sys_getrusage(int who, uptr_t user)
{
	struct process *p = current_process();
	struct process_usage u;
	struct rusage ru;
	irqflags_t f;

	switch (who) {
	case RUSAGE_SELF:
		process_usage_sum(p, &u);
		u.maxrss_kib = own_maxrss_kib(p);
		break;
	case RUSAGE_THREAD:
		task_usage(current_task(), &u);
		u.maxrss_kib = own_maxrss_kib(p);
		break;
	case RUSAGE_CHILDREN:
		f = spin_lock_irqsave(&p->siglock);
		u = p->children_usage;
		spin_unlock_irqrestore(&p->siglock, f);
		break;
	default:
		return -EINVAL;
	}
	proc_usage_to_rusage(&u, &ru);
	return copy_to_user(user, &ru, sizeof(ru));
}

long sys_times(uptr_t buf)
{
	struct process *p = current_process();
	struct process_usage u;
	struct tms tms;

	if (!uptr_is_null(buf)) {
		process_usage_sum(p, &u);
		tms.tms_utime = (s64)(u.utime_ns / NSEC_PER_TICK);
		tms.tms_stime = (s64)(u.stime_ns / NSEC_PER_TICK);
		tms.tms_cutime = (s64)(READ_ONCE(p->children_usage.utime_ns) / NSEC_PER_TICK);
		tms.tms_cstime = (s64)(READ_ONCE(p->children_usage.stime_ns) / NSEC_PER_TICK);
		if (copy_to_user(buf, &tms, sizeof(tms)))
			return -EFAULT;
	}
	return (long)(clock_mono_ns() / NSEC_PER_TICK);
}
