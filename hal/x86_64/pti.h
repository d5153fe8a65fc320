/* SPDX-License-Identifier: MIT */
#ifndef X86_PTI_H
#define X86_PTI_H

/*
 * Page-table isolation: what user mode's page tables show of the kernel. The theory stands in pti.c.
 *
 * Each CPU's entry area, X86_EA_STRIDE bytes from the next one's, at HAL_ENTRY_BASE. Entry code is the same page in each
 * area, so what it addresses relative to itself is its own CPU's. All but `private` is in both page tables.
 */
#include "pti_cr3.h"
#include "x86.h"

#define X86_EA_TEXT	0x0000u		/* .entry.pti: R-X */
#define X86_EA_TEXT_BYTES 0x2000u
#define X86_EA_IDT	0x2000u		/* R */
#define X86_EA_GDT	0x3000u		/* R */
#define X86_EA_DATA	0x5000u		/* struct x86_entry_data: RW; the page below stays unmapped */
#define X86_EA_PRIVATE	0x6000u		/* struct x86_entry_private: R, in the kernel's page tables only */
#define X86_EA_STRIDE	0x10000u
_Static_assert(X86_EA_STRIDE * (u64)HAL_MAX_CPUS <= HAL_ENTRY_END - HAL_ENTRY_BASE, "one area per CPU");

#define X86_CR4_PCIDE		(1ull << 17)

/* No more than a trap's frame and a few words ever lie there: see entry_hard.asm. */
#define X86_EA_STACK_BYTES	512u
enum { X86_EA_STACK_TRAP, X86_EA_STACK_IST, X86_EA_STACKS = X86_EA_STACK_IST + X86_IST_COUNT };

/* A user program on a CPU with Meltdown can read this: nothing in it tells where the kernel lies. */
struct x86_entry_data {
	struct x86_pti_cr3 cr3;
	u64 scratch;		/* [own] the user's RSP while there is no register for it */
	u64 reserved[3];
	struct x86_tss tss;
	u8 stacks[X86_EA_STACKS][X86_EA_STACK_BYTES] __aligned(512);
};
_Static_assert(sizeof(struct x86_entry_data) <= 4096, "one page");

/* Where the entry code goes on once the kernel's page tables are loaded. */
struct x86_entry_private {
	u64 gs_base;			/* [I] the CPU's struct hal_percpu */
	u64 trap_user, trap_kernel;	/* [I] */
	u64 ist_kernel, syscall;	/* [I] */
	u64 ist_top[20];		/* [I] by vector: the top of its stack in the kernel */
};

extern u8 x86_pti_pcid;		/* [I] and the two roots have PCIDs */
extern u8 x86_invpcid;		/* [I] and single pages of the user's can be flushed */

/* entry_hard.asm; the labels x86_pti_* are used through the entry area, never where they are linked */
extern const u8 x86_pti_text[], x86_pti_vectors[], x86_pti_syscall[], x86_pti_syscall32[], x86_pti_sysret[], x86_pti_iret[];
extern const u8 x86_hard_vectors[];
void x86_hard_syscall_entry(void);
void x86_hard_syscall(void);
void x86_hard_trap_user(void);
void x86_hard_ist_kernel(void);
void x86_trap_common(void);

/* tables.c */
#define X86_IDT_BYTES	4096u
void x86_idt_fill(void *page, u64 stubs);
void x86_tables_harden(void);

/* Switches page-table isolation on, before there is any page table but the loader's. Boot, once. */
void x86_pti_enable(void);

/* The descriptor that says which CPU this is was changed: the CPU reads the one in its entry area. */
void x86_pti_gdt_changed(const struct x86_cpu *cpu);

/* Once frames can be had: what all user roots are made from, and the boot CPU's area. Panics without memory. Boot, once. */
void x86_pti_init(void);

/* A pair's second root gets what every user root has. */
void x86_pti_root_init(void *root_page);

/* Maps the entry area of a CPU whose block stands in x86_cpus[]. Boot, or a step that may sleep. 0 or -ENOMEM. */
int __must_check x86_pti_prepare(u32 cpu);

/* This CPU enters and leaves by its entry area from now on. Interrupts off, after its tables were loaded. */
void x86_pti_load(void);

/* What follows a load of CR3 by hal_space_activate(), with interrupts off. User: the root is one of a pair. */
void x86_pti_root_set(paddr_t root, bool user);

void x86_pti_flush_user_range(vaddr_t start, vaddr_t end);
void x86_pti_flush_user_all(void);

/* User translations that this CPU may hold under the user's PCID. Preemption off. */
static inline void x86_pti_flushed_page(vaddr_t va)
{
	if (unlikely(x86_pti_pcid))
		x86_pti_flush_user_range(va, va + HAL_PAGE_SIZE);
}

static inline void x86_pti_flushed_range(vaddr_t start, vaddr_t end)
{
	if (unlikely(x86_pti_pcid))
		x86_pti_flush_user_range(start, end);
}

static inline void x86_pti_flushed_all(void)
{
	if (unlikely(x86_pti_pcid))
		x86_pti_flush_user_all();
}

#endif
