/*
 * Clocks. The monotonic clock counts nanoseconds since the HAL's clock started; the wall clock is
 * the monotonic one plus an offset that settimeofday(2) changes, at a rate that adjtimex(2) changes (clock.c).
 */
#pragma once

#include <abi/linux/time.h>
#include <hal/clock.h>
#include <hal/vdso.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>

static inline u64 clock_mono_ns(void)
{
	return hal_clock_ns();
}
u64 clock_real_ns(void); /* nanoseconds since 1970-01-01 UTC */
/*
 * The monotonic time at which the wall clock will not have passed `real` yet, or just has: who waits for it looks at the clock
 * then, and again when told (clock_listen). Saturates at INT64_MAX.
 */
u64 clock_real_deadline(u64 real);
u64 clock_tai_ns(void); /* the wall clock and the leap seconds that adjtimex(2) was told of */
void clock_init(void); /* after hal_late_init(): wall clock from the firmware, clocksource=, tsc= */
u64 clock_boot_real_seconds(void); /* btime of /proc/stat */

/*
 * Setting. Thread context, no spinlock. clock_set_real_ns() fails with -EINVAL when the machine would have been started before
 * 1970; then it calls every listener.
 */
/* Linux's last second: from there it has 30 years to run on until 63 bits of nanoseconds are full. */
#define CLOCK_SET_MAX_S (INT64_MAX / (s64)NSEC_PER_SEC - 30ll * 365 * 24 * 3600 - 1)
int __must_check clock_set_real_ns(u64 real_ns);
int __must_check clock_step_real_ns(s64 by_ns);
/*
 * adjtimex(2) with values that are valid; ADJ_SETOFFSET is the caller's. tai: what TAI shall be ahead from now on, negative: as
 * it is. Fills tx, returns the clock's state.
 */
struct timex;
int clock_adjust(struct timex *tx, s32 tai);
void clock_set_zone(s32 minutes_west, s32 dst);
void clock_zone(s32 *minutes_west, s32 *dst);

/*
 * Somebody who waits for a time of the wall clock. fn runs after each setting of the clock, and with `set` false when its rate
 * has become faster than what clock_real_deadline() knew or TAI was set, under a spinlock of rank LOCK_RANK_CLOCK_SET,
 * interrupts off: it may wake threads and arm timers. Adding and removing: any context without an inner lock; after the removal
 * fn does not run any more.
 */
struct clock_listener {
	struct list_head node; /* [clock_listen_lock] */
	void (*fn)(struct clock_listener *l, bool set); /* [I] */
};
void clock_listen(struct clock_listener *l);
void clock_unlisten(struct clock_listener *l);

/*
 * The wall time in steps of about 4 ms, which is Linux's tick: for file times, which then stay the same over many
 * writes and need not be stored again. Never ahead of clock_real_ns(), and never goes back by itself.
 */
#define CLOCK_COARSE_NS (1ull << 22)
struct timespec clock_coarse_real(void);

/* vm: the page from which programs read the clock; it is filled in now and kept so. Once, at boot. */
void clock_publish(struct hal_vvar *page);

static inline void clock_ns_to_timespec(u64 ns, struct timespec *ts)
{
	ts->tv_sec = (long)(ns / NSEC_PER_SEC);
	ts->tv_nsec = (long)(ns % NSEC_PER_SEC);
}
/* Saturates; the timespec must be valid (0 <= tv_nsec < 1e9, tv_sec >= 0). */
static inline u64 clock_timespec_to_ns(const struct timespec *ts)
{
	if ((u64)ts->tv_sec >= 9223372036ull)
		return 9223372036854775807ull;
	return (u64)ts->tv_sec * NSEC_PER_SEC + (u64)ts->tv_nsec;
}
static inline bool clock_timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && (u64)ts->tv_nsec < NSEC_PER_SEC;
}
