/* SPDX-License-Identifier: MIT */
/*
 * The local APIC brought into a known state: the part that runs on the host too. Order: masked entries
 * first, so that nothing fires while others are set; the enable bit before the entries that need it
 * (a disabled APIC forces the mask bits, SDM vol. 3A 11.4.7.2).
 */
#include "apic.h"

static u32 rd(const struct apic_io *io, u32 reg)
{
	return io->read(io->ctx, reg);
}

static void wr(const struct apic_io *io, u32 reg, u32 v)
{
	io->write(io->ctx, reg, v);
}

static u32 lint_entry(struct apic_lint lint, unsigned int pin)
{
	u32 bit = 1u << pin;

	if (!(lint.nmi_lints & bit))
		return APIC_LVT_MASKED;
	return APIC_LVT_NMI | ((lint.active_low & bit) ? APIC_LVT_ACTIVE_LOW : 0) |
	       ((lint.level & bit) ? APIC_LVT_LEVEL : 0);
}

/* What firmware left in service would block all lower vectors for ever. 256 vectors at the most. */
static void drain(const struct apic_io *io)
{
	for (int n = 0; n < 256; n++) {
		u32 any = 0;

		for (u32 i = 0; i < 8; i++)
			any |= rd(io, APIC_ISR + i * 0x10);
		if (!any)
			return;
		wr(io, APIC_EOI, 0);
	}
}

u32 apic_setup(const struct apic_io *io, struct apic_lint lint, u8 timer_vector, u8 error_vector,
	       u8 spurious_vector)
{
	u32 max_lvt = (rd(io, APIC_VERSION) >> 16) & 0xff;

	wr(io, APIC_LVT_TIMER, APIC_LVT_MASKED | timer_vector);
	wr(io, APIC_TIMER_INIT, 0);
	wr(io, APIC_LVT_LINT0, APIC_LVT_MASKED);
	if (max_lvt >= 4)
		wr(io, APIC_LVT_PERF, APIC_LVT_MASKED);
	if (max_lvt >= 5)
		wr(io, APIC_LVT_THERMAL, APIC_LVT_MASKED);
	if (max_lvt >= 6)
		wr(io, APIC_LVT_CMCI, APIC_LVT_MASKED);
	wr(io, APIC_TPR, 0);
	wr(io, APIC_SVR, APIC_SVR_ENABLE | spurious_vector);
	drain(io);
	wr(io, APIC_LVT_LINT0, lint_entry(lint, 0));
	wr(io, APIC_LVT_LINT1, lint_entry(lint, 1));
	if (max_lvt >= 3) {
		wr(io, APIC_ESR, 0);
		wr(io, APIC_LVT_ERROR, error_vector);
		wr(io, APIC_ESR, 0);
	}
	wr(io, APIC_TIMER_DIV, APIC_DIVIDE_BY_1);
	return max_lvt;
}
