/* SPDX-License-Identifier: MIT */
/*
 * Reports that a self test wants to see: between report_capture_begin() and report_capture_end() each line of
 * the log at LOG_WARNING or worse goes into a buffer instead of the log, whoever wrote it. So a detector that
 * warns is tested by planting the bug and reading what it says, without a boot for each.
 *
 * Lines come from any context, NMI included: a writer reserves its bytes with one addition and copies. The reader is
 * the test, which knows that its report is complete because the line that it waits for is there. A full buffer
 * counts what it drops, and report_capture_end() fails the test then.
 */
#define LOG_TAG "selftest"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/selftest.h>
#include <lib/atomic.h>
#include <lib/string.h>

#if HALCYON_DEBUG

#define CAPTURE_BYTES (32u * 1024u)

/* Key: [a] atomic; [t] the test's. */
static char capture_text[CAPTURE_BYTES];	/* lines, each with its line feed; [a] by reservation */
static u32 capture_used;			/* [a] bytes reserved */
static u32 capture_dropped;			/* [a] lines that had no room */
u32 report_capture_on;				/* [a] */

bool report_capture_line(int level, const char *text, size_t n)
{
	u32 at;

	if (level > LOG_WARNING)
		return false;
	while (n && text[n - 1] == '\n')
		n--;
	at = __atomic_fetch_add(&capture_used, (u32)n + 1, __ATOMIC_RELAXED);
	if (at + n + 1 >= CAPTURE_BYTES) {
		__atomic_fetch_add(&capture_dropped, 1, __ATOMIC_RELAXED);
		return true;
	}
	memcpy(capture_text + at, text, n);
	__atomic_store_n(&capture_text[at + n], '\n', __ATOMIC_RELEASE);
	return true;
}

void report_bug(const char *fmt, ...)
{
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vscnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!report_capture_active())
		panic("%s", text);
	(void)report_capture_line(LOG_ERR, text, strlen(text));
}

void report_capture_begin(void)
{
	memset(capture_text, 0, sizeof(capture_text));
	WRITE_ONCE(capture_used, 0);
	WRITE_ONCE(capture_dropped, 0);
	__atomic_store_n(&report_capture_on, 1, __ATOMIC_SEQ_CST);
}

/* Bytes that may be read; the last byte of the buffer stays 0. */
static size_t capture_length(void)
{
	return MIN(READ_ONCE(capture_used), CAPTURE_BYTES - 1);
}

u32 report_capture_count(const char *what)
{
	size_t len = capture_length(), n = strlen(what);
	u32 count = 0;

	for (size_t i = 0; n && i + n <= len; i++)
		count += memcmp(capture_text + i, what, n) == 0;
	return count;
}

bool report_capture_has(const char *what)
{
	return report_capture_count(what) != 0;
}

u32 report_capture_reports(void)
{
	size_t len = capture_length();
	u32 count = 0;

	for (size_t i = 0; i < len; i++)
		count += (i == 0 || capture_text[i - 1] == '\n') && capture_text[i] != ' ' && capture_text[i] != '\n' &&
			 capture_text[i];
	return count;
}

void report_capture_dump(void)
{
	size_t len = capture_length();

	for (size_t i = 0; i < len;) {
		const char *end = memchr(capture_text + i, '\n', len - i);
		size_t n = end ? (size_t)(end - (capture_text + i)) : len - i;

		log_printf(LOG_NOTICE, "# captured: %.*s", (int)n, capture_text + i);
		i += n + 1;
	}
}

void report_capture_end(void)
{
	__atomic_store_n(&report_capture_on, 0, __ATOMIC_SEQ_CST);
	EXPECT_EQ(READ_ONCE(capture_dropped), 0);
}

#endif
