/*
 * bench.h - what the operations of the benchmark share. main.c tells how a run goes.
 *
 * Two ways to state a cost:
 *   a loop    the body runs `iterations` times inside one timed window, WINDOWS windows in a row after one that
 *             warms up. A window is meant to last well below a tick of Linux (4 ms), so that the median of the
 *             windows is free of ticks; `before` and `after` are not timed, and `after` proves what the body did.
 *   a series  durations of single things (a fork's call, a child's exit), added one by one
 *
 * Both print one line:
 *
 *	BENCH name iterations=N samples=N median=T mean=T least=T most=T
 *
 * with T in units of the clock: guest instructions under -icount shift=0, else nanoseconds. A cost is median / iterations.
 *
 * Every operation proves its result. What is not proved is not printed: failed() ends the operation's process.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KIB		1024ul
#define MIB		(1024ul * KIB)
#define GIB		(1024ul * MIB)
#define PAGE		4096ul
#define FOLDER		"/tmp/bench"	/* a tmpfs; each operation begins in it, empty */
#define CHILD_STATUS	42		/* what children and `bench --exit` end with */
#define MAX_SAMPLES	512

/* What an operation is for: its group says in which runs it takes part. */
enum group {
	GROUP_QUICK,	/* seconds at most together: bench-check runs these */
	GROUP_LONG,	/* whole programs, a gibibyte */
	GROUP_SCALE,	/* one worker and two on CPUs of their own: scaling.c */
	GROUP_FOUR,	/* four workers, whose events are counted: scaling.c, events.c */
	GROUP_LATER,	/* may need what is not built: "missing" when the kernel says so */
};

struct op {
	const char	*name;
	enum group	group;
	void		(*run)(const char *name);
};

struct loop {
	unsigned long	iterations;	/* a window */
	unsigned int	windows;	/* 0: WINDOWS */
	void		(*before)(void);
	void		(*body)(unsigned long n);
	void		(*after)(unsigned long n);
};

struct series {
	unsigned int	count;
	uint64_t	sample[MAX_SAMPLES];
};

extern const struct op syscall_ops[], file_ops[], ipc_ops[], memory_ops[], process_ops[], program_ops[], scaling_ops[],
	later_ops[];

/* Time in units of the run's clock. */
uint64_t bench_now(void);
/* Whether the clock counts instructions (one CPU), so that fewer samples do. */
int bench_is_exact(void);

void measure(const char *name, const struct loop *loop);
void series_add(struct series *s, uint64_t duration);
void series_print(const char *name, const char *part, const struct series *s, unsigned long iterations);

/* Ends the operation: its result is wrong. */
void __attribute__((noreturn, format(printf, 1, 2))) failed(const char *format, ...);
/* Ends the operation: the kernel has not got it. */
void __attribute__((noreturn, format(printf, 1, 2))) missing(const char *format, ...);
/* `value` as it is, unless it is -1: then the operation failed, with errno's text. */
long must(long value, const char *what);
void *must_map(size_t length, int flags);

/* A file in FOLDER of `length` bytes whose byte at offset i is pattern_at(i, salt). */
int make_file(const char *name, size_t length, unsigned int salt);
unsigned char pattern_at(size_t offset, unsigned int salt);
void fill_pattern(void *at, size_t length, size_t offset, unsigned int salt);
void check_pattern(const void *at, size_t length, size_t offset, unsigned int salt, const char *what);
/* From now on system call `number` answers `what` (a number, or "count") and does nothing; see lie.c. */
void lie_begin(unsigned int number, const char *what);
/* Waits for a child that must end with `status`. */
void expect_exit(pid_t pid, int status);

#define REQUIRE(condition)	\
	do { if (!(condition)) failed("line %d: not so: %s", __LINE__, #condition); } while (0)

#endif
