/*
 * Threads: creation, end, and kernel threads.
 *
 * Who frees what. A dying thread cannot free the stack it stands on: it marks itself DEAD and switches
 * away for good; the thread that comes next on that CPU calls its release(), which drops the owner's
 * reference (a task) or frees all at once (a kernel thread).
 */
#include "internal.h"

#include <abi/linux/sched.h>
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/spinlock.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/completion.h>
#include <lib/string.h>

static struct thread boot_idle;

void sched_init(void)
{
	struct thread *idle = &boot_idle;
	size_t size;

	hal_boot_stack(&idle->hal.stack_base, &size);
	idle->hal.stack_size = size;
	idle->hal.canary = hal_percpu()->stack_canary;
	thread_set_name(idle, "idle/0");
	hal_set_current(idle);
	sched_adopt_idle(idle);
}

void thread_set_name(struct thread *t, const char *name)
{
	size_t n = strnlen(name, THREAD_NAME_BYTES - 1);

	/* The last byte is never written, so that a racing reader always finds an end. */
	memcpy(t->name, name, n);
	memset(t->name + n, 0, THREAD_NAME_BYTES - 1 - n);
}

const char *thread_name_text(const struct thread *t, char buf[THREAD_NAME_BYTES])
{
	u32 i;

	for (i = 0; i < THREAD_NAME_BYTES - 1; i++) {
		char c = READ_ONCE(t->name[i]);

		if (!c)
			break;
		buf[i] = c < ' ' || c > '~' ? '?' : c;
	}
	buf[i] = '\0';
	return buf;
}

static void inherit_parameters(struct thread *t, const struct thread *from)
{
	t->sp = from->sp;
	t->affinity = from->affinity;
	if (from->flags & THREAD_IDLE) { /* boot code creates the first threads */
		t->sp = (struct sched_param_state){ .policy = SCHED_NORMAL, .weight = sched_nice_weight(0) };
		cpumask_fill(&t->affinity);
	} else if (from->sp.reset_on_fork) { /* sched(7) */
		t->sp.reset_on_fork = false;
		t->sp.rt_priority = 0;
		if (thread_is_realtime(t)) {
			t->sp.policy = SCHED_NORMAL;
			t->sp.nice = 0;
		}
		t->sp.nice = MAX(t->sp.nice, 0);
		t->sp.weight = t->sp.policy == SCHED_IDLE ? SCHED_WEIGHT_IDLE : sched_nice_weight(t->sp.nice);
	}
}

int thread_init(struct thread *t, u32 flags, const char *name, void (*release)(struct thread *))
{
	if (kmap_stack_alloc(&t->hal.stack_base))
		return -ENOMEM;
	t->hal.stack_size = KSTACK_SIZE;
	t->state = THREAD_UNINTERRUPTIBLE;
	t->flags = flags;
	t->release = release;
	t->start_ns = hal_clock_ns();
	t->cpu = hal_cpu_id();
	spin_init(&t->time_lock, "thread time", LOCK_RANK_LEAF);
	inherit_parameters(t, current_thread());
	thread_set_name(t, name);
	list_init(&t->all_node);
	return 0;
}

void thread_fini(struct thread *t)
{
	hal_thread_fini(&t->hal);
	if (t->hal.stack_base)
		kmap_stack_free(t->hal.stack_base);
	t->hal.stack_base = 0;
}

/* The first thing a new thread runs. */
void upcall_thread_start(struct thread *prev)
{
	sched_finish_switch(prev);
	hal_irq_enable();
}

#if HALCYON_DEBUG
/* What a system call or trap handler forgot shows here, whichever way it returned. */
void upcall_leave_kernel(void)
{
	const struct thread *t = current_thread();

	if (unlikely(hal_preempt_count()))
		report_bug("%s goes to user mode with preempt count %x", t->name, hal_preempt_count());
	if (unlikely(t->hal.nofault))
		report_bug("%s goes to user mode with faults forbidden %u times", t->name, (u32)t->hal.nofault);
	if (unlikely(READ_ONCE(t->state) != THREAD_RUNNABLE))
		report_bug("%s goes to user mode in state %x", t->name, t->state);
	lock_dep_assert_none("the way to user mode");
}
#endif

void thread_exit_self(void)
{
	struct thread *me = current_thread();

	ASSERT(!in_atomic());
	lock_dep_assert_none("the end of its thread");
	thread_set_state(me, THREAD_DEAD);
	schedule();
	panic("dead thread %s runs", me->name);
}

/* Its part of the exact sum by the samples' proportion. No sample yet: call it all user time, as Linux does. */
static u64 user_part(u64 sum, u64 user, u64 kernel)
{
	u64 total = user + kernel;

	if (!total)
		return sum;
	for (; total >> 32; total >>= 1) /* so that no product overflows: a billionth is exact enough */
		user >>= 1;
	return sum / total * user + sum % total * user / total;
}

void thread_cputime(const struct thread *thread, u64 *utime_ns, u64 *stime_ns)
{
	struct thread *t = (struct thread *)thread; /* what was shown last is no property of the thread */
	u64 sum = thread_runtime(t), user, kernel;
	irqflags_t flags = spin_lock_irqsave(&t->time_lock);

	sum = MAX(sum, t->shown_user_ns + t->shown_kernel_ns);
	user = user_part(sum, READ_ONCE(t->sampled_user_ns), READ_ONCE(t->sampled_kernel_ns));
	kernel = MAX(sum - user, t->shown_kernel_ns); /* the proportion moves: the part that would go back stands still */
	user = sum - kernel;
	if (user < t->shown_user_ns) {
		user = t->shown_user_ns;
		kernel = sum - user;
	}
	*utime_ns = t->shown_user_ns = user;
	*stime_ns = t->shown_kernel_ns = kernel;
	spin_unlock_irqrestore(&t->time_lock, flags);
}

/* ---- kernel threads ---------------------------------------------------------------------------- */

static struct spinlock kthread_list_lock = SPINLOCK_INIT("kthread list", LOCK_RANK_LEAF);
static LIST_HEAD(kthread_list); /* [kthread_list_lock] thread.all_node */

void kthread_each(void (*fn)(struct thread *t, void *arg), void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&kthread_list_lock);
	struct thread *t;

	list_for_each_entry(t, &kthread_list, all_node)
		fn(t, arg);
	spin_unlock_irqrestore(&kthread_list_lock, flags);
}

void kthread_each_unlocked(u32 most, bool (*fn)(struct thread *t, void *arg), void *arg)
{
	struct thread *t;

	list_for_each_entry(t, &kthread_list, all_node)
		if (!most-- || !fn(t, arg))
			break;
}

const struct list_head *kthread_list_head(void)
{
	return &kthread_list;
}

/*
 * [run queue lock free] On the next thread's stack, interrupts off. Whoever stops a thread frees it: he may still be on his
 * way from telling it so to waking it when it has already gone.
 */
static void kthread_release(struct thread *t)
{
	struct completion *exited = t->exited;

	spin_lock(&kthread_list_lock);
	list_del(&t->all_node);
	spin_unlock_no_resched(&kthread_list_lock);
	thread_fini(t);
	if (exited)
		complete(exited);
	else
		kfree(t);
}

static void kthread_main(void *arg)
{
	struct thread *me = current_thread();

	(void)arg;
	me->fn(me->fn_arg);
	thread_exit_self();
}

/* cpu: MAX_CPUS for a thread that runs anywhere. */
static struct thread *kthread_make(u32 cpu, void (*fn)(void *), void *arg, const char *name)
{
	struct thread *t = kzalloc(sizeof(*t), 0);
	irqflags_t flags;

	if (!t)
		return NULL;
	if (thread_init(t, cpu < MAX_CPUS ? THREAD_BOUND : 0, name, kthread_release)) {
		kfree(t);
		return NULL;
	}
	t->fn = fn;
	t->fn_arg = arg;
	t->sp = (struct sched_param_state){ .policy = SCHED_NORMAL, .weight = sched_nice_weight(0) };
	if (cpu < MAX_CPUS)
		cpumask_clear(&t->affinity);
	else
		cpumask_fill(&t->affinity); /* not its maker's */
	if (cpu < MAX_CPUS)
		cpumask_set(&t->affinity, cpu);
	hal_thread_init_kernel(&t->hal, t->hal.stack_base, t->hal.stack_size, kthread_main, NULL);
	flags = spin_lock_irqsave(&kthread_list_lock);
	list_add_tail(&t->all_node, &kthread_list);
	spin_unlock_irqrestore(&kthread_list_lock, flags);
	thread_start(t);
	return t;
}

struct thread *kthread_run(void (*fn)(void *), void *arg, const char *name)
{
	return kthread_make(MAX_CPUS, fn, arg, name);
}

struct thread *kthread_run_on(u32 cpu, void (*fn)(void *), void *arg, const char *name)
{
	return kthread_make(cpu, fn, arg, name);
}

void kthread_bind(struct thread *t, u32 cpu)
{
	struct cpumask one;

	cpumask_clear(&one);
	cpumask_set(&one, cpu);
	sched_change_affinity(t, &one);
}

bool kthread_should_stop(void)
{
	return __atomic_load_n(&current_thread()->should_stop, __ATOMIC_ACQUIRE);
}

void kthread_stop(struct thread *t)
{
	struct completion exited;

	might_sleep();
	completion_init(&exited);
	t->exited = &exited;
	__atomic_store_n(&t->should_stop, 1, __ATOMIC_RELEASE);
	thread_wake(t);
	wait_for_completion(&exited, "kthread_stop");
	kfree(t);
}
