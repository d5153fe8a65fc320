/* SPDX-License-Identifier: MIT */
#ifndef HAL_NUMA_H
#define HAL_NUMA_H

/*
 * Near and far memory: which node each CPU and each piece of RAM belongs to, and how far nodes are from each other.
 *
 * Nodes are numbered from 0 without holes, in the order in which firmware names them. A machine that says nothing, or
 * nonsense, has the one node 0. Known from hal_late_init() on, and fixed from then; any context.
 */
#include <lib/types.h>

#define HAL_MAX_NODES		64
#define HAL_NODE_LOCAL		10	/* distance of a node to itself */
#define HAL_NODE_REMOTE		20	/* to another one, when firmware does not say */

/* As if firmware had said nothing: numa=off. Before hal_late_init(). */
void hal_numa_disable(void);

/* At least 1. */
u32 hal_numa_nodes(void);

/* The node of a CPU that has, or may get, a per-CPU area; 0 for one that firmware does not place. */
u32 hal_numa_node_of_cpu(u32 cpu);

/* The i-th range of memory that firmware places; ranges are sorted and apart. False: there are no more. */
bool hal_numa_memory(u32 i, paddr_t *base, u64 *bytes, u32 *node);

/* HAL_NODE_LOCAL for a == b, more otherwise. Both below hal_numa_nodes(). */
u32 hal_numa_distance(u32 a, u32 b);

#endif
