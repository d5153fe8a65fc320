/* SPDX-License-Identifier: MIT */
/*
 * hal/x86_64's interrupt files on a made-up machine (test/host/x86/fake.h): modes of the local APIC, routes, handlers, moves
 * that lose nothing whatever happens between two register writes, storms, CPUs that go.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "apic.h"
#include "framework.h"
#include "x86/fake.h"

static u64 mask_of(u64 *mask, u64 low)
{
	memset(mask, 0, HAL_MAX_CPUS / 8);
	mask[0] = low;
	return low;
}

/* ---- a device that owes an answer --------------------------------------------------------------- */

struct device {
	u32 irq, calls, cpu;
	bool owed;		/* it has signalled and no handler has run since */
	bool fires;		/* chaos makes it fire */
	bool level;
	enum hal_irq_result answer;
	struct hal_msi_msg msg;	/* what it is programmed with */
	u32 writes;
	bool masked, pending;
};

static struct device dev[8];

static enum hal_irq_result handler(void *arg, u32 irq)
{
	struct device *d = arg;

	EXPECT_EQ(irq, d->irq);
	EXPECT(!fake.cpus[fake.cur].irqs_on);
	d->calls++;
	d->cpu = fake.cur;
	d->owed = false;
	if (d->level)
		fake_line_set(irq, false);
	return d->answer;
}

static void fire(struct device *d)
{
	d->owed = true;
	if (d->irq < FAKE_LINES) {
		if (!d->level)
			fake_line_set(d->irq, false);
		fake_line_set(d->irq, true);
	} else if (d->masked) {
		d->pending = true;
	} else {
		fake_message(&d->msg);
	}
}

static void msi_write(void *ctx, u32 index, const struct hal_msi_msg *msg)
{
	struct device *d = (struct device *)ctx + index;
	bool address = d->msg.address != msg->address, data = d->msg.data != msg->data;

	EXPECT(!fake.cpus[fake.cur].irqs_on);
	EXPECT(!(address && data) || !d->msg.address);
	d->msg = *msg;
	d->writes++;
	if (fake.chaos) {
		fake.in_chaos = true;
		fake.chaos();
		fake.in_chaos = false;
	}
}

static void msi_mask(void *ctx, u32 index, bool masked)
{
	struct device *d = (struct device *)ctx + index;

	d->masked = masked;
	if (!masked && d->pending) {
		d->pending = false;
		fake_message(&d->msg);
	}
}

static const struct hal_msi_ops msi_ops = { msi_write, msi_mask }, msi_plain = { msi_write, NULL };

static void msi_setup(u32 n, const struct hal_msi_ops *ops)
{
	struct hal_msi_request r = { .ops = ops, .ctx = dev, .n = n, .hwirq = 65536, .chip = "PCI-MSI" };
	u32 first = 0;

	EXPECT_EQ(hal_msi_alloc(&r, &first), 0);
	for (u32 i = 0; i < n; i++) {
		dev[i] = (struct device){ .irq = first + i, .answer = HAL_IRQ_HANDLED };
		hal_msi_message(first + i, &dev[i].msg);
		EXPECT_EQ(hal_irq_request(first + i, handler, &dev[i], 0, "message"), 0);
	}
}

static void line_setup(struct device *d, u32 irq, u32 flags)
{
	*d = (struct device){ .irq = irq, .answer = HAL_IRQ_HANDLED, .level = !(flags & HAL_IRQ_EDGE) };
	EXPECT_EQ(hal_irq_request(irq, handler, d, flags, "line"), 0);
}

static u32 effective(u32 irq)
{
	u64 mask[HAL_MAX_CPUS / 64];
	u32 cpu = 0;

	EXPECT(hal_irq_affinity(irq, mask, &cpu));
	return cpu;
}

static struct hal_irq_info info_of(u32 irq)
{
	struct hal_irq_info info = { 0 };
	u32 at = irq;

	EXPECT(hal_irq_next(&at, &info) && at == irq);
	return info;
}

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

TEST(hal_irq_lines)
{
	fake_scenario(firmware_left);
	fake_scenario(lines_work);
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

TEST(hal_irq_serialised)
{
	fake_scenario(never_twice_at_once);
}

/* ---- moves -------------------------------------------------------------------------------------- */

/* Between any two writes: devices fire, CPUs take devices' interrupts. */
static void chaos(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(dev); i++)
		if (dev[i].fires && random_below(3) == 0 && !(dev[i].level && dev[i].owed))
			fire(&dev[i]);
	if (random_below(2))
		fake_run((u32)random_below(FAKE_CPUS), false);
}

/* Every other vector of CPU 1..3 is somebody's, so that some moves keep the number and some do not. */
static void occupy(void)
{
	for (u32 cpu = 0; cpu < FAKE_CPUS; cpu++)
		for (u32 v = X86_VEC_DEVICE_FIRST; v <= X86_VEC_DEVICE_LAST; v++)
			if (random_below(2) && !bitmap_test(x86_irq_vectors.cpu[cpu]->used, v)) {
				bitmap_set_bit(x86_irq_vectors.cpu[cpu]->used, v);
				x86_irq_vectors.cpu[cpu]->free--;
			}
}

static u32 used_vectors(void)
{
	u32 n = 0;

	for (u32 cpu = 0; cpu < FAKE_CPUS; cpu++)
		n += vectors_count_used(&x86_irq_vectors, cpu);
	return n;
}

static void nothing_owed(void)
{
	fake_run_all();
	fake_run_all();
	for (u32 i = 0; i < ARRAY_SIZE(dev); i++)
		EXPECT(!dev[i].owed);
	for (u32 cpu = 0; cpu < FAKE_CPUS; cpu++)
		EXPECT_EQ(x86_irq_unexpected[cpu], 0);
}

static void move_all(u32 devices)
{
	u32 before = used_vectors(), rounds = test_rounds(3000);
	u64 mask[HAL_MAX_CPUS / 64];

	fake.chaos = chaos;
	for (u32 i = 0; i < devices; i++)
		dev[i].fires = true;
	for (u32 n = 0; n < rounds && !test_failed(); n++) {
		struct device *d = &dev[random_below(devices)];
		u64 want = mask_of(mask, 1 + random_below(15));

		if (random_below(4) == 0)
			fire(&dev[random_below(devices)]);
		EXPECT_EQ(hal_irq_set_affinity(d->irq, mask), 0);
		EXPECT(want >> effective(d->irq) & 1);
		if (random_below(3) == 0)
			nothing_owed();
	}
	fake.chaos = NULL;
	nothing_owed();
	EXPECT_EQ(used_vectors(), before);
	for (u32 i = 0; i < devices; i++) {
		fire(&dev[i]);
		nothing_owed();
		EXPECT_EQ(dev[i].cpu, effective(dev[i].irq));
	}
}

static void lines_move(void)
{
	fake_power_on();
	fake_boot();
	for (u32 i = 0; i < 3; i++)
		line_setup(&dev[i], 10 + i, HAL_IRQ_EDGE);
	for (u32 i = 3; i < 6; i++)
		line_setup(&dev[i], 16 + i, 0);
	occupy();
	move_all(6);
}

static void messages_move(void)
{
	fake_power_on();
	fake_boot();
	msi_setup(8, &msi_ops);
	occupy();
	move_all(8);
}

static void messages_without_mask_move(void)
{
	fake_power_on();
	fake.x2_possible = fake.hypervisor = true;
	fake_boot();
	msi_setup(8, &msi_plain);
	occupy();
	move_all(8);
}

/* The old CPU has its interrupts off: what waits there counts, and the pair stays taken until it has come. */
static void old_cpu_is_deaf(void)
{
	u64 mask[HAL_MAX_CPUS / 64];
	u32 from, before;

	fake_power_on();
	fake_boot();
	msi_setup(1, &msi_ops);
	mask_of(mask, 2);
	EXPECT_EQ(hal_irq_set_affinity(dev[0].irq, mask), 0);
	fake_run_all();
	from = effective(dev[0].irq);
	EXPECT_EQ(from, 1);
	before = used_vectors();
	fake.cpus[1].irqs_on = false;
	fire(&dev[0]);
	mask_of(mask, 4);
	EXPECT_EQ(hal_irq_set_affinity(dev[0].irq, mask), 0);
	EXPECT_EQ(used_vectors(), before + 1);
	mask_of(mask, 8);
	EXPECT_EQ(hal_irq_set_affinity(dev[0].irq, mask), -EBUSY);
	EXPECT_EQ(effective(dev[0].irq), 2);
	EXPECT(dev[0].owed);
	fake.cpus[1].irqs_on = true;
	fake_run_all();
	EXPECT(!dev[0].owed);
	EXPECT_EQ(dev[0].cpu, 1);
	EXPECT_EQ(used_vectors(), before);
	EXPECT_EQ(hal_irq_set_affinity(dev[0].irq, mask), 0);
}

/* A level line whose number must change waits for its acknowledgement. */
static void level_in_service(void)
{
	u64 mask[HAL_MAX_CPUS / 64];

	fake_power_on();
	fake_boot();
	line_setup(&dev[0], 16, 0);
	bitmap_set_bit(x86_irq_vectors.cpu[1]->used, fake_line_vector(16));
	x86_irq_vectors.cpu[1]->free--;
	fake.cpus[0].irqs_on = false;
	fire(&dev[0]);
	fake.cpus[0].irqs_on = false;
	fake.cur = 2;
	mask_of(mask, 2);
	EXPECT_EQ(hal_irq_set_affinity(16, mask), -EBUSY);
	EXPECT(!fake_line_masked(16));
	EXPECT_EQ(fake_line_target(16), 1);
	fake.cpus[0].irqs_on = true;
	EXPECT_EQ(hal_irq_set_affinity(16, mask), 0);
	EXPECT_EQ(fake_line_target(16), 3);
	nothing_owed();
	fire(&dev[0]);
	nothing_owed();
	EXPECT_EQ(dev[0].cpu, 1);
}

static void affinity_errors(void)
{
	u64 mask[HAL_MAX_CPUS / 64], got[HAL_MAX_CPUS / 64];
	u32 cpu;

	fake_power_on();
	fake_boot();
	mask_of(mask, 0);
	EXPECT_EQ(hal_irq_set_affinity(5, mask), -EINVAL);	/* no such irq yet */
	EXPECT(!hal_irq_affinity(5, got, &cpu));
	line_setup(&dev[0], 5, HAL_IRQ_EDGE);
	EXPECT_EQ(hal_irq_set_affinity(5, mask), -EINVAL);
	mask_of(mask, 1ull << 20);
	EXPECT_EQ(hal_irq_set_affinity(5, mask), -EINVAL);
	EXPECT_EQ(hal_irq_set_default_affinity(mask), -EINVAL);
	EXPECT(hal_irq_affinity(5, got, &cpu));
	EXPECT_EQ(got[0], -1);
	mask_of(mask, 4);
	EXPECT_EQ(hal_irq_set_default_affinity(mask), 0);
	line_setup(&dev[1], 6, HAL_IRQ_EDGE);
	EXPECT_EQ(effective(6), 2);
	hal_irq_default_affinity(got);
	EXPECT_EQ(got[0], 4);
	for (u32 v = X86_VEC_DEVICE_FIRST; v <= X86_VEC_DEVICE_LAST; v++)
		bitmap_set_bit(x86_irq_vectors.cpu[3]->used, v);
	mask_of(mask, 8);
	EXPECT_EQ(hal_irq_set_affinity(6, mask), -ENOSPC);
	EXPECT(hal_irq_affinity(6, got, &cpu) && got[0] == 4 && cpu == 2);
}

TEST(hal_irq_moves)
{
	fake_scenario(lines_move);
	fake_scenario(messages_move);
	fake_scenario(messages_without_mask_move);
	fake_scenario(old_cpu_is_deaf);
	fake_scenario(level_in_service);
	fake_scenario(affinity_errors);
}

/* ---- messages ----------------------------------------------------------------------------------- */

static void messages(void)
{
	struct hal_msi_request r = { .ops = &msi_ops, .ctx = dev, .n = 0, .chip = "PCI-MSI" };
	u32 before, first = 0, cpus = 0;
	s64 live;

	fake_power_on();
	fake_boot();
	before = used_vectors();
	EXPECT_EQ(hal_msi_alloc(&r, &first), -EINVAL);
	r.n = 1;
	x86_acpi.no_msi = true;
	EXPECT_EQ(hal_msi_alloc(&r, &first), -ENODEV);
	x86_acpi.no_msi = false;
	msi_setup(8, &msi_ops);
	EXPECT_EQ(dev[0].irq, FAKE_LINES);
	EXPECT_EQ(info_of(dev[3].irq).hwirq, 65539);
	for (u32 i = 0; i < 8; i++) {
		EXPECT(dev[i].msg.address >= 0xfee00000u && dev[i].msg.data >= X86_VEC_DEVICE_FIRST);
		cpus |= 1u << effective(dev[i].irq);
		fire(&dev[i]);
		nothing_owed();
		EXPECT_EQ(dev[i].calls, 1);
	}
	EXPECT_EQ(cpus, 15);	/* spread */
	live = fake.live;
	for (u32 i = 0; i < 8; i++)
		hal_irq_free(dev[i].irq, &dev[i]);
	EXPECT(dev[0].masked);
	hal_msi_free(dev[0].irq, 8);
	fake_run_all();
	EXPECT_EQ(used_vectors(), before);
	EXPECT_EQ(fake.live, live - 8);
	EXPECT_EQ(fake.added, 8);
	EXPECT_EQ(fake.removed, 8);
	EXPECT_EQ(hal_irq_request(dev[0].irq, handler, dev, 0, "x"), -EINVAL);
	msi_setup(8, &msi_ops);
	EXPECT_EQ(dev[0].irq, FAKE_LINES);	/* the same numbers again, with counts from zero */
	EXPECT_EQ(info_of(dev[0].irq).count, 0);
	EXPECT_EQ(fake.live, live);
}

static void messages_run_out(void)
{
	struct hal_msi_request r = { .ops = &msi_ops, .ctx = dev, .n = 800, .chip = "PCI-MSI" };
	u32 before, first = 0;

	fake_power_on();
	fake_boot();
	before = used_vectors();
	EXPECT_EQ(hal_msi_alloc(&r, &first), -ENOSPC);	/* 4 * 192 vectors */
	fake_run_all();
	EXPECT_EQ(used_vectors(), before);
	r.n = 700;
	EXPECT_EQ(hal_msi_alloc(&r, &first), 0);
	EXPECT_EQ(first, FAKE_LINES);
	hal_msi_free(first, 700);
	fake_run_all();
	EXPECT_EQ(used_vectors(), before);
}

static void messages_without_memory(void)
{
	struct hal_msi_request r = { .ops = &msi_ops, .ctx = dev, .n = 8, .chip = "PCI-MSI" };
	u32 first;

	fake_power_on();
	fake_boot();
	for (u32 n = 1; n < 5; n++) {
		fake.allocations = 0;
		fake.fail_allocation = n;
		EXPECT_EQ(hal_msi_alloc(&r, &first), -ENOMEM);
		fake.fail_allocation = 0;
		fake_run_all();
		EXPECT_EQ(used_vectors(), 0);
		EXPECT_EQ(fake.added, fake.removed);
	}
	EXPECT_EQ(hal_msi_alloc(&r, &first), 0);
	EXPECT_EQ(first, FAKE_LINES);
}

static void stray(void)
{
	struct hal_msi_msg msg = { 0xfee01000, 200 };

	fake_power_on();
	fake_boot();
	fake.now_ns += 60000000000ull;
	fake_message(&msg);
	fake_run_all();
	EXPECT_EQ(x86_irq_unexpected[0], 1);
	EXPECT_STR(fake.last_log, "CPU0: no irq has vector 200");
	EXPECT(!fake.cpus[0].apic.isr[200]);
}

TEST(hal_irq_messages)
{
	fake_scenario(messages);
	fake_scenario(messages_run_out);
	fake_scenario(messages_without_memory);
	fake_scenario(stray);
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

/* ---- CPUs that go ------------------------------------------------------------------------------- */

static void cpu_goes(void)
{
	u64 mask[HAL_MAX_CPUS / 64];
	u32 cpu, used = 0;

	fake_power_on();
	fake_boot();
	msi_setup(6, &msi_plain);
	line_setup(&dev[6], 16, 0);
	line_setup(&dev[7], 5, HAL_IRQ_EDGE);
	mask_of(mask, 4);
	for (u32 i = 0; i < 8; i++)
		EXPECT_EQ(hal_irq_set_affinity(dev[i].irq, mask), 0);
	fake_run_all();
	fake.cpus[2].irqs_on = false;	/* what comes now is pending there when it dies */
	for (u32 i = 0; i < 8; i++)
		fire(&dev[i]);
	EXPECT_EQ(hal_irq_cpu_offline(2), 0);
	EXPECT_EQ(hal_irq_set_affinity(dev[0].irq, mask), -EINVAL);
	fake.cur = 2;
	hal_irq_cpu_dying(2);
	fake.cpus[2].online = false;
	fake.cur = 0;
	for (u32 v = 0; v < 256; v++)
		fake.cpus[2].apic.irr[v] = 0;	/* nobody will take it any more */
	nothing_owed();
	for (u32 i = 0; i < 8; i++) {
		EXPECT(hal_irq_affinity(dev[i].irq, mask, &cpu));
		EXPECT(cpu != 2 && dev[i].cpu == cpu);
		EXPECT_EQ(mask[0], 0xb);	/* broken: all that take interrupts */
		fire(&dev[i]);
		nothing_owed();
	}
	used = vectors_count_used(&x86_irq_vectors, 2);
	EXPECT_EQ(used, 0);
	fake.cpus[2].online = fake.cpus[2].irqs_on = true;
	EXPECT_EQ(hal_irq_cpu_prepare(2), 0);
	hal_irq_cpu_online(2);
	mask_of(mask, 4);
	EXPECT_EQ(hal_irq_set_affinity(dev[0].irq, mask), 0);
	EXPECT_EQ(effective(dev[0].irq), 2);
}

/* The others have no vectors left: it must not go, and takes interrupts again. */
static void cpu_must_stay(void)
{
	u64 mask[HAL_MAX_CPUS / 64];

	fake_power_on();
	fake_boot();
	mask_of(mask, 2);
	EXPECT_EQ(hal_irq_set_default_affinity(mask), 0);
	msi_setup(4, &msi_ops);
	for (u32 cpu = 0; cpu < FAKE_CPUS; cpu++)
		for (u32 v = X86_VEC_DEVICE_FIRST; cpu != 1 && v <= X86_VEC_DEVICE_LAST; v++)
			bitmap_set_bit(x86_irq_vectors.cpu[cpu]->used, v);
	EXPECT_EQ(hal_irq_cpu_offline(1), -ENOSPC);
	for (u32 i = 0; i < 4; i++) {
		EXPECT_EQ(effective(dev[i].irq), 1);
		fire(&dev[i]);
		nothing_owed();
	}
	EXPECT(vectors_is_open(&x86_irq_vectors, 1));
}

/* Devices reach eight bits of an id. */
static void unreachable_cpu(void)
{
	u64 mask[HAL_MAX_CPUS / 64];

	fake_power_on();
	fake.x2_possible = true;
	fake.cpus[3].apic.id = x86_acpi.cpus[3].apic_id = 300;
	fake_boot();
	EXPECT(x86_apic_is_x2());
	mask_of(mask, 8);
	line_setup(&dev[0], 5, HAL_IRQ_EDGE);
	EXPECT_EQ(hal_irq_set_affinity(5, mask), -EINVAL);
	mask_of(mask, 12);
	EXPECT_EQ(hal_irq_set_affinity(5, mask), 0);
	EXPECT_EQ(effective(5), 2);
}

TEST(hal_irq_cpus_go)
{
	fake_scenario(cpu_goes);
	fake_scenario(cpu_must_stay);
	fake_scenario(unreachable_cpu);
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
