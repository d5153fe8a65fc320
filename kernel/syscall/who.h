/* SPDX-License-Identifier: MIT */
/* Whom setpriority(2) and ioprio_set(2) name: a thread, the threads of a group, those of a user. */
#pragma once

#include <lib/types.h>

struct task;

enum who_kind {
	WHO_THREAD,	/* by its id; 0: the caller */
	WHO_GROUP,	/* a process group; 0: the caller's */
	WHO_USER,	/* a real user id; 0: the caller's */
	WHO_UID,	/* a real user id; 0: root */
};

/*
 * Calls visit() for each of them, with a reference, under RCU and no lock: it must not sleep. Those that come or go meanwhile
 * may be among them or not. False from visit() ends it.
 */
void who_each(enum who_kind kind, int who, bool (*visit)(struct task *t, void *arg), void *arg);
