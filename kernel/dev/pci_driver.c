/* SPDX-License-Identifier: MIT */
/*
 * What a driver of a PCI function does: being matched, switching the function on, mapping its registers, getting interrupts.
 *
 * Interrupts. A function has up to three ways to ask for attention: MSI-X (a table of messages in a BAR), MSI (one message
 * in configuration space), its pin. The HAL gives out messages and says what to write where; we write it, and mask an
 * entry of the table while it changes, because the specification leaves open what an unmasked one would send then (PCI 3.0
 * §6.8.2). The pin is switched off while messages are used. Where the pin's line ends is what firmware wrote into the
 * Interrupt Line register, a line of the old interrupt controllers, which I/O APICs know too: the routing tables proper
 * are AML. So the line is the last resort.
 */
#define LOG_TAG "pci"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/mm/kmap.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/wait.h>
#include "pci_internal.h"

#define ISA_LINES	16u
#define PM_CONTROL	4u	/* PCI Power Management 1.2 §3.2.4 */
#define PM_STATE	0x3u
#define PM_WAKE_NS	10000000ull /* from D3hot, ibid. §5.6.1 */

struct bus_type pci_bus_type = {
	.name = "pci", .match = pci_match, .probe = pci_probe, .remove = pci_remove, .uevent = pci_uevent, .attrs = pci_device_attrs,
};

/* ---- matching ---- */

static struct pci_driver *pci_driver_of(struct driver *drv)
{
	return container_of(drv, struct pci_driver, drv);
}

static const struct pci_id *find_id(const struct pci_dev *dev, const struct pci_driver *drv)
{
	for (const struct pci_id *id = drv->ids; id->vendor; id++)
		if ((id->vendor == PCI_ANY || id->vendor == dev->vendor) && (id->device == PCI_ANY || id->device == dev->device) &&
		    !((dev->class ^ id->class) & id->class_mask))
			return id;
	return NULL;
}

bool pci_match(struct device *dev, struct driver *drv)
{
	return find_id(pci_dev_of(dev), pci_driver_of(drv));
}

int pci_probe(struct device *dev, struct driver *drv)
{
	struct pci_dev *f = pci_dev_of(dev);
	struct pci_driver *p = pci_driver_of(drv);

	return p->probe(f, find_id(f, p));
}

/* The driver's remove must have given everything back. */
void pci_remove(struct device *dev)
{
	struct pci_dev *f = pci_dev_of(dev);

	pci_driver_of(dev->driver)->remove(f);
	if (f->irq_mode != PCI_IRQ_NONE)
		panic("%s: the driver %s went and left its interrupts", dev->name, dev->driver->name);
}

int pci_driver_register(struct pci_driver *drv)
{
	drv->drv.bus = &pci_bus_type;
	return driver_register(&drv->drv);
}

/* ---- switching on ---- */

static void wake(struct pci_dev *dev)
{
	u16 control;

	if (!dev->power)
		return;
	control = pci_read16(dev, dev->power + PM_CONTROL);
	if (!(control & PM_STATE))
		return;
	pci_write16(dev, dev->power + PM_CONTROL, control & (u16)~PM_STATE);
	(void)thread_sleep_until(clock_mono_ns() + PM_WAKE_NS, THREAD_UNINTERRUPTIBLE, "pci_wake");
}

int pci_enable(struct pci_dev *dev, u32 command)
{
	irqflags_t f;
	u16 now;

	wake(dev);
	f = spin_lock_irqsave(&dev->lock);
	dev->enables++;
	now = pci_read16(dev, PCI_COMMAND);
	pci_write16(dev, PCI_COMMAND, now | (u16)command);
	now = pci_read16(dev, PCI_COMMAND);
	spin_unlock_irqrestore(&dev->lock, f);
	if (now != 0xffff && (now & command) == command)
		return 0;
	pci_disable(dev); /* it is gone, or cannot */
	return -EIO;
}

void pci_disable(struct pci_dev *dev)
{
	irqflags_t f = spin_lock_irqsave(&dev->lock);

	if (dev->enables && !--dev->enables)
		pci_write16(dev, PCI_COMMAND, pci_read16(dev, PCI_COMMAND) & (u16)~PCI_COMMAND_MASTER);
	spin_unlock_irqrestore(&dev->lock, f);
}

#define LOOKED_AT (16 * MIB) /* of a BAR; larger ones are aligned to their size, so they begin on RAM or do not touch it */

/* Does the kernel use memory there? The frame table's sections have entries for holes, too, which are nobody's. */
static bool on_memory(const struct pci_resource *r)
{
	u64 last = r->start + MIN(r->bytes, LOOKED_AT) - 1;

	for (u64 pfn = r->start >> PAGE_SHIFT; pfn <= last >> PAGE_SHIFT; pfn++)
		if (pfn_valid(pfn) && pfn_to_page(pfn)->type != PAGE_RESERVED)
			return true;
	return false;
}

void *pci_map_bar(struct pci_dev *dev, u32 bar, u64 offset, u64 bytes)
{
	const struct pci_resource *r = &dev->res[bar];

	if (bar >= PCI_RES_ROM || !(r->flags & PCI_RES_MEM) || !r->start || offset >= r->bytes)
		return NULL;
	if (!bytes)
		bytes = r->bytes - offset;
	if (bytes > r->bytes - offset)
		return NULL;
	if (on_memory(r)) {
		log_warn("%s: BAR %u lies on memory at %llx", dev->dev.name, bar, (unsigned long long)r->start);
		return NULL;
	}
	return kmap_mmio(r->start + offset, bytes, HAL_PT_DEVICE);
}

/* ---- messages ---- */

static volatile u8 *msix_entry(struct pci_dev *dev, u32 i)
{
	return dev->msix_table + i * PCI_MSIX_ENTRY_BYTES;
}

/* [the HAL's lock] */
static void msix_write(void *ctx, u32 i, const struct hal_msi_msg *msg)
{
	volatile u8 *entry = msix_entry(ctx, i);
	u32 vector = hal_mmio_read32(entry + PCI_MSIX_VECTOR);

	if (!(vector & PCI_MSIX_MASKED))
		hal_mmio_write32(entry + PCI_MSIX_VECTOR, vector | PCI_MSIX_MASKED);
	hal_mmio_write32(entry + PCI_MSIX_ADDRESS, (u32)msg->address);
	hal_mmio_write32(entry + PCI_MSIX_ADDRESS_HIGH, (u32)(msg->address >> 32));
	hal_mmio_write32(entry + PCI_MSIX_DATA, msg->data);
	if (!(vector & PCI_MSIX_MASKED))
		hal_mmio_write32(entry + PCI_MSIX_VECTOR, vector);
	(void)hal_mmio_read32(entry + PCI_MSIX_DATA); /* what the device sent before comes before the answer */
}

static void msix_mask(void *ctx, u32 i, bool masked)
{
	volatile u8 *entry = msix_entry(ctx, i);
	u32 vector = hal_mmio_read32(entry + PCI_MSIX_VECTOR) & ~PCI_MSIX_MASKED;

	hal_mmio_write32(entry + PCI_MSIX_VECTOR, vector | (masked ? PCI_MSIX_MASKED : 0));
	(void)hal_mmio_read32(entry + PCI_MSIX_VECTOR);
}

static void msi_write(void *ctx, u32 i, const struct hal_msi_msg *msg)
{
	struct pci_dev *dev = ctx;
	u32 data = dev->msi + PCI_MSI_DATA + (dev->msi_64 ? 4 : 0);

	(void)i;
	pci_write32(dev, dev->msi + PCI_MSI_ADDRESS, (u32)msg->address);
	if (dev->msi_64)
		pci_write32(dev, dev->msi + PCI_MSI_ADDRESS_HIGH, (u32)(msg->address >> 32));
	pci_write16(dev, data, (u16)msg->data);
	(void)pci_read16(dev, data);
}

static void msi_mask(void *ctx, u32 i, bool masked)
{
	struct pci_dev *dev = ctx;
	u32 at = dev->msi + PCI_MSI_MASK + (dev->msi_64 ? 4 : 0), was = pci_read32(dev, at);

	(void)i;
	pci_write32(dev, at, masked ? was | 1 : was & ~1u);
	(void)pci_read32(dev, at);
}

static const struct hal_msi_ops msix_ops = { msix_write, msix_mask };
static const struct hal_msi_ops msi_plain_ops = { msi_write, NULL };
static const struct hal_msi_ops msi_masking_ops = { msi_write, msi_mask };

static void set_intx(struct pci_dev *dev, bool on)
{
	irqflags_t f = spin_lock_irqsave(&dev->lock);
	u16 command = pci_read16(dev, PCI_COMMAND);

	pci_write16(dev, PCI_COMMAND, on ? command & (u16)~PCI_COMMAND_NO_INTX : command | PCI_COMMAND_NO_INTX);
	spin_unlock_irqrestore(&dev->lock, f);
}

static int get_messages(struct pci_dev *dev, const struct hal_msi_ops *ops, u32 n)
{
	struct hal_msi_request r = {
		.ops = ops, .ctx = dev, .n = n, .chip = "PCI-MSI",
		.hwirq = (u32)dev->bus->number << 19 | (u32)dev->devfn << 11,
	};
	struct hal_msi_msg msg;
	u32 first;
	int err = hal_msi_alloc(&r, &first);

	if (err)
		return err;
	dev->irq = first;
	dev->nr_irqs = n;
	for (u32 i = 0; i < n; i++) {
		hal_msi_message(first + i, &msg);
		ops->write(dev, i, &msg);
	}
	return 0;
}

/* The table lies where the device says, if that is in one of its BARs. */
static int msix_map(struct pci_dev *dev, u32 *entries)
{
	u32 where = pci_read32(dev, dev->msix + PCI_MSIX_TABLE);

	*entries = (pci_read16(dev, dev->msix + PCI_MSIX_CONTROL) & PCI_MSIX_COUNT) + 1;
	dev->msix_table = pci_map_bar(dev, where & PCI_MSIX_BAR, where & ~PCI_MSIX_BAR, (u64)*entries * PCI_MSIX_ENTRY_BYTES);
	return dev->msix_table ? 0 : -EIO;
}

static void msix_unmap(struct pci_dev *dev)
{
	kmap_unmap((void *)dev->msix_table);
	dev->msix_table = NULL;
}

/* All entries begin masked: the HAL unmasks what somebody requests. */
static int msix_start(struct pci_dev *dev, u32 min, u32 max)
{
	u16 control = pci_read16(dev, dev->msix + PCI_MSIX_CONTROL);
	u32 entries, n;
	int err = msix_map(dev, &entries);

	if (err)
		return err;
	pci_write16(dev, dev->msix + PCI_MSIX_CONTROL, control | PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	for (u32 i = 0; i < entries; i++)
		hal_mmio_write32(msix_entry(dev, i) + PCI_MSIX_VECTOR, PCI_MSIX_MASKED);
	err = -ENOSPC;
	for (n = MIN(max, entries); err && n >= min && n; n--)
		err = get_messages(dev, &msix_ops, n);
	if (err) {
		pci_write16(dev, dev->msix + PCI_MSIX_CONTROL, control & (u16)~PCI_MSIX_ENABLE);
		msix_unmap(dev);
		return err;
	}
	set_intx(dev, false);
	pci_write16(dev, dev->msix + PCI_MSIX_CONTROL, (control | PCI_MSIX_ENABLE) & (u16)~PCI_MSIX_MASK_ALL);
	dev->irq_mode = PCI_IRQ_MSIX;
	return (int)dev->nr_irqs;
}

static int msi_start(struct pci_dev *dev)
{
	u16 control = pci_read16(dev, dev->msi + PCI_MSI_CONTROL) & (u16)~(PCI_MSI_COUNT | PCI_MSI_ENABLE);
	int err;

	pci_write16(dev, dev->msi + PCI_MSI_CONTROL, control);
	err = get_messages(dev, dev->msi_masking ? &msi_masking_ops : &msi_plain_ops, 1);
	if (err)
		return err;
	set_intx(dev, false);
	pci_write16(dev, dev->msi + PCI_MSI_CONTROL, control | PCI_MSI_ENABLE);
	dev->irq_mode = PCI_IRQ_MSI;
	return 1;
}

static int line_start(struct pci_dev *dev)
{
	if (!dev->pin || !dev->line || dev->line >= ISA_LINES)
		return -ENODEV;
	dev->irq = hal_irq_isa(dev->line);
	dev->nr_irqs = 1;
	dev->irq_mode = PCI_IRQ_LINE;
	set_intx(dev, true);
	return 1;
}

int pci_irq_alloc(struct pci_dev *dev, u32 min, u32 max, u32 allow)
{
	int n = -ENODEV;

	ASSERT(dev->irq_mode == PCI_IRQ_NONE && min && min <= max);
	if (dev->msix && (allow & PCI_ALLOW(PCI_IRQ_MSIX)))
		n = msix_start(dev, min, max);
	if (n < 0 && min == 1 && dev->msi && (allow & PCI_ALLOW(PCI_IRQ_MSI)))
		n = msi_start(dev);
	if (n < 0 && min == 1 && (allow & PCI_ALLOW(PCI_IRQ_LINE)))
		n = line_start(dev);
	return n;
}

u32 pci_irq(const struct pci_dev *dev, u32 i)
{
	ASSERT(i < dev->nr_irqs);
	return dev->irq + i;
}

int pci_irq_request(struct pci_dev *dev, u32 i, hal_irq_handler_t handler, void *arg, const char *name)
{
	u32 flags = dev->irq_mode == PCI_IRQ_LINE ? HAL_IRQ_SHARED | HAL_IRQ_LEVEL : 0;

	return hal_irq_request(pci_irq(dev, i), handler, arg, flags, name);
}

void pci_irq_release(struct pci_dev *dev, u32 i, void *arg)
{
	hal_irq_free(pci_irq(dev, i), arg);
}

void pci_irq_free(struct pci_dev *dev)
{
	u32 at = dev->irq_mode == PCI_IRQ_MSIX ? dev->msix : dev->msi;

	if (dev->irq_mode == PCI_IRQ_MSI || dev->irq_mode == PCI_IRQ_MSIX) {
		u16 on = dev->irq_mode == PCI_IRQ_MSIX ? PCI_MSIX_ENABLE : PCI_MSI_ENABLE;

		pci_write16(dev, at + PCI_MSI_CONTROL, pci_read16(dev, at + PCI_MSI_CONTROL) & (u16)~on);
		hal_msi_free(dev->irq, dev->nr_irqs);
		set_intx(dev, true);
	}
	if (dev->irq_mode == PCI_IRQ_MSIX)
		msix_unmap(dev);
	dev->irq_mode = PCI_IRQ_NONE;
	dev->nr_irqs = 0;
	dev->irq = dev->line;
}
