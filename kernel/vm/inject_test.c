/* SPDX-License-Identifier: MIT */
/*
 * Every allocation may fail. Each operation runs with its first, second, third ... allocation failing, until a run
 * completes with none failed; after each run every page, table and commitment is back.
 */
#include <kernel/core/selftest.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/thread.h>
#include <lib/string.h>

#include "internal.h"

#define BASE		0x70000000ULL
#define MAX_RUNS	400U

static struct thread *injected;		/* only this thread's allocations fail */
static u32 countdown;			/* at 1 the next one fails */
static bool hit;

static bool inject(size_t bytes, u32 flags)
{
	(void)bytes;
	(void)flags;
	if (current_thread() != injected || !countdown || --countdown)
		return false;
	hit = true;
	return true;
}

struct books {
	u64 user, tables, committed, objects;
};

static struct books books_now(void)
{
	struct mm_stats st;

	table_cache_drain();
	mm_stats(&st);
	return (struct books){ st.user, st.tables, vm_committed_pages(), vm_object_total_pages() };
}

/* Makes a space with private and shared memory, each partly touched. NULL when that failed. */
static struct vm_space *build_space(void)
{
	struct vm_map_request req = {
		.addr = BASE, .len = 20 * PAGE_SIZE, .prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	};
	struct vm_space *s;
	u32 v = 1, i;
	vaddr_t at;

	if (vm_space_create(&s))
		return NULL;
	if (vm_map(s, &req, &at))
		goto put;
	req.addr += LEAF_SIZE;
	req.flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
	if (vm_map(s, &req, &at))
		goto put;
	for (i = 0; i < 5; i++) {
		if (vm_access_remote(s, BASE + i * PAGE_SIZE, &v, sizeof(v), true, false) != sizeof(v) ||
		    vm_access_remote(s, at + i * PAGE_SIZE, &v, sizeof(v), true, false) != sizeof(v))
			goto put;
	}
	return s;
put:
	vm_space_put(s);
	return NULL;
}

static void op_build(void)
{
	struct vm_space *s = build_space();

	if (s)
		vm_space_put(s);
}

static struct vm_space *prepared;

static void op_fork(void)
{
	struct vm_space *child;

	if (!vm_space_fork(prepared, &child))
		vm_space_put(child);
}

static void op_change(void)
{
	vaddr_t at;

	/* Cuts, a move over tables, and a hole; whatever fails on the way. */
	(void)!vm_protect(prepared, BASE + 3 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	(void)!vm_remap(prepared, BASE + 5 * PAGE_SIZE, 5 * PAGE_SIZE, 9 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &at);
	(void)!vm_unmap(prepared, BASE + PAGE_SIZE, PAGE_SIZE);
	EXPECT(area_tree_ok(prepared));
}

/* Until a run in which nothing failed. */
static void run_injected(void (*prepare)(void), void (*op)(void), void (*finish)(void))
{
	u32 n;

	for (n = 1; n < MAX_RUNS; n++) {
		struct books before = books_now(), after;

		if (prepare)
			prepare();
		hit = false;
		countdown = n;
		op();
		countdown = 0;
		if (finish)
			finish();
		after = books_now();
		if (!EXPECT_EQ(after.user, before.user) || !EXPECT_EQ(after.tables, before.tables) ||
		    !EXPECT_EQ(after.committed, before.committed) ||
		    !EXPECT_EQ(after.objects, before.objects) || !hit)
			break;
	}
	EXPECT(n < MAX_RUNS && n > 1);
}

static void prepare_space(void)
{
	prepared = build_space();
	VERIFY(prepared);
}

static void finish_space(void)
{
	vm_space_put(prepared);
}

SELFTEST(vm, allocations_may_fail)
{
	bool (*old)(size_t, u32) = mm_fail_hook;

	injected = current_thread();
	countdown = 0;
	mm_fail_hook = inject;
	run_injected(NULL, op_build, NULL);
	run_injected(prepare_space, op_fork, finish_space);
	run_injected(prepare_space, op_change, finish_space);
	mm_fail_hook = old;
}
