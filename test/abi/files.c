/*
 * files.c - open(2) and what one does with a descriptor: flags, offsets,
 * sparse files, vectors, truncation, dup, fcntl, sendfile, record locks.
 */
#include "tap.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

static char buf[70000];

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void check_open(void)
{
	int fd;
	struct stat st;

	fails(open("none", O_RDONLY), ENOENT, "open: missing");
	fd = open("new", O_RDWR | O_CREAT | O_EXCL, 0642);
	ok(fd == 3, "O_CREAT | O_EXCL: the lowest descriptor");
	fstat(fd, &st);
	is(st.st_mode, S_IFREG | 0640, "mode with the umask taken away");
	ok(st.st_nlink == 1 && st.st_size == 0 && st.st_uid == 0, "a new file's status");
	fails(open("new", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST, "O_EXCL: it exists");
	write(fd, "0123456789", 10);
	close(fd);
	symlink("nowhere", "dangling");
	fails(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST, "O_EXCL does not follow");
	fails(open("dangling", O_RDONLY), ENOENT, "a dangling link");
	fd = open("dangling", O_CREAT | O_WRONLY, 0600);
	ok(fd >= 0 && size_of("nowhere") == 0, "O_CREAT through a dangling link");
	close(fd);
	fails(open("dangling", O_RDONLY | O_NOFOLLOW), ELOOP, "O_NOFOLLOW");
	fails(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY on a file");
	fails(open(".", O_WRONLY), EISDIR, "a folder for writing");
	fails(open(".", O_RDONLY | O_CREAT, 0600), EISDIR, "a folder with O_CREAT");
	fails(open("new/x", O_RDONLY), ENOTDIR, "below a file");
	fails(open("new/", O_RDONLY), ENOTDIR, "a slash after a file");
	fails(open("fresh/", O_CREAT | O_WRONLY, 0600), EISDIR, "creating with a slash");
	fails(open("", O_RDONLY), ENOENT, "an empty path");
	fails(open("none/x", O_CREAT | O_WRONLY, 0600), ENOENT, "creating in a missing folder");
	fd = open("new", O_WRONLY | O_TRUNC);
	is(size_of("new"), 0, "O_TRUNC");
	fails(read(fd, buf, 1), EBADF, "read from O_WRONLY");
	close(fd);
	fd = open("new", O_RDONLY);
	fails(write(fd, "x", 1), EBADF, "write to O_RDONLY");
	fails(ftruncate(fd, 0), EINVAL, "ftruncate of O_RDONLY");
	close(fd);
	fails(close(fd), EBADF, "close twice");
	fails(read(-1, buf, 1), EBADF, "descriptor -1");
	fd = open("new", O_RDWR | O_APPEND);
	write(fd, "abc", 3);
	lseek(fd, 0, SEEK_SET);
	write(fd, "def", 3);
	pwrite(fd, "ghi", 3, 0);
	is(size_of("new"), 9, "O_APPEND writes at the end, pwrite too");
	is(lseek(fd, 0, SEEK_CUR), 6, "the offset follows write");
	close(fd);
	fd = open(".", O_RDONLY);
	fails(read(fd, buf, 10), EISDIR, "read of a folder");
	close(fd);
	fails(creat("/proc/nothing", 0600), ENOENT, "creating in /proc");
}

static void check_path(void)
{
	int fd = open("new", O_PATH), link, dir;
	char name[64], shown[200];
	struct stat st;
	ssize_t len;

	ok(fd >= 0, "O_PATH");
	fails(read(fd, buf, 1), EBADF, "read of O_PATH");
	fails(syscall(SYS_fchmod, fd, 0600), EBADF, "fchmod of O_PATH");
	fails(ioctl(fd, FIONREAD, buf), EBADF, "ioctl of O_PATH");
	works(fstat(fd, &st), "fstat of O_PATH");
	is(fcntl(fd, F_GETFL) & O_PATH, O_PATH, "F_GETFL says O_PATH");
	close(fd);
	link = open("dangling", O_PATH | O_NOFOLLOW);
	fstat(link, &st);
	ok(S_ISLNK(st.st_mode), "O_PATH | O_NOFOLLOW opens the link itself");
	is(readlinkat(link, "", buf, sizeof(buf)), 7, "readlinkat with an empty path");
	close(link);
	dir = open(".", O_PATH | O_DIRECTORY);
	fd = openat(dir, "new", O_RDONLY);
	ok(fd >= 0, "openat from an O_PATH folder");
	close(fd);
	close(dir);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	ok(fd >= 0, "O_TMPFILE");
	fstat(fd, &st);
	is(st.st_nlink, 0, "has no name");
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	snprintf(name, sizeof(name), "/#%lu (deleted)", (unsigned long)st.st_ino);
	len = readlink(buf, shown, sizeof(shown) - 1);
	shown[len > 0 ? len : 0] = '\0';
	ok(len > (ssize_t)strlen(name) && !strcmp(shown + len - strlen(name), name), "but its number is shown");
	write(fd, "temp", 4);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	works(linkat(AT_FDCWD, buf, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), "linkat gives it one");
	is(size_of("named"), 4, "with its contents");
	close(fd);
	fails(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL, "O_TMPFILE read-only");
	fails(open(".", O_RDONLY | O_DIRECT), EINVAL, "O_DIRECT on a folder");
	fails(open("/dev/null", O_RDWR | O_DIRECT), EINVAL, "O_DIRECT on a device");
	fails(openat(99, "new", O_RDONLY), EBADF, "openat: a bad folder descriptor");
	fd = open("new", O_RDONLY);
	fails(openat(fd, "x", O_RDONLY), ENOTDIR, "openat: a file as folder");
	dir = openat(fd, "/tmp", O_RDONLY);
	ok(dir >= 0, "openat: an absolute path ignores the folder");
	close(dir);
	close(fd);
}

static void check_seek(void)
{
	int fd = open("sparse", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];
	struct stat st;
	off_t hole;

	is(lseek(fd, 1 << 20, SEEK_SET), 1 << 20, "seek beyond the end");
	is(size_of("sparse"), 0, "does not grow the file");
	is(read(fd, buf, 10), 0, "read there is end of file");
	write(fd, "x", 1);
	is(size_of("sparse"), (1 << 20) + 1, "write does");
	fstat(fd, &st);
	ok(st.st_blocks * 512 < 1 << 20, "the hole takes no blocks");
	memset(buf, 1, 100);
	is(pread(fd, buf, 100, 500000), 100, "read of the hole");
	is(buf[0] | buf[99], 0, "gives zeros");
	is(lseek(fd, -1, SEEK_END), 1 << 20, "SEEK_END");
	is(lseek(fd, 5, SEEK_CUR), (1 << 20) + 5, "SEEK_CUR");
	fails(lseek(fd, -1, SEEK_SET), EINVAL, "a negative offset");
	fails(lseek(fd, 0, 99), EINVAL, "an unknown whence");
	hole = lseek(fd, 0, SEEK_HOLE);
	is(hole, 0, "SEEK_HOLE at a hole");
	is(lseek(fd, 0, SEEK_DATA), 1 << 20, "SEEK_DATA finds the data");
	is(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 1, "the end is a hole");
	fails(lseek(fd, 2 << 20, SEEK_DATA), ENXIO, "SEEK_DATA beyond the end");
	fails(lseek(fd, 2 << 20, SEEK_HOLE), ENXIO, "SEEK_HOLE beyond the end");
	pipe(p);
	fails(lseek(p[0], 0, SEEK_SET), ESPIPE, "seek of a pipe");
	fails(pread(p[0], buf, 1, 0), ESPIPE, "pread of a pipe");
	close(p[0]);
	close(p[1]);
	fails(pread(fd, buf, 1, -1), EINVAL, "pread at -1");
	fails(pwrite(fd, buf, 1, -5), EINVAL, "pwrite at -5");
	is(lseek(fd, 0, SEEK_CUR), (1 << 20) + 1, "pread leaves the offset");
	close(fd);
}

static void check_truncate(void)
{
	int fd = open("trunc", O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(buf, 'y', 10000);
	write(fd, buf, 10000);
	works(ftruncate(fd, 5000), "ftruncate down");
	works(ftruncate(fd, 10000), "and up");
	pread(fd, buf, 10000, 0);
	ok(buf[4999] == 'y' && buf[5000] == 0 && buf[9999] == 0, "what was cut reads zero");
	fails(ftruncate(fd, -1), EINVAL, "a negative size");
	fails(truncate("none", 0), ENOENT, "truncate: missing");
	fails(truncate(".", 0), EISDIR, "truncate: a folder");
	works(truncate("trunc", 7), "truncate by name");
	is(size_of("trunc"), 7, "the new size");
	works(fallocate(fd, 0, 0, 20000), "fallocate");
	is(size_of("trunc"), 20000, "grows the file");
	works(fallocate(fd, 1, 0, 40000), "fallocate: FALLOC_FL_KEEP_SIZE");
	is(size_of("trunc"), 20000, "does not");
	fails(fallocate(fd, 0, 0, 0), EINVAL, "fallocate: length 0");
	close(fd);
	is(in_child({
		struct rlimit rl = { 100, 100 };
		int n;

		setrlimit(RLIMIT_FSIZE, &rl);
		signal(SIGXFSZ, SIG_IGN);
		fd = open("limit", O_RDWR | O_CREAT, 0600);
		n = write(fd, buf, 300);
		if (n != 100)
			_exit(1);
		if (write(fd, buf, 1) != -1 || errno != EFBIG)
			_exit(2);
		_exit(ftruncate(fd, 200) != -1 || errno != EFBIG ? 3 : 0);
	}), 0, "RLIMIT_FSIZE: a short write, then EFBIG");
	ok(killed(in_child({
		struct rlimit rl = { 100, 100 };

		setrlimit(RLIMIT_FSIZE, &rl);
		fd = open("limit", O_RDWR | O_CREAT | O_APPEND, 0600);
		write(fd, buf, 100);
		write(fd, buf, 1);
	}), SIGXFSZ), "and SIGXFSZ");
}

static void check_vectors(void)
{
	int fd = open("vec", O_RDWR | O_CREAT | O_TRUNC, 0600), other;
	struct iovec iov[3] = { { "abc", 3 }, { "", 0 }, { "defg", 4 } }, many[1025];
	char a[4] = "", b[4] = "";

	is(writev(fd, iov, 3), 7, "writev");
	iov[0].iov_base = a;
	iov[0].iov_len = 2;
	iov[1].iov_base = b;
	iov[1].iov_len = 3;
	is(preadv(fd, iov, 2, 1), 5, "preadv");
	ok(!memcmp(a, "bc", 2) && !memcmp(b, "def", 3), "in order");
	lseek(fd, 0, SEEK_SET);
	is(readv(fd, iov, 2), 5, "readv");
	is(lseek(fd, 0, SEEK_CUR), 5, "moves the offset");
	fails(readv(fd, iov, -1), EINVAL, "readv: -1 parts");
	memset(many, 0, sizeof(many));
	fails(readv(fd, many, 1025), EINVAL, "readv: 1025 parts");
	is(readv(fd, many, 1024), 0, "readv: 1024 empty parts");
	is(writev(fd, many, 0), 0, "writev: no part");
	iov[0].iov_len = -1;
	fails(readv(fd, iov, 1), EINVAL, "readv: a negative length");
	other = open("vec", O_WRONLY);
	fails(readv(other, iov, 1), EINVAL, "it is noticed before the file's mode");
	fails(readv(other, many, 1), EBADF, "which an empty part does not hide");
	close(other);
	other = open(".", O_RDONLY | O_DIRECTORY);
	is(readv(other, many, 1), 0, "readv: a directory does not see an empty part");
	close(other);
	iov[0].iov_base = "zz";
	iov[0].iov_len = 2;
	iov[1].iov_base = (void *)8;
	is(pwritev(fd, iov, 2, 0), 2, "pwritev: a bad second part: what came before counts");
	is(syscall(SYS_pwritev2, fd, iov, 1, -1L, 0L, 0), 2, "pwritev2 at -1 uses the offset");
	fails(syscall(SYS_preadv2, fd, iov, 1, 0L, 0L, 0x1000), EOPNOTSUPP, "preadv2: an unknown flag");
	is(syscall(SYS_read, fd, buf, 0), 0, "read of 0 bytes");
	close(fd);
}

static void check_dup(void)
{
	int fd = open("vec", O_RDONLY), d, flags;
	off_t before = size_of("vec");
	struct rlimit rl, old;

	d = dup(fd);
	lseek(fd, 3, SEEK_SET);
	is(lseek(d, 0, SEEK_CUR), 3, "dup shares the offset");
	is(dup2(fd, 50), 50, "dup2");
	is(dup2(fd, fd), fd, "dup2 to itself");
	fails(dup2(99, 51), EBADF, "dup2: a bad descriptor");
	fails(dup2(fd, -1), EBADF, "dup2: to -1");
	fails(dup2(fd, 1 << 30), EBADF, "dup2: beyond the limit");
	fails(dup3(fd, fd, 0), EINVAL, "dup3 to itself");
	fails(syscall(SYS_dup3, fd, 51, O_APPEND), EINVAL, "dup3: a bad flag");
	is(dup3(fd, 51, O_CLOEXEC), 51, "dup3");
	is(fcntl(51, F_GETFD), FD_CLOEXEC, "with O_CLOEXEC");
	is(fcntl(50, F_GETFD), 0, "dup2 has none");
	is(fcntl(fd, F_DUPFD, 60), 60, "F_DUPFD");
	is(fcntl(fd, F_DUPFD_CLOEXEC, 60), 61, "F_DUPFD_CLOEXEC");
	is(fcntl(61, F_GETFD), FD_CLOEXEC, "sets it");
	fails(fcntl(fd, F_DUPFD, -1), EINVAL, "F_DUPFD: -1");
	fails(fcntl(fd, 9999, 0), EINVAL, "fcntl: an unknown command");
	fails(fcntl(99, F_GETFD), EBADF, "fcntl: a bad descriptor");
	flags = fcntl(fd, F_GETFL);
	is(flags & O_ACCMODE, O_RDONLY, "F_GETFL: mode");
	d = open("vec", O_RDONLY | O_CLOEXEC);
	is(fcntl(d, F_GETFL), flags, "F_GETFL: O_CLOEXEC is the descriptor's, not the file's");
	is(fcntl(d, F_GETFD), FD_CLOEXEC, "which has it");
	close(d);
	works(fcntl(fd, F_SETFL, O_NONBLOCK | O_RDWR), "F_SETFL");
	is(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK, "changes flags, not the mode");
	getrlimit(RLIMIT_NOFILE, &old);
	rl = old;
	rl.rlim_cur = 65;
	setrlimit(RLIMIT_NOFILE, &rl);
	fails(fcntl(fd, F_DUPFD, 65), EINVAL, "F_DUPFD at RLIMIT_NOFILE");
	while (dup(fd) >= 0)
		;
	is(errno, EMFILE, "EMFILE at RLIMIT_NOFILE");
	fails(open("vec", O_RDONLY), EMFILE, "for open too");
	fails(open("nowhere/vec", O_RDONLY), EMFILE, "before it looks for the file");
	fails(open("never", O_RDWR | O_CREAT, 0600), EMFILE, "or makes it");
	fails(open("vec", O_RDWR | O_TRUNC), EMFILE, "or cuts it");
	setrlimit(RLIMIT_NOFILE, &old);
	fails(access("never", F_OK), ENOENT, "nothing was made");
	is(size_of("vec"), before, "nor cut");
	fails(fcntl(fd, F_SETOWN, 4194303), ESRCH, "F_SETOWN: nobody");
	is(fcntl(fd, F_GETOWN), 0, "so there is no owner");
	works(fcntl(fd, F_SETOWN, -getpgrp()), "F_SETOWN: a group");
	works(fcntl(fd, F_SETOWN, getpid()), "F_SETOWN: a process");
	is(fcntl(fd, F_GETOWN), getpid(), "F_GETOWN");
	works(syscall(SYS_close_range, 4, ~0u, 0), "close_range");
	fails(fcntl(50, F_GETFD), EBADF, "closes all of it");
	dup2(fd, 10);
	works(syscall(SYS_close_range, 5, 20, 4), "close_range: CLOSE_RANGE_CLOEXEC");
	is(fcntl(10, F_GETFD), FD_CLOEXEC, "only marks");
	fails(syscall(SYS_close_range, 5, 4, 0), EINVAL, "close_range: first above last");
	close(10);
	close(fd);
}

/* A sendfile that nobody's reading lets go on: who shares the file can still seek. */
static void check_copy_held_up(int in)
{
	int p[2], there = 0;
	pid_t child;

	pipe(p);
	works(fcntl(p[1], F_SETPIPE_SZ, 4096), "a small pipe");
	lseek(in, 0, SEEK_SET);
	child = fork();
	if (!child)
		_exit(sendfile(p[1], in, NULL, 30000) < 0);
	while (there < 4096 && !ioctl(p[0], FIONREAD, &there))
		sched_yield();
	ok(lseek(in, 0, SEEK_CUR) >= 0, "a sendfile that waits holds nobody up");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(p[0]);
	close(p[1]);
}

static void check_copy_across(void)
{
	int in = open("in", O_RDONLY), out;
	loff_t from = 0, to = 0;

	mkdir("other", 0700);
	works(mount("tmpfs", "other", "tmpfs", 0, ""), "another tmpfs");
	out = open("other/out", O_RDWR | O_CREAT, 0600);
	fails(syscall(SYS_copy_file_range, in, &from, out, &to, 5, 0), EXDEV, "copy_file_range to another file system of the type");
	close(out);
	works(umount("other"), "which goes");
	rmdir("other");
	close(in);
}

/* Two processes that share both descriptors, each the other way round: two positions are locked at a time. */
static void check_copy_both_ways(int a, int b)
{
	pid_t child = fork();
	int from = child ? a : b, to = child ? b : a, status, wrong = 0;

	for (int i = 0; i < 300; i++)
		wrong += sendfile(to, from, NULL, 1) < 0;
	if (!child)
		_exit(wrong != 0);
	waitpid(child, &status, 0);
	is(wrong, 0, "sendfile with shared positions");
	is(status, 0, "both ways at a time");
	lseek(a, 0, SEEK_SET);
	is(sendfile(a, a, NULL, 0), 0, "sendfile within one file");
}

static void check_copy(void)
{
	int in = open("in", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];
	int out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
	off_t off = 10;

	memset(buf, 'c', 30000);
	write(in, buf, 30000);
	is(sendfile(out, in, &off, 20000), 20000, "sendfile between files");
	is(off, 20010, "moves the given offset");
	is(lseek(in, 0, SEEK_CUR), 30000, "not the file's");
	is(sendfile(out, in, NULL, 10), 0, "sendfile at the end");
	pipe(p);
	off = 0;
	is(sendfile(p[1], in, &off, 1000), 1000, "sendfile to a pipe");
	is(read(p[0], buf, 2000), 1000, "arrives");
	write(p[1], "x", 1);
	fails(sendfile(out, p[0], NULL, 5), EINVAL, "sendfile from a pipe");
	fails(sendfile(out, open("/dev/zero", O_RDONLY), NULL, 5), EINVAL, "sendfile from a device");
	fails(sendfile(p[1], 99, NULL, 5), EBADF, "sendfile: a bad source");
	fails(sendfile(99, in, NULL, 5), EBADF, "sendfile: a bad target");
	check_copy_both_ways(in, out);
	check_copy_held_up(in);
	check_copy_across();
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
}

static void check_locks(void)
{
	int fd = open("lock", O_RDWR | O_CREAT, 0600), other;
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	int status;

	works(fcntl(fd, F_SETLK, &fl), "F_SETLK");
	status = in_child({
		struct flock mine = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15 };
		int f = open("lock", O_RDWR);

		if (fcntl(f, F_SETLK, &mine) != -1 || (errno != EAGAIN && errno != EACCES))
			_exit(1);
		if (fcntl(f, F_GETLK, &mine) < 0 || mine.l_type != F_WRLCK ||
		    mine.l_pid != getppid() || mine.l_start != 10 || mine.l_len != 10)
			_exit(2);
		mine.l_type = F_WRLCK;
		mine.l_start = 20;
		mine.l_len = 0;
		_exit(fcntl(f, F_SETLK, &mine) < 0 ? 3 : 0);
	});
	is(status, 0, "record locks exclude other processes, by range");
	other = open("lock", O_RDWR);
	close(other);
	status = in_child({
		struct flock mine = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		_exit(fcntl(open("lock", O_RDWR), F_SETLK, &mine) < 0);
	});
	is(status, 0, "closing any descriptor of the file drops them");
	works(flock(fd, LOCK_EX), "flock");
	other = open("lock", O_RDWR);
	fails(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK, "flock excludes another open file");
	works(flock(fd, LOCK_UN), "LOCK_UN");
	works(flock(other, LOCK_SH | LOCK_NB), "then it is free");
	works(flock(-1, LOCK_SH | 32), "LOCK_MAND does nothing any more, whatever the descriptor");
	fails(flock(-1, LOCK_SH | LOCK_EX), EINVAL, "an operation that is none, before the descriptor");
	fails(flock(-1, LOCK_UN), EBADF, "then the descriptor");
	close(other);
	close(fd);
}

static void check_misc(void)
{
	int fd = open("vec", O_RDONLY);
	uint32_t statx[64] = { 0 };
	struct statfs sf;
	int n;

	fails(ioctl(fd, 0x5401, buf), ENOTTY, "TCGETS of a file");
	works(ioctl(fd, FIONREAD, &n), "FIONREAD of a file");
	is(n, size_of("vec"), "what is left to read");
	works(fsync(fd), "fsync");
	works(fdatasync(fd), "fdatasync");
	fails(fsync(99), EBADF, "fsync: a bad descriptor");
	works(statfs(".", &sf), "statfs");
	is(sf.f_type, 0x01021994, "says tmpfs");
	is(sf.f_namelen, 255, "names up to 255");
	works(fstatfs(fd, &sf), "fstatfs");
	works(syscall(SYS_statx, AT_FDCWD, "vec", 0, 0x7ff, statx), "statx");
	is(statx[0] & 0x800, 0, "no time of birth for who does not ask");
	works(syscall(SYS_statx, AT_FDCWD, "vec", 0, 0x800, statx), "statx: STATX_BTIME");
	is(statx[0] & 0x800, 0x800, "it is there");
	works(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) ? -1 : 0, "posix_fadvise");
	sync();
	close(fd);
	fd = open("/dev/full", O_RDWR);
	fails(write(fd, "x", 1), ENOSPC, "/dev/full is full");
	is(read(fd, buf, 10), 10, "and reads zeros");
	close(fd);
	fd = open("/dev/null", O_RDWR);
	is(write(fd, buf, 5000), 5000, "/dev/null takes all");
	is(read(fd, buf, 10), 0, "and gives nothing");
	close(fd);
	fd = open("/dev/zero", O_RDWR);
	memset(buf, 1, 100);
	is(read(fd, buf, 100), 100, "/dev/zero");
	is(buf[0] | buf[99], 0, "gives zeros");
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	is(read(fd, buf, 1000), 1000, "/dev/urandom");
	close(fd);
}

static long atime_after(int fd, bool folder)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st;

	futimens(fd, old);
	if (folder)
		syscall(SYS_getdents64, fd, buf, sizeof(buf));
	else
		pread(fd, buf, 10, 0);
	fstat(fd, &st);
	return st.st_atim.tv_sec;
}

static void check_noatime(void)
{
	int fd = open("in", O_RDONLY), dir = open(".", O_RDONLY | O_DIRECTORY | O_NOATIME);

	is(atime_after(dir, true), 1000, "O_NOATIME: a folder that is read");
	close(dir);
	works(fcntl(fd, F_SETFL, O_NOATIME), "F_SETFL: O_NOATIME");
	is(atime_after(fd, false), 1000, "it works from now on");
	works(fcntl(fd, F_SETFL, 0), "F_SETFL: without");
	ok(atime_after(fd, false) > 1000, "and no longer");
	close(fd);
}

static void check_fifo_times(void)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st;
	int fd;

	works(mkfifo("times", 0600), "mkfifo");
	fd = open("times", O_RDWR);
	futimens(fd, old);
	write(fd, "x", 1);
	fstat(fd, &st);
	ok(st.st_mtim.tv_sec > 2000 && st.st_atim.tv_sec == 1000, "what is written to a fifo moves its mtime");
	read(fd, buf, 1);
	fstat(fd, &st);
	ok(st.st_atim.tv_sec > 1000, "what is read its atime");
	close(fd);
}

static void check_seals(void)
{
	int fd = syscall(SYS_memfd_create, "sealed", 2 /* MFD_ALLOW_SEALING */);
	struct rlimit old, rl;

	works(ftruncate(fd, 4096), "a memfd of a page");
	getrlimit(RLIMIT_FSIZE, &old);
	rl = old;
	rl.rlim_cur = 10000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &rl);
	fails(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000), EFBIG, "RLIMIT_FSIZE: room behind the end");
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	works(fcntl(fd, 1033 /* F_ADD_SEALS */, 4 /* F_SEAL_GROW */), "F_SEAL_GROW");
	is(pwrite(fd, buf, 8192, 0), 4096, "a write that begins before the end");
	is(pwrite(fd, buf, 100, 4090), 6, "stops there");
	fails(pwrite(fd, buf, 10, 4096), EPERM, "one that begins at the end");
	works(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192), "a hole beyond the end grows nothing");
	fails(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192), EPERM, "room does");
	close(fd);
	fd = syscall(SYS_memfd_create, "odd", 2);
	ftruncate(fd, 100);
	fcntl(fd, 1033, 4);
	fails(pwrite(fd, buf, 200, 0), EPERM, "nothing of a page that would grow");
	close(fd);
}

/* RESOLVE_BENEATH against somebody who moves a folder out of the way up: what is opened is never outside. */
static void check_scope(void)
{
	struct { uint64_t flags, mode, resolve; } how = { O_RDONLY, 0, 8 };
	char path[2048] = "a";
	int dir, fd, escaped = 0;
	struct timespec end, t;
	pid_t mover;

	mkdir("scope", 0755);
	mkdir("scope/inner", 0755);
	mkdir("scope/inner/a", 0755);
	mkdir("scope/inner/a/b", 0755);
	close(open("scope/secret", O_RDWR | O_CREAT, 0600));
	mkdir("scope/outer", 0755);
	close(open("scope/outer/secret", O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < 300; i++)
		strcat(path, "/b/..");
	strcat(path, "/../secret");
	dir = open("scope/inner", O_RDONLY | O_DIRECTORY);
	fails(syscall(437 /* openat2 */, dir, path, &how, sizeof(how)), ENOENT, "openat2 beneath a folder: not there");
	fails(syscall(437, dir, "a/../../secret", &how, sizeof(how)), EXDEV, "nor above it");
	mover = fork();
	while (!mover) {
		rename("scope/inner/a", "scope/outer/a");
		rename("scope/outer/a", "scope/inner/a");
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec++;
	do {
		fd = syscall(437, dir, path, &how, sizeof(how));
		if (fd >= 0) {
			escaped++;
			close(fd);
		}
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (t.tv_sec < end.tv_sec || (t.tv_sec == end.tv_sec && t.tv_nsec < end.tv_nsec));
	kill(mover, SIGKILL);
	waitpid(mover, NULL, 0);
	is(escaped, 0, "however its folders are moved meanwhile");
	close(dir);
}

int main(void)
{
	check_open();
	check_path();
	check_seek();
	check_truncate();
	check_vectors();
	check_dup();
	check_copy();
	check_locks();
	check_misc();
	check_noatime();
	check_fifo_times();
	check_seals();
	check_scope();
	return tap_done();
}
