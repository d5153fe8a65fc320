/* SPDX-License-Identifier: MIT */
/* Which pages an area has, and on which nodes they lie: /proc/PID/numa_maps. */
#include <kernel/vm/policy.h>
#include <lib/string.h>

#include "internal.h"

static void count_entry(hal_pte_t e, struct vm_area_pages *out)
{
	if (hal_pte_is_none(e) || !hal_pte_present(e) || (hal_pte_soft(e) & PTE_SPECIAL))
		return;
	out->mapped++;
	out->anon += !(hal_pte_soft(e) & PTE_OBJECT);
	out->dirty += hal_pte_dirty(e);
	out->on_node[mm_node_of_page(page_head(phys_to_page(hal_pte_paddr(e, 0))))]++;
}

/* [space's lock] The part of an area that one leaf table covers. */
static void count_table(struct vm_area *a, vaddr_t addr, vaddr_t end, struct vm_area_pages *out)
{
	struct page *table = table_find_leaf(a->space, addr);

	if (!table)
		return;
	spin_lock(&table->pt.lock);
	for (; addr < end; addr += VM_PAGE_SIZE)
		count_entry(hal_pte_read(leaf_entry(table, addr)), out);
	spin_unlock(&table->pt.lock);
}

void vm_area_pages_locked(struct vm_area *a, struct vm_area_pages *out)
{
	vaddr_t end;

	memset(out, 0, sizeof(*out));
	for (vaddr_t addr = a->start; addr < a->end; addr = end) {
		end = MIN(ALIGN_DOWN(addr, LEAF_SIZE) + LEAF_SIZE, a->end);
		count_table(a, addr, end, out);
	}
}
