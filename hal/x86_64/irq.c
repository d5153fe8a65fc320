/* SPDX-License-Identifier: MIT */
/*
 * From a vector to a handler. Device lines get vectors 48 to 239 in the order of request, out of one table for
 * all CPUs, because every CPU has the same IDT, and are delivered to the boot CPU. A slot names its line, counts its
 * interrupts and heads a list of handlers.
 *
 * Locks. irq_lock, a plain spinning word taken with interrupts off, serialises request and free. Dispatch
 * takes no lock: it counts itself into slot->running, then reads the list; free unlinks first and then
 * waits until nobody who could have seen the handler is running. Lists are published with release stores.
 *
 *	[I] set once, [a] atomic, [i] irq_lock, [p] written under irq_lock, read without
 */
#include <hal/irq.h>
#include <lib/errno.h>
#include "x86.h"

struct irq_action {
	struct irq_action *next;	/* [p] */
	hal_irq_handler_t handler;	/* [I] */
	void *arg;			/* [I] */
	const char *name;		/* [I] */
};

struct irq_slot {
	struct irq_action *actions;	/* [p] */
	u64 count;			/* [a] */
	u32 running;			/* [a] */
	u32 irq;			/* [i] */
	bool used;			/* [i] a line has this vector for ever */
	bool shared;			/* [i] */
};

#define SLOTS (X86_VEC_DEVICE_LAST - X86_VEC_DEVICE_FIRST + 1)
static struct irq_slot slots[SLOTS];
static u32 irq_lock;
static u64 unexpected_count;

static irqflags_t lock(void)
{
	irqflags_t f = hal_irq_save();

	while (xchg(&irq_lock, 1u))
		hal_cpu_relax();
	return f;
}

static void unlock(irqflags_t f)
{
	smp_store_release(&irq_lock, 0u);
	hal_irq_restore(f);
}

/* 8259 ports; the initialisation words move their vectors away from the exceptions (8259A data sheet). */
void x86_pic_disable(void)
{
	static const u8 init[][2] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 },
		{ 0x21, X86_VEC_PIC }, { 0xa1, X86_VEC_PIC + 8 },
		{ 0x21, 0x04 }, { 0xa1, 0x02 },
		{ 0x21, 0x01 }, { 0xa1, 0x01 },
		{ 0x21, 0xff }, { 0xa1, 0xff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(init); i++) {
		x86_outb(init[i][0], init[i][1]);
		(void)x86_inb(0x61);	/* a bus cycle of delay for old chips */
	}
}

/* irq_lock. The line's slot, or a free one, or NULL. */
static struct irq_slot *slot_for(u32 irq)
{
	for (u32 i = 0; i < SLOTS; i++)
		if (slots[i].used && slots[i].irq == irq)
			return &slots[i];
	for (u32 i = 0; i < SLOTS; i++)
		if (!slots[i].used)
			return &slots[i];
	return NULL;
}

static int attach(u32 irq, struct irq_action *a, u32 flags)
{
	struct irq_slot *s = slot_for(irq);
	u32 vector;
	int err;

	if (!s)
		return -ENOSPC;
	if (s->actions) {
		if (!s->shared || !(flags & HAL_IRQ_SHARED))
			return -EBUSY;
		a->next = s->actions;
		smp_store_release(&s->actions, a);
		return 0;
	}
	vector = X86_VEC_DEVICE_FIRST + (u32)(s - slots);
	err = x86_ioapic_route(irq, vector, x86_cpu0.pc.apic_id, flags);
	if (err)
		return err;
	s->irq = irq;
	s->used = true;
	s->shared = (flags & HAL_IRQ_SHARED) != 0;
	smp_store_release(&s->actions, a);
	x86_ioapic_set_masked(irq, false);
	return 0;
}

bool x86_irq_line_used(u32 irq)
{
	irqflags_t f = lock();
	bool used = false;

	for (u32 i = 0; i < SLOTS; i++)
		used |= slots[i].used && slots[i].irq == irq && slots[i].actions;
	unlock(f);
	return used;
}

int hal_irq_request(u32 irq, hal_irq_handler_t handler, void *arg, u32 flags, const char *name)
{
	struct irq_action *a = upcall_alloc(sizeof(*a));
	irqflags_t f;
	int err;

	if (!a)
		return -ENOMEM;
	*a = (struct irq_action){ NULL, handler, arg, name };
	f = lock();
	err = attach(irq, a, flags);
	unlock(f);
	if (err)
		upcall_free(a);
	return err;
}

/* irq_lock. Unlinks the handler with that argument; the slot it came from in *where. */
static struct irq_action *detach(u32 irq, void *arg, struct irq_slot **where)
{
	for (u32 i = 0; i < SLOTS; i++) {
		struct irq_action **link = &slots[i].actions, *a;

		if (!slots[i].used || slots[i].irq != irq)
			continue;
		for (; (a = *link); link = &a->next) {
			if (a->arg != arg)
				continue;
			smp_store_release(link, a->next);
			if (!slots[i].actions)
				x86_ioapic_set_masked(irq, true);
			*where = &slots[i];
			return a;
		}
	}
	return NULL;
}

void hal_irq_free(u32 irq, void *arg)
{
	struct irq_slot *s = NULL;
	irqflags_t f = lock();
	struct irq_action *a = detach(irq, arg, &s);

	unlock(f);
	if (!a)
		return;
	smp_mb();
	while (smp_load_acquire(&s->running))
		hal_cpu_relax();
	upcall_free(a);
}

void hal_irq_mask(u32 irq)
{
	x86_ioapic_set_masked(irq, true);
}

void hal_irq_unmask(u32 irq)
{
	x86_ioapic_set_masked(irq, false);
}

bool hal_irq_stat(u32 i, struct hal_irq_stat *out)
{
	irqflags_t f = lock();
	bool found = false;

	for (u32 n = 0; n < SLOTS && !found; n++) {
		if (!slots[n].used || !slots[n].actions || i-- != 0)
			continue;
		*out = (struct hal_irq_stat){ slots[n].irq, slots[n].count, slots[n].actions->name };
		found = true;
	}
	unlock(f);
	return found;
}

static void device_interrupt(u32 vector)
{
	struct irq_slot *s = &slots[vector - X86_VEC_DEVICE_FIRST];

	__atomic_fetch_add(&s->running, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&s->count, 1, __ATOMIC_RELAXED);
	for (struct irq_action *a = smp_load_acquire(&s->actions); a; a = smp_load_acquire(&a->next))
		a->handler(a->arg, s->irq);
	__atomic_fetch_sub(&s->running, 1, __ATOMIC_RELEASE);
}

/*
 * Called by x86_trap(), interrupts off. The acknowledgement comes before upcall_irq_exit(), which may
 * switch to another thread; a spurious interrupt is not acknowledged (SDM vol. 3A 11.9).
 */
void x86_irq_dispatch(struct hal_regs *regs, u32 vector)
{
	struct hal_percpu *pc = hal_percpu();

	if (unlikely(vector == X86_VEC_SPURIOUS)) {
		pc->spurious_count++;
		return;
	}
	if (unlikely(vector < X86_VEC_DEVICE_FIRST)) {
		pc->spurious_count++;	/* of a masked 8259: its in-service bit is not set */
		return;
	}
	upcall_irq_enter(regs, vector);
	if (likely(vector == X86_VEC_TIMER)) {
		pc->timer_count++;
		x86_apic_eoi();
		upcall_timer();
	} else if (vector <= X86_VEC_DEVICE_LAST) {
		device_interrupt(vector);
		x86_apic_eoi();
	} else if (vector == X86_VEC_KICK) {
		x86_apic_eoi();
		hal_preempt_set_need_resched();
		hal_work_set((struct hal_thread *)hal_current(), HAL_WORK_RESCHED);
	} else {
		if (vector == X86_VEC_ERROR)
			pc->apic_error_count++;
		else
			unexpected_count++;
		x86_apic_eoi();
	}
	upcall_irq_exit(regs);
}
