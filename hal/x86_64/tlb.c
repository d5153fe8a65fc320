/* SPDX-License-Identifier: MIT */
/*
 * This CPU's TLB (SDM vol. 3A 4.10.4).
 *
 * There are no PCIDs in use, but with page-table isolation, where the user's root may have one of its own: pti.c looks after
 * that. A load of CR3 flushes what is not GLOBAL, and INVLPG one page and every paging-structure cache
 * entry, so that either is enough after page tables were taken out. The kernel half is GLOBAL: flushing all of it takes
 * PGE off and on.
 */
#include <hal/tlb.h>
#include "pti.h"
#include "x86.h"

static void invlpg(vaddr_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static void flush_pages(vaddr_t start, vaddr_t end)
{
	for (vaddr_t va = start & HAL_PAGE_MASK; va < end; va += HAL_PAGE_SIZE)
		invlpg(va);
}

void hal_tlb_flush_local_page(vaddr_t va)
{
	invlpg(va);
	x86_pti_flushed_page(va);
}

void hal_tlb_flush_local_all(void)
{
	x86_write_cr3(x86_read_cr3());
	x86_pti_flushed_all();
}

void hal_tlb_flush_local_range(vaddr_t start, vaddr_t end)
{
	if (hal_tlb_is_short(start, end)) {
		flush_pages(start, end);
		x86_pti_flushed_range(start, end);
	} else {
		hal_tlb_flush_local_all();
	}
}

static void flush_global(void)
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

void hal_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	if (hal_tlb_is_short(start, end))
		flush_pages(start, end);
	else
		flush_global();
}
