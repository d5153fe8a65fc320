/* SPDX-License-Identifier: MIT */
/* mount(2), umount2(2), pivot_root(2). */
#include <gen/syscall_protos.h>

#include <abi/linux/capability.h>
#include <abi/linux/fcntl.h>
#include <abi/linux/mount.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/path.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>

/* A string of up to a page, or NULL for a null pointer. */
static int string_arg(uptr_t user, char **out)
{
	int err = 0;

	*out = uptr_is_null(user) ? NULL : strndup_user(user, PAGE_SIZE, &err);
	return err;
}

/* The options: up to a page, which need not be readable to its end, terminated by us. */
static int data_arg(uptr_t user, char **out)
{
	size_t left;

	*out = kzalloc(PAGE_SIZE, 0);
	if (!*out)
		return -ENOMEM;
	if (uptr_is_null(user))
		return 0;
	might_fault();
	left = hal_copy_from_user(*out, user, PAGE_SIZE - 1);
	if (left == PAGE_SIZE - 1) {
		kfree(*out);
		*out = NULL;
		return -EFAULT;
	}
	return 0;
}

long sys_mount(uptr_t source, uptr_t target, uptr_t type, unsigned long flags, uptr_t data)
{
	char *k_type, *k_source = NULL, *k_data = NULL;
	struct path path;
	long err = string_arg(type, &k_type);

	if (err)
		return err;
	err = string_arg(source, &k_source);
	if (!err)
		err = data_arg(data, &k_data);
	if (!err)
		err = path_lookup_user(AT_FDCWD, target, LOOKUP_FOLLOW, &path);
	if (!err) {
		err = do_mount(k_source, &path, k_type, flags, k_data);
		path_put(&path);
	}
	kfree(k_data);
	kfree(k_source);
	kfree(k_type);
	return err;
}

long sys_umount2(uptr_t target, int flags)
{
	struct path path;
	long err;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	err = path_lookup_user(AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	err = do_umount(&path, (u32)flags);
	path_put(&path);
	return err;
}

long sys_pivot_root(uptr_t new_root, uptr_t put_old)
{
	struct path new, old;
	long err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = path_lookup_user(AT_FDCWD, new_root, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new);
	if (err)
		return err;
	err = path_lookup_user(AT_FDCWD, put_old, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &old);
	if (!err) {
		err = do_pivot_root(&new, &old);
		path_put(&old);
	}
	path_put(&new);
	return err;
}
