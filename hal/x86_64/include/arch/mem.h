/* SPDX-License-Identifier: MIT */
#ifndef ARCH_MEM_H
#define ARCH_MEM_H

#include <lib/types.h>

/* Address space, docs/memory.md. */
#define HAL_USER_FIRST		0x0000000000010000ull	/* default mmap_min_addr */
#define HAL_USER_END		0x00007ffffffff000ull	/* Linux's TASK_SIZE_MAX: the last page is the SYSRET hole */
#define HAL_FRAME_TABLE_BASE	0xffffc00000000000ull
#define HAL_FRAME_TABLE_END	0xffffd00000000000ull
#define HAL_KMAP_BASE		0xffffd00000000000ull	/* stacks, MMIO, vmalloc */
#define HAL_KMAP_END		0xffffec0000000000ull
#define HAL_KASAN_BASE		0xffffec0000000000ull
#define HAL_KASAN_END		0xfffffc0000000000ull
#define HAL_ENTRY_BASE		0xfffffe0000000000ull	/* per-CPU entry areas */
#define HAL_ENTRY_END		0xfffffe8000000000ull
#define HAL_IMAGE_BASE		0xffffffff80000000ull

static __always_inline void *hal_phys_to_virt(paddr_t pa)
{
	return (void *)(pa + hal_direct_map_base);
}

static __always_inline paddr_t hal_virt_to_phys(const void *va)
{
	return (u64)va - hal_direct_map_base;
}

static __always_inline paddr_t hal_image_to_phys(const void *va)
{
	return (u64)va - hal_image_slide;
}

static __always_inline bool hal_is_direct_map(vaddr_t va)
{
	return va - hal_direct_map_base < hal_direct_map_length;
}

#endif
