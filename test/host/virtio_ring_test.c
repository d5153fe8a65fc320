/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues against a device that is played here: a good one that finishes in any order, one that sleeps and must be
 * notified, and one that does everything it can to break the driver.
 */
#include <kernel/dev/virtio_ring.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "framework.h"

#define CHAINS 64u
#define STEPS 20000u

/* The device's side, from the specification's text and not from the driver's code. */
struct device {
	u8 *mem;
	u16 size, seen, done;	/* avail entries taken, used entries given */
	u16 held[CHAINS];		/* heads that it has */
	u32 nr_held;
};

static u8 memory[65536] __attribute__((aligned(4096)));
static struct virtq_slot slots[CHAINS];

static u16 word(const struct device *d, size_t at)
{
	return *(u16 *)(void *)(d->mem + at);
}

static void put_word(struct device *d, size_t at, u16 v)
{
	*(u16 *)(void *)(d->mem + at) = v;
}

static struct virtq_desc *desc(const struct device *d, u16 i)
{
	return (struct virtq_desc *)(void *)d->mem + i;
}

static void setup(struct virtq *q, struct device *d, u16 size, bool event_idx)
{
	memset(memory, 0, sizeof(memory));
	EXPECT(virtq_bytes(size) <= sizeof(memory));
	virtq_init(q, size, memory, slots, event_idx);
	*d = (struct device){ .mem = memory, .size = size };
}

/* Takes what is new; each chain is walked to its end. */
static void take(struct device *d)
{
	size_t avail = virtq_avail_offset(d->size);

	while (d->seen != word(d, avail + 2)) {
		u16 head = word(d, avail + 4 + 2 * (d->seen++ % d->size)), at = head, n = 1;
		bool writes = false;

		for (;; at = desc(d, at)->next, n++) {
			struct virtq_desc *e = desc(d, at);

			EXPECT(at < d->size && n <= d->size);
			EXPECT(!(writes && !(e->flags & VIRTQ_DESC_WRITE)));	/* readable ones come first */
			writes = e->flags & VIRTQ_DESC_WRITE;
			if (!(e->flags & VIRTQ_DESC_NEXT))
				break;
		}
		EXPECT(d->nr_held < d->size);
		d->held[d->nr_held++] = head;
	}
}

static void give_raw(struct device *d, u32 id, u32 len)
{
	size_t used = virtq_used_offset(d->size);
	u32 *elem = (u32 *)(void *)(d->mem + used + 4 + 8 * (d->done % d->size));

	elem[0] = id;
	elem[1] = len;
	put_word(d, used + 2, ++d->done);
}

/* How many bytes may be written to the chain. */
static u32 room_of(const struct device *d, u16 at)
{
	u32 room = 0;

	for (;; at = desc(d, at)->next) {
		if (desc(d, at)->flags & VIRTQ_DESC_WRITE)
			room += desc(d, at)->len;
		if (!(desc(d, at)->flags & VIRTQ_DESC_NEXT))
			return room;
	}
}

static u32 finish(struct device *d, u32 which)
{
	u16 head = d->held[which];
	u32 room = room_of(d, head), len = room ? (u32)random_below(room + 1) : 0;

	d->held[which] = d->held[--d->nr_held];
	give_raw(d, head, len);
	return len;
}

TEST(virtio_ring_layout)
{
	/* virtio 1.2 §2.7: 16 bytes each; 6 + 2 each; 6 + 8 each, aligned to 4 */
	EXPECT_EQ(virtq_avail_offset(8), 128);
	EXPECT_EQ(virtq_used_offset(8), 152);	/* 128 + 22, up to a multiple of 4 */
	EXPECT_EQ(virtq_bytes(8), 152 + 6 + 64);
}

/* Any mixture of adding and finishing: every chain comes back once, with its length, and no descriptor is lost. */
static void mixture(bool event_idx)
{
	struct virtq q;
	struct device d;
	struct { bool out; u32 len; } chains[CHAINS] = { 0 };	/* by token - 1 */
	u32 outstanding = 0;

	setup(&q, &d, 16, event_idx);
	for (u32 step = 0; step < STEPS && !test_failed(); step++) {
		u32 what = (u32)random_below(3);

		if (what == 0) {
			struct virtq_buf bufs[5];
			u32 out = (u32)random_below(3), in = (u32)random_below(3), i;
			int err;

			for (i = 0; i < 5; i++)
				bufs[i] = (struct virtq_buf){ random_u64(), 1 + (u32)random_below(1000) };
			for (i = 0; i < CHAINS && chains[i].out; i++)
				;
			err = virtq_add(&q, bufs, out, in, (void *)(uintptr_t)(i + 1));
			if (!(out + in)) {
				EXPECT_EQ(err, -EINVAL);
			} else if (!err) {
				chains[i].out = true;
				outstanding++;
			} else {
				EXPECT_EQ(err, -ENOSPC);
			}
			(void)virtq_publish(&q);
		} else if (what == 1) {
			take(&d);
			if (d.nr_held)
				(void)finish(&d, (u32)random_below(d.nr_held));
		} else {
			void *token;
			u32 len;
			int got = virtq_get(&q, &token, &len);

			EXPECT(got >= 0);
			if (got) {
				u32 i = (u32)(uintptr_t)token - 1;

				EXPECT(i < CHAINS && chains[i].out);
				chains[i].out = false;
				outstanding--;
			}
		}
	}
	take(&d);
	while (d.nr_held)
		(void)finish(&d, 0);
	for (void *token; virtq_get(&q, &token, &(u32){ 0 }) == 1;)
		outstanding--;
	EXPECT_EQ(outstanding, 0);
	EXPECT_EQ(q.nr_free, 16);
}

TEST(virtio_ring_any_order)
{
	mixture(false);
	mixture(true);
}

/* Indices run freely modulo 2^16, in a queue of any size: each passes its end, and nothing is seen twice or not at all. */
TEST(virtio_ring_indices_wrap)
{
	struct virtq_buf buf = { 4096, 64 };
	struct virtq q;
	struct device d;

	for (u16 size = 1; size <= 4; size = (u16)(size * 2)) {
		setup(&q, &d, size, true);
		for (u32 i = 1; i <= 0x10000 + 8u && !test_failed(); i++) {
			void *token = NULL;
			u32 len;

			EXPECT_EQ(virtq_add(&q, &buf, 0, 1, (void *)(uintptr_t)i), 0);
			(void)virtq_publish(&q);
			take(&d);
			EXPECT_EQ(d.nr_held, 1);
			(void)finish(&d, 0);
			EXPECT_EQ(virtq_get(&q, &token, &len), 1);
			EXPECT_EQ((uintptr_t)token, i);
			EXPECT_EQ(virtq_get(&q, &token, &len), 0);
		}
	}
}

/* The device sleeps after the index that it names: it is told exactly when that one is passed. */
TEST(virtio_ring_notifies)
{
	struct virtq_buf buf = { 4096, 64 };
	struct virtq q;
	struct device d;
	size_t event;

	for (u32 round = 0; round < 3; round++) {
		setup(&q, &d, 8, true);
		event = virtq_used_offset(8) + 4 + 8 * 8;
		q.avail_idx = q.shown_idx = d.seen = (u16)(round == 2 ? 65534 : 0);	/* round the corner */
		q.avail[1] = q.avail_idx;
		put_word(&d, event, (u16)(q.avail_idx + round));
		for (u32 i = 0; i < 4; i++) {
			EXPECT_EQ(virtq_add(&q, &buf, 0, 1, &d), 0);
			EXPECT_EQ(virtq_publish(&q), i == round);
		}
		EXPECT(!virtq_publish(&q));	/* nothing new */
	}
	setup(&q, &d, 8, false);
	EXPECT_EQ(virtq_add(&q, &buf, 0, 1, &d), 0);
	EXPECT(virtq_publish(&q));
	put_word(&d, virtq_used_offset(8), VIRTQ_USED_NO_NOTIFY);
	EXPECT_EQ(virtq_add(&q, &buf, 0, 1, &d), 0);
	EXPECT(!virtq_publish(&q));
}

TEST(virtio_ring_wants_interrupts)
{
	struct virtq_buf buf = { 4096, 64 };
	struct virtq q;
	struct device d;
	void *token;
	u32 len;

	setup(&q, &d, 8, false);
	virtq_unwant_interrupt(&q);
	EXPECT_EQ(word(&d, virtq_avail_offset(8)), VIRTQ_AVAIL_NO_INTERRUPT);
	EXPECT(virtq_want_interrupt(&q));
	EXPECT_EQ(word(&d, virtq_avail_offset(8)), 0);
	EXPECT_EQ(virtq_add(&q, &buf, 0, 1, &d), 0);
	(void)virtq_publish(&q);
	take(&d);
	(void)finish(&d, 0);
	EXPECT(!virtq_want_interrupt(&q));	/* one came meanwhile */
	EXPECT_EQ(virtq_get(&q, &token, &len), 1);

	setup(&q, &d, 8, true);
	EXPECT_EQ(virtq_add(&q, &buf, 0, 1, &d), 0);
	(void)virtq_publish(&q);
	take(&d);
	(void)finish(&d, 0);
	EXPECT_EQ(virtq_get(&q, &token, &len), 1);
	EXPECT(virtq_want_interrupt(&q));
	EXPECT_EQ(word(&d, virtq_avail_offset(8) + 4 + 2 * 8), 1);	/* used_event */
}

static void expect_broken(struct virtq *q)
{
	struct virtq_buf buf = { 4096, 64 };
	void *token = NULL;
	u32 len;

	EXPECT_EQ(virtq_get(q, &token, &len), -EIO);
	EXPECT_EQ(virtq_get(q, &token, &len), -EIO);	/* for good */
	EXPECT_EQ(virtq_add(q, &buf, 0, 1, q), -EIO);
	EXPECT(!virtq_publish(q));
	EXPECT(!token);
}

TEST(virtio_ring_hostile_answers)
{
	struct virtq_buf bufs[2] = { { 4096, 64 }, { 8192, 100 } };
	struct virtq q;
	struct device d;
	void *token;
	u32 len;

	for (u32 how = 0; how < 7; how++) {
		setup(&q, &d, 8, false);
		EXPECT_EQ(virtq_add(&q, bufs, 1, 1, &q), 0);
		EXPECT_EQ(virtq_add(&q, bufs, 0, 2, &d), 0);
		(void)virtq_publish(&q);
		switch (how) {
		case 0:
			give_raw(&d, 8, 0);			/* no such descriptor */
			break;
		case 1:
			give_raw(&d, 0xffffffff, 0);
			break;
		case 2:
			give_raw(&d, 1, 0);			/* the middle of a chain */
			break;
		case 3:
			give_raw(&d, 5, 0);			/* a free one */
			break;
		case 4:
			give_raw(&d, 0, 101);			/* more than the writable part */
			break;
		case 5:
			put_word(&d, virtq_used_offset(8) + 2, 5);	/* more than is outstanding */
			break;
		default:
			give_raw(&d, 2, 164);
			EXPECT_EQ(virtq_get(&q, &token, &len), 1);
			EXPECT_EQ(len, 164);
			give_raw(&d, 2, 0);			/* twice */
		}
		expect_broken(&q);
		EXPECT(virtq_take_back(&q) != NULL);
		EXPECT(how == 6 || virtq_take_back(&q) != NULL);
		EXPECT(!virtq_take_back(&q));
		EXPECT_EQ(q.nr_free, 8);
	}
}

/* A device that scribbles over all that it can reach, at all times: the driver's memory stays whole, and nothing hangs. */
TEST(virtio_ring_scribbling_device)
{
	struct virtq_buf buf = { 4096, 64 };
	struct virtq q;
	struct device d;
	void *token;
	u32 len, broken = 0;

	for (u32 round = 0; round < 300; round++) {
		setup(&q, &d, 16, round & 1);
		for (u32 step = 0; step < 200 && !q.broken; step++) {
			u32 n = (u32)random_below(4);

			for (u32 i = 0; i < n; i++)
				memory[random_below(virtq_bytes(16))] = (u8)random_u64();
			if (virtq_add(&q, &buf, 0, 1, &q) == 0)
				(void)virtq_publish(&q);
			if (virtq_get(&q, &token, &len) == 1) {
				EXPECT(token == &q);
				EXPECT(len <= 64);
			}
			(void)virtq_want_interrupt(&q);
			EXPECT(q.nr_free <= 16);
		}
		broken += q.broken;
		while (virtq_take_back(&q))
			;
		EXPECT_EQ(q.nr_free, 16);
	}
	EXPECT(broken > 200);
}
