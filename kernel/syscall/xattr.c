/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, xattr(7). No file system here keeps any: after the checks that Linux makes first, get, set and
 * remove say EOPNOTSUPP, as for any namespace that a file system does not support, and the list is empty.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/limits.h>
#include <abi/linux/xattr.h>
#include <gen/syscall_protos.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/mount.h>
#include <kernel/vfs/path.h>
#include <kernel/vm/uaccess.h>

/* The name's own errors, then what every file system here says. */
static long check_name(uptr_t name)
{
	char text[XATTR_NAME_MAX + 1];
	ssize_t n = strncpy_from_user(text, name, sizeof(text));

	if (n < 0)
		return n;
	return n == 0 || n == (ssize_t)sizeof(text) ? -ERANGE : -EOPNOTSUPP;
}

static long check_set(uptr_t name, uptr_t value, size_t size, int flags)
{
	long err;
	u8 byte;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	err = check_name(name);
	if (err != -EOPNOTSUPP)
		return err;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	/* Its first and last byte stand for the value, which nobody keeps. */
	if (size && (get_user_u8(&byte, value) || get_user_u8(&byte, uptr_add(value, size - 1))))
		return -EFAULT;
	return -EOPNOTSUPP;
}

enum xattr_op { XATTR_OP_GET, XATTR_OP_LIST, XATTR_OP_CHANGE };

struct xattr_request {
	enum xattr_op op;
	bool set; /* CHANGE: else remove */
	uptr_t name, value;
	size_t size;
	int flags;
};

static long run(const struct path *path, const struct xattr_request *r)
{
	long err;

	if (r->op == XATTR_OP_LIST)
		return 0;
	if (r->op == XATTR_OP_GET)
		return check_name(r->name);
	err = mount_get_write(path->mnt);
	if (err)
		return err;
	err = r->set ? check_set(r->name, r->value, r->size, r->flags) : check_name(r->name);
	mount_put_write(path->mnt);
	return err;
}

static long by_path(uptr_t name, u32 lookup, const struct xattr_request *r)
{
	struct path path;
	long err = path_lookup_user(AT_FDCWD, name, lookup, &path);

	if (err)
		return err;
	err = run(&path, r);
	path_put(&path);
	return err;
}

static long by_fd(int fd, const struct xattr_request *r)
{
	struct fdref f = fd_get(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = run(&f.file->path, r);
	fd_put(f);
	return err;
}

#define SET_REQUEST { .op = XATTR_OP_CHANGE, .set = true, .name = name, .value = value, .size = size, .flags = flags }
#define GET_REQUEST { .op = XATTR_OP_GET, .name = name }
#define LIST_REQUEST { .op = XATTR_OP_LIST }
#define REMOVE_REQUEST { .op = XATTR_OP_CHANGE, .name = name }

long sys_setxattr(uptr_t path, uptr_t name, uptr_t value, size_t size, int flags)
{
	return by_path(path, LOOKUP_FOLLOW, &(struct xattr_request)SET_REQUEST);
}

long sys_lsetxattr(uptr_t path, uptr_t name, uptr_t value, size_t size, int flags)
{
	return by_path(path, 0, &(struct xattr_request)SET_REQUEST);
}

long sys_fsetxattr(int fd, uptr_t name, uptr_t value, size_t size, int flags)
{
	return by_fd(fd, &(struct xattr_request)SET_REQUEST);
}

long sys_getxattr(uptr_t path, uptr_t name, uptr_t value, size_t size)
{
	return by_path(path, LOOKUP_FOLLOW, &(struct xattr_request)GET_REQUEST);
}

long sys_lgetxattr(uptr_t path, uptr_t name, uptr_t value, size_t size)
{
	return by_path(path, 0, &(struct xattr_request)GET_REQUEST);
}

long sys_fgetxattr(int fd, uptr_t name, uptr_t value, size_t size)
{
	return by_fd(fd, &(struct xattr_request)GET_REQUEST);
}

long sys_listxattr(uptr_t path, uptr_t list, size_t size)
{
	return by_path(path, LOOKUP_FOLLOW, &(struct xattr_request)LIST_REQUEST);
}

long sys_llistxattr(uptr_t path, uptr_t list, size_t size)
{
	return by_path(path, 0, &(struct xattr_request)LIST_REQUEST);
}

long sys_flistxattr(int fd, uptr_t list, size_t size)
{
	return by_fd(fd, &(struct xattr_request)LIST_REQUEST);
}

long sys_removexattr(uptr_t path, uptr_t name)
{
	return by_path(path, LOOKUP_FOLLOW, &(struct xattr_request)REMOVE_REQUEST);
}

long sys_lremovexattr(uptr_t path, uptr_t name)
{
	return by_path(path, 0, &(struct xattr_request)REMOVE_REQUEST);
}

long sys_fremovexattr(int fd, uptr_t name)
{
	return by_fd(fd, &(struct xattr_request)REMOVE_REQUEST);
}
