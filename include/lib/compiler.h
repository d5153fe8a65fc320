/* SPDX-License-Identifier: MIT */
#ifndef LIB_COMPILER_H
#define LIB_COMPILER_H

/* Attributes, small arithmetic and the compiler's view of memory. */

#include <lib/types.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#undef __noreturn
#undef __always_inline
#define __must_check	__attribute__((warn_unused_result))
#define __noreturn	__attribute__((noreturn))
#define __packed	__attribute__((packed))
#define __aligned(n)	__attribute__((aligned(n)))
#define __section(s)	__attribute__((section(s)))
#define __used		__attribute__((used))
#define __maybe_unused	__attribute__((unused))
#define __cold		__attribute__((cold))
#define __weak		__attribute__((weak))
#define __pure		__attribute__((pure))
#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __always_inline	inline __attribute__((always_inline))
#define noinline	__attribute__((noinline))
#define fallthrough	__attribute__((fallthrough))

#ifndef static_assert
#define static_assert _Static_assert
#endif

#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

#define container_of(ptr, type, member) __extension__ ({			\
	const __typeof__(((type *)0)->member) *__mptr = (ptr);		\
	(type *)((uintptr_t)__mptr - offsetof(type, member)); })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* __COUNTER__ makes the names unique, so that these may be nested under -Wshadow. */
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define MIN_(a, b, x, y) __extension__ ({ __typeof__(a) x = (a);	\
	__typeof__(b) y = (b); x < y ? x : y; })
#define MAX_(a, b, x, y) __extension__ ({ __typeof__(a) x = (a);	\
	__typeof__(b) y = (b); x > y ? x : y; })
#define CLAMP_(v, lo, hi, x, y, z) __extension__ ({ __typeof__(v) x = (v);	\
	__typeof__(v) y = (lo); __typeof__(v) z = (hi); x < y ? y : x > z ? z : x; })
#define UNIQUE(name) PASTE(__##name##_, __COUNTER__)
#define MIN(a, b) MIN_(a, b, UNIQUE(first), UNIQUE(second))
#define MAX(a, b) MAX_(a, b, UNIQUE(first), UNIQUE(second))
#define CLAMP(v, lo, hi) CLAMP_(v, lo, hi, UNIQUE(value), UNIQUE(low), UNIQUE(high))

/* n is a power of two. ALIGN_UP may wrap: check before, or after, for 0. */
#define ALIGN_DOWN(x, n) ((x) & ~((__typeof__(x))(n) - 1))
#define ALIGN_UP(x, n)	 (((x) + ((__typeof__(x))(n) - 1)) & ~((__typeof__(x))(n) - 1))
#define IS_ALIGNED(x, n) (((x) & ((__typeof__(x))(n) - 1)) == 0)
#define IS_POW2(x)	 ((x) != 0 && ((x) & ((x) - 1)) == 0)
/* Does not overflow, whatever n is. */
#define DIV_ROUND_UP(n, d) ((n) / (d) + ((n) % (d) != 0))
#define BIT(n)		 (1ULL << (n))

#define KIB (1024ULL)
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)
#define TIB (1024ULL * GIB)

#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC  1000000000LL
#define USEC_PER_SEC  1000000LL
#define MSEC_PER_SEC  1000LL

/* The compiler may move no memory access over this. */
#define barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* One access, not torn, not repeated, not invented. */
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* True on overflow; *res is then the wrapped value. */
#define add_overflow(a, b, res) __builtin_add_overflow(a, b, res)
#define sub_overflow(a, b, res) __builtin_sub_overflow(a, b, res)
#define mul_overflow(a, b, res) __builtin_mul_overflow(a, b, res)

/*
 * index if index < size, else 0, without a branch that could be mispredicted:
 * for tables that are indexed by what user space chose (Spectre variant 1).
 * Call it after the check of the bounds. The value goes through a volatile
 * object, or the compiler, which knows of that check, would fold the mask away.
 * size must be in 1 .. 2^63.
 */
static __always_inline u64 index_nospec(u64 index, u64 size)
{
	volatile u64 hidden = index;
	u64 i = hidden;
	u64 mask = (u64)(~(s64)(i | (size - 1 - i)) >> 63);

	return i & mask;
}

/* The same for 32-bit values, where a subtraction of 64 bits says which is larger. */
static __always_inline u32 index_nospec_u32(u32 index, u32 size)
{
	volatile u32 hidden = index;
	u64 i = hidden;

	return (u32)(i & (u64)((s64)(i - size) >> 63));
}

#endif
