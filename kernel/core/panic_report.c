/* SPDX-License-Identifier: MIT */
/*
 * What a panic says: a list of parts, each a function here or a debug command of some subsystem, so that the report
 * shows what the shell shows. The place in the list stands in a variable, stepped before the part runs: a part that
 * panics is left behind (panic.c). Commands that are not in this kernel are skipped.
 *
 * Buffers are static: only the panicking CPU is here.
 */
#define LOG_TAG "panic"
#include <hal/backtrace.h>
#include <hal/clock.h>
#include <hal/regs.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/command.h>
#include <kernel/core/lockdep.h>
#include <kernel/core/log.h>
#include <kernel/core/preempt.h>
#include <kernel/core/stop.h>
#include <lib/errno.h>
#include <lib/string.h>
#include "panic.h"

#define PART_LINES 80u	/* of one part at most */

void panic_printf(const char *fmt, ...)
{
	static char line[400];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vscnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_emit_raw(line, (size_t)n);
}

static void part_header(void)
{
	static char thread[64] = "no threads yet";
	u64 us = hal_clock_ns() / (u64)NSEC_PER_USEC;

	panic_printf("\n*** kernel panic: %s\n", panic_facts.reason);
	if (panic_thread_hook && hal_current())
		panic_thread_hook(thread, sizeof(thread));
	panic_printf("cpu %u, thread %s, preempt count %x, %llu.%06llu s after start\n", hal_cpu_id(), thread,
		     hal_preempt_count(), (unsigned long long)(us / (u64)USEC_PER_SEC),
		     (unsigned long long)(us % (u64)USEC_PER_SEC));
	panic_printf("command line: %s\n", cmdline_raw());
}

static void emit_regs_line(const char *line, void *arg)
{
	(void)arg;
	panic_printf(" %s\n", line);
}

static void part_regs(void)
{
	hal_regs_print(panic_facts.regs, emit_regs_line, NULL);
}

static void part_backtrace(void)
{
	backtrace_emit(panic_facts.regs, log_emit_raw);
}

static void part_locks(void)
{
	lock_dep_report(log_emit_raw);
}

static void part_others(void)
{
	stop_report(log_emit_raw);
}

static bool has_others(void)
{
	return hal_cpu_online_count() > 1;
}

static void part_hook(void)
{
	if (panic_report_hook)
		panic_report_hook();
}

static bool has_fault(void)
{
	return panic_facts.fault;
}

static bool has_thread(void)
{
	return hal_current() != NULL;
}

static const struct part {
	const char *title;		/* or NULL */
	void (*fn)(void);		/* this, or */
	const char *command;		/* this */
	bool (*wanted)(void);		/* NULL: always */
} parts[] = {
	{ NULL, part_header, NULL, NULL },
	{ "registers", part_regs, NULL, NULL },
	{ "backtrace", part_backtrace, NULL, NULL },
	{ NULL, part_locks, NULL, NULL },
	{ "the other CPUs", part_others, NULL, has_others },
	{ "page tables of the address", NULL, "pt", has_fault },
	{ "what the address is", NULL, "page", has_fault },
	{ "current task", NULL, "task", has_thread },
	{ "its memory", NULL, "vma", has_thread },
	{ NULL, part_hook, NULL, NULL },
	{ "last events", NULL, "recorder 32", NULL },
	{ "last log lines", NULL, "log 24", NULL },
};
static u32 next_part;

static void run_command(const struct part *p)
{
	static char line[64];
	struct command_io io = { .emit = log_emit_raw, .budget = PART_LINES };

	strlcpy(line, p->command, sizeof(line));
	if (!command_known(line))
		return;
	panic_printf("%s:\n", p->title);
	(void)!command_run(&io, line);
}

void panic_report_continue(void)
{
	while (next_part < ARRAY_SIZE(parts)) {
		const struct part *p = &parts[next_part++];

		if (p->wanted && !p->wanted())
			continue;
		panic_doing(p->title ? p->title : "the report");
		if (p->command) {
			run_command(p);
			continue;
		}
		if (p->title)
			panic_printf("%s:\n", p->title);
		p->fn();
	}
	if (next_part++ == ARRAY_SIZE(parts))
		panic_printf("*** end of panic report: %s\n", panic_facts.reason);
}

/* ---- commands that tell of it again -------------------------------------------------------------- */

static void command_regs_line(const char *line, void *arg)
{
	command_printf(arg, " %s\n", line);
}

static void command_regs(struct command_io *io, int argc, char **argv)
{
	struct hal_regs here;
	const struct hal_regs *regs = panic_registers();

	(void)argc, (void)argv;
	if (!regs) {
		hal_regs_capture(&here);
		regs = &here;
	}
	hal_regs_print(regs, command_regs_line, io);
}
DEBUG_COMMAND(regs, "", "registers of the panic, or of this place", command_regs);

static void command_reason(struct command_io *io, int argc, char **argv)
{
	(void)argc, (void)argv;
	if (panic_active())
		io->emit(panic_facts.reason, strlen(panic_facts.reason));
	command_printf(io, panic_active() ? "\n" : "no panic\n");
}
DEBUG_COMMAND(reason, "", "why the kernel panicked", command_reason);
