/* SPDX-License-Identifier: MIT */
/*
 * The tables that the CPU itself reads: GDT and TSS, one of each per CPU, and the IDT, which all share;
 * and the per-CPU blocks that they live in.
 *
 * The boot CPU's block and its IST stacks are part of the image, because they are needed before there is
 * an allocator. Other CPUs' blocks are allocated (smp.c) and look alike.
 *
 * IST (SDM vol. 3A 6.14.5): NMI, #DF, #MC and #DB get a stack of their own, because they can come where
 * the stack pointer is not the kernel's (the first instructions of SYSCALL) or where the stack has run
 * over its guard page (#DF).
 */
#include <hal/tlb.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "mitigate.h"
#include "pti.h"
#include "x86.h"

#define GATE_INTERRUPT	0x8e	/* present, DPL 0, interrupt gate */
#define GATE_DPL3	0x60

struct x86_gate {
	u16 offset_low;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset_mid;
	u32 offset_high;
	u32 reserved;
};
_Static_assert(sizeof(struct x86_gate) == 16, "SDM vol. 3A 6.14.1");

struct x86_table_pointer {
	u16 limit;
	u64 base;
} __packed;

struct x86_boot_stacks x86_boot_stacks __aligned(4096) __section(".bss.page_aligned");
static struct x86_gate idt[256] __aligned(4096) __section(".bss.page_aligned");

/* Flat 64-bit segments. Entries 8 and 9 are the TSS, 15 says which CPU this is. */
#define GDT_SEGMENTS {								\
	[X86_KERNEL_CS / 8] = 0x00af9b000000ffffull,				\
	[X86_KERNEL_SS / 8] = 0x00cf93000000ffffull,				\
	[X86_USER_SS / 8]   = 0x00cff3000000ffffull,				\
	[X86_USER_CS / 8]   = 0x00affb000000ffffull,				\
}

struct x86_cpu x86_cpu0 = {
	.pc.preempt_count = PREEMPT_NO_RESCHED | 1,
	.pc.online = 1,
	.gdt = GDT_SEGMENTS,
	.ist_base = { x86_boot_stacks.ist[0].bytes, x86_boot_stacks.ist[1].bytes, x86_boot_stacks.ist[2].bytes,
		      x86_boot_stacks.ist[3].bytes },
};
struct x86_cpu *x86_cpus[HAL_MAX_CPUS];
u32 x86_cpu_total = 1;	/* [a] grows while CPUs get their areas */

/* Fills in what depends on where the block lies and which CPU it is for. */
void x86_cpu_tables_init(struct x86_cpu *cpu, u32 number)
{
	static const u64 segments[X86_GDT_ENTRIES] = GDT_SEGMENTS;
	u64 base = (u64)&cpu->tss;

	cpu->pc.self = &cpu->pc;
	cpu->pc.cpu = number;
	cpu->pc.tss = &cpu->tss;
	memcpy(cpu->gdt, segments, sizeof(segments));
	cpu->gdt[X86_TSS_SEL / 8] = (sizeof(cpu->tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
				    ((base >> 24) & 0xff) << 56;
	cpu->gdt[X86_TSS_SEL / 8 + 1] = base >> 32;
	cpu->gdt[X86_CPU_SEL / 8] = 0x0040f50000000000ull | (number & 0xffff);
	memset(&cpu->tss, 0, sizeof(cpu->tss));
	cpu->tss.iomap = sizeof(cpu->tss);	/* beyond the limit: no port is allowed */
	cpu->tss.rsp[0] = cpu->pc.kernel_sp;
	for (unsigned int i = 0; i < X86_IST_COUNT; i++)
		cpu->tss.ist[i] = (u64)cpu->ist_base[i] + X86_IST_BYTES;
	x86_cpus[number] = cpu;
}

static void idt_set(struct x86_gate *table, u64 stubs, unsigned int vector, unsigned int ist, unsigned int dpl_bits)
{
	u64 stub = stubs + vector * X86_VECTOR_STUB_BYTES;

	table[vector] = (struct x86_gate){
		.offset_low = (u16)stub,
		.selector = X86_KERNEL_CS,
		.ist = (u8)ist,
		.type = (u8)(GATE_INTERRUPT | dpl_bits),
		.offset_mid = (u16)(stub >> 16),
		.offset_high = (u32)(stub >> 32),
	};
}

/*
 * Programs may raise #BP and #OF by INT3 and INTO alone; every other INT n, 80h among them, is a #GP
 * because its gate is the kernel's.
 */
void x86_idt_fill(void *page, u64 stubs)
{
	struct x86_gate *table = page;

	for (unsigned int v = 0; v < 256; v++)
		idt_set(table, stubs, v, 0, 0);
	idt_set(table, stubs, X86_VEC_NMI, X86_IST_NMI, 0);
	idt_set(table, stubs, X86_VEC_DF, X86_IST_DF, 0);
	idt_set(table, stubs, X86_VEC_MC, X86_IST_MC, 0);
	idt_set(table, stubs, X86_VEC_DB, X86_IST_DB, 0);
	idt_set(table, stubs, X86_VEC_BP, 0, GATE_DPL3);
	idt_set(table, stubs, X86_VEC_OF, 0, GATE_DPL3);
}

/* The entries that shield (entry_hard.asm), in all CPUs' IDT and in this one's LSTAR; the others' follow when they start. */
void x86_tables_harden(void)
{
	x86_idt_fill(idt, (u64)x86_hard_vectors);
	x86_syscall_init();
}

/* getcpu in the vDSO reads the node above the number, as on Linux. */
void x86_cpu_set_node(struct x86_cpu *cpu, u32 node)
{
	u64 limit = (cpu->pc.cpu & 0xfff) | (node & 0xff) << 12;

	WRITE_ONCE(cpu->gdt[X86_CPU_SEL / 8], 0x0040f50000000000ull | (limit & 0xffff) | (limit >> 16) << 48);
	x86_pti_gdt_changed(cpu);
}

/* This CPU uses the tables from now on. Its GDT is loaded already. */
void x86_tables_load(void)
{
	struct x86_table_pointer p = { sizeof(idt) - 1, (u64)idt };
	u16 tss = X86_TSS_SEL;

	__asm__ volatile("ltr %0" : : "r"(tss) : "memory");
	__asm__ volatile("lidt %0" : : "m"(p) : "memory");
	/* Breakpoint registers as the firmware's debugger left them are nobody's. */
	__asm__ volatile("movq %0, %%dr7" : : "r"(0x400ull));
	__asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ull));
}

/* SYSCALL: selectors, entry points, the flags to clear. SYSENTER: a null CS makes it #GP. */
void x86_syscall_init(void)
{
	x86_wrmsr(X86_MSR_STAR, (u64)(X86_USER_SS - 8) << 48 | (u64)X86_KERNEL_CS << 32);
	x86_wrmsr(X86_MSR_LSTAR, x86_hard ? (u64)x86_hard_syscall_entry : (u64)x86_syscall_entry);
	x86_wrmsr(X86_MSR_CSTAR, (u64)x86_syscall32_entry);
	x86_wrmsr(X86_MSR_FMASK, X86_SYSCALL_MASK);
	x86_wrmsr(X86_MSR_EFER, x86_rdmsr(X86_MSR_EFER) | X86_EFER_SCE);
	if (x86_has(X86_F_SEP)) {
		x86_wrmsr(X86_MSR_SYSENTER_CS, 0);
		x86_wrmsr(X86_MSR_SYSENTER_ESP, 0);
		x86_wrmsr(X86_MSR_SYSENTER_EIP, 0);
	}
}

/* The first C function: entry.asm has set up GS, the canary and the protections. */
void x86_boot_cpu_init(void)
{
	x86_cpu_tables_init(&x86_cpu0, 0);
	x86_idt_fill(idt, (u64)x86_vectors);
	x86_tables_load();
	x86_features_detect();
	x86_syscall_init();
}

/* Takes one 4 KiB page of the image out of the page tables that the loader made. */
void x86_unmap_guard(const void *page)
{
	vaddr_t va = (vaddr_t)page;
	hal_pte_t *table = hal_phys_to_virt(hal_pt_root_current());

	for (unsigned int level = HAL_PT_LEVELS - 1; level > 0; level--) {
		hal_pte_t e = hal_pte_read(&table[hal_pt_index(va, level)]);

		if (!hal_pte_present(e) || hal_pte_is_leaf(e, level))
			return;
		table = hal_phys_to_virt(hal_pte_paddr(e, level));
	}
	hal_pte_xchg(&table[hal_pt_index(va, 0)], hal_pte_none());
	hal_tlb_flush_local_kernel(va, va + HAL_PAGE_SIZE);
}

/*
 * The stacks in the image get guard pages like those that mm hands out: running over one is a double
 * fault with a report. The tables are shared by every address space, so once is enough.
 */
void x86_guards_init(void)
{
	x86_unmap_guard(x86_boot_stacks.guard);
	for (unsigned int i = 0; i < X86_IST_COUNT; i++)
		x86_unmap_guard(x86_boot_stacks.ist[i].guard);
	x86_unmap_guard(x86_boot_stacks.panic_guard);
}

u32 hal_cpu_count(void)
{
	return smp_load_acquire(&x86_cpu_total);
}

bool hal_cpu_online(u32 cpu)
{
	return cpu < HAL_MAX_CPUS && x86_cpus[cpu] && smp_load_acquire(&x86_cpus[cpu]->pc.online);
}

u32 hal_cpu_online_count(void)
{
	u32 n = 0;

	for (u32 cpu = 0; cpu < hal_cpu_count(); cpu++)
		n += hal_cpu_online(cpu);
	return n;
}

struct hal_percpu *hal_percpu_of(u32 cpu)
{
	return cpu < HAL_MAX_CPUS && x86_cpus[cpu] ? &x86_cpus[cpu]->pc : NULL;
}

u64 hal_percpu_offset_of(u32 cpu)
{
	struct hal_percpu *p = hal_percpu_of(cpu);

	return p ? p->percpu_offset : 0;
}

void hal_percpu_set_offset(u32 cpu, u64 offset)
{
	struct hal_percpu *p = hal_percpu_of(cpu);

	if (!p)
		return;
	p->percpu_offset = offset;
	if (cpu == x86_cpu_total)
		smp_store_release(&x86_cpu_total, cpu + 1);
}

void hal_set_current(struct thread *t)
{
	struct hal_thread *h = (struct hal_thread *)t;
	struct hal_percpu *p = hal_percpu();
	u64 top = h->stack_base + h->stack_size;

	if (!h->canary)
		h->canary = p->stack_canary;	/* the running frames hold this one */
	p->current = t;
	p->kernel_sp = top;
	((struct x86_tss *)p->tss)->rsp[0] = top;
}

void hal_boot_stack(vaddr_t *base, size_t *size)
{
	*base = (vaddr_t)x86_boot_stacks.boot;
	*size = sizeof(x86_boot_stacks.boot);
}

__noreturn void hal_cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}
