/* SPDX-License-Identifier: MIT */
/*
 * What happens after entry.asm has saved the registers: who gets which trap, and the exit-work loop.
 *
 * From user mode, a trap becomes one upcall with interrupts on, and the thread then leaves through the
 * exit-work loop. From kernel mode there are three good reasons for a trap: an interrupt, a page fault on
 * a user address by an instruction that is in .ex_table, and a #GP of such an instruction. Everything
 * else is a bug and goes to upcall_kernel_trap(), which does not return.
 *
 * A page fault in the kernel is brought in only where the thread may sleep: not under
 * hal_pagefault_disable(), not with preemption off, not with interrupts off. The access then fails, and
 * whoever made it in such a place drops its locks and asks again (docs/memory.md).
 */
#include <hal/backtrace.h>
#include "efi_glue.h"
#include "x86.h"

struct x86_extable_entry {
	s32 insn;	/* from this field to the instruction */
	s32 fixup;	/* from this field to where it goes on */
};
extern const struct x86_extable_entry __ex_table_start[], __ex_table_end[];

/* #PF's error code (SDM vol. 3A 4.7) is the contract's access mask but for bit 5 and above. */
_Static_assert(HAL_FAULT_PRESENT == 1 && HAL_FAULT_WRITE == 2 && HAL_FAULT_USER == 4 &&
	       HAL_FAULT_RESERVED == 8 && HAL_FAULT_EXEC == 16, "error code");
#define PF_ACCESS_MASK 0x1f

#define NMI_REASON_PORT		0x61
#define NMI_REASON_ERROR	0xc0	/* SERR, I/O channel check */

static const char *const trap_names[] = {
	"divide error", "debug", "non-maskable interrupt", "breakpoint", "overflow", "bound range exceeded",
	"invalid opcode", "device not available", "double fault", "coprocessor overrun", "invalid TSS",
	"segment not present", "stack segment fault", "general protection fault", "page fault", "reserved trap",
	"x87 floating-point error", "alignment check", "machine check", "SIMD floating-point error",
	"virtualization exception", "control protection",
};

const char *hal_trap_name(u32 vector)
{
	return vector < ARRAY_SIZE(trap_names) ? trap_names[vector] : "unexpected interrupt";
}

/* Few entries, all hit rarely: a walk is enough. 0: this instruction may not fault. */
u64 x86_extable_find(u64 ip)
{
	const struct x86_extable_entry *e;

	for (e = __ex_table_start; e < __ex_table_end; e++)
		if ((u64)&e->insn + (s64)e->insn == ip)
			return (u64)&e->fixup + (s64)e->fixup;
	return 0;
}

/* May this kernel code sleep for a page? The boot code, without a thread, may not. */
static bool may_fault_in(const struct hal_regs *regs)
{
	const struct hal_thread *t = (const struct hal_thread *)hal_current();

	return t && !t->nofault && hal_preempt_count() == 0 && hal_regs_irqs_on(regs);
}

static void kernel_page_fault(struct hal_regs *regs, u64 addr, u64 error)
{
	u64 fixup = x86_extable_find(regs->rip);
	bool resolved;

	if (!fixup) {
#if HALCYON_KASAN
		if (x86_shadow_spurious(addr))
			return;
#endif
		if (x86_efi_trap(regs, X86_VEC_PF, addr))
			return;
		upcall_kernel_trap(regs, X86_VEC_PF, error, addr);
	}
	if (addr < HAL_USER_END && may_fault_in(regs)) {
		hal_irq_enable();
		resolved = upcall_fault(regs, addr, (u32)error & PF_ACCESS_MASK);
		hal_irq_disable();
		if (resolved)
			return;
	}
	regs->rip = fixup;
}

/* For the sigcontext of the signal that comes of it. */
static void note_trap(u32 vector, u64 error, u64 addr)
{
	struct arch_thread *a = &((struct hal_thread *)hal_current())->arch;

	a->trap_vector = vector;
	a->trap_error = error;
	if (vector == X86_VEC_PF)
		a->trap_addr = addr;
}

static void page_fault(struct hal_regs *regs, u64 error)
{
	u64 addr = x86_read_cr2();

	if (!hal_regs_user_mode(regs)) {
		kernel_page_fault(regs, addr, error);
		return;
	}
	hal_irq_enable();
	if (unlikely(!(error & HAL_FAULT_USER))) {
		/*
		 * A supervisor access by an instruction of user mode: the CPU's own reading of a descriptor table
		 * (SDM vol. 3A 4.6.1), or an emulator that reads a far return's stack so and trips over SMAP. Resolving
		 * it would not help: the access would fault again.
		 */
		note_trap(X86_VEC_PF, error, addr);
		upcall_user_trap(regs, HAL_TRAP_PROTECTION, 0, 0);
		return;
	}
	upcall_fault(regs, addr, (u32)error & PF_ACCESS_MASK);
	/* Linux shows faults on kernel addresses as if a page were there, which tells nothing about it. */
	if (hal_work_get((struct hal_thread *)hal_current()) & HAL_WORK_SIGNAL)
		note_trap(X86_VEC_PF, addr >= HAL_USER_END ? error | HAL_FAULT_PRESENT : error, addr);
}

/*
 * The si_code of SIGFPE from status bits that are set and not masked, in the order that Linux checks
 * them; 0: nothing is wrong (the exception was raised for a state that has been replaced since).
 */
static u32 fpe_code(u32 errors)
{
	if (errors & 0x01)
		return 7;	/* FPE_FLTINV */
	if (errors & 0x04)
		return 3;	/* FPE_FLTDIV */
	if (errors & 0x08)
		return 4;	/* FPE_FLTOVF */
	if (errors & 0x12)
		return 5;	/* FPE_FLTUND: denormal and underflow */
	if (errors & 0x20)
		return 6;	/* FPE_FLTRES */
	return 0;
}

/* The registers are still the user's: the kernel does not touch them. */
static u32 x87_code(void)
{
	u16 status, control;

	__asm__ volatile("fnstsw %0" : "=m"(status));
	__asm__ volatile("fnstcw %0" : "=m"(control));
	return fpe_code(status & ~(u32)control & 0x3f);
}

static u32 simd_code(void)
{
	u32 mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return fpe_code(~(mxcsr >> 7) & mxcsr & 0x3f);
}

/* DR6 says why; its cleared bits read as ones. Hand on the causes and clear them for the next time. */
static u64 debug_status(void)
{
	u64 dr6;

	__asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
	__asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ull));
	return (dr6 ^ 0xffff0ff0ull) & 0xe00f;
}

static void fpu_trap(struct hal_regs *regs, u32 kind, u32 code)
{
	hal_irq_enable();
	if (code)
		upcall_user_trap(regs, kind, code, regs->rip);
}

static const struct {
	u8 kind;
	bool has_ip;	/* the signal's address is the instruction's */
} user_kinds[32] = {
	[X86_VEC_DE] = { HAL_TRAP_DIVIDE, true },
	[X86_VEC_BP] = { HAL_TRAP_BREAKPOINT, false },
	[X86_VEC_OF] = { HAL_TRAP_OVERFLOW, false },
	[X86_VEC_BR] = { HAL_TRAP_BOUND, false },
	[X86_VEC_UD] = { HAL_TRAP_UNDEFINED, true },
	[X86_VEC_NM] = { HAL_TRAP_OTHER, false },
	[9] = { HAL_TRAP_OTHER, false },
	[X86_VEC_TS] = { HAL_TRAP_SEGMENT, false },
	[X86_VEC_NP] = { HAL_TRAP_NOT_PRESENT, false },
	[X86_VEC_SS] = { HAL_TRAP_STACK, false },
	[X86_VEC_GP] = { HAL_TRAP_PROTECTION, false },
	[X86_VEC_AC] = { HAL_TRAP_ALIGNMENT, false },
	[15] = { HAL_TRAP_OTHER, false },
	[20] = { HAL_TRAP_OTHER, false },
	[21] = { HAL_TRAP_OTHER, false },
};

/*
 * System control port B says whether memory (SERR) or the I/O channel raised the NMI: then nothing can be
 * trusted any more. Other NMIs (another CPU's question, the watchdog, a button) are counted and handed on.
 */
static void non_maskable(struct hal_regs *regs)
{
	u8 reason = x86_inb(NMI_REASON_PORT);

	hal_percpu()->nmi_count++;
	if (unlikely(reason & NMI_REASON_ERROR) && reason != 0xff)	/* FFh: no such port */
		upcall_kernel_trap(regs, X86_VEC_NMI, reason, 0);
	if (!upcall_nmi(regs) && HALCYON_COVERAGE)
		x86_coverage_dump();	/* the test harness is about to end this machine */
}

static void user_trap(struct hal_regs *regs, u64 error, u32 vector)
{
	if (vector != X86_VEC_NMI)
		note_trap(vector, error, 0);
	switch (vector) {
	case X86_VEC_DB: {
		u64 dr6 = debug_status();

		hal_irq_enable();
		upcall_user_trap(regs, HAL_TRAP_DEBUG, dr6, regs->rip);
		return;
	}
	case X86_VEC_NMI:
		non_maskable(regs);
		return;
	case X86_VEC_MF:
		fpu_trap(regs, HAL_TRAP_FPU, x87_code());
		return;
	case X86_VEC_XM:
		fpu_trap(regs, HAL_TRAP_SIMD, simd_code());
		return;
	case X86_VEC_DF:
	case X86_VEC_MC:
		upcall_kernel_trap(regs, vector, error, 0);
	default:
		break;
	}
	hal_irq_enable();
	if (vector >= ARRAY_SIZE(user_kinds))
		return;
	upcall_user_trap(regs, user_kinds[vector].kind, error, user_kinds[vector].has_ip ? regs->rip : 0);
}

static void kernel_trap(struct hal_regs *regs, u64 error, u32 vector)
{
	vaddr_t addr;

	if (vector == X86_VEC_GP) {
		u64 fixup = x86_extable_find(regs->rip);

		if (fixup) {
			regs->rip = fixup;
			return;
		}
	}
	if (x86_efi_trap(regs, vector, 0))
		return;
	/* KASAN looked for the shadow of what is no kernel address: say what the access would have met. */
	if (vector == X86_VEC_GP && x86_shadow_trap(regs, &addr))
		upcall_kernel_trap(regs, X86_VEC_PF, HAL_FAULT_CHECK, addr);
	upcall_kernel_trap(regs, vector, error, 0);
}

/* Called by entry.asm, interrupts off, on the thread's stack (or the interrupted kernel stack). */
void x86_trap(struct hal_regs *regs, u64 error, u32 vector)
{
	if (vector >= X86_VEC_IRQ_FIRST)
		x86_irq_dispatch(regs, vector);
	else if (vector == X86_VEC_PF)
		page_fault(regs, error);
	else if (hal_regs_user_mode(regs))
		user_trap(regs, error, vector);
	else
		kernel_trap(regs, error, vector);

	if (hal_regs_user_mode(regs)) {
		hal_irq_disable();
		x86_exit_to_user(regs);
	}
}

/*
 * An IST trap that hit the kernel, on its IST stack. An NMI that comes while another is served (its IRET
 * or a fault inside re-enabled them) would reuse the stack, so nothing here may fault or take long.
 */
void x86_trap_ist(struct hal_regs *regs, u64 error, u32 vector)
{
	if (vector == X86_VEC_NMI) {
		non_maskable(regs);
		return;
	}
	if (vector == X86_VEC_DB) {
		/*
		 * A user who single-steps into SYSCALL, or whose breakpoint MOV SS delayed, traps in
		 * the first instructions of the kernel: no fault of the kernel, go on without TF.
		 */
		debug_status();
		regs->rflags &= ~X86_RFLAGS_TF;
		return;
	}
	upcall_kernel_trap(regs, vector, error, vector == X86_VEC_DF ? x86_read_cr2() : 0);
}

/*
 * The way out to user mode: interrupts are off, and stay off from the last look at the work word to
 * IRET. IRET with a non-canonical RIP would fault in the kernel (the user's GS already loaded), so such a
 * frame gets its #GP here.
 */
static __always_inline void exit_to_user(struct hal_regs *regs)
{
	struct hal_thread *t = (struct hal_thread *)hal_current();
	u32 work, todo;

	for (;;) {
		work = hal_work_get(t);
		todo = work & HAL_WORK_KERNEL_MASK & ~HAL_WORK_TRACE_MASK;
		if (unlikely(todo)) {
			hal_irq_enable();
			upcall_exit_work(regs, todo);
			hal_irq_disable();
		} else if (unlikely(!x86_canonical(regs->rip))) {
			hal_irq_enable();
			upcall_user_trap(regs, HAL_TRAP_PROTECTION, 0, 0);
			hal_irq_disable();
		} else {
			break;
		}
	}
#if HALCYON_DEBUG
	upcall_leave_kernel();
#endif
	if (work & HAL_WORK_FPU)
		x86_fpu_load(t);
	if (work & HAL_WORK_FRAME)
		hal_work_clear(t, HAL_WORK_FRAME);
}

void x86_exit_to_user(struct hal_regs *regs)
{
	exit_to_user(regs);
}

/* A syscall's slow way out. True: the frame is one that SYSRET can restore. */
bool x86_syscall_exit(struct hal_regs *regs)
{
	exit_to_user(regs);
	return regs->rcx == regs->rip && regs->r11 == regs->rflags && !(regs->rip >> 47) &&
	       !(regs->rflags & (X86_RFLAGS_RF | X86_RFLAGS_TF)) && regs->cs == X86_USER_CS &&
	       regs->ss == X86_USER_SS;
}
