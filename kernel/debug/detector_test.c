/* SPDX-License-Identifier: MIT */
/*
 * Self tests of the detectors that need threads, time or interrupts: long spins, stalled grace periods, a CPU without
 * interrupts, hung tasks, sleeping locks; and of the command `locks`. Limits are shortened for the time of a test, so
 * that all of them together take a fraction of a second. (kernel/core/lock_test.c has the others.)
 */
#define LOG_TAG "test"
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/command.h>
#include <kernel/core/lockstat.h>
#include <kernel/core/log.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/watchdog.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <lib/string.h>
#include "hung.h"

#if HALCYON_DEBUG

#define MS ((u64)NSEC_PER_MSEC)
#define PATIENCE_NS (10000 * MS)	/* for a report that must come: the host may be busy */

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

/*
 * With limits of some milliseconds, whoever the host takes a CPU away from may be reported meanwhile, and rightly. So the tests of
 * what takes time count the reports of what they planted, not all.
 */
#define EXPECT_OF(text, n)							\
	do {									\
		if (!EXPECT_EQ(report_capture_count(text), n))			\
			report_capture_dump();					\
	} while (0)

static void sleep_ns(u64 ns)
{
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	(void)thread_sleep_until(clock_mono_ns() + ns, THREAD_UNINTERRUPTIBLE, "selftest");
}

/* ---- a spinlock that is held too long --------------------------------------------------------------- */

struct spun {
	struct spinlock l;
	struct timer timer;
	u64 end_ns;
	struct completion go, gone;
};

static noinline void spin_holder_sleeps(struct spun *s)
{
	wait_for_completion(&s->go, "selftest");
	barrier(); /* no tail call: it shall be seen */
}

static void spin_holder(void *arg)
{
	struct spun *s = arg;

	spin_holder_sleeps(s);
	complete(&s->gone);
}

/* Lets the waiter in, as the holder's release would, when it has been heard of. */
static void spun_release(struct timer *t)
{
	struct spun *s = container_of(t, struct spun, timer);

	if (!report_capture_has("on \"test spun\"") && hal_clock_ns() < s->end_ns)
		timer_arm(t, hal_clock_ns() + 5 * MS);
	else
		spin_clear(&s->l);
}

/* True when it sleeps: its backtrace is of interest. */
static bool falls_asleep(const struct thread *t)
{
	u32 where;

	for (u64 end = hal_clock_ns() + PATIENCE_NS; hal_clock_ns() < end; sleep_ns(5 * MS))
		if (READ_ONCE(t->state) == THREAD_UNINTERRUPTIBLE && !sched_is_running(t, &where))
			return true;
	return false;
}

/* Held by a thread that sleeps, which the book would not allow: the state is made by hand. */
static void spun_hold(struct spun *s, struct thread *holder)
{
	spin_init(&s->l, "test spun", LOCK_RANK_OBJECT);
	s->l.word = SPIN_LOCKED;
	s->l.cpu = (u16)hal_cpu_id();
	s->l.thread = holder;
	s->l.place = (vaddr_t)(uintptr_t)spin_holder;
}

SELFTEST(detector, spinlock_held_too_long)
{
	static struct spun s;
	struct lock_stat before = { 0 }, after;
	struct thread *holder;

	completion_init(&s.go);
	completion_init(&s.gone);
	holder = kthread_run(spin_holder, &s, "spinholder");
	REQUIRE(holder);
	EXPECT(falls_asleep(holder));
	(void)stat_of("test spun", &before);
	spun_hold(&s, holder);
	timer_init(&s.timer, spun_release);
	report_capture_begin();
	WRITE_ONCE(spin_report_ns, 5 * MS);
	s.end_ns = hal_clock_ns() + PATIENCE_NS;
	timer_arm(&s.timer, hal_clock_ns() + 20 * MS);
	spin_lock(&s.l);
	spin_unlock(&s.l);
	WRITE_ONCE(spin_report_ns, SPIN_REPORT_NS);
	EXPECT_REPORT("on \"test spun\"");
	EXPECT_REPORT("at selftest_detector_spinlock_held_too_long");
	EXPECT_REPORT("holds it, taken at spin_holder");
	EXPECT_REPORT("holder: spinholder (kernel)");
	EXPECT_REPORT("spin_lock_at+");
	EXPECT_REPORT("spin_holder_sleeps+");
	EXPECT_OF("on \"test spun\"", 1);
	report_capture_end();
	if (EXPECT(stat_of("test spun", &after))) {
		EXPECT_EQ(after.contended - before.contended, 1);
		EXPECT(after.wait_max > 0 && after.wait - before.wait == after.wait_max);
	}
	complete(&s.go);
	wait_for_completion(&s.gone, "selftest");
}

/* ---- interrupts and NMIs ----------------------------------------------------------------------------- */

static noinline void backtrace_asked_for(void)
{
	backtrace_print_cpu(LOG_ERR, hal_cpu_id());
	barrier();
}

SELFTEST(detector, a_cpu_is_asked_where_it_is)
{
	irqflags_t f;

	report_capture_begin();
	f = hal_irq_save();
	backtrace_asked_for();
	hal_irq_restore(f);
	EXPECT_REPORT("backtrace_asked_for+");
	EXPECT(!report_capture_has("does not answer"));
	backtrace_print_cpu(LOG_ERR, MAX_CPUS - 1);
	EXPECT_REPORT("is not online");
	report_capture_end();
}

static noinline void stand_with_interrupts_off(void)
{
	irqflags_t f = hal_irq_save();
	u64 end = hal_clock_ns() + PATIENCE_NS;

	while (hal_clock_ns() < end && !report_capture_has("cpu 0 has taken no interrupts"))
		hal_cpu_relax();
	hal_irq_restore(f);
}

SELFTEST(detector, cpu_without_interrupts)
{
	struct cpumask before = current_thread()->affinity, first;
	u64 thresh = watchdog_thresh_ns();
	int err = watchdog_set(40 * MS);

	if (err) {
		selftest_skip("no timer of this machine sends NMIs");
		return;
	}
	cpumask_clear(&first); /* the CPU that gets the NMIs */
	cpumask_set(&first, 0);
	EXPECT_EQ(sched_set_affinity(current_thread(), &first), 0);
	report_capture_begin();
	sleep_ns(100 * MS); /* idle, then busy: neither is a fault */
	for (u64 end = hal_clock_ns() + 100 * MS; hal_clock_ns() < end;)
		hal_cpu_relax();
	EXPECT_OF("cpu 0 has taken no interrupts for", 0);
	stand_with_interrupts_off();
	EXPECT_OF("watchdog: cpu 0 has taken no interrupts for", 1);
	EXPECT_REPORT("stand_with_interrupts_off+");
	EXPECT_REPORT("rip ");
	report_capture_end();
	(void)sched_set_affinity(current_thread(), &before);
	EXPECT_EQ(watchdog_set(thresh), 0);
}

/* ---- RCU ----------------------------------------------------------------------------------------------- */

static void rcu_nothing(struct rcu_head *head)
{
	WRITE_ONCE(head->next, head);
}

static noinline void read_for_long(struct rcu_head *head)
{
	u64 end = hal_clock_ns() + PATIENCE_NS;

	rcu_read_lock();
	call_rcu(head, rcu_nothing);
	while (hal_clock_ns() < end && !(report_capture_has("is in a read section entered at read_for_long") &&
					 report_capture_has("interrupted: ")))
		hal_cpu_relax();
	rcu_read_unlock();
}

SELFTEST(detector, grace_period_that_does_not_end)
{
	static struct rcu_head head;

	synchronize_rcu();
	report_capture_begin();
	WRITE_ONCE(rcu_stall_ns, 20 * MS);
	read_for_long(&head);
	WRITE_ONCE(rcu_stall_ns, RCU_STALL_NS);
	EXPECT_REPORT("rcu: grace period");
	EXPECT_REPORT("does not end: ");
	EXPECT_REPORT("is in a read section entered at read_for_long");
	EXPECT_REPORT("interrupted: ");
	report_capture_end();
	for (u64 end = hal_clock_ns() + PATIENCE_NS; READ_ONCE(head.next) != &head && hal_clock_ns() < end;)
		sleep_ns(MS);
	EXPECT(READ_ONCE(head.next) == &head);
}

/* ---- sleeping locks and waiting --------------------------------------------------------------------------- */

SELFTEST(detector, sleeping_locks_out_of_order)
{
	struct mutex outer, inner;
	struct rwsem same;

	mutex_init(&outer, "test outer", LOCK_RANK_EXEC);
	mutex_init(&inner, "test inner", LOCK_RANK_MODULE);
	rwsem_init(&same, "test same", LOCK_RANK_MODULE);
	report_capture_begin();
	mutex_lock(&inner);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	EXPECT_REPORT("lock inversion: \"test outer\"");
	EXPECT_REPORT("while \"test inner\"");
	EXPECT_REPORTS(1);
	rwsem_read_lock(&same);
	rwsem_read_unlock(&same);
	EXPECT_REPORT("lock inversion: \"test same\"");
	EXPECT_REPORTS(2);
	rwsem_write_lock_nested(&same);
	rwsem_write_unlock(&same);
	EXPECT_REPORTS(2);
	mutex_unlock(&inner);
	report_capture_end();
}

SELFTEST(detector, sleeping_lock_under_a_spinlock)
{
	struct spinlock spin;
	struct mutex m;

	mutex_init(&m, "test mutex", LOCK_RANK_MODULE);
	spin_init(&spin, "test spin", LOCK_RANK_OBJECT);
	report_capture_begin();
	spin_lock(&spin);
	mutex_lock(&m);
	mutex_unlock(&m);
	spin_unlock(&spin);
	EXPECT_REPORT("sleeping call in atomic context at kernel/sched/mutex.c");
	EXPECT_REPORT("sleeping lock \"test mutex\" at selftest_detector_sleeping_lock_under");
	EXPECT_REPORT("under spinlock \"test spin\" held since selftest_detector_sleeping_lock_under");
	EXPECT_REPORTS(2);
	report_capture_end();
}

SELFTEST(detector, user_memory_under_an_inner_lock)
{
	struct mutex m;

	mutex_init(&m, "test mutex", LOCK_RANK_MODULE);
	report_capture_begin();
	mutex_lock(&m);
	might_fault();
	mutex_unlock(&m);
	EXPECT_REPORT("user memory is touched at kernel/debug/detector_test.c");
	EXPECT_REPORT("under lock \"test mutex\", held since selftest_detector_user_memory");
	EXPECT_REPORTS(1);
	might_fault();
	EXPECT_REPORTS(1);
	report_capture_end();
}

SELFTEST(detector, sleeping_after_the_wait_began)
{
	report_capture_begin();
	thread_set_state(current_thread(), THREAD_UNINTERRUPTIBLE);
	might_sleep();
	thread_set_state(current_thread(), THREAD_RUNNABLE);
	EXPECT_REPORT("by a thread that has begun to wait");
	EXPECT_REPORTS(1);
	report_capture_end();
}

/* ---- hung tasks, and what `locks` shows of them ----------------------------------------------------------------- */

struct blocked {
	struct mutex m;
	struct completion gone;
};

static noinline void block_on_mutex(struct blocked *b)
{
	mutex_lock(&b->m);
	mutex_unlock(&b->m);
}

static void blocked_main(void *arg)
{
	struct blocked *b = arg;

	block_on_mutex(b);
	complete(&b->gone);
}

static char command_text[16384];	/* the running test's */
static size_t command_used;

static void command_emit(const char *text, size_t n)
{
	n = MIN(n, sizeof(command_text) - 1 - command_used);
	memcpy(command_text + command_used, text, n);
	command_used += n;
	command_text[command_used] = 0;
}

static void expect_locks_shown(void)
{
	struct command_io io = { .emit = command_emit, .budget = 1000 };
	char words[] = "locks";

	command_used = 0;
	EXPECT_EQ(command_run(&io, words), 0);
	EXPECT(strstr(command_text, ": \"test blocked\" (rank "));
	EXPECT(strstr(command_text, "taken at selftest_detector_hung_task"));
	EXPECT(strstr(command_text, "blocked (kernel): waits for \"test blocked\""));
	EXPECT(strstr(command_text, "class (times in ns)"));
	EXPECT(strstr(command_text, "runqueue"));
}

SELFTEST(detector, hung_task)
{
	static struct blocked b;
	struct lock_stat before = { 0 }, after;
	u64 timeout = READ_ONCE(hung_timeout_ns), end;
	s64 warnings = READ_ONCE(hung_warnings);

	mutex_init(&b.m, "test blocked", LOCK_RANK_MODULE);
	completion_init(&b.gone);
	(void)stat_of("test blocked", &before);
	report_capture_begin();
	mutex_lock(&b.m);
	REQUIRE(kthread_run(blocked_main, &b, "blocked"));
	WRITE_ONCE(hung_timeout_ns, 40 * MS);
	hung_task_kick();
	for (end = hal_clock_ns() + PATIENCE_NS; hal_clock_ns() < end && !report_capture_has("the lock is held by");)
		sleep_ns(5 * MS);
	for (u32 i = 0; i < 12; i++) /* it is not said twice */
		sleep_ns(5 * MS);
	WRITE_ONCE(hung_timeout_ns, timeout);
	WRITE_ONCE(hung_warnings, warnings);
	hung_task_kick();
	EXPECT_OF("hung task: blocked (kernel) sleeps uninterruptibly for more than", 1);
	EXPECT_REPORT("in \"mutex\"");
	EXPECT_REPORT("block_on_mutex+");
	EXPECT_REPORT("the lock is held by boot (kernel), taken at selftest_detector_hung_task+");
	report_capture_end();
	expect_locks_shown();
	mutex_unlock(&b.m);
	wait_for_completion(&b.gone, "selftest");
	if (EXPECT(stat_of("test blocked", &after))) {
		EXPECT_EQ(after.taken - before.taken, 2);
		EXPECT_EQ(after.contended - before.contended, 1);
	}
}

#endif
