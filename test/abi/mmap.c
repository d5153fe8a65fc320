/*
 * mmap.c - mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), madvise(2),
 * msync(2), mincore(2): what maps, what is refused, what the pages hold.
 */
#include "tap.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define USER_END 0x7fffffffe000ul
#ifndef MREMAP_DONTUNMAP	/* newer than musl */
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_READ	/* newer than musl */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static int fd;
static sigjmp_buf out;

static void on_segv(int sig)
{
	siglongjmp(out, sig);
}

/* Whether the byte can be read (1) and written (2). */
static int access_of(volatile char *p)
{
	int can = 0;

	if (sigsetjmp(out, 1) == 0) {
		(void)*p;
		can |= 1;
	}
	if (sigsetjmp(out, 1) == 0) {
		*p = *p;
		can |= 2;
	}
	return can;
}

static void *map(size_t pages, int prot)
{
	return mmap(NULL, pages * PAGE, prot, ANON, -1, 0);
}

static void check_refusals(void)
{
	char *p = map(4, RW);
	int ro = open("data", O_RDONLY), wo = open("data", O_WRONLY), dir = open(".", O_RDONLY);
	int pipefd[2];

	fails(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL, "mmap: length 0");
	fails(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL, "mmap: neither shared nor private");
	fails(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 17), EINVAL, "mmap: an offset not aligned");
	fails(mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL, "mmap: MAP_FIXED not aligned");
	fails(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF, "mmap: no file");
	fails(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0), EACCES, "mmap: shared writable, file read-only");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES, "mmap: file write-only");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV, "mmap: a folder");
	pipe(pipefd);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pipefd[0], 0), ENODEV, "mmap: a pipe");
	fails(mmap(NULL, 1ul << 62, RW, ANON, -1, 0), ENOMEM, "mmap: 4 EiB");
	fails(mmap(NULL, 1ul << 47, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM, "mmap: all of user space");
	fails(mmap(NULL, ~0ul - 100, RW, ANON, -1, 0), ENOMEM, "mmap: a length that wraps");
	fails(mmap((void *)0xffff800000000000ul, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM,
	      "mmap: MAP_FIXED in the kernel");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0x7ffffffffffff000ul), EOVERFLOW,
	      "mmap: an offset beyond what a file can have");
	/* MAP_SHARED_VALIDATE; bits 26 to 30 are those of the sizes of huge pages. */
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, 3 | 1u << 31, fd, 0), EOPNOTSUPP, "mmap: bit 31 is nobody's flag");
	ok(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0) != MAP_FAILED,
	   "mmap: private writable of a read-only file");
	fails(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST, "mmap: MAP_FIXED_NOREPLACE");
	fails(munmap(p + 1, PAGE), EINVAL, "munmap: not aligned");
	fails(munmap(p, 0), EINVAL, "munmap: length 0");
	fails(munmap((void *)0xffff800000000000ul, PAGE), EINVAL, "munmap: kernel address");
	works(munmap(p, 2 * PAGE), "munmap: the first half");
	works(munmap(p, 4 * PAGE), "munmap: a range with holes");
	works(munmap(p, 4 * PAGE), "munmap: a hole");
	fails(mprotect(p, PAGE, PROT_READ), ENOMEM, "mprotect: unmapped");
	p = map(2, RW);
	fails(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL, "mprotect: not aligned");
	fails(mprotect(p, PAGE, 0x100), EINVAL, "mprotect: an unknown bit");
	works(mprotect(p, 0, PROT_READ), "mprotect: length 0");
	munmap(p + PAGE, PAGE);
	fails(mprotect(p, 2 * PAGE, PROT_READ), ENOMEM, "mprotect: a hole at the end");
	is(access_of(p), 1, "changes what is before the hole");
	munmap(p, PAGE);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	fails(mprotect(p, PAGE, RW), EACCES, "mprotect: shared mapping of a file not open for writing");
	munmap(p, PAGE);
	close(ro);
	close(wo);
	close(dir);
	close(pipefd[0]);
	close(pipefd[1]);
}

static void check_placement(void)
{
	char *a = map(8, RW), *b;
	unsigned int i, bad = 0;

	for (i = 0; i < 8 * PAGE; i++)
		bad += a[i] != 0;
	is(bad, 0, "new memory is zero");
	munmap(a + 2 * PAGE, PAGE);
	ok(access_of(a + PAGE) == 3 && access_of(a + 2 * PAGE) == 0 && access_of(a + 3 * PAGE) == 3,
	   "munmap splits an area");
	b = mmap(a + 2 * PAGE, PAGE, RW, ANON, -1, 0);
	ok(b == a + 2 * PAGE, "a hint that is free is taken");
	memset(a, 1, 8 * PAGE);
	b = mmap(a + PAGE, PAGE, RW, ANON, -1, 0);
	ok(b != a + PAGE && b != MAP_FAILED, "a hint that is taken is not");
	munmap(b, PAGE);
	b = mmap(a + 4 * PAGE, 2 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
	ok(b == a + 4 * PAGE && b[0] == 0 && a[3 * PAGE] == 1 && a[6 * PAGE] == 1,
	   "MAP_FIXED replaces what is there, and only that");
	is(access_of(b), 1, "with its own protection");
	b = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	ok((uintptr_t)b < 1ul << 31, "MAP_32BIT");
	munmap(b, PAGE);
	b = mmap((void *)0x50000000ul, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	ok(b == (void *)0x50000000ul, "MAP_32BIT with a hint that is free");
	munmap(b, PAGE);
	b = mmap((void *)0x90000000ul, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	ok((uintptr_t)b < 1ul << 31, "MAP_32BIT with a hint that is too high");
	munmap(b, PAGE);
	b = mmap((void *)0x123456000ul, PAGE, RW, ANON, -1, 0);
	ok(b == (void *)0x123456000ul, "a free hint anywhere");
	munmap(b, PAGE);
	b = mmap((void *)(USER_END - PAGE), PAGE, RW, ANON | MAP_FIXED, -1, 0);
	ok(b == (void *)(USER_END - PAGE), "the last page that the contract gives can be mapped");
	memset(b, 3, PAGE);
	munmap(b, PAGE);
	b = mmap(NULL, 1ul << 40, RW, ANON | MAP_NORESERVE, -1, 0);
	ok(b != MAP_FAILED, "a terabyte that is never touched");
	b[1ul << 39] = 1;
	is(b[1ul << 39], 1, "but at one place");
	munmap(b, 1ul << 40);
	b = mmap(NULL, 1ul << 38, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ok(b != MAP_FAILED, "a quarter of it, shared");
	b[1ul << 37] = 1;
	is(b[1ul << 37], 1, "and touched");
	munmap(b, 1ul << 38);
	munmap(a, 8 * PAGE);
}

static void check_protection(void)
{
	char *p = map(4, RW);
	int (*fn)(void);

	memset(p, 7, 4 * PAGE);
	works(mprotect(p + PAGE, 2 * PAGE, PROT_READ), "mprotect in the middle");
	ok(access_of(p) == 3 && access_of(p + PAGE) == 1 && access_of(p + 2 * PAGE) == 1 &&
	   access_of(p + 3 * PAGE) == 3, "changes just that");
	works(mprotect(p + PAGE, PAGE, PROT_NONE), "PROT_NONE");
	is(access_of(p + PAGE), 0, "nothing is allowed");
	works(mprotect(p, 4 * PAGE, RW), "back to all");
	is(p[PAGE] + p[2 * PAGE] + p[3 * PAGE], 21, "with the contents kept");
	memcpy(p, "\xb8\x2a\0\0\0\xc3", 6);
	works(mprotect(p, PAGE, PROT_READ | PROT_EXEC), "PROT_EXEC");
	fn = (int (*)(void))p;
	is(fn(), 42, "code in it runs");
	is(access_of(p), 1, "and cannot be written");
	is(in_child(_exit(fn())), 42 << 8, "also in a child");
	munmap(p, 4 * PAGE);
}

static void check_files(void)
{
	char *priv = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
	char *shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0), text[8] = "";
	char *second;

	is_str(priv, "file contents", "a private mapping shows the file");
	is_str(shared, "file contents", "a shared one too");
	priv[0] = 'F';
	is(shared[0], 'f', "a private write stays private");
	shared[1] = 'I';
	is(priv[1], 'i', "and a page once copied sees no shared writes");
	pread(fd, text, 4, 0);
	is_str(text, "fIle", "a shared write is in the file");
	pwrite(fd, "XY", 2, PAGE);
	is(shared[PAGE], 'X', "write() is seen in the shared mapping");
	is(priv[PAGE], 'X', "and in a private page not yet copied");
	is(shared[PAGE + 2], 0, "the rest of the last page is zero");
	second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	is(second[0], 'X', "an offset");
	is(in_child(shared[5] = 'C'), 0, "a child writes");
	is(shared[5], 'C', "the parent sees it");
	ftruncate(fd, PAGE);
	is(access_of(shared + PAGE), 0, "truncated pages are gone");
	ftruncate(fd, 2 * PAGE);
	is(shared[PAGE], 0, "and come back as zeros");
	works(msync(shared, 2 * PAGE, MS_SYNC), "msync");
	fails(msync(shared, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "msync: contradicting flags");
	munmap(second, PAGE);
	fails(msync(second, PAGE, MS_SYNC), ENOMEM, "msync: unmapped");
	close(open("data2", O_CREAT | O_WRONLY, 0600));
	munmap(priv, 2 * PAGE);
	munmap(shared, 2 * PAGE);
}

static void check_self_write(void)
{
	int f = open("self", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *p;

	ftruncate(f, 4 * PAGE);
	p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, f, 0);
	memset(p, 'a', 2 * PAGE);
	is(pwrite(f, p, 2 * PAGE, 2 * PAGE), 2 * PAGE, "write() from a mapping of the same file");
	is(p[4 * PAGE - 1], 'a', "arrives");
	is(pread(f, p + 1, PAGE, 0), PAGE, "read() into a mapping of the same file");
	munmap(p, 4 * PAGE);
	close(f);
}

static void check_remap(void)
{
	char *p = map(4, RW), *q, *wall;

	memset(p, 5, 4 * PAGE);
	q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
	ok(q == p && access_of(p + 2 * PAGE) == 0, "mremap: shrinks in place");
	wall = mmap(p + 2 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0);
	fails(mremap(p, 2 * PAGE, 8 * PAGE, 0), ENOMEM, "mremap: no room and may not move");
	q = mremap(p, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && q != p, "mremap: moves");
	ok(q[0] == 5 && q[2 * PAGE - 1] == 5 && q[2 * PAGE] == 0 && access_of(p) == 0,
	   "with its contents, new pages zero, the old place free");
	p = map(2, PROT_READ);
	wall = mremap(q, 8 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p);
	ok(wall == p && wall[0] == 5 && access_of(p) == 3, "mremap: MREMAP_FIXED");
	fails(mremap(p + 1, PAGE, PAGE, 0), EINVAL, "mremap: not aligned");
	fails(mremap(p, PAGE, 0, 0), EINVAL, "mremap: new length 0");
	fails(mremap(p, PAGE, PAGE, 8), EINVAL, "mremap: a bad flag");
	fails(mremap(p, PAGE, PAGE, MREMAP_FIXED, q), EINVAL, "mremap: FIXED without MAYMOVE");
	fails(mremap(p, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL,
	      "mremap: overlapping");
	munmap(p, 2 * PAGE);
	fails(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT, "mremap: unmapped");
}

/* The area that p lies in is just [p, p + pages). */
static bool one_area(const char *p, size_t pages)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	bool found = false;
	char line[256];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == (unsigned long)p)
			found = to == from + pages * PAGE;
	if (maps)
		fclose(maps);
	return found;
}

/* What grows until it meets its like becomes one with it. Nothing else lies next to it here: that would join, too. */
static void check_remap_merge(void)
{
	char *p = (char *)map(7, PROT_NONE) + PAGE;

	for (int touched = 0; touched < 2; touched++) {
		const char *how = touched ? "touched" : "untouched";

		mmap(p, 3 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
		if (touched)
			p[0] = p[PAGE] = p[2 * PAGE] = 6;
		munmap(p + PAGE, PAGE);
		ok(one_area(p, 1), "%s: a hole makes two areas", how);
		ok(mremap(p, PAGE, 2 * PAGE, 0) == p && one_area(p, 3), "%s: mremap: grows into the hole, and all is one", how);
		is(p[0] + p[PAGE] + p[2 * PAGE], touched ? 12 : 0, "%s: with what they held", how);
		munmap(p + 2 * PAGE, PAGE);
		ok(mremap(p + PAGE, PAGE, 2 * PAGE, 0) == p + PAGE && one_area(p, 3), "%s: mremap: from the middle of an area", how);
		munmap(p + PAGE, PAGE);
		mprotect(p + 2 * PAGE, PAGE, PROT_READ);
		ok(mremap(p, PAGE, 2 * PAGE, 0) == p && one_area(p, 2) && one_area(p + 2 * PAGE, 1),
		   "%s: mremap: a neighbour of another kind stays one of its own", how);
	}
	munmap(p - PAGE, 7 * PAGE);
}

static long locked_kib(void)
{
	int status = open("/proc/self/status", O_RDONLY);
	char text[4096] = "", *line;

	read(status, text, sizeof(text) - 1);
	close(status);
	line = strstr(text, "VmLck:");
	return line ? atol(line + 6) : -1;
}

static void check_remap_locked(void)
{
	char *p = map(8, RW), *q;

	works(mlock(p, 8 * PAGE), "mlock");
	is(locked_kib(), 32, "eight pages");
	q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ok(q != MAP_FAILED, "MREMAP_DONTUNMAP of half of them");
	is(locked_kib(), 32, "the new place is locked, and the other half");
	munmap(q, 4 * PAGE);
	is(locked_kib(), 16, "but not the old place");
	munmap(p, 8 * PAGE);
}

static long resident_pages(void)
{
	int statm = open("/proc/self/statm", O_RDONLY);
	long size = 0, resident = -1;
	char text[200] = "";

	read(statm, text, sizeof(text) - 1);
	close(statm);
	sscanf(text, "%ld %ld", &size, &resident);
	return resident;
}

static void check_populate(void)
{
	char *p = map(2000, RW);
	long before = resident_pages(), more;
	pid_t pid;
	int ready[2];
	char c;

	works(madvise(p, 2000 * PAGE, MADV_POPULATE_READ), "MADV_POPULATE_READ");
	more = resident_pages() - before;
	ok(more < 500, "takes no memory for what is zero");
	works(madvise(p, 2000 * PAGE, MADV_POPULATE_WRITE), "MADV_POPULATE_WRITE");
	more = resident_pages() - before;
	ok(more > 1500, "does");
	munmap(p, 2000 * PAGE);
	/* More than any machine has done in the seconds of this test. */
	pipe(ready);
	pid = fork();
	if (pid == 0) {
		write(ready[1], "r", 1);
		mmap(NULL, 1ul << 43, PROT_READ, ANON | MAP_NORESERVE | MAP_POPULATE, -1, 0);
		for (;;)
			pause();
	}
	read(ready[0], &c, 1);
	tap_sleep_ms(50);
	kill(pid, SIGKILL);
	ok(killed(tap_wait(pid), SIGKILL), "SIGKILL ends MAP_POPULATE");
	close(ready[0]);
	close(ready[1]);
}

static void check_advice(void)
{
	char *p = map(4, RW);
	unsigned char vec[4] = { 9, 9, 9, 9 };

	memset(p, 6, 2 * PAGE);
	works(mincore(p, 4 * PAGE, vec), "mincore");
	is((vec[0] & 1) + (vec[1] & 1) + (vec[2] & 1) + (vec[3] & 1), 2, "knows the touched pages");
	works(madvise(p, PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	ok(p[0] == 0 && p[PAGE] == 6, "zeroes just that page");
	works(madvise(p, PAGE, MADV_NORMAL), "MADV_NORMAL");
	works(madvise(p, PAGE, MADV_WILLNEED), "MADV_WILLNEED");
	works(madvise(p, PAGE, MADV_FREE), "MADV_FREE");
	fails(madvise(p, PAGE, 9999), EINVAL, "madvise: unknown advice");
	fails(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL, "madvise: not aligned");
	works(madvise(p, 0, MADV_DONTNEED), "madvise: length 0");
	works(madvise(p, 2 * PAGE, MADV_DONTFORK), "MADV_DONTFORK");
	ok(killed(in_child({ signal(SIGSEGV, SIG_DFL); p[0] = 1; }), SIGSEGV),
	   "the child does not have it");
	munmap(p + PAGE, PAGE);
	fails(madvise(p, 3 * PAGE, MADV_DONTNEED), ENOMEM, "madvise: a hole");
	munmap(p, 4 * PAGE);
	fails(mincore(p, PAGE, vec), ENOMEM, "mincore: unmapped");
	fails(mincore(p + 1, PAGE, vec), EINVAL, "mincore: not aligned");
}

static void check_brk(void)
{
	char *start = (char *)syscall(SYS_brk, 0), *got;
	struct rlimit rl;

	is(syscall(SYS_brk, start + 3 * PAGE), (long)(start + 3 * PAGE), "brk up");
	memset(start, 9, 3 * PAGE);
	is(syscall(SYS_brk, start + PAGE + 5), (long)(start + PAGE + 5), "brk down, not aligned");
	is(access_of(start + 3 * PAGE - 1), 0, "gives pages back");
	is(start[PAGE + 7], 9, "but not a page in use");
	is(syscall(SYS_brk, start + 3 * PAGE), (long)(start + 3 * PAGE), "brk up again");
	is(start[2 * PAGE + 10], 0, "new pages are zero");
	is(syscall(SYS_brk, 0x1000), (long)(start + 3 * PAGE), "brk below the start changes nothing");
	is(syscall(SYS_brk, 0xffff800000000000ul), (long)(start + 3 * PAGE), "nor beyond user space");
	got = mmap(start + 8 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	is(syscall(SYS_brk, start + 16 * PAGE), (long)(start + 3 * PAGE), "nor into another mapping");
	munmap(got, PAGE);
	getrlimit(RLIMIT_DATA, &rl);
	rl.rlim_cur = 1;
	is(in_child({
		setrlimit(RLIMIT_DATA, &rl);
		_exit(syscall(SYS_brk, start + 1000 * PAGE) != (long)(start + 3 * PAGE));
	}), 0, "nor beyond RLIMIT_DATA");
	syscall(SYS_brk, start);
}

static void check_limits(void)
{
	struct rlimit rl = { 64 << 20, 64 << 20 };

	is(in_child({
		setrlimit(RLIMIT_AS, &rl);
		_exit(mmap(NULL, 100 << 20, RW, ANON, -1, 0) != MAP_FAILED || errno != ENOMEM);
	}), 0, "RLIMIT_AS");
	is(in_child({
		char *p = map((64 << 20) / PAGE, PROT_NONE);

		rl.rlim_cur = 16 << 20;
		setrlimit(RLIMIT_DATA, &rl);
		if (mprotect(p, 64 << 20, RW) != -1 || errno != ENOMEM)
			_exit(1);
		if (mprotect(p, 64 << 20, PROT_READ))
			_exit(2);
		_exit(mprotect(p, 1 << 20, RW) != 0);
	}), 0, "RLIMIT_DATA: what mprotect makes writable counts");
	is(in_child({
		int i;
		char *p = map(2, RW);

		/* Many small areas: alternate protections, then undo. */
		p = mmap(NULL, 2000 * PAGE, RW, ANON, -1, 0);
		for (i = 0; i < 2000; i += 2)
			if (mprotect(p + i * PAGE, PAGE, PROT_READ) < 0)
				_exit(1);
		for (i = 0; i < 2000; i++)
			if (access_of(p + i * PAGE) != (i % 2 ? 3 : 1))
				_exit(2);
		_exit(munmap(p, 2000 * PAGE) != 0);
	}), 0, "two thousand areas");
}

static void check_zero_device(void)
{
	int zero = open("/dev/zero", O_RDWR);
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, zero, 0);

	ok(p != MAP_FAILED && p[0] == 0, "/dev/zero, private");
	p[0] = 1;
	munmap(p, 2 * PAGE);
	p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, zero, 0);
	ok(p != MAP_FAILED, "/dev/zero, shared");
	in_child(p[0] = 77);
	is(p[0], 77, "is shared anonymous memory");
	munmap(p, 2 * PAGE);
	close(zero);
}

int main(void)
{
	signal(SIGSEGV, on_segv);
	signal(SIGBUS, on_segv);
	fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ftruncate(fd, PAGE + 2);
	pwrite(fd, "file contents", 13, 0);
	check_refusals();
	check_placement();
	check_protection();
	check_files();
	check_self_write();
	check_remap();
	check_remap_merge();
	check_remap_locked();
	check_advice();
	check_populate();
	check_brk();
	check_limits();
	check_zero_device();
	return tap_done();
}
