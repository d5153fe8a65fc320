/* SPDX-License-Identifier: MIT */
#ifndef HAL_NUMA_MAP_H
#define HAL_NUMA_MAP_H

/* The machine's nodes, made of what the ACPI tables say: plain data, for the HAL that has an acpi_info. */
#include <hal/acpi.h>
#include <hal/numa.h>

struct numa_range {
	paddr_t base;
	u64 bytes;
	u32 node;
};

struct numa_map {
	u32 nodes;			/* at least 1 */
	u32 nodes_dropped;		/* did not fit: theirs is counted as node 0 */
	u32 domain_of[HAL_MAX_NODES];
	struct numa_range ranges[ACPI_MAX_MEMORY];	/* sorted, apart, no neighbours alike */
	u32 nr_ranges;
	u8 distance[HAL_MAX_NODES][HAL_MAX_NODES];
};

/* Never fails: without usable tables the map has one node and no ranges. */
void numa_build(const struct acpi_info *info, struct numa_map *map);
/* -1: no node of the map. */
int numa_node_of_domain(const struct numa_map *map, u32 domain);
/* 0 when the tables do not place it. */
u32 numa_node_of_apic(const struct acpi_info *info, const struct numa_map *map, u32 apic_id);

#endif
