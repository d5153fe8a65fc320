/* SPDX-License-Identifier: MIT */
#ifndef HAL_IRQ_H
#define HAL_IRQ_H

/*
 * Interrupts of devices: lines, messages (MSI, MSI-X), and which CPU takes them.
 *
 * An irq number below the first message's is a global system interrupt (ACPI 6.5 §5.2.13), a line of an I/O APIC; legacy
 * ISA lines go through hal_irq_isa(), which knows firmware's overrides. Numbers of messages are given out by
 * hal_msi_alloc(). Both kinds are requested, masked, counted and steered by the same functions.
 *
 * Handlers run on the CPU that got the interrupt, interrupts off, not preemptible, and must be short: what is not urgent
 * is handed to a thread (docs/hal.md, "Bottom halves"). The HAL acknowledges the controller. One irq's handlers never run
 * on two CPUs at once, also while the irq moves; an edge that comes meanwhile runs them once more. A handler may be
 * called without its device having a reason: it says so with HAL_IRQ_NONE.
 *
 * A storm: when of 100,000 interrupts of an irq 99.9 % found no handler that had a reason, or of at least 10,000 in a second
 * or more, it is masked for good, and the log says so. (The former is Linux's rule.) It works again after the last handler
 * was freed and a new one requested it.
 */
#include <hal/percpu.h>
#include <lib/compiler.h>

enum hal_irq_result {
	HAL_IRQ_NONE,		/* not mine: the device had no reason */
	HAL_IRQ_HANDLED,
};
typedef enum hal_irq_result (*hal_irq_handler_t)(void *arg, u32 irq);

/* flags; by default as firmware says: ISA lines edge and high, others level and low. Messages have none but SHARED. */
#define HAL_IRQ_LEVEL		0x1u
#define HAL_IRQ_EDGE		0x2u
#define HAL_IRQ_ACTIVE_LOW	0x4u
#define HAL_IRQ_ACTIVE_HIGH	0x8u
#define HAL_IRQ_SHARED		0x10u	/* others may share the line; all must say so, and agree on its shape */

/* The irq number of legacy line 0..15. After hal_late_init. Any context. */
u32 hal_irq_isa(u32 line);

/*
 * Calls handler(arg, irq) on each interrupt from now on. name is kept, not copied. After hal_late_init; thread context,
 * may sleep (it enters the irq in /proc/irq).
 * 0; -EINVAL no such irq; -EBUSY taken; -ENOSPC no vector left; -ENOMEM.
 */
int __must_check hal_irq_request(u32 irq, hal_irq_handler_t handler, void *arg, u32 flags,
				 const char *name);

/*
 * Takes it away; when it returns no CPU runs the handler. arg as given to request. With the last handler of a line the
 * line is masked; a message's device must be silent before. Thread context, may sleep.
 */
void hal_irq_free(u32 irq, void *arg);

/*
 * No handler is started between mask and unmask; one that runs may still be running. What came meanwhile, edges and
 * messages too, is delivered, once, after unmask. Not counted: one unmask undoes any number of masks. Any context.
 */
void hal_irq_mask(u32 irq);
void hal_irq_unmask(u32 irq);

/* ---- messages (PCI 3.0 6.8) ---- */

/* What the device writes, and where. The upper half of the address is 0 on a PC. */
struct hal_msi_msg {
	u64 address;
	u32 data;
};

/*
 * How the HAL reaches the device's registers. Both are called with interrupts off under a lock of the HAL, on any CPU; they
 * may take a spinlock that is never held while calling into irq.h, and must not call back.
 *
 * write: index (0 .. n-1 of the allocation) shall send this message from now on. Reads the register back afterwards, so
 *	that what the device sent before has arrived on return. When an irq moves, one call changes only the data and the
 *	next only the address: the device may send at any moment between, and nothing is lost. Not called before the
 *	device's owner enabled anything: the message after hal_msi_alloc() is given by hal_msi_message().
 * mask: sets or clears the mask bit of MSI-X or of MSI with per-vector masking; NULL when the device has none. The first
 *	hal_irq_request() clears it, the last hal_irq_free() sets it; between them hal_irq_mask() and unmask() do.
 */
struct hal_msi_ops {
	void (*write)(void *ctx, u32 index, const struct hal_msi_msg *msg);
	void (*mask)(void *ctx, u32 index, bool masked);
};

struct hal_msi_request {
	const struct hal_msi_ops *ops;
	void *ctx;		/* for ops */
	u32 n;			/* messages wanted, each with a vector of its own */
	u32 hwirq;		/* number shown in /proc/interrupts of index 0, the next have + 1: Linux shows
				 * bus << 19 | devfn << 11 for PCI */
	const char *chip;	/* "PCI-MSI"; kept, not copied */
};

/*
 * n irq numbers in a row, *first being the lowest, with a vector each on a CPU of the default affinity, spread over them.
 * All or nothing. MSI (not X) takes n = 1: several messages of one MSI capability would have to move together, which
 * needs interrupt remapping. May sleep.
 * 0; -EINVAL n is 0; -ENOSPC no numbers or vectors left; -ENOMEM; -ENODEV this machine has no messages.
 */
int __must_check hal_msi_alloc(const struct hal_msi_request *request, u32 *first);

/* Gives them back. Handlers are freed and the device is silent. May sleep. */
void hal_msi_free(u32 first, u32 n);

/* What to program for that irq. For ops->write and for the enabling by the owner. Any context. */
void hal_msi_message(u32 irq, struct hal_msi_msg *out);

/* ---- affinity ---- */

/*
 * Masks are bitmaps of HAL_MAX_CPUS bits. An irq goes to one CPU of its mask, the effective one: of those that take
 * interrupts, the one with the fewest. Without interrupt remapping a device reaches APIC ids up to 254 only: other CPUs count
 * as not there.
 *
 * set: moves it; nothing is lost and nothing delivered to nobody. An irq without a handler keeps the mask for when it has
 *	one. Thread context, interrupts on. 0; -EINVAL no such irq, or no CPU of the mask takes interrupts; -ENOSPC no vector
 *	free on any of them; -EBUSY its last move is not over yet.
 * get: its mask, and the CPU it goes to now (~0u: none, it has no vector). False: no such irq. Any context.
 * default: what irqs start with that are requested from now on; at boot all CPUs. -EINVAL as above. Any context.
 */
int __must_check hal_irq_set_affinity(u32 irq, const u64 *cpus);
bool hal_irq_affinity(u32 irq, u64 *cpus, u32 *effective);
int __must_check hal_irq_set_default_affinity(const u64 *cpus);
void hal_irq_default_affinity(u64 *cpus);

/*
 * CPU hot plug (kernel/dev/irq.c has the step). prepare: memory for a CPU that is not online; may sleep; -ENOMEM. online:
 * it may be chosen. offline: it is chosen no more, what it had moves; what no CPU of its mask can take goes to any CPU, and
 * its mask becomes those, as on Linux; may sleep; -ENOSPC the others have no vectors left for it. dying: on that CPU,
 * interrupts off for good: what is pending there is sent on to where it belongs now.
 */
int __must_check hal_irq_cpu_prepare(u32 cpu);
void hal_irq_cpu_online(u32 cpu);
int __must_check hal_irq_cpu_offline(u32 cpu);
void hal_irq_cpu_dying(u32 cpu);

/* ---- what /proc shows ---- */

struct hal_irq_info {
	u32 irq;
	u32 hwirq;		/* the line of its I/O APIC, or hal_msi_request.hwirq */
	const char *chip;	/* "IO-APIC", or hal_msi_request.chip */
	const char *flow;	/* "edge", "fasteoi" */
	u64 count;		/* on all CPUs */
	u32 spurious_count;	/* since unwanted ones began, how many of at most 100,000 ... */
	u32 unhandled;		/* ... of which nobody's */
	u64 last_unhandled_ns;	/* when; 0 never */
	bool has_vector;
	bool storm;		/* masked because of a storm */
};

/* The first irq at or above *irq that exists; false past the last one. Any context. */
bool hal_irq_next(u32 *irq, struct hal_irq_info *out);
/* Copies the i-th handler's name of that irq; false past the last. Any context. */
bool hal_irq_name(u32 irq, u32 i, char *buf, size_t size);
/* How many of that irq this CPU took. Any context. */
u64 hal_irq_count(u32 irq, u32 cpu);

/*
 * Interrupts that are no device's: the i-th row of /proc/interrupts by Linux's name ("LOC", "Local timer interrupts"),
 * and its count on a CPU; !per_cpu: one count for the machine (cpu is ignored). False past the last one. Any context.
 */
struct hal_irq_row {
	const char *name;
	const char *what;	/* NULL: Linux shows none */
	bool per_cpu;
};
bool hal_irq_row(u32 i, struct hal_irq_row *out);
u64 hal_irq_row_count(u32 i, u32 cpu);

#endif
