/* SPDX-License-Identifier: MIT */
#include <lib/bitmap.h>
#include <lib/heap.h>
#include <lib/list.h>
#include <lib/refcount.h>
#include <lib/ringbuf.h>
#include <lib/sort.h>

#include "framework.h"

struct element {
	int value;
	struct list_head link;
	struct hlist_node hash;
};

static bool list_is(struct list_head *h, const char *want)
{
	char got[32];
	size_t n = 0;
	struct element *e;

	list_for_each_entry(e, h, link)
		got[n++] = (char)('a' + e->value);
	got[n] = 0;
	list_for_each_entry_reverse(e, h, link)
		if (got[--n] != 'a' + e->value)
			return false;
	return host_str_equal(got, want);
}

TEST(list)
{
	struct element e[6], *pos, *next;
	LIST_HEAD(a);
	LIST_HEAD(b);

	for (int i = 0; i < 6; i++)
		e[i].value = i;
	EXPECT(list_empty(&a) && list_is(&a, ""));
	EXPECT(list_first_entry_or_null(&a, struct element, link) == NULL);
	list_add_tail(&e[1].link, &a);
	EXPECT(list_is_singular(&a));
	list_add_tail(&e[2].link, &a);
	list_add_head(&e[0].link, &a);
	EXPECT(list_is(&a, "abc") && !list_is_singular(&a));
	EXPECT(list_last_entry(&a, struct element, link) == &e[2]);
	EXPECT(list_next_entry(&e[0], link) == &e[1]);
	list_add_tail_rcu(&e[3].link, &b);
	list_add_tail_rcu(&e[4].link, &b);
	list_add_head_rcu(&e[5].link, &b);
	EXPECT(list_is(&b, "fde"));
	list_splice_init(&b, &a);
	EXPECT(list_is(&a, "fdeabc") && list_empty(&b));
	list_move_tail(&e[5].link, &a);
	list_move_head(&e[2].link, &a);
	EXPECT(list_is(&a, "cdeabf"));
	list_for_each_entry_safe(pos, next, &a, link)
		if (pos->value % 2)
			list_del_init(&pos->link);
	EXPECT(list_is(&a, "cea"));
	list_del_rcu(&e[4].link);
	EXPECT(list_is(&a, "ca") && e[4].link.next == &e[0].link);
	list_add_tail(&e[1].link, &b);
	list_splice_tail_init(&b, &a);
	EXPECT(list_is(&a, "cab"));
	list_replace(&e[0].link, &e[3].link);
	EXPECT(list_is(&a, "cdb"));
	list_replace_rcu(&e[3].link, &e[0].link);
	EXPECT(list_is(&a, "cab"));
	list_del(&e[2].link);
	EXPECT(list_is(&a, "ab") && e[2].link.next == LIST_POISON1);
}

TEST(hlist)
{
	struct element e[4], *pos;
	struct hlist_head h = HLIST_HEAD_INIT;
	struct hlist_node *n;
	int sum = 0;

	for (int i = 0; i < 4; i++) {
		e[i].value = 1 << i;
		hlist_node_init(&e[i].hash);
		EXPECT(hlist_unhashed(&e[i].hash));
		if (i % 2)
			hlist_add_head_rcu(&e[i].hash, &h);
		else
			hlist_add_head(&e[i].hash, &h);
	}
	hlist_for_each_entry(pos, &h, hash)
		sum += pos->value;
	EXPECT_EQ(sum, 15);
	hlist_del_init(&e[3].hash);
	hlist_del_init(&e[3].hash);
	hlist_del_init_rcu(&e[1].hash);
	EXPECT(hlist_unhashed(&e[1].hash) && e[1].hash.next == &e[0].hash);
	sum = 0;
	hlist_for_each_entry_rcu(pos, &h, hash)
		sum += pos->value;
	EXPECT_EQ(sum, 5);
	hlist_for_each_entry_safe(pos, n, &h, hash)
		hlist_del(&pos->hash);
	EXPECT(hlist_empty(&h));
}

#define HEAP_NODES 150

static void check_heap(struct heap_node *n, u64 place, u64 count)
{
	EXPECT(place <= count);
	for (int s = 0; s < 2; s++) {
		struct heap_node *c = s ? n->right : n->left;

		EXPECT_EQ(c != NULL, 2 * place + (u64)s <= count);
		if (!c || test_failed())
			continue;
		EXPECT(c->parent == n && c->key >= n->key);
		check_heap(c, 2 * place + (u64)s, count);
	}
}

TEST(heap)
{
	struct heap_node nodes[HEAP_NODES];
	bool in[HEAP_NODES] = { false };
	struct heap h = HEAP_INIT;

	for (unsigned int round = 0; round < test_rounds(20000) && !test_failed(); round++) {
		u64 k = random_below(HEAP_NODES), least = UINT64_MAX, count = 0;

		if (random_below(8) == 0) {
			struct heap_node *n = heap_pop(&h);

			k = n ? (u64)(n - nodes) : k;
			in[k] = false;
		} else if (in[k]) {
			heap_remove(&h, &nodes[k]);
			in[k] = false;
		} else {
			nodes[k].key = random_below(1000);
			heap_add(&h, &nodes[k]);
			in[k] = true;
		}
		for (k = 0; k < HEAP_NODES; k++) {
			count += in[k];
			if (in[k])
				least = MIN(least, nodes[k].key);
		}
		EXPECT_EQ(h.count, count);
		EXPECT_EQ(heap_empty(&h), count == 0);
		if (count)
			EXPECT_EQ(heap_peek(&h)->key, least);
		if (h.min) {
			EXPECT(h.min->parent == NULL);
			check_heap(h.min, 1, count);
		}
	}
}

#define BITS 333

TEST(bitmap)
{
	DECLARE_BITMAP(map, BITS);
	DECLARE_BITMAP(other, BITS);
	u8 model[BITS] = { 0 };

	random_fill(map, sizeof(map));
	bitmap_clear(map, 0, BITS);
	EXPECT(bitmap_empty(map, BITS));
	for (unsigned int round = 0; round < test_rounds(4000) && !test_failed(); round++) {
		size_t from = random_below(BITS), n = random_below(BITS - from + 1), k, weight = 0;
		size_t one = BITS, zero = BITS, last = SIZE_MAX, run = BITS;
		size_t want = random_below(20) + 1, align = 1ULL << random_below(4);

		if (round & 1)
			bitmap_set(map, from, n);
		else
			bitmap_clear(map, from, n);
		host_memset(model + from, round & 1, n);
		from = random_below(BITS + 1);
		for (k = 0; k < BITS; k++) {
			EXPECT_EQ(bitmap_test(map, k), model[k]);
			weight += model[k];
			if (k >= from && model[k] && one == BITS)
				one = k;
			if (k >= from && !model[k] && zero == BITS)
				zero = k;
			if (k < from && model[k])
				last = k;
		}
		for (k = ALIGN_UP(from, align); k + want <= BITS && run == BITS; k += align) {
			size_t j = 0;

			while (j < want && !model[k + j])
				j++;
			if (j == want)
				run = k;
		}
		EXPECT_EQ(bitmap_weight(map, BITS), weight);
		EXPECT_EQ(bitmap_find_next(map, BITS, from), one);
		EXPECT_EQ(bitmap_find_next_zero(map, BITS, from), zero);
		EXPECT_EQ(bitmap_find_last(map, from), last);
		EXPECT_EQ(bitmap_find_zero_run(map, BITS, from, want, align), run);
	}
	bitmap_copy(other, map, BITS);
	EXPECT(bitmap_equal(map, other, BITS));
	other[BITS / 64] ^= BIT(BITS % 64);
	EXPECT(bitmap_equal(map, other, BITS));
	other[BITS / 64] ^= BIT(BITS % 64 - 1);
	EXPECT(!bitmap_equal(map, other, BITS));
	bitmap_zero(other, BITS);
	EXPECT(!bitmap_and(other, other, map, BITS));
	bitmap_or(other, other, map, BITS);
	EXPECT(bitmap_equal(map, other, BITS));
	bitmap_fill(other, BITS);
	EXPECT_EQ(bitmap_weight(other, BITS), BITS);
}

TEST(bit_positions)
{
	EXPECT_EQ(fls(0), 0);
	EXPECT_EQ(fls(0x80000000), 32);
	EXPECT_EQ(fls64(1), 1);
	EXPECT_EQ(ffs64(0), 0);
	EXPECT_EQ(ffs64(1ULL << 63), 64);
	EXPECT_EQ(ilog2(4097), 12);
	EXPECT_EQ(roundup_pow2(0), 1);
	EXPECT_EQ(roundup_pow2(4097), 8192);
	EXPECT_EQ(roundup_pow2(1ULL << 63), 1ULL << 63);
	EXPECT_EQ(roundup_pow2((1ULL << 63) + 1), 0);
	EXPECT_EQ(DIV_ROUND_UP(UINT64_MAX, 2ULL), 1ULL << 63);
	for (int i = 0; i < 1000; i++) {
		u64 v = random_u64() & random_u64(), n = 0;

		for (int b = 0; b < 64; b++)
			n += v >> b & 1;
		EXPECT_EQ(popcount64(v), n);
	}
	EXPECT_EQ(rol32(0x80000001, 1), 3);
	EXPECT_EQ(ror32(3, 1), 0x80000001);
	EXPECT_EQ(rol64(1, 0), 1);
}

TEST(index_nospec)
{
	EXPECT_EQ(index_nospec(0, 1), 0);
	EXPECT_EQ(index_nospec(5, 6), 5);
	EXPECT_EQ(index_nospec(6, 6), 0);
	EXPECT_EQ(index_nospec(UINT64_MAX, 6), 0);
	EXPECT_EQ(index_nospec(1ULL << 63, 1ULL << 62), 0);
}

static int compare_first_byte(const void *a, const void *b)
{
	return *(const u8 *)a - *(const u8 *)b;
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

TEST(sort_and_search)
{
	u64 a[100], b[100];
	u8 odd[50][13];

	for (int round = 0; round < 200; round++) {
		size_t n = random_below(101);

		for (size_t i = 0; i < n; i++)
			a[i] = b[i] = random_below(60) * 3;
		sort(a, n, sizeof(a[0]), compare_u64);
		host_sort(b, n, sizeof(b[0]), compare_u64);
		EXPECT(host_memcmp(a, b, n * sizeof(a[0])) == 0);
		for (u64 key = 0; key < 180; key++) {
			u64 *found = bsearch(&key, a, n, sizeof(a[0]), compare_u64);
			bool there = false;

			for (size_t i = 0; i < n; i++)
				there |= a[i] == key;
			EXPECT(there ? found && *found == key : !found);
		}
	}
	random_fill(odd, sizeof(odd));
	sort(odd, 50, 13, compare_first_byte);
	for (int i = 1; i < 50; i++)
		EXPECT(odd[i - 1][0] <= odd[i][0]);
}

TEST(ring_buffer)
{
	u8 data[64], in = 0, out = 0, buf[100];
	struct ringbuf r;
	u32 used = 0;

	ringbuf_init(&r, data, sizeof(data));
	/* Start where the free-running positions wrap. */
	r.head = r.tail = UINT32_MAX - 100;
	for (unsigned int round = 0; round < test_rounds(20000) && !test_failed(); round++) {
		u32 n = (u32)random_below(100), done;

		switch (random_below(4)) {
		case 0:
			for (u32 i = 0; i < n; i++)
				buf[i] = (u8)(in + i);
			done = ringbuf_write(&r, buf, n);
			EXPECT_EQ(done, MIN(n, 64 - used));
			in = (u8)(in + done);
			used += done;
			break;
		case 1:
			done = ringbuf_read(&r, buf, n);
			EXPECT_EQ(done, MIN(n, used));
			for (u32 i = 0; i < done; i++)
				EXPECT_EQ(buf[i], (u8)(out + i));
			out = (u8)(out + done);
			used -= done;
			break;
		case 2:
			EXPECT_EQ(ringbuf_putc(&r, in), used < 64);
			in = (u8)(in + (used < 64));
			used += used < 64;
			break;
		default:
			EXPECT_EQ(ringbuf_peek(&r, n), n < used ? (u8)(out + n) : -1);
			EXPECT_EQ(ringbuf_getc(&r), used ? out : -1);
			out = (u8)(out + (used != 0));
			used -= used != 0;
		}
		EXPECT_EQ(ringbuf_used(&r), used);
		EXPECT_EQ(ringbuf_free(&r), 64 - used);
	}
	ringbuf_clear(&r);
	EXPECT(ringbuf_empty(&r));
}

static int faults[3];

static void count_fault(refcount_t *r, enum refcount_fault what)
{
	(void)r;
	faults[what]++;
}

TEST(refcount_saturates)
{
	refcount_t r = REFCOUNT_INIT(1);

	refcount_fault_hook = count_fault;
	refcount_get(&r);
	EXPECT(!refcount_put_and_test(&r));
	EXPECT(refcount_get_not_zero(&r));
	EXPECT(!refcount_put_and_test(&r));
	EXPECT(refcount_put_and_test(&r));
	EXPECT(!refcount_get_not_zero(&r));
	EXPECT_EQ(faults[0] + faults[1] + faults[2], 0);
	refcount_get(&r);
	EXPECT_EQ(faults[REFCOUNT_GET_FROM_ZERO], 1);
	/* Pinned: no number of puts brings it to zero. */
	for (int i = 0; i < 1000; i++)
		EXPECT(!refcount_put_and_test(&r));
	EXPECT(refcount_get_not_zero(&r));
	refcount_init(&r, INT32_MAX);
	refcount_get(&r);
	EXPECT(refcount_read(&r) < 0);
	refcount_init(&r, 0);
	faults[REFCOUNT_UNDERFLOW] = 0;
	EXPECT(!refcount_put_and_test(&r));
	EXPECT_EQ(faults[REFCOUNT_UNDERFLOW], 1);
	refcount_fault_hook = NULL;
}

TEST(atomics)
{
	atomic_t a = ATOMIC_INIT(5);
	atomic64_t b = ATOMIC64_INIT(1LL << 40);
	u64 map[2] = { 0 }, word = 7, expected = 7;

	EXPECT_EQ(atomic_fetch_add(&a, 3), 5);
	EXPECT_EQ(atomic_add_return(&a, 2), 10);
	EXPECT_EQ(atomic_cmpxchg(&a, 9, 1), 10);
	EXPECT_EQ(atomic_cmpxchg(&a, 10, 1), 10);
	EXPECT(atomic_dec_and_test(&a));
	EXPECT(!atomic_inc_not_zero(&a));
	EXPECT_EQ(atomic_xchg(&a, 4), 0);
	EXPECT(atomic_inc_not_zero(&a));
	EXPECT_EQ(atomic_fetch_or(&a, 2), 5);
	atomic_and(&a, 6);
	EXPECT_EQ(atomic_load(&a), 6);
	EXPECT_EQ(atomic64_sub_return(&b, 1), (1LL << 40) - 1);
	EXPECT(!atomic_test_and_set_bit(70, map) && atomic_test_and_set_bit(70, map));
	EXPECT_EQ(map[1], 64);
	EXPECT(atomic_test_bit(70, map) && atomic_test_and_clear_bit(70, map) && !map[1]);
	EXPECT_EQ(cmpxchg(&word, 8, 9), 7);
	EXPECT(try_cmpxchg(&word, &expected, 9) && word == 9);
	EXPECT(!try_cmpxchg(&word, &expected, 1) && expected == 9);
}
