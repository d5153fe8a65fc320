/* SPDX-License-Identifier: MIT */
/*
 * mremap(2): shrinking, growing in place, moving. The checks and their order are Linux's.
 *
 * A move makes the new area first, so that the tables it needs stand under an area,
 * then moves the entries, and takes the old area away last. If memory for tables runs out halfway,
 * the entries that moved are moved back, which needs no memory.
 */
#include "internal.h"

#define REMAP_SPARE_AREAS 3	/* what a move may need: two cuts and the new one */

struct remap {
	struct vm_space *space;
	vaddr_t old;
	u64 old_len, new_len;
	u32 flags;
	vaddr_t new_addr;
	struct vm_area *dead;
	bool populate;		/* the grown part of a locked area */
};

/* vma_to_resize() of Linux: may the area at r->old become so long? */
static int remap_check(struct remap *r, struct vm_area **out)
{
	struct vm_area *a = area_find(r->space, r->old);
	u64 more;
	int err;

	if (!a || a->start > r->old)
		return -EFAULT;
	*out = a;
	if (!r->old_len && !(a->flags & AREA_MAP_SHARED))
		return -EINVAL;
	if (r->flags & MREMAP_DONTUNMAP && a->flags & (AREA_DONTEXPAND | AREA_PFN))
		return -EINVAL;
	if (r->old_len > a->end - r->old)
		return -EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	if (area_index(a, r->old) + (r->new_len >> PAGE_SHIFT) < a->pgoff)
		return -EINVAL;
	if (a->flags & (AREA_DONTEXPAND | AREA_PFN))
		return -EFAULT;
	more = (r->new_len - r->old_len) >> PAGE_SHIFT;
	if (a->flags & AREA_LOCKED) {
		err = limit_may_lock(r->space, more);
		if (err)
			return -EAGAIN;
	}
	return limit_may_expand(r->space, a->flags, more) ? 0 : -ENOMEM;
}

/* Can it grow where it is? Then it does. */
static bool remap_grow(struct remap *r, struct vm_area *a)
{
	u64 more = r->new_len - r->old_len;
	struct vm_area *next = area_next(a);

	if (r->old + r->old_len != a->end || a->end + more < a->end || a->end + more > HAL_USER_END)
		return false;
	if (next && a->end + more > area_start_gap(next))
		return false;
	if (a->flags & AREA_ACCOUNT && commit_charge(r->space, more >> PAGE_SHIFT))
		return false;
	area_resize(a, a->start, a->end + more);
	r->populate = a->flags & AREA_LOCKED;
	area_merge(a);
	return true;
}

/* The same thing at another place. */
static struct vm_area *remap_new_area(struct remap *r, struct vm_area *a)
{
	struct vm_area *n = area_alloc(r->space);

	if (!n)
		return NULL;
	n->start = r->new_addr;
	n->end = r->new_addr + r->new_len;
	n->flags = a->flags;
	n->object = a->object;
	n->file = a->file;
	n->pgoff = a->object || a->flags & AREA_PFN ? area_index(a, r->old) : n->start >> PAGE_SHIFT;
	if (n->object)
		vm_object_get(n->object);
	if (n->file)
		n->file->ops->get(n->file);
	n->policy = mempolicy_get(a->policy);
	area_insert(n);
	return n;
}

static int remap_undo(struct remap *r, struct vm_area *n, u64 moved)
{
	u64 back;
	int err = table_move(n, r->new_addr, r->old, moved, &back);

	VERIFY(!err);		/* the tables of the old place are still there */
	err = vm_unmap_locked(r->space, r->new_addr, r->new_len, &r->dead);
	VERIFY(!err);		/* an area as a whole: nothing is cut */
	return -ENOMEM;
}

static int remap_move(struct remap *r, struct vm_area *a)
{
	struct vm_space *s = r->space;
	struct vm_area *n;
	u64 bytes = MIN(r->old_len, r->new_len), moved;

	if (s->nr_areas + REMAP_SPARE_AREAS > READ_ONCE(vm_max_map_count))
		return -ENOMEM;
	if (a->flags & AREA_ACCOUNT && commit_charge(s, r->new_len >> PAGE_SHIFT))
		return -ENOMEM;
	n = remap_new_area(r, a);
	if (!n) {
		if (a->flags & AREA_ACCOUNT)
			commit_uncharge(s, r->new_len >> PAGE_SHIFT);
		return -ENOMEM;
	}
	if (bytes && table_move(a, r->old, r->new_addr, bytes, &moved))
		return remap_undo(r, n, moved);
	r->populate = n->flags & AREA_LOCKED;
	if (r->flags & MREMAP_DONTUNMAP) {
		/* What stays behind is empty, and not locked; without memory to cut it off it stays locked, too. */
		(void)!area_change_flags(a, r->old, r->old + r->old_len, AREA_LOCKED | AREA_LOCKONFAULT, 0, &a);
		area_merge(n);
		return 0;
	}
	area_merge(n);
	/* Without memory to cut the old place out it stays, empty: as on Linux, what is moved is moved. */
	if (r->old_len)
		(void)!vm_unmap_locked(s, r->old, r->old_len, &r->dead);
	return 0;
}

static int remap_place(struct remap *r, struct vm_area *a, vaddr_t hint, u32 flags)
{
	if (a->flags & AREA_MAP_SHARED)
		flags |= MAP_SHARED;
	return vm_find_place_locked(r->space, hint, r->new_len, flags, &r->new_addr);
}

/* Takes off what is longer than it shall be. The old length is the caller's word: it may reach beyond user space. */
static int remap_cut(struct remap *r)
{
	u64 room = HAL_USER_END - r->old;

	if (r->new_len > room || r->old_len > room)
		return -EINVAL;
	return vm_unmap_locked(r->space, r->old + r->new_len, r->old_len - r->new_len, &r->dead);
}

/* MREMAP_FIXED, MREMAP_DONTUNMAP: to a given place, or to a new one. */
static int remap_to(struct remap *r)
{
	struct vm_area *a;
	int err;

	if (r->new_addr & (PAGE_SIZE - 1) || r->new_len > HAL_USER_END ||
	    r->new_addr > HAL_USER_END - r->new_len)
		return -EINVAL;
	if (r->old + r->old_len > r->new_addr && r->new_addr + r->new_len > r->old)
		return -EINVAL;
	if (r->space->nr_areas + 2 + REMAP_SPARE_AREAS > READ_ONCE(vm_max_map_count))
		return -ENOMEM;
	if (r->flags & MREMAP_FIXED) {
		err = vm_unmap_locked(r->space, r->new_addr, r->new_len, &r->dead);
		if (err)
			return err;
	}
	if (r->old_len > r->new_len) {
		err = remap_cut(r);
		if (err)
			return err;
		r->old_len = r->new_len;
	}
	err = remap_check(r, &a);
	if (err)
		return err;
	if (r->flags & MREMAP_DONTUNMAP && !limit_may_expand(r->space, a->flags, r->old_len >> PAGE_SHIFT))
		return -ENOMEM;
	err = remap_place(r, a, r->new_addr, r->flags & MREMAP_FIXED ? MAP_FIXED : 0);
	return err ? err : remap_move(r, a);
}

static int remap_locked(struct remap *r)
{
	struct vm_area *a = area_find(r->space, r->old);
	int err;

	if (!a || a->start > r->old)
		return -EFAULT;
	if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_to(r);
	r->new_addr = r->old;
	if (r->old_len >= r->new_len) {
		if (r->old_len == r->new_len)
			return 0;
		return remap_cut(r);
	}
	err = remap_check(r, &a);
	if (err)
		return err;
	if (remap_grow(r, a))
		return 0;
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	err = remap_place(r, a, 0, 0);
	return err ? err : remap_move(r, a);
}

int vm_remap(struct vm_space *s, vaddr_t old, u64 old_len, u64 new_len, u32 flags,
	     vaddr_t new_addr, vaddr_t *out)
{
	struct remap r = {
		.space = s, .old = old, .flags = flags, .new_addr = new_addr,
		.old_len = ALIGN_UP(old_len, PAGE_SIZE), .new_len = ALIGN_UP(new_len, PAGE_SIZE),
	};
	bool quiet;
	int err;

	if (flags & ~(u32)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP) ||
	    (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (flags & MREMAP_DONTUNMAP && (!(flags & MREMAP_MAYMOVE) || r.old_len != r.new_len))
		return -EINVAL;
	if (old & (PAGE_SIZE - 1) || !r.new_len)
		return -EINVAL;
	quiet = vm_quiet_begin();
	err = rwsem_write_lock_killable(&s->lock);
	if (!err) {
		err = remap_locked(&r);
		rwsem_write_unlock(&s->lock);
	}
	vm_quiet_end(quiet);
	areas_free(r.dead);
	if (err)
		return err;
	if (r.populate && r.new_len > r.old_len)
		(void)vm_populate(s, r.new_addr + r.old_len, r.new_len - r.old_len, 0);
	*out = r.new_addr;
	return 0;
}
