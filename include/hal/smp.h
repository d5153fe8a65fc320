/* SPDX-License-Identifier: MIT */
#ifndef HAL_SMP_H
#define HAL_SMP_H

/*
 * Starting and stopping of the CPUs after the first.
 *
 * hal_smp_init() numbers the machine's CPUs: 0 is the boot CPU, the others follow in the firmware's order, dense. Each
 * is prepared once (memory), started any number of times together with others, and may stop itself.
 */
#include <hal/percpu.h>
#include <lib/compiler.h>

struct thread;

/* One bit for each CPU number. */
struct hal_cpu_set {
	u64 bits[HAL_MAX_CPUS / 64];
};

/*
 * After hal_late_init(), thread context, once: how many CPUs there are, the boot CPU included; 1 when others cannot
 * be started. `limit` caps the count (at least 1). hal_cpu_count() is still 1: it grows with hal_smp_prepare().
 */
u32 hal_smp_init(u32 limit);

/* How many more the firmware has places for, which are empty: they have no numbers, and do not come. */
u32 hal_smp_absent(void);

/*
 * The machine's memory for CPU number cpu == hal_cpu_count(). It counts once hal_percpu_set_offset() has said where its
 * per-CPU variables lie. Thread context. 0 or -ENOMEM; calling it again for one that has it is no error.
 */
int __must_check hal_smp_prepare(u32 cpu);

/*
 * Starts all CPUs of the set at once; each one runs kernel_secondary_main() on the stack of its `idle` thread, which the
 * caller has given with hal_smp_set_idle(). Returns when each is online or has given cause for giving it up; those are
 * taken out of the set, with a report. Thread context, interrupts on, one caller at a time.
 */
void hal_smp_start(struct hal_cpu_set *set);
void hal_smp_set_idle(u32 cpu, struct thread *idle);

/* This CPU takes part from now on: hal_cpu_online(). kernel_secondary_main(), interrupts off. */
void hal_smp_online(void);

/*
 * hal_smp_leave(): this CPU takes no device interrupts and kicks any more, hal_cpu_online() is false. hal_smp_stop_self():
 * it halts for ever (or until it is started again) and touches no memory any more once hal_smp_is_stopped() says so.
 * Both on the leaving CPU, interrupts off.
 */
void hal_smp_leave(void);
__noreturn void hal_smp_stop_self(void);
bool hal_smp_is_stopped(u32 cpu);

#if HALCYON_DEBUG
/* For the self tests; 0 is no CPU's number here. Changed while nobody starts CPUs. */
struct hal_smp_test {
	u32 deaf;		/* is sent no interrupt: as if it were dead */
	u32 poor;		/* finds that it lacks something */
	u64 patience_ns;	/* instead of the usual ten seconds */
};
extern struct hal_smp_test hal_smp_test;
#endif

#endif
