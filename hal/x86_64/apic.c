/* SPDX-License-Identifier: MIT */
/*
 * This CPU's local APIC: found, mapped, set up. Its timer is in timer.c.
 *
 * x2APIC is used when firmware left it on (leaving it is impossible with large ids, and pointless), when there are ids that
 * only it can address, and under a hypervisor, where its registers cost one exit instead of two or none. Bare metal that
 * firmware started in the memory-mapped form stays in it: there x2APIC is promised to work only with interrupt remapping
 * (SDM vol. 3A 11.12; Linux decides the same). All CPUs are in one mode, the boot CPU's.
 *
 * Errors (SDM vol. 3A 11.5.3): the register latches when it is written, so write, then read. Reports are rate limited, since a
 * broken sender may raise one for every interrupt.
 *
 * An xAPIC's EOI and timer registers are the hot ones: plain stores, no accessor.
 */
#include <hal/clock.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "apic.h"
#include "x86.h"

#define APIC_BASE_X2		(1ull << 10)
#define APIC_BASE_ENABLE	(1ull << 11)
#define APIC_BASE_ADDR		0x000ffffffffff000ull
#define APIC_BYTES		4096
#define XAPIC_BROADCAST		255u

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

/* The processor's number in the tables, by which the MADT names it; ACPI_ALL_CPUS: it is not there. */
static u32 acpi_uid(u32 apic_id)
{
	for (u32 i = 0; i < x86_acpi.nr_cpus; i++)
		if (x86_acpi.cpus[i].apic_id == apic_id)
			return x86_acpi.cpus[i].uid;
	return ACPI_ALL_CPUS;
}

/* LINT1 is NMI on a PC unless the MADT says otherwise, for this CPU or for all. */
static struct apic_lint lint_config(u32 apic_id)
{
	struct apic_lint l = { 0, 0, 0 };
	u32 uid = acpi_uid(apic_id);

	for (u32 i = 0; i < x86_acpi.nr_lapic_nmis; i++) {
		const struct acpi_lapic_nmi *n = &x86_acpi.lapic_nmis[i];
		u8 bit = (u8)(1u << (n->lint & 1));

		if (n->lint > 1 || (n->uid != ACPI_ALL_CPUS && n->uid != uid))
			continue;
		l.nmi_lints |= bit;
		if (n->polarity == ACPI_ACTIVE_LOW)
			l.active_low |= bit;
		if (n->trigger == ACPI_LEVEL)
			l.level |= bit;
	}
	if (!l.nmi_lints && !x86_acpi.nr_lapic_nmis)
		l.nmi_lints = 2;
	return l;
}

static const char *const error_names[] = {
	"send checksum", "receive checksum", "send accept", "receive accept", "redirectable IPI", "send illegal vector",
	"receive illegal vector", "illegal register address",
};

void x86_apic_error(void)
{
	char what[160] = "";
	u32 bits;

	apic_write(NULL, APIC_ESR, 0);
	bits = apic_read(NULL, APIC_ESR);
	hal_percpu()->apic_error_count++;
	if (!x86_irq_may_report())
		return;
	for (u32 i = 0; i < ARRAY_SIZE(error_names); i++) {
		if (!(bits >> i & 1))
			continue;
		strlcat(what, what[0] ? ", " : ": ", sizeof(what));
		strlcat(what, error_names[i], sizeof(what));
	}
	upcall_log(4, "APIC error on CPU%u: %02x%s", hal_cpu_id(), bits, what);
}

bool x86_apic_is_pending(u32 vector)
{
	return apic_read(NULL, APIC_IRR + vector / 32 * 0x10) >> (vector % 32) & 1;
}

static bool wants_x2(u64 base)
{
	if (base & APIC_BASE_X2)
		return true;
	if (!x86_has(X86_F_X2APIC))
		return false;
	for (u32 i = 0; i < x86_acpi.nr_cpus; i++)
		if (x86_acpi.cpus[i].enabled && x86_acpi.cpus[i].apic_id >= XAPIC_BROADCAST)
			return true;
	return x86_has(X86_F_HYPERVISOR);
}

static void apic_defined_state(void)
{
	static const struct apic_io io = { apic_read, apic_write, NULL };

	apic_setup(&io, lint_config(x86_apic_id()), X86_VEC_TIMER, X86_VEC_ERROR, X86_VEC_SPURIOUS);
	hal_percpu()->apic_id = x86_apic_id();
}

bool x86_apic_is_x2(void)
{
	return !xapic;
}

/*
 * From whatever firmware left into the wanted mode. From off to x2APIC there is no direct way, and from x2APIC none to the
 * memory-mapped form but over off (SDM vol. 3A 11.12.5); the latter only when this CPU alone was left in it.
 */
static void enter_mode(bool x2)
{
	u64 base = x86_rdmsr(X86_MSR_APIC_BASE);

	if (!x2 && base & APIC_BASE_X2) {
		base &= ~(APIC_BASE_X2 | APIC_BASE_ENABLE);
		x86_wrmsr(X86_MSR_APIC_BASE, base);
	}
	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		x86_wrmsr(X86_MSR_APIC_BASE, base);
	}
	if (x2 && !(base & APIC_BASE_X2))
		x86_wrmsr(X86_MSR_APIC_BASE, base | APIC_BASE_X2);
}

/* Another CPU's, in the mode of the boot CPU's. Interrupts off, on that CPU. */
void x86_apic_init_cpu(void)
{
	enter_mode(!xapic);
	apic_defined_state();
	x86_timer_init_cpu();
}

/* This CPU leaves: no timer, no local interrupt, and none from others. Interrupts off. */
void x86_apic_stop_cpu(void)
{
	hal_timer_stop();
	apic_write(NULL, APIC_LVT_TIMER, APIC_LVT_MASKED | X86_VEC_TIMER);
	apic_write(NULL, APIC_LVT_LINT0, APIC_LVT_MASKED);
	apic_write(NULL, APIC_LVT_LINT1, APIC_LVT_MASKED);
	apic_write(NULL, APIC_SVR, X86_VEC_SPURIOUS);
}

void x86_apic_init(void)
{
	u64 base = x86_rdmsr(X86_MSR_APIC_BASE);
	bool x2 = wants_x2(base);

	if (!x86_has(X86_F_APIC))
		upcall_panic("no local APIC: nothing to take time and interrupts from");
	enter_mode(x2);
	if (x2 && !(x86_rdmsr(X86_MSR_APIC_BASE) & APIC_BASE_X2)) {	/* an emulator that takes the bit and drops it */
		upcall_log(4, "apic: x2APIC does not come on");
		x2 = false;
	}
	if (!x2) {
		xapic = upcall_mmio_map(base & APIC_BASE_ADDR, APIC_BYTES);
		if (!xapic)
			upcall_panic("cannot map the local APIC at %llx", (unsigned long long)(base & APIC_BASE_ADDR));
	}
	apic_defined_state();
	upcall_log(6, "apic: %s, id %u", x2 ? "x2APIC" : "xAPIC", hal_percpu()->apic_id);
}

/*
 * One interrupt, edge, physical destination (SDM vol. 3A 11.6.1); `command` is a vector or APIC_ICR_NMI.
 * Interrupts off. In x2APIC mode the register is one 64-bit MSR whose write is not ordered after earlier stores: the
 * fences, and it takes both (11.12.3), make what the target shall see visible first. In xAPIC mode the previous command must
 * have been taken.
 */
void x86_apic_send(u32 apic_id, u32 command)
{
	if (!xapic) {
		__asm__ volatile("mfence; lfence" : : : "memory");
		x86_wrmsr(X86_MSR_X2APIC + APIC_ICR / 16, (u64)apic_id << 32 | command);
		return;
	}
	for (u32 i = 0; i < 1000000 && (apic_read(NULL, APIC_ICR) & APIC_ICR_PENDING); i++)
		hal_cpu_relax();
	apic_write(NULL, APIC_ICR_HIGH, apic_id << 24);
	apic_write(NULL, APIC_ICR, command);
}

/*
 * The same from a context that may have come between the two halves of another command, an NMI: the first half is put back,
 * so that the other one goes where it shall.
 */
void x86_apic_send_nested(u32 apic_id, u32 command)
{
	u32 high = xapic ? apic_read(NULL, APIC_ICR_HIGH) : 0;

	x86_apic_send(apic_id, command);
	if (xapic)
		apic_write(NULL, APIC_ICR_HIGH, high);
}
