/* SPDX-License-Identifier: MIT */
/*
 * poll(2), ppoll(2), select(2), pselect6(2).
 *
 * One pass asks every file and, the first time, hangs an entry into every queue that
 * the files name. A wake-up with an event that is waited for sets `triggered` and wakes the
 * thread, which then asks everybody again. Entries hold a reference on their file, so that no queue
 * goes away under them. The first few entries live in the frame, further ones in chunks of about a page.
 */
#include <gen/syscall_protos.h>

#include <abi/linux/poll.h>
#include <abi/linux/resource.h>
#include <abi/linux/time.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/signal/signal.h>
#include <kernel/task/rlimit.h>
#include <kernel/vfs/files.h>
#include <kernel/vfs/poll.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>

#define POLL_INLINE 6		/* entries in the frame */
#define POLL_CHUNK_BYTES 4096u
#define POLL_CHUNK ((POLL_CHUNK_BYTES - sizeof(struct poll_chunk)) / sizeof(struct poll_entry))

struct poll_entry {
	struct wait_entry wait;
	struct poll_waiter *owner;
	struct file *file;		/* counted */
	struct waitq *q;
	u32 key;
};

struct poll_chunk {
	struct poll_chunk *next;
	u32 used;
	struct poll_entry entries[];
};

/* Used by one thread; `triggered` is set by wakers. */
struct poll_waiter {
	struct poll_table table;
	struct thread *thread;
	u32 triggered;			/* [a] */
	u32 used;			/* of inline_entries */
	int err;			/* no memory for an entry */
	struct poll_chunk *chunks;	/* the first one has room, or all are full */
	struct poll_entry inline_entries[POLL_INLINE];
};

static int poll_wake(struct wait_entry *we, u32 key)
{
	struct poll_entry *e = container_of(we, struct poll_entry, wait);

	if (key && !(key & e->key))
		return 0;
	__atomic_store_n(&e->owner->triggered, 1, __ATOMIC_SEQ_CST);
	thread_wake(e->owner->thread);
	return 1;
}

/* A free entry; NULL without memory. */
static struct poll_entry *entry_new(struct poll_waiter *w)
{
	struct poll_chunk *c = w->chunks;

	if (w->used < POLL_INLINE)
		return &w->inline_entries[w->used++];
	if (!c || c->used == POLL_CHUNK) {
		c = kmalloc(POLL_CHUNK_BYTES, 0);
		if (!c)
			return NULL;
		c->used = 0;
		c->next = w->chunks;
		w->chunks = c;
	}
	return &c->entries[c->used++];
}

static void poll_queue(struct poll_table *pt, struct file *file, struct waitq *q)
{
	struct poll_waiter *w = container_of(pt, struct poll_waiter, table);
	struct poll_entry *e = entry_new(w);

	if (!e) {
		w->err = -ENOMEM;
		return;
	}
	e->wait = (struct wait_entry){ .thread = w->thread, .wake = poll_wake };
	list_init(&e->wait.node);
	e->owner = w;
	e->file = file_get(file);
	e->q = q;
	e->key = pt->key | POLLERR | POLLHUP;
	waitq_add(q, &e->wait);
}

static void waiter_init(struct poll_waiter *w)
{
	w->table.queue = poll_queue;
	w->table.key = 0;
	w->thread = current_thread();
	w->triggered = 0;
	w->used = 0;
	w->err = 0;
	w->chunks = NULL;
}

static void entry_remove(struct poll_entry *e)
{
	waitq_del(e->q, &e->wait);
	file_put(e->file);
}

static void waiter_done(struct poll_waiter *w)
{
	struct poll_chunk *c;

	for (u32 i = 0; i < w->used; i++)
		entry_remove(&w->inline_entries[i]);
	while ((c = w->chunks)) {
		w->chunks = c->next;
		for (u32 i = 0; i < c->used; i++)
			entry_remove(&c->entries[i]);
		kfree(c);
	}
}

/* Sleeps unless something has come true meanwhile. -ETIMEDOUT, -ERESTARTSYS or 0. */
static int waiter_sleep(struct poll_waiter *w, u64 deadline, const char *why)
{
	int err = 0;

	thread_set_state(w->thread, THREAD_INTERRUPTIBLE);
	if (!__atomic_load_n(&w->triggered, __ATOMIC_SEQ_CST))
		err = thread_sleep_until(deadline, THREAD_INTERRUPTIBLE, why);
	else
		thread_set_state(w->thread, THREAD_RUNNABLE);
	__atomic_store_n(&w->triggered, 0, __ATOMIC_SEQ_CST);
	return err;
}

/*
 * Asks until a pass finds something, the time is over (deadline 0: one pass) or a signal
 * comes: number of ready files, or -ERESTARTNOHAND, or what the pass fails with.
 */
static long poll_loop(struct poll_waiter *w, u64 deadline, const char *why,
		      long (*pass)(struct poll_waiter *w, void *arg), void *arg)
{
	bool timed_out = deadline == 0;
	long n;

	if (timed_out)
		w->table.queue = NULL;
	for (;;) {
		int err;

		n = pass(w, arg);
		w->table.queue = NULL;
		if (!n)
			n = w->err;
		if (n || timed_out)
			return n;
		if (signal_pending())
			return -ERESTARTNOHAND;
		err = waiter_sleep(w, deadline, why);
		timed_out = err == -ETIMEDOUT;
	}
}

static u64 deadline_after(u64 ns)
{
	u64 now = clock_mono_ns();

	return ns > WAIT_FOREVER - 1 - now ? WAIT_FOREVER - 1 : now + ns;
}

/* ---- poll ---- */

#define POLL_FAST 16

struct poll_args {
	struct pollfd *fds;
	u32 n;
};

static u32 poll_one(struct poll_waiter *w, const struct pollfd *p)
{
	u32 filter = (u16)p->events | POLLERR | POLLHUP, events;
	struct fdref f;

	if (p->fd < 0)
		return 0;
	f = fd_get(p->fd);
	if (!f.file)
		return POLLNVAL;
	w->table.key = filter;
	events = vfs_poll(f.file, &w->table) & filter;
	fd_put(f);
	return events;
}

static long poll_pass(struct poll_waiter *w, void *arg)
{
	struct poll_args *a = arg;
	long ready = 0;

	for (u32 i = 0; i < a->n; i++) {
		a->fds[i].revents = (s16)poll_one(w, &a->fds[i]);
		if (a->fds[i].revents) {
			ready++;
			w->table.queue = NULL;	/* there will be no sleep */
		}
	}
	return ready;
}

static long do_poll(uptr_t user, u32 n, u64 deadline)
{
	struct pollfd fast[POLL_FAST];
	struct poll_args args = { fast, n };
	struct poll_waiter w;
	long ret;

	if (n > rlimit_current(RLIMIT_NOFILE))
		return -EINVAL;
	if (n > POLL_FAST) {
		args.fds = kmalloc_array(n, sizeof(struct pollfd), 0);
		if (!args.fds)
			return -ENOMEM;
	}
	ret = -EFAULT;
	if (copy_from_user(args.fds, user, n * sizeof(struct pollfd)))
		goto free;
	waiter_init(&w);
	ret = poll_loop(&w, deadline, "poll", poll_pass, &args);
	waiter_done(&w);
	for (u32 i = 0; i < n && ret != -ENOMEM; i++) {
		uptr_t at = uptr_add(user, i * sizeof(struct pollfd) + offsetof(struct pollfd, revents));

		if (put_user_u16((u16)args.fds[i].revents, at)) {
			ret = -EFAULT;
			break;
		}
	}
free:
	if (args.fds != fast)
		kfree(args.fds);
	return ret;
}

static long poll_go_on(struct restart_block *rb)
{
	long ret = do_poll(rb->uaddr, (u32)rb->arg[0], rb->deadline_ns);

	return ret == -ERESTARTNOHAND ? restart_block_set(poll_go_on) : ret;
}

long sys_poll(uptr_t fds, unsigned nfds, int timeout_ms)
{
	u64 deadline = WAIT_FOREVER;
	long ret;

	if (timeout_ms >= 0)
		deadline = timeout_ms ? deadline_after((u64)timeout_ms * NSEC_PER_MSEC) : 0;
	ret = do_poll(fds, nfds, deadline);
	if (ret == -ERESTARTNOHAND) {
		struct restart_block *rb = &current_task()->restart;

		rb->uaddr = fds;
		rb->arg[0] = nfds;
		rb->deadline_ns = deadline;
		ret = restart_block_set(poll_go_on);
	}
	return ret;
}

/* ---- time-outs that are given back ---- */

enum timeout_form { TIMEOUT_TIMEVAL, TIMEOUT_TIMESPEC };

/* Copies the time-out in: *deadline is WAIT_FOREVER without one, 0 for "do not wait". */
static int timeout_get(uptr_t user, enum timeout_form form, u64 *deadline)
{
	s64 v[2];
	struct timespec ts;

	*deadline = WAIT_FOREVER;
	if (uptr_is_null(user))
		return 0;
	if (copy_from_user(v, user, sizeof(v)))
		return -EFAULT;
	if (form == TIMEOUT_TIMEVAL) {
		/* select(2) takes more than a second of microseconds. */
		ts.tv_sec = v[0] + v[1] / USEC_PER_SEC;
		ts.tv_nsec = v[1] % USEC_PER_SEC * NSEC_PER_USEC;
	} else {
		ts = (struct timespec){ v[0], v[1] };
	}
	if (!clock_timespec_valid(&ts))
		return -EINVAL;
	*deadline = ts.tv_sec || ts.tv_nsec ? deadline_after(clock_timespec_to_ns(&ts)) : 0;
	return 0;
}

/*
 * Stores what is left of the time and fits the result: an interrupted call is restarted only
 * if the program sees the new time-out.
 */
static long timeout_put(uptr_t user, enum timeout_form form, u64 deadline, long ret)
{
	u64 now, left;
	s64 v[2];

	if (uptr_is_null(user))
		return ret;
	now = clock_mono_ns();
	left = deadline > now ? deadline - now : 0;
	v[0] = (s64)(left / NSEC_PER_SEC);
	v[1] = (s64)(left % NSEC_PER_SEC);
	if (form == TIMEOUT_TIMEVAL)
		v[1] /= NSEC_PER_USEC;
	if (!copy_to_user(user, v, sizeof(v)))
		return ret;
	return ret == -ERESTARTNOHAND ? -EINTR : ret;
}

long sys_ppoll(uptr_t fds, unsigned nfds, uptr_t timeout, uptr_t set, size_t size)
{
	u64 deadline;
	long ret = timeout_get(timeout, TIMEOUT_TIMESPEC, &deadline);

	if (!ret)
		ret = signal_set_user_mask(set, size);
	if (ret)
		return ret;
	ret = do_poll(fds, nfds, deadline);
	signal_restore_user_mask(ret == -ERESTARTNOHAND);
	return timeout_put(timeout, TIMEOUT_TIMESPEC, deadline, ret);
}

/* ---- select ---- */

#define SELECT_FAST_WORDS 2	/* of each of the six bitmaps: 128 descriptors */
#define SELECT_IN  (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX  POLLPRI

struct select_args {
	u32 n, words;
	u64 *in, *out, *ex;		/* asked */
	u64 *rin, *rout, *rex;		/* answer */
};

static long select_one(struct poll_waiter *w, struct select_args *a, u32 fd)
{
	u32 i = fd / 64, events, ready = 0;
	u64 bit = BIT(fd % 64);
	struct fdref f = fd_get((int)fd);

	if (!f.file)
		return -EBADF;
	w->table.key = (a->in[i] & bit ? SELECT_IN : 0) | (a->out[i] & bit ? SELECT_OUT : 0) |
		       (a->ex[i] & bit ? SELECT_EX : 0);
	events = vfs_poll(f.file, &w->table);
	fd_put(f);
	if ((a->in[i] & bit) && (events & SELECT_IN)) {
		a->rin[i] |= bit;
		ready++;
	}
	if ((a->out[i] & bit) && (events & SELECT_OUT)) {
		a->rout[i] |= bit;
		ready++;
	}
	if ((a->ex[i] & bit) && (events & SELECT_EX)) {
		a->rex[i] |= bit;
		ready++;
	}
	if (ready)
		w->table.queue = NULL;
	return ready;
}

static long select_pass(struct poll_waiter *w, void *arg)
{
	struct select_args *a = arg;
	long ready = 0;

	for (u32 i = 0; i < a->words; i++) {
		u64 all = a->in[i] | a->out[i] | a->ex[i];

		for (; all; all &= all - 1) {
			u32 fd = i * 64 + (u32)__builtin_ctzll(all);
			long n = fd < a->n ? select_one(w, a, fd) : 0;

			if (n < 0)
				return n;
			ready += n;
		}
	}
	return ready;
}

static int copy_set(u64 *to, uptr_t from, u32 n)
{
	memset(to, 0, DIV_ROUND_UP(n, 64U) * sizeof(u64));
	if (uptr_is_null(from))
		return 0;
	if (copy_from_user(to, from, DIV_ROUND_UP(n, 64U) * sizeof(u64)))
		return -EFAULT;
	/* Bits behind n do not count. */
	if (n % 64)
		to[n / 64] &= BIT(n % 64) - 1;
	return 0;
}

static int put_set(uptr_t to, const u64 *from, u32 words)
{
	return uptr_is_null(to) ? 0 : copy_to_user(to, from, words * sizeof(u64));
}

static long do_select(int n, uptr_t in, uptr_t out, uptr_t ex, u64 deadline)
{
	u64 fast[SELECT_FAST_WORDS * 6], *bits = fast;
	struct select_args a;
	struct poll_waiter w;
	u32 words;
	long ret;

	if (n < 0)
		return -EINVAL;
	/* As many as the table can hold; Linux is silent about the rest too. */
	a.n = MIN((u32)n, files_table_size(current_task()->files));
	words = a.words = DIV_ROUND_UP(a.n, 64U);
	if (words > SELECT_FAST_WORDS) {
		bits = kmalloc_array(words, 6 * sizeof(u64), 0);
		if (!bits)
			return -ENOMEM;
	}
	a.in = bits;
	a.out = bits + words;
	a.ex = bits + 2 * words;
	a.rin = bits + 3 * words;
	a.rout = bits + 4 * words;
	a.rex = bits + 5 * words;
	ret = -EFAULT;
	if (copy_set(a.in, in, a.n) || copy_set(a.out, out, a.n) || copy_set(a.ex, ex, a.n))
		goto free;
	memset(a.rin, 0, 3 * words * sizeof(u64));
	waiter_init(&w);
	ret = poll_loop(&w, deadline, "select", select_pass, &a);
	waiter_done(&w);
	if (ret >= 0 && (put_set(in, a.rin, words) || put_set(out, a.rout, words) || put_set(ex, a.rex, words)))
		ret = -EFAULT;
free:
	if (bits != fast)
		kfree(bits);
	return ret;
}

long sys_select(int n, uptr_t in, uptr_t out, uptr_t ex, uptr_t timeout)
{
	u64 deadline;
	long ret = timeout_get(timeout, TIMEOUT_TIMEVAL, &deadline);

	if (ret)
		return ret;
	ret = do_select(n, in, out, ex, deadline);
	return timeout_put(timeout, TIMEOUT_TIMEVAL, deadline, ret);
}

long sys_pselect6(int n, uptr_t in, uptr_t out, uptr_t ex, uptr_t timeout, uptr_t sig)
{
	struct {
		uptr_t set;
		u64 size;
	} mask = { UPTR_NULL, 0 };
	u64 deadline;
	long ret;

	if (!uptr_is_null(sig) && copy_from_user(&mask, sig, sizeof(mask)))
		return -EFAULT;
	ret = timeout_get(timeout, TIMEOUT_TIMESPEC, &deadline);
	if (!ret)
		ret = signal_set_user_mask(mask.set, mask.size);
	if (ret)
		return ret;
	ret = do_select(n, in, out, ex, deadline);
	signal_restore_user_mask(ret == -ERESTARTNOHAND);
	return timeout_put(timeout, TIMEOUT_TIMESPEC, deadline, ret);
}
