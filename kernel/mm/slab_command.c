/* SPDX-License-Identifier: MIT */
/*
 * `slab`: the caches, and what is wrong with one. No lock: every structure is peeked at, and counts that do not agree
 * with each other are told of, not trusted. A slab that is wholly in use stands on no list: `page` finds it by address.
 */
#include <kernel/core/command.h>
#include <lib/string.h>
#include "slab.h"

#define SLAB_NAME_MAX 32u
#define SLABS_SHOWN 200u

static void cache_line(struct command_io *io, const struct kmem_cache *at, const struct kmem_cache *c)
{
	char name[SLAB_NAME_MAX];
	u64 in_magazines = c->id < KMEM_MAX_CACHES ? slab_in_magazines(c->id) : 0;

	command_peek_string(name, sizeof(name), c->name);
	command_printf(io, "%-20s %8llu %8llu %8llu %6u %6llu  %p\n", name, (unsigned long long)c->out - in_magazines,
		       (unsigned long long)in_magazines, (unsigned long long)(c->slabs * c->per_slab), c->object_size,
		       (unsigned long long)(c->slabs << c->order), (const void *)at);
}

/* Free objects of a slab, by its list; tells of a link that leads out of it. */
static u32 count_free(struct command_io *io, const struct kmem_cache *c, const struct page *slab, const struct page *copy)
{
	u8 *base = page_address(slab), *obj = copy->slab.freelist;
	u64 bytes = PAGE_SIZE << c->order;
	u32 n = 0;

	for (; obj && n <= c->per_slab; n++) {
		if (obj < base || obj >= base + bytes || !c->stride || (u64)(obj - base - c->offset) % c->stride) {
			command_printf(io, "  slab %p: free object %u is %p, which is not in it\n", (void *)base, n, (void *)obj);
			return n;
		}
		if (!COMMAND_LOAD(obj, (u8 **)(obj + c->link)))
			return n;
	}
	return n;
}

/* The slabs with free objects: their counts and lists must agree. */
static void check_slabs(struct command_io *io, const struct kmem_cache *at, const struct kmem_cache *c)
{
	struct command_list l;
	u32 shown = 0;

	for (command_list_begin(&l, io, &at->partial); command_list_next(&l) && shown < SLABS_SHOWN; shown++) {
		struct page *slab = list_entry(l.node, struct page, node), copy;
		u32 free;

		if (!COMMAND_LOAD(copy, slab) || copy.type != PAGE_SLAB || copy.slab.cache != at) {
			command_printf(io, "  %p on the list is no slab of this cache\n", (void *)slab);
			return;
		}
		free = count_free(io, c, slab, &copy);
		command_printf(io, "  slab %p: %u of %u in use%s\n", page_address(slab), copy.slab.inuse, copy.slab.total,
			       free + copy.slab.inuse == copy.slab.total ? "" : ", but its free list has another length");
	}
}

static void command_slab(struct command_io *io, int argc, char **argv)
{
	struct command_list l;
	char name[SLAB_NAME_MAX];
	bool found = argc < 2;

	command_printf(io, "%-20s %8s %8s %8s %6s %6s\n", "cache", "in use", "in cpus", "room", "bytes", "pages");
	for (command_list_begin(&l, io, slab_cache_list()); command_list_next(&l);) {
		const struct kmem_cache *at = list_entry(l.node, struct kmem_cache, node);
		struct kmem_cache c;

		if (!COMMAND_LOAD(c, at))
			return;
		command_peek_string(name, sizeof(name), c.name);
		if (argc > 1 && strcmp(name, argv[1]))
			continue;
		found = true;
		cache_line(io, at, &c);
		if (argc > 1)
			check_slabs(io, at, &c);
	}
	if (!found)
		command_printf(io, "no cache '%s'\n", argv[1]);
}
DEBUG_COMMAND(slab, "[cache]", "slab caches; of one: checks its slabs", command_slab);
