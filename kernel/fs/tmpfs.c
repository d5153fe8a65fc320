/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: files in memory. tmpfs(5) of Linux, in four dresses: tmpfs (limited), ramfs (not limited),
 * rootfs (the tmpfs that is / at boot) and devtmpfs (devtmpfs.c).
 *
 * Names live in the dentry cache: each is pinned by a reference of its own. Contents
 * are the pages of a vm object that is also what mmap maps. A page is charged to the
 * instance when it appears and uncharged when it goes, so holes cost nothing.
 *
 * Lives: objects may outlive their inode (a mapping that is just going away), and the instance's
 * counters outlive both: struct tmpfs is counted by its superblock and by each object.
 *
 * Looks are Linux's: a directory's size is 20 bytes an entry, "." and ".." included; a
 * new name counts as an inode even if it is a hard link.
 */
#include "internal.h"

#include <abi/linux/capability.h>
#include <abi/linux/dirent.h>
#include <abi/linux/fcntl.h>
#include <abi/linux/limits.h>
#include <abi/linux/mman.h>
#include <abi/linux/resource.h>
#include <kernel/core/rcu.h>
#include <kernel/task/rlimit.h>
#include <kernel/vm/object.h>
#include <kernel/vm/space.h>

#define ENTRY_BYTES 20		/* BOGO_DIRENT_SIZE */
#define SYMLINK_SHORT 128	/* longer ones are shown as one page */

/* Keys: [I] immutable, [a] atomic, [r] changed by remount only. */
struct tmpfs {
	refcount_t ref;			/* [a] */
	u64 max_blocks;			/* [r] pages; 0: no limit */
	u64 max_inodes;			/* [r] 0: no limit */
	atomic64_t blocks;		/* [a] pages in use */
	atomic64_t inodes;		/* [a] in use, hard links included */
	u32 mode, default_mode;		/* [I] of the root */
	u32 uid, gid;			/* [I] of the root */
	bool limited;			/* [I] */
};

struct tmpfs_object {
	struct vm_object vm;
	struct tmpfs *fs;		/* [I] counted */
	struct inode *inode;		/* [a] NULL when it is gone */
	struct rcu_head rcu;		/* stat(2) counts the pages of what a walk has met, which may be dying */
};

static const struct inode_ops dir_inode_ops, file_inode_ops, link_inode_ops, special_inode_ops;
static const struct file_ops dir_fops, file_fops;

static struct tmpfs *fs_of(const struct super_block *sb)
{
	return sb->private;
}

static u64 default_pages(void)
{
	struct mm_stats stats;

	mm_stats(&stats);
	return stats.total / 2;
}

static void fs_put(struct tmpfs *fs)
{
	if (refcount_put_and_test(&fs->ref))
		kfree(fs);
}

/* ---- room ---- */

static int charge_inode(struct tmpfs *fs)
{
	u64 n = (u64)atomic64_inc_return(&fs->inodes);

	if (fs->max_inodes && n > fs->max_inodes) {
		atomic64_dec(&fs->inodes);
		return -ENOSPC;
	}
	return 0;
}

static void uncharge_inode(struct tmpfs *fs)
{
	atomic64_dec(&fs->inodes);
}

static int object_charge(struct vm_object *vm, u64 pages)
{
	struct tmpfs *fs = container_of(vm, struct tmpfs_object, vm)->fs;
	u64 n = (u64)atomic64_add_return(&fs->blocks, (s64)pages);

	if (fs->max_blocks && n > fs->max_blocks) {
		atomic64_sub(&fs->blocks, (s64)pages);
		return -ENOSPC;
	}
	return 0;
}

static void object_uncharge(struct vm_object *vm, u64 pages)
{
	atomic64_sub(&container_of(vm, struct tmpfs_object, vm)->fs->blocks, (s64)pages);
}

static void object_dirtied(struct vm_object *vm)
{
	struct inode *inode = READ_ONCE(container_of(vm, struct tmpfs_object, vm)->inode);

	/* A mapping holds the file, so the inode is there as long as anybody can write. */
	if (inode)
		inode_touch(inode, true, true);
}

static void object_free_rcu(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct tmpfs_object, rcu));
}

static void object_release(struct vm_object *vm)
{
	struct tmpfs_object *obj = container_of(vm, struct tmpfs_object, vm);

	fs_put(obj->fs);
	call_rcu(&obj->rcu, object_free_rcu);
}

static const struct vm_object_ops object_ops = {
	.charge = object_charge,
	.uncharge = object_uncharge,
	.dirtied = object_dirtied,
	.release = object_release,
};

static struct vm_object *object_create(struct tmpfs *fs, struct inode *inode)
{
	struct tmpfs_object *obj = kmalloc(sizeof(*obj), 0);

	if (!obj)
		return NULL;
	vm_object_init(&obj->vm, OBJECT_SHMEM, &object_ops, inode, 0);
	refcount_get(&fs->ref);
	obj->fs = fs;
	obj->inode = inode;
	return &obj->vm;
}

/* ---- inodes ---- */

/* -ENOSPC or -ENOMEM. The inode is not in any directory yet. */
static int make_inode(struct super_block *sb, const struct inode *dir, u32 mode, devnum_t rdev,
		      struct inode **out)
{
	struct tmpfs *fs = fs_of(sb);
	struct inode *inode;
	int err = charge_inode(fs);

	if (err)
		return err;
	inode = inode_alloc(sb, mode);
	if (!inode)
		goto uncharge;
	inode_init_owner(inode, dir, mode);
	switch (mode & S_IFMT) {
	case S_IFREG:
		inode->ops = &file_inode_ops;
		inode->fops = &file_fops;
		inode->flags |= F_SEAL_SEAL << INODE_SEAL_SHIFT;
		inode->object = object_create(fs, inode);
		if (!inode->object)
			goto put;
		break;
	case S_IFDIR:
		inode->ops = &dir_inode_ops;
		inode->fops = &dir_fops;
		inode->nlink = 2;
		inode->size = 2 * ENTRY_BYTES;
		break;
	case S_IFLNK:
		inode->ops = &link_inode_ops;
		break;
	default:
		inode->ops = &special_inode_ops;
		inode_init_special(inode, inode->mode, rdev);
		break;
	}
	*out = inode;
	return 0;
put:
	/* evict() gives the room back. */
	inode_put(inode);
	return -ENOMEM;
uncharge:
	uncharge_inode(fs);
	return -ENOMEM;
}

struct inode *tmpfs_make_nameless(struct super_block *sb, u32 mode)
{
	struct inode *inode;

	if (make_inode(sb, NULL, mode, 0, &inode) != 0)
		return NULL;
	inode->nlink = 0;
	inode->flags &= ~INODE_SEALS;
	return inode;
}

static void tmpfs_evict(struct inode *inode)
{
	if (inode->object) {
		struct tmpfs_object *obj = container_of(inode->object, struct tmpfs_object, vm);

		vm_object_truncate(inode->object, 0);
		WRITE_ONCE(obj->inode, NULL);
		WRITE_ONCE(inode->object, NULL);
		vm_object_put(&obj->vm);
	}
	uncharge_inode(fs_of(inode->sb));
}

/* After the grace period: path walks read link texts under RCU. */
static void tmpfs_free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->mode))
		kfree(inode->link);
	inode_free_default(inode);
}

/* ---- directories: the dentry is negative, the directory locked ---- */

static void dir_changed(struct inode *dir, int entries)
{
	inode_set_size(dir, dir->size + (u64)(s64)(entries * ENTRY_BYTES));
	inode_touch(dir, true, true);
}

int tmpfs_mknod(struct inode *dir, struct dentry *dentry, u32 mode, devnum_t rdev)
{
	struct inode *inode;
	int err = make_inode(dir->sb, dir, mode, rdev, &inode);

	if (err)
		return err;
	dentry_instantiate_pinned(dentry, inode);
	dir_changed(dir, 1);
	return 0;
}

static int tmpfs_create(struct inode *dir, struct dentry *dentry, u32 mode)
{
	return tmpfs_mknod(dir, dentry, mode, 0);
}

int tmpfs_mkdir(struct inode *dir, struct dentry *dentry, u32 mode)
{
	int err = tmpfs_mknod(dir, dentry, S_IFDIR | mode, 0);

	if (!err)
		inode_inc_nlink(dir);
	return err;
}

static int tmpfs_symlink(struct inode *dir, struct dentry *dentry, const char *target, size_t len)
{
	struct inode *inode;
	char *text;
	int err;

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	text = kmalloc(len + 1, 0);
	if (!text)
		return -ENOMEM;
	memcpy(text, target, len + 1);
	err = make_inode(dir->sb, dir, S_IFLNK | 0777, 0, &inode);
	if (err) {
		kfree(text);
		return err;
	}
	inode->link = text;
	inode->size = len;
	inode->blocks = len + 1 > SYMLINK_SHORT ? PAGE_SIZE / 512 : 0;
	dentry_instantiate_pinned(dentry, inode);
	dir_changed(dir, 1);
	return 0;
}

static int tmpfs_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = old->inode;

	/* An O_TMPFILE that gets its first name was counted when it was made. */
	if (inode->nlink) {
		int err = charge_inode(fs_of(dir->sb));

		if (err)
			return err;
	}
	inode_inc_nlink(inode);
	inode_touch(inode, false, true);
	dentry_instantiate_pinned(dentry, inode_get(inode));
	dir_changed(dir, 1);
	return 0;
}

int tmpfs_unlink(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = dentry->inode;

	if (inode->nlink > 1 && !S_ISDIR(inode->mode))
		uncharge_inode(fs_of(dir->sb));
	inode_drop_nlink(inode);
	inode_touch(inode, false, true);
	dir_changed(dir, -1);
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	if (dentry_has_children(dentry))
		return -ENOTEMPTY;
	inode_drop_nlink(dentry->inode);
	inode_drop_nlink(dir);
	return tmpfs_unlink(dir, dentry);
}

static int rename_exchange(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			   struct dentry *new)
{
	bool a = dentry_is_dir(old), b = dentry_is_dir(new);

	if (old_dir != new_dir && a != b) {
		inode_drop_nlink(a ? old_dir : new_dir);
		inode_inc_nlink(a ? new_dir : old_dir);
	}
	inode_touch(old_dir, true, true);
	inode_touch(new_dir, true, true);
	inode_touch(old->inode, false, true);
	inode_touch(new->inode, false, true);
	return 0;
}

static int tmpfs_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			struct dentry *new, u32 flags)
{
	bool is_dir = dentry_is_dir(old);

	if (flags & RENAME_EXCHANGE)
		return rename_exchange(old_dir, old, new_dir, new);
	if (new->inode) {
		if (is_dir && dentry_has_children(new))
			return -ENOTEMPTY;
		(void)tmpfs_unlink(new_dir, new);
		if (is_dir) {
			inode_drop_nlink(new->inode);
			inode_drop_nlink(old_dir);
		}
	} else if (is_dir) {
		inode_drop_nlink(old_dir);
		inode_inc_nlink(new_dir);
	}
	dir_changed(old_dir, -1);
	dir_changed(new_dir, 1);
	inode_touch(old->inode, false, true);
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, struct dentry *dentry, u32 mode)
{
	struct inode *inode;
	int err = make_inode(dir->sb, dir, mode, 0, &inode);

	if (err)
		return err;
	inode->nlink = 0;
	dentry_instantiate(dentry, inode);
	return 0;
}

static const char *tmpfs_get_link(struct dentry *dentry, struct inode *inode, bool may_sleep,
				  void **to_free, struct path *jump)
{
	return READ_ONCE(inode->link);
}

static int tmpfs_setattr(struct dentry *dentry, struct attr_change *attr)
{
	struct inode *inode = dentry->inode;

	if ((attr->valid & ATTR_SIZE) && S_ISREG(inode->mode)) {
		u32 seals = (inode->flags & INODE_SEALS) >> INODE_SEAL_SHIFT;

		if ((attr->size < inode->size && (seals & F_SEAL_SHRINK)) ||
		    (attr->size > inode->size && (seals & F_SEAL_GROW)))
			return -EPERM;
		if (attr->size != inode->size)
			attr->valid |= ATTR_MTIME | ATTR_CTIME;
		inode_set_size(inode, attr->size);
		if (attr->size < vm_object_size(inode->object))
			vm_object_truncate(inode->object, attr->size);
		else
			vm_object_set_size(inode->object, attr->size);
	}
	return inode_setattr_simple(dentry, attr);
}

/* ---- files ---- */

/*
 * Room for [start, end), or what was got behind the file's end is given back: nobody could see that it is there,
 * and all of the machine's memory would sit in a file that looks empty. Inode locked, so no page behind the end
 * has been written; pages before it may have been, by a mapping.
 */
static int allocate_or_undo(struct inode *inode, u64 start, u64 end)
{
	const struct tmpfs *fs = fs_of(inode->sb);
	int err;

	if (fs->max_blocks && DIV_ROUND_UP(end, PAGE_SIZE) - start / PAGE_SIZE > fs->max_blocks)
		return -ENOSPC;
	err = vm_object_allocate(inode->object, start, end);
	if (err)
		vm_object_punch(inode->object, ALIGN_UP(MAX(start, inode->size), PAGE_SIZE),
				ALIGN_UP(end, PAGE_SIZE));
	return err;
}

static int tmpfs_fallocate(struct file *file, u32 mode, u64 offset, u64 len)
{
	struct inode *inode = file->inode;
	u64 end = offset + len;
	u32 seals;
	int err = 0;

	if (mode & ~(u32)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	rwsem_write_lock(&inode->lock);
	seals = (inode->flags & INODE_SEALS) >> INODE_SEAL_SHIFT;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			err = -EPERM;
		else
			vm_object_punch(inode->object, offset, end);
		goto unlock;
	}
	/* What takes room behind the end is too large, too, if the file does not become so: as on Linux. */
	if (end > inode->size && end > rlimit_current(RLIMIT_FSIZE)) {
		if (file_fsize_signal_hook)
			file_fsize_signal_hook();
		err = -EFBIG;
		goto unlock;
	}
	if ((seals & F_SEAL_GROW) && end > inode->size) {
		err = -EPERM;
		goto unlock;
	}
	err = allocate_or_undo(inode, offset, end);
	if (err)
		goto unlock;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size) {
		vm_object_set_size(inode->object, end);
		inode_set_size(inode, end);
	}
	inode_touch(inode, false, true);
unlock:
	rwsem_write_unlock(&inode->lock);
	return err;
}

static long add_seals(struct file *file, u32 add)
{
	struct inode *inode = file->inode;
	long err = 0;

	if (!(file->mode & FMODE_WRITE))
		return -EPERM;
	if (add & ~(u32)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EINVAL;
	rwsem_write_lock(&inode->lock);
	if (inode->flags & F_SEAL_SEAL << INODE_SEAL_SHIFT)
		err = -EPERM;
	else if ((add & F_SEAL_WRITE) && !vm_object_seal(inode->object))
		err = -EBUSY;
	else
		inode->flags |= add << INODE_SEAL_SHIFT;
	rwsem_write_unlock(&inode->lock);
	return err;
}

/* Seals: memfd_create(2). Every file here has F_SEAL_SEAL unless it was made to be sealed. */
static long tmpfs_fcntl(struct file *file, u32 cmd, u64 arg)
{
	if (cmd == F_GET_SEALS)
		return (file->inode->flags & INODE_SEALS) >> INODE_SEAL_SHIFT;
	return cmd == F_ADD_SEALS ? add_seals(file, (u32)arg) : -EINVAL;
}

static int tmpfs_mmap(struct file *file, struct vm_map_request *req)
{
	u32 seals = (file->inode->flags & INODE_SEALS) >> INODE_SEAL_SHIFT;

	if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) && (req->flags & MAP_SHARED)) {
		if (req->prot & PROT_WRITE)
			return -EPERM;
		req->deny_may |= AREA_MAY_WRITE;
	}
	return file_mmap_object(file, req);
}

static const struct file_ops file_fops = {
	.read_iter = file_read_object,
	.write_iter = file_write_object,
	.llseek = file_llseek_generic,
	.mmap = tmpfs_mmap,
	.fsync = file_fsync_none,
	.fallocate = tmpfs_fallocate,
	.fcntl = tmpfs_fcntl,
};

static const struct file_ops dir_fops = {
	.iterate = dir_iterate_pinned,
	.llseek = dir_llseek,
	.fsync = file_fsync_none,
};

static const struct inode_ops dir_inode_ops = {
	.create = tmpfs_create,
	.mkdir = tmpfs_mkdir,
	.mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.setattr = tmpfs_setattr,
};
static const struct inode_ops file_inode_ops = { .setattr = tmpfs_setattr };
static const struct inode_ops link_inode_ops = { .get_link = tmpfs_get_link };
static const struct inode_ops special_inode_ops = { .setattr = tmpfs_setattr };

/* ---- the superblock ---- */

static int tmpfs_statfs(struct dentry *dentry, struct statfs *buf)
{
	struct tmpfs *fs = fs_of(dentry->sb);

	if (fs->max_blocks) {
		buf->f_blocks = (s64)fs->max_blocks;
		buf->f_bfree = buf->f_bavail =
			(s64)fs->max_blocks - MIN(atomic64_load(&fs->blocks), (s64)fs->max_blocks);
	}
	if (fs->max_inodes) {
		buf->f_files = (s64)fs->max_inodes;
		buf->f_ffree = (s64)fs->max_inodes - MIN(atomic64_load(&fs->inodes), (s64)fs->max_inodes);
	}
	return 0;
}

static void tmpfs_show_options(struct seq *s, struct dentry *root)
{
	struct tmpfs *fs = fs_of(root->sb);
	u64 def = default_pages();

	if (fs->limited && fs->max_blocks != def)
		seq_printf(s, ",size=%lluk", (unsigned long long)(fs->max_blocks * (PAGE_SIZE / 1024)));
	if (fs->limited && fs->max_inodes != def)
		seq_printf(s, ",nr_inodes=%llu", (unsigned long long)fs->max_inodes);
	if (fs->mode != fs->default_mode)
		seq_printf(s, ",mode=%03o", fs->mode);
	if (fs->uid)
		seq_printf(s, ",uid=%u", fs->uid);
	if (fs->gid)
		seq_printf(s, ",gid=%u", fs->gid);
	if (fs->limited)
		seq_puts(s, ",inode64");
}

/* "size=64m" or "size=20%", in pages. */
static int parse_blocks(const char *value, u64 unit, u64 *out)
{
	const char *end;
	u64 n;
	int err = parse_size(value, &n, &end);

	if (err)
		return -EINVAL;
	if (unit > 1 && *end == '%') {
		struct mm_stats stats;

		mm_stats(&stats);
		*out = stats.total * n / 100;
		return end[1] ? -EINVAL : 0;
	}
	if (*end)
		return -EINVAL;
	*out = DIV_ROUND_UP(n, unit);
	return 0;
}

static int parse_number(const char *value, int base, u32 max, u32 *out)
{
	u64 n;

	if (parse_u64(value, base, &n, NULL) || n > max)
		return -EINVAL;
	*out = (u32)n;
	return 0;
}

static int parse_option(struct tmpfs *fs, const char *key, const char *value)
{
	static const char *const accepted[] = { "inode32", "inode64", "noswap" };

	if (value && strcmp(key, "mode") == 0)
		return parse_number(value, 8, 07777, &fs->mode);
	if (!fs->limited)
		return 0;	/* ramfs ignores what it does not know */
	if (value && strcmp(key, "size") == 0)
		return parse_blocks(value, PAGE_SIZE, &fs->max_blocks);
	if (value && strcmp(key, "nr_blocks") == 0)
		return parse_blocks(value, 1, &fs->max_blocks);
	if (value && strcmp(key, "nr_inodes") == 0)
		return parse_blocks(value, 1, &fs->max_inodes);
	if (value && strcmp(key, "uid") == 0)
		return parse_number(value, 10, UINT32_MAX - 1, &fs->uid);
	if (value && strcmp(key, "gid") == 0)
		return parse_number(value, 10, UINT32_MAX - 1, &fs->gid);
	if (value && (strcmp(key, "huge") == 0 || strcmp(key, "mpol") == 0))
		return 0;
	for (u32 i = 0; i < ARRAY_SIZE(accepted); i++)
		if (!value && strcmp(key, accepted[i]) == 0)
			return 0;
	return -EINVAL;
}

/* "size=1m,mode=755" */
static int parse_options(struct tmpfs *fs, const char *data)
{
	char *copy = kstrdup(data, 0), *key, *next;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	for (key = copy; key && !err; key = next) {
		char *value;

		next = strchr(key, ',');
		if (next)
			*next++ = '\0';
		if (!*key)
			continue;
		value = strchr(key, '=');
		if (value)
			*value++ = '\0';
		err = parse_option(fs, key, value);
	}
	kfree(copy);
	return err;
}

static int tmpfs_remount(struct super_block *sb, u32 flags, const char *data)
{
	struct tmpfs *fs = fs_of(sb), want = *fs;
	int err = parse_options(&want, data);

	if (err)
		return err;
	if (fs->limited) {
		/* A limit below what is in use, or a limit where there was none, is refused. */
		if ((want.max_blocks && (u64)atomic64_load(&fs->blocks) > want.max_blocks) ||
		    (want.max_inodes && (u64)atomic64_load(&fs->inodes) > want.max_inodes) ||
		    (want.max_blocks && !fs->max_blocks) || (want.max_inodes && !fs->max_inodes))
			return -EINVAL;
		fs->max_blocks = want.max_blocks;
		fs->max_inodes = want.max_inodes;
	}
	return 0;
}

static void tmpfs_put_super(struct super_block *sb)
{
	if (sb->private)
		fs_put(fs_of(sb));
}

static const struct super_ops super_ops = {
	.evict = tmpfs_evict,
	.free_inode = tmpfs_free_inode,
	.statfs = tmpfs_statfs,
	.remount = tmpfs_remount,
	.show_options = tmpfs_show_options,
	.put_super = tmpfs_put_super,
};

int tmpfs_make_super(const struct file_system_type *type, const char *data, bool limited, u64 magic,
		     u32 mode, struct super_block **out)
{
	struct super_block *sb = super_alloc(type, &super_ops, magic, SB_PINNED_DENTRIES);
	struct inode *root;
	struct tmpfs *fs;
	int err = -ENOMEM;

	if (!sb)
		return -ENOMEM;
	fs = kzalloc(sizeof(*fs), 0);
	if (!fs)
		goto put;
	sb->private = fs;
	refcount_init(&fs->ref, 1);
	fs->limited = limited;
	fs->mode = mode;
	fs->default_mode = mode;
	if (limited)
		fs->max_blocks = fs->max_inodes = default_pages();
	/* mount(2): who mounts owns the root, unless told otherwise. */
	fs->uid = current_fsuid();
	fs->gid = current_fsgid();
	err = parse_options(fs, data);
	if (err)
		goto put;
	err = make_inode(sb, NULL, S_IFDIR | fs->mode, 0, &root);
	if (err)
		goto put;
	root->uid = fs->uid;
	root->gid = fs->gid;
	err = -ENOMEM;
	sb->root = dentry_alloc_root(root);
	if (!sb->root)
		goto put;
	*out = sb;
	return 0;
put:
	super_put(sb);
	return err;
}

static int tmpfs_mount(const struct file_system_type *type, u32 flags, const char *source,
		       const char *data, struct super_block **out)
{
	int err = tmpfs_make_super(type, data, true, TMPFS_MAGIC, 01777, out);

	if (!err)
		(*out)->flags |= flags;
	return err;
}

static int ramfs_mount(const struct file_system_type *type, u32 flags, const char *source,
		       const char *data, struct super_block **out)
{
	int err = tmpfs_make_super(type, data, false, RAMFS_MAGIC, 0755, out);

	if (!err)
		(*out)->flags |= flags;
	return err;
}

/* The root of everything: nobody but root makes files there. */
static int rootfs_mount(const struct file_system_type *type, u32 flags, const char *source,
			const char *data, struct super_block **out)
{
	int err = tmpfs_make_super(type, data, true, TMPFS_MAGIC, 0755, out);

	if (!err)
		(*out)->flags |= flags;
	return err;
}

static struct file_system_type tmpfs_type = { .name = "tmpfs", .flags = FS_NODEV, .mount = tmpfs_mount };
static struct file_system_type ramfs_type = { .name = "ramfs", .flags = FS_NODEV, .mount = ramfs_mount };
static struct file_system_type rootfs_type = {
	.name = "rootfs", .flags = FS_NODEV | FS_HIDDEN, .mount = rootfs_mount,
};

void tmpfs_init(void)
{
	if (fs_type_register(&tmpfs_type) || fs_type_register(&ramfs_type) || fs_type_register(&rootfs_type))
		panic("cannot register tmpfs");
}
