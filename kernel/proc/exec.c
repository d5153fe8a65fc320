// SPDX-License-Identifier: MIT
/*
 * execve(2), the generic half. exec.h has the order of things and why a program
 * that cannot be loaded leaves the caller as it was.
 *
 * Errors come in Linux's order: strings first, then the file, then its format.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/resource.h>
#include <hal/thread.h>
#include <kernel/core/assert.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/access.h>
#include <kernel/proc/exec.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/rlimit.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/fs_context.h>
#include <kernel/vfs/permission.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#include "exec_internal.h"
#include "internal.h"

/* One call's state: too big for the stack. */
struct exec_job {
	struct exec_image img;
	struct pathname name;
	char fd_name[32];		/* /dev/fd/N */
	const char *filename;		/* as the program will see it */
	char *fd_path;			/* "/dev/fd/N/path" on the heap, or NULL */
	struct cred *cred;
	struct sighand *sighand;	/* a copy, when the old one is shared */
	u32 unsafe;
	bool fs_marked;			/* counted in fs->in_exec */
	bool fd_cloexec;		/* the file is named by a descriptor that goes */
	bool unreadable;		/* the caller may run it but not read it */
};

/* ---- naming ---- */

static int exec_name_by_fd(struct exec_job *job, int dfd)
{
	size_t n;

	if (!job->name.len) {
		snprintf(job->fd_name, sizeof(job->fd_name), "/dev/fd/%d", dfd);
		job->filename = job->fd_name;
		return 0;
	}
	n = job->name.len + sizeof(job->fd_name);
	job->fd_path = kmalloc(n, 0);
	if (!job->fd_path)
		return -ENOMEM;
	snprintf(job->fd_path, n, "/dev/fd/%d/%s", dfd, job->name.str);
	job->filename = job->fd_path;
	return 0;
}

static int exec_set_filename(struct exec_job *job, int dfd)
{
	if (dfd == AT_FDCWD || job->name.str[0] == '/') {
		job->filename = job->name.str;
		return 0;
	}
	job->fd_cloexec = files_is_cloexec(current_task()->files, (u32)dfd);
	return exec_name_by_fd(job, dfd);
}

/* ---- the file and its kind ---- */

static int exec_read_header(struct exec_image *img)
{
	s64 pos = 0;
	ssize_t n = kernel_read(img->file, img->header, sizeof(img->header), &pos);

	if (n < 0)
		return (int)n;
	memset(img->header + n, 0, sizeof(img->header) - (size_t)n);
	img->header_len = (size_t)n;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The #! line as Linux takes it: at most 256 bytes; the interpreter's name may not
 * be cut; everything behind it is one argument, which may.
 */
static int exec_parse_script(char *line, char **interp, char **arg)
{
	char *end = line + EXEC_HEADER_SIZE, *p, *nl, *sep;

	for (nl = line; nl < end && *nl && *nl != '\n'; nl++)
		;
	if (nl == end || !*nl) {
		/* No end of line: fine if the name is followed by a blank or a NUL inside the buffer. */
		for (p = line + 2; p < end && is_blank(*p); p++)
			;
		if (p == end)
			return -ENOEXEC;
		for (; p < end && !is_blank(*p) && *p; p++)
			;
		if (p == end)
			return -ENOEXEC;
		nl = end - 1;
	}
	while (nl > line + 2 && is_blank(nl[-1]))
		nl--;
	*nl = '\0';
	for (p = line + 2; is_blank(*p); p++)
		;
	if (!*p)
		return -ENOEXEC;
	*interp = p;
	*arg = NULL;
	for (sep = p; *sep && !is_blank(*sep); sep++)
		;
	if (*sep) {
		*sep++ = '\0';
		while (is_blank(*sep))
			sep++;
		if (*sep)
			*arg = sep;
	}
	return 0;
}

static struct file *exec_open(int dfd, const struct pathname *name, int flags)
{
	return kernel_file_open_exec(dfd, name, (u32)flags);
}

static int exec_open_interp(struct exec_job *job, const char *interp)
{
	struct pathname name;
	struct file *file;
	int err = pathname_from_kernel(&name, interp);

	if (err)
		return err;
	file = exec_open(AT_FDCWD, &name, 0);
	pathname_release(&name);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	file_put(job->img.file);
	job->img.file = file;
	return exec_read_header(&job->img);
}

/* Follows #! lines until something else is found: 0, -ELOOP, … */
static int exec_resolve_scripts(struct exec_job *job)
{
	struct exec_image *img = &job->img;
	char script[EXEC_HEADER_SIZE], line[EXEC_HEADER_SIZE];
	const char *name = job->filename;
	char *interp, *arg;
	int depth, err;

	for (depth = 0; img->header[0] == '#' && img->header[1] == '!';) {
		memcpy(line, img->header, sizeof(line));
		err = exec_parse_script(line, &interp, &arg);
		if (err)
			return err;
		/* The interpreter could not open /dev/fd/N: it will be closed by then. */
		if (job->fd_cloexec && depth == 0)
			return -ENOENT;
		err = exec_replace_argv0(img, interp, arg, name);
		if (err)
			return err;
		err = exec_open_interp(job, interp);
		if (err)
			return err;
		if (++depth > EXEC_MAX_INTERP)
			return -ELOOP;
		strlcpy(script, interp, sizeof(script));
		name = script;
	}
	return 0;
}

/* ---- who shares what ---- */

/* More users of the directories than threads of ours: a set-user-ID program could be led astray. */
static void exec_check_sharing(struct exec_job *job)
{
	struct task *self = current_task(), *t;
	struct fs_context *fs = self->fs;
	irqflags_t f;
	int mine = 0, users;

	if (self->no_new_privs)
		job->unsafe |= EXEC_UNSAFE_NO_NEW_PRIVS;
	if (atomic_load(&fs->ref) == 1)
		return;
	spin_lock(&fs->lock);
	/* All users first: under the lock none is added, and a thread that ends before it is counted looks like a stranger. */
	users = atomic_load(&fs->ref);
	f = spin_lock_irqsave(&self->process->siglock);
	for_each_thread(self->process, t)
		mine += READ_ONCE(t->fs) == fs;
	spin_unlock_irqrestore(&self->process->siglock, f);
	if (users > mine) {
		job->unsafe |= EXEC_UNSAFE_SHARED;
	} else {
		fs->in_exec++;
		job->fs_marked = true;
	}
	spin_unlock(&fs->lock);
}

static int exec_check_nproc(void)
{
	struct task *t = current_task();

	if ((t->flags & TASK_NPROC_EXCEEDED) &&
	    (u64)atomic64_load(&t->cred->user->processes) > rlimit_get(t->process, RLIMIT_NPROC))
		return -EAGAIN;
	t->flags &= ~TASK_NPROC_EXCEEDED;
	return 0;
}

/* ---- commit: from here on nothing fails ---- */

static void exec_commit_space(struct task *t, struct exec_image *img)
{
	struct process *p = t->process;
	struct vm_space *old = p->space;
	struct file *old_exe;
	irqflags_t f;

	if (old)
		exit_release_user_memory(t);
	f = spin_lock_irqsave(&p->siglock);
	p->space = img->space;
	old_exe = p->exe;
	p->exe = file_get(img->file);
	spin_unlock_irqrestore(&p->siglock, f);
	vm_space_activate(img->space);
	img->space = NULL;
	if (old) {
		u64 rss = MAX(READ_ONCE(old->peak_rss), vm_space_rss(old));

		p->dead_threads.maxrss_kib = MAX(p->dead_threads.maxrss_kib, rss * 4);
		vm_space_put(old);
	}
	if (old_exe)
		file_put(old_exe);
}

static void exec_commit_signals(struct task *t, struct exec_job *job)
{
	struct process *p = t->process;
	struct sighand *old = NULL;
	irqflags_t tree = spin_lock_irqsave(&task_tree_lock);

	spin_lock(&p->siglock);
	if (job->sighand) {
		old = p->sighand;
		p->sighand = job->sighand;
		job->sighand = NULL;
	}
	sighand_flush_handlers(p->sighand);
	p->did_exec = true;
	p->exec_id++;
	p->exit_signal = SIGCHLD;
	spin_unlock(&p->siglock);
	spin_unlock_irqrestore(&task_tree_lock, tree);
	if (old)
		sighand_put(old);
	t->altstack = (stack_t){ .ss_flags = SS_DISABLE };
	t->restart.fn = NULL;
}

static void exec_commit_identity(struct task *t, struct exec_job *job)
{
	struct process *p = t->process;
	const struct cred *c = t->cred;
	bool plain = c->euid == c->uid && c->egid == c->gid && !job->unreadable;
	const char *slash = strrchr(job->filename, '/');

	WRITE_ONCE(p->dumpable, plain ? DUMPABLE_USER : DUMPABLE_NO);
	if (job->img.secure) {
		irqflags_t f = spin_lock_irqsave(&p->rlim_lock);

		p->rlim[RLIMIT_STACK].rlim_cur = MIN(p->rlim[RLIMIT_STACK].rlim_cur, (u64)_STK_LIM);
		spin_unlock_irqrestore(&p->rlim_lock, f);
		t->pdeath_signal = 0;
	}
	task_set_comm(t, slash ? slash + 1 : job->filename);
	t->personality = job->img.personality;
	t->flags &= ~(TASK_FORKNOEXEC | TASK_SUPERPRIV | TASK_NPROC_EXCEEDED);
	cred_commit(job->cred);
	job->cred = NULL;
}

static void exec_commit(struct exec_job *job)
{
	struct task *t = current_task();
	struct hal_regs *regs = hal_task_regs(&t->thread);

	proc_access_exec_begin(t->process);
	exec_commit_space(t, &job->img);
	exec_commit_signals(t, job);
	hal_thread_exec_reset(&t->thread.hal);
	exec_commit_identity(t, job);
	proc_access_exec_end(t->process);
	files_close_on_exec(t->files);
	hal_regs_init_user(regs, job->img.entry, job->img.sp);
	hal_regs_set_syscall_nr(regs, -1);
	hal_work_set(&t->thread.hal, HAL_WORK_FRAME);
}

/* ---- the whole ---- */

static int exec_prepare(struct exec_job *job, int dfd, int flags, const struct exec_source *src)
{
	struct exec_image *img = &job->img;
	struct file *file;
	int err;

	err = exec_set_filename(job, dfd);
	if (err)
		return err;
	img->stack_rlimit = rlimit_current(RLIMIT_STACK);
	img->personality = current_task()->personality;
	err = exec_copy_args(img, job->filename, src);
	if (err)
		return err;
	job->cred = cred_prepare();
	if (!job->cred)
		return -ENOMEM;
	exec_check_sharing(job);
	file = exec_open(dfd, &job->name, flags);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	img->file = file;
	err = exec_read_header(img);
	if (err)
		return err;
	err = exec_resolve_scripts(job);
	if (err)
		return err;
	img->executable = img->file;
	err = exec_elf_check(img);
	if (err)
		return err;
	job->unreadable = inode_permission(img->file->inode, MAY_READ) != 0;
	exec_compute_cred(img, job->cred, job->unsafe);
	if (img->secure)
		img->stack_rlimit = MIN(img->stack_rlimit, (u64)_STK_LIM);
	img->cred = job->cred;
	return exec_elf_load(img);
}

/* What the last step before the point of no return needs memory for. */
static int exec_unshare(struct exec_job *job)
{
	struct process *p = current_process();

	if (refcount_read(&p->sighand->ref) > 1) {
		job->sighand = sighand_copy(p->sighand);
		if (!job->sighand)
			return -ENOMEM;
	}
	return files_unshare_current();
}

static void exec_job_free(struct exec_job *job)
{
	struct fs_context *fs = current_task()->fs;

	if (job->fs_marked) {
		spin_lock(&fs->lock);
		fs->in_exec--;
		spin_unlock(&fs->lock);
	}
	exec_free_args(&job->img);
	if (job->img.space)
		vm_space_put(job->img.space);
	if (job->img.file)
		file_put(job->img.file);
	if (job->cred)
		cred_abort(job->cred);
	if (job->sighand)
		sighand_put(job->sighand);
	kfree(job->fd_path);
	pathname_release(&job->name);
	kfree(job);
}

static int exec_run(struct exec_job *job, int dfd, int flags, const struct exec_source *src)
{
	struct task *t = current_task();
	int err = exec_prepare(job, dfd, flags, src);

	if (!err)
		err = exec_become_only_thread(t);
	if (!err)
		err = exec_unshare(job);
	if (!err)
		exec_commit(job);
	exec_job_free(job);
	return err;
}

int proc_exec(int dfd, uptr_t path, uptr_t argv, uptr_t envp, int flags)
{
	const struct exec_source src = { .kernel = false, .argv = argv.addr, .envp = envp.addr };
	struct exec_job *job;
	int err;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	job = kzalloc(sizeof(*job), 0);
	if (!job)
		return -ENOMEM;
	err = exec_check_nproc();
	if (!err)
		err = pathname_from_user(&job->name, path, flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	if (err) {
		kfree(job);
		return err;
	}
	return exec_run(job, dfd, flags, &src);
}

int exec_kernel(const char *path, const char *const *argv, const char *const *envp)
{
	const struct exec_source src = {
		.kernel = true,
		.argv = (u64)(uintptr_t)argv,
		.envp = (u64)(uintptr_t)envp,
	};
	struct exec_job *job = kzalloc(sizeof(*job), 0);
	int err;

	if (!job)
		return -ENOMEM;
	err = pathname_from_kernel(&job->name, path);
	if (err) {
		kfree(job);
		return err;
	}
	return exec_run(job, AT_FDCWD, 0, &src);
}
