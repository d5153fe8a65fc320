/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_SIGNAL_SIGHAND_H
#define KERNEL_SIGNAL_SIGHAND_H

/*
 * The actions of a process, sigaction(2). Shared by clone(CLONE_SIGHAND).
 *
 * A slot of actions[] means something only when its bit is in `set`; without
 * the bit the action is the default with no flags. So fork copies the slots
 * that are used and exec visits only those. `ignored` and `caught` say for
 * every signal whether its handler is SIG_IGN or a function: senders test
 * them without the lock.
 */
#include <kernel/core/spinlock.h>
#include <kernel/task/sigstate.h>
#include <lib/refcount.h>

struct sighand {
	refcount_t ref;			/* [a] */
	struct spinlock lock;		/* inside process.siglock */
	sigset64_t set;			/* [lock] */
	sigset64_t ignored;		/* [lock] read anywhere */
	sigset64_t caught;		/* [lock] read anywhere */
	struct sigaction actions[64];	/* [lock] */
};

void sighand_init(void);
/* All default, one reference. NULL without memory. */
struct sighand *sighand_create(void);
struct sighand *sighand_copy(struct sighand *from);
static inline struct sighand *sighand_get(struct sighand *sh)
{
	refcount_get(&sh->ref);
	return sh;
}
void sighand_put(struct sighand *sh);

/* A copy of one action. */
void sighand_action(struct sighand *sh, int sig, struct sigaction *out);
/* Installs an action (checked by the caller); *old (unless NULL) is the one that it replaced. */
void sighand_exchange_action(struct sighand *sh, int sig, const struct sigaction *act, struct sigaction *old);
/* The handler becomes SIG_DFL; mask and flags stay. */
void sighand_set_default(struct sighand *sh, int sig);
/* execve and CLONE_CLEAR_SIGHAND: handlers go back to default, ignored ones stay; flags and masks go. */
void sighand_flush_handlers(struct sighand *sh);
#endif
