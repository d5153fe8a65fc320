/*
 * mutant.c - a thousand damaged ELF files, executed.  Each differs from a
 * good program in its headers, its contents or its length, by a generator
 * with a fixed seed.  execve may refuse it with one of its errors, or the
 * program may run and end somehow; the machine goes on.  Mutants run as a
 * user with tight limits: their code is arbitrary.
 *
 *	mutant PROGRAM FIRST COUNT
 */
#include "tap.h"

#include <elf.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define BATCH 100
#define TIME_LIMIT_MS 400

static uint64_t seed;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static const uint64_t interesting[] = {
	0, 1, 2, 3, 7, 8, 0x38, 0x40, 0xfff, 0x1000, 0x1001, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
	0xffffffff, 0x100000000, 0x7fffffffd000, 0x7fffffffe000, 0x7fffffffefff, 0x7ffffffff000,
	0x800000000000, 0xffff800000000000, 0xffffffff80000000, 0x7fffffffffffffff,
	0x8000000000000000, 0xfffffffffffff000, 0xffffffffffffffff,
};

static void put(uint8_t *at, unsigned int size, uint64_t value)
{
	memcpy(at, &value, size);
}

/* Damages a copy of the program; its new length. */
static size_t mutate(uint8_t *image, size_t size)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)image;
	size_t headers = eh->e_phoff + eh->e_phnum * sizeof(Elf64_Phdr);
	unsigned int i, n = 1 + next() % 4;

	for (i = 0; i < n; i++) {
		uint64_t value = interesting[next() % (sizeof(interesting) / 8)];

		switch (next() % 8) {
		case 0:		/* any byte of the headers */
			image[next() % headers] = next();
			break;
		case 1:		/* a bit of them */
			image[next() % headers] ^= 1 << next() % 8;
			break;
		case 2:		/* an 8-byte field of a program header */
			put(image + eh->e_phoff % 4096 + next() % 8 * 8 +
			    next() % 6 * sizeof(Elf64_Phdr), 8, value);
			break;
		case 3:		/* an 8-byte field, slightly */
			image[64 + next() % (headers - 64)] += 1 + next() % 3;
			break;
		case 4:		/* a 2-byte field of the ELF header */
			put(image + 16 + next() % 24 * 2, 2, value);
			break;
		case 5:		/* an 8-byte field of it */
			put(image + 24 + next() % 3 * 8, 8, value);
			break;
		case 6:		/* code or data */
			image[next() % size] = next();
			break;
		default:	/* the length */
			if (next() % 4 == 0)
				size = 1 + next() % size;
			break;
		}
		headers = headers > size || headers < 128 ? 128 : headers;
	}
	return size;
}

static bool expected(int error)
{
	return error == ENOEXEC || error == EINVAL || error == ENOMEM || error == EACCES ||
	       error == EIO || error == ENOENT || error == ELIBBAD || error == EFAULT ||
	       error == ENAMETOOLONG || error == ENOTDIR || error == ELOOP || error == EPERM;
}

static void run_mutant(const char *path)
{
	struct rlimit small = { 4, 4 }, size = { 1 << 16, 1 << 16 }, space = { 64 << 20, 64 << 20 };
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	setsid();
	setrlimit(RLIMIT_FSIZE, &size);
	setrlimit(RLIMIT_AS, &space);
	setresgid(5555, 5555, 5555);
	setresuid(5555, 5555, 5555);
	setrlimit(RLIMIT_NPROC, &small);
	execl(path, "mutant", NULL);
}

enum outcome { REFUSED, SIGNALLED, EXITED, HUNG, WRONG };

static enum outcome try_one(const char *path, volatile int *refusal, int *detail)
{
	int status;
	pid_t pid;
	long end = tap_now_ms() + TIME_LIMIT_MS;

	*refusal = 0;
	pid = fork();
	if (pid == 0) {
		run_mutant(path);
		*refusal = errno;
		_exit(250);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct timespec nap = { 0, 200000 };

		if (tap_now_ms() > end) {
			kill(pid, SIGKILL);
			tap_wait(pid);
			return HUNG;
		}
		nanosleep(&nap, NULL);
	}
	*detail = *refusal ? *refusal : status;
	if (*refusal)
		return expected(*refusal) ? REFUSED : WRONG;
	return WIFSIGNALED(status) ? SIGNALLED : WIFEXITED(status) ? EXITED : WRONG;
}

int main(int argc, char **argv)
{
	volatile int *refusal = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				     -1, 0);
	static uint8_t good[1 << 18], image[1 << 18];
	int counts[5] = { 0 }, wrong = 0, detail = 0;
	long first, count, i;
	ssize_t size;
	int fd;

	if (argc != 4)
		return 2;
	first = atol(argv[2]);
	count = atol(argv[3]);
	fd = open(argv[1], O_RDONLY);
	size = read(fd, good, sizeof(good));
	close(fd);
	if (!ok(size > 1000, "there is a program to mutate"))
		return tap_done();
	chmod(".", 0755);
	for (i = 0; i < count; i++) {
		enum outcome outcome;
		size_t length;

		seed = 0x9e3779b97f4a7c15ull * (first + i + 1);
		memcpy(image, good, size);
		length = mutate(image, size);
		unlink("m");
		tap_file("m", image, length, 0755);
		outcome = try_one("./m", refusal, &detail);
		counts[outcome]++;
		if (outcome == WRONG) {
			wrong++;
			tap_line("# mutant %ld: unexpected %d", first + i, detail);
		}
		if (i % BATCH == BATCH - 1) {
			ok(wrong == 0, "mutants %ld to %ld", first + i - BATCH + 1, first + i);
			wrong = 0;
		}
	}
	tap_line("# %d refused, %d killed by a signal, %d ended, %d ran on", counts[REFUSED],
		 counts[SIGNALLED], counts[EXITED], counts[HUNG]);
	ok(exited(in_child({
		dup2(open("/dev/null", O_WRONLY), 1);
		execl(argv[1], "victim", NULL);
	}), 0), "the good program still runs");
	return tap_done();
}
