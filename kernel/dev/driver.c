/* SPDX-License-Identifier: MIT */
/*
 * The driver model: devices, buses, drivers, and how /sys shows them.
 *
 * A device's folder is below its parent's; /sys/bus/BUS/devices and /sys/class/CLASS hold links to it, and when a driver has
 * it, `driver` leads to /sys/bus/BUS/drivers/NAME and a link there leads back. `bind` and `unbind` of a driver take the name
 * of a device, as on Linux.
 *
 * One lock, tree_lock, for all comings and goings. It is not taken by attributes of devices, because device_del() waits for
 * them while it holds it; a driver's bind and unbind may take it, since drivers stay. Probing under one lock makes
 * boot sequential; drivers whose devices need time start it in probe() and finish in a work item.
 *
 * A step that fails to show something in /sys for want of memory fails the whole device: half a device helps nobody.
 */
#define LOG_TAG "driver"
#include <kernel/core/assert.h>
#include <kernel/core/lockrank.h>
#include <kernel/core/log.h>
#include <kernel/dev/device.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/mutex.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define PATH_BYTES 256u

/* One file of one device: what the registry hands to the functions below. */
struct device_file {
	struct device *dev;
	const struct device_attr *attr;
};

static struct mutex tree_lock;

void device_tree_lock(void)
{
	mutex_lock(&tree_lock);
}

void device_tree_unlock(void)
{
	mutex_unlock(&tree_lock);
}

void device_tree_assert(void)
{
	ASSERT(mutex_is_mine(&tree_lock));
}

void device_init(struct device *dev, struct bus_type *bus, struct device *parent, void (*release)(struct device *dev))
{
	dev->bus = bus;
	dev->parent = parent ? device_get(parent) : NULL;
	dev->release = release;
	dev->dma_limit = 0xffffffffull; /* what a device can do that says nothing, as on Linux */
	refcount_init(&dev->ref, 1);
	list_init(&dev->bus_node);
}

struct device *device_get(struct device *dev)
{
	refcount_get(&dev->ref);
	return dev;
}

void device_put(struct device *dev)
{
	struct device *parent;

	while (dev && refcount_put_and_test(&dev->ref)) {
		parent = dev->parent;
		kfree(dev->files);
		kfree(dev->path);
		dev->release(dev);
		dev = parent;
	}
}

/* ---- /sys ---- */

/* Paths are made on the stack: what goes must go without asking for memory. */
struct text {
	char s[PATH_BYTES];
};

/* NULL when it is too long. */
__printf(2, 3) static const char *path(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s, sizeof(t->s), fmt, ap);
	va_end(ap);
	return n < 0 || (u32)n >= sizeof(t->s) ? NULL : t->s;
}

static int link_at(const char *name, const char *target)
{
	return name && target ? sys_register_link(name, target) : -ENAMETOOLONG;
}

static void unlink_at(const char *name)
{
	if (name)
		(void)sys_unregister(name);
}

/* "../" for each folder of a path. */
static const char *up(const char *path)
{
	static const char ups[] = "../../../../../../../../../../../../";
	size_t n = 1;

	for (; *path; path++)
		n += *path == '/';
	return ups + sizeof(ups) - 1 - 3 * MIN(n, (sizeof(ups) - 1) / 3);
}

static int file_show(struct seq *s, void *arg)
{
	struct device_file *f = arg;

	return f->attr->show(f->dev, s);
}

static int file_store(void *arg, const char *text, size_t len)
{
	struct device_file *f = arg;

	return f->attr->store(f->dev, text, len);
}

static int uevent_show(struct device *dev, struct seq *s)
{
	struct driver *drv = READ_ONCE(dev->driver); /* drivers stay */

	if (dev->devname)
		seq_printf(s, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", DEV_MAJOR(dev->devnum), DEV_MINOR(dev->devnum), dev->devname);
	if (drv)
		seq_printf(s, "DRIVER=%s\n", drv->name);
	if (dev->bus && dev->bus->uevent)
		dev->bus->uevent(dev, s);
	return 0;
}

static int dev_show(struct device *dev, struct seq *s)
{
	seq_printf(s, "%u:%u\n", DEV_MAJOR(dev->devnum), DEV_MINOR(dev->devnum));
	return 0;
}

static bool has_node(const struct device *dev)
{
	return dev->devname;
}

static const struct device_attr common_attrs[] = {
	{ .name = "dev", .mode = 0444, .show = dev_show, .visible = has_node },
	{ .name = "uevent", .mode = 0444, .show = uevent_show },
	{ 0 },
};

static u32 count_attrs(const struct device_attr *a)
{
	u32 n = 0;

	while (a && a[n].name)
		n++;
	return n;
}

static int add_files(struct device *dev, const struct device_attr *at, u32 *used)
{
	struct text a;
	int err = 0;

	for (; at && at->name && !err; at++) {
		struct device_file *f = &dev->files[*used];
		const char *name;

		if (at->visible && !at->visible(dev))
			continue;
		(*used)++;
		name = path(&a, "%s/%s", dev->path, at->name);
		*f = (struct device_file){ dev, at };
		err = name ? sys_register(name, at->mode, at->show ? file_show : NULL, at->store ? file_store : NULL, f) : -ENAMETOOLONG;
	}
	return err;
}

static int show_device(struct device *dev)
{
	const struct device_attr *bus_attrs = dev->bus ? dev->bus->attrs : NULL;
	struct text a, b;
	u32 used = 0;
	int err;

	dev->files = kcalloc(count_attrs(common_attrs) + count_attrs(bus_attrs) + count_attrs(dev->attrs), sizeof(*dev->files), 0);
	if (!dev->files)
		return -ENOMEM;
	err = sys_register_dir(dev->path);
	if (!err)
		err = add_files(dev, common_attrs, &used);
	if (!err)
		err = add_files(dev, bus_attrs, &used);
	if (!err)
		err = add_files(dev, dev->attrs, &used);
	if (!err && dev->bus)
		err = link_at(path(&a, "%s/subsystem", dev->path), path(&b, "%sbus/%s", up(dev->path), dev->bus->name));
	if (!err && dev->bus)
		err = link_at(path(&a, "bus/%s/devices/%s", dev->bus->name, dev->name), path(&b, "../../../%s", dev->path));
	if (!err && dev->class_name)
		err = link_at(path(&a, "%s/subsystem", dev->path), path(&b, "%sclass/%s", up(dev->path), dev->class_name));
	if (!err && dev->class_name)
		err = link_at(path(&a, "class/%s/%s", dev->class_name, dev->name), path(&b, "../../%s", dev->path));
	if (!err && dev->devname)
		err = link_at(path(&a, "dev/char/%u:%u", DEV_MAJOR(dev->devnum), DEV_MINOR(dev->devnum)), path(&b, "../../%s", dev->path));
	return err;
}

static void hide_device(struct device *dev)
{
	struct text a;

	if (dev->bus)
		unlink_at(path(&a, "bus/%s/devices/%s", dev->bus->name, dev->name));
	if (dev->class_name)
		unlink_at(path(&a, "class/%s/%s", dev->class_name, dev->name));
	if (dev->devname)
		unlink_at(path(&a, "dev/char/%u:%u", DEV_MAJOR(dev->devnum), DEV_MINOR(dev->devnum)));
	(void)sys_unregister(dev->path);
}

/* ---- binding ---- */

static void hide_binding(struct device *dev)
{
	struct text a;

	unlink_at(path(&a, "%s/driver", dev->path));
	unlink_at(path(&a, "bus/%s/drivers/%s/%s", dev->bus->name, dev->driver->name, dev->name));
}

/* [tree] */
static int bind(struct device *dev, struct driver *drv)
{
	int err = dev->bus->probe(dev, drv);
	struct text a, b;

	if (err) {
		if (err != -ENODEV)
			log_err("%s does not work with %s: error %d", dev->name, drv->name, -err);
		return err;
	}
	WRITE_ONCE(dev->driver, drv);
	/* Without these two links the device still works. */
	(void)link_at(path(&a, "%s/driver", dev->path), path(&b, "%sbus/%s/drivers/%s", up(dev->path), dev->bus->name, drv->name));
	(void)link_at(path(&a, "bus/%s/drivers/%s/%s", dev->bus->name, drv->name, dev->name), path(&b, "../../../../%s", dev->path));
	return 0;
}

/* [tree] */
static void unbind(struct device *dev)
{
	if (!dev->driver)
		return;
	dev->bus->remove(dev);
	hide_binding(dev);
	WRITE_ONCE(dev->driver, NULL);
	dev->driver_data = NULL;
}

/* [tree] The first driver that fits and does not refuse. */
static void find_driver(struct device *dev)
{
	struct driver *drv;

	list_for_each_entry(drv, &dev->bus->drivers, node)
		if (dev->bus->match(dev, drv) && !bind(dev, drv))
			return;
}

static struct device *device_named(struct bus_type *bus, const char *text, size_t len)
{
	struct device *dev;

	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	list_for_each_entry(dev, &bus->devices, bus_node)
		if (strlen(dev->name) == len && !memcmp(dev->name, text, len))
			return dev;
	return NULL;
}

static int bind_store(void *arg, const char *text, size_t len)
{
	struct driver *drv = arg;
	struct device *dev;
	int err = -ENODEV;

	device_tree_lock();
	dev = device_named(drv->bus, text, len);
	if (dev && !dev->driver && drv->bus->match(dev, drv))
		err = bind(dev, drv);
	device_tree_unlock();
	return err;
}

static int unbind_store(void *arg, const char *text, size_t len)
{
	struct driver *drv = arg;
	struct device *dev;
	int err = -ENODEV;

	device_tree_lock();
	dev = device_named(drv->bus, text, len);
	if (dev && dev->driver == drv) {
		unbind(dev);
		err = 0;
	}
	device_tree_unlock();
	return err;
}

/* ---- comings and goings ---- */

int device_add(struct device *dev)
{
	const char *name;
	struct text a;
	int err;

	device_tree_assert();
	ASSERT(!dev->added);
	if (dev->parent && dev->class_name)
		name = path(&a, "%s/%s/%s", dev->parent->path, dev->class_name, dev->name);
	else
		name = path(&a, "%s/%s", dev->parent ? dev->parent->path : dev->root, dev->name);
	if (!name)
		return -ENAMETOOLONG;
	dev->path = kstrdup(name, 0);
	if (!dev->path)
		return -ENOMEM;
	err = show_device(dev);
	if (err) {
		hide_device(dev);
		return err;
	}
	dev->added = true;
	if (!dev->bus)
		return 0;
	list_add_tail(&dev->bus_node, &dev->bus->devices);
	find_driver(dev);
	return 0;
}

void device_del(struct device *dev)
{
	device_tree_assert();
	if (!dev->added)
		return;
	if (dev->bus) {
		unbind(dev);
		list_del_init(&dev->bus_node);
	}
	hide_device(dev);
	dev->added = false;
}

struct device *bus_next_device(struct bus_type *bus, struct device *from)
{
	struct list_head *next = from ? from->bus_node.next : bus->devices.next;

	device_tree_assert();
	return next == &bus->devices ? NULL : container_of(next, struct device, bus_node);
}

static int register_under(const char *name, int (*store)(void *arg, const char *text, size_t len), void *arg)
{
	return !name ? -ENAMETOOLONG : store ? sys_register(name, 0200, NULL, store, arg) : sys_register_dir(name);
}

int bus_register(struct bus_type *bus)
{
	struct text a;
	int err;

	list_init(&bus->devices);
	list_init(&bus->drivers);
	err = register_under(path(&a, "bus/%s/devices", bus->name), NULL, NULL);
	return err ? err : register_under(path(&a, "bus/%s/drivers", bus->name), NULL, NULL);
}

int driver_register(struct driver *drv)
{
	struct device *dev;
	struct text a;
	int err = register_under(path(&a, "bus/%s/drivers/%s", drv->bus->name, drv->name), NULL, NULL);

	if (!err)
		err = register_under(path(&a, "bus/%s/drivers/%s/bind", drv->bus->name, drv->name), bind_store, drv);
	if (!err)
		err = register_under(path(&a, "bus/%s/drivers/%s/unbind", drv->bus->name, drv->name), unbind_store, drv);
	if (err)
		return err;
	device_tree_lock();
	list_add_tail(&drv->node, &drv->bus->drivers);
	list_for_each_entry(dev, &drv->bus->devices, bus_node)
		if (!dev->driver && drv->bus->match(dev, drv))
			(void)bind(dev, drv);
	device_tree_unlock();
	return 0;
}

void driver_model_init(void)
{
	mutex_init(&tree_lock, "device tree", LOCK_RANK_DEVICE_TREE);
}
