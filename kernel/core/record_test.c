/* SPDX-License-Identifier: MIT */
/* Self tests of the flight recorder's rings. What reaches them is tested from user mode: test/abi/observe.c. */
#define LOG_TAG "test"
#include <hal/clock.h>
#include <kernel/core/preempt.h>
#include <kernel/core/record.h>
#include <kernel/core/selftest.h>
#include <lib/string.h>

#define TEST_NUMBER 5000u /* no system call: printed as a number */
#define RING_ENTRIES 1024u

/* What the reader got. */
struct reading {
	u32 lines;
	u32 mine;		/* lines of this test */
	u64 first, last;	/* their second words */
	bool in_order;		/* each one more than the one before */
	bool time_grows;
	u64 ns;
	char line[RECORD_LINE_MAX];
};

/* "seconds.nanoseconds cpuN id syscall  5000(0x..., ...)" */
static bool take_line(void *arg, const char *line, size_t n)
{
	struct reading *r = arg;
	const char *at, *end;
	u64 seconds, ns, value;

	r->lines++;
	n = MIN(n, sizeof(r->line) - 1);
	memcpy(r->line, line, n);
	r->line[n] = '\0';
	for (at = r->line; *at == ' '; at++)
		;
	if (!EXPECT(parse_u64(at, 10, &seconds, &end) == 0 && *end == '.' && parse_u64(end + 1, 10, &ns, &end) == 0))
		return false;
	r->time_grows = r->time_grows && seconds * (u64)NSEC_PER_SEC + ns >= r->ns;
	r->ns = seconds * (u64)NSEC_PER_SEC + ns;
	at = strstr(r->line, " syscall  5000(");
	if (!at || parse_u64(at + strlen(" syscall  5000("), 0, &value, &end))
		return true;
	if (r->mine++)
		r->in_order = r->in_order && value == r->last + 1;
	else
		r->first = value;
	r->last = value;
	return true;
}

static struct reading read_tail(u32 n)
{
	struct reading r = { .in_order = true, .time_grows = true };

	record_tail(n, take_line, &r);
	return r;
}

static void write_some(u64 from, u64 to)
{
	for (u64 i = from; i < to; i++)
		record(RECORD_SYSCALL, TEST_NUMBER, i);
}

static char kinds_before[64];

static bool begin(const char *kinds)
{
	record_get(kinds_before, sizeof(kinds_before));
	if (!EXPECT_EQ(record_set(kinds), 0))
		return false;
	record_clear();
	return true;
}

static void end(void)
{
	EXPECT_EQ(record_set(kinds_before), 0);
}

SELFTEST(record, keeps_the_order)
{
	struct reading r;

	REQUIRE(begin("syscall"));
	write_some(0, 20);
	r = read_tail(~0u);
	EXPECT_EQ(r.mine, 20);
	EXPECT_EQ(r.first, 0);
	EXPECT_EQ(r.last, 19);
	EXPECT(r.in_order && r.time_grows);
	r = read_tail(5);
	EXPECT_EQ(r.lines, 5);
	EXPECT_EQ(r.first, 15);
	EXPECT_EQ(r.last, 19);
	EXPECT_EQ(read_tail(0).lines, 0);
	end();
}

SELFTEST(record, old_entries_give_way)
{
	struct reading r;

	REQUIRE(begin("syscall"));
	write_some(0, 3 * RING_ENTRIES + 7);
	r = read_tail(~0u);
	EXPECT_EQ(r.mine, RING_ENTRIES);
	EXPECT_EQ(r.last, 3 * RING_ENTRIES + 6);
	EXPECT(r.in_order && r.time_grows);
	record_clear();
	EXPECT_EQ(read_tail(~0u).lines, 0);
	write_some(70, 72);
	EXPECT_EQ(read_tail(~0u).mine, 2);
	end();
}

SELFTEST(record, off_is_off)
{
	REQUIRE(begin("off"));
	write_some(0, 20);
	EXPECT_EQ(read_tail(~0u).lines, 0);
	EXPECT_EQ(record_set("switch"), 0);
	write_some(0, 20);
	EXPECT_EQ(read_tail(~0u).mine, 0);
	end();
}

/*
 * Interrupts write in the middle of ours: 500 entries in 40 ms. A thread that is alone on its CPU has no tick, so the
 * interrupts may be few: again, until there is one.
 */
SELFTEST(record, interrupts_in_between)
{
	struct reading r;

	REQUIRE(begin("irq,syscall"));
	for (u32 round = 0; round < 100; round++) {
		record_clear();
		for (u64 i = 0; i < 500; i++) {
			write_some(i, i + 1);
			hal_delay_ns(80000);
		}
		r = read_tail(~0u);
		EXPECT(r.in_order && r.time_grows);
		EXPECT_EQ(r.mine, 500);
		if (r.lines > r.mine)
			break;
	}
	EXPECT(r.lines > r.mine);
	end();
}

SELFTEST(record, words)
{
	char now[64];

	REQUIRE(begin("fault,trap"));
	record_get(now, sizeof(now));
	EXPECT(!strcmp(now, "fault,trap"));
	EXPECT_EQ(record_set("fault,"), 0);
	EXPECT_EQ(record_set("fault,nothing"), -EINVAL);
	EXPECT_EQ(record_set("faul"), -EINVAL);
	EXPECT_EQ(record_set("faults"), -EINVAL);
	record_get(now, sizeof(now));
	EXPECT(!strcmp(now, "fault"));
	EXPECT_EQ(record_set("all"), 0);
	record_get(now, sizeof(now));
	EXPECT(!strcmp(now, "switch,irq,fault,trap,syscall"));
	record_get(now, 8);
	EXPECT(strlen(now) < 8);
	end();
}

SELFTEST(record, words_of_a_switch)
{
	struct reading r;

	REQUIRE(begin("switch"));
	preempt_disable();
	record_write_switch(1, 4711, "a-long-thread-n");
	r = read_tail(1);
	EXPECT(strstr(r.line, "switch   sleeps, then 4711 a-long-t\n"));
	record_write_switch(0, 0, "\n\033[31m\0\0\0\0\0\0\0\0\0\0");
	r = read_tail(1);
	EXPECT(strstr(r.line, "  4711 switch   preempted, then 0 ??[31m\n")); /* names are the user's: no escapes */
	preempt_enable();
	end();
}
