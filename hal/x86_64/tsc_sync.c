/* SPDX-License-Identifier: MIT */
/*
 * Do the time stamp counters of all CPUs agree?
 *
 * They do when no CPU ever reads a value that is below one which another has read before. So there is one shared word, the
 * highest value that anybody has read. A round loads it, reads the counter, compares, and raises the word. Who is
 * behind sees a word above his own counter; who is ahead makes the others see it. All new CPUs and the one that starts them
 * do rounds at the same time, in time that is spent waiting anyway. No lock, no turns: any number of CPUs at once.
 *
 * A difference smaller than the way of a cache line from one CPU to another is not seen, and cannot be by a program.
 *
 * Rejected: pairs of CPUs that take turns for milliseconds each (Linux): 64 CPUs would take seconds.
 */
#include <hal/clock.h>
#include <hal/percpu.h>
#include "cpu_state.h"
#include "x86.h"

#define ROUNDS	200u	/* of a new CPU */

static struct {
	u64 highest;	/* [a] */
	u64 warp;	/* [a] the largest step back that was seen, in cycles */
} sync __aligned(64);

#if HALCYON_DEBUG
static struct {
	u32 cpu;	/* 0: none */
	s64 cycles;
} made_up;	/* of the self tests; changed while no CPU starts */

void hal_clock_test_warp(u32 cpu, s64 cycles)
{
	made_up.cpu = cpu;
	made_up.cycles = cycles;
}

static u64 read_counter(void)
{
	return x86_rdtsc() + (u64)(made_up.cpu && hal_cpu_id() == made_up.cpu ? made_up.cycles : 0);
}
#else
static u64 read_counter(void)
{
	return x86_rdtsc();
}
#endif

/* LFENCE: the counter is read after the word (SDM vol. 2B, RDTSC); the barrier of the exchange orders the other side. */
static u64 read_ordered(void)
{
	__asm__ volatile("lfence" : : : "memory");
	return read_counter();
}

static void raise(u64 *word, u64 to)
{
	u64 old = __atomic_load_n(word, __ATOMIC_ACQUIRE);

	while (old < to && !__atomic_compare_exchange_n(word, &old, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
		;
}

void x86_tsc_sync_round(void)
{
	u64 before = __atomic_load_n(&sync.highest, __ATOMIC_ACQUIRE), now = read_ordered();

	if (unlikely(now < before))
		raise(&sync.warp, before - now);
	raise(&sync.highest, now);
}

void x86_tsc_sync_rounds(void)
{
	for (u32 i = 0; i < ROUNDS; i++)
		x86_tsc_sync_round();
}

void x86_tsc_sync_begin(void)
{
	sync.highest = sync.warp = 0;
	x86_tsc_sync_round();
}

void x86_tsc_sync_end(void)
{
	u64 warp;

	x86_tsc_sync_round();
	warp = __atomic_load_n(&sync.warp, __ATOMIC_ACQUIRE);
	if (!warp)
		return;
	upcall_log(4, "smp: the CPUs' time stamp counters differ by %llu cycles", (unsigned long long)warp);
	if (x86_clock_wants_warp_test())
		x86_clock_tsc_unstable("the CPUs' counters differ");
}
