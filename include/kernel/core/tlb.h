/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_TLB_H
#define KERNEL_CORE_TLB_H

/*
 * Flushing translations on all CPUs that may have them. Change the page table first, then flush, then reuse what was
 * mapped: when these return no CPU can use the old translation any more.
 *
 * Thread context, or under spinlocks of ranks before LOCK_RANK_IRQ_FIRST; interrupts on, as other CPUs are waited for, which
 * may be waiting for this one (with one CPU online anything goes). Nobody may take such a lock with interrupts off, then:
 * he could spin for a holder that waits for him. The debug kernel checks both.
 */
#include <hal/tlb.h>
#include <lib/compiler.h>

/* What went. TABLES: page tables too, so that even CPUs which use no user address now must let go of them. */
#define TLB_PAGES	0u
#define TLB_TABLES	1u

/*
 * User addresses [start, end) of the space; end = ~0 means all. True: other CPUs run threads of the space, whether they had
 * to be interrupted or not (a hint).
 */
bool tlb_flush_space(struct hal_space *space, vaddr_t start, vaddr_t end, u32 what);
/* Kernel addresses [start, end). */
void tlb_flush_kernel(vaddr_t start, vaddr_t end);

struct tlb_stats {
	u64 flushes;	/* asked for on this CPU */
	u64 sent;	/* interrupts to others */
	u64 coalesced;	/* requests that joined an interrupt under way */
	u64 lazy;	/* CPUs not asked because they run a kernel thread */
	u64 quiet;	/* CPUs not asked because they are in the kernel, far from user addresses, and look before they use one */
	u64 avoided;	/* CPUs not asked because they do not run the space */
	u64 received;	/* requests of others served here */
	u64 caught_up;	/* ... which a flush before had served already */
	u64 dropped;	/* spaces that this CPU left because their tables went */
	u64 pages;	/* flushed here one by one */
	u64 full;	/* flushes here of everything */
	u64 deferred;	/* kernel ranges whose flush waited for a later one (mm/kmap.h) */
	u64 hangs;	/* CPUs reported for not answering */
};
/* Racy. */
void tlb_stats(u32 cpu, struct tlb_stats *out);
/* For who puts a flush off and lets another one serve for it. Any context. */
void tlb_count_deferred(void);

extern const struct cpuhp_step tlb_cpuhp;

#endif
