/* SPDX-License-Identifier: MIT */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

/*
 * Scalar types used everywhere. Addresses are integers, not pointers: a
 * physical address is never dereferenced, and a kernel virtual address
 * becomes a pointer only where somebody says so with a cast.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 paddr_t;
typedef u64 vaddr_t;

/* libc, which host unit tests include beside this, agrees with both. */
typedef long ssize_t;
typedef s64 loff_t;

/*
 * A pointer into user memory. A structure, so that it can neither be
 * dereferenced nor mixed up with a kernel pointer; only the copy functions of
 * the HAL look inside.
 */
typedef struct {
	u64 addr;
} uptr_t;

#define UPTR_NULL ((uptr_t){ 0 })

static inline uptr_t uptr(u64 addr)
{
	return (uptr_t){ addr };
}

static inline bool uptr_is_null(uptr_t p)
{
	return p.addr == 0;
}

/* May wrap: the copy functions check the whole range, not the sum. */
static inline uptr_t uptr_add(uptr_t p, u64 bytes)
{
	return (uptr_t){ p.addr + bytes };
}

#endif
