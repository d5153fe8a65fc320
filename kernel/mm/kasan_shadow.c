/* SPDX-License-Identifier: MIT */
/*
 * Where KASAN's shadow gets its memory from, and when.
 *
 * At boot all shadow but the image's is one page of zeros behind shared tables (hal/shadow.h). A piece of the
 * kernel's address space gets shadow of its own when it comes into use:
 *
 *	direct map	with its section of the frame table (frame.c). A section is 16 MiB, its shadow 2 MiB: one large
 *			page, cut from the section itself where that has such a block. So the shadow costs an eighth
 *			of the memory that is used, not of the memory that the machine has, and boot stays short.
 *	kernel stacks	with the stack's pages: 32 KiB of stack have one page of shadow
 *	vmalloc		with the area; areas are whole 32 KiB apart in this build, so no two share a page of shadow
 *
 * Memory below the level of sections (what the loader and the firmware use, the frame table, device registers) stays with
 * zeros. Shadow pages of stacks and areas go back with them; tables never do, as everywhere in the kernel half.
 *
 * Top-level entries never change once address spaces copy them: mm_init() sees to those that will be needed. Below, a
 * shared table is replaced by a copy of it, by compare-and-exchange, so that two CPUs may do it at once. The
 * TLB may hold the page of zeros: this CPU's is flushed before it writes to the new shadow. Others are waited for where the
 * context allows it; else (large pages) they may miss poison until they forget, and never lose any.
 */
#define LOG_TAG "kasan"
#include <kernel/core/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "internal.h"
#include "kasan.h"
#include "leak_stamp.h"

#if HALCYON_KASAN

#define SHADOW_PROT (HAL_PT_READ | HAL_PT_WRITE | HAL_PT_GLOBAL)

static u64 shadow_pages;	/* [a] */
static u64 kept_pages;		/* [a] tables of shadows, rings of the quarantine */

static bool frame_from_pages(paddr_t *out)
{
	struct page *page = page_alloc(0, MM_ZERO | MM_NOFAIL_INJECT | MM_NO_OOM);

	if (!page)
		return false;
	leak_ignore_page(page);
	*out = page_to_phys(page);
	return true;
}

static hal_pte_t *table_entry(paddr_t table, vaddr_t va, unsigned int level)
{
	return (hal_pte_t *)hal_phys_to_virt(table) + hal_pt_index(va, level);
}

static bool is_shared(hal_pte_t e, unsigned int level)
{
	return hal_pte_paddr(e, 0) == hal_shadow_zero(level);
}

/* *p leads to a shared table for that level: give it a copy. */
static int unshare(hal_pte_t *p, hal_pte_t old, unsigned int level, bool (*frame)(paddr_t *out))
{
	paddr_t pa;

	if (!frame(&pa))
		return -ENOMEM;
	memcpy(hal_phys_to_virt(pa), hal_phys_to_virt(hal_pte_paddr(old, 0)), PAGE_SIZE);
	if (frame != frame_from_pages)
		(void)hal_pte_cmpxchg(p, old, hal_pte_table(pa, false));
	else if (hal_pte_cmpxchg(p, old, hal_pte_table(pa, false)))
		kasan_count_kept(1);
	else
		page_put(phys_to_page(pa));	/* another CPU was first */
	return 0;
}

/* The entry of a shadow address at that level. NULL: a larger page is there already. */
static int shadow_entry(vaddr_t va, unsigned int level, bool (*frame)(paddr_t *out), hal_pte_t **out)
{
	hal_pte_t *p = table_entry(pt_kernel_root(), va, HAL_PT_LEVELS - 1);

	for (unsigned int l = HAL_PT_LEVELS - 1; l > level;) {
		hal_pte_t e = hal_pte_read(p);

		if (hal_pte_is_leaf(e, l)) {
			*out = NULL;
			return 0;
		}
		if (is_shared(e, l)) {
			int err;

			VERIFY(l < HAL_PT_LEVELS - 1);	/* every address space has its own copy of those */
			err = unshare(p, e, l, frame);

			if (err)
				return err;
			continue;
		}
		p = table_entry(hal_pte_paddr(e, 0), va, --l);
	}
	*out = p;
	return 0;
}

/* First and last byte of the shadow of a range, to whole pages. */
static void shadow_range(vaddr_t va, u64 bytes, vaddr_t *first, vaddr_t *end)
{
	*first = (vaddr_t)(uintptr_t)hal_shadow_of(va) & PAGE_MASK;
	*end = ALIGN_UP((vaddr_t)(uintptr_t)hal_shadow_of(va + bytes - 1) + 1, PAGE_SIZE);
}

int kasan_shadow_make(vaddr_t va, u64 bytes, bool (*frame)(paddr_t *out))
{
	vaddr_t first, end;
	int err = 0;

	if (!bytes)
		return 0;
	if (!frame)
		frame = frame_from_pages;
	shadow_range(va, bytes, &first, &end);
	for (vaddr_t s = first; s < end && !err; s += PAGE_SIZE) {
		hal_pte_t *p;
		paddr_t pa;

		err = shadow_entry(s, 0, frame, &p);
		if (err || !p || !is_shared(hal_pte_read(p), 0))
			continue;
		if (!frame(&pa)) {
			err = -ENOMEM;
			continue;
		}
		hal_pte_write(p, hal_pte_leaf(pa, SHADOW_PROT, 0));
		if (frame == frame_from_pages)
			__atomic_fetch_add(&shadow_pages, 1, __ATOMIC_RELAXED);
	}
	tlb_flush_kernel(first, end);
	return err;
}

int kasan_shadow_make_large(vaddr_t va, paddr_t block, bool (*frame)(paddr_t *out))
{
	vaddr_t s = (vaddr_t)(uintptr_t)hal_shadow_of(va);
	hal_pte_t *p;
	int err = shadow_entry(s, 1, frame, &p);

	if (err)
		return err;
	memset(hal_phys_to_virt(block), 0, 1ull << hal_pt_shift(1));
	hal_pte_write(p, hal_pte_leaf(block, SHADOW_PROT, 1));
	/*
	 * Any context, so nobody is waited for: another CPU that still has the zeros reads what it should, as the section
	 * is new, and its first write there faults and is tried again (hal/x86_64/shadow.c).
	 */
	hal_tlb_flush_local_kernel(s, s + (1ull << hal_pt_shift(1)));
	return 0;
}

void kasan_shadow_release(vaddr_t va, u64 bytes)
{
	hal_pte_t zero = hal_pte_leaf(hal_shadow_zero(0), HAL_PT_READ, 0);
	struct page *page, *next;
	vaddr_t first, end;
	LIST_HEAD(gone);

	if (!bytes)
		return;
	shadow_range(va, bytes, &first, &end);
	for (vaddr_t s = first; s < end; s += PAGE_SIZE) {
		hal_pte_t *p = pt_lookup_leaf(pt_kernel_root(), s), e;

		if (!p || is_shared(hal_pte_read(p), 0))
			continue;
		e = hal_pte_xchg(p, zero);
		page = phys_to_page(hal_pte_paddr(e, 0));
		list_add_tail(&page->node, &gone);
	}
	tlb_flush_kernel(first, end);
	list_for_each_entry_safe(page, next, &gone, node) {
		page_put(page);
		__atomic_fetch_sub(&shadow_pages, 1, __ATOMIC_RELAXED);
	}
}

u64 kasan_shadow_pages(void)
{
	return __atomic_load_n(&shadow_pages, __ATOMIC_RELAXED);
}

void kasan_count_kept(u64 pages)
{
	__atomic_fetch_add(&kept_pages, pages, __ATOMIC_RELAXED);
}

u64 kasan_kept_pages(void)
{
	return __atomic_load_n(&kept_pages, __ATOMIC_RELAXED);
}

#endif
