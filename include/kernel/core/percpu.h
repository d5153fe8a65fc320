/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CORE_PERCPU_H
#define KERNEL_CORE_PERCPU_H

/*
 * Per-CPU variables. The linker gathers them in one section; each CPU has a copy at a distance that
 * the HAL keeps in a register-relative word. The boot CPU uses the section itself (distance 0).
 *
 * A per-CPU variable starts as zero on every CPU: no initialisers. What must start otherwise is set up
 * by its subsystem for each CPU, before that CPU runs.
 *
 * this_cpu_ptr() is stable only while preemption is off.
 */
#include <hal/cpu.h>
#include <hal/percpu.h>
#include <kernel/core/cpumask.h>

#define DEFINE_PER_CPU(type, name) __section(".percpu") __typeof__(type) name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name

#define percpu_shift_(ptr, offset) __extension__ ({				\
	__typeof__(ptr) percpu_ptr_ = (ptr);					\
	(__typeof__(ptr))((uintptr_t)percpu_ptr_ + (offset)); })

#define this_cpu_ptr(ptr)	percpu_shift_(ptr, hal_percpu_offset())
#define per_cpu_ptr(ptr, cpu)	percpu_shift_(ptr, hal_percpu_offset_of(cpu))
/* As lvalues. */
#define this_cpu(name)		(*this_cpu_ptr(&(name)))
#define per_cpu(name, cpu)	(*per_cpu_ptr(&(name), cpu))

/* cpu is a u32 variable. */
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < hal_cpu_count(); (cpu)++)
#define for_each_online_cpu(cpu)						\
	for ((cpu) = 0; (cpu) < hal_cpu_count(); (cpu)++)			\
		if (!hal_cpu_online(cpu)) {} else

/* Does that CPU have its variables? */
static inline bool percpu_ready(u32 cpu)
{
	return cpu == 0 || hal_percpu_offset_of(cpu) != 0;
}

/*
 * Makes the (zeroed) area of a further CPU and tells the HAL. Boot CPU, before that CPU is started; mm
 * is up. 0 or -ENOMEM. Calling it again for a CPU that has one is no error.
 */
int __must_check percpu_area_create(u32 cpu);
/* [I] How it gets memory: set by mm. bytes is a whole number of pages; zeroed; NULL when there is none. */
extern void *(*percpu_alloc_hook)(size_t bytes);

#endif
