/* SPDX-License-Identifier: MIT */
/*
 * What CPUs ask of each other, counted: /proc/halcyon/tlb (flushes) and /proc/halcyon/calls; and the command `others`, where
 * each of them is. The figures belong to the CPU that counted them and are read without a lock.
 */
#define LOG_TAG "debug"
#include <hal/cpu.h>
#include <kernel/core/assert.h>
#include <kernel/core/backtrace.h>
#include <kernel/core/command.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/smpcall.h>
#include <kernel/core/stop.h>
#include <kernel/core/tlb.h>
#include <kernel/debug/debug.h>
#include <kernel/vfs/proc.h>

/* One row a counter: the sum, then each CPU. All counters are u64. */
struct row {
	const char *name;
	size_t offset;
};

#define TLB_ROW(field) { #field, offsetof(struct tlb_stats, field) }
static const struct row tlb_rows[] = {
	TLB_ROW(flushes), TLB_ROW(sent), TLB_ROW(coalesced), TLB_ROW(lazy), TLB_ROW(quiet), TLB_ROW(avoided), TLB_ROW(received),
	TLB_ROW(caught_up), TLB_ROW(dropped), TLB_ROW(pages), TLB_ROW(full), TLB_ROW(deferred), TLB_ROW(hangs),
};

#define CALL_ROW(field) { #field, offsetof(struct smp_call_stats, field) }
static const struct row call_rows[] = {
	CALL_ROW(calls), CALL_ROW(sent), CALL_ROW(coalesced), CALL_ROW(served), CALL_ROW(hangs),
};

union figures {
	struct tlb_stats tlb;
	struct smp_call_stats call;
	u64 words[16];
};
_Static_assert(sizeof(struct tlb_stats) <= 128 && sizeof(struct smp_call_stats) <= 128, "union figures");

static u64 figure(bool tlb, u32 cpu, const struct row *r)
{
	union figures f;

	if (tlb)
		tlb_stats(cpu, &f.tlb);
	else
		smp_call_stats(cpu, &f.call);
	return f.words[r->offset / sizeof(u64)];
}

static void show_rows(struct seq *s, bool tlb, const struct row *rows, u32 n)
{
	u32 cpu;

	seq_printf(s, "%-10s %12s", "", "all");
	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu))
			seq_printf(s, "      cpu%-3u", cpu);
	seq_puts(s, "\n");
	for (u32 i = 0; i < n; i++) {
		u64 sum = 0;

		for_each_possible_cpu(cpu)
			sum += percpu_ready(cpu) ? figure(tlb, cpu, &rows[i]) : 0;
		seq_printf(s, "%-10s %12llu", rows[i].name, (unsigned long long)sum);
		for_each_possible_cpu(cpu)
			if (percpu_ready(cpu))
				seq_printf(s, " %11llu", (unsigned long long)figure(tlb, cpu, &rows[i]));
		seq_puts(s, "\n");
	}
}

static int show_tlb(struct seq *s, void *arg)
{
	(void)arg;
	show_rows(s, true, tlb_rows, ARRAY_SIZE(tlb_rows));
	return 0;
}

static int show_calls(struct seq *s, void *arg)
{
	(void)arg;
	show_rows(s, false, call_rows, ARRAY_SIZE(call_rows));
	return 0;
}

/* After a panic the others stand still and have said where; before it they are asked. */
static void command_others(struct command_io *io, int argc, char **argv)
{
	(void)argc, (void)argv;
	if (panic_active()) {
		stop_report(io->emit);
		return;
	}
	command_printf(io, "the backtraces go to the log\n");
	backtrace_print_all(LOG_INFO);
}
DEBUG_COMMAND(others, "", "where the other CPUs are", command_others);

void debug_smp_init(void)
{
	(void)proc_register("halcyon/tlb", 0444, show_tlb, NULL);
	(void)proc_register("halcyon/calls", 0444, show_calls, NULL);
}
