/* SPDX-License-Identifier: MIT */
#ifndef HAL_UACCESS_H
#define HAL_UACCESS_H

/*
 * The only way to user memory. Every function checks the range itself (Linux's rule: the end may not
 * be above HAL_USER_END), opens the machine's window (SMAP) around the access alone, and survives any
 * fault: the page is faulted in through upcall_fault(), or, when that fails, the access ends early.
 *
 * Context: the calling thread's own address space; may sleep, except where the thread's nofault count
 * is above 0 or preemption is off: then a page that is not there ends the access.
 */
#include <lib/compiler.h>
#include <hal/thread.h>
#include <hal/mem.h>
#include <hal/percpu.h>

/* Is [addr, addr + n) all below the end of user space? Says nothing about what is mapped. */
static inline bool hal_user_range_ok(uptr_t p, u64 n)
{
	return n <= HAL_USER_END && p.addr <= HAL_USER_END - n;
}

/* Return how many bytes were NOT copied or cleared: 0 is success. The rest of dst is untouched. */
size_t __must_check hal_copy_from_user(void *dst, uptr_t src, size_t n);
size_t __must_check hal_copy_to_user(uptr_t dst, const void *src, size_t n);
size_t __must_check hal_clear_user(uptr_t dst, size_t n);

/*
 * Copies a string with its NUL, at most max bytes in all. Returns its length without the NUL; max if
 * there was no NUL among max bytes; -EFAULT.
 */
long __must_check hal_strncpy_from_user(char *dst, uptr_t src, size_t max);
/* Length of a string with its NUL, at most max; max + 1 if it is longer; 0 on a fault. */
size_t __must_check hal_strnlen_user(uptr_t src, size_t max);

/* Single accesses. 0 or -EFAULT; *v is untouched on a fault. */
int __must_check hal_user_load_u8(uptr_t p, u8 *v);
int __must_check hal_user_load_u16(uptr_t p, u16 *v);
int __must_check hal_user_load_u32(uptr_t p, u32 *v);
int __must_check hal_user_load_u64(uptr_t p, u64 *v);
int __must_check hal_user_store_u8(uptr_t p, u8 v);
int __must_check hal_user_store_u16(uptr_t p, u16 v);
int __must_check hal_user_store_u32(uptr_t p, u32 v);
int __must_check hal_user_store_u64(uptr_t p, u64 v);

/* If *p is `old` makes it `new`; *prev is what was found. Full barrier. 0 or -EFAULT. */
int __must_check hal_user_cmpxchg_u32(uptr_t p, u32 old, u32 new, u32 *prev);

/* *p = *p OP arg in one step, *prev = before (FUTEX_WAKE_OP). 0, -EFAULT, or -ENOSYS for another op. */
#define HAL_ATOMIC_SET	0
#define HAL_ATOMIC_ADD	1
#define HAL_ATOMIC_OR	2
#define HAL_ATOMIC_ANDN	3
#define HAL_ATOMIC_XOR	4
int __must_check hal_user_atomic_op_u32(uptr_t p, unsigned int op, u32 arg, u32 *prev);

/*
 * Kernel memory that may be missing (debugger, backtraces): false instead of a fault. Any context.
 */
bool __must_check hal_kernel_load_u64(vaddr_t va, u64 *v);

/* Between these two, user accesses never sleep: a missing page ends them. Nests. */
static inline void hal_pagefault_disable(void)
{
	((struct hal_thread *)hal_current())->nofault++;
	barrier();
}

static inline void hal_pagefault_enable(void)
{
	barrier();
	((struct hal_thread *)hal_current())->nofault--;
}

#endif
