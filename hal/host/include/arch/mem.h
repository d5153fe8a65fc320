/* SPDX-License-Identifier: MIT */
#ifndef ARCH_MEM_H
#define ARCH_MEM_H

/*
 * The address space of a Linux program, cut up as the kernel expects it: user addresses below, then frame table,
 * kernel mappings, and the direct map, where the arena lies. The sanitizers live elsewhere.
 */
#include <lib/types.h>

#define HAL_USER_FIRST		0x0000000000010000ull
#define HAL_USER_END		0x00002ffffffff000ull
#define HAL_FRAME_TABLE_BASE	0x0000300000000000ull
#define HAL_FRAME_TABLE_END	0x0000310000000000ull
#define HAL_KMAP_BASE		0x0000310000000000ull
#define HAL_KMAP_END		0x0000320000000000ull
#define HAL_KASAN_BASE		HAL_KMAP_END	/* the host has ASan: no shadow of ours */
#define HAL_KASAN_END		HAL_KMAP_END
#define HAL_ENTRY_BASE		0x0000350000000000ull
#define HAL_ENTRY_END		0x0000350000001000ull
#define HOST_DIRECT_MAP		0x0000330000000000ull

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
	return (u64)va;		/* the program's own image has no place in the arena */
}

static __always_inline bool hal_is_direct_map(vaddr_t va)
{
	return va - hal_direct_map_base < hal_direct_map_length;
}

#endif
