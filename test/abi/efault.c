/*
 * efault.c - for every system call that takes pointers: each pointer in turn
 * is null, unmapped, in the kernel, non-canonical, inaccessible, read-only
 * (where the kernel writes) or running off the end of a page or of user
 * space, while the others are good.  The answer is EFAULT.
 *
 * The table below names the calls; the harness checks that every call of
 * kernel/syscall/syscall.tbl with a pointer is in it or in `exempt`, which
 * says why not.  No call is ever made with all its pointers good.
 */
#include "tap.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/timerfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define USER_END 0x7fffffffe000ul

enum kind {
	VALUE,		/* an ordinary argument */
	IN,		/* read by the kernel */
	OUT,		/* written by the kernel */
	STR,		/* a path or another string */
	NULLABLE = 16,	/* null means something else */
	PARTIAL = 32,	/* may do what fits and return its size */
	LAZY = 64,	/* may succeed when only the tail is bad */
	ALIGNED = 128,	/* what is not aligned is refused as such first */
};

struct arg {
	int kind;
	long value;	/* the value, or the size of what the pointer points to */
};

#define V(x)	{ VALUE, (long)(x) }
#define I(n)	{ IN, (n) }
#define IN_(n)	{ IN | NULLABLE, (n) }
#define O(n)	{ OUT, (n) }
#define ON(n)	{ OUT | NULLABLE, (n) }
#define OP(n)	{ OUT | PARTIAL, (n) }
#define IP(n)	{ IN | PARTIAL, (n) }
#define S	{ STR, 0 }
#define SN	{ STR | NULLABLE, 0 }
#define CWD	V(AT_FDCWD)

struct probe {
	const char *name;
	int nr;
	struct arg args[6];
	void (*before)(void);
};

static int file_fd, dir_fd, zero_fd, tty_fd, timer_fd;
static int pipe_fds[2];
static char *good_page;
static uint64_t capability_header[2] = { _LINUX_CAPABILITY_VERSION_3 };

/* Values that are known only at run time stand in the table as these. */
#define FILE_FD		-1001
#define DIR_FD		-1002
#define ZERO_FD		-1003
#define PIPE_FD		-1004
#define TTY_FD		-1005
#define SELF_PID	-1006
#define CODE_PAGE	-1007
#define TIMER_FD	-1008

static void make_zombie(void)
{
	if (fork() == 0)
		_exit(0);
}

static void make_pending(void)
{
	raise(SIGUSR1);
}

static void rewind_dir(void)
{
	lseek(dir_fd, 0, SEEK_SET);
}

#define P(call, ...)	{ #call, SYS_##call, { __VA_ARGS__ }, NULL }
#define PB(before, call, ...) { #call, SYS_##call, { __VA_ARGS__ }, before }

static const struct probe probes[] = {
	P(read, V(ZERO_FD), OP(64), V(64)),
	P(write, V(PIPE_FD), IP(64), V(64)),
	P(write, V(FILE_FD), IP(64), V(64)),
	P(open, S, V(O_RDONLY), V(0)),
	P(stat, S, O(144)),
	P(fstat, V(FILE_FD), O(144)),
	P(lstat, S, O(144)),
	P(poll, I(8), V(1), V(0)),
	P(rt_sigaction, V(SIGUSR2), IN_(32), ON(32), V(8)),
	P(rt_sigprocmask, V(SIG_BLOCK), IN_(8), ON(8), V(8)),
	P(ioctl, V(PIPE_FD), V(0x541b), O(4)),
	P(ioctl, V(TTY_FD), V(0x5401), O(36)),
	P(ioctl, V(TTY_FD), V(0x5402), I(36)),
	P(ioctl, V(TTY_FD), V(0x5413), O(8)),
	P(pread64, V(FILE_FD), OP(64), V(64), V(0)),
	P(pwrite64, V(FILE_FD), IP(64), V(64), V(0)),
	P(readv, V(ZERO_FD), I(16), V(1)),
	P(writev, V(FILE_FD), I(16), V(1)),
	P(access, S, V(F_OK)),
	P(pipe, O(8)),
	P(select, V(64), IN_(8), IN_(8), IN_(8), IN_(16)),
	P(mincore, V(CODE_PAGE), V(PAGE), O(1)),
	P(nanosleep, I(16), V(0)),
	P(getitimer, V(0), O(32)),
	P(setitimer, V(0), IN_(32), ON(32)),
	P(sendfile, V(FILE_FD), V(FILE_FD), ON(8), V(16)),
	P(execve, S, IN_(8), IN_(8)),
	PB(make_zombie, wait4, V(-1), ON(4), V(0), ON(144)),
	P(uname, O(390)),
	P(fcntl, V(FILE_FD), V(F_GETLK), I(32)),
	P(fcntl, V(FILE_FD), V(F_SETLK), I(32)),
	P(truncate, S, V(0)),
	PB(rewind_dir, getdents, V(DIR_FD), OP(4096), V(4096)),
	P(getcwd, O(4096), V(4096)),
	P(chdir, S),
	P(rename, S, S),
	P(mkdir, S, V(0700)),
	P(rmdir, S),
	P(creat, S, V(0600)),
	P(link, S, S),
	P(unlink, S),
	P(symlink, S, S),
	P(readlink, S, O(64), V(64)),
	P(chmod, S, V(0600)),
	P(chown, S, V(0), V(0)),
	P(lchown, S, V(0), V(0)),
	P(gettimeofday, ON(16), ON(8)),
	P(getrlimit, V(RLIMIT_CORE), O(16)),
	P(getrusage, V(0), O(144)),
	P(sysinfo, O(112)),
	P(times, ON(32)),
	P(syslog, V(3), ON(8192), V(8192)),
	P(getgroups, V(8), O(12)),
	P(setgroups, V(3), I(12)),
	P(getresuid, O(4), O(4), O(4)),
	P(getresgid, O(4), O(4), O(4)),
	P(capget, I(8), ON(24)),
	P(capset, I(8), I(24)),
	P(rt_sigpending, O(8), V(8)),
	PB(make_pending, rt_sigtimedwait, I(8), ON(128), IN_(16), V(8)),
	P(rt_sigqueueinfo, V(SELF_PID), V(SIGUSR1), I(48)),
	P(rt_sigsuspend, I(8), V(8)),
	P(sigaltstack, IN_(24), V(0)),
	P(sigaltstack, V(0), ON(24)),
	P(utime, S, IN_(16)),
	P(mknod, S, V(0100600), V(0)),
	P(statfs, S, O(120)),
	P(fstatfs, V(FILE_FD), O(120)),
	P(sched_setparam, V(0), IN_(4)),
	P(sched_getparam, V(0), ON(4)),
	P(sched_setscheduler, V(0), V(0), IN_(4)),
	P(sched_rr_get_interval, V(0), O(16)),
	P(pivot_root, S, S),
	P(prctl, V(15), I(16)),
	P(prctl, V(16), O(16)),
	P(arch_prctl, V(0x1003), O(8)),
	P(setrlimit, V(RLIMIT_CORE), I(16)),
	P(chroot, S),
	P(settimeofday, IN_(16), IN_(8)),
	P(mount, SN, S, SN, V(0), { IN | NULLABLE | LAZY, 64 }),
	P(umount2, S, V(0)),
	P(sethostname, I(10), V(10)),
	P(setdomainname, I(10), V(10)),
	P(time, ON(8)),
	P(futex, { IN | ALIGNED, 4 }, V(0), V(0), IN_(16), V(0), V(0)),
	P(futex, { IN | ALIGNED, 4 }, V(3), V(0), V(0), { IN | ALIGNED, 4 }, V(0)),
	P(sched_setaffinity, V(0), V(8), I(8)),
	P(sched_getaffinity, V(0), V(8), O(8)),
	PB(rewind_dir, getdents64, V(DIR_FD), OP(4096), V(4096)),
	P(clock_settime, V(0), I(16)),
	P(clock_gettime, V(1), O(16)),
	P(clock_getres, V(1), ON(16)),
	P(clock_nanosleep, V(1), V(0), I(16), V(0)),
	P(timerfd_settime, V(TIMER_FD), V(0), I(32), ON(32)),
	P(timerfd_gettime, V(TIMER_FD), O(32)),
	P(utimes, S, IN_(32)),
	PB(make_zombie, waitid, V(P_ALL), V(0), ON(128), V(WEXITED), ON(144)),
	P(openat, CWD, S, V(O_RDONLY), V(0)),
	P(mkdirat, CWD, S, V(0700)),
	P(mknodat, CWD, S, V(0100600), V(0)),
	P(fchownat, CWD, S, V(0), V(0), V(0)),
	P(futimesat, CWD, SN, IN_(32)),
	P(newfstatat, CWD, S, O(144), V(0)),
	P(unlinkat, CWD, S, V(0)),
	P(renameat, CWD, S, CWD, S),
	P(linkat, CWD, S, CWD, S, V(0)),
	P(symlinkat, S, CWD, S),
	P(readlinkat, CWD, S, O(64), V(64)),
	P(fchmodat, CWD, S, V(0600)),
	P(faccessat, CWD, S, V(F_OK)),
	P(pselect6, V(64), IN_(8), IN_(8), IN_(8), IN_(16), IN_(16)),
	P(ppoll, I(8), V(1), IN_(16), IN_(8), V(8)),
	P(get_robust_list, V(0), O(8), O(8)),
	P(mbind, V(CODE_PAGE), V(PAGE), V(2), IN_(8), V(65), V(0)),
	P(set_mempolicy, V(2), IN_(8), V(65)),
	P(get_mempolicy, ON(4), ON(8), V(65), V(0), V(0)),
	P(migrate_pages, V(0), V(65), IN_(8), IN_(8)),
	P(move_pages, V(0), V(1), I(8), IN_(4), O(4), V(2)),
	P(utimensat, CWD, S, IN_(32), V(0)),
	P(pipe2, O(8), V(0)),
	P(preadv, V(FILE_FD), I(16), V(1), V(0), V(0)),
	P(pwritev, V(FILE_FD), I(16), V(1), V(0), V(0)),
	P(rt_tgsigqueueinfo, V(SELF_PID), V(SELF_PID), V(SIGUSR1), I(48)),
	P(prlimit64, V(0), V(RLIMIT_CORE), IN_(16), ON(16)),
	P(getcpu, ON(4), ON(4), V(0)),
	P(process_vm_readv, V(SELF_PID), I(16), V(1), I(16), V(1), V(0)),
	P(process_vm_writev, V(SELF_PID), I(16), V(1), I(16), V(1), V(0)),
	P(sched_setattr, V(0), IN_(48), V(0)),
	P(sched_getattr, V(0), ON(48), V(48), V(0)),
	P(renameat2, CWD, S, CWD, S, V(0)),
	P(getrandom, OP(64), V(64), V(0)),
	P(memfd_create, S, V(0)),
	P(execveat, CWD, S, IN_(8), IN_(8), V(0)),
	P(copy_file_range, V(FILE_FD), IN_(8), V(FILE_FD), IN_(8), V(16), V(0)),
	P(preadv2, V(FILE_FD), I(16), V(1), V(0), V(0), V(0)),
	P(pwritev2, V(FILE_FD), I(16), V(1), V(0), V(0), V(0)),
	P(statx, CWD, S, V(0), V(0x7ff), O(256)),
	P(clone3, I(88), V(88)),
	P(openat2, CWD, S, I(24), V(24)),
	P(faccessat2, CWD, S, V(F_OK), V(0)),
};

/*
 * exempt: rseq setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr
 * listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr (xattr.c)
 * clone vfork fork (their ids are written without complaint: clone.c),
 * set_tid_address set_robust_list (kept, used at exit: futex.c),
 * adjtimex clock_adjtime (what they read sets the clock: clocks.c).
 */

enum bad {
	BAD_NULL, BAD_LOW, BAD_HOLE, BAD_KERNEL, BAD_KERNEL_TEXT, BAD_NONCANONICAL, BAD_SIGN,
	BAD_TOP, BAD_NONE, BAD_READONLY, BAD_STRADDLE, BAD_USER_END, BAD_COUNT
};

static const char *const bad_names[BAD_COUNT] = {
	"null", "8", "unmapped", "kernel", "kernel text", "non-canonical", "2^63", "-1",
	"PROT_NONE", "read-only", "off the end of a page", "off the end of user space",
};

static char *hole, *none, *readonly, *edge, *top_edge;

static uintptr_t bad_pointer(enum bad bad)
{
	switch (bad) {
	case BAD_NULL:		return 0;
	case BAD_LOW:		return 8;
	case BAD_HOLE:		return (uintptr_t)hole;
	case BAD_KERNEL:	return 0xffff800000001000ul;
	case BAD_KERNEL_TEXT:	return 0xffffffff81000000ul;
	case BAD_NONCANONICAL:	return 0x0000900000000000ul;
	case BAD_SIGN:		return 0x8000000000000000ul;
	case BAD_TOP:		return ~0ul;
	case BAD_NONE:		return (uintptr_t)none;
	case BAD_READONLY:	return (uintptr_t)readonly;
	case BAD_STRADDLE:
		edge[-1] = 'e';
		return (uintptr_t)edge - 1;
	default:
		top_edge[-1] = 'e';
		return (uintptr_t)top_edge - 1;
	}
}

static bool applies(const struct arg *arg, enum bad bad)
{
	int kind = arg->kind & 15;

	if (bad == BAD_NULL)
		return !(arg->kind & NULLABLE);
	if (bad == BAD_READONLY)
		return kind == OUT;
	if (bad == BAD_TOP)
		return !(arg->kind & ALIGNED);
	if (bad == BAD_STRADDLE || bad == BAD_USER_END)
		return !(arg->kind & (LAZY | ALIGNED)) && (kind == STR || arg->value > 1);
	return true;
}

static long value_of(long value)
{
	switch (value) {
	case FILE_FD:	return file_fd;
	case DIR_FD:	return dir_fd;
	case ZERO_FD:	return zero_fd;
	case PIPE_FD:	return pipe_fds[1];
	case TTY_FD:	return tty_fd;
	case TIMER_FD:	return timer_fd;
	case SELF_PID:	return getpid();
	case CODE_PAGE:	return (long)good_page & ~(PAGE - 1);
	default:	return value;
	}
}

/* A good pointer for argument i: a string, or zeroed memory of the size. */
static long good_pointer(const struct probe *probe, int i)
{
	char *place = good_page + i * 512;

	memset(place, 0, 512);
	if ((probe->args[i].kind & 15) == STR)
		strcpy(place, i ? "efault-b" : "efault-a");
	if ((probe->nr == SYS_capget || probe->nr == SYS_capset) && i == 0)
		memcpy(place, capability_header, 8);
	if (probe->nr == SYS_readlink || probe->nr == SYS_readlinkat)
		strcpy(place, "efault-link");
	if (probe->nr == SYS_pivot_root)
		strcpy(place, ".");
	if (probe->nr == SYS_rt_sigtimedwait && i == 0)
		*(uint64_t *)place = 1ull << (SIGUSR1 - 1);
	/* Vectors: process_vm_readv looks at the second only when the first has room. */
	if ((probe->nr == SYS_process_vm_readv || probe->nr == SYS_process_vm_writev)) {
		((struct iovec *)place)->iov_base = place + 64;
		((struct iovec *)place)->iov_len = 8;
	}
	return (long)place;
}

static bool try_one(const struct probe *probe, int which, enum bad bad, long *result, int *error)
{
	long args[6];
	int i;

	for (i = 0; i < 6; i++) {
		if ((probe->args[i].kind & 15) == VALUE)
			args[i] = value_of(probe->args[i].value);
		else if (i == which)
			args[i] = bad_pointer(bad);
		else
			args[i] = good_pointer(probe, i);
	}
	if (probe->before)
		probe->before();
	errno = 0;
	*result = syscall(probe->nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	*error = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (*result == -1 && *error == EFAULT)
		return true;
	return (probe->args[which].kind & PARTIAL) && (bad == BAD_STRADDLE || bad == BAD_USER_END) &&
	       *result >= 0 && *result < probe->args[which].value;
}

static int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void prepare(void)
{
	sigset_t set;
	char *area;

	good_page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	area = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(area, 'e', 16 * PAGE);
	hole = area + 2 * PAGE;
	munmap(hole, PAGE);
	none = area + 4 * PAGE;
	mprotect(none, PAGE, PROT_NONE);
	readonly = area + 6 * PAGE;
	mprotect(readonly, 2 * PAGE, PROT_READ);
	edge = area + 10 * PAGE;
	munmap(edge, PAGE);
	top_edge = (char *)USER_END;
	area = mmap(top_edge - PAGE, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (area != MAP_FAILED)
		memset(area, 'e', PAGE);
	file_fd = open("efault-a", O_RDWR | O_CREAT, 0600);
	write(file_fd, good_page, 1000);
	lseek(file_fd, 0, SEEK_SET);
	close(open("efault-b", O_RDWR | O_CREAT, 0600));
	symlink("a-long-target-of-a-link", "efault-link");
	dir_fd = open(".", O_RDONLY | O_DIRECTORY);
	zero_fd = open("/dev/zero", O_RDWR);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	tty_fd = open("/dev/console", O_RDWR | O_NOCTTY);
	pipe2(pipe_fds, O_NONBLOCK);
	write(pipe_fds[1], "x", 1);
	setgroups(3, (gid_t[]){ 1, 2, 3 });
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* A copy of up to 200 bytes (words, then bytes; or all in one go) where the page ends after some: that many, and right. */
static bool copies_what_fits(size_t size, size_t room)
{
	static unsigned char pattern[200];
	unsigned char *end = (unsigned char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + PAGE;
	size_t fits = size < room ? size : room;
	long want = fits ? (long)fits : -1;
	bool good;
	int fd;

	munmap(end, PAGE);
	fd = memfd_create("efault", 0);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (unsigned char)(i * 7 + 1);
	good = pwrite(fd, pattern, sizeof(pattern), 0) == sizeof(pattern) && pread(fd, end - room, size, 0) == want &&
	       !memcmp(end - room, pattern, fits) && (fits == room || !end[-room + fits]);
	memset(end - room, 0x80, room);
	good = good && pwrite(fd, end - room, size, 0) == want && pread(fd, end - PAGE, sizeof(pattern), 0) == sizeof(pattern) &&
	       (!fits || end[-PAGE + fits - 1] == 0x80) && end[-PAGE + fits] == pattern[fits];
	close(fd);
	munmap(end - PAGE, PAGE);
	return good;
}

static void test_partial_copies(void)
{
	static const unsigned char sizes[] = { 1, 7, 8, 9, 15, 16, 17, 24, 32, 63, 100, 127, 128, 129, 136, 160, 199 };
	int tried = 0, right = 0;

	for (unsigned int i = 0; i < sizeof(sizes); i++) {
		for (size_t room = 0; room <= sizes[i]; room += 1 + room / 40) {
			tried++;
			if (copies_what_fits(sizes[i], room))
				right++;
			else
				tap_line("# %u bytes with room for %zu", sizes[i], room);
		}
	}
	is(right, tried, "a copy goes up to the last good byte");
}

int main(void)
{
	unsigned int i;
	int arg, bad, before, error;
	long result;

	prepare();
	before = count_fds();
	for (i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		for (arg = 0; arg < 6; arg++) {
			int tried = 0, right = 0;

			if ((probes[i].args[arg].kind & 15) == VALUE)
				continue;
			for (bad = 0; bad < BAD_COUNT; bad++) {
				if (!applies(&probes[i].args[arg], bad))
					continue;
				tried++;
				if (try_one(&probes[i], arg, bad, &result, &error))
					right++;
				else
					tap_line("# %s argument %d %s: result %ld errno %d",
						 probes[i].name, arg + 1, bad_names[bad],
						 result, error);
			}
			is(right, tried, "%s: argument %d", probes[i].name, arg + 1);
		}
	}
	test_partial_copies();
	is(count_fds(), before, "no descriptor was leaked");
	return tap_done();
}
