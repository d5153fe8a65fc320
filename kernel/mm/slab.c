/* SPDX-License-Identifier: MIT */
/*
 * Object caches.
 *
 * A slab is a block of pages cut into objects of one kind; its frame entry says which cache it belongs to and
 * heads the list of its free objects, which is threaded through them. In front of the slabs each CPU has
 * a magazine: a small array of free objects, used as a stack with interrupts off. So an allocation is a dozen
 * instructions, takes no lock, and gets the object that is warm in this CPU's cache. Magazines are filled by
 * half and emptied by half under the cache's lock.
 *
 * A CPU's magazines stand in a per-CPU table indexed by the cache's number. An entry that was never used points
 * to one shared magazine of capacity 0, so that the fast paths need no test for it.
 *
 * Where the free list's pointer lies: in the object itself, except where a freed object must stay intact
 * (constructor, SLAB_TYPESAFE_BY_RCU), and in the debug kernel: then behind it.
 *
 * A slab that becomes wholly free goes back to the pages when the cache has one already. That of a
 * SLAB_TYPESAFE_BY_RCU cache goes after a grace period, so readers under RCU find an object of the type, though
 * perhaps another one.
 *
 * Locks: the cache's (LOCK_RANK_SLAB, interrupts off). Pages are allocated and freed outside of it.
 */
#define LOG_TAG "slab"
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/rcu.h>
#include <lib/bitmap.h>
#include <lib/string.h>
#include <lib/xarray.h>
#include "leak_stamp.h"
#include "kasan.h"
#include "slab.h"

#define SLAB_MAX_ORDER	3u
#define SLAB_KEEP_EMPTY	1u

/* [own CPU, interrupts off] */
struct magazine {
	u32 count;
	u32 capacity;
	void *object[MAGAZINE_MAX];
};
static_assert(sizeof(struct magazine) <= 256, "sixteen in a page");

static DEFINE_PER_CPU(struct magazine *[KMEM_MAX_CACHES], magazines);
static DEFINE_PER_CPU(u8, magazines_ready);
static struct magazine no_magazine;	/* capacity 0, never written */

static struct spinlock cache_list_lock = SPINLOCK_INIT("slab list", LOCK_RANK_SLAB_LIST);
static LIST_HEAD(cache_list);		/* [L] */
static DECLARE_BITMAP(cache_ids, KMEM_MAX_CACHES);	/* [L] */
static struct page *magazine_page;	/* [L] being cut into magazines */
static u32 magazine_used;		/* [L] pieces of it */
static struct kmem_cache cache_of_caches;

/* ---- magazines --------------------------------------------------------------------------------- */

/* A CPU's table, with the shared magazine in every entry at first. Before that CPU looks at it. */
static void magazines_init(u32 cpu)
{
	struct magazine **table = per_cpu(magazines, cpu);

	for (u32 i = 0; i < KMEM_MAX_CACHES; i++)
		table[i] = &no_magazine;
	per_cpu(magazines_ready, cpu) = 1;
}

static inline struct magazine *magazine_of(const struct kmem_cache *c)
{
	return this_cpu(magazines)[c->id];
}

/* Interrupts off. A magazine of its own for this CPU and cache; without memory the shared one stays. */
static struct magazine *magazine_create(struct kmem_cache *c)
{
	struct magazine *m = &no_magazine;

	if (!this_cpu(magazines_ready))
		magazines_init(hal_cpu_id());
	if (magazine_of(c) != &no_magazine)
		return magazine_of(c);
	spin_lock(&cache_list_lock);
	if (!magazine_page || (magazine_used + 1) * sizeof(*m) > PAGE_SIZE) {
		magazine_page = page_alloc(0, MM_NOWAIT | MM_ZERO | MM_NOFAIL_INJECT);
		magazine_used = 0;
		this_cpu(mm_counts).magazines += magazine_page != NULL;
		if (magazine_page)
			leak_ignore_page(magazine_page);
	}
	if (magazine_page) {
		m = (struct magazine *)page_address(magazine_page) + magazine_used++;
		m->capacity = c->magazine;
		this_cpu(magazines)[c->id] = m;
	}
	spin_unlock_no_resched(&cache_list_lock);
	return m;
}

/* ---- slabs ------------------------------------------------------------------------------------- */

static inline void **object_link(const struct kmem_cache *c, void *obj)
{
	return (void **)((u8 *)obj + c->link);
}

/* A new slab with all objects free; not yet on any list. NULL without memory. */
static struct page *slab_create(struct kmem_cache *c, u32 flags)
{
	struct page *slab = page_alloc(c->order, flags & ~(MM_ZERO | MM_USER));

	if (!slab)
		return NULL;
	slab->type = PAGE_SLAB;
	slab->slab.cache = c;
	slab->slab.freelist = NULL;
	slab->slab.inuse = 0;
	slab->slab.total = c->per_slab;
	for (u32 i = c->per_slab; i-- > 0;) {
		void *obj = slab_slot(slab, i);

		if (c->ctor)
			c->ctor(obj);
		slab_debug_new(c, obj);
		*object_link(c, obj) = slab->slab.freelist;
		slab->slab.freelist = obj;
	}
	slab_debug_new_slab(slab);
	mm_count(slab, 1 << c->order);
	if (c->flags & SLAB_RECLAIMABLE)
		mm_count(slab_reclaimable, 1 << c->order);
	return slab;
}

static void count_release(const struct kmem_cache *c)
{
	mm_count(slab, -(1 << c->order));
	if (c->flags & SLAB_RECLAIMABLE)
		mm_count(slab_reclaimable, -(1 << c->order));
}

/* The cache may be gone by now. */
static void slab_free_rcu(struct rcu_head *head)
{
	page_put(container_of(head, struct page, rcu));
}

/* Gives slabs, linked by node, back to the pages. No lock held. */
static u64 slabs_release(struct kmem_cache *c, struct list_head *slabs)
{
	struct page *slab, *next;
	u64 pages = 0;

	list_for_each_entry_safe(slab, next, slabs, node) {
		pages += 1ull << c->order;
		count_release(c);
		if (c->flags & SLAB_TYPESAFE_BY_RCU)
			call_rcu(&slab->rcu, slab_free_rcu);
		else
			page_put(slab);
	}
	return pages;
}

/* [lock] */
static void slab_link(struct kmem_cache *c, struct page *slab)
{
	list_add_head(&slab->node, &c->partial);
	c->empty += slab->slab.inuse == 0;
}

/* [lock] Moves up to n objects from partial slabs to out[]. */
static u32 slabs_take(struct kmem_cache *c, void **out, u32 n)
{
	u32 got = 0;

	while (got < n && !list_empty(&c->partial)) {
		struct page *slab = list_first_entry(&c->partial, struct page, node);

		c->empty -= slab->slab.inuse == 0;
		while (got < n && slab->slab.freelist) {
			void *obj = slab->slab.freelist;

			slab->slab.freelist = *object_link(c, obj);
			slab->slab.inuse++;
			out[got++] = obj;
		}
		if (!slab->slab.freelist)
			list_del(&slab->node);
	}
	c->out += got;
	return got;
}

/* [lock] One object home. A slab that is free and not wanted any more goes to `gone`. */
static void slab_give(struct kmem_cache *c, struct page *slab, void *obj, u32 keep, struct list_head *gone)
{
	bool was_full = !slab->slab.freelist;

	*object_link(c, obj) = slab->slab.freelist;
	slab->slab.freelist = obj;
	slab->slab.inuse--;
	c->out--;
	if (was_full)
		list_add_tail(&slab->node, &c->partial);
	if (slab->slab.inuse)
		return;
	if (c->empty < keep) {
		c->empty++;
		list_move_tail(&slab->node, &c->partial);
	} else {
		list_move_tail(&slab->node, gone);
		c->slabs--;
	}
}

/* Interrupts off. The n objects that lie in the magazine longest go home. */
static void magazine_flush(struct kmem_cache *c, struct magazine *m, u32 n, u32 keep)
{
	LIST_HEAD(gone);

	spin_lock(&c->lock);
	for (u32 i = 0; i < n; i++)
		slab_give(c, page_head(virt_to_page(m->object[i])), m->object[i], keep, &gone);
	spin_unlock_no_resched(&c->lock);
	m->count -= n;
	memmove(m->object, m->object + n, m->count * sizeof(m->object[0]));
	(void)slabs_release(c, &gone);
}

/*
 * The magazine is empty. Takes objects from slabs, or from a new slab, which is made with interrupts as the
 * caller had them. Returns an object or NULL; interrupts are off on entry and on return.
 */
static noinline void *alloc_slow(struct kmem_cache *c, u32 flags, irqflags_t *f)
{
	void *obj[MAGAZINE_MAX / 2 + 1];
	struct page *slab = NULL;

	for (;;) {
		struct magazine *m = magazine_create(c);
		u32 n, want = MAX(m->capacity / 2, 1u);

		if (m->count)	/* another thread filled it meanwhile */
			want = 1;
		spin_lock(&c->lock);
		if (slab) {
			slab_link(c, slab);
			c->slabs++;
			slab = NULL;
		}
		n = slabs_take(c, obj, want);
		spin_unlock_no_resched(&c->lock);
		if (n) {
			while (n > 1)
				m->object[m->count++] = obj[--n];
			return obj[0];
		}
		hal_irq_restore(*f);
		slab = slab_create(c, hal_irq_enabled() && !in_atomic() ? flags : flags | MM_NOWAIT);
		*f = hal_irq_save();
		if (!slab)
			return NULL;
	}
}

static __always_inline void *alloc_fast(struct kmem_cache *c, u32 flags)
{
	irqflags_t f = hal_irq_save();
	struct magazine *m = magazine_of(c);
	void *obj;

	if (likely(m && m->count))
		obj = m->object[--m->count];
	else
		obj = alloc_slow(c, flags, &f);
	hal_irq_restore(f);
	return obj;
}

void *slab_alloc_object(struct kmem_cache *c, u32 flags, vaddr_t place)
{
	void *obj;

	if (!(flags & MM_NOWAIT))
		might_sleep();
	if (mm_should_fail(c->object_size, flags))
		return NULL;
	obj = alloc_fast(c, flags);
	if (unlikely(!obj))
		return NULL;
	slab_debug_alloc(c, obj, place);
	if (flags & MM_ZERO)
		memset(obj, 0, c->object_size);
	return obj;
}

/* The magazine is full, or missing. Interrupts off. */
static noinline void free_slow(struct kmem_cache *c, struct magazine *m, void *obj)
{
	LIST_HEAD(gone);

	if (!m || m == &no_magazine)
		m = magazine_create(c);
	if (m->count == m->capacity && m->capacity)
		magazine_flush(c, m, (m->capacity + 1) / 2, SLAB_KEEP_EMPTY);
	if (m->count < m->capacity) {
		m->object[m->count++] = obj;
		return;
	}
	spin_lock(&c->lock);
	slab_give(c, page_head(virt_to_page(obj)), obj, SLAB_KEEP_EMPTY, &gone);
	spin_unlock_no_resched(&c->lock);
	(void)slabs_release(c, &gone);
}

static __always_inline void put_object(struct kmem_cache *c, void *obj)
{
	irqflags_t f = hal_irq_save();
	struct magazine *m;

	m = magazine_of(c);
	if (likely(m && m->count < m->capacity))
		m->object[m->count++] = obj;
	else
		free_slow(c, m, obj);
	hal_irq_restore(f);
}

#if HALCYON_KASAN
void slab_put_object(struct kmem_cache *c, void *obj)
{
	put_object(c, obj);
}
#endif

void slab_free_object(struct kmem_cache *c, struct page *slab, void *obj, vaddr_t place)
{
	lock_dep_assert_freed(obj, c->object_size);
	slab_debug_free(c, slab, obj, place);
#if HALCYON_KASAN
	if (!(c->flags & SLAB_TYPESAFE_BY_RCU)) {
		quarantine_put(c, obj);
		return;
	}
#endif
	put_object(c, obj);
}

void *slab_object_of(const struct page *slab, const void *p)
{
	const struct kmem_cache *c = slab->slab.cache;

	return slab_slot(slab, (u32)((u64)((const u8 *)p - (const u8 *)page_address(slab)) / c->stride));
}

/* ---- the interface ----------------------------------------------------------------------------- */

void *kmem_cache_alloc(struct kmem_cache *c, u32 flags)
{
	return slab_alloc_object(c, flags, _RET_IP_);
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
#if HALCYON_DEBUG
	struct page *slab = page_head(virt_to_page(obj));

	if (unlikely(slab->type != PAGE_SLAB || slab->slab.cache != c))
		panic("%p, freed to cache \"%s\" at %pS, is not from there", obj, c->name, (void *)_RET_IP_);
	slab_free_object(c, slab, obj, _RET_IP_);
#else
	slab_free_object(c, NULL, obj, 0);
#endif
}

/* The smallest slab that wastes less than an eighth and has some objects. */
static void choose_order(struct kmem_cache *c)
{
	for (c->order = 0;; c->order++) {
		u64 bytes = PAGE_SIZE << c->order, n = bytes / c->stride;

		if (c->order == SLAB_MAX_ORDER ||
		    (n && bytes - n * c->stride <= bytes / 8 && (n >= 4 || c->order >= 2))) {
			VERIFY(n);
			c->per_slab = (u16)MIN(n, 0xffffull);
			return;
		}
	}
}

static u8 choose_magazine(u32 size)
{
	return size <= 512 ? MAGAZINE_MAX : size <= 2048 ? 12 : 6;
}

static void cache_layout(struct kmem_cache *c, size_t size, size_t align)
{
	u32 bytes = (u32)ALIGN_UP(size, 8ull);

	c->object_size = (u32)size;
#if HALCYON_DEBUG
	slab_debug_layout(c, bytes, (u32)align);
#else
	c->offset = 0;
	c->link = 0;
	if (c->ctor || c->flags & SLAB_TYPESAFE_BY_RCU) {
		c->link = bytes;
		bytes += sizeof(void *);
	}
	c->stride = (u32)ALIGN_UP(bytes, align);
#endif
	choose_order(c);
	c->magazine = choose_magazine(c->object_size);
}

/* [L] Magazines that an earlier cache of this number left behind. */
static void magazines_adopt(const struct kmem_cache *c)
{
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct magazine *m = percpu_ready(cpu) ? per_cpu(magazines, cpu)[c->id] : NULL;

		if (m && m != &no_magazine)
			m->capacity = c->magazine;
	}
}

/* False: all numbers are taken. */
static bool cache_setup(struct kmem_cache *c, const char *name, size_t size, size_t align, void (*ctor)(void *),
			u32 flags)
{
	irqflags_t f;
	u64 id;

	c->name = name;
	c->ctor = ctor;
	c->flags = flags;
	cache_layout(c, MAX(size, (size_t)8), align ? align : size <= 8 ? 8 : 16);
	spin_init(&c->lock, "slab", LOCK_RANK_SLAB);
	list_init(&c->partial);
	f = spin_lock_irqsave(&cache_list_lock);
	id = bitmap_find_first_zero(cache_ids, KMEM_MAX_CACHES);
	if (id < KMEM_MAX_CACHES) {
		bitmap_set_bit(cache_ids, id);
		c->id = (u32)id;
		magazines_adopt(c);
		list_add_tail(&c->node, &cache_list);
	}
	spin_unlock_irqrestore(&cache_list_lock, f);
	return id < KMEM_MAX_CACHES;
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, void (*ctor)(void *obj), u32 flags)
{
	struct kmem_cache *c;

	VERIFY(size && size <= PAGE_SIZE << SLAB_MAX_ORDER && (!align || (IS_POW2(align) && align <= PAGE_SIZE)));
	c = kmem_cache_alloc(&cache_of_caches, MM_ZERO);
	if (c && !cache_setup(c, name, size, align, ctor, flags)) {
		log_err("no number left for cache \"%s\"", name);
		kmem_cache_free(&cache_of_caches, c);
		c = NULL;
	}
	if (!c && flags & SLAB_PANIC)
		panic("cannot create cache \"%s\"", name);
	return c;
}

/* All objects of all CPUs' magazines, as far as nobody uses the cache any more. */
static void cache_drain_all(struct kmem_cache *c)
{
	irqflags_t f = hal_irq_save();
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct magazine *m = percpu_ready(cpu) ? per_cpu(magazines, cpu)[c->id] : NULL;

		if (m && m->count)
			magazine_flush(c, m, m->count, 0);
	}
	hal_irq_restore(f);
}

u64 kmem_cache_shrink(struct kmem_cache *c)
{
	struct page *slab, *next;
	LIST_HEAD(gone);
	irqflags_t f;

	f = spin_lock_irqsave(&c->lock);
	list_for_each_entry_safe(slab, next, &c->partial, node) {
		if (slab->slab.inuse)
			continue;
		list_move_tail(&slab->node, &gone);
		c->empty--;
		c->slabs--;
	}
	spin_unlock_irqrestore(&c->lock, f);
	return slabs_release(c, &gone);
}

void kmem_cache_destroy(struct kmem_cache *c)
{
	irqflags_t f;
	u64 out;

	if (!c)
		return;
	quarantine_drain(c, true);
	cache_drain_all(c);
	(void)kmem_cache_shrink(c);

	out = READ_ONCE(c->out);
	if (out) {
		log_err("cache \"%s\" is destroyed with %llu objects in use: it is kept", c->name,
			(unsigned long long)out);
		return;
	}
	f = spin_lock_irqsave(&cache_list_lock);
	list_del(&c->node);
	bitmap_clear_bit(cache_ids, c->id);
	spin_unlock_irqrestore(&cache_list_lock, f);
	kmem_cache_free(&cache_of_caches, c);
}

/* ---- all caches -------------------------------------------------------------------------------- */

/* This CPU's magazines go home, then free slabs to the pages. The list cannot shrink while its lock is not held
 * only because caches are destroyed by tests alone, which do not run while memory is short. */
void slab_drain(void)
{
	struct kmem_cache *c;
	irqflags_t f;

	quarantine_drain(NULL, false);
	list_for_each_entry(c, &cache_list, node) {
		struct magazine *m;

		f = hal_irq_save();
		m = magazine_of(c);
		if (m && m->count)
			magazine_flush(c, m, m->count, 0);
		hal_irq_restore(f);
		(void)kmem_cache_shrink(c);
	}
}

u64 slab_in_magazines(u32 cache_id)
{
	u64 sum = 0;
	u32 cpu;

	for_each_possible_cpu(cpu) {
		const struct magazine *m = percpu_ready(cpu) ? per_cpu(magazines, cpu)[cache_id] : NULL;

		if (m)
			sum += READ_ONCE(m->count);
	}
	return sum;
}

void kmem_cache_stats(struct kmem_cache *c, struct kmem_cache_stats *out)
{
	irqflags_t f = spin_lock_irqsave(&c->lock);

	*out = (struct kmem_cache_stats){ .name = c->name, .objects = c->out, .total = c->slabs * c->per_slab,
					  .pages = c->slabs << c->order, .object_size = c->object_size,
					  .slab_pages = 1u << c->order };
	spin_unlock_irqrestore(&c->lock, f);
	out->in_magazines = slab_in_magazines(c->id);
}

const struct list_head *slab_cache_list(void)
{
	return &cache_list;
}

struct kmem_cache *slab_cache_nth(u32 i)
{
	struct kmem_cache *c, *found = NULL;
	irqflags_t f = spin_lock_irqsave(&cache_list_lock);

	list_for_each_entry(c, &cache_list, node) {
		if (i-- == 0) {
			found = c;
			break;
		}
	}
	spin_unlock_irqrestore(&cache_list_lock, f);
	return found;
}

bool kmem_cache_stats_nth(u32 i, struct kmem_cache_stats *out)
{
	struct kmem_cache *c = slab_cache_nth(i);

	if (c)
		kmem_cache_stats(c, out);
	return c != NULL;
}

/* ---- CPUs that come and go --------------------------------------------------------------------- */

static int slab_prepare(u32 cpu)
{
	if (!per_cpu(magazines_ready, cpu))
		magazines_init(cpu);
	return 0;
}

/* What the CPU kept goes home. Its magazines stay for its return. */
static void slab_dead(u32 cpu)
{
	struct kmem_cache *c;
	irqflags_t f;

	quarantine_drain_cpu(cpu);
	list_for_each_entry(c, &cache_list, node) {
		struct magazine *m = per_cpu(magazines, cpu)[c->id];

		f = hal_irq_save();
		if (m && m->count)
			magazine_flush(c, m, m->count, 0);
		hal_irq_restore(f);
	}
}

const struct cpuhp_step slab_cpuhp = { .name = "slab magazines", .prepare = slab_prepare, .dead = slab_dead };

/* ---- boot, and lib's xarray -------------------------------------------------------------------- */

static struct kmem_cache *xa_cache;

static struct xa_node *xa_node_alloc(void)
{
	return kmem_cache_alloc(xa_cache, in_atomic() || !hal_irq_enabled() ? MM_NOWAIT : MM_KERNEL);
}

static void xa_node_free_rcu(struct rcu_head *head)
{
	kmem_cache_free(xa_cache, container_of((u64 *)head, struct xa_node, rcu_head[0]));
}

static void xa_node_free(struct xa_node *node)
{
	call_rcu((struct rcu_head *)node->rcu_head, xa_node_free_rcu);
}
static_assert(sizeof(struct rcu_head) == sizeof(((struct xa_node *)0)->rcu_head), "lib knows its size only");

void slab_init(void)
{
	static const struct xa_hooks hooks = { .node_alloc = xa_node_alloc, .node_free = xa_node_free };

	VERIFY(cache_setup(&cache_of_caches, "kmem_cache", sizeof(struct kmem_cache), 0, NULL, 0));
	kmalloc_init();
	xa_cache = kmem_cache_create("xa_node", sizeof(struct xa_node), 0, NULL, SLAB_PANIC | SLAB_RECLAIMABLE);
	xa_set_hooks(&hooks);
}
