/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_PROC_H
#define KERNEL_VFS_PROC_H

/*
 * How every subsystem puts its files into /proc and /sys. The registry is here so that layers
 * above the vfs need not know the file systems that show it.
 *
 * Registration happens in thread context. A name may have directories ("sys/kernel/hostname"); they appear by
 * themselves. Entries stay until they are unregistered, which devices' entries are; most never.
 */
#include <kernel/core/rcu.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/seq.h>

struct task;

/* A file whose text show() prints. mode: permission bits (0444). 0 or -ENOMEM. */
int proc_register(const char *name, u32 mode, int (*show)(struct seq *s, void *arg), void *arg);
/* The same, and writes of up to a page go to store() as one NUL-terminated text. 0 or -errno. */
int proc_register_rw(const char *name, u32 mode, int (*show)(struct seq *s, void *arg),
		     int (*store)(void *arg, const char *text, size_t len), void *arg);
/* A file with operations of its own; file->private is arg before ops->open. */
int proc_register_file(const char *name, u32 mode, const struct file_ops *ops, void *arg);
int proc_register_dir(const char *name);
int proc_register_link(const char *name, const char *target);
/*
 * Takes a file, a link, or a directory with all below it away. When it returns no function of it runs or will ever be
 * called again, and what is open of it gives ENODEV. Files with operations of their own (proc_register_file) must not be open.
 * Not from a function of an entry that goes: see sys_register_self_removing(). Thread context. -ENOENT: there is none.
 */
int proc_unregister(const char *name);

/*
 * A file of bytes at offsets, not of text: a device's registers. Functions get at most a page and return what they moved or
 * -errno; 0 is the end. NULL: EIO.
 */
struct node_binary {
	u64 size;			/* [I] that stat shows; an access ends there. 0: unknown */
	ssize_t (*read)(struct file *file, void *arg, u64 offset, void *buf, size_t n);
	ssize_t (*write)(struct file *file, void *arg, u64 offset, const void *buf, size_t n);
};
int proc_register_binary(const char *name, u32 mode, const struct node_binary *binary, void *arg);

/* What may be opened of another's process: proc(5), ptrace(2) PTRACE_MODE_READ. */
#define PROC_PID_ANY	0U	/* everybody */
#define PROC_PID_READ	1U	/* PTRACE_MODE_READ_FSCREDS, asked at open and at each read */

/* In every /proc/PID (and task/TID unless TGID_ONLY). show() gets the task with a reference. */
#define PROC_PID_TGID_ONLY 2U
#define PROC_PID_MOUNTS	4U	/* poll(2) tells of every change of the mounts: proc(5), /proc/PID/mounts */
int proc_pid_register(const char *name, u32 mode, u32 flags,
		      int (*show)(struct seq *s, struct task *task));
int proc_pid_register_rw(const char *name, u32 mode, u32 flags,
			 int (*show)(struct seq *s, struct task *task),
			 int (*store)(struct task *task, const char *text, size_t len));
/* Operations of its own; file->private is the task, counted, put by procfs after ops->release. */
int proc_pid_register_file(const char *name, u32 mode, u32 flags, const struct file_ops *ops);
/* A magic link. Stores a place with references; -ENOENT, -EACCES ... */
int proc_pid_register_link(const char *name, int (*get)(struct task *task, struct path *out));

/* May the caller look into `task` (same ids and dumpable, or CAP_SYS_PTRACE)? Set by the task layer's glue; NULL: ids only. */
extern bool (*proc_may_access_hook)(struct task *task);

/*
 * The trees: read by procfs and sysfs.
 *
 * [I] immutable, [a] atomic, [m] the registry's mutex, readers under RCU. A node that was unregistered is out of its parent's
 * list, but leads on to the next one until the grace period ends.
 */
struct proc_node {
	const char *name;		/* [I] */
	u32 mode;			/* [I] with S_IFMT */
	u32 flags;			/* [I] PROC_PID_* */
	u64 ino;			/* [I] */
	u32 nlink;			/* [m] */
	refcount_t ref;			/* [a] the tree's and each inode's; the trees' roots are static and have none */
	atomic_t active;		/* [a] functions of it that run; NODE_GONE when it is unregistered */
	u64 order;			/* [I] its place among its siblings */
	u64 next_order;			/* [m] of its next child */
	struct proc_node *parent;	/* [I] */
	struct proc_node *children, *next; /* [m] in order of registration */
	struct rcu_head rcu;
	const struct node_binary *binary;
	void (*hold)(void *arg);	/* [I] of a self_removing file, else NULL */
	void (*drop)(void *arg);
	const struct file_ops *ops;
	int (*show)(struct seq *s, void *arg);
	int (*store)(void *arg, const char *text, size_t len);
	int (*pid_show)(struct seq *s, struct task *task);
	int (*pid_store)(struct task *task, const char *text, size_t len);
	int (*pid_link)(struct task *task, struct path *out);
	const char *target;
	void *arg;
};

extern struct proc_node proc_root_node, proc_pid_node, sys_root_node;

/* For procfs and sysfs. The child of that name with a reference, or NULL. Any context. */
struct proc_node *node_child_get(struct proc_node *dir, const char *name, u32 len);
/* The first child whose place is at or behind `order`, with a reference; NULL past the last one. */
struct proc_node *node_child_from(struct proc_node *dir, u64 order);
void node_get(struct proc_node *n);
void node_put(struct proc_node *n);
/* Around every call of a node's functions: false when the node is gone. */
bool __must_check node_enter(struct proc_node *n);
void node_leave(struct proc_node *n);

static inline bool node_is_gone(const struct proc_node *n)
{
	return atomic_load(&n->active) < 0;
}

/* sysfs: the same, below /sys. Attributes are files of at most a page. */
int sys_register(const char *name, u32 mode, int (*show)(struct seq *s, void *arg),
		 int (*store)(void *arg, const char *text, size_t len), void *arg);
int sys_register_dir(const char *name);
int sys_register_link(const char *name, const char *target);
int sys_register_binary(const char *name, u32 mode, const struct node_binary *binary, void *arg);
/*
 * A file that is only written, and whose store() may unregister the file itself (a device's "remove"). store() is called
 * without the protection that unregistering waits for, but with arg held: hold(arg) is called while it is protected.
 */
int sys_register_self_removing(const char *name, u32 mode, int (*store)(void *arg, const char *text, size_t len),
			       void (*hold)(void *arg), void (*drop)(void *arg), void *arg);
int sys_unregister(const char *name);	/* as proc_unregister() */

#endif
