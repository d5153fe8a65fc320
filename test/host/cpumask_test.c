/* SPDX-License-Identifier: MIT */
/* Sets of CPUs as text: what Linux's bitmap_parse() and bitmap_parselist() take and refuse, and a round trip. */
#include <kernel/core/cpumask_text.h>
#include <lib/errno.h>
#include "framework.h"

static u64 low(const char *text, u32 nr, int want)
{
	struct cpumask m;

	EXPECT_EQ(cpumask_parse(text, nr, &m), want);
	return m.bits[0];
}

static u64 low_list(const char *text, u32 nr, int want)
{
	struct cpumask m;

	EXPECT_EQ(cpumask_parse_list(text, nr, &m), want);
	return m.bits[0];
}

TEST(cpumask_masks)
{
	struct cpumask m;

	EXPECT_EQ(low("f", 4, 0), 0xf);
	EXPECT_EQ(low("F\nzzz", 4, 0), 0xf);
	EXPECT_EQ(low("", 4, 0), 0);
	EXPECT_EQ(low(" 3 \n", 4, 0), 3);
	EXPECT_EQ(low("1,00000002", 64, 0), 0x100000002ull);
	EXPECT_EQ(low("1,2", 64, 0), 0x100000002ull);
	EXPECT_EQ(low("00000001", 4, 0), 1);
	low("10", 4, -EOVERFLOW);
	low("000000001", 64, -EOVERFLOW);
	low("0,00000001", 4, -EOVERFLOW);
	low("g", 4, -EINVAL);
	low("1x", 4, -EINVAL);
	low("-1", 4, -EINVAL);
	EXPECT_EQ(cpumask_parse("80000000,00000000,00000000,00000000,00000000,00000000,00000000,00000000,00000000,00000000,"
				"00000000,00000000,00000000,00000000,00000000,00000001", MAX_CPUS, &m), 0);
	EXPECT(cpumask_test(&m, 0) && cpumask_test(&m, 511));
	EXPECT_EQ(cpumask_weight(&m), 2);
}

TEST(cpumask_lists)
{
	EXPECT_EQ(low_list("0-3", 8, 0), 0xf);
	EXPECT_EQ(low_list("1,3\n", 8, 0), 0xa);
	EXPECT_EQ(low_list("", 8, 0), 0);
	EXPECT_EQ(low_list("N", 8, 0), 0x80);
	EXPECT_EQ(low_list("6-N", 8, 0), 0xc0);
	EXPECT_EQ(low_list("all", 8, 0), 0xff);
	EXPECT_EQ(low_list("all:1/2", 8, 0), 0x55);
	EXPECT_EQ(low_list("0-7:2/4", 8, 0), 0x33);
	EXPECT_EQ(low_list("0,,2, 4", 8, 0), 0x15);
	low_list("8", 8, -ERANGE);
	low_list("3-2", 8, -EINVAL);
	low_list("0-", 8, -EINVAL);
	low_list("-1", 8, -EINVAL);
	low_list("a", 8, -EINVAL);
	low_list("1a", 8, -EINVAL);
	low_list("0-3:1", 8, -EINVAL);
	low_list("0-3:2/1", 8, -EINVAL);
	low_list("0-3:0/0", 8, -EINVAL);
	low_list("99999999999", 8, -EOVERFLOW);
	low_list("allx", 8, -EINVAL);
}

TEST(cpumask_format)
{
	char text[CPULIST_TEXT_BYTES];
	struct cpumask m;

	cpumask_clear(&m);
	cpumask_format(text, sizeof(text), &m, 4);
	EXPECT_STR(text, "0");
	cpumask_format_list(text, sizeof(text), &m, 4);
	EXPECT_STR(text, "");
	cpumask_fill(&m);
	cpumask_format(text, sizeof(text), &m, 6);
	EXPECT_STR(text, "3f");
	cpumask_format(text, sizeof(text), &m, 33);
	EXPECT_STR(text, "1,ffffffff");
	cpumask_format_list(text, sizeof(text), &m, 33);
	EXPECT_STR(text, "0-32");
	cpumask_unset(&m, 1);
	cpumask_format_list(text, sizeof(text), &m, 4);
	EXPECT_STR(text, "0,2-3");
}

TEST(cpumask_round_trip)
{
	char text[CPULIST_TEXT_BYTES];

	for (u32 round = 0; round < test_rounds(300); round++) {
		u32 nr = 1 + (u32)random_below(MAX_CPUS);
		struct cpumask m, back;

		cpumask_clear(&m);
		for (u32 cpu = 0; cpu < nr; cpu++)
			if (random_below(2))
				cpumask_set(&m, cpu);
		EXPECT(cpumask_format(text, CPUMASK_TEXT_BYTES, &m, nr) < CPUMASK_TEXT_BYTES - 1);
		EXPECT_EQ(cpumask_parse(text, nr, &back), 0);
		EXPECT(cpumask_equal(&m, &back));
		EXPECT(cpumask_format_list(text, sizeof(text), &m, nr) < sizeof(text) - 1);
		EXPECT_EQ(cpumask_parse_list(text, nr, &back), 0);
		EXPECT(cpumask_equal(&m, &back));
	}
}

/* Whatever bytes come: an answer, and no CPU at or above nr. */
TEST(cpumask_hostile)
{
	static const char letters[] = "0123456789abcdef,-:/ \n\tNallx";
	char text[24];

	for (u32 round = 0; round < test_rounds(20000); round++) {
		u32 n = (u32)random_below(sizeof(text)), nr = 1 + (u32)random_below(70);
		struct cpumask m;

		for (u32 i = 0; i < n; i++)
			text[i] = letters[random_below(sizeof(letters) - 1)];
		text[n] = '\0';
		if (cpumask_parse(text, nr, &m) == 0)
			EXPECT(cpumask_next(&m, nr) == MAX_CPUS);
		if (cpumask_parse_list(text, nr, &m) == 0)
			EXPECT(cpumask_next(&m, nr) == MAX_CPUS);
	}
}
