/* SPDX-License-Identifier: MIT */
/* Our printf against libc's: every flag, width, precision and length, many values. */
#include <lib/printf.h>
#include <lib/string.h>

#include "framework.h"

static void compare(const char *fmt, ...) __printf(1, 2);

static void compare(const char *fmt, ...)
{
	char ours[256], theirs[256];
	va_list ap;
	size_t size = random_below(3) ? sizeof(ours) : random_below(12);
	int n, m;

	host_memset(ours, 'u', sizeof(ours));
	host_memset(theirs, 'u', sizeof(theirs));
	va_start(ap, fmt);
	n = vsnprintf(ours, size, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	m = host_vsnprintf(theirs, size, fmt, ap);
	va_end(ap);
	if (n != m || host_memcmp(ours, theirs, sizeof(ours)) != 0)
		test_fail(__FILE__, __LINE__, "\"%s\": %d \"%.40s\", libc says %d \"%.40s\"", fmt, n, ours, m,
			  theirs);
}

static const u64 values[] = {
	0, 1, 7, 8, 9, 10, 99, 100, 127, 128, 255, 256, 4095, 65535, 65536, 999999999, 1000000000,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 4294967295999, 0x7fffffffffffffff,
	0x8000000000000000, 0xffffffffffffffff, 0xffffffffffffff80,
};

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static void compare_value(const char *fmt, const char *length, u64 v)
{
	if (length[0] == 'l' || length[0] == 'z' || length[0] == 'j' || length[0] == 't')
		compare(fmt, v);
	else
		compare(fmt, (unsigned int)v);
}

TEST(integers_like_libc)
{
	static const char *lengths[] = { "", "hh", "h", "l", "ll", "z", "j", "t" };
	static const char conversions[] = "diuxXo";
	static const char *widths[] = { "", "1", "5", "20" }, *precisions[] = { "", ".", ".0", ".3", ".25" };
	char fmt[32];

	for (unsigned int flags = 0; flags < 32 && !test_failed(); flags++) {
		for (unsigned int k = 0; k < ARRAY_SIZE(lengths) * 6 * 4 * 5; k++) {
			const char *length = lengths[k % ARRAY_SIZE(lengths)];
			unsigned int rest = k / ARRAY_SIZE(lengths);
			char *p = fmt;

			*p++ = '%';
			for (int f = 0; f < 5; f++)
				if (flags >> f & 1)
					*p++ = "-+ #0"[f];
			p += strlcpy(p, widths[rest / 6 % 4], 4);
			p += strlcpy(p, precisions[rest / 24], 5);
			p += strlcpy(p, length, 4);
			*p++ = conversions[rest % 6];
			*p = 0;
			compare_value(fmt, length, values[random_below(ARRAY_SIZE(values))]);
			compare_value(fmt, length, random_u64() >> random_below(64));
		}
	}
}

TEST(all_values_all_bases)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		compare("%llu|%lld|%llx|%llo", (unsigned long long)values[i], (long long)values[i],
			(unsigned long long)values[i], (unsigned long long)values[i]);
		compare("%u|%d|%#x|%#o", (u32)values[i], (int)values[i], (u32)values[i], (u32)values[i]);
	}
}

TEST(strings_like_libc)
{
	for (int i = 0; i < 200; i++) {
		compare("[%s]", "hello");
		compare("[%10s][%-10s]", "hello", "x");
		compare("[%.2s][%.0s][%10.3s]", "hello", "hello", "hello");
		compare("[%*.*s]", i % 20 - 10, i % 7 - 2, "abcdef");
		compare("[%c%5c%-5c]", 'a', 'b', 'c');
		compare("100%% of %s", "it");
		compare("[%*d]", i % 30 - 15, 42);
		compare("[%0*d]", i % 30, -42);
	}
}

TEST(truncation)
{
	char buf[8];

	EXPECT_EQ(snprintf(buf, sizeof(buf), "%s", "0123456789"), 10);
	EXPECT_STR(buf, "0123456");
	EXPECT_EQ(scnprintf(buf, sizeof(buf), "%s", "0123456789"), 7);
	EXPECT_EQ(scnprintf(buf, 0, "%s", "0123456789"), 0);
	EXPECT_EQ(snprintf(NULL, 0, "%d", 12345), 5);
	EXPECT_EQ(snprintf(buf, 1, "%d", 12345), 5);
	EXPECT_STR(buf, "");
}

static size_t fake_symbol(u64 addr, char *buf, size_t size)
{
	return addr == 0x1234 ? strlcpy(buf, "start+0x4/0x20", size) : 0;
}

TEST(beyond_c)
{
	static const char *volatile bad = "a%qb %d", *volatile null_text = "%s %.3s.";
	char buf[64];

	snprintf(buf, sizeof(buf), "%p %p", NULL, (void *)0xffff800000001000);
	EXPECT_STR(buf, "0x0 0xffff800000001000");
	snprintf(buf, sizeof(buf), null_text, (char *)NULL, (char *)NULL);
	EXPECT_STR(buf, "(null) .");
	printf_symbol_hook = fake_symbol;
	snprintf(buf, sizeof(buf), "<%pS> <%pS>", (void *)0x1234, (void *)0x99);
	EXPECT_STR(buf, "<start+0x4/0x20> <0x99>");
	snprintf(buf, sizeof(buf), "<%20pS>", (void *)0x1234);
	EXPECT_STR(buf, "<      start+0x4/0x20>");
	printf_symbol_hook = NULL;
	snprintf(buf, sizeof(buf), "<%pS>", (void *)0x1234);
	EXPECT_STR(buf, "<0x1234>");
	/* An unknown conversion ends the run: nothing behind it is converted. */
	snprintf(buf, sizeof(buf), bad, 1, 2);
	EXPECT_STR(buf, "a%qb %d");
}
