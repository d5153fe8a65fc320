/* SPDX-License-Identifier: MIT */
/* The wall clock's discipline, kernel/sched/ntp.c, over hours and days. */
#include <kernel/sched/ntp.h>

#include "framework.h"

#define DAY 86400

static int ask(struct ntp *n, struct timex *tx)
{
	tx->time.tv_sec = n->second;
	tx->time.tv_usec = 999999999;
	return ntp_adjust(n, tx);
}

static int set(struct ntp *n, u32 modes, s32 status, s64 offset)
{
	struct timex tx = { .modes = modes, .status = status, .offset = offset };

	return ask(n, &tx);
}

/* What the clock gains in so many seconds, in ns. */
static s64 gained(struct ntp *n, u32 seconds)
{
	s64 sum = 0;

	for (u32 i = 0; i < seconds; i++) {
		EXPECT_EQ(ntp_second(n), 0);
		sum += ntp_rate(n) / NTP_NS;
	}
	return sum;
}

TEST(ntp_rates)
{
	struct ntp n = NTP_INIT;
	struct timex tx = { .modes = ADJ_TICK, .tick = 10001 };

	EXPECT_EQ(ntp_rate(&n), 0);
	EXPECT(!ntp_active(&n));
	(void)ask(&n, &tx);
	EXPECT_EQ(ntp_rate(&n), 100000 * NTP_NS);
	tx = (struct timex){ .modes = ADJ_FREQUENCY, .freq = -65536 };
	(void)ask(&n, &tx);
	EXPECT_EQ(ntp_rate(&n), (100000 - 1000) * NTP_NS);
	EXPECT_EQ(tx.freq, -65536);
	EXPECT(!ntp_active(&n)); /* no second changes it */
}

TEST(ntp_adjtime_ends_exactly)
{
	struct ntp n = NTP_INIT;

	(void)set(&n, ADJ_OFFSET_SINGLESHOT, 0, -1234);
	EXPECT(ntp_active(&n));
	EXPECT_EQ(ntp_rate(&n), 0); /* from the next second on */
	EXPECT_EQ(gained(&n, 1), -500000);
	EXPECT_EQ(gained(&n, 9), -734000);
	EXPECT(!ntp_active(&n));
}

TEST(ntp_offset_goes_away)
{
	struct ntp n = NTP_INIT;
	s64 part, sum = 0, last = INT64_MAX;

	(void)set(&n, ADJ_STATUS | ADJ_NANO, STA_PLL, 0);
	(void)set(&n, ADJ_OFFSET, 0, 8000000);
	for (u32 i = 0; i < 400; i++) {
		part = gained(&n, 1);
		EXPECT(part <= last && part >= 0);
		last = part;
		sum += part;
	}
	EXPECT(sum > 7999000 && sum <= 8000000);
	EXPECT_EQ(n.rate, 0); /* it was told in the second in which the loop began */
}

TEST(ntp_loop_learns_the_frequency)
{
	struct ntp n = NTP_INIT;
	s64 error_ns = 0;

	/* The counter loses 50 us a second; every 16 s the daemon says by how much the clock is behind. */
	(void)set(&n, ADJ_STATUS | ADJ_NANO, STA_PLL, 0);
	for (u32 i = 0; i < 2000; i++) {
		error_ns += 16 * 50000 - gained(&n, 16);
		(void)set(&n, ADJ_OFFSET, 0, error_ns);
	}
	EXPECT(n.rate / NTP_NS > 49900 && n.rate / NTP_NS < 50100);
	EXPECT(error_ns > -1000 && error_ns < 1000);
	EXPECT(!(n.status & STA_MODE));
	/* Told once in an hour, it goes by the ratio alone. */
	(void)gained(&n, 3600);
	(void)set(&n, ADJ_OFFSET, 0, 3600 * 1000);
	EXPECT(n.status & STA_MODE);
}

TEST(ntp_errors_grow)
{
	struct ntp n = NTP_INIT;
	struct timex tx = { .modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR, .maxerror = 1000, .esterror = 10 };

	EXPECT_EQ(ask(&n, &tx), TIME_OK);
	ntp_pass(&n, 2);
	tx = (struct timex){ .modes = 0 };
	EXPECT_EQ(ask(&n, &tx), TIME_OK);
	EXPECT(tx.maxerror == 2000 && tx.esterror == 10);
	ntp_pass(&n, 31996);
	EXPECT_EQ(set(&n, 0, 0, 0), TIME_OK);
	ntp_pass(&n, 1);
	EXPECT_EQ(set(&n, 0, 0, 0), TIME_ERROR);
	EXPECT_EQ(n.max_error_us, 16000000);
	ntp_pass(&n, INT64_MAX / 2);
	EXPECT_EQ(n.max_error_us, 16000000);
}

/* The seconds of the wall clock around midnight, and the state in each. */
static void expect_leap(s32 status, const s64 *seconds, const s32 *states, u32 count)
{
	struct ntp n = NTP_INIT;

	ntp_clear(&n, 10 * DAY - 4);
	(void)set(&n, ADJ_STATUS, status, 0);
	for (u32 i = 0; i < count; i++) {
		(void)ntp_second(&n);
		EXPECT_EQ(n.second, 10 * DAY + seconds[i]);
		EXPECT_EQ(n.state, states[i]);
	}
	(void)set(&n, ADJ_STATUS, 0, 0);
	EXPECT_EQ(n.state, TIME_WAIT);
	(void)ntp_second(&n);
	EXPECT_EQ(n.state, TIME_OK);
	EXPECT(!ntp_active(&n));
}

TEST(ntp_leap_seconds)
{
	static const s64 inserted[] = { -3, -2, -1, -1, 0, 1 }, left_out[] = { -3, -2, 0, 1 };
	static const s32 insert_states[] = { TIME_INS, TIME_INS, TIME_INS, TIME_OOP, TIME_WAIT, TIME_WAIT };
	static const s32 delete_states[] = { TIME_DEL, TIME_DEL, TIME_WAIT, TIME_WAIT };

	expect_leap(STA_INS, inserted, insert_states, 6);
	expect_leap(STA_DEL, left_out, delete_states, 4);
}

TEST(ntp_leap_called_off)
{
	struct ntp n = NTP_INIT;

	ntp_clear(&n, 10 * DAY - 2);
	(void)set(&n, ADJ_STATUS, STA_INS, 0);
	EXPECT_EQ(ntp_second(&n), 0);
	EXPECT_EQ(n.state, TIME_INS);
	(void)set(&n, ADJ_STATUS, 0, 0);
	EXPECT_EQ(ntp_second(&n), 0);
	EXPECT_EQ(n.state, TIME_OK);
	EXPECT_EQ(n.second, 10 * DAY);
}

/* Who uses microseconds gets them, in and out; the constant counts from 4 higher then (adjtimex(2), RFC 5905 appendix A.5.5.6). */
TEST(ntp_units)
{
	struct ntp n = NTP_INIT;
	struct timex tx = { .modes = ADJ_STATUS | ADJ_TIMECONST, .status = STA_PLL, .constant = 2 };

	(void)ask(&n, &tx);
	EXPECT_EQ(tx.constant, 6);
	EXPECT_EQ(tx.time.tv_usec, 999999);
	EXPECT(!(n.status & STA_NANO));
	tx = (struct timex){ .modes = ADJ_OFFSET, .offset = -2000 };
	(void)ask(&n, &tx);
	EXPECT_EQ(tx.offset, -2000);
	EXPECT_EQ(n.offset, -2000000 * NTP_NS);
	tx = (struct timex){ .modes = ADJ_NANO };
	(void)ask(&n, &tx);
	EXPECT_EQ(tx.offset, -2000000);
	EXPECT_EQ(tx.time.tv_usec, 999999999);
	tx = (struct timex){ .modes = ADJ_TIMECONST, .constant = 2 };
	(void)ask(&n, &tx);
	EXPECT_EQ(tx.constant, 2);
	tx = (struct timex){ .modes = ADJ_TIMECONST, .constant = 100 };
	(void)ask(&n, &tx);
	EXPECT_EQ(tx.constant, 10);
	tx = (struct timex){ .modes = ADJ_MICRO };
	(void)ask(&n, &tx);
	EXPECT_EQ(tx.offset, -2000);
	tx = (struct timex){ .modes = ADJ_OFFSET, .offset = INT64_MIN };	/* half a second is the most */
	(void)ask(&n, &tx);
	EXPECT_EQ(tx.offset, -500000);
}

/* The loop is switched off: a leap second that waits is forgotten, and nobody says any more that the clock is right. */
TEST(ntp_loop_off)
{
	struct ntp n = NTP_INIT;

	(void)set(&n, ADJ_STATUS, STA_PLL | STA_INS, 0);
	EXPECT_EQ(ntp_second(&n), 0);
	EXPECT_EQ(n.state, TIME_INS);
	EXPECT_EQ(set(&n, ADJ_STATUS, STA_INS, 0), TIME_OK);
	EXPECT_EQ(n.state, TIME_OK);
	EXPECT_EQ(n.leap_at, INT64_MAX);
	EXPECT_EQ(n.status, STA_INS);
	EXPECT_EQ(set(&n, ADJ_OFFSET, 0, 1000), TIME_OK);	/* nothing follows an offset now */
	EXPECT_EQ(n.offset, 0);
}
