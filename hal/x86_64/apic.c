/* SPDX-License-Identifier: MIT */
/*
 * This CPU's local APIC: found, mapped, set up; its timer.
 *
 * x2APIC is used when firmware left it on (leaving it is impossible with large ids, and pointless), else
 * the memory-mapped form. The timer is the TSC deadline where the CPU has it, else a one-shot count at
 * the frequency that clock.c measured.
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
static bool deadline_mode;	/* [I] */
static u64 count_mult;		/* [I] timer ticks per ns, 32.32 fixed point; 0: no timer */
static u64 timer_hz;		/* [I] */

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

/* ---- the timer ---- */

u32 x86_apic_timer_count(void)
{
	return apic_read(NULL, APIC_TIMER_NOW);
}

/* For calibration: counts down from there, silently. */
void x86_apic_timer_start_raw(u32 count)
{
	apic_write(NULL, APIC_LVT_TIMER, APIC_LVT_MASKED | X86_VEC_TIMER);
	apic_write(NULL, APIC_TIMER_INIT, count);
}

u64 x86_apic_timer_hz(void)
{
	return timer_hz;
}

void x86_apic_timer_calibrated(u64 hz)
{
	timer_hz = hz;
	deadline_mode = x86_has(X86_F_TSC_DEADLINE);
	count_mult = x86_mul_div(hz, 1ull << 32, NSEC_PER_SEC);
	apic_write(NULL, APIC_TIMER_INIT, 0);
	if (!deadline_mode) {
		apic_write(NULL, APIC_LVT_TIMER, X86_VEC_TIMER);
		return;
	}
	apic_write(NULL, APIC_LVT_TIMER, APIC_LVT_DEADLINE | X86_VEC_TIMER);
	/* The mode change must be seen before the first deadline (SDM vol. 3A 11.5.4.1). */
	__asm__ volatile("mfence" : : : "memory");
}

/* ns -> cycles: the inverse of the clock's multiplication, rounded up so that it never fires early. */
static u64 deadline_cycles(u64 ns)
{
	return x86_clock.base + x86_mul_div(ns, 1ull << 32, x86_clock.mult) + 1;
}

void hal_timer_arm(u64 deadline_ns)
{
	u64 now, count;

	if (deadline_mode) {
		x86_wrmsr(X86_MSR_TSC_DEADLINE, deadline_ns >= ~0ull >> 8 ? ~0ull : deadline_cycles(deadline_ns));
		return;
	}
	now = hal_clock_ns();
	count = deadline_ns > now ? (u64)(((x86_u128)(deadline_ns - now) * count_mult) >> 32) + 1 : 1;
	apic_write(NULL, APIC_TIMER_INIT, count > 0xffffffffu ? 0xffffffffu : (u32)count);
}

void hal_timer_stop(void)
{
	if (deadline_mode)
		x86_wrmsr(X86_MSR_TSC_DEADLINE, 0);
	else
		apic_write(NULL, APIC_TIMER_INIT, 0);
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
