/* SPDX-License-Identifier: MIT */
/*
 * Reading, writing and seeking in an object: what read(2) and write(2) on a file in
 * the page cache come down to.
 *
 * User memory is touched with a reference on the page and no lock at all, so a fault in the
 * copy may do what it likes: write() from a mapping of the same page is an ordinary copy. A reader may see
 * half of a concurrent write, as on Linux; the owner serialises writers.
 */
#include <kernel/core/rcu.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/thread.h>

#include "internal.h"

static bool io_killed(void)
{
	return __atomic_load_n(&current_thread()->fatal, __ATOMIC_RELAXED);
}

/* One page's worth; bytes done. */
static inline size_t read_page(struct vm_object *obj, struct iter *it, u64 pos, size_t n)
{
	struct page *page = object_lookup(obj, pos >> PAGE_SHIFT);
	size_t done;

	if (!page)
		return iter_zero(it, n);
	done = iter_copy_page_to(it, page, pos & (PAGE_SIZE - 1), n);
	page_put(page);
	return done;
}

ssize_t vm_object_read(struct vm_object *obj, struct iter *it, u64 *pos)
{
	size_t total = 0;

	while (iter_count(it)) {
		u64 size = vm_object_size(obj);
		size_t n, done;

		if (*pos >= size)
			break;
		n = MIN(PAGE_SIZE - (*pos & (PAGE_SIZE - 1)), size - *pos);
		n = MIN(n, iter_count(it));
		done = read_page(obj, it, *pos, n);
		*pos += done;
		total += done;
		if (done < n)
			return total ? (ssize_t)total : -EFAULT;
		if (io_killed())
			return total ? (ssize_t)total : -EINTR;
		sched_relax();
	}
	return (ssize_t)total;
}

/* A page that was made for a write of which nothing came, past the end of file: away with it. */
static void write_undo(struct vm_object *obj, u64 pos)
{
	u64 start = ALIGN_DOWN(pos, PAGE_SIZE);

	if (start >= vm_object_size(obj))
		vm_object_punch(obj, start, start + PAGE_SIZE);
}

static noinline struct page *make_page(struct vm_object *obj, u64 index)
{
	struct page *page;
	int err = object_make_page(obj, index, false, &page);

	return err ? ERR_PTR(err) : page;
}

/* Bytes done or -errno. */
static inline ssize_t write_page(struct vm_object *obj, struct iter *it, u64 pos, size_t n)
{
	struct page *page = object_lookup(obj, pos >> PAGE_SHIFT);
	size_t done;

	if (unlikely(!page)) {
		page = make_page(obj, pos >> PAGE_SHIFT);
		if (IS_ERR(page))
			return PTR_ERR(page);
	}
	done = iter_copy_page_from(it, page, pos & (PAGE_SIZE - 1), n);
	page_put(page);
	if (done && pos + done > vm_object_size(obj))
		vm_object_set_size(obj, pos + done);
	if (!done)
		write_undo(obj, pos);
	return (ssize_t)done;
}

ssize_t vm_object_write(struct vm_object *obj, struct iter *it, u64 *pos)
{
	size_t total = 0;

	while (iter_count(it)) {
		size_t n = MIN(PAGE_SIZE - (*pos & (PAGE_SIZE - 1)), iter_count(it));
		ssize_t done = write_page(obj, it, *pos, n);

		if (done < 0)
			return total ? (ssize_t)total : done;
		*pos += (u64)done;
		total += (size_t)done;
		if ((size_t)done < n)
			return total ? (ssize_t)total : -EFAULT;
		if (io_killed())
			return total ? (ssize_t)total : -EINTR;
		sched_relax();
	}
	return (ssize_t)total;
}

/* The first page at or after index that is there; false if none. */
static bool next_data(const struct vm_object *obj, u64 *index)
{
	bool found;

	rcu_read_lock();
	found = xa_find(&obj->pages, index, UINT64_MAX);
	rcu_read_unlock();
	return found;
}

s64 vm_object_seek(const struct vm_object *obj, u64 pos, bool data)
{
	u64 size = vm_object_size(obj), index = pos >> PAGE_SHIFT, at;

	if (pos >= size)
		return -ENXIO;
	if (data) {
		if (!next_data(obj, &index) || index << PAGE_SHIFT >= size)
			return -ENXIO;
		return (s64)MAX(pos, index << PAGE_SHIFT);
	}
	for (; index << PAGE_SHIFT < size; index++) {
		at = index;
		if (!next_data(obj, &at) || at != index)
			return (s64)MAX(pos, index << PAGE_SHIFT);
	}
	return (s64)size;
}
