/* SPDX-License-Identifier: MIT */
#include <lib/bitmap.h>

/* Bits from `from` up to, not including, `to` of one word; from < to <= 64. */
static u64 mask_range(size_t from, size_t to)
{
	return (to == 64 ? ~0ULL : BIT(to) - 1) & ~(BIT(from) - 1);
}

static u64 last_mask(size_t bits)
{
	return bits % 64 ? BIT(bits % 64) - 1 : ~0ULL;
}

void bitmap_set(u64 *map, size_t start, size_t n)
{
	for (size_t end = start + n, next; start < end; start = next) {
		next = MIN(end, ALIGN_DOWN(start, 64) + 64);
		map[start / 64] |= mask_range(start % 64, next - ALIGN_DOWN(start, 64));
	}
}

void bitmap_clear(u64 *map, size_t start, size_t n)
{
	for (size_t end = start + n, next; start < end; start = next) {
		next = MIN(end, ALIGN_DOWN(start, 64) + 64);
		map[start / 64] &= ~mask_range(start % 64, next - ALIGN_DOWN(start, 64));
	}
}

void bitmap_fill(u64 *map, size_t bits)
{
	bitmap_set(map, 0, bits);
}

size_t bitmap_weight(const u64 *map, size_t bits)
{
	size_t n = 0;

	for (size_t i = 0; i < bits / 64; i++)
		n += popcount64(map[i]);
	if (bits % 64)
		n += popcount64(map[bits / 64] & last_mask(bits));
	return n;
}

bool bitmap_empty(const u64 *map, size_t bits)
{
	return bitmap_find_next(map, bits, 0) == bits;
}

bool bitmap_equal(const u64 *a, const u64 *b, size_t bits)
{
	for (size_t i = 0; i < bits / 64; i++)
		if (a[i] != b[i])
			return false;
	return bits % 64 == 0 || ((a[bits / 64] ^ b[bits / 64]) & last_mask(bits)) == 0;
}

bool bitmap_and(u64 *dst, const u64 *a, const u64 *b, size_t bits)
{
	u64 any = 0;

	for (size_t i = 0; i < BITMAP_WORDS(bits); i++) {
		dst[i] = a[i] & b[i];
		any |= i == bits / 64 ? dst[i] & last_mask(bits) : dst[i];
	}
	return any != 0;
}

void bitmap_or(u64 *dst, const u64 *a, const u64 *b, size_t bits)
{
	for (size_t i = 0; i < BITMAP_WORDS(bits); i++)
		dst[i] = a[i] | b[i];
}

/* The first bit at or after start that is 1 in map ^ invert. */
static __always_inline size_t find_next(const u64 *map, size_t bits, size_t start, u64 invert)
{
	u64 w;

	if (start >= bits)
		return bits;
	w = (map[start / 64] ^ invert) & ~(BIT(start % 64) - 1);
	start = ALIGN_DOWN(start, 64);
	while (!w) {
		start += 64;
		if (start >= bits)
			return bits;
		w = map[start / 64] ^ invert;
	}
	return MIN(start + ctz64(w), bits);
}

size_t bitmap_find_next(const u64 *map, size_t bits, size_t start)
{
	return find_next(map, bits, start, 0);
}

size_t bitmap_find_next_zero(const u64 *map, size_t bits, size_t start)
{
	return find_next(map, bits, start, ~0ULL);
}

size_t bitmap_find_last(const u64 *map, size_t end)
{
	size_t i = end / 64;
	u64 w = end % 64 ? map[i] & (BIT(end % 64) - 1) : 0;

	while (!w) {
		if (i == 0)
			return SIZE_MAX;
		w = map[--i];
	}
	return i * 64 + ilog2(w);
}

size_t bitmap_find_zero_run(const u64 *map, size_t bits, size_t start, size_t n, size_t align)
{
	for (;;) {
		size_t from = ALIGN_UP(bitmap_find_next_zero(map, bits, start), align), to;

		if (from >= bits || n > bits - from)
			return bits;
		to = bitmap_find_next(map, from + n, from);
		if (to == from + n)
			return from;
		start = to + 1;
	}
}
