/*
 * found.c - what random system calls broke once (test/fuzz), each as a test of its own.
 */
#include "tap.h"

#include <sys/mman.h>
#include <sys/mount.h>

/* The refused file was put before the path that its caller still used was held. */
static void direct_on_memory(void)
{
	int fd;

	mkdir("found", 0755);
	works(mount("tmpfs", "found", "tmpfs", 0, ""), "a tmpfs");
	fd = open("found/file", O_RDWR | O_CREAT, 0644);
	close(fd);
	for (int i = 0; i < 3; i++)
		fails(open("found/file", O_RDWR | O_DIRECT), EINVAL, "O_DIRECT on tmpfs");
	fd = open("found/file", O_RDWR);
	works(fd, "the file is still there");
	close(fd);
	works(unlink("found/file"), "and goes");
	fd = open("found/new", O_RDWR | O_CREAT | O_DIRECT, 0644);
	fails(fd, EINVAL, "O_CREAT and O_DIRECT on tmpfs");
	works(unlink("found/new"), "the file was made all the same");
	works(umount("found"), "nothing holds the mount");
}

/* What was to be cut off reached beyond user space. */
static void remap_huge_length(void)
{
	char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p[0] = 1;
	is((long)mremap(p, 0x52eec77749437a03, 5, 0) == -1 && errno == EINVAL, 1, "mremap that cuts beyond user space");
	is((long)mremap(p, -4096ul, 4096, MREMAP_MAYMOVE) == -1 && errno == EINVAL, 1, "mremap that cuts around the end of all");
	is((long)mremap(p, 1ul << 47, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, p + (1 << 20)) == -1 && errno == EINVAL, 1,
	   "mremap that cuts and moves");
	is(p[0], 1, "the memory is as it was");
	works(munmap(p, 16384), "munmap");
}

int main(void)
{
	direct_on_memory();
	remap_huge_length();
	return tap_done();
}
