/* SPDX-License-Identifier: MIT */
/* The tree against a plain array: order, balance, augmentation, after every step. */
#include <lib/rbtree.h>

#include "framework.h"

#define NODES 200

struct item {
	struct rb_node rb;
	u64 start, end, max_end;
	bool in;
};

static struct item items[NODES];
static struct rb_root root;

static struct item *item_of(const struct rb_node *n)
{
	return rb_entry((struct rb_node *)(uintptr_t)n, struct item, rb);
}

static bool less(const struct rb_node *a, const struct rb_node *b)
{
	return item_of(a)->start < item_of(b)->start;
}

static int compare_key(const void *key, const struct rb_node *n)
{
	u64 k = *(const u64 *)key, s = item_of(n)->start;

	return k < s ? -1 : k > s;
}

static u64 right_max(struct item *i)
{
	u64 max = i->end;

	if (i->rb.left)
		max = MAX(max, item_of(i->rb.left)->max_end);
	if (i->rb.right)
		max = MAX(max, item_of(i->rb.right)->max_end);
	return max;
}

static bool update_max(struct rb_node *n)
{
	struct item *i = item_of(n);
	u64 max = right_max(i);
	bool changed = max != i->max_end;

	i->max_end = max;
	return changed;
}

/* Black height of the subtree; checks colours, links, order and summaries on the way. */
static int check_subtree(struct rb_node *n, bool augmented)
{
	int l, r;
	bool black;

	if (!n)
		return 1;
	black = n->parent_color & 1;
	for (int s = 0; s < 2; s++) {
		struct rb_node *child = s ? n->right : n->left;

		if (!child)
			continue;
		EXPECT(rb_parent(child) == n);
		EXPECT(black || (child->parent_color & 1));
	}
	l = check_subtree(n->left, augmented);
	r = check_subtree(n->right, augmented);
	EXPECT_EQ(l, r);
	if (augmented)
		EXPECT_EQ(item_of(n)->max_end, right_max(item_of(n)));
	return l + black;
}

static void check_tree(bool augmented)
{
	unsigned int in_array = 0, in_tree = 0;
	struct rb_node *prev = NULL;
	struct item *i;

	check_subtree(root.node, augmented);
	EXPECT(!root.node || (root.node->parent_color & 1));
	for (int k = 0; k < NODES; k++)
		in_array += items[k].in;
	rb_for_each_entry(i, &root, rb) {
		in_tree++;
		EXPECT(i->in);
		EXPECT(rb_prev(&i->rb) == prev);
		EXPECT(!prev || item_of(prev)->start <= i->start);
		prev = &i->rb;
	}
	EXPECT(rb_last(&root) == prev);
	EXPECT_EQ(in_tree, in_array);
}

static void check_bounds(u64 key)
{
	struct item *ge = NULL, *le = NULL;
	struct rb_node *found;

	for (int k = 0; k < NODES; k++) {
		struct item *i = &items[k];

		if (!i->in)
			continue;
		if (i->start >= key && (!ge || i->start < ge->start))
			ge = i;
		if (i->start <= key && (!le || i->start > le->start))
			le = i;
	}
	found = rb_find_ge(&root, &key, compare_key);
	EXPECT((found != NULL) == (ge != NULL) && (!found || item_of(found)->start == ge->start));
	found = rb_find_le(&root, &key, compare_key);
	EXPECT((found != NULL) == (le != NULL) && (!found || item_of(found)->start == le->start));
	found = rb_find(&root, &key, compare_key);
	EXPECT((found != NULL) == (ge && ge->start == key));
}

static void exercise(bool augmented, u64 keys)
{
	rb_update_t update = augmented ? update_max : NULL;

	root.node = NULL;
	for (int k = 0; k < NODES; k++)
		items[k].in = false;
	for (unsigned int round = 0; round < test_rounds(6000) && !test_failed(); round++) {
		struct item *i = &items[random_below(NODES)];

		if (!i->in) {
			i->start = random_below(keys);
			i->end = i->start + random_below(keys);
			i->max_end = 0;
			rb_insert_augmented(&root, &i->rb, less, update);
		} else if (augmented && random_below(3) == 0) {
			i->end = i->start + random_below(keys);
			rb_propagate(&i->rb, update_max);
			i->in = false;
		} else {
			rb_erase_augmented(&root, &i->rb, update);
			EXPECT(rb_node_is_clear(&i->rb));
		}
		i->in = !i->in;
		if (round % 16 == 0) {
			check_tree(augmented);
			check_bounds(random_below(keys));
		}
	}
	check_tree(augmented);
}

TEST(rbtree_random)
{
	exercise(false, 1000000);
}

TEST(rbtree_equal_keys)
{
	exercise(false, 5);
}

TEST(rbtree_augmented)
{
	exercise(true, 10000);
}

TEST(rbtree_orders_and_replace)
{
	struct item others[2];
	unsigned int n = 0;
	struct item *pos, *next;

	/* Ascending, the worst case for a plain tree; equal keys keep their order. */
	root.node = NULL;
	for (int k = 0; k < NODES; k++) {
		items[k] = (struct item){ .start = (u64)k / 2, .in = true };
		rb_insert(&root, &items[k].rb, less);
	}
	check_tree(false);
	rb_for_each_entry(pos, &root, rb)
		EXPECT(pos == &items[n++]);
	/* The root, with two children, and a leaf. */
	for (int round = 0; round < 2; round++) {
		struct rb_node *old = round ? rb_first(&root) : root.node;
		struct rb_node *prev = rb_prev(old), *after = rb_next(old);

		others[round].start = item_of(old)->start;
		rb_replace(&root, old, &others[round].rb);
		EXPECT(rb_node_is_clear(old));
		check_subtree(root.node, false);
		EXPECT(rb_prev(&others[round].rb) == prev && rb_next(&others[round].rb) == after);
	}
	rb_erase(&root, &others[0].rb);
	check_subtree(root.node, false);
	rb_insert(&root, &others[0].rb, less);
	check_subtree(root.node, false);
	n = 0;
	rb_for_each_postorder_safe(pos, next, &root, rb) {
		n++;
		host_memset(&pos->rb, 0xa5, sizeof(pos->rb));
	}
	EXPECT_EQ(n, NODES);
}

/* Every node of the copy mirrors its original, at every moment of the copying what is there is a tree. */
static void copy_and_compare(unsigned int nodes)
{
	static struct item copies[NODES];
	struct rb_root copied = { NULL };
	struct item *pos, *from;
	struct rb_copy place;
	unsigned int n = 0;

	rb_for_each_copy(&place, &root, &copied) {
		unsigned int there = 0;

		copies[n] = *item_of(place.from);
		rb_copy_place(&place, &copies[n++].rb);
		rb_for_each_entry(pos, &copied, rb)
			there++;
		EXPECT_EQ(there, n);
	}
	EXPECT_EQ(n, nodes);
	from = rb_entry_safe(rb_first(&root), struct item, rb);
	rb_for_each_entry(pos, &copied, rb) {
		EXPECT(from && pos->start == from->start && pos != from);
		if (!from)
			return;
		from = rb_entry_safe(rb_next(&from->rb), struct item, rb);
		n--;
	}
	EXPECT_EQ(n, 0u);
	/* Colours, parents and summaries: the copy is a red-black tree that can be changed. */
	check_subtree(copied.node, true);
	EXPECT(!copied.node || (!rb_parent(copied.node) && (copied.node->parent_color & 1)));
	while (copied.node) {
		rb_erase_augmented(&copied, copied.node, update_max);
		check_subtree(copied.node, true);
	}
	check_subtree(root.node, true);
}

TEST(rbtree_copy)
{
	root.node = NULL;
	copy_and_compare(0);
	for (unsigned int k = 0; k < NODES && !test_failed(); k++) {
		items[k] = (struct item){ .start = random_below(1000) };
		items[k].end = items[k].start + random_below(1000);
		rb_insert_augmented(&root, &items[k].rb, less, update_max);
		copy_and_compare(k + 1);
	}
}
