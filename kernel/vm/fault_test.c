/* SPDX-License-Identifier: MIT */
/* Faults, copy-on-write, fork, mremap: contents, verdicts, and that every page and table comes back. */
#include <kernel/core/selftest.h>
#include <lib/string.h>

#include "internal.h"

#define BASE	0x50000000ULL
#define PAGES	40U

static struct vm_space *test_space(u32 prot, u32 more_flags)
{
	struct vm_map_request req = {
		.addr = BASE, .len = PAGES * PAGE_SIZE, .prot = prot,
		.flags = MAP_ANONYMOUS | MAP_FIXED | more_flags,
	};
	struct vm_space *s;
	vaddr_t at;

	if (vm_space_create(&s))
		return NULL;
	if (vm_map(s, &req, &at)) {
		vm_space_put(s);
		return NULL;
	}
	return s;
}

static u32 peek(struct vm_space *s, vaddr_t at)
{
	u32 v = ~0U;

	EXPECT_EQ(vm_access_remote(s, at, &v, sizeof(v), false, false), sizeof(v));
	return v;
}

static void poke(struct vm_space *s, vaddr_t at, u32 v)
{
	EXPECT_EQ(vm_access_remote(s, at, &v, sizeof(v), true, false), sizeof(v));
}

/* The frame that is mapped at an address; 0: none. */
static paddr_t frame_at(struct vm_space *s, vaddr_t at)
{
	struct page *table = table_find_leaf(s, at);
	hal_pte_t e = table ? hal_pte_read(leaf_entry(table, at)) : hal_pte_none();

	return hal_pte_present(e) ? hal_pte_paddr(e, 0) : 0;
}

struct counts {
	u64 user, tables, committed;
};

static struct counts counts_now(void)
{
	struct mm_stats st;

	table_cache_drain();
	mm_stats(&st);
	return (struct counts){ st.user, st.tables, vm_committed_pages() };
}

static void counts_expect(struct counts before)
{
	struct counts now = counts_now();

	EXPECT_EQ(now.user, before.user);
	EXPECT_EQ(now.tables, before.tables);
	EXPECT_EQ(now.committed, before.committed);
}

SELFTEST(vm, demand_zero)
{
	struct counts before = counts_now();
	struct vm_space *s = test_space(PROT_READ | PROT_WRITE, MAP_PRIVATE);

	REQUIRE(s);
	EXPECT_EQ(peek(s, BASE), 0);
	EXPECT_EQ(frame_at(s, BASE), page_to_phys(vm_zero_page));
	EXPECT_EQ(vm_space_rss(s), 0);
	poke(s, BASE + 8, 77);
	EXPECT(frame_at(s, BASE) != page_to_phys(vm_zero_page));
	EXPECT_EQ(vm_space_rss(s), 1);
	EXPECT_EQ(peek(s, BASE), 0);
	EXPECT_EQ(peek(s, BASE + 8), 77);
	EXPECT_EQ(vm_advise(s, BASE, PAGE_SIZE, MADV_DONTNEED), 0);
	EXPECT_EQ(peek(s, BASE + 8), 0);
	vm_space_put(s);
	counts_expect(before);
}

SELFTEST(vm, fault_verdicts)
{
	struct vm_space *s = test_space(PROT_READ, MAP_PRIVATE);

	REQUIRE(s);
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_READ), VM_FAULT_OK);
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_WRITE), VM_FAULT_SEGV_ACCERR);
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_EXEC), VM_FAULT_SEGV_ACCERR);
	EXPECT_EQ(vm_fault(s, BASE - 1, VM_ACCESS_READ), VM_FAULT_SEGV_MAPERR);
	EXPECT_EQ(vm_fault(s, HAL_USER_END, VM_ACCESS_READ), VM_FAULT_SEGV_MAPERR);
	EXPECT_EQ(vm_fault(s, ~0ULL, VM_ACCESS_READ), VM_FAULT_SEGV_MAPERR);
	EXPECT_EQ(vm_protect(s, BASE, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_READ), VM_FAULT_SEGV_ACCERR);
	vm_space_put(s);
}

SELFTEST(vm, fork_copies_on_write)
{
	struct counts before = counts_now();
	struct vm_space *s = test_space(PROT_READ | PROT_WRITE, MAP_PRIVATE), *child;
	paddr_t frame;
	u32 i;

	REQUIRE(s);
	for (i = 0; i < PAGES; i++)
		poke(s, BASE + i * PAGE_SIZE, 100 + i);
	REQUIRE(!vm_space_fork(s, &child));
	EXPECT_EQ(vm_space_rss(child), PAGES);
	frame = frame_at(s, BASE);
	EXPECT_EQ(frame_at(child, BASE), frame);
	EXPECT_EQ(page_ref_count(phys_to_page(frame)), 2);
	poke(child, BASE, 1);
	EXPECT_EQ(peek(s, BASE), 100);
	EXPECT_EQ(peek(child, BASE), 1);
	EXPECT_EQ(page_ref_count(phys_to_page(frame)), 1);
	/* The other side is the sole owner now: its write takes the page as it is. */
	poke(s, BASE, 2);
	EXPECT_EQ(frame_at(s, BASE), frame);
	EXPECT_EQ(peek(child, BASE), 1);
	vm_space_put(child);
	for (i = 1; i < PAGES; i++)
		EXPECT_EQ(peek(s, BASE + i * PAGE_SIZE), 100 + i);
	vm_space_put(s);
	counts_expect(before);
}

SELFTEST(vm, fork_shares_shared)
{
	struct counts before = counts_now();
	struct vm_space *s = test_space(PROT_READ | PROT_WRITE, MAP_SHARED), *child;

	REQUIRE(s);
	poke(s, BASE, 5);
	REQUIRE(!vm_space_fork(s, &child));
	poke(child, BASE, 6);
	poke(child, BASE + PAGE_SIZE, 7);
	EXPECT_EQ(peek(s, BASE), 6);
	EXPECT_EQ(peek(s, BASE + PAGE_SIZE), 7);
	vm_space_put(s);
	EXPECT_EQ(peek(child, BASE), 6);
	vm_space_put(child);
	counts_expect(before);
}

SELFTEST(vm, stack_grows)
{
	struct vm_map_request req = {
		.addr = BASE, .len = PAGE_SIZE, .prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
	};
	struct vm_map_request below = {
		.addr = BASE - 600 * PAGE_SIZE, .len = PAGE_SIZE, .prot = PROT_READ,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	};
	struct vm_space *s;
	vaddr_t at;

	REQUIRE(!vm_space_create(&s));
	EXPECT_EQ(vm_map(s, &req, &at), 0);
	EXPECT_EQ(vm_map(s, &below, &at), 0);
	EXPECT_EQ(vm_fault(s, BASE - 10 * PAGE_SIZE, VM_ACCESS_WRITE), VM_FAULT_OK);
	EXPECT_EQ(s->stack_pages, 11);
	/* Not into the guard gap above the neighbour. */
	EXPECT_EQ(vm_fault(s, BASE - 400 * PAGE_SIZE, VM_ACCESS_WRITE), VM_FAULT_SEGV_MAPERR);
	EXPECT(area_tree_ok(s));
	vm_space_put(s);
}

SELFTEST(vm, mremap_moves_pages)
{
	struct counts before = counts_now();
	struct vm_space *s = test_space(PROT_READ | PROT_WRITE, MAP_PRIVATE);
	vaddr_t at;
	paddr_t frame;

	REQUIRE(s);
	poke(s, BASE + PAGE_SIZE, 42);
	frame = frame_at(s, BASE + PAGE_SIZE);
	/* Over a 2 MiB boundary, to another offset in its table. */
	EXPECT_EQ(vm_remap(s, BASE, PAGES * PAGE_SIZE, 2 * PAGES * PAGE_SIZE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, BASE + LEAF_SIZE - 3 * PAGE_SIZE, &at), 0);
	EXPECT_EQ(frame_at(s, at + PAGE_SIZE), frame);
	EXPECT_EQ(peek(s, at + PAGE_SIZE), 42);
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_READ), VM_FAULT_SEGV_MAPERR);
	EXPECT_EQ(s->total_pages, 2 * PAGES);
	EXPECT(area_tree_ok(s));
	EXPECT_EQ(vm_unmap(s, at, 2 * PAGES * PAGE_SIZE), 0);
	EXPECT_EQ(atomic64_load(&s->table_pages), 1);
	vm_space_put(s);
	counts_expect(before);
}

SELFTEST(vm, forced_write_copies)
{
	struct vm_space *s = test_space(PROT_READ, MAP_PRIVATE);
	u32 v = 9;

	REQUIRE(s);
	EXPECT_EQ(vm_access_remote(s, BASE, &v, sizeof(v), true, false), 0);
	EXPECT_EQ(vm_access_remote(s, BASE, &v, sizeof(v), true, true), sizeof(v));
	EXPECT_EQ(peek(s, BASE), 9);
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_WRITE), VM_FAULT_SEGV_ACCERR);
	vm_space_put(s);
}
