/* SPDX-License-Identifier: MIT */
/* sysfs: shows the tree that drivers register with sys_register(). One superblock for all mounts. */
#include "internal.h"

/* What does not exist now may be registered later: negative dentries are not kept. */
static bool unused(const struct dentry *dentry)
{
	return !dentry->inode || !node_revalidate(dentry->inode);
}

static int revalidate(struct dentry *dentry, bool may_sleep)
{
	const struct inode *inode = READ_ONCE(dentry->inode);

	(void)may_sleep;
	return !inode || node_revalidate(inode);
}

static const struct dentry_ops sysfs_dentry_ops = { .revalidate = revalidate, .unused = unused };
static const struct super_ops sysfs_super_ops = { .evict = node_evict };

static struct super_block *single;	/* [I] made at boot */

static struct super_block *make_super(const struct file_system_type *type)
{
	struct super_block *sb = super_alloc(type, &sysfs_super_ops, SYSFS_MAGIC, SB_NODEV_TREE | SB_NOEXEC_TREE);
	struct inode *root;

	if (!sb)
		return NULL;
	sb->d_ops = &sysfs_dentry_ops;
	root = node_inode(sb, &sys_root_node);
	if (root)
		sb->root = dentry_alloc_root(root);
	if (!sb->root) {
		super_put(sb);
		return NULL;
	}
	return sb;
}

static int sysfs_mount(const struct file_system_type *type, u32 flags, const char *source, const char *data,
		       struct super_block **out)
{
	super_get(single);
	*out = single;
	return 0;
}

static struct file_system_type sysfs_type = {
	.name = "sysfs", .flags = FS_NODEV | FS_SINGLE, .mount = sysfs_mount,
};

void sysfs_init(void)
{
	static const char *const dirs[] = { "block", "bus", "class", "dev", "devices", "firmware", "fs", "kernel",
					    "module", "power" };

	for (u32 i = 0; i < ARRAY_SIZE(dirs); i++)
		(void)sys_register_dir(dirs[i]);
	single = make_super(&sysfs_type);
	if (!single || fs_type_register(&sysfs_type))
		panic("cannot register sysfs");
}
