/*
 * timerfd.c - timers that are read from a descriptor: timerfd_create(2). Runs as root, and sets the clock.
 */
#include "tap.h"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#define MS 1000000ll
#define SECOND 1000000000ll
#define SET_TICKS _IOW('T', 0, uint64_t)

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static struct itimerspec spec(int64_t value, int64_t interval)
{
	return (struct itimerspec){ { interval / SECOND, interval % SECOND }, { value / SECOND, value % SECOND } };
}

static int set(int fd, int flags, int64_t value, int64_t interval)
{
	struct itimerspec t = spec(value, interval);

	return timerfd_settime(fd, flags, &t, NULL);
}

/* What is read, or -errno. */
static int64_t ticks(int fd)
{
	uint64_t n = 0;
	ssize_t r = read(fd, &n, sizeof(n));

	return r == 8 ? (int64_t)n : r < 0 ? -errno : -1000 - r;
}

static bool ready(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

static void move_clock(int64_t by)
{
	int64_t t = now(CLOCK_REALTIME) + by;
	struct timespec ts = { t / SECOND, t % SECOND };

	if (clock_settime(CLOCK_REALTIME, &ts))
		tap_line("# clock_settime: %d", errno);
}

static void check_errors(void)
{
	static const int good[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM };
	static const int bad[] = { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_TAI, 77, -1 };
	struct itimerspec t = spec(SECOND, 0), old;
	char name[64], link[64];
	int fd, file = open("/dev/null", O_RDWR), n;
	unsigned int i;
	uint64_t v;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		fd = timerfd_create(good[i], 0);
		ok(fd >= 0, "clock %d", good[i]);
		close(fd);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		fails(timerfd_create(bad[i], 0), EINVAL, "not clock %d", bad[i]);
	fails(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL, "an unknown flag");
	is(in_child({
		setuid(1000);
		_exit(timerfd_create(CLOCK_BOOTTIME_ALARM, 0) >= 0 || errno != EPERM);
	}), 0, "an alarm clock is not for everybody");
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	is(fcntl(fd, F_GETFD), FD_CLOEXEC, "TFD_CLOEXEC");
	is(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK, "TFD_NONBLOCK");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	is_str(link, "anon_inode:[timerfd]", "its name");
	fails(timerfd_settime(fd, 4, &t, NULL), EINVAL, "settime: an unknown flag");
	fails(timerfd_settime(fd, 0, NULL, NULL), EFAULT, "settime: no value");
	fails(timerfd_settime(fd, 0, &t, (void *)8), EFAULT, "settime: a bad place for the old one");
	works(timerfd_gettime(fd, &old), "gettime");
	ok(old.it_value.tv_sec == 0 && old.it_value.tv_nsec > 0, "is set in spite of it");
	t.it_value.tv_nsec = SECOND;
	fails(timerfd_settime(fd, 0, &t, NULL), EINVAL, "settime: a bad nanosecond");
	t = spec(SECOND, 0);
	t.it_interval.tv_sec = -1;
	fails(timerfd_settime(fd, 0, &t, NULL), EINVAL, "settime: a bad interval");
	t = spec(SECOND, 0);
	fails(timerfd_settime(file, 0, &t, NULL), EINVAL, "settime: another kind of file");
	fails(timerfd_settime(99, 0, &t, NULL), EBADF, "settime: no file");
	fails(timerfd_gettime(file, &old), EINVAL, "gettime: another kind of file");
	fails(timerfd_gettime(99, &old), EBADF, "gettime: no file");
	fails(timerfd_gettime(fd, (void *)8), EFAULT, "gettime: a bad place");
	fails(read(fd, &v, 7), EINVAL, "a short read");
	fails(write(fd, &v, 8), EINVAL, "is not for writing");
	works(lseek(fd, 0, SEEK_SET), "a seek that means nothing");
	fails(ioctl(fd, FIONREAD, &n), ENOTTY, "an unknown ioctl");
	close(fd);
	close(file);
}

/* Of so many seconds some are over, be it because the host was busy. */
static bool nearly(time_t left, time_t all)
{
	return left >= all - 60 && left < all;
}

static void check_once(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec left, old, t = spec(1000 * SECOND, 3 * SECOND);
	int64_t start;

	is(ticks(fd), -EAGAIN, "nothing to read of a new one");
	ok(!ready(fd, 0), "nor is it ready");
	works(timerfd_gettime(fd, &left), "gettime");
	ok(!left.it_value.tv_sec && !left.it_value.tv_nsec && !left.it_interval.tv_nsec, "it is off");
	works(set(fd, 0, 1000 * SECOND, 0), "in a while");
	is(ticks(fd), -EAGAIN, "not yet");
	start = now(CLOCK_MONOTONIC);
	works(set(fd, 0, 30 * MS, 0), "30 ms");
	ok(ready(fd, 20000), "poll waits for it");
	ok(now(CLOCK_MONOTONIC) - start >= 30 * MS, "so long");
	works(timerfd_gettime(fd, &left), "gettime of one that is over");
	ok(!left.it_value.tv_sec && !left.it_value.tv_nsec, "nothing is left");
	is(ticks(fd), 1, "once");
	is(ticks(fd), -EAGAIN, "and no more");
	fcntl(fd, F_SETFL, 0);
	start = now(CLOCK_MONOTONIC);
	works(set(fd, TFD_TIMER_ABSTIME, start + 20 * MS, 0), "an absolute time");
	is(ticks(fd), 1, "read waits for it");
	ok(now(CLOCK_MONOTONIC) >= start + 20 * MS, "until then");
	works(set(fd, TFD_TIMER_ABSTIME, 1, 0), "a time long past");
	is(ticks(fd), 1, "fires at once");
	works(timerfd_settime(fd, 0, &t, &old), "setting tells the old one");
	ok(!old.it_value.tv_sec && !old.it_value.tv_nsec && !old.it_interval.tv_sec, "which was off");
	works(timerfd_gettime(fd, &left), "gettime");
	ok(nearly(left.it_value.tv_sec, 1000) && left.it_interval.tv_sec == 3, "the rest and the interval");
	t = spec(0, 5 * SECOND);
	works(timerfd_settime(fd, 0, &t, &old), "0 turns it off");
	ok(nearly(old.it_value.tv_sec, 1000) && old.it_interval.tv_sec == 3, "the old one");
	works(timerfd_gettime(fd, &left), "gettime");
	ok(!left.it_value.tv_sec && !left.it_value.tv_nsec && left.it_interval.tv_sec == 5, "the interval is kept");
	works(set(fd, 0, INT64_MAX / SECOND * SECOND, 0), "292 years");
	ok(!ready(fd, 5), "are not over");
	close(fd);
}

static void check_interval(void)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);
	struct itimerspec left;
	int64_t start = now(CLOCK_BOOTTIME), n, sum, passed;

	works(set(fd, 0, 10 * MS, 20 * MS), "an interval timer");
	ok(ready(fd, 20000), "fires");
	sum = ticks(fd);
	passed = (now(CLOCK_BOOTTIME) - start - 10 * MS) / (20 * MS);
	ok(sum >= 1 && sum <= passed + 1, "once so far");
	tap_sleep_ms(120);
	ready(fd, 20000); /* the interrupt may be late: time alone makes nothing readable */
	n = ticks(fd);
	passed = (now(CLOCK_BOOTTIME) - start - 10 * MS) / (20 * MS);
	sum += n;
	ok(n >= 5 && sum <= passed + 1, "counts what nobody has read");
	tap_sleep_ms(70);
	ready(fd, 20000);
	works(timerfd_gettime(fd, &left), "gettime");
	ok((left.it_value.tv_nsec > 0 || in_one_of(20, !timerfd_gettime(fd, &left) && left.it_value.tv_nsec > 0)) &&
	   left.it_value.tv_nsec <= 20 * MS && left.it_interval.tv_nsec == 20 * MS, "tells when the next one comes");
	ready(fd, 20000);
	ok(ticks(fd) >= 3, "and what gettime has counted is read then");
	works(set(fd, 0, 1000 * SECOND, 0), "set anew");
	is(ticks(fd), -EAGAIN, "forgets what was not read");
	close(fd);
}

static void check_ioctl_and_info(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	uint64_t v = 5;
	char name[64], text[512] = "";
	int info, left = 0;

	works(ioctl(fd, SET_TICKS, &v), "TFD_IOC_SET_TICKS");
	is(ticks(fd), 5, "sets what is read");
	v = 0;
	fails(ioctl(fd, SET_TICKS, &v), EINVAL, "but not to 0");
	fails(ioctl(fd, SET_TICKS, (void *)8), EFAULT, "nor from nowhere");
	set(fd, TFD_TIMER_ABSTIME, now(CLOCK_MONOTONIC) + 1000 * SECOND, 7 * SECOND);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = open(name, O_RDONLY);
	ok(read(info, text, sizeof(text) - 1) > 0, "fdinfo");
	ok(sscanf(strstr(text, "it_value: (") ?: "", "it_value: (%d,", &left) == 1 &&
	   strstr(text, "clockid: 1\nticks: 0\nsettime flags: 01\nit_value: (") && nearly(left, 1000), "tells the timer");
	ok(strstr(text, "it_interval: (7, 0)\n"), "and the interval");
	close(info);
	close(fd);
}

/* A second descriptor and a fork are the same timer. */
static void check_sharing(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), copy = dup(fd);

	works(set(fd, 0, 10 * MS, 0), "10 ms");
	is(in_child(_exit(ticks(copy) != 1)), 0, "a child reads it from a copy");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	is(ticks(fd), -EAGAIN, "and has taken it");
	close(copy);
	close(fd);
}

static void nothing(int sig)
{
}

static void check_signal(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct sigaction sa = { .sa_handler = nothing };
	struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }, off = { 0 };	/* again and again: the first may come too early */

	sigaction(SIGALRM, &sa, NULL);
	works(set(fd, 0, 300 * SECOND, 0), "far away");
	setitimer(ITIMER_REAL, &soon, NULL);
	is(ticks(fd), -EINTR, "a signal interrupts the read");
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	works(set(fd, 0, 60 * MS, 0), "60 ms");
	setitimer(ITIMER_REAL, &soon, NULL);
	is(ticks(fd), 1, "or it goes on, with SA_RESTART");
	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_DFL);
	close(fd);
}

static void *setter(void *arg)
{
	tap_sleep_ms(50);
	move_clock(*(int64_t *)arg);
	return NULL;
}

/* A timer of 100 ms of the wall clock, and before they are over the clock is set back; what setting the timer came to. */
static int set_back_in_time(int fd, int64_t by)
{
	int64_t start;
	int r;

	for (int i = 0; i < 20; i++) {
		start = now(CLOCK_MONOTONIC);
		r = set(fd, TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + 100 * MS, 0);
		move_clock(-by);
		if (now(CLOCK_MONOTONIC) - start < 90 * MS)
			return r;
		move_clock(by); /* the host took the CPU away meanwhile */
	}
	return -1;
}

static void check_clock_set(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, 0), mono = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	int rel = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	int64_t by = 1000 * SECOND;
	struct itimerspec t;
	pthread_t thread;

	works(set(mono, 0, 500 * SECOND, 0), "a relative timer");
	works(set(rel, 0, 500 * SECOND, 0), "one of the wall clock");
	works(set(fd, TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + 900 * SECOND, 0), "an absolute time of the wall clock");
	pthread_create(&thread, NULL, setter, &by);
	is(ticks(fd), 1, "comes at once when the clock is set past it");
	pthread_join(thread, NULL);
	is(ticks(mono), -EAGAIN, "relative ones are not moved");
	is(ticks(rel), -EAGAIN, "of whatever clock");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	is(set_back_in_time(fd, by), 0, "soon");
	ok(!ready(fd, 200), "when the clock is set back it is not soon any more");
	works(timerfd_gettime(fd, &t), "gettime");
	ok(nearly(t.it_value.tv_sec, 1001), "but so far away");
	fcntl(fd, F_SETFL, 0);

	works(set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now(CLOCK_REALTIME) + 900 * SECOND, 0), "cancelled on a set");
	by = SECOND;
	pthread_create(&thread, NULL, setter, &by);
	is(ticks(fd), -ECANCELED, "a read that waits says so");
	pthread_join(thread, NULL);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	is(ticks(fd), -EAGAIN, "once");
	move_clock(-by);
	ok(ready(fd, 0), "the next set makes it ready again");
	fails(set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now(CLOCK_REALTIME) + 900 * SECOND, 0), ECANCELED,
	      "setting it says so, too");
	is(ticks(fd), -EAGAIN, "and takes it");
	move_clock(by);
	works(set(fd, TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + 900 * SECOND, 0), "without the flag");
	is(ticks(fd), -EAGAIN, "nobody asks");
	move_clock(-by);
	is(ticks(fd), -EAGAIN, "nor is told");
	works(set(mono, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now(CLOCK_MONOTONIC) + SECOND, 0), "of the monotonic clock");
	move_clock(by);
	is(ticks(mono), -EAGAIN, "the flag means nothing");
	move_clock(-by);
	close(fd);
	close(mono);
	close(rel);
}

/* Many at once, with intervals, set and closed by two threads while they fire. */
static void *storm(void *arg)
{
	long bad = 0;

	for (int round = 0; round < 60; round++) {
		int fd[16];

		for (int i = 0; i < 16; i++) {
			fd[i] = timerfd_create(i & 1 ? CLOCK_MONOTONIC : CLOCK_REALTIME, TFD_NONBLOCK);
			bad += set(fd[i], 0, 1000 + i * 7000, i & 2 ? 20000 : 0) != 0;
		}
		for (int i = 0; i < 16; i++) {
			int64_t n = ticks(fd[i]);

			bad += n < 0 && n != -EAGAIN;
			if (i % 3 == 0)
				bad += set(fd[i], 0, 5000, 3000) != 0;
		}
		for (int i = 0; i < 16; i++)
			close(fd[i]);
	}
	return (void *)bad;
}

static void check_storm(void)
{
	pthread_t t[2];
	void *bad[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, storm, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], &bad[i]);
	is((long)bad[0] + (long)bad[1], 0, "two threads that make, set and close timers");
}

int main(void)
{
	check_errors();
	check_once();
	check_interval();
	check_ioctl_and_info();
	check_sharing();
	check_signal();
	check_clock_set();
	check_storm();
	return tap_done();
}
