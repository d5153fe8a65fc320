/* SPDX-License-Identifier: MIT */
#ifndef LIB_SORT_H
#define LIB_SORT_H

/* Sorting and searching of arrays, in place, without memory or recursion. */

#include <lib/compiler.h>

typedef int (*cmp_t)(const void *a, const void *b);

/* Heap sort: n log n in the worst case. Not stable. */
void sort(void *base, size_t n, size_t size, cmp_t cmp);
/* NULL if there is none. cmp gets the key first. */
void *bsearch(const void *key, const void *base, size_t n, size_t size, cmp_t cmp);

#endif
