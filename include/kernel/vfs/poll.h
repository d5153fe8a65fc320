/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_POLL_H
#define KERNEL_VFS_POLL_H

/*
 * Readiness by callback. A file's poll operation says what is true now and hands every
 * wait queue that will tell of a change to the table, whose owner (poll, select, epoll)
 * decides what to hang into it. Wakers pass the events that came true with
 * waitq_wake_key(), so that nobody is woken for what he did not ask.
 */
#include <abi/linux/poll.h>
#include <kernel/sched/wait.h>
#include <kernel/vfs/types.h>

struct poll_table {
	/* NULL: the caller asks once and will not wait. */
	void (*queue)(struct poll_table *pt, struct file *file, struct waitq *q);
	u32 key;			/* POLL* that the caller waits for; ERR and HUP always count */
};

static inline void poll_wait(struct file *file, struct waitq *q, struct poll_table *pt)
{
	if (pt && pt->queue)
		pt->queue(pt, file, q);
}

/* poll operation of files that are always ready: regular files. */
#define POLL_ALWAYS (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)

/* Asks a file; pt may be NULL. */
u32 vfs_poll(struct file *file, struct poll_table *pt);

#endif
