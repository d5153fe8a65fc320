/* SPDX-License-Identifier: MIT */
/*
 * The proof that the plug-in counts exactly: under -icount shift=0 the time stamp counter advances by one an instruction, so
 * it says how many there were between two places. The program does things that are hard to count (system calls, page
 * faults of the program and of the kernel on its behalf, REP strings, timer interrupts, fork), each between its own marks
 * and between two readings of the counter, and prints the readings' differences. test/qemu/ring_gdb.py compares their sum,
 * less that of as many empty pairs, with what the plug-in counted. Nothing here sleeps: an idle machine's clock jumps.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mark.h"

#define CALLS	1000
#define PAGES	200
#define FORKS	5
#define SPIN	30000000L	/* instructions: three ticks of a 100 Hz timer at least */

/* The same instructions between reading and mark, whatever the compiler does around them. */
static inline uint64_t begin(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc\n.byte 0x0f, 0x1f, 0x80; .long 0x50524633" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline uint64_t end(void)
{
	uint32_t lo, hi;

	__asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long 0x50524634\nrdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void say(const char *what, uint64_t start, uint64_t stop)
{
	printf("EXACT %s %llu\n", what, (unsigned long long)(stop - start));
	fflush(stdout);
}

/* A name that the kernel's table shows: its count of calls is known. */
static void calls(void)
{
	uint64_t start = begin();
	int i;

	for (i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	say("getppid", start, end());
}

static void *fresh_pages(void)
{
	void *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	return p;
}

static void user_faults(void)
{
	volatile char *p = fresh_pages();
	uint64_t start = begin();
	int i;

	for (i = 0; i < PAGES; i++)
		p[i * 4096] = 1;
	say("user_faults", start, end());
	munmap((void *)p, PAGES * 4096);
}

static void kernel_faults(void)
{
	char *p = fresh_pages();
	uint64_t start = begin();

	syscall(SYS_getrandom, p, PAGES * 4096 / 8, 0);		/* the kernel faults the pages in */
	syscall(SYS_getrandom, (char *)16, 100, 0);		/* and fails: EFAULT by the exception table */
	say("kernel_faults", start, end());
	munmap(p, PAGES * 4096);
}

static void rep_strings(void)
{
	char *p = fresh_pages(), *at = p;
	size_t n = PAGES * 4096;
	uint64_t start = begin();

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(7) : "memory");	/* faults in the middle, and goes on */
	say("rep_strings", start, end());
	munmap(p, PAGES * 4096);
}

static void interrupts(void)
{
	uint64_t start = begin();
	long n = SPIN / 2;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	say("interrupts", start, end());
}

static void forks(void)
{
	uint64_t start = begin();
	int i, status;

	for (i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, &status, 0);
	}
	say("forks", start, end());
}

int main(void)
{
	uint64_t start = begin(), stop = end();

	say("empty", start, stop);
	calls();
	user_faults();
	kernel_faults();
	rep_strings();
	interrupts();
	forks();
	return 0;
}
