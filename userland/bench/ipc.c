/*
 * ipc.c - pipes, futexes, threads, and (where the kernel has them) the other ways for two programs to meet.
 *
 * A ping-pong is a round trip: both sides send once and wait once. What is sent changes each time and is compared on
 * both sides, so a wake-up that comes with the wrong byte, or twice, fails. Both sides stay on CPU 0: the cost of the two
 * switches, not of the distance between two CPUs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#ifndef FUTEX_WAIT_PRIVATE
#define FUTEX_WAIT_PRIVATE	128	/* futex(2): FUTEX_WAIT | FUTEX_PRIVATE_FLAG; musl has no header for them */
#define FUTEX_WAKE_PRIVATE	129
#endif

static unsigned long bad;
static int in[2], out[2];
static unsigned char buffer[64 * KIB] __attribute__((aligned(4096)));

static void check_none_bad(unsigned long n)
{
	if (bad)
		failed("%lu of %lu results are wrong", bad, n);
}

static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	must(sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
}

/* ---- a pipe with both ends here ---- */

static size_t length;

static void body_pipe(unsigned long n)
{
	while (n--) {
		buffer[0] = n;
		bad += write(in[1], buffer, length) != (ssize_t)length;
		buffer[0] = ~n;
		bad += read(in[0], buffer, length) != (ssize_t)length || buffer[0] != (unsigned char)n;
	}
}

static void before_pipe(void)
{
	fill_pattern(buffer, length, 0, 3);
}

static void after_pipe(unsigned long n)
{
	int flags = fcntl(in[0], F_GETFL);
	char c;

	check_none_bad(n);
	if (length > 1)
		check_pattern(buffer + 1, length - 1, 1, 3, "what came through");
	fcntl(in[0], F_SETFL, flags | O_NONBLOCK);
	REQUIRE(read(in[0], &c, 1) == -1 && errno == EAGAIN);
	fcntl(in[0], F_SETFL, flags);
}

static void run_pipe(const char *name)
{
	struct loop loop = { .before = before_pipe, .body = body_pipe, .after = after_pipe };

	length = strstr(name, "4k") ? 4 * KIB : 1;
	loop.iterations = length == 1 ? 200 : 80;
	must(pipe(in), "pipe");
	measure(name, &loop);
}

/* ---- ping-pong of two processes over two descriptors ---- */

/* Answers each byte with its complement until the other side closes. */
static void __attribute__((noreturn)) echo(int from, int to, size_t size)
{
	unsigned char c[8];

	while (read(from, c, size) == (ssize_t)size) {
		c[0] = ~c[0];
		if (write(to, c, size) != (ssize_t)size)
			break;
	}
	_exit(CHILD_STATUS);
}

static int ping, pong;

static void body_pingpong(unsigned long n)
{
	while (n--) {
		unsigned char c = n, answer = n;

		bad += write(ping, &c, 1) != 1;
		bad += read(pong, &answer, 1) != 1 || answer != (unsigned char)~c;
	}
}

static void run_pipe_pingpong(const char *name)
{
	struct loop loop = { .iterations = 50, .body = body_pingpong, .after = check_none_bad };
	pid_t pid;

	stay_on_one_cpu();
	must(pipe(in), "pipe");
	must(pipe(out), "pipe");
	pid = must(fork(), "fork");
	if (pid == 0) {
		close(out[1]);
		close(in[0]);
		echo(out[0], in[1], 1);
	}
	close(out[0]);
	close(in[1]);
	ping = out[1];
	pong = in[0];
	measure(name, &loop);
	close(ping);
	expect_exit(pid, CHILD_STATUS);
}

static void run_socket_pingpong(const char *name)
{
	struct loop loop = { .iterations = 30, .body = body_pingpong, .after = check_none_bad };
	pid_t pid;

	stay_on_one_cpu();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, in) < 0)
		missing("socketpair: %s", strerror(errno));
	pid = must(fork(), "fork");
	if (pid == 0) {
		close(in[0]);
		echo(in[1], in[1], 1);
	}
	close(in[1]);
	ping = pong = in[0];
	measure(name, &loop);
	close(ping);
	expect_exit(pid, CHILD_STATUS);
}

/* ---- bandwidth: a MiB through a pipe into another process, which acknowledges it ---- */

static void body_bandwidth(unsigned long n)
{
	unsigned long i;
	uint32_t sum;

	while (n--) {
		for (i = 0; i < MIB / sizeof(buffer); i++) {
			memcpy(buffer, &i, sizeof(i));
			bad += write(out[1], buffer, sizeof(buffer)) != sizeof(buffer);
		}
		bad += read(in[0], &sum, sizeof(sum)) != sizeof(sum) || sum != MIB;
	}
}

/* Reads 64 KiB as they come; the first word of each block is its number. */
static void __attribute__((noreturn)) drain(void)
{
	uint32_t sum = 0;
	ssize_t got;

	while ((got = read(out[0], buffer + sum % sizeof(buffer), sizeof(buffer) - sum % sizeof(buffer))) > 0) {
		unsigned long number;

		sum += got;
		if (sum % sizeof(buffer) == 0) {
			memcpy(&number, buffer, sizeof(number));
			if (number != sum / sizeof(buffer) - 1)
				_exit(1);
			if (buffer[sizeof(buffer) - 1] != pattern_at(sizeof(buffer) - 1, 4))
				_exit(1);
		}
		if (sum == MIB) {
			if (write(in[1], &sum, sizeof(sum)) != sizeof(sum))
				_exit(1);
			sum = 0;
		}
	}
	_exit(CHILD_STATUS);
}

static void run_pipe_bandwidth(const char *name)
{
	struct loop loop = { .iterations = 1, .body = body_bandwidth, .after = check_none_bad };
	pid_t pid;

	stay_on_one_cpu();
	fill_pattern(buffer, sizeof(buffer), 0, 4);
	must(pipe(in), "pipe");
	must(pipe(out), "pipe");
	pid = must(fork(), "fork");
	if (pid == 0) {
		memset(buffer, 0, sizeof(buffer));
		close(out[1]);
		close(in[0]);
		drain();
	}
	close(out[0]);
	close(in[1]);
	measure(name, &loop);
	close(out[1]);
	expect_exit(pid, CHILD_STATUS);
}

/* ---- futexes ---- */

static _Atomic uint32_t turn;	/* even: this thread's; odd: the partner's; the top bit ends it */
#define TURN_END 0x80000000u

static void wait_while(uint32_t value)
{
	while (atomic_load(&turn) == value)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void pass(uint32_t value)
{
	atomic_store(&turn, value);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_partner(void *unused __attribute__((unused)))
{
	uint32_t mine = 1;

	for (;;) {
		wait_while(mine - 1);
		if (atomic_load(&turn) != mine)
			return (void *)(uintptr_t)(atomic_load(&turn) == TURN_END);
		mine += 2;
		pass(mine - 1);
	}
}

static uint32_t turns;

static void body_futex(unsigned long n)
{
	while (n--) {
		turns += 2;
		pass(turns - 1);
		wait_while(turns - 1);
		bad += atomic_load(&turn) != turns;
	}
}

static void run_futex(const char *name)
{
	struct loop loop = { .iterations = 60, .body = body_futex, .after = check_none_bad };
	pthread_t thread;
	void *good;

	stay_on_one_cpu();
	REQUIRE(pthread_create(&thread, NULL, futex_partner, NULL) == 0);
	measure(name, &loop);
	pass(TURN_END);
	REQUIRE(pthread_join(thread, &good) == 0 && good);
}

static void *thread_body(void *arg)
{
	return (void *)((uintptr_t)arg * 3 + 1);
}

static void body_thread(unsigned long n)
{
	while (n--) {
		pthread_t thread;
		void *answer = NULL;

		bad += pthread_create(&thread, NULL, thread_body, (void *)n) != 0;
		bad += pthread_join(thread, &answer) != 0 || (uintptr_t)answer != n * 3 + 1;
	}
}

static void run_thread(const char *name)
{
	struct loop loop = { .iterations = 8, .windows = 31, .body = body_thread, .after = check_none_bad };

	stay_on_one_cpu();
	measure(name, &loop);
}

/* ---- what a later part brings ---- */

static int event_in, event_out;

static void body_eventfd(unsigned long n)
{
	while (n--) {
		uint64_t value = n + 1, answer = 0;

		bad += write(event_out, &value, sizeof(value)) != sizeof(value);
		bad += read(event_in, &answer, sizeof(answer)) != sizeof(answer) || answer != value;
	}
}

static void run_eventfd_pingpong(const char *name)
{
	struct loop loop = { .iterations = 40, .body = body_eventfd, .after = check_none_bad };
	uint64_t value;
	pid_t pid;

	stay_on_one_cpu();
	event_in = eventfd(0, 0);
	event_out = eventfd(0, 0);
	if (event_in < 0 || event_out < 0)
		missing("eventfd: %s", strerror(errno));
	pid = must(fork(), "fork");
	if (pid == 0) {
		while (read(event_out, &value, sizeof(value)) == sizeof(value))
			if (write(event_in, &value, sizeof(value)) != sizeof(value))
				break;
		_exit(1);
	}
	measure(name, &loop);
	must(kill(pid, SIGKILL), "kill");
	waitpid(pid, NULL, 0);
}

#define EPOLL_COUNT 500

static int epoll;

static void body_epoll(unsigned long n)
{
	struct epoll_event event[4];

	while (n--)
		bad += epoll_wait(epoll, event, 4, -1) != 1 || event[0].data.u32 != EPOLL_COUNT - 1 ||
		       event[0].events != EPOLLIN;
}

static void run_epoll(const char *name)
{
	struct loop loop = { .iterations = 200, .body = body_epoll, .after = check_none_bad };
	int i;

	epoll = epoll_create1(0);
	if (epoll < 0)
		missing("epoll_create1: %s", strerror(errno));
	for (i = 0; i < EPOLL_COUNT; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		/* The reading ends of three pipes in turn would be one entry each; duplicates are entries of their own. */
		if (i == 0 || i == EPOLL_COUNT - 1)
			must(pipe(in), "pipe");
		must(epoll_ctl(epoll, EPOLL_CTL_ADD, must(dup(in[0]), "dup"), &event), "epoll_ctl");
	}
	REQUIRE(write(in[1], "x", 1) == 1);
	measure(name, &loop);
}

const struct op ipc_ops[] = {
	{ "pipe_1", GROUP_QUICK, run_pipe },
	{ "pipe_4k", GROUP_QUICK, run_pipe },
	{ "pipe_pingpong", GROUP_QUICK, run_pipe_pingpong },
	{ "pipe_bandwidth_mib", GROUP_QUICK, run_pipe_bandwidth },
	{ "futex_pingpong", GROUP_QUICK, run_futex },
	{ "pthread_create_join", GROUP_QUICK, run_thread },
	{ NULL, 0, NULL },
};

const struct op later_ops[] = {
	{ "unix_socket_pingpong", GROUP_LATER, run_socket_pingpong },
	{ "eventfd_pingpong", GROUP_LATER, run_eventfd_pingpong },
	{ "epoll_wait_500", GROUP_LATER, run_epoll },
	{ NULL, 0, NULL },
};
