/* SPDX-License-Identifier: MIT */
/*
 * The allocator of interrupt vectors (hal/vectors.h): per CPU a bitmap and a count.
 *
 * Spreading: each new vector goes to the CPU with most left, the lowest number among equals. That keeps device interrupts
 * apart as long as there are CPUs, without knowing how busy each will be.
 */
#include <hal/vectors.h>
#include <lib/errno.h>

void vectors_init(struct vectors *v, u32 first, u32 last)
{
	*v = (struct vectors){ .first = first, .last = last };
}

void vectors_add_cpu(struct vectors *v, u32 cpu, struct vectors_cpu *part)
{
	*part = (struct vectors_cpu){ .free = v->last - v->first + 1, .next = v->first };
	v->cpu[cpu] = part;
}

static struct vectors_cpu *part_of(const struct vectors *v, u32 cpu)
{
	return cpu < VECTORS_MAX_CPUS ? v->cpu[cpu] : NULL;
}

bool vectors_open(struct vectors *v, u32 cpu, bool open)
{
	struct vectors_cpu *p = part_of(v, cpu);

	if (!p)
		return false;
	p->open = open;
	return true;
}

bool vectors_is_open(const struct vectors *v, u32 cpu)
{
	const struct vectors_cpu *p = part_of(v, cpu);

	return p && p->open;
}

bool vectors_any_open(const struct vectors *v, const u64 *mask)
{
	size_t cpu;

	bitmap_for_each(cpu, mask, VECTORS_MAX_CPUS)
		if (vectors_is_open(v, (u32)cpu))
			return true;
	return false;
}

/* The open CPU of the mask with most vectors left, but for `except`; VECTORS_MAX_CPUS: there is none. */
static u32 roomiest(const struct vectors *v, const u64 *mask, u32 except)
{
	u32 best = VECTORS_MAX_CPUS;
	size_t cpu;

	bitmap_for_each(cpu, mask, VECTORS_MAX_CPUS)
		if (cpu != except && vectors_is_open(v, (u32)cpu) &&
		    (best == VECTORS_MAX_CPUS || v->cpu[cpu]->free > v->cpu[best]->free))
			best = (u32)cpu;
	return best;
}

static bool is_free(const struct vectors *v, u32 cpu, u32 vector)
{
	return vector >= v->first && vector <= v->last && !bitmap_test(v->cpu[cpu]->used, vector);
}

static void take(struct vectors *v, u32 cpu, u32 vector)
{
	struct vectors_cpu *p = v->cpu[cpu];

	bitmap_set_bit(p->used, vector);
	p->free--;
	p->next = vector == v->last ? v->first : vector + 1;
}

/* The next number, after those given out before, that is free on the CPU and on the other if there is one; 0: none. */
static u32 find(const struct vectors *v, u32 cpu, u32 other)
{
	u32 n = v->last - v->first + 1, start = v->cpu[cpu]->next;

	for (u32 i = 0; i < n; i++) {
		u32 vector = v->first + (start - v->first + i) % n;

		if (is_free(v, cpu, vector) && (other == VECTORS_MAX_CPUS || is_free(v, other, vector)))
			return vector;
	}
	return 0;
}

int vectors_alloc(struct vectors *v, const u64 *mask, u32 *cpu, u32 *vector)
{
	u32 c = roomiest(v, mask, VECTORS_MAX_CPUS), found;

	if (c == VECTORS_MAX_CPUS)
		return -EINVAL;
	found = find(v, c, VECTORS_MAX_CPUS);
	if (!found)
		return -ENOSPC;
	take(v, c, found);
	*cpu = c;
	*vector = found;
	return 0;
}

int vectors_alloc_move(struct vectors *v, const u64 *mask, u32 from_cpu, u32 from_vector, u32 *cpu, u32 *vector,
		       bool *both)
{
	u32 c = roomiest(v, mask, from_cpu), found = from_vector;

	if (c == VECTORS_MAX_CPUS)
		return -EINVAL;
	*both = !is_free(v, c, from_vector);
	if (*both) {
		found = find(v, c, from_cpu);
		if (!found)
			return -ENOSPC;
		take(v, from_cpu, found);
	}
	take(v, c, found);
	*cpu = c;
	*vector = found;
	return 0;
}

void vectors_free(struct vectors *v, u32 cpu, u32 vector)
{
	struct vectors_cpu *p = part_of(v, cpu);

	if (!p || vector < v->first || vector > v->last || !bitmap_test(p->used, vector))
		return;
	bitmap_clear_bit(p->used, vector);
	p->free++;
}

u32 vectors_count_used(const struct vectors *v, u32 cpu)
{
	const struct vectors_cpu *p = part_of(v, cpu);

	return p ? v->last - v->first + 1 - p->free : 0;
}
