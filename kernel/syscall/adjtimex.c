/* SPDX-License-Identifier: MIT */
/*
 * adjtimex(2), clock_adjtime(2): what a time daemon asks and tells the clock. Rights and values are checked here, in Linux's
 * order; what is kept and what becomes of it is kernel/sched/ntp.c's and clock.c's.
 */
#include <abi/linux/timex.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/ntp.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <gen/syscall_protos.h>

#include "time.h"

#define ADJ_ADJTIME		0x8000u	/* the old adjtime(3) */
#define ADJ_ADJTIME_SET		0x0001u
#define ADJ_ADJTIME_READ	0x2000u
#define TAI_MAX_S		100000

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

	if (!(tx->modes & ADJ_ADJTIME) && tx->modes & ADJ_TICK && (tx->tick < NTP_TICK_MIN_US || tx->tick > NTP_TICK_MAX_US))
		return -EINVAL;
	if (tx->modes & ADJ_SETOFFSET) {
		if (!capable(CAP_SYS_TIME))
			return -EPERM;
		if (fraction < 0 || fraction >= (tx->modes & ADJ_NANO ? (s64)NSEC_PER_SEC : 1000000))
			return -EINVAL;
	}
	if (tx->modes & ADJ_FREQUENCY && (tx->freq > NTP_FREQ_MAX || tx->freq < -NTP_FREQ_MAX))
		return -EINVAL;
	return 0;
}

static int step(const struct timex *tx)
{
	s64 fraction = tx->modes & ADJ_NANO ? tx->time.tv_usec : tx->time.tv_usec * 1000;
	s64 limit = INT64_MAX / (s64)NSEC_PER_SEC - 1;

	if (tx->time.tv_sec > limit || tx->time.tv_sec < -limit)
		return -EINVAL;
	return clock_step_real_ns(tx->time.tv_sec * (s64)NSEC_PER_SEC + fraction);
}

static int adjust(struct timex *tx)
{
	bool tai = !(tx->modes & ADJ_ADJTIME) && tx->modes & ADJ_TAI && tx->constant >= 0 && tx->constant <= TAI_MAX_S;
	int err = check_rights(tx);

	if (!err)
		err = check_values(tx);
	if (!err && tx->modes & ADJ_SETOFFSET)
		err = step(tx);
	return err ? err : clock_adjust(tx, tai ? (s32)tx->constant : -1);
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
