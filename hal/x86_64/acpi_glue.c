/* SPDX-License-Identifier: MIT */
/*
 * The ACPI parser's eyes: physical memory through the direct map where it has the page, through a device
 * mapping where it has not (some firmware keeps tables in reserved memory). Whether it has is found by
 * reading: hal_kernel_load_u64() survives a hole.
 */
#include <hal/numa_map.h>
#include <hal/uaccess.h>
#include "acpi_glue.h"
#include "x86.h"

struct acpi_info x86_acpi;
static bool numa_off;		/* [I] after boot */
static struct numa_map numa;	/* [I] after x86_acpi_init() */

static bool direct_map_has(paddr_t paddr, u64 len)
{
	u64 word, va = (u64)hal_phys_to_virt(paddr & ~7ull);
	u64 end = (u64)hal_phys_to_virt(paddr + len);

	if (paddr + len < paddr || paddr + len > hal_direct_map_length)
		return false;
	for (; va < end; va = (va & HAL_PAGE_MASK) + HAL_PAGE_SIZE)
		if (!hal_kernel_load_u64(va, &word))
			return false;
	return true;
}

const void *x86_firmware_map(void *ctx, paddr_t paddr, u64 len)
{
	if (len == 0 || len > MIB || paddr + len < paddr || !direct_map_has(paddr, len))
		return NULL;
	return hal_phys_to_virt(paddr);
}

static const void *acpi_map(void *ctx, paddr_t paddr, u64 len)
{
	const void *p = x86_firmware_map(ctx, paddr, len);

	if (p || len == 0 || len > MIB || paddr + len < paddr)
		return p;
	return upcall_mmio_map(paddr, len);
}

static void acpi_report(void *ctx, const char *what, const char *table, paddr_t paddr)
{
	upcall_log(4, "acpi: %s at %llx: %s", table ? table : "table", (unsigned long long)paddr, what);
}

void x86_acpi_init(u64 rsdp)
{
	static const struct acpi_access access = { .map = acpi_map, .report = acpi_report };
	int err = acpi_parse(rsdp, &access, &x86_acpi);

	if (!numa_off)
		numa_build(&x86_acpi, &numa);
	if (err) {
		upcall_log(4, "acpi: no usable tables (%d): going on with a PC's defaults", err);
		return;
	}
	upcall_log(6, "acpi: revision %u, %s: %u tables, %u CPUs, %u I/O APICs%s%s", x86_acpi.revision,
		   x86_acpi.oem, x86_acpi.nr_tables, x86_acpi.nr_cpus, x86_acpi.nr_ioapics,
		   x86_acpi.hpet_paddr ? ", HPET" : "", x86_acpi.has_s5 ? "" : ", no S5");
	if (numa.nodes > 1)
		upcall_log(6, "acpi: %u nodes, %u ranges of memory", numa.nodes, numa.nr_ranges);
	if (numa.nodes_dropped)
		upcall_log(4, "acpi: more than %u nodes: the others count as node 0", HAL_MAX_NODES);
}

/* ---- nodes: hal/numa.h ---- */

void hal_numa_disable(void)
{
	numa_off = true;
}

u32 hal_numa_nodes(void)
{
	return MAX(numa.nodes, 1u);
}

u32 x86_numa_node_of_apic(u32 apic_id)
{
	return numa.nodes > 1 ? numa_node_of_apic(&x86_acpi, &numa, apic_id) : 0;
}

int x86_numa_node_of_domain(u32 domain)
{
	return numa_node_of_domain(&numa, domain);
}

u32 hal_numa_node_of_cpu(u32 cpu)
{
	const struct hal_percpu *pc = hal_percpu_of(cpu);

	return pc ? x86_numa_node_of_apic(pc->apic_id) : 0;
}

bool hal_numa_memory(u32 i, paddr_t *base, u64 *bytes, u32 *node)
{
	if (i >= numa.nr_ranges)
		return false;
	*base = numa.ranges[i].base;
	*bytes = numa.ranges[i].bytes;
	*node = numa.ranges[i].node;
	return true;
}

u32 hal_numa_distance(u32 a, u32 b)
{
	return a < numa.nodes && b < numa.nodes ? numa.distance[a][b] : HAL_NODE_LOCAL;
}
