/* SPDX-License-Identifier: MIT */
/*
 * Backtraces of allocations and frees, each kept once and named by a number.
 *
 * Records lie one after another in a block of pages and are never removed; a hash table of chains finds them. A
 * number is the record's place in 4-byte units. Return addresses are kept as distances from the start of the image,
 * 32 bits each. Different callers are few thousands, so the block of 2 MiB is hardly ever full; when it is, new
 * backtraces get the number 0, "not known".
 *
 * No locks: room is taken by one addition, a record is complete before it is put at the head of its chain by
 * compare-and-exchange. Two CPUs that save the same backtrace at once may both add it, which does no harm.
 */
#include <hal/backtrace.h>
#include <kernel/core/symbols.h>
#include <lib/string.h>
#include "kasan.h"

#if HALCYON_KASAN

#define DEPOT_ORDER	9u	/* 2 MiB */
#define DEPOT_UNITS	(u32)((PAGE_SIZE << DEPOT_ORDER) / sizeof(u32))
#define DEPTH		12u	/* frames that are kept */
#define SKIP		1u	/* stack_depot_save() itself */
#define BUCKETS		8192u

struct record {
	u32 next;	/* [I] number of the next one in the chain */
	u32 hash;	/* [I] */
	u32 count;	/* [I] */
	u32 pc[];	/* [I] */
};

static u32 *units;		/* [I] */
static u32 used = 1;		/* [a] units taken; may run beyond the end */
static u32 buckets[BUCKETS];	/* [a] */

static struct record *record_at(u32 handle)
{
	return (struct record *)(units + handle);
}

static bool same(const struct record *r, u32 hash, const u32 *pc, u32 n)
{
	if (r->hash != hash || r->count != n)
		return false;
	for (u32 i = 0; i < n; i++)
		if (r->pc[i] != pc[i])
			return false;
	return true;
}

static u32 add(u32 *bucket, u32 hash, const u32 *pc, u32 n)
{
	u32 size = (u32)(sizeof(struct record) / sizeof(u32)) + n, at;
	struct record *r;

	if (__atomic_load_n(&used, __ATOMIC_RELAXED) + size > DEPOT_UNITS)
		return 0;
	at = __atomic_fetch_add(&used, size, __ATOMIC_RELAXED);
	if (at + size > DEPOT_UNITS)
		return 0;
	r = record_at(at);
	r->hash = hash;
	r->count = n;
	for (u32 i = 0; i < n; i++)
		r->pc[i] = pc[i];
	r->next = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);
	while (!__atomic_compare_exchange_n(bucket, &r->next, at, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return at;
}

u32 stack_depot_save(void)
{
	vaddr_t frames[DEPTH + SKIP];
	u32 pc[DEPTH], n, count = 0, hash = 2166136261u;
	u32 *bucket;

	if (unlikely(!units))
		return 0;
	n = hal_backtrace_fast(frames, DEPTH + SKIP);
	for (u32 i = SKIP; i < n; i++) {
		pc[count] = (u32)(frames[i] - HAL_IMAGE_BASE);
		hash = (hash ^ pc[count++]) * 16777619u;
		hash ^= hash >> 15;
	}
	bucket = &buckets[hash % BUCKETS];
	for (u32 at = __atomic_load_n(bucket, __ATOMIC_ACQUIRE); at; at = record_at(at)->next)
		if (same(record_at(at), hash, pc, count))
			return at;
	return add(bucket, hash, pc, count);
}

/* A number may come from damaged memory: believe nothing. */
u32 stack_depot_fetch(u32 handle, vaddr_t *out, u32 max)
{
	u32 n;

	if (!units || !handle || handle > DEPOT_UNITS - DEPTH - 3)
		return 0;
	n = MIN(MIN(record_at(handle)->count, DEPTH), max);
	for (u32 i = 0; i < n; i++)
		out[i] = HAL_IMAGE_BASE + record_at(handle)->pc[i];
	return n;
}

void stack_depot_init(void)
{
	struct page *page = page_alloc(DEPOT_ORDER, MM_NOWAIT | MM_NOFAIL_INJECT);

	units = page ? page_address(page) : NULL;
}

#endif
