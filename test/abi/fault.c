/*
 * fault.c - what a program that does wrong gets: signal, si_code, si_addr,
 * and what a blocked or ignored fault does.  Nothing here may touch the
 * kernel's health.
 */
#include "tap.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

static sigjmp_buf out;
static siginfo_t info;
static volatile unsigned long trapno, error_code, cr2;

static void on_fault(int sig, siginfo_t *i, void *context)
{
	ucontext_t *uc = context;

	info = *i;
	trapno = uc->uc_mcontext.gregs[20];
	error_code = uc->uc_mcontext.gregs[19];
	cr2 = uc->uc_mcontext.gregs[22];
	siglongjmp(out, 1);
}

#define expect_fault(sig, code, body, ...) do {				\
	memset(&info, 0, sizeof(info));					\
	if (sigsetjmp(out, 1) == 0) {					\
		body;							\
	}								\
	tap_ok(info.si_signo == (sig) && info.si_code == (code), __FILE__, \
	       __LINE__, __VA_ARGS__);					\
	if (info.si_signo != (sig) || info.si_code != (code))		\
		tap_line("# signal %d code %d", info.si_signo, info.si_code); \
} while (0)

static volatile char sink;

static void check_memory(void)
{
	char *page = mmap(NULL, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*call)(void) = (void (*)(void))page;
	int fd = open("short", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *file;

	expect_fault(SIGSEGV, SEGV_MAPERR, sink = *(volatile char *)0, "read at null");
	is((uintptr_t)info.si_addr, 0, "si_addr is null");
	is(trapno, 14, "trapno 14");
	is(error_code, 4, "error code: user read of nothing");
	expect_fault(SIGSEGV, SEGV_MAPERR, *(volatile char *)16 = 1, "write at 16");
	is((uintptr_t)info.si_addr, 16, "si_addr is 16");
	is(cr2, 16, "so is cr2");
	is(error_code, 6, "error code: user write");
	expect_fault(SIGSEGV, SEGV_ACCERR, page[5] = 1, "write to a read-only page");
	is((uintptr_t)info.si_addr, (uintptr_t)page + 5, "si_addr is the byte");
	sink = page[0];
	expect_fault(SIGSEGV, SEGV_ACCERR, page[5] = 1, "write to one that is present");
	is(error_code, 7, "error code: protection");
	expect_fault(SIGSEGV, SEGV_ACCERR, call(), "execute a page without PROT_EXEC");
	is((uintptr_t)info.si_addr, (uintptr_t)page, "si_addr is the target");
	expect_fault(SIGSEGV, SEGV_ACCERR, sink = none[0], "read a PROT_NONE page");
	munmap(page + 4096, 4096);
	expect_fault(SIGSEGV, SEGV_MAPERR, sink = page[4096], "read an unmapped page");
	expect_fault(SIGSEGV, SEGV_MAPERR, sink = *(volatile char *)0xffffffff80000000ul,
		     "read a kernel address");
	is((uintptr_t)info.si_addr, 0xffffffff80000000ul, "si_addr is it");
	expect_fault(SIGSEGV, SEGV_MAPERR, *(volatile char *)0xffff800000000000ul = 1,
		     "write to a kernel address");
	expect_fault(SIGSEGV, SI_KERNEL, sink = *(volatile char *)0x8000000000000000ul,
		     "a non-canonical address");
	is(trapno, 13, "trapno 13");
	is((uintptr_t)info.si_addr, 0, "si_addr 0");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("hlt"), "hlt");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("cli"), "cli");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("outb %%al,$0x80" ::: "memory"),
		     "out to a port");
	expect_fault(SIGSEGV, SI_KERNEL,
		     __asm__ volatile("mov %%cr3, %%rax" ::: "rax"), "read cr3");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("mov %0, %%ds" :: "r"(0x1234)),
		     "load a bad selector");
	expect_fault(SIGSEGV, SI_KERNEL,
		     __asm__ volatile("mov $0x10, %%ecx; rdmsr" ::: "rax", "rcx", "rdx"), "rdmsr");
	write(fd, "x", 1);
	file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	expect_fault(SIGBUS, BUS_ADRERR, sink = file[4096], "read behind the end of a file");
	is((uintptr_t)info.si_addr, (uintptr_t)file + 4096, "si_addr is the byte");
	is(file[100], 0, "the rest of the last page reads zero");
	ftruncate(fd, 0);
	expect_fault(SIGBUS, BUS_ADRERR, sink = file[0], "read a page that was truncated away");
	close(fd);
	munmap(file, 8192);
}

static void divide_x87(void)
{
	unsigned short cw = 0x37b;

	__asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" :: "m"(cw));
}

static void check_instructions(void)
{
	volatile int zero = 0, one = 1, low = INT32_MIN, minus = -1;

	expect_fault(SIGFPE, FPE_INTDIV, one = one / zero, "integer division by zero");
	ok(info.si_addr != NULL, "si_addr is the instruction");
	expect_fault(SIGFPE, FPE_INTDIV, one = low / minus, "INT_MIN / -1");
	expect_fault(SIGILL, ILL_ILLOPN, __asm__ volatile("ud2"), "ud2");
	ok(info.si_addr != NULL, "si_addr is the instruction");
	expect_fault(SIGILL, ILL_ILLOPN, __asm__ volatile(".byte 0x0f, 0xff"), "an undefined opcode");
	expect_fault(SIGTRAP, SI_KERNEL, __asm__ volatile("int3"), "int3");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("int $0x81"), "int 81h");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("int $0x0e"), "int 0eh does not fake a fault");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("int $0x02"), "int 2 does not fake an NMI");
	expect_fault(SIGSEGV, SI_KERNEL, __asm__ volatile("int $0x08"), "int 8 does not fake a double fault");
	expect_fault(SIGTRAP, TRAP_TRACE, __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc"),
		     "single step");
	expect_fault(SIGFPE, FPE_FLTDIV, divide_x87(), "x87 division by zero, unmasked");
	__asm__ volatile("fninit");
}

static void check_undeliverable(void)
{
	sigset_t set;

	sigfillset(&set);
	ok(killed(in_child({
		sigprocmask(SIG_BLOCK, &set, NULL);
		sink = *(volatile char *)0;
	}), SIGSEGV), "a blocked SIGSEGV kills");
	ok(killed(in_child({
		signal(SIGSEGV, SIG_IGN);
		sink = *(volatile char *)0;
	}), SIGSEGV), "an ignored SIGSEGV kills");
	ok(killed(in_child({
		signal(SIGSEGV, SIG_DFL);
		__asm__ volatile("mov $8, %rsp; push %rax");
	}), SIGSEGV), "a push to nowhere");
	ok(killed(in_child({
		signal(SIGSEGV, (void (*)(int))0x10);
		sink = *(volatile char *)0;
	}), SIGSEGV), "a handler that does not exist");
	is(in_child({
		signal(SIGSEGV, SIG_IGN);
		raise(SIGSEGV);
		_exit(6);
	}), 6 << 8, "a sent SIGSEGV can be ignored");
}

static void check_nowhere(void)
{
	static const unsigned long places[] = {
		0x7fffffffe000ul, 0x7ffffffff000ul, 0x7ffffffffffful, 0x800000000000ul,
		0xffff7ffffffffffful, 0xffff800000000000ul, 0xfffffffffffffffful,
	};
	unsigned int i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		ok(killed(in_child({
			signal(SIGSEGV, SIG_DFL);
			((void (*)(void))places[i])();
		}), SIGSEGV), "jump to %lx", places[i]);
		ok(in_child({
			signal(SIGSEGV, SIG_DFL);
			signal(SIGBUS, SIG_DFL);
			__asm__ volatile("mov %0, %%rsp; push %%rax" :: "r"(places[i]) : "memory");
		}) != 0, "a push at %lx", places[i]);
	}
	/* A syscall with a wild stack pointer is fine; a signal for it is not. */
	is(in_child({
		__asm__ volatile("mov $0x8000000000000000, %%rsp; mov $39, %%eax; syscall;"
				 "mov $231, %%eax; mov $9, %%edi; syscall" ::: "memory");
	}), 9 << 8, "syscalls do not use the user's stack");
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	unsigned int i;

	for (i = 0; i < 5; i++)
		sigaction(sigs[i], &sa, NULL);
	check_memory();
	check_instructions();
	check_undeliverable();
	check_nowhere();
	return tap_done();
}
