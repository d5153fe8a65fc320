/*
 * Timers: a heap per CPU over the HAL's one-shot timer.
 *
 * The hardware is programmed for the earliest deadline when that becomes earlier, and after each expiry;
 * cancelling programs nothing (a shot that finds nothing due costs less than reprogramming at each
 * cancelled time-out). A function runs without the base's lock, so it may arm and cancel timers; `running`
 * tells timer_cancel_sync() on another CPU to wait for it. Whoever arms a timer takes it to his own CPU, but not while its
 * function runs elsewhere: there is one base to look for it, and it never runs on two CPUs at once.
 *
 * The heap is ordered by the latest time at which a timer may fire, and an interrupt fires what may fire already: so
 * sleeps with slack share interrupts. One that may fire but stands behind one that may not waits for its latest time.
 */
#include "internal.h"

#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>

struct timer_base {
	struct spinlock lock; /* rank LOCK_RANK_TIMER, irqs off */
	struct heap heap; /* [lock] */
	u64 programmed_ns; /* [lock] what the hardware waits for; ~0: nothing */
	struct timer *running; /* [lock] whose function runs now */
	bool lock_is_up; /* [I] once the CPU has been online */
};

static DEFINE_PER_CPU(struct timer_base, timer_bases);

bool (*tick_cpu_timer_hook)(struct thread *running);

void timer_init_cpu(u32 cpu)
{
	struct timer_base *base = per_cpu_ptr(&timer_bases, cpu);

	spin_init(&base->lock, "timer", LOCK_RANK_TIMER);
	heap_init(&base->heap);
	base->programmed_ns = ~0ull;
	base->lock_is_up = true;
}

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
	t->cpu = hal_cpu_id();
	t->armed = 0;
}

static struct timer_base *timer_lock(const struct timer *t, irqflags_t *flags)
{
	for (;;) {
		u32 cpu = READ_ONCE(t->cpu);
		struct timer_base *base = per_cpu_ptr(&timer_bases, cpu);

		*flags = spin_lock_irqsave(&base->lock);
		if (likely(cpu == READ_ONCE(t->cpu)))
			return base;
		spin_unlock_irqrestore(&base->lock, *flags);
	}
}

static void base_program(struct timer_base *base)
{
	struct heap_node *first = heap_peek(&base->heap);

	if (first && first->key < base->programmed_ns) {
		base->programmed_ns = first->key;
		hal_timer_arm(first->key);
	}
}

static bool base_take_out(struct timer_base *base, struct timer *t)
{
	if (!t->armed)
		return false;
	heap_remove(&base->heap, &t->node);
	t->armed = 0;
	return true;
}

void timer_arm_slack(struct timer *t, u64 deadline_ns, u64 slack_ns)
{
	irqflags_t flags;
	struct timer_base *base = timer_lock(t, &flags), *here = this_cpu_ptr(&timer_bases);

	base_take_out(base, t);
	if (base != here && base->running != t) { /* off every heap and ours alone: nobody else may arm it at the same time */
		WRITE_ONCE(t->cpu, hal_cpu_id());
		spin_unlock(&base->lock);
		spin_lock(&here->lock);
		base = here;
	}
	t->deadline_ns = deadline_ns;
	t->node.key = deadline_ns + slack_ns < deadline_ns ? deadline_ns : deadline_ns + slack_ns;
	t->armed = 1;
	heap_add(&base->heap, &t->node);
	if (base == here) /* else that CPU programs its hardware when the function has ended */
		base_program(base);
	spin_unlock_irqrestore(&base->lock, flags);
}

bool timer_cancel(struct timer *t)
{
	irqflags_t flags;
	struct timer_base *base;
	bool was_armed;

	base = timer_lock(t, &flags);
	was_armed = base_take_out(base, t);
	spin_unlock_irqrestore(&base->lock, flags);
	return was_armed;
}

bool timer_cancel_sync(struct timer *t)
{
	bool was_armed = false; /* in any round: the function may have armed it again */

	for (;;) {
		irqflags_t flags;
		struct timer_base *base = timer_lock(t, &flags);
		bool runs = base->running == t;

		was_armed |= base_take_out(base, t);
		spin_unlock_irqrestore(&base->lock, flags);
		if (!runs || base == this_cpu_ptr(&timer_bases))
			return was_armed;
		hal_cpu_relax();
	}
}

static struct timer *base_first(struct timer_base *base)
{
	struct heap_node *first = heap_peek(&base->heap);

	return first ? heap_entry(first, struct timer, node) : NULL;
}

#if HALCYON_DEBUG
struct timer *timer_first_here(void)
{
	struct timer_base *base = this_cpu_ptr(&timer_bases);
	irqflags_t flags = spin_lock_irqsave(&base->lock);
	struct timer *first = base_first(base);

	spin_unlock_irqrestore(&base->lock, flags);
	return first;
}
#endif

void upcall_timer(void)
{
	struct timer_base *base = this_cpu_ptr(&timer_bases);
	struct timer *t;

	spin_lock(&base->lock);
	base->programmed_ns = ~0ull; /* the shot is spent */
	while ((t = base_first(base)) && t->deadline_ns <= hal_clock_ns()) {
		base_take_out(base, t);
		base->running = t;
		spin_unlock(&base->lock);
		t->fn(t); /* may free t */
		spin_lock(&base->lock);
		base->running = NULL;
	}
	base_program(base);
	spin_unlock(&base->lock);
}

/* ---- a CPU goes -------------------------------------------------------------------------------- */

/*
 * The CPU has gone: what it would have fired is ours. Both bases are locked, so that nobody cancels a timer while it is in
 * neither heap.
 */
static void timers_dead(u32 cpu)
{
	irqflags_t flags = hal_irq_save();
	u32 here = hal_cpu_id();
	struct timer_base *from = per_cpu_ptr(&timer_bases, cpu), *to = this_cpu_ptr(&timer_bases);
	struct timer *t;

	if (!from->lock_is_up) { /* it has never run */
		hal_irq_restore(flags);
		return;
	}
	spin_lock(cpu < here ? &from->lock : &to->lock);
	spin_lock_nested(cpu < here ? &to->lock : &from->lock);
	ASSERT(!from->running);
	while ((t = base_first(from))) {
		heap_remove(&from->heap, &t->node);
		WRITE_ONCE(t->cpu, here);
		heap_add(&to->heap, &t->node);
	}
	from->programmed_ns = ~0ull;
	base_program(to);
	spin_unlock(&from->lock);
	spin_unlock(&to->lock);
	hal_irq_restore(flags);
}

const struct cpuhp_step timer_cpuhp = { .name = "timers", .dead = timers_dead };
