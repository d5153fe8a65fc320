/* SPDX-License-Identifier: MIT */
/*
 * What a function's configuration space says: registers, capabilities, resources.
 *
 * Nothing in it is trusted. A list of capabilities has as many members as fit in its part of the space at most, each at a
 * place where one can be; a list that leads back into itself ends there. Sizes of BARs are powers of two because
 * the lowest bit that can be set says them.
 *
 * Sizing writes all ones to a BAR and reads back which bits stay. Meanwhile the device would answer somewhere else, so its
 * decoding is off, but for host bridges, some of which take memory itself away with it.
 */
#include <kernel/core/assert.h>
#include "pci_internal.h"

#define CAP_FIRST	0x40u
#define CAPS_MAX	48u		/* (256 - 64) / 4 */
#define EXT_CAPS_MAX	960u		/* (4096 - 256) / 4 */
#define BRIDGE_BARS	2u
#define DEVICE_BARS	6u
#define IO_SPACE_BYTES	0x10000u

static u32 read(const struct pci_dev *dev, u32 offset, u32 bytes)
{
	if (offset >= dev->config_bytes)
		return 0xffffffffu >> (32 - 8 * bytes);
	return hal_pci_read(dev->bus->segment, dev->bus->number, dev->devfn, offset, bytes);
}

static void write(struct pci_dev *dev, u32 offset, u32 bytes, u32 v)
{
	if (offset < dev->config_bytes)
		hal_pci_write(dev->bus->segment, dev->bus->number, dev->devfn, offset, bytes, v);
}

u8 pci_read8(const struct pci_dev *dev, u32 offset)
{
	return (u8)read(dev, offset, 1);
}

u16 pci_read16(const struct pci_dev *dev, u32 offset)
{
	return (u16)read(dev, offset, 2);
}

u32 pci_read32(const struct pci_dev *dev, u32 offset)
{
	return read(dev, offset, 4);
}

void pci_write8(struct pci_dev *dev, u32 offset, u8 v)
{
	write(dev, offset, 1, v);
}

void pci_write16(struct pci_dev *dev, u32 offset, u16 v)
{
	write(dev, offset, 2, v);
}

void pci_write32(struct pci_dev *dev, u32 offset, u32 v)
{
	write(dev, offset, 4, v);
}

/* ---- capabilities ---- */

static bool good_cap(u32 at)
{
	return at >= CAP_FIRST && at <= 0xfc;
}

/* The member behind `at`, or the first one; 0 at the end. The lowest two bits are reserved (PCI 3.0 §6.7). */
static u32 next_cap(const struct pci_dev *dev, u32 at)
{
	u32 next;

	if (!at && !(pci_read16(dev, PCI_STATUS) & PCI_STATUS_CAPS))
		return 0;
	next = pci_read8(dev, at ? at + 1 : PCI_CAPABILITIES) & 0xfcu;
	return good_cap(next) ? next : 0;
}

u32 pci_find_cap(const struct pci_dev *dev, u32 from, u8 id)
{
	u32 at = from;

	for (u32 i = 0; i < CAPS_MAX && (at = next_cap(dev, at)); i++) {
		u8 found = pci_read8(dev, at);

		if (found == 0xff)
			return 0; /* nobody is there any more */
		if (found == id)
			return at;
	}
	return 0;
}

u32 pci_find_ext_cap(const struct pci_dev *dev, u32 from, u16 id)
{
	u32 at = from ? pci_read32(dev, from) >> 20 & 0xffc : PCI_EXTENDED;

	for (u32 i = 0; i < EXT_CAPS_MAX && at >= PCI_EXTENDED && at < dev->config_bytes; i++) {
		u32 head = pci_read32(dev, at);

		if (!head || head == 0xffffffffu)
			return 0;
		if ((head & 0xffff) == id)
			return at;
		at = head >> 20 & 0xffc;
	}
	return 0;
}

/* ---- identity ---- */

static void read_subsystem(struct pci_dev *dev)
{
	u32 at = PCI_SUBSYSTEM_VENDOR;

	if ((dev->header & PCI_HEADER_KIND) == PCI_HEADER_BRIDGE) {
		at = pci_find_cap(dev, 0, PCI_CAP_SUBSYSTEM);
		if (!at)
			return;
		at += 4;
	} else if ((dev->header & PCI_HEADER_KIND) != PCI_HEADER_DEVICE) {
		return;
	}
	dev->subsystem_vendor = pci_read16(dev, at);
	dev->subsystem_device = pci_read16(dev, at + 2);
}

void pci_read_identity(struct pci_dev *dev)
{
	u32 class = pci_read32(dev, PCI_REVISION);

	dev->vendor = pci_read16(dev, PCI_VENDOR);
	dev->device = pci_read16(dev, PCI_DEVICE);
	dev->class = class >> 8;
	dev->revision = (u8)class;
	dev->header = pci_read8(dev, PCI_HEADER);
	dev->pin = pci_read8(dev, PCI_INTERRUPT_PIN);
	if (dev->pin > 4)
		dev->pin = 0;
	dev->line = dev->pin ? pci_read8(dev, PCI_INTERRUPT_LINE) : 0;
	read_subsystem(dev);
	dev->express = (u8)pci_find_cap(dev, 0, PCI_CAP_EXPRESS);
	dev->power = (u8)pci_find_cap(dev, 0, PCI_CAP_POWER);
	dev->msi = (u8)pci_find_cap(dev, 0, PCI_CAP_MSI);
	dev->msix = (u8)pci_find_cap(dev, 0, PCI_CAP_MSIX);
	if (dev->msi) {
		u16 control = pci_read16(dev, dev->msi + PCI_MSI_CONTROL);

		dev->msi_64 = control & PCI_MSI_64;
		dev->msi_masking = control & PCI_MSI_MASKING;
	}
	/* Only these have more than 256 bytes (PCI Express 5.0 §7.2, PCI-X 2.0): what others show there is not theirs. */
	if (!dev->express && !pci_find_cap(dev, 0, PCI_CAP_PCIX))
		dev->config_bytes = 256;
	else if (dev->config_bytes > 256 && pci_read32(dev, PCI_EXTENDED) == 0xffffffffu)
		dev->config_bytes = 256;
}

/* ---- resources ---- */

/* Which bits of the register at `offset` can be set; the register is as it was afterwards. */
static u32 probe_bits(struct pci_dev *dev, u32 offset, u32 ones, u32 *was)
{
	u32 bits;

	*was = pci_read32(dev, offset);
	pci_write32(dev, offset, ones);
	bits = pci_read32(dev, offset);
	pci_write32(dev, offset, *was);
	return bits;
}

static u64 lowest_bit(u64 v)
{
	return v & -v;
}

static void set_resource(struct pci_resource *r, u64 start, u64 bytes, u32 flags)
{
	/* A BAR that would wrap round is not one. */
	if (bytes && start + (bytes - 1) >= start)
		*r = (struct pci_resource){ start, bytes, flags };
}

/* The BAR at `i`; returns how many registers it takes. */
static u32 read_bar(struct pci_dev *dev, u32 i, u32 count)
{
	u32 low, bits = probe_bits(dev, PCI_BAR(i), 0xffffffffu, &low), high = 0, high_bits = 0xffffffffu;
	bool wide;
	u64 mask, start;

	if (!bits || bits == 0xffffffffu)
		return 1;
	if (low & PCI_BAR_IO) {
		/* Only 64 Ki ports exist here: the upper half may be wired to 0. */
		mask = (bits & PCI_BAR_IO_MASK) | 0xffff0000u;
		start = low & PCI_BAR_IO_MASK;
		if (lowest_bit(mask) < IO_SPACE_BYTES && start < IO_SPACE_BYTES)
			set_resource(&dev->res[i], start, lowest_bit(mask), PCI_RES_IO | PCI_RES_SIZEALIGN | (low & 3));
		return 1;
	}
	wide = (low & PCI_BAR_TYPE) == PCI_BAR_64 && i + 1 < count;
	if (wide)
		high_bits = probe_bits(dev, PCI_BAR(i + 1), 0xffffffffu, &high);
	mask = (u64)(wide ? high_bits : 0xffffffffu) << 32 | (bits & PCI_BAR_MEMORY_MASK);
	start = (u64)high << 32 | (low & PCI_BAR_MEMORY_MASK);
	set_resource(&dev->res[i], start, lowest_bit(mask), PCI_RES_MEM | PCI_RES_SIZEALIGN | (low & 0xf) |
		     (low & PCI_BAR_PREFETCH ? PCI_RES_PREFETCH : 0) | (wide ? PCI_RES_64 : 0));
	return wide ? 2 : 1;
}

static void read_rom(struct pci_dev *dev, u32 offset)
{
	u32 was, bits = probe_bits(dev, offset, PCI_ROM_MASK, &was) & PCI_ROM_MASK;

	if (bits && (was & PCI_ROM_MASK))
		set_resource(&dev->res[PCI_RES_ROM], was & PCI_ROM_MASK, lowest_bit(bits),
			     PCI_RES_MEM | PCI_RES_PREFETCH | PCI_RES_READONLY | PCI_RES_SIZEALIGN | (was & PCI_ROM_ENABLE));
}

/* An IDE channel in compatibility mode has no BARs, but its old ports (PCI IDE Controller 1.0 §2.1). */
static void read_ide(struct pci_dev *dev)
{
	static const struct pci_resource legacy[4] = {
		{ 0x1f0, 8, PCI_RES_IO | PCI_RES_FIXED }, { 0x3f6, 1, PCI_RES_IO | PCI_RES_FIXED },
		{ 0x170, 8, PCI_RES_IO | PCI_RES_FIXED }, { 0x376, 1, PCI_RES_IO | PCI_RES_FIXED },
	};

	for (u32 channel = 0; channel < 2; channel++)
		if (!(dev->class & (1u << channel * 2)))
			for (u32 i = 2 * channel; i < 2 * channel + 2; i++)
				dev->res[i] = legacy[i];
}

void pci_read_resources(struct pci_dev *dev)
{
	u32 kind = dev->header & PCI_HEADER_KIND, step;
	u32 count = kind == PCI_HEADER_DEVICE ? DEVICE_BARS : kind == PCI_HEADER_BRIDGE ? BRIDGE_BARS : 0;
	u16 command = pci_read16(dev, PCI_COMMAND);
	bool quiet = dev->class != PCI_CLASS_HOST_BRIDGE && (command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY));

	if (quiet)
		pci_write16(dev, PCI_COMMAND, command & (u16)~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (u32 i = 0; i < count; i += step)
		step = read_bar(dev, i, count);
	if (count)
		read_rom(dev, kind == PCI_HEADER_DEVICE ? PCI_ROM : PCI_BRIDGE_ROM);
	if (quiet)
		pci_write16(dev, PCI_COMMAND, command);
	if (dev->class >> 8 == PCI_CLASS_IDE)
		read_ide(dev);
}

/* ---- what a bridge passes on (PCI-to-PCI Bridge 1.2 §3.2.5) ---- */

static void set_window(struct pci_resource *r, u64 base, u64 limit, u32 flags)
{
	if (base <= limit)
		set_resource(r, base, limit - base + 1, flags);
}

static void read_io_window(struct pci_dev *dev)
{
	u32 base = pci_read8(dev, PCI_IO_BASE), limit = pci_read8(dev, PCI_IO_LIMIT), type = base & 0xf;
	u64 first = (base & 0xf0) << 8, last = (limit & 0xf0) << 8 | 0xfff;

	if (!base && !limit)
		return;
	if (type == 1) {
		first |= (u64)pci_read16(dev, PCI_IO_BASE_HIGH) << 16;
		last |= (u64)pci_read16(dev, PCI_IO_LIMIT_HIGH) << 16;
	}
	set_window(&dev->res[PCI_RES_BRIDGE_IO], first, last, PCI_RES_IO | type);
}

static void read_prefetch_window(struct pci_dev *dev)
{
	u32 base = pci_read16(dev, PCI_PREFETCH_BASE), limit = pci_read16(dev, PCI_PREFETCH_LIMIT), type = base & 0xf;
	u64 first = (u64)(base & 0xfff0) << 16, last = (u64)(limit & 0xfff0) << 16 | 0xfffff;

	if (!base && !limit)
		return;
	if (type == 1) {
		first |= (u64)pci_read32(dev, PCI_PREFETCH_BASE_HIGH) << 32;
		last |= (u64)pci_read32(dev, PCI_PREFETCH_LIMIT_HIGH) << 32;
	}
	set_window(&dev->res[PCI_RES_BRIDGE_PREFETCH], first, last,
		   PCI_RES_MEM | PCI_RES_PREFETCH | type | (type == 1 ? PCI_RES_64 : 0));
}

void pci_read_windows(struct pci_dev *dev)
{
	u32 base = pci_read16(dev, PCI_MEMORY_BASE), limit = pci_read16(dev, PCI_MEMORY_LIMIT);

	read_io_window(dev);
	set_window(&dev->res[PCI_RES_BRIDGE_MEM], (u64)(base & 0xfff0) << 16, (u64)(limit & 0xfff0) << 16 | 0xfffff, PCI_RES_MEM);
	read_prefetch_window(dev);
}
