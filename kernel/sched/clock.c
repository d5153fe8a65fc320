/*
 * The wall clock: the monotonic clock plus an offset, and while adjtimex(2) makes it run at another rate, so much a second
 * since `since_ns`. The monotonic clock itself keeps the counter's rate, whatever adjtimex says: everything in the kernel that
 * waits and measures goes by it. (Linux's follows the wall clock's rate; CLOCK_MONOTONIC_RAW does not.)
 *
 * At the nominal rate readers take the offset, one word, and write nothing; `skewed` sends them to the sequence count. It is
 * set before the offset begins to change and reset after it has its last value, and readers look at it last: one who missed
 * a whole time of other rates, between two of his instructions, is off by what the clock was slewed in it.
 *
 * User programs read the same from a page (hal/vdso.h) that has a sequence count of its own: there is nobody who could wait
 * for a lock. Both are written under offset_lock. The page has for each clock a factor of the counter: the rate is made of a
 * difference of such factors, so that both agree for ever, to a rounding.
 *
 * The discipline (ntp.c) wants to know when a second of the wall clock begins, if it has something to do then: a timer, armed
 * only as long as that is so. Else the seconds that have passed are told to it when somebody asks.
 *
 * Who waits for a time of the wall clock is told when it is set or may run faster than he was told (clock_listen). A setting
 * first publishes the new offset, then takes the list's lock; a waiter first gets on the list, then reads the clock: one of
 * the two sees the other.
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
#include <kernel/sched/ntp.h>
#include <kernel/sched/timer.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "internal.h"

__extension__ typedef unsigned __int128 clock_u128;

#define CHECK_PERIOD_NS (10 * (u64)NSEC_PER_SEC)
static u64 check_period_ns = CHECK_PERIOD_NS; /* [a] only the self tests change it */

static struct spinlock offset_lock = SPINLOCK_INIT("wall clock", LOCK_RANK_LEAF);
static u64 offset_ns; /* [offset_lock] real minus monotonic, at since_ns; one word, read without */
static struct seqcount skew_seq = SEQCOUNT_INIT; /* [offset_lock] of offset_ns, since_ns, skew */
static u64 since_ns; /* [skew_seq] monotonic */
static s64 skew; /* [skew_seq] the rate, as what is added to the counter's factor; 0: nominal */
static s64 skew_most; /* [offset_lock; a] it will not become more by itself; at least 0 */
static u64 nominal; /* [I] the counter's factor */
static bool skewed; /* [a] see above */
static struct ntp ntp = NTP_INIT; /* [offset_lock] */
static s32 tai_seconds; /* [offset_lock; a] TAI minus UTC */
static s32 zone_west, zone_dst; /* [offset_lock; a] */
static struct hal_vvar *vvar; /* [offset_lock] NULL until there is one */

static struct spinlock clock_listen_lock = SPINLOCK_INIT("clock listeners", LOCK_RANK_CLOCK_SET);
static struct list_head listeners = LIST_HEAD_INIT(listeners); /* [clock_listen_lock] */

/* `by` parts of ns in `whole`; no overflow as long as by * whole has none (skew_of). */
static u64 part_of(u64 ns, u64 by, u64 whole)
{
	return ns / whole * by + ns % whole * by / whole;
}

/* What the other rate has made of the time since since_ns. */
static u64 skew_ns(u64 mono, u64 since, s64 by)
{
	u64 passed = mono > since ? mono - since : 0;

	return by < 0 ? -part_of(passed, (u64)-by, nominal) : part_of(passed, (u64)by, nominal);
}

static noinline u64 real_skewed(void)
{
	u64 mono, real;
	u32 seq;

	do {
		seq = seqcount_read_begin(&skew_seq);
		mono = clock_mono_ns();
		real = mono + READ_ONCE(offset_ns) + skew_ns(mono, READ_ONCE(since_ns), READ_ONCE(skew));
	} while (seqcount_read_retry(&skew_seq, seq));
	return real;
}

static __always_inline u64 real_ns(void)
{
	u64 real = clock_mono_ns();

	real += READ_ONCE(offset_ns);
	barrier();
	return unlikely(skewed) ? real_skewed() : real; /* not volatile, so that it is one instruction; barrier() makes it a load */
}

/* offset_lock held: the wall clock's time when the monotonic one has `mono`. */
static u64 real_at_locked(u64 mono)
{
	return mono + offset_ns + skew_ns(mono, since_ns, skew);
}

u64 clock_real_ns(void)
{
	return real_ns();
}

u64 clock_real_deadline(u64 real)
{
	u64 mono = clock_mono_ns(), now = real_ns(), by = (u64)READ_ONCE(skew_most), left;

	if (real <= now)
		return mono;
	left = real - now;
	if (unlikely(by))
		left -= part_of(left, by, nominal + by);
	return left > INT64_MAX - mono ? INT64_MAX : mono + left;
}

u64 clock_tai_ns(void)
{
	return real_ns() + (u64)((s64)READ_ONCE(tai_seconds) * NSEC_PER_SEC);
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

_Static_assert(CLOCK_TAI < HAL_VVAR_CLOCKS, "a clock of the vDSO has its place");

static void vvar_clock(struct hal_vvar *v, int clock, u64 mult, u64 offset, u64 mask)
{
	WRITE_ONCE(v->clock[clock].mult, mult);
	WRITE_ONCE(v->clock[clock].offset, offset);
	WRITE_ONCE(v->clock[clock].mask, mask);
}

static u64 scale(u64 cycles, u64 mult)
{
	return (u64)((clock_u128)cycles * mult >> 32);
}

/* A clock whose factor is 0 cannot be read from there. */
static void vvar_fill(struct hal_vvar *v)
{
	const u64 coarse = ~(CLOCK_COARSE_NS - 1);
	u64 base, mult, real_mult = 0, real = offset_ns;

	hal_clock_params(&base, &mult);
	if (!hal_clock_user_readable())
		mult = 0;
	if (mult)
		real_mult = mult + (u64)skew;
	if (skew && mult) {
		u64 cycles = hal_cycles() - base;

		real = real_at_locked(scale(cycles, mult)) - scale(cycles, real_mult);
	}
	WRITE_ONCE(v->base, base);
	vvar_clock(v, CLOCK_REALTIME, real_mult, real, ~0ull);
	vvar_clock(v, CLOCK_REALTIME_COARSE, real_mult, real, coarse);
	vvar_clock(v, CLOCK_TAI, real_mult, real + (u64)((s64)tai_seconds * NSEC_PER_SEC), ~0ull);
	vvar_clock(v, CLOCK_MONOTONIC, mult, 0, ~0ull);
	vvar_clock(v, CLOCK_MONOTONIC_COARSE, mult, 0, coarse);
	vvar_clock(v, CLOCK_MONOTONIC_RAW, mult, 0, ~0ull);
	vvar_clock(v, CLOCK_BOOTTIME, mult, 0, ~0ull);
	WRITE_ONCE(v->minutes_west, zone_west);
	WRITE_ONCE(v->dst, zone_dst);
}

/* offset_lock held, from the first to the second. The sequence count's halves as in core/seqlock.h; here it is the page's. */
static void vvar_update_begin(void)
{
	if (!vvar)
		return;
	__atomic_store_n(&vvar->seq, vvar->seq + 1, __ATOMIC_RELAXED);
	smp_wmb();
}

static void vvar_update_end(void)
{
	if (!vvar)
		return;
	vvar_fill(vvar);
	__atomic_store_n(&vvar->seq, vvar->seq + 1, __ATOMIC_RELEASE);
}

static void vvar_update_locked(void)
{
	vvar_update_begin();
	vvar_update_end();
}

void clock_publish(struct hal_vvar *page)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	vvar = page;
	vvar_update_locked();
	spin_unlock_irqrestore(&offset_lock, flags);
}

/* ---- setting ----------------------------------------------------------------------------------- */

static void tell_listeners(bool set)
{
	irqflags_t flags = spin_lock_irqsave(&clock_listen_lock);
	struct clock_listener *l;

	list_for_each_entry(l, &listeners, node)
		l->fn(l, set);
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

/* What must be added to the factor for this rate. The product with the factor does not overflow: part_of(). */
static s64 skew_of(s64 rate)
{
	u64 fraction = (u64)(rate < 0 ? -rate : rate) / NSEC_PER_SEC; /* of 2^32; below a third */
	u64 by = (fraction * (nominal & 0xffffffff) >> 32) + fraction * (nominal >> 32);

	by = MIN(by, ~0ull / (2 * nominal));
	return rate < 0 ? -(s64)by : (s64)by;
}

/* offset_lock held. From now on, the monotonic clock's `mono`, the wall clock goes on from `real`, at the discipline's rate. */
static void go_on_locked(u64 mono, u64 real)
{
	s64 by = skew_of(ntp_rate(&ntp)), by_then = skew_of(ntp_rate_base(&ntp));

	WRITE_ONCE(skew_most, MAX(MAX(by, by_then), (s64)0));
	if (by || skew) {
		WRITE_ONCE(skewed, true);
		smp_wmb();
	}
	seqcount_write_begin(&skew_seq);
	WRITE_ONCE(offset_ns, real - mono);
	WRITE_ONCE(since_ns, mono);
	WRITE_ONCE(skew, by);
	seqcount_write_end(&skew_seq);
	WRITE_ONCE(skewed, by != 0);
	vvar_update_locked();
}

/* ---- the discipline's seconds ------------------------------------------------------------------ */

/* offset_lock held. Tells the discipline of the seconds that have begun. True: one was a leap, the clock was set. */
static bool pass_seconds_locked(u64 mono)
{
	u64 real = real_at_locked(mono);
	s64 second = (s64)(real / NSEC_PER_SEC), rate = ntp_rate(&ntp);
	bool leapt = false;

	while (ntp.second < second) {
		int leap;

		if (!ntp_active(&ntp)) {
			ntp_pass(&ntp, second - ntp.second);
			break;
		}
		leap = ntp_second(&ntp);
		if (!leap)
			continue;
		leapt = true;
		second += leap;
		real += (u64)(leap * (s64)NSEC_PER_SEC);
		WRITE_ONCE(tai_seconds, tai_seconds - leap);
	}
	if (leapt || ntp_rate(&ntp) != rate)
		go_on_locked(mono, real);
	return leapt;
}

/* When the next second begins that the discipline has to be told of at once; 0: none. */
static u64 next_second(void)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	bool active = ntp_active(&ntp);
	u64 second = (u64)ntp.second + 1;

	spin_unlock_irqrestore(&offset_lock, flags);
	return active ? clock_real_deadline(second * NSEC_PER_SEC) : 0;
}

/* As watch_lock is for its timer. */
static struct spinlock seconds_lock = SPINLOCK_INIT("clock seconds", LOCK_RANK_TIMERFD);
static struct timer seconds_timer; /* [seconds_lock] */

static void seconds_arm(void)
{
	irqflags_t flags = spin_lock_irqsave(&seconds_lock);
	u64 at = next_second();

	if (at && seconds_timer.fn)
		timer_arm(&seconds_timer, at);
	spin_unlock_irqrestore(&seconds_lock, flags);
}

static void seconds_fn(struct timer *t)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	bool leapt = pass_seconds_locked(clock_mono_ns());

	(void)t;
	spin_unlock_irqrestore(&offset_lock, flags);
	if (leapt)
		tell_listeners(true);
	seconds_arm();
}

/* offset_lock held. */
static void set_locked(u64 mono, u64 real)
{
	ntp_clear(&ntp, (s64)(real / NSEC_PER_SEC));
	go_on_locked(mono, real);
}

int clock_set_real_ns(u64 ns)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	u64 mono = clock_mono_ns();
	bool possible = ns >= mono;

	if (possible)
		set_locked(mono, ns);
	spin_unlock_irqrestore(&offset_lock, flags);
	if (!possible)
		return -EINVAL;
	tell_listeners(true);
	seconds_arm();
	return 0;
}

int clock_step_real_ns(s64 by_ns)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	u64 mono = clock_mono_ns(), now = real_at_locked(mono), real = now + (u64)by_ns;
	bool possible = (by_ns < 0 ? real < now && real >= mono : real >= now) && real / NSEC_PER_SEC <= (u64)CLOCK_SET_MAX_S;

	if (possible)
		set_locked(mono, real);
	spin_unlock_irqrestore(&offset_lock, flags);
	if (!possible)
		return -EINVAL;
	tell_listeners(true);
	seconds_arm();
	return 0;
}

int clock_adjust(struct timex *tx, s32 tai)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);
	u64 mono = clock_mono_ns(), real;
	bool set = pass_seconds_locked(mono), tai_set = false, faster;
	s64 rate = ntp_rate(&ntp), most = skew_most;
	int state;

	if (tai >= 0 && tai != tai_seconds) {
		WRITE_ONCE(tai_seconds, tai);
		tai_set = true;
	}
	real = real_at_locked(mono);
	tx->time.tv_sec = (s64)(real / NSEC_PER_SEC);
	tx->time.tv_usec = (s64)(real % NSEC_PER_SEC);
	tx->tai = tai_seconds;
	state = ntp_adjust(&ntp, tx);
	if (set || tai_set || ntp_rate(&ntp) != rate)
		go_on_locked(mono, real);
	faster = skew_most > most;
	spin_unlock_irqrestore(&offset_lock, flags);
	if (set || tai_set || faster)
		tell_listeners(set);
	seconds_arm();
	return state;
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
	u64 turn = hal_clock_half_turn_ns() / 2, check = hal_clock_wants_check() ? READ_ONCE(check_period_ns) : 0;

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

/* The full barrier: whoever reads the page later sees that it changes, before anybody can have read the new clock. */
void upcall_clock_change(void (*change)(void *arg), void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	vvar_update_begin();
	smp_mb();
	change(arg);
	vvar_update_end();
	spin_unlock_irqrestore(&offset_lock, flags);
	watch_arm();
}

#if HALCYON_DEBUG
void clock_test_watch(u64 period_ns)
{
	WRITE_ONCE(check_period_ns, period_ns ? period_ns : CHECK_PERIOD_NS);
	watch_arm();
}

const struct hal_vvar *clock_test_page(void)
{
	return vvar;
}

#define HALF_WRITE_RELAXES 20u

void clock_test_half_writes(u64 by_ns, bool (*more)(void))
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	WRITE_ONCE(skewed, true);
	spin_unlock_irqrestore(&offset_lock, flags);
	while (more()) {
		flags = spin_lock_irqsave(&offset_lock);
		seqcount_write_begin(&skew_seq);
		WRITE_ONCE(offset_ns, offset_ns + by_ns);
		for (u32 i = 0; i < HALF_WRITE_RELAXES; i++)
			hal_cpu_relax();
		WRITE_ONCE(offset_ns, offset_ns - by_ns);
		seqcount_write_end(&skew_seq);
		spin_unlock_irqrestore(&offset_lock, flags);
		hal_cpu_relax();
	}
	flags = spin_lock_irqsave(&offset_lock);
	WRITE_ONCE(skewed, skew != 0);
	spin_unlock_irqrestore(&offset_lock, flags);
}
#endif

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
	u64 base;

	timer_init(&watch_timer, watch_fn);
	timer_init(&seconds_timer, seconds_fn);
	hal_clock_params(&base, &nominal);
	if (!nominal)
		nominal = 1ull << 32;
	obey_command_line();
	(void)!clock_set_real_ns(hal_wallclock_seconds_at_boot() * NSEC_PER_SEC + clock_mono_ns());
	watch_arm();
	log_info("time is read from %s", hal_clock_source_current());
}
