/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_PERCPU_COUNTER_H
#define KERNEL_CORE_PERCPU_COUNTER_H

/*
 * Counters that many CPUs change and few read: files, names, pages.
 *
 * Each CPU adds to a part of its own, and carries it over to the total when it has grown to a batch. So CPUs that open
 * and close files of their own write no shared cache line. percpu_counter_read() is cheap and wrong by less than a batch
 * a CPU; percpu_counter_sum() adds the parts up, and is exact when nobody changes the counter meanwhile.
 *
 * A part is changed atomically: whoever is moved to another CPU between looking for its part and adding to it adds
 * to another one's, which is as good. The parts of CPUs that went offline keep what they had.
 *
 * Any context.
 */
#include <kernel/core/percpu.h>
#include <lib/atomic.h>

#define PERCPU_COUNTER_BATCH 32

struct percpu_counter {
	atomic64_t total;	/* [a] */
	s64 *part;		/* [I] per CPU, each [a] */
};

/* A static one, 0 at first. */
#define DEFINE_PERCPU_COUNTER(name)						\
	static DEFINE_PER_CPU(s64, name##_part);				\
	static struct percpu_counter name = { .total = ATOMIC64_INIT(0), .part = &name##_part }

static inline void percpu_counter_add(struct percpu_counter *c, s64 n)
{
	s64 *part = this_cpu_ptr(c->part);
	s64 now = __atomic_add_fetch(part, n, __ATOMIC_RELAXED);

	if (unlikely(now >= PERCPU_COUNTER_BATCH || now <= -PERCPU_COUNTER_BATCH))
		atomic64_add_relaxed(&c->total, __atomic_exchange_n(part, 0, __ATOMIC_RELAXED));
}

static inline s64 percpu_counter_read(const struct percpu_counter *c)
{
	return atomic64_load_relaxed(&c->total);
}

s64 percpu_counter_sum(const struct percpu_counter *c);

#endif
