/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_PCI_H
#define KERNEL_DEV_PCI_H

/*
 * PCI: what is on the buses, and what a driver does with it. docs/drivers.md tells how a driver is written.
 *
 * Everything a device says about itself is checked before it is used: lists of capabilities end, tables lie within their
 * BARs, bridges lead to buses that nobody else has.
 */
#include <hal/irq.h>
#include <hal/pci.h>
#include <kernel/core/spinlock.h>
#include <kernel/dev/device.h>
#include <kernel/dev/pci_regs.h>

/* Resources of a function, in the order of Linux's `resource` file. */
#define PCI_RES_ROM		6u
#define PCI_RES_FILE		13u	/* lines of a function that is no bridge: 7 to 12 are virtual functions' */
#define PCI_RES_BRIDGE_IO	13u
#define PCI_RES_BRIDGE_MEM	14u
#define PCI_RES_BRIDGE_PREFETCH	15u
#define PCI_RES_COUNT		17u

/* pci_resource.flags: Linux's numbers, which programs read; the lowest four bits are the BAR's own. */
#define PCI_RES_IO		0x00000100u
#define PCI_RES_MEM		0x00000200u
#define PCI_RES_ROM_SHADOW	0x00000002u	/* of PCI_RES_ROM: the copy in memory */
#define PCI_RES_FIXED		0x00000010u
#define PCI_RES_PREFETCH	0x00002000u
#define PCI_RES_READONLY	0x00004000u
#define PCI_RES_SIZEALIGN	0x00040000u
#define PCI_RES_64		0x00100000u

struct pci_resource {
	u64 start, bytes;	/* bytes 0: there is none. start 0: firmware gave it no place */
	u32 flags;
};

enum pci_irq_mode { PCI_IRQ_NONE, PCI_IRQ_LINE, PCI_IRQ_MSI, PCI_IRQ_MSIX };
#define PCI_ALLOW(mode)	BIT(mode)
#define PCI_ALLOW_ALL	(PCI_ALLOW(PCI_IRQ_LINE) | PCI_ALLOW(PCI_IRQ_MSI) | PCI_ALLOW(PCI_IRQ_MSIX))

/* [I] once scanned, [t] the device tree's lock. */
struct pci_bus {
	struct device dev;		/* /sys/class/pci_bus/0000:00 */
	u16 segment;			/* [I] */
	u8 number, last;		/* [I] its own, and the last one below it */
	int node;			/* [I] near memory, as its host bridge; -1: firmware does not say */
	struct pci_dev *bridge;		/* [I] that leads to it; NULL: the host's */
	struct list_head functions;	/* [t] pci_dev.bus_node, in order of devfn */
};

/* [I] once scanned, [t], [l] lock, [d] the driver's: between probe() and remove(). */
struct pci_dev {
	struct device dev;
	struct pci_bus *bus;		/* [I] counted */
	struct pci_bus *secondary;	/* [t] of a bridge that works, else NULL */
	struct list_head bus_node;	/* [t] */
	u8 devfn;			/* [I] device << 3 | function */
	u8 header, revision;		/* [I] */
	u8 pin;				/* [I] INTA is 1; 0: none */
	u16 vendor, device;		/* [I] */
	u16 subsystem_vendor, subsystem_device; /* [I] */
	u32 class;			/* [I] 24 bits */
	u32 config_bytes;		/* [I] 256 or 4096 */
	u8 msi, msix, express, power;	/* [I] where these capabilities are; 0: it has none */
	struct pci_resource res[PCI_RES_COUNT]; /* [I] */
	u32 line;			/* [I] irq of its pin, as firmware says; 0: none */
	u32 irq;			/* [d] of its first interrupt; line without a driver */
	struct spinlock lock;		/* the command register and MSI's */
	u32 enables;			/* [l] */
	u32 irq_mode;			/* [d] enum pci_irq_mode */
	u32 nr_irqs;			/* [d] */
	volatile u8 *msix_table;	/* [d] */
	bool msi_masking, msi_64;	/* [I] what its MSI can */
	bool boot_vga;			/* [t] */
};

static inline struct pci_dev *pci_dev_of(struct device *dev)
{
	return container_of(dev, struct pci_dev, dev);
}

/* ---- drivers ---- */

#define PCI_ANY 0xffffu

struct pci_id {
	u16 vendor, device;		/* PCI_ANY; vendor 0 ends a list */
	u32 class, class_mask;		/* of 24 bits; mask 0: any */
};

struct pci_driver {
	struct driver drv;		/* name */
	const struct pci_id *ids;
	int (*probe)(struct pci_dev *dev, const struct pci_id *id); /* as bus_type.probe */
	void (*remove)(struct pci_dev *dev);
};
int __must_check pci_driver_register(struct pci_driver *drv);

/* ---- finding ---- */

/* The first function with that identity behind `from` (NULL: of all; its reference is given back), counted; or NULL. Thread context. */
struct pci_dev *pci_find(u16 vendor, u16 device, struct pci_dev *from);
static inline void pci_put(struct pci_dev *dev)
{
	if (dev)
		device_put(&dev->dev);
}

/* ---- configuration space; offset within dev->config_bytes and aligned, else all ones. Any context. ---- */

u8 pci_read8(const struct pci_dev *dev, u32 offset);
u16 pci_read16(const struct pci_dev *dev, u32 offset);
u32 pci_read32(const struct pci_dev *dev, u32 offset);
void pci_write8(struct pci_dev *dev, u32 offset, u8 v);
void pci_write16(struct pci_dev *dev, u32 offset, u16 v);
void pci_write32(struct pci_dev *dev, u32 offset, u32 v);

/* Where the first capability `id` behind `from` is (0: from the list's start); 0: there is none. Any context. */
u32 pci_find_cap(const struct pci_dev *dev, u32 from, u8 id);
/* The same for the extended ones of PCI Express. */
u32 pci_find_ext_cap(const struct pci_dev *dev, u32 from, u16 id);

/* ---- for drivers ---- */

/* PCI_COMMAND_IO, MEMORY, MASTER: what the device may do from now on. Counted; disable undoes one. MASTER goes with the last. */
int __must_check pci_enable(struct pci_dev *dev, u32 command);
void pci_disable(struct pci_dev *dev);

/*
 * Maps a part of a BAR in memory (bytes 0: all from offset on), uncached. The BAR must be MEM, have a place that is not RAM, and
 * hold the part. Thread context. NULL otherwise; kmap_unmap() undoes it.
 */
void *pci_map_bar(struct pci_dev *dev, u32 bar, u64 offset, u64 bytes);

/*
 * Interrupts: between min and max of the kinds allowed, MSI-X first, then MSI and the pin's line (one each). Then request each
 * by its number 0 .. n-1; all are freed together. Between probe() and remove(); may sleep. alloc returns n, or -ENOSPC and others.
 */
int __must_check pci_irq_alloc(struct pci_dev *dev, u32 min, u32 max, u32 allow);
u32 pci_irq(const struct pci_dev *dev, u32 i);
int __must_check pci_irq_request(struct pci_dev *dev, u32 i, hal_irq_handler_t handler, void *arg, const char *name);
void pci_irq_release(struct pci_dev *dev, u32 i, void *arg);
/* All were released; the device is silent. Nothing allocated is fine. */
void pci_irq_free(struct pci_dev *dev);

/* Boot: finds the host bridges and all behind them. */
void pci_init(void);

#endif
