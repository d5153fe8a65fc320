/* SPDX-License-Identifier: MIT */
/*
 * What NMIs are good for: the backtrace of another CPU, and the watchdog.
 *
 * Backtrace. Whoever wants to know where a CPU is sets its word and sends an NMI; the CPU prints its own frames, which
 * nobody else could walk while they change, and clears the word. The asker waits for that, but not for ever.
 *
 * Watchdog (debug kernel). A timer sends an NMI to the boot CPU five times in each threshold. Its handler looks at every
 * CPU's count of ticks: a CPU that is not idle has a tick, so one whose count has stood still for five NMIs takes no
 * interrupts. Counting NMIs instead of only reading a clock means that a machine which stood still as a whole (a
 * debugger, an emulator without a host CPU) is not accused; NMIs that come sooner than the timer's are somebody else's
 * and do not count. The boot CPU checks itself with the same code, and all others: one timer serves any number of CPUs.
 *
 * Context: an NMI may have hit anything. So nothing here takes a lock or allocates; the log was made for it
 * (kernel/core/log.c).
 *
 *	[a] atomic, [n] the boot CPU's NMI handler, [w] the one caller of watchdog_set()
 */
#define LOG_TAG "watchdog"
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/nmi.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/preempt.h>
#include <kernel/core/rcu.h>
#include <kernel/core/stop.h>
#include <kernel/core/watchdog.h>
#include <lib/errno.h>
#include <lib/string.h>

#define NMI_ANSWER_NS (200 * (u64)NSEC_PER_MSEC)	/* a backtrace on a slow line takes its time */

/* [a] log level + 1 of the backtrace that this CPU shall print; 0: none */
static DEFINE_PER_CPU(u32, nmi_backtrace_level);

static bool answer_backtrace(const struct hal_regs *regs)
{
	u32 *wanted = this_cpu_ptr(&nmi_backtrace_level);
	u32 level = __atomic_load_n(wanted, __ATOMIC_ACQUIRE);

	if (likely(!level))
		return false;
	log_printf((int)level - 1, " cpu %u:", hal_cpu_id());
	backtrace_print_regs((int)level - 1, regs);
	__atomic_store_n(wanted, 0, __ATOMIC_RELEASE);
	return true;
}

void backtrace_print_cpu(int level, u32 cpu)
{
	u64 start = hal_clock_ns();
	u32 *wanted;

	if (!hal_cpu_online(cpu) || !percpu_ready(cpu)) {
		log_printf(level, " cpu %u is not online", cpu);
		return;
	}
	wanted = per_cpu_ptr(&nmi_backtrace_level, cpu);
	__atomic_store_n(wanted, (u32)level + 1, __ATOMIC_RELEASE);
	if (!hal_cpu_nmi(cpu)) {
		__atomic_store_n(wanted, 0, __ATOMIC_RELEASE);
		log_printf(level, " cpu %u cannot be asked", cpu);
		return;
	}
	while (__atomic_load_n(wanted, __ATOMIC_ACQUIRE)) {
		if (hal_clock_ns() - start > NMI_ANSWER_NS) {
			log_printf(level, " cpu %u does not answer", cpu);
			return;
		}
		hal_cpu_relax();
	}
}

void backtrace_print_all(int level)
{
	u32 cpu;

	log_printf(level, " cpu %u:", hal_cpu_id());
	backtrace_print(level);
	for_each_online_cpu(cpu)
		if (cpu != hal_cpu_id())
			backtrace_print_cpu(level, cpu);
}

#if HALCYON_DEBUG

#define WATCHDOG_NMIS 5u	/* in one threshold, at least: a PIT cannot wait for more than 55 ms */

struct watch {
	u64 ticks;	/* [a] of this CPU */
	u64 seen;	/* [n] ticks at the last NMI */
	u32 missed;	/* [n] NMIs since they moved */
	bool reported;	/* [n] */
};

static DEFINE_PER_CPU(struct watch, watchdog_cpu);
static u64 watchdog_period_ns;	/* [a] of the NMIs; 0: off */
static u32 watchdog_nmis;	/* [a] without a tick until a CPU is reported */
static u64 watchdog_thresh;	/* [w] read racily */
static bool watchdog_starting;	/* [a] NMIs come, but not yet in the period */
static bool watchdog_panics;	/* [I] */
static u64 watchdog_look_ns;	/* [n] when CPUs were looked at last */

void watchdog_tick(void)
{
	struct watch *w = this_cpu_ptr(&watchdog_cpu);

	WRITE_ONCE(w->ticks, w->ticks + 1);
}

static void log_regs_line(const char *line, void *arg)
{
	(void)arg;
	log_printf(LOG_ERR, "  %s", line);
}

static void lockup_report(u32 cpu, const struct watch *w, const struct hal_regs *regs)
{
	u64 ms = w->missed * READ_ONCE(watchdog_period_ns) / (u64)NSEC_PER_MSEC;
	const struct lock_held_stack *held = lock_dep_cpu_stack(cpu);
	char line[160];

	if (cpu != hal_cpu_id()) {
		log_err("cpu %u has taken no interrupts for %llu ms", cpu, (unsigned long long)ms);
		backtrace_print_cpu(LOG_ERR, cpu);
	} else {
		log_err("cpu %u has taken no interrupts for %llu ms, in %pS", cpu, (unsigned long long)ms,
			(void *)(uintptr_t)hal_regs_ip(regs));
		hal_regs_print(regs, log_regs_line, NULL);
		backtrace_print_regs(LOG_ERR, regs);
	}
	for (u32 i = 0; held && lock_dep_describe(held, i, line, sizeof(line)); i++)
		log_printf(LOG_ERR, "  spinlock %s", line);
	if (watchdog_panics)
		panic_regs(regs, "watchdog: cpu %u takes no interrupts", cpu);
}

static void watch_cpu(u32 cpu, const struct hal_regs *regs)
{
	struct watch *w = per_cpu_ptr(&watchdog_cpu, cpu);
	u64 ticks = READ_ONCE(w->ticks);

	if (ticks != w->seen || READ_ONCE(per_cpu(rcu_idle_state, cpu)) == RCU_IDLE) {
		if (w->reported)
			log_notice("cpu %u takes interrupts again", cpu);
		w->seen = ticks;
		w->missed = 0;
		w->reported = false;
		return;
	}
	if (++w->missed < READ_ONCE(watchdog_nmis) || w->reported)
		return;
	w->reported = true;
	lockup_report(cpu, w, regs);
}

static bool watchdog_nmi(const struct hal_regs *regs)
{
	u64 now = hal_clock_ns();
	u32 cpu;

	if (!READ_ONCE(watchdog_period_ns) || hal_cpu_id() != 0)
		return READ_ONCE(watchdog_starting);
	if (now - watchdog_look_ns < READ_ONCE(watchdog_period_ns) / 2)
		return true;
	watchdog_look_ns = now;
	for_each_online_cpu(cpu)
		if (percpu_ready(cpu))
			watch_cpu(cpu, regs);
	return true;
}

int watchdog_set(u64 thresh_ns)
{
	u64 period = thresh_ns / WATCHDOG_NMIS;
	const char *name;
	u32 cpu;

	if (watchdog_thresh)
		hal_nmi_timer_stop();
	WRITE_ONCE(watchdog_period_ns, 0);
	WRITE_ONCE(watchdog_thresh, 0);
	if (!thresh_ns)
		return 0;
	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			per_cpu_ptr(&watchdog_cpu, cpu)->missed = 0;
	WRITE_ONCE(watchdog_starting, true);
	name = hal_nmi_timer_start(&period);
	WRITE_ONCE(watchdog_starting, false);
	if (!name)
		return -ENODEV;
	WRITE_ONCE(watchdog_nmis, MAX(WATCHDOG_NMIS, (u32)DIV_ROUND_UP(thresh_ns, period)));
	WRITE_ONCE(watchdog_thresh, period * watchdog_nmis);
	WRITE_ONCE(watchdog_period_ns, period);
	log_debug("NMIs from the %s every %llu us, a CPU without interrupts is named after %llu ms", name,
		  (unsigned long long)(period / (u64)NSEC_PER_USEC), (unsigned long long)(watchdog_thresh / (u64)NSEC_PER_MSEC));
	return 0;
}

u64 watchdog_thresh_ns(void)
{
	return READ_ONCE(watchdog_thresh);
}

void watchdog_init(void)
{
	char word[16] = "";

	(void)cmdline_find("nmi_watchdog", word, sizeof(word));
	if (strcmp(word, "0") == 0 || HALCYON_COVERAGE) /* an NMI tells the coverage kernel to hand over its counters */
		return;
	watchdog_panics = strcmp(word, "panic") == 0;
	if (watchdog_set(WATCHDOG_THRESH_SECONDS * (u64)NSEC_PER_SEC))
		log_info("no timer of this machine sends NMIs: a CPU that takes no interrupts will not be noticed");
}

#endif

bool upcall_nmi(struct hal_regs *regs)
{
	bool ours;

	stop_if_wanted(regs);
	if (panic_active())
		return false;
	ours = answer_backtrace(regs);
#if HALCYON_DEBUG
	ours |= watchdog_nmi(regs);
#endif
	return ours;
}
