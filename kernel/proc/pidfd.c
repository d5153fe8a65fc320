// SPDX-License-Identifier: MIT
/*
 * Process descriptors (pidfd_open(2)) as clone makes them with CLONE_PIDFD: a
 * file that stands for a process and is readable when the process has ended.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/poll.h>
#include <kernel/proc/pidfd.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/poll.h>
#include <kernel/vfs/seq.h>
#include <lib/errno.h>

#include "internal.h"

static u32 pidfd_poll(struct file *file, struct poll_table *pt)
{
	struct pid *pid = file->private;
	struct process *p;
	u32 events = 0;

	poll_wait(file, &pid->exit_waitq, pt);
	rcu_read_lock();
	p = rcu_dereference(pid->process);
	if (!p || (READ_ONCE(p->leader->exit_state) != TASK_ALIVE && READ_ONCE(p->nr_threads) <= 1))
		events = POLLIN | POLLRDNORM;
	rcu_read_unlock();
	return events;
}

static void pidfd_release(struct inode *inode, struct file *file)
{
	(void)inode;
	pid_put(file->private);
}

static void pidfd_show_fdinfo(struct seq *s, struct file *file)
{
	struct pid *pid = file->private;
	int nr = READ_ONCE(pid->process) ? pid->nr : -1;

	seq_printf(s, "Pid:\t%d\nNSpid:\t%d\n", nr, nr);
}

static const struct file_ops pidfd_ops = {
	.poll = pidfd_poll,
	.release = pidfd_release,
	.show_fdinfo = pidfd_show_fdinfo,
};

int pidfd_prepare(struct pid *pid, struct file **out)
{
	struct file *file;
	int fd = fd_reserve(0, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return fd;
	file = file_alloc_anon("[pidfd]", &pidfd_ops, pid_get(pid), O_RDWR);
	if (IS_ERR(file)) {
		pid_put(pid);
		fd_unreserve(fd);
		return (int)PTR_ERR(file);
	}
	*out = file;
	return fd;
}

void pidfd_abandon(int fd, struct file *file)
{
	fd_unreserve(fd);
	file_put(file);
}

struct pid *pidfd_pid_get(int fd, bool *nonblock)
{
	struct fdref r = fd_get(fd);
	struct pid *pid = NULL;

	if (!r.file)
		return NULL;
	if (r.file->ops == &pidfd_ops) {
		pid = pid_get(r.file->private);
		*nonblock = READ_ONCE(r.file->flags) & O_NONBLOCK;
	}
	fd_put(r);
	return pid;
}
