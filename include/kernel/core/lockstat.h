/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_LOCKSTAT_H
#define KERNEL_CORE_LOCKSTAT_H

/*
 * Contention and hold times of locks, for the debug kernel. All locks of one name and rank are one class. Each CPU
 * counts for itself, so that counting contends for nothing; a reader adds up. Times are hal_cycles().
 *
 * A sleeping lock's hold time contains the holder's sleeps. A read lock counts as a lock.
 */
#include <lib/types.h>

#define LOCK_CLASSES 192u	/* number 0: not looked up; the last one takes all that have no room */

struct lock_stat {
	u64 taken;
	u64 contended;		/* ... after a wait */
	u64 wait;		/* cycles, all waits together */
	u64 wait_max;
	u64 hold;
	u64 hold_max;
	vaddr_t wait_place;	/* who waited longest */
	vaddr_t hold_place;	/* who took what was held longest */
};

#if HALCYON_DEBUG

/* [a] False: nothing is counted. `lock_stat=0` on the command line, or 0 written to /proc/halcyon/locks. */
extern bool lock_stat_on;

/* The number of a class, given out at its first use. Any context but NMI. */
u32 lock_stat_class(const char *name, u32 rank);

/* The book's side. Interrupts off. */
void lock_stat_taken(u32 class, u64 wait, vaddr_t place);
void lock_stat_waited(u32 class, u64 wait, vaddr_t place);
void lock_stat_released(u32 class, u64 held, vaddr_t place);

/* Sums over all CPUs. False: there is no such class. Racy by design. Any context. */
bool lock_stat_read(u32 class, const char **name, u32 *rank, struct lock_stat *out);
/* Starts counting anew. Thread context. */
void lock_stat_reset(void);

#endif
#endif
