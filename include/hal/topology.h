/* SPDX-License-Identifier: MIT */
#ifndef HAL_TOPOLOGY_H
#define HAL_TOPOLOGY_H

/*
 * Where a CPU sits. Numbers are the machine's own, unique at their level within the level above: two CPUs are
 * siblings when package, die and core agree, and share their last cache when llc_id agrees.
 */
#include <lib/types.h>

struct hal_topology {
	u32 package;	/* physical_package_id */
	u32 die;	/* within the package */
	u32 core;	/* within the die (core_id) */
	u32 thread;	/* within the core */
	u32 llc_id;	/* unique in the machine: CPUs with the same share the last level of cache */
	u32 node;	/* NUMA node, 0 without tables that say so */
	u32 apic_id;	/* the machine's own number */
};

/* Of a CPU below hal_cpu_count(); fixed once it has been online for the first time, before that a guess by its id. Any context. */
void hal_cpu_topology(u32 cpu, struct hal_topology *out);

/* A cache of a CPU, as CPUID describes it. */
struct hal_cache {
	u8 level;
	char type;		/* 'D' data, 'I' instructions, 'U' both */
	u32 id;			/* CPUs with the same share it */
	u32 line_bytes, ways, partitions, sets;
	u64 bytes;
};
/* The i-th cache of that CPU; false past the last one. Any context. */
bool hal_cpu_cache(u32 cpu, u32 i, struct hal_cache *out);

#endif
