/* SPDX-License-Identifier: MIT */
/*
 * How often each system call is made, how often it fails and how long it takes: /proc/halcyon/syscalls.
 *
 *	echo on > /proc/halcyon/syscalls	from now on ("off", "clear")
 *
 * Counting is a reason for the slow path (task/watch.h): while it is off the fast path does not know of it. Each CPU
 * has its own table, so that counting shares no cache line; additions are atomic because a thread may be preempted
 * or moved in the middle of one. Latency is the time from the slow path's entry to the result, sleep included, in buckets
 * of powers of two. A call that never returns (exit) is counted and has no latency.
 *
 * The boot CPU's table is static; others get theirs when counting is switched on.
 */
#define LOG_TAG "syscall"
#include <hal/upcall.h>
#include <kernel/core/assert.h>
#include <kernel/core/percpu.h>
#include <kernel/sched/mutex.h>
#include <kernel/task/capability.h>
#include <kernel/task/cred.h>
#include <kernel/task/watch.h>
#include <kernel/vfs/proc.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>
#include "trace.h"

#define STATS_CALLS 512u
#define STATS_BUCKETS 24u
#define STATS_FIRST_LOG2 7u	/* bucket 0: below 2^7 ns; the last: all the rest */

/* All [a]. */
struct call_stats {
	u64 calls;
	u64 errors;
	u64 total_ns;
	u64 max_ns;
	u32 latency[STATS_BUCKETS];
};
static_assert(sizeof(struct call_stats) == 128, "two cache lines");

static struct call_stats boot_stats[STATS_CALLS];
static DEFINE_PER_CPU(struct call_stats *, stats_table); /* [a] NULL: none yet */
static struct mutex stats_mutex;

static u32 bucket_of(u64 ns)
{
	u32 bits = ns ? (u32)fls64(ns) : 0; /* 2^(bits-1) <= ns < 2^bits */

	return bits <= STATS_FIRST_LOG2 ? 0 : MIN(bits - STATS_FIRST_LOG2, STATS_BUCKETS - 1);
}

void stats_enter(u64 nr)
{
	struct call_stats *table = READ_ONCE(this_cpu(stats_table));

	if (table)
		__atomic_fetch_add(&table[nr].calls, 1, __ATOMIC_RELAXED);
}

void stats_leave(u64 nr, u64 ns, long result)
{
	struct call_stats *table = READ_ONCE(this_cpu(stats_table)), *s;
	u64 max;

	if (!table)
		return;
	s = &table[nr];
	if (result < 0 && result >= -4095)
		__atomic_fetch_add(&s->errors, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->total_ns, ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->latency[bucket_of(ns)], 1, __ATOMIC_RELAXED);
	max = READ_ONCE(s->max_ns);
	while (ns > max && !__atomic_compare_exchange_n(&s->max_ns, &max, ns, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* The sum over all CPUs. */
static void stats_sum(u64 nr, struct call_stats *sum)
{
	u32 cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const struct call_stats *s = percpu_ready(cpu) ? READ_ONCE(per_cpu(stats_table, cpu)) : NULL;

		if (!s)
			continue;
		s += nr;
		sum->calls += READ_ONCE(s->calls);
		sum->errors += READ_ONCE(s->errors);
		sum->total_ns += READ_ONCE(s->total_ns);
		sum->max_ns = MAX(sum->max_ns, READ_ONCE(s->max_ns));
		for (u32 i = 0; i < STATS_BUCKETS; i++)
			sum->latency[i] += READ_ONCE(s->latency[i]);
	}
}

/* " <4us:17": 17 took less than 4 x 1024 ns. */
static void show_bucket(struct seq *s, u32 i, u32 count)
{
	static const char units[3][3] = { "ns", "us", "ms" };
	u32 log2 = STATS_FIRST_LOG2 + MIN(i, STATS_BUCKETS - 2);

	seq_printf(s, " %s%u%s:%u", i == STATS_BUCKETS - 1 ? ">=" : "<", 1u << log2 % 10, units[log2 / 10], count);
}

static void show_call(struct seq *s, u64 nr)
{
	struct call_stats sum;
	u64 returned = 0;

	stats_sum(nr, &sum);
	if (!sum.calls)
		return;
	for (u32 i = 0; i < STATS_BUCKETS; i++)
		returned += sum.latency[i];
	seq_printf(s, "%3llu %-22s %10llu %9llu %12llu %10llu %12llu ", (unsigned long long)nr,
		   syscall_info[nr].name ? syscall_info[nr].name : "?", (unsigned long long)sum.calls,
		   (unsigned long long)sum.errors, (unsigned long long)(sum.total_ns / (u64)NSEC_PER_USEC),
		   (unsigned long long)(returned ? sum.total_ns / returned : 0), (unsigned long long)sum.max_ns);
	for (u32 i = 0; i < STATS_BUCKETS; i++)
		if (sum.latency[i])
			show_bucket(s, i, sum.latency[i]);
	seq_putc(s, '\n');
}

static int show_syscalls(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "counting %s\n", READ_ONCE(watch_all) & WATCH_COUNT ? "on" : "off");
	seq_printf(s, "%3s %-22s %10s %9s %12s %10s %12s  %s\n", "nr", "call", "calls", "errors", "total us", "average ns",
		   "longest ns", "latency (1us = 1024 ns)");
	for (u64 nr = 0; nr < syscall_table_size; nr++)
		show_call(s, nr);
	return 0;
}

/* ---- switching --------------------------------------------------------------------------------- */

static int tables_create(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu) {
		struct call_stats *table = boot_stats;

		if (!percpu_ready(cpu) || per_cpu(stats_table, cpu))
			continue;
		if (cpu) {
			table = percpu_alloc_hook(ALIGN_UP(sizeof(boot_stats), 4096));
			if (!table)
				return -ENOMEM;
		}
		smp_store_release(&per_cpu(stats_table, cpu), table);
	}
	return 0;
}

/* What is counted meanwhile may be lost or stay. */
static void tables_clear(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (percpu_ready(cpu) && per_cpu(stats_table, cpu))
			memset(per_cpu(stats_table, cpu), 0, sizeof(boot_stats));
}

static int stats_switch(const char *word)
{
	int err;

	if (!strcmp(word, "off") || !strcmp(word, "0")) {
		watch_change_all(WATCH_COUNT, 0);
		return 0;
	}
	if (!strcmp(word, "clear")) {
		tables_clear();
		return 0;
	}
	if (strcmp(word, "on") && strcmp(word, "1"))
		return -EINVAL;
	err = tables_create();
	if (!err)
		watch_change_all(0, WATCH_COUNT);
	return err;
}

static int store_syscalls(void *arg, const char *text, size_t len)
{
	char word[16];
	int err;

	(void)arg;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!text_of_write(text, len, word, sizeof(word)))
		return -EINVAL;
	mutex_lock(&stats_mutex);
	err = stats_switch(word);
	mutex_unlock(&stats_mutex);
	return err;
}

void stats_init(void)
{
	mutex_init(&stats_mutex, "syscall stats", LOCK_RANK_SLEEP_LEAF);
	VERIFY(syscall_table_size <= STATS_CALLS);
	(void)proc_register_rw("halcyon/syscalls", 0644, show_syscalls, store_syscalls, NULL);
}
