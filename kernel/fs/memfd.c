/* SPDX-License-Identifier: MIT */
/* memfd_create(2): nameless files on a tmpfs that nobody mounts and that has no limit. */
#include "internal.h"

#include <abi/linux/fcntl.h>
#include <kernel/fs/memfd.h>
#include <lib/printf.h>

static struct mount *memfd_mount;	/* [I] */

static int memfd_mount_fs(const struct file_system_type *type, u32 flags, const char *source,
			  const char *data, struct super_block **out)
{
	return tmpfs_make_super(type, data, false, TMPFS_MAGIC, 0755, out);
}

static struct file_system_type memfd_type = {
	.name = "memfd", .flags = FS_NODEV | FS_HIDDEN, .mount = memfd_mount_fs,
};

static int memfd_name(struct dentry *d, char *buf, size_t size)
{
	return snprintf(buf, size, "/memfd:%s (deleted)", (const char *)d->private);
}

static void memfd_release(struct dentry *d)
{
	kfree(d->private);
}

static const struct dentry_ops memfd_dentry_ops = { .name = memfd_name, .release = memfd_release };

struct file *memfd_create(const char *name, bool sealable)
{
	struct super_block *sb = memfd_mount->sb;
	char *copy = kstrdup(name, 0);
	struct inode *inode;
	struct dentry *d;
	struct path path;
	struct file *file;

	if (!copy)
		return ERR_PTR(-ENOMEM);
	inode = tmpfs_make_nameless(sb, S_IFREG | 0777);
	if (!inode) {
		kfree(copy);
		return ERR_PTR(-ENOMEM);
	}
	if (!sealable)
		inode->flags |= F_SEAL_SEAL << INODE_SEAL_SHIFT;
	d = dentry_alloc_nameless(sb, inode, &memfd_dentry_ops, copy);
	if (!d) {
		inode_put(inode);
		kfree(copy);
		return ERR_PTR(-ENOMEM);
	}
	path = (struct path){ mount_get(memfd_mount), d };
	file = file_open_path(&path, O_RDWR | O_LARGEFILE);
	path_put(&path);
	return file;
}

void memfd_init(void)
{
	if (fs_type_register(&memfd_type))
		panic("cannot register memfd");
	memfd_mount = mount_create_internal(&memfd_type);
	if (!memfd_mount)
		panic("no memory for memfd");
}
