/* SPDX-License-Identifier: MIT */
/*
 * The log as programs see it: syslog(2), /proc/kmsg and the settings in /proc/sys/kernel. /dev/kmsg is in kernel/dev.
 *
 * Text is what Linux makes of a record: "<priority>[seconds.micros] " before each of its lines. READ and /proc/kmsg
 * consume: they share one place, syslog_seq and the bytes of that record which are read already, and wait when
 * nothing is left. When records are overwritten before they are read the place moves to the oldest that is
 * there. The mutex is not held while a reader waits.
 */
#include <abi/linux/poll.h>
#include <kernel/core/log.h>
#include <kernel/dev/kmsg.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/mutex.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/poll.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/iter.h>
#include <kernel/vm/uaccess.h>
#include <abi/linux/syslog.h>
#include <lib/string.h>
#include <gen/syscall_protos.h>
#include "trace.h"

#define SYSLOG_TEXT_MAX (LOG_RECORD_MAX + 1024u) /* of a record with its stamps: lines past it are cut */

static struct mutex syslog_mutex;
static u64 syslog_seq;		/* [syslog_mutex] what READ comes to next */
static u32 syslog_part;		/* [syslog_mutex] bytes of that record's text that were read already */
static int syslog_saved_level = -1; /* [syslog_mutex] before CONSOLE_OFF */

/* A record and the text made of it. */
struct syslog_text {
	struct log_record rec;
	char raw[LOG_RECORD_MAX];
	char text[SYSLOG_TEXT_MAX];
	u32 n;
};

static void add_line(struct syslog_text *t, const char *line, size_t len)
{
	u64 us = t->rec.ns / (u64)NSEC_PER_USEC;

	t->n += (u32)scnprintf(t->text + t->n, SYSLOG_TEXT_MAX - t->n, "<%u>[%5llu.%06llu] %.*s\n",
			       (u32)t->rec.facility << 3 | t->rec.level, (unsigned long long)(us / (u64)USEC_PER_SEC),
			       (unsigned long long)(us % (u64)USEC_PER_SEC), (int)len, line);
}

/* The record at *seq, or the oldest behind it; steps *seq. False: there is none. */
static bool syslog_next(u64 *seq, struct syslog_text *t)
{
	ssize_t len = log_read(seq, &t->rec, t->raw, sizeof(t->raw), NULL);
	const char *line = t->raw, *end = t->raw + MIN(len, (ssize_t)sizeof(t->raw));

	t->n = 0;
	if (len < 0)
		return false;
	do {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		add_line(t, line, (size_t)((stop ? stop : end) - line));
		line = stop ? stop + 1 : end;
	} while (line < end);
	return true;
}

/* Too big for a stack. */
static struct syslog_text *text_alloc(void)
{
	return kmalloc(sizeof(struct syslog_text), 0);
}

/* ---- reading what is new ----------------------------------------------------------------------- */

static bool syslog_ready(void)
{
	return log_next_seq() > READ_ONCE(syslog_seq);
}

/* [syslog_mutex] The record that is at the reader's place. */
static bool syslog_current(struct syslog_text *t, u64 *next)
{
	*next = syslog_seq;
	if (!syslog_next(next, t))
		return false;
	if (t->rec.seq != syslog_seq) { /* overwritten meanwhile */
		syslog_seq = t->rec.seq;
		syslog_part = 0;
	}
	return true;
}

/* [syslog_mutex] Bytes, 0 when there is nothing, -EFAULT. */
static ssize_t syslog_take(struct iter *to, struct syslog_text *t)
{
	ssize_t done = 0;
	u64 next;

	while (iter_count(to) && syslog_current(t, &next)) {
		u32 part = MIN(syslog_part, t->n), take = (u32)MIN((size_t)(t->n - part), iter_count(to));

		if (iter_copy_to(to, t->text + part, take) != take)
			return done ? done : -EFAULT;
		done += take;
		syslog_part = part + take;
		if (syslog_part == t->n) {
			WRITE_ONCE(syslog_seq, next);
			syslog_part = 0;
		}
	}
	return done;
}

/* Waits until there is something, unless told otherwise. */
static ssize_t syslog_read(struct iter *to, bool nonblock)
{
	struct syslog_text *t = text_alloc();
	ssize_t n = t ? 0 : -ENOMEM;

	while (!n && iter_count(to)) {
		mutex_lock(&syslog_mutex);
		n = syslog_take(to, t);
		mutex_unlock(&syslog_mutex);
		if (n)
			break;
		n = nonblock ? -EAGAIN : WAIT_EVENT_INTERRUPTIBLE(&kmsg_wait, syslog_ready(), "syslog");
	}
	kfree(t);
	return n;
}

/* ---- reading all ------------------------------------------------------------------------------- */

static u64 syslog_bytes(u64 seq, struct syslog_text *t)
{
	u64 bytes = 0;

	while (syslog_next(&seq, t))
		bytes += t->n;
	return bytes;
}

/* The last `len` bytes of whole records since the last clear. */
static long read_all(uptr_t buf, u32 len, struct syslog_text *t)
{
	u64 seq = log_clear_seq(), bytes = syslog_bytes(seq, t);
	u32 done = 0;

	while (bytes > len && syslog_next(&seq, t))
		bytes -= MIN(bytes, (u64)t->n);	/* may be newer than what was counted */
	while (syslog_next(&seq, t) && done + t->n <= len) {
		if (copy_to_user(uptr_add(buf, done), t->text, t->n))
			return -EFAULT;
		done += t->n;
	}
	return done;
}

static long syslog_read_all(uptr_t buf, u32 len, bool clear)
{
	struct syslog_text *t = text_alloc();
	long done = t ? read_all(buf, len, t) : -ENOMEM;

	kfree(t);
	if (clear && done >= 0)
		log_clear();
	return done;
}

static long syslog_unread(void)
{
	struct syslog_text *t = text_alloc();
	u64 next, bytes = 0;

	if (!t)
		return -ENOMEM;
	mutex_lock(&syslog_mutex);
	if (syslog_current(t, &next))
		bytes = syslog_bytes(syslog_seq, t) - syslog_part;
	mutex_unlock(&syslog_mutex);
	kfree(t);
	return (long)bytes;
}

/* ---- the calls --------------------------------------------------------------------------------- */

static long syslog_console(int type, int level)
{
	if (type == SYSLOG_ACTION_CONSOLE_OFF) {
		if (syslog_saved_level < 0)
			syslog_saved_level = log_console_level;
		log_console_level = 1;
	} else if (type == SYSLOG_ACTION_CONSOLE_ON) {
		if (syslog_saved_level >= 0)
			log_console_level = syslog_saved_level;
		syslog_saved_level = -1;
	} else {
		if (level < 1 || level > 8)
			return -EINVAL;
		log_console_level = level;
		syslog_saved_level = -1;
	}
	return 0;
}

static bool may_syslog(int type)
{
	if (!READ_ONCE(kmsg_restricted) && (type == SYSLOG_ACTION_READ_ALL || type == SYSLOG_ACTION_SIZE_BUFFER))
		return true;
	return capable(CAP_SYSLOG) || capable(CAP_SYS_ADMIN);
}

static long syslog_copy(int type, uptr_t buf, int len)
{
	struct iter to;

	if (uptr_is_null(buf) || len < 0)
		return -EINVAL;
	if (!len)
		return 0;
	if (!user_range_ok(buf, (u64)len))
		return -EFAULT;
	if (type != SYSLOG_ACTION_READ)
		return syslog_read_all(buf, (u32)len, type == SYSLOG_ACTION_READ_CLEAR);
	iter_init_user(&to, ITER_DEST, buf, (size_t)len);
	return syslog_read(&to, false);
}

long sys_syslog(int type, uptr_t buf, int len)
{
	long result;

	if (!may_syslog(type))
		return -EPERM;
	switch (type) {
	case SYSLOG_ACTION_CLOSE:
	case SYSLOG_ACTION_OPEN:
		return 0;
	case SYSLOG_ACTION_READ:
	case SYSLOG_ACTION_READ_ALL:
	case SYSLOG_ACTION_READ_CLEAR:
		return syslog_copy(type, buf, len);
	case SYSLOG_ACTION_CLEAR:
		log_clear();
		return 0;
	case SYSLOG_ACTION_CONSOLE_OFF:
	case SYSLOG_ACTION_CONSOLE_ON:
	case SYSLOG_ACTION_CONSOLE_LEVEL:
		mutex_lock(&syslog_mutex);
		result = syslog_console(type, len);
		mutex_unlock(&syslog_mutex);
		return result;
	case SYSLOG_ACTION_SIZE_UNREAD:
		return syslog_unread();
	case SYSLOG_ACTION_SIZE_BUFFER:
		return (long)log_ring_bytes();
	default:
		return -EINVAL;
	}
}

/* ---- /proc/kmsg -------------------------------------------------------------------------------- */

static int proc_kmsg_open(struct inode *inode, struct file *file)
{
	(void)inode, (void)file;
	return may_syslog(SYSLOG_ACTION_OPEN) ? 0 : -EPERM;
}

static ssize_t proc_kmsg_read(struct kiocb *iocb, struct iter *to)
{
	return syslog_read(to, iocb->file->flags & O_NONBLOCK);
}

static u32 proc_kmsg_poll(struct file *file, struct poll_table *pt)
{
	poll_wait(file, &kmsg_wait, pt);
	return syslog_ready() ? POLLIN | POLLRDNORM : 0;
}

static const struct file_ops proc_kmsg_fops = {
	.open = proc_kmsg_open, .read_iter = proc_kmsg_read, .poll = proc_kmsg_poll, .llseek = file_llseek_noop
};

/* ---- /proc/sys/kernel -------------------------------------------------------------------------- */

/* Console level, that of messages without one, the lowest that can be set, the one at boot: proc(5). */
static int show_printk(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%d\t%d\t1\t%d\n", log_console_level, LOG_WARNING, LOG_DEBUG);
	return 0;
}

/* Only the first of the four can be changed here. */
static int store_printk(void *arg, const char *text, size_t len)
{
	const char *end;
	s64 level;

	(void)arg, (void)len;
	if (parse_s64(text, 10, &level, &end) || level < 1 || level > 8)
		return -EINVAL;
	log_console_level = (int)level;
	return 0;
}

static int show_restrict(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%d\n", READ_ONCE(kmsg_restricted));
	return 0;
}

static int store_restrict(void *arg, const char *text, size_t len)
{
	(void)arg;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!len || (*text != '0' && *text != '1') || (len > 1 && text[1] != '\n'))
		return -EINVAL;
	WRITE_ONCE(kmsg_restricted, *text == '1');
	return 0;
}

void syslog_init(void)
{
	mutex_init(&syslog_mutex, "syslog", LOCK_RANK_TTY_WRITE);
	(void)proc_register_file("kmsg", 0400, &proc_kmsg_fops, NULL);
	(void)proc_register_rw("sys/kernel/printk", 0644, show_printk, store_printk, NULL);
	(void)proc_register_rw("sys/kernel/dmesg_restrict", 0644, show_restrict, store_restrict, NULL);
}
