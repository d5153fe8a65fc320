/*
 * alone.c - a thread that has a CPU for itself and stays in user mode: nobody
 * interrupts it, and yet its times are true, its timers and limits come, and a
 * newcomer gets the CPU.
 *
 * A child spins on CPU 1 and makes no system call; everything else stays on CPU
 * 0. How many ticks there are is Halcyon's own matter: Linux as Debian builds
 * it ticks on, and counts in /proc/stat the ticks that came. The host takes CPUs
 * away for tens of milliseconds and more: what is late is measured several times,
 * and the middle one counts; what runs on is read between two looks at the clock.
 */
#include "race.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#define MS		1000000ll
#define SECOND		1000000000ll
#define TRIES		9
#define MOST_LATE	(250 * MS)	/* the middle one of the newcomers: a slice is 10 ms, a slow tick 1,000, half of it to wait for */
#define MOST_TICKS	25		/* a second; with the tick on it is 250 */

struct shared {
	atomic_ullong loops;
	atomic_int stop;
	long long late;
};

static struct shared *s;

static long long clock_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void set_policy(pid_t pid, int policy, int priority)
{
	struct sched_param p = { .sched_priority = priority };

	syscall(SYS_sched_setscheduler, pid, policy, &p);
}

static void spin_in_user_mode(void)
{
	while (!s->stop)
		s->loops++;
}

/* A child that spins on CPU 1, and has done so for longer than it takes to be left alone. */
static pid_t spinner(int policy)
{
	unsigned long long before;
	pid_t pid;

	s->stop = 0;
	s->loops = 0;
	pid = fork();
	if (!pid) {
		pin(1);
		if (policy)
			set_policy(0, policy, 5);
		spin_in_user_mode();
		_exit(0);
	}
	while (!s->loops)
		tap_sleep_ms(1);
	tap_sleep_ms(30);
	before = s->loops;
	within(10000, s->loops != before);
	return pid;
}

/* Its wait status. */
static int stop(pid_t pid)
{
	s->stop = 1;
	return tap_wait(pid);
}

/* Timer interrupts of CPU 1. */
static long ticks(void)
{
	char line[2048];
	FILE *f = fopen("/proc/interrupts", "r");
	long zero, one = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " LOC: %ld %ld", &zero, &one) == 2)
			break;
	if (f)
		fclose(f);
	return one;
}

/* ---- nobody interrupts it -------------------------------------------------------------------- */

static void test_ticks(void)
{
	long least = -1;
	pid_t pid;

	if (access("/proc/halcyon", F_OK))
		return;
	pid = spinner(0);
	for (int i = 0; i < 10 && (least < 0 || least > MOST_TICKS); i++) {
		long before = ticks();

		tap_sleep_ms(1000);
		before = ticks() - before;
		least = least < 0 || before < least ? before : least;
	}
	ok(least >= 0 && least <= MOST_TICKS, "a thread alone on its CPU has no tick");
	tap_line("# %ld timer interrupts a second", least);
	stop(pid);
}

/* ---- its times are true -------------------------------------------------------------------------- */

/* utime + stime of a process, in clock ticks; the first alone in *user. */
static long stat_time(pid_t pid, long *user)
{
	char path[64], text[512], *paren;
	unsigned long u = 0, k = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && fgets(text, sizeof(text), f) && (paren = strrchr(text, ')')))
		sscanf(paren + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &k);
	if (f)
		fclose(f);
	*user = (long)u;
	return (long)(u + k);
}

/* User and nice time of CPU 1, in clock ticks. */
static long cpu_user(void)
{
	char line[512];
	long user = -1, nice = 0;
	FILE *f = fopen("/proc/stat", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "cpu1 %ld %ld", &user, &nice) == 2)
			break;
	if (f)
		fclose(f);
	return user + nice;
}

/* Whatever is asked for lies between the times that one had to ask and that one has the answer. */
struct look {
	long long asked, told;
	long value, user;
};

struct looks {
	struct look clock, stat, cpu;
};

static struct looks look_at(pid_t pid, clockid_t clock)
{
	struct looks l = { 0 };

	l.clock.asked = now();
	l.clock.value = clock_of(clock);
	l.clock.told = l.stat.asked = now();
	l.stat.value = stat_time(pid, &l.stat.user);
	l.stat.told = l.cpu.asked = now();
	l.cpu.value = cpu_user();
	l.cpu.told = now();
	return l;
}

/* Did it run on by four fifths of the time between two looks at least, and not by more than the time, but for `grain`? */
static bool ran(const struct look *from, const struct look *to, long long unit, long long grain)
{
	long long by = (to->value - from->value) * unit;

	return by >= (to->asked - from->told) * 8 / 10 && by <= to->told - from->asked + grain;
}

static void test_times(void)
{
	bool ticking = access("/proc/halcyon", F_OK) != 0;
	long long tick = SECOND / sysconf(_SC_CLK_TCK);
	pid_t pid = spinner(0);
	struct looks from, to;
	clockid_t clock;
	long user, all;

	clock_getcpuclockid(pid, &clock);
	from = look_at(pid, clock);
	tap_sleep_ms(700);
	to = look_at(pid, clock);
	user = to.stat.user - from.stat.user;
	all = to.stat.value - from.stat.value;
	tap_line("# of %lld ms: clock %lld ms, stat %ld (user %ld) and CPU %ld ticks of %lld ms", (to.cpu.told - from.clock.asked) / MS,
		 (to.clock.value - from.clock.value) / MS, all, user, to.cpu.value - from.cpu.value, tick / MS);
	ok(ran(&from.clock, &to.clock, 1, 50 * MS), "its clock runs while others look");
	ok(ran(&from.stat, &to.stat, tick, 100 * MS), "/proc/PID/stat too");
	ok(user * 10 >= all * 9, "and calls it user time");
	ok(ticking ? to.cpu.value > from.cpu.value : ran(&from.cpu, &to.cpu, tick, 100 * MS), "so does the CPU's line of /proc/stat");
	stop(pid);
}

/* The same by itself, at the first system call after half a second. */
static void look_at_myself(void)
{
	long long used, process;
	struct rusage ru;
	struct tms t;

	pin(1);
	used = clock_of(CLOCK_THREAD_CPUTIME_ID);
	s->loops = 0;
	spin_in_user_mode();
	getrusage(RUSAGE_SELF, &ru);
	used = clock_of(CLOCK_THREAD_CPUTIME_ID) - used;
	process = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	times(&t);
	if (used < 350 * MS)
		_exit(1);
	if (process < used || process > used + 100 * MS)
		_exit(2);
	if (ru.ru_utime.tv_sec * 1000 + ru.ru_utime.tv_usec / 1000 < 300)
		_exit(3);
	if (ru.ru_stime.tv_sec * 1000 + ru.ru_stime.tv_usec / 1000 > 150)
		_exit(4);
	if (t.tms_utime * (1000 / sysconf(_SC_CLK_TCK)) < 300)
		_exit(5);
}

static void test_own_times(void)
{
	int status = -1;

	for (int i = 0; i < 10 && status; i++) {
		pid_t pid;

		s->stop = 0;
		s->loops = 0;
		pid = fork();
		if (!pid) {
			look_at_myself();
			_exit(0);
		}
		within(10000, s->loops);
		tap_sleep_ms(500);
		status = stop(pid);
	}
	is(status, 0, "what it used is user time when it asks by itself");
}

/* ---- a newcomer gets the CPU ----------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return x < y ? -1 : x > y;
}

/* One comes to CPU 1, by waking there or by being sent there; how late it runs. */
static long long newcomer(int policy, bool sent)
{
	int go[2], status;
	long long start;
	pid_t pid;

	if (pipe(go))
		_exit(90);
	pid = fork();
	if (!pid) {
		char c;

		pin(sent ? 0 : 1);
		if (policy)
			set_policy(0, policy, policy == SCHED_RR ? 5 : 0);
		if (sent) {	/* it runs on CPU 0 until somebody sends it away */
			s->late = 1;
			while (sched_getcpu() != 1)
				;
		} else if (read(go[0], &c, 1) != 1) {
			_exit(1);
		}
		s->late = now();
		_exit(0);
	}
	s->late = 0;
	if (sent) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(1, &set);
		within(20000, *(volatile long long *)&s->late);
		start = now();
		sched_setaffinity(pid, sizeof(set), &set);
	} else {
		when_it_sleeps(pid);
		tap_sleep_ms(30);	/* the one that spins is alone again */
		start = now();
		if (write(go[1], "x", 1) != 1)
			_exit(91);
	}
	status = tap_wait(pid);
	close(go[0]);
	close(go[1]);
	return status ? SECOND : s->late - start;
}

static void check_newcomers(int policy, bool sent, long long most, const char *what)
{
	long long late[TRIES], middle;

	for (int i = 0; i < TRIES; i++)
		late[i] = newcomer(policy, sent);
	qsort(late, TRIES, sizeof(late[0]), by_size);
	middle = late[TRIES / 2];
	ok(middle < most, "%s gets the CPU", what);
	tap_line("# %s: %lld to %lld us, the middle one %lld", what, late[0] / 1000, late[TRIES - 1] / 1000, middle / 1000);
}

static void test_newcomers(void)
{
	pid_t pid = spinner(0);

	check_newcomers(0, false, MOST_LATE, "one that wakes there");
	check_newcomers(SCHED_BATCH, false, MOST_LATE, "one that preempts nobody");
	check_newcomers(0, true, MOST_LATE, "one that is sent there");
	stop(pid);
	/* Real-time, alone, without a tick: its turn of 100 ms ends when another one of its priority waits. */
	pid = spinner(SCHED_RR);
	check_newcomers(SCHED_RR, false, 400 * MS, "another in turns");
	stop(pid);
}

/* ---- timers and limits ----------------------------------------------------------------------------- */

static volatile sig_atomic_t came;
static long long came_at;

static void on_signal(int sig)
{
	came_at = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	came = sig;
}

/* After 60 ms alone it sets a timer of 40 ms of CPU time, and makes no system call until that comes. */
static void wait_for_timer(int which, int sig)
{
	struct itimerval t = { .it_value = { 0, 40000 } };
	long long until, start;

	pin(1);
	signal(sig, on_signal);
	for (until = now() + 60 * MS; now() < until;)
		s->loops++;
	start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	setitimer(which, &t, NULL);
	for (until = now() + 30 * SECOND; !came && now() < until;)
		s->loops++;
	_exit(came != sig ? 1 : came_at - start < 35 * MS ? 2 : came_at - start > 400 * MS ? 3 : 0);
}

static void test_timers(void)
{
	int status = -1;

	for (int i = 0; i < 10 && status; i++)
		status = in_child(wait_for_timer(ITIMER_PROF, SIGPROF));
	is(status, 0, "ITIMER_PROF comes in time");
	status = -1;
	for (int i = 0; i < 10 && status; i++)
		status = in_child(wait_for_timer(ITIMER_VIRTUAL, SIGVTALRM));
	is(status, 0, "ITIMER_VIRTUAL too");
}

/* A limit that somebody else sets while it is alone. Linux counts the ticks that came for it, so that a busy host makes it longer. */
static void test_limit(void)
{
	struct rlimit limit = { 1, 20 };
	pid_t pid = spinner(0);
	clockid_t clock;

	clock_getcpuclockid(pid, &clock);
	works(prlimit(pid, RLIMIT_CPU, &limit, NULL), "a limit of a second");
	ok(within(60000, tap_state(pid) == 'Z'), "ends it");
	ok(clock_of(clock) < (access("/proc/halcyon", F_OK) ? 60 : 4) * SECOND, "before it has used four, or as many as its ticks need");
	ok(killed(stop(pid), SIGXCPU), "with SIGXCPU");
}

int main(void)
{
	race_init();
	s = mmap(NULL, sizeof(*s), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pin(0);
	test_ticks();
	test_times();
	test_own_times();
	test_newcomers();
	test_timers();
	test_limit();
	return tap_done();
}
