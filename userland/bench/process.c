/*
 * process.c - making processes: small ones, and a fork of one with much memory, whose parts are measured apart.
 *
 * The small process is this program, about thirty pages. What fork+exec+wait executes is this program too, which sees
 * its one argument and leaves with CHILD_STATUS at once.
 *
 * fork of 10 MiB and of 1 GiB, in 4 KiB pages, all written before:
 *   _call	the call, in the parent
 *   _write	the parent's first write afterwards, while the child lives: whatever fork put off is paid here
 *   _exit	from telling the child to leave to having reaped it: its address space goes
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

enum { SAMPLES = 31, BIG_SAMPLES = 7 };

static char *const exit_argv[] = { "bench", "--exit", NULL };
static char *const no_environment[] = { NULL };

static void __attribute__((noreturn)) become_exit(void)
{
	execve("/proc/self/exe", exit_argv, no_environment);
	_exit(1);
}

static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	must(sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
}

static void run_fork(const char *name)
{
	static struct series s;
	int i;

	stay_on_one_cpu();
	for (i = 0; i <= SAMPLES; i++) {
		uint64_t start = bench_now();
		pid_t pid = fork();

		if (pid == 0)
			_exit(CHILD_STATUS);
		expect_exit(pid, CHILD_STATUS);
		start = bench_now() - start;
		if (i)
			series_add(&s, start);
	}
	series_print(name, "", &s, 1);
}

static void run_fork_exec(const char *name)
{
	static struct series s;
	int i;

	stay_on_one_cpu();
	for (i = 0; i <= SAMPLES; i++) {
		uint64_t start = bench_now();
		pid_t pid = fork();

		if (pid == 0)
			become_exit();
		expect_exit(pid, CHILD_STATUS);
		start = bench_now() - start;
		if (i)
			series_add(&s, start);
	}
	series_print(name, "", &s, 1);
}

static void run_vfork_exec(const char *name)
{
	static struct series s;
	int i;

	stay_on_one_cpu();
	for (i = 0; i <= SAMPLES; i++) {
		uint64_t start = bench_now();
		pid_t pid = vfork();

		if (pid == 0)
			become_exit();
		expect_exit(pid, CHILD_STATUS);
		start = bench_now() - start;
		if (i)
			series_add(&s, start);
	}
	series_print(name, "", &s, 1);
}

/* ---- fork with much memory ---- */

struct parts {
	struct series call, write, exit;
};

static void check_big(const unsigned char *area, size_t bytes, size_t written, unsigned char value)
{
	size_t i;

	for (i = 0; i < bytes; i += PAGE)
		if (area[i] != (i == written ? value : 1))
			failed("page %zu has %d", i / PAGE, area[i]);
}

static void fork_once(unsigned char *area, size_t bytes, int round, struct parts *parts)
{
	size_t at = (bytes / 2 + round * 4 * MIB) % bytes & ~(PAGE - 1);
	uint64_t start;
	int gate[2];
	pid_t pid;
	char c;

	must(pipe(gate), "pipe");
	start = bench_now();
	pid = fork();
	if (pid == 0) {
		close(gate[1]);
		REQUIRE(read(gate[0], &c, 1) == 1);
		_exit(area[at] == 1 && area[0] == 1 && area[bytes - PAGE] == 1 ? CHILD_STATUS : 1);
	}
	series_add(&parts->call, bench_now() - start);
	must(pid, "fork");
	start = bench_now();
	area[at] = 200 + round;
	series_add(&parts->write, bench_now() - start);
	start = bench_now();
	REQUIRE(write(gate[1], "x", 1) == 1);
	expect_exit(pid, CHILD_STATUS);
	series_add(&parts->exit, bench_now() - start);
	close(gate[0]);
	close(gate[1]);
	check_big(area, bytes, at, 200 + round);
	area[at] = 1;
}

static void run_fork_big(const char *name)
{
	static struct parts parts;
	size_t bytes = strstr(name, "1g") ? GIB : 10 * MIB;
	unsigned char *area = must_map(bytes, MAP_PRIVATE | MAP_NORESERVE);
	size_t i;
	int round;

	stay_on_one_cpu();
	madvise(area, bytes, MADV_NOHUGEPAGE);
	for (i = 0; i < bytes; i += PAGE)
		area[i] = 1;
	for (round = 0; round <= BIG_SAMPLES; round++) {
		fork_once(area, bytes, round, &parts);
		if (!round)
			parts.call.count = parts.write.count = parts.exit.count = 0;
	}
	series_print(name, "_call", &parts.call, 1);
	series_print(name, "_write", &parts.write, 1);
	series_print(name, "_exit", &parts.exit, 1);
}

const struct op process_ops[] = {
	{ "fork_exit_wait", GROUP_QUICK, run_fork },
	{ "fork_exec_wait", GROUP_QUICK, run_fork_exec },
	{ "vfork_exec_wait", GROUP_QUICK, run_vfork_exec },
	{ "fork_10m", GROUP_QUICK, run_fork_big },
	{ "fork_1g", GROUP_LONG, run_fork_big },
	{ NULL, 0, NULL },
};
