/* SPDX-License-Identifier: MIT */
/*
 * Interrupts that are messages: a device writes a word to an address that local APICs listen to (SDM vol. 3A 11.11). The
 * address names the CPU, the word the vector; edge, fixed delivery, physical destination.
 *
 * Numbers begin above the lines and are given out in rows, because MSI-X tables are tables. A number that is given back is
 * free again once nothing more can come on its vector (irq_move.c). Descriptors stay.
 *
 * Not here: several messages of one MSI capability. They would have to share a CPU and be neighbours for ever, as the device
 * puts the low bits in itself; Linux gives one, too, where interrupts are not remapped.
 */
#include <lib/atomic.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "irq.h"

#define MSI_ADDRESS	0xfee00000u
#define MSI_TARGET(id)	((id) << 12)

static DECLARE_BITMAP(numbers, IRQ_MAX);	/* [i] taken */

struct hal_msi_msg x86_msi_message(u32 cpu, u32 vector)
{
	return (struct hal_msi_msg){ MSI_ADDRESS | MSI_TARGET(x86_cpus[cpu]->pc.apic_id), vector };
}

void x86_msi_number_free(u32 irq)
{
	bitmap_clear_bit(numbers, irq);
}

static int reserve_numbers(u32 n, u32 *first)
{
	irqflags_t f = x86_irq_lock();
	size_t at = bitmap_find_zero_run(numbers, IRQ_MAX, x86_ioapic_end(), n, 1);

	if (at < IRQ_MAX)
		bitmap_set(numbers, at, n);
	x86_irq_unlock(f);
	*first = (u32)at;
	return at < IRQ_MAX ? 0 : -ENOSPC;
}

/* irq_lock */
static int setup(struct irq_desc *d, const struct hal_msi_request *r, u32 index)
{
	int err;

	d->kind = IRQ_MESSAGE;
	d->level = false;
	d->hwirq = r->hwirq + index;
	d->chip = r->chip;
	d->ops = r->ops;
	d->ctx = r->ctx;
	d->index = index;
	memcpy(d->affinity, x86_irq_default, sizeof(d->affinity));
	memset(d->counts, 0, d->nr_counts * sizeof(d->counts[0]));
	WRITE_ONCE(d->last_unhandled_ns, 0);
	err = x86_irq_assign(d);
	if (!err)
		WRITE_ONCE(d->used, true);
	return err;
}

static int setup_one(const struct hal_msi_request *r, u32 irq, u32 index)
{
	struct irq_desc *d = x86_irq_desc_make(irq);
	irqflags_t f;
	int err;

	if (!d)
		return -ENOMEM;
	f = x86_irq_lock();
	err = setup(d, r, index);
	x86_irq_unlock(f);
	return err;
}

int hal_msi_alloc(const struct hal_msi_request *r, u32 *first)
{
	u32 done;
	int err;

	if (!r->n || r->n > IRQ_MAX || !r->ops || !r->ops->write)
		return -EINVAL;
	if (x86_acpi.no_msi)
		return -ENODEV;
	err = reserve_numbers(r->n, first);
	if (err)
		return err;
	for (done = 0; done < r->n; done++) {
		err = setup_one(r, *first + done, done);
		if (err)
			break;
		upcall_irq_added(*first + done);
	}
	if (!err)
		return 0;
	/* The one that failed has nothing but its number, like those behind it. */
	for (u32 i = done; i < r->n; i++) {
		irqflags_t f = x86_irq_lock();

		x86_msi_number_free(*first + i);
		x86_irq_unlock(f);
	}
	hal_msi_free(*first, done);
	return err;
}

/* False: its last move is not over. */
static bool give_back(struct irq_desc *d)
{
	irqflags_t f = x86_irq_lock();
	bool now = d->old_cpu == IRQ_NO_CPU;

	if (now) {
		d->old_cpu = d->cpu;
		d->old_vector = d->vector;
		d->old_extra = 0;
		d->cpu = IRQ_NO_CPU;
		d->ops = NULL;
		WRITE_ONCE(d->used, false);
		x86_irq_retire_later(d);
	}
	x86_irq_unlock(f);
	return now;
}

void hal_msi_free(u32 first, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct irq_desc *d = x86_irq_desc(first + i);

		if (!d)
			continue;
		upcall_irq_removed(first + i);
		while (!give_back(d))
			hal_cpu_relax();
	}
}

void hal_msi_message(u32 irq, struct hal_msi_msg *out)
{
	struct irq_desc *d = x86_irq_desc(irq);
	irqflags_t f = x86_irq_lock();

	*out = d && d->kind == IRQ_MESSAGE && d->cpu != IRQ_NO_CPU ? x86_msi_message(d->cpu, d->vector)
								   : (struct hal_msi_msg){ 0, 0 };
	x86_irq_unlock(f);
}
