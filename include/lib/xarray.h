/* SPDX-License-Identifier: MIT */
#ifndef LIB_XARRAY_H
#define LIB_XARRAY_H

/*
 * A sparse array: u64 index to pointer, as a radix tree of 64-way nodes. It is
 * as high as its largest index needs; a single entry at index 0 needs no node.
 *
 * Entries are pointers aligned to 4, or small integers made by xa_mk_value.
 * NULL is "nothing there", and storing it erases.
 *
 * Readers (xa_load, xa_find) need RCU or the writer's lock; writers need a lock
 * of the caller's. A reader under RCU sees for each index a value that it had
 * at some time during the read section. Nodes are freed through the node_free
 * hook, which must wait for a grace period (rcu_head is in the node for that).
 *
 * Memory: by the node_alloc hook, or, where the lock forbids to allocate, from
 * nodes preloaded before the lock is taken.
 */
#include <lib/atomic.h>
#include <lib/compiler.h>

#define XA_SHIFT 6
#define XA_SLOTS (1U << XA_SHIFT)
/* Nodes that one store can need: grow to full height, then go down again. */
#define XA_PRELOAD_MAX 21

struct xarray {
	void *head;		/* [r] entry, or node with tag */
};

#define XARRAY_INIT { NULL }

struct xa_node {
	u8 shift;		/* [I] index bits below this node's slots */
	u8 offset;		/* [writer] slot in parent */
	u8 count;		/* [writer] slots in use */
	struct xa_node *parent;	/* [writer] */
	u64 rcu_head[2];	/* for the free hook */
	void *slots[XA_SLOTS];	/* [r] */
};

/* Set once at boot by mm. node_alloc returns NULL when there is no memory. */
struct xa_hooks {
	struct xa_node *(*node_alloc)(void);
	void (*node_free)(struct xa_node *node);
};

void xa_set_hooks(const struct xa_hooks *hooks);

/* A stock of nodes of one caller, used before node_alloc is. */
struct xa_preload {
	struct xa_node *nodes;
	unsigned int count;
};

#define XA_PRELOAD_INIT { NULL, 0 }

/* Fills up to n (XA_PRELOAD_MAX always suffices for one store). 0 or -ENOMEM. */
int __must_check xa_preload_fill(struct xa_preload *p, unsigned int n);
void xa_preload_drain(struct xa_preload *p);

static inline void xa_init(struct xarray *xa)
{
	xa->head = NULL;
}

static inline bool xa_empty(const struct xarray *xa)
{
	return !READ_ONCE(xa->head);
}

static inline void *xa_mk_value(u64 v)
{
	return (void *)(uintptr_t)(v << 1 | 1);
}

static inline bool xa_is_value(const void *entry)
{
	return (uintptr_t)entry & 1;
}

static inline u64 xa_to_value(const void *entry)
{
	return (u64)(uintptr_t)entry >> 1;
}

/* A slot that leads on to another node. */
#define XA_NODE_TAG 2UL

static inline bool xa_is_node(const void *entry)
{
	return ((uintptr_t)entry & 3) == XA_NODE_TAG;
}

static inline struct xa_node *xa_to_node(const void *entry)
{
	return (struct xa_node *)((uintptr_t)entry - XA_NODE_TAG);
}

static inline void *xa_load(const struct xarray *xa, u64 index)
{
	void *entry = smp_load_acquire(&xa->head);
	u64 slot = index;

	/* The top node may be too small for the index; below it each node has all that its slot can name. */
	if (xa_is_node(entry))
		slot = index >> xa_to_node(entry)->shift >> XA_SHIFT;
	if (unlikely(slot))
		return NULL;
	while (xa_is_node(entry)) {
		const struct xa_node *n = xa_to_node(entry);

		entry = smp_load_acquire(&n->slots[(index >> n->shift) % XA_SLOTS]);
	}
	return entry;
}

/*
 * The first entry at or after *index and at most max; *index becomes its
 * index. NULL, with *index unchanged, when there is none.
 */
void *xa_find(const struct xarray *xa, u64 *index, u64 max);

/* The first entry at or after *index, whatever its index. */
static inline void *xa_next(const struct xarray *xa, u64 *index)
{
	return xa_find(xa, index, UINT64_MAX);
}

/* 0, or -ENOMEM with the array unchanged. Replacing an entry never fails. */
int __must_check xa_store(struct xarray *xa, u64 index, void *entry);
/* With preload non-NULL no hook is called to allocate. */
int __must_check xa_store_preloaded(struct xarray *xa, u64 index, void *entry,
				    struct xa_preload *preload);
/* Returns what was there. */
void *xa_erase(struct xarray *xa, u64 index);
/* Puts entry at the first free index in [min, max]. 0, -ENOMEM or -EBUSY (full). */
int __must_check xa_alloc(struct xarray *xa, void *entry, u64 min, u64 max, u64 *index);
/* Frees all nodes. The entries are the caller's. */
void xa_destroy(struct xarray *xa);

/* The body may erase the current entry. index is a u64. */
#define xa_for_each(xa, index, entry)						\
	for ((index) = 0, (entry) = xa_next(xa, &(index)); (entry);		\
	     (entry) = (index)++ == UINT64_MAX ? NULL : xa_next(xa, &(index)))
#define xa_for_each_range(xa, index, entry, first, last)			\
	for ((index) = (first), (entry) = xa_find(xa, &(index), last); (entry);	\
	     (entry) = (index)++ == UINT64_MAX ? NULL : xa_find(xa, &(index), last))

#endif
