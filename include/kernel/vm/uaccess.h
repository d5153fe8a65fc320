/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_UACCESS_H
#define KERNEL_VM_UACCESS_H

/*
 * Copying to and from user memory, for syscalls. Everything returns 0 or -EFAULT
 * (or as said), may fault and therefore sleep, and must be called under no
 * spinlock and no lock of inner rank than LOCK_RANK_SPACE. The range check against the
 * end of user space is inside the HAL's functions. After -EFAULT a part of the
 * copy may have been done.
 */
#include <hal/uaccess.h>
#include <kernel/core/preempt.h>
#include <lib/compiler.h>
#include <lib/errno.h>

static inline int __must_check copy_from_user(void *dst, uptr_t src, size_t n)
{
	might_fault();
	return unlikely(hal_copy_from_user(dst, src, n)) ? -EFAULT : 0;
}

static inline int __must_check copy_to_user(uptr_t dst, const void *src, size_t n)
{
	might_fault();
	return unlikely(hal_copy_to_user(dst, src, n)) ? -EFAULT : 0;
}

static inline int __must_check clear_user(uptr_t dst, size_t n)
{
	might_fault();
	return unlikely(hal_clear_user(dst, n)) ? -EFAULT : 0;
}

/*
 * Length without the NUL; max when there was no NUL in the first max bytes (dst is
 * then not terminated); -EFAULT.
 */
static inline ssize_t __must_check strncpy_from_user(char *dst, uptr_t src, size_t max)
{
	might_fault();
	return hal_strncpy_from_user(dst, src, max);
}

/* Length with the NUL, max + 1 when longer than max (NUL included), 0 on a fault: strnlen_user of Linux. */
static inline size_t strnlen_user(uptr_t s, size_t max)
{
	might_fault();
	return hal_strnlen_user(s, max);
}

/* Scalars are one access: all of it is done, or nothing. */
#define UACCESS_SCALAR(bits)							\
static inline int __must_check get_user_u##bits(u##bits *out, uptr_t src)	\
{										\
	might_fault();								\
	return hal_user_load_u##bits(src, out);					\
}										\
static inline int __must_check put_user_u##bits(u##bits v, uptr_t dst)		\
{										\
	might_fault();								\
	return hal_user_store_u##bits(dst, v);					\
}

UACCESS_SCALAR(8)
UACCESS_SCALAR(16)
UACCESS_SCALAR(32)
UACCESS_SCALAR(64)

static inline int __must_check get_user_s32(s32 *out, uptr_t src)
{
	return get_user_u32((u32 *)out, src);
}

static inline int __must_check put_user_s32(s32 v, uptr_t dst)
{
	return put_user_u32((u32)v, dst);
}

/* Structures whose size the program gives (clone3, openat2 and the like). */

/*
 * Copies a structure of usize bytes into the kernel's ksize bytes: what the
 * program does not know is zero; what the kernel does not know must be zero, else
 * -E2BIG (copy_struct_from_user of Linux). 0, -EFAULT, -E2BIG.
 */
int __must_check copy_struct_from_user(void *dst, size_t ksize, uptr_t src, size_t usize);

/* A string of at most max bytes with its NUL, on the heap (kfree). NULL pointer on error: *err. */
char *strndup_user(uptr_t src, size_t max, int *err);
/* A block on the heap (kfree). NULL on error: *err is -EFAULT or -ENOMEM. */
void *memdup_user(uptr_t src, size_t n, int *err);

/* Does [p, p + n) lie in user space? (It may still be unmapped.) */
static inline bool user_range_ok(uptr_t p, u64 n)
{
	return hal_user_range_ok(p, n);
}

/* Between these two a missing page ends a copy instead of being faulted in. They nest. */
static inline void pagefault_disable(void)
{
	hal_pagefault_disable();
}

static inline void pagefault_enable(void)
{
	hal_pagefault_enable();
}

#endif
