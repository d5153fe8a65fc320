/* SPDX-License-Identifier: MIT */
/*
 * The clock: which counters the machine has, what they say of each other, and which one time is read from.
 *
 * The TSC and the APIC's timer are measured, in 1 ms windows, against the HPET and, in the same windows, against the
 * ACPI PM timer; the PIT is asked when one of the two is missing or they disagree, and CPUID 15h/16h has a vote. The
 * first in order of trust (HPET, PM timer, PIT) that another one confirms to 1 % is believed; the exact value is CPUID's
 * where that agrees. A reference that was outvoted is no clock source either. Under an emulator the ratio stays right
 * whatever time really passes. Time 0 is the kernel's first C function.
 *
 * Time is read from the TSC, until it proves unfit: CPUs whose TSCs disagree (x86_clock_tsc_unstable()), or a TSC that
 * is not said to be invariant and drifts from the HPET (hal_clock_check()). Then the HPET or the PM timer take over,
 * which cost a device access a look: clocksource.c.
 *
 * Locks: `choice_busy` guards choices of a source: a flag, as the HAL has no lock type; interrupts off.
 */
#include <hal/clock.h>
#include <hal/upcall.h>
#include <hal/vdso.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "calibrate.h"
#include "clocksource.h"
#include "x86.h"

#define HPET_BYTES	1024
#define HPET_PERIOD	0x004	/* femtoseconds per tick, upper half of the capabilities */
#define HPET_CONFIG	0x010
#define HPET_ENABLE	1u
#define HPET_COUNTER	0x0f0
#define HPET_MAX_PERIOD	100000000u	/* HPET 1.0a 2.3.4: at least 10 MHz */
#define FSEC_PER_SEC	1000000000000000ull
#define PIT_HZ		1193182ull
#define PIT_COMMAND	0x43
#define PIT_CHANNEL2	0x42
#define PIT_GATE	0x61
#define PM_GLITCH_TRIES	3
#define ASSUMED_HZ	4000000000ull	/* before calibration: delays come out too long, never too short */
#define CHECK_PAIR_CYCLES 20000u	/* a pair of readings that took longer says nothing */
#define CHECK_LIMIT_PARTS 1000u		/* a drift of 0.1 % is not one of calibration */

static u64 tsc_hz;			/* [I] after calibration */
static const char *reference = "none";	/* [I] what it was measured against */
static volatile u8 *hpet;		/* [I] */
static u32 choice_busy;			/* [a] */
static bool tsc_trusted;		/* [a] tsc=reliable */

static u64 read_tsc(void *ctx)
{
	return hal_cycles();
}

static u32 read_apic(void *ctx)
{
	return x86_apic_timer_count();
}

static u64 read_hpet(void *ctx)
{
	return x86_mmio_read32(hpet + HPET_COUNTER);
}

static u64 read_pm_timer(void *ctx)
{
	return x86_inl((u16)x86_acpi.pm_timer.address);
}

/* Channel 2 counts down from 0 = 65536; latch, then two bytes. Turned round so that it counts up. */
static u64 read_pit(void *ctx)
{
	u32 lo, hi;

	x86_outb(PIT_COMMAND, 0x80);
	lo = x86_inb(PIT_CHANNEL2);
	hi = x86_inb(PIT_CHANNEL2);
	return 0xffff - (hi << 8 | lo);
}

static u64 pm_mask(void)
{
	return x86_acpi.pm_timer.bits == 32 ? 0xffffffffu : 0xffffffu;
}

/* As clocks. Some chips' PM timer shows a wrong value once in a while: two readings in a row must be close. */
static u64 tsc_clock(void)
{
	return hal_cycles();
}

static u64 hpet_clock(void)
{
	return read_hpet(NULL);
}

static u64 pm_clock(void)
{
	u64 a = read_pm_timer(NULL), b;

	for (int i = 0; i < PM_GLITCH_TRIES; i++) {
		b = read_pm_timer(NULL);
		if (((b - a) & pm_mask()) < 256)
			break;
		a = b;
	}
	return b;
}

/* ---- calibration ---- */

static bool hpet_start(u64 *hz)
{
	u32 period;

	if (!x86_acpi.hpet_paddr)
		return false;
	hpet = upcall_mmio_map(x86_acpi.hpet_paddr, HPET_BYTES);
	if (!hpet)
		return false;
	period = x86_mmio_read32(hpet + HPET_PERIOD);
	if (period == 0 || period > HPET_MAX_PERIOD) {
		upcall_log(4, "clock: the HPET claims a period of %u fs: not used", period);
		hpet = NULL;
		return false;
	}
	x86_mmio_write32(hpet + HPET_CONFIG, x86_mmio_read32(hpet + HPET_CONFIG) | HPET_ENABLE);
	*hz = FSEC_PER_SEC / period;
	return true;
}

/* Gate on, speaker off; mode 2 from 65536. */
static void pit_start(void)
{
	x86_outb(PIT_GATE, (u8)((x86_inb(PIT_GATE) & ~2u) | 1u));
	x86_outb(PIT_COMMAND, 0xb4);
	x86_outb(PIT_CHANNEL2, 0);
	x86_outb(PIT_CHANNEL2, 0);
}

volatile u8 *x86_hpet(void)
{
	return hpet;
}

/* What is known when the votes are cast: at most HPET, PM timer, PIT, CPUID. */
struct votes {
	struct calibrate_vote v[4];
	u32 n;
};

static void vote(struct votes *all, const char *name, u64 tsc, u64 apic)
{
	all->v[all->n++] = (struct calibrate_vote){ name, tsc, apic };
}

/* One round of windows; adds the reference's vote and, if there is one, the check's. */
static void measure(struct votes *all, const char *name, struct calibrate_reference r, const char *check_name,
		    struct calibrate_reference check)
{
	struct calibrate_io io = { r, check, read_tsc, read_apic, NULL };
	struct calibration c;

	x86_apic_timer_start_raw(0xffffffffu);
	if (calibrate(&io, &c) != 0) {
		upcall_log(4, "clock: the %s gives no sensible result", name);
		return;
	}
	vote(all, name, c.tsc_hz, c.apic_hz);
	if (check.read && c.check_tsc_hz)
		vote(all, check_name, c.check_tsc_hz, x86_mul_div(c.apic_hz, c.check_tsc_hz, c.tsc_hz));
	else if (check.read)
		upcall_log(4, "clock: the %s stands still", check_name);
}

static u64 hz_from_cpuid(void)
{
	u32 max = x86_cpuid(0, 0).a;
	struct x86_cpuid c15 = { 0, 0, 0, 0 }, c16 = c15;

	if (max >= 0x15)
		c15 = x86_cpuid(0x15, 0);
	if (max >= 0x16)
		c16 = x86_cpuid(0x16, 0);
	return calibrate_cpuid(max, c15.a, c15.b, c15.c, c16.a & 0xffff);
}

static struct calibrate_vote poll_references(void)
{
	const struct calibrate_reference none = { NULL, 0, 0 }, pit = { read_pit, PIT_HZ, 0xffff };
	struct calibrate_reference by_hpet = none, by_pm = none;
	struct votes all = { .n = 0 };
	u64 told = hz_from_cpuid();
	struct calibrate_vote best;
	bool confirmed = false;
	u32 measured;

	if (hpet_start(&by_hpet.hz))
		by_hpet = (struct calibrate_reference){ read_hpet, by_hpet.hz, 0xffffffffu };
	if (x86_acpi.pm_timer.address && x86_acpi.pm_timer.space == ACPI_SPACE_IO)
		by_pm = (struct calibrate_reference){ read_pm_timer, ACPI_PM_TIMER_HZ, pm_mask() };
	if (by_hpet.read)
		measure(&all, "HPET", by_hpet, "PM timer", by_pm);
	if (!all.n && by_pm.read)
		measure(&all, "PM timer", by_pm, NULL, none);
	if (all.n < 2 || !calibrate_agrees(all.v[0].tsc_hz, all.v[1].tsc_hz)) {
		pit_start();
		measure(&all, "PIT", pit, NULL, none);
	}
	if (!all.n)
		upcall_panic("no clock to measure the CPU's frequency with: no HPET, PM timer or PIT works");
	measured = all.n;
	if (told)
		vote(&all, "CPUID", told, 0);
	best = all.v[calibrate_choose(all.v, all.n, &confirmed)];
	if (!best.apic_hz)
		best = all.v[0];
	if (!confirmed)
		upcall_log(4, "clock: nothing confirms the %s", best.name);
	for (u32 i = 0; i < all.n; i++)
		if (!calibrate_agrees(all.v[i].tsc_hz, best.tsc_hz))
			upcall_log(4, "clock: the %s takes the TSC for %llu MHz, the %s for %llu MHz: it is not believed",
				   all.v[i].name, (unsigned long long)(all.v[i].tsc_hz / 1000000), best.name,
				   (unsigned long long)(best.tsc_hz / 1000000));
	for (u32 i = 0; i < measured; i++) {
		bool fit = calibrate_agrees(all.v[i].tsc_hz, best.tsc_hz);

		if (fit && !strcmp(all.v[i].name, "HPET"))
			clocksource_add(CLOCKSOURCE_HPET, hpet_clock, by_hpet.hz, by_hpet.mask);
		if (fit && !strcmp(all.v[i].name, "PM timer"))
			clocksource_add(CLOCKSOURCE_PM, pm_clock, by_pm.hz, by_pm.mask);
	}
	/* CPUID is exact where it is right. */
	if (told && calibrate_agrees(told, best.tsc_hz)) {
		best.tsc_hz = told;
		best.name = "CPUID";
	}
	return best;
}

void x86_clock_init(void)
{
	struct calibrate_vote c = poll_references();

	tsc_hz = c.tsc_hz;
	reference = c.name;
	clocksource_add(CLOCKSOURCE_TSC, tsc_clock, tsc_hz, ~0ull);
	(void)clocksource_select(CLOCKSOURCE_TSC);
	x86_apic_timer_calibrated(c.apic_hz);
	upcall_log(6, "clock: TSC %llu.%03llu MHz by %s%s, APIC timer %llu.%03llu MHz%s",
		   (unsigned long long)(tsc_hz / 1000000), (unsigned long long)(tsc_hz / 1000 % 1000), reference,
		   x86_has(X86_F_NONSTOP_TSC) ? "" : " (not said to be invariant)",
		   (unsigned long long)(c.apic_hz / 1000000), (unsigned long long)(c.apic_hz / 1000 % 1000),
		   x86_has(X86_F_TSC_DEADLINE) ? ", TSC deadline" : "");
}

/* ---- choosing ---- */

struct choice {
	u32 which;
	int err;
};

static void choose_now(void *arg)
{
	struct choice *c = arg;

	c->err = clocksource_select(c->which);
}

static int choose(u32 which)
{
	irqflags_t flags = hal_irq_save();
	struct choice c = { .which = which };

	while (__atomic_exchange_n(&choice_busy, 1, __ATOMIC_ACQUIRE))
		hal_cpu_relax();
	if (clocksource_current() == which)
		choose_now(&c);
	else
		upcall_clock_change(choose_now, &c);
	__atomic_store_n(&choice_busy, 0, __ATOMIC_RELEASE);
	hal_irq_restore(flags);
	return c.err;
}

const char *hal_clock_source_name(u32 i)
{
	for (u32 which = 0; which < CLOCKSOURCE_COUNT; which++)
		if (clocksource_usable(which) && !i--)
			return clocksource_get(which)->name;
	return NULL;
}

const char *hal_clock_source_current(void)
{
	const struct clocksource *s = clocksource_get(clocksource_current());

	return s ? s->name : "none";
}

int hal_clock_source_select(const char *name)
{
	for (u32 which = 0; which < CLOCKSOURCE_COUNT; which++)
		if (!strcmp(name, clocksource_get(which)->name))
			return choose(which);
	return -EINVAL;
}

u64 hal_clock_half_turn_ns(void)
{
	return clocksource_half_turn_ns();
}

void hal_clock_trust(void)
{
	WRITE_ONCE(tsc_trusted, true);
}

void hal_clock_distrust(const char *why)
{
	x86_clock_tsc_unstable(why);
}

void x86_clock_tsc_unstable(const char *why)
{
	bool was_fit = clocksource_usable(CLOCKSOURCE_TSC);

	if (!was_fit || !tsc_hz)
		return;
	if (!clocksource_usable(CLOCKSOURCE_HPET) && !clocksource_usable(CLOCKSOURCE_PM)) {
		upcall_log(4, "clock: the TSC is not fit for a clock (%s), but there is nothing else", why);
		return;
	}
	clocksource_forbid(CLOCKSOURCE_TSC);
	if (clocksource_current() == CLOCKSOURCE_TSC && choose(CLOCKSOURCE_HPET))
		(void)choose(CLOCKSOURCE_PM);
	upcall_log(4, "clock: the TSC is not fit for a clock (%s): now %s", why, hal_clock_source_current());
}

bool x86_clock_wants_warp_test(void)
{
	return !READ_ONCE(tsc_trusted) && clocksource_usable(CLOCKSOURCE_TSC);
}

/* ---- the watch over a TSC that may change its speed ---- */

bool hal_clock_wants_check(void)
{
	return x86_clock_wants_warp_test() && !x86_has(X86_F_NONSTOP_TSC) && clocksource_usable(CLOCKSOURCE_HPET);
}

#if HALCYON_DEBUG
static u64 made_up_drift_ns, made_up_ns;	/* [a] the self tests'; [the one caller's] */

void hal_clock_test_drift(u64 ns)
{
	WRITE_ONCE(made_up_drift_ns, ns);
}

void hal_clock_test_forgive(void)
{
	clocksource_add(CLOCKSOURCE_TSC, tsc_clock, tsc_hz, ~0ull);
	(void)choose(CLOCKSOURCE_TSC);
}

static u64 watched_hpet(const struct clocksource *h)
{
	made_up_ns += READ_ONCE(made_up_drift_ns);
	return hpet_clock() + x86_mul_div(made_up_ns, h->hz, NSEC_PER_SEC);
}
#else
static u64 watched_hpet(const struct clocksource *h)
{
	(void)h;
	return hpet_clock();
}
#endif

void hal_clock_check(void)
{
	static u64 last_tsc, last_hpet; /* the one caller's */
	const struct clocksource *h = clocksource_get(CLOCKSOURCE_HPET);
	u64 before = hal_cycles(), count = watched_hpet(h), after = hal_cycles();
	u64 by_tsc, by_hpet;

	if (after - before > CHECK_PAIR_CYCLES)
		return; /* interrupted in between: the next time */
	by_tsc = x86_mul_div(before - last_tsc, NSEC_PER_SEC, tsc_hz);
	by_hpet = x86_mul_div((count - last_hpet) & h->mask, NSEC_PER_SEC, h->hz);
	if (last_tsc && by_tsc < x86_mul_div(h->mask / 2, NSEC_PER_SEC, h->hz) &&
	    MAX(by_tsc, by_hpet) - MIN(by_tsc, by_hpet) > MIN(by_tsc, by_hpet) / CHECK_LIMIT_PARTS + NSEC_PER_MSEC)
		x86_clock_tsc_unstable("it drifts from the HPET");
	last_tsc = before;
	last_hpet = count;
}

/* ---- the rest of the contract ---- */

extern const u8 x86_vdso_start[], x86_vdso_end[]; /* vdso_image.asm */

const void *hal_vdso_image(size_t *bytes)
{
	*bytes = (size_t)(x86_vdso_end - x86_vdso_start);
	return x86_vdso_start;
}

void hal_delay_ns(u64 ns)
{
	u64 start = hal_cycles(), hz = tsc_hz ? tsc_hz : ASSUMED_HZ;
	u64 cycles = x86_mul_div(ns, hz, NSEC_PER_SEC);

	while (hal_cycles() - start < cycles)
		hal_cpu_relax();
}

u64 hal_clock_hz(void)
{
	return tsc_hz;
}

const char *hal_clock_source(void)
{
	return reference;
}

void hal_clock_params(u64 *base, u64 *mult)
{
	*base = READ_ONCE(x86_clock.base);
	*mult = tsc_hz ? clocksource_get(CLOCKSOURCE_TSC)->mult : 0;
}

bool hal_clock_user_readable(void)
{
	return READ_ONCE(x86_clock.mult) != 0;
}
