/* SPDX-License-Identifier: MIT */
/*
 * The tree of areas of a space.
 *
 * A red-black tree by start address. Each node also knows the free room below
 * it (`gap`, without the guard gap that a stack wants below itself) and the largest such
 * room in its subtree (`max_gap`), so that a place for a new mapping is found without visiting
 * every area. The room above the last area is not in the tree; the search looks
 * there first.
 *
 * Invariants, which area_tree_ok() checks: areas do not overlap and are not empty;
 * gap and max_gap are exact; nr_areas counts them; the page totals are their sums.
 *
 * Everything here is called with the space's lock for writing, but for the look-ups, for which
 * reading suffices. The cache of the last area found is a hint: read and written
 * racily by readers, cleared by every change under the lock for writing, so what a reader finds in it
 * is in the tree as long as he holds the lock.
 */
#include <kernel/mm/slab.h>
#include <lib/string.h>

#include "internal.h"

static struct kmem_cache *area_cache;

void area_cache_init(void)
{
	area_cache = kmem_cache_create("vm_area", sizeof(struct vm_area), 0, NULL, 0);
	VERIFY(area_cache);
}

struct vm_area *area_alloc(struct vm_space *s)
{
	struct vm_area *a = kmem_cache_alloc(area_cache, 0);

	if (!a)
		return NULL;
	memset(a, 0, sizeof(*a));
	a->space = s;
	rb_node_clear(&a->node);
	rb_node_clear(&a->object_node);
	return a;
}

struct vm_area *area_copy(struct vm_space *s, const struct rb_copy *place)
{
	const struct vm_area *from = rb_entry(place->from, struct vm_area, node);
	bool wanted = !(from->flags & AREA_DONTCOPY);
	struct vm_area *a = kmem_cache_alloc(area_cache, 0);

	if (!a)
		return NULL;
	a->space = s;
	a->start = from->start;
	a->end = from->end;
	a->gap = from->gap;
	a->max_gap = from->max_gap;
	a->flags = from->flags & ~(AREA_LOCKED | AREA_LOCKONFAULT);
	a->pgoff = from->pgoff;
	a->object = wanted ? from->object : NULL;
	a->file = wanted ? from->file : NULL;
	a->policy = wanted ? mempolicy_get(from->policy) : NULL;
	a->dead_next = NULL;
	a->object_last = 0;
	rb_node_clear(&a->object_node);
	if (a->file)
		a->file->ops->get(a->file);
	rb_copy_place(place, &a->node);
	if (a->object) {
		vm_object_get(a->object);
		object_link_area(a);
	}
	return a;
}

/* Drops what the area holds. Not in any tree; no spinlock held. */
void area_free(struct vm_area *a)
{
	if (a->object)
		vm_object_put(a->object);
	if (a->file)
		a->file->ops->put(a->file);
	mempolicy_put(a->policy);
	kmem_cache_free(area_cache, a);
}

static inline struct vm_area *to_area(struct rb_node *n)
{
	return rb_entry_safe(n, struct vm_area, node);
}

struct vm_area *area_next(struct vm_area *a)
{
	return to_area(rb_next(&a->node));
}

struct vm_area *area_prev(struct vm_area *a)
{
	return to_area(rb_prev(&a->node));
}

struct vm_area *area_find(struct vm_space *s, vaddr_t addr)
{
	struct vm_area *best = READ_ONCE(s->cached);
	struct rb_node *n = s->areas.node;

	if (best && addr >= best->start && addr < best->end)
		return best;
	best = NULL;
	while (n) {
		struct vm_area *a = rb_entry(n, struct vm_area, node);

		if (a->end > addr) {
			best = a;
			if (a->start <= addr)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	if (best && best->start <= addr)
		WRITE_ONCE(s->cached, best);
	return best;
}

struct vm_area *area_find_range(struct vm_space *s, vaddr_t start, vaddr_t end)
{
	struct vm_area *a = area_find(s, start);

	return a && a->start < end ? a : NULL;
}

/* ---- the augmentation ---- */

static u64 subtree_gap(const struct rb_node *n)
{
	return n ? rb_entry(n, struct vm_area, node)->max_gap : 0;
}

static bool area_update_gap(struct rb_node *n)
{
	struct vm_area *a = rb_entry(n, struct vm_area, node);
	u64 max = MAX(a->gap, MAX(subtree_gap(n->left), subtree_gap(n->right)));

	if (max == a->max_gap)
		return false;
	a->max_gap = max;
	return true;
}

static void area_refresh_gap(struct vm_area *a)
{
	struct vm_area *prev = area_prev(a);
	vaddr_t below = prev ? prev->end : 0, top = area_start_gap(a);

	a->gap = top > below ? top - below : 0;
	rb_propagate(&a->node, area_update_gap);
}

/* The area and the one above it: their gaps depend on its bounds. */
static void area_refresh_gaps(struct vm_area *a)
{
	struct vm_area *next = area_next(a);

	area_refresh_gap(a);
	if (next)
		area_refresh_gap(next);
}

/* ---- totals ---- */

static void area_count(struct vm_area *a, s64 sign)
{
	struct vm_space *s = a->space;
	u64 pages = (u64)sign * area_pages(a);

	s->total_pages += pages;
	if (a->flags & AREA_LOCKED)
		s->locked_pages += pages;
	if (a->flags & AREA_GROWSDOWN)
		s->stack_pages += pages;
	else if ((a->flags & (AREA_EXEC | AREA_WRITE)) == AREA_EXEC)
		s->exec_pages += pages;
	else if (area_private_writable(a->flags))
		s->data_pages += pages;
	if (s->total_pages > s->peak_total)
		s->peak_total = s->total_pages;
}

/* ---- changes ---- */

static bool area_less(const struct rb_node *x, const struct rb_node *y)
{
	return rb_entry(x, struct vm_area, node)->start < rb_entry(y, struct vm_area, node)->start;
}

/* Into the space's tree alone. */
static void area_enter(struct vm_area *a)
{
	struct vm_space *s = a->space;

	s->cached = NULL;
	a->gap = 0;
	a->max_gap = 0;
	rb_insert_augmented(&s->areas, &a->node, area_less, area_update_gap);
	area_refresh_gaps(a);
	s->nr_areas++;
	area_count(a, 1);
}

void area_insert(struct vm_area *a)
{
	area_enter(a);
	if (a->object)
		object_link_area(a);
}

/* Out of the space's tree alone. */
static void area_leave(struct vm_area *a)
{
	struct vm_space *s = a->space;
	struct vm_area *next = area_next(a);

	s->cached = NULL;
	area_count(a, -1);
	s->nr_areas--;
	rb_erase_augmented(&s->areas, &a->node, area_update_gap);
	rb_node_clear(&a->node);
	if (next)
		area_refresh_gap(next);
}

void area_remove(struct vm_area *a)
{
	if (a->object)
		object_unlink_area(a);
	area_leave(a);
}

void area_resize(struct vm_area *a, vaddr_t start, vaddr_t end)
{
	a->space->cached = NULL;
	area_count(a, -1);
	object_move_area(a, start, end);
	area_count(a, 1);
	area_refresh_gaps(a);
}

void area_set_flags(struct vm_area *a, u32 flags)
{
	area_count(a, -1);
	a->flags = flags;
	area_count(a, 1);
	area_refresh_gap(a);
}

int area_split(struct vm_area *a, vaddr_t addr, struct vm_area **upper)
{
	struct vm_area *u = area_alloc(a->space);

	if (!u)
		return -ENOMEM;
	u->start = addr;
	u->end = a->end;
	u->flags = a->flags;
	u->pgoff = area_index(a, addr);
	u->object = a->object;
	u->file = a->file;
	if (u->object)
		vm_object_get(u->object);
	if (u->file)
		u->file->ops->get(u->file);
	u->policy = mempolicy_get(a->policy);
	/* The object knows the upper part before the lower one ends: truncation must not find a moment without. */
	if (u->object)
		object_link_area(u);
	area_resize(a, a->start, addr);
	area_enter(u);
	*upper = u;
	return 0;
}

static bool areas_mergeable(const struct vm_area *lo, const struct vm_area *hi)
{
	return lo->end == hi->start && lo->flags == hi->flags && lo->object == hi->object &&
	       lo->file == hi->file && mempolicy_equal(lo->policy, hi->policy) && !(lo->flags & (AREA_PFN | AREA_DONTEXPAND)) &&
	       lo->pgoff + area_pages(lo) == hi->pgoff;
}

/* hi's range goes to lo. */
static void area_absorb(struct vm_area *lo, struct vm_area *hi)
{
	vaddr_t end = hi->end;

	/* The object forgets hi last, as in area_split(). */
	area_leave(hi);
	area_resize(lo, lo->start, end);
	if (hi->object)
		object_unlink_area(hi);
	area_free(hi);
}

struct vm_area *area_merge(struct vm_area *a)
{
	struct vm_area *prev = area_prev(a), *next;

	if (prev && areas_mergeable(prev, a)) {
		area_absorb(prev, a);
		a = prev;
	}
	next = area_next(a);
	if (next && areas_mergeable(a, next))
		area_absorb(a, next);
	return a;
}

/* ---- finding room ---- */

/* The part of [below, top) that lies in [low, high) holds len: where, else 0. */
static vaddr_t gap_fit(vaddr_t below, vaddr_t top, u64 len, vaddr_t low, vaddr_t high, bool down)
{
	below = MAX(below, low);
	top = MIN(top, high);
	if (top <= below || top - below < len)
		return 0;
	return down ? top - len : below;
}

static vaddr_t area_gap_fit(struct vm_area *a, u64 len, vaddr_t low, vaddr_t high, bool down)
{
	if (a->gap < len)
		return 0;
	return gap_fit(area_start_gap(a) - a->gap, area_start_gap(a), len, low, high, down);
}

/* The child to look at first (near) or last (far) for the direction. */
static inline struct rb_node *near_child(struct rb_node *n, bool down)
{
	return down ? n->right : n->left;
}

static inline struct rb_node *far_child(struct rb_node *n, bool down)
{
	return down ? n->left : n->right;
}

/*
 * In order from the far end of the address space (down: the top), leaving out
 * subtrees without a gap that is large enough.
 */
static vaddr_t gap_search(struct rb_node *n, u64 len, vaddr_t low, vaddr_t high, bool down)
{
	bool descend = true;

	if (subtree_gap(n) < len)
		return 0;
	for (;;) {
		struct rb_node *parent;
		vaddr_t at;

		while (descend && subtree_gap(near_child(n, down)) >= len)
			n = near_child(n, down);
		at = area_gap_fit(rb_entry(n, struct vm_area, node), len, low, high, down);
		if (at)
			return at;
		if (subtree_gap(far_child(n, down)) >= len) {
			n = far_child(n, down);
			descend = true;
			continue;
		}
		while ((parent = rb_parent(n)) && n == far_child(parent, down))
			n = parent;
		if (!parent)
			return 0;
		n = parent;
		descend = false;
	}
}

vaddr_t area_find_gap(struct vm_space *s, u64 len, vaddr_t low, vaddr_t high, bool down)
{
	struct vm_area *last = to_area(rb_last(&s->areas));
	vaddr_t above = gap_fit(last ? last->end : 0, high, len, low, high, down);
	vaddr_t at;

	/* Room at or below address 0 is none: low is never 0, so 0 can mean failure. */
	if (down && above)
		return above;
	at = gap_search(s->areas.node, len, low, high, down);
	return at ? at : above;
}

/* ---- for tests and /proc ---- */

struct vm_area *vm_area_find_locked(struct vm_space *s, vaddr_t addr)
{
	return area_find(s, addr);
}

struct vm_area *vm_area_next_locked(struct vm_area *a)
{
	return area_next(a);
}

bool area_tree_ok(struct vm_space *s)
{
	struct vm_area *a;
	vaddr_t below = 0;
	u64 pages = 0;
	u32 nr = 0;

	rb_for_each_entry(a, &s->areas, node) {
		vaddr_t top = area_start_gap(a);

		if (a->start >= a->end || a->start < below)
			return false;
		if (a->gap != (top > below ? top - below : 0))
			return false;
		if (a->max_gap != MAX(a->gap, MAX(subtree_gap(a->node.left),
						  subtree_gap(a->node.right))))
			return false;
		below = a->end;
		pages += area_pages(a);
		nr++;
	}
	return nr == s->nr_areas && pages == s->total_pages;
}
