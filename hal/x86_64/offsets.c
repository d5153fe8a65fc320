/* SPDX-License-Identifier: MIT */
/*
 * What the assembly must know of the C structures. Compiled to assembly only; tools/offsets.py turns
 * the marker lines into NASM's %define, in gen/offsets.inc.
 */
#include "mitigate.h"
#include "pti.h"
#include "x86.h"

#define HAL_DEFINE(name, value) \
	__asm__ volatile("\n-> " #name " %0" : : "i"((u64)(value)))

void hal_offsets(void);

void hal_offsets(void)
{
	HAL_DEFINE(PC_SELF, offsetof(struct hal_percpu, self));
	HAL_DEFINE(PC_CURRENT, offsetof(struct hal_percpu, current));
	HAL_DEFINE(PC_KERNEL_SP, offsetof(struct hal_percpu, kernel_sp));
	HAL_DEFINE(PC_CANARY, offsetof(struct hal_percpu, stack_canary));
	HAL_DEFINE(PC_USER_SP, offsetof(struct hal_percpu, user_sp));
	HAL_DEFINE(PC_TSS, offsetof(struct hal_percpu, tss));
	HAL_DEFINE(PC_ENTRY_DATA, offsetof(struct hal_percpu, entry_data));
	HAL_DEFINE(PC_ENTRY_SP, offsetof(struct hal_percpu, entry_sp));
	HAL_DEFINE(PC_ENTRY_SYSRET, offsetof(struct hal_percpu, entry_sysret));
	HAL_DEFINE(PC_ENTRY_IRET, offsetof(struct hal_percpu, entry_iret));
	HAL_DEFINE(PC_SPEC_CTRL, offsetof(struct hal_percpu, spec_ctrl));
	HAL_DEFINE(EA_DATA, X86_EA_DATA);
	HAL_DEFINE(EA_PRIVATE, X86_EA_PRIVATE);
	HAL_DEFINE(ED_KERNEL_CR3, offsetof(struct x86_entry_data, cr3.kernel_cr3));
	HAL_DEFINE(ED_USER_CR3, offsetof(struct x86_entry_data, cr3.user_cr3));
	HAL_DEFINE(ED_USER_NEXT, offsetof(struct x86_entry_data, cr3.user_next));
	HAL_DEFINE(ED_NOFLUSH, offsetof(struct x86_entry_data, cr3.noflush));
	HAL_DEFINE(ED_SCRATCH, offsetof(struct x86_entry_data, scratch));
	HAL_DEFINE(ED_TRAP_TOP, offsetof(struct x86_entry_data, stacks[X86_EA_STACK_TRAP + 1]));
	HAL_DEFINE(EP_GS_BASE, offsetof(struct x86_entry_private, gs_base));
	HAL_DEFINE(EP_TRAP_USER, offsetof(struct x86_entry_private, trap_user));
	HAL_DEFINE(EP_TRAP_KERNEL, offsetof(struct x86_entry_private, trap_kernel));
	HAL_DEFINE(EP_IST_KERNEL, offsetof(struct x86_entry_private, ist_kernel));
	HAL_DEFINE(EP_SYSCALL, offsetof(struct x86_entry_private, syscall));
	HAL_DEFINE(EP_IST_TOP, offsetof(struct x86_entry_private, ist_top));
	HAL_DEFINE(IST_RIP, 4 * sizeof(u64));	/* behind CR3, RAX, RDI and the error code */
	HAL_DEFINE(X86_USER_ROOT, X86_PTI_USER_ROOT);
	HAL_DEFINE(HARD_IBRS, X86_HARD_IBRS);
	HAL_DEFINE(HARD_IBPB, X86_HARD_IBPB);
	HAL_DEFINE(HARD_VERW, X86_HARD_VERW);
	HAL_DEFINE(MSR_SPEC_CTRL, X86_MSR_SPEC_CTRL);
	HAL_DEFINE(MSR_PRED_CMD, X86_MSR_PRED_CMD);
	HAL_DEFINE(TSS_RSP0, offsetof(struct x86_tss, rsp[0]));
	HAL_DEFINE(CPU_GDT, offsetof(struct x86_cpu, gdt));
	HAL_DEFINE(CPU_CLAIMED, offsetof(struct x86_cpu, claimed));
	HAL_DEFINE(GDT_LIMIT, sizeof(u64) * X86_GDT_ENTRIES - 1);

	HAL_DEFINE(HT_SP, offsetof(struct hal_thread, sp));
	HAL_DEFINE(HT_STACK_BASE, offsetof(struct hal_thread, stack_base));
	HAL_DEFINE(HT_STACK_SIZE, offsetof(struct hal_thread, stack_size));
	HAL_DEFINE(HT_WORK, offsetof(struct hal_thread, work));
	HAL_DEFINE(HT_CANARY, offsetof(struct hal_thread, canary));
	HAL_DEFINE(WORK_TRACE, HAL_WORK_TRACE_MASK);

	HAL_DEFINE(REGS_R15, offsetof(struct hal_regs, r15));
	HAL_DEFINE(REGS_R14, offsetof(struct hal_regs, r14));
	HAL_DEFINE(REGS_R13, offsetof(struct hal_regs, r13));
	HAL_DEFINE(REGS_R12, offsetof(struct hal_regs, r12));
	HAL_DEFINE(REGS_RBP, offsetof(struct hal_regs, rbp));
	HAL_DEFINE(REGS_RBX, offsetof(struct hal_regs, rbx));
	HAL_DEFINE(REGS_R11, offsetof(struct hal_regs, r11));
	HAL_DEFINE(REGS_R10, offsetof(struct hal_regs, r10));
	HAL_DEFINE(REGS_R9, offsetof(struct hal_regs, r9));
	HAL_DEFINE(REGS_R8, offsetof(struct hal_regs, r8));
	HAL_DEFINE(REGS_RAX, offsetof(struct hal_regs, rax));
	HAL_DEFINE(REGS_RCX, offsetof(struct hal_regs, rcx));
	HAL_DEFINE(REGS_RDX, offsetof(struct hal_regs, rdx));
	HAL_DEFINE(REGS_RSI, offsetof(struct hal_regs, rsi));
	HAL_DEFINE(REGS_RDI, offsetof(struct hal_regs, rdi));
	HAL_DEFINE(REGS_ORIG_RAX, offsetof(struct hal_regs, orig_rax));
	HAL_DEFINE(REGS_RIP, offsetof(struct hal_regs, rip));
	HAL_DEFINE(REGS_CS, offsetof(struct hal_regs, cs));
	HAL_DEFINE(REGS_RFLAGS, offsetof(struct hal_regs, rflags));
	HAL_DEFINE(REGS_RSP, offsetof(struct hal_regs, rsp));
	HAL_DEFINE(REGS_BYTES, sizeof(struct hal_regs));

	HAL_DEFINE(BOOTINFO_SEED, offsetof(struct bootinfo, seed));
	HAL_DEFINE(BOOT_STACK_TOP, offsetof(struct x86_boot_stacks, ist));
	HAL_DEFINE(PANIC_STACK_TOP, offsetof(struct x86_boot_stacks, panic) + X86_PANIC_STACK_BYTES);
	HAL_DEFINE(FRAME_MARK, X86_FRAME_MARK);
	HAL_DEFINE(KERNEL_CS, X86_KERNEL_CS);
	HAL_DEFINE(KERNEL_SS, X86_KERNEL_SS);
	HAL_DEFINE(USER_CS, X86_USER_CS);
	HAL_DEFINE(USER_SS, X86_USER_SS);
	HAL_DEFINE(CPU_SEL, X86_CPU_SEL);
	HAL_DEFINE(MSR_GS_BASE, X86_MSR_GS_BASE);
	HAL_DEFINE(MSR_FS_BASE, X86_MSR_FS_BASE);
	HAL_DEFINE(MSR_KERNEL_GS_BASE, X86_MSR_KERNEL_GS_BASE);
	HAL_DEFINE(MSR_EFER, X86_MSR_EFER);
	HAL_DEFINE(EFER_NXE, X86_EFER_NXE);
	HAL_DEFINE(USER_END, HAL_USER_END);
	HAL_DEFINE(NEG_ENOSYS, -38);
	HAL_DEFINE(NEG_EFAULT, -14);
	HAL_DEFINE(VEC_IRQ_FIRST, X86_VEC_IRQ_FIRST);
	HAL_DEFINE(CR0_SET, X86_CR0_MP | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM);
	HAL_DEFINE(CR0_CLEAR, X86_CR0_EM | X86_CR0_TS);
	HAL_DEFINE(CR4_BASE, X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	HAL_DEFINE(CR4_DE, X86_CR4_DE);
	HAL_DEFINE(CR4_MCE, X86_CR4_MCE);
	HAL_DEFINE(CR4_PGE, X86_CR4_PGE);
	HAL_DEFINE(CR4_OSXSAVE, X86_CR4_OSXSAVE);
	HAL_DEFINE(CR4_FSGSBASE, X86_CR4_FSGSBASE);
	HAL_DEFINE(CR4_SMEP, X86_CR4_SMEP);
	HAL_DEFINE(CR4_SMAP, X86_CR4_SMAP);
	HAL_DEFINE(CR4_UMIP, X86_CR4_UMIP);
}
