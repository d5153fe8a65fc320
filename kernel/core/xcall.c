/* SPDX-License-Identifier: MIT */
/* Asking other CPUs and waiting for them: see xcall.h. */
#define LOG_TAG "smp"
#include <hal/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/smpcall.h>
#include "xcall.h"

/* Rounds between two looks at the clock and at who is online. */
#define WAIT_ROUNDS 256u

u64 xcall_report_ns = XCALL_REPORT_NS;

void xcall_assert_may_wait(void)
{
#if HALCYON_DEBUG
	if (likely((hal_irq_enabled() && !in_irq()) || hal_cpu_online_count() == 1) || panic_active())
		return;
	report_bug("other CPUs are waited for with interrupts %s%s", hal_irq_enabled() ? "on" : "off",
		   in_irq() ? ", in an interrupt" : "");
#endif
}

bool xcall_post(const struct xcall_kind *k, u32 cpu)
{
	struct xcall_box *box = per_cpu_ptr(k->box, cpu);

	cpumask_atomic_set(&box->from, hal_cpu_id());
	if (xchg(&box->signalled, 1u))
		return false;
	k->interrupt(cpu);
	return true;
}

bool xcall_reap(const struct xcall_kind *k)
{
	struct xcall_slot *slot = this_cpu_ptr(k->slot);
	u32 cpu, me = hal_cpu_id();
	bool done = true;

	cpumask_for_each(cpu, &slot->waiting) {
		if (likely(hal_cpu_online(cpu)) || !atomic_test_and_clear_bit(me, per_cpu_ptr(k->box, cpu)->from.bits)) {
			done = false;
			continue;
		}
		cpumask_atomic_unset(&slot->waiting, cpu);
		slot->missed++;
	}
	return done;
}

/* Says who, asks where it is, and sends the interrupt again in case it was lost. */
static u32 report_hang(const struct xcall_kind *k, const struct xcall_slot *slot, u64 waited_ns)
{
	u32 cpu, n = 0;

	cpumask_for_each(cpu, &slot->waiting) {
		log_err("cpu %u waits since %llu ms for cpu %u to answer a %s", hal_cpu_id(),
			(unsigned long long)(waited_ns / (u64)NSEC_PER_MSEC), cpu, k->what);
		backtrace_print_cpu(LOG_ERR, cpu);
		k->interrupt(cpu);
		n++;
	}
	return n;
}

u32 xcall_wait(const struct xcall_kind *k)
{
	struct xcall_slot *slot = this_cpu_ptr(k->slot);
	u64 start = hal_clock_ns(), next = READ_ONCE(xcall_report_ns), waited;
	u32 hangs = 0;

	for (u32 round = 1; !cpumask_empty(&slot->waiting); round++) {
		hal_cpu_relax();
		if (round % WAIT_ROUNDS)
			continue;
		if (xcall_reap(k) || panic_active())
			break;
		waited = hal_clock_ns() - start;
		if (likely(waited < next))
			continue;
		hangs += report_hang(k, slot, waited);
		next = waited * 2;
	}
	smp_mb();	/* what they did, before what the caller does next */
	return hangs;
}

u32 xcall_take(const struct xcall_kind *k)
{
	struct xcall_box *box = this_cpu_ptr(k->box);
	u32 me = hal_cpu_id(), served = 0;

	xchg(&box->signalled, 0u);
	for (u32 word = 0; word < DIV_ROUND_UP(hal_cpu_count(), 64); word++) {
		u64 bits = READ_ONCE(box->from.bits[word]) ? xchg(&box->from.bits[word], 0ull) : 0;

		for (; bits; bits &= bits - 1) {
			u32 sender = word * 64 + (u32)__builtin_ctzll(bits);

			k->serve(sender);
			cpumask_atomic_unset(&per_cpu_ptr(k->slot, sender)->waiting, me);
			served++;
		}
	}
	return served;
}

void xcall_reset(const struct xcall_kind *k)
{
	smp_store_release(&this_cpu_ptr(k->box)->signalled, 0u);
}
