/* SPDX-License-Identifier: MIT */
/*
 * procfs: the root, which shows registered files (proc_node.c), the processes (procfs_pid.c), and
 * "self" and "thread-self". One superblock, as there is one pid namespace.
 */
#include "internal.h"

#include <abi/linux/dirent.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/vfs/chrdev.h>
#include <lib/printf.h>

#define POS_SELF 2
#define POS_NODES 4

static struct super_block *single;	/* [I] made at boot */

/* ---- self ---- */

static const char *self_text(struct inode *inode, bool may_sleep, void **to_free)
{
	struct task *t = task_current_or_null();
	bool thread = inode->private != NULL;
	char *buf;

	if (!t)
		return ERR_PTR(-ENOENT);
	if (!may_sleep)
		return ERR_PTR(-EAGAIN);
	buf = kmalloc(32, 0);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	if (thread)
		snprintf(buf, 32, "%d/task/%d", t->process->pid->nr, t->pid->nr);
	else
		snprintf(buf, 32, "%d", t->process->pid->nr);
	*to_free = buf;
	return buf;
}

static const char *self_get_link(struct dentry *dentry, struct inode *inode, bool may_sleep, void **to_free,
				 struct path *jump)
{
	return self_text(inode, may_sleep, to_free);
}

static const struct inode_ops self_iops = { .get_link = self_get_link };

static struct inode *self_inode(struct super_block *sb, bool thread)
{
	struct inode *inode = inode_alloc(sb, S_IFLNK | 0777);

	if (!inode)
		return NULL;
	inode->uid = inode->gid = 0;
	inode->ops = &self_iops;
	inode->private = thread ? inode : NULL;
	inode->flags |= INODE_NOATIME;
	return inode;
}

/* ---- the root ---- */

static int root_lookup(struct inode *dir, struct dentry *dentry)
{
	const struct qname *q = &dentry->name;
	struct inode *inode;

	if (isdigit(q->str[0]))
		return proc_pid_lookup(dir, dentry);
	if (q->len == 4 && memcmp(q->str, "self", 4) == 0) {
		inode = self_inode(dir->sb, false);
	} else if (q->len == 11 && memcmp(q->str, "thread-self", 11) == 0) {
		inode = self_inode(dir->sb, true);
	} else {
		/* no negative dentries here: creating fails the same way, as on Linux */
		return node_lookup_child(&proc_root_node, dir->sb, dentry);
	}
	if (!inode)
		return -ENOMEM;
	dentry_instantiate(dentry, inode);
	return 0;
}

static int root_iterate(struct file *file, struct dir_context *ctx)
{
	if (!dir_emit_dots(file, ctx))
		return 0;
	if (ctx->pos == POS_SELF && !dir_emit(ctx, "self", 4, POS_SELF + 1, 2, DT_LNK))
		return 0;
	if (ctx->pos == POS_SELF + 1 && !dir_emit(ctx, "thread-self", 11, POS_NODES, 3, DT_LNK))
		return 0;
	if (!node_emit_children(&proc_root_node, ctx, POS_NODES))
		return 0;
	return proc_pid_iterate(file, ctx);
}

static int root_getattr(const struct path *path, struct inode *inode, struct kstat *st)
{
	/* nlink of /proc counts the processes. */
	st->nlink = proc_root_node.nlink + (u32)task_count();
	return 0;
}

static const struct inode_ops root_iops = { .lookup = root_lookup, .getattr = root_getattr };
static const struct file_ops root_fops = { .iterate = root_iterate, .llseek = dir_llseek };

static struct super_block *make_super(const struct file_system_type *type)
{
	struct super_block *sb = super_alloc(type, &proc_super_ops, PROC_SUPER_MAGIC,
					     SB_NODEV_TREE | SB_NOEXEC_TREE);
	struct inode *root;

	if (!sb)
		return NULL;
	sb->blocksize = 1024;
	sb->d_ops = &proc_dentry_ops;
	root = node_inode(sb, &proc_root_node);
	if (root) {
		root->ops = &root_iops;
		root->fops = &root_fops;
		root->flags |= INODE_GETATTR;
		sb->root = dentry_alloc_root(root);
	}
	if (!sb->root) {
		super_put(sb);
		return NULL;
	}
	return sb;
}

static int proc_mount(const struct file_system_type *type, u32 flags, const char *source, const char *data,
		      struct super_block **out)
{
	/* hidepid=0 is what there is. */
	if (*data && strcmp(data, "hidepid=0") != 0)
		return -EINVAL;
	super_get(single);
	*out = single;
	return 0;
}

static struct file_system_type proc_type = { .name = "proc", .flags = FS_NODEV | FS_SINGLE, .mount = proc_mount };

/* ---- the vfs's own files ---- */

static int show_filesystems(struct seq *s, void *arg)
{
	fs_types_show(s);
	return 0;
}

static int show_devices(struct seq *s, void *arg)
{
	chrdev_show(s);
	return 0;
}

static int show_file_nr(struct seq *s, void *arg)
{
	seq_printf(s, "%llu\t0\t%llu\n", (unsigned long long)file_count(), (unsigned long long)file_max());
	return 0;
}

static int show_u64(struct seq *s, void *arg)
{
	u64 (*get)(void) = (u64(*)(void))(uintptr_t)arg;

	seq_printf(s, "%llu\n", (unsigned long long)get());
	return 0;
}

static u64 nr_open(void)
{
	return 1ULL << 20;
}

void procfs_init(void)
{
	single = make_super(&proc_type);
	if (!single || fs_type_register(&proc_type))
		panic("cannot register procfs");
	(void)proc_register("filesystems", 0444, show_filesystems, NULL);
	(void)proc_register("devices", 0444, show_devices, NULL);
	(void)proc_register_link("mounts", "self/mounts");
	(void)proc_register("sys/fs/file-nr", 0444, show_file_nr, NULL);
	(void)proc_register("sys/fs/file-max", 0444, show_u64, (void *)(uintptr_t)file_max);
	(void)proc_register("sys/fs/nr_open", 0444, show_u64, (void *)(uintptr_t)nr_open);
}
