/*
 * wallclock.c - who steers the wall clock: every mode of adjtimex(2), its rate, leap seconds, and those who wait for a time
 * that comes sooner than they thought.
 */
#include "tap.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

#define SECOND	1000000000ll
#define DAY	86400
#define MIDNIGHT (20000ll * DAY)	/* 2024-10-04 */

static long long now_ns(clockid_t clock)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static long long vdso_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void set_real(long long ns)
{
	struct timespec ts = { ns / SECOND, ns % SECOND };

	if (clock_settime(CLOCK_REALTIME, &ts))
		_exit(98);
}

static long adjust(struct timex *tx)
{
	long state = syscall(SYS_adjtimex, tx);

	return state < 0 ? -errno : state;
}

static long set(unsigned modes, long value, struct timex *tx)
{
	*tx = (struct timex){ .modes = modes };
	if (modes & ADJ_TICK)
		tx->tick = value;
	if (modes & ADJ_FREQUENCY)
		tx->freq = value;
	if (modes & (ADJ_TIMECONST | ADJ_TAI))
		tx->constant = value;
	if (modes & ADJ_STATUS)
		tx->status = value;
	if (modes & (ADJ_MAXERROR | ADJ_ESTERROR))
		tx->maxerror = tx->esterror = value;
	if (modes & (ADJ_OFFSET | 0x8000))
		tx->offset = value;
	return adjust(tx);
}

/* ---- values ------------------------------------------------------------------------------------ */

static const struct {
	const char *what;
	unsigned modes;
	long value, state, kept;
	size_t field;
} values[] = {
#define V(what, modes, value, state, kept, field) { what, modes, value, state, kept, offsetof(struct timex, field) }
	V("a slow tick", ADJ_TICK, 9000, 0, 9000, tick),
	V("a fast tick", ADJ_TICK, 11000, 0, 11000, tick),
	V("too slow", ADJ_TICK, 8999, -EINVAL, 8999, tick),
	V("too fast", ADJ_TICK, 11001, -EINVAL, 11001, tick),
	V("none at all", ADJ_TICK, LONG_MIN, -EINVAL, LONG_MIN, tick),
	V("the tick", ADJ_TICK, 10000, 0, 10000, tick),
	V("the least frequency", ADJ_FREQUENCY, 1, 0, 1, freq),
	V("a negative one", ADJ_FREQUENCY, -65536, 0, -65536, freq),
	V("500 ppm", ADJ_FREQUENCY, 500 << 16, 0, 500 << 16, freq),
	V("no more than that", ADJ_FREQUENCY, 1000 << 16, 0, 500 << 16, freq),
	V("nor less", ADJ_FREQUENCY, -65536000, 0, -32768000, freq),
	V("one that nobody can compute", ADJ_FREQUENCY, LONG_MAX / 65536, -EINVAL, LONG_MAX / 65536, freq),
	V("no frequency", ADJ_FREQUENCY, 0, 0, 0, freq),
	V("errors", ADJ_MAXERROR | ADJ_ESTERROR, LONG_MAX, 0, 16000000, esterror),
	V("are not negative", ADJ_MAXERROR | ADJ_ESTERROR, -1, 0, 0, esterror),
	V("a time constant in us", ADJ_TIMECONST, 1, 0, 5, constant),
	V("a long one", ADJ_TIMECONST, 100, 0, 10, constant),
	V("a negative one is none", ADJ_TIMECONST, -100, 0, 4, constant),
	V("nanoseconds", ADJ_NANO, 0, 0, STA_NANO, status),
	V("a time constant in ns", ADJ_TIMECONST, 1, 0, 1, constant),
	V("nobody writes STA_CLOCKERR", ADJ_STATUS, STA_CLOCKERR | STA_FLL, 0, STA_NANO | STA_FLL, status),
	V("an offset without a loop", ADJ_OFFSET, 777, 0, 0, offset),
	V("the loop", ADJ_STATUS, STA_PLL, 0, STA_NANO | STA_PLL, status),
	V("an offset", ADJ_OFFSET, 1000, 0, 1000, offset),
	V("half a second at most", ADJ_OFFSET, LONG_MAX, 0, 500000000, offset),
	V("either way", ADJ_OFFSET, LONG_MIN, 0, -500000000, offset),
	V("none", ADJ_OFFSET, 0, 0, 0, offset),
	V("microseconds", ADJ_MICRO, 0, 0, STA_PLL, status),
	V("no loop, and who told is forgotten", ADJ_STATUS, STA_UNSYNC, TIME_ERROR, STA_UNSYNC, status),
	V("synchronised", ADJ_STATUS, 0, 0, 0, status),
	V("TAI", ADJ_TAI, 100000, 0, 0, offset),
	V("too far", ADJ_TAI, 100001, 0, 0, offset),
	V("none", ADJ_TAI, 0, 0, 0, offset),
	V("adjtime(3): nothing is left", ADJ_OFFSET_SINGLESHOT, 5000, 0, 0, offset),
	V("this is", ADJ_OFFSET_SS_READ, 0, 0, 5000, offset),
	V("and is told by who sets another", ADJ_OFFSET_SINGLESHOT, -7, 0, 5000, offset),
	V("as far as one likes", ADJ_OFFSET_SINGLESHOT, LONG_MAX, 0, -7, offset),
	V("nothing", ADJ_OFFSET_SINGLESHOT, 0, 0, LONG_MAX, offset),
	V("half of adjtime(3)", 0x8000, 0, -EINVAL, 0, offset),
};

static struct answer {
	long state, kept;
} answers[sizeof(values) / sizeof(values[0])];

/* All rows, without a word in between; true: each as it should be. */
static bool ask_values(void)
{
	bool right = true;
	struct timex tx;

	set(ADJ_MICRO | ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR, 0, &tx);
	set(ADJ_OFFSET_SINGLESHOT, 0, &tx);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		answers[i].state = set(values[i].modes, values[i].value, &tx);
		answers[i].kept = values[i].field == offsetof(struct timex, status) ? tx.status :
				  *(long *)((char *)&tx + values[i].field);
		right = right && answers[i].state == values[i].state && answers[i].kept == values[i].kept;
	}
	set(ADJ_NANO | ADJ_TIMECONST, 2, &tx); /* as it was */
	set(ADJ_MICRO, 0, &tx);
	set(ADJ_MAXERROR | ADJ_ESTERROR, 0, &tx);
	return right;
}

/* At the turn of a second the kernel itself adds to the errors and takes from what adjtime(3) has left: then it is asked again. */
static void test_values(void)
{
	(void)in_one_of(10, ask_values());
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		is(answers[i].state, values[i].state, "%s", values[i].what);
		is(answers[i].kept, values[i].kept, "%s: kept", values[i].what);
	}
}

/* ---- rates ------------------------------------------------------------------------------------- */

/* The counter and the wall clock at one time: of many pairs of readings the closest. */
static void both_clocks(long long *raw, long long *real)
{
	long long best = LLONG_MAX;

	for (int i = 0; i < 1000 && best > SECOND / 20000; i++) {
		long long before = now_ns(CLOCK_MONOTONIC_RAW), t = now_ns(CLOCK_REALTIME), took = now_ns(CLOCK_MONOTONIC_RAW) - before;

		if (took < best) {
			best = took;
			*raw = before + took / 2;
			*real = t;
		}
	}
}

/* Parts in a thousand that the wall clock runs ahead of the counter, over 300 ms at least; -9999: it went back. */
static long ahead(void)
{
	long long raw, real, raw_end, real_end, last, t;

	both_clocks(&raw, &real);
	last = real;
	do {
		t = vdso_ns(CLOCK_REALTIME);
		if (t < last)
			return -9999;
		last = t;
		t = now_ns(CLOCK_REALTIME);
		if (t < last)
			return -9999;
		last = t;
	} while (now_ns(CLOCK_MONOTONIC_RAW) - raw < 300000000);
	both_clocks(&raw_end, &real_end);
	return (real_end - real - (raw_end - raw)) * 1000 / (raw_end - raw);
}

/* Sleeps until the wall clock is 100 ms further; the counter's nanoseconds from before that time was chosen, -1: too early. */
static long long sleep_until(void)
{
	long long raw = now_ns(CLOCK_MONOTONIC_RAW), until = now_ns(CLOCK_REALTIME) + 100000000;

	is(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){ until / SECOND, until % SECOND }, NULL), 0,
	   "a sleeper until a time");
	return now_ns(CLOCK_REALTIME) >= until ? now_ns(CLOCK_MONOTONIC_RAW) - raw : -1;
}

static void test_rates(void)
{
	struct timex tx;
	long by;

	by = ahead();
	ok(by >= -10 && by <= 30, "the wall clock runs as the counter does");
	set(ADJ_TICK, 11000, &tx);
	by = ahead();
	ok(by >= 85 && by <= 130, "a tenth faster");
	ok(sleep_until() >= 0, "wakes after it");
	set(ADJ_TICK, 9000, &tx);
	by = ahead();
	ok(by >= -115 && by <= -70, "a tenth slower, and never back");
	ok(sleep_until() > 105000000, "has to wait longer");
	set(ADJ_TICK, 10000, &tx);
	by = ahead();
	ok(by >= -10 && by <= 30, "as the counter again");
	set(ADJ_OFFSET_SINGLESHOT, 600, &tx);
	ok(within(20000, (set(ADJ_OFFSET_SS_READ, 0, &tx), tx.offset <= 100)), "adjtime(3) takes 500 us a second");
	ok(within(20000, (set(ADJ_OFFSET_SS_READ, 0, &tx), tx.offset == 0)), "until nothing is left");
}

/* ---- leap seconds ------------------------------------------------------------------------------ */

static bool state_comes(int state, int ms, struct timex *tx)
{
	return within(ms, (*tx = (struct timex){ 0 }, adjust(tx) == state));
}

/* Setting the clock means that nobody knows how wrong it is, which is all that its state says then. */
static void set_known(long long ns)
{
	struct timex tx;

	set_real(ns);
	set(ADJ_MAXERROR, 0, &tx);
}

#define LEAP_POINTS 11
static bool leap[LEAP_POINTS];

/* A day's end with a second more, and one with a second less; true: all came as it should. */
static bool two_midnights(void)
{
	struct timex tx;
	bool right = true;
	int n = 0;

	set(ADJ_STATUS, 0, &tx);
	(void)state_comes(TIME_OK, 3000, &tx);
	set(ADJ_TAI, 37, &tx);
	set_known(MIDNIGHT * SECOND - 1300000000);
	leap[n++] = set(ADJ_STATUS, STA_INS, &tx) == TIME_OK;
	leap[n++] = state_comes(TIME_INS, 2000, &tx) && tx.time.tv_sec < MIDNIGHT;
	leap[n++] = state_comes(TIME_OOP, 2000, &tx);
	leap[n++] = tx.time.tv_sec == MIDNIGHT - 1;
	leap[n++] = tx.tai == 38;
	leap[n++] = state_comes(TIME_WAIT, 2000, &tx) && tx.time.tv_sec == MIDNIGHT;
	set(ADJ_STATUS, 0, &tx);
	leap[n++] = state_comes(TIME_OK, 3000, &tx);
	set_known(MIDNIGHT * SECOND - 2300000000);
	set(ADJ_STATUS, STA_DEL, &tx);
	leap[n++] = state_comes(TIME_DEL, 2000, &tx) && tx.time.tv_sec < MIDNIGHT - 1;
	leap[n++] = state_comes(TIME_WAIT, 2000, &tx) && tx.time.tv_sec == MIDNIGHT;
	leap[n++] = tx.tai == 37;
	set(ADJ_STATUS, STA_PLL, &tx);
	leap[n++] = set(ADJ_STATUS, STA_UNSYNC, &tx) == TIME_ERROR;
	for (int i = 0; i < n; i++)
		right = right && leap[i];
	return right;
}

/* Each state is looked at within its second, and the leap is announced within 300 ms: a host that needs these spoils a try. */
static void test_leap(void)
{
	static const char *const points[LEAP_POINTS] = {
		"a leap second is announced", "it is for the end of the day", "it is there", "the day's last second comes twice",
		"TAI is one further ahead", "it is over at midnight", "nothing is announced", "a second is to be left out",
		"it was the last one", "TAI is one less ahead", "nobody knows",
	};
	struct timex tx;

	(void)in_one_of(6, two_midnights());
	for (int i = 0; i < LEAP_POINTS; i++)
		ok(leap[i], "%s", points[i]);
	set(ADJ_TAI, 0, &tx);
}

/* ---- who waits --------------------------------------------------------------------------------- */

static void test_waiters(void)
{
	static unsigned word;
	long long real = now_ns(CLOCK_REALTIME);
	struct timespec at = { real / SECOND + 1000, 0 };
	struct itimerval it = { .it_interval.tv_sec = 5 };
	pid_t p = fork();

	if (p == 0) {
		tap_sleep_ms(50);
		set_real(real + 2000 * SECOND);
		_exit(0);
	}
	fails(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &at, NULL, ~0u), ETIMEDOUT,
	      "a futex's far time comes when the clock is set past it");
	ok(now_ns(CLOCK_REALTIME) - real < 2900 * SECOND, "at once");
	tap_wait(p);
	set_real(real + SECOND);
	fails(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME_ALARM, 2, &(struct timespec){ 0, 1 }, NULL), EINVAL,
	      "an alarm clock knows one flag");
	works(setitimer(ITIMER_REAL, &it, NULL), "an interval alone");
	getitimer(ITIMER_REAL, &it);
	is(it.it_interval.tv_sec, 0, "is none of real time");
	alarm(4000000000u);
	ok(alarm(0) > 3999999900u, "an alarm in 127 years");
}

static void test_descriptor(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	struct itimerspec its = { .it_value.tv_sec = 1, .it_interval.tv_sec = LONG_MAX / SECOND };
	struct pollfd p = { fd, -1, 0 };
	struct timex tx;
	uint64_t n;

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL);
	ok(poll(&p, 1, 20000) == 1 && p.revents == POLLIN, "a timer of 1970 has had its first time");
	timerfd_gettime(fd, &its); /* not before: Linux knows of it when the interrupt was there */
	ok(its.it_value.tv_sec > 1000000000, "and the next one is far");
	fails(pread(fd, &n, 8, 0), ESPIPE, "and reads at no place");
	is(read(fd, &n, 8), 8, "but like this");
	its = (struct itimerspec){ .it_value.tv_sec = 5000000000 };
	timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &its, NULL);
	set(ADJ_TAI, 5, &tx);
	set(ADJ_TICK, 10100, &tx);
	set(ADJ_TICK, 10000, &tx);
	fails(read(fd, &n, 8), EAGAIN, "TAI and the rate do not set the clock");
	set(ADJ_TAI, 0, &tx);
	set_real(now_ns(CLOCK_REALTIME));
	fails(read(fd, &n, 8), ECANCELED, "this does");
	close(fd);
	prctl(PR_SET_TIMERSLACK, -1l);
	is(syscall(SYS_prctl, PR_GET_TIMERSLACK), -1, "no slack is too long");
	prctl(PR_SET_TIMERSLACK, 0l);
}

int main(void)
{
	long long real = now_ns(CLOCK_REALTIME);

	test_values();
	test_rates();
	test_leap();
	set_real(real);
	test_waiters();
	test_descriptor();
	return tap_done();
}
