/* SPDX-License-Identifier: MIT */
/*
 * The debug kernel's book about held locks (include/kernel/core/lockdep.h has the idea).
 *
 * What is checked at each acquisition, before any waiting:
 *   - the lock is not held already by the same CPU or thread;
 *   - its rank is above that of everything held (equal only when the caller says that it has an order);
 *   - spinlocks from LOCK_RANK_IRQ_FIRST on are taken with interrupts off, and those before it never in an
 *     interrupt, as it may have interrupted their holder, nor with interrupts off, as their holder may wait until this
 *     CPU has flushed its TLB (kernel/core/tlb.h);
 *   - no sleeping lock is taken under a spinlock or in an interrupt.
 * At each release: that it is held here. When an interrupt ends: that it left nothing held, and the preemption
 * count as it was. When memory is freed: that no held lock lies in it.
 *
 * Ranks instead of a graph of observed orders: a violation is found the first time the code runs, whether
 * or not the opposite order was ever seen, and a table that people must keep sorted documents the order. What
 * ranks cannot express, two locks of a kind, is named in the code by the _nested functions.
 *
 * Spinlocks stand on a stack per CPU, because interrupts extend the critical section that they interrupt; the
 * stack is changed with interrupts off. Sleeping locks stand on a stack per thread.
 *
 * Violations go to report_bug(): a panic, or a line that a self test has asked for.
 */
#define LOG_TAG "lock"
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/lockstat.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <lib/atomic.h>
#include "lockdep.h"

struct lock_held_stack *(*lock_dep_thread_hook)(void);
void (*lock_dep_name_hook)(const struct thread *t, char *buf, size_t n);

#if HALCYON_DEBUG

#define IRQ_NESTING_MAX 8u

/* [own] What an interrupt found: to be found again when it ends. */
struct irq_frames {
	u32 depth;
	struct {
		u32 locks;
		u32 preempt;
	} at[IRQ_NESTING_MAX];
};

static DEFINE_PER_CPU(struct lock_held_stack, lock_cpu_stack);
static DEFINE_PER_CPU(struct irq_frames, lock_irq_frames);

/* ---- a stack ----------------------------------------------------------------------------------- */

static struct lock_held *stack_find(struct lock_held_stack *s, const void *lock)
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

/* Interrupts off when the stack is a CPU's. */
static void stack_push(struct lock_held_stack *s, const void *lock, const char *name, u32 rank, u8 *class, vaddr_t place)
{
	if (unlikely(s->depth >= LOCK_HELD_MAX))
		panic("more than %d locks held: \"%s\" at %pS", LOCK_HELD_MAX, name, (void *)place);
	if (unlikely(!READ_ONCE(*class)))
		WRITE_ONCE(*class, (u8)lock_stat_class(name, rank));
	s->held[s->depth] = (struct lock_held){ .lock = lock, .name = name, .place = place, .rank = rank,
						.class = READ_ONCE(*class),
						.since = READ_ONCE(lock_stat_on) ? hal_cycles() : 0 };
	s->depth++;
}

/* The same context. False: it is not there, and that was reported. */
static bool stack_pop(struct lock_held_stack *s, const void *lock, const char *name)
{
	const struct lock_held *h = stack_find(s, lock);

	if (unlikely(!h)) {
		report_bug("lock \"%s\" is released, but not held here", name);
		return false;
	}
	if (h->since && READ_ONCE(lock_stat_on))
		lock_stat_released(h->class, hal_cycles() - h->since, h->place);
	for (u32 i = (u32)(h - s->held) + 1; i < s->depth; i++)
		s->held[i - 1] = s->held[i];
	s->depth--;
	return true;
}

static void check_order(struct lock_held_stack *s, const void *lock, const char *name, u32 rank, bool nested,
			vaddr_t place)
{
	const struct lock_held *same = stack_find(s, lock), *top = stack_innermost(s);

	if (unlikely(same)) {
		report_bug("lock recursion: \"%s\" at %pS, held since %pS", name, (void *)place, (void *)same->place);
		return;
	}
	if (likely(!top || top->rank < rank || (nested && top->rank == rank)))
		return;
	report_bug("lock inversion: \"%s\" (rank %u) at %pS while \"%s\" (rank %u) is held since %pS", name, rank,
		   (void *)place, top->name, top->rank, (void *)top->place);
}

/* ---- spinlocks --------------------------------------------------------------------------------- */

void lockdep_spin_check_context(const struct spinlock *l, bool irqs_on, vaddr_t place)
{
	if (panic_active())
		return;
	if (unlikely(!l->name || l->rank < LOCK_RANK_SPIN_FIRST))
		report_bug("spinlock %p at %pS was never initialised, or has the rank of a sleeping lock",
			   (const void *)l, (void *)place);
	else if (unlikely(l->rank >= LOCK_RANK_IRQ_FIRST && irqs_on))
		report_bug("spinlock \"%s\" taken with interrupts on at %pS", l->name, (void *)place);
	else if (unlikely(l->rank < LOCK_RANK_IRQ_FIRST && in_irq()))
		report_bug("spinlock \"%s\" taken in an interrupt at %pS, which may have interrupted its holder", l->name,
			   (void *)place);
}

void lockdep_spin_check(const struct spinlock *l, bool nested, bool irqs_on, vaddr_t place)
{
	if (panic_active())
		return;
	lockdep_spin_check_context(l, irqs_on, place);
	if (unlikely(l->rank < LOCK_RANK_IRQ_FIRST && !irqs_on && !in_irq() && hal_cpu_online_count() > 1))
		report_bug("spinlock \"%s\" taken with interrupts off at %pS: its holder may wait for this CPU", l->name,
			   (void *)place);
	check_order(this_cpu_ptr(&lock_cpu_stack), l, l->name, l->rank, nested, place);
}

void lockdep_spin_push(struct spinlock *l, vaddr_t place, u64 wait)
{
	if (panic_active())
		return;
	stack_push(this_cpu_ptr(&lock_cpu_stack), l, l->name, l->rank, &l->class, place);
	if (READ_ONCE(lock_stat_on))
		lock_stat_taken(l->class, wait, place);
}

void lockdep_spin_pop(const struct spinlock *l)
{
	if (!panic_active())
		(void)stack_pop(this_cpu_ptr(&lock_cpu_stack), l, l->name);
}

/* ---- sleeping locks ---------------------------------------------------------------------------- */

static struct lock_held_stack *thread_stack(void)
{
	return lock_dep_thread_hook && !panic_active() ? lock_dep_thread_hook() : NULL;
}

/* Counting happens on the CPU where it happens: interrupts off keeps the thread there. */
static void thread_push(struct lock_held_stack *s, struct lock_class_ref *c, vaddr_t place)
{
	irqflags_t f = hal_irq_save();

	stack_push(s, c, c->name, c->rank, &c->class, place);
	if (READ_ONCE(lock_stat_on))
		lock_stat_taken(c->class, 0, place);
	hal_irq_restore(f);
}

static void sleeping_acquire(struct lock_class_ref *c, bool nested, vaddr_t place)
{
	struct lock_held_stack *s = thread_stack();
	const struct lock_held_stack *cpu;

	if (!s)
		return;
	preempt_disable();
	cpu = this_cpu_ptr(&lock_cpu_stack);
	if (unlikely(cpu->depth))
		report_bug("sleeping lock \"%s\" at %pS under spinlock \"%s\" held since %pS", c->name, (void *)place,
			   cpu->held[cpu->depth - 1].name, (void *)cpu->held[cpu->depth - 1].place);
	preempt_enable_no_resched();
	check_order(s, c, c->name, c->rank, nested, place);
	thread_push(s, c, place);
}

void lock_dep_acquire(struct lock_class_ref *c, vaddr_t place)
{
	sleeping_acquire(c, false, place);
}

void lock_dep_acquire_nested(struct lock_class_ref *c, vaddr_t place)
{
	sleeping_acquire(c, true, place);
}

void lock_dep_acquire_try(struct lock_class_ref *c, vaddr_t place)
{
	struct lock_held_stack *s = thread_stack();

	if (!s)
		return;
	if (unlikely(in_irq()))
		report_bug("sleeping lock \"%s\" taken in an interrupt at %pS", c->name, (void *)place);
	thread_push(s, c, place);
}

void lock_dep_waited(struct lock_class_ref *c, u64 cycles)
{
	struct lock_held_stack *s = thread_stack();
	struct lock_held *h = s ? stack_find(s, c) : NULL;
	irqflags_t f;

	if (!h || !READ_ONCE(lock_stat_on))
		return;
	f = hal_irq_save();
	h->since = hal_cycles();
	lock_stat_waited(h->class, cycles, h->place);
	hal_irq_restore(f);
}

void lock_dep_release(struct lock_class_ref *c)
{
	struct lock_held_stack *s = thread_stack();
	irqflags_t f;

	if (!s)
		return;
	f = hal_irq_save();
	(void)stack_pop(s, c, c->name);
	hal_irq_restore(f);
}

bool lock_dep_held(const struct lock_class_ref *c)
{
	struct lock_held_stack *s = thread_stack();

	return !s || stack_find(s, c);
}

/* ---- places where nothing, or not everything, may be held ---------------------------------------- */

/* In order, what the CPU and then the thread holds, if it satisfies `wrong`. Preemption off. */
static const struct lock_held *held_where(bool (*wrong)(const struct lock_held *h, const void *arg), const void *arg)
{
	const struct lock_held_stack *stacks[2] = { this_cpu_ptr(&lock_cpu_stack), thread_stack() };

	for (u32 i = 0; i < 2; i++)
		for (u32 n = stacks[i] ? stacks[i]->depth : 0; n > 0; n--)
			if (wrong(&stacks[i]->held[n - 1], arg))
				return &stacks[i]->held[n - 1];
	return NULL;
}

static bool any_lock(const struct lock_held *h, const void *arg)
{
	(void)h, (void)arg;
	return true;
}

void lock_dep_assert_none(const char *where)
{
	const struct lock_held *h;

	if (panic_active())
		return;
	preempt_disable();
	h = held_where(any_lock, NULL);
	if (unlikely(h))
		report_bug("lock \"%s\", taken at %pS, is still held at %s", h->name, (void *)h->place, where);
	preempt_enable_no_resched();
}

struct freed_range {
	const u8 *p;
	size_t n;
};

static bool lies_in(const struct lock_held *h, const void *arg)
{
	const struct freed_range *r = arg;

	return (u64)((const u8 *)h->lock - r->p) < r->n;
}

void lock_dep_assert_freed(const void *p, size_t n)
{
	const struct freed_range r = { p, n };
	irqflags_t f;
	const struct lock_held *h;

	if (panic_active())
		return;
	f = hal_irq_save();
	h = held_where(lies_in, &r);
	hal_irq_restore(f);
	if (unlikely(h))
		report_bug("memory at %p is freed with lock \"%s\" in it, held since %pS", p, h->name, (void *)h->place);
}

static bool fault_takes_outer(const struct lock_held *h, const void *arg)
{
	(void)arg;
	return h->rank >= LOCK_RANK_SPACE;
}

void lock_dep_assert_may_fault(const char *file, int line)
{
	const struct lock_held *h;

	if (panic_active())
		return;
	preempt_disable();
	h = held_where(fault_takes_outer, NULL);
	if (unlikely(h))
		report_bug("user memory is touched at %s:%d under lock \"%s\", held since %pS: a fault would take the "
			   "address space's lock", file, line, h->name, (void *)h->place);
	preempt_enable_no_resched();
}

void lock_dep_irq_enter(void)
{
	struct irq_frames *f = this_cpu_ptr(&lock_irq_frames);
	u32 depth = f->depth++;

	if (unlikely(depth >= IRQ_NESTING_MAX))
		panic("interrupts nest %u deep", depth + 1);
	f->at[depth].locks = this_cpu_ptr(&lock_cpu_stack)->depth;
	f->at[depth].preempt = hal_preempt_count();
}

void lock_dep_irq_exit(void)
{
	struct irq_frames *f = this_cpu_ptr(&lock_irq_frames);
	const struct lock_held_stack *s = this_cpu_ptr(&lock_cpu_stack);
	u32 depth = --f->depth;

	if (panic_active())
		return;
	if (unlikely(s->depth > f->at[depth].locks))
		report_bug("an interrupt ends with spinlock \"%s\" held, taken at %pS", s->held[s->depth - 1].name,
			   (void *)s->held[s->depth - 1].place);
	if (unlikely(hal_preempt_count() != f->at[depth].preempt))
		report_bug("an interrupt ends with preempt count %x, and began with %x", hal_preempt_count(),
			   f->at[depth].preempt);
}

/* ---- reports ----------------------------------------------------------------------------------- */

const struct lock_held_stack *lock_dep_cpu_stack(u32 cpu)
{
	return cpu < hal_cpu_count() && percpu_ready(cpu) ? per_cpu_ptr(&lock_cpu_stack, cpu) : NULL;
}

size_t lock_dep_describe(const struct lock_held_stack *s, u32 i, char *buf, size_t n)
{
	struct lock_held h;

	if (i >= MIN(READ_ONCE(s->depth), (u32)LOCK_HELD_MAX))
		return 0;
	h = s->held[i];
	return (size_t)scnprintf(buf, n, "\"%s\" (rank %u) taken at %pS", h.name ? h.name : "?", h.rank, (void *)h.place);
}

void lock_dep_innermost(char *buf, size_t n)
{
	const struct lock_held_stack *s = this_cpu_ptr(&lock_cpu_stack);

	if (!s->depth || !lock_dep_describe(s, s->depth - 1, buf, n))
		scnprintf(buf, n, "no spinlock");
}

static void report_stack(const struct lock_held_stack *s, const char *kind, void (*emit)(const char *, size_t))
{
	static char line[200], text[160];

	for (u32 i = 0; lock_dep_describe(s, i, text, sizeof(text)); i++)
		emit(line, (size_t)scnprintf(line, sizeof(line), "  %s %s\n", kind, text));
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
