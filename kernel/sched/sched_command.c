/* SPDX-License-Identifier: MIT */
/* `cpus`: what each CPU runs and what waits for it. No lock: the run queues are read as they are. */
#include <kernel/core/command.h>
#include <kernel/core/percpu.h>
#include <lib/string.h>
#include "internal.h"

static void thread_name(char *to, size_t size, const struct thread *t)
{
	if (t)
		command_peek_string(to, size, t->name);
	else
		strlcpy(to, "-", size);
}

/* Threads in the queue, highest level first: by lists that may be damaged. */
static void show_queued(struct command_io *io, const struct runqueue *rq)
{
	char name[THREAD_NAME_BYTES + 1];
	struct command_list l;

	for (u32 level = 0; level < SCHED_LEVELS; level++) {
		if (!(rq->bitmap[level / 64] & BIT(level % 64)))
			continue;
		for (command_list_begin(&l, io, &rq->level[level]); command_list_next(&l);) {
			const struct thread *t = list_entry(l.node, struct thread, run_node);

			thread_name(name, sizeof(name), t);
			command_printf(io, "  level %u: %p %s\n", level, (const void *)t, name);
		}
	}
}

static void command_cpus(struct command_io *io, int argc, char **argv)
{
	char name[THREAD_NAME_BYTES + 1];
	u32 cpu;

	(void)argc, (void)argv;
	for_each_possible_cpu(cpu) {
		const struct runqueue *rq = rq_of(cpu);

		if (!rq)
			continue;
		thread_name(name, sizeof(name), rq->current);
		command_printf(io, "cpu %u: %s %p, %u queued, %llu switches, %llu ms idle, tick %s\n", cpu, name,
			       (const void *)rq->current, rq->queued, (unsigned long long)rq->switches,
			       (unsigned long long)(rq->idle_ns / (u64)NSEC_PER_MSEC),
			       rq->tick_mode == TICK_ON ? "on" : rq->tick_mode == TICK_SLOW ? "slow" : "off");
		show_queued(io, rq);
	}
}
DEBUG_COMMAND(cpus, "", "what each CPU runs, and its queue", command_cpus);
