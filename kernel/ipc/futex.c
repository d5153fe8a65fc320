// SPDX-License-Identifier: MIT
/*
 * futex(2).
 *
 * A word of user memory is known by a key: private, by address space and
 * address; shared, by the object and the offset in it, so that processes which
 * map it at different places meet. The key hashes to a bucket: a spinlock and a
 * list of waiters, which live on their own stacks.
 *
 * No wake-up is lost: a waiter takes the bucket's lock, then reads the word,
 * then queues itself; a waker changes the word (in user space) before it takes
 * the lock. The word is read under the spinlock, so only with a no-fault load: when
 * the page is not there, the lock is dropped, the page is faulted in, and all begins
 * again.
 *
 * A waiter is off the list exactly when its `bucket` is NULL. The waker stores
 * that last under the bucket's lock and wakes the thread, whose memory is kept by RCU
 * (the lock keeps preemption off). A requeue moves a waiter to another bucket, so a
 * waiter that takes itself off must look which lock it needs, and look again under it.
 *
 * A key compares addresses, so what they belong to must stay as long as somebody is queued under it: memory that
 * is given out again would make a stranger's wake-ups end there. A waiter counts the object of its key; its own address space
 * it has anyway. One that is moved counts what its new key names, also when that is another process's space.
 *
 * Two buckets are locked in the order of their addresses.
 */
#include <abi/linux/futex.h>
#include <abi/linux/time.h>
#include <hal/uaccess.h>
#include <kernel/core/assert.h>
#include <kernel/core/spinlock.h>
#include <kernel/ipc/futex.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/wait.h>
#include <kernel/signal/signal.h>
#include <kernel/task/pid.h>
#include <kernel/task/process.h>
#include <kernel/vm/object.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>
#include <lib/hash.h>

#define FUTEX_HASH_BITS 8

struct futex_key {
	void *owner;			/* vm_space or vm_object */
	u64 offset;			/* address or byte in the object */
	struct vm_object *object;	/* counted while the key lives, NULL: owner is a space */
};

struct futex_bucket {
	struct spinlock lock;
	struct list_head waiters;	/* [lock] in the order of arrival */
} __aligned(64);

struct futex_waiter {
	struct list_head node;		/* [bucket lock] */
	struct futex_bucket *bucket;	/* [a] NULL once woken */
	struct thread *thread;		/* [I] */
	struct futex_key key;		/* [bucket lock] */
	u32 bitset;			/* [I] */
	bool moved;			/* [bucket lock] the key counts the space too, if it names one */
};

static struct futex_bucket futex_table[1 << FUTEX_HASH_BITS];

void futex_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(futex_table); i++) {
		spin_init(&futex_table[i].lock, "futex", LOCK_RANK_FUTEX);
		list_init(&futex_table[i].waiters);
	}
}

/* ---- keys ---- */

/* A word in shared memory is named by the object and the place in it. */
static noinline int futex_key_share(struct futex_key *key)
{
	struct vm_space *space = key->owner;
	u64 offset;
	int err = vm_shared_key(space, key->offset, &key->object, &offset);

	if (!err && key->object) {
		key->owner = key->object;
		key->offset = offset;
	}
	return err;
}

static inline int futex_key_get(uptr_t uaddr, bool shared, struct futex_key *key)
{
	if (unlikely(uaddr.addr % sizeof(u32)))
		return -EINVAL;
	if (unlikely(!hal_user_range_ok(uaddr, sizeof(u32))))
		return -EFAULT;
	key->owner = current_task()->process->space;
	key->offset = uaddr.addr;
	key->object = NULL;
	return shared ? futex_key_share(key) : 0;
}

static inline void futex_key_put(struct futex_key *key)
{
	if (key->object)
		vm_object_put(key->object);
}

static inline bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->owner == b->owner && a->offset == b->offset;
}

static inline struct futex_bucket *futex_bucket(const struct futex_key *key)
{
	return &futex_table[hash_bits((u64)(uintptr_t)key->owner ^ key->offset, FUTEX_HASH_BITS)];
}

/* ---- the word ---- */

static int futex_load_nofault(uptr_t uaddr, u32 *val)
{
	int err;

	hal_pagefault_disable();
	err = hal_user_load_u32(uaddr, val);
	hal_pagefault_enable();
	return err;
}

/* Brings the page in, with no lock held. */
static int futex_fault_in(uptr_t uaddr)
{
	u32 val;

	might_fault();
	return hal_user_load_u32(uaddr, &val);
}

/* ---- waking ---- */

/* Bucket lock held. */
static void futex_wake_waiter(struct futex_waiter *w)
{
	struct thread *thread = w->thread;

	list_del(&w->node);
	smp_store_release(&w->bucket, NULL);	/* *w may be gone from here on */
	thread_wake(thread);
}

static inline int futex_wake_locked(struct futex_bucket *b, const struct futex_key *key, int n, u32 bitset)
{
	struct futex_waiter *w, *next;
	int woken = 0;

	list_for_each_entry_safe(w, next, &b->waiters, node) {
		if (!futex_key_equal(&w->key, key) || !(w->bitset & bitset))
			continue;
		futex_wake_waiter(w);
		if (++woken >= n)
			break;
	}
	return woken;
}

static long futex_wake(uptr_t uaddr, bool shared, int n, u32 bitset)
{
	struct futex_bucket *b;
	struct futex_key key;
	irqflags_t f;
	long woken;
	int err;

	if (!bitset)
		return -EINVAL;
	err = futex_key_get(uaddr, shared, &key);
	if (err)
		return err;
	b = futex_bucket(&key);
	f = spin_lock_irqsave(&b->lock);
	woken = futex_wake_locked(b, &key, n, bitset);
	spin_unlock_irqrestore(&b->lock, f);
	futex_key_put(&key);
	return woken;
}

int futex_wake_user(uptr_t uaddr, int n)
{
	return (int)futex_wake(uaddr, true, n, FUTEX_BITSET_MATCH_ANY);
}

/* ---- waiting ---- */

/* Takes w off its list unless somebody woke it. True: it was still queued. */
static bool futex_unqueue(struct futex_waiter *w)
{
	struct futex_bucket *b;

	while ((b = smp_load_acquire(&w->bucket))) {
		irqflags_t f = spin_lock_irqsave(&b->lock);

		if (likely(w->bucket == b)) {
			list_del(&w->node);
			w->bucket = NULL;
			spin_unlock_irqrestore(&b->lock, f);
			return true;
		}
		spin_unlock_irqrestore(&b->lock, f);
	}
	return false;
}

/* Queues w if the word is val. 0, -EAGAIN, -EFAULT. */
static int futex_queue(struct futex_waiter *w, uptr_t uaddr, u32 val)
{
	struct futex_bucket *b = futex_bucket(&w->key);
	irqflags_t f;
	u32 now;

	for (;;) {
		f = spin_lock_irqsave(&b->lock);
		if (likely(!futex_load_nofault(uaddr, &now)))
			break;
		spin_unlock_irqrestore(&b->lock, f);
		if (futex_fault_in(uaddr))
			return -EFAULT;
	}
	if (now != val) {
		spin_unlock_irqrestore(&b->lock, f);
		return -EAGAIN;
	}
	w->bucket = b;
	list_add_tail(&w->node, &b->waiters);
	/* Before the lock goes: a wake-up from now on must find us asleep or make us so. */
	thread_set_state(w->thread, THREAD_INTERRUPTIBLE);
	spin_unlock_irqrestore(&b->lock, f);
	return 0;
}

/* Sleeps until woken. 0, -ETIMEDOUT, -ERESTARTSYS. */
static long futex_wait_once(uptr_t uaddr, bool shared, u32 val, u64 deadline_ns, bool realtime, u32 bitset)
{
	struct futex_waiter w = { .thread = current_thread(), .bitset = bitset };
	int err;

	if (!bitset)
		return -EINVAL;
	err = futex_key_get(uaddr, shared, &w.key);
	if (err)
		return err;
	for (;;) {
		err = futex_queue(&w, uaddr, val);
		if (err)
			break;
		err = thread_sleep_until(realtime ? clock_real_deadline(deadline_ns) : deadline_ns, THREAD_INTERRUPTIBLE,
					 "futex");
		if (!futex_unqueue(&w)) {
			err = 0;		/* woken, whatever else happened */
			break;
		}
		if (err == -ETIMEDOUT && realtime && clock_real_ns() < deadline_ns)
			err = 0;		/* the clock was set back, or runs slower than it did */
		/* Woken by no one: again; but whoever waits elsewhere now would not be found where he began. */
		if (err || unlikely(w.moved))
			break;
	}
	if (unlikely(w.moved) && !w.key.object)
		vm_space_release(w.key.owner);
	futex_key_put(&w.key);
	return err;
}

struct real_waiter {
	struct clock_listener listener;
	struct thread *thread;
};

static void wake_real_waiter(struct clock_listener *l, bool set)
{
	(void)set;
	thread_wake(container_of(l, struct real_waiter, listener)->thread);
}

/* Who waits for a time of the wall clock looks at it again when it is set. */
static long futex_wait(uptr_t uaddr, bool shared, u32 val, u64 deadline_ns, bool realtime, u32 bitset)
{
	struct real_waiter r;
	long err;

	if (likely(!realtime || deadline_ns == WAIT_FOREVER))
		return futex_wait_once(uaddr, shared, val, deadline_ns, false, bitset);
	r = (struct real_waiter){ { LIST_HEAD_INIT(r.listener.node), wake_real_waiter }, current_thread() };
	clock_listen(&r.listener);
	err = futex_wait_once(uaddr, shared, val, deadline_ns, true, bitset);
	clock_unlisten(&r.listener);
	return err;
}

static long futex_wait_restart(struct restart_block *rb)
{
	long err;

	rb->fn = NULL;
	err = futex_wait(rb->uaddr, rb->flags & 1, (u32)rb->arg[0], rb->deadline_ns,
			 rb->clock == CLOCK_REALTIME, (u32)rb->arg[1]);
	return err == -ERESTARTSYS ? restart_block_set(futex_wait_restart) : err;
}

/* With a time-out the call goes on with the same deadline after a signal; without, it just starts again. */
static long futex_wait_call(uptr_t uaddr, bool shared, u32 val, u64 deadline_ns, bool realtime, u32 bitset)
{
	struct restart_block *rb = &current_task()->restart;
	long err = futex_wait(uaddr, shared, val, deadline_ns, realtime, bitset);

	if (err != -ERESTARTSYS || deadline_ns == WAIT_FOREVER)
		return err;
	rb->uaddr = uaddr;
	rb->flags = shared;
	rb->arg[0] = val;
	rb->arg[1] = bitset;
	rb->deadline_ns = deadline_ns;
	rb->clock = realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	return restart_block_set(futex_wait_restart);
}

/* ---- two words ---- */

static irqflags_t futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	irqflags_t f = spin_lock_irqsave(a <= b ? &a->lock : &b->lock);

	if (a != b)
		spin_lock_nested(a < b ? &b->lock : &a->lock);	/* by address */
	return f;
}

static void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b, irqflags_t f)
{
	if (a != b)
		spin_unlock(a < b ? &b->lock : &a->lock);
	spin_unlock_irqrestore(a <= b ? &a->lock : &b->lock, f);
}

static int futex_keys_get(uptr_t u1, uptr_t u2, bool shared, struct futex_key *k1, struct futex_key *k2)
{
	int err = futex_key_get(u1, shared, k1);

	if (err)
		return err;
	err = futex_key_get(u2, shared, k2);
	if (err)
		futex_key_put(k1);
	return err;
}

static void futex_waiter_count_key(struct futex_waiter *w)
{
	if (w->key.object)
		vm_object_get(w->key.object);
	else
		vm_space_hold(w->key.owner);
	w->moved = true;
}

/* The caller's own key names the same and counts it, or is of the caller's space: this is never the last reference. */
static void futex_waiter_uncount_key(struct futex_waiter *w)
{
	bool last = false;

	if (w->key.object)
		last = refcount_put_and_test(&w->key.object->refs);
	else if (w->moved)
		vm_space_release(w->key.owner);
	ASSERT(!last);
}

/*
 * Moves a waiter to k2. Both locks held. In the same bucket it keeps its place: the caller's walk would meet it again at
 * the tail, without end.
 */
static void futex_requeue_waiter(struct futex_waiter *w, struct futex_bucket *b2,
				 const struct futex_key *k2)
{
	futex_waiter_uncount_key(w);
	w->key = *k2;
	futex_waiter_count_key(w);
	if (w->bucket == b2)
		return;
	list_move_tail(&w->node, &b2->waiters);
	smp_store_release(&w->bucket, b2);
}

static long futex_requeue_locked(struct futex_bucket *b1, struct futex_bucket *b2, struct futex_key *k1,
				 struct futex_key *k2, int nr_wake, int nr_move)
{
	struct futex_waiter *w, *next;
	long done = 0;

	list_for_each_entry_safe(w, next, &b1->waiters, node) {
		if (done - nr_wake >= nr_move)
			break;
		if (!futex_key_equal(&w->key, k1))
			continue;
		if (done < nr_wake)
			futex_wake_waiter(w);
		else
			futex_requeue_waiter(w, b2, k2);
		done++;
	}
	return done;
}

static long futex_requeue(uptr_t u1, uptr_t u2, bool shared, int nr_wake, int nr_move, const u32 *expect)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	irqflags_t f;
	u32 now;
	long ret;

	if (nr_wake < 0 || nr_move < 0)
		return -EINVAL;
	ret = futex_keys_get(u1, u2, shared, &k1, &k2);
	if (ret)
		return ret;
	b1 = futex_bucket(&k1);
	b2 = futex_bucket(&k2);
	for (;;) {
		f = futex_lock_two(b1, b2);
		if (!expect || likely(!futex_load_nofault(u1, &now)))
			break;
		futex_unlock_two(b1, b2, f);
		ret = futex_fault_in(u1);
		if (ret)
			goto put;
	}
	if (expect && now != *expect)
		ret = -EAGAIN;
	else
		ret = futex_requeue_locked(b1, b2, &k1, &k2, nr_wake, nr_move);
	futex_unlock_two(b1, b2, f);
put:
	futex_key_put(&k2);
	futex_key_put(&k1);
	return ret;
}

/* FUTEX_WAKE_OP's packed operation: futex(2). */
static bool futex_op_holds(u32 op, u32 old)
{
	s32 arg = (s32)(op << 20) >> 20;
	s32 val = (s32)old;

	switch (op >> 24 & 15) {
	case FUTEX_OP_CMP_EQ:
		return val == arg;
	case FUTEX_OP_CMP_NE:
		return val != arg;
	case FUTEX_OP_CMP_LT:
		return val < arg;
	case FUTEX_OP_CMP_GE:
		return val >= arg;
	case FUTEX_OP_CMP_LE:
		return val <= arg;
	default:
		return val > arg;
	}
}

static int futex_op_apply(u32 op, uptr_t uaddr, u32 *old)
{
	u32 arg = (u32)((s32)(op << 8) >> 20);
	int err;

	if (op & (u32)FUTEX_OP_OPARG_SHIFT << 28)
		arg = 1U << (arg & 31);
	hal_pagefault_disable();
	err = hal_user_atomic_op_u32(uaddr, op >> 28 & 7, arg, old);
	hal_pagefault_enable();
	return err;
}

/* Makes the page writable: an addition of nothing. */
static int futex_fault_in_write(uptr_t uaddr)
{
	u32 old;

	might_fault();
	return hal_user_atomic_op_u32(uaddr, HAL_ATOMIC_ADD, 0, &old);
}

static long futex_wake_op(uptr_t u1, uptr_t u2, bool shared, int nr1, int nr2, u32 op)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	irqflags_t f;
	u32 old;
	long ret = futex_keys_get(u1, u2, shared, &k1, &k2);

	if (ret)
		return ret;
	b1 = futex_bucket(&k1);
	b2 = futex_bucket(&k2);
	for (;;) {
		f = futex_lock_two(b1, b2);
		/* Linux notices a bad operation here, after the addresses, and a bad comparison when the word is changed. */
		ret = (op >> 28 & 7) > FUTEX_OP_XOR ? -ENOSYS : 0;
		if (ret || !futex_op_apply(op, u2, &old))
			break;
		futex_unlock_two(b1, b2, f);
		ret = futex_fault_in_write(u2);
		if (ret)
			goto put;
	}
	if (!ret && (op >> 24 & 15) > FUTEX_OP_CMP_GE)
		ret = -ENOSYS;
	if (!ret) {
		ret = futex_wake_locked(b1, &k1, nr1, FUTEX_BITSET_MATCH_ANY);
		if (futex_op_holds(op, old))
			ret += futex_wake_locked(b2, &k2, nr2, FUTEX_BITSET_MATCH_ANY);
	}
	futex_unlock_two(b1, b2, f);
put:
	futex_key_put(&k2);
	futex_key_put(&k1);
	return ret;
}

/* ---- the call ---- */

long futex_wake_plain(uptr_t uaddr, bool shared, u32 n)
{
	return futex_wake(uaddr, shared, (int)n, FUTEX_BITSET_MATCH_ANY);
}

/* Without a time-out a signal makes the call start again, so there is nothing to remember. */
long futex_wait_plain(uptr_t uaddr, bool shared, u32 val)
{
	return futex_wait(uaddr, shared, val, WAIT_FOREVER, false, FUTEX_BITSET_MATCH_ANY);
}

long futex_do(uptr_t uaddr, int op, u32 val, bool has_timeout, u64 timeout_ns, u32 val2,
	      uptr_t uaddr2, u32 val3)
{
	int cmd = op & FUTEX_CMD_MASK;
	bool shared = !(op & FUTEX_PRIVATE_FLAG), realtime = op & FUTEX_CLOCK_REALTIME;
	u64 deadline = WAIT_FOREVER;

	if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI2)
		return -ENOSYS;
	/* FUTEX_WAIT's time is relative, and measured by the monotonic clock. */
	if (has_timeout) {
		deadline = timeout_ns;
		if (cmd == FUTEX_WAIT) {
			deadline = MIN(timeout_ns, (u64)INT64_MAX) + clock_mono_ns();
		}
	}
	switch (cmd) {
	case FUTEX_WAIT:
		val3 = FUTEX_BITSET_MATCH_ANY;
		fallthrough;
	case FUTEX_WAIT_BITSET:
		return futex_wait_call(uaddr, shared, val, deadline, realtime, val3);
	case FUTEX_WAKE:
		val3 = FUTEX_BITSET_MATCH_ANY;
		fallthrough;
	case FUTEX_WAKE_BITSET:
		return futex_wake(uaddr, shared, (int)val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(uaddr, uaddr2, shared, (int)val, (int)val2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(uaddr, uaddr2, shared, (int)val, (int)val2, &val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(uaddr, uaddr2, shared, (int)val, (int)val2, val3);
	default:
		return -ENOSYS;		/* priority inheritance, and nothing at all */
	}
}

/* ---- robust lists: get_robust_list(2) ---- */

/*
 * The owner of a lock word ends: mark it, and wake one waiter, who finds the
 * mark. pending: the thread was between taking or releasing and its list, the
 * word may be free already with a waiter that nobody will wake.
 */
static int futex_owner_died(struct task *t, uptr_t uaddr, bool pi, bool pending)
{
	u32 val, found;

	might_fault();
	if (uaddr.addr % sizeof(u32) || hal_user_load_u32(uaddr, &val))
		return -EFAULT;
	if (pending && !pi && !(val & FUTEX_TID_MASK)) {
		futex_wake_user(uaddr, 1);
		return 0;
	}
	while ((val & FUTEX_TID_MASK) == (u32)t->pid->nr) {
		if (hal_user_cmpxchg_u32(uaddr, val, (val & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &found))
			return -EFAULT;
		if (found == val) {
			if (!pi && (val & FUTEX_WAITERS))
				futex_wake_user(uaddr, 1);
			break;
		}
		val = found;
	}
	return 0;
}

static int futex_load_entry(uptr_t at, uptr_t *entry, bool *pi)
{
	u64 word;

	might_fault();
	if (hal_user_load_u64(at, &word))
		return -EFAULT;
	*entry = uptr(word & ~1ULL);
	*pi = word & 1;
	return 0;
}

void futex_exit_robust(struct task *t)
{
	uptr_t head = t->robust_list, entry, next, pending;
	bool pi, next_pi, pending_pi;
	u64 offset;
	int left = ROBUST_LIST_LIMIT;
	int err;

	if (futex_load_entry(head, &entry, &pi) ||
	    hal_user_load_u64(uptr_add(head, offsetof(struct robust_list_head, futex_offset)), &offset) ||
	    futex_load_entry(uptr_add(head, offsetof(struct robust_list_head, list_op_pending)), &pending,
			     &pending_pi))
		return;
	while (entry.addr != head.addr) {
		/* The next one first: who is woken may free this one. */
		err = futex_load_entry(entry, &next, &next_pi);
		if (entry.addr != pending.addr &&
		    futex_owner_died(t, uptr_add(entry, offset), pi, false))
			return;
		if (err || !--left)
			return;
		entry = next;
		pi = next_pi;
		sched_relax();
	}
	if (pending.addr)
		(void)futex_owner_died(t, uptr_add(pending, offset), pending_pi, true);
}
