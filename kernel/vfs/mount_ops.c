/* SPDX-License-Identifier: MIT */
/* mount(2), umount2(2), pivot_root(2), and the text of /proc/PID/mounts, mountinfo and mountstats (proc(5)). */
#include "internal.h"

#include <abi/linux/capability.h>
#include <abi/linux/mount.h>
#include <kernel/vfs/seq.h>

#include "mount_internal.h"

/* ---- flags ---- */

static const struct {
	u32 ms, mount;
} flag_map[] = {
	{ MS_RDONLY, MOUNT_READONLY },
	{ MS_NOSUID, MOUNT_NOSUID },
	{ MS_NODEV, MOUNT_NODEV },
	{ MS_NOEXEC, MOUNT_NOEXEC },
	{ MS_NOATIME, MOUNT_NOATIME },
	{ MS_NODIRATIME, MOUNT_NODIRATIME },
	{ MS_NOSYMFOLLOW, MOUNT_NOSYMFOLLOW },
};

/* relatime unless told otherwise, as mount(2) says. */
static u32 mount_flags_from(u64 ms)
{
	u32 flags = 0;

	if (!(ms & MS_NOATIME))
		flags |= MOUNT_RELATIME;
	for (u32 i = 0; i < ARRAY_SIZE(flag_map); i++)
		if (ms & flag_map[i].ms)
			flags |= flag_map[i].mount;
	if (ms & MS_STRICTATIME)
		flags &= ~(MOUNT_RELATIME | MOUNT_NOATIME);
	return flags;
}

#define MOUNT_ATIME_FLAGS (MOUNT_NOATIME | MOUNT_NODIRATIME | MOUNT_RELATIME)

/* ---- the forms of mount(2); namespace_mutex held unless said ---- */

static bool is_mount_root(const struct path *p)
{
	return p->dentry == p->mnt->root;
}

static bool in_tree(const struct mount *m)
{
	return !(m->flags & (MOUNT_DETACHED | MOUNT_INTERNAL));
}

/* [inode.lock] A place whose name is gone takes no mount: nobody could reach it. */
static bool is_gone(const struct dentry *d)
{
	return (d->inode->flags & INODE_DEAD) || (dentry_is_unhashed(d) && !dentry_is_root(d));
}

/* Puts a new mount on `target` or, if by now something is mounted there, on that. */
static int graft(struct mount *m, const struct path *target)
{
	struct path at = *target;
	int err = 0;

	path_get(&at);
	for (;;) {
		struct mount *top = mount_lookup_get(at.mnt, at.dentry);

		if (!top)
			break;
		path_put(&at);
		at = (struct path){ top, dentry_get(top->root) };
	}
	rwsem_write_lock(&at.dentry->inode->lock);
	if (dentry_is_dir(at.dentry) != dentry_is_dir(m->root))
		err = -ENOTDIR;
	else if (is_gone(at.dentry))
		err = -ENOENT;
	else if (!in_tree(at.mnt))
		err = -EINVAL;
	else
		mount_attach(m, at.mnt, at.dentry);
	rwsem_write_unlock(&at.dentry->inode->lock);
	path_put(&at);
	return err;
}

static int mount_new(const char *source, const struct path *target, const char *name, u64 ms,
		     const char *data)
{
	const struct file_system_type *type;
	struct super_block *sb;
	struct mount *m;
	u32 sb_flags = (ms & MS_RDONLY ? SB_RDONLY : 0) | (ms & MS_SYNCHRONOUS ? SB_SYNCHRONOUS : 0);
	int err;

	if (!name)
		return -EINVAL;
	type = fs_type_find(name);
	if (!type || (type->flags & FS_HIDDEN))
		return -ENODEV;
	if (mount_too_many())
		return -ENOSPC;
	err = type->mount(type, sb_flags, source, data, &sb);
	if (err)
		return err;
	m = mount_alloc(sb, sb->root, source && *source ? source : "none", mount_flags_from(ms));
	if (!m) {
		super_put(sb);
		return -ENOMEM;
	}
	mutex_lock(&namespace_mutex);
	/* The same file system twice on the very same place is a mistake. */
	if (target->mnt->sb == sb && is_mount_root(target))
		err = -EBUSY;
	else
		err = graft(m, target);
	mutex_unlock(&namespace_mutex);
	if (err)
		mount_put(m);
	return err;
}

/* A copy, in no place yet; ERR_PTR. */
static struct mount *clone_mount(struct mount *m, struct dentry *root)
{
	struct mount *copy;

	if (mount_too_many())
		return ERR_PTR(-ENOSPC);
	super_get(m->sb);
	copy = mount_alloc(m->sb, root, m->source, m->flags & MOUNT_USER_FLAGS);
	if (copy)
		return copy;
	super_put(m->sb);
	return ERR_PTR(-ENOMEM);
}

/*
 * Copies what is mounted below `below` in `from` onto the copy of that mount: mount --rbind. `to` is in no place
 * yet, so that a tree which is bound into itself is not copied again and again. The tree may be as deep
 * as there are mounts: no recursion.
 */
static int clone_children(struct mount *from, struct dentry *below, struct mount *to)
{
	struct list_head *pos = &from->children;
	struct mount *m = from, *copy;

	for (;;) {
		struct mount *child;

		pos = pos->next;
		if (pos == &m->children) {
			if (m == from)
				return 0;
			pos = &m->child_node;
			m = m->parent;
			to = to->parent;
			continue;
		}
		child = list_entry(pos, struct mount, child_node);
		if (m == from && !dentry_is_ancestor(below, child->mountpoint))
			continue;
		copy = clone_mount(child, child->root);
		if (IS_ERR(copy))
			return (int)PTR_ERR(copy);
		mount_attach(copy, to, child->mountpoint);
		m = child;
		to = copy;
		pos = &child->children;
	}
}

/* A copied tree that found no place. */
static void discard_copy(struct mount *m)
{
	while (!list_empty(&m->children)) {
		struct mount *child = list_first_entry(&m->children, struct mount, child_node);

		mount_detach_tree(child);
		mount_put(child);
	}
	mount_put(m);
}

static int mount_bind(const char *source, const struct path *target, bool recurse)
{
	struct path old;
	struct mount *m;
	int err;

	if (!source || !*source)
		return -EINVAL;
	err = path_lookup_kernel(source, LOOKUP_FOLLOW, &old);
	if (err)
		return err;
	mutex_lock(&namespace_mutex);
	err = -EINVAL;
	if (!in_tree(old.mnt))
		goto unlock;
	m = clone_mount(old.mnt, old.dentry);
	if (IS_ERR(m)) {
		err = (int)PTR_ERR(m);
		goto unlock;
	}
	err = recurse ? clone_children(old.mnt, old.dentry, m) : 0;
	if (!err)
		err = graft(m, target);
	if (err)
		discard_copy(m);
unlock:
	mutex_unlock(&namespace_mutex);
	path_put(&old);
	return err;
}

static bool is_below(const struct mount *m, const struct mount *top)
{
	while (m != top && m->parent != m)
		m = m->parent;
	return m == top;
}

static int mount_move(const char *source, const struct path *target)
{
	struct path old, held = { NULL, NULL };
	int err;

	if (!source || !*source)
		return -EINVAL;
	err = path_lookup_kernel(source, LOOKUP_FOLLOW, &old);
	if (err)
		return err;
	mutex_lock(&namespace_mutex);
	err = -EINVAL;
	if (!is_mount_root(&old) || !in_tree(old.mnt) || old.mnt->parent == old.mnt)
		goto unlock;
	if (dentry_is_dir(old.dentry) != dentry_is_dir(target->dentry))
		goto unlock;
	err = -ELOOP;
	if (is_below(target->mnt, old.mnt))
		goto unlock;
	mount_detach(old.mnt, &held);
	err = graft(old.mnt, target);
	if (err)
		mount_attach(old.mnt, held.mnt, held.dentry);
unlock:
	mutex_unlock(&namespace_mutex);
	if (held.mnt)
		path_put(&held);
	path_put(&old);
	return err;
}

static int set_sb_readonly(struct super_block *sb)
{
	struct mount *m;
	u32 old = __atomic_fetch_or(&sb->flags, SB_RDONLY, __ATOMIC_SEQ_CST);

	if (old & SB_RDONLY)
		return 0;
	list_for_each_entry(m, &mount_list, list) {
		if (m->sb == sb && atomic_load(&m->writers) != 0) {
			__atomic_fetch_and(&sb->flags, ~SB_RDONLY, __ATOMIC_SEQ_CST);
			return -EBUSY;
		}
	}
	return 0;
}

static int mount_remount(const struct path *target, u64 ms, const char *data)
{
	struct mount *m = target->mnt;
	struct super_block *sb = m->sb;
	u32 flags = mount_flags_from(ms);
	int err = -EINVAL;

	/* Without a word about access times the old rule stays. */
	if (!(ms & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)))
		flags = (flags & ~MOUNT_ATIME_FLAGS) | (m->flags & MOUNT_ATIME_FLAGS);
	mutex_lock(&namespace_mutex);
	if (!is_mount_root(target) || !in_tree(m))
		goto unlock;
	if (ms & MS_BIND) {
		err = mount_set_flags(m, flags);
		goto unlock;
	}
	err = sb->ops && sb->ops->remount ? sb->ops->remount(sb, ms & MS_RDONLY ? SB_RDONLY : 0, data) : 0;
	if (err)
		goto unlock;
	if (ms & MS_RDONLY)
		err = set_sb_readonly(sb);
	else
		__atomic_fetch_and(&sb->flags, ~SB_RDONLY, __ATOMIC_SEQ_CST);
	if (!err)
		err = mount_set_flags(m, flags);
unlock:
	mutex_unlock(&namespace_mutex);
	return err;
}

/* One namespace without propagation: every mount is private, and stays so. */
static int mount_change_type(const struct path *target, u64 ms)
{
	u64 type = ms & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);

	if ((ms & ~(u64)(MS_REC | MS_SILENT)) != type || !IS_POW2(type))
		return -EINVAL;
	if (!is_mount_root(target))
		return -EINVAL;
	return type == MS_PRIVATE || type == MS_SLAVE ? 0 : -EINVAL;
}

int do_mount(const char *source, const struct path *target, const char *type, u64 ms,
	     const char *data)
{
	int err;

	if ((ms & MS_MGC_MSK) == MS_MGC_VAL)
		ms &= ~(u64)MS_MGC_MSK;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (ms & MS_REMOUNT)
		err = mount_remount(target, ms, data);
	else if (ms & MS_BIND)
		err = mount_bind(source, target, ms & MS_REC);
	else if (ms & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
		err = mount_change_type(target, ms);
	else if (ms & MS_MOVE)
		err = mount_move(source, target);
	else
		err = mount_new(source, target, type, ms, data);
	if (!err)
		mounts_changed();
	return err;
}

/* umount("/"): the file system cannot go, so it becomes read-only. */
static int umount_root(struct mount *m)
{
	int err = 0;

	mutex_lock(&namespace_mutex);
	if (!(m->sb->flags & SB_RDONLY)) {
		err = m->sb->ops && m->sb->ops->remount ? m->sb->ops->remount(m->sb, SB_RDONLY, "") : 0;
		if (!err)
			err = set_sb_readonly(m->sb);
	}
	mutex_unlock(&namespace_mutex);
	return err;
}

int do_umount(const struct path *target, u32 flags)
{
	struct mount *m = target->mnt;
	struct path root, held = { NULL, NULL };
	bool is_root;
	int err = -EINVAL;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!is_mount_root(target))
		return -EINVAL;
	if (flags & MNT_EXPIRE)
		return flags & (MNT_FORCE | MNT_DETACH) ? -EINVAL : -EAGAIN;
	fs_context_root(fs_context_current(), &root);
	is_root = root.mnt == m;
	path_put(&root);
	if (is_root && !(flags & MNT_DETACH))
		return umount_root(m);
	mutex_lock(&namespace_mutex);
	if (!in_tree(m) || m == mount_root)
		goto unlock;
	if (flags & MNT_DETACH) {
		mount_detach_tree(m);
		err = 0;
	} else {
		/* The caller's path is the one user that there may be. */
		err = mount_detach_idle(m, 1, &held);
		if (!err)
			mount_list_del(m);
	}
unlock:
	mutex_unlock(&namespace_mutex);
	if (!err) {
		if (held.mnt)
			path_put(&held);
		mount_put(m);
		mounts_changed();
	}
	return err;
}

int do_pivot_root(const struct path *new, const struct path *put_old)
{
	struct path root, new_held, root_held;
	struct inode *put_inode = put_old->dentry->inode;
	struct mount *root_mnt;
	int err = -ENOENT;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	fs_context_root(fs_context_current(), &root);
	root_mnt = root.mnt;
	mutex_lock(&namespace_mutex);
	rwsem_write_lock(&put_inode->lock);	/* the place stays until the old root is there */
	if (is_gone(put_old->dentry))
		goto unlock;
	err = -EBUSY;
	if (new->mnt == root_mnt || put_old->mnt == root_mnt)
		goto unlock;
	err = -EINVAL;
	if (!is_mount_root(&root) || root_mnt->parent == root_mnt || !is_mount_root(new) ||
	    new->mnt->parent == new->mnt || !in_tree(new->mnt) || !in_tree(put_old->mnt))
		goto unlock;
	/* put_old must be below new, new below root. */
	if (!is_below(put_old->mnt, new->mnt) || !is_below(new->mnt, root_mnt))
		goto unlock;
	mount_detach(new->mnt, &new_held);
	mount_detach(root_mnt, &root_held);
	mount_attach(new->mnt, root_held.mnt, root_held.dentry);
	mount_attach(root_mnt, put_old->mnt, put_old->dentry);
	err = 0;
unlock:
	rwsem_write_unlock(&put_inode->lock);
	mutex_unlock(&namespace_mutex);
	if (!err) {
		fs_context_replace_all(&root, new);
		path_put(&new_held);
		path_put(&root_held);
		mounts_changed();
	}
	path_put(&root);
	return err;
}

/* ---- text ---- */

static void show_mount_flags(struct seq *s, u32 flags)
{
	static const struct {
		u32 bit;
		const char *text;
	} names[] = {
		{ MOUNT_NOSUID, ",nosuid" },	   { MOUNT_NODEV, ",nodev" },
		{ MOUNT_NOEXEC, ",noexec" },	   { MOUNT_NOATIME, ",noatime" },
		{ MOUNT_NODIRATIME, ",nodiratime" }, { MOUNT_RELATIME, ",relatime" },
		{ MOUNT_NOSYMFOLLOW, ",nosymfollow" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].bit)
			seq_puts(s, names[i].text);
}

static void show_sb_flags(struct seq *s, struct super_block *sb)
{
	if (sb->flags & SB_SYNCHRONOUS)
		seq_puts(s, ",sync");
}

static void show_fs_options(struct seq *s, struct mount *m)
{
	if (m->sb->ops && m->sb->ops->show_options)
		m->sb->ops->show_options(s, m->root);
}

static void show_mounts_line(struct seq *s, struct mount *m, const struct path *at,
			     const struct path *root)
{
	bool ro = mount_is_readonly(m) || (m->sb->flags & SB_RDONLY);

	seq_escape(s, m->source, " \t\n\\#");
	seq_putc(s, ' ');
	seq_path(s, at, root, " \t\n\\");
	seq_putc(s, ' ');
	seq_escape(s, m->sb->type->name, " \t\n\\#");
	seq_puts(s, ro ? " ro" : " rw");
	show_sb_flags(s, m->sb);
	show_mount_flags(s, m->flags);
	show_fs_options(s, m);
	seq_puts(s, " 0 0\n");
}

static void show_info_line(struct seq *s, struct mount *m, const struct path *at,
			   const struct path *root)
{
	struct path fs_root = { m, m->root };
	struct super_block *sb = m->sb;

	seq_printf(s, "%d %d %u:%u ", m->id, m->parent->id, DEV_MAJOR(sb->dev), DEV_MINOR(sb->dev));
	seq_dentry_path(s, fs_root.dentry, " \t\n\\");
	seq_putc(s, ' ');
	seq_path(s, at, root, " \t\n\\");
	seq_puts(s, mount_is_readonly(m) ? " ro" : " rw");
	show_mount_flags(s, m->flags);
	seq_puts(s, " - ");
	seq_escape(s, sb->type->name, " \t\n\\#");
	seq_putc(s, ' ');
	seq_escape(s, m->source, " \t\n\\");
	seq_puts(s, sb->flags & SB_RDONLY ? " ro" : " rw");
	show_sb_flags(s, sb);
	show_fs_options(s, m);
	seq_putc(s, '\n');
}

static void show_stats_line(struct seq *s, struct mount *m, const struct path *at,
			    const struct path *root)
{
	seq_puts(s, "device ");
	seq_escape(s, m->source, " \t\n\\");
	seq_puts(s, " mounted on ");
	seq_path(s, at, root, " \t\n\\");
	seq_puts(s, " with fstype ");
	seq_escape(s, m->sb->type->name, " \t\n\\");
	seq_putc(s, '\n');
}

/* Can the mount be seen from root at all? */
static bool is_reachable(struct mount *m, const struct path *root)
{
	const struct dentry *d = m->root;

	while (m != root->mnt && m->parent != m) {
		d = m->mountpoint;
		m = m->parent;
	}
	return m == root->mnt && dentry_is_ancestor(root->dentry, d);
}

void mounts_show(struct seq *s, const struct path *root, enum mount_format format)
{
	struct mount *m;

	mutex_lock(&namespace_mutex);
	list_for_each_entry(m, &mount_list, list) {
		struct path at = { m, m->root };

		if (!is_reachable(m, root))
			continue;
		if (format == MOUNT_FORMAT_MOUNTS)
			show_mounts_line(s, m, &at, root);
		else if (format == MOUNT_FORMAT_INFO)
			show_info_line(s, m, &at, root);
		else
			show_stats_line(s, m, &at, root);
	}
	mutex_unlock(&namespace_mutex);
}
