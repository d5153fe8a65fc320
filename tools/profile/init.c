/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of `make profile`: runs one program between the marks that the plug-in waits for, then switches off.
 *
 * The command stands in /profile/command. Words without anything that a shell would look at are executed as they are, so
 * that no shell is counted; anything else goes to sh -c. What is counted is fork, exec, the program with its children
 * that it waits for, its exit and the wait. /profile/warm says how often the program runs before that, uncounted.
 * The last line on the console is `PROFILE status N`, N as a shell has it in $?.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mark.h"

#define SHELL_CHARACTERS "|&;<>()$`\\\"'*?[]#~={}\n"
#define WORDS_MAX 200

static char command[8192], words_text[8192];
static char *words[WORDS_MAX + 1];

static size_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	len = len < 0 ? 0 : len;
	text[len] = 0;
	while (len && text[len - 1] == '\n')
		text[--len] = 0;
	return len;
}

static void __attribute__((noreturn)) leave(int status)
{
	dprintf(1, "PROFILE status %d\n", status);
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void split_command(void)
{
	char *save = NULL, *word;
	int n = 0;

	if (strpbrk(command, SHELL_CHARACTERS)) {
		words[0] = (char *)"/bin/sh", words[1] = (char *)"-c", words[2] = command;
		return;
	}
	strcpy(words_text, command);
	for (word = strtok_r(words_text, " \t", &save); word && n < WORDS_MAX; word = strtok_r(NULL, " \t", &save))
		words[n++] = word;
}

static void mount_all(void)
{
	mkdir("/proc", 0555);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
}

static int run(int counted)
{
	int status = -1;
	pid_t pid;

	if (counted)
		PROFILE_RUN_START();
	pid = fork();
	if (pid == 0) {
		execvp(words[0], words);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (counted)
		PROFILE_RUN_STOP();
	return pid < 0 ? 126 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void)
{
	char warm[20];
	int i, fd;

	mount_all();
	fd = open("/dev/console", O_RDWR);
	if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		leave(125);
	if (fd > 2)
		close(fd);
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/root", 1);
	read_file("/profile/command", command, sizeof(command));
	read_file("/profile/warm", warm, sizeof(warm));
	split_command();
	if (!words[0] || chdir("/tmp") < 0)
		leave(124);
	for (i = atoi(warm); i > 0; i--)
		run(0);
	dprintf(1, "PROFILE start\n");
	leave(run(1));
}
