/* SPDX-License-Identifier: MIT */
/*
 * Hardware random number generators. Of those that are registered one is current: the best, or whom root chose.
 *
 * Its bytes go two ways. /dev/hwrng hands them out as they are (Linux's character device 10, 183), to who wants to test
 * the source or runs a daemon of his own. And the thread "hwrng" gives them to the kernel's generator, which counts as entropy
 * what the source's quality says, not what the bytes claim: at once when a source comes, then every minute. A source of
 * unknown quality is mixed in and counts nothing; and bytes enter a fresh key only in amounts that cannot be guessed
 * (kernel/core/random.c).
 *
 * Locks. list_lock: the list, who is current, and how many use a source. Each source's `reading` is held around its read(), which
 * may sleep for long: so programs take it interruptibly, and the thread has a deadline. A source that goes is taken out of the
 * list, and gone when its last user has left; the driver makes a read() that sleeps return first.
 */
#define LOG_TAG "hwrng"
#include <abi/linux/fcntl.h>
#include <abi/linux/stat.h>
#include <kernel/core/lockrank.h>
#include <kernel/core/log.h>
#include <kernel/core/random.h>
#include <kernel/dev/device.h>
#include <kernel/dev/hwrng.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/signal.h>
#include <kernel/vfs/chrdev.h>
#include <kernel/vfs/proc.h>
#include <lib/string.h>

#define MISC_MAJOR	10u
#define HWRNG_MINOR	183u
#define READ_BYTES	64u
#define FEED_BYTES	64u
#define FEED_NS		(60ull * NSEC_PER_SEC)
#define PATIENCE_NS	(5ull * NSEC_PER_SEC)
#define RETRY_NS	(10ull * NSEC_PER_SEC)
#define QUALITY_MAX	1024u

static struct mutex list_lock;
static LIST_HEAD(sources);		/* [list_lock] best first */
static struct hwrng *current_rng;	/* [list_lock] */
static bool chosen;			/* [list_lock] by root */
static struct thread *feeder;		/* [tree] started with the first source */
static struct waitq users_wait = WAITQ_INIT(users_wait);
static struct waitq feed_wait = WAITQ_INIT(feed_wait);
static bool feed_now;			/* [a] a source came */

/* ---- choosing ---- */

/* [list_lock] */
static void set_current(struct hwrng *rng)
{
	WRITE_ONCE(current_rng, rng);
	WRITE_ONCE(feed_now, rng != NULL);
	waitq_wake_all(&feed_wait);
}

static struct hwrng *named(const char *name, size_t len)
{
	struct hwrng *r;

	list_for_each_entry(r, &sources, node)
		if (strlen(r->name) == len && !memcmp(r->name, name, len))
			return r;
	return NULL;
}

static struct hwrng *get_current(void)
{
	struct hwrng *r;

	mutex_lock(&list_lock);
	r = current_rng;
	if (r)
		r->users++;
	mutex_unlock(&list_lock);
	return r;
}

static void put(struct hwrng *r)
{
	bool last;

	mutex_lock(&list_lock);
	last = !--r->users;
	mutex_unlock(&list_lock);
	if (last) /* r may be gone by now */
		waitq_wake_all(&users_wait);
}

static bool unused(const struct hwrng *r)
{
	return !READ_ONCE(r->users);
}

/* ---- the feeder ---- */

/* One portion. 0, or -errno when there was none. */
static int feed_once(u8 *buf)
{
	struct hwrng *r = get_current();
	ssize_t n;

	if (!r)
		return -ENODEV;
	mutex_lock(&r->reading);
	n = r->read(r, buf, FEED_BYTES, clock_mono_ns() + PATIENCE_NS);
	mutex_unlock(&r->reading);
	if (n > 0)
		random_add_entropy(buf, (size_t)n, (u32)n * 8 * MIN(r->quality, (u16)QUALITY_MAX) / QUALITY_MAX);
	put(r);
	memzero_explicit(buf, FEED_BYTES);
	return n > 0 ? 0 : (int)n;
}

static void feeder_main(void *arg)
{
	u8 *buf = arg;

	while (!kthread_should_stop()) {
		u64 pause = feed_once(buf) ? RETRY_NS : FEED_NS;

		if (!READ_ONCE(current_rng))
			WAIT_EVENT_IDLE(&feed_wait, READ_ONCE(feed_now) || kthread_should_stop(), "hwrng_idle");
		else
			(void)WAIT_EVENT_INTERRUPTIBLE_TIMEOUT(&feed_wait, READ_ONCE(feed_now) || kthread_should_stop(), "hwrng_pause",
							       clock_mono_ns() + pause);
		WRITE_ONCE(feed_now, false);
	}
	kfree_sensitive(buf);
}

/* [tree] Once; without it the sources still serve /dev/hwrng. */
static void start_feeder(void)
{
	u8 *buf = feeder ? NULL : kmalloc(FEED_BYTES, 0);

	if (!buf)
		return;
	feeder = kthread_run(feeder_main, buf, "hwrng");
	if (!feeder)
		kfree(buf);
}

/* ---- sources ---- */

int hwrng_register(struct hwrng *rng)
{
	struct list_head *before = &sources;
	struct hwrng *r;
	int err = 0;

	device_tree_assert();
	start_feeder();
	mutex_init(&rng->reading, "hwrng", LOCK_RANK_SLEEP_LEAF);
	rng->users = 0;
	mutex_lock(&list_lock);
	if (named(rng->name, strlen(rng->name))) {
		err = -EEXIST;
	} else {
		list_for_each_entry_reverse(r, &sources, node)
			if (r->quality < rng->quality)
				before = &r->node;
		list_add_tail(&rng->node, before);
		if (!current_rng || (!chosen && current_rng->quality < rng->quality))
			set_current(rng);
	}
	mutex_unlock(&list_lock);
	return err;
}

void hwrng_unregister(struct hwrng *rng)
{
	mutex_lock(&list_lock);
	list_del(&rng->node);
	if (current_rng == rng) {
		chosen = false;
		set_current(list_empty(&sources) ? NULL : list_first_entry(&sources, struct hwrng, node));
	}
	mutex_unlock(&list_lock);
	WAIT_EVENT(&users_wait, unused(rng), "hwrng_leave");
	mutex_lock(&list_lock); /* the last user has let go of it */
	mutex_unlock(&list_lock);
}

/* ---- /dev/hwrng ---- */

static int hwrng_open(struct inode *inode, struct file *file)
{
	(void)inode;
	return (file->mode & FMODE_READ) && !(file->mode & FMODE_WRITE) ? 0 : -EINVAL;
}

/* One portion for a program. */
static ssize_t read_some(u8 *buf, size_t n, bool wait)
{
	struct hwrng *r = get_current();
	ssize_t got = -ERESTARTSYS;

	if (!r)
		return -ENODEV;
	if (!mutex_lock_interruptible(&r->reading)) {
		got = r->read(r, buf, n, wait ? WAIT_FOREVER : 0);
		mutex_unlock(&r->reading);
	}
	put(r);
	return got;
}

static ssize_t hwrng_read(struct kiocb *iocb, struct iter *to)
{
	bool wait = !(iocb->file->flags & O_NONBLOCK) && !(iocb->flags & IOCB_NOWAIT);
	u8 buf[READ_BYTES];
	ssize_t done = 0, n = 0;

	while (iter_count(to)) {
		n = read_some(buf, MIN(iter_count(to), sizeof(buf)), wait);
		if (n <= 0)
			break;
		if (iter_copy_to(to, buf, (size_t)n) != (size_t)n) {
			n = -EFAULT;
			break;
		}
		done += n;
		if (signal_pending()) {
			n = -ERESTARTSYS;
			break;
		}
		sched_relax();
	}
	memzero_explicit(buf, sizeof(buf));
	return done ? done : n;
}

static const struct file_ops hwrng_fops = { .open = hwrng_open, .read_iter = hwrng_read, .llseek = file_llseek_noop };

/* ---- /sys/class/misc/hw_random ---- */

static int rng_available_show(struct device *dev, struct seq *s)
{
	struct hwrng *r;

	(void)dev;
	mutex_lock(&list_lock);
	list_for_each_entry(r, &sources, node)
		seq_printf(s, "%s ", r->name);
	mutex_unlock(&list_lock);
	seq_putc(s, '\n');
	return 0;
}

static int rng_current_show(struct device *dev, struct seq *s)
{
	(void)dev;
	mutex_lock(&list_lock);
	seq_printf(s, "%s\n", current_rng ? current_rng->name : "none");
	mutex_unlock(&list_lock);
	return 0;
}

/* A name, or nothing: the best again. */
static int rng_current_store(struct device *dev, const char *text, size_t len)
{
	struct hwrng *r;
	int err = 0;

	(void)dev;
	if (len && text[len - 1] == '\n')
		len--;
	mutex_lock(&list_lock);
	r = len ? named(text, len) : list_empty(&sources) ? NULL : list_first_entry(&sources, struct hwrng, node);
	if (r) {
		chosen = len != 0;
		if (r != current_rng)
			set_current(r);
	} else {
		err = len ? -EINVAL : -ENODEV;
	}
	mutex_unlock(&list_lock);
	return err;
}

static int rng_selected_show(struct device *dev, struct seq *s)
{
	(void)dev;
	mutex_lock(&list_lock);
	seq_printf(s, "%u\n", chosen);
	mutex_unlock(&list_lock);
	return 0;
}

static int rng_quality_show(struct device *dev, struct seq *s)
{
	int err = -ENODEV;

	(void)dev;
	mutex_lock(&list_lock);
	if (current_rng) {
		seq_printf(s, "%u\n", current_rng->quality);
		err = 0;
	}
	mutex_unlock(&list_lock);
	return err;
}

static const struct device_attr hwrng_attrs[] = {
	{ .name = "rng_current", .mode = 0644, .show = rng_current_show, .store = rng_current_store },
	{ .name = "rng_available", .mode = 0444, .show = rng_available_show },
	{ .name = "rng_selected", .mode = 0444, .show = rng_selected_show },
	{ .name = "rng_quality", .mode = 0444, .show = rng_quality_show },
	{ 0 },
};

static void hwrng_release(struct device *dev)
{
	(void)dev; /* static, and never gone */
}

static int misc_show(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%3u hw_random\n", HWRNG_MINOR);
	return 0;
}

void hwrng_init(void)
{
	static struct device dev = { .name = "hw_random" };
	int err;

	mutex_init(&list_lock, "hwrng list", LOCK_RANK_MODULE);
	device_init(&dev, NULL, NULL, hwrng_release);
	dev.root = "devices/virtual/misc";
	dev.class_name = "misc";
	dev.attrs = hwrng_attrs;
	dev.devnum = MKDEV(MISC_MAJOR, HWRNG_MINOR);
	dev.devname = "hwrng";
	err = chrdev_register(MISC_MAJOR, HWRNG_MINOR, 1, "misc", &hwrng_fops);
	if (!err)
		err = devnode_create("hwrng", S_IFCHR | 0600, dev.devnum);
	if (!err) {
		device_tree_lock();
		err = device_add(&dev);
		device_tree_unlock();
	}
	(void)proc_register("misc", 0444, misc_show, NULL);
	if (err)
		log_err("/dev/hwrng is not there: error %d", -err);
}
