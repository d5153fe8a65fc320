/* SPDX-License-Identifier: MIT */
/* The radix tree against an array of pairs, with failing allocations. */
#include <lib/errno.h>
#include <lib/xarray.h>

#include "framework.h"

#define ENTRIES 300

static unsigned int live_nodes;
static unsigned int fail_after = UINT32_MAX;

static struct xa_node *test_alloc(void)
{
	if (fail_after == 0)
		return NULL;
	fail_after--;
	live_nodes++;
	return host_alloc(sizeof(struct xa_node));
}

static void test_free(struct xa_node *n)
{
	live_nodes--;
	host_free(n);
}

static const struct xa_hooks test_hooks = { test_alloc, test_free };

static struct {
	u64 index;
	void *entry;
} model[ENTRIES];

static unsigned int used;

/* Indexes that crowd, and that reach every height. */
static u64 random_index(void)
{
	switch (random_below(4)) {
	case 0: return random_below(100);
	case 1: return random_below(5000);
	case 2: return random_u64() >> random_below(64);
	default: return UINT64_MAX - random_below(70);
	}
}

static void *model_load(u64 index)
{
	for (unsigned int i = 0; i < used; i++)
		if (model[i].index == index)
			return model[i].entry;
	return NULL;
}

static void model_store(u64 index, void *entry)
{
	for (unsigned int i = 0; i < used; i++) {
		if (model[i].index == index) {
			model[i].entry = entry;
			if (!entry)
				model[i] = model[--used];
			return;
		}
	}
	if (entry) {
		model[used].index = index;
		model[used++].entry = entry;
	}
}

static void check_all(struct xarray *xa)
{
	unsigned int n = 0;
	u64 index, last = 0;
	void *entry;

	xa_for_each(xa, index, entry) {
		EXPECT(model_load(index) == entry);
		EXPECT(n == 0 || index > last);
		last = index;
		n++;
	}
	EXPECT_EQ(n, used);
	EXPECT_EQ(xa_empty(xa), used == 0);
}

static void check_find(struct xarray *xa, u64 from, u64 max)
{
	u64 best = 0, index = from;
	void *want = NULL, *got = xa_find(xa, &index, max);

	for (unsigned int i = 0; i < used; i++) {
		if (model[i].index >= from && model[i].index <= max && (!want || model[i].index < best)) {
			best = model[i].index;
			want = model[i].entry;
		}
	}
	EXPECT(got == want);
	EXPECT_EQ(index, want ? best : from);
}

TEST(xarray_random)
{
	struct xarray xa = XARRAY_INIT;

	xa_set_hooks(&test_hooks);
	used = 0;
	for (unsigned int round = 0; round < test_rounds(30000) && !test_failed(); round++) {
		u64 index = random_index();

		if (used == ENTRIES || random_below(5) < 2) {
			index = used ? model[random_below(used)].index : index;
			EXPECT(xa_erase(&xa, index) == model_load(index));
			model_store(index, NULL);
		} else {
			void *entry = random_below(2) ? xa_mk_value(round) : &model[used];

			EXPECT_EQ(xa_store(&xa, index, entry), 0);
			model_store(index, entry);
		}
		EXPECT(xa_load(&xa, index) == model_load(index));
		index = random_index();
		EXPECT(xa_load(&xa, index) == model_load(index));
		check_find(&xa, index, random_below(2) ? UINT64_MAX : random_index());
		if (round % 500 == 0)
			check_all(&xa);
	}
	check_all(&xa);
	while (used) {
		EXPECT(xa_erase(&xa, model[0].index) == model[0].entry);
		model_store(model[0].index, NULL);
	}
	EXPECT_EQ(live_nodes, 0);
}

TEST(xarray_out_of_memory)
{
	struct xarray xa = XARRAY_INIT;

	used = 0;
	for (unsigned int round = 0; round < test_rounds(3000) && !test_failed(); round++) {
		u64 index = random_index();
		void *old = xa_load(&xa, index), *entry = xa_mk_value(round);
		unsigned int nodes = live_nodes;
		int err = -ENOMEM;

		if (used == ENTRIES - 1) {
			xa_destroy(&xa);
			EXPECT_EQ(live_nodes, 0);
			used = 0;
			continue;
		}
		/* Each allocation fails once; what failed must leave no trace. */
		for (unsigned int n = 0; err; n++) {
			fail_after = n;
			err = xa_store(&xa, index, entry);
			EXPECT(err == 0 || err == -ENOMEM);
			if (err) {
				EXPECT(xa_load(&xa, index) == old);
				EXPECT_EQ(live_nodes, nodes);
			}
			EXPECT(n <= XA_PRELOAD_MAX);
			if (test_failed())
				return;
		}
		fail_after = UINT32_MAX;
		model_store(index, entry);
		if (round % 100 == 0)
			check_all(&xa);
	}
	xa_destroy(&xa);
	EXPECT(xa_empty(&xa));
	EXPECT_EQ(live_nodes, 0);
}

TEST(xarray_preload)
{
	struct xa_preload p = XA_PRELOAD_INIT;
	struct xarray xa = XARRAY_INIT;

	EXPECT_EQ(xa_preload_fill(&p, XA_PRELOAD_MAX), 0);
	fail_after = 0;
	/* The dearest store: from one entry at 0 to the last index of all. */
	EXPECT_EQ(xa_store_preloaded(&xa, 0, xa_mk_value(1), &p), 0);
	EXPECT_EQ(xa_store_preloaded(&xa, UINT64_MAX, xa_mk_value(2), &p), 0);
	EXPECT_EQ(p.count, 0);
	EXPECT_EQ(xa_to_value(xa_load(&xa, UINT64_MAX)), 2);
	EXPECT_EQ(xa_to_value(xa_load(&xa, 0)), 1);
	EXPECT_EQ(xa_store_preloaded(&xa, 1ULL << 40, xa_mk_value(3), &p), -ENOMEM);
	EXPECT_EQ(xa_preload_fill(&p, 1), -ENOMEM);
	fail_after = UINT32_MAX;
	EXPECT_EQ(xa_preload_fill(&p, 3), 0);
	xa_preload_drain(&p);
	EXPECT(xa_erase(&xa, UINT64_MAX) == xa_mk_value(2));
	/* Only index 0 is left: no node. */
	EXPECT_EQ(live_nodes, 0);
	xa_destroy(&xa);
}

TEST(xarray_corners)
{
	struct xarray xa = XARRAY_INIT;
	u64 index = 0;

	/* One entry at 0, in no node. */
	EXPECT(xa_next(&xa, &index) == NULL && xa_erase(&xa, 0) == NULL);
	EXPECT_EQ(xa_store(&xa, 0, xa_mk_value(1)), 0);
	EXPECT_EQ(live_nodes, 0);
	EXPECT(xa_erase(&xa, 5) == NULL);
	EXPECT_EQ(xa_store(&xa, 0, NULL), 0);
	EXPECT(xa_empty(&xa));
	EXPECT_EQ(xa_store(&xa, 0, xa_mk_value(1)), 0);
	EXPECT_EQ(xa_alloc(&xa, xa_mk_value(2), 0, 9, &index), 0);
	EXPECT_EQ(index, 1);
	EXPECT(xa_erase(&xa, 60) == NULL && xa_erase(&xa, 64) == NULL);
	/* Nothing behind the last entry of the last leaf. */
	EXPECT_EQ(xa_store(&xa, UINT64_MAX - 9, xa_mk_value(3)), 0);
	index = UINT64_MAX - 8;
	EXPECT(xa_next(&xa, &index) == NULL);
	index = UINT64_MAX - 200;
	EXPECT(xa_next(&xa, &index) == xa_mk_value(3));
	fail_after = 0;
	EXPECT_EQ(xa_alloc(&xa, xa_mk_value(2), 1ULL << 30, UINT64_MAX, &index), -ENOMEM);
	fail_after = UINT32_MAX;
	xa_destroy(&xa);
	EXPECT_EQ(live_nodes, 0);
}

TEST(xarray_alloc_and_range)
{
	struct xarray xa = XARRAY_INIT;
	u64 index, n = 0;
	void *entry;

	for (u64 i = 0; i < 200; i++) {
		EXPECT_EQ(xa_alloc(&xa, xa_mk_value(i), 3, 202, &index), 0);
		EXPECT_EQ(index, i + 3);
	}
	EXPECT_EQ(xa_alloc(&xa, xa_mk_value(0), 3, 202, &index), -EBUSY);
	xa_erase(&xa, 77);
	EXPECT_EQ(xa_alloc(&xa, xa_mk_value(0), 3, 202, &index), 0);
	EXPECT_EQ(index, 77);
	EXPECT_EQ(xa_alloc(&xa, xa_mk_value(0), 0, UINT64_MAX, &index), 0);
	EXPECT_EQ(index, 0);
	xa_for_each_range(&xa, index, entry, 100, 150) {
		EXPECT(index >= 100 && index <= 150);
		xa_erase(&xa, index);
		n++;
	}
	EXPECT_EQ(n, 51);
	xa_for_each(&xa, index, entry)
		n++;
	EXPECT_EQ(n, 51 + 201 - 51);
	EXPECT_EQ(xa_store(&xa, UINT64_MAX, xa_mk_value(9)), 0);
	EXPECT_EQ(xa_alloc(&xa, xa_mk_value(0), UINT64_MAX, UINT64_MAX, &index), -EBUSY);
	xa_destroy(&xa);
	EXPECT_EQ(live_nodes, 0);
}
