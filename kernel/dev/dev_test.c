/* SPDX-License-Identifier: MIT */
/*
 * Self tests of the driver model, of entries of /sys that go while they are used, of memory for DMA, and of the PCI functions
 * that the machine has. (Capabilities, BARs and virtqueues with hostile contents are tested on the host: test/host.)
 */
#include <kernel/core/selftest.h>
#include <kernel/dev/pci.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/wait.h>
#include <kernel/vfs/proc.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "pci_internal.h"

/* ---- the registry -------------------------------------------------------------------------------- */

static struct proc_node *sys_lookup(const char *path)
{
	struct proc_node *n = &sys_root_node, *child;

	for (; n && *path; n = child) {
		u32 len = (u32)(strchrnul(path, '/') - path);

		child = node_child_get(n, path, len);
		node_put(n);
		path += len + (path[len] == '/');
	}
	return n;
}

static bool sys_has(const char *path)
{
	struct proc_node *n = sys_lookup(path);

	if (n)
		node_put(n);
	return n;
}

static int show_nothing(struct seq *s, void *arg)
{
	(void)s, (void)arg;
	return 0;
}

SELFTEST(sysfs, entries_go)
{
	struct proc_node *file, *dir;

	REQUIRE(!sys_register("selftest/a/b", 0444, show_nothing, NULL, NULL));
	REQUIRE(!sys_register_link("selftest/a/link", "b"));
	report_capture_begin();
	EXPECT_EQ(sys_register("selftest/a/b", 0444, show_nothing, NULL, NULL), -EEXIST);
	EXPECT_REPORTS(1);
	report_capture_end();
	dir = sys_lookup("selftest/a");
	file = sys_lookup("selftest/a/b");
	REQUIRE(dir && file);
	EXPECT(node_enter(file));
	node_leave(file);
	EXPECT(!sys_unregister("selftest"));
	EXPECT(!sys_has("selftest") && node_is_gone(dir) && node_is_gone(file));
	EXPECT(!node_enter(file));
	EXPECT(!node_child_get(dir, "b", 1)); /* who stands in the folder finds nothing more */
	EXPECT(!node_child_from(dir, 0));
	node_put(file);
	node_put(dir);
	EXPECT_EQ(sys_unregister("selftest"), -ENOENT);
	REQUIRE(!sys_register("selftest/a", 0444, show_nothing, NULL, NULL)); /* the name is free again */
	EXPECT(!sys_unregister("selftest"));
}

/* One sits in a function of the entry; another takes it away, and must wait. */
static struct {
	struct completion inside, leave, out;
	bool left;	/* [a] */
	bool too_early; /* [a] */
} sitting;

static void sit_inside(void *arg)
{
	struct proc_node *n = arg;

	if (node_enter(n)) {
		complete(&sitting.inside);
		wait_for_completion(&sitting.leave, "selftest");
		WRITE_ONCE(sitting.left, true);
		node_leave(n);
	}
}

static void take_away(void *arg)
{
	(void)arg;
	(void)sys_unregister("selftest");
	WRITE_ONCE(sitting.too_early, !READ_ONCE(sitting.left));
	complete(&sitting.out);
}

SELFTEST(sysfs, removal_waits_for_those_inside)
{
	struct proc_node *n;

	sitting.left = sitting.too_early = false;
	completion_init(&sitting.inside);
	completion_init(&sitting.leave);
	completion_init(&sitting.out);
	REQUIRE(!sys_register("selftest/slow", 0444, show_nothing, NULL, NULL));
	n = sys_lookup("selftest/slow");
	REQUIRE(n);
	REQUIRE(kthread_run(sit_inside, n, "sysfs_sit"));
	wait_for_completion(&sitting.inside, "selftest");
	REQUIRE(kthread_run(take_away, NULL, "sysfs_take"));
	while (sys_has("selftest")) {
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		(void)thread_sleep_until(clock_mono_ns() + 1000000, THREAD_UNINTERRUPTIBLE, "selftest");
	}
	EXPECT(!node_enter(n)); /* barred at once, though the removal is not over */
	complete(&sitting.leave);
	wait_for_completion(&sitting.out, "selftest");
	EXPECT(!READ_ONCE(sitting.too_early));
	node_put(n);
}

/* ---- the driver model ---------------------------------------------------------------------------- */

struct toy {
	struct device dev;
	int answer;	/* of probe */
	u32 probed, removed;
	bool released;
};

static struct toy toys[3];

static struct toy *toy_of(struct device *dev)
{
	return container_of(dev, struct toy, dev);
}

static bool toy_match(struct device *dev, struct driver *drv)
{
	return dev->name[0] == drv->name[0];
}

static int toy_probe(struct device *dev, struct driver *drv)
{
	(void)drv;
	toy_of(dev)->probed++;
	return toy_of(dev)->answer;
}

static void toy_remove(struct device *dev)
{
	toy_of(dev)->removed++;
}

static void toy_release(struct device *dev)
{
	toy_of(dev)->released = true;
}

static int toy_show(struct device *dev, struct seq *s)
{
	(void)dev, (void)s;
	return 0;
}

static const struct device_attr toy_attrs[] = { { .name = "color", .mode = 0444, .show = toy_show }, { 0 } };
static struct bus_type toy_bus = {
	.name = "selftest", .match = toy_match, .probe = toy_probe, .remove = toy_remove, .attrs = toy_attrs,
};
static struct driver toy_driver = { .name = "ducks", .bus = &toy_bus };

static struct toy *make_toy(u32 i, const char *name, struct toy *parent, int answer)
{
	struct toy *t = &toys[i];

	*t = (struct toy){ .answer = answer };
	device_init(&t->dev, &toy_bus, parent ? &parent->dev : NULL, toy_release);
	t->dev.root = "devices";
	strscpy(t->dev.name, name, sizeof(t->dev.name));
	return t;
}

/* Drivers and buses stay for good: made once. */
static bool toy_setup(void)
{
	static bool done;

	if (!done)
		done = !bus_register(&toy_bus) && !driver_register(&toy_driver);
	return done;
}

SELFTEST(driver, devices_come_and_go)
{
	struct toy *duck, *cat, *chick;

	REQUIRE(toy_setup());
	duck = make_toy(0, "duck", NULL, 0);
	cat = make_toy(1, "cat", NULL, 0);
	chick = make_toy(2, "dchick", duck, -ENODEV);
	device_tree_lock();
	EXPECT(!device_add(&duck->dev) && !device_add(&cat->dev) && !device_add(&chick->dev));
	EXPECT(duck->dev.driver == &toy_driver && !cat->dev.driver && !chick->dev.driver);
	EXPECT(duck->probed == 1 && cat->probed == 0 && chick->probed == 1);
	EXPECT(sys_has("devices/duck/color") && sys_has("devices/duck/dchick/subsystem") && sys_has("bus/selftest/devices/cat"));
	EXPECT(sys_has("devices/duck/driver") && sys_has("bus/selftest/drivers/ducks/duck") && !sys_has("devices/cat/driver"));
	EXPECT(bus_next_device(&toy_bus, NULL) == &duck->dev && bus_next_device(&toy_bus, &chick->dev) == NULL);
	device_del(&chick->dev);
	device_del(&duck->dev);
	device_del(&cat->dev);
	device_tree_unlock();
	EXPECT(duck->removed == 1 && cat->removed == 0 && chick->removed == 0);
	EXPECT(!sys_has("devices/duck") && !sys_has("bus/selftest/devices/duck") && !sys_has("bus/selftest/drivers/ducks/duck"));
	device_put(&duck->dev);
	EXPECT(!duck->released); /* the child holds it */
	device_put(&chick->dev);
	device_put(&cat->dev);
	EXPECT(duck->released && cat->released && chick->released);
}

SELFTEST(driver, a_device_that_cannot_be_shown_was_never_there)
{
	struct toy *one, *two;

	REQUIRE(toy_setup());
	one = make_toy(0, "duck", NULL, 0);
	two = make_toy(1, "duck", NULL, 0);
	device_tree_lock();
	EXPECT(!device_add(&one->dev));
	report_capture_begin();
	EXPECT_EQ(device_add(&two->dev), -EEXIST);
	report_capture_end();
	EXPECT(two->probed == 0 && !two->dev.added);
	device_del(&one->dev);
	device_tree_unlock();
	device_put(&one->dev);
	device_put(&two->dev);
	EXPECT(one->released && two->released && !sys_has("devices/duck"));
}

/* ---- DMA ----------------------------------------------------------------------------------------- */

SELFTEST(dma, buffers)
{
	static const struct { size_t bytes, align; int err; } cases[] = {
		{ 1, 1, 0 }, { 4096, 4096, 0 }, { 5000, 64, 0 }, { 100, 65536, 0 }, { 3 * 4096, 16, 0 }, { 4 * MIB, 4096, 0 },
		{ 0, 1, -EINVAL }, { 8, 3, -EINVAL }, { 8, 0, -EINVAL }, { 4 * MIB + 1, 1, -EINVAL }, { 1, 8 * MIB, -EINVAL },
	};
	struct device dev = { .dma_limit = ~0ull };
	struct dma_buf buf;
	u64 bus;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		int err = dma_alloc(&dev, cases[i].bytes, cases[i].align, &buf);

		if (!EXPECT_EQ(err, cases[i].err) || err) {
			EXPECT(!buf.virt);
			continue;
		}
		EXPECT(!(buf.bus & (cases[i].align - 1)));
		EXPECT(!memchr_inv(buf.virt, 0, cases[i].bytes));
		EXPECT(!dma_map(&dev, buf.virt, cases[i].bytes, &bus) && bus == buf.bus);
		dma_free(&buf);
		EXPECT(!buf.virt);
		dma_free(&buf);
	}
}

SELFTEST(dma, reach)
{
	struct device dev = { .dma_limit = 0xffffffffull };
	struct dma_buf buf;
	u64 bus;

	for (u32 i = 0; i < 20; i++) {
		REQUIRE(!dma_alloc(&dev, 8192, 1, &buf));
		EXPECT(buf.bus + 8192 <= 1ull << 32);
		dma_free(&buf);
	}
	EXPECT_EQ(dma_set_limit(&dev, 0xffffff), -EIO); /* an old 24-bit device: no zone for it */
	EXPECT_EQ(dev.dma_limit, 0xffffffffull);
	EXPECT(!dma_set_limit(&dev, (1ull << 40) - 1));
	REQUIRE(!dma_alloc(&dev, 64, 64, &buf));
	dev.dma_limit = buf.bus + 63;
	EXPECT(!dma_map(&dev, buf.virt, 64, &bus));
	EXPECT_EQ(dma_map(&dev, buf.virt, 65, &bus), -EIO);
	dma_free(&buf);
}

/* ---- PCI ----------------------------------------------------------------------------------------- */

/* Any function but bridges and what the boot disk hangs on. */
static struct pci_dev *find_spare(void)
{
	static const struct { u16 vendor, device; } spare[] = { { 0x8086, 0x2922 }, { 0x8086, 0x2930 }, { 0x8086, 0x7010 } };
	struct pci_dev *f = NULL;

	for (u32 i = 0; i < ARRAY_SIZE(spare) && !f; i++)
		f = pci_find(spare[i].vendor, spare[i].device, NULL);
	return f;
}

SELFTEST(pci, functions_agree_with_their_registers)
{
	struct pci_dev *f = find_spare();

	if (!f) {
		selftest_skip("not a machine of QEMU's");
		return;
	}
	EXPECT_EQ(hal_pci_read(f->bus->segment, f->bus->number, f->devfn, PCI_VENDOR, 4), (u32)f->device << 16 | f->vendor);
	EXPECT_EQ(pci_read8(f, PCI_REVISION), f->revision);
	EXPECT_EQ(pci_read32(f, f->config_bytes), 0xffffffff);
	for (u32 i = 0; i < PCI_RES_ROM; i++) {
		u32 low = pci_read32(f, PCI_BAR(i));

		EXPECT(!f->res[i].bytes || f->class >> 8 == PCI_CLASS_IDE || (low & ~0xfu) == (u32)(f->res[i].start & ~0xfull));
	}
	EXPECT(!pci_map_bar(f, 7, 0, 0) && !pci_map_bar(f, 5, 1 << 30, 1));
	pci_put(f);
}

/* A BAR that firmware or a device put on top of RAM leads to nobody's memory. */
SELFTEST(pci, no_bar_on_memory)
{
	struct page *page = page_alloc(0, 0);
	struct pci_dev f = { 0 };

	REQUIRE(page);
	f.res[0] = (struct pci_resource){ page_to_phys(page), PAGE_SIZE, PCI_RES_MEM };
	f.res[1] = (struct pci_resource){ page_to_phys(page) & ~(4 * MIB - 1), 4 * MIB, PCI_RES_MEM };
	f.res[2] = (struct pci_resource){ 0, PAGE_SIZE, PCI_RES_MEM };
	report_capture_begin();
	for (u32 bar = 0; bar < 3; bar++)
		EXPECT(!pci_map_bar(&f, bar, 0, 0));
	EXPECT_REPORTS(2);
	report_capture_end();
	page_put(page);
}

SELFTEST(pci, removed_and_found_again)
{
	struct pci_dev *f = find_spare(), *again;
	struct pci_bus *bus;

	if (!f) {
		selftest_skip("not a machine of QEMU's");
		return;
	}
	bus = f->bus;
	for (u32 i = 0; i < 5; i++) {
		device_tree_lock();
		pci_remove_function(f);
		EXPECT(!f->dev.added);
		pci_remove_function(f); /* a second remover comes too late */
		device_tree_unlock();
		EXPECT(!pci_find(f->vendor, f->device, NULL));
		device_tree_lock();
		EXPECT_EQ(pci_rescan_bus(bus), 1);
		EXPECT_EQ(pci_rescan_bus(bus), 0);
		device_tree_unlock();
		again = pci_find(f->vendor, f->device, NULL);
		REQUIRE(again && again != f);
		EXPECT(!memcmp(again->res, f->res, sizeof(f->res)));
		pci_put(f);
		f = again;
	}
	pci_put(f);
}

/* ---- without memory ------------------------------------------------------------------------------ */

#define MAX_RUNS 1000u

static struct thread *injected; /* only this thread's allocations fail */
static u32 countdown;		/* at 1 the next one fails */
static bool hit;

static bool inject(size_t bytes, u32 flags)
{
	(void)bytes, (void)flags;
	if (current_thread() != injected || !countdown || --countdown)
		return false;
	hit = true;
	return true;
}

static u32 rescan_failing(struct pci_bus *bus, u32 nth)
{
	bool (*old)(size_t, u32) = mm_fail_hook;
	u32 found;

	hit = false;
	injected = current_thread();
	countdown = nth;
	mm_fail_hook = inject;
	found = pci_rescan_bus(bus);
	mm_fail_hook = old; /* failslab's: without it nothing is ever injected again */
	return found;
}

/* [tree] Not there, or there as a whole. */
static bool whole_or_nothing(const char *path, const char *link, const char *driver, const struct pci_dev *f)
{
	if (!f)
		return !sys_has(path) && !sys_has(link);
	return sys_has(path) && sys_has(link) && (f->dev.driver || (!sys_has(driver) && f->irq_mode == PCI_IRQ_NONE && !f->enables));
}

static struct pci_dev *find_locked(u16 vendor, u16 device)
{
	struct device *dev = NULL;

	while ((dev = bus_next_device(&pci_bus_type, dev)))
		if (pci_dev_of(dev)->vendor == vendor && pci_dev_of(dev)->device == device)
			return pci_dev_of(dev);
	return NULL;
}

/* The function is found again with its first, second, third ... allocation failing, driver and all, until none fails. */
static void find_without_memory(u16 vendor, u16 device)
{
	struct pci_dev *f = pci_find(vendor, device, NULL);
	char path[128], link[128], driver[128];
	struct pci_bus *bus;
	bool bound;
	u32 n;

	if (!f)
		return;
	bus = f->bus;
	strscpy(path, f->dev.path, sizeof(path));
	snprintf(link, sizeof(link), "bus/pci/devices/%s", f->dev.name);
	snprintf(driver, sizeof(driver), "%s/driver", path);
	pci_put(f);
	report_capture_begin();
	device_tree_lock();
	f = find_locked(vendor, device);
	bound = f->dev.driver;
	for (n = 1; n < MAX_RUNS; n++) {
		if (f)
			pci_remove_function(f);
		EXPECT(whole_or_nothing(path, link, driver, NULL));
		(void)rescan_failing(bus, n);
		f = find_locked(vendor, device);
		if (!EXPECT(whole_or_nothing(path, link, driver, f)) || !hit)
			break;
	}
	if (!f)
		(void)pci_rescan_bus(bus);
	f = find_locked(vendor, device);
	EXPECT(f && (!bound || f->dev.driver));
	device_tree_unlock();
	report_capture_end();
	EXPECT(!hit && n > 20 && n < MAX_RUNS);
}

SELFTEST(pci, found_without_memory)
{
	find_without_memory(0x8086, 0x2922);	/* nobody's */
	find_without_memory(0x1af4, 0x1001);	/* the boot disk: half a driver's */
	find_without_memory(0x1af4, 0x1005);	/* virtio-rng, if there is one: a whole driver's */
}
