/*
 * found.c - what random system calls broke once (test/fuzz), each as a test of its own.
 */
#include "tap.h"

#include <sched.h>
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
	fails(open("found/new", O_RDWR | O_CREAT | O_DIRECT, 0644), EINVAL, "O_CREAT and O_DIRECT on tmpfs");
	works(unlink("found/new"), "the file was made all the same");
	works(umount("found"), "nothing holds the mount");
}

/* The old root was put on a folder that had been removed, where nobody could reach it any more. */
static void pivot_to_a_removed_folder(void)
{
	char here[200];

	mkdir("pivot", 0755);
	works(mount("tmpfs", "pivot", "tmpfs", 0, ""), "a file system to become the root");
	mkdir("pivot/old", 0755);
	ok(getcwd(here, sizeof(here)) && !chdir("pivot/old"), "its folder for the old one");
	works(rmdir("../old"), "goes");
	fails(syscall(SYS_pivot_root, "..", "."), ENOENT, "pivot_root that would put the old one there");
	works(chdir(here), "back");
	works(umount("pivot"), "nothing holds it");
	works(rmdir("pivot"), "rmdir");
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

static int sharer(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

/* The directory's open file was put inside of the read section that the walk runs in. */
static void walk_from_shared_descriptor(void)
{
	static char stack[8192] __attribute__((aligned(16)));
	struct stat st;
	int dir, pid;

	mkdir("shared", 0755);
	dir = open("shared", O_RDONLY | O_DIRECTORY);
	pid = clone(sharer, stack + sizeof(stack), CLONE_FILES | CLONE_VM | SIGCHLD, NULL);
	works(pid, "a process that shares the descriptors");
	works(symlinkat("nowhere", dir, "link"), "symlinkat");
	works(fstatat(dir, "link", &st, AT_SYMLINK_NOFOLLOW), "fstatat");
	fails(fstatat(dir, "link", &st, 0), ENOENT, "fstatat that follows");
	fails(fstatat(dir, "", &st, 0), ENOENT, "an empty name");
	fails(openat(dir, "none", O_RDONLY), ENOENT, "openat");
	works(unlinkat(dir, "link", 0), "unlinkat");
	kill(pid, SIGKILL);
	is(waitpid(pid, NULL, 0), pid, "it ends");
	close(dir);
	works(rmdir("shared"), "rmdir");
}

int main(void)
{
	walk_from_shared_descriptor();
	direct_on_memory();
	pivot_to_a_removed_folder();
	remap_huge_length();
	return tap_done();
}
