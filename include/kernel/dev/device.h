/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_DEVICE_H
#define KERNEL_DEV_DEVICE_H

/*
 * The driver model: devices in a tree, buses that know which driver fits which device, drivers. The theory, and how a driver
 * is written, stands in docs/drivers.md; kernel/dev/driver.c implements it.
 *
 * One mutex, the device tree's, is held whenever a device comes or goes or is bound to a driver; so probe() and remove()
 * of all drivers run one at a time, and may add and remove devices below theirs. Entry points take it: device_tree_lock();
 * everything else here says [tree] when it wants it held.
 *
 * A device is counted. Who has a reference may look at its [I] fields, not use the hardware: that is its driver's
 * between probe() and remove().
 */
#include <kernel/mm/page.h>
#include <lib/list.h>
#include <lib/refcount.h>

struct bus_type;
struct device;
struct driver;
struct seq;

/* A file below the device's folder in /sys. The functions run while the device is there: they may not take the tree's lock. */
struct device_attr {
	const char *name;	/* NULL ends a list */
	u32 mode;
	int (*show)(struct device *dev, struct seq *s);
	int (*store)(struct device *dev, const char *text, size_t len);
	bool (*visible)(const struct device *dev);	/* NULL: on every device */
};

#define DEVICE_NAME_MAX 32u

/* [I] immutable once added, [t] the tree's lock, [a] atomic. */
struct device {
	char name[DEVICE_NAME_MAX];	/* [I] */
	char *path;			/* [I] below /sys, "devices/pci0000:00/0000:00:01.0": device_add() makes it */
	struct device *parent;		/* [I] counted; NULL: `path` begins with `root` */
	const char *root;		/* [I] without a parent: "devices", "devices/virtual/misc" */
	struct bus_type *bus;		/* [I] NULL: none, there is never a driver */
	const char *class_name;		/* [I] "misc": a link in /sys/class/misc, and a folder of the parent's; NULL: none */
	u32 devnum;			/* [I] devnum_t of its node, with devname */
	const char *devname;		/* [I] its node in /dev; NULL: it has none */
	const struct device_attr *attrs;/* [I] beside the bus's; may be NULL */
	struct driver *driver;		/* [t] */
	void *driver_data;		/* [t] of the driver */
	u64 dma_limit;			/* [t] the highest address that it can reach */
	refcount_t ref;			/* [a] */
	void (*release)(struct device *dev); /* [I] the last reference is gone */
	bool added;			/* [t] */
	struct list_head bus_node;	/* [t] */
	struct device_file *files;	/* [t] driver.c's */
};

struct driver {
	const char *name;		/* [I] */
	struct bus_type *bus;		/* [I] */
	struct list_head node;		/* [t] */
};

struct bus_type {
	const char *name;		/* [I] "pci": /sys/bus/pci */
	/* [tree] Does the driver fit? Must not touch the hardware. */
	bool (*match)(struct device *dev, struct driver *drv);
	/*
	 * [tree] Let the driver have the device; 0 or -errno, then nothing of it is left. -ENODEV: not for me after all. remove cannot
	 * fail: when it returns the hardware is silent, no interrupt handler, timer or thread of the driver touches it.
	 */
	int (*probe)(struct device *dev, struct driver *drv);
	void (*remove)(struct device *dev);
	/* KEY=value lines of the uevent file, may be NULL. */
	void (*uevent)(struct device *dev, struct seq *s);
	const struct device_attr *attrs; /* [I] of each of its devices; may be NULL */
	struct list_head devices, drivers; /* [t] */
};

/* Boot, before any of it. */
void driver_model_init(void);
void device_tree_lock(void);
void device_tree_unlock(void);
void device_tree_assert(void);

/* Boot or thread context; takes the tree's lock. 0 or -errno. */
int __must_check bus_register(struct bus_type *bus);
/* For good: there are no modules. Binds it to the devices that are there. */
int __must_check driver_register(struct driver *drv);

/* Zeroed memory in `dev` (embedded in the caller's structure) becomes a device with one reference. */
void device_init(struct device *dev, struct bus_type *bus, struct device *parent, void (*release)(struct device *dev));
/* [tree] Into the tree and /sys, and to a driver if there is one. 0 or -errno: then it was never there. */
int __must_check device_add(struct device *dev);
/* [tree] From its driver and out of /sys; its children are gone already. References may stay. */
void device_del(struct device *dev);
struct device *device_get(struct device *dev);
void device_put(struct device *dev);	/* may sleep */
/* [tree] The next device of the bus behind `from` (NULL: the first one). */
struct device *bus_next_device(struct bus_type *bus, struct device *from);

/* ---- DMA (kernel/dev/dma.c) ---- */

/*
 * A PC's devices see memory as the CPUs see it, cached and at its physical address; there is no IOMMU here. What is left to care
 * for is contiguity, alignment, and devices that cannot reach all addresses.
 *
 * The highest address the device's next buffers may have: 0, or -EIO when no memory of the machine is sure to be below.
 */
int __must_check dma_set_limit(struct device *dev, u64 highest);

struct dma_buf {
	void *virt;
	u64 bus;	/* what the device is told */
	size_t bytes;	/* [I] as asked for */
	u32 order;	/* dma.c's */
};
/*
 * Zeroed, contiguous memory for the device: `bytes` from 1 to 4 MiB, aligned to `align`, a power of two (at least a
 * page is). Thread context. 0, -ENOMEM, -EINVAL, -EIO: out of the device's reach.
 */
int __must_check dma_alloc(struct device *dev, size_t bytes, size_t align, struct dma_buf *out);
/* The device does not use it any more. A buffer that was never allocated (zeros) is fine. */
void dma_free(struct dma_buf *buf);
/* The bus address of kmalloc'ed or page memory; -EIO when the device cannot reach all of it. Any context. */
int __must_check dma_map(struct device *dev, const void *virt, size_t bytes, u64 *bus);

#endif
