/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_AREA_H
#define KERNEL_VM_AREA_H

/*
 * An area: one range of an address space with one set of rights and one thing
 * behind it. Areas of a space do not overlap; neighbours that could be one area are
 * one (as on Linux: programs read /proc/PID/maps, and max_map_count counts).
 *
 * What is behind it:
 *   object == NULL                  private anonymous memory: zero on first touch
 *   object, AREA_SHARED             the object's pages themselves
 *   object, !AREA_SHARED            the object's pages read-only, copied on write
 * In all cases a private page, once made, is owned by the page table alone.
 *
 * Lock keys: [s] the space's rwsem, for writing to change, for reading to look;
 * [so] changed under the rwsem for writing and the object's lock, looked at under either.
 */
#include <lib/compiler.h>
#include <lib/rbtree.h>

struct mempolicy;
struct vm_space;
struct vm_object;

/* struct vm_area.flags; the rights equal PROT_READ, PROT_WRITE and PROT_EXEC. */
#define AREA_READ	BIT(0)
#define AREA_WRITE	BIT(1)
#define AREA_EXEC	BIT(2)
#define AREA_PROT	(AREA_READ | AREA_WRITE | AREA_EXEC)
#define AREA_SHARED	BIT(3)	/* writes go to the object */
#define AREA_MAY_READ	BIT(4)	/* mprotect may grant it */
#define AREA_MAY_WRITE	BIT(5)
#define AREA_MAY_EXEC	BIT(6)
#define AREA_MAY_SHIFT	4
#define AREA_MAY_PROT	(AREA_MAY_READ | AREA_MAY_WRITE | AREA_MAY_EXEC)
#define AREA_MAP_SHARED	BIT(7)	/* asked for with MAP_SHARED: `s` in maps even of a read-only file */
#define AREA_GROWSDOWN	BIT(8)	/* grows to a fault below it */
#define AREA_LOCKED	BIT(9)	/* mlock(2) */
#define AREA_LOCKONFAULT BIT(10)
#define AREA_NORESERVE	BIT(11)	/* not counted as committed */
#define AREA_ACCOUNT	BIT(12)	/* counted as committed */
#define AREA_DONTCOPY	BIT(13)	/* MADV_DONTFORK */
#define AREA_WIPEONFORK	BIT(14)
#define AREA_DONTDUMP	BIT(15)
#define AREA_DONTEXPAND	BIT(16)	/* no mremap growth, no merging: devices */
#define AREA_PFN	BIT(17)	/* maps device frames: no struct page references */
#define AREA_SEQ_READ	BIT(18)	/* MADV_SEQUENTIAL */
#define AREA_RAND_READ	BIT(19)	/* MADV_RANDOM: no fault-around */
#define AREA_STACK	BIT(20)	/* the initial stack of execve: "[stack]" */
#define AREA_NOHUGEPAGE	BIT(21)
#define AREA_HUGEPAGE	BIT(22)

/*
 * What the upper layer attached to a mapping: the open file. Embedded in struct
 * file; vm counts references through it and asks it what /proc/PID/maps shows.
 */
struct vm_backing;

struct vm_backing_info {
	u64 dev;		/* Linux's kernel dev_t: major << 20 | minor */
	u64 ino;
};

struct vm_backing_ops {
	void (*get)(struct vm_backing *b);
	/* The last reference may be this one. Thread context, may sleep, under no lock of vm's. */
	void (*put)(struct vm_backing *b);
	void (*describe)(struct vm_backing *b, struct vm_backing_info *out);
};

struct vm_backing {
	const struct vm_backing_ops *ops;	/* [I] */
};

struct vm_area {
	struct rb_node node;		/* [s] in space->areas, by start */
	vaddr_t start, end;		/* [so] */
	u64 max_gap;			/* [s] largest gap below an area in this subtree */
	u64 gap;			/* [s] free bytes between the area before and this */
	struct vm_space *space;		/* [I] */
	u32 flags;			/* [s] AREA_* */
	u64 pgoff;			/* [so] page index in the object at start; start >> 12 if anonymous */
	struct vm_object *object;	/* [I] counted; NULL: anonymous */
	struct vm_backing *file;	/* [I] counted; NULL without a file */
	struct mempolicy *policy;	/* [s] counted; NULL: the thread's */
	struct vm_area *dead_next;	/* [s] list of removed areas until the lock is dropped */
	struct rb_node object_node;	/* [object lock] in object->mappings, by pgoff */
	u64 object_last;		/* [object lock] largest last page index in the subtree */
};

static inline u64 area_pages(const struct vm_area *a)
{
	return (a->end - a->start) >> 12;
}

/* Page index in the object of an address in the area. */
static inline u64 area_index(const struct vm_area *a, vaddr_t addr)
{
	return a->pgoff + ((addr - a->start) >> 12);
}

#endif
