/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_SMPCALL_H
#define KERNEL_CORE_SMPCALL_H

/*
 * Running a function on other CPUs, by interrupt.
 *
 * fn(arg) runs there in interrupt context, interrupts off: short, no sleeping, locks from LOCK_RANK_IRQ_FIRST on. On the
 * calling CPU, where that is among the targets, it is simply called, interrupts off. The order between CPUs is open. What the
 * caller wrote before is visible to fn, and with `wait` what fn wrote is visible afterwards.
 *
 * smp_call_one/many/all: thread context or a spinlock of a rank before LOCK_RANK_IRQ_FIRST, interrupts on, because
 * they may wait for others (even without `wait`: for this CPU's call before), who may wait for this CPU. The debug kernel
 * asserts it. Without `wait` they return before fn has run everywhere; arg must live on.
 *
 * smp_call_async: any context, any lock, never waits.
 *
 * A CPU that is not online, or goes while it is asked, is left out: with smp_call_one() that is -ENXIO.
 */
#include <kernel/core/cpumask.h>
#include <lib/compiler.h>

typedef void (*smp_call_fn)(void *arg);

int smp_call_one(u32 cpu, smp_call_fn fn, void *arg, bool wait);
void smp_call_many(const struct cpumask *mask, smp_call_fn fn, void *arg, bool wait);
/* Every online CPU, this one among them. */
void smp_call_all(smp_call_fn fn, void *arg, bool wait);

/* The caller's memory; free for the next use when fn begins. Zeroed at first. */
struct smp_async {
	struct smp_async *next;	/* [a] */
	u32 busy;		/* [a] */
	smp_call_fn fn;		/* [own] of who made it busy */
	void *arg;		/* the same */
};

/* 0; -EBUSY: it is still under way from last time, and fn will begin after this moment; -ENXIO: not online. */
int smp_call_async(u32 cpu, struct smp_async *call, smp_call_fn fn, void *arg);

struct smp_call_stats {
	u64 calls;	/* asked for */
	u64 sent;	/* interrupts */
	u64 coalesced;	/* that joined an interrupt under way */
	u64 served;	/* functions that ran by interrupt */
	u64 hangs;	/* CPUs reported for not answering */
};
void smp_call_stats(u32 cpu, struct smp_call_stats *out);

/* A CPU that does not answer a call or a flush for so long is reported, and asked again; self tests shorten it. */
#define XCALL_REPORT_NS 10000000000ull
extern u64 xcall_report_ns;

extern const struct cpuhp_step smpcall_cpuhp;

#endif
