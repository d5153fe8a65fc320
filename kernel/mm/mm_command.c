/* SPDX-License-Identifier: MIT */
/*
 * Debug commands of memory: `mem`, `page`, and the page-table walk for `pt` and `x`. Nothing here takes a lock or
 * believes an entry: tables and frame entries are peeked at, in the direct map only where there is one.
 */
#include <kernel/core/assert.h>
#include <kernel/core/command.h>
#include <kernel/core/symbols.h>
#include <kernel/mm/kmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "slab.h"

/* ---- page tables ------------------------------------------------------------------------------- */

static bool canonical(vaddr_t va)
{
	unsigned int top = hal_pt_shift(HAL_PT_LEVELS) - 1;
	u64 high = va >> top;

	return high == 0 || high == ~0ull >> top;
}

static bool peek_entry(paddr_t table, vaddr_t va, unsigned int level, hal_pte_t *e)
{
	if (table >= hal_direct_map_length)
		return false;
	return COMMAND_LOAD(*e, (const hal_pte_t *)hal_phys_to_virt(table) + hal_pt_index(va, level));
}

static void show_entry(struct command_io *io, hal_pte_t e, vaddr_t va, unsigned int level)
{
	static const char *const sizes[] = { "4 KiB", "2 MiB", "1 GiB", "512 GiB" };
	u32 prot = hal_pte_prot(e, level);
	bool leaf = hal_pte_is_leaf(e, level);

	command_printf(io, " level %u [%3u] %016llx: ", level, hal_pt_index(va, level), (unsigned long long)e.v);
	if (hal_pte_is_none(e)) {
		command_printf(io, "nothing\n");
		return;
	}
	if (!hal_pte_present(e)) {
		command_printf(io, "not present, value %llx\n", (unsigned long long)hal_pte_swap_value(e));
		return;
	}
	command_printf(io, "%s %llx, %c%c%c%s%s%s%s%s\n", leaf ? sizes[level] : "table",
		       (unsigned long long)hal_pte_paddr(e, level), prot & HAL_PT_READ ? 'r' : '-',
		       prot & HAL_PT_WRITE ? 'w' : '-', prot & HAL_PT_EXEC ? 'x' : '-', prot & HAL_PT_USER ? " user" : " kernel",
		       prot & HAL_PT_GLOBAL && leaf ? " global" : "", hal_pte_accessed(e) ? " accessed" : "",
		       leaf && hal_pte_dirty(e) ? " dirty" : "", prot & (HAL_PT_DEVICE | HAL_PT_WC) ? " uncached" : "");
}

/* The walk that both share: io NULL prints nothing. */
static bool walk(struct command_io *io, paddr_t root, vaddr_t va, paddr_t *pa)
{
	paddr_t table = root;
	hal_pte_t e;

	if (!canonical(va)) {
		if (io)
			command_printf(io, " %016llx is not canonical: no table has it\n", (unsigned long long)va);
		return false;
	}
	for (unsigned int level = HAL_PT_LEVELS; level-- > 0; table = hal_pte_paddr(e, 0)) {
		if (!peek_entry(table, va, level, &e)) {
			if (io)
				command_printf(io, " level %u: the table at %llx is not in RAM\n", level, (unsigned long long)table);
			return false;
		}
		if (io)
			show_entry(io, e, va, level);
		if (!hal_pte_present(e))
			return false;
		if (hal_pte_is_leaf(e, level)) {
			*pa = hal_pte_paddr(e, level) + (va & ((1ull << hal_pt_shift(level)) - 1));
			return true;
		}
	}
	return false;
}

void pt_show_walk(struct command_io *io, paddr_t root, vaddr_t va)
{
	paddr_t pa;

	command_printf(io, " %016llx from the root at %llx\n", (unsigned long long)va, (unsigned long long)root);
	if (walk(io, root, va, &pa))
		command_printf(io, " leads to physical address %llx\n", (unsigned long long)pa);
}

bool pt_peek(paddr_t root, vaddr_t va, paddr_t *pa)
{
	return walk(NULL, root, va, pa);
}

int pt_peek_memory(paddr_t root, void *to, vaddr_t from, size_t n)
{
	while (n && from < HAL_USER_END) {
		size_t part = MIN(n, (size_t)(PAGE_SIZE - (from & ~PAGE_MASK)));
		paddr_t pa;

		if (!pt_peek(root, from, &pa) || pa >= hal_direct_map_length || command_peek(to, hal_phys_to_virt(pa), part))
			return -EFAULT;
		to = (u8 *)to + part;
		from += part;
		n -= part;
	}
	return n ? command_peek(to, (const void *)(uintptr_t)from, n) : 0;
}

/* ---- page -------------------------------------------------------------------------------------- */

static const char *const type_names[] = {
	[PAGE_RESERVED] = "not the allocator's", [PAGE_FREE] = "free", [PAGE_CACHED] = "free, in a CPU's list",
	[PAGE_KERNEL] = "kernel memory", [PAGE_SLAB] = "slab", [PAGE_TABLE] = "page table", [PAGE_USER] = "user memory",
	[PAGE_TAIL] = "part of a larger block",
};

static void show_slab_object(struct command_io *io, const struct page *slab, const struct page *copy, paddr_t pa)
{
	struct kmem_cache c;
	char name[32];
	u64 offset = pa - page_to_phys(slab);

	if (!COMMAND_LOAD(c, copy->slab.cache) || !c.stride) {
		command_printf(io, " its cache %p is damaged\n", (void *)copy->slab.cache);
		return;
	}
	command_peek_string(name, sizeof(name), c.name);
	command_printf(io, " cache %s: byte %lld of object %llu at %p, %u of %u in use\n", name,
		       (long long)(offset % c.stride) - (long long)c.offset, (unsigned long long)(offset / c.stride),
		       (u8 *)page_address(slab) + offset / c.stride * c.stride + c.offset, copy->slab.inuse, copy->slab.total);
}

static void show_frame(struct command_io *io, paddr_t pa)
{
	struct page *page = pfn_to_page(pa >> PAGE_SHIFT), copy;

	if (!pfn_valid(pa >> PAGE_SHIFT) || !COMMAND_LOAD(copy, page)) {
		command_printf(io, " physical address %llx has no frame entry\n", (unsigned long long)pa);
		return;
	}
	command_printf(io, " frame %llx (%p): %s, order %u, count %d, pins %d, flags %x\n",
		       (unsigned long long)(pa >> PAGE_SHIFT), (void *)page,
		       copy.type < ARRAY_SIZE(type_names) ? type_names[copy.type] : "damaged", copy.order,
		       atomic_load_relaxed(&copy.refcount), atomic_load_relaxed(&copy.pins), copy.flags);
	if (copy.type == PAGE_TAIL && COMMAND_LOAD(copy, page = copy.head))
		command_printf(io, " the block begins with frame %llx: %s\n", (unsigned long long)page_to_pfn(page),
			       copy.type < ARRAY_SIZE(type_names) ? type_names[copy.type] : "damaged");
	if (copy.type == PAGE_SLAB)
		show_slab_object(io, page, &copy, pa);
	else if (copy.type == PAGE_TABLE)
		command_printf(io, " %u entries in use\n", copy.pt.live);
	else if (copy.type == PAGE_USER)
		command_printf(io, " object %p, page %llu of it\n", (void *)copy.object, (unsigned long long)copy.index);
}

/* In which part of the address space (docs/memory.md). */
static void show_region(struct command_io *io, vaddr_t va)
{
	u64 offset;
	const char *name = symbol_nearest(va, &offset);

	if (!canonical(va))
		command_printf(io, " %016llx is not canonical\n", (unsigned long long)va);
	else if (va < HAL_USER_END)
		command_printf(io, " %016llx is a user address\n", (unsigned long long)va);
	else if (name)
		command_printf(io, " %016llx is in the kernel image: %s+0x%llx\n", (unsigned long long)va, name,
			       (unsigned long long)offset);
	else if (kmap_is_guard(va))
		command_printf(io, " %016llx is in the guard page of a kernel stack\n", (unsigned long long)va);
	else
		command_printf(io, " %016llx is %s\n", (unsigned long long)va,
			       hal_is_direct_map(va) ? "in the direct map" :
			       va >= HAL_FRAME_TABLE_BASE && va < HAL_FRAME_TABLE_END ? "in the frame table" :
			       va >= HAL_KMAP_BASE && va < HAL_KMAP_END ? "a stack, vmalloc or device memory" :
			       va >= HAL_KASAN_BASE && va < HAL_KASAN_END ? "in KASAN's shadow" : "in no part of the address space");
}

static void command_page(struct command_io *io, int argc, char **argv)
{
	vaddr_t va = 0;
	paddr_t pa;

	if (argc > 1 ? !command_number(io, argv[1], &va) : !panic_fault_address(&va))
		return;
	show_region(io, va);
	if (hal_is_direct_map(va))
		show_frame(io, hal_virt_to_phys((const void *)(uintptr_t)va));
	else if (pt_peek(hal_pt_root_current(), va, &pa))
		show_frame(io, pa);
	else
		command_printf(io, " nothing is mapped there\n");
}
DEBUG_COMMAND(page, "[address]", "what an address is, and its page frame", command_page);

/* ---- mem --------------------------------------------------------------------------------------- */

static void kib_line(struct command_io *io, const char *what, u64 pages)
{
	command_printf(io, "%-14s %10llu KiB\n", what, (unsigned long long)(pages * (PAGE_SIZE / KIB)));
}

static void command_mem(struct command_io *io, int argc, char **argv)
{
	u64 counts[PAGE_MAX_ORDER + 1];
	struct mm_stats s;

	(void)argc, (void)argv;
	mm_stats(&s);
	kib_line(io, "total", s.total);
	kib_line(io, "free", s.free);
	kib_line(io, "slab", s.slab);
	kib_line(io, "page tables", s.tables);
	kib_line(io, "stacks", s.stacks);
	kib_line(io, "vmalloc", s.vmalloc);
	kib_line(io, "user", s.user);
	kib_line(io, "frame table", s.frame_table);
	for (u32 i = 0; i < mm_nodes * ZONE_COUNT; i++) {
		u32 node = i / ZONE_COUNT, zone = i % ZONE_COUNT;

		mm_buddy_counts(node, zone, counts);
		command_printf(io, "node %u, %s 4 GiB, free blocks of 4 KiB << 0 to %u:", node, zone ? "above" : "below",
			       PAGE_MAX_ORDER);
		for (u32 o = 0; o <= PAGE_MAX_ORDER; o++)
			command_printf(io, " %llu", (unsigned long long)counts[o]);
		command_printf(io, "\n");
	}
}
DEBUG_COMMAND(mem, "", "how much memory is used for what", command_mem);
