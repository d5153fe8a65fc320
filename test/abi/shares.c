/*
 * shares.c - how exactly the fair class shares a CPU, as /init of an otherwise empty initrd under -icount shift=0 on one CPU:
 * virtual time is what the machine executes, so no host can take any of it away. Prints one line "FIGURE name value" each,
 * then switches off. Not in plan.txt: on a shared host the figures would be the host's (test/qemu/ring_figures.py).
 *
 * The loops stay in user mode. The parent sleeps meanwhile, and reads their CPU clocks while it has the CPU itself.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOPS_MOST 5
#define WARM_UP_NS 100000000ull
/* a turn is 12 ms: 10 ms, to the tick. Two loops may be one turn and a tick apart, however long they run */
#define EACH_NS 700000000ull

static void figure(const char *name, int n, uint64_t value)
{
	char line[100];
	int len = snprintf(line, sizeof(line), "FIGURE %s_%d %llu\n", name, n, (unsigned long long)value);

	if (write(1, line, len) != len)
		_exit(1);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	nanosleep(&ts, NULL);
}

static uint64_t time_of(pid_t pid)
{
	struct timespec ts = { 0, 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		_exit(2);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* n loops share the CPU for as long; the last has this nice value. ran[]: what each has had. */
static void run(int n, int nice_of_last, uint64_t *ran)
{
	pid_t child[LOOPS_MOST];

	for (int i = 0; i < n; i++) {
		child[i] = fork();
		if (!child[i]) {
			if (i == n - 1 && nice_of_last)
				setpriority(PRIO_PROCESS, 0, nice_of_last);
			for (;;)
				__asm__ volatile("");
		}
	}
	sleep_ns(WARM_UP_NS);
	for (int i = 0; i < n; i++)
		ran[i] = time_of(child[i]);
	sleep_ns(n * EACH_NS);
	for (int i = 0; i < n; i++)
		ran[i] = time_of(child[i]) - ran[i];
	for (int i = 0; i < n; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
}

static void equal(int n)
{
	uint64_t ran[LOOPS_MOST], least = ~0ull, most = 0;

	run(n, 0, ran);
	for (int i = 0; i < n; i++) {
		least = ran[i] < least ? ran[i] : least;
		most = ran[i] > most ? ran[i] : most;
	}
	figure("share_least", n, least);
	figure("share_most", n, most);
}

int main(void)
{
	uint64_t ran[2];

	equal(3);
	equal(LOOPS_MOST);
	run(2, 5, ran);
	figure("share_nice", 0, ran[0]);
	figure("share_nice", 5, ran[1]);
	figure("end", 0, 1);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
