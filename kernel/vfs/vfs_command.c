/* SPDX-License-Identifier: MIT */
/*
 * Debug commands of files: `files`, `mounts`, and names for places. Under no lock, by peeks: dentries, mounts and tables
 * may be half changed, so each step is read for itself and every chain has an end.
 */
#include "internal.h"

#include <kernel/core/command.h>
#include <kernel/task/command.h>

#include "mount_internal.h"

#define PATH_STEPS	64u	/* components and mounts of one name */
#define PATH_SHOWN	160u
#define NAME_SHOWN	64u
#define FILES_SHOWN	1024u

/* ---- names ------------------------------------------------------------------------------------- */

struct tail {
	char *start, *low;	/* text grows down from the end of the buffer to low */
};

/* False: no room; the name is cut, and says so. */
static bool prepend(struct tail *t, const char *text, size_t n)
{
	if ((size_t)(t->start - t->low) < n + 4) {
		t->start -= 3;
		memcpy(t->start, "...", 3);
		return false;
	}
	t->start -= n;
	memcpy(t->start, text, n);
	return true;
}

/* "tmpfs:[17]" of what has no name. */
static bool prepend_nameless(struct tail *t, const struct dentry *d)
{
	char id[32] = "?", text[64];
	const struct super_block *sb;
	const struct inode *inode;
	u64 ino = 0;

	if (COMMAND_LOAD(sb, &d->sb))
		command_peek_string(id, sizeof(id), sb->id);
	if (COMMAND_LOAD(inode, &d->inode) && inode && !COMMAND_LOAD(ino, &inode->ino))
		ino = 0;
	return prepend(t, text, (size_t)scnprintf(text, sizeof(text), "%s:[%llu]", id, (unsigned long long)ino));
}

static bool prepend_component(struct tail *t, const struct dentry *d)
{
	char name[NAME_SHOWN + 1];
	struct qname q;

	if (!COMMAND_LOAD(q, &d->name))
		return prepend(t, "(damaged)", 9);
	q.len = MIN(q.len, NAME_SHOWN);
	command_peek_string(name, sizeof(name), q.str);
	return prepend(t, name, MIN(strlen(name), (size_t)q.len)) && prepend(t, "/", 1);
}

/* One step towards the root of all. False: the name is whole. */
static bool step_up(struct tail *t, const struct mount **m, const struct dentry **d)
{
	const struct dentry *parent, *root = NULL, *at;
	const struct mount *up;
	u32 flags;

	if (!COMMAND_LOAD(parent, &(*d)->parent) || !COMMAND_LOAD(flags, &(*d)->flags)) {
		prepend(t, "(damaged)", 9);
		return false;
	}
	if (flags & DENTRY_NAMELESS) {
		prepend_nameless(t, *d);
		return false;
	}
	if (*m && !COMMAND_LOAD(root, &(*m)->root))
		*m = NULL;
	if (*m && *d == root) {
		if (!COMMAND_LOAD(up, &(*m)->parent) || !COMMAND_LOAD(at, &(*m)->mountpoint) || up == *m || !at)
			return false;
		*m = up;
		*d = at;
		return true;
	}
	if (parent == *d || !parent || !prepend_component(t, *d))
		return false;
	*d = parent;
	return true;
}

void path_peek(const struct path *path, char *buf, size_t size)
{
	struct tail t = { .start = buf + size - 1, .low = buf };
	const struct mount *m = path->mnt;
	const struct dentry *d = path->dentry;

	*t.start = '\0';
	for (u32 steps = 0; d && steps < PATH_STEPS && step_up(&t, &m, &d); steps++)
		;
	if (!*t.start)
		prepend(&t, d ? "/" : "-", 1);
	memmove(buf, t.start, strlen(t.start) + 1);
}

/* ---- files ------------------------------------------------------------------------------------- */

static bool show_file(struct command_io *io, u32 fd, const struct file *file)
{
	char name[PATH_SHOWN];
	struct path path;
	refcount_t ref;
	u32 flags;
	s64 pos;

	if (!COMMAND_LOAD(path, &file->path) || !COMMAND_LOAD(ref, &file->ref) || !COMMAND_LOAD(flags, &file->flags) ||
	    !COMMAND_LOAD(pos, &file->pos))
		return command_printf(io, "%5u file %p is not readable\n", fd, (const void *)file);
	path_peek(&path, name, sizeof(name));
	return command_printf(io, "%5u %p flags %06o count %d position %lld %s\n", fd, (const void *)file, flags,
			      refcount_read(&ref), (long long)pos, name);
}

static void show_place(struct command_io *io, const char *what, const struct path *at)
{
	char name[PATH_SHOWN];
	struct path path;

	if (!COMMAND_LOAD(path, at))
		return;
	path_peek(&path, name, sizeof(name));
	command_printf(io, "%5s %s\n", what, name);
}

static void command_files(struct command_io *io, int argc, char **argv)
{
	const struct task *t = task_command_find(io, argc > 1 ? argv[1] : NULL);
	const struct fdtable *table = NULL;
	struct fs_context *fs = NULL;
	struct files *files = NULL;
	struct file **slots = NULL, *file;
	u32 max = 0;

	if (!t)
		return;
	if (COMMAND_LOAD(fs, &t->fs) && fs) {
		show_place(io, "cwd", &fs->cwd);
		show_place(io, "root", &fs->root);
	}
	if (!COMMAND_LOAD(files, &t->files) || !files || !COMMAND_LOAD(table, &files->table) || !COMMAND_LOAD(max, &table->max) ||
	    !COMMAND_LOAD(slots, &table->fd)) {
		command_printf(io, "no table of descriptors\n");
		return;
	}
	for (u32 fd = 0; fd < MIN(max, FILES_SHOWN); fd++)
		if (COMMAND_LOAD(file, &slots[fd]) && file && !show_file(io, fd, file))
			return;
}
DEBUG_COMMAND(files, "[pid]", "open files and places of a task", command_files);

/* ---- mounts ------------------------------------------------------------------------------------ */

static bool show_mount(struct command_io *io, const struct mount *at)
{
	char name[PATH_SHOWN], id[32] = "?", source[NAME_SHOWN] = "";
	struct path place;
	struct mount m;

	if (!COMMAND_LOAD(m, at))
		return command_printf(io, "mount %p is not readable\n", (const void *)at);
	if (m.sb)
		command_peek_string(id, sizeof(id), m.sb->id);
	if (m.source)
		command_peek_string(source, sizeof(source), m.source);
	place = (struct path){ .mnt = (struct mount *)at, .dentry = m.root };
	path_peek(&place, name, sizeof(name));
	return command_printf(io, "%4d %p count %d flags %03x %s %s on %s\n", m.id, (const void *)at,
			      atomic_load_relaxed(&m.refs), m.flags, id, source, name);
}

static void command_mounts(struct command_io *io, int argc, char **argv)
{
	struct command_list l;

	(void)argc, (void)argv;
	for (command_list_begin(&l, io, &mount_list); command_list_next(&l);)
		if (!show_mount(io, list_entry(l.node, struct mount, list)))
			return;
}
DEBUG_COMMAND(mounts, "", "the table of mounts", command_mounts);
