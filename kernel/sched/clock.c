/*
 * The wall clock: the monotonic clock plus an offset. Readers take the offset under a sequence count
 * and write nothing.
 *
 * User programs read the same from a page (hal/vdso.h) that has a sequence count of its own: there is nobody who could wait
 * for a lock. Both are written under offset_lock.
 *
 * Who waits for a time of the wall clock is told when it is set (clock_listen). A setting first publishes the new
 * offset, then takes the list's lock; a waiter first gets on the list, then reads the clock: one of the two sees the
 * other.
 *
 * A counter that wraps must be looked at in time, and a TSC that may change its speed is compared with the HPET: one timer
 * does both, on any CPU, and only on machines that need it.
 */
#define LOG_TAG "clock"
#include <abi/linux/time.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/upcall.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/seqlock.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/timer.h>
#include <lib/errno.h>
#include <lib/string.h>

#define CHECK_PERIOD_NS (10 * (u64)NSEC_PER_SEC)

static struct spinlock offset_lock = SPINLOCK_INIT("wall clock", LOCK_RANK_LEAF);
static u64 offset_ns; /* [offset_lock] real minus monotonic; one word, read without */
static s32 tai_seconds; /* [offset_lock; a] TAI minus UTC */
static s32 zone_west, zone_dst; /* [offset_lock; a] */
static struct hal_vvar *vvar; /* [offset_lock] NULL until there is one */

static struct spinlock clock_listen_lock = SPINLOCK_INIT("clock listeners", LOCK_RANK_CLOCK_SET);
static struct list_head listeners = LIST_HEAD_INIT(listeners); /* [clock_listen_lock] */

static __always_inline u64 real_ns(void)
{
	return clock_mono_ns() + READ_ONCE(offset_ns);
}

u64 clock_real_ns(void)
{
	return real_ns();
}

u64 clock_tai_ns(void)
{
	return real_ns() + (u64)((s64)READ_ONCE(tai_seconds) * NSEC_PER_SEC);
}

s32 clock_tai_offset(void)
{
	return READ_ONCE(tai_seconds);
}

void clock_zone(s32 *minutes_west, s32 *dst)
{
	*minutes_west = READ_ONCE(zone_west);
	*dst = READ_ONCE(zone_dst);
}

u64 clock_boot_real_seconds(void)
{
	return (clock_real_ns() - clock_mono_ns()) / NSEC_PER_SEC;
}

struct timespec clock_coarse_real(void)
{
	struct timespec ts;

	clock_ns_to_timespec(real_ns() & ~(CLOCK_COARSE_NS - 1), &ts);
	return ts;
}

/* ---- the page of the vDSO ---------------------------------------------------------------------- */

#define READABLE_CLOCKS (1u << CLOCK_REALTIME | 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | \
			 1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME | 1u << CLOCK_TAI)
_Static_assert(CLOCK_TAI < HAL_VVAR_CLOCKS, "a clock of the vDSO has its place");

static void vvar_fill(struct hal_vvar *v)
{
	u64 base, mult;

	for (u32 i = 0; i < HAL_VVAR_CLOCKS; i++) {
		WRITE_ONCE(v->offset[i], 0);
		WRITE_ONCE(v->mask[i], ~0ull);
	}
	WRITE_ONCE(v->offset[CLOCK_REALTIME], offset_ns);
	WRITE_ONCE(v->offset[CLOCK_REALTIME_COARSE], offset_ns);
	WRITE_ONCE(v->mask[CLOCK_REALTIME_COARSE], ~(CLOCK_COARSE_NS - 1));
	WRITE_ONCE(v->mask[CLOCK_MONOTONIC_COARSE], ~(CLOCK_COARSE_NS - 1));
	WRITE_ONCE(v->offset[CLOCK_TAI], offset_ns + (u64)((s64)tai_seconds * NSEC_PER_SEC));
	hal_clock_params(&base, &mult);
	WRITE_ONCE(v->base, base);
	WRITE_ONCE(v->mult, hal_clock_user_readable() ? mult : 0);
	WRITE_ONCE(v->minutes_west, zone_west);
	WRITE_ONCE(v->dst, zone_dst);
	WRITE_ONCE(v->readable, hal_clock_user_readable() ? READABLE_CLOCKS : 0);
}

/* offset_lock held. The sequence count's halves as in core/seqlock.h; here it is the page's. */
static void vvar_update_locked(void)
{
	struct hal_vvar *v = vvar;

	if (!v)
		return;
	__atomic_store_n(&v->seq, v->seq + 1, __ATOMIC_RELAXED);
	smp_wmb();
	vvar_fill(v);
	__atomic_store_n(&v->seq, v->seq + 1, __ATOMIC_RELEASE);
}

void clock_publish(struct hal_vvar *page)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	vvar = page;
	vvar_update_locked();
	spin_unlock_irqrestore(&offset_lock, flags);
}

/* ---- setting ----------------------------------------------------------------------------------- */

static void tell_listeners(void)
{
	irqflags_t flags = spin_lock_irqsave(&clock_listen_lock);
	struct clock_listener *l;

	list_for_each_entry(l, &listeners, node)
		l->fn(l);
	spin_unlock_irqrestore(&clock_listen_lock, flags);
}

void clock_listen(struct clock_listener *l)
{
	irqflags_t flags = spin_lock_irqsave(&clock_listen_lock);

	list_add_tail(&l->node, &listeners);
	spin_unlock_irqrestore(&clock_listen_lock, flags);
}

void clock_unlisten(struct clock_listener *l)
{
	irqflags_t flags = spin_lock_irqsave(&clock_listen_lock);

	list_del_init(&l->node);
	spin_unlock_irqrestore(&clock_listen_lock, flags);
}

static void offset_set_locked(u64 offset)
{
	WRITE_ONCE(offset_ns, offset);
	vvar_update_locked();
}

int clock_set_real_ns(u64 ns)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	u64 mono = clock_mono_ns();
	bool possible = ns >= mono;

	if (possible)
		offset_set_locked(ns - mono);
	spin_unlock_irqrestore(&offset_lock, flags);
	if (!possible)
		return -EINVAL;
	tell_listeners();
	return 0;
}

int clock_step_real_ns(s64 by_ns)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	u64 offset = offset_ns + (u64)by_ns;
	bool possible = (by_ns < 0 ? offset < offset_ns : offset >= offset_ns) &&
			(offset + clock_mono_ns()) / NSEC_PER_SEC <= (u64)CLOCK_SET_MAX_S;

	if (possible)
		offset_set_locked(offset);
	spin_unlock_irqrestore(&offset_lock, flags);
	if (!possible)
		return -EINVAL;
	tell_listeners();
	return 0;
}

void clock_set_tai_offset(s32 seconds)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	WRITE_ONCE(tai_seconds, seconds);
	vvar_update_locked();
	spin_unlock_irqrestore(&offset_lock, flags);
	tell_listeners();
}

void clock_set_zone(s32 minutes_west, s32 dst)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	WRITE_ONCE(zone_west, minutes_west);
	WRITE_ONCE(zone_dst, dst);
	vvar_update_locked();
	spin_unlock_irqrestore(&offset_lock, flags);
}

/* ---- the counter behind it --------------------------------------------------------------------- */

/* A timer is not to be armed by two at a time: by itself, and by who changes the counter. */
static struct spinlock watch_lock = SPINLOCK_INIT("clock watch", LOCK_RANK_TIMERFD);
static struct timer watch_timer; /* [watch_lock] */

/* ns until it must be looked at again; 0: not at all. */
static u64 watch_period(void)
{
	u64 turn = hal_clock_half_turn_ns() / 2, check = hal_clock_wants_check() ? CHECK_PERIOD_NS : 0;

	return turn && check ? MIN(turn, check) : MAX(turn, check);
}

static void watch_arm(void)
{
	irqflags_t flags = spin_lock_irqsave(&watch_lock);
	u64 period = watch_period();

	if (watch_timer.fn && period)
		timer_arm(&watch_timer, clock_mono_ns() + period);
	spin_unlock_irqrestore(&watch_lock, flags);
}

static void watch_fn(struct timer *t)
{
	(void)t;
	if (hal_clock_wants_check())
		hal_clock_check();
	watch_arm();
}

void upcall_clock_changed(void)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	vvar_update_locked();
	spin_unlock_irqrestore(&offset_lock, flags);
	watch_arm();
}

static void obey_command_line(void)
{
	char word[16];

	if (cmdline_find("tsc", word, sizeof(word))) {
		if (!strcmp(word, "reliable") || !strcmp(word, "nowatchdog"))
			hal_clock_trust();
		else if (!strcmp(word, "unstable"))
			hal_clock_distrust("tsc=unstable");
		else
			log_warn("tsc=%s is not understood: reliable, unstable", word);
	}
	if (cmdline_find("clocksource", word, sizeof(word)) && hal_clock_source_select(word))
		log_warn("there is no clock source %s: it stays %s", word, hal_clock_source_current());
}

void clock_init(void)
{
	timer_init(&watch_timer, watch_fn);
	obey_command_line();
	(void)!clock_set_real_ns(hal_wallclock_seconds_at_boot() * NSEC_PER_SEC + clock_mono_ns());
	watch_arm();
	log_info("time is read from %s", hal_clock_source_current());
}
