/* SPDX-License-Identifier: MIT */
/* Per-CPU areas of the CPUs after the first. The first one runs on the section in the image. */
#define LOG_TAG "percpu"
#include <kernel/core/assert.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
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
