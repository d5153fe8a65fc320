/* SPDX-License-Identifier: MIT */
/*
 * What lib promises to several CPUs at once, with threads as CPUs.
 *
 * RCU is pretended: a reader counts its read sections, and what a writer frees
 * goes to a list that is emptied once every reader has finished the section in
 * which it was. A node that the tree touches after that is a use after free for
 * the sanitizer.
 */
#include <pthread.h>
#include <sched.h>

#include <lib/hash.h>
#include <lib/list.h>
#include <lib/refcount.h>
#include <lib/ringbuf.h>
#include <lib/xarray.h>

#include "framework.h"

#define READERS 2
#define BATCH	64

static u64 sections[READERS];	/* odd: inside one */
static bool stop;
static struct xarray xa;
static struct list_head list = LIST_HEAD_INIT(list);

static void *pending[BATCH + 32];
static unsigned int nr_pending;

static void read_begin(u64 *section)
{
	__atomic_store_n(section, *section + 1, __ATOMIC_SEQ_CST);
}

static void read_end(u64 *section)
{
	__atomic_store_n(section, *section + 1, __ATOMIC_RELEASE);
}

static void wait_for_readers(void)
{
	smp_mb();
	for (int i = 0; i < READERS; i++) {
		u64 seen = __atomic_load_n(&sections[i], __ATOMIC_ACQUIRE);

		while (seen % 2 && __atomic_load_n(&sections[i], __ATOMIC_ACQUIRE) == seen &&
		       !__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
			sched_yield();
	}
}

static void free_later(void *p)
{
	pending[nr_pending++] = p;
	if (nr_pending < BATCH)
		return;
	wait_for_readers();
	while (nr_pending)
		host_free(pending[--nr_pending]);
}

static struct xa_node *node_alloc(void)
{
	return host_alloc(sizeof(struct xa_node));
}

static void node_free(struct xa_node *n)
{
	free_later(n);
}

struct element {
	struct list_head link;
	u64 value, inverse;
};

static u64 faults;

static void read_once(u64 round)
{
	u64 index = hash_u64(round) % 300, found;
	struct element *e;
	void *entry = xa_load(&xa, index);

	/* An index that is never erased, and what each index may hold. */
	if (xa_load(&xa, 7) != xa_mk_value(7) || (entry && xa_to_value(entry) % 300 != index))
		__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
	found = index;
	entry = xa_next(&xa, &found);
	if (entry && (found < index || xa_to_value(entry) % 300 != found % 300))
		__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
	list_for_each_entry_rcu(e, &list, link)
		if (e->value != ~e->inverse)
			__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
}

static void *reader(void *arg)
{
	u64 *section = arg;

	for (u64 round = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); round++) {
		read_begin(section);
		read_once(round);
		read_end(section);
	}
	return NULL;
}

static void change_tree(u64 round)
{
	u64 index = random_below(300);

	if (index == 7)
		return;
	/* Now and then far away, so that the tree grows and shrinks under the readers. */
	if (random_below(20) == 0)
		index += 300 * (1ULL << random_below(50));
	if (round % 2)
		EXPECT_EQ(xa_store(&xa, index, xa_mk_value(index)), 0);
	else
		xa_erase(&xa, index);
}

static void change_list(unsigned int *length)
{
	struct element *e;

	if (*length < 10) {
		e = host_alloc(sizeof(*e));
		e->value = random_u64();
		e->inverse = ~e->value;
		if (random_below(2))
			list_add_tail_rcu(&e->link, &list);
		else
			list_add_head_rcu(&e->link, &list);
		++*length;
	} else {
		e = list_first_entry(&list, struct element, link);
		list_del_rcu(&e->link);
		free_later(e);
		--*length;
	}
}

TEST(readers_and_a_writer)
{
	static const struct xa_hooks hooks = { node_alloc, node_free };
	pthread_t threads[READERS];
	struct element *e, *next;
	unsigned int length = 0;

	xa_set_hooks(&hooks);
	EXPECT_EQ(xa_store(&xa, 7, xa_mk_value(7)), 0);
	for (int i = 0; i < READERS; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, reader, &sections[i]), 0);
	for (u64 round = 0; round < test_rounds(30000); round++) {
		change_tree(round);
		if (round % 4 == 0)
			change_list(&length);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(faults, 0);
	xa_destroy(&xa);
	list_for_each_entry_safe(e, next, &list, link)
		host_free(e);
	while (nr_pending)
		host_free(pending[--nr_pending]);
}

#define COUNTS 30000

static atomic_t counter;
static refcount_t refs = REFCOUNT_INIT(1);
static u64 last_puts;

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < COUNTS; i++) {
		atomic_inc(&counter);
		if (refcount_get_not_zero(&refs) && refcount_put_and_test(&refs))
			__atomic_fetch_add(&last_puts, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(counters)
{
	pthread_t other;

	EXPECT_EQ(pthread_create(&other, NULL, count, NULL), 0);
	count(NULL);
	pthread_join(other, NULL);
	EXPECT_EQ(atomic_load(&counter), 2 * COUNTS);
	EXPECT_EQ(last_puts, 0);
	EXPECT(refcount_put_and_test(&refs));
}

static struct ringbuf ring;
static u8 ring_data[128];

static void *produce(void *arg)
{
	u32 n = 0;

	(void)arg;
	for (; n < COUNTS; sched_yield()) {
		u8 chunk[7];
		u32 want = MIN((u32)sizeof(chunk), COUNTS - n);

		for (u32 i = 0; i < want; i++)
			chunk[i] = (u8)((n + i) * 3);
		n += ringbuf_write(&ring, chunk, want);
		if (n < COUNTS && ringbuf_putc(&ring, (u8)(n * 3)))
			n++;
	}
	return NULL;
}

TEST(ring_between_two)
{
	pthread_t other;
	u32 n = 0;

	ringbuf_init(&ring, ring_data, sizeof(ring_data));
	EXPECT_EQ(pthread_create(&other, NULL, produce, NULL), 0);
	for (; n < COUNTS; sched_yield()) {
		u8 chunk[11];
		u32 got = ringbuf_read(&ring, chunk, sizeof(chunk));

		for (u32 i = 0; i < got; i++)
			EXPECT_EQ(chunk[i], (u8)((n + i) * 3));
		n += got;
	}
	pthread_join(other, NULL);
	EXPECT_EQ(n, COUNTS);
	EXPECT(ringbuf_empty(&ring));
}
