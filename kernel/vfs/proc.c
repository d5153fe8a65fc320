/* SPDX-License-Identifier: MIT */
/*
 * The registry of /proc and /sys: trees of nodes that subsystems fill and that procfs and sysfs (kernel/fs) show.
 *
 * Readers need no lock: a node is complete before it is linked, by a release, at the end of its parent's list, and one that
 * was taken out keeps its way on to the next until a grace period has passed. A node is counted: by the tree, and by every
 * inode that shows it.
 *
 * Removal must not leave a function of the owner's running, as the owner's data goes next. So every call is counted
 * in node->active; removal adds NODE_GONE, which makes the count negative and bars the door, and waits until the count is
 * NODE_GONE alone. The wait is outside the registry's mutex, since the functions may use the registry. A function that
 * removes its own file would wait for itself: such a file is registered as self-removing.
 */
#include "internal.h"

#include <kernel/sched/wait.h>
#include <kernel/vfs/proc.h>

#define NODE_GONE (-0x40000000)

static struct mutex registry_lock;

struct proc_node proc_root_node = { .name = "/", .mode = S_IFDIR | 0555, .ino = 1, .nlink = 2 };
struct proc_node proc_pid_node = { .name = "PID", .mode = S_IFDIR | 0555, .nlink = 2 };
struct proc_node sys_root_node = { .name = "/", .mode = S_IFDIR | 0555, .ino = 1, .nlink = 2 };
bool (*proc_may_access_hook)(struct task *task);

/* Numbers above those that stand for processes: see procfs. */
static u64 next_ino = 0xf0000000ULL;	/* [registry_lock] */

static struct waitq drain = WAITQ_INIT(drain);	/* who waits until a node's functions have returned */

/* RCU, or the registry's mutex. */
static struct proc_node *find_child(struct proc_node *dir, const char *name, size_t len)
{
	struct proc_node *n;

	for (n = smp_load_acquire(&dir->children); n; n = smp_load_acquire(&n->next))
		if (strlen(n->name) == len && memcmp(n->name, name, len) == 0)
			return n;
	return NULL;
}

/* ---- lifetimes ---- */

static bool is_static(const struct proc_node *n)
{
	return !n->parent;
}

static void node_free(struct rcu_head *rcu)
{
	struct proc_node *n = container_of(rcu, struct proc_node, rcu);

	kfree(n->name);
	kfree(n->target);
	kfree(n);
}

void node_get(struct proc_node *n)
{
	if (!is_static(n))
		refcount_get(&n->ref);
}

void node_put(struct proc_node *n)
{
	if (!is_static(n) && refcount_put_and_test(&n->ref))
		call_rcu(&n->rcu, node_free);
}

struct proc_node *node_child_get(struct proc_node *dir, const char *name, u32 len)
{
	struct proc_node *n;

	rcu_read_lock();
	n = find_child(dir, name, len);
	if (n && !refcount_get_not_zero(&n->ref))
		n = NULL;
	rcu_read_unlock();
	return n;
}

struct proc_node *node_child_from(struct proc_node *dir, u64 order)
{
	struct proc_node *n;

	rcu_read_lock();
	for (n = smp_load_acquire(&dir->children); n; n = smp_load_acquire(&n->next))
		if (n->order >= order && !node_is_gone(n) && refcount_get_not_zero(&n->ref))
			break;
	rcu_read_unlock();
	return n;
}

bool node_enter(struct proc_node *n)
{
	int v = atomic_load(&n->active);

	do {
		if (v < 0)
			return false;
	} while (!atomic_try_cmpxchg(&n->active, &v, v + 1));
	return true;
}

void node_leave(struct proc_node *n)
{
	if (atomic_dec_return(&n->active) == NODE_GONE)
		waitq_wake_all(&drain);
}

/* ---- adding ---- */

/* [registry_lock] A node with what `set` says, complete before it can be seen: linked last. */
static struct proc_node *add_child(struct proc_node *dir, const char *name, size_t len, u32 mode, const struct proc_node *set)
{
	struct proc_node *n = kmalloc(sizeof(*n), 0), **link;

	if (!n)
		return NULL;
	*n = *set;
	n->name = kstrndup(name, len, 0);
	n->target = set->target ? kstrdup(set->target, 0) : NULL;
	if (!n->name || (set->target && !n->target)) {
		kfree(n->name);
		kfree(n->target);
		kfree(n);
		return NULL;
	}
	n->mode = mode;
	n->ino = next_ino++;
	n->nlink = S_ISDIR(mode) ? 2 : 1;
	n->parent = dir;
	n->order = dir->next_order++;
	refcount_init(&n->ref, 1);
	if (S_ISDIR(mode))
		dir->nlink++;
	for (link = &dir->children; *link; link = &(*link)->next)
		;
	smp_store_release(link, n);
	return n;
}

/* [registry_lock] The directory that `*name` lies in, made with all above it; *name becomes the last part. */
static struct proc_node *walk(struct proc_node *root, const char **name, bool make)
{
	static const struct proc_node plain;
	struct proc_node *dir = root;
	const char *slash;

	while (dir && *(slash = strchrnul(*name, '/'))) {
		size_t len = (size_t)(slash - *name);
		struct proc_node *n = find_child(dir, *name, len);

		if (!n && make)
			n = add_child(dir, *name, len, S_IFDIR | (root == &sys_root_node ? 0755 : 0555), &plain);
		dir = n;
		*name = slash + 1;
	}
	return dir;
}

/* Makes the directories of `name` and the node itself. `set` is its contents. */
static int add(struct proc_node *root, const char *name, u32 mode, const struct proc_node *set)
{
	const char *whole = name;
	struct proc_node *dir, *n;
	int err = 0;

	mutex_lock(&registry_lock);
	dir = walk(root, &name, true);
	n = dir ? find_child(dir, name, strlen(name)) : NULL;
	if (n && !(S_ISDIR(n->mode) && S_ISDIR(mode)))
		err = -EEXIST;
	else if (!n && (!dir || !add_child(dir, name, strlen(name), mode, set)))
		err = -ENOMEM;
	mutex_unlock(&registry_lock);
	if (err)
		log_err("cannot register %s: error %d", whole, -err);
	return err;
}

/* ---- removing ---- */

/* The next node of a tree that nobody changes, children before parents; NULL after the root. */
static struct proc_node *leaf_of(struct proc_node *n)
{
	while (n->children)
		n = n->children;
	return n;
}

static struct proc_node *next_up(struct proc_node *n, const struct proc_node *root)
{
	if (n == root)
		return NULL;
	return n->next ? leaf_of(n->next) : n->parent;
}

/* Out of the tree; nothing below can be entered any more, and when this returns nobody is inside. */
static int remove(struct proc_node *root, const char *name)
{
	struct proc_node *dir, *gone, *n, *next, **link;

	mutex_lock(&registry_lock);
	dir = walk(root, &name, false);
	gone = dir ? find_child(dir, name, strlen(name)) : NULL;
	if (!gone) {
		mutex_unlock(&registry_lock);
		return -ENOENT;
	}
	for (link = &dir->children; *link != gone; link = &(*link)->next)
		;
	smp_store_release(link, gone->next); /* gone->next stays: a reader may stand there */
	if (S_ISDIR(gone->mode))
		dir->nlink--;
	for (n = leaf_of(gone); n; n = next_up(n, gone))
		atomic_add_return(&n->active, NODE_GONE);
	mutex_unlock(&registry_lock);

	for (n = leaf_of(gone); n; n = next) {
		next = next_up(n, gone);
		WAIT_EVENT(&drain, atomic_load(&n->active) == NODE_GONE, "node_drain");
		if (n != gone) /* the first one left of its parent, which an inode may keep */
			smp_store_release(&n->parent->children, n->next);
		node_put(n);
	}
	return 0;
}

int proc_unregister(const char *name)
{
	return remove(&proc_root_node, name);
}

int sys_unregister(const char *name)
{
	return remove(&sys_root_node, name);
}

/* ---- one function for each kind ---- */

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

int proc_register_binary(const char *name, u32 mode, const struct node_binary *binary, void *arg)
{
	struct proc_node set = { .binary = binary, .arg = arg };

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

int sys_register_binary(const char *name, u32 mode, const struct node_binary *binary, void *arg)
{
	struct proc_node set = { .binary = binary, .arg = arg };

	return add(&sys_root_node, name, S_IFREG | mode, &set);
}

int sys_register_self_removing(const char *name, u32 mode, int (*store)(void *arg, const char *text, size_t len),
			       void (*hold)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct proc_node set = { .store = store, .hold = hold, .drop = drop, .arg = arg };

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
