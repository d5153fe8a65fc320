/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_LEAK_H
#define KERNEL_MM_LEAK_H

/*
 * Accounts of everything that is allocated, to find what was not given back. Debug and check kernels; in the release
 * kernel mm_leak_ignore() is nothing and the rest is not there.
 *
 * mm_leak_mark() notes how many objects of each cache, and pages of each use, are in use. mm_leak_report() counts
 * again and names every kind of which there are more than at the mark, with what of it was allocated since and by
 * whom. Both look at objects and frames themselves, so what lies in magazines, lists of free pages or
 * quarantine is free to them; what caches hold by intent (dentries, empty page tables, kernel stacks) the caller
 * empties before, see debug_leak_quiesce().
 */
#include <lib/compiler.h>
#include <lib/types.h>

enum leak_mark {
	LEAK_BOOT,	/* before the first program: what the check at power-off compares with */
	LEAK_USER,	/* /proc/halcyon/leaks */
	LEAK_TEST,	/* self tests */
	LEAK_MARKS,
};

#if HALCYON_DEBUG
/* Thread context; one caller at a time. */
void mm_leak_mark(enum leak_mark m);
/* Prints through emit, one line a call. Returns how many kinds grew: 0 is good. Thread context; one caller at a time. */
u32 mm_leak_report(enum leak_mark m, void (*emit)(void *arg, const char *line), void *arg);
/* Was p, from a slab, allocated after that mark? */
bool mm_leak_is_later(enum leak_mark m, const void *p);
/* p, from a slab, kmalloc or page_alloc(), stays for good: a table that only grows, made on first use. */
void mm_leak_ignore(const void *p);
#else
static inline void mm_leak_ignore(const void *p)
{
	(void)p;
}
#endif

#endif
