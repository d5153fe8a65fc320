/* SPDX-License-Identifier: MIT */
/*
 * Iterators: see kernel/vm/iter.h for the rules.
 *
 * One range of user memory is copied by the inline functions of the header. All
 * else is one loop, iter_walk(), which cuts the request at segment boundaries and hands each piece to iter_chunk(), the
 * only place that knows the kinds of memory. A piece that comes back short (a fault) ends the walk.
 *
 * User addresses: the HAL checks each piece against the end of user space, so
 * a segment that points into the kernel fails at its first byte.
 */
#include <kernel/mm/page.h>
#include <kernel/vm/fault.h>
#include <kernel/vm/iter.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/string.h>

/* One iter_fault_in() makes at most this many pages accessible. */
#define FAULT_IN_MAX_PAGES 16

enum iter_op {
	OP_TO,		/* buffer to iterator */
	OP_FROM,	/* iterator to buffer */
	OP_ZERO,	/* zeros to iterator */
};

static void iter_init(struct iter *it, enum iter_kind kind, enum iter_dir dir, u32 nr_segs,
		      size_t count)
{
	it->kind = kind;
	it->dir = dir;
	it->nr_segs = nr_segs;
	it->count = count;
	it->off = 0;
	it->done = 0;
}

void iter_init_kernel(struct iter *it, enum iter_dir dir, const void *base, size_t len)
{
	iter_init(it, ITER_KERNEL, dir, 1, len);
	it->base = (u64)(uintptr_t)base;
}

void iter_init_segs(struct iter *it, enum iter_kind kind, enum iter_dir dir,
		    const struct iter_seg *segs, u32 nr_segs, size_t count)
{
	iter_init(it, kind, dir, nr_segs, count);
	it->segs = segs;
}

void iter_init_pages(struct iter *it, enum iter_dir dir, const struct iter_page *pages,
		     u32 nr_pages, size_t count)
{
	iter_init(it, ITER_PAGES, dir, nr_pages, count);
	it->pages = pages;
}

static size_t kernel_chunk(enum iter_op op, void *at, void *buf, size_t n)
{
	switch (op) {
	case OP_TO:
		memcpy(at, buf, n);
		break;
	case OP_FROM:
		memcpy(buf, at, n);
		break;
	case OP_ZERO:
		memset(at, 0, n);
		break;
	}
	return n;
}

static size_t user_chunk(enum iter_op op, u64 addr, void *buf, size_t n)
{
	might_fault();
	switch (op) {
	case OP_TO:
		return n - hal_copy_to_user(uptr(addr), buf, n);
	case OP_FROM:
		return n - hal_copy_from_user(buf, uptr(addr), n);
	case OP_ZERO:
		return n - hal_clear_user(uptr(addr), n);
	}
	return 0;
}

/* The current segment's address at the current offset, and what is left of it. */
static size_t iter_segment(const struct iter *it, u64 *addr)
{
	switch (it->kind) {
	case ITER_USER:
	case ITER_KERNEL:
		*addr = it->base + it->off;
		return it->count;
	case ITER_PAGES:
		*addr = (u64)(uintptr_t)page_address(it->pages->page) + it->pages->offset + it->off;
		return it->pages->len - it->off;
	default:
		*addr = it->segs->base + it->off;
		return it->segs->len - it->off;
	}
}

static bool iter_has_segs(const struct iter *it)
{
	return it->kind != ITER_USER && it->kind != ITER_KERNEL;
}

static void iter_next_segment(struct iter *it)
{
	it->off = 0;
	it->nr_segs--;
	if (it->kind == ITER_PAGES)
		it->pages++;
	else
		it->segs++;
}

static size_t iter_walk(struct iter *it, enum iter_op op, u8 *buf, size_t n)
{
	size_t total = 0;

	n = MIN(n, it->count);
	while (n) {
		u64 addr;
		size_t want = MIN(iter_segment(it, &addr), n), got = 0;

		if (want)
			got = iter_is_user(it) ? user_chunk(op, addr, buf, want) :
			      kernel_chunk(op, (void *)(uintptr_t)addr, buf, want);
		total += got;
		n -= got;
		it->off += got;
		it->count -= got;
		it->done += got;
		if (got < want)
			break;
		if (op != OP_ZERO)
			buf += got;
		/* Step off a finished segment only when more is wanted, or it ends the array. */
		if (n && iter_has_segs(it))
			iter_next_segment(it);
	}
	return total;
}

static size_t iter_run_nofault(struct iter *it, enum iter_op op, const void *buf, size_t n)
{
	size_t done;

	if (!iter_is_user(it))
		return iter_walk(it, op, (u8 *)(uintptr_t)buf, n);
	pagefault_disable();
	done = iter_walk(it, op, (u8 *)(uintptr_t)buf, n);
	pagefault_enable();
	return done;
}

size_t iter_copy_to_any(struct iter *it, const void *buf, size_t n)
{
	return iter_walk(it, OP_TO, (u8 *)(uintptr_t)buf, n);
}

size_t iter_copy_from_any(struct iter *it, void *buf, size_t n)
{
	return iter_walk(it, OP_FROM, buf, n);
}

size_t iter_zero_any(struct iter *it, size_t n)
{
	return iter_walk(it, OP_ZERO, NULL, n);
}

size_t iter_copy_to_nofault(struct iter *it, const void *buf, size_t n)
{
	return iter_run_nofault(it, OP_TO, buf, n);
}

size_t iter_copy_from_nofault(struct iter *it, void *buf, size_t n)
{
	return iter_run_nofault(it, OP_FROM, buf, n);
}

size_t iter_zero_nofault(struct iter *it, size_t n)
{
	return iter_run_nofault(it, OP_ZERO, NULL, n);
}

void iter_advance(struct iter *it, size_t n)
{
	n = MIN(n, it->count);
	if (!iter_has_segs(it)) {
		iter_moved(it, n);
		return;
	}
	it->count -= n;
	it->done += n;
	while (n) {
		u64 addr;
		size_t left = iter_segment(it, &addr);

		if (n <= left) {
			it->off += n;
			return;
		}
		n -= left;
		iter_next_segment(it);
	}
}

void iter_revert(struct iter *it, size_t n)
{
	n = MIN(n, iter_has_segs(it) ? it->done : it->off);
	it->count += n;
	if (!iter_has_segs(it)) {
		it->off -= n;
		return;
	}
	it->done -= n;
	while (n > it->off) {
		n -= it->off;
		it->nr_segs++;
		if (it->kind == ITER_PAGES) {
			it->pages--;
			it->off = it->pages->len;
		} else {
			it->segs--;
			it->off = it->segs->len;
		}
	}
	it->off -= n;
}

/* Pages of [addr, addr + len) until one fails or the budget is used up. */
static int fault_in_range(u64 addr, u64 len, u32 access, u32 *budget)
{
	struct vm_space *s = vm_current();
	u64 page = ALIGN_DOWN(addr, VM_PAGE_SIZE);

	if (!s || !user_range_ok(uptr(addr), len))
		return -EFAULT;
	for (; page < addr + len && *budget; page += VM_PAGE_SIZE, --*budget) {
		enum vm_verdict v = vm_fault(s, page, access);

		if (v != VM_FAULT_OK)
			return v == VM_FAULT_OOM ? -ENOMEM : -EFAULT;
	}
	return 0;
}

int iter_fault_in(const struct iter *it, size_t n)
{
	struct iter pos = *it;
	u32 access = it->dir == ITER_DEST ? VM_ACCESS_WRITE : VM_ACCESS_READ;
	u32 budget = FAULT_IN_MAX_PAGES;

	if (!iter_is_user(it))
		return 0;
	iter_truncate(&pos, n);
	while (pos.count && budget) {
		u64 addr;
		size_t len = MIN(iter_segment(&pos, &addr), pos.count);
		u32 before = budget;
		int err;

		if (!len) {
			iter_next_segment(&pos);
			continue;
		}
		err = fault_in_range(addr, len, access, &budget);
		if (err)
			return before == FAULT_IN_MAX_PAGES && budget == before ? err : 0;
		iter_advance(&pos, len);
	}
	return 0;
}
