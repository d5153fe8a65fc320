/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): a barrier on all CPUs that run threads of the caller's address space, asked for by one of them.
 *
 * The expedited kinds interrupt CPUs. Which: those whose root register names the space (hal_space.cpus). A CPU that joins the set
 * does so with a locked instruction before its first access as that program, and one that leaves it behind its last one. So
 * it has either been in the set that is read here between two full barriers, or the locked instruction was its barrier.
 * CPUs that idle or run a kernel thread on the space's tables are asked too: an interrupt too many, and no rule to get wrong.
 *
 * SYNC_CORE: what the CPUs fetched before is forgotten, too. An interrupt returns by IRET, which serializes (SDM vol. 3A 9.3), and
 * so does the write of CR3 by which a CPU joins the set. The caller's own CPU, which leaves the kernel by SYSRET, serializes here,
 * with preemption off: who takes its place is served with it.
 *
 * RSEQ: the threads of the space that run elsewhere pass rseq_resume() before they are in user mode again, as after a switch.
 *
 * MEMBARRIER_CMD_GLOBAL is a grace period of RCU: each CPU has passed the scheduler or answered an interrupt meanwhile.
 */
#include <abi/linux/rseq.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/core/smpcall.h>
#include <kernel/proc/membarrier.h>
#include <kernel/proc/rseq.h>
#include <kernel/sched/rcu_sync.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <kernel/vm/space.h>
#include <lib/errno.h>

#define REGISTERED_ALL                                                                                     \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |            \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)
#define SUPPORTED                                                                                          \
	(REGISTERED_ALL | MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                        \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |                   \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ)

_Static_assert(sizeof(((struct hal_space *)0)->cpus) == sizeof(struct cpumask), "one bit for each CPU in both");

static void barrier_here(void *arg)
{
	(void)arg;
	smp_mb();
}

/* In the interrupt: the thread that it interrupted passes rseq_resume(), if it runs in this space. */
static void restart_here(void *arg)
{
	struct task *t = task_current_or_null();

	smp_mb();
	if (t && READ_ONCE(t->process->space) == arg && !uptr_is_null(t->rseq))
		hal_work_set(&t->thread.hal, RSEQ_WORK);
}

/* The other CPUs that run the space, or of them the one that is asked for. */
static void choose_targets(const struct vm_space *s, int only, struct cpumask *out)
{
	for (u32 i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = __atomic_load_n(&s->hal.cpus[i], __ATOMIC_RELAXED);
	if (only >= 0) {
		bool there = (u32)only < hal_cpu_count() && cpumask_test(out, (u32)only);

		cpumask_clear(out);
		if (there)
			cpumask_set(out, (u32)only);
	}
}

/* `only`: one CPU alone; -1: all. */
static long barrier_private(int cmd, int only)
{
	struct vm_space *s = vm_current();
	struct cpumask targets;

	/* The registration's bit is the one behind the command's. */
	if (!(READ_ONCE(s->membarrier) & (u32)cmd << 1))
		return -EPERM;
	smp_mb();
	choose_targets(s, only, &targets);
	if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) {
		preempt_disable();
		hal_cpu_serialize();
		preempt_enable();
	}
	/* This CPU may be another one by now: where the caller was, a switch has done what the interrupt does. */
	smp_call_many(&targets, cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ ? restart_here : barrier_here, s, true);
	smp_mb();
	return 0;
}

/* Linux asks only the CPUs that run a registered program. Here all are asked, which the ABI allows. */
static long barrier_global_expedited(void)
{
	smp_mb();
	smp_call_all(barrier_here, NULL, true);
	smp_mb();
	return 0;
}

long membarrier(int cmd, unsigned int flags, int cpu)
{
	bool one = cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ && flags == MEMBARRIER_CMD_FLAG_CPU;

	if (flags && !one)
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return SUPPORTED;
	case MEMBARRIER_CMD_GLOBAL:
		if (hal_cpu_online_count() > 1)
			synchronize_rcu();
		return 0;
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return barrier_global_expedited();
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
		(void)__atomic_fetch_or(&vm_current()->membarrier, (u32)cmd, __ATOMIC_SEQ_CST);
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
		return barrier_private(cmd, one ? cpu : -1);
	default:
		return -EINVAL;
	}
}
