/* SPDX-License-Identifier: MIT */
#ifndef LIB_STRING_H
#define LIB_STRING_H

/*
 * Strings and memory. The functions that C names behave as C says; the others
 * are described. memcpy, memmove, memset and memcmp here are weak, portable
 * versions, which the HAL replaces when the machine has better ones.
 */
#include <lib/compiler.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n) __pure;
void *memchr(const void *s, int c, size_t n) __pure;
/* The first byte in s that is not c, or NULL. */
void *memchr_inv(const void *s, int c, size_t n) __pure;
/* Clears secrets: is not removed even if nobody reads the memory again. */
void memzero_explicit(void *s, size_t n);
/* Compares in time that depends on n only. 0 when equal. */
int memcmp_consttime(const void *a, const void *b, size_t n);

size_t strlen(const char *s) __pure;
size_t strnlen(const char *s, size_t max) __pure;
int strcmp(const char *a, const char *b) __pure;
int strncmp(const char *a, const char *b, size_t n) __pure;
char *strchr(const char *s, int c) __pure;
char *strrchr(const char *s, int c) __pure;
char *strchrnul(const char *s, int c) __pure;
char *strstr(const char *s, const char *needle) __pure;
size_t strspn(const char *s, const char *accept) __pure;
size_t strcspn(const char *s, const char *reject) __pure;

/* Copies at most size - 1 bytes and a NUL; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);
/* Appends likewise; returns the length it tried to make. */
size_t strlcat(char *dst, const char *src, size_t size);
/*
 * Copies with a NUL, never reads src beyond size bytes. Returns the length
 * copied, or -E2BIG when it was cut (or size is 0).
 */
ssize_t strscpy(char *dst, const char *src, size_t size);

bool str_has_prefix(const char *s, const char *prefix) __pure;

#include <lib/kasan.h>	/* which code that is not looked at calls by other names */

static inline bool isdigit(int c)
{
	return c >= '0' && c <= '9';
}

static inline bool isupper(int c)
{
	return c >= 'A' && c <= 'Z';
}

static inline bool islower(int c)
{
	return c >= 'a' && c <= 'z';
}

static inline bool isalpha(int c)
{
	return isupper(c) || islower(c);
}

static inline bool isalnum(int c)
{
	return isalpha(c) || isdigit(c);
}

static inline bool isspace(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool isprint(int c)
{
	return c >= 0x20 && c < 0x7f;
}

static inline int tolower(int c)
{
	return isupper(c) ? c + ('a' - 'A') : c;
}

static inline int toupper(int c)
{
	return islower(c) ? c - ('a' - 'A') : c;
}

/* The value of a hexadecimal digit, or -1. */
static inline int hex_digit(int c)
{
	if (isdigit(c))
		return c - '0';
	c = tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Reads an unsigned number: base 2 to 36, or 0 for C's prefixes (0x, 0). No
 * blanks, no sign. Stores the value and, if end is not NULL, where it stopped;
 * with end NULL the string must end there. 0, -EINVAL (no digits, or rubbish
 * behind them) or -ERANGE.
 */
int __must_check parse_u64(const char *s, int base, u64 *val, const char **end);
/* The same with an optional leading - or +. */
int __must_check parse_s64(const char *s, int base, s64 *val, const char **end);
/* A size: a number with an optional K, M, G or T (powers of 1024). */
int __must_check parse_size(const char *s, u64 *val, const char **end);

#endif
