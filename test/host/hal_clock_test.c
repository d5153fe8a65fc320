/* SPDX-License-Identifier: MIT */
/*
 * Calibration against made-up counters that all follow one virtual time, with what goes wrong on real
 * machines: slow register reads, an SMI in the middle of a window, counters that wrap, that stand still.
 */
#include <pthread.h>
#include <time.h>

#include <lib/errno.h>
#include <arch/clock.h>
#include "calibrate.h"
#include "clocksource.h"
#include "framework.h"

struct machine {
	u64 now_ns;
	u64 read_ns;		/* what a read of the reference takes */
	u64 ref_hz, ref_mask, ref_start;
	u64 check_hz, check_mask;	/* the second reference says that it is; it runs at ... */
	u64 check_real_hz;		/* ... this, if not 0 */
	u64 tsc_hz, apic_hz;
	bool stopped;
	bool check_stopped;
	u32 reads;
	u32 smi_every;		/* every n-th reference read ... */
	u64 smi_ns;		/* ... takes so much longer, after the value was taken */
	u32 apic_reads, theft_at, theft_times;	/* before this read of the APIC timer, and each so many reads later, ... */
	u64 theft_ns;		/* ... the host takes the CPU away for so long */
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

static u64 check(void *ctx)
{
	struct machine *m = ctx;

	m->now_ns += 900;
	return m->check_stopped ? 7 : scale(m->now_ns - 450, m->check_real_hz ? m->check_real_hz : m->check_hz) & m->check_mask;
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

	if (m->theft_times && ++m->apic_reads == m->theft_at) {
		m->now_ns += m->theft_ns;
		m->apic_reads = 0;
		m->theft_times--;
	}
	m->now_ns += 20;
	return scale(m->now_ns, m->apic_hz) >= 0xffffffffu ? 0 : (u32)(0xffffffffu - scale(m->now_ns, m->apic_hz));
}

static int run(struct machine *m, struct calibration *c)
{
	struct calibrate_io io = { { ref, m->ref_hz, m->ref_mask }, { m->check_hz ? check : NULL, m->check_hz, m->check_mask },
				   tsc, apic, m };

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

/*
 * A host that takes the CPU away between two reads, for many windows' time, wherever that is: right, or refused. Once it
 * stood between the TSC's reading and the APIC timer's, and a timer of 1,000 MHz was taken for one of 15.
 */
TEST(hal_calibrate_theft)
{
	const u64 theft_ns[] = { 500000, 65000000, 1000000000 };
	u32 right = 0;

	for (u32 k = 0; k < 3; k++)
		for (u32 times = 1; times <= 64; times *= 2)
			for (u32 at = 1; at <= 16; at++) {
				struct machine m = { .read_ns = 600, .ref_hz = 100000000, .ref_mask = 0xffffffff,
						     .tsc_hz = 2500000000ull, .apic_hz = 1000000000, .theft_at = at,
						     .theft_times = times, .theft_ns = theft_ns[k] };
				struct calibration c;
				int err = run(&m, &c);

				EXPECT(err == 0 || err == -EIO);
				if (err)
					continue;
				right++;
				EXPECT(c.tsc_hz > m.tsc_hz / 100 * 99 && c.tsc_hz < m.tsc_hz / 100 * 101);
				EXPECT(c.apic_hz > m.apic_hz / 100 * 99 && c.apic_hz < m.apic_hz / 100 * 101);
			}
	EXPECT(right > 200);
}

/* Reads that take long, as in a machine in a machine: longer windows make good for it. */
TEST(hal_calibrate_slow_reads)
{
	struct machine m = { .read_ns = 60000, .ref_hz = 1193182, .ref_mask = 0xffff, .tsc_hz = 2500000000ull,
			     .apic_hz = 100000000 };
	struct calibration c;

	EXPECT_EQ(run(&m, &c), 0);
	EXPECT(c.tsc_hz > m.tsc_hz / 100 * 99 && c.tsc_hz < m.tsc_hz / 100 * 101);
	EXPECT(c.apic_hz > m.apic_hz / 100 * 99 && c.apic_hz < m.apic_hz / 100 * 101);
	EXPECT(m.now_ns < 200000000);
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

TEST(hal_calibrate_two_references)
{
	struct machine m = { .read_ns = 600, .ref_hz = 100000000, .ref_mask = 0xffffffff, .check_hz = 3579545,
			     .check_mask = 0xffffff, .tsc_hz = 2500000000ull, .apic_hz = 1000000000 };
	struct machine liar = m, still = m;
	struct calibration c;

	EXPECT_EQ(run(&m, &c), 0);
	EXPECT_NEAR(c.tsc_hz, m.tsc_hz);
	EXPECT(calibrate_agrees(c.tsc_hz, c.check_tsc_hz));
	EXPECT(m.now_ns < 6000000);	/* no windows of its own */

	liar.check_real_hz = 2 * liar.check_hz;	/* a PM timer at double speed: half the TSC ticks for each of its own */
	EXPECT_EQ(run(&liar, &c), 0);
	EXPECT_NEAR(c.tsc_hz, m.tsc_hz);
	EXPECT_NEAR(c.check_tsc_hz * 2, m.tsc_hz);
	EXPECT(!calibrate_agrees(c.tsc_hz, c.check_tsc_hz));

	still.check_stopped = true;
	EXPECT_EQ(run(&still, &c), 0);
	EXPECT_EQ(c.check_tsc_hz, 0);
}

/* Who is believed when references differ. */
TEST(hal_calibrate_votes)
{
	struct calibrate_vote v[4] = { { "HPET", 2000000000, 1 }, { "PM timer", 2001000000, 1 }, { "PIT", 1000000000, 1 },
				       { "CPUID", 0, 0 } };
	bool sure;

	EXPECT_EQ(calibrate_choose(v, 2, &sure), 0);
	EXPECT(sure);
	v[0].tsc_hz = 4000000000;		/* the HPET lies: the two others agree */
	v[2].tsc_hz = 1999000000;
	EXPECT_EQ(calibrate_choose(v, 3, &sure), 1);
	EXPECT(sure);
	v[2].tsc_hz = 1000000000;		/* nobody agrees: the first, and not sure */
	EXPECT_EQ(calibrate_choose(v, 3, &sure), 0);
	EXPECT(!sure);
	v[3].tsc_hz = 1000000000;		/* CPUID confirms the third */
	EXPECT_EQ(calibrate_choose(v, 4, &sure), 2);
	EXPECT(sure);
	EXPECT_EQ(calibrate_choose(v, 1, &sure), 0);
	EXPECT(!sure);
	EXPECT(!calibrate_agrees(0, 0));
	EXPECT(calibrate_agrees(100, 101) && !calibrate_agrees(100, 102) && !calibrate_agrees(102, 100));
}

/* ---- the clock's source ---- */

static u64 fake_tsc, fake_hpet, fake_pm;

static u64 fake_read_tsc(void)
{
	return fake_tsc;
}

static u64 fake_read_hpet(void)
{
	return fake_hpet & 0xffffffff;
}

static u64 fake_read_pm(void)
{
	return fake_pm & 0xffffff;
}

/* All three counters move on by so much time. */
static void pass(u64 ns)
{
	fake_tsc += scale(ns, 2000000000);
	fake_hpet += scale(ns, 100000000);
	fake_pm += scale(ns, 3579545);
}

static u64 now_by_source(void)
{
	if (x86_clock.mult)
		return (u64)(((x86_u128)(fake_tsc - x86_clock.base) * x86_clock.mult) >> 32);
	return x86_clock_slow_ns();
}

TEST(hal_clocksource_extend)
{
	EXPECT_EQ(calibrate_extend(0xfffff0, 0x000010, 0xffffff), 0x1000010);
	EXPECT_EQ(calibrate_extend(0x1000010, 0x20, 0xffffff), 0x1000020);
	EXPECT_EQ(calibrate_extend(0x1000010, 0x08, 0xffffff), 0x1000010);	/* behind: a glitch, time stands still */
	EXPECT_EQ(calibrate_extend(5, 5, 0xffffffff), 5);
}

/* Time goes on through every change of the source and every wrap, and never back. */
TEST(hal_clocksource_select)
{
	static const u32 order[] = { CLOCKSOURCE_HPET, CLOCKSOURCE_PM, CLOCKSOURCE_HPET, CLOCKSOURCE_TSC, CLOCKSOURCE_PM,
				     CLOCKSOURCE_TSC };
	u64 start, last = 0, passed = 0;

	EXPECT_EQ(x86_clock_slow_ns(), 0);	/* before the first choice */
	x86_clock.base = fake_tsc = 1234567;
	fake_hpet = 0xfffffff0;
	fake_pm = 0xfff000;
	clocksource_add(CLOCKSOURCE_TSC, fake_read_tsc, 2000000000, ~0ull);
	clocksource_add(CLOCKSOURCE_HPET, fake_read_hpet, 100000000, 0xffffffff);
	clocksource_add(CLOCKSOURCE_PM, fake_read_pm, 3579545, 0xffffff);
	pass(1000000);
	EXPECT_EQ(clocksource_select(CLOCKSOURCE_TSC), 0);
	EXPECT_EQ(clocksource_half_turn_ns(), 0);
	start = now_by_source();
	EXPECT(start > 990000 && start < 1010000);	/* time 0 was before the choice */
	for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
		EXPECT_EQ(clocksource_select(order[i]), 0);
		for (int n = 0; n < 40; n++) {
			u64 now = now_by_source();

			EXPECT(now >= last);
			last = now;
			pass(1000000007);
			passed += 1000000007;
		}
	}
	EXPECT(last - start < passed && passed - (last - start) < 1100000000);
	EXPECT_EQ(clocksource_select(CLOCKSOURCE_PM), 0);
	EXPECT(clocksource_half_turn_ns() > 2300000000ull && clocksource_half_turn_ns() < 2400000000ull);
	clocksource_forbid(CLOCKSOURCE_TSC);
	EXPECT_EQ(clocksource_select(CLOCKSOURCE_TSC), -EINVAL);
	EXPECT_EQ(clocksource_select(CLOCKSOURCE_COUNT), -EINVAL);
	EXPECT_EQ(clocksource_current(), CLOCKSOURCE_PM);
}

/* ---- readers while the source changes ---- */

#define CHANGES_NS	300000000ull
#define PM_TICK_NS	280	/* reading a real one takes longer than its tick; here it may be seen */

static bool changes_over;	/* [a] */

static u64 host_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static u64 real_hpet(void)
{
	return scale(host_now_ns(), 100000000) & 0xffffffff;
}

static u64 real_pm(void)
{
	return scale(host_now_ns(), 3579545) & 0xffffff;
}

static void *change_sources(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&changes_over, __ATOMIC_ACQUIRE)) {
		EXPECT_EQ(clocksource_select(CLOCKSOURCE_HPET), 0);
		EXPECT_EQ(clocksource_select(CLOCKSOURCE_PM), 0);
	}
	return NULL;
}

/* A reader that was overtaken by two changes holds parts of two clocks, and must look again: for nobody time goes back. */
TEST(hal_clocksource_changes_under_readers)
{
	u64 end = host_now_ns() + CHANGES_NS, last = 0, now;
	pthread_t writer;

	clocksource_add(CLOCKSOURCE_HPET, real_hpet, 100000000, 0xffffffff);
	clocksource_add(CLOCKSOURCE_PM, real_pm, 3579545, 0xffffff);
	EXPECT_EQ(clocksource_select(CLOCKSOURCE_PM), 0);
	EXPECT_EQ(pthread_create(&writer, NULL, change_sources, NULL), 0);
	while (host_now_ns() < end && !test_failed()) {
		now = x86_clock_slow_ns();
		EXPECT(now + PM_TICK_NS >= last);
		last = now;
	}
	__atomic_store_n(&changes_over, true, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
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
