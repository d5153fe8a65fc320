/* SPDX-License-Identifier: MIT */
#ifndef HAL_TLB_H
#define HAL_TLB_H

/*
 * Translation caches. Change the page table first, then flush, then reuse what was mapped. A flush
 * returns when no CPU can use the old translation any more.
 */
#include <hal/percpu.h>

/* Beyond so many pages everything of the space is flushed instead of single pages. */
#define HAL_TLB_RANGE_PAGES 33

/*
 * Who runs an address space. Part of struct vm_space; zeroed by hal_space_init() and read by flushes.
 */
struct hal_space {
	u64 cpus[HAL_MAX_CPUS / 64];	/* [a] bit per CPU whose root register names it */
};

static inline void hal_space_init(struct hal_space *s)
{
	for (unsigned int i = 0; i < HAL_MAX_CPUS / 64; i++)
		s->cpus[i] = 0;
}

/* This CPU only. Any context with preemption off. The second leaves GLOBAL entries alone. */
void hal_tlb_flush_local_page(vaddr_t va);
void hal_tlb_flush_local_all(void);

/*
 * User addresses [start, end) of *space on every CPU that runs it. end = ~0 means all. Interrupts on,
 * or no other CPU online. May wait for other CPUs; takes no lock of the kernel.
 */
void hal_tlb_flush_range(struct hal_space *space, vaddr_t start, vaddr_t end);

/* Kernel addresses (GLOBAL ones too) on all CPUs. Same contexts. */
void hal_tlb_flush_kernel_range(vaddr_t start, vaddr_t end);

#endif
