/*
 * caserun.c - runs the cases of the applet ring inside the machine.
 *
 *	caserun SECONDS
 *
 * For each file of /cases, in the order of their numbers: makes a fresh copy
 * of /fixtures at /w/case, runs the interpreter that /interpreters/NUMBER
 * names on the case in there, with stdout and stderr in files, and prints
 *
 *	@@ NUMBER STATUS
 *	base64 of stdout
 *	@-
 *	base64 of stderr
 *	@.
 *
 * It is a C program and not a shell script so that a case costs only its own
 * processes: under emulation a script's helpers took most of the time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_OUTPUT (256 << 10)

static char buffer[MAX_OUTPUT];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static int copy_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char target[4096];
	int from, to;
	ssize_t len;

	(void)ftw;
	snprintf(target, sizeof(target), "/w/case%s", path + strlen("/fixtures"));
	if (type == FTW_D)
		return mkdir(target, st->st_mode & 07777);
	from = open(path, O_RDONLY);
	to = open(target, O_WRONLY | O_CREAT | O_EXCL, st->st_mode & 07777);
	while ((len = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, len) != len)
			return -1;
	close(from);
	return close(to);
}

static int read_file(const char *path, char *into, int size)
{
	int fd = open(path, O_RDONLY), have = 0, got;

	if (fd < 0)
		return -1;
	while (have < size && (got = read(fd, into + have, size - have)) > 0)
		have += got;
	close(fd);
	return have;
}

static void print_base64(const char *path)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char line[80];
	int len = read_file(path, buffer, sizeof(buffer)), i, n = 0;

	for (i = 0; i < len; i += 3) {
		unsigned int word = (unsigned char)buffer[i] << 16;

		if (i + 1 < len)
			word |= (unsigned char)buffer[i + 1] << 8;
		if (i + 2 < len)
			word |= (unsigned char)buffer[i + 2];
		line[n++] = digits[word >> 18];
		line[n++] = digits[word >> 12 & 63];
		line[n++] = i + 1 < len ? digits[word >> 6 & 63] : '=';
		line[n++] = i + 2 < len ? digits[word & 63] : '=';
		if (n == 76 || i + 3 >= len) {
			line[n++] = '\n';
			if (write(1, line, n) != n)
				exit(1);
			n = 0;
		}
	}
}

static void child(int number)
{
	char interpreter[256], script[64];
	int len, fd;

	snprintf(script, sizeof(script), "/interpreters/%d", number);
	len = read_file(script, interpreter, sizeof(interpreter) - 1);
	interpreter[len > 0 ? len : 0] = 0;
	interpreter[strcspn(interpreter, "\n")] = 0;
	snprintf(script, sizeof(script), "/cases/%d", number);
	setpgid(0, 0);
	if (chdir("/w/case") < 0)
		_exit(125);
	fd = open("/w/out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 1);
	close(fd);
	fd = open("/w/err", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 2);
	close(fd);
	execl(interpreter, strrchr(interpreter, '/') + 1, script, NULL);
	_exit(126);
}

static int wait_for(pid_t pid, long seconds)
{
	struct timespec nap = { 0, 300000 };
	long naps = 0;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		nanosleep(&nap, NULL);
		if (naps++ > seconds * 3000) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
		}
	}
	kill(-pid, SIGKILL);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void run(int number, long seconds)
{
	pid_t pid;
	int status;

	nftw("/w/case", remove_entry, 10, FTW_DEPTH | FTW_PHYS);
	if (nftw("/fixtures", copy_entry, 10, FTW_PHYS) != 0)
		printf("caserun: cannot copy the fixtures: %s\n", strerror(errno));
	pid = fork();
	if (pid == 0)
		child(number);
	status = pid < 0 ? -1 : wait_for(pid, seconds);
	printf("@@ %d %d\n", number, status);
	fflush(stdout);
	print_base64("/w/out");
	printf("@-\n");
	fflush(stdout);
	print_base64("/w/err");
	printf("@.\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 60;
	char path[64];
	int number;

	umask(022);
	mkdir("/w", 0755);
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/root", 1);
	setenv("LC_ALL", "C", 1);
	setenv("USER", "root", 1);
	setenv("LOGNAME", "root", 1);
	for (number = 0;; number++) {
		snprintf(path, sizeof(path), "/cases/%d", number);
		if (access(path, F_OK) < 0)
			break;
		run(number, seconds);
	}
	return 0;
}
