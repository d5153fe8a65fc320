/* SPDX-License-Identifier: MIT */
/*
 * Objects: pages by index, and the areas that map them.
 *
 * A page is in the object from vm_object_page(create) until truncation, punching or the
 * object's end; the object holds one reference meanwhile, and page->object and page->index say where.
 *
 * Truncation against faults. Truncation (1) lowers the size, (2) takes pages out of the array and
 * clears page->object, under obj->lock, (3) walks the areas in the interval tree, under obj->lock, and empties
 * their tables, each under its own lock. A fault reads the size, finds the page, and enters it
 * under the table's lock if page->object still names the object. If it
 * enters before (3) reaches the table, (3) removes the entry; if it comes after, the
 * lock has made (2) visible to it. Either way nothing stays mapped.
 *
 * The array is read under RCU (fault-around, read(2)), so a page found there is taken with
 * page_get_not_zero() and checked again.
 */
#include <kernel/core/percpu_counter.h>
#include <kernel/core/rcu.h>
#include <kernel/mm/slab.h>
#include <lib/string.h>

#include "internal.h"

/* Pages taken out of the array in one turn under the lock. */
#define REMOVE_BATCH 32

DEFINE_PERCPU_COUNTER(total_pages);	/* in all objects */
DEFINE_PERCPU_COUNTER(shmem_pages);	/* of OBJECT_SHMEM */
static atomic64_t anon_ids;		/* [a] the last one given; `owner` of an anonymous object */
static struct kmem_cache *anon_cache;

u64 vm_object_total_pages(void)
{
	return (u64)percpu_counter_sum(&total_pages);
}

u64 vm_object_shmem_pages(void)
{
	return (u64)percpu_counter_sum(&shmem_pages);
}

void vm_object_init(struct vm_object *obj, u32 flags, const struct vm_object_ops *ops,
		    void *owner, u64 size)
{
	refcount_init(&obj->refs, 1);
	obj->flags = flags;
	obj->ops = ops;
	obj->owner = owner;
	spin_init(&obj->lock, "vm_object", LOCK_RANK_OBJECT);
	xa_init(&obj->pages);
	obj->mappings.node = NULL;
	obj->nr_pages = 0;
	obj->size = size;
}

void vm_object_get(struct vm_object *obj)
{
	refcount_get(&obj->refs);
}

void vm_object_put(struct vm_object *obj)
{
	might_sleep();
	if (!refcount_put_and_test(&obj->refs))
		return;
	vm_object_drop_pages(obj);
	if (obj->ops && obj->ops->release)
		obj->ops->release(obj);
}

/* ---- anonymous shared memory ---- */

static void anon_free(struct vm_object *obj)
{
	kmem_cache_free(anon_cache, obj);
}

static void anon_release(struct vm_object *obj)
{
	commit_uncharge(NULL, DIV_ROUND_UP(obj->size, PAGE_SIZE));
	anon_free(obj);
}

static const struct vm_object_ops anon_ops = {
	.release = anon_release,
};

/* MAP_NORESERVE: each page is committed when it comes. */
static int sparse_charge(struct vm_object *obj, u64 pages)
{
	(void)obj;
	return commit_charge(NULL, pages) ? -ENOSPC : 0;
}

static void sparse_uncharge(struct vm_object *obj, u64 pages)
{
	(void)obj;
	commit_uncharge(NULL, pages);
}

static const struct vm_object_ops sparse_ops = {
	.charge = sparse_charge,
	.uncharge = sparse_uncharge,
	.release = anon_free,
};

void object_cache_init(void)
{
	anon_cache = kmem_cache_create("vm_object", sizeof(struct vm_object), 0, NULL, 0);
	VERIFY(anon_cache);
}

struct vm_object *vm_object_create_anon(u64 size, bool reserve)
{
	u64 pages = reserve ? DIV_ROUND_UP(size, PAGE_SIZE) : 0;
	struct vm_object *obj;

	if (commit_charge(NULL, pages))
		return NULL;
	obj = kmem_cache_alloc(anon_cache, 0);
	if (!obj) {
		commit_uncharge(NULL, pages);
		return NULL;
	}
	vm_object_init(obj, OBJECT_ANON | OBJECT_SHMEM, reserve ? &anon_ops : &sparse_ops, NULL, size);
	obj->owner = (void *)(uintptr_t)atomic64_inc_return(&anon_ids);
	return obj;
}

u64 vm_object_anon_id(const struct vm_object *obj)
{
	return (u64)(uintptr_t)obj->owner;
}

/* ---- pages ---- */

static void object_count(struct vm_object *obj, s64 pages)
{
	percpu_counter_add(&total_pages, pages);
	if (obj->flags & OBJECT_SHMEM)
		percpu_counter_add(&shmem_pages, pages);
}

struct page *vm_object_lookup(struct vm_object *obj, u64 index)
{
	return object_lookup(obj, index);
}

/*
 * Puts page, with its own reference for the array, in place. Another may be there first: then
 * *page becomes that one, with a reference for the caller. 0 or -ENOMEM.
 */
static int object_insert_preloaded(struct vm_object *obj, u64 index, bool within, struct page **page,
				   struct xa_preload *preload)
{
	struct page *there;
	int err = 0;

	spin_lock(&obj->lock);
	/* Truncation sets the size, then takes the lock to remove pages: it finds this one, or the size is seen here. */
	if (within && index >= object_end(obj)) {
		err = -ERANGE;
		goto unlock;
	}
	there = xa_load(&obj->pages, index);
	if (there) {
		page_get(there);
		*page = there;
		err = -EEXIST;
		goto unlock;
	}
	/* The array's readers look at these as soon as the page is in it. */
	(*page)->object = obj;
	(*page)->index = index;
	err = preload ? xa_store_preloaded(&obj->pages, index, *page, preload) :
	      xa_store(&obj->pages, index, *page);
	if (err)
		(*page)->object = NULL;
	else
		obj->nr_pages++;
unlock:
	spin_unlock(&obj->lock);
	return err;
}

static int object_insert(struct vm_object *obj, u64 index, bool within, struct page **page)
{
	struct xa_preload preload = XA_PRELOAD_INIT;
	int err = object_insert_preloaded(obj, index, within, page, NULL);

	if (err != -ENOMEM)
		return err;
	/* Under the lock there was no memory at once: stock up where waiting is allowed. */
	err = xa_preload_fill(&preload, XA_PRELOAD_MAX);
	if (!err)
		err = object_insert_preloaded(obj, index, within, page, &preload);
	xa_preload_drain(&preload);
	return err;
}

int object_make_page(struct vm_object *obj, u64 index, bool within, struct page **out)
{
	const struct vm_object_ops *ops = obj->ops;
	struct page *page, *mine;
	int err;

	if (ops && ops->charge) {
		err = ops->charge(obj, 1);
		if (err)
			return err;
	}
	page = mine = unlikely(mm_numa) ? policy_page_alloc(NULL, index, MM_ZERO | MM_USER | MM_NO_OOM) :
					page_alloc(0, MM_ZERO | MM_USER | MM_NO_OOM);
	err = page ? 0 : -ENOMEM;
	if (!err && ops && ops->fill)
		err = ops->fill(obj, page, index);
	if (!err) {
		page_get(page);			/* one for the array, one for the caller */
		err = object_insert(obj, index, within, &page);
		if (err)
			page_put(mine);
	}
	if (!err) {
		object_count(obj, 1);
		*out = page;
		return 0;
	}
	if (mine)
		page_put(mine);
	if (ops && ops->uncharge)
		ops->uncharge(obj, 1);
	*out = err == -EEXIST ? page : NULL;
	return err == -EEXIST ? 0 : err;
}

int vm_object_page(struct vm_object *obj, u64 index, bool create, struct page **out)
{
	*out = vm_object_lookup(obj, index);
	if (*out || !create)
		return 0;
	return object_make_page(obj, index, false, out);
}

int vm_object_page_within(struct vm_object *obj, u64 index, struct page **out)
{
	*out = vm_object_lookup(obj, index);
	return *out ? 0 : object_make_page(obj, index, true, out);
}

/* Takes pages [first, last] out of the array and drops the array's references. */
static void object_remove_pages(struct vm_object *obj, u64 first, u64 last)
{
	for (;;) {
		struct page *gone[REMOVE_BATCH], *page;
		u64 index;
		u32 nr = 0, i;

		spin_lock(&obj->lock);
		xa_for_each_range(&obj->pages, index, page, first, last) {
			if (nr == REMOVE_BATCH)
				break;
			xa_erase(&obj->pages, index);
			page->object = NULL;
			gone[nr++] = page;
		}
		obj->nr_pages -= nr;
		spin_unlock(&obj->lock);
		if (!nr)
			return;
		for (i = 0; i < nr; i++)
			page_put(gone[i]);
		object_count(obj, -(s64)nr);
		if (obj->ops && obj->ops->uncharge)
			obj->ops->uncharge(obj, nr);
	}
}

void vm_object_drop_pages(struct vm_object *obj)
{
	object_remove_pages(obj, 0, UINT64_MAX);
	xa_destroy(&obj->pages);
}

/* ---- the interval tree of areas: by first page, augmented with the largest last page ---- */

static inline struct vm_area *to_mapping(const struct rb_node *n)
{
	return rb_entry(n, struct vm_area, object_node);
}

static inline u64 area_last_index(const struct vm_area *a)
{
	return a->pgoff + area_pages(a) - 1;
}

static u64 subtree_last(const struct rb_node *n)
{
	return n ? to_mapping(n)->object_last : 0;
}

static bool mapping_update(struct rb_node *n)
{
	struct vm_area *a = to_mapping(n);
	u64 last = MAX(area_last_index(a), MAX(subtree_last(n->left), subtree_last(n->right)));

	if (last == a->object_last)
		return false;
	a->object_last = last;
	return true;
}

static bool mapping_less(const struct rb_node *x, const struct rb_node *y)
{
	return to_mapping(x)->pgoff < to_mapping(y)->pgoff;
}

static void link_locked(struct vm_object *obj, struct vm_area *a)
{
	a->object_last = area_last_index(a);
	rb_insert_augmented(&obj->mappings, &a->object_node, mapping_less, mapping_update);
	rb_propagate(&a->object_node, mapping_update);
}

void object_link_area(struct vm_area *a)
{
	struct vm_object *obj = a->object;

	if (obj->flags & OBJECT_FIXED)
		return;
	spin_lock(&obj->lock);
	link_locked(obj, a);
	spin_unlock(&obj->lock);
}

void object_move_area(struct vm_area *a, vaddr_t start, vaddr_t end)
{
	struct vm_object *obj = a->object && !(a->object->flags & OBJECT_FIXED) ? a->object : NULL;

	if (obj) {
		spin_lock(&obj->lock);
		rb_erase_augmented(&obj->mappings, &a->object_node, mapping_update);
	}
	/* Unsigned arithmetic does the right thing downwards, too. */
	a->pgoff += (start >> PAGE_SHIFT) - (a->start >> PAGE_SHIFT);
	a->start = start;
	a->end = end;
	if (obj) {
		link_locked(obj, a);
		spin_unlock(&obj->lock);
	}
}

void object_unlink_area(struct vm_area *a)
{
	struct vm_object *obj = a->object;

	if (obj->flags & OBJECT_FIXED)
		return;
	spin_lock(&obj->lock);
	rb_erase_augmented(&obj->mappings, &a->object_node, mapping_update);
	rb_node_clear(&a->object_node);
	spin_unlock(&obj->lock);
}

/* The first area in order, at or after none, whose range meets [first, last]. */
static struct rb_node *mapping_first(struct rb_node *n, u64 first, u64 last)
{
	while (n && subtree_last(n) >= first) {
		if (n->left && subtree_last(n->left) >= first) {
			n = n->left;
			continue;
		}
		if (to_mapping(n)->pgoff > last)
			return NULL;
		if (area_last_index(to_mapping(n)) >= first)
			return n;
		n = n->right;
	}
	return NULL;
}

static struct rb_node *mapping_next(struct rb_node *n, u64 first, u64 last)
{
	do {
		struct rb_node *in_right = mapping_first(n->right, first, last);

		if (in_right)
			return in_right;
		/* Up to the first ancestor of which we are on the left. */
		for (;;) {
			struct rb_node *parent = rb_parent(n);

			if (!parent)
				return NULL;
			if (n == parent->left) {
				n = parent;
				break;
			}
			n = parent;
		}
		if (to_mapping(n)->pgoff > last)
			return NULL;
	} while (area_last_index(to_mapping(n)) < first);
	return n;
}

/* Empties what maps pages [first, last]. */
static void object_unmap(struct vm_object *obj, u64 first, u64 last, bool objects_only)
{
	struct rb_node *n;

	spin_lock(&obj->lock);
	for (n = mapping_first(obj->mappings.node, first, last); n;
	     n = mapping_next(n, first, last)) {
		struct vm_area *a = to_mapping(n);
		u64 lo = MAX(first, a->pgoff), hi = MIN(last, area_last_index(a));
		struct vm_batch b;

		batch_init(&b, a->space);
		table_zap(a->space, a->start + ((lo - a->pgoff) << PAGE_SHIFT),
			  a->start + ((hi - a->pgoff + 1) << PAGE_SHIFT), objects_only, &b);
		batch_finish(&b);
	}
	spin_unlock(&obj->lock);
}

static bool may_write_object(const struct vm_area *a)
{
	return (a->flags & (AREA_SHARED | AREA_MAY_WRITE)) == (AREA_SHARED | AREA_MAY_WRITE);
}

bool vm_object_seal(struct vm_object *obj)
{
	struct rb_node *n;
	bool found = false;

	spin_lock(&obj->lock);
	for (n = rb_first(&obj->mappings); n && !found; n = rb_next(n))
		found = may_write_object(to_mapping(n));
	if (!found)
		WRITE_ONCE(obj->flags, obj->flags | OBJECT_SEALED);
	spin_unlock(&obj->lock);
	return !found;
}

bool object_refuses_area(const struct vm_area *a)
{
	return a->object && READ_ONCE(a->object->flags) & OBJECT_SEALED && may_write_object(a);
}

/* ---- size and holes ---- */

/* Zeroes bytes [from, to) of one page, if it is there. */
static void object_zero_part(struct vm_object *obj, u64 from, u64 to)
{
	struct page *page;

	if (from >= to)
		return;
	page = vm_object_lookup(obj, from >> PAGE_SHIFT);
	if (!page)
		return;
	memset((u8 *)page_address(page) + (from & (PAGE_SIZE - 1)), 0, to - from);
	page_put(page);
}

void vm_object_truncate(struct vm_object *obj, u64 size)
{
	u64 old = vm_object_size(obj);
	u64 first = DIV_ROUND_UP(size, PAGE_SIZE);

	vm_object_set_size(obj, size);
	if (size >= old)
		return;
	object_remove_pages(obj, first, UINT64_MAX);
	object_unmap(obj, first, UINT64_MAX, false);
	object_zero_part(obj, size, first << PAGE_SHIFT);
}

void vm_object_punch(struct vm_object *obj, u64 start, u64 end)
{
	u64 first = DIV_ROUND_UP(start, PAGE_SIZE), stop = end >> PAGE_SHIFT;

	if (start >= end)
		return;
	if (first > stop) {			/* inside one page */
		object_zero_part(obj, start, end);
		return;
	}
	object_zero_part(obj, start, first << PAGE_SHIFT);
	object_zero_part(obj, stop << PAGE_SHIFT, end);
	if (first == stop)
		return;
	object_remove_pages(obj, first, stop - 1);
	object_unmap(obj, first, stop - 1, true);
}

int vm_object_allocate(struct vm_object *obj, u64 start, u64 end)
{
	u64 index, stop = DIV_ROUND_UP(end, PAGE_SIZE);

	for (index = start >> PAGE_SHIFT; index < stop; index++) {
		struct page *page;
		int err = vm_object_page(obj, index, true, &page);

		if (err)
			return err;
		page_put(page);
		if (__atomic_load_n(&current_thread()->fatal, __ATOMIC_RELAXED))
			return -EINTR;
	}
	return 0;
}
