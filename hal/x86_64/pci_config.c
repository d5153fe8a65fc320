/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space.
 *
 * Two ways in. The ports CF8h/CFCh are an index and a data register that all CPUs share, so they are used under a lock with
 * interrupts off; they reach the first 256 bytes of the functions of segment 0. ECAM maps 4 KiB of each function into
 * memory, a megabyte a bus; no lock. Where it is stands in the MCFG table, and that is one of the tables that firmware gets
 * wrong: a range that is not there reads as all ones and may be somebody else's memory for a write. So a range of segment
 * 0 is believed only if the functions of its first bus show the same identities there as through the ports, of
 * which at least one exists. Another segment has no ports to compare with: one existing function on its first bus will do.
 * Without a range that is believed, the ports alone serve.
 *
 * A bus is mapped when it is opened, not before: the whole of a segment would take 256 MiB of addresses.
 *
 *	[I] after x86_pci_setup(), [p] port_lock, [a] published with a release
 */
#include <hal/cpu.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include "pci_config.h"

#define MAX_RANGES	ACPI_MAX_SEGMENTS
#define BUSES		256u
#define DEVICES		32u
#define NOBODY		0xffffffffu

struct pci_range {
	struct hal_pci_segment is;	/* [I] */
	paddr_t paddr;			/* [I] of its bus 0, as the MCFG counts; 0: the ports */
	volatile u8 *buses[BUSES];	/* [a] mappings of those that are open */
	bool open[BUSES];		/* [a] */
};

static struct pci_range ranges[MAX_RANGES];	/* [I] but for the buses */
static u32 nr_ranges;				/* [I] */
static const struct x86_pci_access *io;		/* [I] */
static u32 port_lock;

/* ---- ports ---- */

static irqflags_t lock_ports(void)
{
	irqflags_t f = hal_irq_save();

	while (xchg(&port_lock, 1u))
		hal_cpu_relax();
	return f;
}

static void unlock_ports(irqflags_t f)
{
	smp_store_release(&port_lock, 0u);
	hal_irq_restore(f);
}

static u32 port_address(u32 bus, u32 devfn, u32 offset)
{
	return PCI_CONFIG_ENABLE | bus << 16 | devfn << 8 | (offset & 0xfc);
}

static u32 ports_read(u32 bus, u32 devfn, u32 offset, u32 bytes)
{
	irqflags_t f = lock_ports();
	u32 v;

	io->out(PCI_CONFIG_ADDRESS, 4, port_address(bus, devfn, offset));
	v = io->in(PCI_CONFIG_DATA + (offset & 3), bytes);
	unlock_ports(f);
	return v;
}

static void ports_write(u32 bus, u32 devfn, u32 offset, u32 bytes, u32 value)
{
	irqflags_t f = lock_ports();

	io->out(PCI_CONFIG_ADDRESS, 4, port_address(bus, devfn, offset));
	io->out(PCI_CONFIG_DATA + (offset & 3), bytes, value);
	unlock_ports(f);
}

/* The index register keeps what was written to it, which nothing but a host bridge's does (PCI 3.0 §3.2.2.3.2). */
static bool ports_exist(void)
{
	irqflags_t f = lock_ports();
	u32 old = io->in(PCI_CONFIG_ADDRESS, 4), seen;

	io->out(PCI_CONFIG_ADDRESS, 4, PCI_CONFIG_ENABLE);
	seen = io->in(PCI_CONFIG_ADDRESS, 4);
	io->out(PCI_CONFIG_ADDRESS, 4, old);
	unlock_ports(f);
	return seen == PCI_CONFIG_ENABLE;
}

/* ---- memory ---- */

static volatile u8 *ecam_at(volatile u8 *bus, u32 devfn, u32 offset)
{
	return bus + (devfn << 12) + offset;
}

static u32 memory_read(const volatile u8 *p, u32 bytes)
{
	switch (bytes) {
	case 1:
		return hal_mmio_read8(p);
	case 2:
		return hal_mmio_read16(p);
	default:
		return hal_mmio_read32(p);
	}
}

static void memory_write(volatile u8 *p, u32 bytes, u32 value)
{
	switch (bytes) {
	case 1:
		hal_mmio_write8(p, (u8)value);
		break;
	case 2:
		hal_mmio_write16(p, (u16)value);
		break;
	default:
		hal_mmio_write32(p, value);
	}
}

static volatile u8 *map_bus(struct pci_range *r, u32 bus)
{
	if (!r->buses[bus])
		smp_store_release(&r->buses[bus],
				  (volatile u8 *)io->map(r->paddr + (u64)bus * PCI_ECAM_BUS_BYTES, PCI_ECAM_BUS_BYTES));
	return r->buses[bus];
}

/* Is the memory there what the table says? */
static bool range_is_true(struct pci_range *r, bool have_ports)
{
	volatile u8 *bus = map_bus(r, r->is.first_bus);
	u32 found = 0;

	if (!bus)
		return false;
	for (u32 device = 0; device < DEVICES; device++) {
		u32 id = hal_mmio_read32(ecam_at(bus, device << 3, 0));

		if (have_ports && !r->is.segment && ports_read(r->is.first_bus, device << 3, 0, 4) != id)
			return false;
		found += id != NOBODY && id != 0;
	}
	return found != 0;
}

/* ---- what there is ---- */

static bool overlaps(const struct acpi_segment *s)
{
	for (u32 i = 0; i < nr_ranges; i++)
		if (ranges[i].is.segment == s->segment && s->first_bus <= ranges[i].is.last_bus &&
		    ranges[i].is.first_bus <= s->last_bus)
			return true;
	return false;
}

static void add_range(const struct acpi_segment *s, bool have_ports)
{
	struct pci_range *r = &ranges[nr_ranges];

	if (overlaps(s)) {
		io->report("MCFG names some buses twice: the second range is left out", s->paddr);
		return;
	}
	r->is = (struct hal_pci_segment){ s->segment, s->first_bus, s->last_bus, true };
	r->paddr = s->paddr;
	nr_ranges++;
	if (range_is_true(r, have_ports))
		return;
	io->report("MCFG's range does not show what is on the bus: it is left out", s->paddr);
	nr_ranges--;
	*r = (struct pci_range){ 0 };
}

static bool segment_zero_known(void)
{
	for (u32 i = 0; i < nr_ranges; i++)
		if (!ranges[i].is.segment)
			return true;
	return false;
}

void x86_pci_setup(const struct x86_pci_access *access, const struct acpi_segment *segments, u32 n)
{
	bool have_ports;

	for (u32 i = 0; i < MAX_RANGES; i++)
		ranges[i] = (struct pci_range){ 0 };
	nr_ranges = 0;
	io = access;
	have_ports = ports_exist();
	for (u32 i = 0; i < n && nr_ranges < MAX_RANGES; i++)
		add_range(&segments[i], have_ports);
	if (have_ports && !segment_zero_known() && nr_ranges < MAX_RANGES)
		ranges[nr_ranges++].is = (struct hal_pci_segment){ 0, 0, BUSES - 1, false };
}

static struct pci_range *range_of(u32 segment, u32 bus)
{
	for (u32 i = 0; i < nr_ranges; i++)
		if (ranges[i].is.segment == segment && ranges[i].is.first_bus <= bus && bus <= ranges[i].is.last_bus)
			return &ranges[i];
	return NULL;
}

int hal_pci_open_bus(u32 segment, u32 bus)
{
	struct pci_range *r = range_of(segment, bus);

	if (!r)
		return -ENODEV;
	if (r->paddr && !map_bus(r, bus))
		return -ENOMEM;
	smp_store_release(&r->open[bus], true);
	return 0;
}

u32 hal_pci_config_bytes(u32 segment, u32 bus)
{
	struct pci_range *r = range_of(segment, bus);

	if (!r || !smp_load_acquire(&r->open[bus]))
		return 0;
	return r->is.extended ? 4096 : 256;
}

/* The range, if that access is one. */
static struct pci_range *check(u32 segment, u32 bus, u32 devfn, u32 offset, u32 bytes)
{
	struct pci_range *r = range_of(segment, bus);

	if (!r || devfn > 255 || (bytes != 1 && bytes != 2 && bytes != 4) || offset % bytes ||
	    offset >= hal_pci_config_bytes(segment, bus))
		return NULL;
	return r;
}

u32 hal_pci_read(u32 segment, u32 bus, u32 devfn, u32 offset, u32 bytes)
{
	struct pci_range *r = check(segment, bus, devfn, offset, bytes);

	if (!r)
		return bytes < 4 ? (1u << bytes * 8) - 1 : NOBODY;
	return r->paddr ? memory_read(ecam_at(r->buses[bus], devfn, offset), bytes) : ports_read(bus, devfn, offset, bytes);
}

void hal_pci_write(u32 segment, u32 bus, u32 devfn, u32 offset, u32 bytes, u32 value)
{
	struct pci_range *r = check(segment, bus, devfn, offset, bytes);

	if (!r)
		return;
	if (r->paddr)
		memory_write(ecam_at(r->buses[bus], devfn, offset), bytes, value);
	else
		ports_write(bus, devfn, offset, bytes, value);
}

bool hal_pci_segment(u32 i, struct hal_pci_segment *out)
{
	if (!io)
		x86_pci_setup_machine();
	if (i >= nr_ranges)
		return false;
	*out = ranges[i].is;
	return true;
}
