/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_CPUMASK_H
#define KERNEL_CORE_CPUMASK_H

/* Sets of CPUs. The plain operations are not atomic; the atomic_ ones are single-bit. */
#include <hal/percpu.h>
#include <lib/atomic.h>
#include <lib/bitmap.h>

#define MAX_CPUS HAL_MAX_CPUS

struct cpumask {
	u64 bits[MAX_CPUS / 64];
};

static inline void cpumask_clear(struct cpumask *m)
{
	bitmap_zero(m->bits, MAX_CPUS);
}

static inline void cpumask_fill(struct cpumask *m)
{
	for (u32 i = 0; i < MAX_CPUS / 64; i++)
		m->bits[i] = ~0ull;
}

static inline bool cpumask_test(const struct cpumask *m, u32 cpu)
{
	return cpu < MAX_CPUS && atomic_test_bit(cpu, m->bits);
}

static inline void cpumask_set(struct cpumask *m, u32 cpu)
{
	bitmap_set_bit(m->bits, cpu);
}

static inline void cpumask_unset(struct cpumask *m, u32 cpu)
{
	bitmap_clear_bit(m->bits, cpu);
}

static inline void cpumask_atomic_set(struct cpumask *m, u32 cpu)
{
	atomic_set_bit(cpu, m->bits);
}

static inline void cpumask_atomic_unset(struct cpumask *m, u32 cpu)
{
	atomic_clear_bit(cpu, m->bits);
}

static inline bool cpumask_empty(const struct cpumask *m)
{
	u64 any = 0;

	for (u32 i = 0; i < MAX_CPUS / 64; i++)
		any |= READ_ONCE(m->bits[i]);
	return any == 0;
}

/* True when the two have a CPU in common. */
static inline bool cpumask_intersects(const struct cpumask *a, const struct cpumask *b)
{
	u64 any = 0;

	for (u32 i = 0; i < MAX_CPUS / 64; i++)
		any |= a->bits[i] & b->bits[i];
	return any != 0;
}

static inline void cpumask_and(struct cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	for (u32 i = 0; i < MAX_CPUS / 64; i++)
		dst->bits[i] = a->bits[i] & b->bits[i];
}

static inline bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	u64 diff = 0;

	for (u32 i = 0; i < MAX_CPUS / 64; i++)
		diff |= a->bits[i] ^ b->bits[i];
	return diff == 0;
}

static inline u32 cpumask_weight(const struct cpumask *m)
{
	return (u32)bitmap_weight(m->bits, MAX_CPUS);
}

/* The first CPU at or after `from`; MAX_CPUS when there is none. */
static inline u32 cpumask_next(const struct cpumask *m, u32 from)
{
	return (u32)bitmap_find_next(m->bits, MAX_CPUS, from);
}

static inline u32 cpumask_first(const struct cpumask *m)
{
	return cpumask_next(m, 0);
}

#define cpumask_for_each(cpu, m) \
	for ((cpu) = cpumask_first(m); (cpu) < MAX_CPUS; (cpu) = cpumask_next((m), (cpu) + 1))

#endif
