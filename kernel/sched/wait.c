/*
 * Wait queues, timed sleeps and completions. The protocol is in wait.h.
 */
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/sched/clock.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/timer.h>
#include <kernel/sched/wait.h>

void waitq_init(struct waitq *q)
{
	spin_init(&q->lock, "waitq", LOCK_RANK_WAITQ);
	list_init(&q->head);
}

static void link_entry(struct waitq *q, struct wait_entry *e)
{
	if (e->flags & WAIT_EXCLUSIVE)
		list_add_tail(&e->node, &q->head);
	else
		list_add_head(&e->node, &q->head);
}

void waitq_add(struct waitq *q, struct wait_entry *e)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);

	link_entry(q, e);
	spin_unlock_irqrestore(&q->lock, flags);
}

void waitq_del(struct waitq *q, struct wait_entry *e)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);

	list_del_init(&e->node);
	spin_unlock_irqrestore(&q->lock, flags);
}

void waitq_wake_key(struct waitq *q, u32 nr_exclusive, u32 key)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);
	struct wait_entry *e, *next;

	list_for_each_entry_safe(e, next, &q->head, node) {
		bool exclusive = e->flags & WAIT_EXCLUSIVE; /* the callback may unlink and release e */

		if (e->wake(e, key) && exclusive && !--nr_exclusive)
			break;
	}
	spin_unlock_irqrestore(&q->lock, flags);
}

/*
 * The waker unlinks the entry, so that the woken thread need not take the lock again; it looks at
 * its node's emptiness in wait_finish(). The entry lives on the waiter's stack: it is not touched after
 * the node says that it is unlinked.
 */
int wait_wake_thread(struct wait_entry *e, u32 key)
{
	struct thread *t = e->thread;
	int woke;

	(void)key;
	woke = thread_wake(t);
	if (woke) {
		list_unlink(&e->node);
		e->node.prev = &e->node;
		__atomic_store_n(&e->node.next, &e->node, __ATOMIC_RELEASE);
	}
	return woke;
}

void wait_prepare(struct waitq *q, struct wait_entry *e, u32 state)
{
	irqflags_t flags = spin_lock_irqsave(&q->lock);

	if (list_empty(&e->node))
		link_entry(q, e);
	thread_set_state(e->thread, state);
	spin_unlock_irqrestore(&q->lock, flags);
}

void wait_finish(struct waitq *q, struct wait_entry *e)
{
	thread_set_state(e->thread, THREAD_RUNNABLE);
	if (__atomic_load_n(&e->node.next, __ATOMIC_ACQUIRE) != &e->node)
		waitq_del(q, e);
}

struct sleep_timer {
	struct timer timer;
	struct thread *thread; /* [I] */
	bool fired; /* [a] */
};

static void sleep_timer_fn(struct timer *timer)
{
	struct sleep_timer *s = container_of(timer, struct sleep_timer, timer);
	struct thread *t = s->thread;

	WRITE_ONCE(s->fired, true);
	thread_wake(t);
}

static inline int sleep_verdict(u32 state)
{
	struct thread *me = current_thread();

	if (state == THREAD_INTERRUPTIBLE && thread_interrupted(me))
		return -ERESTARTSYS;
	if (state == THREAD_KILLABLE && READ_ONCE(me->fatal))
		return -ERESTARTSYS;
	return 0;
}

/* A real-time thread wakes when it asked to: time(7). */
static inline u64 sleep_slack(const struct thread *t)
{
	return t->sp.rt_priority ? 0 : t->slack_ns;
}

static int sleep_with_timer(u32 state, u64 deadline_ns)
{
	struct sleep_timer s = { .thread = current_thread() };

	if (clock_mono_ns() >= deadline_ns)
		return -ETIMEDOUT;
	timer_init(&s.timer, sleep_timer_fn);
	timer_arm_slack(&s.timer, deadline_ns, sleep_slack(s.thread));
	schedule();
	timer_cancel_sync(&s.timer);
	if (READ_ONCE(s.fired) || clock_mono_ns() >= deadline_ns)
		return -ETIMEDOUT;
	return sleep_verdict(state);
}

int wait_sleep(const char *why, u32 state, u64 deadline_ns)
{
	struct thread *me = current_thread();
	int result;

	me->wait_why = why;
	if (likely(deadline_ns == WAIT_FOREVER)) {
		schedule();		/* returns at once when a signal has ended the wait before it began */
		result = sleep_verdict(state);
	} else {
		result = sleep_verdict(state);
		if (!result)
			result = sleep_with_timer(state, deadline_ns);
	}
	me->wait_why = NULL;
	return result;
}

int thread_sleep_until(u64 deadline_ns, u32 state, const char *why)
{
	int result = wait_sleep(why, state, deadline_ns);

	thread_set_state(current_thread(), THREAD_RUNNABLE);
	return result;
}

/* ---- completions ------------------------------------------------------------------------------- */

void completion_init(struct completion *c)
{
	c->done = 0;
	waitq_init(&c->q);
}

#define COMPLETION_ALL (~0u)

/*
 * The count changes under the queue's lock, and the wake-up happens under the same hold: a waiter that
 * saw `done` may free the completion as soon as it has taken the lock once more (see below).
 */
static void complete_common(struct completion *c, bool all)
{
	irqflags_t flags = spin_lock_irqsave(&c->q.lock);
	struct wait_entry *e, *next;

	if (all)
		c->done = COMPLETION_ALL;
	else if (c->done != COMPLETION_ALL)
		c->done++;
	list_for_each_entry_safe(e, next, &c->q.head, node)
		if (e->wake(e, 0) && !all)
			break;
	spin_unlock_irqrestore(&c->q.lock, flags);
}

void complete(struct completion *c)
{
	complete_common(c, false);
}

void complete_all(struct completion *c)
{
	complete_common(c, true);
}

static bool completion_take(struct completion *c)
{
	irqflags_t flags = spin_lock_irqsave(&c->q.lock);
	bool done = c->done;

	if (done && c->done != COMPLETION_ALL)
		c->done--;
	spin_unlock_irqrestore(&c->q.lock, flags);
	return done;
}

static int completion_wait(struct completion *c, u32 state, const char *why)
{
	struct wait_entry e = {
		.node = LIST_HEAD_INIT(e.node), .thread = current_thread(), .wake = wait_wake_thread, .flags = WAIT_EXCLUSIVE
	};
	int result = 0;

	might_sleep();
	for (;;) {
		wait_prepare(&c->q, &e, state);
		if (completion_take(c)) {
			result = 0;
			break;
		}
		if (result)
			break;
		result = wait_sleep(why, state, WAIT_FOREVER);
	}
	wait_finish(&c->q, &e);
	return result;
}

void wait_for_completion(struct completion *c, const char *why)
{
	(void)completion_wait(c, THREAD_UNINTERRUPTIBLE, why);
}

int wait_for_completion_killable(struct completion *c, const char *why)
{
	return completion_wait(c, THREAD_KILLABLE, why) ? -EINTR : 0;
}
