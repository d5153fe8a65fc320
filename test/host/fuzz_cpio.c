/* SPDX-License-Identifier: MIT */
/* Any bytes as an initramfs: every pointer that is handed out lies in the buffer. */
#include <lib/cpio.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "framework.h"

const char fuzz_corpus[] = "cpio";
const unsigned int fuzz_rounds = 60000;

struct context {
	const u8 *data;
	size_t n;
	int live;
};

static volatile u8 sink;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

static int on_entry(void *ctx, const struct cpio_entry *e)
{
	struct context *c = ctx;
	const u8 *name = (const u8 *)e->name;

	check(name >= c->data && name + e->name_len < c->data + c->n && !name[e->name_len]);
	check(e->data >= c->data && e->size <= c->n && e->data + e->size <= c->data + c->n);
	check(e->offset < c->n && e->name_len <= 4096);
	if (e->size)
		sink = (u8)(e->data[0] + e->data[e->size - 1]);
	if (e->link_to)
		check(strlen(e->link_to) <= 4096);
	return 0;
}

static void *on_alloc(void *ctx, size_t bytes)
{
	struct context *c = ctx;

	/* Memory is short now and then. */
	if (random_below(50) == 0)
		return NULL;
	c->live++;
	return host_alloc(bytes);
}

static void on_free(void *ctx, void *p)
{
	struct context *c = ctx;

	c->live--;
	host_free(p);
}

void fuzz_one(const u8 *data, size_t n)
{
	static const struct cpio_ops ops = { on_entry, on_alloc, on_free };
	struct context c = { data, n, 0 };
	struct cpio_error why;
	int err = cpio_parse(data, n, &ops, &c, &why);

	check(c.live == 0);
	check(err == 0 || err == -ENOMEM || (why.what && why.offset < n));
}
