/*
 * tap.h - what every ABI program uses to say what it found.
 *
 * A program is an ordinary static Linux program that prints TAP: one "ok" or
 * "not ok" line a point and the plan at its end, so that a program which dies
 * half way is seen to have died.  Every line is one write(), without stdio's
 * buffers: forked children inherit nothing half printed, and lines of several
 * processes do not mix.  Names of points are the same on every run and on
 * every kernel: the harness compares them with those of Linux by name.
 *
 * Children never print.  They say what they found by their exit status
 * (in_child) and the parent prints it.
 */
#ifndef TEST_ABI_TAP_H
#define TEST_ABI_TAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef TAP_DRAIN
#include <termios.h>
#endif

#ifndef SYS_set_mempolicy_home_node	/* newer than musl */
#define SYS_set_mempolicy_home_node 450
#endif

static int tap_points, tap_failures;

__attribute__((format(printf, 1, 2), unused))
static void tap_line(const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(1, line, len) != len)
		_exit(99);
#ifdef TAP_DRAIN
	tcdrain(1);	/* for tests whose subject throws pending output away */
#endif
}

__attribute__((format(printf, 4, 5), unused))
static bool tap_ok(bool good, const char *file, int at, const char *format, ...)
{
	char name[256];
	va_list args;
	int saved = errno;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	tap_points++;
	if (good) {
		tap_line("ok %d - %s", tap_points, name);
	} else {
		tap_failures++;
		tap_line("not ok %d - %s # %s:%d errno %d", tap_points, name,
			 file, at, saved);
	}
	errno = saved;
	return good;
}

__attribute__((format(printf, 5, 6), unused))
static bool tap_is(long long got, long long want, const char *file, int at,
		   const char *format, ...)
{
	char name[256];
	va_list args;
	int saved = errno;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	tap_points++;
	if (got == want) {
		tap_line("ok %d - %s", tap_points, name);
	} else {
		tap_failures++;
		tap_line("not ok %d - %s # got %lld (0x%llx) want %lld (0x%llx) "
			 "errno %d at %s:%d", tap_points, name, got, got, want,
			 want, saved, file, at);
	}
	errno = saved;
	return got == want;
}

/* `ok` tests a condition, `is` compares two integers, both with a name. */
#define ok(cond, ...) tap_ok(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define is(got, want, ...) \
	tap_is((long long)(got), (long long)(want), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...) \
	tap_ok(!strcmp((got), (want)), __FILE__, __LINE__, __VA_ARGS__)

/* The call fails with this errno.  0 stands for "did not fail". */
#define fails(call, error, ...) do {					\
	errno = 0;							\
	long r_ = (long)(call);						\
	int e_ = r_ == -1 ? errno : 0;					\
	tap_is(e_, (error), __FILE__, __LINE__, __VA_ARGS__);		\
} while (0)

/* The call does not fail. */
#define works(call, ...) fails(call, 0, __VA_ARGS__)

/* Run a body in a child; its wait status.  Falling out of it exits with 0. */
#define in_child(...) ({						\
	pid_t p_ = fork();						\
	if (p_ == 0) {							\
		__VA_ARGS__;						\
		_exit(0);						\
	}								\
	tap_wait(p_);							\
})

#define exited(status, code)  ((status) == ((code) << 8))
#define killed(status, sig)   (((status) & 0x7f) == (sig))

__attribute__((unused))
static int tap_wait(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

__attribute__((unused))
static void tap_sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

__attribute__((unused))
static long tap_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wait until `cond` holds, at most `ms` milliseconds; whether it came to hold. It is looked at once more when they are over. */
#define within(ms, cond) ({						\
	long end_ = tap_now_ms() + (ms);				\
	bool held_, late_ = false;					\
	while (!(held_ = (cond)) && !late_) {				\
		late_ = tap_now_ms() >= end_;				\
		tap_sleep_ms(2);					\
	}								\
	held_;								\
})

/*
 * The host may stop a CPU between any two instructions, for a fifth of a second and longer. What such a stop at the worst place
 * spoils is tried again: it does not come each time, and what a kernel does wrong it does each time.
 */
#define in_one_of(tries, cond) ({					\
	bool held_ = false;						\
	for (int try_ = 0; try_ < (tries) && !held_; try_++)		\
		held_ = (cond);						\
	held_;								\
})

/* The state letter of /proc/PID/stat, 0 when there is no such process. */
__attribute__((unused))
static char tap_state(pid_t pid)
{
	char path[64], text[512], *paren;
	int fd, len;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	text[len] = 0;
	paren = strrchr(text, ')');
	return paren ? paren[2] : 0;
}

/* Wait until a process sleeps, which is to be in the call that it is sent a signal out of. */
#define when_it_sleeps(pid) within(30000, tap_state(pid) == 'S')

/* Write a whole small file, replacing it. */
__attribute__((unused))
static int tap_file(const char *path, const void *data, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		return -1;
	if (write(fd, data, size) != (ssize_t)size || fchmod(fd, mode) < 0) {
		close(fd);
		return -1;
	}
	return close(fd);
}

__attribute__((unused))
static int tap_done(void)
{
	tap_line("1..%d", tap_points);
	return tap_failures ? 1 : 0;
}

#endif
