/* SPDX-License-Identifier: MIT */
#include <lib/refcount.h>

void (*refcount_fault_hook)(refcount_t *r, enum refcount_fault what);

/*
 * The middle of the negative half: thousands of CPUs that add or subtract at
 * the same moment cannot bring the count back to where it would free.
 */
void refcount_report(refcount_t *r, enum refcount_fault what)
{
	atomic_store_relaxed(&r->n, REFCOUNT_SATURATED);
	if (refcount_fault_hook)
		refcount_fault_hook(r, what);
}
