/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VFS_PATH_H
#define KERNEL_VFS_PATH_H

/*
 * From names to places: path_resolution(7).
 *
 * A walk starts under RCU and touches no counter; when it meets something that
 * needs to sleep or has changed under it, it goes on, or starts again, with
 * references. Both modes are one piece of code (kernel/vfs/walk.c).
 */
#include <kernel/vfs/dentry.h>
#include <kernel/vfs/mount.h>
#include <kernel/vfs/types.h>

#define LOOKUP_FOLLOW		0x0001U	/* a final symlink is followed */
#define LOOKUP_DIRECTORY	0x0002U	/* it must be a directory */
#define LOOKUP_PARENT		0x0004U	/* stop before the last component */
#define LOOKUP_EMPTY		0x0008U	/* "" means dfd itself (AT_EMPTY_PATH) */
#define LOOKUP_CREATE		0x0010U	/* the last component will be made */
#define LOOKUP_EXCL		0x0020U
#define LOOKUP_NO_XDEV		0x0100U	/* openat2's RESOLVE_* */
#define LOOKUP_NO_MAGICLINKS	0x0200U
#define LOOKUP_NO_SYMLINKS	0x0400U
#define LOOKUP_BENEATH		0x0800U
#define LOOKUP_IN_ROOT		0x1000U
#define LOOKUP_SCOPED		(LOOKUP_BENEATH | LOOKUP_IN_ROOT)

#define MAX_SYMLINKS		40

/* A name copied from user space or from the kernel; short ones need no allocation. */
#define PATHNAME_INLINE		120
struct pathname {
	const char *str;		/* NUL-terminated; 8 bytes behind the NUL may be read */
	size_t len;
	char *heap;			/* what to free, or NULL */
	char buf[PATHNAME_INLINE + 8];
};

/* 0, -EFAULT, -ENAMETOOLONG, -ENOENT (empty, unless LOOKUP_EMPTY), -ENOMEM. */
int __must_check pathname_from_user(struct pathname *pn, uptr_t user, u32 lookup_flags);
int __must_check pathname_from_kernel(struct pathname *pn, const char *str);
void pathname_release_slow(struct pathname *pn);

static inline void pathname_release(struct pathname *pn)
{
	if (unlikely(pn->heap))
		pathname_release_slow(pn);
}

/* Result with references (path_put), or -errno as path_resolution(7) and open(2) say. May sleep. */
int __must_check path_lookup(int dfd, const struct pathname *pn, u32 flags, struct path *out);
int __must_check path_lookup_user(int dfd, uptr_t name, u32 flags, struct path *out);
/* For kernel code: relative to the caller's (kernel threads: the first) root. */
int __must_check path_lookup_kernel(const char *name, u32 flags, struct path *out);

/*
 * stat without counting: looks `pn` up and fills stat, under RCU if the file
 * system allows.
 */
int __must_check path_stat(int dfd, const struct pathname *pn, u32 flags, struct kstat *stat);

enum last_type { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

/* The parent of what the name says, and the last component (inside pn). */
struct path_parent {
	struct path path;		/* the directory, with references */
	struct qname last;
	enum last_type type;
	bool trailing_slash;
};

int __must_check path_lookup_parent(int dfd, const struct pathname *pn, u32 flags,
				    struct path_parent *out);

/*
 * For mknod, mkdir, symlink, link: looks up the parent, takes write access to the mount and the
 * directory's lock, and returns the negative dentry; -EEXIST if there is something. Undone by path_create_end.
 */
struct dentry *path_create_start(int dfd, const struct pathname *pn, u32 flags, struct path *dir);
void path_create_end(struct path *dir, struct dentry *dentry);

static inline void path_get(const struct path *p)
{
	mount_get(p->mnt);
	dentry_get(p->dentry);
}

static inline void path_put(const struct path *p)
{
	dentry_put(p->dentry);
	mount_put(p->mnt);
}

static inline bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

/*
 * The name of a place as seen from root, built from the end of buf; returns its start, or
 * ERR_PTR(-ENAMETOOLONG). Unlinked files get " (deleted)"; of places outside root it is the way from the top.
 * root NULL: the caller's.
 */
char *path_name(const struct path *path, const struct path *root, char *buf, size_t size);
/* For debug commands: the name from the root of all, by peeks and under no lock, cut at the front when it is long. */
void path_peek(const struct path *path, char *buf, size_t size);
/* getcwd's: 0 when reachable, else -ENOENT for a deleted one; *start gets the text. */
int path_name_cwd(const struct path *path, const struct path *root, char *buf, size_t size,
		  char **start);

/* The operations behind the syscalls, for kernel code too. Mode without umask applied. */
int vfs_mkdir_at(int dfd, const struct pathname *pn, u32 mode);
int vfs_mknod_at(int dfd, const struct pathname *pn, u32 mode, devnum_t dev);
int vfs_symlink_at(const char *target, int dfd, const struct pathname *pn);
int vfs_link_at(int olddfd, const struct pathname *old, int newdfd, const struct pathname *pn,
		u32 at_flags);
int vfs_unlink_at(int dfd, const struct pathname *pn);
int vfs_rmdir_at(int dfd, const struct pathname *pn);
int vfs_rename_at(int olddfd, const struct pathname *old, int newdfd, const struct pathname *pn,
		  u32 flags);
ssize_t vfs_readlink(const struct path *path, char *buf, size_t size);

#endif
