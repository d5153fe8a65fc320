/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_MEMPOLICY_H
#define KERNEL_MM_MEMPOLICY_H

/*
 * Where a program wants its memory: set_mempolicy(2), mbind(2).
 *
 * A policy does not change once it is published, so whoever holds a reference reads it without a lock: threads have one
 * (task.mempolicy), areas have one (vm_area.policy), and copies of both share it. Any context but where said.
 *
 * Cpusets do not exist, so "the nodes that the process may use" are all nodes.
 */
#include <kernel/mm/page.h>
#include <lib/refcount.h>

/* What user programs name: as many nodes as Debian's kernel has bits for. Those above HAL_MAX_NODES do not exist. */
#define NODEMASK_BITS	1024u

struct nodemask {
	u64 bits[NODEMASK_BITS / 64];
};

struct mempolicy {
	refcount_t refs;
	u16 mode;		/* [I] MPOL_* but MPOL_DEFAULT, which is no policy */
	u16 flags;		/* [I] MPOL_F_STATIC_NODES and the like */
	s32 home;		/* [I] set_mempolicy_home_node(2); -1: none */
	u64 nodes;		/* [I] the nodes that it comes down to */
	struct nodemask user;	/* [I] the nodes that were named */
};

/*
 * mode and flags are valid ones. *out is NULL for MPOL_DEFAULT. 0; -EINVAL when they do not go with the nodes;
 * -ENOMEM. May sleep.
 */
int __must_check mempolicy_create(u32 mode, u32 flags, const struct nodemask *nodes, struct mempolicy **out);
/* The same policy with another home node. NULL: no memory. May sleep. */
struct mempolicy *mempolicy_with_home(const struct mempolicy *p, u32 home);
void mempolicy_free(struct mempolicy *p);
bool mempolicy_same(const struct mempolicy *a, const struct mempolicy *b);

/* NULL, which is what nearly everybody has, is allowed in all of these. */
static inline struct mempolicy *mempolicy_get(struct mempolicy *p)
{
	if (unlikely(p))
		refcount_get(&p->refs);
	return p;
}

static inline void mempolicy_put(struct mempolicy *p)
{
	if (unlikely(p) && refcount_put_and_test(&p->refs))
		mempolicy_free(p);
}

static inline bool mempolicy_equal(const struct mempolicy *a, const struct mempolicy *b)
{
	return likely(a == b) || mempolicy_same(a, b);
}

/* The nodes that get_mempolicy(2) shows for it. */
void mempolicy_shown_nodes(const struct mempolicy *p, struct nodemask *out);
/* Is a page on that node where the policy wants it? `index` says which of an interleaved range. */
bool mempolicy_allows(const struct mempolicy *p, u32 node);

/* The n-th member of a set that is not empty, counted round; the member after `prev`, the first after the last. */
u32 nodes_nth(u64 nodes, u64 n);
u32 nodes_after(u64 nodes, u32 prev);

/*
 * One page by that policy; `index` is the page's number in what is interleaved. As page_alloc() for the rest: flags, context,
 * NULL.
 */
struct page *page_alloc_policy(const struct mempolicy *p, u64 index, u32 flags);

#endif
