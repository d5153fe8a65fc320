/*
 * observe.c - what the kernel lets one see of itself: the trace of system
 * calls, their counts, the flight recorder and magic SysRq.
 *
 * Halcyon's own: Linux has other means.  Root runs it; nobody else runs
 * meanwhile but PID 1, which polls.
 */
#define TAP_DRAIN
#include "tap.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/uio.h>

static char text[1 << 20];

static int slurp(const char *path)
{
	int fd = open(path, O_RDONLY), len = 0, got;

	text[0] = 0;
	if (fd < 0)
		return -1;
	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	text[len] = 0;
	close(fd);
	return len;
}

static int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), n, saved;

	if (fd < 0)
		return -1;
	n = write(fd, value, strlen(value));
	saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}

/* The log since the last clear, into text. */
static void read_log(void)
{
	int n = klogctl(3, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
}

/* Does the log have a trace line of that process with this in it? */
__attribute__((format(printf, 2, 3)))
static bool traced(pid_t pid, const char *format, ...)
{
	char want[300], head[40];
	va_list args;

	snprintf(head, sizeof(head), "[%d] ", pid);
	va_start(args, format);
	vsnprintf(want, sizeof(want), format, args);
	va_end(args);
	for (char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		char *end = strchrnul(line, '\n'), *at = strstr(line, "trace: observe");
		char *call = at && at < end ? strstr(at, head) : NULL;

		if (call && call < end && !strncmp(call + strlen(head), want, strlen(want)))
			return true;
	}
	tap_line("# no trace of %d: %s", pid, want);
	return false;
}

/* ---- the trace ---- */

static int two[2];
static uint32_t word;

static void calls_to_trace(void)
{
	struct timespec ts = { 0, 1000000 };
	struct iovec iov[2] = { { "one", 3 }, { "two", 3 } };
	struct pollfd p = { .events = POLLIN };
	unsigned long set = 1ul << (SIGUSR1 - 1) | 1ul << (SIGTERM - 1), full = ~0ul, old;
	char buf[16], st[144];
	void *page;

	syscall(SYS_access, "/no/such", R_OK | X_OK);
	syscall(SYS_openat, AT_FDCWD, "/no \"such\"\n", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	syscall(SYS_open, 16, O_RDONLY, 0);
	syscall(SYS_pipe2, two, O_NONBLOCK);
	syscall(SYS_write, two[1], "he\"llo\n", 7);
	syscall(SYS_read, two[0], buf, 16);
	syscall(SYS_read, two[0], buf, 16);
	syscall(SYS_writev, two[1], iov, 2);
	p.fd = two[0];
	syscall(SYS_poll, &p, 1, 0);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &full, NULL, 8);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8);
	page = (void *)syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	syscall(SYS_mprotect, page, 4096, PROT_NONE);
	syscall(SYS_munmap, page, 4096);
	syscall(SYS_fstat, two[0], st);
	syscall(SYS_fcntl, two[0], F_SETFL, O_RDWR | O_APPEND);
	syscall(SYS_lseek, two[0], -5L, SEEK_END);
	syscall(SYS_nanosleep, &ts, NULL);
	syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	syscall(SYS_kill, getpid(), 0);
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1 + 1000);
	syscall(SYS_prlimit64, 0, 7, NULL, st);
	syscall(SYS_umask, 022);
	syscall(SYS_getcwd, text, 1000);
	syscall(999, 1, 2);
}

static void trace_of_one(void)
{
	pid_t me = getpid(), child;
	int status;

	slurp("/proc/self/trace");
	is_str(text, "0\n", "trace: off at first");
	klogctl(5, NULL, 0);
	works(put("/proc/self/trace", "1"), "trace: on");
	calls_to_trace();
	child = fork();
	if (!child) {
		syscall(SYS_access, "/by/the/child", F_OK);
		_exit(3);
	}
	waitpid(child, &status, 0);
	works(put("/proc/self/trace", "0\n"), "trace: off");
	syscall(SYS_access, "/not/traced", F_OK);
	read_log();
	ok(traced(me, "access(\"/no/such\", R_OK|X_OK) = -1 ENOENT <0."), "a path, bits, an error, the time");
	ok(traced(me, "openat(AT_FDCWD, \"/no \\\"such\\\"\\n\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0640) = "),
	   "escapes, flags, a mode");
	ok(traced(me, "open(0x10, O_RDONLY, 0) = -1 EFAULT"), "a bad pointer");
	ok(traced(me, "pipe2([%d, %d], O_NONBLOCK) = 0", two[0], two[1]), "descriptors that the call made");
	ok(traced(me, "write(%d, \"he\\\"llo\\n\", 7) = 7", two[1]), "what is written");
	ok(traced(me, "read(%d, \"he\\\"llo\\n\", 16) = 7", two[0]), "what was read");
	ok(traced(me, "read(%d, 0x", two[0]), "what was not read");
	ok(traced(me, "writev(%d, [{\"one\", 3}, {\"two\", 3}], 2) = 6", two[1]), "a vector");
	ok(traced(me, "poll([{%d, 0x1, 0x1}], 1, 0) = 1", two[0]), "poll's answer");
	ok(traced(me, "rt_sigprocmask(SIG_BLOCK, [SIGUSR1 SIGTERM], [], 8) = 0"), "sets of signals");
	ok(traced(me, "rt_sigprocmask(SIG_SETMASK, ~[], NULL, 8) = 0"), "all signals");
	ok(traced(me, "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x"), "an address");
	ok(traced(me, "mprotect(0x"), "an address that goes in");
	ok(traced(me, "fstat(%d, {S_IFIFO|0600, size 0}) = 0", two[0]), "a file's attributes");
	ok(traced(me, "fcntl(%d, F_SETFL, O_RDWR|O_APPEND) = 0", two[0]), "an argument that depends on another");
	ok(traced(me, "lseek(%d, -5, SEEK_END) = -1 ESPIPE", two[0]), "a negative offset");
	ok(traced(me, "nanosleep({0, 1000000ns}, NULL) = 0 <0."), "a time");
	ok(traced(me, "futex(0x%lx, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0) = 0", (long)&word), "futex");
	ok(traced(me, "kill(%d, 0) = 0", me), "signal 0");
	ok(traced(me, "tgkill(%d, %d, %d) = -1 EINVAL", me, me, SIGUSR1 + 1000), "no signal");
	ok(traced(me, "prlimit64(0, RLIMIT_NOFILE, NULL, {"), "a limit");
	ok(traced(me, "umask(18) = "), "a plain number");
	ok(traced(me, "getcwd(\"/tmp/observe\\x00\", 1000) = 13"), "a string that comes out");
	ok(traced(me, "syscall_999() = -1 ENOSYS"), "a call that is none");
	ok(traced(me, "fork() = %d", child) || traced(me, "clone("), "fork");
	ok(traced(me, "wait4(%d, [exited with 3], 0, NULL) = %d", child, child), "a status");
	ok(!strstr(text, "/by/the/child"), "children are not followed");
	ok(!strstr(text, "/not/traced"), "nothing behind the end");
	close(two[0]);
	close(two[1]);
}

static void *thread_calls(void *arg)
{
	syscall(SYS_access, "/by/a/thread", F_OK);
	return NULL;
}

static void trace_of_many(void)
{
	pthread_t thread;
	pid_t child;
	int status;

	klogctl(5, NULL, 0);
	put("/proc/self/trace", "2");
	slurp("/proc/self/trace");
	is_str(text, "2\n", "trace: children too");
	pthread_create(&thread, NULL, thread_calls, NULL);
	pthread_join(thread, NULL);
	child = fork();
	if (!child) {
		execl("/no/program", "prog", "with", "words", NULL);
		_exit(7);
	}
	waitpid(child, &status, 0);
	put("/proc/self/trace", "0");
	read_log();
	ok(strstr(text, "access(\"/by/a/thread\", F_OK)"), "threads are traced");
	ok(traced(child, "execve(\"/no/program\", [\"prog\", \"with\", \"words\"], ["), "children are: execve");
	ok(traced(child, "exit_group(7) = ?"), "a call that never returns");
	fails(put("/proc/self/trace", "3"), EINVAL, "trace: 3");
	fails(put("/proc/self/trace", "x"), EINVAL, "trace: x");
	status = in_child(if (setuid(1000)) _exit(99);
			  int fd = open("/proc/self/trace", O_WRONLY);
			  _exit(fd < 0 ? 1 : write(fd, "1", 1) < 0 && errno == EPERM ? 0 : 2));
	ok(status == 0 || exited(status, 1), "trace: not for everybody");
}

static void trace_of_calls(void)
{
	pid_t me = getpid();

	klogctl(5, NULL, 0);
	works(put("/proc/halcyon/trace", "getppid,%signal"), "halcyon/trace: names and a class");
	slurp("/proc/halcyon/trace");
	ok(strstr(text, "rt_sigaction,") && strstr(text, "kill,") && strstr(text, "getppid"), "halcyon/trace: is read back");
	syscall(SYS_getppid);
	syscall(SYS_getpid);
	raise(0);
	works(put("/proc/halcyon/trace", "off\n"), "halcyon/trace: off");
	syscall(SYS_getppid);
	read_log();
	ok(traced(me, "getppid() = %d", getppid()), "the named call");
	ok(traced(me, "tkill(%d, 0) = 0", me) || traced(me, "tgkill("), "the class");
	ok(!strstr(text, "getpid()"), "no other call");
	fails(put("/proc/halcyon/trace", "nosuchcall"), EINVAL, "halcyon/trace: no such call");
	slurp("/proc/halcyon/trace");
	is_str(text, "off\n", "halcyon/trace: still off");
}

/* ---- counts ---- */

struct row {
	unsigned long long nr, calls, errors, total_us, average_ns, longest_ns, in_buckets;
};

/* The line of a call; false: it was not made. */
static bool row_of(const char *name, struct row *r)
{
	char want[40], *line, *at;
	int used = 0;

	memset(r, 0, sizeof(*r));
	slurp("/proc/halcyon/syscalls");
	snprintf(want, sizeof(want), " %s ", name);
	line = strstr(text, want);
	if (!line || sscanf(line + strlen(want), "%llu %llu %llu %llu %llu%n", &r->calls, &r->errors, &r->total_us,
			    &r->average_ns, &r->longest_ns, &used) != 5)
		return false;
	at = line + strlen(want) + used;
	*strchrnul(at, '\n') = 0;
	while ((at = strchr(at, ':')))
		r->in_buckets += strtoull(at + 1, &at, 10);
	return true;
}

static void *count_calls(void *arg)
{
	for (int i = 0; i < 2000; i++)
		syscall(SYS_getppid);
	return NULL;
}

static void counts(void)
{
	struct timespec ts = { 0, 20000000 };
	pthread_t threads[2];
	struct row r;

	slurp("/proc/halcyon/syscalls");
	ok(!strncmp(text, "counting off\n", 13), "syscalls: off at first");
	works(put("/proc/halcyon/syscalls", "on"), "syscalls: on");
	works(put("/proc/halcyon/syscalls", "clear"), "syscalls: clear");
	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
	for (int i = 0; i < 10; i++)
		syscall(SYS_dup, -1);
	nanosleep(&ts, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count_calls, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	works(put("/proc/halcyon/syscalls", "off"), "syscalls: off");
	syscall(SYS_getppid);
	ok(row_of("getppid", &r), "syscalls: getppid was called");
	is(r.calls, 4100, "syscalls: each is counted, in three threads");
	is(r.errors, 0, "syscalls: without an error");
	is(r.in_buckets, 4100, "syscalls: each has its latency");
	ok(r.average_ns > 0 && r.average_ns <= r.longest_ns, "syscalls: average and longest");
	ok(row_of("dup", &r), "syscalls: dup was called");
	is(r.errors, r.calls, "syscalls: errors");
	ok(row_of("nanosleep", &r) || row_of("clock_nanosleep", &r), "syscalls: a sleep");
	ok(r.longest_ns >= 20000000 && r.longest_ns < 60000000000, "syscalls: how long it was");
	works(put("/proc/halcyon/syscalls", "clear"), "syscalls: clear");
	ok(!row_of("getppid", &r), "syscalls: nothing is left");
	fails(put("/proc/halcyon/syscalls", "maybe"), EINVAL, "syscalls: no such word");
}

/* ---- the flight recorder ---- */

static void recorder(void)
{
	char before[80] = "", want[80], *page;
	pid_t me = getpid();

	slurp("/proc/halcyon/recorder");
	is(sscanf(text, "recording %79s", before), 1, "recorder: says what it records");
	works(put("/proc/halcyon/recorder", "all"), "recorder: all");
	works(put("/proc/halcyon/recorder", "clear"), "recorder: clear");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*(volatile char *)page = 1;
	syscall(SYS_dup, -1);
	usleep(30000);
	in_child(__builtin_trap());
	works(put("/proc/halcyon/recorder", "off"), "recorder: off");
	syscall(SYS_umask, 022);
	slurp("/proc/halcyon/recorder");
	ok(!strncmp(text, "recording off\n", 14), "recorder: it is off");
	snprintf(want, sizeof(want), " %d syscall  dup(0xffffffff, ...)\n", me);
	ok(strstr(text, want) != NULL, "recorder: a call");
	snprintf(want, sizeof(want), " %d result   dup = -9\n", me);
	ok(strstr(text, want) != NULL, "recorder: its result");
	snprintf(want, sizeof(want), " %d fault    write %lx from ", me, (long)page);
	ok(strstr(text, want) != NULL, "recorder: a fault");
	snprintf(want, sizeof(want), ", then %d observe\n", me);
	ok(strstr(text, " switch   sleeps, then ") != NULL, "recorder: who sleeps");
	ok(strstr(text, want) != NULL, "recorder: who runs then");
	ok(strstr(text, " irq      vector ") != NULL, "recorder: interrupts");
	ok(strstr(text, " trap     ") != NULL, "recorder: a trap");
	ok(!strstr(text, "umask"), "recorder: nothing behind the end");
	works(put("/proc/halcyon/recorder", "clear"), "recorder: clear");
	slurp("/proc/halcyon/recorder");
	ok(!strstr(text, "cpu0"), "recorder: nothing is left");
	works(put("/proc/halcyon/recorder", "switch,irq"), "recorder: two kinds");
	usleep(2000);
	slurp("/proc/halcyon/recorder");
	ok(!strncmp(text, "recording switch,irq\n", 21), "recorder: the two kinds");
	ok(strstr(text, "switch ") && !strstr(text, "syscall "), "recorder: only these");
	fails(put("/proc/halcyon/recorder", "switch,nothing"), EINVAL, "recorder: no such kind");
	works(put("/proc/halcyon/recorder", before), "recorder: as before");
	munmap(page, 4096);
}

/* ---- magic SysRq ---- */

static bool sysrq_says(const char *key, const char *want)
{
	klogctl(5, NULL, 0);
	if (put("/proc/sysrq-trigger", key))
		return false;
	for (int i = 0; i < 2000; i++) {
		read_log();
		if (strstr(text, want))
			return true;
		usleep(10000);
	}
	tap_line("# sysrq %s does not say: %s", key, want);
	return false;
}

static void sysrq(void)
{
	static const struct { const char *key, *want; } keys[] = {
		{ "h", "sysrq: HELP : loglevel(0-9)" }, { "?", "sysrq: HELP :" },
		{ "t", "sysrq: Show State" }, { "t", "task:observe " }, { "t", "task:work/0 " }, { "t", "schedule" },
		{ "w", "sysrq: Show Blocked State" }, { "m", "sysrq: Show Memory" }, { "m", "free" }, { "m", "kmalloc-64" },
		{ "p", "sysrq: Show Regs" }, { "p", "rip" }, { "l", "sysrq: Show backtrace of all active CPUs" },
		{ "l", ", thread observe" }, { "d", "sysrq: Show Locks Held" }, { "z", "sysrq: Show Recorder" },
		{ "s", "sysrq: Emergency Sync complete" }, { "5", "sysrq: Loglevel set to 5" },
	};
	struct sched_param rt = { .sched_priority = 1 }, normal = { 0 };
	int level = 0, status;

	slurp("/proc/sys/kernel/printk");
	sscanf(text, "%d", &level);
	slurp("/proc/sys/kernel/sysrq");
	is_str(text, "1\n", "sysrq: all of it at first");
	for (unsigned i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		ok(sysrq_says(keys[i].key, keys[i].want), "sysrq %s: %s", keys[i].key, keys[i].want);
	slurp("/proc/sys/kernel/printk");
	is(atoi(text), 5, "sysrq 5: the console's level");
	klogctl(8, NULL, level);
	works(put("/proc/sys/kernel/sysrq", "0"), "sysrq: nothing from the line");
	ok(sysrq_says("h", "sysrq: HELP"), "sysrq: the file still works");
	works(put("/proc/sys/kernel/sysrq", "438"), "sysrq: a mask");
	fails(put("/proc/sys/kernel/sysrq", "-1"), EINVAL, "sysrq: no mask");
	works(put("/proc/sys/kernel/sysrq", "1"), "sysrq: all again");
	works(sched_setscheduler(0, SCHED_FIFO, &rt) ? syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &rt) : 0,
	      "sysrq: a real-time thread");
	works(put("/proc/sysrq-trigger", "n"), "sysrq n");
	is(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER, "sysrq n: it is an ordinary one now");
	syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &normal);
	status = in_child(if (setuid(1000)) _exit(99); _exit(open("/proc/sysrq-trigger", O_WRONLY) < 0 ? errno : 0));
	ok(exited(status, EACCES), "sysrq: not for everybody");
}

/* ---- /proc/halcyon/tlb ---- */

#define TWO_TABLES	(8ul << 20)	/* whatever is beside it, some of its tables are its own */

static volatile int naps_over;

/* Its CPU idles most of the time, with this space still loaded. */
static void *nap(void *arg)
{
	struct timespec ts = { 0, 1000000 };
	cpu_set_t set;

	(void)arg;
	CPU_ZERO(&set);
	CPU_SET(1, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (!naps_over)
		nanosleep(&ts, NULL);
	return NULL;
}

static long tlb_row(const char *name)
{
	char *at;

	slurp("/proc/halcyon/tlb");
	at = strstr(text, name);
	return at ? atol(at + strlen(name)) : -1;
}

/* A CPU that idles in a space must not walk tables that are memory again: it is asked, and leaves the space. */
static void lazy_cpus(void)
{
	long before = tlb_row("\ndropped "), end = tap_now_ms() + 20000;
	cpu_set_t all, zero;
	pthread_t t;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&zero);
	CPU_SET(0, &zero);
	if (CPU_COUNT(&all) == 1 || sched_setaffinity(0, sizeof(zero), &zero) || pthread_create(&t, NULL, nap, NULL))
		return;
	do {
		char *p = mmap(NULL, TWO_TABLES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (unsigned long at = 0; p != MAP_FAILED && at < TWO_TABLES; at += 1 << 20)
			p[at] = 1;
		munmap(p, TWO_TABLES);
	} while (tlb_row("\ndropped ") == before && tap_now_ms() < end);
	ok(before >= 0 && tlb_row("\ndropped ") > before, "tlb: a CPU that idles in a space leaves it when page tables go");
	naps_over = 1;
	pthread_join(t, NULL);
	sched_setaffinity(0, sizeof(all), &all);
}

int main(void)
{
	lazy_cpus();
	trace_of_one();
	trace_of_many();
	trace_of_calls();
	counts();
	recorder();
	sysrq();
	return tap_done();
}
