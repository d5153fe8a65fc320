/* SPDX-License-Identifier: MIT */
/* Archives made here, by the words of the format, and what the parser must say. */
#include <lib/cpio.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#include "framework.h"

static u8 archive[65536];
static size_t len;
static char seen[2048];
static size_t seen_len;
static int live, fail_alloc, refuse_entry;
static struct cpio_error why;

struct spec {
	const char *magic, *name, *data;
	u32 mode, ino, nlink;
	int check;
};

static void pad(void)
{
	while (len % 4)
		archive[len++] = 0;
}

static void add_spec(struct spec s)
{
	size_t size = s.data ? strlen(s.data) : 0, name = strlen(s.name) + 1;

	len += (size_t)snprintf((char *)archive + len, 200,
				"%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
				s.magic ? s.magic : "070701", s.ino, s.mode, 1000, 100, s.nlink ? s.nlink : 1,
				0x5f000000, (u32)size, 8, 1, 4, 64, (u32)name, s.check);
	memcpy(archive + len, s.name, name);
	len += name;
	pad();
	if (size)
		memcpy(archive + len, s.data, size);
	len += size;
	pad();
}

#define ADD(...) add_spec((struct spec){ __VA_ARGS__ })
#define TRAILER() ADD(.name = "TRAILER!!!")

static int on_entry(void *ctx, const struct cpio_entry *e)
{
	(void)ctx;
	EXPECT_EQ(e->name_len, strlen(e->name));
	EXPECT_EQ(e->uid, 1000);
	EXPECT_EQ(e->gid, 100);
	EXPECT_EQ(e->mtime, 0x5f000000);
	EXPECT_EQ(e->rdev_major, 4);
	EXPECT_EQ(e->rdev_minor, 64);
	seen_len += (size_t)scnprintf(seen + seen_len, sizeof(seen) - seen_len, "%s:%o:%.*s%s%s ", e->name,
				      e->mode, (int)e->size, (const char *)e->data, e->link_to ? "=" : "",
				      e->link_to ? e->link_to : "");
	return refuse_entry && --refuse_entry == 0 ? -EACCES : 0;
}

static void *on_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	if (fail_alloc)
		return NULL;
	live++;
	return host_alloc(bytes);
}

static void on_free(void *ctx, void *p)
{
	(void)ctx;
	live--;
	host_free(p);
}

static int parse(void)
{
	static const struct cpio_ops ops = { on_entry, on_alloc, on_free };
	u8 *exact = host_alloc(len ? len : 1);
	int err;

	memcpy(exact, archive, len);
	seen_len = 0;
	seen[0] = 0;
	err = cpio_parse(exact, len, &ops, NULL, &why);
	host_free(exact);
	EXPECT_EQ(live, 0);
	return err;
}

TEST(cpio_entries)
{
	len = 0;
	ADD(.name = "d", .mode = 040755);
	ADD(.name = "d/f", .mode = 0100644, .data = "hello");
	ADD(.name = "l", .mode = 0120777, .data = "d/f");
	ADD(.name = "c", .mode = 020600);
	TRAILER();
	EXPECT_EQ(parse(), 0);
	EXPECT_STR(seen, "d:40755: d/f:100644:hello l:120777:d/f c:20600: ");
	len = 0;
	EXPECT_EQ(parse(), 0);
}

TEST(cpio_concatenated_and_padded)
{
	len = 0;
	ADD(.name = "a", .mode = 0100600, .data = "1");
	TRAILER();
	memset(archive + len, 0, 600);
	len += 600;
	ADD(.name = "b", .mode = 0100600, .data = "2");
	/* No trailer: the next archive starts at once. */
	ADD(.name = "a", .mode = 0100600, .data = "3");
	TRAILER();
	memset(archive + len, 0, 5);
	len += 5;
	EXPECT_EQ(parse(), 0);
	EXPECT_STR(seen, "a:100600:1 b:100600:2 a:100600:3 ");
	EXPECT_EQ(why.archive, 2);
}

TEST(cpio_hard_links)
{
	len = 0;
	ADD(.name = "one", .mode = 0100755, .ino = 7, .nlink = 3);
	ADD(.name = "other", .mode = 0100755, .ino = 8, .nlink = 2, .data = "o");
	ADD(.name = "two", .mode = 0100755, .ino = 7, .nlink = 3);
	ADD(.name = "three", .mode = 0100755, .ino = 7, .nlink = 3, .data = "data");
	ADD(.name = "dir", .mode = 040755, .ino = 7, .nlink = 3);
	ADD(.name = "dev", .mode = 020600, .ino = 7, .nlink = 2);
	TRAILER();
	ADD(.name = "again", .mode = 0100755, .ino = 7, .nlink = 2);
	TRAILER();
	EXPECT_EQ(parse(), 0);
	EXPECT_STR(seen, "one:100755: other:100755:o two:100755:=one three:100755:data=one dir:40755: "
			 "dev:20600: again:100755: ");
	fail_alloc = 1;
	EXPECT_EQ(parse(), -ENOMEM);
	fail_alloc = 0;
	refuse_entry = 3;
	EXPECT_EQ(parse(), -EACCES);
	refuse_entry = 0;
}

TEST(cpio_checksums)
{
	len = 0;
	ADD(.magic = "070702", .name = "f", .mode = 0100644, .data = "AB", .check = 'A' + 'B');
	TRAILER();
	EXPECT_EQ(parse(), 0);
	EXPECT_STR(seen, "f:100644:AB ");
	len = 0;
	ADD(.magic = "070702", .name = "f", .mode = 0100644, .data = "AB", .check = 1);
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT(strstr(why.what, "checksum") != NULL);
}

TEST(cpio_compressed_is_named)
{
	static const struct {
		const char *magic, *name;
	} kinds[] = {
		{ "\x1f\x8b\x08", "gzip" }, { "BZh9", "bzip2" }, { "\x5d\0\0", "lzma" }, { "\xfd" "7zX", "xz" },
		{ "\x89LZO", "lzo" }, { "\x02\x21\x4c", "lz4" }, { "\x28\xb5\x2f\xfd", "zstd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		len = 0;
		ADD(.name = "f", .mode = 0100644);
		TRAILER();
		memset(archive + len, 0, 64);
		len += 64;
		memcpy(archive + len, kinds[i].magic, 3);
		len += 3;
		EXPECT_EQ(parse(), -EOPNOTSUPP);
		EXPECT(str_has_prefix(why.what, kinds[i].name));
		EXPECT_EQ(why.offset, len - 3);
		EXPECT_STR(seen, "f:100644: ");
		EXPECT_STR(cpio_compression(archive + len - 3, 3), kinds[i].name);
	}
}

TEST(cpio_damaged)
{
	size_t whole;

	len = 0;
	ADD(.name = "f", .mode = 0100644, .data = "0123456789");
	ADD(.name = "g", .mode = 0100644, .data = "0123456789");
	whole = len;
	/* Cut off anywhere but between entries and inside the last padding. */
	for (len = 1; len < whole; len++) {
		int err = parse();
		bool between = len == whole / 2 || len >= whole - 2 || (len >= whole / 2 - 2 && len <= whole / 2);

		EXPECT_EQ(err, between ? 0 : -EINVAL);
		EXPECT_EQ(why.what == NULL, between);
	}
	len = whole;
	archive[whole / 2 + 20] = 'g';
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT_EQ(why.offset, whole / 2 + 20);
	EXPECT_EQ(why.archive, 1);
	EXPECT_EQ(why.entry, 1);
	archive[whole / 2 + 20] = '0';
	archive[whole / 2 + 4] = '9';
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT(strstr(why.what, "magic") != NULL);
	memcpy(archive + whole / 2, "070707", 6);
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT(strstr(why.what, "newc") != NULL);
	memcpy(archive + whole / 2, "hello!", 6);
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT_EQ(why.offset, whole / 2);
	/* A name whose NUL is missing. */
	len = 0;
	ADD(.name = "name", .mode = 0100644, .data = "x");
	memset(archive + 110, 'n', 5);
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT(strstr(why.what, "name") != NULL);
	/* An entry that is not on 4 bytes. */
	len = 0;
	ADD(.name = "f", .mode = 0100644);
	archive[len++] = 0;
	archive[len++] = '0';
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT(strstr(why.what, "aligned") != NULL);
}

/* What Linux passes over: no name, a name or a target too long, data of a directory. */
TEST(cpio_skipped)
{
	static char name[5000];

	memset(name, 'n', sizeof(name) - 1);
	len = 0;
	ADD(.name = name, .mode = 0100644, .data = "x");
	ADD(.name = "l", .mode = 0120777, .data = name);
	ADD(.name = "d", .mode = 040755, .data = "junk");
	ADD(.name = "f", .mode = 0100644, .data = "x");
	EXPECT_EQ(parse(), 0);
	EXPECT_STR(seen, "f:100644:x ");
}
