/* SPDX-License-Identifier: MIT */
#ifndef X86_IRQ_H
#define X86_IRQ_H

/*
 * What irq.c (vectors, dispatch, handlers), irq_move.c (affinity, hot plug), irq_stat.c and msi.c share.
 *
 * An irq has a descriptor, made when it is first asked for and never freed, so that dispatch may hold a pointer to one
 * without a lock. Each CPU has a table from vector to descriptor. irq_lock, a spinning word taken with interrupts off,
 * serialises everything but dispatch.
 *
 *	[I] set once, [a] atomic, [i] irq_lock, [p] written under irq_lock, read without
 */
#include <hal/irq.h>
#include <hal/vectors.h>
#include "x86.h"

#define IRQ_MAX		2048u	/* irq numbers: lines first, messages after them */
#define IRQ_LINES_END	1024u	/* lines are below, whatever firmware says: half is for messages */
#define IRQ_NO_CPU	0xffffffffu

struct irq_action {
	struct irq_action *next;	/* [p] */
	hal_irq_handler_t handler;	/* [I] */
	void *arg;			/* [I] */
	const char *name;		/* [I] */
};

enum irq_kind { IRQ_LINE, IRQ_MESSAGE };

/* Who may run the handlers: `state`. */
enum irq_state {
	IRQ_IDLE,
	IRQ_RUNNING,
	IRQ_AGAIN,		/* running, and an interrupt came on another CPU: run once more */
};

struct irq_desc {
	struct irq_action *actions;	/* [p] */
	u32 state;			/* [a] enum irq_state */
	u32 passes;			/* [a] how often the handlers ran: free waits for a change */
	u32 masked;			/* [a] hal_irq_mask() */
	u32 pending;			/* [a] came while masked */
	u32 storm;			/* [a] masked for good */

	u32 irq;			/* [I] */
	enum irq_kind kind;		/* [I] by number */
	bool level;			/* [i] of a line */
	bool shared;			/* [i] */
	bool used;			/* [i] false: a message's number that nobody has */
	u32 hwirq;			/* [i] */
	const char *chip;		/* [i] */
	const struct hal_msi_ops *ops;	/* [i] messages */
	void *ctx;			/* [i] */
	u32 index;			/* [i] */

	/* Where it goes, and where it went before while something may still be on its way there. */
	u32 cpu, vector;		/* [i] IRQ_NO_CPU: nowhere */
	u32 old_cpu, old_vector;	/* [i] IRQ_NO_CPU: not moving */
	u32 old_extra;			/* [i] one more vector of old_cpu; 0: none */
	u64 affinity[HAL_MAX_CPUS / 64];	/* [i] */

	/* Storms. Written by the CPU that runs the handlers. */
	u32 spurious_count;		/* [a] */
	u32 unhandled;			/* [a] */
	u64 last_unhandled_ns;		/* [a] */
	u64 window_ns;			/* when spurious_count began */

	u32 nr_counts;			/* [I] */
	u64 counts[];			/* [a] per CPU, written there */
};

struct irq_cpu {
	struct vectors_cpu vectors;	/* [i] */
	struct irq_desc *table[X86_VEC_DEVICE_LAST - X86_VEC_DEVICE_FIRST + 1]; /* [p] */
};

extern struct irq_desc *x86_irq_descs[IRQ_MAX];	/* [p] */
extern struct irq_cpu *x86_irq_cpus[HAL_MAX_CPUS];	/* [I] once set */
extern struct vectors x86_irq_vectors;		/* [i] */
extern u64 x86_irq_default[HAL_MAX_CPUS / 64];	/* [i] */

irqflags_t x86_irq_lock(void);
void x86_irq_unlock(irqflags_t f);

/* The descriptor of an irq that exists, or NULL. Any context. */
struct irq_desc *x86_irq_desc(u32 irq);
/* Makes it if need be, with all counts 0. May sleep. NULL: no memory, or no such number. */
struct irq_desc *x86_irq_desc_make(u32 irq);
/* irq_lock. A vector on a CPU of its mask (else of any), entered in that CPU's table. 0, -ENOSPC or -EINVAL. */
int x86_irq_assign(struct irq_desc *d);
/* irq_lock. The message that reaches (cpu, vector). */
struct hal_msi_msg x86_msi_message(u32 cpu, u32 vector);
/* irq_lock. The controller's or the device's mask bit. */
void x86_irq_set_masked(struct irq_desc *d, bool masked);
/* irq_lock. Takes (old_cpu, old_vector) out of the table and gives the vector back. */
void x86_irq_retire(struct irq_desc *d);
/* irq_lock. Asks old_cpu to do so once it has taken what is pending there. */
void x86_irq_retire_later(struct irq_desc *d);
/* On a CPU that was asked. Interrupt context. */
void x86_irq_cleanup(void);
/* irq_lock. Sends the irq to itself, where it goes now. */
void x86_irq_resend(const struct irq_desc *d);
/* Messages' numbers: irq_lock. The number is free again. */
void x86_msi_number_free(u32 irq);
/* Interrupts on vectors that nobody has, this CPU. */
extern u64 x86_irq_unexpected[HAL_MAX_CPUS];	/* [a] */

#endif
