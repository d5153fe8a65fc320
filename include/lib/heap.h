/* SPDX-License-Identifier: MIT */
#ifndef LIB_HEAP_H
#define LIB_HEAP_H

/*
 * Intrusive binary min-heap, for timers.
 *
 * The nodes themselves form a complete binary tree, so nothing is allocated
 * and adding cannot fail, which an array could not promise under a spinlock.
 * The path to the n-th node is the binary representation of n. Every operation
 * takes at most log2(n) steps. Nodes with equal keys leave in any order.
 */
#include <lib/compiler.h>

struct heap_node {
	struct heap_node *parent, *left, *right;
	u64 key;		/* set before heap_add, fixed while in the heap */
};

struct heap {
	struct heap_node *min;
	u64 count;
};

#define HEAP_INIT { NULL, 0 }
#define heap_entry(ptr, type, member) container_of(ptr, type, member)

static inline void heap_init(struct heap *h)
{
	h->min = NULL;
	h->count = 0;
}

static inline bool heap_empty(const struct heap *h)
{
	return !h->min;
}

/* The node with the smallest key, or NULL. */
static inline struct heap_node *heap_peek(const struct heap *h)
{
	return h->min;
}

void heap_add(struct heap *h, struct heap_node *n);
/* n must be in h. */
void heap_remove(struct heap *h, struct heap_node *n);
/* Removes and returns the smallest, or NULL. */
struct heap_node *heap_pop(struct heap *h);

#endif
