/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TASK_SESSION_H
#define KERNEL_TASK_SESSION_H

/* Process groups and sessions: setpgid(2), setsid(2), credentials(7). */
#include <lib/compiler.h>

struct pid;
struct process;

/* Each returns a number or -errno, exactly as the system call of that name. */
int session_setsid(void);
int session_setpgid(int pid, int pgid);
int session_getpgid(int pid);
int session_getsid(int pid);

/* The caller's group and session, with a reference. */
struct pid *session_current_pgrp_get(void);
struct pid *session_current_sid_get(void);
bool session_current_is_leader(void);

/* Would the group be orphaned (no member has a parent in another group of its session)? */
bool session_pgrp_is_orphaned(struct pid *pgrp);
bool session_current_pgrp_is_orphaned(void);
/* The same with task_tree_lock held, not counting `ignored`. */
bool session_pgrp_orphaned_locked(struct pid *pgrp, struct process *ignored);
bool session_pgrp_has_stopped_locked(struct pid *pgrp);
/* Is there a member of this group in this session? For TIOCSPGRP. */
bool session_has_pgrp(struct pid *session, struct pid *pgrp);

/* task_tree_lock held: changes membership, keeping the references and the numbers right. */
void session_set_pgrp_locked(struct process *p, struct pid *pgrp);
void session_set_sid_locked(struct process *p, struct pid *session);

/*
 * The tty layer's side. setsid drops the controlling terminal; a session
 * leader that exits hangs it up. NULL hooks do nothing. The tty pointer is
 * counted by these two.
 */
struct tty;
struct session_tty_ops {
	void (*get)(struct tty *tty);
	void (*put)(struct tty *tty);
	/* The session leader exits: SIGHUP to the foreground group, detach all. May sleep. */
	void (*leader_exit)(struct process *p);
	/* For /proc/PID/stat: tty_nr and tpgid (0 and -1 without one). */
	void (*describe)(struct tty *tty, int *nr, int *tpgid);
};
extern struct session_tty_ops session_tty_ops;

#endif
