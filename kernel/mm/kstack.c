/* SPDX-License-Identifier: MIT */
/*
 * Kernel stacks.
 *
 * A window of the kernel's mappings is divided into slots of twice a stack's size; the lower half of a slot is never
 * mapped, so that an overflow faults, and whether an address lies in a guard is arithmetic. Slots are numbered in
 * a bitmap, as many as the machine could have threads.
 *
 * A freed stack stays mapped: on a short list of its CPU, or on a global list, threaded through the stacks' own
 * memory. So a fork takes one from there without touching page tables. Unmapping needs a TLB flush on all CPUs, which
 * not every context that frees a stack may do, so it happens in kstack_trim(): from reclaim, and from allocations
 * that see a long list.
 */
#define LOG_TAG "mm"
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/percpu.h>
#include <kernel/mm/kmap.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include "internal.h"
#include "kasan.h"
#include "leak_stamp.h"

#define SLOT_BYTES	(2ull * KSTACK_SIZE)
#define SLOTS_MIN	4096ull
#define SLOTS_MAX	(1ull << 20)
#define CPU_STACKS	8u	/* that a CPU keeps */
#define GLOBAL_STACKS	64u	/* above this allocations trim */
#define TRIM_BATCH	16u

#define STACK_PROT	(HAL_PT_READ | HAL_PT_WRITE | HAL_PT_GLOBAL)

/* [own CPU, interrupts off] */
struct stack_cache {
	u32 count;
	vaddr_t base[CPU_STACKS];
};
static DEFINE_PER_CPU(struct stack_cache, stack_caches);

/* In the first bytes of a free stack. */
struct free_stack {
	struct free_stack *next;
};

/* Key: [l] lock. */
static struct {
	struct spinlock lock;
	struct free_stack *free;	/* [l] mapped */
	u64 free_count;			/* [l] read racily */
	u64 *slots;			/* [l] bit: the slot is in use */
	u64 slot_count;			/* [I] */
	u64 hint;			/* [l] */
} stacks = { .lock = SPINLOCK_INIT("kernel stacks", LOCK_RANK_KMAP) };

static vaddr_t slot_base(u64 slot)
{
	return HAL_KMAP_BASE + slot * SLOT_BYTES + KSTACK_SIZE;
}

bool kmap_is_guard(vaddr_t va)
{
	u64 offset = va - HAL_KMAP_BASE;

	return offset < stacks.slot_count * SLOT_BYTES && offset % SLOT_BYTES < KSTACK_SIZE;
}

static bool slot_take(u64 *slot)
{
	irqflags_t f = spin_lock_irqsave(&stacks.lock);
	bool found;

	*slot = bitmap_find_next_zero(stacks.slots, stacks.slot_count, stacks.hint);
	if (*slot >= stacks.slot_count)
		*slot = bitmap_find_next_zero(stacks.slots, stacks.slot_count, 0);
	found = *slot < stacks.slot_count;
	if (found) {
		bitmap_set_bit(stacks.slots, *slot);
		stacks.hint = *slot + 1;
	}
	spin_unlock_irqrestore(&stacks.lock, f);
	return found;
}

static void slot_give(u64 slot)
{
	irqflags_t f = spin_lock_irqsave(&stacks.lock);

	bitmap_clear_bit(stacks.slots, slot);
	stacks.hint = MIN(stacks.hint, slot);
	spin_unlock_irqrestore(&stacks.lock, f);
}

#if HALCYON_KASAN
/* KASAN: a stack has shadow of its own from its first use to its end; while it is free nothing of it may be touched. */
static_assert(KSTACK_SIZE % (PAGE_SIZE << HAL_SHADOW_SHIFT) == 0, "no two stacks share a page of shadow");

static int shadow_create(vaddr_t base)
{
	return kasan_shadow_make(base, KSTACK_SIZE, NULL);
}

static void shadow_destroy(vaddr_t base)
{
	kasan_shadow_release(base, KSTACK_SIZE);
}
#else
static inline int shadow_create(vaddr_t base)
{
	(void)base;
	return 0;
}

static inline void shadow_destroy(vaddr_t base)
{
	(void)base;
}
#endif

/* A stack with new pages. */
static int stack_create(vaddr_t *base)
{
	struct page *pages[KSTACK_PAGES];
	u32 got, mapped = 0;
	u64 slot;

	got = page_alloc_many(pages, KSTACK_PAGES, MM_KERNEL);
	if (got < KSTACK_PAGES || !slot_take(&slot))
		goto free_pages;
	*base = slot_base(slot);
	for (; mapped < KSTACK_PAGES; mapped++)
		if (pt_map_kernel(*base + mapped * PAGE_SIZE, page_to_phys(pages[mapped]), PAGE_SIZE, STACK_PROT))
			goto unmap;
	if (shadow_create(*base))
		goto unmap;
	mm_count(stacks, KSTACK_PAGES);
	return 0;
unmap:
	shadow_destroy(*base);
	pt_unmap_kernel(*base, mapped * PAGE_SIZE);
	slot_give(slot);
free_pages:
	while (got > 0)
		page_put(pages[--got]);
	return -ENOMEM;
}

/* Takes its entries out; its pages go on the list. */
static void stack_clear(vaddr_t base, struct list_head *pages)
{
	paddr_t pa = 0;

	for (u32 i = 0; i < KSTACK_PAGES; i++) {
		VERIFY(pt_kernel_phys(base + i * PAGE_SIZE, &pa, NULL));
		list_add_tail(&phys_to_page(pa)->node, pages);
	}
	shadow_destroy(base);
	pt_clear_kernel(base, KSTACK_SIZE);
}

/* Several stacks, with one flush for all of them. */
static void stacks_destroy(const vaddr_t *base, u32 count)
{
	struct page *page, *next;
	vaddr_t first = ~0ull, last = 0;
	LIST_HEAD(pages);

	for (u32 i = 0; i < count; i++) {
		stack_clear(base[i], &pages);
		first = MIN(first, base[i]);
		last = MAX(last, base[i]);
		if (i)
			tlb_count_deferred();
	}
	tlb_flush_kernel(first, last + KSTACK_SIZE);
	list_for_each_entry_safe(page, next, &pages, node)
		page_put(page);
	mm_count(stacks, -(s64)(count * KSTACK_PAGES));
	for (u32 i = 0; i < count; i++)
		slot_give((base[i] - HAL_KMAP_BASE) / SLOT_BYTES);
}

static struct free_stack *global_take(void)
{
	irqflags_t f = spin_lock_irqsave(&stacks.lock);
	struct free_stack *s = stacks.free;

	if (s) {
		stacks.free = s->next;
		stacks.free_count--;
	}
	spin_unlock_irqrestore(&stacks.lock, f);
	return s;
}

static void global_give(vaddr_t base)
{
	struct free_stack *s = (struct free_stack *)base;
	irqflags_t f = spin_lock_irqsave(&stacks.lock);

	s->next = stacks.free;
	stacks.free = s;
	stacks.free_count++;
	spin_unlock_irqrestore(&stacks.lock, f);
}

int kmap_stack_alloc(vaddr_t *base)
{
	irqflags_t f = hal_irq_save();
	struct stack_cache *c = this_cpu_ptr(&stack_caches);
	struct free_stack *s;

	if (likely(c->count)) {
		*base = c->base[--c->count];
		hal_irq_restore(f);
		kasan_unpoison((void *)*base, KSTACK_SIZE);
		return 0;
	}
	hal_irq_restore(f);
	if (unlikely(READ_ONCE(stacks.free_count) > GLOBAL_STACKS))
		(void)kstack_trim(TRIM_BATCH * KSTACK_PAGES);
	s = global_take();
	if (!s)
		return stack_create(base);
	*base = (vaddr_t)(uintptr_t)s;
	kasan_unpoison(s, KSTACK_SIZE);
	return 0;
}

void kmap_stack_free(vaddr_t base)
{
	irqflags_t f = hal_irq_save();
	struct stack_cache *c = this_cpu_ptr(&stack_caches);
	bool kept = c->count < CPU_STACKS;

	kasan_poison((void *)base, KSTACK_SIZE, KASAN_STACK_FREE);
	if (likely(kept))
		c->base[c->count++] = base;
	hal_irq_restore(f);
	if (!kept)
		global_give(base);
}

/* Interrupts off there, or its CPU is gone. */
static void cache_empty(struct stack_cache *c)
{
	while (c->count)
		global_give(c->base[--c->count]);
}

void kstack_drain_cpu(void)
{
	irqflags_t f = hal_irq_save();

	cache_empty(this_cpu_ptr(&stack_caches));
	hal_irq_restore(f);
}

void kstack_drain_gone(u32 cpu)
{
	cache_empty(per_cpu_ptr(&stack_caches, cpu));
}

u64 kstack_trim(u64 n)
{
	vaddr_t batch[TRIM_BATCH];
	struct free_stack *s;
	u64 freed = 0;
	u32 got;

	if (n == ~0ull)
		kstack_drain_cpu();
	do {
		for (got = 0; got < TRIM_BATCH && freed < n && (s = global_take()); freed += KSTACK_PAGES)
			batch[got++] = (vaddr_t)(uintptr_t)s;
		if (got)
			stacks_destroy(batch, got);
	} while (got == TRIM_BATCH);
	return freed;
}

void kstack_init(void)
{
	u64 slots = CLAMP(frame_machine_pages() / 16, SLOTS_MIN, SLOTS_MAX);

	stacks.slots = kvmalloc(BITMAP_WORDS(slots) * sizeof(u64), MM_ZERO);
	if (!stacks.slots)
		panic("no memory for the kernel stacks' bitmap");
	stacks.slot_count = slots;
	panic_guard_hook = kmap_is_guard;
}

/* ---- what the HAL asks for --------------------------------------------------------------------- */

int upcall_stack_alloc(vaddr_t *base, size_t bytes)
{
	VERIFY(bytes <= KSTACK_SIZE);
	return kmap_stack_alloc(base);
}

void upcall_stack_free(vaddr_t base)
{
	kmap_stack_free(base);
}
