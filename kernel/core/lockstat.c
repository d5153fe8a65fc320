/* SPDX-License-Identifier: MIT */
/*
 * Lock statistics (include/kernel/core/lockstat.h).
 *
 * A class is found by the address of its name: a hash table of addresses says the number, so that a lock that is made
 * on a stack for each wait costs one probe. Two literals with one text are two addresses of one class: that is found
 * out once for each address, by comparing texts. Both tables only grow; entries are published by storing the name
 * last, and are looked up without a lock. Writers have a word of their own to spin on: a spinlock would come back here.
 *
 * Locks: class_lock, interrupts off, inside of everything.
 */
#include <hal/cpu.h>
#include <kernel/core/lockstat.h>
#include <kernel/core/percpu.h>
#include <lib/atomic.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define NAME_SLOTS 1024u	/* power of two, several times LOCK_CLASSES */
#define NAME_SLOTS_USED_MAX (NAME_SLOTS / 4 * 3)

/* Key: [p] written under class_lock, published by the store of `name`. */
struct lock_class {
	const char *name;	/* [p] */
	u32 rank;		/* [p] */
};

struct name_slot {
	const char *name;	/* [p] NULL: free */
	u32 rank;		/* [p] */
	u32 class;		/* [p] */
};

struct lock_stats {
	struct lock_stat of[LOCK_CLASSES];
};

static struct lock_class classes[LOCK_CLASSES];
static struct name_slot name_slots[NAME_SLOTS];
static u32 class_count = 1;		/* [class_lock] number 0 is no class */
static u32 name_slots_used;		/* [class_lock] */
static u32 class_lock;			/* [a] 0 free */
static DEFINE_PER_CPU(struct lock_stats, lock_stats);
bool lock_stat_on = true;

static u32 slot_first(const char *name, u32 rank)
{
	return (u32)(((u64)(uintptr_t)name + rank) * 0x9e3779b97f4a7c15ull >> 54) % NAME_SLOTS;
}

/* The slot of that name, or the free one where it belongs. There is always a free one. */
static struct name_slot *slot_find(const char *name, u32 rank)
{
	for (u32 i = slot_first(name, rank);; i = (i + 1) % NAME_SLOTS) {
		const char *there = __atomic_load_n(&name_slots[i].name, __ATOMIC_ACQUIRE);

		if (!there || (there == name && name_slots[i].rank == rank))
			return &name_slots[i];
	}
}

/* [class_lock] */
static u32 class_of_text(const char *name, u32 rank)
{
	u32 i;

	for (i = 1; i < class_count; i++)
		if (classes[i].rank == rank && strcmp(classes[i].name, name) == 0)
			return i;
	if (class_count == LOCK_CLASSES - 1) {
		classes[class_count].rank = 0;
		__atomic_store_n(&classes[class_count].name, "(others)", __ATOMIC_RELEASE);
		return class_count;
	}
	classes[class_count].rank = rank;
	__atomic_store_n(&classes[class_count].name, name, __ATOMIC_RELEASE);
	return class_count++;
}

static u32 class_add(const char *name, u32 rank)
{
	irqflags_t f = hal_irq_save();
	struct name_slot *slot;
	u32 class;

	while (__atomic_exchange_n(&class_lock, 1, __ATOMIC_ACQUIRE))
		hal_cpu_relax();
	slot = slot_find(name, rank);
	class = slot->name ? slot->class : class_of_text(name, rank);
	if (!slot->name && name_slots_used < NAME_SLOTS_USED_MAX) {
		name_slots_used++;
		slot->rank = rank;
		slot->class = class;
		__atomic_store_n(&slot->name, name, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&class_lock, 0, __ATOMIC_RELEASE);
	hal_irq_restore(f);
	return class;
}

u32 lock_stat_class(const char *name, u32 rank)
{
	const struct name_slot *slot;

	if (unlikely(!name)) /* a lock that was never initialised, which was reported */
		name = "(no name)";
	slot = slot_find(name, rank);
	return likely(slot->name) ? slot->class : class_add(name, rank);
}

static struct lock_stat *stat_here(u32 class)
{
	return &this_cpu_ptr(&lock_stats)->of[class];
}

void lock_stat_waited(u32 class, u64 wait, vaddr_t place)
{
	struct lock_stat *s = stat_here(class);

	s->contended++;
	s->wait += wait;
	if (wait > s->wait_max) {
		s->wait_max = wait;
		s->wait_place = place;
	}
}

void lock_stat_taken(u32 class, u64 wait, vaddr_t place)
{
	stat_here(class)->taken++;
	if (unlikely(wait))
		lock_stat_waited(class, wait, place);
}

void lock_stat_released(u32 class, u64 held, vaddr_t place)
{
	struct lock_stat *s = stat_here(class);

	s->hold += held;
	if (unlikely(held > s->hold_max)) {
		s->hold_max = held;
		s->hold_place = place;
	}
}

static void stat_add(struct lock_stat *sum, const struct lock_stat *s)
{
	sum->taken += s->taken;
	sum->contended += s->contended;
	sum->wait += s->wait;
	sum->hold += s->hold;
	if (s->wait_max > sum->wait_max) {
		sum->wait_max = s->wait_max;
		sum->wait_place = s->wait_place;
	}
	if (s->hold_max > sum->hold_max) {
		sum->hold_max = s->hold_max;
		sum->hold_place = s->hold_place;
	}
}

bool lock_stat_read(u32 class, const char **name, u32 *rank, struct lock_stat *out)
{
	u32 cpu;

	if (!class || class >= LOCK_CLASSES)
		return false;
	*name = __atomic_load_n(&classes[class].name, __ATOMIC_ACQUIRE);
	if (!*name)
		return false;
	*rank = classes[class].rank;
	*out = (struct lock_stat){ 0 };
	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			stat_add(out, &per_cpu_ptr(&lock_stats, cpu)->of[class]);
	return true;
}

/* What another CPU counts at the same time may survive or be lost: these are statistics. */
void lock_stat_reset(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			memset(per_cpu_ptr(&lock_stats, cpu), 0, sizeof(struct lock_stats));
}

#endif
