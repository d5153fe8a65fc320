/* SPDX-License-Identifier: MIT */
/* The parts of preemption control that are not worth inlining. */
#include <hal/thread.h>
#include <hal/tlb.h>
#include <kernel/core/assert.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/preempt.h>
#include <kernel/core/rcu.h>
#include <lib/atomic.h>

void (*preempt_schedule_hook)(void);

/*
 * The count is zero and a reschedule is wanted. With interrupts off the caller is in the middle of something
 * that the count does not show; the wish stays noted and is served by the next preempt_enable() or
 * the next interrupt.
 */
void preempt_schedule(void)
{
	if (likely(preempt_schedule_hook && hal_irq_enabled()))
		preempt_schedule_hook();
}

#if HALCYON_DEBUG

bool (*might_sleep_state_hook)(void);

static void report_atomic(const char *file, int line)
{
	char lock[160];
	vaddr_t reader = rcu_reader_place();

	if (reader) {
		report_bug("sleeping call in an RCU read section, entered at %pS, at %s:%d", (void *)reader, file, line);
		return;
	}
	lock_dep_innermost(lock, sizeof(lock));
	report_bug("sleeping call in atomic context at %s:%d (count %x, interrupts %s, %s)", file, line,
		   hal_preempt_count(), hal_irq_enabled() ? "on" : "off", lock);
}

/*
 * The boot code sleeps nowhere but calls what might: the check is armed by the first caller that may, which is the
 * first thread.
 */
static bool may_sleep(const char *file, int line)
{
	static bool armed;	/* [a] */
	bool atomic = in_atomic() || !hal_irq_enabled();

	if (unlikely(!READ_ONCE(armed))) {
		WRITE_ONCE(armed, !atomic);
		return false;
	}
	if (likely(!atomic))
		return true;
	if (!panic_active())
		report_atomic(file, line);
	return false;
}

void might_schedule_at(const char *file, int line)
{
	(void)may_sleep(file, line);
}

void might_sleep_at(const char *file, int line)
{
	if (may_sleep(file, line) && unlikely(might_sleep_state_hook && might_sleep_state_hook()))
		report_bug("sleeping call at %s:%d by a thread that has begun to wait: its wait would be lost", file, line);
}

/* A thread in a quiet stretch has promised to use no user address, and is not told when translations go: hal/tlb.h. */
static void assert_not_quiet(const char *file, int line)
{
	bool quiet;

	preempt_disable();
	quiet = hal_space_is_quiet();
	preempt_enable();
	if (unlikely(quiet) && !panic_active())
		report_bug("user memory is used at %s:%d in a quiet stretch", file, line);
}

void might_fault_at(const char *file, int line)
{
	const struct hal_thread *t = (const struct hal_thread *)hal_current();

	if (!t || t->nofault)
		return;
	if (!may_sleep(file, line))
		return;
	lock_dep_assert_may_fault(file, line);
	assert_not_quiet(file, line);
}

#endif
