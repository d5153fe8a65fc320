/* SPDX-License-Identifier: MIT */
/*
 * This CPU's local APIC: found, mapped, set up. Its timer is in timer.c.
 *
 * x2APIC is used when firmware left it on (leaving it is impossible with large ids, and pointless), else
 * the memory-mapped form.
 *
 * An xAPIC's EOI and timer registers are the hot ones: plain stores, no accessor.
 */
#include <hal/clock.h>
#include "acpi_glue.h"
#include "apic.h"
#include "x86.h"

#define APIC_BASE_X2		(1ull << 10)
#define APIC_BASE_ENABLE	(1ull << 11)
#define APIC_BASE_ADDR		0x000ffffffffff000ull
#define APIC_BYTES		4096

static volatile u8 *xapic;	/* [I] NULL in x2APIC mode */

static u32 apic_read(void *ctx, u32 reg)
{
	return xapic ? x86_mmio_read32(xapic + reg) : (u32)x86_rdmsr(X86_MSR_X2APIC + reg / 16);
}

static void apic_write(void *ctx, u32 reg, u32 v)
{
	if (xapic)
		x86_mmio_write32(xapic + reg, v);
	else
		x86_wrmsr(X86_MSR_X2APIC + reg / 16, v);
}

u32 x86_apic_read(u32 reg)
{
	return apic_read(NULL, reg);
}

void x86_apic_write(u32 reg, u32 value)
{
	apic_write(NULL, reg, value);
}

void x86_apic_eoi(void)
{
	apic_write(NULL, APIC_EOI, 0);
}

u32 x86_apic_id(void)
{
	u32 id = apic_read(NULL, APIC_ID);

	return xapic ? id >> 24 : id;
}

/* LINT1 is NMI on a PC unless the MADT says otherwise. */
static struct apic_lint lint_config(void)
{
	struct apic_lint l = { 0, 0, 0 };

	for (u32 i = 0; i < x86_acpi.nr_lapic_nmis; i++) {
		const struct acpi_lapic_nmi *n = &x86_acpi.lapic_nmis[i];
		u8 bit = (u8)(1u << (n->lint & 1));

		if (n->lint > 1)
			continue;
		l.nmi_lints |= bit;
		if (n->polarity == ACPI_ACTIVE_LOW)
			l.active_low |= bit;
		if (n->trigger == ACPI_LEVEL)
			l.level |= bit;
	}
	if (!l.nmi_lints)
		l.nmi_lints = 2;
	return l;
}

void x86_apic_init(void)
{
	static const struct apic_io io = { apic_read, apic_write, NULL };
	u64 base = x86_rdmsr(X86_MSR_APIC_BASE);

	if (!x86_has(X86_F_APIC))
		upcall_panic("no local APIC: nothing to take time and interrupts from");
	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		x86_wrmsr(X86_MSR_APIC_BASE, base);
	}
	if (!(base & APIC_BASE_X2)) {
		xapic = upcall_mmio_map(base & APIC_BASE_ADDR, APIC_BYTES);
		if (!xapic)
			upcall_panic("cannot map the local APIC at %llx", (unsigned long long)(base & APIC_BASE_ADDR));
	}
	apic_setup(&io, lint_config(), X86_VEC_TIMER, X86_VEC_ERROR, X86_VEC_SPURIOUS);
	hal_percpu()->apic_id = x86_apic_id();
}

/*
 * One interrupt, edge, physical destination (SDM vol. 3A 11.6.1); `command` is a vector or APIC_ICR_NMI.
 * Interrupts off. In x2APIC mode the register is one 64-bit MSR whose write is not ordered after earlier stores: the
 * fence makes what the target shall see visible first (11.12.3). In xAPIC mode the previous command must have been
 * taken.
 */
void x86_apic_send(u32 apic_id, u32 command)
{
	if (!xapic) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		x86_wrmsr(X86_MSR_X2APIC + APIC_ICR / 16, (u64)apic_id << 32 | command);
		return;
	}
	for (u32 i = 0; i < 1000000 && (apic_read(NULL, APIC_ICR) & APIC_ICR_PENDING); i++)
		hal_cpu_relax();
	apic_write(NULL, APIC_ICR_HIGH, apic_id << 24);
	apic_write(NULL, APIC_ICR, command);
}

void hal_cpu_kick(u32 cpu)
{
	struct hal_percpu *pc = hal_percpu_of(cpu);
	irqflags_t flags;

	if (!pc || !hal_cpu_online(cpu))
		return;
	flags = hal_irq_save(); /* the two halves of an xAPIC command belong together */
	x86_apic_send(pc->apic_id, X86_VEC_KICK);
	hal_irq_restore(flags);
}
