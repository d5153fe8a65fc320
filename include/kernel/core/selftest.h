/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_SELFTEST_H
#define KERNEL_CORE_SELFTEST_H

/*
 * Tests that run inside the debug kernel, before init, in a kernel thread.
 *
 *	SELFTEST(buddy, coalesces)
 *	{
 *		EXPECT_EQ(after.free, before.free);
 *	}
 *
 * `selftest=all`, `selftest=buddy`, `selftest=buddy.coalesces,rcu` or `selftest=all,-torture_*` (but not those) on the command
 * line chooses; one TAP line per test goes to the log's consoles. A test must leave no page, object or thread behind.
 *
 * DEATHTEST(name) { ... } breaks something on purpose and must not return: `deathtest=name` runs one,
 * `deathtest=list` prints all, each with the text that the panic's reason must contain.
 *
 * In the release kernel tests are compiled and dropped.
 */
#include <lib/compiler.h>
#include <lib/errno.h>
#include <lib/types.h>

struct selftest {
	const char *suite;
	const char *name;
	void (*fn)(void);	/* selftest */
	const char *expect;	/* deathtest: what the reason contains; NULL for a selftest */
};

#if HALCYON_DEBUG
#define SELFTEST_REGISTER_(id, ...)						\
	static const struct selftest id##_desc = { __VA_ARGS__ };		\
	static const struct selftest *const id##_entry __used __section(".selftests") = &id##_desc
#else
#define SELFTEST_REGISTER_(id, ...) struct selftest
#endif

#define SELFTEST(suite_, name_)							\
	static void selftest_##suite_##_##name_(void);				\
	SELFTEST_REGISTER_(selftest_##suite_##_##name_, .suite = #suite_, .name = #name_,	\
			   .fn = selftest_##suite_##_##name_);			\
	static __maybe_unused void selftest_##suite_##_##name_(void)

/* expect_: a literal that the panic's report contains; several, in that order, parted by " ... ". */
#define DEATHTEST(name_, expect_)						\
	static void deathtest_##name_(void);					\
	SELFTEST_REGISTER_(deathtest_##name_, .suite = "death", .name = #name_,	\
			   .fn = deathtest_##name_, .expect = (expect_));	\
	static __maybe_unused void deathtest_##name_(void)

/* A failed expectation is reported and counted; the test goes on. They return whether it held. */
#define EXPECT(x) __extension__ ({						\
	bool expect_ok_ = !!(x);						\
	if (unlikely(!expect_ok_))						\
		selftest_fail(__FILE__, __LINE__, #x, 0, 0, false);		\
	expect_ok_; })
#define EXPECT_EQ(a, b) __extension__ ({					\
	u64 expect_a_ = (u64)(a), expect_b_ = (u64)(b);				\
	if (unlikely(expect_a_ != expect_b_))					\
		selftest_fail(__FILE__, __LINE__, #a " == " #b, expect_a_, expect_b_, true);	\
	expect_a_ == expect_b_; })
/* Leaves the test when it does not hold. */
#define REQUIRE(x) do { if (!EXPECT(x)) return; } while (0)
/*
 * How long a test that tortures something may go on: selftest.seconds= on the command line, else 1. Such a test also
 * has an end by count, and must be worth something at 1: that is what `make test` runs; `make test-long` asks for more.
 */
u32 selftest_seconds(void);
/* Marks the running test as skipped, with a reason. */
void selftest_skip(const char *why);
/* Waits for what threads have put off until now: work queues, RCU. For tests that compare counts. Thread context. */
extern void (*selftest_settle_hook)(void); /* [I] NULL: no threads yet, and nothing put off */
static inline void selftest_settle(void)
{
	if (selftest_settle_hook)
		selftest_settle_hook();
}
void selftest_fail(const char *file, int line, const char *expr, u64 a, u64 b, bool values) __cold;

/*
 * Reports of detectors, for tests that plant a bug. From begin to end every log line at LOG_WARNING or worse, of any
 * CPU and context, goes into a buffer and not to the log (kernel/core/capture.c). Thread context, one test at a time.
 *
 *	report_capture_begin();
 *	...the bug...
 *	EXPECT_REPORT("lock held too long");
 *	EXPECT_REPORTS(1);
 *	report_capture_end();
 */
void report_capture_begin(void);
void report_capture_end(void);
/* Was that said? / how often? Also while it is still on. */
bool report_capture_has(const char *what);
u32 report_capture_count(const char *what);
/* Lines that do not begin with a space: headings, as details of a report (backtraces) are indented. */
u32 report_capture_reports(void);
/* Writes what was caught to the log, for the one who reads why a test failed. */
void report_capture_dump(void);
#define EXPECT_REPORT(text) do {						\
		if (!EXPECT(report_capture_has(text)))				\
			report_capture_dump();					\
	} while (0)
/* So many reports, and not one more. */
#define EXPECT_REPORTS(n) do {							\
		if (!EXPECT_EQ(report_capture_reports(), n))			\
			report_capture_dump();					\
	} while (0)

#if HALCYON_DEBUG
extern u32 report_capture_on;
/* For the log: true when the line was taken. Any context. */
bool report_capture_line(int level, const char *text, size_t n);
/* A detector that would panic goes on after its report when a test asked for it. */
static inline bool report_capture_active(void)
{
	return __atomic_load_n(&report_capture_on, __ATOMIC_ACQUIRE) != 0;
}
#else
static inline bool report_capture_line(int level, const char *text, size_t n)
{
	(void)level, (void)text, (void)n;
	return false;
}
static inline bool report_capture_active(void)
{
	return false;
}
#endif

/*
 * Runs what the filter names ("all", "suite", "suite.name", several with commas) and prints TAP. Thread
 * context. Returns the number of failures; -ENOENT when nothing matched.
 */
int selftest_run(const char *filter);
/* Runs one deathtest; returns only when it did not die (a failure) or there is none of that name. */
void deathtest_run(const char *name);
/*
 * Called by main in a thread before init: obeys selftest= and deathtest=. After self tests it leaves QEMU
 * (value 0 or 1) when qemu-exit is given, unless selftest-continue is.
 */
void selftest_main(void);

#endif
