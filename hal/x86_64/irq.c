/* SPDX-License-Identifier: MIT */
/*
 * From a vector to a handler.
 *
 * Vectors 48 to 239 are devices'. Each CPU has a table of its own for them, so the machine has as many times 192 as CPUs;
 * which are taken, hal/common/vectors.c knows. Dispatch takes no lock: it reads this CPU's table, counts, and runs the
 * handlers of the descriptor that it finds.
 *
 * One irq's handlers run on one CPU at a time: who comes while they run (the irq has just moved) leaves a note in
 * desc->state and goes; the first one then runs them again. Free unlinks first and then waits until the handlers do not
 * run or have been started anew since.
 *
 * A masked edge would be lost at the controller, so edges and messages are masked lazily: the flag first, the hardware only
 * when one comes, which is remembered and sent again by unmask. Lines that are levels keep themselves up and are masked at
 * once.
 *
 * Storms are judged as Linux does (note_unhandled), after 100,000 interrupts, but also after a second of at least 10,000: where
 * an interrupt is slow, under an emulator or a hypervisor that is asked for each register, the machine would hang for a
 * quarter of a minute else. Only interrupts that nobody wanted cost anything.
 */
#include <hal/clock.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "apic.h"
#include "irq.h"

_Static_assert(VECTORS_MAX_CPUS == HAL_MAX_CPUS, "hal/common does not see the other");

#define STORM_WINDOW		100000u	/* interrupts, of which ... */
#define STORM_HANDLED_MAX(n)	((n) / 1000)	/* ... at most these were somebody's */
#define STORM_STEP		10000u	/* when to look at the clock */
#define STORM_NS		1000000000ull
#define UNHANDLED_GAP_NS	100000000ull	/* after a longer pause the count starts anew */
#define REPORT_GAP_NS		5000000000ull

struct irq_desc *x86_irq_descs[IRQ_MAX];
struct irq_cpu *x86_irq_cpus[HAL_MAX_CPUS];
struct vectors x86_irq_vectors;
u64 x86_irq_default[HAL_MAX_CPUS / 64];
u64 x86_irq_unexpected[HAL_MAX_CPUS];
static struct irq_cpu boot_cpu_irqs;
static u32 irq_lock;

irqflags_t x86_irq_lock(void)
{
	irqflags_t f = hal_irq_save();

	while (xchg(&irq_lock, 1u))
		hal_cpu_relax();
	return f;
}

void x86_irq_unlock(irqflags_t f)
{
	smp_store_release(&irq_lock, 0u);
	hal_irq_restore(f);
}

bool x86_irq_may_report(void)
{
	static u64 next_ns;
	u64 now = hal_clock_ns(), next = __atomic_load_n(&next_ns, __ATOMIC_RELAXED);

	return now >= next && cmpxchg(&next_ns, next, now + REPORT_GAP_NS) == next;
}

void x86_irq_init(void)
{
	memset(x86_irq_default, 0xff, sizeof(x86_irq_default));
	vectors_init(&x86_irq_vectors, X86_VEC_DEVICE_FIRST, X86_VEC_DEVICE_LAST);
	vectors_add_cpu(&x86_irq_vectors, 0, &boot_cpu_irqs.vectors);
	smp_store_release(&x86_irq_cpus[0], &boot_cpu_irqs);
	hal_irq_cpu_online(0);
}

/* ---- descriptors ------------------------------------------------------------------------------- */

struct irq_desc *x86_irq_desc(u32 irq)
{
	struct irq_desc *d = irq < IRQ_MAX ? smp_load_acquire(&x86_irq_descs[irq]) : NULL;

	return d && READ_ONCE(d->used) ? d : NULL;
}

/* As many counts as there can be CPUs: they may still be unnumbered. */
static struct irq_desc *desc_new(u32 irq)
{
	u32 n = CLAMP(x86_acpi.nr_cpus, 1u, (u32)HAL_MAX_CPUS);
	size_t bytes = sizeof(struct irq_desc) + n * sizeof(u64);
	struct irq_desc *d = upcall_alloc(bytes);

	if (!d)
		return NULL;
	memset(d, 0, bytes);
	d->irq = irq;
	d->nr_counts = n;
	d->cpu = d->old_cpu = IRQ_NO_CPU;
	return d;
}

struct irq_desc *x86_irq_desc_make(u32 irq)
{
	struct irq_desc *d, *spare = NULL;
	irqflags_t f;

	if (irq >= IRQ_MAX)
		return NULL;
	if (!smp_load_acquire(&x86_irq_descs[irq])) {
		spare = desc_new(irq);
		if (!spare)
			return NULL;
	}
	f = x86_irq_lock();
	d = x86_irq_descs[irq];
	if (!d) {
		d = spare;
		spare = NULL;
		memcpy(d->affinity, x86_irq_default, sizeof(d->affinity));
		smp_store_release(&x86_irq_descs[irq], d);
	}
	x86_irq_unlock(f);
	if (spare)
		upcall_free(spare);
	return d;
}

int x86_irq_assign(struct irq_desc *d)
{
	u64 all[HAL_MAX_CPUS / 64];
	u32 cpu = 0, vector = 0;
	int err = vectors_alloc(&x86_irq_vectors, d->affinity, &cpu, &vector);

	if (err) {
		memset(all, 0xff, sizeof(all));
		err = vectors_alloc(&x86_irq_vectors, all, &cpu, &vector);
	}
	if (err)
		return err;
	smp_store_release(&x86_irq_cpus[cpu]->table[vector - X86_VEC_DEVICE_FIRST], d);
	d->cpu = cpu;
	d->vector = vector;
	return 0;
}

void x86_irq_set_masked(struct irq_desc *d, bool masked)
{
	if (d->kind == IRQ_LINE)
		x86_ioapic_set_masked(d->irq, masked);
	else if (d->ops && d->ops->mask)
		d->ops->mask(d->ctx, d->index, masked);
}

/* ---- request and free -------------------------------------------------------------------------- */

/* irq_lock. The first handler: the irq gets a vector and a route. */
static int start(struct irq_desc *d, u32 flags)
{
	int err;

	if (d->kind == IRQ_LINE) {
		if (d->cpu == IRQ_NO_CPU) {
			err = x86_irq_assign(d);
			if (err)
				return err;
		}
		err = x86_ioapic_route(d->irq, d->vector, x86_cpus[d->cpu]->pc.apic_id, flags);
		if (err)
			return err;
		d->level = x86_ioapic_is_level(d->irq);
		d->hwirq = x86_ioapic_pin(d->irq);
		d->chip = "IO-APIC";
	}
	d->shared = (flags & HAL_IRQ_SHARED) != 0;
	WRITE_ONCE(d->masked, 0);
	WRITE_ONCE(d->pending, 0);
	WRITE_ONCE(d->storm, 0);
	WRITE_ONCE(d->unhandled, 0);
	WRITE_ONCE(d->spurious_count, 0);
	return 0;
}

/* Those who share a line must mean the same line. */
static bool agrees(const struct irq_desc *d, u32 flags)
{
	bool level = (flags & HAL_IRQ_LEVEL) != 0, edge = (flags & HAL_IRQ_EDGE) != 0;

	return d->shared && flags & HAL_IRQ_SHARED && (d->kind == IRQ_MESSAGE || ((!level || d->level) && (!edge || !d->level)));
}

/* irq_lock */
static int attach(struct irq_desc *d, struct irq_action *a, u32 flags)
{
	struct irq_action **end = &d->actions;
	bool first = !d->actions;
	int err;

	if (!first && !agrees(d, flags))
		return -EBUSY;
	if (first) {
		err = start(d, flags);
		if (err)
			return err;
	}
	while (*end)
		end = &(*end)->next;
	smp_store_release(end, a);
	if (first)
		x86_irq_set_masked(d, false);
	return 0;
}

int hal_irq_request(u32 irq, hal_irq_handler_t handler, void *arg, u32 flags, const char *name)
{
	struct irq_desc *d = x86_irq_desc(irq);
	struct irq_action *a;
	bool known = d;
	irqflags_t f;
	int err;

	if (!d && !x86_ioapic_has(irq))
		return -EINVAL;
	a = upcall_alloc(sizeof(*a));
	if (!d)
		d = x86_irq_desc_make(irq);
	if (!a || !d) {
		upcall_free(a);
		return -ENOMEM;
	}
	*a = (struct irq_action){ NULL, handler, arg, name };
	f = x86_irq_lock();
	err = d->kind == IRQ_MESSAGE && !d->used ? -EINVAL : attach(d, a, flags);
	if (!err)
		WRITE_ONCE(d->used, true);
	x86_irq_unlock(f);
	if (err) {
		upcall_free(a);
		return err;
	}
	if (!known)
		upcall_irq_added(irq);
	upcall_irq_handler(irq, name, true);
	return 0;
}

/* irq_lock. Unlinks the handler with that argument. */
static struct irq_action *detach(struct irq_desc *d, const void *arg)
{
	struct irq_action *a;

	for (struct irq_action **link = &d->actions; (a = *link); link = &a->next) {
		if (a->arg != arg)
			continue;
		smp_store_release(link, a->next);
		if (!d->actions)
			x86_irq_set_masked(d, true);
		return a;
	}
	return NULL;
}

void hal_irq_free(u32 irq, void *arg)
{
	struct irq_desc *d = x86_irq_desc(irq);
	struct irq_action *a;
	irqflags_t f;
	u32 seen;

	if (!d)
		return;
	f = x86_irq_lock();
	a = detach(d, arg);
	x86_irq_unlock(f);
	if (!a)
		return;
	smp_mb();
	seen = smp_load_acquire(&d->passes);
	while (smp_load_acquire(&d->state) != IRQ_IDLE && smp_load_acquire(&d->passes) == seen)
		hal_cpu_relax();
	upcall_irq_handler(irq, a->name, false);
	upcall_free(a);
}

bool x86_irq_line_used(u32 irq)
{
	struct irq_desc *d = x86_irq_desc(irq);

	return d && smp_load_acquire(&d->actions);
}

/* ---- mask -------------------------------------------------------------------------------------- */

void hal_irq_mask(u32 irq)
{
	struct irq_desc *d = x86_irq_desc(irq);
	irqflags_t f;

	if (!d)
		return;
	f = x86_irq_lock();
	WRITE_ONCE(d->masked, 1);
	if (d->level)
		x86_irq_set_masked(d, true);
	x86_irq_unlock(f);
}

void x86_irq_resend(const struct irq_desc *d)
{
	if (d->cpu != IRQ_NO_CPU)
		x86_apic_send(x86_cpus[d->cpu]->pc.apic_id, d->vector);
}

void hal_irq_unmask(u32 irq)
{
	struct irq_desc *d = x86_irq_desc(irq);
	irqflags_t f;

	if (!d)
		return;
	f = x86_irq_lock();
	WRITE_ONCE(d->masked, 0);
	if (d->actions && !d->storm) {
		x86_irq_set_masked(d, false);
		if (d->pending && !d->level)
			x86_irq_resend(d);
	}
	WRITE_ONCE(d->pending, 0);
	x86_irq_unlock(f);
}

/* It came although masked: now the hardware, and a note for unmask. False: it has just been unmasked. */
static bool hold_back(struct irq_desc *d)
{
	irqflags_t f = x86_irq_lock();
	bool hold = d->masked || d->storm;

	if (hold) {
		WRITE_ONCE(d->pending, 1);
		x86_irq_set_masked(d, true);
	}
	x86_irq_unlock(f);
	return hold;
}

/* ---- dispatch ---------------------------------------------------------------------------------- */

static noinline void storm(struct irq_desc *d, u32 count, u32 unhandled)
{
	irqflags_t f;

	upcall_log(3, "irq %u: nobody cared: of the last %u interrupts %u had no reason that a handler knows", d->irq, count,
		   unhandled);
	for (struct irq_action *a = smp_load_acquire(&d->actions); a; a = smp_load_acquire(&a->next))
		upcall_log(3, "irq %u: handler of %s", d->irq, a->name);
	upcall_log(2, "Disabling IRQ #%u", d->irq);
	f = x86_irq_lock();
	WRITE_ONCE(d->storm, 1);
	x86_irq_set_masked(d, true);
	x86_irq_unlock(f);
}

static noinline void note_unhandled(struct irq_desc *d, enum hal_irq_result result)
{
	u32 unhandled = READ_ONCE(d->unhandled), count = READ_ONCE(d->spurious_count) + 1;

	if (result == HAL_IRQ_NONE) {
		u64 now = hal_clock_ns();

		unhandled = now - READ_ONCE(d->last_unhandled_ns) > UNHANDLED_GAP_NS ? 1 : unhandled + 1;
		WRITE_ONCE(d->unhandled, unhandled);
		WRITE_ONCE(d->last_unhandled_ns, now);
	}
	if (count == 1)
		d->window_ns = hal_clock_ns();
	WRITE_ONCE(d->spurious_count, count);
	if (count % STORM_STEP || (count < STORM_WINDOW && hal_clock_ns() - d->window_ns < STORM_NS))
		return;
	WRITE_ONCE(d->spurious_count, 0);
	if (unhandled >= count - STORM_HANDLED_MAX(count))
		storm(d, count, unhandled);
	WRITE_ONCE(d->unhandled, 0);
}

static void run_handlers(struct irq_desc *d)
{
	enum hal_irq_result result = HAL_IRQ_NONE;

	for (struct irq_action *a = smp_load_acquire(&d->actions); a; a = smp_load_acquire(&a->next))
		result |= a->handler(a->arg, d->irq);
	if (unlikely(result == HAL_IRQ_NONE || READ_ONCE(d->unhandled)))
		note_unhandled(d, result);
}

/* True: the handlers are ours to run. False: they run already, and will once more. */
static bool enter(struct irq_desc *d)
{
	u32 state = IRQ_IDLE;

	for (;;) {
		u32 next = state == IRQ_IDLE ? IRQ_RUNNING : IRQ_AGAIN;

		if (state == IRQ_AGAIN)
			return false;
		if (try_cmpxchg(&d->state, &state, next))
			return next == IRQ_RUNNING;
	}
}

/* False: somebody came meanwhile. */
static bool leave(struct irq_desc *d)
{
	u32 state = IRQ_RUNNING;

	smp_store_release(&d->passes, d->passes + 1);
	if (try_cmpxchg(&d->state, &state, IRQ_IDLE))
		return true;
	WRITE_ONCE(d->state, IRQ_RUNNING);
	return false;
}

static noinline void unexpected(u32 cpu, u32 vector)
{
	__atomic_fetch_add(&x86_irq_unexpected[cpu], 1, __ATOMIC_RELAXED);
	if (x86_irq_may_report())
		upcall_log(4, "CPU%u: no irq has vector %u", cpu, vector);
}

static void device_interrupt(u32 cpu, u32 vector)
{
	struct irq_desc *d = smp_load_acquire(&x86_irq_cpus[cpu]->table[vector - X86_VEC_DEVICE_FIRST]);

	if (unlikely(!d)) {
		unexpected(cpu, vector);
		return;
	}
	if (likely(cpu < d->nr_counts))
		WRITE_ONCE(d->counts[cpu], d->counts[cpu] + 1);
	if (!enter(d))
		return;
	do {
		if (unlikely(READ_ONCE(d->masked) || READ_ONCE(d->storm)) && hold_back(d))
			continue;
		run_handlers(d);
	} while (!leave(d));
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
	if (unlikely(vector < X86_VEC_DEVICE_FIRST && vector != X86_VEC_IRQ_CLEANUP)) {
		x86_pic_spurious(vector);
		return;
	}
	if (unlikely(vector > X86_VEC_KICK) && x86_ipi_bare(vector))
		return;
	upcall_irq_enter(regs, vector);
	if (likely(vector == X86_VEC_TIMER)) {
		pc->timer_count++;
		x86_apic_eoi();
		upcall_timer();
	} else if (vector == X86_VEC_IRQ_CLEANUP) {
		x86_apic_eoi();
		x86_irq_cleanup();
	} else if (vector <= X86_VEC_DEVICE_LAST) {
		device_interrupt(pc->cpu, vector);
		x86_apic_eoi();
	} else if (!x86_ipi_handle(vector)) {
		if (vector == X86_VEC_ERROR)
			x86_apic_error();
		else
			unexpected(pc->cpu, vector);
		x86_apic_eoi();
	}
	upcall_irq_exit(regs);
}
