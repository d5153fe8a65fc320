/* SPDX-License-Identifier: MIT */
/*
 * The handoff: what efi-loader/ tells the kernel.
 *
 * One structure, `struct bootinfo`, versioned, fixed-width, with a CRC. The loader fills it before it
 * calls ExitBootServices, finishes it after the call, and enters the kernel. Nothing else passes
 * between the two: no register but one, no fixed address, no firmware call.
 *
 * Addresses. Every address in here is *physical* unless its name ends in `_virt`. The kernel reaches
 * physical memory through the direct map that the loader built:
 *
 *	virtual = bi->direct_map_virt + physical
 *
 * The direct map holds all RAM that the firmware's map names (usable, loader, boot services, runtime,
 * ACPI), never-executable, with the physical pages of the kernel's text and rodata read-only. Memory
 * of type reserved, MMIO and unusable is *not* in it, nor is the framebuffer: map those on their own.
 *
 * Entry contract. The kernel's ELF entry point is entered
 *   - on the boot CPU, in ring 0, 64-bit mode, 4-level paging, on the loader's page tables (cr3 below);
 *   - with EFER.NXE, CR0.WP and CR0.PG set, CR4.PGE and CR4.LA57 clear, CR4 otherwise as the firmware
 *     left it, PAT untouched;
 *   - with IF = 0 and DF = 0, and the local APIC, I/O APICs and 8259s as the firmware left them;
 *   - with RDI = virtual (direct map) address of struct bootinfo, System V calling convention;
 *   - with RSP in the direct map, BOOTINFO_STACK_BYTES below it, 16-aligned *before* a virtual return
 *     address is pushed (RSP % 16 == 8 at the first instruction, as after a call; the address there is
 *     0, which ends a backtrace), RBP = 0;
 *   - with CS, SS and the data segments naming a flat GDT of the loader that lies in loader-reclaim
 *     memory and is mapped through the direct map, an IDT limit of 0 (any exception is a triple fault,
 *     so the first job is an IDT), TR and LDTR undefined, FS and GS bases undefined.
 * The entry point never returns.
 *
 * The page tables hold exactly: the kernel image at kernel_virt with its final permissions in 4 KiB
 * pages, the direct map, and one identity page for the jump (identity_page). They are complete enough
 * to run on for ever, but are made of loader-reclaim memory: build others, then reuse that memory.
 *
 * Ownership. Memory of type BOOT_MEM_LOADER_RECLAIM (this structure, its buffers, the stack, the page
 * tables) is the kernel's to reuse when it no longer needs what lies there. BOOT_MEM_KERNEL is the
 * image for ever, BOOT_MEM_INITRD may be freed once unpacked, BOOT_MEM_TRAMPOLINE is the only RAM
 * below 1 MiB that is anyone's; the other low RAM is reported as BOOT_MEM_LOW, because firmware is
 * known to clobber it, and is best left alone.
 *
 * Versions. `version` changes when a field changes its meaning; fields are only ever added at the end,
 * which `size` tells. A kernel accepts exactly its own version and a size of at least its own.
 */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <stddef.h>
#include <stdint.h>

#define BOOTINFO_MAGIC		0x4f464e494c41483full	/* bytes "?HALINFO" */
#define BOOTINFO_VERSION	1u
#define BOOTINFO_STACK_BYTES	(16u * 1024u)
#define BOOTINFO_SEED_BYTES	64u
#define BOOTINFO_CMDLINE_MAX	4096u	/* with the NUL; Linux's COMMAND_LINE_SIZE is 2048 */

/* Where the kernel image is linked and how far its slide may take it (design §4). */
#define BOOT_KERNEL_LINK_VIRT	0xffffffff80000000ull
#define BOOT_KERNEL_AREA_BYTES	0x0000000040000000ull	/* 1 GiB: image + slide stay inside */
#define BOOT_KERNEL_SLIDE_ALIGN	0x0000000000200000ull	/* 2 MiB */

/* The window in which the direct map lies; its base is a multiple of 1 GiB. */
#define BOOT_DIRECT_MAP_FIRST	0xffff800000000000ull
#define BOOT_DIRECT_MAP_END	0xffffc00000000000ull
#define BOOT_DIRECT_MAP_ALIGN	0x0000000040000000ull

/* bootinfo.flags */
#define BOOT_FLAG_NOKASLR	(1ull << 0)	/* slide is 0 and the direct map at its first address */
#define BOOT_FLAG_SECURE_BOOT	(1ull << 1)	/* the firmware verifies what it starts */
#define BOOT_FLAG_SETUP_MODE	(1ull << 2)	/* no platform key: anybody may enrol one */
#define BOOT_FLAG_LEFT_LA57	(1ull << 3)	/* the firmware ran with 5-level paging */
#define BOOT_FLAG_SEED_RNG	(1ull << 4)	/* the firmware's RNG protocol went into the seed */
#define BOOT_FLAG_SEED_RDRAND	(1ull << 5)	/* RDRAND or RDSEED went into the seed */
#define BOOT_FLAG_RTC_VALID	(1ull << 6)	/* rtc_unix_s holds the firmware's wall clock */
#define BOOT_FLAG_PAGES_1G	(1ull << 7)	/* the direct map uses 1 GiB pages */

/* Types of struct bootinfo_region. */
enum boot_mem_type {
	BOOT_MEM_USABLE		= 1,	/* free RAM from 1 MiB up */
	BOOT_MEM_LOADER_RECLAIM	= 2,	/* the handoff's own memory: free after it was copied */
	BOOT_MEM_BOOT_SERVICES	= 3,	/* firmware's until ExitBootServices: free RAM now */
	BOOT_MEM_KERNEL		= 4,	/* the kernel image */
	BOOT_MEM_INITRD		= 5,	/* the initrd: free after it was unpacked */
	BOOT_MEM_TRAMPOLINE	= 6,	/* one page below 1 MiB for starting CPUs */
	BOOT_MEM_RUNTIME_CODE	= 7,	/* UEFI runtime services: keep, map 1:1 in their own space */
	BOOT_MEM_RUNTIME_DATA	= 8,
	BOOT_MEM_ACPI_RECLAIM	= 9,	/* ACPI tables: free RAM once nobody reads tables any more */
	BOOT_MEM_ACPI_NVS	= 10,	/* ACPI non-volatile storage: keep */
	BOOT_MEM_LOW		= 11,	/* RAM below 1 MiB: leave alone */
	BOOT_MEM_PERSISTENT	= 12,	/* persistent memory: RAM, but not for us */
	BOOT_MEM_MMIO		= 13,	/* device registers: not RAM */
	BOOT_MEM_UNUSABLE	= 14,	/* RAM that reported errors */
	BOOT_MEM_RESERVED	= 15,	/* everything else, unknown types among it: not RAM for us */
};

/*
 * One piece of the normalised memory map: page-aligned, never empty, sorted by base, not overlapping,
 * and no two touching neighbours alike in type and attributes. Where the firmware's descriptors
 * overlapped, the type that is worst for us (the higher number above 6) won.
 */
struct bootinfo_region {
	uint64_t base;
	uint64_t length;	/* bytes */
	uint32_t type;		/* enum boot_mem_type */
	uint32_t reserved;
	uint64_t attributes;	/* UEFI 2.10 §7.2.3: EFI_MEMORY_* of the descriptor */
};

/* A piece of physical memory; length 0 means absent. */
struct bootinfo_buffer {
	uint64_t base;
	uint64_t length;	/* bytes */
};

/* The raw UEFI map, as ExitBootServices accepted it. Step by descriptor_size, never by sizeof. */
struct bootinfo_efi_map {
	uint64_t base;
	uint64_t length;	/* bytes */
	uint32_t descriptor_size;
	uint32_t descriptor_version;
};

/* One descriptor of it: the fields that version 1 defines (UEFI 2.10 §7.2.3). */
struct bootinfo_efi_descriptor {
	uint32_t type;
	uint32_t pad;
	uint64_t physical_start;
	uint64_t virtual_start;
	uint64_t number_of_pages;	/* 4 KiB each */
	uint64_t attribute;
};

/* A linear framebuffer of the firmware (GOP); base 0 means that there is none. */
struct bootinfo_framebuffer {
	uint64_t base;
	uint64_t length;	/* bytes */
	uint32_t width;		/* pixels */
	uint32_t height;	/* pixels */
	uint32_t pitch;		/* bytes from one line to the next */
	uint32_t bits_per_pixel;
	uint32_t red_mask;
	uint32_t green_mask;
	uint32_t blue_mask;
	uint32_t reserved_mask;
};

struct bootinfo {
	/* Header: check these four, then the CRC, before anything else. */
	uint64_t magic;			/* BOOTINFO_MAGIC */
	uint32_t version;		/* BOOTINFO_VERSION */
	uint32_t size;			/* bytes of this structure as the loader knows it */
	uint32_t crc;			/* CRC-32 (IEEE) of `size` bytes with this field as 0 */
	uint32_t paging_levels;		/* 4 */
	uint64_t flags;			/* BOOT_FLAG_* */

	/* The kernel image. */
	uint64_t kernel_base;		/* physical, 2 MiB aligned */
	uint64_t kernel_length;		/* bytes in memory, whole pages */
	uint64_t kernel_virt;		/* BOOT_KERNEL_LINK_VIRT + kernel_slide */
	uint64_t kernel_slide;		/* bytes */
	uint64_t kernel_entry_virt;

	/* The address space that the kernel starts on. */
	uint64_t direct_map_virt;	/* multiple of 1 GiB in the window above */
	uint64_t direct_map_length;	/* bytes: end of the highest RAM, rounded up to 1 GiB */
	uint64_t cr3;
	struct bootinfo_buffer page_tables;	/* the arena that all tables lie in */
	uint64_t identity_page;		/* the one page mapped 1:1 for the jump, code of the loader */
	struct bootinfo_buffer stack;

	/* Memory. */
	struct bootinfo_efi_map efi_map;
	uint64_t regions;		/* array of struct bootinfo_region */
	uint32_t region_count;
	uint32_t region_size;		/* bytes of one element */
	uint64_t trampoline;		/* page below 1 MiB, or 0 when there was none */

	/* What the kernel was told and given. */
	struct bootinfo_buffer initrd;	/* all initrd files, each padded with zeros to 4 bytes */
	struct bootinfo_buffer cmdline;	/* length without the NUL that follows */
	struct bootinfo_buffer loader_log;	/* what the loader printed, ASCII */
	struct bootinfo_buffer boot_device_path;	/* UEFI device path of our volume */

	/* The machine. */
	uint64_t acpi_rsdp;		/* 0: none */
	uint32_t acpi_revision;		/* of the RSDP: 0 for ACPI 1.0, 2 for later ones */
	uint32_t boot_apic_id;		/* initial APIC id of this CPU, from CPUID */
	uint64_t smbios2;		/* entry point "_SM_", or 0 */
	uint64_t smbios3;		/* entry point "_SM3_", or 0 */
	uint64_t efi_system_table;
	uint32_t efi_revision;		/* of the system table: 2.70 is 0x20046 */
	uint32_t firmware_revision;	/* the vendor's */
	struct bootinfo_framebuffer framebuffer;
	struct bootinfo_buffer edid;	/* of the monitor at the framebuffer */
	uint8_t seed[BOOTINFO_SEED_BYTES];

	/* CPU state as the firmware left it at the loader's entry. */
	uint64_t entry_cr0;
	uint64_t entry_cr4;
	uint64_t entry_efer;
	uint64_t entry_apic_base;	/* MSR 1Bh */

	/* Time. */
	uint64_t tsc_loader_start;
	uint64_t tsc_exit_boot_services;	/* right after the successful call */
	int64_t rtc_unix_s;		/* seconds since 1970, UTC; valid with BOOT_FLAG_RTC_VALID */
	uint32_t exit_tries;		/* calls of ExitBootServices, 1 on good firmware */
	uint32_t reserved;
};

/*
 * The note that a kernel file carries (ELF note "Halcyon", type 1, in a PT_NOTE inside a loadable
 * segment). The link script lays it down, the build seals it. The loader refuses a kernel without it,
 * of another handoff version, or whose checksum does not match what it read.
 *
 * crc is the CRC-32 over, for each PT_LOAD in order: p_vaddr, p_memsz and p_filesz as eight bytes each,
 * then the segment's bytes in the file; then e_entry as eight bytes. The crc field itself counts as 0.
 */
#define BOOT_NOTE_NAME		"Halcyon"
#define BOOT_NOTE_TYPE		1u

struct boot_kernel_note {
	uint32_t name_size;		/* 8 */
	uint32_t desc_size;		/* 16 */
	uint32_t type;			/* BOOT_NOTE_TYPE */
	char name[8];			/* BOOT_NOTE_NAME and its NUL */
	uint32_t bootinfo_version;	/* the handoff that this kernel takes */
	uint32_t crc;
	uint64_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct boot_kernel_note) == 36, "handoff layout");
_Static_assert(sizeof(struct bootinfo_region) == 32, "handoff layout");
_Static_assert(sizeof(struct bootinfo_buffer) == 16, "handoff layout");
_Static_assert(sizeof(struct bootinfo_efi_map) == 24, "handoff layout");
_Static_assert(sizeof(struct bootinfo_efi_descriptor) == 40, "handoff layout");
_Static_assert(sizeof(struct bootinfo_framebuffer) == 48, "handoff layout");
_Static_assert(offsetof(struct bootinfo, version) == 8, "handoff layout");
_Static_assert(offsetof(struct bootinfo, size) == 12, "handoff layout");
_Static_assert(offsetof(struct bootinfo, crc) == 16, "handoff layout");
_Static_assert(offsetof(struct bootinfo, kernel_base) == 32, "handoff layout");
_Static_assert(offsetof(struct bootinfo, direct_map_virt) == 72, "handoff layout");
_Static_assert(offsetof(struct bootinfo, efi_map) == 136, "handoff layout");
_Static_assert(offsetof(struct bootinfo, initrd) == 184, "handoff layout");
_Static_assert(offsetof(struct bootinfo, acpi_rsdp) == 248, "handoff layout");
_Static_assert(offsetof(struct bootinfo, framebuffer) == 296, "handoff layout");
_Static_assert(offsetof(struct bootinfo, seed) == 360, "handoff layout");
_Static_assert(offsetof(struct bootinfo, tsc_loader_start) == 456, "handoff layout");
_Static_assert(sizeof(struct bootinfo) == 488, "handoff layout");

#endif /* BOOT_BOOTINFO_H */
