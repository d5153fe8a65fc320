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

static volatile u8 *reset_mmio;		/* [I] mapped in time: a panic cannot */

/* Before the reset is needed. */
void x86_power_init(void)
{
	if (x86_acpi.reset.address && x86_acpi.reset.space == ACPI_SPACE_MEMORY)
		reset_mmio = upcall_mmio_map(x86_acpi.reset.address, 1);
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

static void reset_acpi(void)
{
	if (!x86_acpi.reset.address)
		return;
	if (x86_acpi.reset.space == ACPI_SPACE_IO)
		x86_outb((u16)x86_acpi.reset.address, x86_acpi.reset_value);
	else if (reset_mmio)
		*reset_mmio = x86_acpi.reset_value;
	hal_delay_ns(GRACE_NS);
}

static void reset_keyboard(void)
{
	if (!x86_acpi.has_8042)
		return;
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

static __noreturn void triple_fault(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed none = { 0, 0 };

	__asm__ volatile("lidt %0; int3" : : "m"(none) : "memory");
	hal_cpu_halt_forever();
}

__noreturn void hal_reboot(void)
{
	hal_irq_disable();
	x86_coverage_dump();
	drain_console();
	reset_acpi();
	reset_keyboard();
	reset_chipset();
	triple_fault();
}

/* Firmware starts in legacy mode on old machines; the sleep bits work in ACPI mode only (ACPI 6.5 §16.3). */
static void enter_acpi_mode(void)
{
	u16 control = (u16)x86_acpi.pm1a_control.address;

	if (!x86_acpi.smi_command || !x86_acpi.acpi_enable || (x86_inw(control) & SCI_ENABLED))
		return;
	x86_outb((u16)x86_acpi.smi_command, x86_acpi.acpi_enable);
	for (int i = 0; i < ACPI_MODE_POLLS && !(x86_inw(control) & SCI_ENABLED); i++)
		hal_cpu_relax();
}

static void sleep_s5(const struct acpi_reg *control, u8 type)
{
	u16 value;

	if (!control->address || control->space != ACPI_SPACE_IO)
		return;
	value = x86_inw((u16)control->address);
	value = (u16)((value & ~(7u << ACPI_SLP_TYP_SHIFT)) | (u32)type << ACPI_SLP_TYP_SHIFT | ACPI_SLP_EN);
	x86_outw((u16)control->address, value);
}

__noreturn void hal_poweroff(void)
{
	hal_irq_disable();
	x86_coverage_dump();
	drain_console();
	if (x86_acpi.has_s5 && x86_acpi.hw_reduced && x86_acpi.sleep_control.space == ACPI_SPACE_IO &&
	    x86_acpi.sleep_control.address) {
		x86_outb((u16)x86_acpi.sleep_control.address, (u8)(x86_acpi.s5_type_a << 2 | 0x20));
		hal_delay_ns(GRACE_NS);
	} else if (x86_acpi.has_s5 && x86_acpi.pm1a_control.address) {
		enter_acpi_mode();
		sleep_s5(&x86_acpi.pm1a_control, x86_acpi.s5_type_a);
		sleep_s5(&x86_acpi.pm1b_control, x86_acpi.s5_type_b);
		hal_delay_ns(GRACE_NS);
	}
	upcall_log(2, "power: the machine does not switch itself off; it is safe to do so now");
	hal_cpu_halt_forever();
}
