/* SPDX-License-Identifier: MIT */
/*
 * Self tests of the clock's way from one counter to another: a CPU whose time stamp counter differs from the others', and counters
 * that drift. What is made up is a reading; from there on all is as on a machine that has the fault: the comparison, the change of
 * the source, the page that programs read. All the while threads on all CPUs look at the time, by the kernel's clock and by
 * the page as the vDSO does, and what anybody has seen is never ahead of what somebody sees after it. And readers of the wall
 * clock see no half of a write.
 */
#include <abi/linux/time.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/vdso.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/selftest.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/sched.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "internal.h"

#if HALCYON_DEBUG

#define MS ((u64)NSEC_PER_MSEC)
#define MAX_LOOKERS 4u
#define WARP_NS (3 * (s64)NSEC_PER_SEC) /* more than a host takes a CPU away for, between the looks of two of them */
#define WATCH_NS (20 * MS)
#define DRIFT_NS (5 * MS) /* a look; the limit is 1 ms and a thousandth */
#define PATIENCE_NS (5 * (u64)NSEC_PER_SEC)

struct lookers {
	u64 seen_ns; /* [a] the latest time that anybody has seen */
	u64 looks, by_page, back; /* [a] */
	bool stop; /* [a] */
	u32 n;
	struct completion done[MAX_LOOKERS];
};

struct looker {
	struct lookers *all;
	u32 number;
};

/* As hal/x86_64/vdso reads it; true: it could. */
static bool page_ns(const struct hal_vvar *page, u64 *ns)
{
	u64 base, mult, offset, cycles;
	u32 seq;

	if (!page)
		return false;
	do {
		seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
		base = READ_ONCE(page->base);
		mult = READ_ONCE(page->clock[CLOCK_MONOTONIC].mult);
		offset = READ_ONCE(page->clock[CLOCK_MONOTONIC].offset);
		cycles = hal_cycles();
		smp_rmb();
	} while ((seq & 1) || READ_ONCE(page->seq) != seq);
	*ns = (u64)(((unsigned __int128)(cycles - base) * mult) >> 32) + offset;
	return mult != 0;
}

static void look(struct lookers *a)
{
	u64 seen = __atomic_load_n(&a->seen_ns, __ATOMIC_ACQUIRE), now;

	if (__atomic_fetch_add(&a->looks, 1, __ATOMIC_RELAXED) % 2 && page_ns(clock_test_page(), &now))
		__atomic_fetch_add(&a->by_page, 1, __ATOMIC_RELAXED);
	else
		now = hal_clock_ns();
	if (now < seen)
		__atomic_fetch_add(&a->back, 1, __ATOMIC_RELAXED);
	while (now > seen && !__atomic_compare_exchange_n(&a->seen_ns, &seen, now, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static void looker_main(void *arg)
{
	struct looker *l = arg;

	while (!__atomic_load_n(&l->all->stop, __ATOMIC_ACQUIRE)) {
		for (u32 i = 0; i < 64; i++)
			look(l->all);
		sched_relax();
	}
	complete(&l->all->done[l->number]);
}

static bool lookers_start(struct lookers *a, struct looker *each)
{
	memset(a, 0, sizeof(*a));
	for (a->n = 0; a->n < MIN(hal_cpu_online_count(), MAX_LOOKERS); a->n++) {
		each[a->n] = (struct looker){ a, a->n };
		completion_init(&a->done[a->n]);
		if (!EXPECT(kthread_run(looker_main, &each[a->n], "looker")))
			break;
	}
	return a->n > 0;
}

static void lookers_stop(struct lookers *a)
{
	__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
	for (u32 i = 0; i < a->n; i++)
		wait_for_completion(&a->done[i], "selftest");
	EXPECT(a->looks > 100);
	EXPECT_EQ(a->back, 0);
}

static void nap(u64 ns)
{
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	(void)thread_sleep_until(clock_mono_ns() + ns, THREAD_UNINTERRUPTIBLE, "selftest");
}

static bool is_tsc(void)
{
	return !strcmp(hal_clock_source_current(), "tsc");
}

/* The clock has left the TSC, programs have noticed, and nobody can choose it; then it may be used again. */
static void expect_left(struct lookers *a)
{
	u64 ns, by_page, end;

	EXPECT(!is_tsc());
	EXPECT(!hal_clock_user_readable());
	EXPECT(!page_ns(clock_test_page(), &ns));
	EXPECT_EQ(hal_clock_source_select("tsc"), -EINVAL);
	by_page = READ_ONCE(a->by_page);
	nap(2 * MS);
	EXPECT(READ_ONCE(a->by_page) - by_page <= a->n); /* each may be in the midst of counting one */
	hal_clock_test_forgive();
	EXPECT(is_tsc() && hal_clock_user_readable());
	if (clock_test_page()) {
		EXPECT(page_ns(clock_test_page(), &ns));
		by_page = READ_ONCE(a->by_page);
		for (end = hal_clock_ns() + PATIENCE_NS; READ_ONCE(a->by_page) - by_page <= a->n && hal_clock_ns() < end;)
			nap(2 * MS);
		EXPECT(READ_ONCE(a->by_page) - by_page > a->n);
	}
}

static bool has_second_source(void)
{
	if (!is_tsc() || !hal_clock_source_name(1)) {
		selftest_skip("the clock is not the TSC, or there is nothing else");
		return false;
	}
	return true;
}

SELFTEST(clock, counters_that_disagree)
{
	static struct lookers a;
	static struct looker each[MAX_LOOKERS];
	u32 last = hal_cpu_count() - 1;
	static const s64 warps[] = { -WARP_NS, WARP_NS };

	if (!has_second_source())
		return;
	if (!last || !hal_cpu_online(last)) {
		selftest_skip("no second CPU");
		return;
	}
	REQUIRE(lookers_start(&a, each));
	for (u32 i = 0; i < ARRAY_SIZE(warps); i++) {
		EXPECT_EQ(cpuhp_down(last), 0);
		hal_clock_test_warp(last, warps[i] * (s64)(hal_clock_hz() / 1000) / (s64)MS);
		report_capture_begin();
		EXPECT_EQ(cpuhp_up(last), 0);
		EXPECT_REPORT("the CPUs' time stamp counters differ by");
		EXPECT_REPORT("the TSC is not fit for a clock (the CPUs' counters differ)");
		report_capture_end();
		hal_clock_test_warp(0, 0);
		expect_left(&a);
	}
	EXPECT_EQ(cpuhp_down(last), 0);
	EXPECT_EQ(cpuhp_up(last), 0);
	EXPECT(is_tsc()); /* counters that agree change nothing */
	lookers_stop(&a);
}

SELFTEST(clock, a_counter_that_drifts)
{
	static struct lookers a;
	static struct looker each[MAX_LOOKERS];
	u64 end;

	if (!has_second_source())
		return;
	if (!hal_clock_wants_check()) {
		selftest_skip("the TSC is not watched");
		return;
	}
	REQUIRE(lookers_start(&a, each));
	clock_test_watch(WATCH_NS);
	nap(5 * WATCH_NS);
	EXPECT(is_tsc()); /* it does not drift */
	report_capture_begin();
	hal_clock_test_drift(DRIFT_NS);
	for (end = hal_clock_ns() + PATIENCE_NS; is_tsc() && hal_clock_ns() < end;)
		nap(WATCH_NS);
	hal_clock_test_drift(0);
	clock_test_watch(0);
	EXPECT_REPORT("the TSC is not fit for a clock (it drifts from the HPET)");
	report_capture_end();
	expect_left(&a);
	clock_test_watch(0);
	lookers_stop(&a);
}

/* ---- readers and a writer ------------------------------------------------------------------------- */

#define READS 4000u
#define WRONG_BY_NS (3600 * (u64)NSEC_PER_SEC)

static struct {
	u64 offset_ns;
	u32 wrong;
	bool ended; /* [a] */
	struct completion done;
} reader;

static bool reader_goes_on(void)
{
	return !__atomic_load_n(&reader.ended, __ATOMIC_ACQUIRE);
}

static void reader_main(void *arg)
{
	(void)arg;
	for (u32 i = 0; i < READS; i++) {
		u64 off = clock_real_ns() - clock_mono_ns() - reader.offset_ns;

		reader.wrong += (s64)off > (s64)(WRONG_BY_NS / 2); /* who is stopped between the two clocks finds less, not more */
	}
	__atomic_store_n(&reader.ended, true, __ATOMIC_RELEASE);
	complete(&reader.done);
}

/* Who reads the wall clock while its offset is being written reads it again. */
SELFTEST(clock, half_a_write_is_not_read)
{
	if (hal_cpu_count() < 2 || !hal_cpu_online(1)) {
		selftest_skip("no second CPU");
		return;
	}
	memset(&reader, 0, sizeof(reader));
	completion_init(&reader.done);
	reader.offset_ns = clock_real_ns() - clock_mono_ns();
	REQUIRE(kthread_run(reader_main, NULL, "reader"));
	clock_test_half_writes(WRONG_BY_NS, reader_goes_on);
	wait_for_completion(&reader.done, "selftest");
	EXPECT_EQ(reader.wrong, 0);
}

#endif
