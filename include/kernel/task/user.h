/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_USER_H
#define KERNEL_TASK_USER_H

/*
 * What one real user id uses, over all its processes. Found by uid in a hash;
 * lives while a credential names it. The counters are what RLIMIT_NPROC,
 * RLIMIT_SIGPENDING, RLIMIT_MEMLOCK and RLIMIT_MSGQUEUE limit.
 */
#include <lib/types.h>
#include <lib/atomic.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct user {
	u32 uid;			/* [I] */
	refcount_t ref;			/* [a] */
	struct hlist_node hash;		/* [user table lock] */
	atomic64_t processes;		/* [a] threads whose real uid this is */
	atomic64_t sigpending;		/* [a] queued signals it sent or got */
	atomic64_t locked_bytes;	/* [a] mlock */
	atomic64_t mq_bytes;		/* [a] POSIX message queues */
	atomic64_t pipe_pages;		/* [a] slots of the pipes it made: pipe-user-pages-soft */
};

/* The one of uid 0, always there. */
extern struct user user_root;

void user_init(void);
/* With a reference; NULL without memory. May sleep. */
struct user *user_find_or_create(u32 uid);
void user_put(struct user *u);

static inline struct user *user_get(struct user *u)
{
	refcount_get(&u->ref);
	return u;
}

#endif
