/*
 * Work queues, and the thread that runs RCU callbacks. The contract is in work.h.
 */
#include <kernel/core/assert.h>
#include <kernel/core/rcu.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/work.h>

struct workq system_work;

static bool workq_has_items(struct workq *wq)
{
	return !list_empty(&wq->items);
}

static struct work *workq_take(struct workq *wq)
{
	irqflags_t flags = spin_lock_irqsave(&wq->lock);
	struct work *w = list_first_entry_or_null(&wq->items, struct work, node);

	if (w) {
		list_del_init(&w->node);
		w->queued = false; /* from here on it may be queued again, also by itself */
	}
	wq->running = w;
	spin_unlock_irqrestore(&wq->lock, flags);
	return w;
}

static void workq_main(void *arg)
{
	struct workq *wq = arg;
	struct work *w;

	for (;;) {
		WAIT_EVENT_IDLE(&wq->wait, workq_has_items(wq), "workqueue");
		while ((w = workq_take(wq)))
			w->fn(w); /* may free w */
		waitq_wake_all(&wq->wait); /* flushers */
	}
}

int workq_init(struct workq *wq, const char *name)
{
	spin_init(&wq->lock, name, LOCK_RANK_WORK);
	list_init(&wq->items);
	waitq_init(&wq->wait);
	wq->name = name;
	wq->running = NULL;
	wq->worker = kthread_run(workq_main, wq, name);
	return wq->worker ? 0 : -ENOMEM;
}

void work_init(struct work *w, void (*fn)(struct work *))
{
	list_init(&w->node);
	w->fn = fn;
	w->queued = false;
}

bool work_queue(struct workq *wq, struct work *w)
{
	irqflags_t flags = spin_lock_irqsave(&wq->lock);
	bool fresh = !w->queued;

	if (fresh) {
		w->queued = true;
		list_add_tail(&w->node, &wq->items);
	}
	spin_unlock_irqrestore(&wq->lock, flags);
	if (fresh)
		waitq_wake_all(&wq->wait);
	return fresh;
}

struct flush_work {
	struct work work;
	struct completion done;
};

static void flush_fn(struct work *w)
{
	complete(&container_of(w, struct flush_work, work)->done);
}

void workq_flush(struct workq *wq)
{
	struct flush_work f;

	might_sleep();
	work_init(&f.work, flush_fn);
	completion_init(&f.done);
	work_queue(wq, &f.work);
	wait_for_completion(&f.done, "workqueue flush");
}

/* ---- RCU --------------------------------------------------------------------------------------- */

#define RCU_NICE (-20)

static struct waitq rcu_waitq = WAITQ_INIT(rcu_waitq);
static bool rcu_ready; /* [a] callbacks whose grace period is over wait for the thread */

static void rcu_wake(void)
{
	WRITE_ONCE(rcu_ready, true);
	waitq_wake_all(&rcu_waitq);
}

/*
 * What waits here is memory. Hundreds of busy threads that all make garbage must not make its collector wait for
 * its turn among them: it comes first, and its work is bounded by theirs.
 */
static void rcu_main(void *arg)
{
	(void)arg;
	sched_set_nice(current_thread(), RCU_NICE);
	for (;;) {
		WAIT_EVENT_IDLE(&rcu_waitq, __atomic_exchange_n(&rcu_ready, false, __ATOMIC_SEQ_CST), "rcu");
		rcu_run_callbacks();
	}
}

struct rcu_sync {
	struct rcu_head head;
	struct completion done;
};

static void rcu_sync_fn(struct rcu_head *head)
{
	complete(&container_of(head, struct rcu_sync, head)->done);
}

void synchronize_rcu(void)
{
	struct rcu_sync s;

	might_sleep();
	completion_init(&s.done);
	call_rcu(&s.head, rcu_sync_fn);
	rcu_expedite();
	wait_for_completion(&s.done, "synchronize_rcu");
}

/* The callbacks of one CPU run in order: one more at the end of each CPU's queue, one after the other. */
void rcu_barrier(void)
{
	struct thread *me = current_thread();
	struct cpumask before = me->affinity, one;
	u32 cpu;

	for_each_online_cpu(cpu) {
		cpumask_clear(&one);
		cpumask_set(&one, cpu);
		if (sched_set_affinity(me, &one) == 0)
			synchronize_rcu();
	}
	(void)sched_set_affinity(me, &before);
}

void sched_work_init(void)
{
	VERIFY(workq_init(&system_work, "work") == 0);
	VERIFY(kthread_run(rcu_main, NULL, "rcu"));
	rcu_wake_hook = rcu_wake;
}
