/* SPDX-License-Identifier: MIT */
/*
 * The files that subsystems registered in vfs/proc.h, as inodes: shared by procfs and sysfs.
 *
 * An inode of a registered node has the node in inode->private. A node's text is made by
 * seq files; what is written is handed to its store function as one text.
 */
#include "internal.h"

#include <abi/linux/dirent.h>

#define POS_FIRST 2

static const struct inode_ops node_dir_iops, node_link_iops, node_file_iops;
static const struct file_ops node_dir_fops;

struct proc_node *node_child(struct proc_node *dir, const char *name, u32 len)
{
	struct proc_node *n;

	for (n = smp_load_acquire(&dir->children); n; n = smp_load_acquire(&n->next))
		if (strlen(n->name) == len && memcmp(n->name, name, len) == 0)
			return n;
	return NULL;
}

bool node_emit_children(struct proc_node *dir, struct dir_context *ctx, s64 base)
{
	struct proc_node *n;
	s64 at = base;

	for (n = smp_load_acquire(&dir->children); n; n = smp_load_acquire(&n->next), at++) {
		if (at < ctx->pos)
			continue;
		if (!dir_emit(ctx, n->name, strlen(n->name), at + 1, n->ino, dtype_of_mode(n->mode)))
			return false;
	}
	return true;
}

struct inode *node_inode(struct super_block *sb, struct proc_node *node)
{
	struct inode *inode = inode_alloc(sb, node->mode);

	if (!inode)
		return NULL;
	inode->uid = inode->gid = 0;
	inode->ino = node->ino;
	inode->nlink = node->nlink;
	inode->private = node;
	inode->flags |= INODE_NOATIME | INODE_NOCMTIME;
	if (S_ISDIR(node->mode)) {
		inode->ops = &node_dir_iops;
		inode->fops = &node_dir_fops;
	} else if (S_ISLNK(node->mode)) {
		inode->ops = &node_link_iops;
		inode->size = strlen(node->target);
	} else {
		inode->ops = &node_file_iops;
		inode->fops = &node_file_fops;
		/* sysfs attributes show a page, /proc files nothing. */
		inode->size = sb->magic == SYSFS_MAGIC ? PAGE_SIZE : 0;
	}
	return inode;
}

/* ---- directories and links ---- */

static int node_lookup(struct inode *dir, struct dentry *dentry)
{
	struct proc_node *n = node_child(dir->private, dentry->name.str, dentry->name.len);
	struct inode *inode;

	if (!n)
		return 0;	/* negative */
	inode = node_inode(dir->sb, n);
	if (!inode)
		return -ENOMEM;
	dentry_instantiate(dentry, inode);
	return 0;
}

static int node_iterate(struct file *file, struct dir_context *ctx)
{
	if (dir_emit_dots(file, ctx))
		node_emit_children(file->inode->private, ctx, POS_FIRST);
	return 0;
}

static const char *node_get_link(struct dentry *dentry, struct inode *inode, bool may_sleep, void **to_free,
				 struct path *jump)
{
	return ((struct proc_node *)inode->private)->target;
}

static const struct inode_ops node_dir_iops = { .lookup = node_lookup };
static const struct inode_ops node_link_iops = { .get_link = node_get_link };
static const struct inode_ops node_file_iops = { 0 };
static const struct file_ops node_dir_fops = { .iterate = node_iterate, .llseek = dir_llseek };

/* ---- files ---- */

static int node_show(struct seq *s, void *arg)
{
	const struct proc_node *n = arg;

	return n->show ? n->show(s, n->arg) : -EIO;
}

static int node_open(struct inode *inode, struct file *file)
{
	struct proc_node *n = inode->private;

	if (n->ops) {
		file->ops = n->ops;
		file->private = n->arg;
		return n->ops->open ? n->ops->open(inode, file) : 0;
	}
	return seq_file_open(file, node_show, n);
}

/* One write is one text of less than a page, terminated for the reader's comfort. */
ssize_t node_write_text(struct iter *from, int (*store)(void *arg, const char *text, size_t len), void *arg)
{
	size_t n = MIN(iter_count(from), (size_t)PAGE_SIZE - 1);
	char *text;
	int err;

	if (!store)
		return -EIO;
	text = kmalloc(PAGE_SIZE, 0);
	if (!text)
		return -ENOMEM;
	if (iter_copy_from(from, text, n) != n) {
		kfree(text);
		return -EFAULT;
	}
	text[n] = '\0';
	err = store(arg, text, n);
	kfree(text);
	return err ? err : (ssize_t)n;
}

static ssize_t node_write(struct kiocb *iocb, struct iter *from)
{
	struct proc_node *n = iocb->file->inode->private;
	ssize_t done = node_write_text(from, n->store, n->arg);

	if (done > 0)
		iocb->pos += done;
	return done;
}

static void node_release(struct inode *inode, struct file *file)
{
	seq_file_release(file);
}

const struct file_ops node_file_fops = {
	.open = node_open,
	.read_iter = seq_file_read,
	.write_iter = node_write,
	.llseek = seq_file_llseek,
	.release = node_release,
};
