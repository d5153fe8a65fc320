/* SPDX-License-Identifier: MIT */
/*
 * Radix tree of 64-way nodes.
 *
 * Invariants, outside the writer's lock as well as inside except where noted:
 * - head is NULL, an entry (then only index 0 is in use), or a tagged node;
 * - a node's shift and the positions below it never change, so a reader that
 *   holds a node can trust it for the whole read section, even after the tree
 *   grew above it or shrank past it;
 * - a slot of a node with shift 0 holds an entry, of others a tagged node whose
 *   shift is 6 less;
 * - (writer) no node is empty, and the top node has more in use than slot 0.
 *
 * Growing puts a new node above the old head; shrinking makes the child in slot
 * 0 the head and leaves the old top's slot 0 for readers that are still in it.
 * Everything is published with a release, complete.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include <lib/xarray.h>

#define XA_MASK (XA_SLOTS - 1)

static struct xa_hooks hooks;

void xa_set_hooks(const struct xa_hooks *h)
{
	hooks = *h;
}

static inline void *from_node(const struct xa_node *n)
{
	return (void *)((uintptr_t)n | XA_NODE_TAG);
}

/* The largest index that a tree with this head can hold. */
static inline u64 head_max(const void *head)
{
	unsigned int bits;

	if (!xa_is_node(head))
		return 0;
	bits = xa_to_node(head)->shift + XA_SHIFT;
	return bits >= 64 ? UINT64_MAX : BIT(bits) - 1;
}

static inline unsigned int slot_of(const struct xa_node *n, u64 index)
{
	return (unsigned int)(index >> n->shift) & XA_MASK;
}

/*
 * The first entry at or after *index below the node, where *index is in its
 * range. On NULL *index is the first one behind a range that was seen to be
 * empty; *more says whether there is such an index.
 */
static void *find_below(struct xa_node *n, u64 *index, bool *more)
{
	for (;;) {
		unsigned int off = slot_of(n, *index);
		void *entry = smp_load_acquire(&n->slots[off]);
		u64 step = BIT(n->shift);

		while (!entry && ++off < XA_SLOTS) {
			if (add_overflow(ALIGN_DOWN(*index, step), step, index)) {
				*more = false;
				return NULL;
			}
			entry = smp_load_acquire(&n->slots[off]);
		}
		if (!entry) {
			*more = !add_overflow(ALIGN_DOWN(*index, step), step, index);
			return NULL;
		}
		if (!xa_is_node(entry))
			return entry;
		n = xa_to_node(entry);
	}
}

void *xa_find(const struct xarray *xa, u64 *index, u64 max)
{
	u64 i = *index;
	bool more = true;

	while (more && i <= max) {
		void *entry = smp_load_acquire(&xa->head);

		if (i > head_max(entry))
			return NULL;
		if (xa_is_node(entry))
			entry = find_below(xa_to_node(entry), &i, &more);
		else if (!entry)
			return NULL;
		if (entry) {
			if (i > max)
				return NULL;
			*index = i;
			return entry;
		}
	}
	return NULL;
}

static struct xa_node *node_alloc(struct xa_preload *p, unsigned int shift)
{
	struct xa_node *n;

	if (p) {
		n = p->nodes;
		if (n) {
			p->nodes = n->parent;
			p->count--;
		}
	} else {
		n = hooks.node_alloc ? hooks.node_alloc() : NULL;
	}
	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->shift = (u8)shift;
	return n;
}

int xa_preload_fill(struct xa_preload *p, unsigned int want)
{
	while (p->count < want) {
		struct xa_node *n = hooks.node_alloc ? hooks.node_alloc() : NULL;

		if (!n)
			return -ENOMEM;
		n->parent = p->nodes;
		p->nodes = n;
		p->count++;
	}
	return 0;
}

void xa_preload_drain(struct xa_preload *p)
{
	struct xa_node *n;

	while ((n = p->nodes)) {
		p->nodes = n->parent;
		p->count--;
		hooks.node_free(n);
	}
}

/* Drops empty nodes from n upwards, then needless ones from the top. */
static void prune(struct xarray *xa, struct xa_node *n)
{
	while (n && n->count == 0) {
		struct xa_node *parent = n->parent;

		if (parent) {
			smp_store_release(&parent->slots[n->offset], NULL);
			parent->count--;
		} else {
			smp_store_release(&xa->head, NULL);
		}
		hooks.node_free(n);
		n = parent;
	}
	while (xa_is_node(xa->head)) {
		struct xa_node *top = xa_to_node(xa->head);
		void *child = top->slots[0];

		if (top->count != 1 || !child)
			break;
		if (xa_is_node(child))
			xa_to_node(child)->parent = NULL;
		smp_store_release(&xa->head, child);
		hooks.node_free(top);
	}
}

/* Makes the tree high enough for index. index > head_max. */
static int grow(struct xarray *xa, u64 index, struct xa_preload *p)
{
	while (index > head_max(xa->head)) {
		void *old = xa->head;
		struct xa_node *n;
		unsigned int shift = xa_is_node(old) ? xa_to_node(old)->shift + XA_SHIFT : 0;

		/* An empty tree gets its height at once. */
		while (!old && shift + XA_SHIFT < 64 && index >> (shift + XA_SHIFT))
			shift += XA_SHIFT;
		n = node_alloc(p, shift);
		if (!n)
			return -ENOMEM;
		if (old) {
			n->slots[0] = old;
			n->count = 1;
			if (xa_is_node(old)) {
				xa_to_node(old)->parent = n;
				xa_to_node(old)->offset = 0;
			}
		}
		smp_store_release(&xa->head, from_node(n));
	}
	return 0;
}

/* The leaf node for index, made if need be. The tree is high enough. */
static int make_leaf(struct xarray *xa, u64 index, struct xa_preload *p, struct xa_node **leaf)
{
	struct xa_node *n = xa_to_node(xa->head);

	while (n->shift) {
		unsigned int off = slot_of(n, index);
		struct xa_node *child;

		if (n->slots[off]) {
			n = xa_to_node(n->slots[off]);
			continue;
		}
		child = node_alloc(p, n->shift - XA_SHIFT);
		if (!child) {
			prune(xa, n);
			return -ENOMEM;
		}
		child->parent = n;
		child->offset = (u8)off;
		n->count++;
		smp_store_release(&n->slots[off], from_node(child));
		n = child;
	}
	*leaf = n;
	return 0;
}

int xa_store_preloaded(struct xarray *xa, u64 index, void *entry, struct xa_preload *preload)
{
	struct xa_node *leaf;
	int err;

	if (!entry) {
		xa_erase(xa, index);
		return 0;
	}
	if (index > head_max(xa->head)) {
		err = grow(xa, index, preload);
		if (err) {
			prune(xa, xa_is_node(xa->head) ? xa_to_node(xa->head) : NULL);
			return err;
		}
	}
	if (!xa_is_node(xa->head)) {
		smp_store_release(&xa->head, entry);
		return 0;
	}
	err = make_leaf(xa, index, preload, &leaf);
	if (err)
		return err;
	if (!leaf->slots[index & XA_MASK])
		leaf->count++;
	smp_store_release(&leaf->slots[index & XA_MASK], entry);
	return 0;
}

int xa_store(struct xarray *xa, u64 index, void *entry)
{
	return xa_store_preloaded(xa, index, entry, NULL);
}

void *xa_erase(struct xarray *xa, u64 index)
{
	void *entry = xa->head;
	struct xa_node *n = NULL;

	if (index > head_max(entry))
		return NULL;
	while (xa_is_node(entry)) {
		n = xa_to_node(entry);
		entry = n->slots[slot_of(n, index)];
	}
	if (!entry)
		return NULL;
	if (n) {
		smp_store_release(&n->slots[index & XA_MASK], NULL);
		n->count--;
		prune(xa, n);
	} else {
		smp_store_release(&xa->head, NULL);
	}
	return entry;
}

/* The first index at or after i without an entry; *found false if there is none. */
static u64 find_free(const struct xarray *xa, u64 i, bool *found)
{
	*found = true;
	for (;;) {
		void *entry = xa->head;
		struct xa_node *n = NULL;
		unsigned int off;

		if (i > head_max(entry))
			return i;
		while (xa_is_node(entry)) {
			n = xa_to_node(entry);
			entry = n->slots[slot_of(n, i)];
		}
		if (!entry)
			return i;
		if (!n) {
			i++;
			continue;
		}
		for (off = slot_of(n, i); off < XA_SLOTS && n->slots[off]; off++)
			;
		if (off < XA_SLOTS)
			return ALIGN_DOWN(i, XA_SLOTS) + off;
		if (add_overflow(ALIGN_DOWN(i, XA_SLOTS), (u64)XA_SLOTS, &i)) {
			*found = false;
			return 0;
		}
	}
}

int xa_alloc(struct xarray *xa, void *entry, u64 min, u64 max, u64 *index)
{
	bool found;
	u64 i = find_free(xa, min, &found);
	int err;

	if (!found || i > max)
		return -EBUSY;
	err = xa_store(xa, i, entry);
	if (err)
		return err;
	*index = i;
	return 0;
}

void xa_destroy(struct xarray *xa)
{
	void *head = xa->head;
	struct xa_node *n;

	smp_store_release(&xa->head, NULL);
	if (!xa_is_node(head))
		return;
	/* Children first. A node's count, no longer needed, is where we are in it. */
	n = xa_to_node(head);
	n->count = 0;
	while (n) {
		struct xa_node *parent = n->parent, *child = NULL;

		while (n->shift && n->count < XA_SLOTS && !child)
			if (n->slots[n->count++])
				child = xa_to_node(n->slots[n->count - 1]);
		if (child) {
			child->count = 0;
			n = child;
		} else {
			hooks.node_free(n);
			n = parent;
		}
	}
}
