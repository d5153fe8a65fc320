/*
 * times.c - clocks and sleeping, identification and small questions:
 * clock_gettime(2), nanosleep(2), uname(2), sysinfo(2), getrandom(2), nice.
 */
#include "tap.h"

#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>

static int64_t ns_of(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) < 0 ? -1 : ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void check_clocks(void)
{
	static const clockid_t clocks[] = {
		CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
		CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
	};
	struct timespec ts, raw;
	struct timeval tv;
	int64_t last = 0, now;
	unsigned int i, bad = 0;

	for (i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		works(syscall(SYS_clock_gettime, clocks[i], &ts), "clock_gettime: clock %d", clocks[i]);
		works(clock_getres(clocks[i], &ts), "clock_getres: clock %d", clocks[i]);
		ok(ts.tv_sec == 0 && ts.tv_nsec > 0 && ts.tv_nsec <= 10000000, "plausible resolution");
	}
	fails(syscall(SYS_clock_gettime, 77, &ts), EINVAL, "clock_gettime: an unknown clock");
	for (i = 0; i < 20000; i++) {
		now = ns_of(CLOCK_MONOTONIC);
		bad += now < last;
		last = now;
	}
	is(bad, 0, "the monotonic clock never goes back");
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &raw);
	now = ns_of(CLOCK_MONOTONIC);
	ok(now - (raw.tv_sec * 1000000000ll + raw.tv_nsec) < 100000000000, "libc and syscall agree");
	gettimeofday(&tv, NULL);
	ok(llabs(tv.tv_sec - ns_of(CLOCK_REALTIME) / 1000000000) <= 60, "gettimeofday agrees");
	ok(llabs(time(NULL) - tv.tv_sec) <= 60, "time(2) too");
	ok(tv.tv_sec > 1600000000, "the wall clock is of this age");
	now = ns_of(CLOCK_MONOTONIC);
	ok(ns_of(CLOCK_BOOTTIME) >= now, "boot time");
}

/* Time that the host takes away just before or behind the sleep is charged to who sleeps. */
static bool sleeps_without_cpu(void)
{
	struct timespec ts = { 0, 30000000 };
	int64_t cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID);

	nanosleep(&ts, NULL);
	return ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu < 25000000;
}

static void check_sleep(void)
{
	struct timespec ts = { 0, 30000000 }, left;
	int64_t start = ns_of(CLOCK_MONOTONIC), cpu;
	volatile unsigned long n;
	struct tms t;

	works(nanosleep(&ts, NULL), "nanosleep");
	ok(ns_of(CLOCK_MONOTONIC) - start >= 30000000, "sleeps at least that long");
	ok(in_one_of(10, sleeps_without_cpu()), "without using the CPU");
	ts.tv_nsec = 1000000000;
	fails(nanosleep(&ts, NULL), EINVAL, "nanosleep: a bad nanosecond");
	ts.tv_nsec = 0;
	ts.tv_sec = -1;
	fails(nanosleep(&ts, NULL), EINVAL, "nanosleep: a negative second");
	clock_gettime(CLOCK_MONOTONIC, &ts);
	start = ns_of(CLOCK_MONOTONIC);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	is(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0, "clock_nanosleep: absolute");
	ok(ns_of(CLOCK_MONOTONIC) >= ts.tv_sec * 1000000000ll + ts.tv_nsec, "until then");
	ts.tv_sec = 1;
	is(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &left), 0, "a past time returns at once");
	ts.tv_sec = 0;
	ts.tv_nsec = 1000;
	is(clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL), 0, "clock_nanosleep: real time");
	is(clock_nanosleep(77, 0, &ts, NULL), EINVAL, "clock_nanosleep: an unknown clock");
	cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	start = ns_of(CLOCK_MONOTONIC);
	while (ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu <= 50000000 && ns_of(CLOCK_MONOTONIC) - start < 20000000000)
		for (n = 0; n < 1000; n++)
			;
	ok(ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu > 50000000, "CPU time advances when busy");
	ok(times(&t) != (clock_t)-1 && t.tms_utime >= 0, "times");
}

static void check_identity(void)
{
	struct utsname u;
	struct sysinfo si;
	char domain[70];

	works(uname(&u), "uname");
	is_str(u.sysname, "Linux", "sysname Linux");
	ok(!strncmp(u.release, "6.1.0", 5), "release 6.1.0");
	is_str(u.machine, "x86_64", "machine x86_64");
	ok(strlen(u.version) > 0, "a version");
	works(sethostname("halcyon-test", 12), "sethostname");
	uname(&u);
	is_str(u.nodename, "halcyon-test", "changes the node name");
	works(setdomainname("example", 7), "setdomainname");
	uname(&u);
	memcpy(domain, (char *)&u + 5 * 65, 65);
	is_str(domain, "example", "changes the domain");
	fails(sethostname("x", 65), EINVAL, "sethostname: too long");
	works(sysinfo(&si), "sysinfo");
	ok(si.uptime < 10000 && si.totalram * si.mem_unit > 100ull << 20 &&
	   si.freeram * si.mem_unit > 10ull << 20 && si.freeram < si.totalram && si.procs > 1,
	   "plausible memory, uptime and processes");
}

static void check_random(void)
{
	unsigned char a[256] = { 0 }, b[256] = { 0 };
	unsigned int i, seen = 0;

	is(getrandom(a, 256, 0), 256, "getrandom");
	is(getrandom(b, 256, GRND_NONBLOCK), 256, "GRND_NONBLOCK");
	ok(memcmp(a, b, 256), "is different each time");
	for (i = 0; i < 256; i++)
		seen |= a[i];
	is(seen, 255, "and uses all bits");
	is(getrandom(a, 0, 0), 0, "of length 0");
	fails(getrandom(a, 1, 0x100), EINVAL, "an unknown flag");
	fails(getrandom(a, 1, GRND_RANDOM | 4), EINVAL, "GRND_RANDOM with GRND_INSECURE");
}

static void check_priority(void)
{
	is(getpriority(PRIO_PROCESS, 0), 0, "getpriority");
	works(setpriority(PRIO_PROCESS, 0, 5), "setpriority");
	is(syscall(SYS_getpriority, PRIO_PROCESS, 0), 15, "the raw call returns 20 - nice");
	works(setpriority(PRIO_PROCESS, 0, 100), "setpriority: 100");
	is(getpriority(PRIO_PROCESS, 0), 19, "is 19");
	works(setpriority(PRIO_PROCESS, 0, -100), "setpriority: -100");
	is(getpriority(PRIO_PROCESS, 0), -20, "is -20");
	is(in_child(_exit(getpriority(PRIO_PROCESS, 0) != -20)), 0, "inherited by fork");
	setpriority(PRIO_PROCESS, 0, 0);
	fails(setpriority(9, 0, 0), EINVAL, "setpriority: an unknown kind");
	fails(setpriority(PRIO_PROCESS, 99999, 0), ESRCH, "setpriority: nobody");
	is(syscall(SYS_sched_getscheduler, 0), 0, "SCHED_OTHER");
	is(syscall(SYS_sched_get_priority_max, 1), 99, "SCHED_FIFO goes to 99");
	is(syscall(SYS_sched_get_priority_min, 0), 0, "SCHED_OTHER is 0");
}

int main(void)
{
	check_clocks();
	check_sleep();
	check_identity();
	check_random();
	check_priority();
	return tap_done();
}
