/*
 * itimer.c - interval timers and limits on CPU time: setitimer(2), alarm(2), RLIMIT_CPU, and sleeping on CPU clocks.
 */
#include "tap.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#define SECOND 1000000000ll
#define US_PER_S 1000000ll

static volatile sig_atomic_t came;

static void count(int sig)
{
	came++;
}

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static int64_t us(struct timeval tv)
{
	return tv.tv_sec * US_PER_S + tv.tv_usec;
}

static int64_t user_us(int who)
{
	struct rusage ru;

	getrusage(who, &ru);
	return us(ru.ru_utime);
}

static int set(int which, int64_t value, int64_t interval)
{
	struct itimerval t = { { interval / US_PER_S, interval % US_PER_S }, { value / US_PER_S, value % US_PER_S } };

	return setitimer(which, &t, NULL);
}

static struct itimerval get(int which)
{
	struct itimerval t;

	getitimer(which, &t);
	return t;
}

/*
 * Uses the CPU for so many seconds of the thread's time at most, or until n signals have come. Time that the host takes away is
 * CPU time for whoever had the CPU, and Linux counts for these timers the ticks that came: what is waited for is the signal.
 */
static void burn_until(int n, double seconds)
{
	int64_t end = now(CLOCK_THREAD_CPUTIME_ID) + (int64_t)(seconds * SECOND);

	while (came < n && now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 2000; i++)
			;
}

static void check_errors(void)
{
	struct itimerval t = { { 0, 0 }, { 1, 0 } }, old;

	fails(setitimer(3, &t, NULL), EINVAL, "setitimer: no such timer");
	fails(getitimer(-1, &t), EINVAL, "getitimer: no such timer");
	fails(syscall(SYS_setitimer, 9, 8, 0), EFAULT, "the value is looked at first");
	fails(syscall(SYS_getitimer, ITIMER_PROF, 8), EFAULT, "getitimer: a bad place");
	t.it_value.tv_usec = 1000000;
	fails(setitimer(ITIMER_VIRTUAL, &t, NULL), EINVAL, "a bad microsecond");
	t.it_value.tv_usec = -1;
	fails(setitimer(ITIMER_PROF, &t, NULL), EINVAL, "a negative one");
	t = (struct itimerval){ { -1, 0 }, { 1, 0 } };
	fails(setitimer(ITIMER_REAL, &t, NULL), EINVAL, "a negative interval");
	t = (struct itimerval){ { 5, 6 }, { 100, 0 } };
	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		works(setitimer(which, &t, &old), "timer %d is set", which);
		ok(!us(old.it_value) && !us(old.it_interval), "it was off");
		old = get(which);
		ok(old.it_value.tv_sec >= 50 && old.it_value.tv_sec <= 100 && us(old.it_interval) == 5000006, "what is left");
		works(syscall(SYS_setitimer, which, NULL, &old), "without a value it is turned off");
		ok(old.it_value.tv_sec >= 50 && us(old.it_interval) == 5000006, "and the old one told");
		ok(!us(get(which).it_value), "it is off");
	}
}

/* It fires by CPU time, not by time. */
static void check_cpu_timer(int which, int sig, const char *name)
{
	int64_t before, used, left;

	signal(sig, count);
	came = 0;
	before = now(CLOCK_PROCESS_CPUTIME_ID);
	works(set(which, 10 * US_PER_S, 0), "%s: 10 s", name);
	tap_sleep_ms(300);
	left = us(get(which).it_value);
	used = now(CLOCK_PROCESS_CPUTIME_ID) - before;
	is(came, 0, "%s: does not come in sleep", name);
	ok(10 * US_PER_S - left < used / 1000 + 100000, "%s: nor come nearer", name);
	before = now(CLOCK_PROCESS_CPUTIME_ID);
	works(set(which, 30000, 0), "%s: 30 ms", name);
	burn_until(1, 20);
	used = now(CLOCK_PROCESS_CPUTIME_ID) - before;
	is(came, 1, "%s: comes when the CPU is used", name);
	ok(used > 20000000, "%s: so much of it", name);
	burn_until(2, 0.08);
	is(came, 1, "%s: once", name);
	ok(!us(get(which).it_value), "%s: and is off then", name);
	came = 0;
	works(set(which, 10000, 10000), "%s: every 10 ms", name);
	burn_until(5, 20);
	ok(came >= 5, "%s: comes again and again", name);
	works(set(which, 0, 0), "%s: off", name);
	came = 0;
	burn_until(1, 0.05);
	is(came, 0, "%s: is off", name);
	signal(sig, SIG_DFL);
	is(in_child({
		set(which, 20000, 0);
		came = -1000;
		burn_until(1, 20);
	}) & 0x7f, sig, "%s: ends a process that does not handle it", name);
	set(which, 50 * US_PER_S, 0);
	is(in_child(_exit(us(get(which).it_value) != 0)), 0, "%s: a child has none", name);
	set(which, 0, 0);
}

/* Time in the kernel counts for ITIMER_PROF alone. */
static void check_system_time(void)
{
	struct rusage ru = { 0 };
	char buf[4096];
	int fd = open("/dev/zero", O_RDONLY);
	int64_t end;

	signal(SIGPROF, count);
	came = 0;
	set(ITIMER_PROF, 60000, 0);
	end = now(CLOCK_PROCESS_CPUTIME_ID) + 20 * SECOND;
	while ((!came || us(ru.ru_stime) <= 5000) && now(CLOCK_PROCESS_CPUTIME_ID) < end) {
		for (int i = 0; i < 20; i++)
			if (read(fd, buf, sizeof(buf)) != sizeof(buf))
				break;
		getrusage(RUSAGE_SELF, &ru);
	}
	is(came, 1, "system time counts for ITIMER_PROF");
	ok(us(ru.ru_stime) > 5000, "and is system time in getrusage");
	signal(SIGPROF, SIG_DFL);
	close(fd);
}

static void *burner(void *arg)
{
	int64_t end = now(CLOCK_THREAD_CPUTIME_ID) + *(int64_t *)arg;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 2000; i++)
			;
	return NULL;
}

/* The time of all threads counts, the dead included: none of them has so much alone, nor have those that live at a time. */
static void check_threads(void)
{
	int64_t each = 40000000, before = now(CLOCK_PROCESS_CPUTIME_ID);
	pthread_t t[2];
	struct rusage self, thread;
	int rounds;

	signal(SIGPROF, count);
	came = 0;
	set(ITIMER_PROF, 100000, 0);
	for (rounds = 0; rounds < 2 || (!came && rounds < 100); rounds++) {
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, burner, &each);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
	}
	is(came, 1, "threads use up 100 ms together");
	ok(now(CLOCK_PROCESS_CPUTIME_ID) - before >= 2 * rounds * each, "which the process's clock has counted");
	getrusage(RUSAGE_THREAD, &thread);
	getrusage(RUSAGE_SELF, &self);
	ok(us(self.ru_utime) + us(self.ru_stime) >= us(thread.ru_utime) + us(thread.ru_stime) + 2 * rounds * each / 1000 - 10000,
	   "RUSAGE_THREAD is this one's part");
	signal(SIGPROF, SIG_DFL);
}

static void check_children(void)
{
	int64_t before = user_us(RUSAGE_CHILDREN), each = 60000000;
	struct tms t0, t1;
	struct rusage ru;
	pid_t pid;

	times(&t0);
	is(in_child(burner(&each)), 0, "a child uses 60 ms");
	getrusage(RUSAGE_CHILDREN, &ru);
	ok(us(ru.ru_utime) + us(ru.ru_stime) - before >= 55000, "RUSAGE_CHILDREN counts them");
	times(&t1);
	ok(t1.tms_cutime + t1.tms_cstime - t0.tms_cutime - t0.tms_cstime >= 5, "times(2), too");
	pid = fork();
	if (pid == 0)
		_exit(0);
	tap_wait(pid);
	ok(now(~pid * 8 + 2) == -1 && errno == EINVAL, "no clock of one that is gone");
}

/* What alarm(2) says of a timer that has 400 ms left: a second, unless it had come before it was asked. */
static bool rounded_up(void)
{
	set(ITIMER_REAL, 400000, 0);
	return alarm(1000) == 1;
}

static void check_real(void)
{
	unsigned int left;
	int64_t start;

	signal(SIGALRM, count);
	came = 0;
	start = now(CLOCK_MONOTONIC);
	works(set(ITIMER_REAL, 20000, 20000), "ITIMER_REAL");
	while (came < 3)
		pause();
	ok(now(CLOCK_MONOTONIC) - start >= 60000000, "comes by time");
	ok(in_one_of(10, rounded_up()), "alarm tells what was left, at least a second");
	left = alarm(5000);
	ok(left > 900 && left <= 1000, "and again");
	left = alarm(0);
	ok(left > 4900 && left <= 5000, "and is off");
	came = 0;
	tap_sleep_ms(60);
	is(came, 0, "nothing comes");
	works(set(ITIMER_REAL, 1, 0), "1 us");
	while (!came)
		usleep(1000);
	is(came, 1, "comes");
	alarm(-1u);
	ok(alarm(0) >= 2147483647u - 100, "a far alarm");
	signal(SIGALRM, SIG_DFL);
}

#define STORM 200

/* There may be no time but the handler's: at its end the next signal is there. */
static void count_storm(int sig)
{
	if (++came == STORM)
		set(ITIMER_REAL, 0, 0);
}

/* An interval that no machine can keep up with: the next one begins when the signal is taken. */
static void check_storm(void)
{
	sigset_t alarms;
	int sig, error;

	signal(SIGALRM, count_storm);
	came = 0;
	error = set(ITIMER_REAL, 1, 1);
	burn_until(STORM, 20);
	works(error, "ITIMER_REAL each microsecond");
	ok(came >= STORM, "came again and again");
	ok(!us(get(ITIMER_REAL).it_value), "until the handler turned it off");
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarms, NULL);
	works(set(ITIMER_REAL, 1, 1), "the same, blocked");
	ok(within(20000, us(get(ITIMER_REAL).it_value) == 0), "it waits until the signal is taken");
	is(us(get(ITIMER_REAL).it_interval), 1, "with its interval");
	for (int i = 0; i < 3; i++) {
		is(sigwait(&alarms, &sig), 0, "taken");
		is(sig, SIGALRM, "and it goes on");
	}
	set(ITIMER_REAL, 0, 0);
	signal(SIGALRM, SIG_IGN); /* throws away what waits */
	sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	signal(SIGALRM, SIG_DFL);
}

static void check_limit(void)
{
	struct rlimit rl = { 1, RLIM_INFINITY };
	int status;

	status = in_child({
		setrlimit(RLIMIT_CPU, &rl);
		came = -1000;
		burn_until(1, 20);
	});
	is(status & 0x7f, SIGXCPU, "RLIMIT_CPU: SIGXCPU");
	status = in_child({
		struct rlimit l = { 1, 2 };

		came = 0;
		signal(SIGXCPU, count);
		setrlimit(RLIMIT_CPU, &l);
		burn_until(1, 20);
		if (came != 1 || getrlimit(RLIMIT_CPU, &l) || l.rlim_cur != 2)
			_exit(1);
		came = -1000;
		burn_until(1, 20);
	});
	is(status & 0x7f, SIGKILL, "a second later, at the hard one, SIGKILL");
}

static volatile bool slept;

static void *sleeper(void *arg)
{
	clockid_t *clock = arg;
	struct timespec ts = { 0, 30000000 };
	long error = clock_nanosleep(*clock, 0, &ts, NULL);

	slept = true;
	return (void *)error;
}

/* What another thread's sleep on a clock of this one's comes to, while this one uses the CPU. */
static long sleep_beside(clockid_t *clock)
{
	int64_t end = now(CLOCK_THREAD_CPUTIME_ID) + 20 * SECOND;
	pthread_t t;
	void *r;

	slept = false;
	if (pthread_create(&t, NULL, sleeper, clock))
		return -1;
	while (!slept && now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 2000; i++)
			;
	if (!slept)
		return -2;
	pthread_join(t, &r);
	return (long)r;
}

static void check_cpu_sleep(void)
{
	struct timespec ts = { 0, 20000000 };
	clockid_t clock = CLOCK_PROCESS_CPUTIME_ID, mine, child;
	int64_t each;
	int status;
	pid_t pid;

	fails(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP, "one's own thread's clock stands still");
	pthread_getcpuclockid(pthread_self(), &mine);
	is(clock_nanosleep(mine, 0, &ts, NULL), EINVAL, "by its other name, too");
	is(clock_nanosleep(~100000 * 8 + 1, 0, &ts, NULL), EINVAL, "a process that is not there");
	is(sleep_beside(&clock), 0, "a thread sleeps on the process's clock while others use it");
	is(sleep_beside(&mine), 0, "a thread sleeps on another's clock");
	ts.tv_nsec = 0;
	is(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &ts, NULL), 0, "a time that is past");
	pid = fork();
	if (pid == 0) {
		each = 20 * SECOND;
		burner(&each);
		_exit(0);
	}
	is(clock_getcpuclockid(pid, &child), 0, "a child's clock");
	ts.tv_nsec = 50000000;
	is(clock_nanosleep(child, 0, &ts, NULL), 0, "is slept on");
	ok(now(child) >= 50000000, "and shows the time");
	signal(SIGALRM, count);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	set(ITIMER_REAL, 30000, 30000); /* again and again: the first may come too early */
	ts.tv_sec = 500;
	is(clock_nanosleep(child, 0, &ts, &ts), EINTR, "a signal interrupts it");
	set(ITIMER_REAL, 0, 0);
	ok(ts.tv_sec >= 499, "and the rest is told");
	kill(pid, SIGKILL);
	tap_wait(pid);
	ok(now(child) == -1 && errno == EINVAL, "the clock goes with the process");
	signal(SIGALRM, SIG_DFL);
}

int main(void)
{
	check_errors();
	check_cpu_timer(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL");
	check_cpu_timer(ITIMER_PROF, SIGPROF, "ITIMER_PROF");
	check_system_time();
	check_threads();
	check_children();
	check_real();
	check_storm();
	check_limit();
	check_cpu_sleep();
	return tap_done();
}
