/*
 * Threads: what the scheduler runs.
 *
 * A struct thread is a kernel stack, a saved context and a place in a run queue. It knows nothing
 * of processes, files or signals: a user thread is the `struct task` of the task layer, which embeds
 * a struct thread as its first member, and a kernel thread is a bare one.
 *
 * States and who may change them
 *
 *   RUNNABLE          running or on a run queue
 *   INTERRUPTIBLE     asleep; thread_wake() or a signal ends it
 *   UNINTERRUPTIBLE   asleep; only thread_wake() ends it
 *   KILLABLE          asleep; thread_wake() or a fatal signal ends it
 *   STOPPED, TRACED   stopped by job control or a tracer; only the signal layer ends it
 *   WAKING            woken, and between two run queues, on neither; only for moments, by a CPU with interrupts off
 *   DEAD              never runs again
 *
 * A thread puts *itself* to sleep (it writes its own state, then tests its condition, then calls
 * schedule()); anybody may wake it. The change from a sleeping state to RUNNABLE happens under the
 * lock of the run queue that the thread slept on, and so does the test in schedule() that lets it
 * leave the CPU; a wake-up between the state's write and schedule() is therefore never lost.
 *
 * Lock keys: [I] fixed at creation, [a] atomic, [s] written by the thread itself only,
 * [q] the lock of the run queue `cpu`, [r] read under RCU.
 */
#pragma once

#include <hal/thread.h>
#include <kernel/core/cpumask.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/preempt.h>
#include <kernel/core/rcu.h>
#include <kernel/core/spinlock.h>
#include <lib/atomic.h>
#include <lib/list.h>
#include <lib/types.h>

#define THREAD_NAME_BYTES 16 /* with the terminating zero, as TASK_COMM_LEN */

enum thread_state {
	THREAD_RUNNABLE = 0,
	THREAD_INTERRUPTIBLE = 1u << 0,
	THREAD_UNINTERRUPTIBLE = 1u << 1,
	THREAD_KILLABLE = 1u << 2,
	THREAD_STOPPED = 1u << 3,
	THREAD_TRACED = 1u << 4,
	THREAD_WAKING = 1u << 5,
	THREAD_DEAD = 1u << 6,
};
/* What an ordinary wake-up ends. */
#define THREAD_SLEEPING (THREAD_INTERRUPTIBLE | THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE)

/* struct thread.flags */
#define THREAD_USER (1u << 0) /* embedded in a struct task; has user registers */
#define THREAD_IDLE (1u << 1) /* a CPU's idle thread: never queued, never sleeps */
#define THREAD_BOUND (1u << 2) /* belongs to one CPU (kthread_run_on): nobody changes its affinity but hot plug */

/* Scheduling class and parameters; [q] once the thread has been started. */
struct sched_param_state {
	u32 policy; /* SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR */
	int rt_priority; /* 1..99 for FIFO and RR, else 0 */
	int nice; /* -20..19 */
	u32 weight; /* of `nice` (or SCHED_IDLE), Linux's table: 1024 at nice 0 */
	bool reset_on_fork;
};

struct thread {
	struct hal_thread hal; /* first: assembly finds it at offset 0 */

	u32 state; /* [a] enum thread_state */
	u32 flags; /* [I] THREAD_USER ... */
	u32 cpu; /* [q] where it runs, is queued or last ran */
	u8 on_rq; /* [q] RUNNABLE as the run queue sees it: running or queued */
	u8 fatal; /* [a] a fatal signal is pending: killable sleeps end */
	u8 should_stop; /* [a] kthread_stop() was called */
	u8 queued; /* [q] linked into a level's list */
	u8 moving; /* [q] of the queue that it left: runnable, and between two queues */
	u8 handoff; /* [s] how often in a row it slept soon after it woke somebody: sched/wake.c */
	u32 id; /* [a] for people: the tid of a user thread, 0 of a kernel thread */
	u32 switch_work; /* [s] work bits that are set whenever it is put on a CPU; read by the scheduler */

	/* Threads with the same one that is not NULL run in one address space: a switch between them leaves it alone. [I] */
	const void *group;
	struct list_head run_node; /* [q] in its level's list while queued */
	u32 level; /* [q] of that list */
	struct sched_param_state sp; /* [q] */
	u64 vruntime; /* [q] weighted nanoseconds of service */
	u64 vdeadline; /* [q] virtual deadline of the current slice */
	u64 slice_left_ns; /* [q] of the current slice (FIFO ignores it) */
	u64 run_start_ns; /* [q] when it was last put on a CPU, or charged */
	u64 queued_ns; /* [q] since when it waits for a CPU */
	u64 arrived_ns; /* [q] when it came to its CPU from another one; 0: it never has */
	u64 woke_ns; /* [s] when it woke another thread last; 0: it has not since it slept */
	struct cpumask affinity; /* [q] */

	u64 sum_exec_ns; /* [q] CPU time used, exact */
	u64 rt_from_ns; /* [q] real-time: sum_exec_ns when it last slept, or became so; for RLIMIT_RTTIME */
	u64 sampled_user_ns; /* [s] by the tick: the proportion of user time */
	u64 sampled_kernel_ns; /* [s] ... and of kernel time */
	struct spinlock time_lock; /* rank LOCK_RANK_LEAF */
	u64 shown_user_ns, shown_kernel_ns; /* [time_lock] what thread_cputime() said last: neither goes back */
	u64 run_delay_ns; /* [q] runnable, but waiting for a CPU */
	u64 migrations; /* [q] to another CPU */
	u64 switches_voluntary; /* [q] */
	u64 switches_involuntary; /* [q] */
	u64 start_ns; /* [I] monotonic time of creation */

	u64 slack_ns; /* [s] how much later its timed sleeps may end, for the sake of one interrupt instead of two */
	const char *wait_why; /* [s] names the wait; NULL while not waiting */
	char name[THREAD_NAME_BYTES]; /* [s] read racily for display: always terminated */

	void (*release)(struct thread *t); /* [I] called once, off its CPU, after it died; must not sleep */
	void (*fn)(void *arg); /* [I] kernel threads */
	void *fn_arg; /* [I] */
	struct completion *exited; /* [q] kthread_stop()'s */
	struct list_head all_node; /* kernel threads: list of all, under kthread_list_lock */
	struct lock_held_stack held; /* [s] debug: locks held in thread context */
#if HALCYON_DEBUG
	const struct lock_class_ref *blocked_on; /* [s] the sleeping lock that it waits for; read racily, not followed */
	/* The hung-task detector's: how often the thread had switched when that last changed, and when that was. */
	u64 hung_switches, hung_since_ns;
	bool hung_reported;
#endif
};

static inline struct thread *current_thread(void)
{
	return hal_current();
}

/*
 * Prepares `t` (zeroed by the caller): allocates its kernel stack, copies scheduling parameters
 * from the calling thread (SCHED_RESET_ON_FORK honoured) and names it. It does not run before
 * thread_start(). May sleep. Returns 0 or -ENOMEM. `release` gets rid of it in the end and must
 * call thread_fini().
 */
int __must_check thread_init(struct thread *t, u32 flags, const char *name, void (*release)(struct thread *));
/* Frees the stack and the machine state. For a thread that was never started or has been released. */
void thread_fini(struct thread *t);
/* Makes a prepared thread runnable for the first time. Any context. */
void thread_start(struct thread *t);
/* Ends the calling thread: switches away for good; its release() runs on the next thread's stack. */
void thread_exit_self(void) __noreturn;

/* Wakes `t` when its state is in `mask`. Any context, also under a spinlock. True when it was woken. */
bool thread_wake_state(struct thread *t, u32 mask);
static inline bool thread_wake(struct thread *t)
{
	return thread_wake_state(t, THREAD_SLEEPING);
}
/*
 * Tells `t` that something signal-like wants its attention: sets HAL_WORK_SIGNAL, ends its
 * interruptible sleep (and a killable one when `fatal`), and interrupts it if it runs in user mode on
 * another CPU. Any context.
 */
void thread_signal_kick(struct thread *t, bool fatal);

/* The calling thread has signal work pending: interruptible waits return -ERESTARTSYS. */
static inline bool thread_interrupted(const struct thread *t)
{
	return __atomic_load_n(&t->hal.work, __ATOMIC_RELAXED) & HAL_WORK_SIGNAL;
}

static inline void thread_set_state(struct thread *t, u32 state)
{
	__atomic_store_n(&t->state, state, __ATOMIC_SEQ_CST);
}

void thread_set_name(struct thread *t, const char *name);
/*
 * The name for the log. A program chooses its name, and could forge a line or speak to a terminal with it: what does
 * not print is a question mark. Returns buf.
 */
const char *thread_name_text(const struct thread *t, char buf[THREAD_NAME_BYTES]);

/*
 * Kernel threads. kthread_run() creates and starts one that runs fn(arg); NULL when out of memory.
 * A thread that may be stopped polls kthread_should_stop() and returns from fn; kthread_stop() wakes
 * it and waits until it is gone (thread context, may sleep); after it the pointer is dead.
 */
struct thread *kthread_run(void (*fn)(void *), void *arg, const char *name);
/*
 * The same for a thread that belongs to an online CPU and runs only there. When the CPU goes offline it must have ended, or
 * be asleep until the CPU is back: what runs then runs elsewhere.
 */
struct thread *kthread_run_on(u32 cpu, void (*fn)(void *), void *arg, const char *name);
/* Brings such a thread back to its CPU, which is online again. */
void kthread_bind(struct thread *t, u32 cpu);
bool kthread_should_stop(void);
void kthread_stop(struct thread *t);
/* Calls fn for each kernel thread but the idle ones, under a spinlock: it must not sleep. */
void kthread_each(void (*fn)(struct thread *t, void *arg), void *arg);
/* The same without the lock, for a panic: the list may be damaged. At most `most` threads; fn's false ends it. */
void kthread_each_unlocked(u32 most, bool (*fn)(struct thread *t, void *arg), void *arg);
/* The list itself (thread.all_node), for debug commands that peek. */
const struct list_head *kthread_list_head(void);

/*
 * CPU time of a thread: the sum is exact, up to now; its split follows the tick's samples, as on Linux. Neither part ever
 * goes back. Any context but under a run queue's lock.
 */
void thread_cputime(const struct thread *t, u64 *utime_ns, u64 *stime_ns);
/* The sum alone, up to now. */
u64 thread_runtime(const struct thread *t);
