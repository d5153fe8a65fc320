/* SPDX-License-Identifier: MIT */
/* boot.conf, the command line, paths, and the loader's small helpers. */
#include "framework.h"

#include <stdarg.h>

#include "config.h"

static struct config config;

static const char *parse(const char *text)
{
	struct load_error error = { "accepted", NULL, 0 };

	config_parse(text, str_length(text), &config, &error);
	return error.what;
}

static unsigned error_line(const char *text)
{
	struct load_error error = { "accepted", NULL, 0 };

	config_parse(text, str_length(text), &config, &error);
	return (unsigned)error.where;
}

TEST(config_of_the_image)
{
	EXPECT_STR(parse("# comment\n\ndefault Two words\r\ntimeout 3\n"
			 "title One\nlinux /a\ninitrd /b\n\n"
			 "title\tTwo words  \nlinux   /k.elf\ninitrd /i1\ninitrd \\i2\noptions a b\noptions  c \n"),
		   "accepted");
	EXPECT_EQ(config.entry_count, 2);
	EXPECT_EQ(config.chosen, 1);
	EXPECT_EQ(config.timeout_s, 3);
	EXPECT_EQ(config.entries[1].initrd_count, 2);
	EXPECT(span_equal(config.entries[1].initrds[1], "\\i2"));
	EXPECT(span_equal(config.entries[1].kernel, "/k.elf"));
	EXPECT(span_equal(config.entries[1].options[1], "c"));
}

TEST(config_default)
{
	EXPECT_STR(parse("title a\nlinux /a\ntitle b\nlinux /b"), "accepted");
	EXPECT_EQ(config.chosen, 0);
	EXPECT_STR(parse("default 2\ntitle a\nlinux /a\ntitle b\nlinux /b"), "accepted");
	EXPECT_EQ(config.chosen, 1);
	EXPECT_STR(parse("default 3\ntitle a\nlinux /a\ntitle b\nlinux /b"), "`default` names no entry");
	EXPECT_STR(parse("default 0\ntitle a\nlinux /a"), "`default` names no entry");
	EXPECT_STR(parse("default c\ntitle a\nlinux /a"), "`default` names no entry");
}

TEST(config_refusals)
{
	EXPECT_STR(parse(""), "no `title` line, nothing to boot");
	EXPECT_STR(parse("linux /a\n"), "a line of an entry before the first `title`");
	EXPECT_STR(parse("title a\n"), "this entry has no `linux` line");
	EXPECT_STR(parse("title a\ntitle b\nlinux /b\n"), "this entry has no `linux` line");
	EXPECT_STR(parse("title a\nlinux /a\nlinux /b\n"), "a second `linux` line in one entry");
	EXPECT_STR(parse("title a\nlinux\n"), "a path is missing");
	EXPECT_STR(parse("title\nlinux /a"), "a title without a text");
	EXPECT_STR(parse("timeout never\ntitle a\nlinux /a"), "timeout wants seconds, 0 to 3600");
	EXPECT_STR(parse("timeout 3601\ntitle a\nlinux /a"), "timeout wants seconds, 0 to 3600");
	EXPECT_STR(parse("title a\nlinux /a\ntimeout 3"), "a global line after the first `title`");
	EXPECT_STR(parse("title a\nlinux /a\noptions \033[2J"), "control characters; is it a text file?");
	EXPECT_EQ(error_line("title a\n\n# x\nlinux\n"), 4);
	EXPECT_STR(parse("title a\nlinux /\xff\n"), "a path that is too long or not UTF-8");
}

TEST(config_unknown_keys_are_counted)
{
	EXPECT_STR(parse("title a\nversion 6\nlinux /a\nfrobnicate 3\ncolour red\nsort-key x\n"), "accepted");
	EXPECT_EQ(config.unknown_keys, 2);
	EXPECT_EQ(config.unknown_line, 4);
}

TEST(command_line)
{
	char line[16];

	parse("title a\nlinux /a\noptions x y\noptions\noptions z\n");
	EXPECT_EQ(config_command_line(&config.entries[0], NULL, line, sizeof(line)), 5);
	EXPECT_STR(line, "x y z");
	EXPECT_EQ(config_command_line(&config.entries[0], "extra", line, sizeof(line)), 11);
	EXPECT_STR(line, "x y z extra");
	EXPECT_EQ(config_command_line(&config.entries[0], "much too long", line, sizeof(line)), -1);
	EXPECT_EQ(config_command_line(&config.entries[0], "", line, 5), -1);
	EXPECT_EQ(config_command_line(&config.entries[0], "", line, 6), 5);
}

TEST(command_line_words)
{
	EXPECT(command_line_has("nokaslr", "nokaslr"));
	EXPECT(command_line_has("a  nokaslr b", "nokaslr"));
	EXPECT(!command_line_has("nokaslr=1 xnokaslr nokaslrx", "nokaslr"));
	EXPECT(!command_line_has("a -- nokaslr", "nokaslr"));
	EXPECT(!command_line_has("", "nokaslr"));
}

static const char *options_text(const char *ascii, size_t extra_byte)
{
	static char text[32];
	uint16_t units[64];
	size_t n = 0;

	for (; ascii[n]; n++)
		units[n] = (uint16_t)(unsigned char)ascii[n];
	load_options_to_text(units, 2 * n + extra_byte, text, sizeof(text));
	return text;
}

TEST(load_options)
{
	EXPECT_STR(options_text("panic=halt", 0), "panic=halt");
	EXPECT_STR(options_text("fs0:\\EFI\\BOOT\\BOOTX64.EFI  a b", 0), "a b");
	EXPECT_STR(options_text("\\BOOTX64.efi  a b", 0), "a b");
	EXPECT_STR(options_text("BOOTX64.EFI", 0), "");
	EXPECT_STR(options_text("binary\001data", 0), "");
	EXPECT_STR(options_text("x", 1), "x");
	EXPECT_STR(options_text("", 0), "");
}

TEST(paths)
{
	uint16_t path[CONFIG_PATH_MAX + 2];
	char longest[300];

	EXPECT_EQ(config_path_to_ucs2((struct span){ "//a/b\\c", 7 }, path), 0);
	EXPECT_EQ(path[0], '\\');
	EXPECT_EQ(path[1], 'a');
	EXPECT_EQ(path[2], '\\');
	EXPECT_EQ(path[6], 0);
	EXPECT_EQ(config_path_to_ucs2((struct span){ "\xc3\xa4\xe2\x82\xac", 5 }, path), 0);
	EXPECT_EQ(path[1], 0xe4);
	EXPECT_EQ(path[2], 0x20ac);
	EXPECT_EQ(config_path_to_ucs2((struct span){ "\xc3", 1 }, path), -1);
	EXPECT_EQ(config_path_to_ucs2((struct span){ "\xed\xa0\x80", 3 }, path), -1);
	EXPECT_EQ(config_path_to_ucs2((struct span){ "\xc0\xaf", 2 }, path), -1);
	host_memset(longest, 'x', sizeof(longest));
	EXPECT_EQ(config_path_to_ucs2((struct span){ longest, CONFIG_PATH_MAX }, path), 0);
	EXPECT_EQ(config_path_to_ucs2((struct span){ longest, CONFIG_PATH_MAX + 1 }, path), -1);
}

TEST(numbers)
{
	uint64_t n = 0;

	EXPECT(span_to_number((struct span){ "0", 1 }, 0, &n));
	EXPECT(span_to_number((struct span){ "18446744073709551615", 20 }, ~0ull, &n));
	EXPECT(n == ~0ull);
	EXPECT(!span_to_number((struct span){ "18446744073709551616", 20 }, ~0ull, &n));
	EXPECT(!span_to_number((struct span){ "1x", 2 }, 100, &n));
	EXPECT(!span_to_number((struct span){ "", 0 }, 100, &n));
	EXPECT(!span_to_number((struct span){ "9", 1 }, 8, &n));
}

static const char *format(const char *fmt, ...)
{
	static char text[24];
	va_list args;

	va_start(args, fmt);
	text_format(text, sizeof(text), fmt, args);
	va_end(args);
	return text;
}

TEST(messages)
{
	struct span odd = { "a\033b", 3 };

	EXPECT_STR(format("%s %d %u%%", "x", -5, 7u), "x -5 7%");
	EXPECT_STR(format("%lx %lu", ~0ull, 12ull), "ffffffffffffffff 12");
	EXPECT_STR(format("%z|%c", &odd, 'c'), "a?b|c");
	EXPECT_STR(format("%s", "longer than the buffer is"), "longer than the buffer ");
	EXPECT_STR(format("cut %"), "cut ");
}
