/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MM_PAGE_H
#define KERNEL_MM_PAGE_H

/*
 * Page frames. Every frame of RAM that the kernel manages has a struct page in the frame table, a
 * virtual array indexed by frame number that is built section by section, when the buddy allocator
 * takes new memory (kernel/mm/frame.c has the theory).
 *
 * A block of 2^order frames is one allocation: its first page (the head) has the count, the others
 * (tails) lead to it. page_get() and page_put() accept any page of the block.
 *
 * References and pins. `refcount` says who keeps the page alive: 1 from page_alloc(); each leaf
 * table that maps it, each object that holds it, each user of its contents has one. `pins` counts apart
 * who needs the very frame to stay where it is (I/O): copy-on-write must not take a pinned page away
 * from its owner.
 */
#include <hal/mem.h>
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <lib/atomic.h>
#include <lib/list.h>

#define PAGE_SHIFT	HAL_PAGE_SHIFT
#define PAGE_SIZE	HAL_PAGE_SIZE
#define PAGE_MASK	HAL_PAGE_MASK
#define PAGE_MAX_ORDER	10u	/* the largest block: 4 MiB */

struct vm_object;
struct kmem_cache;
struct vm_space;

enum page_type {
	PAGE_RESERVED = 0,	/* not ours: firmware, image, frame table, holes */
	PAGE_FREE,		/* in a buddy list; `order` is the block's */
	PAGE_CACHED,		/* free, in a CPU's list */
	PAGE_KERNEL,		/* allocated, nothing special */
	PAGE_SLAB,		/* `slab` is valid */
	PAGE_TABLE,		/* page-table page: `pt` is valid */
	PAGE_USER,		/* user memory (MM_USER) */
	PAGE_TAIL,		/* not the first of its block: `head` is valid */
};

/* struct page.flags: free for the owner of the page. */
#define PAGE_F_DIRTY	BIT(0)
#define PAGE_F_UPTODATE	BIT(1)
#define PAGE_F_ACCESSED	BIT(2)
#define PAGE_F_LOCKED	BIT(3)
#define PAGE_F_ANON	BIT(4)
#define PAGE_F_POISONED	BIT(5)	/* free, and filled with a pattern (debug) */
#define PAGE_F_OWNER(n)	BIT(8 + (n))	/* n 0..7 */

/*
 * Keys: [a] atomic; [z] zone lock while free, the owner afterwards; [o] the owner's rules;
 * [c] cache lock; [p] pt.lock; [I] for as long as it is allocated.
 */
struct page {
	atomic_t refcount;		/* [a] 0: free, or a tail */
	u16 flags;			/* [o] PAGE_F_*, atomic bit operations or the owner's lock */
	u8 type;			/* [z] enum page_type */
	u8 order;			/* [z] of the block, in its head */
	atomic_t pins;			/* [a] */
	u32 owner_word;			/* [o] */
	union {
		struct list_head node;	/* [z], [o] */
		struct rcu_head rcu;	/* deferred freeing */
	};
	union {
		struct {
			struct vm_object *object;	/* [o] object lock; NULL: in none */
			u64 index;			/* [o] page index in the object */
			u64 private;			/* [o] */
		};
		struct {
			struct kmem_cache *cache;	/* [I] */
			void *freelist;			/* [c] */
			u16 inuse;			/* [c] */
			u16 total;			/* [I] */
		} slab;
		struct {
			struct spinlock lock;		/* entries of this table */
			u32 live;			/* [p] entries in use; upper tables: atomically */
			u64 groups;			/* [p] a bit for each 8 entries that may be in use */
			u64 private;			/* [p] */
		} pt;
		struct page *head;			/* [I] of a tail */
	};
#if HALCYON_DEBUG
	u32 leak_epoch;			/* [o] kernel/mm/leak.c: when it was allocated; 0: not looked at */
	vaddr_t alloc_place;		/* [o] who called page_alloc() */
#if HALCYON_KASAN
	u32 alloc_stack;		/* [o] who allocated it: kernel/mm/stackdepot.c */
	u32 free_stack;			/* [o] who freed it last */
#endif
};
#else
} __aligned(64);
static_assert(sizeof(struct page) == 64, "a frame table entry is one cache line");
#endif

#define FRAME_TABLE ((struct page *)HAL_FRAME_TABLE_BASE)

static __always_inline struct page *pfn_to_page(u64 pfn)
{
	return FRAME_TABLE + pfn;
}

static __always_inline u64 page_to_pfn(const struct page *page)
{
	return (u64)(page - FRAME_TABLE);
}

static __always_inline paddr_t page_to_phys(const struct page *page)
{
	return page_to_pfn(page) << PAGE_SHIFT;
}

/* Only for frames that page_alloc() gave, or after pfn_valid(). */
static __always_inline struct page *phys_to_page(paddr_t pa)
{
	return pfn_to_page(pa >> PAGE_SHIFT);
}

/* The page's place in the direct map. */
static __always_inline void *page_address(const struct page *page)
{
	return hal_phys_to_virt(page_to_phys(page));
}

/* Direct-map addresses of allocated pages only. */
static __always_inline struct page *virt_to_page(const void *va)
{
	return phys_to_page(hal_virt_to_phys(va));
}

/* Is there a struct page for that frame? (Its section is built.) Any context. */
bool pfn_valid(u64 pfn);

static __always_inline struct page *page_head(struct page *page)
{
	return unlikely(page->type == PAGE_TAIL) ? page->head : page;
}

/* Allocation flags of all of mm. */
#define MM_KERNEL	0u	/* may sleep, may reclaim */
#define MM_NOWAIT	0x1u	/* must not sleep: any context; fails sooner, but without MM_USER may use the reserve */
#define MM_ZERO		0x2u	/* filled with zeros */
#define MM_USER		0x4u	/* user memory: typed PAGE_USER */
#define MM_DMA32	0x8u	/* below 4 GiB */
#define MM_NOFAIL_INJECT 0x10u	/* failslab leaves it alone */
#define MM_NO_OOM	0x20u	/* reclaim, but do not call the OOM killer: the caller copes */

/*
 * 2^order frames, aligned to their size, with count 1 and flags 0. NULL when there is no memory. Any
 * context with MM_NOWAIT, else thread context. The contents are anything without MM_ZERO.
 */
struct page *page_alloc(u32 order, u32 flags);
/*
 * The same, from node `node` or the nearest one in `allowed` (a bit per node) that has memory; NULL, after reclaim and the
 * OOM killer, when none of those has. Slower than page_alloc(), which takes near memory.
 */
struct page *page_alloc_node(u32 node, u64 allowed, u32 order, u32 flags);
/*
 * The last reference is gone: for page_put(), and who never let anybody see the page. Head page, count 0 or 1 and the
 * caller's. Any context.
 */
void page_free(struct page *page);
/* n single pages into out[]; returns how many it got. */
u32 page_alloc_many(struct page **out, u32 n, u32 flags);

/* The caller has a reference already. */
static __always_inline void page_get(struct page *page)
{
	atomic_inc_relaxed(&page_head(page)->refcount);
}

/*
 * Under RCU, for single pages that may be freed at any time: false when it was. Then look again whether it is the right
 * one. So any page that is in use may have a reference more for a moment: whoever frees what was ever allocated drops his
 * reference by page_put(). A tail has count 0.
 */
static __always_inline bool __must_check page_get_not_zero(struct page *page)
{
	return atomic_inc_not_zero(&page->refcount);
}

static __always_inline void page_put(struct page *page)
{
	page = page_head(page);
	if (atomic_dec_and_test(&page->refcount))
		page_free(page);
}

static __always_inline int page_ref_count(const struct page *page)
{
	return atomic_load_relaxed(&page->refcount);
}

/* A pin comes with a reference. */
static __always_inline void page_pin(struct page *page)
{
	page_get(page);
	atomic_inc(&page_head(page)->pins);
}

static __always_inline void page_unpin(struct page *page)
{
	atomic_dec(&page_head(page)->pins);
	page_put(page);
}

static __always_inline int page_pin_count(const struct page *page)
{
	return atomic_load(&page->pins);
}

/* Makes a block of order n into 2^n single pages with count 1 each. The caller is the sole owner. */
void page_split(struct page *head);

/* ---- boot ---- */

/*
 * Boot list, before mm_init(): RAM that nobody uses, page-aligned. Ranges may come in any order and may
 * touch, but not overlap. Memory below 1 MiB, the image, the initrd and the loader's page tables are
 * not given; what is reclaimed later comes with mm_free_range().
 */
void mm_boot_add_ram(paddr_t base, u64 bytes);
/* All RAM of the machine that the kernel has or will have, its own image included: /proc/meminfo's MemTotal. */
void mm_boot_set_total(u64 bytes);
/*
 * Builds the first section, the kernel's root page table (the kernel half of the current one plus
 * what the frame table and kernel mappings need) and activates it: the identity map is gone.
 * Interrupts off. Panics without memory.
 */
void mm_init(void);
/* Gives RAM to the allocator that was in use so far: whole pages inside of it. Any time after mm_init(). */
void mm_free_range(paddr_t base, u64 bytes);

/* ---- counts ---- */

struct mm_stats {
	u64 total;		/* pages of RAM: mm_boot_set_total() */
	u64 managed;		/* of these: pages that the allocator was given, free or not, built or not */
	u64 free;		/* free pages: zones, per-CPU lists, memory not yet built */
	u64 cached;		/* of these: in per-CPU lists */
	u64 unbuilt;		/* of these: without a frame table yet */
	u64 frame_table;	/* pages that the frame table takes */
	u64 slab;		/* pages of slabs */
	u64 slab_reclaimable;	/* of these: of caches that shrinkers can empty */
	u64 magazines;		/* pages of the slab's per-CPU magazines, never given back */
	u64 tables;		/* page-table pages */
	u64 stacks;		/* pages of kernel stacks, cached ones included */
	u64 vmalloc;		/* pages of vmalloc areas */
	u64 user;		/* pages typed PAGE_USER */
};
/* Exact when nothing else runs, else a snapshot. Any context. */
void mm_stats(struct mm_stats *out);
/* Free pages, roughly and cheaply (per-CPU lists not counted). */
u64 mm_free_pages(void);
/* Free blocks per order (/proc/buddyinfo). zone 0: below 4 GiB, 1: above. */
void mm_buddy_counts(u32 node, u32 zone, u64 counts[PAGE_MAX_ORDER + 1]);

/* ---- nodes: kernel/mm/node.c ---- */

/*
 * Learns the nodes from the HAL and sorts free memory by them. Boot list, after
 * hal_late_init(), before other CPUs start.
 */
void mm_numa_init(void);
/* There are several nodes: policies matter. [I] after boot */
extern u8 mm_numa;
/* How many nodes there are, at least 1. Any context. */
u32 mm_node_count(void);
/* Bit per node that has memory. */
u64 mm_nodes_with_memory(void);
u32 mm_node_of_page(const struct page *page);
u32 mm_node_of_cpu(u32 cpu);
/* Distance as in the SLIT: 10 is the same node. */
u32 mm_node_distance(u32 a, u32 b);
struct mm_node_stats {
	u64 total;		/* pages that the allocator was given */
	u64 free;
};
void mm_node_stats(u32 node, struct mm_node_stats *out);
/* numastat(8), in pages. */
struct mm_numa_stats {
	u64 hit, miss, foreign, local, other, interleaved;
};
void mm_numa_stats(u32 node, struct mm_numa_stats *out);
/* A CPU that comes learns its node; one that goes gives its pages back. */
struct cpuhp_step;
extern const struct cpuhp_step pages_cpuhp;
/* Gives back all that caches of mm hold, globally and on every CPU: for tests that compare counts. As smp_call_all(). */
void mm_drain(void);

#endif
