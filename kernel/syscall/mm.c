/* SPDX-License-Identifier: MIT */
/*
 * Memory calls: decoding and checks of descriptors here, the rest in vm.
 */
#include <abi/linux/mman.h>
#include <abi/linux/personality.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/access.h>
#include <kernel/proc/membarrier.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/mount.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

#define HUGE_SIZE_SHIFT	26		/* MAP_HUGE_SHIFT */
#define HUGE_SIZE_MASK	0x3fU
#define HUGE_2M_LOG	21
#define HUGE_1G_LOG	30
/* Flags that mmap has always had: only these may come with MAP_SHARED_VALIDATE, besides its own. */
#define MAP_LEGACY (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE |	\
		    MAP_EXECUTABLE | MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED |		\
		    MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |	\
		    MAP_32BIT | (HUGE_2M_LOG | HUGE_1G_LOG) << HUGE_SIZE_SHIFT)
#define RESIDENT_CHUNK	256		/* pages of mincore(2) done at a time */
#define PVM_CHUNK	4096		/* bytes of process_vm_readv(2) done at a time */

/* ---- mmap ---- */

/* Huge pages can be asked for, but none are reserved, as on a Linux where nobody set nr_hugepages. */
static int huge_refused(u64 flags)
{
	u32 log = (u32)(flags >> HUGE_SIZE_SHIFT) & HUGE_SIZE_MASK;

	return !log || log == HUGE_2M_LOG || log == HUGE_1G_LOG ? -ENOMEM : -EINVAL;
}

static int mmap_shared_file(const struct file *f, struct vm_map_request *req)
{
	if (f->mode & FMODE_WRITE)
		return 0;
	if (req->prot & PROT_WRITE)
		return -EACCES;
	req->deny_may |= AREA_MAY_WRITE;
	return 0;
}

/* The offset of the last byte must be one that a file can have; devices have no such limit. */
static bool mmap_offset_ok(const struct file *f, const struct vm_map_request *req)
{
	u64 max = S_ISREG(f->inode->mode) ? (u64)INT64_MAX : UINT64_MAX;

	return req->len <= max && req->pgoff <= (max - req->len) / VM_PAGE_SIZE;
}

/* do_mmap() of Linux for a file: rights, and what the file itself says. */
static int mmap_file_checks(struct file *f, struct vm_map_request *req)
{
	u32 type = req->flags & MAP_TYPE;
	int err = 0;

	if (!mmap_offset_ok(f, req))
		return -EOVERFLOW;
	if (type == MAP_SHARED) {
		req->flags &= MAP_LEGACY | MAP_FIXED_NOREPLACE;
	} else if (type == MAP_SHARED_VALIDATE) {
		if (req->flags & ~(u32)(MAP_LEGACY | MAP_FIXED_NOREPLACE | MAP_SHARED_VALIDATE))
			return -EOPNOTSUPP;
	} else if (type != MAP_PRIVATE) {
		return -EINVAL;
	}
	if (type != MAP_PRIVATE)
		err = mmap_shared_file(f, req);
	if (err)
		return err;
	if (!(f->mode & FMODE_READ))
		return -EACCES;
	if (f->path.mnt->flags & MOUNT_NOEXEC) {
		if (req->prot & PROT_EXEC)
			return -EPERM;
		req->deny_may |= AREA_MAY_EXEC;
	}
	if (!f->ops->mmap)
		return -ENODEV;
	if (req->flags & MAP_GROWSDOWN)
		return -EINVAL;
	req->file = &f->backing;
	return f->ops->mmap(f, req);
}

static long mmap_file(int fd, struct vm_map_request *req)
{
	struct file *f = fd_get_counted(fd);
	vaddr_t at;
	int err;

	if (!f)
		return -EBADF;
	err = req->flags & MAP_HUGETLB ? -EINVAL : 0;
	if (!err && !req->len)
		err = -EINVAL;
	if (!err)
		err = mmap_file_checks(f, req);
	if (!err)
		err = vm_map(vm_current(), req, &at);
	file_put(f);
	return err ? err : (long)at;
}

long sys_mmap(u64 addr, size_t len, unsigned long prot, unsigned long flags, int fd, loff_t offset)
{
	struct vm_map_request req = {
		.addr = addr, .len = len, .prot = (u32)prot, .flags = (u32)flags,
		.pgoff = (u64)offset / VM_PAGE_SIZE,
	};
	u32 type = (u32)flags & MAP_TYPE;
	vaddr_t at;
	int err;

	if ((u64)offset & (VM_PAGE_SIZE - 1))
		return -EINVAL;
	if (prot & PROT_READ && current_task()->personality & READ_IMPLIES_EXEC)
		req.prot |= PROT_EXEC;
	if (!(flags & MAP_ANONYMOUS))
		return mmap_file(fd, &req);
	if (flags & MAP_HUGETLB)
		return len ? huge_refused(flags) : -EINVAL;
	if (!len)
		return -EINVAL;
	if (type != MAP_SHARED && type != MAP_PRIVATE)
		return -EINVAL;
	err = vm_map(vm_current(), &req, &at);
	return err ? err : (long)at;
}

long sys_munmap(u64 addr, size_t len)
{
	return vm_unmap(vm_current(), addr, len);
}

long sys_mprotect(u64 addr, size_t len, unsigned long prot)
{
	if (prot & PROT_READ && current_task()->personality & READ_IMPLIES_EXEC)
		prot |= PROT_EXEC;
	return prot >> 32 ? -EINVAL : vm_protect(vm_current(), addr, len, (u32)prot);
}

long sys_brk(u64 addr)
{
	return (long)vm_brk(vm_current(), addr);
}

long sys_mremap(u64 addr, size_t old_len, size_t new_len, unsigned long flags, u64 new_addr)
{
	vaddr_t at;
	int err;

	if (flags >> 32)
		return -EINVAL;
	err = vm_remap(vm_current(), addr, old_len, new_len, (u32)flags, new_addr, &at);
	return err ? err : (long)at;
}

long sys_madvise(u64 addr, size_t len, int advice)
{
	return vm_advise(vm_current(), addr, len, advice);
}

long sys_msync(u64 addr, size_t len, int flags)
{
	return vm_sync(vm_current(), addr, len, flags);
}

long sys_mincore(u64 addr, size_t len, uptr_t vec)
{
	u64 pages = len / VM_PAGE_SIZE + (len % VM_PAGE_SIZE != 0), done = 0;
	u8 chunk[RESIDENT_CHUNK];

	if (addr & (VM_PAGE_SIZE - 1))
		return -EINVAL;
	if (!user_range_ok(uptr(addr), len))
		return -ENOMEM;
	if (!user_range_ok(vec, pages))
		return -EFAULT;
	while (done < pages) {
		u64 n = MIN(pages - done, (u64)RESIDENT_CHUNK);
		int err = vm_resident(vm_current(), addr + done * VM_PAGE_SIZE, n, chunk);

		if (err)
			return err;
		if (copy_to_user(uptr_add(vec, done), chunk, n))
			return -EFAULT;
		done += n;
	}
	return 0;
}

/* ---- mlock ---- */

long sys_mlock(u64 addr, size_t len)
{
	return vm_lock_range(vm_current(), addr, len, AREA_LOCKED);
}

long sys_mlock2(u64 addr, size_t len, int flags)
{
	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	return vm_lock_range(vm_current(), addr, len,
			     AREA_LOCKED | (flags & MLOCK_ONFAULT ? AREA_LOCKONFAULT : 0));
}

long sys_munlock(u64 addr, size_t len)
{
	return vm_lock_range(vm_current(), addr, len, 0);
}

long sys_mlockall(int flags)
{
	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	return vm_lock_all(vm_current(), flags);
}

long sys_munlockall(void)
{
	return vm_unlock_all(vm_current());
}

/* ---- process_vm_readv, process_vm_writev ---- */

/* One remote range against the local iterator. Bytes done; short: -EFAULT for the caller if nothing at all. */
static size_t pvm_segment(struct vm_space *s, struct iter *local, const struct iter_seg *seg, u8 *buf,
			  bool write)
{
	size_t done = 0;

	while (done < seg->len && iter_count(local)) {
		size_t n = MIN(MIN(seg->len - done, iter_count(local)), (size_t)PVM_CHUNK), got;

		if (write) {
			got = iter_copy_from(local, buf, n);
			n = got ? vm_access_remote(s, seg->base + done, buf, got, true, false) : 0;
			iter_revert(local, got - n);
			got = n;
		} else {
			n = vm_access_remote(s, seg->base + done, buf, n, false, false);
			got = n ? iter_copy_to(local, buf, n) : 0;
		}
		done += got;
		if (!got || got < MIN(seg->len, (size_t)PVM_CHUNK))
			break;
	}
	return done;
}

static ssize_t pvm_copy(struct vm_space *s, struct iter *local, const struct iter_seg *remote, u64 nr,
			bool write)
{
	u8 *buf = kmalloc(PVM_CHUNK, MM_KERNEL);
	size_t total = 0;
	u64 i;

	if (!buf)
		return -ENOMEM;
	for (i = 0; i < nr && iter_count(local); i++) {
		size_t want = MIN(remote[i].len, iter_count(local));
		size_t done = pvm_segment(s, local, &remote[i], buf, write);

		total += done;
		if (done < want) {
			kfree(buf);
			return total ? (ssize_t)total : -EFAULT;
		}
	}
	kfree(buf);
	return (ssize_t)total;
}

/* The remote vector: addresses are the other's, so ranges are looked at only when they are used. */
static int pvm_import_remote(uptr_t iov, u64 nr, struct iter_seg **out)
{
	struct iter_seg *segs;
	u64 i;

	*out = NULL;
	if (nr > ITER_MAX_SEGS)
		return -EINVAL;
	segs = kmalloc(nr ? nr * sizeof(*segs) : 1, MM_KERNEL);
	if (!segs)
		return -ENOMEM;
	if (copy_from_user(segs, iov, nr * sizeof(*segs))) {
		kfree(segs);
		return -EFAULT;
	}
	for (i = 0; i < nr; i++) {
		if ((s64)segs[i].len < 0) {
			kfree(segs);
			return -EINVAL;
		}
	}
	*out = segs;
	return 0;
}

static ssize_t pvm_with_task(int pid, struct iter *local, const struct iter_seg *remote, u64 nr,
			     bool write)
{
	struct task *t = task_by_tid(pid);
	struct vm_space *s;
	ssize_t n;
	u32 seq;

	if (!t)
		return -ESRCH;
	n = proc_space_access(t, &s, &seq);
	task_put(t);
	if (n)
		return n;
	n = pvm_copy(s, local, remote, nr, write);
	vm_space_put(s);
	return n;
}

static long process_vm(int pid, uptr_t liov, u64 nlocal, uptr_t riov, u64 nremote, u64 flags, bool write)
{
	struct iter_seg fast[ITER_FAST_SEGS], *heap, *remote;
	struct iter local;
	ssize_t n;

	if (flags)
		return -EINVAL;
	n = iter_import(&local, write ? ITER_SOURCE : ITER_DEST, liov, nlocal, fast, &heap);
	if (n < 0)
		return n;
	if (n) {
		n = pvm_import_remote(riov, nremote, &remote);
		if (!n)
			n = pvm_with_task(pid, &local, remote, nremote, write);
		kfree(remote);
	}
	iter_import_free(heap);
	return n;
}

long sys_process_vm_readv(int pid, uptr_t local, unsigned long nlocal, uptr_t remote,
			  unsigned long nremote, unsigned long flags)
{
	return process_vm(pid, local, nlocal, remote, nremote, flags, false);
}

long sys_process_vm_writev(int pid, uptr_t local, unsigned long nlocal, uptr_t remote,
			   unsigned long nremote, unsigned long flags)
{
	return process_vm(pid, local, nlocal, remote, nremote, flags, true);
}

long sys_membarrier(int cmd, unsigned int flags, int cpu)
{
	return membarrier(cmd, flags, cpu);
}
