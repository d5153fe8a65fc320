/* SPDX-License-Identifier: MIT */
/*
 * The line discipline against the one of the kernel that this runs on: the same
 * bytes go to a pseudo terminal's master and to ours, with the same settings; what
 * is echoed and what can be read must be equal. N_TTY has not changed in what is
 * compared here for many releases, so any Linux is an oracle for it. (Flow control
 * is not compared: it depends on timing there.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <abi/linux/ioctl.h>
#include <lib/string.h>

#include "framework.h"
#include "kernel/dev/ldisc.h"

int ioctl(int fd, unsigned long request, ...);

#define OUT_MAX 32768

struct terminal {
	u8 echo[OUT_MAX], input[OUT_MAX];
	u32 echo_len, input_len;
};

static struct ldisc l;
static struct terminal ours, theirs;

static void on_put(struct ldisc *ld, u8 c)
{
	(void)ld;
	if (ours.echo_len < OUT_MAX)
		ours.echo[ours.echo_len++] = c;
}

static u32 on_room(struct ldisc *ld)
{
	(void)ld;
	return OUT_MAX - ours.echo_len;
}

static void on_signal(struct ldisc *ld, int sig, bool flush)
{
	(void)ld;
	(void)sig;
	/* Linux drops what waits to be printed too; a pty has printed it by then or not. */
	if (flush)
		ours.echo_len = 0;
}

static void on_flow(struct ldisc *ld, bool stop)
{
	(void)ld;
	(void)stop;
}

static const struct ldisc_ops ops = { on_put, on_room, on_signal, on_flow };

/* Reads what there is, an "end of file" as the byte 0xfe, until nothing more comes. */
static void run_ours(const struct termios *t, const u8 *in, u32 n, const struct termios *after)
{
	u8 buf[OUT_MAX];
	bool done;
	u32 got;

	ours.echo_len = ours.input_len = 0;
	ldisc_init(&l, &ops);
	ldisc_set_termios(&l, t);
	for (u32 i = 0; i < n; i++)
		ldisc_receive(&l, in[i]);
	if (after)
		ldisc_set_termios(&l, after);
	while (ldisc_readable(&l, 1) && ours.input_len < OUT_MAX / 2) {
		got = ldisc_read(&l, buf, 100, &done);
		if (got == 0)
			buf[got++] = 0xfe;
		memcpy(ours.input + ours.input_len, buf, got);
		ours.input_len += got;
	}
}

static bool drain(int fd, u8 *to, u32 *len, int quiet_ms, bool eof_mark)
{
	struct pollfd p = { fd, POLLIN, 0 };

	while (poll(&p, 1, quiet_ms) > 0 && *len < OUT_MAX / 2) {
		ssize_t got = read(fd, to + *len, eof_mark ? 100 : 4096);

		if (got < 0)
			return false;
		if (got == 0 && eof_mark)
			to[(*len)++] = 0xfe;
		else if (got == 0)
			return true;
		*len += (u32)got;
	}
	return true;
}

static int open_pty(int *slave)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK), zero = 0;
	char name[32];
	u32 number;

	if (master < 0)
		return -1;
	if (ioctl(master, TIOCSPTLCK, &zero) != 0 || ioctl(master, TIOCGPTN, &number) != 0) {
		close(master);
		return -1;
	}
	sprintf(name, "/dev/pts/%u", number);
	*slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (*slave < 0) {
		close(master);
		return -1;
	}
	return master;
}

static bool run_theirs(const struct termios *t, const u8 *in, u32 n, const struct termios *after, int quiet_ms)
{
	int slave, master = open_pty(&slave);
	bool good;

	if (master < 0)
		return false;
	theirs.echo_len = theirs.input_len = 0;
	good = ioctl(slave, TCSETS, t) == 0 && write(master, in, n) == (ssize_t)n;
	good = good && drain(master, theirs.echo, &theirs.echo_len, quiet_ms, false);
	good = good && (!after || ioctl(slave, TCSETS, after) == 0);
	good = good && drain(slave, theirs.input, &theirs.input_len, quiet_ms, true);
	good = good && drain(master, theirs.echo, &theirs.echo_len, 0, false);
	close(slave);
	close(master);
	return good;
}

static bool equal(bool echo)
{
	return ours.input_len == theirs.input_len && memcmp(ours.input, theirs.input, ours.input_len) == 0 &&
	       (!echo || (ours.echo_len == theirs.echo_len && memcmp(ours.echo, theirs.echo, ours.echo_len) == 0));
}

static void show(const char *what, const u8 *p, u32 n)
{
	printf("#   %s:", what);
	for (u32 i = 0; i < n && i < 120; i++)
		printf(isprint(p[i]) && p[i] != '\\' ? "%c" : "\\%02x", p[i]);
	printf("\n");
}

static void compare(const struct termios *t, const u8 *in, u32 n, const struct termios *after, bool echo)
{
	bool there = false;

	run_ours(t, in, n, after);
	/* A busy machine needs longer to bring the bytes through its work queue. */
	for (int quiet_ms = 2; quiet_ms < 500; quiet_ms *= 6) {
		there = run_theirs(t, in, n, after, quiet_ms);
		if (there && equal(echo))
			return;
	}
	if (!there) {
		test_fail(__FILE__, __LINE__, "the pseudo terminal failed");
		return;
	}
	test_fail(__FILE__, __LINE__, "iflag %#o oflag %#o lflag %#o", t->c_iflag, t->c_oflag, t->c_lflag);
	show("typed", in, n);
	show("echo here ", ours.echo, ours.echo_len);
	show("echo there", theirs.echo, theirs.echo_len);
	show("input here ", ours.input, ours.input_len);
	show("input there", theirs.input, theirs.input_len);
}

static const struct termios usual = {
	.c_iflag = ICRNL, .c_oflag = OPOST | ONLCR, .c_cflag = B38400 | CS8 | CREAD,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1, [VSTART] = 17,
		  [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22 },
};

static bool no_pty(void)
{
	int slave, master = open_pty(&slave);

	if (master < 0) {
		printf("# no pseudo terminals on this machine: not compared\n");
		return true;
	}
	close(slave);
	close(master);
	return false;
}

TEST(ldisc_typical_lines)
{
	static const char *lines[] = {
		"hello\r", "a\tb\t\x7f\x7f\x7f" "c\n", "one two  three \x17\x17x\n", "gone\x15kept\n", "\x01\x02\x7f\x7f\n",
		"ab\x16\x03" "cd\n", "\x16\n\n", "eof\x04", "\x04", "x\x04y\n\x04", "abc\x12" "def\n", "no end",
		"\xc3\xa4\xc3\xb6\x7f\x7f\n", "a\x00" "b\n", "\x7f\x17\x15\n", "tab\t\x15x\n", "ab\xff\n", "12345678\t9\x7f\x7f!\n",
		"\x1b[A\n", "last\x16\x7f\x7f\x7f\n", "a b\t c\x17\x17\n",
	};
	struct termios t = usual;

	if (no_pty())
		return;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		u32 n = (u32)strlen(lines[i]);

		t.c_iflag = ICRNL;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_iflag = ICRNL | IUTF8;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_lflag ^= ECHOKE;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_lflag ^= ECHOE;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_lflag ^= ECHOPRT;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_lflag = usual.c_lflag & ~(u32)ECHO;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_lflag = ECHO;
		compare(&t, (const u8 *)lines[i], n, NULL, true);
		t.c_lflag = usual.c_lflag;
	}
}

/* Random settings, random typing from an alphabet in which every special character is frequent. */
static void compare_random(unsigned int rounds, bool signals)
{
	static const u8 alphabet[] = "ab C_9\t\n\r\x7f\x17\x15\x04\x16\x12\x01\xc3\xa4\xff;\x0c\x08";
	static const u8 with_signals[] = "ab\n\x7f\x03\x1c\x1a\x15";

	if (no_pty())
		return;
	for (unsigned int i = 0; i < test_rounds(rounds) && !test_failed(); i++) {
		struct termios t = usual, after = usual;
		u8 in[80];
		u32 n = (u32)random_below(sizeof(in)) + 1;

		for (u32 k = 0; k < n; k++)
			in[k] = signals ? with_signals[random_below(sizeof(with_signals) - 1)] :
					  alphabet[random_below(sizeof(alphabet) - 1)];
		t.c_iflag = (u32)random_u64() & (ISTRIP | INLCR | IGNCR | ICRNL | IUCLC | PARMRK | IUTF8);
		t.c_oflag = (u32)random_u64() & (OPOST | OLCUC | ONLCR | OCRNL | ONOCR | ONLRET | TABDLY);
		t.c_oflag |= OPOST * (random_below(4) != 0);
		if ((t.c_oflag & TABDLY) != XTABS)
			t.c_oflag &= ~(u32)TABDLY;
		t.c_lflag = (u32)random_u64() & (ICANON | ECHO | ECHOE | ECHOK | ECHONL | NOFLSH | ECHOCTL | ECHOPRT |
						 ECHOKE | IEXTEN | XCASE);
		t.c_lflag |= ICANON * (random_below(3) != 0);
		t.c_lflag |= ISIG * signals;
		t.c_cc[VEOL] = random_below(3) ? 0 : ';';
		t.c_cc[VEOL2] = random_below(3) ? 0 : 'C';
		after.c_lflag = t.c_lflag ^ ICANON;
		compare(&t, in, n, random_below(4) ? NULL : &after, !signals);
	}
}

TEST(ldisc_random_typing)
{
	compare_random(400, false);
}

TEST(ldisc_random_signals)
{
	compare_random(100, true);
}

/* 100 kB in lines of up to 4,095 bytes with a slow reader: nothing is lost while the line is held back. */
TEST(ldisc_paste)
{
	static u8 in[100000], out[100000 + LDISC_BUF];
	u32 at = 0, len = 0, line = 0;
	bool done;

	for (u32 i = 0; i < sizeof(in); i++) {
		bool end = line == 4094 || random_below(700) == 0 || i == sizeof(in) - 1;

		in[i] = end ? '\n' : (u8)('a' + i % 26);
		line = end ? 0 : line + 1;
	}
	ldisc_init(&l, &ops);
	while (at < sizeof(in)) {
		ours.echo_len = 0;
		while (at < sizeof(in) && ldisc_receive(&l, in[at]))
			at++;
		EXPECT(at == sizeof(in) || ldisc_readable(&l, 1) || ours.echo_len);
		while (ldisc_readable(&l, 1) && len <= sizeof(in))
			len += ldisc_read(&l, out + len, (u32)random_below(3000) + 1, &done);
		if (test_failed())
			return;
	}
	EXPECT_EQ(len, sizeof(in));
	EXPECT(memcmp(in, out, sizeof(in)) == 0);
}
