/* SPDX-License-Identifier: MIT */
/*
 * Memory policies of areas, and pages that move from node to node.
 *
 * A page is taken by the policy of its area, else by its thread's. Pages of an object (a file, shared memory) belong
 * to whoever touches them first: the fault leaves its area's policy in the task while the object makes the page. (Linux keeps
 * policies of shared memory with the object, so that others who map it see them; here each mapping has its own.)
 *
 * Moving. Only private pages with one reference and no pin, in a table that nobody shares: others stay where they are,
 * as pages in use do on Linux. The space's lock for writing keeps faults and fork out, the table's lock everybody
 * else. The entry is emptied, flushed everywhere, the page copied, and the entry comes back with the new frame: a thread that
 * touches it meanwhile faults, and waits for the space's lock.
 */
#include <abi/linux/mempolicy.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/sched/sched.h>
#include <kernel/task/task.h>
#include <kernel/vm/policy.h>
#include <lib/fls.h>

#include "internal.h"

/* ---- where a new page comes from ---- */

struct page *policy_page_alloc(struct vm_area *a, vaddr_t addr_or_index, u32 flags)
{
	struct task *t = task_current_or_null();
	const struct mempolicy *p = a ? a->policy : t ? t->area_policy : NULL;
	u64 index = a ? area_index(a, addr_or_index) : addr_or_index;

	if (!p && t) {
		p = t->mempolicy;
		if (p && p->mode == MPOL_INTERLEAVE) {
			/* Round about all that the thread takes, as there is no range to count in. */
			t->interleaved = nodes_after(p->nodes, t->interleaved);
			index = popcount64(p->nodes & ((1ull << t->interleaved) - 1));
		}
	}
	return page_alloc_policy(p, index, flags);
}

int policy_object_page(struct vm_area *a, u64 index, struct page **out)
{
	struct task *t = task_current_or_null();
	int err;

	if (!t)
		return vm_object_page_within(a->object, index, out);
	t->area_policy = a->policy;
	err = vm_object_page_within(a->object, index, out);
	t->area_policy = NULL;
	return err;
}

/* ---- looking [space's lock, either way] ---- */

/* The entry at addr with its table's lock held, or NULL without. */
static hal_pte_t *entry_lock(struct vm_space *s, vaddr_t addr, struct page **table)
{
	*table = table_find_leaf(s, addr);
	if (!*table)
		return NULL;
	spin_lock(&(*table)->pt.lock);
	return leaf_entry(*table, addr);
}

static int entry_node(hal_pte_t e)
{
	if (hal_pte_is_none(e) || !hal_pte_present(e))
		return -ENOENT;
	if (hal_pte_soft(e) & PTE_SPECIAL)
		return -EFAULT;
	return (int)mm_node_of_page(page_head(phys_to_page(hal_pte_paddr(e, 0))));
}

/* Anonymous memory that was never touched has no page to ask for: -EFAULT, as on Linux. */
static int page_node_locked(struct vm_area *a, vaddr_t addr)
{
	struct page *table;
	hal_pte_t *p = entry_lock(a->space, addr, &table);
	int node = -ENOENT;

	if (p) {
		node = entry_node(hal_pte_read(p));
		spin_unlock(&table->pt.lock);
	}
	return node == -ENOENT && !a->object ? -EFAULT : node;
}

int vm_page_node(struct vm_space *s, vaddr_t addr)
{
	struct vm_area *a;
	int node;

	rwsem_read_lock(&s->lock);
	a = area_find(s, addr);
	node = a && a->start <= addr ? page_node_locked(a, addr) : -EFAULT;
	rwsem_read_unlock(&s->lock);
	return node;
}

int vm_policy_at(struct vm_space *s, vaddr_t addr, struct mempolicy **out)
{
	struct vm_area *a;
	int err = -EFAULT;

	rwsem_read_lock(&s->lock);
	a = area_find(s, addr);
	if (a && a->start <= addr) {
		*out = mempolicy_get(a->policy);
		err = 0;
	}
	rwsem_read_unlock(&s->lock);
	return err;
}

/* ---- moving [space's lock for writing] ---- */

/* May the page of that entry be replaced? Table's lock held. 0 or why not. */
static int may_move(const struct page *table, hal_pte_t e)
{
	struct page *page = phys_to_page(hal_pte_paddr(e, 0));

	if (page_ref_count(table) != 1 || (hal_pte_soft(e) & PTE_OBJECT))
		return -EACCES;
	if (page->type != PAGE_USER || page->order || page_ref_count(page) != 1 || page_pin_count(page))
		return -EBUSY;
	return 0;
}

/* The entry again, for another frame: rights, and what the CPU and the kernel noted in it, stay. */
static hal_pte_t entry_for(hal_pte_t e, struct page *page, u32 prot)
{
	hal_pte_t n = hal_pte_with_soft(hal_pte_leaf(page_to_phys(page), prot, 0), hal_pte_soft(e));

	return hal_pte_dirty(e) ? hal_pte_mkdirty(hal_pte_mkyoung(n)) : n;
}

/* Takes over `new`, or leaves it to the caller with an error. */
static int replace_page(struct vm_area *a, vaddr_t addr, struct page *new)
{
	struct page *table, *old;
	hal_pte_t *p = entry_lock(a->space, addr, &table), e;
	int err;

	if (!p)
		return -ENOENT;
	e = hal_pte_read(p);
	err = entry_node(e);
	if (err >= 0)
		err = may_move(table, e);
	if (err) {
		spin_unlock(&table->pt.lock);
		return err;
	}
	e = hal_pte_xchg(p, hal_pte_none());
	tlb_flush_space(&a->space->hal, addr, addr + PAGE_SIZE, TLB_PAGES);
	old = phys_to_page(hal_pte_paddr(e, 0));
	hal_copy_page(page_address(new), page_address(old));
	hal_pte_write(p, entry_for(e, new, hal_pte_prot(e, 0)));
	spin_unlock(&table->pt.lock);
	page_put(old);
	return 0;
}

static int move_locked(struct vm_area *a, vaddr_t addr, u32 node)
{
	int now = page_node_locked(a, addr), err;
	struct page *new;

	if (now < 0 || (u32)now == node)
		return now;
	new = page_alloc_node(node, 1ull << node, 0, MM_USER | MM_NO_OOM);
	if (!new)
		return -ENOMEM;
	err = replace_page(a, addr, new);
	if (err) {
		page_put(new);
		return err;
	}
	return (int)node;
}

int vm_page_move(struct vm_space *s, vaddr_t addr, u32 node)
{
	struct vm_area *a;
	int err = -EFAULT;

	rwsem_write_lock(&s->lock);
	a = area_find(s, addr);
	if (a && a->start <= addr && !(a->flags & AREA_PFN))
		err = move_locked(a, addr, node);
	rwsem_write_unlock(&s->lock);
	return err;
}

/* Where the n-th node of `from` is mapped to in `to`. */
static u32 counterpart(u64 from, u64 to, u32 node)
{
	return nodes_nth(to, popcount64(from & ((1ull << node) - 1)));
}

static long move_area(struct vm_area *a, u64 from, u64 to)
{
	long stay = 0;

	for (vaddr_t addr = a->start; addr < a->end; addr += PAGE_SIZE) {
		int node;

		if (!table_find_leaf(a->space, addr)) {
			addr = ALIGN_DOWN(addr, LEAF_SIZE) + LEAF_SIZE - PAGE_SIZE;
			continue;
		}
		node = page_node_locked(a, addr);
		if (node >= 0 && (from & (1ull << node)) && move_locked(a, addr, counterpart(from, to, (u32)node)) < 0)
			stay++;
	}
	return stay;
}

long vm_move_all(struct vm_space *s, u64 from, u64 to)
{
	long stay = 0;

	rwsem_write_lock(&s->lock);
	for (struct vm_area *a = area_find(s, 0); a && stay >= 0; a = area_next(a)) {
		if (__atomic_load_n(&current_thread()->fatal, __ATOMIC_RELAXED))
			stay = -EINTR;
		else if (!(a->flags & AREA_PFN))
			stay += move_area(a, from, to);
	}
	rwsem_write_unlock(&s->lock);
	return stay;
}

/* ---- mbind ---- */

/* How many pages of the part lie where the policy does not want them; those that can be are moved first. */
static u64 misplaced(struct vm_area *a, vaddr_t start, vaddr_t end, const struct mempolicy *p, bool move)
{
	u64 wrong = 0;

	if (!mm_numa || (a->flags & AREA_PFN))
		return 0;
	for (vaddr_t addr = start; addr < end; addr += PAGE_SIZE) {
		int node;

		if (!table_find_leaf(a->space, addr)) {
			addr = ALIGN_DOWN(addr, LEAF_SIZE) + LEAF_SIZE - PAGE_SIZE;
			continue;
		}
		node = page_node_locked(a, addr);
		if (node < 0 || mempolicy_allows(p, (u32)node))
			continue;
		wrong += !move || move_locked(a, addr, nodes_nth(p->nodes, area_index(a, addr))) < 0;
	}
	return wrong;
}

/* Is the range all areas? With holes: is there one at all? */
static bool covered(struct vm_space *s, vaddr_t start, vaddr_t end, bool holes)
{
	struct vm_area *a = area_find_range(s, start, end);

	if (holes || !a)
		return a != NULL;
	for (; start < end; start = a->end, a = area_next(a))
		if (!a || a->start > start)
			return false;
	return true;
}

static int set_area_policy(struct vm_area *a, vaddr_t start, vaddr_t end, struct mempolicy *p, struct vm_area **out)
{
	struct mempolicy *old = a->policy;
	int err;

	*out = a;
	if (mempolicy_equal(old, p))
		return 0;
	a = area_isolate(a, start, end, &err);
	if (err)
		return err;
	old = a->policy;
	a->policy = mempolicy_get(p);
	mempolicy_put(old);
	*out = area_merge(a);
	return 0;
}

static int bind_areas(struct vm_space *s, vaddr_t start, vaddr_t end, struct mempolicy *p, bool move, u64 *wrong)
{
	struct vm_area *a = area_find_range(s, start, end);

	while (a && a->start < end && start < end) {
		vaddr_t first = MAX(a->start, start), stop = MIN(a->end, end);
		int err = set_area_policy(a, first, stop, p, &a);

		if (err)
			return err;
		if (move && p)
			*wrong += misplaced(a, first, stop, p, true);
		start = stop;
		if (a->end <= stop)
			a = area_next(a);
	}
	return 0;
}

static u64 count_misplaced(struct vm_space *s, vaddr_t start, vaddr_t end, const struct mempolicy *p)
{
	u64 wrong = 0;

	for (struct vm_area *a = area_find_range(s, start, end); a && a->start < end; a = area_next(a))
		wrong += misplaced(a, MAX(a->start, start), MIN(a->end, end), p, false);
	return wrong;
}

int vm_bind(struct vm_space *s, vaddr_t start, vaddr_t end, struct mempolicy *p, bool strict, bool move)
{
	u64 wrong = 0;
	int err = 0;

	rwsem_write_lock(&s->lock);
	if (!covered(s, start, end, !p))
		err = -EFAULT;
	else if (strict && !move && count_misplaced(s, start, end, p))
		err = -EIO;
	if (!err)
		err = bind_areas(s, start, end, p, move, &wrong);
	rwsem_write_unlock(&s->lock);
	return err ? err : strict && wrong ? -EIO : 0;
}

int vm_bind_home(struct vm_space *s, vaddr_t start, vaddr_t end, u32 home)
{
	struct vm_area *a;
	int err = -ENOENT;

	rwsem_write_lock(&s->lock);
	for (a = area_find_range(s, start, end); a && a->start < end; a = area_next(a)) {
		vaddr_t first = MAX(a->start, start), stop = MIN(a->end, end);
		struct mempolicy *p;

		if (!a->policy)
			continue;
		if (a->policy->mode != MPOL_BIND && a->policy->mode != MPOL_PREFERRED_MANY) {
			err = -EOPNOTSUPP;
			break;
		}
		p = mempolicy_with_home(a->policy, home);
		err = p ? set_area_policy(a, first, stop, p, &a) : -ENOMEM;
		mempolicy_put(p);
		if (err)
			break;
	}
	rwsem_write_unlock(&s->lock);
	return err;
}
