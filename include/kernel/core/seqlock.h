/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_SEQLOCK_H
#define KERNEL_CORE_SEQLOCK_H

/*
 * Sequence counts: readers copy small data without writing anything and try again when a writer was
 * at work. Odd means a write is going on. Writers exclude each other by a lock of their own, and must
 * not be preempted or interrupted by a reader (spinlock held, irqs off if handlers read).
 *
 *	do {
 *		s = seqcount_read_begin(&x->seq);
 *		copy = x->data;
 *	} while (seqcount_read_retry(&x->seq, s));
 *
 * The data may change under the reader's eyes: read it with READ_ONCE, follow no pointer in it.
 */
#include <hal/cpu.h>
#include <lib/atomic.h>

struct seqcount {
	u32 sequence;		/* [a] written by the writer, who is alone */
};

#define SEQCOUNT_INIT { 0 }

static inline void seqcount_init(struct seqcount *s)
{
	s->sequence = 0;
}

static inline u32 seqcount_read_begin(const struct seqcount *s)
{
	u32 n;

	while (unlikely((n = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE)) & 1))
		hal_cpu_relax();
	return n;
}

/* One look, for RCU walks that fall back to locks: odd when a writer is at work. */
static inline u32 seqcount_read_raw(const struct seqcount *s)
{
	return __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);
}

static inline bool seqcount_read_retry(const struct seqcount *s, u32 start)
{
	smp_rmb();
	return unlikely(__atomic_load_n(&s->sequence, __ATOMIC_RELAXED) != start);
}

static inline void seqcount_write_begin(struct seqcount *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
	smp_wmb();
}

static inline void seqcount_write_end(struct seqcount *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELEASE);
}

/* Makes running readers fail without a write section (an object goes away). */
static inline void seqcount_invalidate(struct seqcount *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 2, __ATOMIC_RELEASE);
}

#endif
