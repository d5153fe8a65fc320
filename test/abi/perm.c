/*
 * perm.c - who may do what to a file: mode bits, owners, sticky folders,
 * chmod and chown and the bits they clear, access(2), stat(2), statx(2),
 * utimensat(2), the umask.
 */
#include "tap.h"

#include <grp.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <utime.h>

#define USER 1000
#define OTHER 2000
#define GROUP 3000

static struct stat st;

static mode_t mode_of(const char *path)
{
	return stat(path, &st) < 0 ? 0 : st.st_mode & 07777;
}

/* Exit status of `body` run as a user: 0 or what the body exits with. */
#define as_user(uid, gid, ...) in_child({				\
	gid_t none_[1] = { 0 };						\
	setgroups(0, none_);						\
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) \
		_exit(99);						\
	__VA_ARGS__;							\
})

/* 0 when the call worked, its errno otherwise. */
#define result(call) ((call) == -1 ? errno : 0)

static void make(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
	chown(path, uid, gid);
	chmod(path, mode);
}

static void check_bits(void)
{
	static const struct {
		uid_t uid;
		gid_t gid;
		mode_t mode;
		int flags, want;
		const char *what;
	} cases[] = {
		{ USER, USER, 0400, O_RDONLY, 0, "owner reads 0400" },
		{ USER, USER, 0400, O_WRONLY, EACCES, "owner writes 0400" },
		{ USER, USER, 0200, O_WRONLY, 0, "owner writes 0200" },
		{ USER, USER, 0077, O_RDONLY, EACCES, "owner reads 0077: only the owner's bits count" },
		{ OTHER, USER, 0040, O_RDONLY, 0, "group reads 0040" },
		{ OTHER, USER, 0707, O_RDONLY, EACCES, "group reads 0707" },
		{ OTHER, OTHER, 0004, O_RDONLY, 0, "others read 0004" },
		{ OTHER, OTHER, 0770, O_RDONLY, EACCES, "others read 0770" },
		{ OTHER, OTHER, 0004, O_RDWR, EACCES, "others read and write 0004" },
		{ 0, 0, 0000, O_RDONLY, EACCES, "a user reads root's 0000" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make("f", cases[i].uid, cases[i].gid, cases[i].mode);
		is(as_user(USER, USER, _exit(result(open("f", cases[i].flags)))) >> 8,
		   cases[i].want, "%s", cases[i].what);
	}
	make("f", USER, USER, 0000);
	works(open("f", O_RDWR), "root opens 0000");
	close(3);
	fails(access("f", X_OK), EACCES, "but may not execute without an x bit");
	make("f", USER, USER, 0001);
	works(access("f", X_OK), "any x bit lets it");
	make("f", OTHER, GROUP, 0040);
	is(in_child({
		gid_t groups[2] = { 55, GROUP };

		setgroups(2, groups);
		setresgid(USER, USER, USER);
		setresuid(USER, USER, USER);
		_exit(result(open("f", O_RDONLY)));
	}), 0, "supplementary groups count");
	unlink("f");
}

static void check_folders(void)
{
	mkdir("d", 0755);
	make("d/f", USER, USER, 0644);
	chmod("d", 0700);
	is(as_user(USER, USER, _exit(result(open("d/f", O_RDONLY)))) >> 8, EACCES,
	   "no x on a folder: no path through it");
	is(as_user(USER, USER, _exit(result(chdir("d")))) >> 8, EACCES, "and no chdir");
	chmod("d", 0711);
	is(as_user(USER, USER, _exit(result(open("d/f", O_RDONLY)))), 0, "x is enough for that");
	is(as_user(USER, USER, _exit(result(open("d", O_RDONLY)))) >> 8, EACCES,
	   "r is for reading it");
	is(as_user(USER, USER, _exit(result(unlink("d/f")))) >> 8, EACCES,
	   "removing wants w on the folder");
	is(as_user(USER, USER, _exit(result(mkdir("d/x", 0700)))) >> 8, EACCES, "creating too");
	is(as_user(USER, USER, _exit(result(rename("d/f", "d/g")))) >> 8, EACCES, "renaming too");
	is(as_user(USER, USER, _exit(result(link("d/f", "d/g")))) >> 8, EACCES, "linking too");
	chmod("d", 0777);
	is(as_user(OTHER, OTHER, _exit(result(unlink("d/f")))), 0,
	   "in a 0777 folder anybody removes");
	chmod("d", 01777);
	make("d/f", USER, USER, 0666);
	is(as_user(OTHER, OTHER, _exit(result(unlink("d/f")))) >> 8, EPERM,
	   "in a sticky one only the owner");
	is(as_user(OTHER, OTHER, _exit(result(rename("d/f", "d/g")))) >> 8, EPERM, "renames");
	is(as_user(OTHER, OTHER, {
		close(open("d/mine", O_CREAT | O_WRONLY, 0600));
		_exit(result(rename("d/mine", "d/f")));
	}) >> 8, EPERM, "or is renamed over");
	is(as_user(USER, USER, _exit(result(unlink("d/f")))), 0, "the owner does");
	chown("d", USER, USER);
	is(as_user(USER, USER, _exit(result(unlink("d/mine")))), 0, "the folder's owner too");
}

static void check_new_files(void)
{
	chown("d", USER, GROUP);
	chmod("d", 02777);
	as_user(OTHER, OTHER, {
		umask(027);
		close(open("d/n", O_CREAT | O_WRONLY, 0777));
		mkdir("d/nd", 0777);
	});
	stat("d/n", &st);
	is(st.st_uid, OTHER, "a new file belongs to its maker");
	is(st.st_gid, GROUP, "its group is a set-group-id folder's");
	is(st.st_mode & 07777, 0750, "its mode is cut by the umask");
	is(mode_of("d/nd"), 02750, "a new folder inherits set-group-id");
	chmod("d", 0777);
	as_user(OTHER, OTHER, close(open("d/n2", O_CREAT | O_WRONLY, 0444)));
	stat("d/n2", &st);
	is(st.st_gid, OTHER, "without the bit the group is the maker's");
	is(as_user(OTHER, OTHER, {
		int fd = open("d/n3", O_CREAT | O_RDWR, 0000);

		_exit(fd < 0 || write(fd, "x", 1) != 1);
	}), 0, "the new descriptor may write whatever the mode is");
	is(umask(0777), 022, "umask returns the old one");
	is(umask(022), 0777, "and takes nine bits");
}

static void check_chmod(void)
{
	make("c", USER, GROUP, 0644);
	works(chmod("c", 07777), "chmod");
	is(mode_of("c"), 07777, "sets all twelve bits");
	is(as_user(OTHER, OTHER, _exit(result(chmod("c", 0)))) >> 8, EPERM, "only the owner may");
	is(as_user(USER, USER, _exit(result(chmod("c", 02755)))), 0, "the owner does");
	is(mode_of("c"), 0755, "set-group-id falls when the owner is not in the group");
	fails(chmod("none", 0), ENOENT, "chmod: missing");
	symlink("c", "cl");
	works(chmod("cl", 0600), "chmod follows links");
	is(mode_of("c"), 0600, "to the file");
	fails(fchmodat(AT_FDCWD, "cl", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP,
	      "a link's own mode cannot be changed");
	unlink("cl");
}

static void check_chown(void)
{
	make("o", USER, USER, 06755);
	works(chown("o", OTHER, GROUP), "chown");
	is(mode_of("o"), 0755, "clears set-user-id and set-group-id, even for root");
	ok(st.st_uid == OTHER && st.st_gid == GROUP, "sets both");
	works(chown("o", -1, 7), "-1 leaves one alone");
	stat("o", &st);
	ok(st.st_uid == OTHER && st.st_gid == 7, "the other changes");
	chmod("o", 02644);
	chown("o", -1, 8);
	is(mode_of("o"), 02644, "set-group-id without group x stays");
	chmod("o", 06755);
	is(as_user(OTHER, OTHER, _exit(result(chown("o", USER, -1)))) >> 8, EPERM,
	   "the owner may not give it away");
	is(as_user(OTHER, OTHER, _exit(result(chown("o", -1, GROUP)))) >> 8, EPERM,
	   "nor to a group that is not his");
	is(in_child({
		gid_t groups[1] = { GROUP };

		setgroups(1, groups);
		setresgid(OTHER, OTHER, OTHER);
		setresuid(OTHER, OTHER, OTHER);
		_exit(result(chown("o", OTHER, GROUP)));
	}), 0, "but to one of his groups");
	is(mode_of("o"), 0755, "which clears the bits");
	symlink("o", "ol");
	works(lchown("ol", 5, 6), "lchown");
	lstat("ol", &st);
	ok(st.st_uid == 5 && st.st_gid == 6, "changes the link itself");
	chmod("o", 06777);
	as_user(USER, USER, {
		int fd = open("o", O_WRONLY);

		write(fd, "x", 1);
	});
	is(mode_of("o"), 0777, "a write by a user clears set-id bits");
	chmod("o", 06777);
	truncate("o", 0);
	ok(mode_of("o") == 06777 || mode_of("o") == 0777, "truncate by root");
	unlink("ol");
}

static void check_access(void)
{
	make("a", USER, USER, 0640);
	works(access("a", F_OK), "access: F_OK");
	fails(access("none", F_OK), ENOENT, "access: missing");
	fails(access("a", 8), EINVAL, "access: a bad mode");
	is(in_child({
		setresgid(OTHER, 0, 0);
		setresuid(OTHER, 0, 0);
		if (access("a", R_OK) == 0)
			_exit(1);
		_exit(syscall(SYS_faccessat2, AT_FDCWD, "a", R_OK, AT_EACCESS) != 0 ? 2 : 0);
	}), 0, "access uses the real ids, AT_EACCESS the effective ones");
	fails(syscall(SYS_faccessat2, AT_FDCWD, "a", R_OK, 0x8000), EINVAL, "faccessat2: a bad flag");
	symlink("none", "al");
	fails(access("al", F_OK), ENOENT, "access follows");
	works(syscall(SYS_faccessat2, AT_FDCWD, "al", F_OK, AT_SYMLINK_NOFOLLOW), "unless told not to");
	is(as_user(OTHER, OTHER, _exit(result(access("a", R_OK)))) >> 8, EACCES, "access: denied");
	unlink("al");
}

struct statx_raw {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad;
	uint64_t ino, size, blocks, attributes_mask;
	struct { int64_t sec; uint32_t nsec; int32_t pad; } atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare[14];
};

static void check_stat(void)
{
	struct statx_raw sx;
	int fd;

	make("s", USER, GROUP, 0621);
	fd = open("s", O_RDWR);
	write(fd, "12345", 5);
	works(fstat(fd, &st), "fstat");
	ok(st.st_mode == (S_IFREG | 0621) && st.st_uid == USER && st.st_gid == GROUP &&
	   st.st_size == 5 && st.st_nlink == 1 && st.st_blksize == 4096 && st.st_blocks == 8,
	   "tells all");
	works(syscall(SYS_statx, AT_FDCWD, "s", 0, 0x7ff, &sx), "statx");
	is(sx.mask & 0x7ff, 0x7ff, "has the basic fields");
	ok(sx.mode == (S_IFREG | 0621) && sx.uid == USER && sx.gid == GROUP && sx.size == 5 &&
	   sx.nlink == 1 && sx.blocks == 8 && sx.ino == st.st_ino, "equal to stat's");
	ok(makedev(sx.dev_major, sx.dev_minor) == st.st_dev, "device");
	ok(sx.mtime.sec == st.st_mtim.tv_sec && sx.mtime.nsec == st.st_mtim.tv_nsec, "mtime");
	works(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, &sx), "statx: AT_EMPTY_PATH");
	is(sx.size, 5, "of the descriptor");
	fails(syscall(SYS_statx, fd, "", 0, 0x7ff, &sx), ENOENT, "statx: empty without the flag");
	fails(syscall(SYS_statx, AT_FDCWD, "s", 0x40, 0x7ff, &sx), EINVAL, "statx: a bad flag");
	fails(syscall(SYS_statx, AT_FDCWD, "s", 0, 0x80000000u, &sx), EINVAL, "statx: a reserved mask");
	works(fstatat(fd, "", &st, AT_EMPTY_PATH), "newfstatat: AT_EMPTY_PATH");
	fails(fstatat(99, "s", &st, 0), EBADF, "newfstatat: a bad descriptor");
	close(fd);
	stat("/dev/null", &st);
	ok(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) && (st.st_mode & 0777) == 0666,
	   "/dev/null is 1:3, mode 666");
	stat("/dev/tty", &st);
	ok(st.st_rdev == makedev(5, 0) && (st.st_mode & 0777) == 0666, "/dev/tty is 5:0");
	stat("/dev/console", &st);
	ok(st.st_rdev == makedev(5, 1) && (st.st_mode & 0777) == 0600, "/dev/console is 5:1, mode 600");
	stat("/dev/kmsg", &st);
	is(st.st_rdev, makedev(1, 11), "/dev/kmsg is 1:11");
	stat("/dev/ttyS0", &st);
	is(st.st_rdev, makedev(4, 64), "/dev/ttyS0 is 4:64");
}

static bool times_are(const char *path, long a, long an, long m, long mn)
{
	stat(path, &st);
	return st.st_atim.tv_sec == a && st.st_atim.tv_nsec == an && st.st_mtim.tv_sec == m &&
	       st.st_mtim.tv_nsec == mn;
}

static void check_times(void)
{
	struct timespec ts[2] = { { 100, 5 }, { 200, 6 } }, before, now;
	int fd;

	make("t", USER, USER, 0644);
	works(utimensat(AT_FDCWD, "t", ts, 0), "utimensat");
	ok(times_are("t", 100, 5, 200, 6), "to the nanosecond");
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_sec = 300;
	works(utimensat(AT_FDCWD, "t", ts, 0), "UTIME_OMIT");
	ok(times_are("t", 100, 5, 300, 6), "leaves one alone");
	ts[0].tv_nsec = UTIME_NOW;
	works(utimensat(AT_FDCWD, "t", ts, 0), "UTIME_NOW");
	clock_gettime(CLOCK_REALTIME, &now);
	stat("t", &st);
	ok(labs(st.st_atim.tv_sec - now.tv_sec) <= 60 && st.st_mtim.tv_sec == 300, "is now");
	ts[0].tv_nsec = 1000000000;
	fails(utimensat(AT_FDCWD, "t", ts, 0), EINVAL, "a bad nanosecond");
	ts[0].tv_nsec = 0;
	fails(utimensat(AT_FDCWD, "none", ts, 0), ENOENT, "missing");
	symlink("t", "tl");
	ts[0].tv_sec = 7;
	works(utimensat(AT_FDCWD, "tl", ts, AT_SYMLINK_NOFOLLOW), "of a link itself");
	lstat("tl", &st);
	is(st.st_atim.tv_sec, 7, "sets the link's");
	fd = open("t", O_RDWR);
	works(futimens(fd, ts), "futimens");
	is(as_user(OTHER, OTHER, _exit(result(utimensat(AT_FDCWD, "t", ts, 0)))) >> 8, EPERM,
	   "only the owner sets times");
	chmod("t", 0666);
	is(as_user(OTHER, OTHER, _exit(result(utimensat(AT_FDCWD, "t", NULL, 0)))), 0,
	   "who may write may set them to now");
	chmod("t", 0644);
	is(as_user(OTHER, OTHER, _exit(result(utimensat(AT_FDCWD, "t", NULL, 0)))) >> 8, EACCES,
	   "who may not may not");
	futimens(fd, ts);
	fstat(fd, &st);
	before = st.st_mtim;
	write(fd, "x", 1);
	fstat(fd, &st);
	ok(st.st_mtim.tv_sec > before.tv_sec, "write sets mtime");
	futimens(fd, ts);
	fstat(fd, &st);
	before = st.st_ctim;
	/* Files have the time of the last tick, which may be late. */
	within(20000, (clock_gettime(CLOCK_REALTIME_COARSE, &now), now.tv_sec > before.tv_sec ||
		       (now.tv_sec == before.tv_sec && now.tv_nsec > before.tv_nsec)));
	chmod("t", 0600);
	fstat(fd, &st);
	ok(st.st_ctim.tv_sec > before.tv_sec || st.st_ctim.tv_nsec > before.tv_nsec,
	   "chmod sets ctime");
	is(st.st_mtim.tv_sec, 300, "but not mtime");
	close(fd);
	unlink("tl");
}

int main(void)
{
	chmod(".", 0777);
	check_bits();
	check_folders();
	check_new_files();
	check_chmod();
	check_chown();
	check_access();
	check_stat();
	check_times();
	return tap_done();
}
