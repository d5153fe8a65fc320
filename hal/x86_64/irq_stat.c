/* SPDX-License-Identifier: MIT */
/*
 * What /proc shows of interrupts: devices' by descriptor, the machine's own by Linux's rows (proc(5), and Linux's
 * Debian cloud kernel for which there are, their order and words). A row of something that this kernel never uses says 0,
 * which is true.
 */
#include <lib/atomic.h>
#include <lib/string.h>
#include "irq.h"

/* irq_lock */
static void describe(const struct irq_desc *d, struct hal_irq_info *out)
{
	*out = (struct hal_irq_info){
		.irq = d->irq, .hwirq = d->hwirq, .chip = d->chip, .flow = d->level ? "fasteoi" : "edge",
		.spurious_count = READ_ONCE(d->spurious_count), .unhandled = READ_ONCE(d->unhandled),
		.last_unhandled_ns = READ_ONCE(d->last_unhandled_ns), .has_vector = d->cpu != IRQ_NO_CPU,
		.storm = READ_ONCE(d->storm),
	};
	for (u32 cpu = 0; cpu < d->nr_counts; cpu++)
		out->count += READ_ONCE(d->counts[cpu]);
}

bool hal_irq_next(u32 *irq, struct hal_irq_info *out)
{
	for (; *irq < IRQ_MAX; (*irq)++) {
		struct irq_desc *d = x86_irq_desc(*irq);
		irqflags_t f;

		if (!d)
			continue;
		f = x86_irq_lock();
		describe(d, out);
		x86_irq_unlock(f);
		return true;
	}
	return false;
}

bool hal_irq_name(u32 irq, u32 i, char *buf, size_t size)
{
	struct irq_desc *d = x86_irq_desc(irq);
	struct irq_action *a;
	irqflags_t f;

	if (!d)
		return false;
	f = x86_irq_lock();
	for (a = d->actions; a && i; i--)
		a = a->next;
	if (a)
		strlcpy(buf, a->name, size);
	x86_irq_unlock(f);
	return a != NULL;
}

u64 hal_irq_count(u32 irq, u32 cpu)
{
	struct irq_desc *d = x86_irq_desc(irq);

	return d && cpu < d->nr_counts ? READ_ONCE(d->counts[cpu]) : 0;
}

#define NONE		0xffffu
#define PC(member)	((u16)offsetof(struct hal_percpu, member))

static const struct {
	struct hal_irq_row row;
	u16 offset;	/* of the counter in struct hal_percpu; NONE */
} rows[] = {
	{ { "NMI", "Non-maskable interrupts", true }, PC(nmi_count) },
	{ { "LOC", "Local timer interrupts", true }, PC(timer_count) },
	{ { "SPU", "Spurious interrupts", true }, PC(spurious_count) },
	{ { "PMI", "Performance monitoring interrupts", true }, NONE },
	{ { "IWI", "IRQ work interrupts", true }, NONE },
	{ { "RTR", "APIC ICR read retries", true }, NONE },
	{ { "RES", "Rescheduling interrupts", true }, PC(resched_count) },
	{ { "CAL", "Function call interrupts", true }, PC(call_count) },
	{ { "TLB", "TLB shootdowns", true }, PC(tlb_count) },
	{ { "TRM", "Thermal event interrupts", true }, NONE },
	{ { "ERR", NULL, false }, PC(apic_error_count) },
	{ { "MIS", NULL, false }, NONE },
	{ { "PIN", "Posted-interrupt notification event", true }, NONE },
	{ { "NPI", "Nested posted-interrupt event", true }, NONE },
	{ { "PIW", "Posted-interrupt wakeup event", true }, NONE },
};

bool hal_irq_row(u32 i, struct hal_irq_row *out)
{
	if (i >= ARRAY_SIZE(rows))
		return false;
	*out = rows[i].row;
	return true;
}

static u64 on_cpu(u32 i, u32 cpu)
{
	const struct hal_percpu *pc = hal_percpu_of(cpu);

	return pc && rows[i].offset != NONE ? READ_ONCE(*(const u64 *)((const u8 *)pc + rows[i].offset)) : 0;
}

/* ERR also has, as on Linux, what the 8259s sent although masked. Vectors that nobody has are spurious, too. */
u64 hal_irq_row_count(u32 i, u32 cpu)
{
	u64 sum = 0;

	if (i >= ARRAY_SIZE(rows))
		return 0;
	if (rows[i].row.per_cpu)
		return on_cpu(i, cpu) + (rows[i].offset == PC(spurious_count) && cpu < HAL_MAX_CPUS ?
					 READ_ONCE(x86_irq_unexpected[cpu]) : 0);
	for (u32 c = 0; c < hal_cpu_count(); c++)
		sum += on_cpu(i, c);
	return sum + (rows[i].offset == PC(apic_error_count) ? READ_ONCE(x86_pic_count) : 0);
}
