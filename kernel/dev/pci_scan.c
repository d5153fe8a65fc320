/* SPDX-License-Identifier: MIT */
/*
 * Which functions there are: from the host bridges' first buses through every bridge.
 *
 * Numbers of buses and places of BARs and windows are firmware's; what it left out is reported and left out. (The machines
 * that this kernel is for are brought up whole by UEFI; hot-plugged bridges would need both.) Bridges are not believed: one
 * leads to a bus that has a higher number than its own bus, lies within what its own bus may hold, and that nobody else leads
 * to. So scanning ends, whatever the hardware says; and it walks a list of buses, not the stack.
 *
 * A segment's first bus is taken for its first host bridge's. Others (root buses of a second socket, QEMU's pxb) are found where
 * ACPI's AML names their first bus plainly (hal_pci_root_hint()); what it would have to compute is not found.
 *
 * Everything here runs under the device tree's lock.
 */
#define LOG_TAG "pci"
#include <kernel/core/assert.h>
#include <kernel/core/lockrank.h>
#include <kernel/core/log.h>
#include <kernel/mm/slab.h>
#include <lib/printf.h>
#include "pci_internal.h"

#define FUNCTIONS	8u
#define DEVFNS		256u
#define ROM_SHADOW	0xc0000u	/* where the BIOS data of a VGA card is copied */
#define ROM_SHADOW_BYTES 0x20000u
#define MAX_ROOTS	8u

static struct pci_bus *roots[MAX_ROOTS];	/* [t] */
static u32 nr_roots;				/* [t] */
static bool have_vga;				/* [t] one is the boot VGA */

struct pci_bus *pci_root(u32 i)
{
	return i < nr_roots ? roots[i] : NULL;
}

/* ---- buses ---- */

static void bus_release(struct device *dev)
{
	kfree(container_of(dev, struct pci_bus, dev));
}

/* Of the bus that a host bridge begins with. */
static int root_node(u32 number)
{
	u8 bus;
	int node;

	for (u32 i = 0; hal_pci_root_hint(i, &bus, &node); i++)
		if (bus == number)
			return node;
	return -1;
}

static struct pci_bus *bus_create(u16 segment, u32 number, u32 last, struct device *parent, struct pci_dev *bridge)
{
	struct pci_bus *bus = kzalloc(sizeof(*bus), 0);

	if (!bus)
		return NULL;
	device_init(&bus->dev, NULL, parent, bus_release);
	bus->segment = segment;
	bus->number = (u8)number;
	bus->last = (u8)last;
	bus->bridge = bridge;
	bus->node = bridge ? bridge->bus->node : root_node(number);
	bus->dev.class_name = "pci_bus";
	bus->dev.attrs = pci_bus_attrs;
	list_init(&bus->functions);
	snprintf(bus->dev.name, sizeof(bus->dev.name), "%04x:%02x", segment, number);
	if (hal_pci_open_bus(segment, number) || device_add(&bus->dev)) {
		device_put(&bus->dev);
		return NULL;
	}
	return bus;
}

/* ---- one function ---- */

static void function_release(struct device *dev)
{
	struct pci_dev *f = pci_dev_of(dev);

	device_put(&f->bus->dev);
	kfree(f);
}

static struct pci_dev *function_at(struct pci_bus *bus, u32 devfn)
{
	struct pci_dev *f;

	list_for_each_entry(f, &bus->functions, bus_node)
		if (f->devfn == devfn)
			return f;
	return NULL;
}

/* The screen that firmware used: VGA, switched on, and all bridges above pass VGA on. */
static void look_for_vga(struct pci_dev *f)
{
	const struct pci_bus *bus = f->bus;

	if (f->class != PCI_CLASS_VGA || have_vga || !(pci_read16(f, PCI_COMMAND) & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)))
		return;
	for (; bus->bridge; bus = bus->bridge->bus)
		if (!(pci_read16(bus->bridge, PCI_BRIDGE_CONTROL) & PCI_BRIDGE_VGA))
			return;
	have_vga = f->boot_vga = true;
	f->res[PCI_RES_ROM] = (struct pci_resource){ ROM_SHADOW, ROM_SHADOW_BYTES,
						     PCI_RES_MEM | PCI_RES_FIXED | PCI_RES_ROM_SHADOW };
}

static bool somebody_at(const struct pci_bus *bus, u32 devfn)
{
	u32 id = hal_pci_read(bus->segment, bus->number, devfn, PCI_VENDOR, 4);

	return id != 0xffffffffu && id && (id & 0xffff) != 0xffff && (id & 0xffff);
}

static int add_function(struct pci_bus *bus, u32 devfn)
{
	struct pci_dev *f = kzalloc(sizeof(*f), 0);
	int err;

	if (!f)
		return -ENOMEM;
	device_init(&f->dev, &pci_bus_type, bus->dev.parent, function_release);
	device_get(&bus->dev);
	f->bus = bus;
	f->devfn = (u8)devfn;
	f->config_bytes = hal_pci_config_bytes(bus->segment, bus->number);
	spin_init(&f->lock, "pci function", LOCK_RANK_LEAF);
	list_init(&f->bus_node);
	snprintf(f->dev.name, sizeof(f->dev.name), "%04x:%02x:%02x.%u", bus->segment, bus->number, devfn >> 3, devfn & 7);
	pci_read_identity(f);
	pci_read_resources(f);
	if ((f->header & PCI_HEADER_KIND) == PCI_HEADER_BRIDGE)
		pci_read_windows(f);
	f->irq = f->line;
	look_for_vga(f);
	err = device_add(&f->dev);
	if (!err) {
		err = pci_show_function(f);
		if (err)
			device_del(&f->dev);
	}
	if (err) {
		log_err("%s is left out: error %d", f->dev.name, -err);
		device_put(&f->dev);
		return err;
	}
	list_add_tail(&f->bus_node, &bus->functions);
	return 0;
}

/* Functions 1 to 7 are asked for only if function 0 says that there are any: others may answer for all (PCI 3.0 §3.2.2.3.4). */
static u32 scan_device(struct pci_bus *bus, u32 devfn)
{
	struct pci_dev *zero;
	u32 found = 0, count = 1;

	for (u32 i = 0; i < count; i++) {
		if (!function_at(bus, devfn + i)) {
			if (!somebody_at(bus, devfn + i) || add_function(bus, devfn + i)) {
				if (!i)
					break;
				continue;
			}
			found++;
		}
		zero = i ? NULL : function_at(bus, devfn);
		if (zero && (zero->header & PCI_HEADER_MULTI))
			count = FUNCTIONS;
	}
	return found;
}

/* ---- bridges ---- */

static bool bus_known(u16 segment, u32 number)
{
	const struct device *dev;
	const struct pci_dev *f;

	for (u32 i = 0; i < nr_roots; i++)
		if (roots[i]->segment == segment && roots[i]->number == number)
			return true;
	for (dev = bus_next_device(&pci_bus_type, NULL); dev; dev = bus_next_device(&pci_bus_type, (struct device *)dev)) {
		f = container_of(dev, struct pci_dev, dev);
		if (f->secondary && f->secondary->segment == segment && f->secondary->number == number)
			return true;
	}
	return false;
}

static void open_bridge(struct pci_dev *f)
{
	u32 second = pci_read8(f, PCI_SECONDARY_BUS), last = pci_read8(f, PCI_SUBORDINATE_BUS);

	if ((f->header & PCI_HEADER_KIND) != PCI_HEADER_BRIDGE || f->secondary)
		return;
	if (!second && !last) {
		log_info("%s: firmware gave the bridge no bus", f->dev.name);
	} else if (pci_read8(f, PCI_PRIMARY_BUS) != f->bus->number || second <= f->bus->number || second > last ||
		   last > f->bus->last || bus_known(f->bus->segment, second)) {
		log_warn("%s: the bridge's buses %02x to %02x cannot be: it is left out", f->dev.name, second, last);
	} else {
		f->secondary = bus_create(f->bus->segment, second, last, &f->dev, f);
		if (!f->secondary)
			log_err("%s: no memory for what is behind it", f->dev.name);
	}
}

/* The bus itself, and its bridges' buses come into being. */
static u32 scan_one_bus(struct pci_bus *bus)
{
	struct pci_dev *f;
	u32 found = 0;

	for (u32 devfn = 0; devfn < DEVFNS; devfn += FUNCTIONS)
		found += scan_device(bus, devfn);
	list_for_each_entry(f, &bus->functions, bus_node)
		open_bridge(f);
	return found;
}

/* The bus behind `bus` in a walk of the tree below `top`, parents first; NULL at the end. */
static struct pci_bus *next_bus(struct pci_bus *bus, const struct pci_bus *top)
{
	struct pci_dev *f;

	list_for_each_entry(f, &bus->functions, bus_node)
		if (f->secondary)
			return f->secondary;
	while (bus != top) {
		struct pci_dev *up = bus->bridge;
		struct list_head *at;

		for (at = up->bus_node.next; at != &up->bus->functions; at = at->next)
			if (container_of(at, struct pci_dev, bus_node)->secondary)
				return container_of(at, struct pci_dev, bus_node)->secondary;
		bus = up->bus;
	}
	return NULL;
}

u32 pci_rescan_bus(struct pci_bus *top)
{
	u32 found = 0;

	device_tree_assert();
	for (struct pci_bus *bus = top; bus; bus = next_bus(bus, top))
		found += scan_one_bus(bus);
	return found;
}

void pci_rescan_all(void)
{
	for (u32 i = 0; i < nr_roots; i++)
		(void)pci_rescan_bus(roots[i]);
}

/* ---- going ---- */

static void remove_leaf(struct pci_dev *f)
{
	struct pci_bus *bus = f->secondary;

	pci_hide_function(f);
	if (bus) {
		device_del(&bus->dev);
		f->secondary = NULL;
		device_put(&bus->dev);
	}
	device_del(&f->dev);
	list_del_init(&f->bus_node);
	have_vga = have_vga && !f->boot_vga;
	device_put(&f->dev);
}

/* What is behind a bridge goes before it. */
void pci_remove_function(struct pci_dev *f)
{
	struct pci_dev *leaf;

	device_tree_assert();
	if (!f->dev.added)
		return;
	do {
		leaf = f;
		while (leaf->secondary && !list_empty(&leaf->secondary->functions))
			leaf = list_last_entry(&leaf->secondary->functions, struct pci_dev, bus_node);
		remove_leaf(leaf);
	} while (leaf != f);
}

struct pci_dev *pci_find(u16 vendor, u16 device, struct pci_dev *from)
{
	struct device *dev = from ? &from->dev : NULL;

	device_tree_lock();
	if (!from || from->dev.added)
		while ((dev = bus_next_device(&pci_bus_type, dev)))
			if (pci_dev_of(dev)->vendor == vendor && pci_dev_of(dev)->device == device)
				break;
	if (from && !from->dev.added)
		dev = NULL;
	if (dev)
		device_get(dev);
	device_tree_unlock();
	pci_put(from);
	return dev ? pci_dev_of(dev) : NULL;
}

/* ---- boot ---- */

static void host_release(struct device *dev)
{
	kfree(dev);
}

/* device_tree_lock. A bus that a host bridge begins with. */
static void add_root(u32 segment, u32 first, u32 last)
{
	struct device *host = kzalloc(sizeof(*host), 0);
	struct pci_bus *bus = NULL;

	if (!host)
		return;
	device_init(host, NULL, NULL, host_release);
	host->root = "devices";
	snprintf(host->name, sizeof(host->name), "pci%04x:%02x", segment, first);
	if (!device_add(host))
		bus = bus_create((u16)segment, first, last, host, NULL);
	if (!bus) {
		log_err("no memory for %s", host->name);
		device_del(host);
	} else {
		roots[nr_roots++] = bus;
	}
	device_put(host); /* the bus holds it */
}

static bool is_bus_known(u32 segment, u32 number)
{
	for (u32 i = 0; i < nr_roots; i++)
		for (struct pci_bus *b = roots[i]; b; b = next_bus(b, roots[i]))
			if (b->segment == segment && b->number == number)
				return true;
	return false;
}

static bool answers(u32 segment, u32 bus)
{
	if (hal_pci_open_bus(segment, bus))
		return false;
	for (u32 devfn = 0; devfn < DEVFNS; devfn += FUNCTIONS)
		if ((hal_pci_read(segment, bus, devfn, PCI_VENDOR, 2) & 0xffff) != 0xffff)
			return true;
	return false;
}

/*
 * Further host bridges, whose buses no bridge leads to: those that firmware names and where somebody answers. Looking at all
 * 256 would take as many milliseconds under a hypervisor. device_tree_lock. How many functions they brought.
 */
static u32 scan_hinted(void)
{
	struct hal_pci_segment s;
	u32 found = 0, known = nr_roots;
	u8 bus;
	int node;

	for (u32 i = 0; hal_pci_root_hint(i, &bus, &node); i++)
		for (u32 k = 0; nr_roots < MAX_ROOTS && hal_pci_segment(k, &s); k++)
			if (bus >= s.first_bus && bus <= s.last_bus && !is_bus_known(s.segment, bus) && answers(s.segment, bus))
				add_root(s.segment, bus, s.last_bus);
	for (u32 i = known; i < nr_roots; i++)
		found += pci_rescan_bus(roots[i]);
	return found;
}

static const char *how(const struct hal_pci_segment *s)
{
	return s->extended ? "mapped into memory" : "through ports";
}

void pci_init(void)
{
	struct hal_pci_segment s;
	u32 found = 0;

	if (bus_register(&pci_bus_type)) {
		log_err("no memory for the bus");
		return;
	}
	pci_files_init();
	device_tree_lock();
	for (u32 i = 0; nr_roots < MAX_ROOTS && hal_pci_segment(i, &s); i++) {
		log_info("segment %04x, buses %02x to %02x, configuration space %s", s.segment, s.first_bus, s.last_bus, how(&s));
		add_root(s.segment, s.first_bus, s.last_bus);
	}
	for (u32 i = 0; i < nr_roots; i++)
		found += pci_rescan_bus(roots[i]);
	found += scan_hinted();
	device_tree_unlock();
	log_info("%u functions on %u host bridges", found, nr_roots);
}
