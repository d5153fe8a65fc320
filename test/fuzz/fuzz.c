/* SPDX-License-Identifier: MIT */
/*
 * The system call fuzzer: random calls out of the kernel's own table, by several processes at a time.
 *
 *	fuzz supervise SEED SECONDS [ROUNDS [verbose]]
 *		as PID 1 in a machine of its own: rounds until the time is over, then power off, so that the kernel's
 *		leak check has the last word. Round N uses seed SEED + N and says so before it begins.
 *	fuzz worker SEED CALLS
 *		one process's calls, as exec makes them too.
 *
 * A round: a fresh /w, three workers (the first as root now and then, else all as user 1000) that live several times, each life
 * with a generator seeded from the round's seed; all are killed when they take too long, and everything in /w is
 * unmounted and removed. The same seed makes the same calls; what they return
 * differs with the interleaving, under -icount by little: two runs there made the same 5,578 calls, in nearly one order.
 *
 * What a worker may not do is what would blind the test or end it for no fault of the kernel's: reboot, and the console's
 * log level. All else is allowed: a worker that destroys its own stack dies, which is a test too.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_table.h"

#define CALL_COUNT	(sizeof(calls) / sizeof(*calls))
#define WORKERS		3
#define LIVES		6	/* processes that a worker has, one after the other: random calls are deadly */
#define CALLS		120	/* of each */
#define ROUND_MS	2000
#define REARM_CALLS	16	/* after so many the alarm is set again: a call may have blocked it */
#define CONSOLE_FD	200	/* out of reach of most random descriptors */

static uint64_t state;
static bool verbose;
static unsigned depth;		/* generations of fork */

uint64_t rnd(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static void seed_with(uint64_t seed)
{
	state = (seed + 1) * 0x9e3779b97f4a7c15ull;
	for (int i = 0; i < 8; i++)
		rnd();
}

static long raw(long nr, const uint64_t v[6])
{
	long result;
	register uint64_t r10 __asm__("r10") = v[3], r8 __asm__("r8") = v[4], r9 __asm__("r9") = v[5];

	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(v[0]), "S"(v[1]), "d"(v[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* ---- a worker ------------------------------------------------------------------------------------ */

static void on_alarm(int sig)
{
	(void)sig;
}

/* Descriptors of every kind at low numbers. */
static void open_things(void)
{
	static const char *const names[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/w", "/proc/self", "/proc/self/maps",
		"/proc/self/status", "/w/d", "/fuzz" };
	int fds[2];

	close(0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		(void)!open(names[i], i < 4 ? O_RDWR : O_RDONLY);
	(void)!open("/w/a", O_RDWR | O_CREAT, 0666);
	(void)!open("/w/b", O_RDWR | O_CREAT | O_APPEND, 0666);
	(void)!syscall(SYS_memfd_create, "fuzz", 2u);
	for (int i = 0; i < 2; i++)
		(void)!pipe2(fds, i ? O_NONBLOCK : 0);
	(void)!open("/w/p", O_RDWR | O_NONBLOCK);
}

/* Makes a call that would block come back: again and again, as a call may wait for ever. */
static void start_alarm(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, 30000 }, { 0, 30000 } };

	sigset_t set;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Some calls would make most rounds short, or are of little use with random arguments. */
static bool is_wanted(const struct call *c)
{
	switch (c->nr) {
	case SYS_exit: case SYS_exit_group: case SYS_rt_sigreturn: case SYS_pause: case SYS_vfork: case SYS_close_range:
	case SYS_setsid: case SYS_rt_sigsuspend: case SYS_chroot: case SYS_kill: case SYS_munlockall: case SYS_vhangup:
		return one_in(20);
	case SYS_reboot:
		return false;
	case SYS_syslog:
		return getuid() != 0;	/* root could silence the console */
	case SYS_fork: case SYS_clone: case SYS_clone3: case SYS_execve: case SYS_execveat:
		return depth < 4 && one_in(4);
	default:
		return c->there || one_in(50);
	}
}

static const struct call *choose_call(void)
{
	const struct call *c;

	do {
		c = &calls[rnd_below(CALL_COUNT)];
	} while (!is_wanted(c));
	return c;
}

static void print_call(const struct call *c, const uint64_t v[6])
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%d: %s(", (int)getpid(), c->name);

	for (int i = 0; i < c->nargs; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%s%llx", i ? ", " : "", (unsigned long long)v[i]);
	n += snprintf(line + n, sizeof(line) - (size_t)n, ")\n");
	(void)!write(CONSOLE_FD, line, (size_t)n);
}

/* Exec of ourselves goes on fuzzing, with the next generation's number. */
static void exec_self(void)
{
	char seed[24], left[8], generation[8];
	char *argv[] = { "/fuzz", "worker", seed, left, generation, NULL };

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)rnd() >> 1);
	snprintf(left, sizeof(left), "%u", rnd_below(60));
	snprintf(generation, sizeof(generation), "%u", depth + 1);
	execve(argv[0], argv, (char *[]){ NULL });
}

static void adjust(const struct call *c, uint64_t v[6])
{
	switch (c->nr) {
	case SYS_clone:
		/* The child goes on with our stack: it must have a copy. */
		v[0] &= ~(uint64_t)(CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | CLONE_THREAD);
		v[1] = 0;
		break;
	case SYS_nanosleep: case SYS_clock_nanosleep: case SYS_alarm:
		if (c->nr == SYS_alarm)
			v[0] = 0;
		break;
	case SYS_rt_sigaction:
		if ((int)v[0] == SIGALRM)
			v[0] = SIGUSR1;
		break;
	case SYS_setrlimit: case SYS_prlimit64:
		if (v[c->nr == SYS_prlimit64] == 0)	/* RLIMIT_CPU kills */
			v[c->nr == SYS_prlimit64] = 7;
		break;
	default:
		break;
	}
}

static void fuzz(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct call *c = choose_call();
		uint64_t v[6];
		pid_t me = getpid();
		long result;

		if (i % REARM_CALLS == REARM_CALLS - 1)
			start_alarm();
		if ((c->nr == SYS_execve || c->nr == SYS_execveat) && one_in(2))
			exec_self();
		args_make(c, v);
		adjust(c, v);
		if (verbose)
			print_call(c, v);
		result = raw(c->nr, v);
		if (!c->there && result != -ENOSYS) {
			char line[80];
			int n = snprintf(line, sizeof(line), "### fuzz: %s is not there, but returns %ld\n", c->name, result);

			(void)!write(CONSOLE_FD, line, (size_t)n);
		}
		if (getpid() != me) {	/* a child: a short life */
			depth++;
			seed_with(state + (uint64_t)getpid());
			args_remember_pid(getpid());
			fuzz(rnd_below(40));
			_exit(0);
		}
		if (c->nr == SYS_fork || c->nr == SYS_clone || c->nr == SYS_clone3 || c->nr == SYS_vfork)
			args_remember_pid(result);
	}
}

static int worker(uint64_t seed, unsigned count)
{
	seed_with(seed);
	if (!args_init())
		return 1;
	start_alarm();
	open_things();
	fuzz(count);
	return 0;
}

/* ---- the supervisor ------------------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void limit(int which, rlim_t value)
{
	struct rlimit l = { value, value };

	setrlimit(which, &l);
}

static void become_worker(uint64_t seed, unsigned n)
{
	int null = open("/dev/null", O_RDWR);

	/* What workers write at random does not reach the console; what they have to say does. */
	dup2(1, CONSOLE_FD);
	dup2(null, 1);
	dup2(null, 2);
	limit(RLIMIT_FSIZE, 4 << 20);
	limit(RLIMIT_AS, 256 << 20);
	limit(RLIMIT_NPROC, 60);
	limit(RLIMIT_NOFILE, 256);
	(void)!chdir("/w");
	if (n || seed % 4) {
		setgroups(0, NULL);
		if (setgid(1000) || setuid(1000))
			_exit(2);
	}
	for (unsigned life = 0; life < LIVES; life++) {
		pid_t pid = fork();

		if (!pid)
			_exit(worker((seed * WORKERS + n) * LIVES + life, CALLS));
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	_exit(0);
}

/* What root's workers may have mounted, on whatever: nothing of a round is left for the next. */
static void clean_tree(void)
{
	static const char *const tops[] = { "/w/m", "/w/d", "/w/d/e", "/w", "/proc", "/dev", "/sys", "/fuzz", "/" };

	(void)!chdir("/");
	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++)
		for (int n = 0; n < 8 && umount2(tops[i], MNT_DETACH) == 0; n++)
			;
}

static void make_tree(void)
{
	umask(0);
	mkdir("/w", 0777);
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("w", "/w", "tmpfs", 0, "size=16m");
	mkdir("/w/d", 0777);
	mkdir("/w/d/e", 0777);
	mkdir("/w/m", 0777);
	(void)!symlink("d/b", "/w/l");
	mkfifo("/w/p", 0666);
	chmod("/w", 0777);
}

/* Waits for all children; kills everything when the round's time is over. Returns the number of processes that ended. */
static unsigned reap(uint64_t until)
{
	unsigned ended = 0;
	bool killed = false;

	for (;;) {
		pid_t pid = waitpid(-1, NULL, killed ? __WALL : __WALL | WNOHANG);

		if (pid > 0)
			ended++;
		else if (pid < 0 && errno == ECHILD)
			return ended;
		else if (now_ms() < until) {
			nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
			kill(-1, SIGCONT);	/* they stop each other */
		}
		else {
			kill(-1, SIGKILL);
			killed = true;
		}
	}
}

static void round_of(uint64_t seed)
{
	uint64_t start = now_ms();
	unsigned ended;

	printf("### fuzz round %llu begin\n", (unsigned long long)seed);
	fflush(stdout);
	make_tree();
	for (unsigned n = 0; n < WORKERS; n++)
		if (fork() == 0)
			become_worker(seed, n);
	ended = reap(start + ROUND_MS);
	clean_tree();
	printf("### fuzz round %llu end, %u processes, %u ms\n", (unsigned long long)seed, ended, (unsigned)(now_ms() - start));
	fflush(stdout);
}

static int supervise(uint64_t seed, unsigned seconds, unsigned rounds)
{
	uint64_t end;
	unsigned n = 0;

	setpriority(PRIO_PROCESS, 0, -20);
	for (end = now_ms() + seconds * 1000ull; now_ms() < end && n < rounds; n++)
		round_of(seed + n);
	printf("### fuzz end, %u rounds\n", n);
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "supervise")) {
		verbose = argc > 5;
		return supervise(strtoull(argv[2], NULL, 0), (unsigned)atoi(argv[3]), argc > 4 ? (unsigned)atoi(argv[4]) : ~0u);
	}
	if (argc >= 4 && !strcmp(argv[1], "worker")) {
		depth = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
		return worker(strtoull(argv[2], NULL, 0), (unsigned)atoi(argv[3]));
	}
	fprintf(stderr, "usage: fuzz supervise SEED SECONDS [ROUNDS [verbose]] | fuzz worker SEED CALLS\n");
	return 2;
}
