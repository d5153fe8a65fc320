/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_PROC_H
#define KERNEL_VFS_PROC_H

/*
 * How every subsystem puts its files into /proc and /sys. The registry is here so that layers
 * above the vfs need not know the file systems that show it.
 *
 * Registration happens at boot, in thread context, before user programs run; entries stay. A name may
 * have directories ("sys/kernel/hostname"); they appear by themselves.
 */
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

/* What may be opened of another's process: proc(5), ptrace(2) PTRACE_MODE_READ. */
#define PROC_PID_ANY	0U	/* everybody */
#define PROC_PID_READ	1U	/* PTRACE_MODE_READ_FSCREDS, asked at open and at each read */

/* In every /proc/PID (and task/TID unless TGID_ONLY). show() gets the task with a reference. */
#define PROC_PID_TGID_ONLY 2U
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

/* The trees: read by procfs and sysfs. */
struct proc_node {
	const char *name;
	u32 mode;			/* with S_IFMT */
	u32 flags;			/* PROC_PID_* */
	u64 ino;
	u32 nlink;
	struct proc_node *parent, *children, *next; /* [I] after boot; children in order of registration */
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

/* sysfs: the same, below /sys. Attributes are files of at most a page. */
int sys_register(const char *name, u32 mode, int (*show)(struct seq *s, void *arg),
		 int (*store)(void *arg, const char *text, size_t len), void *arg);
int sys_register_dir(const char *name);
int sys_register_link(const char *name, const char *target);

#endif
