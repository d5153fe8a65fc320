/* SPDX-License-Identifier: MIT */
/*
 * Red-black tree, after Guibas and Sedgewick, in the form of Cormen et al.,
 * "Introduction to Algorithms", with NULL for the black leaves.
 *
 * Invariants: the root is black; a red node has black children; every path
 * from a node down to a leaf has the same number of black nodes. So no path is
 * more than twice as long as another.
 *
 * Left and right are symmetric: side(n, dir) is the child on that side, and each
 * case is written once. A rotation keeps the set of nodes below its top, so an
 * augmented summary changes in the two rotated nodes only.
 */
#include <lib/rbtree.h>

#define BLACK 1ULL

static inline bool is_red(const struct rb_node *n)
{
	return n && !(n->parent_color & BLACK);
}

static inline void set_red(struct rb_node *n)
{
	n->parent_color &= ~BLACK;
}

static inline void set_black(struct rb_node *n)
{
	n->parent_color |= BLACK;
}

static inline void set_parent(struct rb_node *n, struct rb_node *parent)
{
	n->parent_color = (u64)(uintptr_t)parent | (n->parent_color & BLACK);
}

static inline struct rb_node **side(struct rb_node *n, bool right)
{
	return right ? &n->right : &n->left;
}

static inline void replace_child(struct rb_root *root, struct rb_node *parent,
				 struct rb_node *old, struct rb_node *new)
{
	if (!parent)
		root->node = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
}

/* x goes down on side dir, its other child comes up in its place. */
static void rotate(struct rb_root *root, struct rb_node *x, bool dir, rb_update_t update)
{
	struct rb_node *y = *side(x, !dir), *mid = *side(y, dir), *parent = rb_parent(x);

	*side(x, !dir) = mid;
	if (mid)
		set_parent(mid, x);
	replace_child(root, parent, x, y);
	set_parent(y, parent);
	*side(y, dir) = x;
	set_parent(x, y);
	if (update) {
		update(x);
		update(y);
	}
}

void rb_propagate(struct rb_node *n, rb_update_t update)
{
	for (; n && update(n); n = rb_parent(n))
		;
}

void rb_insert_at(struct rb_root *root, struct rb_node *n, struct rb_node *parent,
		  struct rb_node **link, rb_update_t update)
{
	struct rb_node *grand, *uncle;

	n->parent_color = (u64)(uintptr_t)parent;
	n->left = n->right = NULL;
	*link = n;
	if (update) {
		update(n);
		rb_propagate(parent, update);
	}
	/* n is red; so may be its parent: move that fault upwards or mend it. */
	while (is_red(parent = rb_parent(n))) {
		bool dir;

		grand = rb_parent(parent);
		dir = parent == grand->right;
		uncle = *side(grand, !dir);
		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(grand);
			n = grand;
			continue;
		}
		if (n == *side(parent, !dir)) {
			rotate(root, parent, dir, update);
			parent = n;
		}
		set_black(parent);
		set_red(grand);
		rotate(root, grand, !dir, update);
		break;
	}
	set_black(root->node);
}

/* The paths through x, a child of parent, lack a black node: give it back. */
static void erase_fixup(struct rb_root *root, struct rb_node *x, struct rb_node *parent,
			rb_update_t update)
{
	while (x != root->node && !is_red(x)) {
		bool dir = x == parent->right;
		struct rb_node *sibling = *side(parent, !dir);

		if (is_red(sibling)) {
			set_black(sibling);
			set_red(parent);
			rotate(root, parent, dir, update);
			sibling = *side(parent, !dir);
		}
		if (!is_red(sibling->left) && !is_red(sibling->right)) {
			set_red(sibling);
			x = parent;
			parent = rb_parent(x);
			continue;
		}
		if (!is_red(*side(sibling, !dir))) {
			set_black(*side(sibling, dir));
			set_red(sibling);
			rotate(root, sibling, !dir, update);
			sibling = *side(parent, !dir);
		}
		sibling->parent_color = (sibling->parent_color & ~BLACK) |
					(parent->parent_color & BLACK);
		set_black(parent);
		set_black(*side(sibling, !dir));
		rotate(root, parent, dir, update);
		x = root->node;
	}
	if (x)
		set_black(x);
}

void rb_erase_augmented(struct rb_root *root, struct rb_node *n, rb_update_t update)
{
	struct rb_node *child, *parent;
	bool black;

	if (!n->left || !n->right) {
		child = n->left ? n->left : n->right;
		parent = rb_parent(n);
		black = n->parent_color & BLACK;
		replace_child(root, parent, n, child);
		if (child)
			set_parent(child, parent);
		if (update)
			rb_propagate(parent, update);
	} else {
		struct rb_node *next = n->right;

		while (next->left)
			next = next->left;
		child = next->right;
		black = next->parent_color & BLACK;
		parent = rb_parent(next);
		if (parent == n) {
			parent = next;
		} else {
			parent->left = child;
			if (child)
				set_parent(child, parent);
			next->right = n->right;
			set_parent(n->right, next);
		}
		next->left = n->left;
		set_parent(n->left, next);
		replace_child(root, rb_parent(n), n, next);
		next->parent_color = n->parent_color;
		/* All the way: next carries the summary of its old place. */
		for (struct rb_node *p = parent; update && p; p = rb_parent(p))
			update(p);
	}
	if (black)
		erase_fixup(root, child, parent, update);
	rb_node_clear(n);
}

void rb_erase(struct rb_root *root, struct rb_node *n)
{
	rb_erase_augmented(root, n, NULL);
}

void rb_replace(struct rb_root *root, struct rb_node *old, struct rb_node *new)
{
	*new = *old;
	replace_child(root, rb_parent(old), old, new);
	if (new->left)
		set_parent(new->left, new);
	if (new->right)
		set_parent(new->right, new);
	rb_node_clear(old);
}

static struct rb_node *extreme(struct rb_node *n, bool right)
{
	while (n && *side(n, right))
		n = *side(n, right);
	return n;
}

static struct rb_node *neighbour(const struct rb_node *cn, bool right)
{
	struct rb_node *n = (struct rb_node *)(uintptr_t)cn, *parent;

	if (*side(n, right))
		return extreme(*side(n, right), !right);
	while ((parent = rb_parent(n)) && n == *side(parent, right))
		n = parent;
	return parent;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return extreme(root->node, false);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return extreme(root->node, true);
}

struct rb_node *rb_next(const struct rb_node *n)
{
	return neighbour(n, true);
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	return neighbour(n, false);
}

static struct rb_node *deepest(struct rb_node *n)
{
	while (n && (n->left || n->right))
		n = n->left ? n->left : n->right;
	return n;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return deepest(root->node);
}

struct rb_node *rb_next_postorder(const struct rb_node *n)
{
	struct rb_node *parent = rb_parent(n);

	if (parent && n == parent->left && parent->right)
		return deepest(parent->right);
	return parent;
}
