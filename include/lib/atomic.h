/* SPDX-License-Identifier: MIT */
#ifndef LIB_ATOMIC_H
#define LIB_ATOMIC_H

/*
 * Atomic integers and memory order.
 *
 * atomic_load is an acquire and atomic_store a release unless the name says
 * otherwise (on x86 both are plain moves). Operations that read and write are
 * sequentially consistent unless the name says relaxed. There is no ordering
 * but what the names say.
 */
#include <lib/compiler.h>

typedef struct {
	int v;
} atomic_t;

typedef struct {
	s64 v;
} atomic64_t;

#define ATOMIC_INIT(i)	 { (i) }
#define ATOMIC64_INIT(i) { (i) }

#define ATOMIC_OPS(name, type, T)						\
static inline T name##_load(const type *a)					\
{ return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE); }				\
static inline T name##_load_acquire(const type *a)				\
{ return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE); }				\
static inline T name##_load_relaxed(const type *a)				\
{ return __atomic_load_n(&a->v, __ATOMIC_RELAXED); }				\
static inline void name##_store(type *a, T i)					\
{ __atomic_store_n(&a->v, i, __ATOMIC_RELEASE); }				\
static inline void name##_store_release(type *a, T i)				\
{ __atomic_store_n(&a->v, i, __ATOMIC_RELEASE); }				\
static inline void name##_store_relaxed(type *a, T i)				\
{ __atomic_store_n(&a->v, i, __ATOMIC_RELAXED); }				\
static inline void name##_add(type *a, T i)					\
{ (void)__atomic_fetch_add(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline void name##_add_relaxed(type *a, T i)				\
{ (void)__atomic_fetch_add(&a->v, i, __ATOMIC_RELAXED); }			\
static inline void name##_sub(type *a, T i)					\
{ (void)__atomic_fetch_sub(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline void name##_sub_relaxed(type *a, T i)				\
{ (void)__atomic_fetch_sub(&a->v, i, __ATOMIC_RELAXED); }			\
static inline void name##_inc(type *a) { name##_add(a, 1); }			\
static inline void name##_dec(type *a) { name##_sub(a, 1); }			\
static inline void name##_inc_relaxed(type *a) { name##_add_relaxed(a, 1); }	\
static inline void name##_dec_relaxed(type *a) { name##_sub_relaxed(a, 1); }	\
/* fetch_*: the value before; *_return: the value after */			\
static inline T name##_fetch_add(type *a, T i)					\
{ return __atomic_fetch_add(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline T name##_fetch_add_relaxed(type *a, T i)				\
{ return __atomic_fetch_add(&a->v, i, __ATOMIC_RELAXED); }			\
static inline T name##_fetch_sub(type *a, T i)					\
{ return __atomic_fetch_sub(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline T name##_fetch_or(type *a, T i)					\
{ return __atomic_fetch_or(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline T name##_fetch_and(type *a, T i)					\
{ return __atomic_fetch_and(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline T name##_fetch_inc(type *a) { return name##_fetch_add(a, 1); }	\
static inline T name##_fetch_dec(type *a) { return name##_fetch_sub(a, 1); }	\
static inline T name##_add_return(type *a, T i)					\
{ return __atomic_add_fetch(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline T name##_sub_return(type *a, T i)					\
{ return __atomic_sub_fetch(&a->v, i, __ATOMIC_SEQ_CST); }			\
static inline T name##_inc_return(type *a) { return name##_add_return(a, 1); }	\
static inline T name##_dec_return(type *a) { return name##_sub_return(a, 1); }	\
static inline bool name##_dec_and_test(type *a)					\
{ return __atomic_sub_fetch(&a->v, 1, __ATOMIC_SEQ_CST) == 0; }			\
static inline bool name##_sub_and_test(type *a, T i)				\
{ return __atomic_sub_fetch(&a->v, i, __ATOMIC_SEQ_CST) == 0; }			\
static inline void name##_or(type *a, T i) { (void)name##_fetch_or(a, i); }	\
static inline void name##_and(type *a, T i) { (void)name##_fetch_and(a, i); }	\
static inline T name##_xchg(type *a, T i)					\
{ return __atomic_exchange_n(&a->v, i, __ATOMIC_SEQ_CST); }			\
/* Returns the value found: the exchange happened if that is old. */		\
static inline T name##_cmpxchg(type *a, T old, T new)				\
{										\
	__atomic_compare_exchange_n(&a->v, &old, new, false,			\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	return old;								\
}										\
/* True if exchanged, else *old is the value found. */				\
static inline bool name##_try_cmpxchg(type *a, T *old, T new)			\
{										\
	return __atomic_compare_exchange_n(&a->v, old, new, false,		\
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
}										\
/* Adds unless the value is u; true if it added. */				\
static inline bool name##_add_unless(type *a, T i, T u)				\
{										\
	T old = name##_load_relaxed(a);						\
										\
	do {									\
		if (old == u)							\
			return false;						\
	} while (!name##_try_cmpxchg(a, &old, old + i));			\
	return true;								\
}										\
static inline bool name##_inc_not_zero(type *a)					\
{ return name##_add_unless(a, 1, 0); }

ATOMIC_OPS(atomic, atomic_t, int)
ATOMIC_OPS(atomic64, atomic64_t, s64)

/* Fences between CPUs. */
#define smp_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

/* The same for any scalar or pointer. */
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define xchg(p, v)		__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
/* Returns the value found. */
#define cmpxchg(p, o, n) __extension__ ({				\
	__typeof__(*(p)) __old = (o);					\
	__atomic_compare_exchange_n((p), &__old, (n), false,		\
		__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);			\
	__old; })
/* True if exchanged, else *op is the value found. */
#define try_cmpxchg(p, op, n)						\
	__atomic_compare_exchange_n((p), (op), (n), false,		\
		__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Bit nr of an array of u64; the test_and ones return what the bit was. */
static inline void atomic_set_bit(unsigned int nr, u64 *map)
{
	(void)__atomic_fetch_or(&map[nr / 64], BIT(nr % 64), __ATOMIC_SEQ_CST);
}

static inline void atomic_clear_bit(unsigned int nr, u64 *map)
{
	(void)__atomic_fetch_and(&map[nr / 64], ~BIT(nr % 64), __ATOMIC_SEQ_CST);
}

static inline bool atomic_test_and_set_bit(unsigned int nr, u64 *map)
{
	return __atomic_fetch_or(&map[nr / 64], BIT(nr % 64), __ATOMIC_SEQ_CST) & BIT(nr % 64);
}

static inline bool atomic_test_and_clear_bit(unsigned int nr, u64 *map)
{
	return __atomic_fetch_and(&map[nr / 64], ~BIT(nr % 64), __ATOMIC_SEQ_CST) & BIT(nr % 64);
}

static inline bool atomic_test_bit(unsigned int nr, const u64 *map)
{
	return __atomic_load_n(&map[nr / 64], __ATOMIC_ACQUIRE) & BIT(nr % 64);
}

#endif
