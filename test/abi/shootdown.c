/*
 * shootdown.c - what one CPU may still know of a mapping that another one has changed: nothing.
 *
 * Threads on different CPUs use memory while one of them takes it away, writes
 * it off, moves it, or shares it by fork.  Each point has its race run for a
 * while: a stale translation shows as an access that should have failed, as a
 * value of the past, or as a write into memory that is somebody else's by then.
 * On one CPU the points hold too, and prove less.
 */
#include "race.h"

#include <linux/futex.h>

#define NS_EACH	700000000ll	/* a point */
#define MARK	0xb00bb00bb00bb00bull
#define HELPERS	6		/* at most */
#define FRESH	32		/* pages */

static volatile uint64_t *map(void *at, int fixed)
{
	void *p = mmap(at, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | (fixed ? MAP_FIXED : 0), -1, 0);

	if (p == MAP_FAILED)
		_exit(90);
	return p;
}

/*
 * One race.  Helpers do their access all the time; `phase` says what the main
 * thread has done: odd, the memory is there; even, it has been taken away.
 */
struct race {
	void (*helper)(struct race *r);
	int helpers;
	volatile uint64_t *page;
	volatile uint64_t *other;
	atomic_uint phase;
	atomic_int end;
	atomic_int seen;		/* accesses in the running phase */
	atomic_int wrong;
	atomic_ullong did;
};

static struct race race;

static void *helper_main(void *arg)
{
	pin(1 + (int)(intptr_t)arg);
	while (!race.end)
		race.helper(&race);
	return NULL;
}

static pthread_t threads[HELPERS];

/* So many helpers for each CPU but one, on all of them when they are more. */
static void race_begin_many(void (*helper)(struct race *r), int each)
{
	memset(&race, 0, sizeof(race));
	race.helper = helper;
	race.helpers = (cpus > 3 ? 3 : cpus > 1 ? cpus - 1 : 1) * each;
	race.page = map(NULL, 0);
	race.other = map(NULL, 0);
	race.phase = 1;
	pin(0);
	for (int i = 0; i < race.helpers; i++)
		if (pthread_create(&threads[i], NULL, helper_main, (void *)(intptr_t)i))
			_exit(91);
}

static void race_begin(void (*helper)(struct race *r))
{
	race_begin_many(helper, 1);
}

static void race_end(void)
{
	race.end = 1;
	for (int i = 0; i < race.helpers; i++)
		pthread_join(threads[i], NULL);
	munmap((void *)race.page, PAGE);
	munmap((void *)race.other, PAGE);
}

static void race_ok(const char *name)
{
	if (race.wrong)
		tap_line("# wrong in way %d", race.wrong);
	ok(!race.wrong, "%s", name);
	race_end();
}

/* Until the helpers have used what is there now: their CPUs know it. */
static void wait_for_use(void)
{
	race.seen = 0;
	for (int i = 0; race.seen < 2 * race.helpers; i++)
		if (i % 64 == 63)
			sched_yield();
}

/* ---- the memory goes ----------------------------------------------------- */

static void read_while_there(struct race *r)
{
	unsigned int phase = r->phase;
	uint64_t v = 0;
	int sig = try_read(r->page, &v);

	if (!(phase & 1) && r->phase == phase && !sig)
		r->wrong = 1;	/* it was gone before and after, and yet read */
	if (!sig && v != MARK && v != 0)
		r->wrong = 2;
	r->seen++;
}

static void take_away_and_give_back(void)
{
	for (long long end = now() + NS_EACH; now() < end;) {
		wait_for_use();
		munmap((void *)race.page, PAGE);
		race.phase++;
		wait_for_use();
		race.phase++;
		map((void *)race.page, 1);
		*race.page = MARK;
	}
}

static void test_munmap(void)
{
	race_begin(read_while_there);
	take_away_and_give_back();
	race_ok("munmap: no CPU reads what is gone");
}

static void read_nothing_old(struct race *r)
{
	uint64_t told = r->did, v = 0;

	if (!try_read(r->page, &v) && v && v < told)
		r->wrong = 1;
	r->seen++;
}

/* The place is given away again at once: nobody waits for the CPUs that knew the page before. */
static void test_same_place(void)
{
	uint64_t n = 0;

	race_begin(read_nothing_old);
	for (long long end = now() + NS_EACH; now() < end;) {
		wait_for_use();
		munmap((void *)race.page, PAGE);
		map((void *)race.page, 1);
		race.did = ++n;
		*race.page = n;
	}
	race_ok("munmap and mmap of one place: no CPU sees what was there before");
}

/* Faults and flushes of its own all the time, and between two of them a look at what the main thread takes away. */
static void work_and_read(struct race *r)
{
	static uint64_t own[HELPERS][4 * PAGE / sizeof(uint64_t)] __attribute__((aligned(4096)));
	static __thread volatile uint64_t *mine;
	static atomic_uint next;

	if (!mine)
		mine = own[next++ % HELPERS];
	for (unsigned long i = 0; i < 4 * PAGE / sizeof(*mine); i += PAGE / sizeof(*mine)) {
		if (mine[i])
			r->wrong = 3;
		mine[i] = 1;
	}
	madvise((void *)mine, 4 * PAGE, MADV_DONTNEED);
	read_while_there(r);
}

/* Two for each CPU: they wait for each other's locks, and come after each other on their CPU. */
static void test_workers(void)
{
	race_begin_many(work_and_read, 2);
	take_away_and_give_back();
	race_ok("munmap: no CPU reads what went while it was busy with mappings itself");
}

static volatile uint64_t fresh[FRESH][PAGE / sizeof(uint64_t)] __attribute__((aligned(4096)));

/* did: the round, and in its low byte how many of its pages are written. */
static void read_written(struct race *r)
{
	uint64_t told = r->did, v;
	unsigned int i = told & 0xff;

	v = fresh[i ? i - 1 : 0][0];
	if (i && told >> 8 == r->did >> 8 && v != told >> 8)
		r->wrong = 1;
	r->seen++;
}

/* Read, found empty, and written to, page after page, while others look at it. */
static void test_fresh(void)
{
	uint64_t n = 0;

	race_begin(read_written);
	for (long long end = now() + NS_EACH; now() < end;) {
		race.did = ++n << 8;
		if (madvise((void *)fresh, sizeof(fresh), MADV_DONTNEED))
			_exit(88);
		for (unsigned int i = 0; i < FRESH; i++) {
			if (fresh[i][0])
				race.wrong = 2;
			fresh[i][0] = n;
			race.did = n << 8 | (i + 1);
		}
		wait_for_use();
	}
	race_ok("fresh pages are empty, and keep what is written to them");
}

static void write_while_allowed(struct race *r)
{
	try_write(r->page, ++r->did);
	r->seen++;
}

static void test_mprotect(void)
{
	uint64_t kept;
	long long end;
	int wrong = 0;

	race_begin(write_while_allowed);
	for (end = now() + NS_EACH; now() < end;) {
		wait_for_use();
		mprotect((void *)race.page, PAGE, PROT_READ);
		kept = *race.page;
		wait_for_use();
		wrong |= *race.page != kept;
		mprotect((void *)race.page, PAGE, RW);
	}
	ok(!wrong, "mprotect: no CPU writes to what is read-only");
	race_end();
}

static void write_mark(struct race *r)
{
	try_write(r->page, MARK);
	r->seen++;
}

/* Pages that were given back and handed out again belong to nobody else. */
static void test_reuse(void)
{
	volatile uint64_t *fresh[16];
	long long end;
	int wrong = 0;

	race_begin(write_mark);
	for (end = now() + NS_EACH; now() < end;) {
		map((void *)race.page, 1);
		*race.page = MARK;
		wait_for_use();
		/* Not unmapped: the place must not be given to one of the new pages. */
		if (mmap((void *)race.page, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			_exit(98);
		for (int i = 0; i < 16; i++) {
			fresh[i] = map(NULL, 0);
			fresh[i][1] = 1;
		}
		wait_for_use();
		for (int i = 0; i < 16; i++) {
			wrong |= fresh[i][0] != 0;
			munmap((void *)fresh[i], PAGE);
		}
	}
	ok(!wrong, "munmap: no CPU writes to the page's next user");
	race_end();
}

static void test_dontneed(void)
{
	long long end;

	race_begin(read_while_there);
	for (end = now() + NS_EACH; now() < end;) {
		*race.page = MARK;
		wait_for_use();
		madvise((void *)race.page, PAGE, MADV_DONTNEED);
		if (*race.page)
			race.wrong = 3;
	}
	race_ok("madvise: what was dropped is zero");
}

/* The old place must not know the page when truncation frees it at the new one. */
static void test_mremap(void)
{
	volatile uint64_t *to = map(NULL, 0);
	int fd = memfd_create("shootdown", 0), wrong = 0;
	uint64_t v;
	long long end;

	race_begin(write_mark);
	for (end = now() + NS_EACH; now() < end;) {
		if (ftruncate(fd, PAGE) ||
		    mmap((void *)race.page, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			_exit(92);
		wait_for_use();
		if (mremap((void *)race.page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			_exit(93);
		wrong |= try_read(race.page, &v) != SIGSEGV;
		v = *to;
		*to = 5;
		wait_for_use();
		wrong |= *to != 5;
		if (ftruncate(fd, 0))
			_exit(94);
		wrong |= try_read(to, &v) != SIGBUS;
	}
	map((void *)race.page, 1);
	close(fd);
	munmap((void *)to, PAGE);
	ok(!wrong, "mremap: no CPU writes through the old place");
	race_end();
}

static void test_truncate(void)
{
	int fd = memfd_create("shootdown", 0), wrong = 0;
	uint64_t v;
	long long end;

	race_begin(write_mark);
	if (ftruncate(fd, PAGE) || mmap((void *)race.page, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		_exit(95);
	for (end = now() + NS_EACH; now() < end;) {
		volatile uint64_t *fresh;

		if (ftruncate(fd, PAGE))
			_exit(96);
		wait_for_use();
		if (ftruncate(fd, 0))
			_exit(97);
		wrong |= try_read(race.page, &v) != SIGBUS;
		fresh = map(NULL, 0);
		fresh[1] = 1;
		wait_for_use();
		wrong |= fresh[0] != 0;
		munmap((void *)fresh, PAGE);
	}
	close(fd);
	ok(!wrong, "ftruncate: no CPU writes to a page that the file has lost");
	race_end();
}

/* ---- fork ---------------------------------------------------------------- */

static void count_up(struct race *r)
{
	try_write(r->page, ++r->did);
	r->seen++;
}

/* What the child has is a picture: the parent's other threads do not paint on it. */
static void test_fork_picture(void)
{
	int status, wrong = 0;
	long long end;

	race_begin(count_up);
	for (end = now() + NS_EACH; now() < end;) {
		pid_t child;

		wait_for_use();
		child = fork();
		if (!child) {
			uint64_t first = *race.page;

			for (int i = 0; i < 20; i++) {
				sched_yield();
				if (*race.page != first)
					_exit(1);
			}
			_exit(0);
		}
		wait_for_use();
		wrong |= child < 0 || waitpid(child, &status, 0) != child || status;
	}
	ok(!wrong, "fork: the parent's threads do not write to the child's picture");
	race_end();
}

static void read_in_order(struct race *r)
{
	uint64_t told = *r->other;
	uint64_t found;

	atomic_thread_fence(memory_order_seq_cst);
	found = *r->page;
	if (found < told)
		r->wrong = 1;
	r->seen++;
}

/* A write that copies the page, and one elsewhere after it: seen in that order by all. */
static void test_copy_order(void)
{
	uint64_t n = 0;
	int status;
	long long end;

	race_begin(read_in_order);
	/* In one step: it is being read. */
	if (mmap((void *)race.other, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(89);
	for (end = now() + NS_EACH; now() < end;) {
		pid_t child = fork();

		if (!child) {
			sched_yield();
			_exit(0);
		}
		wait_for_use();
		*race.page = ++n;
		atomic_thread_fence(memory_order_seq_cst);
		*race.other = n;
		wait_for_use();
		waitpid(child, &status, 0);
	}
	race_ok("copy on write: no CPU goes on reading the page before");
}

/* ---- CPUs that slept ------------------------------------------------------- */

static atomic_uint bell;

static void futex_wait(unsigned int value)
{
	syscall(SYS_futex, &bell, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void ring(void)
{
	bell++;
	syscall(SYS_futex, &bell, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
}

static void sleep_and_read(struct race *r)
{
	static __thread unsigned int last;

	while (bell == last && !r->end)
		futex_wait(last);
	last = bell;
	if (r->end)
		return;
	if (*r->page != r->did)
		r->wrong = 1;
	r->seen++;
}

/*
 * While the others sleep, their CPUs have nothing to do and are told nothing.
 * The page is changed for another one, and then they look.
 */
static void test_sleepers(void)
{
	uint64_t n = 0;
	long long end;

	bell = 0;
	race_begin(sleep_and_read);
	for (end = now() + NS_EACH; now() < end;) {
		struct timespec nap = { 0, 100000 };

		nanosleep(&nap, NULL);	/* they sleep again */
		munmap((void *)race.page, PAGE);
		map((void *)race.page, 1);
		*race.page = ++n;
		race.did = n;
		race.seen = 0;
		ring();
		while (race.seen < race.helpers)
			sched_yield();
	}
	race.end = 1;
	ring();
	race_ok("a CPU that slept finds the new page");
}

/* Threads go from CPU to CPU while their memory comes and goes. */
static void wander(struct race *r)
{
	static __thread unsigned int n;

	pin((int)(++n * 7));
	read_while_there(r);
}

static void test_wanderers(void)
{
	race_begin(wander);
	take_away_and_give_back();
	race_ok("threads that change their CPU read nothing that is gone");
}

int main(void)
{
	race_init();
	test_munmap();
	test_same_place();
	test_workers();
	test_fresh();
	test_mprotect();
	test_reuse();
	test_dontneed();
	test_mremap();
	test_truncate();
	test_fork_picture();
	test_copy_order();
	test_sleepers();
	test_wanderers();
	return tap_done();
}
