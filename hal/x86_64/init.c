/* SPDX-License-Identifier: MIT */
/*
 * The HAL's two steps of the boot list. What comes before them is in entry.asm and tables.c.
 *
 * Early: before anything is believed, the handoff is checked, and a kernel that does not understand it
 * says so on the serial line. (On the screen it cannot: where that is stands in the handoff. The loader says
 * it there, because it refuses a kernel whose note asks for another version.) Late: tables, controllers,
 * clock, in the order in which each needs the one before.
 */
#include <hal/clock.h>
#include <hal/console.h>
#include <hal/numa.h>
#include <lib/crc32.h>
#include <lib/printf.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "efi_glue.h"
#include "mitigate.h"
#include "pti.h"
#include "x86.h"

#define BOOTINFO_MAX_BYTES 4096

u64 hal_direct_map_base;
u64 hal_direct_map_length;
u64 hal_image_slide;
u64 x86_trampoline_page;
static u64 rsdp;
static struct bootinfo boot;	/* a copy: the loader's memory is reused */

static void say(const char *s)
{
	hal_console_early_write(s, strlen(s));
}

static __noreturn void refuse(const char *why, u64 got, u64 want)
{
	char line[128];

	snprintf(line, sizeof(line), "halcyon: the loader's handoff is not understood: %s is %llx, not %llx\n", why,
		 (unsigned long long)got, (unsigned long long)want);
	say(line);
	say("halcyon: use the BOOTX64.EFI that belongs to this kernel. Halted.\n");
	hal_cpu_halt_forever();
}

/* The CRC covers the structure with its own field as 0. */
static u32 handoff_crc(const struct bootinfo *bi)
{
	static const u8 zero[4];
	const u8 *bytes = (const u8 *)bi;
	u32 crc = crc32(0, bytes, offsetof(struct bootinfo, crc));

	crc = crc32(crc, zero, sizeof(zero));
	return crc32(crc, bytes + offsetof(struct bootinfo, paging_levels),
		     bi->size - offsetof(struct bootinfo, paging_levels));
}

static void check_handoff(const struct bootinfo *bi)
{
	if (bi->magic != BOOTINFO_MAGIC)
		refuse("the magic number", bi->magic, BOOTINFO_MAGIC);
	if (bi->version != BOOTINFO_VERSION)
		refuse("the version", bi->version, BOOTINFO_VERSION);
	if (bi->size < sizeof(*bi) || bi->size > BOOTINFO_MAX_BYTES)
		refuse("the size", bi->size, sizeof(*bi));
	if (bi->crc != handoff_crc(bi))
		refuse("the checksum", bi->crc, handoff_crc(bi));
	if (bi->paging_levels != HAL_PT_LEVELS)
		refuse("the number of paging levels", bi->paging_levels, HAL_PT_LEVELS);
}

/*
 * PAT (SDM vol. 3A 12.12): entry 1 becomes write-combining, the others stay as after reset, so that old
 * entries keep their meaning. Nothing has been mapped with entry 1 before.
 */
static void pat_init(void)
{
	if (x86_has(X86_F_PAT))
		x86_wrmsr(X86_MSR_PAT, 0x0007040600070106ull);
}

void hal_early_init(const struct bootinfo *bi)
{
	x86_clock.base = x86_rdtsc();
	x86_console_init();
	check_handoff(bi);
	boot = *bi;
	hal_direct_map_base = bi->direct_map_virt;
	hal_direct_map_length = bi->direct_map_length;
	hal_image_slide = bi->kernel_virt - bi->kernel_base;
	rsdp = bi->acpi_rsdp;
	x86_trampoline_page = bi->trampoline;
	x86_efi_early(bi);
	pat_init();
	x86_fpu_init();
	x86_features_report();
	x86_mitigate_init(bi);
}

void hal_late_init(void)
{
	x86_guards_init();
	x86_pti_init();
	x86_acpi_init(rsdp);
	x86_efi_init();
	x86_power_init();
	x86_pic_disable();
	x86_apic_init();
	x86_cpu_set_node(&x86_cpu0, hal_numa_node_of_cpu(0));
	x86_irq_init();
	x86_ioapic_init();
	x86_clock_init();
	x86_wallclock_init(&boot);
}
