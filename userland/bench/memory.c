/*
 * memory.c - mappings, page faults and protection.
 *
 * All areas are of 4 KiB pages: MADV_NOHUGEPAGE, or too small for a huge page. A fault's cost is a window of PAGES first
 * touches divided by PAGES; making and unmapping the area is outside the window.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define PAGES		128ul	/* half a MiB; well below a tick's time even at Linux's cost of a fault */
#define AREA		(PAGES * PAGE)
#define PROTECT_BYTES	(8 * MIB)

static unsigned long bad;
static unsigned char *area;
static int fd;

static void check_none_bad(unsigned long n)
{
	if (bad)
		failed("%lu of %lu results are wrong", bad, n);
}

/* ---- mmap, touch, munmap ---- */

static void body_map(unsigned long n)
{
	while (n--) {
		unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		bad += p == MAP_FAILED;
		bad += p[100] != 0;
		p[100] = 1;
		bad += munmap(p, PAGE) != 0;
		area = p;
	}
}

/* The last mapping is gone indeed: a system call cannot write there. */
static void after_map(unsigned long n)
{
	check_none_bad(n);
	REQUIRE(read(fd, area, 1) == -1 && errno == EFAULT);
}

static void run_map(const char *name)
{
	struct loop loop = { .iterations = 40, .body = body_map, .after = after_map };

	fd = must(open("/dev/zero", O_RDONLY), "/dev/zero");
	measure(name, &loop);
}

/* ---- first touches ---- */

static void body_write_pages(unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		area[i * PAGE + 8] = i + 1;
}

static void before_anonymous(void)
{
	area = must_map(AREA, MAP_PRIVATE);
	madvise(area, AREA, MADV_NOHUGEPAGE);
}

static void after_anonymous(unsigned long n)
{
	unsigned long i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < PAGE; j += 8)
			if (*(uint64_t *)(area + i * PAGE + j) != (j == 8 ? (i + 1) % 256 : 0))
				failed("page %lu is not fresh at %lu", i, j);
	must(munmap(area, AREA), "munmap");
}

static void run_anonymous(const char *name)
{
	struct loop loop = { .iterations = PAGES, .before = before_anonymous, .body = body_write_pages,
			     .after = after_anonymous };

	measure(name, &loop);
}

/* A child writes into what it shares with its parent: each page is copied. */
static void run_cow(const char *name)
{
	enum { ROUNDS = 16 };
	static struct series s;
	uint64_t *shared = must_map(PAGE, MAP_SHARED);
	unsigned long i;
	int round;

	area = must_map(AREA, MAP_PRIVATE);
	madvise(area, AREA, MADV_NOHUGEPAGE);
	fill_pattern(area, AREA, 0, 9);
	for (round = 0; round < ROUNDS; round++) {
		pid_t pid = must(fork(), "fork");

		if (pid == 0) {
			uint64_t start;

			area[0] = 77;	/* the first write pays for the page table, where that is shared too */
			start = bench_now();
			for (i = 1; i < PAGES; i++)
				area[i * PAGE + 8] = i + round;
			shared[0] = bench_now() - start;
			for (i = 1; i < PAGES; i++) {
				if (area[i * PAGE + 8] != (unsigned char)(i + round))
					failed("the child's page %lu is not its own", i);
				check_pattern(area + i * PAGE + 9, PAGE - 9, i * PAGE + 9, 9, "the copied page");
			}
			_exit(CHILD_STATUS);
		}
		expect_exit(pid, CHILD_STATUS);
		check_pattern(area, AREA, 0, 9, "the parent's memory");
		if (round)
			series_add(&s, shared[0]);
	}
	series_print(name, "", &s, PAGES - 1);
}

/* ---- pages of a file that is in the page cache ---- */

static volatile unsigned char sink;

static void before_file(void)
{
	area = mmap(NULL, AREA, PROT_READ, MAP_PRIVATE, fd, 0);
	REQUIRE(area != MAP_FAILED);
}

static void body_read_pages(unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		sink = area[i * PAGE];
}

static void after_file(unsigned long n __attribute__((unused)))
{
	check_pattern(area, AREA, 0, 5, "the mapped file");
	must(munmap(area, AREA), "munmap");
}

static void run_file(const char *name)
{
	struct loop loop = { .iterations = PAGES, .before = before_file, .body = body_read_pages, .after = after_file };

	fd = make_file("cached", AREA, 5);
	measure(name, &loop);
}

/* ---- mprotect ---- */

static void body_protect(unsigned long n)
{
	while (n--) {
		bad += mprotect(area, PROTECT_BYTES, PROT_READ) != 0;
		bad += mprotect(area, PROTECT_BYTES, PROT_READ | PROT_WRITE) != 0;
	}
}

static void after_protect(unsigned long n)
{
	static int round;

	check_none_bad(n);
	area[PROTECT_BYTES - PAGE] = ++round;
	must(mprotect(area, PROTECT_BYTES, PROT_READ), "mprotect");
	REQUIRE(read(fd, area + PROTECT_BYTES - PAGE, 1) == -1 && errno == EFAULT);
	REQUIRE(area[PROTECT_BYTES - PAGE] == round);
	must(mprotect(area, PROTECT_BYTES, PROT_READ | PROT_WRITE), "mprotect");
	REQUIRE(read(fd, area + PROTECT_BYTES - PAGE, 1) == 1);
	/* All pages as they were: writable without a fault. */
	body_write_pages(PROTECT_BYTES / PAGE);
}

static void run_protect(const char *name)
{
	/* An iteration is two calls: there and back. */
	struct loop loop = { .iterations = 4, .body = body_protect, .after = after_protect };

	fd = must(open("/dev/zero", O_RDONLY), "/dev/zero");
	area = must_map(PROTECT_BYTES, MAP_PRIVATE);
	madvise(area, PROTECT_BYTES, MADV_NOHUGEPAGE);
	body_write_pages(PROTECT_BYTES / PAGE);
	measure(name, &loop);
}

const struct op memory_ops[] = {
	{ "mmap_touch_munmap", GROUP_QUICK, run_map },
	{ "fault_anonymous", GROUP_QUICK, run_anonymous },
	{ "fault_cow", GROUP_QUICK, run_cow },
	{ "fault_file", GROUP_QUICK, run_file },
	{ "mprotect_8m_twice", GROUP_QUICK, run_protect },
	{ NULL, 0, NULL },
};
