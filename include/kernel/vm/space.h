/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_SPACE_H
#define KERNEL_VM_SPACE_H

/*
 * Address spaces.
 *
 * Two counts. `users` are those who need the memory: processes and whoever looks into it
 * for a while (vm_space_get/put); when it falls to zero everything is unmapped. `refs` keep the structure
 * and the top-level table: all users together hold one, and each CPU on which the
 * space is the active one holds one, so that a kernel thread may run on the tables of
 * a process that has ended.
 *
 * Locks: `lock`, a rwsem (rank LOCK_RANK_SPACE): for writing to change areas, for reading to
 * fault. Entries of leaf tables are changed under the table's spinlock. Upper entries
 * are entered by compare-and-exchange under the rwsem for reading, and taken out
 * under it for writing after no area is left above them.
 *
 * Lock keys: [I] immutable after creation, [a] atomic, [s] the rwsem.
 */
#include <hal/tlb.h>
#include <kernel/sched/mutex.h>
#include <kernel/vm/area.h>
#include <kernel/vm/fault.h>
#include <lib/rbtree.h>
#include <lib/refcount.h>

struct page;
struct process;
struct thread;

#define VM_PAGE_SIZE	4096ULL
#define VM_AUXV_WORDS	46	/* Linux's AT_VECTOR_SIZE on x86-64 with room: 2 * (20 + 2 + 1) */

struct vm_space {
	struct rwsem lock;
	refcount_t users;
	refcount_t refs;
	struct hal_space hal;		/* which CPUs run it */
	paddr_t root;			/* [I] top-level table */

	struct rb_root areas;		/* [s] by start, augmented with gaps */
	u32 nr_areas;			/* [s] */
	struct vm_area *cached;		/* [a] last area found, or NULL */

	vaddr_t mmap_base;		/* [s] top of the top-down search, or bottom when mmap_legacy */
	bool mmap_legacy;		/* [s] search upwards: ADDR_COMPAT_LAYOUT */
	u32 membarrier;			/* [a] MEMBARRIER_CMD_REGISTER_* that were made */
	vaddr_t start_code, end_code, start_data, end_data;	/* [s] execve, prctl */
	vaddr_t start_brk, brk;		/* [s] */
	vaddr_t start_stack;		/* [s] the first stack pointer */
	vaddr_t arg_start, arg_end, env_start, env_end;		/* [s] bytes, for /proc/PID/cmdline */
	u32 def_flags;			/* [s] mlockall(MCL_FUTURE): AREA_LOCKED, AREA_LOCKONFAULT */

	u64 total_pages;		/* [s] sizes of areas, in pages */
	u64 data_pages;			/* [s] private writable, not stack: RLIMIT_DATA */
	u64 stack_pages;		/* [s] */
	u64 exec_pages;			/* [s] */
	u64 locked_pages;		/* [s] */
	atomic64_t committed;		/* [a] pages charged to the overcommit count */
	atomic64_t rss_anon, rss_file, rss_shmem;	/* [a] resident pages */
	atomic64_t table_pages;		/* [a] page-table pages, the top one included */
	u64 peak_rss, peak_total;	/* [a] racy maxima, pages: VmHWM, VmPeak */

	u64 auxv[VM_AUXV_WORDS];	/* [s] as put on the stack: /proc/PID/auxv */
};

/* Boot: caches, the zero page, the scheduler's hook, the commit limit. After sched_init. */
void vm_init(void);

/* A new empty space, with one user. 0 or -ENOMEM. */
int __must_check vm_space_create(struct vm_space **out);
/*
 * A copy of parent as fork(2) makes it; the caller is the parent's thread, or the only one to use the
 * space. 0, -ENOMEM, -EINTR (fatal signal).
 */
int __must_check vm_space_fork(struct vm_space *parent, struct vm_space **out);
/* The caller has a user reference already. */
void vm_space_get(struct vm_space *s);
/* False when the space is already being torn down. */
bool __must_check vm_space_get_not_zero(struct vm_space *s);
/* The last user's put unmaps everything. May sleep. */
void vm_space_put(struct vm_space *s);
/* Keeps the structure alone, so that its address names no other space: any context, the space has a user. */
void vm_space_hold(struct vm_space *s);
void vm_space_release(struct vm_space *s);	/* any context */

/* The space of the calling thread's process; NULL for kernel threads and late in exit. */
struct vm_space *vm_current(void);
/* execve: s becomes the space that this CPU runs on, for the current thread, at once. */
void vm_space_activate(struct vm_space *s);
/* A kernel thread gives up the user space that this CPU has kept from the last program. Thread context. */
void vm_space_leave(void);
/*
 * CPUs that run a kernel thread or idle on a process's page tables go over to the kernel's own, and give up their
 * reference: what a process left is then gone with it. Thread context, no spinlock.
 */
void vm_space_drop_lazy(void);
/* A CPU that goes leaves its space, and the tables that it keeps. */
extern const struct cpuhp_step vm_cpuhp;
/* Scheduler's hook: makes next's space the active one unless next is a kernel thread. No sleeping. */
void vm_space_switch(struct thread *prev, struct thread *next);

/*
 * A mapping to be made. What mmap(2) decodes; file->ops->mmap() fills `object`
 * (which vm_map() takes a reference on, if it succeeds) and may change the area's flags.
 */
struct vm_map_request {
	vaddr_t addr;		/* hint, or the address with MAP_FIXED */
	u64 len;		/* bytes; rounded up to pages by vm_map() */
	u32 prot;		/* PROT_* */
	u32 flags;		/* MAP_*: SHARED or PRIVATE, FIXED, FIXED_NOREPLACE, GROWSDOWN, POPULATE, LOCKED, NORESERVE, STACK ... */
	u64 pgoff;		/* page index in the object */
	struct vm_object *object;	/* NULL: anonymous memory (shared: vm_map() makes an object) */
	struct vm_backing *file;	/* NULL without a file; counted by the area */
	u32 deny_may;		/* AREA_MAY_* that may never be granted (file opened read-only, noexec mount) */
	u32 area_flags;		/* more AREA_* for the new area: AREA_STACK, AREA_DONTEXPAND ... */
	u64 pfn_base;		/* with AREA_PFN: first frame number of device memory */
};

/*
 * mmap(2) after its decoding. *out is the address. Takes the lock. 0 or Linux's errno: EINVAL, ENOMEM,
 * EEXIST (MAP_FIXED_NOREPLACE), EPERM (below mmap_min_addr), EAGAIN (lock limit).
 */
int __must_check vm_map(struct vm_space *s, const struct vm_map_request *req, vaddr_t *out);
int __must_check vm_unmap(struct vm_space *s, vaddr_t addr, u64 len);
int __must_check vm_protect(struct vm_space *s, vaddr_t addr, u64 len, u32 prot);
/* The new break, or the old one if it cannot be changed (brk(2) never fails). */
vaddr_t vm_brk(struct vm_space *s, vaddr_t brk);
/* Anonymous private memory at a fixed place in a space that is being built (bss). 0 or -errno. */
int __must_check vm_map_anon_fixed(struct vm_space *s, vaddr_t addr, u64 len, u32 prot);
/* mremap(2): *out is the new address. */
int __must_check vm_remap(struct vm_space *s, vaddr_t old, u64 old_len, u64 new_len, u32 flags,
			  vaddr_t new_addr, vaddr_t *out);
int __must_check vm_advise(struct vm_space *s, vaddr_t addr, u64 len, int advice);
int __must_check vm_sync(struct vm_space *s, vaddr_t addr, u64 len, int flags);
/* mlock2(2) and munlock(2): flags AREA_LOCKED | AREA_LOCKONFAULT, or 0 to unlock. */
int __must_check vm_lock_range(struct vm_space *s, vaddr_t addr, u64 len, u32 flags);
int __must_check vm_lock_all(struct vm_space *s, int mcl_flags);
int vm_unlock_all(struct vm_space *s);
/* Residency of n pages from addr into vec (0 or 1 each). -ENOMEM when a part is not mapped. */
int __must_check vm_resident(struct vm_space *s, vaddr_t addr, u64 n, u8 *vec);
/*
 * Faults pages in, as far as it goes. access: VM_ACCESS_*, or 0 for what mlock(2) and MAP_POPULATE want: private
 * writable memory as pages of its own, all else as it is read. 0 or -ENOMEM, -EFAULT, -EINTR (fatal signal).
 */
int vm_populate(struct vm_space *s, vaddr_t addr, u64 len, u32 access);
/* execve: a page becomes private memory of an anonymous area (the table takes a reference of its own). 0, -ENOMEM, -EFAULT, -EEXIST. */
int __must_check vm_install_page(struct vm_space *s, vaddr_t addr, struct page *page);

/* The area that contains addr, or the first behind it. Lock held, either way. */
struct vm_area *vm_area_find_locked(struct vm_space *s, vaddr_t addr);
/* For /proc/PID/maps. Lock held. */
struct vm_area *vm_area_next_locked(struct vm_area *a);

/*
 * Reads or writes the memory of a space that need not be the current one (ptrace,
 * process_vm_readv, /proc/PID/mem and cmdline, execve's new stack). Bytes done, which is less than n
 * where it is not mapped, or forbidden unless `force` (ptrace: rights are the area's MAY ones).
 */
size_t vm_access_remote(struct vm_space *s, vaddr_t addr, void *buf, size_t n, bool write, bool force);

/*
 * What a shared futex is known by. Shared mapping: *obj is the object, referenced, and
 * *offset the byte in it. Private: *obj is NULL and *offset is addr. 0 or -EFAULT when not mapped (readable).
 */
int __must_check vm_shared_key(struct vm_space *s, vaddr_t addr, struct vm_object **obj, u64 *offset);

static inline u64 vm_space_rss(const struct vm_space *s)
{
	return (u64)(atomic64_load_relaxed(&s->rss_anon) + atomic64_load_relaxed(&s->rss_file) +
		     atomic64_load_relaxed(&s->rss_shmem));
}

/*
 * A new layout for execve: picks mmap_base by RLIMIT_STACK (bytes) as Linux does on x86-64, or the
 * upward search when the personality asks for it.
 */
void vm_layout_pick(struct vm_space *s, u64 stack_rlimit, u32 personality, bool randomize);
/* Is randomisation wanted: no `norandmaps`, kernel.randomize_va_space != 0, no ADDR_NO_RANDOMIZE. */
bool vm_randomize_wanted(u32 personality);

/* Overcommit, as /proc/meminfo and sysctls show it; pages. */
u64 vm_committed_pages(void);
u64 vm_commit_limit_pages(void);
extern u32 vm_overcommit_memory;	/* [a] 0 heuristic, 1 always, 2 never */
extern u32 vm_overcommit_ratio;		/* [a] percent */
extern u32 vm_max_map_count;		/* [a] 65530 */
extern u64 vm_mmap_min_addr;		/* [a] bytes, 65536 */
extern u32 vm_randomize_va_space;	/* [a] 0, 1, 2 */

#endif
