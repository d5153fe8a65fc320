/* SPDX-License-Identifier: MIT */
/*
 * CPUs that come and go: who is asked, in which order, and how a step back is made. The contract is in cpuhp.h.
 *
 * At boot all CPUs come at once: the preparations of all, then one start of the whole set (hal/smp.h), in which each CPU runs
 * the starting steps by itself, then the online steps of all. Afterwards one CPU comes or goes at a time.
 *
 * Going. After the offline steps the scheduler has nothing for that CPU; `die` asks its idle thread, which runs the dying
 * steps with interrupts off and halts. No other CPU is stopped. Whoever asked waits until the HAL says that the CPU touches
 * memory no more.
 *
 * Locks: cpuhp.lock, for writing while anything changes, for reading by who needs the set to stand still.
 *
 *	[I] after cpuhp_boot(), [w] cpuhp.lock for writing, [a] atomic
 */
#define LOG_TAG "smp"
#include <hal/clock.h>
#include <hal/cpu.h>
#include <hal/smp.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/cpuhp.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <lib/errno.h>
#include <lib/string.h>

#define LEAVE_WAIT_NS (10 * (u64)NSEC_PER_SEC) /* an emulated CPU may wait long for a real one */

static struct {
	struct rwsem lock;
	const struct cpuhp_step *const *steps; /* [I] */
	u32 nr_steps; /* [I] */
	u32 present; /* [I] CPUs that have an area, or none but the boot CPU */
	u32 possible; /* [I] with the machine's empty places */
} cpuhp;

static DEFINE_PER_CPU(u32, cpuhp_die); /* [a] */

u32 cpuhp_possible(void)
{
	return cpuhp.possible;
}

void cpuhp_read_lock(void)
{
	rwsem_read_lock(&cpuhp.lock);
}

void cpuhp_read_unlock(void)
{
	rwsem_read_unlock(&cpuhp.lock);
}

/* ---- the steps --------------------------------------------------------------------------------- */

/* [w] What the first n steps prepared is given up. */
static void run_dead(u32 cpu, u32 n)
{
	while (n-- > 0)
		if (cpuhp.steps[n]->dead)
			cpuhp.steps[n]->dead(cpu);
}

/* [w] */
static int run_prepare(u32 cpu)
{
	for (u32 i = 0; i < cpuhp.nr_steps; i++) {
		const struct cpuhp_step *s = cpuhp.steps[i];
		int err = s->prepare ? s->prepare(cpu) : 0;

		if (err) {
			log_warn("cpu %u cannot be prepared: %s (%d)", cpu, s->name, err);
			run_dead(cpu, i);
			return err;
		}
	}
	return 0;
}

/* On the new CPU, interrupts off. */
void cpuhp_run_starting(u32 cpu)
{
	for (u32 i = 0; i < cpuhp.nr_steps; i++)
		if (cpuhp.steps[i]->starting)
			cpuhp.steps[i]->starting(cpu);
}

/* [w] The steps from number n - 1 down. One that refuses: those before it come back, and what comes back here is n again. */
static int run_offline(u32 cpu, u32 n)
{
	for (u32 i = n; i-- > 0;) {
		const struct cpuhp_step *s = cpuhp.steps[i];
		int err = s->offline ? s->offline(cpu) : 0;

		if (!err)
			continue;
		log_notice("cpu %u does not go offline: %s (%d)", cpu, s->name, err);
		while (++i < n)
			if (cpuhp.steps[i]->online && cpuhp.steps[i]->online(cpu))
				log_err("cpu %u: %s did not come back", cpu, cpuhp.steps[i]->name);
		return err;
	}
	return 0;
}

static int cpu_leave(u32 cpu);

/* [w] */
static int run_online(u32 cpu)
{
	for (u32 i = 0; i < cpuhp.nr_steps; i++) {
		const struct cpuhp_step *s = cpuhp.steps[i];
		int err = s->online ? s->online(cpu) : 0;

		if (!err)
			continue;
		log_warn("cpu %u goes again: %s (%d)", cpu, s->name, err);
		if (!run_offline(cpu, i))
			(void)cpu_leave(cpu);
		return err;
	}
	return 0;
}

/* ---- coming ------------------------------------------------------------------------------------ */

/*
 * [w] Those of the set that are prepared are started; who does not come is taken out, and its preparations undone. 0, -EIO: one
 * did not come, or why one had to go again.
 */
static int start_set(struct hal_cpu_set *set, u32 end)
{
	struct hal_cpu_set asked = *set;
	int err = 0;
	u32 cpu;

	hal_smp_start(set);
	for (cpu = 0; cpu < end; cpu++) {
		u64 bit = BIT(cpu % 64);
		int why = -EIO;

		if (!(asked.bits[cpu / 64] & bit))
			continue;
		if (set->bits[cpu / 64] & bit)
			why = run_online(cpu);
		else
			run_dead(cpu, cpuhp.nr_steps);
		err = err ? err : why;
	}
	return err;
}

int cpuhp_up(u32 cpu)
{
	struct hal_cpu_set set = { { 0 } };
	int err = 0;

	if (cpu >= cpuhp.present)
		return -EINVAL;
	rwsem_write_lock(&cpuhp.lock);
	if (hal_cpu_online(cpu))
		goto unlock;
	err = run_prepare(cpu);
	if (err)
		goto unlock;
	set.bits[cpu / 64] = BIT(cpu % 64);
	err = start_set(&set, cpu + 1);
	if (!err)
		log_info("cpu %u is online", cpu);
unlock:
	rwsem_write_unlock(&cpuhp.lock);
	return err;
}

/* ---- going ------------------------------------------------------------------------------------- */

bool cpuhp_should_die(void)
{
	return unlikely(__atomic_load_n(this_cpu_ptr(&cpuhp_die), __ATOMIC_ACQUIRE));
}

void cpuhp_play_dead(void)
{
	u32 cpu = hal_cpu_id();

	hal_smp_leave();
	for (u32 i = cpuhp.nr_steps; i-- > 0;)
		if (cpuhp.steps[i]->dying)
			cpuhp.steps[i]->dying(cpu);
	__atomic_store_n(this_cpu_ptr(&cpuhp_die), 0, __ATOMIC_RELEASE);
	hal_smp_stop_self();
}

/* [w] Nothing is left for that CPU to do. */
static int cpu_leave(u32 cpu)
{
	u64 start = hal_clock_ns();

	__atomic_store_n(per_cpu_ptr(&cpuhp_die, cpu), 1, __ATOMIC_SEQ_CST);
	sched_kick_cpu(cpu);
	while (!hal_smp_is_stopped(cpu)) {
		if (hal_clock_ns() - start > LEAVE_WAIT_NS)
			panic("cpu %u was told to go and does not", cpu);
		sched_relax();
		hal_cpu_relax();
	}
	run_dead(cpu, cpuhp.nr_steps);
	return 0;
}

int cpuhp_down(u32 cpu)
{
	int err = 0;

	if (cpu >= cpuhp.present)
		return -EINVAL;
	if (cpu == 0)
		return -EBUSY;
	rwsem_write_lock(&cpuhp.lock);
	if (!hal_cpu_online(cpu))
		goto unlock;
	err = run_offline(cpu, cpuhp.nr_steps);
	if (!err)
		err = cpu_leave(cpu);
	if (!err)
		log_info("cpu %u is offline", cpu);
unlock:
	rwsem_write_unlock(&cpuhp.lock);
	return err;
}

/* ---- boot -------------------------------------------------------------------------------------- */

/* Areas for all CPUs that there are; memory sets the end. */
static u32 make_areas(u32 count)
{
	u32 cpu;

	for (cpu = 1; cpu < count; cpu++) {
		if (hal_smp_prepare(cpu) == 0 && percpu_area_create(cpu) == 0)
			continue;
		log_warn("no memory for more than %u CPUs", cpu);
		break;
	}
	return cpu;
}

void cpuhp_boot(const struct cpuhp_step *const *steps, u32 nr_steps)
{
	u32 limit = (u32)CLAMP(cmdline_u64("nr_cpus", MAX_CPUS), 1ull, (u64)MAX_CPUS);
	u32 at_boot = (u32)MIN(cmdline_u64("maxcpus", MAX_CPUS), (u64)MAX_CPUS), cpu;
	struct hal_cpu_set set = { { 0 } };
	u64 start = hal_clock_ns();

	rwsem_init(&cpuhp.lock, "cpu hot plug", LOCK_RANK_CPUHP);
	cpuhp.steps = steps;
	cpuhp.nr_steps = nr_steps;
	if (cmdline_has("nosmp") || at_boot == 0)
		limit = at_boot = 1;
	cpuhp.present = make_areas(hal_smp_init(limit));
	cpuhp.possible = MIN(limit, cpuhp.present + MIN(hal_smp_absent(), (u32)MAX_CPUS));
	if (cpuhp.present == 1)
		return;
	rwsem_write_lock(&cpuhp.lock);
	for (cpu = 1; cpu < cpuhp.present; cpu++) {
		if (run_prepare(cpu))
			continue;
		if (cpu < at_boot)
			set.bits[cpu / 64] |= BIT(cpu % 64);
		else
			run_dead(cpu, cpuhp.nr_steps); /* what it keeps, it has from boot on: memory is plenty now */
	}
	(void)start_set(&set, cpuhp.present); /* said where it happened; the machine goes on with those that came */
	rwsem_write_unlock(&cpuhp.lock);
	log_info("%u of %u CPUs online after %llu us", hal_cpu_online_count(), cpuhp.present,
		 (unsigned long long)((hal_clock_ns() - start) / (u64)NSEC_PER_USEC));
}
