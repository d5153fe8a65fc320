/*
 * pipe.c - pipe(7), poll(2), select(2): sizes, atomicity, ends that close,
 * O_NONBLOCK, readiness.
 */
#include "tap.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/uio.h>

static char buf[200000];

static int poll_one(int fd, int events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n = poll(&p, 1, ms);

	return n < 0 ? -errno : n == 0 ? 0 : p.revents;
}

static void check_basics(void)
{
	struct stat st;
	int p[2], n;

	works(pipe(p), "pipe");
	ok(p[0] == 3 && p[1] == 4, "takes the two lowest descriptors");
	fstat(p[0], &st);
	ok(S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0600, "fstat says FIFO, 0600");
	is(fcntl(p[0], F_GETFL) & O_ACCMODE, O_RDONLY, "the read end reads");
	is(fcntl(p[1], F_GETFL) & O_ACCMODE, O_WRONLY, "the write end writes");
	fails(write(p[0], "x", 1), EBADF, "writing the read end");
	fails(read(p[1], buf, 1), EBADF, "reading the write end");
	is(write(p[1], "abcdef", 6), 6, "write");
	works(ioctl(p[0], FIONREAD, &n), "FIONREAD");
	is(n, 6, "counts the bytes");
	is(read(p[0], buf, 4), 4, "a short read takes what is asked");
	is(read(p[0], buf, 100), 2, "a long one what is there");
	is(write(p[1], buf, 0), 0, "write of 0 bytes");
	close(p[1]);
	is(read(p[0], buf, 10), 0, "no writer: end of file");
	close(p[0]);
	pipe(p);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	fails(write(p[1], "x", 1), EPIPE, "no reader: EPIPE");
	signal(SIGPIPE, SIG_DFL);
	ok(killed(in_child(write(p[1], "x", 1)), SIGPIPE), "and SIGPIPE");
	close(p[1]);
	fails(syscall(SYS_pipe2, p, 0x123), EINVAL, "pipe2: bad flags");
	works(pipe2(p, O_CLOEXEC | O_NONBLOCK), "pipe2");
	ok(fcntl(p[0], F_GETFD) == FD_CLOEXEC && (fcntl(p[1], F_GETFL) & O_NONBLOCK), "sets both");
	fails(read(p[0], buf, 1), EAGAIN, "O_NONBLOCK: an empty pipe");
	close(p[0]);
	close(p[1]);
}

static void check_reopen(void)
{
	char path[40];
	int p[2], fd;

	pipe(p);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	fd = open(path, O_RDONLY);
	ok(fd >= 0, "a pipe is opened anew through /proc/self/fd");
	write(p[1], "again", 5);
	is(read(fd, buf, 10), 5, "and is the same pipe");
	close(fd);
	close(p[1]);
	is(read(p[0], buf, 10), 0, "whose last writer is gone");
	snprintf(path, sizeof(path), "/dev/fd/%d", p[0]);
	fd = open(path, O_WRONLY);
	ok(fd >= 0, "its read end gives a write end");
	is(write(fd, "w", 1), 1, "that writes");
	close(fd);
	close(p[0]);
}

static void check_sizes(void)
{
	int p[2], n, total;

	fails(pipe2(p, O_EXCL), ENOPKG, "a pipe for notifications: nobody would send any");

	pipe2(p, O_NONBLOCK);
	is(fcntl(p[0], F_GETPIPE_SZ), 65536, "F_GETPIPE_SZ is 64 KiB");
	is(write(p[1], buf, 100000), 65536, "a full pipe takes 64 KiB");
	fails(write(p[1], buf, 1), EAGAIN, "then no byte");
	is(read(p[0], buf, 4095), 4095, "reading less than a page");
	fails(write(p[1], buf, 4096), EAGAIN, "leaves no room for PIPE_BUF bytes");
	is(read(p[0], buf, 1), 1, "reading the rest of the page");
	is(write(p[1], buf, 4096), 4096, "does");
	for (total = 0; (n = read(p[0], buf, 10000)) > 0;)
		total += n;
	is(total, 65536, "all of it is read");
	is(fcntl(p[0], F_SETPIPE_SZ, 5000), 8192, "F_SETPIPE_SZ rounds up");
	is(write(p[1], buf, 100000), 8192, "and holds");
	fails(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY, "F_SETPIPE_SZ below what is in it");
	close(p[0]);
	close(p[1]);
}

/* ---- limits of a user ---- */

static void set_limit(const char *name, const char *value)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/fs/%s", name);
	fd = open(path, O_WRONLY);
	ok(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value), "%s", name);
	close(fd);
}

/* What a user without rights gets, who may have 32 pages; his exit status counts what is wrong. */
static int as_user(bool hard)
{
	int p[4][2], bad = 0;

	if (setuid(12345))
		return 100;
	bad += pipe(p[0]) || fcntl(p[0][0], F_GETPIPE_SZ) != 65536;
	bad += pipe(p[1]) || fcntl(p[1][0], F_GETPIPE_SZ) != 65536;
	if (hard)
		return bad + !(pipe(p[2]) < 0 && errno == ENFILE);
	bad += pipe(p[2]) || fcntl(p[2][0], F_GETPIPE_SZ) != 8192;
	bad += !(fcntl(p[2][0], F_SETPIPE_SZ, 16384) < 0 && errno == EPERM);
	bad += fcntl(p[2][0], F_SETPIPE_SZ, 4096) != 4096;
	bad += fcntl(p[0][0], F_SETPIPE_SZ, 4096) != 4096;
	bad += fcntl(p[2][0], F_SETPIPE_SZ, 8192) != 8192;
	bad += !(fcntl(p[2][0], F_SETPIPE_SZ, 262144) < 0 && errno == EPERM);
	close(p[1][0]);
	close(p[1][1]);
	bad += pipe(p[3]) || fcntl(p[3][0], F_GETPIPE_SZ) != 65536;
	return bad;
}

static void check_user_limits(void)
{
	int p[2], status;

	set_limit("pipe-user-pages-soft", "32");
	status = in_child(_exit(as_user(false)));
	ok(exited(status, 0), "above the soft limit pipes are small, and do not grow");
	pipe(p);
	is(fcntl(p[0], F_SETPIPE_SZ, 262144), 262144, "but for root");
	close(p[0]);
	close(p[1]);
	set_limit("pipe-user-pages-soft", "0");
	set_limit("pipe-user-pages-hard", "32");
	status = in_child(_exit(as_user(true)));
	ok(exited(status, 0), "above the hard one there are none: ENFILE");
	set_limit("pipe-user-pages-hard", "0");
	set_limit("pipe-user-pages-soft", "16384");
	set_limit("pipe-max-size", "5000");
	ok(pipe(p) == 0 && fcntl(p[0], F_GETPIPE_SZ) == 65536, "root's pipes are as large as ever");
	close(p[0]);
	close(p[1]);
	set_limit("pipe-max-size", "1048576");
}

static void check_atomic(void)
{
	int p[2], i, j, bad = 0, n, total = 0;

	pipe(p);
	for (i = 0; i < 4; i++) {
		if (fork() == 0) {
			memset(buf, 'a' + i, 4096);
			for (j = 0; j < 40; j++)
				write(p[1], buf, 1000 + i * 1000);
			_exit(0);
		}
	}
	close(p[1]);
	/* Each record is 1000 to 4000 equal letters; none may be torn. */
	FILE *f = fdopen(p[0], "r");
	char letter = 0;
	int run = 0, c;

	while ((c = getc(f)) != EOF) {
		total++;
		if (c != letter) {
			if (letter && run % (1000 + (letter - 'a') * 1000))
				bad++;
			letter = c;
			run = 0;
		}
		run++;
	}
	fclose(f);
	is(bad, 0, "writes up to PIPE_BUF are atomic");
	is(total, 40 * 10000, "and complete");
	while (wait(&n) > 0)
		;
}

static void check_blocking(void)
{
	int p[2], status;
	long start;

	pipe(p);
	start = tap_now_ms();
	if (fork() == 0) {
		tap_sleep_ms(30);
		write(p[1], "late", 4);
		_exit(0);
	}
	is(read(p[0], buf, 10), 4, "read waits for a writer");
	ok(tap_now_ms() - start >= 20, "that long");
	wait(&status);
	if (fork() == 0) {
		close(p[0]);
		_exit(write(p[1], buf, 150000) != 150000);
	}
	close(p[1]);
	tap_sleep_ms(20);
	int n, total = 0;

	while ((n = read(p[0], buf, 7777)) > 0)
		total += n;
	is(total, 150000, "a large write waits for room and is complete");
	wait(&status);
	is(status, 0, "and returns all of it");
	close(p[0]);
}

static void check_vectors(void)
{
	struct iovec iov[2] = { { "one", 3 }, { "two", 3 } };
	int p[2];

	pipe(p);
	is(writev(p[1], iov, 2), 6, "writev");
	is(read(p[0], buf, 100), 6, "is one write");
	iov[0].iov_base = (void *)8;
	fails(writev(p[1], iov, 2), EFAULT, "writev: a bad first part");
	write(p[1], "abc", 3);
	fails(read(p[0], (void *)8, 3), EFAULT, "read to a bad pointer");
	is(read(p[0], buf, 10), 3, "does not lose the data");
	close(p[0]);
	close(p[1]);
}

static void check_poll(void)
{
	struct pollfd many[3];
	int p[2], file = open("f", O_RDWR | O_CREAT, 0600), status;
	long start;

	pipe(p);
	is(poll_one(p[0], POLLIN, 0), 0, "poll: an empty pipe is not readable");
	is(poll_one(p[1], POLLOUT, 0), POLLOUT, "its write end is writable");
	write(p[1], "x", 1);
	is(poll_one(p[0], POLLIN | POLLRDNORM, 0), POLLIN | POLLRDNORM, "a byte makes it readable");
	read(p[0], buf, 1);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	while (write(p[1], buf, 4096) > 0)
		;
	is(poll_one(p[1], POLLOUT, 0), 0, "a full pipe is not writable");
	while (poll_one(p[0], POLLIN, 0))
		read(p[0], buf, 65536);
	start = tap_now_ms();
	is(poll_one(p[0], POLLIN, 30), 0, "poll times out");
	ok(tap_now_ms() - start >= 29, "not early");
	if (fork() == 0) {
		tap_sleep_ms(20);
		write(p[1], "y", 1);
		_exit(0);
	}
	is(poll_one(p[0], POLLIN, 60000), POLLIN, "poll wakes up");
	wait(&status);
	is(poll_one(file, POLLIN | POLLOUT, 0), POLLIN | POLLOUT, "a file is always ready");
	is(poll_one(77, POLLIN, 0), POLLNVAL, "POLLNVAL: no such descriptor");
	is(poll_one(-1, POLLIN, 0), 0, "a negative descriptor is ignored");
	many[0] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	many[1] = (struct pollfd){ .fd = -5, .events = POLLIN };
	many[2] = (struct pollfd){ .fd = file, .events = POLLOUT };
	is(poll(many, 3, -1), 2, "poll counts ready descriptors");
	ok(many[0].revents == POLLIN && many[1].revents == 0 && many[2].revents == POLLOUT,
	   "and says which");
	read(p[0], buf, 100);
	close(p[1]);
	is(poll_one(p[0], POLLIN, 0), POLLHUP, "POLLHUP: no writer");
	close(p[0]);
	pipe(p);
	close(p[0]);
	is(poll_one(p[1], POLLOUT, 0), POLLOUT | POLLERR, "POLLERR: no reader");
	close(p[1]);
	fails(syscall(SYS_poll, many, 1 << 30, 0), EINVAL, "poll: too many");
	is(poll(NULL, 0, 1), 0, "poll of nothing sleeps");
	fails(syscall(SYS_ppoll, many, 0, &(struct timespec){ 0, -1 }, NULL, 8), EINVAL,
	      "ppoll: a bad time");
	close(file);
}

static void noop(int sig)
{
}

static void check_select(void)
{
	struct sigaction sa = { .sa_handler = noop, .sa_flags = SA_RESTART };
	struct timeval tv = { 0, 20000 };
	fd_set r, w;
	int p[2], status;
	pid_t pid;

	pipe(p);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	is(select(p[1] + 1, &r, &w, NULL, &tv), 1, "select counts bits");
	ok(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w), "and leaves the ready ones");
	write(p[1], "x", 1);
	FD_SET(p[0], &r);
	is(select(p[1] + 1, &r, &w, NULL, NULL), 2, "both ready");
	read(p[0], buf, 1);
	FD_SET(p[0], &r);
	tv.tv_usec = 20000;
	is(syscall(SYS_select, p[0] + 1, &r, NULL, NULL, &tv), 0, "select times out");
	is(tv.tv_sec + tv.tv_usec, 0, "and leaves no time");
	FD_ZERO(&r);
	FD_SET(40, &r);
	fails(select(41, &r, NULL, NULL, &tv), EBADF, "select: no such descriptor");
	fails(select(-1, NULL, NULL, NULL, &tv), EINVAL, "select: a negative count");
	tv.tv_sec = -1;
	fails(syscall(SYS_select, 0, NULL, NULL, NULL, &tv), EINVAL, "select: a negative time");
	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		when_it_sleeps(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	fails(select(p[0] + 1, &r, NULL, NULL, NULL), EINTR, "select is not restarted");
	tap_wait(pid);
	pid = fork();
	if (pid == 0) {
		when_it_sleeps(getppid());
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	is(poll_one(p[0], POLLIN, -1), -EINTR, "nor is poll");
	tap_wait(pid);
	/* But a stop and continue restarts it. */
	pid = fork();
	if (pid == 0)
		_exit(poll_one(p[0], POLLIN, 60000) != POLLIN);
	within(10000, tap_state(pid) == 'S');
	kill(pid, SIGSTOP);
	within(10000, tap_state(pid) == 'T');
	kill(pid, SIGCONT);
	tap_sleep_ms(5);
	write(p[1], "z", 1);
	wait(&status);
	is(status, 0, "poll goes on after stop and continue");
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	check_basics();
	check_reopen();
	check_sizes();
	check_user_limits();
	check_atomic();
	check_blocking();
	check_vectors();
	check_poll();
	check_select();
	return tap_done();
}
