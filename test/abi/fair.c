/*
 * Many CPUs, many threads: each loop gets its share whatever CPU it began on, and of a thousand runnable threads none waits
 * for long. Run on a machine of four CPUs (plan.txt). The margins are wide, because the host of the emulated CPUs is
 * shared; what was measured is printed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tap.h"

#define LOOPS_PER_CPU 2
#define MANY 1000

static uint64_t clock_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

struct shared {
	atomic_uint ready, go, stop;
	uint64_t ran[64];
	_Atomic uint64_t first_ns[MANY]; /* when the thread had come along for the first time */
};

static struct shared *s;
static atomic_uint gate; /* a futex; 0: closed, until all are there */

static void spin(unsigned n)
{
	for (volatile unsigned i = 0; i < n; i++)
		;
}

static int cpus(void)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	return CPU_COUNT(&set);
}

/* Processes, each a loop: they are spread over the CPUs, and what one has had more than another is small. */
static void check_spread(void)
{
	int n = cpus() * LOOPS_PER_CPU;
	uint64_t least = ~0ull, most = 0;
	pid_t child[64];

	for (int i = 0; i < n; i++) {
		child[i] = fork();
		if (child[i])
			continue;
		atomic_fetch_add(&s->ready, 1);
		while (!atomic_load(&s->go))
			sched_yield();
		for (uint64_t start = clock_of(CLOCK_THREAD_CPUTIME_ID); !atomic_load(&s->stop);) {
			spin(2000);
			s->ran[i] = clock_of(CLOCK_THREAD_CPUTIME_ID) - start;
			if (s->ran[i] >= 1000000000ull)
				atomic_store(&s->stop, 1);
		}
		_exit(0);
	}
	while (atomic_load(&s->ready) < (unsigned)n)
		usleep(1000);
	atomic_store(&s->go, 1);
	for (int i = 0; i < n; i++)
		tap_wait(child[i]);
	for (int i = 0; i < n; i++) {
		least = s->ran[i] < least ? s->ran[i] : least;
		most = s->ran[i] > most ? s->ran[i] : most;
	}
	ok(least * 100 >= most * 60, "two loops per CPU: none gets less than 60 %% of another");
	tap_line("# %d loops on %d CPUs: least %llu us, most %llu us", n, cpus(), (unsigned long long)least / 1000,
		 (unsigned long long)most / 1000);
}

static void *one_of_many(void *arg)
{
	_Atomic uint64_t *first_ns = arg;

	while (!atomic_load(&gate))
		syscall(SYS_futex, &gate, 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
	while (!atomic_load(&s->stop)) {
		spin(1000);
		if (!atomic_load(first_ns))
			atomic_store(first_ns, clock_of(CLOCK_MONOTONIC));
	}
	return NULL;
}

static void check_many(void)
{
	static pthread_t thread[MANY];
	unsigned made = 0, idle = 0;
	pthread_attr_t attr;
	uint64_t start, last = 0;

	atomic_store(&s->stop, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	while (made < MANY && !pthread_create(&thread[made], &attr, one_of_many, &s->first_ns[made]))
		made++;
	is(made, MANY, "a thousand threads");
	start = clock_of(CLOCK_MONOTONIC);
	atomic_store(&gate, 1);
	syscall(SYS_futex, &gate, 1 /* FUTEX_WAKE */, MANY, NULL, NULL, 0);
	do {
		usleep(100000);
		idle = 0;
		for (unsigned i = 0; i < made; i++)
			idle += atomic_load(&s->first_ns[i]) == 0;
	} while (idle && clock_of(CLOCK_MONOTONIC) - start < 10000000000ull);
	atomic_store(&s->stop, 1);
	for (unsigned i = 0; i < made; i++)
		pthread_join(thread[i], NULL);
	/* This thread made all the others: it has had more than its share, and may look late. They tell themselves. */
	for (unsigned i = 0; i < made; i++)
		last = s->first_ns[i] > last ? s->first_ns[i] : last;
	ok(!idle && last - start < 10000000000ull, "all have come along within 10 s");
	tap_line("# a thousand threads: all after %llu ms", (unsigned long long)(last - start) / 1000000);
}

int main(void)
{
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check_spread();
	check_many();
	return tap_done();
}
