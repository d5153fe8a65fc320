/* SPDX-License-Identifier: MIT */
/*
 * struct file: allocation, the second half of open, the last put.
 *
 * The cache is type-safe under RCU: a freed file's memory stays a struct file
 * for a grace period, its count 0, so that descriptor look-ups may try to take a
 * reference on whatever pointer they read. The constructor initialises the
 * locks once; they are free whenever a file is.
 */
#include "internal.h"

#include <abi/linux/capability.h>
#include <kernel/core/percpu_counter.h>
#include <kernel/mm/page.h>
#include <kernel/vfs/locks.h>

static struct kmem_cache *file_cache;
DEFINE_PERCPU_COUNTER(nr_files);
static u64 max_files;

void (*file_sigio_hook)(struct file *file, int band);
void (*file_fsize_signal_hook)(void);

static const struct file_ops path_fops;		/* O_PATH: nothing works */

static void backing_get(struct vm_backing *b)
{
	file_get(file_of_backing(b));
}

static void backing_put(struct vm_backing *b)
{
	file_put(file_of_backing(b));
}

static void backing_describe(struct vm_backing *b, struct vm_backing_info *out)
{
	const struct inode *inode = file_of_backing(b)->inode;

	out->dev = inode->sb->dev;
	out->ino = inode->ino;
}

static const struct vm_backing_ops backing_ops = {
	.get = backing_get,
	.put = backing_put,
	.describe = backing_describe,
};

static void file_ctor(void *obj)
{
	struct file *f = obj;

	memset(f, 0, sizeof(*f));
	mutex_init(&f->pos_lock, "file position", LOCK_RANK_FILE_POS);
	spin_init(&f->lock, "file", LOCK_RANK_FILE);
	f->backing.ops = &backing_ops;
}

struct file *file_alloc(u32 flags)
{
	struct file *f;

	/* As Linux: near the limit the parts of all CPUs are added up. */
	if (unlikely(percpu_counter_read(&nr_files) >= (s64)max_files) && percpu_counter_sum(&nr_files) >= (s64)max_files &&
	    !capable(CAP_SYS_ADMIN))
		return ERR_PTR(-ENFILE);
	f = kmem_cache_alloc(file_cache, 0);
	if (!f)
		return ERR_PTR(-ENOMEM);
	percpu_counter_add(&nr_files, 1);
	f->flags = flags;
	f->mode = 0;
	f->ops = &path_fops;
	f->inode = NULL;
	f->pos = 0;
	f->private = NULL;
	f->owner = (struct file_owner){ 0 };
	f->version = 0;
	f->has_locks = false;
	f->cred = cred_get(current_cred());
	/* Last: from here on a look-up may believe in it. */
	__atomic_store_n(&f->ref.n.v, 1, __ATOMIC_RELEASE);
	return f;
}

/* The count is 0. */
static void file_free(struct file *f)
{
	const struct cred *cred = f->cred;

	kmem_cache_free(file_cache, f);
	percpu_counter_add(&nr_files, -1);
	cred_put(cred);
}

/*
 * A file that was never opened; its path stays the caller's. A look-up in a descriptor table may have counted
 * it for a moment, by a slot that led here when the memory was another file: then its put is the last one.
 */
void file_drop_unopened(struct file *f)
{
	f->mode = 0;
	f->inode = NULL;
	f->path = (struct path){ 0 };
	file_put(f);
}

u64 file_count(void)
{
	return (u64)percpu_counter_sum(&nr_files);
}

u64 file_max(void)
{
	return max_files;
}

/* FMODE_* that follow from the operations. */
static u32 mode_of_ops(const struct file *f, u32 mode)
{
	const struct file_ops *ops = f->ops;

	if ((mode & FMODE_READ) && ops->read_iter)
		mode |= FMODE_CAN_READ;
	if ((mode & FMODE_WRITE) && ops->write_iter)
		mode |= FMODE_CAN_WRITE;
	if (ops->llseek && ops->llseek != file_llseek_none)
		mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return mode | ops->fmode;
}

static bool counts_as_writer(const struct inode *inode)
{
	u32 type = inode->mode & S_IFMT;

	return type == S_IFREG || type == S_IFDIR;
}

static int open_for_write(struct file *f)
{
	int err;

	if (!(f->mode & FMODE_WRITE) || !counts_as_writer(f->inode))
		return 0;
	err = inode_get_write(f->inode);
	if (err)
		return err;
	err = mount_get_write(f->path.mnt);
	if (err) {
		inode_put_write(f->inode);
		return err;
	}
	f->mode |= FMODE_WRITER;
	return 0;
}

static void close_for_write(struct file *f)
{
	if (f->mode & FMODE_WRITER) {
		inode_put_write(f->inode);
		mount_put_write(f->path.mnt);
	}
}

int file_open_finish(struct file *f, const struct path *path, u32 flags)
{
	static const u32 access[] = { FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0 };
	struct inode *inode = path->dentry->inode;
	u32 type = inode->mode & S_IFMT;
	int err;

	f->path = *path;
	f->inode = inode;
	if (unlikely(flags & O_PATH)) {
		f->mode = FMODE_PATH;
		return 0;
	}
	f->mode = access[flags & O_ACCMODE];
	if (type == S_IFREG || type == S_IFDIR)
		f->mode |= FMODE_ATOMIC_POS;
	err = open_for_write(f);
	if (err)
		goto free;
	f->ops = inode->fops;
	if (f->ops->open) {
		err = f->ops->open(inode, f);
		if (err)
			goto unwrite;
	}
	f->mode = mode_of_ops(f, f->mode) | FMODE_OPENED;
	f->flags &= ~(u32)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC);
	if (unlikely(flags & O_DIRECT)) {
		/* Pages of memory are all there is, and devices that have none: Linux's refuse it too, when they have been opened. */
		path_get(path); /* first: the file may hold the last one */
		file_put(f);
		return -EINVAL;
	}
	return 0;
unwrite:
	close_for_write(f);
free:
	file_drop_unopened(f);
	return err;
}

/* The last reference is gone. */
void file_release_last(struct file *f)
{
	struct path path = f->path;
	struct inode *inode = f->inode;

	if (unlikely(f->has_locks))
		locks_remove_file(f);
	if ((f->mode & FMODE_OPENED) && f->ops->release)
		f->ops->release(inode, f);
	if (f->mode & FMODE_EXEC)
		inode_allow_write(inode);
	close_for_write(f);
	file_free(f);
	if (likely(path.mnt))
		path_put(&path);
}

struct file *file_alloc_nameless(const struct path *path, u32 flags, const struct file_ops *ops,
				 void *private)
{
	static const u32 access[] = { FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0 };
	struct file *f = file_alloc(flags);

	if (IS_ERR(f))
		return f;
	f->path = *path;
	f->inode = path->dentry->inode;
	f->ops = ops;
	f->private = private;
	f->mode = mode_of_ops(f, access[flags & O_ACCMODE]) | FMODE_OPENED;
	if (S_ISREG(f->inode->mode))
		f->mode |= FMODE_ATOMIC_POS;
	return f;
}

void file_cache_init(void)
{
	struct mm_stats stats;

	file_cache = kmem_cache_create("filp", sizeof(struct file), 64, file_ctor,
				       SLAB_TYPESAFE_BY_RCU);
	if (!file_cache)
		panic("no memory for the cache of open files");
	/* A tenth of memory at a KiB a file, as Linux reckons. */
	mm_stats(&stats);
	max_files = MAX(stats.total * (PAGE_SIZE / 1024) / 10, 8192ULL);
}
