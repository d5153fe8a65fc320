/* SPDX-License-Identifier: MIT */
#ifndef LIB_REFCOUNT_H
#define LIB_REFCOUNT_H

/*
 * A reference count that saturates. A count that would go past 2^31, or that
 * is taken from or dropped below zero, is pinned at REFCOUNT_SATURATED: the
 * object leaks, which is safe, instead of being freed while in use. Each such
 * event calls the hook (the kernel logs a backtrace there, the debug kernel
 * panics, tests count).
 */
#include <lib/atomic.h>

#define REFCOUNT_SATURATED ((int)0xc0000000)

typedef struct {
	atomic_t n;
} refcount_t;

#define REFCOUNT_INIT(i) { ATOMIC_INIT(i) }

enum refcount_fault {
	REFCOUNT_GET_FROM_ZERO,
	REFCOUNT_OVERFLOW,
	REFCOUNT_UNDERFLOW,
};

/* Set once at boot, before other CPUs run. NULL: silent. */
extern void (*refcount_fault_hook)(refcount_t *r, enum refcount_fault what);

/* Out of line, cold: pins the count and tells the hook. */
void refcount_report(refcount_t *r, enum refcount_fault what) __cold;

static inline void refcount_init(refcount_t *r, int n)
{
	atomic_store_relaxed(&r->n, n);
}

static inline int refcount_read(const refcount_t *r)
{
	return atomic_load_relaxed(&r->n);
}

/* The caller holds a reference already. */
static inline void refcount_get(refcount_t *r)
{
	int old = atomic_fetch_add_relaxed(&r->n, 1);

	if (unlikely(old <= 0 || old == INT32_MAX))
		refcount_report(r, old == 0 ? REFCOUNT_GET_FROM_ZERO : REFCOUNT_OVERFLOW);
}

/* For look-ups under RCU: false if the object is already on its way out. */
static inline bool __must_check refcount_get_not_zero(refcount_t *r)
{
	int old = atomic_load_relaxed(&r->n);

	do {
		if (old == 0)
			return false;
	} while (!atomic_try_cmpxchg(&r->n, &old, old + 1));
	if (unlikely(old < 0 || old == INT32_MAX))
		refcount_report(r, REFCOUNT_OVERFLOW);
	return true;
}

/* True: this was the last reference and the caller frees the object. */
static inline bool __must_check refcount_put_and_test(refcount_t *r)
{
	int old = atomic_fetch_sub(&r->n, 1);

	if (likely(old > 1))
		return false;
	if (likely(old == 1))
		return true;
	refcount_report(r, REFCOUNT_UNDERFLOW);
	return false;
}

#endif
