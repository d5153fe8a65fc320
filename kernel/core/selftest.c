/* SPDX-License-Identifier: MIT */
/* Runs the tests that SELFTEST() and DEATHTEST() have put into the image. Output is TAP, on the log. */
#define LOG_TAG "selftest"
#include <hal/clock.h>
#include <hal/power.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/selftest.h>
#include <lib/string.h>

extern const struct selftest *const __selftests_start[], *const __selftests_end[];

#define SELFTEST_FILTER_MAX 256u

/* The runner's; one test at a time. */
static u32 test_failures;
static const char *test_skipped;

void (*selftest_settle_hook)(void);

/* LOG_NOTICE: a failure must be seen while reports are captured. */
void selftest_fail(const char *file, int line, const char *expr, u64 a, u64 b, bool values)
{
	__atomic_fetch_add(&test_failures, 1, __ATOMIC_RELAXED);
	if (values)
		log_printf(LOG_NOTICE, "# %s:%d: %s: %llu (%#llx) is not %llu (%#llx)", file, line, expr,
			   (unsigned long long)a, (unsigned long long)a, (unsigned long long)b,
			   (unsigned long long)b);
	else
		log_printf(LOG_NOTICE, "# %s:%d: %s does not hold", file, line, expr);
}

void selftest_skip(const char *why)
{
	test_skipped = why;
}

/* One word of the filter: "all", "suite" or "suite.name". */
static bool word_matches(const char *word, size_t n, const struct selftest *t)
{
	size_t suite = strlen(t->suite);

	if (n == 3 && strncmp(word, "all", 3) == 0)
		return true;
	if (n && word[n - 1] == '*') /* the beginning of suites' names */
		return strncmp(word, t->suite, n - 1) == 0;
	if (n < suite || strncmp(word, t->suite, suite) != 0)
		return false;
	if (n == suite)
		return true;
	return word[suite] == '.' && n - suite - 1 == strlen(t->name) &&
	       strncmp(word + suite + 1, t->name, n - suite - 1) == 0;
}

/* A word that begins with - takes out what it names. */
static bool filter_matches(const char *filter, const struct selftest *t)
{
	bool chosen = false;

	while (*filter) {
		const char *end = strchrnul(filter, ',');
		bool out = *filter == '-';

		if (word_matches(filter + out, (size_t)(end - filter) - out, t)) {
			if (out)
				return false;
			chosen = true;
		}
		filter = *end ? end + 1 : end;
	}
	return chosen;
}

static bool run_one(const struct selftest *t, u32 number)
{
	u64 start = hal_clock_ns();

	test_failures = 0;
	test_skipped = NULL;
	t->fn();
	log_printf(LOG_NOTICE, "%s %u - %s.%s%s%s # %llu us", test_failures ? "not ok" : "ok", number, t->suite,
		   t->name, test_skipped ? " # SKIP " : "", test_skipped ? test_skipped : "",
		   (unsigned long long)((hal_clock_ns() - start) / (u64)NSEC_PER_USEC));
	return !test_failures;
}

int selftest_run(const char *filter)
{
	u32 count = 0, number = 0;
	int failed = 0;

	for (const struct selftest *const *t = __selftests_start; t < __selftests_end; t++)
		count += !(*t)->expect && filter_matches(filter, *t);
	if (!count)
		return -ENOENT;
	log_printf(LOG_NOTICE, "TAP version 13");
	log_printf(LOG_NOTICE, "1..%u", count);
	for (const struct selftest *const *t = __selftests_start; t < __selftests_end; t++)
		if (!(*t)->expect && filter_matches(filter, *t))
			failed += !run_one(*t, ++number);
	log_printf(LOG_NOTICE, "# selftest: %u passed, %d failed", count - (u32)failed, failed);
	return failed;
}

void deathtest_run(const char *name)
{
	bool list = strcmp(name, "list") == 0;

	for (const struct selftest *const *t = __selftests_start; t < __selftests_end; t++) {
		if (!(*t)->expect)
			continue;
		if (list) {
			log_printf(LOG_NOTICE, "deathtest %s: %s", (*t)->name, (*t)->expect);
		} else if (strcmp((*t)->name, name) == 0) {
			log_printf(LOG_NOTICE, "deathtest %s expects: %s", name, (*t)->expect);
			(*t)->fn();
			log_printf(LOG_ERR, "deathtest %s: survived", name);
			return;
		}
	}
	if (list)
		log_printf(LOG_NOTICE, "deathtest list ends");
	else
		log_printf(LOG_ERR, "deathtest %s: there is none of that name", name);
}

static void selftest_exit(bool failed)
{
	if (panic_qemu_exit_wanted() && !cmdline_has("selftest-continue"))
		hal_qemu_exit(failed ? 1 : 0);
}

u32 selftest_seconds(void)
{
	return (u32)CLAMP(cmdline_u64("selftest.seconds", 1), 1ull, 3600ull);
}

void selftest_main(void)
{
	static char filter[SELFTEST_FILTER_MAX];
	int failed;

	if (cmdline_find("deathtest", filter, sizeof(filter))) {
		deathtest_run(filter);
		selftest_exit(strcmp(filter, "list") != 0);
	}
	if (!cmdline_find("selftest", filter, sizeof(filter)))
		return;
	failed = selftest_run(filter);
	if (failed < 0)
		log_printf(LOG_ERR, "selftest: nothing is called %s", filter);
	selftest_exit(failed != 0);
}
