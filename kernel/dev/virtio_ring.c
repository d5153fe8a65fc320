/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues: virtio 1.2 §2.7.
 *
 * Shared memory: the descriptors, the available ring (the driver writes), the used ring (the device writes). Indices run freely
 * modulo 2^16. Beside each descriptor the driver keeps a slot of its own, out of the device's sight: which chain begins
 * there, where it goes on, how much the device may have written. Free descriptors are a list through the slots.
 *
 * What the device can do wrong, and what happens: an index in the used ring that runs ahead of what is outstanding; an id that
 * is no descriptor or begins no chain (done already, never given, the middle of one); a length above the chain's
 * room. Each makes the queue broken. Flags and event indices only steer notifications: the worst is one too many, or
 * silence, which every driver must survive by itself.
 *
 * Barriers: entries before the index that shows them; the index before the look at whether to notify, and the wish for an
 * interrupt before the look for more (both are stores followed by loads: full barriers); the used index before its element.
 */
#include <kernel/dev/virtio_ring.h>
#include <lib/atomic.h>
#include <lib/errno.h>

#define AVAIL_FLAGS	0u	/* in words of 16 bits */
#define AVAIL_IDX	1u
#define AVAIL_RING	2u
#define USED_FLAGS	0u
#define USED_IDX	1u
#define USED_RING	2u
#define USED_ALIGN	4u

size_t virtq_avail_offset(u16 size)
{
	return size * sizeof(struct virtq_desc);
}

size_t virtq_used_offset(u16 size)
{
	size_t end = virtq_avail_offset(size) + sizeof(u16) * (AVAIL_RING + size + 1u);

	return (end + USED_ALIGN - 1) & ~(size_t)(USED_ALIGN - 1);
}

size_t virtq_bytes(u16 size)
{
	return virtq_used_offset(size) + sizeof(u16) * (USED_RING + 1u) + sizeof(struct virtq_used_elem) * size;
}

void virtq_init(struct virtq *q, u16 size, void *mem, struct virtq_slot *slots, bool event_idx)
{
	*q = (struct virtq){
		.desc = mem, .slots = slots, .size = size, .nr_free = size, .event_idx = event_idx,
		.avail = (u16 *)((u8 *)mem + virtq_avail_offset(size)),
		.used = (volatile u16 *)((u8 *)mem + virtq_used_offset(size)),
	};
	for (u16 i = 0; i < size; i++)
		slots[i] = (struct virtq_slot){ .next = (u16)(i + 1) };
}

static const volatile struct virtq_used_elem *used_elem(const struct virtq *q, u16 i)
{
	return (const volatile struct virtq_used_elem *)(const volatile void *)(q->used + USED_RING) + (i & (q->size - 1));
}

/* Where the other side says at which index it wants to hear of us, and we say it to the device. */
static u16 avail_event(const struct virtq *q)
{
	return *(const volatile u16 *)(const volatile void *)((const volatile struct virtq_used_elem *)
			(const volatile void *)(q->used + USED_RING) + q->size);
}

static void set_used_event(struct virtq *q, u16 idx)
{
	WRITE_ONCE(q->avail[AVAIL_RING + q->size], idx);
}

static int sum_room(const struct virtq_buf *bufs, u32 n, u32 *room)
{
	u64 sum = 0;

	for (u32 i = 0; i < n; i++)
		sum += bufs[i].bytes;
	*room = (u32)sum;
	return sum > 0xffffffffu ? -EINVAL : 0;
}

int virtq_add(struct virtq *q, const struct virtq_buf *bufs, u32 out, u32 in, void *token)
{
	u32 n = out + in, room;
	u16 head = q->free, at = head;

	if (q->broken)
		return -EIO;
	if (!n || !token || sum_room(bufs + out, in, &room))
		return -EINVAL;
	for (u32 i = 0; i < n; i++)
		if (!bufs[i].bytes)
			return -EINVAL;
	if (n > q->nr_free)
		return -ENOSPC;
	for (u32 i = 0; i < n; i++) {
		bool last = i + 1 == n;

		q->desc[at] = (struct virtq_desc){
			.addr = bufs[i].bus, .len = bufs[i].bytes, .next = last ? 0 : q->slots[at].next,
			.flags = (u16)((i >= out ? VIRTQ_DESC_WRITE : 0) | (last ? 0 : VIRTQ_DESC_NEXT)),
		};
		q->slots[at].token = NULL;
		if (last)
			break;
		at = q->slots[at].next;
	}
	q->free = q->slots[at].next;
	q->nr_free = (u16)(q->nr_free - n);
	q->slots[head].token = token;
	q->slots[head].room = room;
	q->slots[head].count = (u16)n;
	q->avail[AVAIL_RING + (q->avail_idx & (q->size - 1))] = head;
	q->avail_idx++;
	return 0;
}

/* Did the index pass `event` on its way from old to now? (§2.7.10) */
static bool passed(u16 event, u16 now, u16 old)
{
	return (u16)(now - event - 1) < (u16)(now - old);
}

bool virtq_publish(struct virtq *q)
{
	u16 old = q->shown_idx;

	if (q->broken || q->avail_idx == old)
		return false;
	q->shown_idx = q->avail_idx;
	smp_store_release(&q->avail[AVAIL_IDX], q->avail_idx);
	smp_mb();
	return q->event_idx ? passed(avail_event(q), q->avail_idx, old) : !(q->used[USED_FLAGS] & VIRTQ_USED_NO_NOTIFY);
}

/* The chain at head goes back to the free list, before the others. */
static void free_chain(struct virtq *q, u16 head)
{
	struct virtq_slot *s = &q->slots[head];
	u16 at = head;

	for (u16 i = 1; i < s->count; i++)
		at = q->slots[at].next;
	q->slots[at].next = q->free;
	q->free = head;
	q->nr_free = (u16)(q->nr_free + s->count);
	s->token = NULL;
}

static int give_up(struct virtq *q)
{
	q->broken = true;
	return -EIO;
}

int virtq_get(struct virtq *q, void **token, u32 *len)
{
	const volatile struct virtq_used_elem *e;
	u16 ahead;
	u32 id;

	if (q->broken)
		return -EIO;
	ahead = (u16)(q->used[USED_IDX] - q->used_idx);
	if (!ahead)
		return 0;
	if (ahead > q->size - q->nr_free)
		return give_up(q);
	smp_rmb();
	e = used_elem(q, q->used_idx);
	id = e->id;
	*len = e->len;
	if (id >= q->size || !q->slots[id].token || *len > q->slots[id].room)
		return give_up(q);
	*token = q->slots[id].token;
	free_chain(q, (u16)id);
	q->used_idx++;
	return 1;
}

void virtq_unwant_interrupt(struct virtq *q)
{
	if (!q->event_idx)
		WRITE_ONCE(q->avail[AVAIL_FLAGS], VIRTQ_AVAIL_NO_INTERRUPT);
}

bool virtq_want_interrupt(struct virtq *q)
{
	if (q->event_idx)
		set_used_event(q, q->used_idx);
	else
		WRITE_ONCE(q->avail[AVAIL_FLAGS], 0);
	smp_mb();
	return q->used[USED_IDX] == q->used_idx;
}

void *virtq_take_back(struct virtq *q)
{
	for (u16 i = 0; i < q->size; i++) {
		void *token = q->slots[i].token;

		if (token) {
			free_chain(q, i);
			return token;
		}
	}
	return NULL;
}
