/* SPDX-License-Identifier: MIT */
/*
 * Copying and moving the entries of leaf tables: fork(2) and mremap(2).
 *
 * A fork visits the entries that are there, takes a reference on each page for the child's table, and
 * takes write permission away on both sides where the area is private. (A later
 * change shares whole leaf tables instead; what it needs stands: rights are in the
 * leaves only, tables own pages, "sole owner" is asked in one place, fault.c.)
 *
 * Against truncation: it removes a page from the object first and then visits the
 * areas of the interval tree under the object's lock. The child's area is already in
 * that tree, and may have been visited before its entries are there. So entries of an area with an object
 * are copied (and moved) under the object's lock, and pages that have left the object stay behind. The child's table
 * is locked, too, though nobody runs in the child yet: it may also map another object, which is truncated meanwhile.
 */
#include <kernel/core/spinlock.h>
#include <kernel/mm/pt.h>

#include "internal.h"

#define MOVE_BATCH 64

struct leaf_copy {
	struct vm_area *area;
	struct page *from, *to;		/* leaf tables */
	struct rss_delta rss;
	bool protected;			/* an entry of the parent lost its write permission */
};

static void copy_entry(struct leaf_copy *c, hal_pte_t *src, hal_pte_t *dst)
{
	const struct vm_object *obj = c->area->object;
	hal_pte_t e = hal_pte_read(src);
	u32 soft = hal_pte_soft(e);

	if (!hal_pte_present(e))
		return;
	if (!(soft & PTE_SPECIAL)) {
		struct page *page = phys_to_page(hal_pte_paddr(e, 0));

		if (soft & PTE_OBJECT && page->object != obj)
			return;
		page_get(page);
		rss_count(&c->rss, soft, 1);
	}
	if (hal_pte_writable(e) && !(c->area->flags & AREA_SHARED)) {
		leaf_change(src, e, hal_pte_wrprotect(e));
		e = hal_pte_wrprotect(e);
		c->protected = true;
	}
	leaf_set(c->to, dst, e);
}

/* The entries of [start, end), below one leaf table. */
static void copy_leaf(struct leaf_copy *c, vaddr_t start, vaddr_t end)
{
	hal_pte_t *src = page_address(c->from), *dst = page_address(c->to);
	struct vm_object *obj = c->area->object;
	unsigned int i, first = hal_pt_index(start, 0), last = hal_pt_index(end - 1, 0);
	u64 mask;

	if (obj)
		spin_lock(&obj->lock);
	spin_lock(&c->from->pt.lock);
	spin_lock_nested(&c->to->pt.lock);	/* the child's after the parent's */
	mask = c->from->pt.groups & (~0ULL << first / 8) & (~0ULL >> (63 - last / 8));
	for (; mask; mask &= mask - 1) {
		unsigned int g = (unsigned int)__builtin_ctzll(mask) * 8;
		unsigned int stop = MIN(g + 7, last);

		for (i = MAX(g, first); i <= stop; i++)
			copy_entry(c, &src[i], &dst[i]);
	}
	spin_unlock(&c->to->pt.lock);
	spin_unlock(&c->from->pt.lock);
	if (obj)
		spin_unlock(&obj->lock);
}

int table_copy_area(struct vm_space *child, struct vm_area *a)
{
	struct leaf_copy c = { .area = a };
	vaddr_t addr = a->start;
	int err = 0;

	while ((c.from = table_next_leaf(a->space, &addr, a->end))) {
		vaddr_t stop = MIN(ALIGN_DOWN(addr, LEAF_SIZE) + LEAF_SIZE, a->end);

		if (READ_ONCE(c.from->pt.groups)) {
			c.to = table_make_leaf(child, addr);
			if (!c.to) {
				err = -ENOMEM;
				break;
			}
			copy_leaf(&c, addr, stop);
		}
		addr = stop;
	}
	rss_apply(child, &c.rss);
	return err;
}

bool table_has_private(const struct vm_area *a)
{
	vaddr_t addr;

	for (addr = a->start; addr < a->end; addr += PAGE_SIZE) {
		struct page *table = table_find_leaf(a->space, addr);
		hal_pte_t e = table ? hal_pte_read(leaf_entry(table, addr)) : hal_pte_none();

		if (hal_pte_present(e) && !(hal_pte_soft(e) & PTE_OBJECT))
			return true;
	}
	return false;
}

/* ---- moving ---- */

struct leaf_move {
	u32 nr;
	struct {
		u32 offset;		/* pages from the start of the piece */
		hal_pte_t e;
	} entry[MOVE_BATCH];
};

/* Takes the entries of a piece of at most MOVE_BATCH pages out of its table. */
static void move_out(struct page *table, vaddr_t addr, u64 pages, struct leaf_move *m)
{
	hal_pte_t *p = leaf_entry(table, addr);
	u32 i;

	m->nr = 0;
	spin_lock(&table->pt.lock);
	for (i = 0; i < pages; i++) {
		if (!hal_pte_present(hal_pte_read(&p[i])))
			continue;
		m->entry[m->nr].offset = i;
		m->entry[m->nr++].e = leaf_clear(table, &p[i]);
	}
	spin_unlock(&table->pt.lock);
}

static void move_in(struct page *table, vaddr_t addr, const struct leaf_move *m)
{
	hal_pte_t *p = leaf_entry(table, addr);
	u32 i;

	spin_lock(&table->pt.lock);
	for (i = 0; i < m->nr; i++)
		leaf_set(table, &p[m->entry[i].offset], m->entry[i].e);
	spin_unlock(&table->pt.lock);
}

int table_move(struct vm_area *from, vaddr_t old, vaddr_t to, u64 len, u64 *done)
{
	struct vm_space *s = from->space;
	struct vm_object *obj = from->object;
	vaddr_t addr = old, end = old + len;
	struct leaf_move m;
	struct page *src;
	int err = 0;

	while ((src = table_next_leaf(s, &addr, end))) {
		vaddr_t at = to + (addr - old);
		u64 bytes = MIN(end - addr, MOVE_BATCH * PAGE_SIZE);
		struct page *dst;

		bytes = MIN(bytes, LEAF_SIZE - (addr & (LEAF_SIZE - 1)));
		bytes = MIN(bytes, LEAF_SIZE - (at & (LEAF_SIZE - 1)));
		dst = table_make_leaf(s, at);
		if (!dst) {
			err = -ENOMEM;
			break;
		}
		if (obj)
			spin_lock(&obj->lock);
		move_out(src, addr, bytes >> PAGE_SHIFT, &m);
		move_in(dst, at, &m);
		if (obj) {
			/* Truncation finds the new place and frees the pages: nobody may know the old one by then. */
			tlb_flush_space(&s->hal, addr, addr + bytes, TLB_PAGES);
			spin_unlock(&obj->lock);
		}
		addr += bytes;
	}
	*done = MIN(addr, end) - old;
	if (!obj)
		tlb_flush_space(&s->hal, old, end, TLB_PAGES);
	return err;
}
