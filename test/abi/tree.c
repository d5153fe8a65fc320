/*
 * tree.c - the name space: mkdir, link, symlink, rename, unlink, readdir,
 * path resolution limits, ".." , trailing slashes, mount points, chroot.
 */
#include "tap.h"

#include <dirent.h>
#include <limits.h>

#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2

static char buf[8192];

static void touch(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0644));
}

static ino_t ino_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 : st.st_ino;
}

static int nlink_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -1 : (int)st.st_nlink;
}

static void check_mkdir(void)
{
	struct stat st;

	works(mkdir("d", 0777), "mkdir");
	stat("d", &st);
	is(st.st_mode, S_IFDIR | 0755, "mode with the umask");
	is(st.st_nlink, 2, "two links");
	fails(mkdir("d", 0777), EEXIST, "mkdir: it exists");
	fails(mkdir("d/", 0777), EEXIST, "mkdir: it exists, with a slash");
	works(mkdir("d/e/", 0777), "mkdir with a slash");
	is(nlink_of("d"), 3, "a sub-folder counts as a link");
	fails(mkdir("n/e", 0777), ENOENT, "mkdir: no parent");
	fails(mkdir("", 0777), ENOENT, "mkdir: an empty path");
	touch("f");
	fails(mkdir("f/e", 0777), ENOTDIR, "mkdir: below a file");
	fails(mkdir("d/.", 0777), EEXIST, "mkdir .");
	fails(mkdir("d/..", 0777), EEXIST, "mkdir ..");
	fails(mkdir("/", 0777), EEXIST, "mkdir /");
	fails(rmdir("d"), ENOTEMPTY, "rmdir: not empty");
	fails(rmdir("f"), ENOTDIR, "rmdir: a file");
	fails(rmdir("d/."), EINVAL, "rmdir .");
	fails(rmdir("d/e/.."), ENOTEMPTY, "rmdir ..");
	fails(rmdir("/"), EBUSY, "rmdir /");
	fails(unlink("d"), EISDIR, "unlink: a folder");
	fails(unlink("f/"), ENOTDIR, "unlink: a file with a slash");
	fails(unlink("none"), ENOENT, "unlink: missing");
	works(rmdir("d/e"), "rmdir");
	is(nlink_of("d"), 2, "one link less");
	fails(unlinkat(AT_FDCWD, "d", 0x1234), EINVAL, "unlinkat: a bad flag");
	works(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR), "unlinkat: AT_REMOVEDIR");
	unlink("f");
}

static void check_removed(void)
{
	int fd, dir;
	struct stat st;

	fd = open("gone", O_RDWR | O_CREAT, 0600);
	write(fd, "still here", 10);
	unlink("gone");
	is(pread(fd, buf, 10, 0), 10, "an unlinked open file is still there");
	fstat(fd, &st);
	is(st.st_nlink, 0, "with no links");
	close(fd);
	mkdir("dir", 0755);
	dir = open("dir", O_RDONLY);
	chdir("dir");
	rmdir("../dir");
	fails(open("x", O_CREAT | O_WRONLY, 0600), ENOENT, "no new file in a removed folder");
	fails(openat(dir, "x", O_CREAT | O_WRONLY, 0600), ENOENT, "nor by descriptor");
	fails(syscall(SYS_getcwd, buf, sizeof(buf)), ENOENT, "getcwd in a removed folder");
	works(chdir(".."), ".. still leads out");
	is_str(getcwd(buf, sizeof(buf)), "/tmp/tree", "to the parent");
	close(dir);
}

static void check_links(void)
{
	touch("a");
	works(link("a", "b"), "link");
	ok(ino_of("a") == ino_of("b") && nlink_of("a") == 2, "same inode, two links");
	fails(link("a", "b"), EEXIST, "link: it exists");
	fails(link("none", "c"), ENOENT, "link: missing");
	mkdir("d", 0755);
	fails(link("d", "e"), EPERM, "link: a folder");
	fails(link("a", "/dev/x"), EXDEV, "link: another file system");
	works(symlink("a", "s"), "symlink");
	works(link("s", "s2"), "link to a symlink");
	ok(ino_of("s") == ino_of("s2"), "links the symlink itself");
	works(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW), "linkat: AT_SYMLINK_FOLLOW");
	ok(ino_of("s3") == ino_of("a"), "links what it points to");
	is(readlink("s", buf, sizeof(buf)), 1, "readlink");
	fails(syscall(SYS_readlink, "s", buf, 0), EINVAL, "readlink: size 0");
	fails(readlink("a", buf, 10), EINVAL, "readlink: not a link");
	fails(symlink("x", "a"), EEXIST, "symlink: it exists");
	fails(symlink("", "x"), ENOENT, "symlink: an empty target");
	symlink("0123456789", "long");
	is(readlink("long", buf, 4), 4, "readlink cuts silently");
	unlink("b");
	unlink("s3");
	is(nlink_of("a"), 1, "unlink drops a link");
	fails(link("a", "slash/"), ENOENT, "link: a slash at the end");
	fails(symlink("a", "slash/"), ENOENT, "symlink: a slash at the end");
}

static void check_loops(void)
{
	char name[20], next[20];
	int i, fd;

	touch("l0");
	for (i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(next, sizeof(next), "l%d", i - 1);
		symlink(next, name);
	}
	fd = open("l40", O_RDONLY);
	ok(fd >= 0, "forty symlinks in a row");
	close(fd);
	fails(open("l41", O_RDONLY), ELOOP, "forty-one are too many");
	symlink("x2", "x1");
	symlink("x1", "x2");
	fails(open("x1", O_RDONLY), ELOOP, "a circle");
	symlink(".", "here");
	strcpy(buf, "");
	for (i = 0; i < 40; i++)
		strcat(buf, "here/");
	strcat(buf, "a");
	works(access(buf, F_OK), "forty symlinks in one path");
	strcpy(buf, "");
	for (i = 0; i < 41; i++)
		strcat(buf, "here/");
	strcat(buf, "a");
	fails(access(buf, F_OK), ELOOP, "forty-one");
	fails(lstat("a/", &(struct stat){ 0 }), ENOTDIR, "lstat of a file with a slash");
	symlink("d", "dl");
	struct stat st;

	works(lstat("dl/", &st), "lstat of a link with a slash");
	ok(S_ISDIR(st.st_mode), "follows it");
	fails(rmdir("dl"), ENOTDIR, "rmdir of a link to a folder");
	fails(rmdir("dl/"), ENOTDIR, "even with a slash");
	unlink("dl");
}

static void check_names(void)
{
	char *p = buf;
	int i;

	memset(buf, 'n', 300);
	buf[255] = 0;
	works(mkdir(buf, 0755), "a name of 255");
	works(rmdir(buf), "goes away");
	buf[255] = 'n';
	buf[256] = 0;
	fails(mkdir(buf, 0755), ENAMETOOLONG, "a name of 256");
	fails(open(buf, O_RDONLY), ENAMETOOLONG, "also when it is not there");
	for (i = 0; i < 2047; i++)
		p += sprintf(p, "./");
	*p++ = 'a';
	*p = 0;
	is(strlen(buf), 4095, "a path of 4095 bytes");
	works(access(buf, F_OK), "is fine");
	strcpy(p, "/");
	fails(access(buf, F_OK), ENAMETOOLONG, "4096 are too many");
	works(access("././/..//tree/./a", F_OK), "dots and double slashes");
	works(access("//tmp///tree//a", F_OK), "many slashes");
	works(access("/../../tmp/tree/a", F_OK), ".. of the root is the root");
	touch("weird \n\t\xff name");
	works(unlink("weird \n\t\xff name"), "any byte but / and NUL");
}

static void check_rename(void)
{
	ino_t ino = ino_of("a");

	works(rename("a", "A"), "rename");
	ok(ino_of("A") == ino && ino_of("a") == 0, "moves the name");
	fails(rename("none", "x"), ENOENT, "rename: missing");
	touch("t");
	works(rename("A", "t"), "rename over a file");
	is(ino_of("t"), ino, "replaces it");
	mkdir("m1", 0755);
	mkdir("m2", 0755);
	fails(rename("t", "m1"), EISDIR, "a file over a folder");
	fails(rename("m1", "t"), ENOTDIR, "a folder over a file");
	works(rename("m1", "m2"), "a folder over an empty folder");
	mkdir("m1", 0755);
	touch("m2/x");
	fails(rename("m1", "m2"), ENOTEMPTY, "a folder over a full one");
	fails(rename("m2", "m2/sub"), EINVAL, "a folder into itself");
	fails(rename("m2/x", "m2/x/y"), ENOTDIR, "below a file");
	fails(rename("m2", "/proc/x"), EXDEV, "to another file system");
	fails(rename("m2/.", "z"), EBUSY, "rename .");
	fails(rename("m2/..", "z"), EBUSY, "rename ..");
	fails(rename("t", "new/"), ENOTDIR, "a file to a name with a slash");
	works(rename("m2/", "m3/"), "a folder with slashes");
	link("t", "t2");
	works(rename("t", "t2"), "two links to one inode");
	ok(ino_of("t") == ino && ino_of("t2") == ino, "are both left alone");
	touch("u");
	fails(syscall(SYS_renameat2, AT_FDCWD, "t", AT_FDCWD, "u", RENAME_NOREPLACE), EEXIST, "RENAME_NOREPLACE");
	works(syscall(SYS_renameat2, AT_FDCWD, "m3", AT_FDCWD, "u", RENAME_EXCHANGE), "RENAME_EXCHANGE");
	ok(ino_of("u/x") != 0, "swaps a file and a folder");
	fails(syscall(SYS_renameat2, AT_FDCWD, "t", AT_FDCWD, "none", RENAME_EXCHANGE), ENOENT, "both must exist");
	fails(syscall(SYS_renameat2, AT_FDCWD, "t", AT_FDCWD, "u", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL,
	      "contradicting flags");
	fails(syscall(SYS_renameat2, AT_FDCWD, "t", AT_FDCWD, "u", 0x100), EINVAL, "an unknown flag");
	mkdir("p", 0755);
	mkdir("p/q", 0755);
	is(nlink_of("p"), 3, "links before");
	rename("p/q", "q");
	is(nlink_of("p"), 2, "moving a folder out drops its parent's link");
	ino = ino_of(".");
	is(ino_of("q/.."), ino, ".. of a moved folder");
	fails(rename("p", "p"), 0, "to itself");
}

static void check_readdir(void)
{
	char name[30];
	struct dirent *de;
	int i, n = 0, bad = 0, fd, dots = 0, got;
	DIR *dir;

	mkdir("many", 0755);
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		touch(name);
	}
	mkdir("many/sub", 0755);
	symlink("x", "many/link");
	dir = opendir("many");
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.') {
			dots++;
			bad += de->d_type != DT_DIR;
			continue;
		}
		n++;
		if (!strcmp(de->d_name, "sub"))
			bad += de->d_type != DT_DIR;
		else if (!strcmp(de->d_name, "link"))
			bad += de->d_type != DT_LNK;
		else
			bad += de->d_type != DT_REG;
		snprintf(name, sizeof(name), "many/%s", de->d_name);
		bad += ino_of(name) != de->d_ino;
	}
	is(n, 502, "readdir lists every entry once");
	is(dots, 2, "and . and ..");
	is(bad, 0, "with type and inode");
	rewinddir(dir);
	for (n = 0; (de = readdir(dir)); n++)
		if (de->d_name[0] == 'f') {
			snprintf(name, sizeof(name), "many/%s", de->d_name);
			unlink(name);
		}
	closedir(dir);
	dir = opendir("many");
	for (n = 0; (de = readdir(dir)); n++)
		;
	closedir(dir);
	is(n, 4, "removing while reading removes all");
	fd = open("many", O_RDONLY | O_DIRECTORY);
	fails(syscall(SYS_getdents64, fd, buf, 10), EINVAL, "getdents64: no room for one entry");
	got = syscall(SYS_getdents64, fd, buf, sizeof(buf));
	ok(got > 0 && got % 8 == 0, "records are 8-aligned");
	is(syscall(SYS_getdents64, fd, buf, sizeof(buf)), 0, "then the end");
	is(lseek(fd, 0, SEEK_SET), 0, "lseek to 0");
	is(syscall(SYS_getdents64, fd, buf, sizeof(buf)), got, "reads it again");
	close(fd);
	fd = open("t", O_RDONLY);
	fails(syscall(SYS_getdents64, fd, buf, sizeof(buf)), ENOTDIR, "getdents64 of a file");
	close(fd);
}

/* rbind of a tree into itself: what is copied is the tree as it was. */
static void check_bind_into_itself(void)
{
	int i;

	mkdir("self", 0755);
	works(mount("none", "self", "tmpfs", 0, NULL), "mount");
	mkdir("self/a", 0755);
	mkdir("self/b", 0755);
	works(mount("none", "self/b", "tmpfs", 0, NULL), "mount in it");
	touch("self/b/x");
	works(mount("self", "self/a", NULL, MS_BIND | MS_REC, NULL), "rbind of a tree into itself");
	works(access("self/a/b/x", F_OK), "what was mounted in it is there");
	fails(access("self/a/a/b", F_OK), ENOENT, "the copy has no copy");
	for (i = 0; i < 6; i++)
		if (mount("self", "self", NULL, MS_BIND | MS_REC, NULL) < 0)
			break;
	is(i, 6, "rbind on top of itself");
	works(access("self/b/x", F_OK), "and it looks the same");
	while (umount2("self", MNT_DETACH) == 0)
		;
	works(rmdir("self"), "all of it goes");
}

/* fallocate(2) of more than there is takes nothing. */
static void check_full(void)
{
	struct statfs before, after;
	int fd;

	mkdir("full", 0755);
	works(mount("none", "full", "tmpfs", 0, "size=64k"), "mount a small one");
	fd = open("full/other", O_RDWR | O_CREAT, 0600);
	works(fallocate(fd, 0, 0, 32768), "half of it");
	close(fd);
	statfs("full", &before);
	fd = open("full/x", O_RDWR | O_CREAT, 0600);
	fails(fallocate(fd, 0, 0, 1ll << 40), ENOSPC, "fallocate of a terabyte");
	fails(fallocate(fd, 0, 0, 65536), ENOSPC, "of more than is free");
	fails(fallocate(fd, 1, 0, 65536), ENOSPC, "of more than is free, behind the end");
	statfs("full", &after);
	is(after.f_bfree, before.f_bfree, "as much is free as before");
	is(lseek(fd, 0, SEEK_END), 0, "the file is empty");
	close(fd);
	works(umount("full"), "umount");
	rmdir("full");
}

static void check_mount(void)
{
	struct stat outer, inner;
	int fd;

	mkdir("mnt", 0755);
	touch("mnt/below");
	stat("mnt", &outer);
	fails(mount("none", "missing", "tmpfs", 0, NULL), ENOENT, "mount: no such place");
	fails(mount("none", "t", "tmpfs", 0, NULL), ENOTDIR, "mount: on a file");
	fails(mount("none", "mnt", "nosuchfs", 0, NULL), ENODEV, "mount: unknown type");
	works(mount("none", "mnt", "tmpfs", 0, "mode=0700,size=1m"), "mount tmpfs");
	stat("mnt", &inner);
	ok(inner.st_dev != outer.st_dev, "another device");
	is(inner.st_mode, S_IFDIR | 0700, "mode=");
	fails(access("mnt/below", F_OK), ENOENT, "covers what was there");
	touch("mnt/x");
	is(ino_of("mnt/.."), ino_of("."), ".. crosses the mount point");
	chdir("mnt");
	is_str(getcwd(buf, sizeof(buf)), "/tmp/tree/mnt", "getcwd inside");
	chdir("..");
	is_str(getcwd(buf, sizeof(buf)), "/tmp/tree", "cd .. out of it");
	fails(rmdir("mnt"), EBUSY, "rmdir of a mount point");
	fails(rename("mnt", "other"), EBUSY, "rename of a mount point");
	fails(link("t", "mnt/t"), EXDEV, "link across");
	fails(rename("t", "mnt/t"), EXDEV, "rename across");
	works(mount("none", "mnt", "tmpfs", 0, NULL), "mount on top of it");
	fails(access("mnt/x", F_OK), ENOENT, "covers again");
	works(umount("mnt"), "umount the upper");
	works(access("mnt/x", F_OK), "shows the lower");
	fd = open("mnt/x", O_RDWR);
	fails(umount("mnt"), EBUSY, "umount: an open file");
	fails(umount2("mnt", 0x1000), EINVAL, "umount2: a bad flag");
	works(mount(NULL, "mnt", NULL, MS_REMOUNT, NULL), "remount");
	fails(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY,
	      "remount read-only with a file open for writing");
	close(fd);
	works(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL), "remount read-only");
	fails(open("mnt/new", O_CREAT | O_WRONLY, 0600), EROFS, "no creating");
	fails(open("mnt/x", O_WRONLY), EROFS, "no writing");
	fails(unlink("mnt/x"), EROFS, "no removing");
	fails(mkdir("mnt/d", 0700), EROFS, "no mkdir");
	fails(chmod("mnt/x", 0777), EROFS, "no chmod");
	fails(access("mnt/x", W_OK), EROFS, "access says so");
	fd = open("mnt/x", O_RDONLY);
	ok(fd >= 0, "reading is fine");
	works(umount2("mnt", MNT_DETACH), "MNT_DETACH with an open file");
	works(access("mnt/below", F_OK), "shows what was there");
	is(read(fd, buf, 1), 0, "the file still works");
	close(fd);
	fails(umount("mnt"), EINVAL, "umount: not a mount point");
	works(mount("mnt", "q", NULL, MS_BIND, NULL), "a bind mount");
	works(access("q/below", F_OK), "shows the same folder");
	works(umount("q"), "umount it");
	works(mount("none", "mnt", "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID, "size=64k"),
	      "mount noexec, nodev");
	tap_file("mnt/script", "#!/bin/busybox true\n", 20, 0755);
	fails(execl("mnt/script", "x", NULL), EACCES, "noexec");
	mknod("mnt/null", S_IFCHR | 0666, makedev(1, 3));
	fails(open("mnt/null", O_RDWR), EACCES, "nodev");
	fd = open("mnt/big", O_CREAT | O_WRONLY, 0600);
	memset(buf, 1, sizeof(buf));
	while (write(fd, buf, sizeof(buf)) > 0)
		;
	is(errno, ENOSPC, "size= is the limit");
	close(fd);
	umount("mnt");
	is(in_child({
		setresuid(1000, 1000, 1000);
		_exit(mount("none", "/tmp", "tmpfs", 0, NULL) != -1 || errno != EPERM);
	}), 0, "a user may not mount");
	is(in_child({
		setresuid(1000, 1000, 1000);
		_exit(umount("/tmp") != -1 || errno != EPERM);
	}), 0, "nor unmount");
}

static void check_chroot(void)
{
	mkdir("jail", 0755);
	mkdir("jail/in", 0755);
	symlink("/in", "jail/abs");
	fails(chroot("t"), ENOTDIR, "chroot: a file");
	fails(chroot("none"), ENOENT, "chroot: missing");
	is(in_child({
		if (chroot("jail") < 0 || chdir("/") < 0)
			_exit(1);
		if (access("/in", F_OK) < 0 || access("/../../in", F_OK) < 0)
			_exit(2);
		if (access("/abs/.", F_OK) < 0)
			_exit(3);
		if (access("/tmp", F_OK) == 0)
			_exit(4);
		if (chdir("in") < 0 || strcmp(getcwd(buf, sizeof(buf)), "/in"))
			_exit(5);
	}), 0, "chroot: / and .. stay inside, absolute links too");
	is(in_child({
		setresuid(1000, 1000, 1000);
		_exit(chroot("jail") != -1 || errno != EPERM);
	}), 0, "a user may not chroot");
	fails(chdir("t"), ENOTDIR, "chdir: a file");
	fails(chdir("none"), ENOENT, "chdir: missing");
	fails(fchdir(1000), EBADF, "fchdir: a bad descriptor");
	fails(syscall(SYS_getcwd, buf, 3), ERANGE, "getcwd: no room");
	is(syscall(SYS_getcwd, buf, sizeof(buf)), 10, "getcwd returns the length with its NUL");
}

static void check_nodes(void)
{
	struct stat st;
	int fd;

	works(mknod("null", S_IFCHR | 0666, makedev(1, 3)), "mknod: a device");
	stat("null", &st);
	ok(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3), "with its number");
	fd = open("null", O_RDWR);
	is(write(fd, "x", 1), 1, "and it works");
	close(fd);
	works(mknod("nodev", S_IFCHR | 0666, makedev(250, 77)), "mknod: a device that nobody serves");
	fails(open("nodev", O_RDONLY), ENXIO, "open of it");
	works(mknod("reg", S_IFREG | 0600, 0), "mknod: a file");
	works(mkfifo("fifo", 0600), "mkfifo");
	fails(mknod("dir", S_IFDIR | 0700, 0), EPERM, "mknod: a folder");
	fails(mknod("bad", 0170000 | 0700, 0), EINVAL, "mknod: nonsense");
	fails(mknod("null", S_IFREG, 0), EEXIST, "mknod: it exists");
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	ok(fd >= 0, "a FIFO opens for reading without a writer, O_NONBLOCK");
	close(fd);
	fails(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO, "not for writing without a reader");
	is(in_child({
		if (fork() == 0) {
			fd = open("fifo", O_WRONLY);
			write(fd, "through", 7);
			_exit(0);
		}
		fd = open("fifo", O_RDONLY);
		_exit(read(fd, buf, 100) != 7);
	}), 0, "a FIFO's two ends wait for each other");
}

int main(void)
{
	check_mkdir();
	check_removed();
	check_links();
	check_loops();
	check_names();
	check_rename();
	check_readdir();
	check_mount();
	check_bind_into_itself();
	check_full();
	check_chroot();
	check_nodes();
	return tap_done();
}
