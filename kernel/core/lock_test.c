/* SPDX-License-Identifier: MIT */
/*
 * Self tests of the lock and RCU detectors: each plants its bug, reads the report, and repairs what it broke. The
 * reports do not end the machine because they are captured (selftest.h); that they do so otherwise is shown by the death
 * tests in core_test.c. What needs threads is tested in kernel/debug/detector_test.c.
 */
#define LOG_TAG "test"
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/core/lockstat.h>
#include <kernel/core/log.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/spinlock.h>
#include <lib/atomic.h>
#include <lib/string.h>

#if HALCYON_DEBUG

/* Both places: who asks, and who has it. */
SELFTEST(lockdep, inversion_names_both_places)
{
	struct spinlock outer, inner;

	spin_init(&outer, "test outer", LOCK_RANK_FILES);
	spin_init(&inner, "test inner", LOCK_RANK_OBJECT);
	report_capture_begin();
	spin_lock(&inner);
	spin_lock(&outer);
	spin_unlock(&outer);
	spin_unlock(&inner);
	EXPECT_REPORT("lock inversion: \"test outer\"");
	EXPECT_REPORT("while \"test inner\"");
	EXPECT_EQ(report_capture_count("selftest_lockdep_inversion_names_both_places+"), 2);
	EXPECT_REPORTS(1);
	report_capture_end();
}

SELFTEST(lockdep, right_order_is_silent)
{
	struct spinlock outer, inner, same;

	spin_init(&outer, "test outer", LOCK_RANK_FILES);
	spin_init(&inner, "test inner", LOCK_RANK_OBJECT);
	spin_init(&same, "test same", LOCK_RANK_OBJECT);
	report_capture_begin();
	spin_lock(&outer);
	spin_lock(&inner);
	spin_lock_nested(&same);
	spin_unlock(&inner); /* not the innermost first: allowed */
	spin_unlock(&same);
	spin_unlock(&outer);
	EXPECT_REPORTS(0);
	report_capture_end();
}

SELFTEST(lockdep, equal_rank_without_an_order)
{
	struct spinlock a, b;

	spin_init(&a, "test a", LOCK_RANK_OBJECT);
	spin_init(&b, "test b", LOCK_RANK_OBJECT);
	report_capture_begin();
	spin_lock(&a);
	spin_lock(&b);
	spin_unlock(&b);
	spin_unlock(&a);
	EXPECT_REPORT("lock inversion: \"test b\"");
	EXPECT_REPORTS(1);
	report_capture_end();
}

/*
 * What is planted here has consequences of its own: an interrupt that comes while the lock is held takes its locks under
 * "test leaf", and each of them is rightly reported. So it is not the reports that are counted but those of this fault.
 */
SELFTEST(lockdep, interrupts_on_under_an_inner_lock)
{
	static const char fault[] = "spinlock \"test leaf\" taken with interrupts on at selftest_lockdep_interrupts_on";
	struct spinlock l;

	spin_init(&l, "test leaf", LOCK_RANK_LEAF);
	report_capture_begin();
	spin_lock(&l);
	spin_unlock(&l);
	EXPECT_REPORT(fault);
	EXPECT_EQ(report_capture_count(fault), 1);
	if (EXPECT(spin_trylock(&l)))
		spin_unlock(&l);
	EXPECT_EQ(report_capture_count(fault), 2);
	report_capture_end();
}

/* What a handler would see: the depth of interrupts is all that says so. */
SELFTEST(lockdep, outer_lock_in_an_interrupt)
{
	irqflags_t f = hal_irq_save();
	struct spinlock l;

	spin_init(&l, "test outer", LOCK_RANK_FILES);
	report_capture_begin();
	hal_irq_depth_inc();
	spin_lock(&l);
	spin_unlock(&l);
	hal_irq_depth_dec();
	hal_irq_restore(f);
	EXPECT_REPORT("spinlock \"test outer\" taken in an interrupt at selftest_lockdep_outer_lock_in_an_interrupt");
	EXPECT_REPORTS(1);
	report_capture_end();
}

SELFTEST(lockdep, interrupt_that_keeps_a_lock)
{
	irqflags_t f = hal_irq_save();
	struct spinlock l;

	spin_init(&l, "test kept", LOCK_RANK_LEAF);
	report_capture_begin();
	hal_irq_depth_inc();
	lock_dep_irq_enter();
	spin_lock(&l);
	lock_dep_irq_exit();
	hal_irq_depth_dec();
	spin_unlock(&l);
	hal_irq_restore(f);
	EXPECT_REPORT("an interrupt ends with spinlock \"test kept\" held, taken at selftest_lockdep_interrupt_that");
	EXPECT_REPORT("an interrupt ends with preempt count");
	EXPECT_REPORTS(2);
	report_capture_end();
}

SELFTEST(lockdep, never_initialised)
{
	struct spinlock l;

	memset(&l, 0, sizeof(l));
	report_capture_begin();
	if (EXPECT(spin_trylock(&l)))
		spin_unlock(&l);
	EXPECT_REPORT("was never initialised");
	EXPECT_REPORTS(1);
	report_capture_end();
}

SELFTEST(lockdep, freed_while_held)
{
	struct {
		u64 before;
		struct spinlock l;
	} object;

	spin_init(&object.l, "test freed", LOCK_RANK_OBJECT);
	report_capture_begin();
	spin_lock(&object.l);
	lock_dep_assert_freed(&object, offsetof(__typeof__(object), l));
	EXPECT_REPORTS(0);
	lock_dep_assert_freed(&object, sizeof(object));
	spin_unlock(&object.l);
	EXPECT_REPORT("is freed with lock \"test freed\" in it, held since selftest_lockdep_freed_while_held");
	EXPECT_REPORTS(1);
	lock_dep_assert_freed(&object, sizeof(object));
	EXPECT_REPORTS(1);
	report_capture_end();
}

SELFTEST(lockdep, held_on_the_way_out)
{
	struct spinlock l;

	spin_init(&l, "test left", LOCK_RANK_OBJECT);
	report_capture_begin();
	lock_dep_assert_none("nowhere");
	EXPECT_REPORTS(0);
	spin_lock(&l);
	lock_dep_assert_none("the way to user mode");
	spin_unlock(&l);
	EXPECT_REPORT("lock \"test left\", taken at selftest_lockdep_held_on_the_way_out");
	EXPECT_REPORT("is still held at the way to user mode");
	EXPECT_REPORTS(1);
	report_capture_end();
}

/* ---- sleep in atomic context --------------------------------------------------------------------- */

SELFTEST(atomic, sleeping_where_it_is_forbidden)
{
	struct spinlock l;
	irqflags_t f;

	spin_init(&l, "test holder", LOCK_RANK_OBJECT);
	report_capture_begin();
	might_sleep();
	EXPECT_REPORTS(0);
	preempt_disable();
	might_sleep();
	preempt_enable();
	EXPECT_REPORT("sleeping call in atomic context at kernel/core/lock_test.c");
	EXPECT_REPORT("no spinlock");
	EXPECT_REPORTS(1);
	f = hal_irq_save();
	might_sleep();
	hal_irq_restore(f);
	EXPECT_REPORT("interrupts off");
	EXPECT_REPORTS(2);
	spin_lock(&l);
	might_sleep();
	spin_unlock(&l);
	EXPECT_REPORT("\"test holder\" (rank");
	EXPECT_REPORTS(3);
	report_capture_end();
}

SELFTEST(atomic, user_memory_under_a_spinlock)
{
	struct spinlock l;

	spin_init(&l, "test holder", LOCK_RANK_OBJECT);
	report_capture_begin();
	might_fault();
	EXPECT_REPORTS(0);
	spin_lock(&l);
	might_fault();
	spin_unlock(&l);
	EXPECT_REPORT("sleeping call in atomic context at kernel/core/lock_test.c");
	EXPECT_REPORTS(1);
	report_capture_end();
}

/* ---- RCU ----------------------------------------------------------------------------------------- */

SELFTEST(rcu, sleeping_in_a_read_section)
{
	report_capture_begin();
	rcu_read_lock();
	rcu_read_lock();
	rcu_read_unlock();
	might_sleep();
	rcu_read_unlock();
	EXPECT_REPORT("sleeping call in an RCU read section, entered at selftest_rcu_sleeping_in_a_read_section");
	EXPECT_REPORTS(1);
	might_sleep();
	EXPECT_REPORTS(1);
	report_capture_end();
}

static void *rcu_test_pointer;

SELFTEST(rcu, reading_outside_of_a_section)
{
	report_capture_begin();
	EXPECT(rcu_dereference(rcu_test_pointer) == NULL);
	EXPECT_REPORT("pointer of RCU's read outside of a read section, at selftest_rcu_reading_outside");
	EXPECT_REPORTS(1);
	rcu_read_lock();
	EXPECT(rcu_dereference(rcu_test_pointer) == NULL);
	rcu_read_unlock();
	EXPECT_REPORTS(1);
	rcu_read_unlock();
	EXPECT_REPORT("RCU read section left at selftest_rcu_reading_outside");
	EXPECT_REPORTS(2);
	report_capture_end();
}

SELFTEST(rcu, quiescent_state_under_a_reader)
{
	irqflags_t f;

	report_capture_begin();
	rcu_read_lock();
	f = hal_irq_save();
	rcu_report_quiescent();
	hal_irq_restore(f);
	rcu_read_unlock();
	EXPECT_REPORT("quiescent state inside of the RCU read section entered at selftest_rcu_quiescent_state");
	EXPECT_REPORTS(1);
	report_capture_end();
}

/* ---- statistics ---------------------------------------------------------------------------------- */

/* False, and *out stays, when no lock of that name was ever taken. */
static bool stat_of(const char *name, struct lock_stat *out)
{
	struct lock_stat s;
	const char *found;
	u32 rank;

	for (u32 class = 1; lock_stat_read(class, &found, &rank, &s); class++) {
		if (strcmp(found, name) != 0)
			continue;
		*out = s;
		return true;
	}
	return false;
}

SELFTEST(lockstat, counts_a_class)
{
	struct spinlock a, b;
	struct lock_stat before = { 0 }, after;
	bool was = lock_stat_on;
	u64 start, end, held;

	spin_init(&a, "test counted", LOCK_RANK_OBJECT);
	spin_init(&b, "test counted", LOCK_RANK_OBJECT);
	WRITE_ONCE(lock_stat_on, true);
	(void)stat_of("test counted", &before);
	start = hal_cycles();
	spin_lock(&a);
	spin_unlock(&a);
	spin_lock(&b);
	held = hal_cycles();
	hal_delay_ns(20000);
	held = hal_cycles() - held;
	spin_unlock(&b);
	end = hal_cycles();
	REQUIRE(stat_of("test counted", &after));
	EXPECT_EQ(after.taken - before.taken, 2);
	EXPECT_EQ(after.contended, before.contended);
	EXPECT(after.hold - before.hold >= held && after.hold - before.hold <= end - start);
	EXPECT(after.hold_max >= held && after.hold_max <= MAX(before.hold_max, end - start));
	EXPECT(after.hold_place >= (vaddr_t)(uintptr_t)selftest_lockstat_counts_a_class);
	WRITE_ONCE(lock_stat_on, false);
	spin_lock(&a);
	spin_unlock(&a);
	REQUIRE(stat_of("test counted", &before));
	EXPECT_EQ(after.taken, before.taken);
	WRITE_ONCE(lock_stat_on, was);
}

#endif
