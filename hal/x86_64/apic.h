/* SPDX-License-Identifier: MIT */
#ifndef X86_APIC_H
#define X86_APIC_H

/*
 * The local APIC's registers (SDM vol. 3A table 11-1), as offsets of the memory-mapped form; x2APIC has
 * MSR 800h + offset / 16. apic_setup() works through accessors, for the host tests.
 */
#include <lib/compiler.h>

#define APIC_ID		0x020
#define APIC_VERSION	0x030
#define APIC_TPR	0x080
#define APIC_EOI	0x0b0
#define APIC_SVR	0x0f0
#define APIC_ISR	0x100
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_LVT_CMCI	0x2f0
#define APIC_ICR	0x300	/* command; x2APIC: one 64-bit register */
#define APIC_ICR_HIGH	0x310	/* xAPIC: destination in bits 24-31 */
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF	0x340
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_LVT_ERROR	0x370
#define APIC_TIMER_INIT	0x380
#define APIC_TIMER_NOW	0x390
#define APIC_TIMER_DIV	0x3e0

#define APIC_ICR_PENDING	0x1000u
#define APIC_ICR_NMI	0x400u	/* delivery mode 100b; the vector is ignored */
#define APIC_SVR_ENABLE		0x100u
#define APIC_LVT_MASKED		0x10000u
#define APIC_LVT_NMI		0x400u
#define APIC_LVT_LEVEL		0x8000u
#define APIC_LVT_ACTIVE_LOW	0x2000u
#define APIC_LVT_DEADLINE	0x40000u
#define APIC_DIVIDE_BY_1	0xbu

struct apic_io {
	u32 (*read)(void *ctx, u32 reg);
	void (*write)(void *ctx, u32 reg, u32 value);
	void *ctx;
};

/* Which LINT pin carries NMI, and how; bit n of nmi_lints = pin n. */
struct apic_lint {
	u8 nmi_lints;
	u8 active_low;
	u8 level;
};

/*
 * A defined state whatever firmware left: enabled, everything masked but the error vector and NMI pins,
 * nothing in service. timer_vector's entry is masked until the timer is calibrated. Returns the highest LVT
 * entry's number.
 */
u32 apic_setup(const struct apic_io *io, struct apic_lint lint, u8 timer_vector, u8 error_vector,
	       u8 spurious_vector);

#endif
