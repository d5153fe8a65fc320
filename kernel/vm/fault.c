/* SPDX-License-Identifier: MIT */
/*
 * Page faults: how all user memory appears.
 *
 * The space's lock is held for reading, so faults of one space run in parallel; two
 * that make the same entry are sorted out by the leaf table's lock: who comes
 * second finds an entry and gives its own page back. No page is allocated, and no object asked, under that lock.
 *
 *   entry   area                   access   what is entered
 *   none    anonymous              read     the zero page (PTE_SPECIAL), read-only (or a zeroed page: "fresh", below)
 *   none    anonymous              write    a zeroed page
 *   none    private object         read     the object's page read-only, and its cached neighbours
 *   none    private object         write    a copy of the object's page
 *   none    shared object          any      the object's page
 *   there   private, not writable  write    the same page if the table is its sole owner, else a copy
 *   there   shared, not writable   write    the same entry made writable
 *
 * Sole owner: the page is private (not PTE_OBJECT), its count is 1, which is this
 * table's reference, and nobody has it pinned.
 *
 * Against truncation: a page of an object is entered only while page->object still names
 * the object, read under the table's lock; see object.c for the other half.
 */
#include <kernel/core/percpu.h>
#include <kernel/core/preempt.h>
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/thread.h>

#include "internal.h"

/* Neighbours that a read fault on a file maps: an aligned window of so many pages. */
#define FAULT_AROUND_PAGES 16
/* The allocator reclaims by itself; who is killed when nothing helps is for the entry code to say. */
#define FAULT_ALLOC (MM_USER | MM_NO_OOM)

enum fault_result {
	FAULT_DONE,
	FAULT_AGAIN,		/* something changed meanwhile: look again */
	FAULT_NOMEM,
	FAULT_BUS,
};

struct fault {
	struct vm_space *space;
	struct vm_area *area;
	vaddr_t addr;		/* of the page */
	u32 access;
	bool shared;		/* a flush found other CPUs that run the space */
	struct page *table;
	hal_pte_t *entry;
};

static inline bool page_sole_owner(struct page *page)
{
	return page_ref_count(page) == 1 && !page_pin_count(page);
}

/* Born accessed: the CPU need not walk again to say so. */
static __always_inline hal_pte_t fault_leaf_young(struct page *page, u32 prot, u32 soft)
{
	return hal_pte_with_soft(hal_pte_mkyoung(hal_pte_leaf(page_to_phys(page), prot, 0)), soft);
}

/* ... and, when written at once, dirty. */
static __always_inline hal_pte_t fault_leaf(const struct fault *f, struct page *page, bool write, u32 soft)
{
	hal_pte_t e = fault_leaf_young(page, area_pt_prot(f->area->flags, write), soft);

	return write && f->access & VM_ACCESS_WRITE ? hal_pte_mkdirty(e) : e;
}

static void fault_count(struct fault *f, u32 soft, s64 n)
{
	struct rss_delta d = { 0 };

	rss_count(&d, soft, n);
	rss_apply(f->space, &d);
}

/*
 * Enters page, whose reference goes to the table. obj: the page must still belong to it.
 */
static enum fault_result fault_enter(struct fault *f, struct page *page, bool write, u32 soft,
				     const struct vm_object *obj)
{
	enum fault_result r = FAULT_AGAIN;

	spin_lock(&f->table->pt.lock);
	if (hal_pte_is_none(hal_pte_read(f->entry)) && (!obj || page->object == obj)) {
		leaf_set(f->table, f->entry, fault_leaf(f, page, write, soft));
		r = FAULT_DONE;
	}
	spin_unlock(&f->table->pt.lock);
	if (r == FAULT_DONE)
		fault_count(f, soft, 1);
	else if (!(soft & PTE_SPECIAL))
		page_put(page);
	return r;
}

/* ---- fresh memory that is read before it is written ---- */

/*
 * Programs read fresh memory and write to it a moment later (x[i] += y). That is two faults, and the second one takes the zero page
 * away from all CPUs that run the space: an interrupt for each page. So who does that again and again, in a
 * space that runs on several CPUs, gets a page of his own on the first read.
 *
 * What it may cost is bounded by credit: FRESH_GAIN for each zero page that was written to, FRESH_MAX at most, and none is left when
 * the last page that was given so has not been written to; when nobody can tell, it is one less. A guess of this CPU's: a
 * thread that comes anew has no credit.
 */
#define FRESH_GAIN	2u
#define FRESH_NEED	8u
#define FRESH_MAX	16u

struct fresh {
	const struct thread *who;	/* never followed */
	vaddr_t last;			/* given without having been written to; 0: none */
	u32 credit;
};

static DEFINE_PER_CPU(struct fresh, fresh_pages);	/* [own] preemption off */

/* The area's page that was given last: has it been written to? The space's lock is held, and nothing is walked outside of the area. */
static u32 fresh_credit_now(const struct fault *f, const struct fresh *fresh)
{
	vaddr_t last = fresh->last;
	struct page *table;
	hal_pte_t e;

	if (!last)
		return fresh->credit;
	table = last >= f->area->start && last < f->area->end ? table_find_leaf(f->space, last) : NULL;
	e = table ? hal_pte_read(leaf_entry(table, last)) : hal_pte_none();
	if (!hal_pte_present(e) || hal_pte_soft(e))
		return fresh->credit - 1;
	return hal_pte_dirty(e) ? FRESH_MAX : 0;
}

static noinline bool fresh_ask(const struct fault *f)
{
	struct fresh *fresh;
	bool wanted = false;

	preempt_disable();
	fresh = this_cpu_ptr(&fresh_pages);
	if (fresh->who == current_thread() && fresh->credit >= FRESH_NEED) {
		fresh->credit = fresh_credit_now(f, fresh);
		wanted = fresh->credit >= FRESH_NEED;
		fresh->last = wanted ? f->addr : 0;
	}
	preempt_enable();
	return wanted;
}

/* A read fault in anonymous memory: shall it get a page of its own? The first look at the credit may be at another CPU's. */
static inline bool fresh_wanted(const struct fault *f)
{
	return unlikely(READ_ONCE(this_cpu_ptr(&fresh_pages)->credit) >= FRESH_NEED) && f->area->flags & AREA_WRITE && fresh_ask(f);
}

/* The zero page was replaced, in a space that other CPUs run. */
static void fresh_written(void)
{
	struct fresh *fresh;

	preempt_disable();
	fresh = this_cpu_ptr(&fresh_pages);
	if (fresh->who != current_thread())
		*fresh = (struct fresh){ .who = current_thread() };
	fresh->credit = MIN(fresh->credit + FRESH_GAIN, FRESH_MAX);
	preempt_enable();
}

/* ---- nothing entered yet ---- */

static enum fault_result fault_anon(struct fault *f)
{
	struct page *page;

	if (!(f->access & VM_ACCESS_WRITE) && likely(!vm_many_cpus || !fresh_wanted(f)))
		return fault_enter(f, vm_zero_page, false, PTE_SPECIAL, NULL);
	page = area_page_alloc(f->area, f->addr, FAULT_ALLOC | MM_ZERO);
	if (!page)
		return FAULT_NOMEM;
	return fault_enter(f, page, true, 0, NULL);
}

/* The object's page at the fault, referenced. */
static enum fault_result fault_object_page(struct fault *f, struct page **out)
{
	struct vm_object *obj = f->area->object;
	u64 index = area_index(f->area, f->addr);
	int err;

	if (index >= object_end(obj)) /* the page may be there, and be on its way out */
		return FAULT_BUS;
	err = unlikely(mm_numa) ? policy_object_page(f->area, index, out) : vm_object_page_within(obj, index, out);
	if (!err)
		return FAULT_DONE;
	return err == -ENOMEM ? FAULT_NOMEM : FAULT_BUS;
}

/* A private copy of the object's page. */
static enum fault_result fault_private_write(struct fault *f)
{
	struct vm_object *obj = f->area->object;
	struct page *page, *copy;
	enum fault_result r = fault_object_page(f, &page);

	if (r != FAULT_DONE)
		return r;
	copy = area_page_alloc(f->area, f->addr, FAULT_ALLOC);
	if (!copy) {
		page_put(page);
		return FAULT_NOMEM;
	}
	hal_copy_page(page_address(copy), page_address(page));
	spin_lock(&f->table->pt.lock);
	r = FAULT_AGAIN;
	if (hal_pte_is_none(hal_pte_read(f->entry)) && page->object == obj) {
		leaf_set(f->table, f->entry, fault_leaf(f, copy, true, 0));
		r = FAULT_DONE;
	}
	spin_unlock(&f->table->pt.lock);
	page_put(page);
	if (r == FAULT_DONE)
		fault_count(f, 0, 1);
	else
		page_put(copy);
	return r;
}

/* The bounds of the window around the fault: in the area, below the same leaf table. */
static void around_window(const struct fault *f, vaddr_t *start, vaddr_t *end)
{
	u64 span = FAULT_AROUND_PAGES * PAGE_SIZE;

	*start = MAX(ALIGN_DOWN(f->addr, span), f->area->start);
	*end = MIN(ALIGN_DOWN(f->addr, span) + span, f->area->end);
}

/* A page that is in the object's cache now, referenced, or NULL. RCU read section. */
static struct page *around_page(struct vm_object *obj, u64 index)
{
	struct page *page = xa_load(&obj->pages, index);

	if (!page || !page_get_not_zero(page))
		return NULL;
	if (page->object == obj && page->index == index)
		return page;
	page_put(page);
	return NULL;
}

/* Maps what is cached near the fault, without waiting for anything. */
static void fault_around(struct fault *f, bool write, u32 soft)
{
	struct vm_object *obj = f->area->object;
	u32 prot = area_pt_prot(f->area->flags, write);
	struct rss_delta rss = { 0 };
	vaddr_t addr, end;
	hal_pte_t *p;

	around_window(f, &addr, &end);
	p = leaf_entry(f->table, addr);
	rcu_read_lock();
	spin_lock(&f->table->pt.lock);
	for (; addr < end; addr += PAGE_SIZE, p++) {
		struct page *page;

		if (!hal_pte_is_none(hal_pte_read(p)))
			continue;
		page = around_page(obj, area_index(f->area, addr));
		if (!page)
			continue;
		leaf_set(f->table, p, fault_leaf_young(page, prot, soft));
		rss_count(&rss, soft, 1);
	}
	spin_unlock(&f->table->pt.lock);
	rcu_read_unlock();
	rss_apply(f->space, &rss);
}

static enum fault_result fault_object(struct fault *f)
{
	struct vm_object *obj = f->area->object;
	bool shared = f->area->flags & AREA_SHARED, write = f->access & VM_ACCESS_WRITE;
	/* An owner who wants to hear of the first write gets a write fault for it. */
	bool writable = shared && (write || !obj->ops || !obj->ops->dirtied);
	u32 soft = object_soft(obj);
	struct page *page;
	enum fault_result r;

	if (write && !shared)
		return fault_private_write(f);
	r = fault_object_page(f, &page);
	if (r != FAULT_DONE)
		return r;
	if (write && obj->ops && obj->ops->dirtied)
		obj->ops->dirtied(obj);
	r = fault_enter(f, page, writable, soft, obj);
	if (r == FAULT_DONE && !write && !(f->area->flags & AREA_RAND_READ))
		fault_around(f, writable, soft);
	return r;
}

/* Device frames: pgoff is the frame number. */
static enum fault_result fault_pfn(struct fault *f)
{
	paddr_t frame = area_index(f->area, f->addr) << PAGE_SHIFT;
	u32 prot = area_pt_prot(f->area->flags, true) | HAL_PT_WC;

	spin_lock(&f->table->pt.lock);
	if (hal_pte_is_none(hal_pte_read(f->entry)))
		leaf_set(f->table, f->entry,
			 hal_pte_with_soft(hal_pte_leaf(frame, prot, 0), PTE_SPECIAL));
	spin_unlock(&f->table->pt.lock);
	return FAULT_DONE;
}

/* ---- writing to an entry that is there ---- */

/* Makes the entry writable where no copy is needed. Table locked; false: a copy is needed. */
static bool reuse_locked(struct fault *f, hal_pte_t e)
{
	u32 soft = hal_pte_soft(e);

	if (!(f->area->flags & AREA_SHARED)) {
		if (soft & (PTE_SPECIAL | PTE_OBJECT))
			return false;
		if (!page_sole_owner(phys_to_page(hal_pte_paddr(e, 0))))
			return false;
	}
	leaf_change(f->entry, e, hal_pte_mkdirty(hal_pte_mkyoung(hal_pte_mkwrite(e))));
	return true;
}

/*
 * Puts copy where `old` is entered, if it still is. Nothing is entered, and everybody has been told, before it is: else one CPU
 * could write to the copy while another one goes on reading the old page.
 */
static bool cow_replace(struct fault *f, hal_pte_t old, struct page *copy)
{
	hal_pte_t now;
	bool ok;

	spin_lock(&f->table->pt.lock);
	now = hal_pte_read(f->entry);
	ok = hal_pte_present(now) && !hal_pte_writable(now) &&
	     hal_pte_paddr(now, 0) == hal_pte_paddr(old, 0) &&
	     hal_pte_soft(now) == hal_pte_soft(old);
	if (ok) {
		hal_pte_write(f->entry, hal_pte_none());
		f->shared = tlb_flush_space(&f->space->hal, f->addr, f->addr + PAGE_SIZE, TLB_PAGES);
		hal_pte_write(f->entry, fault_leaf(f, copy, true, 0));
	}
	spin_unlock(&f->table->pt.lock);
	return ok;
}

/* e was read under the table's lock; `page` (unless special) is referenced for us. */
static enum fault_result cow_copy(struct fault *f, hal_pte_t e, struct page *page)
{
	bool zero = hal_pte_soft(e) & PTE_SPECIAL;
	struct page *copy = area_page_alloc(f->area, f->addr, FAULT_ALLOC | (zero ? MM_ZERO : 0));
	bool replaced;

	if (copy && !zero)
		hal_copy_page(page_address(copy), page_address(page));
	replaced = copy && cow_replace(f, e, copy);
	if (replaced) {
		if (hal_pte_soft(e)) {
			fault_count(f, hal_pte_soft(e), -1);
			fault_count(f, 0, 1);
		}
		if (!zero)
			page_put(page);		/* the table's reference */
		else if (unlikely(f->shared))
			fresh_written();
	}
	if (!zero)
		page_put(page);
	if (!copy)
		return FAULT_NOMEM;
	if (!replaced)
		page_put(copy);
	return replaced ? FAULT_DONE : FAULT_AGAIN;
}

static enum fault_result fault_write_present(struct fault *f)
{
	struct vm_object *obj = f->area->object;
	struct page *page = NULL;
	hal_pte_t e;

	if (f->area->flags & AREA_SHARED && obj && obj->ops && obj->ops->dirtied)
		obj->ops->dirtied(obj);
	spin_lock(&f->table->pt.lock);
	e = hal_pte_read(f->entry);
	if (!hal_pte_present(e)) {
		spin_unlock(&f->table->pt.lock);
		return FAULT_AGAIN;
	}
	if (hal_pte_writable(e) || reuse_locked(f, e)) {
		spin_unlock(&f->table->pt.lock);
		hal_tlb_flush_local_page(f->addr);
		return FAULT_DONE;
	}
	if (!(hal_pte_soft(e) & PTE_SPECIAL)) {
		page = phys_to_page(hal_pte_paddr(e, 0));
		page_get(page);
	}
	spin_unlock(&f->table->pt.lock);
	return cow_copy(f, e, page);
}

/* ---- the whole ---- */

static enum fault_result fault_in_area(struct fault *f)
{
	hal_pte_t e;

	f->table = table_make_leaf(f->space, f->addr);
	if (!f->table)
		return FAULT_NOMEM;
	f->entry = leaf_entry(f->table, f->addr);
	e = hal_pte_read(f->entry);
	if (hal_pte_is_none(e)) {
		if (f->area->object)
			return fault_object(f);
		return f->area->flags & AREA_PFN ? fault_pfn(f) : fault_anon(f);
	}
	if (f->access & VM_ACCESS_WRITE && !hal_pte_writable(e))
		return fault_write_present(f);
	/* Another CPU was faster, or this CPU remembers an older entry. */
	hal_tlb_flush_local_page(f->addr);
	return FAULT_DONE;
}

/* x86 has no write-only or execute-only pages: whatever may be accessed may be read. */
static bool access_allowed(const struct vm_area *a, u32 access)
{
	if (access & VM_ACCESS_WRITE && !(a->flags & AREA_WRITE))
		return false;
	if (access & VM_ACCESS_EXEC && !(a->flags & AREA_EXEC))
		return false;
	return a->flags & AREA_PROT;
}

/* A fault below a stack: grow it. The space's lock is not held. */
static enum vm_verdict fault_grow(struct vm_space *s, vaddr_t addr)
{
	struct vm_area *a;
	enum vm_verdict v = VM_FAULT_OK;

	rwsem_write_lock(&s->lock);
	a = area_find(s, addr);
	if (!a || (addr < a->start && (!(a->flags & AREA_GROWSDOWN) ||
				       vm_grow_down_locked(a, ALIGN_DOWN(addr, PAGE_SIZE)))))
		v = VM_FAULT_SEGV_MAPERR;
	rwsem_write_unlock(&s->lock);
	return v;
}

/* One look at the areas and one try. */
static enum vm_verdict fault_once(struct vm_space *s, vaddr_t addr, u32 access,
				  enum fault_result *result)
{
	struct fault f = { .space = s, .addr = ALIGN_DOWN(addr, PAGE_SIZE), .access = access };
	enum vm_verdict v = VM_FAULT_OK;

	*result = FAULT_DONE;
	rwsem_read_lock(&s->lock);
	f.area = area_find(s, addr);
	if (unlikely(!f.area)) {
		v = VM_FAULT_SEGV_MAPERR;
	} else if (unlikely(addr < f.area->start)) {
		bool grows = f.area->flags & AREA_GROWSDOWN;

		rwsem_read_unlock(&s->lock);
		*result = FAULT_AGAIN;
		return grows ? fault_grow(s, addr) : VM_FAULT_SEGV_MAPERR;
	} else if (unlikely(!access_allowed(f.area, access))) {
		v = VM_FAULT_SEGV_ACCERR;
	} else {
		*result = fault_in_area(&f);
	}
	rwsem_read_unlock(&s->lock);
	return v;
}

static enum vm_verdict fault_until_done(struct vm_space *space, vaddr_t addr, u32 access)
{
	for (;;) {
		enum fault_result r;
		enum vm_verdict v = fault_once(space, addr, access, &r);

		if (v != VM_FAULT_OK || r == FAULT_DONE)
			return v;
		if (r == FAULT_BUS)
			return VM_FAULT_BUS_ADRERR;
		if (__atomic_load_n(&current_thread()->fatal, __ATOMIC_RELAXED))
			return VM_FAULT_KILLED;
		if (r == FAULT_NOMEM)
			return VM_FAULT_OOM;
	}
}

enum vm_verdict vm_fault(struct vm_space *space, vaddr_t addr, u32 access)
{
	enum vm_verdict v;
	bool quiet;

	if (addr >= HAL_USER_END)
		return VM_FAULT_SEGV_MAPERR;
	quiet = vm_quiet_begin();
	v = fault_until_done(space, addr, access);
	vm_quiet_end(quiet);
	return v;
}

enum vm_verdict vm_fault_locked(struct vm_area *a, vaddr_t addr, u32 access)
{
	struct fault f = {
		.space = a->space, .area = a, .addr = ALIGN_DOWN(addr, PAGE_SIZE), .access = access,
	};

	for (;;) {
		switch (fault_in_area(&f)) {
		case FAULT_DONE:
			return VM_FAULT_OK;
		case FAULT_NOMEM:
			return VM_FAULT_OOM;
		case FAULT_BUS:
			return VM_FAULT_BUS_ADRERR;
		case FAULT_AGAIN:
			break;
		}
	}
}

int vm_enter_page_locked(struct vm_area *a, vaddr_t addr, struct page *page)
{
	struct fault f = {
		.space = a->space, .area = a, .addr = addr, .access = VM_ACCESS_WRITE,
	};

	f.table = table_make_leaf(a->space, addr);
	if (!f.table)
		return -ENOMEM;
	f.entry = leaf_entry(f.table, addr);
	page_get(page);
	return fault_enter(&f, page, true, 0, NULL) == FAULT_DONE ? 0 : -EEXIST;
}
