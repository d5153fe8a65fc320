/* SPDX-License-Identifier: MIT */
#include <lib/errno.h>
#include <lib/string.h>

#include "framework.h"

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

/* Every length to 200 at every alignment, in buffers with red zones round them. */
TEST(memcpy_memset_all_lengths)
{
	for (size_t n = 0; n <= 200; n++) {
		for (size_t align = 0; align < 8; align++) {
			u8 *src = host_alloc(n + align), *dst = host_alloc(n + align);
			u8 *want = host_alloc(n + align + 1);

			random_fill(src, n + align);
			EXPECT(memcpy(dst + align, src + align, n) == dst + align);
			EXPECT(host_memcmp(dst + align, src + align, n) == 0);
			EXPECT(memset(dst + align, (int)n * 7, n) == dst + align);
			host_memset(want, (int)n * 7, n);
			EXPECT(host_memcmp(dst + align, want, n) == 0);
			host_free(src);
			host_free(dst);
			host_free(want);
		}
	}
}

TEST(memmove_overlaps)
{
	u8 ours[400], theirs[400];

	for (unsigned int i = 0; i < test_rounds(20000) && !test_failed(); i++) {
		size_t n = random_below(180), from = random_below(200), to = random_below(200);

		random_fill(ours, sizeof(ours));
		host_memmove(theirs, ours, sizeof(ours));
		memmove(ours + to, ours + from, n);
		host_memmove(theirs + to, theirs + from, n);
		EXPECT(host_memcmp(ours, theirs, sizeof(ours)) == 0);
	}
}

TEST(memcmp_memchr)
{
	u8 a[64], b[64];

	for (unsigned int i = 0; i < test_rounds(20000) && !test_failed(); i++) {
		size_t n = random_below(sizeof(a) + 1), k;
		u8 *found, c = (u8)random_below(4);

		for (k = 0; k < sizeof(a); k++)
			a[k] = b[k] = (u8)random_below(64);
		if (n)
			b[random_below(n)] = (u8)random_u64();
		EXPECT_EQ(sign(memcmp(a, b, n)), sign(host_memcmp(a, b, n)));
		EXPECT_EQ(memcmp_consttime(a, b, n) != 0, host_memcmp(a, b, n) != 0);
		for (k = 0; k < n && a[k] != c; k++)
			;
		found = memchr(a, c, n);
		EXPECT(found == (k < n ? a + k : NULL));
		memset(a, c, sizeof(a));
		EXPECT(memchr_inv(a, c, n) == NULL);
		k = random_below(sizeof(a));
		a[k] ^= 0x40;
		EXPECT(memchr_inv(a, c, n) == (k < n ? a + k : NULL));
	}
}

TEST(strlen_at_every_alignment)
{
	for (size_t n = 0; n < 70; n++) {
		for (size_t align = 0; align < 8; align++) {
			char *s = host_alloc(n + align + 1);

			host_memset(s, 0xfe, n + align);
			s[n + align] = 0;
			EXPECT_EQ(strlen(s + align), n);
			EXPECT_EQ(strnlen(s + align, n + 1), n);
			EXPECT_EQ(strnlen(s + align, n / 2), n / 2);
			host_free(s);
		}
	}
}

TEST(comparison_and_search)
{
	char a[16], b[16];

	for (unsigned int i = 0; i < test_rounds(20000) && !test_failed(); i++) {
		size_t n = random_below(18);

		for (size_t k = 0; k < 16; k++) {
			a[k] = (char)(random_below(8) ? 0xc0 + random_below(2) : 0);
			b[k] = (char)(random_below(8) ? 0xc0 + random_below(2) : 0);
		}
		a[15] = b[15] = 0;
		EXPECT_EQ(sign(strcmp(a, b)), sign(host_strcmp(a, b)));
		EXPECT_EQ(sign(strncmp(a, b, n)), sign(host_strncmp(a, b, n)));
		EXPECT(strstr(a, b) == host_strstr(a, b));
		EXPECT(strrchr(a, 0xc1) == host_strrchr(a, 0xc1));
	}
	EXPECT(strchr("abc", 0) && !*strchr("abc", 0));
	EXPECT(strchr("abc", 'x') == NULL);
	EXPECT(*strchrnul("abc", 'x') == 0);
	EXPECT_EQ(strspn("aabbc", "ab"), 4);
	EXPECT_EQ(strcspn("xyz=1", "=:"), 3);
	EXPECT(str_has_prefix("console=ttyS0", "console="));
	EXPECT(!str_has_prefix("con", "console"));
}

TEST(bounded_copies)
{
	char buf[8];

	EXPECT_EQ(strlcpy(buf, "0123456789", sizeof(buf)), 10);
	EXPECT_STR(buf, "0123456");
	EXPECT_EQ(strlcpy(buf, "ab", sizeof(buf)), 2);
	EXPECT_EQ(strlcat(buf, "cdefghi", sizeof(buf)), 9);
	EXPECT_STR(buf, "abcdefg");
	EXPECT_EQ(strscpy(buf, "1234567", sizeof(buf)), 7);
	EXPECT_STR(buf, "1234567");
	EXPECT_EQ(strscpy(buf, "12345678", sizeof(buf)), -E2BIG);
	EXPECT_STR(buf, "1234567");
	EXPECT_EQ(strscpy(buf, "1", 0), -E2BIG);
}

TEST(parse_numbers)
{
	static const struct {
		const char *text;
		int base, err;
		u64 value;
	} cases[] = {
		{ "0", 10, 0, 0 }, { "18446744073709551615", 10, 0, UINT64_MAX },
		{ "18446744073709551616", 10, -ERANGE, 0 }, { "99999999999999999999999", 10, -ERANGE, 0 },
		{ "", 10, -EINVAL, 0 }, { "12x", 10, -EINVAL, 0 }, { "-1", 10, -EINVAL, 0 },
		{ " 1", 10, -EINVAL, 0 }, { "0x1F", 0, 0, 31 }, { "0x1f", 16, 0, 31 }, { "1f", 16, 0, 31 },
		{ "0x", 0, -EINVAL, 0 }, { "017", 0, 0, 15 }, { "08", 0, -EINVAL, 0 }, { "zz", 36, 0, 1295 },
		{ "ffffffffffffffff", 16, 0, UINT64_MAX }, { "10000000000000000", 16, -ERANGE, 0 },
	};
	const char *end;
	u64 v;
	s64 sv;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		v = 0;
		EXPECT_EQ(parse_u64(cases[i].text, cases[i].base, &v, NULL), cases[i].err);
		EXPECT_EQ(v, cases[i].value);
	}
	EXPECT_EQ(parse_u64("42,43", 10, &v, &end), 0);
	EXPECT_EQ(v, 42);
	EXPECT_STR(end, ",43");
	EXPECT_EQ(parse_s64("-9223372036854775808", 10, &sv, NULL), 0);
	EXPECT_EQ(sv, INT64_MIN);
	EXPECT_EQ(parse_s64("9223372036854775808", 10, &sv, NULL), -ERANGE);
	EXPECT_EQ(parse_s64("-9223372036854775809", 10, &sv, NULL), -ERANGE);
	EXPECT_EQ(parse_s64("--1", 10, &sv, NULL), -EINVAL);
	EXPECT_EQ(parse_size("512M", &v, NULL), 0);
	EXPECT_EQ(v, 512 * MIB);
	EXPECT_EQ(parse_size("0x10k", &v, &end), 0);
	EXPECT_EQ(v, 16 * KIB);
	EXPECT_EQ(parse_size("16777216T", &v, NULL), -ERANGE);
	EXPECT_EQ(parse_size("1MB", &v, NULL), -EINVAL);
}
