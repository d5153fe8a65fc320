/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_VIRTIO_H
#define KERNEL_DEV_VIRTIO_H

/*
 * Virtio 1.2 devices over PCI (kernel/dev/virtio_pci.c), and the bus on which their drivers find them: /sys/bus/virtio.
 * Legacy devices, which have no modern interface at all, are left alone.
 *
 * A driver's probe() agrees with the device on features and gets its queues with virtio_start(), fills what it needs, and
 * calls virtio_go(). Its remove() calls virtio_stop(), after which no callback runs and the device has forgotten all.
 */
#include <kernel/dev/pci.h>
#include <kernel/dev/virtio_ring.h>

#define VIRTIO_ID_RNG		4u

#define VIRTIO_F_EVENT_IDX	BIT(29)
#define VIRTIO_F_VERSION_1	BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)

#define VIRTIO_MAX_QUEUES	16u

struct virtio_dev;

/* [I] from virtio_start() to virtio_stop(), [l] lock. */
struct virtio_queue {
	struct virtio_dev *vdev;	/* [I] */
	u32 index;			/* [I] */
	struct spinlock lock;		/* interrupts off: around every use of the ring */
	struct virtq ring;		/* [l] */
	struct dma_buf mem;		/* [I] */
	struct virtq_slot *slots;	/* [I] */
	volatile void *notify;		/* [I] */
	/* The device is done with something. Interrupt context, no lock. */
	void (*ready)(struct virtio_queue *q);	/* [I] */
	void *private;			/* [I] of the driver */
};

struct virtio_transport;

/* [I] immutable, [d] the driver's, between probe() and remove(). */
struct virtio_dev {
	struct device dev;
	struct pci_dev *pci;		/* [I] counted as dev.parent */
	u32 type;			/* [I] VIRTIO_ID_* */
	u32 number;			/* [I] of virtioN */
	u64 offered, features;		/* [I], [d] what was agreed on */
	struct virtio_transport *io;	/* [d] virtio_pci.c's; NULL: the device is gone */
	u32 nr_queues;			/* [d] */
	struct virtio_queue *queues;	/* [d] */
};

struct virtio_driver {
	struct driver drv;
	u32 type;
	int (*probe)(struct virtio_dev *vdev);
	void (*remove)(struct virtio_dev *vdev);
};
int __must_check virtio_driver_register(struct virtio_driver *drv);

/*
 * Resets the device, agrees on those of `features` that it offers (VERSION_1 always), sets up n queues with their callbacks, and
 * interrupts. max_entries: no queue gets more. 0; -ENODEV it will not have VERSION_1 or lacks a queue; -EIO it does not do what the
 * specification says; -ENOMEM.
 */
int __must_check virtio_start(struct virtio_dev *vdev, u64 features, u32 n, u16 max_entries,
			      void (*const *ready)(struct virtio_queue *q), void *private);
/* DRIVER_OK: from now on it works. */
void virtio_go(struct virtio_dev *vdev);
/*
 * After virtio_start() succeeded, once. True: the device is silent, and all buffers are the driver's again. False: it would not be
 * reset; it was cut off from memory, but what it had must never be used for anything else.
 */
bool __must_check virtio_stop(struct virtio_dev *vdev);
/* Something was published that the device wants to hear of. Any context. */
void virtio_notify(struct virtio_queue *q);

/* Boot: the bus and the transport; then the drivers. */
void virtio_init(void);
void virtio_rng_init(void);

#endif
