/*
 * race.h - what the programs share that run two things at once: accesses that
 * may fail, threads that stay on a CPU, and rounds.
 *
 * A round: one thread does the one thing, a second one the other, on different
 * CPUs where there are some, and when both are done the first looks whether
 * what is left is what one of the two orders leaves.
 */
#ifndef TEST_ABI_RACE_H
#define TEST_ABI_RACE_H

#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE	4096ul
#define RW	(PROT_READ | PROT_WRITE)

static __thread sigjmp_buf race_out;
static __thread volatile sig_atomic_t race_armed;
static int cpus;

static void race_on_fault(int sig)
{
	if (!race_armed)
		_exit(100 + sig);
	siglongjmp(race_out, sig);
}

/* The signal that a read ends with; 0: none. */
__attribute__((unused))
static int try_read(volatile uint64_t *p, uint64_t *value)
{
	int sig = sigsetjmp(race_out, 1);

	if (!sig) {
		race_armed = 1;
		*value = *p;
	}
	race_armed = 0;
	return sig;
}

__attribute__((unused))
static int try_write(volatile uint64_t *p, uint64_t value)
{
	int sig = sigsetjmp(race_out, 1);

	if (!sig) {
		race_armed = 1;
		*p = value;
	}
	race_armed = 0;
	return sig;
}

__attribute__((unused))
static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* This thread on the n-th CPU, counted round. */
static void pin(int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(n % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* To begin with. */
static void race_init(void)
{
	struct sigaction sa = { .sa_handler = race_on_fault };
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		_exit(1);
	cpus = CPU_COUNT(&set);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* ---- rounds ---- */

static struct {
	void (*other)(void);
	atomic_uint round, done;	/* that has begun; that the other one has done */
	atomic_bool end;
} race_rounds;

__attribute__((unused))
static void *race_second(void *arg)
{
	unsigned int seen = 0;

	pin(1);
	while (!race_rounds.end) {
		if (race_rounds.round == seen) {
			if (cpus == 1)
				sched_yield();
			continue;
		}
		seen = race_rounds.round;
		race_rounds.other();
		race_rounds.done = seen;
	}
	return NULL;
}

/* For so long; false: a round left what no order leaves. */
__attribute__((unused))
static bool rounds(long long ns, void (*one)(void), void (*other)(void), bool (*look)(void))
{
	long long end = now() + ns;
	bool good = true;
	pthread_t t;

	race_rounds.other = other;
	race_rounds.round = race_rounds.done = 0;
	race_rounds.end = false;
	if (pthread_create(&t, NULL, race_second, NULL))
		_exit(93);
	pin(0);
	while (good && now() < end) {
		unsigned int n = ++race_rounds.round;

		one();
		while (race_rounds.done != n)
			if (cpus == 1)
				sched_yield();
		good = look();
	}
	race_rounds.end = true;
	pthread_join(t, NULL);
	return good;
}

#endif
