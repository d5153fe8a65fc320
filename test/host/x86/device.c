/* SPDX-License-Identifier: MIT */
/* Devices of the made-up machine: device.h. */
#include <lib/string.h>
#include "device.h"
#include "framework.h"

u64 mask_of(u64 *mask, u64 low)
{
	memset(mask, 0, HAL_MAX_CPUS / 8);
	mask[0] = low;
	return low;
}

struct device dev[8];

enum hal_irq_result handler(void *arg, u32 irq)
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

void fire(struct device *d)
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

const struct hal_msi_ops msi_ops = { msi_write, msi_mask }, msi_plain = { msi_write, NULL };

void msi_setup(u32 n, const struct hal_msi_ops *ops)
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

void line_setup(struct device *d, u32 irq, u32 flags)
{
	*d = (struct device){ .irq = irq, .answer = HAL_IRQ_HANDLED, .level = !(flags & HAL_IRQ_EDGE) };
	EXPECT_EQ(hal_irq_request(irq, handler, d, flags, "line"), 0);
}

u32 effective(u32 irq)
{
	u64 mask[HAL_MAX_CPUS / 64];
	u32 cpu = 0;

	EXPECT(hal_irq_affinity(irq, mask, &cpu));
	return cpu;
}

struct hal_irq_info info_of(u32 irq)
{
	struct hal_irq_info info = { 0 };
	u32 at = irq;

	EXPECT(hal_irq_next(&at, &info) && at == irq);
	return info;
}

u32 used_vectors(void)
{
	u32 n = 0;

	for (u32 cpu = 0; cpu < FAKE_CPUS; cpu++)
		n += vectors_count_used(&x86_irq_vectors, cpu);
	return n;
}

void nothing_owed(void)
{
	fake_run_all();
	fake_run_all();
	for (u32 i = 0; i < ARRAY_SIZE(dev); i++)
		EXPECT(!dev[i].owed);
	for (u32 cpu = 0; cpu < FAKE_CPUS; cpu++)
		EXPECT_EQ(x86_irq_unexpected[cpu], 0);
}
