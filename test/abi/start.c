/*
 * start.c - what a new program finds: registers, the initial stack, the
 * auxiliary vector, and where the kernel put things (execve(2), getauxval(3)).
 */
#include "tap.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

extern char **environ;

static unsigned long *auxv;
static char **g_argv;

static bool have(unsigned long type, unsigned long *value)
{
	unsigned long *p;

	for (p = auxv; p[0] != AT_NULL; p += 2) {
		if (p[0] == type) {
			*value = p[1];
			return true;
		}
	}
	return false;
}

static void check_layout(int argc, char **argv)
{
	unsigned long *sp = (unsigned long *)argv - 1;
	char **env = argv + argc + 1, *expect;
	int n;

	is(*sp, argc, "argc stands below argv");
	is((uintptr_t)sp % 16, 0, "the stack pointer is 16-aligned at entry");
	ok(argv[argc] == NULL, "argv ends in NULL");
	ok(env == environ, "envp follows argv");
	for (n = 0; env[n]; n++)
		;
	auxv = (unsigned long *)(env + n + 1);
	ok(have(AT_PAGESZ, &(unsigned long){ 0 }), "the auxiliary vector follows envp");
	ok((char *)auxv < argv[0], "strings lie above the auxiliary vector");
	/* Strings are contiguous: argv[0] .. argv[n-1], envp[0] .., file name. */
	expect = argv[0];
	for (n = 0; n < argc; n++) {
		if (argv[n] != expect)
			break;
		expect += strlen(expect) + 1;
	}
	is(n, argc, "argument strings are contiguous");
	for (n = 0; env[n]; n++) {
		if (env[n] != expect)
			break;
		expect += strlen(expect) + 1;
	}
	ok(env[n] == NULL, "environment strings follow the arguments");
	ok((uintptr_t)argv[0] < 0x7ffffffff000ul, "strings lie in user space");
	ok(((uintptr_t)expect & ~4095ul) >= ((uintptr_t)argv[0] & ~4095ul), "strings ascend");
}

static void check_numbers(void)
{
	unsigned long v;

	ok(have(AT_PAGESZ, &v) && v == 4096, "AT_PAGESZ is 4096");
	ok(have(AT_CLKTCK, &v) && v == 100, "AT_CLKTCK is 100");
	ok(have(AT_UID, &v) && v == getuid(), "AT_UID");
	ok(have(AT_EUID, &v) && v == geteuid(), "AT_EUID");
	ok(have(AT_GID, &v) && v == getgid(), "AT_GID");
	ok(have(AT_EGID, &v) && v == getegid(), "AT_EGID");
	ok(have(AT_SECURE, &v) && v == 0, "AT_SECURE is 0");
	ok(have(AT_FLAGS, &v) && v == 0, "AT_FLAGS is 0");
	ok(have(AT_BASE, &v) && v == 0, "AT_BASE is 0 without an interpreter");
	ok(have(AT_PHENT, &v) && v == sizeof(Elf64_Phdr), "AT_PHENT");
	ok(have(AT_HWCAP, &v) && (v & 1) && (v >> 25 & 3) == 3,
	   "AT_HWCAP is CPUID 1 EDX: FPU, SSE, SSE2");
	ok(have(AT_HWCAP2, &v), "AT_HWCAP2 is there");
	ok(have(AT_MINSIGSTKSZ, &v) && v >= 1000 && v < 65536,
	   "AT_MINSIGSTKSZ is plausible");
}

static void check_pointers(void)
{
	unsigned long v, phdr, phnum, entry;
	const Elf64_Phdr *ph;
	unsigned int i;
	bool inside = false;

	ok(have(AT_EXECFN, &v) && !strcmp((char *)v, g_argv[0]), "AT_EXECFN is the path");
	ok(have(AT_PLATFORM, &v) && !strcmp((char *)v, "x86_64"), "AT_PLATFORM is x86_64");
	if (!ok(have(AT_RANDOM, &v) && v, "AT_RANDOM is there"))
		return;
	for (i = 1; i < 16; i++)
		if (((char *)v)[i] != ((char *)v)[0])
			inside = true;
	ok(inside, "AT_RANDOM's 16 bytes are not all alike");
	ok(have(AT_PHDR, &phdr) && have(AT_PHNUM, &phnum), "AT_PHDR and AT_PHNUM");
	have(AT_ENTRY, &entry);
	ph = (const Elf64_Phdr *)phdr;
	inside = false;
	for (i = 0; i < phnum; i++)
		if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_X) &&
		    entry >= ph[i].p_vaddr && entry < ph[i].p_vaddr + ph[i].p_memsz)
			inside = true;
	ok(inside, "AT_ENTRY lies in an executable segment of AT_PHDR's table");
}

static int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

static void check_state(void)
{
	char name[17] = "";
	sigset_t mask;
	uintptr_t brk0;
	stack_t ss;
	int local;

	is(count_fds(), 3, "descriptors 0, 1 and 2 and no others");
	sigprocmask(SIG_BLOCK, NULL, &mask);
	ok(!sigismember(&mask, SIGINT) && !sigismember(&mask, SIGCHLD),
	   "no signal is blocked");
	is(prctl(PR_GET_NAME, name), 0, "PR_GET_NAME");
	is_str(name, "start", "the thread's name is the file's base name");
	brk0 = syscall(SYS_brk, 0);
	ok(brk0 != 0, "there is a break");
	is(syscall(SYS_brk, brk0 + 8192), brk0 + 8192, "the break can be moved up");
	memset((char *)brk0, 0x55, 8192);
	is(syscall(SYS_brk, brk0), brk0, "and down again");
	ok((uintptr_t)&local > 0x7f0000000000ul, "the stack is at the top of user space");
	is(sigaltstack(NULL, &ss), 0, "sigaltstack can be asked");
	is(ss.ss_flags, SS_DISABLE, "there is no alternate stack after exec");
	is(getpid(), syscall(SYS_gettid), "the first thread's id is the process's");
}

/* Registers at entry: exec clears them all (ELF psABI leaves only rdx, rsp). */
extern unsigned long entry_flags;
static void check_flags(void)
{
	unsigned long flags;
	unsigned short cs, ss, ds, es, fs, gs, fcw;
	unsigned int mxcsr;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	is(flags & 0x3fd000 & ~0x200000ul, 0, "NT, IOPL, AC, VM are clear");
	ok(flags & 0x200, "interrupts are on");
	__asm__ volatile("mov %%cs,%0; mov %%ss,%1; mov %%ds,%2" : "=r"(cs), "=r"(ss), "=r"(ds));
	__asm__ volatile("mov %%es,%0; mov %%fs,%1; mov %%gs,%2" : "=r"(es), "=r"(fs), "=r"(gs));
	is(cs, 0x33, "cs is 33h");
	is(ss, 0x2b, "ss is 2bh");
	is(ds | es | fs | gs, 0, "ds, es, fs and gs are null");
	__asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(fcw), "=m"(mxcsr));
	is(fcw, 0x37f, "the x87 control word is 37fh");
	is(mxcsr & 0xffc0, 0x1f80, "mxcsr is 1f80h");
}

static void check_stack_growth(void)
{
	size_t size = 1 << 20;
	volatile char *deep = __builtin_alloca(size);
	size_t i;

	for (i = size; i > 0; i -= 4096)
		deep[i - 1] = 1;
	ok(deep[4095] == 1, "the stack grows by 1 MiB on touch");
}

int main(int argc, char **argv)
{
	g_argv = argv;
	check_layout(argc, argv);
	check_numbers();
	check_pointers();
	check_state();
	check_flags();
	check_stack_growth();
	ok(in_child({
		volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		_exit(p[17]);
	}) == 0, "anonymous memory reads as zero");
	return tap_done();
}
