/*
 * count.c - instruction counts, as /init of an otherwise empty initrd under
 * -icount shift=0, where the time stamp counter advances by one each guest
 * instruction.  Prints one line "FIGURE name value" each, then switches off.
 *
 * The first figure is the monotonic clock, which begins at the kernel's entry,
 * when this program's first instructions run: nanoseconds, hence instructions.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS	20000
#define FORKS	100
#define WARM_UP	10

static uint64_t stamp(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static void figure(const char *name, uint64_t value)
{
	char line[100];
	int len = snprintf(line, sizeof(line), "FIGURE %s %llu\n", name, (unsigned long long)value);

	if (write(1, line, len) != len)
		_exit(1);
}

/* getppid as people call it, through musl's syscall(). */
static uint64_t count_getppid(void)
{
	uint64_t start = stamp();
	int i;

	for (i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (stamp() - start) / CALLS;
}

/* The clock as people read it, in musl's loop: from the vDSO, not from the kernel. */
static uint64_t count_clock(void)
{
	struct timespec ts;
	uint64_t start;
	int i;

	clock_gettime(CLOCK_MONOTONIC, &ts);	/* finds the vDSO */
	start = stamp();
	for (i = 0; i < CALLS; i++)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	return (stamp() - start) / CALLS;
}

/* The kernel's part: a loop of four instructions, all of which are taken off. */
static uint64_t count_kernel_part(void)
{
	uint64_t start = stamp();
	long n = CALLS;

	__asm__ volatile("1: mov $110, %%eax; syscall; dec %0; jnz 1b"
			 : "+r"(n) :: "rax", "rcx", "r11", "memory");
	return (stamp() - start) / CALLS - 4;
}

static uint64_t count_fork(int times)
{
	uint64_t start = stamp();
	int i, status;

	for (i = 0; i < times; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, &status, 0);
	}
	return (stamp() - start) / times;
}

static void memory(void)
{
	char text[4096], *at;
	int fd, len;

	mkdir("/proc", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		return;
	fd = open("/proc/meminfo", O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	at = strstr(text, "MemTotal:");
	if (at) {
		unsigned long value = 0;

		sscanf(at + 9, "%lu", &value);
		figure("memtotal_kib", value);
	}
	at = strstr(text, "MemFree:");
	if (at) {
		unsigned long value = 0;

		sscanf(at + 8, "%lu", &value);
		figure("memfree_kib", value);
	}
}

int main(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	figure("entry_to_init", ts.tv_sec * 1000000000ull + ts.tv_nsec);
	syscall(SYS_getppid);
	figure("getppid", count_getppid());
	figure("getppid_kernel", count_kernel_part());
	figure("clock_gettime", count_clock());
	count_fork(WARM_UP);
	figure("fork_exit_wait", count_fork(FORKS));
	memory();
	figure("end", 1);
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
