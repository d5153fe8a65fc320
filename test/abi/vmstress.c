/*
 * vmstress.c - memory calls at random, by several threads and forked children at
 * once, against a model of what each page must hold.
 *
 * Each worker owns a region of the address space and a model of it: per page
 * whether it is mapped, with which rights, and the word that was last written.
 * Regions are not aligned to page tables, so neighbours share those. Two more
 * threads fight over a file: one touches mappings of it and writes to it from
 * its own mapping, the other truncates it and punches holes. The main thread
 * forks all the while; parent and child go on changing what they share.
 *
 * Which operations happen is random by a fixed seed; whether what is found is
 * right does not depend on the order.
 */
#include "tap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE		4096ul
#define PAGES		96u
#define WORKERS		3u
#define FILE_PAGES	16u
#define SECONDS		4
#define REGION_BASE	0x100000000ul
#define REGION_STEP	0x1ff000ul
#define RW		(PROT_READ | PROT_WRITE)
#define MAPPED(prot)	(1u + (prot))

struct region {
	char *base;
	uint8_t page[PAGES];		/* 0: nothing, else MAPPED(rights) */
	uint32_t value[PAGES];
	uint32_t seed;
	const char *wrong;		/* the first thing that was */
};

static atomic_int stop;
static int fd;
static __thread sigjmp_buf out;
static __thread volatile sig_atomic_t armed;

static void on_fault(int sig)
{
	if (!armed)
		_exit(100 + sig);
	siglongjmp(out, sig);
}

static uint32_t next(struct region *r)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return r->seed >> 8;
}

static void wrong(struct region *r, const char *what)
{
	if (!r->wrong)
		r->wrong = what;
}

static volatile uint32_t *word(struct region *r, unsigned int page)
{
	return (volatile uint32_t *)(r->base + page * PAGE + 64);
}

static void look(struct region *r, unsigned int page)
{
	uint32_t found = 0;
	int sig;

	armed = 1;
	sig = sigsetjmp(out, 1);
	if (!sig)
		found = *word(r, page);
	armed = 0;
	if (!sig != (r->page[page] != 0))
		wrong(r, sig ? "a mapped page faults" : "an unmapped page does not fault");
	else if (!sig && found != r->value[page])
		wrong(r, "a page holds something else");
}

static void look_at_all(struct region *r)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		look(r, i);
}

static bool all_mapped(const struct region *r, unsigned int first, unsigned int n)
{
	while (n && r->page[first + n - 1])
		n--;
	return n == 0;
}

static void map(struct region *r, unsigned int first, unsigned int n)
{
	char *at = r->base + first * PAGE;

	if (mmap(at, n * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		wrong(r, "mmap fails");
	memset(r->page + first, MAPPED(RW), n);
	memset(r->value + first, 0, n * sizeof(r->value[0]));
}

static void unmap(struct region *r, unsigned int first, unsigned int n)
{
	if (munmap(r->base + first * PAGE, n * PAGE))
		wrong(r, "munmap fails");
	memset(r->page + first, 0, n);
}

/* Pages in front of a hole are changed, and the call fails. */
static void protect(struct region *r, unsigned int first, unsigned int n)
{
	int prot = next(r) % 2 ? PROT_READ : RW;
	bool whole = all_mapped(r, first, n);
	unsigned int i;

	if (!mprotect(r->base + first * PAGE, n * PAGE, prot) != whole)
		wrong(r, whole ? "mprotect fails" : "mprotect over a hole does not fail");
	for (i = first; i < first + n && r->page[i]; i++)
		r->page[i] = MAPPED(prot);
}

static void put(struct region *r, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = first; i < first + n; i++) {
		if (r->page[i] == MAPPED(RW))
			*word(r, i) = r->value[i] = next(r);
	}
}

static void forget(struct region *r, unsigned int first, unsigned int n)
{
	unsigned int i;

	madvise(r->base + first * PAGE, n * PAGE, MADV_DONTNEED);
	for (i = first; i < first + n; i++)
		r->value[i] = 0;
}

static void move(struct region *r, unsigned int from)
{
	unsigned int to = next(r) % PAGES;
	char *at = r->base + to * PAGE;

	if (!r->page[from] || to == from)
		return;
	if (mremap(r->base + from * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		wrong(r, "mremap fails");
	r->page[to] = r->page[from];
	r->value[to] = r->value[from];
	r->page[from] = 0;
}

static void step(struct region *r)
{
	unsigned int first = next(r) % PAGES, n = 1 + next(r) % 8;

	if (n > PAGES - first)
		n = PAGES - first;
	switch (next(r) % 8) {
	case 0:
	case 1:
		map(r, first, n);
		break;
	case 2:
		unmap(r, first, n);
		break;
	case 3:
		protect(r, first, n);
		break;
	case 4:
	case 5:
		put(r, first, n);
		break;
	case 6:
		forget(r, first, n);
		break;
	default:
		move(r, first);
		look(r, first);
	}
}

static void steps(struct region *r, int n)
{
	while (n-- > 0)
		step(r);
}

static void *worker(void *arg)
{
	struct region *r = arg;

	while (!stop)
		step(r);
	look_at_all(r);
	return NULL;
}

/* Touches the file through its mappings; what is behind its end is SIGBUS. */
static void *toucher(void *arg)
{
	struct region *r = arg;
	char *shared = mmap(NULL, FILE_PAGES * PAGE, RW, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, FILE_PAGES * PAGE, RW, MAP_PRIVATE, fd, 0);

	while (!stop) {
		volatile char *p = (next(r) % 2 ? shared : private) + next(r) % (FILE_PAGES * PAGE);
		bool write = next(r) % 2;

		armed = 1;
		if (!sigsetjmp(out, 1)) {
			if (write)
				*p = 1;
			else
				(void)*p;
		}
		armed = 0;
		if (next(r) % 16 == 0)
			madvise(private, FILE_PAGES * PAGE, MADV_DONTNEED);
		if (next(r) % 32 == 0 && pwrite(fd, shared, 3 * PAGE, next(r) % (4 * PAGE)) < 0 &&
		    errno != EFAULT)
			wrong(r, "write from a mapping of the file fails");
	}
	return NULL;
}

static void *cutter(void *arg)
{
	struct region *r = arg;

	while (!stop) {
		if (ftruncate(fd, next(r) % ((FILE_PAGES + 1) * PAGE)))
			wrong(r, "ftruncate fails");
		if (next(r) % 8 == 0)
			fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
				  PAGE * (next(r) % 8), PAGE * (1 + next(r) % 4));
		usleep(100);
	}
	return NULL;
}

/* One fork: both sides go on, and each finds what it wrote itself. */
static const char *fork_once(struct region *r)
{
	int status;
	pid_t pid;

	steps(r, 30);
	pid = fork();
	if (pid < 0)
		return "fork fails";
	if (pid == 0) {
		look_at_all(r);
		steps(r, 60);
		look_at_all(r);
		_exit(r->wrong ? 1 : 0);
	}
	steps(r, 30);
	status = tap_wait(pid);
	look_at_all(r);
	return status ? "the child finds something wrong" : NULL;
}

static void region_init(struct region *r, unsigned int nr)
{
	memset(r, 0, sizeof(*r));
	r->base = (char *)(REGION_BASE + nr * REGION_STEP);
	r->seed = nr * 7919 + 1;
}

int main(void)
{
	static struct region region[WORKERS + 3];
	struct region *mine = &region[WORKERS + 2];
	const char *in_forks = NULL;
	pthread_t thread[WORKERS + 2];
	long end = tap_now_ms() + SECONDS * 1000;
	unsigned int i;

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	fd = open("stress", O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (i = 0; i < WORKERS + 3; i++)
		region_init(&region[i], i);
	for (i = 0; i < WORKERS; i++)
		pthread_create(&thread[i], NULL, worker, &region[i]);
	pthread_create(&thread[WORKERS], NULL, toucher, &region[WORKERS]);
	pthread_create(&thread[WORKERS + 1], NULL, cutter, &region[WORKERS + 1]);
	while (tap_now_ms() < end && !in_forks)
		in_forks = fork_once(mine);
	stop = 1;
	for (i = 0; i < WORKERS + 2; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < WORKERS; i++)
		ok(!region[i].wrong, "worker %u finds what it wrote%s%s", i,
		   region[i].wrong ? " # " : "", region[i].wrong ? region[i].wrong : "");
	ok(!region[WORKERS].wrong, "touching and writing a file that is being cut");
	ok(!region[WORKERS + 1].wrong, "cutting it");
	ok(!in_forks, "forks copy on write%s%s", in_forks ? " # " : "", in_forks ? in_forks : "");
	ok(!mine->wrong, "the parent finds what it wrote%s%s", mine->wrong ? " # " : "",
	   mine->wrong ? mine->wrong : "");
	return tap_done();
}
