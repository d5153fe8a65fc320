/* SPDX-License-Identifier: MIT */
/*
 * An irq that moves loses nothing, whatever happens between two register writes; messages; CPUs that go. On the made-up
 * machine of test/host/x86/fake.h.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include "acpi_glue.h"
#include "framework.h"
#include "x86/device.h"

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
