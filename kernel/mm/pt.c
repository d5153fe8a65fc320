/* SPDX-License-Identifier: MIT */
/*
 * The page-table walker. The contract, and who may do what at the same time, stands in mm/pt.h.
 *
 * Tables are reached through the direct map. The kernel half is made of tables that are never counted: the
 * loader made some of them, in memory that has no entries in the frame table.
 */
#define LOG_TAG "pt"
#include <kernel/core/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "internal.h"
#include "leak_stamp.h"

static paddr_t kernel_root;	/* [I] after mm_init() */

void pt_set_kernel_root(paddr_t root)
{
	kernel_root = root;
}

paddr_t pt_kernel_root(void)
{
	return kernel_root;
}

/* ---- table pages ------------------------------------------------------------------------------- */

static struct page *table_alloc(u32 order)
{
	struct page *table = page_alloc(order, MM_ZERO);

	if (!table)
		return NULL;
	table->type = PAGE_TABLE;
	spin_init(&table->pt.lock, "page table", LOCK_RANK_PT_PAGE);
	table->pt.live = 0;
	table->pt.groups = 0;
	table->pt.private = 0;
	mm_count(tables, 1);
	return table;
}

struct page *pt_page_alloc(unsigned int level)
{
	return table_alloc(level == HAL_PT_LEVELS - 1 ? hal_pt_root_order() : 0);
}

void pt_page_free(struct page *table)
{
	mm_count(tables, -1);
	page_put(table);
}

struct page *pt_root_alloc(void)
{
	struct page *root = pt_page_alloc(HAL_PT_LEVELS - 1);

	if (root)
		hal_pt_root_init(page_address(root));
	return root;
}

void pt_root_free(struct page *root)
{
	pt_page_free(root);
}

u64 pt_page_count(void)
{
	struct mm_stats s;

	mm_stats(&s);
	return s.tables;
}

void pt_free_list(struct list_head *freed)
{
	struct page *table, *next;

	list_for_each_entry_safe(table, next, freed, node)
		pt_page_free(table);
	list_init(freed);
}

/* ---- looking ----------------------------------------------------------------------------------- */

static inline hal_pte_t *entry_of(paddr_t table, vaddr_t va, unsigned int level)
{
	return (hal_pte_t *)hal_phys_to_virt(table) + hal_pt_index(va, level);
}

hal_pte_t *pt_lookup(paddr_t root, vaddr_t va, unsigned int *level)
{
	unsigned int l = HAL_PT_LEVELS - 1;
	hal_pte_t *p = entry_of(root, va, l);

	while (l > 0) {
		hal_pte_t e = hal_pte_read(p);

		if (!hal_pte_present(e) || hal_pte_is_leaf(e, l))
			break;
		p = entry_of(hal_pte_table_paddr(e), va, --l);
	}
	if (level)
		*level = l;
	return p;
}

hal_pte_t *pt_lookup_leaf(paddr_t root, vaddr_t va)
{
	unsigned int level;
	hal_pte_t *p = pt_lookup(root, va, &level);

	return level ? NULL : p;
}

bool pt_kernel_phys(vaddr_t va, paddr_t *pa, u32 *prot)
{
	unsigned int level;
	hal_pte_t e = hal_pte_read(pt_lookup(kernel_root, va, &level));

	if (!hal_pte_present(e))
		return false;
	*pa = hal_pte_paddr(e, level) + (va & ((1ull << hal_pt_shift(level)) - 1));
	if (prot)
		*prot = hal_pte_prot(e, level);
	return true;
}

/* ---- making ------------------------------------------------------------------------------------ */

static bool user_half(vaddr_t va)
{
	return va < HAL_USER_END;
}

/* Fills the entry with a new table unless somebody else just did. 0 or -ENOMEM. */
static int user_make_table(hal_pte_t *p, unsigned int level, u32 *made)
{
	struct page *table = pt_page_alloc(level - 1);

	if (!table)
		return -ENOMEM;
	if (!hal_pte_cmpxchg(p, hal_pte_none(), hal_pte_table(page_to_phys(table), true))) {
		pt_page_free(table);
		return 0;
	}
	if (level == HAL_PT_LEVELS - 1)
		hal_pt_root_changed(p);
	pt_upper_count(p, true);
	if (made)
		(*made)++;
	return 0;
}

static bool table_from_pages(paddr_t *out)
{
	struct page *table = pt_page_alloc(0);

	if (!table)
		return false;
	leak_ignore_page(table);
	*out = page_to_phys(table);
	return true;
}

/* Tables of the kernel half stay for ever, so losing a race costs nothing that is ever missed: give it back. */
static int kernel_make_table(hal_pte_t *p, bool (*table_page)(paddr_t *out), u32 *made)
{
	paddr_t pa;

	if (!table_page(&pa))
		return -ENOMEM;
	if (!hal_pte_cmpxchg(p, hal_pte_none(), hal_pte_table(pa, false))) {
		if (table_page == table_from_pages)
			pt_page_free(phys_to_page(pa));
	} else if (made) {
		(*made)++;
	}
	return 0;
}

static int walk_create(paddr_t root, vaddr_t va, unsigned int level, bool (*table_page)(paddr_t *out),
		       hal_pte_t **out, u32 *made)
{
	hal_pte_t *p = entry_of(root, va, HAL_PT_LEVELS - 1);

	for (unsigned int l = HAL_PT_LEVELS - 1; l > level;) {
		hal_pte_t e = hal_pte_read(p);
		int err;

		if (likely(hal_pte_present(e))) {
			if (hal_pte_is_leaf(e, l))
				return -EEXIST;
			p = entry_of(hal_pte_table_paddr(e), va, --l);
			continue;
		}
		err = user_half(va) ? user_make_table(p, l, made) : kernel_make_table(p, table_page, made);
		if (err)
			return err;
	}
	*out = p;
	return 0;
}

int pt_walk_create(paddr_t root, vaddr_t va, unsigned int level, hal_pte_t **out, u32 *made)
{
	return walk_create(root, va, level, table_from_pages, out, made);
}

int pt_map_frame_table(vaddr_t va, paddr_t pa, bool (*table_page)(paddr_t *out))
{
	hal_pte_t *p;
	int err = walk_create(kernel_root, va, 0, table_page, &p, NULL);

	if (err)
		return err;
	hal_pte_write(p, hal_pte_leaf(pa, HAL_PT_READ | HAL_PT_WRITE | HAL_PT_GLOBAL, 0));
	return 0;
}

/* ---- ranges ------------------------------------------------------------------------------------ */

struct walk {
	pt_range_fn entry_fn;	/* one of the two is set */
	pt_table_fn table_fn;
	void *arg;
};

static int walk_leaf_table(const struct walk *w, paddr_t table, vaddr_t va, vaddr_t end)
{
	struct page *page = phys_to_page(table);
	hal_pte_t *p = entry_of(table, va, 0);

	if (w->table_fn)
		return w->table_fn(p, va, end, page, w->arg);
	for (; va < end; va += PAGE_SIZE, p++) {
		int r;

		if (hal_pte_is_none(hal_pte_read(p)))
			continue;
		r = w->entry_fn(p, va, 0, page, w->arg);
		if (r)
			return r;
	}
	return 0;
}

/* [va, end) lies below one table of that level. */
static int walk_table(const struct walk *w, paddr_t table, vaddr_t va, vaddr_t end, unsigned int level)
{
	u64 step = 1ull << hal_pt_shift(level);

	if (level == 0)
		return walk_leaf_table(w, table, va, end);
	while (va < end) {
		vaddr_t stop = ALIGN_DOWN(va, step) + step;
		hal_pte_t *p = entry_of(table, va, level), e = hal_pte_read(p);
		int r = 0;

		if (stop - 1 > end - 1)
			stop = end;
		if (hal_pte_present(e) && !hal_pte_is_leaf(e, level))
			r = walk_table(w, hal_pte_table_paddr(e), va, stop, level - 1);
		else if (!hal_pte_is_none(e) && w->entry_fn)
			r = w->entry_fn(p, va, level, phys_to_page(table), w->arg);
		if (r)
			return r;
		va = stop;
	}
	return 0;
}

int pt_for_range(paddr_t root, vaddr_t start, vaddr_t end, pt_range_fn fn, void *arg)
{
	const struct walk w = { .entry_fn = fn, .arg = arg };

	return start < end ? walk_table(&w, root, start, end, HAL_PT_LEVELS - 1) : 0;
}

int pt_for_tables(paddr_t root, vaddr_t start, vaddr_t end, pt_table_fn fn, void *arg)
{
	const struct walk w = { .table_fn = fn, .arg = arg };

	return start < end ? walk_table(&w, root, start, end, HAL_PT_LEVELS - 1) : 0;
}

/* Takes out what is empty below one table; returns how many tables went. */
static u32 prune_table(paddr_t table, vaddr_t va, vaddr_t end, unsigned int level, struct list_head *freed)
{
	u64 step = 1ull << hal_pt_shift(level);
	u32 gone = 0;

	while (va < end) {
		vaddr_t stop = MIN(ALIGN_DOWN(va, step) + step, end);
		hal_pte_t *p = entry_of(table, va, level), e = hal_pte_read(p);

		if (hal_pte_present(e) && !hal_pte_is_leaf(e, level)) {
			struct page *child = pt_entry_page(e);

			if (level > 1)
				gone += prune_table(page_to_phys(child), va, stop, level - 1, freed);
			if (!READ_ONCE(child->pt.live)) {
				hal_pte_write(p, hal_pte_none());
				if (level == HAL_PT_LEVELS - 1)
					hal_pt_root_changed(p);
				pt_upper_count(p, false);
				list_add_tail(&child->node, freed);
				gone++;
			}
		}
		va = stop;
	}
	return gone;
}

u32 pt_prune(paddr_t root, vaddr_t start, vaddr_t end, struct list_head *freed)
{
	ASSERT(end <= HAL_USER_END);
	return start < end ? prune_table(root, start, end, HAL_PT_LEVELS - 1, freed) : 0;
}

/* ---- the kernel half --------------------------------------------------------------------------- */

/* The largest level whose pages fit at this place. */
static unsigned int map_level(vaddr_t va, paddr_t pa, u64 size)
{
	unsigned int level = 0;

	while (level + 1 < HAL_PT_LEVELS - 1 && hal_pt_leaf_ok(level + 1)) {
		u64 bytes = 1ull << hal_pt_shift(level + 1);

		if (size < bytes || !IS_ALIGNED(va | pa, bytes))
			break;
		level++;
	}
	return level;
}

int pt_map_kernel(vaddr_t va, paddr_t pa, u64 size, u32 prot)
{
	vaddr_t start = va;

	ASSERT(IS_ALIGNED(va | pa | size, PAGE_SIZE) && !user_half(va));
	while (size) {
		unsigned int level = map_level(va, pa, size);
		u64 bytes = 1ull << hal_pt_shift(level);
		hal_pte_t *p;
		int err = walk_create(kernel_root, va, level, table_from_pages, &p, NULL);

		if (err == 0 && !hal_pte_is_none(hal_pte_read(p))) {
			/* A table of small pages may be left from an earlier mapping: go below it. */
			level = 0;
			bytes = PAGE_SIZE;
			err = walk_create(kernel_root, va, 0, table_from_pages, &p, NULL);
			ASSERT(err || hal_pte_is_none(hal_pte_read(p)));
		}
		if (err) {
			pt_unmap_kernel(start, va - start);
			return err;
		}
		hal_pte_write(p, hal_pte_leaf(pa, prot | HAL_PT_GLOBAL, level));
		va += bytes;
		pa += bytes;
		size -= bytes;
	}
	return 0;
}

static int clear_entry(hal_pte_t *p, vaddr_t va, unsigned int level, struct page *table, void *arg)
{
	(void)va, (void)level, (void)table, (void)arg;
	hal_pte_write(p, hal_pte_none());
	return 0;
}

void pt_clear_kernel(vaddr_t va, u64 size)
{
	(void)pt_for_range(kernel_root, va, va + size, clear_entry, NULL);
}

void pt_unmap_kernel(vaddr_t va, u64 size)
{
	if (!size)
		return;
	pt_clear_kernel(va, size);
	tlb_flush_kernel(va, va + size);
}
