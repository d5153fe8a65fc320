/* SPDX-License-Identifier: MIT */
/*
 * Page tables of user space.
 *
 * A leaf table owns what it maps: each entry (but PTE_SPECIAL ones) holds one
 * reference on its page. There is no map count per page and no reverse map per page.
 *
 * struct page of a table has: a lock, which protects the entries of a leaf table;
 * `live`, how many entries are in use; and `groups`, a bit for each eight entries (a cache line) in
 * which an entry was ever made since the table was last empty. Walks go by the groups, so they cost
 * what is there and not 512 steps a table.
 *
 * Upper tables. An entry is made by compare-and-exchange under the space's lock for
 * reading (two faults may race; the loser frees his page) and removed under it, for
 * reading or writing, when no area is left in the range that the lower table covers. Every table
 * that can be walked therefore has an area that touches its range. Who walks without the space's lock (truncation) holds
 * the lock of an object whose interval tree still has the area, which keeps the tables too, because an
 * area leaves that tree before its tables are freed.
 *
 * Order when something goes away: clear the entry, flush, drop the reference. The
 * batch collects pages between the first and the last step.
 */
#include <kernel/core/spinlock.h>
#include <kernel/mm/pt.h>

#include "internal.h"

#define TABLE_TAG 1UL

/* ---- batches ---- */

void batch_init(struct vm_batch *b, struct vm_space *s)
{
	b->space = s;
	b->start = ~0ULL;
	b->end = 0;
	b->nr = 0;
	b->what = TLB_PAGES;
}

static inline void batch_range(struct vm_batch *b, vaddr_t start, vaddr_t end)
{
	b->start = MIN(b->start, start);
	b->end = MAX(b->end, end);
}

/* A lower table whose entries are all none again. */
static void table_free(struct vm_space *s, struct page *table)
{
	atomic64_dec_relaxed(&s->table_pages);
	table_cache_put(table);
}

void batch_finish(struct vm_batch *b)
{
	u32 i;

	if (b->start < b->end)
		tlb_flush_space(&b->space->hal, b->start, b->end, b->what);
	for (i = 0; i < b->nr; i++) {
		uintptr_t p = (uintptr_t)b->pages[i];

		if (p & TABLE_TAG)
			table_free(b->space, (struct page *)(p & ~TABLE_TAG));
		else
			page_put(b->pages[i]);
	}
	batch_init(b, b->space);
}

static inline bool batch_full(const struct vm_batch *b)
{
	return b->nr == BATCH_PAGES;
}

static inline void batch_add_page(struct vm_batch *b, struct page *page)
{
	b->pages[b->nr++] = page;
}

static void batch_add_table(struct vm_batch *b, struct page *table)
{
	if (batch_full(b))
		batch_finish(b);
	b->pages[b->nr++] = (struct page *)((uintptr_t)table | TABLE_TAG);
	b->what = TLB_TABLES;
}

void rss_apply(struct vm_space *s, const struct rss_delta *d)
{
	u64 rss;

	if (d->anon)
		atomic64_add_relaxed(&s->rss_anon, d->anon);
	if (d->file)
		atomic64_add_relaxed(&s->rss_file, d->file);
	if (d->shmem)
		atomic64_add_relaxed(&s->rss_shmem, d->shmem);
	rss = vm_space_rss(s);
	if (rss > READ_ONCE(s->peak_rss))
		WRITE_ONCE(s->peak_rss, rss);
}

/* ---- finding and making tables ---- */

static inline hal_pte_t *table_entries(paddr_t table)
{
	return hal_phys_to_virt(table);
}

struct page *table_find_leaf(struct vm_space *s, vaddr_t addr)
{
	paddr_t table = s->root;
	unsigned int level;

	for (level = HAL_PT_LEVELS - 1; level > 0; level--) {
		hal_pte_t e = hal_pte_read(table_entries(table) + hal_pt_index(addr, level));

		if (!hal_pte_present(e))
			return NULL;
		table = hal_pte_table_paddr(e);
	}
	return phys_to_page(table);
}

/* Makes the table below entry `index` of `table`; another CPU may be faster. 0 without memory. */
static noinline paddr_t table_make_child(struct vm_space *s, paddr_t table, unsigned int index,
					 unsigned int level)
{
	hal_pte_t *p = table_entries(table) + index;
	struct page *child = table_cache_get(level - 1), *parent = phys_to_page(table);

	if (!child)
		return 0;
	if (!hal_pte_cmpxchg(p, hal_pte_none(), hal_pte_table(page_to_phys(child), true))) {
		table_cache_put(child);
		return hal_pte_table_paddr(hal_pte_read(p));
	}
	if (level == HAL_PT_LEVELS - 1)
		hal_pt_root_changed(p);
	atomic64_inc_relaxed(&s->table_pages);
	(void)__atomic_fetch_add(&parent->pt.live, 1u, __ATOMIC_RELAXED);
	(void)__atomic_fetch_or(&parent->pt.groups, BIT(index / 8), __ATOMIC_RELAXED);
	return page_to_phys(child);
}

struct page *table_make_leaf(struct vm_space *s, vaddr_t addr)
{
	paddr_t table = s->root;
	unsigned int level;

	for (level = HAL_PT_LEVELS - 1; level > 0; level--) {
		unsigned int index = hal_pt_index(addr, level);
		hal_pte_t e = hal_pte_read(table_entries(table) + index);

		if (likely(hal_pte_present(e)))
			table = hal_pte_table_paddr(e);
		else
			table = table_make_child(s, table, index, level);
		if (!table)
			return NULL;
	}
	return phys_to_page(table);
}

struct page *table_next_leaf(struct vm_space *s, vaddr_t *addr, vaddr_t end)
{
	while (*addr < end) {
		paddr_t table = s->root;
		unsigned int level;

		for (level = HAL_PT_LEVELS - 1; level > 0; level--) {
			hal_pte_t e = hal_pte_read(table_entries(table) + hal_pt_index(*addr, level));

			if (!hal_pte_present(e))
				break;
			table = hal_pte_table_paddr(e);
		}
		if (!level)
			return phys_to_page(table);
		*addr = ALIGN_DOWN(*addr, BIT(hal_pt_shift(level))) + BIT(hal_pt_shift(level));
	}
	return NULL;
}

/* Groups of the leaf table that can hold entries of [start, end), which lies below it. */
static u64 groups_in(vaddr_t start, vaddr_t end)
{
	unsigned int first = hal_pt_index(start, 0) / 8, last = hal_pt_index(end - 1, 0) / 8;

	return (~0ULL << first) & (~0ULL >> (63 - last));
}

/*
 * Walks the entries in use of [start, end), which lies below one leaf table: sets i to
 * each index in turn. The body may clear the entry.
 */
#define for_each_leaf_index(i, mask, start, end)						\
	for (; (mask); (mask) &= (mask) - 1)							\
		for ((i) = MAX((unsigned int)__builtin_ctzll(mask) * 8, hal_pt_index(start, 0));	\
		     (i) <= MIN((unsigned int)__builtin_ctzll(mask) * 8 + 7,			\
				hal_pt_index((end) - 1, 0)); (i)++)

static inline vaddr_t leaf_end(vaddr_t addr, vaddr_t end)
{
	return MIN(ALIGN_DOWN(addr, LEAF_SIZE) + LEAF_SIZE, end);
}

/* ---- unmapping ---- */

/* Until the batch is full; returns where to go on: `end` when done. Table locked. */
static vaddr_t zap_leaf_locked(struct page *table, vaddr_t start, vaddr_t end, bool objects_only,
			       struct vm_batch *b, struct rss_delta *rss)
{
	hal_pte_t *entries = page_address(table);
	vaddr_t base = ALIGN_DOWN(start, LEAF_SIZE);
	u64 mask = table->pt.groups & groups_in(start, end);
	unsigned int i;

	for_each_leaf_index(i, mask, start, end) {
		hal_pte_t e = hal_pte_read(&entries[i]);
		u32 soft = hal_pte_soft(e);

		if (!hal_pte_present(e) || (objects_only && !(soft & PTE_OBJECT)))
			continue;
		if (batch_full(b))
			return base + ((u64)i << PAGE_SHIFT);
		leaf_clear(table, &entries[i]);
		batch_range(b, base + ((u64)i << PAGE_SHIFT), base + ((u64)(i + 1) << PAGE_SHIFT));
		rss_count(rss, soft, -1);
		if (!(soft & PTE_SPECIAL))
			batch_add_page(b, phys_to_page(hal_pte_paddr(e, 0)));
	}
	return end;
}

void table_zap(struct vm_space *s, vaddr_t start, vaddr_t end, bool objects_only,
	       struct vm_batch *b)
{
	struct rss_delta rss = { 0 };
	vaddr_t addr = start;
	struct page *table;

	while ((table = table_next_leaf(s, &addr, end))) {
		vaddr_t stop = leaf_end(addr, end);

		/*
		 * Also when it looks empty: a fault that found the page in its object before truncation took it out may be about to
		 * enter it, under this lock. Only the lock says that it has.
		 */
		spin_lock(&table->pt.lock);
		addr = zap_leaf_locked(table, addr, stop, objects_only, b, &rss);
		spin_unlock(&table->pt.lock);
		if (addr < stop)
			batch_finish(b);
	}
	rss_apply(s, &rss);
}

struct free_range {
	struct vm_space *space;
	vaddr_t start, end, floor, ceiling;
	struct vm_batch *batch;
};

/* Tables below `table` (of this level) that [start, end) touches and that lie in (floor, ceiling). */
static void table_free_level(struct free_range *f, paddr_t table, unsigned int level,
			     vaddr_t start, vaddr_t end)
{
	u64 span = BIT(hal_pt_shift(level));
	vaddr_t at;

	for (at = ALIGN_DOWN(start, span); at < end; at += span) {
		hal_pte_t *p = table_entries(table) + hal_pt_index(at, level);
		hal_pte_t e = hal_pte_read(p);

		if (!hal_pte_present(e))
			continue;
		if (level > 1)
			table_free_level(f, hal_pte_table_paddr(e), level - 1, MAX(at, start),
					 MIN(at + span, end));
		if (at < f->floor || at + span > f->ceiling)
			continue;
		hal_pte_xchg(p, hal_pte_none());
		if (level == HAL_PT_LEVELS - 1)
			hal_pt_root_changed(p);
		(void)__atomic_fetch_sub(&phys_to_page(table)->pt.live, 1u, __ATOMIC_RELAXED);
		batch_range(f->batch, MAX(at, start), MIN(at + span, end));
		batch_add_table(f->batch, phys_to_page(hal_pte_table_paddr(e)));
	}
}

void table_free_range(struct vm_space *s, vaddr_t start, vaddr_t end, vaddr_t floor,
		      vaddr_t ceiling, struct vm_batch *b)
{
	struct free_range f = { s, start, end, floor, ceiling, b };

	table_free_level(&f, s->root, HAL_PT_LEVELS - 1, start, end);
}

/* The batch of a whole space: what it flushes is known before. */
static void free_all_flush(struct vm_batch *b)
{
	batch_finish(b);
	batch_range(b, 0, ~0ULL);
}

static void free_all_leaf(struct page *table, struct vm_batch *b)
{
	hal_pte_t *entries = page_address(table);
	u64 mask = table->pt.groups;
	unsigned int i;

	for_each_leaf_index(i, mask, 0, LEAF_SIZE) {
		hal_pte_t e = hal_pte_read(&entries[i]);
		struct page *page;

		if (!hal_pte_present(e))
			continue;
		page = phys_to_page(hal_pte_paddr(e, 0));
		hal_pte_write(&entries[i], hal_pte_none());
		if (hal_pte_soft(e) & PTE_SPECIAL)
			continue;
		if (batch_full(b))
			free_all_flush(b);
		batch_add_page(b, page);
	}
	table->pt.groups = 0;
	table->pt.live = 0;
}

/* Everything below a table of this level, but not the table itself. */
static void free_all_level(struct page *table, unsigned int level, struct vm_batch *b)
{
	hal_pte_t *entries = page_address(table);
	u64 mask = table->pt.groups;
	unsigned int i, g;

	if (!level) {
		free_all_leaf(table, b);
		return;
	}
	for (; mask; mask &= mask - 1) {
		g = (unsigned int)__builtin_ctzll(mask) * 8;
		for (i = g; i < g + 8; i++) {
			hal_pte_t e = hal_pte_read(&entries[i]);
			struct page *child;

			if (hal_pte_is_none(e))		/* else it leads to a table: no tests for what only leaves can be */
				continue;
			child = phys_to_page(hal_pte_table_paddr(e));
			free_all_level(child, level - 1, b);
			hal_pte_write(&entries[i], hal_pte_none());
			if (level == HAL_PT_LEVELS - 1)
				hal_pt_root_changed(&entries[i]);
			if (batch_full(b))
				free_all_flush(b);
			batch_add_table(b, child);
		}
	}
	table->pt.groups = 0;
	table->pt.live = 0;
}

void table_free_all(struct vm_space *s)
{
	struct vm_batch b;

	batch_init(&b, s);
	batch_range(&b, 0, ~0ULL);
	free_all_level(phys_to_page(s->root), HAL_PT_LEVELS - 1, &b);
	batch_finish(&b);
	atomic64_store_relaxed(&s->rss_anon, 0);
	atomic64_store_relaxed(&s->rss_file, 0);
	atomic64_store_relaxed(&s->rss_shmem, 0);
}

/* ---- rights ---- */

void table_protect(struct vm_space *s, vaddr_t start, vaddr_t end, u32 area_flags)
{
	u32 writable = area_pt_prot(area_flags, true), other = area_pt_prot(area_flags, false);	/* the loop keeps their bits */
	vaddr_t addr = start;
	struct page *table;

	while ((table = table_next_leaf(s, &addr, end))) {
		hal_pte_t *entries = page_address(table);
		vaddr_t stop = leaf_end(addr, end);
		u64 mask;
		unsigned int i;

		spin_lock(&table->pt.lock);
		mask = table->pt.groups & groups_in(addr, stop);
		for_each_leaf_index(i, mask, addr, stop) {
			hal_pte_t e = hal_pte_read(&entries[i]);

			/* Write permission is never given here: the next fault looks at who owns the page. */
			if (hal_pte_present(e))
				leaf_change(&entries[i], e, hal_pte_writable(e) ? hal_pte_change_prot(e, writable, 0) :
										  hal_pte_change_prot(e, other, 0));
		}
		spin_unlock(&table->pt.lock);
		addr = stop;
	}
	tlb_flush_space(&s->hal, start, end, TLB_PAGES);
}

/* ---- roots ---- */

int table_create_root(struct vm_space *s)
{
	struct page *root = table_cache_get_root();

	if (!root)
		return -ENOMEM;
	s->root = page_to_phys(root);
	atomic64_store_relaxed(&s->table_pages, 1);
	return 0;
}

void table_free_root(struct vm_space *s)
{
	table_cache_put_root(phys_to_page(s->root));
}
