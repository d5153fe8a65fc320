/* SPDX-License-Identifier: MIT */
/*
 * PCI as programs see it: the files of /sys/bus/pci, /sys/devices/pci* and /proc/bus/pci, in Linux's formats (Linux's
 * Documentation/ABI/testing/sysfs-bus-pci). What lspci(8) and setpci(8) read and write is all here. Not there: `resourceN` and
 * `rom` (mapping a BAR into a program), power management, and the files of error reporting.
 */
#define LOG_TAG "pci"
#include <hal/cpu.h>
#include <kernel/core/cpumask_text.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/mm/page.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/proc.h>
#include <lib/fls.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "pci_internal.h"

#define PATH_BYTES	160u
#define PUBLIC_BYTES	64u	/* of configuration space, for everybody */
#define CARDBUS_PUBLIC	128u

/* ---- numbers ---- */

#define NUMBER_ATTR(name_, fmt_, value_)						\
	static int name_##_show(struct device *dev, struct seq *s)			\
	{										\
		const struct pci_dev *f = pci_dev_of(dev);				\
											\
		seq_printf(s, fmt_ "\n", (value_));					\
		return 0;								\
	}
NUMBER_ATTR(vendor, "0x%04x", f->vendor)
NUMBER_ATTR(device, "0x%04x", f->device)
NUMBER_ATTR(subsystem_vendor, "0x%04x", f->subsystem_vendor)
NUMBER_ATTR(subsystem_device, "0x%04x", f->subsystem_device)
NUMBER_ATTR(revision, "0x%02x", f->revision)
NUMBER_ATTR(class, "0x%06x", f->class)
NUMBER_ATTR(irq, "%u", f->irq)
NUMBER_ATTR(enable, "%u", READ_ONCE(f->enables))
NUMBER_ATTR(boot_vga, "%u", f->boot_vga)
NUMBER_ATTR(msi_bus, "%u", f->vendor != 0)	/* messages are never forbidden here */
NUMBER_ATTR(zero, "%u", f->vendor == 0)
NUMBER_ATTR(numa_node, "%d", f->bus->node)
NUMBER_ATTR(dma_mask_bits, "%u", f->dev.dma_limit ? fls64(f->dev.dma_limit) : 0)
NUMBER_ATTR(secondary_bus_number, "%u", pci_read8(f, PCI_SECONDARY_BUS))
NUMBER_ATTR(subordinate_bus_number, "%u", pci_read8(f, PCI_SUBORDINATE_BUS))
NUMBER_ATTR(max_link_width, "%u", pci_read32(f, f->express + PCI_EXPRESS_LINK_CAP) >> 4 & 0x3f)
NUMBER_ATTR(current_link_width, "%u", pci_read16(f, f->express + PCI_EXPRESS_LINK_STATUS) >> 4 & 0x3fu)

/* PCI Express 5.0 §7.5.3.6 and 7.5.3.8 */
static const char *link_speed(u32 code)
{
	static const char *const names[] = { "Unknown", "2.5 GT/s PCIe", "5.0 GT/s PCIe", "8.0 GT/s PCIe", "16.0 GT/s PCIe",
					     "32.0 GT/s PCIe", "64.0 GT/s PCIe" };

	return code < ARRAY_SIZE(names) ? names[code] : names[0];
}
NUMBER_ATTR(max_link_speed, "%s", link_speed(pci_read32(f, f->express + PCI_EXPRESS_LINK_CAP) & 0xf))
NUMBER_ATTR(current_link_speed, "%s", link_speed(pci_read16(f, f->express + PCI_EXPRESS_LINK_STATUS) & 0xfu))

/* The CPUs of that node; -1: all. */
static void cpus_text(struct seq *s, int node, size_t (*format)(char *buf, size_t size, const struct cpumask *m, u32 nr))
{
	char text[CPUMASK_TEXT_BYTES]; /* no list of online CPUs that is longer is worth more */
	struct cpumask online;
	u32 cpu;

	cpumask_clear(&online);
	for_each_online_cpu(cpu)
		if (node < 0 || mm_node_of_cpu(cpu) == (u32)node)
			cpumask_set(&online, cpu);
	(void)format(text, sizeof(text), &online, hal_cpu_count());
	seq_printf(s, "%s\n", text);
}

static int local_cpus_show(struct device *dev, struct seq *s)
{
	cpus_text(s, pci_dev_of(dev)->bus->node, cpumask_format);
	return 0;
}

static int local_cpulist_show(struct device *dev, struct seq *s)
{
	cpus_text(s, pci_dev_of(dev)->bus->node, cpumask_format_list);
	return 0;
}

static int cpuaffinity_show(struct device *dev, struct seq *s)
{
	cpus_text(s, container_of(dev, struct pci_bus, dev)->node, cpumask_format);
	return 0;
}

static int cpulistaffinity_show(struct device *dev, struct seq *s)
{
	cpus_text(s, container_of(dev, struct pci_bus, dev)->node, cpumask_format_list);
	return 0;
}

/* ---- texts ---- */

static void modalias_text(struct seq *s, const struct pci_dev *f)
{
	seq_printf(s, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", f->vendor, f->device, f->subsystem_vendor,
		   f->subsystem_device, f->class >> 16, f->class >> 8 & 0xff, f->class & 0xff);
}

static int modalias_show(struct device *dev, struct seq *s)
{
	modalias_text(s, pci_dev_of(dev));
	return 0;
}

void pci_uevent(struct device *dev, struct seq *s)
{
	const struct pci_dev *f = pci_dev_of(dev);

	seq_printf(s, "PCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\nMODALIAS=", f->class, f->vendor,
		   f->device, f->subsystem_vendor, f->subsystem_device, dev->name);
	modalias_text(s, f);
}

static int power_state_show(struct device *dev, struct seq *s)
{
	seq_puts(s, READ_ONCE(pci_dev_of(dev)->enables) ? "D0\n" : "unknown\n");
	return 0;
}

static int resource_show(struct device *dev, struct seq *s)
{
	const struct pci_dev *f = pci_dev_of(dev);
	u32 lines = (f->header & PCI_HEADER_KIND) == PCI_HEADER_BRIDGE ? PCI_RES_COUNT : PCI_RES_FILE;

	for (u32 i = 0; i < lines; i++) {
		const struct pci_resource *r = &f->res[i];

		seq_printf(s, "0x%016llx 0x%016llx 0x%016llx\n", (unsigned long long)r->start,
			   (unsigned long long)(r->bytes ? r->start + r->bytes - 1 : 0), (unsigned long long)r->flags);
	}
	return 0;
}

/* ---- what is written ---- */

static int number_of(const char *text, u64 *v)
{
	const char *end;
	int err = parse_u64(text, 0, v, &end);

	if (!err && *end == '\n')
		end++;
	return err || *end ? -EINVAL : 0;
}

static int enable_store(struct device *dev, const char *text, size_t len)
{
	struct pci_dev *f = pci_dev_of(dev);
	u32 command = 0;
	u64 on;

	(void)len;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (number_of(text, &on))
		return -EINVAL;
	if (READ_ONCE(dev->driver))
		return -EBUSY;
	if (!on) {
		if (!READ_ONCE(f->enables))
			return -EIO;
		pci_disable(f);
		return 0;
	}
	for (u32 i = 0; i < PCI_RES_COUNT; i++)
		command |= (f->res[i].flags & PCI_RES_IO ? PCI_COMMAND_IO : 0) |
			   (f->res[i].flags & PCI_RES_MEM ? PCI_COMMAND_MEMORY : 0);
	return pci_enable(f, command);
}

static void hold(void *arg)
{
	device_get(arg);
}

static void drop(void *arg)
{
	device_put(arg);
}

static int remove_store(void *arg, const char *text, size_t len)
{
	u64 yes;

	(void)len;
	if (number_of(text, &yes))
		return -EINVAL;
	if (!yes)
		return 0;
	device_tree_lock();
	pci_remove_function(pci_dev_of(arg));
	device_tree_unlock();
	return 0;
}

static int rescan_bus_store(void *arg, const char *text, size_t len)
{
	struct device *dev = arg;
	u64 yes;

	(void)len;
	if (number_of(text, &yes))
		return -EINVAL;
	if (!yes)
		return 0;
	device_tree_lock();
	if (dev->added)
		(void)pci_rescan_bus(pci_dev_of(dev)->bus);
	device_tree_unlock();
	return 0;
}

static int rescan_all_store(void *arg, const char *text, size_t len)
{
	u64 yes;

	(void)arg, (void)len;
	if (number_of(text, &yes))
		return -EINVAL;
	if (!yes)
		return 0;
	device_tree_lock();
	pci_rescan_all();
	device_tree_unlock();
	return 0;
}

/* ---- the lists ---- */

static bool is_bridge(const struct device *dev)
{
	return (container_of(dev, struct pci_dev, dev)->header & PCI_HEADER_KIND) == PCI_HEADER_BRIDGE;
}

static bool is_express(const struct device *dev)
{
	return container_of(dev, struct pci_dev, dev)->express;
}

static bool is_vga(const struct device *dev)
{
	return container_of(dev, struct pci_dev, dev)->class == PCI_CLASS_VGA;
}

#define READ_ONLY(name_) { .name = #name_, .mode = 0444, .show = name_##_show }
#define READ_ONLY_IF(name_, when_) { .name = #name_, .mode = 0444, .show = name_##_show, .visible = (when_) }
const struct device_attr pci_device_attrs[] = {
	READ_ONLY(resource), READ_ONLY(vendor), READ_ONLY(device), READ_ONLY(subsystem_vendor), READ_ONLY(subsystem_device),
	READ_ONLY(revision), READ_ONLY(class), READ_ONLY(irq), READ_ONLY(local_cpus), READ_ONLY(local_cpulist), READ_ONLY(modalias),
	READ_ONLY(dma_mask_bits), READ_ONLY(numa_node), READ_ONLY(msi_bus), READ_ONLY(power_state),
	{ .name = "consistent_dma_mask_bits", .mode = 0444, .show = dma_mask_bits_show },
	{ .name = "ari_enabled", .mode = 0444, .show = zero_show },
	{ .name = "broken_parity_status", .mode = 0444, .show = zero_show },
	{ .name = "enable", .mode = 0644, .show = enable_show, .store = enable_store },
	READ_ONLY_IF(boot_vga, is_vga),
	READ_ONLY_IF(secondary_bus_number, is_bridge), READ_ONLY_IF(subordinate_bus_number, is_bridge),
	READ_ONLY_IF(max_link_speed, is_express), READ_ONLY_IF(max_link_width, is_express),
	READ_ONLY_IF(current_link_speed, is_express), READ_ONLY_IF(current_link_width, is_express),
	{ 0 },
};

const struct device_attr pci_bus_attrs[] = {
	{ .name = "cpuaffinity", .mode = 0444, .show = cpuaffinity_show },
	{ .name = "cpulistaffinity", .mode = 0444, .show = cpulistaffinity_show },
	{ 0 },
};

/* ---- configuration space ---- */

/* The largest aligned access that fits. */
static u32 step_at(u64 offset, size_t n)
{
	return offset % 4 == 0 && n >= 4 ? 4 : offset % 2 == 0 && n >= 2 ? 2 : 1;
}

static ssize_t config_read(struct file *file, void *arg, u64 offset, void *buf, size_t n)
{
	struct pci_dev *f = arg;
	u64 end = (f->header & PCI_HEADER_KIND) == PCI_HEADER_CARDBUS ? CARDBUS_PUBLIC : PUBLIC_BYTES;
	u8 *at = buf;
	size_t left;

	if (cred_capable(file->cred, CAP_SYS_ADMIN))
		end = f->config_bytes;
	if (offset >= end)
		return 0;
	n = MIN(n, end - offset);
	for (left = n; left;) {
		u32 step = step_at(offset, left);
		u32 v = hal_pci_read(f->bus->segment, f->bus->number, f->devfn, (u32)offset, step);

		memcpy(at, &v, step);
		at += step;
		offset += step;
		left -= step;
	}
	return (ssize_t)n;
}

static ssize_t config_write(struct file *file, void *arg, u64 offset, const void *buf, size_t n)
{
	struct pci_dev *f = arg;
	const u8 *at = buf;
	size_t left;

	(void)file;
	if (offset >= f->config_bytes)
		return 0;
	n = MIN(n, f->config_bytes - offset);
	for (left = n; left;) {
		u32 step = step_at(offset, left), v = 0;

		memcpy(&v, at, step);
		hal_pci_write(f->bus->segment, f->bus->number, f->devfn, (u32)offset, step, v);
		at += step;
		offset += step;
		left -= step;
	}
	return (ssize_t)n;
}

static const struct node_binary config_256 = { .size = 256, .read = config_read, .write = config_write };
static const struct node_binary config_4096 = { .size = 4096, .read = config_read, .write = config_write };

static void proc_name(const struct pci_dev *f, char *name, size_t size)
{
	if (f->bus->segment)
		snprintf(name, size, "bus/pci/%04x:%02x/%02x.%u", f->bus->segment, f->bus->number, f->devfn >> 3, f->devfn & 7u);
	else
		snprintf(name, size, "bus/pci/%02x/%02x.%u", f->bus->number, f->devfn >> 3, f->devfn & 7u);
}

int pci_show_function(struct pci_dev *f)
{
	const struct node_binary *config = f->config_bytes > 256 ? &config_4096 : &config_256;
	char name[PATH_BYTES + 16], proc[PATH_BYTES];
	int err;

	if (strlen(f->dev.path) >= PATH_BYTES)
		return -ENAMETOOLONG;
	snprintf(name, sizeof(name), "%s/config", f->dev.path);
	err = sys_register_binary(name, 0644, config, f);
	snprintf(name, sizeof(name), "%s/remove", f->dev.path);
	if (!err)
		err = sys_register_self_removing(name, 0220, remove_store, hold, drop, &f->dev);
	snprintf(name, sizeof(name), "%s/rescan", f->dev.path);
	if (!err)
		err = sys_register_self_removing(name, 0200, rescan_bus_store, hold, drop, &f->dev);
	proc_name(f, proc, sizeof(proc));
	return err ? err : proc_register_binary(proc, 0644, config, f);
}

void pci_hide_function(struct pci_dev *f)
{
	char proc[PATH_BYTES];

	proc_name(f, proc, sizeof(proc));
	(void)proc_unregister(proc);
}

/* ---- /proc/bus/pci/devices ---- */

static void devices_line(struct seq *s, const struct pci_dev *f)
{
	seq_printf(s, "%02x%02x\t%04x%04x\t%x", f->bus->number, f->devfn, f->vendor, f->device, f->irq);
	for (u32 i = 0; i <= PCI_RES_ROM; i++)
		seq_printf(s, "\t%16llx", (unsigned long long)(f->res[i].start | (f->res[i].flags & 0xf)));
	for (u32 i = 0; i <= PCI_RES_ROM; i++)
		seq_printf(s, "\t%16llx", f->res[i].bytes > 1 ? (unsigned long long)f->res[i].bytes : 0);
	seq_printf(s, "\t%s\n", f->dev.driver ? f->dev.driver->name : "");
}

static int devices_show(struct seq *s, void *arg)
{
	struct device *dev = NULL;

	(void)arg;
	device_tree_lock();
	while ((dev = bus_next_device(&pci_bus_type, dev)))
		devices_line(s, pci_dev_of(dev));
	device_tree_unlock();
	return 0;
}

void pci_files_init(void)
{
	(void)proc_register("bus/pci/devices", 0444, devices_show, NULL);
	(void)sys_register("bus/pci/rescan", 0200, NULL, rescan_all_store, NULL);
}
