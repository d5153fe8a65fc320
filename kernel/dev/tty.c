/* SPDX-License-Identifier: MIT */
/*
 * Terminals: registration, opening, reading, writing, polling. Theory in include/kernel/dev/tty.h.
 *
 * The receive path. The driver's interrupt puts characters into rx and queues rx_work, whose thread runs the line
 * discipline. The discipline refuses a character when its buffer is full of what a reader may take or the
 * echo has no room; the characters then stay in rx, and a read or the draining of tx starts it again.
 * When rx is full the driver is throttled.
 */
#define LOG_TAG "tty"
#include "tty.h"

#include <abi/linux/ioctl.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/chrdev.h>
#include <lib/string.h>


#define TTY_MAJOR_AUX 5u /* /dev/tty is minor 0, /dev/console minor 1 */
#define TTY_CHUNK 256u /* bytes copied to or from user memory at a time */

static LIST_HEAD(tty_list); /* [I] after boot */

/* ---- rings ------------------------------------------------------------------------------------- */

static u32 tx_room(const struct tty *tty)
{
	return TTY_TX_RING - (tty->tx_head - tty->tx_tail);
}

static struct tty *tty_of_ldisc(struct ldisc *l);

static void ldisc_put(struct ldisc *l, u8 c)
{
	struct tty *tty = tty_of_ldisc(l);

	if (tx_room(tty))
		tty->tx[tty->tx_head++ % TTY_TX_RING] = c;
}

static u32 ldisc_room(struct ldisc *l)
{
	return tx_room(tty_of_ldisc(l));
}

/* Signals are sent when the lock is free: its rank is inside those of processes. */
static void ldisc_signal(struct ldisc *l, int sig, bool flush)
{
	struct tty *tty = tty_of_ldisc(l);

	if (flush)
		tty->tx_tail = tty->tx_head;
	tty->signals |= BIT(sig);
}

static void ldisc_flow(struct ldisc *l, bool stop)
{
	if (!stop)
		tty_start_locked(tty_of_ldisc(l));
}

static const struct ldisc_ops tty_ldisc_ops = {
	.put = ldisc_put, .room = ldisc_room, .signal = ldisc_signal, .flow = ldisc_flow
};

/* The discipline lives in one allocation with a pointer back. */
struct tty_ldisc {
	struct ldisc ldisc;
	struct tty *tty;
};

static struct tty *tty_of_ldisc(struct ldisc *l)
{
	return container_of(l, struct tty_ldisc, ldisc)->tty;
}

u32 tty_take_tx_locked(struct tty *tty, u8 *to, u32 n)
{
	u32 i;

	if (tty->ldisc->stopped)
		return 0;
	for (i = 0; i < n && tty->tx_tail != tty->tx_head; i++)
		to[i] = tty->tx[tty->tx_tail++ % TTY_TX_RING];
	if (i && tx_room(tty) >= TTY_TX_RING / 2)
		waitq_wake_key(&tty->write_wait, ~0u, POLLOUT | POLLWRNORM);
	if (i && tty->rx_head != tty->rx_tail)
		work_queue(&system_work, &tty->rx_work); /* the echo may have waited for room */
	return i;
}

bool tty_receive_locked(struct tty *tty, u8 c, u8 flags)
{
	u32 at = tty->rx_head % TTY_RX_RING;

	if (tty->rx_head - tty->rx_tail < TTY_RX_RING) {
		tty->rx[at] = c;
		tty->rx_flags[at] = flags;
		tty->rx_head++;
	}
	if (tty->rx_head - tty->rx_tail < TTY_RX_RING)
		return true;
	tty->throttled = true;
	if (tty->driver->throttle)
		tty->driver->throttle(tty, true);
	return false;
}

void tty_receive_done_locked(struct tty *tty)
{
	if (tty->rx_head != tty->rx_tail)
		work_queue(&system_work, &tty->rx_work);
}

/* One received character to the discipline; false: it is not taken now. */
static bool feed_one(struct tty *tty)
{
	u32 at = tty->rx_tail % TTY_RX_RING;
	u8 c = tty->rx[at], flags = tty->rx_flags[at];

	if (!(tty->ldisc->t.c_cflag & CREAD))
		;
	else if (flags & TTY_RX_BREAK)
		ldisc_receive_break(tty->ldisc);
	else if (flags & TTY_RX_ERROR)
		ldisc_receive_error(tty->ldisc, c);
	else if (!ldisc_receive(tty->ldisc, c))
		return false;
	tty->rx_tail++;
	return true;
}

#define FEED_BATCH 64u /* characters per hold of the lock */

/* Runs the discipline over what was received, as far as it goes. Thread context. */
void tty_process_input(struct tty *tty)
{
	bool more = true;

	while (more) {
		irqflags_t flags = spin_lock_irqsave(&tty->lock);
		u32 n, signals;

		/* A signal is sent before what was typed after it is looked at. */
		for (n = 0; n < FEED_BATCH && tty->rx_tail != tty->rx_head && !tty->signals; n++)
			if (!feed_one(tty))
				break;
		signals = tty->signals;
		tty->signals = 0;
		more = n == FEED_BATCH || signals;
		if (tty->throttled && tty->rx_head - tty->rx_tail <= TTY_RX_RING / 2) {
			tty->throttled = false;
			if (tty->driver->throttle && !tty->input_stopped)
				tty->driver->throttle(tty, false);
		}
		if (tty->tx_head != tty->tx_tail)
			tty_start_locked(tty);
		if (ldisc_readable(tty->ldisc, 1))
			waitq_wake_key(&tty->read_wait, ~0u, POLLIN | POLLRDNORM);
		spin_unlock_irqrestore(&tty->lock, flags);
		for (int sig = 1; signals >> sig; sig++)
			if (signals & BIT(sig))
				tty_signal_foreground(tty, sig);
	}
}

static void rx_work_fn(struct work *w)
{
	tty_process_input(container_of(w, struct tty, rx_work));
}

void tty_flush_output(struct tty *tty)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	tty->tx_tail = tty->tx_head;
	spin_unlock_irqrestore(&tty->lock, flags);
	waitq_wake_key(&tty->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

static bool tty_drained(struct tty *tty)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	bool drained = tty->tx_head == tty->tx_tail && (!tty->driver->tx_idle || tty->driver->tx_idle(tty));

	spin_unlock_irqrestore(&tty->lock, flags);
	return drained;
}

/*
 * The rings wake write_wait when half empty, and again when empty; the last characters are in the
 * hardware then, which tells nobody when it is done: that rest is waited for by the clock.
 */
int tty_drain(struct tty *tty)
{
	int err;

	while (!tty_drained(tty)) {
		err = WAIT_EVENT_INTERRUPTIBLE_TIMEOUT(&tty->write_wait, tty_drained(tty), "tty_drain",
						       clock_mono_ns() + 10 * (u64)NSEC_PER_MSEC);
		if (err == -ERESTARTSYS)
			return err;
	}
	return 0;
}

/* A line that has taken nothing for so long, as nobody is there or ^S has stopped it, is not waited for. */
#define TTY_STUCK_NS (500 * (u64)NSEC_PER_MSEC)

static void drain_at_end(struct tty *tty, u64 deadline_ns)
{
	u64 moved_ns = clock_mono_ns(), now = moved_ns;
	u32 tail = READ_ONCE(tty->tx_tail);

	while (!tty_drained(tty) && now < deadline_ns && now - moved_ns < TTY_STUCK_NS) {
		(void)WAIT_EVENT_TIMEOUT(&tty->write_wait, tty_drained(tty), "tty_drain", now + 10 * (u64)NSEC_PER_MSEC);
		now = clock_mono_ns();
		if (READ_ONCE(tty->tx_tail) != tail) {
			tail = READ_ONCE(tty->tx_tail);
			moved_ns = now;
		}
	}
}

void tty_drain_all(u64 patience_ns)
{
	u64 deadline = clock_mono_ns() + patience_ns;
	struct tty *tty;

	list_for_each_entry(tty, &tty_list, node)
		drain_at_end(tty, deadline);
}

/* ---- opening ----------------------------------------------------------------------------------- */

void tty_put(struct tty *tty)
{
	/* The list of terminals keeps a reference for ever: this is never the last one. */
	VERIFY(!refcount_put_and_test(&tty->ref));
}

static struct tty *tty_find(devnum_t dev)
{
	struct tty *tty;

	list_for_each_entry(tty, &tty_list, node)
		if (tty->dev == dev)
			return tty_get(tty);
	return NULL;
}

/* The terminal behind /dev/console: the last console= on the command line that exists, else the first one. */
static struct tty *tty_console_get(void)
{
	char name[32];
	struct tty *tty;

	if (cmdline_find("console", name, sizeof(name))) {
		char *comma = strchr(name, ',');

		if (comma)
			*comma = '\0';
		list_for_each_entry(tty, &tty_list, node)
			if (!strcmp(tty->name, name))
				return tty_get(tty);
	}
	tty = list_first_entry_or_null(&tty_list, struct tty, node);
	return tty ? tty_get(tty) : NULL;
}

/* What a device number means to this caller, counted; NULL: ENXIO (or ENODEV for a missing console). */
static struct tty *tty_resolve(devnum_t dev, bool *console)
{
	*console = dev == MKDEV(TTY_MAJOR_AUX, 1);
	if (*console)
		return tty_console_get();
	if (dev == MKDEV(TTY_MAJOR_AUX, 0))
		return tty_current_get();
	return tty_find(dev);
}

static int tty_attach_file(struct tty *tty, struct tty_file *tf)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	int err = 0;

	if (tty->exclusive && !capable(CAP_SYS_ADMIN))
		err = -EBUSY;
	if (!err) {
		list_add_tail(&tf->node, &tty->files);
		tty->opens++;
	}
	spin_unlock_irqrestore(&tty->lock, flags);
	return err;
}

static int tty_open(struct inode *inode, struct file *file)
{
	struct tty_file *tf;
	bool console;
	struct tty *tty = tty_resolve(inode->rdev, &console);
	int err;

	if (!tty)
		return console ? -ENODEV : -ENXIO;
	tf = kzalloc(sizeof(*tf), 0);
	if (!tf) {
		tty_put(tty);
		return -ENOMEM;
	}
	*tf = (struct tty_file){ .tty = tty, .file = file, .console = console };
	err = tty_attach_file(tty, tf);
	if (err) {
		kfree(tf);
		tty_put(tty);
		return err;
	}
	file->private = tf;
	if (!console && inode->rdev != MKDEV(TTY_MAJOR_AUX, 0) && !(file->flags & O_NOCTTY))
		tty_open_controlling(tty, file);
	return 0;
}

static void tty_release(struct inode *inode, struct file *file)
{
	struct tty_file *tf = tty_file_of(file);
	struct tty *tty = tf->tty;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	(void)inode;
	list_del(&tf->node);
	if (!--tty->opens)
		tty->exclusive = false;
	spin_unlock_irqrestore(&tty->lock, flags);
	kfree(tf);
	tty_put(tty);
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* One read(2) in progress. */
struct tty_read {
	struct tty_file *tf;
	bool nonblock;
	bool canonical;
	u32 min; /* characters that end it */
	u64 gap_ns; /* VTIME; 0: none */
	u64 deadline_ns; /* WAIT_FOREVER: none yet */
	size_t done;
};

static void read_setup(struct tty_read *r, struct tty *tty)
{
	const struct termios *t = &tty->ldisc->t;

	r->canonical = t->c_lflag & ICANON;
	r->deadline_ns = WAIT_FOREVER;
	r->min = 1;
	r->gap_ns = 0;
	if (r->canonical)
		return;
	r->min = t->c_cc[VMIN];
	r->gap_ns = t->c_cc[VTIME] * 100 * (u64)NSEC_PER_MSEC;
	if (!r->min) { /* VTIME counts from here; with neither, what is there is the answer */
		r->deadline_ns = clock_mono_ns() + r->gap_ns;
		r->min = 1;
	}
}

static bool tty_input_ready(struct tty_file *tf)
{
	struct tty *tty = tf->tty;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	bool ready = tf->hung || ldisc_readable(tty->ldisc, 1);

	spin_unlock_irqrestore(&tty->lock, flags);
	return ready;
}

/* 0: there is input now. -EAGAIN also stands for "the time is over". */
static int read_wait(struct tty_read *r)
{
	struct tty *tty = r->tf->tty;
	int err;

	if (tty_input_ready(r->tf))
		return 0;
	if (r->nonblock || r->deadline_ns <= clock_mono_ns())
		return -EAGAIN;
	err = WAIT_EVENT_INTERRUPTIBLE_TIMEOUT(&tty->read_wait, tty_input_ready(r->tf), "tty_read", r->deadline_ns);
	return err == -ETIMEDOUT ? -EAGAIN : err;
}

/* Moves what is there into the iterator. True: the read is complete. */
static bool read_some(struct tty_read *r, struct iter *to, ssize_t *err)
{
	struct tty *tty = r->tf->tty;
	bool line_done;

	do {
		u8 chunk[TTY_CHUNK];
		irqflags_t flags = spin_lock_irqsave(&tty->lock);
		u32 n = ldisc_read(tty->ldisc, chunk, (u32)MIN(iter_count(to), sizeof(chunk)), &line_done);

		spin_unlock_irqrestore(&tty->lock, flags);
		if (!n && !line_done)
			break;
		if (iter_copy_to(to, chunk, n) != n) {
			*err = -EFAULT;
			return true;
		}
		r->done += n;
	} while (iter_count(to) && !line_done);
	if (r->gap_ns && r->done) /* it is the gap between characters that counts */
		r->deadline_ns = clock_mono_ns() + r->gap_ns;
	return line_done || !iter_count(to) || (!r->canonical && r->done >= r->min);
}

static ssize_t tty_read_iter(struct kiocb *iocb, struct iter *to)
{
	struct tty_file *tf = tty_file_of(iocb->file);
	struct tty *tty = tf->tty;
	struct tty_read r = { .tf = tf };
	ssize_t err = 0;

	if (READ_ONCE(tf->hung))
		return 0;
	if (!tf->console) {
		err = tty_check_background(tty, SIGTTIN);
		if (err)
			return err;
	}
	r.nonblock = (iocb->file->flags & O_NONBLOCK) || (iocb->flags & IOCB_NOWAIT);
	read_setup(&r, tty);
	if (!r.canonical && !tty->ldisc->t.c_cc[VMIN])
		r.nonblock |= !r.gap_ns;
	while (iter_count(to)) {
		err = read_wait(&r);
		if (err || READ_ONCE(tf->hung))
			break;
		if (read_some(&r, to, &err))
			break;
	}
	tty_process_input(tty); /* there is room now for what waited */
	if (r.done)
		return (ssize_t)r.done;
	if (err == -EAGAIN && !((iocb->file->flags & O_NONBLOCK) || (iocb->flags & IOCB_NOWAIT)))
		return 0; /* VMIN 0: nothing came in time */
	return err;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static bool tty_output_ready(struct tty_file *tf)
{
	return READ_ONCE(tf->hung) || tx_room(tf->tty) >= TTY_TX_RING / 2;
}

static u32 write_chunk(struct tty *tty, const u8 *chunk, u32 n)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	u32 done = ldisc_write(tty->ldisc, chunk, n);

	tty_start_locked(tty);
	spin_unlock_irqrestore(&tty->lock, flags);
	return done;
}

/* Writes all of a chunk, waiting for room. Bytes written; less than n: *err says why. */
static u32 write_all(struct tty_file *tf, const u8 *chunk, u32 n, bool nonblock, ssize_t *err)
{
	u32 done = 0;

	for (;;) {
		if (READ_ONCE(tf->hung)) {
			*err = -EIO;
			return done;
		}
		done += write_chunk(tf->tty, chunk + done, n - done);
		if (done == n)
			return done;
		if (nonblock) {
			*err = -EAGAIN;
			return done;
		}
		*err = WAIT_EVENT_INTERRUPTIBLE(&tf->tty->write_wait, tty_output_ready(tf), "tty_write");
		if (*err)
			return done;
	}
}

static ssize_t tty_write_locked(struct tty_file *tf, struct iter *from, bool nonblock)
{
	ssize_t done = 0, err = 0;

	while (iter_count(from) && !err) {
		u8 chunk[TTY_CHUNK];
		size_t n = iter_copy_from(from, chunk, MIN(iter_count(from), sizeof(chunk)));
		u32 written;

		if (!n) {
			err = -EFAULT;
			break;
		}
		written = write_all(tf, chunk, (u32)n, nonblock, &err);
		iter_revert(from, n - written);
		done += written;
		if (!err && signal_pending() && iter_count(from))
			err = -ERESTARTSYS;
	}
	return done ? done : err;
}

static ssize_t tty_write_iter(struct kiocb *iocb, struct iter *from)
{
	struct tty_file *tf = tty_file_of(iocb->file);
	struct tty *tty = tf->tty;
	bool nonblock = (iocb->file->flags & O_NONBLOCK) || (iocb->flags & IOCB_NOWAIT);
	ssize_t result;

	if (READ_ONCE(tf->hung))
		return -EIO;
	if (!tf->console && (tty->ldisc->t.c_lflag & TOSTOP)) {
		result = tty_check_background(tty, SIGTTOU);
		if (result)
			return result;
	}
	if (nonblock) {
		if (!mutex_trylock(&tty->write_mutex))
			return -EAGAIN;
	} else {
		result = mutex_lock_interruptible(&tty->write_mutex);
		if (result)
			return result;
	}
	result = tty_write_locked(tf, from, nonblock);
	mutex_unlock(&tty->write_mutex);
	return result;
}

static u32 tty_poll(struct file *file, struct poll_table *pt)
{
	struct tty_file *tf = tty_file_of(file);
	struct tty *tty = tf->tty;
	const struct termios *t = &tty->ldisc->t;
	irqflags_t flags;
	u32 mask = 0;

	poll_wait(file, &tty->read_wait, pt);
	poll_wait(file, &tty->write_wait, pt);
	flags = spin_lock_irqsave(&tty->lock);
	if (tf->hung)
		mask = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
	if (ldisc_readable(tty->ldisc, t->c_cc[VTIME] ? 1 : t->c_cc[VMIN]))
		mask |= POLLIN | POLLRDNORM;
	if (tx_room(tty) >= TTY_TX_RING / 2)
		mask |= POLLOUT | POLLWRNORM;
	spin_unlock_irqrestore(&tty->lock, flags);
	return mask;
}

static const struct file_ops tty_fops = {
	.read_iter = tty_read_iter,
	.write_iter = tty_write_iter,
	.llseek = file_llseek_none,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
	.open = tty_open,
	.release = tty_release,
	.fmode = FMODE_STREAM,
};

/* ---- boot -------------------------------------------------------------------------------------- */

static int tty_alloc_buffers(struct tty *tty)
{
	struct tty_ldisc *l = kzalloc(sizeof(*l), 0);

	tty->rx = kmalloc(TTY_RX_RING, 0);
	tty->rx_flags = kmalloc(TTY_RX_RING, 0);
	tty->tx = kmalloc(TTY_TX_RING, 0);
	if (!l || !tty->rx || !tty->rx_flags || !tty->tx) {
		kfree(l);
		kfree(tty->rx);
		kfree(tty->rx_flags);
		kfree(tty->tx);
		return -ENOMEM;
	}
	l->tty = tty;
	ldisc_init(&l->ldisc, &tty_ldisc_ops);
	tty->ldisc = &l->ldisc;
	return 0;
}

int tty_register(struct tty *tty, u32 speed)
{
	int err = tty_alloc_buffers(tty);

	if (err)
		return err;
	refcount_init(&tty->ref, 1);
	spin_init(&tty->lock, "tty", LOCK_RANK_TTY_BUFFER);
	tty->speed = speed;
	waitq_init(&tty->read_wait);
	waitq_init(&tty->write_wait);
	mutex_init(&tty->write_mutex, "tty write", LOCK_RANK_TTY_WRITE);
	mutex_init(&tty->config_mutex, "tty config", LOCK_RANK_TTY_CONFIG);
	work_init(&tty->rx_work, rx_work_fn);
	list_init(&tty->files);
	err = chrdev_register(DEV_MAJOR(tty->dev), DEV_MINOR(tty->dev), 1, tty->driver->name, &tty_fops);
	if (err)
		return err;
	list_add_tail(&tty->node, &tty_list);
	return devnode_create(tty->name, S_IFCHR | 0600, tty->dev);
}

void tty_init(void)
{
	tty_job_init();
	if (chrdev_register(TTY_MAJOR_AUX, 0, 1, "/dev/tty", &tty_fops) ||
	    chrdev_register(TTY_MAJOR_AUX, 1, 1, "/dev/console", &tty_fops) ||
	    devnode_create("tty", S_IFCHR | 0666, MKDEV(TTY_MAJOR_AUX, 0)) ||
	    devnode_create("console", S_IFCHR | 0600, MKDEV(TTY_MAJOR_AUX, 1)))
		log_err("no memory for the terminals");
}
