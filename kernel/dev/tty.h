/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_TTY_INTERNAL_H
#define KERNEL_DEV_TTY_INTERNAL_H

/* What the terminal's own files share: tty.c (data), tty_job.c (job control), tty_ioctl.c. */
#include "ldisc.h"

#include <kernel/dev/tty.h>
#include <kernel/task/process.h>
#include <kernel/vfs/file.h>

/* One open of a terminal: file->private. */
struct tty_file {
	struct tty *tty; /* [I] counted */
	struct file *file; /* [I] */
	struct list_head node; /* [tty.lock] in tty.files */
	bool console; /* [I] opened as /dev/console: no job control, survives hang-ups */
	bool hung; /* [tty.lock] the session that used it is gone; read racily */
};

static inline struct tty_file *tty_file_of(struct file *file)
{
	return file->private;
}

/* tty.c */
void tty_process_input(struct tty *tty);
int tty_drain(struct tty *tty); /* waits until output has left: 0 or -ERESTARTSYS */
void tty_flush_output(struct tty *tty);
static inline void tty_start_locked(struct tty *tty)
{
	if (tty->driver->start_tx)
		tty->driver->start_tx(tty);
}
static inline struct tty *tty_get(struct tty *tty)
{
	refcount_get(&tty->ref);
	return tty;
}
void tty_put(struct tty *tty);

/* tty_job.c */
void tty_job_init(void);
/* Job control of a background caller: 0, -EIO, or -ERESTARTSYS after `sig` (SIGTTIN, SIGTTOU) went to its group. */
int __must_check tty_check_background(struct tty *tty, int sig);
struct tty *tty_current_get(void); /* the caller's controlling terminal, counted, or NULL */
void tty_open_controlling(struct tty *tty, struct file *file);
void tty_signal_foreground(struct tty *tty, int sig); /* tty.lock free */
void tty_hangup(struct tty *tty, bool session_exits);
long tty_job_ioctl(struct tty_file *tf, u32 cmd, u64 arg); /* -ENOIOCTLCMD for others */

/* tty_ioctl.c */
long tty_ioctl(struct file *file, u32 cmd, u64 arg);
void tty_set_initial_speed(struct tty *tty, u32 speed); /* drivers, after tty_register() */

#endif
