/* SPDX-License-Identifier: MIT */
/*
 * Work queues. The contract is in work.h.
 *
 * `pending` has one owner: who changes it from WORK_FREE to WORK_QUEUED may put the item into a lane, and does so at once,
 * with interrupts off from before the change, or by a timer. It goes back under the lane's lock when the worker takes the
 * item to run it, or somebody cancels it. So an item is in at most one list, and `lane` says in which.
 *
 * Who cancels and waits makes it WORK_HELD, from either value, until the execution that he found is over: nobody can
 * queue the item meanwhile, so one that queues itself each time it runs is waited for once. Executions are numbered, because a lane
 * that takes the same item twice in a row leaves no moment in between at which a sleeper could see it not running.
 *
 * Two lanes never run one item: its next owner looks under the lock of the lane where it was last whether it runs there, and
 * if so puts it there again. (It cannot begin to run anywhere else meanwhile: only the owner could queue it.)
 *
 * A lane's thread belongs to its CPU. While the CPU is offline the thread runs anywhere, to end what was left there, and
 * nobody queues more; when the CPU is back, so is the thread.
 *
 * Locks: lane->lock, irqs off; workq_mutex for the list of queues and the making of lanes.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/percpu.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/sched/work.h>
#include <lib/printf.h>
#include <lib/string.h>

struct work_lane {
	struct spinlock lock; /* rank LOCK_RANK_WORK */
	struct list_head items; /* [lock] */
	struct work *running; /* [lock] */
	u64 run; /* [lock] the number of the execution, or of the last one */
	struct waitq wait; /* the worker */
	struct waitq idle_wait; /* who waits for an item to have ended */
	struct thread *worker; /* [I] */
};

enum { WORK_FREE, WORK_QUEUED, WORK_HELD }; /* work.pending */

struct workq system_work, unbound_work;

static struct mutex workq_mutex;
static LIST_HEAD(workq_list); /* [workq_mutex] those with a lane per CPU */

/* ---- the worker -------------------------------------------------------------------------------- */

static bool lane_is_wanted(struct work_lane *lane)
{
	return !list_empty(&lane->items) || kthread_should_stop();
}

/* The item before is over with this, and who waits for that hears it now, not when the next one has run. */
static struct work *lane_take(struct work_lane *lane)
{
	irqflags_t flags = spin_lock_irqsave(&lane->lock);
	struct work *w = list_first_entry_or_null(&lane->items, struct work, node);

	if (w) {
		list_del_init(&w->node);
		__atomic_store_n(&w->pending, WORK_FREE, __ATOMIC_RELEASE); /* it may be queued again, also by itself */
		lane->run++;
	}
	WRITE_ONCE(lane->running, w);
	spin_unlock_irqrestore(&lane->lock, flags);
	waitq_wake_all(&lane->idle_wait);
	return w;
}

static void lane_main(void *arg)
{
	struct work_lane *lane = arg;
	struct work *w;

	while (!kthread_should_stop() || !list_empty(&lane->items)) {
		WAIT_EVENT_IDLE(&lane->wait, lane_is_wanted(lane), "workqueue");
		while ((w = lane_take(lane)))
			w->fn(w); /* may free w */
	}
}

/* cpu: MAX_CPUS for a thread that runs anywhere. That of a CPU which is not there yet does so until it comes. */
static struct work_lane *lane_create(const char *name, u32 cpu)
{
	struct work_lane *lane = kzalloc(sizeof(*lane), 0);
	char text[THREAD_NAME_BYTES];

	if (!lane)
		return NULL;
	spin_init(&lane->lock, "workqueue", LOCK_RANK_WORK);
	list_init(&lane->items);
	waitq_init(&lane->wait);
	waitq_init(&lane->idle_wait);
	if (cpu == MAX_CPUS)
		strscpy(text, name, sizeof(text));
	else
		snprintf(text, sizeof(text), "%s/%u", name, cpu);
	lane->worker = cpu != MAX_CPUS && hal_cpu_online(cpu) ? kthread_run_on(cpu, lane_main, lane, text) :
		       kthread_run(lane_main, lane, text);
	if (lane->worker)
		return lane;
	kfree(lane);
	return NULL;
}

static void lane_destroy(struct work_lane *lane)
{
	if (!lane)
		return;
	kthread_stop(lane->worker);
	kfree(lane);
}

/* ---- queueing ---------------------------------------------------------------------------------- */

/* Interrupts are off: who finds the item claimed and nowhere yet may wait for it by spinning. */
static bool work_claim(struct work *w)
{
	u32 none = WORK_FREE;

	return try_cmpxchg(&w->pending, &none, WORK_QUEUED);
}

static struct work_lane *lane_of(struct workq *wq, u32 cpu)
{
	struct work_lane *lane = wq->lanes ? __atomic_load_n(&wq->lanes[cpu], __ATOMIC_ACQUIRE) : NULL;

	return lane && hal_cpu_online(cpu) ? lane : wq->one;
}

/* Locks the lane in which the item is to run: where it runs now, if it does. Interrupts off. */
static struct work_lane *lane_lock_for(struct work *w, struct work_lane *wanted)
{
	struct work_lane *last = __atomic_load_n(&w->lane, __ATOMIC_ACQUIRE);

	if (last && last != wanted) {
		spin_lock(&last->lock);
		if (last->running == w)
			return last;
		spin_unlock(&last->lock);
	}
	spin_lock(&wanted->lock);
	return wanted;
}

/* The caller has claimed the item; interrupts off. */
static void work_insert(struct workq *wq, u32 cpu, struct work *w)
{
	struct work_lane *lane = lane_lock_for(w, lane_of(wq, cpu == MAX_CPUS ? hal_cpu_id() : cpu));

	__atomic_store_n(&w->lane, lane, __ATOMIC_RELEASE);
	smp_wmb(); /* work_is_in() */
	list_add_tail(&w->node, &lane->items);
	spin_unlock(&lane->lock);
	waitq_wake_all(&lane->wait);
}

void work_init(struct work *w, void (*fn)(struct work *))
{
	list_init(&w->node);
	w->fn = fn;
	w->lane = NULL;
	w->pending = WORK_FREE;
}

bool work_queue(struct workq *wq, struct work *w)
{
	return work_queue_on(MAX_CPUS, wq, w);
}

bool work_queue_on(u32 cpu, struct workq *wq, struct work *w)
{
	irqflags_t flags = hal_irq_save();
	bool mine = work_claim(w);

	if (mine)
		work_insert(wq, cpu, w);
	hal_irq_restore(flags);
	return mine;
}

/* ---- ending ------------------------------------------------------------------------------------ */

/*
 * [lane->lock] Is the item in this lane's list? It may be on its way into another one, under that one's lock. Who sees it in a list
 * sees in which, in this order: the lane is written before the node.
 */
static bool work_is_in(const struct work *w, const struct work_lane *lane)
{
	bool listed = !list_empty(&w->node);

	smp_rmb();
	return listed && READ_ONCE(w->lane) == lane;
}

/* 1: taken out of its list, and `pending` is what the caller wants; 0: it is not queued; -1: it is on its way into one. */
static int work_take_out(struct work *w, u32 becomes)
{
	irqflags_t flags;
	struct work_lane *lane;
	int result = 0;

	if (__atomic_load_n(&w->pending, __ATOMIC_ACQUIRE) != WORK_QUEUED)
		return 0;
	lane = __atomic_load_n(&w->lane, __ATOMIC_ACQUIRE);
	if (!lane)
		return -1;
	flags = spin_lock_irqsave(&lane->lock);
	if (w->pending == WORK_QUEUED) {
		result = work_is_in(w, lane) ? 1 : -1;
		if (result == 1) {
			list_del_init(&w->node);
			__atomic_store_n(&w->pending, becomes, __ATOMIC_RELEASE);
		}
	}
	spin_unlock_irqrestore(&lane->lock, flags);
	return result;
}

bool work_cancel(struct work *w)
{
	int result;

	while ((result = work_take_out(w, WORK_FREE)) < 0) /* whoever claimed it puts it somewhere at once */
		hal_cpu_relax();
	return result;
}

/* 0: it does not run. */
static u64 run_of(struct work_lane *lane, const struct work *w)
{
	irqflags_t flags = spin_lock_irqsave(&lane->lock);
	u64 run = lane->running == w ? lane->run : 0;

	spin_unlock_irqrestore(&lane->lock, flags);
	return run;
}

/* Waits until the execution that goes on now, if one does, is over. A lane's worker cannot wait for itself. */
static void work_wait_run(const struct work *w)
{
	struct work_lane *lane = __atomic_load_n(&w->lane, __ATOMIC_ACQUIRE);
	u64 run;

	if (!lane || lane->worker == current_thread())
		return;
	run = run_of(lane, w);
	if (run)
		WAIT_EVENT(&lane->idle_wait, run_of(lane, w) != run, "work_cancel");
}

/*
 * Makes the item the caller's, who alone can let it be queued again. 1: it was queued; 0: it was not; -1: somebody else holds
 * it. d: the item's timer is to be stopped, too; it is tried again until the item is somewhere: who claims it arms it or queues
 * it at once.
 */
static int work_hold(struct work *w, struct delayed_work *d)
{
	for (;;) {
		u32 was = WORK_FREE;

		if (try_cmpxchg(&w->pending, &was, WORK_HELD))
			return 0;
		if (was == WORK_HELD)
			return -1;
		if (d && timer_cancel_sync(&d->timer)) {
			__atomic_store_n(&w->pending, WORK_HELD, __ATOMIC_RELEASE);
			return 1;
		}
		if (work_take_out(w, WORK_HELD) == 1)
			return 1;
		hal_cpu_relax();
	}
}

static bool cancel_and_wait(struct work *w, struct delayed_work *d)
{
	int held;

	might_sleep();
	held = work_hold(w, d);
	work_wait_run(w);
	if (held >= 0)
		__atomic_store_n(&w->pending, WORK_FREE, __ATOMIC_RELEASE);
	return held > 0;
}

bool work_cancel_sync(struct work *w)
{
	return cancel_and_wait(w, NULL);
}

struct barrier_work {
	struct work work;
	struct completion done;
};

static void barrier_fn(struct work *w)
{
	complete(&container_of(w, struct barrier_work, work)->done);
}

/* Waits until all that is in the lane now has run. */
static void lane_flush(struct work_lane *lane)
{
	struct barrier_work b;
	irqflags_t flags;

	work_init(&b.work, barrier_fn);
	completion_init(&b.done);
	flags = spin_lock_irqsave(&lane->lock);
	b.work.pending = WORK_QUEUED;
	b.work.lane = lane;
	list_add_tail(&b.work.node, &lane->items);
	spin_unlock_irqrestore(&lane->lock, flags);
	waitq_wake_all(&lane->wait);
	wait_for_completion(&b.done, "workqueue flush");
}

void work_flush(struct work *w)
{
	struct work_lane *lane = __atomic_load_n(&w->lane, __ATOMIC_ACQUIRE);

	might_sleep();
	if (lane && (__atomic_load_n(&w->pending, __ATOMIC_ACQUIRE) == WORK_QUEUED || run_of(lane, w)))
		lane_flush(lane);
}

void workq_flush(struct workq *wq)
{
	u32 cpu;

	might_sleep();
	lane_flush(wq->one);
	if (!wq->lanes)
		return;
	for_each_possible_cpu(cpu) {
		struct work_lane *lane = __atomic_load_n(&wq->lanes[cpu], __ATOMIC_ACQUIRE);

		if (lane && lane != wq->one)
			lane_flush(lane);
	}
}

/* ---- delayed ----------------------------------------------------------------------------------- */

static void delayed_fire(struct timer *t)
{
	struct delayed_work *d = container_of(t, struct delayed_work, timer);
	irqflags_t flags = hal_irq_save();

	work_insert(d->wq, MAX_CPUS, &d->work);
	hal_irq_restore(flags);
}

void delayed_work_init(struct delayed_work *d, void (*fn)(struct work *))
{
	work_init(&d->work, fn);
	timer_init(&d->timer, delayed_fire);
	d->wq = NULL;
}

bool delayed_work_queue(struct workq *wq, struct delayed_work *d, u64 delay_ns)
{
	irqflags_t flags = hal_irq_save();
	bool mine = work_claim(&d->work);

	if (mine) {
		d->wq = wq;
		if (delay_ns)
			timer_arm(&d->timer, hal_clock_ns() + delay_ns);
		else
			work_insert(wq, MAX_CPUS, &d->work);
	}
	hal_irq_restore(flags);
	return mine;
}

bool delayed_work_cancel_sync(struct delayed_work *d)
{
	return cancel_and_wait(&d->work, d);
}

/* While somebody cancels it and waits, this does as little as any other queueing. */
void delayed_work_mod(struct workq *wq, struct delayed_work *d, u64 delay_ns)
{
	while (!delayed_work_queue(wq, d, delay_ns)) {
		if (work_hold(&d->work, d) < 0)
			return;
		__atomic_store_n(&d->work.pending, WORK_FREE, __ATOMIC_RELEASE);
	}
}

/* ---- queues ------------------------------------------------------------------------------------ */

static int workq_add_lane(struct workq *wq, u32 cpu)
{
	struct work_lane *lane;

	if (wq->lanes[cpu]) {
		if (hal_cpu_online(cpu))
			kthread_bind(wq->lanes[cpu]->worker, cpu); /* it came, or is back */
		return 0;
	}
	lane = lane_create(wq->name, cpu);
	if (!lane)
		return -ENOMEM;
	__atomic_store_n(&wq->lanes[cpu], lane, __ATOMIC_RELEASE);
	if (!wq->one)
		wq->one = lane;
	return 0;
}

static int workq_init_lanes(struct workq *wq)
{
	u32 cpu;
	int err = 0;

	wq->lanes = kzalloc(sizeof(wq->lanes[0]) * MAX_CPUS, 0);
	if (!wq->lanes)
		return -ENOMEM;
	mutex_lock(&workq_mutex);
	for_each_online_cpu(cpu) {
		err = workq_add_lane(wq, cpu);
		if (err)
			break;
	}
	if (!err)
		list_add_tail(&wq->all_node, &workq_list);
	mutex_unlock(&workq_mutex);
	return err;
}

int workq_init(struct workq *wq, const char *name, u32 flags)
{
	int err;

	*wq = (struct workq){ .name = name, .flags = flags };
	list_init(&wq->all_node);
	if (!(flags & WORKQ_PER_CPU)) {
		wq->one = lane_create(name, MAX_CPUS);
		return wq->one ? 0 : -ENOMEM;
	}
	err = workq_init_lanes(wq);
	if (err)
		workq_destroy(wq);
	return err;
}

void workq_destroy(struct workq *wq)
{
	mutex_lock(&workq_mutex);
	list_del_init(&wq->all_node);
	mutex_unlock(&workq_mutex);
	if (!wq->lanes) {
		lane_destroy(wq->one);
		return;
	}
	for (u32 cpu = 0; cpu < MAX_CPUS; cpu++)
		lane_destroy(wq->lanes[cpu]);
	kfree(wq->lanes);
}

/*
 * Prepare: lanes stay for ever, so a CPU that was left out at boot has its own from then on. Online: its threads move there, and
 * queues that were made in between get theirs.
 */
static int work_cpu_comes(u32 cpu)
{
	struct workq *wq;
	int err = 0;

	mutex_lock(&workq_mutex);
	list_for_each_entry(wq, &workq_list, all_node) {
		err = workq_add_lane(wq, cpu);
		if (err)
			break;
	}
	mutex_unlock(&workq_mutex);
	return err;
}

/* What was queued there is ended there, while its thread still has the CPU. */
static int work_cpu_offline(u32 cpu)
{
	struct workq *wq;

	mutex_lock(&workq_mutex);
	list_for_each_entry(wq, &workq_list, all_node)
		if (wq->lanes[cpu])
			lane_flush(wq->lanes[cpu]);
	mutex_unlock(&workq_mutex);
	return 0;
}

const struct cpuhp_step work_cpuhp = {
	.name = "work queues", .prepare = work_cpu_comes, .online = work_cpu_comes, .offline = work_cpu_offline,
};

void workq_boot(void)
{
	mutex_init(&workq_mutex, "work queues", LOCK_RANK_KTHREAD_LIST);
	VERIFY(workq_init(&system_work, "work", WORKQ_PER_CPU) == 0);
	VERIFY(workq_init(&unbound_work, "work/any", 0) == 0);
}
