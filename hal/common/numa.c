/* SPDX-License-Identifier: MIT */
/*
 * From proximity domains to nodes.
 *
 * A domain is any 32-bit number; a node is its place in the order in which the SRAT names them, processors first
 * (Linux numbers them so, and people compare). What is beyond HAL_MAX_NODES becomes part of node 0: the machine works,
 * only slower. A SRAT without memory, or one that puts all in one domain, gives the one node of a machine without it.
 *
 * The SLIT is indexed by domain; a domain that is beyond it has the distances of a machine without SLIT.
 */
#include <lib/string.h>

#include <hal/numa_map.h>

#define NO_NODE UINT32_MAX

static u32 find_node(const struct numa_map *map, u32 domain)
{
	for (u32 i = 0; i < map->nodes; i++)
		if (map->domain_of[i] == domain)
			return i;
	return NO_NODE;
}

static void add_domain(struct numa_map *map, u32 domain)
{
	if (find_node(map, domain) != NO_NODE)
		return;
	if (map->nodes == HAL_MAX_NODES)
		map->nodes_dropped++;
	else
		map->domain_of[map->nodes++] = domain;
}

static u32 node_or_first(const struct numa_map *map, u32 domain)
{
	u32 node = find_node(map, domain);

	return node == NO_NODE ? 0 : node;
}

/* Sorted insertion. The parser let no two domains overlap; one domain's ranges may. */
static void add_range(struct numa_map *map, const struct acpi_memory_affinity *m)
{
	u32 i = map->nr_ranges++;

	for (; i > 0 && map->ranges[i - 1].base > m->base; i--)
		map->ranges[i] = map->ranges[i - 1];
	map->ranges[i] = (struct numa_range){ m->base, m->bytes, node_or_first(map, m->domain) };
}

static void merge_ranges(struct numa_map *map)
{
	u32 out = 0;

	for (u32 i = 1; i < map->nr_ranges; i++) {
		struct numa_range *last = &map->ranges[out], *r = &map->ranges[i];
		u64 end = last->base + last->bytes;

		if (r->node == last->node && r->base <= end)
			last->bytes = MAX(end, r->base + r->bytes) - last->base;
		else
			map->ranges[++out] = *r;
	}
	if (map->nr_ranges)
		map->nr_ranges = out + 1;
}

static void set_distances(const struct acpi_info *info, struct numa_map *map)
{
	for (u32 a = 0; a < map->nodes; a++) {
		for (u32 b = 0; b < map->nodes; b++) {
			u32 from = map->domain_of[a], to = map->domain_of[b];

			if (from < info->slit_domains && to < info->slit_domains)
				map->distance[a][b] = info->slit[from * info->slit_domains + to];
			else
				map->distance[a][b] = a == b ? HAL_NODE_LOCAL : HAL_NODE_REMOTE;
		}
	}
}

static void one_node(struct numa_map *map)
{
	memset(map, 0, sizeof(*map));
	map->nodes = 1;
	map->distance[0][0] = HAL_NODE_LOCAL;
}

void numa_build(const struct acpi_info *info, struct numa_map *map)
{
	memset(map, 0, sizeof(*map));
	for (u32 i = 0; i < info->nr_cpu_affinity; i++)
		add_domain(map, info->cpu_affinity[i].domain);
	for (u32 i = 0; i < info->nr_memory_affinity; i++)
		add_domain(map, info->memory_affinity[i].domain);
	if (map->nodes < 2 || !info->nr_memory_affinity) {
		one_node(map);
		return;
	}
	for (u32 i = 0; i < info->nr_memory_affinity; i++)
		add_range(map, &info->memory_affinity[i]);
	merge_ranges(map);
	set_distances(info, map);
}

u32 numa_node_of_apic(const struct acpi_info *info, const struct numa_map *map, u32 apic_id)
{
	for (u32 i = 0; i < info->nr_cpu_affinity; i++)
		if (info->cpu_affinity[i].apic_id == apic_id)
			return node_or_first(map, info->cpu_affinity[i].domain);
	return 0;
}

int numa_node_of_domain(const struct numa_map *map, u32 domain)
{
	u32 node = find_node(map, domain);

	return map->nodes < 2 || node == NO_NODE ? -1 : (int)node;
}
