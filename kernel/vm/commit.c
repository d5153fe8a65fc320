/* SPDX-License-Identifier: MIT */
/*
 * What a space may take: overcommit, resource limits, and the knobs of /proc/sys/vm.
 *
 * Commitments are counted in pages for private writable memory and for shared memory
 * objects, as Linux does (Documentation/mm/overcommit-accounting). The heuristic mode refuses
 * only a single request that is larger than all memory; the strict mode holds the sum
 * below ratio percent of memory.
 */
#include <abi/linux/personality.h>
#include <abi/linux/resource.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/random.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>

#include "internal.h"

#define ADMIN_RESERVE_PAGES	(8 * MIB / PAGE_SIZE)	/* strict mode: kept for root */
#define USER_RESERVE_PAGES	(128 * MIB / PAGE_SIZE)	/* strict mode: at most this kept from one process */
#define MMAP_RANDOM_BITS	28			/* vm.mmap_rnd_bits of Linux on x86-64 */
#define STACK_RANDOM_MAX	(0x3fffffULL << PAGE_SHIFT)	/* how far execve lowers the stack */
#define MMAP_GAP_MIN		(128 * MIB)

u32 vm_overcommit_memory;
u32 vm_overcommit_ratio = 50;
u32 vm_max_map_count = 65530;
u64 vm_mmap_min_addr = 65536;
u32 vm_randomize_va_space = 2;

static atomic64_t committed;	/* [a] pages */
static u64 ram_pages;		/* [I] */

void commit_init(void)
{
	struct mm_stats st;

	mm_stats(&st);
	ram_pages = st.total;
	if (cmdline_has("norandmaps"))
		vm_randomize_va_space = 0;
}

u64 vm_committed_pages(void)
{
	s64 n = atomic64_load_relaxed(&committed);

	return n > 0 ? (u64)n : 0;
}

u64 vm_commit_limit_pages(void)
{
	return ram_pages * READ_ONCE(vm_overcommit_ratio) / 100;
}

/* Kernel threads (boot, self tests) are held to nothing. */
static bool limited(void)
{
	return task_current_or_null() != NULL;
}

static bool strict_enough(const struct vm_space *s, u64 sum)
{
	u64 allowed = vm_commit_limit_pages(), keep = 0;

	if (limited() && !capable(CAP_SYS_ADMIN))
		keep += ADMIN_RESERVE_PAGES;
	if (s)
		keep += MIN(s->total_pages / 32, USER_RESERVE_PAGES);
	return sum + keep < allowed;
}

int commit_charge(struct vm_space *s, u64 pages)
{
	s64 sum = atomic64_add_return(&committed, (s64)pages);
	u32 mode = READ_ONCE(vm_overcommit_memory);
	bool ok = true;

	if (mode == OVERCOMMIT_GUESS)
		ok = pages <= ram_pages;
	else if (mode == OVERCOMMIT_NEVER)
		ok = strict_enough(s, (u64)sum);
	if (!ok) {
		atomic64_sub(&committed, (s64)pages);
		return -ENOMEM;
	}
	if (s)
		atomic64_add_relaxed(&s->committed, (s64)pages);
	return 0;
}

void commit_uncharge(struct vm_space *s, u64 pages)
{
	atomic64_sub(&committed, (s64)pages);
	if (s)
		atomic64_sub_relaxed(&s->committed, (s64)pages);
}

/* ---- resource limits of the calling process ---- */

bool limit_may_expand(struct vm_space *s, u32 flags, u64 pages)
{
	u64 data_limit;

	if (!limited())
		return true;
	if (s->total_pages + pages > rlimit_current(RLIMIT_AS) >> PAGE_SHIFT)
		return false;
	if (!area_private_writable(flags) || flags & AREA_GROWSDOWN)
		return true;
	data_limit = rlimit_current(RLIMIT_DATA);
	if (s->data_pages + pages <= data_limit >> PAGE_SHIFT)
		return true;
	/* A soft limit of zero means the hard one, as Linux has it for Valgrind's sake. */
	return !data_limit && s->data_pages + pages <=
	       rlimit_get_max(current_process(), RLIMIT_DATA) >> PAGE_SHIFT;
}

bool limit_can_lock(void)
{
	return !limited() || rlimit_current(RLIMIT_MEMLOCK) || capable(CAP_IPC_LOCK);
}

int limit_may_lock(struct vm_space *s, u64 pages)
{
	if (!limit_can_lock())
		return -EPERM;
	if (!limited() || s->locked_pages + pages <= rlimit_current(RLIMIT_MEMLOCK) >> PAGE_SHIFT)
		return 0;
	return capable(CAP_IPC_LOCK) ? 0 : -EAGAIN;
}

/* ---- the layout of a new program ---- */

bool vm_randomize_wanted(u32 personality)
{
	return READ_ONCE(vm_randomize_va_space) && !(personality & ADDR_NO_RANDOMIZE);
}

/* mmap_base() and arch_pick_mmap_layout() of Linux: the numbers are an interface, in effect. */
void vm_layout_pick(struct vm_space *s, u64 stack_rlimit, u32 personality, bool randomize)
{
	u64 rnd = randomize ? (random_u64() & (BIT(MMAP_RANDOM_BITS) - 1)) << PAGE_SHIFT : 0;
	u64 pad = STACK_GUARD_GAP + (randomize ? STACK_RANDOM_MAX : 0);
	u64 gap = stack_rlimit, gap_max = HAL_USER_END / 6 * 5;

	s->mmap_legacy = personality & ADDR_COMPAT_LAYOUT;
	if (s->mmap_legacy) {
		s->mmap_base = ALIGN_UP(HAL_USER_END / 3, PAGE_SIZE) + rnd;
		return;
	}
	if (gap + pad > gap)	/* else it is infinite */
		gap += pad;
	gap = CLAMP(gap, MMAP_GAP_MIN, gap_max);
	s->mmap_base = ALIGN_UP(HAL_USER_END - gap - rnd, PAGE_SIZE);
}
