/* SPDX-License-Identifier: MIT */
/*
 * Vector and floating-point state.
 *
 * The kernel is built without vector registers, so user state stays in them while the kernel works.
 * It is saved when its thread is switched away from, always (lazy saving leaks between programs,
 * CVE-2018-3665), and loaded on the way back to user mode, where HAL_WORK_FPU says that it is not there.
 * So a thread that blocks and is the next user of that CPU again loads nothing.
 *
 * HAL_WORK_FPU clear: the registers of the CPU that the thread runs on hold its state, and memory is
 * stale. Set: memory holds it. While a thread is switched out memory always holds it; the registers may
 * hold it as well: percpu fpu_owner == thread and thread fpu_cpu == CPU. All of this changes with
 * interrupts off, by the thread itself or by the switch on its CPU.
 *
 * Format: the standard XSAVE one (SDM vol. 1 13.4), never the compacted one, because signal frames and
 * ptrace show it. XSAVEOPT where there is one; FXSAVE on CPUs without XSAVE.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include "x86.h"

/* x87, SSE, AVX, MPX (2), AVX-512 (3). PKRU comes with protection keys, AMX asks for permission first. */
#define XCR0_KNOWN	0x00000000000000ffull
#define XCR0_AVX512	0x00000000000000e0ull
#define XCR0_MPX	0x0000000000000018ull
#define FXSAVE_BYTES	512
#define MXCSR_DEFAULT	0x1f80u
#define FCW_DEFAULT	0x037fu
#define MXCSR_MASK_DEFAULT 0xffbfu
#define XSAVE_ALIGN	64

u32 x86_fpu_bytes = FXSAVE_BYTES;
u64 x86_xcr0;
u32 x86_mxcsr_mask = MXCSR_MASK_DEFAULT;
static bool have_xsaveopt;

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
	struct x86_cpuid r;

	__asm__ volatile("fninit");
	read_mxcsr_mask();
	if (!x86_has(X86_F_XSAVE))
		return;
	r = x86_cpuid(0xd, 0);
	x86_xcr0 = sane_xcr0((u64)r.d << 32 | r.a);
	xsetbv0(x86_xcr0);
	r = x86_cpuid(0xd, 0);
	x86_fpu_bytes = r.b;
	have_xsaveopt = x86_has(X86_F_XSAVEOPT);
}

static void save_to(void *area)
{
	u32 lo = (u32)x86_xcr0, hi = (u32)(x86_xcr0 >> 32);

	if (have_xsaveopt)
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

static void own(struct hal_thread *t)
{
	hal_percpu()->fpu_owner = (struct thread *)t;
	t->arch.fpu_cpu = hal_cpu_id();
}

/* Registers := memory. A damaged area cannot be: whoever writes one validates it; reset if it is. */
void x86_fpu_load(struct hal_thread *t)
{
	if (!x86_fpu_try_restore(t->arch.fpu)) {
		area_reset(t->arch.fpu);
		x86_fpu_try_restore(t->arch.fpu);
	}
	own(t);
	hal_work_clear(t, HAL_WORK_FPU);
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

/* The initial state, for a new program or a signal handler. Interrupts off, own thread. */
void x86_fpu_reset(struct hal_thread *t)
{
	area_reset(t->arch.fpu);
	if (hal_percpu()->fpu_owner == (struct thread *)t)
		hal_percpu()->fpu_owner = NULL;
	hal_work_set(t, HAL_WORK_FPU);
}

void x86_fpu_switch(struct hal_thread *prev, struct hal_thread *next)
{
	struct hal_percpu *pc = hal_percpu();

	if (prev->arch.fpu && !(hal_work_get(prev) & HAL_WORK_FPU)) {
		save_to(prev->arch.fpu);
		own(prev);
	}
	if (!next->arch.fpu)
		return;
	if (pc->fpu_owner == (struct thread *)next && next->arch.fpu_cpu == pc->cpu)
		hal_work_clear(next, HAL_WORK_FPU);
	else
		hal_work_set(next, HAL_WORK_FPU);
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
