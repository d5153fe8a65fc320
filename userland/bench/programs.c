/*
 * programs.c - whole programs, all of them applets of Debian's busybox: a loop of the shell, find, tar, sort.
 *
 * Each runs from fork to wait with its standard output in a file, and what it made is compared with what it must have
 * made. busybox spends part of the count in user mode, the same instructions on both kernels.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define BUSYBOX		"/bin/busybox"
#define SHELL_COMMANDS	200
#define FIND_FOLDERS	100
#define FIND_EACH	100
#define TAR_FILES	2000
#define TAR_EACH	40
#define TAR_BYTES	600	/* of each file */
#define SORT_LINES	100000
#define BLOCK		512	/* of a tar archive */

static uint64_t run_program(char *const argv[])
{
	static char *const environment[] = { "PATH=/bin", "HOME=/", "LC_ALL=C", NULL };
	uint64_t start;
	int fd, status = 0;
	pid_t pid;

	fd = must(open("output", O_RDWR | O_CREAT | O_TRUNC, 0644), "output");
	start = bench_now();
	pid = must(fork(), "fork");
	if (pid == 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		execve(BUSYBOX, argv, environment);
		_exit(127);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	start = bench_now() - start;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		char text[100] = "";
		ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

		text[len > 0 ? len : 0] = 0;
		failed("%s ended with %#x: %s", argv[1], status, text);
	}
	close(fd);
	return start;
}

static char *read_whole(const char *path, size_t *length)
{
	int fd = must(open(path, O_RDONLY), path);
	struct stat st;
	char *text;
	size_t done = 0;

	must(fstat(fd, &st), "fstat");
	text = malloc(st.st_size + 1);
	REQUIRE(text);
	while (done < (size_t)st.st_size) {
		ssize_t got = read(fd, text + done, st.st_size - done);

		REQUIRE(got > 0);
		done += got;
	}
	text[done] = 0;
	*length = done;
	close(fd);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	while ((text = strchr(text, '\n'))) {
		n++;
		text++;
	}
	return n;
}

/* ---- the shell ---- */

static void run_shell(const char *name)
{
	char script[200], *argv[] = { "busybox", "sh", "-c", script, NULL }, *text;
	static struct series s;
	size_t length;
	int i;

	snprintf(script, sizeof(script), "i=0; while [ $i -lt %d ]; do /bin/echo line $i; i=$((i+1)); done",
		 SHELL_COMMANDS);
	for (i = 0; i < 4; i++) {
		uint64_t took = run_program(argv);

		text = read_whole("output", &length);
		REQUIRE(count_lines(text) == SHELL_COMMANDS);
		REQUIRE(!strncmp(text, "line 0\nline 1\n", 14) && strstr(text, "line 199\n"));
		free(text);
		if (i)
			series_add(&s, took);
	}
	series_print(name, "", &s, 1);
}

/* ---- find ---- */

static void run_find(const char *name)
{
	char path[100], *argv[] = { "busybox", "find", "tree", "-name", "f*7", "-type", "f", NULL }, *text;
	static struct series s;
	size_t length;
	int i, j;

	must(mkdir("tree", 0755), "tree");
	for (i = 0; i < FIND_FOLDERS; i++) {
		snprintf(path, sizeof(path), "tree/folder%d", i);
		must(mkdir(path, 0755), path);
		for (j = 0; j < FIND_EACH; j++) {
			snprintf(path, sizeof(path), "tree/folder%d/f%02d", i, j);
			close(must(open(path, O_WRONLY | O_CREAT, 0644), path));
		}
	}
	for (i = 0; i < 3; i++) {
		uint64_t took = run_program(argv);

		text = read_whole("output", &length);
		REQUIRE(count_lines(text) == FIND_FOLDERS * FIND_EACH / 10);
		REQUIRE(strstr(text, "tree/folder42/f37\n") && strstr(text, "tree/folder99/f97\n"));
		free(text);
		if (i)
			series_add(&s, took);
	}
	series_print(name, "", &s, 1);
}

/* ---- tar ---- */

static void tar_header(char *block, const char *path, char type, size_t bytes, unsigned int mode)
{
	unsigned int sum = 0, i;

	memset(block, 0, BLOCK);
	snprintf(block, 100, "%s", path);
	snprintf(block + 100, 8, "%07o", mode);
	snprintf(block + 108, 8, "%07o", 0);
	snprintf(block + 116, 8, "%07o", 0);
	snprintf(block + 124, 12, "%011lo", (unsigned long)bytes);
	snprintf(block + 136, 12, "%011o", 1700000000);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	for (i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
}

static void tar_write(int fd, const void *data, size_t length)
{
	if (write(fd, data, length) != (ssize_t)length)
		failed("cannot write the archive");
}

static void make_archive(void)
{
	static char block[BLOCK], contents[2 * BLOCK];
	int fd = must(open("archive", O_WRONLY | O_CREAT, 0644), "archive"), i;
	char path[64];

	for (i = 0; i < TAR_FILES; i++) {
		if (i % TAR_EACH == 0) {
			snprintf(path, sizeof(path), "d%d/", i / TAR_EACH);
			tar_header(block, path, '5', 0, 0755);
			tar_write(fd, block, BLOCK);
		}
		snprintf(path, sizeof(path), "d%d/file%d", i / TAR_EACH, i);
		tar_header(block, path, '0', TAR_BYTES, 0640);
		tar_write(fd, block, BLOCK);
		memset(contents, 0, sizeof(contents));
		fill_pattern(contents, TAR_BYTES, 0, i);
		tar_write(fd, contents, sizeof(contents));
	}
	memset(block, 0, BLOCK);
	tar_write(fd, block, BLOCK);
	tar_write(fd, block, BLOCK);
	close(fd);
}

static void check_untarred(const char *top)
{
	char path[100], *text;
	struct stat st;
	size_t length;
	int i;

	for (i = 0; i < TAR_FILES; i++) {
		snprintf(path, sizeof(path), "%s/d%d/file%d", top, i / TAR_EACH, i);
		must(stat(path, &st), path);
		REQUIRE(st.st_mode == (S_IFREG | 0640) && st.st_mtime == 1700000000);
		text = read_whole(path, &length);
		REQUIRE(length == TAR_BYTES);
		check_pattern(text, TAR_BYTES, 0, i, path);
		free(text);
	}
}

static void run_tar(const char *name)
{
	char top[20], *argv[] = { "busybox", "tar", "-x", "-f", "archive", "-C", top, NULL };
	static struct series s;
	int i;

	make_archive();
	for (i = 0; i < 3; i++) {
		uint64_t took;

		snprintf(top, sizeof(top), "to%d", i);
		must(mkdir(top, 0755), top);
		took = run_program(argv);
		check_untarred(top);
		if (i)
			series_add(&s, took);
	}
	series_print(name, "", &s, 1);
}

/* ---- sort ---- */

static void run_sort(const char *name)
{
	char *argv[] = { "busybox", "sort", "-o", "sorted", "lines", NULL }, *text, *line, *next;
	static struct series s;
	char buffer[40], last[40] = "";
	uint64_t sum = 0, seen = 0;
	uint32_t value = 12345;
	size_t length, lines = 0;
	FILE *sink = fopen("lines", "w");
	int i;

	REQUIRE(sink);
	for (i = 0; i < SORT_LINES; i++) {
		value = value * 1664525 + 1013904223;
		snprintf(buffer, sizeof(buffer), "%08x line\n", value);
		fputs(buffer, sink);
		sum += value;
	}
	REQUIRE(fclose(sink) == 0);
	series_add(&s, run_program(argv));
	text = read_whole("sorted", &length);
	for (line = text; *line; line = next + 1, lines++) {
		next = strchr(line, '\n');
		REQUIRE(next && next - line < (int)sizeof(last));
		*next = 0;
		REQUIRE(strcmp(last, line) <= 0);
		strcpy(last, line);
		seen += strtoul(line, NULL, 16);
	}
	REQUIRE(lines == SORT_LINES && seen == sum);
	series_print(name, "", &s, 1);
}

const struct op program_ops[] = {
	{ "shell_200_commands", GROUP_LONG, run_shell },
	{ "find_10000_files", GROUP_LONG, run_find },
	{ "untar_2000_files", GROUP_LONG, run_tar },
	{ "sort_100000_lines", GROUP_LONG, run_sort },
	{ NULL, 0, NULL },
};
