/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_KMAP_H
#define KERNEL_MM_KMAP_H

/*
 * Kernel mappings outside the direct map: stacks with guard pages, device registers, large memory that
 * need not be contiguous. Every mapping is followed by a page that is never mapped.
 */
#include <hal/pt.h>
#include <kernel/mm/page.h>

#define KSTACK_PAGES	(4u << HALCYON_KASAN)	/* KASAN's red zones make frames larger */
#define KSTACK_SIZE	(KSTACK_PAGES * PAGE_SIZE)	/* 16 KiB, and a guard page below */

/* A stack: *base is its lowest byte. The contents are anything. Thread context. 0 or -ENOMEM. */
int __must_check kmap_stack_alloc(vaddr_t *base);
/* Any context. Nobody runs on it any more. */
void kmap_stack_free(vaddr_t base);
/* Is the address in a guard page of a stack? For the report of a stack overflow. Any context. */
bool kmap_is_guard(vaddr_t va);

/*
 * Maps [pa, pa + size) with HAL_PT_READ | WRITE and attr: HAL_PT_DEVICE, HAL_PT_WC, or 0 for ordinary
 * memory that the direct map does not hold (firmware tables). Any alignment. Thread context or boot.
 * NULL when there is no room.
 */
void *kmap_mmio(paddr_t pa, size_t size, u32 attr);
/* Undoes kmap_mmio(); the pointer as it was returned. Thread context. */
void kmap_unmap(void *p);

/* Contiguous in virtual memory only; page-aligned; MM_ZERO or not. Thread context. NULL: no memory. */
void *vmalloc(size_t size, u32 flags);
void vfree(void *p);
/* Gives back what vfree() has put aside until a flush: waits for other CPUs. Thread context. */
void kmap_purge(void);
/* [I] Set when there are timers: calls kmap_purge() within a millisecond, in a thread. Without it vfree() does so itself. */
extern void (*kmap_purge_later_hook)(void);
/* kmalloc when it is small enough to be found, else vmalloc. kvfree takes both, and NULL. */
void *kvmalloc(size_t size, u32 flags);
void kvfree(void *p);
bool is_vmalloc(const void *p);
/* The page behind an address of vmalloc memory. */
struct page *vmalloc_to_page(const void *p);

/* Boot, after slab_init(). */
void kmap_init(void);

/* The i-th mapping, ordered by address (/proc/vmallocinfo); false past the last one. Thread context. */
struct kmap_info {
	vaddr_t start;
	u64 size;
	paddr_t phys;		/* of kmap_mmio() */
	const char *kind;	/* "vmalloc", "mmio"; "freed": vmalloc memory that waits for a flush */
};
bool kmap_info_nth(u32 i, struct kmap_info *out);

#endif
