/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_SCHED_NTP_H
#define KERNEL_SCHED_NTP_H

/*
 * What a time daemon tells the wall clock, and the rate at which it runs because of it: adjtimex(2), RFC 5905 A.5.5.
 *
 * Plain arithmetic on one structure: no clock is read and no lock is taken, sched/clock.c has both. Rates are nanoseconds a
 * second with 32 bits of fraction (NTP_NS) beside the nominal rate.
 */
#include <abi/linux/timex.h>
#include <lib/compiler.h>

#define NTP_NS		(1ll << 32)
#define NTP_FREQ_UNIT	(1000ll << 16)		/* timex.freq: 2^-16 ppm, as a rate */
#define NTP_FREQ_MAX	(INT64_MAX / NTP_FREQ_UNIT)	/* of timex.freq; more would overflow in Linux, which refuses it */
#define NTP_TICK_US	10000			/* as USER_HZ has it */
#define NTP_TICK_MIN_US	9000
#define NTP_TICK_MAX_US	11000

struct ntp {
	s32 status;		/* STA_* */
	s32 state;		/* TIME_*: where a leap second is */
	s64 tick_us;		/* timex.tick */
	s64 rate;		/* timex.freq as a rate, within 500 ppm */
	s64 offset;		/* NTP_NS: what the loop has still to take away */
	s64 slew_us;		/* what adjtime(3) has still to take away */
	s64 constant;		/* 0 to 10: the loop's */
	s64 max_error_us, estimated_error_us;
	s64 extra;		/* rate of this second alone: parts of offset and slew_us */
	s64 second;		/* of the wall clock; the last one that has begun */
	s64 leap_at;		/* the second at which the leap is; INT64_MAX: none */
	s64 reference_s;	/* when an offset was told last */
};

#define NTP_INIT { .status = STA_UNSYNC, .tick_us = NTP_TICK_US, .constant = 2, .max_error_us = 16000000, \
		   .estimated_error_us = 16000000, .leap_at = INT64_MAX }

/* The clock was set: it begins `second`, and nobody knows how wrong it is. */
void ntp_clear(struct ntp *n, s64 second);
/* Second n->second + 1 begins. 1, -1: it is a leap, the clock is to be set forward or back by a second (n->second was). */
int ntp_second(struct ntp *n);
/* Does something happen at the next second, but for the errors' growth? If not, `count` of them may pass at once. */
bool ntp_active(const struct ntp *n);
void ntp_pass(struct ntp *n, s64 count);
/* Rates: now, and without what is of this second alone. */
s64 ntp_rate_base(const struct ntp *n);
s64 ntp_rate(const struct ntp *n);

/*
 * adjtimex(2) with values that are valid, at wall time tx->time (in units that tx->status does not matter for: seconds, ns).
 * Fills tx but for tai; what ADJ_TAI and ADJ_SETOFFSET ask for is the caller's. Returns the state.
 */
int ntp_adjust(struct ntp *n, struct timex *tx);

#endif
