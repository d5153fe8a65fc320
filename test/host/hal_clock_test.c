/* SPDX-License-Identifier: MIT */
/*
 * Calibration against made-up counters that all follow one virtual time, with what goes wrong on real
 * machines: slow register reads, an SMI in the middle of a window, counters that wrap, that stand still.
 */
#include <lib/errno.h>
#include "calibrate.h"
#include "framework.h"

struct machine {
	u64 now_ns;
	u64 read_ns;		/* what a read of the reference takes */
	u64 ref_hz, ref_mask, ref_start;
	u64 tsc_hz, apic_hz;
	bool stopped;
	u32 reads;
	u32 smi_every;		/* every n-th reference read ... */
	u64 smi_ns;		/* ... takes so much longer, after the value was taken */
};

static u64 scale(u64 ns, u64 hz)
{
	return ns / 1000000000 * hz + ns % 1000000000 * hz / 1000000000;
}

static u64 ref(void *ctx)
{
	struct machine *m = ctx;
	u64 v;

	m->now_ns += m->read_ns / 2;
	v = m->stopped ? m->ref_start : m->ref_start + scale(m->now_ns, m->ref_hz);
	m->now_ns += m->read_ns - m->read_ns / 2;
	if (m->smi_every && ++m->reads % m->smi_every == 0)
		m->now_ns += m->smi_ns;
	return v & m->ref_mask;
}

static u64 tsc(void *ctx)
{
	struct machine *m = ctx;

	m->now_ns += 10;
	return scale(m->now_ns, m->tsc_hz) + 123456789;
}

static u32 apic(void *ctx)
{
	struct machine *m = ctx;

	m->now_ns += 20;
	return (u32)(0xffffffffu - scale(m->now_ns, m->apic_hz));
}

static int run(struct machine *m, struct calibration *c)
{
	struct calibrate_io io = { ref, tsc, apic, m, m->ref_hz, m->ref_mask };

	return calibrate(&io, c);
}

/* Within 0.1 %. */
#define EXPECT_NEAR(got, want) EXPECT((got) > (want) / 1000 * 999 && (got) < (want) / 1000 * 1001)

TEST(hal_calibrate_hpet)
{
	struct machine m = { .read_ns = 600, .ref_hz = 100000000, .ref_mask = 0xffffffff,
			     .ref_start = 0xfffffff0, .tsc_hz = 2500000000ull, .apic_hz = 1000000000 };
	struct calibration c;

	EXPECT_EQ(run(&m, &c), 0);
	EXPECT_NEAR(c.tsc_hz, m.tsc_hz);
	EXPECT_NEAR(c.apic_hz, m.apic_hz);
	EXPECT(m.now_ns < 5000000);
}

TEST(hal_calibrate_pm_timer_wraps)
{
	struct machine m = { .read_ns = 1000, .ref_hz = 3579545, .ref_mask = 0xffffff,
			     .ref_start = 0xfff000, .tsc_hz = 1896000000ull, .apic_hz = 24000000 };
	struct calibration c;

	EXPECT_EQ(run(&m, &c), 0);
	EXPECT(c.tsc_hz > m.tsc_hz / 1000 * 997 && c.tsc_hz < m.tsc_hz / 1000 * 1003);
	EXPECT(c.apic_hz > m.apic_hz / 1000 * 997 && c.apic_hz < m.apic_hz / 1000 * 1003);
}

TEST(hal_calibrate_smi)
{
	struct machine m = { .read_ns = 600, .ref_hz = 14318180, .ref_mask = 0xffffffff,
			     .tsc_hz = 3000000000ull, .apic_hz = 100000000,
			     .smi_every = 2003, .smi_ns = 300000 };
	struct calibration c;

	EXPECT_EQ(run(&m, &c), 0);
	EXPECT_NEAR(c.tsc_hz, m.tsc_hz);
}

TEST(hal_calibrate_broken)
{
	struct machine still = { .read_ns = 600, .ref_hz = 100000000, .ref_mask = 0xffffffff, .stopped = true,
				 .tsc_hz = 3000000000ull, .apic_hz = 100000000 };
	struct machine no_apic = { .read_ns = 600, .ref_hz = 100000000, .ref_mask = 0xffffffff,
				   .tsc_hz = 3000000000ull, .apic_hz = 0 };
	struct machine slow_tsc = { .read_ns = 600, .ref_hz = 100000000, .ref_mask = 0xffffffff,
				    .tsc_hz = 1000, .apic_hz = 100000000 };
	struct calibration c;

	EXPECT_EQ(run(&still, &c), -EIO);
	EXPECT_EQ(run(&no_apic, &c), -EIO);
	EXPECT_EQ(run(&slow_tsc, &c), -EIO);
}

TEST(hal_calibrate_cpuid)
{
	EXPECT_EQ(calibrate_cpuid(0x16, 2, 176, 24000000, 2100), 2112000000);
	EXPECT_EQ(calibrate_cpuid(0x16, 2, 176, 0, 2100), 2100000000);
	EXPECT_EQ(calibrate_cpuid(0x15, 2, 176, 0, 2100), 0);
	EXPECT_EQ(calibrate_cpuid(0x16, 0, 0, 0, 2100), 0);
	EXPECT_EQ(calibrate_cpuid(0x0d, 2, 176, 24000000, 0), 0);
}

TEST(hal_calibrate_mult)
{
	EXPECT_EQ(calibrate_mult(1000000000), 1ull << 32);
	EXPECT_EQ(calibrate_mult(2000000000), 1ull << 31);
	EXPECT_EQ(calibrate_mult(500000000), 1ull << 33);
	EXPECT_EQ(calibrate_mult(3000000000ull), 1431655765);
}
