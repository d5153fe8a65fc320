/* SPDX-License-Identifier: MIT */
/*
 * The discipline of the wall clock: what adjtimex(2) keeps, and what it does to the clock's rate.
 *
 * The rate is made of four parts: the tick (ADJ_TICK, 10,000 us is nominal), the frequency (ADJ_FREQUENCY, and what the loop
 * adds), and for one second at a time a part of the offset (ADJ_OFFSET) and at most 500 us of what adjtime(3) asked for. At
 * each second of the wall clock the next parts are taken, the largest error grows by 500 us, and a leap second goes one step
 * further:
 *
 *	OK --STA_INS--> INS --midnight: the clock goes back a second--> OOP --midnight again--> WAIT --STA_INS off--> OK
 *	OK --STA_DEL--> DEL --23:59:59: the clock goes on a second--> WAIT --STA_DEL off--> OK
 *
 * The offset goes away exponentially, a 2^-(2 + constant)th each second, and moves the frequency by how long ago the last
 * one was told (phase-locked loop), and also by its ratio to that time when that is long or STA_FLL is set (frequency-locked
 * loop); RFC 5905, A.5.5.6. There is no PPS signal: its status bits are kept and mean nothing.
 *
 * Units, limits and the order in which modes are obeyed are Linux's; test/abi/wallclock.c asks both.
 */
#include <kernel/sched/ntp.h>
#include <lib/compiler.h>

#define STA_READ_ONLY	(STA_PPSSIGNAL | STA_PPSJITTER | STA_PPSWANDER | STA_PPSERROR | STA_CLOCKERR | STA_NANO | STA_MODE | STA_CLK)
#define ADJ_ADJTIME	0x8000u		/* the old adjtime(3) */
#define ADJ_ADJTIME_READ 0x2000u
#define ERROR_LIMIT_US	16000000	/* 16 s: no idea */
#define ERROR_GROWTH_US	500		/* a second: the clock's tolerance */
#define TOLERANCE	(500ll << 16)	/* 500 ppm as timex has it */
#define RATE_MAX	(500000 * NTP_NS)
#define OFFSET_MAX_NS	500000000ll
#define SLEW_MAX_US	500		/* of adjtime(3) in a second */
#define CONSTANT_MAX	10
#define CONSTANT_MICRO	4		/* in units of microseconds the constant is so much smaller */
#define LOOP_SHIFT	2		/* the loop's gain */
#define FLL_MIN_S	256		/* offsets told more often say nothing of the frequency, ... */
#define FLL_MAX_S	2048		/* ... and more seldom only that */
#define DAY_S		86400
#define TICKS_PER_S	100		/* USER_HZ */

/* Towards zero, unlike the operator. */
static s64 shift_right(s64 value, s64 by)
{
	return value < 0 ? -(-value >> by) : value >> by;
}

s64 ntp_rate_base(const struct ntp *n)
{
	return (n->tick_us - NTP_TICK_US) * 1000 * TICKS_PER_S * NTP_NS + n->rate;
}

s64 ntp_rate(const struct ntp *n)
{
	return ntp_rate_base(n) + n->extra;
}

void ntp_clear(struct ntp *n, s64 second)
{
	n->status |= STA_UNSYNC;
	n->max_error_us = n->estimated_error_us = ERROR_LIMIT_US;
	n->offset = n->slew_us = n->extra = 0;
	n->leap_at = INT64_MAX;
	n->second = second;
}

/* ---- a second begins --------------------------------------------------------------------------- */

static void await_leap(struct ntp *n)
{
	s64 into_day = n->second % DAY_S;

	if (n->status & STA_INS) {
		n->state = TIME_INS;
		n->leap_at = n->second + DAY_S - into_day;
	} else if (n->status & STA_DEL) {
		n->state = TIME_DEL;
		n->leap_at = n->second + DAY_S - (n->second + 1) % DAY_S;
	}
}

static int leap(struct ntp *n)
{
	bool wanted = n->status & (n->state == TIME_INS ? STA_INS : STA_DEL);

	switch (n->state) {
	case TIME_OK:
		await_leap(n);
		return 0;
	case TIME_INS:
	case TIME_DEL:
		if (!wanted) {
			n->leap_at = INT64_MAX;
			n->state = TIME_OK;
			return 0;
		}
		if (n->second != n->leap_at)
			return 0;
		if (n->state == TIME_INS) {
			n->state = TIME_OOP;
			return -1;
		}
		n->leap_at = INT64_MAX;
		n->state = TIME_WAIT;
		return 1;
	case TIME_OOP:
		n->leap_at = INT64_MAX;
		n->state = TIME_WAIT;
		return 0;
	default:
		if (!(n->status & (STA_INS | STA_DEL)))
			n->state = TIME_OK;
		return 0;
	}
}

/* What this second takes of the offset and of adjtime(3)'s. */
static void take_parts(struct ntp *n)
{
	s64 part = shift_right(n->offset, LOOP_SHIFT + n->constant), slew = CLAMP(n->slew_us, (s64)-SLEW_MAX_US, (s64)SLEW_MAX_US);

	n->offset -= part;
	n->slew_us -= slew;
	n->extra = part + slew * 1000 * NTP_NS;
}

void ntp_pass(struct ntp *n, s64 count)
{
	s64 room = ERROR_LIMIT_US - n->max_error_us;

	n->second += count;
	if (count <= room / ERROR_GROWTH_US) {
		n->max_error_us += count * ERROR_GROWTH_US;
		return;
	}
	n->max_error_us = ERROR_LIMIT_US;
	n->status |= STA_UNSYNC;
}

int ntp_second(struct ntp *n)
{
	int by;

	ntp_pass(n, 1);
	by = leap(n);
	n->second += by;
	take_parts(n);
	return by;
}

bool ntp_active(const struct ntp *n)
{
	return n->offset || n->slew_us || n->extra || n->state != TIME_OK || n->status & (STA_INS | STA_DEL);
}

/* ---- adjtimex(2) ------------------------------------------------------------------------------- */

static void set_status(struct ntp *n, s32 status, s64 now_s)
{
	if (n->status & STA_PLL && !(status & STA_PLL)) {
		n->state = TIME_OK;
		n->status = STA_UNSYNC;
		n->leap_at = INT64_MAX;
	}
	if (!(n->status & STA_PLL) && status & STA_PLL)
		n->reference_s = now_s;
	n->status = (n->status & STA_READ_ONLY) | (status & ~STA_READ_ONLY);
}

/* What the frequency-locked loop makes of an offset that came up in so many seconds. */
static s64 frequency_loop(struct ntp *n, s64 offset_ns, s64 seconds)
{
	n->status &= ~STA_MODE;
	if (seconds < FLL_MIN_S || (!(n->status & STA_FLL) && seconds <= FLL_MAX_S))
		return 0;
	n->status |= STA_MODE;
	return offset_ns * (NTP_NS >> LOOP_SHIFT) / seconds;
}

static void set_offset(struct ntp *n, s64 offset, s64 now_s)
{
	s64 seconds = n->status & STA_FREQHOLD ? 0 : now_s - n->reference_s, rate, longest = 1ll << (LOOP_SHIFT + 1 + n->constant);

	if (!(n->status & STA_PLL))
		return;
	if (!(n->status & STA_NANO))
		offset = CLAMP(offset, -1000000ll, 1000000ll) * 1000;
	offset = CLAMP(offset, -OFFSET_MAX_NS, OFFSET_MAX_NS);
	n->reference_s = now_s;
	rate = frequency_loop(n, offset, seconds);
	/* 2^29 ns, 2^13 s and 2^24 at most one beside the other: the product has 32 + 29 + 3 - 8 bits. */
	rate += (offset * CLAMP(seconds, 0ll, longest)) * (NTP_NS >> 2 * (LOOP_SHIFT + 2 + n->constant));
	n->rate = CLAMP(n->rate + rate, -RATE_MAX, RATE_MAX);
	n->offset = offset * NTP_NS;
}

static void obey(struct ntp *n, const struct timex *tx, s64 now_s)
{
	if (tx->modes & ADJ_STATUS)
		set_status(n, tx->status, now_s);
	if (tx->modes & ADJ_NANO)
		n->status |= STA_NANO;
	if (tx->modes & ADJ_MICRO)
		n->status &= ~STA_NANO;
	if (tx->modes & ADJ_FREQUENCY)
		n->rate = CLAMP(tx->freq * NTP_FREQ_UNIT, -RATE_MAX, RATE_MAX);
	if (tx->modes & ADJ_MAXERROR)
		n->max_error_us = CLAMP(tx->maxerror, (s64)0, (s64)ERROR_LIMIT_US);
	if (tx->modes & ADJ_ESTERROR)
		n->estimated_error_us = CLAMP(tx->esterror, (s64)0, (s64)ERROR_LIMIT_US);
	if (tx->modes & ADJ_TIMECONST) {
		n->constant = CLAMP(tx->constant, (s64)0, (s64)CONSTANT_MAX);
		n->constant = MIN(n->constant + (n->status & STA_NANO ? 0 : CONSTANT_MICRO), (s64)CONSTANT_MAX);
	}
	if (tx->modes & ADJ_OFFSET)
		set_offset(n, tx->offset, now_s);
	if (tx->modes & ADJ_TICK)
		n->tick_us = tx->tick;
}

static s64 offset_told(const struct ntp *n)
{
	s64 ns = shift_right(n->offset, 32);

	return n->status & STA_NANO ? ns : ns / 1000;
}

static void tell(const struct ntp *n, struct timex *tx)
{
	tx->freq = n->rate / NTP_FREQ_UNIT;
	tx->maxerror = n->max_error_us;
	tx->esterror = n->estimated_error_us;
	tx->status = n->status;
	tx->constant = n->constant;
	tx->precision = 1;
	tx->tolerance = TOLERANCE;
	tx->tick = n->tick_us;
	tx->ppsfreq = tx->jitter = tx->stabil = tx->jitcnt = tx->calcnt = tx->errcnt = tx->stbcnt = 0;
	tx->shift = 0;
	if (!(n->status & STA_NANO))
		tx->time.tv_usec /= 1000;
}

int ntp_adjust(struct ntp *n, struct timex *tx)
{
	s64 left = n->slew_us;

	if (tx->modes & ADJ_ADJTIME) {
		if (!(tx->modes & ADJ_ADJTIME_READ))
			n->slew_us = tx->offset;
		tx->offset = left;
	} else {
		obey(n, tx, tx->time.tv_sec);
		tx->offset = offset_told(n);
	}
	tell(n, tx);
	return n->status & (STA_UNSYNC | STA_CLOCKERR) ? TIME_ERROR : n->state;
}
