/* SPDX-License-Identifier: MIT */
/*
 * Arguments: mostly ones that a call takes seriously, with a share of nonsense.
 *
 * A call that fails at its first check tests that check only. So descriptors, paths, addresses and process numbers come
 * out of small sets that earlier calls work on, flags out of the words that belong to the argument, structures are
 * filled with plausible members; and about one value in twelve is anything at all. Buffers end at the last byte of a
 * mapping more often than chance would have it, and now and then lie where another call may have unmapped them.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_table.h"

#define PAGE 4096ul

static uint8_t *arena;		/* next free byte of the arguments' memory, per call */
static long pids[16];
static unsigned pid_count;

struct words {
	bool flags;		/* bits to be combined; else one of the values */
	unsigned count;
	const uint64_t *values;
};
#define WORDS(flags_, ...) { flags_, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (const uint64_t[]){ __VA_ARGS__ } }

static const struct words vocabulary[S_COUNT] = {
	[S_open] = WORDS(true, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_DIRECTORY, O_NOFOLLOW,
			 O_CLOEXEC, O_PATH, O_TMPFILE, O_SYNC, O_DIRECT, O_NOCTTY, O_NOATIME),
	[S_oflags] = WORDS(true, O_CLOEXEC, O_NONBLOCK, O_DIRECT),
	[S_whence] = WORDS(false, SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE),
	[S_prot] = WORDS(true, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_READ | PROT_WRITE, PROT_GROWSDOWN),
	[S_map] = WORDS(true, MAP_SHARED, MAP_PRIVATE, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS, MAP_FIXED,
			MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_STACK, MAP_HUGETLB),
	[S_mremap] = WORDS(true, MREMAP_MAYMOVE, MREMAP_FIXED, 4),
	[S_msync] = WORDS(true, MS_ASYNC, MS_SYNC, MS_INVALIDATE),
	[S_madvise] = WORDS(false, 0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 100),
	[S_fadvise] = WORDS(false, 0, 1, 2, 3, 4, 5),
	[S_sighow] = WORDS(false, SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK),
	[S_access] = WORDS(true, R_OK, W_OK, X_OK),
	[S_ioctl] = WORDS(false, TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX,
			  FIOASYNC, TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCNOTTY, TIOCSCTTY, TCFLSH, TCXONC, TCSBRK, TIOCOUTQ),
	[S_clone] = WORDS(true, CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND | CLONE_VM, CLONE_VFORK, CLONE_PARENT,
			  CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, CLONE_SYSVSEM, CLONE_SETTLS, CLONE_PARENT_SETTID,
			  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_PIDFD, CLONE_NEWNS, CLONE_IO, SIGCHLD),
	[S_wait] = WORDS(true, 1, 2, 4, 8, 0x01000000, 0x20000000, 0x40000000, 0x80000000),
	[S_fcntl] = WORDS(false, F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN,
			  F_SETSIG, F_GETSIG, F_SETOWN_EX, F_GETOWN_EX, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE,
			  F_GETLEASE, F_NOTIFY, F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS),
	[S_flock] = WORDS(false, 1, 2, 8, 5, 6),
	[S_rlimit] = WORDS(false, 0, 1, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15),
	[S_rusage] = WORDS(false, 0, (uint64_t)-1, 1),
	[S_syslog] = WORDS(false, 2, 3, 4, 9, 10),
	[S_prio] = WORDS(false, 0, 1, 2),
	[S_policy] = WORDS(false, 0, 1, 2, 3, 5, 6, 0x40000000),
	[S_mlockall] = WORDS(true, 1, 2, 4),
	[S_mlock2] = WORDS(true, 1),
	[S_prctl] = WORDS(false, 1, 2, 3, 4, 7, 8, 15, 16, 21, 23, 24, 25, 26, 28, 29, 30, 36, 37, 38, 39, 40, 41, 42, 47, 53),
	[S_archprctl] = WORDS(false, 0x1002, 0x1003, 0x1001, 0x1004, 0x1011, 0x1012),
	[S_mount] = WORDS(true, 1, 2, 4, 8, 32, 1024, 2048, 4096, 8192, 16384, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21),
	[S_umount] = WORDS(true, 1, 2, 4, 8),
	[S_xattr] = WORDS(true, 1, 2),
	[S_futex] = WORDS(false, 0, 1, 3, 4, 5, 9, 10, 128, 129, 131, 132, 133, 137, 138, 256 | 9, 6, 7, 8, 11, 12),
	[S_clock] = WORDS(false, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, (uint64_t)-6, (uint64_t)-2),
	[S_timer] = WORDS(true, 1),
	[S_itimer] = WORDS(false, 0, 1, 2),
	[S_idtype] = WORDS(false, 0, 1, 2, 3),
	[S_at] = WORDS(true, AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_EACCESS),
	[S_falloc] = WORDS(true, 1, 2, 8, 16, 32, 64),
	[S_rename] = WORDS(true, 1, 2, 4),
	[S_getrandom] = WORDS(true, 1, 2, 4),
	[S_memfd] = WORDS(true, MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB),
	[S_membarrier] = WORDS(false, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256),
	[S_statx] = WORDS(true, 0x7ff, 0x800, 0x1000, 0x80000000),
	[S_closerange] = WORDS(true, 2, 4),
	[S_reboot] = WORDS(false, 0),	/* never with the magic numbers: see choose_call() */
};

static const char *const paths[] = {
	"/w/a", "/w/b", "/w/c", "/w/d", "/w/d/a", "/w/d/b", "/w/d/e/f", "/w/l", "/w/p", "a", "d/b", "l", "d/../d/a", ".", "..", "",
	"/", "/w", "/w/", "//w//d//", "/proc/self/maps", "/proc/self/status", "/proc/self/fd/3", "/proc/self/cwd/a", "/proc/self/mem",
	"/proc/self/task", "/proc/self/fd", "/proc/self/environ", "/proc/self/exe", "/proc/self/stat", "/proc/meminfo", "/proc/mounts",
	"/proc/self/oom_score_adj", "/proc/self/comm", "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/tty", "/dev",
	"/fuzz", "/sys", "/w/m", "/w/m/a", "/proc/1/status", "/proc/self/root/w/a", "/proc/halcyon/syscalls",
};

bool args_init(void)
{
	void *pool = mmap((void *)POOL_BASE, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	/* The page behind it stays unmapped: buffers that end at the arena's end are cut off sharply. */
	void *args = mmap((void *)ARENA_BASE, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	args_remember_pid(getpid());
	args_remember_pid(getppid());
	return pool != MAP_FAILED && args != MAP_FAILED;
}

void args_remember_pid(long pid)
{
	pids[pid_count++ % 16] = pid;
}

uint64_t interesting(void)
{
	static const uint64_t edges[] = { 0, 1, 2, 7, 8, 63, 64, 65, 127, 128, 255, 256, 511, 512, 4095, 4096, 4097, 65535, 65536,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffff, 0x800000000000, 0x7fffffffffffffff,
		0x8000000000000000, (uint64_t)-1, (uint64_t)-2, (uint64_t)-4096, (uint64_t)-100 };

	switch (rnd_below(4)) {
	case 0:
		return rnd_below(16);
	case 1:
		return rnd() >> rnd_below(64);
	case 2:
		return edges[rnd_below(sizeof(edges) / 8)] + rnd_below(3) - 1;
	default:
		return edges[rnd_below(sizeof(edges) / 8)];
	}
}

static uint64_t word_of(int show)
{
	const struct words *w = &vocabulary[show];
	uint64_t value = 0;

	if (!w->count || one_in(20))
		return interesting();
	if (!w->flags)
		return w->values[rnd_below(w->count)];
	for (unsigned n = rnd_below(4); n > 0; n--)
		value |= w->values[rnd_below(w->count)];
	return value;
}

static uint64_t any_address(void)
{
	static const uint64_t edges[] = { 0, 1, 0x1000, 0x10000, 0x400000, 0x7fffffffe000, 0x7ffffffff000, 0x800000000000,
		0xffff800000000000, 0xffffffff80000000, 0xfffffffffffff000, (uint64_t)-1, 0xdead000000000000 };

	if (one_in(16))
		return edges[rnd_below(sizeof(edges) / 8)];
	return POOL_BASE + rnd_below(POOL_BYTES / PAGE) * PAGE + (one_in(4) ? rnd_below(PAGE) : 0);
}

/* Room for n bytes of an argument; the end of the room is sometimes the end of the mapping. */
static uint8_t *room(size_t n)
{
	uint8_t *end = (uint8_t *)ARENA_BASE + ARENA_BYTES, *at;

	if (n > ARENA_BYTES / 4)
		n = ARENA_BYTES / 4;
	if (one_in(6))
		return end - n;
	if (arena + n > end - ARENA_BYTES / 2)
		arena = (uint8_t *)ARENA_BASE;
	at = arena;
	arena += (n + 15) & ~15ul;
	return at;
}

static uint64_t short_time(void)
{
	return one_in(10) ? interesting() : rnd_below(2000000);
}

static uint64_t make_path(void)
{
	char *text;
	size_t n;

	if (one_in(24)) {
		n = one_in(2) ? 4096 + rnd_below(2) : 300;
		text = (char *)room(n + 1);
		for (size_t i = 0; i < n; i++)
			text[i] = rnd_below(20) ? (char)rnd() | 1 : '/';
		text[n] = 0;
		return (uint64_t)(uintptr_t)text;
	}
	if (one_in(24))
		return any_address();
	const char *path = paths[rnd_below(sizeof(paths) / sizeof(*paths))];

	text = (char *)room(strlen(path) + 1);
	return (uint64_t)(uintptr_t)strcpy(text, path);
}

static void fill_iovec(struct iovec *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		v[i].iov_len = one_in(12) ? interesting() : rnd_below(9000);
		v[i].iov_base = one_in(6) ? (void *)(uintptr_t)any_address() : room(v[i].iov_len);
	}
}

static void fill_words(void *at, size_t bytes)
{
	uint8_t *p = at;

	for (size_t i = 0; i < bytes; i++)
		p[i] = one_in(3) ? (uint8_t)rnd() : 0;
}

static void fill_action(uint64_t *a)
{
	a[0] = one_in(3) ? rnd_below(2) : (uint64_t)(uintptr_t)any_address();
	a[1] = (rnd() & 0xd8000007) | 0x04000000;
	a[2] = any_address();
	a[3] = rnd() & rnd() & ~(1ull << (SIGALRM - 1));
}

static void fill_clone(uint64_t *a)
{
	memset(a, 0, 88);
	a[0] = word_of(S_clone) & ~0xffull;
	a[4] = one_in(4) ? interesting() : SIGCHLD;
	if (one_in(8))
		a[rnd_below(11)] = interesting();
	a[0] &= ~(uint64_t)(CLONE_VM | CLONE_VFORK);	/* the child runs on our stack: it must be its own */
}

/* Memory of an argument, filled as its show word asks for. */
static uint64_t make_buffer(const struct arg_spec *s, size_t size)
{
	uint64_t *at;

	if (s->null && one_in(3))
		return 0;
	if (one_in(14))
		return any_address();
	if (!size)
		size = (rnd_below(4) + 1) * 16;
	at = (uint64_t *)room(size < 1024 ? 1024 : size);
	fill_words(at, size < 256 ? size : 256);
	switch (s->show) {
	case S_timespec: case S_timeval: case S_timespec2: case S_timeval2:
		for (size_t i = 0; i + 1 < size / 8; i += 2) {
			at[i] = one_in(20) ? interesting() : 0;
			at[i + 1] = short_time();
		}
		break;
	case S_iovec:
		fill_iovec((struct iovec *)at, 8);
		break;
	case S_pollfd:
		for (unsigned i = 0; i < 32; i++)
			((struct pollfd *)at)[i] = (struct pollfd){ .fd = (int)rnd_below(24), .events = (short)rnd() };
		break;
	case S_strings: case S_count:
		for (unsigned i = 0; i < 4; i++)
			at[i] = make_path();
		at[4] = 0;
		break;
	case S_sigaction:
		fill_action(at);
		break;
	case S_clone3:
		fill_clone(at);
		break;
	case S_openhow:
		at[0] = word_of(S_open), at[1] = one_in(4) ? interesting() : 0, at[2] = one_in(2) ? 0 : rnd_below(64);
		break;
	default:
		break;
	}
	return (uint64_t)(uintptr_t)at;
}

static uint64_t make_size(void)
{
	return one_in(8) ? interesting() : one_in(2) ? rnd_below(256) : rnd_below(5) * PAGE + (one_in(3) ? rnd_below(PAGE) : 0);
}

static uint64_t make_value(const struct arg_spec *s)
{
	switch (s->kind) {
	case K_fd:
		return one_in(16) ? (one_in(2) ? (uint64_t)(int64_t)AT_FDCWD : interesting()) : rnd_below(24);
	case K_pid:
		return one_in(10) ? interesting() : one_in(5) ? 0 : (uint64_t)pids[rnd_below(pid_count < 16 ? pid_count : 16)];
	case K_sig:
		return one_in(12) ? interesting() : rnd_below(66);
	case K_addr:
		return any_address();
	case K_size:
		return s->show == S_plain || !vocabulary[s->show].count ? make_size() : word_of(s->show);
	case K_off:
		return one_in(6) ? interesting() : rnd_below(6) * PAGE + (one_in(2) ? rnd_below(PAGE) : 0);
	case K_mode:
		return one_in(8) ? interesting() : (rnd() & 07777) | (one_in(3) ? (rnd_below(16) << 12) : 0);
	case K_uid: case K_gid:
		return one_in(6) ? interesting() : (uint64_t[]){ 0, 1000, 1001, (uint64_t)-1 }[rnd_below(4)];
	default:
		if (vocabulary[s->show].count)
			return word_of(s->show);
		return one_in(4) ? any_address() : one_in(3) ? interesting() : rnd_below(32);
	}
}

static bool is_buffer(const struct arg_spec *s)
{
	return s->kind == K_in || s->kind == K_out || s->kind == K_inout;
}

void args_make(const struct call *c, uint64_t values[6])
{
	if (!arena)
		arena = (uint8_t *)ARENA_BASE;
	for (int i = 0; i < 6; i++)
		values[i] = i >= c->nargs ? rnd() : is_buffer(&c->args[i]) ? 0 : c->args[i].kind == K_str ? make_path() :
			    make_value(&c->args[i]);
	/* A size of a set or a structure is mostly the right one: the call checks it first. */
	for (int i = 0; i < c->nargs; i++)
		if (c->args[i].kind == K_size && c->nargs > 1 && i == c->nargs - 1 && c->args[i].size_arg < 0 &&
		    !strncmp(c->name, "rt_sig", 6) && !one_in(10))
			values[i] = 8;
	for (int i = 0; i < c->nargs; i++) {
		const struct arg_spec *s = &c->args[i];
		uint64_t size = s->size_arg >= 0 ? values[s->size_arg] : (uint64_t)s->size;

		if (is_buffer(s))
			values[i] = make_buffer(s, size > 65536 ? 65536 : (size_t)size);
	}
}
