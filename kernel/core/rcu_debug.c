/* SPDX-License-Identifier: MIT */
/*
 * RCU's checks in the debug kernel.
 *
 * Readers. A read section is preemption switched off, so that "asleep in a read section" is the same as "asleep in
 * atomic context"; what is added here is where the section began. Sections nest strictly on a CPU, interrupts
 * included, so a depth and the outermost place per CPU are enough. A CPU that has a section open and passes a
 * quiescent state, or that opens one while it counts as idle, would free memory under its reader: both are reported.
 *
 * Stalls. The tick that finds the running grace period too old says which CPUs it waits for, and where they are.
 * On the CPU that ticks this is its own backtrace, through the interrupt; the others are asked by NMI. A CPU that takes no
 * interrupts at all cannot tick: that is the watchdog's case (nmi.c), or that of any other CPU that still ticks.
 */
#define LOG_TAG "rcu"
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/log.h>
#include <kernel/core/rcu.h>
#include "rcu_debug.h"

#if HALCYON_DEBUG

/* [own] */
struct rcu_reader {
	u32 depth;
	vaddr_t place;	/* of the outermost section; stale when depth is 0 */
};

static DEFINE_PER_CPU(struct rcu_reader, rcu_readers);
u64 rcu_stall_ns = RCU_STALL_NS;

void rcu_read_lock(void)
{
	struct rcu_reader *r;

	preempt_disable();
	r = this_cpu_ptr(&rcu_readers);
	if (!r->depth) {
		r->place = _RET_IP_;
		if (unlikely(this_cpu(rcu_idle_state) == RCU_IDLE) && !panic_active())
			report_bug("RCU read section on an idle CPU, at %pS", (void *)r->place);
	}
	WRITE_ONCE(r->depth, r->depth + 1);
}

void rcu_read_unlock(void)
{
	struct rcu_reader *r = this_cpu_ptr(&rcu_readers);

	if (unlikely(!r->depth)) {
		report_bug("RCU read section left at %pS, but none was entered", (void *)_RET_IP_);
		return;
	}
	WRITE_ONCE(r->depth, r->depth - 1);
	preempt_enable();
}

vaddr_t rcu_reader_place_of(u32 cpu)
{
	const struct rcu_reader *r;

	if (cpu >= hal_cpu_count() || !percpu_ready(cpu))
		return 0;
	r = per_cpu_ptr(&rcu_readers, cpu);
	return READ_ONCE(r->depth) ? READ_ONCE(r->place) : 0;
}

vaddr_t rcu_reader_place(void)
{
	return rcu_reader_place_of(hal_cpu_id());
}

void rcu_check_reader(void)
{
	if (likely(rcu_read_held()) || panic_active())
		return;
	report_bug("pointer of RCU's read outside of a read section, at %pS", (void *)_RET_IP_);
}

void rcu_debug_quiescent(void)
{
	vaddr_t place = rcu_reader_place();

	if (unlikely(place) && !panic_active())
		report_bug("quiescent state inside of the RCU read section entered at %pS", (void *)place);
}

/* ---- stalls ------------------------------------------------------------------------------------ */

/* Key: [l] rcu.lock; [r] the CPU that reports, which is one at a time as `next_ns` moves on. */
static struct {
	u64 gp;			/* [l] the period that was looked at last */
	u64 next_ns;		/* [l] the age at which it is reported */
	u64 age_ns;		/* [r] */
	struct cpumask waiting;	/* [r] */
} stall;

bool rcu_debug_stalled(u64 gp, u64 age_ns, const struct cpumask *waiting)
{
	u64 limit = READ_ONCE(rcu_stall_ns);

	if (gp != stall.gp) {
		stall.gp = gp;
		stall.next_ns = limit;
	}
	if (likely(age_ns < stall.next_ns) || panic_active())
		return false;
	stall.next_ns = age_ns + limit;
	stall.age_ns = age_ns;
	stall.waiting = *waiting;
	return true;
}

static void report_cpu(u32 cpu)
{
	vaddr_t place = rcu_reader_place_of(cpu);

	if (place)
		log_printf(LOG_ERR, "  cpu %u is in a read section entered at %pS", cpu, (void *)place);
	else
		log_printf(LOG_ERR, "  cpu %u is in no read section, idle state %x", cpu, READ_ONCE(per_cpu(rcu_idle_state, cpu)));
	if (cpu == hal_cpu_id())
		backtrace_print(LOG_ERR);
	else
		backtrace_print_cpu(LOG_ERR, cpu);
}

void rcu_debug_report_stall(void)
{
	u32 cpu;

	log_err("grace period %llu does not end: %llu ms old", (unsigned long long)stall.gp,
		(unsigned long long)(stall.age_ns / (u64)NSEC_PER_MSEC));
	cpumask_for_each(cpu, &stall.waiting)
		report_cpu(cpu);
}

#endif
