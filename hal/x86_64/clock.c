/* SPDX-License-Identifier: MIT */
/*
 * The clock: the TSC, measured against the best reference that the machine has.
 *
 * Order of belief: CPUID 15h/16h for the TSC (the APIC timer is still measured), then the HPET, the ACPI
 * PM timer, the PIT. The references run at the same time as the two counters, in 1 ms windows; under an
 * emulator the ratio stays right whatever time really passes. Time 0 is the kernel's first C function.
 *
 * A TSC that is not invariant may change with power states; it is used with a warning. With several CPUs
 * part 3 compares their TSCs and has the HPET to fall back on.
 */
#include <hal/clock.h>
#include <lib/errno.h>
#include "acpi_glue.h"
#include "calibrate.h"
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
#define CMOS_INDEX	0x70
#define CMOS_DATA	0x71
#define ASSUMED_HZ	4000000000ull	/* before calibration: delays come out too long, never too short */

struct x86_clock x86_clock;
static u64 tsc_hz;
static const char *source = "none";
static u64 wallclock_at_boot;
static volatile u8 *hpet;

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

static bool try_reference(const char *name, u64 (*read)(void *), u64 hz, u64 mask, struct calibration *out)
{
	struct calibrate_io io = { read, read_tsc, read_apic, NULL, hz, mask };

	x86_apic_timer_start_raw(0xffffffffu);
	if (calibrate(&io, out) != 0) {
		upcall_log(4, "clock: the %s gives no sensible result", name);
		return false;
	}
	source = name;
	return true;
}

static bool measure(struct calibration *c)
{
	u64 hz, mask;

	if (hpet_start(&hz) && try_reference("HPET", read_hpet, hz, 0xffffffffu, c))
		return true;
	if (x86_acpi.pm_timer.address && x86_acpi.pm_timer.space == ACPI_SPACE_IO) {
		mask = x86_acpi.pm_timer.bits == 32 ? 0xffffffffu : 0xffffffu;
		if (try_reference("PM timer", read_pm_timer, ACPI_PM_TIMER_HZ, mask, c))
			return true;
	}
	pit_start();
	return try_reference("PIT", read_pit, PIT_HZ, 0xffff, c);
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

void x86_clock_init(void)
{
	struct calibration c;
	u64 told = hz_from_cpuid();

	if (!measure(&c))
		upcall_panic("no clock to measure the CPU's frequency with: no HPET, PM timer or PIT works");
	/* CPUID is exact where it is right; believe it only within 1 % of what was measured. */
	if (told && told / 100 * 99 < c.tsc_hz && c.tsc_hz < told / 100 * 101) {
		c.tsc_hz = told;
		source = "CPUID";
	}
	tsc_hz = c.tsc_hz;
	x86_clock.mult = calibrate_mult(tsc_hz);
	x86_apic_timer_calibrated(c.apic_hz);
	upcall_log(6, "clock: TSC %llu.%03llu MHz by %s%s, APIC timer %llu.%03llu MHz%s",
		   (unsigned long long)(tsc_hz / 1000000), (unsigned long long)(tsc_hz / 1000 % 1000), source,
		   x86_has(X86_F_NONSTOP_TSC) ? "" : " (not said to be invariant)",
		   (unsigned long long)(c.apic_hz / 1000000), (unsigned long long)(c.apic_hz / 1000 % 1000),
		   x86_has(X86_F_TSC_DEADLINE) ? ", TSC deadline" : "");
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
	return source;
}

void hal_clock_params(u64 *base, u64 *mult)
{
	*base = x86_clock.base;
	*mult = x86_clock.mult;
}

/* ---- wall clock ---- */

static u8 cmos(u8 reg)
{
	x86_outb(CMOS_INDEX, (u8)(0x80 | reg));	/* NMI off while the index is set */
	return x86_inb(CMOS_DATA);
}

static u32 from_bcd(u8 v, bool binary)
{
	return binary ? v : (v >> 4) * 10u + (v & 15u);
}

/* Days from 1970-01-01 (civil calendar, years from 1970). */
static u64 days_from_civil(u32 y, u32 m, u32 d)
{
	static const u16 before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	u32 years = y - 1970, leaps = (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400 - 477;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return years * 365ull + leaps + before[m - 1] + (m > 2 && leap) + d - 1;
}

/*
 * The CMOS clock (MC146818): wait for the end of an update, read twice until both agree. Registers hold
 * BCD and 12 hours unless status B says otherwise. 0: it makes no sense.
 */
static u64 read_cmos_clock(void)
{
	u8 v[7], again[7];
	static const u8 regs[7] = { 0, 2, 4, 7, 8, 9, 0x32 };
	u8 status;
	u32 hour, year, month, day;
	bool binary, same;

	for (int tries = 0; tries < 10; tries++) {
		for (int i = 0; i < 100000 && (cmos(0x0a) & 0x80); i++)
			;
		same = true;
		for (int i = 0; i < 7; i++)
			v[i] = cmos(regs[i]);
		for (int i = 0; i < 7; i++)
			same &= (again[i] = cmos(regs[i])) == v[i];
		if (same)
			break;
	}
	status = cmos(0x0b);
	x86_outb(CMOS_INDEX, 0x0d);	/* NMI on again */
	(void)x86_inb(CMOS_DATA);
	binary = (status & 4) != 0;
	hour = from_bcd(v[2] & 0x7f, binary);
	if (!(status & 2))
		hour = hour % 12 + ((v[2] & 0x80) ? 12 : 0);
	day = from_bcd(v[3], binary);
	month = from_bcd(v[4], binary);
	year = from_bcd(v[5], binary);
	year += x86_acpi.century == 0x32 ? from_bcd(v[6], binary) * 100 : year < 70 ? 2000 : 1900;
	if (!same || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || year < 1970 || year > 2400)
		return 0;
	return days_from_civil(year, month, day) * 86400 + hour * 3600 + from_bcd(v[1], binary) * 60 +
	       from_bcd(v[0], binary);
}

/* Firmware's clock as the loader read it, moved on to the kernel's entry; else the CMOS clock. */
void x86_wallclock_init(const struct bootinfo *bi)
{
	if (bi->flags & BOOT_FLAG_RTC_VALID && bi->rtc_unix_s > 0)
		wallclock_at_boot = (u64)bi->rtc_unix_s;
	else
		wallclock_at_boot = read_cmos_clock();
}

u64 hal_wallclock_seconds_at_boot(void)
{
	return wallclock_at_boot;
}

void x86_clock_tsc_unstable(const char *why)
{
	upcall_log(4, "clock: the TSC is not stable: %s", why);
}

bool x86_clock_wants_warp_test(void)
{
	return x86_clock.mult != 0;
}
