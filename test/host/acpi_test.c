/* SPDX-License-Identifier: MIT */
/* The ACPI parser over tables made here, good ones and each kind of wrong one. */
#include <lib/crc32.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>

#include "acpi_tables.h"

static struct acpi_memory mem;
static struct acpi_info info;

/* Where the tables of the good machine lie in the memory. */
enum {
	RSDP = 0, RSDT = 0x100, XSDT = 0x200, MADT = 0x400, FADT = 0x800, DSDT = 0xa00, HPET = 0xc00,
	SPCR = 0xd00, MCFG = 0xe00, END = 0x1000,
	BIG = 0x2000,		/* for tables that need room */
};

static void put(u32 at, u64 v, u32 bytes)
{
	memcpy(mem.data + at, &v, bytes);
}

static void seal(u32 at)
{
	u32 len = get_le32(mem.data + at + 4);

	mem.data[at + 9] = 0;
	mem.data[at + 9] = (u8)-checksum8(mem.data + at, len);
}

static void table(u32 at, const char *signature, u32 len, u8 revision)
{
	memset(mem.data + at, 0, len);
	memcpy(mem.data + at, signature, 4);
	put(at + 4, len, 4);
	put(at + 8, revision, 1);
	seal(at);
}

static void seal_rsdp(void)
{
	mem.data[RSDP + 8] = 0;
	mem.data[RSDP + 8] = (u8)-checksum8(mem.data + RSDP, 20);
	mem.data[RSDP + 32] = 0;
	mem.data[RSDP + 32] = (u8)-checksum8(mem.data + RSDP, 36);
}

static void make_rsdp(void)
{
	memcpy(mem.data + RSDP, "RSD PTR ", 8);
	memcpy(mem.data + RSDP + 9, "BOCHS ", 6);
	put(RSDP + 15, 2, 1);
	put(RSDP + 16, ACPI_BASE + RSDT, 4);
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, ACPI_BASE + XSDT, 8);
	seal_rsdp();
}

static void make_roots(void)
{
	static const u32 at[] = { MADT, FADT, HPET, SPCR, MCFG };

	table(RSDT, "RSDT", 36 + 4 * 5, 1);
	table(XSDT, "XSDT", 36 + 8 * 5, 1);
	for (u32 i = 0; i < 5; i++) {
		put(RSDT + 36 + 4 * i, ACPI_BASE + at[i], 4);
		put(XSDT + 36 + 8 * i, ACPI_BASE + at[i], 8);
	}
	seal(RSDT);
	seal(XSDT);
}

static u32 madt_at, madt_end;

static void madt_entry(const void *bytes, u32 n)
{
	memcpy(mem.data + madt_end, bytes, n);
	madt_end += n;
	put(madt_at + 4, madt_end - madt_at, 4);
	seal(madt_at);
}

#define MADT_ENTRY(...) madt_entry((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void make_madt(void)
{
	table(MADT, "APIC", 44, 3);
	put(MADT + 36, 0xfee00000, 4);
	put(MADT + 40, 1, 4);
	madt_at = MADT;
	madt_end = MADT + 44;
	MADT_ENTRY(0, 8, 0, 0, 1, 0, 0, 0);
	MADT_ENTRY(0, 8, 1, 1, 1, 0, 0, 0);
	MADT_ENTRY(0, 8, 2, 2, 0, 0, 0, 0);				/* neither enabled nor capable */
	MADT_ENTRY(0, 8, 3, 3, 2, 0, 0, 0);				/* capable only */
	MADT_ENTRY(0, 8, 4, 255, 1, 0, 0, 0);				/* broadcast */
	MADT_ENTRY(1, 12, 9, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
	MADT_ENTRY(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);			/* IRQ 0 is GSI 2 */
	MADT_ENTRY(2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0);			/* SCI: level, high */
	MADT_ENTRY(3, 8, 5, 0, 30, 0, 0, 0);
	MADT_ENTRY(4, 6, 255, 0, 0, 1);
	MADT_ENTRY(5, 12, 0, 0, 0, 0, 0, 0xfe, 1, 0, 0, 0);		/* 0x1_fe00_0000 */
	MADT_ENTRY(9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0);	/* x2APIC 256 */
	MADT_ENTRY(9, 16, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0);	/* APIC 1 again */
	MADT_ENTRY(127, 4, 0, 0);
}

static void make_fadt(u32 len, u8 revision)
{
	table(FADT, "FACP", 276, revision);
	put(FADT + 40, ACPI_BASE + DSDT, 4);
	put(FADT + 46, 9, 2);
	put(FADT + 48, 0xb2, 4);
	put(FADT + 52, 2, 1);
	put(FADT + 56, 0x600, 4);
	put(FADT + 64, 0x604, 4);
	put(FADT + 76, 0x608, 4);
	put(FADT + 91, 4, 1);
	put(FADT + 108, 0x32, 1);
	put(FADT + 109, 2, 2);
	put(FADT + 112, BIT(10) | BIT(8), 4);
	put(FADT + 116, 0x0801, 2);
	put(FADT + 120, 0xcf9, 8);
	put(FADT + 128, 0x0f, 1);
	put(FADT + 140, ACPI_BASE + DSDT, 8);
	put(FADT + 208, 0x2001, 2);
	put(FADT + 212, 0x708, 8);
	put(FADT + 4, len, 4);
	seal(FADT);
}

static void make_dsdt(const void *aml, u32 n)
{
	table(DSDT, "DSDT", 36 + n, 2);
	memcpy(mem.data + DSDT + 36, aml, n);
	seal(DSDT);
}

static void good_machine(void)
{
	static const u8 s5[] = "\x10\x20_S5_\x12\x01\x08\\_S5_\x12\x06\x04\x0a\x05\x0b\x06\x00\x00";

	memset(&mem, 0, sizeof(mem));
	mem.n = END;
	make_rsdp();
	make_roots();
	make_madt();
	make_fadt(276, 6);
	make_dsdt(s5, sizeof(s5));
	table(HPET, "HPET", 56, 1);
	put(HPET + 44, 0xfed00000, 8);
	put(HPET + 53, 100, 2);
	seal(HPET);
	table(SPCR, "SPCR", 80, 2);
	put(SPCR + 40, 0x0801, 2);
	put(SPCR + 44, 0x3f8, 8);
	put(SPCR + 54, 4, 4);
	put(SPCR + 58, 7, 1);
	seal(SPCR);
	table(MCFG, "MCFG", 44 + 16, 1);
	put(MCFG + 44, 0xb0000000, 8);
	put(MCFG + 55, 0xff, 1);
	seal(MCFG);
}

static int parse(void)
{
	struct acpi_access access = { memory_map, memory_unmap, memory_report, &mem };
	int err;

	mem.reports = 0;
	err = acpi_parse(ACPI_BASE + RSDP, &access, &info);
	EXPECT_EQ(mem.mapped, 0);
	return err;
}

TEST(good_machine)
{
	good_machine();
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(mem.reports, 0);
	EXPECT_EQ(info.revision, 2);
	EXPECT_STR(info.oem, "BOCHS ");
	EXPECT_EQ(info.nr_tables, 5);
	EXPECT_EQ(acpi_find_table(&info, "HPET", 0)->paddr, ACPI_BASE + HPET);
	EXPECT(!acpi_find_table(&info, "HPET", 1) && !acpi_find_table(&info, "SSDT", 0));
	EXPECT_EQ(info.hpet_paddr, 0xfed00000);
	EXPECT_EQ(info.hpet_min_tick, 100);
	EXPECT(info.has_spcr && info.spcr.address == 0x3f8 && info.spcr_baud == 115200);
	EXPECT_EQ(info.spcr_gsi, 4);
	EXPECT_EQ(info.nr_segments, 1);
	EXPECT_EQ(info.segments[0].paddr, 0xb0000000);
	EXPECT_EQ(info.segments[0].last_bus, 255);
}

TEST(madt)
{
	good_machine();
	EXPECT_EQ(parse(), 0);
	EXPECT(info.has_madt && info.has_pic);
	EXPECT_EQ(info.lapic_paddr, 0x1fe000000);
	EXPECT_EQ(info.nr_cpus, 4);
	EXPECT(info.cpus[0].apic_id == 0 && info.cpus[0].enabled);
	EXPECT(info.cpus[2].apic_id == 3 && !info.cpus[2].enabled);
	EXPECT(info.cpus[3].apic_id == 256 && info.cpus[3].uid == 7 && info.cpus[3].enabled);
	EXPECT_EQ(info.cpus_absent, 2);
	EXPECT_EQ(info.nr_ioapics, 1);
	EXPECT(info.ioapics[0].paddr == 0xfec00000 && info.ioapics[0].id == 9);
	EXPECT_EQ(acpi_isa_irq(&info, 0).gsi, 2);
	EXPECT_EQ(acpi_isa_irq(&info, 0).trigger, ACPI_EDGE);
	EXPECT_EQ(acpi_isa_irq(&info, 9).trigger, ACPI_LEVEL);
	EXPECT_EQ(acpi_isa_irq(&info, 9).polarity, ACPI_ACTIVE_HIGH);
	EXPECT_EQ(acpi_isa_irq(&info, 4).gsi, 4);
	EXPECT(info.nr_nmi_sources == 1 && info.nmi_sources[0].gsi == 30);
	EXPECT(info.nr_lapic_nmis == 1 && info.lapic_nmis[0].uid == ACPI_ALL_CPUS);
	EXPECT_EQ(info.lapic_nmis[0].lint, 1);
}

TEST(madt_bad_entries)
{
	good_machine();
	MADT_ENTRY(0, 4, 9, 9);				/* too short */
	MADT_ENTRY(0, 8, 10, 10, 1, 0, 0, 0);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(mem.reports, 1);
	EXPECT_EQ(info.nr_cpus, 5);
	MADT_ENTRY(0, 0);				/* would never end */
	MADT_ENTRY(0, 8, 11, 11, 1, 0, 0, 0);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(mem.reports, 2);
	EXPECT_EQ(info.nr_cpus, 5);
	good_machine();
	MADT_ENTRY(0, 200, 9, 9, 1, 0, 0, 0);		/* past the end */
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_cpus, 4);
}

/* Which of the places that are empty may be filled: up to revision 4 all, from 5 on those that say so. */
TEST(madt_absent_cpus)
{
	good_machine();
	MADT_ENTRY(0, 8, 5, 1, 0, 0, 0, 0);		/* an unused entry with the ID of one that is there */
	MADT_ENTRY(0, 8, 6, 3, 1, 0, 0, 0);		/* one that was capable only is there after all */
	EXPECT_EQ(parse(), 0);
	EXPECT(info.cpus_absent == 1 && info.nr_cpus == 4 && info.cpus[2].enabled);
	good_machine();
	put(MADT + 8, 5, 1);
	seal(MADT);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.cpus_absent, 1);
}

/* A MADT behind the other tables, with room to grow. */
static void big_madt(void)
{
	good_machine();
	mem.n = ACPI_MEMORY_BYTES;
	table(BIG, "APIC", 44, 3);
	madt_end = BIG + 44;
	madt_at = BIG;
	put(XSDT + 36, ACPI_BASE + BIG, 8);
	seal(XSDT);
}

TEST(madt_full_lists)
{
	big_madt();
	for (int i = 0; i < 60; i++) {
		MADT_ENTRY(2, 10, 0, 5, 5, 0, 0, 0, 0, 0);
		MADT_ENTRY(1, 12, 9, 0, (u8)i, 1, 0xc0, 0xfe, (u8)i, 1, 0, 0);
		MADT_ENTRY(3, 8, 0, 0, (u8)i, 0, 0, 0);
		MADT_ENTRY(10, 12, 0x0f, 0, (u8)i, 1, 0, 0, 0, 0, 0, 0);
	}
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_overrides, ACPI_MAX_OVERRIDES);
	EXPECT_EQ(info.nr_ioapics, ACPI_MAX_IOAPICS);
	EXPECT_EQ(info.nr_nmi_sources, ACPI_MAX_NMIS);
	EXPECT_EQ(info.nr_lapic_nmis, ACPI_MAX_NMIS);
	EXPECT(info.lapic_nmis[3].uid == 0x103 && info.lapic_nmis[3].polarity == ACPI_ACTIVE_LOW &&
	       info.lapic_nmis[3].trigger == ACPI_LEVEL);
	EXPECT_EQ(mem.reports, 60 - ACPI_MAX_OVERRIDES + 60 - ACPI_MAX_IOAPICS);
}

TEST(madt_doubtful_entries)
{
	big_madt();
	MADT_ENTRY(1, 12, 1, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
	MADT_ENTRY(1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0);	/* the same address */
	MADT_ENTRY(1, 12, 3, 0, 0, 0, 0xc1, 0xfe, 0, 0, 0, 0);	/* the same interrupts */
	MADT_ENTRY(1, 12, 4, 0, 0, 0, 0, 0, 48, 0, 0, 0);	/* no address */
	MADT_ENTRY(2, 10, 1, 3, 3, 0, 0, 0, 0, 0);		/* not ISA */
	MADT_ENTRY(2, 10, 0, 16, 3, 0, 0, 0, 0, 0);		/* no such line */
	MADT_ENTRY(4, 6, 1, 0, 0, 2);				/* no such input */
	MADT_ENTRY(9, 16, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0, 7, 0, 0, 0);	/* broadcast */
	MADT_ENTRY(6, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(mem.reports, 5);
	EXPECT_EQ(info.nr_ioapics, 1);
	EXPECT(info.nr_overrides == 0 && info.nr_lapic_nmis == 0 && info.nr_cpus == 0);
	table(BIG, "APIC", 43, 3);
	EXPECT_EQ(parse(), 0);
	EXPECT(!info.has_madt && info.lapic_paddr == 0xfee00000);
}

/* More processors than there is room for; the table lies behind the others. */
TEST(madt_many_cpus)
{
	u32 at = BIG;

	good_machine();
	mem.n = ACPI_MEMORY_BYTES;
	table(at, "APIC", 44 + 16 * 1000, 3);
	for (u32 i = 0; i < 1000; i++) {
		put(at + 44 + 16 * i, 0x1009, 2);
		put(at + 44 + 16 * i + 4, i, 4);
		put(at + 44 + 16 * i + 8, 1, 4);
	}
	seal(at);
	put(XSDT + 36, ACPI_BASE + at, 8);
	seal(XSDT);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_cpus, ACPI_MAX_CPUS);
	EXPECT_EQ(info.cpus_dropped, 1000 - ACPI_MAX_CPUS);
}

TEST(fadt)
{
	good_machine();
	EXPECT_EQ(parse(), 0);
	EXPECT(info.has_fadt && info.has_8042 && info.has_vga && info.has_rtc && !info.hw_reduced);
	EXPECT_EQ(info.sci_irq, 9);
	EXPECT_EQ(info.smi_command, 0xb2);
	EXPECT_EQ(info.pm1a_control.address, 0x604);
	EXPECT_EQ(info.pm1b_control.address, 0);
	/* The extended address wins. */
	EXPECT(info.pm_timer.address == 0x708 && info.pm_timer.bits == 32);
	EXPECT(info.reset.address == 0xcf9 && info.reset.space == ACPI_SPACE_IO && info.reset_value == 15);
	EXPECT_EQ(info.century, 0x32);
	EXPECT(info.has_s5 && info.s5_type_a == 5 && info.s5_type_b == 6);
}

TEST(fadt_short_and_old)
{
	/* ACPI 1.0: 116 bytes, no reset register, no extended fields, no 8042 flag. */
	good_machine();
	make_fadt(116, 1);
	put(FADT + 109, 0, 2);
	seal(FADT);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.has_8042);
	EXPECT_EQ(info.reset.address, 0);
	EXPECT_EQ(info.pm_timer.address, 0x608);
	EXPECT_EQ(info.pm_timer.bits, 32);
	EXPECT(info.has_s5);
	put(FADT + 112, BIT(10), 4);	/* the timer has 24 bits, and wraps each 4.7 s */
	seal(FADT);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.pm_timer.bits, 24);
	put(FADT + 8, 3, 1);
	seal(FADT);
	EXPECT_EQ(parse(), 0);
	EXPECT(!info.has_8042 && !info.no_msi);
	put(FADT + 109, 8, 2);
	seal(FADT);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.no_msi);
	for (u32 len = 36; len < 276; len++) {
		good_machine();
		make_fadt(len, 6);
		EXPECT_EQ(parse(), 0);
	}
}

TEST(fadt_hardware_reduced)
{
	good_machine();
	put(FADT + 112, BIT(20), 4);
	put(FADT + 244, 0x0801, 2);
	put(FADT + 248, 0x608, 8);
	seal(FADT);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.hw_reduced && info.pm1a_control.address == 0 && info.pm_timer.address == 0);
	EXPECT_EQ(info.sleep_control.address, 0x608);
}

TEST(fadt_impossible_registers)
{
	good_machine();
	put(FADT + 172, 0, 2);			/* memory, no width given */
	put(FADT + 176, 0xfed80800, 8);
	put(FADT + 212, 0x10000, 8);		/* a port above the last one: the old field serves */
	put(FADT + 60, 0x12345678, 4);		/* likewise, and nothing else is there */
	put(FADT + 120, 0x1cf9, 8);
	put(FADT + 122, 1, 8);
	seal(FADT);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.pm1a_control.space == ACPI_SPACE_MEMORY && info.pm1a_control.bits == 16);
	EXPECT_EQ(info.pm_timer.address, 0x608);
	EXPECT_EQ(info.pm1b_event.address, 0);
	EXPECT_EQ(info.reset.address, 0);
}

TEST(s5_in_an_ssdt)
{
	static const u8 s5[] = "\x08_S5_\x12\x06\x04\x0a\x02\x00\x00\x00";

	good_machine();
	mem.n = ACPI_MEMORY_BYTES;
	make_dsdt("nothing", 7);
	table(BIG, "SSDT", 36 + sizeof(s5), 2);
	memcpy(mem.data + BIG + 36, s5, sizeof(s5));
	seal(BIG);
	put(XSDT + 36 + 8 * 4, ACPI_BASE + BIG, 8);
	seal(XSDT);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.has_s5 && info.s5_type_a == 2 && info.s5_type_b == 0);
	/* The DSDT is not one: the SSDT still serves. */
	mem.data[DSDT] = 'X';
	seal(DSDT);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.has_s5 && mem.reports == 1);
}

/* Constants of all sizes, each bus once; what is no such declaration, or is cut off, is none. */
TEST(root_buses)
{
	static const u8 aml[] = "\x08_BBN\x00\x08_BBN\x0a\x40\x14\x06_BBN\x0a\x41\x08_BBN\x0b\x80\x00"
				"\x08_BBN\x0a\x40\x08_BBN\x0c\x00\x01\x00\x00\x08_BBN\x11\x08_BBN\x0b\x50";

	good_machine();
	make_dsdt(aml, sizeof(aml) - 1);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_root_buses, 3);
	EXPECT(info.root_buses[0].bus == 0 && info.root_buses[1].bus == 0x40 && info.root_buses[2].bus == 0x80);
	EXPECT(!info.root_buses[0].has_domain && !info.root_buses[1].has_domain);
}

/* The proximity domain is that of the same device, in whatever order; a neighbour's and an outer one's are not. */
TEST(root_bus_domains)
{
	static const u8 aml[] = "\x5b\x82\x12PC40\x08_PXM\x01\x08_BBN\x0a\x40" "\x5b\x82\x0cPC50\x08_BBN\x0a\x50"
				"\x5b\x82\x44\x01PC60\x08_BBN\x0a\x60\x08_PXM\x0a\x07" "\x08_PXM\x0a\x09";

	good_machine();
	make_dsdt(aml, sizeof(aml) - 1);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_root_buses, 3);
	EXPECT(info.root_buses[0].has_domain && info.root_buses[0].domain == 1);
	EXPECT(info.root_buses[1].bus == 0x50 && !info.root_buses[1].has_domain);
	EXPECT(info.root_buses[2].has_domain && info.root_buses[2].domain == 7);
}

TEST(hpet_impossible)
{
	good_machine();
	put(HPET + 44, 0xfed00001, 8);
	seal(HPET);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.hpet_paddr == 0 && mem.reports == 1);
	put(HPET + 44, 0xfed00000, 8);
	put(HPET + 40, ACPI_SPACE_IO, 1);
	seal(HPET);
	EXPECT_EQ(parse(), 0);
	EXPECT(info.hpet_paddr == 0 && mem.reports == 1);
}

TEST(s5_forms)
{
	static const struct {
		const char *aml;
		u32 n;
		int a, b;
	} cases[] = {
#define AML(text, a, b) { text, sizeof(text) - 1, a, b }
		AML("\x08_S5_\x12\x06\x04\x00\x01\x00\x00", 0, 1),
		AML("\x08_S5_\x12\x06\x02\x0a\x07\x0a\x07", 7, 7),
		AML("\x08_S5_\x12\x46\x00\x02\x0a\x03\x0c\x02\x00\x00\x00", 3, 2),
		AML("\x08_S5_\x12\x06\x01\x0a\x05", 5, 0),
		AML("\x08_S5_\x12\x06\x02\xff\x00", 7, 0),
		AML("\x08_S5_\x12\x06\x02\x11\x00", -1, 0),
		AML("\x08_S5_\x12\x06\x02\x00", -1, 0),
		AML("\x08_S5_\x12\x06\x00\x0a\x05", -1, 0),
		AML("\x08_S5_\x12\x06\x02\x0a", -1, 0),
		AML("\x08_S5_\x12\x06\x02\x0e\x01", -1, 0),
		AML("\x08_S5_\x12", -1, 0),
		AML("\x08_S5_", -1, 0),
		AML("\x0d_S5_\x12\x06\x04\x00\x01\x00\x00", -1, 0),
		AML("_S5_", -1, 0),
		AML("\x08_S5_\x14\x06\x04\x00\x01", -1, 0),
#undef AML
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		good_machine();
		make_dsdt(cases[i].aml, cases[i].n);
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(info.has_s5, cases[i].a >= 0);
		if (info.has_s5) {
			EXPECT_EQ(info.s5_type_a, cases[i].a);
			EXPECT_EQ(info.s5_type_b, cases[i].b);
		}
	}
}

TEST(wrong_tables_are_skipped)
{
	static const u32 all[] = { MADT, FADT, HPET, SPCR, MCFG };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		good_machine();
		mem.data[all[i] + 37] ^= 1;		/* checksum */
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(mem.reports, 1);
		EXPECT_EQ(info.nr_tables, 4);
		good_machine();
		put(all[i] + 4, 35, 4);			/* shorter than its header */
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(info.nr_tables, 4);
		good_machine();
		put(all[i] + 4, 0xfffffff0, 4);		/* longer than memory */
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(info.nr_tables, 4);
		good_machine();
		put(all[i] + 4, END - all[i] + 1, 4);	/* one byte past memory */
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(info.nr_tables, 4);
		put(XSDT + 36 + 8 * i, ACPI_BASE + END - 35, 8);	/* not even a header there */
		seal(XSDT);
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(info.nr_tables, 4);
		put(XSDT + 36 + 8 * i, 0xfffffffffffffff0, 8);
		seal(XSDT);
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(info.nr_tables, 4);
		good_machine();
		put(XSDT + 36 + 8 * i, 0, 8);		/* an empty slot is no fault */
		seal(XSDT);
		EXPECT_EQ(parse(), 0);
		EXPECT_EQ(mem.reports, 0);
	}
}

/* Each bad entry is reported; a table of nothing else is not read for ever. */
TEST(endless_root)
{
	good_machine();
	mem.n = ACPI_MEMORY_BYTES;
	table(BIG, "XSDT", 36 + 8 * 1000, 1);
	for (u32 i = 0; i < 1000; i++)
		put(BIG + 36 + 8 * i, ACPI_BASE + (i < 5 ? get_le64(mem.data + XSDT + 36 + 8 * i) - ACPI_BASE : END - 35), 8);
	seal(BIG);
	put(RSDP + 24, ACPI_BASE + BIG, 8);
	seal_rsdp();
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_tables, 5);
	EXPECT_EQ(mem.reports, 1 + ACPI_MAX_ENTRIES - 5);
}

TEST(roots)
{
	/* A bad XSDT: the RSDT serves. */
	good_machine();
	mem.data[XSDT + 30] ^= 1;
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_tables, 5);
	EXPECT_EQ(mem.reports, 1);
	/* Both bad. */
	mem.data[RSDT + 30] ^= 1;
	EXPECT_EQ(parse(), -EINVAL);
	EXPECT(info.has_8042 && info.nr_tables == 0 && info.lapic_paddr == 0xfee00000);
	/* Revision 0, with rubbish where the extended part would be. */
	good_machine();
	put(RSDP + 15, 0, 1);
	seal_rsdp();
	put(RSDP + 24, 0x1234, 8);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_tables, 5);
	/* Extended checksum wrong: revision 2, RSDT. */
	good_machine();
	mem.data[RSDP + 33] ^= 1;
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_tables, 5);
	EXPECT_EQ(mem.reports, 1);
	/* No RSDP. */
	mem.data[RSDP] ^= 1;
	EXPECT_EQ(parse(), -ENODEV);
	mem.n = 10;
	EXPECT_EQ(parse(), -ENODEV);
}

TEST(root_lists_itself_and_too_many)
{
	good_machine();
	mem.n = ACPI_MEMORY_BYTES;
	table(0x2000, "XSDT", 36 + 8 * 200, 1);
	put(RSDP + 24, ACPI_BASE + 0x2000, 8);
	seal_rsdp();
	for (u32 i = 0; i < 200; i++) {
		put(0x2000 + 36 + 8 * i, ACPI_BASE + 0x4000 + 64 * i, 8);
		table(0x4000 + 64 * i, "SSDT", 40, 1);
	}
	put(0x2000 + 36, ACPI_BASE + 0x2000, 8);
	seal(0x2000);
	EXPECT_EQ(parse(), 0);
	EXPECT_EQ(info.nr_tables, ACPI_MAX_TABLES);
}
