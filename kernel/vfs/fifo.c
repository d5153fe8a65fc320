/* SPDX-License-Identifier: MIT */
/*
 * The vfs's side of pipes: where fifo inodes find the pipe code, and the internal file systems
 * on which nameless inodes live ("pipefs" for pipes, "anon_inodefs" for event files).
 */
#include "internal.h"

#include <kernel/vfs/fifo.h>
#include <lib/printf.h>

static const struct fifo_ops *fifo_ops;
static struct mount *pipe_mount, *anon_mount;

void fifo_register(const struct fifo_ops *ops)
{
	fifo_ops = ops;
}

static int fifo_open(struct inode *inode, struct file *file)
{
	return fifo_ops ? fifo_ops->open(inode, file) : -ENXIO;
}

const struct file_ops fifo_fops = { .open = fifo_open };

void fifo_free_pipe(struct inode *inode)
{
	if (fifo_ops && fifo_ops->free)
		fifo_ops->free(inode->pipe);
	inode->pipe = NULL;
}

/* ---- internal file systems: a root that nobody sees, and nameless dentries ---- */

static int internal_mount(const struct file_system_type *type, u64 magic, struct super_block **out)
{
	struct super_block *sb = super_alloc(type, NULL, magic, SB_KERNEL);
	struct inode *root;

	if (!sb)
		return -ENOMEM;
	root = inode_alloc(sb, S_IFDIR | 0600);
	if (root)
		sb->root = dentry_alloc_root(root);
	if (!sb->root) {
		super_put(sb);
		return -ENOMEM;
	}
	*out = sb;
	return 0;
}

static int pipefs_mount(const struct file_system_type *type, u32 flags, const char *source,
			const char *data, struct super_block **out)
{
	(void)flags, (void)source, (void)data;
	return internal_mount(type, PIPEFS_MAGIC, out);
}

static int anon_inodefs_mount(const struct file_system_type *type, u32 flags, const char *source,
			      const char *data, struct super_block **out)
{
	(void)flags, (void)source, (void)data;
	return internal_mount(type, ANON_INODE_FS_MAGIC, out);
}

static struct file_system_type pipefs_type = {
	.name = "pipefs", .flags = FS_NODEV | FS_HIDDEN, .mount = pipefs_mount,
};
static struct file_system_type anon_type = {
	.name = "anon_inodefs", .flags = FS_NODEV | FS_HIDDEN, .mount = anon_inodefs_mount,
};

static int pipe_name(struct dentry *d, char *buf, size_t size)
{
	return snprintf(buf, size, "pipe:[%llu]", (unsigned long long)d->inode->ino);
}

static const struct dentry_ops pipe_dentry_ops = { .name = pipe_name };

int pipefs_make(struct path *path)
{
	struct super_block *sb = pipe_mount->sb;
	struct inode *inode = inode_alloc(sb, S_IFIFO | 0600);
	struct dentry *d;

	if (!inode)
		return -ENOMEM;
	inode->flags |= INODE_PRIVATE;
	inode->fops = &fifo_fops;
	d = dentry_alloc_nameless(sb, inode, &pipe_dentry_ops, NULL);
	if (!d) {
		inode_put(inode);
		return -ENOMEM;
	}
	*path = (struct path){ mount_get(pipe_mount), d };
	return 0;
}

struct file *pipefs_open(const struct path *path, u32 flags, const struct file_ops *ops, void *private)
{
	struct file *f;

	path_get(path);
	f = file_alloc_nameless(path, flags, ops, private);
	if (IS_ERR(f))
		path_put(path);
	return f;
}

static int anon_name(struct dentry *d, char *buf, size_t size)
{
	return snprintf(buf, size, "anon_inode:%s", (const char *)d->private);
}

static const struct dentry_ops anon_dentry_ops = { .name = anon_name };

/* name: a literal like "[eventfd]". All such files share one inode, as on Linux. */
struct file *file_alloc_anon(const char *name, const struct file_ops *ops, void *private, u32 flags)
{
	struct inode *inode = inode_get(anon_mount->root->inode);
	struct dentry *d = dentry_alloc_nameless(anon_mount->sb, inode, &anon_dentry_ops, (void *)name);
	struct path path;
	struct file *f;

	if (!d) {
		inode_put(inode);
		return ERR_PTR(-ENOMEM);
	}
	path = (struct path){ mount_get(anon_mount), d };
	f = file_alloc_nameless(&path, flags, ops, private);
	if (IS_ERR(f))
		path_put(&path);
	return f;
}

void pipefs_init(void)
{
	if (fs_type_register(&pipefs_type) || fs_type_register(&anon_type))
		panic("cannot register the internal file systems");
	pipe_mount = mount_create_internal(&pipefs_type);
	anon_mount = mount_create_internal(&anon_type);
	if (!pipe_mount || !anon_mount)
		panic("no memory for the internal file systems");
	/* "anon_inode" has no type bits on Linux: stat shows mode 0600. */
	anon_mount->root->inode->mode = 0600;
}
