/*
 * races.c - two system calls at once that must look as if one came after the other.
 *
 * Each point runs two of them against each other for a while, on different CPUs
 * where there are some, and looks after each round, when both are done, whether
 * what is left is what one of the two orders leaves. On one CPU the points hold
 * too, and prove less.
 */
#include "race.h"

#define PAGES	64ul
#define TABLE	(2ul << 20)	/* what one page table maps */
#define NS_EACH	800000000ll	/* a point */

static int file_of(unsigned long pages)
{
	int fd = memfd_create("races", 0);

	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)))
		_exit(90);
	return fd;
}

/* So many bytes of address space, at the start of a page table's range. */
static char *room(unsigned long bytes)
{
	char *p = mmap(NULL, bytes + TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_exit(91);
	return (char *)(((uintptr_t)p + TABLE - 1) & ~(TABLE - 1));
}

static char *map_at(char *at, unsigned long pages, int fd, unsigned long page)
{
	int how = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	if (mmap(at, pages * PAGE, RW, how, fd, (off_t)(page * PAGE)) == MAP_FAILED)
		_exit(92);
	return at;
}

static struct {
	bool sealed;
	int fd, fd2;
	char *at, *spare;
} r;

/* The signal that a look ends with; 0: none. */
static int look_at(char *p)
{
	uint64_t value;

	return try_read((uint64_t *)p, &value);
}

/* ---- truncation ---- */

static void truncate_now(void)
{
	if (ftruncate(r.fd, 0))
		_exit(94);
}

static void read_first(void)
{
	(void)look_at(r.at);
}

/* Behind the end nothing is mapped; then all is as before the round, with the page in the file and the tables empty. */
static bool all_gone(void)
{
	static const uint64_t mark = 1;
	bool gone = true;

	for (unsigned long i = 0; i < PAGES && gone; i++)
		gone = look_at(r.at + i * PAGE) == SIGBUS;
	if (ftruncate(r.fd, PAGES * PAGE))
		_exit(95);
	for (unsigned long i = 0; i < PAGES; i++)
		if (pwrite(r.fd, &mark, sizeof(mark), (off_t)(i * PAGE)) != sizeof(mark))
			_exit(96);
	return gone;
}

static void test_truncate_fault(void)
{
	r.fd = file_of(PAGES);
	r.at = map_at(room(TABLE), PAGES, r.fd, 0);
	(void)all_gone();
	ok(rounds(NS_EACH, truncate_now, read_first, all_gone), "a fault into an empty table leaves nothing behind a new end of file");
	close(r.fd);
}

/* Cuts the mapping in three and makes it one again. */
static void cut_and_merge(void)
{
	for (int i = 0; i < 4; i++) {
		mprotect(r.at + PAGE, (PAGES - 2) * PAGE, PROT_READ);
		mprotect(r.at + PAGE, (PAGES - 2) * PAGE, RW);
	}
}

static void touch_and_truncate(void)
{
	for (unsigned long i = 0; i < PAGES; i++)
		(void)look_at(r.at + i * PAGE);
	truncate_now();
}

static void test_truncate_cut(void)
{
	r.fd = file_of(PAGES);
	r.at = map_at(room(TABLE), PAGES, r.fd, 0);
	(void)all_gone();
	ok(rounds(NS_EACH, touch_and_truncate, cut_and_merge, all_gone), "an area that is cut and joined is not missed by truncation");
	close(r.fd);
}

/*
 * One table maps two files and private memory. While the process forks, the first file is truncated: what the child
 * has of the others must be whole, and what it unmaps must be gone from the table.
 */
static bool fork_good;

static void child(void)
{
	volatile uint64_t *own = (uint64_t *)(r.at + 2 * PAGES * PAGE), *two = (uint64_t *)(r.at + PAGES * PAGE);

	for (unsigned long i = 0; i < PAGES; i++)
		if (own[i * PAGE / 8] != ~i || two[i * PAGE / 8] != i)
			_exit(1);
	/* The same table again, empty: whatever was missed is still in it. */
	map_at(r.at, 3 * PAGES, -1, 0);
	for (unsigned long i = 0; i < 3 * PAGES; i++)
		if (*(uint64_t *)(r.at + i * PAGE))
			_exit(2);
	_exit(0);
}

static void fork_once(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		child();
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fork_good = false;
}

static void truncate_often(void)
{
	static const uint64_t mark = 1;

	for (int n = 0; n < 6; n++) {
		truncate_now();
		if (ftruncate(r.fd, PAGES * PAGE))
			_exit(95);
		for (unsigned long i = 0; i < PAGES; i += 7) {
			if (pwrite(r.fd, &mark, sizeof(mark), (off_t)(i * PAGE)) != sizeof(mark))
				_exit(96);
			(void)look_at(r.at + i * PAGE);
		}
	}
}

static bool look_fork(void)
{
	return fork_good;
}

static void test_truncate_fork(void)
{
	r.fd = file_of(PAGES);
	r.fd2 = file_of(PAGES);
	r.at = room(TABLE);
	map_at(r.at, PAGES, r.fd, 0);
	map_at(r.at + PAGES * PAGE, PAGES, r.fd2, 0);
	map_at(r.at + 2 * PAGES * PAGE, PAGES, -1, 0);
	for (unsigned long i = 0; i < PAGES; i++) {
		*(uint64_t *)(r.at + (PAGES + i) * PAGE) = i;
		*(uint64_t *)(r.at + (2 * PAGES + i) * PAGE) = ~i;
	}
	fork_good = true;
	ok(rounds(NS_EACH, fork_once, truncate_often, look_fork), "a fork beside a truncation copies the neighbours whole");
	close(r.fd);
	close(r.fd2);
}

/* ---- seals ---- */

static void seal(void)
{
	r.sealed = !fcntl(r.fd, F_ADD_SEALS, F_SEAL_WRITE);
}

static void map_writable(void)
{
	void *p = mmap(NULL, PAGE, RW, MAP_SHARED, r.fd, 0);

	r.spare = p == MAP_FAILED ? NULL : p;
}

/* Not both; and a new file. */
static bool one_of_both(void)
{
	bool good = !(r.sealed && r.spare);

	if (r.spare)
		munmap(r.spare, PAGE);
	close(r.fd);
	r.fd = memfd_create("races", MFD_ALLOW_SEALING);
	if (r.fd < 0 || ftruncate(r.fd, PAGE))
		_exit(98);
	return good;
}

static void test_seal(void)
{
	r.fd = file_of(1);
	r.sealed = false;
	r.spare = NULL;
	(void)one_of_both();
	ok(rounds(NS_EACH, seal, map_writable, one_of_both), "a file is sealed or mapped for writing, and not both");
	close(r.fd);
}

/* ---- signals ---- */

static void on_user(int sig)
{
}

static void send_some(void)
{
	for (int i = 0; i < 20; i++)
		kill(getpid(), SIGUSR1);
}

static void flip(void)
{
	struct sigaction handler = { .sa_handler = on_user }, ignore = { .sa_handler = SIG_IGN };

	for (int i = 0; i < 20; i++) {
		sigaction(SIGUSR1, &ignore, NULL);
		sigaction(SIGUSR1, &handler, NULL);
	}
}

static bool alive(void)
{
	return true;
}

static void test_action(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct sigaction handler = { .sa_handler = on_user };

		sigaction(SIGUSR1, &handler, NULL);
		_exit(!rounds(NS_EACH, send_some, flip, alive));
	}
	waitpid(pid, &status, 0);
	ok(!status, "a signal whose action changes finds a handler or none, and not the address 1");
}

/* ---- descriptors ---- */

/* Two tasks with one table of descriptors end at once, one of them just after the table has grown. */
static int grow_and_end(void *arg)
{
	_exit(dup2(0, 300) == 300 ? 0 : 1);
}

static void test_last_table(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	long long end = now() + NS_EACH;
	bool good = true;

	while (good && now() < end) {
		int pipes[2], status;
		char c;
		pid_t pid;

		if (pipe(pipes))
			_exit(97);
		pid = fork();
		if (!pid) {
			close(pipes[0]);
			if (clone(grow_and_end, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL) < 0)
				_exit(1);
			for (volatile int spin = (int)(now() % 3000) * 4; spin; spin--)
				;
			_exit(0);
		}
		close(pipes[1]);
		good = pid > 0 && waitpid(pid, &status, 0) == pid && !status;
		/* The end of file comes when the table, and the pipe's end in it, is gone. */
		good = good && read(pipes[0], &c, 1) == 0;
		close(pipes[0]);
	}
	ok(good, "a table of descriptors that has just grown is taken apart once");
}

int main(void)
{
	race_init();
	test_truncate_fault();
	test_truncate_cut();
	test_truncate_fork();
	test_seal();
	test_action();
	test_last_table();
	return tap_done();
}
