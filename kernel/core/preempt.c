/* SPDX-License-Identifier: MIT */
/* The parts of preemption control that are not worth inlining. */
#include <kernel/core/assert.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/preempt.h>

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
/*
 * The boot code sleeps nowhere but calls what might: the check is armed by the first caller that may, which is the
 * first thread.
 */
void might_sleep_at(const char *file, int line)
{
	static bool armed;
	bool atomic = in_atomic() || !hal_irq_enabled();

	if (unlikely(!armed)) {
		armed = !atomic;
		return;
	}
	if (unlikely(atomic) && !panic_active())
		panic("sleeping call in atomic context at %s:%d (count %x, interrupts %s)", file, line,
		      hal_preempt_count(), hal_irq_enabled() ? "on" : "off");
}
#endif
