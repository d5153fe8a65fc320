/* SPDX-License-Identifier: MIT */
#ifndef VM_INTERNAL_H
#define VM_INTERNAL_H

/* What the files of kernel/vm share among themselves. */
#include <abi/linux/mman.h>
#include <hal/mem.h>
#include <hal/pt.h>
#include <kernel/core/tlb.h>
#include <kernel/core/assert.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/mm/page.h>
#include <kernel/vm/area.h>
#include <kernel/vm/object.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>

#define LEAF_SHIFT	21			/* a leaf table covers 2 MiB */
#define LEAF_SIZE	BIT(LEAF_SHIFT)
#define STACK_GUARD_GAP	(256 * PAGE_SIZE)	/* stack_guard_gap of Linux: 1 MiB */

/*
 * Software bits of a leaf entry.
 *   PTE_OBJECT   the page belongs to the area's object (else it is private)
 *   PTE_SPECIAL  no reference is held: the zero page, or a device frame
 *   PTE_SHMEM    with PTE_OBJECT: counted as shared memory, not as file
 */
#define PTE_OBJECT	1u
#define PTE_SPECIAL	2u
#define PTE_SHMEM	4u

extern struct page *vm_zero_page;	/* [I] */

/* ---- area.c: the tree of areas; the space's lock held for writing unless said otherwise ---- */

struct vm_area *area_alloc(struct vm_space *s);
void area_free(struct vm_area *a);
/*
 * For fork: a copy of the parent's area in s, in the same place of the tree, but not locked (mlock(2): locks are not inherited).
 * It is in the object's interval tree, and not counted: the space's totals are to be copied, too. Of an area that children must
 * not have (AREA_DONTCOPY) it is a placeholder without object, file and policy. NULL: no memory.
 */
struct vm_area *area_copy(struct vm_space *s, const struct rb_copy *place);
/* First area that ends behind addr; lock held either way. */
struct vm_area *area_find(struct vm_space *s, vaddr_t addr);
/* First area that intersects [start, end). */
struct vm_area *area_find_range(struct vm_space *s, vaddr_t start, vaddr_t end);
struct vm_area *area_next(struct vm_area *a);
struct vm_area *area_prev(struct vm_area *a);
/* Into and out of the tree and the object's interval tree; counts in nr_areas and totals. */
void area_insert(struct vm_area *a);
void area_remove(struct vm_area *a);
/* New bounds (and page offset) for an area that is in the tree. The order must not change. */
void area_resize(struct vm_area *a, vaddr_t start, vaddr_t end);
void area_set_flags(struct vm_area *a, u32 flags);
/* Cuts at addr; *upper is the new area above. 0, -ENOMEM. Does not look at max_map_count. */
int __must_check area_split(struct vm_area *a, vaddr_t addr, struct vm_area **upper);
/* Joins a with its neighbours where possible; returns the area that covers it now. */
struct vm_area *area_merge(struct vm_area *a);
/* Room for len bytes in [low, high): highest (down) or lowest fit. 0 if none. */
vaddr_t area_find_gap(struct vm_space *s, u64 len, vaddr_t low, vaddr_t high, bool down);
/* Does the tree hold its invariants? For tests. */
bool area_tree_ok(struct vm_space *s);
void area_cache_init(void);

static inline vaddr_t area_start_gap(const struct vm_area *a)
{
	if (!(a->flags & AREA_GROWSDOWN))
		return a->start;
	return a->start > STACK_GUARD_GAP ? a->start - STACK_GUARD_GAP : 0;
}

static inline bool area_private_writable(u32 flags)
{
	return (flags & (AREA_WRITE | AREA_SHARED)) == AREA_WRITE;
}

/* ---- space.c: quiet stretches ---- */

/*
 * Between the two the calling thread uses no user address (it may sleep): who flushes a space does not interrupt this CPU, which
 * flushes at the end what it has missed. That is what nearly all work on address spaces is, so threads of one space that work
 * on it side by side hardly ever interrupt each other. They nest: an inner pair may end the stretch, and does no harm.
 */
bool vm_quiet_enter(void);
void vm_quiet_leave(void);
extern bool vm_many_cpus;	/* [a] a second CPU has come */

static inline bool vm_quiet_begin(void)
{
	return unlikely(vm_many_cpus) && vm_quiet_enter();
}

static inline void vm_quiet_end(bool quiet)
{
	if (unlikely(quiet))
		vm_quiet_leave();
}

/* ---- table_cache.c: empty tables, kept ---- */

/* Any level below the root; all entries none. NULL: no memory. */
struct page *table_cache_get(unsigned int level);
void table_cache_put(struct page *table);
/* Roots, with the kernel half in place and the user half none. put: any context. */
struct page *table_cache_get_root(void);
void table_cache_put_root(struct page *root);
/* Gives back what this CPU keeps; pages. Thread context. */
u64 table_cache_drain(void);
/* The same for a CPU that is offline. */
u64 table_cache_drain_cpu(u32 cpu);
void table_cache_init(void);

/* ---- table.c: page tables ---- */

/*
 * Pages on their way out: their entries are gone, the flush is still to come. A
 * reference of each is dropped after it. Lives on the stack of one thread.
 */
#define BATCH_PAGES 64
struct vm_batch {
	struct vm_space *space;
	vaddr_t start, end;		/* what must be flushed; start >= end: nothing */
	u32 nr;
	u32 what;			/* TLB_PAGES, or TLB_TABLES when a table is among them */
	struct page *pages[BATCH_PAGES];	/* data pages and page-table pages; low bit: a table */
};

void batch_init(struct vm_batch *b, struct vm_space *s);
/* Flushes and drops. Interrupts on; a spinlock from before LOCK_RANK_IRQ_FIRST may be held. */
void batch_finish(struct vm_batch *b);

/* The leaf table above addr, or NULL. The space's lock held, or something that keeps the area. */
struct page *table_find_leaf(struct vm_space *s, vaddr_t addr);
/* The same, making what is missing. NULL: no memory. */
struct page *table_make_leaf(struct vm_space *s, vaddr_t addr);
/* Empties [start, end); objects_only leaves private pages alone (a hole punched into a file). */
void table_zap(struct vm_space *s, vaddr_t start, vaddr_t end, bool objects_only,
	       struct vm_batch *b);
/* The first leaf table at or after *addr; *addr moves up to where it begins to matter. NULL: none. */
struct page *table_next_leaf(struct vm_space *s, vaddr_t *addr, vaddr_t end);
/* Frees tables for which nothing is left in (floor, ceiling) around [start, end). Lock for writing. */
void table_free_range(struct vm_space *s, vaddr_t start, vaddr_t end, vaddr_t floor,
		      vaddr_t ceiling, struct vm_batch *b);
/* Unmaps everything and frees all tables but the root: the space has no users. */
void table_free_all(struct vm_space *s);
/* New rights for [start, end). Lock for writing. */
void table_protect(struct vm_space *s, vaddr_t start, vaddr_t end, u32 area_flags);
/* Moves the entries of an area's part elsewhere (mremap). 0 or -ENOMEM: *done bytes are moved. */
int __must_check table_move(struct vm_area *from, vaddr_t old, vaddr_t to, u64 len, u64 *done);
/* Copies the entries of an area to the same place in the child. 0 or -ENOMEM. */
int __must_check table_copy_area(struct vm_space *child, struct vm_area *a);
/* Has the area a page that is not its object's? For few pages; lock for writing. */
bool table_has_private(const struct vm_area *a);
int __must_check table_create_root(struct vm_space *s);
void table_free_root(struct vm_space *s);

static inline hal_pte_t *leaf_entry(struct page *table, vaddr_t addr)
{
	return (hal_pte_t *)page_address(table) + hal_pt_index(addr, 0);
}

/* Entry makers for the rights of an area; never writable unless `write`. */
static inline u32 area_pt_prot(u32 flags, bool write)
{
	u32 prot = 0;

	if (flags & AREA_PROT)
		prot = HAL_PT_READ | HAL_PT_USER;
	if (flags & AREA_EXEC)
		prot |= HAL_PT_EXEC;
	if (write && flags & AREA_WRITE)
		prot |= HAL_PT_WRITE;
	return prot;
}

/* Entries counted by kind, to be added to the space in one step. */
struct rss_delta {
	s64 anon, file, shmem;
};

static inline void rss_count(struct rss_delta *d, u32 soft, s64 n)
{
	if (soft & PTE_SPECIAL)
		return;
	if (!(soft & PTE_OBJECT))
		d->anon += n;
	else if (soft & PTE_SHMEM)
		d->shmem += n;
	else
		d->file += n;
}

void rss_apply(struct vm_space *s, const struct rss_delta *d);

static inline u32 object_soft(const struct vm_object *obj)
{
	return PTE_OBJECT | (obj->flags & OBJECT_SHMEM ? PTE_SHMEM : 0);
}

/* One entry in or out of a leaf table, whose lock is held. */
static inline void leaf_set(struct page *table, hal_pte_t *p, hal_pte_t e)
{
	unsigned int index = (unsigned int)(((uintptr_t)p & (PAGE_SIZE - 1)) / sizeof(*p));

	hal_pte_write(p, e);
	table->pt.live++;
	table->pt.groups |= BIT(index / 8);
}

static inline hal_pte_t leaf_clear(struct page *table, hal_pte_t *p)
{
	hal_pte_t old = hal_pte_xchg(p, hal_pte_none());

	if (!--table->pt.live)
		table->pt.groups = 0;
	return old;
}

/* Changes a present entry, keeping what the CPU writes meanwhile. */
static inline void leaf_change(hal_pte_t *p, hal_pte_t e, hal_pte_t new)
{
	while (!hal_pte_cmpxchg(p, e, new)) {
		hal_pte_t now = hal_pte_read(p);

		if (hal_pte_dirty(now))
			new = hal_pte_mkdirty(new);
		if (hal_pte_accessed(now))
			new = hal_pte_mkyoung(new);
		e = now;
	}
}

/* ---- fault.c ---- */

/* One fault with the space's lock held, either way, for somebody else's sake. OK, BUS, OOM. */
enum vm_verdict vm_fault_locked(struct vm_area *a, vaddr_t addr, u32 access);
/* Enters a page as a private one, where nothing is; the table takes a reference of its own. 0, -ENOMEM, -EEXIST. */
int __must_check vm_enter_page_locked(struct vm_area *a, vaddr_t addr, struct page *page);

/* ---- object.c ---- */

void object_cache_init(void);
/* Into and out of the interval tree; no lock held. */
void object_link_area(struct vm_area *a);
void object_unlink_area(struct vm_area *a);
/* Was the object sealed against an area like this, which is in its tree already? Either this sees the seal, or who seals the area. */
bool object_refuses_area(const struct vm_area *a);
/*
 * New bounds (and page offset) for an area. In the interval tree at every moment: truncation, which has no other lock,
 * must not miss what is mapped meanwhile. May be in no object, too.
 */
void object_move_area(struct vm_area *a, vaddr_t start, vaddr_t end);

/* ---- commit.c ---- */

/* Overcommit: 0 or -ENOMEM. */
int __must_check commit_charge(struct vm_space *s, u64 pages);
void commit_uncharge(struct vm_space *s, u64 pages);
void commit_init(void);

/* ---- limits.c ---- */

/* RLIMIT_AS and RLIMIT_DATA for `pages` more of this kind. */
bool limit_may_expand(struct vm_space *s, u32 flags, u64 pages);
/* RLIMIT_MEMLOCK: 0, -EPERM (not at all), -EAGAIN (too many). */
int __must_check limit_may_lock(struct vm_space *s, u64 pages);
bool limit_can_lock(void);

/* ---- protect.c ---- */

/* New flags for [start, end) of a, which is cut if need be. *out is the area with that part. Lock for writing. */
int __must_check area_change_flags(struct vm_area *a, vaddr_t start, vaddr_t end, u32 clear, u32 set,
				   struct vm_area **out);

/*
 * Makes [start, end) areas of their own as far as a reaches: returns the part of a that begins at start or
 * later and ends at end or before. NULL: *err. Lock for writing.
 */
struct vm_area *area_isolate(struct vm_area *a, vaddr_t start, vaddr_t end, int *err);

/* ---- policy.c: where pages are taken on a machine with several nodes ---- */

/* One page by the policy of the area, else the calling thread's. a NULL: one of an object, with that index. */
struct page *policy_page_alloc(struct vm_area *a, vaddr_t addr_or_index, u32 flags);
/* vm_object_page_within() for a fault in that area. */
int __must_check policy_object_page(struct vm_area *a, u64 index, struct page **out);

static inline struct page *area_page_alloc(struct vm_area *a, vaddr_t addr, u32 flags)
{
	return unlikely(mm_numa) ? policy_page_alloc(a, addr, flags) : page_alloc(0, flags);
}

/* ---- map.c: with the lock for writing ---- */

/*
 * The removed areas go to *dead: their objects and files are dropped by areas_free()
 * after the lock, because that may take locks of outer rank.
 */
int __must_check vm_unmap_locked(struct vm_space *s, vaddr_t start, u64 len,
				 struct vm_area **dead);
void areas_free(struct vm_area *dead);
/* A free place by Linux's rules, or the fixed one checked. 0 or -errno. */
int __must_check vm_find_place_locked(struct vm_space *s, vaddr_t hint, u64 len, u32 flags,
				      vaddr_t *out);
/* Grows a stack down to addr. 0 or -ENOMEM, -EPERM. */
int __must_check vm_grow_down_locked(struct vm_area *a, vaddr_t addr);

/* ---- object.c: the pages of an object ---- */

/* The first page behind the object's end. */
static inline u64 object_end(const struct vm_object *obj)
{
	return DIV_ROUND_UP(vm_object_size(obj), PAGE_SIZE);
}

/* A page that is in the object, with a reference; NULL. */
static inline struct page *object_lookup(struct vm_object *obj, u64 index)
{
	struct page *page;

	rcu_read_lock();
	for (;;) {
		page = xa_load(&obj->pages, index);
		if (!page)
			break;
		if (likely(page_get_not_zero(page))) {
			if (likely(page->object == obj && page->index == index))
				break;
			page_put(page);
		}
		/* It left between the two reads: look again. */
	}
	rcu_read_unlock();
	return page;
}

/* Makes one where none was seen; somebody may have been faster. 0 or -errno. */
int __must_check object_make_page(struct vm_object *obj, u64 index, bool within, struct page **out);

#endif
