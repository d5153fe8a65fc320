/* SPDX-License-Identifier: MIT */
/*
 * Character devices: a table of claimed number ranges, searched at open. Drivers register at boot
 * and seldom leave; readers search under RCU.
 */
#include "internal.h"

#include <kernel/core/rcu.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/vfs/chrdev.h>
#include <kernel/vfs/seq.h>

struct chrdev {
	struct list_head node;		/* [chrdevs_lock], RCU for readers; by number */
	u32 major, minor, count;	/* [I] */
	const char *name;		/* [I] */
	const struct file_ops *ops;	/* [I] */
	struct rcu_head rcu;
};

static struct spinlock chrdevs_lock;
static LIST_HEAD(chrdevs);

int (*devnode_create_hook)(const char *name, u32 mode, devnum_t dev);
void (*devnode_remove_hook)(const char *name);
int (*blkdev_open_hook)(struct inode *inode, struct file *file);

int chrdev_register(u32 major, u32 minor, u32 count, const char *name, const struct file_ops *ops)
{
	struct chrdev *new = kmalloc(sizeof(*new), 0), *c;
	struct list_head *before = &chrdevs;
	int err = 0;

	if (!new)
		return -ENOMEM;
	*new = (struct chrdev){ .major = major, .minor = minor, .count = count, .name = name, .ops = ops };
	spin_lock(&chrdevs_lock);
	list_for_each_entry(c, &chrdevs, node) {
		if (c->major == major && c->minor < minor + count && minor < c->minor + c->count)
			err = -EBUSY;
		if (before == &chrdevs && (c->major > major || (c->major == major && c->minor > minor)))
			before = &c->node;
	}
	if (!err)
		list_add_tail_rcu(&new->node, before);
	spin_unlock(&chrdevs_lock);
	if (err)
		kfree(new);
	return err;
}

static void chrdev_free(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct chrdev, rcu));
}

void chrdev_unregister(u32 major, u32 minor, u32 count)
{
	struct chrdev *c, *next;

	spin_lock(&chrdevs_lock);
	list_for_each_entry_safe(c, next, &chrdevs, node) {
		if (c->major == major && c->minor == minor && c->count == count) {
			list_del_rcu(&c->node);
			call_rcu(&c->rcu, chrdev_free);
		}
	}
	spin_unlock(&chrdevs_lock);
}

static const struct file_ops *find_ops(devnum_t dev)
{
	const struct file_ops *ops = NULL;
	struct chrdev *c;

	rcu_read_lock();
	list_for_each_entry_rcu(c, &chrdevs, node) {
		if (c->major == DEV_MAJOR(dev) && DEV_MINOR(dev) - c->minor < c->count) {
			ops = c->ops;
			break;
		}
	}
	rcu_read_unlock();
	return ops;
}

static int chrdev_open(struct inode *inode, struct file *file)
{
	const struct file_ops *ops = find_ops(inode->rdev);

	if (!ops)
		return -ENXIO;
	file->ops = ops;
	return ops->open ? ops->open(inode, file) : 0;
}

const struct file_ops chrdev_fops = { .open = chrdev_open };

static int blkdev_open(struct inode *inode, struct file *file)
{
	return blkdev_open_hook ? blkdev_open_hook(inode, file) : -ENXIO;
}

const struct file_ops blkdev_fops = { .open = blkdev_open };

/* One line a major and name, as proc(5) shows them. */
void chrdev_show(struct seq *s)
{
	struct chrdev *c, *last = NULL;

	seq_puts(s, "Character devices:\n");
	rcu_read_lock();
	list_for_each_entry_rcu(c, &chrdevs, node) {
		if (!last || last->major != c->major || strcmp(last->name, c->name) != 0)
			seq_printf(s, "%3u %s\n", c->major, c->name);
		last = c;
	}
	rcu_read_unlock();
	seq_puts(s, "\nBlock devices:\n");
}

int devnode_create(const char *name, u32 mode, devnum_t dev)
{
	return devnode_create_hook ? devnode_create_hook(name, mode, dev) : -ENODEV;
}

void devnode_remove(const char *name)
{
	if (devnode_remove_hook)
		devnode_remove_hook(name);
}

void chrdev_init(void)
{
	spin_init(&chrdevs_lock, "character devices", LOCK_RANK_REGISTRY);
}
