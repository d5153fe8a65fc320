/* file.c - scenes of files, directories, descriptors and mounts. */
#include "fail.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/statfs.h>
#include <termios.h>
#include <linux/falloc.h>

#define AT AT_FDCWD

static struct iovec vec[64];
static off_t offset;

static void make_vec(void)
{
	int i;

	for (i = 0; i < 64; i++)
		vec[i] = (struct iovec){ big + i * 4096, 4096 };
}

static int temp(size_t size)
{
	int fd = make_file("t", size);

	unlink("t");
	lseek(fd, 0, SEEK_SET);
	return fd;
}

#define KEEP(fd) keep_fd = (fd)
#define CLOSE close(keep_fd)

/* ---- opening ---- */
SCENE(open, "open", ALSO(0), close(make_file("f", 10)), open("f", O_RDWR), drop(r); unlink("f"));
SCENE(open_new, "open.create", ALSO(0), , open("new", O_RDWR | O_CREAT | O_EXCL, 0600), drop(r); unlink("new"));
SCENE(open_long, "open.long", ALSO(0), , open(LONG_NAME, O_RDWR | O_CREAT, 0600), drop(r); unlink(LONG_NAME));
SCENE(open_tmp, "open.tmpfile", ALSO(0), , open(".", O_RDWR | O_TMPFILE, 0600), drop(r));
SCENE(open_path, "open.path", ALSO(0), , open("/proc/self/fd", O_PATH), drop(r));
SCENE(open_missing, "open.longpath", ALSO(0), mkdir("d", 0700),
      open("d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../"
	   "d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d/../d",
	   O_RDONLY), drop(r); rmdir("d"));
SCENE(open_link, "open.link", ALSO(0), symlink("/proc/self/stat", "l"), open("l", O_RDONLY), drop(r); unlink("l"));
SCENE(open_fd, "open.reopen", ALSO(0), KEEP(temp(1)); snprintf(small, 60, "/proc/self/fd/%d", keep_fd),
      open(small, O_RDONLY), drop(r); CLOSE);
SCENE(open_null, "open.device", ALSO(0), , open("/dev/null", O_RDWR), drop(r));
SCENE(open_tty, "open.tty", ALSO(0), , open("/dev/ttyS0", O_RDWR | O_NOCTTY), drop(r));
SCENE(open_fifo, "open.fifo", ALSO(0), mkfifo("p", 0600), open("p", O_RDWR), drop(r); unlink("p"));
SCENE(open_trunc, "open.truncate", ALSO(0), close(make_file("f", 100000)), open("f", O_RDWR | O_TRUNC), drop(r); unlink("f"));
SCENE(openat, "openat", ALSO(0), , syscall(SYS_openat, AT, "/proc/self/maps", O_RDONLY, 0), drop(r));
SCENE(openat2, "openat2", ALSO(0), memset(small, 0, 24), syscall(SYS_openat2, AT, "/dev/zero", small, 24), drop(r));
SCENE(creat, "creat", ALSO(0), , syscall(SYS_creat, "new", 0600), drop(r); unlink("new"));
SCENE(close_, "close", ALSO(0), KEEP(temp(9000)), close(keep_fd), );
SCENE(close_range, "close_range", ALSO(0), KEEP(temp(0)); dup2(keep_fd, 500),
      syscall(SYS_close_range, 200, 600, 0), CLOSE);
SCENE_CHILD(close_range_un, "close_range.unshare", ALSO(0), , syscall(SYS_close_range, 200, 600, 2));

/* ---- names ---- */
SCENE(mkdir, "mkdir", ALSO(0), , mkdir("d", 0700), rmdir("d"));
SCENE(mkdir_long, "mkdir.long", ALSO(0), , mkdir(LONG_NAME, 0700), rmdir(LONG_NAME));
SCENE(mkdirat, "mkdirat", ALSO(0), , mkdirat(AT, "d", 0700), rmdir("d"));
SCENE(rmdir, "rmdir", ALSO(0), mkdir("d", 0700), rmdir("d"), rmdir("d"));
SCENE(mknod, "mknod", ALSO(0), , mknod("n", S_IFCHR | 0600, 0x103), unlink("n"));
SCENE(mknodat, "mknodat", ALSO(0), , mknodat(AT, "n", S_IFIFO | 0600, 0), unlink("n"));
SCENE(link, "link", ALSO(0), close(make_file("f", 1)), link("f", "g"), unlink("f"); unlink("g"));
SCENE(linkat, "linkat", ALSO(0), close(make_file("f", 1)), linkat(AT, "f", AT, LONG_NAME, 0), unlink("f"); unlink(LONG_NAME));
SCENE(symlink_, "symlink", ALSO(0), , symlink("/proc", "s"), unlink("s"));
SCENE(symlink_long, "symlink.long", ALSO(0), memset(small, 'x', 3000); small[3000] = 0, symlink(small, "s"), unlink("s"));
SCENE(symlinkat, "symlinkat", ALSO(0), , symlinkat("/proc", AT, "s"), unlink("s"));
SCENE(unlink_, "unlink", ALSO(0), close(make_file("f", 100000)), unlink("f"), unlink("f"));
SCENE(unlinkat_, "unlinkat", ALSO(0), close(make_file("f", 0)), unlinkat(AT, "f", 0), unlink("f"));
SCENE(rename_, "rename", ALSO(0), close(make_file("f", 1)), rename("f", "g"), unlink("f"); unlink("g"));
SCENE(rename_over, "rename.over", ALSO(0), close(make_file("f", 1)); close(make_file("g", 9000)), rename("f", "g"),
      unlink("f"); unlink("g"));
SCENE(rename_long, "renameat", ALSO(0), close(make_file("f", 1)), renameat(AT, "f", AT, LONG_NAME),
      unlink("f"); unlink(LONG_NAME));
SCENE(rename_dir, "renameat2", ALSO(0), mkdir("d", 0700); mkdir("e", 0700); mkdir("d/f", 0700),
      syscall(SYS_renameat2, AT, "d/f", AT, "e/g", 1), rmdir("d/f"); rmdir("e/g"); rmdir("d"); rmdir("e"));
SCENE(rename_swap, "renameat2.exchange", ALSO(0), close(make_file("f", 1)); mkdir(LONG_NAME, 0700),
      syscall(SYS_renameat2, AT, "f", AT, LONG_NAME, 2), unlink("f"); rmdir("f"); unlink(LONG_NAME); rmdir(LONG_NAME));
SCENE(readlink_, "readlink", ALSO(0), symlink("/proc", "s"), readlink("s", small, 4096), unlink("s"));
SCENE(readlink_exe, "readlinkat", ALSO(0), , readlinkat(AT, "/proc/self/exe", small, 4096), );
SCENE(getcwd_, "getcwd", ALSO(0), , syscall(SYS_getcwd, small, 4096), );
SCENE_CHILD(chdir_, "chdir", ALSO(0), , chdir("/proc/self"));
SCENE_(fchdir_, "fchdir", CHILD, 0, ALSO(0), KEEP(open("/dev", O_RDONLY)), fchdir(keep_fd), CLOSE);
SCENE_CHILD(chroot_, "chroot", ALSO(0), , chroot("/dev"));
SCENE_(getdents, "getdents", 0, 0, ALSO(0), fill_dir("dir", 60); KEEP(open("dir", O_RDONLY)),
       syscall(SYS_getdents, keep_fd, big, 8192), CLOSE; empty_dir("dir", 60));
SCENE(getdents64, "getdents64", ALSO(0), KEEP(open("/proc", O_RDONLY)), syscall(SYS_getdents64, keep_fd, big, 65536), CLOSE);
SCENE(getdents_fd, "getdents64.fd", ALSO(0), KEEP(open("/proc/self/task", O_RDONLY)),
      syscall(SYS_getdents64, keep_fd, big, 65536), CLOSE);

/* ---- attributes ---- */
static struct stat st;
static struct statfs sfs;
SCENE(stat_, "stat", ALSO(0), , syscall(SYS_stat, "/proc/self/status", &st), );
SCENE(lstat_, "lstat", ALSO(0), , syscall(SYS_lstat, "/proc/self", &st), );
SCENE(fstat_, "fstat", ALSO(0), , syscall(SYS_fstat, 1, &st), );
SCENE(newfstatat, "newfstatat", ALSO(0), , syscall(SYS_newfstatat, AT, "/proc/self/task/../fd/1", &st, 0), );
SCENE(statx, "statx", ALSO(0), , syscall(SYS_statx, AT, "/proc/self/root", 0, 0xfff, small), );
SCENE(statfs_, "statfs", ALSO(0), , statfs("/tmp", &sfs), );
SCENE(fstatfs_, "fstatfs", ALSO(0), , fstatfs(1, &sfs), );
SCENE(access_, "access", ALSO(0), , syscall(SYS_access, "/proc/self/cwd", R_OK), );
SCENE(faccessat, "faccessat", ALSO(0), , syscall(SYS_faccessat, AT, "/dev/null", R_OK), );
SCENE(faccessat2, "faccessat2", ALSO(0), , syscall(SYS_faccessat2, AT, "/dev/null", R_OK, AT_EACCESS), );
#define WITH_F close(make_file("f", 1))
SCENE(chmod_, "chmod", ALSO(0), WITH_F, syscall(SYS_chmod, "f", 0644), unlink("f"));
SCENE(fchmod_, "fchmod", ALSO(0), KEEP(temp(0)), syscall(SYS_fchmod, keep_fd, 0644), CLOSE);
SCENE(fchmodat_, "fchmodat", ALSO(0), WITH_F, syscall(SYS_fchmodat, AT, "f", 0644), unlink("f"));
SCENE(chown_, "chown", ALSO(0), WITH_F, syscall(SYS_chown, "f", 5, 6), unlink("f"));
SCENE(lchown_, "lchown", ALSO(0), WITH_F, syscall(SYS_lchown, "f", 5, 6), unlink("f"));
SCENE(fchown_, "fchown", ALSO(0), KEEP(temp(0)), syscall(SYS_fchown, keep_fd, 5, 6), CLOSE);
SCENE(fchownat_, "fchownat", ALSO(0), WITH_F, syscall(SYS_fchownat, AT, "f", 5, 6, 0), unlink("f"));
SCENE(utime_, "utime", ALSO(0), WITH_F, syscall(SYS_utime, "f", NULL), unlink("f"));
SCENE(utimes_, "utimes", ALSO(0), WITH_F, syscall(SYS_utimes, "f", NULL), unlink("f"));
SCENE(futimesat_, "futimesat", ALSO(0), WITH_F, syscall(SYS_futimesat, AT, "f", NULL), unlink("f"));
SCENE(utimensat_, "utimensat", ALSO(0), WITH_F, syscall(SYS_utimensat, AT, "f", NULL, 0), unlink("f"));
SCENE_(setxattr, "setxattr", 0, EOPNOTSUPP, ALSO(0), WITH_F, syscall(SYS_setxattr, "f", "user.a", big, 4000, 0), unlink("f"));
SCENE_(lsetxattr, "lsetxattr", 0, EOPNOTSUPP, ALSO(0), WITH_F, syscall(SYS_lsetxattr, "f", "user.a", big, 65536, 0), unlink("f"));
SCENE_(fsetxattr, "fsetxattr", 0, EOPNOTSUPP, ALSO(0), KEEP(temp(0)), syscall(SYS_fsetxattr, keep_fd, "user.a", big, 4, 0), CLOSE);
SCENE_(getxattr, "getxattr", 0, EOPNOTSUPP, ALSO(0), WITH_F, syscall(SYS_getxattr, "f", "user.a", big, 65536), unlink("f"));
SCENE_(lgetxattr, "lgetxattr", 0, EOPNOTSUPP, ALSO(0), WITH_F, syscall(SYS_lgetxattr, "f", "user.a", big, 9), unlink("f"));
SCENE_(fgetxattr, "fgetxattr", 0, EOPNOTSUPP, ALSO(0), KEEP(temp(0)), syscall(SYS_fgetxattr, keep_fd, "user.a", big, 9), CLOSE);
SCENE(listxattr, "listxattr", ALSO(0), WITH_F, syscall(SYS_listxattr, "f", big, 65536), unlink("f"));
SCENE(llistxattr, "llistxattr", ALSO(0), WITH_F, syscall(SYS_llistxattr, "f", big, 9), unlink("f"));
SCENE(flistxattr, "flistxattr", ALSO(0), KEEP(temp(0)), syscall(SYS_flistxattr, keep_fd, big, 9), CLOSE);
SCENE_(removexattr, "removexattr", 0, EOPNOTSUPP, ALSO(0), WITH_F, syscall(SYS_removexattr, "f", "user.a"), unlink("f"));
SCENE_(lremovexattr, "lremovexattr", 0, EOPNOTSUPP, ALSO(0), WITH_F, syscall(SYS_lremovexattr, "f", "user.a"), unlink("f"));
SCENE_(fremovexattr, "fremovexattr", 0, EOPNOTSUPP, ALSO(0), KEEP(temp(0)), syscall(SYS_fremovexattr, keep_fd, "user.a"), CLOSE);

/* ---- data ---- */
SCENE(read_, "read", ALSO(0), KEEP(temp(70000)), read(keep_fd, big, 70000), CLOSE);
SCENE(read_proc, "read.maps", ALSO(0), KEEP(open("/proc/self/maps", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_statm, "read.statm", ALSO(0), KEEP(open("/proc/self/statm", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_status, "read.status", ALSO(0), KEEP(open("/proc/self/status", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_stat, "read.stat", ALSO(0), KEEP(open("/proc/self/stat", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_mounts, "read.mountinfo", ALSO(0), KEEP(open("/proc/self/mountinfo", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_cmdline, "read.cmdline", ALSO(0), KEEP(open("/proc/self/cmdline", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_environ, "read.environ", ALSO(0), KEEP(open("/proc/self/environ", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_fdinfo, "read.fdinfo", ALSO(0), KEEP(open("/proc/self/fdinfo/1", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_meminfo, "read.meminfo", ALSO(0), KEEP(open("/proc/meminfo", O_RDONLY)), read(keep_fd, big, 8192), CLOSE);
SCENE(read_slabinfo, "read.slabinfo", ALSO(0), KEEP(open("/proc/slabinfo", O_RDONLY)), read(keep_fd, big, 65536), CLOSE);
SCENE(read_hole, "read.hole", ALSO(0), KEEP(temp(0)); ftruncate(keep_fd, 1 << 20), read(keep_fd, big, 1 << 20), CLOSE);
SCENE(read_fault, "read.fault", ALSO(EFAULT), KEEP(temp(16384));
      keep_ptr = mmap(NULL, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      read(keep_fd, (char *)keep_ptr + (1 << 21), 16384), CLOSE; munmap(keep_ptr, 1 << 22));
SCENE(read_mem, "pread64.mem", ALSO(EIO, EFAULT), KEEP(open("/proc/self/mem", O_RDWR)), pread(keep_fd, small, 4096, (off_t)big), CLOSE);
SCENE(write_, "write", ALSO(0), KEEP(temp(0)), write(keep_fd, big, 10), CLOSE);
SCENE(write_big, "write.big", ALSO(0), KEEP(temp(0)), write(keep_fd, big, 300000), CLOSE);
SCENE(write_comm, "write.comm", ALSO(0), KEEP(open("/proc/self/comm", O_RDWR)), write(keep_fd, "fail", 4), CLOSE);
SCENE(pread64, "pread64", ALSO(0), KEEP(temp(10000)), pread(keep_fd, big, 9000, 5), CLOSE);
SCENE(pwrite64, "pwrite64", ALSO(0), KEEP(temp(0)), pwrite(keep_fd, big, 9000, 1L << 40), CLOSE);
SCENE(readv_, "readv", ALSO(0), KEEP(temp(1 << 18)); make_vec(), readv(keep_fd, vec, 64), CLOSE);
SCENE(writev_, "writev", ALSO(0), KEEP(temp(0)); make_vec(), writev(keep_fd, vec, 64), CLOSE);
SCENE(preadv_, "preadv", ALSO(0), KEEP(temp(9000)); make_vec(), syscall(SYS_preadv, keep_fd, vec, 64, 0, 0), CLOSE);
SCENE(pwritev_, "pwritev", ALSO(0), KEEP(temp(0)); make_vec(), syscall(SYS_pwritev, keep_fd, vec, 64, 77, 0), CLOSE);
SCENE(preadv2_, "preadv2", ALSO(0), KEEP(temp(9000)); make_vec(), syscall(SYS_preadv2, keep_fd, vec, 64, 0, 0, 0), CLOSE);
SCENE(pwritev2_, "pwritev2", ALSO(0), KEEP(temp(0)); make_vec(), syscall(SYS_pwritev2, keep_fd, vec, 64, 77, 0, 0), CLOSE);
SCENE(lseek_, "lseek", ALSO(0), KEEP(temp(0)); pwrite(keep_fd, "x", 1, 1 << 20), lseek(keep_fd, 0, SEEK_DATA), CLOSE);
SCENE(truncate_, "truncate", ALSO(0), close(make_file("f", 100000)), truncate("f", 5000), unlink("f"));
SCENE(ftruncate_, "ftruncate", ALSO(0), KEEP(temp(5000)), ftruncate(keep_fd, 1 << 30), CLOSE);
SCENE(fallocate_, "fallocate", ALSO(ENOSPC), KEEP(temp(0)), fallocate(keep_fd, 0, 0, 100000), CLOSE);
SCENE(fallocate_punch, "fallocate.punch", ALSO(0), KEEP(temp(100000)),
      fallocate(keep_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 50000), CLOSE);
SCENE(sendfile_, "sendfile", ALSO(0), KEEP(temp(70000)); keep_long = make_file("o", 0); offset = 0,
      syscall(SYS_sendfile, keep_long, keep_fd, &offset, 70000), CLOSE; close(keep_long); unlink("o"));
SCENE(copy_file_range_, "copy_file_range", ALSO(0), KEEP(temp(70000)); keep_long = make_file("o", 0),
      syscall(SYS_copy_file_range, keep_fd, NULL, keep_long, NULL, 70000, 0), CLOSE; close(keep_long); unlink("o"));
SCENE(fadvise64, "fadvise64", ALSO(0), KEEP(temp(9000)), syscall(SYS_fadvise64, keep_fd, 0, 0, 3), CLOSE);
SCENE(sync_, "sync", ALSO(0), , syscall(SYS_sync), );
SCENE(syncfs_, "syncfs", ALSO(0), , syscall(SYS_syncfs, 1), );
SCENE(fsync_, "fsync", ALSO(0), KEEP(temp(1)), fsync(keep_fd), CLOSE);
SCENE(fdatasync_, "fdatasync", ALSO(0), KEEP(temp(1)), fdatasync(keep_fd), CLOSE);
SCENE(memfd, "memfd_create", ALSO(0), , syscall(SYS_memfd_create, LONG_NAME, 2), drop(r));

/* Every text that the kernel makes; what is not there is no error. */
static long read_texts(const char *folder)
{
	static const char *const names[] = {
		"auxv", "cgroup", "cmdline", "comm", "environ", "io", "limits", "loginuid", "maps", "mem", "mountinfo", "mounts",
		"mountstats", "oom_score", "oom_score_adj", "pagemap", "personality", "sched", "stack", "stat", "statm",
		"status", "syscall", "wchan", "buddyinfo", "cpuinfo", "devices", "diskstats", "filesystems", "interrupts",
		"iomem", "loadavg", "meminfo", "misc", "pagetypeinfo", "partitions", "slabinfo", "softirqs", "swaps", "uptime",
		"version", "vmallocinfo", "vmstat", "zoneinfo", "halcyon/locks", "halcyon/failslab", "halcyon/syscalls",
		"sys/kernel/pid_max", "sys/kernel/random/uuid", "sys/fs/file-nr", "sys/vm/overcommit_memory",
	};
	static char path[100];
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd, error;
		ssize_t n;

		strcpy(path, folder);
		strcat(path, names[i]);
		fd = open(path, O_RDONLY);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -1;
		n = read(fd, big, sizeof(big));
		error = errno;
		close(fd);
		errno = error;
		if (n < 0 && error != EIO && error != EINVAL && error != EPERM)
			return -1;
	}
	return 0;
}
SCENE(read_self, "read.self", ALSO(0), , read_texts("/proc/self/"), );
SCENE(read_thread, "read.thread", ALSO(0), , read_texts("/proc/thread-self/"), );
SCENE(read_machine, "read.machine", ALSO(0), , read_texts("/proc/"), );
SCENE(write_tty, "write.tty", ALSO(0), KEEP(open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_NONBLOCK)),
      keep_fd < 0 ? 0 : write(keep_fd, "# a line\n", 9), drop(keep_fd));
SCENE(write_kmsg, "write.kmsg", ALSO(0), KEEP(open("/dev/kmsg", O_RDWR)), keep_fd < 0 ? 0 : write(keep_fd, "<7>scene", 8), drop(keep_fd));

/* ---- descriptors ---- */
SCENE(dup_, "dup", ALSO(0), , dup(1), drop(r));
SCENE(dup2_, "dup2", ALSO(EMFILE), , dup2(1, 900), drop(r));
SCENE_CHILD(dup2_grow, "dup2.grow", ALSO(EMFILE), , dup2(1, 1000));
SCENE_CHILD(dup3_, "dup3", ALSO(EMFILE), , dup3(1, 700, O_CLOEXEC));
SCENE_CHILD(dupfd, "fcntl.dupfd", ALSO(EMFILE), , fcntl(1, F_DUPFD, 800));
SCENE(fcntl_, "fcntl", ALSO(0), , fcntl(1, F_GETFL), );
static struct flock lock = { F_WRLCK, SEEK_SET, 10, 10, 0 };
SCENE(fcntl_lock, "fcntl.lock", ALSO(ENOLCK), KEEP(temp(0)), fcntl(keep_fd, F_SETLK, &lock), CLOSE);
static struct flock whole = { F_WRLCK, SEEK_SET, 0, 100, 0 };
static struct flock hole = { F_UNLCK, SEEK_SET, 10, 10, 0 };
SCENE(fcntl_split, "fcntl.split", ALSO(ENOLCK), KEEP(temp(0)); fcntl(keep_fd, F_SETLK, &whole), fcntl(keep_fd, F_SETLK, &hole), CLOSE);
SCENE(fcntl_ofd, "fcntl.ofd", ALSO(ENOLCK), KEEP(temp(0)); lock.l_pid = 0, fcntl(keep_fd, 37, &lock), CLOSE);
SCENE(flock_, "flock", ALSO(ENOLCK), KEEP(temp(0)), flock(keep_fd, LOCK_EX), CLOSE);
SCENE(ioctl_, "ioctl", ALSO(0), KEEP(open("/dev/ttyS0", O_RDWR | O_NOCTTY)), ioctl(keep_fd, TCGETS, small), CLOSE);
static int pair[2];
SCENE(pipe_, "pipe", ALSO(0), , syscall(SYS_pipe, pair), if (!r) { close(pair[0]); close(pair[1]); });
SCENE(pipe2_, "pipe2", ALSO(0), , syscall(SYS_pipe2, pair, O_CLOEXEC), if (!r) { close(pair[0]); close(pair[1]); });
#define PIPE_UNDO close(pair[0]); close(pair[1])
SCENE(pipe_write, "write.pipe", ALSO(0), (void)!pipe(pair), write(pair[1], big, 60000), PIPE_UNDO);
SCENE(pipe_read, "read.pipe", ALSO(0), (void)!pipe(pair); (void)!write(pair[1], big, 60000), read(pair[0], big, 60000), PIPE_UNDO);
SCENE(pipe_size, "fcntl.pipe", ALSO(0), (void)!pipe(pair), fcntl(pair[0], 1031, 1 << 19), PIPE_UNDO);
SCENE(pipe_sendfile, "sendfile.pipe", ALSO(0), KEEP(temp(50000)); (void)!pipe(pair),
      syscall(SYS_sendfile, pair[1], keep_fd, NULL, 50000), PIPE_UNDO; CLOSE);
static struct pollfd fds[80];
static void many_fds(void)
{
	int i;

	for (i = 0; i < 80; i++)
		fds[i] = (struct pollfd){ pair[0], POLLIN, 0 };
}
SCENE(poll_, "poll", ALSO(0), (void)!pipe(pair); many_fds(), syscall(SYS_poll, fds, 80, 1), PIPE_UNDO);
static struct timespec no_time;
SCENE(ppoll_, "ppoll", ALSO(0), (void)!pipe(pair); many_fds(), syscall(SYS_ppoll, fds, 80, &no_time, NULL, 8), PIPE_UNDO);
static struct timeval soon;
static fd_set set;
SCENE(select_, "select", ALSO(0), (void)!pipe(pair); dup2(pair[0], 900); FD_ZERO(&set); FD_SET(900, &set);
      soon.tv_sec = 0; soon.tv_usec = 1000, syscall(SYS_select, 1000, &set, NULL, NULL, &soon), PIPE_UNDO; close(900));
SCENE(pselect, "pselect6", ALSO(0), (void)!pipe(pair); FD_ZERO(&set); FD_SET(pair[0], &set),
      syscall(SYS_pselect6, 900, &set, NULL, NULL, &no_time, NULL), PIPE_UNDO);

/* ---- mounts ---- */
#define MNT mkdir("m", 0700)
#define UMNT umount2("m", MNT_DETACH); rmdir("m")
SCENE(mount_, "mount", ALSO(0), MNT, mount("none", "m", "tmpfs", 0, "size=1m,mode=755"), UMNT);
SCENE(mount_proc, "mount.proc", ALSO(0), MNT, mount("none", "m", "proc", 0, NULL), UMNT);
SCENE(mount_sysfs, "mount.sysfs", ALSO(0), MNT, mount("none", "m", "sysfs", 0, NULL), UMNT);
SCENE(mount_dev, "mount.devtmpfs", ALSO(0), MNT, mount("none", "m", "devtmpfs", 0, NULL), UMNT);
SCENE(mount_bind, "mount.bind", ALSO(0), MNT, mount("/", "m", NULL, MS_BIND, NULL), UMNT);
SCENE(mount_rbind, "mount.rbind", ALSO(0), MNT, mount("/", "m", NULL, MS_BIND | MS_REC, NULL), UMNT);
SCENE(mount_again, "mount.remount", ALSO(0), MNT; mount("none", "m", "tmpfs", 0, NULL),
      mount("none", "m", NULL, MS_REMOUNT | MS_RDONLY, "size=2m"), UMNT);
SCENE(mount_move, "mount.move", ALSO(0), MNT; mount("none", "m", "tmpfs", 0, NULL); mkdir("n", 0700),
      mount("m", "n", NULL, MS_MOVE, NULL), umount2("n", MNT_DETACH); rmdir("n"); UMNT);
SCENE(umount2_, "umount2", ALSO(0), MNT; mount("none", "m", "tmpfs", 0, NULL); close(make_file("m/f", 9000)),
      umount2("m", 0), UMNT);
SCENE_FAILS(pivot_root, "pivot_root", EINVAL, syscall(SYS_pivot_root, "/tmp", "/tmp"));
