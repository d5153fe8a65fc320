/* SPDX-License-Identifier: MIT */
/*
 * The hung-task detector of the debug kernel: a thread that has slept uninterruptibly, without once being switched to,
 * for hung_task_timeout_secs is reported with its backtrace, its locks, the sleeping lock that it waits for, and who
 * holds that.
 *
 * A kernel thread, `hungtask`, looks at all threads four times in each time-out. What it remembers about a thread, when
 * its count of switches changed last, lies in the thread. Killable and interruptible sleeps are nobody's fault but the
 * user's, as on Linux; kernel threads that wait for work sleep interruptibly (WAIT_EVENT_IDLE).
 *
 * Locks: what keeps threads alive (threads.h). The report is printed under it, with interrupts off: a thread that is
 * hung is rare, and one that ends meanwhile must not be followed.
 */
#define LOG_TAG "hung task"
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/debug/debug.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/wait.h>
#include "hung.h"
#include "threads.h"

#if HALCYON_DEBUG

#define HUNG_TIMEOUT_SECONDS 120u	/* Linux's */
#define HUNG_WARNINGS 10
#define LOOKS_PER_TIMEOUT 4u

u64 hung_timeout_ns = HUNG_TIMEOUT_SECONDS * (u64)NSEC_PER_SEC;
s64 hung_warnings = HUNG_WARNINGS;
u64 hung_panics;

static struct waitq hung_wait = WAITQ_INIT(hung_wait);
static bool hung_kicked;	/* [a] */

/* One look at all threads. */
struct hung_scan {
	u64 now, timeout;
	const struct lock_class_ref *waits_for;	/* of the thread that was reported, or NULL */
	bool reported;
};

static bool looks_hung(struct thread *t, const struct hung_scan *scan)
{
	u64 switches = READ_ONCE(t->switches_voluntary) + READ_ONCE(t->switches_involuntary);

	if (READ_ONCE(t->state) != THREAD_UNINTERRUPTIBLE || !switches || switches != t->hung_switches) {
		t->hung_switches = switches;
		t->hung_since_ns = scan->now;
		t->hung_reported = false;
		return false;
	}
	return scan->now - t->hung_since_ns >= scan->timeout;
}

static void report_thread(struct thread *t, struct hung_scan *scan)
{
	const char *why = READ_ONCE(t->wait_why);
	char who[DEBUG_THREAD_NAME_BYTES], line[160];

	debug_thread_name(t, who);
	log_err("%s sleeps uninterruptibly for more than %llu ms, in \"%s\"", who,
		(unsigned long long)((scan->now - t->hung_since_ns) / (u64)NSEC_PER_MSEC), why ? why : "?");
	backtrace_print_thread(LOG_ERR, t);
	for (u32 i = 0; lock_dep_describe(&t->held, i, line, sizeof(line)); i++)
		log_printf(LOG_ERR, "  lock %s%s", line, t->held.held[i].lock == t->blocked_on ? ", not had yet" : "");
	scan->waits_for = READ_ONCE(t->blocked_on);
	scan->reported = true;
}

static void look_at(struct thread *t, void *arg)
{
	struct hung_scan *scan = arg;

	if (scan->reported || !looks_hung(t, scan) || t->hung_reported)
		return;
	t->hung_reported = true;
	if (!READ_ONCE(hung_warnings))
		return;
	if (hung_warnings > 0)
		hung_warnings--;
	report_thread(t, scan);
}

/* The lock stands in the book of everybody who has asked for it; those who wait for it do not hold it. */
static void look_for_holder(struct thread *t, void *arg)
{
	const struct hung_scan *scan = arg;
	char who[DEBUG_THREAD_NAME_BYTES];

	if (READ_ONCE(t->blocked_on) == scan->waits_for)
		return;
	for (u32 i = 0; i < MIN(READ_ONCE(t->held.depth), (u32)LOCK_HELD_MAX); i++) {
		if (t->held.held[i].lock != scan->waits_for)
			continue;
		debug_thread_name(t, who);
		log_printf(LOG_ERR, "  the lock is held by %s, taken at %pS", who, (void *)t->held.held[i].place);
		if (t != current_thread() && READ_ONCE(t->state) != THREAD_RUNNABLE)
			backtrace_print_thread(LOG_ERR, t);
	}
}

/* Threads are looked at until one look finds none that was not reported. */
static void hung_look(void)
{
	struct hung_scan scan;

	do {
		scan = (struct hung_scan){ .now = clock_mono_ns(), .timeout = READ_ONCE(hung_timeout_ns) };
		if (!scan.timeout)
			return;
		debug_each_thread(look_at, &scan);
		if (scan.waits_for)
			debug_each_thread(look_for_holder, &scan);
		if (scan.reported && READ_ONCE(hung_panics))
			panic("hung task: see the lines above");
	} while (scan.reported);
}

static void hung_main(void *arg)
{
	(void)arg;
	for (;;) {
		u64 timeout = READ_ONCE(hung_timeout_ns);
		u64 until = timeout ? clock_mono_ns() + timeout / LOOKS_PER_TIMEOUT : WAIT_FOREVER;

		(void)WAIT_EVENT_INTERRUPTIBLE_TIMEOUT(&hung_wait, READ_ONCE(hung_kicked), "hungtask", until);
		WRITE_ONCE(hung_kicked, false);
		hung_look();
	}
}

void hung_task_kick(void)
{
	WRITE_ONCE(hung_kicked, true);
	waitq_wake_all(&hung_wait);
}

void debug_hung_task_init(void)
{
	u64 seconds = cmdline_u64("hung_task_timeout", HUNG_TIMEOUT_SECONDS);

	hung_timeout_ns = MIN(seconds, 1000000ull) * (u64)NSEC_PER_SEC;
	hung_panics = cmdline_u64("hung_task_panic", 0);
	if (!kthread_run(hung_main, NULL, "hungtask"))
		log_warn("no memory for its thread: hung tasks will not be noticed");
}

#else

void debug_hung_task_init(void)
{
}

#endif
