/* SPDX-License-Identifier: MIT */
#ifndef LIB_CPIO_H
#define LIB_CPIO_H

/*
 * newc cpio archives ("070701", and "070702" with checksums), by the rules of
 * Linux's initramfs (Documentation/driver-api/early-userspace/
 * buffer-format.rst): any number of archives one behind another, zeros between
 * them, each starting on 4 bytes; hard links by device and inode number within
 * one archive, the data with any one of them; TRAILER!!! ends an archive and
 * forgets its hard links.
 */
#include <lib/compiler.h>

struct cpio_entry {
	const char *name;	/* NUL-terminated, in the buffer */
	u32 name_len;		/* strlen(name) */
	u32 ino, mode, uid, gid, nlink, mtime;
	u32 dev_major, dev_minor;
	u32 rdev_major, rdev_minor;
	u32 size;		/* bytes of data */
	const u8 *data;		/* contents, or the target of a symlink (no NUL) */
	u64 offset;		/* of the entry's header in the buffer */
	/*
	 * Not NULL: a further name of a file that came before under this name.
	 * Its data counts only if size is not 0 (then it replaces what is there).
	 */
	const char *link_to;
};

/* Returns 0 or -errno; an error ends the run and is returned by cpio_parse. */
struct cpio_ops {
	int (*entry)(void *ctx, const struct cpio_entry *e);
	/* Memory to remember hard links. NULL from alloc: -ENOMEM. */
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *p);
};

/* What was wrong, and where. */
struct cpio_error {
	const char *what;	/* static text: "gzip-compressed archive: ..." */
	u64 offset;		/* in the buffer */
	u32 archive;		/* the how manyth archive, from 1 */
	u32 entry;		/* entries before it in that archive */
};

/*
 * Calls ops->entry for every entry. 0; -EINVAL (damaged) or -EOPNOTSUPP (compressed) with
 * *err filled; or what a callback returned. Entries before the fault have been
 * delivered.
 */
int __must_check cpio_parse(const void *buf, u64 len, const struct cpio_ops *ops, void *ctx,
			    struct cpio_error *err);

/* The name of the compression that the bytes start with, or NULL. */
const char *cpio_compression(const void *buf, u64 len);

#endif
