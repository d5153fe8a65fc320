/*
 * Mutex and reader-writer semaphore. The contract is in mutex.h.
 *
 * Both have one word for the case without contention and a FIFO of waiters under the wait queue's
 * lock. As soon as somebody waits, the WAITERS bit keeps everybody off the fast path, and of those in the queue only the first
 * may take the lock: strict order, no starvation, and the slow paths are plain code under a lock.
 *
 * In front of the queue, who finds the lock taken spins as long as the holder is on a CPU (and, for a mutex, nobody waits): it is
 * about to be released, and two switches cost more than that. For at most SPIN_NS, and not when the CPU is wanted. The
 * holder is never followed, only compared with what each CPU runs: it may be gone.
 */
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/lockdep.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>

#define SPIN_NS 50000ull
#define READER_SPIN_NS 20000ull

#define MUTEX_WAITERS 1ull
#define WAIT_WRITER (1u << 1) /* wait_entry.flags, private to the rwsem */

static inline bool word_cmpxchg(u64 *word, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(word, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline u64 word_load(const u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static bool is_first(const struct waitq *q, const struct wait_entry *e)
{
	return q->head.next == &e->node;
}

/* Wakes the first waiter and leaves it in the queue: it takes itself out when it has the lock. [q->lock] */
static void wake_first(struct waitq *q)
{
	if (!list_empty(&q->head))
		thread_wake(list_first_entry(&q->head, struct wait_entry, node)->thread);
}

/* Sleeps with the queue's lock dropped. True when the wait shall end without the lock. [q->lock] */
static bool lock_sleep(struct waitq *q, u32 state, const char *why, irqflags_t *flags)
{
	struct thread *me = current_thread();

	if ((state == THREAD_KILLABLE && READ_ONCE(me->fatal)) ||
	    (state == THREAD_INTERRUPTIBLE && thread_interrupted(me)))
		return true;
	thread_set_state(me, state);
	spin_unlock_irqrestore(&q->lock, *flags);
	me->wait_why = why;
	schedule();
	me->wait_why = NULL;
	*flags = spin_lock_irqsave(&q->lock);
	return false;
}

#if HALCYON_DEBUG

/* For the hung-task detector and the statistics: what the thread waits for, and how long it took. */
static u64 lock_wait_begin(struct lock_class_ref *dep)
{
	WRITE_ONCE(current_thread()->blocked_on, dep);
	return hal_cycles();
}

/* result: of the wait. */
static void lock_wait_end(struct lock_class_ref *dep, u64 start, int result)
{
	WRITE_ONCE(current_thread()->blocked_on, NULL);
	if (!result)
		lock_dep_waited(dep, hal_cycles() - start);
}

#else

static inline u64 lock_wait_begin(struct lock_class_ref *dep)
{
	(void)dep;
	return 0;
}

static inline void lock_wait_end(struct lock_class_ref *dep, u64 start, int result)
{
	(void)dep, (void)start, (void)result;
}

#endif

/* ---- mutex ------------------------------------------------------------------------------------- */

void mutex_init(struct mutex *m, const char *name, u32 rank)
{
	m->owner = 0;
	waitq_init(&m->waiters);
	lock_dep_init(&m->dep, name, rank);
}

static inline u64 mutex_me(void)
{
	return (u64)current_thread();
}

/* [waiters.lock] `e` is first and the mutex is free: takes it. */
static void mutex_grant(struct mutex *m, struct wait_entry *e)
{
	list_del_init(&e->node);
	__atomic_store_n(&m->owner, mutex_me() | (list_empty(&m->waiters.head) ? 0 : MUTEX_WAITERS),
			 __ATOMIC_RELEASE);
}

/* [waiters.lock] gives up waiting. */
static void mutex_leave_queue(struct mutex *m, struct wait_entry *e)
{
	list_del_init(&e->node);
	if (list_empty(&m->waiters.head))
		__atomic_fetch_and(&m->owner, ~MUTEX_WAITERS, __ATOMIC_ACQ_REL);
	else if (!(word_load(&m->owner) & ~MUTEX_WAITERS))
		wake_first(&m->waiters); /* the wake-up that was ours may have been for a free mutex */
}

/* True: taken. False: queue up. */
static bool mutex_spin(struct mutex *m)
{
	u64 end = hal_clock_ns() + SPIN_NS;
	u32 where = MAX_CPUS;

	while (sched_has_other_cpus()) {
		u64 owner = word_load(&m->owner);

		if (!owner && word_cmpxchg(&m->owner, 0, mutex_me()))
			return true;
		if (owner & MUTEX_WAITERS || sched_need_resched() || hal_clock_ns() >= end)
			return false;
		if (owner && !sched_is_running((const struct thread *)owner, &where))
			return false;
		hal_cpu_relax();
	}
	return false;
}

static int mutex_lock_slow(struct mutex *m, u32 state)
{
	struct wait_entry e = { .thread = current_thread(), .flags = WAIT_EXCLUSIVE };
	u64 start = lock_wait_begin(&m->dep);
	irqflags_t flags;
	int result = 0;

	if (mutex_spin(m)) {
		lock_wait_end(&m->dep, start, 0);
		return 0;
	}
	flags = spin_lock_irqsave(&m->waiters.lock);
	list_add_tail(&e.node, &m->waiters.head);
	for (;;) {
		u64 old = __atomic_fetch_or(&m->owner, MUTEX_WAITERS, __ATOMIC_ACQ_REL);

		if (!(old & ~MUTEX_WAITERS) && is_first(&m->waiters, &e)) {
			mutex_grant(m, &e);
			break;
		}
		if (lock_sleep(&m->waiters, state, "mutex", &flags)) {
			mutex_leave_queue(m, &e);
			result = -EINTR;
			break;
		}
	}
	spin_unlock_irqrestore(&m->waiters.lock, flags);
	lock_wait_end(&m->dep, start, result);
	return result;
}

static __always_inline void mutex_take(struct mutex *m)
{
	if (unlikely(!word_cmpxchg(&m->owner, 0, mutex_me())))
		(void)mutex_lock_slow(m, THREAD_UNINTERRUPTIBLE);
}

void mutex_lock(struct mutex *m)
{
	might_sleep();
	lock_dep_acquire(&m->dep, _RET_IP_);
	mutex_take(m);
}

void mutex_lock_nested(struct mutex *m)
{
	might_sleep();
	lock_dep_acquire_nested(&m->dep, _RET_IP_);
	mutex_take(m);
}

static int mutex_lock_state(struct mutex *m, u32 state)
{
	might_sleep();
	lock_dep_acquire(&m->dep, _RET_IP_);
	if (likely(word_cmpxchg(&m->owner, 0, mutex_me())) || !mutex_lock_slow(m, state))
		return 0;
	lock_dep_release(&m->dep);
	return -EINTR;
}

int mutex_lock_killable(struct mutex *m)
{
	return mutex_lock_state(m, THREAD_KILLABLE);
}

int mutex_lock_interruptible(struct mutex *m)
{
	return mutex_lock_state(m, THREAD_INTERRUPTIBLE) ? -ERESTARTSYS : 0;
}

bool mutex_trylock(struct mutex *m)
{
	if (!word_cmpxchg(&m->owner, 0, mutex_me()))
		return false;
	lock_dep_acquire_try(&m->dep, _RET_IP_);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	irqflags_t flags;

	ASSERT(mutex_is_mine(m));
	lock_dep_release(&m->dep);
	if (likely(word_cmpxchg(&m->owner, mutex_me(), 0)))
		return;
	flags = spin_lock_irqsave(&m->waiters.lock);
	__atomic_store_n(&m->owner, list_empty(&m->waiters.head) ? 0 : MUTEX_WAITERS, __ATOMIC_RELEASE);
	wake_first(&m->waiters);
	spin_unlock_irqrestore(&m->waiters.lock, flags);
}

bool mutex_is_mine(const struct mutex *m)
{
	return (word_load(&m->owner) & ~MUTEX_WAITERS) == mutex_me();
}

/* ---- rwsem ------------------------------------------------------------------------------------- */

/*
 * A convoy is when every holder finds somebody asleep in the queue, keeps the lock free until he has woken up, and so falls asleep
 * himself: a wake-up, two switches and an interrupt for each section. Therefore who spins may take a free lock ahead of sleepers
 * (rwsem_may_pass()), which are woken when it is free, and only then (rwsem_wake_first()). But only while the first of
 * them is on his way: when he runs, and has lost, he sets HANDOFF, and from then on nobody gets it but him. So a waiter is woken at
 * most twice for one lock, and is passed only by those who come during one wake-up of his.
 */
#define RWSEM_WRITER 1ull
#define RWSEM_WAITERS 2ull /* somebody is in the queue */
#define RWSEM_HANDOFF 4ull /* ... and the first of them has been passed: nobody else gets the lock */
#define RWSEM_READER 8ull /* one reader */

void rwsem_init(struct rwsem *s, const char *name, u32 rank)
{
	s->count = 0;
	s->writer = NULL;
	waitq_init(&s->waiters);
	lock_dep_init(&s->dep, name, rank);
}

/* Adds a reader unless a writer has it or somebody waits. */
static bool rwsem_read_fast(struct rwsem *s)
{
	u64 old = word_load(&s->count);

	while (!(old & (RWSEM_WRITER | RWSEM_WAITERS)))
		if (__atomic_compare_exchange_n(&s->count, &old, old + RWSEM_READER, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* For the first in the queue, with such a count. */
static inline bool rwsem_is_open(u64 count, bool writer)
{
	return !(count & RWSEM_WRITER) && (!writer || count < RWSEM_READER);
}

/* For who is not in the queue. Readers join readers only when nobody waits: else a writer would wait for ever new ones. */
static inline bool rwsem_may_pass(u64 count, bool writer)
{
	return rwsem_is_open(count, writer) && !(count & RWSEM_HANDOFF) && (count < RWSEM_READER || !(count & RWSEM_WAITERS));
}

/* [waiters.lock] Wakes the first in the queue if he could take it now. If not, who has it wakes him when he leaves. */
static void rwsem_wake_first(struct rwsem *s)
{
	const struct wait_entry *e;

	if (list_empty(&s->waiters.head))
		return;
	e = list_first_entry(&s->waiters.head, struct wait_entry, node);
	if (rwsem_is_open(word_load(&s->count), e->flags & WAIT_WRITER))
		thread_wake(e->thread);
}

/* [waiters.lock] tries to take it for the first in the queue. */
static bool rwsem_grant(struct rwsem *s, struct wait_entry *e)
{
	bool writer = e->flags & WAIT_WRITER;
	u64 old = word_load(&s->count), new;

	do {
		if (!rwsem_is_open(old, writer))
			return false;
		new = (old & ~(RWSEM_WAITERS | RWSEM_HANDOFF)) + (writer ? RWSEM_WRITER : RWSEM_READER);
		if (!list_is_singular(&s->waiters.head))
			new |= RWSEM_WAITERS;
	} while (!__atomic_compare_exchange_n(&s->count, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	list_del_init(&e->node);
	rwsem_wake_first(s); /* after a reader: the next may be one too */
	return true;
}

/* [waiters.lock] gives up waiting: the wake-up that was his may have been for a free lock. */
static void rwsem_leave_queue(struct rwsem *s, struct wait_entry *e)
{
	u64 gone = is_first(&s->waiters, e) ? RWSEM_HANDOFF : 0;

	list_del_init(&e->node);
	if (list_empty(&s->waiters.head))
		gone |= RWSEM_WAITERS;
	__atomic_fetch_and(&s->count, ~gone, __ATOMIC_ACQ_REL);
	rwsem_wake_first(s);
}

/*
 * True: taken; for the first in the queue (HANDOFF is set): it is open. A writer that has it is watched: when he is on no CPU, it
 * lasts. Readers are many and have no names, so they are waited for only a while.
 */
static bool rwsem_spin(struct rwsem *s, bool writer, bool first)
{
	u64 start = 0, readers_since = 0;
	u32 where = MAX_CPUS;

	while (sched_has_other_cpus()) {
		u64 count = word_load(&s->count), now;
		const struct thread *holder = READ_ONCE(s->writer);

		if (first ? rwsem_is_open(count, writer) :
			    rwsem_may_pass(count, writer) && word_cmpxchg(&s->count, count, count + (writer ? RWSEM_WRITER : RWSEM_READER)))
			return true;
		now = hal_clock_ns();
		if (!start)
			start = now;
		if (count & RWSEM_WRITER || count < RWSEM_READER)
			readers_since = 0;
		else if (!readers_since)
			readers_since = now;
		if (sched_need_resched() || now - start >= SPIN_NS || (readers_since && now - readers_since >= READER_SPIN_NS))
			return false;
		if (count & RWSEM_WRITER && holder && !sched_is_running(holder, &where))
			return false;
		hal_cpu_relax();
	}
	return false;
}

/*
 * [waiters.lock] He has been woken, and somebody has passed him: not twice. The lock is dropped meanwhile.
 */
static bool rwsem_claim(struct rwsem *s, struct wait_entry *e, irqflags_t *flags)
{
	__atomic_fetch_or(&s->count, RWSEM_HANDOFF, __ATOMIC_ACQ_REL);
	spin_unlock_irqrestore(&s->waiters.lock, *flags);
	(void)rwsem_spin(s, e->flags & WAIT_WRITER, true);
	*flags = spin_lock_irqsave(&s->waiters.lock);
	return rwsem_grant(s, e);
}

/* [waiters.lock] in the queue until it is his, or he need not wait any more: -EINTR. */
static int rwsem_wait(struct rwsem *s, struct wait_entry *e, u32 state, irqflags_t *flags)
{
	bool woken = false;

	while (!is_first(&s->waiters, e) || !(rwsem_grant(s, e) || (woken && rwsem_claim(s, e, flags)))) {
		if (lock_sleep(&s->waiters, state, "rwsem", flags)) {
			rwsem_leave_queue(s, e);
			return -EINTR;
		}
		woken = true;
	}
	return 0;
}

static int rwsem_lock_slow(struct rwsem *s, u32 entry_flags, u32 state)
{
	struct wait_entry e = { .thread = current_thread(), .flags = WAIT_EXCLUSIVE | entry_flags };
	u64 start = lock_wait_begin(&s->dep);
	irqflags_t flags;
	int result = 0;

	if (!rwsem_spin(s, entry_flags & WAIT_WRITER, false)) {
		flags = spin_lock_irqsave(&s->waiters.lock);
		list_add_tail(&e.node, &s->waiters.head);
		__atomic_fetch_or(&s->count, RWSEM_WAITERS, __ATOMIC_ACQ_REL);
		result = rwsem_wait(s, &e, state, &flags);
		spin_unlock_irqrestore(&s->waiters.lock, flags);
	}
	lock_wait_end(&s->dep, start, result);
	return result;
}

static void rwsem_wake(struct rwsem *s)
{
	irqflags_t flags = spin_lock_irqsave(&s->waiters.lock);

	rwsem_wake_first(s);
	spin_unlock_irqrestore(&s->waiters.lock, flags);
}

static __always_inline void rwsem_read_take(struct rwsem *s)
{
	if (unlikely(!rwsem_read_fast(s)))
		(void)rwsem_lock_slow(s, 0, THREAD_UNINTERRUPTIBLE);
}

void rwsem_read_lock(struct rwsem *s)
{
	might_sleep();
	lock_dep_acquire(&s->dep, _RET_IP_);
	rwsem_read_take(s);
}

void rwsem_read_lock_nested(struct rwsem *s)
{
	might_sleep();
	lock_dep_acquire_nested(&s->dep, _RET_IP_);
	rwsem_read_take(s);
}

bool rwsem_read_trylock(struct rwsem *s)
{
	if (!rwsem_read_fast(s))
		return false;
	lock_dep_acquire_try(&s->dep, _RET_IP_);
	return true;
}

void rwsem_read_unlock(struct rwsem *s)
{
	u64 now;

	lock_dep_release(&s->dep);
	now = __atomic_sub_fetch(&s->count, RWSEM_READER, __ATOMIC_ACQ_REL);
	if (unlikely((now & ~RWSEM_HANDOFF) == RWSEM_WAITERS))
		rwsem_wake(s);
}

static void rwsem_write_locked(struct rwsem *s)
{
	WRITE_ONCE(s->writer, current_thread());
}

static __always_inline void rwsem_write_take(struct rwsem *s)
{
	if (unlikely(!word_cmpxchg(&s->count, 0, RWSEM_WRITER)))
		(void)rwsem_lock_slow(s, WAIT_WRITER, THREAD_UNINTERRUPTIBLE);
	rwsem_write_locked(s);
}

void rwsem_write_lock(struct rwsem *s)
{
	might_sleep();
	lock_dep_acquire(&s->dep, _RET_IP_);
	rwsem_write_take(s);
}

void rwsem_write_lock_nested(struct rwsem *s)
{
	might_sleep();
	lock_dep_acquire_nested(&s->dep, _RET_IP_);
	rwsem_write_take(s);
}

int rwsem_write_lock_killable(struct rwsem *s)
{
	might_sleep();
	lock_dep_acquire(&s->dep, _RET_IP_);
	if (unlikely(!word_cmpxchg(&s->count, 0, RWSEM_WRITER)) && rwsem_lock_slow(s, WAIT_WRITER, THREAD_KILLABLE)) {
		lock_dep_release(&s->dep);
		return -EINTR;
	}
	rwsem_write_locked(s);
	return 0;
}

bool rwsem_write_trylock(struct rwsem *s)
{
	if (!word_cmpxchg(&s->count, 0, RWSEM_WRITER))
		return false;
	lock_dep_acquire_try(&s->dep, _RET_IP_);
	rwsem_write_locked(s);
	return true;
}

void rwsem_write_unlock(struct rwsem *s)
{
	ASSERT(s->writer == current_thread());
	WRITE_ONCE(s->writer, NULL);
	lock_dep_release(&s->dep);
	if (__atomic_sub_fetch(&s->count, RWSEM_WRITER, __ATOMIC_ACQ_REL) & RWSEM_WAITERS)
		rwsem_wake(s);
}

void rwsem_downgrade(struct rwsem *s)
{
	ASSERT(s->writer == current_thread());
	WRITE_ONCE(s->writer, NULL);
	if (__atomic_add_fetch(&s->count, RWSEM_READER - RWSEM_WRITER, __ATOMIC_ACQ_REL) & RWSEM_WAITERS)
		rwsem_wake(s);
}

bool rwsem_is_locked(const struct rwsem *s)
{
	return word_load(&s->count) & ~(RWSEM_WAITERS | RWSEM_HANDOFF);
}
