/*
 * syscalls.c - single system calls that touch no file, and signals.
 *
 * Each goes through musl's own wrapper, as programs call it; the loop around it is a few instructions, the same on both
 * kernels.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

static unsigned long bad;	/* results of the window that were wrong */

static void check_none_bad(unsigned long n)
{
	if (bad)
		failed("%lu of %lu results are wrong", bad, n);
}

/* ---- getppid ---- */

static pid_t parent;

static void body_getppid(unsigned long n)
{
	while (n--)
		bad += syscall(SYS_getppid) != parent;
}

static void run_getppid(const char *name)
{
	struct loop loop = { .iterations = 1000, .body = body_getppid, .after = check_none_bad };
	char text[300];
	int fd = must(open("/proc/self/stat", O_RDONLY), "/proc/self/stat");
	ssize_t len = must(read(fd, text, sizeof(text) - 1), "stat");
	char *at;

	/* The fourth field, not getppid itself, says who the parent is. */
	close(fd);
	text[len] = 0;
	for (at = text; *at && *at != ')'; at++)
		;
	REQUIRE(at[0] == ')' && at[1] == ' ' && at[3] == ' ');
	for (at += 4, parent = 0; *at >= '0' && *at <= '9'; at++)
		parent = parent * 10 + *at - '0';
	REQUIRE(parent > 0);
	measure(name, &loop);
}

/* ---- clock_gettime ---- */

static struct timespec last;

static void body_clock(unsigned long n)
{
	struct timespec ts;

	while (n--) {
		bad += clock_gettime(CLOCK_MONOTONIC, &ts) != 0;
		bad += ts.tv_sec < last.tv_sec || (ts.tv_sec == last.tv_sec && ts.tv_nsec < last.tv_nsec);
		last = ts;
	}
}

static void body_clock_call(unsigned long n)
{
	struct timespec ts;

	while (n--) {
		bad += syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts) != 0;
		bad += ts.tv_sec < last.tv_sec || (ts.tv_sec == last.tv_sec && ts.tv_nsec < last.tv_nsec);
		last = ts;
	}
}

static struct timespec window_start;

static void before_clock(void)
{
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &window_start);
}

/* The clock went on in the window, and the kernel's own clock agrees with what was read last. */
static void after_clock(unsigned long n)
{
	struct timespec ts;
	long long moved, apart;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	moved = (last.tv_sec - window_start.tv_sec) * 1000000000ll + last.tv_nsec - window_start.tv_nsec;
	apart = (ts.tv_sec - last.tv_sec) * 1000000000ll + ts.tv_nsec - last.tv_nsec;
	REQUIRE(moved > 0);
	REQUIRE(apart >= 0 && apart < 1000000000ll);
	check_none_bad(n);
}

static void run_clock(const char *name)
{
	struct loop loop = { .iterations = 2000, .before = before_clock, .body = body_clock, .after = after_clock };

	measure(name, &loop);
}

static void run_clock_call(const char *name)
{
	struct loop loop = { .iterations = 1000, .before = before_clock, .body = body_clock_call, .after = after_clock };

	measure(name, &loop);
}

/* ---- signals ---- */

static volatile unsigned long handled;

static void on_signal(int sig __attribute__((unused)))
{
	handled++;
}

static void on_other(int sig __attribute__((unused)))
{
	handled += 1000000;
}

static void body_sigaction(unsigned long n)
{
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;
	unsigned long i;

	for (i = 0; i < n; i++) {
		a.sa_handler = i & 1 ? on_other : on_signal;
		bad += sigaction(SIGUSR1, &a, &old) != 0 || old.sa_handler != (i & 1 ? on_signal : on_other);
	}
}

static void run_sigaction(const char *name)
{
	struct loop loop = { .iterations = 800, .body = body_sigaction, .after = check_none_bad };

	signal(SIGUSR1, on_other);
	measure(name, &loop);
}

static sigset_t only_usr2;

static int usr2_is_blocked(void)
{
	sigset_t now;

	must(sigprocmask(SIG_BLOCK, NULL, &now), "sigprocmask");
	return sigismember(&now, SIGUSR2);
}

/* Asks for the mask that there is: what a library does around each of its critical sections mostly changes nothing. */
static void body_sigprocmask(unsigned long n)
{
	while (n--)
		bad += sigprocmask(SIG_SETMASK, &only_usr2, NULL) != 0;
}

/* An even number of calls: blocked, unblocked, blocked, ... and nothing asked for in return. */
static void body_sigprocmask_change(unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		bad += sigprocmask(i & 1 ? SIG_UNBLOCK : SIG_BLOCK, &only_usr2, NULL) != 0;
}

static void before_sigprocmask(void)
{
	must(sigprocmask(SIG_SETMASK, &only_usr2, NULL), "sigprocmask");
}

static void after_sigprocmask(unsigned long n)
{
	check_none_bad(n);
	REQUIRE(usr2_is_blocked());
	must(sigprocmask(SIG_UNBLOCK, &only_usr2, NULL), "sigprocmask");
	REQUIRE(!usr2_is_blocked());
	body_sigprocmask(1);
	REQUIRE(usr2_is_blocked());
}

static void after_sigprocmask_change(unsigned long n)
{
	check_none_bad(n);
	REQUIRE(!usr2_is_blocked());
	body_sigprocmask_change(1);
	REQUIRE(usr2_is_blocked());
}

static void run_sigprocmask(const char *name)
{
	struct loop loop = { .iterations = 1000, .before = before_sigprocmask, .body = body_sigprocmask,
			     .after = after_sigprocmask };

	sigemptyset(&only_usr2);
	sigaddset(&only_usr2, SIGUSR2);
	if (strstr(name, "change")) {
		loop.body = body_sigprocmask_change;
		loop.after = after_sigprocmask_change;
	}
	measure(name, &loop);
}

static pid_t self;

static void before_signal(void)
{
	handled = 0;
}

static void body_signal(unsigned long n)
{
	while (n--)
		bad += kill(self, SIGUSR1) != 0;
}

static void after_signal(unsigned long n)
{
	check_none_bad(n);
	if (handled != n)
		failed("%lu signals, %lu handled", n, handled);
}

static void run_signal(const char *name)
{
	struct loop loop = { .iterations = 100, .before = before_signal, .body = body_signal, .after = after_signal };

	self = getpid();
	signal(SIGUSR1, on_signal);
	measure(name, &loop);
}

/* ---- sched_yield ---- */

static void body_yield(unsigned long n)
{
	while (n--)
		bad += sched_yield() != 0;
}

static void run_yield(const char *name)
{
	struct loop loop = { .iterations = 500, .body = body_yield, .after = check_none_bad };

	measure(name, &loop);
}

/*
 * Two threads on one CPU that do nothing but yield: the cost of a yield, whosever it was. The partner counts its own,
 * and both must have come along: a yield that does not let the other one run is no yield. (Linux lets the caller go on
 * now and then, where the other one is ahead in virtual time.)
 */
static atomic_ulong partner_yields;
static atomic_int stop;

static void *partner(void *unused __attribute__((unused)))
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		sched_yield();
		atomic_fetch_add_explicit(&partner_yields, 1, memory_order_relaxed);
	}
	return NULL;
}

static void run_yield_two(const char *name)
{
	enum { N = 300, WINDOWS = 15, SHARE = 1000, LEAST_SHARE = 50 };
	static struct series s;
	pthread_t thread;
	cpu_set_t one;
	int i;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	must(sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
	REQUIRE(pthread_create(&thread, NULL, partner, NULL) == 0);
	while (!atomic_load(&partner_yields))
		sched_yield();
	for (i = 0; i <= WINDOWS; i++) {
		unsigned long others = atomic_load(&partner_yields);
		uint64_t start = bench_now();

		body_yield(N);
		start = bench_now() - start;
		others = atomic_load(&partner_yields) - others;
		if (i)
			series_add(&s, start * SHARE / (N + others));
	}
	atomic_store(&stop, 1);
	REQUIRE(pthread_join(thread, NULL) == 0);
	check_none_bad(N);
	if (atomic_load(&partner_yields) < N * WINDOWS / LEAST_SHARE)
		failed("%d yields here, %lu there", N * WINDOWS, atomic_load(&partner_yields));
	series_print(name, "", &s, SHARE);
}

const struct op syscall_ops[] = {
	{ "getppid", GROUP_QUICK, run_getppid },
	{ "clock_gettime", GROUP_QUICK, run_clock },
	{ "clock_gettime_call", GROUP_QUICK, run_clock_call },
	{ "sigaction", GROUP_QUICK, run_sigaction },
	{ "sigprocmask", GROUP_QUICK, run_sigprocmask },
	{ "sigprocmask_change", GROUP_QUICK, run_sigprocmask },
	{ "signal_self", GROUP_QUICK, run_signal },
	{ "yield", GROUP_QUICK, run_yield },
	{ "yield_two_threads", GROUP_QUICK, run_yield_two },
	{ NULL, 0, NULL },
};
