/* SPDX-License-Identifier: MIT */
#ifndef HAL_ACPI_H
#define HAL_ACPI_H

/*
 * What the kernel wants to know from the ACPI tables (ACPI 6.5 chapter 5),
 * taken out once at boot into one plain structure. The parser is portable and
 * sees memory only through the accessor, so it runs on the host over made-up
 * tables. It trusts nothing: each table's length and checksum are checked, each
 * field is read only if the table is long enough to have it, and a table that is
 * wrong is reported and skipped.
 *
 * AML is not interpreted. The one object that is needed of it, \_S5 (the sleep
 * type that powers off), is a constant package in practice and is looked for as
 * bytes.
 */
#include <lib/compiler.h>

#define ACPI_MAX_TABLES	   64
#define ACPI_MAX_ENTRIES   256	/* of an XSDT or RSDT, good ones and bad ones */
#define ACPI_MAX_CPUS	   512
#define ACPI_MAX_ROOT_BUSES 16
#define ACPI_MAX_IOAPICS   16
#define ACPI_MAX_OVERRIDES 24
#define ACPI_MAX_NMIS	   16
#define ACPI_MAX_SEGMENTS  8
#define ACPI_MAX_MEMORY	   128	/* ranges of the SRAT */
#define ACPI_MAX_DOMAINS   64	/* rows of the SLIT */

/* How the parser reaches physical memory, and what it calls. */
struct acpi_access {
	/*
	 * len bytes at paddr, or NULL when they cannot be read. Stays valid until
	 * unmap, which may be NULL when nothing is to be undone.
	 */
	const void *(*map)(void *ctx, paddr_t paddr, u64 len);
	void (*unmap)(void *ctx, const void *p, u64 len);
	/* A line for the log: what was found wrong, in which table. May be NULL. */
	void (*report)(void *ctx, const char *what, const char *table, paddr_t paddr);
	void *ctx;
};

enum acpi_space {
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_IO = 1,
	ACPI_SPACE_PCI = 2,
};

/* A register; address 0: there is none. */
struct acpi_reg {
	u64 address;
	u8 space;		/* enum acpi_space */
	u8 bits;		/* width */
};

struct acpi_table {
	paddr_t paddr;
	u32 len;
	char signature[5];
};

struct acpi_cpu {
	u32 apic_id;
	u32 uid;
	bool enabled;		/* else it may only be plugged in later */
};

struct acpi_ioapic {
	paddr_t paddr;
	u32 id;
	u32 gsi_base;
};

enum acpi_polarity { ACPI_POLARITY_BUS = 0, ACPI_ACTIVE_HIGH = 1, ACPI_ACTIVE_LOW = 3 };
enum acpi_trigger { ACPI_TRIGGER_BUS = 0, ACPI_EDGE = 1, ACPI_LEVEL = 3 };

/* ISA interrupt irq arrives as gsi. Bus default for ISA: edge, active high. */
struct acpi_override {
	u32 gsi;
	u8 irq;
	u8 polarity;		/* enum acpi_polarity */
	u8 trigger;		/* enum acpi_trigger */
};

struct acpi_nmi_source {
	u32 gsi;
	u8 polarity, trigger;
};

#define ACPI_ALL_CPUS 0xffffffffU

struct acpi_lapic_nmi {
	u32 uid;		/* or ACPI_ALL_CPUS */
	u8 lint;		/* 0 or 1 */
	u8 polarity, trigger;
};

struct acpi_segment {
	paddr_t paddr;		/* of the configuration space of bus 0 */
	u16 segment;
	u8 first_bus, last_bus;
};

/* Which proximity domain (a number of the firmware's) a processor or a range of memory is near to. */
struct acpi_cpu_affinity {
	u32 apic_id;
	u32 domain;
};

struct acpi_memory_affinity {
	paddr_t base;
	u64 bytes;
	u32 domain;
	bool hotplug;		/* memory may come there later; there need not be any now */
};

/* Where a host bridge begins, and near to which memory it is. */
struct acpi_root_bus {
	u8 bus;
	bool has_domain;
	u32 domain;
};

struct acpi_info {
	u8 revision;		/* of the RSDP: 0 or 2 */
	char oem[7];
	struct acpi_table tables[ACPI_MAX_TABLES];
	u32 nr_tables;

	/* MADT */
	bool has_madt;
	bool has_pic;		/* there are also two 8259s: mask them */
	paddr_t lapic_paddr;
	struct acpi_cpu cpus[ACPI_MAX_CPUS];
	u32 nr_cpus;
	u32 cpus_dropped;	/* did not fit */
	u32 cpus_absent;	/* places that are empty now: neither in `cpus`, nor in use */
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	u32 nr_ioapics;
	struct acpi_override overrides[ACPI_MAX_OVERRIDES];
	u32 nr_overrides;
	struct acpi_nmi_source nmi_sources[ACPI_MAX_NMIS];
	u32 nr_nmi_sources;
	struct acpi_lapic_nmi lapic_nmis[ACPI_MAX_NMIS];
	u32 nr_lapic_nmis;

	/* FADT */
	bool has_fadt;
	bool hw_reduced;	/* no PM1 registers, no PM timer */
	bool has_8042;		/* true when the table is too old to say */
	bool no_msi;		/* messages do not work here */
	bool has_vga;
	bool has_rtc;
	u8 century;		/* index in the RTC's memory, 0: none */
	u16 sci_irq;
	u32 smi_command;	/* port; 0: always in ACPI mode */
	u8 acpi_enable;		/* what to write there */
	struct acpi_reg pm1a_event, pm1b_event;
	struct acpi_reg pm1a_control, pm1b_control;
	struct acpi_reg pm_timer;	/* bits 24 or 32, 3.579545 MHz */
	struct acpi_reg reset;		/* write reset_value */
	u8 reset_value;
	struct acpi_reg sleep_control;	/* hardware-reduced machines */

	/* _BBN: buses that host bridges begin with, as far as they are constants */
	struct acpi_root_bus root_buses[ACPI_MAX_ROOT_BUSES];
	u32 nr_root_buses;

	/* \_S5: to power off, write SLP_TYP << 10 | SLP_EN (bit 13) to PM1x control. */
	bool has_s5;
	u8 s5_type_a, s5_type_b;

	/* HPET */
	paddr_t hpet_paddr;	/* 0: none */
	u16 hpet_min_tick;

	/* SPCR: the console's serial port */
	bool has_spcr;
	u8 spcr_type;		/* 0, 1: 16550 */
	struct acpi_reg spcr;
	u32 spcr_gsi;
	u32 spcr_baud;		/* 0: as firmware left it */

	/* MCFG */
	struct acpi_segment segments[ACPI_MAX_SEGMENTS];
	u32 nr_segments;

	/* SRAT: enabled entries only, no processor twice, no empty range */
	bool has_srat;
	struct acpi_cpu_affinity cpu_affinity[ACPI_MAX_CPUS];
	u32 nr_cpu_affinity;
	struct acpi_memory_affinity memory_affinity[ACPI_MAX_MEMORY];
	u32 nr_memory_affinity;

	/* SLIT: distance from domain a to b is slit[a * slit_domains + b]; 10 is "the same". 0 domains: none. */
	u32 slit_domains;
	u8 slit[ACPI_MAX_DOMAINS * ACPI_MAX_DOMAINS];
};

#define ACPI_DISTANCE_LOCAL 10
#define ACPI_PM_TIMER_HZ 3579545U
#define ACPI_SLP_EN	 (1U << 13)
#define ACPI_SLP_TYP_SHIFT 10

/*
 * Fills *info. 0; -ENODEV: no RSDP there; -EINVAL: an RSDP, but no good root
 * table. In both cases *info is empty but whole (zeros, has_8042 and the like
 * true), and the machine goes on without ACPI. Called once, early, one CPU; takes no
 * locks, allocates nothing.
 */
int __must_check acpi_parse(paddr_t rsdp, const struct acpi_access *access,
			    struct acpi_info *info);

/* The n-th table with this signature, checked already; NULL if there is none. */
const struct acpi_table *acpi_find_table(const struct acpi_info *info, const char *signature,
					 u32 n);

/* The interrupt line of an ISA irq, with its polarity and trigger resolved. */
struct acpi_override acpi_isa_irq(const struct acpi_info *info, u8 irq);

#endif
