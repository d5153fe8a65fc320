/* SPDX-License-Identifier: MIT */
/*
 * Which CPU takes an irq, and how it moves to another without a loss.
 *
 * A move is a chain of single changes, each a write of one register, of which every one leaves a pair (CPU, vector) that is
 * entered in the tables as this irq's. First the pair is got: the same vector number on the new CPU where that is free, else
 * a number that is free on both CPUs (vectors_alloc_move()), which is entered on both. Then the number changes, if it must,
 * then the CPU. A device or line that fires between any two of them hits this irq.
 *
 * What was sent before may still wait at the old CPU, which perhaps has its interrupts off. So the old pair stays entered
 * until that CPU has taken an interrupt of a vector below all devices': what was pending of theirs came before (SDM vol. 3A
 * 11.8.3.1). Until then the irq does not move again. The last write is read back before, so that nothing comes later.
 *
 * A level line whose number changes must not have Remote IRR set (ioapic.c): it is masked and waited for, with interrupts
 * on, as perhaps this CPU has to acknowledge it.
 *
 * A CPU that goes is closed first (nothing new comes to it), then everything is moved away by the same way. What is still
 * pending when it has its interrupts off for good is sent again to where the irq is now.
 */
#include <hal/clock.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "irq.h"

#define MOVE_TRIES_NS	1000000000ull	/* for the last move, or a level's handler, to end */

static struct irq_desc **entry_of(u32 cpu, u32 vector)
{
	return &x86_irq_cpus[cpu]->table[vector - X86_VEC_DEVICE_FIRST];
}

static u32 apic_id_of(u32 cpu)
{
	return x86_cpus[cpu]->pc.apic_id;
}

/* ---- the end of a move ------------------------------------------------------------------------- */

static void drop(u32 cpu, u32 vector)
{
	smp_store_release(entry_of(cpu, vector), NULL);
	vectors_free(&x86_irq_vectors, cpu, vector);
}

void x86_irq_retire(struct irq_desc *d)
{
	drop(d->old_cpu, d->old_vector);
	if (d->old_extra)
		drop(d->old_cpu, d->old_extra);
	d->old_extra = 0;
	WRITE_ONCE(d->old_cpu, IRQ_NO_CPU);
	if (d->kind == IRQ_MESSAGE && !d->used)
		x86_msi_number_free(d->irq);
}

void x86_irq_retire_later(struct irq_desc *d)
{
	if (hal_cpu_online(d->old_cpu))
		x86_apic_send(apic_id_of(d->old_cpu), X86_VEC_IRQ_CLEANUP);
	else
		x86_irq_retire(d);
}

static bool old_is_pending(const struct irq_desc *d)
{
	return x86_apic_is_pending(d->old_vector) || (d->old_extra && x86_apic_is_pending(d->old_extra));
}

/* irq_lock. Calls fn for each irq that has left this CPU, once. */
static void for_each_leaver(u32 cpu, void (*fn)(struct irq_desc *d))
{
	struct irq_cpu *ic = x86_irq_cpus[cpu];

	for (u32 i = 0; i < ARRAY_SIZE(ic->table); i++) {
		struct irq_desc *d = ic->table[i];

		if (d && d->old_cpu == cpu && d->old_vector == i + X86_VEC_DEVICE_FIRST)
			fn(d);
	}
}

static void cleanup_one(struct irq_desc *d)
{
	if (old_is_pending(d))
		x86_irq_retire_later(d); /* not before the device's own */
	else
		x86_irq_retire(d);
}

void x86_irq_cleanup(void)
{
	irqflags_t f = x86_irq_lock();

	for_each_leaver(hal_cpu_id(), cleanup_one);
	x86_irq_unlock(f);
}

/* ---- a move ------------------------------------------------------------------------------------ */

/* irq_lock. The chain of changes. `both`: the number changes too. */
static void reroute(struct irq_desc *d, u32 cpu, u32 vector, bool both)
{
	struct hal_msi_msg msg;

	if (d->kind == IRQ_LINE) {
		if (both)
			x86_ioapic_set_vector(d->irq, vector);
		x86_ioapic_set_target(d->irq, apic_id_of(cpu));
		return;
	}
	if (both) {
		msg = x86_msi_message(d->cpu, vector);
		d->ops->write(d->ctx, d->index, &msg);
	}
	msg = x86_msi_message(cpu, vector);
	d->ops->write(d->ctx, d->index, &msg);
}

static bool wants_mask(const struct irq_desc *d)
{
	return !d->actions || d->masked || d->storm;
}

/* irq_lock. -EAGAIN: not now. The line may be left masked then: give_up() or the next try sets that right. */
static int move(struct irq_desc *d, const u64 *mask)
{
	u32 cpu, vector;
	bool both, level = d->kind == IRQ_LINE && d->level;
	int err;

	if (d->old_cpu != IRQ_NO_CPU)
		return -EAGAIN;
	err = vectors_alloc_move(&x86_irq_vectors, mask, d->cpu, d->vector, &cpu, &vector, &both);
	if (err)
		return err;
	if (both && level) {
		x86_irq_set_masked(d, true);
		if (x86_ioapic_in_service(d->irq)) {
			vectors_free(&x86_irq_vectors, cpu, vector);
			vectors_free(&x86_irq_vectors, d->cpu, vector);
			return -EAGAIN;
		}
	}
	smp_store_release(entry_of(cpu, vector), d);
	if (both)
		smp_store_release(entry_of(d->cpu, vector), d);
	reroute(d, cpu, vector, both);
	d->old_cpu = d->cpu;
	d->old_vector = d->vector;
	d->old_extra = both ? vector : 0;
	d->cpu = cpu;
	d->vector = vector;
	if (level)
		x86_irq_set_masked(d, wants_mask(d));
	x86_irq_retire_later(d);
	return 0;
}

/* irq_lock. Where it is may stay right: then nothing moves. */
static int settle(struct irq_desc *d, const u64 *mask)
{
	if (d->cpu == IRQ_NO_CPU || (bitmap_test(mask, d->cpu) && vectors_is_open(&x86_irq_vectors, d->cpu)))
		return 0;
	return move(d, mask);
}

static int settle_in_time(struct irq_desc *d, const u64 *mask)
{
	u64 end = hal_clock_ns() + MOVE_TRIES_NS;
	irqflags_t f;
	int err;

	for (;;) {
		f = x86_irq_lock();
		err = settle(d, mask);
		if (err != -EAGAIN || hal_clock_ns() >= end)
			break;
		x86_irq_unlock(f);
		hal_cpu_relax();
	}
	if (err)
		x86_irq_set_masked(d, wants_mask(d));	/* a try that was given up */
	x86_irq_unlock(f);
	return err == -EAGAIN ? -EBUSY : err;
}

/* ---- affinity ---------------------------------------------------------------------------------- */

int hal_irq_set_affinity(u32 irq, const u64 *cpus)
{
	struct irq_desc *d = x86_irq_desc(irq);
	u64 before[HAL_MAX_CPUS / 64];
	irqflags_t f;
	int err = 0;

	if (!d)
		return -EINVAL;
	f = x86_irq_lock();
	memcpy(before, d->affinity, sizeof(before));
	if (vectors_any_open(&x86_irq_vectors, cpus))
		memcpy(d->affinity, cpus, sizeof(d->affinity));
	else
		err = -EINVAL;
	x86_irq_unlock(f);
	if (err)
		return err;
	err = settle_in_time(d, cpus);
	if (err) {
		f = x86_irq_lock();
		memcpy(d->affinity, before, sizeof(before));
		x86_irq_unlock(f);
	}
	return err;
}

bool hal_irq_affinity(u32 irq, u64 *cpus, u32 *effective)
{
	struct irq_desc *d = x86_irq_desc(irq);
	irqflags_t f;

	if (!d)
		return false;
	f = x86_irq_lock();
	memcpy(cpus, d->affinity, sizeof(d->affinity));
	*effective = d->cpu;
	x86_irq_unlock(f);
	return true;
}

int hal_irq_set_default_affinity(const u64 *cpus)
{
	irqflags_t f = x86_irq_lock();
	bool good = vectors_any_open(&x86_irq_vectors, cpus);

	if (good)
		memcpy(x86_irq_default, cpus, sizeof(x86_irq_default));
	x86_irq_unlock(f);
	return good ? 0 : -EINVAL;
}

void hal_irq_default_affinity(u64 *cpus)
{
	irqflags_t f = x86_irq_lock();

	memcpy(cpus, x86_irq_default, sizeof(x86_irq_default));
	x86_irq_unlock(f);
}

/* ---- CPUs come and go -------------------------------------------------------------------------- */

int hal_irq_cpu_prepare(u32 cpu)
{
	struct irq_cpu *ic;
	irqflags_t f;

	if (cpu >= HAL_MAX_CPUS)
		return -EINVAL;
	if (x86_irq_cpus[cpu])
		return 0;
	ic = upcall_alloc(sizeof(*ic));
	if (!ic)
		return -ENOMEM;
	memset(ic, 0, sizeof(*ic));
	f = x86_irq_lock();
	vectors_add_cpu(&x86_irq_vectors, cpu, &ic->vectors);
	smp_store_release(&x86_irq_cpus[cpu], ic);
	x86_irq_unlock(f);
	return 0;
}

void hal_irq_cpu_online(u32 cpu)
{
	irqflags_t f = x86_irq_lock();

	(void)vectors_open(&x86_irq_vectors, cpu, x86_apic_id_reachable(apic_id_of(cpu)));
	x86_irq_unlock(f);
}

/* irq_lock. No CPU of its mask takes interrupts any more: every one will do. */
static void widen(struct irq_desc *d, u32 cpu, u64 *mask)
{
	memcpy(mask, d->affinity, sizeof(d->affinity));
	if (vectors_any_open(&x86_irq_vectors, mask))
		return;
	for (u32 c = 0; c < HAL_MAX_CPUS; c++)
		if (vectors_is_open(&x86_irq_vectors, c))
			bitmap_set_bit(mask, c);
		else
			bitmap_clear_bit(mask, c);
	memcpy(d->affinity, mask, sizeof(d->affinity));
	upcall_log(5, "IRQ %u: no longer affine to CPU%u", d->irq, cpu);
}

static int evict(struct irq_desc *d, u32 cpu)
{
	u64 mask[HAL_MAX_CPUS / 64];
	irqflags_t f = x86_irq_lock();
	bool here = d->cpu == cpu;

	if (here)
		widen(d, cpu, mask);
	x86_irq_unlock(f);
	return here ? settle_in_time(d, mask) : 0;
}

int hal_irq_cpu_offline(u32 cpu)
{
	irqflags_t f = x86_irq_lock();
	int err = 0;

	(void)vectors_open(&x86_irq_vectors, cpu, false);
	x86_irq_unlock(f);
	for (u32 irq = 0; irq < IRQ_MAX && !err; irq++) {
		struct irq_desc *d = x86_irq_desc(irq);

		if (d)
			err = evict(d, cpu);
	}
	if (err)
		hal_irq_cpu_online(cpu);
	return err;
}

static void forward(struct irq_desc *d)
{
	if (old_is_pending(d)) {
		if (d->kind == IRQ_LINE && d->level)
			x86_ioapic_forget_service(d->irq);
		else
			x86_irq_resend(d);
	}
	x86_irq_retire(d);
}

void hal_irq_cpu_dying(u32 cpu)
{
	irqflags_t f = x86_irq_lock();

	for_each_leaver(cpu, forward);
	x86_irq_unlock(f);
}
