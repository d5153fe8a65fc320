/*
 * procfs.c - the files of /proc that programs read: their formats, as far as
 * ps, top, free, mount, uptime and the C libraries depend on them.
 */
#include "tap.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

static char text[65536];

/* The file's contents; its length or -1. */
static int slurp(const char *path)
{
	int fd = open(path, O_RDONLY), len = 0, got;

	text[0] = 0;
	if (fd < 0)
		return -1;
	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	text[len] = 0;
	close(fd);
	return got < 0 ? -1 : len;
}

static bool field(const char *name, char *value)
{
	char *at = strstr(text, name);

	while (at && at != text && at[-1] != '\n')
		at = strstr(at + 1, name);
	return at && sscanf(at + strlen(name), " %4000[^\n]", value) == 1;
}

static void check_stat(void)
{
	long v[52], i;
	char *p, state;
	int pid;

	slurp("/proc/self/stat");
	is(sscanf(text, "%d (procfs) %c", &pid, &state), 2, "stat: pid, (name), state");
	is(pid, getpid(), "the pid");
	is(state, 'R', "R, as it runs");
	p = strrchr(text, ')') + 3;
	for (i = 4; i <= 52 && *p; i++)
		v[i - 1] = strtol(p, &p, 10);
	is(i, 53, "52 fields");
	is(v[3], getppid(), "field 4: parent");
	is(v[4], getpgrp(), "field 5: group");
	is(v[5], getsid(0), "field 6: session");
	is(v[17], 20, "field 18: priority");
	is(v[18], 0, "field 19: nice");
	is(v[19], 1, "field 20: threads");
	ok(v[21] > 0, "field 22: start time");
	ok(v[22] > 4096, "field 23: virtual size in bytes");
	ok(v[23] > 0 && v[23] * 4096 <= v[22], "field 24: resident pages");
	ok(v[37] == SIGCHLD, "field 38: exit signal");
	slurp("/proc/1/stat");
	is(sscanf(text, "%d (init) %c %d", &pid, &state, (int *)v), 3, "of init");
	is((int)v[0], 0, "whose parent is 0");
	ok(strchr(text, '\n') == text + strlen(text) - 1, "one line");
}

static void check_status(void)
{
	static char value[4096];

	slurp("/proc/self/status");
	ok(field("Name:", value) && !strcmp(value, "procfs"), "status: Name");
	ok(field("Umask:", value) && !strcmp(value, "0022"), "Umask");
	ok(field("State:", value) && !strcmp(value, "R (running)"), "State");
	ok(field("Tgid:", value) && atoi(value) == getpid(), "Tgid");
	ok(field("Pid:", value) && atoi(value) == getpid(), "Pid");
	ok(field("PPid:", value) && atoi(value) == getppid(), "PPid");
	ok(field("TracerPid:", value) && !strcmp(value, "0"), "TracerPid");
	ok(field("Uid:", value) && !strcmp(value, "0\t0\t0\t0"), "Uid: four ids");
	ok(field("Gid:", value) && !strcmp(value, "0\t0\t0\t0"), "Gid");
	ok(field("VmSize:", value) && strstr(value, " kB"), "VmSize in kB");
	ok(field("VmRSS:", value) && strstr(value, " kB"), "VmRSS");
	ok(field("Threads:", value) && !strcmp(value, "1"), "Threads");
	ok(field("SigBlk:", value) && !strcmp(value, "0000000000000000"), "SigBlk");
	ok(field("SigCgt:", value) && strlen(value) == 16, "SigCgt");
	ok(field("CapEff:", value) && !strcmp(value, "000001ffffffffff"), "CapEff");
	is(in_child({
		setresuid(1000, 2000, 3000);
		slurp("/proc/self/status");
		_exit(!field("Uid:", value) || strcmp(value, "1000\t2000\t3000\t2000"));
	}), 0, "Uid after setresuid");
}

static void check_self(void)
{
	char link[100], path[100], expect[100];
	ssize_t len;
	int fd;

	snprintf(expect, sizeof(expect), "%d", getpid());
	len = readlink("/proc/self", link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	is_str(link, expect, "/proc/self is a link to the pid");
	len = readlink("/proc/thread-self", link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	snprintf(expect, sizeof(expect), "%d/task/%d", getpid(), getpid());
	is_str(link, expect, "/proc/thread-self");
	len = readlink("/proc/self/exe", link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	is_str(link, "/tests/procfs", "exe");
	len = readlink("/proc/self/cwd", link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	is_str(link, "/tmp/procfs", "cwd");
	len = readlink("/proc/self/root", link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	is_str(link, "/", "root");
	len = slurp("/proc/self/cmdline");
	ok(len == 14 && !memcmp(text, "/tests/procfs\0", 14), "cmdline: NUL after each argument");
	len = slurp("/proc/self/comm");
	is_str(text, "procfs\n", "comm");
	tap_file("/proc/self/comm", "renamed", 7, 0644);
	slurp("/proc/self/comm");
	is_str(text, "renamed\n", "comm can be written");
	len = slurp("/proc/self/environ");
	ok(len > 0 && memmem(text, len, "PATH=", 5), "environ");
	slurp("/proc/self/statm");
	is(sscanf(text, "%*d %*d %*d %*d %*d %*d %[0-9]", link), 1, "statm: seven numbers");
	fd = open("named", O_RDWR | O_CREAT, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	is_str(link, "/tmp/procfs/named", "fd: a link to the file");
	unlink("named");
	len = readlink(path, link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	is_str(link, "/tmp/procfs/named (deleted)", "says (deleted)");
	write(fd, "reopened", 8);
	slurp(path);
	is_str(text, "reopened", "opening it opens the same file, even a deleted one");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path);
	ok(strstr(text, "pos:\t8\n") && strstr(text, "flags:\t0100002\n"), "fdinfo: pos and flags");
	close(fd);
	int p[2];

	pipe(p);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	len = readlink(path, link, sizeof(link));
	link[len > 0 ? len : 0] = 0;
	ok(!strncmp(link, "pipe:[", 6), "fd: pipe:[inode]");
	fails(open("/proc/99999/stat", O_RDONLY), ENOENT, "no such process");
	fails(open("/proc/self/nothing", O_RDONLY), ENOENT, "no such file");
	is(in_child({
		setresuid(1000, 1000, 1000);
		_exit(open("/proc/1/stat", O_RDONLY) < 0 || readlink("/proc/1/exe", link, 10) >= 0);
	}), 0, "a user may read stat of init but not where exe leads");
}

static void check_maps(void)
{
	unsigned long lo, hi, off;
	char perms[5], name[100], *line, *save;
	int stack = 0, heap = 0, exe = 0, ours = 0, bad = 0, n = 0;
	unsigned long last = 0;
	char *area = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	syscall(SYS_brk, syscall(SYS_brk, 0) + 4096);
	slurp("/proc/self/maps");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		name[0] = 0;
		if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %*d %99s", &lo, &hi, perms, &off, name) < 4)
			bad++;
		bad += lo >= hi || lo < last;
		last = hi;
		n++;
		stack += !strcmp(name, "[stack]") && !strcmp(perms, "rw-p");
		heap += !strcmp(name, "[heap]");
		exe += !strcmp(name, "/tests/procfs") && !strcmp(perms, "r-xp");
		ours += lo <= (unsigned long)area && hi >= (unsigned long)area + 8192 &&
			!strcmp(perms, "r--p");
		if (strcmp(name, "[vsyscall]") == 0)
			last = 0;
	}
	ok(n > 4 && bad == 0, "maps: well formed and in order");
	is(stack, 1, "[stack]");
	is(heap, 1, "[heap]");
	is(exe, 1, "the program's text");
	is(ours, 1, "an anonymous mapping");
}

static void check_system(void)
{
	static char value[4096];
	char word[64];
	unsigned long total = 0, freemem = 0;
	double a, b, c;
	struct sysinfo si;

	slurp("/proc/meminfo");
	ok(field("MemTotal:", value) && sscanf(value, "%lu kB", &total) == 1, "meminfo: MemTotal");
	ok(field("MemFree:", value) && sscanf(value, "%lu kB", &freemem) == 1, "MemFree");
	ok(field("MemAvailable:", value) && field("Buffers:", value) && field("Cached:", value) &&
	   field("SwapTotal:", value) && field("SwapFree:", value) && field("Shmem:", value),
	   "and what free(1) reads");
	sysinfo(&si);
	is(si.totalram * si.mem_unit >> 10, total, "MemTotal is sysinfo's");
	slurp("/proc/uptime");
	is(sscanf(text, "%lf %lf\n", &a, &b), 2, "uptime: two numbers");
	ok(a > 0.1 && a < 10000, "plausible");
	slurp("/proc/loadavg");
	is(sscanf(text, "%lf %lf %lf %*d/%*d %63[0-9]\n", &a, &b, &c, word), 4, "loadavg");
	slurp("/proc/stat");
	ok(!strncmp(text, "cpu  ", 5), "stat: the sum of all CPUs first");
	ok(field("cpu0 ", value), "cpu0");
	ok(field("btime ", value) && atol(value) > 1600000000, "btime");
	ok(field("processes ", value) && atol(value) > 1, "processes");
	ok(field("procs_running ", value) && field("ctxt ", value) && field("intr ", value), "ctxt, intr, procs_running");
	slurp("/proc/version");
	ok(!strncmp(text, "Linux version 6.1.0", 19), "version");
	slurp("/proc/cpuinfo");
	ok(field("processor\t:", value) && !strcmp(value, "0"), "cpuinfo: processor");
	ok(field("flags\t\t:", value) && strstr(value, "sse2"), "flags");
	ok(field("model name\t:", value), "model name");
	slurp("/proc/filesystems");
	ok(strstr(text, "nodev\ttmpfs\n") && strstr(text, "nodev\tproc\n"), "filesystems");
	slurp("/proc/mounts");
	ok(strstr(text, " /proc proc rw") && strstr(text, " /tmp tmpfs rw"), "mounts");
	slurp("/proc/self/mountinfo");
	ok(strstr(text, " / /proc ") && strstr(text, " - proc "), "mountinfo");
	ok(slurp("/proc/cmdline") > 0 && text[strlen(text) - 1] == '\n', "cmdline");
	ok(slurp("/proc/devices") > 0 && strstr(text, "Character devices:") && strstr(text, "mem\n"),
	   "devices");
	slurp("/proc/sys/kernel/ostype");
	is_str(text, "Linux\n", "sys/kernel/ostype");
	ok(slurp("/proc/sys/kernel/pid_max") > 0 && atol(text) >= 32768, "sys/kernel/pid_max");
	ok(slurp("/proc/sys/kernel/threads-max") > 0 && atol(text) > 500, "sys/kernel/threads-max");
	ok(slurp("/proc/sys/kernel/hostname") > 0, "sys/kernel/hostname");
	ok(slurp("/proc/sys/kernel/osrelease") > 0 && !strncmp(text, "6.1.0", 5), "sys/kernel/osrelease");
	ok(slurp("/proc/sys/kernel/random/boot_id") == 37, "sys/kernel/random/boot_id");
}

static void check_task(void)
{
	char path[100];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	ok(slurp(path) > 0, "task/TID/stat");
	ok(slurp("/proc/self/limits") > 0 && strstr(text, "Max open files"), "limits");
	ok(slurp("/proc/self/wchan") >= 0, "wchan");
	ok(slurp("/proc/self/oom_score_adj") > 0 && !strcmp(text, "0\n"), "oom_score_adj");
}

/* The window onto a process's memory does not follow it through execve, maybe to a set-user-ID program. */
static void check_mem_exec(void)
{
	static volatile long word = 4711;
	char path[64];
	long got = 0;
	int go[2], done[2], fd;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		if (read(go[0], path, 1) == 1)
			execl("/bin/busybox", "sleep", "100", NULL);
		_exit(1);
	}
	close(done[1]);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	ok(fd >= 0, "open a child's mem");
	is(pread(fd, &got, sizeof(got), (off_t)(uintptr_t)&word), sizeof(got), "read it");
	is(got, 4711, "what is there");
	is(write(go[1], "", 1), 1, "the child executes a program");
	is(read(done[0], path, 1), 0, "has done so");
	is(pread(fd, &got, sizeof(got), (off_t)(uintptr_t)&word), 0, "mem: nothing is there any more");
	is(pwrite(fd, &got, sizeof(got), (off_t)(uintptr_t)&word), 0, "nor can be written");
	kill(pid, SIGKILL);
	tap_wait(pid);
	close(fd);
	close(go[0]);
	close(go[1]);
	close(done[0]);
}

/* What waits for a change of the mounts hears of each one once. */
static void check_mounts_poll(void)
{
	struct pollfd p = { .fd = open("/proc/self/mountinfo", O_RDONLY), .events = POLLPRI };

	is(poll(&p, 1, 0), 0, "mountinfo: no change");
	mkdir("polled", 0755);
	works(mount("tmpfs", "polled", "tmpfs", 0, ""), "a mount");
	is(poll(&p, 1, -1), 1, "wakes poll");
	is(p.revents, POLLPRI | POLLERR, "with POLLPRI and POLLERR");
	is(poll(&p, 1, 0), 0, "once");
	works(umount("polled"), "umount");
	is(poll(&p, 1, -1), 1, "wakes it too");
	rmdir("polled");
	close(p.fd);
}

int main(void)
{
	check_stat();
	check_status();
	check_self();
	check_maps();
	check_system();
	check_task();
	check_mem_exec();
	check_mounts_poll();
	return tap_done();
}
