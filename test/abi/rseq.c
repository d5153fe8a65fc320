/*
 * rseq.c - restartable sequences, rseq(2): registration and its errors, the CPU's
 * number, and that a signal inside of a sequence sends it to its abort handler.
 */
#include "tap.h"

#include <sys/syscall.h>
#include <sys/time.h>

#define SIGNATURE 0x53053053u

struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t sequence;
	uint32_t flags;
} __attribute__((aligned(32)));

struct sequence {
	uint32_t version, flags;
	uint64_t start, length, abort;
} __attribute__((aligned(32)));

static struct area area __attribute__((aligned(32)));
static struct sequence sequence;
static volatile int alarms;

static long do_rseq(void *where, unsigned len, int flags, unsigned sig)
{
	return syscall(SYS_rseq, where, len, flags, sig);
}

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* Spins inside a sequence until something aborts it: 1 by the handler, 0 when the loop ran out. */
static int spin_in_sequence(void)
{
	int aborted;

	__asm__ volatile(
		"	leaq 1f(%%rip), %%rax\n"
		"	movq %%rax, %[start]\n"
		"	leaq 2f(%%rip), %%rcx\n"
		"	subq %%rax, %%rcx\n"
		"	movq %%rcx, %[length]\n"
		"	leaq 4f(%%rip), %%rax\n"
		"	movq %%rax, %[abort]\n"
		"	leaq %[cs], %%rax\n"
		"	movq %%rax, %[ptr]\n"
		"	movq $4000000000, %%rcx\n"
		"1:	decq %%rcx\n"
		"	jnz 1b\n"
		"2:	movl $0, %[result]\n"
		"	jmp 5f\n"
		"	.byte 0x0f, 0xb9, 0x3d\n"
		"	.long 0x53053053\n"
		"4:	movl $1, %[result]\n"
		"5:\n"
		: [start] "=m"(sequence.start), [length] "=m"(sequence.length), [abort] "=m"(sequence.abort),
		  [ptr] "=m"(area.sequence), [result] "=&r"(aborted)
		: [cs] "m"(sequence)
		: "rax", "rcx", "memory", "cc");
	return aborted;
}

static void check_registration(void)
{
	fails(do_rseq(&area, 32, 4, SIGNATURE), EINVAL, "an unknown flag");
	fails(do_rseq((char *)&area + 8, 32, 0, SIGNATURE), EINVAL, "not aligned");
	fails(do_rseq(&area, 24, 0, SIGNATURE), EINVAL, "a wrong size");
	fails(do_rseq((void *)0xffff800000000000, 32, 0, SIGNATURE), EFAULT, "a kernel address");
	fails(do_rseq(&area, 32, 1, SIGNATURE), EINVAL, "nothing to unregister");
	area.cpu_id = (uint32_t)-1;
	works(do_rseq(&area, 32, 0, SIGNATURE), "registration");
	ok(area.cpu_id < 512 && area.cpu_id_start == area.cpu_id, "the CPU's number is kept");
	fails(do_rseq(&area, 32, 0, SIGNATURE), EBUSY, "twice");
	fails(do_rseq(&area, 32, 0, SIGNATURE + 1), EPERM, "twice, with another signature");
	fails(do_rseq(&area + 1, 32, 0, SIGNATURE), EINVAL, "twice, elsewhere");
	fails(do_rseq(&area, 32, 1, SIGNATURE + 1), EPERM, "unregistering with another signature");
}

static void check_abort(void)
{
	struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }, off = { 0 };	/* again and again: the first may come too early */

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	is(spin_in_sequence(), 1, "an interrupted sequence aborts");
	is(area.sequence, 0, "and is over");
	setitimer(ITIMER_REAL, &off, NULL);
}

static void check_hostile(void)
{
	ok(killed(in_child({
		area.sequence = 0xffff800000000000;
		raise(SIGALRM);
	}), SIGSEGV), "a sequence at a kernel address");
	ok(killed(in_child({
		sequence.version = 1;
		area.sequence = (uintptr_t)&sequence;
		raise(SIGALRM);
	}), SIGSEGV), "a sequence of an unknown version");
}

int main(void)
{
	check_registration();
	check_abort();
	check_hostile();
	works(do_rseq(&area, 32, 1, SIGNATURE), "unregistering");
	is(area.cpu_id, (uint32_t)-1, "leaves no CPU");
	works(do_rseq(&area, 32, 0, SIGNATURE), "and again");
	works(do_rseq(&area, 32, 1, SIGNATURE), "and off");
	return tap_done();
}
