/* SPDX-License-Identifier: MIT */
/*
 * The registry of /proc and /sys: trees of nodes that subsystems fill at boot and that procfs and
 * sysfs (kernel/fs) show. Nodes are never removed, so readers need no lock: a node is
 * complete before it is linked, by a release, at the end of its parent's list.
 */
#include "internal.h"

#include <kernel/vfs/proc.h>

static struct mutex registry_lock;

struct proc_node proc_root_node = { .name = "/", .mode = S_IFDIR | 0555, .ino = 1, .nlink = 2 };
struct proc_node proc_pid_node = { .name = "PID", .mode = S_IFDIR | 0555, .nlink = 2 };
struct proc_node sys_root_node = { .name = "/", .mode = S_IFDIR | 0555, .ino = 1, .nlink = 2 };
bool (*proc_may_access_hook)(struct task *task);

/* Numbers above those that stand for processes: see procfs. */
static u64 next_ino = 0xf0000000ULL;	/* [registry_lock] */

static struct proc_node *find_child(struct proc_node *dir, const char *name, size_t len)
{
	struct proc_node *n;

	for (n = smp_load_acquire(&dir->children); n; n = smp_load_acquire(&n->next))
		if (strlen(n->name) == len && memcmp(n->name, name, len) == 0)
			return n;
	return NULL;
}

static struct proc_node *add_child(struct proc_node *dir, const char *name, size_t len, u32 mode)
{
	struct proc_node *n = kzalloc(sizeof(*n), 0), **link;

	if (!n)
		return NULL;
	n->name = kstrndup(name, len, 0);
	if (!n->name) {
		kfree(n);
		return NULL;
	}
	n->mode = mode;
	n->ino = next_ino++;
	n->nlink = S_ISDIR(mode) ? 2 : 1;
	n->parent = dir;
	if (S_ISDIR(mode))
		dir->nlink++;
	for (link = &dir->children; *link; link = &(*link)->next)
		;
	smp_store_release(link, n);
	return n;
}

/* Makes the directories of `name` and the node itself. `set` is its contents. */
static int add(struct proc_node *root, const char *name, u32 mode, const struct proc_node *set)
{
	struct proc_node *dir = root, *n;
	int err = 0;

	mutex_lock(&registry_lock);
	for (;;) {
		const char *slash = strchrnul(name, '/');
		size_t len = (size_t)(slash - name);

		n = find_child(dir, name, len);
		if (!*slash) {
			if (n && !(S_ISDIR(n->mode) && S_ISDIR(mode)))
				err = -EEXIST;
			break;
		}
		if (!n)
			n = add_child(dir, name, len, S_IFDIR | 0555);
		if (!n) {
			err = -ENOMEM;
			break;
		}
		dir = n;
		name = slash + 1;
	}
	if (!err && !n) {
		/* Filled before it can be seen: linked last. */
		struct proc_node *made = kzalloc(sizeof(*made), 0), **link;

		if (made)
			*made = *set;
		if (made && (made->name = kstrdup(name, 0))) {
			made->mode = mode;
			made->ino = next_ino++;
			made->nlink = S_ISDIR(mode) ? 2 : 1;
			made->parent = dir;
			if (S_ISDIR(mode))
				dir->nlink++;
			for (link = &dir->children; *link; link = &(*link)->next)
				;
			smp_store_release(link, made);
		} else {
			kfree(made);
			err = -ENOMEM;
		}
	}
	mutex_unlock(&registry_lock);
	if (err)
		log_err("cannot register %s: error %d", name, -err);
	return err;
}

int proc_register_rw(const char *name, u32 mode, int (*show)(struct seq *s, void *arg),
		     int (*store)(void *arg, const char *text, size_t len), void *arg)
{
	struct proc_node set = { .show = show, .store = store, .arg = arg };

	return add(&proc_root_node, name, S_IFREG | mode, &set);
}

int proc_register(const char *name, u32 mode, int (*show)(struct seq *s, void *arg), void *arg)
{
	return proc_register_rw(name, mode, show, NULL, arg);
}

int proc_register_file(const char *name, u32 mode, const struct file_ops *ops, void *arg)
{
	struct proc_node set = { .ops = ops, .arg = arg };

	return add(&proc_root_node, name, S_IFREG | mode, &set);
}

int proc_register_dir(const char *name)
{
	struct proc_node set = { 0 };

	return add(&proc_root_node, name, S_IFDIR | 0555, &set);
}

int proc_register_link(const char *name, const char *target)
{
	struct proc_node set = { .target = target };

	return add(&proc_root_node, name, S_IFLNK | 0777, &set);
}

int proc_pid_register_rw(const char *name, u32 mode, u32 flags,
			 int (*show)(struct seq *s, struct task *task),
			 int (*store)(struct task *task, const char *text, size_t len))
{
	struct proc_node set = { .flags = flags, .pid_show = show, .pid_store = store };

	return add(&proc_pid_node, name, S_IFREG | mode, &set);
}

int proc_pid_register(const char *name, u32 mode, u32 flags,
		      int (*show)(struct seq *s, struct task *task))
{
	return proc_pid_register_rw(name, mode, flags, show, NULL);
}

int proc_pid_register_file(const char *name, u32 mode, u32 flags, const struct file_ops *ops)
{
	struct proc_node set = { .flags = flags, .ops = ops };

	return add(&proc_pid_node, name, S_IFREG | mode, &set);
}

int proc_pid_register_link(const char *name, int (*get)(struct task *task, struct path *out))
{
	struct proc_node set = { .pid_link = get, .flags = PROC_PID_READ };

	return add(&proc_pid_node, name, S_IFLNK | 0777, &set);
}

int sys_register(const char *name, u32 mode, int (*show)(struct seq *s, void *arg),
		 int (*store)(void *arg, const char *text, size_t len), void *arg)
{
	struct proc_node set = { .show = show, .store = store, .arg = arg };

	return add(&sys_root_node, name, S_IFREG | mode, &set);
}

int sys_register_dir(const char *name)
{
	struct proc_node set = { 0 };

	return add(&sys_root_node, name, S_IFDIR | 0755, &set);
}

int sys_register_link(const char *name, const char *target)
{
	struct proc_node set = { .target = target };

	return add(&sys_root_node, name, S_IFLNK | 0777, &set);
}

void proc_registry_init(void)
{
	mutex_init(&registry_lock, "proc registry", LOCK_RANK_MODULE);
}
