/* SPDX-License-Identifier: MIT */
/*
 * The range checks of user access; the accesses themselves are in uaccess.asm. A range that goes beyond
 * the end of user space fails as a whole, as access_ok() does on Linux, but strings only fail when they
 * really reach the end.
 */
#include <hal/uaccess.h>
#include <lib/errno.h>
#include <lib/kasan.h>
#include "x86.h"

size_t x86_copy_user(void *dst, const void *src, size_t n);
size_t x86_clear_user(void *dst, size_t n);
long x86_strncpy_user(char *dst, const char *src, size_t max);
long x86_strnlen_user(const char *src, size_t max);
int x86_user_xchg_u32(uptr_t p, u32 v, u32 *prev);
int x86_user_xadd_u32(uptr_t p, u32 v, u32 *prev);

size_t hal_copy_from_user(void *dst, uptr_t src, size_t n)
{
	if (unlikely(!hal_user_range_ok(src, n)))
		return n;
	kasan_check_write(dst, n);
	return x86_copy_user(dst, (const void *)src.addr, n);
}

size_t hal_copy_to_user(uptr_t dst, const void *src, size_t n)
{
	if (unlikely(!hal_user_range_ok(dst, n)))
		return n;
	kasan_check_read(src, n);
	return x86_copy_user((void *)dst.addr, src, n);
}

size_t hal_clear_user(uptr_t dst, size_t n)
{
	if (unlikely(!hal_user_range_ok(dst, n)))
		return n;
	return x86_clear_user((void *)dst.addr, n);
}

/* How many of max bytes from p on are below the end of user space. */
static size_t user_clip(uptr_t p, size_t max)
{
	u64 room = p.addr < HAL_USER_END ? HAL_USER_END - p.addr : 0;

	return MIN((u64)max, room);
}

long hal_strncpy_from_user(char *dst, uptr_t src, size_t max)
{
	size_t room = user_clip(src, max);
	long n;

	if (max == 0)
		return 0;
	if (room == 0)
		return -EFAULT;
	kasan_check_write(dst, room);
	n = x86_strncpy_user(dst, (const char *)src.addr, room);
	if (n == (long)room && room < max)
		return -EFAULT;
	return n;
}

size_t hal_strnlen_user(uptr_t src, size_t max)
{
	size_t room = user_clip(src, max);
	long n;

	if (room == 0)
		return 0;
	n = x86_strnlen_user((const char *)src.addr, room);
	if (n < 0 || (n == (long)room && room < max))
		return 0;
	return (size_t)n + 1;
}

int hal_user_atomic_op_u32(uptr_t p, unsigned int op, u32 arg, u32 *prev)
{
	u32 old, seen, new;
	int err;

	switch (op) {
	case HAL_ATOMIC_SET:
		return x86_user_xchg_u32(p, arg, prev);
	case HAL_ATOMIC_ADD:
		return x86_user_xadd_u32(p, arg, prev);
	case HAL_ATOMIC_OR:
	case HAL_ATOMIC_ANDN:
	case HAL_ATOMIC_XOR:
		break;
	default:
		return -ENOSYS;
	}
	err = hal_user_load_u32(p, &old);
	while (!err) {
		new = op == HAL_ATOMIC_OR ? old | arg : op == HAL_ATOMIC_ANDN ? old & ~arg : old ^ arg;
		err = hal_user_cmpxchg_u32(p, old, new, &seen);
		if (!err && seen == old) {
			*prev = old;
			return 0;
		}
		old = seen;
	}
	return err;
}
