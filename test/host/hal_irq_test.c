/* SPDX-License-Identifier: MIT */
/*
 * hal/x86_64's interrupt files on a made-up machine (test/host/x86/fake.h): modes of the local APIC, routes, handlers, masks,
 * storms. Moves, messages and CPUs that go are in hal_irq_move_test.c.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "apic.h"
#include "framework.h"
#include "x86/device.h"

#define ENTRY_LOW	(1u << 13)	/* 82093AA data sheet, 3.2.4 */
#define ENTRY_LEVEL	(1u << 15)

/* ---- the local APIC's modes --------------------------------------------------------------------- */

static bool in_x2(u32 cpu)
{
	return fake.cpus[cpu].apic.base >> 10 & 1;
}

static void expect_mode(bool x2)
{
	fake_boot();
	EXPECT_EQ(x86_apic_is_x2(), x2);
	for (u32 i = 0; i < FAKE_CPUS; i++) {
		EXPECT_EQ(in_x2(i), x2);
		EXPECT_EQ(fake.cpus[i].hal.pc.apic_id, 2 * i + 1);
		EXPECT_EQ(fake.cpus[i].apic.regs[APIC_SVR / 16], 0x1ff);
	}
	x86_apic_send(3, 77);
	EXPECT(fake_pending(1, 77));
	EXPECT(!x86_apic_is_pending(77));
	fake.cur = 1;
	EXPECT(x86_apic_is_pending(77));
	fake.cur = 0;
	fake.cpus[1].apic.irr[77] = 0;
	x86_apic_send(5, APIC_ICR_NMI);
	EXPECT_EQ(fake.cpus[2].apic.nmis, 1);
	/* From an NMI between the halves of another command: that one still goes where it should. */
	fake.cpus[0].apic.regs[APIC_ICR_HIGH / 16] = 3u << 24;
	x86_apic_send_nested(5, APIC_ICR_NMI);
	EXPECT_EQ(fake.cpus[2].apic.nmis, 2);
	if (!x2)
		EXPECT_EQ(fake.cpus[0].apic.regs[APIC_ICR_HIGH / 16], 3u << 24);
}

static void xapic_stays(void)
{
	fake_power_on();
	fake.x2_possible = true;	/* but bare metal, small ids, firmware left it off */
	expect_mode(false);
}

static void x2_was_left_on(void)
{
	fake_power_on();
	fake.x2_possible = true;
	fake.cpus[0].apic.base |= 3u << 10;
	expect_mode(true);
}

static void x2_under_a_hypervisor(void)
{
	fake_power_on();
	fake.x2_possible = fake.hypervisor = true;
	expect_mode(true);
}

static void x2_for_large_ids(void)
{
	fake_power_on();
	fake.x2_possible = true;
	x86_acpi.cpus[4] = (struct acpi_cpu){ .apic_id = 300, .enabled = true };
	x86_acpi.nr_cpus = 5;
	expect_mode(true);
}

/* 255 is a processor's in x2APIC mode, and everybody in the other. */
static void x2_for_id_255(void)
{
	fake_power_on();
	fake.x2_possible = true;
	x86_acpi.cpus[4] = (struct acpi_cpu){ .apic_id = 255, .enabled = true };
	x86_acpi.nr_cpus = 5;
	expect_mode(true);
}

static void x2_bit_is_dropped(void)
{
	fake_power_on();
	fake.x2_possible = fake.hypervisor = true;
	fake.x2_sticks = false;
	fake_boot();
	EXPECT(!x86_apic_is_x2());
}

static void everything_off(void)
{
	fake_power_on();
	fake.x2_possible = fake.hypervisor = true;
	for (u32 i = 0; i < FAKE_CPUS; i++)
		fake.cpus[i].apic.base &= ~(3ull << 10);
	expect_mode(true);	/* over the memory-mapped form: there is no direct way */
}

static void one_cpu_left_in_x2(void)
{
	fake_power_on();
	fake.x2_possible = true;
	fake.cpus[2].apic.base |= 3u << 10;
	expect_mode(false);
}

TEST(hal_apic_modes)
{
	fake_scenario(xapic_stays);
	fake_scenario(x2_was_left_on);
	fake_scenario(x2_under_a_hypervisor);
	fake_scenario(x2_for_large_ids);
	fake_scenario(x2_for_id_255);
	fake_scenario(x2_bit_is_dropped);
	fake_scenario(everything_off);
	fake_scenario(one_cpu_left_in_x2);
}

static void nmi_pins(void)
{
	fake_power_on();
	x86_acpi.nr_lapic_nmis = 2;
	x86_acpi.lapic_nmis[0] = (struct acpi_lapic_nmi){ .uid = 1, .lint = 0, .polarity = ACPI_ACTIVE_LOW };
	x86_acpi.lapic_nmis[1] = (struct acpi_lapic_nmi){ .uid = 2, .lint = 1 };
	fake_boot();
	EXPECT_EQ(fake.cpus[0].apic.regs[APIC_LVT_LINT1 / 16], APIC_LVT_MASKED);
	EXPECT_EQ(fake.cpus[1].apic.regs[APIC_LVT_LINT0 / 16], APIC_LVT_NMI | APIC_LVT_ACTIVE_LOW);
	EXPECT_EQ(fake.cpus[1].apic.regs[APIC_LVT_LINT1 / 16], APIC_LVT_MASKED);
	EXPECT_EQ(fake.cpus[2].apic.regs[APIC_LVT_LINT1 / 16], APIC_LVT_NMI);
}

static void errors(void)
{
	fake_power_on();
	fake_boot();
	fake.now_ns += 60000000000ull;
	fake.cpus[0].apic.esr_latch = 0x60;
	fake.cpus[0].apic.irr[X86_VEC_ERROR] = 1;
	fake_run_all();
	EXPECT_STR(fake.last_log, "APIC error on CPU0: 60: send illegal vector, receive illegal vector");
	EXPECT_EQ(fake.cpus[0].hal.pc.apic_error_count, 1);
	fake.logs = 0;
	for (u32 i = 0; i < 100; i++) {
		fake.cpus[0].apic.irr[X86_VEC_ERROR] = 1;
		fake_run_all();
	}
	EXPECT_EQ(fake.logs, 0);	/* the rate limit */
	EXPECT_EQ(fake.cpus[0].hal.pc.apic_error_count, 101);
}

static void spurious(void)
{
	u32 eois;

	fake_power_on();
	fake_boot();
	EXPECT_EQ(fake.pic_mask[0], 0xff);
	EXPECT_EQ(fake.pic_mask[1], 0xff);
	eois = fake.cpus[0].apic.eois;
	x86_irq_dispatch(NULL, X86_VEC_SPURIOUS);
	EXPECT_EQ(fake.cpus[0].hal.pc.spurious_count, 1);
	x86_irq_dispatch(NULL, X86_VEC_PIC + 7);	/* not in service: no EOI */
	EXPECT_EQ(fake.pic_eoi[0], 0);
	fake.pic_isr[0] = 1u << 7;			/* a real one */
	x86_irq_dispatch(NULL, X86_VEC_PIC + 7);
	EXPECT_EQ(fake.pic_eoi[0], 1);
	fake.pic_isr[0] = 1u << 2;			/* the slave's spurious one has a bit in the master */
	x86_irq_dispatch(NULL, X86_VEC_PIC + 15);
	EXPECT_EQ(fake.pic_eoi[1], 0);
	EXPECT_EQ(fake.pic_eoi[0], 2);
	EXPECT_EQ(fake.cpus[0].apic.eois, eois);	/* none of it is the APIC's */
	EXPECT_EQ(hal_irq_row_count(10, 0), 3);		/* ERR */
}

TEST(hal_apic_pins_errors_spurious)
{
	fake_scenario(nmi_pins);
	fake_scenario(errors);
	fake_scenario(spurious);
}

/* ---- lines -------------------------------------------------------------------------------------- */

static void firmware_left(void)
{
	fake_power_on();
	fake.io.lines[3].entry = 0x50;			/* open, of somebody who is gone */
	fake.io.lines[4].entry = 0x200;			/* SMI: firmware's */
	x86_acpi.nr_nmi_sources = 2;
	x86_acpi.nmi_sources[0] = (struct acpi_nmi_source){ .gsi = 7, .polarity = ACPI_ACTIVE_LOW };
	x86_acpi.nmi_sources[1] = (struct acpi_nmi_source){ .gsi = 99 };
	x86_acpi.nr_overrides = 1;
	x86_acpi.overrides[0] = (struct acpi_override){ .gsi = 2, .irq = 0 };
	fake_boot();
	EXPECT(fake_line_masked(3));
	EXPECT_EQ(fake.io.lines[4].entry, 0x200);
	EXPECT_EQ(fake.io.lines[7].entry, 1ull << 56 | 0x2400);	/* NMI, edge, low, to the boot CPU's id 1 */
	fake_line_set(7, true);
	EXPECT_EQ(fake.cpus[0].apic.nmis, 1);
	EXPECT_EQ(hal_irq_request(4, handler, dev, 0, "x"), -EBUSY);
	EXPECT_EQ(hal_irq_request(7, handler, dev, 0, "x"), -EBUSY);
	EXPECT_EQ(hal_irq_request(FAKE_LINES, handler, dev, 0, "x"), -EINVAL);
	EXPECT_EQ(hal_irq_isa(0), 2);
	EXPECT_EQ(fake.live, 4 + 2 + FAKE_CPUS - 1 - 4);	/* two descriptors, three tables; no action stays */
}

static void lines_work(void)
{
	u32 shared = 0;
	struct device a, b;

	fake_power_on();
	fake_boot();
	line_setup(&a, 5, HAL_IRQ_EDGE | HAL_IRQ_ACTIVE_HIGH);
	fire(&a);
	fake_run_all();
	EXPECT_EQ(a.calls, 1);
	EXPECT(!a.owed);
	EXPECT_EQ(hal_irq_request(5, handler, &b, HAL_IRQ_SHARED, "x"), -EBUSY);
	hal_irq_free(5, &a);
	EXPECT(fake_line_masked(5));
	line_setup(&a, 16, HAL_IRQ_SHARED);
	line_setup(&b, 16, HAL_IRQ_SHARED);
	EXPECT_EQ(hal_irq_request(16, handler, &shared, HAL_IRQ_SHARED | HAL_IRQ_EDGE, "x"), -EBUSY);
	b.answer = HAL_IRQ_NONE;
	fire(&a);
	fake_run_all();
	EXPECT_EQ(a.calls, 1);
	EXPECT_EQ(b.calls, 1);
	EXPECT_EQ(info_of(16).unhandled, 0);
	EXPECT_STR(info_of(16).flow, "fasteoi");
	EXPECT_STR(info_of(5).flow, "edge");
	EXPECT_EQ(info_of(16).count, 1);
	hal_irq_free(16, &a);
	EXPECT(!fake_line_masked(16));
	hal_irq_free(16, &b);
	EXPECT(fake_line_masked(16));
	hal_irq_free(16, &b);	/* twice is nothing */
	EXPECT_EQ(fake.named, 0);
}

/* An entry's trigger and polarity: the caller's word comes before firmware's, and firmware's before the bus's custom. */
static void shapes(void)
{
	static const struct {
		u32 irq, flags, shape;
	} cases[] = {
		{ 5, 0, 0 },					/* ISA: edge, high */
		{ 17, 0, ENTRY_LEVEL | ENTRY_LOW },		/* PCI */
		{ 9, 0, ENTRY_LEVEL },				/* as the override says */
		{ 20, 0, ENTRY_LOW },				/* so is ISA's line 10 that comes in here */
		{ 6, HAL_IRQ_LEVEL | HAL_IRQ_ACTIVE_LOW, ENTRY_LEVEL | ENTRY_LOW },
		{ 18, HAL_IRQ_EDGE, ENTRY_LOW },
		{ 19, HAL_IRQ_ACTIVE_HIGH, ENTRY_LEVEL },
	};
	u32 owner[ARRAY_SIZE(cases)];

	fake_power_on();
	x86_acpi.nr_overrides = 2;
	x86_acpi.overrides[0] = (struct acpi_override){ .irq = 9, .gsi = 9, .polarity = ACPI_ACTIVE_HIGH, .trigger = ACPI_LEVEL };
	x86_acpi.overrides[1] = (struct acpi_override){ .irq = 10, .gsi = 20, .polarity = ACPI_ACTIVE_LOW, .trigger = ACPI_EDGE };
	fake_boot();
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(hal_irq_request(cases[i].irq, handler, &owner[i], cases[i].flags, "x"), 0);
		EXPECT_EQ(fake.io.lines[cases[i].irq].entry & (ENTRY_LEVEL | ENTRY_LOW), cases[i].shape);
	}
}

static void masks(void)
{
	struct device e, l;

	fake_power_on();
	fake_boot();
	line_setup(&e, 5, HAL_IRQ_EDGE);
	line_setup(&l, 16, 0);
	hal_irq_mask(5);
	hal_irq_mask(16);
	fire(&e);
	fire(&l);
	fire(&e);
	fake_run_all();
	EXPECT_EQ(e.calls, 0);
	EXPECT_EQ(l.calls, 0);
	hal_irq_unmask(5);
	hal_irq_unmask(16);
	fake_run_all();
	EXPECT_EQ(e.calls, 1);	/* an edge while masked is not lost, two are one */
	EXPECT_EQ(l.calls, 1);
	hal_irq_unmask(5);
	fake_run_all();
	EXPECT_EQ(e.calls, 1);
}

static void request_without_memory(void)
{
	fake_power_on();
	fake_boot();
	for (u32 n = 1;; n++) {
		s64 live = fake.live;
		int err;

		fake.allocations = 0;
		fake.fail_allocation = n;
		err = hal_irq_request(5, handler, dev, 0, "x");
		fake.fail_allocation = 0;
		if (!err)
			break;
		EXPECT_EQ(err, -ENOMEM);
		EXPECT(fake.live - live <= 1);	/* the descriptor stays */
		EXPECT(fake_line_masked(5));
		EXPECT(n < 10);
	}
	hal_irq_free(5, dev);
}

/* Numbers that only the firmware has: its lines stay masked, and messages still have theirs. */
static void lines_without_numbers(void)
{
	fake_power_on();
	fake.io.lines[3].entry = 0x50;
	x86_acpi.ioapics[0].gsi_base = IRQ_LINES_END - 8;
	fake_boot();
	EXPECT_EQ(x86_ioapic_end(), 16);
	EXPECT(fake_line_masked(3));
}

TEST(hal_irq_lines)
{
	fake_scenario(lines_without_numbers);
	fake_scenario(firmware_left);
	fake_scenario(lines_work);
	fake_scenario(shapes);
	fake_scenario(masks);
	fake_scenario(request_without_memory);
}

/* ---- one irq, two CPUs -------------------------------------------------------------------------- */

static u32 nested_calls;

/* While it runs on CPU 0 another interrupt of it is taken by CPU 1, which must not run it, and then it runs again here. */
static enum hal_irq_result nested(void *arg, u32 irq)
{
	static bool inside;

	EXPECT(!inside);
	inside = true;
	EXPECT_EQ(fake.cur, 0);
	if (nested_calls++ == 0) {
		struct irq_desc *d = x86_irq_desc(irq);

		x86_irq_cpus[1]->table[d->vector - X86_VEC_DEVICE_FIRST] = d;
		fake.cpus[1].apic.irr[d->vector] = 1;
		fake_run(1, true);
		EXPECT(!fake_pending(1, d->vector));
	}
	inside = false;
	return HAL_IRQ_HANDLED;
}

static void never_twice_at_once(void)
{
	fake_power_on();
	fake_boot();
	EXPECT_EQ(hal_irq_request(5, nested, NULL, HAL_IRQ_EDGE, "x"), 0);
	EXPECT_EQ(effective(5), 0);
	fake_line_set(5, true);
	fake_run_all();
	EXPECT_EQ(nested_calls, 2);
	EXPECT_EQ(hal_irq_count(5, 0), 1);
	EXPECT_EQ(hal_irq_count(5, 1), 1);
}

/* The same, but the handler masks its irq before: the second interrupt waits for unmask. */
static enum hal_irq_result nested_masks(void *arg, u32 irq)
{
	if (nested_calls == 0)
		hal_irq_mask(irq);
	return nested(arg, irq);
}

static void masked_by_its_handler(void)
{
	fake_power_on();
	fake_boot();
	EXPECT_EQ(hal_irq_request(5, nested_masks, NULL, HAL_IRQ_EDGE, "x"), 0);
	fake_line_set(5, true);
	fake_run_all();
	EXPECT_EQ(nested_calls, 1);
	hal_irq_unmask(5);
	fake_run_all();
	EXPECT_EQ(nested_calls, 2);
}

TEST(hal_irq_serialised)
{
	fake_scenario(never_twice_at_once);
	fake_scenario(masked_by_its_handler);
}

/* ---- storms ------------------------------------------------------------------------------------- */

static void storms(void)
{
	u32 n = 0;

	fake_power_on();
	fake_boot();
	line_setup(&dev[0], 16, 0);
	dev[0].answer = HAL_IRQ_NONE;
	while (!info_of(16).storm && n++ < 200000) {
		fire(&dev[0]);
		fake_run_all();
	}
	EXPECT_EQ(n, 100000);	/* Linux's rule looks after so many */
	EXPECT(fake_line_masked(16));
	EXPECT_STR(fake.last_log, "Disabling IRQ #16");
	hal_irq_mask(16);
	hal_irq_unmask(16);
	EXPECT(fake_line_masked(16));
	hal_irq_free(16, &dev[0]);
	line_setup(&dev[0], 16, 0);
	EXPECT(!fake_line_masked(16));
	fire(&dev[0]);
	nothing_owed();
}

/* Each interrupt takes 200 us, as in an emulator: a second is enough. */
static void slow_storm(void)
{
	u32 n = 0;

	fake_power_on();
	fake_boot();
	line_setup(&dev[0], 16, 0);
	dev[0].answer = HAL_IRQ_NONE;
	while (!info_of(16).storm && n++ < 200000) {
		fake.now_ns += 200000;
		fire(&dev[0]);
		fake_run_all();
	}
	EXPECT_EQ(n, 10000);
}

/* A device that is sometimes right, or rarely wrong, is left alone. */
static void no_storms(void)
{
	fake_power_on();
	fake_boot();
	line_setup(&dev[0], 16, 0);
	for (u32 n = 0; n < 300000; n++) {
		dev[0].answer = n % 500 ? HAL_IRQ_NONE : HAL_IRQ_HANDLED;
		fire(&dev[0]);
		fake_run_all();
	}
	EXPECT(!info_of(16).storm);
	dev[0].answer = HAL_IRQ_NONE;
	for (u32 n = 0; n < 300000; n++) {
		fake.now_ns += 200000000;	/* five a second */
		fire(&dev[0]);
		fake_run_all();
	}
	EXPECT(!info_of(16).storm);
	EXPECT_EQ(info_of(16).unhandled, 1);
}

static void message_storm(void)
{
	fake_power_on();
	fake_boot();
	msi_setup(1, &msi_plain);	/* nothing can silence it but the kernel */
	dev[0].answer = HAL_IRQ_NONE;
	for (u32 n = 0; n < 150000; n++) {
		fire(&dev[0]);
		fake_run_all();
	}
	EXPECT(info_of(dev[0].irq).storm);
	EXPECT(dev[0].calls <= 100000);
}

TEST(hal_irq_storms)
{
	fake_scenario(storms);
	fake_scenario(slow_storm);
	fake_scenario(no_storms);
	fake_scenario(message_storm);
}

TEST(hal_irq_rows)
{
	struct hal_irq_row row;
	u32 n = 0;

	while (hal_irq_row(n, &row)) {
		EXPECT(row.per_cpu == (row.what != NULL));
		EXPECT(row.name && row.name[3] == '\0');
		EXPECT(n != 10 || host_str_equal(row.name, "ERR"));
		n++;
	}
	EXPECT_EQ(n, 15);
}
