/* SPDX-License-Identifier: MIT */
#include <lib/string.h>

#include <kernel/core/cmdline.h>

#include "framework.h"

static void set(const char *s)
{
	cmdline_init(s, strlen(s));
}

TEST(cmdline_values)
{
	char buf[16];

	set("  console=tty1 quiet console=ttyS0,115200  empty= mem=512M n=0x20 on=yes \"path=a b\" q=\"c d\"e ");
	EXPECT(cmdline_has("quiet") && cmdline_has("console") && !cmdline_has("quie") && !cmdline_has("quietly"));
	EXPECT(cmdline_find("console", buf, sizeof(buf)));
	EXPECT_STR(buf, "ttyS0,115200");
	EXPECT(cmdline_find_nth("console", 0, buf, sizeof(buf)));
	EXPECT_STR(buf, "tty1");
	EXPECT(!cmdline_find_nth("console", 2, buf, sizeof(buf)));
	EXPECT(cmdline_find("empty", buf, sizeof(buf)));
	EXPECT_STR(buf, "");
	EXPECT(!cmdline_find("quiet", buf, sizeof(buf)));
	EXPECT(!cmdline_find("nothing", buf, sizeof(buf)));
	EXPECT_EQ(cmdline_u64("mem", 1), 512 * MIB);
	EXPECT_EQ(cmdline_u64("n", 1), 32);
	EXPECT_EQ(cmdline_u64("console", 7), 7);
	EXPECT(cmdline_bool("on", false) && cmdline_bool("quiet", false) && cmdline_bool("absent", true));
	EXPECT(cmdline_find("q", buf, sizeof(buf)));
	EXPECT_STR(buf, "c de");
	EXPECT(!cmdline_find("console", buf, 5));
}

TEST(cmdline_init_words)
{
	char buf[16];
	size_t pos = 0;

	set("root=/dev/ram0 -- single \"two words\" --");
	EXPECT(cmdline_init_arg(0, buf, sizeof(buf)));
	EXPECT_STR(buf, "single");
	EXPECT(cmdline_init_arg(1, buf, sizeof(buf)));
	EXPECT_STR(buf, "two words");
	EXPECT(cmdline_init_arg(2, buf, sizeof(buf)));
	EXPECT(!cmdline_init_arg(3, buf, sizeof(buf)));
	EXPECT(!cmdline_has("single"));
	EXPECT(cmdline_next_word(&pos, buf, sizeof(buf)));
	EXPECT_STR(buf, "root=/dev/ram0");
	EXPECT(!cmdline_next_word(&pos, buf, sizeof(buf)));
	set("");
	EXPECT(!cmdline_init_arg(0, buf, sizeof(buf)) && !cmdline_has(""));
	EXPECT_STR(cmdline_raw(), "");
}

TEST(cmdline_too_long)
{
	static char text[2 * CMDLINE_MAX];

	memset(text, 'x', sizeof(text));
	cmdline_init(text, sizeof(text));
	EXPECT_EQ(strlen(cmdline_raw()), CMDLINE_MAX - 1);
	cmdline_init("a\0b", 3);
	EXPECT_STR(cmdline_raw(), "a");
}

/* Any text: no read leaves the copy, every question gets an answer. */
TEST(cmdline_any_text)
{
	static const char letters[] = "ab= \"-\t";
	char text[60], buf[8];

	for (unsigned int i = 0; i < test_rounds(20000); i++) {
		size_t n = random_below(sizeof(text)), pos = 0, words = 0;

		for (size_t k = 0; k < n; k++)
			text[k] = letters[random_below(sizeof(letters) - 1)];
		cmdline_init(text, n);
		cmdline_has("a");
		cmdline_has("");
		cmdline_u64("b", 0);
		cmdline_bool("ab", true);
		for (u32 k = 0; k < 3; k++) {
			cmdline_find_nth("a", k, buf, random_below(sizeof(buf) + 1));
			cmdline_init_arg(k, buf, random_below(sizeof(buf) + 1));
		}
		while (cmdline_next_word(&pos, buf, sizeof(buf)) && words++ < 100)
			EXPECT(pos <= n);
		EXPECT(words < 100);
	}
}
