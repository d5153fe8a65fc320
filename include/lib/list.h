/* SPDX-License-Identifier: MIT */
#ifndef LIB_LIST_H
#define LIB_LIST_H

/*
 * Intrusive lists: circular and doubly linked with a head (list_*), and with a
 * one-word head for hash tables (hlist_*).
 *
 * The _rcu variants let readers walk while one writer (under the list's lock)
 * changes it: insertion publishes the node with a release, deletion leaves the
 * node's own forward pointer alone, and the node is freed after a grace period.
 */
#include <lib/atomic.h>
#include <lib/compiler.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name) { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void list_init(struct list_head *h)
{
	h->next = h;
	h->prev = h;
}

static inline void list_insert_between(struct list_head *n, struct list_head *prev,
				       struct list_head *next)
{
	next->prev = n;
	n->next = next;
	n->prev = prev;
	WRITE_ONCE(prev->next, n);
}

/* After `at`; with the head: at the front. */
static inline void list_add_head(struct list_head *n, struct list_head *at)
{
	list_insert_between(n, at, at->next);
}

/* Before `at`; with the head: at the end. */
static inline void list_add_tail(struct list_head *n, struct list_head *at)
{
	list_insert_between(n, at->prev, at);
}

static inline void list_unlink(struct list_head *n)
{
	n->next->prev = n->prev;
	WRITE_ONCE(n->prev->next, n->next);
}

/* Not the null page alone: a use of a deleted node faults at a known address. */
#define LIST_POISON1 ((struct list_head *)0xdead000000000100ULL)
#define LIST_POISON2 ((struct list_head *)0xdead000000000122ULL)

static inline void list_del(struct list_head *n)
{
	list_unlink(n);
	n->next = LIST_POISON1;
	n->prev = LIST_POISON2;
}

static inline void list_del_init(struct list_head *n)
{
	list_unlink(n);
	list_init(n);
}

static inline bool list_empty(const struct list_head *h)
{
	return READ_ONCE(h->next) == h;
}

static inline bool list_is_singular(const struct list_head *h)
{
	return !list_empty(h) && h->next == h->prev;
}

static inline bool list_is_last(const struct list_head *n, const struct list_head *h)
{
	return n->next == h;
}

static inline void list_move_head(struct list_head *n, struct list_head *h)
{
	list_unlink(n);
	list_add_head(n, h);
}

static inline void list_move_tail(struct list_head *n, struct list_head *h)
{
	list_unlink(n);
	list_add_tail(n, h);
}

static inline void list_replace(struct list_head *old, struct list_head *new)
{
	new->next = old->next;
	new->next->prev = new;
	new->prev = old->prev;
	new->prev->next = new;
}

/* Moves all of `from` to the front of `to`; `from` is empty afterwards. */
static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	from->next->prev = to;
	to->next = from->next;
	list_init(from);
}

/* The same, to the end. */
static inline void list_splice_tail_init(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) list_entry((head)->prev, type, member)
#define list_first_entry_or_null(head, type, member) \
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_last_entry_or_null(head, type, member) \
	(list_empty(head) ? NULL : list_last_entry(head, type, member))
#define list_next_entry(pos, member) list_entry((pos)->member.next, __typeof__(*(pos)), member)
#define list_prev_entry(pos, member) list_entry((pos)->member.prev, __typeof__(*(pos)), member)

#define list_for_each(pos, head) \
	for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
#define list_for_each_safe(pos, n, head)				\
	for ((pos) = (head)->next, (n) = (pos)->next; (pos) != (head);	\
	     (pos) = (n), (n) = (pos)->next)
#define list_for_each_entry(pos, head, member)				\
	for ((pos) = list_first_entry(head, __typeof__(*(pos)), member);	\
	     &(pos)->member != (head); (pos) = list_next_entry(pos, member))
#define list_for_each_entry_reverse(pos, head, member)			\
	for ((pos) = list_last_entry(head, __typeof__(*(pos)), member);	\
	     &(pos)->member != (head); (pos) = list_prev_entry(pos, member))
/* pos may be deleted and freed in the body. */
#define list_for_each_entry_safe(pos, n, head, member)			\
	for ((pos) = list_first_entry(head, __typeof__(*(pos)), member),	\
	     (n) = list_next_entry(pos, member);			\
	     &(pos)->member != (head);					\
	     (pos) = (n), (n) = list_next_entry(n, member))

static inline void list_add_head_rcu(struct list_head *n, struct list_head *at)
{
	n->next = at->next;
	n->prev = at;
	smp_store_release(&at->next, n);
	n->next->prev = n;
}

static inline void list_add_tail_rcu(struct list_head *n, struct list_head *at)
{
	n->next = at;
	n->prev = at->prev;
	smp_store_release(&at->prev->next, n);
	at->prev = n;
}

/* Readers on the node still find their way on; free it after a grace period. */
static inline void list_del_rcu(struct list_head *n)
{
	list_unlink(n);
	n->prev = LIST_POISON2;
}

static inline void list_replace_rcu(struct list_head *old, struct list_head *new)
{
	new->next = old->next;
	new->prev = old->prev;
	smp_store_release(&new->prev->next, new);
	new->next->prev = new;
	old->prev = LIST_POISON2;
}

#define list_entry_rcu(ptr, type, member) container_of(smp_load_acquire(&(ptr)), type, member)
#define list_for_each_entry_rcu(pos, head, member)				\
	for ((pos) = list_entry_rcu((head)->next, __typeof__(*(pos)), member);	\
	     &(pos)->member != (head);						\
	     (pos) = list_entry_rcu((pos)->member.next, __typeof__(*(pos)), member))

/* Hash chains: the head is one pointer; pprev points at what points at us. */
struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

#define HLIST_HEAD_INIT { NULL }

static inline void hlist_init(struct hlist_head *h)
{
	h->first = NULL;
}

static inline void hlist_node_init(struct hlist_node *n)
{
	n->next = NULL;
	n->pprev = NULL;
}

static inline bool hlist_empty(const struct hlist_head *h)
{
	return !READ_ONCE(h->first);
}

static inline bool hlist_unhashed(const struct hlist_node *n)
{
	return !READ_ONCE(n->pprev);
}

static inline void hlist_add_head(struct hlist_node *n, struct hlist_head *h)
{
	n->next = h->first;
	if (h->first)
		h->first->pprev = &n->next;
	WRITE_ONCE(h->first, n);
	n->pprev = &h->first;
}

static inline void hlist_unlink(struct hlist_node *n)
{
	WRITE_ONCE(*n->pprev, n->next);
	if (n->next)
		n->next->pprev = n->pprev;
}

/* A node that is on no list is left alone. */
static inline void hlist_del_init(struct hlist_node *n)
{
	if (hlist_unhashed(n))
		return;
	hlist_unlink(n);
	hlist_node_init(n);
}

static inline void hlist_del(struct hlist_node *n)
{
	hlist_unlink(n);
	n->next = (struct hlist_node *)LIST_POISON1;
	n->pprev = (struct hlist_node **)LIST_POISON2;
}

static inline void hlist_add_head_rcu(struct hlist_node *n, struct hlist_head *h)
{
	n->next = h->first;
	n->pprev = &h->first;
	smp_store_release(&h->first, n);
	if (n->next)
		n->next->pprev = &n->next;
}

/* Unhashed afterwards, but next stays for the readers on it. */
static inline void hlist_del_init_rcu(struct hlist_node *n)
{
	if (hlist_unhashed(n))
		return;
	hlist_unlink(n);
	WRITE_ONCE(n->pprev, NULL);
}

static inline void hlist_del_rcu(struct hlist_node *n)
{
	hlist_unlink(n);
	n->pprev = (struct hlist_node **)LIST_POISON2;
}

#define hlist_entry(ptr, type, member) container_of(ptr, type, member)
#define hlist_entry_safe(ptr, type, member) __extension__ ({		\
	__typeof__(ptr) __hp = (ptr);					\
	__hp ? hlist_entry(__hp, type, member) : NULL; })
#define hlist_for_each_entry(pos, head, member)				\
	for ((pos) = hlist_entry_safe((head)->first, __typeof__(*(pos)), member); \
	     (pos);							\
	     (pos) = hlist_entry_safe((pos)->member.next, __typeof__(*(pos)), member))
/* n is a struct hlist_node *; pos may be deleted in the body. */
#define hlist_for_each_entry_safe(pos, n, head, member)			\
	for ((pos) = hlist_entry_safe((head)->first, __typeof__(*(pos)), member); \
	     (pos) && ((n) = (pos)->member.next, true);			\
	     (pos) = hlist_entry_safe(n, __typeof__(*(pos)), member))
#define hlist_for_each_entry_rcu(pos, head, member)			\
	for ((pos) = hlist_entry_safe(smp_load_acquire(&(head)->first),	\
				      __typeof__(*(pos)), member);	\
	     (pos);							\
	     (pos) = hlist_entry_safe(smp_load_acquire(&(pos)->member.next), \
				      __typeof__(*(pos)), member))

#endif
