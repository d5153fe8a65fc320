/*
 * clocks.c - the clocks: reading, setting, sleeping on them, adjtimex(2), CPU clocks. Runs as root, and sets the clock.
 */
#include "tap.h"

#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timex.h>

#define MS 1000000ll
#define SECOND 1000000000ll
#define LAST_SECOND 8277292036ll /* 30 years before 63 bits of nanoseconds are full: Linux sets no clock to it or behind */
#define KERNEL_CLOCKS 12

static int64_t ns(struct timespec ts)
{
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* By system call: what the kernel itself says. */
static int64_t now(clockid_t clock)
{
	struct timespec ts;

	return syscall(SYS_clock_gettime, clock, &ts) < 0 ? -1 : ns(ts);
}

static struct timespec spec(int64_t t)
{
	return (struct timespec){ t / SECOND, t % SECOND };
}

static int set(clockid_t clock, int64_t t)
{
	struct timespec ts = spec(t);

	return syscall(SYS_clock_settime, clock, &ts);
}

/* Does the other clock lie `by` ahead of this one? It is read between two readings, which may be far apart. */
static bool ahead(clockid_t clock, clockid_t other, int64_t by)
{
	int64_t before = now(clock), t = now(other) - by;

	return before <= t && t <= now(clock);
}

/* How far the wall clock is ahead of the monotonic one; of many pairs of readings the closest. */
static int64_t wall_offset(void)
{
	int64_t best = INT64_MAX, offset = 0;

	for (int i = 0; i < 1000 && best > MS / 10; i++) {
		int64_t before = now(CLOCK_MONOTONIC), real = now(CLOCK_REALTIME), took = now(CLOCK_MONOTONIC) - before;

		if (took < best) {
			best = took;
			offset = real - before - took / 2;
		}
	}
	return offset;
}

static void check_reading(void)
{
	static const int clocks[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11 };
	struct timespec ts;
	int64_t a, b;
	unsigned int i;

	for (i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		bool coarse = clocks[i] == CLOCK_REALTIME_COARSE || clocks[i] == CLOCK_MONOTONIC_COARSE;

		works(syscall(SYS_clock_gettime, clocks[i], &ts), "clock %d", clocks[i]);
		works(syscall(SYS_clock_getres, clocks[i], &ts), "clock_getres of clock %d", clocks[i]);
		is(ns(ts), coarse ? 4000000 : 1, "its resolution");
		works(syscall(SYS_clock_getres, clocks[i], NULL), "which nobody need be told");
		fails(syscall(SYS_clock_gettime, clocks[i], 8), EFAULT, "a bad place");
	}
	fails(syscall(SYS_clock_gettime, 10, &ts), EINVAL, "clock 10");
	fails(syscall(SYS_clock_gettime, 12, &ts), EINVAL, "clock 12");
	fails(syscall(SYS_clock_gettime, 16, &ts), EINVAL, "clock 16");
	fails(syscall(SYS_clock_getres, 10, &ts), EINVAL, "clock_getres of clock 10");
	fails(syscall(SYS_clock_gettime, -1, &ts), EINVAL, "clock -1");
	fails(syscall(SYS_clock_gettime, ~100000 * 8 + 2, &ts), EINVAL, "the clock of a process that is not there");
	works(syscall(SYS_clock_getres, ~0 * 8 + 0, &ts), "user and system time by the tick");
	is(ns(ts), 4000000, "is so exact");
	/* The coarse clocks go on with the tick, and a busy host may be late with one. */
	ok(within(20000, (a = now(CLOCK_MONOTONIC), b = now(CLOCK_MONOTONIC_COARSE), b > a - 50 * MS)) && b <= now(CLOCK_MONOTONIC),
	   "the coarse clock is close behind");
	ok(within(20000, (a = now(CLOCK_REALTIME), b = now(CLOCK_REALTIME_COARSE), b > a - 50 * MS)) && b <= now(CLOCK_REALTIME),
	   "the coarse wall clock, too");
	ok(ahead(CLOCK_MONOTONIC, CLOCK_BOOTTIME, 0), "nobody has suspended the machine");
	ok(ahead(CLOCK_REALTIME, CLOCK_TAI, 0), "TAI is the wall clock until somebody knows better");
}

static void check_settime_errors(void)
{
	static const int clocks[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 77 };
	struct timespec bad = { 1, SECOND }, early = { 0, 1 }, late = { INT64_MAX / SECOND, 0 };
	struct timeval tv = { 5, 1000001 };
	struct timezone tz = { 15 * 60 + 1, 0 };
	unsigned int i;

	for (i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		fails(set(clocks[i], SECOND), EINVAL, "clock %d cannot be set", clocks[i]);
	fails(set(~getpid() * 8 + 2, SECOND), EPERM, "nor can a CPU clock");
	fails(syscall(SYS_clock_settime, CLOCK_REALTIME, 8), EFAULT, "from nowhere");
	fails(syscall(SYS_clock_settime, CLOCK_REALTIME, &bad), EINVAL, "a bad nanosecond");
	fails(syscall(SYS_clock_settime, CLOCK_REALTIME, &early), EINVAL, "before the machine was started");
	fails(syscall(SYS_clock_settime, CLOCK_REALTIME, &late), EINVAL, "the end of time");
	fails(syscall(SYS_settimeofday, &tv, NULL), EINVAL, "settimeofday: a bad microsecond");
	tv = (struct timeval){ -5, 0 };
	fails(syscall(SYS_settimeofday, &tv, NULL), EINVAL, "settimeofday: before 1970");
	fails(syscall(SYS_settimeofday, NULL, &tz), EINVAL, "settimeofday: a bad zone");
	fails(syscall(SYS_settimeofday, 8, NULL), EFAULT, "settimeofday: from nowhere");
	is(in_child({
		setuid(1000);
		_exit(set(CLOCK_REALTIME, 5 * SECOND) != -1 || errno != EPERM ||
		      syscall(SYS_settimeofday, NULL, NULL) != -1 || errno != EPERM ||
		      syscall(SYS_clock_settime, CLOCK_REALTIME, &bad) != -1 || errno != EINVAL);
	}), 0, "nobody but root sets the clock");
}

static void check_setting(void)
{
	int64_t real = now(CLOCK_REALTIME), mono = now(CLOCK_MONOTONIC);
	struct timeval tv = { real / SECOND + 5000, 0 };
	struct timezone tz = { -60, 1 };

	works(set(CLOCK_REALTIME, real + 1000 * SECOND), "the clock is set");
	ok(llabs(now(CLOCK_REALTIME) - real - 1000 * SECOND) < 100 * SECOND, "and shows it");
	ok(llabs(time(NULL) - real / SECOND - 1000) <= 100, "time(2) shows it");
	ok(now(CLOCK_MONOTONIC) - mono < 100 * SECOND, "the monotonic clock does not");
	works(settimeofday(&tv, NULL), "settimeofday");
	ok(llabs(now(CLOCK_REALTIME) - real - 5000 * SECOND) < 100 * SECOND, "sets it");
	/* With a time, so that the zone does not move the clock. */
	tv.tv_sec = now(CLOCK_REALTIME) / SECOND;
	works(syscall(SYS_settimeofday, &tv, &tz), "a time zone");
	tz = (struct timezone){ 0, 0 };
	works(syscall(SYS_gettimeofday, &tv, &tz), "gettimeofday");
	is(tz.tz_minuteswest, -60, "knows it");
	is(tz.tz_dsttime, 1, "with its type");
	tz = (struct timezone){ 0, 0 };
	works(syscall(SYS_settimeofday, NULL, &tz), "the zone alone, not for the first time");
	ok(llabs(now(CLOCK_REALTIME) - real - 5000 * SECOND) < 100 * SECOND, "does not move the clock");
	works(set(CLOCK_REALTIME, real + now(CLOCK_MONOTONIC) - mono), "back");
}

static void *mover(void *arg)
{
	tap_sleep_ms(50);
	set(CLOCK_REALTIME, now(CLOCK_REALTIME) + *(int64_t *)arg);
	return NULL;
}

static void nothing(int sig)
{
}

static void check_sleeping(void)
{
	static const int none[] = { CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_THREAD_CPUTIME_ID };
	static const int some[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_REALTIME_ALARM,
				    CLOCK_BOOTTIME_ALARM };
	struct timespec ts = { 0, 1000000 }, rem;
	struct sigaction sa = { .sa_handler = nothing };
	struct itimerval soon = { { 0, 30000 }, { 0, 30000 } }, off = { 0 };	/* again and again: the first may come too early */
	int64_t start, by;
	pthread_t t;
	unsigned int i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		fails(syscall(SYS_clock_nanosleep, none[i], 0, &ts, NULL), EOPNOTSUPP, "nobody sleeps on clock %d", none[i]);
	is(clock_nanosleep(10, 0, &ts, NULL), EINVAL, "nor on clock 10");
	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		start = now(some[i]);
		is(clock_nanosleep(some[i], 0, &ts, NULL), 0, "a sleep on clock %d", some[i]);
		ok(now(some[i]) - start >= 1000000, "is long enough");
		ts = spec(start + 20 * MS);
		is(clock_nanosleep(some[i], TIMER_ABSTIME, &ts, NULL), 0, "until a time");
		ok(now(some[i]) >= start + 20 * MS, "and no shorter");
		ts = (struct timespec){ 0, 1000000 };
	}
	is(in_child({
		setuid(1000);
		_exit(clock_nanosleep(CLOCK_BOOTTIME_ALARM, 0, &ts, NULL) != EPERM);
	}), 0, "an alarm clock is not for everybody");
	ts.tv_nsec = -1;
	is(clock_nanosleep(CLOCK_TAI, 0, &ts, NULL), EINVAL, "a bad nanosecond");
	is(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, 8, 0) == -1 ? errno : 0, EFAULT, "from nowhere");

	/* The wall clock is set while somebody waits for a time of it. */
	ts = spec(now(CLOCK_REALTIME) + 1000 * SECOND);
	by = 2000 * SECOND;
	start = now(CLOCK_MONOTONIC);
	pthread_create(&t, NULL, mover, &by);
	is(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL), 0, "a far time comes when the clock is set past it");
	ok(now(CLOCK_MONOTONIC) - start < 100 * SECOND, "at once");
	pthread_join(t, NULL);
	by = -by + 100 * MS;
	ts = (struct timespec){ 0, 200 * MS };
	start = now(CLOCK_MONOTONIC);
	pthread_create(&t, NULL, mover, &by);
	is(clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL), 0, "a relative sleep");
	ok(now(CLOCK_MONOTONIC) - start >= 200 * MS, "does not look at the wall clock");
	pthread_join(t, NULL);

	sigaction(SIGALRM, &sa, NULL);
	ts = (struct timespec){ 100, 0 };
	setitimer(ITIMER_REAL, &soon, NULL);
	is(clock_nanosleep(CLOCK_REALTIME, 0, &ts, &rem), EINTR, "a signal ends a relative sleep");
	ok(rem.tv_sec > 60 && rem.tv_sec < 100, "and the rest is told");
	ts = spec(now(CLOCK_REALTIME) + 100 * SECOND);
	rem = (struct timespec){ 7, 7 };
	setitimer(ITIMER_REAL, &soon, NULL);
	is(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, &rem), EINTR, "and an absolute one");
	ok(rem.tv_sec == 7 && rem.tv_nsec == 7, "with no rest");
	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_DFL);
}

static int stop_and_go(clockid_t clock, int flags)
{
	struct timespec ts = { 0, 80 * MS };
	int64_t start = now(CLOCK_MONOTONIC);
	pid_t pid;

	if (flags)
		ts = spec(now(clock) + 80 * MS);
	pid = fork();
	if (pid == 0) {
		if (syscall(SYS_clock_nanosleep, clock, flags, &ts, NULL))
			_exit(1);
		_exit(now(CLOCK_MONOTONIC) - start < 80 * MS ? 2 : 0);
	}
	tap_sleep_ms(20);
	kill(pid, SIGSTOP);
	tap_sleep_ms(20);
	kill(pid, SIGCONT);
	return tap_wait(pid);
}

static void check_adjtimex(void)
{
	struct timex tx = { .modes = 0 };
	int64_t real = now(CLOCK_REALTIME), offset = wall_offset();
	struct timespec last = { LAST_SECOND, 0 };
	int state;

	state = adjtimex(&tx);
	is(state, TIME_ERROR, "adjtimex: the clock is not synchronised");
	is(tx.status & STA_UNSYNC, STA_UNSYNC, "says the status");
	is(tx.tick, 10000, "the tick");
	is(tx.freq, 0, "the frequency");
	is(tx.tolerance, 32768000, "the tolerance");
	is(tx.precision, 1, "the precision");
	is(tx.maxerror, 16000000, "the largest error");
	is(tx.esterror, 16000000, "the estimated one");
	is(tx.constant, 2, "the time constant");
	is(tx.tai, 0, "the offset of TAI");
	ok(tx.time.tv_sec >= real / SECOND && tx.time.tv_sec <= now(CLOCK_REALTIME) / SECOND && tx.time.tv_usec < 1000000, "and the time");
	is(clock_adjtime(CLOCK_REALTIME, &tx), TIME_ERROR, "clock_adjtime");
	fails(clock_adjtime(CLOCK_MONOTONIC, &tx), EOPNOTSUPP, "not of the monotonic clock");
	fails(clock_adjtime(CLOCK_PROCESS_CPUTIME_ID, &tx), EOPNOTSUPP, "nor of a CPU clock");
	fails(clock_adjtime(10, &tx), EINVAL, "nor of none");
	fails(syscall(SYS_adjtimex, 8), EFAULT, "a bad place");
	fails(syscall(SYS_clock_adjtime, CLOCK_REALTIME, 8), EFAULT, "for clock_adjtime");
	tx = (struct timex){ .modes = ADJ_NANO | ADJ_MAXERROR | ADJ_ESTERROR | ADJ_STATUS, .maxerror = 1000, .esterror = 500,
			     .status = STA_PLL };
	is(adjtimex(&tx), TIME_OK, "a daemon says that it is synchronised");
	tx = (struct timex){ .modes = 0 };
	is(adjtimex(&tx), TIME_OK, "and all believe it");
	ok(tx.maxerror >= 1000 && tx.maxerror < 100000 && tx.esterror == 500, "with the errors it told");
	is(tx.status, STA_PLL | STA_NANO, "the status");
	tx = (struct timex){ .modes = ADJ_TAI, .constant = 37 };
	is(adjtimex(&tx), TIME_OK, "TAI is set");
	is(tx.tai, 37, "to 37 seconds");
	ok(ahead(CLOCK_REALTIME, CLOCK_TAI, 37 * SECOND), "and its clock goes so far ahead");
	tx = (struct timex){ .modes = ADJ_TAI, .constant = 0 };
	adjtimex(&tx);
	tx = (struct timex){ .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { 100, 500000000 } };
	is(adjtimex(&tx), TIME_ERROR, "a step, after which nobody knows");
	ok(llabs(wall_offset() - offset - 100 * SECOND - 500 * MS) < 400 * MS, "so far");
	tx = (struct timex){ .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { -101, 500000000 } };
	is(adjtimex(&tx), TIME_ERROR, "and back");
	ok(llabs(wall_offset() - offset) < 400 * MS, "to where it was");
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { 0, 1000000 } };
	fails(adjtimex(&tx), EINVAL, "a bad step");
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { 0, -1 } };
	fails(adjtimex(&tx), EINVAL, "a step of negative microseconds");
	tx = (struct timex){ .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { LAST_SECOND - time(NULL) + 2, 0 } };
	fails(adjtimex(&tx), EINVAL, "a step to where the clock could not run on for 30 years");
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { INT64_MAX, 999999 } };
	fails(adjtimex(&tx), EINVAL, "a step of all seconds");
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { INT64_MIN, 0 } };
	fails(adjtimex(&tx), EINVAL, "and back");
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { -time(NULL) - 1, 0 } };
	fails(adjtimex(&tx), EINVAL, "a step to before 1970");
	fails(clock_settime(CLOCK_REALTIME, &last), EINVAL, "nor can it be set there");
	ok(llabs(wall_offset() - offset) < 400 * MS, "nothing has moved");
	tx = (struct timex){ .modes = ADJ_FREQUENCY, .freq = INT64_MAX / 65536 };
	fails(adjtimex(&tx), EINVAL, "a frequency that is none");
	tx = (struct timex){ .modes = ADJ_TICK, .tick = 8999 };
	fails(adjtimex(&tx), EINVAL, "a bad tick");
	tx = (struct timex){ .modes = ADJ_TICK | ADJ_FREQUENCY | ADJ_OFFSET | ADJ_MICRO, .tick = 10000 };
	ok(adjtimex(&tx) >= 0, "what holds already may be set");
	tx = (struct timex){ .modes = 0x8000 };
	fails(adjtimex(&tx), EINVAL, "half of adjtime(3)");
	tx = (struct timex){ .modes = ADJ_OFFSET_SS_READ };
	ok(adjtimex(&tx) >= 0 && !tx.offset, "adjtime(3) asks what is left");
	is(in_child({
		setuid(1000);
		tx.modes = 0;
		if (adjtimex(&tx) < 0)
			_exit(1);
		tx.modes = ADJ_OFFSET_SS_READ;
		if (adjtimex(&tx) < 0)
			_exit(2);
		tx.modes = ADJ_STATUS;
		if (adjtimex(&tx) != -1 || errno != EPERM)
			_exit(3);
		tx.modes = ADJ_OFFSET_SINGLESHOT;
		_exit(adjtimex(&tx) != -1 || errno != EPERM);
	}), 0, "everybody may ask");
}

static void check_slack(void)
{
	int64_t start;

	is(prctl(PR_GET_TIMERSLACK), 50000, "the timer slack");
	works(prctl(PR_SET_TIMERSLACK, 40 * MS), "is made 40 ms");
	start = now(CLOCK_MONOTONIC);
	for (int i = 0; i < 3; i++)
		usleep(1000);
	ok(now(CLOCK_MONOTONIC) - start >= 3 * MS, "sleeps are no shorter");
	is(in_child(_exit(prctl(PR_GET_TIMERSLACK) != 40 * MS)), 0, "a child has it");
	works(prctl(PR_SET_TIMERSLACK, 0), "0 is the default");
	is(prctl(PR_GET_TIMERSLACK), 50000, "again");
}

static pthread_barrier_t over;

/* It is there until it is no longer looked at. */
static void *idle(void *arg)
{
	pthread_barrier_wait(&over);
	return NULL;
}

static void check_cpu_clocks(void)
{
	clockid_t thread, parent = ~getppid() * 8 + 2, self = ~getpid() * 8 + 2;
	int64_t a, b;
	pthread_t t;

	a = now(CLOCK_THREAD_CPUTIME_ID);
	for (volatile int i = 0; i < 3000; i++)
		;
	b = now(CLOCK_THREAD_CPUTIME_ID);
	ok(b > a && b - a < 60 * SECOND, "a thread's clock goes on between two ticks");
	pthread_barrier_init(&over, NULL, 2);
	pthread_create(&t, NULL, idle, NULL);
	pthread_getcpuclockid(t, &thread);
	ok(now(thread) >= 0, "another thread's clock");
	is(in_child(_exit(now(thread) != -1 || errno != EINVAL)), 0, "is not for other processes");
	pthread_barrier_wait(&over);
	pthread_join(t, NULL);
	/* Joined is who has given back his stack: the kernel's part of the end comes behind. */
	ok(within(10000, now(thread) == -1 && errno == EINVAL), "and goes with it");
	ok(now(parent) >= 0, "the parent's clock");
	a = now(CLOCK_PROCESS_CPUTIME_ID);
	b = now(self);
	ok(b >= a, "one's own by its number");
	is(b <= now(CLOCK_PROCESS_CPUTIME_ID), 1, "does not run ahead");
}

int main(void)
{
	check_reading();
	check_adjtimex();
	check_settime_errors();
	check_setting();
	check_sleeping();
	is(stop_and_go(CLOCK_MONOTONIC, 0), 0, "a sleep goes on after a stop");
	is(stop_and_go(CLOCK_MONOTONIC, TIMER_ABSTIME), 0, "an absolute one, too");
	is(stop_and_go(CLOCK_REALTIME, TIMER_ABSTIME), 0, "and one on the wall clock");
	check_slack();
	check_cpu_clocks();
	return tap_done();
}
