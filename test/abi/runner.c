/*
 * runner.c - PID 1 of the test initrd: runs a list of programs in one boot.
 *
 * Booting costs seconds under emulation and a test milliseconds, so many
 * programs share a boot.  The list is the file /plan: one program a line,
 *
 *	NAME SECONDS PROGRAM [ARGUMENT ...]
 *
 * and each runs in a child with a session, a working directory and standard
 * streams of its own, while PID 1 watches the time limit.  What the harness
 * on the other side of the serial line sees:
 *
 *	### runner begin
 *	### NAME begin
 *	... the program's own output ...
 *	### NAME end exit=N|signal=N|timeout ms=N
 *	### runner end
 *
 * and then the machine resets (-no-reboot ends QEMU; with "qemu-exit" the
 * kernel leaves by isa-debug-exit).  After each program everything that it
 * left running is killed and reaped: kill(-1) from PID 1 spares only itself.
 * The wait polls instead of sleeping in wait4, so that a kernel whose wait or
 * SIGCHLD is broken still reports a time-out and goes on to the next program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 30

static void say(const char *format, ...)
{
	char line[300];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(1, line, len) != len)
		_exit(1);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void mount_on(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) < 0 && errno != EBUSY)
		say("### runner: mount %s: %s\n", where, strerror(errno));
}

static void child(const char *name, char **argv)
{
	char folder[100];
	int fd;

	setsid();
	snprintf(folder, sizeof(folder), "/tmp/%s", name);
	mkdir(folder, 0755);
	if (chdir(folder) < 0)
		say("### runner: chdir %s: %s\n", folder, strerror(errno));
	fd = open("/dev/null", O_RDONLY);
	if (fd > 0) {
		dup2(fd, 0);
		close(fd);
	}
	umask(022);
	execv(argv[0], argv);
	say("### runner: exec %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void kill_the_rest(void)
{
	int tries;

	for (tries = 0; tries < 500; tries++) {
		struct timespec ts = { 0, 2000000 };
		pid_t pid;

		kill(-1, SIGKILL);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return;
		nanosleep(&ts, NULL);
	}
	say("### runner: children that cannot be killed\n");
}

static void run(const char *name, long seconds, char **argv)
{
	long start = now_ms(), nap_us = 200, spent;
	int status = 0;
	pid_t pid, got;

	say("### %s begin\n", name);
	pid = fork();
	if (pid == 0)
		child(name, argv);
	if (pid < 0) {
		say("### %s end fork-failed errno=%d\n", name, errno);
		return;
	}
	for (;;) {
		struct timespec ts = { 0, nap_us * 1000 };

		got = waitpid(-1, &status, WNOHANG);
		if (got == pid)
			break;
		if (got > 0)
			continue;
		if (now_ms() - start > seconds * 1000)
			break;
		nanosleep(&ts, NULL);
		if (nap_us < 5000)
			nap_us += nap_us / 2;
	}
	spent = now_ms() - start;
	kill_the_rest();
	if (got != pid)
		say("\n### %s end timeout ms=%ld\n", name, spent);
	else if (WIFSIGNALED(status))
		say("\n### %s end signal=%d ms=%ld\n", name, WTERMSIG(status), spent);
	else
		say("\n### %s end exit=%d ms=%ld\n", name, WEXITSTATUS(status), spent);
}

static void run_line(char *line)
{
	char *argv[MAX_ARGS + 1], *word, *save;
	int n = 0;

	for (word = strtok_r(line, " ", &save); word && n < MAX_ARGS;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	if (n >= 3)
		run(argv[0], atol(argv[1]), argv + 2);
}

int main(void)
{
	char *plan = calloc(1, 65536), *line, *save;
	int fd, len;

	mount_on("devtmpfs", "/dev");
	mount_on("proc", "/proc");
	mount_on("tmpfs", "/tmp");
	chmod("/tmp", 01777);
	if (symlink("/proc/self/fd", "/dev/fd") < 0 && errno != EEXIST)
		say("### runner: no /dev/fd: %s\n", strerror(errno));
	setenv("PATH", "/bin:/tests", 1);
	setenv("HOME", "/", 1);
	say("\n### runner begin\n");
	fd = open("/plan", O_RDONLY);
	len = fd < 0 ? -1 : read(fd, plan, 65535);
	if (len < 0)
		say("### runner: no /plan: %s\n", strerror(errno));
	close(fd);
	for (line = strtok_r(plan, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		run_line(line);
	say("### runner end\n");
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
