/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_PT_H
#define KERNEL_MM_PT_H

/*
 * The one page-table walker. Entries are the HAL's (hal/pt.h); what they own is the caller's business.
 *
 * Tables. A page-table page is a page of type PAGE_TABLE. `pt.live` counts the entries in use and `pt.groups`
 * has a bit for each eight of them: pt_walk_create() counts the tables it links in, with atomic operations;
 * whoever writes leaf entries counts them, under the table's `pt.lock`, which guards the leaf entries of the
 * table (and nothing above).
 *
 * Who may do what at the same time. Any number of walkers may look up and create: an upper entry goes
 * from none to "table" by compare-and-exchange, and never back while a walker may be there. Taking tables out
 * (pt_prune) needs every walker kept away: the address space's rwsem for writing, or RCU-like
 * care of the caller for the kernel half, where tables are never taken out.
 */
#include <hal/pt.h>
#include <kernel/core/tlb.h>
#include <kernel/mm/page.h>

/* A zeroed table for that level, count 1, with its lock; NULL without memory. May sleep. */
struct page *pt_page_alloc(unsigned int level);
/* The table is empty of what it owned; nobody walks it any more. Any context. */
void pt_page_free(struct page *table);
/* A root with the kernel half filled in. NULL without memory. May sleep. */
struct page *pt_root_alloc(void);
void pt_root_free(struct page *root);

/* The kernel's own root: where threads without an address space run. */
paddr_t pt_kernel_root(void);

/* The table page that an entry lies in. */
static inline struct page *pt_page_of(const hal_pte_t *ptep)
{
	return virt_to_page(ptep);
}

/* The table page that an upper entry names. */
static inline struct page *pt_entry_page(hal_pte_t e)
{
	return phys_to_page(hal_pte_paddr(e, 0));
}

static inline hal_pte_t *pt_entry_table(hal_pte_t e)
{
	return hal_phys_to_virt(hal_pte_paddr(e, 0));
}

/* An entry of an upper table came into use, or went out of it. */
static inline void pt_upper_count(const hal_pte_t *ptep, bool comes)
{
	struct page *table = pt_page_of(ptep);
	u32 index = (u32)(((uintptr_t)ptep & ~PAGE_MASK) / sizeof(*ptep));

	if (comes)
		__atomic_fetch_or(&table->pt.groups, BIT(index / 8), __ATOMIC_RELAXED);
	__atomic_fetch_add(&table->pt.live, comes ? 1u : ~0u, __ATOMIC_RELAXED);
}

/*
 * The entry that decides about va: a leaf at any level, or the first entry on the way down that is none or
 * not present. *level (may be NULL) is its level. Never NULL. The caller keeps the tables in place.
 */
hal_pte_t *pt_lookup(paddr_t root, vaddr_t va, unsigned int *level);
/*
 * The entry of va in the level-0 table, or NULL when there is no such table (or a larger leaf is
 * in the way).
 */
hal_pte_t *pt_lookup_leaf(paddr_t root, vaddr_t va);

/*
 * The entry of va at that level, with all tables above it made if they were missing. User tables for
 * addresses below HAL_USER_END. May sleep. 0; -ENOMEM; -EEXIST when a larger leaf is in the way. *made (may be
 * NULL) is increased by the number of new tables.
 */
int __must_check pt_walk_create(paddr_t root, vaddr_t va, unsigned int level, hal_pte_t **out, u32 *made);

/*
 * Calls fn for each entry that is not none and that is a leaf or lies in a level-0 table, of addresses in
 * [start, end), ascending. fn returns 0 to go on; anything else ends the walk and is returned. `table` is the
 * page of the table that ptep lies in; fn takes its lock if it wants it. Parts of the range without
 * tables are skipped quickly.
 */
typedef int (*pt_range_fn)(hal_pte_t *ptep, vaddr_t va, unsigned int level, struct page *table, void *arg);
int pt_for_range(paddr_t root, vaddr_t start, vaddr_t end, pt_range_fn fn, void *arg);

/*
 * Calls fn once per level-0 table with entries in [start, end): va..last (inclusive of last's page) is the part
 * in question, ptep its first entry. For work that takes each table's lock once.
 */
typedef int (*pt_table_fn)(hal_pte_t *ptep, vaddr_t va, vaddr_t end, struct page *table, void *arg);
int pt_for_tables(paddr_t root, vaddr_t start, vaddr_t end, pt_table_fn fn, void *arg);

/*
 * Takes tables out that have no live entry left and lie in the range (whole tables may reach beyond it: an
 * empty table is empty everywhere). They are put on `freed` by page->node: flush the TLB, then pt_free_list().
 * The root stays. Returns the number of tables. The caller keeps all other walkers away.
 */
u32 pt_prune(paddr_t root, vaddr_t start, vaddr_t end, struct list_head *freed);
void pt_free_list(struct list_head *freed);

/* ---- the kernel half ---- */

/* Maps [va, va + size) to pa, pages of 4 KiB or larger where both are aligned. 0 or -ENOMEM. Nothing may be mapped there. */
int __must_check pt_map_kernel(vaddr_t va, paddr_t pa, u64 size, u32 prot);
/* Takes mappings out and flushes them everywhere. Frees nothing. 4 KiB mappings, or whole larger ones. */
void pt_unmap_kernel(vaddr_t va, u64 size);
/* The same without the flush, which the caller owes before he reuses addresses or pages. */
void pt_clear_kernel(vaddr_t va, u64 size);
/* Where a kernel address leads; false when nowhere. Any context. */
bool pt_kernel_phys(vaddr_t va, paddr_t *pa, u32 *prot);

/* ---- for debug commands: any context, any damage ---- */

struct command_io;
/* Prints the entry of each level on the way to va. */
void pt_show_walk(struct command_io *io, paddr_t root, vaddr_t va);
/* Where va leads, by entries that are only peeked at; false when nowhere. */
bool pt_peek(paddr_t root, vaddr_t va, paddr_t *pa);
/* Copies from an address of the user half of that root, or from a kernel address. 0 or -EFAULT. */
int __must_check pt_peek_memory(paddr_t root, void *to, vaddr_t from, size_t n);

/* Page-table pages in use. */
u64 pt_page_count(void);

#endif
