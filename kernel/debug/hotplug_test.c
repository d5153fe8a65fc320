/* SPDX-License-Identifier: MIT */
/*
 * Memory and CPUs that go and come: what a CPU kept goes home with it, and one that cannot come for want of memory is left
 * out, leaves nothing, and comes the next time. What grew is asked of the account of leaks, with the last CPU; a machine with one
 * CPU skips it. kernel/sched/cpuhp_test.c has the rest of hot plug.
 */
#include <hal/cpu.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/selftest.h>
#include <kernel/debug/leaks.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/leak.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/completion.h>
#include <kernel/sched/sched.h>
#include <lib/errno.h>

#if HALCYON_DEBUG

/* 0: there is none to play with. */
static u32 last_cpu(void)
{
	u32 last = hal_cpu_count() - 1;

	if (last && hal_cpu_online(last))
		return last;
	selftest_skip("no second CPU");
	return 0;
}

struct keeper {
	u32 cpu;
	struct completion done;
};

static void emit_grown(void *arg, const char *line)
{
	(void)arg;
	log_printf(LOG_NOTICE, "# %s", line);
}

static void expect_nothing_grew(void)
{
	debug_leak_quiesce();
	EXPECT_EQ(mm_leak_report(LEAK_TEST, emit_grown, NULL), 0);
}

#define KEPT_STACKS 4u

static void keep_stacks(void *arg)
{
	struct keeper *k = arg;
	vaddr_t stacks[KEPT_STACKS];
	struct cpumask one;
	u32 n = 0;

	cpumask_clear(&one);
	cpumask_set(&one, k->cpu);
	EXPECT_EQ(sched_set_affinity(current_thread(), &one), 0);
	schedule();
	while (n < KEPT_STACKS && EXPECT_EQ(kmap_stack_alloc(&stacks[n]), 0))
		n++;
	preempt_disable();
	while (n)
		kmap_stack_free(stacks[--n]);
	preempt_enable();
	complete(&k->done);
}

/* Its free stacks, pages and objects go home with it: who counts, or needs memory, while it is away finds them. */
SELFTEST(cpuhp, who_is_gone_keeps_nothing)
{
	struct keeper k = { .cpu = last_cpu() };

	if (!k.cpu)
		return;
	debug_leak_quiesce();
	mm_leak_mark(LEAK_TEST);
	completion_init(&k.done);
	REQUIRE(kthread_run(keep_stacks, &k, "keeper"));
	wait_for_completion(&k.done, "selftest");
	EXPECT_EQ(cpuhp_down(k.cpu), 0);
	expect_nothing_grew();
	EXPECT_EQ(cpuhp_up(k.cpu), 0);
}

static struct thread *fail_thread; /* only its allocations count and fail */
static u32 fail_countdown;

static bool fail_one(size_t bytes, u32 flags)
{
	(void)bytes, (void)flags;
	return current_thread() == fail_thread && hal_irq_enabled() && fail_countdown && --fail_countdown == 0;
}

/* Each allocation of a CPU's coming fails once: it is left out, with nothing of it left over, and comes the next time. */
SELFTEST(cpuhp, injected_failures_unwind)
{
	bool (*old)(size_t, u32) = mm_fail_hook;
	u32 cpu = last_cpu(), failed = 0;
	int err = -ENOMEM;

	if (!cpu)
		return;
	debug_leak_quiesce();
	mm_leak_mark(LEAK_TEST);
	EXPECT_EQ(cpuhp_down(cpu), 0);
	report_capture_begin();
	for (u32 nth = 1; nth < 1000 && err; nth++) {
		fail_thread = current_thread();
		fail_countdown = nth;
		mm_fail_hook = fail_one;
		err = cpuhp_up(cpu);
		mm_fail_hook = old;
		EXPECT_EQ(hal_cpu_online(cpu), err == 0);
		failed += err != 0;
		if (err && !EXPECT_EQ(err, -ENOMEM))
			break;
	}
	EXPECT_EQ(report_capture_count(" goes again: ") + report_capture_count(" cannot be prepared: "), failed);
	report_capture_end();
	EXPECT(failed);
	EXPECT_EQ(cpuhp_up(cpu), 0);
	expect_nothing_grew();
}

#endif
