/* SPDX-License-Identifier: MIT */
/*
 * Copies between syscalls and user memory that are more than one call of the HAL:
 * iovec arrays, strings, structures that grew over the years.
 */
#include <abi/linux/uio.h>
#include <kernel/mm/slab.h>
#include <kernel/vm/iter.h>
#include <kernel/vm/uaccess.h>
#include <lib/string.h>

static_assert(sizeof(struct iter_seg) == sizeof(struct iovec), "iovecs are copied in as they are");

/*
 * Lengths first (EINVAL for a negative one), then ranges, as import_iovec of Linux: each
 * segment must lie in user space, and the total is cut at MAX_RW_COUNT.
 */
static ssize_t iter_check_segs(struct iter_seg *segs, u64 nr)
{
	u64 total = 0;
	u64 i;

	for (i = 0; i < nr; i++) {
		if ((s64)segs[i].len < 0)
			return -EINVAL;
		if (!user_range_ok(uptr(segs[i].base), segs[i].len))
			return -EFAULT;
		segs[i].len = MIN(segs[i].len, ITER_MAX_COUNT - total);
		total += segs[i].len;
	}
	return (ssize_t)total;
}

ssize_t iter_import(struct iter *it, enum iter_dir dir, uptr_t iov, u64 nr_segs,
		    struct iter_seg fast[ITER_FAST_SEGS], struct iter_seg **heap)
{
	struct iter_seg *segs = fast;
	ssize_t total;

	*heap = NULL;
	if (nr_segs > ITER_MAX_SEGS)
		return -EINVAL;
	if (nr_segs > ITER_FAST_SEGS) {
		segs = kmalloc(nr_segs * sizeof(*segs), 0);
		if (!segs)
			return -ENOMEM;
	}
	total = copy_from_user(segs, iov, nr_segs * sizeof(*segs));
	if (!total)
		total = iter_check_segs(segs, nr_segs);
	if (total < 0) {
		if (segs != fast)
			kfree(segs);
		return total;
	}
	if (segs != fast)
		*heap = segs;
	iter_init_segs(it, ITER_USER_VEC, dir, segs, (u32)nr_segs, (size_t)total);
	return total;
}

void iter_import_free(struct iter_seg *heap)
{
	kfree(heap);
}

int copy_struct_from_user(void *dst, size_t ksize, uptr_t src, size_t usize)
{
	size_t n = MIN(ksize, usize), at;

	for (at = ksize; at < usize; at++) {
		u8 byte;

		if (get_user_u8(&byte, uptr_add(src, at)))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	memset((u8 *)dst + n, 0, ksize - n);
	return copy_from_user(dst, src, n);
}

char *strndup_user(uptr_t src, size_t max, int *err)
{
	size_t len = strnlen_user(src, max);
	char *s;

	if (!len || len > max) {
		*err = len ? -EINVAL : -EFAULT;
		return NULL;
	}
	s = memdup_user(src, len, err);
	if (s)
		s[len - 1] = '\0';
	return s;
}

void *memdup_user(uptr_t src, size_t n, int *err)
{
	void *p = kmalloc(n ? n : 1, 0);

	*err = -ENOMEM;
	if (!p)
		return NULL;
	*err = copy_from_user(p, src, n);
	if (*err) {
		kfree(p);
		return NULL;
	}
	return p;
}
