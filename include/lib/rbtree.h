/* SPDX-License-Identifier: MIT */
#ifndef LIB_RBTREE_H
#define LIB_RBTREE_H

/*
 * Intrusive red-black tree, with optional augmentation.
 *
 * The caller embeds struct rb_node and gives the order through small inline
 * functions, so a search costs no indirect call. Equal keys are allowed: a new
 * node goes behind its equals.
 *
 * Augmentation: each node carries a summary of its subtree (the largest end of
 * an interval, say). The tree calls update(node) when a child of the node has
 * changed; it recomputes the summary from the node and its children and says
 * whether it changed. A caller who changes what a linked node contributes calls
 * rb_propagate().
 *
 * No locks here, and readers need the writer's lock.
 */
#include <lib/compiler.h>

struct rb_node {
	u64 parent_color;	/* parent's address | 1 if black */
	struct rb_node *left, *right;
};

struct rb_root {
	struct rb_node *node;
};

#define RB_ROOT { NULL }

typedef bool (*rb_update_t)(struct rb_node *node);

#define rb_entry(ptr, type, member) container_of(ptr, type, member)
#define rb_entry_safe(ptr, type, member) __extension__ ({		\
	__typeof__(ptr) __rp = (ptr);					\
	__rp ? rb_entry(__rp, type, member) : NULL; })

static inline bool rb_empty(const struct rb_root *root)
{
	return !root->node;
}

/* A node's own address as parent marks that it is in no tree. */
static inline void rb_node_clear(struct rb_node *n)
{
	n->parent_color = (u64)(uintptr_t)n;
}

static inline bool rb_node_is_clear(const struct rb_node *n)
{
	return n->parent_color == (u64)(uintptr_t)n;
}

static inline struct rb_node *rb_parent(const struct rb_node *n)
{
	return (struct rb_node *)(uintptr_t)(n->parent_color & ~1ULL);
}

/* In order; NULL at the end. */
struct rb_node *rb_first(const struct rb_root *root) __pure;
struct rb_node *rb_last(const struct rb_root *root) __pure;
struct rb_node *rb_next(const struct rb_node *n) __pure;
struct rb_node *rb_prev(const struct rb_node *n) __pure;

/*
 * Low level: *link is the NULL pointer of parent (or of the root, parent NULL)
 * where n goes. update may be NULL.
 */
void rb_insert_at(struct rb_root *root, struct rb_node *n, struct rb_node *parent,
		  struct rb_node **link, rb_update_t update);
void rb_erase(struct rb_root *root, struct rb_node *n);
void rb_erase_augmented(struct rb_root *root, struct rb_node *n, rb_update_t update);
/* new takes the place of old; their order and contribution must be the same. */
void rb_replace(struct rb_root *root, struct rb_node *old, struct rb_node *new);
/* Recomputes the summaries from n up to the root. */
void rb_propagate(struct rb_node *n, rb_update_t update);

/* less(a, b): a goes before b. */
static __always_inline void rb_insert_augmented(struct rb_root *root, struct rb_node *n,
		bool (*less)(const struct rb_node *a, const struct rb_node *b),
		rb_update_t update)
{
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = less(n, parent) ? &parent->left : &parent->right;
	}
	rb_insert_at(root, n, parent, link, update);
}

static __always_inline void rb_insert(struct rb_root *root, struct rb_node *n,
		bool (*less)(const struct rb_node *a, const struct rb_node *b))
{
	rb_insert_augmented(root, n, less, NULL);
}

/* cmp(key, n): negative if key goes before n, 0 if equal, positive if after. */
static __always_inline struct rb_node *rb_find(const struct rb_root *root, const void *key,
		int (*cmp)(const void *key, const struct rb_node *n))
{
	struct rb_node *n = root->node;

	while (n) {
		int c = cmp(key, n);

		if (c == 0)
			return n;
		n = c < 0 ? n->left : n->right;
	}
	return NULL;
}

/* Lower bound: the first node that is not before key; NULL if none. */
static __always_inline struct rb_node *rb_find_ge(const struct rb_root *root, const void *key,
		int (*cmp)(const void *key, const struct rb_node *n))
{
	struct rb_node *n = root->node, *best = NULL;

	while (n) {
		if (cmp(key, n) <= 0) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

/* The last node that is not behind key; NULL if none. */
static __always_inline struct rb_node *rb_find_le(const struct rb_root *root, const void *key,
		int (*cmp)(const void *key, const struct rb_node *n))
{
	struct rb_node *n = root->node, *best = NULL;

	while (n) {
		if (cmp(key, n) >= 0) {
			best = n;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	return best;
}

/* The body must not change the tree. */
#define rb_for_each_entry(pos, root, member)					\
	for ((pos) = rb_entry_safe(rb_first(root), __typeof__(*(pos)), member);	\
	     (pos);								\
	     (pos) = rb_entry_safe(rb_next(&(pos)->member), __typeof__(*(pos)), member))

/*
 * Copying a tree node by node, in the very shape of the original, so that nothing is compared, rotated or summed up; an augmented
 * summary may be copied with its node. Parents come first, and what is there at any time is a tree that can be torn down. The
 * body must place a copy of `from`.
 */
struct rb_copy {
	const struct rb_node *from;			/* the node to copy now; NULL: all are */
	struct rb_node *parent, **link;			/* where its copy goes */
};

static inline void rb_copy_place(const struct rb_copy *c, struct rb_node *n)
{
	n->parent_color = (u64)(uintptr_t)c->parent | (c->from->parent_color & 1);
	n->left = NULL;
	n->right = NULL;
	*c->link = n;
}

/* A child that the copy has not got is copied next: the left one, then the right one, then those of the parent. */
static inline void rb_copy_next(struct rb_copy *c)
{
	const struct rb_node *n = c->from;
	struct rb_node *copy = *c->link;

	for (; n; n = rb_parent(n), copy = rb_parent(copy)) {
		if (n->left && !copy->left) {
			*c = (struct rb_copy){ n->left, copy, &copy->left };
			return;
		}
		if (n->right && !copy->right) {
			*c = (struct rb_copy){ n->right, copy, &copy->right };
			return;
		}
	}
	c->from = NULL;
}

/* `to` is empty at the start. */
#define rb_for_each_copy(c, root, to)							\
	for (*(c) = (struct rb_copy){ (root)->node, NULL, &(to)->node }; (c)->from; rb_copy_next(c))

/*
 * Children first: every node is visited after its subtrees and may be freed in
 * the body; the root is to be reset afterwards. For tearing a tree down.
 */
struct rb_node *rb_first_postorder(const struct rb_root *root) __pure;
struct rb_node *rb_next_postorder(const struct rb_node *n) __pure;
#define rb_for_each_postorder_safe(pos, n, root, member)				\
	for ((pos) = rb_entry_safe(rb_first_postorder(root), __typeof__(*(pos)), member); \
	     (pos) && ((n) = rb_entry_safe(rb_next_postorder(&(pos)->member),	\
					   __typeof__(*(pos)), member), true);	\
	     (pos) = (n))

#endif
