/* SPDX-License-Identifier: MIT */
/*
 * devtmpfs: one tmpfs, shown by every mount of its type, in which drivers make the nodes of their
 * devices (devnode_create) and take them away again. Programs may change it as any other.
 */
#include "internal.h"

#include <abi/linux/limits.h>
#include <kernel/vfs/chrdev.h>

static struct super_block *dev_super;	/* [I] */
static struct mount *dev_mount;		/* [I] internal, for devtmpfs_open */

static int devtmpfs_mount(const struct file_system_type *type, u32 flags, const char *source,
			  const char *data, struct super_block **out)
{
	super_get(dev_super);
	*out = dev_super;
	return 0;
}

static struct file_system_type devtmpfs_type = {
	.name = "devtmpfs", .flags = FS_NODEV | FS_SINGLE, .mount = devtmpfs_mount,
};

/* Names are compared in words: they need room behind their end. */
struct padded_name {
	char text[NAME_MAX + 1 + 7];
};

static struct qname make_qname(struct padded_name *buf, const char *name, size_t len)
{
	struct qname q = { buf->text, (u32)MIN(len, (size_t)NAME_MAX), 0 };

	memcpy(buf->text, name, q.len);
	dentry_hash_name(NULL, &q);
	return q;
}

/* The entry `name` of dir, made by `make` if there is none. A reference or ERR_PTR. dir's reference is consumed. */
static struct dentry *enter(struct dentry *dir, const char *name, size_t len, u32 mode, devnum_t dev)
{
	struct padded_name buf;
	struct qname q = make_qname(&buf, name, len);
	struct dentry *d;
	int err = 0;

	rwsem_write_lock(&dir->inode->lock);
	d = dentry_lookup_locked(dir, &q);
	if (!IS_ERR(d) && dentry_is_negative(d)) {
		err = S_ISDIR(mode) ? tmpfs_mkdir(dir->inode, d, mode) :
				      tmpfs_mknod(dir->inode, d, mode, dev);
		if (err) {
			dentry_put(d);
			d = ERR_PTR(err);
		}
	}
	rwsem_write_unlock(&dir->inode->lock);
	dentry_put(dir);
	return d;
}

static int devtmpfs_create(const char *name, u32 mode, devnum_t dev)
{
	struct dentry *d = dentry_get(dev_super->root);
	const char *slash;

	while (*(slash = strchrnul(name, '/'))) {
		d = enter(d, name, (size_t)(slash - name), S_IFDIR | 0755, 0);
		if (IS_ERR(d))
			return (int)PTR_ERR(d);
		name = slash + 1;
	}
	d = enter(d, name, strlen(name), mode, dev);
	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	dentry_put(d);
	return 0;
}

static void devtmpfs_remove(const char *name)
{
	struct dentry *dir = dentry_get(dev_super->root), *d;
	struct inode *inode;

	for (;;) {
		const char *slash = strchrnul(name, '/');
		struct padded_name buf;
		struct qname q = make_qname(&buf, name, (size_t)(slash - name));

		rwsem_write_lock(&dir->inode->lock);
		d = dentry_lookup_locked(dir, &q);
		if (IS_ERR(d) || dentry_is_negative(d) || !*slash)
			break;
		rwsem_write_unlock(&dir->inode->lock);
		dentry_put(dir);
		dir = d;
		name = slash + 1;
	}
	if (!IS_ERR(d) && dentry_is_positive(d) && !dentry_is_dir(d)) {
		inode = d->inode;
		rwsem_write_lock(&inode->lock);
		(void)tmpfs_unlink(dir->inode, d);
		rwsem_write_unlock(&inode->lock);
		dentry_delete(d);
	}
	rwsem_write_unlock(&dir->inode->lock);
	if (!IS_ERR(d))
		dentry_put(d);
	dentry_put(dir);
}

struct file *devtmpfs_open(const char *name, u32 flags)
{
	struct padded_name buf;
	struct qname q = make_qname(&buf, name, strlen(name));
	struct path path = { dev_mount, NULL };
	struct file *file;

	rwsem_write_lock(&dev_super->root->inode->lock);
	path.dentry = dentry_lookup_locked(dev_super->root, &q);
	rwsem_write_unlock(&dev_super->root->inode->lock);
	if (IS_ERR(path.dentry))
		return ERR_PTR(PTR_ERR(path.dentry));
	file = dentry_is_positive(path.dentry) ? file_open_path(&path, flags) : ERR_PTR(-ENOENT);
	dentry_put(path.dentry);
	return file;
}

void devtmpfs_init(void)
{
	if (tmpfs_make_super(&devtmpfs_type, "", true, TMPFS_MAGIC, 0755, &dev_super) ||
	    fs_type_register(&devtmpfs_type))
		panic("cannot make devtmpfs");
	dev_mount = mount_create_internal(&devtmpfs_type);
	if (!dev_mount)
		panic("cannot mount devtmpfs");
	devnode_create_hook = devtmpfs_create;
	devnode_remove_hook = devtmpfs_remove;
}
