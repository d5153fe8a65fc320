/* SPDX-License-Identifier: MIT */
/*
 * The idle threads of the CPUs after the first. A CPU starts on the stack of its idle thread (hal/smp.h), becomes that thread,
 * and ends as it when it goes; the thread and its stack stay for its return.
 */
#include "internal.h"

#include <hal/cpu.h>
#include <hal/smp.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/random.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

static DEFINE_PER_CPU(struct thread *, idle_thread); /* [w] of cpuhp.c */

static struct thread *idle_create(u32 cpu)
{
	struct thread *t = kzalloc(sizeof(*t), 0);
	char name[THREAD_NAME_BYTES];

	if (!t)
		return NULL;
	if (kmap_stack_alloc(&t->hal.stack_base)) {
		kfree(t);
		return NULL;
	}
	t->hal.stack_size = KSTACK_SIZE;
	t->hal.canary = random_u64() & ~0xffull; /* the zero byte stops string functions */
	list_init(&t->all_node);
	snprintf(name, sizeof(name), "idle/%u", cpu);
	thread_set_name(t, name);
	return t;
}

static int idle_prepare(u32 cpu)
{
	struct thread **slot = per_cpu_ptr(&idle_thread, cpu);

	if (!*slot)
		*slot = idle_create(cpu);
	if (!*slot)
		return -ENOMEM;
	hal_smp_set_idle(cpu, *slot);
	return 0;
}

static void idle_starting(u32 cpu)
{
	sched_adopt_idle(per_cpu(idle_thread, cpu));
}

const struct cpuhp_step idle_cpuhp = { .name = "idle thread", .prepare = idle_prepare, .starting = idle_starting };
