/* SPDX-License-Identifier: MIT */
/*
 * Bytes, strings and messages for the portable half of the loader. No state, no library: the same code
 * runs under the firmware and, in test/host, as a Linux program under sanitizers.
 */
#ifndef LOADER_TEXT_H
#define LOADER_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>

#define ARRAY_COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE_BYTES	4096ull

/* A piece of somebody else's text; not ended by a NUL. */
struct span {
	const char *text;
	size_t length;
};

/*
 * Why something was refused: a sentence, and where, when `unit` is not NULL ("line", "byte" ...).
 * Filled by a function that returns a negative value; the text is static.
 */
struct load_error {
	const char *what;
	const char *unit;
	uint64_t where;
};

/* Fill `error` and return -1, so that a check can be one `return`. */
int load_refuse(struct load_error *error, const char *what, const char *unit, uint64_t where);

void mem_copy(void *to, const void *from, size_t length);
void mem_zero(void *to, size_t length);
bool mem_equal(const void *a, const void *b, size_t length);
size_t str_length(const char *text);

bool span_equal(struct span span, const char *text);
/* Decimal, without sign; false when it is none or above `max`. */
bool span_to_number(struct span span, uint64_t max, uint64_t *value);

/* a + b into *sum; false when it does not fit. */
bool add_fits(uint64_t a, uint64_t b, uint64_t *sum);

static inline uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static inline uint64_t round_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1);
}

/*
 * Format into `buffer` of `size` bytes, always ended by a NUL, cut when too long. Returns the length
 * written. Knows %s, %c, %d (int), %u (unsigned), %lu %lx (uint64_t), %x (unsigned), %p (as %lx), %% and
 * %z (struct span *, printed with everything unprintable as '?').
 */
size_t text_format(char *buffer, size_t size, const char *format, va_list args);

#endif /* LOADER_TEXT_H */
