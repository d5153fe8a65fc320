/* SPDX-License-Identifier: MIT */
/*
 * The wall clock at boot: what firmware told the loader, else the CMOS clock, else what firmware's runtime service says.
 *
 * It is read once; from then on time goes by the clock of clock.c. A machine without either starts in 1970.
 */
#include <hal/clock.h>
#include "acpi_glue.h"
#include "efi_glue.h"
#include "x86.h"

#define CMOS_INDEX	0x70
#define CMOS_DATA	0x71

static u64 wallclock_at_boot;	/* [I] after x86_wallclock_init() */

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
	if (!wallclock_at_boot) {
		u64 now = x86_efi_wallclock();

		wallclock_at_boot = now ? now - hal_clock_ns() / NSEC_PER_SEC : 0;
	}
}

u64 hal_wallclock_seconds_at_boot(void)
{
	return wallclock_at_boot;
}
