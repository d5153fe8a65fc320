/*
 * Timers: a heap of nanosecond deadlines per CPU, driven by the HAL's one-shot timer.
 *
 * A timer belongs to the CPU on which it was armed. Its function runs in the timer interrupt with
 * interrupts off and no lock held, and may re-arm or free what contains the timer (the core does not touch
 * it again after the call). timer_cancel() says whether it took the timer out before it fired; it does
 * not wait for a function that is running on another CPU: timer_cancel_sync() does. Of a CPU that goes offline the
 * timers fire on another one.
 */
#pragma once

#include <lib/heap.h>
#include <lib/types.h>

struct timer {
	struct heap_node node; /* [timer base of `cpu`] */
	u64 deadline_ns; /* [base] monotonic */
	void (*fn)(struct timer *t); /* [I] */
	u32 cpu; /* [base] */
	u8 armed; /* [base] */
};

void timer_init(struct timer *t, void (*fn)(struct timer *));
/*
 * Arms or re-arms. Any context. A deadline in the past fires at the next opportunity. With slack, the timer may fire as late
 * as that: it goes off with the first interrupt that comes between, unless a timer stands before it that may not fire yet.
 */
void timer_arm_slack(struct timer *t, u64 deadline_ns, u64 slack_ns);
static inline void timer_arm(struct timer *t, u64 deadline_ns)
{
	timer_arm_slack(t, deadline_ns, 0);
}
bool timer_cancel(struct timer *t);
bool timer_cancel_sync(struct timer *t);

struct thread;
/*
 * Set by the layer of processes: the tick of a user thread asks whether there are timers on its CPU time. Interrupt context,
 * no lock. While it says true the tick is not slowed down.
 */
extern bool (*tick_cpu_timer_hook)(struct thread *running);

/* CPUs that go: their timers move to the CPU that tidies up. */
struct cpuhp_step;
extern const struct cpuhp_step timer_cpuhp;
