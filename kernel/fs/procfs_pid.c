/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID: a directory for each process, and below it task/TID for each thread.
 *
 * An inode here remembers a struct pid (which can never come to mean somebody else) and finds the task
 * each time; when it is gone, look-ups fail with ENOENT and operations with ESRCH. Dentries of processes are not
 * kept without users, so nothing has to be swept when a process ends.
 *
 * Files and links that subsystems registered (proc_pid_register*) appear in every such directory; fd, fdinfo
 * and task are made here.
 */
#include "internal.h"

#include <abi/linux/dirent.h>
#include <abi/linux/fcntl.h>
#include <kernel/core/rcu.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <lib/printf.h>

#define POS_FIRST 2
#define POS_PIDS 0x10000	/* of /proc: behind all registered files */
#define NAME_BYTES 16

enum pid_kind { KIND_DIR, KIND_NODE, KIND_TASKS, KIND_FDS, KIND_FDINFOS, KIND_FD, KIND_FDINFO };

struct pid_inode {
	struct inode vfs;
	struct pid *pid;		/* [I] counted */
	struct proc_node *node;		/* [I] KIND_NODE */
	struct task *opened;		/* [a] what node->ops were given, counted */
	u32 fd;				/* [I] KIND_FD, KIND_FDINFO */
	u8 kind;			/* [I] enum pid_kind */
	bool is_thread;			/* [I] below task/ */
};

static struct kmem_cache *pid_inode_cache;
static const struct inode_ops dir_iops, fds_iops, fd_iops, node_dir_iops, node_link_iops, file_iops;
static const struct file_ops dir_fops, fds_fops, node_dir_fops, node_fops, mounts_fops, fdinfo_fops;

static struct pid_inode *pid_inode_of(const struct inode *inode)
{
	return container_of(inode, struct pid_inode, vfs);
}

/* The task with a reference; NULL when it has been reaped. */
static struct task *task_of(const struct inode *inode)
{
	struct task *t;

	rcu_read_lock();
	t = rcu_dereference(pid_inode_of(inode)->pid->task);
	if (t && !task_get_not_zero(t))
		t = NULL;
	rcu_read_unlock();
	return t;
}

static bool may_look(struct task *t)
{
	return t == task_current_or_null() || !proc_may_access_hook || proc_may_access_hook(t);
}

/* ---- inodes ---- */

static struct inode *proc_alloc_inode(struct super_block *sb)
{
	struct pid_inode *pi = kmem_cache_alloc(pid_inode_cache, 0);

	if (!pi)
		return NULL;
	pi->pid = NULL;
	pi->opened = NULL;
	return &pi->vfs;
}

static void proc_free_inode(struct inode *inode)
{
	kmem_cache_free(pid_inode_cache, pid_inode_of(inode));
}

static void proc_evict(struct inode *inode)
{
	struct pid_inode *pi = pid_inode_of(inode);

	node_evict(inode);
	if (pi->opened)
		task_put(pi->opened);
	if (pi->pid)
		pid_put(pi->pid);
}

const struct super_ops proc_super_ops = {
	.alloc_inode = proc_alloc_inode,
	.free_inode = proc_free_inode,
	.evict = proc_evict,
};

/* Files of a process belong to its effective user; those of one that may not be looked into, to root. */
static void set_owner(struct inode *inode, struct task *t)
{
	const struct cred *cred;

	if (t->process->dumpable != DUMPABLE_USER && inode->mode != (S_IFDIR | 0555)) {
		inode->uid = inode->gid = 0;
		return;
	}
	cred = task_cred_get(t);
	inode->uid = cred->euid;
	inode->gid = cred->egid;
	cred_put(cred);
}

static struct inode *make_inode(struct super_block *sb, struct task *t, enum pid_kind kind, u32 mode,
				bool is_thread)
{
	struct inode *inode = inode_alloc(sb, mode);
	struct pid_inode *pi;

	if (!inode)
		return NULL;
	pi = pid_inode_of(inode);
	/*
	 * The caller's reference on the task keeps t->pid, which the task counts until task_put() frees it, also when the process
	 * has been reaped and its number belongs to another struct pid by now. Then the inode is of a task that is gone, and says so.
	 */
	pi->pid = pid_get(t->pid);
	pi->node = NULL;
	pi->fd = 0;
	pi->kind = (u8)kind;
	pi->is_thread = is_thread;
	inode->flags |= INODE_NOATIME | INODE_NOCMTIME;
	set_owner(inode, t);
	return inode;
}

/* Attaches; the dentry goes with its last user. */
static int attach(struct dentry *dentry, struct inode *inode)
{
	if (!inode)
		return -ENOMEM;
	__atomic_fetch_or(&dentry->flags, DENTRY_NOCACHE, __ATOMIC_SEQ_CST);
	dentry_instantiate(dentry, inode);
	return 0;
}

static int revalidate(struct dentry *dentry, bool may_sleep)
{
	struct inode *inode = READ_ONCE(dentry->inode);
	bool alive;

	if (!inode)
		return 1;
	if (!pid_inode_of(inode)->pid)
		return node_revalidate(inode);
	rcu_read_lock();
	alive = rcu_dereference(pid_inode_of(inode)->pid->task) != NULL;
	rcu_read_unlock();
	if (!alive)
		return 0;
	if (pid_inode_of(inode)->kind == KIND_FD || pid_inode_of(inode)->kind == KIND_FDINFO) {
		struct task *t;
		struct files *files;
		struct file *file = NULL;

		if (!may_sleep)
			return -ECHILD;
		t = task_of(inode);
		files = t ? task_files_get(t) : NULL;
		if (files) {
			file = files_lookup_get(files, pid_inode_of(inode)->fd);
			files_put(files);
		}
		if (t)
			task_put(t);
		if (!file)
			return 0;
		file_put(file);
	}
	return 1;
}

/* What does not exist today may exist tomorrow: negative ones are not kept. */
static bool unused(const struct dentry *dentry)
{
	return !dentry->inode;
}

const struct dentry_ops proc_dentry_ops = { .revalidate = revalidate, .unused = unused };

/* A decimal number without leading zeros, as a name. */
static bool parse_name(const struct qname *q, u32 *out)
{
	u64 n = 0;

	if (!q->len || q->len > 10 || (q->str[0] == '0' && q->len > 1))
		return false;
	for (u32 i = 0; i < q->len; i++) {
		if (!isdigit(q->str[i]))
			return false;
		n = n * 10 + (u64)(q->str[i] - '0');
	}
	*out = (u32)n;
	return n <= INT32_MAX;
}

/* ---- /proc/PID and /proc/PID/task/TID ---- */

static struct inode *make_dir(struct super_block *sb, struct task *t, bool is_thread)
{
	struct inode *inode = make_inode(sb, t, KIND_DIR, S_IFDIR | 0555, is_thread);

	if (!inode)
		return NULL;
	inode->ops = &dir_iops;
	inode->fops = &dir_fops;
	inode->nlink = is_thread ? 7 : 9;
	return inode;
}

int proc_pid_lookup(struct inode *dir, struct dentry *dentry)
{
	struct task *t;
	u32 nr;
	int err;

	if (!parse_name(&dentry->name, &nr) || !(t = task_by_tid((int)nr)))
		return 0;
	err = attach(dentry, make_dir(dir->sb, t, false));
	task_put(t);
	return err;
}

int proc_pid_iterate(struct file *file, struct dir_context *ctx)
{
	struct process *p;
	int nr = ctx->pos > POS_PIDS ? (int)MIN(ctx->pos - POS_PIDS, (s64)INT32_MAX) : 1;

	while ((p = process_next_get(nr))) {
		char name[NAME_BYTES];
		int len = snprintf(name, sizeof(name), "%d", p->pid->nr);

		nr = p->pid->nr;
		process_put(p);
		if (!dir_emit(ctx, name, (size_t)len, POS_PIDS + nr + 1, (u64)nr << 16, DT_DIR))
			break;
		nr++;
	}
	return 0;
}

static const struct {
	const char *name;
	u32 mode;
	u8 kind;
	const struct inode_ops *ops;
	const struct file_ops *fops;
} built_in[] = {
	{ "task", S_IFDIR | 0555, KIND_TASKS, &fds_iops, &fds_fops },
	{ "fd", S_IFDIR | 0500, KIND_FDS, &fds_iops, &fds_fops },
	{ "fdinfo", S_IFDIR | 0555, KIND_FDINFOS, &fds_iops, &fds_fops },
};

static struct inode *make_node(struct super_block *sb, struct task *t, struct proc_node *node, bool is_thread)
{
	struct inode *inode = make_inode(sb, t, KIND_NODE, node->mode, is_thread);

	if (!inode)
		return NULL;
	pid_inode_of(inode)->node = node;
	if (S_ISDIR(node->mode)) {
		inode->ops = &node_dir_iops;
		inode->fops = &node_dir_fops;
		inode->nlink = 2;
	} else if (S_ISLNK(node->mode)) {
		inode->ops = &node_link_iops;
	} else {
		inode->ops = &file_iops;
		inode->fops = &node_fops;
	}
	return inode;
}

static int lookup_node(struct proc_node *dir_node, struct inode *dir, struct dentry *dentry, struct task *t)
{
	bool is_thread = pid_inode_of(dir)->is_thread;
	struct proc_node *node = node_child_get(dir_node, dentry->name.str, dentry->name.len);

	if (!node)
		return -ENOENT;
	node_put(node); /* entries of processes are never unregistered */
	if (is_thread && (node->flags & PROC_PID_TGID_ONLY))
		return -ENOENT;
	return attach(dentry, make_node(dir->sb, t, node, is_thread));
}

static int dir_lookup(struct inode *dir, struct dentry *dentry)
{
	bool is_thread = pid_inode_of(dir)->is_thread;
	struct task *t = task_of(dir);
	struct inode *inode;
	int err;

	if (!t)
		return -ENOENT;
	for (u32 i = is_thread ? 1 : 0; i < ARRAY_SIZE(built_in); i++) {
		if (strlen(built_in[i].name) != dentry->name.len ||
		    memcmp(built_in[i].name, dentry->name.str, dentry->name.len) != 0)
			continue;
		inode = make_inode(dir->sb, t, built_in[i].kind, built_in[i].mode, is_thread);
		if (inode) {
			inode->ops = built_in[i].ops;
			inode->fops = built_in[i].fops;
			inode->flags |= INODE_PERMISSION;
			inode->nlink = 2;
		}
		err = attach(dentry, inode);
		goto put;
	}
	err = lookup_node(&proc_pid_node, dir, dentry, t);
put:
	task_put(t);
	return err;
}

static int emit_nodes(struct proc_node *dir_node, struct dir_context *ctx, s64 base, u64 ino, bool is_thread)
{
	struct proc_node *n;
	s64 at = base;

	for (n = smp_load_acquire(&dir_node->children); n; n = smp_load_acquire(&n->next), at++) {
		if (at < ctx->pos || (is_thread && (n->flags & PROC_PID_TGID_ONLY)))
			continue;
		if (!dir_emit(ctx, n->name, strlen(n->name), at + 1, ino + (u64)at, dtype_of_mode(n->mode)))
			break;
	}
	return 0;
}

static int dir_iterate(struct file *file, struct dir_context *ctx)
{
	struct pid_inode *pi = pid_inode_of(file->inode);
	u64 ino = (u64)pi->pid->nr << 16;
	s64 at = POS_FIRST;

	if (!dir_emit_dots(file, ctx))
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(built_in); i++, at++) {
		if (at < ctx->pos || (pi->is_thread && built_in[i].kind == KIND_TASKS))
			continue;
		if (!dir_emit(ctx, built_in[i].name, strlen(built_in[i].name), at + 1, ino + (u64)at, DT_DIR))
			return 0;
	}
	return emit_nodes(&proc_pid_node, ctx, at, ino, pi->is_thread);
}

static const struct inode_ops dir_iops = { .lookup = dir_lookup };
static const struct file_ops dir_fops = { .iterate = dir_iterate, .llseek = dir_llseek };

/* ---- registered files ---- */

static int node_dir_lookup(struct inode *dir, struct dentry *dentry)
{
	struct task *t = task_of(dir);
	int err;

	if (!t)
		return -ENOENT;
	err = lookup_node(pid_inode_of(dir)->node, dir, dentry, t);
	task_put(t);
	return err;
}

static int node_dir_iterate(struct file *file, struct dir_context *ctx)
{
	struct pid_inode *pi = pid_inode_of(file->inode);

	if (!dir_emit_dots(file, ctx))
		return 0;
	return emit_nodes(pi->node, ctx, POS_FIRST, (u64)pi->pid->nr << 16 | 0x1000, pi->is_thread);
}

/* The task, if the caller may do this now: ERR_PTR(-ESRCH, -EACCES). */
static struct task *task_for(const struct inode *inode)
{
	struct pid_inode *pi = pid_inode_of(inode);
	struct task *t = task_of(inode);

	if (!t)
		return ERR_PTR(-ESRCH);
	if (pi->node && (pi->node->flags & PROC_PID_READ) && !may_look(t)) {
		task_put(t);
		return ERR_PTR(-EACCES);
	}
	return t;
}

static int node_show(struct seq *s, void *arg)
{
	struct inode *inode = arg;
	struct proc_node *node = pid_inode_of(inode)->node;
	struct task *t = task_for(inode);
	int err;

	if (IS_ERR(t))
		return (int)PTR_ERR(t);
	err = node->pid_show ? node->pid_show(s, t) : -EIO;
	task_put(t);
	return err;
}

static int node_open(struct inode *inode, struct file *file)
{
	struct pid_inode *pi = pid_inode_of(inode);
	struct task *t = task_for(inode), *none = NULL;

	if (IS_ERR(t))
		return (int)PTR_ERR(t);
	if (pi->node->ops) {
		/* The inode keeps the task: it lives as long as the file. */
		if (!try_cmpxchg(&pi->opened, &none, t))
			task_put(t);
		file->ops = pi->node->ops;
		file->private = pi->opened;
		return file->ops->open ? file->ops->open(inode, file) : 0;
	}
	task_put(t);
	if (pi->node->flags & PROC_PID_MOUNTS) {
		file->ops = &mounts_fops;
		file->version = mounts_event();
	}
	return seq_file_open(file, node_show, inode);
}

/* Each change is told once to each open file. */
static u32 mounts_poll(struct file *file, struct poll_table *pt)
{
	u32 event;

	poll_wait(file, &mounts_wait, pt);
	event = mounts_event();
	return POLLIN | POLLRDNORM | (__atomic_exchange_n(&file->version, event, __ATOMIC_RELAXED) != event ? POLLERR | POLLPRI : 0);
}

struct store_call {
	struct proc_node *node;
	struct task *task;
};

static int call_store(void *arg, const char *text, size_t len)
{
	struct store_call *call = arg;

	return call->node->pid_store(call->task, text, len);
}

static ssize_t node_write(struct kiocb *iocb, struct iter *from)
{
	struct inode *inode = iocb->file->inode;
	struct store_call call = { pid_inode_of(inode)->node, task_for(inode) };
	ssize_t n;

	if (IS_ERR(call.task))
		return PTR_ERR(call.task);
	n = node_write_text(from, call.node->pid_store ? call_store : NULL, &call);
	task_put(call.task);
	if (n > 0)
		iocb->pos += n;
	return n;
}

static void seq_release(struct inode *inode, struct file *file)
{
	seq_file_release(file);
}

static const struct inode_ops file_iops = { 0 };
static const struct inode_ops node_dir_iops = { .lookup = node_dir_lookup };
static const struct file_ops node_dir_fops = { .iterate = node_dir_iterate, .llseek = dir_llseek };
static const struct file_ops node_fops = {
	.open = node_open,
	.read_iter = seq_file_read,
	.write_iter = node_write,
	.llseek = seq_file_llseek,
	.release = seq_release,
};
static const struct file_ops mounts_fops = {
	.open = node_open,
	.read_iter = seq_file_read,
	.poll = mounts_poll,
	.llseek = seq_file_llseek,
	.release = seq_release,
};

/* ---- magic links: exe, cwd, root, fd/N ---- */

static int link_target(struct inode *inode, struct path *out)
{
	struct pid_inode *pi = pid_inode_of(inode);
	struct task *t = task_of(inode);
	struct files *files;
	struct file *file;
	int err = -EACCES;

	if (!t)
		return -ENOENT;
	if (!may_look(t))
		goto put;
	if (pi->kind == KIND_NODE) {
		err = pi->node->pid_link(t, out);
		goto put;
	}
	err = -ENOENT;
	files = task_files_get(t);
	file = files ? files_lookup_get(files, pi->fd) : NULL;
	if (file) {
		*out = file->path;
		path_get(out);
		file_put(file);
		err = 0;
	}
	if (files)
		files_put(files);
put:
	task_put(t);
	return err;
}

static const char *magic_get_link(struct dentry *dentry, struct inode *inode, bool may_sleep, void **to_free,
				  struct path *jump)
{
	int err;

	if (!may_sleep)
		return ERR_PTR(-EAGAIN);
	err = link_target(inode, jump);
	return err ? ERR_PTR(err) : NULL;
}

static ssize_t magic_readlink(struct dentry *dentry, char *out, size_t size)
{
	struct path path;
	char *buf, *text;
	ssize_t n = link_target(dentry->inode, &path);

	if (n)
		return n;
	buf = kmalloc(PAGE_SIZE, 0);
	text = buf ? path_name(&path, NULL, buf, PAGE_SIZE) : ERR_PTR(-ENOMEM);
	if (IS_ERR(text)) {
		n = PTR_ERR(text);
	} else {
		n = (ssize_t)MIN(strlen(text), size);
		memcpy(out, text, (size_t)n);
	}
	kfree(buf);
	path_put(&path);
	return n;
}

static const struct inode_ops node_link_iops = { .get_link = magic_get_link, .readlink = magic_readlink };
static const struct inode_ops fd_iops = { .get_link = magic_get_link, .readlink = magic_readlink };

/* ---- fd, fdinfo, task ---- */

static int fdinfo_show(struct seq *s, void *arg)
{
	struct inode *inode = arg;
	struct task *t = task_of(inode);
	struct files *files = t ? task_files_get(t) : NULL;
	u32 fd = pid_inode_of(inode)->fd, flags;
	struct file *file = files ? files_lookup_get(files, fd) : NULL;
	int err = -ENOENT;

	if (file) {
		flags = file->flags & ~(u32)O_CLOEXEC;
		if (files_is_cloexec(files, fd))
			flags |= O_CLOEXEC;
		seq_printf(s, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n", (long long)file->pos, flags,
			   file->path.mnt->id, (unsigned long long)file->inode->ino);
		if (file->ops->show_fdinfo)
			file->ops->show_fdinfo(s, file);
		file_put(file);
		err = 0;
	}
	if (files)
		files_put(files);
	if (t)
		task_put(t);
	return err;
}

static int fdinfo_open(struct inode *inode, struct file *file)
{
	struct task *t = task_of(inode);
	int err = -ESRCH;

	if (t) {
		err = may_look(t) ? seq_file_open(file, fdinfo_show, inode) : -EACCES;
		task_put(t);
	}
	return err;
}

static const struct file_ops fdinfo_fops = {
	.open = fdinfo_open,
	.read_iter = seq_file_read,
	.llseek = seq_file_llseek,
	.release = seq_release,
};

/* An inode for descriptor fd, or NULL with *err: 0 when it is not open. */
static struct inode *make_fd(struct inode *dir, struct task *t, u32 fd, int *err)
{
	bool info = pid_inode_of(dir)->kind == KIND_FDINFOS;
	struct files *files = task_files_get(t);
	struct file *file = files ? files_lookup_get(files, fd) : NULL;
	struct inode *inode = NULL;
	u32 mode;

	*err = 0;
	if (file) {
		mode = info ? S_IFREG | 0400 : S_IFLNK | (file->mode & FMODE_READ ? 0500 : 0) |
						       (file->mode & FMODE_WRITE ? 0300 : 0);
		inode = make_inode(dir->sb, t, info ? KIND_FDINFO : KIND_FD, mode, pid_inode_of(dir)->is_thread);
		if (inode) {
			pid_inode_of(inode)->fd = fd;
			inode->ops = info ? &file_iops : &fd_iops;
			if (info)
				inode->fops = &fdinfo_fops;
			inode->size = info ? 0 : 64;
		} else {
			*err = -ENOMEM;
		}
		file_put(file);
	}
	if (files)
		files_put(files);
	return inode;
}

static int fds_lookup(struct inode *dir, struct dentry *dentry)
{
	struct task *t = task_of(dir), *thread;
	struct inode *inode = NULL;
	int err = 0;
	u32 nr;

	if (!t)
		return -ENOENT;
	if (!parse_name(&dentry->name, &nr))
		goto put;
	if (pid_inode_of(dir)->kind == KIND_TASKS) {
		thread = task_by_tid((int)nr);
		if (thread && thread->process == t->process) {
			inode = make_dir(dir->sb, thread, true);
			err = inode ? 0 : -ENOMEM;
		}
		if (thread)
			task_put(thread);
	} else {
		inode = make_fd(dir, t, nr, &err);
	}
	if (inode)
		err = attach(dentry, inode);
put:
	task_put(t);
	return err;
}

/* The smallest thread number >= nr of t's process, or -1. */
static int next_thread(struct task *t, int nr)
{
	struct task *i;
	int best = -1;

	rcu_read_lock();
	for_each_thread_rcu(t->process, i)
		if (i->pid->nr >= nr && (best < 0 || i->pid->nr < best))
			best = i->pid->nr;
	rcu_read_unlock();
	return best;
}

static void iterate_threads(struct task *t, struct dir_context *ctx)
{
	int nr = (int)ctx->pos - POS_FIRST;

	while ((nr = next_thread(t, nr)) >= 0) {
		char name[NAME_BYTES];
		int len = snprintf(name, sizeof(name), "%d", nr);

		if (!dir_emit(ctx, name, (size_t)len, POS_FIRST + nr + 1, (u64)nr << 16, DT_DIR))
			return;
		nr++;
	}
}

static void iterate_fds(struct task *t, struct dir_context *ctx, u64 ino, u32 type)
{
	struct files *files = task_files_get(t);
	u32 fd = (u32)(ctx->pos - POS_FIRST);
	struct file *file;

	if (!files)
		return;
	while ((file = files_next(files, &fd))) {
		char name[NAME_BYTES];
		int len = snprintf(name, sizeof(name), "%u", fd);

		file_put(file);
		if (!dir_emit(ctx, name, (size_t)len, POS_FIRST + (s64)fd + 1, ino + fd, type))
			break;
		fd++;
	}
	files_put(files);
}

static int fds_iterate(struct file *file, struct dir_context *ctx)
{
	struct pid_inode *pi = pid_inode_of(file->inode);
	struct task *t;

	if (!dir_emit_dots(file, ctx))
		return 0;
	t = task_of(file->inode);
	if (!t)
		return -ENOENT;
	if (pi->kind == KIND_TASKS)
		iterate_threads(t, ctx);
	else
		iterate_fds(t, ctx, (u64)pi->pid->nr << 16 | (pi->kind == KIND_FDS ? 0x8000 : 0x4000),
			    pi->kind == KIND_FDS ? DT_LNK : DT_REG);
	task_put(t);
	return 0;
}

/* A thread may see its own process's descriptors whatever the ids are. */
static int fds_permission(struct inode *inode, u32 mask, bool may_sleep)
{
	struct task *t, *me = task_current_or_null();
	bool mine = false;
	int err = inode_permission_generic(inode, mask);

	if (!err || !me)
		return err;
	rcu_read_lock();
	t = rcu_dereference(pid_inode_of(inode)->pid->task);
	mine = t && t->process == me->process;
	rcu_read_unlock();
	return mine ? 0 : err;
}

static const struct inode_ops fds_iops = { .lookup = fds_lookup, .permission = fds_permission };
static const struct file_ops fds_fops = { .iterate = fds_iterate, .llseek = dir_llseek };

/* ---- what the vfs itself tells about a process ---- */

static int show_mounts(struct seq *s, struct task *t, enum mount_format format)
{
	struct fs_context *fs = task_fs_get(t);
	struct path root;

	if (!fs)
		return -EINVAL;
	fs_context_root(fs, &root);
	fs_context_put(fs);
	mounts_show(s, &root, format);
	path_put(&root);
	return 0;
}

static int mounts_file(struct seq *s, struct task *t)
{
	return show_mounts(s, t, MOUNT_FORMAT_MOUNTS);
}

static int mountinfo_file(struct seq *s, struct task *t)
{
	return show_mounts(s, t, MOUNT_FORMAT_INFO);
}

static int mountstats_file(struct seq *s, struct task *t)
{
	return show_mounts(s, t, MOUNT_FORMAT_STATS);
}

static int cwd_link(struct task *t, struct path *out)
{
	struct fs_context *fs = task_fs_get(t);

	if (!fs)
		return -ENOENT;
	fs_context_cwd(fs, out);
	fs_context_put(fs);
	return 0;
}

static int root_link(struct task *t, struct path *out)
{
	struct fs_context *fs = task_fs_get(t);

	if (!fs)
		return -ENOENT;
	fs_context_root(fs, out);
	fs_context_put(fs);
	return 0;
}

void proc_pid_init(void)
{
	pid_inode_cache = kmem_cache_create("proc_inode", sizeof(struct pid_inode), 64, NULL, 0);
	if (!pid_inode_cache)
		panic("no memory for procfs");
	(void)proc_pid_register("mounts", 0444, PROC_PID_MOUNTS, mounts_file);
	(void)proc_pid_register("mountinfo", 0444, PROC_PID_MOUNTS, mountinfo_file);
	(void)proc_pid_register("mountstats", 0400, PROC_PID_TGID_ONLY, mountstats_file);
	(void)proc_pid_register_link("cwd", cwd_link);
	(void)proc_pid_register_link("root", root_link);
}
