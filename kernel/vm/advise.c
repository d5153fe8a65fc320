/* SPDX-License-Identifier: MIT */
/*
 * madvise(2), msync(2), mincore(2).
 *
 * Advice walks the areas of a range; holes do not stop it, but make the result -ENOMEM at the end.
 * MADV_FREE frees at once, which it may ("may be freed at any time"). Advice about
 * swap and page merging is accepted and has nothing to do.
 */
#include "internal.h"

static int advise_check(int advice)
{
	switch (advice) {
	case MADV_NORMAL ... MADV_DONTNEED:
	case MADV_FREE ... MADV_DOFORK:
	case MADV_MERGEABLE ... MADV_COLLAPSE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Gives the pages of the part back: the next touch finds what the object has, or zeros. */
static int advise_dontneed(struct vm_area *a, vaddr_t start, vaddr_t end, int what)
{
	struct vm_batch b;

	if (a->flags & AREA_PFN || (a->flags & AREA_LOCKED && what != MADV_DONTNEED_LOCKED))
		return -EINVAL;
	if (what == MADV_FREE && a->object)
		return -EINVAL;
	batch_init(&b, a->space);
	table_zap(a->space, start, end, false, &b);
	batch_finish(&b);
	return 0;
}

static int advise_changes_flags(struct vm_area *a, vaddr_t start, vaddr_t end, int what,
				struct vm_area **next)
{
	switch (what) {
	case MADV_NORMAL:
		return area_change_flags(a, start, end, AREA_SEQ_READ | AREA_RAND_READ, 0, next);
	case MADV_RANDOM:
		return area_change_flags(a, start, end, AREA_SEQ_READ, AREA_RAND_READ, next);
	case MADV_SEQUENTIAL:
		return area_change_flags(a, start, end, AREA_RAND_READ, AREA_SEQ_READ, next);
	case MADV_DONTFORK:
		return area_change_flags(a, start, end, 0, AREA_DONTCOPY, next);
	case MADV_DOFORK:
		return a->flags & AREA_PFN ? -EINVAL :
		       area_change_flags(a, start, end, AREA_DONTCOPY, 0, next);
	case MADV_DONTDUMP:
		return area_change_flags(a, start, end, 0, AREA_DONTDUMP, next);
	case MADV_DODUMP:
		return a->flags & AREA_PFN ? -EINVAL :
		       area_change_flags(a, start, end, AREA_DONTDUMP, 0, next);
	case MADV_WIPEONFORK:
		return a->object ? -EINVAL : area_change_flags(a, start, end, 0, AREA_WIPEONFORK, next);
	case MADV_KEEPONFORK:
		return area_change_flags(a, start, end, AREA_WIPEONFORK, 0, next);
	case MADV_HUGEPAGE:
		return area_change_flags(a, start, end, AREA_NOHUGEPAGE, AREA_HUGEPAGE, next);
	case MADV_NOHUGEPAGE:
		return area_change_flags(a, start, end, AREA_HUGEPAGE, AREA_NOHUGEPAGE, next);
	default:
		return 0;
	}
}

static int advise_area(struct vm_area *a, vaddr_t start, vaddr_t end, int what,
		       struct vm_area **next)
{
	*next = a;
	switch (what) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return advise_dontneed(a, start, end, what);
	case MADV_COLD:
	case MADV_PAGEOUT:
		return a->flags & (AREA_LOCKED | AREA_PFN) ? -EINVAL : 0;
	case MADV_COLLAPSE:
		return -EINVAL;		/* no huge pages to make */
	default:
		return advise_changes_flags(a, start, end, what, next);
	}
}

static int advise_range(struct vm_space *s, vaddr_t start, vaddr_t end, int what)
{
	struct vm_area *a = area_find(s, start);
	int hole = 0;

	while (start < end) {
		vaddr_t stop;
		int err;

		if (!a || a->start >= end)
			return -ENOMEM;
		if (a->start > start) {
			hole = -ENOMEM;
			start = a->start;
		}
		stop = MIN(a->end, end);
		err = advise_area(a, start, stop, what, &a);
		if (err)
			return err;
		start = stop;
		if (a->end <= start)
			a = area_next(a);
	}
	return hole;
}

/* MADV_REMOVE: holes in the objects; without the lock, because the tables of others change too. */
static int advise_remove(struct vm_space *s, vaddr_t start, vaddr_t end)
{
	while (start < end) {
		struct vm_object *obj = NULL;
		struct vm_area *a;
		vaddr_t stop = 0;
		u64 index = 0;
		int err = 0;

		rwsem_read_lock(&s->lock);
		a = area_find(s, start);
		if (!a || a->start > start)
			err = -ENOMEM;
		else if (a->flags & AREA_LOCKED || !a->object)
			err = -EINVAL;
		else if ((a->flags & (AREA_SHARED | AREA_WRITE)) != (AREA_SHARED | AREA_WRITE))
			err = -EACCES;
		if (!err) {
			obj = a->object;
			vm_object_get(obj);
			index = area_index(a, start);
			stop = MIN(a->end, end);
		}
		rwsem_read_unlock(&s->lock);
		if (err)
			return err;
		vm_object_punch(obj, index << PAGE_SHIFT,
				(index << PAGE_SHIFT) + (stop - start));
		vm_object_put(obj);
		start = stop;
	}
	return 0;
}

/* MADV_POPULATE_*: like touching every page, with other errors. */
static int advise_populate(struct vm_space *s, vaddr_t start, vaddr_t end, bool write)
{
	u32 need = write ? AREA_WRITE : AREA_READ;
	struct vm_area *a;
	int err = 0;

	rwsem_read_lock(&s->lock);
	a = area_find(s, start);
	if (!a || a->start > start)
		err = -ENOMEM;
	for (; a && a->start < end && !err; a = area_next(a)) {
		if (!(a->flags & need) || a->flags & AREA_PFN)
			err = -EINVAL;
	}
	rwsem_read_unlock(&s->lock);
	return err ? err : vm_populate(s, start, end - start, write ? VM_ACCESS_WRITE : VM_ACCESS_READ);
}

int vm_advise(struct vm_space *s, vaddr_t addr, u64 len, int advice)
{
	u64 bytes = ALIGN_UP(len, PAGE_SIZE);
	vaddr_t end = addr + bytes;
	int err = advise_check(advice);
	bool quiet;

	if (err)
		return err;
	if (addr & (PAGE_SIZE - 1) || (len && !bytes) || end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	if (advice == MADV_REMOVE)
		return advise_remove(s, addr, end);
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		return advise_populate(s, addr, end, advice == MADV_POPULATE_WRITE);
	quiet = vm_quiet_begin();
	err = rwsem_write_lock_killable(&s->lock);
	if (!err) {
		err = advise_range(s, addr, end, advice);
		rwsem_write_unlock(&s->lock);
	}
	vm_quiet_end(quiet);
	return err;
}

/* The page cache is the file: there is nothing to write where no file system has a device. */
int vm_sync(struct vm_space *s, vaddr_t addr, u64 len, int flags)
{
	vaddr_t end = addr + ALIGN_UP(len, PAGE_SIZE), start = addr;
	struct vm_area *a;
	int err = 0;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || addr & (PAGE_SIZE - 1) ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	if (end < addr)
		return -ENOMEM;
	rwsem_read_lock(&s->lock);
	for (a = area_find(s, start); start < end; a = area_next(a)) {
		if (!a || a->start >= end) {
			err = -ENOMEM;
			break;
		}
		if (a->start > start)
			err = -ENOMEM;
		if (flags & MS_INVALIDATE && a->flags & AREA_LOCKED) {
			err = -EBUSY;
			break;
		}
		start = a->end;
	}
	rwsem_read_unlock(&s->lock);
	return err;
}

/* Is the page mapped, or in the object's cache? */
static bool page_resident(struct vm_area *a, vaddr_t addr)
{
	struct page *table = table_find_leaf(a->space, addr), *page;

	if (table && hal_pte_present(hal_pte_read(leaf_entry(table, addr))))
		return true;
	if (!a->object)
		return a->flags & AREA_PFN;
	page = vm_object_lookup(a->object, area_index(a, addr));
	if (!page)
		return false;
	page_put(page);
	return true;
}

int vm_resident(struct vm_space *s, vaddr_t addr, u64 n, u8 *vec)
{
	struct vm_area *a;
	int err = 0;
	u64 i;

	rwsem_read_lock(&s->lock);
	for (i = 0; i < n; i++, addr += PAGE_SIZE) {
		a = area_find(s, addr);
		if (!a || a->start > addr) {
			err = -ENOMEM;
			break;
		}
		vec[i] = page_resident(a, addr);
	}
	rwsem_read_unlock(&s->lock);
	return err;
}
