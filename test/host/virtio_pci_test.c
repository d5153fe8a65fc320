/* SPDX-License-Identifier: MIT */
/*
 * kernel/dev/virtio_pci.c against a made-up device: one that keeps to virtio 1.2 §4.1, and then one that does not, in each way
 * that the driver must survive. The kernel around it is made up as well, and counts: what was allocated, mapped, enabled and
 * requested must be given back whatever happened.
 */
#include <kernel/dev/virtio.h>
#include <kernel/core/log.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <hal/clock.h>
#include <kernel/sched/wait.h>
#include <kernel/vfs/seq.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "framework.h"

#define BAR_BYTES	0x4000u
#define WINDOW		0x600000000000ull	/* where the BAR is "mapped" */
#define QUEUES		3u
#define NO_VECTOR	0xffffu

/* How the device misbehaves. */
enum fault {
	NONE, NO_VERSION_1, REFUSES_FEATURES, NEVER_RESETS, NO_QUEUES, QUEUE_SIZE_0, NOTIFY_OUTSIDE, REFUSES_VECTOR,
	REFUSES_CONFIG_VECTOR, NO_MESSAGES, NO_INTERRUPT, REQUEST_FAILS, NO_MEMORY, ENABLE_FAILS, ADD_FAILS, FAULTS
};

static struct {
	enum fault fault;
	u8 config[256];
	u8 status, isr;
	u32 device_select, driver_select;
	u64 offers, accepted;
	u16 queue_select, config_vector;
	struct {
		u16 size, vector, enabled;
		u64 desc, avail, used;
	} queue[QUEUES];
	u64 queue_size;			/* that it offers */
	u32 notified;
	bool cut_off;			/* bus mastering was taken away */
} device;

/* What the kernel gave out. */
static struct {
	s32 allocations, buffers, maps, enabled, irqs, handlers, refs;
	hal_irq_handler_t handler[QUEUES + 1];
	void *arg[QUEUES + 1];
	struct pci_driver *driver;
	struct bus_type *bus;
	struct virtio_dev *vdev;
	u64 now;
	u32 logs;
} kernel;

/* ---- the device's registers ---------------------------------------------------------------------- */

static void hard_reset(void)
{
	if (device.fault == NEVER_RESETS && device.status)
		return;
	device.status = 0;
	device.config_vector = NO_VECTOR;
	for (u32 i = 0; i < QUEUES; i++) {
		memset(&device.queue[i], 0, sizeof(device.queue[i]));
		device.queue[i].vector = NO_VECTOR;
	}
}

static void write_status(u8 v)
{
	if (!v) {
		hard_reset();
		return;
	}
	if ((v & 8) && !(device.status & 8) && (device.fault == REFUSES_FEATURES || (device.accepted & ~device.offers)))
		v &= (u8)~8;
	EXPECT(!(v & 4) || (device.status & 8));	/* DRIVER_OK only after FEATURES_OK */
	device.status = v;
}

static u32 common_read(u32 at)
{
	u32 q = device.queue_select < QUEUES ? device.queue_select : 0;

	switch (at) {
	case 0x04:
		return (u32)(device.offers >> 32 * (device.device_select & 1));
	case 0x10:
		return device.fault == REFUSES_CONFIG_VECTOR ? NO_VECTOR : device.config_vector;
	case 0x12:
		return device.fault == NO_QUEUES ? 0 : QUEUES;
	case 0x14:
		return device.status;
	case 0x18:
		return device.fault == QUEUE_SIZE_0 ? 0 : device.queue[q].size ? device.queue[q].size : (u32)device.queue_size;
	case 0x1a:
		return device.fault == REFUSES_VECTOR ? NO_VECTOR : device.queue[q].vector;
	case 0x1e:
		return device.fault == NOTIFY_OUTSIDE ? 0x400 : q;
	default:
		test_fail(__FILE__, __LINE__, "register %x read", at);
		return 0;
	}
}

static void half(u64 *word, u32 at, u32 v)
{
	*word = at & 4 ? (*word & 0xffffffff) | (u64)v << 32 : (*word & ~0xffffffffull) | v;
}

static void common_write(u32 at, u32 v)
{
	u32 q = device.queue_select < QUEUES ? device.queue_select : 0;

	switch (at) {
	case 0x00:
		device.device_select = v;
		break;
	case 0x08:
		device.driver_select = v;
		break;
	case 0x0c:
		half(&device.accepted, 4 * (device.driver_select & 1), v);
		break;
	case 0x10:
		device.config_vector = (u16)v;
		break;
	case 0x14:
		write_status((u8)v);
		break;
	case 0x16:
		device.queue_select = (u16)v;
		break;
	case 0x18:
		EXPECT(v && v <= device.queue_size && !(v & (v - 1)));
		device.queue[q].size = (u16)v;
		break;
	case 0x1a:
		device.queue[q].vector = (u16)v;
		break;
	case 0x1c:
		EXPECT(device.queue[q].desc && device.queue[q].avail && device.queue[q].used && !(device.status & 4));
		device.queue[q].enabled = (u16)v;
		break;
	case 0x20: case 0x24:
		half(&device.queue[q].desc, at, v);
		break;
	case 0x28: case 0x2c:
		half(&device.queue[q].avail, at, v);
		break;
	case 0x30: case 0x34:
		half(&device.queue[q].used, at, v);
		break;
	default:
		test_fail(__FILE__, __LINE__, "register %x written", at);
	}
}

static u32 offset_of(const volatile void *p)
{
	u64 at = (u64)(uintptr_t)p - WINDOW;

	if (at >= BAR_BYTES)
		test_fail(__FILE__, __LINE__, "device memory at %llx", (unsigned long long)(uintptr_t)p);
	return (u32)at;
}

static u32 mmio_read(const volatile void *p)
{
	u32 at = offset_of(p);

	if (at < 0x1000)
		return common_read(at);
	EXPECT_EQ(at, 0x1000);
	at = device.isr;
	device.isr = 0;
	return at;
}

static void mmio_write(volatile void *p, u32 v)
{
	u32 at = offset_of(p);

	if (at < 0x1000) {
		common_write(at, v);
		return;
	}
	EXPECT(at >= 0x3000 && at == 0x3000 + 4 * v);	/* each queue its own register */
	device.notified++;
}

u8 hal_mmio_read8(const volatile void *p) { return (u8)mmio_read(p); }
u16 hal_mmio_read16(const volatile void *p) { return (u16)mmio_read(p); }
u32 hal_mmio_read32(const volatile void *p) { return mmio_read(p); }
void hal_mmio_write8(volatile void *p, u8 v) { mmio_write(p, v); }
void hal_mmio_write16(volatile void *p, u16 v) { mmio_write(p, v); }
void hal_mmio_write32(volatile void *p, u32 v) { mmio_write(p, v); }

/* ---- the kernel around it ------------------------------------------------------------------------ */

u8 pci_read8(const struct pci_dev *f, u32 at) { return at < 256 ? device.config[at] : 0xff; }
u16 pci_read16(const struct pci_dev *f, u32 at) { return (u16)(pci_read8(f, at) | pci_read8(f, at + 1) << 8); }
u32 pci_read32(const struct pci_dev *f, u32 at) { return pci_read16(f, at) | (u32)pci_read16(f, at + 2) << 16; }

void pci_write16(struct pci_dev *f, u32 at, u16 v)
{
	EXPECT_EQ(at, PCI_COMMAND);
	device.cut_off = !(v & PCI_COMMAND_MASTER);
}

u32 pci_find_cap(const struct pci_dev *f, u32 from, u8 id)
{
	for (u32 at = from ? device.config[from + 1] : device.config[PCI_CAPABILITIES]; at; at = device.config[at + 1])
		if (device.config[at] == id)
			return at;
	return 0;
}

void *pci_map_bar(struct pci_dev *f, u32 bar, u64 offset, u64 bytes)
{
	if (bar != 4 || offset >= BAR_BYTES || bytes > BAR_BYTES - offset)
		return NULL;
	kernel.maps++;
	return (void *)(uintptr_t)(WINDOW + offset);
}

void kmap_unmap(void *p)
{
	kernel.maps--;
}

int pci_enable(struct pci_dev *f, u32 command)
{
	if (device.fault == ENABLE_FAILS)
		return -EIO;
	kernel.enabled++;
	return 0;
}

void pci_disable(struct pci_dev *f)
{
	kernel.enabled--;
}

int pci_irq_alloc(struct pci_dev *f, u32 min, u32 max, u32 allow)
{
	EXPECT(f->irq_mode == PCI_IRQ_NONE);
	if (device.fault == NO_INTERRUPT || ((allow & PCI_ALLOW(PCI_IRQ_MSIX)) && device.fault == NO_MESSAGES))
		return -ENOSPC;
	f->irq_mode = allow & PCI_ALLOW(PCI_IRQ_MSIX) ? PCI_IRQ_MSIX : PCI_IRQ_LINE;
	kernel.irqs++;
	return (int)max;
}

void pci_irq_free(struct pci_dev *f)
{
	kernel.irqs -= f->irq_mode != PCI_IRQ_NONE;
	f->irq_mode = PCI_IRQ_NONE;
}

int pci_irq_request(struct pci_dev *f, u32 i, hal_irq_handler_t handler, void *arg, const char *name)
{
	if (device.fault == REQUEST_FAILS && i == 1)
		return -ENOMEM;
	EXPECT(i <= QUEUES && !kernel.handler[i]);
	kernel.handler[i] = handler;
	kernel.arg[i] = arg;
	kernel.handlers++;
	return 0;
}

void pci_irq_release(struct pci_dev *f, u32 i, void *arg)
{
	EXPECT(kernel.handler[i] && kernel.arg[i] == arg);
	kernel.handler[i] = NULL;
	kernel.handlers--;
}

int pci_driver_register(struct pci_driver *drv)
{
	kernel.driver = drv;
	return 0;
}

int bus_register(struct bus_type *bus)
{
	kernel.bus = bus;
	return 0;
}

int driver_register(struct driver *drv)
{
	return 0;
}

void device_init(struct device *dev, struct bus_type *bus, struct device *parent, void (*release)(struct device *dev))
{
	dev->release = release;
	kernel.refs++;
}

int device_add(struct device *dev)
{
	if (device.fault == ADD_FAILS)
		return -ENOMEM;
	kernel.vdev = container_of(dev, struct virtio_dev, dev);
	return 0;
}

void device_del(struct device *dev)
{
	kernel.vdev = NULL;
}

void device_put(struct device *dev)
{
	kernel.refs--;
	dev->release(dev);
}

int dma_set_limit(struct device *dev, u64 highest)
{
	return 0;
}

int dma_alloc(struct device *dev, size_t bytes, size_t align, struct dma_buf *out)
{
	*out = (struct dma_buf){ 0 };
	if (device.fault == NO_MEMORY)
		return -ENOMEM;
	*out = (struct dma_buf){ host_alloc(bytes), 0x1000000ull * (u64)++kernel.buffers, bytes, 0 };
	memset(out->virt, 0, bytes);
	return 0;
}

void dma_free(struct dma_buf *buf)
{
	if (buf->virt) {
		kernel.buffers--;
		host_free(buf->virt);
	}
	*buf = (struct dma_buf){ 0 };
}

void *kmalloc(size_t size, u32 flags)
{
	void *p = host_alloc(size);

	memset(p, 0, size);
	kernel.allocations++;
	return p;
}

void *kcalloc(size_t n, size_t size, u32 flags)
{
	return kmalloc(n * size, flags);
}

void kfree(const void *p)
{
	if (p) {
		kernel.allocations--;
		host_free((void *)(uintptr_t)p);
	}
}

u64 hal_clock_ns(void)
{
	return kernel.now;
}

/* The one CPU and the one thread that there are. */
static struct thread runner;
static struct hal_percpu runner_cpu = { .current = &runner };
struct hal_percpu *volatile host_cpu = &runner_cpu;

/* As the kernel's: who has not written a sleeping state before is back at once, and no time has passed. */
int thread_sleep_until(u64 deadline_ns, u32 state, const char *why)
{
	if (runner.state != state)
		__builtin_trap();
	runner.state = THREAD_RUNNABLE;
	kernel.now = deadline_ns;
	return -ETIMEDOUT;
}

void log_printf(int level, const char *fmt, ...)
{
	kernel.logs++;
}

void seq_printf(struct seq *s, const char *fmt, ...)
{
}

void seq_putc(struct seq *s, char c)
{
}

/* ---- set up -------------------------------------------------------------------------------------- */

static struct pci_dev function;

static void put_cap(u32 at, u32 next, u32 type, u32 bar, u32 offset, u32 bytes)
{
	u32 multiplier = 4;

	device.config[at] = PCI_CAP_VENDOR;
	device.config[at + 1] = (u8)next;
	device.config[at + 2] = 20;
	device.config[at + 3] = (u8)type;
	device.config[at + 4] = (u8)bar;
	memcpy(device.config + at + 8, &offset, 4);
	memcpy(device.config + at + 12, &bytes, 4);
	memcpy(device.config + at + 16, &multiplier, 4);
}

static void power_on(enum fault fault)
{
	memset(&device, 0, sizeof(device));
	memset(&function, 0, sizeof(function));
	kernel.vdev = NULL;
	kernel.now = kernel.logs = 0;
	device.fault = fault;
	device.offers = VIRTIO_F_EVENT_IDX | (fault == NO_VERSION_1 ? 0 : VIRTIO_F_VERSION_1);
	device.queue_size = 64;
	device.config[PCI_CAPABILITIES] = 0x40;
	put_cap(0x40, 0x60, 1, 4, 0, 0x38);
	put_cap(0x60, 0x80, 3, 4, 0x1000, 0x1000);
	put_cap(0x80, 0, 2, 4, 0x3000, 0x1000);
	hard_reset();
	device.status = fault == NEVER_RESETS ? 0 : 7;	/* as firmware left it */
	function.vendor = 0x1af4;
	function.device = 0x1044;
	if (!kernel.driver)
		virtio_init();
}

static void expect_nothing_left(void)
{
	EXPECT(!kernel.allocations && !kernel.maps && !kernel.enabled && !kernel.irqs && !kernel.handlers && !kernel.refs);
	EXPECT_EQ(kernel.buffers, 0);
	EXPECT(function.irq_mode == PCI_IRQ_NONE);
}

static int probe(void)
{
	return kernel.driver->probe(&function, kernel.driver->ids);
}

static u32 rang[QUEUES];

static void ring(struct virtio_queue *q)
{
	rang[q->index]++;
}

static void (*const rings[QUEUES])(struct virtio_queue *q) = { ring, ring, ring };

static int start(void)
{
	memset(rang, 0, sizeof(rang));
	return virtio_start(kernel.vdev, VIRTIO_F_EVENT_IDX | BIT(5), QUEUES, 32, rings, NULL);
}

/* ---- the tests ----------------------------------------------------------------------------------- */

TEST(virtio_pci_works)
{
	power_on(NONE);
	EXPECT_EQ(probe(), 0);
	EXPECT_EQ(kernel.vdev->type, VIRTIO_ID_RNG);
	EXPECT_EQ(device.status, 1);
	EXPECT_EQ(start(), 0);
	EXPECT_EQ(device.accepted, VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1);	/* nothing that was not offered */
	EXPECT_EQ(device.status, 1 | 2 | 8);
	for (u32 i = 0; i < QUEUES; i++) {
		EXPECT(device.queue[i].enabled && device.queue[i].size == 32 && device.queue[i].vector == i + 1);
		EXPECT(device.queue[i].avail == device.queue[i].desc + 32 * 16 && device.queue[i].used > device.queue[i].avail);
	}
	virtio_go(kernel.vdev);
	EXPECT_EQ(device.status, 15);
	EXPECT_EQ(kernel.handler[2](kernel.arg[2], 0), HAL_IRQ_HANDLED);
	EXPECT(rang[1] == 1 && !rang[0] && !rang[2]);
	virtio_notify(&kernel.vdev->queues[2]);
	EXPECT_EQ(device.notified, 1);
	EXPECT(virtio_stop(kernel.vdev));
	EXPECT_EQ(device.status, 0);
	EXPECT_EQ(start(), 0);		/* and once more */
	EXPECT(virtio_stop(kernel.vdev));
	kernel.driver->remove(&function);
	expect_nothing_left();
}

TEST(virtio_pci_by_its_line)
{
	power_on(NO_MESSAGES);
	EXPECT_EQ(probe(), 0);
	EXPECT_EQ(start(), 0);
	EXPECT_EQ(kernel.handlers, 1);
	EXPECT_EQ(device.queue[0].vector, NO_VECTOR);
	EXPECT_EQ(kernel.handler[0](kernel.arg[0], 0), HAL_IRQ_NONE);	/* another device's */
	device.isr = 2;
	EXPECT_EQ(kernel.handler[0](kernel.arg[0], 0), HAL_IRQ_HANDLED);
	EXPECT_EQ(rang[0], 0);
	device.isr = 1;
	EXPECT_EQ(kernel.handler[0](kernel.arg[0], 0), HAL_IRQ_HANDLED);
	EXPECT(rang[0] == 1 && rang[1] == 1 && rang[2] == 1);
	device.isr = 0xff;		/* pulled out */
	EXPECT_EQ(kernel.handler[0](kernel.arg[0], 0), HAL_IRQ_NONE);
	EXPECT(virtio_stop(kernel.vdev));
	kernel.driver->remove(&function);
	expect_nothing_left();
}

/* Each fault alone: an error, nothing left, the device reset. */
TEST(virtio_pci_faults)
{
	for (enum fault fault = NO_VERSION_1; fault < FAULTS; fault++) {
		int err;

		if (fault == NO_MESSAGES || fault == NEVER_RESETS)
			continue;
		power_on(fault);
		err = probe();
		if (fault == ENABLE_FAILS || fault == ADD_FAILS) {
			EXPECT(err < 0);
			expect_nothing_left();
			continue;
		}
		EXPECT_EQ(err, 0);
		err = start();
		EXPECT(err < 0);
		EXPECT_EQ(device.status, 0);
		EXPECT(!kernel.handlers && !kernel.irqs && !kernel.buffers);
		kernel.driver->remove(&function);
		expect_nothing_left();
	}
}

/* It goes on using what it was given: that is never given to anybody else. */
TEST(virtio_pci_never_resets)
{
	void *its[QUEUES];

	power_on(NEVER_RESETS);
	EXPECT_EQ(probe(), 0);		/* its status was 0 */
	device.fault = NONE;
	EXPECT_EQ(start(), 0);
	virtio_go(kernel.vdev);
	for (u32 i = 0; i < QUEUES; i++)
		its[i] = kernel.vdev->queues[i].mem.virt;
	device.fault = NEVER_RESETS;
	EXPECT(!virtio_stop(kernel.vdev));
	EXPECT(device.cut_off && kernel.logs);
	EXPECT_EQ(kernel.buffers, QUEUES);	/* left to it */
	kernel.buffers = 0;
	for (u32 i = 0; i < QUEUES; i++)
		host_free(its[i]);
	EXPECT(start() < 0);		/* it is not talked to again */
	kernel.driver->remove(&function);
	expect_nothing_left();
}

TEST(virtio_pci_queue_sizes)
{
	static const struct { u16 offered, used; } cases[] = { { 1, 1 }, { 2, 2 }, { 3, 2 }, { 31, 16 }, { 32, 32 }, { 100, 32 },
							       { 32768, 32 }, { 65535, 32 } };

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		power_on(NONE);
		device.queue_size = cases[i].offered;
		EXPECT_EQ(probe(), 0);
		EXPECT_EQ(start(), 0);
		EXPECT_EQ(device.queue[0].size, cases[i].used);
		EXPECT(virtio_stop(kernel.vdev));
		kernel.driver->remove(&function);
		expect_nothing_left();
	}
}

/* Structures that do not lie where they can: the next one of that type is tried, and without one there is no device. */
TEST(virtio_pci_structures)
{
	power_on(NONE);
	put_cap(0x40, 0xa0, 1, 4, 0, 0x37);			/* too short */
	put_cap(0xa0, 0xc0, 1, 4, 0xffffffff, 0x38);		/* outside */
	put_cap(0xc0, 0x60, 1, 4, 0, 0x38);
	EXPECT_EQ(probe(), 0);
	kernel.driver->remove(&function);
	expect_nothing_left();
	for (u32 how = 0; how < 4; how++) {
		power_on(NONE);
		switch (how) {
		case 0:
			put_cap(0x80, 0, 2, 7, 0x3000, 0x1000);	/* no such BAR */
			break;
		case 1:
			put_cap(0x80, 0, 2, 4, 0x3000, 0xfffff000);
			break;
		case 2:
			put_cap(0x80, 0, 2, 4, 0x3000, 1);	/* no room for a notification */
			break;
		default:
			device.config[0x61] = 0;		/* none */
		}
		EXPECT_EQ(probe(), -ENODEV);
		expect_nothing_left();
	}
	power_on(NONE);
	function.device = 0x1080;				/* not virtio's */
	EXPECT_EQ(probe(), -ENODEV);
	expect_nothing_left();
}
