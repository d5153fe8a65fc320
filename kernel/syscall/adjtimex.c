/* SPDX-License-Identifier: MIT */
/*
 * adjtimex(2), clock_adjtime(2): what a time daemon asks and tells the clock.
 *
 * Kept and shown: status, errors, time constant, the offset of TAI, units of nanoseconds. Done: steps (ADJ_SETOFFSET). The
 * clock's rate is not changed and it is not slewed: ADJ_FREQUENCY, ADJ_TICK, ADJ_OFFSET and adjtime(3) with other values
 * than those that hold (0, 10000 us, 0), and leap seconds (STA_INS, STA_DEL), are refused with EOPNOTSUPP, which a daemon
 * reports; with ADJ_SETOFFSET and settimeofday(2) it can still keep the time in steps.
 *
 * The largest error grows by 500 us a second, the clock's tolerance, from when it was told; at 16 s the clock counts as not
 * synchronised, which is also how it starts.
 */
#include <abi/linux/timex.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/clock.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>

#include "time.h"

#define ADJ_ADJTIME		0x8000u	/* the old adjtime(3) */
#define ADJ_ADJTIME_SET		0x0001u
#define ADJ_ADJTIME_READ	0x2000u
#define STA_READ_ONLY	(STA_PPSSIGNAL | STA_PPSJITTER | STA_PPSWANDER | STA_PPSERROR | STA_CLOCKERR | STA_NANO | STA_MODE | STA_CLK)
#define ERROR_LIMIT_US	16000000	/* 16 s: no idea */
#define ERROR_GROWTH_US	500		/* a second */
#define TOLERANCE_PPM	500
#define PPM_SCALE	65536		/* of freq and tolerance */
#define FREQ_MAX	(INT64_MAX / (PPM_SCALE * 1000ll)) /* more would overflow in Linux, which refuses it */
#define TICK_US		10000		/* as USER_HZ has it */
#define TICK_MIN_US	9000
#define TICK_MAX_US	11000
#define CONSTANT_MAX	10
#define CONSTANT_START	2
#define CONSTANT_MICRO	4		/* in units of microseconds the constant is so much smaller */
#define TAI_MAX_S	100000

static struct spinlock ntp_lock = SPINLOCK_INIT("adjtimex", LOCK_RANK_LEAF);
/* [ntp_lock] */
static struct {
	s32 status;
	s64 max_error_us, estimated_error_us, constant;
	u64 since_ns;	/* monotonic time at which max_error_us was right */
} ntp = { STA_UNSYNC, ERROR_LIMIT_US, ERROR_LIMIT_US, CONSTANT_START, 0 };

void adjtimex_clear(void)
{
	irqflags_t flags = spin_lock_irqsave(&ntp_lock);

	ntp.status |= STA_UNSYNC;
	ntp.max_error_us = ntp.estimated_error_us = ERROR_LIMIT_US;
	spin_unlock_irqrestore(&ntp_lock, flags);
}

/* ---- what may be asked for --------------------------------------------------------------------- */

static int check_rights(const struct timex *tx)
{
	if (tx->modes & ADJ_ADJTIME) {
		if (!(tx->modes & ADJ_ADJTIME_SET))
			return -EINVAL;
		return tx->modes & ADJ_ADJTIME_READ || capable(CAP_SYS_TIME) ? 0 : -EPERM;
	}
	return tx->modes && !capable(CAP_SYS_TIME) ? -EPERM : 0;
}

static int check_values(const struct timex *tx)
{
	s64 fraction = tx->time.tv_usec;

	if (!(tx->modes & ADJ_ADJTIME) && tx->modes & ADJ_TICK && (tx->tick < TICK_MIN_US || tx->tick > TICK_MAX_US))
		return -EINVAL;
	if (tx->modes & ADJ_SETOFFSET) {
		if (!capable(CAP_SYS_TIME))
			return -EPERM;
		if (fraction < 0 || fraction >= (tx->modes & ADJ_NANO ? (s64)NSEC_PER_SEC : 1000000))
			return -EINVAL;
	}
	if (tx->modes & ADJ_FREQUENCY && (tx->freq > FREQ_MAX || tx->freq < -FREQ_MAX))
		return -EINVAL;
	return 0;
}

/* What a clock that runs at one rate cannot do. */
static int check_abilities(const struct timex *tx)
{
	bool slew;

	if (tx->modes & ADJ_ADJTIME)
		slew = !(tx->modes & ADJ_ADJTIME_READ) && tx->offset;
	else
		slew = (tx->modes & ADJ_FREQUENCY && tx->freq) || (tx->modes & ADJ_TICK && tx->tick != TICK_US) ||
		       (tx->modes & ADJ_OFFSET && tx->offset) || (tx->modes & ADJ_STATUS && tx->status & (STA_INS | STA_DEL));
	return slew ? -EOPNOTSUPP : 0;
}

static int step(const struct timex *tx)
{
	s64 fraction = tx->modes & ADJ_NANO ? tx->time.tv_usec : tx->time.tv_usec * 1000;
	s64 limit = INT64_MAX / (s64)NSEC_PER_SEC - 1;
	int err;

	if (tx->time.tv_sec > limit || tx->time.tv_sec < -limit)
		return -EINVAL;
	err = clock_step_real_ns(tx->time.tv_sec * (s64)NSEC_PER_SEC + fraction);
	if (!err)
		adjtimex_clear();
	return err;
}

/* ---- keeping and telling; ntp_lock held -------------------------------------------------------- */

static void keep_locked(const struct timex *tx)
{
	if (tx->modes & ADJ_STATUS)
		ntp.status = (ntp.status & STA_READ_ONLY) | (tx->status & ~STA_READ_ONLY);
	if (tx->modes & ADJ_NANO)
		ntp.status |= STA_NANO;
	if (tx->modes & ADJ_MICRO)
		ntp.status &= ~STA_NANO;
	if (tx->modes & ADJ_MAXERROR) {
		ntp.max_error_us = tx->maxerror;
		ntp.since_ns = clock_mono_ns();
	}
	if (tx->modes & ADJ_ESTERROR)
		ntp.estimated_error_us = tx->esterror;
	if (tx->modes & ADJ_TIMECONST) {
		ntp.constant = CLAMP(tx->constant, (s64)-CONSTANT_MAX, (s64)CONSTANT_MAX);
		ntp.constant += ntp.status & STA_NANO ? 0 : CONSTANT_MICRO;
		ntp.constant = CLAMP(ntp.constant, (s64)0, (s64)CONSTANT_MAX);
	}
}

static s64 max_error_locked(void)
{
	u64 grown = (clock_mono_ns() - ntp.since_ns) / NSEC_PER_SEC * ERROR_GROWTH_US;

	if (ntp.max_error_us >= ERROR_LIMIT_US || grown >= (u64)ERROR_LIMIT_US ||
	    ntp.max_error_us + (s64)grown >= ERROR_LIMIT_US) {
		ntp.max_error_us = ERROR_LIMIT_US;
		ntp.status |= STA_UNSYNC;
		return ERROR_LIMIT_US;
	}
	return ntp.max_error_us + (s64)grown;
}

/* Returns the clock's state. */
static int tell_locked(struct timex *tx)
{
	s64 max_error = max_error_locked();
	u64 now = clock_real_ns();
	u32 modes = tx->modes;

	memset(tx, 0, sizeof(*tx));
	tx->modes = modes;
	tx->maxerror = max_error;
	tx->esterror = ntp.estimated_error_us;
	tx->status = ntp.status;
	tx->constant = ntp.constant;
	tx->precision = 1;
	tx->tolerance = (s64)TOLERANCE_PPM * PPM_SCALE;
	tx->tick = TICK_US;
	tx->tai = clock_tai_offset();
	tx->time.tv_sec = (s64)(now / NSEC_PER_SEC);
	tx->time.tv_usec = (s64)(now % NSEC_PER_SEC / (ntp.status & STA_NANO ? 1 : 1000));
	return ntp.status & (STA_UNSYNC | STA_CLOCKERR) ? TIME_ERROR : TIME_OK;
}

static int adjust(struct timex *tx)
{
	bool plain = !(tx->modes & ADJ_ADJTIME);
	irqflags_t flags;
	int err = check_rights(tx), state;

	if (!err)
		err = check_values(tx);
	if (!err)
		err = check_abilities(tx);
	if (!err && tx->modes & ADJ_SETOFFSET)
		err = step(tx);
	if (err)
		return err;
	if (plain && tx->modes & ADJ_TAI && tx->constant >= 0 && tx->constant <= TAI_MAX_S)
		clock_set_tai_offset((s32)tx->constant);
	flags = spin_lock_irqsave(&ntp_lock);
	if (plain)
		keep_locked(tx);
	state = tell_locked(tx);
	spin_unlock_irqrestore(&ntp_lock, flags);
	return state;
}

long sys_adjtimex(uptr_t user)
{
	struct timex tx;
	int state;

	if (copy_from_user(&tx, user, sizeof(tx)))
		return -EFAULT;
	state = adjust(&tx);
	if (state < 0)
		return state;
	return copy_to_user(user, &tx, sizeof(tx)) ? -EFAULT : state;
}

long sys_clock_adjtime(int clock, uptr_t user)
{
	u64 ns;

	if (clock == CLOCK_REALTIME)
		return sys_adjtimex(user);
	if (!copy_from_user(&(struct timex){ 0 }, user, sizeof(struct timex)))
		return clock_read(clock, &ns) == -EINVAL && (clock >= 0 || (clock & 7) == 3) ? -EINVAL : -EOPNOTSUPP;
	return -EFAULT;
}
