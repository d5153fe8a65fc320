/* SPDX-License-Identifier: MIT */
/*
 * newc cpio archives.
 *
 * A state machine over the buffer, as Linux's initramfs has one, so that what
 * Linux unpacks is unpacked here, and in the same order:
 *
 *   between entries: zeros are skipped. What follows must start on 4 bytes and
 *     with '0' (an entry); else it is a compressed archive, which is named, or
 *     rubbish;
 *   an entry: header of 110 bytes, name with its NUL, padding to 4, data,
 *     padding to 4. Names of length 0 or above PATH_MAX, and symlink targets
 *     above PATH_MAX, are skipped, as there;
 *   TRAILER!!! forgets the hard links and is otherwise an entry like any other;
 *   the end of the buffer is a good end only between entries.
 *
 * Stricter than Linux: digits that are none and archives that are cut off are
 * errors. All offsets are u64 and every length is compared with what is left
 * before it is used, so no archive can make a read leave the buffer.
 *
 * Hard links: files with the same device, inode number and type within one
 * archive. The first name of each is kept in a small hash table in memory that
 * the caller's ops give; the names themselves stay in the buffer.
 */
#include <lib/cpio.h>
#include <lib/errno.h>
#include <lib/hash.h>
#include <lib/string.h>

#define HEADER_BYTES 110
#define NAME_MAX_BYTES 4096	/* PATH_MAX */
#define TYPE_MASK 0170000
#define TYPE_DIR  0040000
#define TYPE_REG  0100000
#define TYPE_LINK 0120000
#define LINK_BITS 6

struct link {
	struct link *next;
	const char *name;
	u32 ino, major, minor, type;
};

struct parser {
	const u8 *buf;
	u64 len;
	u64 pos;
	const struct cpio_ops *ops;
	void *ctx;
	struct cpio_error *err;
	struct link *links[1 << LINK_BITS];
	bool fresh;		/* nothing of the current archive was seen yet */
};

/* The fields of the header, in their order after the magic. */
enum field {
	F_INO, F_MODE, F_UID, F_GID, F_NLINK, F_MTIME, F_SIZE, F_MAJOR, F_MINOR, F_RMAJOR,
	F_RMINOR, F_NAMESIZE, F_CHECK, NR_FIELDS
};

static int damaged(struct parser *p, u64 offset, const char *what)
{
	p->err->what = what;
	p->err->offset = offset;
	return -EINVAL;
}

const char *cpio_compression(const void *buf, u64 len)
{
	static const struct {
		u8 magic[2];
		const char *name;
	} methods[] = {
		{ { 0x1f, 0x8b }, "gzip" }, { { 0x1f, 0x9e }, "gzip" }, { { 0x42, 0x5a }, "bzip2" },
		{ { 0x5d, 0x00 }, "lzma" }, { { 0xfd, 0x37 }, "xz" },	{ { 0x89, 0x4c }, "lzo" },
		{ { 0x02, 0x21 }, "lz4" },  { { 0x28, 0xb5 }, "zstd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (len >= 2 && memcmp(buf, methods[i].magic, 2) == 0)
			return methods[i].name;
	return NULL;
}

static int not_an_entry(struct parser *p)
{
	static const struct {
		const char *name, *what;
	} texts[] = {
		{ "gzip", "gzip-compressed archive: compression is not supported, unpack it first" },
		{ "bzip2", "bzip2-compressed archive: compression is not supported, unpack it first" },
		{ "lzma", "lzma-compressed archive: compression is not supported, unpack it first" },
		{ "xz", "xz-compressed archive: compression is not supported, unpack it first" },
		{ "lzo", "lzo-compressed archive: compression is not supported, unpack it first" },
		{ "lz4", "lz4-compressed archive: compression is not supported, unpack it first" },
		{ "zstd", "zstd-compressed archive: compression is not supported, unpack it first" },
	};
	const char *name = cpio_compression(p->buf + p->pos, p->len - p->pos);

	for (size_t i = 0; name && i < ARRAY_SIZE(texts); i++) {
		if (strcmp(name, texts[i].name) == 0) {
			damaged(p, p->pos, texts[i].what);
			return -EOPNOTSUPP;
		}
	}
	if (p->buf[p->pos] == '0')
		return damaged(p, p->pos, "damaged archive: entry not aligned to 4 bytes");
	return damaged(p, p->pos, "damaged archive: neither a cpio entry nor padding");
}

static int parse_fields(struct parser *p, u32 *fields)
{
	const u8 *h = p->buf + p->pos + 6;

	for (int f = 0; f < NR_FIELDS; f++) {
		fields[f] = 0;
		for (int i = 0; i < 8; i++) {
			int digit = hex_digit(h[8 * f + i]);

			if (digit < 0)
				return damaged(p, p->pos + 6 + 8 * (u64)f + (u64)i,
					       "damaged archive: header holds no hexadecimal digit");
			fields[f] = fields[f] << 4 | (u32)digit;
		}
	}
	return 0;
}

static int check_magic(struct parser *p, bool *checksum)
{
	const u8 *h = p->buf + p->pos;

	if (p->len - p->pos < HEADER_BYTES)
		return damaged(p, p->pos, "damaged archive: cut off in a header");
	*checksum = h[5] == '2';
	if (memcmp(h, "070701", 6) == 0 || memcmp(h, "070702", 6) == 0)
		return 0;
	if (memcmp(h, "070707", 6) == 0)
		return damaged(p, p->pos, "wrong cpio format: make it with cpio -H newc");
	return damaged(p, p->pos, "damaged archive: no cpio magic");
}

static void forget_links(struct parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->links); i++) {
		struct link *l;

		while ((l = p->links[i])) {
			p->links[i] = l->next;
			p->ops->free(p->ctx, l);
		}
	}
}

/* Sets e->link_to if the file has come before, else remembers it. */
static int resolve_link(struct parser *p, struct cpio_entry *e)
{
	u32 type = e->mode & TYPE_MASK;
	u64 key = (u64)e->ino << 32 ^ (u64)e->dev_major << 16 ^ e->dev_minor ^ type;
	struct link **chain = &p->links[hash_bits(key, LINK_BITS)], *l;

	if (e->nlink < 2 || type == TYPE_DIR || type == TYPE_LINK)
		return 0;
	for (l = *chain; l; l = l->next) {
		if (l->ino == e->ino && l->major == e->dev_major && l->minor == e->dev_minor &&
		    l->type == type) {
			e->link_to = l->name;
			return 0;
		}
	}
	l = p->ops->alloc(p->ctx, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct link){ *chain, e->name, e->ino, e->dev_major, e->dev_minor, type };
	*chain = l;
	return 0;
}

static int verify_checksum(struct parser *p, const struct cpio_entry *e, u32 expected)
{
	u32 sum = 0;

	for (u32 i = 0; i < e->size; i++)
		sum += e->data[i];
	if (sum != expected)
		return damaged(p, e->offset, "damaged archive: wrong checksum of a file's data");
	return 0;
}

/* What Linux passes over without a word. */
static bool is_skipped(const u32 *f)
{
	u32 type = f[F_MODE] & TYPE_MASK;

	if (f[F_NAMESIZE] == 0 || f[F_NAMESIZE] > NAME_MAX_BYTES)
		return true;
	if (type == TYPE_LINK)
		return f[F_SIZE] > NAME_MAX_BYTES;
	return type != TYPE_REG && f[F_SIZE] != 0;
}

static int deliver(struct parser *p, const u32 *f, bool checksum, const char *name, const u8 *data)
{
	struct cpio_entry e = {
		.name = name, .ino = f[F_INO], .mode = f[F_MODE], .uid = f[F_UID],
		.gid = f[F_GID], .nlink = f[F_NLINK], .mtime = f[F_MTIME],
		.dev_major = f[F_MAJOR], .dev_minor = f[F_MINOR], .rdev_major = f[F_RMAJOR],
		.rdev_minor = f[F_RMINOR], .size = f[F_SIZE], .data = data, .offset = p->pos,
	};
	int err;

	if (!memchr(name, 0, f[F_NAMESIZE]))
		return damaged(p, p->pos + HEADER_BYTES, "damaged archive: name without an end");
	e.name_len = (u32)strlen(name);
	if (strcmp(name, "TRAILER!!!") == 0) {
		forget_links(p);
		p->fresh = true;
		return 0;
	}
	if (checksum && (e.mode & TYPE_MASK) == TYPE_REG) {
		err = verify_checksum(p, &e, f[F_CHECK]);
		if (err)
			return err;
	}
	err = resolve_link(p, &e);
	if (err)
		return err;
	p->err->entry++;
	return p->ops->entry(p->ctx, &e);
}

static int parse_entry(struct parser *p)
{
	u32 f[NR_FIELDS];
	u64 name, data, end;
	bool checksum;
	int err;

	if (p->fresh) {
		p->fresh = false;
		p->err->archive++;
		p->err->entry = 0;
	}
	err = check_magic(p, &checksum);
	if (!err)
		err = parse_fields(p, f);
	if (err)
		return err;
	/* pos is a multiple of 4 and the fields have 32 bits: no sum can wrap. */
	name = p->pos + HEADER_BYTES;
	data = ALIGN_UP(name + f[F_NAMESIZE], 4);
	end = data + f[F_SIZE];
	if (name + f[F_NAMESIZE] > p->len)
		return damaged(p, p->pos, "damaged archive: cut off in a name");
	if (end > p->len)
		return damaged(p, p->pos, "damaged archive: cut off in a file's data");
	if (!is_skipped(f)) {
		err = deliver(p, f, checksum, (const char *)p->buf + name, p->buf + data);
		if (err)
			return err;
	}
	p->pos = MIN(ALIGN_UP(end, 4), p->len);
	return 0;
}

int cpio_parse(const void *buf, u64 len, const struct cpio_ops *ops, void *ctx,
	       struct cpio_error *err)
{
	struct parser p = {
		.buf = buf, .len = len, .ops = ops, .ctx = ctx, .err = err, .fresh = true,
	};
	int ret = 0;

	*err = (struct cpio_error){ NULL, 0, 0, 0 };
	while (!ret && p.pos < len) {
		if (p.buf[p.pos] == 0)
			p.pos++;
		else if (p.buf[p.pos] == '0' && p.pos % 4 == 0)
			ret = parse_entry(&p);
		else
			ret = not_an_entry(&p);
	}
	forget_links(&p);
	return ret;
}
