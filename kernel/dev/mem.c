/* SPDX-License-Identifier: MIT */
/*
 * The memory devices of major 1: null, zero, full, random, urandom, kmsg (null(4), full(4), random(4)).
 */
#define LOG_TAG "mem"
#include <abi/linux/fcntl.h>
#include <abi/linux/ioctl.h>
#include <kernel/core/log.h>
#include <kernel/core/random.h>
#include <kernel/dev/kmsg.h>
#include <kernel/dev/tty.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/chrdev.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/uaccess.h>
#include <lib/printf.h>
#include <lib/string.h>

#define MEM_MAJOR 1u
#define MEM_CHUNK 4096u /* bytes between two looks at signals */

/* ---- null, zero, full -------------------------------------------------------------------------- */

static ssize_t null_read(struct kiocb *iocb, struct iter *to)
{
	(void)iocb, (void)to;
	return 0;
}

static ssize_t null_write(struct kiocb *iocb, struct iter *from)
{
	size_t n = iter_count(from);

	(void)iocb;
	iter_advance(from, n);
	return (ssize_t)n;
}

static ssize_t full_write(struct kiocb *iocb, struct iter *from)
{
	(void)iocb, (void)from;
	return -ENOSPC;
}

/* Much of it: with looks at signals and at who else wants to run. */
static noinline ssize_t zero_read_long(struct iter *to)
{
	ssize_t done = 0;

	while (iter_count(to)) {
		size_t want = MIN(iter_count(to), (size_t)MEM_CHUNK);
		size_t n = iter_zero(to, want);

		done += (ssize_t)n;
		if (n < want)
			return done ? done : -EFAULT;
		if (!iter_count(to))
			break;
		if (signal_pending())
			return done ? done : -ERESTARTSYS;
		sched_relax();
	}
	return done;
}

static ssize_t zero_read(struct kiocb *iocb, struct iter *to)
{
	size_t want = iter_count(to), n;

	(void)iocb;
	if (unlikely(want > MEM_CHUNK))
		return zero_read_long(to);
	n = iter_zero(to, want);
	return likely(n || !want) ? (ssize_t)n : -EFAULT;
}

/* Memory of zeros is what an area without an object is. */
static int zero_mmap(struct file *file, struct vm_map_request *req)
{
	(void)file, (void)req;
	return 0;
}

/* ---- random, urandom --------------------------------------------------------------------------- */

static ssize_t random_read(struct kiocb *iocb, struct iter *to)
{
	u8 buf[256];
	ssize_t done = 0;

	(void)iocb;
	while (iter_count(to)) {
		size_t want = MIN(iter_count(to), sizeof(buf)), n;

		random_bytes(buf, want);
		n = iter_copy_to(to, buf, want);
		done += (ssize_t)n;
		if (n < want) {
			done = done ? done : -EFAULT;
			break;
		}
		if (done % MEM_CHUNK == 0) {
			if (signal_pending())
				break;
			sched_relax();
		}
	}
	memset(buf, 0, sizeof(buf));
	return done;
}

static ssize_t random_write(struct kiocb *iocb, struct iter *from)
{
	u8 buf[256];
	ssize_t done = 0;

	(void)iocb;
	while (iter_count(from)) {
		size_t want = MIN(iter_count(from), sizeof(buf)), n = iter_copy_from(from, buf, want);

		random_mix(buf, n);
		done += (ssize_t)n;
		if (n < want)
			return done ? done : -EFAULT;
	}
	return done;
}

#define RNDGETENTCNT 0x80045200u
#define RNDADDTOENTCNT 0x40045201u
#define RNDADDENTROPY 0x40085203u
#define RNDZAPENTCNT 0x5204u
#define RNDCLEARPOOL 0x5206u
#define RNDRESEEDCRNG 0x5207u
#define ENTROPY_BITS 256

/* The pool is full from the first instruction on, random(4). */
static long random_add(uptr_t arg)
{
	s32 head[2]; /* bits of entropy, bytes that follow */
	u8 buf[64];

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(head, arg, sizeof(head)))
		return -EFAULT;
	if (head[0] < 0 || head[1] < 0)
		return -EINVAL;
	for (u32 done = 0; done < (u32)head[1];) {
		u32 n = MIN((u32)head[1] - done, (u32)sizeof(buf));

		if (copy_from_user(buf, uptr_add(arg, sizeof(head) + done), n))
			return -EFAULT;
		random_mix(buf, n);
		done += n;
	}
	return 0;
}

static long random_ioctl(struct file *file, u32 cmd, u64 arg)
{
	s32 count;

	(void)file;
	switch (cmd) {
	case RNDGETENTCNT:
		return put_user_s32(ENTROPY_BITS, uptr(arg));
	case RNDADDTOENTCNT:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		if (get_user_s32(&count, uptr(arg)))
			return -EFAULT;
		return count < 0 ? -EINVAL : 0;
	case RNDADDENTROPY:
		return random_add(uptr(arg));
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
		return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	case RNDRESEEDCRNG:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		random_reseed();
		return 0;
	default:
		return -EINVAL;
	}
}

/* /proc/sys/kernel/random, random(4). A version 4 UUID of RFC 9562. */
static void uuid_draw(u8 id[16])
{
	random_bytes(id, 16);
	id[6] = (u8)((id[6] & 0x0f) | 0x40);
	id[8] = (u8)((id[8] & 0x3f) | 0x80);
}

static u8 boot_id[16]; /* [I] */

static int show_uuid(struct seq *s, void *arg)
{
	u8 fresh[16];
	const u8 *id = arg;

	if (!id) {
		uuid_draw(fresh);
		id = fresh;
	}
	for (u32 i = 0; i < 16; i++)
		seq_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
	seq_putc(s, '\n');
	return 0;
}

static int show_entropy(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%d\n", ENTROPY_BITS);
	return 0;
}

/* What drivers brought, as they are trusted, and how often the base key became a new one. */
static int show_credit(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "credited_bits %llu\ngeneration %u\n", (unsigned long long)random_credited_bits(), random_generation());
	return 0;
}

static void random_files_init(void)
{
	uuid_draw(boot_id);
	(void)proc_register("sys/kernel/random/boot_id", 0444, show_uuid, boot_id);
	(void)proc_register("sys/kernel/random/uuid", 0444, show_uuid, NULL);
	(void)proc_register("sys/kernel/random/entropy_avail", 0444, show_entropy, NULL);
	(void)proc_register("sys/kernel/random/poolsize", 0444, show_entropy, NULL);
	(void)proc_register("halcyon/random", 0444, show_credit, NULL);
}

/* ---- kmsg -------------------------------------------------------------------------------------- */

struct kmsg_file {
	struct mutex mutex;
	u64 seq; /* [mutex] the next record */
};

struct waitq kmsg_wait = WAITQ_INIT(kmsg_wait);
bool kmsg_restricted = true;	/* as in Debian's kernel */

static void kmsg_wake(struct work *w)
{
	(void)w;
	waitq_wake_key(&kmsg_wait, ~0u, POLLIN | POLLRDNORM);
}

static struct work kmsg_work;

/* A record may be made under any lock: its readers are woken by a thread. */
static void kmsg_log_hook(void)
{
	if (!list_empty(&kmsg_wait.head))
		work_queue(&system_work, &kmsg_work);
}

static int kmsg_open(struct inode *inode, struct file *file)
{
	struct kmsg_file *k;

	(void)inode;
	if ((file->mode & FMODE_READ) && READ_ONCE(kmsg_restricted) && !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	k = kzalloc(sizeof(*k), 0);
	if (!k)
		return -ENOMEM;
	mutex_init(&k->mutex, "kmsg", LOCK_RANK_TTY_WRITE);
	k->seq = log_first_seq();
	file->private = k;
	return 0;
}

static void kmsg_release(struct inode *inode, struct file *file)
{
	(void)inode;
	kfree(file->private);
}

static bool kmsg_ready(const struct kmsg_file *k)
{
	return READ_ONCE(k->seq) < log_next_seq();
}

/* "level,seq,microseconds,-;text", control characters escaped. */
static size_t kmsg_format(const struct log_record *r, const char *text, size_t len, char *out, size_t room)
{
	size_t n = (size_t)snprintf(out, room, "%u,%llu,%llu,-;", (u32)r->facility << 3 | r->level,
				    (unsigned long long)r->seq, (unsigned long long)(r->ns / 1000));

	for (size_t i = 0; i < len && n + 5 < room; i++) {
		u8 c = (u8)text[i];

		if (c < 32 || c >= 127 || c == '\\')
			n += (size_t)snprintf(out + n, room - n, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	out[n++] = '\n';
	return n;
}

#define KMSG_LINE_MAX (4 * LOG_RECORD_MAX + 80u) /* every character of a record escaped, and the head */

static ssize_t kmsg_read_locked(struct kmsg_file *k, struct iter *to)
{
	struct log_record rec;
	char text[LOG_RECORD_MAX], *line;
	u64 missed = 0;
	ssize_t n = log_read(&k->seq, &rec, text, sizeof(text), &missed);

	if (n < 0)
		return n;
	if (missed)
		return -EPIPE; /* k->seq is behind the gap's first record now, as on Linux */
	line = kmalloc(KMSG_LINE_MAX, 0);
	if (!line)
		return -ENOMEM;
	n = (ssize_t)kmsg_format(&rec, text, MIN((size_t)n, sizeof(text)), line, KMSG_LINE_MAX);
	if ((size_t)n > iter_count(to))
		n = -EINVAL;
	else if (iter_copy_to(to, line, (size_t)n) != (size_t)n)
		n = -EFAULT;
	kfree(line);
	return n;
}

static ssize_t kmsg_read(struct kiocb *iocb, struct iter *to)
{
	struct kmsg_file *k = iocb->file->private;
	ssize_t n;

	for (;;) {
		mutex_lock(&k->mutex);
		n = kmsg_read_locked(k, to);
		mutex_unlock(&k->mutex);
		if (n != -EAGAIN || (iocb->file->flags & O_NONBLOCK))
			return n;
		n = WAIT_EVENT_INTERRUPTIBLE(&kmsg_wait, kmsg_ready(k), "kmsg_read");
		if (n)
			return n;
	}
}

static ssize_t kmsg_write(struct kiocb *iocb, struct iter *from)
{
	size_t n = iter_count(from);
	char buf[LOG_RECORD_MAX + 1], *text = buf;
	u32 level = LOG_WARNING, facility = 1, number = 0;

	(void)iocb;
	if (n > LOG_RECORD_MAX)
		return -EINVAL;
	if (iter_copy_from(from, buf, n) != n)
		return -EFAULT;
	buf[n] = '\0';
	if (buf[0] == '<') {
		char *p = buf + 1;

		while (*p >= '0' && *p <= '9' && number < 1024)
			number = number * 10 + (u32)(*p++ - '0');
		if (p > buf + 1 && *p == '>') {
			level = number & 7;
			facility = number >> 3 & 0xff ? number >> 3 & 0xff : 1; /* a byte, as on Linux */
			text = p + 1;
		}
	}
	log_write_user((int)level, (int)facility, text, strlen(text));
	return (ssize_t)n;
}

static s64 kmsg_llseek(struct file *file, s64 offset, int whence)
{
	struct kmsg_file *k = file->private;
	s64 result = 0;

	if (offset)
		return -ESPIPE;
	mutex_lock(&k->mutex);
	if (whence == SEEK_SET)
		k->seq = log_first_seq();
	else if (whence == SEEK_END)
		k->seq = log_next_seq();
	else if (whence == SEEK_DATA)
		k->seq = log_clear_seq();
	else
		result = -EINVAL;
	mutex_unlock(&k->mutex);
	return result;
}

static u32 kmsg_poll(struct file *file, struct poll_table *pt)
{
	struct kmsg_file *k = file->private;

	poll_wait(file, &kmsg_wait, pt);
	if (!kmsg_ready(k))
		return 0;
	return POLLIN | POLLRDNORM | (READ_ONCE(k->seq) < log_first_seq() ? POLLERR | POLLPRI : 0);
}

/* ---- the table --------------------------------------------------------------------------------- */

static const struct file_ops null_fops = {
	.read_iter = null_read, .write_iter = null_write, .llseek = file_llseek_zero, .fmode = FMODE_NOWAIT
};
static const struct file_ops zero_fops = {
	.read_iter = zero_read, .write_iter = null_write, .llseek = file_llseek_zero, .mmap = zero_mmap, .fmode = FMODE_NOWAIT
};
static const struct file_ops full_fops = {
	.read_iter = zero_read, .write_iter = full_write, .llseek = file_llseek_zero
};
static const struct file_ops random_fops = {
	.read_iter = random_read, .write_iter = random_write, .llseek = file_llseek_noop, .ioctl = random_ioctl,
	.fmode = FMODE_NOWAIT
};
static const struct file_ops kmsg_fops = {
	.open = kmsg_open, .release = kmsg_release, .read_iter = kmsg_read, .write_iter = kmsg_write,
	.llseek = kmsg_llseek, .poll = kmsg_poll
};

static const struct mem_device {
	const char *name;
	u32 minor;
	u32 mode;
	const struct file_ops *ops;
} mem_devices[] = {
	{ "null", 3, 0666, &null_fops },      { "zero", 5, 0666, &zero_fops },
	{ "full", 7, 0666, &full_fops },      { "random", 8, 0666, &random_fops },
	{ "urandom", 9, 0666, &random_fops }, { "kmsg", 11, 0644, &kmsg_fops },
};

void mem_devices_init(void)
{
	work_init(&kmsg_work, kmsg_wake);
	log_wake_hook = kmsg_log_hook;
	random_files_init();
	for (u32 i = 0; i < ARRAY_SIZE(mem_devices); i++) {
		const struct mem_device *d = &mem_devices[i];

		if (chrdev_register(MEM_MAJOR, d->minor, 1, "mem", d->ops) ||
		    devnode_create(d->name, S_IFCHR | d->mode, MKDEV(MEM_MAJOR, d->minor)))
			log_err("no memory for /dev/%s", d->name);
	}
}
