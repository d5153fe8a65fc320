/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_LDISC_H
#define KERNEL_DEV_LDISC_H

/*
 * The terminal's line discipline, N_TTY of Linux: what termios(3) says happens between the characters
 * that a line delivers and those that programs read, and the other way.
 *
 * A pure state machine: it locks nothing, sleeps never and knows no hardware, so it also runs on the
 * host under a fuzzer. The owner (tty.c) holds the terminal's lock around every call and supplies what
 * is below.
 */
#include <abi/linux/termios.h>
#include <lib/types.h>

#define LDISC_BUF 4096u /* bytes of input; a power of two. A line has at most 4095 and its end */

struct ldisc;

struct ldisc_ops {
	void (*put)(struct ldisc *l, u8 c); /* one character to the line; room was asked for */
	u32 (*room)(struct ldisc *l); /* how many put() would take now */
	void (*signal)(struct ldisc *l, int sig, bool flush); /* to the foreground group; flush both directions first */
	void (*flow)(struct ldisc *l, bool stop); /* output stops or goes on: ^S, ^Q */
};

struct ldisc {
	const struct ldisc_ops *ops;
	struct termios t;
	/* Input. Positions run freely and are masked: tail <= canon_head <= head. */
	u8 buf[LDISC_BUF];
	u64 line_end[LDISC_BUF / 64]; /* this character ends a line */
	u32 head, canon_head, tail;
	bool lnext; /* the next character is literal */
	bool erasing; /* in ECHOPRT's \.../ */
	bool push; /* what was typed raw reads as a line after a change to ICANON */
	bool stopped; /* output, by ^S or TCOOFF */
	/* Output. */
	u32 column, canon_column;
};

void ldisc_init(struct ldisc *l, const struct ldisc_ops *ops);
/* New settings, with what a change of ICANON does to the input that is there. */
void ldisc_set_termios(struct ldisc *l, const struct termios *t);

/* Bytes of free input buffer. */
static inline u32 ldisc_input_room(const struct ldisc *l)
{
	return LDISC_BUF - (l->head - l->tail);
}

/*
 * Takes one character from the line. False: not taken, because the input buffer is full of what a reader
 * can have (try again after a read), or the output has no room for the echo (try again after it drains).
 */
bool ldisc_receive(struct ldisc *l, u8 c);
/* The line had a break, or a character with a parity or framing error. */
void ldisc_receive_break(struct ldisc *l);
void ldisc_receive_error(struct ldisc *l, u8 c);

/* Something to read: a line in canonical mode, else `min` characters. */
bool ldisc_readable(const struct ldisc *l, u32 min);
/* A copy of up to n bytes, in canonical mode of at most one line; *line_done: it ended there. Consumes them. */
u32 ldisc_read(struct ldisc *l, u8 *to, u32 n, bool *line_done);
void ldisc_flush_input(struct ldisc *l);
/* FIONREAD */
u32 ldisc_input_count(const struct ldisc *l);

/* Output with c_oflag's processing. How many of the n were taken: stops when there is no room. */
u32 ldisc_write(struct ldisc *l, const u8 *from, u32 n);

#endif
