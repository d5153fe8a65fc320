/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_ITER_H
#define KERNEL_VM_ITER_H

/*
 * Iterators: where the bytes of a file operation come from or go to.
 *
 * One iterator walks user memory (one range or an iovec array), kernel memory,
 * or a vector of pages, so that a file operation is written once and serves
 * read(2), readv(2), kernel readers, splice and whatever comes later.
 *
 * Direction. ITER_DEST: the iterator's memory is written (read(2) fills it).
 * ITER_SOURCE: it is read (write(2) takes from it).
 *
 * Faults. The copy functions may fault user pages in, so they may sleep and take
 * the address space's lock: call them under no spinlock, no page lock and no lock
 * of inner rank than LOCK_RANK_SPACE. Code that must hold a lock uses the
 * _nofault functions, which stop short at the first byte that is not mapped, drops the
 * lock, calls iter_fault_in() and tries again:
 *
 *	for (;;) {
 *		lock();
 *		n = iter_copy_to_nofault(it, buf, len);
 *		unlock();
 *		if (n || !len)
 *			break;
 *		if (iter_fault_in(it, len))
 *			return -EFAULT;
 *	}
 *
 * An iterator belongs to one thread; nothing here locks. The segment array is
 * borrowed from the caller and not changed, so copying an iterator by
 * assignment saves its position.
 */
#include <hal/uaccess.h>
#include <kernel/core/preempt.h>
#include <kernel/mm/page.h>
#include <lib/compiler.h>
#include <lib/errno.h>

enum iter_kind {
	ITER_USER,		/* one range of user memory */
	ITER_USER_VEC,		/* struct iter_seg array, user addresses */
	ITER_KERNEL,		/* one range of kernel memory */
	ITER_KERNEL_VEC,	/* struct iter_seg array, kernel addresses */
	ITER_PAGES,		/* struct iter_page array */
};

enum iter_dir {
	ITER_DEST,		/* data goes into the iterator's memory */
	ITER_SOURCE,		/* data comes out of it */
};

/* Laid out as Linux's struct iovec, so that it is copied in as it is. */
struct iter_seg {
	u64 base;
	u64 len;
};

struct iter_page {
	struct page *page;
	u32 offset;		/* bytes */
	u32 len;		/* bytes; offset + len may pass the page's end in a compound page */
};

struct iter {
	u8 kind;		/* enum iter_kind */
	u8 dir;			/* enum iter_dir */
	u32 nr_segs;		/* segments left, the current one included */
	size_t count;		/* bytes left */
	size_t off;		/* bytes done of the current segment; of all, where there is only one */
	size_t done;		/* arrays: bytes done in all, what iter_revert() can take back */
	union {
		u64 base;			/* ITER_USER, ITER_KERNEL */
		const struct iter_seg *segs;	/* ITER_*_VEC: the current one */
		const struct iter_page *pages;	/* ITER_PAGES: the current one */
	};
};

/* Limits of readv(2). */
#define ITER_MAX_SEGS	1024			/* UIO_MAXIOV */
#define ITER_FAST_SEGS	8			/* UIO_FASTIOV: on the caller's stack */
#define ITER_MAX_COUNT	0x7ffff000ULL		/* MAX_RW_COUNT: INT_MAX rounded down to a page */

static inline void iter_init_user(struct iter *it, enum iter_dir dir, uptr_t base, size_t len)
{
	it->kind = ITER_USER;
	it->dir = dir;
	it->nr_segs = 1;
	it->count = len;
	it->off = 0;
	it->base = base.addr;
}

void iter_init_kernel(struct iter *it, enum iter_dir dir, const void *base, size_t len);
void iter_init_segs(struct iter *it, enum iter_kind kind, enum iter_dir dir,
		    const struct iter_seg *segs, u32 nr_segs, size_t count);
void iter_init_pages(struct iter *it, enum iter_dir dir, const struct iter_page *pages,
		     u32 nr_pages, size_t count);

/*
 * Copies an iovec array in and makes an iterator of it, as readv(2) does. fast: an
 * array of ITER_FAST_SEGS of the caller's; *heap is set to memory that the
 * caller gives back with iter_import_free(*heap) when he is done (NULL if the fast
 * array sufficed, and on error). The total is cut at ITER_MAX_COUNT as Linux does.
 * Returns the number of bytes, or -EINVAL (more than 1024 segments, or a length
 * that is negative as ssize_t), -EFAULT, -ENOMEM.
 */
ssize_t __must_check iter_import(struct iter *it, enum iter_dir dir, uptr_t iov, u64 nr_segs,
				 struct iter_seg fast[ITER_FAST_SEGS], struct iter_seg **heap);
void iter_import_free(struct iter_seg *heap);
/*
 * read(2) and write(2): one range. Cuts len at ITER_MAX_COUNT. 0, -EFAULT when the
 * range does not lie in user space. (Nothing is touched.)
 */
static inline int __must_check iter_import_range(struct iter *it, enum iter_dir dir, uptr_t base, size_t len)
{
	len = MIN(len, ITER_MAX_COUNT);
	if (unlikely(!hal_user_range_ok(base, len)))
		return -EFAULT;
	iter_init_user(it, dir, base, len);
	return 0;
}

static inline size_t iter_count(const struct iter *it)
{
	return it->count;
}

/* No more than max bytes from here on. */
static inline void iter_truncate(struct iter *it, size_t max)
{
	if (it->count > max)
		it->count = max;
}

/* After iter_truncate(): count is the number of bytes that are really left. */
static inline void iter_reexpand(struct iter *it, size_t count)
{
	it->count = count;
}

static inline bool iter_is_user(const struct iter *it)
{
	return it->kind == ITER_USER || it->kind == ITER_USER_VEC;
}

/* What is not one range of user memory: the general walk. */
size_t iter_copy_to_any(struct iter *it, const void *buf, size_t n);
size_t iter_copy_from_any(struct iter *it, void *buf, size_t n);
size_t iter_zero_any(struct iter *it, size_t n);

static inline size_t iter_moved(struct iter *it, size_t n)
{
	it->off += n;
	it->count -= n;
	return n;
}

/*
 * Copy between buf and the iterator and advance it. Returns the bytes copied:
 * less than n at the end of the iterator or at a fault. iter_copy_to() wants an
 * ITER_DEST, iter_copy_from() an ITER_SOURCE. read(2) and write(2) come with one
 * range of user memory, which is one copy and needs no walk.
 */
static inline size_t iter_copy_to(struct iter *it, const void *buf, size_t n)
{
	if (unlikely(it->kind != ITER_USER))
		return iter_copy_to_any(it, buf, n);
	n = MIN(n, it->count);
	might_fault();
	return iter_moved(it, n - hal_copy_to_user(uptr(it->base + it->off), buf, n));
}

static inline size_t iter_copy_from(struct iter *it, void *buf, size_t n)
{
	if (unlikely(it->kind != ITER_USER))
		return iter_copy_from_any(it, buf, n);
	n = MIN(n, it->count);
	might_fault();
	return iter_moved(it, n - hal_copy_from_user(buf, uptr(it->base + it->off), n));
}

/* Writes n zero bytes into an ITER_DEST. */
static inline size_t iter_zero(struct iter *it, size_t n)
{
	if (unlikely(it->kind != ITER_USER))
		return iter_zero_any(it, n);
	n = MIN(n, it->count);
	might_fault();
	return iter_moved(it, n - hal_clear_user(uptr(it->base + it->off), n));
}

/* The same from and into a page; offset + n lies in the page (or compound page). */
static inline size_t iter_copy_page_to(struct iter *it, struct page *page, size_t offset, size_t n)
{
	return iter_copy_to(it, (u8 *)page_address(page) + offset, n);
}

static inline size_t iter_copy_page_from(struct iter *it, struct page *page, size_t offset, size_t n)
{
	return iter_copy_from(it, (u8 *)page_address(page) + offset, n);
}

/* No-fault forms: usable under spinlocks; 0 may mean "not mapped now". */
size_t iter_copy_to_nofault(struct iter *it, const void *buf, size_t n);
size_t iter_copy_from_nofault(struct iter *it, void *buf, size_t n);
size_t iter_zero_nofault(struct iter *it, size_t n);

/* Moves on by n <= count bytes, and back by n <= done bytes. */
void iter_advance(struct iter *it, size_t n);
void iter_revert(struct iter *it, size_t n);

/*
 * Makes the next bytes accessible in the iterator's direction: at least the
 * first one, at most n bytes. 0, or -EFAULT when not even the first can be. May
 * sleep; call with no lock held. What is not user memory is always accessible.
 */
int __must_check iter_fault_in(const struct iter *it, size_t n);

#endif
