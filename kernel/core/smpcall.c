/* SPDX-License-Identifier: MIT */
/*
 * Calls to other CPUs (the contract: smpcall.h; the mechanism: xcall.h).
 *
 * A slot serves one call of its CPU at a time: fn and arg stay as they are until everybody has answered, so the next call
 * waits for the one before. smp_call_async() goes another way, because it may not wait: the caller's own memory, on a
 * list of the receiver that senders push to and the receiver takes as a whole. The list grows at its head, so it is
 * turned round before it is run.
 *
 * Both ways share the interrupt, and the word that says that it is under way: a receiver serves the box and the list.
 *
 * The list of a CPU that is offline is emptied by whoever finds that its push came too late, or by the CPU's next start: a call
 * that is thrown away is free again, and its function did not run.
 */
#define LOG_TAG "smp"
#include <hal/ipi.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/preempt.h>
#include <kernel/core/smpcall.h>
#include <lib/errno.h>
#include "xcall.h"

/* [own] but for the slot; fn and arg are read by those in slot.waiting. */
struct call_slot {
	struct xcall_slot slot;
	smp_call_fn fn;
	void *arg;
};

static DEFINE_PER_CPU(struct call_slot, call_slots);
static DEFINE_PER_CPU(struct xcall_box, call_boxes);
static DEFINE_PER_CPU(struct smp_async *, call_lists);	/* [a] the last one that was pushed */
static DEFINE_PER_CPU(struct smp_call_stats, call_stats);	/* [own] */

static void call_serve(u32 sender)
{
	const struct call_slot *s = per_cpu_ptr(&call_slots, sender);

	s->fn(s->arg);
}

static const struct xcall_kind call_kind = {
	.what = "call", .interrupt = hal_ipi_call, .slot = &call_slots.slot, .box = &call_boxes, .serve = call_serve,
};

/* ---- the receiver ------------------------------------------------------------------------------ */

static u32 list_run(void)
{
	struct smp_async *c = xchg(this_cpu_ptr(&call_lists), (struct smp_async *)NULL), *first = NULL, *next;
	u32 n = 0;

	for (; c; c = next) {
		next = c->next;
		c->next = first;
		first = c;
	}
	for (c = first; c; c = next, n++) {
		smp_call_fn fn = c->fn;
		void *arg = c->arg;

		next = c->next;
		smp_store_release(&c->busy, 0u);
		fn(arg);
	}
	return n;
}

void upcall_ipi_call(void)
{
	u32 n = xcall_take(&call_kind);

	this_cpu_ptr(&call_stats)->served += n + list_run();
}

/* ---- senders ----------------------------------------------------------------------------------- */

static void call_here(smp_call_fn fn, void *arg)
{
	irqflags_t f = hal_irq_save();

	fn(arg);
	hal_irq_restore(f);
}

/* Preemption off. The targets are in slot.waiting. */
static void call_post(struct call_slot *s, smp_call_fn fn, void *arg)
{
	struct smp_call_stats *stats = this_cpu_ptr(&call_stats);
	u32 cpu;

	s->fn = fn;
	s->arg = arg;
	s->slot.missed = 0;
	cpumask_for_each(cpu, &s->slot.waiting) {
		if (xcall_post(&call_kind, cpu))
			stats->sent++;
		else
			stats->coalesced++;
	}
	smp_mb();	/* the posts, before who is online: xcall.h */
	(void)xcall_reap(&call_kind);
}

/* Preemption off. This CPU's slot, when its last call has been answered. */
static struct call_slot *call_begin(void)
{
	struct call_slot *s = this_cpu_ptr(&call_slots);

	xcall_assert_may_wait();
	this_cpu_ptr(&call_stats)->calls++;
	this_cpu_ptr(&call_stats)->hangs += xcall_wait(&call_kind);
	return s;
}

void smp_call_many(const struct cpumask *mask, smp_call_fn fn, void *arg, bool wait)
{
	struct call_slot *s;
	u32 cpu;

	preempt_disable();
	s = call_begin();
	cpumask_for_each(cpu, mask)
		if (cpu != hal_cpu_id() && hal_cpu_online(cpu))
			cpumask_atomic_set(&s->slot.waiting, cpu);
	call_post(s, fn, arg);
	if (cpumask_test(mask, hal_cpu_id()))
		call_here(fn, arg);
	if (wait)
		this_cpu_ptr(&call_stats)->hangs += xcall_wait(&call_kind);
	preempt_enable();
}

void smp_call_all(smp_call_fn fn, void *arg, bool wait)
{
	struct cpumask all;

	cpumask_fill(&all);
	smp_call_many(&all, fn, arg, wait);
}

int smp_call_one(u32 cpu, smp_call_fn fn, void *arg, bool wait)
{
	struct call_slot *s;
	int err = 0;

	preempt_disable();
	if (cpu == hal_cpu_id()) {
		call_here(fn, arg);
	} else if (cpu >= hal_cpu_count() || !hal_cpu_online(cpu)) {
		err = -ENXIO;
	} else {
		s = call_begin();
		cpumask_atomic_set(&s->slot.waiting, cpu);
		call_post(s, fn, arg);
		if (wait)
			this_cpu_ptr(&call_stats)->hangs += xcall_wait(&call_kind);
		if (s->slot.missed)
			err = -ENXIO;
	}
	preempt_enable();
	return err;
}

/* A CPU that is offline takes no calls: those on its list are free again. True: `mine` was among them. */
static bool list_void(u32 cpu, const struct smp_async *mine)
{
	struct smp_async *c = xchg(per_cpu_ptr(&call_lists, cpu), (struct smp_async *)NULL), *next;
	bool found = false;

	for (; c; c = next) {
		next = c->next;
		found |= c == mine;
		smp_store_release(&c->busy, 0u);
	}
	return found;
}

int smp_call_async(u32 cpu, struct smp_async *call, smp_call_fn fn, void *arg)
{
	struct smp_async **list;
	int err = 0;

	if (cpu >= hal_cpu_count() || !hal_cpu_online(cpu))
		return -ENXIO;
	if (cmpxchg(&call->busy, 0u, 1u))
		return -EBUSY;
	call->fn = fn;
	call->arg = arg;
	preempt_disable();
	list = per_cpu_ptr(&call_lists, cpu);
	call->next = READ_ONCE(*list);
	while (!try_cmpxchg(list, &call->next, call))
		;
	if (cpu == hal_cpu_id()) {
		irqflags_t f = hal_irq_save();

		(void)list_run();
		hal_irq_restore(f);
	} else if (!xchg(&per_cpu_ptr(&call_boxes, cpu)->signalled, 1u)) {
		hal_ipi_call(cpu);
	}
	smp_mb();
	if (unlikely(!hal_cpu_online(cpu)) && list_void(cpu, call))
		err = -ENXIO;
	preempt_enable();
	return err;
}

/* ---- set-up and figures ------------------------------------------------------------------------ */

void smp_call_stats(u32 cpu, struct smp_call_stats *out)
{
	*out = *per_cpu_ptr(&call_stats, cpu);
}

static void call_starting(u32 cpu)
{
	hal_ipi_reset();
	xcall_reset(&call_kind);
	(void)list_void(cpu, NULL);
}

const struct cpuhp_step smpcall_cpuhp = { .name = "smpcall", .starting = call_starting };
