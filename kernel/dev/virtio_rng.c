/* SPDX-License-Identifier: MIT */
/*
 * The entropy device of virtio 1.2 §5.4: one queue, into which empty buffers go and come back filled.
 *
 * One buffer is the device's at a time. It is a page of its own, so that the device, which may write into it whenever it likes while
 * it has it, reaches nothing else; what came is copied out after the device gave it back, up to the length that it said and the
 * ring checked. A reader who is interrupted leaves the request standing: the next one takes what comes of it.
 */
#define LOG_TAG "virtio-rng"
#include <kernel/core/log.h>
#include <kernel/dev/hwrng.h>
#include <kernel/dev/virtio.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/wait.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define REQUEST_BYTES	256u
#define QUEUE_ENTRIES	8u
#define QUALITY		1000u	/* as Linux takes it: the host's generator is a good one */

#define NUMBERS		64u
static u64 numbers[NUMBERS / 64];	/* [the device tree's lock] of virtio_rng.N, in use */

/* [r] under hwrng.c's one call at a time, [q] the queue's lock. */
struct virtio_rng {
	struct hwrng hwrng;
	struct virtio_dev *vdev;	/* [I] */
	struct dma_buf buf;		/* [I]; contents: the device's while asked */
	struct waitq wait;
	u32 number;			/* [I] of virtio_rng.N */
	char name[24];			/* [I] */
	bool asked;			/* [q] the device has the buffer */
	bool gone;			/* [q] */
	int broken;			/* [q] -errno of the queue */
	u32 have, used;			/* [r], [q] while asked: bytes in the buffer, of which given out */
};

/* Interrupt context: takes the buffer back. */
static void rng_ready(struct virtio_queue *q)
{
	struct virtio_rng *r = q->private;
	irqflags_t f = spin_lock_irqsave(&q->lock);
	bool changed = false;
	void *token;
	u32 len;
	int got;

	do {
		got = virtq_get(&q->ring, &token, &len);
		if (got > 0) {
			r->have = len;
			r->used = 0;
			r->asked = false;
			if (!len)
				r->broken = -EIO; /* for ever nothing is no answer (§5.4.6.1) */
		} else if (got < 0) {
			r->broken = got;
		}
		changed = changed || got;
	} while (got > 0 || (!got && !virtq_want_interrupt(&q->ring)));
	spin_unlock_irqrestore(&q->lock, f);
	if (changed)
		waitq_wake_all(&r->wait);
}

/* Gives the device the buffer if it has not got it. */
static int ask(struct virtio_rng *r)
{
	struct virtio_queue *q = &r->vdev->queues[0];
	struct virtq_buf buf = { r->buf.bus, REQUEST_BYTES };
	irqflags_t f = spin_lock_irqsave(&q->lock);
	bool notify = false;
	int err = r->gone ? -ENODEV : r->broken;

	if (!err && !r->asked) {
		err = virtq_add(&q->ring, &buf, 0, 1, r);
		r->asked = !err;
		notify = !err && virtq_publish(&q->ring);
	}
	spin_unlock_irqrestore(&q->lock, f);
	if (notify)
		virtio_notify(q);
	return err;
}

/* Nothing more comes of the request: it was answered, or never will be. */
static bool settled(struct virtio_rng *r)
{
	struct virtio_queue *q = &r->vdev->queues[0];
	irqflags_t f = spin_lock_irqsave(&q->lock);
	bool done = !r->asked || r->gone || r->broken;

	spin_unlock_irqrestore(&q->lock, f);
	return done;
}

static ssize_t rng_read(struct hwrng *rng, void *buf, size_t n, u64 deadline_ns)
{
	struct virtio_rng *r = container_of(rng, struct virtio_rng, hwrng);
	u8 *bytes = r->buf.virt;
	int err;

	while (!settled(r) || r->used == r->have) {
		if (settled(r)) {
			err = ask(r);
			if (err)
				return err;
		}
		if (!settled(r) && !deadline_ns)
			return -EAGAIN;
		err = WAIT_EVENT_INTERRUPTIBLE_TIMEOUT(&r->wait, settled(r), "virtio_rng", deadline_ns);
		if (err)
			return err;
		if (r->gone || r->broken)
			return r->gone ? -ENODEV : r->broken;
	}
	n = MIN(n, r->have - r->used);
	memcpy(buf, bytes + r->used, n);
	memzero_explicit(bytes + r->used, n);
	r->used += (u32)n;
	return (ssize_t)n;
}

static int rng_probe(struct virtio_dev *vdev)
{
	static void (*const ready[])(struct virtio_queue *q) = { rng_ready };
	struct virtio_rng *r = kzalloc(sizeof(*r), 0);
	int err;

	if (!r)
		return -ENOMEM;
	r->vdev = vdev;
	waitq_init(&r->wait);
	r->number = (u32)bitmap_find_first_zero(numbers, NUMBERS);
	err = -ENOSPC;
	if (r->number >= NUMBERS)
		goto free_rng;
	bitmap_set_bit(numbers, r->number);
	snprintf(r->name, sizeof(r->name), "virtio_rng.%u", r->number);
	r->hwrng = (struct hwrng){ .name = r->name, .quality = QUALITY, .read = rng_read };
	err = dma_alloc(&vdev->pci->dev, REQUEST_BYTES, PAGE_SIZE, &r->buf);
	if (err)
		goto free_number;
	err = virtio_start(vdev, VIRTIO_F_EVENT_IDX, 1, QUEUE_ENTRIES, ready, r);
	if (err)
		goto free_buf;
	vdev->dev.driver_data = r;
	virtio_go(vdev);
	err = hwrng_register(&r->hwrng);
	if (!err)
		return 0;
	if (!virtio_stop(vdev))
		goto free_number;
free_buf:
	dma_free(&r->buf);
free_number:
	bitmap_clear_bit(numbers, r->number);
free_rng:
	kfree(r);
	return err;
}

static void rng_remove(struct virtio_dev *vdev)
{
	struct virtio_rng *r = vdev->dev.driver_data;
	struct virtio_queue *q = &vdev->queues[0];
	irqflags_t f = spin_lock_irqsave(&q->lock);

	r->gone = true;
	spin_unlock_irqrestore(&q->lock, f);
	waitq_wake_all(&r->wait);
	hwrng_unregister(&r->hwrng);
	if (virtio_stop(vdev))
		dma_free(&r->buf);
	bitmap_clear_bit(numbers, r->number);
	kfree(r);
}

static struct virtio_driver rng_driver = {
	.drv.name = "virtio_rng", .type = VIRTIO_ID_RNG, .probe = rng_probe, .remove = rng_remove,
};

void virtio_rng_init(void)
{
	if (virtio_driver_register(&rng_driver))
		log_err("no memory for the driver");
}
