/* SPDX-License-Identifier: MIT */
/*
 * NMIs on purpose: to another CPU through its local APIC, and from a timer for the watchdog.
 *
 * The timer must go on while the boot CPU has its interrupts off, so it is none that the kernel's clock uses: a
 * comparator of the HPET, else channel 0 of the PIT, whose I/O APIC line is delivered as NMI instead of a vector (82093AA
 * data sheet, delivery mode 100b; edge, as level is not allowed there). NMI delivery needs no EOI. Firmware's tables do
 * not say which lines really work, so each candidate is tried: it is believed when the boot CPU counts NMIs from it.
 *
 * The comparators' usual lines: 2 is the PIT's, which nobody here uses, but which firmware may have left running, so it is
 * stopped first; the others may be shared with PCI, so they come last, and a line that a driver has is left alone.
 *
 * Rejected: the CPU's performance counter (Linux's choice), which is one more timer per CPU and missing in most virtual
 * machines: one source that looks at the tick counts of all CPUs serves as well.
 */
#include <hal/clock.h>
#include <hal/irq.h>
#include <hal/nmi.h>
#include <lib/atomic.h>
#include <lib/errno.h>
#include "apic.h"
#include "x86.h"

/* IA-PC HPET 1.0a, 2.3. */
#define HPET_CAPABILITIES	0x000
#define HPET_CAP_TIMERS(c)	((((c) >> 8) & 31) + 1)
#define HPET_PERIOD		0x004	/* femtoseconds per tick */
#define HPET_COUNTER		0x0f0
#define HPET_TIMER_CONFIG(n)	(0x100 + 0x20 * (n))
#define HPET_TIMER_ROUTES(n)	(0x104 + 0x20 * (n))
#define HPET_TIMER_COMPARE(n)	(0x108 + 0x20 * (n))
#define HPET_T_ENABLE		0x0004u
#define HPET_T_PERIODIC		0x0008u
#define HPET_T_CAN_PERIODIC	0x0010u
#define HPET_T_SET_VALUE	0x0040u
#define HPET_T_32BIT		0x0100u
#define HPET_T_ROUTE(line)	((line) << 9)
#define FSEC_PER_NSEC		1000000ull

#define PIT_HZ			1193182ull
#define PIT_COMMAND		0x43
#define PIT_CHANNEL0		0x40
#define PIT_MAX_COUNT		65535u

#define TRIAL_PERIOD_NS		1000000ull
#define TRIAL_NS		10000000ull	/* ten NMIs should have come, three must */
#define TRIAL_NMIS		3u
#define PERIOD_MAX_NS		10000000000ull

/* The source that runs; one caller (hal/nmi.h). */
static struct {
	void (*stop)(void);
	u32 timer;		/* HPET comparator */
	u32 line;
} source;

bool hal_cpu_nmi(u32 cpu)
{
	struct hal_percpu *pc = hal_percpu_of(cpu);
	irqflags_t flags;

	if (!pc || !hal_cpu_online(cpu))
		return false;
	flags = hal_irq_save();
	x86_apic_send_nested(pc->apic_id, APIC_ICR_NMI);	/* the watchdog asks from its own NMI */
	hal_irq_restore(flags);
	return true;
}

/* ---- HPET -------------------------------------------------------------------------------------- */

static void hpet_stop(void)
{
	volatile u8 *hpet = x86_hpet();

	x86_mmio_write32(hpet + HPET_TIMER_CONFIG(source.timer), 0);
	x86_ioapic_set_masked(source.line, true);
}

/* Writes with SET_VALUE first set the next match, then the period (2.3.9.2.2). */
static void hpet_run(u32 timer, u32 line, u64 period_ns)
{
	volatile u8 *hpet = x86_hpet();
	u32 fsec = x86_mmio_read32(hpet + HPET_PERIOD);
	u32 ticks = (u32)MIN(x86_mul_div(period_ns, FSEC_PER_NSEC, fsec), 0x7fffffffull);

	x86_mmio_write32(hpet + HPET_TIMER_CONFIG(timer), 0);
	x86_mmio_write32(hpet + HPET_TIMER_CONFIG(timer),
			 HPET_T_ENABLE | HPET_T_PERIODIC | HPET_T_SET_VALUE | HPET_T_32BIT | HPET_T_ROUTE(line));
	x86_mmio_write32(hpet + HPET_TIMER_COMPARE(timer), x86_mmio_read32(hpet + HPET_COUNTER) + ticks);
	x86_mmio_write32(hpet + HPET_TIMER_COMPARE(timer), ticks);
}

/* ---- PIT --------------------------------------------------------------------------------------- */

/* Mode 0 with no count written: the output stays low and never rises. */
static void pit_quiet(void)
{
	x86_outb(PIT_COMMAND, 0x30);
}

static void pit_stop(void)
{
	pit_quiet();
	x86_ioapic_set_masked(source.line, true);
}

static u64 pit_run(u64 period_ns)
{
	u64 count = CLAMP(x86_mul_div(period_ns, PIT_HZ, NSEC_PER_SEC), 2ull, (u64)PIT_MAX_COUNT);

	x86_outb(PIT_COMMAND, 0x34);	/* channel 0, mode 2: a rate */
	x86_outb(PIT_CHANNEL0, (u8)count);
	x86_outb(PIT_CHANNEL0, (u8)(count >> 8));
	return count * NSEC_PER_SEC / PIT_HZ;
}

/* ---- choosing ---------------------------------------------------------------------------------- */

/*
 * NMIs may come from elsewhere, hence more than one. A pause of this CPU - those of a virtual one can be longer than the trial, and
 * all NMIs in it are one - counts as one look.
 */
static bool nmis_arrive(void)
{
	const u64 *count = &x86_cpu0.pc.nmi_count;
	u64 before = READ_ONCE(*count), last = hal_clock_ns(), waited = 0, now;

	for (; waited < TRIAL_NS; last = now) {
		if (READ_ONCE(*count) - before >= TRIAL_NMIS)
			return true;
		now = hal_clock_ns();
		waited += MIN(now - last, TRIAL_PERIOD_NS / 10);
	}
	return false;
}

static bool line_open(u32 line)
{
	return !x86_irq_line_used(line) && x86_ioapic_route_nmi(line, x86_cpu0.pc.apic_id) == 0;
}

static bool hpet_try_line(u32 timer, u32 line, u64 period_ns)
{
	if (!line_open(line))
		return false;
	source.timer = timer;
	source.line = line;
	hpet_run(timer, line, TRIAL_PERIOD_NS);
	if (nmis_arrive()) {
		hpet_run(timer, line, period_ns);
		source.stop = hpet_stop;
		return true;
	}
	hpet_stop();
	return false;
}

/* Line 2 first, then from above, where PCI is least likely; never those of other legacy devices. */
static bool hpet_try_timer(u32 timer, u64 period_ns)
{
	u32 routes = x86_mmio_read32(x86_hpet() + HPET_TIMER_ROUTES(timer));

	if (routes & (1u << 2) && hpet_try_line(timer, 2, period_ns))
		return true;
	for (u32 line = 31; line >= 16; line--)
		if (routes & (1u << line) && hpet_try_line(timer, line, period_ns))
			return true;
	return false;
}

static bool hpet_try(u64 period_ns)
{
	volatile u8 *hpet = x86_hpet();
	u32 timers;

	if (!hpet)
		return false;
	timers = HPET_CAP_TIMERS(x86_mmio_read32(hpet + HPET_CAPABILITIES));
	for (u32 n = timers; n-- > 0;)
		if (x86_mmio_read32(hpet + HPET_TIMER_CONFIG(n)) & HPET_T_CAN_PERIODIC && hpet_try_timer(n, period_ns))
			return true;
	return false;
}

static bool pit_try(u64 *period_ns)
{
	u32 line = hal_irq_isa(0);

	if (!line_open(line))
		return false;
	source.line = line;
	(void)pit_run(TRIAL_PERIOD_NS);
	if (nmis_arrive()) {
		*period_ns = pit_run(*period_ns);
		source.stop = pit_stop;
		return true;
	}
	pit_stop();
	return false;
}

const char *hal_nmi_timer_start(u64 *period_ns)
{
	*period_ns = CLAMP(*period_ns, TRIAL_PERIOD_NS, PERIOD_MAX_NS);
	pit_quiet();
	if (hpet_try(*period_ns))
		return "HPET";
	if (pit_try(period_ns))
		return "PIT";
	return NULL;
}

void hal_nmi_timer_stop(void)
{
	if (source.stop)
		source.stop();
	source.stop = NULL;
}
