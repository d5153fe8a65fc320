/* SPDX-License-Identifier: MIT */
/*
 * Stopping all other CPUs.
 *
 * Who stops the machine puts itself into `stopper`; the others learn it by NMI or by interrupt, note where they were, and
 * halt with interrupts off. They note addresses only: names are looked up and printed by the CPU that reports, one after
 * another, so the lines of two CPUs are never mixed, and a CPU that stops needs no lock and no log.
 *
 * Two CPUs that panic at once: one becomes the stopper (panic.c). The other one notes its own reason before it stops, and
 * its state says that it is about to, so that the NMI that is meant to stop it leaves it alone.
 *
 *	[a] atomic, [n] written by that CPU before its state says STOPPED
 */
#define LOG_TAG "smp"
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/ipi.h>
#include <hal/nmi.h>
#include <hal/regs.h>
#include <hal/upcall.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/preempt.h>
#include <kernel/core/stop.h>
#include <lib/atomic.h>
#include <lib/printf.h>
#include <lib/string.h>

#define STOP_NS		(500 * (u64)NSEC_PER_MSEC)	/* for each of the two ways */
#define STOP_FRAMES	12u

enum stop_state { STOP_RUNS, STOP_STOPS, STOP_STOPPED };

struct stop_note {
	u32 state;			/* [a] */
	u32 depth;			/* [n] */
	bool user;			/* [n] it was in user mode */
	vaddr_t frames[STOP_FRAMES];	/* [n] */
	char reason[96];		/* [n] of its own panic; empty: it had none */
};

static DEFINE_PER_CPU(struct stop_note, stop_notes);
static u32 stopper;	/* [a] CPU + 1; 0: nobody */

/* ---- the CPU that stops -------------------------------------------------------------------------- */

static bool note_frame(vaddr_t ip, const struct hal_regs *regs, void *arg)
{
	struct stop_note *n = arg;

	if (n->depth < STOP_FRAMES)
		n->frames[n->depth++] = ip;
	return !(regs && hal_regs_user_mode(regs)) && n->depth < STOP_FRAMES;
}

static __noreturn void stop_here(struct stop_note *n, const struct hal_regs *regs)
{
	n->user = hal_regs_user_mode(regs);
	if (n->user)
		n->frames[n->depth++] = hal_regs_ip(regs);
	else
		hal_backtrace(regs, note_frame, n);
	smp_store_release(&n->state, (u32)STOP_STOPPED);
	hal_cpu_halt_forever();
}

void stop_if_wanted(const struct hal_regs *regs)
{
	struct stop_note *n = this_cpu_ptr(&stop_notes);
	u32 who = READ_ONCE(stopper);

	if (likely(!who) || who == hal_cpu_id() + 1 || cmpxchg(&n->state, (u32)STOP_RUNS, (u32)STOP_STOPS) != STOP_RUNS)
		return;
	stop_here(n, regs);
}

void stop_with_reason(const struct hal_regs *regs, const char *fmt, va_list ap)
{
	struct stop_note *n = this_cpu_ptr(&stop_notes);

	hal_irq_disable();
	if (cmpxchg(&n->state, (u32)STOP_RUNS, (u32)STOP_STOPS) != STOP_RUNS)
		hal_cpu_halt_forever(); /* it panicked while it stopped */
	vscnprintf(n->reason, sizeof(n->reason), fmt, ap);
	stop_here(n, regs);
}

void upcall_ipi_stop(void)
{
	struct hal_regs regs;

	hal_regs_capture(&regs);
	stop_if_wanted(&regs);
}

/* ---- the CPU that goes on ------------------------------------------------------------------------ */

static bool is_stopped(u32 cpu)
{
	return smp_load_acquire(&per_cpu(stop_notes, cpu).state) == STOP_STOPPED;
}

static bool all_stopped(void)
{
	u32 cpu;

	for_each_online_cpu(cpu)
		if (cpu != hal_cpu_id() && !is_stopped(cpu))
			return false;
	return true;
}

static void ask_all(bool nmi)
{
	u32 cpu;

	for_each_online_cpu(cpu) {
		if (cpu == hal_cpu_id() || is_stopped(cpu))
			continue;
		if (!nmi || !hal_cpu_nmi(cpu))
			hal_ipi_stop(cpu);
	}
}

/* False: there are some that do not obey. */
static bool wait_all(void)
{
	u64 end = hal_clock_ns() + STOP_NS;

	while (!all_stopped()) {
		if (hal_clock_ns() > end)
			return false;
		hal_cpu_relax();
	}
	return true;
}

void stop_others(bool force)
{
	struct hal_regs regs;
	u32 me, other, cpu;

	preempt_disable();	/* for good: who stops the others must not come to one of them */
	me = hal_cpu_id() + 1;
	other = cmpxchg(&stopper, 0u, me);
	if (other == me)
		return;
	if (other) {
		hal_regs_capture(&regs);
		hal_irq_disable();
		stop_if_wanted(&regs);
		hal_cpu_halt_forever();	/* it is being stopped: the NMI hit it in here */
	}
	if (hal_cpu_online_count() == 1)
		return;
	ask_all(force);
	if (wait_all())
		return;
	ask_all(!force);
	if (wait_all())
		return;
	for_each_online_cpu(cpu)
		if (cpu != hal_cpu_id() && !is_stopped(cpu))
			log_err("cpu %u does not stop", cpu);
}

/* ---- the report ---------------------------------------------------------------------------------- */

static void emitf(void (*emit)(const char *text, size_t n), const char *fmt, ...) __printf(2, 3);
static void emitf(void (*emit)(const char *text, size_t n), const char *fmt, ...)
{
	static char line[200];	/* the stopper's */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vscnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	emit(line, (size_t)n);
}

static void report_cpu(u32 cpu, void (*emit)(const char *text, size_t n))
{
	const struct stop_note *n = per_cpu_ptr(&stop_notes, cpu);

	if (!is_stopped(cpu)) {
		emitf(emit, "cpu %u does not stop\n", cpu);
		return;
	}
	if (n->reason[0])
		emitf(emit, "cpu %u panicked too: %s\n", cpu, n->reason);
	else
		emitf(emit, "cpu %u was stopped%s\n", cpu, n->user ? " in user mode" : "");
	for (u32 i = 0; i < MIN(n->depth, STOP_FRAMES); i++)
		emitf(emit, " #%-2u [%016llx] %pS\n", i, (unsigned long long)n->frames[i],
		      (void *)(uintptr_t)(n->frames[i] - (i ? 1 : 0)));
}

void stop_report(void (*emit)(const char *text, size_t n))
{
	u32 cpu;

	for_each_online_cpu(cpu)
		if (cpu != hal_cpu_id())
			report_cpu(cpu, emit);
}
