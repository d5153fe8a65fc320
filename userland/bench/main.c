/*
 * main.c - the benchmark's two roles, its clock and its arithmetic.
 *
 * As PID 1 of the benchmark's initramfs (the same one on Halcyon and on Linux) it mounts /dev, /proc and /tmp, reads
 * the names of operations from /plan and runs each in a process of its own, freshly executed, so that no operation
 * finds what another left in the address space; then it resets the machine. Called as `bench OP...` it runs these
 * operations; `bench --list` names them; `bench --exit` is the program that fork+exec+wait executes;
 * `lie:...` see lie.c.
 *
 * The clock. Under -icount shift=0 the time stamp counter counts guest instructions; without it, CLOCK_MONOTONIC's
 * nanoseconds are used. Which of them is told by the word "exact" in /plan or on the command line, because a guest
 * cannot know. Linux's timer tick (4 ms) and Halcyon's stay out of the figures by windows of about half a millisecond
 * whose median counts; the mean is printed beside it, so that nothing hides there.
 *
 * What a line on the serial console says:
 *	BENCH name iterations=N samples=N median=T mean=T least=T most=T
 *	BENCH name failed: why		the result was wrong, or the operation died
 *	BENCH name missing: why		the kernel answers that it has no such thing
 *	BENCH end
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../../tools/profile/mark.h"
#include "bench.h"

#define WINDOWS		15
#define LIE_SECONDS	10
#define OP_SECONDS	100	/* of the guest's clock; one GiB of instructions and a margin */
#define PLAN_BYTES	16384
#define STATUS_FAILED	1
#define STATUS_MISSING	3

static const struct op *const tables[] = {
	syscall_ops, file_ops, ipc_ops, memory_ops, process_ops, program_ops, scaling_ops, later_ops,
};

static int exact;
static const char *current = "bench";

static void print(const char *format, ...)
{
	char line[400];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (write(1, line, len) != len)
		_exit(STATUS_FAILED);
}

void failed(const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print("BENCH %s failed: %s\n", current, text);
	_exit(STATUS_FAILED);
}

void missing(const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print("BENCH %s missing: %s\n", current, text);
	_exit(STATUS_MISSING);
}

long must(long value, const char *what)
{
	if (value == -1)
		failed("%s: %s", what, strerror(errno));
	return value;
}

void *must_map(size_t length, int flags)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		failed("mmap of %zu: %s", length, strerror(errno));
	return at;
}

/* ---- the clock and the arithmetic ---- */

uint64_t bench_now(void)
{
	if (exact) {
		uint32_t lo, hi;

		__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
		return (uint64_t)hi << 32 | lo;
	} else {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		return ts.tv_sec * 1000000000ull + ts.tv_nsec;
	}
}

int bench_is_exact(void)
{
	return exact;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void series_add(struct series *s, uint64_t duration)
{
	if (s->count < MAX_SAMPLES)
		s->sample[s->count++] = duration;
}

void series_print(const char *name, const char *part, const struct series *s, unsigned long iterations)
{
	struct series sorted = *s;
	uint64_t sum = 0;
	unsigned int i, n = s->count;

	if (!n)
		failed("%s%s: nothing was measured", name, part);
	qsort(sorted.sample, n, sizeof(sorted.sample[0]), compare);
	for (i = 0; i < n; i++)
		sum += sorted.sample[i];
	print("BENCH %s%s iterations=%lu samples=%u median=%llu mean=%llu least=%llu most=%llu\n", name, part,
	      iterations, n, (unsigned long long)(sorted.sample[(n - 1) / 2] + sorted.sample[n / 2]) / 2,
	      (unsigned long long)(sum / n), (unsigned long long)sorted.sample[0],
	      (unsigned long long)sorted.sample[n - 1]);
}

void measure(const char *name, const struct loop *loop)
{
	unsigned int windows = loop->windows ? loop->windows : WINDOWS, i;
	static struct series s;

	s.count = 0;
	for (i = 0; i <= windows; i++) {
		uint64_t start, end;

		if (loop->before)
			loop->before();
		if (i)
			PROFILE_OWN_START();	/* make profile PROG="bench NAME" MARKS=own */
		start = bench_now();
		loop->body(loop->iterations);
		end = bench_now();
		if (i)
			PROFILE_OWN_STOP();
		if (loop->after)
			loop->after(loop->iterations);
		if (i)		/* the first one warmed up */
			series_add(&s, end - start);
	}
	series_print(name, "", &s, loop->iterations);
}

/* ---- files and children ---- */

unsigned char pattern_at(size_t offset, unsigned int salt)
{
	return (offset * 131 + (offset >> 12) * 17 + salt * 7 + 1) & 0xff;
}

void fill_pattern(void *at, size_t length, size_t offset, unsigned int salt)
{
	unsigned char *p = at;
	size_t i;

	for (i = 0; i < length; i++)
		p[i] = pattern_at(offset + i, salt);
}

void check_pattern(const void *at, size_t length, size_t offset, unsigned int salt, const char *what)
{
	const unsigned char *p = at;
	size_t i;

	for (i = 0; i < length; i++)
		if (p[i] != pattern_at(offset + i, salt))
			failed("%s: byte %zu is %02x, not %02x", what, offset + i, p[i],
			       pattern_at(offset + i, salt));
}

int make_file(const char *name, size_t length, unsigned int salt)
{
	int fd = must(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644), name);
	static unsigned char block[64 * KIB];
	size_t done, part;

	for (done = 0; done < length; done += part) {
		part = length - done < sizeof(block) ? length - done : sizeof(block);
		fill_pattern(block, part, done, salt);
		if (write(fd, block, part) != (ssize_t)part)
			failed("cannot write %s", name);
	}
	return fd;
}

void expect_exit(pid_t pid, int status)
{
	int got = 0;

	if (waitpid(pid, &got, 0) != pid || !WIFEXITED(got) || WEXITSTATUS(got) != status)
		failed("child %d ended with %#x", (int)pid, got);
}

/* ---- running operations ---- */

static int remove_one(const char *path, const struct stat *st __attribute__((unused)), int type __attribute__((unused)),
		      struct FTW *at)
{
	return at->level ? remove(path) : 0;
}

static void run_op(const struct op *op)
{
	if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
		failed("mkdir: %s", strerror(errno));
	nftw(FOLDER, remove_one, 20, FTW_DEPTH | FTW_PHYS);
	must(chdir(FOLDER), FOLDER);
	op->run(op->name);
	must(chdir("/"), "/");
	nftw(FOLDER, remove_one, 20, FTW_DEPTH | FTW_PHYS);
}

static const struct op *find_op(const char *name)
{
	unsigned int i;
	const struct op *op;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (op = tables[i]; op->name; op++)
			if (!strcmp(op->name, name))
				return op;
	return NULL;
}

static void list(void)
{
	static const char *const groups[] = { "quick", "long", "scale", "four", "later" };
	unsigned int i;
	const struct op *op;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (op = tables[i]; op->name; op++)
			print("%s %s\n", op->name, groups[op->group]);
}

/* The operation in a process of its own; PID 1 says what the process could not say itself. */
static void run_apart(const char *name)
{
	char *argv[] = { "bench", exact ? "--exact" : "--wall", (char *)name, NULL };
	char *envp[] = { "PATH=/bin", "HOME=/", NULL };
	sigset_t child;
	struct timespec limit = { strchr(name, ':') ? LIE_SECONDS : OP_SECONDS, 0 };
	int status = 0;
	pid_t pid, got;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, &child, NULL);
		setsid();
		execve("/proc/self/exe", argv, envp);
		_exit(127);
	}
	while ((got = waitpid(pid, &status, WNOHANG)) == 0)
		if (sigtimedwait(&child, NULL, &limit) < 0 && errno == EAGAIN)
			break;
	if (got == 0)
		print("BENCH %s failed: it takes more than %ld s\n", name, (long)limit.tv_sec);
	else if (WIFSIGNALED(status))
		print("BENCH %s failed: signal %d\n", name, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != STATUS_FAILED &&
		 WEXITSTATUS(status) != STATUS_MISSING)
		print("BENCH %s failed: status %d\n", name, WEXITSTATUS(status));
	kill(-1, SIGKILL);
	while (waitpid(-1, &status, 0) > 0 || errno == EINTR)
		;
}

static void mount_on(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) < 0 && errno != EBUSY)
		print("BENCH init failed: mount %s: %s\n", where, strerror(errno));
}

/* Kernel entry to the first instruction of PID 1, by the monotonic clock, which begins at Halcyon's entry. */
static void print_entry(void)
{
	struct timespec ts;
	struct series s = { .count = 1 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	s.sample[0] = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	series_print("entry_to_init", "", &s, 1);
}

static void __attribute__((noreturn)) be_init(void)
{
	static char plan[PLAN_BYTES];
	char *word, *save;
	int fd;

	print_entry();
	mount_on("devtmpfs", "/dev");
	mount_on("proc", "/proc");
	mount_on("tmpfs", "/tmp");
	fd = open("/plan", O_RDONLY);
	if (fd < 0 || read(fd, plan, sizeof(plan) - 1) <= 0)
		print("BENCH init failed: no plan\n");
	close(fd);
	for (word = strtok_r(plan, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (!strcmp(word, "exact"))
			exact = 1;
		else
			run_apart(word);
	}
	print("BENCH end\n");
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* One word of the command line: an operation, or lie:NUMBER:VALUE:OPERATION. */
static void run_word(const char *word)
{
	const char *name = strrchr(word, ':') ? strrchr(word, ':') + 1 : word;
	const struct op *op = find_op(name);
	unsigned int number;
	char value[20];

	current = word;
	if (!op)
		failed("no such operation");
	if (name != word) {
		if (sscanf(word, "lie:%u:%19[^:]:", &number, value) != 2)
			failed("what kind of lie?");
		lie_begin(number, value);
	}
	run_op(op);
}

int main(int argc, char **argv)
{
	int i;

	if (argc == 2 && !strcmp(argv[1], "--exit"))
		_exit(CHILD_STATUS);
	if (getpid() == 1)
		be_init();
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--exact"))
			exact = 1;
		else if (!strcmp(argv[i], "--list"))
			list();
		else if (strcmp(argv[i], "--wall"))
			run_word(argv[i]);
	}
	return 0;
}
