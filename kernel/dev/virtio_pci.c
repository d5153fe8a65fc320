/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI: virtio 1.2 §4.1. The driver "virtio-pci" takes the PCI function, finds the four structures that vendor
 * capabilities point to, and adds a device "virtioN" on the virtio bus, for which the device type's driver is sought.
 *
 * Structures: common configuration (features, status, queues), notifications (a register for each queue, at an offset that the
 * device names), ISR (which kind of interrupt, when there are no messages). Where they lie is the device's word, so each
 * must lie in a BAR and be long enough, and every queue's notification register within its structure.
 *
 * Interrupts: a message for the configuration and one for each queue when the device and the machine have so many; else the
 * pin's line, which the ISR register tells apart and quiets.
 *
 * A reset is asked for by writing 0 to the status and is over when 0 is read back; a device that never says so is left
 * alone, switched off from mastering the bus, so that it cannot write to memory that is somebody else's by then.
 */
#define LOG_TAG "virtio"
#include <kernel/core/assert.h>
#include <kernel/core/lockrank.h>
#include <kernel/core/log.h>
#include <kernel/dev/virtio.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/wait.h>
#include <kernel/vfs/seq.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/printf.h>

#define VIRTIO_VENDOR		0x1af4u
#define VIRTIO_DEVICE_FIRST	0x1040u		/* + type; the transitional ones are 0x1000 to 0x103f */
#define VIRTIO_DEVICE_LAST	0x107fu
#define VIRTIO_TRANSITIONAL	0x1000u

/* struct virtio_pci_cap, §4.1.4 */
#define CAP_TYPE		3u
#define CAP_BAR			4u
#define CAP_OFFSET		8u
#define CAP_LENGTH		12u
#define CAP_MULTIPLIER		16u	/* of the notification capability */
enum { STRUCT_COMMON = 1, STRUCT_NOTIFY = 2, STRUCT_ISR = 3, STRUCT_COUNT = 4 };

/* struct virtio_pci_common_cfg, §4.1.4.3 */
#define COMMON_DEVICE_SELECT	0x00u
#define COMMON_DEVICE_FEATURES	0x04u
#define COMMON_DRIVER_SELECT	0x08u
#define COMMON_DRIVER_FEATURES	0x0cu
#define COMMON_CONFIG_VECTOR	0x10u
#define COMMON_QUEUES		0x12u
#define COMMON_STATUS		0x14u
#define COMMON_QUEUE_SELECT	0x16u
#define COMMON_QUEUE_SIZE	0x18u
#define COMMON_QUEUE_VECTOR	0x1au
#define COMMON_QUEUE_ENABLE	0x1cu
#define COMMON_QUEUE_NOTIFY	0x1eu
#define COMMON_QUEUE_DESC	0x20u
#define COMMON_QUEUE_AVAIL	0x28u
#define COMMON_QUEUE_USED	0x30u
#define COMMON_BYTES		0x38u

#define STATUS_ACKNOWLEDGE	1u
#define STATUS_DRIVER		2u
#define STATUS_DRIVER_OK	4u
#define STATUS_FEATURES_OK	8u
#define STATUS_FAILED		128u

#define NO_VECTOR		0xffffu
#define ISR_QUEUE		1u

#define RESET_PATIENCE_NS	1000000000ull
#define RESET_POLL_NS		1000000ull

/* One mapped structure. */
struct part {
	volatile u8 *at;
	u32 bytes;
};

/* [I] while the PCI driver has the function. */
struct virtio_transport {
	struct part part[STRUCT_COUNT];
	u32 multiplier;			/* of notification offsets */
	struct virtio_dev *vdev;
	bool dead;			/* [d] it did not reset: not to be talked to */
	u32 requested;			/* [d] interrupts that have a handler */
};

#define NUMBERS 1024u
static u64 numbers[NUMBERS / 64];	/* [tree] of virtioN, in use */

/* ---- registers ---- */

static u32 common_read(const struct virtio_dev *v, u32 reg, u32 bytes)
{
	volatile u8 *at = v->io->part[STRUCT_COMMON].at + reg;

	return bytes == 1 ? hal_mmio_read8(at) : bytes == 2 ? hal_mmio_read16(at) : hal_mmio_read32(at);
}

static void common_write(const struct virtio_dev *v, u32 reg, u32 bytes, u32 value)
{
	volatile u8 *at = v->io->part[STRUCT_COMMON].at + reg;

	if (bytes == 1)
		hal_mmio_write8(at, (u8)value);
	else if (bytes == 2)
		hal_mmio_write16(at, (u16)value);
	else
		hal_mmio_write32(at, value);
}

/* 64-bit fields are written as two halves (§4.1.3.1). */
static void common_write64(const struct virtio_dev *v, u32 reg, u64 value)
{
	common_write(v, reg, 4, (u32)value);
	common_write(v, reg + 4, 4, (u32)(value >> 32));
}

static void add_status(const struct virtio_dev *v, u32 bits)
{
	common_write(v, COMMON_STATUS, 1, common_read(v, COMMON_STATUS, 1) | bits);
}

static u64 read_features(const struct virtio_dev *v)
{
	u64 low;

	common_write(v, COMMON_DEVICE_SELECT, 4, 0);
	low = common_read(v, COMMON_DEVICE_FEATURES, 4);
	common_write(v, COMMON_DEVICE_SELECT, 4, 1);
	return low | (u64)common_read(v, COMMON_DEVICE_FEATURES, 4) << 32;
}

static int reset(struct virtio_dev *v)
{
	u64 until = clock_mono_ns() + RESET_PATIENCE_NS;

	common_write(v, COMMON_STATUS, 1, 0);
	while (common_read(v, COMMON_STATUS, 1)) {
		if (clock_mono_ns() > until) {
			log_err("%s does not reset: it is cut off from memory", v->dev.name);
			pci_write16(v->pci, PCI_COMMAND, pci_read16(v->pci, PCI_COMMAND) & (u16)~PCI_COMMAND_MASTER);
			v->io->dead = true;
			return -EIO;
		}
		thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
		(void)thread_sleep_until(clock_mono_ns() + RESET_POLL_NS, THREAD_UNINTERRUPTIBLE, "virtio_reset");
	}
	return 0;
}

/* ---- interrupts ---- */

static enum hal_irq_result on_queue(void *arg, u32 irq)
{
	struct virtio_queue *q = arg;

	(void)irq;
	q->ready(q);
	return HAL_IRQ_HANDLED;
}

/* The message of the configuration: of no interest to the drivers that there are. */
static enum hal_irq_result on_config(void *arg, u32 irq)
{
	(void)arg, (void)irq;
	return HAL_IRQ_HANDLED;
}

/* The line, which others may share. Reading the register quiets the device. */
static enum hal_irq_result on_line(void *arg, u32 irq)
{
	struct virtio_dev *v = arg;
	u8 why = hal_mmio_read8(v->io->part[STRUCT_ISR].at);

	(void)irq;
	if (!why || why == 0xff)
		return HAL_IRQ_NONE;
	if (why & ISR_QUEUE)
		for (u32 i = 0; i < v->nr_queues; i++)
			v->queues[i].ready(&v->queues[i]);
	return HAL_IRQ_HANDLED;
}

static void release_interrupts(struct virtio_dev *v)
{
	struct virtio_transport *t = v->io;
	bool line = v->pci->irq_mode == PCI_IRQ_LINE;

	while (t->requested) {
		u32 i = --t->requested;

		pci_irq_release(v->pci, i, line || !i ? (void *)v : &v->queues[i - 1]);
	}
	pci_irq_free(v->pci);
}

static int request_interrupts(struct virtio_dev *v)
{
	u32 want = v->nr_queues + 1;
	int n = pci_irq_alloc(v->pci, want, want, PCI_ALLOW(PCI_IRQ_MSIX)), err = 0;

	if (n < 0)
		n = pci_irq_alloc(v->pci, 1, 1, PCI_ALLOW(PCI_IRQ_LINE));
	if (n < 0)
		return n;
	if (v->pci->irq_mode == PCI_IRQ_LINE)
		err = pci_irq_request(v->pci, 0, on_line, v, v->dev.name);
	else
		err = pci_irq_request(v->pci, 0, on_config, v, v->dev.name);
	while (!err && ++v->io->requested < (u32)n)
		err = pci_irq_request(v->pci, v->io->requested, on_queue, &v->queues[v->io->requested - 1], v->dev.name);
	if (err)
		release_interrupts(v);
	return err;
}

/* The device takes a vector by showing it when it is read back (§4.1.5.1.2). */
static int set_vector(struct virtio_dev *v, u32 reg, u32 vector)
{
	if (v->pci->irq_mode != PCI_IRQ_MSIX)
		return 0;
	common_write(v, reg, 2, vector);
	return common_read(v, reg, 2) == vector ? 0 : -EIO;
}

/* ---- queues ---- */

static void free_queues(struct virtio_dev *v)
{
	for (u32 i = 0; i < v->nr_queues; i++) {
		dma_free(&v->queues[i].mem);
		kfree(v->queues[i].slots);
	}
	kfree(v->queues);
	v->queues = NULL;
	v->nr_queues = 0;
}

static u16 queue_entries(u32 offered, u16 max)
{
	u32 n = MIN(offered, (u32)MIN(max, (u16)VIRTQ_MAX));

	while (n & (n - 1))
		n &= n - 1;
	return (u16)n;
}

/* Memory for queue i, of the size that the device offers at most. */
static int make_queue(struct virtio_dev *v, u32 i, u16 max_entries)
{
	struct virtio_queue *q = &v->queues[i];
	u16 entries;
	int err;

	common_write(v, COMMON_QUEUE_SELECT, 2, i);
	entries = queue_entries(common_read(v, COMMON_QUEUE_SIZE, 2), max_entries);
	if (!entries)
		return -ENODEV;
	spin_init(&q->lock, "virtio queue", LOCK_RANK_LEAF);
	q->vdev = v;
	q->index = i;
	q->slots = kcalloc(entries, sizeof(*q->slots), 0);
	err = dma_alloc(&v->pci->dev, virtq_bytes(entries), PAGE_SIZE, &q->mem);
	if (err || !q->slots)
		return -ENOMEM;
	virtq_init(&q->ring, entries, q->mem.virt, q->slots, v->features & VIRTIO_F_EVENT_IDX);
	return 0;
}

/* Tells the device where queue i is; its notification register must exist. */
static int announce_queue(struct virtio_dev *v, u32 i)
{
	const struct part *notify = &v->io->part[STRUCT_NOTIFY];
	struct virtio_queue *q = &v->queues[i];
	u64 offset;
	int err;

	common_write(v, COMMON_QUEUE_SELECT, 2, i);
	offset = (u64)common_read(v, COMMON_QUEUE_NOTIFY, 2) * v->io->multiplier;
	if (offset + sizeof(u16) > notify->bytes)
		return -EIO;
	q->notify = notify->at + offset;
	common_write(v, COMMON_QUEUE_SIZE, 2, q->ring.size);
	common_write64(v, COMMON_QUEUE_DESC, q->mem.bus);
	common_write64(v, COMMON_QUEUE_AVAIL, q->mem.bus + virtq_avail_offset(q->ring.size));
	common_write64(v, COMMON_QUEUE_USED, q->mem.bus + virtq_used_offset(q->ring.size));
	err = set_vector(v, COMMON_QUEUE_VECTOR, i + 1);
	if (!err)
		common_write(v, COMMON_QUEUE_ENABLE, 2, 1);
	return err;
}

/* ---- what drivers call ---- */

static int negotiate(struct virtio_dev *v, u64 features)
{
	v->features = v->offered & (features | VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM);
	if (!(v->features & VIRTIO_F_VERSION_1))
		return -ENODEV;
	common_write(v, COMMON_DRIVER_SELECT, 4, 0);
	common_write(v, COMMON_DRIVER_FEATURES, 4, (u32)v->features);
	common_write(v, COMMON_DRIVER_SELECT, 4, 1);
	common_write(v, COMMON_DRIVER_FEATURES, 4, (u32)(v->features >> 32));
	add_status(v, STATUS_FEATURES_OK);
	return common_read(v, COMMON_STATUS, 1) & STATUS_FEATURES_OK ? 0 : -ENODEV;
}

int virtio_start(struct virtio_dev *v, u64 features, u32 n, u16 max_entries, void (*const *ready)(struct virtio_queue *q),
		 void *private)
{
	int err;

	if (!v->io || v->io->dead || !n || n > VIRTIO_MAX_QUEUES)
		return -ENODEV;
	err = reset(v);
	if (err)
		return err;
	add_status(v, STATUS_ACKNOWLEDGE);
	add_status(v, STATUS_DRIVER);
	err = negotiate(v, features);
	if (!err && common_read(v, COMMON_QUEUES, 2) < n)
		err = -ENODEV;
	if (err)
		goto failed;
	err = -ENOMEM;
	v->queues = kcalloc(n, sizeof(*v->queues), 0);
	if (!v->queues)
		goto failed;
	for (v->nr_queues = 0; v->nr_queues < n;) {
		struct virtio_queue *q = &v->queues[v->nr_queues];

		q->ready = ready[v->nr_queues];
		q->private = private;
		err = make_queue(v, v->nr_queues++, max_entries);
		if (err)
			goto free_queues;
	}
	err = request_interrupts(v);
	if (err)
		goto free_queues;
	err = set_vector(v, COMMON_CONFIG_VECTOR, 0);
	for (u32 i = 0; !err && i < n; i++)
		err = announce_queue(v, i);
	if (!err)
		return 0;
	(void)reset(v);
	release_interrupts(v);
free_queues:
	free_queues(v);
failed:
	if (!v->io->dead) {
		add_status(v, STATUS_FAILED);
		(void)reset(v);
	}
	return err;
}

void virtio_go(struct virtio_dev *v)
{
	add_status(v, STATUS_DRIVER_OK);
}

bool virtio_stop(struct virtio_dev *v)
{
	bool silent = !reset(v);

	release_interrupts(v);
	if (!silent)
		log_err("%s: %u queues' memory stays the device's", v->dev.name, v->nr_queues);
	for (u32 i = 0; i < v->nr_queues; i++) {
		while (virtq_take_back(&v->queues[i].ring))
			;
		if (!silent)
			v->queues[i].mem = (struct dma_buf){ 0 };
	}
	free_queues(v);
	return silent;
}

void virtio_notify(struct virtio_queue *q)
{
	hal_mmio_write16(q->notify, (u16)q->index);
}

/* ---- the virtio bus ---- */

static struct virtio_dev *virtio_of(struct device *dev)
{
	return container_of(dev, struct virtio_dev, dev);
}

static bool virtio_match(struct device *dev, struct driver *drv)
{
	return virtio_of(dev)->type == container_of(drv, struct virtio_driver, drv)->type;
}

static int virtio_probe(struct device *dev, struct driver *drv)
{
	return container_of(drv, struct virtio_driver, drv)->probe(virtio_of(dev));
}

static void virtio_remove(struct device *dev)
{
	container_of(dev->driver, struct virtio_driver, drv)->remove(virtio_of(dev));
}

static void virtio_uevent(struct device *dev, struct seq *s)
{
	seq_printf(s, "MODALIAS=virtio:d%08Xv%08X\n", virtio_of(dev)->type, VIRTIO_VENDOR);
}

static int type_show(struct device *dev, struct seq *s)
{
	seq_printf(s, "0x%04x\n", virtio_of(dev)->type);
	return 0;
}

static int vendor_show(struct device *dev, struct seq *s)
{
	seq_printf(s, "0x%04x\n", virtio_of(dev)->pci->subsystem_vendor);
	return 0;
}

static int status_show(struct device *dev, struct seq *s)
{
	seq_printf(s, "0x%08x\n", common_read(virtio_of(dev), COMMON_STATUS, 1));
	return 0;
}

static int modalias_show(struct device *dev, struct seq *s)
{
	seq_printf(s, "virtio:d%08Xv%08X\n", virtio_of(dev)->type, virtio_of(dev)->pci->subsystem_vendor);
	return 0;
}

/* A character for each bit, the lowest first. */
static int features_show(struct device *dev, struct seq *s)
{
	u64 features = virtio_of(dev)->features;

	for (u32 i = 0; i < 64; i++)
		seq_putc(s, features & BIT(i) ? '1' : '0');
	seq_putc(s, '\n');
	return 0;
}

static const struct device_attr virtio_attrs[] = {
	{ .name = "device", .mode = 0444, .show = type_show }, { .name = "vendor", .mode = 0444, .show = vendor_show },
	{ .name = "status", .mode = 0444, .show = status_show }, { .name = "modalias", .mode = 0444, .show = modalias_show },
	{ .name = "features", .mode = 0444, .show = features_show }, { 0 },
};

static struct bus_type virtio_bus = {
	.name = "virtio", .match = virtio_match, .probe = virtio_probe, .remove = virtio_remove, .uevent = virtio_uevent,
	.attrs = virtio_attrs,
};

int virtio_driver_register(struct virtio_driver *drv)
{
	drv->drv.bus = &virtio_bus;
	return driver_register(&drv->drv);
}

/* ---- the PCI driver ---- */

/* Maps the first structure of that type that is where it can be; others are alternatives (§4.1.4.1). */
static int map_part(struct pci_dev *f, struct virtio_transport *t, u32 type, u32 least)
{
	u32 at = 0;

	while ((at = pci_find_cap(f, at, PCI_CAP_VENDOR))) {
		u32 bytes = pci_read32(f, at + CAP_LENGTH), bar = pci_read8(f, at + CAP_BAR);

		if (pci_read8(f, at + CAP_TYPE) != type || bytes < least || bar >= PCI_RES_ROM)
			continue;
		t->part[type].at = pci_map_bar(f, bar, pci_read32(f, at + CAP_OFFSET), bytes);
		t->part[type].bytes = bytes;
		if (type == STRUCT_NOTIFY)
			t->multiplier = pci_read32(f, at + CAP_MULTIPLIER);
		if (t->part[type].at)
			return 0;
	}
	return -ENODEV;
}

static void unmap_parts(struct virtio_transport *t)
{
	for (u32 i = 0; i < STRUCT_COUNT; i++)
		if (t->part[i].at)
			kmap_unmap((void *)t->part[i].at);
}

static void virtio_release(struct device *dev)
{
	kfree(virtio_of(dev));
}

static u32 type_of(const struct pci_dev *f)
{
	return f->device >= VIRTIO_DEVICE_FIRST ? f->device - VIRTIO_DEVICE_FIRST : f->subsystem_device;
}

static bool is_virtio(const struct pci_dev *f)
{
	return f->device >= VIRTIO_TRANSITIONAL && f->device <= VIRTIO_DEVICE_LAST;
}

static int add_virtio(struct pci_dev *f, struct virtio_transport *t)
{
	struct virtio_dev *v = kzalloc(sizeof(*v), 0);
	u32 number = (u32)bitmap_find_first_zero(numbers, NUMBERS);
	int err;

	if (!v || number >= NUMBERS) {
		kfree(v);
		return v ? -ENOSPC : -ENOMEM;
	}
	bitmap_set_bit(numbers, number);
	device_init(&v->dev, &virtio_bus, &f->dev, virtio_release);
	snprintf(v->dev.name, sizeof(v->dev.name), "virtio%u", number);
	v->number = number;
	v->pci = f;
	v->type = type_of(f);
	v->io = t;
	t->vdev = v;
	err = reset(v);
	if (!err) {
		add_status(v, STATUS_ACKNOWLEDGE);
		v->offered = read_features(v);
		err = device_add(&v->dev);
	}
	if (err) {
		v->io = NULL;
		bitmap_clear_bit(numbers, number);
		device_put(&v->dev);
	}
	return err;
}

static int vpci_probe(struct pci_dev *f, const struct pci_id *id)
{
	struct virtio_transport *t;
	int err;

	(void)id;
	if (!is_virtio(f))
		return -ENODEV;
	t = kzalloc(sizeof(*t), 0);
	if (!t)
		return -ENOMEM;
	err = map_part(f, t, STRUCT_COMMON, COMMON_BYTES);
	if (err) /* a legacy one has ports instead of these structures (§4.1.4.10) */
		log_notice("%s: %s", f->dev.name, pci_find_cap(f, 0, PCI_CAP_VENDOR)
			   ? "its structures are not where they can be" : "speaks only the protocol before virtio 1.0: it is left alone");
	if (!err)
		err = map_part(f, t, STRUCT_NOTIFY, sizeof(u16));
	if (!err)
		err = map_part(f, t, STRUCT_ISR, 1);
	if (!err)
		err = dma_set_limit(&f->dev, ~0ull);
	if (!err)
		err = pci_enable(f, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (err)
		goto unmap;
	f->dev.driver_data = t;
	err = add_virtio(f, t);
	if (!err)
		return 0;
	pci_disable(f);
unmap:
	unmap_parts(t);
	kfree(t);
	return err;
}

static void vpci_remove(struct pci_dev *f)
{
	struct virtio_transport *t = f->dev.driver_data;
	struct virtio_dev *v = t->vdev;

	device_del(&v->dev);
	if (!t->dead)
		(void)reset(v);
	v->io = NULL;
	bitmap_clear_bit(numbers, v->number);
	device_put(&v->dev);
	pci_disable(f);
	unmap_parts(t);
	kfree(t);
}

static const struct pci_id vpci_ids[] = { { .vendor = VIRTIO_VENDOR, .device = PCI_ANY }, { 0 } };
static struct pci_driver vpci_driver = {
	.drv.name = "virtio-pci", .ids = vpci_ids, .probe = vpci_probe, .remove = vpci_remove,
};

void virtio_init(void)
{
	int err = bus_register(&virtio_bus);

	if (!err)
		err = pci_driver_register(&vpci_driver);
	if (err)
		log_err("no virtio: error %d", -err);
}
