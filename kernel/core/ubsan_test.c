/* SPDX-License-Identifier: MIT */
/*
 * UBSAN's tests: each does one undefined thing and sees its report. What follows a captured report is what the machine
 * makes of it, so there is no division by zero here but in the death test, and unreachable code neither.
 */
#include <kernel/core/selftest.h>

#if HALCYON_UBSAN

static noinline u64 hide(u64 v)
{
	volatile u64 hidden = v;

	return hidden;
}

static void expect_one(const char *text)
{
	report_capture_end();
	EXPECT_REPORT(text);
	EXPECT_REPORT("ubsan_test.c:");
	EXPECT_REPORTS(1);
}

static u32 table[8];

SELFTEST(ubsan, index)
{
	volatile u32 v = 0;
	u64 i = hide(ARRAY_SIZE(table) - 1);

	report_capture_begin();
	v = table[i];
	report_capture_end();
	EXPECT_REPORTS(0);
	/* -1 as an index of u32: the address of the word before, which KASAN may speak about too. */
	report_capture_begin();
	v = table[hide(ARRAY_SIZE(table))];
	report_capture_end();
	EXPECT_REPORT("UBSAN: index 8 is out of bounds of 'u32 [8]'");
	(void)v;
}

SELFTEST(ubsan, shift)
{
	volatile u64 v;

	report_capture_begin();
	v = 1ull << hide(63);
	report_capture_end();
	EXPECT_REPORTS(0);
	report_capture_begin();
	v = 1ull << hide(64);
	expect_one("UBSAN: shift of 1 by 64 in type 'long long unsigned int'");
	report_capture_begin();
	v = 1u >> (int)hide(~0ull);
	expect_one("(negative)");
	(void)v;
}

SELFTEST(ubsan, bool_value)
{
	u8 byte = (u8)hide(2);
	volatile bool v;

	report_capture_begin();
	v = *(volatile bool *)(void *)&byte;
	expect_one("UBSAN: value 2 is none of type '_Bool'");
	(void)v;
}

SELFTEST(ubsan, pointer)
{
	const volatile u8 *volatile p = (const u8 *)table;

	report_capture_begin();
	p = p + hide(0x7000000000000000ull);
	expect_one("UBSAN: pointer arithmetic wraps");
}

SELFTEST(ubsan, builtin)
{
	volatile int v;

	report_capture_begin();
	v = __builtin_ctzll(hide(0));
	expect_one("UBSAN: __builtin_ctz of zero");
	(void)v;
}

DEATHTEST(ubsan_division, "UBSAN: division of 7 by 0")
{
	volatile u64 v = 7 / hide(0);

	(void)v;
}

DEATHTEST(ubsan_unreachable, "UBSAN: unreachable code was reached")
{
	if (hide(1))
		__builtin_unreachable();
}

#endif
