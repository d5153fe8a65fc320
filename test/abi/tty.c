/*
 * tty.c - the serial terminal: termios, line editing, signals, controlling
 * terminals, background access.  Input is made with TIOCSTI, so no person is
 * needed; ECHO is off wherever something is typed, as the echo would land in
 * the test's own output.  Echo itself is tested by the interactive ring.
 */
#define TAP_DRAIN 1
#include "tap.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>

static int tty;
static struct termios saved;
static volatile int *shared;
static char buf[8192];

/* A signal character flushes output too: what was printed must be out before. */
static void type_bytes(const char *bytes, size_t n)
{
	tcdrain(tty);
	while (n--)
		ioctl(tty, TIOCSTI, bytes++);
}

#define type(s) type_bytes(s, sizeof(s) - 1)

/* The next read() as a string, or "" when nothing comes. */
static const char *line(void)
{
	struct pollfd p = { .fd = tty, .events = POLLIN };
	int n;

	if (poll(&p, 1, 20000) <= 0)
		return "(nothing)";
	n = read(tty, buf, sizeof(buf) - 1);
	if (n < 0)
		return "(error)";
	buf[n] = 0;
	return buf;
}

static bool readable(void)
{
	struct pollfd p = { .fd = tty, .events = POLLIN };

	return poll(&p, 1, 20) == 1;
}

static void quiet(struct termios *t)
{
	*t = saved;
	t->c_lflag &= ~(ECHO | ECHOE | ECHOK | ECHONL | ECHOCTL | ECHOKE);
	tcsetattr(tty, TCSANOW, t);
	tcflush(tty, TCIFLUSH);
}

static void check_settings(void)
{
	struct termios t;
	struct winsize ws;
	int n;

	ok(isatty(tty), "isatty");
	ok(saved.c_iflag & ICRNL, "ICRNL is on");
	ok((saved.c_oflag & (OPOST | ONLCR)) == (OPOST | ONLCR), "OPOST and ONLCR");
	ok((saved.c_lflag & (ISIG | ICANON | ECHO | ECHOE | ECHOK | IEXTEN)) ==
	   (ISIG | ICANON | ECHO | ECHOE | ECHOK | IEXTEN), "canonical, with echo and signals");
	ok((saved.c_cflag & (CS8 | CREAD)) == (CS8 | CREAD), "eight bits");
	ok(saved.c_cc[VINTR] == 3 && saved.c_cc[VQUIT] == 034 && saved.c_cc[VERASE] == 0177 &&
	   saved.c_cc[VKILL] == 025 && saved.c_cc[VEOF] == 4 && saved.c_cc[VSUSP] == 032 &&
	   saved.c_cc[VWERASE] == 027 && saved.c_cc[VLNEXT] == 026 && saved.c_cc[VSTART] == 021 &&
	   saved.c_cc[VSTOP] == 023 && saved.c_cc[VREPRINT] == 022 && saved.c_cc[VMIN] == 1,
	   "control characters");
	t = saved;
	t.c_cc[VERASE] = 8;
	t.c_lflag &= ~ECHO;
	works(tcsetattr(tty, TCSADRAIN, &t), "tcsetattr");
	tcgetattr(tty, &t);
	ok(t.c_cc[VERASE] == 8 && !(t.c_lflag & ECHO), "is read back");
	tcsetattr(tty, TCSANOW, &saved);
	ws = (struct winsize){ 40, 100, 0, 0 };
	works(ioctl(tty, TIOCSWINSZ, &ws), "TIOCSWINSZ");
	memset(&ws, 0, sizeof(ws));
	works(ioctl(tty, TIOCGWINSZ, &ws), "TIOCGWINSZ");
	ok(ws.ws_row == 40 && ws.ws_col == 100, "gives it back");
	works(ioctl(tty, TIOCOUTQ, &n), "TIOCOUTQ");
	fails(ioctl(tty, 0x54ff, &n), ENOTTY, "an unknown ioctl");
	tcdrain(tty);
	works(tcflush(tty, TCIOFLUSH), "tcflush");
	fails(tcflush(tty, 9), EINVAL, "tcflush: a bad queue");
	works(tcdrain(tty), "tcdrain");
}

static void check_canonical(void)
{
	struct termios t;
	int n;

	quiet(&t);
	type("abc");
	ok(!readable(), "an unfinished line is not readable");
	type("\n");
	is_str(line(), "abc\n", "a line");
	type("ab\177c\n");
	is_str(line(), "ac\n", "erase");
	type("\177\177x\n");
	is_str(line(), "x\n", "erase at the start of a line");
	type("abc\025de\n");
	is_str(line(), "de\n", "kill");
	type("one two  \027three\n");
	is_str(line(), "one three\n", "word erase");
	type("a\026\003b\n");
	is_str(line(), "a\003b\n", "literal next");
	type("cr\r");
	is_str(line(), "cr\n", "ICRNL");
	type("no newline\004");
	is_str(line(), "no newline", "EOF ends a line");
	type("\004");
	is_str(line(), "", "EOF on an empty line is end of file");
	type("l1\nl2\n");
	is_str(line(), "l1\n", "one line a read");
	is_str(line(), "l2\n", "then the next");
	type("longer\n");
	is(read(tty, buf, 3), 3, "a short read takes a part");
	is_str(line(), "ger\n", "the rest comes later");
	type("count\n");
	ioctl(tty, FIONREAD, &n);
	is(n, 6, "FIONREAD");
	tcflush(tty, TCIFLUSH);
	ok(!readable(), "tcflush drops input");
	memset(buf, 'x', 4095);
	type_bytes(buf, 4095);
	type("\n");
	is(strlen(line()), 4096, "a line of 4095 and its newline");
	memset(buf, 'y', 5000);
	type_bytes(buf, 5000);
	type("\n");
	is(strlen(line()), 4096, "a longer one is cut, and still ends");
	t.c_cc[VEOL] = ';';
	tcsetattr(tty, TCSANOW, &t);
	type("part;");
	is_str(line(), "part;", "VEOL");
	t.c_iflag |= IGNCR;
	tcsetattr(tty, TCSANOW, &t);
	type("a\rb\n");
	is_str(line(), "ab\n", "IGNCR");
	t.c_iflag &= ~(IGNCR | ICRNL);
	t.c_iflag |= INLCR;
	tcsetattr(tty, TCSANOW, &t);
	type("a\nb\004");
	is_str(line(), "a\rb", "INLCR");
	t.c_iflag |= ISTRIP;
	tcsetattr(tty, TCSANOW, &t);
	type("\301\004");
	is_str(line(), "A", "ISTRIP");
	tcsetattr(tty, TCSANOW, &saved);
}

/*
 * Does a read of these bytes take so long? Linux counts such times from its last tick, and when the CPU that counts ticks was late
 * with a few of them they are shorter.
 */
static bool takes_a_tenth(const char *bytes, int n)
{
	long start;

	type_bytes(bytes, n);
	start = tap_now_ms();
	return read(tty, buf, 10) == n && tap_now_ms() - start >= 90;
}

static void check_raw(void)
{
	struct termios t;

	quiet(&t);
	t.c_lflag &= ~(ICANON | ISIG | IEXTEN);
	t.c_iflag &= ~(ICRNL | IXON);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(tty, TCSANOW, &t);
	type("\003\177\r\004");
	is_str(line(), "\003\177\r\004", "raw: every byte as it is");
	type("ab");
	is(read(tty, buf, 1), 1, "raw: byte by byte");
	is(read(tty, buf, 10), 1, "what is there");
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	tcsetattr(tty, TCSANOW, &t);
	is(read(tty, buf, 10), 0, "VMIN 0, VTIME 0: at once");
	t.c_cc[VTIME] = 1;
	tcsetattr(tty, TCSANOW, &t);
	is(read(tty, buf, 10), 0, "VMIN 0, VTIME 1: nothing comes");
	ok(in_one_of(10, takes_a_tenth("", 0)), "after a tenth of a second");
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	tcsetattr(tty, TCSANOW, &t);
	type("12");
	ok(!readable(), "VMIN 3: two bytes are not enough");
	type("3");
	is(read(tty, buf, 10), 3, "three are");
	t.c_cc[VTIME] = 1;
	tcsetattr(tty, TCSANOW, &t);
	type("45");
	is(read(tty, buf, 10), 2, "VMIN 3, VTIME 1: the pause between bytes ends it");
	ok(in_one_of(10, takes_a_tenth("45", 2)), "after a tenth of a second");
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	t.c_lflag |= ICANON;
	tcsetattr(tty, TCSANOW, &t);
	type("x\n");
	is_str(line(), "x\n", "canonical again");
	fcntl(tty, F_SETFL, O_NONBLOCK);
	fails(read(tty, buf, 10), EAGAIN, "O_NONBLOCK");
	fcntl(tty, F_SETFL, 0);
	tcsetattr(tty, TCSANOW, &saved);
}

static volatile int got_signal;
static void note(int sig)
{
	got_signal = sig;
}

static void check_signals(void)
{
	struct termios t;
	struct sigaction sa = { .sa_handler = note };
	struct winsize ws = { 41, 101, 0, 0 };

	quiet(&t);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sigaction(SIGWINCH, &sa, NULL);
	type("dropped\003");
	ok(within(10000, got_signal == SIGINT), "^C sends SIGINT to the foreground group");
	ok(!readable(), "and drops the line");
	type("\034");
	ok(within(10000, got_signal == SIGQUIT), "^\\ sends SIGQUIT");
	ioctl(tty, TIOCSWINSZ, &ws);
	ok(within(10000, got_signal == SIGWINCH), "a new window size sends SIGWINCH");
	got_signal = 0;
	ioctl(tty, TIOCSWINSZ, &ws);
	tap_sleep_ms(20);
	is(got_signal, 0, "the same size does not");
	t.c_lflag &= ~ISIG;
	tcsetattr(tty, TCSANOW, &t);
	type("\003\n");
	is_str(line(), "\003\n", "without ISIG ^C is a byte");
	is(got_signal, 0, "and no signal");
	t.c_lflag |= ISIG | NOFLSH;
	tcsetattr(tty, TCSANOW, &t);
	type("kept\003");
	within(10000, got_signal == SIGINT);
	type("\n");
	is_str(line(), "kept\n", "NOFLSH keeps the line");
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	tcsetattr(tty, TCSANOW, &saved);
}

/* Runs in a child in a background group; what it exits with tells. */
#define background(...) ({						\
	pid_t bg_ = fork();						\
	if (bg_ == 0) {							\
		setpgid(0, 0);						\
		__VA_ARGS__;						\
		_exit(0);						\
	}								\
	setpgid(bg_, bg_);						\
	bg_;								\
})

static void check_jobs(void)
{
	struct termios t;
	int status;
	pid_t pid;

	is(tcgetpgrp(tty), getpgrp(), "the session leader's group is in the foreground");
	is(tcgetsid(tty), getsid(0), "TIOCGSID");
	pid = background(_exit(read(tty, buf, 1) + 2));
	is(waitpid(pid, &status, WUNTRACED), pid, "a background read");
	is(status, SIGTTIN << 8 | 0x7f, "stops with SIGTTIN");
	works(tcsetpgrp(tty, pid), "tcsetpgrp");
	is(tcgetpgrp(tty), pid, "the group is in the foreground");
	kill(pid, SIGCONT);
	signal(SIGTTOU, SIG_IGN);
	quiet(&t);
	type("z\n");
	is(tap_wait(pid), 3 << 8, "continued in the foreground it reads");
	works(tcsetpgrp(tty, getpgrp()), "tcsetpgrp back, SIGTTOU ignored");
	signal(SIGTTOU, SIG_DFL);
	tcflush(tty, TCIFLUSH);
	is(tap_wait(background({
		signal(SIGTTIN, SIG_IGN);
		_exit(read(tty, buf, 1) == -1 && errno == EIO ? 7 : 1);
	})), 7 << 8, "SIGTTIN ignored: EIO");
	is(tap_wait(background(_exit(write(tty, "", 0) == 0 ? 5 : 1))), 5 << 8,
	   "a background write without TOSTOP");
	t.c_lflag |= TOSTOP;
	tcsetattr(tty, TCSANOW, &t);
	pid = background(_exit(write(tty, "", 1)));
	waitpid(pid, &status, WUNTRACED);
	is(status, SIGTTOU << 8 | 0x7f, "with TOSTOP it stops with SIGTTOU");
	kill(pid, SIGKILL);
	tap_wait(pid);
	pid = background(_exit(tcsetattr(tty, TCSANOW, &t) ? 1 : 6));
	waitpid(pid, &status, WUNTRACED);
	is(status, SIGTTOU << 8 | 0x7f, "a background tcsetattr stops too");
	kill(pid, SIGKILL);
	tap_wait(pid);
	is(tap_wait(background({
		struct termios u;

		_exit(tcgetattr(tty, &u) ? 1 : 6);
	})), 6 << 8, "tcgetattr does not");
	is(tap_wait(background({
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGTTOU);
		sigprocmask(SIG_BLOCK, &set, NULL);
		_exit(tcsetpgrp(tty, getpgrp()) ? 1 : 6);
	})), 6 << 8, "with SIGTTOU blocked tcsetpgrp works from the background");
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(tty, getpgrp());
	signal(SIGTTOU, SIG_DFL);
	fails(tcsetpgrp(tty, 99999), ESRCH, "tcsetpgrp: no such group");
	fails(tcsetpgrp(tty, -5), EINVAL, "tcsetpgrp: a negative group");
	fails(tcsetpgrp(tty, 1), EPERM, "tcsetpgrp: a group of another session");
	pid = background(for (;;) pause());
	tcsetpgrp(tty, pid);
	type("\032");
	waitpid(pid, &status, WUNTRACED);
	is(status, SIGTSTP << 8 | 0x7f, "^Z stops the foreground group with SIGTSTP");
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(tty, getpgrp());
	signal(SIGTTOU, SIG_DFL);
	kill(pid, SIGKILL);
	tap_wait(pid);
	tcsetattr(tty, TCSANOW, &saved);
}

static void check_controlling(void)
{
	int fd = open("/dev/tty", O_RDWR), status;
	pid_t pid;

	ok(fd >= 0, "/dev/tty opens");
	is(tcgetpgrp(fd), getpgrp(), "and is the controlling terminal");
	close(fd);
	is(in_child({
		setsid();
		_exit(open("/dev/tty", O_RDWR) != -1 || errno != ENXIO);
	}), 0, "a new session has none: ENXIO");
	is(in_child({
		setsid();
		if (tcgetpgrp(tty) != -1 || errno != ENOTTY)
			_exit(1);
		if (ioctl(tty, TIOCSCTTY, 0) != -1 || errno != EPERM)
			_exit(2);
	}), 0, "one terminal has one session: TIOCSCTTY EPERM");
	is(in_child({
		setpgid(0, 0);
		_exit(ioctl(tty, TIOCSCTTY, 0) != -1 || errno != EPERM);
	}), 0, "only a session leader may");
	fails(ioctl(tty, TIOCSCTTY, 0), 0, "again for the own one is fine");
	/* The leader's end: SIGHUP for the foreground group, terminal free again. */
	memset((void *)shared, 0, 64);
	tcdrain(tty);	/* the hang-up drops output that is still on its way */
	pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGHUP, SIG_IGN);
		ioctl(tty, TIOCSCTTY, 1);
		pid_t member = fork();

		if (member == 0) {
			signal(SIGHUP, note);
			shared[0] = 1;
			while (got_signal != SIGHUP)	/* not pause(): it may have come by then */
				tap_sleep_ms(1);
			shared[1] = 1;
			shared[2] = open("/dev/tty", O_RDWR) < 0 ? errno : -1;
			shared[3] = read(tty, buf, 1) < 0 ? errno : -1;
			_exit(0);
		}
		within(10000, shared[0]);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ok(within(10000, shared[1]), "the leader's exit sends SIGHUP to the foreground group");
	ok(within(10000, shared[2]), "afterwards");
	is(shared[2], ENXIO, "the session has no terminal");
}

int main(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	tty = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
	ok(tty >= 0, "open /dev/ttyS0");
	fails(tcgetpgrp(tty), ENOTTY, "O_NOCTTY: not the controlling terminal");
	works(ioctl(tty, TIOCSCTTY, 1), "TIOCSCTTY");
	tcgetattr(tty, &saved);
	check_settings();
	check_canonical();
	check_raw();
	check_signals();
	check_jobs();
	check_controlling();
	return tap_done();
}
