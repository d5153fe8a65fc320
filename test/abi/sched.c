/*
 * Scheduling: policies and their rules, sched_setattr(2) with sizes and flags, priorities of groups and users, affinity,
 * and what happens in time: a real-time thread runs before its waker goes on, weights are shares, a FIFO loop does not
 * lock others out, times of /proc add up.
 *
 * The test machine is emulated and shared: its host takes a CPU away for as long as it likes, and charges whoever has it. Shares
 * are therefore not those at one moment but those that come about in a while: what was stolen from one the scheduler makes good.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "tap.h"

#define SCHED_DEADLINE_POLICY 6

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
	uint64_t more[4];
};

static long setattr(struct attr *a)
{
	return syscall(SYS_sched_setattr, 0, a, 0);
}

static long set(int policy, int priority)
{
	struct sched_param p = { .sched_priority = priority };

	return syscall(SYS_sched_setscheduler, 0, policy, &p);
}

/* ---- the calls --------------------------------------------------------------------------------- */

static void check_policies(void)
{
	struct sched_param p = { 0 };
	struct timespec ts = { 7, 7 };

	works(set(SCHED_FIFO, 10), "FIFO");
	is(syscall(SYS_sched_getscheduler, 0), SCHED_FIFO, "is told");
	works(syscall(SYS_sched_getparam, 0, &p), "its priority");
	is(p.sched_priority, 10, "is 10");
	works(syscall(SYS_sched_rr_get_interval, 0, &ts), "rr_get_interval of FIFO");
	is(ts.tv_sec + ts.tv_nsec, 0, "FIFO has no slice");
	works(set(SCHED_RR, 99), "RR");
	syscall(SYS_sched_rr_get_interval, 0, &ts);
	is(ts.tv_nsec, 100000000, "RR: 100 ms");
	fails(set(SCHED_RR, 100), EINVAL, "a priority of 100");
	fails(set(SCHED_RR, 0), EINVAL, "RR with priority 0");
	fails(set(SCHED_OTHER, 1), EINVAL, "OTHER with priority 1");
	fails(set(4, 0), EINVAL, "policy 4");
	fails(set(7, 0), EINVAL, "policy 7");
	fails(set(-1, 0), EINVAL, "policy -1");
	fails(syscall(SYS_sched_setscheduler, 0, 0, NULL), EINVAL, "no parameter");
	fails(syscall(SYS_sched_setscheduler, -1, 0, &p), EINVAL, "thread -1");
	fails(syscall(SYS_sched_setscheduler, 99999, 0, &p), ESRCH, "an invalid one for nobody");
	p.sched_priority = 0;
	fails(syscall(SYS_sched_setscheduler, 99999, 0, &p), ESRCH, "nobody");
	works(set(SCHED_OTHER | SCHED_RESET_ON_FORK, 0), "reset on fork");
	is(syscall(SYS_sched_getscheduler, 0), SCHED_RESET_ON_FORK, "is told");
	works(set(SCHED_FIFO | SCHED_RESET_ON_FORK, 5), "FIFO with reset on fork");
	is(in_child(_exit(syscall(SYS_sched_getscheduler, 0) != SCHED_OTHER)), 0, "a child is OTHER, without the flag");
	works(setpriority(PRIO_PROCESS, 0, 7), "a nice value that is not used meanwhile");
	is(in_child(_exit(getpriority(PRIO_PROCESS, 0))), 0, "the child's is 0");
	works(setpriority(PRIO_PROCESS, 0, 0), "ours again");
	works(set(SCHED_BATCH, 0), "BATCH");
	is(in_child(_exit(syscall(SYS_sched_getscheduler, 0) != SCHED_BATCH)), 0, "is inherited");
	works(set(SCHED_IDLE, 0), "IDLE");
	works(set(SCHED_OTHER, 0), "OTHER");
}

static void check_attr(void)
{
	struct attr a = { .size = 56, .policy = SCHED_BATCH, .nice = 3 }, b = { 0 };

	works(setattr(&a), "setattr: BATCH, nice 3");
	works(syscall(SYS_sched_getattr, 0, &b, sizeof(b), 0), "getattr with room");
	is(b.policy, SCHED_BATCH, "policy");
	is(b.nice, 3, "nice");
	is(b.size, 56, "size is the kernel's");
	memset(&b, 0xff, sizeof(b));
	works(syscall(SYS_sched_getattr, 0, &b, 48, 0), "getattr of version 0");
	is(b.size, 48, "its size");
	fails(syscall(SYS_sched_getattr, 0, &b, 47, 0), EINVAL, "getattr: 47 bytes");
	fails(syscall(SYS_sched_getattr, 0, &b, 5000, 0), EINVAL, "getattr: 5000 bytes");
	fails(syscall(SYS_sched_getattr, 0, &b, 56, 1), EINVAL, "getattr: flags");
	fails(syscall(SYS_sched_getattr, 0, NULL, 56, 0), EINVAL, "getattr: nowhere");
	a = (struct attr){ .size = 40 };
	fails(setattr(&a), E2BIG, "setattr: 40 bytes");
	is(a.size, 56, "tells the kernel's size");
	a = (struct attr){ .size = sizeof(a), .more = { 0, 1 } };
	fails(setattr(&a), E2BIG, "setattr: more than the kernel knows");
	a = (struct attr){ .size = sizeof(a), .policy = SCHED_OTHER };
	works(setattr(&a), "setattr: larger, but empty there");
	a = (struct attr){ .size = 0, .policy = SCHED_OTHER };
	works(setattr(&a), "setattr: size 0 is version 0");
	a = (struct attr){ .size = 56, .flags = 0x80 };
	fails(setattr(&a), EINVAL, "an unknown flag");
	a = (struct attr){ .size = 56, .policy = -1u };
	fails(setattr(&a), EINVAL, "policy -1");
	a = (struct attr){ .size = 48, .flags = 0x20, .util_min = 10 };
	fails(setattr(&a), EINVAL, "a clamp of version 0");
	fails(syscall(SYS_sched_setattr, 0, &a, 1), EINVAL, "setattr: flags");
	a = (struct attr){ .size = 56, .policy = SCHED_FIFO, .priority = 7 };
	works(setattr(&a), "FIFO 7");
	a = (struct attr){ .size = 56, .policy = SCHED_OTHER, .flags = 0x08 | 0x10, .nice = 9 };
	works(setattr(&a), "keep all");
	syscall(SYS_sched_getattr, 0, &b, 56, 0);
	is(b.policy * 100 + b.priority, SCHED_FIFO * 100 + 7, "is FIFO 7 as before");
	a = (struct attr){ .size = 56, .policy = SCHED_OTHER, .nice = 100 };
	works(setattr(&a), "nice 100");
	is(getpriority(PRIO_PROCESS, 0), 19, "is 19");
	a.nice = 0;
	works(setattr(&a), "nice 0");
}

static void check_deadline(void)
{
	struct attr a = { .size = 56, .policy = SCHED_DEADLINE_POLICY };

	fails(setattr(&a), EINVAL, "DEADLINE without numbers");
	a = (struct attr){ .size = 56, .policy = SCHED_DEADLINE_POLICY, .runtime = 1000000, .deadline = 500000 };
	fails(setattr(&a), EINVAL, "a deadline before the runtime's end");
	a = (struct attr){ .size = 56, .policy = SCHED_DEADLINE_POLICY, .runtime = 100, .deadline = 1000000 };
	fails(setattr(&a), EINVAL, "a runtime of 100 ns");
	a = (struct attr){ .size = 56, .policy = SCHED_DEADLINE_POLICY, .runtime = 1000000, .deadline = 2000000,
			   .period = 1500000 };
	fails(setattr(&a), EINVAL, "a period before the deadline");
	a = (struct attr){ .size = 56, .policy = SCHED_DEADLINE_POLICY, .runtime = 1000000, .deadline = 2000000 };

	is(in_child({
		a.priority = 0, a.period = 0;
		if (setgid(1000) || setuid(1000))
			_exit(9);
		_exit(setattr(&a) == -1 && errno == EPERM ? 0 : 1);
	}), 0, "DEADLINE without privilege");
}

/* As an ordinary user. Each number is a step that failed. */
static void check_unprivileged(void)
{
	is(in_child({
		struct rlimit none = { 0, 0 }, some = { 5, 5 }, nice10 = { 30, 30 };
		struct attr a = { .size = 56, .policy = SCHED_FIFO, .priority = 1 };

		setrlimit(RLIMIT_RTPRIO, &none);
		setrlimit(RLIMIT_NICE, &none);
		if (setgid(1000) || setuid(1000))
			_exit(1);
		if (setattr(&a) != -1 || errno != EPERM)
			_exit(2);
		if (setpriority(PRIO_PROCESS, 0, 5) || setpriority(PRIO_PROCESS, 0, 4) != -1 || errno != EACCES)
			_exit(3);
		if (setpriority(PRIO_PROCESS, getppid(), 5) != -1 || errno != EPERM)
			_exit(4);
		if (set(SCHED_IDLE, 0) || set(SCHED_OTHER, 0) != -1 || errno != EPERM)
			_exit(5);
		(void)some, (void)nice10;
		_exit(0);
	}), 0, "without limits: no real-time, only nicer, IDLE for ever");
	is(in_child({
		struct rlimit some = { 5, 5 }, nice10 = { 30, 30 };

		setrlimit(RLIMIT_RTPRIO, &some);
		setrlimit(RLIMIT_NICE, &nice10);
		if (setgid(1000) || setuid(1000))
			_exit(1);
		if (set(SCHED_FIFO, 5) || set(SCHED_FIFO, 6) != -1 || errno != EPERM)
			_exit(2);
		if (set(SCHED_OTHER, 0) || setpriority(PRIO_PROCESS, 0, -10) || setpriority(PRIO_PROCESS, 0, -11) != -1)
			_exit(3);
		if (set(SCHED_OTHER | SCHED_RESET_ON_FORK, 0) || set(SCHED_OTHER, 0) != -1 || errno != EPERM)
			_exit(4);
		_exit(0);
	}), 0, "with RLIMIT_RTPRIO 5 and RLIMIT_NICE 30: up to there, and reset-on-fork cannot be taken back");
}

static void check_groups(void)
{
	int hold[2];
	pid_t child;
	char c;

	if (pipe(hold))
		_exit(90);
	child = fork();
	if (child == 0) {
		close(hold[1]);
		setpgid(0, 0);
		if (read(hold[0], &c, 1) < 0)
			_exit(1);
		_exit(getpriority(PRIO_PROCESS, 0));
	}
	close(hold[0]);
	setpgid(child, child);
	works(setpriority(PRIO_PGRP, child, 7), "setpriority of a group");
	is(getpriority(PRIO_PGRP, child), 7, "getpriority of it");
	is(getpriority(PRIO_PROCESS, child), 7, "its process");
	fails(setpriority(PRIO_PGRP, 99999, 0), ESRCH, "a group that is not there");
	fails(setpriority(PRIO_USER, 54321, 0), ESRCH, "a user without processes");
	ok(getpriority(PRIO_USER, 0) <= 0, "getpriority of the user: the most favoured");
	close(hold[1]);
	is(tap_wait(child), 7 << 8, "the child sees it");
}

static void check_affinity(void)
{
	unsigned long mask[16] = { 0 }, before[16] = { 0 };
	long n = syscall(SYS_sched_getaffinity, 0, sizeof(before), before);
	unsigned cpu = 99, node = 99;

	ok(n >= 8, "getaffinity");
	mask[0] = 1;
	works(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), "to CPU 0");
	syscall(SYS_getcpu, &cpu, &node, NULL);
	is(cpu, 0, "it is there when the call returns");
	is(in_child({
		unsigned long m[16] = { 0 };

		syscall(SYS_sched_getaffinity, 0, sizeof(m), m);
		_exit(m[0] != 1);
	}), 0, "is inherited");
	mask[0] = 0;
	mask[15] = 1ul << 63;
	fails(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL, "to a CPU that is not there");
	fails(syscall(SYS_sched_setaffinity, 99999, sizeof(mask), before), ESRCH, "of nobody");
	works(syscall(SYS_sched_setaffinity, 0, sizeof(before), before), "back");
}

/* ---- in time ----------------------------------------------------------------------------------- */

static void pin(int cpu)
{
	unsigned long mask[16] = { [0] = 1ul << cpu };

	syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

struct shared {
	atomic_uint go, stop, step, late, good;
	uint64_t ran[8];
};

static struct shared *shared_make(void)
{
	return mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* n loops on CPU 0 until one of them has had a second and all have what is right, or one of them ten; nice of the last is `nice`. */
static void loops(struct shared *s, int n, int nice, bool (*right)(const struct shared *s))
{
	pid_t child[8];

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < n; i++) {
		child[i] = fork();
		if (child[i])
			continue;
		pin(0);
		if (i == n - 1)
			setpriority(PRIO_PROCESS, 0, nice);
		atomic_fetch_add(&s->go, 1);
		while (atomic_load(&s->go) < (unsigned)n)
			sched_yield();
		for (uint64_t start = cpu_ns(); !atomic_load(&s->stop);) {
			for (volatile int k = 0; k < 1000; k++)
				;
			s->ran[i] = cpu_ns() - start;
			if (s->ran[i] >= 1000000000ull && right(s))
				atomic_store(&s->good, 1);	/* now: what is stolen while they end counts no more */
			if (atomic_load(&s->good) || s->ran[i] >= 10000000000ull)
				atomic_store(&s->stop, 1);
		}
		_exit(0);
	}
	for (int i = 0; i < n; i++)
		tap_wait(child[i]);
}

static void extremes(const struct shared *s, uint64_t *least, uint64_t *most)
{
	*least = ~0ull;
	*most = 0;
	for (int i = 0; i < 3; i++) {
		*least = s->ran[i] < *least ? s->ran[i] : *least;
		*most = s->ran[i] > *most ? s->ran[i] : *most;
	}
}

/* Halcyon's figure is 3 % (ring figures); Linux's slices are coarser on a slow machine. */
static bool even(const struct shared *s)
{
	uint64_t least, most;

	extremes(s, &least, &most);
	return least * 100 >= most * 90;
}

static bool as_335_to_1024(const struct shared *s)
{
	return s->ran[0] * 335 < s->ran[1] * 1024 * 125 / 100 && s->ran[0] * 335 * 125 / 100 > s->ran[1] * 1024;
}

static void check_shares(void)
{
	struct shared *s = shared_make();
	uint64_t least, most;

	loops(s, 3, 0, even);
	extremes(s, &least, &most);
	ok(atomic_load(&s->good), "three loops on one CPU have the same within a tenth");
	tap_line("# shares: least %llu us, most %llu us", (unsigned long long)least / 1000, (unsigned long long)most / 1000);
	loops(s, 2, 5, as_335_to_1024);
	ok(atomic_load(&s->good), "nice 5 against nice 0: 335 to 1024");
	tap_line("# nice 5: %llu us against %llu us", (unsigned long long)s->ran[1] / 1000, (unsigned long long)s->ran[0] / 1000);
}

/* The FIFO thread stamps `step` before its waker, on the same CPU, has looked again. */
static void check_fifo(void)
{
	struct shared *s = shared_make();
	int wake[2];
	pid_t child;
	char c = 1;

	pin(0);
	memset(s, 0, sizeof(*s));
	if (pipe(wake))
		_exit(90);
	child = fork();
	if (child == 0) {
		set(SCHED_FIFO, 50);
		atomic_store(&s->go, 1);
		while (read(wake[0], &c, 1) == 1 && c)
			atomic_fetch_add(&s->step, 1);
		_exit(0);
	}
	while (!atomic_load(&s->go))
		sched_yield();
	usleep(20000);
	for (unsigned i = 0; i < 200; i++) {
		if (write(wake[1], &c, 1) != 1)
			_exit(91);
		if (atomic_load(&s->step) != i + 1)
			atomic_fetch_add(&s->late, 1);
	}
	is(atomic_load(&s->late), 0, "a FIFO thread has run when the write that woke it returns, 200 times");
	c = 0;
	is(write(wake[1], &c, 1), 1, "the end");
	tap_wait(child);
}

/* A FIFO loop on this CPU, and an ordinary thread beside it: it still gets some of each second, and needs little. */
static void check_limit(void)
{
	struct shared *s = shared_make();
	uint64_t start;
	pid_t child;

	memset(s, 0, sizeof(*s));
	pin(0);
	child = fork();
	if (child == 0) {
		set(SCHED_FIFO, 90);
		for (start = mono_ns(); mono_ns() - start < 30000000000ull && !atomic_load(&s->stop);)
			atomic_store(&s->go, 1);
		_exit(atomic_load(&s->stop) ? 0 : 1);
	}
	while (!atomic_load(&s->go))
		sched_yield();
	atomic_store(&s->stop, 1);
	is(tap_wait(child), 0, "a FIFO loop does not lock out others");
}

static void check_files(void)
{
	unsigned long long run, delay, times, u[10], t0, t1;
	char text[4096], name[64];
	FILE *f = fopen("/proc/self/schedstat", "r");

	is(f ? fscanf(f, "%llu %llu %llu", &run, &delay, &times) : 0, 3, "/proc/self/schedstat has three numbers");
	ok(run > 0 && times > 0, "that are not zero");
	if (f)
		fclose(f);
	f = fopen("/proc/self/sched", "r");
	ok(f && fgets(text, sizeof(text), f) && sscanf(text, "%63s (%llu, #threads: %llu)", name, &t0, &t1) == 3 && t1 == 1 &&
	   t0 == (unsigned long long)getpid(), "/proc/self/sched names the thread");
	ok(f && fread(text, 1, sizeof(text) - 1, f) > 0 && strstr(text, "se.sum_exec_runtime") && strstr(text, "\npolicy  ") &&
	   strstr(text, "nr_involuntary_switches"), "and has its lines");
	if (f)
		fclose(f);
	f = fopen("/proc/schedstat", "r");
	ok(f && fgets(text, sizeof(text), f) && !strcmp(text, "version 15\n"), "/proc/schedstat: version 15");
	ok(f && fscanf(f, "timestamp %llu cpu0 %llu %llu %llu %llu %llu %llu %llu %llu %llu", &t0, u, u + 1, u + 2, u + 3, u + 4,
		       u + 5, u + 6, u + 7, u + 8) == 10, "nine numbers of CPU 0");
	if (f)
		fclose(f);
	f = fopen("/proc/sys/kernel/sched_rt_runtime_us", "r");
	ok(f && fscanf(f, "%llu", &t0) == 1 && t0 == 950000, "sched_rt_runtime_us");
	if (f)
		fclose(f);
}

int main(void)
{
	check_policies();
	check_attr();
	check_deadline();
	check_unprivileged();
	check_groups();
	check_affinity();
	check_files();
	check_fifo();
	check_limit();
	check_shares();
	return tap_done();
}
