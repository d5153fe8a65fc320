/* SPDX-License-Identifier: MIT */
/*
 * Vector and floating-point state.
 *
 * The kernel is built without vector registers, so user state stays in them while the kernel works.
 * It is saved when its thread is switched away from, always (lazy saving leaks between programs,
 * CVE-2018-3665), and loaded when the thread is switched to: it goes back to its program sooner or later, and so the
 * way out of the kernel has nothing to do for it. Kernel threads leave the registers alone, so a thread that blocks
 * and is the next user of that CPU again loads nothing.
 *
 * HAL_WORK_FPU clear: the registers of the CPU that the thread runs on hold its state, and memory is
 * stale; while it is switched out, memory holds it. Set: memory holds it, and the way out to user mode loads
 * it: a new thread's, or one whose area the thread itself is writing, which a switch must then leave alone. The
 * registers may still hold the state of a thread that is switched out: percpu fpu_owner == thread and thread
 * fpu_cpu == CPU. Both also say so of the thread that runs with HAL_WORK_FPU clear: whoever clears it, or loads the
 * registers, writes them (x86_fpu_own()), so that saving need not. All of this changes with interrupts off, by the thread
 * itself or by the switch on its CPU.
 *
 * Signal frames. The state goes straight into the user's frame and comes straight back from it, as one XSAVE
 * and one XRSTOR of user memory with interrupts off, so that nobody takes the registers meanwhile. A page
 * that is not there ends the attempt, and the caller goes the long way, through the thread's area.
 *
 * Format: the standard XSAVE one (SDM vol. 1 13.4), never the compacted one, because signal frames and
 * ptrace show it. XSAVEOPT where there is one; FXSAVE on CPUs without XSAVE.
 */
#include <abi/linux/sigcontext.h>
#include <hal/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "fpu.h"

/* x87, SSE, AVX, MPX (2), AVX-512 (3). PKRU comes with protection keys, AMX asks for permission first. */
#define XCR0_KNOWN	0x00000000000000ffull
_Static_assert(XCR0_KNOWN >> 32 == 0, "x86_fpu_swap() gives no more than EAX");
#define XCR0_AVX512	0x00000000000000e0ull
#define XCR0_MPX	0x0000000000000018ull
#define FXSAVE_BYTES	512
#define MXCSR_DEFAULT	0x1f80u
#define FCW_DEFAULT	0x037fu
#define MXCSR_MASK_DEFAULT 0xffbfu
#define XSAVE_ALIGN	64
#define XSTATE_HEADER	512	/* offset of the header, SDM vol. 1 13.4.2 */
#define SW_BYTES	464	/* offset of what XSAVE leaves to software, SDM vol. 1 10.5.1 */
#define LEGACY_FEATURES	3ull	/* x87 and SSE */
/* All components of XCR0_KNOWN in the standard format end before this (SDM vol. 1 13.5). */
#define INITIAL_BYTES	4096

u32 x86_fpu_bytes = FXSAVE_BYTES;
u64 x86_xcr0;
u32 x86_mxcsr_mask = MXCSR_MASK_DEFAULT;
u8 x86_xsaveopt;
u8 x86_switch_fast;
u8 x86_fpu_pointers_leak;
/* [I] What XRSTOR takes the initial state from: no component is marked as in use. */
static u8 initial[INITIAL_BYTES] __aligned(XSAVE_ALIGN);

/* The fields of the legacy area that this file sets; the rest of a fresh one is zeros. */
struct fx_area {
	u16 fcw;
	u16 reserved[11];
	u32 mxcsr;
	u32 mxcsr_mask;
	u8 rest[480];
};
_Static_assert(sizeof(struct fx_area) == FXSAVE_BYTES, "SDM vol. 1 10.5.1");

u64 x86_xgetbv0(void)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

static void xsetbv0(u64 v)
{
	__asm__ volatile("xsetbv" : : "a"((u32)v), "d"((u32)(v >> 32)), "c"(0));
}

/* A component set that the architecture allows: AVX-512 and MPX parts come together, AVX-512 with AVX. */
static u64 sane_xcr0(u64 offered)
{
	u64 v = offered & XCR0_KNOWN;

	if ((v & XCR0_AVX512) != XCR0_AVX512 || !(v & 4))
		v &= ~XCR0_AVX512;
	if ((v & XCR0_MPX) != XCR0_MPX)
		v &= ~XCR0_MPX;
	return v | 3;
}

static void read_mxcsr_mask(void)
{
	static struct fx_area probe __aligned(16);

	__asm__ volatile("fxsave64 %0" : "=m"(probe));
	if (probe.mxcsr_mask)
		x86_mxcsr_mask = probe.mxcsr_mask;
}

/* Once per CPU; the first one decides the format. */
void x86_fpu_init(void)
{
	struct fx_area *fx = (struct fx_area *)initial;
	struct x86_cpuid r;

	__asm__ volatile("fninit");
	fx->fcw = FCW_DEFAULT;
	fx->mxcsr = MXCSR_DEFAULT;
	read_mxcsr_mask();
	if (!x86_has(X86_F_XSAVE))
		return;
	r = x86_cpuid(0xd, 0);
	x86_xcr0 = sane_xcr0((u64)r.d << 32 | r.a);
	xsetbv0(x86_xcr0);
	r = x86_cpuid(0xd, 0);
	x86_fpu_bytes = r.b;
	x86_xsaveopt = x86_has(X86_F_XSAVEOPT) ? 1 : 0;
	x86_switch_fast = x86_xsaveopt & x86_fsgsbase;
}

/* The format is the first CPU's; features were compared. */
void x86_fpu_init_cpu(void)
{
	__asm__ volatile("fninit");
	if (x86_xcr0)
		xsetbv0(x86_xcr0);
}

static void save_to(void *area)
{
	u32 lo = (u32)x86_xcr0, hi = (u32)(x86_xcr0 >> 32);

	if (x86_xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
	else if (x86_xcr0)
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void area_reset(void *area)
{
	struct fx_area *fx = area;

	memset(area, 0, x86_fpu_bytes);
	fx->fcw = FCW_DEFAULT;
	fx->mxcsr = MXCSR_DEFAULT;
}

/* The registers hold t's state now, and only they. */
static void registers_are_true(struct hal_thread *t)
{
	x86_fpu_own(t);
	if (hal_work_get(t) & HAL_WORK_FPU)
		hal_work_clear(t, HAL_WORK_FPU);
}

/* Registers := memory. A damaged area cannot be: whoever writes one validates it; reset if it is. */
void x86_fpu_load(struct hal_thread *t)
{
	if (unlikely(x86_fpu_pointers_leak))
		x86_fpu_hide_pointers();
	if (!x86_fpu_try_restore(t->arch.fpu)) {
		area_reset(t->arch.fpu);
		x86_fpu_try_restore(t->arch.fpu);
	}
	registers_are_true(t);
}

/*
 * Memory := registers, of the calling thread, with nothing left out: XSAVE writes components in their
 * initial state too, XSAVEOPT leaves stale bytes there. The registers stay as they are. Interrupts off.
 */
void x86_fpu_unload(struct hal_thread *t)
{
	if (hal_work_get(t) & HAL_WORK_FPU)
		x86_fpu_load(t);
	if (x86_xcr0)
		__asm__ volatile("xsave64 (%0)" : : "r"(t->arch.fpu), "a"((u32)x86_xcr0),
				 "d"((u32)(x86_xcr0 >> 32)) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(t->arch.fpu) : "memory");
}

/* Registers := the initial state of these components (0 on a CPU without XSAVE: of all). */
static void load_initial(u64 features)
{
	if (x86_xcr0)
		__asm__ volatile("xrstor64 (%0)" : : "r"(initial), "a"((u32)features), "d"((u32)(features >> 32)) :
				 "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(initial) : "memory");
}

/* The initial state, for a new program or a signal handler. Interrupts off, own thread. */
void x86_fpu_reset(struct hal_thread *t)
{
	load_initial(x86_xcr0);
	registers_are_true(t);
}

/* The same, in memory: for whoever goes on to fill the area. Interrupts off, own thread. */
void x86_fpu_reset_area(struct hal_thread *t)
{
	area_reset(t->arch.fpu);
	if (hal_percpu()->fpu_owner == (struct thread *)t)
		hal_percpu()->fpu_owner = NULL;
	hal_work_set(t, HAL_WORK_FPU);
}

/*
 * The calling thread's state into a signal frame at fp (64-aligned), with the software bytes and the word
 * behind it as Linux makes them. XSAVE writes components in their initial state too, but of the header only the
 * component bits, so that is cleared first; x87 and SSE are marked as in use, because programs that only know the legacy
 * part change it without a look at the header. Interrupts off. -EFAULT: some page was not there.
 */
int x86_fpu_save_user(struct hal_thread *t, u64 fp)
{
	u32 bytes = x86_fpu_bytes;

	if (!x86_xcr0 || !hal_user_range_ok(uptr(fp), bytes + sizeof(u32)))
		return -EFAULT;
	if (hal_work_get(t) & HAL_WORK_FPU)
		x86_fpu_load(t);
	x86_user_open();
	x86_user_put64(fp, SW_BYTES, FP_XSTATE_MAGIC1 | (u64)(bytes + (u32)sizeof(u32)) << 32);
	x86_user_put64(fp, SW_BYTES + 8, x86_xcr0);
	x86_user_put64(fp, SW_BYTES + 16, bytes);
	x86_user_put64(fp, SW_BYTES + 24, 0);
	x86_user_put64(fp, SW_BYTES + 32, 0);
	x86_user_put64(fp, SW_BYTES + 40, 0);
	x86_user_put64(fp, XSTATE_HEADER, 0);
	x86_user_put64(fp, XSTATE_HEADER + 8, 0);
	x86_user_put64(fp, XSTATE_HEADER + 16, 0);
	x86_user_put64(fp, XSTATE_HEADER + 24, 0);
	x86_user_put64(fp, XSTATE_HEADER + 32, 0);
	x86_user_put64(fp, XSTATE_HEADER + 40, 0);
	x86_user_put64(fp, XSTATE_HEADER + 48, 0);
	x86_user_put64(fp, XSTATE_HEADER + 56, 0);
	__asm__ goto("1:	xsave64	(%0)\n" X86_EX_FAULT : : "r"(fp), "a"((u32)x86_xcr0),
		     "d"((u32)(x86_xcr0 >> 32)) : "memory" : fault);
	__asm__ goto("1:	orq	%1, %c2(%0)\n" X86_EX_FAULT : : "r"(fp), "i"(LEGACY_FEATURES),
		     "i"(XSTATE_HEADER) : "memory", "cc" : fault);
	x86_user_put32(fp + bytes, 0, FP_XSTATE_MAGIC2);
	x86_user_close();
	return 0;
fault:
	x86_user_close();
	return -EFAULT;
}

/*
 * Registers := these components of a signal frame's state, the others initial. The caller has checked that
 * the frame says it has them. XRSTOR refuses what is not valid (#GP: reserved bits, alignment) and faults on
 * what is not there: then the registers are the initial state, and -EFAULT. Interrupts off.
 */
int x86_fpu_load_user(struct hal_thread *t, u64 fp, u64 features)
{
	if (!x86_xcr0 || !hal_user_range_ok(uptr(fp), x86_fpu_bytes))
		return -EFAULT;
	if (features != x86_xcr0)
		load_initial(x86_xcr0 & ~features);
	x86_user_open();
	__asm__ goto("1:	xrstor64 (%0)\n" X86_EX_FAULT : : "r"(fp), "a"((u32)features),
		     "d"((u32)(features >> 32)) : "memory" : fault);
	x86_user_close();
	registers_are_true(t);
	return 0;
fault:
	x86_user_close();
	x86_fpu_reset(t);
	return -EFAULT;
}

/*
 * Registers := the thread's area, which somebody has filled with what a program gave. What XRSTOR refuses leaves the
 * initial state, and -EFAULT. The area is cleared: it may be in the compacted format, and XSAVE, which writes the standard
 * one, would leave the word in the header that says so. Then it is written anew at once: XSAVEOPT leaves out what has not changed
 * since XRSTOR took it from this very area (SDM vol. 1 13.6), and would leave the zeros. Interrupts off, own thread.
 */
int x86_fpu_load_area(struct hal_thread *t)
{
	bool ok = x86_fpu_try_restore(t->arch.fpu);

	area_reset(t->arch.fpu);
	if (!ok) {
		x86_fpu_reset(t);
		return -EFAULT;
	}
	registers_are_true(t);
	x86_fpu_unload(t);
	return 0;
}

/* Any two threads; x86_fpu_swap() is the same for the common case. */
void x86_fpu_switch(struct hal_thread *prev, struct hal_thread *next)
{
	struct hal_percpu *pc = hal_percpu();

	if (prev->arch.fpu && !(hal_work_get(prev) & HAL_WORK_FPU))
		save_to(prev->arch.fpu);
	/* With HAL_WORK_FPU it left while it wrote its area: it goes on, and the way out loads what it has written. */
	if (!next->arch.fpu || (hal_work_get(next) & HAL_WORK_FPU))
		return;
	if (pc->fpu_owner != (struct thread *)next || next->arch.fpu_cpu != pc->cpu)
		x86_fpu_load(next);
}

int x86_fpu_alloc(struct hal_thread *t)
{
	t->arch.fpu_alloc = upcall_alloc(x86_fpu_bytes + XSAVE_ALIGN);
	if (!t->arch.fpu_alloc)
		return -ENOMEM;
	t->arch.fpu = (void *)ALIGN_UP((u64)t->arch.fpu_alloc, (u64)XSAVE_ALIGN);
	area_reset(t->arch.fpu);
	t->arch.fpu_cpu = HAL_MAX_CPUS;
	hal_work_set(t, HAL_WORK_FPU);
	return 0;
}

/* The thread will never run again, but a CPU may still name it as owner, and its memory may be reused. */
void x86_fpu_free(struct hal_thread *t)
{
	for (u32 cpu = 0; cpu < HAL_MAX_CPUS && x86_cpus[cpu]; cpu++)
		cmpxchg(&x86_cpus[cpu]->pc.fpu_owner, (struct thread *)t, NULL);
	if (t->arch.fpu_alloc)
		upcall_free(t->arch.fpu_alloc);
	t->arch.fpu = NULL;
	t->arch.fpu_alloc = NULL;
}
