/* memory.c - scenes of address spaces. */
#include "fail.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define MIB (1UL << 20)

static char *area;

static void map(size_t size, bool touch)
{
	area = mmap(NULL, size, RW, ANON, -1, 0);
	if (touch)
		memset(area, 1, size);
}

#define UNMAP munmap(area, 8 * MIB)

SCENE(mmap_, "mmap", ALSO(0), , mmap(NULL, 64 * 4096, RW, ANON, -1, 0), if (r > 0) munmap((void *)r, 64 * 4096));
SCENE(mmap_shared, "mmap.shared", ALSO(0), , mmap(NULL, MIB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
      if (r > 0) munmap((void *)r, MIB));
SCENE(mmap_populate, "mmap.populate", ALSO(0), , mmap(NULL, 16 * 4096, RW, ANON | MAP_POPULATE, -1, 0),
      if (r > 0) munmap((void *)r, 16 * 4096));
SCENE(mmap_file, "mmap.file", ALSO(0), keep_fd = make_file("f", 100000), mmap(NULL, 100000, RW, MAP_PRIVATE, keep_fd, 0),
      if (r > 0) munmap((void *)r, 100000); close(keep_fd); unlink("f"));
SCENE(mmap_zero, "mmap.device", ALSO(0), keep_fd = open("/dev/zero", O_RDWR), mmap(NULL, 100000, RW, MAP_SHARED, keep_fd, 0),
      if (r > 0) munmap((void *)r, 100000); close(keep_fd));
SCENE(mmap_fixed, "mmap.fixed", ALSO(0), map(8 * MIB, false); memset(area + MIB, 1, 9000),
      mmap(area + MIB, 4096, PROT_READ, ANON | MAP_FIXED, -1, 0), UNMAP);
SCENE(munmap_, "munmap", ALSO(0), map(8 * MIB, false), munmap(area, 8 * MIB), UNMAP);
SCENE(munmap_middle, "munmap.middle", ALSO(0), map(8 * MIB, false); memset(area + MIB, 1, 9000), munmap(area + MIB, 4096), UNMAP);
SCENE(mprotect_, "mprotect", ALSO(0), map(8 * MIB, false); memset(area + MIB, 1, 9000), mprotect(area + MIB, 8192, PROT_READ), UNMAP);
SCENE(mremap_grow, "mremap", ALSO(0), map(8 * MIB, false); memset(area, 1, 20000); munmap(area + MIB, MIB),
      syscall(SYS_mremap, area, MIB, 8 * MIB, MREMAP_MAYMOVE, 0),
      if (r > 0) munmap((void *)r, 8 * MIB); UNMAP);
SCENE(mremap_middle, "mremap.middle", ALSO(0), map(8 * MIB, false); memset(area + MIB, 1, 20000),
      syscall(SYS_mremap, area + MIB, 8192, 65536, MREMAP_MAYMOVE, 0), if (r > 0) munmap((void *)r, 65536); UNMAP);
SCENE(brk_, "brk", ALSO(0), , syscall(SYS_brk, syscall(SYS_brk, 0) + 65536), syscall(SYS_brk, syscall(SYS_brk, 0) - 65536));
SCENE(madvise_, "madvise", ALSO(EAGAIN), map(8 * MIB, false); memset(area + MIB, 1, 9000), madvise(area + MIB, 8192, MADV_DONTNEED), UNMAP);
SCENE(madvise_split, "madvise.split", ALSO(EAGAIN), map(8 * MIB, false), madvise(area + MIB, 8192, MADV_DONTFORK), UNMAP);
SCENE(madvise_populate, "madvise.populate", ALSO(EFAULT), map(8 * MIB, false), madvise(area + MIB, 65536, 23), UNMAP);
SCENE(mlock_, "mlock", ALSO(EAGAIN), map(8 * MIB, false), mlock(area + MIB, 16384), UNMAP);
SCENE(mlock2_, "mlock2", ALSO(EAGAIN), map(8 * MIB, false), syscall(SYS_mlock2, area + MIB, 16384, 1), UNMAP);
SCENE(munlock_, "munlock", ALSO(0), map(8 * MIB, false); mlock(area, 65536), munlock(area + 4096, 4096), UNMAP);
SCENE_CHILD(mlockall_, "mlockall", ALSO(EAGAIN), , mlockall(MCL_FUTURE));
SCENE(munlockall_, "munlockall", ALSO(0), , munlockall(), );
SCENE(msync_, "msync", ALSO(0), map(8 * MIB, false), msync(area, MIB, MS_SYNC), UNMAP);
SCENE(mincore_, "mincore", ALSO(EAGAIN), map(8 * MIB, false); area[0] = 1, mincore(area, 8 * MIB, (unsigned char *)big), UNMAP);
static struct iovec local, remote;
#define IOVS local.iov_base = small; remote.iov_base = big; local.iov_len = remote.iov_len = 4096
SCENE(process_vm_readv_, "process_vm_readv", ALSO(EFAULT), IOVS,
      syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0), );
SCENE(process_vm_writev_, "process_vm_writev", ALSO(EFAULT), IOVS,
      syscall(SYS_process_vm_writev, getpid(), &local, 1, &remote, 1, 0), );
static unsigned long first_node = 1;
SCENE(mbind_, "mbind", ALSO(0), map(8 * MIB, false); area[MIB] = 1, syscall(SYS_mbind, area + MIB, 8192, 2, &first_node, 64, 0), UNMAP);
SCENE(set_mempolicy_, "set_mempolicy", ALSO(0), , syscall(SYS_set_mempolicy, 2, &first_node, 64), syscall(SYS_set_mempolicy, 0, 0, 0));
SCENE(get_mempolicy_, "get_mempolicy", ALSO(0), , syscall(SYS_get_mempolicy, small, big, 64, 0, 0), );
SCENE(home_node_, "set_mempolicy_home_node", ALSO(0),
      map(8 * MIB, false); syscall(SYS_mbind, area, MIB, 2, &first_node, 64, 0),
      syscall(SYS_set_mempolicy_home_node, area, 8192, 0, 0), UNMAP);
static void *one_page[1];
SCENE(move_pages_, "move_pages", ALSO(0), map(8 * MIB, false); area[0] = 1; one_page[0] = area,
      syscall(SYS_move_pages, 0, 1, one_page, 0, big, 0), UNMAP);
SCENE(migrate_pages_, "migrate_pages", ALSO(0), , syscall(SYS_migrate_pages, 0, 64, &first_node, &first_node), );
SCENE(membarrier_, "membarrier", ALSO(0), , syscall(SYS_membarrier, 0, 0, 0), );

/* No system call: the faults of a program, which try again as long as it takes. */
static long touch(size_t size)
{
	memset(area, 2, size);
	return area[size - 1] == 2 ? 0 : -1;
}
SCENE(fault_anon, "fault.anonymous", ALSO(0), map(8 * MIB, false), touch(20000), UNMAP);
SCENE(fault_file, "fault.file", ALSO(0), keep_fd = make_file("f", 100000);
      area = mmap(NULL, 100000, RW, MAP_PRIVATE, keep_fd, 0), touch(20000), munmap(area, 100000); close(keep_fd); unlink("f"));
SCENE(fault_hole, "fault.hole", ALSO(0), keep_fd = make_file("f", 1); (void)!ftruncate(keep_fd, 1 << 20);
      area = mmap(NULL, MIB, RW, MAP_SHARED, keep_fd, 0), touch(20000), munmap(area, MIB); close(keep_fd); unlink("f"));
/* A child that has the same pages until it is killed. */
static pid_t sharer;
static void share(void)
{
	map(8 * MIB, false);
	memset(area, 1, 20000);
	sharer = fork();
	if (sharer == 0)
		for (;;)
			pause();
}
SCENE(fault_cow, "fault.cow", ALSO(0), share(), touch(20000), kill(sharer, SIGKILL); tap_wait(sharer); UNMAP);
