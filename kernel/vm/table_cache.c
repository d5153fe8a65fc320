/* SPDX-License-Identifier: MIT */
/*
 * Empty page tables, kept per CPU.
 *
 * A table that is given back has been emptied entry by entry, so it is all zeros again, and a root still has the
 * kernel half. Making a table costs more (zeroing 4 KiB, copying the half) than anything else that fork and exit do
 * with it; a process needs about seven. So each CPU keeps a few of both, linked through page->node.
 *
 * The lists are per CPU and used with preemption off; interrupt handlers do not make tables. What one CPU keeps, another
 * cannot drain: it is little, and a shrinker gives back the caller's.
 */
#include <kernel/core/percpu.h>
#include <kernel/core/preempt.h>
#include <kernel/mm/pt.h>
#include <kernel/mm/reclaim.h>

#include "internal.h"

#define KEEP_TABLES	24U
#define KEEP_ROOTS	4U

struct table_list {
	struct page *first;		/* through node.next */
	u32 nr;
};

struct table_cache {
	struct table_list tables, roots;
};

static DEFINE_PER_CPU(struct table_cache, table_cache);

static struct page *list_pop(struct table_list *l)
{
	struct page *page = l->first;

	if (page) {
		l->first = (struct page *)page->node.next;
		l->nr--;
	}
	return page;
}

static bool list_push(struct table_list *l, struct page *page, u32 keep)
{
	if (l->nr >= keep)
		return false;
	page->node.next = (struct list_head *)l->first;
	l->first = page;
	l->nr++;
	return true;
}

struct page *table_cache_get(unsigned int level)
{
	struct page *table;

	preempt_disable();
	table = list_pop(&this_cpu(table_cache).tables);
	preempt_enable();
	return table ? table : pt_page_alloc(level);
}

void table_cache_put(struct page *table)
{
	bool kept;

	table->pt.live = 0;
	table->pt.groups = 0;
	preempt_disable();
	kept = list_push(&this_cpu(table_cache).tables, table, KEEP_TABLES);
	preempt_enable();
	if (!kept)
		pt_page_free(table);
}

struct page *table_cache_get_root(void)
{
	struct page *root;

	preempt_disable();
	root = list_pop(&this_cpu(table_cache).roots);
	preempt_enable();
	return root ? root : pt_root_alloc();
}

void table_cache_put_root(struct page *root)
{
	bool kept;

	root->pt.live = 0;
	root->pt.groups = 0;
	preempt_disable();
	kept = list_push(&this_cpu(table_cache).roots, root, KEEP_ROOTS);
	preempt_enable();
	if (!kept)
		pt_root_free(root);
}

/* Preemption off and the list this CPU's, or of one that is offline. */
static u64 drain(struct table_cache *c)
{
	struct page *page;
	u64 pages = 0;

	for (; (page = list_pop(&c->tables)); pages++)
		pt_page_free(page);
	for (; (page = list_pop(&c->roots)); pages++)
		pt_root_free(page);
	return pages;
}

u64 table_cache_drain(void)
{
	u64 pages;

	preempt_disable();
	pages = drain(this_cpu_ptr(&table_cache));
	preempt_enable();
	return pages;
}

u64 table_cache_drain_cpu(u32 cpu)
{
	return drain(per_cpu_ptr(&table_cache, cpu));
}

static u64 cache_count(struct mm_shrinker *shrinker)
{
	const struct table_cache *c;
	u64 pages;

	(void)shrinker;
	preempt_disable();
	c = this_cpu_ptr(&table_cache);
	pages = c->tables.nr + c->roots.nr;
	preempt_enable();
	return pages;
}

static u64 cache_scan(struct mm_shrinker *shrinker, u64 nr)
{
	(void)shrinker;
	(void)nr;
	return table_cache_drain();
}

static struct mm_shrinker table_shrinker = {
	.name = "page tables", .count = cache_count, .scan = cache_scan,
};

void table_cache_init(void)
{
	mm_shrinker_register(&table_shrinker);
}
