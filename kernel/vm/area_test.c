/* SPDX-License-Identifier: MIT */
/*
 * Areas against a model: one byte per page of a window says what is mapped there. Random mmap, munmap and
 * mprotect calls go to both; after each, the areas must say what the model says, neighbours that are alike
 * must be one area, and the tree must hold its invariants.
 */
#include <kernel/core/selftest.h>
#include <lib/string.h>

#include "internal.h"

#define WINDOW_BASE	0x40000000ULL
#define WINDOW_PAGES	128U
#define ROUNDS		1500U

/* A generator of its own: runs repeat. */
static u32 test_random(u32 *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

struct model {
	struct vm_space *s;
	u8 page[WINDOW_PAGES];		/* 0: nothing, else 1 + PROT_* */
	u32 seed;
};

static bool model_agrees(struct model *m)
{
	struct vm_area *a, *prev = NULL;
	u32 i = 0;

	rb_for_each_entry(a, &m->s->areas, node) {
		u32 first = (u32)((a->start - WINDOW_BASE) / PAGE_SIZE);
		u32 stop = (u32)((a->end - WINDOW_BASE) / PAGE_SIZE);

		for (; i < first; i++) {
			if (m->page[i])
				return false;
		}
		for (; i < stop; i++) {
			if (m->page[i] != 1 + (a->flags & AREA_PROT))
				return false;
		}
		if (prev && prev->end == a->start && prev->flags == a->flags)
			return false;
		prev = a;
	}
	for (; i < WINDOW_PAGES; i++) {
		if (m->page[i])
			return false;
	}
	return area_tree_ok(m->s);
}

static void model_map(struct model *m, u32 first, u32 n, u32 prot)
{
	struct vm_map_request req = {
		.addr = WINDOW_BASE + first * PAGE_SIZE, .len = n * PAGE_SIZE, .prot = prot,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
	};
	vaddr_t at;

	EXPECT_EQ(vm_map(m->s, &req, &at), 0);
	EXPECT_EQ(at, req.addr);
	memset(m->page + first, (int)(1 + prot), n);
}

static void model_unmap(struct model *m, u32 first, u32 n)
{
	EXPECT_EQ(vm_unmap(m->s, WINDOW_BASE + first * PAGE_SIZE, n * PAGE_SIZE), 0);
	memset(m->page + first, 0, n);
}

/* Stops at the first hole, as mprotect(2) does, with what came before changed. */
static void model_protect(struct model *m, u32 first, u32 n, u32 prot)
{
	u32 i;
	int want = 0;

	for (i = first; i < first + n; i++) {
		if (!m->page[i]) {
			want = -ENOMEM;
			break;
		}
		m->page[i] = (u8)(1 + prot);
	}
	EXPECT_EQ(vm_protect(m->s, WINDOW_BASE + first * PAGE_SIZE, n * PAGE_SIZE, prot), want);
}

/* The highest (or lowest) run of n free pages in the window, by looking at each. */
static vaddr_t model_gap(const struct model *m, u32 n, bool down)
{
	u32 i, k;

	for (i = 0; i + n <= WINDOW_PAGES; i++) {
		u32 at = down ? WINDOW_PAGES - n - i : i;

		for (k = 0; k < n && !m->page[at + k]; k++)
			;
		if (k == n)
			return WINDOW_BASE + at * PAGE_SIZE;
	}
	return 0;
}

static void model_step(struct model *m)
{
	u32 first = test_random(&m->seed) % WINDOW_PAGES;
	u32 n = 1 + test_random(&m->seed) % MIN(WINDOW_PAGES - first, 16U);
	u32 prot = test_random(&m->seed) % 4;
	bool down = test_random(&m->seed) % 2;

	switch (test_random(&m->seed) % 4) {
	case 0:
		model_map(m, first, n, prot);
		break;
	case 1:
		model_unmap(m, first, n);
		break;
	case 2:
		model_protect(m, first, n, prot);
		break;
	default:
		EXPECT_EQ(area_find_gap(m->s, n * PAGE_SIZE, WINDOW_BASE,
					WINDOW_BASE + WINDOW_PAGES * PAGE_SIZE, down),
			  model_gap(m, n, down));
	}
}

SELFTEST(vm, areas_follow_a_model)
{
	struct model m = { .seed = 12345 };
	u32 i;

	REQUIRE(!vm_space_create(&m.s));
	for (i = 0; i < ROUNDS; i++) {
		model_step(&m);
		if (!EXPECT(model_agrees(&m)))
			break;
	}
	vm_space_put(m.s);
}

SELFTEST(vm, mmap_errors)
{
	struct vm_map_request req = {
		.prot = PROT_READ, .flags = MAP_PRIVATE | MAP_ANONYMOUS,
	};
	struct vm_space *s;
	vaddr_t at, other;

	REQUIRE(!vm_space_create(&s));
	EXPECT_EQ(vm_map(s, &req, &at), -EINVAL);
	req.len = ~0ULL;
	EXPECT_EQ(vm_map(s, &req, &at), -ENOMEM);
	req.len = HAL_USER_END + PAGE_SIZE;
	EXPECT_EQ(vm_map(s, &req, &at), -ENOMEM);
	req.len = 4 * PAGE_SIZE;
	EXPECT_EQ(vm_map(s, &req, &at), 0);
	EXPECT_EQ(at, ALIGN_DOWN(HAL_USER_END, PAGE_SIZE) - 4 * PAGE_SIZE);
	req.flags |= MAP_FIXED_NOREPLACE;
	req.len = PAGE_SIZE;
	req.addr = at + PAGE_SIZE;
	EXPECT_EQ(vm_map(s, &req, &other), -EEXIST);
	req.addr = at + 1;
	EXPECT_EQ(vm_map(s, &req, &other), -EINVAL);
	EXPECT_EQ(vm_unmap(s, at + 1, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(vm_unmap(s, at, 0), -EINVAL);
	EXPECT_EQ(vm_unmap(s, HAL_USER_END, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(vm_protect(s, at, 8 * PAGE_SIZE, PROT_READ), -ENOMEM);
	EXPECT_EQ(vm_protect(s, at, PAGE_SIZE, 0x100), -EINVAL);
	EXPECT_EQ(vm_advise(s, at, PAGE_SIZE, 77), -EINVAL);
	EXPECT_EQ(vm_remap(s, at, PAGE_SIZE, 0, 0, 0, &other), -EINVAL);
	EXPECT_EQ(vm_remap(s, at - 16 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, 0, 0, &other), -EFAULT);
	vm_space_put(s);
}

SELFTEST(vm, brk_moves)
{
	struct vm_space *s;

	REQUIRE(!vm_space_create(&s));
	s->start_brk = s->brk = WINDOW_BASE;
	EXPECT_EQ(vm_brk(s, 0), WINDOW_BASE);
	EXPECT_EQ(vm_brk(s, WINDOW_BASE + 10), WINDOW_BASE + 10);
	EXPECT_EQ(vm_brk(s, WINDOW_BASE + 3 * PAGE_SIZE + 1), WINDOW_BASE + 3 * PAGE_SIZE + 1);
	EXPECT_EQ(s->total_pages, 4);
	EXPECT_EQ(s->nr_areas, 1);
	EXPECT_EQ(vm_brk(s, WINDOW_BASE + PAGE_SIZE), WINDOW_BASE + PAGE_SIZE);
	EXPECT_EQ(s->total_pages, 1);
	EXPECT_EQ(vm_brk(s, WINDOW_BASE - 1), WINDOW_BASE + PAGE_SIZE);
	EXPECT_EQ(vm_brk(s, WINDOW_BASE), WINDOW_BASE);
	EXPECT_EQ(s->nr_areas, 0);
	vm_space_put(s);
}
