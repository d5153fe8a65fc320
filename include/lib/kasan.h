/* SPDX-License-Identifier: MIT */
#ifndef LIB_KASAN_H
#define LIB_KASAN_H

/*
 * Shadow memory of the debug kernel (HALCYON_KASAN): one byte for each 8 bytes of kernel addresses says which of
 * them may be touched. The compiler puts a look at it before each access; code that it does not see (assembly,
 * whole ranges) asks here. kernel/mm/kasan.c has the theory. Everything here is nothing in the other builds.
 *
 * All functions: any context, no locks, cannot fail. Ranges lie in kernel addresses; size 0 is allowed.
 */
#include <lib/compiler.h>

/* For a function that touches what it must not, on purpose: no looks at the shadow. */
#define __no_kasan __attribute__((no_sanitize_address))
/* The same for a small one that is otherwise inlined. */
#if HALCYON_KASAN
#define __no_kasan_inline noinline __no_kasan
#else
#define __no_kasan_inline __always_inline
#endif

/* Values of a shadow byte. 0: all 8 bytes may be touched; 1 to 7: only the first so many; these: none, and why. */
#define KASAN_FREE_PAGE		0xffu
#define KASAN_PAGE_REDZONE	0xfeu	/* behind a kmalloc of whole pages */
#define KASAN_SLAB_REDZONE	0xfcu
#define KASAN_SLAB_FREE		0xfbu
#define KASAN_GLOBAL		0xf9u
#define KASAN_STACK_SCOPE	0xf8u	/* compiler: out of scope */
#define KASAN_VMALLOC		0xf7u	/* behind, or freed */
#define KASAN_STACK_FREE	0xf6u	/* a kernel stack that nobody runs on */
#define KASAN_STACK_LEFT	0xf1u	/* compiler: red zones of stack objects */
#define KASAN_STACK_MID		0xf2u
#define KASAN_STACK_RIGHT	0xf3u

#if HALCYON_KASAN

/* addr is a multiple of 8; the last, partial 8 bytes are poisoned whole. */
void kasan_poison(const void *addr, size_t size, u8 value);
/* addr is a multiple of 8; of the last 8 bytes exactly those of the range may be touched. */
void kasan_unpoison(const void *addr, size_t size);
/* Reports if one of the bytes may not be touched. Returns whether all may. */
bool kasan_check_at(const void *addr, size_t size, bool write, vaddr_t place);
/* Would it report? Never does. */
bool kasan_allows(const void *addr, size_t size);

#define kasan_check_read(p, n)	(void)kasan_check_at((p), (n), false, (vaddr_t)__builtin_return_address(0))
#define kasan_check_write(p, n)	(void)kasan_check_at((p), (n), true, (vaddr_t)__builtin_return_address(0))

#else

#define kasan_poison(p, n, v)	((void)(p), (void)(n), (void)(v))
#define kasan_unpoison(p, n)	((void)(p), (void)(n))
#define kasan_check_read(p, n)	((void)(p), (void)(n))
#define kasan_check_write(p, n)	((void)(p), (void)(n))
#define kasan_allows(p, n)	((void)(p), (void)(n), true)

#endif

/*
 * memcpy, memmove and memset that do not look at the shadow. What is compiled without the compiler's looks uses these
 * under the ordinary names.
 */
#if HALCYON_KASAN
void *raw_memcpy(void *dst, const void *src, size_t n);
void *raw_memmove(void *dst, const void *src, size_t n);
void *raw_memset(void *dst, int c, size_t n);
#ifndef __SANITIZE_ADDRESS__
#define memcpy(d, s, n)		raw_memcpy((d), (s), (n))
#define memmove(d, s, n)	raw_memmove((d), (s), (n))
#define memset(d, c, n)		raw_memset((d), (c), (n))
#endif
#endif

#endif
