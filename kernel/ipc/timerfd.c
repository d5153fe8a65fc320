/* SPDX-License-Identifier: MIT */
/*
 * Timer descriptors: timerfd_create(2).
 *
 * A timer counts its expirations in `ticks`, which read(2) takes. An interval timer that has expired is not armed again
 * before somebody asks (read, timerfd_gettime): then all intervals that have passed are counted at once. A process that
 * does not read costs no interrupts.
 *
 * An absolute time of the wall clock is armed for the monotonic time that it means now. When the clock is set, the
 * listener arms it anew, and tells those who asked for it (TFD_TIMER_CANCEL_ON_SET) by one ECANCELED. A descriptor gets on
 * the list of listeners when it first needs to be there, and stays until its end.
 *
 * Locks: tfd->lock (rank LOCK_RANK_TIMERFD, interrupts off) guards all fields; it is taken under the list's lock by the
 * listener and by the timer's function. The timer is cancelled without waiting for its function: that finds under the
 * lock that nothing is due. TFD_TIMER_CANCEL_ON_SET is kept even of a disarmed timer, as Linux does.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/ioctl.h>
#include <abi/linux/time.h>
#include <kernel/core/spinlock.h>
#include <kernel/ipc/timerfd.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/timer.h>
#include <kernel/sched/wait.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/file.h>
#include <kernel/vfs/poll.h>
#include <kernel/vfs/seq.h>
#include <kernel/vm/iter.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>

#define TFD_IOC_SET_TICKS 0x40085400u /* _IOW('T', 0, __u64) */
#define TIMERFD_POLL_IN POLLIN /* and nothing else, as on Linux */

struct timerfd {
	struct spinlock lock;
	int clock; /* [I] */
	u32 settime_flags; /* [lock] as given last */
	bool absolute; /* [lock] expiry_ns is a time of the wall clock; else of the monotonic clock */
	bool armed; /* [lock] expiry_ns is to come */
	bool expired; /* [lock] it came, and the next interval is not armed yet */
	bool wants_cancel; /* [lock] */
	bool cancelled; /* [lock] the clock was set; the next read or settime says so */
	u8 listening; /* [a] on the list of listeners */
	u64 expiry_ns; /* [lock] */
	u64 interval_ns; /* [lock] 0: once */
	u64 ticks; /* [lock] read without it as a condition to sleep on */
	struct timer timer;
	struct clock_listener listener;
	struct waitq wait;
};

static bool is_alarm(int clock)
{
	return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

static bool is_real(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

/* ---- under the lock ---------------------------------------------------------------------------- */

static u64 now_of(const struct timerfd *tfd)
{
	return tfd->absolute ? clock_real_ns() : clock_mono_ns();
}

static void arm_locked(struct timerfd *tfd)
{
	tfd->armed = true;
	timer_arm(&tfd->timer, tfd->absolute ? clock_real_deadline(tfd->expiry_ns) : MIN(tfd->expiry_ns, (u64)INT64_MAX));
}

/* Counts the intervals that have passed since the expiry, and arms the next one. */
static void go_on_locked(struct timerfd *tfd)
{
	u64 now = now_of(tfd), passed;

	if (!tfd->expired || !tfd->interval_ns)
		return;
	passed = now > tfd->expiry_ns ? (now - tfd->expiry_ns) / tfd->interval_ns + 1 : 1;
	tfd->ticks += passed - 1;
	tfd->expiry_ns += passed * tfd->interval_ns;
	tfd->expired = false;
	arm_locked(tfd);
}

static void expire_locked(struct timerfd *tfd)
{
	tfd->armed = false;
	tfd->expired = true;
	WRITE_ONCE(tfd->ticks, tfd->ticks + 1);
	waitq_wake_key(&tfd->wait, 1, TIMERFD_POLL_IN);
}

/* Its time has come, whether or not the interrupt has: who asks is not told otherwise. */
static void catch_up_locked(struct timerfd *tfd)
{
	if (tfd->armed && now_of(tfd) >= tfd->expiry_ns)
		expire_locked(tfd);
}

/* The clock was set since this was asked last. */
static bool take_cancelled_locked(struct timerfd *tfd)
{
	bool was = tfd->wants_cancel && tfd->cancelled;

	tfd->cancelled = false;
	return was;
}

static void remaining_locked(struct timerfd *tfd, struct itimerspec *out)
{
	u64 now = now_of(tfd);

	clock_ns_to_timespec(tfd->armed && tfd->expiry_ns > now ? tfd->expiry_ns - now : 0, &out->it_value);
	clock_ns_to_timespec(tfd->interval_ns, &out->it_interval);
}

/* ---- what happens to it ------------------------------------------------------------------------ */

static void timerfd_fire(struct timer *timer)
{
	struct timerfd *tfd = container_of(timer, struct timerfd, timer);

	spin_lock(&tfd->lock);
	if (tfd->armed && now_of(tfd) >= tfd->expiry_ns)
		expire_locked(tfd);
	else if (tfd->armed) /* set anew meanwhile, or the clock was set back */
		arm_locked(tfd);
	spin_unlock(&tfd->lock);
}

static void timerfd_clock_set(struct clock_listener *l, bool set)
{
	struct timerfd *tfd = container_of(l, struct timerfd, listener);

	spin_lock(&tfd->lock);
	if (set && tfd->wants_cancel && !tfd->cancelled) {
		tfd->cancelled = true;
		WRITE_ONCE(tfd->ticks, tfd->ticks + 1);
		waitq_wake_key(&tfd->wait, 1, TIMERFD_POLL_IN);
	}
	if (tfd->armed && tfd->absolute)
		arm_locked(tfd);
	spin_unlock(&tfd->lock);
}

/* ---- the file ---------------------------------------------------------------------------------- */

/* What there is to read: 0 and *ticks (0: nothing), or -ECANCELED. */
static int take_ticks(struct timerfd *tfd, u64 *ticks)
{
	irqflags_t flags = spin_lock_irqsave(&tfd->lock);
	int err = 0;

	*ticks = 0;
	catch_up_locked(tfd);
	if (take_cancelled_locked(tfd)) {
		/* Clock and timer have nothing in common any more: the program must look and set it anew. */
		tfd->expired = false;
		err = -ECANCELED;
	} else if (tfd->ticks) {
		go_on_locked(tfd);
		tfd->expired = false;
		*ticks = tfd->ticks;
	}
	if (err || *ticks)
		WRITE_ONCE(tfd->ticks, 0);
	spin_unlock_irqrestore(&tfd->lock, flags);
	return err;
}

static ssize_t timerfd_read(struct kiocb *iocb, struct iter *to)
{
	struct timerfd *tfd = iocb->file->private;
	u64 ticks;
	int err;

	if (iter_count(to) < sizeof(ticks))
		return -EINVAL;
	for (;;) {
		err = take_ticks(tfd, &ticks);
		if (err || ticks)
			break;
		if (iocb->file->flags & O_NONBLOCK || iocb->flags & IOCB_NOWAIT)
			return -EAGAIN;
		err = WAIT_EVENT_INTERRUPTIBLE_EXCLUSIVE(&tfd->wait, READ_ONCE(tfd->ticks), "timerfd_read");
		if (err)
			return err;
	}
	if (err)
		return err;
	return iter_copy_to(to, &ticks, sizeof(ticks)) == sizeof(ticks) ? (ssize_t)sizeof(ticks) : -EFAULT;
}

static u32 timerfd_poll(struct file *file, struct poll_table *pt)
{
	struct timerfd *tfd = file->private;

	poll_wait(file, &tfd->wait, pt);
	return READ_ONCE(tfd->ticks) ? TIMERFD_POLL_IN : 0;
}

/* For checkpoints: so many expirations shall be waiting to be read. */
static long timerfd_ioctl(struct file *file, u32 cmd, u64 arg)
{
	struct timerfd *tfd = file->private;
	irqflags_t flags;
	long err = 0;
	u64 ticks;

	if (cmd != TFD_IOC_SET_TICKS)
		return -ENOTTY;
	if (copy_from_user(&ticks, uptr(arg), sizeof(ticks)))
		return -EFAULT;
	if (!ticks)
		return -EINVAL;
	flags = spin_lock_irqsave(&tfd->lock);
	if (take_cancelled_locked(tfd)) {
		err = -ECANCELED;
	} else {
		WRITE_ONCE(tfd->ticks, ticks);
		waitq_wake_key(&tfd->wait, 1, TIMERFD_POLL_IN);
	}
	spin_unlock_irqrestore(&tfd->lock, flags);
	return err;
}

static void timerfd_show_fdinfo(struct seq *s, struct file *file)
{
	struct timerfd *tfd = file->private;
	irqflags_t flags = spin_lock_irqsave(&tfd->lock);
	u32 settime_flags = tfd->settime_flags;
	u64 ticks = tfd->ticks;
	struct itimerspec t;

	remaining_locked(tfd, &t);
	spin_unlock_irqrestore(&tfd->lock, flags);
	seq_printf(s, "clockid: %d\nticks: %llu\nsettime flags: 0%o\n", tfd->clock, (unsigned long long)ticks, settime_flags);
	seq_printf(s, "it_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n", (unsigned long long)t.it_value.tv_sec,
		   (unsigned long long)t.it_value.tv_nsec, (unsigned long long)t.it_interval.tv_sec,
		   (unsigned long long)t.it_interval.tv_nsec);
}

static void timerfd_release(struct inode *inode, struct file *file)
{
	struct timerfd *tfd = file->private;

	(void)inode;
	if (tfd->listening)
		clock_unlisten(&tfd->listener);
	timer_cancel_sync(&tfd->timer);
	kfree(tfd);
}

static const struct file_ops timerfd_ops = {
	.read_iter = timerfd_read,
	.llseek = file_llseek_noop,
	.poll = timerfd_poll,
	.ioctl = timerfd_ioctl,
	.show_fdinfo = timerfd_show_fdinfo,
	.release = timerfd_release,
};

/* ---- the calls --------------------------------------------------------------------------------- */

int timerfd_create_file(int clock, u32 o_flags, struct file **out)
{
	struct timerfd *tfd;
	struct file *file;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && !is_real(clock) && !is_alarm(clock))
		return -EINVAL;
	if (is_alarm(clock) && !capable(CAP_WAKE_ALARM))
		return -EPERM;
	tfd = kzalloc(sizeof(*tfd), 0);
	if (!tfd)
		return -ENOMEM;
	tfd->clock = clock;
	spin_init(&tfd->lock, "timerfd", LOCK_RANK_TIMERFD);
	waitq_init(&tfd->wait);
	timer_init(&tfd->timer, timerfd_fire);
	list_init(&tfd->listener.node);
	tfd->listener.fn = timerfd_clock_set;
	file = file_alloc_anon("[timerfd]", &timerfd_ops, tfd, O_RDWR | (o_flags & O_NONBLOCK));
	if (IS_ERR(file)) {
		kfree(tfd);
		return (int)PTR_ERR(file);
	}
	file->mode &= ~(FMODE_PREAD | FMODE_PWRITE);
	*out = file;
	return 0;
}

/* NULL: another kind of file. */
static struct timerfd *timerfd_of(const struct file *file)
{
	return file->ops == &timerfd_ops ? file->private : NULL;
}

static void start_locked(struct timerfd *tfd, int flags, u64 value)
{
	if (!value)
		return;
	if (flags & TFD_TIMER_ABSTIME) {
		tfd->expiry_ns = value;
	} else {
		u64 now = clock_mono_ns();

		tfd->expiry_ns = value > INT64_MAX - now ? INT64_MAX : now + value;
	}
	arm_locked(tfd);
}

int timerfd_set(struct file *file, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	struct timerfd *tfd = timerfd_of(file);
	u64 value = clock_timespec_to_ns(&new->it_value);
	irqflags_t irq;
	bool real;
	int err = 0;

	if (!tfd)
		return -EINVAL;
	if (is_alarm(tfd->clock) && !capable(CAP_WAKE_ALARM))
		return -EPERM;
	real = is_real(tfd->clock) && flags & TFD_TIMER_ABSTIME;
	if (real && !__atomic_exchange_n(&tfd->listening, 1, __ATOMIC_SEQ_CST))
		clock_listen(&tfd->listener);
	irq = spin_lock_irqsave(&tfd->lock);
	timer_cancel(&tfd->timer);
	catch_up_locked(tfd);
	go_on_locked(tfd); /* what is told as the old value is the next expiry */
	remaining_locked(tfd, old);
	timer_cancel(&tfd->timer);
	tfd->wants_cancel = real && flags & TFD_TIMER_CANCEL_ON_SET;
	if (!tfd->wants_cancel)
		tfd->cancelled = false;
	tfd->settime_flags = (u32)flags;
	tfd->absolute = real;
	tfd->armed = tfd->expired = false;
	WRITE_ONCE(tfd->ticks, 0);
	tfd->interval_ns = clock_timespec_to_ns(&new->it_interval);
	start_locked(tfd, flags, value);
	if (value && take_cancelled_locked(tfd))
		err = -ECANCELED;
	spin_unlock_irqrestore(&tfd->lock, irq);
	return err;
}

int timerfd_get(struct file *file, struct itimerspec *out)
{
	struct timerfd *tfd = timerfd_of(file);
	irqflags_t flags;

	if (!tfd)
		return -EINVAL;
	flags = spin_lock_irqsave(&tfd->lock);
	catch_up_locked(tfd);
	go_on_locked(tfd);
	remaining_locked(tfd, out);
	spin_unlock_irqrestore(&tfd->lock, flags);
	return 0;
}
