/* SPDX-License-Identifier: MIT */
#ifndef HAL_TLB_H
#define HAL_TLB_H

/*
 * Translation caches of this CPU, and which CPUs may remember what of an address space. Who flushes all of them is
 * kernel/core/tlb.h; nothing here reaches another CPU.
 *
 * Generations. Each flush of a space counts `gen` up, after the page table was changed. A CPU notes in its tlb_gen which
 * one it has caught up with. So whoever comes late flushes once for all that it has missed, and needs no interrupt for it.
 *
 * Lazy. A CPU that runs a kernel thread stays on the address space that was there, but uses no user address. It says so
 * in tlb_lazy and gets no interrupts for flushes; hal_space_resume() makes up for them. The exception are page tables
 * that go: the CPU could still walk them ahead of what it executes, and even write accessed bits into memory that is
 * something else by then. Such a CPU is interrupted once, and drops the space (hal_space_drop()).
 *
 * Quiet. The same, said by a program's own thread for a stretch of the kernel's work in which it uses no user address (a fault, an
 * munmap): the value tells the two apart, for counting. The CPU ends it with hal_space_resume(), and so does every switch to
 * another thread, even of the same space.
 *
 * struct hal_percpu has for this:
 *	void *active_space	[own, read by others] the struct hal_space that the root register names; NULL: the kernel's
 *	u64 tlb_gen		[own] the generation that this CPU's TLB has caught up with
 *	u32 tlb_lazy		[own, read by others] no user address of it is used here: 0, HAL_LAZY or HAL_LAZY_QUIET
 *
 * Whoever loads a root by other means than hal_space_activate() keeps interrupts off until the old one is back.
 */
#include <hal/percpu.h>

#define HAL_LAZY	1u
#define HAL_LAZY_QUIET	2u

/* Beyond so many pages everything of the space is flushed instead of single pages. */
#define HAL_TLB_RANGE_PAGES 33

/*
 * Who runs an address space. Part of struct vm_space; zeroed by hal_space_init() and read by flushes.
 */
struct hal_space {
	u64 gen;			/* [a] flushes so far */
	u64 cpus[HAL_MAX_CPUS / 64];	/* [a] bit per CPU whose root register names it */
};

static inline void hal_space_init(struct hal_space *s)
{
	s->gen = 0;
	for (unsigned int i = 0; i < HAL_MAX_CPUS / 64; i++)
		s->cpus[i] = 0;
}

/* Is [start, end) flushed page by page? end = ~0 means all, which never is. */
static inline bool hal_tlb_is_short(vaddr_t start, vaddr_t end)
{
	return end > start && end - start <= HAL_TLB_RANGE_PAGES << 12;
}

/* This CPU only. Any context with preemption off. The second leaves GLOBAL entries alone. */
void hal_tlb_flush_local_page(vaddr_t va);
void hal_tlb_flush_local_all(void);
/* User addresses [start, end): page by page when that is short, else all. */
void hal_tlb_flush_local_range(vaddr_t start, vaddr_t end);
/* Kernel addresses [start, end), GLOBAL ones too; the same rule. */
void hal_tlb_flush_local_kernel(vaddr_t start, vaddr_t end);

/* From here on this CPU uses no user address, until it activates or resumes. The switch to a kernel thread. */
static inline void hal_space_set_lazy(void)
{
	__atomic_store_n(&hal_percpu()->tlb_lazy, HAL_LAZY, __ATOMIC_RELEASE);
}

/* The same for the running program's thread, which stays. Preemption off. */
static inline void hal_space_set_quiet(void)
{
	__atomic_store_n(&hal_percpu()->tlb_lazy, HAL_LAZY_QUIET, __ATOMIC_RELEASE);
}

static inline bool hal_space_is_lazy(void)
{
	return __atomic_load_n(&hal_percpu()->tlb_lazy, __ATOMIC_RELAXED) != 0;
}

static inline bool hal_space_is_quiet(void)
{
	return __atomic_load_n(&hal_percpu()->tlb_lazy, __ATOMIC_RELAXED) == HAL_LAZY_QUIET;
}

/*
 * Ends what hal_space_set_quiet() said, where no flush was missed. False: it takes hal_space_resume(), before preemption
 * is on again. Preemption off.
 */
static inline bool hal_space_end_quiet(void)
{
	struct hal_percpu *pc = hal_percpu();
	const struct hal_space *space;

	(void)__atomic_exchange_n(&pc->tlb_lazy, 0u, __ATOMIC_SEQ_CST);
	space = (const struct hal_space *)pc->active_space;	/* NULL: it was dropped */
	return space && __atomic_load_n(&space->gen, __ATOMIC_ACQUIRE) == pc->tlb_gen;
}

/*
 * Ends that: the CPU uses `space` again, whose root table is at `root`, and which was activated here last. Interrupts or
 * preemption off.
 */
void hal_space_resume(paddr_t root, struct hal_space *space);

/* A lazy CPU goes over to the kernel's own root and leaves the set. The space stays referenced. Interrupts off. */
void hal_space_drop(void);

#endif
