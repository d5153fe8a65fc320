/*
 * hotplug.c - CPUs that go offline and come back through /sys/devices/system/cpu: what programs see of it, and that work goes on.
 *
 * It needs a machine of two CPUs at least (test/abi/plan.txt says so) and works with CPU 1; the oracle has two.
 */
#include "tap.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

#define CPU_DIR		"/sys/devices/system/cpu/"
#define OTHER		1
#define TOGGLES		8
#define WORKERS		6

static ssize_t get(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

/* 0, or the errno of the write. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno;
	close(fd);
	return err;
}

static int set_online(bool on)
{
	return put(CPU_DIR "cpu1/online", on ? "1" : "0");
}

/* Is a CPU in a list such as "0-1,3"? */
static bool listed(const char *path, unsigned long cpu)
{
	char text[200], *at = text;

	get(path, text, sizeof(text));
	while (*at >= '0' && *at <= '9') {
		unsigned long first = strtoul(at, &at, 10), last = first;

		if (*at == '-')
			last = strtoul(at + 1, &at, 10);
		if (first <= cpu && cpu <= last)
			return true;
		at += *at == ',';
	}
	return false;
}

static bool may_run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_ISSET(cpu, &set);
}

static int pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* How many lines of a file begin so. */
static unsigned int lines(const char *path, const char *begin)
{
	char line[1024];
	unsigned int n = 0;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		n += !strncmp(line, begin, strlen(begin));
	if (f)
		fclose(f);
	return n;
}

/* Those that maxcpus= left out at boot come for the first time: ring torture leaves one out. */
static void check_late(void)
{
	char path[64], present[200], online[200];
	unsigned int wrong = 0;

	for (unsigned int cpu = 1; cpu < 512; cpu++) {
		snprintf(path, sizeof(path), CPU_DIR "cpu%u/online", cpu);
		wrong += access(path, F_OK) == 0 && put(path, "1") != 0;
	}
	is(wrong, 0, "each CPU that is there comes online");
	ok(get(CPU_DIR "present", present, sizeof(present)) > 0 && get(CPU_DIR "online", online, sizeof(online)) > 0 &&
	   !strcmp(present, online), "then all that are present are online");
}

static void check_files(void)
{
	char text[200];

	ok(listed(CPU_DIR "possible", 0) && listed(CPU_DIR "possible", OTHER), "both CPUs are possible");
	ok(listed(CPU_DIR "present", 0) && listed(CPU_DIR "present", OTHER), "both are present");
	ok(listed(CPU_DIR "online", 0) && listed(CPU_DIR "online", OTHER), "both are online");
	ok(get(CPU_DIR "offline", text, sizeof(text)) >= 0, "there is a list of those that are offline");
	ok(get(CPU_DIR "kernel_max", text, sizeof(text)) > 0 && strtoul(text, NULL, 10) >= OTHER, "kernel_max");
	ok(access(CPU_DIR "cpu0/online", F_OK) < 0 && errno == ENOENT, "the boot CPU cannot be taken away");
	get(CPU_DIR "cpu1/online", text, sizeof(text));
	ok(!strcmp(text, "1\n"), "cpu1/online says 1");
	get(CPU_DIR "cpu1/topology/core_id", text, sizeof(text));
	ok(text[0] >= '0' && text[0] <= '9', "topology: core_id");
	get(CPU_DIR "cpu1/topology/physical_package_id", text, sizeof(text));
	ok(text[0] >= '0' && text[0] <= '9', "topology: physical_package_id");
	ok(listed(CPU_DIR "cpu1/topology/thread_siblings_list", OTHER), "topology: a CPU is its own sibling");
	ok(put(CPU_DIR "cpu1/online", "x") == EINVAL, "a word that is no answer is EINVAL");
	ok(put(CPU_DIR "cpu1/online", "2") == EINVAL, "2 is none either");
	ok(set_online(true) == 0, "what is online may be made so again");
}

static void check_offline(void)
{
	unsigned int stat = lines("/proc/stat", "cpu"), info = lines("/proc/cpuinfo", "processor");
	char text[200];

	ok(set_online(false) == 0, "CPU 1 goes offline");
	get(CPU_DIR "cpu1/online", text, sizeof(text));
	ok(!strcmp(text, "0\n"), "cpu1/online says 0");
	ok(!listed(CPU_DIR "online", OTHER) && listed(CPU_DIR "online", 0), "it is gone from the list");
	ok(listed(CPU_DIR "offline", OTHER), "it stands in the other one");
	ok(listed(CPU_DIR "present", OTHER), "it is present still");
	ok(!may_run_on(OTHER) && may_run_on(0), "sched_getaffinity does not show it");
	fails(pin(OTHER), EINVAL, "nobody can be bound to it");
	is(lines("/proc/stat", "cpu"), stat - 1, "/proc/stat has a line less");
	is(lines("/proc/cpuinfo", "processor"), info - 1, "/proc/cpuinfo too");
	ok(set_online(false) == 0, "what is offline may be made so again");
	ok(set_online(true) == 0, "CPU 1 comes back");
	ok(listed(CPU_DIR "online", OTHER) && !listed(CPU_DIR "offline", OTHER), "it is in the list again");
	ok(may_run_on(OTHER), "sched_getaffinity shows it");
	is(lines("/proc/stat", "cpu"), stat, "/proc/stat has its line");
	ok(pin(OTHER) == 0 && sched_getcpu() == OTHER, "it runs programs");
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	works(sched_setaffinity(0, sizeof(all), &all), "and everything may run everywhere");
}

/* What a bound child finds after its CPU went: exit status. */
enum { BOUND_OK = 10, BOUND_STILL_THERE, BOUND_LATE, BOUND_EARLY, BOUND_NOT_AT_ALL };

static volatile int *gone;	/* its CPU has gone */

static int bound_child(int go, long nap_ms)
{
	struct timespec nap = { nap_ms / 1000, nap_ms % 1000 * 1000000 };
	long start, ms;

	if (pin(OTHER) < 0 || sched_getcpu() != OTHER)
		return BOUND_NOT_AT_ALL;
	if (write(go, "r", 1) != 1)
		return BOUND_NOT_AT_ALL;
	start = tap_now_ms();
	nanosleep(&nap, NULL);		/* its CPU goes meanwhile, and its timer was there */
	if (!*gone)
		return BOUND_EARLY;
	ms = tap_now_ms() - start;
	if (ms < nap_ms - 1 || ms > nap_ms + 60000)
		return BOUND_LATE;
	return sched_getcpu() == OTHER || may_run_on(OTHER) ? BOUND_STILL_THERE : BOUND_OK;
}

/* The child's exit status, -1: something else went wrong. */
static int lose_the_cpu(long nap_ms)
{
	int ready[2], status = 0;
	bool good;
	pid_t pid;
	char c;

	*gone = 0;
	if (pipe(ready))
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(bound_child(ready[1], nap_ms));
	good = read(ready[0], &c, 1) == 1;
	good = set_online(false) == 0 && good;
	*gone = 1;
	good = waitpid(pid, &status, 0) == pid && WIFEXITED(status) && good;
	good = set_online(true) == 0 && good;
	close(ready[0]);
	close(ready[1]);
	return good ? WEXITSTATUS(status) : -1;
}

/* A machine that needs longer than the child's nap to take its CPU away tries again with a longer one. */
static void check_bound(void)
{
	int status = BOUND_EARLY;

	gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (long nap_ms = 300; status == BOUND_EARLY && nap_ms < 30000; nap_ms *= 3)
		status = lose_the_cpu(nap_ms);
	is(status, BOUND_OK, "one that is bound to CPU 1 and sleeps wakes in time, on another CPU");
}

/* ---- under load ---- */

static volatile int *stop_work;

static int work_pipe(void)
{
	int fds[2];
	unsigned char in, out = 0;

	if (pipe(fds) < 0)
		return 1;
	while (!*stop_work) {
		out++;
		if (write(fds[1], &out, 1) != 1 || read(fds[0], &in, 1) != 1 || in != out)
			return 2;
	}
	return 0;
}

static int work_fork(void)
{
	int status;

	while (!*stop_work) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(7);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			return 1;
	}
	return 0;
}

static int work_map(void)
{
	while (!*stop_work) {
		unsigned char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 1;
		for (int i = 0; i < 65536; i += 4096)
			if (p[i]++ != 0)
				return 2;
		if (munmap(p, 65536) < 0)
			return 3;
	}
	return 0;
}

static int work_sleep(void)
{
	struct timespec nap = { 0, 1000000 };

	while (!*stop_work)
		if (nanosleep(&nap, NULL) < 0)
			return 1;
	return 0;
}

static int work_bound(void)
{
	while (!*stop_work)
		if (pin(OTHER) < 0 && errno != EINVAL)
			return 1;
	return 0;
}

static int work_spin(void)
{
	while (!*stop_work)
		;
	return 0;
}

static void check_load(void)
{
	static int (*const works_[WORKERS])(void) = { work_pipe, work_fork, work_map, work_sleep, work_bound, work_spin };
	struct timespec pause = { 0, 20000000 };
	pid_t pids[WORKERS];
	unsigned int i, wrong = 0;

	stop_work = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(works_[i]());
	}
	for (i = 0; i < TOGGLES; i++) {
		wrong += set_online(false) != 0;
		nanosleep(&pause, NULL);
		wrong += set_online(true) != 0;
		nanosleep(&pause, NULL);
	}
	is(wrong, 0, "under load CPU 1 goes and comes %d times", TOGGLES);
	*stop_work = 1;
	for (i = 0, wrong = 0; i < WORKERS; i++) {
		int status = -1;

		wrong += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
	}
	is(wrong, 0, "all who worked meanwhile found everything right");
}

int main(void)
{
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	check_late();
	check_files();
	check_offline();
	check_bound();
	check_load();
	return tap_done();
}
