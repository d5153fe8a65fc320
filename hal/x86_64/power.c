/* SPDX-License-Identifier: MIT */
/*
 * Reset and power-off. Each way is tried and given some time; then comes the next, more brutal one. They
 * run in panics too: no locks, no allocation, bounded waits.
 */
#include <hal/clock.h>
#include <hal/console.h>
#include <hal/nmi.h>
#include <hal/power.h>
#include "acpi_glue.h"
#include "efi_glue.h"
#include "x86.h"

#define QEMU_EXIT_PORT	0xf4
#define I8042_STATUS	0x64
#define I8042_INPUT_FULL 2
#define I8042_RESET	0xfe
#define RESET_CONTROL	0xcf9	/* PCI reset control register of PC chip sets */
#define GRACE_NS	(50 * NSEC_PER_MSEC)
#define DRAIN_POLLS	2000u	/* 200 ms: a FIFO at 1200 baud */
#define DRAIN_POLL_NS	100000ull
#define SCI_ENABLED	1u	/* PM1 control bit 0: the machine is in ACPI mode */
#define ACPI_MODE_POLLS	100000
#define SLEEP_TYPE_SHIFT 2	/* of the sleep control register, ACPI 6.5 4.8.3.7 */
#define SLEEP_ENABLE	0x20
#define PCI_CONFIG_ADDRESS 0xcf8
#define PCI_CONFIG_DATA	0xcfc

/* A register of the FADT; memory is mapped in time, because a panic cannot. [I] after x86_power_init() */
struct power_reg {
	const struct acpi_reg *reg;
	volatile u8 *mmio;
};

static struct power_reg reset_reg = { .reg = &x86_acpi.reset };
static struct power_reg pm1a = { .reg = &x86_acpi.pm1a_control };
static struct power_reg pm1b = { .reg = &x86_acpi.pm1b_control };
static struct power_reg sleep_reg = { .reg = &x86_acpi.sleep_control };
static enum hal_reset first_way = HAL_RESET_ACPI;	/* [I] after boot */
static bool warm_reset;					/* [I] */

static void map_reg(struct power_reg *r, size_t bytes)
{
	if (r->reg->address && r->reg->space == ACPI_SPACE_MEMORY)
		r->mmio = upcall_mmio_map(r->reg->address, bytes);
}

void x86_power_init(void)
{
	map_reg(&reset_reg, 1);
	map_reg(&pm1a, 2);
	map_reg(&pm1b, 2);
	map_reg(&sleep_reg, 1);
}

static bool reg_exists(const struct power_reg *r)
{
	return r->reg->address && (r->reg->space == ACPI_SPACE_IO || (r->reg->space == ACPI_SPACE_MEMORY && r->mmio));
}

static u16 reg_read16(const struct power_reg *r)
{
	return r->reg->space == ACPI_SPACE_IO ? x86_inw((u16)r->reg->address) : *(volatile u16 *)r->mmio;
}

static void reg_write16(const struct power_reg *r, u16 v)
{
	if (r->reg->space == ACPI_SPACE_IO)
		x86_outw((u16)r->reg->address, v);
	else
		*(volatile u16 *)r->mmio = v;
}

static void reg_write8(const struct power_reg *r, u8 v)
{
	if (r->reg->space == ACPI_SPACE_IO)
		x86_outb((u16)r->reg->address, v);
	else
		*r->mmio = v;
}

/* What was written to the serial line shall leave it: the end of a panic report, mostly. Bounded. */
static void drain_console(void)
{
	for (u32 i = 0; i < DRAIN_POLLS && !hal_uart_tx_idle(); i++)
		hal_delay_ns(DRAIN_POLL_NS);
}

void hal_qemu_exit(u8 value)
{
	x86_coverage_dump();
	drain_console();
	x86_outb(QEMU_EXIT_PORT, value);
}

__noreturn void hal_halt(void)
{
	hal_nmi_timer_stop(); /* whoever watches would take it for a fault */
	x86_coverage_dump();
	hal_cpu_halt_forever();
}

/* A byte of function 0 to 7 of bus 0 (ACPI 6.5 §4.8.3.6): the address holds device, function and offset. */
static void pci_write8(u64 address, u8 v)
{
	u32 device = (address >> 32) & 0x1f, function = (address >> 16) & 7, offset = address & 0xff;

	x86_outl(PCI_CONFIG_ADDRESS, 1u << 31 | device << 11 | function << 8 | (offset & ~3u));
	x86_outb((u16)(PCI_CONFIG_DATA + (offset & 3)), v);
}

static void reset_acpi(void)
{
	if (reg_exists(&reset_reg))
		reg_write8(&reset_reg, x86_acpi.reset_value);
	else if (x86_acpi.reset.space == ACPI_SPACE_PCI)
		pci_write8(x86_acpi.reset.address, x86_acpi.reset_value);
	hal_delay_ns(GRACE_NS);
}

static bool has_reset_acpi(void)
{
	return reg_exists(&reset_reg) || (x86_acpi.reset.space == ACPI_SPACE_PCI && x86_acpi.reset.address);
}

static void reset_efi(void)
{
	x86_efi_reset(warm_reset ? X86_EFI_RESET_WARM : X86_EFI_RESET_COLD);
}

static bool has_reset_efi(void)
{
	return hal_efi_has(HAL_EFI_RESET);
}

static bool has_keyboard(void)
{
	return x86_acpi.has_8042;
}

static bool always(void)
{
	return true;
}

static void reset_keyboard(void)
{
	for (int i = 0; i < 10000 && (x86_inb(I8042_STATUS) & I8042_INPUT_FULL); i++)
		;
	x86_outb(I8042_STATUS, I8042_RESET);
	hal_delay_ns(GRACE_NS);
}

static void reset_chipset(void)
{
	x86_outb(RESET_CONTROL, 0x02);
	x86_outb(RESET_CONTROL, 0x06);
	hal_delay_ns(GRACE_NS);
}

static void triple_fault(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed none = { 0, 0 };

	__asm__ volatile("lidt %0; int3" : : "m"(none) : "memory");
}

static const struct {
	const char *name;
	bool (*there)(void);
	void (*reset)(void);
} ways[HAL_RESET_WAYS] = {
	[HAL_RESET_ACPI] = { "ACPI", has_reset_acpi, reset_acpi },
	[HAL_RESET_EFI] = { "EFI", has_reset_efi, reset_efi },
	[HAL_RESET_KEYBOARD] = { "keyboard controller", has_keyboard, reset_keyboard },
	[HAL_RESET_PCI] = { "PCI", always, reset_chipset },
	[HAL_RESET_TRIPLE] = { "triple fault", always, triple_fault },
};

void hal_reset_prefer(enum hal_reset first)
{
	first_way = first;
}

void hal_reset_warm(bool warm)
{
	warm_reset = warm;
}

static void reset_by(enum hal_reset way)
{
	if (!ways[way].there())
		return;
	upcall_log(5, "power: reset by %s", ways[way].name);
	drain_console();
	ways[way].reset();
}

__noreturn void hal_reboot(void)
{
	hal_irq_disable();
	x86_coverage_dump();
	reset_by(first_way);
	for (enum hal_reset way = 0; way < HAL_RESET_WAYS; way++)
		if (way != first_way)
			reset_by(way);
	hal_cpu_halt_forever();
}

/* Firmware starts in legacy mode on old machines; the sleep bits work in ACPI mode only (ACPI 6.5 §16.3). */
static void enter_acpi_mode(void)
{
	if (!x86_acpi.smi_command || !x86_acpi.acpi_enable || (reg_read16(&pm1a) & SCI_ENABLED))
		return;
	x86_outb((u16)x86_acpi.smi_command, x86_acpi.acpi_enable);
	for (int i = 0; i < ACPI_MODE_POLLS && !(reg_read16(&pm1a) & SCI_ENABLED); i++)
		hal_cpu_relax();
}

static void sleep_s5(const struct power_reg *control, u8 type)
{
	u16 value;

	if (!reg_exists(control))
		return;
	value = reg_read16(control);
	value = (u16)((value & ~(7u << ACPI_SLP_TYP_SHIFT)) | (u32)type << ACPI_SLP_TYP_SHIFT | ACPI_SLP_EN);
	reg_write16(control, value);
}

/* ACPI's sleep state S5 (ACPI 6.5 §4.8.3.2, §4.8.3.7). Returns when there is none, or when it does not work. */
static void off_by_acpi(void)
{
	if (!x86_acpi.has_s5 || (!reg_exists(&sleep_reg) && !reg_exists(&pm1a)))
		return;
	upcall_log(5, "power: off by ACPI");
	drain_console();
	if (reg_exists(&sleep_reg)) {
		reg_write8(&sleep_reg, (u8)(x86_acpi.s5_type_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
	} else {
		enter_acpi_mode();
		sleep_s5(&pm1a, x86_acpi.s5_type_a);
		sleep_s5(&pm1b, x86_acpi.s5_type_b);
	}
	hal_delay_ns(GRACE_NS);
}

static void off_by_efi(void)
{
	if (!has_reset_efi())
		return;
	upcall_log(5, "power: off by EFI");
	drain_console();
	x86_efi_reset(X86_EFI_RESET_OFF);
}

__noreturn void hal_poweroff(void)
{
	hal_irq_disable();
	x86_coverage_dump();
	drain_console();
	off_by_acpi();
	off_by_efi();
	upcall_log(2, "power: the machine does not switch itself off; it is safe to do so now");
	hal_cpu_halt_forever();
}
