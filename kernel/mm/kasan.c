/* SPDX-License-Identifier: MIT */
/*
 * KASAN: every access of the kernel is looked up before it is made.
 *
 * The shadow of an address, one byte for eight, lies at (address >> 3) + HAL_SHADOW_OFFSET. 0: all eight may be
 * touched; 1 to 7: the first so many; above 127: none, and the value says why (lib/kasan.h). The compiler puts the look
 * before each access of C code, inline, and calls __asan_report_* when it does not like what it sees. It also lays red
 * zones round objects on stacks (inline, in the function's prologue) and round global ones (constructors, run by
 * the HAL before kernel_main()). Who hands out memory says what may be touched: slab and kmalloc to the byte,
 * the page allocator, kernel stacks, vmalloc. Assembly that takes a range (memcpy, user copies, whole pages) has
 * wrappers in C that ask kasan_check_at().
 *
 * What is compiled without looks (Makefile, KASAN_PLAIN): these files, and those of the slab, which work on
 * objects that nobody else may touch. They use memcpy() and the like in their raw form (lib/kasan.h).
 *
 * A freed slab object stays in quarantine (quarantine.c) before it is given out again, so that who still uses it meets
 * its poison and not its successor. Objects of SLAB_TYPESAFE_BY_RCU are not poisoned: touching freed ones is what they
 * are for.
 *
 * Noreturn functions. A frame that is left for good leaves its red zones behind, so the compiler calls
 * __asan_handle_no_return() before, which clears the stack from there upwards. A thread's stack is poisoned when it is
 * freed and cleared when it is taken.
 *
 * Locks: none. Shadow bytes belong to whom the memory belongs.
 */
#include <kernel/core/assert.h>
#include <lib/string.h>
#include "kasan.h"

#if HALCYON_KASAN

#define GRANULE		8u
#define MODULES_MAX	512u

void kasan_poison(const void *addr, size_t size, u8 value)
{
	vaddr_t va = (vaddr_t)(uintptr_t)addr;

	ASSERT(va % GRANULE == 0);
	memset(hal_shadow_of(va), value, (size + GRANULE - 1) / GRANULE);
}

void kasan_unpoison(const void *addr, size_t size)
{
	vaddr_t va = (vaddr_t)(uintptr_t)addr;

	ASSERT(va % GRANULE == 0);
	memset(hal_shadow_of(va), 0, size / GRANULE);
	if (size % GRANULE)
		*hal_shadow_of(va + size) = (u8)(size % GRANULE);
}

/* May the last byte of an access be touched, as far as its own shadow byte says? */
static inline bool last_ok(vaddr_t last)
{
	s8 v = (s8)*hal_shadow_of(last);

	return likely(!v) || v > (s8)(last % GRANULE);
}

/* The first byte of the range that may not be touched, or 0. */
static vaddr_t find_bad(vaddr_t addr, size_t size)
{
	vaddr_t last = addr + size - 1;
	const u8 *s = hal_shadow_of(addr), *end = hal_shadow_of(last);

	/* All but the last shadow byte must be 0. Words where there are many. */
	while (s < end && (uintptr_t)s % 8) {
		if (unlikely(*s))
			goto bad;
		s++;
	}
	for (; end - s >= 8; s += 8)
		if (unlikely(*(const u64 __attribute__((may_alias)) *)s))
			break;
	for (; s < end; s++)
		if (unlikely(*s))
			goto bad;
	if (likely(last_ok(last)))
		return 0;
bad:
	for (vaddr_t va = MAX(addr, hal_shadow_to_virt(s)); va <= last; va++)
		if (!last_ok(va))
			return va;
	return 0;
}

static inline bool in_kernel_half(vaddr_t addr, size_t size)
{
	return (s64)addr < 0 && addr + size - 1 >= addr;
}

bool kasan_allows(const void *addr, size_t size)
{
	vaddr_t va = (vaddr_t)(uintptr_t)addr;

	return !size || (in_kernel_half(va, size) && !find_bad(va, size));
}

/* An address of the lower half is let through: the access itself will fault, and that report is better. */
bool kasan_check_at(const void *addr, size_t size, bool write, vaddr_t place)
{
	vaddr_t va = (vaddr_t)(uintptr_t)addr, bad;

	if (unlikely(!size) || unlikely((s64)va >= 0))
		return true;
	bad = in_kernel_half(va, size) ? find_bad(va, size) : va;
	if (likely(!bad))
		return true;
	kasan_report(va, bad, size, write, place);
	return false;
}

/* ---- what the compiler calls (gcc, libsanitizer/include/sanitizer/asan_interface.h) ---------------- */

#define REPORT(n)									\
	void __asan_report_load##n##_noabort(vaddr_t addr);				\
	void __asan_report_store##n##_noabort(vaddr_t addr);				\
	void __asan_report_load##n##_noabort(vaddr_t addr)				\
	{										\
		kasan_report(addr, find_bad(addr, n), n, false,				\
			     (vaddr_t)__builtin_return_address(0));			\
	}										\
	void __asan_report_store##n##_noabort(vaddr_t addr)				\
	{										\
		kasan_report(addr, find_bad(addr, n), n, true,				\
			     (vaddr_t)__builtin_return_address(0));			\
	}
REPORT(1)
REPORT(2)
REPORT(4)
REPORT(8)
REPORT(16)

void __asan_report_load_n_noabort(vaddr_t addr, size_t n);
void __asan_report_load_n_noabort(vaddr_t addr, size_t n)
{
	kasan_report(addr, find_bad(addr, n), n, false, (vaddr_t)__builtin_return_address(0));
}

void __asan_report_store_n_noabort(vaddr_t addr, size_t n);
void __asan_report_store_n_noabort(vaddr_t addr, size_t n)
{
	kasan_report(addr, find_bad(addr, n), n, true, (vaddr_t)__builtin_return_address(0));
}

/* Accesses that gcc does not put inline: sizes that are no power of two. */
#define CHECK(n)									\
	void __asan_load##n##_noabort(vaddr_t addr);					\
	void __asan_store##n##_noabort(vaddr_t addr);					\
	void __asan_load##n##_noabort(vaddr_t addr)					\
	{										\
		(void)kasan_check_at((void *)addr, n, false, (vaddr_t)__builtin_return_address(0));	\
	}										\
	void __asan_store##n##_noabort(vaddr_t addr)					\
	{										\
		(void)kasan_check_at((void *)addr, n, true, (vaddr_t)__builtin_return_address(0));	\
	}
CHECK(1)
CHECK(2)
CHECK(4)
CHECK(8)
CHECK(16)

void __asan_loadN_noabort(vaddr_t addr, size_t n);
void __asan_loadN_noabort(vaddr_t addr, size_t n)
{
	(void)kasan_check_at((void *)addr, n, false, (vaddr_t)__builtin_return_address(0));
}

void __asan_storeN_noabort(vaddr_t addr, size_t n);
void __asan_storeN_noabort(vaddr_t addr, size_t n)
{
	(void)kasan_check_at((void *)addr, n, true, (vaddr_t)__builtin_return_address(0));
}

void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
	vaddr_t sp = (vaddr_t)__builtin_frame_address(0) & ~(vaddr_t)(GRANULE - 1), low, high;

	if (hal_stack_of(sp, &low, &high))
		kasan_unpoison((const void *)sp, high - sp);
}

/* Big objects that come into scope and leave it; small ones are done inline. */
void __asan_poison_stack_memory(vaddr_t addr, size_t size);
void __asan_poison_stack_memory(vaddr_t addr, size_t size)
{
	kasan_poison((const void *)addr, ALIGN_UP(size, (size_t)GRANULE), KASAN_STACK_SCOPE);
}

void __asan_unpoison_stack_memory(vaddr_t addr, size_t size);
void __asan_unpoison_stack_memory(vaddr_t addr, size_t size)
{
	kasan_unpoison((const void *)addr, size);
}

/* As gcc lays it out. */
struct asan_global {
	vaddr_t start;
	u64 size;
	u64 size_with_redzone;
	const char *name;
	const char *file;
	u64 dynamic_init;
	const void *location;
	u64 odr_indicator;
};

static struct {
	const struct asan_global *globals;
	u64 count;
} modules[MODULES_MAX];			/* [I] after boot's first lines */
static u32 module_count;		/* [I] */

void __asan_register_globals(const struct asan_global *g, size_t n);
void __asan_register_globals(const struct asan_global *g, size_t n)
{
	if (module_count < MODULES_MAX) {
		modules[module_count].globals = g;
		modules[module_count++].count = n;
	}
	for (size_t i = 0; i < n; i++) {
		u64 used = ALIGN_UP(g[i].size, (u64)GRANULE);

		kasan_unpoison((const void *)g[i].start, g[i].size);
		kasan_poison((const void *)(g[i].start + used), g[i].size_with_redzone - used, KASAN_GLOBAL);
	}
}

void __asan_unregister_globals(const struct asan_global *g, size_t n);
void __asan_unregister_globals(const struct asan_global *g, size_t n)
{
	(void)g, (void)n;	/* nothing of the kernel is ever unloaded */
}

const char *kasan_global_name(vaddr_t addr, vaddr_t *start, u64 *size, const char **file)
{
	for (u32 m = 0; m < module_count; m++) {
		for (u64 i = 0; i < modules[m].count; i++) {
			const struct asan_global *g = &modules[m].globals[i];

			if (addr < g->start || addr >= g->start + g->size_with_redzone)
				continue;
			*start = g->start;
			*size = g->size;
			*file = g->file;
			return g->name;
		}
	}
	return NULL;
}

/* ---- what the compiler does not see --------------------------------------------------------------- */

#undef memcpy
#undef memmove
#undef memset

#define HERE ((vaddr_t)__builtin_return_address(0))

void *memcpy(void *dst, const void *src, size_t n)
{
	(void)kasan_check_at(src, n, false, HERE);
	(void)kasan_check_at(dst, n, true, HERE);
	return raw_memcpy(dst, src, n);
}

void *memmove(void *dst, const void *src, size_t n)
{
	(void)kasan_check_at(src, n, false, HERE);
	(void)kasan_check_at(dst, n, true, HERE);
	return raw_memmove(dst, src, n);
}

void *memset(void *dst, int c, size_t n)
{
	(void)kasan_check_at(dst, n, true, HERE);
	return raw_memset(dst, c, n);
}

/* hal/mem.h: whole pages; the work is in mem.asm. */
void raw_hal_copy_page(void *dst, const void *src);
void raw_hal_zero_page(void *page);

void hal_copy_page(void *dst, const void *src)
{
	(void)kasan_check_at(src, PAGE_SIZE, false, HERE);
	(void)kasan_check_at(dst, PAGE_SIZE, true, HERE);
	raw_hal_copy_page(dst, src);
}

void hal_zero_page(void *page)
{
	(void)kasan_check_at(page, PAGE_SIZE, true, HERE);
	raw_hal_zero_page(page);
}

#endif
