/* SPDX-License-Identifier: MIT */
/*
 * Threads: their first stack, the switch, TLS, entering user mode.
 *
 * What belongs to a thread and where it is: general registers are on its kernel stack; vector state is
 * in the CPU or in memory (fpu.c); FS and GS bases and the data selectors are in the CPU while the
 * thread runs, in arch_thread while it does not. With FSGSBASE a program changes its bases without
 * asking, so the CPU's values are the true ones. Kernel threads have none of that and leave the last
 * user's in place: a switch to a kernel thread and back costs nothing.
 */
#include <hal/clock.h>
#include <hal/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "fpu.h"
#include "mitigate.h"

#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004
#define ARCH_GET_CPUID	0x1011
#define ARCH_SET_CPUID	0x1012
#define ARCH_GET_XCOMP_SUPP	0x1021
#define ARCH_GET_XCOMP_PERM	0x1022
#define ARCH_REQ_XCOMP_PERM	0x1023

/* ---- segment bases ---- */

static u64 read_fs_base(void)
{
	u64 v;

	if (!x86_fsgsbase)
		return x86_rdmsr(X86_MSR_FS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static void write_fs_base(u64 v)
{
	if (x86_fsgsbase)
		__asm__ volatile("wrfsbase %0" : : "r"(v) : "memory");
	else
		x86_wrmsr(X86_MSR_FS_BASE, v);
}

/*
 * The user's GS base waits in KERNEL_GS_BASE. Between the two SWAPGS nothing may come but an IST trap: interrupts
 * are off in the functions that say so.
 */
static inline u64 read_user_gs_base_irqsoff(void)
{
	u64 v;

	if (!x86_fsgsbase)
		return x86_rdmsr(X86_MSR_KERNEL_GS_BASE);
	__asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(v) : : "memory");
	return v;
}

static inline void write_user_gs_base_irqsoff(u64 v)
{
	if (!x86_fsgsbase)
		x86_wrmsr(X86_MSR_KERNEL_GS_BASE, v);
	else
		__asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(v) : "memory");
}

static u64 read_user_gs_base(void)
{
	irqflags_t f = hal_irq_save();
	u64 v = read_user_gs_base_irqsoff();

	hal_irq_restore(f);
	return v;
}

static void write_user_gs_base(u64 v)
{
	irqflags_t f = hal_irq_save();

	write_user_gs_base_irqsoff(v);
	hal_irq_restore(f);
}

static __always_inline void save_selectors(struct arch_thread *a)
{
	__asm__ volatile("movw %%fs, %0" : "=m"(a->fs_sel));
	__asm__ volatile("movw %%gs, %0" : "=m"(a->gs_sel));
	__asm__ volatile("movw %%ds, %0" : "=m"(a->ds_sel));
	__asm__ volatile("movw %%es, %0" : "=m"(a->es_sel));
}

/* Interrupts off. */
static inline void save_segments(struct arch_thread *a)
{
	save_selectors(a);
	a->fs_base = read_fs_base();
	a->gs_base = read_user_gs_base_irqsoff();
}

/* Interrupts off: MOV GS clears the kernel's base between the two SWAPGS. */
static void load_selectors(const struct arch_thread *a)
{
	__asm__ volatile("movw %0, %%ds" : : "m"(a->ds_sel));
	__asm__ volatile("movw %0, %%es" : : "m"(a->es_sel));
	__asm__ volatile("movw %0, %%fs" : : "m"(a->fs_sel));
	__asm__ volatile("swapgs; movw %0, %%gs; swapgs" : : "m"(a->gs_sel) : "memory");
}

/* The four of them are one word: whether one is not null is one test. */
_Static_assert(offsetof(struct arch_thread, es_sel) == offsetof(struct arch_thread, fs_sel) + 6 &&
	       offsetof(struct arch_thread, fs_sel) % sizeof(u64) == 0, "fs, gs, ds, es");

static inline u64 selectors(const struct arch_thread *a)
{
	u64 v;

	__builtin_memcpy(&v, &a->fs_sel, sizeof(v));
	return v;
}

/* A selector that is not null is rare; only then, or where the last user left one, the slow loads are needed. */
static inline void load_segments(const struct arch_thread *a, u64 left)
{
	if (unlikely(left | selectors(a)))
		load_selectors(a);
	write_fs_base(a->fs_base);
	write_user_gs_base_irqsoff(a->gs_base);
}

/* Both bases of prev for those of next: FSGSBASE, interrupts off. One pair of SWAPGS does for reading and writing. */
static __always_inline void swap_bases(struct arch_thread *prev, const struct arch_thread *next)
{
	u64 fs, gs;

	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	__asm__ volatile("wrfsbase %0" : : "r"(next->fs_base) : "memory");
	__asm__ volatile("swapgs; rdgsbase %0; wrgsbase %1; swapgs" : "=&r"(gs) : "r"(next->gs_base) : "memory");
	prev->fs_base = fs;
	prev->gs_base = gs;
}

/* ---- creation ---- */

static u64 new_canary(void)
{
	u64 v = hal_percpu()->stack_canary;

	/*
	 * Mixed by a multiplication from the boot seed and the time: not a secret for ever, but another
	 * one for each thread. The low byte stays 0, to stop string functions.
	 */
	v = (v ^ x86_rdtsc()) * 0x9e3779b97f4a7c15ull;
	v ^= v >> 29;
	return v & ~0xffull;
}

/* What x86_switch() pops, lowest address first. */
struct switch_frame {
	u64 r15, r14, r13, r12, rbx, rbp, ret;
};

static void common_init(struct hal_thread *t, vaddr_t stack_base, size_t stack_size)
{
	memset(t, 0, sizeof(*t));
	t->stack_base = stack_base;
	t->stack_size = stack_size;
	t->canary = new_canary();
}

void hal_thread_init_kernel(struct hal_thread *t, vaddr_t stack_base, size_t stack_size,
			    void (*entry)(void *arg), void *arg)
{
	struct switch_frame *f;
	u64 *top;

	common_init(t, stack_base, stack_size);
	/*
	 * The frame at the top stays free, for a kernel thread that becomes PID 1. Zeros below it end a
	 * backtrace; after RET the stack is aligned for a CALL.
	 */
	top = (u64 *)hal_thread_regs(t) - 3;
	top[0] = top[1] = top[2] = 0;
	f = (struct switch_frame *)top - 1;
	*f = (struct switch_frame){
		.rbx = (u64)entry, .r12 = (u64)arg, .ret = (u64)x86_thread_kernel_start,
	};
	t->sp = (u64)f;
}

int hal_thread_init_user_copy(struct hal_thread *child, vaddr_t stack_base, size_t stack_size,
			      const struct hal_regs *regs)
{
	struct hal_thread *self = (struct hal_thread *)hal_current();
	struct hal_regs *copy;
	struct switch_frame *f;
	irqflags_t flags;
	int err;

	common_init(child, stack_base, stack_size);
	err = x86_fpu_alloc(child);
	if (err)
		return err;

	flags = hal_irq_save();
	save_segments(&child->arch);
	x86_fpu_unload(self);
	memcpy(child->arch.fpu, self->arch.fpu, x86_fpu_bytes);
	hal_irq_restore(flags);
	child->work = HAL_WORK_FPU;
	child->arch.spec = self->arch.spec;

	copy = hal_thread_regs(child);
	*copy = *regs;
	copy->rax = 0;
	/* Below the frame: one word that keeps the alignment, then what the switch pops. */
	((u64 *)copy)[-1] = 0;
	f = (struct switch_frame *)((u64 *)copy - 1) - 1;
	*f = (struct switch_frame){ .ret = (u64)x86_thread_user_start };
	child->sp = (u64)f;
	return 0;
}

int hal_thread_make_user(struct hal_thread *t)
{
	return t->arch.fpu ? 0 : x86_fpu_alloc(t);
}

void hal_thread_exec_reset(struct hal_thread *t)
{
	irqflags_t f = hal_irq_save();

	memset(&t->arch.fs_base, 0, offsetof(struct arch_thread, fpu_cpu));
	load_selectors(&t->arch);
	write_fs_base(0);
	write_user_gs_base(0);
	x86_fpu_reset(t);
	x86_spec_exec(t);
	hal_work_set(t, HAL_WORK_FRAME);
	hal_irq_restore(f);
}

void hal_thread_fini(struct hal_thread *t)
{
	x86_fpu_free(t);
}

void hal_regs_init_user(struct hal_regs *regs, u64 ip, u64 sp)
{
	memset(regs, 0, sizeof(*regs));
	regs->rip = ip;
	regs->rsp = sp;
	regs->cs = X86_USER_CS;
	regs->ss = X86_USER_SS;
	regs->rflags = X86_RFLAGS_IF | X86_RFLAGS_FIX;
	regs->orig_rax = ~0ull;
}

__noreturn void hal_enter_user(void)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();

	x86_enter_user(hal_thread_regs(t));
}

/* ---- the switch ---- */

/* What the last user thread of this CPU left in the selectors, when prev was a kernel thread. */
static noinline u64 selectors_left(void)
{
	struct arch_thread now;

	save_selectors(&now);
	return selectors(&now);
}

/* Any two threads on any CPU. */
static noinline struct thread *switch_any(struct thread *prev, struct thread *next)
{
	struct hal_thread *p = (struct hal_thread *)prev, *n = (struct hal_thread *)next;

	if (p->arch.fpu)
		save_segments(&p->arch);
	x86_fpu_switch(p, n);
	if (n->arch.fpu)
		load_segments(&n->arch, p->arch.fpu ? selectors(&p->arch) : selectors_left());
	if (unlikely(x86_spec_switch))
		x86_spec_switch_to(n);
	return x86_switch(prev, next);
}

static noinline struct thread *switch_spec(struct thread *prev, struct thread *next)
{
	x86_spec_switch_to((struct hal_thread *)next);
	return x86_switch(prev, next);
}

/* Everything else is done; x86_fpu_load() knows what to do with an area that the CPU refuses. */
static noinline struct thread *switch_damaged(struct thread *prev, struct thread *next)
{
	x86_fpu_load((struct hal_thread *)next);
	return x86_spec_switch ? switch_spec(prev, next) : x86_switch(prev, next);
}

/*
 * Between two threads that have user state, on a CPU with FSGSBASE and XSAVEOPT (x86_switch_fast), there is nothing to decide: the bases
 * and the vector state of one go, those of the other come. Whatever is not so is seen before anything has changed, and
 * goes the way that decides each step. Each call is the last thing done, so that this function needs no stack: what C
 * keeps over calls is saved once, by x86_switch().
 */
struct thread *hal_switch(struct thread *prev, struct thread *next)
{
	struct hal_thread *p = (struct hal_thread *)prev, *n = (struct hal_thread *)next;

	if (unlikely(!p->arch.fpu || !n->arch.fpu || !x86_switch_fast))
		return switch_any(prev, next);
	if (unlikely((hal_work_get(p) | hal_work_get(n)) & HAL_WORK_FPU))
		return switch_any(prev, next);
	save_selectors(&p->arch);
	if (unlikely(selectors(&p->arch) | selectors(&n->arch)))
		return switch_any(prev, next);
	swap_bases(&p->arch, &n->arch);
	if (unlikely(!x86_fpu_swap(p, n)))
		return switch_damaged(prev, next);
	if (unlikely(x86_spec_switch))
		return switch_spec(prev, next);
	return x86_switch(prev, next);
}

/* ---- TLS and arch_prctl(2) ---- */

int hal_thread_set_tls(struct hal_thread *t, u64 base)
{
	irqflags_t f;
	u16 zero = 0;

	if (base >= HAL_USER_END)
		return -EPERM;
	f = hal_irq_save();
	t->arch.fs_base = base;
	t->arch.fs_sel = 0;
	if (t == (struct hal_thread *)hal_current()) {
		__asm__ volatile("movw %0, %%fs" : : "m"(zero));
		write_fs_base(base);
	}
	hal_irq_restore(f);
	return 0;
}

static int set_own_gs(u64 base)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	irqflags_t f;
	u16 zero = 0;

	if (base >= HAL_USER_END)
		return -EPERM;
	f = hal_irq_save();
	t->arch.gs_base = base;
	t->arch.gs_sel = 0;
	__asm__ volatile("swapgs; movw %0, %%gs; swapgs" : : "m"(zero) : "memory");
	write_user_gs_base(base);
	hal_irq_restore(f);
	return 0;
}

/* Linux 6.1's set: the vDSO remapping codes need CHECKPOINT_RESTORE, CET came later. */
long hal_arch_prctl(u64 code, u64 addr)
{
	u64 supported;

	switch (code) {
	case ARCH_SET_FS:
		return hal_thread_set_tls((struct hal_thread *)hal_current(), addr);
	case ARCH_SET_GS:
		return set_own_gs(addr);
	case ARCH_GET_FS:
		return hal_user_store_u64(uptr(addr), read_fs_base());
	case ARCH_GET_GS:
		return hal_user_store_u64(uptr(addr), read_user_gs_base());
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;		/* no CPUID faulting */
	case ARCH_GET_XCOMP_SUPP:
	case ARCH_GET_XCOMP_PERM:
		supported = x86_xcr0 ? x86_xcr0 : 3;
		return hal_user_store_u64(uptr(addr), supported);
	case ARCH_REQ_XCOMP_PERM:
		return addr >= 64 ? -EINVAL : -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}
