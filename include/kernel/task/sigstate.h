/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_SIGSTATE_H
#define KERNEL_TASK_SIGSTATE_H

/* The pieces of signal state that tasks and processes embed; the signal layer works on them. */
#include <abi/linux/signal.h>
#include <lib/list.h>
#include <lib/types.h>

/* Signal n is bit n - 1, as in Linux's sigset_t. */
typedef u64 sigset64_t;

#define SIGMASK(sig) (1ULL << ((sig) - 1))

/* Protected by process.siglock. */
struct sigpending {
	sigset64_t set;
	struct list_head queue;		/* struct sigqueue */
};

static inline void sigpending_init(struct sigpending *p)
{
	p->set = 0;
	list_init(&p->queue);
}

/* What restart_syscall(2) goes on with: fn is NULL when there is nothing. */
struct restart_block {
	long (*fn)(struct restart_block *rb);
	u64 deadline_ns;		/* absolute, of the clock below */
	uptr_t uaddr;
	uptr_t uaddr2;
	u64 arg[3];
	int clock;
	u32 flags;
};

#endif
