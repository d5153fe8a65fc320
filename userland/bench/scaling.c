/*
 * scaling.c - what several CPUs do that one does not: the same work by one worker and by more, each on a CPU of its own.
 *
 * A worker is a process (forked, its own address space and descriptors) or a thread (of one process: address space, descriptor
 * table and signal handlers shared). It repeats a step until it is told to stop; the coordinator sleeps meanwhile. Each
 * figure is the time that one step takes *for all workers together*: with perfect scaling the figure for two workers is half
 * of that for one, and the speed-up is the first divided by the second.
 *
 * By wall clock a window lasts WINDOW_NS, one worker and two in turn. With the word "exact" each worker does a fixed number of
 * steps instead, and an emulator's plug-in counts the instructions of each worker's CPU between two marks (ring smp): equal
 * counts with one worker and two mean that nothing is spun away or sent across. The first line of such an operation says
 * the steps and the rounds: BENCH_STEPS name steps rounds.
 *
 * On four CPUs nothing is timed. Each worker does its fixed number of steps, and what the CPUs do to each other meanwhile is counted
 * (events.c): the operations are named four_... instead of scale_....
 *
 * Each step checks its result; a worker that sees a wrong one ends, and with it the operation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../../tools/profile/mark.h"
#include "bench.h"
#include "events.h"

#define WORKERS		2u	/* whose work is timed */
#define WORKERS_MOST	4u
#define WINDOW_NS	60000000
#define ROUNDS		7u
#define EXACT_ROUNDS	3u
#define FUTEX_WAIT	0
#define FUTEX_WAKE	1
#define MILLI		1000ul	/* figures are printed in thousandths of a unit */
#define AREA_PAGES	256ul

struct worker {
	unsigned int number;
	int cpu;
	unsigned long steps;		/* done */
	unsigned long limit;		/* stop after so many; 0: when told */
	int fds[2];
	unsigned int word;		/* its own futex */
	char name[32];
	unsigned char *area;
	unsigned long next;		/* page of the area */
	pthread_t thread;
	pid_t pid;
	char why[100];			/* what went wrong, or "" */
} __attribute__((aligned(256)));

/* Shared by coordinator and workers, processes too. */
struct board {
	struct worker workers[WORKERS_MOST];
	unsigned int ready __attribute__((aligned(256)));
	unsigned int go;
	unsigned int stop __attribute__((aligned(256)));
};

struct work {
	const char *name;
	unsigned long exact_steps;
	void (*enter)(struct worker *w);
	int (*step)(struct worker *w);	/* 0: as it should be */
	void (*leave)(struct worker *w);
};

static struct board *board;
static const struct work *work;
static pid_t parent_of_worker;

/* ---- the steps ---- */

static int step_getppid(struct worker *w __attribute__((unused)))
{
	return syscall(SYS_getppid) != parent_of_worker;
}

static void enter_own_file(struct worker *w)
{
	snprintf(w->name, sizeof(w->name), "own%u", w->number);
	close(make_file(w->name, 100, w->number));
}

static void enter_one_file(struct worker *w)
{
	strcpy(w->name, "one");
	close(must(open(w->name, O_RDWR | O_CREAT, 0644), "one"));
}

static int step_open(struct worker *w)
{
	int fd = open(w->name, O_RDONLY);

	return fd < 0 || close(fd) != 0;
}

static void enter_fault(struct worker *w)
{
	w->next = AREA_PAGES;
	w->area = NULL;
}

/* A step is a first touch; every AREA_PAGES steps the area is given back and another one made. */
static int step_fault(struct worker *w)
{
	unsigned char *at;
	int wrong;

	if (w->next == AREA_PAGES) {
		if (w->area && munmap(w->area, AREA_PAGES * PAGE) != 0)
			return 1;
		w->area = mmap(NULL, AREA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (w->area == MAP_FAILED)
			return 1;
		madvise(w->area, AREA_PAGES * PAGE, MADV_NOHUGEPAGE);
		w->next = 0;
	}
	at = w->area + w->next++ * PAGE;
	wrong = at[8] != 0;
	at[8] = 1;
	return wrong;
}

static void leave_fault(struct worker *w)
{
	if (w->area)
		munmap(w->area, AREA_PAGES * PAGE);
}

static int step_map(struct worker *w __attribute__((unused)))
{
	unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int wrong;

	if (p == MAP_FAILED)
		return 1;
	wrong = p[100] != 0;
	p[100] = 1;
	return wrong || munmap(p, PAGE) != 0;
}

static void enter_pipe(struct worker *w)
{
	must(pipe(w->fds), "pipe");
}

static int step_pipe(struct worker *w)
{
	unsigned char out = (unsigned char)w->steps, in = (unsigned char)~out;

	return write(w->fds[1], &out, 1) != 1 || read(w->fds[0], &in, 1) != 1 || in != out;
}

static void leave_pipe(struct worker *w)
{
	close(w->fds[0]);
	close(w->fds[1]);
}

/* Nobody waits, and the word has another value: the queue is locked and looked at twice. */
static int step_futex(struct worker *w)
{
	return syscall(SYS_futex, &w->word, FUTEX_WAKE, 1, NULL, NULL, 0) != 0 ||
	       syscall(SYS_futex, &w->word, FUTEX_WAIT, 1, NULL, NULL, 0) != -1 || errno != EAGAIN;
}

static int step_fork(struct worker *w __attribute__((unused)))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(CHILD_STATUS);
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS;
}

static const struct work works[] = {
	{ "getppid", 20000, NULL, step_getppid, NULL },
	{ "open_own", 4000, enter_own_file, step_open, NULL },
	{ "open_one", 4000, enter_one_file, step_open, NULL },
	{ "fault", 16 * AREA_PAGES, enter_fault, step_fault, leave_fault },
	{ "map", 2000, NULL, step_map, NULL },
	{ "pipe", 5000, enter_pipe, step_pipe, leave_pipe },
	{ "futex", 10000, NULL, step_futex, NULL },
	{ "fork", 100, NULL, step_fork, NULL },
};

/* ---- workers ---- */

static void worker_run(struct worker *w)
{
	cpu_set_t here;
	unsigned long n = 0;

	CPU_ZERO(&here);
	CPU_SET(w->cpu, &here);
	must(sched_setaffinity(0, sizeof(here), &here), "sched_setaffinity");
	if (work->enter)
		work->enter(w);
	__atomic_fetch_add(&board->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&board->go, __ATOMIC_ACQUIRE))
		sched_yield();
	PROFILE_OWN_START();	/* ring smp counts the instructions of each CPU: tools/profile/count.c */
	while (w->limit ? n < w->limit : !__atomic_load_n(&board->stop, __ATOMIC_RELAXED)) {
		w->steps = n;
		if (work->step(w)) {
			snprintf(w->why, sizeof(w->why), "worker %u, step %lu: wrong (%s)", w->number, n, strerror(errno));
			break;
		}
		n++;
	}
	PROFILE_OWN_STOP();
	w->steps = n;
	if (work->leave)
		work->leave(w);
}

static void *worker_thread(void *arg)
{
	worker_run(arg);
	return NULL;
}

static void start(struct worker *w, int threads)
{
	pid_t pid;

	if (threads) {
		REQUIRE(pthread_create(&w->thread, NULL, worker_thread, w) == 0);
		return;
	}
	pid = must(fork(), "fork");
	if (pid == 0) {
		worker_run(w);
		_exit(0);
	}
	w->pid = pid;	/* the board is the child's, too */
}

static void finish(struct worker *w, int threads)
{
	if (threads)
		REQUIRE(pthread_join(w->thread, NULL) == 0);
	else
		expect_exit(w->pid, 0);
	if (w->why[0])
		failed("%s", w->why);
}

/* The CPUs that may be used, in order. */
static unsigned int choose_cpus(int *cpus, unsigned int most)
{
	cpu_set_t set;
	unsigned int n = 0;
	int cpu;

	must(sched_getaffinity(0, sizeof(set), &set), "sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE && n < most; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	return n;
}

/* Workers that are ready to begin; `limit`: how many steps each does, 0: until it is told to stop. */
static void start_all(unsigned int count, int threads, const int *cpus, unsigned long limit)
{
	unsigned int i;

	memset(board, 0, sizeof(*board));
	parent_of_worker = threads ? getppid() : getpid();
	for (i = 0; i < count; i++) {
		board->workers[i].number = i;
		board->workers[i].cpu = cpus[i];
		board->workers[i].limit = limit;
		start(&board->workers[i], threads);
	}
	while (__atomic_load_n(&board->ready, __ATOMIC_SEQ_CST) < count)
		sched_yield();
}

/* The steps that they did. */
static unsigned long finish_all(unsigned int count, int threads)
{
	unsigned long steps = 0;
	unsigned int i;

	for (i = 0; i < count; i++) {
		finish(&board->workers[i], threads);
		steps += board->workers[i].steps;
	}
	REQUIRE(steps > 0);
	return steps;
}

/* One window with `count` workers: units of time a step of all, in thousandths. */
static uint64_t window(unsigned int count, int threads, const int *cpus)
{
	struct timespec length = { 0, WINDOW_NS };
	uint64_t begin, end = 0;
	unsigned long steps;

	start_all(count, threads, cpus, bench_is_exact() ? work->exact_steps : 0);
	begin = bench_now();
	__atomic_store_n(&board->go, 1, __ATOMIC_RELEASE);
	if (!bench_is_exact()) {
		nanosleep(&length, NULL);
		__atomic_store_n(&board->stop, 1, __ATOMIC_RELAXED);
		end = bench_now();
	}
	steps = finish_all(count, threads);
	if (bench_is_exact())
		end = bench_now();
	return (end - begin) * MILLI / steps;
}

/* PREFIX_NAME_process or PREFIX_NAME_thread: finds the work, makes the board; true: threads. */
static int choose_work(const char *name)
{
	const char *kind = strchr(name, '_') + 1, *last = strrchr(kind, '_');
	size_t length = last - kind;
	unsigned int i;

	for (i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (length == strlen(works[i].name) && !strncmp(kind, works[i].name, length))
			work = &works[i];
	REQUIRE(work != NULL);
	board = must_map(sizeof(*board), MAP_SHARED);
	return !strcmp(last, "_thread");
}

/* "scale_NAME_process" and "scale_NAME_thread" each print a figure _1 and a figure _2. */
static void run_scale(const char *name)
{
	static struct series one, two;
	int threads = choose_work(name), cpus[WORKERS];
	unsigned int i, rounds = bench_is_exact() ? EXACT_ROUNDS : ROUNDS;
	struct events before, after;

	if (choose_cpus(cpus, WORKERS) < WORKERS)
		missing("one CPU only");
	one.count = two.count = 0;
	if (bench_is_exact())
		printf("BENCH_STEPS %s %lu %u\n", name, work->exact_steps, rounds);
	fflush(stdout);
	(void)window(WORKERS, threads, cpus);	/* warms up */
	if (bench_is_exact())
		events_read(&before);
	for (i = 0; i < rounds; i++) {
		series_add(&one, window(1, threads, cpus));
		series_add(&two, window(WORKERS, threads, cpus));
	}
	series_print(name, "_1", &one, MILLI);
	if (bench_is_exact()) {		/* of those with two workers: one alone disturbs nobody */
		events_read(&after);
		events_print(name, &before, &after, work->exact_steps * WORKERS * rounds);
	}
	series_print(name, "_2", &two, MILLI);
}

/* "four_NAME_process" and "four_NAME_thread": what happens between four CPUs. */
static void run_four(const char *name)
{
	int threads = choose_work(name), cpus[WORKERS_MOST], locks;
	struct events before, after;
	unsigned long steps;

	if (choose_cpus(cpus, WORKERS_MOST) < WORKERS_MOST)
		missing("fewer than four CPUs");
	start_all(WORKERS_MOST, threads, cpus, work->exact_steps);
	locks = locks_reset();
	events_read(&before);
	__atomic_store_n(&board->go, 1, __ATOMIC_RELEASE);
	steps = finish_all(WORKERS_MOST, threads);
	events_read(&after);
	events_print(name, &before, &after, steps);
	if (locks)
		locks_print(name, steps);
}

#define FOUR(kind) { "four_" kind "_process", GROUP_FOUR, run_four }, { "four_" kind "_thread", GROUP_FOUR, run_four }
#define BOTH(kind) { "scale_" kind "_process", GROUP_SCALE, run_scale }, { "scale_" kind "_thread", GROUP_SCALE, run_scale }

const struct op scaling_ops[] = {
	BOTH("getppid"), BOTH("open_own"), BOTH("open_one"), BOTH("fault"), BOTH("map"), BOTH("pipe"), BOTH("futex"), BOTH("fork"),
	FOUR("getppid"), FOUR("open_own"), FOUR("open_one"), FOUR("fault"), FOUR("map"), FOUR("pipe"), FOUR("futex"), FOUR("fork"),
	{ NULL, 0, NULL },
};
