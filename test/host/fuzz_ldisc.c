/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what happens at a terminal. The input is a program: settings, typed
 * bytes, reads, writes, a line that is full now and then. Checked: positions stay
 * in order, nothing is printed into a full line by plain output, a read returns
 * what it may, and after a flush nothing is left.
 */
#include <lib/fls.h>
#include <lib/string.h>

#include "framework.h"
#include "kernel/dev/ldisc.h"

const char fuzz_corpus[] = "ldisc";
const unsigned int fuzz_rounds = 3000;

static struct ldisc l;
static u32 room;
static bool plain_output;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

static void on_put(struct ldisc *ld, u8 c)
{
	(void)ld;
	(void)c;
	check(room || !plain_output);
	if (room)
		room--;
}

static u32 on_room(struct ldisc *ld)
{
	(void)ld;
	return room;
}

static void on_signal(struct ldisc *ld, int sig, bool flush)
{
	check(sig == 2 || sig == 3 || sig == 20);
	if (flush)
		check(ldisc_input_count(ld) == 0);
}

static void on_flow(struct ldisc *ld, bool stop)
{
	check(ld->stopped == stop);
}

static void check_state(void)
{
	check(l.head - l.tail <= LDISC_BUF);
	check(l.canon_head - l.tail <= l.head - l.tail);
	check(ldisc_input_count(&l) <= l.head - l.tail);
	check(ldisc_input_room(&l) == LDISC_BUF - (l.head - l.tail));
}

static void change_settings(const u8 *p)
{
	struct termios t = l.t;

	t.c_iflag = get_le32(p) & 0xffff;
	t.c_lflag ^= get_le32(p + 2) & 0x1ffff;
	t.c_oflag = p[3];
	t.c_cc[p[4] % NCCS] = p[5];
	ldisc_set_termios(&l, &t);
}

static void read_some(u32 n)
{
	static u8 buf[LDISC_BUF];
	u32 before = ldisc_input_count(&l), got;
	bool readable = ldisc_readable(&l, 1), done;

	n %= sizeof(buf) + 1;
	got = ldisc_read(&l, buf, n, &done);
	/* FIONREAD leaves out a NUL that ends a line that was typed raw, as on Linux. */
	check(got <= n && got <= before + 1);
	check(got == 0 || readable);
	check(!n || !readable || got || done);
}

void fuzz_one(const u8 *data, size_t n)
{
	static const struct ldisc_ops ops = { on_put, on_room, on_signal, on_flow };

	room = 20000;
	ldisc_init(&l, &ops);
	for (size_t i = 0; i < n; i++) {
		switch (data[i]) {
		case 0xf8:
			if (n - i > 7)
				change_settings(data + i + 1);
			i += 6;
			break;
		case 0xf9:
			read_some(i + 1 < n ? data[i + 1] * 17U : 1);
			i++;
			break;
		case 0xfa:
			plain_output = true;
			check(ldisc_write(&l, data, (u32)MIN(n, (size_t)200)) <= 200);
			plain_output = false;
			break;
		case 0xfb: room = i + 1 < n ? data[i + 1] : 0; break;
		case 0xfc: room = 20000; break;
		case 0xfd: ldisc_receive_break(&l); break;
		case 0xfe: ldisc_receive_error(&l, data[i / 2]); break;
		case 0xff:
			/* A long paste of one character. */
			for (u32 k = 0; k < 5000; k++)
				if (!ldisc_receive(&l, data[i / 2]))
					break;
			break;
		default: ldisc_receive(&l, data[i]);
		}
		check_state();
	}
	ldisc_flush_input(&l);
	check(!ldisc_readable(&l, 1) && ldisc_input_count(&l) == 0);
}
