/* SPDX-License-Identifier: MIT */
#ifndef HAL_MEM_H
#define HAL_MEM_H

/*
 * Physical memory as the kernel sees it, and whole-page operations. The HAL also replaces lib's
 * memcpy, memmove and memset by versions for this machine.
 *
 * Inline (arch/mem.h), any context:
 *	void *hal_phys_to_virt(paddr_t)		only for RAM that the direct map holds
 *	paddr_t hal_virt_to_phys(const void *)	only for direct-map addresses
 *	paddr_t hal_image_to_phys(const void *)	only for addresses in the kernel image
 *	bool hal_is_direct_map(vaddr_t)
 */
#include <lib/compiler.h>

#define HAL_PAGE_SHIFT	12
#define HAL_PAGE_SIZE	4096ull
#define HAL_PAGE_MASK	(~(HAL_PAGE_SIZE - 1))

extern u64 hal_direct_map_base;		/* [I] after hal_early_init */
extern u64 hal_direct_map_length;	/* [I] bytes */
extern u64 hal_image_slide;		/* [I] virtual address - physical address of the image */

#include <arch/mem.h>

/* Whole pages; dst and src are page-aligned and do not overlap. Any context. */
void hal_copy_page(void *dst, const void *src);
void hal_zero_page(void *page);

#endif
