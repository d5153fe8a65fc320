/* SPDX-License-Identifier: MIT */
/* Per-CPU areas of the CPUs after the first. The first one runs on the section in the image. And counters with a part in each. */
#define LOG_TAG "percpu"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/percpu_counter.h>
#include <lib/errno.h>

extern char __percpu_start[], __percpu_end[];

void *(*percpu_alloc_hook)(size_t bytes);

int percpu_area_create(u32 cpu)
{
	size_t bytes = ALIGN_UP((size_t)(__percpu_end - __percpu_start), 4096);
	void *area;

	VERIFY(cpu < MAX_CPUS && percpu_alloc_hook);
	if (percpu_ready(cpu))
		return 0;
	area = percpu_alloc_hook(bytes);
	if (!area)
		return -ENOMEM;
	hal_percpu_set_offset(cpu, (u64)(uintptr_t)area - (u64)(uintptr_t)__percpu_start);
	log_debug("cpu %u: area of %zu bytes at %p", cpu, bytes, area);
	return 0;
}

s64 percpu_counter_sum(const struct percpu_counter *c)
{
	s64 sum = atomic64_load_relaxed(&c->total);
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			sum += __atomic_load_n(per_cpu_ptr(c->part, cpu), __ATOMIC_RELAXED);
	return sum;
}
