/* SPDX-License-Identifier: MIT */
/*
 * Pipes.
 *
 * A pipe is a ring of up to `slots` pages (16 by default: 64 KiB, F_SETPIPE_SZ changes it), each with the part of
 * it that holds data. A write fills the room in the last page if the data fit there whole, then new pages; so a
 * write of at most PIPE_BUF bytes needs at most one new slot and is atomic, as POSIX wants. A read takes from
 * the first page on. With O_DIRECT every write makes packets of its own, and a read ends at a packet's end.
 *
 * Locks. pipe.mutex guards the ring, `readers` and `writers`; head, tail and the counts are also read
 * without it, as conditions to sleep on. User memory is touched under the mutex (its rank is outside the address
 * space's lock): a page fault never needs a pipe. One emptied page is kept for the next write.
 *
 * Wake-ups. A reader wakes writers when the ring was full, a writer readers when it was empty: in every other
 * state nobody sleeps, or somebody has been woken already. Sleepers are exclusive; who finds more left than he
 * took passes the wake-up on. Poll waiters hear of every change.
 *
 * Life. The last of all opens (`users`) frees the pipe. A named pipe hangs on its inode while it is open.
 *
 * Limits. A pipe's slots count for the user who made it. Above the soft limit his new pipes have two slots, above the hard
 * one (0: there is none) he gets no more, and above either none grows; but for who is privileged.
 */
#include <abi/linux/fcntl.h>
#include <abi/linux/ioctl.h>
#include <abi/linux/limits.h>
#include <abi/linux/signal.h>
#include <kernel/core/assert.h>
#include <kernel/ipc/pipe.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/mutex.h>
#include <kernel/signal/signal.h>
#include <kernel/task/cred.h>
#include <kernel/vfs/fifo.h>
#include <kernel/vfs/proc.h>
#include <kernel/vm/uaccess.h>

#define PIPE_DEFAULT_SLOTS 16u
#define PIPE_LEAST_SLOTS 2u /* above the soft limit */
#define PIPE_MAX_BYTES 0x80000000u
#define PIPE_POLL_IN (POLLIN | POLLRDNORM)
#define PIPE_POLL_OUT (POLLOUT | POLLWRNORM)

/* [a] /proc/sys/fs/pipe-max-size and pipe-user-pages-*; all are read with READ_ONCE(). */
static u64 pipe_max_bytes = 1048576;
static u64 pipe_user_soft = PIPE_DEFAULT_SLOTS * 1024;
static u64 pipe_user_hard;

struct pipe_buf {
	struct page *page;
	u32 offset; /* of the data */
	u32 len;
	bool packet; /* no more may be added, and a read ends here */
};

struct pipe {
	struct mutex mutex;
	u32 head, tail; /* [mutex] free-running slot numbers; also read without it */
	u32 slots; /* [mutex] a power of two; counted in user->pipe_pages */
	struct user *user; /* [I] holds a reference */
	struct pipe_buf *bufs; /* [mutex] */
	u32 readers, writers; /* [mutex] open ends; also read without it */
	u32 reader_opens, writer_opens; /* [mutex] how many there have ever been: fifo(7)'s waiting */
	u32 users; /* [mutex of the inode's slock for fifos] opens that hold the pipe */
	struct page *spare; /* [mutex] */
	struct waitq read_wait, write_wait;
};

static inline u32 pipe_used(const struct pipe *p)
{
	return READ_ONCE(p->head) - READ_ONCE(p->tail);
}

static inline bool pipe_empty(const struct pipe *p)
{
	return READ_ONCE(p->head) == READ_ONCE(p->tail);
}

static inline bool pipe_full(const struct pipe *p)
{
	return pipe_used(p) >= READ_ONCE(p->slots);
}

static inline struct pipe_buf *pipe_slot(struct pipe *p, u32 n)
{
	return &p->bufs[n & (p->slots - 1)];
}

/* ---- life -------------------------------------------------------------------------------------- */

static bool is_above(u64 pages, const u64 *limit)
{
	u64 max = READ_ONCE(*limit);

	return max && pages > max;
}

static bool is_privileged(void)
{
	return capable(CAP_SYS_RESOURCE) || capable(CAP_SYS_ADMIN);
}

/* Counts so many slots more for the user: how many he has then. */
static u64 user_add(struct user *u, s64 slots)
{
	return (u64)atomic64_add_return(&u->pipe_pages, slots);
}

/* Counts a new pipe's slots for the caller: how many they may be, 0 for none. */
static u32 slots_for_new(struct user *u)
{
	u32 slots = PIPE_DEFAULT_SLOTS;
	u64 all;

	if (slots * PAGE_SIZE > READ_ONCE(pipe_max_bytes) && !capable(CAP_SYS_RESOURCE))
		slots = (u32)(READ_ONCE(pipe_max_bytes) / PAGE_SIZE);
	all = user_add(u, slots);
	if (is_above(all, &pipe_user_soft) && !is_privileged()) {
		all = user_add(u, (s64)PIPE_LEAST_SLOTS - slots);
		slots = PIPE_LEAST_SLOTS;
	}
	if (is_above(all, &pipe_user_hard) && !is_privileged()) {
		user_add(u, -(s64)slots);
		return 0;
	}
	return slots;
}

/* ERR_PTR(-ENOMEM); ERR_PTR(-ENFILE): the caller has too many. */
static struct pipe *pipe_alloc(void)
{
	struct user *u = current_cred()->user;
	struct pipe *p = kzalloc(sizeof(*p), 0);
	int err = -ENFILE;

	if (!p)
		return ERR_PTR(-ENOMEM);
	p->slots = slots_for_new(u);
	if (!p->slots)
		goto free;
	err = -ENOMEM;
	p->bufs = kzalloc(p->slots * sizeof(*p->bufs), 0);
	if (!p->bufs)
		goto uncount;
	p->user = user_get(u);
	mutex_init(&p->mutex, "pipe", LOCK_RANK_PIPE);
	waitq_init(&p->read_wait);
	waitq_init(&p->write_wait);
	return p;
uncount:
	user_add(u, -(s64)p->slots);
free:
	kfree(p);
	return ERR_PTR(err);
}

static void pipe_free(struct pipe *p)
{
	for (u32 i = p->tail; i != p->head; i++)
		page_put(pipe_slot(p, i)->page);
	if (p->spare)
		page_put(p->spare);
	user_add(p->user, -(s64)p->slots);
	user_put(p->user);
	kfree(p->bufs);
	kfree(p);
}

static void wake_readers(struct pipe *p)
{
	if (waitq_active(&p->read_wait))
		waitq_wake_key(&p->read_wait, 1, PIPE_POLL_IN);
}

static void wake_writers(struct pipe *p)
{
	if (waitq_active(&p->write_wait))
		waitq_wake_key(&p->write_wait, 1, PIPE_POLL_OUT);
}

static void wake_everybody(struct pipe *p)
{
	waitq_wake_key(&p->read_wait, ~0u, 0);
	waitq_wake_key(&p->write_wait, ~0u, 0);
}

/* Drops an open; the fifo's inode forgets the pipe with the last one. */
static void pipe_put(struct inode *inode, struct pipe *p)
{
	bool last;

	spin_lock(&inode->slock);
	last = !--p->users;
	if (last && inode->pipe == p)
		inode->pipe = NULL;
	spin_unlock(&inode->slock);
	if (last)
		pipe_free(p);
}

static void pipe_release(struct inode *inode, struct file *file)
{
	struct pipe *p = file->private;

	mutex_lock(&p->mutex);
	if (file->mode & FMODE_READ)
		p->readers--;
	if (file->mode & FMODE_WRITE)
		p->writers--;
	if (!p->readers != !p->writers) /* the other side learns of it */
		wake_everybody(p);
	mutex_unlock(&p->mutex);
	pipe_put(inode, p);
}

/* A fifo's times are its inode's. Nobody looks at those of a pipe that has no name, so it pays nothing for them. */
static bool has_times(const struct file *file)
{
	return unlikely(!(file->inode->flags & INODE_PRIVATE));
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* [mutex] the first buffer is used up. */
static void drop_first(struct pipe *p)
{
	struct pipe_buf *b = pipe_slot(p, p->tail);

	if (p->spare || page_ref_count(b->page) != 1)
		page_put(b->page);
	else
		p->spare = b->page;
	b->page = NULL;
	WRITE_ONCE(p->tail, p->tail + 1);
}

/* [mutex] as much as there is and fits. */
static ssize_t read_locked(struct pipe *p, struct iter *to)
{
	ssize_t done = 0;

	while (iter_count(to) && p->head != p->tail) {
		struct pipe_buf *b = pipe_slot(p, p->tail);
		size_t want = MIN(iter_count(to), (size_t)b->len);
		size_t n = iter_copy_page_to(to, b->page, b->offset, want);
		bool packet = b->packet;

		b->offset += (u32)n;
		b->len -= (u32)n;
		done += (ssize_t)n;
		if (n < want)
			return done ? done : -EFAULT;
		if (!b->len || packet)
			drop_first(p); /* what a read leaves of a packet is lost: pipe(2), O_DIRECT */
		if (packet)
			break;
	}
	return done;
}

static bool pipe_readable(const struct pipe *p)
{
	return !pipe_empty(p) || !READ_ONCE(p->writers);
}

static bool wants_nonblock(const struct kiocb *iocb)
{
	return (iocb->file->flags & O_NONBLOCK) || (iocb->flags & IOCB_NOWAIT);
}

static ssize_t pipe_read_iter(struct kiocb *iocb, struct iter *to)
{
	struct pipe *p = iocb->file->private;
	ssize_t done;
	bool was_full, more;
	int err;

	if (!iter_count(to))
		return 0;
	for (;;) {
		mutex_lock(&p->mutex);
		was_full = pipe_full(p);
		done = read_locked(p, to);
		more = !pipe_empty(p);
		if (done || !p->writers)
			break;
		mutex_unlock(&p->mutex);
		if (wants_nonblock(iocb))
			return -EAGAIN;
		err = WAIT_EVENT_INTERRUPTIBLE_EXCLUSIVE(&p->read_wait, pipe_readable(p), "pipe_read");
		if (err)
			return err;
	}
	mutex_unlock(&p->mutex);
	if (was_full && done > 0)
		wake_writers(p);
	if (more)
		wake_readers(p);
	if (has_times(iocb->file) && done > 0 && !(iocb->file->flags & O_NOATIME))
		inode_touch_atime(iocb->file->inode, iocb->file->path.mnt);
	return done;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static struct page *take_page(struct pipe *p)
{
	struct page *page = p->spare;

	p->spare = NULL;
	return page ? page : page_alloc(0, MM_USER);
}

/* [mutex] adds to the last page what fits there whole: the part of the data that does not fill pages. */
static ssize_t merge_locked(struct pipe *p, struct iter *from)
{
	size_t odd = iter_count(from) & (PAGE_SIZE - 1);
	struct pipe_buf *b;
	size_t n;

	if (!odd || p->head == p->tail)
		return 0;
	b = pipe_slot(p, p->head - 1);
	if (b->packet || b->offset + b->len + odd > PAGE_SIZE)
		return 0;
	n = iter_copy_page_from(from, b->page, b->offset + b->len, odd);
	b->len += (u32)n;
	return n < odd && !n ? -EFAULT : (ssize_t)n;
}

/* [mutex] fills one new slot. */
static ssize_t append_locked(struct pipe *p, struct iter *from, bool packet)
{
	size_t want = MIN(iter_count(from), (size_t)PAGE_SIZE);
	struct page *page = take_page(p);
	size_t n;

	if (!page)
		return -ENOMEM;
	n = iter_copy_page_from(from, page, 0, want);
	if (!n) {
		p->spare = page;
		return -EFAULT;
	}
	*pipe_slot(p, p->head) = (struct pipe_buf){ .page = page, .offset = 0, .len = (u32)n, .packet = packet };
	WRITE_ONCE(p->head, p->head + 1);
	return (ssize_t)n;
}

/* [mutex] as much as there is room for. *err: why not all, when it is not for lack of room. */
static ssize_t write_locked(struct pipe *p, struct iter *from, bool packet, bool may_merge, ssize_t *err)
{
	ssize_t done = 0, n;

	if (may_merge && !packet) {
		n = merge_locked(p, from);
		if (n < 0) {
			*err = n;
			return 0;
		}
		done = n;
	}
	while (iter_count(from) && !pipe_full(p)) {
		size_t left = iter_count(from);

		n = append_locked(p, from, packet);
		if (n < 0) {
			*err = n;
			break;
		}
		done += n;
		if ((size_t)n < MIN(left, (size_t)PAGE_SIZE)) {
			*err = -EFAULT;
			break;
		}
	}
	return done;
}

static bool pipe_writable(const struct pipe *p)
{
	return !pipe_full(p) || !READ_ONCE(p->readers);
}

static ssize_t pipe_write_iter(struct kiocb *iocb, struct iter *from)
{
	struct pipe *p = iocb->file->private;
	bool packet = iocb->file->flags & O_DIRECT, room = false;
	ssize_t done = 0, err = 0;

	if (!iter_count(from))
		return 0;
	for (;;) {
		bool was_empty;

		mutex_lock(&p->mutex);
		if (!p->readers) {
			err = -EPIPE;
			mutex_unlock(&p->mutex);
			break;
		}
		was_empty = pipe_empty(p);
		done += write_locked(p, from, packet, !done, &err);
		room = !pipe_full(p);
		mutex_unlock(&p->mutex);
		if (was_empty)
			wake_readers(p);
		if (err || !iter_count(from))
			break;
		if (wants_nonblock(iocb)) {
			err = -EAGAIN;
			break;
		}
		err = WAIT_EVENT_INTERRUPTIBLE_EXCLUSIVE(&p->write_wait, pipe_writable(p), "pipe_write");
		if (err)
			break;
	}
	if (room)
		wake_writers(p); /* somebody else may fit too */
	if (err == -EPIPE)
		signal_send_current(SIGPIPE);
	if (has_times(iocb->file) && done > 0)
		file_update_time(iocb->file);
	return done ? done : err;
}

/* ---- poll, ioctl, fcntl ------------------------------------------------------------------------ */

static u32 pipe_poll(struct file *file, struct poll_table *pt)
{
	struct pipe *p = file->private;
	u32 mask = 0;

	if (file->mode & FMODE_READ)
		poll_wait(file, &p->read_wait, pt);
	if (file->mode & FMODE_WRITE)
		poll_wait(file, &p->write_wait, pt);
	if (file->mode & FMODE_READ) {
		if (!pipe_empty(p))
			mask |= PIPE_POLL_IN;
		/* No hang-up for a fifo that nobody has opened for writing since we opened it. */
		if (!READ_ONCE(p->writers) && file->version != READ_ONCE(p->writer_opens))
			mask |= POLLHUP;
	}
	if (file->mode & FMODE_WRITE) {
		if (!pipe_full(p))
			mask |= PIPE_POLL_OUT;
		if (!READ_ONCE(p->readers))
			mask |= POLLERR;
	}
	return mask;
}

static long pipe_ioctl(struct file *file, u32 cmd, u64 arg)
{
	struct pipe *p = file->private;
	u32 bytes = 0;

	if (cmd != FIONREAD)
		return -ENOIOCTLCMD;
	mutex_lock(&p->mutex);
	for (u32 i = p->tail; i != p->head; i++)
		bytes += pipe_slot(p, i)->len;
	mutex_unlock(&p->mutex);
	return put_user_u32(bytes, uptr(arg));
}

/* [mutex] moves the buffers into a ring of another size. */
static int resize_locked(struct pipe *p, u32 slots)
{
	u32 used = pipe_used(p);
	struct pipe_buf *bufs;

	if (slots < used)
		return -EBUSY;
	bufs = kcalloc(slots, sizeof(*bufs), 0);
	if (!bufs)
		return -ENOMEM;
	for (u32 i = 0; i < used; i++)
		bufs[i] = *pipe_slot(p, p->tail + i);
	kfree(p->bufs);
	p->bufs = bufs;
	WRITE_ONCE(p->slots, slots);
	WRITE_ONCE(p->tail, 0);
	WRITE_ONCE(p->head, used);
	return 0;
}

static u32 slots_of(u64 bytes)
{
	u32 slots = 1;

	while ((u64)slots * PAGE_SIZE < bytes)
		slots *= 2;
	return slots;
}

/* [mutex] -EPERM: the pipe, or its user's pipes, would be too large. */
static int set_slots(struct pipe *p, u32 slots)
{
	bool grows = slots > p->slots;
	s64 more = (s64)slots - p->slots;
	u64 all;
	int err;

	if (grows && (u64)slots * PAGE_SIZE > READ_ONCE(pipe_max_bytes) && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	all = user_add(p->user, more);
	err = grows && (is_above(all, &pipe_user_soft) || is_above(all, &pipe_user_hard)) && !is_privileged() ?
	      -EPERM : resize_locked(p, slots);
	if (err)
		user_add(p->user, -more);
	return err;
}

static long set_size(struct pipe *p, u64 bytes)
{
	u32 slots;
	int err;

	if (bytes > PIPE_MAX_BYTES)
		return -EINVAL;
	slots = slots_of(bytes);
	mutex_lock(&p->mutex);
	err = set_slots(p, slots);
	mutex_unlock(&p->mutex);
	if (!err)
		waitq_wake_key(&p->write_wait, ~0u, PIPE_POLL_OUT);
	return err ? err : (long)((u64)slots * PAGE_SIZE);
}

static long pipe_fcntl(struct file *file, u32 cmd, u64 arg)
{
	struct pipe *p = file->private;

	switch (cmd) {
	case F_GETPIPE_SZ:
		return (long)((u64)READ_ONCE(p->slots) * PAGE_SIZE);
	case F_SETPIPE_SZ:
		return set_size(p, (u32)arg);
	default:
		return -EINVAL;
	}
}

static const struct file_ops pipe_fops = {
	.read_iter = pipe_read_iter,
	.write_iter = pipe_write_iter,
	.llseek = file_llseek_none,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
	.fcntl = pipe_fcntl,
	.fmode = FMODE_STREAM | FMODE_NOWAIT,
};

/* ---- making and opening ------------------------------------------------------------------------ */

int pipe_create(u32 flags, struct file *out[2])
{
	struct pipe *p = pipe_alloc();
	struct path path;
	int err;

	if (IS_ERR(p))
		return (int)PTR_ERR(p);
	err = pipefs_make(&path);
	if (err) {
		pipe_free(p);
		return err;
	}
	out[0] = pipefs_open(&path, O_RDONLY | (flags & O_NONBLOCK), &pipe_fops, p);
	if (IS_ERR(out[0])) {
		err = (int)PTR_ERR(out[0]);
		goto put_path;
	}
	p->readers = p->reader_opens = 1;
	p->users = 1;
	out[1] = pipefs_open(&path, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), &pipe_fops, p);
	if (IS_ERR(out[1])) {
		err = (int)PTR_ERR(out[1]);
		path_put(&path);
		file_put(out[0]); /* frees the pipe */
		return err;
	}
	p->writers = p->writer_opens = 1;
	p->users = 2;
	path.dentry->inode->pipe = p; /* opened anew through /proc/PID/fd it is this one */
	path_put(&path);
	return 0;
put_path:
	path_put(&path);
	pipe_free(p);
	return err;
}

/* The pipe of a fifo, counted for one more open; made by the first. NULL: no memory, or the caller has too many pipes. */
static struct pipe *fifo_get(struct inode *inode)
{
	struct pipe *fresh = NULL, *p;

	spin_lock(&inode->slock);
	while (!(p = inode->pipe) && !fresh) {
		spin_unlock(&inode->slock);
		fresh = pipe_alloc();
		if (IS_ERR(fresh))
			return NULL;
		spin_lock(&inode->slock);
	}
	if (!p) {
		p = inode->pipe = fresh;
		fresh = NULL;
	}
	p->users++;
	spin_unlock(&inode->slock);
	if (fresh)
		pipe_free(fresh);
	return p;
}

/* [mutex, dropped while asleep] until the other side has been opened once more than `seen`. */
static int wait_for_partner(struct pipe *p, const u32 *opens, struct waitq *q)
{
	u32 seen = *opens;
	int err;

	mutex_unlock(&p->mutex);
	err = WAIT_EVENT_INTERRUPTIBLE(q, READ_ONCE(*opens) != seen, "fifo_open");
	mutex_lock(&p->mutex);
	return err;
}

/* [mutex] one end was opened. */
static void count_open(struct pipe *p, u32 mode)
{
	if (mode & FMODE_READ) {
		p->readers++;
		WRITE_ONCE(p->reader_opens, p->reader_opens + 1);
	}
	if (mode & FMODE_WRITE) {
		p->writers++;
		WRITE_ONCE(p->writer_opens, p->writer_opens + 1);
	}
	wake_everybody(p);
}

/* named: a fifo, whose first opens wait for each other; a pipe opened anew through /proc never waits. */
static int fifo_open_locked(struct pipe *p, struct file *file, bool named)
{
	u32 mode = file->mode & (FMODE_READ | FMODE_WRITE);

	file->version = 0;
	if (named && mode == FMODE_WRITE && (file->flags & O_NONBLOCK) && !p->readers)
		return -ENXIO;
	count_open(p, mode);
	if (!named)
		return 0;
	if (mode == FMODE_READ && !p->writers) {
		if (file->flags & O_NONBLOCK)
			file->version = p->writer_opens; /* no POLLHUP before somebody wrote */
		else
			return wait_for_partner(p, &p->writer_opens, &p->read_wait);
	}
	if (mode == FMODE_WRITE && !p->readers)
		return wait_for_partner(p, &p->reader_opens, &p->write_wait);
	return 0;
}

static int fifo_open(struct inode *inode, struct file *file)
{
	struct pipe *p = fifo_get(inode);
	u32 mode = file->mode & (FMODE_READ | FMODE_WRITE);
	int err;

	if (!p)
		return -ENOMEM;
	mutex_lock(&p->mutex);
	err = fifo_open_locked(p, file, !(inode->flags & INODE_PRIVATE));
	if (err == -ERESTARTSYS) { /* it had been counted */
		if (mode & FMODE_READ)
			p->readers--;
		if (mode & FMODE_WRITE)
			p->writers--;
		wake_everybody(p);
	}
	mutex_unlock(&p->mutex);
	if (err) {
		pipe_put(inode, p);
		return err;
	}
	file->ops = &pipe_fops;
	file->private = p;
	return 0;
}

static const struct fifo_ops pipe_fifo_ops = { .open = fifo_open, .free = pipe_free };

static int show_limit(struct seq *s, void *arg)
{
	seq_printf(s, "%llu\n", (unsigned long long)READ_ONCE(*(u64 *)arg));
	return 0;
}

/* One number; the largest size is kept as a power of two of pages. */
static int store_limit(void *arg, const char *text, size_t len)
{
	const char *end;
	u64 value;

	(void)len;
	if (parse_u64(text, 0, &value, &end))
		return -EINVAL;
	while (isspace(*end))
		end++;
	if (*end || (arg == &pipe_max_bytes && value > PIPE_MAX_BYTES))
		return -EINVAL;
	WRITE_ONCE(*(u64 *)arg, arg == &pipe_max_bytes ? (u64)slots_of(value) * PAGE_SIZE : value);
	return 0;
}

void pipe_init(void)
{
	fifo_register(&pipe_fifo_ops);
	(void)proc_register_rw("sys/fs/pipe-max-size", 0644, show_limit, store_limit, &pipe_max_bytes);
	(void)proc_register_rw("sys/fs/pipe-user-pages-soft", 0644, show_limit, store_limit, &pipe_user_soft);
	(void)proc_register_rw("sys/fs/pipe-user-pages-hard", 0644, show_limit, store_limit, &pipe_user_hard);
}
