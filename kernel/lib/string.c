/* SPDX-License-Identifier: MIT */
/*
 * Memory and strings, portable.
 *
 * Copies go by words of 8 bytes, unaligned where need be, which every x86-64
 * does well. Short and last pieces are done by two overlapping accesses instead
 * of a byte loop: 13 bytes are bytes 0..7 and 5..12. memmove loads such pieces
 * before it stores anything, which is what makes it safe for overlaps.
 *
 * strlen and memchr read whole aligned words and so may read past the end of the
 * string, never past its page; the sanitizers are told to look away there.
 *
 * The compiler must not recognise these loops and replace them by calls of
 * themselves: hence the pragma.
 */
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>

#pragma GCC optimize("no-tree-loop-distribute-patterns")

#define ONES  0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* The high bit of every zero byte of x, and maybe of bytes above the first. */
#define ZERO_BYTES(x) (((x) - ONES) & ~(x) & HIGHS)

typedef u64 __attribute__((aligned(1), may_alias)) word_t;
typedef u32 __attribute__((aligned(1), may_alias)) half_t;
typedef u16 __attribute__((aligned(1), may_alias)) quarter_t;

#define W(p, off) (*(word_t *)((u8 *)(p) + (off)))
#define CW(p, off) (*(const word_t *)((const u8 *)(p) + (off)))

/* Up to 32 bytes; loads all before it stores any. */
static __always_inline void move_small(u8 *d, const u8 *s, size_t n)
{
	if (n > 16) {
		u64 a = CW(s, 0), b = CW(s, 8), c = CW(s, n - 16), e = CW(s, n - 8);

		W(d, 0) = a;
		W(d, 8) = b;
		W(d, n - 16) = c;
		W(d, n - 8) = e;
	} else if (n >= 8) {
		u64 a = CW(s, 0), b = CW(s, n - 8);

		W(d, 0) = a;
		W(d, n - 8) = b;
	} else if (n >= 4) {
		u32 a = *(const half_t *)s, b = *(const half_t *)(s + n - 4);

		*(half_t *)d = a;
		*(half_t *)(d + n - 4) = b;
	} else if (n >= 2) {
		u16 a = *(const quarter_t *)s, b = *(const quarter_t *)(s + n - 2);

		*(quarter_t *)d = a;
		*(quarter_t *)(d + n - 2) = b;
	} else if (n) {
		*d = *s;
	}
}

static __always_inline void move_32(u8 *d, const u8 *s)
{
	u64 a = CW(s, 0), b = CW(s, 8), c = CW(s, 16), e = CW(s, 24);

	W(d, 0) = a;
	W(d, 8) = b;
	W(d, 16) = c;
	W(d, 24) = e;
}

/* Right for d below s too, overlapping or not. n > 32. */
static void *move_up(u8 *d, const u8 *s, size_t n)
{
	u64 a = CW(s, n - 32), b = CW(s, n - 24), c = CW(s, n - 16), e = CW(s, n - 8);
	size_t i = 0;

	do {
		move_32(d + i, s + i);
		i += 32;
	} while (i < n - 32);
	W(d, n - 32) = a;
	W(d, n - 24) = b;
	W(d, n - 16) = c;
	W(d, n - 8) = e;
	return d;
}

/* The same from the end, for d above s. */
static void *move_down(u8 *d, const u8 *s, size_t n)
{
	u64 a = CW(s, 0), b = CW(s, 8), c = CW(s, 16), e = CW(s, 24);

	while (n > 32) {
		n -= 32;
		move_32(d + n, s + n);
	}
	W(d, 0) = a;
	W(d, 8) = b;
	W(d, 16) = c;
	W(d, 24) = e;
	return d;
}

__weak void *memcpy(void *dst, const void *src, size_t n)
{
	if (n > 32)
		return move_up(dst, src, n);
	move_small(dst, src, n);
	return dst;
}

__weak void *memmove(void *dst, const void *src, size_t n)
{
	if (n > 32)
		return (u8 *)dst <= (const u8 *)src ? move_up(dst, src, n) : move_down(dst, src, n);
	move_small(dst, src, n);
	return dst;
}

__weak void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;
	u64 v = (u8)c * ONES;

	if (n < 8) {
		if (n >= 4) {
			*(half_t *)d = (u32)v;
			*(half_t *)(d + n - 4) = (u32)v;
		} else {
			for (size_t i = 0; i < n; i++)
				d[i] = (u8)c;
		}
		return dst;
	}
	W(d, n - 8) = v;
	for (; n > 32; n -= 32, d += 32) {
		W(d, 0) = v;
		W(d, 8) = v;
		W(d, 16) = v;
		W(d, 24) = v;
	}
	for (; n > 8; n -= 8, d += 8)
		W(d, 0) = v;
	return dst;
}

__weak int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8) {
		u64 v = CW(x, 0), w = CW(y, 0);

		if (v != w)
			return bswap64(v) < bswap64(w) ? -1 : 1;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

/* Where memchr() found it: up to there the range must have been readable. */
static __always_inline void *found_at(const void *s, const u8 *p)
{
	kasan_check_read(s, (size_t)(p - (const u8 *)s) + 1);
	return (void *)(uintptr_t)p;
}

/*
 * The bytes behind the one that is found need not be there (C11 7.24.5.1), so,
 * as in strlen, whole words are read at aligned addresses only.
 */
__attribute__((no_sanitize("address")))
void *memchr(const void *s, int c, size_t n)
{
	const u8 *p = s;
	u64 pattern = (u8)c * ONES;

	for (; n && (uintptr_t)p % 8; n--, p++)
		if (*p == (u8)c)
			return found_at(s, p);
	for (; n >= 8; n -= 8, p += 8) {
		u64 zeros = CW(p, 0) ^ pattern;

		zeros = ZERO_BYTES(zeros);
		if (zeros)
			return found_at(s, p + ctz64(zeros) / 8);
	}
	for (; n; n--, p++)
		if (*p == (u8)c)
			return found_at(s, p);
	kasan_check_read(s, (size_t)(p - (const u8 *)s));
	return NULL;
}

/* What looks for damage looks at poison too. */
__attribute__((no_sanitize("address")))
void *memchr_inv(const void *s, int c, size_t n)
{
	const u8 *p = s;
	u64 pattern = (u8)c * ONES;

	for (; n >= 8; n -= 8, p += 8) {
		u64 diff = CW(p, 0) ^ pattern;

		if (diff)
			return (void *)(uintptr_t)(p + ctz64(diff) / 8);
	}
	for (; n; n--, p++)
		if (*p != (u8)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

void memzero_explicit(void *s, size_t n)
{
	volatile u8 *p = s;

	while (n--)
		*p++ = 0;
}

int memcmp_consttime(const void *a, const void *b, size_t n)
{
	const volatile u8 *x = a, *y = b;
	u8 diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff;
}

static __always_inline size_t length_of(const char *s, size_t n)
{
	kasan_check_read(s, n + 1);
	return n;
}

__attribute__((no_sanitize("address")))
size_t strlen(const char *s)
{
	const char *p = s;
	const word_t *w;
	u64 zeros;

	for (; (uintptr_t)p % 8; p++)
		if (!*p)
			return length_of(s, (size_t)(p - s));
	for (w = (const word_t *)(const void *)p; !(zeros = ZERO_BYTES(*w)); w++)
		;
	return length_of(s, (size_t)((const char *)w - s) + ctz64(zeros) / 8);
}

size_t strnlen(const char *s, size_t max)
{
	const char *end = memchr(s, 0, max);

	return end ? (size_t)(end - s) : max;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; a++, b++, n--)
		;
	return n ? (u8)*a - (u8)*b : 0;
}

char *strchrnul(const char *s, int c)
{
	for (; *s && *s != (char)c; s++)
		;
	return (char *)(uintptr_t)s;
}

char *strchr(const char *s, int c)
{
	char *p = strchrnul(s, c);

	return *p == (char)c ? p : NULL;
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	do {
		if (*s == (char)c)
			found = s;
	} while (*s++);
	return (char *)(uintptr_t)found;
}

char *strstr(const char *s, const char *needle)
{
	size_t n = strlen(needle);

	if (!n)
		return (char *)(uintptr_t)s;
	for (; (s = strchrnul(s, *needle)), *s; s++)
		if (strncmp(s, needle, n) == 0)
			return (char *)(uintptr_t)s;
	return NULL;
}

size_t strspn(const char *s, const char *accept)
{
	size_t n = 0;

	while (s[n] && strchr(accept, s[n]))
		n++;
	return n;
}

size_t strcspn(const char *s, const char *reject)
{
	size_t n = 0;

	while (s[n] && !strchr(reject, s[n]))
		n++;
	return n;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = MIN(len, size - 1);

		memcpy(dst, src, n);
		dst[n] = 0;
	}
	return len;
}

size_t strlcat(char *dst, const char *src, size_t size)
{
	size_t used = strnlen(dst, size);

	return used + strlcpy(dst + used, src, size - used);
}

ssize_t strscpy(char *dst, const char *src, size_t size)
{
	size_t len = strnlen(src, size);

	if (!size)
		return -E2BIG;
	if (len < size) {
		memcpy(dst, src, len + 1);
		return (ssize_t)len;
	}
	memcpy(dst, src, size - 1);
	dst[size - 1] = 0;
	return -E2BIG;
}

bool str_has_prefix(const char *s, const char *prefix)
{
	for (; *prefix; s++, prefix++)
		if (*s != *prefix)
			return false;
	return true;
}
