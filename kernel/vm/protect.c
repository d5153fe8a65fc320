/* SPDX-License-Identifier: MIT */
/*
 * Changing what areas are: mprotect(2), mlock(2) and their relatives.
 *
 * All of them walk the areas of a range, cut the first and the last at the bounds, change flags and merge
 * what has become equal. As on Linux the areas before a hole (or before one that refuses) have
 * been changed when the error is returned.
 */
#include <abi/linux/resource.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/rlimit.h>
#include <kernel/task/task.h>

#include "internal.h"

#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)

struct vm_area *area_isolate(struct vm_area *a, vaddr_t start, vaddr_t end, int *err)
{
	struct vm_space *s = a->space;
	struct vm_area *upper;
	u32 cuts = (start > a->start) + (end < a->end);

	*err = -ENOMEM;
	if (cuts && s->nr_areas + cuts > READ_ONCE(vm_max_map_count))
		return NULL;
	if (start > a->start) {
		*err = area_split(a, start, &upper);
		if (*err)
			return NULL;
		a = upper;
	}
	if (end < a->end) {
		*err = area_split(a, end, &upper);
		if (*err)
			return NULL;
	}
	*err = 0;
	return a;
}

/* One kind of change, applied to each area of a range. */
struct area_change {
	/* What a's flags shall be; the same as now: nothing is done. 0 or -errno. */
	int (*flags)(struct area_change *c, struct vm_area *a, u32 *flags);
	/* May the part of so many pages become that? 0 or -errno. May be NULL. */
	int (*charge)(struct area_change *c, struct vm_area *a, u64 pages, u32 flags);
	/* After the change, for the part. May be NULL. */
	void (*done)(struct area_change *c, struct vm_area *a, u32 old);
	u32 prot;		/* mprotect */
	u32 clear, set;		/* mlock */
};

static int change_area(struct area_change *c, struct vm_area *a, vaddr_t start, vaddr_t end,
		       struct vm_area **out)
{
	u32 flags, old = a->flags;
	int err = c->flags(c, a, &flags);
	u64 pages = (end - start) >> PAGE_SHIFT;

	*out = a;
	if (err || flags == old)
		return err;
	if (c->charge) {
		err = c->charge(c, a, pages, flags);
		if (err)
			return err;
		if (area_private_writable(flags) && !(old & (AREA_ACCOUNT | AREA_NORESERVE | AREA_WRITE)))
			flags |= AREA_ACCOUNT;
	}
	a = area_isolate(a, start, end, &err);
	if (err) {
		if (flags & ~old & AREA_ACCOUNT)
			commit_uncharge((*out)->space, pages);
		return err;
	}
	area_set_flags(a, flags);
	if (c->done)
		c->done(c, a, old);
	*out = area_merge(a);
	return 0;
}

/* [start, end) must be covered without holes: -ENOMEM at the first. */
static int change_range(struct vm_space *s, vaddr_t start, vaddr_t end, struct area_change *c)
{
	struct vm_area *a = area_find(s, start);

	while (start < end) {
		vaddr_t stop;
		int err;

		if (!a || a->start > start)
			return -ENOMEM;
		stop = MIN(a->end, end);
		err = change_area(c, a, start, stop, &a);
		if (err)
			return err;
		start = stop;
		if (a->end <= start)
			a = area_next(a);
	}
	return 0;
}

/* ---- mprotect ---- */

static int protect_flags(struct area_change *c, struct vm_area *a, u32 *flags)
{
	*flags = (a->flags & ~(u32)AREA_PROT) | c->prot;
	return c->prot & ~(a->flags >> AREA_MAY_SHIFT) & AREA_PROT ? -EACCES : 0;
}

/* Private memory that becomes writable counts as committed from now on. */
static int protect_charge(struct area_change *c, struct vm_area *a, u64 pages, u32 flags)
{
	(void)c;
	if (!area_private_writable(flags) || area_private_writable(a->flags))
		return 0;
	/* It would be refused as data, but not as what it was. */
	if (!limit_may_expand(a->space, flags, pages) && limit_may_expand(a->space, a->flags, pages))
		return -ENOMEM;
	if (a->flags & (AREA_ACCOUNT | AREA_NORESERVE))
		return 0;
	return commit_charge(a->space, pages);
}

static void protect_done(struct area_change *c, struct vm_area *a, u32 old)
{
	(void)c;
	(void)old;
	table_protect(a->space, a->start, a->end, a->flags);
}

static int protect_locked(struct vm_space *s, vaddr_t start, vaddr_t end, u32 prot)
{
	struct area_change c = {
		.flags = protect_flags, .done = protect_done, .charge = protect_charge,
		.prot = prot & AREA_PROT,
	};
	struct vm_area *a = area_find(s, start);

	if (!a)
		return -ENOMEM;
	if (prot & PROT_GROWSDOWN) {
		if (a->start >= end)
			return -ENOMEM;
		if (!(a->flags & AREA_GROWSDOWN))
			return -EINVAL;
		start = a->start;
	}
	return change_range(s, start, end, &c);
}

int vm_protect(struct vm_space *s, vaddr_t addr, u64 len, u32 prot)
{
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	vaddr_t end;
	bool quiet;
	int err;

	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || addr & (PAGE_SIZE - 1))
		return -EINVAL;
	if (!len)
		return 0;
	end = addr + ALIGN_UP(len, PAGE_SIZE);
	if (end <= addr)
		return -ENOMEM;
	if (prot & ~grows & ~(u32)PROT_KNOWN)
		return -EINVAL;
	quiet = vm_quiet_begin();
	err = rwsem_write_lock_killable(&s->lock);
	if (!err) {
		/* Nothing grows upwards on this machine. */
		err = prot & PROT_GROWSUP ? -EINVAL : protect_locked(s, addr, end, prot);
		rwsem_write_unlock(&s->lock);
	}
	vm_quiet_end(quiet);
	return err;
}

/* ---- mlock ---- */

static int lock_flags(struct area_change *c, struct vm_area *a, u32 *flags)
{
	*flags = a->flags;
	if (!(a->flags & AREA_PFN))
		*flags = (a->flags & ~c->clear) | c->set;
	return 0;
}

static u64 pages_locked_in(struct vm_space *s, vaddr_t start, vaddr_t end)
{
	struct vm_area *a;
	u64 pages = 0;

	for (a = area_find_range(s, start, end); a && a->start < end; a = area_next(a)) {
		if (a->flags & AREA_LOCKED)
			pages += (MIN(a->end, end) - MAX(a->start, start)) >> PAGE_SHIFT;
	}
	return pages;
}

static int lock_range_locked(struct vm_space *s, vaddr_t start, u64 len, u32 flags)
{
	struct area_change c = {
		.flags = lock_flags, .clear = AREA_LOCKED | AREA_LOCKONFAULT, .set = flags,
	};
	u64 limit = rlimit_current(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	u64 pages = len >> PAGE_SHIFT;

	if (flags && s->locked_pages + pages > limit && task_current_or_null() &&
	    !capable(CAP_IPC_LOCK) &&
	    s->locked_pages + pages - pages_locked_in(s, start, start + len) > limit)
		return -ENOMEM;
	if (start + len < start)
		return -EINVAL;
	return len ? change_range(s, start, start + len, &c) : 0;
}

int vm_lock_range(struct vm_space *s, vaddr_t addr, u64 len, u32 flags)
{
	vaddr_t start = ALIGN_DOWN(addr, PAGE_SIZE);
	int err;

	if (flags && !limit_can_lock())
		return -EPERM;
	len = ALIGN_UP(len + (addr - start), PAGE_SIZE);
	err = rwsem_write_lock_killable(&s->lock);
	if (err)
		return err;
	err = lock_range_locked(s, start, len, flags);
	rwsem_write_unlock(&s->lock);
	if (err || (flags & (AREA_LOCKED | AREA_LOCKONFAULT)) != AREA_LOCKED)
		return err;
	err = vm_populate(s, start, len, 0);
	/* POSIX wants these two the other way round than faults report them. */
	return err == -EFAULT ? -ENOMEM : err == -ENOMEM ? -EAGAIN : err;
}

static void lock_all_areas(struct vm_space *s, u32 flags)
{
	struct area_change c = {
		.flags = lock_flags, .clear = AREA_LOCKED | AREA_LOCKONFAULT, .set = flags,
	};
	struct vm_area *a = rb_entry_safe(rb_first(&s->areas), struct vm_area, node);

	while (a) {
		vaddr_t end = a->end;

		/* Cuts nothing, so it cannot fail. */
		(void)change_area(&c, a, a->start, end, &a);
		a = a->end < end ? area_find(s, end) : area_next(a);
	}
}

/* Every area of the space, as far as it goes. */
static void populate_all(struct vm_space *s)
{
	vaddr_t at = 0;

	for (;;) {
		struct vm_area *a;
		vaddr_t start, end;

		rwsem_read_lock(&s->lock);
		a = area_find(s, at);
		start = a ? a->start : 0;
		end = a ? a->end : 0;
		rwsem_read_unlock(&s->lock);
		if (!a || vm_populate(s, start, end - start, 0) == -EINTR)
			return;
		at = end;
	}
}

int vm_lock_all(struct vm_space *s, int mcl_flags)
{
	u32 flags = AREA_LOCKED | (mcl_flags & MCL_ONFAULT ? AREA_LOCKONFAULT : 0);
	int err;

	if (!limit_can_lock())
		return -EPERM;
	err = rwsem_write_lock_killable(&s->lock);
	if (err)
		return err;
	if (mcl_flags & MCL_CURRENT && task_current_or_null() && !capable(CAP_IPC_LOCK) &&
	    s->total_pages > rlimit_current(RLIMIT_MEMLOCK) >> PAGE_SHIFT)
		err = -ENOMEM;
	if (!err) {
		s->def_flags = mcl_flags & MCL_FUTURE ? flags : 0;
		if (mcl_flags & MCL_CURRENT)
			lock_all_areas(s, flags);
	}
	rwsem_write_unlock(&s->lock);
	if (!err && mcl_flags & MCL_CURRENT && !(mcl_flags & MCL_ONFAULT))
		populate_all(s);
	return err;
}

int vm_unlock_all(struct vm_space *s)
{
	int err = rwsem_write_lock_killable(&s->lock);

	if (err)
		return err;
	s->def_flags = 0;
	lock_all_areas(s, 0);
	rwsem_write_unlock(&s->lock);
	return 0;
}

/* ---- flags by advice: for advise.c ---- */

int area_change_flags(struct vm_area *a, vaddr_t start, vaddr_t end, u32 clear, u32 set,
		      struct vm_area **out)
{
	struct area_change c = { .flags = lock_flags, .clear = clear, .set = set };

	return change_area(&c, a, start, end, out);
}
