/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_OBJECT_H
#define KERNEL_VM_OBJECT_H

/*
 * Objects: the pages of one file, of one shared anonymous mapping, of one shared
 * memory segment. The pages of a file's object *are* the page cache: read(2), write(2) and
 * mappings see the same pages.
 *
 * A page in an object has page->object and page->index set, and the object holds one
 * reference on it; each leaf table that maps it holds another. Taking a page
 * out (truncation) clears page->object under the object's lock first, then removes it
 * from the tables that the interval tree of mapping areas leads to. A fault that found the
 * page before, enters it into its table under the table's lock only if page->object
 * still stands: so no page past the end of file stays mapped.
 *
 * Locks: obj->lock, a spinlock (rank LOCK_RANK_OBJECT), outside page-table locks. Never
 * held while allocating with sleep or touching user memory. Lookups run under RCU.
 * `size` is changed by the owner under a lock of his own (the inode's rwsem).
 */
#include <kernel/core/spinlock.h>
#include <kernel/mm/page.h>
#include <kernel/vm/area.h>
#include <kernel/vm/iter.h>
#include <lib/rbtree.h>
#include <lib/refcount.h>
#include <lib/xarray.h>

struct vm_object;

/* Any may be NULL. `obj->owner` is the implementer's. */
struct vm_object_ops {
	/*
	 * Fills a new page (zeroed) with what belongs at index. Without it a page is
	 * zero. No lock held; may sleep. 0 or -errno (a fault turns it into SIGBUS).
	 */
	int (*fill)(struct vm_object *obj, struct page *page, u64 index);
	/* Before pages come in: 0, or -ENOSPC, -ENOMEM. No lock held or the space's for reading. */
	int (*charge)(struct vm_object *obj, u64 pages);
	/* After pages have gone. Spinlocks may be held; must not sleep. */
	void (*uncharge)(struct vm_object *obj, u64 pages);
	/* A shared writable mapping is about to write: mtime and the like. No spinlock held. */
	void (*dirtied)(struct vm_object *obj);
	/* The last reference is gone; all pages are already freed. Frees what embeds obj. */
	void (*release)(struct vm_object *obj);
};

/* struct vm_object.flags: [I], but for OBJECT_SEALED, which is set once under the lock */
#define OBJECT_ANON	BIT(0)	/* anonymous shared memory: size is fixed; "/dev/zero (deleted)" in maps */
#define OBJECT_SHMEM	BIT(1)	/* counted as Shmem (tmpfs and anonymous shared) */
#define OBJECT_FIXED	BIT(2)	/* never truncated: `mappings` stays empty */
#define OBJECT_SEALED	BIT(3)	/* vm_object_seal() */

struct vm_object {
	refcount_t refs;
	u32 flags;			/* OBJECT_* */
	const struct vm_object_ops *ops;/* [I] may be NULL */
	void *owner;			/* [I] e.g. the inode */
	struct spinlock lock;
	struct xarray pages;		/* [lock; readers: RCU] struct page * */
	struct rb_root mappings;	/* [lock] interval tree of areas */
	u64 nr_pages;			/* [lock] */
	u64 size;			/* [a] bytes; faults at or past its last page: SIGBUS */
};

/* Initialises an object that the caller embeds; the caller has the one reference. */
void vm_object_init(struct vm_object *obj, u32 flags, const struct vm_object_ops *ops,
		    void *owner, u64 size);
/* Anonymous shared memory of size bytes, committed now (reserve) or page by page. NULL: no memory. */
struct vm_object *vm_object_create_anon(u64 size, bool reserve);
/* Its number: the inode number in /proc/PID/maps. */
u64 vm_object_anon_id(const struct vm_object *obj);
void vm_object_get(struct vm_object *obj);
/* The last put frees the pages and calls ops->release. May sleep. */
void vm_object_put(struct vm_object *obj);
/* Drops every page; for owners that do not use the count (inode eviction). No area maps it. */
void vm_object_drop_pages(struct vm_object *obj);

static inline u64 vm_object_size(const struct vm_object *obj)
{
	return __atomic_load_n(&obj->size, __ATOMIC_ACQUIRE);
}

/* Only growing; shrinking is vm_object_truncate(). The owner serialises. */
static inline void vm_object_set_size(struct vm_object *obj, u64 size)
{
	__atomic_store_n(&obj->size, size, __ATOMIC_RELEASE);
}

/*
 * The page at index with a reference for the caller, in *out. create: makes it if it is
 * not there (zeroed, then ops->fill); else *out is NULL for a hole and 0 is returned. Does not
 * look at the size. May sleep. 0, -ENOMEM, -ENOSPC (charge), what fill returned.
 */
int __must_check vm_object_page(struct vm_object *obj, u64 index, bool create, struct page **out);
/*
 * The same with create, for who may not have a page behind the end: -ERANGE there, also when truncation comes while
 * the page is made. A page that it returns is found and taken out by every truncation that has not come by then.
 */
int __must_check vm_object_page_within(struct vm_object *obj, u64 index, struct page **out);
/* Lookup alone, also in atomic context: referenced page or NULL. */
struct page *vm_object_lookup(struct vm_object *obj, u64 index);

/*
 * Shrinks or grows to size bytes: sets the size, takes away whole pages behind it
 * from the object and from all page tables (private copies behind it too, as Linux),
 * and zeroes the rest of the last page. May sleep. The owner serialises.
 */
void vm_object_truncate(struct vm_object *obj, u64 size);
/* Makes [start, end) bytes a hole: fallocate(FALLOC_FL_PUNCH_HOLE). Size unchanged. May sleep. */
void vm_object_punch(struct vm_object *obj, u64 start, u64 end);
/* Makes all pages of [start, end) bytes be there: fallocate. 0, -ENOSPC, -ENOMEM, -EINTR on a fatal signal. */
int __must_check vm_object_allocate(struct vm_object *obj, u64 start, u64 end);

/*
 * lseek(2) SEEK_DATA (data) or SEEK_HOLE: the first byte at or after pos that is data
 * (a page that is there) or hole (the end of file counts). -ENXIO when pos is at or past
 * the size, or there is no data after it.
 */
s64 vm_object_seek(const struct vm_object *obj, u64 pos, bool data);

/*
 * Copy between the object and an iterator at byte pos; the iterator and *pos move. read stops at
 * the size; holes give zeros without making pages. write makes pages and
 * raises the size to the end of what was written (the owner has checked limits, and
 * serialises writers). Neither holds a lock while it touches user memory. Returns bytes
 * done if any, else 0 (end of file, empty iterator) or -EFAULT, -ENOMEM, -ENOSPC, -EINTR (fatal signal).
 */
ssize_t vm_object_read(struct vm_object *obj, struct iter *it, u64 *pos);
ssize_t vm_object_write(struct vm_object *obj, struct iter *it, u64 *pos);

/* No shared mapping may write from now on: memfd_create(2), F_SEAL_WRITE. False: there is one, and nothing has changed. */
bool vm_object_seal(struct vm_object *obj);

/* Pages in all objects, and those of OBJECT_SHMEM: /proc/meminfo Cached and Shmem. */
u64 vm_object_total_pages(void);
u64 vm_object_shmem_pages(void);

#endif
