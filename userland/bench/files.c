/*
 * files.c - calls on devices and on files of a tmpfs, and poll.
 *
 * Reads find their buffer poisoned and writes are read back, so that a call that only says it moved bytes is found out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "bench.h"

#define FILE_NAME	"/tmp/bench-file"	/* a path of two names: what stat and open walk */
#define FILE_BYTES	(256 * KIB)

static int fd;
static unsigned long bad;
static unsigned int salt;
static unsigned char buffer[64 * KIB] __attribute__((aligned(4096)));

static void check_none_bad(unsigned long n)
{
	if (bad)
		failed("%lu of %lu results are wrong", bad, n);
}

/* ---- one byte ---- */

static void body_read_zero(unsigned long n)
{
	while (n--) {
		char c = 'x';

		bad += read(fd, &c, 1) != 1 || c != 0;
	}
}

static void run_read_zero(const char *name)
{
	struct loop loop = { .iterations = 1000, .body = body_read_zero, .after = check_none_bad };

	fd = must(open("/dev/zero", O_RDONLY), "/dev/zero");
	measure(name, &loop);
}

static void body_write_null(unsigned long n)
{
	while (n--)
		bad += write(fd, "x", 1) != 1;
}

/* The device is the null device still, and a pointer to nowhere stays the error that it is for a file. */
static void run_write_null(const char *name)
{
	struct loop loop = { .iterations = 1000, .body = body_write_null, .after = check_none_bad };
	struct stat st;
	char c;

	fd = must(open("/dev/null", O_RDWR), "/dev/null");
	must(fstat(fd, &st), "fstat");
	REQUIRE(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	measure(name, &loop);
	REQUIRE(read(fd, &c, 1) == 0);
}

/* ---- stat, fstat, open ---- */

static struct stat st;

static void body_stat(unsigned long n)
{
	while (n--) {
		st.st_size = 0;
		bad += stat(FILE_NAME, &st) != 0 || st.st_size != FILE_BYTES;
	}
}

static void body_fstat(unsigned long n)
{
	while (n--) {
		st.st_size = 0;
		bad += fstat(fd, &st) != 0 || st.st_size != FILE_BYTES;
	}
}

static void before_stat(void)
{
	memset(&st, 0xa5, sizeof(st));
}

static void after_stat(unsigned long n)
{
	check_none_bad(n);
	REQUIRE(st.st_mode == (S_IFREG | 0644) && st.st_nlink == 1 && st.st_uid == 0 && st.st_gid == 0);
	REQUIRE(st.st_blksize == PAGE && st.st_blocks == FILE_BYTES / 512 && st.st_ino != 0);
}

static void run_stat(const char *name)
{
	struct loop loop = { .iterations = 100, .before = before_stat, .body = body_stat, .after = after_stat };

	fd = make_file(FILE_NAME, FILE_BYTES, 1);
	measure(name, &loop);
	unlink(FILE_NAME);
}

static void run_fstat(const char *name)
{
	struct loop loop = { .iterations = 300, .before = before_stat, .body = body_fstat, .after = after_stat };

	fd = make_file(FILE_NAME, FILE_BYTES, 1);
	measure(name, &loop);
	unlink(FILE_NAME);
}

static void body_open(unsigned long n)
{
	while (n--) {
		int f = open(FILE_NAME, O_RDONLY);

		bad += f != fd + 1;
		bad += close(f) != 0;
	}
}

/* The descriptor that the window's opens returned is closed, and opening gives a file that reads. */
static void after_open(unsigned long n)
{
	int f;

	check_none_bad(n);
	REQUIRE(fcntl(fd + 1, F_GETFD) < 0);
	f = must(open(FILE_NAME, O_RDONLY), "open");
	REQUIRE(read(f, buffer, 100) == 100);
	check_pattern(buffer, 100, 0, 1, FILE_NAME);
	close(f);
}

static void run_open(const char *name)
{
	struct loop loop = { .iterations = 60, .body = body_open, .after = after_open };

	fd = make_file(FILE_NAME, FILE_BYTES, 1);
	measure(name, &loop);
	unlink(FILE_NAME);
}

/* ---- pread and pwrite ---- */

static size_t length;

static void body_pread(unsigned long n)
{
	while (n--)
		bad += pread(fd, buffer, length, 0) != (ssize_t)length;
}

static void before_pread(void)
{
	memset(buffer, 0xee, sizeof(buffer));
}

static void after_pread(unsigned long n)
{
	check_none_bad(n);
	check_pattern(buffer, length, 0, 1, "what was read");
}

static void body_pwrite(unsigned long n)
{
	while (n--)
		bad += pwrite(fd, buffer, length, 0) != (ssize_t)length;
}

static void before_pwrite(void)
{
	fill_pattern(buffer, length, 0, ++salt);
}

static void after_pwrite(unsigned long n)
{
	check_none_bad(n);
	memset(buffer, 0xee, length);
	REQUIRE(pread(fd, buffer, length, 0) == (ssize_t)length);
	check_pattern(buffer, length, 0, salt, "what was written");
	REQUIRE(lseek(fd, 0, SEEK_END) == FILE_BYTES);
}

static void run_pread(const char *name)
{
	struct loop loop = { .before = before_pread, .body = body_pread, .after = after_pread };

	length = strstr(name, "64k") ? 64 * KIB : 4 * KIB;
	loop.iterations = length == 4 * KIB ? 200 : 20;
	fd = make_file(FILE_NAME, FILE_BYTES, 1);
	measure(name, &loop);
	unlink(FILE_NAME);
}

static void run_pwrite(const char *name)
{
	struct loop loop = { .before = before_pwrite, .body = body_pwrite, .after = after_pwrite };

	length = strstr(name, "64k") ? 64 * KIB : 4 * KIB;
	loop.iterations = length == 4 * KIB ? 150 : 15;
	fd = make_file(FILE_NAME, FILE_BYTES, 1);
	measure(name, &loop);
	unlink(FILE_NAME);
}

/* ---- poll: pipes of which only the last one has something to read ---- */

#define POLL_MOST	500

static struct pollfd set[POLL_MOST];
static unsigned int set_count;

static void body_poll(unsigned long n)
{
	while (n--) {
		set[set_count - 1].revents = 0;
		bad += poll(set, set_count, -1) != 1 || set[set_count - 1].revents != POLLIN;
	}
}

static void after_poll(unsigned long n)
{
	unsigned int i;

	check_none_bad(n);
	for (i = 0; i + 1 < set_count; i++)
		if (set[i].revents)
			failed("an empty pipe is ready: %#x", set[i].revents);
}

static void run_poll(const char *name)
{
	struct loop loop = { .body = body_poll, .after = after_poll };
	struct rlimit limit = { 2 * POLL_MOST + 50, 2 * POLL_MOST + 50 };
	int ends[2] = { -1, -1 };
	unsigned int i;

	must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	set_count = strstr(name, "500") ? POLL_MOST : 10;
	loop.iterations = set_count == 10 ? 100 : 4;
	for (i = 0; i < set_count; i++) {
		must(pipe(ends), "pipe");
		set[i] = (struct pollfd){ .fd = ends[0], .events = POLLIN, .revents = 0x5555 };
	}
	REQUIRE(write(ends[1], "x", 1) == 1);
	measure(name, &loop);
}

const struct op file_ops[] = {
	{ "read_zero_1", GROUP_QUICK, run_read_zero },
	{ "write_null_1", GROUP_QUICK, run_write_null },
	{ "stat", GROUP_QUICK, run_stat },
	{ "fstat", GROUP_QUICK, run_fstat },
	{ "open_close", GROUP_QUICK, run_open },
	{ "pread_4k", GROUP_QUICK, run_pread },
	{ "pread_64k", GROUP_QUICK, run_pread },
	{ "pwrite_4k", GROUP_QUICK, run_pwrite },
	{ "pwrite_64k", GROUP_QUICK, run_pwrite },
	{ "poll_10", GROUP_QUICK, run_poll },
	{ "poll_500", GROUP_QUICK, run_poll },
	{ NULL, 0, NULL },
};
