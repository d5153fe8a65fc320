/*
 * storm.c - /init of ring "smp": a million stat() of one path by two threads on two CPUs.
 *
 * It says STORM READY, and waits for a line: the harness reads the bytes of the path's dentries, inodes and mount through the
 * emulator's stub meanwhile. Then the storm, STORM DONE with the number of calls, and another line, before which the harness
 * reads them again: a path walk writes no shared memory (design, section 8).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALLS	1000000
#define THREADS	2
#define TARGET	"/storm/one/two/file"

static ino_t wanted;
static int started;

static void *storm(void *arg)
{
	long cpu = (long)arg, good = 0;
	cpu_set_t here;
	struct stat st;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here) != 0)
		return NULL;
	__atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < THREADS)
		sched_yield();
	for (int i = 0; i < CALLS / THREADS; i++)
		good += stat(TARGET, &st) == 0 && st.st_ino == wanted;
	return (void *)good;
}

static void await_line(void)
{
	char c;

	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

int main(void)
{
	pthread_t threads[THREADS];
	struct stat st;
	long good = 0;
	void *count;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mkdir("/storm", 0755);
	mount("tmpfs", "/storm", "tmpfs", 0, NULL);
	mkdir("/storm/one", 0755);
	mkdir("/storm/one/two", 0755);
	close(open(TARGET, O_CREAT | O_WRONLY, 0644));
	if (stat(TARGET, &st) == 0)
		wanted = st.st_ino;
	printf("STORM READY\n");
	fflush(stdout);
	await_line();
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, storm, (void *)i) != 0)
			printf("STORM cannot make a thread\n");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &count);
		good += (long)count;
	}
	printf("STORM DONE %ld\n", good);
	fflush(stdout);
	await_line();
	reboot(RB_AUTOBOOT);
	return 0;
}
