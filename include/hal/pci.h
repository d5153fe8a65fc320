/* SPDX-License-Identifier: MIT */
#ifndef HAL_PCI_H
#define HAL_PCI_H

/*
 * Configuration space of PCI functions, however the machine reaches it: memory-mapped (ECAM, PCI Express Base 5.0
 * §7.2.2) or an index and a data port (PCI 3.0 §3.2.2.3.2).
 *
 * A function is named by segment, bus, device << 3 | function. Whether anything answers there is not the HAL's
 * business: a read of nobody gives all ones, as on the bus.
 */
#include <lib/compiler.h>

struct hal_pci_segment {
	u16 segment;
	u8 first_bus, last_bus;	/* that firmware names */
	bool extended;		/* 4096 bytes of configuration space a function, else 256 */
};

/*
 * The i-th range of buses; false past the last one. There is always one on a machine with PCI. After hal_late_init.
 * Any context but the first call, which looks at the hardware: thread context, one caller.
 */
bool hal_pci_segment(u32 i, struct hal_pci_segment *out);

/*
 * The i-th bus that firmware says a host bridge begins with; false past the last one. A hint: it may be one that is known
 * already, or nobody's. `node`: near to which memory it is, -1 when firmware does not say. After hal_late_init, any context.
 */
bool hal_pci_root_hint(u32 i, u8 *bus, int *node);

/*
 * Makes a bus ready to be read and written. Before any access to it. Thread context, one caller at a time. 0; -ENODEV no such
 * bus; -ENOMEM.
 */
int __must_check hal_pci_open_bus(u32 segment, u32 bus);

/* Bytes of configuration space that can be reached on that bus: 4096, 256, or 0 when it is not open. Any context. */
u32 hal_pci_config_bytes(u32 segment, u32 bus);

/*
 * `bytes` is 1, 2 or 4, and divides offset. All ones, or nothing written, when that is not so, when offset lies beyond
 * hal_pci_config_bytes(), or when the bus is not open. Any context.
 */
u32 hal_pci_read(u32 segment, u32 bus, u32 devfn, u32 offset, u32 bytes);
void hal_pci_write(u32 segment, u32 bus, u32 devfn, u32 offset, u32 bytes, u32 value);

/* I/O ports of a device: BARs of that kind. bytes as above. Any context. */
u32 hal_port_read(u32 port, u32 bytes);
void hal_port_write(u32 port, u32 bytes, u32 value);

/* Registers of a device in memory that kmap_mmio() mapped, in one access each, in program order. Any context. */
u8 hal_mmio_read8(const volatile void *p);
u16 hal_mmio_read16(const volatile void *p);
u32 hal_mmio_read32(const volatile void *p);
void hal_mmio_write8(volatile void *p, u8 v);
void hal_mmio_write16(volatile void *p, u16 v);
void hal_mmio_write32(volatile void *p, u32 v);

#endif
