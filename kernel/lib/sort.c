/* SPDX-License-Identifier: MIT */
#include <lib/sort.h>

static void swap(u8 *a, u8 *b, size_t size)
{
	for (; size >= 8; size -= 8, a += 8, b += 8) {
		u64 x, y;

		__builtin_memcpy(&x, a, 8);
		__builtin_memcpy(&y, b, 8);
		__builtin_memcpy(a, &y, 8);
		__builtin_memcpy(b, &x, 8);
	}
	for (; size; size--, a++, b++) {
		u8 x = *a;

		*a = *b;
		*b = x;
	}
}

/* Lets element i of a max-heap of n elements sink to its level. */
static void sink(u8 *base, size_t i, size_t n, size_t size, cmp_t cmp)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= n)
			return;
		if (child + 1 < n && cmp(base + child * size, base + (child + 1) * size) < 0)
			child++;
		if (cmp(base + i * size, base + child * size) >= 0)
			return;
		swap(base + i * size, base + child * size, size);
		i = child;
	}
}

void sort(void *base, size_t n, size_t size, cmp_t cmp)
{
	u8 *b = base;

	for (size_t i = n / 2; i-- > 0;)
		sink(b, i, n, size, cmp);
	for (size_t i = n; i-- > 1;) {
		swap(b, b + i * size, size);
		sink(b, 0, i, size, cmp);
	}
}

void *bsearch(const void *key, const void *base, size_t n, size_t size, cmp_t cmp)
{
	const u8 *b = base;

	while (n) {
		const u8 *mid = b + n / 2 * size;
		int c = cmp(key, mid);

		if (c == 0)
			return (void *)(uintptr_t)mid;
		if (c > 0) {
			b = mid + size;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	return NULL;
}
