/* SPDX-License-Identifier: MIT */
/*
 * mmap, munmap, brk and the growth of stacks: areas coming and going.
 *
 * The order of the checks is Linux's, because it decides which errno a wrong request gets.
 * An unmapped area leaves the tree first, then its entries go, then tables that cover
 * nothing else, then comes one flush, and after it the pages are dropped; its
 * object and file are dropped when the lock is free again (areas_free), since
 * closing a file may take locks of outer rank.
 */
#include <abi/linux/resource.h>
#include <kernel/core/random.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>

#include "internal.h"

#define MAP_32BIT_LOW	0x40000000ULL
#define MAP_32BIT_HIGH	0x80000000ULL
#define MAP_32BIT_RND	0x02000000ULL
#define USER_SPACE_TOP	BIT(47)		/* where the tables of user space end */

/* ---- places ---- */

/* vm.mmap_min_addr: -EPERM below it without the capability. */
static int check_min_addr(vaddr_t addr)
{
	if (addr >= READ_ONCE(vm_mmap_min_addr))
		return 0;
	return task_current_or_null() && !capable(CAP_SYS_RAWIO) ? -EPERM : 0;
}

static bool place_free(struct vm_space *s, vaddr_t addr, u64 len)
{
	struct vm_area *a = area_find(s, addr);

	return !a || addr + len <= area_start_gap(a);
}

/* May the caller have the place that he would like? */
static bool hint_fits(struct vm_space *s, vaddr_t at, u64 len, u32 flags)
{
	u64 end = flags & MAP_32BIT ? MAP_32BIT_HIGH : HAL_USER_END;

	return at && len <= end && at <= end - len && place_free(s, at, len);
}

static vaddr_t find_place(struct vm_space *s, u64 len, u32 flags)
{
	u64 low = MAX(READ_ONCE(vm_mmap_min_addr), PAGE_SIZE);
	vaddr_t at;

	if (flags & MAP_32BIT) {
		u64 start = MAP_32BIT_LOW;

		if (READ_ONCE(vm_randomize_va_space))
			start += random_u64() % MAP_32BIT_RND & ~(PAGE_SIZE - 1);
		return area_find_gap(s, len, start, MAP_32BIT_HIGH, false);
	}
	if (s->mmap_legacy)
		return area_find_gap(s, len, MAX(s->mmap_base, low), HAL_USER_END, false);
	at = area_find_gap(s, len, low, s->mmap_base, true);
	if (at)
		return at;
	/* A huge stack limit may leave no room below it. */
	return area_find_gap(s, len, ALIGN_UP(HAL_USER_END / 3, PAGE_SIZE), HAL_USER_END, false);
}

int vm_find_place_locked(struct vm_space *s, vaddr_t hint, u64 len, u32 flags, vaddr_t *out)
{
	vaddr_t at = hint;

	if (len > HAL_USER_END)
		return -ENOMEM;
	if (!(flags & MAP_FIXED)) {
		at = ALIGN_DOWN(hint, PAGE_SIZE);
		if (at && at < READ_ONCE(vm_mmap_min_addr))
			at = ALIGN_UP(READ_ONCE(vm_mmap_min_addr), PAGE_SIZE);
		if (!hint_fits(s, at, len, flags))
			at = find_place(s, len, flags);
		if (!at)
			return -ENOMEM;
	}
	if (at > HAL_USER_END - len)
		return -ENOMEM;
	if (at & (PAGE_SIZE - 1))
		return -EINVAL;
	*out = at;
	return check_min_addr(at);
}

/* ---- mapping ---- */

static u32 map_area_flags(struct vm_space *s, const struct vm_map_request *req)
{
	u32 flags = (req->prot & AREA_PROT) | req->area_flags | s->def_flags | AREA_MAY_PROT;

	flags &= ~(req->deny_may & AREA_MAY_PROT);
	if (req->flags & MAP_GROWSDOWN)
		flags |= AREA_GROWSDOWN;
	if (req->flags & MAP_LOCKED)
		flags |= AREA_LOCKED;
	if ((req->flags & MAP_TYPE) != MAP_PRIVATE) {
		flags |= AREA_MAP_SHARED;
		/* Through a read-only descriptor it can never be written: no different from private. */
		if (flags & AREA_MAY_WRITE)
			flags |= AREA_SHARED;
	}
	if (req->flags & MAP_NORESERVE && READ_ONCE(vm_overcommit_memory) != OVERCOMMIT_NEVER)
		flags |= AREA_NORESERVE;
	if (area_private_writable(flags) && !(flags & AREA_NORESERVE))
		flags |= AREA_ACCOUNT;
	return flags;
}

static int map_check_locks(struct vm_space *s, const struct vm_map_request *req, u32 flags)
{
	int err;

	if (req->flags & MAP_LOCKED && !limit_can_lock())
		return -EPERM;
	if (!(flags & AREA_LOCKED))
		return 0;
	err = limit_may_lock(s, req->len >> PAGE_SHIFT);
	return err == -EPERM ? -EAGAIN : err;
}

/* Pages of [start, end) that are mapped now. */
static u64 pages_mapped(struct vm_space *s, vaddr_t start, vaddr_t end)
{
	struct vm_area *a;
	u64 pages = 0;

	for (a = area_find_range(s, start, end); a && a->start < end; a = area_next(a))
		pages += (MIN(a->end, end) - MAX(a->start, start)) >> PAGE_SHIFT;
	return pages;
}

/* The area itself, its place being free: takes references on object and file. */
static int map_insert(struct vm_space *s, const struct vm_map_request *req, vaddr_t addr, u64 len,
		      u32 flags, struct vm_area **dead)
{
	struct vm_object *obj = req->object;
	struct vm_area *a = area_alloc(s);

	if (!a)
		return -ENOMEM;
	if (obj) {
		vm_object_get(obj);
	} else if (flags & AREA_MAP_SHARED && !(flags & AREA_PFN)) {
		obj = vm_object_create_anon(len, !(flags & AREA_NORESERVE));
		if (!obj) {
			area_free(a);
			return -ENOMEM;
		}
	}
	a->start = addr;
	a->end = addr + len;
	a->flags = flags;
	a->object = obj;
	a->pgoff = req->object ? req->pgoff : obj ? 0 : addr >> PAGE_SHIFT;
	if (flags & AREA_PFN)
		a->pgoff = req->pfn_base;
	a->file = req->file;
	if (a->file)
		a->file->ops->get(a->file);
	area_insert(a);
	if (unlikely(object_refuses_area(a))) {
		area_remove(a);
		a->dead_next = *dead;
		*dead = a;
		return -EPERM;
	}
	area_merge(a);
	return 0;
}

static int map_locked(struct vm_space *s, struct vm_map_request *req, vaddr_t *out, u32 *out_flags,
		      struct vm_area **dead)
{
	u32 flags = map_area_flags(s, req);
	u64 pages = req->len >> PAGE_SHIFT;
	vaddr_t addr;
	int err;

	if (s->nr_areas > READ_ONCE(vm_max_map_count))
		return -ENOMEM;
	err = vm_find_place_locked(s, req->addr, req->len, req->flags, &addr);
	if (err)
		return err;
	if (req->flags & MAP_FIXED_NOREPLACE && area_find_range(s, addr, addr + req->len))
		return -EEXIST;
	err = map_check_locks(s, req, flags);
	if (err)
		return err;
	if ((req->flags & MAP_TYPE) != MAP_PRIVATE && flags & AREA_GROWSDOWN)
		return -EINVAL;
	if (!limit_may_expand(s, flags, pages - pages_mapped(s, addr, addr + req->len)))
		return -ENOMEM;
	err = vm_unmap_locked(s, addr, req->len, dead);
	if (err)
		return err;
	if (flags & AREA_ACCOUNT) {
		err = commit_charge(s, pages);
		if (err)
			return err;
	}
	err = map_insert(s, req, addr, req->len, flags, dead);
	if (err && flags & AREA_ACCOUNT)
		commit_uncharge(s, pages);
	*out = addr;
	*out_flags = flags;
	return err;
}

int vm_map(struct vm_space *s, const struct vm_map_request *request, vaddr_t *out)
{
	struct vm_map_request req = *request;
	struct vm_area *dead = NULL;
	u32 flags = 0;
	bool quiet;
	int err;

	if (!req.len)
		return -EINVAL;
	if (req.flags & MAP_FIXED_NOREPLACE)
		req.flags |= MAP_FIXED;
	req.len = ALIGN_UP(req.len, PAGE_SIZE);
	if (!req.len)
		return -ENOMEM;
	if (req.pgoff + (req.len >> PAGE_SHIFT) < req.pgoff)
		return -EOVERFLOW;
	quiet = vm_quiet_begin();
	err = rwsem_write_lock_killable(&s->lock);
	if (!err) {
		err = map_locked(s, &req, out, &flags, &dead);
		rwsem_write_unlock(&s->lock);
	}
	vm_quiet_end(quiet);
	areas_free(dead);
	if (err)
		return err;
	if ((req.flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE ||
	    (flags & (AREA_LOCKED | AREA_LOCKONFAULT)) == AREA_LOCKED)
		(void)vm_populate(s, *out, req.len, 0);
	return 0;
}

int vm_map_anon_fixed(struct vm_space *s, vaddr_t addr, u64 len, u32 prot)
{
	struct vm_map_request req = {
		.addr = addr, .len = len, .prot = prot,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	};

	return len ? vm_map(s, &req, &addr) : 0;
}

/* ---- unmapping ---- */

void areas_free(struct vm_area *dead)
{
	while (dead) {
		struct vm_area *next = dead->dead_next;

		area_free(dead);
		dead = next;
	}
}

/* Takes areas of [start, end) out of the tree; both bounds are area bounds or in gaps. */
static void unmap_areas(struct vm_space *s, vaddr_t start, vaddr_t end, struct vm_area **dead)
{
	struct vm_area *a = area_find_range(s, start, end), *next;

	for (; a && a->start < end; a = next) {
		next = area_next(a);
		area_remove(a);
		if (a->flags & AREA_ACCOUNT)
			commit_uncharge(s, area_pages(a));
		a->dead_next = *dead;
		*dead = a;
	}
}

/*
 * The entries and tables of a range that has no area any more. The lock for reading is enough: nobody can make an area there, and
 * no fault walks a table above which there is none.
 */
static void unmap_tables(struct vm_space *s, vaddr_t start, vaddr_t end)
{
	struct vm_area *next = area_find(s, end);
	struct vm_area *prev = next ? area_prev(next) :
			       rb_entry_safe(rb_last(&s->areas), struct vm_area, node);
	struct vm_batch b;

	batch_init(&b, s);
	table_zap(s, start, end, false, &b);
	table_free_range(s, start, end, prev ? prev->end : 0, next ? next->start : USER_SPACE_TOP, &b);
	batch_finish(&b);
}

/*
 * downgrade not NULL: the lock for writing becomes one for reading when the areas are gone, and that is said; meanwhile others
 * have their faults, but nobody gets the range until no CPU knows the pages.
 */
static int unmap_range(struct vm_space *s, vaddr_t start, vaddr_t end, struct vm_area **dead, bool *downgrade)
{
	struct vm_area *a = area_find_range(s, start, end), *upper;
	int err;

	if (!a)
		return 0;
	if (start > a->start) {
		/* A hole in the middle makes one area more. */
		if (end < a->end && s->nr_areas >= READ_ONCE(vm_max_map_count))
			return -ENOMEM;
		err = area_split(a, start, &upper);
		if (err)
			return err;
	}
	a = area_find(s, end - 1);
	if (a && a->start < end && a->end > end) {
		err = area_split(a, end, &upper);
		if (err)
			return err;
	}
	unmap_areas(s, start, end, dead);
	if (unlikely(downgrade)) {
		rwsem_downgrade(&s->lock);
		*downgrade = true;
	}
	unmap_tables(s, start, end);
	return 0;
}

int vm_unmap_locked(struct vm_space *s, vaddr_t start, u64 len, struct vm_area **dead)
{
	return unmap_range(s, start, start + len, dead, NULL);
}

int vm_unmap(struct vm_space *s, vaddr_t addr, u64 len)
{
	struct vm_area *dead = NULL;
	bool quiet, down = false;
	int err;

	if (addr & (PAGE_SIZE - 1) || addr > HAL_USER_END || len > HAL_USER_END - addr)
		return -EINVAL;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (!len)
		return -EINVAL;
	quiet = vm_quiet_begin();
	err = rwsem_write_lock_killable(&s->lock);
	if (!err) {
		err = unmap_range(s, addr, addr + len, &dead, vm_many_cpus ? &down : NULL);
		if (unlikely(down))
			rwsem_read_unlock(&s->lock);
		else
			rwsem_write_unlock(&s->lock);
	}
	vm_quiet_end(quiet);
	areas_free(dead);
	return err;
}

/* ---- stacks ---- */

static bool grow_allowed(struct vm_area *a, vaddr_t addr, u64 pages)
{
	struct vm_space *s = a->space;

	if (!limit_may_expand(s, a->flags, pages))
		return false;
	if (task_current_or_null() && a->end - addr > rlimit_current(RLIMIT_STACK))
		return false;
	return !(a->flags & AREA_LOCKED) || !limit_may_lock(s, pages);
}

int vm_grow_down_locked(struct vm_area *a, vaddr_t addr)
{
	struct vm_area *prev = area_prev(a);
	u64 pages = (a->start - addr) >> PAGE_SHIFT;
	int err;

	if (addr < READ_ONCE(vm_mmap_min_addr))
		return -EPERM;
	if (prev && (addr < prev->end || (!(prev->flags & AREA_GROWSDOWN) && prev->flags & AREA_PROT &&
					  addr - prev->end < STACK_GUARD_GAP)))
		return -ENOMEM;
	if (!grow_allowed(a, addr, pages))
		return -ENOMEM;
	if (a->flags & AREA_ACCOUNT) {
		err = commit_charge(a->space, pages);
		if (err)
			return err;
	}
	area_resize(a, addr, a->end);
	return 0;
}

/* ---- the break ---- */

static bool brk_in_data_limit(const struct vm_space *s, vaddr_t brk)
{
	u64 limit = task_current_or_null() ? rlimit_current(RLIMIT_DATA) : RLIM64_INFINITY;

	return limit == RLIM64_INFINITY ||
	       (brk - s->start_brk) + (s->end_data - s->start_data) <= limit;
}

/* Heap from old to new, both page-aligned. */
static int brk_grow(struct vm_space *s, vaddr_t old, vaddr_t new)
{
	struct vm_area *next = area_find(s, old);
	struct vm_map_request req = {
		.addr = old, .len = new - old, .prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	};
	struct vm_area *dead = NULL;
	u32 flags;
	vaddr_t at;

	/* A page is kept free between the heap and what comes above it. */
	if (next && new + PAGE_SIZE > area_start_gap(next))
		return -ENOMEM;
	return map_locked(s, &req, &at, &flags, &dead);
}

/* The lock is held for writing. */
static int brk_change(struct vm_space *s, vaddr_t brk, struct vm_area **dead)
{
	vaddr_t new = ALIGN_UP(brk, PAGE_SIZE), old = ALIGN_UP(s->brk, PAGE_SIZE);

	if (brk < s->start_brk || brk > HAL_USER_END || !brk_in_data_limit(s, brk))
		return -ENOMEM;
	if (new < old)
		return vm_unmap_locked(s, new, old - new, dead);
	return new > old ? brk_grow(s, old, new) : 0;
}

vaddr_t vm_brk(struct vm_space *s, vaddr_t brk)
{
	struct vm_area *dead = NULL;
	vaddr_t old, result;
	bool populate, quiet = vm_quiet_begin();

	if (rwsem_write_lock_killable(&s->lock)) {
		vm_quiet_end(quiet);
		return READ_ONCE(s->brk);
	}
	old = s->brk;
	if (!brk_change(s, brk, &dead))
		s->brk = brk;
	result = s->brk;
	populate = result > old && (s->def_flags & (AREA_LOCKED | AREA_LOCKONFAULT)) == AREA_LOCKED;
	rwsem_write_unlock(&s->lock);
	vm_quiet_end(quiet);
	areas_free(dead);
	if (populate)
		(void)vm_populate(s, old, result - old, 0);
	return result;
}
