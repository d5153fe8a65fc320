/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_TYPES_H
#define KERNEL_VFS_TYPES_H

/* Scalars and small structures that all of the vfs shares. */
#include <lib/compiler.h>
#include <lib/types.h>

struct cred;
struct dentry;
struct file;
struct inode;
struct iter;
struct kiocb;
struct mount;
struct poll_table;
struct super_block;
struct task;
struct vm_object;
struct waitq;

/* A device number: 12 bits major, 20 bits minor, as inside Linux. */
typedef u32 devnum_t;

#define DEV_MAJOR(d)	((u32)(d) >> 20)
#define DEV_MINOR(d)	((u32)(d) & 0xfffffU)
#define MKDEV(ma, mi)	((devnum_t)((u32)(ma) << 20 | (u32)(mi)))

/* stat(2)'s and mknod(2)'s form: makedev(3) within 32 bits. */
static inline u32 devnum_encode(devnum_t d)
{
	return (DEV_MINOR(d) & 0xff) | DEV_MAJOR(d) << 8 | (DEV_MINOR(d) & ~0xffU) << 12;
}

static inline devnum_t devnum_decode(u32 v)
{
	return MKDEV((v & 0xfff00) >> 8, (v & 0xff) | ((v >> 12) & 0xfff00));
}

/* A file time: seconds since 1970 and 0 to 999,999,999 ns. */
struct fstime {
	s64 sec;
	u64 nsec;
};

/* The time now, in the resolution of file times: that of the last tick or finer. */
struct fstime fstime_now(void);

static inline bool fstime_equal(const struct fstime *a, const struct fstime *b)
{
	return a->sec == b->sec && a->nsec == b->nsec;
}

static inline bool fstime_after(const struct fstime *a, const struct fstime *b)
{
	return a->sec > b->sec || (a->sec == b->sec && a->nsec > b->nsec);
}

/* A place in the tree: which mount, and where in its file system. */
struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

/*
 * One component of a path and the hash of its text. Not NUL-terminated.
 */
struct qname {
	const char *str;
	u32 len;
	u32 hash;
};

#endif
