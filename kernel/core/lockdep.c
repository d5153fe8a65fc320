/* SPDX-License-Identifier: MIT */
/*
 * The debug kernel's book about held locks (include/kernel/core/lockdep.h has the idea).
 *
 * What is checked at each acquisition, before any waiting:
 *   - the lock is not held already by the same CPU or thread;
 *   - its rank is above that of everything held (equal only when the caller says that it has an order);
 *   - spinlocks from LOCK_RANK_IRQ_FIRST on are taken with interrupts off;
 *   - no sleeping lock is taken under a spinlock.
 *
 * Ranks instead of a graph of observed orders: a violation is found the first time the code runs, whether
 * or not the opposite order was ever seen, and a table that people must keep sorted documents the order. What
 * ranks cannot express, two locks of a kind, is named in the code by the _nested functions.
 *
 * Spinlocks stand on a stack per CPU, because interrupts extend the critical section that they interrupt; the
 * stack is changed with interrupts off. Sleeping locks stand on a stack per thread.
 */
#define LOG_TAG "lock"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include "lockdep.h"

struct lock_held_stack *(*lock_dep_thread_hook)(void);

#if HALCYON_DEBUG

static DEFINE_PER_CPU(struct lock_held_stack, lock_cpu_stack);

static const struct lock_held *stack_find(const struct lock_held_stack *s, const void *lock)
{
	for (u32 i = s->depth; i > 0; i--)
		if (s->held[i - 1].lock == lock)
			return &s->held[i - 1];
	return NULL;
}

/* The held lock of the largest rank, or NULL. */
static const struct lock_held *stack_innermost(const struct lock_held_stack *s)
{
	const struct lock_held *top = NULL;

	for (u32 i = 0; i < s->depth; i++)
		if (!top || s->held[i].rank >= top->rank)
			top = &s->held[i];
	return top;
}

static void stack_push(struct lock_held_stack *s, const void *lock, const char *name, u32 rank, vaddr_t place)
{
	if (unlikely(s->depth >= LOCK_HELD_MAX))
		panic("more than %d locks held: \"%s\" at %pS", LOCK_HELD_MAX, name, (void *)place);
	s->held[s->depth] = (struct lock_held){ .lock = lock, .name = name, .place = place, .rank = rank };
	s->depth++;
}

static void stack_pop(struct lock_held_stack *s, const void *lock, const char *name)
{
	const struct lock_held *h = stack_find(s, lock);
	u32 i;

	if (unlikely(!h))
		panic("lock \"%s\" is released, but not held here", name);
	for (i = (u32)(h - s->held) + 1; i < s->depth; i++)
		s->held[i - 1] = s->held[i];
	s->depth--;
}

static void check_order(const struct lock_held_stack *s, const void *lock, const char *name, u32 rank,
			bool nested, vaddr_t place)
{
	const struct lock_held *same = stack_find(s, lock), *top = stack_innermost(s);

	if (unlikely(same))
		panic("lock recursion: \"%s\" at %pS, held since %pS", name, (void *)place, (void *)same->place);
	if (likely(!top || top->rank < rank || (nested && top->rank == rank)))
		return;
	panic("lock inversion: \"%s\" (rank %u) at %pS while \"%s\" (rank %u) is held since %pS", name, rank,
	      (void *)place, top->name, top->rank, (void *)top->place);
}

void lockdep_spin_check(const struct spinlock *l, bool nested, vaddr_t place)
{
	irqflags_t f;

	if (panic_active())
		return;
	if (unlikely(!l->name || l->rank < LOCK_RANK_SPIN_FIRST))
		panic("spinlock %p at %pS was never initialised, or has the rank of a sleeping lock", (const void *)l,
		      (void *)place);
	if (unlikely(l->rank >= LOCK_RANK_IRQ_FIRST && hal_irq_enabled()))
		panic("spinlock \"%s\" taken with interrupts on at %pS", l->name, (void *)place);
	f = hal_irq_save();
	check_order(this_cpu_ptr(&lock_cpu_stack), l, l->name, l->rank, nested, place);
	hal_irq_restore(f);
}

void lockdep_spin_push(const struct spinlock *l, vaddr_t place)
{
	irqflags_t f;

	if (panic_active())
		return;
	f = hal_irq_save();
	stack_push(this_cpu_ptr(&lock_cpu_stack), l, l->name, l->rank, place);
	hal_irq_restore(f);
}

void lockdep_spin_pop(const struct spinlock *l)
{
	irqflags_t f;

	if (panic_active())
		return;
	f = hal_irq_save();
	stack_pop(this_cpu_ptr(&lock_cpu_stack), l, l->name);
	hal_irq_restore(f);
}

static struct lock_held_stack *thread_stack(void)
{
	return lock_dep_thread_hook && !panic_active() ? lock_dep_thread_hook() : NULL;
}

static void sleeping_acquire(const struct lock_class_ref *c, bool nested, vaddr_t place)
{
	struct lock_held_stack *s = thread_stack();
	const struct lock_held_stack *cpu;

	if (!s)
		return;
	preempt_disable();
	cpu = this_cpu_ptr(&lock_cpu_stack);
	if (unlikely(cpu->depth))
		panic("sleeping lock \"%s\" at %pS under spinlock \"%s\" held since %pS", c->name, (void *)place,
		      cpu->held[cpu->depth - 1].name, (void *)cpu->held[cpu->depth - 1].place);
	preempt_enable();
	check_order(s, c, c->name, c->rank, nested, place);
	stack_push(s, c, c->name, c->rank, place);
}

void lock_dep_acquire(const struct lock_class_ref *c, vaddr_t place)
{
	sleeping_acquire(c, false, place);
}

void lock_dep_acquire_nested(const struct lock_class_ref *c, vaddr_t place)
{
	sleeping_acquire(c, true, place);
}

void lock_dep_acquire_try(const struct lock_class_ref *c, vaddr_t place)
{
	struct lock_held_stack *s = thread_stack();

	if (s)
		stack_push(s, c, c->name, c->rank, place);
}

void lock_dep_release(const struct lock_class_ref *c)
{
	struct lock_held_stack *s = thread_stack();

	if (s)
		stack_pop(s, c, c->name);
}

bool lock_dep_held(const struct lock_class_ref *c)
{
	struct lock_held_stack *s = thread_stack();

	return !s || stack_find(s, c);
}

void lock_dep_assert_none(const char *where)
{
	const struct lock_held_stack *s = thread_stack(), *cpu;

	if (s && s->depth)
		panic("lock \"%s\", taken at %pS, is still held at %s", s->held[s->depth - 1].name,
		      (void *)s->held[s->depth - 1].place, where);
	preempt_disable();
	cpu = this_cpu_ptr(&lock_cpu_stack);
	if (cpu->depth)
		panic("spinlock \"%s\", taken at %pS, is still held at %s", cpu->held[cpu->depth - 1].name,
		      (void *)cpu->held[cpu->depth - 1].place, where);
	preempt_enable();
}

static void report_stack(const struct lock_held_stack *s, const char *kind, void (*emit)(const char *, size_t))
{
	static char line[160];
	u32 depth = MIN(s->depth, (u32)LOCK_HELD_MAX);

	for (u32 i = 0; i < depth; i++)
		emit(line, scnprintf(line, sizeof(line), "  %s \"%s\" (rank %u) taken at %pS\n", kind,
				     s->held[i].name, s->held[i].rank, (void *)s->held[i].place));
}

/* Runs in a panic, alone: a static buffer spares the stack. */
void lock_dep_report(void (*emit)(const char *line, size_t n))
{
	const struct lock_held_stack *s = lock_dep_thread_hook && hal_current() ? lock_dep_thread_hook() : NULL;

	if (s)
		report_stack(s, "lock", emit);
	report_stack(this_cpu_ptr(&lock_cpu_stack), "spinlock", emit);
}

#endif
