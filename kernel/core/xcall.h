/* SPDX-License-Identifier: MIT */
#ifndef CORE_XCALL_H
#define CORE_XCALL_H

/*
 * What calls (smpcall.c) and flushes (tlb.c) have in common: one CPU asks many, by interrupt, and waits.
 *
 * A sender has one slot of each kind: what it wants (the kind's own data) and `waiting`, the CPUs that have not answered. A
 * receiver has one box: a bit for each sender that wants something, and a word that says that an interrupt is under way.
 * Posting sets the bit and sends an interrupt unless one is under way; the receiver clears the word, takes the bits, serves
 * each sender's slot, and takes itself out of that sender's `waiting`. So a storm of senders costs a receiver few
 * interrupts, nothing is allocated, and who does not answer has a name.
 *
 * A receiver may go offline. It is asked only while online, and the sender looks again afterwards: a CPU that is gone by
 * then either has taken the bit, and answers, or the sender takes it back. No CPU's going needs the others to stand still.
 *
 * Waiting is done with interrupts on, so that two CPUs that ask each other both answer.
 */
#include <kernel/core/percpu.h>

struct xcall_slot {
	struct cpumask waiting;	/* [a] */
	u32 missed;		/* [own] CPUs that went before they took the request */
};

struct xcall_box {
	u32 signalled;		/* [a] */
	struct cpumask from;	/* [a] */
};

struct xcall_kind {
	const char *what;			/* for the hang report */
	void (*interrupt)(u32 cpu);
	struct xcall_slot *slot;		/* per-CPU variables */
	struct xcall_box *box;
	void (*serve)(u32 sender);		/* what that sender's slot wants, on this CPU */
};

/* Preemption off, CPU != this one, in `waiting` already. True: it took an interrupt. */
bool xcall_post(const struct xcall_kind *k, u32 cpu);
/* Preemption off. Takes back what offline CPUs were asked. True: nobody is waited for. */
bool xcall_reap(const struct xcall_kind *k);
/* Preemption off, interrupts on. Until all have answered; returns how many hangs were reported. */
u32 xcall_wait(const struct xcall_kind *k);
/* The interrupt. Interrupts off. Returns how many senders were served. */
u32 xcall_take(const struct xcall_kind *k);
/* A CPU before it is online: what its earlier life left is void. */
void xcall_reset(const struct xcall_kind *k);

/* May this context wait for other CPUs? Debug kernel: a bug is reported when not. */
void xcall_assert_may_wait(void);

#endif
