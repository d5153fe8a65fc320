/* SPDX-License-Identifier: MIT */
/*
 * Address spaces and TLB of one CPU: CR3, the kernel half's template, flushes.
 *
 * Each hal_space knows which CPUs have it in CR3; a flush is local where this CPU is one of them, and
 * goes by interrupt to the others (none are online yet: hal_tlb_flush_* is the place where part 3 puts
 * them). A CPU that is not in the set has nothing of the space in its TLB, because every load of CR3
 * flushes what is not GLOBAL (no PCID). The kernel half is GLOBAL: flushing it takes INVLPG, or PGE off
 * and on.
 */
#include <hal/tlb.h>
#include <lib/atomic.h>
#include <lib/string.h>
#include "x86.h"

static u64 kernel_template[HAL_PT_ENTRIES - HAL_PT_KERNEL_FIRST];

paddr_t hal_pt_root_current(void)
{
	return x86_read_cr3() & X86_PTE_ADDR;
}

void hal_space_activate(paddr_t root, struct hal_space *space)
{
	irqflags_t f = hal_irq_save();
	struct hal_percpu *pc = hal_percpu();
	struct hal_space *old = pc->active_space;

	if (space && space != old)
		atomic_set_bit(pc->cpu, space->cpus);
	pc->active_space = space;
	pc->active_root = root;
	x86_write_cr3(root);
	if (old && old != space)
		atomic_clear_bit(pc->cpu, old->cpus);
	hal_irq_restore(f);
}

void hal_pt_kernel_template_init(paddr_t root)
{
	const u64 *table = hal_phys_to_virt(root);

	memcpy(kernel_template, table + HAL_PT_KERNEL_FIRST, sizeof(kernel_template));
}

void hal_pt_root_init(void *root_page)
{
	u64 *table = root_page;

	memset(table, 0, HAL_PT_KERNEL_FIRST * sizeof(u64));
	memcpy(table + HAL_PT_KERNEL_FIRST, kernel_template, sizeof(kernel_template));
}

static void invlpg(vaddr_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

void hal_tlb_flush_local_page(vaddr_t va)
{
	invlpg(va);
}

void hal_tlb_flush_local_all(void)
{
	x86_write_cr3(x86_read_cr3());
}

static void flush_local_global(void)
{
	irqflags_t f = hal_irq_save();
	u64 cr4 = x86_read_cr4();

	if (cr4 & X86_CR4_PGE) {
		x86_write_cr4(cr4 & ~X86_CR4_PGE);
		x86_write_cr4(cr4);
	} else {
		hal_tlb_flush_local_all();
	}
	hal_irq_restore(f);
}

static bool is_short(vaddr_t start, vaddr_t end)
{
	return end > start && end - start <= HAL_TLB_RANGE_PAGES * HAL_PAGE_SIZE;
}

void hal_tlb_flush_range(struct hal_space *space, vaddr_t start, vaddr_t end)
{
	irqflags_t f = hal_irq_save();

	if (atomic_test_bit(hal_cpu_id(), space->cpus)) {
		if (is_short(start, end)) {
			for (vaddr_t va = start & HAL_PAGE_MASK; va < end; va += HAL_PAGE_SIZE)
				invlpg(va);
		} else {
			hal_tlb_flush_local_all();
		}
	}
	hal_irq_restore(f);
}

void hal_tlb_flush_kernel_range(vaddr_t start, vaddr_t end)
{
	if (!is_short(start, end)) {
		flush_local_global();
		return;
	}
	for (vaddr_t va = start & HAL_PAGE_MASK; va < end; va += HAL_PAGE_SIZE)
		invlpg(va);
}
