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
static const struct file_ops node_dir_fops, node_binary_fops;

bool node_emit_children(struct proc_node *dir, struct dir_context *ctx, s64 base)
{
	struct proc_node *n;
	bool more = true;

	while (more && (n = node_child_from(dir, ctx->pos > base ? (u64)(ctx->pos - base) : 0))) {
		more = dir_emit(ctx, n->name, strlen(n->name), base + (s64)n->order + 1, n->ino, dtype_of_mode(n->mode));
		node_put(n);
	}
	return more;
}

/* Consumes nothing: the inode gets a reference of its own, which node_evict() puts. */
struct inode *node_inode(struct super_block *sb, struct proc_node *node)
{
	struct inode *inode = inode_alloc(sb, node->mode);

	if (!inode)
		return NULL;
	inode->uid = inode->gid = 0;
	inode->ino = node->ino;
	inode->nlink = node->nlink;
	node_get(node);
	inode->private = node;
	inode->flags |= INODE_NOATIME | INODE_NOCMTIME;
	if (S_ISDIR(node->mode)) {
		inode->ops = &node_dir_iops;
		inode->fops = &node_dir_fops;
		inode->flags |= INODE_GETATTR;
	} else if (S_ISLNK(node->mode)) {
		inode->ops = &node_link_iops;
		inode->size = strlen(node->target);
	} else {
		inode->ops = &node_file_iops;
		inode->fops = &node_file_fops;
		/* sysfs attributes show a page, /proc files nothing. */
		inode->size = node->binary ? node->binary->size : sb->magic == SYSFS_MAGIC ? PAGE_SIZE : 0;
	}
	return inode;
}

/* The registered node that an inode shows; NULL when it shows none. */
static struct proc_node *node_of(const struct inode *inode)
{
	return inode->ops == &node_dir_iops || inode->ops == &node_link_iops || inode->ops == &node_file_iops ?
		inode->private : NULL;
}

void node_evict(struct inode *inode)
{
	struct proc_node *n = node_of(inode);

	if (n)
		node_put(n);
}

int node_revalidate(const struct inode *inode)
{
	const struct proc_node *n = node_of(inode);

	return !n || !node_is_gone(n);
}

/* ---- directories and links ---- */

int node_lookup_child(struct proc_node *dir, struct super_block *sb, struct dentry *dentry)
{
	struct proc_node *n = node_child_get(dir, dentry->name.str, dentry->name.len);
	struct inode *inode;

	if (!n)
		return -ENOENT;
	inode = node_inode(sb, n);
	node_put(n);
	if (!inode)
		return -ENOMEM;
	dentry_instantiate(dentry, inode);
	return 0;
}

static int node_lookup(struct inode *dir, struct dentry *dentry)
{
	int err = node_lookup_child(dir->private, dir->sb, dentry);

	return err == -ENOENT ? 0 : err;	/* negative */
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

/* Entries come and go while the inode stays. */
static int node_getattr(const struct path *path, struct inode *inode, struct kstat *st)
{
	st->nlink = READ_ONCE(((struct proc_node *)inode->private)->nlink);
	return 0;
}

static const struct inode_ops node_dir_iops = { .lookup = node_lookup, .getattr = node_getattr };
static const struct inode_ops node_link_iops = { .get_link = node_get_link };
static const struct inode_ops node_file_iops = { 0 };
static const struct file_ops node_dir_fops = { .iterate = node_iterate, .llseek = dir_llseek };

/* ---- files ---- */

static int node_show(struct seq *s, void *arg)
{
	struct proc_node *n = arg;
	int err;

	if (!node_enter(n))
		return -ENODEV;
	err = n->show ? n->show(s, n->arg) : -EIO;
	node_leave(n);
	return err;
}

static int node_open(struct inode *inode, struct file *file)
{
	struct proc_node *n = inode->private;

	if (node_is_gone(n))
		return -ENODEV;
	if (n->ops) {
		file->ops = n->ops;
		file->private = n->arg;
		return n->ops->open ? n->ops->open(inode, file) : 0;
	}
	if (n->binary) {
		file->ops = &node_binary_fops;
		return 0;
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

static int node_store(void *arg, const char *text, size_t len)
{
	struct proc_node *n = arg;
	void *held = n->arg;
	int err;

	if (!node_enter(n))
		return -ENODEV;
	if (n->hold) {
		n->hold(held);
		node_leave(n);
		err = n->store(held, text, len);
		n->drop(held);
		return err;
	}
	err = n->store(held, text, len);
	node_leave(n);
	return err;
}

static ssize_t node_write(struct kiocb *iocb, struct iter *from)
{
	struct proc_node *n = iocb->file->inode->private;
	ssize_t done = node_write_text(from, n->store ? node_store : NULL, n);

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

/* ---- files of bytes ---- */

/* How much of n at that place an access may move. */
static size_t binary_room(const struct proc_node *n, s64 pos, size_t want)
{
	want = MIN(want, (size_t)PAGE_SIZE);
	if (!n->binary->size)
		return want;
	return (u64)pos < n->binary->size ? MIN(want, n->binary->size - (u64)pos) : 0;
}

static ssize_t binary_read(struct kiocb *iocb, struct iter *to)
{
	struct proc_node *n = iocb->file->inode->private;
	size_t want = binary_room(n, iocb->pos, iter_count(to));
	ssize_t done = 0;
	void *buf;

	if (!n->binary->read)
		return -EIO;
	if (!want)
		return 0;
	buf = kmalloc(want, 0);
	if (!buf)
		return -ENOMEM;
	if (node_enter(n)) {
		done = n->binary->read(iocb->file, n->arg, (u64)iocb->pos, buf, want);
		node_leave(n);
	} else {
		done = -ENODEV;
	}
	if (done > 0 && iter_copy_to(to, buf, (size_t)done) != (size_t)done)
		done = -EFAULT;
	if (done > 0)
		iocb->pos += done;
	kfree(buf);
	return done;
}

static ssize_t binary_write(struct kiocb *iocb, struct iter *from)
{
	struct proc_node *n = iocb->file->inode->private;
	size_t want = binary_room(n, iocb->pos, iter_count(from));
	ssize_t done = -ENODEV;
	void *buf;

	if (!n->binary->write)
		return -EIO;
	if (!want)
		return iter_count(from) ? -EFBIG : 0;
	buf = kmalloc(want, 0);
	if (!buf)
		return -ENOMEM;
	if (iter_copy_from(from, buf, want) != want) {
		done = -EFAULT;
	} else if (node_enter(n)) {
		done = n->binary->write(iocb->file, n->arg, (u64)iocb->pos, buf, want);
		node_leave(n);
	}
	if (done > 0)
		iocb->pos += done;
	kfree(buf);
	return done;
}

static s64 binary_llseek(struct file *file, s64 offset, int whence)
{
	struct proc_node *n = file->inode->private;

	return file_llseek_size(file, offset, whence, INT64_MAX, n->binary->size);
}

static const struct file_ops node_binary_fops = {
	.read_iter = binary_read,
	.write_iter = binary_write,
	.llseek = binary_llseek,
};
