/* SPDX-License-Identifier: MIT */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

/*
 * Arrays of bits in u64 words, bit n in word n / 64. Not atomic: see
 * lib/atomic.h for the atomic ones. Bits past the end of a map whose length is
 * no multiple of 64 are never looked at by the find functions.
 */
#include <lib/fls.h>

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)
#define DECLARE_BITMAP(name, bits) u64 name[BITMAP_WORDS(bits)]

static inline bool bitmap_test(const u64 *map, size_t nr)
{
	return map[nr / 64] >> (nr % 64) & 1;
}

static inline void bitmap_set_bit(u64 *map, size_t nr)
{
	map[nr / 64] |= BIT(nr % 64);
}

static inline void bitmap_clear_bit(u64 *map, size_t nr)
{
	map[nr / 64] &= ~BIT(nr % 64);
}

static inline void bitmap_zero(u64 *map, size_t bits)
{
	for (size_t i = 0; i < BITMAP_WORDS(bits); i++)
		map[i] = 0;
}

static inline void bitmap_copy(u64 *dst, const u64 *src, size_t bits)
{
	for (size_t i = 0; i < BITMAP_WORDS(bits); i++)
		dst[i] = src[i];
}

void bitmap_fill(u64 *map, size_t bits);
void bitmap_set(u64 *map, size_t start, size_t n);
void bitmap_clear(u64 *map, size_t start, size_t n);
size_t bitmap_weight(const u64 *map, size_t bits) __pure;
bool bitmap_empty(const u64 *map, size_t bits) __pure;
bool bitmap_equal(const u64 *a, const u64 *b, size_t bits) __pure;
/* dst may be a or b; the result says whether any bit is set in it. */
bool bitmap_and(u64 *dst, const u64 *a, const u64 *b, size_t bits);
void bitmap_or(u64 *dst, const u64 *a, const u64 *b, size_t bits);

/* The first such bit at or after start; bits when there is none. */
size_t bitmap_find_next(const u64 *map, size_t bits, size_t start) __pure;
size_t bitmap_find_next_zero(const u64 *map, size_t bits, size_t start) __pure;
/* The last set bit below end; SIZE_MAX when there is none. */
size_t bitmap_find_last(const u64 *map, size_t end) __pure;
/* The first run of n zero bits at or after start, aligned to align; bits when none. */
size_t bitmap_find_zero_run(const u64 *map, size_t bits, size_t start, size_t n, size_t align)
	__pure;

static inline size_t bitmap_find_first(const u64 *map, size_t bits)
{
	return bitmap_find_next(map, bits, 0);
}

static inline size_t bitmap_find_first_zero(const u64 *map, size_t bits)
{
	return bitmap_find_next_zero(map, bits, 0);
}

#define bitmap_for_each(bit, map, bits)					\
	for ((bit) = bitmap_find_next(map, bits, 0); (bit) < (bits);	\
	     (bit) = bitmap_find_next(map, bits, (bit) + 1))

#endif
