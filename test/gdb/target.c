/* SPDX-License-Identifier: MIT */
/*
 * What ring "gdb" looks at: as /init it makes processes and threads in known states, then says READY.
 *
 *	1 gdb-init	waits for children; /etc/marker open as descriptor 7, tmpfs "hx-source" on /mnt
 *	2 gdb-spinner	spins in spin_here(), in user mode; now and then it writes to /mnt/file,
 *			also from a page that the kernel must fault in
 *	3 gdb-sleeper	two threads: one reads an empty pipe, number 4, "gdb-thread", waits in a futex
 *
 * Built with symbols, as its own are loaded too (hx-user).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_PAGE	((char *)0x10000000)
#define ROUNDS		3000000

static volatile unsigned long spins;

static __attribute__((noinline)) void spin_here(void)
{
	for (int i = 0; i < ROUNDS; i++)
		spins++;
}

static void spinner(void)
{
	int fd = open("/mnt/file", O_RDWR | O_CREAT, 0600);
	char *text = mmap(TEXT_PAGE, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	prctl(PR_SET_NAME, "gdb-spinner");
	strcpy(text, "a string of the user's");
	for (;;) {
		spin_here();
		if (pwrite(fd, text, 23, 0) != 23)
			_exit(1);
		/* The kernel reads a page that is not there: a page fault of the kernel's. */
		if (madvise(text + 4096, 4096, MADV_DONTNEED) < 0 || pwrite(fd, text + 4096, 8, 100) != 8)
			_exit(1);
	}
}

static void *waiter(void *arg)
{
	pthread_mutex_t *m = arg;

	prctl(PR_SET_NAME, "gdb-thread");
	pthread_mutex_lock(m);
	return NULL;
}

static void sleeper(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	int ends[2];
	char c;

	prctl(PR_SET_NAME, "gdb-sleeper");
	pthread_mutex_lock(&m);
	if (pipe(ends) < 0 || pthread_create(&thread, NULL, waiter, &m))
		_exit(1);
	_exit(read(ends[0], &c, 1) == 1);
}

/* That thread of process 3 has its name and sleeps. */
static int sleeps(int tid, const char *name)
{
	char path[64], text[256], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/3/task/%d/stat", tid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	at = strstr(text, name);
	return at && strncmp(at + strlen(name), ") S", 3) == 0;
}

int main(void)
{
	int fd, log;

	prctl(PR_SET_NAME, "gdb-init");
	mkdir("/proc", 0755), mkdir("/dev", 0755), mkdir("/mnt", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("hx-source", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd < 0 || dup2(fd, 1) < 0)
		return 1;
	fd = open("/etc/marker", O_RDONLY);
	if (fd < 0 || dup2(fd, 7) < 0 || lseek(7, 5, SEEK_SET) != 5)
		return 1;
	log = open("/dev/kmsg", O_WRONLY);
	if (log < 0 || write(log, "<4>a line for gdb", 17) < 0)
		return 1;
	if (fork() == 0)
		spinner();
	if (fork() == 0)
		sleeper();
	while (!sleeps(3, "gdb-sleeper") || !sleeps(4, "gdb-thread"))
		usleep(50000);
	dprintf(1, "GDB TARGET READY\n");
	for (;;)
		wait(NULL);
}
