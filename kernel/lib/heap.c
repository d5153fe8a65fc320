/* SPDX-License-Identifier: MIT */
/*
 * Binary heap of linked nodes.
 *
 * The nodes are numbered level by level, the root 1, the children of k 2k and
 * 2k+1; the bits of k below its highest, read from the top, are the way from the
 * root to k: 0 left, 1 right. So the last place is found without any array.
 */
#include <lib/fls.h>
#include <lib/heap.h>

/* The pointer that place k hangs on, and its parent. */
static struct heap_node **find_place(struct heap *h, u64 k, struct heap_node **parent)
{
	struct heap_node **link = &h->min;

	*parent = NULL;
	for (int bit = fls64(k) - 2; bit >= 0; bit--) {
		*parent = *link;
		link = k >> bit & 1 ? &(*link)->right : &(*link)->left;
	}
	return link;
}

static struct heap_node **link_of(struct heap *h, struct heap_node *n)
{
	if (!n->parent)
		return &h->min;
	return n->parent->left == n ? &n->parent->left : &n->parent->right;
}

static void adopt(struct heap_node *n)
{
	if (n->left)
		n->left->parent = n;
	if (n->right)
		n->right->parent = n;
}

/* Exchanges a node with its parent. */
static void swap_up(struct heap *h, struct heap_node *n)
{
	struct heap_node *p = n->parent, *left = n->left, *right = n->right;

	*link_of(h, p) = n;
	n->parent = p->parent;
	if (p->left == n) {
		n->left = p;
		n->right = p->right;
	} else {
		n->left = p->left;
		n->right = p;
	}
	p->left = left;
	p->right = right;
	adopt(p);
	adopt(n);
}

void heap_add(struct heap *h, struct heap_node *n)
{
	*find_place(h, ++h->count, &n->parent) = n;
	n->left = n->right = NULL;
	while (n->parent && n->key < n->parent->key)
		swap_up(h, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *parent, **link = find_place(h, h->count--, &parent), *last = *link;

	*link = NULL;
	if (last != n) {
		/* The last node takes the place of n, then finds its level. */
		last->parent = n->parent;
		last->left = n->left;
		last->right = n->right;
		*link_of(h, n) = last;
		adopt(last);
		for (;;) {
			struct heap_node *least = last->left;

			if (least && last->right && last->right->key < least->key)
				least = last->right;
			if (!least || least->key >= last->key)
				break;
			swap_up(h, least);
		}
		while (last->parent && last->key < last->parent->key)
			swap_up(h, last);
	}
	n->parent = n->left = n->right = NULL;
}

struct heap_node *heap_pop(struct heap *h)
{
	struct heap_node *n = h->min;

	if (n)
		heap_remove(h, n);
	return n;
}
