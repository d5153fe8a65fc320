/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_TTY_H
#define KERNEL_DEV_TTY_H

/*
 * Terminals: what the serial driver (and later screens and ptys) implement, and what main.c starts.
 *
 * A struct tty is a line discipline between two rings: rx, what the hardware delivered and the
 * discipline has not taken yet, and tx, what waits to go out. When nobody reads, the discipline's buffer fills,
 * then rx, then the driver is throttled: nothing is dropped that the sender can be made to keep.
 *
 * Locks. tty.lock (spin, interrupts off) guards everything marked [l]; it is taken in interrupt handlers.
 * tty.write_mutex makes a write(2) atomic to others (Linux's atomic_write_lock); tty.config_mutex
 * serialises changes of settings, which may wait for output to drain.
 */
#include <abi/linux/termios.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/work.h>
#include <kernel/vfs/types.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct ldisc;
struct pid;
struct tty;

/* Called with tty.lock held unless said otherwise; none sleeps. NULL: nothing to do. */
struct tty_driver {
	const char *name;
	void (*start_tx)(struct tty *tty); /* there is something in the tx ring, or output goes on */
	void (*throttle)(struct tty *tty, bool on);
	bool (*tx_idle)(struct tty *tty); /* everything has left the line */
	/* New c_cflag and speed. The driver writes back what it can do. Thread context, no lock. */
	void (*set_line)(struct tty *tty, struct termios *t, u32 *speed);
	u32 (*modem_get)(struct tty *tty); /* TIOCM_*; NULL: TIOCMGET is EINVAL */
	void (*modem_set)(struct tty *tty, u32 bits); /* TIOCM_DTR, TIOCM_RTS */
	void (*set_break)(struct tty *tty, bool on);
};

#define TTY_RX_RING 4096u
#define TTY_TX_RING 32768u /* the echo of killing or reprinting a full line fits twice */

/* What came with a received character. */
#define TTY_RX_BREAK 1u
#define TTY_RX_ERROR 2u

struct tty {
	const struct tty_driver *driver; /* [I] */
	devnum_t dev; /* [I] */
	char name[16]; /* [I] "ttyS0" */
	refcount_t ref; /* [a] controlling terminals and opens */
	struct spinlock lock; /* rank LOCK_RANK_TTY_BUFFER */
	struct ldisc *ldisc; /* [I] pointer; contents [l] */
	u32 speed; /* [l] bits per second */
	struct winsize winsize; /* [l] */

	u8 *rx; /* [I] TTY_RX_RING characters, [l] */
	u8 *rx_flags; /* [I] TTY_RX_* of each, [l] */
	u32 rx_head, rx_tail; /* [l] free-running */
	bool throttled; /* [l] */
	u32 signals; /* [l] the discipline wants them sent: bit n is signal n */
	u8 *tx; /* [I] TTY_TX_RING, [l] */
	u32 tx_head, tx_tail; /* [l] free-running */
	struct work rx_work; /* runs the discipline over rx */

	struct waitq read_wait; /* input, hang-up */
	struct waitq write_wait; /* room, output drained, hang-up */
	struct mutex write_mutex;
	struct mutex config_mutex;

	struct pid *session; /* [l] whose controlling terminal this is, counted */
	struct pid *pgrp; /* [l] foreground group, counted */
	struct list_head files; /* [l] tty_file.node */
	u32 opens; /* [l] */
	bool exclusive; /* [l] TIOCEXCL */
	bool input_stopped; /* [l] TCIOFF */
	struct list_head node; /* list of all terminals, [I] after boot */
};

/* Boot, thread context: /dev/tty, /dev/console, the serial line. Logs what it found. */
void tty_init(void);
void serial_init(void);
/* The line that the command line names, before anything else uses it: right after cmdline_init(). */
void serial_choose_line(void);
/* A break and this key came over the line: magic SysRq. In the UART's interrupt. NULL: breaks are the terminal's. */
extern void (*serial_sysrq_hook)(u8 key);
/* Boot: /dev/null, zero, full, random, urandom, kmsg. */
void mem_devices_init(void);

/* vhangup(2): hangs up the caller's controlling terminal, if it has one. Thread context. */
void tty_vhangup_current(void);

/* Before the machine ends: what programs have written goes out, as long as the lines take it. Thread context. */
void tty_drain_all(u64 patience_ns);

/*
 * For drivers. tty_register() fills and publishes a terminal (driver, dev and name set by the
 * caller, everything else zero), makes its node and claims its number. 0 or -errno. Boot.
 */
int __must_check tty_register(struct tty *tty, u32 speed);
/* From the driver's interrupt, tty.lock held: one received character. False: rx is full, it is throttled now. */
bool tty_receive_locked(struct tty *tty, u8 c, u8 flags);
/* After a batch of them, tty.lock held. */
void tty_receive_done_locked(struct tty *tty);
/* Up to n characters to send, tty.lock held; 0 while output is stopped. Wakes writers as room appears. */
u32 tty_take_tx_locked(struct tty *tty, u8 *to, u32 n);

#endif
