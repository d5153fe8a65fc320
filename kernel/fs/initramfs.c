/* SPDX-License-Identifier: MIT */
/*
 * The initramfs: newc archives become files in the root file system, by Linux's rules
 * (init/initramfs.c, Documentation/driver-api/early-userspace/buffer-format.rst; the parser is
 * lib/cpio.c).
 *
 * What Linux's built-in archive holds (/dev, /dev/console, /root) is there first. An entry that cannot be
 * made is skipped, and the first few are told; a damaged archive ends the work, what came before stays.
 * A name that exists with another type is replaced. Owner, mode and times are set at once, after the
 * data; those of directories at the very end, because entries made in them would change the times.
 */
#define LOG_TAG "initramfs"
#include "internal.h"

#include <abi/linux/fcntl.h>
#include <kernel/fs/fs.h>
#include <lib/cpio.h>

#define COMPLAINTS_MAX 8

/* A directory whose attributes are set last. */
struct late_dir {
	struct late_dir *next;
	struct path path;		/* counted */
	struct fstime mtime;
};

struct unpack {
	const char *name;		/* of the archive, for messages */
	struct late_dir *dirs;		/* newest first */
	u32 entries, failed;
	u64 bytes;
};

static void complain(struct unpack *u, const struct cpio_entry *e, const char *what, int err)
{
	if (u->failed++ < COMPLAINTS_MAX)
		log_warn("%s: cannot %s %s: error %d", u->name, what, e->name, -err);
}

static u32 attr_of(const struct cpio_entry *e, struct attr_change *attr)
{
	struct fstime t = { e->mtime, 0 };

	*attr = (struct attr_change){
		.valid = ATTR_UID | ATTR_GID | ATTR_CTIME | ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_SET |
			 ATTR_MTIME_SET,
		.mode = e->mode & 07777, .uid = e->uid, .gid = e->gid, .atime = t, .mtime = t,
	};
	if (!S_ISLNK(e->mode))
		attr->valid |= ATTR_MODE;
	return attr->valid;
}

static int set_attributes(const struct cpio_entry *e, const struct path *path)
{
	struct attr_change attr;

	attr_of(e, &attr);
	return vfs_setattr(path, &attr);
}

/* By name, not following a final symlink. */
static int set_attributes_by_name(const struct cpio_entry *e, const struct pathname *pn)
{
	struct path path;
	int err = path_lookup(AT_FDCWD, pn, 0, &path);

	if (err)
		return err;
	err = set_attributes(e, &path);
	path_put(&path);
	return err;
}

/* Something of another type in the way goes; so does a symlink in any case. */
static void clean_path(const struct pathname *pn, u32 mode)
{
	struct kstat st = { .extended = false };

	if (path_stat(AT_FDCWD, pn, 0, &st) || ((st.mode ^ mode) & S_IFMT) == 0)
		return;
	if (S_ISDIR(st.mode))
		(void)vfs_rmdir_at(AT_FDCWD, pn);
	else
		(void)vfs_unlink_at(AT_FDCWD, pn);
}

static int unpack_directory(struct unpack *u, const struct cpio_entry *e, const struct pathname *pn)
{
	struct late_dir *late;
	int err = vfs_mkdir_at(AT_FDCWD, pn, e->mode & 07777);

	if (err && err != -EEXIST)
		return err;
	late = kmalloc(sizeof(*late), 0);
	if (!late)
		return -ENOMEM;
	err = path_lookup(AT_FDCWD, pn, LOOKUP_DIRECTORY, &late->path);
	if (!err)
		err = set_attributes(e, &late->path);
	if (err) {
		kfree(late);
		return err;
	}
	late->mtime = (struct fstime){ e->mtime, 0 };
	late->next = u->dirs;
	u->dirs = late;
	return 0;
}

static void finish_directories(struct unpack *u)
{
	struct late_dir *late;

	while ((late = u->dirs)) {
		struct attr_change attr = {
			.valid = ATTR_CTIME | ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_SET | ATTR_MTIME_SET,
			.atime = late->mtime, .mtime = late->mtime,
		};

		(void)vfs_setattr(&late->path, &attr);
		path_put(&late->path);
		u->dirs = late->next;
		kfree(late);
	}
}

static int unpack_file(struct unpack *u, const struct cpio_entry *e, const struct pathname *pn, bool linked)
{
	struct file *file;
	s64 pos = 0;
	ssize_t n = 0;
	int err;

	if (linked && !e->size)
		return 0;
	file = vfs_open_at(AT_FDCWD, pn, O_WRONLY | O_CREAT | O_LARGEFILE | (linked ? 0 : O_TRUNC),
			   e->mode & 07777, 0);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	while ((u64)pos < e->size && n >= 0) {
		n = kernel_write(file, e->data + pos, e->size - (u64)pos, &pos);
		if (!n)
			n = -EIO;
	}
	err = n < 0 ? (int)n : set_attributes(e, &file->path);
	u->bytes += (u64)pos;
	file_put(file);
	return err;
}

static int unpack_symlink(const struct cpio_entry *e, const struct pathname *pn)
{
	char *target = kmalloc(e->size + 1ULL, 0);
	int err;

	if (!target)
		return -ENOMEM;
	memcpy(target, e->data, e->size);
	target[e->size] = '\0';
	clean_path(pn, 0);
	err = vfs_symlink_at(target, AT_FDCWD, pn);
	if (!err)
		err = set_attributes_by_name(e, pn);
	kfree(target);
	return err;
}

/* A further name for what came before. True: it is one now. */
static bool make_link(const struct cpio_entry *e, const struct pathname *pn)
{
	struct pathname old;
	int err;

	if (!e->link_to || pathname_from_kernel(&old, e->link_to))
		return false;
	clean_path(pn, 0);
	err = vfs_link_at(AT_FDCWD, &old, AT_FDCWD, pn, 0);
	pathname_release(&old);
	return !err;
}

static int unpack_named(struct unpack *u, const struct cpio_entry *e, const struct pathname *pn)
{
	bool linked;
	int err;

	if (S_ISLNK(e->mode))
		return unpack_symlink(e, pn);
	clean_path(pn, e->mode);
	if (S_ISDIR(e->mode))
		return unpack_directory(u, e, pn);
	linked = make_link(e, pn);
	if (S_ISREG(e->mode))
		return unpack_file(u, e, pn, linked);
	if (linked)
		return 0;
	err = vfs_mknod_at(AT_FDCWD, pn, e->mode, MKDEV(e->rdev_major & 0xfff, e->rdev_minor));
	return err ? err : set_attributes_by_name(e, pn);
}

static int unpack_entry(void *ctx, const struct cpio_entry *e)
{
	struct unpack *u = ctx;
	struct pathname pn;
	int err = pathname_from_kernel(&pn, e->name);

	u->entries++;
	if (!err) {
		err = unpack_named(u, e, &pn);
		pathname_release(&pn);
	}
	if (err)
		complain(u, e, "make", err);
	/* Out of memory it makes no sense to go on; other troubles concern one entry. */
	return err == -ENOMEM || err == -ENOSPC ? err : 0;
}

static void *unpack_alloc(void *ctx, size_t bytes)
{
	return kmalloc(bytes, 0);
}

static void unpack_free(void *ctx, void *p)
{
	kfree(p);
}

int initramfs_unpack(const char *name, const void *data, u64 size)
{
	static const struct cpio_ops ops = {
		.entry = unpack_entry, .alloc = unpack_alloc, .free = unpack_free,
	};
	struct unpack u = { .name = name };
	struct cpio_error e = { 0 };
	int err = cpio_parse(data, size, &ops, &u, &e);

	finish_directories(&u);
	if (u.failed > COMPLAINTS_MAX)
		log_warn("%s: %u more entries could not be made", name, u.failed - COMPLAINTS_MAX);
	if (!err)
		log_info("%s: %u entries, %llu KiB of data", name, u.entries,
			 (unsigned long long)(u.bytes / 1024));
	else if (e.what)
		log_err("%s: unusable at byte %llu (archive %u, behind entry %u): %s", name,
			(unsigned long long)e.offset, e.archive, e.entry, e.what);
	else
		log_err("%s: unpacking stopped after %u entries: error %d", name, u.entries, -err);
	return err;
}

/* ---- what is there without any archive ---- */

static void make_directory(const char *name, u32 mode)
{
	struct pathname pn;
	int err = pathname_from_kernel(&pn, name);

	if (!err)
		err = vfs_mkdir_at(AT_FDCWD, &pn, mode);
	if (err && err != -EEXIST)
		log_warn("cannot make %s: error %d", name, -err);
}

static void make_console(void)
{
	struct pathname pn;
	int err = pathname_from_kernel(&pn, "/dev/console");

	if (!err)
		err = vfs_mknod_at(AT_FDCWD, &pn, S_IFCHR | 0600, MKDEV(5, 1));
	if (err && err != -EEXIST)
		log_warn("cannot make /dev/console: error %d", -err);
}

void initramfs_init(void)
{
	make_directory("/dev", 0755);
	make_console();
	make_directory("/root", 0700);
}

struct file *initramfs_open_console(void)
{
	struct file *file = kernel_file_open("/dev/console", O_RDWR, 0);

	if (!IS_ERR(file))
		return file;
	/* The archive has no /dev, or something else there. */
	make_directory("/dev", 0755);
	make_console();
	file = kernel_file_open("/dev/console", O_RDWR, 0);
	if (!IS_ERR(file))
		return file;
	return devtmpfs_open("console", O_RDWR);
}
