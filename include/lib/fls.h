/* SPDX-License-Identifier: MIT */
#ifndef LIB_FLS_H
#define LIB_FLS_H

/* Positions of bits. fls and ffs count from 1, and 0 means no bit is set. */

#include <lib/compiler.h>

static inline int fls(u32 x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline int ffs32(u32 x)
{
	return __builtin_ffs((int)x);
}

static inline int ffs64(u64 x)
{
	return __builtin_ffsll((long long)x);
}

/* The index of the lowest set bit; x is not 0. */
static inline unsigned int ctz64(u64 x)
{
	return (unsigned int)__builtin_ctzll(x);
}

static inline unsigned int clz64(u64 x)
{
	return (unsigned int)__builtin_clzll(x);
}

static inline unsigned int popcount64(u64 x)
{
	x -= (x >> 1) & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (unsigned int)((x * 0x0101010101010101ULL) >> 56);
}

/* The largest n with 2^n <= x; x is not 0. */
static inline unsigned int ilog2(u64 x)
{
	return 63 - clz64(x);
}

/* The smallest power of two >= x; 0 when that is 2^64; 1 for 0. */
static inline u64 roundup_pow2(u64 x)
{
	if (x <= 1)
		return 1;
	return fls64(x - 1) == 64 ? 0 : 1ULL << fls64(x - 1);
}

static inline u16 bswap16(u16 x)
{
	return __builtin_bswap16(x);
}

static inline u32 bswap32(u32 x)
{
	return __builtin_bswap32(x);
}

static inline u64 bswap64(u64 x)
{
	return __builtin_bswap64(x);
}

static inline u32 rol32(u32 x, unsigned int n)
{
	return (x << (n & 31)) | (x >> (-n & 31));
}

static inline u32 ror32(u32 x, unsigned int n)
{
	return (x >> (n & 31)) | (x << (-n & 31));
}

static inline u64 rol64(u64 x, unsigned int n)
{
	return (x << (n & 63)) | (x >> (-n & 63));
}

/* Loads and stores that need no alignment, little-endian. */
static inline u16 get_le16(const void *p)
{
	u16 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u32 get_le32(const void *p)
{
	u32 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 get_le64(const void *p)
{
	u64 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_le32(void *p, u32 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, u64 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "get_le* are plain loads");

#endif
