/*
 * sigframe.c - the signal frame to the byte: struct rt_sigframe as glibc,
 * libunwind and Go know it.  Handler entry registers, ucontext, the XSAVE
 * area with its magic words, and everything restored by rt_sigreturn.
 */
#include "tap.h"

#include <cpuid.h>
#include <sys/mman.h>

/* <asm/sigcontext.h>, which cannot be included beside <signal.h>. */
#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u

/* The kernel's own layouts: the libraries' headers differ among themselves. */
struct k_stack {
	uintptr_t sp;
	int flags, pad;
	size_t size;
};

struct k_ucontext {
	unsigned long flags;
	uintptr_t link;
	struct k_stack stack;
	unsigned long r8, r9, r10, r11, r12, r13, r14, r15;
	unsigned long di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	unsigned short cs, gs, fs, ss;
	unsigned long err, trapno, oldmask, cr2;
	uint8_t *fpstate;
	unsigned long reserved[8];
	unsigned long mask;
};

_Static_assert(offsetof(struct k_ucontext, mask) == 296, "struct ucontext");

static struct {
	uintptr_t frame, restorer, uc, info, sp_in_handler;
	unsigned long rdi, flags, rax;
	struct k_ucontext copy;
	uint8_t fp[8192];
	uint32_t fp_size, magic1, magic2;
	uint64_t xfeatures;
} seen;

static void record(int sig, void *info, struct k_ucontext *uc, uintptr_t entry_sp)
{
	seen.rdi = sig;
	seen.info = (uintptr_t)info;
	seen.uc = (uintptr_t)uc;
	seen.frame = entry_sp;
	seen.restorer = *(uintptr_t *)entry_sp;
	seen.copy = *uc;
	if (uc->fpstate) {
		memcpy(&seen.magic1, uc->fpstate + 464, 4);
		memcpy(&seen.fp_size, uc->fpstate + 468, 4);
		memcpy(&seen.xfeatures, uc->fpstate + 472, 8);
		if (seen.magic1 == FP_XSTATE_MAGIC1 && seen.fp_size < sizeof(seen.fp)) {
			memcpy(&seen.magic2, uc->fpstate + seen.fp_size - 4, 4);
			memcpy(seen.fp, uc->fpstate, seen.fp_size);
		} else {
			memcpy(seen.fp, uc->fpstate, 512);
		}
	}
}

static void (*inside)(struct k_ucontext *uc);

void c_handler(int sig, void *info, struct k_ucontext *uc, uintptr_t sp, unsigned long flags,
	       unsigned long rax)
{
	record(sig, info, uc, sp);
	seen.flags = flags;
	seen.rax = rax;
	if (inside)
		inside(uc);
}

/* Takes rsp and flags before any C code can change them. */
void raw_handler(int sig, siginfo_t *info, void *uc);
__asm__(".globl raw_handler\n"
	"raw_handler:\n"
	"	mov %rsp, %rcx\n"
	"	pushfq\n"
	"	pop %r8\n"
	"	mov %rax, %r9\n"
	"	sub $8, %rsp\n"
	"	cld\n"
	"	call c_handler\n"
	"	add $8, %rsp\n"
	"	ret\n");

struct regs {
	unsigned long r[15];	/* rax rbx rcx rdx rsi rdi rbp r8 .. r15 */
};

/*
 * Loads every register from *in, runs ud2 (whose handler steps over it), and
 * stores every register to *out.
 */
void trap_with(const struct regs *in, struct regs *out);
__asm__(".globl trap_with\n"
	"trap_with:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	push %rsi\n"
	"	mov 0(%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx\n"
	"	mov 24(%rdi), %rdx; mov 32(%rdi), %rsi\n"
	"	mov 48(%rdi), %rbp; mov 56(%rdi), %r8; mov 64(%rdi), %r9\n"
	"	mov 72(%rdi), %r10; mov 80(%rdi), %r11; mov 88(%rdi), %r12\n"
	"	mov 96(%rdi), %r13; mov 104(%rdi), %r14; mov 112(%rdi), %r15\n"
	"	mov 40(%rdi), %rdi\n"
	"	.globl trap_here\n"
	"trap_here:\n"
	"	ud2\n"
	"	xchg %rdi, (%rsp)\n"
	"	mov %rax, 0(%rdi); mov %rbx, 8(%rdi); mov %rcx, 16(%rdi)\n"
	"	mov %rdx, 24(%rdi); mov %rsi, 32(%rdi)\n"
	"	mov %rbp, 48(%rdi); mov %r8, 56(%rdi); mov %r9, 64(%rdi)\n"
	"	mov %r10, 72(%rdi); mov %r11, 80(%rdi); mov %r12, 88(%rdi)\n"
	"	mov %r13, 96(%rdi); mov %r14, 104(%rdi); mov %r15, 112(%rdi)\n"
	"	pop %rsi\n"
	"	mov %rsi, 40(%rdi)\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");
extern char trap_here[];

static void skip_ud2(struct k_ucontext *uc)
{
	uc->ip += 2;
}

static void install(int sig, int flags)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | flags };

	sa.sa_sigaction = raw_handler;
	sigaction(sig, &sa, NULL);
}

static void check_entry(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	inside = NULL;
	install(SIGUSR1, 0);
	raise(SIGUSR1);
	is(seen.rdi, SIGUSR1, "rdi is the signal");
	is(seen.rax, 0, "rax is 0: no vector registers used in the call");
	is((seen.frame + 8) % 16, 0, "the stack is as after a call");
	is(seen.uc, seen.frame + 8, "the ucontext follows the return address");
	is(seen.info, seen.frame + 8 + 304, "the siginfo follows the ucontext");
	ok(seen.frame < here - 128, "the frame is below the red zone");
	is(seen.flags & 0x10500, 0, "DF, TF and RF are clear in the handler");
	is(seen.copy.link, 0, "uc_link is 0");
	ok((seen.copy.flags & 6) == 6, "uc_flags says that ss is saved and restored strictly");
	is(seen.copy.cs, 0x33, "cs");
	is(seen.copy.ss, 0x2b, "ss");
	is(seen.copy.stack.flags, SS_DISABLE, "uc_stack: no alternate stack");
	ok(seen.copy.sp > seen.frame && seen.copy.sp < here + 4096, "the interrupted rsp");
	is(seen.copy.mask, 0, "uc_sigmask is the mask before");
	is(seen.copy.fpstate && (uintptr_t)seen.copy.fpstate % 64 == 0, 1,
	   "fpstate is 64-aligned");
	is(seen.copy.reserved[0], 0, "reserved words are 0");
}

static void check_registers(void)
{
	struct regs in, out;
	unsigned int i, bad = 0;

	for (i = 0; i < 15; i++)
		in.r[i] = 0x1111111111111111ul * (i + 1) + i;
	install(SIGILL, 0);
	inside = skip_ud2;
	trap_with(&in, &out);
	for (i = 0; i < 15; i++)
		bad |= (in.r[i] != out.r[i]) << i;
	is(bad, 0, "every register survives a handler");
	is(seen.copy.ip, (uintptr_t)trap_here, "rip is at the faulting instruction");
	is(seen.copy.trapno, 6, "trapno 6");
	ok(seen.copy.ax == in.r[0] && seen.copy.bx == in.r[1] && seen.copy.cx == in.r[2] &&
	   seen.copy.dx == in.r[3] && seen.copy.si == in.r[4] && seen.copy.di == in.r[5] &&
	   seen.copy.bp == in.r[6], "ax bx cx dx si di bp in the context");
	ok(seen.copy.r8 == in.r[7] && seen.copy.r9 == in.r[8] && seen.copy.r10 == in.r[9] &&
	   seen.copy.r11 == in.r[10] && seen.copy.r12 == in.r[11] && seen.copy.r13 == in.r[12] &&
	   seen.copy.r14 == in.r[13] && seen.copy.r15 == in.r[14], "r8 to r15 in the context");
}

static void change_registers(struct k_ucontext *uc)
{
	uc->ip += 2;
	uc->bx = 0xb0b;
	uc->r15 = 0xf15;
	uc->cx = 0xc0c;
	uc->r11 = 0xb11;
	uc->ax = 0xa0a;
}

static void check_changes(void)
{
	struct regs in = { 0 }, out;

	inside = change_registers;
	trap_with(&in, &out);
	ok(out.r[1] == 0xb0b && out.r[14] == 0xf15, "changed registers are taken over");
	ok(out.r[2] == 0xc0c && out.r[10] == 0xb11 && out.r[0] == 0xa0a,
	   "rcx, r11 and rax too: sigreturn does not use sysret's clobbers");
}

static void bad_segments(struct k_ucontext *uc)
{
	uc->ip += 2;
	uc->eflags |= 0x3000;		/* IOPL 3 */
	uc->eflags &= ~0x200ul;		/* IF off */
}

static void check_flags(void)
{
	struct regs in = { 0 }, out;
	unsigned long flags;

	inside = bad_segments;
	trap_with(&in, &out);
	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	is(flags & 0x3000, 0, "sigreturn gives no IOPL");
	ok(flags & 0x200, "and interrupts stay on");
}

static void noncanonical(struct k_ucontext *uc)
{
	uc->ip = 0x800000000000ul;
}

static void kernel_ip(struct k_ucontext *uc)
{
	uc->ip = 0xffffffff81000000ul;
}

static void kernel_cs(struct k_ucontext *uc)
{
	uc->cs = 0x10;
	uc->ip += 2;
}

static void bad_fp(struct k_ucontext *uc)
{
	uc->fpstate = (void *)0x1234;
	uc->ip += 2;
}

static void reserved_mxcsr(struct k_ucontext *uc)
{
	uint32_t mxcsr = 0xffffffff;

	memcpy(uc->fpstate + 24, &mxcsr, 4);
	uc->ip += 2;
}

static void check_bad_returns(void)
{
	static const struct {
		void (*change)(struct k_ucontext *uc);
		const char *what;
	} cases[] = {
		{ noncanonical, "a non-canonical rip" },
		{ kernel_ip, "a kernel rip" },
		{ bad_fp, "a bad fpstate pointer" },
	};
	struct regs in = { 0 }, out;
	unsigned int i;
	int status;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		status = in_child({
			signal(SIGSEGV, SIG_DFL);
			inside = cases[i].change;
			trap_with(&in, &out);
		});
		ok(killed(status, SIGSEGV), "sigreturn with %s: SIGSEGV", cases[i].what);
	}
	status = in_child({
		inside = kernel_cs;
		trap_with(&in, &out);
		_exit(0);
	});
	ok(status == 0 || killed(status, SIGSEGV),
	   "sigreturn with a kernel cs: no privilege (cs is forced or SIGSEGV)");
	status = in_child({
		inside = reserved_mxcsr;
		trap_with(&in, &out);
		_exit(0);
	});
	ok(status == 0 || killed(status, SIGSEGV), "sigreturn with reserved MXCSR bits: no crash");
	/* rsp pointing nowhere: rt_sigreturn itself faults. */
	status = in_child({
		__asm__ volatile("mov $16, %%rsp; mov $15, %%eax; syscall" ::: "memory");
	});
	ok(killed(status, SIGSEGV), "rt_sigreturn with a bad stack: SIGSEGV");
}

static unsigned int has_avx(void)
{
	unsigned int a, b, c, d;

	__cpuid(1, a, b, c, d);
	return (c >> 27 & 1) && (c >> 28 & 1);
}

static void clobber_fp(struct k_ucontext *uc)
{
	uint32_t mxcsr = 0x1f80;
	uint16_t cw = 0x37f;

	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm15, %%xmm15;"
			 "fninit; fldpi" ::: "xmm0", "xmm1", "xmm15");
	if (has_avx())
		__asm__ volatile("vzeroall" ::: "xmm0", "xmm1", "xmm15");
	__asm__ volatile("ldmxcsr %0; fldcw %1" :: "m"(mxcsr), "m"(cw));
	uc->ip += 2;
}

static void check_fp(void)
{
	static uint8_t in[64] __attribute__((aligned(32))), out[64] __attribute__((aligned(32)));
	uint32_t mxcsr_in = 0x3f80, mxcsr_out = 0;
	uint16_t cw_in = 0x27f, cw_out = 0;
	double st_in = 1234.5, st_out = 0;
	unsigned int i;

	for (i = 0; i < 64; i++)
		in[i] = i + 1;
	inside = clobber_fp;
	__asm__ volatile("ldmxcsr %0; fldcw %1" :: "m"(mxcsr_in), "m"(cw_in));
	__asm__ volatile("movdqa (%2), %%xmm1; movdqa 32(%2), %%xmm15; fldl %4;"
			 "ud2;"
			 "movdqa %%xmm1, (%3); movdqa %%xmm15, 32(%3); fstpl %1"
			 : "=m"(out), "=m"(st_out) : "r"(in), "r"(out), "m"(st_in)
			 : "xmm1", "xmm15", "memory");
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr_out), "=m"(cw_out));
	ok(!memcmp(in, out, 16) && !memcmp(in + 32, out + 32, 16), "xmm1 and xmm15 survive");
	ok(st_out == st_in, "the x87 stack survives");
	is(mxcsr_out & 0xffc0, mxcsr_in, "mxcsr survives");
	is(cw_out, cw_in, "the x87 control word survives");
	mxcsr_in = 0x1f80;
	cw_in = 0x37f;
	__asm__ volatile("ldmxcsr %0; fldcw %1" :: "m"(mxcsr_in), "m"(cw_in));
	ok(!memcmp(seen.fp + 160 + 16, in, 16), "xmm1 is at 176 of fpstate");
	ok(!memcmp(seen.fp + 160 + 15 * 16, in + 32, 16), "xmm15 is at 400");
	is(*(uint16_t *)seen.fp, 0x27f, "the control word is at 0");
	is(*(uint32_t *)(seen.fp + 24) & 0xffc0, 0x3f80, "mxcsr is at 24");
}

static void check_xsave(void)
{
	static uint8_t in[32] __attribute__((aligned(32))), out[32] __attribute__((aligned(32)));
	unsigned int i;

	if (!has_avx()) {
		ok(true, "without AVX: nothing to see");
		return;
	}
	for (i = 0; i < 32; i++)
		in[i] = 0xa0 + i;
	inside = clobber_fp;
	__asm__ volatile("vmovdqa (%1), %%ymm7; ud2; vmovdqa %%ymm7, (%2)"
			 : "=m"(out) : "r"(in), "r"(out) : "xmm7", "memory");
	ok(!memcmp(in, out, 32), "ymm7 survives with its upper half");
	is(seen.magic1, FP_XSTATE_MAGIC1, "FP_XSTATE_MAGIC1 at 464");
	is(seen.magic2, FP_XSTATE_MAGIC2, "FP_XSTATE_MAGIC2 at the end");
	ok((seen.xfeatures & 7) == 7, "xfeatures: x87, SSE, AVX");
	ok(!memcmp(seen.fp + 576 + 7 * 16, in + 16, 16), "the upper half of ymm7 is at 576 + 7 * 16");
}

static void change_xmm(struct k_ucontext *uc)
{
	memset(uc->fpstate + 160 + 16 * 3, 0x5a, 16);
	uc->ip += 2;
}

static void check_fp_change(void)
{
	static uint8_t out[16] __attribute__((aligned(16)));

	inside = change_xmm;
	__asm__ volatile("pxor %%xmm3, %%xmm3; ud2; movdqa %%xmm3, (%1)"
			 : "=m"(out) : "r"(out) : "xmm3", "memory");
	ok(out[0] == 0x5a && out[15] == 0x5a, "a changed xmm3 in the frame is taken over");
}

/* A frame without fpstate: the program starts over with a fresh unit. */
static void no_fp(struct k_ucontext *uc)
{
	uc->fpstate = NULL;
	uc->ip += 2;
}

static void check_no_fp(void)
{
	static uint8_t out[16] __attribute__((aligned(16)));
	uint16_t cw = 0x27f;

	inside = no_fp;
	__asm__ volatile("fldcw %2; pcmpeqd %%xmm3, %%xmm3; ud2; movdqa %%xmm3, (%1)"
			 : "=m"(out) : "r"(out), "m"(cw) : "xmm3", "memory");
	__asm__ volatile("fnstcw %0" : "=m"(cw));
	is(out[0], 0, "fpstate NULL clears the vector registers");
	is(cw, 0x37f, "and resets the control word");
}

/*
 * The state elsewhere: on shared pages of a file that MADV_DONTNEED takes out of the page tables but not out of the file, so
 * that rt_sigreturn must bring them in half-way.
 */
static uint8_t *away;
static bool absent, compacted;

static void state_away(struct k_ucontext *uc)
{
	uint64_t format = 1ull << 63 | 7;

	memcpy(away, uc->fpstate, seen.fp_size);
	memset(away + 160 + 16 * 3, 0x77, 16);
	if (compacted)
		memcpy(away + 520, &format, 8);
	if (absent)
		madvise(away, 8192, MADV_DONTNEED);
	uc->fpstate = away;
	uc->ip += 2;
}

/* 1: taken over; 0: not; else how the child died. */
static int taken(void)
{
	int status = in_child({
		static uint8_t out[16] __attribute__((aligned(16)));

		signal(SIGSEGV, SIG_DFL);
		inside = state_away;
		__asm__ volatile("pxor %%xmm3, %%xmm3; ud2; movdqa %%xmm3, (%1)"
				 : "=m"(out) : "r"(out) : "xmm3", "memory");
		_exit(out[0] == 0x77 && out[15] == 0x77);
	});

	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void check_away(void)
{
	int fd = memfd_create("state", 0), present;

	if (ftruncate(fd, 8192))
		return;
	away = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	is(taken(), 1, "state elsewhere is taken over");
	absent = true;
	is(taken(), 1, "also from pages that are not there");
	if (!has_avx()) {
		ok(true, "without AVX: no other format");
		return;
	}
	/* XSAVEC's format: taken where the CPU knows it, refused else; whether the pages are there makes no difference. */
	compacted = true;
	absent = false;
	present = taken();
	absent = true;
	ok((present == 1 || present == 1000 + SIGSEGV) && taken() == present,
	   "the compacted format is judged alike on pages that are there and that are not");
	munmap(away, 8192);
	close(fd);
}

static void check_mask(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	inside = NULL;
	raise(SIGUSR1);
	is(seen.copy.mask, 1, "uc_sigmask has the old mask");
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void new_mask(struct k_ucontext *uc)
{
	uc->mask = 1ul << (SIGWINCH - 1) | 1ul << (SIGKILL - 1);
}

static void check_new_mask(void)
{
	sigset_t set;

	inside = new_mask;
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, NULL, &set);
	ok(sigismember(&set, SIGWINCH), "a changed uc_sigmask is taken over");
	ok(!sigismember(&set, SIGKILL), "but never blocks SIGKILL");
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void check_altstack(void)
{
	size_t size = 64 << 10;
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = { .ss_sp = area, .ss_size = size };

	sigaltstack(&ss, NULL);
	install(SIGUSR1, SA_ONSTACK);
	inside = NULL;
	raise(SIGUSR1);
	is(seen.copy.stack.sp, (uintptr_t)area, "uc_stack names the alternate stack");
	is(seen.copy.stack.size, size, "and its size");
	is(seen.copy.stack.flags, 0, "and that it was not in use");
	ok(seen.frame > (uintptr_t)area && seen.frame < (uintptr_t)area + size, "it is used");
}

/*
 * The vector state goes to pages that nobody has touched: wherever the top of the stack lies in its page, so that
 * the state is on the frame's page, on the one above, or across both.
 */
static void check_fresh_pages(void)
{
	static uint8_t in[32] __attribute__((aligned(32))), out[32] __attribute__((aligned(32)));
	size_t size = 64 << 10, page = 4096, top;
	unsigned int bad = 0, magic = 0, i;

	for (i = 0; i < 32; i++)
		in[i] = 0x30 + i;
	install(SIGILL, SA_ONSTACK);
	inside = clobber_fp;
	for (top = 64; top <= page; top += 64) {
		char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		stack_t ss = { .ss_sp = area, .ss_size = size - page + top };

		sigaltstack(&ss, NULL);
		memset(out, 0, sizeof(out));
		__asm__ volatile("movdqa (%1), %%xmm2; movdqa 16(%1), %%xmm14; ud2; movdqa %%xmm2, (%2); movdqa %%xmm14, 16(%2)"
				 : "=m"(out) : "r"(in), "r"(out) : "xmm2", "xmm14", "memory");
		bad += memcmp(in, out, sizeof(in)) != 0 || memcmp(seen.fp + 160 + 32, in, 16) != 0;
		magic += seen.magic1 == FP_XSTATE_MAGIC1 && seen.magic2 == FP_XSTATE_MAGIC2;
		ss.ss_flags = SS_DISABLE;
		sigaltstack(&ss, NULL);
		munmap(area, size);
	}
	is(bad, 0, "frames on fresh pages keep the vector registers");
	ok(magic == 64 || !has_avx(), "and are whole");
	install(SIGILL, 0);
}

static uint8_t *moved_to;

static void move_fp(struct k_ucontext *uc)
{
	memcpy(moved_to, uc->fpstate, 576);
	uc->fpstate = moved_to;
	uc->ip += 2;
}

/* The state somewhere else: where it is not aligned, and where it ends at a page that is not there. */
static void check_moved_fp(void)
{
	char *area = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	mprotect(area + 8192, 4096, PROT_NONE);
	inside = move_fp;
	moved_to = (uint8_t *)area + 8;
	status = in_child({
		signal(SIGSEGV, SIG_DFL);
		__asm__ volatile("ud2");
		_exit(0);
	});
	ok(killed(status, SIGSEGV), "sigreturn with vector state that is not aligned: SIGSEGV");
	moved_to = (uint8_t *)area + 8192 - 576;
	status = in_child({
		signal(SIGSEGV, SIG_DFL);
		__asm__ volatile("ud2");
		_exit(0);
	});
	ok(killed(status, SIGSEGV) || !has_avx(), "with a part of it that is not there: SIGSEGV");
	munmap(area, 3 * 4096);
}

int main(void)
{
	check_entry();
	check_registers();
	check_changes();
	check_flags();
	check_bad_returns();
	check_fp();
	check_xsave();
	check_fp_change();
	check_no_fp();
	check_away();
	check_mask();
	check_new_mask();
	check_altstack();
	check_fresh_pages();
	check_moved_fp();
	return tap_done();
}
