/* SPDX-License-Identifier: MIT */
/*
 * The half of the loader that talks to the firmware. Everything here runs on the boot CPU, in boot
 * services, single-threaded; nothing but handoff.c's last steps runs after ExitBootServices.
 *
 * Functions that can fail print what failed and where, and return -1; efi_main() then waits for a key
 * and returns to the firmware, giving back all memory.
 */
#ifndef LOADER_LOADER_H
#define LOADER_LOADER_H

#include <efi.h>

#include <boot/bootinfo.h>

#include "config.h"
#include "elf.h"
#include "memmap.h"
#include "paging.h"
#include "random.h"
#include "text.h"

#define LOADER_LOG_BYTES	(8u * 1024u)
#define BELOW_4G		0xffffffffull
#define ANYWHERE		(~0ull)

/* A file of our volume that was read into memory. */
struct loaded_file {
	uint8_t *data;
	uint64_t bytes;
	uint64_t room;		/* whole pages allocated */
};

/* Everything that is known so far; filled from top to bottom by efi_main(). */
struct loader {
	EFI_HANDLE image;
	EFI_LOADED_IMAGE *loaded;
	EFI_FILE_HANDLE volume;
	uint64_t tsc_start;

	struct loaded_file config_file;
	struct config config;
	const struct config_entry *entry;
	char cmdline[BOOTINFO_CMDLINE_MAX];
	unsigned cmdline_bytes;
	bool nokaslr;

	struct loaded_file kernel_file;
	struct elf_plan plan;
	uint64_t kernel_phys;
	struct kaslr kaslr;
	uint64_t initrd_phys;
	uint64_t initrd_bytes;

	uint64_t trampoline;
	uint64_t jump_page;	/* below 4 GiB */
	struct paging paging;
	struct bootinfo *bootinfo;
};

/* ---- console.c: messages on the firmware's console, kept for the kernel's log ------------------- */

void console_init(EFI_SYSTEM_TABLE *system);
void say(const char *format, ...);		/* one line or part of one */
/* Print "loader: error: ..." and return -1. */
int fail(const char *format, ...);
/* The same for a refusal of portable code about the file of this name. */
int fail_about(const struct span *name, const struct load_error *error);
int fail_status(const char *doing, const struct span *name, EFI_STATUS status);
/* Keys from before a question do not answer it. */
void console_forget_keys(void);
/* Wait for a key; false when the machine has no keyboard to wait for. */
bool console_wait_key(EFI_INPUT_KEY *key);
/* Wait at most one second for a key. */
bool console_poll_key(EFI_INPUT_KEY *key);
size_t console_log(const char **text);

extern EFI_SYSTEM_TABLE *firmware;		/* set by console_init() */
extern EFI_BOOT_SERVICES *boot;

/* ---- files.c: our volume ------------------------------------------------------------------------ */

int volume_open(struct loader *loader);
/* Size of a file of the volume, or -1 after a message. */
int64_t file_size(struct loader *loader, const struct span *path);
/* Read exactly `bytes` from the file's start into `data`, in chunks. */
int file_read_into(struct loader *loader, const struct span *path, void *data, uint64_t bytes);
/* Allocate and read a whole file of at most `max` bytes. */
int file_load(struct loader *loader, const struct span *path, uint64_t max, struct loaded_file *file);

/* ---- menu.c ------------------------------------------------------------------------------------- */

/* Choose an entry: the default one at once, or by the menu. NULL: the user wants back to the firmware. */
const struct config_entry *menu_choose(const struct config *config);

/* ---- memory.c: pages and the firmware's map ----------------------------------------------------- */

/* Whole pages with an address of at most `max`; 0 after a message that names `purpose`. */
uint64_t pages_alloc(uint64_t bytes, uint64_t max, EFI_MEMORY_TYPE type, const char *purpose);
/* The same, aligned to 2 MiB. */
uint64_t pages_alloc_aligned(uint64_t bytes, const char *purpose);
void pages_free(uint64_t phys, uint64_t bytes);
/* Give everything back that pages_alloc() gave out. */
void pages_free_all(void);
/* Capacity in bytes that a memory map needs now, with room to grow; its descriptor size. */
int map_capacity(uint64_t *bytes, uint64_t *descriptor_bytes);
uint64_t trampoline_alloc(void);

/* ---- machine.c: what the firmware knows about the machine --------------------------------------- */

void machine_describe(struct loader *loader, struct bootinfo *bi);
/* Refuse a CPU that the kernel cannot run on. */
int machine_check_cpu(void);
void machine_gather_entropy(struct sponge *sponge, uint64_t *flags);
uint64_t read_tsc(void);
uint64_t read_cr4(void);
bool cpu_has_1g_pages(void);

/* ---- handoff.c ---------------------------------------------------------------------------------- */

/* Build everything, leave boot services and enter the kernel. Returns only on failure. */
int handoff_run(struct loader *loader);

/* ---- coverage.c --------------------------------------------------------------------------------- */

#if HALCYON_COVERAGE
/* Writes the coverage counters to QEMU. With or without boot services. */
void coverage_dump(void);
#else
static inline void coverage_dump(void)
{
}
#endif

/* ---- jump.asm ----------------------------------------------------------------------------------- */

/* Lies at the end of the jump page; offsets are known to jump.asm. */
struct jump_arguments {
	uint64_t cr3;
	uint64_t entry_virt;
	uint64_t stack_virt;
	uint64_t bootinfo_virt;
	uint16_t gdt_limit;			/* 32: GDT at its physical address */
	uint64_t gdt_phys;
	uint16_t gdt_limit_again;		/* 42: GDT through the direct map */
	uint64_t gdt_virt;
	uint16_t idt_limit;			/* 52: no IDT */
	uint64_t idt_base;
	uint32_t leave_offset;			/* 62: far pointer to the 32-bit part */
	uint16_t leave_selector;
	uint32_t return_offset;			/* 68: far pointer back to 64-bit code */
	uint16_t return_selector;
} __attribute__((packed));

_Static_assert(offsetof(struct jump_arguments, gdt_limit_again) == 42 &&
	       offsetof(struct jump_arguments, idt_limit) == 52 &&
	       offsetof(struct jump_arguments, leave_offset) == 62 &&
	       offsetof(struct jump_arguments, return_offset) == 68, "jump.asm knows these");

extern const uint8_t ImageBase;	/* where the firmware loaded us; from the link script */
extern const uint8_t jump_code_start[], jump_code_end[], jump_gdt[], jump_leave_la57[], jump_back_to_64[];

#endif /* LOADER_LOADER_H */
