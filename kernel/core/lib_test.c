/* SPDX-License-Identifier: MIT */
/*
 * lib inside the kernel. The host tests it thoroughly; here is what differs: the
 * HAL's memory functions, the kernel's compiler flags, and the hooks of mm and of
 * the symbol table.
 */
#include <kernel/core/selftest.h>

#include <lib/heap.h>
#include <lib/printf.h>
#include <lib/rbtree.h>
#include <lib/string.h>
#include <lib/xarray.h>

#define LIB_TEST_BYTES 640

static u8 lib_test_a[LIB_TEST_BYTES], lib_test_b[LIB_TEST_BYTES];

/* The i-th byte of a pattern that no shift maps onto itself. */
static u8 pattern(size_t i)
{
	return (u8)(i * 31 + (i >> 5));
}

static bool is_pattern(const u8 *p, size_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != pattern(from + i))
			return false;
	return true;
}

static bool is_filled(const u8 *p, size_t n, u8 c)
{
	return memchr_inv(p, c, n) == NULL;
}

SELFTEST(lib, memcpy_memset)
{
	for (size_t i = 0; i < LIB_TEST_BYTES; i++)
		lib_test_a[i] = pattern(i);
	for (size_t n = 0; n <= 560; n += n < 80 ? 1 : 37) {
		size_t at = n % 9 + 1, from = n % 5;

		memset(lib_test_b, 0x5a, LIB_TEST_BYTES);
		EXPECT(memcpy(lib_test_b + at, lib_test_a + from, n) == lib_test_b + at);
		EXPECT(is_filled(lib_test_b, at, 0x5a) && is_pattern(lib_test_b + at, from, n));
		EXPECT(is_filled(lib_test_b + at + n, LIB_TEST_BYTES - at - n, 0x5a));
		EXPECT(memcmp(lib_test_b + at, lib_test_a + from, n) == 0);
		memset(lib_test_b + at, 0xc3, n);
		EXPECT(is_filled(lib_test_b, at, 0x5a) && is_filled(lib_test_b + at, n, 0xc3));
		EXPECT(is_filled(lib_test_b + at + n, LIB_TEST_BYTES - at - n, 0x5a));
	}
}

SELFTEST(lib, memmove_overlaps)
{
	for (size_t n = 1; n <= 500; n += n < 50 ? 1 : 29) {
		for (size_t distance = 0; distance < 40; distance += 3) {
			for (size_t i = 0; i < LIB_TEST_BYTES; i++)
				lib_test_a[i] = pattern(i);
			memmove(lib_test_a + distance, lib_test_a, n);
			EXPECT(is_pattern(lib_test_a + distance, 0, n));
			for (size_t i = 0; i < LIB_TEST_BYTES; i++)
				lib_test_a[i] = pattern(i);
			memmove(lib_test_a, lib_test_a + distance, n);
			EXPECT(is_pattern(lib_test_a, distance, n));
		}
	}
}

SELFTEST(lib, printf_and_symbols)
{
	char buf[96];

	snprintf(buf, sizeof(buf), "%5d|%-5u|%#llx|%s|%c|%%", -42, 7U, 0xffff800000000000ULL, "text", 'c');
	EXPECT(strcmp(buf, "  -42|7    |0xffff800000000000|text|c|%") == 0);
	snprintf(buf, sizeof(buf), "%pS", (void *)(uintptr_t)snprintf);
	EXPECT(strncmp(buf, "snprintf", 8) == 0);
}

struct lib_test_node {
	struct rb_node rb;
	struct heap_node heap;
	u64 key;
};

static bool lib_test_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry((struct rb_node *)(uintptr_t)a, struct lib_test_node, rb)->key <
	       rb_entry((struct rb_node *)(uintptr_t)b, struct lib_test_node, rb)->key;
}

SELFTEST(lib, tree_and_heap)
{
	static struct lib_test_node nodes[64];
	struct rb_root root = RB_ROOT;
	struct heap heap = HEAP_INIT;
	struct lib_test_node *n;
	u64 expected = 0;

	for (u64 i = 0; i < ARRAY_SIZE(nodes); i++) {
		nodes[i].key = nodes[i].heap.key = i * 37 % ARRAY_SIZE(nodes);
		rb_insert(&root, &nodes[i].rb, lib_test_less);
		heap_add(&heap, &nodes[i].heap);
	}
	rb_for_each_entry(n, &root, rb)
		EXPECT_EQ(n->key, expected++);
	for (u64 i = 0; i < ARRAY_SIZE(nodes); i++) {
		EXPECT_EQ(heap_pop(&heap)->key, i);
		rb_erase(&root, &nodes[i].rb);
	}
	EXPECT(rb_empty(&root) && heap_empty(&heap));
}

SELFTEST(lib, xarray_with_real_nodes)
{
	static const u64 indexes[] = { 0, 1, 63, 64, 4095, 4096, 1ULL << 40, UINT64_MAX };
	struct xarray xa = XARRAY_INIT;
	u64 index, n = 0;
	void *entry;

	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++)
		REQUIRE(xa_store(&xa, indexes[i], xa_mk_value(i)) == 0);
	xa_for_each(&xa, index, entry) {
		EXPECT_EQ(index, indexes[n]);
		EXPECT_EQ(xa_to_value(entry), n++);
	}
	EXPECT_EQ(n, ARRAY_SIZE(indexes));
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++)
		EXPECT(xa_erase(&xa, indexes[i]) == xa_mk_value(i));
	EXPECT(xa_empty(&xa));
}
