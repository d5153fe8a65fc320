/* SPDX-License-Identifier: MIT */
/*
 * Memory policies: from what a program named to where a page is taken.
 *
 * The nodes that were named meet the nodes that exist when the policy is made: plain ones and MPOL_F_STATIC_NODES by
 * intersection, MPOL_F_RELATIVE_NODES by folding the set onto the nodes that there are (mbind(2), "MPOL_F_RELATIVE_NODES").
 * Nodes do not come and go, so that is done once.
 *
 * MPOL_BIND and MPOL_PREFERRED_MANY ask the nearest node of the set first; MPOL_PREFERRED asks its one node and then
 * whoever is near to that. Only MPOL_BIND fails when its nodes have nothing, after reclaim and the OOM killer.
 */
#include <abi/linux/mempolicy.h>
#include <kernel/core/assert.h>
#include <kernel/mm/mempolicy.h>
#include <kernel/mm/slab.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>
#include "internal.h"

static bool mask_empty(const struct nodemask *m)
{
	u64 any = 0;

	for (u32 i = 0; i < ARRAY_SIZE(m->bits); i++)
		any |= m->bits[i];
	return !any;
}

u32 nodes_nth(u64 nodes, u64 n)
{
	n %= popcount64(nodes);
	while (n--)
		nodes &= nodes - 1;
	return (u32)ctz64(nodes);
}

u32 nodes_after(u64 nodes, u32 prev)
{
	u64 above = prev < 63 ? nodes & (~0ull << (prev + 1)) : 0;

	return (u32)ctz64(above ? above : nodes);
}

/* Bit n of the set becomes the (n modulo their number)-th of the nodes that there are. */
static u64 relative_nodes(const struct nodemask *m, u64 there)
{
	u64 out = 0;

	for (u32 i = 0; i < NODEMASK_BITS; i++)
		if (m->bits[i / 64] & (1ull << (i % 64)))
			out |= 1ull << nodes_nth(there, i);
	return out;
}

static bool nodes_fit_mode(u32 mode, u32 flags, bool empty)
{
	bool exact = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	switch (mode) {
	case MPOL_LOCAL: return empty && !exact;
	case MPOL_PREFERRED: return !empty || !exact;
	default: return !empty;
	}
}

int mempolicy_create(u32 mode, u32 flags, const struct nodemask *nodes, struct mempolicy **out)
{
	bool empty = mask_empty(nodes);
	u64 there = mm_nodes_with_memory(), use;
	struct mempolicy *p;

	*out = NULL;
	if (mode == MPOL_DEFAULT)
		return empty ? 0 : -EINVAL;
	if (!nodes_fit_mode(mode, flags, empty))
		return -EINVAL;
	if (mode == MPOL_PREFERRED && empty)
		mode = MPOL_LOCAL;
	use = flags & MPOL_F_RELATIVE_NODES ? relative_nodes(nodes, there) : nodes->bits[0] & there;
	if (mode != MPOL_LOCAL && !use)
		return -EINVAL;
	if (mode == MPOL_PREFERRED)
		use &= -use;
	p = kmalloc(sizeof(*p), 0);
	if (!p)
		return -ENOMEM;
	*p = (struct mempolicy){ .mode = (u16)mode, .flags = (u16)flags, .home = -1, .nodes = use, .user = *nodes };
	refcount_init(&p->refs, 1);
	*out = p;
	return 0;
}

struct mempolicy *mempolicy_with_home(const struct mempolicy *p, u32 home)
{
	struct mempolicy *n = kmalloc(sizeof(*n), 0);

	if (!n)
		return NULL;
	*n = *p;
	n->home = (s32)home;
	refcount_init(&n->refs, 1);
	return n;
}

void mempolicy_free(struct mempolicy *p)
{
	kfree(p);
}

bool mempolicy_same(const struct mempolicy *a, const struct mempolicy *b)
{
	return a && b && a->mode == b->mode && a->flags == b->flags && a->home == b->home && a->nodes == b->nodes &&
	       !memcmp(&a->user, &b->user, sizeof(a->user));
}

void mempolicy_shown_nodes(const struct mempolicy *p, struct nodemask *out)
{
	memset(out, 0, sizeof(*out));
	if (!p)
		return;
	if (p->flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES))
		*out = p->user;
	else
		out->bits[0] = p->nodes;
}

bool mempolicy_allows(const struct mempolicy *p, u32 node)
{
	return !p || p->mode == MPOL_LOCAL || (p->nodes & (1ull << node));
}

/* The node of the set that is nearest to that one. */
static u32 nearest_of(u64 nodes, u32 from)
{
	for (u32 k = 0; k < mm_nodes; k++)
		if (nodes & (1ull << node_order(from, k)))
			return node_order(from, k);
	return from;
}

struct page *page_alloc_policy(const struct mempolicy *p, u64 index, u32 flags)
{
	u32 here = node_here(), from = p && p->home >= 0 ? (u32)p->home : here;
	struct page *page;

	switch (p ? p->mode : MPOL_LOCAL) {
	case MPOL_BIND:
		return page_alloc_node(nearest_of(p->nodes, from), p->nodes, 0, flags);
	case MPOL_PREFERRED_MANY:
		page = page_alloc_node(nearest_of(p->nodes, from), p->nodes, 0, flags | MM_NOWAIT);
		return page ? page : page_alloc(0, flags);
	case MPOL_INTERLEAVE:
		from = nodes_nth(p->nodes, index);
		page = from == here ? page_alloc(0, flags) : page_alloc_node(from, ALL_NODES, 0, flags);
		if (page && mm_node_of_page(page) == from)
			buddy_count_interleaved(from);
		return page;
	case MPOL_PREFERRED:
		from = (u32)ctz64(p->nodes);
		return from == here ? page_alloc(0, flags) : page_alloc_node(from, ALL_NODES, 0, flags);
	default:
		return page_alloc(0, flags);
	}
}
