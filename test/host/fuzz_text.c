/* SPDX-License-Identifier: MIT */
/* Any bytes as text: numbers, path components, printf's formats without arguments. */
#include <lib/errno.h>
#include <lib/hash.h>
#include <lib/printf.h>
#include <lib/string.h>

#include "framework.h"

const char fuzz_corpus[] = "text";
const unsigned int fuzz_rounds = 60000;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

/* Walks the text as a path, a component at a time, as the name look-up does. */
static void walk(const char *s, size_t n)
{
	size_t at = 0, len;

	while (at < n) {
		u64 h = hash_component(s + at, n - at, at, &len);

		check(at + len <= n && len <= n);
		check(h == hash_bytes(s + at, len, at));
		check(memchr(s + at, '/', len) == NULL && memchr(s + at, 0, len) == NULL);
		at += len + 1;
	}
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

void fuzz_one(const u8 *data, size_t n)
{
	char *s = host_alloc(n + 1), buf[64];
	const char *end;
	s64 sv;
	u64 v;
	int err;

	memcpy(s, data, n);
	s[n] = 0;
	walk(s, n);
	for (int base = 0; base <= 36; base += 4) {
		err = parse_u64(s, base, &v, &end);
		check(end >= s && end <= s + n && (!err || err == -EINVAL || err == -ERANGE));
		err = parse_s64(s, base, &sv, &end);
		check(end >= s && end <= s + n);
	}
	err = parse_size(s, &v, NULL);
	check(strlcpy(buf, s, sizeof(buf)) == strlen(s));
	strscpy(buf, s, sizeof(buf));
	/* Every conversion takes at most three integers; %s would take a wild pointer. */
	if (n < 40 && !strchr(s, 's') && !strchr(s, 'S'))
		err = snprintf(buf, 32, s, 1LL, 2LL, 3LL, 4LL, 5LL, 6LL, 7LL, 8LL, 9LL, 10LL, 11LL, 12LL, 13LL,
			       14LL, 15LL, 16LL, 17LL, 18LL, 19LL, 20LL, 21LL, 22LL, 23LL, 24LL, 25LL, 26LL,
			       27LL, 28LL, 29LL, 30LL, 31LL, 32LL, 33LL, 34LL, 35LL, 36LL, 37LL, 38LL, 39LL);
	host_free(s);
}
