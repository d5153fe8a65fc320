/* SPDX-License-Identifier: MIT */
/*
 * The wall clock at boot: hal/x86_64/wallclock.c on a made-up CMOS clock (MC146818), with its four formats and its updates. QEMU's
 * firmware has always told the time before the kernel asks, so no machine of the rings reads it.
 */
#include <hal/clock.h>
#include "acpi_glue.h"
#include "efi_glue.h"
#include "framework.h"
#include "x86.h"

#define STATUS_BINARY	4u
#define STATUS_24_HOURS	2u
#define PM		0x80u
#define UPDATES		0x80u	/* status A: an update is under way */

struct acpi_info x86_acpi;
struct x86_clock x86_clock;	/* mult 0: time is x86_clock_slow_ns() */

static struct {
	u32 year, month, day, hour, minute, second;
	u8 status;		/* B */
	u8 index;
	bool nmi_off;
	u32 updates;		/* so many looks at status A see one */
	u32 reads, carry_at;	/* at that read of a register it is a second later; 0: never */
} rtc;
static u64 efi_seconds, now_ns;

u64 x86_clock_slow_ns(void) { return now_ns; }
u64 x86_efi_wallclock(void) { return efi_seconds; }

/* ---- the clock ---- */

static u8 coded(u32 v)
{
	return (u8)(rtc.status & STATUS_BINARY ? v : v / 10 << 4 | v % 10);
}

static u8 hour_register(void)
{
	u32 twelve = rtc.hour % 12 ? rtc.hour % 12 : 12;

	if (rtc.status & STATUS_24_HOURS)
		return coded(rtc.hour);
	return (u8)(coded(twelve) | (rtc.hour >= 12 ? PM : 0));
}

void x86_outb(u16 port, u8 v)
{
	EXPECT_EQ(port, 0x70);	/* nobody writes the time */
	rtc.index = v & 0x7f;
	rtc.nmi_off = v >> 7;
}

u8 x86_inb(u16 port)
{
	EXPECT_EQ(port, 0x71);
	if (rtc.index == 0x0a)
		return rtc.updates ? (u8)(rtc.updates--, UPDATES) : 0;
	if (rtc.index == 0x0b)
		return rtc.status;
	if (rtc.index == 0x0d)
		return 0x80;
	EXPECT(rtc.nmi_off);
	if (++rtc.reads == rtc.carry_at) {	/* 59 becomes 0, and a minute has passed */
		rtc.second = 0;
		rtc.minute++;
	}
	switch (rtc.index) {
	case 0:
		return coded(rtc.second);
	case 2:
		return coded(rtc.minute);
	case 4:
		return hour_register();
	case 7:
		return coded(rtc.day);
	case 8:
		return coded(rtc.month);
	case 9:
		return coded(rtc.year % 100);
	case 0x32:
		return coded(rtc.year / 100);
	default:
		test_fail(__FILE__, __LINE__, "CMOS register %x", rtc.index);
		return 0;
	}
}

/* ---- tests ---- */

static u64 boot_seconds(void)
{
	struct bootinfo none = { .flags = 0 };

	x86_wallclock_init(&none);
	EXPECT(!rtc.nmi_off);
	return hal_wallclock_seconds_at_boot();
}

static void set(u32 year, u32 month, u32 day, u32 hour, u32 minute, u32 second)
{
	u8 status = rtc.status;

	rtc = (typeof(rtc)){ year, month, day, hour, minute, second, .status = status };
	efi_seconds = now_ns = 0;
}

static void each_format(u32 year, u32 month, u32 day, u32 hour, u64 want)
{
	for (u8 status = 0; status < 8; status = (u8)(status + 2)) {
		rtc.status = status;
		set(year, month, day, hour, 34, 56);
		EXPECT_EQ(boot_seconds(), want);
	}
}

TEST(wallclock_formats)
{
	x86_acpi.century = 0x32;
	each_format(1970, 1, 1, 0, 2096);
	each_format(1999, 12, 31, 23, 946683296);
	each_format(2000, 2, 29, 12, 951827696);
	each_format(2026, 11, 21, 13, 1795268096);
	each_format(2038, 1, 19, 3, 2147484896);
	each_format(2100, 3, 1, 12, 4107587696);	/* 2100 has no 29th of February */
	each_format(2400, 3, 1, 1, 13574655296);	/* 2400 has */
}

/* Without a register for the century two digits stand for 1970 to 2069. */
TEST(wallclock_without_century)
{
	x86_acpi.century = 0;
	each_format(2026, 11, 21, 0, 1795221296);
	each_format(2069, 1, 1, 0, 3124226096);
	each_format(1970, 1, 1, 0, 2096);
	x86_acpi.century = 0x32;
}

/* An update between two registers: what was read of both sides of it is not taken for a time. */
TEST(wallclock_while_it_updates)
{
	rtc.status = STATUS_BINARY | STATUS_24_HOURS;
	for (u32 at = 1; at < 32; at++) {
		set(2026, 11, 21, 13, 34, 59);
		rtc.carry_at = at;
		EXPECT_EQ(boot_seconds(), 1795268096 + (at <= 9 ? 4 : 3));
	}
	set(2026, 11, 21, 13, 34, 56);
	rtc.updates = 1000;
	EXPECT_EQ(boot_seconds(), 1795268096);
	EXPECT_EQ(rtc.updates, 0);
}

/* Firmware is asked for what makes no sense. */
TEST(wallclock_nonsense)
{
	rtc.status = STATUS_BINARY | STATUS_24_HOURS;
	set(2026, 0, 21, 0, 0, 0);
	EXPECT_EQ(boot_seconds(), 0);
	set(2026, 13, 21, 0, 0, 0);
	efi_seconds = 1000000000;
	now_ns = 7999999999;
	EXPECT_EQ(boot_seconds(), 999999993);	/* as it was when the kernel was entered */
	set(2026, 1, 0, 0, 0, 0);
	EXPECT_EQ(boot_seconds(), 0);
	set(2026, 1, 32, 0, 0, 0);
	EXPECT_EQ(boot_seconds(), 0);
	set(2026, 1, 1, 24, 0, 0);
	EXPECT_EQ(boot_seconds(), 0);
	set(1969, 1, 1, 0, 0, 0);
	EXPECT_EQ(boot_seconds(), 0);
}

/* What the loader has read counts before all. */
TEST(wallclock_of_the_loader)
{
	struct bootinfo bi = { .flags = BOOT_FLAG_RTC_VALID, .rtc_unix_s = 1234567890 };

	set(2026, 11, 21, 13, 34, 56);
	x86_wallclock_init(&bi);
	EXPECT_EQ(hal_wallclock_seconds_at_boot(), 1234567890);
	EXPECT_EQ(rtc.reads, 0);
	bi.rtc_unix_s = -5;
	x86_wallclock_init(&bi);
	EXPECT_EQ(hal_wallclock_seconds_at_boot(), 1795268096);
}
