/* SPDX-License-Identifier: MIT */
/* The machine behind pci_config.c: port I/O, mappings and the log; and ports and device memory for drivers. */
#include "acpi_glue.h"
#include "pci_config.h"
#include "x86.h"

u32 hal_port_read(u32 port, u32 bytes)
{
	switch (bytes) {
	case 1:
		return x86_inb((u16)port);
	case 2:
		return x86_inw((u16)port);
	default:
		return x86_inl((u16)port);
	}
}

void hal_port_write(u32 port, u32 bytes, u32 value)
{
	switch (bytes) {
	case 1:
		x86_outb((u16)port, (u8)value);
		break;
	case 2:
		x86_outw((u16)port, (u16)value);
		break;
	default:
		x86_outl((u16)port, value);
	}
}

/* Device memory is mapped uncached: one load or store of that size is one access, and they stay in order (SDM vol. 3A 11.3). */
u8 hal_mmio_read8(const volatile void *p)
{
	return *(const volatile u8 *)p;
}

u16 hal_mmio_read16(const volatile void *p)
{
	return *(const volatile u16 *)p;
}

u32 hal_mmio_read32(const volatile void *p)
{
	return *(const volatile u32 *)p;
}

void hal_mmio_write8(volatile void *p, u8 v)
{
	*(volatile u8 *)p = v;
}

void hal_mmio_write16(volatile void *p, u16 v)
{
	*(volatile u16 *)p = v;
}

void hal_mmio_write32(volatile void *p, u32 v)
{
	*(volatile u32 *)p = v;
}

static void glue_report(const char *what, u64 address)
{
	upcall_log(4, "pci: %s (%llx)", what, (unsigned long long)address);
}

void x86_pci_setup_machine(void)
{
	static const struct x86_pci_access access = {
		.in = hal_port_read, .out = hal_port_write, .map = upcall_mmio_map, .report = glue_report,
	};

	x86_pci_setup(&access, x86_acpi.segments, x86_acpi.nr_segments);
}

bool hal_pci_root_hint(u32 i, u8 *bus, int *node)
{
	const struct acpi_root_bus *r = &x86_acpi.root_buses[i];

	if (i >= x86_acpi.nr_root_buses)
		return false;
	*bus = r->bus;
	*node = r->has_domain ? x86_numa_node_of_domain(r->domain) : -1;
	return true;
}
