/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_DEV_VIRTIO_RING_H
#define KERNEL_DEV_VIRTIO_RING_H

/*
 * Split virtqueues (virtio 1.2 §2.7), without any transport: memory in, decisions out. Plain code over lib that also runs on
 * the host.
 *
 * The driver puts chains of buffers into the ring and gets them back, in any order, with how many bytes the device wrote. The
 * device is not trusted: it can write to all of the shared memory at any time, so nothing that matters is read back from there but
 * two fields of the used ring, and these are checked against what the driver remembers in memory of its own. A
 * device that breaks the rules breaks the queue: it gives -EIO from then on, until it is made anew.
 *
 * Locks: the caller's, one for each queue, around every function.
 */
#include <lib/compiler.h>
#include <lib/types.h>

#define VIRTQ_MAX 1024u		/* entries; the specification allows 32768 */

/* In the shared memory; little-endian, as the machine is. */
struct virtq_desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};
#define VIRTQ_DESC_NEXT		1u
#define VIRTQ_DESC_WRITE	2u

struct virtq_used_elem {
	u32 id, len;
};

#define VIRTQ_AVAIL_NO_INTERRUPT 1u
#define VIRTQ_USED_NO_NOTIFY	1u

/* One part of a chain. */
struct virtq_buf {
	u64 bus;
	u32 bytes;
};

/* The driver's own. */
struct virtq_slot {
	void *token;		/* of a chain's first descriptor; NULL: no chain begins here */
	u32 room;		/* bytes that the device may write to that chain */
	u16 next;		/* descriptor, in the chain or in the free list */
	u16 count;		/* descriptors of the chain */
};

struct virtq {
	struct virtq_desc *desc;	/* shared */
	u16 *avail;			/* shared: flags, idx, ring[size], used_event */
	volatile u16 *used;		/* shared: flags, idx, ring[size], avail_event */
	struct virtq_slot *slots;
	u16 size;
	u16 free, nr_free;
	u16 avail_idx;			/* of the next chain that is added */
	u16 shown_idx;			/* up to where the device was shown */
	u16 used_idx;			/* of the next element to be looked at */
	bool event_idx;			/* VIRTIO_F_EVENT_IDX was agreed on */
	bool broken;
};

/* Where the parts lie in one block of memory (each aligned as §2.7 asks), and its size. size: a power of two up to VIRTQ_MAX. */
size_t virtq_bytes(u16 size);
size_t virtq_avail_offset(u16 size);
size_t virtq_used_offset(u16 size);

/* mem: zeroed, virtq_bytes(), page-aligned. slots: `size` of them. */
void virtq_init(struct virtq *q, u16 size, void *mem, struct virtq_slot *slots, bool event_idx);

/*
 * One chain: `out` buffers that the device reads, then `in` ones that it writes. token is not NULL. 0; -ENOSPC no descriptors; -EINVAL
 * nothing, or a length of 0, or more than 4 GiB to write; -EIO. The device sees it after virtq_publish().
 */
int __must_check virtq_add(struct virtq *q, const struct virtq_buf *bufs, u32 out, u32 in, void *token);
/* Shows what was added to the device. True: it wants to be notified. */
bool virtq_publish(struct virtq *q);
/* The next chain that the device is done with: 1, and *len bytes were written to it; 0: none; -EIO. */
int __must_check virtq_get(struct virtq *q, void **token, u32 *len);
/*
 * Asks for no interrupts (a hint), or for one at the next chain. want returns false when one is there already, that may bring
 * no interrupt any more: call virtq_get() again.
 */
void virtq_unwant_interrupt(struct virtq *q);
bool virtq_want_interrupt(struct virtq *q);
/* After the device was reset: the chains that it still had, one at a time; NULL: no more. */
void *virtq_take_back(struct virtq *q);

#endif
