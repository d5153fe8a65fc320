/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_CPUHP_H
#define KERNEL_CORE_CPUHP_H

/*
 * CPUs that come and go.
 *
 * A subsystem that has something per CPU exports one `const struct cpuhp_step X_cpuhp`; kernel/main.c lists the steps
 * in order, foundations first. A CPU comes up through prepare, starting and online in that order of the list, and goes
 * through offline, dying and dead in the reverse order. Every function may be NULL. The boot CPU runs none of them:
 * each subsystem's own init serves it.
 *
 *	prepare		thread context on a running CPU, may sleep and fail (memory). The CPU's per-CPU area is there. It
 *			is called again when the CPU comes back: what was made then and not undone by dead() is kept.
 *	starting	on the new CPU, interrupts off, before hal_cpu_online(cpu). Cannot fail, takes no sleeping lock,
 *			does not allocate. The step of the scheduler is the one from which on there is a current thread to speak of.
 *	online		thread context on any CPU, the new one takes threads and interrupts. May sleep; a failure takes the CPU
 *			down again.
 *	offline		thread context on any other CPU, may sleep. May refuse (-EBUSY): what was offlined before is onlined again.
 *			After the last one nothing runs there but its idle thread and interrupts.
 *	dying		on the leaving CPU by its idle thread, interrupts off for good. All others run on.
 *	dead		thread context on another CPU, after it has gone: takes over what it left. May sleep, cannot fail.
 *			Called too for a CPU that was prepared and then did not start.
 *
 * Numbers of CPUs are dense, 0 to hal_cpu_count() - 1, each with its per-CPU area for ever;
 * hal_cpu_online() says which run. CPU 0 never goes. Nothing is kept for the machine's empty places.
 */
#include <kernel/core/cpumask.h>
#include <lib/compiler.h>

struct cpuhp_step {
	const char *name;
	int (*prepare)(u32 cpu);
	void (*starting)(u32 cpu);
	int (*online)(u32 cpu);
	int (*offline)(u32 cpu);
	void (*dying)(u32 cpu);
	void (*dead)(u32 cpu);
};

/*
 * Between these two the set of online CPUs does not change. A sleeping read lock, LOCK_RANK_CPUHP, outside of almost all
 * others; thread context. Steps run under its write side and must not take it.
 */
void cpuhp_read_lock(void);
void cpuhp_read_unlock(void);

/*
 * Boot, once, thread context: the list, and all CPUs that maxcpus= and nosmp allow are brought up, all at once. A CPU that
 * does not come is reported and left out.
 */
void cpuhp_boot(const struct cpuhp_step *const *steps, u32 nr_steps);

/* What /sys calls possible: the CPUs there are, and the places that firmware has for more. After cpuhp_boot(). */
u32 cpuhp_possible(void);

/*
 * One CPU up or down. Thread context, may sleep. 0 when it is so already. -EINVAL: no such CPU; -EBUSY: it is the boot
 * CPU or a step refused; -ENOMEM; -EIO: it does not answer.
 */
int __must_check cpuhp_up(u32 cpu);
int __must_check cpuhp_down(u32 cpu);

/* The secondary boot list (kernel_secondary_main) runs the starting steps, in order. */
void cpuhp_run_starting(u32 cpu);
/* For the idle loop, interrupts off, nothing to run: this CPU shall go. cpuhp_play_dead() then does not return. */
bool cpuhp_should_die(void);
__noreturn void cpuhp_play_dead(void);

#endif
