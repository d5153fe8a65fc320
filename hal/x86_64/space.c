/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of one CPU: CR3, and the kernel half's template.
 *
 * Each hal_space knows which CPUs have it in CR3. A CPU that is not in the set has nothing of the space in its TLB, because
 * every load of CR3 flushes what is not GLOBAL (no PCID).
 *
 * Order against a flush, which changes the table, counts gen up, and then reads the set and who is lazy. Entering: into the
 * set, a barrier, gen is read, and only then CR3 loaded. Either the flush sees the CPU in the set, or the CPU walks the
 * changed table. Ending laziness: tlb_lazy off, a barrier, gen is read. Either the flush sees that the CPU is
 * not lazy and interrupts it, or the CPU sees the new generation and flushes by itself. Becoming lazy needs no more than the
 * order of loads and stores (x86: a store is seen after the loads before it).
 */
#include <hal/tlb.h>
#include <lib/atomic.h>
#include <lib/string.h>
#include "mitigate.h"
#include "pti.h"
#include "x86.h"

static u64 kernel_template[HAL_PT_ENTRIES - HAL_PT_KERNEL_FIRST];
static paddr_t kernel_root;	/* [I] after hal_pt_kernel_template_init() */

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
	pc->tlb_gen = space ? smp_load_acquire(&space->gen) : 0;
	smp_store_release(&pc->tlb_lazy, 0u);
	x86_write_cr3(root);
	if (unlikely(x86_pti))
		x86_pti_root_set(root, space != NULL);
	if (x86_space_work && space && space != old)
		x86_space_entered();
	if (old && old != space)
		atomic_clear_bit(pc->cpu, old->cpus);
	hal_irq_restore(f);
}

void hal_space_resume(paddr_t root, struct hal_space *space)
{
	irqflags_t f = hal_irq_save();
	struct hal_percpu *pc = hal_percpu();
	u64 gen;

	xchg(&pc->tlb_lazy, 0u);
	if (unlikely(pc->active_space != space)) {
		hal_space_activate(root, space);	/* it was dropped */
	} else {
		gen = smp_load_acquire(&space->gen);
		if (gen != pc->tlb_gen) {
			hal_tlb_flush_local_all();
			pc->tlb_gen = gen;
		}
	}
	hal_irq_restore(f);
}

void hal_space_drop(void)
{
	if (kernel_root && hal_percpu()->active_space)
		hal_space_activate(kernel_root, NULL);
	hal_space_set_lazy();
}

void hal_pt_kernel_template_init(paddr_t root)
{
	const u64 *table = hal_phys_to_virt(root);

	kernel_root = root;
	memcpy(kernel_template, table + HAL_PT_KERNEL_FIRST, sizeof(kernel_template));
}

void hal_pt_root_init(void *root_page)
{
	u64 *table = root_page;

	memset(table, 0, HAL_PT_KERNEL_FIRST * sizeof(u64));
	memcpy(table + HAL_PT_KERNEL_FIRST, kernel_template, sizeof(kernel_template));
	if (x86_pti)
		x86_pti_root_init(root_page);
}
