/*
 * syslog.c - the kernel's log as programs see it: syslog(2), /dev/kmsg,
 * /proc/kmsg and kernel.printk.
 *
 * The kernel itself may log at any time, so nothing is counted that it could
 * change: each record has a marker of its own and is looked for.  Linux lets a
 * program write ten records in five seconds per open /dev/kmsg: each part
 * opens its own.  A record without a line feed at its end may be continued
 * there, and is not seen before the next one: all have one here.
 */
#define TAP_DRAIN
#include "tap.h"

#include <poll.h>
#include <sys/klog.h>

enum { CLOSE, OPEN, READ, READ_ALL, READ_CLEAR, CLEAR, CONSOLE_OFF, CONSOLE_ON, CONSOLE_LEVEL, SIZE_UNREAD, SIZE_BUFFER };

static char text[1 << 18];

static int kmsg_open(int flags)
{
	int fd = open("/dev/kmsg", flags);

	if (fd < 0)
		tap_line("# /dev/kmsg: errno %d", errno);
	return fd;
}

static void kmsg_say(const char *record)
{
	int fd = kmsg_open(O_WRONLY);

	if (write(fd, record, strlen(record)) != (ssize_t)strlen(record))
		tap_line("# cannot write to /dev/kmsg: errno %d", errno);
	close(fd);
}

/* The next record with the marker, in text; false: there is none. */
static bool next_record(int fd, const char *marker)
{
	ssize_t n;

	for (;;) {
		n = read(fd, text, sizeof(text) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n < 0)
			return false;
		text[n] = 0;
		if (strstr(text, marker))
			return true;
	}
}

/* What follows the first ';' of the record. */
static const char *body(void)
{
	const char *at = strchr(text, ';');

	return at ? at + 1 : "";
}

static void writes_and_reads(void)
{
	int reader = kmsg_open(O_RDWR | O_NONBLOCK), prio = -1, chars = 0;
	unsigned long long seq = 0, usec = 0, first;
	char flag = 0;

	works(lseek(reader, 0, SEEK_END), "kmsg: to the end");
	kmsg_say("<13>mark-a hello\n");
	ok(next_record(reader, "mark-a"), "kmsg: what was written is read");
	is(sscanf(text, "%d,%llu,%llu,%c;%n", &prio, &seq, &usec, &flag, &chars), 4, "kmsg: priority, number, time, flag");
	is(prio, 13, "kmsg: <13> is the user's notice");
	is(flag, '-', "kmsg: no continuation");
	ok(usec > 0, "kmsg: a time stamp");
	is_str(body(), "mark-a hello\n", "kmsg: the text");
	first = seq;
	kmsg_say("mark-b\n");
	ok(next_record(reader, "mark-b"), "kmsg: without a level");
	is(sscanf(text, "%d,%llu", &prio, &seq), 2, "kmsg: its head");
	is(prio, 12, "kmsg: without a level it is the user's warning");
	ok(seq > first, "kmsg: numbers grow");
	kmsg_say("<3>mark-c\n");
	ok(next_record(reader, "mark-c"), "kmsg: facility 0");
	is(atoi(text), 11, "kmsg: nobody else is the kernel: facility 0 becomes 1");
	kmsg_say("<165>mark-d\n");
	ok(next_record(reader, "mark-d"), "kmsg: facility 20");
	is(atoi(text), 165, "kmsg: other facilities stay");
	kmsg_say("<2045>mark-facility-255\n");
	ok(next_record(reader, "mark-facility-255"), "kmsg: facility 255");
	is(atoi(text), 2045, "kmsg: the last facility stays");
	kmsg_say("<5mark-e\n");
	ok(next_record(reader, "mark-e"), "kmsg: no level");
	is_str(body(), "<5mark-e\n", "kmsg: what is no level is text");
	kmsg_say("mark-f\ttab \\ \001\n");
	ok(next_record(reader, "mark-f"), "kmsg: odd characters");
	is_str(body(), "mark-f\\x09tab \\x5c \\x01\n", "kmsg: odd characters are escaped");
	kmsg_say("mark-g one\ntwo\n");
	ok(next_record(reader, "mark-g"), "kmsg: two lines");
	is_str(body(), "mark-g one\\x0atwo\n", "kmsg: two lines are one record");
	close(reader);
}

/* Does a read find that there is nothing? */
static bool at_the_end(int fd, void *to)
{
	return read(fd, to, 8192) < 0 && errno == EAGAIN;
}

static void limits(void)
{
	int fd = kmsg_open(O_RDWR | O_NONBLOCK);
	char big[1200];

	memset(big, 'x', sizeof(big));
	memcpy(big, "mark-h", 6);
	big[899] = '\n';
	lseek(fd, 0, SEEK_END);
	is(write(fd, big, 900), 900, "kmsg: 900 bytes");
	fails(write(fd, big, 1100), EINVAL, "kmsg: 1100 bytes are too many");
	ok(next_record(fd, "mark-h"), "kmsg: the long one");
	is(strlen(body()), 900, "kmsg: all of it");
	is(write(fd, "mark-i\n", 7), 7, "kmsg: one");
	is(write(fd, "mark-j\n", 7), 7, "kmsg: two");
	fails(read(fd, big, 4), EINVAL, "kmsg: a buffer that is too small");
	ok(next_record(fd, "mark-"), "kmsg: goes on");
	ok(strstr(text, "mark-j") != NULL, "kmsg: the record that did not fit is gone");
	ok(within(10000, at_the_end(fd, text)), "kmsg: nothing more");
	ok(within(10000, at_the_end(fd, text) && at_the_end(fd, (void *)16)), "kmsg: no record, no bad address");
	close(fd);
}

static void seeks(void)
{
	int fd = kmsg_open(O_RDWR | O_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	fails(lseek(fd, 1, SEEK_SET), ESPIPE, "kmsg: no offsets");
	fails(lseek(fd, 0, SEEK_CUR), EINVAL, "kmsg: no SEEK_CUR");
	is(write(fd, "mark-k\n", 7), 7, "kmsg: before the clear");
	works(klogctl(CLEAR, NULL, 0), "CLEAR");
	is(write(fd, "mark-l\n", 7), 7, "kmsg: behind the clear");
	works(lseek(fd, 0, SEEK_DATA), "kmsg: SEEK_DATA");
	ok(next_record(fd, "mark-"), "kmsg: SEEK_DATA finds something");
	ok(strstr(text, "mark-l") != NULL, "kmsg: SEEK_DATA leads behind the clear");
	works(lseek(fd, 0, SEEK_SET), "kmsg: SEEK_SET");
	ok(next_record(fd, "mark-k"), "kmsg: SEEK_SET leads before it");
	works(lseek(fd, 0, SEEK_END), "kmsg: SEEK_END");
	p.revents = 0;
	poll(&p, 1, 0);
	is(p.revents & (POLLERR | POLLHUP | POLLNVAL), 0, "kmsg: poll at the end");
	is(write(fd, "mark-m\n", 7), 7, "kmsg: one for poll");
	is(poll(&p, 1, 20000), 1, "kmsg: poll sees it");
	ok(p.revents & POLLIN, "kmsg: POLLIN");
	close(fd);
}

/* Finds the line with the marker in what READ_ALL gives; its priority, -1: not there. */
static int in_all(const char *marker, int type)
{
	int n = klogctl(type, text, sizeof(text) - 1), prio;
	unsigned s, us;
	char *at;

	text[n < 0 ? 0 : n] = 0;
	at = strstr(text, marker);
	while (at && at > text && at[-1] != '\n')
		at--;
	return at && sscanf(at, "<%d>[%u.%6u]", &prio, &s, &us) == 3 ? prio : -1;
}

static void read_all(void)
{
	int n;

	klogctl(CLEAR, NULL, 0);
	kmsg_say("<14>mark-n\n");
	is(in_all("] mark-n\n", READ_ALL), 14, "READ_ALL: priority, time, text");
	is(in_all("mark-n", READ_ALL), 14, "READ_ALL again: the same");
	is(klogctl(READ_ALL, text, 3), 0, "READ_ALL: whole records only");
	kmsg_say("<14>mark-o one\ntwo-o\n");
	is(in_all("] two-o\n", READ_ALL), 14, "READ_ALL: each line has its head");
	n = klogctl(READ_ALL, text, sizeof(text));
	ok(n > 30, "READ_ALL: bytes");
	ok(in_one_of(10, (n = klogctl(READ_ALL, text, sizeof(text)), klogctl(READ_ALL, text, n) == n)), "READ_ALL: an exact buffer");
	is(in_all("mark-n", READ_CLEAR), 14, "READ_CLEAR reads");
	is(in_all("mark-n", READ_ALL), -1, "READ_CLEAR has cleared");
	ok(klogctl(SIZE_BUFFER, NULL, 0) >= 65536, "SIZE_BUFFER");
}

static void errors(void)
{
	works(klogctl(OPEN, NULL, 0), "OPEN does nothing");
	works(klogctl(CLOSE, NULL, 0), "CLOSE does nothing");
	fails(klogctl(11, NULL, 0), EINVAL, "there is no action 11");
	fails(klogctl(-1, NULL, 0), EINVAL, "nor -1");
	fails(klogctl(READ_ALL, NULL, 10), EINVAL, "READ_ALL without a buffer");
	fails(klogctl(READ_ALL, text, -1), EINVAL, "READ_ALL of less than nothing");
	is(klogctl(READ_ALL, text, 0), 0, "READ_ALL of nothing");
	fails(klogctl(READ, NULL, 10), EINVAL, "READ without a buffer");
	is(klogctl(READ, text, 0), 0, "READ of nothing does not wait");
	fails(klogctl(READ_ALL, (void *)~0xffful, 100), EFAULT, "READ_ALL into the kernel");
	fails(klogctl(CONSOLE_LEVEL, NULL, 0), EINVAL, "level 0");
	fails(klogctl(CONSOLE_LEVEL, NULL, 9), EINVAL, "level 9");
}

/* The n-th number of kernel.printk. */
static int printk_number(int which)
{
	int fd = open("/proc/sys/kernel/printk", O_RDONLY), v[4] = { 0 };
	char line[64];
	ssize_t n = read(fd, line, sizeof(line) - 1);

	close(fd);
	line[n < 0 ? 0 : n] = 0;
	if (sscanf(line, "%d %d %d %d", v, v + 1, v + 2, v + 3) != 4)
		return -1;
	return v[which];
}

static void console_level(void)
{
	int before = printk_number(0), fd;

	ok(before >= 1 && before <= 8, "kernel.printk has four numbers");
	is(printk_number(1), 4, "a message without a level is a warning");
	is(printk_number(2), 1, "the lowest level is 1");
	works(klogctl(CONSOLE_LEVEL, NULL, 3), "CONSOLE_LEVEL");
	is(printk_number(0), 3, "CONSOLE_LEVEL 3");
	works(klogctl(CONSOLE_OFF, NULL, 0), "CONSOLE_OFF");
	is(printk_number(0), 1, "CONSOLE_OFF leaves emergencies");
	works(klogctl(CONSOLE_OFF, NULL, 0), "CONSOLE_OFF twice");
	works(klogctl(CONSOLE_ON, NULL, 0), "CONSOLE_ON");
	is(printk_number(0), 3, "CONSOLE_ON: as before");
	works(klogctl(CONSOLE_ON, NULL, 0), "CONSOLE_ON twice");
	is(printk_number(0), 3, "CONSOLE_ON without CONSOLE_OFF changes nothing");
	fd = open("/proc/sys/kernel/printk", O_WRONLY);
	is(write(fd, "2\n", 2), 2, "kernel.printk is written");
	close(fd);
	is(printk_number(0), 2, "kernel.printk takes effect");
	klogctl(CONSOLE_LEVEL, NULL, before);
}

static void drain(void)
{
	while (klogctl(SIZE_UNREAD, NULL, 0) > 0)
		if (klogctl(READ, text, sizeof(text)) < 0)
			return;
}

static void on_alarm(int sig)
{
}

static void consuming(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	int status, n, got, fd;
	pid_t pid;

	drain();
	kmsg_say("<14>mark-p record\n");
	n = klogctl(SIZE_UNREAD, NULL, 0);
	ok(n > 20, "SIZE_UNREAD counts what is new");
	is(klogctl(READ, text, 4), 4, "READ: a part of a record");
	ok(!memcmp(text, "<14>", 4), "READ: its beginning");
	got = klogctl(READ, text, sizeof(text) - 1);
	text[got < 0 ? 0 : got] = 0;
	ok(strstr(text, "mark-p record\n") != NULL, "READ: the rest of it");
	ok(text[0] == '[', "READ: goes on where it stopped");

	drain();
	pid = fork();
	if (!pid) {
		n = klogctl(READ, text, sizeof(text) - 1);
		_exit(n <= 0);
	}
	usleep(50000);
	kmsg_say("<14>mark-q\n");
	waitpid(pid, &status, 0);
	ok(exited(status, 0), "READ waits for a record");

	drain();
	status = in_child(sigaction(SIGALRM, &act, NULL); ualarm(50000, 50000);
			  do n = klogctl(READ, text, sizeof(text)); while (n > 0);
			  _exit(n == -1 && errno == EINTR ? 0 : 1));
	ok(exited(status, 0), "READ ends with EINTR");

	drain();
	fd = open("/proc/kmsg", O_RDONLY | O_NONBLOCK);
	ok(fd >= 0, "/proc/kmsg opens");
	while (read(fd, text, sizeof(text)) > 0)
		;
	is(errno, EAGAIN, "/proc/kmsg: nothing there");
	kmsg_say("<14>mark-r\n");
	n = read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	ok(strstr(text, "mark-r\n") != NULL, "/proc/kmsg: the same text");
	close(fd);
}

static void set_restrict(const char *value)
{
	int fd = open("/proc/sys/kernel/dmesg_restrict", O_WRONLY);

	is(write(fd, value, strlen(value)), strlen(value), "kernel.dmesg_restrict = %s", value);
	close(fd);
}

/* 0 or the errno of an action, asked by a user without rights. */
static int as_user(int action)
{
	int status = in_child(if (setuid(1000)) _exit(99);
			      _exit(klogctl(action, text, sizeof(text)) < 0 ? errno : 0));

	return WEXITSTATUS(status);
}

static int user_opens(const char *path, int flags)
{
	int status = in_child(if (setuid(1000)) _exit(99); _exit(open(path, flags) < 0 ? errno : 0));

	return WEXITSTATUS(status);
}

static void rights(void)
{
	set_restrict("0");
	is(as_user(READ_ALL), 0, "a user reads all");
	is(as_user(SIZE_BUFFER), 0, "a user asks for the size");
	is(as_user(CLEAR), EPERM, "a user does not clear");
	is(as_user(READ), EPERM, "a user does not consume");
	is(as_user(CONSOLE_OFF), EPERM, "a user leaves the console alone");
	is(as_user(11), EPERM, "rights come before sense");
	is(user_opens("/dev/kmsg", O_RDONLY), 0, "a user reads /dev/kmsg");
	is(user_opens("/dev/kmsg", O_WRONLY), EACCES, "a user does not write to it");
	is(user_opens("/proc/kmsg", O_RDONLY), EACCES, "/proc/kmsg is root's");
	set_restrict("1");
	is(as_user(READ_ALL), EPERM, "restricted: a user does not read");
	is(as_user(SIZE_BUFFER), EPERM, "restricted: nor ask");
	is(user_opens("/dev/kmsg", O_RDONLY), EPERM, "restricted: nor open /dev/kmsg");
	works(klogctl(READ_ALL, text, sizeof(text)), "restricted: root does");
	set_restrict("0");
}

int main(void)
{
	errors();
	writes_and_reads();
	limits();
	seeks();
	read_all();
	console_level();
	consuming();
	rights();
	return tap_done();
}
