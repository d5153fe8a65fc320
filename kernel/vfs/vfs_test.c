/* SPDX-License-Identifier: MIT */
/*
 * Self tests of the vfs on a tmpfs of their own: names, walks, mounts, counts. Every test mounts,
 * works and unmounts, and the counts of dentries and files are where they were.
 */
#include "internal.h"

#include <abi/linux/fcntl.h>
#include <abi/linux/mount.h>
#include <kernel/core/selftest.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/thread.h>
#include <kernel/vfs/locks.h>
#include <lib/printf.h>

#if HALCYON_DEBUG

#define BASE "/selftest"

/* The vfs calls take struct pathname: shorthands for constant names. */
#define WITH_NAME(text, expr) __extension__ ({					\
	struct pathname pn_;							\
	int r_ = pathname_from_kernel(&pn_, text);				\
	if (!r_) {								\
		struct pathname *pn = &pn_;					\
		r_ = (int)(expr);						\
		pathname_release(pn);						\
	}									\
	r_; })

static int make_dir(const char *name)
{
	return WITH_NAME(name, vfs_mkdir_at(AT_FDCWD, pn, 0755));
}

static int make_link(const char *target, const char *name)
{
	return WITH_NAME(name, vfs_symlink_at(target, AT_FDCWD, pn));
}

static int unlink_name(const char *name)
{
	return WITH_NAME(name, vfs_unlink_at(AT_FDCWD, pn));
}

static int remove_dir(const char *name)
{
	return WITH_NAME(name, vfs_rmdir_at(AT_FDCWD, pn));
}

static int rename_to(const char *from, const char *to, u32 flags)
{
	struct pathname new;
	int err = pathname_from_kernel(&new, to);

	if (!err) {
		err = WITH_NAME(from, vfs_rename_at(AT_FDCWD, pn, AT_FDCWD, &new, flags));
		pathname_release(&new);
	}
	return err;
}

static int stat_name(const char *name, u32 flags, struct kstat *st)
{
	return WITH_NAME(name, path_stat(AT_FDCWD, pn, flags, st));
}

static int write_file(const char *name, const char *text)
{
	struct file *f = kernel_file_open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	s64 pos = 0;
	ssize_t n;

	if (IS_ERR(f))
		return (int)PTR_ERR(f);
	n = kernel_write(f, text, strlen(text), &pos);
	file_put(f);
	return n == (ssize_t)strlen(text) ? 0 : -EIO;
}

static int mount_at(const char *type, const char *where)
{
	struct path path;
	int err = path_lookup_kernel(where, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	err = do_mount("test", &path, type, 0, "size=1m");
	path_put(&path);
	return err;
}

static int umount_at(const char *where, u32 flags)
{
	struct path path;
	int err = path_lookup_kernel(where, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	err = do_umount(&path, flags);
	path_put(&path);
	return err;
}

struct counts {
	u64 dentries, files;
};

static bool begin(struct counts *c)
{
	(void)dentry_shrink_all(mount_root->sb);
	synchronize_rcu();
	c->dentries = dentry_count();
	c->files = file_count();
	return make_dir(BASE) == 0 && mount_at("tmpfs", BASE) == 0;
}

static void end(const struct counts *c)
{
	EXPECT_EQ(umount_at(BASE, 0), 0);
	EXPECT_EQ(remove_dir(BASE), 0);
	(void)dentry_shrink_all(mount_root->sb);
	/* Freed dentries are counted until their grace period is over; the RCU thread needs a moment. */
	for (int i = 0; i < 20 && dentry_count() != c->dentries; i++)
		synchronize_rcu();
	EXPECT_EQ(dentry_count(), c->dentries);
	EXPECT_EQ(file_count(), c->files);
}

SELFTEST(vfs, names)
{
	struct counts c;
	struct kstat st = { .extended = false };

	REQUIRE(begin(&c));
	EXPECT_EQ(make_dir(BASE "/d"), 0);
	EXPECT_EQ(make_dir(BASE "/d"), -EEXIST);
	EXPECT_EQ(make_dir(BASE "/no/d"), -ENOENT);
	EXPECT_EQ(write_file(BASE "/d/f", "hello"), 0);
	EXPECT_EQ(stat_name(BASE "/d/../d/./f", LOOKUP_FOLLOW, &st), 0);
	EXPECT_EQ(st.size, 5);
	EXPECT_EQ(stat_name(BASE "/d/f/", 0, &st), -ENOTDIR);
	EXPECT_EQ(remove_dir(BASE "/d"), -ENOTEMPTY);
	EXPECT_EQ(unlink_name(BASE "/d"), -EISDIR);
	EXPECT_EQ(rename_to(BASE "/d", BASE "/d/x", 0), -EINVAL);
	EXPECT_EQ(rename_to(BASE "/d/f", BASE "/g", 0), 0);
	EXPECT_EQ(stat_name(BASE "/d/f", 0, &st), -ENOENT);
	EXPECT_EQ(stat_name(BASE "/d", 0, &st), 0);
	EXPECT_EQ(st.size, 40);
	EXPECT_EQ(rename_to(BASE "/g", BASE "/d", RENAME_EXCHANGE), 0);
	EXPECT_EQ(stat_name(BASE "/d", 0, &st), 0);
	EXPECT(S_ISREG(st.mode));
	EXPECT_EQ(unlink_name(BASE "/d"), 0);
	EXPECT_EQ(remove_dir(BASE "/g"), 0);
	end(&c);
}

SELFTEST(vfs, symlinks)
{
	struct counts c;
	struct kstat st = { .extended = false };
	char from[48], to[48];

	REQUIRE(begin(&c));
	EXPECT_EQ(write_file(BASE "/l0", "x"), 0);
	for (int i = 1; i <= MAX_SYMLINKS + 1; i++) {
		snprintf(from, sizeof(from), "l%d", i - 1);
		snprintf(to, sizeof(to), BASE "/l%d", i);
		EXPECT_EQ(make_link(from, to), 0);
	}
	EXPECT_EQ(stat_name(BASE "/l40", LOOKUP_FOLLOW, &st), 0);
	EXPECT_EQ(stat_name(BASE "/l41", LOOKUP_FOLLOW, &st), -ELOOP);
	EXPECT_EQ(stat_name(BASE "/l41", 0, &st), 0);
	EXPECT_EQ(make_link(".", BASE "/dot"), 0);
	EXPECT_EQ(stat_name(BASE "/dot/dot/dot/l40", 0, &st), 0);
	EXPECT_EQ(make_link("/selftest/dot/", BASE "/abs"), 0);
	EXPECT_EQ(stat_name(BASE "/abs/l0", 0, &st), 0);
	EXPECT_EQ(stat_name(BASE "/abs", LOOKUP_FOLLOW, &st), 0);
	EXPECT(S_ISDIR(st.mode));
	end(&c);
}

SELFTEST(vfs, mounts)
{
	struct counts c;
	struct kstat st = { .extended = false }, inner = { .extended = false };
	struct path path;
	struct file *f;

	REQUIRE(begin(&c));
	EXPECT_EQ(make_dir(BASE "/m"), 0);
	EXPECT_EQ(write_file(BASE "/m/hidden", "x"), 0);
	EXPECT_EQ(mount_at("tmpfs", BASE "/m"), 0);
	EXPECT_EQ(stat_name(BASE "/m/hidden", 0, &st), -ENOENT);
	/* ".." leads out of the mount, and back to the same place. */
	EXPECT_EQ(stat_name(BASE, 0, &st), 0);
	EXPECT_EQ(stat_name(BASE "/m/..", 0, &inner), 0);
	EXPECT_EQ(st.dev, inner.dev);
	EXPECT_EQ(st.ino, inner.ino);
	EXPECT_EQ(umount_at(BASE, 0), -EBUSY);
	EXPECT_EQ(remove_dir(BASE "/m"), -EBUSY);
	EXPECT_EQ(rename_to(BASE "/m", BASE "/n", 0), -EBUSY);
	f = kernel_file_open(BASE "/m/open", O_CREAT | O_RDWR, 0600);
	REQUIRE(!IS_ERR(f));
	EXPECT_EQ(umount_at(BASE "/m", 0), -EBUSY);
	EXPECT_EQ(umount_at(BASE "/m", MNT_DETACH), 0);
	EXPECT_EQ(stat_name(BASE "/m/hidden", 0, &st), 0);
	file_put(f);
	EXPECT_EQ(path_lookup_kernel(BASE "/m", 0, &path), 0);
	EXPECT_EQ(do_umount(&path, 0), -EINVAL);
	path_put(&path);
	end(&c);
}

SELFTEST(vfs, space)
{
	struct counts c;
	struct file *f;
	char *page;
	s64 pos = 0;
	ssize_t n = 0;
	int pages = 0;

	REQUIRE(begin(&c));
	page = kzalloc(PAGE_SIZE, 0);
	REQUIRE(page);
	f = kernel_file_open(BASE "/big", O_CREAT | O_RDWR, 0600);
	REQUIRE(!IS_ERR(f));
	while ((n = kernel_write(f, page, PAGE_SIZE, &pos)) == PAGE_SIZE)
		pages++;
	EXPECT_EQ(n, -ENOSPC);
	EXPECT_EQ(pages, 256);
	EXPECT_EQ(vfs_truncate(&f->path, 0, f), 0);
	pos = 0;
	EXPECT_EQ(kernel_write(f, page, PAGE_SIZE, &pos), PAGE_SIZE);
	file_put(f);
	kfree(page);
	end(&c);
}

static u32 race_stop;		/* [a] */

static void race_walk(void *arg)
{
	struct kstat st = { .extended = false };

	while (!__atomic_load_n(&race_stop, __ATOMIC_ACQUIRE)) {
		/* Whatever happens meanwhile: one of the two names is there at any moment. */
		int a = stat_name(BASE "/a/b/file", 0, &st), b = stat_name(BASE "/a/c/file", 0, &st);

		EXPECT(a == 0 || a == -ENOENT);
		EXPECT(b == 0 || b == -ENOENT);
	}
}

SELFTEST(vfs, walk_races_rename)
{
	struct counts c;
	struct thread *t;

	REQUIRE(begin(&c));
	EXPECT_EQ(make_dir(BASE "/a"), 0);
	EXPECT_EQ(make_dir(BASE "/a/b"), 0);
	EXPECT_EQ(write_file(BASE "/a/b/file", "x"), 0);
	__atomic_store_n(&race_stop, 0, __ATOMIC_RELEASE);
	t = kthread_run(race_walk, NULL, "race_walk");
	REQUIRE(t);
	for (int i = 0; i < 300; i++) {
		EXPECT_EQ(rename_to(BASE "/a/b", BASE "/a/c", 0), 0);
		EXPECT_EQ(rename_to(BASE "/a/c", BASE "/a/b", 0), 0);
	}
	__atomic_store_n(&race_stop, 1, __ATOMIC_RELEASE);
	kthread_stop(t);
	end(&c);
}

/* What another CPU does between a put's look at the flags and the fall of the count. */
SELFTEST(vfs, put_races_unhash)
{
	char text[8 + NAME_SLACK] = "none";
	struct qname name = { text, 4, 0 };
	struct dentry *d, *again;
	struct kstat st = { .extended = false };
	struct counts c;
	struct path dir;

	REQUIRE(begin(&c));
	EXPECT_EQ(stat_name(BASE "/none", 0, &st), -ENOENT);
	REQUIRE(path_lookup_kernel(BASE, LOOKUP_FOLLOW, &dir) == 0);
	dentry_hash_name(dir.dentry, &name);
	d = dentry_find(dir.dentry, &name);
	REQUIRE(d);
	EXPECT(d->flags & DENTRY_LRU);
	again = dentry_find(dir.dentry, &name);
	EXPECT(again == d);
	dentry_unhash(d);
	dentry_put(again);
	/* Here the first one's put goes on: it must not leave it unused on the list. */
	EXPECT(!dentry_put_to_lru(d));
	EXPECT_EQ(atomic_load(&d->refs), 1);
	dentry_put(d);
	path_put(&dir);
	end(&c);
}

static struct {
	struct fs_context *fs;
	struct path to;
	u32 round, done; /* [a] */
} mover;

static void move_when_told(void *arg)
{
	u32 seen = 0, now;

	(void)arg;
	while (!kthread_should_stop()) {
		now = __atomic_load_n(&mover.round, __ATOMIC_ACQUIRE);
		if (now == seen) {
			schedule();
			continue;
		}
		fs_context_set_cwd(mover.fs, &mover.to);
		seen = now;
		__atomic_store_n(&mover.done, seen, __ATOMIC_RELEASE);
	}
}

static bool stands_at(struct fs_context *fs, const struct path *there)
{
	struct path cwd;
	bool same;

	fs_context_cwd(fs, &cwd);
	same = path_equal(&cwd, there);
	path_put(&cwd);
	return same;
}

/* pivot_root's second half: it finds a context that no task has yet, and a chdir() at the same time holds. */
SELFTEST(vfs, pivot_moves_contexts)
{
	struct path from, to;
	struct thread *t;
	struct counts c;

	REQUIRE(begin(&c));
	EXPECT_EQ(make_dir(BASE "/from"), 0);
	EXPECT_EQ(make_dir(BASE "/to"), 0);
	REQUIRE(path_lookup_kernel(BASE "/from", 0, &from) == 0 && path_lookup_kernel(BASE "/to", 0, &to) == 0);
	REQUIRE(path_lookup_kernel(BASE, LOOKUP_FOLLOW, &mover.to) == 0);
	mover.fs = fs_context_copy(&fs_context_init_data);
	REQUIRE(mover.fs);
	fs_context_set_cwd(mover.fs, &from);
	fs_context_replace_all(&from, &to);
	EXPECT(stands_at(mover.fs, &to));
	mover.round = mover.done = 0;
	t = kthread_run(move_when_told, NULL, "mover");
	REQUIRE(t);
	for (u32 i = 1; i <= 3000; i++) {
		fs_context_set_cwd(mover.fs, &from);
		__atomic_store_n(&mover.round, i, __ATOMIC_RELEASE);
		if (i % 3 == 0)
			schedule();
		fs_context_replace_all(&from, &to);
		while (__atomic_load_n(&mover.done, __ATOMIC_ACQUIRE) != i)
			schedule();
		if (!stands_at(mover.fs, &mover.to)) {
			EXPECT(!"a chdir() was undone");
			break;
		}
	}
	kthread_stop(t);
	fs_context_put(mover.fs);
	path_put(&from);
	path_put(&to);
	path_put(&mover.to);
	end(&c);
}

SELFTEST(vfs, path_text)
{
	struct counts c;
	struct path path;
	char *buf = kmalloc(PAGE_SIZE, 0), *text;

	REQUIRE(buf && begin(&c));
	EXPECT_EQ(make_dir(BASE "/dir"), 0);
	EXPECT_EQ(path_lookup_kernel(BASE "/dir", 0, &path), 0);
	text = path_name(&path, NULL, buf, PAGE_SIZE);
	EXPECT(!IS_ERR(text) && strcmp(text, BASE "/dir") == 0);
	EXPECT(IS_ERR(path_name(&path, NULL, buf, 8)));
	EXPECT_EQ(remove_dir(BASE "/dir"), 0);
	text = path_name(&path, NULL, buf, PAGE_SIZE);
	EXPECT(!IS_ERR(text) && strcmp(text, BASE "/dir (deleted)") == 0);
	path_put(&path);
	kfree(buf);
	end(&c);
}

SELFTEST(vfs, name_hash)
{
	static const char path[] = "a/bcdefgh/ijklmnopq/rs\0\0\0\0\0\0\0\0";
	const char *s = path;
	u32 len;

	/* Both ways to hash agree, at every length around a word. */
	while (*s) {
		u32 h = name_hash_component(s, &len);

		EXPECT_EQ(h, name_hash_bytes(s, len));
		EXPECT(s[len] == '/' || s[len] == '\0');
		s += len + (s[len] == '/');
	}
	EXPECT_EQ(len, 2);
}

#endif
