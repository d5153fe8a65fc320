/* SPDX-License-Identifier: MIT */
/*
 * TLB shootdown: flushing on every CPU that may remember (the contract: kernel/core/tlb.h; what a CPU does for itself:
 * hal/tlb.h; asking others: xcall.h).
 *
 * Who is asked. For user addresses the CPUs in the space's set, but those that are lazy: a CPU that runs a kernel thread
 * makes up for what it missed before it uses a user address again, by the space's generation. So does one that is quiet: a
 * program's thread in a fault, or changing its mappings (vm_quiet_begin()). When page tables go, lazy
 * CPUs are asked too, once: they leave the space, and are in nobody's way from then on. (Rejected: leaving idle CPUs alone and
 * telling them by a flag. They wake up on the old root, and a CPU may walk tables, and set accessed bits in them, for
 * addresses that it never uses; the memory could be anything by then.) For kernel addresses all online CPUs.
 *
 * Generations. A flush counts the space's up, and a CPU that is asked does nothing when it has caught up already: of many
 * flushes that are under way to it the first one serves for all. One that is exactly one behind flushes the range; who is
 * further behind, or asked for a long range, flushes all.
 *
 * Order. Page table written; generation counted up (a full barrier); set and laziness read. hal/x86_64/space.c has the other
 * halves.
 *
 * A CPU that comes online flushes everything once it can be asked (hal_smp_online()), because it ran
 * on the kernel's tables before.
 *
 *	[own] the CPU whose variable it is; read by CPUs in slot.waiting
 */
#define LOG_TAG "tlb"
#include <hal/ipi.h>
#include <hal/mem.h>
#include <hal/tlb.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/preempt.h>
#include <kernel/core/tlb.h>
#include "xcall.h"

struct tlb_slot {
	struct xcall_slot slot;
	struct hal_space *space;	/* [own] NULL: kernel addresses */
	vaddr_t start, end;		/* [own] */
	u64 gen;			/* [own] that the flush made */
	u32 what;			/* [own] */
};

static DEFINE_PER_CPU(struct tlb_slot, tlb_slots);
static DEFINE_PER_CPU(struct xcall_box, tlb_boxes);
static DEFINE_PER_CPU(struct tlb_stats, tlb_cpu_stats);	/* [own] */

/* ---- on one CPU -------------------------------------------------------------------------------- */

/* Page by page where that is short, else everything of the running space. */
static inline void flush_range(vaddr_t start, vaddr_t end, struct tlb_stats *stats)
{
	if (likely(end - start == HAL_PAGE_SIZE)) {
		stats->pages++;
		hal_tlb_flush_local_page(start);
	} else if (hal_tlb_is_short(start, end)) {
		stats->pages += (end - start + HAL_PAGE_SIZE - 1) / HAL_PAGE_SIZE;
		hal_tlb_flush_local_range(start, end);
	} else {
		stats->full++;
		hal_tlb_flush_local_all();
	}
}

static void flush_kernel(vaddr_t start, vaddr_t end, struct tlb_stats *stats)
{
	if (hal_tlb_is_short(start, end))
		stats->pages += (end - start + HAL_PAGE_SIZE - 1) / HAL_PAGE_SIZE;
	else
		stats->full++;
	hal_tlb_flush_local_kernel(start, end);
}

/* Interrupts off. This CPU catches up with a flush of the space that made that generation. */
static noinline void flush_space_here(struct hal_space *space, vaddr_t start, vaddr_t end, u64 gen, u32 what, struct tlb_stats *stats)
{
	struct hal_percpu *pc = hal_percpu();
	u64 now;

	if (pc->active_space != space) {
		stats->caught_up++;	/* it has left meanwhile, which flushed everything */
		return;
	}
	if (pc->tlb_lazy) {
		if (what & TLB_TABLES) {
			hal_space_drop();
			stats->dropped++;
		}
		return;
	}
	if (pc->tlb_gen >= gen) {
		stats->caught_up++;
		return;
	}
	if (pc->tlb_gen + 1 == gen) {
		flush_range(start, end, stats);
		pc->tlb_gen = gen;
		return;
	}
	now = smp_load_acquire(&space->gen);	/* before the flush, which then serves for all up to it */
	hal_tlb_flush_local_all();
	stats->full++;
	pc->tlb_gen = now;
}

static void tlb_serve(u32 sender)
{
	const struct tlb_slot *s = per_cpu_ptr(&tlb_slots, sender);
	struct tlb_stats *stats = this_cpu_ptr(&tlb_cpu_stats);

	stats->received++;
	if (s->space) {
		flush_space_here(s->space, s->start, s->end, s->gen, s->what, stats);
		return;
	}
	flush_kernel(s->start, s->end, stats);
}

static const struct xcall_kind tlb_kind = {
	.what = "TLB flush", .interrupt = hal_ipi_tlb, .slot = &tlb_slots.slot, .box = &tlb_boxes, .serve = tlb_serve,
};

void upcall_ipi_tlb(void)
{
	(void)xcall_take(&tlb_kind);
}

/* ---- on all of them ---------------------------------------------------------------------------- */

/* Preemption off. Asks who is in slot.waiting, and waits. */
static void ask_others(struct tlb_slot *s, struct tlb_stats *stats)
{
	u32 cpu;

	xcall_assert_may_wait();
	cpumask_for_each(cpu, &s->slot.waiting) {
		if (xcall_post(&tlb_kind, cpu))
			stats->sent++;
		else
			stats->coalesced++;
	}
	smp_mb();	/* the posts, before who is online: xcall.h */
	if (!xcall_reap(&tlb_kind))
		stats->hangs += xcall_wait(&tlb_kind);
}

/* Preemption off. Puts those into slot.waiting that must be asked; *ask: there are some. True: some run the space. */
static bool choose_others(struct tlb_slot *s, struct tlb_stats *stats, bool *ask)
{
	u32 me = hal_cpu_id(), asked = 0, lazy = 0, quiet = 0, online, words = DIV_ROUND_UP(hal_cpu_count(), 64);

	for (u32 word = 0; word < words; word++) {
		u64 bits = READ_ONCE(s->space->cpus[word]);

		for (; bits; bits &= bits - 1) {
			u32 cpu = word * 64 + (u32)__builtin_ctzll(bits), how;

			if (cpu == me)
				continue;
			how = s->what & TLB_TABLES ? 0 : smp_load_acquire(&hal_percpu_of(cpu)->tlb_lazy);
			if (how) {
				lazy += how == HAL_LAZY;
				quiet += how == HAL_LAZY_QUIET;
				continue;
			}
			cpumask_atomic_set(&s->slot.waiting, cpu);
			asked++;
		}
	}
	stats->lazy += lazy;
	stats->quiet += quiet;
	online = hal_cpu_online_count() - 1;
	stats->avoided += online - MIN(asked + lazy + quiet, online);
	*ask = asked != 0;
	return asked + quiet != 0;
}

/* Preemption off. */
static noinline bool flush_space_elsewhere(struct hal_space *space, vaddr_t start, vaddr_t end, u64 gen, u32 what)
{
	struct tlb_slot *s = this_cpu_ptr(&tlb_slots);
	struct tlb_stats *stats = this_cpu_ptr(&tlb_cpu_stats);
	bool ask, run;

	s->space = space;
	s->start = start;
	s->end = end;
	s->gen = gen;
	s->what = what;
	run = choose_others(s, stats, &ask);
	if (ask)
		ask_others(s, stats);
	return run;
}

/*
 * The first half, which is all of it on one CPU, lies in the path of copy on write and of every unmapping. A CPU that is lazy or
 * quiet and one behind flushes, too: that costs less than what it would have to do later.
 */
bool tlb_flush_space(struct hal_space *space, vaddr_t start, vaddr_t end, u32 what)
{
	irqflags_t f = hal_irq_save();
	struct tlb_stats *stats = this_cpu_ptr(&tlb_cpu_stats);
	struct hal_percpu *pc = hal_percpu();
	u64 gen = __atomic_add_fetch(&space->gen, 1, __ATOMIC_SEQ_CST);
	bool run;

	stats->flushes++;
	if (likely(pc->active_space == space && pc->tlb_gen + 1 == gen)) {
		flush_range(start, end, stats);
		pc->tlb_gen = gen;
	} else if (pc->active_space == space) {
		flush_space_here(space, start, end, gen, what, stats);
	}
	if (hal_cpu_count() == 1) {
		hal_irq_restore(f);
		return false;
	}
	preempt_disable();
	hal_irq_restore(f);
	run = flush_space_elsewhere(space, start, end, gen, what);
	preempt_enable();
	return run;
}

void tlb_flush_kernel(vaddr_t start, vaddr_t end)
{
	struct tlb_stats *stats;
	struct tlb_slot *s;
	u32 cpu;

	preempt_disable();
	stats = this_cpu_ptr(&tlb_cpu_stats);
	stats->flushes++;
	flush_kernel(start, end, stats);
	if (hal_cpu_count() > 1) {
		smp_mb();	/* the page table, before who is online */
		s = this_cpu_ptr(&tlb_slots);
		s->space = NULL;
		s->start = start;
		s->end = end;
		for_each_online_cpu(cpu)
			if (cpu != hal_cpu_id())
				cpumask_atomic_set(&s->slot.waiting, cpu);
		if (!cpumask_empty(&s->slot.waiting))
			ask_others(s, stats);
	}
	preempt_enable();
}

/* ---- set-up and figures ------------------------------------------------------------------------ */

void tlb_stats(u32 cpu, struct tlb_stats *out)
{
	*out = *per_cpu_ptr(&tlb_cpu_stats, cpu);
}

void tlb_count_deferred(void)
{
	preempt_disable();
	this_cpu_ptr(&tlb_cpu_stats)->deferred++;
	preempt_enable();
}

static void tlb_starting(u32 cpu)
{
	(void)cpu;
	xcall_reset(&tlb_kind);
}

const struct cpuhp_step tlb_cpuhp = { .name = "tlb", .starting = tlb_starting };
