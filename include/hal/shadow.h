/* SPDX-License-Identifier: MIT */
#ifndef HAL_SHADOW_H
#define HAL_SHADOW_H

/*
 * The shadow of KASAN (lib/kasan.h) as the HAL leaves it to the kernel: from HAL_KASAN_BASE to HAL_KASAN_END everything
 * is mapped before the first instrumented function runs. The image's shadow is memory of its own; all the rest leads,
 * by shared tables, to one page of zeros that cannot be written: "everything may be touched". mm puts real memory in
 * the place of it as kernel memory comes into being (kernel/mm/kasan_shadow.c).
 */
#include <lib/types.h>

#if HALCYON_KASAN

#define HAL_SHADOW_SHIFT	3
#define HAL_SHADOW_OFFSET	0xdffffc0000000000ull	/* the compiler is told the same: Makefile */

static inline u8 *hal_shadow_of(vaddr_t va)
{
	return (u8 *)((va >> HAL_SHADOW_SHIFT) + HAL_SHADOW_OFFSET);
}

/* The address of the first of the 8 bytes. */
static inline vaddr_t hal_shadow_to_virt(const u8 *shadow)
{
	return ((vaddr_t)shadow - HAL_SHADOW_OFFSET) << HAL_SHADOW_SHIFT;
}

/* Physical address of the shared zeros: level 0 the page, level 1 the table of such pages, level 2 of such tables. */
paddr_t hal_shadow_zero(unsigned int level);

/*
 * The stack that an address lies in: the current thread's, the boot stack, this CPU's stacks for traps. False: none.
 * Any context.
 */
bool hal_stack_of(vaddr_t sp, vaddr_t *low, vaddr_t *high);

#endif
#endif
