/* SPDX-License-Identifier: MIT */
/* The EFI system table of many shapes, and firmware's calendar. */
#include <lib/fls.h>
#include <lib/string.h>

#include <hal/efi_tables.h>
#include "acpi_tables.h"

#define CODE_BASE	0x7f000000ull	/* runtime code: not in the pretended memory, only named */
#define RUNTIME		(1ull << 63)
#define WB		8ull

static struct acpi_memory mem;
static struct efi_info info;
static struct bootinfo_region regions[EFI_MAX_REGIONS + 8];
static struct efi_source src;

enum { SYSTAB = 0x100, SERVICES = 0x200, CONFIG = 0x400, ATTRIBUTES = 0x1000 };

static void put(u32 at, u64 v, u32 bytes)
{
	memcpy(mem.data + at, &v, bytes);
}

static void region(u64 base, u64 length, u32 type, u64 attributes)
{
	regions[src.region_count++] = (struct bootinfo_region){
		.base = base, .length = length, .type = type, .attributes = attributes,
	};
}

static void config(u32 i, const char *guid, u64 at)
{
	memcpy(mem.data + CONFIG + 24 * i, guid, 16);
	put(CONFIG + 24 * i + 16, at, 8);
	put(SYSTAB + 104, i + 1, 8);
}

static void good_machine(void)
{
	memset(&mem, 0, sizeof(mem));
	mem.n = ACPI_MEMORY_BYTES;
	src = (struct efi_source){ .system_table = ACPI_BASE + SYSTAB, .regions = regions };
	region(CODE_BASE, 0x10000, BOOT_MEM_RUNTIME_CODE, RUNTIME | WB);
	region(ACPI_BASE, 0x1000, BOOT_MEM_RUNTIME_DATA, RUNTIME | WB);
	region(0xffc00000, 0x400000, BOOT_MEM_MMIO, RUNTIME | 1);
	region(ACPI_BASE + 0x1000, 0x1000, BOOT_MEM_BOOT_SERVICES, WB);
	put(SYSTAB, 0x5453595320494249ull, 8);
	put(SYSTAB + 12, 120, 4);
	put(SYSTAB + 24, ACPI_BASE + 0x50, 8);
	put(SYSTAB + 88, ACPI_BASE + SERVICES, 8);
	put(SYSTAB + 112, ACPI_BASE + CONFIG, 8);
	put(SERVICES, 0x56524553544e5552ull, 8);
	put(SERVICES + 12, 136, 4);
	for (u32 at = 24; at < 136; at += 8)
		put(SERVICES + at, CODE_BASE + at, 8);
	config(0, "\x71\xe8\x68\x88\xf1\xe4\xd3\x11\xbc\x22\x00\x80\xc7\x3c\x88\x81", 0x1000);
	config(1, "\x44\x15\xfd\xf2\x94\x97\x2c\x4a\x99\x2e\xe5\xbb\xcf\x20\xe3\x94", 0x2000);
}

static void parse(void)
{
	struct acpi_access access = { memory_map, memory_unmap, memory_report, &mem };

	mem.reports = 0;
	efi_parse(&src, &access, &info);
	EXPECT_EQ(mem.mapped, 0);
}

TEST(efi_good_machine)
{
	good_machine();
	parse();
	EXPECT_EQ(mem.reports, 0);
	EXPECT(info.usable && info.tables.system_table == ACPI_BASE + SYSTAB);
	EXPECT_EQ(info.services[HAL_EFI_GET_TIME], CODE_BASE + 24);
	EXPECT_EQ(info.services[HAL_EFI_RESET], CODE_BASE + 104);
	EXPECT(info.tables.acpi20 == 0x1000 && info.tables.smbios3 == 0x2000 && info.tables.acpi == 0);
	EXPECT_EQ(info.nr_regions, 3);
	EXPECT_EQ(info.regions[0].rights, EFI_RIGHT_WRITE | EFI_RIGHT_EXEC);
	EXPECT_EQ(info.regions[1].rights, EFI_RIGHT_WRITE);
	EXPECT_EQ(info.regions[2].rights, EFI_RIGHT_WRITE | EFI_RIGHT_DEVICE);
	EXPECT(!info.tables.attributes);
}

TEST(efi_absent)
{
	good_machine();
	src.system_table = 0;
	parse();
	EXPECT(!info.usable && mem.reports == 0 && info.nr_regions == 0);
}

TEST(efi_wrong_system_table)
{
	good_machine();
	src.system_table = ACPI_BASE + 0x1100;	/* not runtime memory */
	parse();
	EXPECT(!info.usable && mem.reports == 1);
	good_machine();
	mem.data[SYSTAB] ^= 1;
	parse();
	EXPECT(!info.usable && mem.reports == 1);
	good_machine();
	put(SYSTAB + 12, 23, 4);
	parse();
	EXPECT(!info.usable && mem.reports == 1);
	good_machine();
	put(SYSTAB + 12, 0x1000, 4);		/* past its region */
	parse();
	EXPECT(!info.usable && mem.reports == 1);
	good_machine();
	mem.n = SYSTAB + 60;			/* past memory */
	parse();
	EXPECT(!info.usable && mem.reports == 1);
}

TEST(efi_wrong_services)
{
	good_machine();
	put(SYSTAB + 88, 0x1234, 8);
	parse();
	EXPECT(!info.usable && mem.reports == 1);
	good_machine();
	mem.data[SERVICES] ^= 1;
	parse();
	EXPECT(!info.usable && mem.reports == 1);
	good_machine();
	put(SERVICES + 24, ACPI_BASE + 0x800, 8);	/* data is not code */
	put(SERVICES + 32, CODE_BASE + 0x10000, 8);	/* one past the code */
	put(SERVICES + 72, 0xffffffff80000000ull, 8);	/* the kernel */
	put(SERVICES + 80, 0, 8);
	parse();
	EXPECT(info.usable && mem.reports == 3);
	EXPECT(!info.services[HAL_EFI_GET_TIME] && !info.services[HAL_EFI_SET_TIME]);
	EXPECT(!info.services[HAL_EFI_GET_VARIABLE] && !info.services[HAL_EFI_NEXT_VARIABLE]);
	EXPECT_EQ(info.services[HAL_EFI_RESET], CODE_BASE + 104);
	put(SERVICES + 12, 100, 4);		/* a short table has no ResetSystem */
	parse();
	EXPECT_EQ(info.services[HAL_EFI_RESET], 0);
}

TEST(efi_wrong_regions)
{
	good_machine();
	region(0x1000, 0, BOOT_MEM_RUNTIME_CODE, RUNTIME);
	region(0x1001, 0x1000, BOOT_MEM_RUNTIME_CODE, RUNTIME);
	region(0x1000, 0x1001, BOOT_MEM_RUNTIME_CODE, RUNTIME);
	region((1ull << 47) - 0x1000, 0x2000, BOOT_MEM_RUNTIME_CODE, RUNTIME);
	region(~0xfffull, 0x1000, BOOT_MEM_RUNTIME_CODE, RUNTIME);
	parse();
	EXPECT(info.usable && mem.reports == 5 && info.nr_regions == 3);
	good_machine();
	while (src.region_count < EFI_MAX_REGIONS + 2)
		region(0x1000ull * src.region_count, 0x1000, BOOT_MEM_RUNTIME_DATA, RUNTIME | WB);
	parse();
	EXPECT(info.nr_regions == EFI_MAX_REGIONS && mem.reports == 1);
}

TEST(efi_wrong_configuration)
{
	good_machine();
	put(SYSTAB + 104, 1u << 30, 8);
	parse();
	EXPECT(info.usable && mem.reports == 1 && info.tables.nr_config == 0);
	good_machine();
	put(SYSTAB + 112, 0x1234, 8);
	parse();
	EXPECT(info.usable && mem.reports == 1 && info.tables.acpi20 == 0);
}

static void attribute(u32 i, u32 type, u64 base, u64 pages, u64 attributes)
{
	u32 at = ATTRIBUTES + 16 + 48 * i;

	put(ATTRIBUTES, 1, 4);
	put(ATTRIBUTES + 4, i + 1, 4);
	put(ATTRIBUTES + 8, 48, 4);
	put(at, type, 4);
	put(at + 8, base, 8);
	put(at + 24, pages, 8);
	put(at + 32, attributes, 8);
}

#define XP BIT(14)
#define RO BIT(17)

TEST(efi_attributes)
{
	good_machine();
	config(2, "\x1d\x91\xfa\xdc\xeb\x26\x9f\x46\xa2\x20\x38\xb7\xdc\x46\x12\x20", ACPI_BASE + ATTRIBUTES);
	attribute(0, 5, CODE_BASE, 4, RO);
	attribute(1, 5, CODE_BASE + 0x4000, 2, XP);
	attribute(2, 5, CODE_BASE + 0x6000, 1, RO | XP);
	attribute(3, 5, CODE_BASE + 0xf000, 2, RO);	/* reaches out of its region */
	attribute(4, 5, 0x123000, 1, RO);		/* in none */
	attribute(5, 7, CODE_BASE, 1, RO);		/* of no runtime type */
	attribute(6, 6, CODE_BASE, 1ull << 60, XP);	/* wraps */
	attribute(7, 6, CODE_BASE + 1, 1, XP);		/* not aligned */
	parse();
	EXPECT(info.usable && info.tables.attributes && mem.reports == 5);
	EXPECT_EQ(info.nr_regions, 6);
	EXPECT_EQ(info.regions[3].rights, EFI_RIGHT_EXEC);
	EXPECT_EQ(info.regions[4].rights, EFI_RIGHT_WRITE);
	EXPECT_EQ(info.regions[5].rights, 0);
	put(ATTRIBUTES + 4, 100000, 4);
	parse();
	EXPECT(info.usable && mem.reports == 1 && info.nr_regions == 3);
	put(ATTRIBUTES + 4, 1, 4);
	put(ATTRIBUTES + 8, 39, 4);
	parse();
	EXPECT(info.usable && mem.reports == 1 && info.nr_regions == 3);
}

TEST(efi_time)
{
	static const struct {
		struct hal_efi_time t;
		u64 seconds;
	} cases[] = {
		{ { .year = 1970, .month = 1, .day = 1, .second = 1, .timezone = HAL_EFI_NO_TIMEZONE }, 1 },
		{ { .year = 2000, .month = 2, .day = 29, .timezone = 0 }, 951782400 },
		{ { .year = 2000, .month = 3, .day = 1, .timezone = 0 }, 951868800 },
		{ { .year = 2026, .month = 11, .day = 21, .hour = 9, .minute = 50, .second = 36 }, 1795254636 },
		{ { .year = 2026, .month = 11, .day = 21, .hour = 9, .minute = 50, .second = 36, .timezone = -60 }, 1795251036 },
		{ { .year = 2100, .month = 3, .day = 1 }, 4107542400ull },
		{ { .year = 1970, .month = 1, .day = 1, .timezone = -60 }, 0 },
		{ { .year = 2026, .month = 13, .day = 1 }, 0 },
		{ { .year = 2026, .month = 0, .day = 1 }, 0 },
		{ { .year = 2026, .month = 1, .day = 0 }, 0 },
		{ { .year = 2026, .month = 1, .day = 1, .hour = 24 }, 0 },
		{ { .year = 2026, .month = 1, .day = 1, .minute = 60 }, 0 },
		{ { .year = 65535, .month = 1, .day = 1 }, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(hal_efi_time_seconds(&cases[i].t), cases[i].seconds);
}
