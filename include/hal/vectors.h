/* SPDX-License-Identifier: MIT */
#ifndef HAL_VECTORS_H
#define HAL_VECTORS_H

/*
 * Which interrupt vector of which CPU is taken: for the interrupt code of a HAL whose CPUs each have a vector table of
 * their own. Portable, without locks and memory of its own: the caller serialises all calls and gives each CPU's part.
 *
 * A freshly freed vector is the last to be given out again on its CPU, so that what a device still sends to it is more
 * likely to meet nobody than somebody else.
 */
#include <lib/bitmap.h>

#define VECTORS_PER_CPU 256u
#define VECTORS_MAX_CPUS 512u	/* = HAL_MAX_CPUS, which portable HAL code does not see */

struct vectors_cpu {
	DECLARE_BITMAP(used, VECTORS_PER_CPU);
	u32 free;
	u32 next;		/* where the next search starts */
	bool open;		/* may be chosen */
};

struct vectors {
	u32 first, last;	/* what may be given out */
	struct vectors_cpu *cpu[VECTORS_MAX_CPUS];
};

void vectors_init(struct vectors *v, u32 first, u32 last);
/* A CPU's part, closed, with all its vectors free. */
void vectors_add_cpu(struct vectors *v, u32 cpu, struct vectors_cpu *part);
/* Opens or closes it for new vectors; those that it has stay. False: it has no part. */
bool vectors_open(struct vectors *v, u32 cpu, bool open);
bool vectors_is_open(const struct vectors *v, u32 cpu);
/* Is there an open CPU in the mask? */
bool vectors_any_open(const struct vectors *v, const u64 *mask);

/* A vector on the open CPU of the mask that has most left. 0; -EINVAL no open CPU in it; -ENOSPC none free there. */
int __must_check vectors_alloc(struct vectors *v, const u64 *mask, u32 *cpu, u32 *vector);

/*
 * A vector for something that moves away from (from_cpu, from_vector) to another open CPU of the mask. The same number
 * where the other CPU has it free; else a number that is free on both, which is then taken on both: so there is an order of
 * two single changes, first the number, then the CPU, of which each leaves a pair that is the mover's. *both says so.
 * Errors as above; from_cpu itself is not looked at.
 */
int __must_check vectors_alloc_move(struct vectors *v, const u64 *mask, u32 from_cpu, u32 from_vector, u32 *cpu,
				    u32 *vector, bool *both);

void vectors_free(struct vectors *v, u32 cpu, u32 vector);
/* For statistics and tests. */
u32 vectors_count_used(const struct vectors *v, u32 cpu);

#endif
