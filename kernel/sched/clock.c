/*
 * The wall clock: the monotonic clock plus an offset. Readers take the offset under a sequence count
 * and write nothing.
 */
#include <abi/linux/time.h>
#include <hal/clock.h>
#include <kernel/core/seqlock.h>
#include <kernel/core/spinlock.h>
#include <kernel/sched/clock.h>

static struct spinlock offset_lock = SPINLOCK_INIT("wall clock", LOCK_RANK_LEAF);
static struct seqcount offset_seq; /* written under offset_lock */
static u64 offset_ns; /* [offset_lock, offset_seq] real minus monotonic */

static __always_inline u64 real_ns(void)
{
	u64 offset;
	u32 seq;

	do {
		seq = seqcount_read_begin(&offset_seq);
		offset = READ_ONCE(offset_ns);
	} while (seqcount_read_retry(&offset_seq, seq));
	return clock_mono_ns() + offset;
}

u64 clock_real_ns(void)
{
	return real_ns();
}

void clock_set_real_ns(u64 real_ns)
{
	irqflags_t flags = spin_lock_irqsave(&offset_lock);

	seqcount_write_begin(&offset_seq);
	WRITE_ONCE(offset_ns, real_ns - clock_mono_ns());
	seqcount_write_end(&offset_seq);
	spin_unlock_irqrestore(&offset_lock, flags);
}

void clock_init(void)
{
	clock_set_real_ns(hal_wallclock_seconds_at_boot() * NSEC_PER_SEC + clock_mono_ns());
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
